"""The clustering learner: its scores and predictions against enumeration, and what it recovers."""

from itertools import combinations

import naive
import numpy as np
import pytest

from rhmtheory import RHM, Grammar, InputError
from rhmtheory.learner import _grouping
from rhmtheory.learner._grouping import encode_tuples, spine_counts
from rhmtheory.learner.clustering import ClusterModel, _agreement, learn


def test_agreement_counts_pairs_of_different_tuples():
    rng = np.random.default_rng(0)
    tuples = rng.integers(6, size=40)
    truth, recovered = tuples // 2, rng.integers(4, size=40)  # symbol 3 stands for "not seen"
    together = true = right = every = 0
    for i, j in combinations(range(40), 2):
        if tuples[i] == tuples[j]:
            continue
        every += 1
        same = recovered[i] == recovered[j] != 3
        true += truth[i] == truth[j]
        together += same
        right += same and truth[i] == truth[j]
    f1, rand, precision, recall = _agreement(recovered, truth, tuples, 3)
    assert precision == pytest.approx(right / together)
    assert recall == pytest.approx(right / true)
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall))
    chance = together * true / every
    assert rand == pytest.approx((right - chance) / ((together + true) / 2 - chance))


def test_agreement_at_the_ends():
    tuples = np.arange(12)
    truth = tuples // 3
    assert _agreement((truth + 1) % 4, truth, tuples, 4) == (1, 1, 1, 1)
    assert _agreement(np.full(12, 4), truth, tuples, 4) == (0, 0, 0, 0)
    shuffled = [_agreement(np.random.default_rng(i).permutation(truth), truth, tuples, 4)[1] for i in range(400)]
    assert abs(np.mean(shuffled)) < 4 * np.std(shuffled) / 20


@pytest.mark.parametrize("sharing", [True, False])
@pytest.mark.parametrize("profile", ["covariance", "hellinger"])
def test_recovers_the_grammar_up_to_names(sharing, profile):
    rhm = RHM(v=16, m=4, s=2, L=3)
    grammar = rhm.grammar(seed=0)
    model = learn(rhm, grammar.sample(1_600_000, seed=1), sharing=sharing, profile=profile)
    trees = grammar.sample_trees(5000, seed=2).levels
    for score in model.score(trees):
        assert score.pair_f1 > 0.98
        assert score.adjusted_rand > 0.98
        assert score.tuple_f1 > 0.9
        assert f"level {score.level}: pair-F1" in str(score)
    # one name, one symbol (but for a rare tuple), at the sibling of the target's ancestor
    recovered = model.symbols(trees[0])
    for level in (1, 2):
        pairs = np.unique(np.stack([recovered[level][:, -2], trees[level][:, -2]], axis=1), axis=0)
        assert len(pairs) <= len(np.unique(trees[level][:, -2])) + 1
    assert model.depth == 2
    H = grammar.plateaus()
    test = grammar.sample(50_000, seed=3)
    losses = -np.log(model.predict(test)[np.arange(50_000), test[:, -1]])
    assert model.loss(test) == pytest.approx(losses.mean())
    assert H[3] - 4 * losses.std() / np.sqrt(50_000) < model.loss(test) < 1.03 * H[3]


def test_plateaus_in_between():
    # with samples for the last tuple and level 1 only, the loss lies by H_2, and the depth tells why
    rhm = RHM(v=16, m=4, s=2, L=3)
    grammar = rhm.grammar(seed=0)
    H, test = grammar.plateaus(), grammar.sample(20_000, seed=9)
    losses = {P: learn(rhm, grammar.sample(P, seed=1), sharing=False).loss(test) for P in (400, 8000, 1_600_000)}
    assert H[1] < losses[400] < H[0]
    assert H[2] * 0.95 < losses[8000] < H[1]
    assert H[3] * 0.98 < losses[1_600_000] < 1.05 * H[3]


