"""Steering of a network of which everything is known: it holds one latent, and predicts exactly from it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rhmtheory import RHM, InputError
from rhmvalidation import cnn, decoder, steer

RHM_ = RHM(v=6, m=2, s=2, L=3)


class Exact(torch.nn.Module):
    """Shows the level-1 symbols of the complete nodes, each in its own block, and predicts exactly from them."""

    def __init__(self, grammar):
        super().__init__()
        self.grammar = grammar
        self.latents, self.noise = torch.nn.Identity(), torch.nn.Identity()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, ids):
        tokens = ids.numpy()
        symbols = self.grammar.parents(1, tokens[:, :6].reshape(-1, 3, 2))
        shown = torch.nn.functional.one_hot(torch.from_numpy(symbols), 6).double()
        seen = self.latents(2 * shown + 0.5).argmax(dim=-1).numpy()
        self.noise(torch.zeros(len(ids), 2))
        given = np.concatenate([seen, np.full((len(ids), 1), -1)], axis=1)
        hidden = np.arange(8) != 6
        p = self.grammar.posteriors(tokens, mask=hidden, symbols={1: given})[:, -1]
        return torch.from_numpy(np.log(p + 1e-30))


@pytest.mark.parametrize("node", [0, 2])
def test_a_latent_that_is_there_can_be_exchanged(node):
    grammar = RHM_.grammar(3)
    found = steer(Exact(grammar), grammar, node=node, layers=["latents", "noise"], sentences=800)
    assert found.sentences > 100
    assert found.redrawn == pytest.approx(0, abs=1e-9)
    assert found.steered[0] == pytest.approx(0, abs=1e-9)
    assert found.unsteered > 0.1
    # a layer that nothing is read from changes nothing
    assert found.steered[1] == pytest.approx(found.unsteered)
    np.testing.assert_allclose(found.share, [1, 0], atol=1e-9)
    content = found.to_dict()
    assert content["layers"] == ["latents", "noise"]
    assert content["share"] == found.share.tolist()


def test_networks_of_the_package_can_be_steered():
    grammar = RHM_.grammar(0)
    torch.manual_seed(0)
    for network in (cnn(RHM_, width=8), decoder(RHM_, width=8, heads=2)):
        found = steer(network, grammar, level=2, sentences=200)
        assert (found.level, found.node) == (2, 0)
        assert np.isfinite(found.steered).all()
        assert (found.steered_error > 0).all()
        # weights that nobody has trained know no symbol
        assert abs(found.unsteered - found.redrawn) < 0.2
        assert not any(part._forward_hooks for part in network.modules())
        assert found == steer(network, grammar, level=2, sentences=200)


def test_nodes_that_cannot_be_exchanged():
    grammar = RHM_.grammar(0)
    network = Exact(grammar)
    with pytest.raises(InputError, match="node=3 is too large"):
        steer(network, grammar, node=3)
    with pytest.raises(InputError, match="level=3 is too large"):
        steer(network, grammar, level=3)
