"""Bayes-optimal posteriors: against enumeration, where numbers underflow, by draws, and for bad input."""

from fractions import Fraction
from functools import partial

import naive
import numpy as np
import pytest
import tiny as tiny_grammars
from hypothesis import given
from hypothesis import strategies as st

from rhmtheory import RHM, Grammar, InputError, zipf
from rhmtheory._kernels import inference as kernels
from rhmtheory.exact import _messages as messages
from rhmtheory.exact import _spine as spine
from rhmtheory.exact import inference


@pytest.fixture(params=["floats", "logarithms"])
def arithmetic(request, monkeypatch):
    """Samples are done in floats; or say that each has underflowed, so that all are done in logarithms."""
    if request.param == "logarithms":
        use_logarithms(monkeypatch)


def use_logarithms(monkeypatch):
    explain = messages.Block.explain

    def explain_in_logarithms(block, evidence, start, stop, logs):
        failed = explain(block, evidence, start, stop, logs)
        return failed if logs else np.full_like(failed, kernels.UNDERFLOW)

    monkeypatch.setattr(messages.Block, "explain", explain_in_logarithms)


def some_tree(tiny, rng):
    """One derivation as levels from the tokens up."""
    p = np.array([p for _, p in tiny.trees])
    return tiny.trees[rng.choice(len(p), p=p / p.sum())][0][::-1]


def check_all_levels(tiny, levels, hidden):
    """All marginals against enumeration, for one derivation and a set of hidden nodes a level."""
    observed = {
        (level, i): x for level, nodes in enumerate(levels) for i, x in enumerate(nodes) if not hidden[level][i]
    }
    symbols = {level: np.where(hidden[level], -1, levels[level]) for level in range(1, len(levels))}
    for level in range(len(levels)):
        marginals = inference.posteriors(tiny.grammar, levels[0], level=level, mask=hidden[0], symbols=symbols)
        size = tiny.sizes[level]
        expected = [naive.posterior(tiny.trees, observed, level, i, size) for i in range(len(levels[level]))]
        np.testing.assert_allclose(marginals, expected, rtol=0, atol=1e-12)


# --- against enumeration -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("arithmetic")
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 1.0])
def test_any_hidden_tokens_and_observed_symbols(tiny, share):
    rng = np.random.default_rng(0)
    for symbols_too in (False, True, True):
        levels = some_tree(tiny, rng)
        hidden = [rng.random(len(nodes)) < share for nodes in levels]
        for level in range(1, len(levels)):
            hidden[level][:] = ~symbols_too | hidden[level]
        check_all_levels(tiny, levels, hidden)


@pytest.mark.usefixtures("arithmetic")
def test_a_symbol_seen_above_tokens_that_are_all_hidden(tiny):
    """Any symbol, the first one too: what is below a node says nothing then, and the symbol itself all."""
    rng = np.random.default_rng(0)
    for level in range(1, len(tiny.sizes)):
        for tree in (some_tree(tiny, rng) for _ in range(8)):
            hidden = [np.ones(len(nodes), bool) for nodes in tree]
            hidden[level][0] = False
            check_all_levels(tiny, tree, hidden)


def test_symbols_in_one_row_are_those_of_all_sentences():
    grammar = RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    trees = grammar.sample_trees(200, seed=1).levels
    tokens, roots = trees[0], trees[-1]
    of_one_root = tokens[roots[:, 0] == roots[0, 0]][:5]
    shared = grammar.posterior(of_one_root, symbols={2: roots[:1]})
    for row, expected in zip(of_one_root, shared, strict=True):
        np.testing.assert_allclose(grammar.posterior(row, symbols={2: roots[0]}), expected, rtol=1e-12)


@given(tiny_grammars.grammars(), st.integers(0, 2**32), st.floats(0, 1))
def test_any_grammar(grammar, seed, share):
    tiny, rng = tiny_grammars.Tiny(grammar), np.random.default_rng(seed)
    levels = some_tree(tiny, rng)
    hidden = [rng.random(len(nodes)) < (share if level == 0 else 0.8) for level, nodes in enumerate(levels)]
    check_all_levels(tiny, levels, hidden)


@pytest.mark.usefixtures("arithmetic")
def test_each_token_given_all_others(tiny):
    g, d = tiny.grammar, tiny.shape.d
    tokens = g.sample(5, seed=1)
    for i in range(d):
        found = g.posteriors(tokens, mask=np.arange(d) == i)
        for row, marginal in zip(tokens.tolist(), found, strict=True):
            observed = {(0, j): x for j, x in enumerate(row) if j != i}
            expected = naive.posterior(tiny.trees, observed, 0, i, tiny.sizes[0])
            np.testing.assert_allclose(marginal[i], expected, rtol=0, atol=1e-12)


