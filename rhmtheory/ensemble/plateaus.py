"""Loss plateaus of the ensemble: the chain of the symbols that remain compatible with a context."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log1p, sqrt

import numpy as np
import numpy.typing as npt

from rhmtheory import formulas
from rhmtheory.ensemble.parameters import Ensemble
from rhmtheory.support.checks import as_choice
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray

_NEGLIGIBLE = 1e-18
"""Numbers of symbols less likely than this, relative to all that are more than one, are left out of the chain."""
_LARGEST_BLOCK = 1 << 20
"""Transitions held at once (8 MiB)."""
_MOST_TRANSITIONS = 1 << 29
"""Transitions computed for one ensemble (some ten seconds); one that needs more is refused."""


def plateaus(rhm: Ensemble, method: str = "chain") -> FloatArray:
    r"""Loss plateaus ``H_k`` of the ensemble, k = 0..L.

    Of ``v`` symbols, ``n_k`` remain compatible with the context when ``k`` levels have been read. With a
    uniform prior and rules drawn without replacement they form a Markov chain, ``n_0 = v`` and
    ``n_(k+1) = 1 + Hypergeom(v**s - 1, m n_k - 1, v - 1)``: the true symbol, and each other symbol whose tuple
    belongs to a compatible parent. With fewer classes than symbols, the chain of k levels starts from the number
    of level-k symbols that the classes can reach at the last position, whose law is exact.

    Parameters
    ----------
    rhm : RHM
        Levels may differ; context level ``k`` then starts from the ``v_k`` symbols of level ``k``.
    method : {"chain", "annealed"}
        ``"chain"``: ``H_k = E[ln n_k]``, exact for a uniform prior. ``"annealed"``: its upper bound
        ``ln E[n_k]``, where ``E[n_k]`` obeys the linear recursion of the chain (for large v it is
        ``1/(1-f) + v f**k``, arXiv:2406.00048).

    Returns
    -------
    array, shape (L + 1,), nats
        For k < L the marginals of a real grammar are not uniform, which lowers its plateaus by some percent on
        average; at k = L, with a uniform prior, the chain is the mean over grammars. With few classes it is 3 to 5%
        above the mean at k = 2, 3 and 8% at k = 1 (measured at (16,4,2,4), n = 2). See `quenched.quenched_plateaus`
        for the true mean over drawn grammars, `Grammar.plateaus` for one grammar.

    Raises
    ------
    InputError
        For an unknown method; for the chain where rules are not equally likely (the annealed bound holds there,
        too: no entropy exceeds the logarithm of the number of symbols), and where it takes more than some ten
        seconds, about 10**6 symbols or 10**4 at f near 1.

    Notes
    -----
    Derived in docs/theory_predictions.md, prediction-chain; few classes in inference-reached of
    docs/theory_inference.md. Of the numbers n_k, those more likely than 1e-18
    are followed, a few standard deviations about their mean.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> plateaus(RHM(v=16, m=4, s=2, L=4)).round(4)
    array([2.7726, 1.4809, 0.595 , 0.2673, 0.1806])
    """
    as_choice("method", method, ("chain", "annealed"))
    if method == "chain" and rhm.rule_probabilities is not None:
        way_out = "average over drawn grammars with quenched_plateaus(rhm).mean"
        raise InputError("the chain", rule="counts symbols as if rules were equally likely", way_out=way_out)
    if method == "annealed":
        return np.array([log1p(_mean_others(rhm, k)) for k in range(rhm.L + 1)])
    return _Chain(rhm).plateaus()


def _mean_others(rhm: Ensemble, k: int) -> float:
    others = rhm.n_symbols(k) - 1.0
    for level in range(k, 0, -1):
        v = rhm.n_symbols(level - 1)
        others = formulas.compatible_step(others, v, rhm.n_rules(level), v ** rhm.n_children(level))
    return others


class _Chain:
    """Laws of the number of compatible symbols, each as its smallest value and the probabilities from there on."""

    def __init__(self, rhm: Ensemble) -> None:
        self.rhm = rhm
        self.left = _MOST_TRANSITIONS
        self._reached: dict[int, tuple[int, FloatArray]] = {}

    def plateaus(self) -> FloatArray:
        rhm, H = self.rhm, np.zeros(self.rhm.L + 1)
        if rhm.has_alike_levels and rhm.n == rhm.v:
            # k levels of context are the same from whichever level they are counted
            for k, law in enumerate(self.descend(rhm.L)):
                H[k] = _mean_log(*law)
        else:
            for k in range(rhm.L + 1):
                *_, law = self.descend(k)
                H[k] = _mean_log(*law)
        return H

    def descend(self, k: int) -> Iterator[tuple[int, FloatArray]]:
        """Laws at level k, where all symbols that the classes reach are compatible, and at each level below."""
        law = self.reached(k)
        yield law
        for level in range(k, 0, -1):
            law = self.step(level, *law)
            yield law

    def reached(self, k: int) -> tuple[int, FloatArray]:
        """Law of the number of level-k symbols that occur at the last position, from any class.

        The last children of the rules of D symbols are those of m D tuples drawn without replacement, of which each
        of the v symbols ends v**(s - 1). All are reached where there are as many classes as symbols below.
        """
        rhm = self.rhm
        if k == rhm.L or rhm.n_symbols(rhm.L) >= rhm.n_symbols(rhm.L - 1):
            return rhm.n_symbols(k), np.ones(1)
        if k not in self._reached:
            self._reached[k] = self._last_children(k + 1, *self.reached(k + 1))
        return self._reached[k]

    def _last_children(self, level: int, least: int, law: FloatArray) -> tuple[int, FloatArray]:
        """Law of the number of different last children, from that of the number of parents."""
        v, m, s = self.rhm.n_symbols(level - 1), self.rhm.n_rules(level), self.rhm.n_children(level)
        ends, tuples = float(v ** (s - 1)), float(v**s)
        out, first, now = np.zeros(v + 1), 0, np.ones(1)  # now: from ``first`` different ones on
        for drawn in range(m * (least + len(law) - 1) + 1):
            parents, rest = divmod(drawn, m)
            if not rest and parents >= least:
                out[first : first + len(now)] += law[parents - least] * now
            if first == v:  # every symbol is there
                out[-1] += law[max(0, parents + 1 - least) :].sum()
                break
            self._spend(len(now))
            new = now * (v - first - np.arange(len(now))) * ends / (tuples - drawn)
            now = np.append(now - new, 0.0)
            now[1:] += new
            held = np.flatnonzero(now > _NEGLIGIBLE)
            first, now = first + int(held[0]), now[held[0] : held[-1] + 1]
        at = np.flatnonzero(out)
        return int(at[0]), out[at[0] : at[-1] + 1]

    def _spend(self, transitions: int) -> None:
        self.left -= transitions
        if self.left < 0:
            raise InputError(
                f"the chain of {self.rhm}",
                rule=f"takes more than {_MOST_TRANSITIONS} transitions",
                way_out="use the annealed bound, method='annealed', which is a closed formula",
            )

    def step(self, level: int, least: int, probability: FloatArray) -> tuple[int, FloatArray]:
        """From the law at a level to that at the level below."""
        v, m = self.rhm.n_symbols(level - 1), self.rhm.n_rules(level)
        others = v ** self.rhm.n_children(level) - 1
        # relative to the chance that more than the true symbol is left, which is all that counts
        more = probability[1:].sum() if least == 1 else 1.0
        likely = np.flatnonzero(probability > _NEGLIGIBLE * more)
        marked = [m * (least + int(i)) - 1 for i in likely]
        windows = [_window(others, x, v - 1) for x in marked]
        width = max(last - first for first, last in windows) + 1
        self._spend(len(marked) * width)
        lowest = min(first for first, _ in windows)
        below = np.zeros(max(first for first, _ in windows) - lowest + width)
        rows = max(1, _LARGEST_BLOCK // width)
        for start in range(0, len(marked), rows):
            first = np.array([first for first, _ in windows[start : start + rows]])
            p = _hypergeometric(others, marked[start : start + rows], v - 1, first, width)
            p *= probability[likely[start : start + rows], None]
            at = first[:, None] - lowest + np.arange(width)
            below += np.bincount(at.ravel(), weights=p.ravel(), minlength=len(below))
        held = np.flatnonzero(below)
        # the true symbol is always compatible
        return 1 + lowest + int(held[0]), below[held[0] : held[-1] + 1]


def _mean_log(least: int, probability: FloatArray) -> float:
    return float(probability @ np.log(float(least) + np.arange(len(probability))))


def _window(population: int, marked: int, draws: int) -> tuple[int, int]:
    """First and last number of marked items that is not negligible, and that can be, among those drawn.

    By Bernstein's inequality ``P(|X - mean| > t) <= 2 exp(-t**2 / (2 variance + 2 t / 3))``, with the variance of
    draws with replacement; t = 28 + 9.2 sqrt(variance) makes it less than 2 exp(-42).
    """
    part = marked / population
    reach = 28 + 9.2 * sqrt(draws * part * (1 - part))
    least, most = max(0, draws - (population - marked)), min(draws, marked)
    first = max(least, ceil(draws * part - reach))
    return min(first, most), min(most, int(draws * part + reach))


def _hypergeometric(
    population: int, marked: list[int], draws: int, first: npt.NDArray[np.int64], width: int
) -> FloatArray:
    """Probabilities of ``first .. first + width - 1`` marked items, one row for each number ``marked``.

    By ratios of neighbours, exact for any size of population; a row is zero where more cannot be.
    """
    j = first[:, None] + np.arange(width - 1)
    up = np.maximum(np.array(marked, dtype=np.float64)[:, None] - j, 0) * np.maximum(float(draws) - j, 0)
    # float of the difference, not difference of floats: the population may exceed 2**53
    rest = np.array([float(population - x - draws + 1) for x in marked])[:, None]
    down = (j + 1) * np.maximum(rest + j, 0)
    log_p = np.zeros((len(marked), width))
    # what is past the end of a row stays at zero probability
    with np.errstate(divide="ignore"):
        np.cumsum(np.log(up) - np.log(down), axis=1, out=log_p[:, 1:])
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))
