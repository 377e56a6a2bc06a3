"""How often the intervals of a corpus hold the truth: texts whose correlations or entropies are known exactly.

`of_corpora` is one of the estimators of `calibration.py`. A text costs some tenths of a second, so that its rows
have `TEXTS` sets. Correlations are exact power laws of two kinds: signs of a Gaussian process, and symbols kept for
a random time (renewals). Entropies are those of hidden Markov chains, and of binary renewals.
"""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from rhmtheory import analyse_corpus
from rhmtheory.corpus._windows import slope_weights

TEXTS = 300
"""Texts per row."""
AMPLITUDE = 0.5
"""Correlation at lag 1, as a part of that at lag 0."""
SLOW = "below 0.6"
"""Words by which a result says that it is outside the range."""


def signs(rng: np.random.Generator, tokens: int, beta: float) -> np.ndarray:
    """Signs of a Gaussian process with correlation ``AMPLITUDE * t**-beta``, each with one of three symbols."""
    n = 1 << int(np.ceil(np.log2(2 * tokens)))
    t = np.minimum(np.arange(n), n - np.arange(n)).astype(float)
    # the correlation of the signs is that of the process within an arcsine
    rho = np.ones(n)
    rho[1:] = np.sin(np.pi / 2 * AMPLITUDE * t[1:] ** -beta)
    spectrum = np.maximum(np.fft.rfft(rho).real, 0)
    process = np.fft.irfft(np.sqrt(spectrum) * np.fft.rfft(rng.standard_normal(n)), n)[:tokens]
    return 3 * (process > 0) + rng.integers(3, size=tokens)


def kept(tokens: int, beta: float) -> np.ndarray:
    """Probability that a symbol is kept for t tokens, t = 0, 1, ..: ``AMPLITUDE * t**-beta`` from 1 on."""
    out = np.ones(tokens + 2)
    out[1:] = AMPLITUDE * np.arange(1.0, tokens + 2) ** -beta
    return out


