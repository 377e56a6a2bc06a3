"""Commands that measure on samples: thresholds, corpus."""

from __future__ import annotations

from typing import Any

import click

from rhmtheory import RHM
from rhmtheory.cli.options import Command, OutputFile, ensemble_options, json_option, plot_option
from rhmtheory.cli.output import print_json, save_figure


@click.command("thresholds", cls=Command, ways_out={"samples": "lower `levels` or `most`"})
@json_option
@plot_option
@click.option("--law", "laws", multiple=True, help="What is clustered by; with and without sharing by default.")
@click.option("--levels", "highest_level", type=int, help="Highest hidden level; by default L - 1.")
@click.option("--grammars", type=int, default=8, show_default=True, help="Grammars, with seeds 0, 1, ..")
@click.option("--threshold", type=float, default=0.5, show_default=True, help="Pair-F1 that counts as learnt.")
@click.option("--tolerance", type=float, default=0.05, show_default=True, help="Relative width to bisect to.")
@click.option("--most", type=int, default=1 << 22, show_default=True, help="Samples at which to give up.")
@click.option(
    "--criterion",
    type=click.Choice(["tuples", "symbols"]),
    default="tuples",
    show_default=True,
    help="Judge tuples, which the theory is about, or symbols.",
)
@click.option("--profile", type=click.Choice(["covariance", "hellinger"]), default="covariance", show_default=True)
@click.option("--position", type=int, default=-1, show_default=True, help="Target: the last token or a masked one.")
@click.option("--record", type=OutputFile(), help="JSON lines to append to and to resume from.")
@ensemble_options
def thresholds_command(
    rhm: RHM, laws: tuple[str, ...], highest_level: int | None, plot: str | None, as_json: bool, **options: Any
) -> None:  # fmt: skip
    """Measure sample complexities with the clustering learner, against theory.

    Example: rhmtheory thresholds --v 8 --m 2 --s 2 --L 3 --grammars 2
    """
    from rhmtheory.learner import thresholds

    names = laws or ("shared", "unshared")
    results = [thresholds(rhm, law, highest_level=highest_level, **options) for law in names]
    if plot:
        from rhmtheory.plotting import plot_thresholds

        save_figure(plot, lambda ax: plot_thresholds(results, ax))
    if as_json:
        print_json([result.to_dict() for result in results])
        return
    for result in results:
        click.echo(str(result))


@click.command("corpus", cls=Command, words={'units="bytes"': "--bytes"})
@json_option
@plot_option
@click.option("--bytes", "as_bytes", is_flag=True, help="Read bytes instead of characters.")
@click.option("--top", type=int, default=256, show_default=True, help="Symbols told apart; rarer ones are merged.")
@click.option("--largest-lag", type=int, default=1000, show_default=True, help="Lags are measured up to this.")
@click.option("--window", type=(int, int), help="Smallest and largest lag to fit; by default all resolved.")
@click.option("--floor", type=float, default=0.0, show_default=True, help="Entropy rate in nats, if known.")
@click.option("--segments", type=int, default=16, show_default=True, help="Pieces left out in turn for intervals.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
def corpus_command(file: str, as_bytes: bool, plot: str | None, as_json: bool, **options: Any) -> None:
    """Predict the exponent of the loss against data for a text FILE, or a .npy file of token ids.

    Example: rhmtheory corpus book.txt --top 64 --plot decays.png
    """
    from rhmtheory.corpus.decays import analyse_corpus

    result = analyse_corpus(file, "bytes" if as_bytes else "characters", **options)
    if plot:
        save_figure(plot, result.plot, columns=2)
    if as_json:
        print_json(result.to_dict())
        return
    click.echo(str(result))
