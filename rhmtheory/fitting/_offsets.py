"""Power laws above a free offset, fitted to many curves at once."""

from __future__ import annotations

import numpy as np

from rhmtheory.support.types import FloatArray

_STARTS = (0.05, 0.5, 0.9, 0.999)
"""Offsets, as parts of the smallest y, from which the search begins: the misfit has a valley along large offset and
large exponent."""
_MOST_STEPS = 500
_STEEPEST = 50.0


def with_offset(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return amplitude, exponent and offset of ``A x**-alpha + c`` by least squares in ln y, c >= 0.

    The offset may exceed single values of y, which scatter about the curve: a bound at the smallest y would bias
    the exponent.

    Parameters
    ----------
    x : array, shape (points,)
    y : array, shape (curves, points)

    Returns
    -------
    amplitude, exponent, offset : arrays, shape (curves,)
    """
    ln_x, ln_y = np.log(x), np.log(y)
    centre = ln_x.mean()
    u = ln_x - centre
    lowest = y.min(axis=1)
    found = [_search(u, ln_y, *_start(u, y, part * lowest)) for part in _STARTS]
    cost = np.array([one[0] for one in found])
    best = cost.argmin(axis=0)
    parameters = np.array([one[1] for one in found])[best, np.arange(len(y))]
    height, alpha = _line(u, ln_y)
    plain = ((height[:, None] - alpha[:, None] * u - ln_y) ** 2).sum(axis=1) <= cost.min(axis=0)
    a, alpha = np.where(plain, height, parameters[:, 0]), np.where(plain, alpha, parameters[:, 1])
    offset = np.where(plain, 0.0, np.exp(parameters[:, 2]))
    return np.exp(a + alpha * centre), alpha, offset


def _line(u: FloatArray, ln_y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Height at u = 0 and exponent of each row; u is centred."""
    return ln_y.mean(axis=1), np.asarray(-(ln_y @ u) / (u @ u))


def _start(u: FloatArray, y: FloatArray, offset: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    height, alpha = _line(u, np.log(y - offset[:, None]))
    return height, np.clip(alpha, -_STEEPEST, _STEEPEST), np.log(offset)


def _search(
    u: FloatArray, ln_y: FloatArray, a: FloatArray, alpha: FloatArray, q: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Levenberg and Marquardt's search in (ln A, alpha, ln c), all curves at once: costs and parameters."""
    theta, damping = np.stack([a, alpha, q], axis=1), np.full(len(a), 1e-3)
    cost = _cost(u, ln_y, theta)
    live = np.ones(len(a), bool)
    for _ in range(_MOST_STEPS):
        rows = np.flatnonzero(live)
        if not len(rows):
            break
        t = theta[rows]
        first = t[:, :1] - t[:, 1:2] * u
        f = np.logaddexp(first, t[:, 2:])
        part = np.exp(first - f)
        jacobian = np.stack([part, -u * part, 1 - part], axis=2)  # (curves, points, 3)
        normal = np.einsum("rpi,rpj->rij", jacobian, jacobian)
        gradient = np.einsum("rpi,rp->ri", jacobian, f - ln_y[rows])
        scale = np.einsum("rii->ri", normal) + 1e-12
        damped = normal + (damping[rows, None] * scale)[:, :, None] * np.eye(3)
        step = np.clip(np.linalg.solve(damped, gradient[..., None])[..., 0], -3, 3)
        trial = t - step
        trial[:, 1] = np.clip(trial[:, 1], -_STEEPEST, _STEEPEST)
        new = _cost(u, ln_y[rows], trial)
        better = new < cost[rows]
        theta[rows[better]] = trial[better]
        gain = np.where(better, cost[rows] - new, np.inf)
        damping[rows] = np.where(better, damping[rows] * 0.2, damping[rows] * 8)
        done = (gain <= 1e-11 * cost[rows]) | (damping[rows] > 1e12) | (cost[rows] < 1e-26)
        cost[rows[better]] = new[better]
        live[rows[done]] = False
    return cost, theta


def _cost(u: FloatArray, ln_y: FloatArray, theta: FloatArray) -> FloatArray:
    f = np.logaddexp(theta[:, :1] - theta[:, 1:2] * u, theta[:, 2:])
    return np.asarray(((f - ln_y) ** 2).sum(axis=1))
