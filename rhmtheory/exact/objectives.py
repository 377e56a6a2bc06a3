"""Ideal losses of further objectives: the root symbol, hidden tokens, tokens behind noise of unknown strength."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy.special import entr, softmax

from rhmtheory.exact.channels import UniformNoise
from rhmtheory.exact.entropy import EntropyEstimate, shannon
from rhmtheory.exact.inference import posteriors
from rhmtheory.exact.likelihoods import log_likelihood
from rhmtheory.support.checks import as_generator, as_int
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.tree.sampling import sample
from rhmtheory.tree.tables import Tables


def class_plateaus(tables: Tables) -> FloatArray:
    """Entropies of the root symbol given nothing, and given the last ``s**k`` tokens, exactly.

    The last ``s**k`` tokens fix the level-k symbol above them, and say no more of the root than it does.

    Returns
    -------
    array, shape (L + 1,), nats
        Entry 0 is of who sees nothing, and chance; entry L is zero.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> RHM(v=8, m=2, s=2, L=3).grammar(seed=0).class_plateaus().shape
    (4,)
    """
    shape, joint = tables.shape, np.diag(tables.prior)
    out = [0.0]
    for level in range(shape.L, 1, -1):
        joint = joint @ tables.transition(level)[-1]
        out.append(float(entr(joint).sum() - shannon(joint.sum(axis=0))))
    return np.maximum(0.0, [float(shannon(tables.prior)), *out[::-1]])


def masked_plateaus(
    tables: Tables,
    hidden: float | Iterable[int],
    *,
    samples: int = 2048,
    seed: int | np.random.Generator = 0,
    threads: int | None = None,
) -> EntropyEstimate:
    """Mean entropies of hidden tokens given the tokens that are seen, by context level.

    Each is a mean, over sentences and their hidden tokens, of the entropy of the exact posterior. The predictor of
    context level k sees what lies below the same level-k node as the hidden token.

    Parameters
    ----------
    tables : Tables
    hidden : float, or integers
        Rate at which tokens are hidden, independently; or positions, the same in every sentence.
    samples : int
        Sentences.
    seed : int or numpy.random.Generator
    threads : int, optional
        As in `posteriors`.

    Returns
    -------
    EntropyEstimate
        ``mean`` and ``standard_error`` of shape (L + 1,), nats.

    Raises
    ------
    InputError
        Where no token, or every one, is hidden, and for positions beyond the sentence.
    """
    d, n = tables.shape.d, as_int("samples", samples, low=2)
    rng = as_generator(seed)
    tokens = sample(tables, n, rng)
    if isinstance(hidden, float):
        if not 0 < hidden < 1:
            raise InputError("hidden", hidden, "is no rate between 0 and 1", "give one such as 0.15, or positions")
        mask = rng.random((n, d)) < hidden
    else:
        positions = [as_int("hidden", position, low=0, high=d - 1) for position in hidden]
        if not 0 < len(set(positions)) < d:
            raise InputError("hidden", positions, "hides no token or every one", "hide some and leave some")
        mask = np.tile(np.isin(np.arange(d), positions), (n, 1))
    sums = []
    for k in range(tables.shape.L + 1):
        p = posteriors(tables, tokens, mask=mask, context_level=k, threads=threads)
        sums.append((entr(p).sum(axis=-1) * mask).sum(axis=1))
    return _mean_of(np.array(sums), mask.sum(axis=1))


def ideal_denoiser(
    tables: Tables, observed: npt.ArrayLike, *, context_level: int | None = None, threads: int | None = None
) -> FloatArray:
    """Bayes-optimal distribution of every token behind noise of unknown strength, exactly.

    Each token was drawn anew with probability eps, and eps is uniform on (0, 1):
    ``p(x_i | y) ~ integral of p(y | eps) p(x_i | y, eps)``. The integrand is a polynomial in eps of as many degrees
    as tokens are seen, so that Gauss's rule of half as many points is exact.

    Parameters
    ----------
    tables : Tables
    observed : integer array, shape (P, d)
        Noisy sentences.
    context_level : int, optional
        As in `posteriors`: only what lies below the same level-k node is seen. By default L, all.
    threads : int, optional

    Returns
    -------
    array, shape (P, d, v)

    Raises
    ------
    InputError
        As in `posteriors`.
    """
    shape, seen = tables.shape, np.atleast_2d(observed)
    k = shape.L if context_level is None else as_int("context_level", context_level, low=0, high=shape.L)
    span = shape.span(k)
    nodes, weights = np.polynomial.legendre.leggauss(span // 2 + 1)
    block = np.arange(shape.d) // span
    found, logs = [], []
    for eps, weight in zip((1 + nodes) / 2, weights, strict=True):
        beliefs = UniformNoise(shape.n_symbols(0), float(eps)).beliefs(seen)
        found.append(posteriors(tables, beliefs, context_level=k, threads=threads))
        alone = [np.where((block == b)[:, None], beliefs, 1.0) for b in range(shape.d // span)]
        likelihoods = [log_likelihood(tables, one, threads=threads) for one in alone]
        logs.append(np.log(weight) + np.stack(likelihoods, axis=1))
    shares = softmax(np.array(logs), axis=0)[:, :, block]  # (points, P, d)
    out: FloatArray = np.einsum("epi,epiv->piv", shares, np.array(found))
    return out


def denoising_plateaus(
    tables: Tables, *, samples: int = 1024, seed: int | np.random.Generator = 0, threads: int | None = None
) -> EntropyEstimate:
    """Mean entropies of all tokens given a noisy sentence, by context level: losses of `ideal_denoiser`.

    Parameters
    ----------
    tables : Tables
    samples : int
        Sentences, each with a noise of its own.
    seed : int or numpy.random.Generator
    threads : int, optional

    Returns
    -------
    EntropyEstimate
        ``mean`` and ``standard_error`` of shape (L + 1,), nats.
    """
    shape, n, rng = tables.shape, as_int("samples", samples, low=2), as_generator(seed)
    tokens, eps = sample(tables, n, rng), rng.random((n, 1))
    anew = rng.integers(shape.n_symbols(0), size=tokens.shape)
    seen = np.where(rng.random(tokens.shape) < eps, anew, tokens)
    levels = range(shape.L + 1)
    found = [entr(ideal_denoiser(tables, seen, context_level=k, threads=threads)).sum(axis=-1) for k in levels]
    return _mean_of(np.array(found).sum(axis=-1), np.full(n, shape.d))


def _mean_of(sums: FloatArray, counts: npt.NDArray[np.int64]) -> EntropyEstimate:
    """Means from the sums (L + 1, P) over the tokens of each sentence, and their numbers, (P,)."""
    mean = sums.sum(axis=1) / max(1, counts.sum())
    deviations = (sums - mean[:, None] * counts).std(axis=1, ddof=1)
    return EntropyEstimate(mean, deviations / (np.sqrt(len(counts)) * max(counts.mean(), 1e-300)), len(counts))