def test_thresholds_of_the_theory():
    # pair-F1 = 0.5 lies near 2e3 (level 1), 8e3 (level 2 with sharing), 7e4 (level 2 without)
    rhm = RHM(v=16, m=4, s=2, L=3)

    def mean_f1(P, sharing):
        scores = []
        for seed in range(8):
            grammar = rhm.grammar(seed=seed)
            model = learn(rhm, grammar.sample(P, seed=1), sharing=sharing, predictor=False)
            scores.append([x.pair_f1 for x in model.score(grammar.sample_trees(5000, seed=2).levels)])
        return np.mean(scores, axis=0)

    assert mean_f1(1000, True)[0] < 0.5 < mean_f1(3000, True)[0]
    assert mean_f1(4000, True)[1] < 0.5 < mean_f1(16_000, True)[1]
    assert mean_f1(16_000, False)[1] < 0.3 < 0.5 < mean_f1(160_000, False)[1]


@pytest.mark.parametrize("sharing", [True, False])
def test_spine_targets_are_counted_by_hand(sharing, monkeypatch):
    # far tuples are counted with the recovered symbol above the target, near ones with the target
    rhm = RHM(v=(6, 5, 6), m=2, s=2, L=3)
    tokens = rhm.grammar(seed=0).sample(300, seed=1)
    calls, original = [], _grouping._clusters
    monkeypatch.setattr(
        _grouping, "_clusters", lambda *arguments: calls.append(arguments[1:3]) or original(*arguments)
    )
    first = learn(rhm, tokens, sharing=sharing, highest_level=1, predictor=False)
    calls.clear()
    model = learn(rhm, tokens, sharing=sharing, targets="spine", predictor=False)
    assert np.array_equal(model.tables[0][-2:], first.tables[0])
    above = first.symbols(tokens)[1][:, -1]
    # after two calls for the model with one level, which names the symbols: the first one for tuples below the far
    # sibling, of recovered symbols with sharing (after two for level 1), of tokens without
    if sharing:
        (level, views), seen, base = calls[2 + 2], model.symbols(tokens)[1][:, :2], 6
    else:
        (level, views), seen, base = calls[2], tokens[:, :2], 7
    expected = np.zeros(views.shape, int)
    for pair, symbol in zip(seen, above, strict=True):
        expected[0, int(pair[0]) * base + int(pair[1]), symbol] += 1
    assert level == (2 if sharing else 1)
    assert np.array_equal(views, expected)


def test_spine_targets_need_fewer_samples():
    rhm = RHM(v=16, m=4, s=2, L=3)

    def mean_f1(P, targets):
        scores = []
        for seed in range(4):
            grammar = rhm.grammar(seed=seed)
            model = learn(rhm, grammar.sample(P, seed=1), sharing=False, targets=targets, predictor=False)
            scores.append(model.score(grammar.sample_trees(5000, seed=2).levels)[1].tuple_f1)
        return np.mean(scores)

    assert mean_f1(16_000, "token") < 0.35 < 0.55 < mean_f1(16_000, "spine")


@pytest.mark.parametrize("sharing", [True, False])
def test_classes_tell_the_symbols_below(sharing):
    rhm = RHM(v=8, m=2, s=2, L=2)
    grammar = rhm.grammar(seed=0)
    trees = grammar.sample_trees(20_000, 1)
    options = {"sharing": sharing, "targets": "class", "predictor": False}
    model = learn(rhm, trees.tokens, labels=trees.level(2)[:, 0], **options)
    assert model.score(grammar.sample_trees(2000, 2).levels)[0].pair_f1 > 0.95
    assert (len(np.unique(model.tables[0], axis=0)) == 1) == sharing
    for change, message in (
        ({"labels": None}, "labels go with targets='class'"),
        ({"labels": np.zeros(9, int)}, r"labels have shape \(9,\): give one for each of 20000"),
        ({"labels": np.full(20_000, 8)}, "hold 8, outside 0..7: labels are classes"),
        ({"labels": np.zeros(20_000, int), "predictor": True}, "predictor=True predicts the last token"),
    ):
        with pytest.raises(InputError, match=message):
            learn(rhm, trees.tokens, **{**options, **change})


