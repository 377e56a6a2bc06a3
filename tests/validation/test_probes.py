"""The representation diagnostic on networks of which we know what they see."""

import numpy as np
import pytest
from specs import spec

torch = pytest.importorskip("torch")

from own_models import ResidualMLP

from rhmtheory import RHM, InputError
from rhmvalidation.diagnostics import probes
from rhmvalidation.diagnostics.hooks import activations

RHM_ = RHM(6, 2, 2, 3)


class Oracle(torch.nn.Module):
    """Layer l shows the hidden symbols of level l, one-hot, read off by the grammar."""

    def __init__(self, grammar):
        super().__init__()
        self.grammar = grammar
        self.layers = torch.nn.ModuleList(torch.nn.Identity() for _ in range(grammar.rhm.L))
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, ids):
        levels = self.grammar.parse(ids.numpy()).levels[1:]
        for layer, symbols in zip(self.layers, levels, strict=True):
            layer(torch.nn.functional.one_hot(torch.from_numpy(symbols).long() % 7, 7).float())
        return ids


def test_a_layer_that_shows_the_symbols_of_a_level_is_blind_to_their_synonyms():
    grammar = RHM_.grammar(0)
    found = probes.sensitivity(Oracle(grammar), grammar, sentences=4000)
    assert found.symbol.shape == found.rule.shape == (3, 2)
    # layer 1 shows level 1: it sees another symbol, not another rule
    assert found.rule[0, 0] == pytest.approx(0, abs=1e-9)
    assert found.symbol[0, 0] > 0.1
    assert found.blindness[0, 0] == pytest.approx(1)
    # another rule of level 2 changes level 1, and is hidden from layer 2 on
    assert found.rule[0, 1] > 0.1
    assert found.rule[1, 1] == pytest.approx(0, abs=1e-9)
    assert found.blindness[1, 1] == pytest.approx(1)


def test_an_untrained_network_sees_rules_as_it_sees_symbols():
    torch.manual_seed(0)
    network = spec("cnn", 32).module(RHM_)
    found = probes.sensitivity(network, RHM_.grammar(0))
    assert (found.blindness < 0.5).all()
    assert found.layers == ("layers.0", "layers.1", "layers.2")
    assert len(found.plot().lines) == 3


def test_ensembles_without_hidden_symbols_or_synonyms():
    flat = RHM(4, 2, 2, 1)
    with pytest.raises(InputError, match="L=1 has no hidden symbols"):
        probes.sensitivity(spec("cnn", 4).module(flat), flat.grammar(0))
    single = RHM(4, 1, 2, 2)
    with pytest.raises(InputError, match="without synonyms"):
        probes.sensitivity(spec("cnn", 4).module(single), single.grammar(0))


class Shows(torch.nn.Module):
    """A module whose parts show what they are told to: the exact posteriors of a level, noise, a pair."""

    def __init__(self, grammar, levels):
        super().__init__()
        self.grammar, self.levels = grammar, levels
        self.parts = torch.nn.ModuleList([torch.nn.Identity() for _ in levels])
        self.noise, self.unused, self.pair = torch.nn.Identity(), torch.nn.Identity(), torch.nn.LSTM(2, 3)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, ids):
        hidden = np.arange(self.grammar.shape.d) == self.grammar.shape.d - 1
        for level, part in zip(self.levels, self.parts, strict=True):
            p = self.grammar.posteriors(ids.numpy(), level=level, mask=hidden)
            part(torch.from_numpy(np.log(p + 1e-9)).float().flatten(1))
        generator = torch.Generator().manual_seed(len(ids))
        self.noise(torch.randn(len(ids), 4, generator=generator))
        self.pair(torch.zeros(5, 3, 2))
        return ids


def test_linear_probes_read_what_a_layer_shows_and_no_more():
    grammar = RHM_.grammar(0)
    network = Shows(grammar, [1, 2])
    found = probes.linear_probes(
        network, grammar, layers=["parts.0", "parts.1", "noise"], sentences=1024, penalty=1e-5
    )
    assert found.layers == ("parts.0", "parts.1", "noise")
    assert [x.shape for x in found.divergence] == [(3, 4), (3, 2), (3, 1)]
    # what there is to be read of the fully seen first node is its whole entropy
    p = grammar.marginal(1, 0)
    assert found.information[0][0] == pytest.approx(-(p * np.log(p)).sum(), abs=0.05)
    assert found.share(1)[0] > 0.95  # posteriors of level 1 are there as they are
    assert found.share(2)[1] > 0.95
    assert found.share(1)[1] < 0.8  # level 2 does not tell which of its rules was used
    assert abs(found.share(1)[2]) < 0.05
    assert len(found.plot().lines) == 3
    # the posterior explains all of the first node, and no layer explains more than it does
    assert found.ceiling[0][0] == pytest.approx(1, abs=1e-9)
    for ceiling, explained in zip(found.ceiling, found.explained, strict=True):
        assert explained.shape == (3, len(ceiling))
        assert (explained <= ceiling + 1e-9).all()
    assert (found.explained[0][0] > 0.9 * found.ceiling[0]).all()
    assert (np.abs(found.explained[0][2]) < 0.05).all()


