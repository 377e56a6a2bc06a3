"""Beliefs in place of symbols: posteriors, likelihoods, draws and best derivations, against all derivations."""

import naive
import numpy as np
import pytest
import tiny as tiny_grammars
from hypothesis import given
from hypothesis import strategies as st
from test_inference import arithmetic, some_tree  # noqa: F401

from rhmtheory import RHM, InputError
from rhmtheory.exact import _messages as messages
from rhmtheory.exact import channels
from rhmtheory.exact import likelihoods as likelihoods_


def some_evidence(tiny, rng, kinds):
    """Beliefs of every level, or None: of many sizes, some certain, some flat, some with symbols left out."""
    tree = some_tree(tiny, rng)
    out = []
    for nodes, v, kind in zip(tree, tiny.sizes, kinds, strict=True):
        rows = rng.random((len(nodes), v)) ** 3 * 10.0 ** rng.integers(-3, 4, (len(nodes), 1))
        rows *= rng.random(rows.shape) < 0.7
        rows[np.arange(len(nodes)), nodes] += 0.1
        certain, flat = rng.random((2, len(nodes))) < 0.25
        rows[certain] = np.eye(v)[np.array(nodes)[certain]]
        rows[flat] = 0.7
        out.append(rows if kind else None)
    return out


def arguments(evidence, tokens):
    """The evidence as functions take it."""
    symbols = {level: rows for level, rows in enumerate(evidence) if level and rows is not None}
    if evidence[0] is None:
        return (tokens,), {"mask": np.ones(len(tokens), bool), "symbols": symbols}
    return (evidence[0],), {"symbols": symbols}


def likelihoods(evidence):
    """The same as the naive twin takes it."""
    rows = {level: rows for level, rows in enumerate(evidence) if rows is not None}
    return {(level, i): row for level, table in rows.items() for i, row in enumerate(table.tolist())}


def check(tiny, evidence):
    """Marginals of all levels, likelihood and best derivation, for one sentence."""
    g = tiny.grammar
    given, options = arguments(evidence, [0] * tiny.shape.d)
    weighed = naive.weighed(tiny.trees, likelihoods(evidence))
    for level, v in enumerate(tiny.sizes):
        found = g.posteriors(*given, level=level, **options)
        expected = [naive.posterior(weighed, {}, level, i, v) for i in range(tiny.shape.width(level))]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert g.log_likelihood(*given, **options) == pytest.approx(np.log(sum(p for _, p in weighed)), abs=1e-12)
    best = g.most_probable(*given, **options)
    assert best.log_probability == pytest.approx(np.log(max(p for _, p in weighed)), abs=1e-12)
    tree = [tuple(level.tolist()) for level in best.trees.levels[::-1]]
    of_tree = {tuple(levels): p for levels, p in weighed}
    assert of_tree[tuple(tree)] == pytest.approx(max(of_tree.values()), rel=1e-12)


@pytest.mark.usefixtures("arithmetic")
def test_beliefs_of_any_levels(tiny):
    rng = np.random.default_rng(0)
    for kinds in ([True] + [False] * tiny.shape.L, [True] * (tiny.shape.L + 1), [False] + [True] * tiny.shape.L):
        check(tiny, some_evidence(tiny, rng, kinds))


@given(tiny_grammars.grammars(), st.integers(0, 2**32))
def test_any_grammar(grammar, seed):
    rng = np.random.default_rng(seed)
    check(
        tiny_grammars.Tiny(grammar),
        some_evidence(tiny_grammars.Tiny(grammar), rng, rng.random(grammar.shape.L + 1) < 0.6),
    )


