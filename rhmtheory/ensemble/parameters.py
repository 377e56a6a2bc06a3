"""The parameters of an ensemble: a shape, and the probabilities of its rules."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from rhmtheory.support.checks import as_int, as_probabilities
from rhmtheory.support.errors import InputError
from rhmtheory.support.html import html_table
from rhmtheory.support.types import FloatArray
from rhmtheory.tree.shape import Shape
from rhmtheory.tree.tables import equally_likely

Probabilities = tuple[float, ...] | tuple[tuple[float, ...], ...]


def zipf(m: int, a: float) -> tuple[float, ...]:
    """Zipf-distributed rule probabilities, ``p_r ~ r**-(1 + a)`` for r = 1..m (arXiv:2505.07067).

    Parameters
    ----------
    m : int
        Number of rules.
    a : float
        Exponent, finite and not negative.

    Raises
    ------
    InputError
        For ``m < 1`` and for an exponent that is negative or not a finite number.
    """
    m = as_int("m", m, low=1)
    if not 0 <= a < np.inf:
        raise InputError("a", a, "is no Zipf exponent", "p_r ~ r**-(1 + a) needs a finite a >= 0")
    weights = np.arange(1, m + 1) ** -(1.0 + a)
    return tuple((weights / weights.sum()).tolist())


@dataclass(frozen=True, repr=False)
class Ensemble(Shape):
    """Shape and rule probabilities of an ensemble of random grammars: `RHM` without its methods.

    Parameters
    ----------
    v, m, s, L, n
        See `Shape`.
    rule_probabilities : sequence of m floats, or L such sequences, optional
        Probability of the r-th rule of every symbol; uniform by default.
    zipf : float, optional
        Exponent of Zipf-distributed rule probabilities on every level, in place of ``rule_probabilities``.
    """

    rule_probabilities: Probabilities | None = None
    zipf: InitVar[float | None] = None

    def __post_init__(self, zipf: float | None) -> None:
        super().__post_init__()
        given: Any = self.rule_probabilities
        if zipf is not None:
            if given is not None:
                raise InputError("zipf", zipf, "and `rule_probabilities` are two weights of rules", "give one")
            given = _zipf_by_level(self, zipf)
        if given is not None:
            object.__setattr__(self, "rule_probabilities", self._check_probabilities(given))

    def _check_probabilities(self, given: Any) -> Probabilities | None:
        several = (tuple, list, np.ndarray)
        lists = [given] * self.L
        if isinstance(given, several) and len(given) and isinstance(given[0], several):
            if len(given) != self.L:
                rule = f"hold {len(given)} levels, but `L`={self.L}"
                raise InputError("rule_probabilities", rule=rule, way_out="give one list a level")
            lists = list(given)
        checked = [
            as_probabilities(f"rule_probabilities of level {level.number}", p, (level.rules,))
            for level, p in zip(self.levels, lists, strict=True)
        ]
        if all(map(equally_likely, checked)):
            return None
        tuples = tuple(tuple(p.tolist()) for p in checked)
        return tuples[0] if len(set(tuples)) == 1 else tuples

    # --- weights of rules ----------------------------------------------------------------------------

    @property
    def shape(self) -> Shape:
        """The shape alone."""
        return Shape(self.v, self.m, self.s, self.L, self.n)

    @property
    def has_alike_levels(self) -> bool:
        """Whether all levels are alike: in v, m, s and the rule probabilities (the root may differ: n)."""
        p = self.rule_probabilities
        return super().has_alike_levels and (p is None or not isinstance(p[0], tuple))

    def probabilities(self, level: int) -> FloatArray:
        """Probabilities of the rules of each symbol of a level, 1..L, shape (m_l,)."""
        m, p = self.n_rules(level), self.rule_probabilities
        if p is None:
            return np.full(m, 1 / m)
        return np.array(p[level - 1] if isinstance(p[0], tuple) else p)

    def m_eff(self, level: int, order: float = 2.0) -> float:
        """Return the number of equally likely rules that count as much as these, ``m_l`` if all are alike.

        The Renyi number of the order, ``(sum_r p_r**order)**(1 / (1 - order))``. Order 2, ``1 / sum_r p_r**2``,
        takes the place of ``m`` in the published signal: the mean square of a covariance falls by
        ``sum_r p_r**2`` for each level that a side descends. Order 1/2, ``(sum_r sqrt(p_r))**2``, takes its place
        in the decay of plateaus: a wrong symbol stays as likely as the true one with the overlap of two rules'
        weights (prediction-overlap of docs/theory_predictions.md).

        Parameters
        ----------
        level : int
            1..L.
        order : float
            Positive; 1 is the exponential of the Shannon entropy.

        Raises
        ------
        InputError
            For a level without rules, and an order that is not positive.
        """
        if not 0 < order < np.inf:
            rule = "is no order of an effective number"
            raise InputError("order", order, rule, "it must be positive and finite")
        if self.rule_probabilities is None:
            return float(self.n_rules(level))
        p = self.probabilities(level)
        ln_p, p = np.log(p[p > 0]), p[p > 0]
        if order == 1:
            return float(np.exp(-(p @ ln_p)))
        if abs(order - 1) < 0.5:  # the sum is near one: only what it lacks is summed, which the logarithm keeps
            return float(np.exp(np.log1p(p @ np.expm1((order - 1) * ln_p)) / (1 - order)))
        # relative to the largest, whose power would underflow
        ln_sum = order * ln_p.max() + np.log(np.exp(order * (ln_p - ln_p.max())).sum())
        return float(np.exp(ln_sum / (1 - order)))

    def f_eff(self, level: int, order: float = 2.0) -> float:
        """Fraction of grammatical tuples of a ``level`` with `m_eff` in place of m, ``f_l`` if rules are alike.

        Order 2 stands in the published signal, where tuples of siblings deviate from independence by ``1 - f``;
        order 1/2 is the factor by which plateaus approach their limit.
        """
        m = self.n_rules(level)
        return self.levels[level - 1].f * self.m_eff(level, order) / m

    # --- to read -------------------------------------------------------------------------------------

    def _shown(self) -> dict[str, Any]:
        p = self.rule_probabilities
        return super()._shown() if p is None else super()._shown() | {"rule_probabilities": p}

    def short_parameters(self) -> dict[str, Any]:
        """Return what tells it from others, for names of files and rows: n and weights where they are unusual.

        The weights of rules are told by six digits of a hash; ``str`` shows them.
        """
        p = self.rule_probabilities
        weights = {} if p is None else {"weights": sha256(repr(p).encode()).hexdigest()[:6]}
        return super()._shown() | weights

    def __str__(self) -> str:
        """The same for people: probabilities with three digits, and of many the first ones."""
        if self.rule_probabilities is None:
            return repr(self)
        levels = [self.probabilities(level.number).tolist() for level in self.levels]
        texts = [_shown(p) for p in (levels if isinstance(self.rule_probabilities[0], tuple) else levels[:1])]
        shown = texts[0] if len(texts) == 1 else "(" + ", ".join(texts) + ")"
        return f"{repr(replace(self, rule_probabilities=None))[:-1]}, rule_probabilities={shown})"

    def _repr_html_(self) -> str:
        """Table for notebooks."""
        rows = [
            ("v", "symbols per level", self.v),
            ("m", "rules per symbol", self.m),
            ("s", "children per rule", self.s),
            ("L", "levels", self.L),
            ("n", "classes", self.n),
            ("f", "grammatical tuples", f"{self.f:.4g}" if self.has_alike_levels else "per level"),
            ("d", "tokens", self.d),
        ]
        return html_table(str(self), ("", "", ""), rows)


def _zipf_by_level(shape: Shape, a: float) -> tuple[tuple[float, ...], ...]:
    return tuple(zipf(level.rules, a) for level in shape.levels)


def _shown(p: list[float]) -> str:
    """Probabilities for people: three digits, and of many the first ones and the last."""
    texts = [f"{x:.3g}" for x in p]
    return "(" + ", ".join(texts if len(texts) <= 6 else [*texts[:4], "...", texts[-1]]) + ")"
