"""What steps cost in updates, and the look-up null: against all derivations of tiny grammars, and known limits."""

from collections import defaultdict

import naive
import numpy as np
import pytest
from hypothesis import given
from tiny import MAKERS, Tiny, grammars, tiny

from rhmtheory import RHM, InputError
from rhmtheory.exact import lookup
from rhmtheory.exact.lookup import beyond_lookup, lookup_loss, lookup_thresholds
from rhmtheory.exact.updates import table_entries, tuple_strength, updates_ratio


def spine_of(rhm, k):
    """Last token and all siblings of the spine below level k + 1: one entry of the table of step k."""

    def read(levels):
        ends = [levels[-1 - level] for level in range(k + 1)]
        return tuple(end[-rhm.n_children(level + 1) :] for level, end in enumerate(ends))

    return read


def assert_entries_as_listed(one):
    for k in range(one.shape.L):
        p = naive.distribution(one.trees, spine_of(one.shape, k))
        assert table_entries(one.grammar, k) == pytest.approx(1 / sum(q * q for q in p.values()), rel=1e-12)


@pytest.mark.parametrize("name", MAKERS)
def test_entries_of_the_table_are_those_of_all_derivations(name):
    assert_entries_as_listed(tiny(name))


@given(grammars())
def test_entries_of_the_table_of_any_grammar(grammar):
    assert_entries_as_listed(Tiny(grammar))


def test_alike_rules_and_a_uniform_root_give_v_m_to_the_k_plus_1():
    g = RHM(v=8, m=3, s=2, L=3).grammar(seed=1)
    assert table_entries(g, 2) == pytest.approx(8 * 3**3)
    with pytest.raises(InputError, match="k=3"):
        table_entries(g, 3)


def listed_strength(one, k, level):
    """Top singular values of the covariance of residual and tuple, from all derivations; rms over the nodes."""
    rhm, v = one.shape, one.sizes[0]
    context = defaultdict(lambda: np.zeros(v))
    start, end = rhm.d - rhm.span(k), rhm.d - 1
    for levels, p in one.trees:
        context[levels[-1][start:end]][levels[-1][-1]] += p
    law = {x: p / p.sum() for x, p in context.items()}
    s = rhm.n_children(level)
    # nodes of this level below the siblings of the last node of level k
    width = rhm.width(level)
    per_symbol = rhm.width(level) // rhm.width(k)
    nodes = range(width - rhm.n_children(k + 1) * per_symbol, width - per_symbol)
    squares = []
    for node in nodes:
        columns = defaultdict(lambda: np.zeros(v))
        for levels, p in one.trees:
            residual = np.eye(v)[levels[-1][-1]] - law[levels[-1][start:end]]
            below = levels[-level]
            columns[below[node * s : (node + 1) * s]] += p * residual
        squares.append(np.linalg.norm(np.array(list(columns.values())), 2) ** 2)
    return np.sqrt(np.mean(squares))


@pytest.mark.parametrize("name", ["binary", "ternary", "levels differ", "zipf per level", "weights per symbol"])
def test_strengths_of_tuples_are_those_of_all_derivations(name):
    one = tiny(name)
    for k in range(1, one.shape.L):
        for level in range(1, k + 1):
            found = tuple_strength(one.grammar, k, tuple_level=level)
            assert found == pytest.approx(listed_strength(one, k, level), rel=1e-9, abs=1e-12)


def test_tuples_of_tokens_cost_root_m_more_per_level():
    """One at the levels where there is nothing between, and m^((k-1)/2) in the mean."""
    drawn = [RHM(v=16, m=4, s=2, L=4).grammar(seed=seed) for seed in range(8)]
    ratios = np.array([[updates_ratio(g, k) for k in range(4)] for g in drawn])
    assert (ratios[:, :2] == 1).all()
    np.testing.assert_allclose(np.exp(np.log(ratios[:, 2:]).mean(axis=0)), [2, 4], rtol=0.1)


# --- the look-up null ---------------------------------------------------------------------------------------


def listed_contexts(one):
    """For each sentence its probability, and (p(x_k), H(h_0 | x_k)) of every k."""
    rhm = one.shape
    joint = [defaultdict(lambda: defaultdict(float)) for _ in range(rhm.L + 1)]
    for levels, p in one.trees:
        for k in range(rhm.L + 1):
            joint[k][levels[-1][rhm.d - rhm.span(k) : rhm.d - 1]][levels[-1][-1]] += p
    out = {}
    for levels, p in one.trees:
        rows = []
        for k in range(rhm.L + 1):
            cell = joint[k][levels[-1][rhm.d - rhm.span(k) : rhm.d - 1]]
            total = sum(cell.values())
            rows.append((total, naive.entropy({a: q / total for a, q in cell.items()})))
        out[levels[-1]] = (out.get(levels[-1], (0.0,))[0] + p, rows)
    return out


def listed_loss(contexts, P):
    loss = 0.0
    for p, rows in contexts.values():
        seen = [1.0] + [1 - (1 - q) ** P for q, _ in rows[1:]] + [0.0]
        loss += p * sum((a - b) * H for a, b, (_, H) in zip(seen, seen[1:], rows, strict=False))
    return loss


@pytest.mark.parametrize("name", MAKERS)
def test_contexts_and_loss_are_those_of_all_derivations(name):
    one = tiny(name)
    contexts = listed_contexts(one)
    log_p, H = lookup._contexts(one.grammar, np.array(list(contexts)))
    expected = np.array([rows for _, rows in contexts.values()])
    np.testing.assert_allclose(np.exp(log_p), expected[:, :, 0], rtol=1e-12)
    np.testing.assert_allclose(H, expected[:, :, 1], atol=1e-12)
    P = np.array([1, 3, 20, 400])
    listed = np.array([listed_loss(contexts, size) for size in P])
    drawn = lookup_loss(one.grammar, P, samples=20_000)
    np.testing.assert_allclose(drawn, listed, atol=4 * 0.5 / 20_000**0.5)


def test_a_table_ends_at_the_floor_and_begins_above_the_unigram_less_what_one_sentence_tells():
    g = RHM(v=8, m=3, s=2, L=3).grammar(seed=0)
    loss = lookup_loss(g, [1.0, 1e12])
    assert loss[0] < g.plateaus()[0]
    assert loss[1] == pytest.approx(g.plateaus()[-1], abs=0.03)


def test_thresholds_lie_where_the_loss_crosses_between_plateaus():
    g = RHM(v=8, m=3, s=2, L=3).grammar(seed=0)
    found, H = lookup_thresholds(g, samples=4096), g.plateaus()
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(lookup_loss(g, found, samples=4096), np.sqrt(H[:-1] * H[1:]), rtol=0.05)


def test_a_step_beyond_lookup_where_the_null_needs_three_times_its_samples():
    assert beyond_lookup([100, 100, 100], [299, 300, np.nan]).tolist() == [False, True, False]


@pytest.mark.parametrize("P", [0, [10, 0.5], np.inf])
def test_fewer_sentences_than_one_are_refused(P):
    with pytest.raises(InputError, match="fewer sentences than one"):
        lookup_loss(RHM(v=4, m=2, s=2, L=2).grammar(seed=0), P)
