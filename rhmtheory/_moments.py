"""Second moments of covariances over random rules, in any field of numbers (fractions, floats, sympy's).

A *form* is a set partition of four indices. Contracted with ``C_(i0 i1) C_(i2 i3)`` it sums over symbols that
are equal within its blocks; contracted with ``pi_i0 pi_i1 pi_i2 pi_i3`` it is a product of power sums. Rules
are symmetric under permutations of the symbols, so one level maps forms to forms, linearly. The derivation is
in docs/theory_correlations.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from math import factorial, inf, prod
from typing import Any, NamedTuple

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
"""Converts coefficients to the numbers of the recursion: `float`, or `exact` to leave them as they are."""


def exact(x: Any) -> Any:
    """Return ``x``."""
    return x


class Level(NamedTuple):
    """Parameters of one level of rules: numbers of a field (fractions, not ints), but for ``s``.

    Attributes
    ----------
    v, below : number
        Symbols of the level and of the one below.
    s : int
        Children per rule.
    q : tuple of 3 numbers
        Power sums ``Q_j = sum_r p_r**j`` of the rule probabilities, j = 2, 3, 4.
    """

    v: Any
    below: Any
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
    """``coefficient`` as a list of (k, blocks, free, factor): factor v**((s-branches) blocks + free) / (v**s)_k."""
    out: Counter[tuple[int, int, int]] = Counter()
    for distinct, tuples in product(FORMS, repeat=2):
        # sums over distinct slots from free sums; the tuples of distinct slots from independent tuples
        if factor := _mobius(distinct, slots) * _mobius(distinct, tuples):
            out[len(set(distinct)), len(set(tuples)), _free_children(form, tuples, branches)] += factor
    return tuple((*key, factor) for key, factor in out.items() if factor)


@cache
def coefficient(form: Form, slots: Form, v: Any, s: int, branches: int) -> Any:
    """Contribution of a form ``slots`` of (symbol, rule) pairs to the mean of a form of ``v``-valued children."""
    return sum(
        factor * v ** ((s - branches) * blocks + free) / prod((v**s - i for i in range(1, k)), start=v**s)
        for k, blocks, free, factor in _terms(form, slots, branches)
    )


@cache
def descent(level: Level, same: Any, number: Number = exact) -> Matrix:
    """Matrix of the `QUADRATIC` forms when both sides of a covariance go down one level.

    They take the same branch with probability ``same``.
    """
    weights = (level.q[0] ** 2, level.q[0] ** 2, level.q[2], level.q[0] ** 2)
    one, two = (_table(QUADRATIC, QUADRATIC, level, branches) for branches in (SAME, DIFFERENT))
    return tuple(
        tuple(number(w * (same * a + (1 - same) * b)) for w, a, b in zip(weights, *rows, strict=True))
        for rows in zip(one, two, strict=True)
    )


@cache
def lone_descent(level: Level, number: Number = exact) -> Any:
    """Factor of ``sum C_ab**2`` when one side of a covariance goes down one level and the other stays."""
    tuples = level.below**level.s
    return number(level.q[0] * (tuples - tuples / level.below) / (tuples - 1))


@cache
def marginal_descent(level: Level, number: Number = exact) -> Matrix:
    """Matrix of the mean `POWER_SUMS` of a marginal when it goes down one level."""
    table = _table(POWER_SUMS, FORMS, level, SAME)
    kind = [sorted(Counter(form).values()) for form in FORMS]
    columns = [[i for i, sizes in enumerate(kind) if sizes == kind[FORMS.index(form)]] for form in POWER_SUMS]
    return tuple(
        tuple(number(w * sum(row[i] for i in column)) for w, column in zip(level.weights, columns, strict=True))
        for row in table
    )


ITSELF: Matrix = ((0, 1, -2, 0, 1), (0, 1, -2, 0, 1), (0, 1, -2, 1, 0), (1, -2, 0, 0, 1))
"""`QUADRATIC` forms of ``diag(w) - w w^T``, the covariance of a node with itself, from the `POWER_SUMS` of w."""


@cache
def siblings(level: Level, number: Number = exact) -> Matrix:
    """Matrix from the `POWER_SUMS` of a node's marginal to the `QUADRATIC` forms of two of its children.

    The node's (symbol, rule) pair is one random variable, of which both children are functions.
    """
    columns = zip(*ITSELF, strict=True)
    pushed = [_times(_table(QUADRATIC, QUADRATIC, level, DIFFERENT), column) for column in columns]
    return tuple(
        tuple(number(w * x) for w, x in zip(level.weights, row, strict=True)) for row in zip(*pushed, strict=True)
    )


def _table(forms: Sequence[Form], slots: Sequence[Form], level: Level, branches: int) -> Matrix:
    return tuple(tuple(coefficient(form, slot, level.below, level.s, branches) for slot in slots) for form in forms)


def _times(matrix: Matrix, x: Vector) -> Vector:
    return tuple(sum(a * b for a, b in zip(row, x, strict=True)) for row in matrix)


# --- all levels --------------------------------------------------------------------------------------


class Moments:
    """Moments of the covariances of an ensemble, level by level.

    Parameters
    ----------
    levels : sequence of Level
        From level 1 up; the root's symbols are equally likely.
    number : callable
        See `Number`.
    """

    def __init__(self, levels: Sequence[Level], number: Number = exact) -> None:
        self._levels = tuple(levels)
        self._number = number
        n = levels[-1].v
        power_sums = [tuple(number(x) for x in (n / n, 1 / n, 1 / n**2, 1 / n**3, 1 / n**2))]
        for level in reversed(self._levels):
            power_sums.append(_times(marginal_descent(level, number), power_sums[-1]))
        self.power_sums = tuple(reversed(power_sums))
        """Means of `POWER_SUMS` of the marginals, by level, 0..L."""

    def quadratic(self, lca: int, same: Sequence[Any]) -> Vector:
        """Means of the `QUADRATIC` forms for two nodes at level ``lca - 1 - len(same)``.

        ``same[i]`` is the probability that both sides take the same branch at level ``lca - 1 - i``.
        """
        forms = _times(siblings(self._levels[lca - 1], self._number), self.power_sums[lca])
        for level, probability in zip(range(lca - 1, 0, -1), same, strict=False):
            forms = _times(descent(self._levels[level - 1], probability, self._number), forms)
        return forms

    def square(self, lca: int, same: Sequence[Any], levels: tuple[int, int]) -> Any:
        """Mean of ``sum C_ab**2`` for nodes at the two ``levels``, of which one may be the ancestor's."""
        upper, lower = max(levels), min(levels)
        out = (_times(ITSELF, self.power_sums[lca]) if upper == lca else self.quadratic(lca, same))[0]
        for level in range(upper, lower, -1):
            out = out * lone_descent(self._levels[level - 1], self._number)
        return out

    def cancellation(self, lca: int, upper: int) -> float:
        """How many times larger the terms of ``sum C_ab**2`` at the ancestor are than their sum.

        ``upper`` is the level of the higher node, which is ``lca`` where it is the ancestor itself.
        """
        row = (ITSELF if upper == lca else siblings(self._levels[lca - 1], self._number))[0]
        terms = [float(a * b) for a, b in zip(row, self.power_sums[lca], strict=True)]
        return sum(map(abs, terms)) / abs(sum(terms)) if sum(terms) else inf
