"""What is observed in a sentence: tokens that are not hidden, and symbols given on top, checked and laid out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from rhmtheory.language.grammar import Grammar
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_int, as_integers
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import IntArray

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

    def some(self, samples: npt.NDArray[np.int64]) -> Evidence:
        """The evidence of these samples alone."""

        def of(array: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
            return array if len(array) == 1 else array[samples]

        pieces = [Piece(p.level, p.first, of(p.symbols), of(p.hidden)) for p in self.pieces]
        return Evidence(len(samples), pieces)


def read_evidence(
    grammar: Grammar,
    tokens: npt.ArrayLike,
    mask: npt.ArrayLike | None,
    symbols: Mapping[int, npt.ArrayLike] | None,
) -> tuple[Evidence, Mask, bool]:
    """Check what is given; returns the evidence, the mask (n or 1, d), and whether it is one sample alone."""
    rhm = grammar.rhm
    array, single = as_samples("tokens", tokens)
    n = len(array)
    if array.shape[1] != rhm.d:
        raise InputError(f"tokens have shape {np.shape(tokens)}: the last axis must hold d={rhm.d} tokens")
    hidden = _read_mask(rhm, mask, np.shape(tokens))
    check_symbols("tokens", array, rhm.n_symbols(0), hidden)
    pieces = [Piece(0, 0, array, hidden)]
    for level, given in sorted((symbols or {}).items()):
        level = as_int("level of symbols", level, low=1, high=rhm.L)
        name, width = f"symbols[{level}]", rhm.width(level)
        above, _ = as_samples(name, given)
        if above.shape not in ((1, width), (n, width)):
            raise InputError(f"{name} have shape {np.shape(given)}: give ({n}, {width}) or ({width},)")
        check_symbols(name, above, rhm.n_symbols(level), above == -1)
        pieces.append(Piece(level, 0, above, above == -1))
    return Evidence(n, pieces), hidden, single


def _read_mask(rhm: RHM, mask: npt.ArrayLike | None, shape: tuple[int, ...]) -> Mask:
    """Booleans, (1, d) or (n, d), from booleans or from positions of hidden tokens."""
    given = np.asarray(rhm.d - 1 if mask is None else mask)
    if given.size == 0 and given.ndim == 1:  # an empty list has no type
        given = given.astype(np.int64)
    if given.dtype.kind in "iu":
        hidden = np.zeros((1, rhm.d), bool)
        hidden[0, as_positions(rhm, given)] = True
        return hidden
    if given.dtype != np.bool_:
        raise InputError(
            f"mask is of type {given.dtype}: give booleans, True where a token is hidden, or positions"
        )
    if given.shape not in ((rhm.d,), shape):
        raise InputError(
            f"mask has shape {given.shape}: give ({rhm.d},) for one that all samples share, or the shape of the "
            f"tokens, {shape}"
        )
    return given.reshape(-1, rhm.d)


def as_positions(rhm: RHM, given: IntArray) -> npt.NDArray[np.int64]:
    """Positions of hidden tokens, counted from the front; negative ones are from the end, as for an index."""
    if given.ndim > 1:
        raise InputError(
            f"mask holds integers of shape {given.shape}: positions are one list, all samples share them"
        )
    positions = np.atleast_1d(given).astype(np.int64)
    outside = positions[(positions < -rhm.d) | (positions >= rhm.d)]
    if len(outside):
        raise InputError(f"mask names position {outside[0]}, but a sentence has d={rhm.d} tokens: 0..{rhm.d - 1}")
    positions = positions % rhm.d
    if len(np.unique(positions)) < len(positions):
        raise InputError(
            f"mask holds the integers {positions.tolist()}, which are positions, and one is named twice: "
            "give each once, or booleans (True where a token is hidden)"
        )
    return positions


def as_samples(name: str, given: npt.ArrayLike) -> tuple[IntArray, bool]:
    """The array as (samples, entries), and whether it is one sample alone."""
    array = as_integers(name, given)
    if array.ndim not in (1, 2):
        raise InputError(f"{name} have shape {array.shape}: give one axis for one sample, two for several")
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
            raise InputError(f"{name} hold {array[i, j]} at [{i}, {j}], outside 0..{v - 1}: hide it, or correct it")


def rows_of(array: npt.NDArray[_Scalar], start: int, stop: int) -> npt.NDArray[_Scalar]:
    """Rows of some samples; one row stands for all."""
    return array if len(array) == 1 else array[start:stop]