def test_up_to_a_context_level(tiny):
    rng = np.random.default_rng(3)
    evidence = some_evidence(tiny, rng, [True] * (tiny.shape.L + 1))
    for k in range(tiny.shape.L + 1):
        given, options = arguments(evidence[: k + 1], None)
        for level in range(k + 1):
            found = tiny.grammar.posteriors(*given, level=level, context_level=k, **options)
            for i, row in enumerate(found):
                own = i * tiny.shape.span(level) // tiny.shape.span(k)
                near = {
                    (x, j): p
                    for (x, j), p in likelihoods(evidence[: k + 1]).items()
                    if j * tiny.shape.span(x) // tiny.shape.span(k) == own
                }
                expected = naive.posterior(naive.weighed(tiny.trees, near), {}, level, i, tiny.sizes[level])
                np.testing.assert_allclose(row, expected, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("arithmetic")
def test_tokens_as_beliefs_say_the_same(tiny):
    """Certain and hidden tokens, and symbols above them, by numbers and by beliefs."""
    g, rng = tiny.grammar, np.random.default_rng(1)
    tree = [np.array(nodes) for nodes in some_tree(tiny, rng)]
    hidden = [rng.random(len(nodes)) < 0.5 for nodes in tree]
    soft = [np.where(h[:, None], 1.0, np.eye(v)[x]) for x, h, v in zip(tree, hidden, tiny.sizes, strict=True)]
    symbols = {level: np.where(hidden[level], -1, tree[level]) for level in range(1, tiny.shape.L + 1)}
    hard = {"mask": hidden[0], "symbols": symbols}
    given, options = arguments(soft, None)
    for level in range(tiny.shape.L + 1):
        expected = g.posteriors(tree[0], level=level, **hard)
        np.testing.assert_allclose(g.posteriors(*given, level=level, **options), expected, rtol=0, atol=1e-12)
    assert g.log_likelihood(*given, **options) == pytest.approx(g.log_likelihood(tree[0], **hard), abs=1e-12)
    a, b = g.most_probable(*given, **options), g.most_probable(tree[0], **hard)
    assert a.log_probability == pytest.approx(b.log_probability, abs=1e-12)
    assert a.trees == b.trees
    np.testing.assert_array_equal(
        g.sample_posterior(*given, samples=5, seed=1, **options),
        g.sample_posterior(tree[0], samples=5, seed=1, **hard),
    )


def test_likelihood_of_visible_tokens(tiny):
    g, rng = tiny.grammar, np.random.default_rng(4)
    tokens = g.sample(6, seed=1)
    mask = rng.random(tokens.shape) < 0.5
    found = g.log_likelihood(tokens, mask=mask)
    whole = g.log_likelihood(tokens)
    for row, hidden, part, all_ in zip(tokens.tolist(), mask, found, whole, strict=True):
        for seen, value in ((~hidden, part), (np.ones(len(row), bool), all_)):
            agreeing = naive.agreeing(tiny.trees, {(0, i): x for i, x in enumerate(row) if seen[i]})
            assert value == pytest.approx(np.log(sum(p for _, p in agreeing)), abs=1e-12)


@pytest.mark.usefixtures("arithmetic")
def test_draws_follow_the_posterior_of_beliefs(tiny):
    rng = np.random.default_rng(6)
    evidence = some_evidence(tiny, rng, [True] * (tiny.shape.L + 1))
    given, options = arguments(evidence, None)
    count = 3000
    drawn = tiny.grammar.sample_posterior_trees(*given, samples=count, seed=2, **options)
    joint = naive.distribution(naive.weighed(tiny.trees, likelihoods(evidence)), lambda tree: tuple(tree))
    total = sum(joint.values())
    seen = naive.distribution(
        [([tuple(level[i].tolist()) for level in drawn.levels[::-1]], 1) for i in range(count)],
        lambda tree: tuple(tree),
    )
    expected = {tree: count * p / total for tree, p in joint.items() if p > 0}
    assert set(seen) <= set(expected)
    # rare trees are one cell together
    common = [tree for tree, mean in expected.items() if mean >= 5]
    pairs = [(seen.get(tree, 0), expected[tree]) for tree in common]
    rest = count - sum(n for n, _ in pairs), count - sum(mean for _, mean in pairs)
    cells = [*pairs, rest] if rest[1] >= 5 else pairs
    chi_squared = sum((n - mean) ** 2 / mean for n, mean in cells)
    assert chi_squared < len(cells) + 5 * np.sqrt(2 * len(cells)) + 5


def test_beliefs_beyond_the_range_of_floats():
    """Likelihoods of 1e-300 for every token: products leave the range, their logarithms do not."""
    grammar = RHM(v=6, m=2, s=2, L=7).grammar(seed=0)
    tokens = grammar.sample(3, seed=1)
    rng = np.random.default_rng(0)
    beliefs = np.where(rng.random((*tokens.shape, 6)) < 0.5, 1e-300, 1e-280)
    strong = np.where(tokens[..., None] == np.arange(6), 1e-150, 1e-300)
    scaled = grammar.log_likelihood(strong * 1e150) - 128 * 150 * np.log(10)
    np.testing.assert_allclose(grammar.log_likelihood(strong), scaled, rtol=1e-12)
    found = grammar.posteriors(beliefs, level=7)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(grammar.posteriors(beliefs * 1e250, level=7), found, rtol=1e-9)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_and_blocks_change_nothing(monkeypatch, threads):
    grammar = RHM(v=(8, 6, 6), m=2, s=2, L=3, n=4).grammar(seed=0)
    rng, tokens = np.random.default_rng(0), grammar.sample(500, seed=1)
    beliefs = channels.UniformNoise(8, 0.3).beliefs(tokens)
    options = {
        "mask": rng.random(tokens.shape) < 0.2,
        "symbols": {2: rng.random((2, 6)), 1: rng.random((500, 4, 6))},
    }

    def everything(**more):
        yield grammar.posteriors(beliefs, level=1, **options, **more)
        yield grammar.log_likelihood(beliefs, **options, **more)
        best = grammar.most_probable(beliefs, **options, **more)
        yield from (best.log_probability, best.trees.tokens)
        yield grammar.sample_posterior(beliefs, samples=3, seed=4, **options, **more)

    expected = list(everything())
    monkeypatch.setattr(messages, "_LEAST_A_THREAD", 1)
    monkeypatch.setattr(messages, "LARGEST_BLOCK", 3000)
    monkeypatch.setattr(likelihoods_, "LARGEST_BLOCK", 3000)
    for found, whole in zip(everything(threads=threads), expected, strict=True):
        np.testing.assert_array_equal(found, whole)
    # a sentence by itself
    own = {"mask": options["mask"][7], "symbols": {2: options["symbols"][2], 1: options["symbols"][1][7]}}
    np.testing.assert_array_equal(grammar.posteriors(beliefs[7], level=1, **own), expected[0][7])
    assert grammar.log_likelihood(beliefs[7], **own) == expected[1][7]
    assert grammar.most_probable(beliefs[7], **own).log_probability == expected[2][7]


def test_impossible_beliefs(tiny):
    g = tiny.grammar
    beliefs = np.zeros((2, tiny.shape.d, tiny.sizes[0]))
    beliefs[0] = 1
    beliefs[1, :, 0] = 1  # all tokens are symbol 0
    if (g.parse(np.zeros(tiny.shape.d, int)).level(tiny.shape.L) >= 0).all():
        return
    with pytest.raises(
        InputError, match=r"no derivation explains .* of sample 1 in the tokens .* node \d of level"
    ):
        g.posteriors(beliefs)
    with pytest.raises(InputError, match=r"no derivation explains .* of sample 1"):
        g.most_probable(beliefs)
    assert np.isnan(g.posteriors(beliefs, impossible="nan")[1]).all()
    assert g.log_likelihood(beliefs)[1] == -np.inf
    assert g.log_likelihood(beliefs)[0] == pytest.approx(0, abs=1e-12)


@pytest.fixture(scope="module")
def grammar():
    return RHM(v=(8, 6, 6), m=2, s=2, L=3, n=4).grammar(seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:, :, :7], r"beliefs have shape \(2, 8, 7\): give \(P, 8, 8\), a likelihood of each symbol"),
        (lambda b: b[:, :7], r"beliefs have shape \(2, 7, 8\)"),
        (lambda b: -b, r"beliefs hold -1.0 at \[0, 0, 0\]: likelihoods are finite and not negative"),
        (lambda b: b * np.nan, r"beliefs hold nan at \[0, 0, 0\]"),
        (lambda b: b / 0.0, r"beliefs hold inf at \[0, 0, 0\]"),
        (lambda b: b * (np.arange(8) != 3)[:, None], r"beliefs are all zero at \[0, 3\], node 3 of level 0"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_bad_beliefs(grammar, change, message):
    for function in (grammar.posteriors, grammar.log_likelihood, grammar.most_probable, grammar.sample_posterior):
        with pytest.raises(InputError, match=message):
            function(change(np.ones((2, 8, 8))))


def test_bad_beliefs_above(grammar):
    tokens = grammar.sample(3, seed=0)
    with pytest.raises(InputError, match=r"symbols\[2\] have shape \(2, 8\): give \(3, 2, 6\), a likelihood"):
        grammar.posteriors(tokens, symbols={2: np.ones((2, 8))})
    with pytest.raises(InputError, match=r"symbols\[2\] have shape \(2, 2, 6\): give \(3, 2, 6\) or \(2, 6\)"):
        grammar.posteriors(tokens, symbols={2: np.ones((2, 2, 6))})
    with pytest.raises(InputError, match="symbols of level 2 lie above context_level=1"):
        grammar.posteriors(tokens, symbols={2: np.ones((2, 6))}, context_level=1)


def test_what_is_hidden_may_hold_anything(grammar):
    beliefs, mask = np.ones((1, 8, 8)) * [0.1] * 8 + np.arange(8), np.arange(8) == 2
    broken = beliefs.copy()
    broken[:, 2] = np.nan
    expected = grammar.posteriors(beliefs, mask=mask)
    np.testing.assert_array_equal(grammar.posteriors(broken, mask=mask), expected)
    assert grammar.log_likelihood(broken, mask=mask) == grammar.log_likelihood(beliefs, mask=mask)


def test_messages_that_do_not_fit():
    grammar = RHM(v=4, m=2, s=2, L=40).grammar(seed=0)
    with pytest.raises(InputError, match=r"the messages of one sentence of .* take .* GiB, more than there are"):
        # the token that is seen is half of a pair
        grammar.next_token([0], position=2)


# --- channels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "channel",
    [channels.UniformNoise(8, 0.4), channels.Masking(8, 0.5), channels.GaussianLeaves(8, 0.6)],
    ids=lambda channel: type(channel).__name__,
)
def test_channels_are_calibrated(grammar, channel):
    """The mean belief in the truth is the mean of the squared beliefs, at every level."""
    trees = grammar.sample_trees(4000, seed=1)
    beliefs = channel.beliefs(channel.observe(trees.tokens, seed=2))
    assert beliefs.shape == (4000, 8, 8)
    for level in range(4):
        p = grammar.posteriors(beliefs, level=level)
        stated = (p**2).sum(axis=-1).mean(axis=1)
        true = np.take_along_axis(p, trees.level(level)[..., None].astype(int), axis=-1)[..., 0].mean(axis=1)
        assert abs((true - stated).mean()) < 4.5 * (true - stated).std() / np.sqrt(4000)


