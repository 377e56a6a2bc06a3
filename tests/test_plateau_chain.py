"""The chain of compatible symbols: the plateaus of the ensemble with a uniform prior, and their annealed bound."""

from fractions import Fraction
from itertools import permutations, product
from math import comb, log

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from rhmtheory import RHM, InputError
from rhmtheory.language import quenched_plateaus


@pytest.mark.parametrize(
    ("rhm", "expected"),
    [
        (RHM(v=16, m=4, s=2, L=4), [2.7726, 1.4809, 0.5950, 0.2673, 0.1806]),
        (RHM(v=32, m=8, s=2, L=3), [3.4657, 2.1262, 1.0007, 0.4243]),
    ],
    ids=repr,
)
def test_numbers_on_record(rhm, expected):
    np.testing.assert_allclose(rhm.plateaus(), expected, atol=5.1e-5)
    assert (rhm.plateaus(method="chain") == rhm.plateaus()).all()


@pytest.mark.parametrize(
    ("rhm", "published", "percent"),
    [
        (RHM(v=16, m=4, s=2, L=4), [1.4926, 0.5973, 0.2686, 0.1758], 3),
        (
            RHM(v=32, m=8, s=2, L=8),
            [2.1266, 1.0060, 0.4300, 0.2491, 0.2025, 0.1911, 0.1883, 0.1876],
            4,
        ),
    ],
    ids=repr,
)
def test_plateaus_that_the_authors_tabulate(rhm, published, percent):
    """Estimates from samples of grammars, in the notebooks published with arXiv:2505.07070."""
    np.testing.assert_allclose(rhm.plateaus()[1:], published, rtol=percent / 100)


def all_grammars(rhm):
    """Rule tables, top-down, of every grammar of the ensemble."""
    levels = []
    for level in range(rhm.L, 0, -1):
        v, m, s = rhm.n_symbols(level), rhm.n_rules(level), rhm.n_children(level)
        tuples = list(product(range(rhm.n_symbols(level - 1)), repeat=s))
        levels.append([[chosen[m * c : m * (c + 1)] for c in range(v)] for chosen in permutations(tuples, v * m)])
    return product(*levels)


@pytest.mark.parametrize(
    "rhm",
    [
        RHM(v=3, m=2, s=2, L=1, n=2),
        RHM(v=3, m=1, s=2, L=1),
        RHM(v=2, m=2, s=3, L=1),
        RHM(v=3, m=4, s=2, L=1, n=1),
        RHM(v=2, m=1, s=2, L=2),
        RHM(v=(3, 2), m=(1, 2), s=2, L=2, n=1),
        RHM(v=(2, 3), m=1, s=2, L=2, n=2),
    ],
    ids=repr,
)
def test_the_floor_is_the_mean_over_all_grammars(rhm):
    """H_L of every grammar of a tiny ensemble, by listing derivations: the prior of the root is uniform."""
    floors = [naive.plateaus(naive.derivations(tables), [rhm.d])[0] for tables in all_grammars(rhm)]
    assert rhm.plateaus()[-1] == pytest.approx(np.mean(floors), abs=1e-12)


def reached_in_fractions(rhm, k):
    """Law of the number of level-k symbols that the classes reach, by inclusion and exclusion."""
    if rhm.n >= rhm.n_symbols(rhm.L - 1):
        return {rhm.n_symbols(k): Fraction(1)}
    law = {rhm.n: Fraction(1)}
    for level in range(rhm.L, k, -1):
        v, below = rhm.n_symbols(level - 1), {}
        ends = v ** (rhm.n_children(level) - 1)
        for parents, p in law.items():
            drawn = rhm.n_rules(level) * parents
            for j in range(1, v + 1):
                ways = sum((-1) ** (j - i) * comb(j, i) * comb(i * ends, drawn) for i in range(j + 1))
                q = Fraction(comb(v, j) * ways, comb(v * ends, drawn))
                if q:
                    below[j] = below.get(j, 0) + p * q
        law = below
    return law


def chain_in_fractions(rhm, k, start=None):
    """Law of the number of compatible symbols at the target, {number: probability}, without rounding."""
    law = start or {rhm.n_symbols(k): Fraction(1)}
    for level in range(k, 0, -1):
        v = rhm.n_symbols(level - 1)
        tuples = v ** rhm.n_children(level)
        below = {}
        for n, p in law.items():
            marked = rhm.n_rules(level) * n - 1
            for j in range(v):
                ways = comb(marked, j) * comb(tuples - 1 - marked, v - 1 - j)
                below[j + 1] = below.get(j + 1, 0) + p * Fraction(ways, comb(tuples - 1, v - 1))
        law = below
    return law


