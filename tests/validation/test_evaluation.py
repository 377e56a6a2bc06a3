"""Evaluation of predictors of which everything is known."""

import json

import numpy as np
import pytest
from specs import spec
from tiny import tiny

torch = pytest.importorskip("torch")

import naive

from rhmtheory import RHM, InputError
from rhmtheory.exact.inference import next_token
from rhmvalidation import evaluate
from rhmvalidation.networks.custom import AdaptedNetwork
from rhmvalidation.networks.stack import evaluating

GRAMMAR = RHM(v=4, m=2, s=2, L=2).grammar(0)


def ideal(grammar, k):
    """The ideal predictor of context level k, at every position."""

    def predict(ids):
        tokens = ids.numpy()
        columns = [next_token(grammar, tokens[:, :t], context_level=k) for t in range(tokens.shape[1])]
        return np.log(np.stack(columns, axis=1) + 1e-30)

    return predict


@pytest.mark.parametrize("k", [0, 1, 2])
def test_ideal_predictors_are_recognised(k):
    found = evaluate(ideal(GRAMMAR, k), GRAMMAR)
    np.testing.assert_allclose(found.divergence[k], 0, atol=1e-6)
    np.testing.assert_allclose(found.loss, found.ideal_loss[k], atol=1e-6)
    assert found.context_level[-1] == k
    if k == 2:
        np.testing.assert_allclose(found.excess, 0, atol=1e-6)
        assert (np.abs(found.loss - found.entropies) < 4 * found.loss_error + 1e-9).all()
    json.dumps(found.to_dict(), allow_nan=False)
    assert len(str(found).splitlines()) == 5
    assert found.plot().lines


@pytest.mark.parametrize("name", ["levels differ", "weights per symbol", "zipf per level"])
def test_floors_are_the_entropies_of_all_derivations(name):
    """Of the last k-level context at every position, enumerated; within four standard errors of the sentences."""
    case = tiny(name)
    found = evaluate(ideal(case.grammar, case.shape.L), case.grammar, sentences=4000)
    tolerance = 5 / np.sqrt(4000)
    for k in range(case.shape.L + 1):
        for t in range(case.shape.d):
            first = t - t % case.shape.span(k) if k < case.shape.L else 0
            H = naive.conditional_entropy(
                case.trees, lambda levels, t=t: levels[-1][t], lambda levels, a=first, t=t: levels[-1][a:t]
            )
            assert found.ideal_loss[k, t] == pytest.approx(H, abs=tolerance)
    np.testing.assert_allclose(found.floors, found.ideal_loss.mean(axis=1))


@pytest.mark.parametrize("k", [0, 1, 2])
def test_predictors_of_filtered_trees_are_recognised(k):
    grammar = RHM(v=6, m=3, s=2, L=2).grammar(0)

    def predict(ids):
        tokens = ids.numpy()
        columns = [grammar.next_token_filtered(tokens[:, :t], filter_level=k) for t in range(4)]
        return np.log(np.stack(columns, axis=1) + 1e-30)

    found = evaluate(predict, grammar, against="filtered", sentences=500)
    assert found.against == found.to_dict()["against"] == "filtered"
    np.testing.assert_allclose(found.divergence[k], 0, atol=1e-6)
    assert found.context_level[-1] == k
    assert (np.delete(found.divergence[:, -1], k) > 1e-3).all()
    assert "nearest filter level" in str(found)
    # level L is exact in both families
    context = evaluate(predict, grammar, sentences=500)
    np.testing.assert_allclose(found.ideal_loss[-1], context.ideal_loss[-1], atol=1e-12)
    assert found.plot().get_legend().get_texts()[0].get_text() == "ideal, filter level k"


def test_an_unknown_family_is_refused():
    with pytest.raises(InputError, match="choose one of context, filtered"):
        evaluate(lambda ids: torch.zeros(len(ids), 4), GRAMMAR, against="shuffled")


