"""The command ``compare``: learning curves of one's own against the theory."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import click

from rhmtheory import RHM, InputError
from rhmtheory.cli.options import Chosen, Command, grammar_options, json_option, plot_option
from rhmtheory.cli.output import print_json, save_figure

if TYPE_CHECKING:
    from rhmtheory import Grammar


@click.command("compare", cls=Command)
@json_option
@plot_option
@click.option(
    "--law", default="both", show_default=True, help="cnn, lcn, transformer, or both (cnn and transformer)."
)
@click.option("--label", default="own network", show_default=True, help="Name in table and figure.")
@click.argument("curve", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@grammar_options("column grammar, or the ensemble")
def compare_command(chosen: Chosen, curve: str, law: str, label: str, plot: str | None, as_json: bool) -> None:
    """Hold the learning curves in the CSV file CURVE against the theory: factors, exponent, verdicts.

    Columns: P (samples) and loss (nats, last token); grammar and run where there are several curves, error where
    standard errors are known, batch and rate where they differ. Entries of the column grammar are seeds, or .npz
    files. Without a column loss, one column per grammar, named so. Fields may be separated by semicolons or tabs;
    CURVE - is standard input. Where no grammar is named the plateaus are those of the ensemble, and all curves are
    runs of one grammar.

    Example: rhmtheory compare curve.csv --v 16 --m 4 --s 2 --L 3 --law cnn
    """
    from rhmtheory.comparison import compare, read_curves
    from rhmtheory.comparison.reading import grammars_of

    found, known = [], True
    named = chosen.grammar if chosen.origin else None
    for words, table in read_curves(curve).parts():
        given = grammars_of(table, chosen.rhm, named, lambda entry: _of_entry(entry, chosen.rhm))
        known = known and not isinstance(given, RHM)
        found.append(
            compare(
                table.P, table.loss, given, law=law, loss_error=table.loss_error,
                label=f"{label}, {words}" if words else label, runs_of=table.grammars,
                batch=None if isnan(table.batch[0]) else int(table.batch[0]),
                rate=None if isnan(table.rate[0]) else table.rate[0],
            )
        )  # fmt: skip
    if plot:
        save_figure(plot, found[0].plot, columns=2)
    if as_json:
        print_json(found[0].to_dict() if len(found) == 1 else {"curves": [one.to_dict() for one in found]})
        return
    if not known:
        click.echo(
            "No grammar is named: plateaus are those of the ensemble, and all curves are runs of one grammar.\n"
        )
    click.echo("\n\n".join(map(str, found)))


def _of_entry(entry: str, rhm: RHM) -> Grammar:
    """The grammar that an entry of the file's column names."""
    from rhmtheory import Grammar

    if not entry.endswith(".npz"):
        try:
            return rhm.grammar(int(entry))
        except ValueError:
            raise InputError("grammar", entry, "in the file is neither a seed nor a .npz file") from None
    grammar = Grammar.load(entry)
    if grammar.rhm != rhm:
        rule = f"holds a grammar of {grammar.rhm}, not of {rhm}"
        raise InputError(entry, rule=rule, way_out="give its own `v` `m` `s` `L`")
    return grammar
