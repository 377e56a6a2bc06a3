"""Slopes that do not hang on a grid or on one choice of window: fixed lags, weights, and all admissible windows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rhmtheory.support.types import FloatArray

LAGS_PER_OCTAVE = 6
"""Lags measured for each doubling of the distance."""
LEAST_SHARE = 0.5
"""Part of the whole window, on a logarithmic axis, that an admissible one covers."""
LEAST_POINTS = 3
"""Points that a fit needs."""


def lags_up_to(largest: int) -> npt.NDArray[np.int64]:
    """Lags from 1, evenly on a logarithmic axis: a larger ``largest`` adds lags and moves none."""
    octaves = np.arange(LAGS_PER_OCTAVE * int(np.log2(largest) + 1) + 1) / LAGS_PER_OCTAVE
    lags = np.unique((2.0**octaves).round().astype(np.int64))
    return lags[lags <= largest]


def slope_weights(x: FloatArray) -> FloatArray:
    r"""Coefficients ``c`` of a slope ``c @ y``: least squares over the axis, not over the points on it.

    Each point counts for the part of the axis that is nearest to it, ``w_i = (x_(i+1) - x_(i-1)) / 2``, so that
    a denser grid changes the slope no more than its points tell anything new:
    ``c_i = w_i (x_i - mean) / sum_j w_j (x_j - mean)**2`` with ``mean = sum w x / sum w``.
    """
    w = np.gradient(x)
    w[[0, -1]] /= 2  # what lies beyond the ends is not in the window
    dx = x - w @ x / w.sum()
    return np.asarray(w * dx / (w @ dx**2))


def admissible(x: FloatArray) -> FloatArray:
    """Slopes over every admissible window of the points, shape (windows, points): see `slope_weights`.

    A window is a run of at least `LEAST_POINTS` points that covers `LEAST_SHARE` of the axis between the first and
    the last point. The first row is the slope over all points.
    """
    rows = []
    for first in range(len(x)):
        for last in range(len(x) - 1, first + LEAST_POINTS - 2, -1):
            # equal but for rounding counts as covered
            if x[last] - x[first] >= LEAST_SHARE * (x[-1] - x[0]) * (1 - 1e-12):
                row = np.zeros(len(x))
                row[first : last + 1] = slope_weights(x[first : last + 1])
                rows.append(row)
    return np.array(rows)
