"""Covariance of two tokens of a corpus against their lag: its size, its noise, and what each segment adds."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rhmtheory.corpus._counting import largest_singular
from rhmtheory.corpus._fits import DecayFit, fit_decay
from rhmtheory.corpus._source import Source
from rhmtheory.corpus._windows import LEAST_POINTS, slope_weights
from rhmtheory.corpus.pairs import PairCounts, count_pairs
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray

RESOLVED = 2.0
"""Multiple of the noise at which a correlation counts as resolved."""
CLEAR = 4.0
"""Multiple of the noise, and of its standard error, at which a correlation is fitted."""
_FOLDS = 4
_SHIFTS = 12
"""Draws of the noise."""


class Correlations(NamedTuple):
    """Operator norms against lag, their noise, the lags that stand above it, and the fit."""

    correlation: FloatArray
    noise: FloatArray
    resolved: npt.NDArray[np.bool_]
    inside: npt.NDArray[np.bool_]
    fit: DecayFit


def decay_of_correlations(
    source: Source,
    lags: npt.NDArray[np.int64],
    window: tuple[int, int] | None,
    *,
    confidence: float,
    threads: int | None,
) -> Correlations:
    """Measure the decay at these lags and fit it within the window, or up to the last clear lag.

    Raises `InputError` where fewer than three lags are resolved.
    """
    # pairs across borders of segments are left out
    parts = [count_pairs(part, source.vocabulary, distances=lags, threads=threads) for part in source]
    total = PairCounts(
        sum((p.counts for p in parts[1:]), parts[0].counts), lags, source.vocabulary, 1, 1, source.tokens
    )
    correlation = total.operator_norm()
    noise = _noise_of_a_pair(source, len(parts)) / np.sqrt(total.pairs)
    resolved = np.logical_and.accumulate(correlation >= RESOLVED * noise)
    inside = resolved if window is None else resolved & (lags >= window[0]) & (lags <= window[1])
    if inside.sum() < LEAST_POINTS:
        where = "" if window is None else f" within `window`={window}"
        raise InputError(
            f"{inside.sum()} lags",
            rule=f"are resolved{where} (all up to lag {lags[resolved].max(initial=0)} are), and a fit needs "
            f"{LEAST_POINTS}",
            way_out="give more data" if window is None else "give more data, or widen the `window`",
        )
    y, without = _along_fixed_directions([part.counts for part in parts])
    if window is None:
        error = np.sqrt((len(without) - 1) * without.var(axis=0))
        clear = np.logical_and.accumulate((correlation >= CLEAR * noise) & (y >= CLEAR * error))
        inside = resolved & (np.arange(len(lags)) < max(int(clear.sum()), LEAST_POINTS))
    x, y, without = lags[inside].astype(float), y[inside], without[:, inside]
    missing = _spread_of_means(x, y, source.tokens)
    fit = fit_decay(x, y + missing, without + missing, confidence=confidence, all_windows=window is None)
    return Correlations(correlation, noise, resolved, inside, fit)


def _spread_of_means(x: FloatArray, y: FloatArray, tokens: int) -> float:
    """Variance of the mean over a text of a slow decay, which all its covariances are too small by.

    ``2 A / ((1 - beta) (2 - beta)) tokens**-beta`` for a covariance ``A t**-beta`` with beta below one.
    """
    u = np.log(x)
    beta = -float(slope_weights(u) @ np.log(y))
    if not 0 < beta < 1:
        return 0.0
    ln_A = float(np.log(y).mean() + beta * u.mean())
    return float(np.exp(ln_A - beta * np.log(tokens)) * 2 / ((1 - beta) * (2 - beta)) * (1 - tokens ** (beta - 1)))


def _noise_of_a_pair(source: Source, segments: int) -> float:
    """Operator norm of the covariance that text far apart shows, times the root of the number of pairs.

    Tokens of neighbouring segments, far from one another, are paired: correlations within either side are in full,
    those between them are not. If they were independent within, too, this would be the noise of independent pairs;
    for correlations C(h) its square is larger by some mean of ``sum_h C(h) x C(h)`` (Bartlett). Each pair of
    segments has its own marginals, so that parts that differ add nothing, and every second one counts negative, so
    that periods add nothing.
    """
    v, size = source.vocabulary, source.tokens // segments
    total, before = np.zeros((_SHIFTS, v, v)), None
    for number, part in enumerate(islice(source, 1 + (segments - 1) // 2 * 2)):
        after = part.astype(np.int64)
        if before is not None:
            p, q = (np.bincount(side, minlength=v) / size for side in (before, after))
            for i, share in enumerate(np.linspace(0.2, 0.8, _SHIFTS)):
                joint = np.bincount(before * v + np.roll(after, int(share * size)), minlength=v * v)
                total[i] += (-1) ** number * (joint.reshape(v, v) - size * np.outer(p, q))
        before = after
    return float(largest_singular(total)[0].mean() / np.sqrt((segments - 1) // 2 * 2 * size))


def _along_fixed_directions(counts: list[npt.NDArray[np.int64]]) -> tuple[FloatArray, FloatArray]:
    """Covariances along its main directions, shape (lags,), and without each segment, (segments, lags).

    The largest singular value of a noisy matrix is too large, since its directions fit the noise as well. Here
    those of a segment are found on the segments of other folds, so that noise has mean zero along them.
    """
    segments = len(counts)
    folds = np.arange(segments) % min(_FOLDS, segments)
    pairs = np.array([n.sum(axis=(1, 2)) for n in counts], float)  # (segments, lags)
    rest = sum(counts[1:], counts[0])
    joint = np.zeros(pairs.shape)
    sides = np.zeros((2, folds.max() + 1, *pairs.shape))
    for fold in range(folds.max() + 1):
        held = sum(n for n, f in zip(counts, folds, strict=True) if f == fold)
        _, u, v = largest_singular(_covariance(rest - held))  # (lags, symbols)
        for i, n in enumerate(counts):
            sides[0, fold, i] = np.einsum("ka,ka->k", u, n.sum(axis=2))
            sides[1, fold, i] = np.einsum("kb,kb->k", v, n.sum(axis=1))
            if folds[i] == fold:
                joint[i] = np.einsum("ka,kab,kb->k", u, n, v)

    def value(weights: FloatArray) -> FloatArray:
        total = weights @ pairs
        out = weights @ joint / total
        for fold in range(folds.max() + 1):
            share = (weights * (folds == fold)) @ pairs / total
            out = out - share * (weights @ sides[0, fold] / total) * (weights @ sides[1, fold] / total)
        return np.asarray(out)

    return value(np.ones(segments)), np.array([value(1.0 - row) for row in np.eye(segments)])


def _covariance(counts: npt.NDArray[np.int64]) -> FloatArray:
    n = counts.sum(axis=(1, 2))[:, None]
    return np.asarray(
        counts / n[:, :, None] - (counts.sum(axis=2) / n)[:, :, None] * (counts.sum(axis=1) / n)[:, None]
    )
