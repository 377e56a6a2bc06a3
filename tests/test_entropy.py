"""Entropies of one grammar: against enumeration, in closed form, and by sampled contexts."""

from math import log

import naive
import numpy as np
import pytest
import tiny as tiny_grammars
from hypothesis import given
from scipy import stats

from rhmtheory import RHM, InputError, zipf
from rhmtheory.exact import entropy
from rhmtheory.support.draws import draw_outcomes


def spans(rhm):
    return [rhm.span(k) for k in range(rhm.L + 1)]


# --- exactly -------------------------------------------------------------------------------------------------


def test_plateaus_match_enumeration(tiny):
    np.testing.assert_allclose(
        tiny.grammar.plateaus(), naive.plateaus(tiny.trees, spans(tiny.shape)), rtol=0, atol=1e-10
    )


def test_next_token_entropies_match_enumeration(tiny):
    np.testing.assert_allclose(
        tiny.grammar.next_token_entropies(), naive.next_token_entropies(tiny.trees), rtol=0, atol=1e-10
    )


def test_sequence_entropy_is_that_of_the_sentences(tiny):
    sentences = naive.distribution(tiny.trees, lambda levels: levels[-1])
    assert entropy.sequence_entropy(tiny.grammar) == pytest.approx(naive.entropy(sentences), abs=1e-10)


@given(tiny_grammars.grammars())
def test_any_grammar_matches_enumeration(grammar):
    trees = naive.derivations(*naive.tables_of(grammar))
    np.testing.assert_allclose(grammar.plateaus(), naive.plateaus(trees, spans(grammar.shape)), rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        grammar.next_token_entropies(), naive.next_token_entropies(trees), rtol=0, atol=1e-10
    )


def filtered(grammar):
    """The plain form: beliefs about every token, kept and joined."""
    rhm = grammar.shape
    views = {x: [entropy.see(grammar, x, p) for p in range(rhm.n_children(x))] for x in range(1, rhm.L + 1)}
    ends = entropy._leaves(rhm.L, entropy._certain(grammar.prior), entropy._exact(grammar, views))
    return [entropy._mean(end) for end in ends]


@pytest.mark.parametrize(
    "rhm",
    [
        RHM(32, 8, 2, 4),
        RHM(8, 8, 3, 3),
        RHM(6, 3, 4, 2),
        RHM(5, 2, 2, 1),
        RHM(v=(9, 4, 5), m=(3, 2, 2), s=(2, 3, 2), L=3, n=7),
        RHM(8, 3, 2, 5, rule_probabilities=zipf(3, 0.7)),
    ],
    ids=repr,
)
def test_the_chain_rule_and_the_filter_agree(monkeypatch, rhm):
    """Last children by difference, and two levels at once in small pieces, against every token by its beliefs."""
    monkeypatch.setattr(entropy, "_LARGEST_WEIGHTS", 1000)
    grammar = rhm.grammar(seed=3)
    np.testing.assert_allclose(grammar.next_token_entropies(), filtered(grammar), rtol=0, atol=1e-11)


@pytest.mark.parametrize("parameters", [(8, 2, 2, 6), (32, 8, 2, 4), (8, 8, 3, 3), (6, 3, 4, 2)])
def test_chain_rule_in_closed_form(parameters):
    """sum_n H_n = ln n + (number of hidden nodes) ln m, for equally likely rules and classes."""
    rhm = RHM(*parameters)
    grammar = rhm.grammar(seed=3)
    hidden = sum(rhm.width(level) for level in range(1, rhm.L + 1))
    total = log(rhm.v) + hidden * log(rhm.m)
    assert entropy.sequence_entropy(grammar) == pytest.approx(total, rel=1e-12)
    H = grammar.next_token_entropies()
    assert H.shape == (rhm.d,)
    assert H.sum() == pytest.approx(total, rel=1e-10)
    assert H[-1] == pytest.approx(grammar.plateaus()[-1], abs=1e-11)
    assert H[0] == pytest.approx(entropy.shannon(grammar.marginal(0, 0)), abs=1e-11)


def test_plateaus_of_a_deep_tree():
    H = RHM(v=16, m=4, s=2, L=30).grammar(seed=0).plateaus()
    assert (np.diff(H) < 1e-10).all()
    assert H[-1] == pytest.approx(H[-2], abs=1e-8)
    assert H[-1] > 0.05


def test_distinct_beliefs_stay_apart():
    """Beliefs of few symbols are round numbers; the keys that tell them apart must not be."""
    v = 5000
    grammar = RHM(v=v, m=1, s=2, L=1).grammar(seed=0)
    states = entropy._observe(grammar, 1, entropy._certain(grammar.prior), entropy.see(grammar, 1, 1))
    rules = grammar.rules(1)[:, 0]
    compatible = {tuple(sorted(rules[rules[:, 0] == left, 1].tolist())) for left in np.unique(rules[:, 0])}
    assert len(states.beliefs) == len(compatible)
    assert states.probability.sum() == pytest.approx(1)


