"""How likely what is observed is, and the likeliest derivation behind it.

Equation inference-likelihood of docs/theory_inference.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rhmtheory._kernels import best
from rhmtheory._kernels import inference as kernels
from rhmtheory.exact._evidence import Evidence, read_evidence, rows_of
from rhmtheory.exact._messages import (
    LARGEST_BLOCK,
    NO_ROOM,
    Block,
    check_explained,
    check_room,
    in_blocks,
    rules_of,
)
from rhmtheory.support.memory import allocate
from rhmtheory.support.parallel import for_ranges
from rhmtheory.support.types import FloatArray
from rhmtheory.tree.tables import Tables
from rhmtheory.tree.trees import Trees


def log_likelihood(
    tables: Tables,
    evidence: npt.ArrayLike,
    *,
    mask: npt.ArrayLike | None = None,
    symbols: Mapping[int, npt.ArrayLike] | None = None,
    threads: int | None = None,
) -> FloatArray:
    """Logarithm of the probability of observed tokens or beliefs, exactly, for sentences of any length.

    The derivation is summed out: ``ln sum_trees p(tree) prod_i likelihood_i(symbol of node i)``. Of tokens it is
    that of the sentence, or of its visible part.

    Parameters
    ----------
    tables : Tables
    evidence : array, shape (P, d) or (P, d, v); or that of one sentence
        Tokens, or beliefs about them, as in `posteriors`.
    mask : bool array, shape (d,) or (P, d), optional
        True where a token is hidden; by default none is.
    symbols, threads
        As in `posteriors`.

    Returns
    -------
    array, shape (P,), nats
        -inf for evidence that no derivation explains. A number for one sentence.

    Raises
    ------
    InputError
        As `posteriors`, but not for evidence without an explanation.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> found = log_likelihood(g, g.sample(100, seed=1))
    >>> bool(np.allclose(found, -np.log(8) - 7 * np.log(2)))  # class and seven rules, equally likely
    True
    """
    read, single = read_evidence(tables, evidence, mask, symbols, hide_last=False)
    (out,) = allocate([(read.samples,)], np.float64, NO_ROOM)

    def solve(block: Block, start: int, stop: int, logs: bool) -> npt.NDArray[np.int64]:
        failed = block.explain(read, start, stop, logs)
        out[start:stop] = block.log_likelihood(read, failed, logs)
        return failed

    in_blocks(tables, read.samples, 1, solve, threads)
    return out[0] if single else out


class MostProbable(NamedTuple):
    """The likeliest derivations of some sentences. Made by `most_probable`."""

    trees: Trees
    """Derivations; their tokens complete or correct what was observed."""
    log_probability: FloatArray
    """(P,) logarithm of the probability of derivation and evidence together, nats. Less `log_likelihood` it is that
    of the derivation given the evidence."""


def most_probable(
    tables: Tables,
    evidence: npt.ArrayLike,
    *,
    mask: npt.ArrayLike | None = None,
    symbols: Mapping[int, npt.ArrayLike] | None = None,
    threads: int | None = None,
) -> MostProbable:
    """Most probable derivation given observed tokens or beliefs (max-product), exactly.

    A sentence has one derivation, so its tokens are the most probable completion, too. Of equally probable
    derivations each node takes its first rule; of many hidden tokens and equal rules there are many.

    Parameters
    ----------
    tables, evidence, mask, symbols, threads
        As in `posteriors`.

    Returns
    -------
    MostProbable

    Raises
    ------
    InputError
        As `posteriors`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> tokens = g.sample(100, seed=1)
    >>> found = most_probable(g, tokens, mask=[False] * 8)
    >>> bool((found.trees.tokens == tokens).all())
    True
    """
    read, single = read_evidence(tables, evidence, mask, symbols)
    shape, n = tables.shape, read.samples
    widths = [(shape.width(level), shape.n_symbols(level)) for level in range(shape.L + 1)]
    symbol = allocate([(n, width) for width, _ in widths], np.int32, NO_ROOM)
    (log_probability,) = allocate([(n,)], np.float64, NO_ROOM)
    failed = np.full(n, kernels.EXPLAINED)
    rules = rules_of(tables)
    size = max(1, LARGEST_BLOCK // check_room(tables))

    def work(first: int, last: int) -> None:
        for start in range(first, last, size):
            stop = min(start + size, last)
            scores, choices = [_log_evidence(read, start, stop, 0, *widths[0])], []
            node = widths[0][0]
            for level, (width, v) in enumerate(widths[1:], start=1):
                score, choice = np.empty((stop - start, width, v)), np.empty((stop - start, width, v), np.int32)
                weights = np.log(rules[level - 1].weight)
                best.best_rules(score, choice, scores[-1], weights, rules[level - 1])
                scores.append(score + _log_evidence(read, start, stop, level, width, v))
                choices.append(choice)
                nothing = scores[-1].max(axis=2) == -np.inf
                new = nothing.any(axis=1) & (failed[start:stop] == kernels.EXPLAINED)
                failed[start:stop][new] = node + nothing[new].argmax(axis=1)
                node += width
            with np.errstate(divide="ignore"):
                top = scores[-1][:, 0] + np.log(tables.prior)
            symbol[-1][start:stop, 0] = top.argmax(axis=1)
            log_probability[start:stop] = top.max(axis=1)
            lost = (log_probability[start:stop] == -np.inf) & (failed[start:stop] == kernels.EXPLAINED)
            failed[start:stop][lost] = node - 1
            good = np.flatnonzero(failed[start:stop] == kernels.EXPLAINED)
            for level in range(shape.L, 0, -1):
                below = np.empty((len(good), widths[level - 1][0]), np.int32)
                best.follow(below, symbol[level][start + good], choices[level - 1][good], rules[level - 1])
                symbol[level - 1][start + good] = below

    for_ranges(work, n, threads=threads)
    check_explained(tables, failed)
    levels = [x[0] if single else x for x in symbol]
    found = log_probability[0] if single else log_probability
    return MostProbable(Trees(tables, levels, check=False), found)


def _log_evidence(evidence: Evidence, start: int, stop: int, level: int, width: int, v: int) -> FloatArray:
    """Logarithms of the likelihoods of a level's symbols, (stop - start, width, v), zero where nothing is seen."""
    out = np.zeros((stop - start, width, v))
    observed = evidence.rows(start, stop, level, width)
    if observed.size:
        out[(observed[..., None] != np.arange(v)) & (observed >= 0)[..., None]] = -np.inf
    for piece in evidence.soft:
        if piece.level == level:
            with np.errstate(divide="ignore"):
                likelihoods = np.log(
                    rows_of(piece.beliefs, start, stop),
                    where=~rows_of(piece.hidden, start, stop)[..., None],
                    out=np.zeros_like(out),
                )
            out += likelihoods
    return out
