"""The optimiser of replicas against those of torch, one a replica."""

import io
import math

import pytest

torch = pytest.importorskip("torch")

from rhmvalidation.training.optimisers import ReplicaOptimiser

RATES = (0.3, 0.01)
SHAPES = ((3, 4), (5,), (2, 2, 2))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def parameters(replicas=2):
    draw = generator()
    return [
        torch.nn.Parameter(torch.randn(replicas, *shape, generator=draw, dtype=torch.double)) for shape in SHAPES
    ]


def make(stack, rates=RATES, **options):
    return ReplicaOptimiser(stack, torch.tensor(rates, dtype=torch.double), **options)


def give_gradients(stack, draw):
    for p in stack:
        p.grad = torch.randn(p.shape, generator=draw, dtype=torch.double)


@pytest.mark.parametrize("adam", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
@pytest.mark.parametrize("schedule", [{}, {"warmup": 3}, {"warmup": 3, "cosine_until": 8}])
def test_replicas_move_as_under_torch(adam, weight_decay, schedule):
    stack = parameters()
    optimiser = make(stack, adam=adam, weight_decay=weight_decay, **schedule)
    alone = [[torch.nn.Parameter(p[r].detach().clone()) for p in stack] for r in range(2)]
    kind = torch.optim.AdamW if adam else torch.optim.SGD
    twins = [kind(own, lr=rate, weight_decay=weight_decay) for own, rate in zip(alone, RATES, strict=True)]
    draw = generator(1)
    for step in range(1, 11):
        give_gradients(stack, draw)
        for r, (twin, own) in enumerate(zip(twins, alone, strict=True)):
            for p, q in zip(stack, own, strict=True):
                q.grad = p.grad[r].clone()
            twin.param_groups[0]["lr"] = RATES[r] * optimiser.factor(step)
            twin.step()
        optimiser.step()
        assert all(p.grad is None for p in stack)
        for r, own in enumerate(alone):
            for p, q in zip(stack, own, strict=True):
                torch.testing.assert_close(p[r], q, rtol=1e-10, atol=1e-12)


def test_a_parameter_without_gradient_stays():
    stack = parameters()
    before = [p.detach().clone() for p in stack]
    give_gradients(stack, generator(1))
    stack[1].grad = None
    make(stack, adam=True, weight_decay=0.5).step()
    assert [torch.equal(p, q) for p, q in zip(stack, before, strict=True)] == [False, True, False]


@pytest.mark.parametrize(
    ("step", "constant", "cosine"),
    [
        (1, 0.25, 0.25),
        (2, 0.5, 0.5),
        (4, 1.0, 1.0),  # the last of the warmup
        (5, 1.0, 0.5 * (1 + math.cos(math.pi / 6))),
        (7, 1.0, 0.5),
        (10, 1.0, 0.0),  # the last of all
        (11, 1.0, 0.0),
        (1000, 1.0, 0.0),
    ],
)
def test_factor_on_the_learning_rate(step, constant, cosine):
    assert make(parameters(), adam=False, warmup=4).factor(step) == constant
    optimiser = make(parameters(), adam=False, warmup=4, cosine_until=10)
    assert optimiser.factor(step) == pytest.approx(cosine, abs=1e-15)


def test_factor_without_warmup_and_with_nothing_else():
    optimiser = make(parameters(), adam=False, cosine_until=10)
    assert optimiser.factor(1) == pytest.approx(0.5 * (1 + math.cos(math.pi / 10)))
    optimiser = make(parameters(), adam=False, warmup=10, cosine_until=10)
    assert optimiser.factor(10) == 1
    assert optimiser.factor(11) == 0
    assert make(parameters(), adam=False).factor(1) == 1


def kept(stack, replicas):
    return [torch.nn.Parameter(p.detach()[replicas].clone()) for p in stack]


@pytest.mark.parametrize("adam", [False, True])
def test_kept_replicas_go_on_as_they_were(adam):
    options = {"adam": adam, "weight_decay": 0.1, "warmup": 3, "cosine_until": 20}
    rates = (0.3, 0.01, 0.1)
    everyone, fewer = parameters(3), parameters(3)
    first, second = make(everyone, rates, **options), make(fewer, rates, **options)
    draw = generator(1)
    for _ in range(5):
        give_gradients(everyone, draw)
        for p, q in zip(everyone, fewer, strict=True):
            q.grad = p.grad.clone()
        first.step(), second.step()
    replicas = torch.tensor([2, 0])
    for p in fewer:  # as a network does
        p.data = p.data[replicas]
    second.keep(replicas)
    for _ in range(5):
        give_gradients(everyone, draw)
        for p, q in zip(everyone, fewer, strict=True):
            q.grad = p.grad[replicas].clone()
        first.step(), second.step()
    for p, q in zip(everyone, fewer, strict=True):
        assert torch.equal(p[replicas], q)


@pytest.mark.parametrize("adam", [False, True])
def test_training_goes_on_from_a_saved_state_bit_by_bit(adam):
    options = {"adam": adam, "weight_decay": 0.1, "warmup": 3, "cosine_until": 20}
    stack = parameters()
    optimiser = make(stack, **options)
    draw = generator(1)
    for _ in range(5):
        give_gradients(stack, draw)
        optimiser.step()
    file = io.BytesIO()
    torch.save(optimiser.state(), file)
    file.seek(0)
    copy = kept(stack, [0, 1])
    other = make(copy, rates=(1.0, 1.0), **options)  # the rates are part of the state
    other.load(torch.load(file, weights_only=True))
    for _ in range(5):
        give_gradients(stack, draw)
        for p, q in zip(stack, copy, strict=True):
            q.grad = p.grad.clone()
        optimiser.step(), other.step()
    for p, q in zip(stack, copy, strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize(
    "change", [{"rates": [1.0, 1.0]}, {"first": []}, {"second": None}, {"steps": 2.0}, {"steps": -1}, {"more": 0}]
)
def test_a_state_of_another_optimiser_is_refused(change):
    stack = parameters()
    optimiser = make(stack, adam=True)
    with pytest.raises(ValueError, match="not of this optimiser"):
        optimiser.load(optimiser.state() | change)