def test_channels_by_their_definition():
    tokens = np.array([[1, 0, 3]])
    uniform = channels.UniformNoise(4, 0.2)
    np.testing.assert_allclose(uniform.beliefs(tokens)[0, 0], [0.05, 0.85, 0.05, 0.05])
    np.testing.assert_array_equal(channels.EpsilonProcess(4, 0.2).beliefs(tokens), uniform.beliefs(tokens))
    seen = uniform.observe(np.ones(100_000, int), seed=0)
    assert abs((seen != 1).mean() - 0.15) < 4.5 * np.sqrt(0.15 * 0.85 / 1e5)
    np.testing.assert_array_equal(channels.Masking(4, 1.0).beliefs([-1, 2]), [[1] * 4, [0, 0, 1, 0]])
    assert (channels.Masking(4, 1.0).observe(tokens) == -1).all()
    leaves = channels.GaussianLeaves(3, 0.5)
    y = np.array([0.3, -0.2, 1.1])
    density = [np.exp(-((y - np.eye(3)[a]) ** 2).sum() / (2 * 0.25)) for a in range(3)]
    np.testing.assert_allclose(leaves.beliefs(y), np.array(density) / max(density), rtol=1e-12)
    assert leaves.observe(tokens % 3, seed=1).shape == (1, 3, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: channels.UniformNoise(4, 1.2), "noise=1.2 is no probability: give a number from 0 to 1"),
        (lambda: channels.Masking(4, -0.1), "rate=-0.1 is no probability"),
        (lambda: channels.UniformNoise(1, 0.1), "v=1 is too small"),
        (lambda: channels.GaussianLeaves(4, 0.0), "sigma=0.0 is no deviation"),
        (lambda: channels.UniformNoise(4, 0.1).beliefs([4]), "tokens hold 4"),
        (lambda: channels.Masking(4, 0.1).beliefs([-2]), "tokens hold -2"),
        (lambda: channels.GaussianLeaves(4, 0.1).beliefs([[1.0, 2.0]]), r"observed have shape \(1, 2\)"),
        (lambda: channels.GaussianLeaves(2, 0.1).beliefs([[1.0, np.nan]]), "observed are not finite"),
    ],
)
def test_bad_channels(make, message):
    with pytest.raises(InputError, match=message):
        make()


