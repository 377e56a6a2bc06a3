"""The networks against slow twins on one-hot inputs, and replicas against single networks."""

import math

import pytest
from specs import spec

torch = pytest.importorskip("torch")

from rhmtheory import RHM, InputError
from rhmvalidation.diagnostics.hooks import activations
from rhmvalidation.networks import registry as networks

V, S, L, WIDTH = 5, 2, 3, 6
D = S**L
RHM_ = RHM(V, 2, S, L)
KINDS = ["cnn", "lcn", "fcn", "attention", "decoder"]


UNEVEN = RHM(v=(5, 4, 6), m=(2, 2, 1), s=(2, 3, 2), L=3, n=3)
"""Other symbols, rules and children at every level."""


def make(kind, replicas=2, rhm=RHM_):
    network = spec(kind, WIDTH, heads=2).build(rhm, replicas)
    network.initialise([torch.Generator().manual_seed(10 + r) for r in range(replicas)])
    return network.double()


def tokens_for(replicas=2, batch=4, d=D):
    return torch.randint(V, (replicas, batch, d), generator=torch.Generator().manual_seed(1))


def one_hot(sentence):
    """Published input: one-hot rows whitened to mean zero and norm one; the mask is constant, of norm one."""
    x = (torch.nn.functional.one_hot(sentence, V).double() - 1 / V) / math.sqrt(1 - 1 / V)
    x[-1] = V**-0.5
    return x


