"""Every closed formula of the theory, once, for any kind of number: floats, fractions, sympy's symbols.

Only the arithmetic of the arguments is used; a logarithm is an argument, `math.log` by default. Levels may
differ: ``v`` and ``m`` are then those of the level named, and ``below`` is the product of the rules ``m`` of all
levels below it, ``m**(l - 1)`` for LCA level l where levels are alike. Unequal
rules enter through effective numbers in place of ``m``: see `RHM.m_eff`.

>>> from fractions import Fraction
>>> sample_complexity(v=16, rules=4**3, f=Fraction(1, 4))
Fraction(4096, 3)
"""

from __future__ import annotations

from collections.abc import Callable
from math import log as natural_log
from typing import Any

Log = Callable[[Any], Any]

# --- the language ------------------------------------------------------------------------------------


def fraction(v: Any, m: Any, s: Any, below: Any) -> Any:
    """``f = v m / v'**s``, the fraction of tuples that are grammatical; ``m / v**(s-1)`` where levels are alike.

    Parameters
    ----------
    v, m, s : number
        Symbols, rules per symbol, children per rule.
    below : number
        Symbols ``v'`` of the level below.

    Notes
    -----
    arXiv:2307.02129, section 2.
    """
    return v * m / below**s


# --- signal and noise --------------------------------------------------------------------------------


def token_correlation(v: Any, m: Any, f: Any, below: Any, tokens: Any) -> Any:
    """``C_l**2 = (1 - f) / (v**3 m**(2l - 1))``, mean square covariance of two tokens, for large v at fixed f.

    Parameters
    ----------
    v, m, f : number
        Symbols, rules and fraction of the LCA level.
    below : number
        Product of the rules of the levels below it, ``m**(l - 1)``.
    tokens : number
        Symbols of level 0.

    Notes
    -----
    arXiv:2406.00048, section 3. It is the limit of an exact moment: docs/theory_correlations.md, corr-matrix.
    """
    return (1 - f) / (tokens**2 * v * m * below**2)


def symbol_correlation(square: Any, below: Any) -> Any:
    """Mean square covariance with a token of a level-k symbol, instead of a token: ``m**k C_l**2``.

    ``square`` is that of two tokens, `token_correlation`; ``below`` is ``m**k``. Derived in
    docs/theory_correlations.md, corr-lone.
    """
    return square * below


def tuple_correlation(square: Any, below: Any, m: Any) -> Any:
    """Mean square covariance with a token of the tuple that a level-k symbol produces: ``m**(k-2) C_l**2``.

    A tuple has ``1/m`` of the probability of its parent, of `symbol_correlation` with ``below = m**k``.
    """
    return symbol_correlation(square, below) / m**2


def sampling_noise(entries: Any, P: Any) -> Any:
    """Mean square error of a covariance from P samples: ``1 / (entries P)``.

    ``entries`` is ``v**2`` for two tokens and ``v**2 m`` for a tuple and a token (arXiv:2406.00048, section 3;
    docs/theory_predictions.md, prediction-noise).
    """
    return 1 / (entries * P)


# --- sample complexity: signal = noise, prefactor one ------------------------------------------------


def sample_complexity(v: Any, rules: Any, f: Any) -> Any:
    """``P = v m**r / (1 - f)``: samples that show the correlation of a target with a symbol or tuple.

    The one law of samples: which rules count is said by `theory.Law.path`.

    Parameters
    ----------
    v, f : number
        Symbols and fraction of the level of the lowest common ancestor; ``f = 0`` where it is the target itself.
    rules : number
        Product of ``m_l`` over the r rules on the path from the target to the tuple.

    Notes
    -----
    arXiv:2307.02129, 2406.00048, 2505.07070, 2502.12089, 2605.27734; docs/theory_predictions.md, prediction-path.
    """
    return v * rules / (1 - f)


# --- exponents ---------------------------------------------------------------------------------------


def alpha(f: Any, step: Any, log: Log = natural_log) -> Any:
    """``alpha = ln(1/f) / ln(step)`` of ``loss - floor ~ P**-alpha``: the loss falls by f as P grows by a step.

    ``step`` is a power of m, `theory.Law.power` (arXiv:2505.07070; docs/theory_predictions.md, prediction-alpha).
    """
    return log(1 / f) / log(step)


