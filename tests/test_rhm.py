"""The ensemble's parameters: what is accepted, what is derived, and what is refused with which words."""

import dataclasses
import pickle
from fractions import Fraction
from math import prod

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhmtheory import RHM, InputError, zipf
from rhmtheory.tree import Level, Shape

LEVELS = RHM(v=(16, 8, 4), m=(3, 5, 2), s=(2, 3, 2), L=3, n=6)


def test_derived_numbers():
    rhm = RHM(v=32, m=8, s=2, L=4)
    assert (rhm.d, rhm.f, rhm.n) == (16, 0.25, 32)
    assert RHM(v=8, m=8, s=3, L=3).f == 1 / 8
    assert RHM(v=6, m=9, s=3, L=4).d == 81


def test_symbols_rules_and_children_by_level():
    assert [LEVELS.n_symbols(level) for level in range(4)] == [16, 8, 4, 6]
    assert [LEVELS.n_rules(level) for level in range(1, 4)] == [3, 5, 2]
    assert [LEVELS.n_children(level) for level in range(1, 4)] == [2, 3, 2]
    assert [LEVELS.width(level) for level in range(4)] == [12, 6, 2, 1]
    assert [LEVELS.span(level) for level in range(4)] == [1, 2, 6, 12]
    assert LEVELS.levels[0].f == 8 * 3 / 16**2
    assert LEVELS.levels[1].f == 4 * 5 / 8**3
    assert LEVELS.levels[2].f == 6 * 2 / 4**2


