"""Training on the root class, on hidden tokens and on noisy ones: inputs, targets, losses, networks, refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from specs import spec

torch = pytest.importorskip("torch")

import rhmvalidation as rv
from rhmtheory import RHM, InputError
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.studies.preset import load_preset
from rhmvalidation.studies.programs import train_runs, trainer_of
from rhmvalidation.studies.report import learning_curves
from rhmvalidation.studies.runs import Run
from rhmvalidation.training.examples import Task
from rhmvalidation.training.objectives import EXAMPLES

CPU, RHM_ = torch.device("cpu"), RHM(4, 2, 2, 2, n=3)
FAST = rv.Settings(learning_rate=1.0, max_steps=40, test_size=256, batch_size=32)
CLASS, ONE = replace(FAST, objective="class"), replace(FAST, objective="masked", hidden=1)
RATE, DENOISE = replace(FAST, objective="masked", hidden=0.4), replace(FAST, objective="denoise")
ABLE = [
    *[(kind, CLASS) for kind in ("cnn", "lcn", "fcn", "attention", "decoder")],
    *[(kind, ONE) for kind in ("cnn", "lcn", "fcn", "attention", "decoder")],
    *[(kind, settings) for kind in ("attention", "decoder") for settings in (RATE, DENOISE)],
]
NAMES = [f"{kind}, {settings.task}" for kind, settings in ABLE]


def run_of(kind, settings, seed=0, P=200, rhm=RHM_):
    return Run(rhm, spec(kind, 16, heads=2), P, grammar_seed=seed, run_seed=seed, settings=settings)


def examples_of(settings, seeds=(0, 1), rhm=RHM_):
    tasks = [Task(rhm.grammar(seed), 200, seed, 1.0) for seed in seeds]
    return EXAMPLES[settings.objective](tasks, settings, CPU)


# --- what is seen and asked for -----------------------------------------------------------------------------


def test_classes_are_those_of_the_sentences():
    examples = examples_of(CLASS)
    for inputs, targets in (examples.batch(), examples.test_split(examples.test_rows)):
        assert inputs.shape[2:] == (4,)
        for r, task in enumerate(examples.tasks):
            p = task.grammar.posteriors(inputs[r].numpy(), level=2, mask=np.zeros(4, bool))
            assert (p[:, 0].argmax(axis=1) == targets[r, :, 0].numpy()).all()


def test_hidden_positions_are_masks_and_targets():
    examples = examples_of(replace(FAST, objective="masked", hidden=[3, 1]))
    inputs, targets = examples.batch()
    assert (inputs[..., [1, 3]] == 4).all()
    for r, task in enumerate(examples.tasks):
        whole = inputs[r].clone()
        whole[:, [1, 3]] = targets[r].long()
        assert np.isfinite(task.grammar.log_likelihood(whole.numpy())).all()


def test_a_rate_hides_so_many():
    examples = examples_of(replace(RATE, test_size=4096))
    inputs, targets = examples.test_split(examples.test_rows)
    gone = targets >= 0
    assert torch.equal(gone, inputs == 4)
    assert gone.float().mean().item() == pytest.approx(0.4, abs=0.01)
    logits = torch.randn(2, 4096, 4, 4)
    expected = [
        -logits[r].log_softmax(-1)[gone[r]].gather(1, targets[r][gone[r]][:, None]).mean() for r in range(2)
    ]
    torch.testing.assert_close(examples.loss(logits, targets), torch.stack(expected))


def test_noise_is_the_channel_of_a_uniform_eps():
    """Wrong with eps (1 - 1/v), so 3/8 on average; two tokens of a sentence share their eps."""
    examples = examples_of(replace(DENOISE, test_size=20_000))
    inputs, targets = examples.test_split(examples.test_rows)
    wrong = (inputs != targets).double()
    assert wrong.mean().item() == pytest.approx(0.375, abs=0.005)
    both = (wrong[..., 0] * wrong[..., 3]).mean().item()
    assert both == pytest.approx(0.75**2 / 3, abs=0.008)  # mean of eps**2 is 1/3
    new = inputs[wrong.bool()].bincount(minlength=4)
    assert new.min() > 0.15 * new.sum()


@pytest.mark.parametrize("settings", [RATE, DENOISE], ids=["masked", "denoise"])
def test_disturbances_differ_by_batch_and_not_by_neighbour(settings):
    both, alone = examples_of(settings), examples_of(settings, seeds=(1,))
    first = both.batch()[0]
    assert torch.equal(first[1:], alone.batch()[0])
    assert not torch.equal(first, both.batch()[0])
    both.keep([1])
    alone.batch()
    assert torch.equal(both.batch()[0], alone.batch()[0])
    state = both.state()
    following = both.batch()
    again = examples_of(settings, seeds=(1,))
    again.load(state)
    assert all(map(torch.equal, again.batch(), following))
    assert torch.equal(both.test_split(both.test_rows)[0], again.test_split(again.test_rows)[0])


# --- networks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "settings"), ABLE, ids=NAMES)
def test_fast_networks_are_the_plain_ones(kind, settings):
    one = spec(kind, 16, heads=2)
    stack, module = one.build(RHM_, 2, settings.objective), one.module(RHM_, settings.objective)
    stack.initialise([torch.Generator().manual_seed(r) for r in range(2)])
    examples = examples_of(settings)
    inputs, targets = examples.batch()
    logits = examples.logits(stack, inputs)
    assert logits.shape == (*targets.shape, 3 if settings.objective == "class" else 4)
    examples.loss(logits, targets).sum().backward()
    for r in range(2):
        module.load_state_dict(stack.weights(r))
        module.zero_grad()
        found = module(inputs[r])
        found = found if found.dim() == 3 else found[:, None]
        found = found[:, [1]] if settings is ONE and found.shape[1] > 1 else found
        torch.testing.assert_close(logits[r], found, atol=1e-5, rtol=1e-4)
        examples.loss(found[None], targets[r : r + 1]).sum().backward()
        for name, parameter in zip(stack.parameter_names, stack.stacked, strict=True):
            torch.testing.assert_close(parameter.grad[r], module.get_parameter(name).grad, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(("kind", "settings"), ABLE, ids=NAMES)
def test_whole_sentences_are_read(kind, settings):
    stack = spec(kind, 16, heads=2).build(RHM_, 1, settings.objective)
    stack.initialise([torch.Generator().manual_seed(0)])
    tokens = torch.tensor([[[0, 1, 2, 3], [0, 1, 2, 0]]])
    logits = stack.per_position(tokens)
    assert not torch.allclose(logits[0, 0], logits[0, 1])


def test_a_whole_curve_of_training_plain_and_fast():
    """The same initial weights, sentences and rate: every loss of the curve."""
    grammar = RHM_.grammar(seed=0)
    torch.manual_seed(3)
    module = rv.cnn(RHM_, width=16)
    fast = rv.train(module, grammar, settings=FAST, P=200)
    torch.manual_seed(3)
    plain = PlainCopy(rv.cnn(RHM_, width=16))
    # the parametrisation scales the rate of ours
    slow = rv.train(plain, grammar, settings=replace(FAST, learning_rate=16.0), P=200)
    assert [step for step, _ in fast.outcomes[0].curve] == [step for step, _ in slow.outcomes[0].curve]
    losses = [[loss for _, loss in one.outcomes[0].curve] for one in (fast, slow)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert losses[0][-1] < losses[0][0] - 0.05


class PlainCopy(torch.nn.Module):
    """A plain network that nobody knows for one of ours."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, ids):
        return self.network(ids)


