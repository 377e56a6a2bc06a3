"""Sample complexities, the staircase of the loss and its exponents."""

import json
from fractions import Fraction
from functools import cache
from html.parser import HTMLParser
from math import inf, isnan, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhmtheory import ARCHITECTURES, RHM, InputError, Prediction, predict, zipf
from rhmtheory.ensemble import second_moment
from rhmtheory.language import quenched_plateaus
from rhmtheory.theory.predictions import (
    classification_complexity,
    corpus_exponent,
    correlation_exponent,
    crossing_levels,
    effective_range,
    entropy_exponent,
    exponent,
    first_step,
    latent_prediction_complexity,
    sample_complexity,
    staircase_exponent,
    step_factor,
)

RHMS = [RHM(v=16, m=4, s=2, L=4), RHM(v=32, m=8, s=2, L=3), RHM(v=8, m=8, s=3, L=5), RHM(v=8, m=2, s=2, L=4)]
UNSHARED = ("transformer", "lcn")


@pytest.fixture(params=RHMS, ids=repr)
def rhm(request):
    return request.param


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


# --- sample complexities --------------------------------------------------------------------------------


def test_numbers_on_record():
    """(16, 4, 2): v m / (1 - f) = 85.3, and m**2 = 16 or m = 4 times as much at every further level."""
    P0 = 16 * 4 / 0.75
    rhm = RHMS[0]
    np.testing.assert_allclose(predict(rhm, "transformer").sample_complexity, P0 * 4.0 ** np.array([0, 2, 4, 6]))
    np.testing.assert_allclose(predict(rhm, "lcn").sample_complexity, P0 * 4.0 ** np.array([0, 2, 4, 6]))
    np.testing.assert_allclose(predict(rhm, "cnn").sample_complexity, P0 * 4.0 ** np.array([0, 2, 3, 4]))


def test_arrays_of_a_prediction_stay_as_they_are():
    found = predict(RHMS[0], "cnn")
    for array in (found.sample_complexity, found.plateaus):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_formulas(rhm, architecture):
    """Signal, squared correlation at LCA level k + 1 seen through tuples of known symbols, over noise."""
    v, m, f = rhm.v, rhm.m, rhm.f
    P = predict(rhm, architecture).sample_complexity
    assert P.shape == (rhm.L,)
    for k in range(rhm.L):
        squared = (1 - f) / (v**3 * m ** (2 * k + 1))
        if architecture == "cnn" and k >= 1:
            squared *= m ** (k - 1)  # a tuple of level-(k-1) symbols instead of one of tokens
        assert P[k] == pytest.approx(1 / (v**2 * squared), rel=1e-12)
        assert sample_complexity(rhm, architecture, k) == P[k]


def test_all_architectures_agree_on_the_first_two_steps(rhm):
    P = [predict(rhm, a).sample_complexity[:2] for a in ARCHITECTURES]
    np.testing.assert_allclose(P, np.tile(rhm.v * np.array([rhm.m, rhm.m**3.0]) / (1 - rhm.f), (3, 1)))


def test_step_factors(rhm, architecture):
    p = predict(rhm, architecture)
    assert p.step_factor == step_factor(rhm, architecture) == (rhm.m if architecture == "cnn" else rhm.m**2)
    np.testing.assert_allclose(p.sample_complexity[2:] / p.sample_complexity[1:-1], p.step_factor)


# --- exponents ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rhm", "transformer"),
    [
        (RHM(v=16, m=4, s=2, L=4), 1 / 2),
        (RHM(v=32, m=8, s=2, L=4), 1 / 3),
        (RHM(v=8, m=2, s=2, L=4), 1),
        (RHM(v=8, m=8, s=3, L=3), 1 / 2),
    ],
    ids=repr,
)
def test_asymptotic_exponents(rhm, transformer):
    assert predict(rhm, "transformer").exponent == pytest.approx(transformer, rel=1e-12)
    assert predict(rhm, "lcn").exponent == pytest.approx(transformer, rel=1e-12)
    assert predict(rhm, "cnn").exponent == pytest.approx(2 * transformer, rel=1e-12)


