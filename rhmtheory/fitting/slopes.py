"""Slopes of points, and whether the points lie on a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
import numpy.typing as npt

from rhmtheory.support.types import FloatArray, as_floats
from rhmtheory.support.values import ByValue

_IMPROBABLE = 0.05


def slope(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the least-squares slope of y against x; NaN for fewer than two points.

    Parameters
    ----------
    x, y : arrays, shape (points,)
    """
    dx, dy = as_floats(x), as_floats(y)
    if len(dx) < 2:
        return float("nan")
    dx, dy = dx - dx.mean(), dy - dy.mean()
    return float(dx @ dy / (dx @ dx))


@dataclass(frozen=True, eq=False)
class LineFit(ByValue):
    """How well points lie on a line. Made by `line_fit`.

    Attributes
    ----------
    chi_square : float
        Squared distances from the best line in units of standard errors; NaN for two points, or without errors.
    freedom : int
        Points less two.
    probability : float
        Probability of so large a distance where the points do lie on a line: Fisher's, as the errors are measured.
    local : tuple of float
        Slopes from each point to the next.
    """

    chi_square: float
    freedom: int
    probability: float
    local: tuple[float, ...]

    @property
    def is_line(self) -> bool:
        """Whether nothing speaks against a line, at five percent."""
        return isnan(self.probability) or self.probability >= _IMPROBABLE

    def __str__(self) -> str:
        local = ", ".join(f"{value:.2g}" for value in self.local)
        if isnan(self.chi_square):
            return f"local slopes {local}; too little to tell a line"
        word = "a line fits" if self.is_line else "no line"
        return f"{word}: chi-square {self.chi_square:.2g}, {self.freedom} degrees of freedom; local slopes {local}"


def line_fit(x: npt.ArrayLike, samples: Sequence[npt.ArrayLike], known: npt.ArrayLike = 0.0) -> LineFit:
    """Return how well the means of independent samples lie on a line against x.

    Parameters
    ----------
    x : array, shape (points,)
        Rising.
    samples : sequence of arrays
        Independent values at each point.
    known : float or array, shape (points,)
        Further variance of each mean.
    """
    points, values = as_floats(x), [as_floats(sample) for sample in samples]
    means = np.array([sample.mean() for sample in values])
    steps = np.diff(points)
    local = tuple(float(rise / step) for rise, step in zip(np.diff(means), steps, strict=True) if step > 0)
    freedom, spare = len(points) - 2, sum(len(sample) - 1 for sample in values)
    if freedom < 1 or min(map(len, values)) < 2:
        return LineFit(nan, max(freedom, 0), nan, local)
    scatter: FloatArray = np.array([sample.var(ddof=1) / len(sample) for sample in values])
    variance = scatter + as_floats(known)
    if not (variance > 0).all():
        return LineFit(nan, freedom, nan, local)
    design = np.stack([np.ones_like(points), points], axis=1) / np.sqrt(variance)[:, None]
    scaled: FloatArray = means / np.sqrt(variance)
    residual = scaled - design @ np.linalg.lstsq(design, scaled, rcond=None)[0]
    from scipy.special import fdtrc  # a prediction, which needs slopes, does not wait for it

    chi_square = float(residual @ residual)
    return LineFit(chi_square, freedom, float(fdtrc(freedom, spare, chi_square / freedom)), local)