def test_next_token_given_each_prefix_and_context(tiny):
    g, d = tiny.grammar, tiny.shape.d
    tokens = g.sample(4, seed=2)
    for t in range(d):
        for context in [None, *range(t + 1)]:
            found = g.next_token(tokens[:, :t], context_tokens=context)
            first = 0 if context is None else t - context
            for row, p in zip(tokens.tolist(), found, strict=True):
                observed = {(0, j): row[j] for j in range(first, t)}
                expected = naive.posterior(tiny.trees, observed, 0, t, tiny.sizes[0])
                np.testing.assert_allclose(p, expected, rtol=0, atol=1e-12)


def test_limited_context_is_the_predictor_behind_each_plateau(tiny):
    """The mean entropy of its predictions, over all sentences, is H_k."""
    g, rhm = tiny.grammar, tiny.shape
    sentences = naive.distribution(tiny.trees, lambda levels: levels[-1])
    tokens, p = np.array(list(sentences)), np.array(list(sentences.values()))
    for k, H in enumerate(g.plateaus()):
        context = tokens[:, rhm.d - rhm.span(k) : -1]
        predicted = g.next_token(context, position=rhm.d - 1)
        entropies = [naive.entropy(dict(enumerate(row))) for row in predicted.tolist()]
        assert p @ entropies == pytest.approx(H, abs=1e-10)
        cut = g.next_token(tokens[:, :-1], context_tokens=rhm.span(k) - 1)
        np.testing.assert_array_equal(cut, predicted)


def below_same_node(rhm, k, level, i):
    """Whether a node (level', i') lies below the level-k node above node i of a level."""
    own = i * rhm.span(level) // rhm.span(k)
    return lambda node: node[0] <= k and node[1] * rhm.span(node[0]) // rhm.span(k) == own


def check_context_level(tiny, levels, hidden, k):
    """Marginals of an ideal predictor with the rules of levels 1..k, against enumeration with its evidence."""
    observed = {
        (level, i): x
        for level, nodes in enumerate(levels[: k + 1])
        for i, x in enumerate(nodes)
        if not hidden[level][i]
    }
    symbols = {level: np.where(hidden[level], -1, levels[level]) for level in range(1, k + 1)}
    options = {"symbols": symbols, "context_level": k}
    for level in range(k + 1):
        marginals = inference.posteriors(tiny.grammar, levels[0], level=level, mask=hidden[0], **options)
        for i, row in enumerate(marginals):
            near = {node: x for node, x in observed.items() if below_same_node(tiny.shape, k, level, i)(node)}
            expected = naive.posterior(tiny.trees, near, level, i, tiny.sizes[level])
            np.testing.assert_allclose(row, expected, rtol=0, atol=1e-12)


def test_rules_up_to_a_context_level(tiny):
    rng = np.random.default_rng(5)
    for k in range(tiny.shape.L + 1):
        for share in (0.3, 0.7):
            levels = some_tree(tiny, rng)
            hidden = [rng.random(len(nodes)) < (share if level == 0 else 0.8) for level, nodes in enumerate(levels)]
            check_context_level(tiny, levels, hidden, k)


@given(tiny_grammars.grammars(), st.integers(0, 2**32), st.data())
def test_any_grammar_up_to_a_context_level(grammar, seed, data):
    tiny, rng = tiny_grammars.Tiny(grammar), np.random.default_rng(seed)
    levels = some_tree(tiny, rng)
    hidden = [rng.random(len(nodes)) < 0.5 for nodes in levels]
    check_context_level(tiny, levels, hidden, data.draw(st.integers(0, grammar.shape.L)))


def test_next_token_with_a_context_level(tiny):
    """Of the prefix only what lies below the same node is seen; the same as by `posterior`."""
    g, rhm = tiny.grammar, tiny.shape
    tokens = g.sample(4, seed=2)
    for t in range(rhm.d):
        for k in range(rhm.L + 1):
            found = g.next_token(tokens[:, :t], context_level=k)
            np.testing.assert_allclose(
                found, g.next_token(tokens[:, :t], context_tokens=t % rhm.span(k)), atol=1e-15
            )
            same = g.posteriors(tokens, mask=np.arange(rhm.d) >= t, context_level=k)[:, t]
            np.testing.assert_allclose(found, same, rtol=0, atol=1e-12)
    # what comes before the prefix is hidden
    last = g.next_token(tokens[:, -2:-1], position=rhm.d - 1, context_level=rhm.L)
    np.testing.assert_array_equal(last, g.next_token(tokens[:, -2:-1], position=rhm.d - 1))
    with pytest.raises(InputError, match="context_tokens=1 and context_level=1 are two contexts: give one"):
        g.next_token(tokens[:, :1], context_tokens=1, context_level=1)


# --- the filter down the spine, against the sum-product -----------------------------------------------------


