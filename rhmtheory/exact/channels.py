"""Noise on tokens: ways to observe a sentence, and the beliefs that an observer has of each token.

A channel draws observations (`observe`) and gives the likelihood of every symbol (`beliefs`), to be handed to
`posteriors`, `log_likelihood` or `sample_posterior`. Observers know their channel: their posteriors are calibrated.
The `EpsilonProcess` is none: its beliefs are centred on the true token, and no observation has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rhmtheory.support.checks import as_generator, as_int, as_integers, as_numbers, check_tokens
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.types import FloatArray, IntArray


@dataclass(frozen=True)
class UniformNoise:
    """Each token is kept with probability 1 - noise, and else drawn uniformly: wrong with ``noise (1 - 1/v)``.

    Parameters
    ----------
    v : int
        Number of token symbols.
    noise : float
        From 0, nothing changes, to 1, nothing is told.

    Examples
    --------
    >>> channel = UniformNoise(v=4, noise=0.2)
    >>> channel.beliefs([[2]]).round(2).tolist()
    [[[0.05, 0.05, 0.85, 0.05]]]
    """

    v: int
    noise: float

    def __post_init__(self) -> None:
        _check(self.v, self.noise)

    def observe(self, tokens: npt.ArrayLike, *, seed: int | np.random.Generator = 0) -> IntArray:
        """Draw what is seen of tokens, of the same shape.

        Parameters
        ----------
        tokens : integer array
        seed : int or numpy.random.Generator
        """
        rng, given = as_generator(seed), _tokens(tokens, self.v)
        return np.where(rng.random(given.shape) < self.noise, rng.integers(self.v, size=given.shape), given)

    def beliefs(self, observed: npt.ArrayLike) -> FloatArray:
        """Likelihood of each symbol behind what is seen, (..., v): ``1 - noise + noise / v`` of the one seen."""
        return _centred(_tokens(observed, self.v), self.v, self.noise)


@dataclass(frozen=True)
class Masking:
    """Each token is hidden with probability ``rate``, shown as -1, and else seen as it is.

    Parameters
    ----------
    v : int
        Number of token symbols.
    rate : float
        From 0 to 1.
    """

    v: int
    rate: float

    def __post_init__(self) -> None:
        _check(self.v, self.rate, "rate")

    def observe(self, tokens: npt.ArrayLike, *, seed: int | np.random.Generator = 0) -> IntArray:
        """Draw what is seen of tokens, of the same shape: -1 where one is hidden.

        Parameters
        ----------
        tokens : integer array
        seed : int or numpy.random.Generator
        """
        given = _tokens(tokens, self.v).astype(np.int64)
        return np.where(as_generator(seed).random(given.shape) < self.rate, -1, given)

    def beliefs(self, observed: npt.ArrayLike) -> FloatArray:
        """Likelihood of each symbol, (..., v): all alike where -1 is seen, else certain."""
        seen = as_integers("observed", observed)
        _tokens(np.where(seen == -1, 0, seen), self.v)
        return np.where(seen[..., None] == -1, 1.0, seen[..., None] == np.arange(self.v))


@dataclass(frozen=True)
class GaussianLeaves:
    """Each token is a one-hot vector with Gaussian noise of deviation ``sigma`` on every entry.

    Parameters
    ----------
    v : int
        Number of token symbols.
    sigma : float
        Positive.
    """

    v: int
    sigma: float

    def __post_init__(self) -> None:
        _check(self.v, 0.0)
        if not 0 < self.sigma < np.inf:
            raise InputError("sigma", self.sigma, "is no deviation", "give a positive number")

    def observe(self, tokens: npt.ArrayLike, *, seed: int | np.random.Generator = 0) -> FloatArray:
        """Draw what is seen of tokens, shape (..., v).

        Parameters
        ----------
        tokens : integer array
        seed : int or numpy.random.Generator
        """
        given = _tokens(tokens, self.v)
        noise = as_generator(seed).normal(scale=self.sigma, size=(*given.shape, self.v))
        return np.asarray((given[..., None] == np.arange(self.v)) + noise)

    def beliefs(self, observed: npt.ArrayLike) -> FloatArray:
        """Likelihood of each symbol, (..., v), the largest one: ``exp(y_a / sigma**2)`` up to a factor."""
        seen = as_numbers("observed", observed)
        if seen.ndim == 0 or seen.shape[-1] != self.v or not np.isfinite(seen).all():
            rule = f"have shape {seen.shape}" if seen.shape[-1:] != (self.v,) else "are not finite"
            raise InputError("observed", NOT_SAID, rule, f"give a vector of v={self.v} numbers per token")
        return np.asarray(np.exp((seen - seen.max(axis=-1, keepdims=True)) / self.sigma**2))


@dataclass(frozen=True)
class EpsilonProcess:
    """A fixed belief about each token, centred on the true one: that of arXiv:2402.16991, and no channel.

    Parameters
    ----------
    v : int
        Number of token symbols.
    noise : float
        The epsilon of the paper, 0..1.
    """

    v: int
    noise: float

    def __post_init__(self) -> None:
        _check(self.v, self.noise)

    def beliefs(self, tokens: npt.ArrayLike) -> FloatArray:
        """Belief (..., v): ``1 - noise + noise / v`` in the true symbol, the rest shared out equally."""
        return _centred(_tokens(tokens, self.v), self.v, self.noise)


def _check(v: int, noise: float, name: str = "noise") -> None:
    as_int("v", v, low=2)
    if not 0 <= noise <= 1:
        raise InputError(name, noise, "is no probability", "give a number from 0 to 1")


def _tokens(tokens: npt.ArrayLike, v: int) -> IntArray:
    array = as_integers("tokens", tokens)
    check_tokens(array, v, "give a channel of `v`={needed} symbols")
    return array


def _centred(tokens: IntArray, v: int, noise: float) -> FloatArray:
    return np.where(tokens[..., None] == np.arange(v), 1 - noise + noise / v, noise / v)