def test_many_tuples_need_no_table_of_them():
    """v**s = 1e9 tuples, 2000 rules: what is held follows the rules."""
    grammar = RHM(v=1000, m=2, s=3, L=2).grammar(seed=0)
    H = grammar.next_token_entropies()
    assert H.sum() == pytest.approx(entropy.sequence_entropy(grammar), rel=1e-10)


# --- where it does not fit, and by sampling ------------------------------------------------------------------


@pytest.mark.parametrize("function", [entropy.plateaus, entropy.next_token_entropies])
def test_too_many_beliefs_are_refused(monkeypatch, function):
    monkeypatch.setattr(entropy, "_LARGEST_STATES", 1 << 13)
    with pytest.raises(InputError, match=r"more than 512 distinct beliefs about a node of .*estimate_plateaus"):
        function(RHM(v=16, m=12, s=2, L=6).grammar(seed=0))


@pytest.mark.parametrize("function", ["plateaus", "next_token_entropies"])
def test_estimates_agree_with_exact_values(tiny, function):
    exact = getattr(tiny.grammar, function)()
    estimate = getattr(tiny.grammar, f"estimate_{function}")(samples=4000, seed=1)
    assert estimate.samples == 4000
    assert estimate.mean.shape == estimate.standard_error.shape == exact.shape
    # where all contexts leave the same entropy there is no error to divide by
    certain = estimate.standard_error < 1e-12
    np.testing.assert_allclose(estimate.mean[certain], exact[certain], atol=1e-10)
    z = (estimate.mean - exact)[~certain] / estimate.standard_error[~certain]
    assert (np.abs(z) < 4.5).all()


def test_standard_error_is_the_spread_over_seeds():
    grammar = RHM(v=8, m=3, s=2, L=3).grammar(seed=0)
    estimates = [grammar.estimate_plateaus(samples=200, seed=seed) for seed in range(200)]
    spread = np.std([e.mean[1:] for e in estimates], axis=0, ddof=1)
    stated = np.sqrt(np.mean([e.standard_error[1:] ** 2 for e in estimates], axis=0))
    np.testing.assert_allclose(spread / stated, 1, atol=0.2)


def test_batches_join_to_one_estimate(monkeypatch):
    grammar = RHM(v=8, m=3, s=2, L=3).grammar(seed=0)
    monkeypatch.setattr(entropy, "_LARGEST_BATCH", 8 * 700)
    estimate = grammar.estimate_next_token_entropies(samples=5000, seed=2)
    z = (estimate.mean - grammar.next_token_entropies())[1:] / estimate.standard_error[1:]
    assert (np.abs(z) < 4.5).all()
    monkeypatch.undo()
    at_once = grammar.estimate_next_token_entropies(samples=5000, seed=2)
    np.testing.assert_allclose(at_once.standard_error, estimate.standard_error, rtol=0.1, atol=1e-15)


@pytest.mark.parametrize(
    ("rhm", "widest"), [(RHM(8, 3, 2, 3), 8), (RHM(4, 8, 3, 2), 8), (RHM(8, 2, 2, 2, n=16), 16)]
)
def test_mean_and_error_are_those_of_all_contexts_whatever_the_batches(monkeypatch, rhm, widest):
    monkeypatch.setattr(entropy, "_LARGEST_BATCH", 300 * widest)
    values = np.random.default_rng(0).exponential(size=(2, 1000))
    sizes = []

    def entropies(batch, rng):
        first = sum(sizes)
        sizes.append(batch)
        yield from values[:, first : first + batch]

    estimate = entropy._estimate(rhm.grammar(0), entropies, 2, 1000, 0)
    assert sizes == [300, 300, 300, 100]
    np.testing.assert_allclose(estimate.mean, values.mean(axis=1))
    np.testing.assert_allclose(estimate.standard_error, values.std(axis=1, ddof=1) / np.sqrt(1000))
    assert estimate.samples == 1000


@pytest.mark.parametrize("function", [entropy.estimate_plateaus, entropy.estimate_next_token_entropies])
def test_ten_thousand_contexts_by_seed_zero_unless_told_otherwise(function):
    grammar = RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    estimate = function(grammar)
    assert estimate.samples == 10_000
    np.testing.assert_array_equal(estimate.mean, function(grammar, samples=10_000, seed=0).mean)
    assert (estimate.mean != function(grammar, seed=1).mean).any()


