"""Commands on trained networks: study, report, presets. They come to ``rhmtheory`` by an entry point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from rhmtheory import InputError
from rhmtheory.cli.options import Command, PerLevel, json_option, plot_option
from rhmtheory.cli.output import new_table, print_json, print_tables, write_figure

_PART = (
    click.option("--network", multiple=True, help="Only sweeps of this network; may be given several times."),
    click.option("--v", type=PerLevel(), help="Only sweeps with so many symbols."),
    click.option("--m", type=PerLevel(), help="Only sweeps with so many rules per symbol."),
    click.option("--s", type=PerLevel(), help="Only sweeps with so many children per rule."),
    click.option("--L", "levels", type=int, help="Only sweeps with so many levels."),
    click.option("--protocol", type=click.Choice(["online", "offline"]), help="Only sweeps by this protocol."),
    click.option("--batch", type=int, help="Only sweeps with this batch size."),
    click.option("--width", type=int, help="Only sweeps of networks of this width."),
)


def _part_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_PART):
        command = option(command)
    return command


@click.command("study", cls=Command, words={"threads": "--workers"})
@json_option
@plot_option
@click.argument("preset")
@click.option("--out", type=click.Path(file_okay=False), help="Results folder; by default results/PRESET.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, ...")
@click.option("--workers", type=int, help="Processes on the CPU; by default as many as cores.")
@click.option("--shard", default="1/1", show_default=True, help="Train part i of n only, for array jobs.")
@click.option("--scheduler", help="Train on the Dask cluster at this address.")
@_part_options
@click.option("--until-width", type=float, help="Add grammars until ln(high / low) of every factor is below this.")
@click.option("--most-grammars", type=int, default=64, show_default=True, help="But not more than these.")
@click.option("--dry-run", is_flag=True, help="List programs, memory and time; train nothing.")
def study_command(
    preset: str,
    out: str | None,
    dry_run: bool,
    plot: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Train the networks of PRESET and set them against the theory; interrupted, it goes on where it stopped.

    PRESET is one of those that `rhmtheory presets` lists, or a TOML file. Filters such as --network and --m train a
    part of it; the report is on all that the folder holds.

    Example: rhmtheory study quick --network cnn
    """
    part = {name: given.pop(name) for name in ("network", "v", "m", "s", "protocol", "batch", "width")}
    part["L"] = given.pop("levels")
    if dry_run and plot:
        raise click.UsageError("--dry-run trains nothing that --plot could draw: leave one of them out.")
    _check_torch()
    from rhmvalidation.studies.job import study
    from rhmvalidation.studies.plan import plan
    from rhmvalidation.studies.preset import load_preset

    loaded = load_preset(preset)
    if any(value not in (None, ()) for value in part.values()):
        loaded = loaded.select(**part)
    if dry_run:
        _print_plan(plan(loaded, given["device"], shard=given["shard"], workers=given["workers"]), as_json)
        return
    report = study(loaded, out, **given)
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
    """Compare the runs in FOLDERS (of `study`, or .pt files of the published code) with the theory.

    Several folders are reported on together: give online and offline runs of one ensemble for the figure of the
    two clocks, samples and time.

    Example: rhmtheory report results/quick
    """
    if ending and not out:
        raise click.UsageError(
            "--format is that of the figures that --out writes: give --out, too, or --plot FILE."
        )
    _check_torch()
    from rhmvalidation.studies.report import report

    found = report(*folders)
    if out:
        found.write(out, ending or "png")
    _print_report(found, plot, as_json)


@click.command("presets", cls=Command)
@json_option
def presets_command(as_json: bool) -> None:
    """List the presets that `study` takes.

    Example: rhmtheory presets
    """
    _check_torch()
    from rhmvalidation.studies.preset import load_preset, preset_names

    presets = [load_preset(name) for name in preset_names()]
    if as_json:
        print_json({one.name: {"summary": one.summary, "sweeps": len(one.sweeps)} for one in presets})
        return
    for one in presets:
        click.echo(f"{one.name:<16} {one.summary}")


def _check_torch() -> None:
    try:
        import torch as torch
    except ModuleNotFoundError as error:
        raise InputError(
            "networks", rule=f"need {error.name}, which is missing", way_out="pip install 'rhmtheory[validation]'"
        ) from None


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
