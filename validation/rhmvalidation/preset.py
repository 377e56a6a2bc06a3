"""Presets: named sets of sweeps, read from TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from importlib import resources
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from rhmtheory import RHM, InputError
from rhmtheory._support.checks import as_choice, as_int
from rhmvalidation.training import Run, Settings


@dataclass(frozen=True)
class Sweep:
    """One network on one ensemble: a ladder of training-set sizes (online: one long run) times some grammars."""

    rhm: RHM
    network: str
    grammars: int
    sizes: tuple[int, ...]
    settings: Settings
    replicas: int
    """Most runs that train together in one program."""

    def runs(self) -> list[Run]:
        """All runs. Grammar ``i`` has seed ``i`` in every sweep, so that networks meet the same grammars."""
        v, m, s = self.rhm.homogeneous()
        return [
            Run(v, m, s, self.rhm.L, self.network, P, seed, seed, self.settings)
            for P in self.sizes
            for seed in range(self.grammars)
        ]


@dataclass(frozen=True)
class Preset:
    """A named set of sweeps."""

    name: str
    summary: str
    sweeps: tuple[Sweep, ...]

    def runs(self) -> list[Run]:
        """The runs of all sweeps."""
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


def load_preset(name: str | PathLike[str]) -> Preset:
    """Read a preset by name, or from the path of a TOML file; raises `InputError` for what it cannot use."""
    name = fspath(name)
    if name.endswith(".toml"):
        try:
            text, source = Path(name).read_text(encoding="utf-8-sig"), name
        except UnicodeDecodeError as error:
            raise InputError(f"{name} is not UTF-8 text: save it as such ({error})") from error
    else:
        as_choice("preset", name, (*preset_names(), "FILE.toml"))
        text = (resources.files("rhmvalidation") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
        source = f"preset {name}"
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not valid TOML: {error}") from error
    table = _keys(source, table, {"summary", "sweep"})
    if not isinstance(table["sweep"], list) or not table["sweep"]:
        raise InputError(f"{source} must hold one or more tables headed [[sweep]], in double brackets")
    sweeps = tuple(_sweep(f"{source}, sweep {i}", entry) for i, entry in enumerate(table["sweep"], start=1))
    for i, one in enumerate(sweeps):
        for j, other in enumerate(sweeps[:i]):
            if (one.rhm, one.network) == (other.rhm, other.network):
                raise InputError(
                    f"{source}, sweeps {j + 1} and {i + 1} train the same network on the same ensemble: their runs "
                    "would be one curve; put them into presets of their own"
                )
    return Preset(Path(name).stem, table["summary"], sweeps)


def _sweep(where: str, table: Any) -> Sweep:
    table = _keys(where, table, {"ensemble", "network", "grammars", "samples", "training"}, {"replicas"})
    ensemble = _keys(f"{where}, ensemble", table["ensemble"], {"v", "m", "s", "L"})
    optional = {field.name for field in fields(Settings)} - {"width", "learning_rate"}
    training = _keys(f"{where}, training", table["training"], {"width", "learning_rate"}, optional)
    try:
        grammars = as_int("grammars", table["grammars"], low=1)
        rhm, settings = RHM(**ensemble), Settings(**training)
        if rhm.f == 1:
            raise InputError(f"{rhm} has f = 1: every sentence is grammatical, and there is nothing to learn")
        if settings.protocol == "online":  # one run sees all sizes
            samples = _keys("samples", table["samples"], {"highest"})
            sizes: tuple[int, ...] = (as_int("highest", samples["highest"], low=settings.batch_size),)
        else:
            samples = _keys("samples", table["samples"], {"lowest", "highest", "per_octave"})
            sizes = ladder(**samples)
        sweep = Sweep(
            rhm=rhm,
            network=table["network"],
            grammars=grammars,
            sizes=sizes,
            settings=settings,
            replicas=as_int("replicas", table.get("replicas", grammars), low=1),
        )
        sweep.runs()  # checks the name of the network
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return sweep


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
