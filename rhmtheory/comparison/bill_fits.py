"""The bill of every step of one network: samples, updates, and what they say of a law."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isnan, log, nan, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.comparison._units import predicted_steps
from rhmtheory.comparison.bill_runs import Run
from rhmtheory.exact.lookup import beyond_lookup, lookup_thresholds
from rhmtheory.fitting.intervals import LEAST, Estimate, no_estimate, t_estimate
from rhmtheory.fitting.terms import TwoTerms, two_terms
from rhmtheory.language.rhm import RHM
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue

HEIGHTS = (0.25, 0.5, 0.75)
"""Heights of the crossing between plateaus, ``H_k^(1-h) H_(k+1)^h``; one half is the one reported."""
NOISE_FLOOR = 0.8
"""The smallest B / eta is left out where the fit without it predicts less than this part of what is measured."""
LAWS = {"shared": "cnn", "unshared": "transformer"}
"""Laws of samples that E_k is held against, and the architectures that have them."""
_LEAST_POINTS = 4


@dataclass(frozen=True, eq=False)
class StepBill(ByValue):
    """The bill of one step of one network.

    Attributes
    ----------
    k : int
        The step.
    E : Estimate, samples
        Geometric mean over grammars; ``at_most`` where more than a quarter of the grammars may have none.
    tau : Estimate
        Updates times rate. For AdamW updates ``S_k`` at the rate of the series.
    balance : Estimate
        ``E / tau``: the B / eta at which both terms are equal.
    fit : TwoTerms
        Fits of single grammars, their errors, chi-square.
    heights : dict of float to tuple of float
        E and tau with the crossing at other heights between the plateaus.
    left_out : float
        The smallest B / eta where it is left out as noise floor; else NaN.
    with_all : tuple of float
        E and tau with it.
    """

    k: int
    E: Estimate
    tau: Estimate
    balance: Estimate
    fit: TwoTerms
    heights: dict[float, tuple[float, float]]
    left_out: float = nan
    with_all: tuple[float, float] = (nan, nan)

    @property
    def misfit(self) -> float:
        """Root mean square of ``ln P*`` about the fits, per degree of freedom; NaN without freedom."""
        square, freedom = self.fit.lack
        return sqrt(square / freedom) if freedom > 0 else nan

    def samples(self, x: float) -> float:
        """Return ``E + x tau`` at a value of B / eta, in samples.

        Parameters
        ----------
        x : float
        """
        E, tau = np.exp(self.fit.mean_terms())
        return float(E + x * tau)

    def updates_share(self, x: float) -> float:
        """Return the part of the samples at B / eta that the updates term makes.

        Parameters
        ----------
        x : float
        """
        return float(x * np.exp(self.fit.mean_terms()[1]) / self.samples(x))


@dataclass(frozen=True, eq=False)
class Bills(ByValue):
    """Both bills of every step of one network on one ensemble.

    Attributes
    ----------
    label : str
        The network; with AdamW also its rates.
    rhm : RHM
    optimiser : str
    x : array
        Values of B / eta; with AdamW the batch times the rate of the series over that of the run.
    steps : tuple of StepBill
        Steps that two values of x at least have made.
    lookup : array, shape (L,), samples
        Samples that the best look-up table needs, on one grammar of the ensemble.
    notes : tuple of str
    """

    label: str
    rhm: RHM
    optimiser: str
    x: FloatArray
    steps: tuple[StepBill, ...]
    lookup: FloatArray
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Network and ensemble."""
        return f"{self.label}, ({', '.join(str(x) for x in self.rhm.short_parameters().values())})"

    def step(self, k: int) -> StepBill | None:
        """Return the bill of step k, or None.

        Parameters
        ----------
        k : int
        """
        return next((one for one in self.steps if one.k == k), None)

    @property
    def E_factors(self) -> dict[int, Estimate]:
        """``E_(k+1) / E_k`` by k, over the grammars that both have."""
        return self.factors(0)

    @property
    def tau_factors(self) -> dict[int, Estimate]:
        """``tau_(k+1) / tau_k`` by k, over the grammars that both have."""
        return self.factors(1)

    def factors(self, term: int) -> dict[int, Estimate]:
        """Return the ratio of one term, E (0) or tau (1), between each step and the next.

        Parameters
        ----------
        term : int
        """
        return {
            one.k: step_factor(one, after, term)
            for one in self.steps
            if (after := self.step(one.k + 1)) is not None
        }

    def tests_a_law(self, k: int) -> bool:
        """Whether the look-up table needs three times the samples of step k, at the smallest B / eta.

        Parameters
        ----------
        k : int
        """
        one = self.step(k)
        return one is not None and bool(beyond_lookup([one.samples(self.x[0])], [self.lookup[k]])[0])

    def prefactors(self, law: str) -> dict[int, float]:
        """Return ``E_k`` over the finite-size threshold of a law, by k.

        Parameters
        ----------
        law : {"shared", "unshared"}
        """
        thresholds = predicted_steps(self.rhm, LAWS[law], "finite_size")
        return {one.k: one.E.best / thresholds[one.k] for one in self.steps}

    def per_entry(self, k: int) -> float:
        """Return ``C_k``, tau_k over ``v m^(k+1)``, the number of entries of the table of step k.

        Parameters
        ----------
        k : int
        """
        one, v = self.step(k), self.rhm.n_symbols(0)
        rules = np.prod([self.rhm.m_eff(level) for level in range(1, k + 2)])
        return nan if one is None else float(one.tau.best / (v * rules))


