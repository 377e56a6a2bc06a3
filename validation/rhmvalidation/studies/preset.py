"""Presets: named sets of sweeps, read from TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from importlib import resources
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from rhmtheory import RHM, InputError
from rhmtheory.support.checks import as_choice, as_int
from rhmvalidation.networks.registry import custom_class
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.studies.runs import Run, curve_of
from rhmvalidation.training.settings import Settings

_LONGEST_SENTENCE, _MOST_RUNS = 1 << 20, 100_000


@dataclass(frozen=True)
class Sweep:
    """One network on one ensemble: a ladder of training-set sizes (online: one long run) times some grammars."""

    rhm: RHM
    network: NetworkSpec
    seeds: tuple[int, ...]
    """Of the grammars."""
    sizes: tuple[int, ...]
    settings: Settings
    replicas: int
    """Most runs that train together in one program; by default what the network's record says."""
    seed_rule: str = "ours"
    run_seeds: int = 1
    """Runs per grammar and size, which differ in initial weights and sentences."""
    learning_rates: tuple[float, ...] = ()
    """A scan: all runs at each of these instead of the settings' own."""

    @property
    def title(self) -> str:
        """Network, ensemble and protocol."""
        return f"{self.network.name} {self.rhm} {self.settings.protocol}"

    def runs(self) -> list[Run]:
        """All runs; the first of each grammar has the grammar's seed."""
        rates = self.learning_rates or (self.settings.learning_rate,)
        return [
            Run(
                self.rhm,
                self.network,
                P,
                seed,
                seed + i,
                replace(self.settings, learning_rate=rate),
                self.seed_rule,
            )
            for rate in rates
            for P in self.sizes
            for seed in self.seeds
            for i in range(self.run_seeds)
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

    def only(self, text: str) -> Preset:
        """The sweeps whose title has this text, as ``cnn RHM(v=16, m=4, s=2, L=3) online`` has ``m=4``."""
        sweeps = tuple(sweep for sweep in self.sweeps if text in sweep.title)
        if not sweeps:
            raise InputError(
                f"only={text!r} is in the title of no sweep: {', '.join(s.title for s in self.sweeps)}"
            )
        return replace(self, sweeps=sweeps)


def ladder(lowest: int, highest: int, per_octave: int) -> tuple[int, ...]:
    """Training-set sizes from ``lowest`` to ``highest``, ``per_octave`` of them to each doubling."""
    lowest, per_octave = as_int("lowest", lowest, low=1), as_int("per_octave", per_octave, low=1, high=1000)
    highest = as_int("highest", highest, low=lowest, high=1 << 62)
    rungs: list[int] = []
    while (P := round(lowest * 2 ** (len(rungs) / per_octave))) <= highest:
        rungs.append(P)
    return tuple(sorted(set(rungs)))


def preset_names() -> list[str]:
    """Names of the presets that come with the package."""
    folder = resources.files("rhmvalidation.studies") / "presets"
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
        text = (resources.files("rhmvalidation.studies") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
        source = f"preset {name}"
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a plain ValueError for integers of 5000 digits
        raise InputError(f"{source} is not valid TOML: {error}") from error
    table = _keys(source, table, {"summary", "sweep"})
    if not isinstance(table["sweep"], list) or not table["sweep"]:
        raise InputError(f"{source} must hold one or more tables headed [[sweep]], in double brackets")
    sweeps = tuple(_sweep(f"{source}, sweep {i}", entry) for i, entry in enumerate(table["sweep"], start=1))
    for i, one in enumerate(sweeps):
        for j, other in enumerate(sweeps[:i]):
            if _curve(one) == _curve(other):
                raise InputError(
                    f"{source}, sweeps {j + 1} and {i + 1} train the same network on the same ensemble by the same "
                    "protocol: their runs would be one curve; put them into presets of their own"
                )
    return Preset(Path(name).stem, table["summary"], sweeps)


def _curve(sweep: Sweep) -> tuple[Any, ...]:
    return curve_of(sweep.rhm, sweep.network.name, sweep.settings)


def _sweep(where: str, table: Any) -> Sweep:
    table = _keys(
        where,
        table,
        {"ensemble", "network", "samples", "training"},
        {"replicas", "grammars", "seeds", "published_seeds", "run_seeds", "arguments"},
    )
    ensemble = _keys(f"{where}, ensemble", table["ensemble"], {"v", "m", "s", "L"}, {"n", "rule_probabilities"})
    optional = {field.name for field in fields(Settings)} - {"learning_rate"}
    training = _keys(f"{where}, training", table["training"], {"learning_rate"}, optional)
    arguments = table.get("arguments", {})
    if not isinstance(arguments, dict):
        raise InputError(f"{where}, arguments are {arguments!r}: they must be a table")
    scan: list[Any] = training["learning_rate"] if isinstance(training["learning_rate"], list) else []
    try:
        if scan:
            scan = [Settings(**(training | {"learning_rate": rate})).learning_rate for rate in scan]
            training = training | {"learning_rate": scan[0]}
        seeds, seed_rule = _seeds(table)
        rhm, settings = RHM(**ensemble), Settings(**training)
        network = NetworkSpec(table["network"], arguments)
        _check_sizes(rhm, table, len(seeds), len(scan) or 1)
        if rhm.f == 1:
            raise InputError(f"{rhm} has f = 1: every sentence is grammatical, and there is nothing to learn")
        if settings.protocol == "online":  # one run sees all sizes
            samples = _keys("samples", table["samples"], {"highest"})
            sizes: tuple[int, ...] = (as_int("highest", samples["highest"], low=settings.batch_size, high=1 << 62),)
        else:
            samples = _keys("samples", table["samples"], {"lowest", "highest", "per_octave"})
            sizes = ladder(**samples)
        sweep = Sweep(
            rhm=rhm,
            network=network,
            seeds=seeds,
            sizes=sizes,
            settings=settings,
            replicas=as_int("replicas", table.get("replicas", network.record.replicas), low=1),
            seed_rule=seed_rule,
            run_seeds=as_int("run_seeds", table.get("run_seeds", 1), low=1),
            learning_rates=tuple(scan),
        )
        sweep.runs()  # checks that network and settings go together
        if network.record.custom:
            custom_class(network.name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return sweep


def _check_sizes(rhm: RHM, table: dict[str, Any], grammars: int, rates: int) -> None:
    """Raise `InputError` for sentences too long to train on, and for more runs than can be listed."""
    if rhm.d > _LONGEST_SENTENCE:
        raise InputError(
            f"sentences of {rhm} have d={rhm.d:.3g} tokens: train on at most {_LONGEST_SENTENCE}; lower L"
        )
    runs = grammars * rates * as_int("run_seeds", table.get("run_seeds", 1), low=1)
    if runs > _MOST_RUNS:
        raise InputError(
            f"{runs:.3g} runs of each size (grammars, learning rates, run_seeds) exceed {_MOST_RUNS}: lower one"
        )


def _seeds(table: dict[str, Any]) -> tuple[tuple[int, ...], str]:
    """Seeds of the grammars and how they make them: ``grammars`` counts from zero, the others are lists."""
    given = [name for name in ("grammars", "seeds", "published_seeds") if name in table]
    if len(given) != 1:
        raise InputError("give one of grammars (their number), seeds (a list) and published_seeds (a list)")
    name = given[0]
    if name == "grammars":
        return tuple(range(as_int(name, table[name], low=1, high=_MOST_RUNS))), "ours"
    if not isinstance(table[name], list) or not table[name]:
        raise InputError(f"{name}={table[name]!r} must be a list of integers")
    seeds = tuple(as_int(f"{name}[{i}]", seed, low=0) for i, seed in enumerate(table[name]))
    return seeds, "published" if name == "published_seeds" else "ours"


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