# --- training -----------------------------------------------------------------------------------------------


def test_the_class_is_learnt():
    settings = replace(CLASS, protocol="online", batch_size=128, learning_rate=2.0)
    grammar = RHM_.grammar(seed=0)
    found = rv.train(rv.cnn(RHM_, width=64, objective="class"), grammar, settings=settings, P=600 * 128)
    assert found.loss[-1] < 0.1 * math.log(3)
    np.testing.assert_array_equal(found.plateaus, grammar.class_plateaus())
    assert len(found.error) == len(found.P)
    assert 128 * 8 < found.learnt_at() < found.P[-1]
    assert "wrong answers" in str(found)
    assert "n=3" in str(found)
    with pytest.raises(InputError, match="objective='class' is not what the laws"):
        found.compare()
    found.plot()


def test_the_last_step_of_the_class_ends_a_run():
    settings = replace(CLASS, protocol="online", batch_size=128, learning_rate=2.0, after_last_step=1.0)
    (outcome,) = train_runs([run_of("cnn", settings, P=3000 * 128)], CPU)
    assert outcome.steps < 3000
    assert outcome.best_loss < 0.1 * RHM_.grammar(0).class_plateaus()[0]


def test_a_hidden_token_is_learnt_down_to_its_floor():
    settings = replace(ONE, protocol="online", batch_size=128, test_size=2048)
    found = rv.train(NetworkSpec("lcn", {"width": 32}), RHM_.grammar(seed=0), settings=settings, P=400 * 128)
    H = RHM_.grammar(seed=0).masked_plateaus([1]).mean
    assert H[-1] - 0.1 < found.loss[-1] < math.sqrt(H[0] * H[-1])
    assert not len(found.error)
    with pytest.raises(InputError, match="objective='masked' counts no wrong answers"):
        found.learnt_at()


@pytest.mark.parametrize("settings", [RATE, DENOISE], ids=["masked", "denoise"])
def test_all_tokens_are_learnt_beyond_the_first_step(settings):
    settings = replace(settings, protocol="online", batch_size=128, optimiser="adamw", learning_rate=3e-3)
    network = NetworkSpec("decoder", {"width": 32, "heads": 2})
    found = rv.train(network, RHM_.grammar(seed=0), settings=settings, P=300 * 128)
    H = found.plateaus
    assert H[-1] - 0.1 < found.loss[-1] < math.sqrt(H[0] * H[1])


