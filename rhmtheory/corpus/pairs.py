"""Correlations measured on data: covariances of symbols, their sampling noise, and the range they reach."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory._kernels import counting as kernels
from rhmtheory._kernels import spectral
from rhmtheory.support.checks import as_generator, as_int, as_tokens, check_tokens, smallest_unsigned
from rhmtheory.support.errors import InputError
from rhmtheory.support.parallel import for_ranges
from rhmtheory.support.reading import PIECE_TOKENS, npy_pieces
from rhmtheory.support.types import FloatArray
from rhmtheory.tree._tuples import count

_LARGEST_TABLE = 1 << 27
"""Counts in one table (1 GiB)."""
_LEAST_PAIRS_A_THREAD = 1 << 18
_SIGNIFICANT = 3.0
"""Standard errors above zero that a correlation needs to count as seen."""


@dataclass(frozen=True, eq=False)
class PairCounts:
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
    _head: npt.NDArray[Any] | None = None
    _tail: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        self.counts.flags.writeable = False

    def __add__(self, other: PairCounts) -> PairCounts:
        if not isinstance(other, PairCounts):
            return NotImplemented
        same = self.vocabulary == other.vocabulary and self.tuple_size == other.tuple_size
        if not same or not np.array_equal(self.groups, other.groups):
            raise InputError("these counts are of different pairs: add counts of one vocabulary and set of pairs")
        if (self._head is None) != (other._head is None):
            raise InputError("counts of one long sequence and counts of separate sequences do not add up")
        total = _Counter(self.vocabulary, self.groups, self.tuple_size, None)
        total.add(self)
        total.add(other)
        return total.result()

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
        n = self._enough_pairs(4).astype(float)
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
        n = self._enough_pairs(4).astype(float)
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
        n = self._enough_pairs(4)
        P = float(n.min()) if P is None else float(P)
        if not 1 <= P <= n.max():
            raise InputError(f"P={P:.6g} is outside 1..{n.max()}, the pairs counted: count more data, or lower P")
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
                f"group {self.groups[k].tolist()} holds {n[k]} pairs, and this needs at least {least}: "
                "count more data, or leave the group out"
            )
        return n

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
        See `last_token_pairs` and `tree_pairs`.
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
    batches, vocabulary = _batches(tokens, vocabulary)
    counter = _Counter(vocabulary, _groups(distances, pairs, tuple_size), tuple_size, threads)
    for batch in batches:
        counter.feed(as_tokens(batch))
    if counter.tokens == 0:
        raise InputError("there are no tokens: give at least one sequence")
    if counter.ndim == 1 and counter.tokens <= counter.reach:
        raise InputError(
            f"a sequence of {counter.tokens} tokens has no pair {counter.reach + 1} tokens wide: "
            "give shorter distances"
        )
    return counter.result()


def last_token_pairs(d: int) -> list[tuple[int, int]]:
    """Pairs (i, d - 1) of every position with the last one, from the nearest to the first."""
    d = as_int("d", d, low=2)
    return [(i, d - 1) for i in range(d - 2, -1, -1)]


def tree_pairs(s: int, L: int) -> list[tuple[int, int]]:
    """One pair with the last token for each level 1..L of the lowest common ancestor, on its first branch.

    In a tree of s children a node and L levels, the first token below the ancestor and the last.
    """
    s, L = as_int("s", s, low=2), as_int("L", L, low=1)
    return [(s**L - s**level, s**L - 1) for level in range(1, L + 1)]


def largest_singular(matrices: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Largest singular value, left and right vector of each matrix: shapes (n,), (n, A), (n, B) of (n, A, B).

    By power iteration in compiled code, good to 1e-8 relative: for many small matrices on busy machines the
    threads of a linear algebra library cost more than they gain.
    """
    n, A, B = matrices.shape
    values, left = np.empty(n), np.empty((n, A))
    right = np.tile(np.random.default_rng(0).standard_normal(B), (n, 1))
    matrices = np.ascontiguousarray(matrices)
    for_ranges(lambda a, b: spectral.largest_singular(values, left, right, matrices, a, b), n)
    return values, left, right


