"""How many updates a step takes: the entries of its table, and what tuples cost without weight sharing."""

from __future__ import annotations

import numpy as np

from rhmtheory.exact import residuals
from rhmtheory.support.checks import as_int
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.tree.tables import Tables


def table_entries(grammar: Tables, k: int) -> float:
    r"""Return the effective number of entries of the table that step k fills.

    Step k learns the law of the last token given the siblings of the spine up to level k. An entry is one
    derivation of the spine, from ``h_(k+1)`` down to the last token; of probability p, it is filled at a rate p.
    The number is ``1 / sum p^2``, ``v m^(k+1)`` for equally likely rules and a uniform ``h_(k+1)``.

    Parameters
    ----------
    grammar : Grammar
    k : int
        Step, 0..L-1.

    Returns
    -------
    float

    Raises
    ------
    InputError
        For a step outside its range.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> round(table_entries(RHM(v=16, m=4, s=2, L=3).grammar(seed=0), 2))
    1024
    """
    k = as_int("k", k, low=0, high=grammar.shape.L - 1)
    level = k + 1
    squares: FloatArray = grammar.marginal(level, grammar.shape.width(level) - 1) ** 2
    for below in range(level, 0, -1):
        of_rules = squares[:, None] * grammar.rule_probabilities(below) ** 2
        last = grammar.rules(below)[:, :, -1]
        squares = np.bincount(last.ravel(), of_rules.ravel(), grammar.shape.n_symbols(below - 1)).astype(float)
    return float(1 / squares.sum())


def updates_ratio(grammar: Tables, k: int) -> float:
    r"""Return ``D_k``, the updates of step k without weight sharing over those with it, at the same table.

    Gradient flow from small weights finds the direction of the largest singular value of the covariance of inputs
    and residuals, at a rate equal to that value. The residual is that of the last token once context level k is
    known. With weight sharing the inputs are tuples one level below the siblings ``sigma_k`` of the spine; without
    it they are tuples of tokens. The ratio of the two singular values is one for k <= 1 and tends to
    ``m**((k-1)/2)``.

    Parameters
    ----------
    grammar : Grammar
    k : int
        Step, 0..L-1.

    Returns
    -------
    float
        Root mean square over the nodes of each kind below ``sigma_k``.

    Raises
    ------
    InputError
        For a step outside its range, for a residual without any covariance, and as `residuals.spine_covariance`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=12, m=3, s=2, L=4).grammar(seed=0)
    >>> [round(updates_ratio(g, k), 2) for k in (1, 2, 3)]
    [1.0, 1.76, 3.05]
    """
    k = as_int("k", k, low=0, high=grammar.shape.L - 1)
    if k <= 1:
        return 1.0
    known, tokens = (tuple_strength(grammar, k, tuple_level=level) for level in (k, 1))
    if tokens == 0:
        raise InputError("grammar", rule=f"has no residual at step {k}", way_out="draw another, or take m >= 3")
    return known / tokens


def tuple_strength(grammar: Tables, k: int, *, tuple_level: int = 1) -> float:
    """Return the top singular value of the residual of the last token against the tuples below ``sigma_k``.

    Parameters
    ----------
    grammar : Grammar
    k : int
        Step, and the level of the siblings ``sigma_k``, 1..L-1. Context level k is known.
    tuple_level : int
        Level of the symbols that produce the tuples, 1..k.

    Returns
    -------
    float
        Root mean square over the nodes of that level below ``sigma_k``, of the singular values of
        ``Cov(residual, tuple)``, an array (v_0, tuples).
    """
    K = residuals.spine_covariance(grammar, k, target_level=0, context_level=k)
    # the tuples of one symbol share its covariance in the proportion of their probabilities
    share = np.sqrt((grammar.rule_probabilities(tuple_level) ** 2).sum(axis=1))
    laws = residuals._laws_below_siblings(grammar, k, tuple_level)
    tops = [np.linalg.svd((K @ law) * share, compute_uv=False)[0] for law in laws]
    return float(np.sqrt(np.mean(np.square(tops))))
