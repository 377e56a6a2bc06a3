"""The command line: tables for people, ``--json`` for programs, ``--plot FILE`` for a figure."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

from rhmtheory import InputError, __version__
from rhmtheory.cli.curves import compare_command
from rhmtheory.cli.ensembles import correlations_command, plateaus_command, predict_command
from rhmtheory.cli.noise import grammar_command, transition_command
from rhmtheory.cli.samples import corpus_command, thresholds_command
from rhmtheory.cli.sentences import sample_command, tree_command
from rhmtheory.support.errors import ResourceError
from rhmtheory.support.parallel import thread_count

_LONGEST = 2000
"""Signs of an error."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments (those of the process by default) and return its exit code.

    0 for success, 2 for input that cannot be used, 1 where the machine cannot do it (a full disk, memory, workers
    that are gone) or nobody reads the output, 130 when interrupted.
    """
    try:
        with _any_output(), _warnings_in_words():
            thread_count()  # numba refuses a wrong NUMBA_NUM_THREADS when it is imported, with a traceback
            # commands return None or, after --help and --version, an exit code
            return cli.main(args, prog_name="rhmtheory", standalone_mode=False) or 0
    except click.ClickException as error:
        error.message = _cut(error.message)  # type: ignore[misc]
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:  # whoever read the output has left, as `head` does
        with suppress(OSError, ValueError, AttributeError):  # so that nothing is left to be flushed at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        click.echo(f"error: {_cut(told)}", err=True)
        return 2
    except InputError as error:
        click.echo(f"error: {_cut(str(error))}", err=True)
        return 2
    except ResourceError as error:
        click.echo(f"error: {_cut(str(error))}", err=True)
        return 1
    except MemoryError as error:
        click.echo(f"error: there is not enough memory for this: ask for less ({error})", err=True)
        return 1


def _cut(text: str) -> str:
    """The beginning and the end of a text that repeats what was given at length."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"


@contextmanager
def _any_output() -> Iterator[None]:
    """Show signs that the terminal has not as escapes, and print to nowhere where the standard output is closed."""
    with ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:
                nowhere = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(redirect_stdout(nowhere) if name == "stdout" else redirect_stderr(nowhere))
            elif isinstance(stream, io.TextIOWrapper):
                stack.callback(stream.reconfigure, errors=stream.errors)
                stream.reconfigure(errors="backslashreplace")
        yield


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


class _Commands(click.Group):
    """The commands of the theory, and those that installed packages add by an entry point."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted({*super().list_commands(ctx), *_added()})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a command; an added one is loaded now."""
        own = super().get_command(ctx, name)
        if own is None and name in _added():
            added: click.Command = _added()[name].load()
            return added
        return own


@cache
def _added() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="rhmtheory.commands")}


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rhmtheory")
def cli() -> None:
    """How much data a network needs to learn a hierarchical language (the Random Hierarchy Model)."""


for _command in (
    predict_command,
    correlations_command,
    plateaus_command,
    sample_command,
    tree_command,
    grammar_command,
    transition_command,
    thresholds_command,
    corpus_command,
    compare_command,
):
    cli.add_command(_command)
