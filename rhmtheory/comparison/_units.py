"""Where each grammar's curve crosses between its own plateaus, and how exactly that is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rhmtheory.comparison.curves import LearningCurves, mean_by
from rhmtheory.fitting.levels import Crossings, crossings
from rhmtheory.language.rhm import RHM
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.support.values import ByValue
from rhmtheory.theory.laws import Law, as_law

LEAST_STEP = 0.01
"""Height ``ln(H_k / H_(k+1))`` below which there is no step: a test loss does not tell such plateaus apart. With
m = 2 grammars are met where two plateaus are the same."""
HEIGHTS = (0.25, 0.75)
"""Parts of a step, from its upper plateau down in the logarithm, at which crossings are taken beside the middle."""

_TOGETHER = 0.25

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class UnitCrossings(ByValue):
    """Crossings of each independent unit: a grammar (mean of its runs in ln P); a run, where there is one grammar.

    Attributes
    ----------
    unit : str
    names : tuple of str
    plateaus : array, shape (units, L + 1), nats
    ln_P : array, shape (units, L)
        ``ln P*_k``. Where ``late`` the curve ended first, where ``early`` it began below: the bound that this
        makes. NaN where the grammar has no such step (``absent``).
    at_heights : array, shape (heights, units, L)
        The same at other `HEIGHTS` of the step; NaN where the curve does not cross them.
    late, early, absent : arrays of bool, shape (units, L)
    of_row : array of int, shape (rows,)
        The unit of each row.
    bracket : array of int, shape (rows, L)
        The point before each crossing; -1 where there is none.
    doubt : array, shape (rows, L)
        Standard error, in ln P, of the place between this point and the next.
    """

    unit: str
    names: tuple[str, ...]
    plateaus: FloatArray
    ln_P: FloatArray  # noqa: N815
    at_heights: FloatArray
    late: BoolArray
    early: BoolArray
    absent: BoolArray
    of_row: IntArray
    bracket: IntArray
    doubt: FloatArray

    def variance(self, weights: FloatArray) -> float:
        """Return the variance that brackets leave in ``sum weights * ln_P``, weights of shape (units, L).

        Crossings of one step in one bracket are wrong by the same, as grammars do not move the points; those in
        different brackets are wrong independently.
        """
        share = 1 / np.bincount(self.of_row, minlength=len(self.names))[self.of_row]
        parts = weights[self.of_row] * share[:, None] * np.where(self.bracket >= 0, self.doubt, 0.0)
        total = 0.0
        for k in np.flatnonzero(weights.any(axis=0)):
            sums: dict[int, float] = {}
            for where, part in zip(self.bracket[:, k].tolist(), parts[:, k].tolist(), strict=True):
                sums[where] = sums.get(where, 0.0) + part
            total += sum(part**2 for part in sums.values())
        return total

    def together(self, i: int, j: int, used: list[int]) -> bool:
        """Whether steps i and j cross within one bracket, in more than a quarter of the rows of the units ``used``.

        Then no factor is seen. The few of a larger number are known within the errors of the bracket.
        """
        rows = np.isin(self.of_row, used)
        same = (self.bracket[:, i] == self.bracket[:, j]) & (self.bracket[:, i] >= 0) & rows
        return bool(same.sum() > _TOGETHER * rows.sum())


def step_crossings(P: FloatArray, loss: FloatArray, plateaus: FloatArray, height: float = 0.5) -> Crossings:
    """Return where curves cross their steps, at ``H_k**(1 - height) H_(k+1)**height``.

    Parameters
    ----------
    P : array, shape (sizes,)
    loss : array, shape (rows, sizes), nats
    plateaus : array, shape (rows, L + 1), nats
        Where two coincide, or one is zero, there is no step between them.
    height : float
        Part of the step, in the logarithm, from its upper plateau down.
    """
    return _crossed(P, loss, plateaus, (height,))


def _crossed(P: FloatArray, loss: FloatArray, H: FloatArray, heights: tuple[float, ...]) -> Crossings:
    """Crossings at all heights, side by side, (rows, heights * L)."""
    real = (H[:, 1:] > 0) & (H[:, :-1] > H[:, 1:] * np.exp(LEAST_STEP))
    upper, lower = np.where(real, H[:, :-1], np.nan), np.where(real, H[:, 1:], np.nan)
    levels = [np.sqrt(upper * lower) if h == 0.5 else upper ** (1 - h) * lower**h for h in heights]
    ends = {"upper": np.tile(upper, len(heights)), "lower": np.tile(lower, len(heights))}
    return crossings(P, loss, np.concatenate(levels, axis=1), **ends)


def unit_crossings(curves: LearningCurves) -> UnitCrossings:
    """Return where each grammar's curve crosses ``sqrt(H_k H_(k+1))`` of that very grammar."""
    every = _crossed(curves.P, curves.positive_loss, curves.plateaus, (0.5, *HEIGHTS))
    L = curves.rhm.L
    rows = Crossings(
        every.at[:, :L], every.late[:, :L], every.early[:, :L], every.last, every.bracket[:, :L], every.doubt[:, :L]
    )
    first = curves.P[np.minimum((~np.isnan(curves.loss)).argmax(axis=1), len(curves.P) - 1)]
    at = np.where(rows.late, rows.last[:, None], np.where(rows.early, first[:, None], rows.at))
    ln_P, heights = np.log(at), [np.log(every.at[:, i * L : (i + 1) * L]) for i in range(1, len(HEIGHTS) + 1)]
    H = curves.plateaus
    absent = ~((H[:, 1:] > 0) & (H[:, :-1] > H[:, 1:] * np.exp(LEAST_STEP)))
    if curves.level_spread is not None:
        absent = absent | np.isnan(curves.level_spread)
    ln_P[absent] = np.nan
    names = tuple(dict.fromkeys(curves.grammars))
    if len(names) == 1:
        unit, names, of_row = "runs", tuple(f"run {i}" for i in range(len(ln_P))), np.arange(len(ln_P))
    else:
        unit, of_row = "grammars", np.array([names.index(name) for name in curves.grammars])
    key = [str(i) for i in of_row]
    late, early, lacking = (mean_by(key, kind.astype(float)) > 0 for kind in (rows.late, rows.early, absent))
    return UnitCrossings(
        unit=unit, names=names, plateaus=mean_by(key, curves.plateaus), ln_P=mean_by(key, ln_P),
        at_heights=np.array([mean_by(key, one) for one in heights]), late=late & ~lacking, early=early & ~lacking,
        absent=lacking, of_row=of_row, bracket=rows.bracket, doubt=rows.doubt,
    )  # fmt: skip


def predicted_steps(rhm: RHM, law: str | Law, method: str) -> FloatArray:
    """``P_k`` of a law, shape (L,), ``published`` or ``finite_size``; a step waits for those before it."""
    P: FloatArray = getattr(as_law(law).steps(rhm), method)
    return P


def multiplicity(rhm: RHM) -> float:
    """The m of theory: equally likely rules with the same second moment."""
    return rhm.m_eff(1)
