"""Reading a learning exponent off a corpus: decay of correlations and of conditional entropies, and their ratio."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from rhmtheory._support.checks import (
    InputError,
    as_choice,
    as_generator,
    as_int,
    as_tokens,
    check_tokens,
    smallest_unsigned,
)
from rhmtheory._support.json import plain
from rhmtheory._support.reading import npy_pieces, npy_shape, read_whole
from rhmtheory._support.types import FloatArray
from rhmtheory.fitting.intervals import SlopeFit, bootstrap, resamples
from rhmtheory.fitting.slopes import slope
from rhmtheory.measured.pairs import PairCounts, count_pairs, largest_singular
from rhmtheory.model.tuples import can_be_numbered, encode

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNITS = ("characters", "bytes", "tokens")
"""What a file is read as; "tokens" is a ``.npy`` file of integers."""

_LEAST_TOKENS = 2000
_RESOLVED = 2.0
"""Multiple of the noise at which a correlation counts as resolved."""
_LARGEST_DRIFT = 0.03
"""Relative change of a conditional entropy with half of the data at which its counts have run out."""
_LEAST_CONTEXTS = 3
"""Contexts that the fit of gamma needs."""
_LARGEST_TABLE = 1 << 26
"""Distinct n-grams of all segments held at once (1 GiB)."""


@dataclass(frozen=True, eq=False)
class CorpusStatistics:
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
    beta : SlopeFit
        ``correlation ~ lag**-beta`` within the window.
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
    gamma : SlopeFit
        ``entropy - floor ~ n**-gamma`` over the usable contexts; NaN where they are fewer than three.
    alpha : SlopeFit
        ``gamma / (2 beta)``, the predicted exponent of the loss against the number of training tokens.
    """

    tokens: int
    vocabulary: int
    lags: npt.NDArray[np.int64]
    correlation: FloatArray
    noise: FloatArray
    resolved: npt.NDArray[np.bool_]
    window: tuple[int, int]
    beta: SlopeFit
    beta_halves: tuple[float, float]
    entropies: FloatArray
    drift: FloatArray
    usable: int
    floor: float
    gamma: SlopeFit
    alpha: SlopeFit

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

        def interval(fit: SlopeFit) -> dict[str, float | int]:
            bounds = {name: getattr(fit, name) for name in ("best", "low", "high", "confidence")}
            return {**bounds, "segments": fit.realisations}

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
        entropies = ", ".join(f"{h:.3f}" for h in self.entropies[: self.usable])
        exponents = [
            f"  gamma = {_text(self.gamma)}, for an entropy rate of {self.floor:g} nats",
            "predicted exponent of the loss against training tokens, gamma / (2 beta)",
            f"  alpha = {_text(self.alpha)}",
        ]
        if self.usable < _LEAST_CONTEXTS:
            exponents = [
                f"  gamma and alpha are not measured: {self.usable} contexts can be counted, and a fit needs "
                f"{_LEAST_CONTEXTS}; give more data, or merge symbols with a smaller top"
            ]
        doubt = "" if self.falls_to_noise else "; never down to the noise: the text may mix parts that differ"
        return "\n".join(
            [
                f"{self.tokens} tokens of {self.vocabulary} symbols",
                f"correlations resolved up to lag {self.range}{doubt}",
                f"decay of correlations over lags {self.window[0]} to {self.window[1]}",
                f"  beta  = {_text(self.beta)}",
                f"          {small:.2f} over the smaller of these lags, {large:.2f} over the larger ones",
                f"entropy given n = 1..{self.usable} tokens: {entropies} nats; longer n-grams are too rare",
                *exponents,
            ]
        )

    def plot(self, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
        """Draw correlation against lag and entropy against context, with fits, into two axes; return them."""
        if axes is None:
            from matplotlib.figure import Figure

            axes = Figure(figsize=(10, 4), layout="constrained").subplots(1, 2)
        left, right = axes
        left.plot(self.lags, self.correlation, "o", ms=4, color="C0", label="operator norm of the covariance")
        left.plot(self.lags, self.noise, color="0.5", label="sampling noise")
        inside = (self.lags >= self.window[0]) & (self.lags <= self.window[1])
        _draw_power(left, self.lags[inside], self.correlation[inside], self.beta, r"\beta")
        left.set(xscale="log", yscale="log", xlabel="lag (tokens)", ylabel="correlation")
        n = np.arange(1, len(self.entropies) + 1)
        right.plot(n[: self.usable], self.entropies[: self.usable], "o", color="C0", label="conditional entropy")
        right.plot(
            n[self.usable :], self.entropies[self.usable :], "o", mfc="none", color="0.6", label="counts run out"
        )
        if self.usable >= _LEAST_CONTEXTS:
            excess = self.entropies[: self.usable] - self.floor
            _draw_power(right, n[: self.usable], excess, self.gamma, r"\gamma", self.floor)
        right.set(xscale="log", yscale="log", xlabel="context (tokens)", ylabel="entropy of the next token (nats)")
        right.set_xticks(n, labels=map(str, n), minor=False)
        right.set_xticks([], minor=True)
        for ax in (left, right):
            ax.legend(fontsize=8)
        return list(axes)


def read_tokens(path: str | os.PathLike[str], units: str = "characters") -> tuple[npt.NDArray[Any], list[str]]:
    """Read a text file as one long sequence of symbols, numbered by their order.

    Parameters
    ----------
    path : path
    units : {"characters", "bytes"}
        Characters of UTF-8 text, or bytes of any file.

    Returns
    -------
    tokens : array, shape (N,)
        Of the smallest unsigned dtype.
    symbols : list of str
        What each number stands for.
    """
    as_choice("units", units, UNITS[:2])
    content = read_whole(path)
    if units == "bytes":
        values = np.frombuffer(content, np.uint8)
    else:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f'{path} is not UTF-8 text ({error}): read it with units="bytes"') from None
        values = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    found, tokens = np.unique(values, return_inverse=True)
    names = [f"{x:#04x}" for x in found] if units == "bytes" else [chr(x) for x in found]
    return tokens.astype(smallest_unsigned(len(found))), names


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
    confidence: float = 0.9,
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
        Lags run from 1 to this, evenly on a logarithmic axis; at most a quarter of a segment.
    window : pair of ints, optional
        Lags fitted; by default 1 to the largest resolved one. Lags within it that are not resolved are left out.
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
        For a file that is empty, not text, shorter than 2000 tokens, cut short or changed while it is read, and
        for a window without three resolved lags. Where fewer than three contexts can be counted, as for large
        vocabularies, beta is reported alone, and gamma and alpha are NaN.

    Notes
    -----
    Entropies are differences of block entropies, each by Grassberger's estimator (arXiv:physics/0307138).
    A draw that repeats segments has fewer distinct n-grams than the corpus, which lowers its entropies; they are
    shifted so that the mean over draws is the estimate, and the interval tells the spread alone. Operator norms of
    draws are taken to first order in the fluctuation.
    """
    segments = as_int("segments", segments, low=4)
    top = as_int("top", top, low=2)
    largest_context = as_int("largest_context", largest_context, low=3)
    rng = as_generator(seed)
    source = _open(corpus, units, top, segments)
    if source.tokens < _LEAST_TOKENS:
        raise InputError(f"{source.tokens} tokens are too few for two exponents: give at least {_LEAST_TOKENS}")
    lags = _lags(largest_lag, source.tokens // segments // 4)
    parts = [count_pairs(part, source.vocabulary, distances=lags, threads=threads) for part in source]
    draws = _weights(segments, rng, count)

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
    if inside.sum() < 3:
        raise InputError(
            f"{inside.sum()} lags are resolved (up to lag {lags[resolved].max(initial=0)}) in the window {window}, "
            "and a fit needs 3: give more data, or widen the window"
        )
    u, half = np.log(lags[inside]), (inside.sum() + 1) // 2
    norms = np.log(correlation[inside])
    betas = [-slope(u, x) for x in np.log(_resampled_norms(parts, total, inside, draws))]

    entropies, drift, resampled = _entropies(source, largest_context, draws)
    usable = int(np.logical_and.accumulate(np.abs(drift) <= _LARGEST_DRIFT).sum())
    excess = entropies[:usable] - floor
    if floor < 0 or not (excess > 0).all():
        raise InputError(f"floor={floor} nats must be zero or more, and below the entropies {entropies[:usable]}")
    ln_n = np.log(np.arange(1, usable + 1))
    gamma, gammas = float("nan"), [float("nan")] * len(draws)
    if usable >= _LEAST_CONTEXTS:
        gamma = -slope(ln_n, np.log(excess))
        resampled_excess = [np.log(np.maximum(h[:usable] - floor, 1e-9)) for h in resampled]
        gammas = [-slope(ln_n, x) for x in _centred(resampled_excess, np.log(excess))]
    beta = -slope(u, norms)
    alphas = np.array(gammas) / (2 * np.array(betas))
    return CorpusStatistics(
        tokens=source.tokens,
        vocabulary=source.vocabulary,
        lags=lags,
        correlation=correlation,
        noise=noise,
        resolved=resolved,
        window=(int(lags[inside].min()), int(lags[inside].max())),
        beta=bootstrap(betas, beta, confidence, segments),
        beta_halves=(-slope(u[:half], norms[:half]), -slope(u[-half:], norms[-half:])),
        entropies=entropies,
        drift=drift,
        usable=usable,
        floor=float(floor),
        gamma=bootstrap(gammas, gamma, confidence, segments),
        alpha=bootstrap(alphas, gamma / (2 * beta), confidence, segments),
    )


class _Source:
    """A corpus as equal segments of mapped tokens, read anew at each pass."""

    def __init__(self, read: Any, tokens: int, mapping: npt.NDArray[Any] | None, vocabulary: int) -> None:
        self._read, self.tokens, self._mapping, self.vocabulary = read, tokens, mapping, vocabulary

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        for part in self._read():
            yield part if self._mapping is None else self._mapping[part]


def _open(corpus: Any, units: str, top: int, segments: int) -> _Source:
    """Find symbols and their numbers in a first pass, and return the corpus with rare symbols merged."""
    as_choice("units", units, UNITS)
    if isinstance(corpus, (str, os.PathLike)):
        if units == "tokens" or Path(corpus).suffix == ".npy":
            shape = npy_shape(corpus)
            if len(shape) != 1:
                raise InputError(f"{corpus} has shape {shape}: a corpus is one long sequence, shape (N,)")
            size = max(1, shape[0] // segments)

            def read() -> Iterator[npt.NDArray[Any]]:
                for i, piece in enumerate(npy_pieces(corpus, size)):
                    if i < segments:  # the rest after division is left out
                        yield piece

            return _mapped(read, size * segments, top)
        tokens, _ = read_tokens(corpus, units)
    else:
        tokens = as_tokens(corpus)
        if tokens.ndim != 1:
            raise InputError(f"tokens have shape {tokens.shape}: a corpus is one long sequence, shape (N,)")
    size = len(tokens) // segments
    parts = [tokens[i * size : (i + 1) * size] for i in range(segments)]
    return _mapped(lambda: iter(parts), size * segments, top)


def _mapped(read: Any, tokens: int, top: int) -> _Source:
    frequency = np.zeros(0, np.int64)
    for part in read():
        check_tokens(part, _LARGEST_TABLE, "number the symbols that occur from zero")
        counts = np.bincount(part.astype(np.int64))
        if len(counts) > len(frequency):
            counts[: len(frequency)] += frequency
            frequency = counts
        else:
            frequency[: len(counts)] += counts
    found = np.flatnonzero(frequency)
    order = found[np.argsort(-frequency[found], kind="stable")]
    vocabulary = min(len(order), top)
    mapping = np.full(len(frequency), max(vocabulary - 1, 0), smallest_unsigned(max(vocabulary, 1)))
    mapping[order[:vocabulary]] = np.arange(vocabulary)
    if len(order) == 1:
        raise InputError("the corpus holds one symbol only, and nothing to predict: give another")
    return _Source(read, tokens, mapping, vocabulary)


def _lags(largest: int, most: int) -> npt.NDArray[np.int64]:
    """Lags from 1, evenly on a logarithmic axis."""
    largest = min(as_int("largest_lag", largest, low=3), most)
    return np.unique(np.geomspace(1, largest, 30).round().astype(np.int64))


def _weights(segments: int, seed: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    """How often each bootstrap draw takes each segment, shape (count, segments)."""
    draws = resamples(segments, seed, as_int("count", count, low=1))
    return np.stack([np.bincount(draw, minlength=segments) for draw in draws])


def _resampled_norms(
    parts: Sequence[PairCounts], total: PairCounts, lags: npt.NDArray[np.bool_], draws: npt.NDArray[np.int64]
) -> FloatArray:
    """Operator norms when segments are drawn anew, shape (draws, lags), to first order in the fluctuation.

    The largest singular value changes by ``u' dC v``, with u and v its singular vectors on all data, so that
    each segment enters by three numbers a lag: ``u' n v`` of its counts, ``u' n_a`` and ``n_b' v``.
    """
    _, u, v = largest_singular(total.covariance()[lags])  # (lags, symbols)
    counts = [part.counts[lags] for part in parts]
    joint = np.array([np.einsum("ka,kab,kb->k", u, n, v) for n in counts])  # (segments, lags)
    first = np.array([np.einsum("ka,ka->k", u, n.sum(axis=2)) for n in counts])
    second = np.array([np.einsum("kb,kb->k", v, n.sum(axis=1)) for n in counts])
    pairs = draws @ np.array([n.sum(axis=(1, 2)) for n in counts])  # (draws, lags)
    norms = draws @ joint / pairs - (draws @ first / pairs) * (draws @ second / pairs)
    return np.asarray(np.maximum(norms, 1e-12))


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


def _entropies(
    source: _Source, largest_context: int, draws: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
    """Conditional entropies for contexts 1, 2, .., their drift with half of the data, and resampled ones."""
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
        still = len(blocks) < 3 or abs(_drift(blocks)[-1]) <= _LARGEST_DRIFT
        blocks.append([grams.entropy(w) if i < 3 or still else np.nan for i, w in enumerate(cases)])
    h = np.diff(np.array(blocks), axis=0)  # (contexts, cases)
    return h[:, 0], _drift(blocks), list(h[:, 3:].T)


def _centred(draws: list[FloatArray], estimate: FloatArray) -> FloatArray:
    """Shift resampled values so that their mean is the estimate, shape (draws, values)."""
    values = np.array(draws)
    return np.asarray(values - values.mean(axis=0) + estimate)


def _drift(blocks: list[list[float]]) -> FloatArray:
    h = np.diff(np.array(blocks)[:, :3], axis=0)
    return np.asarray(h[:, 1:].mean(axis=1) / h[:, 0] - 1)


def _grams(source: _Source, n: int) -> _Grams | None:
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


def _text(fit: SlopeFit) -> str:
    return (
        f"{fit.best:.3f} [{fit.low:.3f}, {fit.high:.3f}] "
        f"({fit.confidence:.0%} block bootstrap over {fit.realisations} segments)"
    )


def _draw_power(ax: Axes, x: Any, y: FloatArray, fit: SlopeFit, name: str, floor: float = 0.0) -> None:
    middle = np.exp(np.log(y).mean() + fit.best * np.log(x).mean())
    label = rf"${name} = {fit.best:.2f}$ [{fit.low:.2f}, {fit.high:.2f}]"
    ax.plot(x, middle * np.asarray(x, float) ** -fit.best + floor, color="C3", label=label)
