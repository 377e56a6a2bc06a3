"""Fitted curves: power laws, plain and broken, how well curves collapse, and whether a curve comes in steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.special import expit

from rhmtheory.fitting.intervals import SlopeFit, bootstrap, resamples
from rhmtheory.fitting.slopes import slope
from rhmtheory.support.checks import as_generator, as_int, as_pair
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray, as_floats

_DECISIVE = 6.0
"""Difference of AICc that decides: the worse model is twenty times less likely."""


@dataclass(frozen=True)
class PowerLawFit:
    """The curve ``y = amplitude * x**-exponent + offset``. Made by `power_law`.

    Attributes
    ----------
    exponent : SlopeFit
        Best value and bootstrap interval over realisations.
    amplitude, offset : float
    residual : float
        Root mean square of ``ln y - ln fit``: 0.05 means points within five percent.
    points : int
        Points fitted.
    """

    exponent: SlopeFit
    amplitude: float
    offset: float
    residual: float
    points: int

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """The fitted curve."""
        return self.amplitude * as_floats(x) ** -self.exponent.best + self.offset

    def __str__(self) -> str:
        offset = f" + {self.offset:.3g}" if self.offset else ""
        return (
            f"y = {self.amplitude:.3g} x**-alpha{offset}, alpha = {self.exponent}; "
            f"residual {self.residual:.1%} over {self.points} points"
        )


def power_law(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    offset: float | str = 0.0,
    window: tuple[float, float] = (0.0, np.inf),
    confidence: float = 0.9,
    seed: int | np.random.Generator = 0,
    count: int = 500,
) -> PowerLawFit:
    """Fit ``y = A x**-alpha + offset`` by least squares in ln y.

    Parameters
    ----------
    x : array, shape (points,)
        Positive, increasing.
    y : array, shape (points,) or (realisations, points)
        Positive. The mean over realisations is fitted; for the interval, realisations are drawn anew.
    offset : float or "fit"
        Known limit of y (the floor of a loss), or "fit": a third parameter between zero and the smallest y.
    window : pair of floats
        Points with ``window[0] <= x <= window[1]`` are used.
    confidence, seed, count
        Of the bootstrap interval: its mass, its seed, its number of draws.

    Raises
    ------
    InputError
        With fewer points in the window than three (four with a fitted offset), or values at or below the
        offset; for a confidence outside 0..1, a window that is no pair, and fewer than one draw.

    Examples
    --------
    >>> x = np.array([1, 2, 4, 8.0])
    >>> fit = power_law(x, 3 / np.sqrt(x) + 1, offset="fit")
    >>> round(fit.exponent.best, 4), round(fit.offset, 4)
    (0.5, 1.0)
    """
    X, Y = _curves(x, y, window, least=4 if offset == "fit" else 3)
    if isinstance(offset, str) and offset != "fit":
        raise InputError(f'offset={offset!r} is no number: give one, or "fit"')
    if not isinstance(offset, str) and not (Y.mean(axis=0) > offset).all():
        raise InputError(
            f"y comes down to {Y.mean(axis=0).min():.6g}, and offset={offset} leaves no positive excess: lower the "
            "offset, or end the window earlier"
        )
    A, alpha, c = _power_law(X, Y.mean(axis=0), offset)
    draws = [_power_law(X, mean, offset)[1] for mean in _resampled_means(Y, seed, count)]
    fit = bootstrap(draws, alpha, confidence, len(Y))
    residual = np.log(Y.mean(axis=0) / (A * X**-alpha + c))
    return PowerLawFit(fit, A, c, float(np.sqrt(np.mean(residual**2))), len(X))


def _power_law(x: FloatArray, y: FloatArray, offset: float | str) -> tuple[float, float, float]:
    """Amplitude, exponent and offset; NaN where a resampled mean comes down to a given offset."""
    ln_x = np.log(x)
    if not isinstance(offset, str):
        if not (y > offset).all():
            return float("nan"), float("nan"), float(offset)
        ln_y = np.log(y - offset)
        alpha = -slope(ln_x, ln_y)
        return float(np.exp(ln_y.mean() + alpha * ln_x.mean())), alpha, float(offset)

    def misfit(parameters: FloatArray) -> FloatArray:
        ln_A, alpha, part = parameters
        return np.asarray(np.logaddexp(ln_A - alpha * ln_x, np.log(y.min()) + np.log(part)) - np.log(y))

    best = None
    for part in (0.05, 0.5, 0.9):  # the misfit has a valley along large offset and large exponent
        A, alpha, _ = _power_law(x, y, part * y.min())
        start = [np.log(A), np.clip(alpha, -49, 49), part]
        found = least_squares(misfit, start, bounds=([-np.inf, -50, 1e-12], [np.inf, 50, 1]), x_scale=[1, 1, 0.1])
        best = found if best is None or found.cost < best.cost else best
    assert best is not None
    ln_A, alpha, part = best.x
    return float(np.exp(ln_A)), float(alpha), float(part * y.min())


@dataclass(frozen=True)
class BrokenPowerLawFit:
    """Two power laws that meet, ``x**-before`` and ``x**-after``. Made by `broken_power_law`.

    Attributes
    ----------
    before, after : SlopeFit
        Exponents on either side, with bootstrap intervals over realisations.
    break_at : SlopeFit
        The x where they meet, likewise.
    value : float
        y at the break.
    residual : float
        Root mean square of ``ln y - ln fit``.
    """

    before: SlopeFit
    after: SlopeFit
    break_at: SlopeFit
    value: float
    residual: float

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """The fitted curve."""
        u = np.log(as_floats(x) / self.break_at.best)
        return np.asarray(self.value * np.exp(np.where(u < 0, -self.before.best * u, -self.after.best * u)))

    def __str__(self) -> str:
        return (
            f"exponent {self.before} up to x = {self.break_at}, {self.after} beyond; residual {self.residual:.1%}"
        )


def broken_power_law(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    confidence: float = 0.9,
    seed: int | np.random.Generator = 0,
    count: int = 200,
) -> BrokenPowerLawFit:
    """Fit two power laws that meet, by least squares in ln y, the break anywhere between inner points.

    Parameters
    ----------
    x, y
        As in `power_law`; at least five points.
    confidence, seed, count
        Of the bootstrap intervals, as in `power_law`.

    Raises
    ------
    InputError
        With fewer than five points, and as `power_law`.
    """
    X, Y = _curves(x, y, (0.0, np.inf), least=5)
    best = _broken(X, Y.mean(axis=0))
    draws = [_broken(X, mean) for mean in _resampled_means(Y, seed, count)]
    fits = [bootstrap([draw[i] for draw in draws], best[i], confidence, len(Y)) for i in range(3)]
    return BrokenPowerLawFit(fits[0], fits[1], fits[2], best[3], best[4])


def _broken(x: FloatArray, y: FloatArray) -> tuple[float, float, float, float, float]:
    """Exponents before and after the break, its place and height, and the residual."""
    ln_x, ln_y = np.log(x), np.log(y)
    best = (np.inf, np.zeros(3), 0.0)
    for at in np.linspace(ln_x[1], ln_x[-2], 200):
        u = ln_x - at
        design = np.stack([np.ones_like(u), np.minimum(u, 0), np.maximum(u, 0)], axis=1)
        solution = np.linalg.lstsq(design, ln_y, rcond=None)[0]
        cost = float(((design @ solution - ln_y) ** 2).mean())
        if cost < best[0]:
            best = (cost, solution, at)
    cost, (height, before, after), at = best
    return -float(before), -float(after), float(np.exp(at)), float(np.exp(height)), float(np.sqrt(cost))


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
        raise InputError(f"{len(curves)} curve has nothing to fall onto: give at least 2")
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
        raise InputError("the curves share no range of x, or are flat: rescale them so that they overlap")
    return float(((compared - means) ** 2).mean() / compared.var())


@dataclass(frozen=True)
class ModelComparison:
    """Whether a curve comes down in steps or as a power law. Made by `compare_models`.

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