def test_a_masked_token_is_a_last_one_among_its_siblings():
    rhm = RHM(v=8, m=2, s=(3, 2, 2), L=3)
    order = _grouping.target_last(rhm, 7, 0)
    # the target's tuple is 6, 7, 8; its sibling 9, 10, 11; the other half comes first
    assert order.tolist() == [0, 1, 2, 3, 4, 5, 9, 10, 11, 6, 8, 7]
    assert _grouping.target_last(rhm, 7, 1).tolist() == [0, 1, 3, 2]
    assert _grouping.target_last(rhm, -1, 0).tolist() == list(range(12))
    grammar = rhm.grammar(seed=0)
    trees = grammar.sample_trees(60_000, 1)
    model = learn(rhm, trees.tokens, sharing=True, position=7)
    assert model.position == 7
    test = grammar.sample_trees(2000, 2)
    assert model.score(test.levels)[0].pair_f1 > 0.9
    # it predicts that token, without a look at it
    changed = test.tokens.copy()
    changed[:, 7] = 7 - changed[:, 7]
    p = model.predict(test.tokens)
    assert np.array_equal(p, model.predict(changed))
    losses = -np.log(p[np.arange(2000), test.tokens[:, 7]])
    assert model.loss(test.tokens) == pytest.approx(losses.mean())
    assert losses.mean() < grammar.plateaus()[0] - 0.3
    with pytest.raises(InputError, match="position=12 is too large"):
        learn(rhm, trees.tokens, sharing=True, position=12)


def true_model(grammar, P):
    """A model with the tables of the grammar itself, and spine counts in proportion to ``P`` samples."""
    rhm = grammar.rhm
    tables, spine = [], []
    tokens = grammar.sample(P, seed=0)
    below = tokens
    for level in range(1, rhm.L + 1):
        codes = encode_tuples(rhm, level, below)
        spine.append(spine_counts(rhm, level, codes))
        below = grammar.parse(tokens).level(level)
        if level < rhm.L:
            v, base, s = rhm.n_symbols(level), rhm.n_symbols(level - 1) + 1, rhm.n_children(level)
            table = np.full(base**s, v)
            for symbol, rule in np.ndindex(*grammar.rules(level).shape[:2]):
                digits = grammar.rules(level)[symbol, rule]
                table[np.ravel_multi_index(digits, (base,) * s)] = symbol
            tables.append(table[None])
    return ClusterModel(rhm, True, rhm.L - 1, P, tuple(tables), rhm.L - 1, tuple(spine))


