"""Covariances and their ingredients: against all derivations of tiny grammars, and against samples of real ones."""

from itertools import product

import naive
import numpy as np
import pytest
from hypothesis import given
from tiny import Tiny, grammars

from rhmtheory import RHM, InputError
from rhmtheory.exact import correlations
from rhmtheory.exact.correlations import correlation_function, covariance

TOLERANCE = {"rtol": 0, "atol": 1e-14}


def assert_all_covariances(tiny):
    for ((level_i, i), (level_j, j)), expected in naive.node_covariances(tiny.trees, tiny.sizes).items():
        C = covariance(tiny.grammar, i, j, hidden_levels=(level_i, level_j))
        np.testing.assert_allclose(C, expected, **TOLERANCE, err_msg=f"levels {level_i, level_j}, nodes {i, j}")


def test_covariance_of_every_pair_of_nodes(tiny):
    """Tokens and hidden symbols, a node with itself, with its ancestors and with its descendants."""
    assert_all_covariances(tiny)


@given(grammars())
def test_covariance_of_any_grammar(grammar):
    assert_all_covariances(Tiny(grammar))


def test_the_method_is_the_covariance_of_tokens(tiny):
    g, d = tiny.grammar, tiny.shape.d
    for i, j in product(range(d), repeat=2):
        expected = naive.covariance(
            tiny.trees, lambda lv, i=i: lv[-1][i], lambda lv, j=j: lv[-1][j], (tiny.sizes[0],) * 2
        )
        np.testing.assert_allclose(g.covariance(i, j), expected, **TOLERANCE)


def test_marginals_of_every_node(tiny):
    for level in range(tiny.shape.L + 1):
        for i in range(tiny.shape.width(level)):
            p = naive.distribution(tiny.trees, lambda lv, level=level, i=i: lv[-1 - level][i])
            expected = [p.get(x, 0.0) for x in range(tiny.sizes[level])]
            np.testing.assert_allclose(tiny.grammar.marginal(level, i), expected, **TOLERANCE)


def test_transition_matrices(tiny):
    for level in range(1, tiny.shape.L + 1):
        T = tiny.grammar.transition(level)
        table, weights = tiny.tables[-level], tiny.probabilities[-level]
        assert T.shape == (tiny.shape.n_children(level), tiny.sizes[level], tiny.sizes[level - 1])
        for branch in range(tiny.shape.n_children(level)):
            expected = naive.transition(table, weights, branch, tiny.sizes[level - 1])
            np.testing.assert_allclose(T[branch], expected, **TOLERANCE)


def test_correlation_function_by_brute_force(tiny):
    expected = naive.correlation_function(tiny.trees, tiny.sizes[0])
    np.testing.assert_allclose(tiny.grammar.correlation_function(), expected, **TOLERANCE)


@given(grammars())
def test_correlation_function_of_any_grammar(grammar):
    tiny = Tiny(grammar)
    expected = naive.correlation_function(tiny.trees, tiny.sizes[0])
    np.testing.assert_allclose(correlation_function(grammar), expected, **TOLERANCE)


def test_plateaus_by_brute_force(tiny):
    spans = [tiny.shape.span(k) for k in range(tiny.shape.L + 1)]
    np.testing.assert_allclose(tiny.grammar.plateaus(), naive.plateaus(tiny.trees, spans), rtol=0, atol=1e-12)


REAL = [
    RHM(v=16, m=4, s=2, L=5),
    RHM(v=8, m=8, s=3, L=3),
    RHM(v=(12, 6, 9, 5), m=(3, 5, 2, 4), s=(2, 3, 2, 2), L=4, n=3),
]


@pytest.mark.parametrize("rhm", REAL, ids=repr)
def test_correlation_function_is_the_rms_of_the_covariances(rhm):
    g = rhm.grammar(seed=3)
    last = rhm.d - 1
    expected = [np.sqrt(np.mean(g.covariance(last - t, last) ** 2)) for t in range(rhm.d)]
    np.testing.assert_allclose(g.correlation_function(), expected, rtol=1e-10)


def test_correlation_function_in_small_blocks_of_memory(monkeypatch):
    g = RHM(v=6, m=3, s=3, L=5).grammar(seed=0)
    whole = g.correlation_function()
    monkeypatch.setattr(correlations, "_LARGEST_BLOCK", 100)
    np.testing.assert_allclose(g.correlation_function(), whole, rtol=1e-12)


@pytest.mark.parametrize("rhm", REAL, ids=repr)
def test_covariance_is_symmetric_and_sums_to_zero(rhm):
    g = rhm.grammar(seed=5)
    for i, j in [(0, 1), (0, rhm.d - 1), (3, 4), (2, 2), (rhm.d - 1, 1)]:
        C = g.covariance(i, j)
        np.testing.assert_allclose(C, g.covariance(j, i).T, atol=1e-16)
        np.testing.assert_allclose(C.sum(axis=0), 0, atol=1e-15)
        np.testing.assert_allclose(C.sum(axis=1), 0, atol=1e-15)
    p = g.marginal(0, 2)
    np.testing.assert_allclose(g.covariance(2, 2), np.diag(p) - np.outer(p, p), atol=1e-16)


