"""The command ``fit``: learning curves of one's own against the theory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rhmtheory import RHM, InputError
from rhmtheory.cli.options import Chosen, Command, grammar_options, json_option, plot_option
from rhmtheory.cli.output import print_json, write_figure

if TYPE_CHECKING:
    from rhmtheory import Grammar


@click.command("fit", cls=Command)
@json_option
@plot_option
@click.option(
    "--law", default="both", show_default=True, help="cnn, lcn, transformer, or both (cnn and transformer)."
)
@click.option("--label", default="own network", show_default=True, help="Name in table and figure.")
@click.argument("curve", type=click.Path(exists=True, dir_okay=False))
@grammar_options("column grammar, or the ensemble")
def fit_command(chosen: Chosen, curve: str, law: str, label: str, plot: str | None, as_json: bool) -> None:
    """Hold the learning curves in the CSV file CURVE against the theory: factors, exponent, verdicts.

    Columns: P (samples) and loss (nats, last token); grammar and run where there are several curves, error where
    standard errors are known. Entries of the column grammar are seeds, or .npz files. Where no grammar is named the
    plateaus are those of the ensemble.
    """
    from rhmtheory.comparison import compare_curve, grammars_of, read_curves

    table = read_curves(curve)
    named = chosen.grammar if chosen.origin else None
    given = grammars_of(table, chosen.rhm, named, lambda entry: _of_entry(entry, chosen.rhm))
    found = compare_curve(table.P, table.loss, given, law, loss_error=table.loss_error, label=label)
    if plot:
        write_figure(plot, found.plot()[0].figure)
    if as_json:
        print_json(found.to_dict())
        return
    if isinstance(given, RHM):
        click.echo("No grammar is named: plateaus are those of the ensemble, and each curve is one of a grammar.\n")
    click.echo(str(found))


def _of_entry(entry: str, rhm: RHM) -> Grammar:
    """The grammar that an entry of the file's column names."""
    if not entry.endswith(".npz"):
        try:
            return rhm.grammar(int(entry))
        except ValueError:
            raise InputError(f"grammar={entry!r} in the file is neither a seed nor a .npz file") from None
    from rhmtheory import Grammar

    grammar = Grammar.load(entry)
    if grammar.rhm != rhm:
        raise InputError(f"{entry} holds a grammar of {grammar.rhm}, not of {rhm}: give its own --v --m --s --L")
    return grammar
