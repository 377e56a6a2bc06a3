"""One network against theory: crossings, step factor, exponent, with intervals and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import exp, isfinite, isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from rhmtheory.comparison.curves import LearningCurves, UnitCrossings, predicted_steps, step_levels, unit_crossings
from rhmtheory.comparison.tables import measurement_tables
from rhmtheory.fitting.curves import collapse_quality
from rhmtheory.fitting.intervals import LEAST, Estimate, no_estimate, pseudo_values, t_estimate
from rhmtheory.fitting.levels import crossings
from rhmtheory.fitting.slopes import slope
from rhmtheory.support.checks import as_generator
from rhmtheory.support.errors import InputError
from rhmtheory.support.facade import Forward
from rhmtheory.support.json import plain
from rhmtheory.support.tables import html, text
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.theory import staircase_exponent
from rhmtheory.theory._staircase import first_step

if TYPE_CHECKING:
    from rhmtheory.plotting import plot_measurement as _plot_measurement

METHODS = {"published": "published", "exact": "finite_size"}
"""The two predictions of a law: with the published formulas, and with the exact second moment at this size."""

_NOISE_DRAWS = 200


@dataclass(frozen=True)
class Judged:
    """A prediction of the measured number, and the verdict on it.

    ``law`` is the learner, ``method`` how its sample complexities were obtained (see `METHODS`), ``predicted`` the
    number that the very estimator of the measurement gives on the predicted staircase.
    """

    law: str
    method: str
    predicted: float
    verdict: str


@dataclass(frozen=True)
class Finding:
    """A measured number and the predictions it is held against."""

    measured: Estimate
    judged: tuple[Judged, ...]

    def against(self, method: str, law: str | None = None) -> Judged:
        """The judgement by one method, on the network's own law (the first) or the law named."""
        for one in self.judged:
            if one.method == method and law in (None, one.law):
                return one
        raise InputError(f"no prediction of law={law!r} by {method!r}: there are {self.judged}")


