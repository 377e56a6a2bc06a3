"""Commands on an ensemble and one grammar of it: predict, correlations, plateaus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from rhmtheory import ARCHITECTURES, RHM, Prediction, predict
from rhmtheory.cli.options import Chosen, Command, grammar_options, json_option, plot_option
from rhmtheory.cli.output import new_table, print_json, print_tables, save_figure
from rhmtheory.support.json import plain

if TYPE_CHECKING:
    from rhmtheory import Grammar


@click.command("predict", cls=Command)
@json_option
@plot_option
@click.option(
    "--architecture",
    "architectures",
    type=click.Choice(list(ARCHITECTURES)),
    multiple=True,
    help="May be repeated; by default all.",
)
@click.option(
    "--plateaus",
    type=click.Choice(["chain", "annealed", "quenched", "grammar"]),
    help="Plateaus H_k: of the ensemble (chain, the default), or of the grammar (the default where one is named).",
)
@click.option("--batch", type=int, help="Batch size of online training: adds samples and updates of each step.")
@click.option("--rate", type=float, help="Learning rate with --batch, in units of the width.  [default: 1.0]")
@click.option("--finite-size", is_flag=True, help="Draw the finite-size steps, not the published ones.")
@grammar_options("none, the ensemble")
def predict_command(
    chosen: Chosen,
    architectures: tuple[str, ...],
    plateaus: str | None,
    batch: int | None,
    rate: float | None,
    finite_size: bool,
    plot: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Sample complexities, plateaus and exponents of the learning curves.

    With --plateaus quenched, --seed is that of the grammars averaged over.

    Example: rhmtheory predict --v 16 --m 4 --s 2 --L 3 --architecture cnn
    """
    if rate is not None and batch is None:
        raise click.UsageError("--rate is that of --batch: give --batch, too, or leave --rate out.")
    if finite_size and not plot:
        raise click.UsageError("--finite-size is for the figure: give --plot FILE, too. Tables show both.")
    rate = 1.0 if rate is None else rate
    rhm, names = chosen.rhm, architectures or tuple(ARCHITECTURES)
    given: Any = plateaus or ("grammar" if chosen.origin else None)
    source: dict[str, Any] = {"grammar": chosen.described() if given == "grammar" else None}
    if given == "grammar":
        given = chosen.grammar.plateaus()
    elif given == "quenched":
        from rhmtheory.language.quenched import quenched_plateaus

        given = quenched_plateaus(rhm, seed=chosen.seed, progress=True).mean
        source["seed"] = chosen.seed
    predictions: list[Prediction] = []
    for name in names:
        # the plateaus are the same for all architectures, and may take a while
        given = predictions[0].plateaus if predictions else given
        predictions.append(predict(rhm, name, plateaus=given, batch=batch, rate=rate))
    if plot:
        from rhmtheory.plotting import plot_predictions

        save_figure(plot, lambda ax: plot_predictions(predictions, ax, finite_size=finite_size))
    if as_json:
        print_json({"predictions": [p.to_dict() for p in predictions], **source})
        return
    click.echo("\n\n".join(map(str, predictions)))


@click.command(
    "correlations", cls=Command, ways_out={"the correlations": "name no grammar, for the ensemble alone"}
)
@json_option
@plot_option
@click.option("--grammars", type=int, help="Compare with the average over this many drawn grammars.")
@grammar_options("none, the ensemble")
def correlations_command(chosen: Chosen, grammars: int | None, plot: str | None, as_json: bool) -> None:
    """RMS covariance of two tokens by level of their lowest common ancestor (LCA).

    Over all pairs of tokens with that LCA, all entries and all grammars: exact at finite size, and for large v.
    Where a grammar is named, its own covariances with the last token stand beside them, exactly. With --grammars,
    too, the mean square measured on drawn grammars (--seed is theirs, too). The figure shows all against distance,
    with the grammar of seed 0 where none is named.

    Example: rhmtheory correlations --v 8 --m 2 --s 2 --L 4 --seed 0
    """
    rows: list[dict[str, Any]] = [{"level": level.number} for level in chosen.shape.levels]
    if chosen.has_ensemble or grammars is not None or plot:
        _add_ensemble(rows, chosen.rhm)
    if chosen.origin:
        _add_grammar(rows, chosen.grammar)
    if grammars is not None:
        from rhmtheory.language.quenched import quenched_correlations

        measured = quenched_correlations(chosen.rhm, grammars, seed=chosen.seed, progress=True)
        for row, mean, error in zip(rows, measured.mean, measured.standard_error, strict=True):
            row |= {"measured_mean_square": mean, "standard_error": error}
    if plot:
        from rhmtheory.plotting import plot_correlations

        save_figure(plot, lambda ax: plot_correlations(chosen.grammar, ax))
    if as_json:
        named = chosen.described() if chosen.origin else None
        content = {"rms_correlation": rows, "grammars": grammars, "seed": chosen.seed, "grammar": named}
        print_json(plain(content))
        return
    columns = {"finite_size": ".5e", "published": ".5e", "mean_square_ratio": ".4f", "grammar": ".5e"}
    columns = {name: form for name, form in columns.items() if name in rows[0]}
    heads = [
        {"finite_size": "finite-size", "mean_square_ratio": "ratio of squares", "grammar": "this grammar"}.get(c, c)
        for c in columns
    ]
    tables = [
        new_table(
            f"{chosen.rhm if chosen.has_ensemble else chosen.shape}: RMS token-token covariance",
            ["LCA level", *heads],
        )
    ]
    for row in rows:
        tables[0].add_row(str(row["level"]), *(format(row[name], form) for name, form in columns.items()))
    if grammars is not None:
        tables.append(_measured_table(rows, grammars))
    print_tables(*tables)


