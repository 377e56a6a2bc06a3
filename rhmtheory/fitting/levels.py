"""Where falling curves cross levels, on logarithmic axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray, as_floats


@dataclass(frozen=True)
class Crossings:
    """Where curves cross levels. Made by `crossings`.

    Attributes
    ----------
    at : array, shape (curves, levels)
        x of the crossing; NaN where there is none, or no level.
    late : array of bool, shape (curves, levels)
        The curve ends above the level: the crossing, if there is one, comes after ``last``.
    early : array of bool, shape (curves, levels)
        The curve is at or below the level from its first point on: the crossing came before.
    last : array, shape (curves,)
        Largest x at which the curve has a value; NaN for a curve without any.
    """

    at: FloatArray
    late: npt.NDArray[np.bool_]
    early: npt.NDArray[np.bool_]
    last: FloatArray


def crossings(x: npt.ArrayLike, y: npt.ArrayLike, levels: npt.ArrayLike) -> Crossings:
    """Smallest x at which each falling curve reaches each level, interpolated linearly in (ln x, ln y).

    A curve is replaced by its running minimum: what was reached with less data counts as reached.

    Parameters
    ----------
    x : array, shape (points,)
        Positive and increasing (samples, say).
    y : array, shape (curves, points)
        Positive; NaN entries are skipped.
    levels : array, shape (curves, levels)
        Positive; NaN where a curve has no such level.

    Raises
    ------
    InputError
        For shapes that do not fit, x that does not increase, and values without a logarithm.
    """
    x, y, levels = as_floats(x), as_floats(y), as_floats(levels)
    if x.ndim != 1 or y.ndim != 2 or y.shape[1] != len(x):
        raise InputError(f"x has shape {x.shape} and y {y.shape}: give (points,) and (curves, points)")
    if levels.ndim != 2 or len(levels) != len(y):
        raise InputError(f"levels have shape {levels.shape}: give (curves, levels), with {len(y)} curves")
    if not ((x > 0).all() and (np.diff(x) > 0).all()):
        raise InputError("x must be positive and increasing: sort the points and drop repeated ones")
    known = ~np.isnan(y)
    for name, values in (("y holds", y[known]), ("level", levels[~np.isnan(levels)])):
        if not (values > 0).all():
            raise InputError(f"{name} {values.min()}, which has no logarithm: it must be positive")
    # the last known point up to each; -1 where there is none yet
    latest = np.maximum.accumulate(np.where(known, np.arange(len(x)), -1), axis=1)
    at = np.full(levels.shape, np.nan)
    late, early = np.zeros(levels.shape, bool), np.zeros(levels.shape, bool)
    if len(x) == 0:
        return Crossings(at, ~np.isnan(levels), early, np.full(len(y), np.nan))
    lowest = np.fmin.accumulate(y, axis=1)
    rows = np.arange(len(y))
    for k, level in enumerate(levels.T):
        below = known & (y <= level[:, None])
        made, i = below.any(axis=1), below.argmax(axis=1)
        before = np.where(i > 0, latest[rows, i - 1], -1)
        late[:, k], early[:, k] = ~made & ~np.isnan(level), made & (before < 0)
        r = rows[made & (before >= 0)]
        i, j = i[r], before[r]
        part = np.log(lowest[r, j] / level[r]) / np.log(lowest[r, j] / y[r, i])
        at[r, k] = np.exp(np.log(x[j]) + part * np.log(x[i] / x[j]))
    end = latest[:, -1]
    return Crossings(at, late, early, np.where(end >= 0, x[end], np.nan))


def crossing(x: npt.ArrayLike, y: npt.ArrayLike, level: float) -> float:
    """Where one falling curve reaches one level: see `crossings`.

    Returns
    -------
    float
        NaN where the curve never comes down to the level, or is at or below it from the first point on.

    Raises
    ------
    InputError
        For a level that is not positive, lists of different lengths, and as `crossings`.

    Examples
    --------
    >>> crossing([1, 100], [1.0, 0.01], 0.1).__round__(6)
    10.0

    ``x`` and ``y`` are one curve, as a row there.
    """
    if not level > 0:
        raise InputError(f"level={level} has no logarithm: it must be positive")
    x, y = as_floats(x), as_floats(y)
    if x.shape != y.shape or x.ndim != 1:
        raise InputError(f"x has shape {x.shape} and y {y.shape}: give two lists of equal length")
    known = ~np.isnan(y)
    return float(crossings(x[known], y[None, known], [[level]]).at[0, 0])
