"""Ideal losses of the root class, of hidden tokens and behind noise, against lists of all sentences."""

from itertools import product

import naive
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import entr

from rhmtheory import RHM, InputError

TINY = [RHM(v=3, m=2, s=2, L=2, n=2), RHM(v=(3, 4), m=(2, 3), s=2, L=2, n=3, zipf=0.7)]


def sentences(grammar):
    """All sentences with their classes and probabilities."""
    cases = naive.derivations(*naive.tables_of(grammar))
    return [(tree[0][0], tuple(tree[-1]), p) for tree, p in cases]


def entropy(groups):
    """Mean entropy of x given y from {y: {x: p}}."""
    out = 0.0
    for law in groups.values():
        p = np.array(list(law.values()))
        out += entr(p).sum() - entr(p.sum())
    return out


@pytest.mark.parametrize("rhm", TINY, ids=repr)
def test_the_class_given_the_last_tokens(rhm):
    grammar = rhm.grammar(seed=3)
    expected = []
    for tokens in [0] + [rhm.span(k) for k in range(1, rhm.L + 1)]:
        groups = {}
        for root, sentence, p in sentences(grammar):
            law = groups.setdefault(sentence[len(sentence) - tokens :], {})
            law[root] = law.get(root, 0) + p
        expected.append(entropy(groups))
    np.testing.assert_allclose(grammar.class_plateaus(), expected, atol=1e-12)
    assert expected[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("rhm", TINY, ids=repr)
def test_hidden_tokens_given_the_others(rhm):
    grammar = rhm.grammar(seed=3)
    for level in range(rhm.L + 1):
        groups = {}
        for _, sentence, p in sentences(grammar):
            first = 1 // rhm.span(level) * rhm.span(level)
            seen = tuple(x for i, x in enumerate(sentence) if first <= i < first + rhm.span(level) and i != 1)
            law = groups.setdefault(seen, {})
            law[sentence[1]] = law.get(sentence[1], 0) + p
        found = grammar.masked_plateaus([1], samples=4000)
        assert abs(found.mean[level] - entropy(groups)) < 4 * found.standard_error[level] + 1e-12


def test_a_rate_is_the_mean_over_what_it_hides():
    grammar = TINY[0].grammar(seed=1)
    cases, rate = sentences(grammar), 0.4
    tokens = np.array([sentence for _, sentence, _ in cases])
    weights = np.array([p for *_, p in cases])
    total = 0.0
    for hidden in product([False, True], repeat=4):
        mask = np.array(hidden)
        p = grammar.posteriors(tokens, mask=mask)
        chance = rate ** mask.sum() * (1 - rate) ** (~mask).sum()
        total += chance * (weights @ entr(p).sum(axis=-1)[:, mask].sum(axis=1))
    found = grammar.masked_plateaus(rate, samples=20_000)
    assert abs(found.mean[-1] - total / (4 * rate)) < 4 * found.standard_error[-1]


@pytest.mark.parametrize("rhm", TINY, ids=repr)
@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_denoiser_integrates_over_the_noise(rhm, level):
    grammar, v = rhm.grammar(seed=2), rhm.n_symbols(0)
    seen, cases, span = [0, 2, 1, 1], sentences(rhm.grammar(seed=2)), rhm.span(level)
    found = grammar.ideal_denoiser([seen], context_level=level)[0]
    for i, a in product(range(4), range(v)):
        inside = range(i // span * span, i // span * span + span)

        def joint(eps, x=None, i=i, inside=inside):
            keep = [
                p * np.prod([(1 - eps) * (sentence[j] == seen[j]) + eps / v for j in inside])
                for _, sentence, p in cases
                if x is None or sentence[i] == x
            ]
            return sum(keep)

        expected = quad(joint, 0, 1, args=(a,))[0] / quad(joint, 0, 1)[0]
        assert found[i, a] == pytest.approx(expected, abs=1e-9)


def test_denoising_falls_with_context_to_the_loss_of_the_ideal_denoiser():
    grammar = RHM(v=4, m=2, s=2, L=3).grammar(seed=0)
    found = grammar.denoising_plateaus(samples=2000)
    assert (np.diff(found.mean) < 0).all()
    rng, tokens = np.random.default_rng(5), grammar.sample(2000, seed=8)
    seen = np.where(rng.random(tokens.shape) < rng.random((2000, 1)), rng.integers(4, size=tokens.shape), tokens)
    p = np.take_along_axis(grammar.ideal_denoiser(seen), tokens[..., None].astype(int), axis=-1)
    losses = -np.log(p[..., 0]).mean(axis=1)
    error = losses.std() / np.sqrt(2000)
    assert abs(losses.mean() - found.mean[-1]) < 4 * np.hypot(error, found.standard_error[-1])


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        (1.0, "is no rate between 0 and 1"),
        ([], "hides no token or every one"),
        (range(4), "hides no token or every one"),
        ([4], "hidden=4"),
    ],
)
def test_masks_that_leave_nothing_are_refused(hidden, message):
    with pytest.raises(InputError, match=message):
        TINY[0].grammar(seed=0).masked_plateaus(hidden)
