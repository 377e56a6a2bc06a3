"""Sentences noised and denoised by an ideal observer: which symbols change, and how tokens change together.

Noise a sentence, draw a derivation from its exact posterior, and compare the two. No network takes part.

Equation noise-susceptibility of docs/theory_noise.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.exact.channels import EpsilonProcess, Masking, UniformNoise
from rhmtheory.exact.inference import sample_posterior_trees
from rhmtheory.support.checks import as_choice, as_generator, as_int, as_numbers
from rhmtheory.support.errors import InputError
from rhmtheory.support.json import plain
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue
from rhmtheory.tree.sampling import sample_trees
from rhmtheory.tree.tables import Tables

DENOISED = ("channel", "epsilon", "masking")
"""Processes that `denoised` takes."""
_BLOCK = 1 << 22
"""Floats of the beliefs of the sentences that are done at once (32 MiB)."""


@dataclass(frozen=True, eq=False)
class Denoised(ByValue):
    """How sentences of one grammar change when they are noised and denoised. Made by `denoised`.

    ``sigma_i`` is one where token i changes, else zero; ``C_ij`` is its covariance over sentences.

    Attributes
    ----------
    process : str
        ``channel``, ``epsilon`` or ``masking``.
    samples : int
        Number of sentences.
    noise : array, shape (E,)
    changed, changed_error : arrays, shape (E, L + 1)
        Probability that a symbol of each level changes, mean over nodes, and its standard error. Entry 0 is of the
        tokens, entry L of the class.
    susceptibility, susceptibility_error : arrays, shape (E,)
        ``chi = sum_ij C_ij / sum_i C_ii``: one where tokens change independently. NaN where none changes.
    length, length_error : arrays, shape (E,), tokens
        Correlation length ``sum_ij |i - j| C_ij / sum_(i != j) C_ij``, the mean distance of tokens that change
        together. Without such tokens it is undetermined, and its error large.
    covariance : array, shape (E, d)
        Mean of ``C_ij`` over pairs at distance 0..d-1.
    """

    process: str
    samples: int
    noise: FloatArray
    changed: FloatArray
    changed_error: FloatArray
    susceptibility: FloatArray
    susceptibility_error: FloatArray
    length: FloatArray
    length_error: FloatArray
    covariance: FloatArray

    @property
    def peak(self) -> float:
        """Noise at the peak of the susceptibility: vertex of the parabola through its largest value and neighbours.

        At either end of the noise it is that end.
        """
        order = np.argsort(self.noise)
        x, y = self.noise[order], np.nan_to_num(self.susceptibility[order], nan=-np.inf)
        top = int(y.argmax())
        if top in (0, len(x) - 1) or not np.isfinite(y[top - 1 : top + 2]).all():
            return float(x[top])
        curvature, slope, _ = np.polyfit(x[top - 1 : top + 2] - x[top], y[top - 1 : top + 2], 2)
        return float(x[top] - slope / (2 * curvature)) if curvature < 0 else float(x[top])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is undefined is None."""
        content: dict[str, Any] = plain(self)
        return {**content, "peak": self.peak}

    def plot(self, ax: Any = None) -> Any:
        """Draw the susceptibility, and how often class and tokens change, into (new) matplotlib axes."""
        from rhmtheory.plotting import plot_denoised

        return plot_denoised(self, ax)


def denoised(
    tables: Tables,
    noise: npt.ArrayLike,
    *,
    samples: int = 512,
    process: str = "channel",
    seed: int | np.random.Generator = 0,
    threads: int | None = None,
) -> Denoised:
    """Noise sentences, draw one derivation each from the exact posterior, and count what has changed.

    Parameters
    ----------
    tables : Tables
        One grammar.
    noise : array of numbers from 0 to 1
        Noise of the channel, epsilon of the process, or rate of the masking.
    samples : int
        Number of sentences; all noises share them, and their random numbers.
    process : {"channel", "epsilon", "masking"}
        ``"channel"``: what is seen is drawn (`UniformNoise`), and the posterior is that of who knows the channel.
        ``"epsilon"``: beliefs centred on the true tokens (`EpsilonProcess`), the process of arXiv:2402.16991.
        ``"masking"``: each token is hidden or seen (`Masking`).
    seed : int or numpy.random.Generator
    threads : int, optional
        As in `posteriors`.

    Returns
    -------
    Denoised

    Raises
    ------
    InputError
        For noise outside [0, 1], an unknown process, and fewer than two samples.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> found = denoised(g, [0.0, 0.3, 1.0], samples=200)
    >>> found.changed[0].tolist()  # nothing is changed without noise
    [0.0, 0.0, 0.0, 0.0]
    >>> bool(abs(found.changed[2, 3] - 7 / 8) < 0.1)  # the class is drawn anew by nothing but noise
    True

    Notes
    -----
    Susceptibility and U-turns of arXiv:2410.13770. The mean of ``1 - changed`` is the belief of `overlaps`, which
    needs no sentences but knows nothing of pairs.
    """
    levels = np.atleast_1d(as_numbers("noise", noise)).ravel()
    if not ((levels >= 0) & (levels <= 1)).all():
        raise InputError("noise", noise, "leaves the range of probabilities", "give numbers from 0 to 1")
    as_choice("process", process, DENOISED)
    samples = as_int("samples", samples, low=2)
    key = int(as_generator(seed).integers(1 << 63))
    rows = [_one_noise(tables, float(x), process, samples, key, threads) for x in levels]
    changed, changed_error, chi, length, covariance = (np.array(column) for column in zip(*rows, strict=True))
    (chi, chi_error), (xi, xi_error) = chi.T.copy(), length.T.copy()
    return Denoised(process, samples, levels, changed, changed_error, chi, chi_error, xi, xi_error, covariance)


