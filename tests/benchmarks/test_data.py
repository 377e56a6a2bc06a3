"""How long counting and clustering take. Run with ``pytest tests/benchmarks --benchmark-only``."""

import numpy as np
import pytest

from rhmtheory import RHM
from rhmtheory.corpus.pairs import count_pairs, last_token_pairs
from rhmtheory.learner.clustering import learn


@pytest.fixture(scope="module")
def long_file(tmp_path_factory):
    """1e8 tokens of 32 symbols on disk, written piece by piece."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.npy"
    rng = np.random.default_rng(0)
    file = np.lib.format.open_memmap(path, "w+", np.uint8, (100_000_000,))
    for start in range(0, len(file), 1_000_000):
        file[start : start + 1_000_000] = rng.integers(32, size=1_000_000, dtype=np.uint8)
    file.flush()
    return path


def test_pair_counts_of_a_file(benchmark, long_file):
    """All distances up to 32, read from disk in pieces."""
    count_pairs(np.zeros(100, np.uint8), 32, distances=[1])  # compiled
    counts = benchmark.pedantic(count_pairs, (long_file, 32), {"distances": range(1, 33)}, rounds=3)
    assert counts.tokens == 100_000_000


def test_tuples_with_the_last_token(benchmark):
    """A million sentences of 64 tokens, each pair of neighbours with the last token."""
    tokens = RHM(v=16, m=4, s=2, L=6).grammar(seed=0).sample(1_000_000, seed=0)
    pairs = [(i, j) for i, j in last_token_pairs(64) if i + 1 < j]
    counts = benchmark.pedantic(
        count_pairs, (tokens, 16), {"pairs": pairs, "tuple_size": 2}, rounds=3, warmup_rounds=1
    )
    assert counts.sequences == 1_000_000


@pytest.mark.parametrize("sharing", [True, False])
def test_clustering_learner(benchmark, sharing):
    """A million samples of (16, 4, 2, 3), predictor included."""
    rhm = RHM(v=16, m=4, s=2, L=3)
    tokens = rhm.grammar(seed=0).sample(1_000_000, seed=0)
    model = benchmark.pedantic(learn, (tokens, rhm), {"sharing": sharing}, rounds=3, warmup_rounds=1)
    assert model.depth == 2
