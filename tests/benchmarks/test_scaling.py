"""How the cost of the code grows with L, v, m and P: the points behind the scaling plots of the documentation."""

import numpy as np
import pytest

from rhmtheory import RHM, predict
from rhmtheory.learner.clustering import learn

BASE = {"v": 16, "m": 4, "s": 2, "L": 4}


def measure(benchmark, name, against, value, call):
    """Time a call, and leave a note of the curve that the point belongs to."""
    benchmark.extra_info.update({"curve": name, "against": against, "value": value})
    return benchmark.pedantic(call, rounds=5, warmup_rounds=1)


def points(**values):
    return [pytest.param(against, x, id=f"{against}={x}") for against, xs in values.items() for x in xs]


@pytest.mark.parametrize(("against", "value"), points(L=[2, 4, 6, 8, 10], v=[8, 16, 32, 64], m=[2, 4, 8]))
def test_sampling(benchmark, against, value):
    """20000 sentences."""
    grammar = RHM(**BASE | {against: value}).grammar(seed=0)
    tokens = measure(benchmark, "sample 20000 sentences", against, value, lambda: grammar.sample(20_000))
    assert len(tokens) == 20_000


@pytest.mark.parametrize(("against", "value"), points(L=[2, 4, 6, 8], v=[8, 16, 32, 64], m=[2, 4, 8]))
def test_last_token(benchmark, against, value):
    """20000 contexts."""
    grammar = RHM(**BASE | {against: value}).grammar(seed=0)
    tokens = grammar.sample(20_000)
    name = "posterior of the last token, 20000 contexts"
    p = measure(benchmark, name, against, value, lambda: grammar.posterior(tokens))
    assert np.allclose(p.sum(axis=1), 1)


@pytest.mark.parametrize(("against", "value"), points(L=[4, 8, 16], v=[8, 16, 32], m=[2, 4, 8]))
def test_plateaus(benchmark, against, value):
    grammar = RHM(**BASE | {against: value}).grammar(seed=0)
    H = measure(benchmark, "plateaus of one grammar", against, value, grammar.plateaus)
    assert len(H) == grammar.shape.L + 1


@pytest.mark.parametrize(("against", "value"), points(L=[3, 4, 5, 6, 7], v=[8, 16, 32], m=[2, 3, 4]))
def test_entropies(benchmark, against, value):
    grammar = RHM(**BASE | {against: value}).grammar(seed=0)
    H = measure(benchmark, "entropies of all tokens", against, value, grammar.next_token_entropies)
    assert len(H) == grammar.shape.d


@pytest.mark.parametrize(("against", "value"), points(L=[4, 8, 16, 32], v=[16, 64, 256, 1024], m=[2, 4, 8]))
def test_prediction(benchmark, against, value):
    rhm = RHM(**BASE | {against: value})
    curve = measure(benchmark, "prediction for one architecture", against, value, lambda: predict(rhm, "cnn"))
    assert len(curve.plateaus) == rhm.L + 1


@pytest.mark.parametrize("value", [10_000, 100_000, 1_000_000])
def test_learner(benchmark, value):
    rhm = RHM(**BASE | {"L": 3})
    tokens = rhm.grammar(seed=0).sample(value)
    model = measure(benchmark, "clustering learner", "P", value, lambda: learn(rhm, tokens, sharing=True))
    assert model.depth >= 0
