"""The look-up null: the most that any table of seen contexts can know after P sentences.

Equation bills-lookup of docs/theory_bills.md.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rhmtheory.fitting.levels import crossings
from rhmtheory.support.checks import as_int, as_numbers
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.tree import sampling
from rhmtheory.tree.tables import Tables

TESTS_FROM = 3.0
"""How far the null must lie above a measured step before that step tests a law."""
_BLOCK = 4096
_GRID = 1.1


def lookup_loss(grammar: Tables, P: npt.ArrayLike, *, samples: int = 2**13, seed: int = 0) -> FloatArray:
    r"""Return a lower bound for the test loss of any look-up table after P sentences.

    The most favourable table knows ``p(h_0 | x_k)`` exactly as soon as it has seen the context ``x_k`` once: the
    last ``s**k - 1`` tokens before the target. It answers by the deepest context it has seen. Its loss is
    ``E_x sum_k Pr(deepest = k) H(h_0 | x_k)``; ``x_k`` has been seen with probability ``1 - (1 - p(x_k))**P``.

    Parameters
    ----------
    grammar : Grammar
    P : array, samples
        Sentences seen, one or more.
    samples : int
        Sentences x of the Monte Carlo average.
    seed : int
        Of these sentences.

    Returns
    -------
    array, shape of P, nats

    Raises
    ------
    InputError
        For fewer sentences than one.
    """
    sizes = as_numbers("P", P)
    if not (np.isfinite(sizes).all() and (sizes >= 1).all()):
        raise InputError("P", P, "holds fewer sentences than one", "give finite numbers of 1 or more")
    log_p, H = _drawn_contexts(grammar, samples, seed)
    return _loss(sizes.ravel(), log_p, H).reshape(sizes.shape)


def lookup_thresholds(grammar: Tables, *, samples: int = 2**13, seed: int = 0) -> FloatArray:
    """Return the samples at which the loss of the look-up null crosses ``sqrt(H_k H_(k+1))``.

    Parameters
    ----------
    grammar : Grammar
    samples, seed : int
        As in `lookup_loss`.

    Returns
    -------
    array, shape (L,), samples
        NaN where two plateaus coincide, or the floor is zero. A step tests a law of samples only where its
        measured ``P*_k`` lies `TESTS_FROM` times below: see `beyond_lookup`.

    Examples
    --------
    For s = 2 about half of ``v m^3``, ``v m^7``, ``v m^15`` at k = 1, 2, 3:

    >>> from rhmtheory import RHM
    >>> [f"{P:.0e}" for P in lookup_thresholds(RHM(v=12, m=3, s=2, L=4).grammar(seed=0))[1:]]
    ['2e+02', '2e+04', '1e+08']
    """
    log_p, H = _drawn_contexts(grammar, samples, seed)
    means = H.mean(axis=0)
    last = 100 * np.exp(-log_p.min())
    sizes = np.geomspace(1, last, 2 + int(np.log(last) / np.log(_GRID)))
    # the levels of the same sentences, so that both have the same sampling error
    real = (means[:-1] > means[1:] * 1.01) & (means[1:] > 0)
    levels = np.where(real, np.sqrt(means[:-1] * means[1:]), np.nan)
    found: FloatArray = crossings(sizes, _loss(sizes, log_p, H)[None], levels[None]).at[0]
    return found


def beyond_lookup(measured: npt.ArrayLike, null: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return whether each step tests a law: the look-up null needs `TESTS_FROM` times the samples measured.

    Parameters
    ----------
    measured, null : arrays, samples
        ``P*_k``, and `lookup_thresholds` of the same grammar.
    """
    return np.asarray(np.asarray(null, float) >= TESTS_FROM * np.asarray(measured, float))


def _loss(P: FloatArray, log_p: FloatArray, H: FloatArray) -> FloatArray:
    """Mean over contexts (n, L + 1) of the entropy at the deepest one seen, for every P."""
    log_unseen = np.log1p(-np.minimum(np.exp(log_p[:, 1:]), 1 - 2**-53))
    # each level gains the entropy that separates it from the one before
    gain = H[:, :-1] - H[:, 1:]
    return np.array([H[:, 0].mean() + (np.expm1(size * log_unseen) * gain).sum(axis=1).mean() for size in P])


def _drawn_contexts(grammar: Tables, samples: int, seed: int) -> tuple[FloatArray, FloatArray]:
    tokens = sampling.sample(grammar, as_int("samples", samples, low=1), seed)
    parts = [_contexts(grammar, tokens[i : i + _BLOCK]) for i in range(0, len(tokens), _BLOCK)]
    log_p, H = (np.concatenate(of) for of in zip(*parts, strict=True))
    return log_p, H


def _contexts(grammar: Tables, tokens: IntArray) -> tuple[FloatArray, FloatArray]:
    """``ln p(x_k)`` and ``H(h_0 | x_k)`` of the contexts of sentences, each (n, L + 1)."""
    shape, n, v = grammar.shape, len(tokens), grammar.shape.n_symbols(0)
    symbols: npt.NDArray[np.int64] = tokens.astype(np.int64)
    inside = np.zeros(tokens.shape)  # of one level; ln p(subtree | symbol)
    spine: npt.NDArray[np.int64] = np.tile(np.arange(v, dtype=np.int64), (n, 1))  # h_k above each possible token
    weight = np.ones((n, v))
    outside = np.zeros(n)
    log_p, H = np.empty((n, shape.L + 1)), np.empty((n, shape.L + 1))
    for level in range(shape.L + 1):
        if level:
            s = shape.n_children(level)
            children, of_child = symbols.reshape(n, -1, s), inside.reshape(n, -1, s)
            outside += of_child[:, -1, :-1].sum(axis=1)
            ends = np.concatenate([np.repeat(children[:, -1:, :-1], v, axis=1), spine[:, :, None]], axis=2)
            spine, possible = _parents(grammar, level, ends)
            weight = weight * possible
            symbols, probability = _parents(grammar, level, children)
            inside = np.log(probability) + of_child.sum(axis=2)
        p = weight * grammar.marginal(level, shape.width(level) - 1)[spine]
        total = p.sum(axis=1)
        log_p[:, level] = np.log(total) + outside
        p /= total[:, None]
        H[:, level] = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)
    return log_p, H


def _parents(tables: Tables, level: int, tuples: IntArray) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Parents of tuples (..., s) and the probabilities of their rules; 0 and 0 without a parent."""
    parent, rule = tables.look_up(level, tuples)
    found = parent >= 0
    probability = tables.rule_probabilities(level)[np.where(found, parent, 0), np.where(found, rule, 0)]
    return np.where(found, parent, 0), np.where(found, probability, 0.0)
