"""Drawing sentences from one grammar: in parallel, streaming, and the same whatever the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rhmtheory._kernels import sampling as kernels
from rhmtheory.support.checks import as_int, smallest_unsigned
from rhmtheory.support.draws import Key, random_key
from rhmtheory.support.errors import InputError
from rhmtheory.support.memory import allocate
from rhmtheory.support.parallel import for_ranges
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.tree.tables import Tables, equally_likely
from rhmtheory.tree.trees import Trees

_LEAST_TOKENS_A_THREAD = 1 << 17
_LARGEST_BLOCK = 1 << 18
"""Symbols drawn at once by one thread: they stay in the cache until they are done."""
_LARGEST_TABLE = 1 << 16
"""Symbols in the table of a stage, which is to stay in the cache too."""
_MOST_TOKENS = 1 << 28
"""Of one sentence: a word or two of it are kept for each few of them."""
_MOST_OUTCOMES = 1 << 28
"""Joint outcomes of the choices that share a word of 32 bits; at most one word in 16 is refused."""


def sample(
    tables: Tables, samples: int, seed: int | np.random.Generator = 0, *, threads: int | None = None
) -> IntArray:
    """Draw sentences of a tables.

    Sample ``i`` is a function of (tables, seed, i) alone: asking for more samples, or using more threads,
    leaves the earlier ones as they are.

    Parameters
    ----------
    tables : Tables
    samples : int
    seed : int or numpy.random.Generator
        A generator is advanced, so that a second call draws new sentences.
    threads : int, optional
        By default all cores (or ``NUMBA_NUM_THREADS``).

    Returns
    -------
    array, shape (samples, d)
        Of the smallest unsigned dtype that holds the token symbols.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> tokens = RHM(v=8, m=2, s=2, L=3).grammar(seed=0).sample(1000, seed=1)
    >>> tokens.shape, tokens.dtype
    ((1000, 8), dtype('uint8'))
    """
    samples = as_int("samples", samples, low=0)
    return _draw(tables, samples, 0, random_key(seed), trees=False, threads=threads)[0]


def sample_trees(
    tables: Tables, samples: int, seed: int | np.random.Generator = 0, *, threads: int | None = None
) -> Trees:
    """Draw derivations: the sentences of `sample`, with their hidden symbols.

    Parameters
    ----------
    tables : Tables
    samples : int
    seed, threads
        As in `sample`.

    Returns
    -------
    Trees
        The arrays of all levels have the smallest unsigned dtype that holds the symbols of any level.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> trees = RHM(v=8, m=2, s=2, L=3).grammar(seed=0).sample_trees(1000, seed=1)
    >>> len(trees), trees.level(3).shape
    (1000, (1000, 1))
    """
    samples = as_int("samples", samples, low=0)
    return Trees(tables, _draw(tables, samples, 0, random_key(seed), trees=True, threads=threads), check=False)


def stream(
    tables: Tables, batch_size: int, seed: int | np.random.Generator = 0, *, threads: int | None = None
) -> Iterator[IntArray]:
    """Yield batches of shape (batch_size, d) without end; joined, they are the rows of one long `sample`.

    Parameters
    ----------
    tables : Tables
    batch_size : int
    seed, threads
        As in `sample`.
    """
    batch_size = as_int("batch_size", batch_size, low=1)
    return _batches(tables, batch_size, random_key(seed), threads)


def _batches(tables: Tables, size: int, key: Key, threads: int | None) -> Iterator[IntArray]:
    first = 0
    while True:
        yield _draw(tables, size, first, key, trees=False, threads=threads)[0]
        first += size


class _Stage(NamedTuple):
    """Some consecutive levels, expanded at once: one choice for each node above them."""

    top: int
    """Level of the nodes above; L + 1 where the root symbol is chosen too, from one node of one symbol."""
    bottom: int
    outcomes: int
    """Expansions of a symbol, all choices of rules below it."""
    table: Any
    """The expansions of all symbols: (symbols * outcomes,) one number each, or (.., span) rows of symbols."""
    accept: npt.NDArray[np.uint64]
    alias: npt.NDArray[np.uint64]
    """Thresholds and aliases of the outcomes, (symbols * outcomes,); empty where all are equally likely."""


class _Plan(NamedTuple):
    """How the sentences of a grammar are made: the stages from the root down, and the words of their choices."""

    tables: Tables
    stages: list[_Stage]
    places: list[kernels.Place]
    """Words of the choices of each stage, in the first sample."""
    outcomes: npt.NDArray[np.uint64]
    """(words of a sample,) joint outcomes of the choices that share a word; 1 for the word of an alias."""


@lru_cache(maxsize=8)
def _plan(tables: Tables) -> _Plan:
    """Cut the levels into stages, from the tokens up, and hand out the words, from the root down."""
    L = tables.shape.L
    stages: list[_Stage] = []
    bottom = 0
    while bottom <= L:
        top = bottom + 1
        while top <= L and _fits(tables, top + 1, bottom):
            top += 1
        stages.insert(0, _stage(tables, top, bottom))
        bottom = top
    found, words = [], [1]
    for stage in stages:
        width, N, aliases = _nodes(tables, stage.top), stage.outcomes, len(words)
        if len(stage.accept):
            words += [1] * (width + 1)
        elif _sharing(words[-1], N, width) < width:
            words.append(1)
        first, share = len(words) - 1, max(1, _sharing(words[-1], N, width))
        words[-1] *= N**share
        words += [N ** min(share, width - begun) for begun in range(share, width, share)]
        found.append((first, share, aliases))
    places = [kernels.Place(0, len(words), *where) for where in found]
    return _Plan(tables, stages, places, np.array(words, np.uint64))


def _sharing(taken: int, outcomes: int, width: int) -> int:
    """How many of ``width`` choices fit in a word besides what is taken of it, so that few words are refused."""
    if outcomes == 1:
        return width
    return max((q for q in range(min(width, 32) + 1) if _fits_a_word(taken * outcomes**q)), default=0)


def _fits_a_word(outcomes: int) -> bool:
    # a power of two divides the words, and none is refused
    return outcomes <= _MOST_OUTCOMES or (outcomes <= 2**32 and outcomes & (outcomes - 1) == 0)


def _nodes(tables: Tables, level: int) -> int:
    """Nodes of a level; above the root stands one more."""
    return tables.shape.width(min(level, tables.shape.L))


def _fits(tables: Tables, top: int, bottom: int) -> bool:
    """Whether one stage can lead from one level to the other: few expansions, all equally likely."""
    shape = tables.shape
    nodes, outcomes = _nodes(tables, top), 1
    for level in range(bottom + 1, top + 1):
        if not equally_likely(tables.prior if level > shape.L else tables.rule_probabilities(level)):
            return False
        # a power that cannot be small is not computed
        exponent = min(_nodes(tables, level) // nodes, 64)
        outcomes *= (shape.n_symbols(shape.L) if level > shape.L else shape.n_rules(level)) ** exponent
    symbols = shape.n_symbols(top) if top <= shape.L else 1
    size = symbols * outcomes * shape.width(bottom) // nodes
    return size <= _LARGEST_TABLE and _fits_a_word(outcomes)


def _stage(tables: Tables, top: int, bottom: int) -> _Stage:
    shape = tables.shape
    table: IntArray
    if top > shape.L:
        weights, table = tables.prior[None], np.arange(shape.n_symbols(shape.L))[None, :, None]
    else:
        weights, table = tables.rule_probabilities(top), np.arange(shape.n_symbols(top))[:, None, None]
    # (symbols, outcomes, nodes), one level further down each time; the choices of its nodes from left to right
    for level in range(min(top, shape.L), bottom, -1):
        nodes, m = table.shape[2], shape.n_rules(level)
        # (m**nodes, nodes): every choice of a rule at each node, that of the last node running first
        rule = np.arange(m**nodes)[:, None] // m ** np.arange(nodes)[::-1] % m
        table = tables.rules(level)[table[:, :, None, :], rule]
        table = table.reshape(len(table), -1, nodes * table.shape[-1])
    accept, alias = _alias_tables(weights)
    rows = np.ascontiguousarray(table.reshape(-1, table.shape[2]), _dtype(tables, bottom))
    return _Stage(top, bottom, table.shape[1], _numbers(rows, 1)[:, 0], accept, alias)


def _dtype(tables: Tables, level: int) -> np.dtype[Any]:
    return smallest_unsigned(tables.shape.n_symbols(level))


def _numbers(rows: IntArray, nodes: int) -> IntArray:
    """Symbols below some nodes, (samples, nodes * span), as one number a node where there is a type for it.

    (samples, nodes), or else (samples, nodes, span); a view that can be written.
    """
    size = rows.shape[1] * rows.itemsize // nodes
    if size in (1, 2, 4, 8):
        return rows.view(f"u{size}")
    return rows.reshape(len(rows), nodes, -1)


def _alias_tables(weights: FloatArray) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Thresholds out of 2**32 and aliases of each outcome, row after row; empty for equal weights."""
    if equally_likely(weights):
        return np.empty(0, np.uint64), np.empty(0, np.uint64)
    accept = np.full(weights.shape, 2**32, np.uint64)
    alias = np.tile(np.arange(weights.shape[1], dtype=np.uint64), (len(weights), 1))
    for row, threshold, other in zip(weights, accept, alias, strict=True):
        share = row * len(row)
        small, large = list(np.flatnonzero(share < 1)), list(np.flatnonzero(share >= 1))
        while small and large:
            a, b = small.pop(), large[-1]
            threshold[a], other[a] = round(share[a] * 2**32), b
            share[b] -= 1 - share[a]
            if share[b] < 1:
                small.append(large.pop())
    return accept.ravel(), alias.ravel()


