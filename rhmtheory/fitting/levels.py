"""Where falling curves cross levels, on logarithmic axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray, IntArray, as_floats
from rhmtheory.support.values import ByValue

_MOST_NUMBERS = 1 << 20
"""Numbers of one array."""


@dataclass(frozen=True, eq=False)
class Crossings(ByValue):
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
    bracket : array of int, shape (curves, levels)
        Index of the last point before the crossing; -1 where there is none.
    doubt : array, shape (curves, levels)
        Standard error of the interpolation, in ln x. A step that lies between two neighbouring points crosses
        anywhere between them. Zero where the points are dense, and where no step is given.
    """

    at: FloatArray
    late: npt.NDArray[np.bool_]
    early: npt.NDArray[np.bool_]
    last: FloatArray
    bracket: IntArray
    doubt: FloatArray


def crossings(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    levels: npt.ArrayLike,
    *,
    upper: npt.ArrayLike | None = None,
    lower: npt.ArrayLike | None = None,
) -> Crossings:
    r"""Return the x at which each curve comes down to each level, interpolated linearly in (ln x, ln y).

    A curve is taken as falling: it crosses where the decreasing curve nearest to it does (isotonic regression of
    ln y), which is the t that maximises ``sum_(i < t) (ln y_i - ln level)``. Noise therefore makes no crossing
    early, as a running minimum does, and more points make it more exact. Of curves that fall, it is the first
    crossing.

    Parameters
    ----------
    x : array, shape (points,)
        Positive and increasing (samples, say).
    y : array, shape (curves, points)
        Positive; NaN entries are skipped.
    levels : array, shape (curves, levels)
        Positive; NaN where a curve has no such level.
    upper, lower : arrays, shape (curves, levels), optional
        Heights between which the step at each level falls. Values beyond count as these, so that no spike moves a
        crossing by more than its own place, and ``doubt`` is known.

    Raises
    ------
    InputError
        For shapes that do not fit, x that does not increase, and values without a logarithm.
    """
    x, y, levels = as_floats(x), as_floats(y), as_floats(levels)
    _check(x, y, levels)
    empty = np.full(levels.shape, np.nan)
    no, none = np.zeros(levels.shape, bool), np.full(levels.shape, -1)
    if len(x) == 0:
        return Crossings(empty, ~np.isnan(levels), no, np.full(len(y), np.nan), none, np.zeros(levels.shape))
    known, ln_x = ~np.isnan(y), np.log(x)
    # the last known point before each place, and the first known one from there on
    before = np.maximum.accumulate(np.where(known, np.arange(len(x)), -1), axis=1)
    after = np.minimum.accumulate(np.where(known, np.arange(len(x)), len(x))[:, ::-1], axis=1)[:, ::-1]
    ln_y = np.log(np.where(known, y, 1.0))
    out = Crossings(
        empty, no, no.copy(), np.where(known.any(axis=1), x[before[:, -1]], np.nan), none, np.zeros(levels.shape)
    )
    ends = [None if given is None else np.log(as_floats(given)) for given in (upper, lower)]
    ln_y, ln_levels = np.where(known, ln_y, np.nan), np.log(levels)
    # several levels at once where the arrays stay small
    together = max(1, _MOST_NUMBERS // y.size) if y.size else 1
    for first in range(0, levels.shape[1], together):
        k = slice(first, first + together)
        step = tuple(None if one is None else one[:, k] for one in ends)
        _cross(out, k, ln_x, ln_y, ln_levels[:, k], step, before, after)
    return out


def crossing(x: npt.ArrayLike, y: npt.ArrayLike, level: float) -> float:
    """Return the x at which one falling curve reaches one level: see `crossings`.

    Parameters
    ----------
    x, y : arrays, shape (points,)
    level : float

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
    """
    if not level > 0:
        raise InputError("level", level, "has no logarithm", "it must be positive")
    x, y = as_floats(x), as_floats(y)
    if x.shape != y.shape or x.ndim != 1:
        raise InputError("x", rule=f"has shape {x.shape} and y {y.shape}", way_out="give two lists of equal length")
    known = ~np.isnan(y)
    return float(crossings(x[known], y[None, known], [[level]]).at[0, 0])


def _check(x: FloatArray, y: FloatArray, levels: FloatArray) -> None:
    if x.ndim != 1 or y.ndim != 2 or y.shape[1] != len(x):
        way_out = "give (points,) and (curves, points)"
        raise InputError("x", rule=f"has shape {x.shape} and y {y.shape}", way_out=way_out)
    if levels.ndim != 2 or len(levels) != len(y):
        way_out = f"give (curves, levels), with {len(y)} curves"
        raise InputError("levels", rule=f"have shape {levels.shape}", way_out=way_out)
    if not ((x > 0).all() and (np.diff(x) > 0).all()):
        way_out = "sort the points and drop repeated ones"
        raise InputError("x", rule="must be positive and increasing", way_out=way_out)
    for name, values in (("y holds", y[~np.isnan(y)]), ("level", levels[~np.isnan(levels)])):
        if not (values > 0).all():
            raise InputError(
                f"{name} {values.min()},", rule="which has no logarithm", way_out="it must be positive"
            )


def _cross(
    out: Crossings,
    k: slice,
    ln_x: FloatArray,
    ln_y: FloatArray,
    level: FloatArray,
    step: tuple[FloatArray | None, ...],
    before: IntArray,
    after: IntArray,
) -> None:
    """Write the crossings of some levels (curves, levels) into ``out``; ``step`` holds the ends of their steps."""
    points = ln_y.shape[1]
    # one row for each curve and level, levels of a curve side by side
    curve = np.repeat(np.arange(len(ln_y)), level.shape[1])
    height, rows = level.ravel(), np.arange(level.size)
    ln_y = ln_y[curve]
    upper, lower = (None if one is None else one.ravel() for one in step)
    if upper is not None and lower is not None:
        ln_y = np.clip(ln_y, lower[:, None], upper[:, None])
    # sums over the points before each place t = 0..points
    above, total = np.zeros((len(rows), points + 1)), np.zeros((len(rows), points + 1))
    known = ~np.isnan(ln_y)
    np.cumsum(np.where(known, ln_y - height[:, None], 0.0), axis=1, out=above[:, 1:])
    np.cumsum(known, axis=1, out=total[:, 1:])
    t = np.nan_to_num(above, nan=-np.inf).argmax(axis=1)
    left = np.where(t > 0, before[curve, t - 1], -1)
    right = np.where(t < points, after[curve, np.minimum(t, points - 1)], points)
    real = ~np.isnan(height)
    out.late[:, k] = (real & (right == points)).reshape(level.shape)
    out.early[:, k] = (real & (left < 0) & (right < points)).reshape(level.shape)
    r = np.flatnonzero(real & (left >= 0) & (right < points))
    if not len(r):
        return
    i, j = left[r], right[r]
    high = _block(above[r], total[r], i + 1, backwards=True)
    low = _block(above[r], total[r], j, backwards=False)
    width = ln_x[j] - ln_x[i]
    at, bracket, doubt = np.full(level.size, np.nan), np.full(level.size, -1), np.zeros(level.size)
    at[r], bracket[r] = np.exp(ln_x[i] + width * high / (high - low)), i
    if upper is not None and lower is not None:
        doubt[r] = _doubt((high - low) / (upper - lower)[r]) * width
    for whole, part in ((out.at, at), (out.bracket, bracket), (out.doubt, doubt)):
        whole[:, k] = part.reshape(level.shape)


def _block(above: FloatArray, total: FloatArray, t: IntArray, *, backwards: bool) -> FloatArray:
    """Height over the level of the isotonic curve's block that ends before place t, or begins there."""
    rows, places = np.arange(len(t)), np.arange(above.shape[1])
    count = np.abs(total - total[rows, t][:, None])
    side = (places < t[:, None] if backwards else places > t[:, None]) & (count > 0)
    means = (above - above[rows, t][:, None]) / np.where(side, total - total[rows, t][:, None], 1.0)
    height = np.where(side, means, np.inf).min(axis=1) if backwards else np.where(side, means, -np.inf).max(axis=1)
    return np.asarray(height)


def _doubt(part: FloatArray) -> FloatArray:
    """Standard error of the interpolation, over the distance of the two points.

    ``part`` is the part of the step that falls between them. A step much narrower than the distance lies anywhere
    in between, uniformly. For smooth steps (logistic, normal, straight, skew) at random places the root mean square
    error follows these lines: 0.006 at a part of 0.25, 0.02 at 0.45, 0.12 at 0.65, 0.2 at 0.85. Beyond, they are
    on the safe side.
    """
    part = np.clip(part, 0, 1)
    return np.asarray(np.maximum(0.12 * part**2, (part - 0.45) / 0.55 / np.sqrt(12)))


def falling(y: npt.ArrayLike) -> FloatArray:
    """Return the decreasing curves nearest to ``y`` in ln y, shape (curves, points).

    Places without a value (NaN) take the one before; those before the first value stay NaN.
    """
    y = as_floats(y)
    out = np.full(y.shape, np.nan)
    for row, values in zip(out, y, strict=True):
        known = np.flatnonzero(~np.isnan(values))
        if len(known):
            fitted = np.exp(isotonic_regression(np.log(values[known]), increasing=False).x)
            places = np.searchsorted(known, np.arange(len(values)), side="right") - 1
            row[known[0] :] = fitted[places[known[0] :]]
    return out