@given(v=st.integers(3, 60), s=st.integers(2, 4), L=st.integers(1, 6), data=st.data())
def test_the_ratio_of_the_exponents_is_two(v, s, L, data):
    rhm = RHM(v=v, m=data.draw(st.integers(2, v ** (s - 1) - 1)), s=s, L=L)
    assert exponent(rhm, "cnn") == pytest.approx(2 * exponent(rhm, "transformer"), rel=1e-12)
    # gamma / (2 beta): entropy against range, correlation against distance (arXiv:2602.07488)
    beta, gamma = log(rhm.m) / log(s), log(1 / rhm.f) / log(s)
    assert exponent(rhm, "transformer") == pytest.approx(gamma / (2 * beta), rel=1e-9)


@pytest.mark.parametrize("L", [2, 3, 4, 9])
def test_finite_size_exponent_of_a_geometric_staircase(rhm, architecture, L):
    """H_k ~ f**k above a floor of zero: few steps show the exponent of many, where they all have one factor."""
    rhm = RHM(v=rhm.v, m=rhm.m, s=rhm.s, L=L)
    p = predict(rhm, architecture, plateaus=[*(3 * rhm.f ** np.arange(L)), 0.0])
    if L <= 3:
        # one step is left: the last one falls to zero, sqrt(H * 0)
        assert isnan(p.finite_size_exponent)
    else:
        assert p.finite_size_exponent == pytest.approx(p.exponent, rel=1e-12)


def test_finite_size_exponent_is_a_fit_through_the_crossings():
    """Steps k >= 1 cross sqrt(H_k H_(k+1)); with three levels there are two of them."""
    rhm, H = RHM(v=32, m=8, s=2, L=3), np.array([3.4, 2.0, 1.0, 0.4])
    rise = log((np.sqrt(2.0) - 0.4) / (np.sqrt(0.4) - 0.4))
    assert predict(rhm, "transformer", H).finite_size_exponent == pytest.approx(rise / log(64), rel=1e-12)
    assert predict(rhm, "cnn", H).finite_size_exponent == pytest.approx(rise / log(8), rel=1e-12)


def test_two_levels_use_both_steps():
    rhm, H = RHM(v=8, m=2, s=2, L=2), np.array([2.0, 0.9, 0.3])
    assert [first_step(L) for L in (1, 2, 3, 4, 10)] == [0, 0, 1, 1, 1]
    rise = log((np.sqrt(1.8) - 0.3) / (np.sqrt(0.27) - 0.3))
    for architecture in ARCHITECTURES:
        assert predict(rhm, architecture, H).finite_size_exponent == pytest.approx(rise / log(4), rel=1e-12)


@pytest.mark.parametrize("rhm", RHMS[:2], ids=repr)
def test_finite_size_exponent_of_many_levels(rhm, architecture):
    """The plateaus of the chain fall by f only roughly; with many levels the slope comes within 5% of the limit."""
    p = predict(RHM(v=rhm.v, m=rhm.m, s=rhm.s, L=12), architecture)
    assert p.finite_size_exponent == pytest.approx(p.exponent, rel=0.05)


def test_steps_that_were_not_reached_are_left_out():
    H = np.array([1.0, 0.5, 0.25, 0.125, 0.0625, 0.0])
    P = np.array([1.0, 10, 100, 1000, np.nan])
    assert staircase_exponent(P, H) == pytest.approx(log(2) / log(10))
    P[2] = inf
    assert staircase_exponent(P, H) == pytest.approx(log(2) / log(10))
    P[3] = np.nan
    assert isnan(staircase_exponent(P, H))


def test_steps_lost_in_rounding_enter_no_exponent():
    excess = 10.0 ** -np.arange(0, 14)
    P, H = 4.0 ** np.arange(1, 14), 0.3 + np.concatenate([excess[:-1], [0.0]])
    clean = -np.polyfit(np.log(P[1:10]), np.log(np.sqrt(H[1:10] * H[2:11]) - 0.3), 1)[0]
    assert staircase_exponent(P, H) == pytest.approx(clean, rel=1e-6)


