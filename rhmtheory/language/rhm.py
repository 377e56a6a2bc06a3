"""The ensemble: the parameters of the Random Hierarchy Model and what follows from them alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from math import log2, log10, prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rhmtheory import formulas
from rhmtheory.support.checks import as_int, as_probabilities
from rhmtheory.support.errors import InputError
from rhmtheory.support.facade import Forward
from rhmtheory.support.html import html_table
from rhmtheory.support.types import FloatArray

if TYPE_CHECKING:
    from rhmtheory.ensemble.correlations import correlation_function as _correlation_function
    from rhmtheory.ensemble.correlations import rms_correlation as _rms_correlation
    from rhmtheory.ensemble.exponents import range_ as _range
    from rhmtheory.ensemble.plateaus import plateaus as _plateaus
    from rhmtheory.language.grammar import Grammar

    PerLevel = int | tuple[int, ...]

PER_SYMBOL: Literal["per symbol"] = "per symbol"
"""What `RHM.rule_probabilities` says of a grammar whose symbols weigh their rules each in its own way."""

_LARGEST_BITS = 1000
"""Numbers of tuples and of tokens stay below 2 to this power, so that they are floats."""
_MOST_BITS = 1 << 20
"""Bits of the largest number of sentences that is written out."""


def zipf(m: int, a: float) -> tuple[float, ...]:
    """Zipf-distributed rule probabilities, ``p_r ~ r**-(1 + a)`` for r = 1..m (arXiv:2505.07067).

    Raises `InputError` for ``m < 1`` and for an exponent that is negative or not a finite number.
    """
    m = as_int("m", m, low=1)
    if not 0 <= a < np.inf:
        raise InputError(f"a={a} is no Zipf exponent: p_r ~ r**-(1 + a) needs a finite a >= 0")
    weights = np.arange(1, m + 1) ** -(1.0 + a)
    return tuple((weights / weights.sum()).tolist())


def equally_likely(p: FloatArray) -> bool:
    """Whether the probabilities ``p``, along the last axis, are alike but for rounding."""
    return bool(np.allclose(p, 1 / p.shape[-1], rtol=1e-12, atol=0))


def _per_level(name: str, value: Any, L: int, low: int, first: int) -> PerLevel:
    """Check one parameter: an int for every level, or one int a level; equal entries collapse to one int."""
    if not isinstance(value, (tuple, list, np.ndarray)):
        return as_int(name, value, low=low)
    if len(value) != L:
        raise InputError(
            f"{name} has {len(value)} entries, but L={L}: give one int, or one a level "
            f"({name}_{first} .. {name}_{first + L - 1}, from the leaves up)"
        )
    entries = tuple(as_int(f"{name}_{first + i}", x, low=low) for i, x in enumerate(value))
    return entries[0] if len(set(entries)) == 1 else entries


def _shown(p: list[float]) -> str:
    """Probabilities for people: three digits, and of many the first ones and the last."""
    texts = [f"{x:.3g}" for x in p]
    return "(" + ", ".join(texts if len(texts) <= 6 else [*texts[:4], "...", texts[-1]]) + ")"


@dataclass(frozen=True)
class RHM:
    """The Random Hierarchy Model: an ensemble of random, unambiguous context-free grammars.

    Levels are counted from the leaves: level 0 holds the ``d`` tokens, level ``L`` the root. Each symbol of
    level ``l >= 1`` has ``m`` equally likely production rules, each an ``s``-tuple of level ``l - 1``
    symbols; the rules of a level are drawn without replacement from all ``v**s`` tuples, so that a tuple has
    at most one parent. Source: arXiv:2307.02129, section 2.

    Parameters
    ----------
    v : int or sequence of L ints
        Symbols per level; as a sequence ``v_0 .. v_(L-1)``, from the leaves up.
    m : int or sequence of L ints
        Production rules per symbol; as a sequence ``m_1 .. m_L``.
    s : int or sequence of L ints
        Children per rule; as a sequence ``s_1 .. s_L``.
    L : int
        Number of levels of rules.
    n : int, optional
        Number of root symbols (classes); by default that of the level below the root.
    rule_probabilities : sequence of m floats, or L such sequences, optional
        Probability of the r-th rule of every symbol (one sequence per level, from level 1 up, where they
        differ); uniform by default. See `zipf`. `PER_SYMBOL` where they differ from symbol to symbol, as they
        may in one grammar: what the tree's shape says is still known then, and all that needs the
        probabilities raises.

    Raises
    ------
    InputError
        For non-integers, ``v < 2``, ``m < 1``, ``s < 2``, ``L < 1``, ``n < 1``, sequences of a wrong length,
        probabilities that are negative or do not sum to one, where a level would need more tuples than
        exist (``m > v**(s-1)`` when all levels are alike), and where ``v**s`` or ``d = s**L`` exceeds 2**1000.

    Examples
    --------
    >>> rhm = RHM(v=16, m=4, s=2, L=4)
    >>> rhm.d, rhm.f
    (16, 0.25)
    """

    v: PerLevel
    m: PerLevel
    s: PerLevel
    L: int
    n: int | None = None
    rule_probabilities: tuple[float, ...] | tuple[tuple[float, ...], ...] | Literal["per symbol"] | None = None

    def __repr__(self) -> str:
        """Arguments that make an equal one; what has its default value is left out."""
        shown = self._numbers()
        if self.rule_probabilities is not None:
            shown["rule_probabilities"] = self.rule_probabilities
        return f"RHM({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def _numbers(self) -> dict[str, Any]:
        shape: dict[str, Any] = {"v": self.v, "m": self.m, "s": self.s, "L": self.L}
        return shape if self.n == self.n_symbols(self.L - 1) else shape | {"n": self.n}

    def short_parameters(self) -> dict[str, Any]:
        """What tells the ensemble from others, for names of files and rows: n and weights where they are not usual.

        The weights of rules are told by six digits of a hash; ``str`` shows them.
        """
        if self.rule_probabilities is None:
            return self._numbers()
        return self._numbers() | {"weights": sha256(repr(self.rule_probabilities).encode()).hexdigest()[:6]}

    def __str__(self) -> str:
        """The same for people: probabilities with three digits, and of many the first ones."""
        if self.rule_probabilities is None or self.rule_probabilities == PER_SYMBOL:
            return repr(self)
        levels = [self.probabilities(level).tolist() for level in range(1, self.L + 1)]
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
            ("f", "grammatical tuples", f"{self.f:.4g}" if self.is_homogeneous else "per level"),
            ("d", "tokens", self.d),
        ]
        return html_table(str(self), ("", "", ""), rows)

    def __post_init__(self) -> None:
        L = as_int("L", self.L, low=1)
        if L > _LARGEST_BITS:
            raise InputError(
                f"L={L} levels have d = s**L tokens, beyond the range of floats: lower L to at most 1000"
            )
        checked = {
            "L": L,
            "v": _per_level("v", self.v, L, low=2, first=0),
            "m": _per_level("m", self.m, L, low=1, first=1),
            "s": _per_level("s", self.s, L, low=2, first=1),
        }
        top = checked["v"] if isinstance(checked["v"], int) else checked["v"][-1]
        checked["n"] = top if self.n is None else as_int("n", self.n, low=1)
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        for level in range(1, L + 1):
            self._check_room(level)
        if sum(log2(self.n_children(level)) for level in range(1, L + 1)) > _LARGEST_BITS:
            raise InputError(f"s={self.s} at L={L} gives d = s**L tokens, beyond the range of floats: lower s or L")
        if self.rule_probabilities is not None:
            object.__setattr__(self, "rule_probabilities", self._check_probabilities(self.rule_probabilities))

    def _check_probabilities(self, given: Any) -> Any:
        if isinstance(given, str) and given == PER_SYMBOL:
            return PER_SYMBOL
        several = (tuple, list, np.ndarray)
        if isinstance(given, several) and len(given) and isinstance(given[0], several):
            if len(given) != self.L:
                raise InputError(
                    f"rule_probabilities hold {len(given)} levels, but L={self.L}: give one list a level"
                )
            lists = list(given)
        else:
            lists = [given] * self.L
        checked = [
            as_probabilities(f"rule_probabilities of level {level}", p, (self.n_rules(level),))
            for level, p in enumerate(lists, start=1)
        ]
        if all(map(equally_likely, checked)):
            return None
        tuples = tuple(tuple(p.tolist()) for p in checked)
        return tuples[0] if len(set(tuples)) == 1 else tuples

    def _check_room(self, level: int) -> None:
        v, m, s, below = (
            self.n_symbols(level),
            self.n_rules(level),
            self.n_children(level),
            self.n_symbols(level - 1),
        )
        if s * log2(below) > _LARGEST_BITS:
            where = "" if self._alike else f"_{level - 1}"
            raise InputError(f"v{where}**s = {below}**{s} leaves the range of floats: lower v or s")
        if v * m <= below**s:
            return
        most = below**s // v
        where = "" if self._alike else f" at level {level}"
        what = "v" if level < self.L or self.n == self.v else "n"
        lower = "v" if self._alike else f"v_{level - 1}"
        way_out = f"lower m to at most {most}" if most else f"lower {what} or raise s"
        raise InputError(
            f"m={m} rules x {what}={v} symbols{where} need {v * m} tuples, but {lower}**s = {below**s}: {way_out}"
        )

    # --- the shape of the tree, by level -------------------------------------------------------------

    def n_symbols(self, level: int) -> int:
        """Number of symbols ``v_l`` of a level, ``0 <= level <= L`` (``n`` at the root)."""
        level = as_int("level", level, low=0, high=self.L)
        if level == self.L:
            assert self.n is not None
            return self.n
        return self.v if isinstance(self.v, int) else self.v[level]

    def n_rules(self, level: int) -> int:
        """Number of rules ``m_l`` of each symbol of a level, ``1 <= level <= L``."""
        level = as_int("level", level, low=1, high=self.L)
        return self.m if isinstance(self.m, int) else self.m[level - 1]

    def n_children(self, level: int) -> int:
        """Number of children ``s_l`` of each symbol of a level, ``1 <= level <= L``."""
        level = as_int("level", level, low=1, high=self.L)
        return self.s if isinstance(self.s, int) else self.s[level - 1]

    def width(self, level: int) -> int:
        """Number of nodes of the derivation tree at a level: ``d`` at level 0, one at level ``L``."""
        level = as_int("level", level, low=0, high=self.L)
        return prod(self.n_children(above) for above in range(level + 1, self.L + 1))

    def span(self, level: int) -> int:
        """Number of tokens below one node of a level: ``s**level`` when all levels are alike."""
        level = as_int("level", level, low=0, high=self.L)
        return prod(self.n_children(below) for below in range(1, level + 1))

    def probabilities(self, level: int) -> FloatArray:
        """Probabilities of the rules of each symbol of a level, shape (m_l,).

        Raises `InputError` for a level without rules, and where they differ from symbol to symbol.
        """
        m = self.n_rules(level)
        if self.rule_probabilities is None:
            return np.full(m, 1 / m)
        if self.rule_probabilities == PER_SYMBOL:
            raise InputError(
                f"the symbols of {self} weigh their rules each in its own way, for which no formula of the "
                "ensemble is known: use the exact statistics of the grammar (g.plateaus(), g.covariance(i, j), "
                "...), or give all symbols of a level the same weights"
            )
        p: Any = self.rule_probabilities
        return np.array(p[level - 1] if isinstance(p[0], tuple) else p)

    def effective_multiplicity(self, level: int, order: float = 2.0) -> float:
        """Number of equally likely rules that count as much as these; ``m_l`` if they are equally likely.

        The Renyi number of the order, ``(sum_r p_r**order)**(1 / (1 - order))``. Order 2, ``1 / sum_r p_r**2``,
        takes the place of ``m`` in the asymptotic signal: the mean square of a covariance falls by
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
            As `probabilities`, and for an order that is not positive.
        """
        if not 0 < order < np.inf:
            raise InputError(f"order={order} is no order of an effective number: it must be positive and finite")
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

    def effective_fraction(self, level: int, order: float = 2.0) -> float:
        """`fraction` of a ``level`` with `effective_multiplicity` for m: ``f_l`` where rules are equally likely.

        Order 2 stands in the asymptotic signal, where tuples of siblings deviate from independence by ``1 - f``;
        order 1/2 is the factor by which plateaus approach their limit.
        """
        return self.fraction(level) * self.effective_multiplicity(level, order) / self.n_rules(level)

    def fraction(self, level: int) -> float:
        """Fraction of the tuples of children that are grammatical at a level, ``v_l m_l / v_(l-1)**s_l``."""
        level = as_int("level", level, low=1, high=self.L)
        return float(
            formulas.fraction(
                self.n_symbols(level), self.n_rules(level), self.n_children(level), self.n_symbols(level - 1)
            )
        )

    @property
    def is_homogeneous(self) -> bool:
        """Whether all levels are alike: in v, m, s and the rule probabilities (the root may differ: n)."""
        p: Any = self.rule_probabilities
        return self._alike and (p is None or (p != PER_SYMBOL and not isinstance(p[0], tuple)))

    @property
    def _alike(self) -> bool:
        return isinstance(self.v, int) and isinstance(self.m, int) and isinstance(self.s, int)

    def homogeneous(self) -> tuple[int, int, int]:
        """``(v, m, s)`` as ints; raises `InputError` where levels are not alike: see `is_homogeneous`."""
        if not self.is_homogeneous:
            raise InputError(
                f"{self} has no single (v, m, s) and rule probabilities: this formula is known for levels that are "
                "all alike; use the exact statistics, which take any levels"
            )
        return self._shape()

    def _shape(self) -> tuple[int, int, int]:
        if not (isinstance(self.v, int) and isinstance(self.m, int) and isinstance(self.s, int)):
            raise InputError(f"{self} has no single (v, m, s): ask level by level, by fraction(level) and the like")
        return self.v, self.m, self.s

    @property
    def d(self) -> int:
        """Number of tokens, ``s**L``."""
        return self.width(0)

    @property
    def n_sentences(self) -> int:
        """Number of distinct sentences of a grammar, ``n m**((s**L - 1) / (s - 1))``: one per derivation.

        Raises `InputError` where it has more than a million bits.
        """
        bits = sum(self.width(level) * log2(self.n_rules(level)) for level in range(1, self.L + 1))
        if bits > _MOST_BITS:
            raise InputError(
                f"{self} has about 10**{bits * log10(2):.6g} sentences, too many digits to hold: lower L"
            )
        choices = (self.n_rules(level) ** self.width(level) for level in range(1, self.L + 1))
        return int(self.n_symbols(self.L) * prod(choices))

    @property
    def f(self) -> float:
        """Fraction of grammatical tuples, ``m / v**(s-1)``; by `fraction` where levels differ."""
        v, m, s = self._shape()
        return float(formulas.fraction(v, m, s, v))

    # --- what is computed from the ensemble, on the floors above ---------------------------------------

    @property
    def beta(self) -> float:
        """Exponent of the decay of correlations with distance: see `exponents.beta`."""
        from rhmtheory.ensemble.exponents import beta

        return beta(self)

    @property
    def gamma(self) -> float:
        """Exponent of the decay of entropy with context: see `exponents.gamma`."""
        from rhmtheory.ensemble.exponents import gamma

        return gamma(self)

    if TYPE_CHECKING:

        def grammar(self, seed: int | np.random.Generator = 0) -> Grammar: ...  # noqa: D102

        range = _range
        rms_correlation = _rms_correlation
        correlation_function = _correlation_function
        plateaus = _plateaus
    else:
        grammar = Forward("rhmtheory.language.grammar:Grammar.from_ensemble")
        range = Forward("rhmtheory.ensemble.exponents:range_")
        rms_correlation = Forward("rhmtheory.ensemble.correlations:rms_correlation")
        correlation_function = Forward("rhmtheory.ensemble.correlations:correlation_function")
        plateaus = Forward("rhmtheory.ensemble.plateaus:plateaus")
