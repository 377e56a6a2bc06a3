"""Bayes-optimal inference on one grammar: what the observed tokens say about the hidden ones and the tree above."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory._kernels import inference as kernels
from rhmtheory.exact._evidence import Evidence, Mask, Piece, Soft, as_samples, check_symbols, read_evidence
from rhmtheory.exact._messages import NO_ROOM, Block, Impossible, check_explained, in_blocks, marginals, one_token
from rhmtheory.support.checks import as_int, smallest_unsigned
from rhmtheory.support.draws import random_key
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.memory import allocate
from rhmtheory.support.types import FloatArray
from rhmtheory.tree.shape import Shape
from rhmtheory.tree.tables import Tables
from rhmtheory.tree.trees import Trees


def posterior(
    tables: Tables,
    tokens: npt.ArrayLike,
    *,
    context_level: int | None = None,
    symbols: Mapping[int, npt.ArrayLike] | None = None,
    impossible: Impossible = "raise",
    threads: int | None = None,
) -> FloatArray:
    """Bayes-optimal distribution of the last token given the tokens before it, exactly.

    A belief about the last token itself, where beliefs are given, counts as well.

    Parameters
    ----------
    tables : Tables
    tokens : integer array, shape (P, d) or (d,)
        Sentences; or beliefs, as in `posteriors`. Whatever is stored at the last position of tokens is ignored.
    context_level, symbols, impossible, threads
        As in `posteriors`. At context level k the last ``s**k - 1`` tokens before the target are seen, and the
        mean entropy of the result is the plateau ``H_k``.

    Returns
    -------
    array, shape (P, v)
        Rows sum to one. The first axis is missing for ``tokens`` of shape (d,).

    Raises
    ------
    InputError
        As in `posteriors`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> posterior(g, g.sample(1000, seed=1)).shape
    (1000, 8)
    """
    shape = tables.shape
    k = _context_level(shape, context_level)
    evidence, single = read_evidence(tables, tokens, None, symbols)
    if symbols or evidence.soft:
        last = {0: np.arange(shape.d)[None] == shape.d - 1}
        p = _marginals_within(tables, evidence, last, k, impossible, threads)[0]
    else:
        seen = evidence.pieces[0].symbols[:, shape.d - shape.span(k) : -1]
        p = one_token(tables, seen, shape.d - 1, impossible, threads)
    return p[0] if single else p


def posteriors(
    tables: Tables,
    evidence: npt.ArrayLike,
    *,
    level: int = 0,
    mask: npt.ArrayLike | None = None,
    context_level: int | None = None,
    symbols: Mapping[int, npt.ArrayLike] | None = None,
    impossible: Impossible = "raise",
    threads: int | None = None,
) -> FloatArray:
    r"""Bayes-optimal marginals of all nodes of a level given the observed tokens, exactly.

    Sum-product on the derivation tree. Upwards each node sends its parent the likelihoods
    ``beta(a) = sum_r p(r|a) prod_q beta_q(R(a,r)_q)`` of its symbols; downwards the marginal of a node is
    spread over its rules, ``gamma_p(b) = sum_a gamma(a) sum_r P(r|a, observed below) [R(a,r)_p = b]``.
    Messages are scaled at every node, and a sample whose products still leave the range of floats is done
    in logarithms. A fully observed subtree has one possible symbol, found by parent lookup, so one hidden
    token costs O(f v) per level.

    Parameters
    ----------
    tables : Tables
    evidence : integer array, shape (P, d) or (d,); or float array, shape (P, d, v) or (d, v)
        Tokens; or a belief about each token, the likelihood of every symbol, known up to a factor. Whatever is
        stored at hidden positions is ignored.
    level : int
        Level of the nodes asked for: 0 the tokens, L the root.
    mask : bool array, shape (d,) or (P, d), optional
        True where a token is hidden. By default the last token is, and of beliefs none.
    context_level : int, optional
        Context level k, 0..L: the ideal predictor that knows the rules of levels 1..k alone. Of the evidence a node
        sees only what lies below the same level-k node, whose own symbol has its true marginal for a prior; the
        rest is summed out. By default L, all. ``level`` and ``symbols`` go up to k.
    symbols : mapping from level to array, optional
        Hidden symbols that are observed after all, shape (P, width) or (width,), -1 for those that are not:
        ``{L: labels[:, None]}``. Or beliefs about all nodes of the level, floats, shape (P, width, v_level).
    impossible : {"raise", "nan"}
        What to do with a sample that no derivation explains.
    threads : int, optional
        By default all cores (or ``NUMBA_NUM_THREADS``).

    Returns
    -------
    array, shape (P, width, v_level)
        Rows sum to one, and observed symbols are certain. The first axis is missing for one sentence.

    Raises
    ------
    InputError
        For arrays of a wrong shape or type, symbols out of range, beliefs that are negative, not finite or all
        zero, levels above ``context_level``, messages that do not fit in memory, and evidence that no derivation
        explains (with ``context_level``: below any one node of that level).

    Notes
    -----
    Sources: arXiv:2402.16991 for belief propagation on this model; the messages are in ``docs/theory_inference``,
    beliefs in inference-belief.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> tokens, hidden = g.sample(1000, seed=1), np.arange(8) >= 4
    >>> posteriors(g, tokens, mask=hidden).shape
    (1000, 8, 8)
    >>> posteriors(g, tokens, level=3, mask=hidden).shape
    (1000, 1, 8)
    >>> beliefs = np.where(tokens[..., None] == np.arange(8), 0.9, 0.1 / 7)
    >>> posteriors(g, beliefs, level=1).shape
    (1000, 4, 8)
    """
    shape = tables.shape
    read, single = read_evidence(tables, evidence, mask, symbols)
    k = _context_level(shape, context_level)
    level = as_int("level", level, low=0, high=k)
    asked = {level: np.ones((1, shape.width(level)), bool)}
    flat = _marginals_within(tables, read, asked, k, impossible, threads)[level]
    return flat.reshape(*([] if single else [read.samples]), shape.width(level), shape.n_symbols(level))


def next_token(
    tables: Tables,
    prefix: npt.ArrayLike,
    *,
    context_tokens: int | None = None,
    position: int | None = None,
    context_level: int | None = None,
    impossible: Impossible = "raise",
    threads: int | None = None,
) -> FloatArray:
    """Distribution of the token after a prefix, as an ideal predictor of limited context gives it.

    Parameters
    ----------
    tables : Tables
    prefix : integer array, shape (P, t) or (t,), 0 <= t < d
    context_tokens : int, optional
        Number of tokens at the end of the prefix that are seen; the others are summed out. By default all are seen.
    position : int, optional
        Position of the token to predict, right after the prefix; by default ``t``, so that the prefix begins the
        sentence.
    context_level : int, optional
        Context level k, 0..L, in place of ``context_tokens``: only tokens below the same level-k node are seen, as
        in `posteriors`. At the last position these are ``s**k - 1``: the predictor behind the plateau ``H_k``.
    impossible, threads
        As in `posteriors`.

    Returns
    -------
    array, shape (P, v) or (v,)

    Raises
    ------
    InputError
        For an ungrammatical prefix (one that begins no sentence), both kinds of context, and as in `posteriors`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> H_2 = g.plateaus()[2]
    >>> p = next_token(g, g.sample(4000, seed=1)[:, :-1], context_level=2)
    >>> bool(abs(-(p * np.log(p + 1e-300)).sum(axis=1).mean() - H_2) < 0.02)
    True
    """
    shape = tables.shape
    array, single = as_samples("prefix tokens", prefix)
    t = array.shape[1]
    position = min(t, shape.d - 1) if position is None else as_int("position", position, low=0, high=shape.d - 1)
    if t > position:
        rule = f"has {t} tokens, but only {position} lie before position {position}"
        raise InputError("prefix", NOT_SAID, rule, "cut it")
    if context_level is not None:
        if context_tokens is not None:
            rule = f"and `context_level`={context_level} are two contexts"
            raise InputError("context_tokens", context_tokens, rule, "give one")
        context_tokens = position % shape.span(_context_level(shape, context_level))
    seen = t if context_tokens is None else min(t, as_int("context_tokens", context_tokens, low=0))
    hidden = np.arange(t)[None] < t - seen
    check_symbols("prefix tokens", array, shape.n_symbols(0), hidden)
    p = one_token(tables, array[:, t - seen :], position, impossible, threads)
    return p[0] if single else p


def sample_posterior(
    tables: Tables,
    evidence: npt.ArrayLike,
    *,
    mask: npt.ArrayLike | None = None,
    samples: int | None = None,
    seed: int | np.random.Generator = 0,
    symbols: Mapping[int, npt.ArrayLike] | None = None,
    threads: int | None = None,
) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Draw sentences from their joint posterior: messages up as in `posteriors`, then a derivation downwards.

    Draws are exact but for the 53 bits of a uniform number. They are a function of the arguments alone, not of
    the number of threads.

    Parameters
    ----------
    tables, evidence, mask
        As in `posteriors`.
    samples : int, optional
        Draws for each sentence; by default one, without an axis of its own.
    seed : int or numpy.random.Generator
        A generator is advanced, so that a second call draws anew.
    symbols, threads
        As in `posteriors`.

    Returns
    -------
    array, shape (P, d), or (P, samples, d), of the smallest unsigned dtype that holds the token symbols
        Observed tokens as they are, hidden ones drawn; the first axis is missing for ``evidence`` of one sentence.

    Raises
    ------
    InputError
        As `posteriors`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> sentence = g.sample(1, seed=1)[0]
    >>> sample_posterior(g, sentence, mask=[False] * 4 + [True] * 4, samples=10, seed=2).shape
    (10, 8)
    """
    return _drawn(tables, evidence, mask, samples, seed, symbols, threads, levels=1)[0]


