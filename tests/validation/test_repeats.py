"""What is computed once against what is computed as it stands: same numbers, fewer products, less time."""

import statistics
import time

import pytest
from specs import spec

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode

from rhmtheory import RHM
from rhmvalidation.networks import _repeats as repeats
from rhmvalidation.networks import registry as networks

ENSEMBLES = [
    RHM(v=5, m=2, s=2, L=3),
    RHM(v=4, m=3, s=3, L=2),
    RHM(v=6, m=2, s=2, L=4),
    RHM(v=(5, 4, 6), m=(2, 2, 1), s=(2, 3, 2), L=3, n=3),
]


def make(kind, rhm, replicas, width=12):
    network = spec(kind, width, heads=2).build(rhm, replicas)
    network.initialise([torch.Generator().manual_seed(10 + r) for r in range(replicas)])
    return network


def sentences(rhm, replicas, n):
    """Of another grammar in every replica, so that they have other numbers of distinct blocks."""
    return torch.stack([torch.from_numpy(rhm.grammar(r).sample(n, seed=r)) for r in range(replicas)])


def all_numbers(network, tokens, thrifty):
    """Logits, and gradients of a random linear function of them."""
    network.thrifty = thrifty
    network.zero_grad()
    logits = network(tokens)
    (logits * torch.randn(logits.shape, generator=torch.Generator().manual_seed(3))).sum().backward()
    return [logits, *(parameter.grad for parameter in network.parameters())]


@pytest.mark.parametrize("symbols", [4, 1000])
def test_distinct_blocks_are_those_of_numpy(symbols):
    """The small numbers are marked in a table, the large ones sorted."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(4, (3, 50, 2), generator=generator) * (symbols // 4)
    blocks[1] = blocks[1, :1]  # a group with one block only
    table, index = repeats.distinct(blocks, symbols)
    for g in range(3):
        expected = torch.unique(blocks[g], dim=0)
        torch.testing.assert_close(table[g, : len(expected)], expected)
        assert (table[g, len(expected) :] == 0).all()
        torch.testing.assert_close(table[g][index[g]], blocks[g])


@pytest.mark.parametrize("own", [False, True])
def test_linear_map_multiplies_children_or_blocks_alike(own):
    """More distinct children than blocks or fewer: the same sums."""
    G, n, s, w = 2, 6, 3, 4
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(G, s * w, w, generator=generator)
    blocks = torch.randint(5, (G, n, s), generator=generator)
    few = torch.randn(G * s if own else G, 5, w, generator=generator)
    many = torch.cat([few, few], dim=1)
    expected = torch.zeros(G, n, w)
    for g in range(G):
        for p in range(s):
            children = few[g * s + p if own else g][blocks[g, :, p]]
            expected[g] += children @ weight[g, p * w : (p + 1) * w]
    torch.testing.assert_close(repeats.linear(few, blocks, weight), expected)
    torch.testing.assert_close(repeats.linear(many, blocks, weight), expected)


def test_expected_number_of_distinct_draws():
    """Within four standard errors of the mean over 400 trials."""
    draws = torch.randint(40, (400, 60), generator=torch.Generator().manual_seed(0))
    counts = torch.tensor([float(len(row.unique())) for row in draws])
    # draws with replacement: n draws leave a kind out with probability (1 - 1/kinds)**n, near exp(-n/kinds)
    assert repeats.expected_distinct(40, 60) == pytest.approx(40 * (1 - (1 - 1 / 40) ** 60), rel=0.02)
    assert abs(counts.mean() - 40 * (1 - (1 - 1 / 40) ** 60)) < 4 * counts.std() / 20


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("kind", networks.NETWORKS)
@pytest.mark.parametrize("rhm", ENSEMBLES, ids=str)
def test_thrifty_numbers_are_the_plain_ones(rhm, kind, replicas):
    network, tokens = make(kind, rhm, replicas).double(), sentences(rhm, replicas, 40)
    plain = all_numbers(network, tokens, thrifty=False)
    torch.testing.assert_close(all_numbers(network, tokens, thrifty=True), plain, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kind", ["cnn", "lcn", "attention", "decoder"])
def test_thrifty_numbers_in_half_precision(kind):
    network, tokens = make(kind, ENSEMBLES[0], 2), sentences(ENSEMBLES[0], 2, 40)
    network.thrifty = False
    exact = network(tokens)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        errors = []
        for network.thrifty in (False, True):
            logits = network(tokens)
            logits.float().sum().backward()
            errors.append((logits - exact).abs().mean().item())
    assert errors[1] < 3 * errors[0]


@pytest.mark.parametrize(("kind", "fewer"), [("cnn", 2.5), ("lcn", 2.0), ("attention", 1.9), ("decoder", 1.1)])
def test_large_batches_are_multiplied_less_unasked(kind, fewer):
    rhm = RHM(16, 4, 2, 4)
    network, tokens = make(kind, rhm, 1, 64), sentences(rhm, 1, 1024)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(tokens)
    # the counter counts an addition with every multiplication
    plain = 2 * 1024 * network.multiplications()
    assert plain > fewer * counter.get_total_flops(), plain / counter.get_total_flops()


@pytest.mark.parametrize("kind", ["cnn", "lcn"])
def test_small_batches_are_left_as_they_are(kind):
    rhm = RHM(16, 4, 2, 3)
    network, tokens = make(kind, rhm, 1), sentences(rhm, 1, 8)
    assert all(index is None for _, index in network._levels(tokens))


def test_evaluation_is_faster_than_the_plain_form():
    """Processor time of this thread, in turns: 2.5 to 4 times less when it was written."""
    rhm = RHM(16, 4, 2, 4)
    network, tokens = make("cnn", rhm, 1, 128), sentences(rhm, 1, 1024)
    seconds = {False: [], None: []}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(7):
            for thrifty, times in seconds.items():
                network.thrifty = thrifty
                start = time.thread_time()
                with torch.no_grad():
                    network(tokens)
                times.append(time.thread_time() - start)
    finally:
        torch.set_num_threads(threads)
    assert statistics.median(seconds[False]) > 1.2 * statistics.median(seconds[None]), seconds
