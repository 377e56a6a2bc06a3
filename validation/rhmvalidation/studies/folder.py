"""The folder that keeps what was measured: one atomically written file a finished run."""

from __future__ import annotations

import csv
import io
import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rhmtheory import RHM, InputError
from rhmtheory.support.files import remove_abandoned, write_atomically
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.studies.preset import Preset
from rhmvalidation.studies.runs import Run, curve_of
from rhmvalidation.training.outcome import Outcome
from rhmvalidation.training.settings import Settings

_CHECKPOINTS = "checkpoints"


class ResultFolder:
    """Finished runs of one preset. Nothing finished is ever lost, and folders of shards can be merged by copying.

    ``preset.json`` says whose results these are; ``runs/<hash>.json`` holds one run and its outcome, and
    ``runs.jsonl`` all of them in one file, which is what a recorded study keeps.
    """

    def __init__(self, path: str | os.PathLike[str], preset: Preset) -> None:
        """Open a folder, or make it; `InputError` for one of another preset, or one that cannot be written."""
        self.path = Path(path)
        self._runs = self.path / "runs"
        content = json.loads(json.dumps(asdict(preset)))
        stamp = self.path / "preset.json"
        try:
            self._runs.mkdir(parents=True, exist_ok=True)
            mine = _settings(content)
            known = _stamped(stamp) if stamp.exists() else mine
            shared = known.keys() & mine.keys()
            same = bool(shared) and all(known[name] == mine[name] for name in shared)
            if same:
                write_atomically(stamp, json.dumps(content, indent=1))
        except OSError as error:
            raise InputError(f"cannot write to {path} ({error}): choose another folder with --out") from error
        if not same:
            raise InputError(
                f"{self.path} holds results of another preset (or of {preset.name!r} with other settings): "
                "choose another folder with --out, or remove this one"
            )
        for folder in (self.path, self._runs, self.path / _CHECKPOINTS):
            remove_abandoned(folder)
        self._save_rest()
        self._recorded = {run.key: (run, outcome) for run, outcome in recorded_runs(self.path)}

    @property
    def checkpoint(self) -> Callable[[Sequence[Run]], Path]:
        """Tells where the unfinished training of some runs is kept; a worker process can be handed it."""
        return partial(_checkpoint, self.path / _CHECKPOINTS)

    def load(self, run: Run) -> Outcome | None:
        """The outcome of a run if it is finished; a file that cannot be read counts as not there."""
        file = self._runs / f"{run.key}.json"
        if not file.exists():
            return self._recorded[run.key][1] if run.key in self._recorded else None
        try:
            return parse_run(file.read_text(encoding="utf-8"), str(file))[1]
        except (InputError, UnicodeDecodeError) as error:
            warnings.warn(f"its run is trained again: {error}", stacklevel=2)
            return None

    def save(self, run: Run, outcome: Outcome) -> None:
        """Keep one finished run; raises `InputError` where the disk is full, with what to do."""
        try:
            write_atomically(self._runs / f"{run.key}.json", _as_json(run, outcome))
        except OSError as error:
            raise _no_room(self._runs, error) from error

    def save_program(self, runs: Sequence[Run], outcomes: Sequence[Outcome]) -> None:
        """Keep the runs that trained together, all of them or none, whenever the process stops.

        Replicas that trained again with fewer neighbours would differ in rounding. Raises as `save` does.
        """
        lines = [_as_json(*pair) + "\n" for pair in zip(runs, outcomes, strict=True)]
        journal = _checkpoint(self.path / _CHECKPOINTS, runs).with_suffix(".jsonl")
        try:
            write_atomically(journal, "".join(lines))
        except OSError as error:
            raise _no_room(journal.parent, error) from error
        for pair in zip(runs, outcomes, strict=True):
            self.save(*pair)
        journal.unlink(missing_ok=True)

    def _save_rest(self) -> None:
        """Keep the runs of programs that were finished when the process stopped."""
        for journal in sorted((self.path / _CHECKPOINTS).glob("*.jsonl")):
            try:
                found = _lines_of(journal)
            except FileNotFoundError:  # another process in this folder has just kept them
                continue
            for run, outcome in found:
                if not (self._runs / f"{run.key}.json").exists():
                    self.save(run, outcome)
            journal.unlink(missing_ok=True)

    def finished(self, runs: Sequence[Run]) -> list[tuple[Run, Outcome]]:
        """Those of the runs that are finished, with their outcomes."""
        found = [(run, self.load(run)) for run in runs]
        return [(run, outcome) for run, outcome in found if outcome is not None]


