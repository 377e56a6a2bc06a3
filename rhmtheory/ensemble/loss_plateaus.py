"""Loss plateaus of the ensemble: the chain of the symbols that remain compatible with a context."""

from __future__ import annotations

import numpy as np

from rhmtheory._support.checks import InputError, as_choice
from rhmtheory._support.types import FloatArray
from rhmtheory.model.rhm import RHM


def plateaus(rhm: RHM, method: str = "chain") -> FloatArray:
    r"""Loss plateaus ``H_0 .. H_L`` of the ensemble.

    Of ``v`` symbols, ``n_k`` remain compatible with the context when ``k`` levels have been read. With a
    uniform prior and rules drawn without replacement they form a Markov chain, ``n_0 = v`` and
    ``n_(k+1) = 1 + Hypergeom(v**s - 1, m n_k - 1, v - 1)``: the true symbol, and each other symbol whose tuple
    belongs to a compatible parent.

    Parameters
    ----------
    rhm : RHM
        Levels may differ; context level ``k`` then starts from the ``v_k`` symbols of level ``k``.
    method : {"chain", "annealed"}
        ``"chain"``: ``H_k = E[ln n_k]``, exact for a uniform prior. ``"annealed"``: its upper bound
        ``ln E[n_k]``, where ``E[n_k]`` obeys the linear recursion of the chain (for large v it is
        ``1/(1-f) + v f**k``, arXiv:2406.00048).

    Returns
    -------
    array, shape (L + 1,), nats
        For k < L the marginals of a real grammar are not uniform, which lowers its plateaus by some percent on
        average; at k = L, with a uniform prior, the chain is the mean over grammars. See
        `quenched.quenched_plateaus` for the true mean over drawn grammars, `Grammar.plateaus` for one grammar.

    Raises
    ------
    InputError
        For an unknown method, and for the chain where rules are not equally likely. (The annealed bound holds
        there, too: no entropy exceeds the logarithm of the number of symbols.)

    Examples
    --------
    >>> plateaus(RHM(v=16, m=4, s=2, L=4)).round(4)
    array([2.7726, 1.4809, 0.595 , 0.2673, 0.1806])
    """
    as_choice("method", method, ("chain", "annealed"))
    if method == "chain" and rhm.rule_probabilities is not None:
        raise InputError(
            "the chain counts symbols as if rules were equally likely: average over drawn grammars with "
            "quenched_plateaus(rhm).mean"
        )
    if method == "annealed":
        return np.array([np.log(_mean_compatible(rhm, k)) for k in range(rhm.L + 1)])
    return np.array([_mean_log_compatible(rhm, k) for k in range(rhm.L + 1)])


def _mean_compatible(rhm: RHM, k: int) -> float:
    mean = float(rhm.n_symbols(k))
    for level in range(k, 0, -1):
        v, tuples = rhm.n_symbols(level - 1), rhm.n_symbols(level - 1) ** rhm.n_children(level)
        mean = 1 + (v - 1) * (rhm.n_rules(level) * mean - 1) / (tuples - 1)
    return mean


def _mean_log_compatible(rhm: RHM, k: int) -> float:
    # probability[i]: that i + 1 symbols are compatible
    probability = np.zeros(rhm.n_symbols(k))
    probability[-1] = 1
    for level in range(k, 0, -1):
        probability = probability @ _compatible_step(rhm, level)
    return float(probability @ np.log(np.arange(1, len(probability) + 1)))


def _compatible_step(rhm: RHM, level: int) -> FloatArray:
    """Transition matrix (v_l, v_(l-1)) of the number of compatible symbols, both counted from one."""
    v = rhm.n_symbols(level - 1)
    tuples = v ** rhm.n_children(level)
    parents = np.arange(1, rhm.n_symbols(level) + 1)
    return np.stack([_hypergeometric(tuples - 1, rhm.n_rules(level) * int(n) - 1, v - 1) for n in parents])


def _hypergeometric(population: int, marked: int, draws: int) -> FloatArray:
    """Probabilities of 0..draws marked items; by ratios of neighbours, exact for any size of population."""
    j = np.arange(draws, dtype=np.float64)
    up = np.maximum(marked - j, 0) * (draws - j)
    # float of the difference, not difference of floats: the population may exceed 2**53
    down = (j + 1) * np.array([max(population - marked - draws + i + 1, 0) for i in range(draws)], dtype=np.float64)
    log_p = np.full(draws + 1, -np.inf)
    least = max(0, draws - (population - marked))
    most = min(draws, marked)
    log_p[least] = 0
    log_p[least + 1 : most + 1] = np.cumsum(np.log(up[least:most]) - np.log(down[least:most]))
    p: FloatArray = np.exp(log_p - log_p.max())
    return np.asarray(p / p.sum())
