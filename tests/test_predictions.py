"""Sample complexities, the staircase of the loss and its exponents."""

import json
import sys
from fractions import Fraction
from functools import cache
from html.parser import HTMLParser
from math import inf, isnan, log
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhmtheory import ARCHITECTURES, RHM, InputError, Prediction, ResourceError, predict, zipf
from rhmtheory.ensemble import second_moment
from rhmtheory.ensemble.exponents import beta, gamma
from rhmtheory.exact.residuals import tuple_detection
from rhmtheory.language import quenched_plateaus
from rhmtheory.theory import (
    LAWS,
    Law,
    corpus_exponent,
    crossing_levels,
    laws_table,
    predictions,
    staircase_exponent,
)
from rhmtheory.theory._staircase import first_step

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
    np.testing.assert_allclose(predict(rhm, "transformer").P.published, P0 * 4.0 ** np.array([0, 2, 4, 6]))
    np.testing.assert_allclose(predict(rhm, "lcn").P.published, P0 * 4.0 ** np.array([0, 2, 4, 6]))
    np.testing.assert_allclose(predict(rhm, "cnn").P.published, P0 * 4.0 ** np.array([0, 2, 3, 4]))


def test_arrays_of_a_prediction_stay_as_they_are():
    found = predict(RHMS[0], "cnn")
    for array in (found.P.published, found.P.finite_size, found.plateaus):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_formulas(rhm, architecture):
    """Signal, squared correlation at LCA level k + 1 seen through tuples of known symbols, over noise."""
    v, m, f = rhm.v, rhm.m, rhm.f
    P = predict(rhm, architecture).P.published
    assert P.shape == (rhm.L,)
    for k in range(rhm.L):
        squared = (1 - f) / (v**3 * m ** (2 * k + 1))
        if architecture == "cnn" and k >= 1:
            squared *= m ** (k - 1)  # a tuple of level-(k-1) symbols instead of one of tokens
        assert P[k] == pytest.approx(1 / (v**2 * squared), rel=1e-12)
        assert ARCHITECTURES[architecture].published(rhm, k) == P[k]


def test_all_architectures_agree_on_the_first_two_steps(rhm):
    P = [predict(rhm, a).P.published[:2] for a in ARCHITECTURES]
    np.testing.assert_allclose(P, np.tile(rhm.v * np.array([rhm.m, rhm.m**3.0]) / (1 - rhm.f), (3, 1)))


def test_step_factors(rhm, architecture):
    p = predict(rhm, architecture)
    assert p.step_factor == p.law.step_factor(rhm) == (rhm.m if architecture == "cnn" else rhm.m**2)
    np.testing.assert_allclose(p.P.published[2:] / p.P.published[1:-1], p.step_factor)


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
    unshared, shared = LAWS["unshared"].exponent(rhm), LAWS["shared"].exponent(rhm)
    assert shared == pytest.approx(2 * unshared, rel=1e-12)
    # gamma / (2 beta): entropy against range, correlation against distance (arXiv:2602.07488)
    beta, gamma = log(rhm.m) / log(s), log(1 / rhm.f) / log(s)
    assert unshared == pytest.approx(gamma / (2 * beta), rel=1e-9)


@pytest.mark.parametrize("L", [2, 3, 4, 9])
def test_few_level_exponent_of_a_geometric_staircase(rhm, architecture, L):
    """H_k ~ f**k above a floor of zero: few steps show the exponent of many, where they all have one factor."""
    rhm = RHM(v=rhm.v, m=rhm.m, s=rhm.s, L=L)
    p = predict(rhm, architecture, plateaus=[*(3 * rhm.f ** np.arange(L)), 0.0])
    if L <= 3:
        # one step is left: the last one falls to zero, sqrt(H * 0)
        assert isnan(p.few_level_exponent.published)
    else:
        assert p.few_level_exponent.published == pytest.approx(p.exponent, rel=1e-12)