def bills_of(label: str, rhm: RHM, runs: list[Run], x: FloatArray) -> Bills:
    """Fit both terms of every step of one series.

    Parameters
    ----------
    label : str
    rhm : RHM
    runs : list of Run
    x : array, shape (runs,)
        Their values of B / eta.
    """
    names = np.array([run.grammar for run in runs])
    crossed = {height: np.array([run.crossings(height) for run in runs]) for height in HEIGHTS}
    steps, notes = [], []
    for k in range(rhm.L):
        P = {height: found[:, k] for height, found in crossed.items()}
        if (step := _step(k, x, P, names)) is None:
            notes.append(f"step {k} was made at fewer than two values of B / eta")
            continue
        steps.append(step)
        if not isnan(step.left_out):
            E, tau = step.with_all
            notes.append(
                f"step {k}: B / eta = {step.left_out:g} lies on the noise floor and is left out; "
                f"with it E = {E:.3g}, tau = {tau:.3g}"
            )
        if (ended := int(np.isnan(P[0.5]).sum())) > 0:
            notes.append(f"step {k}: {ended} of {len(runs)} runs did not make it, or began below it")
    if len(set(names)) < LEAST:
        notes.append(f"fewer than {LEAST} grammars: intervals are those of the fit, and say nothing of others")
    lookup = lookup_thresholds(rhm.grammar(seed=0), samples=2048)
    return Bills(label, rhm, runs[0].optimiser, np.unique(x), tuple(steps), lookup, tuple(notes))


def _step(k: int, x: FloatArray, P: dict[float, FloatArray], names: npt.NDArray[Any]) -> StepBill | None:
    fit = _fit(x, P[0.5], names)
    if fit is None:
        return None
    left_out, with_all, used = nan, (nan, nan), np.ones(len(x), bool)
    least = fit.x[0]
    if len(fit.x) >= _LEAST_POINTS and (rest := _fit(x, np.where(x > least, P[0.5], nan), names)) is not None:
        at_least = np.isin(names, rest.units) & (x == least) & ~np.isnan(P[0.5])
        predicted = dict(zip(rest.units, rest.predicted(least), strict=True))
        short = [predicted[str(names[i])] - log(P[0.5][i]) for i in np.flatnonzero(at_least)]
        if short and np.mean(short) < log(NOISE_FLOOR):
            left_out, with_all, used, fit = float(least), _plain_terms(fit), x > least, rest
    others = {h: _fit(x, np.where(used, P[h], nan), names) for h in HEIGHTS}
    heights = {h: (nan, nan) if other is None else _plain_terms(other) for h, other in others.items()}
    return StepBill(k, fit.first, fit.second, fit.ratio, fit, heights, left_out, with_all)


def _fit(x: FloatArray, P: FloatArray, names: npt.NDArray[Any]) -> TwoTerms | None:
    try:
        return two_terms(x, P, names)
    except InputError:
        return None


def _plain_terms(fit: TwoTerms) -> tuple[float, float]:
    E, tau = np.exp(fit.mean_terms())
    return float(E), float(tau)


def step_factor(one: StepBill, after: StepBill, term: int) -> Estimate:
    """Return one term of the second bill over that of the first; a bound where one of the two is.

    Parameters
    ----------
    one, after : StepBill
    term : int
        0 for E, 1 for tau.
    """
    a, b = (x.E if term == 0 else x.tau for x in (one, after))
    if a.at_most and b.at_most:
        return no_estimate(a.count)
    if a.at_most:
        low = (b.best if isnan(b.low) else b.low) / a.high
        return replace(a, best=low, low=low, high=inf, at_most=False, at_least=True)
    if b.at_most:
        high = b.high / (a.best if isnan(a.low) else a.low)
        return replace(a, best=high, low=0.0, high=high, at_most=True)
    values, best = pseudo_factors(one, after, term), b.best / a.best
    if len(values) < LEAST or not np.isfinite(values).all():
        return replace(a, best=best, low=nan, high=nan)
    return replace(t_estimate([values], best=log(best)).exp(), kind="jackknife")


def pseudo_factors(one: StepBill, after: StepBill, term: int) -> FloatArray:
    """Return pseudo-values of the logarithm of a factor, one per grammar that both steps have.

    Parameters
    ----------
    one, after : StepBill
    term : int
        0 for E, 1 for tau.
    """
    first, second = (dict(zip(x.fit.units, x.fit.pseudo_terms[:, term], strict=True)) for x in (one, after))
    return np.array([second[name] - first[name] for name in first if name in second])