def test_crossing_levels_lie_between_the_plateaus(rhm):
    H = rhm.plateaus()
    G = crossing_levels(H)
    assert (H[1:] < G).all()
    assert (H[:-1] > G).all()
    np.testing.assert_allclose(G**2, H[1:] * H[:-1])


# --- the staircase --------------------------------------------------------------------------------------


def test_loss_falls_at_every_sample_complexity(rhm, architecture):
    p = predict(rhm, architecture)
    for k, P in enumerate(p.sample_complexity):
        assert p.loss(np.nextafter(P, 0)) == p.plateaus[k]
        assert p.loss(P) == p.plateaus[k + 1]
        assert p.loss(np.nextafter(P, inf)) == p.plateaus[k + 1]
    assert p.loss(0) == p.plateaus[0]
    assert p.loss(1e300) == p.loss(inf) == p.plateaus[-1]


def test_loss_of_arrays_and_numbers():
    p = predict(RHMS[0], "cnn")
    P = np.geomspace(1, 1e6, 24).reshape(2, 3, 4)
    losses = p.loss(P)
    assert losses.shape == P.shape
    assert losses.tolist() == [[[p.loss(x) for x in row] for row in block] for block in P.tolist()]
    assert p.loss([1, 10**7]).tolist() == [p.plateaus[0], p.plateaus[-1]]
    assert np.ndim(p.loss(100)) == 0
    assert f"{p.loss(100):.3f}" == f"{p.plateaus[1]:.3f}"
    assert p.loss([]).shape == (0,)
    losses = p.loss(np.geomspace(1, 1e9, 1000))
    assert (np.diff(losses) <= 0).all()
    assert set(losses) == set(p.plateaus)


@pytest.mark.parametrize("P", [-1, float("nan"), [1, -2], [1, float("nan")]])
def test_loss_without_samples(P):
    with pytest.raises(InputError, match="must be a number of samples, zero or more"):
        predict(RHMS[0], "cnn").loss(P)


# --- predict --------------------------------------------------------------------------------------------


def test_plateaus_of_the_ensemble_or_given(rhm):
    np.testing.assert_array_equal(predict(rhm, "cnn").plateaus, rhm.plateaus())
    np.testing.assert_array_equal(predict(rhm, "cnn", "annealed").plateaus, rhm.plateaus(method="annealed"))
    own = rhm.grammar(seed=0).plateaus()
    np.testing.assert_array_equal(predict(rhm, "cnn", own).plateaus, own)
    np.testing.assert_array_equal(predict(rhm, "cnn", own.tolist()).plateaus, own)
    assert predict(rhm, "cnn", own).loss(inf) == own[-1]


@pytest.mark.parametrize("name", ["mlp", "CNN", "", None])
def test_unknown_architecture(name):
    with pytest.raises(InputError, match=r"architecture=.* is unknown: choose one of transformer, lcn, cnn"):
        predict(RHMS[0], name)
    for function in (step_factor, exponent):
        with pytest.raises(InputError, match="is unknown"):
            function(RHMS[0], name)


def test_bad_arguments():
    with pytest.raises(InputError, match=r"plateaus have shape \(4,\): L=4 levels have 5 of them"):
        predict(RHMS[0], "cnn", [1, 0.5, 0.2, 0.1])
    with pytest.raises(InputError, match="method='guess' is unknown"):
        predict(RHMS[0], "cnn", "guess")
    for k in (-1, 4):
        with pytest.raises(InputError, match=f"k={k} is too"):
            sample_complexity(RHMS[0], "cnn", k)
    with pytest.raises(InputError, match="method='best' is unknown: choose one of asymptotic, exact"):
        predict(RHMS[0], "cnn", method="best")
    for bad in ([1, 0.5, np.nan, 0.1, 0.1], [1, 0.5, -0.2, 0.1, 0.1]):
        with pytest.raises(InputError, match="must be entropies: finite and not negative"):
            predict(RHMS[0], "cnn", bad)
    with pytest.raises(InputError, match="must hold real numbers"):
        predict(RHMS[0], "cnn", ["a"] * 5)
    with pytest.raises(InputError, match="must hold real numbers"):
        predict(RHMS[0], "cnn").loss("x")
    for negative in (-1, float("nan")):
        with pytest.raises(InputError, match="must be a number of samples, zero or more"):
            effective_range(RHMS[0], negative)
    with pytest.raises(InputError, match="beta=0 and gamma=1 must be positive"):
        corpus_exponent(0, 1)


