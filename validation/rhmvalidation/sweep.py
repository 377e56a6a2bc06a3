"""Many runs: presets, the folder that keeps finished runs, and the loop that trains what is missing."""

from __future__ import annotations

import csv
import json
import os
import tomllib
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from rhmtheory import RHM, InputError
from rhmtheory._checks import as_choice, as_int
from rhmtheory.predictions import ARCHITECTURES
from rhmvalidation.training import Outcome, Run, Settings, train


@dataclass(frozen=True)
class Sweep:
    """One architecture on one ensemble: a ladder of training-set sizes times some grammars."""

    rhm: RHM
    architecture: str
    grammars: int
    sizes: tuple[int, ...]
    settings: Settings

    def runs(self) -> list[Run]:
        """All runs, smallest training sets first. Grammar ``i`` has seed ``i`` in every sweep."""
        v, m, s = self.rhm.homogeneous()
        return [
            Run(v, m, s, self.rhm.L, self.architecture, P, seed, seed, self.settings)
            for P in self.sizes
            for seed in range(self.grammars)
        ]


@dataclass(frozen=True)
class Preset:
    """A named set of sweeps, read from a TOML file."""

    name: str
    summary: str
    sweeps: tuple[Sweep, ...]

    def runs(self) -> list[Run]:
        """The runs of all sweeps, in the order in which they are trained."""
        return [run for sweep in self.sweeps for run in sweep.runs()]


def ladder(lowest: int, highest: int, per_octave: int) -> tuple[int, ...]:
    """Training-set sizes from ``lowest`` to ``highest``, ``per_octave`` of them to each doubling."""
    lowest, per_octave = as_int("lowest", lowest, low=1), as_int("per_octave", per_octave, low=1)
    highest = as_int("highest", highest, low=lowest)
    rungs: list[int] = []
    while (P := round(lowest * 2 ** (len(rungs) / per_octave))) <= highest:
        rungs.append(P)
    return tuple(sorted(set(rungs)))


