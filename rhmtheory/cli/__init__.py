"""The command line: tables for people, ``--json`` for programs, ``--plot FILE`` for a figure."""

from __future__ import annotations

from collections.abc import Sequence

import click

from rhmtheory import InputError, __version__
from rhmtheory.cli.curves import fit_command
from rhmtheory.cli.ensembles import correlations_command, plateaus_command, predict_command
from rhmtheory.cli.networks import compare_command, report_command
from rhmtheory.cli.samples import corpus_command, learn_command
from rhmtheory.cli.sentences import sample_command, tree_command


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments (those of the process by default) and return its exit code.

    0 for success, 2 for input that cannot be used, 130 when interrupted.
    """
    try:
        # commands return None or, after --help and --version, an exit code
        return cli.main(args, prog_name="rhmtheory", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except (InputError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        return 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rhmtheory")
def cli() -> None:
    """How much data a network needs to learn a hierarchical language (the Random Hierarchy Model)."""


for _command in (
    predict_command,
    correlations_command,
    plateaus_command,
    sample_command,
    tree_command,
    learn_command,
    corpus_command,
    compare_command,
    fit_command,
    report_command,
):
    cli.add_command(_command)
