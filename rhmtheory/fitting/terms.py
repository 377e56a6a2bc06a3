"""Two terms of one sum, ``y = E + x tau`` with both at least zero, told apart by relative errors of y."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, inf, log, nan, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import fdtrc, fdtri

from rhmtheory.fitting.intervals import CONFIDENCE, LEAST, Estimate, t_estimate
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray, as_floats

NOMINAL_ERROR = 0.1
"""Relative error of one y where the fit leaves no freedom to measure it: runs of one network scatter so."""

MOST_ZEROS = 0.25
"""Share of units whose likelihood interval may hold a term of zero; with more, that term is an upper bound."""

_STEP = 0.02
_LOGITS = np.arange(-12.0, 12.0, _STEP)
# the share of the first term at the middle x, from none to all
_SHARES: FloatArray = np.concatenate([[0.0], 1 / (1 + np.exp(-_LOGITS)), [1.0]])


@dataclass(frozen=True, eq=False)
class TwoTerms:
    """Fits of ``ln y = ln(E_g + x tau_g)`` over units g, with one relative error of y for all.

    The share ``q = E / (E + x0 tau)`` at the geometric mean x0 of all x is the one parameter that is not linear.
    All sums of squares are kept as functions of q. The mean over units has one q for all and a scale for each: it
    is the fit to the mean curve, whose noise is that of the mean, corrected for the spread of q to second order.

    Attributes
    ----------
    units : tuple of str
        Names, in the order of the rows.
    x : array, shape (points,)
        Positive, at least two.
    ln_y : array, shape (units, points)
        Mean over repeats; NaN where there is none.
    repeats : array, shape (units, points)
        How many values each mean is of: its weight.
    scatter, freedom : float
        Sum of squares of the repeats about their means, and its degrees of freedom.
    """

    units: tuple[str, ...]
    x: FloatArray
    ln_y: FloatArray
    repeats: FloatArray
    scatter: float = 0.0
    freedom: float = 0.0

    def __post_init__(self) -> None:
        known = (self.repeats > 0).sum(axis=1)
        if len(self.x) < 2 or (known < 2).any():
            raise InputError("x", self.x, "has one value for some unit", "give two at least: the terms look alike")

    @cached_property
    def middle(self) -> float:
        """Geometric mean of x."""
        return float(np.exp(np.log(self.x).mean()))

    @cached_property
    def _own(self) -> FloatArray:
        """Sum of squares of each unit at every share, (units, shares)."""
        return self._squares(_SHARES, 0.0)[0]

    @cached_property
    def _shared(self) -> FloatArray:
        """The same where the share is that of the mean over units that differ."""
        return self._squares(_SHARES, self.spread)[0]

    @cached_property
    def spread(self) -> float:
        """Variance of ``ln(E / tau)`` over units: what one share for all leaves, beyond the error of y."""
        n, total = len(self.ln_y), self._own.sum(axis=0)
        wide = 25  # points of the table: half a logit
        i = int(np.clip(total.argmin(), 1 + wide, len(_LOGITS) - wide))
        bend = (total[i - wide] - 2 * total[i] + total[i + wide]) / 2 / (wide * _STEP) ** 2
        if n < 2 or bend <= 0:
            return 0.0
        left = total.min() - self._own.min(axis=1).sum() - (n - 1) * self.error[0] ** 2
        return min(max(0.0, float(left / bend * n / (n - 1))), 1.0)

    def _form(self, shares: FloatArray, spread: float) -> FloatArray:
        """Mean of ``ln y`` at each x over units of this share at the middle, to second order in their spread."""
        first, second = shares, (1 - shares) * self.x[:, None] / self.middle
        return np.asarray(np.log(first + second) + 0.5 * spread * first * second / (first + second) ** 2)

    def _squares(self, shares: FloatArray, spread: float) -> tuple[FloatArray, FloatArray]:
        form = self._form(shares, spread)  # (points, shares)
        weight = np.where(np.isnan(self.ln_y), 0, self.repeats)[:, :, None]
        off = np.nan_to_num(self.ln_y)[:, :, None] - form
        scale = (weight * off).sum(axis=1) / weight.sum(axis=1)
        return (weight * (off - scale[:, None]) ** 2).sum(axis=1), scale

    def _best(self, squares: FloatArray) -> float:
        """Share of the least sum of squares, between the points of the table too."""
        i = int(squares.argmin())
        if i in (0, len(squares) - 1):
            return float(_SHARES[i])
        if 1 < i < len(squares) - 2:
            a, b, c = squares[i - 1 : i + 2]
            bend = a - 2 * b + c
            shift = 0.5 * (a - c) / bend if bend > 0 else 0.0
            return 1 / (1 + exp(-(_LOGITS[i - 1] + _STEP * shift)))
        return float(_SHARES[i])

    def _terms(self, share: float, units: npt.NDArray[np.int64], spread: float) -> tuple[float, float]:
        """``ln E`` and ``ln tau``, mean over units, at one share; minus infinity for a term that is zero."""
        scale = float(self._squares(np.array([share]), spread)[1][units, 0].mean())
        first = scale + log(share) if share > 0 else -inf
        return first, scale + log((1 - share) / self.middle) if share < 1 else -inf

    def of_units(self) -> tuple[FloatArray, FloatArray]:
        """E and tau of each unit, fitted by itself."""
        rows = range(len(self.ln_y))
        found = [self._terms(self._best(self._own[g]), np.array([g]), 0.0) for g in rows]
        return np.exp([E for E, _ in found]), np.exp([tau for _, tau in found])

    def mean_terms(self, units: npt.ArrayLike | None = None) -> tuple[float, float]:
        """``ln E`` and ``ln tau`` of the mean over all units, or over these.

        Parameters
        ----------
        units : array of int, optional
        """
        chosen = np.arange(len(self.ln_y)) if units is None else np.asarray(units)
        return self._terms(self._best(self._shared[chosen].sum(axis=0)), chosen, self.spread)

    @cached_property
    def pseudo_terms(self) -> FloatArray:
        """Jackknife pseudo-values of ``ln E`` and ``ln tau`` over units, shape (units, 2)."""
        n = len(self.ln_y)
        everyone = np.arange(n)
        whole = np.array(self.mean_terms())
        if n < 2:
            return whole[None]
        with np.errstate(invalid="ignore"):
            rest = np.array([self.mean_terms(np.delete(everyone, g)) for g in everyone])
            return np.asarray(n * whole - (n - 1) * rest)

    @cached_property
    def lack(self) -> tuple[float, float]:
        """Sum of squares of the means about the fits, and its degrees of freedom."""
        return float(self._own.min(axis=1).sum()), float((self.repeats > 0).sum() - 2 * len(self.ln_y))

    @cached_property
    def error(self) -> tuple[float, float]:
        """Relative error of one y, and its degrees of freedom: of all, or of the means where these scatter more."""
        lack, free = self.lack
        if free + self.freedom == 0:
            return NOMINAL_ERROR, inf
        pooled = (lack + self.scatter) / (free + self.freedom), free + self.freedom
        square, freedom = max(pooled, (lack / free, free)) if free > 0 else pooled
        return max(sqrt(square), 1e-9), freedom

    @cached_property
    def chi_square(self) -> tuple[float, float, float]:
        """Sum of squares about the fits over the variance of repeats, freedom, and probability of a larger one.

        NaN where there are no repeats: then the scatter about the fits is all that is known of the error.
        """
        lack, free = self.lack
        if free == 0 or self.freedom == 0 or self.scatter == 0:
            return nan, free, nan
        square = lack * self.freedom / self.scatter
        return square, free, float(fdtrc(free, self.freedom, square / free))

    def _allowed(self, squares: FloatArray, confidence: float) -> npt.NDArray[np.bool_]:
        """Shares inside the likelihood interval of a sum of squares, (..., shares)."""
        error, freedom = self.error
        limit = fdtri(1, min(freedom, 1e6), confidence) * error**2
        return np.asarray(squares <= squares.min(axis=-1, keepdims=True) + limit)

    @cached_property
    def may_be_zero(self) -> npt.NDArray[np.bool_]:
        """Whether E = 0, and tau = 0, lie inside the likelihood interval of each unit: shape (units, 2)."""
        inside = self._allowed(self._own, CONFIDENCE)
        return inside[:, [0, -1]]

    @property
    def first(self) -> Estimate:
        """E, geometric mean over units; an upper bound where more than a quarter of them may have none."""
        return self._bounded(0)

    @property
    def second(self) -> Estimate:
        """Tau, geometric mean over units; an upper bound where more than a quarter of them may have none."""
        return self._bounded(1)

    @property
    def ratio(self) -> Estimate:
        """``E / tau``, the x at which both terms are equal; a bound where one of them is."""
        found, first, second = self.estimate((1, -1)), self.first, self.second
        if first.at_most and second.at_most:
            return replace(found, best=nan, low=nan, high=nan)
        if first.at_most:
            highest = self._ends((1, -1), 2 * CONFIDENCE - 1)[1]
            return replace(found, best=highest, low=0.0, high=highest, at_most=True)
        if second.at_most:
            lowest = self._ends((1, -1), 2 * CONFIDENCE - 1)[0]
            return replace(found, best=lowest, low=lowest, high=inf, at_least=True)
        return found

    def _bounded(self, term: int) -> Estimate:
        combine = (1, 0) if term == 0 else (0, 1)
        found = self.estimate(combine)
        if self.may_be_zero[:, term].mean() <= MOST_ZEROS:
            return found
        highest = max(self._ends(combine, 2 * CONFIDENCE - 1)[1], found.high if np.isfinite(found.high) else 0.0)
        return replace(found, best=highest, low=0.0, high=highest, at_most=True)

    def estimate(self, combine: tuple[float, float]) -> Estimate:
        """Estimate ``exp(a ln E + b ln tau)`` with its interval over units, Student's on jackknife pseudo-values.

        Fewer than `LEAST` units have the interval of the pooled likelihood, which says nothing of other units.

        Parameters
        ----------
        combine : tuple of float
            a and b.
        """
        n, best = len(self.ln_y), _combined(combine, self.mean_terms())
        values = np.array([_combined(combine, (row[0], row[1])) for row in self.pseudo_terms])
        if n < LEAST:
            return Estimate(_exp(best), *self._ends(combine, CONFIDENCE), CONFIDENCE, n, kind="likelihood")
        if not np.isfinite([best, *values]).all():
            return Estimate(_exp(best), nan, nan, CONFIDENCE, n, kind="jackknife")
        return replace(t_estimate([values], best=best).exp(), kind="jackknife")

    def _ends(self, combine: tuple[float, float], confidence: float) -> tuple[float, float]:
        """Ends of the interval of the pooled likelihood."""
        inside = np.flatnonzero(self._allowed(self._shared.sum(axis=0), confidence))
        everyone = np.arange(len(self.ln_y))
        terms = [self._terms(float(_SHARES[i]), everyone, self.spread) for i in (inside[0], inside[-1])]
        low, high = sorted(_exp(_combined(combine, one)) for one in terms)
        return low, high

    def predicted(self, x: float) -> FloatArray:
        """``ln y`` of each unit at x, with the share of the mean over units.

        Parameters
        ----------
        x : float
        """
        share = self._best(self._shared.sum(axis=0))
        scale = self._squares(np.array([share]), self.spread)[1][:, 0]
        return scale + log(share + (1 - share) * x / self.middle)


def _combined(combine: tuple[float, float], terms: tuple[float, float]) -> float:
    """``a ln E + b ln tau``, where a factor of zero ends a term that has no logarithm."""
    return sum(factor * term for factor, term in zip(combine, terms, strict=True) if factor)


def _exp(x: float) -> float:
    return float(np.exp(x))


def two_terms(x: npt.ArrayLike, y: npt.ArrayLike, units: npt.ArrayLike) -> TwoTerms:
    """Fit ``y = E + x tau`` in each unit, by relative errors.

    Parameters
    ----------
    x : array, shape (values,)
        Positive.
    y : array, shape (values,)
        Positive; NaN values are left out.
    units : array, shape (values,)
        Names of what has its own E and tau; values of one unit at one x are repeats. Units with one x alone are
        left out.

    Returns
    -------
    TwoTerms

    Raises
    ------
    InputError
        Where no unit has two values of x.
    """
    x, y, names = as_floats(x), as_floats(y), np.asarray(units)
    known = ~np.isnan(y)
    x, ln_y, names = x[known], np.log(y[known]), names[known]
    points, at = np.unique(x, return_inverse=True)
    order, of = np.unique(names, return_inverse=True)
    repeats, total, square = (np.zeros((len(order), len(points))) for _ in range(3))
    np.add.at(repeats, (of, at), 1)
    np.add.at(total, (of, at), ln_y)
    mean = np.divide(total, repeats, out=np.full_like(total, np.nan), where=repeats > 0)
    np.add.at(square, (of, at), (ln_y - mean[of, at]) ** 2)
    enough = (repeats > 0).sum(axis=1) >= 2
    if not enough.any():
        raise InputError("x", points, "has fewer than two values in every unit", "measure at two at least")
    repeats, mean, square = repeats[enough], mean[enough], square[enough]
    some = (repeats > 0).any(axis=0)
    free = float((repeats - 1)[repeats > 1].sum())
    kept = tuple(str(name) for name in order[enough])
    return TwoTerms(kept, points[some], mean[:, some], repeats[:, some], float(square.sum()), free)