def _draw(tables: Tables, n: int, first: int, key: Key, *, trees: bool, threads: int | None) -> list[IntArray]:
    """Samples first .. first + n - 1: the symbols of all levels, or of the tokens alone."""
    shape = tables.shape
    if shape.d > _MOST_TOKENS:
        rule = f"has {shape.d:.3g} tokens"
        way_out = f"at most {_MOST_TOKENS:.3g} can be drawn, so lower `L`"
        raise InputError(f"a sentence of {shape}", rule=rule, way_out=way_out)
    plan = _plan(tables)
    levels = range(shape.L + 1 if trees else 1)
    dtype = smallest_unsigned(max(shape.n_symbols(level) for level in levels))
    columns = sum(shape.width(level) for level in levels)
    out = allocate(
        [(n, shape.width(level)) for level in levels],
        dtype,
        ("samples", n, f"of {columns} symbols need {{size}}, more than there is", "draw fewer, or use `stream()`"),
    )
    size = max(1, _LARGEST_BLOCK // columns)

    def draw_range(start: int, stop: int) -> None:
        for a in range(start, stop, size):
            rows = [array[a : min(a + size, stop)] for array in out]
            # the number of a sample is first + its row
            words, skipped = _words(plan, first + a, len(rows[0]), key)
            (_fill_trees if trees else _fill_tokens)(plan, rows, words, skipped)

    for_ranges(draw_range, n, threads=threads, least=max(1, _LEAST_TOKENS_A_THREAD // columns))
    return out


def _words(plan: _Plan, first: int, samples: int, key: Key) -> tuple[npt.NDArray[np.uint32], int]:
    """The words of some samples, without those that would bias, and how many words lie before them."""
    number, skipped = divmod(first * len(plan.outcomes), 4)
    # words come in blocks of four
    words = np.empty((skipped + samples * len(plan.outcomes) + 3) // 4 * 4, np.uint32)
    kernels.fill_words(words, 4 * number, *key)
    kernels.refuse_words(words, 4 * number, skipped, samples, plan.outcomes, *key)
    return words, skipped


def _fill_tokens(plan: _Plan, rows: list[IntArray], words: npt.NDArray[np.uint32], skipped: int) -> None:
    """Expand stage after stage by the tables."""
    tokens = rows[0]
    shape = plan.tables.shape
    parents: IntArray = np.zeros((len(tokens), 1), np.uint8)
    for stage, at in zip(plan.stages, plan.places, strict=True):
        dtype, width = _dtype(plan.tables, stage.bottom), shape.width(stage.bottom)
        children = tokens if stage.bottom == 0 else np.empty((len(tokens), width), dtype)
        place = at._replace(start=skipped)
        out = _numbers(children, parents.shape[1])
        kernels.expand(out, parents, stage.table, words, place, stage.outcomes, stage.accept, stage.alias)
        parents = children


def _fill_trees(plan: _Plan, rows: list[IntArray], words: npt.NDArray[np.uint32], skipped: int) -> None:
    """The plain form: the same choices, taken apart into those of each level and followed rule by rule."""
    shape = plan.tables.shape
    parents: IntArray = np.zeros((len(rows[0]), 1), np.uint8)
    for stage, at in zip(plan.stages, plan.places, strict=True):
        choice: npt.NDArray[np.int64] = np.empty(parents.shape, np.int64)
        place = at._replace(start=skipped)
        kernels.choose(choice, parents, words, place, stage.outcomes, stage.accept, stage.alias)
        left = stage.outcomes
        if stage.top > shape.L:
            left //= shape.n_symbols(shape.L)
            rows[shape.L][:], choice = np.divmod(choice, left)
            parents = rows[shape.L]
        for level in range(min(stage.top, shape.L), stage.bottom, -1):
            # (samples, nodes of the stage, nodes of the level below each)
            m, nodes = shape.n_rules(level), shape.width(level) // choice.shape[1]
            left //= m**nodes
            here, choice = np.divmod(choice, left)
            rule = here[:, :, None] // m ** np.arange(nodes - 1, -1, -1) % m
            rows[level - 1][:] = plan.tables.rules(level)[parents, rule.reshape(parents.shape)].reshape(
                len(parents), -1
            )
            parents = rows[level - 1]
