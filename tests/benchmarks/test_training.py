"""Steps of training, forward, backward and update, on one thread unless said.

Run with ``pytest tests/benchmarks --benchmark-only``. Against the plain published form, by number of replicas and
threads, and as a part of the matrix-product rate."""

import time

import pytest

torch = pytest.importorskip("torch")

from benchmarks.turns import in_turns, quartiles

from rhmtheory import RHM
from rhmvalidation.networks.custom import AdaptedNetwork
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.training.examples import cross_entropy
from rhmvalidation.training.optimisers import ReplicaOptimiser

BATCH, TEST = 128, 1024
LARGE = RHM(v=16, m=4, s=2, L=4)
SMALL = RHM(v=16, m=4, s=2, L=3)
NETWORKS = {
    "cnn 256": ("cnn", LARGE, {"width": 256}),
    "cnn 512": ("cnn", LARGE, {"width": 512}),
    "lcn 256": ("lcn", LARGE, {"width": 256}),
    "attention 128, 4 heads": ("attention", LARGE, {"width": 128, "heads": 4}),
    "attention 256, 16 heads": ("attention", LARGE, {"width": 256, "heads": 16}),
    "decoder 128, 4 heads": ("decoder", LARGE, {"width": 128, "heads": 4}),
}
PRESETS = {
    "cnn 128, L = 3": ("cnn", SMALL, {"width": 128}),
    "lcn 128, L = 3": ("lcn", SMALL, {"width": 128}),
    "fcn 128, L = 3": ("fcn", SMALL, {"width": 128}),
    "cnn 256, L = 4": ("cnn", LARGE, {"width": 256}),
    "cnn 512, L = 4": ("cnn", LARGE, {"width": 512}),
    "attention 128, 4 heads, L = 3": ("attention", SMALL, {"width": 128, "heads": 4}),
    "decoder 128, 4 heads, L = 3": ("decoder", SMALL, {"width": 128, "heads": 4}),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sentences(rhm, replicas, n):
    """Of grammars: they repeat their parts, which the networks make use of; random tokens would not."""
    return torch.stack([torch.from_numpy(rhm.grammar(r).sample(n, seed=r)) for r in range(replicas)])


def make(kind, rhm, options, replicas=1):
    network = NetworkSpec(kind, options).build(rhm, replicas)
    network.initialise([torch.Generator().manual_seed(r) for r in range(replicas)])
    return network


def plain_of(network, kind, rhm, options):
    module = NetworkSpec(kind, options).module(rhm)
    module.load_state_dict(network.weights())
    return module


def step_of(network, rhm, replicas, threads=1, adam=False):
    rates = torch.full((replicas,), 1e-6 * network.rate_scale())
    optimiser = ReplicaOptimiser(network.parameters(), rates, adam=adam)
    tokens = sentences(rhm, replicas, BATCH)

    def step():
        torch.set_num_threads(threads)
        cross_entropy(network(tokens)[:, :, None], tokens[..., -1:]).sum().backward()
        optimiser.step()
        torch.set_num_threads(1)

    return step


def plain_step_of(plain, rhm):
    optimiser, (tokens,) = torch.optim.SGD(plain.parameters(), 1e-6), sentences(rhm, 1, BATCH)

    def step():
        optimiser.zero_grad()
        logits = plain(tokens)
        logits = logits[:, -1] if logits.dim() == 3 else logits
        torch.nn.functional.cross_entropy(logits, tokens[:, -1].long()).backward()
        optimiser.step()

    return step


def without_gradients(call):
    def evaluate():
        with torch.no_grad():
            call()

    return evaluate


@pytest.mark.parametrize("name", NETWORKS)
def test_against_the_plain_published_form(benchmark, name):
    """Ratios of processor times, step and evaluation, both forms in turns."""
    kind, rhm, options = NETWORKS[name]
    network = make(kind, rhm, options)
    plain, test = plain_of(network, kind, rhm, options), sentences(rhm, 1, TEST)
    calls = {
        "step": step_of(network, rhm, 1),
        "plain step": plain_step_of(plain, rhm),
        "evaluation": without_gradients(lambda: network(test)),
        "plain evaluation": without_gradients(lambda: plain(test[0])),
    }
    times = benchmark.pedantic(in_turns, (calls, 11), rounds=1)
    ratios = {what: quartiles(times["plain " + what] / times[what]) for what in ("step", "evaluation")}
    benchmark.extra_info.update({"table": "plain", "network": name, "rounds": 11, "ratios": ratios})


@pytest.mark.parametrize("name", PRESETS)
def test_replicas_and_threads(benchmark, name):
    """Processor time of a step per replica; beside the small CNN its plain form, stacked by `torch.func`."""
    kind, rhm, options = PRESETS[name]
    forms = {name: lambda R: make(kind, rhm, options, R)}
    if name == "cnn 128, L = 3":

        def plain():
            return NetworkSpec(kind, options).module(rhm)

        forms[f"{name}, plain, by torch.func"] = lambda R: AdaptedNetwork(rhm, R, plain, "plain")
    calls = {
        (form, R, threads): step_of(make_it(R), rhm, R, threads, adam=kind in ("attention", "decoder"))
        for form, make_it in forms.items()
        for R in (1, 2, 4, 8)
        for threads in (1, 2)
        if threads == 1 or R in (1, 4)
    }
    times = benchmark.pedantic(in_turns, (calls, 7), rounds=1)
    rows = [[form, R, threads, quartiles(t / R)] for (form, R, threads), t in times.items()]
    benchmark.extra_info.update({"table": "replicas", "rounds": 7, "rows": rows})


@pytest.fixture(scope="module")
def product_rate(one_thread):
    """Multiplications a second of a large matrix product: what the machine can do."""
    n = 1024
    a = torch.randn(n, n)
    best = float("inf")
    for _ in range(20):
        start = time.process_time()
        a @ a
        best = min(best, time.process_time() - start)
    return n**3 / best


@pytest.mark.parametrize("name", NETWORKS)
def test_training_rate(benchmark, product_rate, name):
    kind, rhm, options = NETWORKS[name]
    network = make(kind, rhm, options)
    step = step_of(network, rhm, 1, adam=kind in ("attention", "decoder"))
    benchmark.pedantic(step, rounds=10, iterations=1, warmup_rounds=2)
    rate = BATCH / benchmark.stats.stats.median
    benchmark.extra_info["samples per second"] = rate
    # counted as if nothing were saved, so that it may exceed one
    benchmark.extra_info["part of the product rate"] = 3 * network.multiplications() * rate / product_rate