def test_probes_of_a_position_see_the_tokens_before_it():
    """A layer of one-hot tokens before each position tells at position 2 the first level-1 symbol for certain."""
    grammar = RHM_.grammar(0)

    class Past(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.out = torch.nn.Identity()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, ids):
            hot = torch.nn.functional.one_hot(ids, 6).float().flatten(1)
            seen = torch.arange(8)[:, None] > torch.arange(48)[None] // 6
            first = torch.nn.functional.one_hot(ids[:, :1] * 6 + ids[:, 1:2], 36).float().expand(-1, 8, -1)
            self.out(torch.cat([hot[:, None] * seen, first * (torch.arange(8) >= 2)[:, None]], dim=2))
            return ids

    found = probes.linear_probes(Past(), grammar, position=2, sentences=1024, penalty=1e-5)
    assert found.information[0][0] > 1.0
    assert found.divergence[0][0, 0] < 0.1 * found.information[0][0]
    assert found.information[0][1] < 0.5 * found.information[0][0]  # not yet seen
    with pytest.raises(InputError, match="position needs"):
        probes.linear_probes(Shows(grammar, [1]), grammar, layers=["noise"], position=2)


def test_probes_look_into_any_module_by_its_names():
    grammar = RHM_.grammar(0)
    module = ResidualMLP(RHM_, width=16, blocks=2)
    found = probes.sensitivity(module, grammar, sentences=500)
    assert found.layers == ("embed", "enter", "blocks.0", "blocks.1", "readout")
    inner = probes.sensitivity(module, grammar, layers=["blocks.1.2"], sentences=500)
    assert inner.symbol.shape == (1, 2)
    with pytest.raises(
        InputError, match=r"layer 'block' does not exist: this network has embed, enter, blocks, blocks\.0"
    ):
        probes.sensitivity(module, grammar, layers=["block"])
    torch.manual_seed(0)
    network = spec("cnn", 4).module(RHM_)
    with pytest.raises(
        InputError,
        match=r"layer 'layers\.3' does not exist: this network has layers, layers\.0, layers\.1, layers\.2",
    ):
        probes.linear_probes(network, grammar, layers=["layers.3"])
    assert not any(part._forward_hooks for part in module.modules())


def test_a_module_that_was_looked_into_keeps_its_mode():
    module = ResidualMLP(RHM_, width=16, blocks=2)
    module.readout.eval()
    probes.sensitivity(module, RHM_.grammar(0), sentences=50)
    assert module.training
    assert not module.readout.training
    with pytest.raises(InputError, match="layer 'block' does not exist"):
        probes.sensitivity(module, RHM_.grammar(0), layers=["block"], sentences=50)
    assert module.training


@pytest.mark.parametrize(("layer", "message"), [("unused", "is not called"), ("pair", "a row for each sentence")])
def test_layers_that_cannot_be_looked_at(layer, message):
    grammar = RHM_.grammar(0)
    with pytest.raises(InputError, match=message):
        probes.linear_probes(Shows(grammar, [1]), grammar, layers=[layer], sentences=64)


def test_published_normalisation_is_that_of_each_neuron():
    """By hand: z-scores of each neuron over the sentences before, cosine similarity of sentence pairs."""
    grammar = RHM_.grammar(0)
    torch.manual_seed(0)
    network = spec("cnn", 8).module(RHM_)
    found = probes.sensitivity(network, grammar, normalise="standardise", sentences=400, seed=2)
    rng = np.random.default_rng(2)
    trees = grammar.sample_trees(400, rng)
    after = trees.redraw_symbol(1, RHM_.width(1) - 2, seed=rng).tokens
    with torch.no_grad():
        a, b = (
            activations(network, x, ["layers.0"])["layers.0"].flatten(1).double().numpy()
            for x in (trees.tokens, after)
        )
    std = a.std(axis=0, ddof=1)
    z = [(x - a.mean(axis=0)) / np.where(std > 0, std, np.inf) for x in (a, b)]
    cosine = (z[0] * z[1]).sum(axis=1) / np.linalg.norm(z[0], axis=1) / np.linalg.norm(z[1], axis=1)
    assert found.symbol[0, 0] == pytest.approx(1 - cosine.mean(), abs=1e-5)
    with pytest.raises(InputError, match="normalise='none' is unknown"):
        probes.sensitivity(network, grammar, normalise="none")