def test_complexities_beyond_the_range_of_floats():
    deep = RHM(v=16, m=8, s=2, L=400)
    with pytest.raises(InputError, match=r"P_k at k=399 of .* leaves the range of floats: lower L or m"):
        sample_complexity(deep, "lcn", 399)
    assert np.isfinite(sample_complexity(deep, "lcn", 100))


# --- levels that differ, unequal rules, other tasks -----------------------------------------------------


def test_levels_that_differ_have_their_own_signal_and_noise():
    rhm = RHM(v=(16, 12, 10), m=(4, 3, 5), s=2, L=3, n=7)
    silent = [1 - rhm.fraction(level) for level in (1, 2, 3)]
    lcn, cnn = predict(rhm, "lcn"), predict(rhm, "cnn")
    expected = [12 * 4 / silent[0], 10 * 3 * 4**2 / silent[1], 7 * 5 * (4 * 3) ** 2 / silent[2]]
    np.testing.assert_allclose(lcn.sample_complexity, expected)
    expected = [12 * 4 / silent[0], 10 * 3 * 4 * 4 / silent[1], 7 * 5 * 3 * (4 * 3) / silent[2]]
    np.testing.assert_allclose(cnn.sample_complexity, expected)
    assert isnan(lcn.step_factor)
    assert isnan(lcn.exponent)
    assert lcn.finite_size_exponent > 0


def test_unequal_rules_count_as_their_effective_number():
    weights = (0.5, 0.25, 0.25)
    rhm = RHM(v=12, m=3, s=2, L=3, rule_probabilities=weights)
    m = 1 / (0.25 + 0.0625 + 0.0625)
    assert rhm.effective_multiplicity(2) == pytest.approx(m)
    p = predict(rhm, "transformer")
    f = m / 12  # of tuples that count, as it were
    np.testing.assert_allclose(p.sample_complexity, 12 * m ** np.array([1, 3, 5]) / (1 - f))
    assert p.step_factor == pytest.approx(m**2)
    np.testing.assert_array_equal(p.plateaus, quenched_plateaus(rhm).mean)
    with pytest.raises(InputError, match="as if rules were equally likely"):
        rhm.plateaus("chain")


@cache
def square_sum(rhm, seed, level):
    """Sum of the squared probabilities of the symbols at the first node of a level, in one grammar."""
    return float(np.sum(rhm.grammar(seed).marginal(level, 0) ** 2))


def test_exact_complexities_are_signal_against_noise(architecture):
    for rhm in (RHM(v=8, m=3, s=3, L=3), RHM(v=(6, 8, 7), m=(2, 3, 2), s=(2, 3, 2), L=3, n=4)):
        for k in range(3):
            side = 0 if k == 0 else k if architecture == "cnn" else 1
            signal = second_moment(rhm, k + 1, hidden_levels=(side, 0), tuples=(k > 0, False))
            entries = rhm.n_symbols(0) * rhm.n_symbols(side) * (rhm.n_rules(side) if k else 1)
            # power sums of the marginals of real grammars, averaged: the rules are equally likely
            sums = [np.mean([square_sum(rhm, seed, level) for seed in range(4000)]) for level in (0, side)]
            noise = (1 - sums[0]) * (1 - sums[1] / (rhm.n_rules(side) if k else 1)) / entries
            assert sample_complexity(rhm, architecture, k, "exact") == pytest.approx(noise / signal, rel=5e-3)
    assert sample_complexity(RHM(v=4, m=4, s=2, L=2), architecture, 1, "exact") == inf


def test_exact_complexities_tend_to_the_published_ones(architecture):
    for k in range(4):
        small, large = (
            sample_complexity(rhm, architecture, k, "exact") / sample_complexity(rhm, architecture, k)
            for rhm in (RHM(v=32, m=8, s=2, L=4), RHM(v=1024, m=256, s=2, L=4))
        )
        assert abs(large - 1) < 0.1 * max(abs(small - 1), 0.1)