# --- prefixes ------------------------------------------------------------------------------------------------


def test_prefixes_of_all_levels(tiny):
    g, rhm = tiny.grammar, tiny.shape
    sentences = naive.distribution(tiny.trees, lambda levels: levels[-1])
    tokens, p = np.array(list(sentences)), np.array(list(sentences.values()))
    found = g.prefix_posteriors(tokens)
    for level in range(rhm.L + 1):
        assert found.posteriors[level].shape == (len(tokens), rhm.d + 1, rhm.width(level), tiny.sizes[level])
        for t in range(rhm.d + 1):
            expected = g.posteriors(tokens, level=level, mask=np.arange(rhm.d) >= t)
            np.testing.assert_allclose(found.posteriors[level][:, t], expected, rtol=0, atol=1e-13)
        # weighed by the probability of the sentences, the information is that of prefix and node
        q = found.posteriors[level]
        S = -(q * np.log(np.where(q > 0, q, 1))).sum(axis=-1)
        np.testing.assert_allclose(found.entropy[level], S.mean(axis=0), rtol=0, atol=1e-12)
        for t, i in ((0, 0), (1, 0), (rhm.d, rhm.width(level) - 1)):
            H = naive.conditional_entropy(
                tiny.trees, lambda x, level=level, i=i: x[-1 - level][i], lambda x, t=t: x[-1][:t]
            )
            assert p @ S[:, t, i] == pytest.approx(H, abs=1e-10)
    np.testing.assert_allclose(found.information[0][0], 0, atol=1e-12)