EXACT = [
    RHM(v=4, m=2, s=2, L=3),
    RHM(v=5, m=25, s=3, L=2),
    RHM(v=6, m=1, s=2, L=4),
    RHM(v=(5, 3, 8), m=(4, 1, 9), s=(2, 2, 3), L=3, n=4),
    RHM(v=2, m=2, s=2, L=3),
    # populations far beyond 2**53: 50**9 = 2e15 and 40**30 = 1e48 tuples
    RHM(v=50, m=10**13, s=9, L=1),
    RHM(v=50, m=3, s=9, L=1),
    RHM(v=50, m=50**8, s=9, L=1),
    RHM(v=50, m=50**8 - 1, s=9, L=1),
    RHM(v=50, m=50**9 - 1, s=10, L=1),
    RHM(v=40, m=10**46, s=30, L=1),
]


@pytest.mark.parametrize("rhm", EXACT, ids=repr)
def test_chain_in_exact_arithmetic(rhm):
    for k, H in enumerate(rhm.plateaus()):
        law = chain_in_fractions(rhm, k, reached_in_fractions(rhm, k))
        assert sum(law.values()) == 1
        assert pytest.approx(sum(float(p) * log(n) for n, p in law.items()), rel=1e-11, abs=1e-15) == H


@pytest.mark.parametrize("rhm", EXACT, ids=repr)
def test_annealed_is_the_log_of_the_mean_number(rhm):
    for k, bound in enumerate(rhm.plateaus(method="annealed")):
        mean = sum(p * n for n, p in chain_in_fractions(rhm, k).items())
        assert bound == pytest.approx(log(mean), rel=1e-12, abs=1e-15)


def test_one_step_against_scipy():
    rhm = RHM(v=64, m=16, s=2, L=1)
    p = hypergeom.pmf(np.arange(64), 64**2 - 1, 16 * 64 - 1, 63)
    assert rhm.plateaus()[1] == pytest.approx(p @ np.log(np.arange(1, 65)), rel=1e-10)


@st.composite
def ensembles(draw):
    v, s = draw(st.integers(2, 30)), draw(st.integers(2, 4))
    return RHM(v=v, m=draw(st.integers(1, v ** (s - 1))), s=s, L=draw(st.integers(1, 6)), n=None)


@given(ensembles())
def test_bounds(rhm):
    """Below the annealed bound (Jensen), not negative, and falling with every level of context."""
    chain, annealed = rhm.plateaus(), rhm.plateaus(method="annealed")
    assert chain.shape == annealed.shape == (rhm.L + 1,)
    assert (chain <= annealed + 1e-12).all()
    assert (chain >= 0).all()
    assert (chain[0], annealed[0]) == pytest.approx((log(rhm.v), log(rhm.v)), rel=1e-14)
    assert (np.diff(chain) <= 1e-12).all()
    assert (np.diff(annealed) <= 1e-12).all()


def test_annealed_at_large_v():
    """ln(1/(1-f) + v f**k), the published limit."""
    rhm = RHM(v=10**6, m=250_000, s=2, L=8)
    k = np.arange(9)
    np.testing.assert_allclose(rhm.plateaus(method="annealed"), np.log(4 / 3 + 10**6 * 0.25**k), atol=2e-5)


@pytest.mark.parametrize("method", ["chain", "annealed"])
def test_nothing_is_learnt_where_every_tuple_is_grammatical(method):
    np.testing.assert_allclose(RHM(v=5, m=5, s=2, L=4).plateaus(method=method), log(5), rtol=1e-12)


def test_only_the_levels_below_matter():
    """H_k does not change when levels are added above k, where there are as many classes as symbols."""
    short, tall = RHM(v=12, m=3, s=2, L=3).plateaus(), RHM(v=12, m=3, s=2, L=6).plateaus()
    np.testing.assert_array_equal(tall[:4], short)
    np.testing.assert_array_equal(RHM(v=12, m=3, s=2, L=3, n=20).plateaus()[:3], short[:3])