def renewals(
    rng: np.random.Generator, tokens: int, beta: float, p: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
) -> np.ndarray:
    """A symbol drawn with probabilities p is kept for a time, then drawn anew; stationary."""
    alive = kept(tokens, beta)
    longer = (alive[:-1] - alive[1:]) / (alive[0] - alive[1])  # P(T > t), t = 0, 1, ..
    times = np.array([max(1, int(np.searchsorted(-alive, -rng.random(), side="right")))])
    while times.sum() < tokens:
        drawn = np.searchsorted(-longer, -rng.random(tokens // 2), side="right")
        times = np.concatenate([times, drawn])
    return np.repeat(rng.choice(len(p), size=len(times), p=p), times)[:tokens]


@cache
def renewal_entropies(beta: float, longest: int) -> np.ndarray:
    """Exact conditional entropies of binary renewals with even symbols, contexts 1 .. longest."""
    alive = kept(longest + 2, beta)
    rate = alive[0] - alive[1]
    longer = (alive[:-1] - alive[1:]) / rate  # P(T > t)
    at = np.append(longer[:-1] - longer[1:], 0.0)  # P(T = t + 1)
    blocks = [0.0]
    for n in range(1, longest + 2):
        entropy = 0.0
        for word in product((0, 1), repeat=n):
            same = [next((j for j in range(i, n) if word[j] != word[i]), n) - i for i in range(n)]
            # begun[i]: weight of a renewal at i with all before it seen; the first piece may have begun earlier
            begun, total = np.zeros(n + 1), 0.0
            for t in range(1, same[0] + 1):
                if t < n:
                    begun[t] += 0.5 * (alive[t - 1] - alive[t])
                else:
                    total += 0.5 * alive[n - 1]
            for i in range(1, n):
                for t in range(1, same[i] + 1):
                    if i + t < n:
                        begun[i + t] += begun[i] * 0.5 * at[t - 1]
                    else:
                        total += begun[i] * 0.5 * longer[n - i - 1]
            entropy -= total * np.log(total)
        blocks.append(entropy)
    return np.diff(blocks)[1:]


@cache
def chain(seed: int, states: int, symbols: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transitions, emissions and stationary law of a hidden Markov chain."""
    rng = np.random.default_rng(seed)
    T = 0.95 * rng.dirichlet(np.full(states, 0.3), size=states) + 0.05 / states
    E = rng.dirichlet(np.full(symbols, 0.3), size=states)
    return T, E, np.linalg.matrix_power(T, 500)[0]


@cache
def chain_entropies(seed: int, states: int, symbols: int, longest: int) -> np.ndarray:
    """Exact conditional entropies of a hidden chain, contexts 1 .. longest."""
    T, E, law = chain(seed, states, symbols)
    forward, blocks = law[None], []
    for _ in range(longest + 1):
        seen = np.einsum("ws,sx->wxs", forward, E).reshape(-1, states)
        p = seen.sum(axis=1)
        blocks.append(-(p[p > 0] * np.log(p[p > 0])).sum())
        forward = seen @ T
    return np.diff(blocks)


def chain_text(rng: np.random.Generator, tokens: int, seed: int, states: int, symbols: int) -> np.ndarray:
    """Tokens of a hidden chain."""
    T, E, law = chain(seed, states, symbols)
    steps, u = T.cumsum(axis=1).tolist(), rng.random(tokens).tolist()
    state, path = int(np.searchsorted(law.cumsum(), rng.random())), []
    for x in u:
        path.append(state)
        row = steps[state]
        state = 0
        while state < states - 1 and row[state] < x:
            state += 1
    emitted = (E.cumsum(axis=1)[path] < rng.random((tokens, 1))).sum(axis=1)
    return np.minimum(emitted, symbols - 1)


def of_corpora(rng: np.random.Generator, sets: int, row: Callable[[str, bool], Any]) -> Iterator[Any]:
    """Rows for beta, gamma and alpha; ``row`` makes one from its words and whether it is inside the range."""
    sets = min(sets, TEXTS)
    yield from _of_beta(rng, sets, row)
    yield from _of_gamma(rng, sets, row)
    yield from _of_alpha(rng, sets, row)


def _of_beta(rng: np.random.Generator, sets: int, row: Callable[[str, bool], Any]) -> Iterator[Any]:
    cells: list[tuple[Callable[..., np.ndarray], float, int, dict[str, int], bool]] = [
        (signs, 0.5, 60_000, {}, False),
        (signs, 0.7, 60_000, {}, True),
        (signs, 1.0, 60_000, {}, True),
        (signs, 1.5, 60_000, {}, True),
        (signs, 1.0, 20_000, {}, True),
        (signs, 1.0, 60_000, {"segments": 8}, True),
        (renewals, 1.5, 60_000, {}, True),
        (renewals, 2.0, 60_000, {}, True),
        (renewals, 1.0, 60_000, {}, True),
        (signs, 0.3, 60_000, {}, False),
        (renewals, 0.3, 60_000, {}, False),
    ]
    for make, beta, tokens, options, inside in cells:
        words = "".join(f", {name}={value}" for name, value in options.items())
        found = row(f"corpus beta: {make.__name__}, beta {beta:g}, {tokens} tokens{words}", inside)
        for _ in range(sets):
            result = analyse_corpus(make(rng, tokens, beta), largest_lag=400, largest_context=3, **options)
            found.add(result.beta, beta, any(SLOW in note for note in result.notes))
        yield found


def _slope(entropies: np.ndarray, floor: float, contexts: int) -> float:
    n = np.arange(1.0, contexts + 1)
    return -float(slope_weights(np.log(n)) @ np.log(entropies[:contexts] - floor))


def _of_gamma(rng: np.random.Generator, sets: int, row: Callable[[str, bool], Any]) -> Iterator[Any]:
    for seed, states, symbols, tokens, part in (
        (1, 3, 2, 60_000, 0.9),
        (2, 5, 4, 60_000, 0.8),
        (3, 6, 6, 60_000, 0.0),
        (4, 8, 8, 60_000, 0.8),
    ):
        longest = 7 if symbols < 5 else 5
        exact = chain_entropies(seed, states, symbols, longest)
        floor = part * float(exact[-1])
        found = row(f"corpus gamma: hidden chain of {symbols} symbols, floor {floor:.2f}, {tokens} tokens", True)
        for _ in range(sets):
            text = chain_text(rng, tokens, seed, states, symbols)
            result = analyse_corpus(text, largest_lag=50, floor=floor, largest_context=longest)
            found.add(result.gamma, _slope(exact, floor, result.fitted))
        yield found


def _of_alpha(rng: np.random.Generator, sets: int, row: Callable[[str, bool], Any]) -> Iterator[Any]:
    for beta, tokens in ((1.5, 60_000), (2.0, 60_000)):
        exact = renewal_entropies(beta, 8)
        floor = 0.97 * float(exact[-1])
        rows = [
            row(f"corpus {name}: binary renewals, beta {beta:g}, {tokens} tokens", True)
            for name in ("gamma", "alpha")
        ]
        for _ in range(sets):
            text = renewals(rng, tokens, beta, (0.5, 0.5))
            result = analyse_corpus(text, largest_lag=400, floor=floor)
            gamma = _slope(exact, floor, result.fitted)
            rows[0].add(result.gamma, gamma)
            rows[1].add(result.alpha, gamma / (2 * beta))
        yield from rows
