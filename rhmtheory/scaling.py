"""Fits on logarithmic axes: where a curve crosses a level, and slopes with a bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rhmtheory._checks import InputError, as_int
from rhmtheory._types import as_floats


@dataclass(frozen=True)
class SlopeFit:
    """A least-squares slope of realisation means, with a percentile bootstrap interval over realisations.

    Attributes
    ----------
    best : float
        Slope fitted to the mean over all realisations.
    low, high : float
        Bounds of the interval: quantiles of the slope when realisations are drawn anew with replacement.
        NaN for a single realisation.
    confidence : float
        Probability mass between the bounds.
    realisations : int
        Number of realisations resampled (grammars, as a rule); with few, the interval is too narrow.
    """

    best: float
    low: float
    high: float
    confidence: float
    realisations: int

    def __str__(self) -> str:
        return (
            f"{self.best:.3g} [{self.low:.3g}, {self.high:.3g}] "
            f"({self.confidence:.0%} bootstrap over {self.realisations} realisations)"
        )


def crossing(x: npt.ArrayLike, y: npt.ArrayLike, level: float) -> float:
    """Smallest ``x`` at which a falling curve reaches ``level``, interpolated linearly in (ln x, ln y).

    The curve is replaced by its running minimum: what was reached with less data counts as reached.

    Parameters
    ----------
    x : array, shape (points,)
        Positive and increasing (samples, say).
    y : array, shape (points,)
        Positive; NaN entries are skipped.
    level : float
        Positive.

    Returns
    -------
    float
        NaN where the curve never comes down to the level, or is at or below it from the first point on.

    Examples
    --------
    >>> crossing([1, 100], [1.0, 0.01], 0.1).__round__(6)
    10.0
    """
    x, y = as_floats(x), as_floats(y)
    if x.shape != y.shape or x.ndim != 1:
        raise InputError(f"x has shape {x.shape} and y {y.shape}: give two lists of equal length")
    if not level > 0:
        raise InputError(f"level={level} has no logarithm: it must be positive")
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    if not ((x > 0).all() and (np.diff(x) > 0).all()):
        raise InputError("x must be positive and increasing: sort the points and drop repeated ones")
    if not (y > 0).all():
        raise InputError(f"y holds {y.min()}, which has no logarithm: it must be positive")
    y = np.minimum.accumulate(y)
    below = np.flatnonzero(y <= level)
    if len(below) == 0 or below[0] == 0:
        return float("nan")
    i = below[0]
    part = np.log(y[i - 1] / level) / np.log(y[i - 1] / y[i])
    return float(np.exp(np.log(x[i - 1]) + part * np.log(x[i] / x[i - 1])))


def slope(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Least-squares slope of y against x; NaN for fewer than two points."""
    dx, dy = as_floats(x), as_floats(y)
    if len(dx) < 2:
        return float("nan")
    dx, dy = dx - dx.mean(), dy - dy.mean()
    return float(dx @ dy / (dx @ dx))


def resamples(realisations: int, seed: int | np.random.Generator = 0, count: int = 2000) -> npt.NDArray[np.int64]:
    """Indices of bootstrap draws of realisations, shape (count, realisations)."""
    realisations = as_int("realisations", realisations, low=1)
    return np.random.default_rng(seed).integers(realisations, size=(count, realisations))


def bootstrap(values: npt.ArrayLike, best: float, confidence: float, realisations: int) -> SlopeFit:
    """Wrap resampled values into a `SlopeFit`; NaN resamples (a window without data) are left out."""
    values = as_floats(values)
    values = values[~np.isnan(values)]
    low = high = float("nan")
    if realisations > 1 and len(values) > 0:
        low, high = map(float, np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2]))
    return SlopeFit(float(best), low, high, confidence, realisations)