def test_the_covariance_of_a_hidden_symbol_pushes_down_to_that_of_its_tokens():
    g = RHM(v=8, m=4, s=2, L=4).grammar(seed=2)
    # token 5 is child 1 of node 2 of level 1
    hidden = covariance(g, 15, 2, hidden_levels=(0, 1))
    np.testing.assert_allclose(hidden @ g.transition(1)[1], g.covariance(15, 5), atol=1e-17)


def test_a_far_pair_of_a_deep_grammar():
    """A million tokens: the cost is that of the path, and correlations fall with the distance."""
    g = RHM(v=8, m=2, s=2, L=20).grammar(seed=0)
    d = g.shape.d
    assert d == 2**20
    near, far = (np.abs(g.covariance(i, d - 1)).max() for i in (d - 2, 0))
    assert 0 < far < 1e-3 * near


N = 1_000_000


def scores(samples, C, p, q, i, j):
    """Standard errors between the covariance of samples and C, for every entry that can vary."""
    size = len(p)
    n = len(samples)
    joint = np.bincount(samples[:, i].astype(int) * size + samples[:, j], minlength=size**2).reshape(size, size) / n
    measured = joint - np.outer(joint.sum(axis=1), joint.sum(axis=0))
    # variance of (x - p)(y - q) for indicators x, y of means p, q and covariance C
    p, q = p[:, None], q[None]
    xy = C + p * q
    both, left, right, none = xy, p - xy, q - xy, 1 - p - q + xy
    square = both * ((1 - p) * (1 - q)) ** 2 + left * ((1 - p) * q) ** 2 + right * (p * (1 - q)) ** 2
    variance = square + none * (p * q) ** 2 - C**2
    varies = variance > 1e-12
    return (measured - C)[varies] / np.sqrt(variance[varies] / n)


@pytest.fixture(scope="module")
def drawn():
    g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    return g, g.sample(N, seed=1)


def test_samples_have_the_exact_covariance(drawn):
    g, samples = drawn
    worst = {
        (i, j): np.abs(scores(samples, g.covariance(i, j), g.marginal(0, i), g.marginal(0, j), i, j)).max()
        for i, j in product(range(g.shape.d), repeat=2)
    }
    assert max(worst.values()) < 5, worst


def test_the_comparison_with_samples_can_fail(drawn):
    """The same test refuses the covariance of another pair at the same distance, which is only a little off."""
    g, samples = drawn
    z = scores(samples, g.covariance(4, 7), g.marginal(0, 0), g.marginal(0, 3), 0, 3)
    assert np.abs(z).max() > 20


@pytest.mark.parametrize(
    ("arguments", "levels", "message"),
    [
        ((0, 8), (0, 0), "j=8 is too large: it must be at most 7"),
        ((-1, 0), (0, 0), "i=-1 is too small: it must be at least 0"),
        ((1.0, 0), (0, 0), "i=1.0 is not an integer"),
        ((4, 0), (1, 0), "i=4 is too large: it must be at most 3"),
        ((0, 0), (0, 4), "hidden_levels=4 is too large: it must be at most 3"),
        ((0, 0), (-1, 0), "hidden_levels=-1 is too small"),
    ],
)
def test_nodes_outside_the_tree(arguments, levels, message):
    g = RHM(v=4, m=2, s=2, L=3).grammar()
    with pytest.raises(InputError, match=message):
        covariance(g, *arguments, hidden_levels=levels)


# --- what does not fit ------------------------------------------------------------------------------------


def test_covariances_that_do_not_fit_are_refused_before_they_are_made():
    grammar = RHM(v=100_000, m=2, s=2, L=2).grammar()
    for ask in (lambda: grammar.covariance(0, 3), grammar.correlation_function):
        with pytest.raises(
            InputError, match=r"a covariance of .* takes 76293 MiB, more than 1024: lower v, or use"
        ):
            ask()
    with pytest.raises(InputError, match=r"transition matrices of level 1 of .* take 152587 MiB, more than 1024"):
        grammar.transition(1)
    assert grammar.marginal(0, 3).sum() == pytest.approx(1)


@pytest.mark.parametrize("rhm", [RHM(v=8, m=2, s=2, L=40), RHM(v=2000, m=2, s=2, L=12)], ids=str)
def test_trees_with_too_many_tokens_for_all_correlations(rhm):
    grammar = rhm.grammar()
    with pytest.raises(InputError, match=r"tokens of .* operations: ask for pairs, by covariance\(i, j\)"):
        grammar.correlation_function()


@pytest.mark.parametrize("levels", [0, (1,), (0, 0, 0)])
def test_levels_of_two_nodes_are_a_pair(levels):
    with pytest.raises(InputError, match="is not a pair: give two levels such as"):
        RHM(8, 2, 2, 3).grammar(0).covariance(0, 5, hidden_levels=levels)
