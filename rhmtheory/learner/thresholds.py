"""Measured sample complexities: how many samples the clustering learner needs for each level, against theory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from rhmtheory.fitting.intervals import CONFIDENCE, Estimate, no_estimate, t_estimate
from rhmtheory.fitting.slopes import slope
from rhmtheory.language.rhm import RHM
from rhmtheory.learner.clustering import PROFILES, TARGETS, learn
from rhmtheory.support.checks import as_choice, as_int
from rhmtheory.support.errors import InputError
from rhmtheory.support.files import append_json
from rhmtheory.support.json import plain
from rhmtheory.support.provenance import provenance
from rhmtheory.support.types import FloatArray
from rhmtheory.theory.laws import Law
from rhmtheory.theory.predictions import sample_complexity, step_factor

CRITERIA = ("tuples", "symbols")
"""What counts as learnt: see `Task`."""

_TEST_SAMPLES = 20_000
LEAST_SAMPLES = 10
"""Fewest samples of a search: a threshold of this value is an upper bound."""
_MOST_GRAMMARS = 100_000


@dataclass(frozen=True)
class Task:
    """One threshold to find: the samples with which one level of one grammar is recovered.

    Attributes
    ----------
    rhm : RHM
    sharing : bool
        Whether the learner reuses its groups at all positions: see `clustering.learn`.
    level : int
        Hidden level k.
    seed : int
        Seed of the grammar; its sentences are drawn with seeds that follow from it.
    threshold : float
        Pair-F1 that counts as recovered.
    tolerance : float
        Bisection stops when the bracket is narrower than this, relative to its lower end.
    most : int
        Samples at which the search gives up.
    profile, targets : str
        See `clustering.learn`.
    criterion : {"tuples", "symbols"}
        What must reach the threshold: the tuples that the theory's threshold "signal = noise" speaks of; or the
        symbols of the level (`LevelScore.pair_f1`), which need all steps from the tokens up. Without sharing
        these tuples are those of tokens below the same nodes (`LevelScore.tuple_f1`); with sharing, the tuples of
        the level itself, so that both criteria are one and are recorded as "symbols".
    """

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

    def __post_init__(self) -> None:
        self.rhm.homogeneous()
        as_int("level", self.level, low=1, high=max(1, self.rhm.L - 1))
        as_int("seed", self.seed, low=0)
        as_int("most", self.most, low=LEAST_SAMPLES)
        as_choice("profile", self.profile, PROFILES)
        as_choice("targets", self.targets, TARGETS)
        as_choice("criterion", self.criterion, CRITERIA)
        if self.sharing:
            object.__setattr__(self, "criterion", "symbols")
        if not 0 < self.threshold < 1:
            raise InputError(f"threshold={self.threshold} is no pair-F1 to reach: it must lie between 0 and 1")
        if not 0 < self.tolerance < 1:
            raise InputError(f"tolerance={self.tolerance} is no relative width: it must lie between 0 and 1")

    @property
    def law(self) -> Law:
        """What theory says of the learner."""
        return Law(self.sharing)

    @property
    def key(self) -> str:
        """What identifies the task in a record."""
        return json.dumps({**asdict(self), "rhm": repr(self.rhm)}, sort_keys=True)

    def run(self, threads: int | None = None) -> float:
        """Find the threshold by bisection of ln P on ``threads``; NaN where ``most`` samples are not enough.

        `LEAST_SAMPLES`, 10, where these already reach it: the threshold is at most that.
        The samples of a smaller P are the first ones of a larger P. The result is the geometric middle of the
        last bracket, whose lower end missed the threshold and whose upper end reached it.
        """
        grammar = self.rhm.grammar(seed=self.seed)
        # children of one seed: sentences to learn from, sentences to judge by
        learn_seed, test_seed = (int(x) for x in np.random.SeedSequence(self.seed).generate_state(2))
        truth = grammar.sample(_TEST_SAMPLES, test_seed, trees=True, threads=threads)

        def reached(P: float) -> bool:
            tokens = grammar.sample(int(P), learn_seed, threads=threads)
            model = learn(
                tokens,
                self.rhm,
                sharing=self.sharing,
                highest_level=self.level,
                profile=self.profile,
                targets=self.targets,
                predictor=False,
                threads=threads,
            )
            score = model.score(truth)[-1]
            return (score.pair_f1 if self.criterion == "symbols" else score.tuple_f1) >= self.threshold

        start = sample_complexity(self.rhm, self.law, self.level)
        low = high = min(max(start, 2 * LEAST_SAMPLES), self.most) if isfinite(start) else self.most / 2
        if reached(high):
            while True:
                low = high / 2
                if low < LEAST_SAMPLES:
                    return LEAST_SAMPLES
                if not reached(low):
                    break
                high = low
        else:
            while True:
                if high >= self.most:
                    return float("nan")
                low, high = high, min(2 * high, self.most)
                if reached(high):
                    break
        # a sample more or less is the narrowest bracket there is
        while high / low > 1 + self.tolerance and int(high) - int(low) > 1:
            middle = sqrt(low * high)
            low, high = (low, middle) if reached(middle) else (middle, high)
        return sqrt(low * high)


@dataclass(frozen=True, eq=False)
class ThresholdStudy:
    """Measured sample complexities of one ensemble and learner, and how they grow with the level.

    Attributes
    ----------
    rhm : RHM
    sharing : bool
    hidden_levels : tuple of int
        Hidden levels k.
    samples : array, shape (grammars, levels)
        ``P*_k`` of each grammar; NaN where it was not reached, `LEAST_SAMPLES` where these already did.
    criterion : str
        See `Task`.
    predicted : array, shape (levels,)
        ``P_k`` of `predictions.sample_complexity`: an order of magnitude, with prefactor one.
    finite_size : array, shape (levels,)
        The same threshold "signal = noise" with the exact second moment: see `predictions.sample_complexity`.
    predicted_step : float
        ``m**2`` without sharing, ``m`` with.
    """

    rhm: RHM
    sharing: bool
    hidden_levels: tuple[int, ...]
    samples: FloatArray
    criterion: str
    predicted: FloatArray
    finite_size: FloatArray
    predicted_step: float

    @property
    def _known(self) -> FloatArray:
        """Thresholds that were found; NaN for those that are censored, on either side."""
        return np.where(self.samples > LEAST_SAMPLES, self.samples, np.nan)

    def thresholds(self, confidence: float = CONFIDENCE) -> list[Estimate]:
        """Geometric mean over grammars of each level's ``P*_k``, with Student's interval on the logarithms.

        ``confidence`` is how often such an interval holds the truth. NaN where a grammar did not reach the
        level, or did so with the fewest samples already: there a bound is known, and no number.
        """
        return [t_estimate([column], confidence=confidence).exp() for column in np.log(self._known.T)]

    def step(self, confidence: float = CONFIDENCE) -> Estimate:
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
        """Of each level: its number, ``P_k`` (asymptotic, finite size, measured), grammars that reached it, and
        those of them that did so with the fewest samples."""
        reached = np.isfinite(self.samples).sum(axis=0).tolist()
        early = (self.samples <= LEAST_SAMPLES).sum(axis=0).tolist()
        columns = (self.hidden_levels, self.predicted, self.finite_size, self.thresholds(), reached, early)
        yield from zip(*columns, strict=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        rhm, step = self.rhm, self.step()
        content = {
            "rhm": {"v": rhm.v, "m": rhm.m, "s": rhm.s, "L": rhm.L, "f": rhm.f},
            "sharing": self.sharing,
            "criterion": self.criterion,
            "grammars": len(self.samples),
            "levels": [
                {
                    "level": k,
                    "predicted": P,
                    "finite_size": exact,
                    "measured": fit.best,
                    "low": fit.low,
                    "high": fit.high,
                    "reached": count,
                    "early": early,
                }
                for k, P, exact, fit, count, early in self._rows()
            ],
            "step": {
                "predicted": self.predicted_step,
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

    def __str__(self) -> str:
        grammars = len(self.samples)
        lines = [
            f"{self.rhm}, clustering {Law(self.sharing)}, {grammars} grammars: samples to recover {self.criterion} "
            f"[{CONFIDENCE:.0%} interval]"
        ]
        for k, P, exact, fit, count, early in self._rows():
            measured = f"reached by {count} of {grammars} grammars"
            if early:
                measured += f", by {early} with {LEAST_SAMPLES} samples already"
            elif count == grammars:
                measured = f"measured {fit}"
            lines.append(f"  level {k}: predicted {P:.3g} (finite size {exact:.3g}), {measured}")
        power = Law(self.sharing).step_text
        finite = self.finite_size_step
        lines.append(
            f"  factor from level to level: predicted {power} = {self.predicted_step:g} "
            f"(finite size {finite:.3g}), measured {self.step()}"
        )
        return "\n".join(lines)


def measure_sample_complexity(
    rhm: RHM,
    *,
    sharing: bool,
    highest_level: int | None = None,
    grammars: int = 8,
    record: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    **options: Any,
) -> ThresholdStudy:
    """Measure ``P*_k`` of every level over several grammars.

    Parameters
    ----------
    rhm : RHM
    sharing : bool
        See `clustering.learn`.
    highest_level : int, optional
        Highest hidden level, 1..L-1 (default L-1).
    grammars : int
        Grammars with seeds 0, 1, ..
    record : path, optional
        File of JSON lines to which each threshold is appended when it is found; thresholds it already holds are
        not measured again, so that a run may be stopped and taken up. Files joined with ``cat`` are merged.
    threads : int, optional
    **options
        ``threshold``, ``tolerance``, ``most``, ``profile``, ``targets``, ``criterion`` of `Task`.

    Returns
    -------
    ThresholdStudy

    Raises
    ------
    InputError
        For an ensemble without a hidden level below the root, with f = 1, or whose levels differ; for options that
        `Task` does not take; and for a ``record`` that is none.
    """
    if rhm.L < 2:
        raise InputError(f"L={rhm.L} has no hidden level below the root: use at least 2 levels")
    if rhm.f == 1:
        raise InputError(f"{rhm} has f = 1: every sentence is grammatical, and there is nothing to learn: lower m")
    top = rhm.L - 1 if highest_level is None else as_int("highest_level", highest_level, low=1, high=rhm.L - 1)
    grammars = as_int("grammars", grammars, low=1, high=_MOST_GRAMMARS)
    done = read_record(record) if record is not None and Path(record).exists() else {}
    samples = np.full((grammars, top), np.nan)
    started = False
    for seed in range(grammars):
        for level in range(1, top + 1):
            task = Task(rhm, sharing, level, seed, **options)
            if task.key not in done:
                if record is not None and not started:
                    append_json(record, {"provenance": provenance()})
                    started = True
                done[task.key] = task.run(threads)
                if record is not None:
                    append_json(record, {"task": json.loads(task.key), "samples": plain(done[task.key])})
            samples[seed, level - 1] = done[task.key]
    law = Law(sharing)
    ks = tuple(range(1, top + 1))
    predicted = np.array([sample_complexity(rhm, law, k) for k in ks])
    finite = np.array([sample_complexity(rhm, law, k, "exact") for k in ks])
    criterion = Task(rhm, sharing, 1, **options).criterion
    return ThresholdStudy(rhm, sharing, ks, samples, criterion, predicted, finite, step_factor(rhm, law))


def read_record(path: str | os.PathLike[str]) -> dict[str, float]:
    """Thresholds in a record, by `Task.key`; a last line that was cut off in writing is left out.

    Raises `InputError` for any other line that is not of a record.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not of a record ({error}): give another file, or a new one") from error
    done = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            if "task" in entry:
                P = entry["samples"]
                if P is not None and not 0 < P < 1 << 63:
                    raise ValueError(f"{P} samples")
                done[json.dumps(entry["task"], sort_keys=True)] = float("nan") if P is None else float(P)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            if number == len(lines) and not line.endswith("\n"):
                break
            raise InputError(f"{path} line {number} is not of a record: delete the line, or the file") from error
    return done
