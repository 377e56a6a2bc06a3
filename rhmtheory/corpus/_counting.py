"""Counts of pairs that grow piece by piece, and the pieces and pairs that users name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory._kernels import counting as kernels
from rhmtheory._kernels import spectral
from rhmtheory.support.checks import as_int, as_tokens, check_tokens, smallest_unsigned
from rhmtheory.support.errors import InputError
from rhmtheory.support.parallel import for_ranges
from rhmtheory.support.reading import PIECE_TOKENS, npy_pieces
from rhmtheory.support.types import FloatArray
from rhmtheory.tree._tuples import count

Ends = tuple[npt.NDArray[Any], npt.NDArray[Any]] | None

_LARGEST_TABLE = 1 << 27
"""Counts in one table (1 GiB)."""
_LEAST_PAIRS_A_THREAD = 1 << 18


class Counter:
    """Counts that grow piece by piece."""

    def __init__(
        self, vocabulary: int, groups: npt.NDArray[np.int64], tuple_size: int, threads: int | None
    ) -> None:
        left = count(vocabulary, tuple_size, "use shorter tuples")
        if len(groups) * left * vocabulary > _LARGEST_TABLE:
            raise InputError(
                f"{len(groups)} groups of {left} x {vocabulary} counts",
                rule="are more than 2**27 (1 GiB)",
                way_out="use fewer distances or shorter tuples, or merge rare tokens into one symbol",
            )
        self.vocabulary, self.groups, self.tuple_size, self.threads = vocabulary, groups, tuple_size, threads
        self.counts = np.zeros((len(groups), left, vocabulary), np.int64)
        self.sequences = self.tokens = 0
        self.ndim: int | None = None
        # a pair needs at most this many tokens, less one: its width, or its last position
        extra = tuple_size - 1
        self.reach = int(groups.max()) + extra if groups.ndim == 1 else int(np.add(groups, [extra, 0]).max())
        self.head = self.tail = np.empty(0, smallest_unsigned(vocabulary))

    def feed(self, piece: npt.NDArray[Any]) -> None:
        """Count sequences (n, d), or the continuation (N,) of the sequence so far."""
        if self.ndim not in (None, piece.ndim):
            raise InputError(
                "batches",
                rule=f"have {self.ndim} and {piece.ndim} axes",
                way_out="give all of them as (n, d) or as (N,)",
            )
        self.ndim = piece.ndim
        check_tokens(piece, self.vocabulary, "raise vocabulary to {needed}")
        if piece.ndim == 1:
            if self.groups.ndim == 2:
                raise InputError(
                    "`pairs` of positions",
                    rule="need sequences (n, d)",
                    way_out="for one long sequence give `distances`",
                )
            for start in range(0, len(piece), PIECE_TOKENS):
                part = piece[start : start + PIECE_TOKENS].astype(self.tail.dtype)
                self._count(part[None], 1)
                self._join(part, part)
                self.tokens += len(part)
            self.sequences = 1
            return
        n, d = piece.shape
        if d <= self.reach:
            raise InputError(
                f"sequences of {d} tokens",
                rule=f"have no pair {self.reach + 1} tokens wide",
                way_out="stay within them",
            )
        rows = max(1, PIECE_TOKENS // d)
        for start in range(0, n, rows):
            self._count(piece[start : start + rows].astype(self.tail.dtype), 1)
        self.sequences += n
        self.tokens += n * d

    def add(self, counts: npt.NDArray[np.int64], tokens: int, sequences: int, ends: Ends) -> None:
        """Add finished counts; ``ends`` are the first and last tokens of one long sequence."""
        self.counts += counts
        self.tokens += tokens
        if ends is None:
            self.ndim, self.sequences = 2, self.sequences + sequences
        else:
            self.ndim, self.sequences = 1, 1
            self._join(*ends)

    @property
    def ends(self) -> Ends:
        """First and last tokens of one long sequence, as many as a pair across a border needs; None for others."""
        return (self.head, self.tail) if self.ndim == 1 else None

    def _join(self, head: npt.NDArray[Any], tail: npt.NDArray[Any]) -> None:
        """Count the pairs across the border to what follows, and move on."""
        head, keep = head[: self.reach], self.reach
        if len(self.tail) and len(head):
            # of the two ends side by side, what lies within either was counted before
            self._count(np.concatenate([self.tail, head])[None], 1)
            self._count(self.tail[None], -1)
            self._count(head[None], -1)
        if len(self.head) < keep:
            self.head = np.concatenate([self.head, head])[:keep]
        self.tail = np.concatenate([self.tail, tail])[-keep:].copy() if len(tail) < keep else tail[-keep:].copy()

    def _count(self, rows: npt.NDArray[Any], sign: int) -> None:
        """Add ``sign`` times the counts of rows (n, d)."""
        counts = self.counts if sign > 0 else np.zeros_like(self.counts)
        left, extra = rows, self.tuple_size - 1
        if extra:
            if rows.shape[1] <= extra:
                return
            left = np.empty((len(rows), rows.shape[1] - extra), smallest_unsigned(counts.shape[1]))
            for_ranges(
                lambda a, b: kernels.tuple_codes(left, rows, self.vocabulary, self.tuple_size, 1, a, b),
                len(rows),
                threads=self.threads,
            )
        work: Callable[[int, int], object]
        if self.groups.ndim == 1:
            shifts = self.groups + extra

            def work(a: int, b: int) -> None:
                kernels.count_shifted(counts, left, rows, shifts, a, b)
        else:
            i, j = np.ascontiguousarray(self.groups.T)

            def work(a: int, b: int) -> None:
                kernels.count_at(counts, left, rows, i, j, a, b)

        least = max(1, _LEAST_PAIRS_A_THREAD // rows.size)
        for_ranges(work, len(self.groups), threads=self.threads, least=least)
        if sign < 0:
            self.counts -= counts


def as_batches(tokens: Any, vocabulary: int | None) -> tuple[Iterator[Any], int]:
    """Return what was given as batches, and the number of symbols."""
    if vocabulary is not None:
        vocabulary = as_int("vocabulary", vocabulary, low=1)
    if isinstance(tokens, (str, os.PathLike)):
        if vocabulary is None:
            vocabulary = 1 + max(int(piece.max()) for piece in npy_pieces(tokens))
        return npy_pieces(tokens), vocabulary
    if isinstance(tokens, Iterator) or (isinstance(tokens, Iterable) and not hasattr(tokens, "__len__")):
        batches = iter(tokens)
        if vocabulary is None:
            raise InputError(
                "vocabulary",
                rule="is not given, and batches are seen only once",
                way_out="give the number of symbols",
            )
        first = next(batches, None)
        if first is None:
            raise InputError("tokens", rule="hold no batches", way_out="give at least one")
        return chain([first], batches), vocabulary
    array = as_tokens(tokens)
    if array.size == 0:
        raise no_tokens()
    return iter([array]), int(array.max()) + 1 if vocabulary is None else vocabulary


def no_tokens() -> InputError:
    """The error of data that hold nothing."""
    return InputError("tokens", rule="hold no tokens", way_out="give at least one sequence")


def as_groups(distances: Any, pairs: Any, tuple_size: int) -> npt.NDArray[np.int64]:
    """Return distances, shape (groups,), or pairs of positions, shape (groups, 2), whichever was given."""
    if (distances is None) == (pairs is None):
        raise InputError(
            "distances",
            rule="and `pairs` are two ways to name pairs",
            way_out="give either `distances` or `pairs` of positions",
        )
    if distances is not None:
        checked = [as_int("distance", t, low=1) for t in distances]
        if not checked:
            raise InputError("distances", rule="are empty", way_out="give at least one, such as range(1, 33)")
        return np.array(checked, np.int64)
    for pair in pairs:
        if len(pair) != 2:
            raise InputError("pair", pair, f"has {len(pair)} positions", "give (i, j)")
        i, j = (as_int("position", x, low=0) for x in pair)
        if i <= j < i + tuple_size:
            raise InputError(
                "pair", (i, j), "pairs a token with itself", f"put j outside {i}..{i + tuple_size - 1}"
            )
    if len(pairs) == 0:
        raise InputError("pairs", rule="are empty", way_out="give at least one (i, j)")
    return np.array(pairs, np.int64).reshape(-1, 2)


def largest_singular(matrices: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Largest singular value, left and right vector of each matrix: shapes (n,), (n, A), (n, B) of (n, A, B).

    By power iteration in compiled code, good to 1e-8 relative: for many small matrices on busy machines the
    threads of a linear algebra library cost more than they gain.
    """
    n, A, B = matrices.shape
    values, left = np.empty(n), np.empty((n, A))
    right = np.tile(np.random.default_rng(0).standard_normal(B), (n, 1))
    matrices = np.ascontiguousarray(matrices)
    for_ranges(lambda a, b: spectral.largest_singular(values, left, right, matrices, a, b), n)
    return values, left, right