def jackknife(
    parts: Sequence[PairCounts], statistic: Callable[[PairCounts], FloatArray | float]
) -> tuple[FloatArray, FloatArray]:
    """Value of a statistic on all parts together, and its standard error by leaving out one part at a time.

    The parts (batches, or segments of a text) are taken to be independent; within a part tokens may depend
    on one another in any way. Pairs across borders of parts are left out.

    Raises `InputError` for fewer than two parts.
    """
    if len(parts) < 2:
        raise InputError(f"{len(parts)} part leaves nothing when it is left out: give at least 2")
    total = sum(part.counts for part in parts)

    def of(counts: Any) -> Any:
        first = parts[0]
        return np.asarray(statistic(PairCounts(counts, first.groups, first.vocabulary, first.tuple_size, 0, 0)))

    without = np.stack([of(total - part.counts) for part in parts])
    spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return of(total), np.asarray(np.sqrt((len(parts) - 1) / len(parts) * spread))


class _Counter:
    """Counts that grow piece by piece."""

    def __init__(
        self, vocabulary: int, groups: npt.NDArray[np.int64], tuple_size: int, threads: int | None
    ) -> None:
        left = count(vocabulary, tuple_size, "use shorter tuples")
        if len(groups) * left * vocabulary > _LARGEST_TABLE:
            raise InputError(
                f"{len(groups)} groups of {left} x {vocabulary} counts are more than 2**27 (1 GiB): use fewer "
                "distances or shorter tuples, or merge rare tokens into one symbol"
            )
        self.vocabulary, self.groups, self.tuple_size, self.threads = vocabulary, groups, tuple_size, threads
        self.counts = np.zeros((len(groups), left, vocabulary), np.int64)
        self.sequences = self.tokens = 0
        self.ndim: int | None = None
        # a pair needs at most this many tokens, less one: its width, or its last position
        extra = tuple_size - 1
        self.reach = int(groups.max()) + extra if groups.ndim == 1 else int(np.add(groups, [extra, 0]).max())
        self.head = self.tail = np.empty(0, smallest_unsigned(vocabulary))

    def feed(self, piece: npt.NDArray[Any]) -> None:
        """Count sequences (n, d), or the continuation (N,) of the sequence so far."""
        if self.ndim not in (None, piece.ndim):
            raise InputError(
                f"batches have {self.ndim} and {piece.ndim} axes: give all of them as (n, d) or as (N,)"
            )
        self.ndim = piece.ndim
        check_tokens(piece, self.vocabulary, "raise vocabulary to {needed}")
        if piece.ndim == 1:
            if self.groups.ndim == 2:
                raise InputError("pairs of positions need sequences (n, d): for one long sequence give distances")
            for start in range(0, len(piece), PIECE_TOKENS):
                part = piece[start : start + PIECE_TOKENS].astype(self.tail.dtype)
                self._count(part[None], 1)
                self._join(part, part)
                self.tokens += len(part)
            self.sequences = 1
            return
        n, d = piece.shape
        if d <= self.reach:
            raise InputError(f"sequences of {d} tokens have no pair {self.reach + 1} tokens wide: stay within them")
        rows = max(1, PIECE_TOKENS // d)
        for start in range(0, n, rows):
            self._count(piece[start : start + rows].astype(self.tail.dtype), 1)
        self.sequences += n
        self.tokens += n * d

    def add(self, other: PairCounts) -> None:
        """Add finished counts."""
        self.counts += other.counts
        self.tokens += other.tokens
        if other._head is not None and other._tail is not None:
            self.ndim, self.sequences = 1, 1
            self._join(other._head, other._tail)
        else:
            self.ndim, self.sequences = 2, self.sequences + other.sequences

    def result(self) -> PairCounts:
        """Freeze the counts."""
        ends = (self.head, self.tail) if self.ndim == 1 else (None, None)
        return PairCounts(
            self.counts, self.groups, self.vocabulary, self.tuple_size, self.sequences, self.tokens, *ends
        )

    def _join(self, head: npt.NDArray[Any], tail: npt.NDArray[Any]) -> None:
        """Count the pairs across the border to what follows, and move on."""
        head, keep = head[: self.reach], self.reach
        if len(self.tail) and len(head):
            # of the two ends side by side, what lies within either was counted before
            self._count(np.concatenate([self.tail, head])[None], 1)
            self._count(self.tail[None], -1)
            self._count(head[None], -1)
        if len(self.head) < keep:
            self.head = np.concatenate([self.head, head])[:keep]
        self.tail = np.concatenate([self.tail, tail])[-keep:].copy() if len(tail) < keep else tail[-keep:].copy()

    def _count(self, rows: npt.NDArray[Any], sign: int) -> None:
        """Add ``sign`` times the counts of rows (n, d)."""
        counts = self.counts if sign > 0 else np.zeros_like(self.counts)
        left, extra = rows, self.tuple_size - 1
        if extra:
            if rows.shape[1] <= extra:
                return
            left = np.empty((len(rows), rows.shape[1] - extra), smallest_unsigned(counts.shape[1]))
            for_ranges(
                lambda a, b: kernels.tuple_codes(left, rows, self.vocabulary, self.tuple_size, 1, a, b),
                len(rows),
                threads=self.threads,
            )
        work: Callable[[int, int], object]
        if self.groups.ndim == 1:
            shifts = self.groups + extra

            def work(a: int, b: int) -> None:
                kernels.count_shifted(counts, left, rows, shifts, a, b)
        else:
            i, j = np.ascontiguousarray(self.groups.T)

            def work(a: int, b: int) -> None:
                kernels.count_at(counts, left, rows, i, j, a, b)

        least = max(1, _LEAST_PAIRS_A_THREAD // rows.size)
        for_ranges(work, len(self.groups), threads=self.threads, least=least)
        if sign < 0:
            self.counts -= counts


def _batches(tokens: Any, vocabulary: int | None) -> tuple[Iterator[Any], int]:
    """Whatever was given, as batches and the number of symbols."""
    if vocabulary is not None:
        vocabulary = as_int("vocabulary", vocabulary, low=1)
    if isinstance(tokens, (str, os.PathLike)):
        if vocabulary is None:
            vocabulary = 1 + max(int(piece.max()) for piece in npy_pieces(tokens))
        return npy_pieces(tokens), vocabulary
    if isinstance(tokens, Iterator) or (isinstance(tokens, Iterable) and not hasattr(tokens, "__len__")):
        batches = iter(tokens)
        if vocabulary is None:
            raise InputError("vocabulary is not given, and batches are seen only once: give the number of symbols")
        first = next(batches, None)
        if first is None:
            raise InputError("there are no batches: give at least one")
        return chain([first], batches), vocabulary
    array = as_tokens(tokens)
    if array.size == 0:
        raise InputError("there are no tokens: give at least one sequence")
    return iter([array]), int(array.max()) + 1 if vocabulary is None else vocabulary


def _groups(distances: Any, pairs: Any, tuple_size: int) -> npt.NDArray[np.int64]:
    if (distances is None) == (pairs is None):
        raise InputError("give either distances or pairs of positions")
    if distances is not None:
        checked = [as_int("distance", t, low=1) for t in distances]
        if not checked:
            raise InputError("distances are empty: give at least one, such as range(1, 33)")
        return np.array(checked, np.int64)
    for pair in pairs:
        if len(pair) != 2:
            raise InputError(f"pair {pair} has {len(pair)} positions: give (i, j)")
        i, j = (as_int("position", x, low=0) for x in pair)
        if i <= j < i + tuple_size:
            raise InputError(f"pair ({i}, {j}) pairs a token with itself: put j outside {i}..{i + tuple_size - 1}")
    if len(pairs) == 0:
        raise InputError("pairs are empty: give at least one (i, j)")
    return np.array(pairs, np.int64).reshape(-1, 2)


def _spread(p: FloatArray) -> FloatArray:
    """Squared Frobenius norm of diag(p) - p p', for each row of p."""
    square = (p**2).sum(axis=1)
    return np.asarray(square - 2 * (p**3).sum(axis=1) + square**2)