def beta(m: Any, s: Any, log: Log = natural_log) -> Any:
    """``beta = ln m / ln s`` of the decay of correlations with distance, ``C ~ t**-beta`` (arXiv:2406.00048)."""
    return log(m) / log(s)


def gamma(f: Any, s: Any, log: Log = natural_log) -> Any:
    """``gamma = ln(1/f) / ln s`` of the entropy given n tokens, ``H_n - H_inf ~ n**-gamma`` (arXiv:2406.00048)."""
    return log(1 / f) / log(s)


def corpus_alpha(beta: Any, gamma: Any) -> Any:
    """``alpha = gamma / (2 beta)``: the exponent of the loss from two statistics of a corpus (arXiv:2602.07488)."""
    return gamma / (2 * beta)


def effective_range(P: Any, beta: Any) -> Any:
    """``t* ~ P**(1 / (2 beta))``: where correlations sink in the noise of P samples (arXiv:2406.00048)."""
    return P ** (1 / (2 * beta))


# --- plateaus ----------------------------------------------------------------------------------------


def compatible_step(others: Any, v: Any, m: Any, tuples: Any) -> Any:
    """Mean number of symbols besides the true one that a context leaves, from that of the level above.

    Each of the ``v - 1`` others stays if its tuple is one of the ``m others + m - 1`` other rules of compatible
    symbols; ``tuples = v**s``. Derived in docs/theory_predictions.md, prediction-chain.
    """
    # the brackets keep a number of others far below one, where m is one
    return (v - 1) * (m * others + (m - 1)) / (tuples - 1)


def compatible_symbols(v: Any, m: Any, s: Any, k: Any) -> Any:
    """``E[n_k]``, mean number of symbols compatible with k levels of context, uniform prior; exact.

    One more than the solution of `compatible_step` from ``v - 1`` where levels are alike; its logarithm is the
    annealed plateau, an upper bound of ``H_k`` in nats.
    """
    slope = m * (v - 1) / (v**s - 1)
    fixed = (v**s - v) / (v**s - 1 - m * (v - 1))
    return fixed + (v - fixed) * slope**k


def compatible_symbols_asymptotic(v: Any, f: Any, k: Any) -> Any:
    """``E[n_k] ~ 1/(1 - f) + v f**k``, the limit of `compatible_symbols` for large v (arXiv:2406.00048)."""
    return 1 / (1 - f) + v * f**k


# --- the noisy tree ----------------------------------------------------------------------------------


def belief_map(p: Any, v: Any, m: Any, s: Any, below: Any) -> Any:
    """``F(p)``, belief in the right symbol of a node from the belief ``p`` in those of its children.

    ``F = (p**s + (m - 1) q) / (p**s + (m v - 1) q)`` with ``q = (1 - p**s) / (below**s - 1)``, the mean weight of a
    wrong tuple: averaged over rules, numerator and denominator apart.

    Parameters
    ----------
    p : number
        Belief in the right symbol of a child; the rest is spread evenly over the others.
    v, m, s : number
        Symbols, rules per symbol, children per rule of the level; unequal rules enter by ``1 / sum_r p_r**2``.
    below : number
        Symbols of the level below.

    Notes
    -----
    arXiv:2402.16991, appendix; noise-map of docs/theory_noise.md.
    """
    right = p**s
    wrong = (1 - right) / (below**s - 1)
    return (right + (m - 1) * wrong) / (right + (m * v - 1) * wrong)


def belief_slope(p: Any, v: Any, m: Any, s: Any, below: Any) -> Any:
    """``F'(p)``, the derivative of `belief_map`; at ``1/v`` and 1 it tells the phase (noise-slopes).

    Parameters
    ----------
    p, v, m, s, below : number
        As in `belief_map`.
    """
    right, tuples = p**s, below**s - 1
    wrong = (1 - right) / tuples
    top, bottom = right + (m - 1) * wrong, right + (m * v - 1) * wrong
    change = s * p ** (s - 1)
    return change * ((1 - (m - 1) / tuples) * bottom - (1 - (m * v - 1) / tuples) * top) / bottom**2


def noise_of_belief(p: Any, v: Any) -> Any:
    """``eps = (1 - p) / (1 - 1/v)``, noise at which a leaf has belief ``p = 1 - eps + eps/v`` in its symbol.

    Parameters
    ----------
    p : number
    v : number
        Symbols of the leaves.

    Notes
    -----
    arXiv:2402.16991, section 3.
    """
    return (1 - p) * v / (v - 1)
