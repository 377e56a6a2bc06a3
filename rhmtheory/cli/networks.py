"""Commands on trained networks: compare, report."""

from __future__ import annotations

from collections.abc import Callable
from math import log10
from typing import Any

import click
from rich.table import Table

from rhmtheory import InputError
from rhmtheory.cli.options import Command, json_option, plot_option
from rhmtheory.cli.output import new_table, print_json, print_tables, write_figure


@click.command("compare", cls=Command)
@json_option
@plot_option
@click.option("--preset", default="quick", show_default=True, help="Name of a preset, or a TOML file.")
@click.option("--out", type=click.Path(file_okay=False), help="Results folder; by default results/PRESET.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, ...")
@click.option("--workers", type=int, help="Processes on the CPU; by default as many as cores.")
@click.option("--shard", default="1/1", show_default=True, help="Train part i of n only, for array jobs.")
@click.option("--scheduler", help="Train on the Dask cluster at this address.")
@click.option("--only", default="", help="Train only the sweeps whose title has this text, such as 'cnn' or 'm=3'.")
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


@click.command("report", cls=Command)
@json_option
@plot_option
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
        write_figure(plot, report.figures()["comparison"])
    if as_json:
        print_json(report.to_dict())
        return
    print_tables(*(_comparison_table(c) for c in report.comparisons), width=180)


def _print_plan(plan: Any, as_json: bool) -> None:
    if as_json:
        print_json({"programs": plan.programs, "seconds": plan.seconds})
        return
    columns = ["network", "ensemble", "P", "replicas", "steps", "memory (MiB)", "time (s)"]
    table = new_table("programs, the longest first", columns)
    for program in plan.programs:
        values = {**program, "P": ", ".join(map(str, program["P"]))}
        table.add_row(*(str(value) for value in values.values()))
    print_tables(table, width=180)
    click.echo(f"{len(plan.programs)} programs, about {plan.seconds / 60:.1f} minutes here if none stops early")


def _about(count: int) -> str:
    """A count for people, also one that is no float."""
    return f"{count:.3g}" if count < 10**300 else f"10**{count.bit_length() * log10(2):.0f}"


def _comparison_table(comparison: Any) -> Table:
    """One row a network: predictions as published formula / exact at this size, measurement, verdict on each."""
    table = new_table(
        f"{comparison.rhm}, a language of {_about(comparison.rhm.n_sentences)} sentences: theory against "
        "experiment (predictions: published formula / exact at this size)",
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
