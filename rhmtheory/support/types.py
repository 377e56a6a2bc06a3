"""Array types used in signatures, and the conversion to the commonest of them."""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer[Any]]


def as_floats(values: npt.ArrayLike) -> FloatArray:
    """Array of float64."""
    return np.asarray(values, dtype=np.float64)
