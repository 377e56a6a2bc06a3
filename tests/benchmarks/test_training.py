"""Training rates: forward, backward and update, in samples a second and as a part of the matrix-product rate.

Run with ``pytest tests/benchmarks --benchmark-only``; one thread, as in the processes of a sweep, or more with
``RHM_THREADS``.
"""

import os
import time

import pytest

torch = pytest.importorskip("torch")

from rhmtheory import RHM  # noqa: E402
from rhmvalidation.networks import build  # noqa: E402
from rhmvalidation.optimisers import ReplicaOptimiser  # noqa: E402
from rhmvalidation.training import cross_entropy  # noqa: E402

BATCH = 128
NETWORKS = {
    "cnn 256": ("cnn", {"width": 256}),
    "cnn 512": ("cnn", {"width": 512}),
    "lcn 256": ("lcn", {"width": 256}),
    "attention 128, 4 heads": ("attention", {"width": 128, "heads": 4}),
    "attention 256, 16 heads": ("attention", {"width": 256, "heads": 16}),
    "decoder 128, 4 heads": ("decoder", {"width": 128, "heads": 4}),
}


@pytest.fixture(scope="module", autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("RHM_THREADS", "1")))
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def product_rate(threads):
    """Multiplications a second of a large matrix product: what the machine can do."""
    n = 1024
    a = torch.randn(n, n)
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return n**3 / best


def one_step(name, replicas):
    kind, options = NETWORKS[name]
    rhm = RHM(v=16, m=4, s=2, L=4)
    network = build(kind, rhm, replicas, **options)
    network.initialise([torch.Generator().manual_seed(r) for r in range(replicas)])
    rates = torch.full((replicas,), 1e-3 * network.rate_scale())
    optimiser = ReplicaOptimiser(network.parameters(), rates, adam=kind in ("attention", "decoder"))
    # sentences of grammars repeat their parts, which the networks make use of: random tokens would not
    tokens = torch.stack([torch.from_numpy(rhm.grammar(r).sample(BATCH, seed=r)) for r in range(replicas)])

    def step():
        cross_entropy(network(tokens)[:, :, None], tokens[..., -1:]).sum().backward()
        optimiser.step()

    return network, step


@pytest.mark.parametrize("replicas", [1, 8])
@pytest.mark.parametrize("name", NETWORKS)
def test_training_rate(benchmark, product_rate, name, replicas):
    network, step = one_step(name, replicas)
    step()
    benchmark.pedantic(step, rounds=10, iterations=1, warmup_rounds=2)
    rate = replicas * BATCH / benchmark.stats.stats.median
    benchmark.extra_info["samples a second"] = round(rate)
    # counted as if nothing were saved, so that it may exceed one
    benchmark.extra_info["part of the product rate"] = round(3 * network.multiplications() * rate / product_rate, 2)
