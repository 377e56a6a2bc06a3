"""The shape of derivation trees: how many symbols, rules and children each level has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log2, log10, prod
from typing import Any

import numpy as np

from rhmtheory import formulas
from rhmtheory.support.checks import as_int
from rhmtheory.support.errors import NOT_SAID, InputError

PerLevel = int | tuple[int, ...]

_LARGEST_BITS = 1000
"""Numbers of tuples and of tokens stay below 2 to this power, so that they are floats."""
_MOST_BITS = 1 << 20
"""Bits of the largest number of sentences that is written out."""


@dataclass(frozen=True)
class Level:
    """One level of rules.

    Attributes
    ----------
    number : int
        1..L, from the leaves up.
    symbols, rules, children : int
        Symbols ``v_l`` of the level (``n`` at the root), rules ``m_l`` per symbol, children ``s_l`` per rule.
    below : int
        Symbols ``v_(l-1)`` of the level below.
    """

    number: int
    symbols: int
    rules: int
    children: int
    below: int

    @property
    def f(self) -> float:
        """Fraction of the tuples of children that are grammatical, ``v_l m_l / v_(l-1)**s_l``."""
        return float(formulas.fraction(self.symbols, self.rules, self.children, self.below))


@dataclass(frozen=True)
class Shape:
    """Symbols, rules and children of each level of a derivation tree; it knows no probabilities.

    Levels are counted from the leaves: level 0 holds the ``d`` tokens, level ``L`` the root.

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

    Raises
    ------
    InputError
        For non-integers, ``v < 2``, ``m < 1``, ``s < 2``, ``L < 1``, ``n < 1``, sequences of a wrong length, a
        level that needs more tuples than exist (``m > v**(s-1)`` when all levels are alike), and for ``v**s`` or
        ``d = s**L`` above 2**1000.

    Examples
    --------
    >>> shape = Shape(v=(16, 8), m=(2, 4), s=2, L=2)
    >>> [level.rules for level in shape.levels]
    [2, 4]
    """

    v: PerLevel
    m: PerLevel
    s: PerLevel
    L: int
    n: int | None = None

    def __repr__(self) -> str:
        """Arguments that make an equal one; a default value is left out."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._shown().items())})"

    def _shown(self) -> dict[str, Any]:
        numbers: dict[str, Any] = {"v": self.v, "m": self.m, "s": self.s, "L": self.L}
        return numbers if self.n == self.n_symbols(self.L - 1) else numbers | {"n": self.n}

    def __post_init__(self) -> None:
        L = as_int("L", self.L, low=1)
        if L > _LARGEST_BITS:
            rule = "levels have d = s**L tokens, beyond the range of floats"
            raise InputError("L", L, rule, f"lower `L` to at most {_LARGEST_BITS}")
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
        for level in self.levels:
            self._check_room(level)
        if sum(log2(level.children) for level in self.levels) > _LARGEST_BITS:
            rule = f"at `L`={L} gives d = s**L tokens, beyond the range of floats"
            raise InputError("s", self.s, rule, "lower `s` or `L`")

    def _check_room(self, level: Level) -> None:
        v, m, s, below = level.symbols, level.rules, level.children, level.below
        same = self._same_numbers
        if s * log2(below) > _LARGEST_BITS:
            name = "v" if same else f"v_{level.number - 1}"
            subject = f"{name}**s = {below}**{s}"
            raise InputError(subject, rule="leaves the range of floats", way_out="lower `v` or `s`")
        if v * m <= below**s:
            return
        most = below**s // v
        what = "v" if level.number < self.L or self.n == self.v else "n"
        where, lower = ("", "v") if same else (f" at level {level.number}", f"v_{level.number - 1}")
        rule = f"rules x `{what}`={v} symbols{where} need {v * m} tuples, but {lower}**s = {below**s}"
        raise InputError("m", m, rule, f"lower `m` to at most {most}" if most else f"lower `{what}` or raise `s`")

    def short_parameters(self) -> dict[str, Any]:
        """Return what tells it from others, for names of files and rows; n only where it is unusual."""
        return self._shown()

    # --- level by level ------------------------------------------------------------------------------

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The levels of rules 1..L, from the leaves up."""
        return tuple(
            Level(
                level, self.n_symbols(level), self.n_rules(level), self.n_children(level), self.n_symbols(level - 1)
            )
            for level in range(1, self.L + 1)
        )

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

    # --- of the whole tree ---------------------------------------------------------------------------

    @property
    def d(self) -> int:
        """Number of tokens, ``s**L``."""
        return self.width(0)

    @property
    def f(self) -> float:
        """Fraction of grammatical tuples, ``m / v**(s-1)``; raises `InputError` where levels differ."""
        if not (isinstance(self.v, int) and isinstance(self.m, int) and isinstance(self.s, int)):
            raise InputError(str(self), rule="has no single (v, m, s)", way_out="ask each of its `levels` for `f`")
        return float(formulas.fraction(self.v, self.m, self.s, self.v))

    @property
    def n_sentences(self) -> int:
        """Number of distinct sentences of a grammar, ``n m**((s**L - 1) / (s - 1))``: one per derivation.

        Raises `InputError` where it has more than a million bits.
        """
        bits = sum(self.width(level.number) * log2(level.rules) for level in self.levels)
        if bits > _MOST_BITS:
            rule = f"has about 10**{bits * log10(2):.6g} sentences, too many digits to hold"
            raise InputError(str(self), rule=rule, way_out="lower `L`")
        return int(self.n_symbols(self.L) * prod(level.rules ** self.width(level.number) for level in self.levels))

    @property
    def has_alike_levels(self) -> bool:
        """Whether all levels are alike in v, m and s (the root may differ: n)."""
        return self._same_numbers

    @property
    def _same_numbers(self) -> bool:
        return isinstance(self.v, int) and isinstance(self.m, int) and isinstance(self.s, int)

    def require_alike_levels(self) -> None:
        """Raise `InputError` where levels are not alike: see `has_alike_levels`."""
        if not self.has_alike_levels:
            raise InputError(
                str(self),
                NOT_SAID,
                "has no single (v, m, s) and rule probabilities",
                "this formula is known for levels that are all alike; "
                "use the exact statistics, which take any levels",
            )


def _per_level(name: str, value: Any, L: int, low: int, first: int) -> PerLevel:
    """Check one parameter: an int for every level, or one int per level; equal entries collapse to one int."""
    if not isinstance(value, (tuple, list, np.ndarray)):
        return as_int(name, value, low=low)
    if len(value) != L:
        way_out = f"give one int, or one a level ({name}_{first} .. {name}_{first + L - 1}, from the leaves up)"
        raise InputError(name, rule=f"has {len(value)} entries, but `L`={L}", way_out=way_out)
    entries = tuple(as_int(f"{name}_{first + i}", x, low=low) for i, x in enumerate(value))
    return entries[0] if len(set(entries)) == 1 else entries