def test_few_level_exponent_is_a_fit_through_the_crossings():
    """Steps k >= 1 cross sqrt(H_k H_(k+1)); with three levels there are two of them."""
    rhm, H = RHM(v=32, m=8, s=2, L=3), np.array([3.4, 2.0, 1.0, 0.4])
    rise = log((np.sqrt(2.0) - 0.4) / (np.sqrt(0.4) - 0.4))
    assert predict(rhm, "transformer", plateaus=H).few_level_exponent.published == pytest.approx(
        rise / log(64), rel=1e-12
    )
    assert predict(rhm, "cnn", plateaus=H).few_level_exponent.published == pytest.approx(rise / log(8), rel=1e-12)


def test_two_levels_use_both_steps():
    rhm, H = RHM(v=8, m=2, s=2, L=2), np.array([2.0, 0.9, 0.3])
    assert [first_step(L) for L in (1, 2, 3, 4, 10)] == [0, 0, 1, 1, 1]
    rise = log((np.sqrt(1.8) - 0.3) / (np.sqrt(0.27) - 0.3))
    for architecture in ARCHITECTURES:
        assert predict(rhm, architecture, plateaus=H).few_level_exponent.published == pytest.approx(
            rise / log(4), rel=1e-12
        )


@pytest.mark.parametrize("rhm", RHMS[:2], ids=repr)
def test_few_level_exponent_of_many_levels(rhm, architecture):
    """The plateaus of the chain fall by f only roughly; with many levels the slope comes within 5% of the limit."""
    p = predict(RHM(v=rhm.v, m=rhm.m, s=rhm.s, L=12), architecture)
    assert p.few_level_exponent.published == pytest.approx(p.exponent, rel=0.05)


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
    for k, P in enumerate(p.P.published):
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
    np.testing.assert_array_equal(
        predict(rhm, "cnn", plateaus="annealed").plateaus, rhm.plateaus(method="annealed")
    )
    own = rhm.grammar(seed=0).plateaus()
    np.testing.assert_array_equal(predict(rhm, "cnn", plateaus=own).plateaus, own)
    np.testing.assert_array_equal(predict(rhm, "cnn", plateaus=own.tolist()).plateaus, own)
    assert predict(rhm, "cnn", plateaus=own).loss(inf) == own[-1]


@pytest.mark.parametrize("name", ["mlp", "CNN", "", None])
def test_unknown_architecture(name):
    with pytest.raises(InputError, match=r"architecture=.* is unknown: choose one of transformer, lcn, cnn"):
        predict(RHMS[0], name)


def test_bad_arguments():
    with pytest.raises(InputError, match=r"plateaus have shape \(4,\): L=4 levels have 5 of them"):
        predict(RHMS[0], "cnn", plateaus=[1, 0.5, 0.2, 0.1])
    with pytest.raises(InputError, match="method='guess' is unknown"):
        predict(RHMS[0], "cnn", plateaus="guess")
    for k in (-1, 4):
        with pytest.raises(InputError, match=f"k={k} is too"):
            LAWS["shared"].published(RHMS[0], k)
        with pytest.raises(InputError, match=f"k={k} is too"):
            LAWS["shared"].finite_size(RHMS[0], k)
    with pytest.raises(InputError, match="architecture='own latents' is the law of another task, own latents"):
        predict(RHMS[0], "own latents")
    for bad in ([1, 0.5, np.nan, 0.1, 0.1], [1, 0.5, -0.2, 0.1, 0.1]):
        with pytest.raises(InputError, match="must be entropies: finite and not negative"):
            predict(RHMS[0], "cnn", plateaus=bad)
    with pytest.raises(InputError, match="must hold real numbers"):
        predict(RHMS[0], "cnn", plateaus=["a"] * 5)
    with pytest.raises(InputError, match="must hold real numbers"):
        predict(RHMS[0], "cnn").loss("x")
    for negative in (-1, float("nan")):
        with pytest.raises(InputError, match="must be a number of samples, zero or more"):
            RHMS[0].range(negative)
    with pytest.raises(InputError, match="beta=0 and gamma=1 must be positive"):
        corpus_exponent(0, 1)


