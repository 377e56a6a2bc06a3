"""Input checks shared by every public function: one error type, messages with value, rule and way out."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from rhmtheory.support.errors import InputError


def as_int(name: str, value: Any, *, low: int | None = None, high: int | None = None) -> int:
    """Return ``value`` as a Python int within ``[low, high]``, or raise `InputError`."""
    if isinstance(value, (bool, np.bool_)):
        raise InputError(name, value, "is a truth value", "give an integer")
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(name, value, "is not an integer", "give a whole number such as 4") from None
    if low is not None and number < low:
        raise InputError(name, number, "is too small", f"it must be at least {low}")
    if high is not None and number > high:
        raise InputError(name, number, "is too large", f"it must be at most {high}")
    return number


def as_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``choices``, or raise `InputError` listing them."""
    if value not in choices:
        raise InputError(name, value, "is unknown", f"choose one of {', '.join(choices)}")
    return str(value)


def as_generator(seed: int | np.random.Generator) -> np.random.Generator:
    """Return a `numpy.random.Generator` from a generator (as it is) or a non-negative int."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(as_int("seed", seed, low=0))


def as_pair(name: str, value: Any, hint: str) -> tuple[Any, Any]:
    """Return the two entries of ``value``, or raise `InputError`; ``hint`` says what to give, with an example."""
    try:
        first, second = value
    except (TypeError, ValueError):
        raise InputError(name, value, "is not a pair", f"give two {hint}") from None
    return first, second


def as_confidence(value: Any) -> float:
    """Return how often an interval is to hold the truth, between zero and one, or raise `InputError`."""
    number = as_numbers("confidence", value)
    if number.ndim or not 0 < number < 1:
        raise InputError("confidence", value, "is no share of intervals", "give one between 0 and 1, such as 0.95")
    return float(number)


def smallest_unsigned(count: int) -> np.dtype[Any]:
    """Smallest unsigned integer dtype that holds ``0 .. count - 1``."""
    return np.min_scalar_type(max(count - 1, 0))


def as_numbers(name: str, value: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return an array of real numbers, or raise `InputError`."""
    try:
        array = np.asarray(value)
        # of complex numbers a part would be lost with no more than a warning
        return array.astype(np.float64, casting="same_kind" if array.dtype.kind == "c" else "unsafe", copy=False)
    except (TypeError, ValueError):
        raise InputError(name, rule="must hold real numbers", way_out="give a rectangular array of them") from None


def as_probabilities(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return probabilities of the given shape whose last axis sums to one, or raise `InputError`."""
    p = as_numbers(name, value)
    if p.shape != shape:
        raise InputError(name, rule=f"have shape {p.shape}", way_out=f"they must have shape {shape}")
    bad = np.argwhere(~(p >= 0) | np.isinf(p))
    if len(bad):
        at = tuple(map(int, bad[0]))
        raise InputError(
            name, rule=f"hold {p[at]} at {list(at)}", way_out="probabilities are finite and not negative"
        )
    total = p.sum(axis=-1)
    # a softmax in single precision sums to one within 1e-6
    wrong = np.argwhere(np.abs(np.atleast_1d(total) - 1) > 1e-6)
    if len(wrong):
        at = tuple(map(int, wrong[0])) if p.ndim > 1 else ()
        where = f" at {list(at)}" if at else ""
        raise InputError(
            name,
            rule=f"{where} sum to {total[at]:.10g}".strip(),
            way_out="they must sum to one; divide by their sum",
        )
    # what is one but for rounding stays as it is, so that stored tables come back bit for bit
    return p / np.where(np.abs(total - 1) > 1e-12, total, 1.0)[..., None]


def as_integers(name: str, value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return an array of integers (symbols, tokens), or raise `InputError`; an empty one may have any type."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(1, object)
    if array.dtype == object and array.size:
        raise InputError(name, rule="are ragged", way_out="give rows of one length, or one long sequence")
    if array.dtype.kind not in "iu" and array.size:
        raise InputError(name, rule=f"are of type {array.dtype}", way_out="give integers, counted from zero")
    return array


def as_tokens(value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return tokens as an integer array of shape (N,) or (n, d), or raise `InputError`."""
    array = as_integers("tokens", value)
    if array.ndim not in (1, 2):
        raise InputError(
            "tokens", rule=f"have shape {array.shape}", way_out="give (n, d), or (N,) for one long sequence"
        )
    return array


def check_tokens(tokens: np.ndarray[Any, np.dtype[Any]], v: int, way_out: str) -> None:
    """Raise `InputError` for a token outside ``0 .. v - 1``; kernels index with tokens unchecked.

    ``way_out`` says what this caller can do about a token that is too large; ``{needed}`` in it is the number of
    symbols that would do.
    """
    if tokens.size == 0:
        return
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0:
        raise InputError(
            "tokens", rule=f"hold {low}", way_out="they are counted from zero; shift them or map them to 0..v-1"
        )
    if high >= v:
        raise InputError("tokens", rule=f"hold {high}, outside 0..{v - 1}", way_out=way_out.format(needed=high + 1))
