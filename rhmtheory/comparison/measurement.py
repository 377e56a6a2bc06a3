"""One network against theory: crossings, step factor, exponent, with intervals and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import exp, nan
from typing import Any

import numpy as np

from rhmtheory.comparison._estimates import (
    combined_variance,
    crossing_estimate,
    crossing_slopes,
    exponent,
    exponent_estimate,
    exponent_weights,
    level_variance,
    mean_of,
    pair_factors,
    plateau_slopes,
    slope_weights,
    with_noise,
)
from rhmtheory.comparison._notes import notes_of
from rhmtheory.comparison._units import HEIGHTS, UnitCrossings, predicted_steps, unit_crossings
from rhmtheory.comparison.curves import LearningCurves
from rhmtheory.comparison.findings import METHODS, Finding, finding_table, judge, number
from rhmtheory.fitting.curves import collapse_quality
from rhmtheory.fitting.intervals import Estimate, no_estimate
from rhmtheory.fitting.slopes import slope
from rhmtheory.language.rhm import RHM
from rhmtheory.support.errors import InputError
from rhmtheory.support.json import plain
from rhmtheory.support.tables import Table, html, text
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue
from rhmtheory.theory._staircase import first_step
from rhmtheory.theory.laws import as_law


@dataclass(frozen=True, eq=False)
class Measurement(ByValue):
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
    heights : tuple of float
        The step factor where the crossings are taken at a quarter and at three quarters of each step.
    crossing_slopes, plateau_slopes : arrays
        Local slopes ``-d ln loss / d ln P`` at step k = 0..L-1, and at the plateau before step k = 1..L-1. Where
        the curve rests on its plateaus, these are far smaller.
    collapse : float
        How well the steps of the mean curve (`step_curves`) fall onto one when P is divided by the ``P_k`` of its
        own law: 0 perfect, about 1 not at all; NaN with fewer than two steps.
    notes : tuple of str
        Further facts for the reader: grammars left out, runs that diverged, intervals that are missing, losses that
        cannot be in nats, sentences that were seen.
    """

    curves: LearningCurves
    units: UnitCrossings
    used: tuple[int, ...]
    steps: tuple[int, ...]
    crossings: tuple[Estimate, ...]
    factors: dict[int, Estimate]
    step_factor: Finding
    exponent: Finding
    heights: tuple[float, ...]
    crossing_slopes: FloatArray
    plateau_slopes: FloatArray
    collapse: float
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.curves.rhm}\n\n{text(measurement_tables([self]), self.notes)}"

    def _repr_html_(self) -> str:
        """Tables for notebooks."""
        return html(measurement_tables([self]), self.notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        content: dict[str, Any] = plain(
            {field.name: getattr(self, field.name) for field in fields(self) if field.name != "curves"}
        )
        curves = {field.name: getattr(self.curves, field.name) for field in fields(self.curves)}
        content["curves"] = plain({**curves, "laws": self.curves.law_names})
        content["crossings_of_units"] = plain(np.exp(self.units.ln_P))
        content["sentences_seen"] = self.curves.seen()
        return content

    @property
    def prefactor(self) -> float:
        """Measured over published ``P_k`` (of its own law) of the first step that enters fits; NaN without one."""
        k = first_step(self.curves.rhm.L)
        if not self.curves.laws or self.crossings[k].is_bound:
            return nan
        P_k = predicted_steps(self.curves.rhm, self.curves.laws[0], "published")
        return self.crossings[k].best / float(P_k[k])

    @property
    def rests(self) -> dict[int, bool]:
        """Whether the curve rests before each step of the window but the first: half as steep as at the steps."""
        steep = self.crossing_slopes
        return {
            k: bool(self.plateau_slopes[k - 1] < 0.5 * np.sqrt(steep[k - 1] * steep[k]))
            for k in self.steps[1:]
            if np.isfinite([self.plateau_slopes[k - 1], steep[k - 1], steep[k]]).all()
        }

    def plot(self, axes: Any = None) -> Any:
        """Draw curves and step factors: see `rhmtheory.plotting.plot_verdict`."""
        from rhmtheory.plotting import plot_verdict

        return plot_verdict([self], axes)


def measure(curves: LearningCurves, *, seed: int = 0) -> Measurement:
    """Measure crossings, step factor and exponent of one network, with 95% intervals over grammars.

    The interval of factor and crossings is Student's, on logarithms, over grammars; that of the exponent is
    Student's on jackknife pseudo-values of its logarithm. Both hold their 95% for four grammars and more. Where the
    points are so far apart that a step falls between two of them, the place in between widens it. With one grammar
    the interval is over its runs, or over draws of the curve's own noise where ``loss_error`` is given.

    A grammar whose curve ends before a step enters with the largest P it reached. That can only lower its factor,
    so that the lower end of the interval is a lower confidence bound for the true one: ``at_least``.

    Parameters
    ----------
    curves : LearningCurves
        One network on grammars of one ensemble.
    seed : int
        Of the draws of noise.
    """
    curves = _distinct(curves)
    units = unit_crossings(curves)
    used, steps, at_least = _window(curves, units)
    which, L = list(used), curves.rhm.L
    factor, exponent_found = _fits(curves, units, which, steps, at_least, seed)
    mean_H = units.plateaus[which].mean(axis=0) if used else np.full(L + 1, nan)
    judged: tuple[list[Any], list[Any]] = ([], [])
    for law, name in zip(curves.laws, curves.law_names, strict=True):
        for method in METHODS:
            P = predicted_steps(curves.rhm, law, method)
            by_factor = exp(slope(steps, np.log(P[list(steps)]))) if len(steps) > 1 else nan
            by_exponent = nan if at_least else exponent(np.log(P), mean_H, steps)
            judged[0].append(judge(factor, name, method, by_factor))
            judged[1].append(judge(exponent_found, name, method, by_exponent))
    found = Measurement(
        curves=curves,
        units=units,
        used=used,
        steps=steps,
        crossings=tuple(crossing_estimate(units, k) for k in range(L)),
        factors=pair_factors(units, which, _candidates(curves, units)),
        step_factor=Finding(factor, tuple(judged[0])),
        exponent=Finding(exponent_found, tuple(judged[1])),
        heights=tuple(_factor_at(units, which, steps, i) for i in range(len(HEIGHTS))),
        crossing_slopes=crossing_slopes(units, which),
        plateau_slopes=plateau_slopes(units, which),
        collapse=_collapse(curves, steps),
        notes=(),
    )
    return replace(found, notes=notes_of(found, _candidates(curves, units)))


def step_curves(
    curves: LearningCurves, P_k: FloatArray, steps: Sequence[int]
) -> list[tuple[FloatArray, FloatArray]]:
    """Return each step of the mean curve as (P / P_k, part of the step in ln loss that is still to go).

    The part is one at ``H_k``, a half at the crossing level, zero at ``H_(k+1)``; the outer tenths are left out,
    where plateaus and neighbouring steps are seen more than the step itself.

    Parameters
    ----------
    curves : LearningCurves
    P_k : array, shape (L,)
    steps : sequence of int
        The steps k to follow.
    """
    log_loss, log_H = np.log(curves.mean_loss), np.log(curves.mean_plateaus)
    out = []
    for k in steps:
        to_go = (log_loss - log_H[k + 1]) / (log_H[k] - log_H[k + 1])
        shown = (to_go > 0.1) & (to_go < 0.9)
        out.append((curves.P[shown] / P_k[k], to_go[shown]))
    return out


# --- tables ---------------------------------------------------------------------------------------------


def measurement_tables(measurements: Sequence[Measurement]) -> list[Table]:
    """Crossings, factors, exponents and verdicts of networks on one ensemble."""
    rhm = measurements[0].curves.rhm
    factors = [(m.curves.name, m.step_factor) for m in measurements]
    exponents = [(m.curves.name, m.exponent) for m in measurements]
    return [
        _crossings_table(measurements),
        finding_table("step factor P*_(k+1) / P*_k over the steps in the fit", factors),
        finding_table(f"exponent of the excess loss, fitted on the same steps ({_many_levels(rhm)})", exponents),
    ]


def _crossings_table(measurements: Sequence[Measurement]) -> Table:
    heads = tuple(f"P*_{k}" for k in range(measurements[0].curves.rhm.L))
    rows = []
    for m in measurements:
        signs = (">= " if P.at_least else "<= " if P.at_most else "" for P in m.crossings)
        cells = [f"{sign}{number(P.best)}" for sign, P in zip(signs, m.crossings, strict=True)]
        rows.append(
            (m.curves.name, f"{len(m.units.names)} {m.units.unit}", *cells, ", ".join(map(str, m.steps)) or "none")
        )
    title = "samples P*_k at which the loss crosses sqrt(H_k H_(k+1)), geometric mean"
    N, seen = measurements[0].curves.rhm.n_sentences, max(m.curves.seen() for m in measurements)
    most = max(float(m.curves.P.max(initial=0.0)) for m in measurements)
    below = (
        f"P counts sentences. Of the N = {number(float(N)) if N < 1e300 else 'more than 1e300'} of the language, "
        f"P reaches {most / N if N < 1e300 else 0:.2g} N; a test sentence was seen with a chance of {seen:.2g}."
    )
    return Table(title, ("network", "of", *heads, "in fit"), tuple(rows), below)


def _many_levels(rhm: RHM) -> str:
    if not rhm.has_alike_levels:
        return "levels differ"
    return (
        f"for many levels: cnn {as_law('cnn').exponent(rhm):.3g}, "
        f"transformer {as_law('transformer').exponent(rhm):.3g}"
    )


# --- the window and the fits ----------------------------------------------------------------------------


def _distinct(curves: LearningCurves) -> LearningCurves:
    """The curves with rows that hold the same numbers counted once: copies say nothing of the scatter."""
    first: dict[bytes, int] = {}
    for i, row in enumerate(curves.loss):
        j = first.setdefault(row.tobytes(), i)
        if curves.known and curves.grammars[i] != curves.grammars[j]:
            rule = f"has the same numbers in row {j} ({curves.grammars[j]}) and row {i} ({curves.grammars[i]})"
            raise InputError("loss", rule=rule, way_out="give each grammar its own curve")
    rows = sorted(first.values())
    if len(rows) == len(curves.loss):
        return curves
    copies = len(curves.loss) - len(rows)
    picked = {
        name: value[rows]
        for name in ("plateaus", "loss", "loss_error", "time")
        if (value := getattr(curves, name)) is not None
    }
    remark = f"{copies} rows hold the same numbers as others: each counts once"
    grammars = tuple(curves.grammars[i] for i in rows)
    return replace(curves, grammars=grammars, remarks=(*curves.remarks, remark), **picked)


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
    used = np.flatnonzero(~units.absent[:, steps].any(axis=1)).tolist()
    complete = [k for k in steps if not units.late[used, k].any()] if used else []
    at_least = len(complete) == 1 and steps[0] == complete[0] and len(steps) > 1
    if at_least:
        complete = steps[:2]
    # two crossings in one bracket are no factor
    if len(complete) > 1 and not at_least and units.together(complete[0], complete[-1], used):
        complete = []
    return tuple(used), tuple(complete if len(complete) > 1 else ()), at_least


def _fits(
    curves: LearningCurves, units: UnitCrossings, used: list[int], steps: Sequence[int], at_least: bool, seed: int
) -> tuple[Estimate, Estimate]:
    """Step factor and exponent."""
    L = curves.rhm.L
    weights = slope_weights(steps, L)
    slopes = units.ln_P[used][:, list(steps)] @ weights[list(steps)] if len(steps) > 1 else np.full(len(used), nan)
    known = combined_variance(units, used, weights) + level_variance(curves, units, weights)
    factor = mean_of(slopes, units.unit, known, at_least)
    found = no_estimate(len(used), units.unit) if at_least else exponent_estimate(units, used, steps)
    if len(units.names) == 1 and curves.loss_error is not None and len(steps) > 1:
        slopes_of_exponent = exponent_weights(units.ln_P[0], units.plateaus[0], steps)
        variances = (
            known,
            combined_variance(units, used, slopes_of_exponent) + level_variance(curves, units, slopes_of_exponent),
        )
        factor, found = with_noise(curves, (factor, found), steps, variances, seed)
    return factor.exp(), found


def _factor_at(units: UnitCrossings, used: list[int], steps: Sequence[int], height: int) -> float:
    if len(steps) < 2 or not used or units.late[used][:, list(steps)].any():
        return nan
    weights = slope_weights(steps, units.ln_P.shape[1])[list(steps)]
    return exp((units.at_heights[height][used][:, list(steps)] @ weights).mean())


def _collapse(curves: LearningCurves, steps: Sequence[int]) -> float:
    if not curves.laws or len(steps) < 2:
        return nan
    P_k = predicted_steps(curves.rhm, curves.laws[0], "published")
    parts = [(x, y) for x, y in step_curves(curves, P_k, steps) if len(x) > 1]
    try:
        return collapse_quality(parts)
    except InputError:  # fewer than two, or apart
        return nan