def compare_models(x: npt.ArrayLike, y: npt.ArrayLike, plateaus: npt.ArrayLike) -> ModelComparison:
    """Compare a staircase between known plateaus with a power law above the last of them.

    The staircase is ``ln y = ln H_0 + sum_k ln(H_(k+1)/H_k) S((ln x - ln P_k)/width)`` with S the logistic
    function; its parameters are the L positions and the common width. The power law has amplitude, exponent
    and an offset of at most the smallest y.

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
        raise InputError(f"plateaus {H.tolist()} must be two or more positive, falling numbers")
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
    fit = power_law(X, Y, offset="fit", count=1)
    return ModelComparison(
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
            f"x has shape {X.shape} and y {as_floats(y).shape}: give (points,), and as many for each realisation"
        )
    if not (np.isfinite(X).all() and (X > 0).all() and (np.diff(X) > 0).all()):
        raise InputError("x must be positive, finite and increasing: sort the points and drop repeated ones")
    if not (np.isfinite(Y).all() and (Y > 0).all()):
        raise InputError("y holds values that have no logarithm: all must be positive and finite")
    low, high = as_pair("window", window, "numbers such as (1, 100)")
    inside = np.array([low <= point <= high for point in X])
    if inside.sum() < least:
        raise InputError(f"{inside.sum()} points in the window {window} are too few: this fit needs {least}")
    return X[inside], Y[:, inside]


def _resampled_means(Y: FloatArray, seed: int | np.random.Generator, count: int) -> list[FloatArray]:
    """Means over bootstrap draws of realisations; none for a single realisation."""
    seed, count = as_generator(seed), as_int("count", count, low=1)
    if len(Y) == 1:
        return []
    return [Y[draw].mean(axis=0) for draw in resamples(len(Y), seed, count)]
