"""How far training is: a live table, or a line per program where there is no terminal, and the time left."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rhmvalidation.studies.execution import Shard, cost, groups
from rhmvalidation.studies.folder import ResultFolder
from rhmvalidation.studies.preset import Preset
from rhmvalidation.studies.runs import Run


class Display:
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

    def __enter__(self) -> Display:
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
                f"{runs[0].network.name}, P = {', '.join(map(str, sorted({run.P for run in runs})))}: "
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
