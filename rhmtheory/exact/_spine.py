"""What is known of one token from those before it: a filter along the path that leads to it, its spine.

The tokens before it fall into complete subtrees to the left of the spine. The grammar is unambiguous, so each is
read off as one symbol, a left sibling of the spine, and beliefs are handed down from node to node.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rhmtheory._kernels import spine as kernels
from rhmtheory.support.parallel import for_ranges
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.tree._tuples import encode
from rhmtheory.tree.shape import Shape
from rhmtheory.tree.tables import Tables

_Numbers = npt.NDArray[np.int64]

_LARGEST_BLOCK = 1 << 20
"""Floats of beliefs of a level held at once by one thread (8 MiB)."""
_MOST_CONTEXTS = 1 << 14
"""Contexts in a block: many, to repeat each other, but in the cache."""


class View(NamedTuple):
    """Rules of one level, grouped by the observed left siblings of the child to be predicted."""

    numbers: _Numbers
    """(groups,) the distinct tuples that are seen, as sorted numbers."""
    group: _Numbers
    """(v_l, m_l) number of each rule's group."""
    rules: tuple[_Numbers, _Numbers, _Numbers, FloatArray]
    """First rule of each group (groups + 1); parent, child that comes next, and weight of each rule."""
    below: int
    """Symbols of the level below."""


@lru_cache(maxsize=256)
def see(tables: Tables, level: int, child: int, first: int = 0) -> View:
    """The rules of a level when children first .. child - 1 are seen and ``child`` is next."""
    rules = tables.rules(level).astype(np.int64)  # (v_l, m, s)
    weight = tables.rule_probabilities(level).ravel()
    below = tables.shape.n_symbols(level - 1)
    seen = encode(rules[:, :, first:child], below)
    numbers, group = np.unique(seen, return_inverse=True)
    group = group.reshape(seen.shape)
    order = np.argsort(group, axis=None, kind="stable")
    order = order[weight[order] > 0]
    start = np.searchsorted(group.ravel()[order], np.arange(len(numbers) + 1))
    by_group = start, order // rules.shape[1], rules[:, :, child].ravel()[order], weight[order]
    return View(numbers, group, by_group, below)


class Window(NamedTuple):
    """Tokens first .. position - 1 are seen, and the one at ``position`` is asked for."""

    first: int
    position: int


def fits(shape: Shape, window: Window) -> bool:
    """Whether the window consists of complete subtrees to the left of the spine."""
    for level in range(1, shape.L + 1):
        begin = window.position // shape.span(level) * shape.span(level)
        if begin <= window.first:
            return (window.first - begin) % shape.span(level - 1) == 0
    return False


def next_token(
    out: FloatArray, tables: Tables, tokens: IntArray, window: Window, threads: int | None
) -> npt.NDArray[np.bool_]:
    """Distribution of the next token for contexts (n, position - first) to ``out`` (n, v), and where it was found.

    The others, that nothing explains or whose weights leave the range of floats, have NaN and are left to the
    sum-product. The window must fit, see `fits`.
    """
    shape, n = tables.shape, len(tokens)
    found = np.empty(n, bool)
    widest = max(shape.n_symbols(level) for level in range(shape.L + 1))
    size = max(1, min(_MOST_CONTEXTS, _LARGEST_BLOCK // max(widest, tokens.shape[1])))

    def work(start: int, stop: int) -> None:
        for a in range(start, stop, size):
            rows = slice(a, min(a + size, stop))
            state, beliefs = _filter(tables, tokens[rows], window)
            kernels.read_beliefs(out[rows], state, beliefs)
            found[rows] = state >= 0

    for_ranges(work, n, threads=threads, least=size)
    return found


def _filter(tables: Tables, tokens: IntArray, window: Window) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """Number of each context's belief about the token, and the distinct beliefs."""
    shape = tables.shape
    # complete subtrees inside the window, from the level below up; those of a level begin at node first[level]
    symbols, first = [tokens], [window.first]
    for level in range(1, shape.L):
        span = shape.span(level)
        first.append(-(-window.first // span))
        nodes = max(0, window.position // span - first[level])
        above = np.empty((len(tokens), nodes), np.int32)
        if nodes:
            s = shape.n_children(level)
            skipped = first[level] * s - first[level - 1]
            numbers, parent, _ = tables.parent_table(level, possible=True)
            kernels.parse(above, symbols[-1], skipped, s, shape.n_symbols(level - 1), numbers, parent)
        symbols.append(above)
    state = np.zeros(len(tokens), np.int32)
    beliefs: FloatArray = np.array(tables.prior / tables.prior.max())[None]
    for level in range(shape.L, 0, -1):
        s = shape.n_children(level)
        node = window.position // shape.span(level)
        child = window.position // shape.span(level - 1) - node * s
        known = min(child, symbols[level - 1].shape[1])
        seen = see(tables, level, child, child - known)
        below = np.empty((len(tokens), seen.below))
        siblings = symbols[level - 1]
        rules = seen.numbers, *seen.rules
        count = kernels.descend(state, siblings, siblings.shape[1] - known, beliefs, below, rules, seen.below)
        beliefs = below[:count]
    return state, beliefs