@pytest.mark.parametrize(
    "rhm", [RHM(v=4, m=2, s=2, L=3), RHM(v=3, m=3, s=3, L=2), RHM(v=(4, 3), m=(2, 3), s=2, L=2)]
)
def test_prediction_is_the_posterior_when_the_symbols_are_right(rhm):
    grammar = rhm.grammar(seed=4)
    model = true_model(grammar, 400_000)
    rules, weights, prior = naive.tables_of(grammar)
    trees = naive.derivations(rules, weights, prior)
    joint = naive.distribution(trees, lambda levels: levels[-1])
    contexts = naive.distribution(trees, lambda levels: levels[-1][:-1])
    some = sorted(contexts)[:: max(1, len(contexts) // 100)]
    p = model.predict(np.array([[*context, 0] for context in some]))
    exact = [[joint.get((*context, y), 0) / contexts[context] for y in range(rhm.n_symbols(0))] for context in some]
    assert abs(p - exact).max() < 0.05
    assert np.array_equal(p > 0, np.array(exact) > 0)


def test_target_is_not_looked_at():
    rhm = RHM(v=8, m=2, s=2, L=3)
    grammar = rhm.grammar(seed=0)
    model = learn(rhm, grammar.sample(5000, seed=0), sharing=False)
    test = grammar.sample(300, seed=1)
    other = test.copy()
    other[:, -1] = 7 - other[:, -1]
    p = model.predict(test)
    assert np.array_equal(p, model.predict(other))
    assert np.allclose(p.sum(axis=1), 1)
    assert (p > 0).all()


@pytest.mark.parametrize("sharing", [True, False])
def test_three_children_levels_that_differ_and_threads(sharing):
    rhm = RHM(v=(9, 8, 6), m=(2, 3, 2), s=(3, 2, 2), L=3)
    grammar = rhm.grammar(seed=0)
    tokens = grammar.sample(60_000, seed=1)
    one = learn(rhm, tokens, sharing=sharing, threads=1)
    two = learn(rhm, tokens.astype(np.int64), sharing=sharing, threads=2)
    for a, b in zip(one.tables, two.tables, strict=True):
        assert np.array_equal(a, b)
    assert [table.shape[0] for table in one.tables] == ([2, 2] if sharing else [4, 2])
    assert one.score(grammar.sample_trees(3000, seed=2).levels)[0].pair_f1 > 0.9


def test_only_the_first_levels():
    rhm = RHM(v=8, m=2, s=2, L=4)
    grammar = rhm.grammar(seed=0)
    tokens = grammar.sample(3000, seed=1)
    all_levels, first = (learn(rhm, tokens, sharing=False, highest_level=k, predictor=False) for k in (3, 1))
    assert np.array_equal(all_levels.tables[0][-2:], first.tables[0])
    assert first.symbols(tokens)[0].shape == (3000, 4)
    with pytest.raises(InputError, match="without a predictor"):
        first.predict(tokens)
    with pytest.raises(InputError, match="hold 2 levels: give all 5"):
        first.score([tokens, tokens])
    assert "without sharing of RHM(v=8, m=2, s=2, L=4): 1 levels grouped from 3000 samples" in repr(first)


def test_few_samples_and_many_tuples(monkeypatch):
    rhm = RHM(v=8, m=2, s=2, L=3)
    grammar = rhm.grammar(seed=0)
    model = learn(rhm, grammar.sample(10, seed=1), sharing=True)
    assert 0 < model.loss(grammar.sample(100, seed=2)) < 4
    monkeypatch.setattr("rhmtheory.learner._grouping._LARGEST_LINKAGE", 4)
    model = learn(rhm, grammar.sample(20_000, seed=1), sharing=True)
    assert model.score(grammar.sample_trees(1000, seed=2).levels)[0].pair_f1 > 0.5


def test_profiles_that_look_like_distances_are_none():
    """Each of eight tuples was seen with all symbols but two: a symmetric matrix with nothing on its diagonal."""
    codes = [5 * a + b for a in range(2) for b in range(4)]
    pair = np.arange(8) // 2
    views = np.zeros((1, 25, 8), np.int64)
    views[0, codes] = pair[:, None] != pair
    table = _grouping._clusters(RHM(v=4, m=2, s=2, L=2), 1, views, "hellinger", views[0].sum(axis=1))
    assert (table[codes].reshape(4, 2) == table[codes].reshape(4, 2)[:, :1]).all()
    assert len(np.unique(table[codes])) == 4


def test_rule_probabilities_of_their_own():
    rhm = RHM(v=8, m=2, s=2, L=2, rule_probabilities=(0.8, 0.2))
    grammar = rhm.grammar(seed=0)
    assert isinstance(grammar, Grammar)
    tokens = grammar.sample(200_000, seed=1)
    hellinger = learn(rhm, tokens, sharing=True, profile="hellinger")
    assert hellinger.score(grammar.sample_trees(2000, seed=2).levels)[0].pair_f1 == 1
    assert hellinger.loss(grammar.sample(50_000, seed=3)) == pytest.approx(grammar.plateaus()[2], abs=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": np.zeros((20, 7), int)}, r"shape \(20, 7\).*d=8"),
        ({"tokens": np.zeros(8, int)}, r"shape \(8,\)"),
        ({"tokens": np.full((20, 8), 8)}, r"hold 8, outside 0\.\.7"),
        ({"tokens": np.full((20, 8), -1)}, r"hold -1"),
        ({"tokens": np.zeros((20, 8))}, r"type float64"),
        ({"tokens": np.zeros((9, 8), int)}, r"9 samples are too few"),
        ({"profile": "cosine"}, r"profile='cosine' is unknown"),
        ({"targets": "tokens"}, r"targets='tokens' is unknown"),
        ({"highest_level": 3}, r"highest_level=3 is too large: it must be at most 2"),
        ({"rhm": RHM(v=8, m=2, s=2, L=1)}, r"L=1 has no hidden level"),
        (
            {"rhm": RHM(v=999, m=2, s=2, L=3)},
            r"v=999 symbols in tuples of s=2 need a table of 1000000 x 999 counts",
        ),
    ],
)
def test_bad_input(change, message):
    arguments = {"rhm": RHM(v=8, m=2, s=2, L=3), "tokens": np.zeros((20, 8), int), "sharing": True, **change}
    with pytest.raises(InputError, match=message):
        learn(**arguments)