def test_a_step_waits_for_those_before_it():
    rhm = RHM(v=16, m=4, s=2, L=4, n=5, rule_probabilities=(0.7, 0.2, 0.05, 0.05))
    p = predict(rhm, "cnn", [4, 3, 2, 1, 0.5])
    assert p.sample_complexity[3] < p.sample_complexity[2]
    between = (p.sample_complexity[3] + p.sample_complexity[2]) / 2
    assert p.loss(between) == 2
    assert p.loss(p.sample_complexity[2]) == 0.5


def test_other_tasks():
    rhm = RHM(v=16, m=4, s=2, L=3, n=10)
    assert classification_complexity(rhm) == 10 * 4**3
    assert classification_complexity(RHM(v=(9, 8), m=(2, 3), s=2, L=2, n=5)) == 5 * 2 * 3
    assert latent_prediction_complexity(rhm) == 16 * 4**3
    assert latent_prediction_complexity(RHM(v=16, m=4, s=2, L=9)) == 16 * 4**3


def test_exponents_of_decay_give_that_of_the_transformer():
    for rhm in RHMS:
        beta, gamma = correlation_exponent(rhm), entropy_exponent(rhm)
        assert beta == pytest.approx(log(rhm.m) / log(rhm.s))
        assert gamma == pytest.approx(log(1 / rhm.f) / log(rhm.s))
        assert corpus_exponent(beta, gamma) == pytest.approx(predict(rhm, "transformer").exponent)


@pytest.mark.parametrize("method", ["exact", "asymptotic"])
def test_effective_range_grows_level_by_level(method):
    rhm = RHM(v=16, m=4, s=2, L=4)
    thresholds = [1 / (16 * rhm.rms_correlation(level, method=method)) ** 2 for level in (1, 2, 3, 4)]
    assert method == "exact" or thresholds[0] == pytest.approx(sample_complexity(rhm, "cnn", 0, method))
    assert effective_range(rhm, 0.99 * thresholds[0], method) == 0
    for level, P in enumerate(thresholds, start=1):
        assert effective_range(rhm, 1.01 * P, method) == 2**level - 1
    # asymptotically P grows by m**2 a level, and the range by s
    assert method == "exact" or thresholds[3] / thresholds[2] == pytest.approx(16)


def test_predictions_of_ensembles_too_large_to_draw():
    p = predict(RHM(v=100, m=10**12, s=9, L=3), "transformer")
    assert np.isfinite(p.sample_complexity).all()
    assert p.exponent == pytest.approx(4 / 24, rel=1e-9)


# --- the edges ------------------------------------------------------------------------------------------


def test_one_rule_a_symbol(architecture):
    """m = 1: every step costs the same, and the exponent is infinite."""
    p = predict(RHM(v=8, m=1, s=2, L=4), architecture)
    np.testing.assert_allclose(p.sample_complexity, 8 / (1 - 1 / 8))
    assert (p.step_factor, p.exponent) == (1, inf)
    assert isnan(p.finite_size_exponent)
    assert p.loss(9) == p.plateaus[0]
    assert p.loss(10) == p.plateaus[-1]


def test_every_tuple_grammatical(architecture):
    """f = 1: there is nothing to learn, with any number of samples."""
    p = predict(RHM(v=4, m=4, s=2, L=3), architecture)
    assert (p.sample_complexity == inf).all()
    assert p.exponent == 0
    assert isnan(p.finite_size_exponent)
    np.testing.assert_allclose(p.loss([0, 1e9]), log(4))


def test_one_level(architecture):
    p = predict(RHM(v=8, m=2, s=2, L=1), architecture)
    np.testing.assert_allclose(p.sample_complexity, [16 / 0.75])
    assert p.plateaus.shape == (2,)
    assert isnan(p.finite_size_exponent)
    assert p.exponent == (2 if architecture == "cnn" else 1)
    assert [p.loss(20), p.loss(22)] == p.plateaus.tolist()


# --- what is not known, and what is too large -----------------------------------------------------------


