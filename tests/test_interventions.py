"""Redrawn symbols and rules against the list of all that could have been drawn."""

from collections import Counter
from itertools import product
from math import prod

import numpy as np
import pytest
from scipy.stats import chisquare
from tiny import MAKERS, tiny

from rhmtheory import RHM, InputError
from rhmtheory.tree import Trees

NODES = [(1, 0), (1, -1), (2, 0), (3, 0)]


def redraws(trees):
    return {"symbol": trees.redraw_symbol, "rule": trees.redraw_rule}


def subtrees(case, level, symbol):
    """Tokens below a symbol of a level, with their probabilities."""
    if level == 0:
        return {(symbol,): 1.0}
    out = Counter()
    L = case.shape.L
    for rule, p in zip(case.tables[L - level][symbol], case.probabilities[L - level][symbol], strict=True):
        for parts in product(*(subtrees(case, level - 1, child).items() for child in rule)):
            out[tuple(x for tokens, _ in parts for x in tokens)] += p * prod(q for _, q in parts)
    return out


def expected_tokens(case, level, old_symbol, old_rule, kind):
    """Law of the tokens below a redrawn node, from all derivations."""
    L, out = case.shape.L, Counter()
    if kind == "symbol":
        others = [c for c in range(case.sizes[level]) if c != old_symbol]
        for c in others:
            for tokens, p in subtrees(case, level, c).items():
                out[tokens] += p / len(others)
        return out
    rules, weights = case.tables[L - level][old_symbol], case.probabilities[L - level][old_symbol]
    left = sum(weights) - weights[old_rule]
    for r, (rule, p) in enumerate(zip(rules, weights, strict=True)):
        if r == old_rule:
            continue
        for parts in product(*(subtrees(case, level - 1, child).items() for child in rule)):
            out[tuple(x for tokens, _ in parts for x in tokens)] += p / left * prod(q for _, q in parts)
    return out


@pytest.mark.parametrize("kind", ["symbol", "rule"])
@pytest.mark.parametrize("name", ["binary", "zipf per level", "weights per symbol"])
def test_redrawn_nodes_have_the_law_of_all_derivations(name, kind):
    """One tree, redrawn many times: a chi-square test of the tokens below against their enumerated law."""
    case = tiny(name)
    one = case.grammar.sample_trees(1, seed=3)
    n = 20_000
    trees = one[np.zeros(n, int)]
    level, node = 2, 0
    old = int(one.level(level)[0, node])
    used = int(one.rules(level)[0, node])
    after = redraws(trees)[kind](level, node, seed=0)
    expected = expected_tokens(case, level, old, used, kind)
    found = Counter(map(tuple, after.tokens[:, : case.shape.span(level)].tolist()))
    assert set(found) <= {tokens for tokens, p in expected.items() if p > 0}
    keys = [tokens for tokens, p in expected.items() if p * n > 5]
    rest = 1 - sum(expected[key] for key in keys)
    counts, law = [found[key] for key in keys], [expected[key] for key in keys]
    if rest > 1e-9:
        counts, law = [*counts, n - sum(counts)], [*law, rest]
    assert chisquare(counts, n * np.array(law) / sum(law)).pvalue > 1e-4


@pytest.mark.parametrize("kind", ["symbol", "rule"])
@pytest.mark.parametrize(("level", "node"), NODES)
def test_only_what_is_below_the_node_changes(level, node, kind):
    grammar = RHM(v=6, m=2, s=2, L=3).grammar(1)
    rng = np.random.default_rng(0)
    before = grammar.sample_trees(500, rng)
    after = redraws(before)[kind](level, node, seed=rng)
    for lower in range(4):
        width = before.level(lower).shape[1]
        at = node % grammar.shape.width(level)
        inside = np.zeros(width, bool)
        if lower <= level:
            span = grammar.shape.span(level) // grammar.shape.span(lower)
            inside[at * span : (at + 1) * span] = True
        changed = before.level(lower) != after.level(lower)
        assert not changed[:, ~inside].any()
        if lower == level:
            assert changed[:, inside].all() if kind == "symbol" else not changed.any()
        if lower == level - 1 and kind == "rule":
            assert changed[:, inside].any(axis=1).all()
    # below the node the sentence says what the trees say; a synonym leaves it a sentence
    levels = grammar.parse(after.tokens).levels
    for lower in range(level + 1):
        np.testing.assert_array_equal(levels[lower], after.level(lower))
    assert kind == "symbol" or (levels[3] >= 0).all()


def test_a_token_has_another_symbol_in_its_place():
    grammar = RHM(v=6, m=2, s=2, L=2).grammar(1)
    rng = np.random.default_rng(0)
    trees = grammar.sample_trees(4000, rng)
    before, after = trees.tokens, trees.redraw_symbol(0, 1, seed=rng).tokens
    assert (before != after).all(axis=0).tolist() == [False, True, False, False]
    shift = (after[:, 1].astype(int) - before[:, 1]) % 6
    assert chisquare(np.bincount(shift, minlength=6)[1:]).pvalue > 1e-4