def test_complexities_beyond_the_range_of_floats():
    deep = RHM(v=16, m=8, s=2, L=400)
    with pytest.raises(InputError, match=r"P_k at k=399 of .* leaves the range of floats: lower L or m"):
        LAWS["unshared"].published(deep, 399)
    assert np.isfinite(LAWS["unshared"].published(deep, 100))


# --- levels that differ, unequal rules, other tasks -----------------------------------------------------


def test_levels_that_differ_have_their_own_signal_and_noise():
    rhm = RHM(v=(16, 12, 10), m=(4, 3, 5), s=2, L=3, n=7)
    silent = [1 - rhm.levels[level - 1].f for level in (1, 2, 3)]
    lcn, cnn = predict(rhm, "lcn"), predict(rhm, "cnn")
    expected = [12 * 4 / silent[0], 10 * 3 * 4**2 / silent[1], 7 * 5 * (4 * 3) ** 2 / silent[2]]
    np.testing.assert_allclose(lcn.P.published, expected)
    expected = [12 * 4 / silent[0], 10 * 3 * 4 * 4 / silent[1], 7 * 5 * 3 * (4 * 3) / silent[2]]
    np.testing.assert_allclose(cnn.P.published, expected)
    assert isnan(lcn.step_factor)
    assert isnan(lcn.exponent)
    assert lcn.few_level_exponent.published > 0


def test_unequal_rules_count_as_their_effective_number():
    weights = (0.5, 0.25, 0.25)
    rhm = RHM(v=12, m=3, s=2, L=3, rule_probabilities=weights)
    m = 1 / (0.25 + 0.0625 + 0.0625)
    assert rhm.m_eff(2) == pytest.approx(m)
    p = predict(rhm, "transformer")
    f = m / 12  # of tuples that count, as it were
    np.testing.assert_allclose(p.P.published, 12 * m ** np.array([1, 3, 5]) / (1 - f))
    assert p.step_factor == pytest.approx(m**2)
    np.testing.assert_array_equal(p.plateaus, quenched_plateaus(rhm).mean)
    with pytest.raises(InputError, match="as if rules were equally likely"):
        rhm.plateaus("chain")


@cache
def square_sum(rhm, seed, level):
    """Sum of the squared probabilities of the symbols at the first node of a level, in one grammar."""
    return float(np.sum(rhm.grammar(seed).marginal(level, 0) ** 2))


@pytest.mark.parametrize("name", ["unshared", "shared", "effective targets", "own latents", "class"])
def test_finite_size_samples_are_signal_against_noise(name):
    law = LAWS[name]
    for rhm in (RHM(v=8, m=3, s=3, L=3), RHM(v=(6, 8, 7), m=(2, 3, 2), s=(2, 3, 2), L=3, n=4)):
        for k in range(1 if name == "class" else 0, 3):
            side, target, tuples = law.side_level(k), law.target_level(k), law.tuples(k)
            signal = second_moment(rhm, k + 1, hidden_levels=(side, target), tuples=(tuples, False))
            entries = rhm.n_symbols(target) * rhm.n_symbols(side) * (rhm.n_rules(side) if tuples else 1)
            # power sums of the marginals of real grammars, averaged: the rules are equally likely
            sums = [np.mean([square_sum(rhm, seed, level) for seed in range(4000)]) for level in (target, side)]
            noise = (1 - sums[0]) * (1 - sums[1] / (rhm.n_rules(side) if tuples else 1)) / entries
            assert law.finite_size(rhm, k) == pytest.approx(noise / signal, rel=5e-3)
    # the class shows in its sentences also where every sentence is grammatical
    assert (law.finite_size(RHM(v=4, m=4, s=2, L=2), 1) == inf) == (name != "class")