@pytest.mark.parametrize(
    ("rhm", "old"),
    [(RHM(v=16, m=4, s=2, L=3, n=4), 0.595), (RHM(v=32, m=8, s=2, L=3, n=2), 1.001)],
    ids=repr,
)
def test_few_classes_reach_few_symbols(rhm, old):
    """Against drawn grammars: at most a tenth above the mean; counting all symbols is a third or more above."""
    chain, mean = rhm.plateaus(), quenched_plateaus(rhm, grammars=64).mean
    assert old > 1.3 * mean[2]
    np.testing.assert_array_less(chain[1:], 1.1 * mean[1:])
    np.testing.assert_array_less(0.97 * mean[1:], chain[1:])
    assert chain[2] == pytest.approx(mean[2], rel=0.06)


def test_unknown_method():
    with pytest.raises(InputError, match=r"method='exact' is unknown: choose one of chain, annealed"):
        RHM(v=4, m=2, s=2, L=2).plateaus(method="exact")


# --- large ensembles ------------------------------------------------------------------------------------


def plain_reached(rhm, k):
    """Law of the number of level-k symbols that the classes reach, drawn tuple by tuple."""
    if rhm.n >= rhm.n_symbols(rhm.L - 1):
        return np.eye(rhm.n_symbols(k) + 1)[-1]
    law = np.eye(rhm.n + 1)[-1]
    for level in range(rhm.L, k, -1):
        v, m = rhm.n_symbols(level - 1), rhm.n_rules(level)
        tuples, now, below = v ** rhm.n_children(level), np.eye(v + 1)[0], np.zeros(v + 1)
        for drawn in range(m * (len(law) - 1) + 1):
            below += law[drawn // m] * now if drawn % m == 0 else 0
            new = now * (v - np.arange(v + 1)) * (tuples // v) / (tuples - drawn)
            now = now - new + np.concatenate([[0], new[:-1]])
        law = below
    return law


def plain_chain(rhm, k):
    """The chain by all transitions of all numbers of symbols."""
    law = plain_reached(rhm, k)
    for level in range(k, 0, -1):
        v, m = rhm.n_symbols(level - 1), rhm.n_rules(level)
        others = v ** rhm.n_children(level) - 1
        below = np.zeros(v + 1)
        for n in np.flatnonzero(law > 1e-25):
            below[1:] += law[n] * hypergeom.pmf(np.arange(v), others, m * n - 1, v - 1)
        law = below
    return law[1:] @ np.log(np.arange(1, len(law)))


@pytest.mark.parametrize(
    "rhm",
    [
        pytest.param(RHM(v=300, m=75, s=2, L=3), marks=pytest.mark.slow),
        pytest.param(RHM(v=300, m=297, s=2, L=3), marks=pytest.mark.slow),
        RHM(v=(300, 200), m=(90, 3), s=2, L=2, n=70),
    ],
    ids=str,
)
def test_what_is_left_out_is_negligible(rhm):
    np.testing.assert_allclose(rhm.plateaus(), [plain_chain(rhm, k) for k in range(rhm.L + 1)], rtol=1e-9)


def test_many_symbols():
    """A few standard deviations about the mean are followed, whatever the number of symbols."""
    rhm = RHM(v=10**6, m=250_000, s=2, L=3)
    gap = rhm.plateaus("annealed") - rhm.plateaus()
    # ln E n - E ln n is half the relative variance: (1 - f) / (v f) at the first step
    assert gap[1] == pytest.approx(0.75 / (2 * 250_000), rel=1e-3)
    assert (np.diff(gap) > 0).all()


def test_numbers_that_would_take_too_long():
    with pytest.raises(
        InputError, match=r"takes more than .* transitions: use the annealed bound, method='annealed'"
    ):
        RHM(v=10**9, m=5 * 10**8, s=2, L=3).plateaus()
    assert np.isfinite(RHM(v=10**9, m=5 * 10**8, s=2, L=3).plateaus("annealed")).all()


def test_entropies_far_below_one_are_not_lost():
    """One rule a symbol: a second symbol stays with a chance of 1/(v + 1) a level."""
    rhm = RHM(v=4, m=1, s=2, L=60)
    for method in ("chain", "annealed"):
        H = rhm.plateaus(method)
        np.testing.assert_allclose(H[41:] / H[40:-1], 1 / 5, rtol=1e-9)
