"""The tables of one grammar: rules, their probabilities, and whatever is looked up in them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from rhmtheory.support.checks import as_int, as_integers
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.types import FloatArray, IntArray, as_floats
from rhmtheory.tree._tuples import encode
from rhmtheory.tree.shape import Shape

UNGRAMMATICAL = -1
"""Stands for the parent of a tuple that no rule produces."""

_Numbers = npt.NDArray[np.int64]
_Scalar = TypeVar("_Scalar", bound=np.generic)
_LARGEST_TABLE = 1 << 27
"""Floats of the transition matrices of one level (1 GiB)."""
_LARGEST_LIST = 1 << 18
"""Tuples whose parents are listed; among more, parents are found by bisection."""


class Parents(NamedTuple):
    """The one parent of each tuple of children, as arrays that kernels read.

    Attributes
    ----------
    numbers : int64 array, shape (tuples,)
        Sorted numbers of the tuples with a parent; empty where the other arrays list all tuples.
    parent : int64 array, shape (tuples,)
        The parent symbol, `UNGRAMMATICAL` (-1) where there is none.
    rule : int64 array, shape (tuples,)
        Which rule of the parent it is, 0 .. m - 1; -1 where there is none.
    """

    numbers: _Numbers
    parent: _Numbers
    rule: _Numbers

    def find(self, numbers: _Numbers) -> tuple[_Numbers, _Numbers]:
        """Parents and rules (...) of tuples by their numbers (...), -1 where there are none."""
        if not len(self.numbers):
            return self.parent[numbers], self.rule[numbers]
        at = np.minimum(np.searchsorted(self.numbers, numbers), len(self.numbers) - 1)
        known = self.numbers[at] == numbers
        return np.where(known, self.parent[at], UNGRAMMATICAL), np.where(known, self.rule[at], UNGRAMMATICAL)


class Tables:
    """Rules of every level of one grammar, with the probabilities of rules and classes.

    Tables cannot be changed: their arrays are read-only. Two are equal when their shapes and arrays are.

    Parameters
    ----------
    shape : Shape
    rules : sequence of L integer arrays
        Bottom-up and checked: ``rules[l - 1]`` has shape (v_l, m_l, s_l). Arrays that can be written are copied.
    rule_probabilities : sequence of L arrays of shape (v_l, m_l), optional
        Bottom-up, rows summing to one; uniform by default.
    prior : array, shape (n,), optional
        Probabilities of the root symbols (classes); uniform by default.
    """

    def __init__(
        self,
        shape: Shape,
        rules: Sequence[IntArray],
        rule_probabilities: Sequence[FloatArray] | None = None,
        prior: FloatArray | None = None,
    ) -> None:
        self.shape = shape
        self._rules = tuple(_kept(table) for table in rules)
        if rule_probabilities is None:
            rule_probabilities = [np.full((level.symbols, level.rules), 1 / level.rules) for level in shape.levels]
        self._probabilities = tuple(_kept(table) for table in rule_probabilities)
        n = shape.n_symbols(shape.L)
        self.prior: FloatArray = _kept(np.full(n, 1 / n) if prior is None else prior)

    def rules(self, level: int) -> IntArray:
        """Rules of a level, ``1 <= level <= L``: read-only, shape (v_l, m_l, s_l), level ``l - 1`` symbols."""
        return self._rules[as_int("level", level, low=1, high=self.shape.L) - 1]

    def rule_probabilities(self, level: int) -> FloatArray:
        """Probabilities of the rules of a level, read-only, shape (v_l, m_l), rows summing to one."""
        return self._probabilities[as_int("level", level, low=1, high=self.shape.L) - 1]

    @cached_property
    def is_uniform(self) -> bool:
        """Whether the rules of a symbol, and the classes, are equally likely."""
        return all(map(equally_likely, (*self._probabilities, self.prior)))

    # --- parents -------------------------------------------------------------------------------------

    def parents(self, level: int, tuples: npt.ArrayLike) -> _Numbers:
        """Parent symbols of level ``level`` for tuples of level ``level - 1`` symbols.

        Parameters
        ----------
        level : int
            Level of the parents, ``1 <= level <= L``.
        tuples : integer array, shape (..., s)
            Tuples of children.

        Returns
        -------
        int64 array, shape (...)
            The one symbol with a rule for the tuple, or `UNGRAMMATICAL` (-1) where there is none.
        """
        return self.look_up(level, tuples)[0]

    def look_up(self, level: int, tuples: npt.ArrayLike) -> tuple[_Numbers, _Numbers]:
        """Parents and the numbers of their rules, as `parents`, for tuples (..., s); -1 where there are none.

        Parameters
        ----------
        level, tuples
            As in `parents`.
        """
        level = as_int("level", level, low=1, high=self.shape.L)
        base, s = self.shape.n_symbols(level - 1), self.shape.n_children(level)
        array = as_integers("tuples", tuples)
        if array.ndim == 0 or array.shape[-1] != s:
            rule = f"have shape {array.shape}: the last axis must hold `s`={s} children"
            raise InputError("tuples", rule=rule)
        array = array.astype(np.int64)
        inside = np.asarray(((array >= 0) & (array < base)).all(axis=-1))
        parent, rules = self.parent_table(level).find(encode(np.where(inside[..., None], array, 0), base))
        return np.where(inside, parent, UNGRAMMATICAL), np.where(inside, rules, UNGRAMMATICAL)

    def parent_table(self, level: int, *, possible: bool = False) -> Parents:
        """Return the parents of all tuples of a level, for look-up by the number of a tuple.

        Parameters
        ----------
        level : int
            Level of the parents, ``1 <= level <= L``.
        possible : bool
            Leave out rules of probability zero: what they write is never seen.
        """
        tables = self._possible_parents if possible else self._all_parents
        return tables[as_int("level", level, low=1, high=self.shape.L) - 1]

    @cached_property
    def _all_parents(self) -> tuple[Parents, ...]:
        return tuple(self._list_parents(np.ones_like(p, dtype=bool), i) for i, p in enumerate(self._probabilities))

    @cached_property
    def _possible_parents(self) -> tuple[Parents, ...]:
        if all((p > 0).all() for p in self._probabilities):
            return self._all_parents
        return tuple(self._list_parents(p > 0, i) for i, p in enumerate(self._probabilities))

    def _list_parents(self, wanted: npt.NDArray[np.bool_], i: int) -> Parents:
        base, s = self.shape.levels[i].below, self.shape.levels[i].children
        parent, rule = np.nonzero(wanted)
        numbers = encode(self._rules[i][parent, rule], base)
        if base**s <= _LARGEST_LIST:
            listed = np.full((2, base**s), UNGRAMMATICAL)
            listed[:, numbers] = parent, rule
            return Parents(_read_only(numbers[:0]), *map(_read_only, listed))
        order = np.argsort(numbers)
        return Parents(*(_read_only(x[order]) for x in (numbers, parent, rule)))

    # --- probabilities -------------------------------------------------------------------------------

    def transition(self, level: int) -> FloatArray:
        """Transition matrices ``T_p(mu | a)`` of a level, shape (s_l, v_l, v_(l-1)), rows summing to one.

        ``T_p(mu | a)`` is the probability that a level-``l`` symbol ``a`` has ``mu`` as its child ``p``: for
        equally likely rules, the fraction of its rules that do.
        """
        return self._transitions[as_int("level", level, low=1, high=self.shape.L) - 1]

    @cached_property
    def _transitions(self) -> tuple[FloatArray, ...]:
        out = []
        for level, rules, p in zip(self.shape.levels, self._rules, self._probabilities, strict=True):
            size = level.children * level.symbols * level.below
            if size > _LARGEST_TABLE:
                raise InputError(
                    f"the transition matrices of level {level.number} of {self.shape}",
                    NOT_SAID,
                    f"take {size >> 17} MiB, more than {_LARGEST_TABLE >> 17}",
                    "lower `v`, or use the ensemble's rms_correlation: it needs no grammar",
                )
            T = np.zeros((level.children, level.symbols, level.below))
            branch, symbol = np.arange(level.children)[:, None, None], np.arange(level.symbols)[None, :, None]
            np.add.at(T, (branch, symbol, rules.transpose(2, 0, 1)), p)
            out.append(_read_only(T))
        return tuple(out)

    def path(self, level: int, position: int) -> tuple[int, ...]:
        """Branches taken from the root down to node ``position`` of a level; the first one is at level L.

        Parameters
        ----------
        level : int
            0..L.
        position : int
            Number of the node within its level, from the left.
        """
        position = as_int("position", position, low=0, high=self.shape.width(level) - 1)
        branches = []
        for above in range(level + 1, self.shape.L + 1):
            position, branch = divmod(position, self.shape.n_children(above))
            branches.append(branch)
        return tuple(branches[::-1])

    def marginal(self, level: int, position: int) -> FloatArray:
        """Probability of each symbol at node ``position`` of a ``level``, shape (v_l,); it depends on the path.

        Parameters
        ----------
        level : int
            0..L.
        position : int
            Number of the node within its level, from the left.
        """
        pi = self.prior
        for above, branch in zip(range(self.shape.L, level, -1), self.path(level, position), strict=True):
            weight = pi[:, None] * self.rule_probabilities(above)
            children = self.rules(above)[:, :, branch]
            pi = as_floats(np.bincount(children.ravel(), weight.ravel(), minlength=self.shape.n_symbols(above - 1)))
        return pi

    # --- as a value ----------------------------------------------------------------------------------

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the tables and their shapes (hex): names the grammar in records of experiments."""
        shapes = [self.shape.n_symbols(0), *(table.shape for table in self._rules)]
        digest = hashlib.sha256(repr(shapes).encode())
        for table in self._arrays:
            digest.update(table.tobytes())
        return digest.hexdigest()

    @property
    def _arrays(self) -> tuple[npt.NDArray[Any], ...]:
        return (*self._rules, *self._probabilities, self.prior)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tables):
            return NotImplemented
        return self.shape == other.shape and all(map(np.array_equal, self._arrays, other._arrays))

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __reduce__(self) -> tuple[Any, ...]:
        # by way of the constructor: arrays restored by pickle or copy would be writable
        return type(self), (self.shape, self._rules, self._probabilities, self.prior)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.fingerprint[:12]} of {self.shape}>"


def equally_likely(p: FloatArray) -> bool:
    """Whether the probabilities ``p``, along the last axis, are alike but for rounding."""
    return bool(np.allclose(p, 1 / p.shape[-1], rtol=1e-12, atol=0))


def _kept(array: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
    """The array itself where nobody can write to it, else a copy: that of the caller stays as it is."""
    return _read_only(array.copy() if array.flags.writeable else array)


def _read_only(array: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array
