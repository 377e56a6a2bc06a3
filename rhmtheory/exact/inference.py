"""Bayes-optimal inference on one grammar: what the observed tokens say about the hidden ones and the tree above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from rhmtheory._kernels import inference as kernels
from rhmtheory.exact._evidence import Evidence, Mask, Piece, as_positions, as_samples, check_symbols, read_evidence
from rhmtheory.exact._messages import NO_ROOM, Block, Impossible, check_explained, in_blocks, marginals
from rhmtheory.language.grammar import Grammar
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_int, smallest_unsigned
from rhmtheory.support.draws import random_key
from rhmtheory.support.errors import InputError
from rhmtheory.support.memory import allocate
from rhmtheory.support.types import FloatArray


@overload
def posterior(
    grammar: Grammar,
    tokens: npt.ArrayLike,
    mask: npt.ArrayLike | None = ...,
    *,
    hidden_levels: int | None = ...,
    symbols: Mapping[int, npt.ArrayLike] | None = ...,
    context_level: int | None = ...,
    impossible: Impossible = ...,
    threads: int | None = ...,
) -> FloatArray: ...
@overload
def posterior(
    grammar: Grammar,
    tokens: npt.ArrayLike,
    mask: npt.ArrayLike | None = ...,
    *,
    hidden_levels: Sequence[int],
    symbols: Mapping[int, npt.ArrayLike] | None = ...,
    context_level: int | None = ...,
    impossible: Impossible = ...,
    threads: int | None = ...,
) -> list[FloatArray]: ...
def posterior(
    grammar: Grammar,
    tokens: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    *,
    hidden_levels: int | Sequence[int] | None = None,
    symbols: Mapping[int, npt.ArrayLike] | None = None,
    context_level: int | None = None,
    impossible: Impossible = "raise",
    threads: int | None = None,
) -> FloatArray | list[FloatArray]:
    r"""Bayes-optimal marginals ``P(x_i = a | observed tokens)`` of hidden tokens and hidden symbols, exactly.

    Sum-product on the derivation tree. Upwards each node sends its parent the likelihoods
    ``beta(a) = sum_r p(r|a) prod_q beta_q(R(a,r)_q)`` of its symbols; downwards the marginal of a node is
    spread over its rules, ``gamma_p(b) = sum_a gamma(a) sum_r P(r|a, observed below) [R(a,r)_p = b]``.
    Messages are scaled at every node, and a sample whose products still leave the range of floats is done
    in logarithms. A fully observed subtree has one possible symbol, found by parent lookup, so one hidden
    token costs O(f v) a level.

    Parameters
    ----------
    grammar : Grammar
    tokens : integer array, shape (n, d) or (d,)
        Whatever is stored at hidden positions is ignored.
    mask : bool array, shape (d,) or that of ``tokens``, or int or sequence of ints, optional
        True where a token is hidden; or the positions of the hidden tokens, the same for all samples, negative
        ones from the end. By default -1, the last token.
    hidden_levels : int or sequence of ints, optional
        Ask for all nodes of a level (0 the tokens, L the root) instead of the hidden tokens.
    symbols : mapping from level to integer array, shape (n, width) or (width,), optional
        Hidden symbols that are observed after all, -1 for those that are not: ``{L: labels[:, None]}``.
    context_level : int, optional
        Context level k, 0..L: the ideal predictor that knows the rules of levels 1..k alone. Of the evidence a node
        sees only what lies below the same level-k node, whose own symbol has its true marginal for a prior; the
        rest is summed out. For the last token it sees ``s**k - 1`` tokens, and its mean entropy is the plateau
        ``H_k``. By default L, all. ``hidden_levels`` and ``symbols`` go up to k.
    impossible : {"raise", "nan"}
        What to do with a sample that no derivation explains.
    threads : int, optional
        By default all cores (or ``NUMBA_NUM_THREADS``).

    Returns
    -------
    array, rows (the last axis) summing to one; the first axis is missing for ``tokens`` of shape (d,)
        - shape (n, v) for the default mask, or one position;
        - shape (n, hidden, v) for a mask of shape (d,), hidden tokens in order of position, or for several
          positions, in the order given;
        - shape (number of True, v), in the order of ``numpy.nonzero(mask)``, for a mask of shape (n, d);
        - shape (n, width, v_l) for one level, a list of these for several. What is observed is certain.

    Raises
    ------
    InputError
        For arrays of a wrong shape or type, symbols or positions out of range, levels above ``context_level``, and
        evidence that no derivation explains (with ``context_level``: below a node of that level that is asked for).

    Notes
    -----
    Sources: arXiv:2402.16991 for belief propagation on this model; the messages are in ``docs/theory_inference``.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> tokens = g.sample(1000, seed=1)
    >>> posterior(g, tokens).shape
    (1000, 8)
    >>> posterior(g, tokens, range(4, 8)).shape
    (1000, 4, 8)
    >>> posterior(g, tokens, hidden_levels=3).shape
    (1000, 1, 8)
    >>> posterior(g, tokens, hidden_levels=1, context_level=2).shape
    (1000, 4, 8)
    """
    evidence, hidden, single = read_evidence(grammar, tokens, mask, symbols)
    rhm, n = grammar.rhm, evidence.samples
    k = rhm.L if context_level is None else as_int("context_level", context_level, low=0, high=rhm.L)
    if hidden_levels is None:
        flat = _marginals_within(grammar, evidence, {0: hidden}, k, impossible, threads)[0]
        given = np.asarray(-1 if mask is None else mask)
        if given.ndim == 2:
            return flat
        # one position needs no axis of hidden tokens
        axes = [*([] if single else [n]), *([] if given.ndim == 0 else [int(hidden.sum())])]
        found = flat.reshape(*axes, rhm.n_symbols(0))
        if given.dtype == np.bool_ or given.size < 2:
            return found
        return np.asarray(np.take(found, as_positions(rhm, given).argsort().argsort(), axis=-2))
    chosen = [hidden_levels] if isinstance(hidden_levels, (int, np.integer)) else list(hidden_levels)
    asked = {as_int("hidden_levels", x, low=0, high=k): np.ones((1, rhm.width(x)), bool) for x in chosen}
    parts_by_level = _marginals_within(grammar, evidence, asked, k, impossible, threads)
    parts = [parts_by_level[x].reshape(*([] if single else [n]), rhm.width(x), rhm.n_symbols(x)) for x in chosen]
    return parts[0] if isinstance(hidden_levels, (int, np.integer)) else parts


def next_token_posterior(
    grammar: Grammar,
    prefix: npt.ArrayLike,
    context: int | None = None,
    *,
    position: int | None = None,
    context_level: int | None = None,
    impossible: Impossible = "raise",
    threads: int | None = None,
) -> FloatArray:
    """Distribution of the token after a prefix, as an ideal predictor gives it that sees a limited context.

    Parameters
    ----------
    grammar : Grammar
    prefix : integer array, shape (n, t) or (t,), 0 <= t < d
    context : int, optional
        Only the last ``context`` tokens of the prefix are seen, the others are summed out. By default all are.
    position : int, optional
        Position of the token to predict, right after the prefix; by default ``t``, so that the prefix begins the
        sentence.
    context_level : int, optional
        Context level k, 0..L, in place of ``context``: only tokens below the same level-k node are seen, as in
        `posterior`. At the last position these are ``s**k - 1``: the predictor behind the plateau ``H_k``.
    impossible, threads
        As in `posterior`.

    Returns
    -------
    array, shape (n, v) or (v,)

    Raises
    ------
    InputError
        For an ungrammatical prefix (one that begins no sentence), for both ``context`` and ``context_level``, and
        as in `posterior`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> H_2 = g.plateaus()[2]
    >>> p = next_token_posterior(g, g.sample(4000, seed=1)[:, :-1], context_level=2)
    >>> bool(abs(-(p * np.log(p + 1e-300)).sum(axis=1).mean() - H_2) < 0.02)
    True
    """
    rhm = grammar.rhm
    array, single = as_samples("prefix tokens", prefix)
    t = array.shape[1]
    position = min(t, rhm.d - 1) if position is None else as_int("position", position, low=0, high=rhm.d - 1)
    if t > position:
        raise InputError(f"prefix has {t} tokens, but only {position} lie before position {position}: cut it")
    if context_level is not None:
        if context is not None:
            raise InputError(f"context={context} and context_level={context_level} are two contexts: give one")
        context = position % rhm.span(as_int("context_level", context_level, low=0, high=rhm.L))
    seen = t if context is None else min(t, as_int("context", context, low=0))
    hidden = np.arange(t)[None] < t - seen
    check_symbols("prefix tokens", array, rhm.n_symbols(0), hidden)
    evidence = Evidence(len(array), [Piece(0, position - t, array, hidden)])
    asked = {0: np.arange(rhm.d)[None] == position}
    out = marginals(grammar, evidence, asked, impossible, threads)[0]
    return out[0] if single else out


def posterior_sample(
    grammar: Grammar,
    tokens: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    samples: int | None = None,
    seed: int | np.random.Generator = 0,
    *,
    trees: bool = False,
    symbols: Mapping[int, npt.ArrayLike] | None = None,
    threads: int | None = None,
) -> Any:
    """Draw the hidden tokens from their joint posterior: messages up as in `posterior`, then a tree downwards.

    Draws are exact but for the 53 bits of a uniform number. They are a function of the arguments alone, not of
    the number of threads.

    Parameters
    ----------
    grammar, tokens, mask
        As in `posterior`.
    samples : int, optional
        Draws for each sample; by default one, without an axis of its own.
    seed : int or numpy.random.Generator
        A generator is advanced, so that a second call draws anew.
    trees : bool
        Return the symbols of all levels instead of the tokens only.
    symbols, threads
        As in `posterior`.

    Returns
    -------
    array, shape (n, d), or (n, samples, d), of the smallest unsigned dtype that holds the token symbols
        Observed tokens as they are, hidden ones drawn; the first axis is missing for ``tokens`` of shape
        (d,). With ``trees=True`` a list over levels 0..L of such arrays, (..., width).

    Raises
    ------
    InputError
        As `posterior`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> sentence = g.sample(1, seed=1)[0]
    >>> posterior_sample(g, sentence, [False] * 4 + [True] * 4, samples=10, seed=2).shape
    (10, 8)
    """
    evidence, _, single = read_evidence(grammar, tokens, mask, symbols)
    rhm, n = grammar.rhm, evidence.samples
    draws = 1 if samples is None else as_int("samples", samples, low=0)
    key = random_key(seed)
    wanted = range(rhm.L + 1) if trees else range(1)
    dtype = smallest_unsigned(max(rhm.n_symbols(level) for level in wanted))
    out = allocate([(n * draws, rhm.width(level)) for level in wanted], dtype, NO_ROOM)
    failed = np.full(n, kernels.EXPLAINED)

    def solve(block: Block, start: int, stop: int, logs: bool) -> npt.NDArray[np.int64]:
        first = start // draws
        judged = block.explain(evidence, first, (stop - 1) // draws + 1, logs)
        drawn = block.draw(np.arange(start, stop) // draws - first, start, judged, logs, key)
        for array, symbol in zip(out, drawn, strict=False):
            array[start:stop] = symbol
        # two threads that share a sample judge it alike
        failed[first : first + len(judged)] = judged
        return judged

    in_blocks(grammar, n, draws, solve, threads)
    check_explained(grammar, failed)
    axes = [*([] if single else [n]), *([] if samples is None else [draws])]
    parts = [array.reshape(*axes, array.shape[1]) for array in out]
    return parts if trees else parts[0]


# --- a limited context ---------------------------------------------------------------------------------------


def _marginals_within(
    grammar: Grammar,
    evidence: Evidence,
    asked: dict[int, Mask],
    k: int,
    impossible: Impossible,
    threads: int | None,
) -> dict[int, FloatArray]:
    """`marginals` given what is observed below the same level-``k`` node: one such node after another."""
    rhm, n = grammar.rhm, evidence.samples
    if k == rhm.L:
        return marginals(grammar, evidence, asked, impossible, threads)
    above = [piece.level for piece in evidence.pieces if piece.level > k]
    if above:
        raise InputError(
            f"symbols of level {above[0]} lie above context_level={k}, which sees none: leave them out"
        )
    full = {level: np.broadcast_to(nodes, (n, nodes.shape[1])) for level, nodes in asked.items()}
    shapes = [(int(a.sum()), rhm.n_symbols(level)) for level, a in full.items()]
    out = dict(zip(full, allocate(shapes, np.float64, NO_ROOM), strict=True))
    nodes_below = [rhm.span(k) // rhm.span(level) for level in range(k + 1)]
    for i in range(rhm.width(k)):
        part = [slice(i * count, (i + 1) * count) for count in nodes_below]
        here = {level: nodes[:, part[level]] for level, nodes in asked.items()}
        if not any(nodes.any() for nodes in here.values()):
            continue
        pieces = [
            Piece(p.level, 0, p.symbols[:, part[p.level]], p.hidden[:, part[p.level]]) for p in evidence.pieces
        ]
        found = _below_one(grammar, k, i, Evidence(n, pieces), here, impossible, threads)
        for level, nodes in full.items():
            node = np.nonzero(nodes)[1]
            out[level][(node >= part[level].start) & (node < part[level].stop)] = found[level]
    return out


def _below_one(
    grammar: Grammar,
    k: int,
    i: int,
    evidence: Evidence,
    asked: dict[int, Mask],
    impossible: Impossible,
    threads: int | None,
) -> dict[int, FloatArray]:
    """Marginals below node ``i`` of level ``k``, from rules of levels 1..k and that node's true marginal."""
    rhm, prior, n = grammar.rhm, grammar.marginal(k, i), evidence.samples
    if k == 0:  # no rules: a token is known, or has its marginal
        observed = evidence.rows(0, n, 0, 1)
        p = np.where(observed >= 0, np.eye(len(prior))[observed[:, 0]], prior)
        return {0: p[np.broadcast_to(asked[0], (n, 1))[:, 0]]}
    levels = range(1, k + 1)
    rules = [grammar.rules(x) for x in levels]
    probabilities = [grammar.rule_probabilities(x) for x in levels]
    below = RHM(
        v=tuple(rhm.n_symbols(x) for x in range(k)),
        m=tuple(rhm.n_rules(x) for x in levels),
        s=tuple(rhm.n_children(x) for x in levels),
        L=k,
        n=rhm.n_symbols(k),
    )
    try:
        return marginals(Grammar(below, rules, probabilities, prior), evidence, asked, impossible, threads)
    except InputError as error:
        raise InputError(f"below node {i} of level {k}, counted from there: {error}") from None