def both_forms(monkeypatch, call):
    """What a call gives by the filter, and by the sum-product."""
    fast = call()
    with monkeypatch.context() as patch:
        patch.setattr(spine, "fits", lambda rhm, window: False)
        return fast, call()


@given(tiny_grammars.grammars(derivations=10**5), st.integers(0, 2**32))
def test_filter_and_sum_product_agree(grammar, seed):
    """For every window before every token, of sentences and of tokens at random."""
    rng, d = np.random.default_rng(seed), grammar.shape.d
    some = np.concatenate([grammar.sample(20, seed=rng), rng.integers(grammar.shape.n_symbols(0), size=(20, d))])
    some = some[rng.integers(40, size=60)]
    for position in range(d):
        t = int(rng.integers(position + 1))
        window = some[:, position - t : position]
        with pytest.MonkeyPatch.context() as patch:
            fast, plain = both_forms(
                patch,
                lambda window=window, position=position: grammar.next_token(
                    window, position=position, impossible="nan"
                ),
            )
        np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=0)


@pytest.mark.parametrize("parameters", [(16, 4, 2, 4), (7, 5, 3, 3), (32, 8, 2, 3)])
@pytest.mark.parametrize("weights", [None, zipf(4, 2.0)])
def test_filter_and_sum_product_agree_at_real_sizes(monkeypatch, parameters, weights):
    v, m, s, L = parameters
    rhm = RHM(v, m if weights is None else 4, s, L, rule_probabilities=weights)
    grammar = rhm.grammar(seed=0)
    tokens = grammar.sample(3000, seed=1)
    fast, plain = both_forms(monkeypatch, lambda: grammar.posterior(tokens))
    np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=0)


def test_the_filter_does_not_depend_on_blocks_and_threads(monkeypatch):
    grammar = RHM(v=9, m=3, s=2, L=4, rule_probabilities=zipf(3, 1.0)).grammar(seed=0)
    tokens = grammar.sample(5000, seed=1)
    whole = grammar.posterior(tokens)
    monkeypatch.setattr(spine, "_MOST_CONTEXTS", 17)
    for threads in (1, 3):
        np.testing.assert_array_equal(grammar.posterior(tokens, threads=threads), whole)


@pytest.mark.parametrize("L", [32, 100])
def test_the_filter_holds_no_whole_sentence(L):
    """The second of 2**L tokens given the first, as their covariance has it."""
    grammar = RHM(v=6, m=2, s=2, L=L).grammar(seed=0)
    first, second = grammar.marginal(0, 0), grammar.marginal(0, 1)
    joint = grammar.covariance(0, 1) + np.outer(first, second)
    some = np.flatnonzero(first)
    found = grammar.next_token(some[:, None])
    np.testing.assert_allclose(found, joint[some] / first[some, None], rtol=0, atol=1e-12)


def test_the_filter_fits_complete_subtrees_only():
    rhm = RHM(v=8, m=2, s=2, L=3)
    fitting = {first for first in range(8) if spine.fits(rhm, spine.Window(first, 7))}
    assert fitting == {0, 4, 6, 7}
    assert {first for first in range(5) if spine.fits(rhm, spine.Window(first, 4))} == {0, 4}
    three = RHM(v=4, m=2, s=3, L=2)
    assert {first for first in range(9) if spine.fits(three, spine.Window(first, 8))} == {0, 3, 6, 7, 8}


def test_weights_at_the_edge_of_floats():
    """Down to 1e-320, against exact fractions: never a NaN."""
    rng = np.random.default_rng(0)
    for seed in range(40):
        L = 1 + seed % 3
        even = RHM(v=3, m=2, s=2, L=L).grammar(seed=seed)
        weights = [10.0 ** -rng.choice([0, 1, 100, 250, 300, 310, 320], size=(3, 2)) for _ in range(L)]
        prior = 10.0 ** -rng.choice([0, 1, 160, 300, 315], size=3)
        g = even.reweighted([w / w.sum(axis=1, keepdims=True) for w in weights], prior / prior.sum())
        tables, probabilities, first = naive.tables_of(g)
        exact = [[[Fraction(p) for p in row] for row in table] for table in probabilities]
        trees = naive.derivations(tables, exact, [Fraction(p) for p in first])
        row = even.sample(1, seed=seed)[0]
        for hidden in (np.arange(2**L) == 2**L - 1, rng.random(2**L) < 0.5):
            observed = {(0, i): int(x) for i, x in enumerate(row) if not hidden[i]}
            for i, found in zip(np.flatnonzero(hidden), g.posteriors(row, mask=hidden)[hidden], strict=True):
                seen = naive.agreeing(trees, observed)
                total = sum(p for _, p in seen)
                expected = [float(sum(p for tree, p in seen if tree[-1][i] == x) / total) for x in range(3)]
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-300)


# --- shapes --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grammar():
    return RHM(v=(8, 6, 6), m=2, s=2, L=3, n=4).grammar(seed=0)


