"""Tuples of symbols as numbers: in base v, the first child most significant."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.support.errors import InputError

_LARGEST = 2**63 - 1


def count(v: int, s: int, way_out: str = "lower v or s") -> int:
    """Number ``v**s`` of s-tuples of v symbols; raises `InputError` where they cannot be numbered in 63 bits."""
    if not can_be_numbered(v, s):
        raise InputError(f"v**s = {v}**{s} tuples", rule="cannot be numbered in 63 bits", way_out=way_out)
    return int(v**s)


def can_be_numbered(v: int, s: int) -> bool:
    """Whether the numbers of s-tuples of v symbols fit in 63 bits."""
    return bool(v**s <= _LARGEST)


def encode(tuples: npt.NDArray[Any], v: int) -> npt.NDArray[np.int64]:
    """Numbers (...) of tuples (..., s) of symbols 0 .. v - 1."""
    numbers = np.zeros(tuples.shape[:-1], dtype=np.int64)
    for p in range(tuples.shape[-1]):
        numbers *= v
        numbers += tuples[..., p].astype(np.int64)
    return numbers


def decode(numbers: npt.NDArray[np.int64], v: int, s: int) -> npt.NDArray[np.int64]:
    """Tuples (..., s) of symbols 0 .. v - 1 from their numbers (...)."""
    out = np.empty((*numbers.shape, s), dtype=np.int64)
    for p in range(s - 1, -1, -1):
        numbers, out[..., p] = np.divmod(numbers, v)
    return out
