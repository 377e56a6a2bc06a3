"""Filtered trees (arXiv:2408.15138): sentences whose correlations stop at a level, and their ideal predictors.

In the law of filter level k the nodes of level k are independent given the root. Each is drawn with its true
marginal ``p(h_k | root, position)``, and below it grows a true subtree. k = L is the grammar itself; for k = 0 the
tokens are independent given the root. The root is never observed.

Equation noise-filtered of docs/theory_noise.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rhmtheory.exact.entropy import EntropyEstimate, shannon
from rhmtheory.exact.inference import posteriors, sample_posterior
from rhmtheory.support.checks import as_generator, as_int, as_integers, check_tokens
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.tree.shape import Shape
from rhmtheory.tree.tables import UNGRAMMATICAL, Tables


class Filtered(NamedTuple):
    """Sentences of a filtered law. Made by `sample_filtered`."""

    root: IntArray
    """(samples,) class of each."""
    nodes: IntArray
    """(samples, width of the filter level) its symbols, independent given the root."""
    tokens: IntArray
    """(samples, d)"""


def sample_filtered(
    tables: Tables, samples: int, *, filter_level: int, seed: int | np.random.Generator = 0
) -> Filtered:
    """Draw sentences whose nodes of a level are independent given the root.

    Parameters
    ----------
    tables : Tables
    samples : int
    filter_level : int
        k, from 0, independent tokens, to L, the grammar itself.
    seed : int or numpy.random.Generator

    Returns
    -------
    Filtered

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> sample_filtered(g, 100, filter_level=1).tokens.shape
    (100, 8)
    """
    shape, rng = tables.shape, as_generator(seed)
    samples, k = as_int("samples", samples, low=0), as_int("filter_level", filter_level, low=0, high=shape.L)
    root = rng.choice(len(tables.prior), size=samples, p=tables.prior)
    width, span = shape.width(k), shape.span(k)
    nodes = np.empty((samples, width), np.int64)
    for i in range(width):
        edges = _from_root(tables, k, i).cumsum(axis=1)
        # the last edge is one but for rounding
        nodes[:, i] = (rng.random(samples)[:, None] >= edges[root, :-1]).sum(axis=1)
    if k == 0:
        return Filtered(root, nodes, nodes)
    hidden = np.zeros((samples * width, span), np.int64)
    below = sample_posterior(
        _below(tables, k), hidden, mask=np.ones(span, bool), symbols={k: nodes.reshape(-1, 1)}, seed=rng
    )
    return Filtered(root, nodes, below.reshape(samples, shape.d).astype(np.int64))


def next_token_filtered(
    tables: Tables, prefix: npt.ArrayLike, *, filter_level: int, threads: int | None = None
) -> FloatArray:
    """Distribution of the token after a prefix in a filtered law: its ideal predictor BP_k.

    Complete subtrees of the prefix are parsed, and tell of the root by ``p(h_k | root, position)``. What is then
    expected of the node above the next token is the prior of belief propagation below it.

    Parameters
    ----------
    tables : Tables
    prefix : integer array, shape (P, t), 0 <= t < d
        Tokens from the beginning of the sentence; of the grammar itself, or of any law of at least this level.
    filter_level : int
        k, as in `sample_filtered`.
    threads : int, optional
        As in `posteriors`.

    Returns
    -------
    array, shape (P, v)

    Raises
    ------
    InputError
        For a prefix that the law does not have.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> tokens = g.sample(100, seed=1)[:, :-1]
    >>> bool(np.allclose(next_token_filtered(g, tokens, filter_level=3), g.next_token(tokens)))
    True
    """
    shape = tables.shape
    k, tokens = as_int("filter_level", filter_level, low=0, high=shape.L), as_integers("prefix", prefix)
    if tokens.ndim != 2 or tokens.shape[1] >= shape.d:
        raise InputError("prefix", NOT_SAID, f"has shape {tokens.shape}", f"give (P, t) with t < d={shape.d}")
    check_tokens(tokens, shape.n_symbols(0), "the grammar has fewer symbols than {needed}")
    n, t = tokens.shape
    span = shape.span(k)
    node, within = divmod(t, span)
    above = _root_weights(tables, tokens[:, : node * span].astype(np.int64), k)
    expected = above @ _from_root(tables, k, node)
    if k == 0:
        return np.asarray(expected)
    block = np.zeros((n, span), np.int64)
    block[:, :within] = tokens[:, node * span :]
    hidden = np.arange(span) >= within
    found = posteriors(_below(tables, k), block, mask=hidden, symbols={k: expected[:, None]}, threads=threads)
    return np.asarray(found[:, within])


def filtered_plateaus(
    tables: Tables, *, samples: int = 4096, seed: int | np.random.Generator = 0
) -> EntropyEstimate:
    """Loss of the ideal predictor of the last token in each filtered law, k = 0..L, by Monte Carlo over contexts.

    Parameters
    ----------
    tables : Tables
    samples : int
        Sentences of each law.
    seed : int or numpy.random.Generator

    Returns
    -------
    EntropyEstimate
        Means (L + 1,) and standard errors, nats. The last is `plateaus`' own last.
    """
    rng, samples = as_generator(seed), as_int("samples", samples, low=2)
    values = []
    for k in range(tables.shape.L + 1):
        drawn = sample_filtered(tables, samples, filter_level=k, seed=rng)
        values.append(shannon(next_token_filtered(tables, drawn.tokens[:, :-1], filter_level=k)))
    each = np.array(values)
    return EntropyEstimate(each.mean(axis=1), each.std(axis=1, ddof=1) / np.sqrt(samples), samples)


def _root_weights(tables: Tables, tokens: IntArray, k: int) -> FloatArray:
    """Posterior (n, classes) of the root given complete subtrees of level k from the left, (n, nodes * span)."""
    symbols = tokens
    for level in range(1, k + 1):
        children = tables.shape.n_children(level)
        symbols = tables.parents(level, symbols.reshape(len(symbols), -1, children))
        wrong = np.argwhere(symbols == UNGRAMMATICAL)
        if len(wrong):
            rule = f"of sample {wrong[0][0]} has no derivation below node {wrong[0][1]} of level {level}"
            raise InputError("prefix", NOT_SAID, rule, "lower `filter_level`, or give sentences of the grammar")
    with np.errstate(divide="ignore"):
        logs = np.tile(np.log(tables.prior), (len(tokens), 1))
        for i in range(symbols.shape[1]):
            logs += np.log(_from_root(tables, k, i))[:, symbols[:, i]].T
    top = logs.max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        rule = f"of sample {np.argmin(top)} belongs to no class"
        raise InputError("prefix", NOT_SAID, rule, "raise no `filter_level` above that of its law")
    weights = np.exp(logs - top)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _from_root(tables: Tables, k: int, i: int) -> FloatArray:
    """``p(h_k | root)`` at node i of level k, (classes, v_k)."""
    out = np.eye(len(tables.prior))
    for above, branch in zip(range(tables.shape.L, k, -1), tables.path(k, i), strict=True):
        out = out @ tables.transition(above)[branch]
    return out


def _below(tables: Tables, k: int) -> Tables:
    """The subtree below a node of level k, its symbol uniform beforehand."""
    shape = tables.shape
    v, m, s = zip(*((x.below, x.rules, x.children) for x in shape.levels[:k]), strict=True)
    rules = [tables.rules(level) for level in range(1, k + 1)]
    probabilities = [tables.rule_probabilities(level) for level in range(1, k + 1)]
    return Tables(Shape(v, m, s, k, shape.n_symbols(k)), rules, probabilities)
