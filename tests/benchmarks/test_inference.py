"""How long posteriors and exact entropies take: ``pytest tests/benchmarks --benchmark-only``."""

import statistics

import numpy as np
import pytest
from benchmarks.turns import at_best_on_two_cores

from rhmtheory import RHM


@pytest.mark.parametrize("L", [4, 8])
def test_posterior_of_the_last_token(benchmark, L):
    """Contexts per second at (16, 4, 2, L), on all cores."""
    grammar = RHM(v=16, m=4, s=2, L=L).grammar(seed=0)
    tokens = grammar.sample(16_000_000 // grammar.shape.d, seed=1)
    benchmark.pedantic(grammar.posterior, (tokens,), rounds=25, warmup_rounds=1)
    if benchmark.stats is not None:
        benchmark.extra_info["contexts per second"] = len(tokens) / benchmark.stats.stats.median
        least = statistics.median(at_best_on_two_cores(lambda: grammar.posterior(tokens)) for _ in range(25))
        benchmark.extra_info["at best on two cores"] = len(tokens) / least


@pytest.fixture(scope="module")
def grammar():
    return RHM(v=32, m=8, s=2, L=4).grammar(seed=0)


def test_posterior_of_the_last_token_of_a_million_contexts(benchmark, grammar):
    tokens = grammar.sample(10**6, seed=1)
    grammar.posterior(tokens[:10])
    benchmark.pedantic(grammar.posterior, (tokens,), rounds=3)


def test_posterior_of_three_tokens_in_ten_hidden(benchmark, grammar):
    tokens = grammar.sample(10**5, seed=1)
    mask = np.random.default_rng(0).random(tokens.shape) < 0.3
    grammar.posteriors(tokens[:10], mask=mask[:10])
    benchmark.pedantic(grammar.posteriors, (tokens,), {"mask": mask}, rounds=3)


def test_draws_from_the_posterior(benchmark, grammar):
    tokens = grammar.sample(10**5, seed=1)
    mask = np.arange(16) >= 8
    grammar.sample_posterior(tokens[:10], mask=mask)
    benchmark.pedantic(grammar.sample_posterior, (tokens,), {"mask": mask}, rounds=3)


def test_posterior_of_a_sentence_of_a_million_tokens(benchmark):
    grammar = RHM(v=16, m=4, s=2, L=20).grammar(seed=0)
    tokens = grammar.sample(1, seed=1)[0]
    benchmark.pedantic(grammar.posterior, (tokens,), rounds=3, warmup_rounds=1)


def test_plateaus_of_ten_levels(benchmark):
    grammar = RHM(v=32, m=8, s=2, L=10).grammar(seed=0)
    benchmark.pedantic(grammar.plateaus, rounds=3, warmup_rounds=1)


def test_entropies_of_all_tokens(benchmark):
    grammar = RHM(v=32, m=8, s=2, L=8).grammar(seed=0)
    benchmark.pedantic(grammar.next_token_entropies, rounds=3)
    benchmark.extra_info["seconds at best on two cores"] = at_best_on_two_cores(grammar.next_token_entropies)


def test_estimated_entropies_of_all_tokens(benchmark):
    grammar = RHM(v=32, m=8, s=2, L=7).grammar(seed=0)
    options = {"samples": 10_000, "seed": 0}
    benchmark.pedantic(grammar.estimate_next_token_entropies, (), options, rounds=3, warmup_rounds=1)
