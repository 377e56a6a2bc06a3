"""Commands on noise and on whole grammars: transition, grammar."""

from __future__ import annotations

from typing import Any

import click

from rhmtheory.cli.options import Chosen, Command, OutputFile, grammar_options, json_option, plot_option
from rhmtheory.cli.output import new_table, print_json, print_tables, save_figure


@click.command("transition", cls=Command)
@json_option
@plot_option
@click.option("--noise", type=float, multiple=True, help="Noise, 0 to 1; may be repeated.  [default: 0.1 .. 0.9]")
@click.option("--process", type=click.Choice(["channel", "epsilon"]), default="channel", show_default=True)
@click.option("--members", type=int, default=256, show_default=True, help="Beliefs per symbol and level.")
@grammar_options("0")
def transition_command(
    chosen: Chosen, noise: tuple[float, ...], process: str, members: int, plot: str | None, as_json: bool
) -> None:
    """What is known of each level when all tokens are noisy, and where the class is lost.

    Above the table, the transition of the epsilon-process averaged over rules (arXiv:2402.16991). In the table,
    mean beliefs in the right symbols of one grammar: of a calibrated channel, or of the epsilon-process.

    Example: rhmtheory transition --v 32 --m 8 --s 2 --L 9 --noise 0.1 --noise 0.2
    """
    levels = noise or tuple(i / 10 for i in range(1, 10))
    found = chosen.grammar.overlaps(levels, process=process, members=members)
    averaged = chosen.rhm.noise_transition() if chosen.rhm.has_alike_levels else None
    if plot:
        from rhmtheory.plotting import plot_overlaps

        save_figure(plot, lambda ax: plot_overlaps(found, ax))
    if as_json:
        content: dict[str, Any] = {"transition": averaged.to_dict() if averaged else None, "process": process}
        content |= {"noise": found.noise.tolist(), "belief": found.belief.tolist()}
        print_json({**content, "grammar": chosen.described()})
        return
    if averaged:
        click.echo(f"epsilon-process, averaged over rules: {averaged}")
    table = new_table(
        f"{chosen.rhm}: mean belief in the right symbol, {process}",
        ["noise", *(f"level {level}" for level in range(chosen.rhm.L, -1, -1))],
    )
    for x, row in zip(found.noise, found.belief, strict=True):
        table.add_row(f"{x:g}", *(f"{belief:.3f}" for belief in row[::-1]))
    print_tables(table)


@click.command("grammar", cls=Command)
@json_option
@click.option("--out", type=OutputFile((".npz",)), help="Write a file that --grammar of other commands reads.")
@grammar_options("0")
def grammar_command(chosen: Chosen, out: str | None, as_json: bool) -> None:
    """Show a grammar as a probabilistic context-free grammar, which NLTK reads, or save it.

    Example: rhmtheory grammar --v 8 --m 2 --s 2 --L 3 --seed 5 --out mine.npz
    """
    grammar = chosen.grammar
    if out:
        grammar.save(out)
    if as_json:
        print_json({**grammar.to_dict(), "file": out, "grammar": chosen.described()})
    else:
        click.echo(f"grammar {grammar.fingerprint[:12]} written to {out}" if out else grammar.to_cfg())
