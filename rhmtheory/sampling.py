"""Drawing sentences from one grammar: in parallel, streaming, and the same whatever the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from rhmtheory._checks import InputError, as_generator, as_int, smallest_unsigned
from rhmtheory._kernels import sampling as kernels
from rhmtheory._parallel import for_ranges
from rhmtheory.grammar import Grammar

IntArray = npt.NDArray[np.integer[Any]]

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
    if trees:
        nodes = _draw(grammar, n, 0, _key(seed), trees=True, threads=threads)
        starts = _Layout(grammar).node_start
        return [
            nodes[:, starts[level] : starts[level] + grammar.rhm.width(level)]
            for level in range(grammar.rhm.L + 1)
        ]
    return _draw(grammar, n, 0, _key(seed), trees=False, threads=threads)


def stream(
    grammar: Grammar, batch_size: int, seed: int | np.random.Generator = 0, *, threads: int | None = None
) -> Iterator[IntArray]:
    """Yield batches of shape (batch_size, d) without end; joined, they are the rows of one long `sample`."""
    batch_size = as_int("batch_size", batch_size, low=1)
    return _batches(grammar, batch_size, _key(seed), threads)


def _batches(grammar: Grammar, size: int, key: int, threads: int | None) -> Iterator[IntArray]:
    first = 0
    while True:
        yield _draw(grammar, size, first, key, trees=False, threads=threads)
        first += size


def _key(seed: int | np.random.Generator) -> int:
    """The 64-bit key of the counter-based generator."""
    return int(as_generator(seed).integers(2**64, dtype=np.uint64))


class _Layout:
    """The tables of a grammar as the flat arrays that the kernels read."""

    def __init__(self, grammar: Grammar) -> None:
        rhm = grammar.rhm
        levels = range(1, rhm.L + 1)
        largest = max(rhm.symbols(level) for level in range(rhm.L + 1))
        self.dtype = smallest_unsigned(largest)
        self.rules = np.concatenate([grammar.rules(level).ravel() for level in levels]).astype(self.dtype)
        sizes = [grammar.rules(level).size for level in levels]
        self.rule_start = np.cumsum([0, *sizes[:-1]])
        self.m = np.array([rhm.rules(level) for level in levels])
        self.s = np.array([rhm.children(level) for level in levels])
        self.width = np.array([rhm.width(level) for level in range(rhm.L + 1)])
        # a row holds the root first and the tokens last
        self.node_start = np.cumsum(np.concatenate([[0], self.width[:0:-1]]))[::-1].copy()
        self.nodes = int(self.width.sum())
        self.n = np.uint64(rhm.symbols(rhm.L))


def _draw(
    grammar: Grammar, n: int, first: int, key: int, *, trees: bool, threads: int | None
) -> IntArray:
    layout = _Layout(grammar)
    columns = layout.nodes if trees else grammar.rhm.d
    dtype = layout.dtype if trees else smallest_unsigned(grammar.rhm.symbols(0))
    try:
        out = np.empty((n, columns), dtype)
    except (MemoryError, ValueError) as error:
        raise InputError(
            f"n={n} samples of {columns} symbols do not fit in memory: draw fewer, or use stream()"
        ) from error
    kernel = kernels.sample_trees if trees else kernels.sample_tokens
    draw_range = partial(_draw_range, kernel, out, first, layout, key)
    for_ranges(draw_range, n, threads=threads, least=max(1, _LEAST_TOKENS_A_THREAD // columns))
    return out


def _draw_range(
    kernel: Any, out: IntArray, first: int, layout: _Layout, key: int, start: int, stop: int
) -> None:
    # (samples, columns) rows start..stop; a sample's number is first + row
    kernel(
        out[start:stop], first + start, layout.rules, layout.rule_start, layout.m, layout.s, layout.width,
        layout.node_start, layout.n, np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32),
    )  # fmt: skip
