"""Draws: keys of counter-based streams, and outcomes by their probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rhmtheory.support.checks import as_generator
from rhmtheory.support.types import FloatArray

Key = tuple[np.uint64, np.uint64]


def random_key(seed: int | np.random.Generator) -> Key:
    """The key of a counter-based generator: two halves of 32 bits. A generator is advanced."""
    key = int(as_generator(seed).integers(2**64, dtype=np.uint64))
    return np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)


def draw_outcomes(weights: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """One outcome for each row of weights (..., outcomes), by these; they need not sum to one."""
    cumulative = weights.cumsum(axis=-1)
    number = rng.random((*weights.shape[:-1], 1)) * cumulative[..., -1:]
    # one of weight zero cannot come up
    return np.asarray((cumulative[..., :-1] <= number).sum(axis=-1))
