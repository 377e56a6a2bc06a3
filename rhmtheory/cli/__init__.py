"""The command line: tables for people, ``--json`` for programs, ``--plot FILE`` for a figure."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from rhmtheory import InputError, __version__
from rhmtheory.cli.curves import fit_command
from rhmtheory.cli.ensembles import correlations_command, plateaus_command, predict_command
from rhmtheory.cli.networks import compare_command, report_command
from rhmtheory.cli.samples import corpus_command, thresholds_command
from rhmtheory.cli.sentences import sample_command, tree_command


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments (those of the process by default) and return its exit code.

    0 for success, 2 for input that cannot be used, 130 when interrupted.
    """
    try:
        with _warnings_in_words():
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
    except MemoryError as error:
        click.echo(f"error: there is not enough memory for this: ask for less ({error})", err=True)
        return 2


@contextmanager
def _warnings_in_words() -> Iterator[None]:
    """Show the package's own warnings as people read them, without file and line."""
    shown = warnings.showwarning

    def tell(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if category is UserWarning:
            click.echo(f"warning: {message}", err=True)
        else:
            shown(message, category, *place, **more)

    with warnings.catch_warnings():
        warnings.showwarning = tell
        yield


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
    thresholds_command,
    corpus_command,
    compare_command,
    fit_command,
    report_command,
):
    cli.add_command(_command)
