"""Reading a learning exponent off a corpus: decay of correlations and of conditional entropies, and their ratio."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rhmtheory.corpus._counting import largest_singular
from rhmtheory.corpus._ngrams import LARGEST_DRIFT, centred, conditional_entropies
from rhmtheory.corpus._source import Source, open_corpus
from rhmtheory.corpus._windows import LEAST_POINTS, admissible, lags_up_to, slope_weights
from rhmtheory.corpus.pairs import PairCounts, count_pairs
from rhmtheory.fitting.intervals import Estimate, bootstrap, resamples
from rhmtheory.support.checks import as_confidence, as_generator, as_int, as_pair
from rhmtheory.support.errors import InputError
from rhmtheory.support.json import plain
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue

_RESOLVED = 2.0
"""Multiple of the noise at which a correlation counts as resolved."""


@dataclass(frozen=True, eq=False)
class CorpusStatistics(ByValue):
    """Two decays measured on a corpus, and the exponent that they predict. Made by `analyse_corpus`.

    Attributes
    ----------
    tokens, vocabulary : int
        Tokens read, and symbols told apart (rare ones merged into the last).
    lags : array, shape (lags,)
    correlation : array, shape (lags,)
        Operator norm of the covariance of two tokens at this distance; noise is not subtracted.
    noise : array, shape (lags,)
        Operator norm that as many independent pairs show without any correlation.
    resolved : array of bool, shape (lags,)
        Lags up to the first whose correlation is less than twice the noise.
    window : tuple of two ints
        Smallest and largest lag of the fit.
    windows : int
        Windows that the interval of beta is made of: the admissible ones, or 1 where the window was given.
    beta : Estimate
        ``correlation ~ lag**-beta`` within the window; the interval is over segments and over windows.
    beta_halves : tuple of two floats
        The slope over the smaller and the larger lags of the window: far apart where there is no one power law.
    entropies : array, shape (contexts,), nats
        Entropy of a token given the n before it, n = 1, 2, .., corrected for bias.
    drift : array, shape (contexts,)
        Relative change of the entropy when half of the data are left out.
    usable : int
        Longest context before the drift exceeds 3 percent: beyond, n-gram counts have run out.
    floor : float
        Entropy rate assumed, nats.
    gamma : Estimate
        ``entropy - floor ~ n**-gamma`` over the usable contexts; NaN where they are fewer than three.
    alpha : Estimate
        ``gamma / (2 beta)``, the predicted exponent of the loss against the number of training tokens.
    """

    tokens: int
    vocabulary: int
    lags: npt.NDArray[np.int64]
    correlation: FloatArray
    noise: FloatArray
    resolved: npt.NDArray[np.bool_]
    window: tuple[int, int]
    windows: int
    beta: Estimate
    beta_halves: tuple[float, float]
    entropies: FloatArray
    drift: FloatArray
    usable: int
    floor: float
    gamma: Estimate
    alpha: Estimate

    @property
    def range(self) -> int:
        """Largest lag resolved by this many tokens; 0 if none is."""
        return int(self.lags[self.resolved].max(initial=0))

    @property
    def falls_to_noise(self) -> bool:
        """Whether correlations come down to the noise at all: where they do not, beta is in doubt.

        A text whose parts differ (tables, code, several languages) is correlated at any distance.
        """
        return not bool(self.resolved.all())

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""

        def interval(fit: Estimate) -> dict[str, float | int]:
            bounds = {name: getattr(fit, name) for name in ("best", "low", "high", "confidence")}
            return {**bounds, "segments": fit.count}

        content = {
            "tokens": self.tokens,
            "vocabulary": self.vocabulary,
            "correlation": {
                "lags": self.lags,
                "operator_norm": self.correlation,
                "noise": self.noise,
                "resolved_up_to": self.range,
                "falls_to_noise": self.falls_to_noise,
                "window": self.window,
                "windows": self.windows,
                "beta": interval(self.beta),
                "beta_halves": self.beta_halves,
            },
            "entropy": {
                "contexts": list(range(1, len(self.entropies) + 1)),
                "nats": self.entropies,
                "drift": self.drift,
                "usable_up_to": self.usable,
                "floor": self.floor,
                "gamma": interval(self.gamma),
            },
            "alpha": interval(self.alpha),
        }
        out: dict[str, Any] = plain(content)
        return out

    def __str__(self) -> str:
        small, large = self.beta_halves
        first, last = self.window
        entropies = ", ".join(f"{h:.3f}" for h in self.entropies[: self.usable])
        lines = [
            f"{self.tokens} tokens of {self.vocabulary} symbols",
            f"correlations resolved up to lag {self.range}",
        ]
        if not self.falls_to_noise:
            lines.append("  never down to the noise: the text may mix parts that differ, or give more lags")
        lines += [
            f"decay of correlations over lags {first} to {last}",
            f"  beta  = {_text(self.beta)}",
            f"          {small:.2f} over the smaller of these lags, {large:.2f} over the larger ones",
        ]
        if self.usable:
            lines += [
                f"entropy given n = 1..{self.usable} tokens, for longer n-grams are too rare:",
                f"  {entropies} nats",
            ]
        else:
            lines.append("entropy given one token: not measured, pairs of tokens are too rare to be counted")
        if self.usable < LEAST_POINTS:
            lines += [
                f"  gamma and alpha are not measured: {self.usable} contexts can be counted, and a fit",
                f"  needs {LEAST_POINTS}; give more data, or tell fewer symbols apart",
            ]
        else:
            lines += [
                f"  gamma = {_text(self.gamma)}, for an entropy rate of {self.floor:g} nats",
                "predicted exponent of the loss against training tokens, gamma / (2 beta)",
                f"  alpha = {_text(self.alpha)}, if gamma goes on to contexts of {self.range} tokens",
            ]
        kind = (
            "segments"
            if self.windows == 1
            else f"segments, {self.windows} windows of lags, and windows of contexts"
        )
        lines.append(f"intervals: {self.beta.confidence:.0%} over {self.beta.count} {kind}")
        return "\n".join(lines)

    def plot(self, axes: Any = None) -> Any:
        """Draw both decays with their fits into two ``axes``, new ones by default; return them."""
        from rhmtheory.plotting import plot_corpus

        return plot_corpus(self, axes)


def analyse_corpus(
    corpus: str | os.PathLike[str] | npt.ArrayLike,
    units: str = "characters",
    *,
    top: int = 256,
    largest_lag: int = 1000,
    window: tuple[int, int] | None = None,
    largest_context: int = 7,
    floor: float = 0.0,
    segments: int = 16,
    confidence: float = 0.95,
    count: int = 200,
    seed: int | np.random.Generator = 0,
    threads: int | None = None,
) -> CorpusStatistics:
    r"""Measure the decay of correlations and of conditional entropies, and predict the data-limited exponent.

    With P tokens, correlations ``~ t**-beta`` stand above the noise ``~ P**(-1/2)`` up to the range
    ``t* ~ P**(1/(2 beta))``; a context of that length leaves the loss ``~ t***-gamma``. Hence
    ``alpha = gamma / (2 beta)`` (arXiv:2602.07488).

    Parameters
    ----------
    corpus : path or array
        A text file, a ``.npy`` file of token ids (read in pieces), or the ids themselves, shape (N,).
    units : {"characters", "bytes", "tokens"}
        How a file is read; ``.npy`` files are always tokens.
    top : int
        Symbols told apart; all rarer ones are merged into one. Tables grow as its square.
    largest_lag : int
        Lags run from 1 to this, evenly on a logarithmic axis; at most a quarter of a segment. Once it is beyond the
        resolved ones, it changes nothing.
    window : pair of ints, optional
        Lags fitted; by default 1 to the largest resolved one, and the interval then includes this choice. Lags
        within it that are not resolved are left out.
    largest_context : int
        Contexts tried; those whose counts run out are measured and left out of the fit.
    floor : float
        Entropy rate in nats, subtracted before the fit of gamma. n-grams are too short to measure it: 0, the
        default, gives the smallest gamma; a larger floor gives a larger one.
    segments : int
        Pieces of the corpus that are drawn anew, with replacement, for the intervals (block bootstrap).
    confidence, count, seed
        Of the bootstrap intervals: mass, draws, seed.
    threads : int, optional
        By default as many as there are cores.

    Returns
    -------
    CorpusStatistics

    Raises
    ------
    InputError
        For a file that is empty, not text, shorter than 2000 tokens, cut short or changed while it is read, for a
        confidence outside 0..1, and for a window that is no pair of lags or without three resolved ones. Where
        fewer than three contexts can be counted, as for large vocabularies, beta is reported alone, and gamma and
        alpha are NaN.

    Notes
    -----
    Slopes weigh each point with the part of the logarithmic axis that it stands for. The intervals are quantiles
    over draws of segments *and* over admissible windows: each draw finds its own largest resolved lag, and each run
    of points that covers half of the range up to there, on the logarithmic axis, gives a slope; likewise for
    contexts. They tell how far the slope depends on text and window, not whether there is a power law.

    Entropies are differences of block entropies, each by Grassberger's estimator (arXiv:physics/0307138).
    A draw that repeats segments has fewer distinct n-grams than the corpus, which lowers its entropies; they are
    shifted so that the mean over draws is the estimate, and the interval tells the spread alone. Operator norms of
    draws are taken to first order in the fluctuation.
    """
    segments = as_int("segments", segments, low=4)
    top = as_int("top", top, low=2)
    largest_lag = as_int("largest_lag", largest_lag, low=4)
    largest_context = as_int("largest_context", largest_context, low=3)
    confidence = as_confidence(confidence)
    if window is not None:
        first, last = as_pair("window", window, "lags such as (1, 64)")
        window = as_int("window[0]", first, low=1), as_int("window[1]", last, low=1)
    rng = as_generator(seed)
    source = open_corpus(corpus, units, top, segments)
    draws = _weights(segments, rng, count)
    lags = lags_up_to(min(largest_lag, source.tokens // segments // 4))
    near = _decay_of_correlations(source, lags, window, draws, threads)
    far = _decay_of_entropies(source, largest_context, floor, draws)
    inside = lags[near.inside]
    # a draw is one text: its two exponents belong together, whatever the windows
    alphas = [np.divide.outer(gamma, 2 * beta).ravel() for beta, gamma in zip(near.betas, far.gammas, strict=True)]
    return CorpusStatistics(
        tokens=source.tokens,
        vocabulary=source.vocabulary,
        lags=lags,
        correlation=near.correlation,
        noise=near.noise,
        resolved=near.resolved,
        window=(int(inside.min()), int(inside.max())),
        windows=near.windows,
        beta=bootstrap(np.concatenate(near.betas), near.beta, confidence, segments, "segments"),
        beta_halves=near.halves,
        entropies=far.entropies,
        drift=far.drift,
        usable=far.usable,
        floor=float(floor),
        gamma=bootstrap(np.concatenate(far.gammas), far.gamma, confidence, segments, "segments"),
        alpha=bootstrap(np.concatenate(alphas), far.gamma / (2 * near.beta), confidence, segments, "segments"),
    )


class _NearDecay(NamedTuple):
    """Correlations against lag; ``betas`` holds the slopes of each draw over its admissible windows."""

    correlation: FloatArray
    noise: FloatArray
    resolved: npt.NDArray[np.bool_]
    inside: npt.NDArray[np.bool_]
    beta: float
    halves: tuple[float, float]
    betas: list[FloatArray]
    windows: int


def _decay_of_correlations(
    source: Source,
    lags: npt.NDArray[np.int64],
    window: tuple[int, int] | None,
    draws: npt.NDArray[np.int64],
    threads: int | None,
) -> _NearDecay:
    parts = [count_pairs(part, source.vocabulary, distances=lags, threads=threads) for part in source]
    # pairs across borders of segments are left out
    total = PairCounts(
        sum((p.counts for p in parts[1:]), parts[0].counts), lags, source.vocabulary, 1, 1, source.tokens
    )
    correlation = total.operator_norm()
    # marginals at all lags are alike but for the ends of segments: the noise of one lag tells that of all
    one = PairCounts(total.counts[:1], lags[:1], source.vocabulary, 1, 1, source.tokens)
    noise = one.noise_operator_norm() * np.sqrt(one.pairs / total.pairs)
    resolved = np.logical_and.accumulate(correlation >= _RESOLVED * noise)
    inside = resolved if window is None else resolved & (lags >= window[0]) & (lags <= window[1])
    if inside.sum() < LEAST_POINTS:
        where = "" if window is None else f" within `window`={window}"
        raise InputError(
            f"{inside.sum()} lags",
            rule=f"are resolved{where} (all up to lag {lags[resolved].max(initial=0)} are), and a fit needs "
            f"{LEAST_POINTS}",
            way_out="give more data" if window is None else "give more data, or widen the `window`",
        )
    u, norms = np.log(lags[inside]), np.log(correlation[inside])
    half = (len(u) + 1) // 2
    resampled = _resampled_norms(parts, total, draws)
    if window is None:
        # each draw finds its own end, as the text itself does
        above = np.logical_and.accumulate(resampled >= _RESOLVED * noise, axis=1)
        ends = np.maximum(above.sum(axis=1), LEAST_POINTS)
        slopes = {end: admissible(np.log(lags[:end])) for end in {*ends.tolist(), len(u)}}
        betas = [-slopes[end] @ np.log(row[:end]) for end, row in zip(ends.tolist(), resampled, strict=True)]
        windows = len(slopes[len(u)])
    else:
        betas, windows = list(-np.log(resampled[:, inside]) @ slope_weights(u)[:, None]), 1
    return _NearDecay(
        correlation=correlation,
        noise=noise,
        resolved=resolved,
        inside=inside,
        beta=-float(slope_weights(u) @ norms),
        halves=(-float(slope_weights(u[:half]) @ norms[:half]), -float(slope_weights(u[-half:]) @ norms[-half:])),
        betas=betas,
        windows=windows,
    )


class _FarDecay(NamedTuple):
    """Conditional entropies against context; ``gammas`` as the slopes of `_NearDecay`."""

    entropies: FloatArray
    drift: FloatArray
    usable: int
    gamma: float
    gammas: list[FloatArray]


def _decay_of_entropies(
    source: Source, largest_context: int, floor: float, draws: npt.NDArray[np.int64]
) -> _FarDecay:
    entropies, drift, resampled = conditional_entropies(source, largest_context, draws)
    usable = int(np.logical_and.accumulate(np.abs(drift) <= LARGEST_DRIFT).sum())
    excess = entropies[:usable] - floor
    if floor < 0 or not (excess > 0).all():
        raise InputError(
            "floor",
            floor,
            f"nats must be zero or more, and below the entropies {entropies[:usable].round(3).tolist()}",
        )
    if usable < LEAST_POINTS:
        return _FarDecay(entropies, drift, usable, float("nan"), [np.full(1, np.nan)] * len(draws))
    slopes = admissible(np.log(np.arange(1, usable + 1)))
    logs = [np.log(np.maximum(h[:usable] - floor, 1e-9)) for h in resampled]
    gammas = list(-centred(logs, np.log(excess)) @ slopes.T)
    return _FarDecay(entropies, drift, usable, -float(slopes[0] @ np.log(excess)), gammas)


def _weights(segments: int, seed: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    """How often each bootstrap draw takes each segment, shape (count, segments)."""
    draws = resamples(segments, seed, as_int("count", count, low=1))
    return np.stack([np.bincount(draw, minlength=segments) for draw in draws])


def _resampled_norms(parts: Sequence[PairCounts], total: PairCounts, draws: npt.NDArray[np.int64]) -> FloatArray:
    """Operator norms when segments are drawn anew, shape (draws, lags), to first order in the fluctuation.

    The largest singular value changes by ``u' dC v``, with u and v its singular vectors on all data, so that
    each segment enters by three numbers a lag: ``u' n v`` of its counts, ``u' n_a`` and ``n_b' v``.
    """
    _, u, v = largest_singular(total.covariance())  # (lags, symbols)
    counts = [part.counts for part in parts]
    joint = np.array([np.einsum("ka,kab,kb->k", u, n, v) for n in counts])  # (segments, lags)
    first = np.array([np.einsum("ka,ka->k", u, n.sum(axis=2)) for n in counts])
    second = np.array([np.einsum("kb,kb->k", v, n.sum(axis=1)) for n in counts])
    pairs = draws @ np.array([n.sum(axis=(1, 2)) for n in counts])  # (draws, lags)
    norms = draws @ joint / pairs - (draws @ first / pairs) * (draws @ second / pairs)
    return np.asarray(np.maximum(norms, 1e-12))


def _text(fit: Estimate) -> str:
    return f"{fit.best:.3f} [{fit.low:.3f}, {fit.high:.3f}]"
