"""What must hold for every grammar, whatever its levels, rules and weights: tried on random tiny ones."""

from itertools import product

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from tiny import grammars

from rhmtheory import Grammar

FEW = settings(max_examples=25, deadline=None, derandomize=True)


@FEW
@given(grammars())
def test_probabilities_sum_to_one(grammar):
    rhm = grammar.shape
    for level in range(rhm.L + 1):
        for position in range(rhm.width(level)):
            assert grammar.marginal(level, position).sum() == pytest.approx(1, abs=1e-12)
    for level in range(1, rhm.L + 1):
        assert np.allclose(grammar.transition(level).sum(axis=-1), 1, rtol=0, atol=1e-12)


@FEW
@given(grammars(), st.data())
def test_covariances_have_zero_margins_and_those_of_swapped_tokens_are_transposed(grammar, data):
    position = st.integers(0, grammar.shape.d - 1)
    i, j = data.draw(position), data.draw(position)
    C = grammar.covariance(i, j)
    assert np.allclose(C.sum(axis=0), 0, atol=1e-13)
    assert np.allclose(C.sum(axis=1), 0, atol=1e-13)
    assert np.allclose(C, grammar.covariance(j, i).T, rtol=0, atol=1e-14)


@FEW
@given(grammars(), st.data())
def test_posteriors_integrate_to_the_prior(grammar, data):
    """The mean posterior over all sentences is the marginal: whatever is hidden, nothing is learnt on average."""
    rhm = grammar.shape
    sentences = naive.distribution(naive.derivations(*naive.tables_of(grammar)), lambda levels: levels[-1])
    tokens, p = np.array(list(sentences)), np.array(list(sentences.values()))
    hidden = np.array(data.draw(st.lists(st.booleans(), min_size=rhm.d, max_size=rhm.d)))
    hidden[data.draw(st.integers(0, rhm.d - 1))] = True
    posterior = grammar.posteriors(tokens, mask=hidden)[:, hidden]
    assert np.allclose(posterior.sum(axis=-1), 1, rtol=0, atol=1e-12)
    marginals = [grammar.marginal(0, position) for position in np.flatnonzero(hidden)]
    assert np.allclose(np.einsum("n,nhv->hv", p, posterior), marginals, rtol=0, atol=1e-12)


@FEW
@given(grammars())
def test_more_context_never_hurts(grammar):
    H = grammar.plateaus()
    assert (np.diff(H) <= 1e-12).all()
    assert (H >= -1e-12).all()
    assert (np.log(grammar.shape.n_symbols(0)) + 1e-12 >= H).all()


@FEW
@given(grammars(derivations=150), st.data())
def test_fast_forms_equal_enumeration(grammar, data):
    """Plateaus, and the covariance of two tokens, against a list of all derivations."""
    rhm, trees = grammar.shape, naive.derivations(*naive.tables_of(grammar))
    spans = [rhm.d // rhm.width(k) for k in range(rhm.L + 1)]
    assert np.allclose(grammar.plateaus(), naive.plateaus(trees, spans), rtol=0, atol=1e-10)
    i, j = (data.draw(st.integers(0, rhm.d - 1)) for _ in range(2))
    v = rhm.n_symbols(0)
    C = naive.covariance(trees, lambda levels: levels[-1][i], lambda levels: levels[-1][j], (v, v))
    assert np.allclose(grammar.covariance(i, j), C, rtol=0, atol=1e-13)


@FEW
@given(grammars(), st.integers(0, 10**6))
def test_new_names_for_the_symbols_change_nothing(grammar, seed):
    """Symbols of every level renumbered: plateaus stay, covariances are those of the renumbered tokens."""
    rng, rhm = np.random.default_rng(seed), grammar.shape
    new = [rng.permutation(rhm.n_symbols(level)) for level in range(rhm.L + 1)]
    levels = range(rhm.L, 0, -1)
    old = [np.argsort(names) for names in new]
    renamed = Grammar.from_rules(
        [new[level - 1][grammar.rules(level)[old[level]]] for level in levels],
        v=rhm.n_symbols(0),
        rule_probabilities=[grammar.rule_probabilities(level)[old[level]] for level in levels],
        prior=grammar.prior[old[-1]],
    )
    assert np.allclose(renamed.plateaus(), grammar.plateaus(), rtol=0, atol=1e-12)
    i, j = 0, rhm.d - 1
    C = renamed.covariance(i, j)
    assert np.allclose(C[np.ix_(new[0], new[0])], grammar.covariance(i, j), rtol=0, atol=1e-14)


@FEW
@given(grammars())
def test_saved_and_loaded_is_the_same(tmp_path_factory, grammar):
    path = tmp_path_factory.mktemp("grammars") / "g.npz"
    grammar.save(path)
    again = Grammar.load(path)
    assert again == grammar
    assert again.fingerprint == grammar.fingerprint


@FEW
@given(grammars(), st.integers(0, 10**6))
def test_tokens_parse_back_to_their_tree(grammar, seed):
    trees = grammar.sample_trees(50, seed).levels
    for known, parsed in zip(trees, grammar.parse(trees[0]).levels, strict=True):
        assert np.array_equal(known, parsed)
    assert np.array_equal(trees[0], grammar.sample(50, seed))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(grammars(derivations=100), st.integers(0, 10**6))
def test_whole_sentences_come_as_often_as_they_should(grammar, seed):
    sentences = naive.distribution(naive.derivations(*naive.tables_of(grammar)), lambda levels: levels[-1])
    n, place = 20_000, {tokens: k for k, tokens in enumerate(sentences)}
    drawn, counts = np.unique(grammar.sample(n, seed), axis=0, return_counts=True)
    seen = np.zeros(len(place))
    for tokens, count in zip(drawn.tolist(), counts, strict=True):
        seen[place[tuple(tokens)]] = count  # a sentence that no rule makes is no key
    expected = n * np.array(list(sentences.values()))
    # cells too rare for the limit of large counts are one cell together
    rare = expected < 10
    seen, expected = (np.append(x[~rare], x[rare].sum()) for x in (seen, expected))
    kept = expected > 0
    statistic = ((seen - expected)[kept] ** 2 / expected[kept]).sum()
    assert statistic < chi2.ppf(1 - 1e-6, max(1, kept.sum() - 1)) + 1e-9


@FEW
@given(grammars(derivations=150))
def test_the_chain_rule_adds_up_to_the_entropy_of_sentences(grammar):
    trees = naive.derivations(*naive.tables_of(grammar))
    whole = naive.entropy(naive.distribution(trees, lambda levels: levels[-1]))
    assert grammar.next_token_entropies().sum() == pytest.approx(whole, abs=1e-10)


def test_sentences_of_a_tiny_grammar_are_all_those_its_rules_make():
    grammar = Grammar.from_rules([[[[0, 1]], [[1, 0]]], [[[0, 0], [0, 1]], [[1, 1], [1, 0]]]])
    wanted = {(*a, *b) for a, b in product([(0, 0), (0, 1)], [(1, 1), (1, 0)])}
    wanted |= {(*b, *a) for a, b in product([(0, 0), (0, 1)], [(1, 1), (1, 0)])}
    assert {tuple(row) for row in grammar.sample(500, 0).tolist()} == wanted
