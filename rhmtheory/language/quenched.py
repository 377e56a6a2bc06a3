"""Averages over drawn grammars: the true ensemble mean of what only one grammar's exact statistics give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_choice, as_int
from rhmtheory.support.errors import InputError
from rhmtheory.support.parallel import for_ranges
from rhmtheory.support.progress import progress as shown_progress
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue

if TYPE_CHECKING:
    from rhmtheory.language.grammar import Grammar

_MOST_GRAMMARS = 100_000
"""Grammars of one average."""


@dataclass(frozen=True, eq=False)
class QuenchedAverage(ByValue):
    """A statistic averaged over grammars drawn from an ensemble.

    Attributes
    ----------
    values : array, shape (grammars, ...), read-only
        The statistic of each grammar; row i belongs to ``quenched_grammar(rhm, i, seed)``.
    seed : int
    """

    values: FloatArray
    seed: int

    def __post_init__(self) -> None:
        self.values.flags.writeable = False

    @property
    def grammars(self) -> int:
        """Number of grammars."""
        return len(self.values)

    @property
    def mean(self) -> FloatArray:
        """Mean over grammars, shape (...)."""
        return np.asarray(self.values.mean(axis=0))

    @property
    def spread(self) -> FloatArray:
        """Standard deviation from grammar to grammar (unbiased variance), shape (...)."""
        return np.asarray(self.values.std(axis=0, ddof=1))

    @property
    def standard_error(self) -> FloatArray:
        """Standard error of the mean, ``spread / sqrt(grammars)``, shape (...)."""
        return np.asarray(self.spread / sqrt(self.grammars))

    def __repr__(self) -> str:
        pairs = zip(self.mean.ravel(), self.standard_error.ravel(), strict=True)
        listed = ", ".join(f"{mean:.4g} +- {error:.1g}" for mean, error in pairs)
        return f"<QuenchedAverage over {self.grammars} grammars, seed {self.seed}: {listed}>"


def quenched_grammar(rhm: RHM, i: int, seed: int = 0) -> Grammar:
    """Draw one grammar of the averages over an ensemble.

    Parameters
    ----------
    rhm : RHM
    i : int
        Number of the grammar; it comes from child ``i`` of the seed's `numpy.random.SeedSequence`.
    seed : int
        That of the average.
    """
    sequence = np.random.SeedSequence(as_int("seed", seed, low=0), spawn_key=(as_int("i", i, low=0),))
    return rhm.grammar(np.random.default_rng(sequence))


def quenched_plateaus(
    rhm: RHM,
    grammars: int = 64,
    *,
    seed: int | np.random.Generator = 0,
    threads: int | None = None,
    progress: bool = False,
) -> QuenchedAverage:
    """Exact loss plateaus of drawn grammars, `Grammar.plateaus`: their mean is the true ensemble average.

    Parameters
    ----------
    rhm : RHM
    grammars : int
        Number of grammars, 2 to 100000.
    seed : int or numpy.random.Generator
        The same seed gives the same grammars, on any number of threads; more of them begin with the same. A
        generator is advanced.
    threads : int, optional
        By default as many as there are cores.
    progress : bool
        Show progress on the standard error stream.

    Returns
    -------
    QuenchedAverage
        ``values`` of shape (grammars, L + 1), nats.

    Raises
    ------
    InputError
        For fewer than two grammars or too many, and where one grammar's plateaus cannot be computed.

    Examples
    --------
    >>> average = quenched_plateaus(RHM(v=8, m=2, s=2, L=2), grammars=4)
    >>> average.mean.shape, average.standard_error.shape, average.grammars
    ((3,), (3,), 4)
    """
    return _over_grammars(rhm, lambda g: g.plateaus(), rhm.L + 1, grammars, seed, threads, progress)


def usual_plateaus(rhm: RHM) -> FloatArray:
    """Loss plateaus of the ensemble ``rhm`` by the method that is known for it, in nats, shape (L + 1,).

    `RHM.plateaus` (the chain) where rules are equally likely, else the mean of `quenched_plateaus`. Raises
    `InputError` as these do.
    """
    return rhm.plateaus() if rhm.rule_probabilities is None else quenched_plateaus(rhm).mean


def quenched_correlations(
    rhm: RHM,
    grammars: int = 64,
    *,
    seed: int | np.random.Generator = 0,
    branches: str = "mean",
    threads: int | None = None,
    progress: bool = False,
) -> QuenchedAverage:
    """Mean square covariances with the last token in drawn grammars, by LCA level.

    Parameters
    ----------
    rhm : RHM
    grammars, seed
        See `quenched_plateaus`.
    branches : {"mean", "different", "same"}
        Tokens compared with the last one. ``"mean"``: all with this LCA level, at a cost of O(d v**3);
        ``"different"``: the first of these; ``"same"``: the one reached by last branches below the ancestor.
    threads, progress
        See `quenched_plateaus`.

    Returns
    -------
    QuenchedAverage
        ``values`` of shape (grammars, L), probability squared; entry ``l - 1`` belongs to LCA level l. The mean
        estimates ``ensemble.second_moment(rhm, l, branches=branches)`` without bias.

    Raises
    ------
    InputError
        For fewer than two grammars or too many, for unknown branches, and where the covariances of one grammar do
        not fit in memory.
    """
    as_choice("branches", branches, ("mean", "different", "same"))
    return _over_grammars(rhm, lambda g: _mean_squares(g, branches), rhm.L, grammars, seed, threads, progress)


def _mean_squares(grammar: Grammar, branches: str) -> FloatArray:
    """Mean square covariances with the last token by LCA level, shape (L,)."""
    shape = grammar.shape
    spans = [shape.span(level) for level in range(shape.L + 1)]
    if branches == "mean":
        # a token nearer than span(l) and not nearer than span(l - 1) has the ancestor at level l
        squares = grammar.correlation_function() ** 2
        return np.array([squares[near:far].mean() for near, far in pairwise(spans)])
    last = shape.d - 1
    first = [last + 1 - far for far in spans[1:]]
    if branches == "same":
        first = [start + near - 1 for start, near in zip(first, spans, strict=False)]
    return np.array([np.mean(grammar.covariance(i, last) ** 2) for i in first])


def _over_grammars(
    rhm: RHM,
    statistic: Callable[[Grammar], FloatArray],
    size: int,
    grammars: int,
    seed: int | np.random.Generator,
    threads: int | None,
    shown: bool,
) -> QuenchedAverage:
    grammars = as_int("grammars", grammars, low=2)
    if grammars > _MOST_GRAMMARS:
        raise InputError(
            "grammars",
            grammars,
            "is too large",
            f"with {_MOST_GRAMMARS}, the most that are drawn, the standard error is 1/300 of the spread; "
            "the mean square correlation is known exactly, by ensemble.second_moment",
        )
    # a generator gives one seed, from which all grammars follow
    seed = int(seed.integers(2**63)) if isinstance(seed, np.random.Generator) else as_int("seed", seed, low=0)
    values = np.empty((grammars, size))
    with shown_progress("grammars", grammars, shown) as advance:

        def work(start: int, stop: int) -> None:
            for i in range(start, stop):
                values[i] = statistic(quenched_grammar(rhm, i, seed))
                advance()

        for_ranges(work, grammars, threads=threads)
    return QuenchedAverage(values, seed)