@dataclass(frozen=True, eq=False)
class Measurement:
    """One network set against its prediction. Made by `measure`.

    Attributes
    ----------
    curves : LearningCurves
    units : UnitCrossings
        ``P*_k`` of each grammar.
    used : tuple of int
        Units that enter the fits: those whose grammar makes every step of the window.
    steps : tuple of int
        The window: steps k that every one of them crossed, from the first that enters fits. Where there is one
        alone, the next one, censored, stands beside it and the factor is a lower bound.
    crossings : tuple of Estimate, samples
        ``P*_k``, k = 0..L-1: geometric mean over units.
    factors : dict of int to Estimate
        ``P*_(k+1) / P*_k`` by k, within the steps that theory has.
    step_factor : Finding
        ``exp`` of the mean over units of the slope of ``ln P*_k`` against k.
    exponent : Finding
        By `staircase_exponent` on mean ``ln P*_k`` and mean plateaus, within the window.
    collapse : float
        How well the steps of the mean curve (`step_curves`) fall onto one when P is divided by the ``P_k`` of its
        own law: 0 perfect, about 1 not at all; NaN with fewer than two steps.
    notes : tuple of str
        What a reader must know: grammars left out, runs that diverged, intervals that are missing.
    """

    curves: LearningCurves
    units: UnitCrossings
    used: tuple[int, ...]
    steps: tuple[int, ...]
    crossings: tuple[Estimate, ...]
    factors: dict[int, Estimate]
    step_factor: Finding
    exponent: Finding
    collapse: float
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.curves.rhm}\n\n{text(measurement_tables([self]), self.notes)}"

    def _repr_html_(self) -> str:
        """Tables for notebooks."""
        return html(measurement_tables([self]), self.notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        content: dict[str, Any] = plain({field.name: getattr(self, field.name) for field in fields(self)})
        content["crossings_of_units"] = plain(np.exp(self.units.ln_P))
        return content

    @property
    def prefactor(self) -> float:
        """Measured over published ``P_k`` (of its own law) of the first step that enters fits; NaN without one."""
        k = first_step(self.curves.rhm.L)
        if not self.curves.laws or self.crossings[k].at_least:
            return nan
        return self.crossings[k].best / float(predicted_steps(self.curves.rhm, self.curves.laws[0], "published")[k])

    if TYPE_CHECKING:
        plot = _plot_measurement
    else:
        plot = Forward("rhmtheory.plotting:plot_measurement")


def measure(curves: LearningCurves, *, seed: int = 0) -> Measurement:
    """Crossings, step factor and exponent of one network, with 95% intervals over grammars.

    The interval of factor and crossings is Student's, on logarithms, over grammars; that of the exponent is
    Student's on jackknife pseudo-values of its logarithm. Both hold their 95% for five grammars and more. With one
    grammar the interval is over its runs, or over draws of the curve's own noise (``seed``) where ``loss_error`` is
    given.

    A grammar whose curve ends before a step enters with the largest P it reached. That can only lower its factor,
    so that the lower end of the interval is a lower confidence bound for the true one: ``at_least``.

    ``curves`` are those of one network on grammars of one ensemble.
    """
    units = unit_crossings(curves)
    used, steps, at_least = _window(curves, units)
    ln_P, H = units.ln_P[list(used)], units.plateaus[list(used)]
    slopes = np.array([slope(steps, row[list(steps)]) for row in ln_P])
    factor = _over_units(slopes, units.unit, at_least)
    exponent = no_estimate(len(used), units.unit) if at_least else _exponent_estimate(ln_P, H, steps, units.unit)
    if len(units.names) == 1 and curves.loss_error is not None:
        factor, exponent = _with_noise(curves, factor, exponent, steps, seed)
    factor = factor.exp()
    mean_H = H.mean(axis=0) if used else np.full(curves.rhm.L + 1, nan)
    factor_judged, exponent_judged = [], []
    for law in curves.laws:
        for name, method in METHODS.items():
            P = predicted_steps(curves.rhm, law, method)
            by_factor = _exp_slope(P, steps)
            by_exponent = nan if at_least else _exponent(np.log(P), mean_H, steps)
            factor_judged.append(Judged(law, name, by_factor, verdict(factor, by_factor)))
            exponent_judged.append(Judged(law, name, by_exponent, verdict(exponent, by_exponent)))
    return Measurement(
        curves=curves,
        units=units,
        used=used,
        steps=steps,
        crossings=tuple(_crossing_estimate(units, k) for k in range(curves.rhm.L)),
        factors=_pair_factors(units, used, _candidates(curves, units)),
        step_factor=Finding(factor, tuple(factor_judged)),
        exponent=Finding(exponent, tuple(exponent_judged)),
        collapse=_collapse(curves, steps),
        notes=tuple(_notes(curves, units, used, factor)),
    )


def verdict(measured: Estimate, predicted: float) -> str:
    """``disagrees`` if the interval leaves the prediction out, ``agrees`` if it has it and is narrow.

    Narrow means that the upper bound is less than twice the lower one; a wider interval, or none, is ``undecided``.
    A lower bound is told as ``at least x``, and ``disagrees, at least x`` where it lies above the prediction.

    ``measured`` and ``predicted`` are of one number.
    """
    if measured.at_least and not isnan(measured.best):
        bound = measured.best if isnan(measured.low) else measured.low
        above = isfinite(predicted) and measured.low > predicted
        return f"{'disagrees, ' if above else ''}at least {bound:.3g}"
    if not np.isfinite([measured.best, measured.low, measured.high, predicted]).all():
        return "undecided"
    if not measured.low <= predicted <= measured.high:
        return "disagrees"
    return "agrees" if 0 < measured.high < 2 * measured.low else "undecided"


def step_curves(
    curves: LearningCurves, P_k: FloatArray, steps: Sequence[int]
) -> list[tuple[FloatArray, FloatArray]]:
    """Each step of the mean curve as (P / P_k, part of the step in ln loss that is still to go).

    The part is one at ``H_k``, a half at the crossing level, zero at ``H_(k+1)``; the outer tenths are left out,
    where plateaus and neighbouring steps are seen more than the step itself.

    ``curves`` and ``P_k`` are of one network; ``steps`` names the steps k to follow.
    """
    log_loss, log_H = np.log(curves.mean_loss), np.log(curves.mean_plateaus)
    out = []
    for k in steps:
        to_go = (log_loss - log_H[k + 1]) / (log_H[k] - log_H[k + 1])
        shown = (to_go > 0.1) & (to_go < 0.9)
        out.append((curves.P[shown] / P_k[k], to_go[shown]))
    return out


def exponent_of(ln_P: FloatArray, H: FloatArray, steps: tuple[int, ...], which: IntArray) -> float:
    """Exponent of the staircase through the mean crossings (in ln P) and mean plateaus of these units."""
    return _exponent(ln_P[which].mean(axis=0), H[which].mean(axis=0), steps)


# --- the window -----------------------------------------------------------------------------------------


def _candidates(curves: LearningCurves, units: UnitCrossings) -> list[int]:
    """Steps that theory makes, that most grammars have, and that no curve begins below."""
    made = np.ones(curves.rhm.L, bool)
    for law in curves.laws or ("transformer",):  # whether there is anything to learn does not depend on the learner
        made &= np.isfinite(predicted_steps(curves.rhm, law, "published"))
    made &= ~units.early.any(axis=0) & (units.absent.mean(axis=0) < 0.5)
    return [k for k in range(first_step(curves.rhm.L), curves.rhm.L) if made[k]]


def _window(curves: LearningCurves, units: UnitCrossings) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """Units and steps that enter the fits, and whether the last step is censored."""
    steps = _candidates(curves, units)
    used = np.flatnonzero(~units.absent[:, steps].any(axis=1))
    complete = [k for k in steps if not units.late[used, k].any()] if len(used) else []
    at_least = len(complete) == 1 and steps[0] == complete[0] and len(steps) > 1
    if at_least:
        complete = steps[:2]
    return tuple(used.tolist()), tuple(complete if len(complete) > 1 else ()), at_least


# --- estimates ------------------------------------------------------------------------------------------


def _over_units(values: FloatArray, unit: str, at_least: bool = False) -> Estimate:
    """Student's estimate of the mean of logarithms, a lower bound where some are lower bounds."""
    if len(values) == 0 or np.isnan(values).any():
        return no_estimate(len(values), unit)
    found = t_estimate([values], unit=unit)
    return replace(found, high=np.inf, at_least=True) if at_least else found


def _crossing_estimate(units: UnitCrossings, k: int) -> Estimate:
    known = ~np.isnan(units.ln_P[:, k])
    return _over_units(units.ln_P[known, k], units.unit, bool(units.late[:, k].any())).exp()


def _pair_factors(units: UnitCrossings, used: Sequence[int], steps: Sequence[int]) -> dict[int, Estimate]:
    out = {}
    which = list(used)
    for k in steps:
        if k + 1 in steps and not units.late[which, k].any():
            rise = units.ln_P[which, k + 1] - units.ln_P[which, k]
            out[k] = _over_units(rise, units.unit, bool(units.late[which, k + 1].any())).exp()
    return out


def _exponent_estimate(ln_P: FloatArray, H: FloatArray, steps: tuple[int, ...], unit: str) -> Estimate:
    """Jackknife-t on the logarithm of the exponent; without an interval where some exponent is not positive."""
    best = exponent_of(ln_P, H, steps, np.arange(len(ln_P))) if len(ln_P) else nan
    if not best > 0:
        return replace(no_estimate(len(ln_P), unit), best=best)

    def ln_exponent(which: IntArray) -> float:
        value = exponent_of(ln_P, H, steps, which)
        return float(np.log(value)) if value > 0 else nan

    return t_estimate([pseudo_values(ln_exponent, len(ln_P))], unit=unit, best=float(np.log(best))).exp()


def _with_noise(
    curves: LearningCurves, factor: Estimate, exponent: Estimate, steps: tuple[int, ...], seed: int
) -> tuple[Estimate, Estimate]:
    """Intervals (of ln factor, and of the exponent) from draws of the losses within their errors."""
    error, rows = curves.loss_error, len(curves.loss)
    assert error is not None
    noise = error * as_generator(seed).standard_normal((_NOISE_DRAWS, *error.shape))
    drawn = np.maximum(curves.loss + noise, curves.loss / 10).reshape(-1, len(curves.P))
    levels = np.tile(step_levels(curves.plateaus), (_NOISE_DRAWS, 1))
    ln_P = np.log(crossings(curves.P, drawn, levels).at).reshape(_NOISE_DRAWS, rows, -1).mean(axis=1)
    H = curves.mean_plateaus
    draws = [(slope(steps, row[list(steps)]), _exponent(row, H, steps)) for row in ln_P]
    out = []
    for estimate, values in zip((factor, exponent), np.array(draws).T, strict=True):
        spread = 1.96 * np.std(values[~np.isnan(values)]) if np.isfinite(values).any() else nan
        if estimate.at_least or isnan(estimate.best):
            out.append(estimate)
            continue
        low, high = estimate.best - spread, estimate.best + spread
        out.append(replace(estimate, low=low, high=high, count=_NOISE_DRAWS, unit="noise"))
    return out[0], out[1]


def _exp_slope(P: FloatArray, steps: tuple[int, ...]) -> float:
    return exp(slope(steps, np.log(P[list(steps)]))) if len(steps) > 1 else nan


def _exponent(ln_P: FloatArray, H: FloatArray, steps: tuple[int, ...]) -> float:
    P = np.full(len(ln_P), nan)
    P[list(steps)] = np.exp(ln_P[list(steps)])
    return staircase_exponent(P, H)


def _collapse(curves: LearningCurves, steps: Sequence[int]) -> float:
    if not curves.laws or len(steps) < 2:
        return nan
    P_k = predicted_steps(curves.rhm, curves.laws[0], "published")
    parts = [(x, y) for x, y in step_curves(curves, P_k, steps) if len(x) > 1]
    try:
        return collapse_quality(parts)
    except InputError:  # fewer than two, or apart
        return nan


def _notes(curves: LearningCurves, units: UnitCrossings, used: Sequence[int], factor: Estimate) -> list[str]:
    notes = list(curves.remarks)
    if curves.diverged:
        notes.append(f"{curves.diverged} runs diverged and are left out")
    if left_out := [name for i, name in enumerate(units.names) if i not in used]:
        notes.append(f"no step between two of the plateaus of {', '.join(left_out)}: left out of the fits")
    first = first_step(curves.rhm.L)
    if early := [str(first + k) for k in np.flatnonzero(units.early[:, first:].any(axis=0))]:
        notes.append(f"some curve begins below step {', '.join(early)}: begin at smaller P to measure it")
    late = units.late[list(used)].sum(axis=0)
    for k in _candidates(curves, units):
        if late[k]:
            notes.append(f"step {k} is not made by {late[k]} of {len(used)} {units.unit} at the largest P")
    if len(units.names) == 1 and factor.unit == "runs":
        lack = "without errors of its losses" if curves.loss_error is None else "without the steps that a fit needs"
        notes.append(f"one curve {lack}: no interval")
    elif len(used) < LEAST and factor.unit == "grammars":
        notes.append(f"{len(used)} grammars: an interval needs at least {LEAST}")
    elif factor.unit in ("runs", "noise"):
        notes.append(f"one grammar: the interval is over its {factor.unit}, and says nothing of other grammars")
    return notes
