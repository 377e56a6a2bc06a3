"""On logarithmic axes: where a curve crosses a level, and the slope of points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rhmtheory._support.checks import InputError
from rhmtheory._support.types import as_floats


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
