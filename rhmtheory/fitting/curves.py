"""Fitted curves: power laws, the quality of a collapse, and steps against a power law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.special import expit

from rhmtheory.fitting._offsets import with_offset
from rhmtheory.fitting.intervals import CONFIDENCE, Estimate, t_estimate
from rhmtheory.support.checks import as_confidence, as_pair
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray, as_floats
from rhmtheory.support.values import ByValue

_DECISIVE = 6.0
"""Difference of AICc that decides: the worse model is twenty times less likely."""


@dataclass(frozen=True, eq=False)
class PowerLawFit(ByValue):
    """The curve ``y = amplitude * x**-exponent + offset``. Made by `power_law`.

    Attributes
    ----------
    exponent : Estimate
        Best value, and the jackknife interval over realisations.
    amplitude, offset : float
    residual : float
        Root mean square of ``ln y - ln fit``: 0.05 means points within five percent.
    points : int
        Points fitted.
    """

    exponent: Estimate
    amplitude: float
    offset: float
    residual: float
    points: int

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """Return the fitted curve at ``x``."""
        return self.amplitude * as_floats(x) ** -self.exponent.best + self.offset

    def __str__(self) -> str:
        offset = f" + {self.offset:.3g}" if self.offset else ""
        return (
            f"y = {self.amplitude:.3g} x**-alpha{offset}, alpha = {self.exponent} ({self.exponent.origin}); "
            f"residual {self.residual:.1%} over {self.points} points"
        )


def power_law(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    offset: float | str = 0.0,
    window: tuple[float, float] = (0.0, np.inf),
    confidence: float = CONFIDENCE,
) -> PowerLawFit:
    """Fit ``y = A x**-alpha + offset`` by least squares in ln y.

    The interval of alpha is Student's on jackknife pseudo-values over realisations. It holds what it says from
    three realisations on, where a bootstrap does not.

    Parameters
    ----------
    x : array, shape (points,)
        Positive, increasing.
    y : array, shape (points,) or (realisations, points)
        Positive. The mean over realisations is fitted.
    offset : float or "fit"
        Known limit of y (the floor of a loss), or "fit": a third parameter, zero or larger. Values that scatter
        about their limit may lie below it.
    window : pair of floats
        Points with ``window[0] <= x <= window[1]`` are used.
    confidence : float
        Share of intervals that hold the truth.

    Raises
    ------
    InputError
        With fewer points in the window than three (four with a fitted offset), or values at or below the given
        offset; for a confidence outside 0..1, and a window that is no pair.

    Examples
    --------
    >>> x = np.array([1, 2, 4, 8.0])
    >>> fit = power_law(x, 3 / np.sqrt(x) + 1, offset="fit")
    >>> round(fit.exponent.best, 4), round(fit.offset, 4)
    (0.5, 1.0)
    """
    confidence = as_confidence(confidence)
    X, Y = _curves(x, y, window, least=4 if offset == "fit" else 3)
    if isinstance(offset, str) and offset != "fit":
        raise InputError("offset", offset, "is no number", 'give one, or "fit"')
    mean = Y.mean(axis=0)
    if not isinstance(offset, str) and not (mean > offset).all():
        raise InputError(
            "y", rule=f"comes down to {mean.min():.6g}, and `offset`={offset} leaves no positive excess",
            way_out="lower the offset, or end the window earlier",
        )  # fmt: skip
    n = len(Y)
    left_out = (n * mean - Y) / (n - 1) if n > 1 else Y[:0]
    A, alpha, c = _power_laws(X, np.concatenate([mean[None], left_out]), offset)
    pseudo = n * alpha[0] - (n - 1) * alpha[1:] if n > 1 else alpha
    found = t_estimate([pseudo], unit="realisations", best=float(alpha[0]), confidence=confidence)
    residual = np.log(mean / (A[0] * X ** -alpha[0] + c[0]))
    return PowerLawFit(found, float(A[0]), float(c[0]), float(np.sqrt(np.mean(residual**2))), len(X))


def _power_laws(x: FloatArray, y: FloatArray, offset: float | str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Amplitude, exponent and offset of each row of y; NaN where a row comes down to a given offset."""
    if isinstance(offset, str):
        return with_offset(x, y)
    ln_x, above = np.log(x), y - offset
    ln_y = np.log(np.where((above > 0).all(axis=1, keepdims=True), above, np.nan))
    u = ln_x - ln_x.mean()
    alpha = -(ln_y @ u) / (u @ u)
    return np.exp(ln_y.mean(axis=1) + alpha * ln_x.mean()), alpha, np.full(len(y), float(offset))


