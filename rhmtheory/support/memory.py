"""How much memory the machine has, and room in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import inf, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.support.errors import InputError


def memory_size() -> float:
    """Bytes of the machine's memory; infinite where the system does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return inf


TooMany = tuple[str, Any, str, str]


def allocate(shapes: Sequence[tuple[int, ...]], dtype: npt.DTypeLike, too_many: TooMany) -> list[npt.NDArray[Any]]:
    """Arrays of these shapes to be filled, or an `InputError` where the machine cannot hold them all.

    ``too_many`` says name, value, rule and way out of the error; ``{size}`` in the rule is what they need.
    """
    size = sum(map(prod, shapes)) * np.dtype(dtype).itemsize
    name, value, rule, way_out = too_many
    error = InputError(name, value, rule.format(size=f"{size / 2**30:.3g} GiB"), way_out)
    # arrays larger than the memory may be given, and the process ended when they are filled
    if size > memory_size():
        raise error
    try:
        return [np.empty(shape, dtype) for shape in shapes]
    except (MemoryError, ValueError) as reason:
        raise error from reason