def preset_names() -> list[str]:
    """Names of the presets that come with the package."""
    folder = resources.files("rhmvalidation") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_preset(name: str) -> Preset:
    """Read a preset by name, or from the path of a TOML file; raises `InputError` for what it cannot use."""
    if name.endswith(".toml"):
        text, source = Path(name).read_text(encoding="utf-8"), name
    else:
        as_choice("preset", name, (*preset_names(), "FILE.toml"))
        text = (resources.files("rhmvalidation") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
        source = f"preset {name}"
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not valid TOML: {error}") from error
    table = _keys(source, table, {"summary", "sweep"})
    sweeps = tuple(_sweep(f"{source}, sweep {i}", entry) for i, entry in enumerate(table["sweep"], start=1))
    return Preset(Path(name).stem, table["summary"], sweeps)


def _sweep(where: str, table: dict[str, Any]) -> Sweep:
    table = _keys(where, table, {"ensemble", "architecture", "grammars", "samples", "training"})
    ensemble = _keys(f"{where}, ensemble", table["ensemble"], {"v", "m", "s", "L"})
    samples = _keys(f"{where}, samples", table["samples"], {"lowest", "highest", "per_octave"})
    optional = {field.name for field in fields(Settings)} - {"width", "learning_rate"}
    training = _keys(f"{where}, training", table["training"], {"width", "learning_rate"}, optional)
    return Sweep(
        rhm=RHM(**ensemble),
        architecture=as_choice("architecture", table["architecture"], ARCHITECTURES),
        grammars=as_int("grammars", table["grammars"], low=1),
        sizes=ladder(**samples),
        settings=Settings(**training),
    )


def _keys(where: str, table: Any, required: set[str], optional: Iterable[str] = ()) -> dict[str, Any]:
    """Check the keys of a TOML table: all of the required, none unknown."""
    if not isinstance(table, dict):
        raise InputError(f"{where} is {table!r}: it must be a table of {', '.join(sorted(required))}")
    unknown, missing = set(table) - required - set(optional), required - set(table)
    if unknown:
        known = ", ".join(sorted(required | set(optional)))
        raise InputError(f"{where} has the unknown key {min(unknown)!r}: known are {known}")
    if missing:
        raise InputError(f"{where} lacks the key {min(missing)!r}: add it")
    return table


class ResultFolder:
    """Finished runs of one preset, one atomically written file each, so that nothing finished is ever lost.

    ``preset.json`` says whose results these are; ``runs/<hash>.json`` holds one run and its outcome.
    """

    def __init__(self, path: str | os.PathLike[str], preset: Preset) -> None:
        self.path = Path(path)
        self._runs = self.path / "runs"
        self._runs.mkdir(parents=True, exist_ok=True)
        content = json.loads(json.dumps(asdict(preset)))
        stamp = self.path / "preset.json"
        if stamp.exists():
            if read_json(stamp) != content:
                raise InputError(
                    f"{self.path} holds results of another preset (or of {preset.name!r} with other settings): "
                    "choose another folder with --out, or remove this one"
                )
        else:
            write_atomically(stamp, json.dumps(content, indent=1))

    def load(self, run: Run) -> Outcome | None:
        """The outcome of a run if it is finished; a file that cannot be read counts as not there."""
        file = self._runs / f"{run.key}.json"
        if not file.exists():
            return None
        try:
            return Outcome(**read_json(file)["outcome"])
        except (InputError, KeyError, TypeError) as error:
            warnings.warn(f"{file} is damaged and its run is trained again ({error})", stacklevel=2)
            return None

    def save(self, run: Run, outcome: Outcome) -> None:
        """Keep one finished run."""
        content = {"run": asdict(run), "outcome": asdict(outcome)}
        write_atomically(self._runs / f"{run.key}.json", json.dumps(content))

    def write_table(self, runs: Iterable[Run]) -> Path:
        """Write all finished runs as ``runs.csv``, one row a run; returns its path."""
        rows = []
        for run in runs:
            outcome = self.load(run)
            if outcome is not None:
                settings = asdict(run.settings)
                row = {**asdict(run), **asdict(outcome), **settings, "key": run.key}
                rows.append({name: value for name, value in row.items() if name not in ("settings", "curve")})
        path = self.path / "runs.csv"
        temporary = path.with_suffix(".csv.part")
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["key"])
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, path)
        return path


def read_json(path: Path) -> Any:
    """Read a JSON file; raises `InputError` where it is not one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON, it may be half-written: remove it ({error})") from error


def write_atomically(path: Path, text: str) -> None:
    """Write a file that is either all there or not there."""
    temporary = path.with_suffix(path.suffix + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` is the GPU when there is one; else a torch device name."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device={name!r} cannot be used here: {str(error).splitlines()[0]}; try auto") from error
    return device


def execute(
    preset: Preset,
    folder: ResultFolder,
    device: torch.device,
    on_progress: Callable[[Sweep, int, int], None] = lambda sweep, P, steps: None,
) -> None:
    """Train every run of a preset that the folder does not have yet.

    The grammars of one training-set size train together as replicas. ``on_progress`` is told of the sweep, the
    size, and how many more of its ``grammars * max_steps`` steps are done (or need not be done).
    """
    for sweep in preset.sweeps:
        for P in sweep.sizes:
            group = [run for run in sweep.runs() if run.P == P]
            missing = [run for run in group if folder.load(run) is None]
            on_progress(sweep, P, sweep.settings.max_steps * (len(group) - len(missing)))
            if not missing:
                continue
            done = 0

            def on_step(step: int, sweep: Sweep = sweep, P: int = P, replicas: int = len(missing)) -> None:
                nonlocal done
                done = step
                on_progress(sweep, P, replicas)

            for run, outcome in zip(missing, train(missing, device, on_step), strict=True):
                folder.save(run, outcome)
            on_progress(sweep, P, (sweep.settings.max_steps - done) * len(missing))
