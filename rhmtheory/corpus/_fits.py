"""Slope of a decay, how far sampling and the choice of a window move it, and whether it is that of a power law."""

from __future__ import annotations

from dataclasses import replace
from math import hypot, inf, nan
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from rhmtheory.corpus._windows import admissible, slope_weights
from rhmtheory.fitting.intervals import Estimate
from rhmtheory.support.types import FloatArray

POWER_LAW, NO_POWER_LAW, NO_DECAY = "power law", "no power law", "no decay"
"""Verdicts on a decay."""

_UNIT = "segments"
_CHANCE = 3.3
"""Ratio of variances, of 3 and 15 degrees of freedom, that chance exceeds in 5 of 100 cases."""
_CHOICE = 1.05
"""Widening of intervals for the choice of the last point, by calibration."""
_SIGNIFICANCE = 0.99
_LEAST_FALL = 0.05
"""Fall of the logarithm over all points that is a decay."""
_RESTING = 0.2
"""Part of its slope over the smaller x that a decay keeps over the larger ones, unless it comes to rest."""
_STEEPENING = 0.75
"""Part of the steepening of an exponential decay at which a decay counts as one."""


class DecayFit(NamedTuple):
    """Slope of one decay, ``y ~ x**-slope``.

    ``low`` and ``high`` are what the choice of a window adds below and above it, ``pseudo`` its jackknife
    pseudo-values per segment, ``halves`` the slopes over the smaller and the larger x.
    """

    estimate: Estimate
    low: float
    high: float
    pseudo: FloatArray
    halves: tuple[float, float]
    windows: int
    verdict: str


def fit_decay(
    x: FloatArray, y: FloatArray, without: FloatArray, *, confidence: float, all_windows: bool, bias: float = 0.0
) -> DecayFit:
    """Fit ``y ~ x**-slope``, with Student's interval over jackknife pseudo-values of segments.

    Where slopes over other admissible windows differ by more than chance, the interval reaches as far as they do:
    both parts add in quadrature.

    Parameters
    ----------
    x, y : arrays, shape (points,)
    without : array, shape (segments, points)
        The values when one segment is left out.
    confidence : float
    all_windows : bool
        Whether other windows than that of all points are counted in.
    bias : float
        How far the slope may be off for another reason.
    """
    u, logs, logs_without = np.log(x), _log(y), _log(without)
    middle = int(np.clip(np.abs(u - (u[0] + u[-1]) / 2).argmin(), 1, len(u) - 2))
    rows = np.stack([slope_weights(u), _padded(u, 0, middle + 1), _padded(u, middle, len(u))])
    slopes, pseudo = _jackknife(rows, logs, logs_without)
    best, error = float(slopes[0]), _error(pseudo[:, 0])
    count = len(pseudo)
    half_width = float(stdtrit(count - 1, (1 + confidence) / 2)) * error * (_CHOICE if all_windows else 1.0)
    low = high = 0.0
    windows = admissible(u) if all_windows else rows[:1]
    if len(windows) > 1:
        others, others_pseudo = _jackknife(windows, logs, logs_without)
        low, high = _beyond_chance(others - best, others_pseudo - pseudo[:, :1], confidence)
    estimate = Estimate(
        best,
        best - hypot(half_width, low, bias),
        best + hypot(half_width, high, bias),
        confidence,
        count,
        _UNIT,
        "jackknife",
    )
    none = best <= half_width or best * (u[-1] - u[0]) < _LEAST_FALL
    verdict = NO_DECAY if none else _verdict(x, rows, slopes, pseudo)
    return DecayFit(estimate, low, high, pseudo[:, 0], (float(slopes[1]), float(slopes[2])), len(windows), verdict)


def no_fit(count: int, confidence: float) -> DecayFit:
    """The fit of a decay with too few points."""
    nothing = Estimate(nan, nan, nan, confidence, count, _UNIT, "jackknife")
    return DecayFit(nothing, 0.0, 0.0, np.full(count, nan), (nan, nan), 0, NO_DECAY)


def half_ratio(gamma: DecayFit, beta: DecayFit, confidence: float) -> Estimate:
    """``gamma / (2 beta)`` with Fieller's interval over segments; undefined where one is no decay.

    Fieller's interval holds all a with ``gamma - 2 a beta`` within its own interval around zero: a beta that is
    not known well makes it long. What the windows add to gamma and beta is added in quadrature.
    """
    g, b = gamma.estimate.best, beta.estimate.best
    count = len(beta.pseudo)
    if NO_DECAY in (gamma.verdict, beta.verdict):
        return no_fit(count, confidence).estimate
    t = float(stdtrit(count - 1, (1 + confidence) / 2))
    (gg, gb), (_, bb) = np.cov(gamma.pseudo, beta.pseudo) * t**2 / count
    # (b**2 - bb) q**2 - 2 (g b - gb) q + g**2 - gg = 0 for q = 2 alpha; a decay has b**2 > bb
    square, mixed = b**2 - bb, g * b - gb
    root = np.sqrt(max(mixed**2 - square * (g**2 - gg), 0.0))
    best = g / (2 * b)
    lower, upper = best - (mixed - root) / square / 2, (mixed + root) / square / 2 - best
    low = best - (g - gamma.low) / (2 * (b + beta.high))
    high = (g + gamma.high) / (2 * (b - beta.low)) - best if beta.low < b else inf
    return replace(beta.estimate, best=best, low=best - hypot(lower, low), high=best + hypot(upper, high))


def _jackknife(rows: FloatArray, logs: FloatArray, without: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slopes (rows,) and their pseudo-values (segments, rows)."""
    slopes, count = -rows @ logs, len(without)
    return slopes, count * slopes + (count - 1) * without @ rows.T


def _error(pseudo: FloatArray) -> float:
    return float(pseudo.std(ddof=1) / np.sqrt(len(pseudo)))


def _beyond_chance(differences: FloatArray, pseudo: FloatArray, confidence: float) -> tuple[float, float]:
    """How far slopes of other windows lie below and above the slope, less what chance does."""
    variances = pseudo.var(axis=0, ddof=1) / len(pseudo)
    ratio = float((differences**2).mean() / max(variances.mean(), 1e-300))
    part = np.sqrt(max(0.0, 1 - _CHANCE / ratio)) if ratio else 0.0
    low, high = np.quantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(part * max(-low, 0.0)), float(part * max(high, 0.0))


def _verdict(x: FloatArray, rows: FloatArray, slopes: FloatArray, pseudo: FloatArray) -> str:
    """Whether the local slope, significantly, grows more like an exponential decay's than not at all, or vanishes.

    The change from the smaller to the larger x, as a part of the slope, is zero for a power law, and some number
    that follows from x alone for ``exp(-x / scale)``, whatever the scale.
    """
    change = slopes[2] - slopes[1]
    error = _error(pseudo[:, 2] - pseudo[:, 1])
    if abs(change) <= float(stdtrit(len(pseudo) - 1, (1 + _SIGNIFICANCE) / 2)) * error:
        return POWER_LAW
    of_exponential = rows @ x
    steepening = (of_exponential[2] - of_exponential[1]) / of_exponential[0] * _STEEPENING
    holds = slopes[2] > _RESTING * slopes[1] and change < steepening * slopes[0]
    return POWER_LAW if holds else NO_POWER_LAW


def _padded(u: FloatArray, first: int, last: int) -> FloatArray:
    row = np.zeros(len(u))
    row[first:last] = slope_weights(u[first:last])
    return row


def _log(values: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(values, 1e-12)))