def test_finite_size_samples_tend_to_the_published_ones(architecture):
    for k in range(4):
        small, large = (
            ARCHITECTURES[architecture].finite_size(rhm, k) / ARCHITECTURES[architecture].published(rhm, k)
            for rhm in (RHM(v=32, m=8, s=2, L=4), RHM(v=1024, m=256, s=2, L=4))
        )
        assert abs(large - 1) < 0.1 * max(abs(small - 1), 0.1)


def test_a_step_waits_for_those_before_it():
    rhm = RHM(v=16, m=4, s=2, L=4, n=5, rule_probabilities=(0.7, 0.2, 0.05, 0.05))
    p = predict(rhm, "cnn", plateaus=[4, 3, 2, 1, 0.5])
    alone = [p.law.published(rhm, k) for k in range(4)]
    assert alone[3] < alone[2]
    np.testing.assert_array_equal(p.P.published, [*alone[:3], alone[2]])
    finite = [p.law.finite_size(rhm, k) for k in range(4)]
    np.testing.assert_array_equal(p.P.finite_size, np.maximum.accumulate(finite))
    assert p.loss((alone[3] + alone[2]) / 2) == 2
    assert p.loss(alone[2]) == 0.5


def test_a_law_says_which_rules_count():
    """v m**r / (1 - f), and the product of the m_l along the path where levels differ."""
    rhm = RHM(v=16, m=4, s=2, L=4)
    powers = {"unshared": 2, "shared": 1, "effective targets": 1, "residual": 2, "shared residual": 1}
    assert {law.name: law.power for law in LAWS.values()} == powers | {"own latents": 0, "class": 1}
    for law in LAWS.values():
        for k in range(4):
            r, ancestor = law.n_rules(k), law.target_level(k) == k + 1
            assert r == len(law.path(k))
            assert law.published(rhm, k) == pytest.approx(16 * 4**r / (1 if ancestor else 0.75))
    assert LAWS["unshared"].path(2) == (1, 2, 3, 2, 1)
    assert LAWS["shared"].path(2) == (1, 2, 3, 2)
    assert LAWS["effective targets"].path(2) == (2, 3, 2, 1)
    assert LAWS["class"].path(2) == (3, 2, 1)
    # shared tuples with the token and tuples of tokens with h_(k-1): the same rules, whatever their number
    for k in range(9):
        assert sorted(LAWS["shared"].path(k)) == sorted(LAWS["effective targets"].path(k))


def test_published_and_finite_size_speak_of_one_grammar_in_the_mean():
    rhm = RHM(v=12, m=3, s=2, L=3)
    grammars = [rhm.grammar(seed) for seed in range(64)]
    for name in ("unshared", "shared", "effective targets", "own latents"):
        law = LAWS[name]
        for k in range(3):
            mean = np.exp(np.mean([np.log(law.threshold(g, k)) for g in grammars]))
            assert mean == pytest.approx(law.finite_size(rhm, k), rel=0.3)


def test_residuals_have_thresholds_of_one_grammar_alone():
    rhm = RHM(v=16, m=4, s=2, L=3)
    g = rhm.grammar(0)
    law = LAWS["residual"]
    assert [law.finite_size(rhm, k) for k in (1, 2)] == [None, None]
    assert law.published(rhm, 2) == LAWS["unshared"].published(rhm, 2)
    found = tuple_detection(g, 2, target_level=0, context_level=2, tuple_level=1)
    assert law.threshold(g, 2) == found.noise / found.signal
    # no context at all within the last tuple
    assert law.threshold(g, 0) == LAWS["unshared"].threshold(g, 0)
    p = predict(rhm, law)
    assert np.isnan(p.P.finite_size).tolist() == [False, True, True]
    assert isnan(p.few_level_exponent.finite_size)
    assert p.loss(1e9) == p.plateaus[-1]
    assert "no closed form" in str(p)
    with pytest.raises(InputError, match="finite_size=True is not known for the law 'residual'"):
        p.loss(1e9, finite_size=True)
    with pytest.raises(InputError, match="law 'class' has no threshold of one grammar"):
        LAWS["class"].threshold(g, 1)


