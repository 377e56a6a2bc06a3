"""Estimates of one network's crossings, factors and exponent, with all that makes their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan, nan, sqrt

import numpy as np
from scipy.special import ndtri

from rhmtheory.comparison._units import HEIGHTS, UnitCrossings, step_crossings
from rhmtheory.comparison.curves import LearningCurves
from rhmtheory.fitting.intervals import CONFIDENCE, LEAST, Estimate, no_estimate, pseudo_values, t_estimate
from rhmtheory.fitting.levels import falling
from rhmtheory.fitting.slopes import slope
from rhmtheory.support.checks import as_generator
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.theory import staircase_exponent

_NOISE_DRAWS = 200
_SMALL = 1e-4


def mean_of(values: FloatArray, unit: str, known: float = 0.0, at_least: bool = False) -> Estimate:
    """Student's estimate of the mean of logarithms, a lower bound where some are lower bounds."""
    if len(values) == 0 or np.isnan(values).any():
        return no_estimate(len(values), unit)
    found = t_estimate([values], unit=unit, known=known)
    return replace(found, high=np.inf, at_least=True) if at_least else found


def crossing_estimate(units: UnitCrossings, k: int) -> Estimate:
    """``P*_k``, geometric mean over units; a bound where some curve ends before it, or begins below it."""
    ln_P, late, early = units.ln_P[:, k], bool(units.late[:, k].any()), bool(units.early[:, k].any())
    known = ~np.isnan(ln_P)
    if late and early:
        return no_estimate(int(known.sum()), units.unit)
    weights = np.zeros_like(units.ln_P)
    weights[known, k] = 1 / max(1, known.sum())
    found = mean_of(ln_P[known], units.unit, units.variance(weights), late)
    return (replace(found, low=-np.inf, at_most=True) if early and not isnan(found.best) else found).exp()


def pair_factors(units: UnitCrossings, used: list[int], steps: Sequence[int]) -> dict[int, Estimate]:
    """``P*_(k+1) / P*_k`` by k, where the two are not within one bracket."""
    out = {}
    for k in steps:
        if k + 1 in steps and not units.late[used, k].any():
            pair = np.zeros(units.ln_P.shape[1])
            pair[[k, k + 1]] = -1, 1
            late = bool(units.late[used, k + 1].any())
            seen = used if not units.together(k, k + 1, used) else []
            rise = units.ln_P[seen, k + 1] - units.ln_P[seen, k]
            out[k] = mean_of(rise, units.unit, combined_variance(units, used, pair), late).exp()
    return out


def slope_weights(steps: Sequence[int], L: int) -> FloatArray:
    """Weights of ``ln P*_k`` in the slope over the steps of a window, shape (L,)."""
    weights, at = np.zeros(L), np.array(steps, float)
    if len(steps) > 1:
        weights[list(steps)] = (at - at.mean()) / ((at - at.mean()) ** 2).sum()
    return weights


def combined_variance(units: UnitCrossings, used: list[int], weights: FloatArray) -> float:
    """Variance from brackets of the mean over used units of ``weights @ ln_P``, weights of shape (L,)."""
    every = np.zeros_like(units.ln_P)
    every[used] = weights / max(1, len(used))
    return units.variance(every)


def exponent_of(ln_P: FloatArray, H: FloatArray, steps: Sequence[int], which: IntArray) -> float:
    """Exponent of the staircase through the mean crossings (in ln P) and mean plateaus of these units."""
    return exponent(ln_P[which].mean(axis=0), H[which].mean(axis=0), steps)


def exponent(ln_P: FloatArray, H: FloatArray, steps: Sequence[int]) -> float:
    """Exponent of one staircase on the steps of a window."""
    P = np.full(len(ln_P), nan)
    P[list(steps)] = np.exp(ln_P[list(steps)])
    return staircase_exponent(P, H)


def exponent_weights(ln_P: FloatArray, H: FloatArray, steps: Sequence[int]) -> FloatArray:
    """Change of ln exponent with each ``ln P*_k``, shape (L,)."""
    best, weights = exponent(ln_P, H, steps), np.zeros(len(ln_P))
    for k in steps:
        moved = ln_P.copy()
        moved[k] += _SMALL
        weights[k] = (exponent(moved, H, steps) / best - 1) / _SMALL
    return weights


