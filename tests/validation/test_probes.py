"""The representation diagnostic on networks of which we know what they see."""

import pytest

torch = pytest.importorskip("torch")

from rhmtheory import RHM, InputError  # noqa: E402
from rhmvalidation import models, networks, probes  # noqa: E402

RHM_ = RHM(6, 2, 2, 3)


class Oracle(models.LayeredNetwork):
    """Layer l shows the hidden symbols of level l, one-hot, read off by the grammar."""

    def __init__(self, grammar):
        super().__init__(grammar.rhm)
        self.grammar = grammar
        self.weight = torch.nn.Parameter(torch.zeros(1, 1))

    def layers(self, tokens):
        levels = self.grammar.parse(tokens[0].numpy())[1:]
        return [torch.nn.functional.one_hot(torch.from_numpy(x) % 7, 7)[None].float() for x in levels]


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
    network = networks.build("cnn", RHM_, 1, 32)
    network.initialise([torch.Generator().manual_seed(0)])
    found = probes.sensitivity(network, RHM_.grammar(0))
    assert (found.blindness < 0.5).all()


def test_ensembles_without_hidden_symbols_or_synonyms():
    flat = RHM(4, 2, 2, 1)
    with pytest.raises(InputError, match="L=1 has no hidden symbols"):
        probes.sensitivity(networks.build("cnn", flat, 1, 4), flat.grammar(0))
    single = RHM(4, 1, 2, 2)
    with pytest.raises(InputError, match="without synonyms"):
        probes.sensitivity(networks.build("cnn", single, 1, 4), single.grammar(0))
