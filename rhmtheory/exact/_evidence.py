"""What is observed in a sentence: tokens that are not hidden, and symbols given on top, checked and laid out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from rhmtheory.support.checks import as_int, as_integers
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.types import IntArray
from rhmtheory.tree.tables import Tables

_Scalar = TypeVar("_Scalar", bound=np.generic)
Mask = npt.NDArray[np.bool_]


class Piece(NamedTuple):
    """Symbols of consecutive nodes of a level from ``first`` on: (n, nodes), or one row for all samples."""

    level: int
    first: int
    symbols: IntArray
    hidden: Mask


class Evidence(NamedTuple):
    """Observed symbols of some samples, by level."""

    samples: int
    pieces: list[Piece]

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
    tokens: npt.ArrayLike,
    mask: npt.ArrayLike | None,
    symbols: Mapping[int, npt.ArrayLike] | None,
) -> tuple[Evidence, bool]:
    """Check what is given; returns the evidence, and whether it is one sample alone."""
    shape = tables.shape
    array, single = as_samples("tokens", tokens)
    n = len(array)
    if array.shape[1] != shape.d:
        rule = f"have shape {np.shape(tokens)}"
        raise InputError("tokens", NOT_SAID, rule, f"the last axis must hold d={shape.d} tokens")
    hidden = _read_mask(shape.d, mask, np.shape(tokens))
    check_symbols("tokens", array, shape.n_symbols(0), hidden)
    pieces = [Piece(0, 0, array, hidden)]
    for level, given in sorted((symbols or {}).items()):
        level = as_int("level of symbols", level, low=1, high=shape.L)
        name, width = f"symbols[{level}]", shape.width(level)
        above, _ = as_samples(name, given)
        if above.shape not in ((1, width), (n, width)):
            rule = f"have shape {np.shape(given)}"
            raise InputError(name, NOT_SAID, rule, f"give ({n}, {width}) or ({width},)")
        check_symbols(name, above, shape.n_symbols(level), above == -1)
        pieces.append(Piece(level, 0, above, above == -1))
    return Evidence(n, pieces), single


def _read_mask(d: int, mask: npt.ArrayLike | None, shape: tuple[int, ...]) -> Mask:
    """Booleans, (1, d) or (n, d); without a mask the last token is hidden."""
    given = np.asarray(np.arange(d) == d - 1 if mask is None else mask)
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
