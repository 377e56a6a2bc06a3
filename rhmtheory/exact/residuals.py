"""What far tuples correlate with once the near context is known: conditional second moments of one grammar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rhmtheory.support.checks import as_int
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.tree.tables import Tables

_LARGEST_LIST = 1 << 24
"""Pairs (context, token) listed at once."""


@dataclass(frozen=True)
class Detection:
    """A covariance to be seen in samples, and its noise; both are sums over all its entries.

    Attributes
    ----------
    signal : float
        Sum of the squared entries.
    noise : float
        Sum of the variances of the entries of an estimate from one sample, to leading order in the probability
        of a tuple.
    """

    signal: float
    noise: float

    @property
    def samples(self) -> float:
        """P at which noise equals signal, ``noise / signal``; infinite without signal."""
        return self.noise / self.signal if self.signal > 0 else float("inf")


@dataclass(frozen=True)
class _Spine:
    """All contexts of level k with all last tokens: arrays (contexts, v_0), or one entry a level."""

    symbols: list[npt.NDArray[np.int64]]
    """Symbols h_0 .. h_k of the spine, 0 where no derivation exists."""
    probability: FloatArray
    contexts: list[int]
    """Number of contexts of levels 0 .. k; the lower level varies faster."""

    def covariance(self, sizes: tuple[int, int], levels: tuple[int, int], context_level: int) -> FloatArray:
        """Mean over contexts of the covariance of two spine symbols in each."""
        p, count = self.probability.ravel(), self.contexts[context_level]
        a, b = (self.symbols[level].ravel() for level in levels)
        joint = np.bincount(a * sizes[1] + b, p, sizes[0] * sizes[1]).reshape(sizes)
        which = np.repeat(np.arange(len(self.probability)) % count, self.probability.shape[1])
        of_a, of_b = (
            np.bincount(which * size + x, p, count * size).reshape(count, size)
            for x, size in zip((a, b), sizes, strict=True)
        )
        total = of_a.sum(axis=1, keepdims=True)
        return np.asarray(joint - np.divide(of_a, total, out=np.zeros_like(of_a), where=total > 0).T @ of_b)


def spine_covariance(tables: Tables, k: int, *, target_level: int = 0, context_level: int = 0) -> FloatArray:
    r"""Covariance of two symbols above the last token, in a context that is known.

    The spine h_0 (the last token), h_1, .., h_L leads from the last token to the root. Context level i is the
    last ``s**i - 1`` tokens before the target, x_i. The matrix is
    ``K_ab = sum_x P(x_i = x) Cov([h_j = a], [h_k = b] | x_i = x)``: what is left of the covariance when the
    prediction from the context has been subtracted (:eq:`residual-covariance`).

    Parameters
    ----------
    tables : Tables
    k : int
        Level of the upper symbol, 1..L-1.
    target_level : int
        Level j of the lower symbol, 0..k; 0 is the last token.
    context_level : int
        Context level i, 0..k; 0 subtracts the marginals only.

    Returns
    -------
    array, shape (v_j, v_k)

    Raises
    ------
    InputError
        For a level outside its range, and where the contexts of level k are too many to be listed.

    Notes
    -----
    All ``v**((s-1) k)`` contexts are listed with all tokens: the grammar is unambiguous, so that context and
    token have one spine, found by looking up parents.
    """
    spine, sizes = _read(tables, k, target_level, context_level)
    return spine.covariance((sizes[target_level], sizes[k]), (target_level, k), context_level)


def tuple_detection(
    tables: Tables, k: int, *, target_level: int = 0, context_level: int = 0, tuple_level: int = 1
) -> Detection:
    r"""Signal and noise of the tuples of hidden level k against a spine symbol, in a context that is known.

    The tuples lie below the siblings of h_k. Given h_k they are independent of the context and of the lower
    spine, so that their covariance with h_j is `spine_covariance` times the law of the tuple given h_k. The
    law of the published sample complexities is ``target_level=0, context_level=0``: the bare token.

    Parameters
    ----------
    tables : Tables
    k, target_level, context_level : int
        As in `spine_covariance`.
    tuple_level : int
        Level of the symbols that produce the tuples, 1..k. Without weight sharing tuples of tokens are met
        first (1); with it the rules of lower levels are known, and tuples of level k - 1 are read (k).

    Returns
    -------
    Detection
        Means over the nodes of ``tuple_level`` below the siblings: ``signal`` is the sum of squares of the
        covariances of all tuples with all symbols h_j, ``noise`` is ``sum_a E Var([h_j = a] | x_i)``.

    Examples
    --------
    The token-tuple threshold, and what a learner would need that knew the context and the level-1 symbol above
    the target:

    >>> from rhmtheory import RHM
    >>> g = RHM(v=16, m=4, s=2, L=3).grammar(seed=0)
    >>> [round(tuple_detection(g, 2, target_level=j, context_level=i).samples) for j, i in ((0, 0), (0, 2), (1, 2))]
    [34215, 42099, 12560]
    """
    spine, sizes = _read(tables, k, target_level, context_level)
    tuple_level = as_int("tuple_level", tuple_level, low=1, high=k)
    K = spine.covariance((sizes[target_level], sizes[k]), (target_level, k), context_level)
    own = spine.covariance((sizes[target_level],) * 2, (target_level, target_level), context_level)
    # the m tuples of a symbol share its covariance in the proportion of their probabilities
    spread = (tables.rule_probabilities(tuple_level) ** 2).sum(axis=1)
    squares = [((K @ law) ** 2 @ spread).sum() for law in _laws_below_siblings(tables, k, tuple_level)]
    return Detection(float(np.mean(squares)), float(np.trace(own)))


def _read(tables: Tables, k: int, target_level: int, context_level: int) -> tuple[_Spine, list[int]]:
    shape = tables.shape
    if shape.L < 2:
        raise InputError("L", shape.L, "has no hidden level below the root", "use at least 2 levels")
    k = as_int("k", k, low=1, high=shape.L - 1)
    as_int("target_level", target_level, low=0, high=k)
    as_int("context_level", context_level, low=0, high=k)
    return _list_spines(tables, k), [shape.n_symbols(level) for level in range(k + 1)]


def _list_spines(tables: Tables, k: int) -> _Spine:
    shape, v = tables.shape, tables.shape.n_symbols(0)
    left = [shape.n_symbols(level - 1) ** (shape.n_children(level) - 1) for level in range(1, k + 1)]
    total = v
    for count in left:
        total *= count
    if total > _LARGEST_LIST:
        rule = f"of {shape} has {total // v} contexts of {v} tokens, more than 2**24 pairs"
        raise InputError(f"context level {k}", NOT_SAID, rule, "ask for a lower level, or make `v` or `s` smaller")
    symbols = [np.arange(v)[None]]
    probability: FloatArray = np.ones((1, v))
    for level, count in enumerate(left, start=1):
        parent, weight = _parents(tables, level, count)
        # the new context is the slower index
        symbols = [np.tile(x, (count, 1)) for x in symbols] + [parent[:, symbols[-1]].reshape(-1, v)]
        probability = (probability * weight[:, symbols[level - 1][: len(probability)]]).reshape(-1, v)
    probability = probability * tables.marginal(k, shape.width(k) - 1)[symbols[k]]
    return _Spine(symbols, probability, [int(np.prod(left[:i], dtype=np.int64)) for i in range(k + 1)])


def _parents(tables: Tables, level: int, count: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Parent of (left siblings as a number, last child) and the probability of its rule, 0 without a parent."""
    v = tables.shape.n_symbols(level - 1)
    parent, rule = tables.parent_table(level).find(np.arange(count * v).reshape(count, v))
    weight = tables.rule_probabilities(level)[parent, rule]
    return np.maximum(parent, 0), np.where(parent >= 0, weight, 0.0)


def _laws_below_siblings(tables: Tables, k: int, level: int) -> list[FloatArray]:
    """p(symbol at a level-``level`` node | h_k), (v_k, v_level), for all nodes below the siblings of h_k."""
    shape = tables.shape
    rules, v = tables.rules(k + 1), shape.n_symbols(k)
    weight = tables.marginal(k + 1, shape.width(k + 1) - 1)[:, None] * tables.rule_probabilities(k + 1)
    laws = []
    for p in range(rules.shape[2] - 1):
        joint = np.zeros((v, v))
        np.add.at(joint, (rules[:, :, -1], rules[:, :, p]), weight)
        total = joint.sum(axis=1, keepdims=True)
        laws.append(np.divide(joint, total, out=joint, where=total > 0))
    for below in range(k, level, -1):
        laws = [law @ T for law in laws for T in tables.transition(below)]
    return laws
