"""Conditional entropies of a corpus from counts of n-grams, with a sign of when the counts have run out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from rhmtheory.corpus._fits import DecayFit, fit_decay, no_fit
from rhmtheory.corpus._source import Source
from rhmtheory.corpus._windows import LEAST_POINTS, slope_weights
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.tree._tuples import can_be_numbered, encode

LARGEST_DRIFT = 0.03
"""Relative change of a conditional entropy with half of the data at which its counts have run out."""
_LARGEST_BIAS = 0.25
"""Part of the interval that counts which run out may bend a slope by."""
_LARGEST_TABLE = 1 << 26
"""Distinct n-grams of all segments held at once (1 GiB)."""


class _Grams(NamedTuple):
    """Distinct n-grams of each segment: number among all distinct ones, segment, and how often."""

    which: npt.NDArray[np.int64]
    segment: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]

    def entropy(self, weights: npt.NDArray[np.int64]) -> float:
        """Grassberger's estimate of the block entropy, each segment counted ``weights`` times."""
        counts = np.bincount(self.which, weights=self.times * weights[self.segment])
        how_many = np.bincount(counts.astype(np.int64))  # n-grams that occur 0, 1, 2, .. times
        k = np.flatnonzero(how_many[1:]) + 1
        n_k = how_many[k]
        N = float(k @ n_k)
        sign = np.where(k % 2, -1.0, 1.0)
        G = digamma(k) + sign / 2 * (digamma((k + 1) / 2) - digamma(k / 2))
        return float(np.log(N) - (n_k * k * G).sum() / N)


class Entropies(NamedTuple):
    """Conditional entropies against context, their drift, the usable and the fitted contexts, and the fit."""

    entropies: FloatArray
    drift: FloatArray
    usable: int
    fitted: int
    fit: DecayFit


def decay_of_entropies(
    source: Source, largest_context: int, floor: float, *, segments: int, confidence: float
) -> Entropies:
    """Measure the entropy of a token given the n before it, n = 1, 2, .., and fit ``entropy - floor ~ n**-gamma``.

    Fitted are the contexts up to which counts that run out bend the slope by less than a quarter of what its
    interval allows for, but three at least.

    Raises `InputError` for a floor that is no entropy rate.
    """
    entropies, halved, without = _conditional_entropies(source, largest_context, segments)
    drift = halved / entropies - 1
    usable = int(np.logical_and.accumulate(np.abs(drift) <= LARGEST_DRIFT).sum())
    if not floor >= 0 or not (entropies[:usable] > floor).all():
        raise InputError(
            "floor",
            floor,
            f"nats must be zero or more, and below the entropies {entropies[:usable].round(3).tolist()}",
        )
    if usable < LEAST_POINTS:
        return Entropies(entropies, drift, usable, 0, no_fit(segments, confidence))
    for fitted in range(usable, LEAST_POINTS - 1, -1):
        n = np.arange(1.0, fitted + 1)
        excess = entropies[:fitted] - floor
        # twice the data change an entropy as much again, at most: so much may the slope be off
        bias = abs(float(slope_weights(np.log(n)) @ ((entropies - halved)[:fitted] / excess)))
        fit = fit_decay(n, excess, without[:, :fitted] - floor, confidence=confidence, all_windows=True, bias=bias)
        if bias < _LARGEST_BIAS * (fit.estimate.high - fit.estimate.low) / 2:
            break
    return Entropies(entropies, drift, usable, fitted, fit)


def _conditional_entropies(
    source: Source, largest_context: int, segments: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Entropies (contexts,), the same from half of the data, and without each segment, (segments, contexts).

    Nats, by Grassberger's estimator (arXiv:physics/0307138) of each block entropy.
    """
    odd = np.arange(segments) % 2
    cases = [np.ones(segments, np.int64), odd, 1 - odd, *(1 - np.eye(segments, dtype=np.int64))]
    blocks: list[list[float]] = []
    for n in range(1, largest_context + 2):
        if not can_be_numbered(source.vocabulary, n):
            break
        grams = _grams(source, n)
        if grams is None:
            break
        blocks.append([grams.entropy(w) for w in cases])
    h = np.diff(np.array(blocks), axis=0)  # (contexts, cases)
    return h[:, 0], h[:, 1:3].mean(axis=1), h[:, 3:].T


def _grams(source: Source, n: int) -> _Grams | None:
    """Count n-grams within each segment; None where they are too many to hold."""
    codes, segment, counts = [], [], []
    for i, part in enumerate(source):
        grams = np.lib.stride_tricks.sliding_window_view(part, n)
        found, times = np.unique(encode(grams, source.vocabulary), return_counts=True)
        codes.append(found)
        counts.append(times)
        segment.append(np.full(len(found), i))
        if sum(map(len, codes)) > _LARGEST_TABLE:
            return None
    which = np.unique(np.concatenate(codes), return_inverse=True)[1]
    return _Grams(which, np.concatenate(segment), np.concatenate(counts))