def exponent_estimate(units: UnitCrossings, used: list[int], steps: Sequence[int]) -> Estimate:
    """Jackknife-t on the logarithm of the exponent; without an interval where some exponent is not positive."""
    ln_P, H = units.ln_P[used], units.plateaus[used]
    best = exponent_of(ln_P, H, steps, np.arange(len(ln_P))) if len(ln_P) else nan
    if not best > 0:
        return replace(no_estimate(len(ln_P), units.unit), best=best)

    def ln_exponent(which: IntArray) -> float:
        value = exponent_of(ln_P, H, steps, which)
        return float(np.log(value)) if value > 0 else nan

    known = combined_variance(units, used, exponent_weights(ln_P.mean(axis=0), H.mean(axis=0), steps))
    values = pseudo_values(ln_exponent, len(ln_P))
    return t_estimate([values], unit=units.unit, best=float(np.log(best)), known=known).exp()


def with_noise(
    curves: LearningCurves, estimates: tuple[Estimate, Estimate], steps: Sequence[int], known: tuple[float, float],
    seed: int,
) -> tuple[Estimate, Estimate]:  # fmt: skip
    """Intervals of ln factor and of the exponent of one grammar, from draws of the losses within their errors.

    The draws scatter about the falling curve nearest to the losses: about the losses themselves they would count
    the noise twice. ``known`` are the variances of ln factor and ln exponent that brackets leave.
    """
    error, rows = curves.loss_error, len(curves.loss)
    assert error is not None
    smooth = np.where(np.isnan(curves.loss), np.nan, falling(curves.positive_loss))
    noise = error * as_generator(seed).standard_normal((_NOISE_DRAWS, *error.shape))
    drawn = np.maximum(smooth + noise, smooth / 10).reshape(-1, len(curves.P))
    at = step_crossings(curves.P, drawn, np.tile(curves.plateaus, (_NOISE_DRAWS, 1))).at
    ln_P = np.log(at).reshape(_NOISE_DRAWS, rows, -1).mean(axis=1)
    H = curves.mean_plateaus
    draws = np.array(
        [(slope(steps, row[list(steps)]), np.log(max(exponent(row, H, steps), 1e-300))) for row in ln_P]
    )
    out = []
    for i, (estimate, values, variance) in enumerate(zip(estimates, draws.T, known, strict=True)):
        if estimate.is_bound or isnan(estimate.best) or not np.isfinite(values).any():
            out.append(estimate)
            continue
        half = float(ndtri((1 + CONFIDENCE) / 2)) * sqrt(float(np.var(values[np.isfinite(values)])) + variance)
        found = replace(estimate, count=_NOISE_DRAWS, unit="noise", kind="noise")
        if i == 0:
            out.append(replace(found, low=found.best - half, high=found.best + half))
        else:
            out.append(replace(found, low=found.best * np.exp(-half), high=found.best * np.exp(half)))
    return out[0], out[1]


def level_variance(curves: LearningCurves, units: UnitCrossings, weights: FloatArray) -> float:
    """Variance of one grammar's ``weights @ ln_P`` where its plateaus are known from the ensemble alone."""
    if curves.level_spread is None or len(units.names) >= LEAST:
        return 0.0  # between grammars, the scatter has it
    used = weights != 0
    with np.errstate(invalid="ignore", divide="ignore"):
        steepness = crossing_slopes(units, list(range(len(units.names))))
        return float((((weights * curves.level_spread) / steepness)[used] ** 2).sum())


def crossing_slopes(units: UnitCrossings, used: list[int]) -> FloatArray:
    """Local slope ``-d ln loss / d ln P`` of each step, between its outer heights; mean over units, shape (L,)."""
    H, at = np.log(np.where(units.plateaus > 0, units.plateaus, nan)), units.at_heights
    rise = (H[:, :-1] - H[:, 1:]) * (HEIGHTS[1] - HEIGHTS[0])
    return _mean_slope(rise[used], (at[1] - at[0])[used])


def plateau_slopes(units: UnitCrossings, used: list[int]) -> FloatArray:
    """Local slope at the plateau before each step k = 1..L-1, from the outer heights around it; shape (L - 1,)."""
    H, at = np.log(np.where(units.plateaus > 0, units.plateaus, nan)), units.at_heights
    drops = H[:, :-1] - H[:, 1:]
    rise = (1 - HEIGHTS[1]) * drops[:, :-1] + HEIGHTS[0] * drops[:, 1:]
    return _mean_slope(rise[used], (at[0][:, 1:] - at[1][:, :-1])[used])


def _mean_slope(rise: FloatArray, run: FloatArray) -> FloatArray:
    known = np.isfinite(rise) & np.isfinite(run)
    total = np.where(known, run, 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known.any(axis=0), np.where(known, rise, 0).sum(axis=0) / total, nan)
