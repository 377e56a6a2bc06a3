"""The slope of points."""

from __future__ import annotations

import numpy.typing as npt

from rhmtheory.support.types import as_floats


def slope(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Least-squares slope of y against x; NaN for fewer than two points."""
    dx, dy = as_floats(x), as_floats(y)
    if len(dx) < 2:
        return float("nan")
    dx, dy = dx - dx.mean(), dy - dy.mean()
    return float(dx @ dy / (dx @ dx))