def collapse_quality(curves: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> float:
    """How well curves fall onto one, as a number: 0 for a perfect collapse, about 1 for none.

    Each point is compared with the other curves that reach its x, interpolated in (ln x, ln y): the mean
    square of the difference to their mean, over the variance of all ln y compared. Rescale the curves
    first; the quality of two rescalings may be compared on the same points. (A measure of this kind is
    discussed by Houdayer and Hartmann, Phys. Rev. B 70, 014418.)

    Parameters
    ----------
    curves : sequence of (x, y)
        At least two, each of positive values with x increasing.

    Raises
    ------
    InputError
        For fewer than two curves, or curves without common x.

    Examples
    --------
    >>> x = np.array([1, 2, 4, 8.0])
    >>> collapse_quality([(x, 1 / x), (2 * x, 1 / (2 * x))]) < 1e-20
    True
    """
    if len(curves) < 2:
        raise InputError("curves", rule=f"are {len(curves)}, with nothing to fall onto", way_out="give at least 2")
    logs = []
    for x, y in curves:
        X, Y = _curves(x, y, (0.0, np.inf), least=1)
        logs.append((np.log(X), np.log(Y.mean(axis=0))))
    here, there = [], []
    for i, (u, w) in enumerate(logs):
        others = np.array(
            [np.interp(u, a, b, left=np.nan, right=np.nan) for j, (a, b) in enumerate(logs) if j != i]
        )
        shared = ~np.isnan(others).all(axis=0)
        here.append(w[shared])
        there.append(np.nanmean(others[:, shared], axis=0))
    compared, means = np.concatenate(here), np.concatenate(there)
    if len(compared) < 2 or compared.var() == 0:
        raise InputError(
            "curves", rule="share no range of x, or are flat", way_out="rescale them so that they overlap"
        )
    return float(((compared - means) ** 2).mean() / compared.var())


@dataclass(frozen=True, eq=False)
class StepsOrPowerLaw(ByValue):
    """Whether a curve comes down in steps or as a power law. Made by `steps_or_power_law`.

    Attributes
    ----------
    steps, power_law : float
        Akaike's criterion with the correction for few points, ``n ln(RSS/n) + 2p + 2p(p+1)/(n-p-1)``, of either
        model, with RSS the sum of squares of ln y. Lower is better.
    positions : tuple of floats
        Fitted step positions ``P_k``.
    width : float
        Width of a step in ln x.
    fit : PowerLawFit
        The power law.
    """

    steps: float
    power_law: float
    positions: tuple[float, ...]
    width: float
    fit: PowerLawFit

    @property
    def preferred(self) -> str:
        """``"steps"``, ``"power law"``, or ``"undecided"`` where the criteria differ by less than 6."""
        if abs(self.steps - self.power_law) < _DECISIVE:
            return "undecided"
        return "steps" if self.steps < self.power_law else "power law"

    def __str__(self) -> str:
        return (
            f"{self.preferred}: AICc {self.steps:.1f} (steps at {', '.join(f'{P:.3g}' for P in self.positions)}) "
            f"against {self.power_law:.1f} (power law, exponent {self.fit.exponent.best:.3g})"
        )


def steps_or_power_law(x: npt.ArrayLike, y: npt.ArrayLike, plateaus: npt.ArrayLike) -> StepsOrPowerLaw:
    """Compare a staircase between known plateaus with a power law above the last of them.

    The staircase is ``ln y = ln H_0 + sum_k ln(H_(k+1)/H_k) S((ln x - ln P_k)/width)`` with S the logistic
    function; its parameters are the L positions and the common width. The power law has amplitude, exponent
    and offset.

    Parameters
    ----------
    x : array, shape (points,)
    y : array, shape (points,) or (realisations, points)
        The mean over realisations is compared.
    plateaus : array, shape (L + 1,)
        Positive, falling.

    Raises
    ------
    InputError
        With fewer than L + 4 points, too few to tell parameters from points; for plateaus that do not fall.
    """
    H = as_floats(plateaus)
    if H.ndim != 1 or len(H) < 2 or not (H > 0).all() or not (np.diff(H) < 0).all():
        raise InputError("plateaus", H.tolist(), "must be two or more positive, falling numbers")
    L = len(H) - 1
    X, Y = _curves(x, y, (0.0, np.inf), least=max(L + 4, 6))
    u, w, drops = np.log(X), np.log(Y.mean(axis=0)), np.diff(np.log(H))

    def misfit(parameters: FloatArray) -> FloatArray:
        at, width = parameters[:L], np.exp(parameters[L])
        return np.asarray(np.log(H[0]) + expit((u[:, None] - at) / width) @ drops - w)

    # start where the curve crosses the middle of each step
    falling = np.minimum.accumulate(w)[::-1]
    middles = np.interp(np.log(H[:-1]) + drops / 2, falling, u[::-1])
    costs = []
    for width in (0.1, 0.5, 2.0):
        found = least_squares(misfit, [*middles, np.log(width)], x_scale=1.0)
        costs.append((float(found.cost), found.x))
    cost, best = min(costs, key=lambda pair: pair[0])
    fit = power_law(X, Y, offset="fit")
    return StepsOrPowerLaw(
        steps=_aicc(2 * cost, len(X), L + 1),
        power_law=_aicc(len(X) * fit.residual**2, len(X), 3),
        positions=tuple(np.exp(np.sort(best[:L])).tolist()),
        width=float(np.exp(best[L])),
        fit=fit,
    )


def _aicc(square: float, n: int, p: int) -> float:
    p += 1  # the variance is fitted, too
    # a perfect fit has no finite criterion; rounding sets its scale
    return float(n * np.log(max(square, 1e-24) / n) + 2 * p + 2 * p * (p + 1) / max(n - p - 1, 1))


def _curves(
    x: npt.ArrayLike, y: npt.ArrayLike, window: tuple[float, float], least: int
) -> tuple[FloatArray, FloatArray]:
    """Check points and realisations: x (points,) and y (realisations, points), within the window."""
    X, Y = as_floats(x), np.atleast_2d(as_floats(y))
    if X.ndim != 1 or Y.ndim != 2 or Y.shape[1] != len(X):
        raise InputError(
            "x", rule=f"has shape {X.shape} and y {as_floats(y).shape}",
            way_out="give (points,), and as many for each realisation",
        )  # fmt: skip
    if not (np.isfinite(X).all() and (X > 0).all() and (np.diff(X) > 0).all()):
        raise InputError(
            "x", rule="must be positive, finite and increasing", way_out="sort the points and drop repeated ones"
        )
    if not (np.isfinite(Y).all() and (Y > 0).all()):
        raise InputError("y", rule="holds values that have no logarithm", way_out="all must be positive and finite")
    low, high = as_pair("window", window, "numbers such as (1, 100)")
    inside = np.array([low <= point <= high for point in X])
    if inside.sum() < least:
        found = f"{inside.sum()} points in the window {window}"
        raise InputError(found, rule="are too few", way_out=f"this fit needs {least}")
    return X[inside], Y[:, inside]