def test_masks_of_all_shapes_agree(grammar):
    tokens, rng = grammar.sample(300, seed=1), np.random.default_rng(2)
    everything = grammar.posteriors(tokens, mask=np.arange(8) == 7)
    assert everything.shape == (300, 8, 8)
    np.testing.assert_array_equal(grammar.posteriors(tokens), everything)
    last = grammar.posterior(tokens)
    assert last.shape == (300, 8)
    np.testing.assert_array_equal(last, everything[:, 7])
    np.testing.assert_array_equal(everything[:, :7], np.eye(8)[tokens[:, :7]])
    np.testing.assert_array_equal(grammar.posterior(tokens[3]), last[3])

    mask = rng.random(8) < 0.5
    shared = grammar.posteriors(tokens, mask=mask)
    assert shared.shape == (300, 8, 8)
    np.testing.assert_array_equal(grammar.posteriors(tokens[3], mask=mask), shared[3])
    np.testing.assert_array_equal(grammar.posteriors(tokens, mask=np.tile(mask, (300, 1))), shared)

    each = rng.random((300, 8)) < 0.4
    own = grammar.posteriors(tokens, mask=each)
    np.testing.assert_array_equal(own[~each], np.eye(8)[tokens[~each]])
    np.testing.assert_array_equal(own[0], grammar.posteriors(tokens[0], mask=each[0]))
    np.testing.assert_allclose(own.sum(axis=2), 1, rtol=1e-14)


@pytest.mark.parametrize("k", range(4))
def test_the_last_token_is_that_of_all_nodes(grammar, k):
    """Of every context level, with symbols given and without."""
    trees = grammar.sample_trees(50, seed=1).levels
    given = {
        level: np.where(np.arange(trees[level].shape[1]) % 2, trees[level].astype(int), -1) for level in (1, 2)
    }
    for symbols in (None, {x: given[x] for x in given if x <= k}):
        options = {"context_level": k, "symbols": symbols}
        last = grammar.posteriors(trees[0], **options)[:, -1]
        np.testing.assert_allclose(grammar.posterior(trees[0], **options), last, rtol=1e-12, atol=1e-15)
    impossible = {"context_level": k, "symbols": {k + 1: trees[min(k + 1, 3)]}}
    with pytest.raises(InputError, match=rf"symbols of level {k + 1} lie above|level of symbols=4 is too large"):
        grammar.posterior(trees[0], **impossible)


def test_a_context_level_sees_no_contradiction_beyond_it(grammar):
    """A sentence of two halves that no root produces is explained below level 2; a bad pair is not."""
    halves = [grammar.sample(50, seed=seed)[:, :4] for seed in (1, 2)]
    tokens = np.concatenate([halves[0], halves[1][::-1]], axis=1)
    impossible = np.flatnonzero(grammar.parse(tokens).level(3)[:, 0] < 0)
    assert len(impossible) > 0
    one, none = tokens[impossible[0]], np.zeros(8, bool)
    with pytest.raises(InputError, match="no derivation explains"):
        grammar.posteriors(one, level=1, mask=none)
    found = grammar.posteriors(one, level=1, mask=none, context_level=2)
    np.testing.assert_array_equal(found.argmax(axis=1), grammar.parse(one).level(1))
    pairs = np.array([divmod(code, 8) for code in range(64)])
    bad = one.copy()
    bad[6:] = pairs[grammar.parents(1, pairs) < 0][0]
    message = r"below node 1 of level 2, counted from there: no derivation explains .* tokens 2\.\.3"
    with pytest.raises(InputError, match=message):
        grammar.posteriors(bad, level=1, mask=none, context_level=2)
    found = grammar.posteriors(bad, level=1, mask=none, context_level=2, impossible="nan")
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), [False, False, True, True])


def test_levels(grammar):
    tokens = grammar.sample(50, seed=1)
    for level, shape in enumerate([(8, 8), (4, 6), (2, 6), (1, 4)]):
        found = grammar.posteriors(tokens, level=level)
        assert found.shape == (50, *shape)
        assert grammar.posteriors(tokens[0], level=level).shape == shape
        np.testing.assert_array_equal(grammar.posteriors(tokens[0], level=level), found[0])


def test_nothing_and_everything_hidden(grammar):
    tokens = grammar.sample(5, seed=1)
    np.testing.assert_array_equal(grammar.posteriors(tokens, mask=np.zeros(8, bool)), np.eye(8)[tokens])
    free = grammar.posteriors(tokens, mask=np.ones(8, bool))
    np.testing.assert_allclose(free[0], [grammar.marginal(0, i) for i in range(8)], atol=1e-14)
    assert grammar.posterior(tokens[:0]).shape == (0, 8)
    assert grammar.posteriors(tokens[:0], mask=np.ones((0, 8), bool)).shape == (0, 8, 8)
    assert grammar.sample_posterior(tokens[:0]).shape == (0, 8)
    np.testing.assert_allclose(grammar.next_token([]), grammar.marginal(0, 0), atol=1e-14)