def sample_posterior_trees(
    tables: Tables,
    evidence: npt.ArrayLike,
    *,
    mask: npt.ArrayLike | None = None,
    samples: int | None = None,
    seed: int | np.random.Generator = 0,
    symbols: Mapping[int, npt.ArrayLike] | None = None,
    threads: int | None = None,
) -> Trees:
    """Draw whole derivations from their joint posterior; the tokens are those of `sample_posterior`.

    Parameters
    ----------
    tables, evidence, mask, samples, seed, symbols, threads
        As in `sample_posterior`.

    Returns
    -------
    Trees
        With the axes of `sample_posterior` in front.

    Raises
    ------
    InputError
        As `posteriors`.
    """
    levels = _drawn(tables, evidence, mask, samples, seed, symbols, threads, levels=tables.shape.L + 1)
    return Trees(tables, levels, check=False)


def _drawn(
    tables: Tables,
    evidence: npt.ArrayLike,
    mask: npt.ArrayLike | None,
    samples: int | None,
    seed: int | np.random.Generator,
    symbols: Mapping[int, npt.ArrayLike] | None,
    threads: int | None,
    *,
    levels: int,
) -> list[npt.NDArray[np.unsignedinteger[Any]]]:
    """Symbols of the lowest levels of derivations drawn from the posterior."""
    read, single = read_evidence(tables, evidence, mask, symbols)
    shape, n = tables.shape, read.samples
    draws = 1 if samples is None else as_int("samples", samples, low=0)
    key = random_key(seed)
    dtype = smallest_unsigned(max(shape.n_symbols(level) for level in range(levels)))
    out = allocate([(n * draws, shape.width(level)) for level in range(levels)], dtype, NO_ROOM)
    failed = np.full(n, kernels.EXPLAINED)

    def solve(block: Block, start: int, stop: int, logs: bool) -> npt.NDArray[np.int64]:
        first = start // draws
        judged = block.explain(read, first, (stop - 1) // draws + 1, logs)
        drawn = block.draw(np.arange(start, stop) // draws - first, start, judged, logs, key)
        for array, symbol in zip(out, drawn, strict=False):
            array[start:stop] = symbol
        # two threads that share a sample judge it alike
        failed[first : first + len(judged)] = judged
        return judged

    in_blocks(tables, n, draws, solve, threads)
    check_explained(tables, failed)
    axes = [*([] if single else [n]), *([] if samples is None else [draws])]
    return [array.reshape(*axes, array.shape[1]) for array in out]


# --- a limited context ---------------------------------------------------------------------------------------


def _context_level(shape: Shape, given: int | None) -> int:
    return shape.L if given is None else as_int("context_level", given, low=0, high=shape.L)


def _marginals_within(
    tables: Tables,
    evidence: Evidence,
    asked: dict[int, Mask],
    k: int,
    impossible: Impossible,
    threads: int | None,
) -> dict[int, FloatArray]:
    """`marginals` given what is observed below the same level-``k`` node: one such node after another."""
    shape, n = tables.shape, evidence.samples
    if k == shape.L:
        return marginals(tables, evidence, asked, impossible, threads)
    above = [
        level for level in (*(p.level for p in evidence.pieces), *(p.level for p in evidence.soft)) if level > k
    ]
    if above:
        rule = f"of level {above[0]} lie above `context_level`={k}, which sees none"
        raise InputError("symbols", NOT_SAID, rule, "leave them out")
    full = {level: np.broadcast_to(nodes, (n, nodes.shape[1])) for level, nodes in asked.items()}
    shapes = [(int(a.sum()), shape.n_symbols(level)) for level, a in full.items()]
    out = dict(zip(full, allocate(shapes, np.float64, NO_ROOM), strict=True))
    nodes_below = [shape.span(k) // shape.span(level) for level in range(k + 1)]
    for i in range(shape.width(k)):
        part = [slice(i * count, (i + 1) * count) for count in nodes_below]
        here = {level: nodes[:, part[level]] for level, nodes in asked.items()}
        if not any(nodes.any() for nodes in here.values()):
            continue
        pieces = [
            Piece(p.level, 0, p.symbols[:, part[p.level]], p.hidden[:, part[p.level]]) for p in evidence.pieces
        ]
        soft = [Soft(p.level, p.beliefs[:, part[p.level]], p.hidden[:, part[p.level]]) for p in evidence.soft]
        found = _below_one(tables, k, i, Evidence(n, pieces, soft), here, impossible, threads)
        for level, nodes in full.items():
            node = np.nonzero(nodes)[1]
            out[level][(node >= part[level].start) & (node < part[level].stop)] = found[level]
    return out


def _below_one(
    tables: Tables,
    k: int,
    i: int,
    evidence: Evidence,
    asked: dict[int, Mask],
    impossible: Impossible,
    threads: int | None,
) -> dict[int, FloatArray]:
    """Marginals below node ``i`` of level ``k``, from rules of levels 1..k and that node's true marginal."""
    shape, prior, n = tables.shape, tables.marginal(k, i), evidence.samples
    if k == 0:  # no rules: a token is known, or has its marginal
        observed = evidence.rows(0, n, 0, 1)
        p = np.broadcast_to(prior, (n, len(prior)))
        if observed.size:
            p = np.where(observed >= 0, np.eye(len(prior))[observed[:, 0]], p)
        for _, beliefs, hidden in evidence.soft:
            p = p * np.where(hidden, 1.0, beliefs[:, 0])
            total = p.sum(axis=1, keepdims=True)
            if impossible == "raise" and not total.all():
                rule = f"of token {i} of sample {np.argmin(total)} leave no symbol that it can have"
                raise InputError("beliefs", NOT_SAID, rule, 'hide it, or take NaN with `impossible`="nan"')
            p = np.divide(p, total, out=np.full(p.shape, np.nan), where=total > 0)
        return {0: p[np.broadcast_to(asked[0], (n, 1))[:, 0]]}
    levels = range(1, k + 1)
    rules = [tables.rules(x) for x in levels]
    probabilities = [tables.rule_probabilities(x) for x in levels]
    numbers = [(x.below, x.rules, x.children) for x in shape.levels[:k]]
    v, m, s = zip(*numbers, strict=True)
    below = Tables(Shape(v, m, s, k, shape.n_symbols(k)), rules, probabilities, prior)
    try:
        return marginals(below, evidence, asked, impossible, threads)
    except InputError as error:
        place = f"below node {i} of level {k}, counted from there: {error.name}"
        raise InputError(place, error.value, error.rule, error.way_out) from None
