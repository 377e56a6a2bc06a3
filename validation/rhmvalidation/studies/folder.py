"""The folder that keeps what was measured: one atomically written file per finished run."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rhmtheory import InputError
from rhmtheory.support.errors import ResourceError
from rhmtheory.support.files import remove_abandoned, write_atomically
from rhmvalidation.studies.preset import Preset
from rhmvalidation.studies.records import (
    Finished,
    OldFormatError,
    curve_name,
    preset_as_dict,
    read_json,
    read_run,
    read_runs,
    settings_by_curve,
    written,
)
from rhmvalidation.studies.runs import Run
from rhmvalidation.training.outcome import Outcome

_CHECKPOINTS, _RUNS, _ROWS, _STAMP = "checkpoints", "runs", "runs.jsonl", "preset.json"
_HISTORIES = ("rhm", "settings", "curve", "divergence", "errors")
"""Fields of a run that the table leaves out."""
_JOURNAL = re.compile(r"[0-9a-f]{16}-\d+\.jsonl")


class ResultFolder:
    """Finished runs of a study. Nothing finished is ever lost, and folders of shards can be merged by copying.

    ``preset.json`` says whose results these are; ``runs/<name>.json`` holds one run and its outcome, and
    ``runs.jsonl`` all of them in one file, which is what a recorded study keeps. What was read once is remembered.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Name a folder; nothing is read or written yet."""
        self.path = Path(path)
        self._runs, self._checkpoints = self.path / _RUNS, self.path / _CHECKPOINTS
        self._read: dict[str, Finished] = {}
        self._looked = False

    @classmethod
    def open(cls, path: str | os.PathLike[str], preset: Preset) -> ResultFolder:
        """Make a folder ready for the runs of a preset, whose name it then bears.

        Programs that were finished when a process stopped are kept, and half-written files of killed processes
        are removed.

        Raises
        ------
        InputError
            For a folder of another study, damaged records, and a folder that cannot be written.
        """
        folder = cls(path)
        stamp = folder._stamp_for(preset)
        try:
            folder._runs.mkdir(parents=True, exist_ok=True)
            write_atomically(folder.path / _STAMP, json.dumps(stamp, indent=1))
        except OSError as error:
            raise InputError(
                str(path), rule=f"cannot be written ({error})", way_out="choose another folder with `out`"
            ) from error
        for place in (folder.path, folder._runs, folder._checkpoints):
            remove_abandoned(place)
        folder._save_rest()
        return folder

    @property
    def checkpoint(self) -> Callable[[Sequence[Run]], Path]:
        """Tells where the unfinished training of some runs is kept; a worker process can be handed it."""
        return partial(_checkpoint, self._checkpoints)

    def load(self, run: Run) -> Outcome | None:
        """The outcome of a run if it is finished; a file that cannot be read counts as not there."""
        self._look_at_rows()
        if run.key not in self._read:
            file = self._runs / f"{run.key}.json"
            if not file.exists():
                return None
            try:
                self._read[run.key] = read_run(file)
            except InputError as error:
                warnings.warn(f"its run is trained again: {error}", stacklevel=2)
                return None
        return self._read[run.key][1]

    def finished(self, runs: Iterable[Run] = ()) -> list[Finished]:
        """All finished runs of the folder, those given first; damaged files are left out with a warning."""
        self._look_at_rows()
        for file in sorted(self._runs.glob("*.json")):
            if file.stem in self._read:
                continue
            try:
                run, outcome = read_run(file)
            except OldFormatError:
                raise
            except InputError as error:
                warnings.warn(f"left out: {error}", stacklevel=2)
                continue
            self._read[run.key] = run, outcome
        first = {run.key: self._read[run.key] for run in runs if run.key in self._read}
        return [*first.values(), *(pair for key, pair in self._read.items() if key not in first)]

    def save(self, run: Run, outcome: Outcome) -> None:
        """Keep one finished run; raises `ResourceError` where the disk is full, with what to do."""
        with with_room(self._runs):
            write_atomically(self._runs / f"{run.key}.json", written(run, outcome))
        self._read[run.key] = run, outcome

    def save_program(self, runs: Sequence[Run], outcomes: Sequence[Outcome]) -> None:
        """Keep the runs that trained together, all of them or none, whenever the process stops.

        Replicas that trained again with fewer neighbours would differ in rounding. Raises as `save` does.
        """
        lines = [written(*pair) + "\n" for pair in zip(runs, outcomes, strict=True)]
        journal = _checkpoint(self._checkpoints, runs).with_suffix(".jsonl")
        with with_room(journal.parent):
            write_atomically(journal, "".join(lines))
        for pair in zip(runs, outcomes, strict=True):
            self.save(*pair)
        journal.unlink(missing_ok=True)

    def write_tables(self, finished: Sequence[Finished]) -> None:
        """Write ``runs.csv``, one row per run, and ``runs.jsonl``, with their curves.

        Rows that stand there are superseded by the same run alone: those of other runs follow the ones given.

        Raises
        ------
        ResourceError
            Where the disk is full.
        """
        rows = {run.key: (run, outcome) for run, outcome in finished}
        rows |= {run.key: (run, outcome) for run, outcome in _rows(self.path) if run.key not in rows}
        lines = "".join(written(*pair) + "\n" for pair in rows.values())
        with with_room(self.path):
            write_atomically(self.path / _ROWS, lines)
            write_atomically(self.path / "runs.csv", _table(list(rows.values())))

    def check_holds_only(self, finished: Sequence[Finished]) -> None:
        """Raise `InputError` where the folder has runs that are not among these: it is that of another study."""
        others = {run.key for run, _ in self.finished()} - {run.key for run, _ in finished}
        stamp = self.path / _STAMP
        mine = {curve_name(run.rhm, run.network, run.settings) for run, _ in finished}
        if others or (stamp.exists() and not mine & settings_by_curve(read_json(stamp), str(stamp)).keys()):
            raise InputError(
                str(self.path),
                rule=f"holds {self._study()}, of which {len(others)} runs are not in this report",
                way_out="choose another folder with `out`, or report on that one, too",
            )

    def _look_at_rows(self) -> None:
        if not self._looked:
            # what this process has saved is newer
            self._read = {run.key: (run, outcome) for run, outcome in _rows(self.path)} | self._read
            self._looked = True

    def _stamp_for(self, preset: Preset) -> dict[str, Any]:
        """Content of ``preset.json``: this preset, and what stood there of other curves."""
        content, stamp = preset_as_dict(preset), self.path / _STAMP
        mine = settings_by_curve(content, preset.name)
        before = read_json(stamp) if stamp.exists() else {"sweeps": []}
        known = settings_by_curve(before, str(stamp))
        self._look_at_rows()
        if not known:
            known = {curve_name(x.rhm, x.network, x.settings): x.settings for x, _ in self._read.values()}
        shared = known.keys() & mine.keys()
        if known and (not shared or any(known[curve] != mine[curve] for curve in shared)):
            raise InputError(
                str(self.path),
                rule=f"holds results of another preset, {self._study()}, or {preset.name!r} had other settings",
                way_out="choose another folder with `out`, or remove this one",
            )
        others = [
            one for one in before["sweeps"] if not settings_by_curve({"sweeps": [one]}, "").keys() & mine.keys()
        ]
        return content | {"sweeps": content["sweeps"] + others}

    def _study(self) -> str:
        """The name of the study that a folder says it holds."""
        stamp = self.path / _STAMP
        content = read_json(stamp) if stamp.exists() else {}
        name = content.get("name") if isinstance(content, dict) else None
        return f"the study {name!r}" if isinstance(name, str) else "a study without preset.json"

    def _save_rest(self) -> None:
        """Keep the runs of programs that were finished when the process stopped."""
        for journal in sorted(self._checkpoints.glob("*.jsonl")):
            if not _JOURNAL.fullmatch(journal.name):  # not ours
                continue
            try:
                found = read_runs(journal)
            except FileNotFoundError:  # another process in this folder has just kept them
                continue
            for run, outcome in found:
                if not (self._runs / f"{run.key}.json").exists():
                    self.save(run, outcome)
            if found:
                journal.unlink(missing_ok=True)


@contextmanager
def with_room(folder: Path) -> Iterator[None]:
    """Write files of results; raises `ResourceError` where that fails, with what to do."""
    try:
        yield
    except OSError as error:
        raise ResourceError(
            f"results in {folder}",
            rule=f"cannot be written ({error})",
            way_out="make room, and give the same command again; the finished runs are kept",
        ) from error


def _checkpoint(folder: Path, runs: Sequence[Run]) -> Path:
    folder.mkdir(exist_ok=True)
    return folder / f"{runs[0].key}-{len(runs)}.pt"


def _rows(folder: Path) -> list[Finished]:
    """Runs of ``runs.jsonl``; empty where there is none."""
    path = folder / _ROWS
    return read_runs(path) if path.exists() else []


def _table(finished: Sequence[Finished]) -> str:
    rows = []
    for run, outcome in finished:
        network = {"network": run.network.name, "arguments": json.dumps(dict(run.network.arguments))}
        row = {
            **asdict(run.rhm),
            **asdict(run),
            **network,
            **asdict(outcome),
            **asdict(run.settings),
            "key": run.key,
        }
        rows.append({name: row[name] for name in row if name not in _HISTORIES})
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, fieldnames=list(rows[0]) if rows else ["key"])
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()