def test_what_is_stored_at_hidden_places_is_ignored(grammar):
    tokens = grammar.sample(20, seed=1).astype(np.int64)
    other = tokens.copy()
    other[:, -1] = -7
    np.testing.assert_array_equal(grammar.posterior(other), grammar.posterior(tokens))
    np.testing.assert_array_equal(grammar.posterior(tokens.astype(np.uint16)), grammar.posterior(tokens))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_and_blocks_change_nothing(grammar, threads, monkeypatch):
    tokens = grammar.sample(2000, seed=1)
    mask = np.random.default_rng(0).random((2000, 8)) < 0.4
    expected = grammar.posteriors(tokens, mask=mask), grammar.sample_posterior(tokens, mask=mask, samples=3, seed=4)
    monkeypatch.setattr(messages, "_LEAST_A_THREAD", 1)
    monkeypatch.setattr(messages, "LARGEST_BLOCK", 5000)
    np.testing.assert_array_equal(grammar.posteriors(tokens, mask=mask, threads=threads), expected[0])
    draws = grammar.sample_posterior(tokens, mask=mask, samples=3, seed=4, threads=threads)
    np.testing.assert_array_equal(draws, expected[1])


# --- small numbers and many tuples ---------------------------------------------------------------------------


def echo(L, q):
    """First child like its parent; the second like it with probability q. The root is heard at every level."""
    rules = np.array([[[0, 0], [0, 1]], [[1, 1], [1, 0]]])
    return Grammar.from_rules([rules] * L, rule_probabilities=[[[q, 1 - q]] * 2] * L, prior=[0.25, 0.75])


@pytest.mark.parametrize("ones", [7, 8, 9, 10])
def test_products_of_many_small_factors(ones):
    """All but the first of 2**17 tokens seen: factors of 1e-30 for one symbol, then as many for the other.

    The spine of the first token has its symbol everywhere, so that each right sibling weighs in.
    """
    L, q = 17, 1e-30
    g = echo(L, q)
    tokens = np.concatenate([[0], np.repeat([0] * (L - ones) + [1] * ones, 2 ** np.arange(L))])
    hidden = np.arange(2**L) == 0
    # odds of symbol 0: those of the prior times q / (1 - q) to the excess of zeros
    odds = np.exp(-np.log(3) + (L - 2 * ones) * (np.log(q) - np.log1p(-q)))
    expected = [1 / (1 + 1 / odds), 1 / (1 + odds)]
    for level in (0, L):
        np.testing.assert_allclose(g.posteriors(tokens, level=level, mask=hidden)[0], expected, rtol=1e-9)
    drawn = g.sample_posterior(tokens, mask=hidden, seed=0)
    assert drawn[0] == (odds < 1)
    np.testing.assert_array_equal(drawn[1:], tokens[1:])


def test_balanced_evidence_gives_the_prior_back():
    """Nine levels say 0 and nine say 1, each by a factor 1e-60: floats would hold neither."""
    L, q = 18, 1e-60
    tokens = np.concatenate([[0], np.repeat([0, 1] * 9, 2 ** np.arange(L))])
    apart = np.concatenate([[0], np.repeat([0] * 9 + [1] * 9, 2 ** np.arange(L))])
    hidden = np.arange(2**L) == 0
    for sentence in (tokens, apart):
        np.testing.assert_allclose(echo(L, q).posteriors(sentence, mask=hidden)[0], [0.25, 0.75], rtol=1e-9)


def test_a_large_tree_with_half_its_tokens_hidden():
    grammar = RHM(v=16, m=4, s=2, L=14).grammar(seed=0)
    tokens = grammar.sample(2, seed=1)
    mask = np.random.default_rng(0).random(tokens.shape) < 0.5
    found = grammar.posteriors(tokens, mask=mask)[mask]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    # calibrated: a Bayes posterior gives the truth, on average, the probability that it states
    stated = (found**2).sum(axis=1)
    true = found[np.arange(len(found)), tokens[mask]]
    assert abs((true - stated).mean()) < 4 * (true - stated).std() / np.sqrt(len(true))