def own_side(k):
    return min(k, 2)


def test_a_law_of_ones_own(rhm):
    """Tuples up to level 2 are known: as with sharing up to k = 2, then as without."""
    law = Law("two known levels", lambda k: 0, own_side)
    p = predict(rhm, law)
    assert (p.architecture, p.law, p.step_factor) == ("two known levels", law, rhm.m**2)
    np.testing.assert_allclose(p.P.published[:3], predict(rhm, "cnn").P.published[:3])
    np.testing.assert_allclose(p.P.finite_size[:3], predict(rhm, "cnn").P.finite_size[:3])
    np.testing.assert_allclose(p.P.published[3:] / p.P.published[2:-1], rhm.m**2)
    with pytest.raises(InputError, match=r"side_level of law 'too high' at k=1=2 is too large"):
        predict(rhm, Law("too high", lambda k: 0, lambda k: 2 * k))


def test_predictions_compare_by_value():
    first, second = (predict(RHM(v=16, m=4, s=2, L=3), "cnn") for _ in range(2))
    assert first == second
    assert first != predict(RHM(v=16, m=4, s=2, L=3), "transformer")
    assert first != predict(RHM(v=16, m=4, s=2, L=3), "cnn", plateaus=[2.7, 1.5, 0.6, 0.3])
    assert first != "cnn"


def test_a_grid_of_predictions():
    found = predictions(v=[8, 16], m=[2, 4], s=2, L=3, architectures=["cnn", "lcn"])
    assert len(found.rows) == 2 * 2 * 2 * 3
    row = found.rows[-1]
    p = predict(RHM(v=16, m=4, s=2, L=3), "lcn")
    assert (row["v"], row["m"], row["architecture"], row["k"]) == (16, 4, "lcn", 2)
    assert (row["P_published"], row["P_finite_size"]) == (p.P.published[2], p.P.finite_size[2])
    assert (row["H_before"], row["H_after"], row["alpha"]) == (p.plateaus[2], p.plateaus[3], p.exponent)
    assert len(str(found).splitlines()) == 3 + len(found.rows)
    assert json.loads(json.dumps(found.to_dict()))["rows"][-1] == row
    assert found == predictions(v=[8, 16], m=[2, 4], s=2, L=3, architectures=["cnn", "lcn"])
    assert "<table>" in found._repr_html_()
    with pytest.raises(InputError, match="need"):
        predictions(v=[4, 8], m=8, s=2, L=2)


def test_a_grid_as_a_frame(monkeypatch):
    """With pandas where it is installed; it is no dependency."""
    given = []
    pandas = SimpleNamespace(DataFrame=given.append)
    found = predictions(v=8, m=2, s=2, L=2, architectures=["cnn"])
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    found.to_frame()
    assert given == [list(found.rows)]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ResourceError, match="pandas is not installed: install it, or use rows"):
        found.to_frame()


def test_the_table_of_laws():
    rhm = RHM(v=16, m=4, s=2, L=4)
    rows = {(row["law"], row["k"]): row for row in laws_table(rhm).rows}
    assert len(rows) == len(LAWS) * 4
    for (name, k), row in rows.items():
        assert row["published"] == LAWS[name].published(rhm, k)
        assert row["finite_size"] == LAWS[name].finite_size(rhm, k) or isnan(row["finite_size"])
    assert rows["shared", 3] | {"published": 0, "finite_size": 0} == {
        "law": "shared",
        "k": 3,
        "target": 0,
        "tuples_of": 2,
        "context": 0,
        "r": 5,
        "published": 0,
        "finite_size": 0,
    }
    own = laws_table(rhm, laws=[Law("own", lambda k: 0, own_side)])
    assert {row["law"] for row in own.rows} == {"own"}


