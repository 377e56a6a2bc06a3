"""Commands on trained networks: compare, report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

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
@click.option("--until-width", type=float, help="Add grammars until ln(high / low) of every factor is below this.")
@click.option("--most-grammars", type=int, default=64, show_default=True, help="But not more than these.")
@click.option("--dry-run", is_flag=True, help="List programs, memory and time; train nothing.")
def compare_command(
    preset: str,
    out: str | None,
    device: str,
    workers: int | None,
    shard: str,
    scheduler: str | None,
    only: str,
    until_width: float | None,
    most_grammars: int,
    dry_run: bool,
    plot: str | None,
    as_json: bool,
) -> None:
    """Train networks and set them against the theory. Interrupted, it goes on where it stopped."""
    if dry_run and plot:
        raise click.UsageError("--dry-run trains nothing that --plot could draw: leave one of them out.")
    validation = _validation()
    if dry_run:
        plan = validation("plan").dry_run(preset, device, shard=shard, workers=workers, only=only)
        _print_plan(plan, as_json)
        return
    report = validation("job").run(
        preset, out, device,
        shard=shard, scheduler=scheduler, workers=workers, only=only, until_width=until_width,
        most_grammars=most_grammars,
    )  # fmt: skip
    _print_report(report, plot, as_json)
    if not as_json:
        click.echo(f"runs, comparison and figures are in {report.folder}")


@click.command("report", cls=Command)
@json_option
@plot_option
@click.option(
    "--out", type=click.Path(file_okay=False), help="Write runs.csv, comparison.json and all figures here."
)
@click.option(
    "--format", "ending", type=click.Choice(["png", "pdf", "svg"]), help="Of these figures.  [default: png]",
)  # fmt: skip
@click.argument("folders", nargs=-1, required=True, type=click.Path(file_okay=False))
def report_command(
    folders: tuple[str, ...], out: str | None, ending: str | None, plot: str | None, as_json: bool
) -> None:
    """Compare the runs in FOLDERS (of `compare`, or .pt files of the published code) with the theory.

    Several folders are reported on together: give online and offline runs of one ensemble for the figure of the
    two clocks, samples and time.
    """
    if ending and not out:
        raise click.UsageError(
            "--format is that of the figures that --out writes: give --out, too, or --plot FILE."
        )
    report = _validation()("report").report(*folders)
    if out:
        report.write(out, ending or "png")
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
    return lambda name: import_module(f"rhmvalidation.studies.{name}")


def _print_report(report: Any, plot: str | None, as_json: bool) -> None:
    if plot:
        write_figure(plot, report.figures()["comparison"])
    if as_json:
        print_json(report.to_dict())
        return
    click.echo(str(report))


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