@st.composite
def parameters(draw):
    L = draw(st.integers(1, 4))
    v = draw(st.lists(st.integers(2, 40), min_size=L, max_size=L))
    s = draw(st.lists(st.integers(2, 4), min_size=L, max_size=L))
    n = draw(st.integers(1, 40))
    room = [v[i] ** s[i] // above for i, above in enumerate([*v[1:], n])]
    m = [draw(st.integers(1, r)) if r else 0 for r in room]
    return v, m, s, L, n


@given(parameters())
def test_any_levels(given_parameters):
    v, m, s, L, n = given_parameters
    if 0 in m:
        with pytest.raises(InputError):
            RHM(v, [max(x, 1) for x in m], s, L, n)
        return
    rhm = RHM(v, m, s, L, n)
    assert rhm.d == prod(s)
    for level in range(L + 1):
        assert rhm.n_symbols(level) == [*v, n][level]
        assert rhm.width(level) * rhm.span(level) == rhm.d
    for level in range(1, L + 1):
        assert 0 < rhm.levels[level - 1].f <= 1
        exact = Fraction(rhm.n_symbols(level) * m[level - 1], v[level - 1] ** s[level - 1])
        assert rhm.levels[level - 1].f == pytest.approx(float(exact), rel=1e-15)


def test_equal_levels_are_one_number():
    """However it is written, the same ensemble is equal, hashes alike and prints the same."""
    one = RHM(v=4, m=2, s=2, L=3)
    for other in (RHM([4, 4, 4], (2, 2, 2), np.array([2, 2, 2]), 3), RHM(np.int64(4), 2, 2, 3, n=4)):
        assert other == one
        assert hash(other) == hash(one)
        assert repr(other) == repr(one)
        assert other.has_alike_levels
        other.require_alike_levels()
        assert (other.v, other.m, other.s) == (4, 2, 2)
    assert type(RHM(np.int64(4), 2, 2, 3).v) is int
    assert one != RHM(v=4, m=2, s=2, L=3, n=5)
    assert one != RHM(v=4, m=2, s=2, L=4)


def test_it_is_frozen_and_survives_pickling():
    with pytest.raises(dataclasses.FrozenInstanceError):
        LEVELS.L = 2
    assert pickle.loads(pickle.dumps(LEVELS)) == LEVELS
    assert dataclasses.replace(LEVELS, n=3).n == 3


def test_no_single_fraction_where_levels_differ():
    assert not LEVELS.has_alike_levels
    with pytest.raises(InputError, match=r"no single \(v, m, s\)"):
        LEVELS.require_alike_levels()
    with pytest.raises(InputError, match=r"no single \(v, m, s\)"):
        _ = LEVELS.f


@pytest.mark.parametrize("full", [RHM(v=4, m=4, s=2, L=2), RHM(v=3, m=9, s=3, L=1), RHM(v=2, m=2, s=2, L=5)])
def test_every_tuple_may_be_grammatical(full):
    assert full.f == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"v": 1}, "v=1 is too small: it must be at least 2"),
        ({"m": 0}, "m=0 is too small: it must be at least 1"),
        ({"s": 1}, "s=1 is too small: it must be at least 2"),
        ({"L": 0}, "L=0 is too small: it must be at least 1"),
        ({"n": 0}, "n=0 is too small: it must be at least 1"),
        ({"v": 4.0}, "v=4.0 is not an integer: give a whole number such as 4"),
        ({"m": "2"}, "m='2' is not an integer"),
        ({"s": None}, "s=None is not an integer"),
        ({"L": True}, "L=True is a truth value: give an integer"),
        (
            {"v": (4, 4)},
            r"v has 2 entries, but L=3: give one int, or one a level \(v_0 .. v_2, from the leaves up\)",
        ),
        ({"m": [2] * 4}, r"m has 4 entries, but L=3: give one int, or one a level \(m_1 .. m_3"),
        ({"v": (4, 1, 4)}, "v_1=1 is too small"),
        ({"m": (2, 2, 0)}, "m_3=0 is too small"),
        ({"s": (2, 2.5, 2)}, "s_2=2.5 is not an integer"),
        (
            {"v": 16, "m": 20},
            r"m=20 rules x v=16 symbols need 320 tuples, but v\*\*s = 256: lower m to at most 16",
        ),
        ({"m": 2, "n": 100}, r"m=2 rules x n=100 symbols need 200 tuples, but v\*\*s = 16: lower n or raise s"),
        (
            {"v": (4, 9, 4)},
            r"m=2 rules x v=9 symbols at level 1 need 18 tuples, but v_0\*\*s = 16: lower m to at most 1",
        ),
        ({"v": (2, 9, 4)}, r"at level 1 need 18 tuples, but v_0\*\*s = 4: lower v or raise s"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        RHM(**({"v": 4, "m": 2, "s": 2, "L": 3} | arguments))


def test_input_errors_are_value_errors():
    with pytest.raises(ValueError, match="too small"):
        RHM(1, 1, 2, 1)


@pytest.mark.parametrize("method", ["n_symbols", "width", "span"])
@pytest.mark.parametrize("level", [-1, 4])
def test_levels_outside(method, level):
    with pytest.raises(InputError, match=f"level={level} is too"):
        getattr(LEVELS, method)(level)


@pytest.mark.parametrize("method", ["n_rules", "n_children", "probabilities", "m_eff", "f_eff"])
@pytest.mark.parametrize("level", [0, 4])
def test_levels_without_rules(method, level):
    with pytest.raises(InputError, match=r"level=-?\d is too"):
        getattr(LEVELS, method)(level)


# --- rule probabilities ---------------------------------------------------------------------------------


def test_uniform_by_default():
    assert LEVELS.rule_probabilities is None
    np.testing.assert_array_equal(LEVELS.probabilities(2), [0.2] * 5)


def test_one_list_for_all_levels_or_one_a_level():
    p, q = (0.5, 0.3, 0.2), (0.7, 0.2, 0.1)
    same = RHM(4, 3, 2, 2, rule_probabilities=p)
    assert (
        same == RHM(4, 3, 2, 2, rule_probabilities=[p, p]) == RHM(4, 3, 2, 2, rule_probabilities=np.array([p, p]))
    )
    assert hash(same) == hash(RHM(4, 3, 2, 2, rule_probabilities=np.array(p)))
    np.testing.assert_array_equal(same.probabilities(1), p)
    both = RHM(4, 3, 2, 2, rule_probabilities=[p, q])
    np.testing.assert_array_equal(both.probabilities(1), p)
    np.testing.assert_array_equal(both.probabilities(2), q)
    assert both != same


def test_as_many_rules_as_the_level_has():
    rhm = RHM(4, (3, 2), 2, 2, rule_probabilities=[zipf(3, 1), zipf(2, 1)])
    assert [len(rhm.probabilities(level)) for level in (1, 2)] == [3, 2]
    with pytest.raises(
        InputError, match=r"rule_probabilities of level 2 have shape \(3,\): they must have shape \(2,\)"
    ):
        RHM(4, (3, 2), 2, 2, rule_probabilities=zipf(3, 1))


def test_uniform_probabilities_are_the_default():
    assert RHM(4, 3, 2, 2, rule_probabilities=[1 / 3] * 3) == RHM(4, 3, 2, 2)
    assert RHM(4, 3, 2, 2, rule_probabilities=zipf(3, 0)) != RHM(4, 3, 2, 2)
    nearly = (1 / 3 + 1e-9, 1 / 3, 1 / 3 - 1e-9)
    assert RHM(4, 3, 2, 2, rule_probabilities=nearly).rule_probabilities == nearly


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ((0.5, 0.5), r"rule_probabilities of level 1 have shape \(2,\): they must have shape \(3,\)"),
        ((0.5, 0.6, 0.2), "sum to 1.3: they must sum to one; divide by their sum"),
        ((0.5, 0.7, -0.2), r"hold -0.2 at \[2\]: probabilities are finite and not negative"),
        ((0.5, float("nan"), 0.5), r"hold nan at \[1\]"),
        ((float("inf"), 0, 0), r"hold inf at \[0\]"),
        (("a", "b", "c"), "must hold real numbers"),
        ([(0.5, 0.3, 0.2)], "rule_probabilities hold 1 levels, but L=2: give one list a level"),
        ([(0.5, 0.3, 0.2), (0.5, 0.5, 0.5)], "rule_probabilities of level 2 sum to 1.5"),
        (0.5, r"have shape \(\): they must have shape \(3,\)"),
        ((), r"have shape \(0,\)"),
    ],
)
def test_bad_probabilities(p, message):
    with pytest.raises(InputError, match=message):
        RHM(4, 3, 2, 2, rule_probabilities=p)


