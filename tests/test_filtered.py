"""Filtered trees: their law, ideal predictors and plateaus against the list of all derivations."""

from itertools import product

import naive
import numpy as np
import pytest

from rhmtheory import RHM, Grammar, InputError
from rhmtheory.exact.filtered import filtered_plateaus, next_token_filtered, sample_filtered

GRAMMARS = {
    "alike": RHM(v=3, m=2, s=2, L=2, n=2).grammar(seed=4),
    "three levels": RHM(v=2, m=1, s=2, L=3).grammar(seed=1),
    "unequal": Grammar.from_rules(
        [[[[0, 1, 1], [1, 0, 0]], [[2, 2, 0], [0, 2, 1]]], [[[0, 1], [1, 1]], [[0, 0], [2, 0]], [[1, 2], [2, 2]]]],
        v=3,
        rule_probabilities=[[[0.3, 0.7], [0.5, 0.5]], [[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]]],
        prior=[0.35, 0.65],
    ),
}


def law(grammar, k):
    """Probabilities of (root, sentence) in the filtered law, from marginals of the list of all derivations."""
    trees = naive.derivations(*naive.tables_of(grammar))
    width, d = grammar.shape.width(k), grammar.shape.d
    span = d // width
    prior = naive.distribution(trees, lambda levels: levels[0][0])
    # what a node of level k has below it does not depend on where the node is
    below = {}
    for i in range(width):
        both = naive.distribution(trees, lambda x, i=i: (x[-1 - k][i], x[-1][i * span : (i + 1) * span]))
        own = naive.distribution(trees, lambda x, i=i: x[-1 - k][i])
        for (h, tokens), p in both.items():
            below.setdefault(h, {})[tokens] = p / own[h]
    nodes = [naive.distribution(trees, lambda x, i=i: (x[0][0], x[-1 - k][i])) for i in range(width)]
    out = {}
    for c, p_c in prior.items():
        for symbols in product(below, repeat=width):
            p = p_c * np.prod([one.get((c, h), 0) / p_c for one, h in zip(nodes, symbols, strict=True)])
            for blocks in product(*(below[h].items() for h in symbols)) if p > 0 else ():
                key = c, sum((tokens for tokens, _ in blocks), ())
                out[key] = out.get(key, 0) + p * np.prod([q for _, q in blocks])
    return out


CASES = [(name, k) for name, grammar in GRAMMARS.items() for k in range(grammar.shape.L + 1)]


@pytest.mark.parametrize(("name", "k"), CASES)
def test_predictors_are_those_of_the_law(name, k):
    grammar = GRAMMARS[name]
    sentences = {}
    for (_, tokens), p in law(grammar, k).items():
        sentences[tokens] = sentences.get(tokens, 0) + p
    assert sum(sentences.values()) == pytest.approx(1)
    v, d = grammar.shape.n_symbols(0), grammar.shape.d
    for t in range(d):
        expected = {}
        for tokens, p in sentences.items():
            expected.setdefault(tokens[:t], np.zeros(v))[tokens[t]] += p
        found = next_token_filtered(
            grammar, np.array(list(expected), int).reshape(len(expected), t), filter_level=k
        )
        counts = np.array(list(expected.values()))
        np.testing.assert_allclose(found, counts / counts.sum(axis=1, keepdims=True), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "k"), CASES)
def test_sampler_draws_from_the_law(name, k):
    grammar, n = GRAMMARS[name], 20_000
    drawn = sample_filtered(grammar, n, filter_level=k, seed=1)
    counts = {}
    for root, tokens in zip(drawn.root.tolist(), map(tuple, drawn.tokens.tolist()), strict=True):
        counts[root, tokens] = counts.get((root, tokens), 0) + 1
    expected = law(grammar, k)
    assert set(counts) <= set(expected)
    for case, p in expected.items():
        assert abs(counts.get(case, 0) / n - p) < 5 * np.sqrt(p * (1 - p) / n) + 1e-9
    assert drawn.nodes.shape == (n, grammar.shape.width(k))


@pytest.mark.parametrize("name", GRAMMARS)
def test_plateaus(name):
    grammar = GRAMMARS[name]
    found = filtered_plateaus(grammar, samples=4000, seed=2)
    for k in range(grammar.shape.L + 1):
        trees = [([(c,), tokens], p) for (c, tokens), p in law(grammar, k).items()]
        exact = naive.conditional_entropy(trees, lambda x: x[-1][-1], lambda x: x[-1][:-1])
        assert abs(found.mean[k] - exact) < 4.5 * found.standard_error[k] + 1e-9


def test_top_level_is_the_grammar_itself():
    grammar = RHM(v=8, m=3, s=2, L=3).grammar(seed=0)
    tokens = grammar.sample(200, seed=1)
    for t in (0, 3, 7):
        found = grammar.next_token_filtered(tokens[:, :t], filter_level=3)
        np.testing.assert_allclose(found, grammar.next_token(tokens[:, :t]), rtol=0, atol=1e-12)
    # the first position knows nothing but its marginal
    first = grammar.next_token_filtered(tokens[:1, :0], filter_level=1)
    np.testing.assert_allclose(first[0], grammar.marginal(0, 0), atol=1e-12)


def test_bad_input():
    grammar = GRAMMARS["alike"]
    with pytest.raises(InputError, match="filter_level=3 is too large"):
        sample_filtered(grammar, 2, filter_level=3)
    with pytest.raises(InputError, match=r"give \(P, t\) with t < d=4"):
        next_token_filtered(grammar, [[0, 1, 2, 0]], filter_level=1)
    with pytest.raises(InputError, match="tokens hold 3"):
        next_token_filtered(grammar, [[0, 3]], filter_level=1)
    pairs = {tuple(rule) for rules in grammar.rules(1).tolist() for rule in rules}
    wrong = next(pair for pair in product(range(3), repeat=2) if pair not in pairs)
    with pytest.raises(InputError, match="has no derivation below node 0 of level 1"):
        next_token_filtered(grammar, [wrong], filter_level=1)
