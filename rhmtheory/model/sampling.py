"""Drawing sentences from one grammar: in parallel, streaming, and the same whatever the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from rhmtheory._kernels import sampling as kernels
from rhmtheory._support.checks import InputError, as_generator, as_int, smallest_unsigned
from rhmtheory._support.parallel import for_ranges
from rhmtheory._support.types import IntArray
from rhmtheory.model.grammar import Grammar

_LEAST_TOKENS_A_THREAD = 1 << 16


@overload
def sample(
    grammar: Grammar,
    n: int,
    seed: int | np.random.Generator = ...,
    *,
    trees: Literal[False] = ...,
    threads: int | None = ...,
) -> IntArray: ...
@overload
def sample(
    grammar: Grammar,
    n: int,
    seed: int | np.random.Generator = ...,
    *,
    trees: Literal[True],
    threads: int | None = ...,
) -> list[IntArray]: ...
def sample(
    grammar: Grammar,
    n: int,
    seed: int | np.random.Generator = 0,
    *,
    trees: bool = False,
    threads: int | None = None,
) -> IntArray | list[IntArray]:
    """Draw ``n`` sentences of a grammar.

    Sample ``i`` is a function of (grammar, seed, i) alone: asking for more samples, or using more threads,
    leaves the earlier ones as they are.

    Parameters
    ----------
    grammar : Grammar
    n : int
        Number of samples.
    seed : int or numpy.random.Generator
        A generator is advanced, so that a second call draws new sentences.
    trees : bool
        Return the symbols of all levels instead of the tokens only.
    threads : int, optional
        By default all cores (or ``NUMBA_NUM_THREADS``).

    Returns
    -------
    array, shape (n, d), of the smallest unsigned dtype that holds the token symbols; with ``trees=True`` a
    list over levels 0..L of arrays of shape (n, s**(L - l)), of one dtype that holds the symbols of any level.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> tokens = RHM(v=8, m=2, s=2, L=3).grammar(seed=0).sample(1000, seed=1)
    >>> tokens.shape, tokens.dtype
    ((1000, 8), dtype('uint8'))
    """
    n = as_int("n", n, low=0)
    layout = _Layout(grammar)
    drawn = _draw(layout, n, 0, _key(seed), trees=trees, threads=threads)
    if trees:
        return [
            drawn[:, start : start + width] for start, width in zip(layout.node_start, layout.width, strict=True)
        ]
    return drawn


def stream(
    grammar: Grammar, batch_size: int, seed: int | np.random.Generator = 0, *, threads: int | None = None
) -> Iterator[IntArray]:
    """Yield batches of shape (batch_size, d) without end; joined, they are the rows of one long `sample`.

    Parameters
    ----------
    grammar : Grammar
    batch_size : int
    seed, threads
        As in `sample`.
    """
    batch_size = as_int("batch_size", batch_size, low=1)
    return _batches(_Layout(grammar), batch_size, _key(seed), threads)


def _batches(layout: _Layout, size: int, key: int, threads: int | None) -> Iterator[IntArray]:
    first = 0
    while True:
        yield _draw(layout, size, first, key, trees=False, threads=threads)
        first += size


def _key(seed: int | np.random.Generator) -> int:
    """The 64-bit key of the counter-based generator."""
    return int(as_generator(seed).integers(2**64, dtype=np.uint64))


class _Layout:
    """The tables of a grammar as the flat arrays that the kernels read."""

    def __init__(self, grammar: Grammar) -> None:
        rhm = grammar.rhm
        levels = range(1, rhm.L + 1)
        self.dtype = smallest_unsigned(max(rhm.n_symbols(level) for level in range(rhm.L + 1)))
        self.token_dtype = smallest_unsigned(rhm.n_symbols(0))
        self.width = np.array([rhm.width(level) for level in range(rhm.L + 1)])
        # a row holds the root first and the tokens last
        self.node_start = np.cumsum(np.concatenate([[0], self.width[:0:-1]]))[::-1].copy()
        self.nodes = int(self.width.sum())
        tables = [grammar.rules(level) for level in levels]
        # one slot a rule, and at the end one a class: the outcomes that the alias method weighs
        weights = [] if grammar.is_uniform else [grammar.rule_probabilities(level) for level in levels]
        accept, alias = _alias_tables([*weights, grammar.prior[None]] if weights else [])
        self.tables = (
            np.concatenate([table.ravel() for table in tables]).astype(self.dtype),
            np.cumsum([0, *(table.size for table in tables[:-1])]),
            np.array([rhm.n_rules(level) for level in levels]),
            np.array([rhm.n_children(level) for level in levels]),
            self.width,
            self.node_start,
            np.uint64(rhm.n_symbols(rhm.L)),
            accept,
            alias,
            np.cumsum([0, *(table.shape[0] * table.shape[1] for table in tables)]),
        )


def _alias_tables(
    weights: list[npt.NDArray[np.float64]],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Thresholds out of 2**32, and aliases, for the rows of all tables one after another."""
    rows = [row for table in weights for row in table]
    accept = [np.full(len(row), 2**32, np.uint64) for row in rows]
    alias = [np.arange(len(row)) for row in rows]
    for row, threshold, other in zip(rows, accept, alias, strict=True):
        share = row * len(row)
        small, large = list(np.flatnonzero(share < 1)), list(np.flatnonzero(share >= 1))
        while small and large:
            a, b = small.pop(), large[-1]
            threshold[a], other[a] = round(share[a] * 2**32), b
            share[b] -= 1 - share[a]
            if share[b] < 1:
                small.append(large.pop())
    empty = [np.empty(0, np.int64)]
    return np.concatenate([*accept, empty[0].astype(np.uint64)]), np.concatenate(alias + empty)


def _draw(layout: _Layout, n: int, first: int, key: int, *, trees: bool, threads: int | None) -> IntArray:
    columns = layout.nodes if trees else int(layout.width[0])
    dtype = layout.dtype if trees else layout.token_dtype
    try:
        out = np.empty((n, columns), dtype)
    except (MemoryError, ValueError) as error:
        raise InputError(
            f"n={n} samples of {columns} symbols do not fit in memory: draw fewer, or use stream()"
        ) from error
    halves = np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)

    def draw_range(start: int, stop: int) -> None:
        # the number of a sample is first + its row
        if trees:
            kernels.sample_trees(out[start:stop], first + start, layout.tables, *halves)
        else:
            kernels.sample_tokens(out[start:stop], first + start, layout.nodes, layout.tables, *halves)

    for_ranges(draw_range, n, threads=threads, least=max(1, _LEAST_TOKENS_A_THREAD // columns))
    return out
