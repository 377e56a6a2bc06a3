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
from rhmtheory.language.grammar import Grammar
from rhmtheory.language.rhm import RHM
from rhmtheory.support.parallel import for_ranges
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.tree._tuples import encode

_Numbers = npt.NDArray[np.int64]

_LARGEST_BLOCK = 1 << 20
"""Floats of beliefs of a level held at once by one thread (8 MiB)."""
_MOST_CONTEXTS = 1 << 14
"""Contexts in a block: many, to repeat each other, but in the cache."""
_LARGEST_TABLE = 1 << 18
"""Tuples whose parents are listed; among more, parents are found by bisection."""


class View(NamedTuple):
    """The rules of a level by what is seen of their children: some to the left of the one that comes next."""

    numbers: _Numbers
    """(groups,) the distinct tuples that are seen, as sorted numbers."""
    group: _Numbers
    """(v_l, m_l) number of each rule's group."""
    rules: tuple[_Numbers, _Numbers, _Numbers, FloatArray]
    """First rule of each group (groups + 1); parent, child that comes next, and weight of each rule."""
    below: int
    """Symbols of the level below."""


@lru_cache(maxsize=256)
def see(grammar: Grammar, level: int, child: int, first: int = 0) -> View:
    """The rules of a level when children first .. child - 1 are seen and ``child`` is next."""
    rules = grammar.rules(level).astype(np.int64)  # (v_l, m, s)
    weight = grammar.rule_probabilities(level).ravel()
    below = grammar.rhm.n_symbols(level - 1)
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


def fits(rhm: RHM, window: Window) -> bool:
    """Whether the window consists of complete subtrees to the left of the spine."""
    for level in range(1, rhm.L + 1):
        begin = window.position // rhm.span(level) * rhm.span(level)
        if begin <= window.first:
            return (window.first - begin) % rhm.span(level - 1) == 0
    return False


def next_token(
    out: FloatArray, grammar: Grammar, tokens: IntArray, window: Window, threads: int | None
) -> npt.NDArray[np.bool_]:
    """Distribution of the next token for contexts (n, position - first) to ``out`` (n, v), and where it was found.

    The others, that nothing explains or whose weights leave the range of floats, have NaN and are left to the
    sum-product. The window must fit, see `fits`.
    """
    rhm, n = grammar.rhm, len(tokens)
    found = np.empty(n, bool)
    widest = max(rhm.n_symbols(level) for level in range(rhm.L + 1))
    size = max(1, min(_MOST_CONTEXTS, _LARGEST_BLOCK // max(widest, tokens.shape[1])))

    def work(start: int, stop: int) -> None:
        for a in range(start, stop, size):
            rows = slice(a, min(a + size, stop))
            state, beliefs = _filter(grammar, tokens[rows], window)
            kernels.read_beliefs(out[rows], state, beliefs)
            found[rows] = state >= 0

    for_ranges(work, n, threads=threads, least=size)
    return found


def _filter(grammar: Grammar, tokens: IntArray, window: Window) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """Number of each context's belief about the token, and the distinct beliefs."""
    rhm = grammar.rhm
    # complete subtrees inside the window, from the level below up; those of a level begin at node first[level]
    symbols, first = [tokens], [window.first]
    for level in range(1, rhm.L):
        span = rhm.span(level)
        first.append(-(-window.first // span))
        nodes = max(0, window.position // span - first[level])
        above = np.empty((len(tokens), nodes), np.int32)
        if nodes:
            s = rhm.n_children(level)
            skipped = first[level] * s - first[level - 1]
            kernels.parse(above, symbols[-1], skipped, s, rhm.n_symbols(level - 1), *_parents(grammar)[level - 1])
        symbols.append(above)
    state = np.zeros(len(tokens), np.int32)
    beliefs: FloatArray = np.array(grammar.prior / grammar.prior.max())[None]
    for level in range(rhm.L, 0, -1):
        s = rhm.n_children(level)
        node = window.position // rhm.span(level)
        child = window.position // rhm.span(level - 1) - node * s
        known = min(child, symbols[level - 1].shape[1])
        seen = see(grammar, level, child, child - known)
        below = np.empty((len(tokens), seen.below))
        siblings = symbols[level - 1]
        rules = seen.numbers, *seen.rules
        count = kernels.descend(state, siblings, siblings.shape[1] - known, beliefs, below, rules, seen.below)
        beliefs = below[:count]
    return state, beliefs


@lru_cache(maxsize=8)
def _parents(grammar: Grammar) -> list[tuple[_Numbers, _Numbers]]:
    """For each level the sorted numbers of its tuples and their parents; or no numbers, and parents of all."""
    out: list[tuple[_Numbers, _Numbers]] = []
    for level in range(1, grammar.rhm.L + 1):
        base = grammar.rhm.n_symbols(level - 1)
        # rules of probability zero explain nothing
        symbol, rule = np.nonzero(grammar.rule_probabilities(level) > 0)
        numbers = encode(grammar.rules(level)[symbol, rule], base)
        order = np.argsort(numbers)
        numbers, symbol = numbers[order], symbol[order]
        tuples = base ** grammar.rhm.n_children(level)
        if tuples <= _LARGEST_TABLE:
            table: _Numbers = np.full(tuples, -1)
            table[numbers] = symbol
            out.append((numbers[:0], table))
        else:
            out.append((numbers, symbol))
    return out