def test_a_grammar_whose_symbols_weigh_rules_in_their_own_way_has_no_prediction(architecture):
    rhm = RHM(v=4, m=2, s=2, L=2)
    uneven = np.tile([0.5, 0.5], (4, 1))
    uneven[1] = 0.9, 0.1
    grammar = rhm.grammar().reweighted([np.full((4, 2), 0.5), uneven])
    assert grammar.rhm != rhm
    for method in ("asymptotic", "exact"):
        with pytest.raises(InputError, match=r"use the exact statistics of the grammar"):
            predict(grammar.rhm, architecture, grammar.plateaus(), method=method)
    for function in (quenched_plateaus, classification_complexity):
        with pytest.raises(InputError, match="weigh their rules each in its own way"):
            function(grammar.rhm)
    # as soon as the symbols agree it is an ensemble again
    even = grammar.reweighted([[[0.9, 0.1]] * 4, [[0.5, 0.5]] * 4])
    assert even.rhm == RHM(v=4, m=2, s=2, L=2, rule_probabilities=[(0.5, 0.5), (0.9, 0.1)])


def test_levels_whose_rules_differ_have_no_single_factor(architecture):
    u, z = (1 / 3, 1 / 3, 1 / 3), (0.6, 0.3, 0.1)
    for levels in ([u, z, u], [u, u, z]):
        p = predict(RHM(v=9, m=3, s=2, L=3, rule_probabilities=levels), architecture, [3, 2, 1, 0.5])
        assert isnan(p.step_factor)
        assert isnan(p.exponent)
        assert p.to_dict()["exponent"] is None
        for function in (step_factor, exponent):
            with pytest.raises(InputError, match="known for levels that are all alike"):
                function(p.rhm, architecture)


def test_unequal_rules_fall_by_their_overlap(architecture):
    """Exponent: ln(1/f) of order 1/2 over the logarithm of the step of order 2."""
    weights = (0.5, 0.25, 0.25)
    rhm = RHM(v=12, m=3, s=2, L=3, rule_probabilities=weights)
    overlap, second = (0.5**0.5 + 2 * 0.25**0.5) ** 2, 1 / (0.5**2 + 2 * 0.25**2)
    step = second if architecture == "cnn" else second**2
    assert exponent(rhm, architecture) == pytest.approx(log(12 / overlap) / log(step))
    assert entropy_exponent(rhm) == pytest.approx(log(12 / overlap) / log(2))
    assert correlation_exponent(rhm) == pytest.approx(log(second) / log(2))


def test_plateaus_of_unequal_rules_fall_by_their_overlap():
    """Not by the raw f, 4/16, nor by that of the second moment: drawn grammars with p ~ r**-3."""
    rhm = RHM(v=16, m=4, s=2, L=6, rule_probabilities=zipf(4, 2))
    drops = -np.diff(quenched_plateaus(rhm, 64).mean)
    factor = (drops[5] / drops[2]) ** (1 / 3)
    assert 0.7 < factor / rhm.effective_fraction(1, 0.5) < 1
    assert factor / rhm.f < 0.6
    assert factor / rhm.effective_fraction(1, 2) > 1.2


