"""Measured sample complexities: how many samples the clustering learner needs for each level, against theory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import isfinite, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from rhmtheory.fitting.intervals import CONFIDENCE, Estimate, no_estimate, t_estimate
from rhmtheory.fitting.slopes import slope
from rhmtheory.language.rhm import RHM
from rhmtheory.learner.clustering import PROFILES, TARGETS, learn
from rhmtheory.support.checks import as_choice, as_int
from rhmtheory.support.errors import InputError
from rhmtheory.support.files import append_json, read_json_lines
from rhmtheory.support.json import plain
from rhmtheory.support.provenance import provenance
from rhmtheory.support.tables import Table
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue
from rhmtheory.theory.laws import LAWS, Law, as_law

FOLLOWED = ("unshared", "shared", "effective targets", "own latents", "class")
"""Laws by which the clustering learner can be measured."""
CRITERIA = ("tuples", "symbols")
"""What counts as learnt: see `thresholds`."""
LEAST_SAMPLES = 10
"""Fewest samples of a search: a threshold of this value is an upper bound."""

_LAW_OF = {
    (False, "token"): "unshared",
    (True, "token"): "shared",
    (False, "spine"): "effective targets",
    (True, "spine"): "own latents",
}
"""Law of a learner by what it shares and what it is told; that of the class is one for both."""
_RECORD = "thresholds"
_TEST_SAMPLES = 20_000
_MOST_GRAMMARS = 100_000
_MOST_SAMPLES = 1 << 48


def bisect(reached: Callable[[float], bool], start: float, *, least: float, most: float, tolerance: float) -> float:
    """Return the P from which on ``reached(P)`` holds, by doubling or halving ``start`` and bisecting ln P.

    The result is the geometric middle of the last bracket, whose lower end missed and whose upper end reached;
    ``least`` where less is not asked for, NaN where ``most`` is not enough.

    Parameters
    ----------
    reached : callable
    start : float
        First P tried, between ``least`` and ``most``.
    least, most : float
        Ends of the search.
    tolerance : float
        Width of the last bracket, relative to its lower end; a bracket of one sample is the narrowest.
    """
    if reached(start):
        low, high = start / 2, start
        while low >= least and reached(low):
            low, high = low / 2, low
        if low < least:
            return least
    else:
        low, high = start, min(2 * start, most)
        while low < most and not reached(high):
            low, high = high, min(2 * high, most)
        if low >= most:
            return nan
    while high / low > 1 + tolerance and int(high) - int(low) > 1:
        middle = sqrt(low * high)
        low, high = (low, middle) if reached(middle) else (middle, high)
    return sqrt(low * high)


@dataclass(frozen=True)
class _Task:
    """One threshold to find, as it is named in a record: see `thresholds` for the settings."""

    rhm: RHM
    sharing: bool
    level: int
    seed: int = 0
    threshold: float = 0.5
    tolerance: float = 0.05
    most: int = 1 << 22
    profile: str = "covariance"
    criterion: str = "tuples"
    targets: str = "token"
    position: int = -1

    def __post_init__(self) -> None:
        self.rhm.require_alike_levels()
        as_int("level", self.level, low=1, high=max(1, self.rhm.L - 1))
        as_int("seed", self.seed, low=0)
        place = as_int("position", self.position, low=-self.rhm.d, high=self.rhm.d - 1) % self.rhm.d
        object.__setattr__(self, "position", -1 if place == self.rhm.d - 1 else place)
        as_int("most", self.most, low=LEAST_SAMPLES, high=_MOST_SAMPLES)
        as_choice("profile", self.profile, PROFILES)
        as_choice("targets", self.targets, TARGETS)
        as_choice("criterion", self.criterion, CRITERIA)
        if self.sharing:  # the tuples of the level itself: both criteria are one
            object.__setattr__(self, "criterion", "symbols")
        for name, what in (("threshold", "pair-F1 to reach"), ("tolerance", "relative width")):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise InputError(name, value, f"is no {what}", "it must lie between 0 and 1")

    @property
    def law(self) -> Law:
        """The law of this learner."""
        return LAWS["class"] if self.targets == "class" else LAWS[_LAW_OF[self.sharing, self.targets]]

    @property
    def step(self) -> int:
        """Step of the law: the hidden level, or the depth of the class above the tokens."""
        return self.rhm.L - 1 if self.targets == "class" else self.level

    @property
    def key(self) -> str:
        """What identifies the task in a record."""
        content = {**asdict(self), "rhm": repr(self.rhm)}
        if self.position == -1:  # as in records of earlier versions
            del content["position"]
        return json.dumps(content, sort_keys=True)

    def run(self, threads: int | None = None) -> float:
        """Find the threshold; the samples of a smaller P are the first ones of a larger P."""
        grammar = self.rhm.grammar(seed=self.seed)
        # children of one seed: sentences to learn from, sentences to judge by
        learn_seed, test_seed = (int(x) for x in np.random.SeedSequence(self.seed).generate_state(2))
        truth = grammar.sample_trees(_TEST_SAMPLES, test_seed, threads=threads).levels

        classes = self.targets == "class"

        def reached(P: float) -> bool:
            trees = grammar.sample_trees(int(P), learn_seed, threads=threads) if classes else None
            model = learn(
                self.rhm,
                trees.tokens if trees else grammar.sample(int(P), learn_seed, threads=threads),
                labels=trees.level(self.rhm.L)[:, 0] if trees else None,
                sharing=self.sharing,
                highest_level=self.level,
                profile=self.profile,
                targets=self.targets,
                position=self.position,
                predictor=False,
                threads=threads,
            )
            score = model.score(truth)[-1]
            return (score.pair_f1 if self.criterion == "symbols" else score.tuple_f1) >= self.threshold

        P_k = self.law.published(self.rhm, self.step)
        start = min(max(P_k, 2 * LEAST_SAMPLES), self.most) if isfinite(P_k) else self.most / 2
        return bisect(reached, start, least=LEAST_SAMPLES, most=self.most, tolerance=self.tolerance)


@dataclass(frozen=True, eq=False)
class ThresholdStudy(ByValue):
    """Measured sample complexities of one ensemble and learner, and how they grow with the level.

    Made by `thresholds`.

    Attributes
    ----------
    rhm : RHM
    law : Law
        What the learner clusters by.
    hidden_levels : tuple of int
        Hidden levels k.
    samples : array, shape (grammars, levels)
        ``P*_k`` of each grammar; NaN where it was not reached, `LEAST_SAMPLES` where these already did.
    criterion : str
        See `thresholds`.
    published : array, shape (levels,)
        ``P_k`` of the limit formulas: an order of magnitude, with prefactor one.
    finite_size : array, shape (levels,)
        The same threshold "signal = noise" with the exact second moment.
    published_step : float
        ``m**2`` without sharing, ``m`` with.
    """

    rhm: RHM
    law: Law
    hidden_levels: tuple[int, ...]
    samples: FloatArray
    criterion: str
    published: FloatArray
    finite_size: FloatArray
    published_step: float

    @property
    def _known(self) -> FloatArray:
        """Thresholds that were found; NaN for those that are censored, on either side."""
        return np.where(self.samples > LEAST_SAMPLES, self.samples, np.nan)

    def thresholds(self, *, confidence: float = CONFIDENCE) -> list[Estimate]:
        """Geometric mean over grammars of each level's ``P*_k``, with Student's interval on the logarithms.

        ``confidence`` is how often such an interval holds the truth. NaN where a grammar did not reach the
        level, or did so with the fewest samples already: there a bound is known, and no number.
        """
        return [t_estimate([column], confidence=confidence).exp() for column in np.log(self._known.T)]

    def step(self, *, confidence: float = CONFIDENCE) -> Estimate:
        """Factor from one level to the next: exp of the slope of ln P*_k against k, Student's over grammars.

        Levels that some grammar did not reach, or reached with the fewest samples already, are left out; NaN with
        fewer than two levels. ``confidence`` is how often such an interval holds the truth.
        """
        known = self._known
        whole = np.isfinite(known).all(axis=0)
        if whole.sum() < 2:
            return no_estimate(len(self.samples))
        k, ln_P = np.array(self.hidden_levels, float)[whole], np.log(known[:, whole])
        return t_estimate([[slope(k, row) for row in ln_P]], confidence=confidence).exp()

    @property
    def finite_size_step(self) -> float:
        """The factor fitted in the same way to `finite_size`; levels without signal are left out there, too."""
        seen = np.isfinite(self.finite_size)
        return float(np.exp(slope(np.array(self.hidden_levels)[seen], np.log(self.finite_size[seen]))))

    def steps(self) -> FloatArray:
        """Ratios of the geometric means of neighbouring levels, shape (levels - 1,); NaN where one is not known."""
        return np.asarray(np.exp(np.diff(np.log(self._known).mean(axis=0))))

    def _rows(self) -> Iterator[tuple[int, float, float, Estimate, int, int]]:
        """Of each level: its number, ``P_k`` (published, finite-size, measured), grammars that reached it, and
        those of them that did so with the fewest samples."""
        reached = np.isfinite(self.samples).sum(axis=0).tolist()
        early = (self.samples <= LEAST_SAMPLES).sum(axis=0).tolist()
        columns = (self.hidden_levels, self.published, self.finite_size, self.thresholds(), reached, early)
        yield from zip(*columns, strict=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        rhm, step = self.rhm, self.step()
        content = {
            "rhm": {"v": rhm.v, "m": rhm.m, "s": rhm.s, "L": rhm.L, "f": rhm.f},
            "law": self.law.name,
            "criterion": self.criterion,
            "grammars": len(self.samples),
            "levels": [
                {
                    "level": k,
                    "published": P,
                    "finite_size": finite,
                    "measured": fit.best,
                    "low": fit.low,
                    "high": fit.high,
                    "reached": count,
                    "early": early,
                }
                for k, P, finite, fit, count, early in self._rows()
            ],
            "step": {
                "published": self.published_step,
                "finite_size": self.finite_size_step,
                "measured": step.best,
                "low": step.low,
                "high": step.high,
                "confidence": step.confidence,
            },
            "steps": self.steps(),
        }
        out: dict[str, Any] = plain(content)
        return out

    def plot(self, ax: Any = None) -> Any:
        """Draw measured and predicted ``P_k`` against k into ``ax``, by default that of a new figure; return it."""
        from rhmtheory.plotting import plot_thresholds

        return plot_thresholds([self], ax)

    def __str__(self) -> str:
        grammars = len(self.samples)
        rows = []
        for k, P, finite, fit, count, early in self._rows():
            measured = f"reached by {count} of {grammars} grammars"
            if early:
                measured += f", by {early} with {LEAST_SAMPLES} samples already"
            elif count == grammars:
                measured = str(fit)
            rows.append((str(k), f"{P:.3g}", f"{finite:.3g}", measured))
        if self.law != LAWS["class"]:  # whose steps are depths
            factor = f"{self.law.step_text} = {self.published_step:g}"
            rows.append(("factor", factor, f"{self.finite_size_step:.3g}", str(self.step())))
        title = f"{self.rhm}, clustering, {self.law}, {grammars} grammars: samples to recover {self.criterion}"
        columns = ("level", "published", "finite-size", f"measured [{CONFIDENCE:.0%} interval]")
        return str(Table(title, columns, tuple(rows)))


def thresholds(
    rhm: RHM,
    law: str | Law = "shared",
    *,
    highest_level: int | None = None,
    grammars: int = 8,
    threshold: float = 0.5,
    tolerance: float = 0.05,
    most: int = 1 << 22,
    profile: str = "covariance",
    criterion: str = "tuples",
    position: int = -1,
    record: str | os.PathLike[str] | None = None,
    threads: int | None = None,
) -> ThresholdStudy:
    """Measure the samples ``P*_k`` with which the clustering learner recovers each level, over several grammars.

    Parameters
    ----------
    rhm : RHM
    law : str or Law
        What the learner is told, and what it shares: ``unshared``, ``shared``, ``effective targets`` (tuples of
        tokens against the recovered symbols above the target), ``own latents`` (the same, tuple by tuple of
        recovered symbols), ``class`` (the root symbol, with sharing); an architecture, or another law of these
        targets and sides.
    highest_level : int, optional
        Highest hidden level, 1..L-1 (default L-1). For the class it is 1: all others need fewer samples.
    grammars : int
        Grammars with seeds 0, 1, ..; the sentences of each follow from its seed.
    threshold : float
        Pair-F1 that counts as recovered.
    tolerance : float
        Bisection of ln P stops when the bracket is narrower than this, relative to its lower end.
    most : int
        Samples at which the search gives up: the threshold is NaN.
    profile : str
        See `learn`.
    criterion : {"tuples", "symbols"}
        What must reach the threshold: the tuples that the theory's threshold "signal = noise" speaks of; or the
        symbols of the level (`LevelScore.pair_f1`), which need all steps from the tokens up. Without sharing
        these tuples are those of tokens below the same nodes (`LevelScore.tuple_f1`); with sharing, the tuples of
        the level itself, so that both criteria are one and are recorded as "symbols".
    position : int
        Position of the target: the last token, or a masked one with tokens on both sides.
    record : path, optional
        File of JSON lines to which each threshold is appended when it is found. It begins with a line that says so,
        and any other file is refused. Thresholds it already holds are not measured again, so that a run may be
        stopped and taken up. Files joined with ``cat`` are merged.
    threads : int, optional

    Returns
    -------
    ThresholdStudy

    Raises
    ------
    InputError
        For an ensemble without a hidden level below the root, with f = 1, or whose levels differ; for a law that
        the learner cannot follow, for classes of which there is one; and for a ``record`` that is none.
    """
    if rhm.L < 2:
        raise InputError("L", rhm.L, "has no hidden level below the root", "use at least 2 levels")
    if rhm.f == 1:
        raise InputError(
            str(rhm),
            rule="has f = 1",
            way_out="every sentence is grammatical, and there is nothing to learn: lower `m`",
        )
    law = as_law(law)
    sharing, targets = _learner_of(law)
    if targets == "class" and rhm.n == 1:
        raise InputError("n", 1, "class leaves nothing to tell apart", "give at least 2")
    most_levels = 1 if targets == "class" else rhm.L - 1
    top = as_int("highest_level", most_levels if highest_level is None else highest_level, low=1, high=most_levels)
    grammars = as_int("grammars", grammars, low=1, high=_MOST_GRAMMARS)
    done = _read_record(record) if record is not None and Path(record).exists() else {}
    samples = np.full((grammars, top), np.nan)
    started = False
    for seed in range(grammars):
        for level in range(1, top + 1):
            task = _Task(
                rhm, sharing, level, seed, threshold, tolerance, most, profile, criterion, targets, position
            )
            if task.key not in done:
                if record is not None and not started:
                    append_json(record, {"provenance": provenance()}, kind=_RECORD)
                    started = True
                done[task.key] = task.run(threads)
                if record is not None:
                    entry = {"task": json.loads(task.key), "samples": plain(done[task.key])}
                    append_json(record, entry, kind=_RECORD)
            samples[seed, level - 1] = done[task.key]
    ks = tuple(range(1, top + 1))
    steps = [rhm.L - 1] if targets == "class" else list(ks)
    published = np.array([law.published(rhm, k) for k in steps])
    finite = np.array([law.finite_size(rhm, k) for k in steps], float)
    return ThresholdStudy(rhm, law, ks, samples, task.criterion, published, finite, law.step_factor(rhm))


def _learner_of(law: Law) -> tuple[bool, str]:
    """Whether a learner by this law shares its groups, and its targets; raises `InputError` where there is none."""
    ends = [(law.target_level(k), law.side_level(k), bool(law.tuples(k))) for k in (2, 3)]
    targets = {(0, 0): "token", (1, 2): "spine", (3, 4): "class"}.get((ends[0][0], ends[1][0]))
    sides = ends[0][1], ends[1][1]
    if law.context_level is not None or targets is None or sides not in ((1, 1), (2, 3)) or not ends[0][2]:
        raise InputError(
            "law",
            law.name,
            "is none that the clustering learner can follow",
            f"choose one of {', '.join(FOLLOWED)}",
        )
    return targets == "class" or sides == (2, 3), targets


def _read_record(path: str | os.PathLike[str]) -> dict[str, float]:
    """Thresholds in a record, by `_Task.key`; raises `InputError` for lines that hold none."""
    done = {}
    for number, entry in read_json_lines(path, kind=_RECORD):
        if "provenance" in entry:
            continue
        try:
            P = entry["samples"]
            if P is not None and not 0 < P < _MOST_SAMPLES:
                raise ValueError(f"{P} samples")
            done[json.dumps(entry["task"], sort_keys=True)] = nan if P is None else float(P)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{os.fspath(path)} line {number}",
                rule="holds no threshold",
                way_out="delete the line, or the file",
            ) from error
    return done
