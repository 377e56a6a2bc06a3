"""Bootstrap intervals over realisations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rhmtheory._support.checks import as_int
from rhmtheory._support.types import as_floats


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