@pytest.mark.parametrize("v", [2, 4096])
@pytest.mark.parametrize("s", [2, 7])
@pytest.mark.parametrize("L", [1, 64])
@pytest.mark.parametrize("dense", ["m = 1", "f = 1/2", "f = 1"])
def test_extreme_ensembles(architecture, v, s, L, dense):
    """Numbers, or a refusal with words; never an overflow, a NaN that is not documented, or a silent zero."""
    m = {"m = 1": 1, "f = 1/2": v ** (s - 1) // 2, "f = 1": v ** (s - 1)}[dense]
    rhm = RHM(v=v, m=m, s=s, L=L)
    for method in ("asymptotic", "exact"):
        p = in_range(predict, rhm, architecture, "annealed", method=method)
        if p is not None:
            assert (p.sample_complexity > 0).all()
            assert (p.sample_complexity == inf).all() == (rhm.f == 1)
            assert not isnan(p.exponent)
            # an entropy is zero where the one before it comes near the smallest float
            assert (p.plateaus[1:][p.plateaus[:-1] > 1e-280] > 0).all()
        for level in (1, L):
            C = in_range(rhm.rms_correlation, level, method)
            assert C is None or (0 <= C < 1 and (C == 0) == (rhm.f == 1))


def in_range(function, *arguments, **options):
    """The result, or None where the function says that it is no float."""
    try:
        return function(*arguments, **options)
    except InputError as error:
        if "range of floats" not in str(error):
            raise
        return None


def test_signals_whose_squares_leave_the_range_of_floats():
    rhm = RHM(v=4096, m=1000, s=2, L=64)
    exact = second_moment(rhm, 64, exact=True)
    for method in ("exact", "asymptotic"):
        ratio = Fraction(rhm.rms_correlation(64, method=method)) ** 2 / exact
        assert float(ratio) == pytest.approx(1, rel=1e-9 if method == "exact" else 0.05)
    with pytest.raises(InputError, match=r"below the range of floats: lower the level or m, or ask for second_mom"):
        second_moment(rhm, 64)
    assert 0 < effective_range(rhm, 1e300) < rhm.d


# --- what people and programs read ----------------------------------------------------------------------


def test_the_dictionary_is_json(rhm, architecture):
    p = predict(rhm, architecture)
    stored = json.loads(json.dumps(p.to_dict(), allow_nan=False))
    parameters = stored.pop("rhm")
    assert {name: parameters[name] for name in ("v", "m", "s", "L", "n", "d", "f")} == {
        "v": rhm.v,
        "m": rhm.m,
        "s": rhm.s,
        "L": rhm.L,
        "n": rhm.v,
        "d": rhm.s**rhm.L,
        "f": rhm.f,
    }
    assert stored == {
        "architecture": architecture,
        "method": "asymptotic",
        "sample_complexity": p.sample_complexity.tolist(),
        "plateaus": p.plateaus.tolist(),
        "step_factor": p.step_factor,
        "exponent": p.exponent,
        "finite_size_exponent": p.finite_size_exponent,
    }


def test_a_prediction_cannot_be_changed():
    p = predict(RHMS[0], "cnn")
    with pytest.raises(AttributeError):
        p.exponent = 2
    assert isinstance(p, Prediction)


def test_repr():
    assert repr(predict(RHMS[0], "cnn")) == (
        "<Prediction cnn on RHM(v=16, m=4, s=2, L=4): P_k = 85.3, 1.37e+03, 5.46e+03, 2.18e+04; exponent 1>"
    )


class _Cells(HTMLParser):
    """Text of the cells of a table, by row; refuses tags that do not close."""

    def __init__(self):
        super().__init__()
        self.rows, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("td", "th", "sub"):
            self.rows[-1][-1] += data


def test_the_table_in_notebooks(architecture):
    p = predict(RHMS[0], architecture)
    table = _Cells()
    table.feed(p._repr_html_())
    assert table.open == []
    header, *rows = table.rows
    assert header == ["hidden level k", "Pk (samples, asymptotic)", "loss before (nats)", "loss after (nats)"]
    assert rows == [
        [str(k), f"{P:.4g}", f"{before:.4f}", f"{after:.4f}"]
        for k, (P, before, after) in enumerate(
            zip(p.sample_complexity, p.plateaus[:-1], p.plateaus[1:], strict=True)
        )
    ]
    assert architecture in p._repr_html_()


@pytest.mark.parametrize(
    ("rhm", "undefined"),
    [
        (RHM(v=4, m=4, s=2, L=2), {"sample_complexity", "finite_size_exponent"}),
        (RHM(v=8, m=1, s=2, L=3), {"exponent", "finite_size_exponent"}),
        (RHM(v=8, m=2, s=2, L=1), {"finite_size_exponent"}),
    ],
    ids=["f = 1", "m = 1", "L = 1"],
)
def test_what_is_infinite_or_undefined_is_null_in_json(rhm, undefined):
    stored = json.loads(json.dumps(predict(rhm, "cnn").to_dict(), allow_nan=False))
    assert {name for name, value in stored.items() if value in (None, [None] * rhm.L)} == undefined
