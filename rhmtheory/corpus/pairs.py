"""Correlations measured on data: covariances of symbols, their sampling noise, and the range they reach."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.corpus._counting import Counter, Ends, as_batches, as_groups, largest_singular, no_tokens
from rhmtheory.support.checks import as_generator, as_int, as_tokens
from rhmtheory.support.errors import InputError
from rhmtheory.support.tables import Table
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue

_LEAST_PAIRS = 4
"""Pairs that an unbiased mean square needs."""
_SIGNIFICANT = 3.0
"""Standard errors above zero that a correlation needs to count as seen."""


@dataclass(frozen=True, eq=False)
class PairCounts(ByValue):
    """How often a symbol (or tuple of symbols) and a token occurred together; all statistics follow from it.

    Made by `count_pairs`. Counts are integers, so that parts counted apart and added give the same bits as
    the whole: ``a + b`` for sets of sequences, and for pieces of one long sequence, in their order, where the
    pairs across the border are counted too.

    Attributes
    ----------
    counts : int64 array, shape (groups, v**tuple_size, v), read-only
        Entry ``[k, a, b]``: pairs of group ``k`` with ``a`` on the left and token ``b`` on the right. A tuple is
        numbered in base v, its first token most significant.
    groups : int array, shape (groups,) or (groups, 2)
        Distances, or pairs of positions (first position of the tuple, position of the token).
    vocabulary : int
        Number of token symbols v.
    tuple_size : int
        Tokens on the left; 1 for token-token counts.
    sequences : int
        Sequences counted; 1 for a long sequence.
    tokens : int
        Tokens read.
    """

    counts: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    vocabulary: int
    tuple_size: int
    sequences: int
    tokens: int
    _ends: Ends = None

    def __post_init__(self) -> None:
        self.counts.flags.writeable = False

    def __add__(self, other: PairCounts) -> PairCounts:
        if not isinstance(other, PairCounts):
            return NotImplemented
        same = self.vocabulary == other.vocabulary and self.tuple_size == other.tuple_size
        if not same or not np.array_equal(self.groups, other.groups):
            raise InputError(
                "these counts",
                rule="are of different pairs",
                way_out="add counts of one vocabulary and set of pairs",
            )
        if (self._ends is None) != (other._ends is None):
            raise InputError(
                "counts of one long sequence and counts of separate sequences",
                rule="do not add up",
                way_out="count both in one way",
            )
        total = Counter(self.vocabulary, self.groups, self.tuple_size, None)
        for part in (self, other):
            total.add(part.counts, part.tokens, part.sequences, part._ends)
        return _frozen(total)

    @property
    def pairs(self) -> npt.NDArray[np.int64]:
        """Number of pairs in each group, shape (groups,)."""
        return np.asarray(self.counts.sum(axis=(1, 2)))

    def covariance(self) -> FloatArray:
        """Plug-in covariance ``n_ab/n - n_a n_b/n**2`` of each group, the shape of ``counts``."""
        n = self._enough_pairs(1)[:, None, None]
        p, q = self._marginals()
        return np.asarray(self.counts / n - p[:, :, None] * q[:, None, :])

    def mean_square(self) -> FloatArray:
        r"""Unbiased mean square of the covariance over its entries, shape (groups,): sampling noise subtracted.

        ``sum_ab C_ab**2`` is the Hilbert-Schmidt independence criterion of two indicator variables, of which
        the U-statistic of Song et al. (J. Mach. Learn. Res. 13, 1393, 2012, eq. 5) is exactly unbiased for
        independent pairs. It may be negative where there is no correlation.
        """
        n = self._enough_pairs(_LEAST_PAIRS).astype(float)
        joint = self.counts.astype(float)
        a, b = joint.sum(axis=2), joint.sum(axis=1)
        # with K_ij = [x_i = x_j] off the diagonal, L likewise: tr KL, 1'K1, 1'L1 and 1'KL1
        both = (joint**2).sum(axis=(1, 2)) - n
        left, right = (a**2).sum(axis=1) - n, (b**2).sum(axis=1) - n
        mixed = np.einsum("kab,ka,kb->k", joint, a - 1, b - 1)
        total = (both + left * right / ((n - 1) * (n - 2)) - 2 * mixed / (n - 2)) / (n * (n - 3))
        return np.asarray(total / joint[0].size)

    def noise_mean_square(self) -> FloatArray:
        """Mean square that ``pairs`` independent pairs show without any correlation, shape (groups,).

        ``(1 - sum_a p_a**2)(1 - sum_b q_b**2) / n`` over the number of entries; for equally likely tokens and
        ``P`` pairs about ``1 / (v**2 P)``, for a token and a tuple of m v likely ones ``1 / (v**2 m P)`` when
        the mean is over likely tuples only (arXiv:2406.00048).
        """
        p, q = self._marginals()
        spread = (1 - (p**2).sum(axis=1)) * (1 - (q**2).sum(axis=1))
        return np.asarray(spread / self._enough_pairs(1) / self.counts[0].size)

    def standard_error(self) -> FloatArray:
        """Standard error of `mean_square` for independent pairs, shape (groups,).

        Two terms, as for any U-statistic: ``4 Var[g]/n`` with the influence ``g(a, b) = C_ab`` less its means
        over either marginal, and ``2 |S_p|**2 |S_q|**2 / n**2`` with ``S`` the covariance of one side's
        indicators, which is what remains without correlation. Pairs that share tokens (groups that pool
        positions of one sequence) are not independent; `jackknife` measures their error.
        """
        n = self._enough_pairs(_LEAST_PAIRS).astype(float)
        p, q = self._marginals()
        C = self.covariance()
        g = C - np.einsum("kab,kb->ka", C, q)[:, :, None] - np.einsum("kab,ka->kb", C, p)[:, None, :]
        joint = self.counts / n[:, None, None]
        mean = np.einsum("kab,kab->k", joint, g)
        variance = np.einsum("kab,kab->k", joint, g**2) - mean**2
        chance = 2 * _spread(p) * _spread(q) / n**2
        # noise in C adds twice the chance term to the plug-in variance of g
        return np.asarray(np.sqrt(np.maximum(4 * variance / n - chance, chance)) / self.counts[0].size)

    def rms(self) -> FloatArray:
        """Root of `mean_square`, shape (groups,); zero where the estimate is negative."""
        return np.sqrt(np.maximum(self.mean_square(), 0))

    def operator_norm(self) -> FloatArray:
        """Largest singular value of the plug-in covariance, shape (groups,); noise is not subtracted."""
        return largest_singular(self.covariance())[0]

    def noise_operator_norm(self, draws: int = 8, seed: int | np.random.Generator = 0) -> FloatArray:
        """Mean operator norm that independent pairs show without correlation, shape (groups,).

        By ``draws`` simulations of the noise (with this ``seed``), ``S_p**(1/2) G S_q**(1/2) / sqrt(n)`` with G
        standard normal and ``S_p = diag(p) - p p'`` the covariance of one side's indicators: for skewed marginals
        the closed bounds (Chevet's inequality) are too high by half.

        Parameters
        ----------
        draws : int
        seed : int or Generator
        """
        draws, rng = as_int("draws", draws, low=1), as_generator(seed)
        n = self._enough_pairs(1)
        roots = [np.sqrt(x) for x in self._marginals()]
        total = np.zeros(len(n))
        for _ in range(draws):
            G = np.broadcast_to(rng.standard_normal(self.counts.shape[1:]), self.counts.shape)
            # S**(1/2) = diag(r)(1 - r r'), r = sqrt(p)
            G = G - roots[0][:, :, None] * np.einsum("ka,kab->kb", roots[0], G)[:, None, :]
            G = G - np.einsum("kab,kb->ka", G, roots[1])[:, :, None] * roots[1][:, None, :]
            G = roots[0][:, :, None] * G * roots[1][:, None, :]
            total += largest_singular(G)[0]
        return np.asarray(total / draws / np.sqrt(n))

    def effective_range(self, P: float | None = None) -> int:
        """Largest distance whose correlation stands above the noise of ``P`` pairs; 0 where there is none.

        Parameters
        ----------
        P : float, optional
            At most the number of pairs counted, which is the default. A smaller value tells the range
            ``t*(P)`` of a smaller data set, with the correlation measured on all data:
            ``t*(P) ~ P**(1/(2 beta))`` for correlations that decay with exponent beta.

        Returns
        -------
        int
            Largest ``t`` with `mean_square` at least `noise_mean_square` (for P pairs) and three standard errors
            above zero. For groups that are pairs of positions, ``t`` is the difference of the positions.
        """
        n = self._enough_pairs(_LEAST_PAIRS)
        P = n.min() if P is None else P
        if not 1 <= P <= n.max():
            raise InputError("P", P, f"is outside 1..{n.max()}, the pairs counted", "count more data, or lower `P`")
        square = self.mean_square()
        seen = (square >= self.noise_mean_square() * n / P) & (square >= _SIGNIFICANT * self.standard_error())
        distance = self.groups if self.groups.ndim == 1 else abs(self.groups[:, 1] - self.groups[:, 0])
        return int(distance[seen].max(initial=0))

    def _marginals(self) -> tuple[FloatArray, FloatArray]:
        n = self._enough_pairs(1)[:, None]
        return self.counts.sum(axis=2) / n, self.counts.sum(axis=1) / n

    def _enough_pairs(self, least: int) -> npt.NDArray[np.int64]:
        n = self.pairs
        if (n < least).any():
            k = int(np.argmin(n))
            raise InputError(
                f"group {self.groups[k].tolist()}",
                rule=f"holds {n[k]} pairs, and this needs at least {least}",
                way_out="count more data, or leave the group out",
            )
        return n

    def plot(self, ax: Any = None) -> Any:
        """Draw the correlation of each group against its distance into ``ax``, by default new axes; return them."""
        from rhmtheory.plotting import plot_pairs

        return plot_pairs(self, ax)

    def __str__(self) -> str:
        if (self.pairs < _LEAST_PAIRS).any():
            return repr(self)
        columns = self.pairs, self.rms(), np.sqrt(self.noise_mean_square()), self.operator_norm()
        rows = [
            (str(group), str(n), f"{rms:.3g}", f"{noise:.3g}", f"{norm:.3g}")
            for group, n, rms, noise, norm in zip(self.groups.tolist(), *columns, strict=True)
        ]
        return str(Table(repr(self)[1:-1], ("pair", "count", "rms", "noise", "operator norm"), tuple(rows)))

    def __repr__(self) -> str:
        what = "distances" if self.groups.ndim == 1 else "pairs of positions"
        return f"<PairCounts of {len(self.groups)} {what}, v={self.vocabulary}, {self.tokens} tokens>"


def count_pairs(
    tokens: npt.ArrayLike | Iterable[npt.ArrayLike] | str | os.PathLike[str],
    vocabulary: int | None = None,
    *,
    distances: Sequence[int] | npt.NDArray[Any] | None = None,
    pairs: Sequence[tuple[int, int]] | npt.NDArray[Any] | None = None,
    tuple_size: int = 1,
    threads: int | None = None,
) -> PairCounts:
    """Count pairs of tokens, or of an s-tuple and a token, by distance or at given positions.

    Parameters
    ----------
    tokens : array, iterable of arrays, or path
        Integers from zero: sequences of shape (n, d), or one long sequence of shape (N,). An iterator gives
        batches of either, so that data larger than memory are counted; batches of shape (N_i,) continue one
        sequence. A path names a ``.npy`` file, read in pieces.
    vocabulary : int, optional
        Number of symbols v; by default the largest token plus one, for which a file is read twice. An iterator
        needs it.
    distances : sequence of int
        Count all pairs at these distances from the (last) left token to the right one, at least 1.
    pairs : sequence of (i, j)
        Count the pair of positions: the tuple that starts at ``i``, and the token at ``j``. For (n, d) only.
        See `last_token_pairs`.
    tuple_size : int
        Tokens on the left.
    threads : int, optional
        By default all cores (or ``NUMBA_NUM_THREADS``); the counts do not depend on it.

    Returns
    -------
    PairCounts

    Raises
    ------
    InputError
        For tokens that are not integers in 0..v-1, ragged sequences, distances or positions beyond the
        sequence, a table of more than 2**27 counts, or a file that ends early or changes.

    Examples
    --------
    >>> import numpy as np
    >>> counts = count_pairs(np.array([0, 1, 0, 1, 0]), distances=[1, 2])
    >>> counts.counts.tolist()
    [[[0, 2], [2, 0]], [[2, 0], [0, 1]]]
    """
    tuple_size = as_int("tuple_size", tuple_size, low=1)
    batches, vocabulary = as_batches(tokens, vocabulary)
    counter = Counter(vocabulary, as_groups(distances, pairs, tuple_size), tuple_size, threads)
    for batch in batches:
        counter.feed(as_tokens(batch))
    if counter.tokens == 0:
        raise no_tokens()
    if counter.ndim == 1 and counter.tokens <= counter.reach:
        raise InputError(
            f"a sequence of {counter.tokens} tokens",
            rule=f"has no pair {counter.reach + 1} tokens wide",
            way_out="give shorter `distances`",
        )
    return _frozen(counter)


def _frozen(counter: Counter) -> PairCounts:
    return PairCounts(
        counter.counts,
        counter.groups,
        counter.vocabulary,
        counter.tuple_size,
        counter.sequences,
        counter.tokens,
        counter.ends,
    )


def last_token_pairs(d: int) -> list[tuple[int, int]]:
    """Pairs (i, d - 1) of every position with the last one, from the nearest to the first."""
    d = as_int("d", d, low=2)
    return [(i, d - 1) for i in range(d - 2, -1, -1)]


def jackknife(
    parts: Sequence[PairCounts], statistic: Callable[[PairCounts], FloatArray | float]
) -> tuple[FloatArray, FloatArray]:
    """Value of a statistic on all parts together, and its standard error by leaving out one part at a time.

    The parts (batches, or segments of a text) are taken to be independent; within a part tokens may depend
    on one another in any way. Pairs across borders of parts are left out.

    Parameters
    ----------
    parts : sequence of PairCounts
        At least two, of the same pairs.
    statistic : callable
        Takes `PairCounts` and returns a number or an array.

    Returns
    -------
    value, standard_error : arrays

    Raises
    ------
    InputError
        For fewer than two parts.
    """
    if len(parts) < 2:
        raise InputError(f"{len(parts)} part", rule="leaves nothing when it is left out", way_out="give at least 2")
    total = sum(part.counts for part in parts)

    def of(counts: Any) -> Any:
        first = parts[0]
        return np.asarray(statistic(PairCounts(counts, first.groups, first.vocabulary, first.tuple_size, 0, 0)))

    without = np.stack([of(total - part.counts) for part in parts])
    spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return of(total), np.asarray(np.sqrt((len(parts) - 1) / len(parts) * spread))


def _spread(p: FloatArray) -> FloatArray:
    """Squared Frobenius norm of diag(p) - p p', for each row of p."""
    square = (p**2).sum(axis=1)
    return np.asarray(square - 2 * (p**3).sum(axis=1) + square**2)