def test_other_tasks():
    rhm = RHM(v=16, m=4, s=2, L=3, n=10)
    assert LAWS["class"].published(rhm, 2) == 10 * 4**3
    assert LAWS["class"].published(RHM(v=(9, 8), m=(2, 3), s=2, L=2, n=5), 1) == 5 * 2 * 3
    deep = RHM(v=16, m=4, s=2, L=9)
    assert [LAWS["own latents"].published(deep, k) for k in range(1, 9)] == pytest.approx([16 * 4**3 / 0.75] * 8)


def test_exponents_of_decay_give_that_of_the_transformer():
    for rhm in RHMS:
        assert rhm.beta == pytest.approx(log(rhm.m) / log(rhm.s))
        assert rhm.gamma == pytest.approx(log(1 / rhm.f) / log(rhm.s))
        assert corpus_exponent(rhm.beta, rhm.gamma) == pytest.approx(predict(rhm, "transformer").exponent)


@pytest.mark.parametrize("method", ["finite-size", "published"])
def test_effective_range_grows_level_by_level(method):
    rhm = RHM(v=16, m=4, s=2, L=4)
    thresholds = [1 / (16 * rhm.rms_correlation(level, method=method)) ** 2 for level in (1, 2, 3, 4)]
    assert method == "finite-size" or thresholds[0] == pytest.approx(LAWS["shared"].published(rhm, 0))
    assert rhm.range(0.99 * thresholds[0], method=method) == 0
    for level, P in enumerate(thresholds, start=1):
        assert rhm.range(1.01 * P, method=method) == 2**level - 1
    # asymptotically P grows by m**2 a level, and the range by s
    assert method == "finite-size" or thresholds[3] / thresholds[2] == pytest.approx(16)


def test_the_range_is_that_of_the_last_level_above_the_noise():
    """Where every pair of level 1 is grammatical, neighbours show nothing for large v; tokens farther apart do."""
    rhm = RHM(v=8, m=(8, 2, 2), s=2, L=3)
    C = [rhm.rms_correlation(level, method="published") for level in (1, 2, 3)]
    assert C[0] == 0 < C[2] < C[1]
    for P, reach in ((1.01 / (8 * C[1]) ** 2, 3), (1.01 / (8 * C[2]) ** 2, 7), (0.99 / (8 * C[1]) ** 2, 0)):
        assert rhm.range(P, method="published") == reach


def test_predictions_of_ensembles_too_large_to_draw():
    p = predict(RHM(v=100, m=10**12, s=9, L=3), "transformer")
    assert np.isfinite(p.P.published).all()
    assert p.exponent == pytest.approx(4 / 24, rel=1e-9)


# --- the edges ------------------------------------------------------------------------------------------


def test_one_rule_a_symbol(architecture):
    """m = 1: every step costs the same, and the exponent is infinite."""
    p = predict(RHM(v=8, m=1, s=2, L=4), architecture)
    np.testing.assert_allclose(p.P.published, 8 / (1 - 1 / 8))
    assert (p.step_factor, p.exponent) == (1, inf)
    assert isnan(p.few_level_exponent.published)
    assert p.loss(9) == p.plateaus[0]
    assert p.loss(10) == p.plateaus[-1]


def test_every_tuple_grammatical(architecture):
    """f = 1: there is nothing to learn, with any number of samples."""
    p = predict(RHM(v=4, m=4, s=2, L=3), architecture)
    assert (p.P.published == inf).all()
    assert p.exponent == 0
    assert isnan(p.few_level_exponent.published)
    np.testing.assert_allclose(p.loss([0, 1e9]), log(4))


