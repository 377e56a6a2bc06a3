"""Learning curves, whoever measured them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, expm1, log

import numpy as np

from rhmtheory.fitting.levels import falling
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_choice
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue
from rhmtheory.theory.laws import ARCHITECTURES, Law

_TINY = 1e-12
"""Stands for a loss of exactly zero, whose logarithm would be infinite."""


@dataclass(frozen=True, eq=False)
class LearningCurves(ByValue):
    """Best test loss of one network against samples, on grammars of one ensemble.

    Attributes
    ----------
    rhm : RHM
    label : str
        Free text: the network's name in tables and figures.
    laws : tuple of str or Law
        Laws (names of `ARCHITECTURES`, or one's own) whose predictions it is held against, its own first; empty
        where it has none, as a fully connected network.
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
    batch : int, optional
        Sentences per update.
    rate : float, optional
        Learning rate. Runs at different batch or rate are different curves.
    variant : str
        Tells this curve from others of the same network, such as the learning rate of a scan.
    diverged : int
        Runs that are left out because their loss did not stay finite.
    time : array, shape (rows, sizes, L), samples, optional
        Offline: samples seen, repeats counted, when the test loss first crossed step k; NaN where it never did.
        Online the time is P itself.
    level_spread : array, shape (L,), optional
        Where the plateaus are those of the ensemble: standard deviation, over grammars, of the logarithm of the
        loss at which each step counts as made. NaN where that loss lies on no step of many grammars.
    remarks : tuple of str
        Further notes for the reader of these runs.
    known : bool
        Whether the names in ``grammars`` are those of known grammars, so that other curves may have met them, too.
    """

    rhm: RHM
    label: str
    laws: tuple[str | Law, ...]
    grammars: tuple[str, ...]
    plateaus: FloatArray
    P: FloatArray
    loss: FloatArray
    loss_error: FloatArray | None = None
    protocol: str = ""
    batch: int | None = None
    rate: float | None = None
    variant: str = ""
    diverged: int = 0
    time: FloatArray | None = None
    level_spread: FloatArray | None = None
    remarks: tuple[str, ...] = ()
    known: bool = True

    def __post_init__(self) -> None:
        rows, sizes = len(self.grammars), len(self.P)
        L = self.rhm.L
        shapes = [("plateaus", (rows, L + 1)), ("P", (sizes,)), ("loss", (rows, sizes))]
        optional = [("loss_error", (rows, sizes)), ("time", (rows, sizes, L)), ("level_spread", (L,))]
        for name, shape in shapes + [one for one in optional if getattr(self, one[0]) is not None]:
            if getattr(self, name).shape != shape:
                made = f"but {rows} rows and {sizes} sizes on {self.rhm} make it {shape}"
                raise InputError(name, rule=f"has shape {getattr(self, name).shape}, {made}")
        for law in self.laws:
            if not isinstance(law, Law):
                as_choice("law", law, tuple(ARCHITECTURES))

    @property
    def name(self) -> str:
        """Label and variant."""
        return f"{self.label}, {self.variant}" if self.variant else self.label

    @property
    def law_names(self) -> tuple[str, ...]:
        """Names of the laws."""
        return tuple(map(law_name, self.laws))

    @property
    def positive_loss(self) -> FloatArray:
        """The losses, with a tiny number for those of exactly zero."""
        return np.maximum(self.loss, _TINY)

    @property
    def grammar_means(self) -> FloatArray:
        """Falling curve of each grammar: the one nearest to its runs, geometric mean over them; (grammars, sizes).

        A run that stopped keeps its last value, as more data do not take it back.
        """
        means: FloatArray = np.exp(mean_by(self.grammars, np.log(falling(self.positive_loss))))
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

    def seen(self, P: float | None = None) -> float:
        """Return the chance that a test sentence is among ``P`` drawn ones, at most; by default the largest P.

        For equally likely sentences it is ``1 - exp(-P / N)`` with N the number of sentences; in general it is less
        than that with ``1/N`` the probability that two drawn sentences are the same.
        """
        if P is None:
            P = float(self.P[~np.isnan(self.loss).all(axis=0)].max(initial=0.0))
        return -expm1(-P * _same_sentence(self.rhm))


def law_name(law: str | Law) -> str:
    """Return the name of a law, given by name or as itself."""
    return law if isinstance(law, str) else str(getattr(law, "name", law))


def mean_by(names: Sequence[str], values: FloatArray) -> FloatArray:
    """Return the mean over the rows of each name, in the order in which names come first."""
    order = list(dict.fromkeys(names))
    if len(order) == len(names):
        return values
    of_row = np.array([order.index(name) for name in names])
    return np.array([values[of_row == i].mean(axis=0) for i in range(len(order))])


def _same_sentence(rhm: RHM) -> float:
    """Probability that two drawn sentences are the same."""
    try:
        bits = sum(rhm.width(k) * log(rhm.m_eff(k)) for k in range(1, rhm.L + 1))
    except InputError:  # probabilities that differ from symbol to symbol: as if all sentences were equally likely
        return 1.0 / rhm.n_sentences
    return exp(-bits) / rhm.n_symbols(rhm.L)