def _no_room(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot write the result of a run to {folder} ({error}): make room, and give the same command again; the "
        "finished runs are kept"
    )


def _checkpoint(folder: Path, runs: Sequence[Run]) -> Path:
    folder.mkdir(exist_ok=True)
    return folder / f"{runs[0].key}-{len(runs)}.pt"


def write_tables(folder: Path, finished: Sequence[tuple[Run, Outcome]]) -> None:
    """Write finished runs as ``runs.csv``, one row a run, and as ``runs.jsonl``, with their curves."""
    write_atomically(folder / "runs.jsonl", "".join(_as_json(*pair) + "\n" for pair in finished))
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
        rows.append({name: row[name] for name in row if name not in ("rhm", "settings", "curve", "divergence")})
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, fieldnames=list(rows[0]) if rows else ["key"])
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / "runs.csv", table.getvalue())


def _settings(content: dict[str, Any]) -> dict[str, Any]:
    """Settings by curve (see `curve_of`); other sizes, grammars or replicas leave runs what they are.

    What a stamp of earlier times does not say has its default.
    """
    found = {}
    for sweep in content["sweeps"]:
        settings = Settings(**sweep["settings"])
        network = NetworkSpec(**sweep["network"])
        curve = json.dumps(curve_of(sweep["rhm"], network.name, settings))
        found[curve] = settings, network
    return found


def _stamped(stamp: Path) -> dict[str, Any]:
    try:
        return _settings(read_json(stamp))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{stamp} is no preset of a results folder: choose another folder with --out, or remove the file "
            f"({type(error).__name__}: {error})"
        ) from error


def recorded_runs(folder: Path) -> list[tuple[Run, Outcome]]:
    """Runs of a recorded study, from its ``runs.jsonl``; empty where there is none."""
    path = folder / "runs.jsonl"
    return _lines_of(path) if path.exists() else []


def _lines_of(path: Path) -> list[tuple[Run, Outcome]]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [parse_run(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def all_runs(folder: Path) -> list[tuple[Run, Outcome]]:
    """Every finished run in a folder, recorded or fresh; damaged files are left out with a warning."""
    runs = {run.key: (run, outcome) for run, outcome in recorded_runs(folder)}
    for file in sorted((folder / "runs").glob("*.json")):
        try:
            run, outcome = parse_run(file.read_text(encoding="utf-8"), str(file))
        except OldFormatError:
            raise
        except (InputError, UnicodeDecodeError) as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
            continue
        runs[run.key] = run, outcome
    return list(runs.values())


class OldFormatError(InputError):
    """A run recorded by an earlier version, whose settings mean something else."""


def parse_run(text: str, source: str) -> tuple[Run, Outcome]:
    """Read one line of ``runs.jsonl``; ``source`` names it in messages."""
    try:
        content = json.loads(text)
        if "rhm" not in content["run"] and "v" in content["run"]:
            raise OldFormatError(
                f"{source} is of an older format (v, m, s, L in place of rhm), whose networks were scaled "
                "otherwise: train it anew into another folder with 'rhmtheory compare', or read it with the "
                "version of rhmtheory that comparison.json beside it names"
            )
        rhm, settings = RHM(**content["run"].pop("rhm")), Settings(**content["run"].pop("settings"))
        network = NetworkSpec(**content["run"].pop("network"))
        return Run(rhm, network, settings=settings, **content["run"]), Outcome(**content["outcome"])
    except OldFormatError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{source} is damaged: remove that line or file ({error})") from error


def read_json(path: Path) -> Any:
    """Read a JSON file; raises `InputError` where it is not one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, numbers of thousands of digits
        raise InputError(f"{path} is not valid JSON, it may be half-written: remove it ({error})") from error


def _as_json(run: Run, outcome: Outcome) -> str:
    return json.dumps({"run": asdict(run), "outcome": asdict(outcome)})
