"""Learning curves, whoever measured them, and where each grammar's curve crosses between its plateaus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rhmtheory.fitting.levels import crossings
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_choice
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.theory import ARCHITECTURES, crossing_levels
from rhmtheory.theory.laws import as_law

LEAST_STEP = 0.01
"""Height ``ln(H_k / H_(k+1))`` below which there is no step: a test loss does not tell such plateaus apart. With
m = 2 grammars are met where two plateaus are the same."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """Best test loss of one network against samples, on grammars of one ensemble.

    Attributes
    ----------
    rhm : RHM
    label : str
        Free text: what tables and figures call the network.
    laws : tuple of str
        Learners (of `ARCHITECTURES`) whose predictions it is held against, its own first; empty where it has
        none, as a fully connected network.
    grammars : tuple of str
        The grammar of each row; rows of one grammar are several runs of it.
    plateaus : array, shape (rows, L + 1), nats
        Exact ``H_k`` of the grammar of each row.
    P : array, shape (sizes,), samples
        Increasing.
    loss : array, shape (rows, sizes), nats
        NaN where a run has no value.
    loss_error : array, shape (rows, sizes), nats, optional
        Standard errors of the losses. They make the interval where there is one curve alone.
    protocol : str
        ``offline`` (P fixed sentences), ``online`` (P = samples seen), or empty where it is not known.
    variant : str
        What tells this curve from others of the same network, such as the learning rate of a scan.
    diverged : int
        Runs that are left out because their loss did not stay finite.
    time : array, shape (rows, sizes, L), samples, optional
        Offline: samples seen, repeats counted, when the test loss first crossed step k; NaN where it never did.
        Online the time is P itself.
    remarks : tuple of str
        What else a reader must know of these runs.
    batch : int, optional
        Sentences per update, where all rows have the same.
    rate : float, optional
        Learning rate, where all rows have the same.
    known : bool
        Whether the names in ``grammars`` are those of known grammars, so that other curves may have met them, too.
    """

    rhm: RHM
    label: str
    laws: tuple[str, ...]
    grammars: tuple[str, ...]
    plateaus: FloatArray
    P: FloatArray
    loss: FloatArray
    loss_error: FloatArray | None = None
    protocol: str = ""
    variant: str = ""
    diverged: int = 0
    time: FloatArray | None = None
    remarks: tuple[str, ...] = ()
    known: bool = True
    batch: int | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        rows, sizes = len(self.grammars), len(self.P)
        L = self.rhm.L
        shapes = [("plateaus", (rows, L + 1)), ("P", (sizes,)), ("loss", (rows, sizes))]
        optional = [("loss_error", (rows, sizes)), ("time", (rows, sizes, L))]
        for name, shape in shapes + [one for one in optional if getattr(self, one[0]) is not None]:
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"{name} has shape {getattr(self, name).shape}, but {rows} rows and {sizes} sizes on "
                    f"{self.rhm} make it {shape}"
                )
        for law in self.laws:
            as_choice("law", law, tuple(ARCHITECTURES))

    @property
    def name(self) -> str:
        """Label and variant."""
        return f"{self.label}, {self.variant}" if self.variant else self.label

    @property
    def grammar_means(self) -> FloatArray:
        """Best loss so far of each grammar, geometric mean over its runs; shape (grammars, sizes).

        A run that stopped keeps what it reached, as more data do not take it back.
        """
        means: FloatArray = np.exp(mean_by(self.grammars, np.log(np.fmin.accumulate(self.loss, axis=1))))
        return means

    @property
    def mean_loss(self) -> FloatArray:
        """Geometric mean over grammars, shape (sizes,), up to where half of the rows have ended; NaN beyond."""
        ends = self.P[len(self.P) - 1 - (~np.isnan(self.loss[:, ::-1])).argmax(axis=1)]
        means: FloatArray = np.exp(np.log(self.grammar_means).mean(axis=0))
        return np.where(np.median(ends) >= self.P, means, np.nan)

    @property
    def mean_time(self) -> FloatArray:
        """Geometric mean of ``time`` over rows, (sizes, L); NaN where fewer than half of them made the step."""
        assert self.time is not None
        made = ~np.isnan(self.time)
        total = np.where(made, np.log(self.time), 0.0).sum(axis=0)
        enough = made.mean(axis=0) >= 0.5
        means: FloatArray = np.where(enough, np.exp(total / np.maximum(made.sum(axis=0), 1)), np.nan)
        return means

    @property
    def mean_plateaus(self) -> FloatArray:
        """Mean of the plateaus of the grammars, shape (L + 1,)."""
        means: FloatArray = mean_by(self.grammars, self.plateaus).mean(axis=0)
        return means


@dataclass(frozen=True, eq=False)
class UnitCrossings:
    """Crossings of each independent unit: a grammar (mean of its runs in ln P); a run, where there is one grammar.

    Arrays of shape (units, L): ``ln_P`` is ``ln P*_k``; where ``late``, the curve ended first, and ``ln_P`` is a
    lower bound; NaN where the grammar has no such step (``absent``), or the curve begins below it (``early``).
    """

    unit: str
    names: tuple[str, ...]
    plateaus: FloatArray
    ln_P: FloatArray  # noqa: N815
    late: BoolArray
    early: BoolArray
    absent: BoolArray


def unit_crossings(curves: LearningCurves) -> UnitCrossings:
    """Where each grammar's curve crosses ``sqrt(H_k H_(k+1))`` of that very grammar."""
    levels = step_levels(curves.plateaus)
    rows = crossings(curves.P, curves.loss, levels)
    ln_P = np.log(np.where(rows.late, rows.last[:, None], rows.at))
    absent = np.isnan(levels)
    names = tuple(dict.fromkeys(curves.grammars))
    if len(names) == 1:
        runs = tuple(f"run {i}" for i in range(len(ln_P)))
        return UnitCrossings("runs", runs, curves.plateaus, ln_P, rows.late, rows.early, absent)
    late, early = (mean_by(curves.grammars, kind.astype(float)) > 0 for kind in (rows.late, rows.early))
    plateaus, ln_P = mean_by(curves.grammars, curves.plateaus), mean_by(curves.grammars, ln_P)
    return UnitCrossings(
        "grammars", names, plateaus, ln_P, late, early, mean_by(curves.grammars, absent.astype(float)) > 0
    )


def step_levels(plateaus: FloatArray) -> FloatArray:
    """Loss at which each step counts as made, shape (rows, L); NaN where the plateaus coincide, or one is zero."""
    H = plateaus
    real = (H[:, 1:] > 0) & (H[:, :-1] > H[:, 1:] * np.exp(LEAST_STEP))
    levels = np.array([crossing_levels(row) for row in H])
    return np.where(real, levels, np.nan)


def predicted_steps(rhm: RHM, law: str, method: str) -> FloatArray:
    """``P_k`` of a law, shape (L,), ``published`` or ``finite_size``; a step waits for those before it."""
    P: FloatArray = getattr(as_law(law).steps(rhm), method)
    return P


def multiplicity(rhm: RHM) -> float:
    """The m of theory: equally likely rules with the same second moment."""
    return rhm.m_eff(1)


def mean_by(names: Sequence[str], values: FloatArray) -> FloatArray:
    """Mean over the rows of each name, in the order in which names come first."""
    order = list(dict.fromkeys(names))
    of_row = np.array([order.index(name) for name in names])
    return np.array([values[of_row == i].mean(axis=0) for i in range(len(order))])