@pytest.mark.parametrize("name", MAKERS)
def test_rules_that_were_used_write_the_children(name):
    grammar = MAKERS[name]()
    trees = grammar.sample_trees(50, seed=0)
    for level in range(1, grammar.shape.L + 1):
        written = grammar.rules(level)[trees.level(level), trees.rules(level)].reshape(50, -1)
        np.testing.assert_array_equal(written, trees.level(level - 1))


def test_the_trees_that_were_given_are_left_alone():
    grammar = RHM(v=6, m=2, s=2, L=2).grammar(1)
    trees = grammar.sample_trees(20, seed=0)
    kept = [symbols.copy() for symbols in trees.levels]
    trees.redraw_symbol(1, 0)
    trees.redraw_rule(2, 0)
    assert all(map(np.array_equal, trees.levels, kept))


def test_what_cannot_be_redrawn():
    grammar = RHM(v=6, m=2, s=2, L=2, n=1).grammar(1)
    trees = grammar.sample_trees(5, seed=0)
    with pytest.raises(InputError, match="level=0 is a token, and has no rules"):
        trees.redraw_rule(0, 0)
    with pytest.raises(InputError, match="level 2 has one symbol"):
        trees.redraw_symbol(2, 0)
    with pytest.raises(InputError, match="node=2 is too large"):
        trees.redraw_symbol(1, 2)
    with pytest.raises(InputError, match="level=3 is too large"):
        trees.redraw_symbol(3, 0)
    with pytest.raises(InputError, match="none of its rules writes"):
        Trees(grammar, [5 - trees.tokens, *trees.levels[1:]]).redraw_rule(1, 0)
    single = RHM(v=4, m=1, s=2, L=2).grammar(0)
    with pytest.raises(InputError, match="has one rule"):
        single.sample_trees(5, seed=0).redraw_rule(1, 0)
    bad = next(x for x in np.ndindex(*[6] * 4) if (grammar.parse(x).level(1) < 0).any())
    for redraw in redraws(grammar.parse([bad])).values():
        with pytest.raises(InputError, match="hold ungrammatical nodes at level 1"):
            redraw(1, 0)


def test_a_rule_that_never_happens_is_no_synonym():
    grammar = RHM(v=4, m=2, s=2, L=2).grammar(0)
    certain = grammar.reweighted([np.eye(2)[np.zeros(4, int)]] * 2)
    with pytest.raises(InputError, match="one rule of positive probability"):
        certain.sample_trees(5, seed=0).redraw_rule(1, 0)


def test_redrawn_symbols_fit_however_narrow_the_given_arrays_were():
    """Symbols that happen to be small, in bytes, are redrawn among 300."""
    grammar = RHM(v=300, m=2, s=2, L=1).grammar(0)
    trees = Trees(grammar, [np.zeros((2000, 2), np.uint8), np.full((2000, 1), -1)])
    found = Trees(grammar, [trees.tokens, np.zeros((2000, 1), int)]).redraw_symbol(0, 0).tokens[:, 0]
    assert 0 < found.min() < 256 < found.max() < 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda trees: trees[1].__setitem__((0, 0), 200), "symbols of level 1 hold 200, outside 0..7"),
        (lambda trees: trees.__setitem__(0, trees[0].astype(np.int64) - 9), "tokens hold -\\d, outside 0..7"),
        (lambda trees: trees.pop(), r"trees must be L \+ 1 = 3 arrays with 4, 2, 1 symbols"),
        (lambda trees: trees.__setitem__(2, trees[2][:2]), r"trees hold \[2, 3\] sentences on different levels"),
        (lambda trees: trees.__setitem__(0, trees[0].astype(float)), "tokens are of type float64"),
    ],
)
def test_trees_that_are_none_are_refused_in_words(change, message):
    grammar = RHM(8, 2, 2, 2).grammar(0)
    levels = list(grammar.sample_trees(3).levels)
    change(levels)
    with pytest.raises(InputError, match=message):
        Trees(grammar, levels)


def test_trees_are_a_sequence_of_values():
    grammar = RHM(8, 2, 2, 2).grammar(0)
    trees = grammar.sample_trees(3, seed=4)
    assert trees == grammar.sample_trees(3, seed=4) == grammar.parse(trees.tokens)
    assert trees != grammar.sample_trees(3, seed=5)
    assert trees != trees[:2]
    assert trees != RHM(8, 2, 2, 2).grammar(1).parse(trees.tokens)
    assert [str(one) for one in trees] == [str(grammar.tree(row)) for row in trees.tokens]
    assert len(trees) == len(list(trees)) == 3
    assert trees[[2, 0]].tokens.tolist() == trees.tokens[[2, 0]].tolist()
    assert trees[trees.tokens[:, 0] < 0].level(2).shape == (0, 1)
    assert repr(trees) == str(trees) == "<Trees: 3 sentences of 4 tokens>"
    assert "3 sentences" in trees._repr_html_()
    for single in (trees[0], grammar.tree(trees[0])):
        assert single == trees[0]
        with pytest.raises(TypeError, match="single derivation"):
            len(single)
    with pytest.raises(IndexError, match="by sentence"):
        trees[0, 1]
    with pytest.raises(InputError, match="level=3 is too large"):
        trees.level(3)