def test_zipf():
    assert zipf(1, 2.0) == (1.0,)
    np.testing.assert_allclose(zipf(3, 0), np.array([6, 3, 2]) / 11, rtol=1e-15)
    np.testing.assert_allclose(zipf(2, 1), [0.8, 0.2], rtol=1e-15)
    p = np.array(zipf(50, 0.7))
    assert p.sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(np.diff(np.log(p)) / np.diff(np.log(np.arange(1, 51))), -1.7, rtol=1e-9)


@pytest.mark.parametrize(
    ("m", "a", "message"),
    [
        (0, 1.0, "m=0 is too small"),
        (2.5, 1.0, "m=2.5 is not an integer"),
        (3, -0.5, "a=-0.5 is no Zipf exponent"),
        (3, float("inf"), "a=inf is no Zipf exponent"),
        (3, float("nan"), "a=nan is no Zipf exponent"),
    ],
)
def test_bad_zipf(m, a, message):
    with pytest.raises(InputError, match=message):
        zipf(m, a)


def test_sizes_beyond_the_range_of_floats():
    with pytest.raises(InputError, match=r"v\*\*s = 32\*\*1000 leaves the range of floats: lower v or s"):
        RHM(v=32, m=4, s=1000, L=2)
    with pytest.raises(InputError, match=r"v_1\*\*s = 16\*\*300 leaves the range of floats"):
        RHM(v=(8, 16), m=2, s=(2, 300), L=2)


@pytest.mark.parametrize(
    "rhm",
    [RHM(3, 2, 2, 2), RHM(3, 2, 3, 1, n=2), RHM((3, 4), (2, 3), (3, 2), 2, n=5), RHM(2, 1, 2, 3)],
    ids=repr,
)
def test_number_of_sentences_is_that_of_distinct_derivations(rhm):
    trees = naive.derivations(naive.tables_of(rhm.grammar(seed=0))[0])
    assert rhm.n_sentences == len(trees) == len({levels[-1] for levels, _ in trees})


# --- no ensemble claims what it is not ------------------------------------------------------------------

U, Z = (0.25, 0.25, 0.25, 0.25), (0.7, 0.1, 0.1, 0.1)


def test_levels_whose_rules_are_weighed_differently_are_not_alike():
    ladder = [RHM(8, 4, 2, 3, rule_probabilities=p) for p in ([U, Z, U], [U, U, Z])]
    assert len({str(rhm) for rhm in ladder}) == 2
    for rhm in ladder:
        assert not rhm.has_alike_levels
        assert rhm.f == 0.5
        with pytest.raises(InputError, match=r"no single \(v, m, s\) and rule probabilities"):
            rhm.require_alike_levels()
    assert RHM(8, 4, 2, 3, rule_probabilities=[Z, Z, Z]).has_alike_levels
    assert RHM(8, 4, 2, 3, rule_probabilities=[U, U, U]).has_alike_levels


def test_levels_that_look_alike_in_three_digits_are_told_apart():
    nearly = (0.7, 0.1, 0.1 + 1e-9, 0.1 - 1e-9)
    assert str(RHM(8, 4, 2, 2, rule_probabilities=[Z, nearly])).count("(0.7") == 2


def test_people_are_shown_the_first_of_many_probabilities():
    rhm = RHM(100, 50, 2, 2, rule_probabilities=zipf(50, 0))
    assert str(rhm) == "RHM(v=100, m=50, s=2, L=2, rule_probabilities=(0.222, 0.111, 0.0741, 0.0556, ..., 0.00445))"


