"""Conditional entropies of a corpus from counts of n-grams, with a sign of when the counts have run out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from rhmtheory.corpus._source import Source
from rhmtheory.support.types import FloatArray
from rhmtheory.tree._tuples import can_be_numbered, encode

LARGEST_DRIFT = 0.03
"""Relative change of a conditional entropy with half of the data at which its counts have run out."""
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


def conditional_entropies(
    source: Source, largest_context: int, draws: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
    """Entropies of a token given the n before it, n = 1, 2, .., their drift with half of the data, and resampled.

    Nats, by Grassberger's estimator (arXiv:physics/0307138) of each block entropy. ``draws`` says how often a
    bootstrap draw takes each segment, shape (draws, segments).
    """
    segments = draws.shape[1]
    odd = np.arange(segments) % 2
    cases = [np.ones(segments, np.int64), odd, 1 - odd, *draws]
    blocks: list[list[float]] = []
    for n in range(1, largest_context + 2):
        if not can_be_numbered(source.vocabulary, n):
            break
        grams = _grams(source, n)
        if grams is None:
            break
        # beyond the cut-off the intervals are not needed
        still = len(blocks) < 3 or abs(_drift(blocks)[-1]) <= LARGEST_DRIFT
        blocks.append([grams.entropy(w) if i < 3 or still else np.nan for i, w in enumerate(cases)])
    h = np.diff(np.array(blocks), axis=0)  # (contexts, cases)
    return h[:, 0], _drift(blocks), list(h[:, 3:].T)


def centred(draws: list[FloatArray], estimate: FloatArray) -> FloatArray:
    """Shift resampled values so that their mean is the estimate, shape (draws, values)."""
    values = np.array(draws)
    return np.asarray(values - values.mean(axis=0) + estimate)


def _drift(blocks: list[list[float]]) -> FloatArray:
    h = np.diff(np.array(blocks)[:, :3], axis=0)
    return np.asarray(h[:, 1:].mean(axis=1) / h[:, 0] - 1)


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