def _add_ensemble(rows: list[dict[str, Any]], rhm: RHM) -> None:
    for row in rows:
        finite_size, published = (rhm.rms_correlation(row["level"], method=x) for x in ("finite-size", "published"))
        ratio = (finite_size / published) ** 2 if published else float("nan")
        row |= {"finite_size": finite_size, "published": published, "mean_square_ratio": ratio}


def _add_grammar(rows: list[dict[str, Any]], grammar: Grammar) -> None:
    """Of the tokens whose LCA with the last token has the row's level."""
    squares = grammar.correlation_function() ** 2
    for row in rows:
        nearest, farther = (grammar.shape.span(level) for level in (row["level"] - 1, row["level"]))
        row["grammar"] = float(squares[nearest:farther].mean() ** 0.5)


def _measured_table(rows: list[dict[str, Any]], grammars: int) -> Table:
    columns = ["LCA level", "measured", "standard error", "finite-size", "z"]
    table = new_table(f"Mean square over {grammars} grammars", columns)
    for row in rows:
        mean, error, square = row["measured_mean_square"], row["standard_error"], row["finite_size"] ** 2
        z = (mean - square) / error if error else float("nan")
        table.add_row(str(row["level"]), f"{mean:.5e}", f"{error:.1e}", f"{square:.5e}", f"{z:+.1f}")
    return table


@click.command(
    "plateaus",
    cls=Command,
    ways_out={"the exact entropies": "use `samples`, which gives an estimate, or fewer levels"},
)
@json_option
@plot_option
@click.option("--grammars", type=int, help="Add mean, error and spread over this many drawn grammars.")
@click.option(
    "--samples", type=int, help="Estimate the grammar's own from this many contexts, in place of exactly."
)
@grammar_options("0")
def plateaus_command(
    chosen: Chosen, grammars: int | None, samples: int | None, plot: str | None, as_json: bool
) -> None:  # fmt: skip
    """Entropy of the last token given the s**k - 1 tokens before it.

    Example: rhmtheory plateaus --v 8 --m 2 --s 2 --L 3
    """
    shape = chosen.shape
    if samples is None:
        columns = {"grammar": chosen.grammar.plateaus()}
    else:
        estimate = chosen.grammar.estimate_plateaus(samples=samples)
        columns = {"grammar": estimate.mean, "its error": estimate.standard_error}
    if chosen.has_ensemble:
        if chosen.rhm.rule_probabilities is None:
            columns["chain"] = chosen.rhm.plateaus("chain")
        columns["annealed"] = chosen.rhm.plateaus("annealed")
    if grammars is not None:
        from rhmtheory.language.quenched import quenched_plateaus

        measured = quenched_plateaus(chosen.rhm, grammars, seed=chosen.seed, progress=True)
        columns |= {"quenched": measured.mean, "standard error": measured.standard_error, "spread": measured.spread}
    if plot:
        from rhmtheory.plotting import plot_plateaus

        curves = {name: H for name, H in columns.items() if name not in ("its error", "standard error", "spread")}
        save_figure(plot, lambda ax: plot_plateaus(curves, shape, ax))
    if as_json:
        print_json(plain({"plateaus": columns, "grammar": chosen.described()}))
        return
    formulas = " and by two formulas for the ensemble" if chosen.has_ensemble else ""
    title = f"{chosen.rhm if chosen.has_ensemble else shape}: loss plateaus H_k in nats, of this grammar{formulas}"
    if grammars is not None:
        title += f", and over {grammars} grammars"
    heads = {"quenched": "mean", "standard error": "error"}
    table = new_table(title, ["k", "context", *(heads.get(c, c) for c in columns)])
    for k in range(shape.L + 1):
        table.add_row(str(k), str(shape.span(k) - 1), *(f"{H[k]:.5f}" for H in columns.values()))
    print_tables(table)
