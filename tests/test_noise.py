"""The noisy tree: the map of beliefs, its fixed point, and what is left of each level on drawn grammars."""

from itertools import product

import naive
import numpy as np
import pytest

from rhmtheory import RHM, InputError, formulas
from rhmtheory.ensemble.noise import noise_flow, noise_transition
from rhmtheory.exact.populations import overlaps

SHAPES = [
    (32, 8, 2),
    (16, 4, 2),
    (20, 5, 2),
    (12, 3, 2),
    (8, 8, 3),
    (8, 6, 2),
    (8, 2, 2),
    (6, 3, 2),
    (8, 2, 3),
    (4, 4, 3),
]


# --- the map --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("v", "m", "s"), SHAPES)
def test_no_and_full_information_are_fixed(v, m, s):
    assert formulas.belief_map(1 / v, v, m, s, v) == pytest.approx(1 / v, rel=1e-12)
    assert formulas.belief_map(1.0, v, m, s, v) == 1


@pytest.mark.parametrize(("v", "m", "s"), SHAPES)
def test_slope_is_that_of_the_map(v, m, s):
    for p in (1 / v, 0.4, 0.9):
        step = 1e-6
        difference = (
            (formulas.belief_map(p + step, v, m, s, v) - formulas.belief_map(p - step, v, m, s, v)) / 2 / step
        )
        assert formulas.belief_slope(p, v, m, s, v) == pytest.approx(difference, rel=1e-6)
    # closed forms of both ends
    assert formulas.belief_slope(1 / v, v, m, s, v) == pytest.approx(s / m * v ** (s - 1) * (v - 1) / (v**s - 1))
    assert formulas.belief_slope(1.0, v, m, s, v) == pytest.approx(s * m * (v - 1) / (v**s - 1))


def test_map_is_the_average_over_rules_of_numerator_and_denominator():
    """One level of many drawn grammars, numerator and denominator averaged apart."""
    rhm, p, rng = RHM(v=5, m=3, s=2, L=1), 0.6, np.random.default_rng(0)
    top, bottom = [], []
    for seed in range(4000):
        rules = rhm.grammar(seed).rules(1)
        a, r = rng.integers(5), rng.integers(3)
        belief = np.full((2, 5), (1 - p) / 4)
        belief[[0, 1], rules[a, r]] = p
        weight = belief[0][rules[..., 0]] * belief[1][rules[..., 1]]
        top.append(weight[a].sum())
        bottom.append(weight.sum())
    expected = formulas.belief_map(p, 5, 3, 2, 5)
    ratio = np.mean(top) / np.mean(bottom)
    error = np.std(np.array(top) - ratio * np.array(bottom)) / np.mean(bottom) / np.sqrt(len(top))
    assert abs(ratio - expected) < 4 * error
    assert error < 0.01


@pytest.mark.parametrize(
    ("shape", "belief", "noise", "slope", "nu"),
    [
        ((32, 8, 2), 0.2917, 0.7312, 1.4422, 1.893),
        ((16, 4, 2), 0.2500, 0.8000, 1.3600, 2.254),
        ((20, 5, 2), 0.2667, 0.7719, 1.3961, 2.077),
        ((12, 3, 2), 0.2222, 0.8485, 1.2893, 2.728),
        ((8, 8, 3), 0.3536, 0.7388, 1.5653, 2.452),
    ],
)
def test_transition(shape, belief, noise, slope, nu):
    found = noise_transition(RHM(*shape, L=4))
    assert found.phase == "threshold"
    assert found.belief == pytest.approx(belief, abs=6e-5)
    assert found.noise == pytest.approx(noise, abs=6e-5)
    assert found.slope == pytest.approx(slope, abs=6e-5)
    assert found.nu == pytest.approx(nu, abs=6e-4)


def test_transition_of_many_symbols():
    """For s = 2 and large v: ``p* = f / (1 - f)`` and ``nu = ln 2 / ln(2 (1 - f))``."""
    found = noise_transition(RHM(v=40_000, m=10_000, s=2, L=2))
    assert found.belief == pytest.approx(1 / 3, rel=1e-3)
    assert found.nu == pytest.approx(np.log(2) / np.log(1.5), rel=1e-3)


@pytest.mark.parametrize(
    ("shape", "phase"),
    [((8, 6, 2), "always"), ((8, 2, 2), "threshold"), ((4, 1, 2), "never"), ((8, 2, 3), "never")],
)
def test_phase_is_what_the_flow_does(shape, phase):
    rhm = RHM(*shape, L=400)
    found = noise_transition(rhm)
    assert found.phase == phase
    assert found.slope_informed == pytest.approx(formulas.belief_slope(1.0, *shape, shape[0]))
    little, much = noise_flow(rhm, [0.001, 0.995])[:, -1]
    uninformed = 1 / shape[0]
    assert (little > 1 - 1e-6) == (phase != "always")
    assert (much > uninformed + 1e-6) == (phase == "never")