def test_floats_and_logarithms_agree(monkeypatch):
    """The fast kernels and the plain ones, at a size where sentences cannot be listed: rules of any weight."""
    rhm, rng = RHM(v=(9, 7, 6), m=(3, 4, 2), s=(2, 3, 2), L=3, n=5), np.random.default_rng(0)
    weights = [rng.dirichlet(np.full(m, 0.5), size=v) for v, m in ((5, 2), (6, 4), (7, 3))]
    grammar = rhm.grammar(seed=0).reweighted(weights, prior=rng.dirichlet(np.ones(5)))
    trees = grammar.sample_trees(2000, seed=1).levels
    mask = rng.random(trees[0].shape) < rng.random((2000, 1))
    symbols = {
        level: np.where(rng.random(trees[level].shape) < 0.8, -1, trees[level].astype(int)) for level in (1, 2)
    }

    def everything():
        given = {"mask": mask, "symbols": symbols}
        found = [grammar.posteriors(trees[0], level=level, **given) for level in range(4)]
        return found, grammar.sample_posterior_trees(trees[0], samples=3, seed=2, **given).levels

    fast, fast_draws = everything()
    use_logarithms(monkeypatch)
    plain, plain_draws = everything()
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)
    for a, b in zip(fast_draws, plain_draws, strict=True):
        np.testing.assert_array_equal(a, b)


def test_last_token_is_read_off_the_spine():
    """Against the filter in plain Python, at a size where sentences cannot be listed."""
    grammar = RHM(v=32, m=8, s=2, L=4).grammar(seed=0)
    tokens = grammar.sample(50, seed=1)
    found = grammar.posterior(tokens)
    for row, p in zip(tokens, found, strict=True):
        belief = np.full(32, 1 / 32)
        for level in range(4, 0, -1):
            start = 16 - 2**level
            left = grammar.parse(np.concatenate([row[start : start + 2 ** (level - 1)]] * 2 ** (5 - level))).levels
            rules, observed = grammar.rules(level), left[level - 1][0]
            below = np.zeros(32)
            for a, r in zip(*np.nonzero(rules[:, :, 0] == observed), strict=True):
                below[rules[a, r, 1]] += belief[a] / 8
            belief = below / below.sum()
        np.testing.assert_allclose(p, belief, atol=1e-13)


def test_more_tuples_than_could_be_listed():
    """v**s = 2.7e10: the rules alone are held, and a token is found by the tuples that agree with it."""
    grammar = RHM(v=3000, m=4, s=3, L=2).grammar(seed=0)
    tokens = grammar.sample(200, seed=1)
    for hidden in (0, 4, 8):
        found = grammar.posteriors(tokens, mask=np.arange(9) == hidden)
        assert (found[np.arange(200), hidden, tokens[:, hidden]] > 0.1).all()


# --- evidence without an explanation -------------------------------------------------------------------------


def ungrammatical(grammar):
    """A tuple of tokens that no rule makes."""
    for pair in np.ndindex(8, 8):
        if grammar.parents(1, pair) < 0:
            return list(pair)
    raise AssertionError


@pytest.mark.usefixtures("arithmetic")
def test_first_sample_without_explanation_is_named(grammar):
    tokens = grammar.sample(10, seed=1)
    tokens[[4, 7], 2:4] = ungrammatical(grammar)
    message = (
        r"no derivation explains what is observed of sample 4 in the tokens 2\.\.3, which node 1 of level 1 would "
        r"have to produce \(2 samples in all\)"
    )
    for function in (grammar.posterior, grammar.posteriors, grammar.sample_posterior):
        with pytest.raises(InputError, match=message):
            function(tokens)
    found = grammar.posterior(tokens, impossible="nan")
    np.testing.assert_array_equal(np.isnan(found).any(axis=1), np.isin(np.arange(10), [4, 7]))
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), np.isin(np.arange(10), [4, 7]))


def test_contradictions_higher_up(grammar):
    tokens = grammar.sample(200, seed=1)
    # right halves of one sentence with left halves of another: most have no root
    mixed = np.concatenate([tokens[:100, :4], tokens[100:, 4:]], axis=1)
    bad = grammar.parse(mixed).level(3)[:, 0] < 0
    assert bad.any()
    found = grammar.posteriors(mixed, level=3, mask=np.zeros(8, bool), impossible="nan")
    np.testing.assert_array_equal(np.isnan(found).any(axis=(1, 2)), bad)
    with pytest.raises(InputError, match=r"in the tokens 0\.\.7, which node 0 of level 3"):
        grammar.posteriors(mixed[bad][0], mask=np.zeros(8, bool))


def test_ungrammatical_prefix(grammar):
    with pytest.raises(InputError, match=r"no derivation explains what is observed in the tokens 0\.\.1"):
        grammar.next_token(ungrammatical(grammar))
    prefixes = grammar.sample(2, seed=0)[:, :4]
    prefixes[1, 2:] = ungrammatical(grammar)
    with pytest.raises(InputError, match=r"of sample 1 in the tokens 2\.\.3"):
        grammar.next_token(prefixes)


@pytest.mark.usefixtures("arithmetic")
def test_symbols_that_contradict_the_tokens(grammar):
    trees = grammar.sample_trees(20, seed=1).levels
    labels = trees[3]
    certain = grammar.posteriors(trees[0], level=3, mask=np.zeros(8, bool), symbols={3: labels})
    np.testing.assert_array_equal(certain[:, 0], np.eye(4)[labels[:, 0]])
    wrong = labels.copy()
    wrong[11] = (wrong[11] + 1) % 4
    with pytest.raises(InputError, match=r"of sample 11 in the tokens 0\.\.7"):
        grammar.posteriors(trees[0], mask=np.zeros(8, bool), symbols={3: wrong})


