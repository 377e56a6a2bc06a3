"""Redrawn symbols and rules against the list of all that could have been drawn."""

from collections import Counter
from itertools import product
from math import prod

import numpy as np
import pytest
from scipy.stats import chisquare
from tiny import MAKERS, tiny

from rhmtheory import RHM, InputError
from rhmtheory.tree import paired_sentences, redraw_rule, redraw_symbol, rules_used

NODES = [(1, 0), (1, -1), (2, 0), (3, 0)]


def subtrees(case, level, symbol):
    """Tokens below a symbol of a level, with their probabilities."""
    if level == 0:
        return {(symbol,): 1.0}
    out = Counter()
    L = case.rhm.L
    for rule, p in zip(case.tables[L - level][symbol], case.probabilities[L - level][symbol], strict=True):
        for parts in product(*(subtrees(case, level - 1, child).items() for child in rule)):
            out[tuple(x for tokens, _ in parts for x in tokens)] += p * prod(q for _, q in parts)
    return out


def expected_tokens(case, level, old_symbol, old_rule, kind):
    """Law of the tokens below a redrawn node, from all derivations."""
    L, out = case.rhm.L, Counter()
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
    redraw = {"symbol": redraw_symbol, "rule": redraw_rule}[kind]
    one = case.grammar.sample(1, seed=3, trees=True)
    n = 20_000
    trees = [np.repeat(symbols, n, axis=0) for symbols in one]
    level, node = 2, 0
    old = int(one[level][0, node])
    used = int(rules_used(case.grammar, one, level)[0, node])
    after = redraw(case.grammar, trees, level, node, seed=0)
    expected = expected_tokens(case, level, old, used, kind)
    found = Counter(map(tuple, after[0][:, : case.rhm.span(level)].tolist()))
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
    pair = paired_sentences(grammar, 500, level, node, kind, seed=0)
    for lower in range(4):
        width = pair.before[lower].shape[1]
        at = node % grammar.rhm.width(level)
        inside = np.zeros(width, bool)
        if lower <= level:
            span = grammar.rhm.span(level) // grammar.rhm.span(lower)
            inside[at * span : (at + 1) * span] = True
        changed = pair.before[lower] != pair.after[lower]
        assert not changed[:, ~inside].any()
        if lower == level:
            assert changed[:, inside].all() if kind == "symbol" else not changed.any()
        if lower == level - 1 and kind == "rule":
            assert changed[:, inside].any(axis=1).all()
    # below the node the sentence says what the trees say; a synonym leaves it a sentence
    levels = grammar.parse(pair.tokens[1])
    for lower in range(level + 1):
        np.testing.assert_array_equal(levels[lower], pair.after[lower])
    assert kind == "symbol" or (levels[3] >= 0).all()


def test_a_token_has_another_symbol_in_its_place():
    grammar = RHM(v=6, m=2, s=2, L=2).grammar(1)
    before, after = paired_sentences(grammar, 4000, 0, 1, seed=0).tokens
    assert (before != after).all(axis=0).tolist() == [False, True, False, False]
    shift = (after[:, 1].astype(int) - before[:, 1]) % 6
    assert chisquare(np.bincount(shift, minlength=6)[1:]).pvalue > 1e-4


@pytest.mark.parametrize("name", MAKERS)
def test_rules_that_were_used_write_the_children(name):
    grammar = MAKERS[name]()
    trees = grammar.sample(50, seed=0, trees=True)
    for level in range(1, grammar.rhm.L + 1):
        rules = rules_used(grammar, trees, level)
        written = grammar.rules(level)[trees[level], rules].reshape(50, -1)
        np.testing.assert_array_equal(written, trees[level - 1])


def test_the_trees_that_were_given_are_left_alone():
    grammar = RHM(v=6, m=2, s=2, L=2).grammar(1)
    trees = grammar.sample(20, seed=0, trees=True)
    kept = [symbols.copy() for symbols in trees]
    redraw_symbol(grammar, trees, 1, 0)
    redraw_rule(grammar, trees, 2, 0)
    assert all(map(np.array_equal, trees, kept))


def test_what_cannot_be_redrawn():
    grammar = RHM(v=6, m=2, s=2, L=2, n=1).grammar(1)
    trees = grammar.sample(5, seed=0, trees=True)
    with pytest.raises(InputError, match="level=0: a token has no rules"):
        redraw_rule(grammar, trees, 0, 0)
    with pytest.raises(InputError, match="level 2 has one symbol"):
        redraw_symbol(grammar, trees, 2, 0)
    with pytest.raises(InputError, match="node=2 is too large"):
        redraw_symbol(grammar, trees, 1, 2)
    with pytest.raises(InputError, match="level=3 is too large"):
        redraw_symbol(grammar, trees, 3, 0)
    with pytest.raises(InputError, match=r"trees must be L \+ 1 = 3 arrays with 4, 2, 1 symbols"):
        redraw_symbol(grammar, trees[:2], 1, 0)
    with pytest.raises(InputError, match="none of its rules writes"):
        redraw_rule(grammar, [5 - trees[0], *trees[1:]], 1, 0)
    single = RHM(v=4, m=1, s=2, L=2).grammar(0)
    with pytest.raises(InputError, match="has one rule"):
        redraw_rule(single, single.sample(5, seed=0, trees=True), 1, 0)
    with pytest.raises(InputError, match="redraw='both' is unknown"):
        paired_sentences(grammar, 5, 1, 0, "both")


def test_a_rule_that_never_happens_is_no_synonym():
    grammar = RHM(v=4, m=2, s=2, L=2).grammar(0)
    certain = grammar.reweighted([np.eye(2)[np.zeros(4, int)]] * 2)
    with pytest.raises(InputError, match="one rule of positive probability"):
        redraw_rule(certain, certain.sample(5, seed=0, trees=True), 1, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda trees: trees[1].__setitem__((0, 0), 200), "trees hold 200 at level 1, outside 0..7"),
        (lambda trees: trees.__setitem__(0, trees[0].astype(np.int64) - 9), "trees hold -\\d at level 0"),
        (lambda trees: trees.__setitem__(2, trees[2][:2]), r"trees hold \[2, 3\] sentences on different levels"),
        (lambda trees: trees.__setitem__(0, trees[0].astype(float)), "trees are of type float64"),
    ],
)
@pytest.mark.parametrize("redraw", [redraw_rule, redraw_symbol, rules_used])
def test_trees_that_are_none_are_refused_in_words(redraw, change, message):
    grammar = RHM(8, 2, 2, 2).grammar(0)
    trees = grammar.sample(3, trees=True)
    change(trees)
    with pytest.raises(InputError, match=message):
        redraw(grammar, trees, 1, *([0] if redraw is not rules_used else []))