def test_one_level(architecture):
    p = predict(RHM(v=8, m=2, s=2, L=1), architecture)
    np.testing.assert_allclose(p.P.published, [16 / 0.75])
    assert p.plateaus.shape == (2,)
    assert isnan(p.few_level_exponent.published)
    assert p.exponent == (2 if architecture == "cnn" else 1)
    assert [p.loss(20), p.loss(22)] == p.plateaus.tolist()


def test_the_exponent_of_many_levels_does_not_know_of_classes(architecture):
    """With one level the only f there is belongs to the root; a deep tree falls by that of the levels below it."""
    for L in (1, 2, 4):
        few = predict(RHM(v=16, m=3, s=2, L=L, n=5), architecture)
        assert few.exponent == predict(RHM(v=16, m=3, s=2, L=4), architecture).exponent
        assert predict(RHM(v=4, m=4, s=2, L=L, n=2), architecture).exponent == 0
    assert RHM(v=16, m=3, s=2, L=1, n=5).gamma == log(16 / 3) / log(2)


# --- what is not known, and what is too large -----------------------------------------------------------


def test_a_grammar_whose_symbols_weigh_rules_in_their_own_way_has_no_prediction(architecture):
    rhm = RHM(v=4, m=2, s=2, L=2)
    uneven = np.tile([0.5, 0.5], (4, 1))
    uneven[1] = 0.9, 0.1
    grammar = rhm.grammar().reweighted([np.full((4, 2), 0.5), uneven])
    assert grammar.rhm is None
    with pytest.raises(InputError, match=r"weigh their rules each in its own way: use its exact statistics"):
        predict(grammar.require_rhm(), architecture, plateaus=grammar.plateaus())
    # as soon as the symbols agree it is an ensemble again
    even = grammar.reweighted([[[0.9, 0.1]] * 4, [[0.5, 0.5]] * 4])
    assert even.require_rhm() == RHM(v=4, m=2, s=2, L=2, rule_probabilities=[(0.5, 0.5), (0.9, 0.1)])


def test_levels_whose_rules_differ_have_no_single_factor(architecture):
    u, z = (1 / 3, 1 / 3, 1 / 3), (0.6, 0.3, 0.1)
    for levels in ([u, z, u], [u, u, z]):
        p = predict(RHM(v=9, m=3, s=2, L=3, rule_probabilities=levels), architecture, plateaus=[3, 2, 1, 0.5])
        assert isnan(p.step_factor)
        assert isnan(p.exponent)
        assert p.to_dict()["exponent"] is None
        for function in (beta, gamma):
            with pytest.raises(InputError, match="known for levels that are all alike"):
                function(p.rhm)


def test_unequal_rules_fall_by_their_overlap(architecture):
    """Exponent: ln(1/f) of order 1/2 over the logarithm of the step of order 2."""
    weights = (0.5, 0.25, 0.25)
    rhm = RHM(v=12, m=3, s=2, L=3, rule_probabilities=weights)
    overlap, second = (0.5**0.5 + 2 * 0.25**0.5) ** 2, 1 / (0.5**2 + 2 * 0.25**2)
    step = second if architecture == "cnn" else second**2
    assert predict(rhm, architecture).exponent == pytest.approx(log(12 / overlap) / log(step))
    assert rhm.gamma == pytest.approx(log(12 / overlap) / log(2))
    assert rhm.beta == pytest.approx(log(second) / log(2))


def test_plateaus_of_unequal_rules_fall_by_their_overlap():
    """Not by the raw f, 4/16, nor by that of the second moment: drawn grammars with p ~ r**-3."""
    rhm = RHM(v=16, m=4, s=2, L=6, rule_probabilities=zipf(4, 2))
    drops = -np.diff(quenched_plateaus(rhm, 64).mean)
    factor = (drops[5] / drops[2]) ** (1 / 3)
    assert 0.7 < factor / rhm.f_eff(1, 0.5) < 1
    assert factor / rhm.f < 0.6
    assert factor / rhm.f_eff(1, 2) > 1.2


