"""The main job from preset to verdict: train what is missing, compare, write tables, comparison and figures."""

from __future__ import annotations

import datetime
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rhmtheory import InputError
from rhmtheory._support.provenance import provenance
from rhmtheory.plotting import new_figure, plot_collapse, plot_comparison, plot_context
from rhmvalidation.compare import Comparison, compare, learning_curves, step_curves
from rhmvalidation.preset import Preset, load_preset
from rhmvalidation.published import published_curves
from rhmvalidation.results import ResultFolder, all_runs, read_json, write_atomically, write_tables
from rhmvalidation.sweep import Shard, cost, execute, groups, pick_device
from rhmvalidation.training import Outcome, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Report:
    """What the finished runs of a folder say."""

    folder: Path
    finished: list[tuple[Run, Outcome]]
    comparisons: list[Comparison]
    provenance: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        return {
            "provenance": self.provenance,
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
        }

    def figures(self) -> dict[str, Figure]:
        """By name: ``comparison`` (curves over predictions), ``collapse``, and ``context`` where it was probed."""
        out = {"comparison": self._panels(_draw_comparison), "collapse": self._panels(_draw_collapse)}
        if any(m.curves.divergence is not None for c in self.comparisons for m in c.measurements):
            out["context"] = self._panels(_draw_context)
        return out

    def _panels(self, draw: Any) -> Figure:
        figure, axes = new_figure(columns=len(self.comparisons), width=7.2, height=5.2)
        for ax, comparison in zip(axes, self.comparisons, strict=True):
            draw(comparison, ax)
        return figure

    def write(self) -> None:
        """Write tables of the runs, ``comparison.json`` and the figures into the folder."""
        if self.finished:
            write_tables(self.folder, self.finished)
        write_atomically(self.folder / "comparison.json", json.dumps(self.to_dict(), indent=1, allow_nan=False))
        for name, figure in self.figures().items():
            figure.savefig(self.folder / f"{name}.png", dpi=150)


def _draw_comparison(comparison: Comparison, ax: Any) -> None:
    curves = [(m.prediction, m.curves.network, m.curves.P, m.curves.loss) for m in comparison.measurements]
    plot_comparison(comparison.rhm, curves, ax)


def _draw_collapse(comparison: Comparison, ax: Any) -> None:
    curves = [(m.curves.network, step_curves(m.curves, m.prediction, m.steps)) for m in comparison.measurements]
    plot_collapse(comparison.rhm, curves, ax)


def _draw_context(comparison: Comparison, ax: Any) -> None:
    probed = [(m.curves.network, m.curves.P, m.curves.divergence) for m in comparison.measurements]
    plot_context(comparison.rhm, [(n, P, D) for n, P, D in probed if D is not None], ax)


def run(
    name: str | PathLike[str],
    folder: str | PathLike[str] | None = None,
    device: str = "auto",
    *,
    shard: str = "1/1",
    scheduler: str | None = None,
    workers: int | None = None,
    only: str = "",
    progress: bool = True,
) -> Report:
    """Train the missing runs of a preset, compare them with theory, and write all of it into a folder.

    ``runs.csv`` holds one row a run, ``runs.jsonl`` their curves, too, ``comparison.json`` numbers and provenance,
    ``comparison.png`` the main figure. The folder is ``results/NAME`` by default. ``only`` trains the sweeps whose
    title has this text, one part of a long study; the report is on all that is there.
    """
    preset = load_preset(name)
    path = Path("results") / preset.name if folder is None else Path(folder)
    part = Shard.parse(shard)
    wanted = preset.only(only)
    programs = groups(wanted, part)
    if not programs:
        raise InputError(
            f"shard {shard} is empty: the preset has {len(groups(wanted))} programs, use at most as many shards"
        )
    if scheduler is None:
        device = str(pick_device(device))
    results = ResultFolder(path, preset)
    all_there = not any(results.load(one) is None for runs in programs for one in runs)
    try:
        with _Display(wanted, device, results, part, shown=progress) as display:
            execute(
                programs, results, device,
                scheduler=scheduler, workers=workers, on_done=display.done, on_step=display.step,
            )  # fmt: skip
    except KeyboardInterrupt:
        kept = results.finished(preset.runs())
        write_tables(path, kept)
        print(
            f"{len(kept)} of {len(preset.runs())} runs are kept in {path}: the same command goes on from there",
            file=sys.stderr,
        )
        raise
    finished = results.finished(preset.runs())
    made_by = _recorded_provenance(path) if all_there else {}
    out = Report(path, finished, compare(learning_curves(finished)), made_by or _provenance(device))
    out.write()
    return out