@pytest.mark.usefixtures("arithmetic")
def test_what_has_probability_zero_explains_nothing():
    rules = [[[[0, 1], [2, 2]], [[1, 0], [1, 1]]]]
    g = Grammar.from_rules(rules, v=3, rule_probabilities=[[[1, 0], [0.5, 0.5]]])
    with pytest.raises(InputError, match="probability zero"):
        g.posteriors([2, 2], mask=[False, False])
    with pytest.raises(InputError, match="probability zero"):
        g.posterior([2, 0])
    np.testing.assert_array_equal(g.posterior([0, 0]), [0, 1, 0])
    one_class = g.reweighted(prior=[1, 0])
    with pytest.raises(InputError, match="node 0 of level 1"):
        one_class.posteriors([1, 0], mask=[False, False])
    np.testing.assert_array_equal(one_class.posteriors([0, 0], mask=[True, True]), [[1, 0, 0], [0, 1, 0]])


# --- draws ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("arithmetic")
def test_draws_are_trees_that_explain_what_was_seen(tiny):
    """Each is a derivation of the grammar, with the tokens and the symbols that were given."""
    rng = np.random.default_rng(7)
    for symbols_too in (False, True):
        tree = some_tree(tiny, rng)
        hidden = [rng.random(len(nodes)) < 0.6 for nodes in tree]
        symbols = {k: np.where(hidden[k], -1, tree[k]) for k in range(1, len(tree)) if symbols_too}
        drawn = inference.sample_posterior_trees(
            tiny.grammar, tree[0], mask=hidden[0], samples=20, seed=6, symbols=symbols
        ).levels
        derivations = {tuple(map(tuple, levels)) for levels, _ in tiny.trees}
        for i in range(20):
            one = [level[i] for level in drawn]
            assert tuple(tuple(level.tolist()) for level in one[::-1]) in derivations
            for k in (0, *symbols):
                np.testing.assert_array_equal(one[k][~hidden[k]], np.array(tree[k])[~hidden[k]])


@pytest.mark.usefixtures("arithmetic")
@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_draws_follow_the_joint_posterior(tiny, share):
    rng = np.random.default_rng(5)
    levels = some_tree(tiny, rng)
    hidden = rng.random(tiny.shape.d) < share
    root = {tiny.shape.L: [levels[-1][0]]} if share == 0.7 else {}
    count = 3000
    drawn = inference.sample_posterior_trees(
        tiny.grammar, levels[0], mask=hidden, samples=count, seed=6, symbols=root
    ).levels
    observed = {(0, i): x for i, x in enumerate(levels[0]) if not hidden[i]}
    if root:
        observed[tiny.shape.L, 0] = levels[-1][0]
    joint = naive.distribution(naive.agreeing(tiny.trees, observed), lambda tree: tuple(map(tuple, tree)))
    total = sum(joint.values())
    seen = naive.distribution(
        [([tuple(level[i].tolist()) for level in drawn[::-1]], 1) for i in range(count)], lambda tree: tuple(tree)
    )
    assert set(seen) <= set(joint)
    chi_squared = sum(
        (seen.get(tree, 0) - count * p / total) ** 2 / (count * p / total) for tree, p in joint.items()
    )
    # mean k - 1, variance about 2 (k - 1) plus what rare trees add, (1 / expected) each
    k = len(joint)
    variance = 2 * (k - 1) + sum(total / p for p in joint.values()) / count
    assert abs(chi_squared - (k - 1)) <= 4.5 * np.sqrt(variance)


def test_draws_keep_what_is_observed_and_parse(grammar):
    tokens = grammar.sample(100, seed=1)
    mask = np.random.default_rng(0).random((100, 8)) < 0.5
    drawn = grammar.sample_posterior(tokens, mask=mask, samples=7, seed=2)
    assert drawn.shape == (100, 7, 8)
    assert drawn.dtype == tokens.dtype
    np.testing.assert_array_equal(np.where(mask[:, None], tokens[:, None], drawn), np.tile(tokens[:, None], (7, 1)))
    assert (grammar.parse(drawn).level(3) >= 0).all()
    trees = grammar.sample_posterior_trees(tokens, mask=mask, samples=7, seed=2)
    for level, symbols in zip(trees.levels, grammar.parse(drawn).levels, strict=True):
        np.testing.assert_array_equal(level, symbols)