def test_information_of_prefixes_is_the_mean_divergence_from_the_marginal(grammar):
    found = grammar.prefix_posteriors(grammar.sample(50, seed=1), levels=[3])
    assert found.levels == (3,)
    p, pi = found.posteriors[0], grammar.marginal(3, 0)
    ratio = np.where(p > 0, p / pi, 1)
    np.testing.assert_allclose(found.information[0], (p * np.log(ratio)).sum(axis=-1).mean(axis=0), atol=1e-12)
    assert (found.information[0] > -1e-12).all()


def test_share_of_variance_that_prefixes_explain(tiny):
    g, rhm = tiny.grammar, tiny.shape
    sentences = naive.distribution(tiny.trees, lambda levels: levels[-1])
    tokens, weight = np.array(list(sentences)), np.array(list(sentences.values()))
    found = g.prefix_posteriors(tokens)
    for level in range(rhm.L + 1):
        p = found.posteriors[level]
        for i in range(rhm.width(level)):
            pi = g.marginal(level, i)
            variance = 1 - (pi**2).sum()
            if variance < 1e-12:
                assert np.isnan(found.explained[level][:, i]).all()
                continue
            exact = weight @ ((p[:, :, i] - pi) ** 2).sum(axis=-1) / variance
            # weighed by sentences, the mean square of a posterior less that of the marginal
            assert exact == pytest.approx((weight @ (p[:, :, i] ** 2).sum(axis=-1) - (pi**2).sum()) / variance)
            plain = ((p[:, :, i] ** 2).sum(axis=-1).mean(axis=0) - (pi**2).sum()) / variance
            np.testing.assert_allclose(found.explained[level][:, i], plain, atol=1e-12)
            assert exact[0] == pytest.approx(0, abs=1e-12)