def report(folder: str | PathLike[str]) -> Report:
    """Compare the runs that a folder holds, whether all are finished or not; nothing is trained.

    A folder of ``.pt`` files is read as runs of the published training code: see `published`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no results folder: make one with 'rhmtheory compare --out {folder}'")
    files = sorted(folder.glob("*.pt"))
    if files:
        return Report(folder, [], compare(published_curves(files)), {"files": [file.name for file in files]})
    finished = all_runs(folder)
    return Report(folder, finished, compare(learning_curves(finished)), _recorded_provenance(folder))


def _recorded_provenance(folder: Path) -> dict[str, Any]:
    """Where the results of a folder come from, as noted when they were made; empty if they were not."""
    stamp = folder / "comparison.json"
    made_by: dict[str, Any] = read_json(stamp).get("provenance", {}) if stamp.exists() else {}
    return made_by


def _provenance(device: str) -> dict[str, Any]:
    # with a scheduler the device is that of its workers
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") and torch.cuda.is_available() else device
    return provenance(("rhmtheory", "numpy", "numba", "torch")) | {"device": name}


class _Display:
    """A live table: one bar a sweep, and the time left, by the cost of what is done and what is not."""

    def __init__(self, preset: Preset, device: str, results: ResultFolder, shard: Shard, *, shown: bool) -> None:
        self._console = Console(stderr=True, quiet=not shown)
        self._left = {run.key for runs in groups(preset, shard) for run in runs}
        self._cost = {run.key: cost([run]) for run in preset.runs()}
        self._total = sum(self._cost[key] for key in self._left)
        self._trained = 0.0  # cost of what this call trained; what it found done says nothing of speed
        self._found = {run.key for run, _ in results.finished(preset.runs())}
        self._under_way: dict[str, float] = {}
        self._start = time.perf_counter()
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._progress = Progress(
            *columns,
            TextColumn("{task.fields[left]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._bars = {}
        for sweep in preset.sweeps:
            mine = {run.key for run in sweep.runs()} & self._left
            self._bars.update(dict.fromkeys(mine, self._progress.add_task(sweep.title, total=len(mine), left="")))
        self._all = self._progress.add_task(f"{preset.name} on {device}", total=len(self._left), left="")

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def done(self, runs: Sequence[Run]) -> None:
        """These runs are finished."""
        for run in runs:
            self._left.discard(run.key)
            self._under_way.pop(run.key, None)
            if run.key not in self._found:
                self._trained += self._cost[run.key]
            self._progress.advance(self._bars[run.key])
            self._progress.advance(self._all)
        self._show_time_left()
        if not self._console.is_terminal and runs[0].key not in self._found:
            self._console.print(
                f"{runs[0].network}, P = {', '.join(map(str, sorted({run.P for run in runs})))}: "
                f"{len(runs)} runs finished, {len(self._left)} to go{self._time_left()}"
            )

    def step(self, runs: Sequence[Run], step: int) -> None:
        """These runs, in this process, have made so many steps."""
        for run in runs:
            self._under_way[run.key] = self._cost[run.key] * step / run.steps
        self._show_time_left()

    def _show_time_left(self) -> None:
        self._progress.update(self._all, left=self._time_left())

    def _time_left(self) -> str:
        under_way = sum(self._under_way.values())
        trained = self._trained + under_way
        if not trained or not self._left:
            return ""
        left = sum(self._cost[key] for key in self._left) - under_way
        seconds = (time.perf_counter() - self._start) * left / trained
        return f", about {datetime.timedelta(seconds=round(seconds))} left"