def _changes(
    tables: Tables,
    noise: float,
    *,
    process: str,
    samples: int,
    rng: np.random.Generator,
    threads: int | None = None,
) -> list[npt.NDArray[np.bool_]]:
    """Draw sentences and their denoised copies; returns for each level 0..L whether nodes differ, (samples, width).

    Parameters
    ----------
    tables, noise, process, samples, threads
        As in `denoised`; one noise.
    rng : numpy.random.Generator
    """
    shape = tables.shape
    out: list[list[npt.NDArray[np.bool_]]] = [[] for _ in range(shape.L + 1)]
    size = max(1, _BLOCK // (shape.d * shape.n_symbols(0)))
    for start in range(0, samples, size):
        trees = sample_trees(tables, min(size, samples - start), rng)
        beliefs = _beliefs(trees.tokens, shape.n_symbols(0), noise, process, rng)
        again = sample_posterior_trees(tables, beliefs, seed=rng, threads=threads)
        for level, differs in enumerate(out):
            differs.append(trees.level(level) != again.level(level))
    return [np.concatenate(differs) for differs in out]


def _beliefs(tokens: npt.ArrayLike, v: int, noise: float, process: str, rng: np.random.Generator) -> FloatArray:
    if process == "epsilon":
        return EpsilonProcess(v, noise).beliefs(tokens)
    channel = UniformNoise(v, noise) if process == "channel" else Masking(v, noise)
    return channel.beliefs(channel.observe(tokens, seed=rng))


def _one_noise(
    tables: Tables, noise: float, process: str, samples: int, key: int, threads: int | None
) -> tuple[Any, ...]:
    rng = np.random.default_rng(key)
    found = _changes(tables, noise, process=process, samples=samples, rng=rng, threads=threads)
    of_samples = [one.mean(axis=1) for one in found]
    changed = [float(x.mean()) for x in of_samples]
    error = [float(x.std(ddof=1) / np.sqrt(samples)) for x in of_samples]
    return changed, error, *_pairs(found[0])


def _pairs(differs: npt.NDArray[np.bool_]) -> tuple[tuple[float, float], tuple[float, float], FloatArray]:
    """Susceptibility and length with standard errors, and the covariance (d,) by distance."""
    n, d = differs.shape
    mean = differs.mean(axis=0)
    distance = np.arange(d)
    total, own, every, far = np.zeros(d), np.empty(n), np.empty(n), np.empty(n)
    size = max(1, _BLOCK // (4 * d))
    for at in range(0, n, size):
        sigma = differs[at : at + size] - mean
        # sum_i sigma_i sigma_(i + r) of each sentence
        spectrum = np.fft.rfft(sigma, 2 * d, axis=1)
        pairs = np.fft.irfft(np.abs(spectrum) ** 2, 2 * d, axis=1)[:, :d]
        total += pairs.sum(axis=0)
        own[at : at + size], every[at : at + size] = pairs[:, 0], sigma.sum(axis=1) ** 2
        far[at : at + size] = 2 * pairs @ distance
    covariance = total / (d - distance) / (n - 1)
    return _ratio(every, own), _ratio(far, every - own), covariance


def _ratio(top: FloatArray, bottom: FloatArray) -> tuple[float, float]:
    """Ratio of means, and its standard error to first order."""
    if not bottom.any():
        return np.nan, np.nan
    ratio = top.mean() / bottom.mean()
    scatter = (top - ratio * bottom).std(ddof=1) / np.sqrt(len(top))
    return float(ratio), float(scatter / abs(bottom.mean()))
