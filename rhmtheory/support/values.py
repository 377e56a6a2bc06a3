"""Objects that are equal where all they hold is equal, arrays and undefined numbers among it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


class ByValue:
    """Base of dataclasses declared with ``eq=False``: equal by type and value; NaN equals NaN; not hashable."""

    def __eq__(self, other: object) -> bool:
        return same(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal: arrays entry by entry, containers and dataclasses part by part."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        first, second = np.asarray(one), np.asarray(other)
        if first.dtype.kind in "fc" and second.dtype.kind in "fc":
            return bool(np.array_equal(first, second, equal_nan=True))
        return bool(np.array_equal(first, second))
    if isinstance(one, ByValue) and type(one) is type(other) and is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)) and type(one) is type(other):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or bool(one != one and other != other)