def test_replicas_and_checkpoints_change_nothing(tmp_path):
    for settings in (CLASS, DENOISE):
        runs = [run_of("decoder", settings, seed) for seed in range(2)]
        trainer = trainer_of(runs, CPU)
        for _ in range(11):
            trainer.step()
        trainer.save(tmp_path / "state", ["a"])
        other = trainer_of(runs, CPU)
        other.load(tmp_path / "state", ["a"])
        assert other.steps == 11
        for one in (trainer, other):
            one.finish()
        a, b = (replace(one.outcomes()[1], seconds=0.0) for one in (trainer, other))
        assert a == b
        (alone,) = train_runs(runs[1:], CPU)
        assert alone.best_loss == pytest.approx(a.best_loss, rel=1e-4)
        assert bool(alone.errors) == (settings is CLASS)


class Classifier(torch.nn.Module):
    """One of one's own."""

    def __init__(self, rhm, outputs=3):
        super().__init__()
        self.embed = torch.nn.Embedding(rhm.n_symbols(0) + 1, 8)
        self.out = torch.nn.Linear(8 * rhm.d, outputs)

    def forward(self, ids):
        return self.out(self.embed(ids).flatten(1))


def test_custom_networks_train_on_classes_and_hidden_tokens():
    grammar = RHM_.grammar(seed=0)
    assert np.isfinite(rv.train(Classifier(RHM_), grammar, settings=CLASS, P=100).loss).all()
    assert np.isfinite(rv.train(Classifier(RHM_, 4), grammar, settings=ONE, P=100).loss).all()
    with pytest.raises(InputError, match=r"must give logits of shape \(B, n\)"):
        rv.train(Classifier(RHM_, 4), grammar, settings=CLASS, P=100)
    with pytest.raises(InputError, match="reads out one"):
        rv.train(Classifier(RHM_, 4), grammar, settings=RATE, P=100)
    with pytest.raises(InputError, match=r"objective='denoise' needs"):
        rv.train(Classifier(RHM_, 4), grammar, settings=DENOISE, P=100)


# --- presets and refusals -----------------------------------------------------------------------------------

PRESET = """
summary = "classes"
[[sweep]]
network = "cnn"
arguments = { width = 16 }
ensemble = { v = 4, m = 2, s = 2, L = 2, n = 3 }
grammars = 2
samples = { lowest = 100, highest = 200, per_octave = 1 }
training = { learning_rate = 1.0, objective = "class" }
"""


def test_presets_take_objectives(tmp_path):
    file = tmp_path / "classes.toml"
    file.write_text(PRESET)
    runs = load_preset(file).runs()
    assert [run.settings.objective for run in runs] == ["class"] * 4
    file.write_text(PRESET.replace('"class"', '"masked", hidden = [0, 3]').replace('"cnn"', '"attention"'))
    assert load_preset(file).runs()[0].settings.hidden == (0, 3)
    file.write_text(PRESET.replace('"class"', '"masked", hidden = [0, 3]'))
    with pytest.raises(InputError, match=r"hidden=\(0, 3\) goes with networks that give logits of every token"):
        load_preset(file)


def test_a_study_of_classes_lists_its_runs(tmp_path):
    """Laws of the last token are not asked of the class."""
    file = tmp_path / "classes.toml"
    file.write_text(PRESET.replace('"class"', '"class", max_steps = 9'))
    found = rv.study(file, tmp_path / "out", device="cpu", workers=1, progress=False)
    assert learning_curves(found.finished) == []
    assert "wrong answers" in str(found)
    assert "cnn (class)" in str(found)
    assert str(rv.report(tmp_path / "out")) == str(found)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(FAST, objective="masked"), "hidden is missing"),
        (lambda: replace(FAST, objective="masked", hidden=1.0), "hidden=1.0 hides every token"),
        (lambda: replace(FAST, objective="masked", hidden=()), "hides no token"),
        (lambda: replace(FAST, hidden=0.5), "hidden=0.5 goes with objective='masked'"),
        (lambda: run_of("lcn", replace(ONE, hidden=4)), r"hidden=\(4,\) lies beyond the 4 tokens"),
        (lambda: run_of("decoder", replace(ONE, hidden=range(4))), "hides every token: leave one"),
        (lambda: run_of("cnn", RATE), "hidden=0.4 goes with networks that give logits of every token: attention"),
        (lambda: run_of("cnn", DENOISE), "objective='denoise' needs a network that gives logits of every token"),
        (lambda: run_of("cnn", CLASS, rhm=RHM(4, 2, 2, 2, n=1)), "n=1 leaves one class"),
        (lambda: examples_of(CLASS, rhm=RHM(4, 2, 2, 2, n=1)), "n=1 leaves one class"),
        (lambda: replace(CLASS, context_probe=True), "context_probe=True is for networks"),
        (lambda: rv.cnn(RHM_, width=8, objective="denoise"), "attention, decoder, not cnn"),
        (
            lambda: rv.train(rv.cnn(RHM_, width=8), RHM_.grammar(0), settings=CLASS, P=50),
            "objective='class' is not what this network was made for, 'last'",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
