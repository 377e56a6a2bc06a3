"""Second moments of covariances over random rules, in any field of numbers (fractions, floats, sympy's).

A *form* is a set partition of four indices. Contracted with ``C_(i0 i1) C_(i2 i3)`` it sums over symbols that
are equal within its blocks; contracted with ``pi_i0 pi_i1 pi_i2 pi_i3`` it is a product of power sums. Rules
are symmetric under permutations of the symbols, so one level maps forms to forms, linearly: corr-map. The
derivation is in docs/theory_correlations.md, whose labels are named here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from itertools import product
from math import factorial, prod
from typing import Any, NamedTuple

import numpy as np

from rhmtheory.support.checks import as_choice, as_int, as_pair
from rhmtheory.support.errors import InputError

Form = tuple[int, ...]
"""Entry i is the block of index i; blocks are numbered in the order in which they appear."""

FORMS: tuple[Form, ...] = tuple(
    form
    for form in product(range(4), repeat=4)
    if all(block <= max((-1, *form[:i])) + 1 for i, block in enumerate(form))
)
"""All 15 set partitions of four indices."""

QUADRATIC: tuple[Form, ...] = ((0, 1, 0, 1), (0, 1, 1, 0), (0, 0, 0, 0), (0, 0, 1, 1))
"""``sum C_ab**2, sum C_ab C_ba, sum C_aa**2, (tr C)**2``: those without a lone index, on which C sums to zero."""

POWER_SUMS: tuple[Form, ...] = ((0, 1, 2, 3), (0, 0, 1, 2), (0, 0, 0, 1), (0, 0, 0, 0), (0, 0, 1, 1))
"""``1, P_2, P_3, P_4, P_2**2`` of a distribution, ``P_j = sum pi**j``; a lone index contributes P_1 = 1."""

SAME, DIFFERENT = 1, 2
"""Whether two sides descend by one branch or by two: the number of children that matter in a tuple."""

Vector = tuple[Any, ...]
Matrix = tuple[Vector, ...]
Number = Callable[[Any], Any]
"""Rounds the numbers of a recursion: `wide` or `short` fractions, or `identity` to leave them as they are."""


def identity(x: Any) -> Any:
    """Return ``x``."""
    return x


def wide(x: Fraction) -> Fraction:
    """Round a fraction longer than 4096 bits to as many: enough for terms that cancel."""
    return _rounded(x, 4096)


def short(x: Fraction) -> Fraction:
    """Round a fraction longer than 128 bits to as many: a float that has no smallest number."""
    return _rounded(x, 128)


def _rounded(x: Fraction, bits: int) -> Fraction:
    top, bottom = x.numerator, x.denominator
    if max(top.bit_length(), bottom.bit_length()) <= bits:
        return x
    shift = bits + bottom.bit_length() - top.bit_length()
    if shift < 0:
        return Fraction(top // (bottom << -shift) << -shift)
    return Fraction((top << shift) // bottom, 1 << shift)


class LevelNumbers(NamedTuple):
    """Parameters of one level of rules as numbers of a field (fractions, not ints), but for ``s``.

    Attributes
    ----------
    v, below : number
        Symbols of the level and of the one below.
    m : number
        Rules of each symbol.
    s : int
        Children per rule.
    q : tuple of 3 numbers
        Power sums ``Q_j = sum_r p_r**j`` of the rule probabilities, j = 2, 3, 4.
    """

    v: Any
    below: Any
    m: Any
    s: int
    q: Vector

    @property
    def weights(self) -> Vector:
        """What the `POWER_SUMS` of (symbol, rule) pairs have over those of symbols."""
        return (1, *self.q, self.q[0] ** 2)


# --- one level of random rules -----------------------------------------------------------------------


@cache
def _mobius(fine: Form, coarse: Form) -> int:
    """Mobius function of the lattice of set partitions; 0 where ``fine`` does not refine ``coarse``."""
    pairs = set(zip(fine, coarse, strict=True))
    if len(pairs) > len(set(fine)):
        return 0
    return prod((-1) ** (b - 1) * factorial(b - 1) for b in Counter(block for _, block in pairs).values())


def _free_children(form: Form, slots: Form, branches: int) -> int:
    """Number of children that may still be chosen when ``form`` equates those of tuples, one tuple a block."""
    group = {(block, side): (block, side) for block in set(slots) for side in range(branches)}
    # indices 0 and 2 are the first side of a covariance, 1 and 3 the second
    nodes = [(slots[i], i % branches) for i in range(4)]
    for i, j in product(range(4), repeat=2):
        if form[i] == form[j]:
            old, new = group[nodes[i]], group[nodes[j]]
            group = {node: new if root == old else root for node, root in group.items()}
    return len(set(group.values()))


@cache
def _terms(form: Form, slots: Form, branches: int) -> tuple[tuple[int, int, int, int], ...]:
    """``coefficient`` as a list of (k, blocks, free, factor): factor v**((s-branches) blocks + free) / (v**s)_k.

    These are the terms of corr-matrix, with corr-probability put in.
    """
    out: Counter[tuple[int, int, int]] = Counter()
    for distinct, tuples in product(FORMS, repeat=2):
        # sums over distinct slots from free sums; the tuples of distinct slots from independent tuples
        if factor := _mobius(distinct, slots) * _mobius(distinct, tuples):
            out[len(set(distinct)), len(set(tuples)), _free_children(form, tuples, branches)] += factor
    return tuple((*key, factor) for key, factor in out.items() if factor)


@cache
def coefficient(form: Form, slots: Form, v: Any, s: int, branches: int) -> Any:
    """Contribution of a form ``slots`` of (symbol, rule) pairs to the mean of a form of children: corr-matrix."""
    return sum(
        factor * v ** ((s - branches) * blocks + free) / prod((v**s - i for i in range(1, k)), start=v**s)
        for k, blocks, free, factor in _terms(form, slots, branches)
    )


@cache
def descent(level: LevelNumbers, same: Fraction, number: Number = identity) -> Matrix:
    """Matrix of the `QUADRATIC` forms when both sides of a covariance go down one level: corr-descent, corr-level.

    They take the same branch with probability ``same``.
    """
    equal, all_cases = same.numerator, same.denominator
    weights = (level.q[0] ** 2, level.q[0] ** 2, level.q[2], level.q[0] ** 2)
    one, two = (_table(QUADRATIC, QUADRATIC, level, branches) for branches in (SAME, DIFFERENT))
    return tuple(
        tuple(
            number(w * (equal * a + (all_cases - equal) * b) / all_cases)
            for w, a, b in zip(weights, *rows, strict=True)
        )
        for rows in zip(one, two, strict=True)
    )


@cache
def lone_descent(level: LevelNumbers, number: Number = identity) -> Any:
    """Factor of ``sum C_ab**2`` when one side of a covariance goes down one level, the other stays: corr-lone."""
    tuples = level.below**level.s
    return number(level.q[0] * (tuples - tuples / level.below) / (tuples - 1))


@cache
def marginal_descent(level: LevelNumbers) -> Matrix:
    """Matrix of the mean `POWER_SUMS` of a marginal when it goes down one level: corr-marginal."""
    table = _table(POWER_SUMS, FORMS, level, SAME)
    kind = [sorted(Counter(form).values()) for form in FORMS]
    columns = [[i for i, sizes in enumerate(kind) if sizes == kind[FORMS.index(form)]] for form in POWER_SUMS]
    return tuple(
        tuple(w * sum(row[i] for i in column) for w, column in zip(level.weights, columns, strict=True))
        for row in table
    )


ITSELF: Matrix = ((0, 1, -2, 0, 1), (0, 1, -2, 0, 1), (0, 1, -2, 1, 0), (1, -2, 0, 0, 1))
"""`QUADRATIC` forms of ``diag(w) - w w^T``, the covariance of a node with itself, by the `POWER_SUMS` of w:
corr-itself."""


@cache
def siblings(level: LevelNumbers) -> Matrix:
    """Matrix from the `POWER_SUMS` of a node's marginal to the `QUADRATIC` forms of two children: corr-siblings.

    The node's (symbol, rule) pair is one random variable, of which both children are functions.
    """
    columns = zip(*ITSELF, strict=True)
    pushed = [_times(_table(QUADRATIC, QUADRATIC, level, DIFFERENT), column) for column in columns]
    return tuple(tuple(w * x for w, x in zip(level.weights, row, strict=True)) for row in zip(*pushed, strict=True))


def _table(forms: Sequence[Form], slots: Sequence[Form], level: LevelNumbers, branches: int) -> Matrix:
    return tuple(tuple(coefficient(form, slot, level.below, level.s, branches) for slot in slots) for form in forms)


def _times(matrix: Matrix, x: Vector) -> Vector:
    return tuple(sum(a * b for a, b in zip(row, x, strict=True)) for row in matrix)


# --- all levels --------------------------------------------------------------------------------------


class Moments:
    """Moments of the covariances of an ensemble, level by level.

    Those of marginals and of siblings need many digits, since their terms cancel (where f is near 1, or one symbol
    near certain); the descents below lose none.

    Parameters
    ----------
    levels : sequence of LevelNumbers
        From level 1 up; the root's symbols are equally likely.
    marginals, descents : Number
        How to round the two kinds; by default not at all.
    """

    def __init__(
        self, levels: Sequence[LevelNumbers], marginals: Number = identity, descents: Number = identity
    ) -> None:
        self._levels = tuple(levels)
        self._number = descents
        n = levels[-1].v
        power_sums: list[Vector] = [(n / n, 1 / n, 1 / n**2, 1 / n**3, 1 / n**2)]
        for level in reversed(self._levels):
            power_sums.append(tuple(map(marginals, _times(marginal_descent(level), power_sums[-1]))))
        self.power_sums = tuple(reversed(power_sums))
        """Means of `POWER_SUMS` of the marginals, by level, 0..L."""
        self._siblings: dict[int, Vector] = {}

    def quadratic(self, lca: int, same: Sequence[Fraction]) -> Vector:
        """Means of the `QUADRATIC` forms for two nodes at level ``lca - 1 - len(same)``.

        ``same[i]`` is the probability that both sides take the same branch at level ``lca - 1 - i``.
        """
        number = self._number
        if lca not in self._siblings:
            forms = _times(siblings(self._levels[lca - 1]), self.power_sums[lca])
            self._siblings[lca] = tuple(map(number, forms))
        forms = self._siblings[lca]
        for level, probability in zip(range(lca - 1, 0, -1), same, strict=False):
            forms = tuple(map(number, _times(descent(self._levels[level - 1], probability, number), forms)))
        return forms

    def mean_square(
        self, lca: int, same: Sequence[Fraction], levels: tuple[int, int], tuples: tuple[bool, bool]
    ) -> Any:
        """Mean of ``C_ab**2`` for nodes, or tuples below nodes, at two ``levels``: see `ensemble.second_moment`."""
        number = self._number
        upper, lower = max(levels), min(levels)
        # where one node is the ancestor, it is the covariance of the ancestor with itself that descends
        forms = self.quadratic(lca, same) if upper < lca else _times(ITSELF, self.power_sums[lca])
        out = number(forms[0])
        for level in range(upper, lower, -1):
            out = number(out * lone_descent(self._levels[level - 1], number))
        for level, is_tuple in zip(levels, tuples, strict=True):
            out = out / (self._levels[level - 1].v if level else self._levels[0].below)
            if is_tuple:
                out = out * self._levels[level - 1].q[0] / self._levels[level - 1].m
        return out


# --- what the caller may ask for ---------------------------------------------------------------------


def check_nodes(level: int, levels: Any, tuples: Any) -> tuple[tuple[int, int], tuple[bool, bool]]:
    """Check the levels of two nodes with this LCA level, and which of them stand for the tuples below them."""
    first, second = as_pair("hidden_levels", levels, "levels such as (1, 0)")
    pair = (
        as_int("hidden_levels[0]", first, low=0, high=level),
        as_int("hidden_levels[1]", second, low=0, high=level),
    )
    first, second = as_pair("tuples", tuples, "truth values such as (True, False)")
    for k, is_tuple in zip(pair, (first, second), strict=True):
        if is_tuple and not 1 <= k < level:
            rule = f"are no nodes with a parent below the common ancestor at level {level}"
            raise InputError("hidden_levels", pair, rule, f"a tuple needs one, at level 1..{level - 1}")
    return pair, (bool(first), bool(second))


def check_branches(branches: Any, level: int, end: int, children: Callable[[int], int]) -> tuple[Fraction, ...]:
    """Probabilities that both sides take the same branch, at levels ``level - 1`` down to ``end + 1``."""
    below = range(level - 1, end, -1)
    if isinstance(branches, str):
        as_choice("branches", branches, ("mean", "different", "same"))
        same = {"different": Fraction(0), "same": Fraction(1)}
        return tuple(same[branches] if branches in same else Fraction(1, children(k)) for k in below)
    if not isinstance(branches, Sequence | np.ndarray):
        raise InputError("branches", branches, "is neither a name nor a sequence of True (same) and False")
    for choice in branches:
        if not isinstance(choice, (bool, np.bool_)):
            raise InputError("branches", branches, f"hold {choice!r}", "give True (same) or False (different)")
    if len(branches) != len(below):
        way_out = f"LCA level {level} and nodes at level {end} leave {len(below)} levels between them"
        raise InputError("branches", branches, f"has {len(branches)} entries", way_out)
    return tuple(Fraction(bool(choice)) for choice in branches)
