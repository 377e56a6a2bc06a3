"""Presets: named sets of sweeps, read from TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from importlib import resources
from itertools import product
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from rhmtheory import RHM, InputError
from rhmtheory.support.checks import as_choice, as_int
from rhmtheory.support.json import check_plain
from rhmtheory.support.reading import check_regular
from rhmvalidation.networks.registry import custom_class
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.studies.runs import Run, curve_of
from rhmvalidation.training.settings import Settings

_LONGEST_SENTENCE, _MOST_RUNS, _LARGEST = 1 << 20, 100_000, 1 << 62


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
    """A scan: all runs at each of these instead of the rate in the settings."""

    @property
    def title(self) -> str:
        """Network, ensemble, protocol and batch size."""
        return f"{self.network} {self.rhm} {self.settings.protocol}, batch {self.settings.batch_size}"

    def each_rate(self) -> list[Settings]:
        """The settings at each learning rate."""
        return [replace(self.settings, learning_rate=x) for x in self.learning_rates] or [self.settings]

    def runs(self) -> list[Run]:
        """All runs; the first of each grammar has the grammar's seed."""
        return [
            Run(self.rhm, self.network, P, seed, seed + i, settings, self.seed_rule)
            for settings in self.each_rate()
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
    left_out: tuple[Sweep, ...] = ()
    """Further sweeps of the same study, which `select` has left out."""

    def runs(self) -> list[Run]:
        """The runs of all sweeps."""
        return [run for sweep in self.sweeps for run in sweep.runs()]

    def select(
        self,
        *,
        network: str | Collection[str] = (),
        v: Any = None,
        m: Any = None,
        s: Any = None,
        L: int | None = None,
        protocol: str | None = None,
        batch: int | None = None,
        width: int | None = None,
    ) -> Preset:
        """Return the preset with those of its sweeps that agree with all that is given.

        Parameters
        ----------
        network : str or collection of str
            Names of networks, one of which a sweep must have.
        v, m, s, L : int, optional
            Of the ensemble; ``v``, ``m`` and ``s`` may be tuples with one entry per level.
        protocol : str, optional
            ``online`` or ``offline``.
        batch, width : int, optional

        Raises
        ------
        InputError
            Where no sweep agrees.

        Examples
        --------
        >>> [sweep.title for sweep in load_preset("quick").select(network="lcn", batch=32).sweeps]
        ['lcn(width=128) RHM(v=6, m=3, s=2, L=4) online, batch 32']
        """
        names = {name.casefold() for name in ([network] if isinstance(network, str) else network)}
        asked = {"v": v, "m": m, "s": s, "L": L, "protocol": protocol, "batch": batch, "width": width}
        asked = {name: value for name, value in asked.items() if value is not None}

        def agrees(sweep: Sweep) -> bool:
            there = {name: getattr(sweep.rhm, name) for name in ("v", "m", "s", "L")}
            there |= {"protocol": sweep.settings.protocol, "batch": sweep.settings.batch_size}
            there["width"] = sweep.network.get("width")
            named = not names or sweep.network.name.casefold() in names
            return named and all(there[name] == value for name, value in asked.items())

        sweeps = tuple(sweep for sweep in self.sweeps if agrees(sweep))
        if not sweeps:
            text = [f"`network`={name}" for name in sorted(names)] + [f"`{n}`={x}" for n, x in asked.items()]
            raise InputError(
                " ".join(text),
                rule=f"agrees with no sweep of {self.name}",
                way_out=f"there are {'; '.join(sweep.title for sweep in self.sweeps)}",
            )
        others = tuple(sweep for sweep in self.sweeps if sweep not in sweeps)
        return replace(self, sweeps=sweeps, left_out=self.left_out + others)


def ladder(lowest: int, highest: int, per_octave: int) -> tuple[int, ...]:
    """Training-set sizes from ``lowest`` to ``highest``, ``per_octave`` of them to each doubling."""
    lowest, per_octave = as_int("lowest", lowest, low=1), as_int("per_octave", per_octave, low=1, high=1000)
    highest = as_int("highest", highest, low=lowest, high=_LARGEST)
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
    table, source = _table(name)
    table = _keys(source, table, {"summary", "sweep"})
    if not isinstance(table["summary"], str):
        raise InputError(f"{source}: summary", table["summary"], "is no text", "put it in quotes")
    if not isinstance(table["sweep"], list) or not table["sweep"]:
        raise InputError(source, rule="must hold one or more tables headed [[sweep]], in double brackets")
    numbered = list(enumerate(table["sweep"], start=1))
    sweeps = [(i, sweep) for i, entry in numbered for sweep in _sweeps(f"{source}, sweep {i}", entry)]
    known: dict[Any, int] = {}
    for i, sweep in sweeps:
        for settings in sweep.each_rate():
            first = known.setdefault(curve_of(sweep.rhm, sweep.network, settings), i)
            if first != i:
                raise InputError(
                    f"{source}, sweeps {first} and {i}",
                    rule="train the same network on the same ensemble by the same protocol, batch size and rate",
                    way_out="their runs would be one curve; put them into presets of their own",
                )
    return Preset(Path(name).stem, table["summary"], tuple(sweep for _, sweep in sweeps))


def _table(name: str) -> tuple[Any, str]:
    """The content of a preset, and what errors call it."""
    if name.endswith(".toml"):
        source = name
        try:
            check_regular(name)
            text = Path(name).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(name, rule="is not UTF-8 text", way_out=f"save it as such ({error})") from error
    else:
        as_choice("preset", name, (*preset_names(), "FILE.toml"))
        source = f"preset {name}"
        text = (resources.files("rhmvalidation.studies") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    try:
        return check_plain(tomllib.loads(text)), source
    except (ValueError, RecursionError) as error:  # a plain ValueError for integers of 5000 digits
        said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(source, rule="is not valid TOML", way_out=said) from error


def _sweeps(where: str, table: Any) -> list[Sweep]:
    """The sweeps of one table: one per width and batch size where these are lists."""
    table = _keys(
        where,
        table,
        {"ensemble", "network", "samples", "training"},
        {"replicas", "grammars", "seeds", "published_seeds", "run_seeds", "arguments"},
    )
    known = {field.name for field in fields(Settings)} - {"learning_rate"}
    training = _keys(f"{where}, training", table["training"], {"learning_rate"}, known)
    arguments = table.get("arguments", {})
    if not isinstance(arguments, dict):
        raise InputError(f"{where}, arguments", arguments, "is no table", "give one such as { width = 64 }")
    if not isinstance(table["network"], str):
        raise InputError(
            f"{where}, network", table["network"], "is no name", "give the name of a network in quotes"
        )
    widths = arguments.get("width")
    several = isinstance(widths, list) and ":" not in table["network"]  # a custom class may take a list
    batches = training.get("batch_size")
    return [
        _sweep(
            where,
            table
            | {"arguments": arguments | ({"width": width} if several else {})}
            | {"training": training | ({"batch_size": batch} if isinstance(batches, list) else {})},
        )
        for width, batch in product(
            _each(f"{where}: width", widths) if several else [None], _each(f"{where}: batch_size", batches)
        )
    ]


def _each(name: str, given: Any) -> list[Any]:
    """The values of a list, each given once; one value that is no list as it is."""
    if not isinstance(given, list):
        return [given]
    if not given:
        raise InputError(name, given, "is empty", "give at least one value")
    for i, value in enumerate(given):
        if value in given[:i]:
            raise InputError(name, given, f"has {value!r} twice", "give each value once")
    return given


def _sweep(where: str, table: dict[str, Any]) -> Sweep:
    training = table["training"]
    ensemble = _keys(f"{where}, ensemble", table["ensemble"], {"v", "m", "s", "L"}, {"n", "rule_probabilities"})
    try:
        rates = _each("learning_rate", training["learning_rate"])
        each = [Settings(**(training | {"learning_rate": rate})) for rate in rates]
        settings = each[0]
        seeds, seed_rule = _seeds(table)
        rhm, network = RHM(**ensemble), NetworkSpec(table["network"], table["arguments"])
        _check_sizes(rhm, table, len(seeds), len(each))
        if rhm.f == 1:
            raise InputError(
                str(rhm), rule="has f = 1: every sentence is grammatical, and there is nothing to learn"
            )
        if settings.protocol == "online":  # one run sees all sizes
            samples = _keys("samples", table["samples"], {"highest"})
            sizes: tuple[int, ...] = (
                as_int("highest", samples["highest"], low=settings.batch_size, high=_LARGEST),
            )
        else:
            samples = _keys("samples", table["samples"], {"lowest", "highest", "per_octave"})
            sizes = ladder(**samples)
        sweep = Sweep(
            rhm=rhm,
            network=network,
            seeds=seeds,
            sizes=sizes,
            settings=settings,
            replicas=as_int("replicas", table.get("replicas", network.record.replicas), low=1, high=_LARGEST),
            seed_rule=seed_rule,
            run_seeds=as_int("run_seeds", table.get("run_seeds", 1), low=1),
            learning_rates=tuple(one.learning_rate for one in each) if len(each) > 1 else (),
        )
        sweep.runs()  # checks that network and settings go together
        if network.record.custom:
            custom_class(network.name)
    except InputError as error:
        raise InputError(where, rule=f"says: {error}") from None  # of the file, not of flags
    return sweep


def _check_sizes(rhm: RHM, table: dict[str, Any], grammars: int, rates: int) -> None:
    """Raise `InputError` for sentences too long to train on, and for more runs than can be listed."""
    if rhm.d > _LONGEST_SENTENCE:
        raise InputError(
            f"sentences of {rhm}",
            rule=f"have d={rhm.d:.3g} tokens",
            way_out=f"train on at most {_LONGEST_SENTENCE}; lower L",
        )
    runs = grammars * rates * as_int("run_seeds", table.get("run_seeds", 1), low=1)
    if runs > _MOST_RUNS:
        raise InputError(
            f"{runs:.3g} runs of each size (grammars, learning rates, run_seeds)",
            rule=f"exceed {_MOST_RUNS}",
            way_out="lower one",
        )


def _seeds(table: dict[str, Any]) -> tuple[tuple[int, ...], str]:
    """Seeds of the grammars and how they make them: ``grammars`` counts from zero, the others are lists."""
    given = [name for name in ("grammars", "seeds", "published_seeds") if name in table]
    if len(given) != 1:
        raise InputError(
            "grammars",
            rule="stand there in several ways or in none",
            way_out="give one of grammars (their number), seeds (a list) and published_seeds (a list)",
        )
    name = given[0]
    if name == "grammars":
        return tuple(range(as_int(name, table[name], low=1, high=_MOST_RUNS))), "ours"
    if not isinstance(table[name], list) or not table[name]:
        raise InputError(name, table[name], "must be a list of integers")
    seeds = tuple(as_int(f"{name}[{i}]", seed, low=0) for i, seed in enumerate(_each(name, table[name])))
    return seeds, "published" if name == "published_seeds" else "ours"


def _keys(where: str, table: Any, required: set[str], optional: Collection[str] = ()) -> dict[str, Any]:
    """Check the keys of a TOML table: all of the required, none unknown."""
    if not isinstance(table, dict):
        raise InputError(where, table, f"must be a table of {', '.join(sorted(required))}")
    unknown, missing = set(table) - required - set(optional), required - set(table)
    if unknown:
        known = ", ".join(sorted(required | set(optional)))
        raise InputError(where, rule=f"has the unknown key {min(unknown)[:80]!r}", way_out=f"known are {known}")
    if missing:
        raise InputError(where, rule=f"lacks the key {min(missing)!r}", way_out="add it")
    return table
