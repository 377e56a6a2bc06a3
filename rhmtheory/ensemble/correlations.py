"""Exact averages over grammars of the covariances of two nodes, and of the marginals of one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import prod, sqrt
from typing import Any, Literal, NamedTuple, overload

import numpy as np

from rhmtheory import formulas
from rhmtheory.ensemble.moments import LevelNumbers, Moments, check_branches, check_nodes, short, wide
from rhmtheory.ensemble.parameters import Ensemble
from rhmtheory.support.checks import as_choice, as_int
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray

Branches = str | Sequence[bool]
"""Which way two nodes descend from their common ancestor: see `second_moment`."""


def rms_correlation(
    rhm: Ensemble,
    lca_level: int,
    *,
    method: str = "finite-size",
    branches: Branches = "mean",
) -> float:
    r"""RMS, over entries and grammars, of the covariance of two tokens whose LCA is at ``lca_level``.

    Parameters
    ----------
    rhm : RHM
    lca_level : int
        LCA level, 1..L.
    method : {"finite-size", "published"}
        ``"finite-size"``: the square root of `second_moment`, for any ensemble of any size.
        ``"published"``: ``C_l**2 = (1 - f) / (v**3 m**(2l - 1))``, the limit of large v at fixed f
        (arXiv:2406.00048); at v = 8..32 and up to five levels, the mean square differs from it by -74% to
        +70%. In our generalisation ``(1 - f_l) / (v_0**2 v_l m_l (m_1 ... m_(l-1))**2)`` where levels differ, with
        ``1 / sum_r p_r**2`` for ``m`` (also in f) where rules are not equally likely.
    branches : str or sequence of bools
        See `second_moment`; the published formula does not depend on it.

    Returns
    -------
    float
        Probability units (a covariance of indicator variables).

    Raises
    ------
    InputError
        For a level outside the tree, an unknown method or branches, and a result below 1e-308.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> rhm = RHM(v=16, m=4, s=2, L=4)
    >>> rms_correlation(rhm, 4) / rms_correlation(rhm, 4, method="published")
    0.7868...
    """
    as_choice("method", method, ("finite-size", "published"))
    level = as_int("lca_level", lca_level, low=1, high=rhm.L)
    if method == "finite-size":
        return _as_float(_mean_square(rhm, level, branches=branches), rhm, root=True)
    *below, own = [effective_numbers(rhm, below) for below in range(1, level + 1)]
    dilution = prod((m for _, m, _ in below), start=Fraction(1))
    return _as_float(formulas.token_correlation(*own, dilution, rhm.n_symbols(0)), rhm, root=True)


def effective_numbers(rhm: Ensemble, level: int) -> tuple[Fraction, Fraction, Fraction]:
    """``v_l``, ``m_l`` and ``f_l`` of a level as fractions, for the closed formulas: numbers of any size.

    With unequal rules the effective multiplicity stands for m, in f as well: see `RHM.m_eff`.
    """
    v, below = Fraction(rhm.n_symbols(level)), Fraction(rhm.n_symbols(level - 1))
    m = Fraction(rhm.n_rules(level) if rhm.rule_probabilities is None else rhm.m_eff(level))
    return v, m, formulas.fraction(v, m, rhm.n_children(level), below)


def _as_float(x: Fraction, rhm: Ensemble, root: bool = False) -> float:
    """The float nearest to a fraction that is not negative, or to its square root."""
    # a power of four taken out of the root, since the square may be no float
    shift = max(0, x.denominator.bit_length() - x.numerator.bit_length() - 100) // 2 if root else 0
    out = sqrt(x * 4**shift) / 2**shift if root and shift < 1000 else 0.0 if root else float(x)
    if out == 0 != x:
        raise InputError(
            f"a correlation of {rhm}",
            rule="is below the range of floats",
            way_out="lower the level or `m`, or ask for second_moment(..., fractions=True), a fraction",
        )
    return out


def correlation_function(rhm: Ensemble, method: str = "finite-size") -> FloatArray:
    """RMS, over entries and grammars, of the covariance with the last token, against distance.

    Parameters
    ----------
    rhm : RHM
    method : {"finite-size", "published"}
        As in `rms_correlation`. ``"finite-size"`` is the root of the ensemble mean of the square of
        `exact.correlation_function`, at each distance: it depends on the path to the token, not on the LCA level
        alone. ``"published"`` is one step for each LCA level.

    Returns
    -------
    array, shape (d,)
        Entry ``t`` is of tokens ``d - 1 - t`` and ``d - 1``; entry 0 is that of the last token with itself,
        with the published formula that of a uniform one, ``sqrt(v - 1) / v**2``.

    Raises
    ------
    InputError
        As `rms_correlation`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> curve = correlation_function(RHM(v=16, m=4, s=2, L=2))
    >>> curve.shape, float(curve[1]) == rms_correlation(RHM(v=16, m=4, s=2, L=2), 1)
    ((4,), True)
    """
    as_choice("method", method, ("finite-size", "published"))
    v = rhm.n_symbols(0)
    if method == "finite-size":
        sums = marginal_moments(rhm, 0)
        out = [sqrt(sums.p2 - 2 * sums.p3 + sums.p2_squared) / v]
    else:
        out = [sqrt(v - 1) / v**2]
    for level in range(1, rhm.L + 1):
        if method == "published":
            out += [rms_correlation(rhm, level, method=method)] * (rhm.span(level) - rhm.span(level - 1))
            continue
        below = [rhm.n_children(x) for x in range(level - 1, 0, -1)]
        # the last token takes the last branch everywhere: the other one does, too, or not
        value = {
            same: rms_correlation(rhm, level, branches=same) for same in product((False, True), repeat=level - 1)
        }
        # from the nearest token to the farthest, branches below the ancestor's child count down
        near = [value[tuple(p == 0 for p in path)] for path in product(*(range(s) for s in below))]
        out += near * (rhm.n_children(level) - 1)
    return np.array(out)


class QuadraticForms(NamedTuple):
    """The four quadratic forms of a covariance that do not depend on how its symbols are numbered.

    Attributes
    ----------
    square : float or Fraction
        ``sum_ab C_ab**2``.
    transpose : float or Fraction
        ``sum_ab C_ab C_ba``.
    diagonal : float or Fraction
        ``sum_a C_aa**2``.
    trace : float or Fraction
        ``(sum_a C_aa)**2``.
    """

    square: Any
    transpose: Any
    diagonal: Any
    trace: Any


@overload
def second_moment(
    rhm: Ensemble,
    lca_level: int,
    *,
    hidden_levels: tuple[int, int] = ...,
    tuples: tuple[bool, bool] = ...,
    branches: Branches = ...,
    fractions: Literal[False] = ...,
) -> float: ...


@overload
def second_moment(
    rhm: Ensemble,
    lca_level: int,
    *,
    hidden_levels: tuple[int, int] = ...,
    tuples: tuple[bool, bool] = ...,
    branches: Branches = ...,
    fractions: Literal[True],
) -> Fraction: ...


def second_moment(
    rhm: Ensemble,
    lca_level: int,
    *,
    hidden_levels: tuple[int, int] = (0, 0),
    tuples: tuple[bool, bool] = (False, False),
    branches: Branches = "mean",
    fractions: bool = False,
) -> float | Fraction:
    r"""Exact mean square, over entries and grammars, of the covariance of two nodes.

    ``E[mean_ab C_ab**2]`` with ``C_ab = P(x = a, y = b) - P(x = a) P(y = b)``, for any v, m, s (also differing
    from level to level), L, n and rule probabilities that the symbols of a level share. Nothing is
    asymptotic: rules drawn without replacement have moments that are ratios of falling factorials.

    Parameters
    ----------
    rhm : RHM
    lca_level : int
        Level of the lowest common ancestor (LCA) of the two nodes, 1..L.
    hidden_levels : pair of ints
        Levels of the two nodes, 0 .. lca_level: (0, 0) for two tokens, (k, 0) for a level-k symbol and a token.
        A node at ``lca_level`` is the ancestor itself: (L, 0) is the class and a token.
    tuples : pair of bools
        Whether a side is, instead of the symbol at its level k, the tuple of children that the symbol
        produces. The mean is then over the ``v_k m_k`` grammatical tuples; a tuple's probability is its parent's
        times ``p_r``.
    branches : {"mean", "different", "same"} or sequence of bools
        At the ancestor the two nodes take different branches. At each level below, down to that of the
        higher node, they take the same branch (both the p-th child, say) or not: never for
        ``"different"``, always for ``"same"``, as a sequence says (True is same; from level ``lca_level - 1``
        down), or with probability ``1/s`` independently for ``"mean"``, the average over all pairs of nodes
        with this LCA level.
    fractions : bool
        Return a `Fraction`. Rule probabilities given as floats are taken at their exact binary value,
        divided by their sum.

    Returns
    -------
    float or Fraction
        Probability squared. Floats are good to 1e-12, relative.

    Raises
    ------
    InputError
        For a level outside the tree, an unknown or too short ``branches``, the tuple that the common
        ancestor itself produces, and a float below 1e-308.

    Notes
    -----
    The derivation is in the documentation (Correlations over the ensemble): the ancestor's marginal enters
    through its power sums up to order 4, `marginal_moments`; each lower level is a 4x4 matrix on the
    `quadratic_forms`. For large v at fixed f it tends to that of arXiv:2406.00048: see `rms_correlation`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> second_moment(RHM(v=2, m=1, s=2, L=2), 1, fractions=True)
    Fraction(1, 72)
    """
    square = _mean_square(rhm, lca_level, hidden_levels, tuples, branches, fractions)
    return square if fractions else _as_float(square, rhm)


def finite_size_threshold(
    rhm: Ensemble, lca_level: int, level: int, *, is_tuple: bool = False, target_level: int = 0
) -> Fraction | None:
    """Samples at which the mean square covariance of a node and a target equals its sampling noise.

    The noise is that of independent variables with the mean power sums of the two sides,
    ``(1 - sum p**2) (1 - sum q**2) / (P entries)``: prediction-noise of docs/theory_predictions.md, put into
    learner-threshold of docs/theory_learner.md.

    Parameters
    ----------
    rhm : RHM
    lca_level : int
        Level of the lowest common ancestor of the node and the target, 1..L.
    level : int
        Level of the node.
    is_tuple : bool
        Whether the tuple of its children is meant instead of the node's symbol.
    target_level : int
        Level of the target; 0 is a token.

    Returns
    -------
    Fraction or None
        None where there is no correlation.
    """
    signal = _mean_square(rhm, lca_level, (level, target_level), (is_tuple, False))
    if not signal:
        return None
    power_sums = _moments(rhm, False).power_sums
    entries, repeat = Fraction(rhm.n_symbols(target_level) * rhm.n_symbols(level)), power_sums[level][1]
    if is_tuple:  # it has its parent's probability times that of the rule
        entries, repeat = entries * rhm.n_rules(level), repeat * _power_sums_of_rules(rhm, level)[0]
    noise = (1 - repeat) * (1 - power_sums[target_level][1]) * formulas.sampling_noise(entries, 1)
    return Fraction(noise / signal)


def _mean_square(
    rhm: Ensemble,
    lca_level: int,
    hidden_levels: tuple[int, int] = (0, 0),
    tuples: tuple[bool, bool] = (False, False),
    branches: Branches = "mean",
    fractions: bool = False,
) -> Fraction:
    level = as_int("lca_level", lca_level, low=1, high=rhm.L)
    pair, are_tuples = check_nodes(level, hidden_levels, tuples)
    same = check_branches(branches, level, max(pair), rhm.n_children)
    return Fraction(_moments(rhm, fractions).mean_square(level, same, pair, are_tuples))


def quadratic_forms(
    rhm: Ensemble, lca_level: int, *, hidden_level: int = 0, branches: Branches = "mean", fractions: bool = False
) -> QuadraticForms:
    r"""Exact ensemble means of the four quadratic forms of the covariance of two nodes of one level.

    The ensemble does not change when symbols are renumbered, and rows and columns of a covariance sum to
    zero; these four numbers therefore fix all means ``E[C_ab C_cd]``.

    Parameters
    ----------
    rhm : RHM
    lca_level : int
        Level of the lowest common ancestor, 1..L.
    hidden_level : int
        Level of the two nodes, 0 .. lca_level - 1; 0 for tokens.
    branches : str or sequence of bools
        See `second_moment`.
    fractions : bool
        Return fractions.

    Returns
    -------
    QuadraticForms
        Sums over entries, probability squared.

    Raises
    ------
    InputError
        As `second_moment`.
    """
    level = as_int("lca_level", lca_level, low=1, high=rhm.L)
    end = as_int("hidden_level", hidden_level, low=0, high=level - 1)
    same = check_branches(branches, level, end, rhm.n_children)
    forms = _moments(rhm, fractions).quadratic(level, same)
    # a form other than the squares may be negative, or lost beside them
    return QuadraticForms(*(forms if fractions else map(float, forms)))


class PowerSums(NamedTuple):
    """Means of the power sums of a marginal, of ``P_2, P_3, P_4, P_2**2`` with ``P_j = sum_c pi_c**j``.

    Attributes
    ----------
    p2, p3, p4, p2_squared : float or Fraction
    """

    p2: Any
    p3: Any
    p4: Any
    p2_squared: Any


def marginal_moments(rhm: Ensemble, level: int, *, fractions: bool = False) -> PowerSums:
    r"""Exact ensemble means of the power sums of the marginal of one node.

    With ``pi_c`` the probability of symbol ``c`` in one grammar and ``P_j = sum_c pi_c**j``, these are the
    means of ``P_2, P_3, P_4, P_2**2``, the same for all nodes of a level. A uniform marginal, which the root
    has, gives ``1/v, 1/v**2, 1/v**3, 1/v**2``; ``1 / P_2`` is the effective number of symbols.

    Parameters
    ----------
    rhm : RHM
    level : int
        Level of the node, 0..L.
    fractions : bool
        Return fractions.

    Raises
    ------
    InputError
        For a level outside the tree.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> marginal_moments(RHM(v=16, m=4, s=2, L=1), 0, fractions=True)[0]
    Fraction(5, 68)
    """
    level = as_int("level", level, low=0, high=rhm.L)
    _, *sums = map(Fraction if fractions else float, _moments(rhm, fractions).power_sums[level])
    return PowerSums(*sums)


def _power_sums_of_rules(rhm: Ensemble, level: int) -> tuple[Fraction, ...]:
    if rhm.rule_probabilities is None:
        return tuple(Fraction(1, rhm.n_rules(level) ** (j - 1)) for j in (2, 3, 4))
    given = [Fraction(p) for p in rhm.probabilities(level).tolist()]
    total = sum(given)
    return tuple(sum((p**j for p in given), Fraction(0)) / total**j for j in (2, 3, 4))


@lru_cache(maxsize=64)
def _moments(rhm: Ensemble, fractions: bool) -> Moments:
    rounding = () if fractions else (wide, short)
    return Moments(
        [
            LevelNumbers(
                Fraction(rhm.n_symbols(level)),
                Fraction(rhm.n_symbols(level - 1)),
                Fraction(rhm.n_rules(level)),
                rhm.n_children(level),
                _power_sums_of_rules(rhm, level),
            )
            for level in range(1, rhm.L + 1)
        ],
        *rounding,
    )
