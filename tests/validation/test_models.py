"""The networks against slow twins on one-hot inputs, and replicas against single networks."""

import math

import pytest

torch = pytest.importorskip("torch")

from rhmvalidation import models  # noqa: E402

V, S, L, WIDTH = 5, 2, 3, 6
D = S**L


def make(kind, replicas=2):
    if kind == "transformer":
        network = models.AttentionOnly(replicas, V, S, L, WIDTH, heads=2, layers=3)
    else:
        network = {"cnn": models.ConvolutionalNetwork, "lcn": models.LocallyConnectedNetwork}[kind](
            replicas, V, S, L, WIDTH
        )
    network.initialise([torch.Generator().manual_seed(10 + r) for r in range(replicas)])
    return network.double()


def tokens_for(replicas=2, batch=4):
    return torch.randint(V, (replicas, batch, D), generator=torch.Generator().manual_seed(1))


def one_hot(sentence):
    x = torch.nn.functional.one_hot(sentence, V).double()
    x[-1] = V**-0.5
    return x


def slow_hierarchical(network, r, sentence):
    """One sentence through replica r, from its one-hot matrix; inputs are scaled by sqrt(v)."""
    tables = network.first.weight[r]  # (positions * s or s, v, width)
    x = one_hot(sentence)
    h = []
    for i in range(D // S):
        first = 0 if network.shared else i * S
        h.append(sum(x[i * S + p] @ tables[first + p] for p in range(S)) / math.sqrt(S))
    h = [torch.relu(unit) for unit in h]
    for weight in network.hidden:
        pairs = [torch.cat([h[i * S + p] for p in range(S)]) for i in range(len(h) // S)]
        filters = [weight[r, 0 if network.shared else i] for i in range(len(pairs))]
        h = [torch.relu(x @ w / math.sqrt(S * WIDTH)) for x, w in zip(pairs, filters, strict=True)]
    return h[0] @ network.readout[r] / WIDTH


def slow_attention(network, r, sentence):
    """One sentence through replica r, every layer at every position, head by head."""
    x = one_hot(sentence) @ network.embedding.weight[r, 0] + network.position[r]
    head = WIDTH // network.heads
    for qkv, mix in zip(network.qkv, network.mix, strict=True):
        q, k, v = (x @ qkv[r][:, i * WIDTH : (i + 1) * WIDTH] for i in range(3))
        heads = []
        for h in range(network.heads):
            part = slice(h * head, (h + 1) * head)
            attention = torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(head), dim=-1)
            heads.append(attention @ v[:, part])
        x = torch.cat(heads, dim=-1) @ mix[r]
    return x[-1] @ network.readout[r]


@pytest.mark.parametrize("kind", ["cnn", "lcn", "transformer"])
def test_logits_equal_those_of_a_slow_twin(kind):
    network, tokens = make(kind), tokens_for()
    slow = slow_attention if kind == "transformer" else slow_hierarchical
    expected = torch.stack([torch.stack([slow(network, r, row) for row in tokens[r]]) for r in range(2)])
    torch.testing.assert_close(network(tokens), expected)


@pytest.mark.parametrize("kind", ["cnn", "lcn", "transformer"])
def test_last_token_is_never_read(kind):
    network, tokens = make(kind), tokens_for()
    other = tokens.clone()
    other[..., -1] = (other[..., -1] + 1) % V
    torch.testing.assert_close(network(tokens), network(other), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["cnn", "lcn", "transformer"])
def test_gradients_of_a_replica_do_not_see_the_others(kind):
    network, tokens = make(kind), tokens_for()
    network(tokens)[0].sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad[0].abs().sum() > 0, name
        assert parameter.grad[1].abs().sum() == 0, name


def test_tied_locally_connected_network_is_the_convolutional_one():
    cnn, lcn = make("cnn", 1), make("lcn", 1)
    with torch.no_grad():
        lcn.first.weight.copy_(cnn.first.weight.repeat(1, D // S, 1, 1))
        for tied, free in zip(cnn.hidden, lcn.hidden, strict=True):
            free.copy_(tied.expand_as(free))
        lcn.readout.copy_(cnn.readout)
    tokens = tokens_for(1)
    torch.testing.assert_close(cnn(tokens), lcn(tokens))


def test_width_must_hold_the_heads():
    with pytest.raises(ValueError, match="width=6 is no multiple of heads=4"):
        models.AttentionOnly(1, V, S, L, WIDTH, heads=4, layers=1)