def test_flow_turns_at_the_threshold():
    rhm = RHM(16, 4, 2, L=60)
    eps = noise_transition(rhm).noise
    below, above = noise_flow(rhm, [eps - 1e-3, eps + 1e-3])[:, -1]
    assert below > 0.99
    assert above < 1 / 16 + 1e-3


def test_unequal_rules_count_by_their_second_moment():
    weighted, fewer = RHM(8, 3, 2, 3, rule_probabilities=(0.5, 0.5, 0.0)), RHM(8, 2, 2, 3)
    np.testing.assert_allclose(noise_flow(weighted, 0.4), noise_flow(fewer, 0.4))


def test_levels_that_differ_have_a_flow_and_no_fixed_point():
    rhm = RHM(v=(8, 6, 4), m=(2, 3, 2), s=2, L=3)
    flow = noise_flow(rhm, 0.3)
    assert flow[1] == formulas.belief_map(flow[0], 6, 2, 2, 8)
    with pytest.raises(InputError, match="no fixed point: use noise_flow"):
        noise_transition(rhm)


@pytest.mark.parametrize("noise", [-0.1, 1.1, float("nan"), [0.2, 2]])
def test_noise_is_a_probability(noise):
    with pytest.raises(InputError, match="leaves the range of probabilities: give numbers from 0 to 1"):
        noise_flow(RHM(8, 2, 2, 2), noise)
    with pytest.raises(InputError, match="leaves the range of probabilities"):
        overlaps(RHM(8, 2, 2, 2).grammar(0), noise)


# --- populations ----------------------------------------------------------------------------------------------


def beliefs(cases, leaves):
    """Posterior of every node of every level from weights of the leaves, by the list of all derivations."""
    joint = [(tree, p * np.prod([leaves[i][x] for i, x in enumerate(tree[-1])])) for tree, p in cases]
    total = sum(weight for _, weight in joint)
    out = [np.zeros((len(nodes), 8)) for nodes in joint[0][0]]
    for tree, weight in joint:
        for level, nodes in enumerate(tree):
            for i, x in enumerate(nodes):
                out[level][i, x] += weight / total
    return out


@pytest.mark.parametrize("process", ["channel", "epsilon"])
def test_populations_are_the_average_over_all_sentences_and_observations(process):
    rhm, eps, members = RHM(v=3, m=2, s=2, L=2, n=2), 0.35, 8192
    grammar = rhm.grammar(seed=4)
    cases = naive.derivations(*naive.tables_of(grammar))
    expected = np.zeros(3)
    if process == "epsilon":
        for tree, probability in cases:
            leaves = [eps / 3 + (1 - eps) * np.eye(3)[x] for x in tree[-1]]
            expected += probability * right(beliefs(cases, leaves), tree)
    else:
        for seen in product(range(3), repeat=4):
            leaves = [eps / 3 + (1 - eps) * np.eye(3)[x] for x in seen]
            found = beliefs(cases, leaves)
            for tree, probability in cases:
                chance = np.prod([leaves[i][x] for i, x in enumerate(tree[-1])])
                expected += probability * chance * right(found, tree)
    runs = np.array([overlaps(grammar, eps, process=process, members=members, seed=i).belief[0] for i in range(8)])
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    assert (error < 0.003).all()
    assert (np.abs(runs.mean(axis=0) - expected) < 5 * error + 1e-12).all()


def right(found, tree):
    """Mean belief in the right symbol of the nodes of each level."""
    return np.array(
        [np.mean([p[i, x] for i, x in enumerate(nodes)]) for p, nodes in zip(found, tree, strict=True)][::-1]
    )


def test_processes_differ_and_follow_the_map():
    rhm = RHM(v=32, m=8, s=2, L=9)
    grammar = rhm.grammar(seed=0)
    eps = [0.2, 0.3]
    channel = overlaps(grammar, eps, members=128).alone[:, -1]
    centred = overlaps(grammar, eps, members=128, process="epsilon").alone[:, -1]
    assert (centred > 0.99).all()
    assert (channel < 0.4).all()
    np.testing.assert_allclose(noise_flow(rhm, eps)[:, -1], centred, atol=0.01)


def test_no_noise_and_nothing_but_noise():
    grammar = RHM(v=6, m=2, s=2, L=4).grammar(seed=1)
    found = overlaps(grammar, [0.0, 1.0], members=64)
    np.testing.assert_allclose(found.belief[0], 1)
    expected = [
        np.mean([(grammar.marginal(level, i) ** 2).sum() for i in range(2 ** (4 - level))]) for level in range(5)
    ]
    np.testing.assert_allclose(found.belief[1], expected, rtol=0.05)


def test_same_seed_same_numbers_and_bad_input():
    grammar = RHM(v=4, m=2, s=2, L=3).grammar(seed=1)
    one, two = (overlaps(grammar, 0.3, members=32, seed=5).belief for _ in range(2))
    np.testing.assert_array_equal(one, two)
    with pytest.raises(InputError, match="choose one of channel, epsilon"):
        overlaps(grammar, 0.3, process="gaussian")
    with pytest.raises(InputError, match="members"):
        overlaps(grammar, 0.3, members=0)
