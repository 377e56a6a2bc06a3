"""The main job from preset to verdict: train what is missing, compare, write table, comparison and figure."""

from __future__ import annotations

import datetime
import json
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rhmtheory import InputError
from rhmtheory.plotting import new_figure, plot_comparison
from rhmvalidation.compare import Comparison, compare
from rhmvalidation.sweep import (
    Preset,
    ResultFolder,
    Sweep,
    execute,
    load_preset,
    pick_device,
    write_atomically,
)
from rhmvalidation.training import multiplications

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Report:
    """What one call of `run` leaves in its folder."""

    preset: Preset
    folder: Path
    comparisons: list[Comparison]
    provenance: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        return {
            "preset": self.preset.name,
            "provenance": self.provenance,
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
        }

    def figure(self) -> Figure:
        """Learning curves over predictions, one panel an ensemble."""
        figure, axes = new_figure(columns=len(self.comparisons), width=7.2, height=5.2)
        for ax, comparison in zip(axes, self.comparisons, strict=True):
            curves = [(m.prediction, m.curves.P, m.curves.loss) for m in comparison.measurements]
            plot_comparison(comparison.rhm, curves, ax)
        return figure


def run(name: str, folder: Path | None, device: str, command: str) -> Report:
    """Train the missing runs of a preset, compare them with theory, and write all of it into a folder.

    ``runs.csv`` holds one row a run, ``comparison.json`` numbers and provenance, ``comparison.png`` the figure.
    """
    preset = load_preset(name)
    chosen = pick_device(device)
    path = folder or Path("results") / preset.name
    try:
        results = ResultFolder(path, preset)
    except OSError as error:
        raise InputError(f"cannot write to {path} ({error}): choose another folder with --out") from error
    try:
        _train_with_progress(preset, results, chosen)
    except KeyboardInterrupt:
        kept = sum(results.load(one) is not None for one in preset.runs())
        note = f"{kept} of {len(preset.runs())} runs are kept in {path}: the same command goes on from there"
        print(note, file=sys.stderr)
        raise
    results.write_table(preset.runs())
    finished = [(one, results.load(one)) for one in preset.runs()]
    rows = [{**asdict(one), **asdict(outcome)} for one, outcome in finished if outcome is not None]
    report = Report(preset, path, compare(rows), _provenance(chosen, command))
    write_atomically(path / "comparison.json", json.dumps(report.to_dict(), indent=1, allow_nan=False))
    report.figure().savefig(path / "comparison.png", dpi=150)
    return report


def _train_with_progress(preset: Preset, results: ResultFolder, device: torch.device) -> None:
    """Show steps done and time left; runs that stop early make the estimate an upper bound."""
    console = Console(stderr=True)

    # a unit of progress is 10**9 multiplications, so that steps of all networks count by their cost
    def cost(sweep: Sweep) -> float:
        return multiplications(sweep.architecture, sweep.rhm, sweep.settings) / 1e9

    total = sum(cost(one) * one.settings.max_steps * one.grammars * len(one.sizes) for one in preset.sweeps)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(), TextColumn("at most"), TimeRemainingColumn(), TextColumn("left"),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(f"{preset.name} on {device}", total=total)
        shown: tuple[Any, ...] = ()

        def on_progress(sweep: Sweep, P: int, steps: int) -> None:
            nonlocal shown
            if (sweep, P) != shown:
                shown = sweep, P
                text = f"{sweep.architecture}, P = {P}, {sweep.grammars} grammars"
                progress.update(bar, description=text)
                if not console.is_terminal:
                    console.print(f"training {text}")
            progress.advance(bar, steps * cost(sweep))

        execute(preset, results, device, on_progress)


def _provenance(device: torch.device, command: str) -> dict[str, Any]:
    packages = ("rhmtheory", "numpy", "numba", "torch")
    hardware = platform.processor() or platform.machine()
    if device.type == "cuda":
        hardware = torch.cuda.get_device_name(device)
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "device": str(device),
        "hardware": hardware,
        "threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
