"""What is observed in a sentence: tokens that are not hidden, and symbols given on top, checked and laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from rhmtheory.support.checks import as_int, as_integers
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.tree.tables import Tables

_Scalar = TypeVar("_Scalar", bound=np.generic)
Mask = npt.NDArray[np.bool_]


class Piece(NamedTuple):
    """Symbols of consecutive nodes of a level from ``first`` on: (n, nodes), or one row for all samples."""

    level: int
    first: int
    symbols: IntArray
    hidden: Mask


class Soft(NamedTuple):
    """Likelihoods of the symbols of all nodes of a level, (n or 1, width, v_l), and where they are hidden."""

    level: int
    beliefs: FloatArray
    hidden: Mask


class Evidence(NamedTuple):
    """Observed symbols of some samples, by level, and likelihoods of others."""

    samples: int
    pieces: list[Piece]
    soft: Sequence[Soft] = ()

    def rows(self, start: int, stop: int, level: int, width: int) -> npt.NDArray[np.int32]:
        """Observed symbols of a level for samples start .. stop - 1, -1 where hidden; empty where all are."""
        pieces = [piece for piece in self.pieces if piece.level == level]
        out = np.full((stop - start, width if pieces else 0), -1, np.int32)
        for _, first, symbols, hidden in pieces:
            given, seen = rows_of(symbols, start, stop), ~rows_of(hidden, start, stop)
            np.copyto(out[:, first : first + symbols.shape[1]], given, casting="unsafe", where=seen)
        return out


def read_evidence(
    tables: Tables,
    given: npt.ArrayLike,
    mask: npt.ArrayLike | None,
    symbols: Mapping[int, npt.ArrayLike] | None,
    *,
    hide_last: bool = True,
) -> tuple[Evidence, bool]:
    """Check what is given; returns the evidence, and whether it is one sample alone.

    Without a mask the last token is hidden, but neither with beliefs nor without ``hide_last``.
    """
    shape, array = tables.shape, np.asarray(given) if not isinstance(given, list) else _as_array(given)
    pieces, soft = [], []
    if array.dtype.kind == "f" and array.ndim > 1:
        single = array.ndim == 2
        hidden = _read_mask(shape.d, np.zeros(shape.d, bool) if mask is None else mask, array.shape[:-1])
        soft.append(_read_beliefs("beliefs", tables, 0, array, hidden, None))
        n = len(soft[0].beliefs)
    else:
        tokens, single = as_samples("tokens", given)
        n = len(tokens)
        if tokens.shape[1] != shape.d:
            rule = f"have shape {np.shape(given)}"
            raise InputError("tokens", NOT_SAID, rule, f"the last axis must hold d={shape.d} tokens")
        hidden = _read_mask(
            shape.d, np.arange(shape.d) == shape.d - hide_last if mask is None else mask, array.shape
        )
        check_symbols("tokens", tokens, shape.n_symbols(0), hidden)
        pieces.append(Piece(0, 0, tokens, hidden))
    for level, above in sorted((symbols or {}).items()):
        level = as_int("level of symbols", level, low=1, high=shape.L)
        name, width = f"symbols[{level}]", shape.width(level)
        array = np.asarray(above)
        if array.dtype.kind == "f" and array.ndim > 1:
            soft.append(_read_beliefs(name, tables, level, array, np.zeros((1, width), bool), n))
            continue
        row, _ = as_samples(name, above)
        if row.shape not in ((1, width), (n, width)):
            rule = f"have shape {np.shape(above)}"
            raise InputError(name, NOT_SAID, rule, f"give ({n}, {width}) or ({width},)")
        check_symbols(name, row, shape.n_symbols(level), row == -1)
        pieces.append(Piece(level, 0, row, row == -1))
    return Evidence(n, pieces, soft), single


def _as_array(given: list[Any]) -> npt.NDArray[Any]:
    """An array of nested lists; ragged ones are left to the check of tokens."""
    try:
        return np.asarray(given)
    except ValueError:
        return np.empty(0, object)


def _read_beliefs(
    name: str, tables: Tables, level: int, array: npt.NDArray[Any], hidden: Mask, samples: int | None
) -> Soft:
    """Likelihoods of the symbols of a level, as (samples, width, v_l), checked where they are not hidden."""
    width, v = tables.shape.width(level), tables.shape.n_symbols(level)
    if array.ndim not in (2, 3) or array.shape[-2:] != (width, v):
        rule = f"have shape {array.shape}"
        raise InputError(
            name, NOT_SAID, rule, f"give ({samples or 'P'}, {width}, {v}), a likelihood of each symbol"
        )
    beliefs = array.reshape(-1, width, v).astype(np.float64, copy=False)
    if samples is not None and len(beliefs) not in (1, samples):
        way_out = f"give ({samples}, {width}, {v}) or ({width}, {v})"
        raise InputError(name, NOT_SAID, f"have shape {array.shape}", way_out)
    seen = ~hidden[..., None]
    wrong = np.argwhere(seen & ~((beliefs >= 0) & (beliefs < np.inf)))
    if len(wrong):
        i, j, a = map(int, wrong[0])
        rule = f"hold {beliefs[i, j, a]} at [{i}, {j}, {a}]"
        raise InputError(name, NOT_SAID, rule, "likelihoods are finite and not negative")
    nothing = np.argwhere(~(beliefs > 0).any(axis=-1) & ~hidden)
    if len(nothing):
        i, j = map(int, nothing[0])
        rule = f"are all zero at [{i}, {j}], node {j} of level {level}"
        raise InputError(name, NOT_SAID, rule, "leave at least one symbol possible, or hide the node")
    return Soft(level, beliefs, hidden)


def _read_mask(d: int, mask: npt.ArrayLike, shape: tuple[int, ...]) -> Mask:
    """Booleans, (1, d) or (n, d)."""
    given = np.asarray(mask)
    if given.dtype != np.bool_:
        rule = f"is of type {given.dtype}"
        raise InputError("mask", NOT_SAID, rule, "give booleans, True where a token is hidden")
    if given.shape not in ((d,), shape):
        way_out = f"give ({d},) for one that all samples share, or the shape of the tokens, {shape}"
        raise InputError("mask", NOT_SAID, f"has shape {given.shape}", way_out)
    return given.reshape(-1, d)


def as_samples(name: str, given: npt.ArrayLike) -> tuple[IntArray, bool]:
    """The array as (samples, entries), and whether it is one sample alone."""
    array = as_integers(name, given)
    if array.ndim not in (1, 2):
        rule = f"have shape {array.shape}"
        raise InputError(name, NOT_SAID, rule, "give one axis for one sample, two for several")
    return array[None] if array.ndim == 1 else array, array.ndim == 1


def check_symbols(name: str, array: IntArray, v: int, hidden: Mask) -> None:
    """Raise `InputError` for a symbol outside 0..v-1 that is not hidden."""
    if array.dtype.kind == "u" and np.iinfo(array.dtype).max < v:
        return
    wrong = (array < 0) | (array >= v)
    if wrong.any():
        at = np.argwhere(wrong & ~hidden)
        if len(at):
            i, j = map(int, at[0])
            rule = f"hold {array[i, j]} at [{i}, {j}], outside 0..{v - 1}"
            raise InputError(name, NOT_SAID, rule, "hide it, or correct it")


def rows_of(array: npt.NDArray[_Scalar], start: int, stop: int) -> npt.NDArray[_Scalar]:
    """Rows of some samples; one row stands for all."""
    return array if len(array) == 1 else array[start:stop]
