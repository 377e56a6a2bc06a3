"""The closed formulas of the theory as sympy expressions, and the exact moments as rational functions.

Every symbol is positive: ``v m s`` (symbols, rules, children), ``f`` (fraction of grammatical tuples), ``l`` (LCA
level), ``k`` (hidden or context level, as the formula says), ``L`` (levels), ``n`` (classes), ``P`` (samples),
``r`` (rules on the path of a correlation), ``p`` (belief in the right symbol of a child). All levels are alike and
rules equally likely. This is the only module that imports sympy.

>>> from rhmtheory import symbolic
>>> symbolic.FORMULAS["sample_complexity_transformer"].expression
m**(2*k + 1)*v/(1 - f)
>>> symbolic.substitute(_, v=16, m=4, s=2, k=1)
4096/3
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import sympy
from sympy import QQ, log

from rhmtheory import formulas
from rhmtheory.ensemble.moments import LevelNumbers, Moments, check_branches, check_nodes
from rhmtheory.support.checks import as_int
from rhmtheory.support.errors import InputError
from rhmtheory.theory.laws import LAWS

v, m, s, f, l, k, L, n, P, r, p = sympy.symbols("v m s f l k L n P r p", positive=True)  # noqa: E741
SYMBOLS = {str(symbol): symbol for symbol in (v, m, s, f, l, k, L, n, P, r, p)}
"""The symbols by name."""


@dataclass(frozen=True)
class Formula:
    """A closed formula.

    Attributes
    ----------
    expression : sympy expression
    meaning : str
        What it is, with its unit and the meaning of ``k`` or ``l``.
    status : {"definition", "exact", "asymptotic", "scaling"}
        Asymptotic: the limit of large v at fixed f. Scaling: an order of magnitude, from signal = noise with
        prefactor one, or an exponent that follows from such.
    source : str
        Where it is published; "" if only here.
    """

    expression: Any
    meaning: str
    status: str
    source: str

    def __post_init__(self) -> None:
        # powers of one symbol as one power, as one would write it
        object.__setattr__(self, "expression", sympy.powsimp(self.expression))

    def latex(self) -> str:
        """LaTeX of the expression, without delimiters."""
        return str(sympy.latex(self.expression))

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


_B, _A, _C, _E, _F, _D = (
    "arXiv:2406.00048",
    "arXiv:2505.07070",
    "arXiv:2307.02129",
    "arXiv:2605.27734",
    "arXiv:2602.07488",
    "arXiv:2402.16991",
)
_SAMPLES = formulas.sample_complexity(v, m**r, f)
_SQUARE = formulas.token_correlation(v, m, f, m ** (l - 1), v)
_BETA = formulas.beta(m, s, log)
_BELIEF = (m - 1) / (v - m)  # the third root of a cubic, beside 1/v and 1
_COMPATIBLE = formulas.compatible_symbols(v, m, s, k)


def _samples(law: str, level: Any) -> Any:
    """Samples of a law at a hidden level, as the one formula with its number of rules."""
    return _SAMPLES.subs(r, LAWS[law].n_rules(level))


def _slope(belief: Any) -> Any:
    """Slope of the map of beliefs, in factors."""
    return sympy.factor(formulas.belief_slope(belief, v, m, s, v))


FORMULAS: dict[str, Formula] = {
    "fraction": Formula(
        formulas.fraction(v, m, s, v), "f, the fraction of tuples that are grammatical", "definition", _C
    ),
    "correlation": Formula(_SQUARE, "C_l^2, mean square token-token covariance at LCA level l", "asymptotic", _B),
    "correlation_symbol": Formula(
        formulas.symbol_correlation(_SQUARE, m**k),
        "mean square covariance of a level-k symbol, k < l, and a token",
        "asymptotic",
        "",
    ),
    "correlation_tuple": Formula(
        formulas.tuple_correlation(_SQUARE, m**k, m),
        "mean square covariance of the tuple that a level-k symbol, 1 <= k < l, produces and a token",
        "asymptotic",
        "",
    ),
    "noise": Formula(
        formulas.sampling_noise(v**2, P),
        "mean square error of a token-token covariance from P samples",
        "asymptotic",
        _B,
    ),
    "noise_tuple": Formula(
        formulas.sampling_noise(v**2 * m, P),
        "mean square error of a tuple-token covariance from P samples",
        "asymptotic",
        _B,
    ),
    "sample_complexity": Formula(
        _SAMPLES, "P, samples that show a correlation over a path of r rules", "scaling", f"{_B}, {_A}"
    ),
    "token_complexity": Formula(
        _SAMPLES.subs(r, 2 * l - 1), "P_tok(l), samples that resolve correlations at LCA level l", "scaling", _B
    ),
    "sample_complexity_first": Formula(
        _samples("unshared", 0), "P_0, samples that give the last tuple, for all architectures", "scaling", _A
    ),
    "sample_complexity_transformer": Formula(
        _samples("unshared", k),
        "P_k, samples that give hidden level k >= 1, transformer and locally connected network",
        "scaling",
        _A,
    ),
    "sample_complexity_cnn": Formula(
        _samples("shared", k), "P_k, samples that give hidden level k >= 1, convolutional network", "scaling", _A
    ),
    "sample_complexity_effective": Formula(
        _samples("effective targets", k),
        "P_k, samples that give hidden level k >= 1 with target h_(k-1)",
        "scaling",
        "",
    ),
    "classification": Formula(
        _samples("class", L - 1).subs({f: 0, v: n}),
        "samples that give the class, the ancestor itself",
        "scaling",
        _C,
    ),
    "own_latents": Formula(
        _samples("own latents", k),
        "samples that give any level k >= 1 when a network predicts its own latents",
        "scaling",
        _E,
    ),
    "step_factor_transformer": Formula(
        m ** LAWS["unshared"].power, "P_(k+1) / P_k, k >= 1, without weight sharing", "scaling", _A
    ),
    "step_factor_cnn": Formula(
        m ** LAWS["shared"].power, "P_(k+1) / P_k, k >= 1, with weight sharing", "scaling", _A
    ),
    "alpha_transformer": Formula(
        formulas.alpha(f, m ** LAWS["unshared"].power, log),
        "exponent of the excess loss with P, no weight sharing",
        "scaling",
        _A,
    ),
    "alpha_cnn": Formula(
        formulas.alpha(f, m ** LAWS["shared"].power, log),
        "exponent of the excess loss with P, weight sharing",
        "scaling",
        _A,
    ),
    "alpha_corpus": Formula(
        formulas.corpus_alpha(_BETA, formulas.gamma(f, s, log)),
        "exponent of the excess loss from the decays of correlations and entropies",
        "scaling",
        _F,
    ),
    "beta": Formula(_BETA, "exponent of the decay of correlations with distance", "asymptotic", _B),
    "gamma": Formula(formulas.gamma(f, s, log), "exponent of H_n - H_inf with context length n", "asymptotic", _B),
    "effective_range": Formula(
        formulas.effective_range(P, _BETA), "distance at which correlations sink in P samples' noise", "scaling", _B
    ),
    "compatible_symbols": Formula(
        _COMPATIBLE,
        "E[n_k], mean number of symbols compatible with a context of k levels, uniform prior",
        "exact",
        "",
    ),
    "compatible_symbols_asymptotic": Formula(
        formulas.compatible_symbols_asymptotic(v, f, k), "E[n_k], as above", "asymptotic", _B
    ),
    "annealed_plateau": Formula(
        log(_COMPATIBLE), "ln E[n_k], upper bound of H_k in nats, uniform prior", "exact", ""
    ),
    "belief_map": Formula(
        formulas.belief_map(p, v, m, s, v),
        "F(p), belief in the right symbol of a node from that of its children, epsilon-process",
        "asymptotic",
        _D,
    ),
    "belief_slope_uninformed": Formula(
        _slope(1 / v), "F'(1/v), growth of little information per level; for large v s/m", "asymptotic", ""
    ),
    "belief_slope_informed": Formula(
        _slope(sympy.Integer(1)), "F'(1), growth of little noise per level; for large v s f", "asymptotic", ""
    ),
    "belief_star": Formula(_BELIEF, "p*, unstable fixed point of F for s = 2", "asymptotic", ""),
    "noise_star": Formula(
        sympy.factor(formulas.noise_of_belief(_BELIEF, v)),
        "eps*, noise at which the class of a deep tree is lost for s = 2, epsilon-process",
        "asymptotic",
        _D,
    ),
    "nu": Formula(
        log(2) / log(_slope(_BELIEF).subs(s, 2).factor()),
        "exponent of the correlation length in tokens at eps* for s = 2",
        "asymptotic",
        _D,
    ),
}
"""Every closed formula by name."""


def substitute(expression: Any, **values: Any) -> Any:
    """Put numbers or expressions in place of symbols.

    Parameters
    ----------
    expression : sympy expression or Formula
    **values
        By the names of `SYMBOLS`; Fractions stay exact. Where ``f`` occurs and is not given, it is replaced by
        ``m / v**(s-1)`` first.

    Raises
    ------
    InputError
        For a name that is no symbol.

    Examples
    --------
    >>> substitute(FORMULAS["alpha_cnn"], v=16, m=4, s=2)
    1
    """
    unknown = sorted(set(values) - set(SYMBOLS))
    if unknown:
        raise InputError(unknown[0], values[unknown[0]], "is no symbol", f"choose from {', '.join(SYMBOLS)}")
    expression = expression.expression if isinstance(expression, Formula) else sympy.sympify(expression)
    if "f" not in values:
        expression = expression.subs(f, FORMULAS["fraction"].expression)
    replaced = expression.subs({SYMBOLS[name]: sympy.sympify(x) for name, x in values.items()}, simultaneous=True)
    # numbers are brought to one form, log(4)/log(2) to 2; expressions stay as they are written
    return replaced if replaced.free_symbols else sympy.simplify(replaced)


class _Ensemble:
    """An ensemble whose parameters are elements of a field of rational functions."""

    def __init__(self, level: int, s: int, above: int, symbols: Any, rules: Any, roots: Any) -> None:
        self.level = as_int("lca_level", level, low=1)
        self.s = as_int("s", s, low=2)
        L = self.level + as_int("above", above, low=0)
        q = (1 / rules, 1 / rules**2, 1 / rules**3)
        self.moments = Moments(
            [LevelNumbers(roots if i == L else symbols, symbols, rules, self.s, q) for i in range(1, L + 1)]
        )

    def second_moment(
        self, levels: tuple[int, int], tuples: tuple[bool, bool], branches: str | Sequence[bool]
    ) -> Any:
        pair, are_tuples = check_nodes(self.level, levels, tuples)
        same = check_branches(branches, self.level, max(pair), lambda _: self.s)
        return self.moments.mean_square(self.level, same, pair, are_tuples)


class Correction(NamedTuple):
    """Expansion of a ratio in powers of 1/v: ``limit + coefficient / v + O(1/v**2)``; functions of f."""

    limit: Any
    coefficient: Any


def second_moment(
    lca_level: int,
    *,
    s: int = 2,
    above: int = 0,
    classes: bool = False,
    hidden_levels: tuple[int, int] = (0, 0),
    tuples: tuple[bool, bool] = (False, False),
    branches: str | Sequence[bool] = "mean",
) -> Any:
    r"""Exact mean square of a covariance as a rational function of v and m, in factors.

    The same arithmetic as `ensemble.second_moment`, in the field of rational functions: nothing is expanded.

    Parameters
    ----------
    lca_level : int
        LCA level l, at least 1.
    s : int
        Children per rule, a number.
    above : int
        Levels above the common ancestor, ``L - lca_level``, through which its marginal spreads. It has to be a
        number, since each level multiplies the denominator; 0 is the root, whose marginal is uniform. To first
        order in 1/v only whether it is 0 matters: see `leading_correction`.
    classes : bool
        Whether the number of root symbols is the symbol ``n`` of its own, instead of ``v``.
    hidden_levels, tuples, branches
        See `ensemble.second_moment`.

    Returns
    -------
    sympy expression
        In v, m (and n). It takes a second or so for four levels in all, and grows fast.

    Raises
    ------
    InputError
        As `ensemble.second_moment`.

    Examples
    --------
    >>> second_moment(1)
    (-m + v)*(v - 1)*(m*v - 1)*(m*v**3 - 2*m*v - 2)/(m**3*v**4*(v + 1)*(v**2 - 3)*(v**2 - 2))
    """
    _, symbols, rules, roots = sympy.field([v, m, n], QQ)
    ensemble = _Ensemble(lca_level, s, above, symbols, rules, roots if classes else symbols)
    return sympy.factor(ensemble.second_moment(hidden_levels, tuples, branches).as_expr())


def marginal_moments(above: int, *, s: int = 2, classes: bool = False) -> tuple[Any, Any, Any, Any]:
    """Exact means of the power sums ``P_2, P_3, P_4, P_2**2`` of the marginal of a node.

    Parameters
    ----------
    above : int
        Levels above the node; 0 is the root, whose marginal is uniform.
    s, classes
        See `second_moment`.

    Examples
    --------
    >>> marginal_moments(1)[0]
    (m + 1)/(m*(v + 1))
    """
    field, symbols, rules, roots = sympy.field([v, m, n], QQ)
    above = as_int("above", above, low=0)
    ensemble = _Ensemble(1, s, above, symbols, rules, roots if classes else symbols)
    _, p2, p3, p4, p22 = (sympy.factor(field(x).as_expr()) for x in ensemble.moments.power_sums[1])
    return p2, p3, p4, p22


@cache
def leading_correction(lca_level: int, *, s: int = 2, above: int = 0, branches: str = "mean") -> Correction:
    """Exact over asymptotic mean square token-token covariance, for large v at fixed f.

    Parameters
    ----------
    lca_level, s, above
        See `second_moment`.
    branches : {"mean", "different", "same"}
        See `ensemble.second_moment`.

    Returns
    -------
    Correction
        The limit is one. In all cases computed the coefficient is ``-2 l``, plus ``1/f`` for ``s = 2`` unless the
        common ancestor is the root: there ``1/m = 1/(f v)`` is of the same order, the part by which rules
        that share a parent make marginals uneven. Branches enter at the next order.

    Examples
    --------
    >>> leading_correction(2)
    Correction(limit=1, coefficient=-4)
    >>> leading_correction(2, above=1)
    Correction(limit=1, coefficient=-4 + 1/f)
    """
    s = as_int("s", s, low=2)
    _, symbols, fraction = sympy.field([v, f], QQ)
    rules = fraction * symbols ** (s - 1)
    ensemble = _Ensemble(lca_level, s, above, symbols, rules, symbols)
    asymptotic = formulas.token_correlation(symbols, rules, fraction, rules ** (lca_level - 1), symbols)
    ratio = ensemble.second_moment((0, 0), (False, False), branches) / asymptotic
    top, bottom = sympy.Poly(ratio.numer.as_expr(), v), sympy.Poly(ratio.denom.as_expr(), v)
    degree = max(top.degree(), bottom.degree())
    a, b = ([poly.nth(degree - i) for i in (0, 1)] for poly in (top, bottom))
    coefficient = sympy.cancel((a[1] * b[0] - a[0] * b[1]) / b[0] ** 2)
    return Correction(sympy.cancel(a[0] / b[0]), sympy.expand(coefficient))