def test_draws_are_reproducible(grammar):
    tokens, mask = grammar.sample(10, seed=1), np.ones(8, bool)
    draw = partial(grammar.sample_posterior, tokens, mask=mask)
    np.testing.assert_array_equal(draw(seed=3), draw(seed=3))
    assert (draw(seed=3) != draw(seed=4)).any()
    assert draw(samples=0).shape == (10, 0, 8)
    assert grammar.sample_posterior(tokens[0], mask=mask).shape == (8,)
    assert grammar.sample_posterior(tokens[0], mask=mask, samples=5).shape == (5, 8)
    rng = np.random.default_rng(0)
    assert (draw(seed=rng) != draw(seed=rng)).any()
    # draws are independent of the sentences that the same seed makes
    many = grammar.sample_posterior_trees(np.zeros((4000, 8), int), mask=mask, seed=1).level(3)[:, 0]
    sentences = grammar.sample_trees(4000, seed=1).levels[3][:, 0]
    assert abs((many == sentences).mean() - 1 / 4) < 4.5 * np.sqrt(3 / 16 / 4000)


# --- what users get wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "options", "message"),
    [
        ([0.5] * 8, {}, "tokens are of type float64: give integers"),
        ([True] * 8, {}, "tokens are of type bool: give integers"),
        ([0] * 7, {}, r"tokens have shape \(7,\): the last axis must hold d=8 tokens"),
        (np.zeros((2, 2, 8), int), {}, r"tokens have shape \(2, 2, 8\): give one axis"),
        ([0, 1, 9, 0, 0, 0, 0, 0], {}, r"tokens hold 9 at \[0, 2\], outside 0..7: hide it, or correct it"),
        ([[0] * 8, [-1] * 8], {}, r"tokens hold -1 at \[1, 0\]"),
        ([0] * 8, {"mask": [1.0] * 8}, "mask is of type float64: give booleans"),
        ([0] * 8, {"mask": [3]}, "mask is of type int64: give booleans, True where a token is hidden"),
        ([0] * 8, {"context_level": 4}, "context_level=4 is too large: it must be at most 3"),
        ([0] * 8, {"context_level": 1, "level": 2}, "level=2 is too large: it must be at most 1"),
        ([0] * 8, {"context_level": 1, "symbols": {2: [0, 0]}}, "symbols of level 2 lie above context_level=1"),
        ([0] * 8, {"mask": [True] * 7}, r"mask has shape \(7,\): give \(8,\)"),
        ([[0] * 8] * 3, {"mask": [[True] * 8] * 2}, r"mask has shape \(2, 8\): .* the tokens, \(3, 8\)"),
        ([0] * 8, {"mask": [[True] * 8]}, r"mask has shape \(1, 8\): .* the tokens, \(8,\)"),
        ([0] * 8, {"level": 4}, "level=4 is too large: it must be at most 3"),
        ([0] * 8, {"level": 1.0}, "level=1.0 is not an integer"),
        ([0] * 8, {"symbols": {0: [0] * 8}}, "level of symbols=0 is too small"),
        ([0] * 8, {"symbols": {2: [0] * 3}}, r"symbols\[2\] have shape \(3,\): give \(1, 2\) or \(2,\)"),
        ([0] * 8, {"symbols": {2: [0, 6]}}, r"symbols\[2\] hold 6 at \[0, 1\], outside 0..5"),
        ([0] * 8, {"impossible": "zero"}, "impossible='zero' is unknown: choose one of raise, nan"),
        ([0] * 8, {"threads": 0}, "threads=0 is too small"),
    ],
)
def test_bad_evidence(grammar, tokens, options, message):
    with pytest.raises(InputError, match=message):
        grammar.posteriors(tokens, **options)
    if not {"mask", "level"} & set(options):
        with pytest.raises(InputError, match=message):
            grammar.posterior(tokens, **options)


@pytest.mark.parametrize(
    ("prefix", "options", "message"),
    [
        ([0] * 8, {}, "prefix has 8 tokens, but only 7 lie before position 7: cut it"),
        ([0] * 4, {"position": 3}, "prefix has 4 tokens, but only 3 lie before position 3"),
        ([0] * 4, {"position": 8}, "position=8 is too large"),
        ([0] * 4, {"context_tokens": -1}, "context_tokens=-1 is too small"),
        ([0.5] * 4, {}, "prefix tokens are of type float64"),
        ([0, 8], {}, r"prefix tokens hold 8 at \[0, 1\]"),
    ],
)
def test_bad_prefix(grammar, prefix, options, message):
    with pytest.raises(InputError, match=message):
        grammar.next_token(prefix, **options)


def test_a_result_that_cannot_be_held(grammar, monkeypatch):
    empty = np.empty

    def full(shape, dtype=float):
        if shape == (1, 8):
            raise MemoryError
        return empty(shape, dtype)

    monkeypatch.setattr(np, "empty", full)
    with pytest.raises(InputError, match=r"a result of .* GiB does not fit in memory: give fewer samples at once"):
        grammar.posterior([0] * 8)