@pytest.mark.parametrize("v", [2, 4096])
@pytest.mark.parametrize("s", [2, 7])
@pytest.mark.parametrize("L", [1, 64])
@pytest.mark.parametrize("dense", ["m = 1", "f = 1/2", "f = 1"])
def test_extreme_ensembles(architecture, v, s, L, dense):
    """Numbers, or a refusal with words; never an overflow, a NaN that is not documented, or a silent zero."""
    m = {"m = 1": 1, "f = 1/2": v ** (s - 1) // 2, "f = 1": v ** (s - 1)}[dense]
    rhm = RHM(v=v, m=m, s=s, L=L)
    p = in_range(predict, rhm, architecture, plateaus="annealed")
    if p is not None:
        for P in (p.P.published, p.P.finite_size):
            assert (P > 0).all()
            assert (inf == P).all() == (rhm.f == 1)
        assert not isnan(p.exponent)
        # an entropy is zero where the one before it comes near the smallest float
        assert (p.plateaus[1:][p.plateaus[:-1] > 1e-280] > 0).all()
    for method in ("published", "finite-size"):
        for level in (1, L):
            C = in_range(rhm.rms_correlation, level, method=method)
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
    exact = second_moment(rhm, 64, fractions=True)
    for method in ("finite-size", "published"):
        ratio = Fraction(rhm.rms_correlation(64, method=method)) ** 2 / exact
        assert float(ratio) == pytest.approx(1, rel=1e-9 if method == "finite-size" else 0.05)
    with pytest.raises(InputError, match=r"below the range of floats: lower the level or m, or ask for second_mom"):
        second_moment(rhm, 64)
    assert 0 < rhm.range(1e300) < rhm.d


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
        "law": "shared" if architecture == "cnn" else "unshared",
        "P": {"published": p.P.published.tolist(), "finite_size": p.P.finite_size.tolist()},
        "plateaus": p.plateaus.tolist(),
        "step_factor": p.step_factor,
        "exponent": p.exponent,
        "few_level_exponent": vars(p.few_level_exponent),
        "bill": None,
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
    header, *rows = table.rows[:-2]
    assert header == ["k", "H_k", "H_(k+1)", "P_k published", "P_k finite-size"]
    columns = zip(p.plateaus[:-1], p.plateaus[1:], p.P.published, p.P.finite_size, strict=True)
    assert rows == [
        [str(k), f"{before:.4f}", f"{after:.4f}", f"{published:.4g}", f"{finite:.4g}"]
        for k, (before, after, published, finite) in enumerate(columns)
    ]
    few = p.few_level_exponent
    assert table.rows[-1][1:] == [f"{x:.4f}" for x in (p.exponent, few.published, few.finite_size)]
    assert architecture in p._repr_html_()
    for row in table.rows:
        assert all(cell in str(p) for cell in row)


@pytest.mark.parametrize(
    ("rhm", "undefined"),
    [
        (RHM(v=4, m=4, s=2, L=2), {"P", "few_level_exponent"}),
        (RHM(v=8, m=1, s=2, L=3), {"exponent", "few_level_exponent"}),
        (RHM(v=8, m=2, s=2, L=1), {"few_level_exponent"}),
    ],
    ids=["f = 1", "m = 1", "L = 1"],
)
def test_what_is_infinite_or_undefined_is_null_in_json(rhm, undefined):
    stored = json.loads(json.dumps(predict(rhm, "cnn").to_dict(), allow_nan=False))
    nothing = None, [None] * rhm.L

    def missing(value):
        return (value["published"] if isinstance(value, dict) and "published" in value else value) in nothing

    assert stored.pop("bill") is None  # no batch was given
    assert {name for name, value in stored.items() if missing(value)} == undefined
