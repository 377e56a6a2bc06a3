"""The largest and smallest ensembles: finite numbers and no warning, or an error that says what is too large."""

import numpy as np
import pytest

from rhmtheory import ARCHITECTURES, RHM, InputError, predict

FULL = [RHM(v=4096, m=4096, s=2, L=8), RHM(v=2, m=64, s=7, L=64)]
LARGE = [RHM(v, m, s, L=64) for v, m, s in ((2, 1, 2), (4096, 1, 2), (4096, 64, 7), (4096, 16, 2))]


@pytest.mark.parametrize("method", ["finite-size", "published"])
@pytest.mark.parametrize("rhm", LARGE + FULL, ids=str)
def test_correlations_neither_vanish_nor_overflow(rhm, method):
    """Zero where every tuple is grammatical, and nowhere else."""
    C = np.array([rhm.rms_correlation(level, method=method) for level in (1, rhm.L // 2, rhm.L)])
    assert np.isfinite(C).all()
    assert ((C == 0) == (rhm in FULL)).all()
    assert (np.diff(C) <= 0).all()


@pytest.mark.parametrize("finite_size", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("rhm", LARGE + FULL, ids=str)
def test_predictions_up_to_the_largest_number_of_samples(rhm, architecture, finite_size):
    p = predict(rhm, architecture)
    P = p.P.finite_size if finite_size else p.P.published
    assert (P > 0).all()
    assert np.isfinite(P).all() == (rhm not in FULL)
    loss = p.loss(np.array([1.0, 1e3, 1e100, 1e308]), finite_size=finite_size)
    assert np.isfinite(loss).all()
    assert (np.diff(loss) <= 0).all()
    assert (loss >= 0).all()


@pytest.mark.parametrize("L", [6, 7, 10])
def test_sentences_of_one_rule_a_symbol(L):
    """A whole sentence follows from its class: one choice among one, at more nodes than an array has axes."""
    rhm = RHM(v=2, m=1, s=2, L=L)
    grammar = rhm.grammar(seed=0)
    tokens, *_, classes = grammar.sample_trees(20, seed=1).levels
    assert len(np.unique(tokens, axis=0)) == len(np.unique(classes)) == 2
    assert np.array_equal(tokens, grammar.sample(20, seed=1))
    for known, parsed in zip(grammar.sample_trees(20, seed=1).levels, grammar.parse(tokens).levels, strict=True):
        assert np.array_equal(known, parsed)


@pytest.mark.parametrize("m", [1, 2])
@pytest.mark.parametrize("L", [40, 64])
def test_sentences_too_long_are_refused_before_anything_is_made(L, m):
    grammar = RHM(v=4, m=m, s=2, L=L).grammar(seed=0)
    tokens = r"1\.\d+e\+1[29] tokens"
    for draw in (
        lambda: grammar.sample(1),
        lambda: next(grammar.stream(1)),
        lambda: grammar.sample_trees(1).levels,
    ):
        with pytest.raises(InputError, match=tokens + r": at most 2\.68e\+08 can be drawn, so lower L"):
            draw()
    for entropies in (grammar.next_token_entropies, grammar.estimate_next_token_entropies):
        with pytest.raises(
            InputError, match=tokens + r".* plateaus\(\) gives those of the last token at any depth"
        ):
            entropies()
    assert np.isfinite(grammar.covariance(0, 2**L - 1)).all()