def test_outcomes_are_drawn_by_their_part_of_the_sum():
    class Fixed:
        def random(self, shape):
            return np.reshape([0.0, 0.2499, 0.2501, 0.9999], shape)

    p = np.tile([0.0, 0.5, 0.0, 1.5, 0.0], (4, 1))
    assert draw_outcomes(p, Fixed()).tolist() == [1, 1, 3, 3]


def test_estimates_reach_what_cannot_be_held():
    """d = 2**30 tokens of a dense grammar: only spines are drawn."""
    grammar = RHM(v=16, m=12, s=2, L=30).grammar(seed=0)
    estimate = grammar.estimate_plateaus(samples=500, seed=0)
    assert (estimate.mean[1:] < estimate.mean[0] + 4 * estimate.standard_error[1:]).all()
    assert np.isfinite(estimate.standard_error).all()


def test_estimates_are_no_arrays_and_reproducible():
    grammar = RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    first, second = (grammar.estimate_plateaus(samples=50, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.mean, second.mean)
    assert first == second
    assert first != grammar.estimate_plateaus(samples=50, seed=6)
    one = first[1]
    half = stats.t.ppf(0.975, 49) * first.standard_error[1]
    assert (one.best, one.low, one.high) == pytest.approx(
        (first.mean[1], first.mean[1] - half, first.mean[1] + half)
    )
    assert one.origin == "95% Student over 50 contexts"
    assert not isinstance(first, np.ndarray)
    with pytest.raises(TypeError):
        np.log(first)
    with pytest.raises(TypeError):
        len(first)


@pytest.mark.parametrize("function", [entropy.estimate_plateaus, entropy.estimate_next_token_entropies])
def test_bad_options(function):
    grammar = RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    with pytest.raises(InputError, match="samples=1 is too small"):
        function(grammar, samples=1)
    with pytest.raises(InputError, match=r"seed=1\.5 is not an integer"):
        function(grammar, seed=1.5)


def test_a_table_that_is_no_power_of_two_fills_up(monkeypatch):
    """The most beliefs that fit are rarely a power of two; the search for a free place has to end all the same."""
    grammar = RHM(v=16, m=8, s=2, L=5).grammar(seed=0)
    monkeypatch.setattr(entropy, "_LARGEST_STATES", 16 * 333)
    with pytest.raises(InputError, match="need more than 333 distinct beliefs"):
        grammar.plateaus()


def test_many_symbols_are_refused_at_once():
    grammar = RHM(v=100_000, m=2, s=2, L=2).grammar()
    message = r"need more than 671 distinct beliefs .*\(511 MiB; f=2e-05 there\): use estimate_plateaus"
    with pytest.raises(InputError, match=message):
        grammar.plateaus()
    estimate = grammar.estimate_plateaus(samples=100)
    assert np.isfinite(estimate.mean).all()


@pytest.mark.parametrize("estimate", [entropy.estimate_plateaus, entropy.estimate_next_token_entropies])
def test_more_samples_than_anyone_waits_for_are_refused(estimate):
    grammar = RHM(8, 2, 2, 3).grammar(0)
    with pytest.raises(InputError, match=r"samples=10{19} of .* take longer than anyone waits: at most \d"):
        estimate(grammar, samples=10**19)


def test_a_floor_of_zero_is_no_less():
    """Of a deterministic grammar rounding would leave -2e-16."""
    for seed in range(5):
        grammar = RHM(v=7, m=1, s=2, L=4, n=3).grammar(seed)
        assert grammar.plateaus().min() >= 0
        assert grammar.next_token_entropies().min() >= -1e-13


def test_plateaus_stop_where_no_level_can_tell_more(monkeypatch):
    """Beyond, they are those of all levels: given its level-k symbol, a token knows what the rest could tell."""
    grammar = RHM(v=16, m=4, s=2, L=22).grammar(seed=0)
    stopped = grammar.plateaus()
    monkeypatch.setattr(entropy, "_NEGLIGIBLE", -1.0)
    steps, observe = [], entropy._observe
    monkeypatch.setattr(entropy, "_observe", lambda *a: steps.append(a[1]) or observe(*a))
    np.testing.assert_allclose(grammar.plateaus(), stopped, rtol=0, atol=1e-11)
    everything = len(steps)
    monkeypatch.setattr(entropy, "_NEGLIGIBLE", 1e-6)
    np.testing.assert_allclose(grammar.plateaus(), stopped, rtol=0, atol=1e-6)
    assert len(steps) - everything < everything / 2


def test_entropies_that_take_hours_are_refused(monkeypatch):
    monkeypatch.setattr(entropy, "_MOST_WORK", 1 << 20)
    message = r"the entropies of all 256 tokens of .* take more than 1e\+06 operations: use estimate_next_token"
    with pytest.raises(InputError, match=message):
        RHM(v=16, m=4, s=2, L=8).grammar(0).next_token_entropies()
