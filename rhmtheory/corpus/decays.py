"""Reading a learning exponent off a corpus: decay of correlations and of conditional entropies, and their ratio."""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.corpus._correlations import CLEAR, decay_of_correlations
from rhmtheory.corpus._fits import NO_DECAY, POWER_LAW, half_ratio
from rhmtheory.corpus._ngrams import decay_of_entropies
from rhmtheory.corpus._source import open_corpus
from rhmtheory.corpus._windows import LEAST_POINTS, lags_up_to
from rhmtheory.fitting.intervals import CONFIDENCE, Estimate
from rhmtheory.support.checks import as_confidence, as_int, as_pair
from rhmtheory.support.json import plain
from rhmtheory.support.tables import WIDTH
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue

_LEAST_BETA = 0.6
"""Exponent of correlations below which intervals are too narrow: at 0.5 sums over their squares do not end."""


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
        Operator norm that as many pairs of tokens far apart show. Correlations within a text make it larger than
        that of independent pairs.
    resolved : array of bool, shape (lags,)
        Lags up to the first whose correlation is less than twice the noise.
    window : tuple of two ints
        Smallest and largest lag of the fit.
    windows : int
        Windows that the interval of beta takes account of: the admissible ones, or 1 where the window was given.
    beta : Estimate
        ``correlation ~ lag**-beta`` within the window.
    beta_halves : tuple of two floats
        The slope over the smaller and the larger lags of the window: far apart where there is no one power law.
    beta_verdict : str
        ``power law``; ``no decay`` where beta may be zero, or correlations fall by less than 5% in the window;
        ``no power law`` where the local slope grows more like that of an exponential decay than not at all, or
        vanishes.
    entropies : array, shape (contexts,), nats
        Entropy of a token given the n before it, n = 1, 2, .., corrected for bias.
    drift : array, shape (contexts,)
        Relative change of the entropy when half of the data are left out.
    usable : int
        Longest context before the drift exceeds 3 percent: beyond, n-gram counts have run out.
    fitted : int
        Longest context of the fit of gamma: beyond, the drift would bend the slope.
    floor : float
        Entropy rate assumed, nats.
    gamma : Estimate
        ``entropy - floor ~ n**-gamma`` over the fitted contexts; NaN where fewer than three are usable.
    gamma_halves : tuple of two floats
    gamma_verdict : str
        As for beta.
    alpha : Estimate
        ``gamma / (2 beta)``, the predicted exponent of the loss against the number of training tokens; NaN, and so
        undefined, where one is no decay. A forecast only where both are power laws.
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
    beta_verdict: str
    entropies: FloatArray
    drift: FloatArray
    usable: int
    fitted: int
    floor: float
    gamma: Estimate
    gamma_halves: tuple[float, float]
    gamma_verdict: str
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

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on what may mislead, one sentence each."""
        notes = []
        if not self.falls_to_noise:
            notes.append("correlations never fall to the noise: the text may mix parts, or give more lags")
        if self.beta_verdict == NO_DECAY:
            notes.append("beta: no decay, zero lies within its interval or next to it")
        elif self.beta_verdict != POWER_LAW:
            notes.append("beta: no power law, since the slope changes over these lags as in other decays")
        elif self.beta.low < _LEAST_BETA:
            notes.append(f"beta may be below {_LEAST_BETA}: intervals of so slow a decay are too narrow")
        inside = (self.lags >= self.window[0]) & (self.lags <= self.window[1])
        if (self.correlation < CLEAR * self.noise)[inside].any():
            notes.append(f"some fitted lags stand less than {CLEAR:g} times above the noise, and bend the slope")
        if self.usable < LEAST_POINTS:
            notes.append(
                f"gamma and alpha are not measured: {self.usable} contexts can be counted, and a fit needs "
                f"{LEAST_POINTS}; give more data, or tell fewer symbols apart"
            )
            return tuple(notes)
        if self.gamma_verdict == NO_DECAY:
            notes.append("gamma: no decay, zero lies within its interval or next to it")
        elif self.gamma_verdict != POWER_LAW:
            notes.append("gamma: no power law, since the slope changes over these contexts as in other decays")
        if isnan(self.alpha.best):
            notes.append("alpha is undefined: it needs two decays")
        elif {self.beta_verdict, self.gamma_verdict} != {POWER_LAW}:
            notes.append("alpha is a ratio of two slopes, and no forecast: it needs two power laws")
        return tuple(notes)

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
                "verdict": self.beta_verdict,
            },
            "entropy": {
                "contexts": list(range(1, len(self.entropies) + 1)),
                "nats": self.entropies,
                "drift": self.drift,
                "usable_up_to": self.usable,
                "fitted_up_to": self.fitted,
                "floor": self.floor,
                "gamma": interval(self.gamma),
                "gamma_halves": self.gamma_halves,
                "verdict": self.gamma_verdict,
            },
            "alpha": interval(self.alpha),
            "notes": self.notes,
        }
        out: dict[str, Any] = plain(content)
        return out

    def __str__(self) -> str:
        (first, last), (small, large) = self.window, self.beta_halves
        lines = [
            f"{self.tokens} tokens of {self.vocabulary} symbols",
            f"correlations resolved up to lag {self.range}",
            f"decay of correlations over lags {first} to {last}",
            f"  beta  = {_text(self.beta)}, {self.beta_verdict}",
            f"          {small:.2f} over the smaller of these lags, {large:.2f} over the larger ones",
        ]
        if self.usable:
            entropies = ", ".join(f"{h:.3f}" for h in self.entropies[: self.usable])
            lines.append(f"entropy given n = 1..{self.usable} tokens, for longer n-grams are too rare:")
            lines += textwrap.wrap(f"{entropies} nats", WIDTH, initial_indent="  ", subsequent_indent="  ")
        else:
            lines.append("entropy given one token: not measured, pairs of tokens are too rare to be counted")
        if self.usable >= LEAST_POINTS:
            lines += [
                f"  gamma = {_text(self.gamma)}, {self.gamma_verdict},",
                f"          over n = 1..{self.fitted}, for an entropy rate of {self.floor:g} nats",
                "predicted exponent of the loss against training tokens, gamma / (2 beta)",
                "  alpha is undefined"
                if isnan(self.alpha.best)
                else f"  alpha = {_text(self.alpha)}, if gamma goes on to contexts of {self.range} tokens",
            ]
        kind = "" if self.windows == 1 else f", {self.windows} windows of lags, and windows of contexts"
        lines.append(f"intervals: {self.beta.confidence:.0%} over {self.beta.count} segments{kind}")
        for note in self.notes:
            lines += textwrap.wrap(f"- {note}", WIDTH, subsequent_indent="  ")
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
    confidence: float = CONFIDENCE,
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
        Lags fitted; by default 1 to the largest clear one, and the interval then includes this choice. Lags
        within it that are not resolved are left out.
    largest_context : int
        Contexts tried; those whose counts run out are measured and left out of the fit.
    floor : float
        Entropy rate in nats, subtracted before the fit of gamma. n-grams are too short to measure it: 0, the
        default, gives the smallest gamma; a larger floor gives a larger one.
    segments : int
        Pieces of the corpus, left out one at a time for the intervals.
    confidence : float
        Share of intervals that hold the truth.
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
    Slopes weigh each point with the part of the logarithmic axis that it stands for. Their intervals are Student's,
    over jackknife pseudo-values of segments; where slopes over other admissible windows differ by more than chance,
    the intervals reach as far as these. A window is admissible if it covers half of the points' logarithmic range.
    That of alpha is Fieller's.

    The noise is measured on pairs of tokens far apart, which share the correlations within a text
    (Bartlett: J. Roy. Stat. Soc. Suppl. 8, 27, 1946). Beta is fitted up to the last clear lag, with a correlation
    of four times the noise, and four standard errors. It uses the covariance along directions that were found on
    other segments: noise has mean zero there, where it makes an operator norm too large.

    Entropies are differences of block entropies, each by Grassberger's estimator (arXiv:physics/0307138).

    Intervals of 95% hold the truth in 93 to 99% of made-up texts with beta from 0.7 to 2 (docs/trust.md). A note of
    the result says where beta may be below 0.6: there they are too narrow.
    """
    segments = as_int("segments", segments, low=4)
    top = as_int("top", top, low=2)
    largest_lag = as_int("largest_lag", largest_lag, low=4)
    largest_context = as_int("largest_context", largest_context, low=3)
    confidence = as_confidence(confidence)
    if window is not None:
        first, last = as_pair("window", window, "lags such as (1, 64)")
        window = as_int("window[0]", first, low=1), as_int("window[1]", last, low=1)
    source = open_corpus(corpus, units, top, segments)
    lags = lags_up_to(min(largest_lag, source.tokens // segments // 4))
    near = decay_of_correlations(source, lags, window, confidence=confidence, threads=threads)
    far = decay_of_entropies(source, largest_context, floor, segments=segments, confidence=confidence)
    inside = lags[near.inside]
    return CorpusStatistics(
        tokens=source.tokens,
        vocabulary=source.vocabulary,
        lags=lags,
        correlation=near.correlation,
        noise=near.noise,
        resolved=near.resolved,
        window=(int(inside.min()), int(inside.max())),
        windows=near.fit.windows,
        beta=near.fit.estimate,
        beta_halves=near.fit.halves,
        beta_verdict=near.fit.verdict,
        entropies=far.entropies,
        drift=far.drift,
        usable=far.usable,
        fitted=far.fitted,
        floor=float(floor),
        gamma=far.fit.estimate,
        gamma_halves=far.fit.halves,
        gamma_verdict=far.fit.verdict,
        alpha=half_ratio(far.fit, near.fit, confidence),
    )


def _text(fit: Estimate) -> str:
    return f"{fit.best:.3f} [{fit.low:.3f}, {fit.high:.3f}]"