def slow_hierarchical(network, r, sentence, s=(S,) * L):
    """One sentence through replica r: fan-in v s of one-hot rows at first, then s times the width."""
    weights = network.weights(r)
    tables = weights["layers.0.weight"].view(-1, V, WIDTH)  # (positions * s or s, v, width)
    x = one_hot(sentence)
    h = []
    for i in range(len(x) // s[0]):
        first = 0 if network.shared else i * s[0]
        h.append(sum(x[i * s[0] + p] @ tables[first + p] for p in range(s[0])) / math.sqrt(V * s[0]))
    h = [torch.relu(unit) for unit in h]
    for level, branches in enumerate(s[1:], start=1):
        tuples = [torch.cat([h[i * branches + p] for p in range(branches)]) for i in range(len(h) // branches)]
        filters = [weights[f"layers.{level}.weight"][0 if network.shared else i] for i in range(len(tuples))]
        h = [torch.relu(x @ w / math.sqrt(branches * WIDTH)) for x, w in zip(tuples, filters, strict=True)]
    return h[0] @ weights["readout"] / WIDTH


def slow_fully_connected(network, r, sentence):
    """One sentence without its last token through replica r: fan-in v (d - 1), then the width."""
    weights, x = network.weights(r), one_hot(sentence)
    first = weights["layers.0.weight"].view(D - 1, V, WIDTH)
    h = torch.relu(sum(x[i] @ first[i] for i in range(D - 1)) / math.sqrt(V * (D - 1)))
    for i in range(1, L):
        h = torch.relu(h @ weights[f"layers.{i}.weight"] / math.sqrt(WIDTH))
    return h @ weights["readout"] / WIDTH


def one_layer(qkv, mix, x, scale, causal, heads=2):
    """Attention at every position, head by head; ``scale`` is put on each product with a matrix."""
    head = WIDTH // heads
    q, k, v = (scale * (x @ qkv[:, i * WIDTH : (i + 1) * WIDTH]) for i in range(3))
    out = []
    for h in range(heads):
        part = slice(h * head, (h + 1) * head)
        scores = q[:, part] @ k[:, part].T / math.sqrt(head)
        if causal:
            scores = scores.masked_fill(torch.ones(D, D).triu(1).bool(), -math.inf)
        out.append(torch.softmax(scores, dim=-1) @ v[:, part])
    return scale * (torch.cat(out, dim=-1) @ mix)


def slow_attention(network, r, sentence):
    """One sentence through replica r, every layer at every position, each product over the root of its fan-in."""
    w = network.weights(r)
    x = one_hot(sentence) @ w["embedding"] / math.sqrt(V) + w["position"]
    for i in range(L):
        x = one_layer(w[f"layers.{i}.qkv"], w[f"layers.{i}.mix"], x, WIDTH**-0.5, causal=False)
    return x[-1] @ w["readout"] / math.sqrt(WIDTH)


def slow_decoder(network, r, sentence):
    """All positions of one sentence, shifted by one behind a mask."""
    w = network.weights(r)
    mask = torch.full((1, V), V**-0.5).double()
    hot = torch.cat([mask, torch.nn.functional.one_hot(sentence[:-1], V).double()])
    x = hot @ w["embedding"] + w["position"]

    def norm(y):
        return (y - y.mean(-1, keepdim=True)) / (y.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()

    for i in range(L):
        block = f"layers.{i}."
        x = x + one_layer(w[block + "attention.qkv"], w[block + "attention.mix"], norm(x), 1.0, causal=True)
        x = x + torch.nn.functional.gelu(norm(x) @ w[block + "up"]) @ w[block + "down"]
    return norm(x) @ w["readout"]


SLOW = {
    "cnn": slow_hierarchical,
    "lcn": slow_hierarchical,
    "fcn": slow_fully_connected,
    "attention": slow_attention,
    "decoder": lambda *args: slow_decoder(*args)[-1],
}


@pytest.mark.parametrize("kind", KINDS)
def test_logits_equal_those_of_a_slow_twin(kind):
    network, tokens = make(kind), tokens_for()
    expected = torch.stack([torch.stack([SLOW[kind](network, r, row) for row in tokens[r]]) for r in range(2)])
    torch.testing.assert_close(network(tokens), expected)


@pytest.mark.parametrize("kind", ["cnn", "lcn"])
def test_filters_have_the_children_of_their_level(kind):
    network, tokens = make(kind, rhm=UNEVEN), tokens_for(d=UNEVEN.d)
    expected = [[slow_hierarchical(network, r, row, s=(2, 3, 2)) for row in tokens[r]] for r in range(2)]
    torch.testing.assert_close(network(tokens), torch.stack([torch.stack(rows) for rows in expected]))


@pytest.mark.parametrize("rhm", [RHM_, UNEVEN], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_the_fast_form_gives_the_numbers_of_the_plain_module(kind, rhm):
    """Logits and gradients, with the weights of each replica; all tokens of a decoder."""
    network, tokens = make(kind, rhm=rhm), tokens_for(d=rhm.d)
    logits = network.every_token(tokens) if kind == "decoder" else network(tokens)
    logits.square().sum().backward()
    for r in range(2):
        module = spec(kind, WIDTH, heads=2).module(rhm).double()
        module.load_state_dict(network.weights(r))
        expected = module(tokens[r])
        torch.testing.assert_close(logits[r], expected)
        expected.square().sum().backward()
        gradients = {name: p.grad[r] for name, p in zip(network.parameter_names, network.stacked, strict=True)}
        torch.testing.assert_close(gradients, {name: p.grad for name, p in module.named_parameters()})


@pytest.mark.parametrize("kind", KINDS)
def test_plain_modules_draw_weights_of_the_sizes_of_the_stack(kind):
    torch.manual_seed(0)
    module, network = spec(kind, 64, heads=2).module(RHM_), spec(kind, 64, heads=2).build(RHM_)
    network.initialise([torch.Generator().manual_seed(0)])
    for name, tensor in network.weights().items():
        assert module.get_parameter(name).std().item() == pytest.approx(tensor.std().item(), rel=0.2), name


@pytest.mark.parametrize("kind", KINDS)
def test_networks_take_any_ensemble(kind):
    network, tokens = make(kind, rhm=UNEVEN), tokens_for(d=UNEVEN.d)
    logits = network(tokens)
    assert logits.shape == (2, 4, 5)
    logits[0].sum().backward()
    assert all(parameter.grad[0].abs().sum() > 0 for parameter in network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_last_token_is_never_read(kind):
    network, tokens = make(kind), tokens_for()
    other = tokens.clone()
    other[..., -1] = (other[..., -1] + 1) % V
    torch.testing.assert_close(network(tokens), network(other), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_a_replica_do_not_see_the_others(kind):
    network, tokens = make(kind), tokens_for()
    network(tokens)[0].sum().backward()
    for name, parameter in zip(network.parameter_names, network.stacked, strict=True):
        assert parameter.grad[0].abs().sum() > 0, name
        assert parameter.grad[1].abs().sum() == 0, name


@pytest.mark.parametrize(
    ("kind", "one"), [("cnn", True), ("lcn", True), ("fcn", True), ("attention", True), ("decoder", False)]
)
def test_published_networks_start_from_standard_normal_weights(kind, one):
    """Their scales stand in the forward pass, so that a learning rate means what it means in the public code."""
    network = spec(kind, 240).build(RHM_, 1)
    network.initialise([torch.Generator().manual_seed(0)])
    stds = {name: parameter.std().item() for name, parameter in network.weights().items()}
    close = {name: abs(std - 1) < 0.1 for name, std in stds.items()}
    assert all(close.values()) == one, stds


def test_a_decoder_starts_with_variances_of_one_over_fan_in():
    """What is added to the residual stream, twice a block, shares one more unit of variance."""
    width, depth = 240, 3
    network = spec("decoder", width, depth=depth).build(RHM_, 1)
    network.initialise([torch.Generator().manual_seed(0)])
    for name, parameter in network.weights().items():
        fan_in = 4 * width if name.endswith("down") else width
        added = name.endswith(("down", "mix"))
        variance = (1 / (2 * depth) if added else 1) / fan_in
        expected = 1.0 if name.startswith(("embedding", "position")) else math.sqrt(variance)
        assert parameter.std().item() == pytest.approx(expected, rel=0.1), name


@pytest.mark.parametrize("kind", ["cnn", "lcn", "fcn"])
def test_first_pre_activations_start_at_the_root_of_one_over_v(kind):
    """Whitened tokens have norm one, and the fan-in counts all v entries of each."""
    rhm = RHM(16, 4, 2, 3)
    torch.manual_seed(0)
    module = spec(kind, 2000).module(rhm)
    (first,) = activations(module, rhm.grammar(0).sample(64), ["layers.0"]).values()
    # half of a symmetric law is cut off by the ReLU: the mean square is half of that before
    assert first.square().mean().item() == pytest.approx(1 / (2 * 16), rel=0.1)


def test_tied_locally_connected_network_is_the_convolutional_one():
    cnn, lcn = make("cnn", 1), make("lcn", 1)
    with torch.no_grad():
        for tied, free in zip(cnn.stacked, lcn.stacked, strict=True):
            free.copy_(tied.expand_as(free))
    tokens = tokens_for(1)
    torch.testing.assert_close(cnn(tokens), lcn(tokens))


def test_autoregressive_decoder_predicts_every_token_from_those_before():
    network, tokens = make("decoder"), tokens_for()
    expected = torch.stack([torch.stack([slow_decoder(network, r, row) for row in tokens[r]]) for r in range(2)])
    logits = network.every_token(tokens)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(logits[:, :, -1], network(tokens))
    other = tokens.clone()
    other[..., 4] = (other[..., 4] + 1) % V
    changed = (network.every_token(other) != logits).any(dim=-1)
    assert not changed[..., :5].any()
    assert changed[..., 5:].all()


@pytest.mark.parametrize("kind", KINDS)
def test_kept_replicas_go_on_as_they_were(kind):
    network, tokens = make(kind, 3), tokens_for(3)
    before = network(tokens)
    network.keep(torch.tensor([2, 0]))
    torch.testing.assert_close(network(tokens[[2, 0]]), before[[2, 0]])


@pytest.mark.parametrize("rhm", [RHM_, UNEVEN])
@pytest.mark.parametrize("kind", KINDS)
def test_multiplications_are_those_of_the_matrix_products(kind, rhm):
    from torch.utils.flop_counter import FlopCounterMode

    network = spec(kind, 60, heads=2).build(rhm, 1)
    network.initialise([torch.Generator().manual_seed(0)])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(tokens_for(1, batch=1, d=rhm.d))
    # the counter counts an addition with every multiplication, and may leave the small scores of attention out
    counted = counter.get_total_flops() / 2
    assert 0.75 * network.multiplications() <= counted <= 1.01 * network.multiplications()


def test_multiplications_by_hand():
    """v = 5 symbols, T = 8 tokens, width w = 6, three layers."""
    T, w, v = D, WIDTH, V
    layer = 3 * T * w * w + T * T * w + T * T * w + T * w * w  # queries, keys, values; scores; means; mix
    last = 2 * T * w * w + w * w + T * w + T * w + w * w  # the same with one query
    mlp = w * 4 * w + 4 * w * w  # up and down at one position
    expected = {
        "cnn": (4 + 2) * w * w + w * v,  # four blocks below two, and two below one
        "lcn": (4 + 2) * w * w + w * v,
        "fcn": 2 * w * w + w * v,
        "attention": 2 * layer + last + w * v,
        "decoder": 2 * layer + last + (2 * T + 1) * mlp + w * v,
    }
    assert {kind: make(kind).multiplications() for kind in KINDS} == expected
    deep = spec("fcn", w, depth=5).build(RHM_, 1)
    assert deep.multiplications() == 4 * w * w + w * v


def test_width_must_hold_the_heads():
    with pytest.raises(InputError, match="width=6 is no multiple of heads=4"):
        spec("attention", WIDTH, heads=4)


def test_unknown_network_lists_those_there_are():
    with pytest.raises(InputError, match="network='rnn' is unknown: choose one of cnn"):
        spec("rnn", WIDTH)


def test_a_network_is_a_record_and_a_class_no_more(monkeypatch):
    """A new record is found everywhere: runs take it, its settings are checked, it trains."""
    from rhmvalidation.networks.spec import NetworkSpec
    from rhmvalidation.studies.programs import train_runs
    from rhmvalidation.studies.runs import Run
    from rhmvalidation.training.settings import Settings

    class Tokens(torch.nn.Module):
        def __init__(self, rhm, width):
            super().__init__()
            self.embed = torch.nn.Embedding(rhm.n_symbols(0), width)
            self.readout = torch.nn.Linear((rhm.d - 1) * width, rhm.n_symbols(0))

        def forward(self, ids):
            return self.readout(self.embed(ids[:, :-1]).flatten(1))

    record = networks.NetworkRecord("One", Tokens, ("lcn",))
    monkeypatch.setattr(networks, "NETWORKS", {**networks.NETWORKS, "One": record})
    for name in ("One", "one", "ONE"):
        assert NetworkSpec(name, {"width": 8}).name == "One"
    run = Run(RHM(4, 2, 2, 2), spec("one", 8), 320, 0, 0, Settings(learning_rate=1.0, max_steps=10))
    assert len(train_runs([run], torch.device("cpu"))[0].curve) > 1
    with pytest.raises(InputError, match="depth=2 is no argument of One: leave it out"):
        spec("one", 8, depth=2)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_laws_are_those_of_theory(name):
    from rhmtheory import ARCHITECTURES

    laws = networks.find(name).laws
    assert set(laws) <= set(ARCHITECTURES)
    assert bool(laws) == (name != "fcn")  # theory has none for it