def test_weights_that_symbols_do_not_share_are_no_ensemble():
    with pytest.raises(InputError, match=r"must hold real numbers|have shape"):
        RHM(8, 4, 2, 2, rule_probabilities="per symbol")
    weights = [[0.7, 0.3], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
    g = RHM(4, 2, 2, 2).grammar().reweighted([weights, weights])
    assert g.rhm is None
    assert (g.shape.f, g.shape.d, g.shape.levels[0].f) == (0.5, 4, 0.5)
    assert "of Shape(v=4, m=2, s=2, L=2)" in repr(g)
    with pytest.raises(InputError, match="weigh their rules each in its own way"):
        g.require_rhm()


def test_zipf_weights_are_given_by_their_exponent():
    rhm = RHM(8, (3, 2), 2, 2, zipf=0.5)
    assert rhm == RHM(8, (3, 2), 2, 2, rule_probabilities=[zipf(3, 0.5), zipf(2, 0.5)])
    assert pickle.loads(pickle.dumps(rhm)) == rhm
    assert dataclasses.replace(rhm, n=3).rule_probabilities == rhm.rule_probabilities
    assert eval(repr(rhm)) == rhm
    with pytest.raises(InputError, match=r"zipf=0.5 and rule_probabilities are two weights of rules: give one"):
        RHM(8, 2, 2, 2, rule_probabilities=(0.5, 0.5), zipf=0.5)
    with pytest.raises(InputError, match="a=-1 is no Zipf exponent"):
        RHM(8, 2, 2, 2, zipf=-1)


def test_a_shape_has_levels_and_no_probabilities():
    rhm = RHM(v=(16, 8, 4), m=(3, 5, 2), s=(2, 3, 2), L=3, n=6, zipf=1.0)
    shape = rhm.shape
    assert shape == Shape(v=(16, 8, 4), m=(3, 5, 2), s=(2, 3, 2), L=3, n=6) == LEVELS.shape
    assert shape != LEVELS
    assert shape.levels[1] == Level(number=2, symbols=4, rules=5, children=3, below=8)
    assert [level.number for level in shape.levels] == [1, 2, 3]
    assert repr(shape) == "Shape(v=(16, 8, 4), m=(3, 5, 2), s=(2, 3, 2), L=3, n=6)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        shape.levels[0].rules = 3
    assert hash(pickle.loads(pickle.dumps(shape))) == hash(shape)


@pytest.mark.parametrize("order", [0.25, 0.5, 1, 2, 3])
def test_effective_numbers(order):
    """Between one and m, falling with the order; m for equally likely rules."""
    p = np.array(zipf(6, 0.5))
    rhm = RHM(16, 6, 2, 2, rule_probabilities=tuple(p))
    expected = np.exp(-(p * np.log(p)).sum()) if order == 1 else (p**order).sum() ** (1 / (1 - order))
    assert rhm.m_eff(1, order) == pytest.approx(expected, rel=1e-12)
    assert 1 < rhm.m_eff(1, order + 0.1) < rhm.m_eff(1, order) < 6
    assert RHM(16, 6, 2, 2).m_eff(1, order) == 6
    assert rhm.f_eff(1, order) == pytest.approx(expected / 16)


def test_effective_numbers_of_orders_near_one_and_far_from_it():
    """Near 1 the Shannon number, with the slope of the Renyi entropy; for large orders the likeliest rule alone."""
    p = np.array(zipf(6, 0.5))
    rhm = RHM(16, 6, 2, 2, rule_probabilities=tuple(p))
    shannon, variance = -(p @ np.log(p)), p @ np.log(p) ** 2 - (p @ np.log(p)) ** 2
    for off in (-1e-15, 1e-15, -1e-9, 1e-6):
        expected = np.exp(shannon - off * variance / 2)
        assert rhm.m_eff(1, 1 + off) == pytest.approx(expected, rel=1e-11)
    for order in (900, 1e6):
        expected = p.max() ** (order / (1 - order))
        assert rhm.m_eff(1, order) == pytest.approx(expected, rel=1e-12)


def test_effective_numbers_of_rules_that_hardly_ever_happen():
    rare = RHM(16, 3, 2, 2, rule_probabilities=(1 - 2e-300, 1e-300, 1e-300))
    assert [rare.m_eff(1, order) for order in (0.5, 1, 2)] == pytest.approx([1, 1, 1], abs=1e-12)
    assert RHM(16, 3, 2, 2, rule_probabilities=(0.5, 0.5, 0)).m_eff(1, 0.5) == pytest.approx(2)
    with pytest.raises(InputError, match="order=0 is no order of an effective number"):
        rare.m_eff(1, 0)


@pytest.mark.parametrize("L", [1001, 4000, 10**6, 10**18])
def test_trees_beyond_the_range_of_floats(L):
    with pytest.raises(InputError, match=r"levels have d = s\*\*L tokens, beyond the range of floats"):
        RHM(v=16, m=4, s=2, L=L)
    with pytest.raises(InputError, match=r"s=7 at L=400 gives d = s\*\*L tokens, beyond the range of floats"):
        RHM(v=16, m=4, s=7, L=400)


def test_languages_too_large_to_count():
    assert RHM(v=8, m=1, s=2, L=64).n_sentences == 8
    with pytest.raises(
        InputError, match=r"has about 10\*\*1.11.*e\+19 sentences, too many digits to hold: lower L"
    ):
        _ = RHM(v=16, m=4, s=2, L=64).n_sentences