def test_predictors_of_the_last_token():
    network = spec("cnn", 8).module(GRAMMAR.rhm)
    found = evaluate(network, GRAMMAR, sentences=500)
    assert found.positions == (3,)
    tokens = torch.from_numpy(GRAMMAR.sample(500, 0).astype(np.int64))
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(network(tokens), tokens[:, -1])
    assert found.loss[0] == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(found.entropies, GRAMMAR.plateaus()[-1:])


def test_a_decoder_predicts_every_token():
    network = spec("decoder", 8, heads=2).module(GRAMMAR.rhm)
    every = evaluate(network, GRAMMAR, sentences=300)
    last = evaluate(lambda ids: network(ids)[:, -1], GRAMMAR, sentences=300)
    assert every.positions == (0, 1, 2, 3)
    assert every.loss[-1] == pytest.approx(last.loss[0], rel=1e-5)


def test_batches_and_kinds_of_arrays_do_not_matter():
    predict = ideal(GRAMMAR, 1)
    first = evaluate(predict, GRAMMAR, sentences=300, batch_size=7)
    second = evaluate(lambda ids: torch.from_numpy(predict(ids)) + 3.0, GRAMMAR, sentences=300)
    np.testing.assert_allclose(first.loss, second.loss)
    np.testing.assert_allclose(first.divergence, second.divergence, atol=1e-9)


class Modes(torch.nn.Module):
    """Uniform predictions, and the modes in which they are asked for."""

    def __init__(self):
        super().__init__()
        self.frozen, self.free = torch.nn.Dropout(), torch.nn.Linear(2, 2)
        self.frozen.eval()
        self.asked = set()

    def forward(self, ids):
        self.asked.add((self.training, self.frozen.training, self.free.training))
        return torch.zeros(len(ids), 4)


def test_a_module_keeps_its_mode():
    module = Modes()
    evaluate(module, GRAMMAR, sentences=50)
    assert module.asked == {(False, False, False)}
    assert (module.training, module.frozen.training, module.free.training) == (True, False, True)
    evaluate(module.eval(), GRAMMAR, sentences=50)
    assert not module.training
    broken = Modes()
    broken.forward = lambda ids: torch.zeros(len(ids), 3)
    with pytest.raises(InputError, match="logits must have shape"):
        evaluate(broken, GRAMMAR, sentences=50)
    assert broken.training
    own = AdaptedNetwork(GRAMMAR.rhm, 1, Dropping, "own")
    with evaluating(own):
        assert not own.training
        assert not own._base[0].training
    assert own.training
    assert own._base[0].training


class Dropping(torch.nn.Module):
    """A table that forgets half of itself in training."""

    def __init__(self, *_):
        super().__init__()
        self.table, self.drop = torch.nn.Embedding(4, 4), torch.nn.Dropout(0.5)

    def forward(self, ids):
        return self.drop(self.table(ids[:, 0]))


def test_a_module_is_asked_where_it_is():
    asked = []

    def elsewhere(ids):
        asked.append(ids.device.type)
        return torch.zeros(len(ids), 4)

    evaluate(elsewhere, GRAMMAR, sentences=50)
    # the device of no numbers stands for any that is not the CPU
    module = Modes().to("meta")
    module.forward = lambda ids: elsewhere(ids)
    evaluate(module, GRAMMAR, sentences=50)
    evaluate(module, GRAMMAR, sentences=50, device="cpu")
    assert asked == ["cpu", "meta", "cpu"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "no such device"}, "cannot be used here: .*; try auto"),
        ({"device": "cuda:99"}, "device='cuda:99' cannot be used here"),
        ({"batch_size": 0}, "batch_size=0 is too small"),
    ],
)
def test_arguments_that_cannot_be(given, message):
    with pytest.raises(InputError, match=message):
        evaluate(Modes(), GRAMMAR, sentences=50, **given)


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda ids: torch.zeros(len(ids), 3), r"were mapped to \(\d+, 3\): logits must have shape \(B, v\)"),
        (lambda ids: torch.zeros(len(ids), 2, 4), "logits must have shape"),
        (lambda ids: torch.full((len(ids), 4), float("nan")), "not finite"),
    ],
)
def test_predictors_that_cannot_be(predict, message):
    with pytest.raises(InputError, match=message):
        evaluate(predict, GRAMMAR, sentences=50)
