"""The command line: tables for people, ``--json`` for programs, ``--plot FILE`` for a figure."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from rhmtheory import ARCHITECTURES, RHM, InputError, __version__, predict, zipf
from rhmtheory._support.json import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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


class _PerLevel(click.ParamType):  # type: ignore[type-arg]
    """An integer, or one a level separated by commas, from the leaves up."""

    name = "INT[,INT...]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Parse the text; the checks of the ensemble follow in `RHM`."""
        if not isinstance(value, str):
            return value
        try:
            numbers = tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not an integer, nor integers separated by commas", param, ctx)
        return numbers[0] if len(numbers) == 1 else numbers


def _ensemble_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --v --m --s --L --n --zipf, and hand the command the ensemble as ``rhm``."""

    def with_ensemble(
        v: Any, m: Any, s: Any, levels: int, n: int | None, exponent: float | None, **rest: Any
    ) -> None:
        rhm = RHM(v=v, m=m, s=s, L=levels, n=n)
        if exponent is not None:
            weights = tuple(zipf(rhm.rules(level), exponent) for level in range(1, rhm.L + 1))
            rhm = replace(rhm, rule_probabilities=weights)
        command(rhm=rhm, **rest)

    with_ensemble.__doc__ = command.__doc__
    with_ensemble.__name__ = command.__name__
    with_ensemble.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in (
        click.option("--zipf", "exponent", type=float, help="Rule probabilities ~ r**-(1 + this)."),
        click.option("--n", type=int, help="Root symbols (classes); by default v."),
        click.option("--L", "levels", type=int, required=True, help="Levels of rules."),
        click.option("--s", type=_PerLevel(), required=True, help="Children per rule."),
        click.option("--m", type=_PerLevel(), required=True, help="Production rules per symbol."),
        click.option("--v", type=_PerLevel(), required=True, help="Symbols per level."),
    ):
        option(with_ensemble)
    return with_ensemble


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
_plot_option = click.option("--plot", type=click.Path(dir_okay=False), help="Write a figure (png, pdf, svg).")
_seed_option = click.option("--seed", type=int, default=0, show_default=True, help="Seed of the grammar.")


@click.group(context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="rhmtheory")
def cli() -> None:
    """How much data a network needs to learn a hierarchical language (the Random Hierarchy Model)."""


@cli.command("predict")
@_json_option
@_plot_option
@click.option(
    "--architecture", "architectures", multiple=True, help=f"One of {', '.join(ARCHITECTURES)}; may be repeated."
)
@click.option("--plateaus", help="Method for the plateaus H_k: chain (default), annealed or quenched.")
@click.option("--method", default="asymptotic", show_default=True, help="P_k in figure and JSON: or exact.")
@_ensemble_options
def predict_command(
    rhm: RHM, architectures: tuple[str, ...], plateaus: str | None, method: str, plot: str | None, as_json: bool
) -> None:
    """Sample complexities, plateaus and exponents of the learning curves."""
    names = architectures or ARCHITECTURES
    given: Any = plateaus
    if plateaus == "quenched":
        from rhmtheory.ensemble.quenched import quenched_plateaus

        given = quenched_plateaus(rhm).mean
    predictions = [predict(rhm, name, given, method=method) for name in names]
    if plot:
        from rhmtheory.plotting import plot_predictions

        _save_figure(plot, lambda ax: plot_predictions(predictions, ax))
    if as_json:
        _print_json([p.to_dict() for p in predictions])
        return
    H = predictions[0].plateaus
    both = [(predict(rhm, name, H), predict(rhm, name, H, method="exact")) for name in names]
    steps = _table(
        f"{rhm}: samples P_k at which step k is made (published formula / exact at this size), "
        "and loss (nats) before and after",
        ["step k", *(f"P_k {name}" for name in names), "H_k", "H_(k+1)"],
    )
    for k in range(rhm.L):
        P_k = [f"{p.sample_complexity[k]:.4g} / {exact.sample_complexity[k]:.4g}" for p, exact in both]
        steps.add_row(str(k), *P_k, f"{H[k]:.4f}", f"{H[k + 1]:.4f}")
    exponents = _table(
        "excess loss ~ P**-exponent: for large v and many levels, and fitted to the staircases above",
        ["architecture", "step factor", "exponent", "finite-size, published P_k", "finite-size, exact P_k"],
    )
    for p, exact in both:
        exponents.add_row(
            p.architecture, f"{p.step_factor:.4g}", f"{p.exponent:.4f}",
            f"{p.finite_size_exponent:.4f}", f"{exact.finite_size_exponent:.4f}",
        )  # fmt: skip
    _print_tables(steps, exponents)


@cli.command("correlations")
@_json_option
@_plot_option
@_seed_option
@click.option("--grammars", type=int, help="Compare with the average over this many drawn grammars.")
@_ensemble_options
def correlations_command(rhm: RHM, seed: int, grammars: int | None, plot: str | None, as_json: bool) -> None:
    """RMS covariance of two tokens by level of their lowest common ancestor (LCA).

    Over all pairs of tokens with that LCA, all entries and all grammars: exact at finite size, and for large v.
    With --grammars, beside the mean square measured on drawn grammars.
    """
    rows = []
    for level in range(1, rhm.L + 1):
        exact, asymptotic = (rhm.rms_correlation(level, method=name) for name in ("exact", "asymptotic"))
        ratio = (exact / asymptotic) ** 2 if asymptotic else float("nan")
        rows.append({"level": level, "exact": exact, "asymptotic": asymptotic, "mean_square_ratio": ratio})
    if grammars is not None:
        from rhmtheory.ensemble.quenched import quenched_correlations

        measured = quenched_correlations(rhm, grammars, seed, progress=not as_json)
        for row, mean, error in zip(rows, measured.mean, measured.standard_error, strict=True):
            row |= {"measured_mean_square": mean, "standard_error": error}
    if plot:
        from rhmtheory.plotting import plot_correlations

        _save_figure(plot, lambda ax: plot_correlations(rhm.grammar(seed), ax))
    if as_json:
        _print_json(plain({"rms_correlation": rows, "grammars": grammars, "seed": seed}))
        return
    columns = ["LCA level", "exact", "asymptotic", "ratio of squares"]
    if grammars is not None:
        columns += [f"mean square over {grammars} grammars", "exact mean square", "z"]
    table = _table(f"{rhm}: RMS token-token covariance", columns)
    for row in rows:
        cells = [
            str(row["level"]),
            f"{row['exact']:.5e}",
            f"{row['asymptotic']:.5e}",
            f"{row['mean_square_ratio']:.4f}",
        ]
        if grammars is not None:
            mean, error, square = row["measured_mean_square"], row["standard_error"], row["exact"] ** 2
            z = (mean - square) / error if error else float("nan")
            cells += [f"{mean:.5e} +- {error:.1e}", f"{square:.5e}", f"{z:+.1f}"]
        table.add_row(*cells)
    _print_tables(table)


@cli.command("plateaus")
@_json_option
@_plot_option
@_seed_option
@click.option("--grammars", type=int, help="Add mean, error and spread over this many drawn grammars.")
@_ensemble_options
def plateaus_command(rhm: RHM, seed: int, grammars: int | None, plot: str | None, as_json: bool) -> None:
    """Entropy of the last token given the s**k - 1 tokens before it."""
    grammar = rhm.grammar(seed)
    columns = {"grammar": grammar.plateaus()}
    if rhm.rule_probabilities is None:
        columns["chain"] = rhm.plateaus("chain")
    columns["annealed"] = rhm.plateaus("annealed")
    if grammars is not None:
        from rhmtheory.ensemble.quenched import quenched_plateaus

        measured = quenched_plateaus(rhm, grammars, seed, progress=not as_json)
        columns |= {"quenched": measured.mean, "standard error": measured.standard_error, "spread": measured.spread}
    if plot:
        from rhmtheory.plotting import plot_plateau_methods

        curves = {name: H for name, H in columns.items() if name not in ("standard error", "spread")}
        _save_figure(plot, lambda ax: plot_plateau_methods(curves, rhm, ax))
    if as_json:
        _print_json(plain({"plateaus": columns, "grammar": {"seed": seed, "fingerprint": grammar.fingerprint}}))
        return
    heads = {"grammar": f"grammar {seed} (exact)", "quenched": f"mean of {grammars} grammars"}
    table = _table(
        f"{rhm}: loss plateaus H_k in nats", ["k", "context (tokens)", *(heads.get(c, c) for c in columns)]
    )
    for k in range(rhm.L + 1):
        table.add_row(str(k), str(rhm.span(k) - 1), *(f"{H[k]:.6f}" for H in columns.values()))
    _print_tables(table)


@cli.command("sample")
@_json_option
@_plot_option
@_seed_option
@click.option("--sample-seed", type=int, default=0, show_default=True, help="Seed of the sentences.")
@click.option("--count", type=int, default=10, show_default=True, help="Number of sentences.")
@click.option("--trees", is_flag=True, help="Print the hidden symbols of all levels, too.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the tokens to a .npy file instead.")
@_ensemble_options
def sample_command(
    rhm: RHM, seed: int, sample_seed: int, count: int, trees: bool, out: str | None, plot: str | None, as_json: bool
) -> None:
    """Draw sentences, one a line; --plot draws the tree of the first."""
    grammar = rhm.grammar(seed)
    levels = grammar.sample(count, sample_seed, trees=True) if trees or plot else None
    tokens = grammar.sample(count, sample_seed) if levels is None else levels[0]
    if plot:
        from rhmtheory.plotting import plot_tree

        if count < 1:
            raise InputError("count=0 sentences leave no tree to plot: draw at least 1")
        _save_figure(plot, lambda ax: plot_tree(grammar, [level[0] for level in levels or []], ax))
    if out:
        import numpy as np

        with open(out, "wb") as file:
            np.save(file, tokens)
        if not as_json:
            click.echo(f"{count} sentences of {rhm.d} tokens written to {out}")
            return
    if as_json:
        content: dict[str, Any] = {"file": out} if out else {"tokens": tokens.tolist()}
        if trees and levels:
            content["levels"] = [level.tolist() for level in levels]
        _print_json({**content, "grammar": {"seed": seed, "fingerprint": grammar.fingerprint}})
        return
    for i in range(count):
        # with trees: root first, tokens last, levels apart by bars
        row = [levels[level][i] for level in range(rhm.L, -1, -1)] if trees and levels else [tokens[i]]
        click.echo(" | ".join(" ".join(map(str, symbols)) for symbols in row))


@cli.command("learn")
@_json_option
@_plot_option
@click.option("--sharing/--no-sharing", default=None, help="Reuse groups at all positions or not; both by default.")
@click.option("--levels", "hidden", type=int, help="Highest hidden level; by default L - 1.")
@click.option("--grammars", type=int, default=4, show_default=True, help="Grammars, with seeds 0, 1, ..")
@click.option("--threshold", type=float, default=0.5, show_default=True, help="Pair-F1 that counts as learnt.")
@click.option("--tolerance", type=float, default=0.05, show_default=True, help="Relative width to bisect to.")
@click.option("--most", type=int, default=1 << 22, show_default=True, help="Samples at which to give up.")
@click.option("--criterion", default="symbols", show_default=True, help="Judge symbols, or tuples (first step).")
@click.option("--profile", default="covariance", show_default=True, help="covariance or hellinger.")
@click.option("--record", type=click.Path(dir_okay=False), help="JSON lines to append to and to resume from.")
@_ensemble_options
def learn_command(
    rhm: RHM, sharing: bool | None, hidden: int | None, plot: str | None, as_json: bool, **options: Any
) -> None:
    """Measure sample complexities with the clustering learner, against theory."""
    from rhmtheory.measured.thresholds import measure_sample_complexity, plot_measurements

    modes = (True, False) if sharing is None else (sharing,)
    results = [measure_sample_complexity(rhm, sharing=mode, levels=hidden, **options) for mode in modes]
    if plot:
        _save_figure(plot, lambda ax: plot_measurements(results, ax))
    if as_json:
        _print_json([result.to_dict() for result in results])
        return
    for result in results:
        click.echo(str(result))


@cli.command("corpus")
@_json_option
@_plot_option
@click.option("--bytes", "as_bytes", is_flag=True, help="Read bytes instead of characters.")
@click.option("--top", type=int, default=256, show_default=True, help="Symbols told apart; rarer ones are merged.")
@click.option("--largest-lag", type=int, default=1000, show_default=True, help="Lags are measured up to this.")
@click.option("--window", type=(int, int), help="Smallest and largest lag to fit; by default all resolved.")
@click.option("--floor", type=float, default=0.0, show_default=True, help="Entropy rate in nats, if known.")
@click.option("--segments", type=int, default=16, show_default=True, help="Segments of the block bootstrap.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the block bootstrap.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
def corpus_command(file: str, as_bytes: bool, plot: str | None, as_json: bool, **options: Any) -> None:
    """Predict the exponent of the loss against data for a text FILE, or a .npy file of token ids."""
    from rhmtheory.measured.corpus import analyse_corpus

    result = analyse_corpus(file, "bytes" if as_bytes else "characters", **options)
    if plot:
        _write_figure(plot, result.plot()[0].figure)
    if as_json:
        _print_json(result.to_dict())
        return
    click.echo(str(result))


@cli.command("compare")
@_json_option
@_plot_option
@click.option("--preset", default="quick", show_default=True, help="Name of a preset, or a TOML file.")
@click.option("--out", type=click.Path(file_okay=False), help="Results folder; by default results/PRESET.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, ...")
@click.option("--workers", type=int, help="Processes on the CPU; by default as many as cores.")
@click.option("--shard", default="1/1", show_default=True, help="Train part i of n only, for array jobs.")
@click.option("--only", default="", help="Train only the sweeps whose title has this text, such as 'cnn' or 'm=3'.")
@click.option("--scheduler", help="Train on the Dask cluster at this address.")
@click.option("--dry-run", is_flag=True, help="List programs, memory and time; train nothing.")
def compare_command(
    preset: str,
    out: str | None,
    device: str,
    workers: int | None,
    shard: str,
    scheduler: str | None,
    only: str,
    dry_run: bool,
    plot: str | None,
    as_json: bool,
) -> None:
    """Train networks and set them against the theory. Interrupted, it goes on where it stopped."""
    validation = _validation()
    if dry_run:
        _print_plan(validation("plan").dry_run(preset, device, shard=shard, workers=workers), as_json)
        return
    report = validation("main_job").run(
        preset, out, device,
        shard=shard, scheduler=scheduler, workers=workers, only=only,
    )  # fmt: skip
    _print_report(report, plot, as_json)
    if not as_json:
        click.echo(f"runs, comparison and figures are in {report.folder}")


@cli.command("report")
@_json_option
@_plot_option
@click.option("--write", is_flag=True, help="Write comparison.json and the figures into the folder anew.")
@click.argument("folder", type=click.Path(file_okay=False))
def report_command(folder: str, write: bool, plot: str | None, as_json: bool) -> None:
    """Compare the runs in FOLDER (of `compare`, or .pt files of the published code) with the theory."""
    report = _validation()("main_job").report(folder)
    if write:
        report.write()
    _print_report(report, plot, as_json)


def _validation() -> Callable[[str], Any]:
    """Return an importer of the modules that need torch, after a look that they can be imported."""
    from importlib import import_module

    try:
        import_module("torch")
        import_module("rhmvalidation")
    except ModuleNotFoundError as error:
        raise InputError(
            f"networks need {error.name}, which is missing: pip install 'rhmtheory[validation]'"
        ) from None
    return lambda name: import_module(f"rhmvalidation.{name}")


def _print_report(report: Any, plot: str | None, as_json: bool) -> None:
    if plot:
        _write_figure(plot, report.figures()["comparison"])
    if as_json:
        _print_json(report.to_dict())
        return
    _print_tables(*(_comparison_table(c) for c in report.comparisons))


def _print_plan(plan: Any, as_json: bool) -> None:
    if as_json:
        _print_json({"programs": plan.programs, "seconds": plan.seconds})
        return
    columns = ["network", "ensemble", "P", "replicas", "steps", "memory (MiB)", "time (s)"]
    table = _table("programs, the longest first", columns)
    for program in plan.programs:
        values = {**program, "P": ", ".join(map(str, program["P"]))}
        table.add_row(*(str(value) for value in values.values()))
    _print_tables(table)
    click.echo(f"{len(plan.programs)} programs, about {plan.seconds / 60:.1f} minutes here if none stops early")


def _comparison_table(comparison: Any) -> Table:
    """One row a network: predictions as published formula / exact at this size, measurement, verdict on each."""
    table = _table(
        f"{comparison.rhm}, a language of {comparison.rhm.sentences:.3g} sentences: theory against experiment "
        "(predictions: published formula / exact at this size)",
        [
            "network", "steps", "step factor", "measured [95%]", "exponent, many levels", "exponent, these steps",
            "measured [95%]", "collapse", "verdict",
        ],
    )  # fmt: skip
    for m in comparison.measurements:
        diverged = f" ({m.curves.diverged} runs diverged)" if m.curves.diverged else ""
        table.add_row(
            m.curves.network, ", ".join(map(str, m.steps)) or "none",
            f"{m.predicted_step_factor:.3g} / {m.exact_step_factor:.3g}", _interval(m.step_factor),
            f"{m.prediction.exponent:.3g}", f"{m.predicted_exponent:.3g} / {m.exact_exponent:.3g}",
            _interval(m.exponent), f"{m.collapse:.2g}", f"{m.verdict} / {m.exact_verdict}{diverged}",
        )  # fmt: skip
    if comparison.ratio is not None:
        table.add_row(
            "CNN : transformer", "shared", "", "", "2",
            f"{comparison.predicted_ratio:.3g} / {comparison.exact_ratio:.3g}", _interval(comparison.ratio), "",
            f"{comparison.ratio_verdict} / {comparison.exact_ratio_verdict}",
        )  # fmt: skip
    return table


def _interval(fit: Any) -> str:
    return f"{fit.best:.3g} [{fit.low:.3g}, {fit.high:.3g}]"


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _print_tables(*tables: Table) -> None:
    # a pipe has no width of its own: do not wrap there
    console = Console(width=None if sys.stdout.isatty() else 180)
    for table in tables:
        console.print(table)


def _print_json(content: Any) -> None:
    click.echo(json.dumps(content, indent=1, allow_nan=False))


def _save_figure(path: str, draw: Callable[[Axes], object]) -> None:
    from rhmtheory.plotting import new_figure

    figure, axes = new_figure()
    draw(axes[0])
    _write_figure(path, figure)


def _write_figure(path: str, figure: Any) -> None:
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:  # the ending of the file names no format
        raise InputError(f"cannot write the figure {path}: {error}") from error
    click.echo(f"figure written to {path}", err=True)


if __name__ == "__main__":
    sys.exit(main())
