"""How long the work behind a figure takes. Run with ``pytest tests/benchmarks --benchmark-only``."""

import shutil
import subprocess
import time
from statistics import median

import numpy as np
import pytest
from benchmarks.turns import at_best_on_two_cores

from rhmtheory import RHM


def write_rate(size=1 << 28):
    """Bytes per second of processor time of filling fresh memory, more than caches hold."""
    times = []
    for _ in range(5):
        start = time.process_time()
        np.full(size, 1, np.uint8)
        times.append(time.process_time() - start)
    return size / median(times)


@pytest.mark.parametrize("rhm", [RHM(v=32, m=8, s=2, L=3), RHM(v=16, m=4, s=2, L=8)], ids=repr)
def test_sampling(benchmark, rhm):
    """Tokens a second, beside the bytes a second of filling memory."""
    g = rhm.grammar(seed=0)
    n = 8_000_000 // rhm.d
    g.sample(n, seed=0)  # compiled
    tokens = benchmark(g.sample, n, seed=1)
    assert tokens.shape == (n, rhm.d)
    if benchmark.stats is not None:
        benchmark.extra_info["tokens per second"] = tokens.size / benchmark.stats.stats.median
        least = median(at_best_on_two_cores(lambda: g.sample(n, seed=1)) for _ in range(25))
        benchmark.extra_info["at best on two cores"] = tokens.size / least
        benchmark.extra_info["bytes per second to fresh memory"] = write_rate()


def test_prediction_from_a_cold_start(benchmark):
    """A new process each time: interpreter, imports, answer."""
    command = shutil.which("rhmtheory")
    if command is None:
        pytest.skip("the command rhmtheory is not on the path")
    arguments = [command, "predict", "--v", "32", "--m", "8", "--s", "2", "--L", "4"]
    run = benchmark.pedantic(
        subprocess.run,
        (arguments,),
        {"capture_output": True, "text": True, "check": True},
        rounds=5,
        warmup_rounds=1,
    )
    assert run.stdout


def test_covariance_of_a_far_pair(benchmark):
    """A million tokens apart; the matrices of the grammar are at hand after the first call."""
    g = RHM(v=64, m=8, s=2, L=20).grammar(seed=0)
    g.covariance(0, g.shape.d - 1)
    C = benchmark(g.covariance, 0, g.shape.d - 1)
    assert C.shape == (64, 64)
    assert np.abs(C.sum(axis=0)).max() < 1e-12


def test_correlation_function(benchmark):
    """All 1024 distances."""
    g = RHM(v=32, m=8, s=2, L=10).grammar(seed=0)
    C = benchmark(g.correlation_function)
    assert C.shape == (g.shape.d,)
    benchmark.extra_info["distances"] = g.shape.d


def test_all_exact_second_moments_of_a_deep_ensemble(benchmark):
    """Every LCA level at L = 30, as floats, after first use."""
    rhm = RHM(v=32, m=8, s=2, L=30)

    def every_level():
        return [rhm.rms_correlation(level) for level in range(1, 31)]

    every_level()
    assert len(benchmark(every_level)) == 30
