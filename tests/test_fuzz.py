"""Spoilt inputs: some of the fuzzer's cases, and one by one those that once went wrong."""

import os
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch")

from trust import cases, fuzz, inputs, known

CASES = 120


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "valid"
    here = os.getcwd()
    folder.mkdir()
    os.chdir(folder)
    inputs.make(folder)
    os.chdir(here)
    return folder


@pytest.fixture(scope="module")
def verdicts(valid):
    """All in one process, which may take so much memory and no more."""
    made = [partial(known.make, i) for i in range(len(known.KNOWN))]
    return fuzz.fuzz([*made, *fuzz.numbered(CASES, seed=20)], valid=valid)


@pytest.mark.parametrize("i", range(len(known.KNOWN)), ids=lambda i: known.KNOWN[i][0].shown[:60])
def test_what_once_went_wrong(i, verdicts):
    """The command ends by itself, with an error that names the way out, before memory is taken."""
    found = verdicts[i]
    assert found.faults == []
    assert not found.interrupted
    assert not found.out_of_memory
    assert known.KNOWN[i][1] in found.said


def test_a_few_hundred_cases(verdicts):
    assert len(verdicts) == len(known.KNOWN) + CASES
    assert [v for v in verdicts if v.faults] == []


@pytest.mark.parametrize("tiny", [1e-100, 1e-200, 1e-300])
def test_observations_of_any_probability_have_posteriors(tiny):
    """Products of weights leave the range of floats, and so may the logarithm's exponent: no NaN comes out."""
    rng = np.random.default_rng(0)
    for seed in range(5):
        rhm = inputs.SMALL
        grammar = cases.weighted(rhm, tiny, seed, rng)
        tokens = rhm.grammar(seed).sample(20, seed)
        found = grammar.posteriors(tokens, mask=np.arange(8) >= 4)[:, 4:]
        assert np.isfinite(found).all()
        assert np.allclose(found.sum(axis=-1), 1)
