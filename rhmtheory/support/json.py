"""Results as plain numbers, lists and dicts that any JSON reader understands."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

_DEEPEST, _LARGEST = 50, 10**40


def plain(value: Any) -> Any:
    """Turn arrays, tuples, dataclasses and numpy numbers into plain ones; what is not finite becomes None."""
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def parse(text: str) -> Any:
    """Read JSON; raises `ValueError` for what is none, and as `check_plain` does."""
    try:
        return check_plain(json.loads(text))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def check_plain(value: Any) -> Any:
    """Return nested lists and dicts, unless they are deeper than 50 or hold an integer of more than 40 digits.

    Such values come from damaged files alone, and would fail later, far from where they were read. Raises
    `ValueError`.
    """
    level = [value]
    for _ in range(_DEEPEST):
        if any(isinstance(one, int) and abs(one) >= _LARGEST for one in level):
            raise ValueError("an integer has more than 40 digits")
        level = [below for one in level if isinstance(one, (list, dict)) for below in _parts(one)]
        if not level:
            return value
    raise ValueError("it is nested too deeply")


def _parts(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value
