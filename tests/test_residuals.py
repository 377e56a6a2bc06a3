"""Conditional second moments of far tuples: against all derivations of tiny grammars, and against known limits."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from tiny import Tiny, grammars

from rhmtheory import RHM, InputError
from rhmtheory.exact.correlations import covariance
from rhmtheory.exact.residuals import spine_covariance, tuple_detection


def conditional_covariance(trees, first, second, context):
    """E Cov([first = a], [second = b] | context) as a dict, from the list of derivations."""
    cells = defaultdict(lambda: (defaultdict(float), defaultdict(float), defaultdict(float)))
    for levels, p in trees:
        joint, a, b = cells[context(levels)]
        x, y = first(levels), second(levels)
        joint[x, y] += p
        a[x] += p
        b[y] += p
    out = defaultdict(float)
    for joint, a, b in cells.values():
        total = sum(a.values())
        for x in a:
            for y in b:
                out[x, y] += joint[x, y] - a[x] * b[y] / total
    return out


def context_of(rhm, level):
    return lambda levels: levels[-1][rhm.d - rhm.span(level) : rhm.d - 1]


def assert_as_listed(tiny):
    g, rhm = tiny.grammar, tiny.shape
    for k in range(1, rhm.L):
        for j, i in np.ndindex(k + 1, k + 1):

            def spine(levels, j=j):
                return levels[-1 - j][-1]

            listed = conditional_covariance(
                tiny.trees, spine, lambda levels, k=k: levels[-1 - k][-1], context_of(rhm, i)
            )
            K = spine_covariance(g, k, target_level=j, context_level=i)
            expected = [[listed[a, b] for b in range(rhm.n_symbols(k))] for a in range(rhm.n_symbols(j))]
            np.testing.assert_allclose(K, expected, rtol=0, atol=1e-14)
            own = conditional_covariance(tiny.trees, spine, spine, context_of(rhm, i))
            noise = sum(own[a, a] for a in range(rhm.n_symbols(j)))
            for level in range(1, k + 1):
                found = tuple_detection(g, k, target_level=j, context_level=i, tuple_level=level)
                assert found.noise == pytest.approx(noise, abs=1e-14)
                assert found.signal == pytest.approx(listed_signal(tiny, k, j, i, level), abs=1e-14)


def listed_signal(tiny, k, j, i, level):
    """Sum of squares of the covariances of the tuples themselves, mean over their positions."""
    rhm = tiny.shape
    s, under = rhm.n_children(level), rhm.span(k) // rhm.span(level)
    last = rhm.width(level)
    squares = []
    for node in range(last - under * rhm.n_children(k + 1), last - under):
        listed = conditional_covariance(
            tiny.trees,
            lambda levels: levels[-1 - j][-1],
            lambda levels, node=node: levels[-level][node * s : (node + 1) * s],
            context_of(rhm, i),
        )
        squares.append(sum(x * x for x in listed.values()))
    return np.mean(squares)


def test_listed_derivations(tiny):
    assert_as_listed(tiny)


@given(grammars(derivations=150))
def test_any_grammar(grammar):
    assert_as_listed(Tiny(grammar))


def test_without_context_it_is_the_covariance_of_two_nodes():
    g = RHM(v=8, m=3, s=2, L=4).grammar(seed=0)
    for k in (1, 2, 3):
        i = g.shape.d - 1
        expected = covariance(g, i, g.shape.width(k) - 1, hidden_levels=(0, k))
        np.testing.assert_allclose(spine_covariance(g, k), expected, rtol=0, atol=1e-14)
        # tuples of the nearest node below the sibling of h_k: the parent's covariance, spread over m rules
        C = covariance(g, g.shape.width(k) - 2, i, hidden_levels=(k, 0))
        assert tuple_detection(g, k, tuple_level=k).signal == pytest.approx((C**2).sum() / 3)


def test_a_known_context_takes_more_from_the_noise_of_higher_symbols():
    g = RHM(v=16, m=4, s=2, L=4).grammar(seed=0)
    for k in (1, 2, 3):
        noise = [
            [tuple_detection(g, k, target_level=j, context_level=i).noise for i in range(k + 1)]
            for j in range(k + 1)
        ]
        assert (np.diff(noise, axis=1) < 0).all()
        # h_j determines less than h_(j-1) does, once the context below it is known
        assert (np.diff(np.array(noise)[:, k]) < 1e-12).all()
        samples = [tuple_detection(g, k, target_level=j).samples for j in range(k + 1)]
        assert (np.diff(samples) < 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 3}, "k=3 is too large: it must be at most 2"),
        ({"target_level": 3}, "target_level=3 is too large: it must be at most 2"),
        ({"context_level": -1}, "context_level=-1"),
        ({"tuple_level": 0}, "tuple_level=0"),
    ],
)
def test_bad_input(change, message):
    g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    with pytest.raises(InputError, match=message):
        tuple_detection(g, **{"k": 2, **change})


def test_too_many_contexts_and_no_hidden_level():
    with pytest.raises(InputError, match=r"more than 2\*\*24 pairs"):
        spine_covariance(RHM(v=32, m=2, s=3, L=4).grammar(seed=0), 3)
    with pytest.raises(InputError, match="no hidden level"):
        tuple_detection(RHM(v=8, m=2, s=2, L=1).grammar(seed=0), 1)
