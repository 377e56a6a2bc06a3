"""The trainer step by step: when it looks, what it keeps, what it counts, and what `train` makes of it."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from specs import spec

torch = pytest.importorskip("torch")

from rhmtheory import RHM, InputError
from rhmvalidation import train
from rhmvalidation.networks.plain import ConvolutionalNetwork
from rhmvalidation.studies import programs
from rhmvalidation.studies.programs import train_runs, trainer_of
from rhmvalidation.studies.runs import Run
from rhmvalidation.training import checkpoints
from rhmvalidation.training import sources as data
from rhmvalidation.training import trainer as training
from rhmvalidation.training.settings import Settings
from rhmvalidation.training.stopping import FIRST_EVALUATION, Record, next_evaluation

CPU = torch.device("cpu")
CNN = spec("cnn", 8)
SMALL = Settings(learning_rate=1.0, max_steps=25, test_size=64, batch_size=16)
RHM_ = RHM(4, 2, 2, 2)


def make_run(seed=0, P=100, settings=SMALL, network=CNN):
    return Run(RHM_, network, P, grammar_seed=seed, run_seed=seed, settings=settings)


class Clock:
    """A clock that goes on by one second whenever it is read."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 1
        return self.now


# --- when it looks ------------------------------------------------------------------------------------------


def test_evaluations_are_a_fifth_apart_and_the_last_step_has_one():
    assert FIRST_EVALUATION == 8
    assert [next_evaluation(step) for step in (8, 10, 12, 100, 101)] == [10, 12, 14, 120, 121]
    assert next_evaluation(1) == 2
    (outcome,) = train_runs([make_run()], CPU)
    assert [step for step, _ in outcome.curve] == [0, 8, 10, 12, 14, 17, 20, 24, 25]
    assert outcome.steps == 25
    online = replace(SMALL, protocol="online")
    (outcome,) = train_runs([make_run(P=16 * 11, settings=online)], CPU)
    assert [step for step, _ in outcome.curve] == [0, 8, 10, 11]


def test_steps_are_told_one_by_one():
    told = []
    train_runs([make_run()], CPU, told.append)
    assert told == list(range(1, 26))


def test_the_test_set_is_read_in_parts(monkeypatch):
    runs = [make_run(seed) for seed in (0, 1)]
    at_once = train_runs(runs, CPU)
    monkeypatch.setattr(training, "_EVALUATION_BATCH", 24)
    in_parts = train_runs(runs, CPU)
    for a, b in zip(at_once, in_parts, strict=True):
        assert [step for step, _ in a.curve] == [step for step, _ in b.curve]
        np.testing.assert_allclose([loss for _, loss in a.curve], [loss for _, loss in b.curve], rtol=1e-5)


def test_networks_train_in_training_mode_and_are_tested_in_the_other():
    trainer = trainer_of([make_run()], CPU)
    seen = []
    trainer.network.register_forward_hook(lambda module, args, out: seen.append(module.training))
    for _ in range(FIRST_EVALUATION):
        trainer.step()
    assert seen == [True] * FIRST_EVALUATION + [False]
    assert trainer.network.training


# --- how it steps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["last", "all"])
def test_a_step_follows_the_gradient_of_the_loss_of_its_batch(objective):
    """SGD by hand: rate times the width, decay, warmup and cosine, on the sentences that the trainer draws."""
    settings = replace(
        SMALL, objective=objective, learning_rate=0.01, weight_decay=0.1, warmup=2, schedule="cosine"
    )
    run = make_run(settings=settings, network=spec("decoder", 8, heads=2))
    trainer, twin = trainer_of([run], CPU), trainer_of([run], CPU)
    network = twin.network
    for step in range(1, 6):
        tokens = twin.examples._batches.batch().long()
        if objective == "all":
            logits, aims = network.every_token(tokens).flatten(0, 2), tokens.flatten()
        else:
            logits, aims = network(tokens).flatten(0, 1), tokens[..., -1].flatten()
        network.zero_grad()
        torch.nn.functional.cross_entropy(logits, aims).backward()
        part = step / 2 if step <= 2 else 0.5 * (1 + math.cos(math.pi * (step - 2) / 23))
        with torch.no_grad():
            for p in network.parameters():
                p -= 0.01 * part * (p.grad + 0.1 * p)
        trainer.step()
        for mine, other in zip(network.parameters(), trainer.network.parameters(), strict=True):
            torch.testing.assert_close(mine, other)


def test_bfloat16_changes_a_step_and_only_a_little():
    """The update is that of float32 within the 8 bits of its products, and not that of float32."""

    def update(precision):
        settings = replace(SMALL, batch_size=64, precision=precision)
        trainer = trainer_of([make_run(settings=settings, network=spec("cnn", 64))], CPU)
        before = [p.detach().clone() for p in trainer.network.parameters()]
        trainer.step()
        now = trainer.network.parameters()
        return torch.cat([(p.detach() - q).flatten() for p, q in zip(now, before, strict=True)])

    exact, rough = update("float32"), update("bfloat16")
    assert torch.equal(exact, update("float32"))
    assert 0 < (rough - exact).norm() < 0.05 * exact.norm()


def test_rates_are_in_units_of_the_parametrisation():
    trainer = trainer_of([make_run(settings=replace(SMALL, learning_rate=rate)) for rate in (0.5, 2.0)], CPU)
    assert trainer._optimiser._rates.tolist() == [4, 16]
    assert trainer._optimiser._cosine_until is None


def test_the_last_step_of_the_staircase_is_that_of_each_grammar():
    runs = [make_run(seed) for seed in (0, 1)]
    trainer = trainer_of(runs, CPU)
    for run, record in zip(runs, trainer._records, strict=True):
        H = run.grammar().plateaus()
        assert record._last_step == pytest.approx(math.sqrt(H[1] * H[2]))
        assert record._max_steps == 25


# --- what it keeps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "stopped", "kept"),
    [
        ("cpu", [], None),
        ("cpu", [1], [0, 2, 3, 4]),
        ("cpu", [0, 1, 2, 3, 4], []),
        ("cuda", [], None),
        ("cuda", [1, 4], None),
        ("cuda", [0, 1, 4], [2, 3]),
        ("cuda", [0, 1, 2, 3, 4], []),
    ],
)
def test_stopped_replicas_are_dropped_at_once_or_where_that_halves_the_work(monkeypatch, device, stopped, kept):
    """A GPU does all replicas at once; a CPU one after the other."""
    trainer = trainer_of([make_run(seed) for seed in range(5)], CPU)
    for i in stopped:
        trainer._records[i].stopped = True
    seen = []
    monkeypatch.setattr(trainer, "_keep", seen.append)
    monkeypatch.setattr(trainer, "_device", SimpleNamespace(type=device))
    trainer._evaluate()
    assert seen == ([] if kept is None else [kept])


def test_what_is_left_after_a_drop_is_that_of_the_replicas_kept():
    settings = replace(SMALL, context_probe=True)
    trainer = trainer_of([make_run(seed, settings=settings) for seed in range(3)], CPU)
    test, weights = trainer.examples.test_rows.clone(), [p.detach().clone() for p in trainer.network.parameters()]
    trainer._keep([2, 0])
    assert trainer.replicas == [2, 0]
    assert torch.equal(trainer.examples.test_rows, test[[2, 0]])
    assert all(torch.equal(p, old[[2, 0]]) for p, old in zip(trainer.network.parameters(), weights, strict=True))
    trainer.finish()
    assert all(record.stopped for record in trainer._records if record is not trainer._records[1])
    assert len(trainer._records[0].divergence) > 1
    trainer._keep([])
    assert trainer.replicas == []


def module_of(trainer, task):
    module = CNN.module(RHM_)
    module.load_state_dict(trainer.best_weights(task))
    return module


def test_each_task_has_the_network_of_its_own_best_loss():
    runs = [make_run(seed, P=20, settings=replace(SMALL, max_steps=60, learning_rate=4.0)) for seed in (0, 1)]
    trainer = trainer_of(runs, CPU, keep_best=True)
    test = trainer.examples.test_rows.clone()
    trainer.finish()
    for i, outcome in enumerate(trainer.outcomes()):
        with torch.no_grad():
            logits = module_of(trainer, i)(test[i])
        loss = torch.nn.functional.cross_entropy(logits, test[i, :, -1].long()).item()
        assert loss == pytest.approx(outcome.best_loss, rel=1e-5)
        assert outcome.best_step > 0
    assert trainer_of(runs, CPU)._best is None


# --- records ------------------------------------------------------------------------------------------------


def record(**rest):
    return Record(replace(SMALL, **rest), max_steps=100, last_step=0.5)


def test_a_record_stops_at_its_most_steps_and_notes_nothing_afterwards():
    found = record(patience=50.0)
    found.add(99, 1.0, [])
    assert not found.stopped
    found.add(100, 0.9, [0.1])
    assert found.stopped
    found.add(101, 0.1, [0.2])
    assert (found.best_loss, found.best_step, found.steps) == (0.9, 100, 100)
    assert (found.curve, found.divergence) == ([(99, 1.0), (100, 0.9)], [(100, [0.1])])


def test_patience_counts_from_the_first_evaluation_and_offline_alone():
    found = record(patience=2.0)
    found.add(0, 1.0, [])
    found.add(16, 2.0, [])
    assert not found.stopped
    found.add(17, 2.0, [])
    assert found.stopped
    patient = record(patience=2.0, least_steps=17)
    patient.add(0, 1.0, [])
    patient.add(17, 2.0, [])
    assert not patient.stopped
    patient.add(18, 2.0, [])
    assert patient.stopped
    online = record(patience=2.0, protocol="online")
    online.add(0, 1.0, [])
    online.add(99, 2.0, [])
    assert not online.stopped


def test_a_loss_counts_as_best_or_crossed_only_below():
    found = record(protocol="online", after_last_step=2.0)
    for step, loss in ((0, 2.0), (8, 0.5), (10, 0.5), (12, 0.4), (14, 0.4)):
        found.add(step, loss, [])
    assert (found.best_step, found.crossed) == (12, 12)
    found.add(23, 1.0, [])
    assert not found.stopped
    found.add(24, 1.0, [])
    assert found.stopped
    again = record()
    again.load(found.state())
    assert again.state() == found.state()
    assert (again._max_steps, again._patience) == (100, 3.0)


def test_a_record_that_diverges_keeps_what_it_had():
    found = record()
    found.add(0, 1.0, [])
    found.add(8, math.inf, [0.3])
    assert (found.stopped, found.diverged, found.curve, found.divergence) == (True, True, [(0, 1.0)], [])
    outcome = found.outcome(1.5)
    assert (outcome.best_loss, outcome.best_step, outcome.steps, outcome.seconds) == (1.0, 0, 8, 1.5)
    assert outcome.diverged


# --- seconds and checkpoints --------------------------------------------------------------------------------


def test_seconds_are_shared_by_the_replicas_and_go_on_from_a_checkpoint(monkeypatch, tmp_path):
    clock = Clock()
    monkeypatch.setattr(training, "time", clock)
    runs = [make_run(seed) for seed in (0, 1)]
    keys = [run.key for run in runs]
    trainer = trainer_of(runs, CPU)  # begins at 1
    assert [outcome.seconds for outcome in trainer.outcomes()] == [0.5, 0.5]
    clock.now = 100
    trainer.save(tmp_path / "state", keys)  # after 100 seconds
    assert list(tmp_path.iterdir()) == [tmp_path / "state"]
    other = trainer_of(runs, CPU)  # begins at 102
    other.load(tmp_path / "state", keys)
    clock.now = 111
    assert other.outcomes()[0].seconds == pytest.approx((10 + 100) / 2)


def test_checkpoints_are_written_now_and_then(monkeypatch, tmp_path):
    """The clock is read once a step, and once more when the state is saved."""
    saved = []
    monkeypatch.setattr(programs, "time", Clock())
    monkeypatch.setattr(training.Trainer, "save", lambda trainer, path, keys: saved.append(trainer.steps))
    train_runs([make_run()], CPU, checkpoint=tmp_path / "state", checkpoint_seconds=5.0)
    assert saved == [6, 12, 18, 24]
    saved.clear()
    train_runs([make_run()], CPU, checkpoint=tmp_path / "state")
    assert saved == []  # two minutes apart, unless told otherwise
    train_runs([make_run()], CPU, checkpoint_seconds=5.0)
    assert saved == []


def test_a_checkpoint_that_is_refused_is_as_none(tmp_path):
    run = make_run()
    trainer = trainer_of(runs=[run], device=CPU)
    for _ in range(10):
        trainer.step()
    path = tmp_path / "state"
    trainer.save(path, [run.key])
    state = checkpoints.read_checkpoint(path, CPU)
    assert set(state) == {
        *("format", "device", "keys", "replicas", "steps", "next"),
        *("network", "optimiser", "batches", "records", "seconds"),
    }
    assert (state["format"], state["device"], state["steps"], state["next"]) == (4, "cpu", 10, 12)
    for change in ({"more": 0}, {"format": 1}, {"keys": ["other"]}):
        checkpoints.write_checkpoint(path, {**state, **change})
        fresh = trainer_of([run], CPU)
        fresh.load(path, [run.key])
        assert fresh.steps == 0
    checkpoints.write_checkpoint(path, state)
    fresh.load(path, [run.key])
    assert (fresh.steps, fresh._next_evaluation) == (10, 12)
    fresh.load(tmp_path / "none", [run.key])
    assert fresh.steps == 10


# --- train --------------------------------------------------------------------------------------------------


def test_sizes_are_trained_from_one_seed_each_a_point_of_the_curve():
    grammar = RHM_.grammar(0)
    found = train(CNN, grammar, settings=SMALL, P=[60, 20], seed=3)
    assert found.grammar is grammar
    assert found.P.tolist() == [20, 60]
    assert found.loss.tolist() == [outcome.best_loss for outcome in found.outcomes]
    assert not found.network.training
    tokens = torch.from_numpy(grammar.sample(5, seed=0)).long()
    assert found.network(tokens).shape == (5, 4)
    alone = train(CNN, grammar, settings=SMALL, P=60, seed=3)
    torch.testing.assert_close(alone.network(tokens), found.network(tokens))
    other = train(CNN, grammar, settings=SMALL, P=60)
    assert other.outcomes[0].curve != alone.outcomes[0].curve
    same = train(CNN, grammar, settings=SMALL, P=60, seed=0)
    assert same.outcomes[0].curve == other.outcomes[0].curve


def test_a_module_has_the_weights_of_its_best_loss_afterwards():
    grammar = RHM_.grammar(0)
    settings = replace(SMALL, optimiser="adamw", learning_rate=0.05, max_steps=80)
    module = torch.nn.Sequential(torch.nn.Embedding(5, 8), torch.nn.Flatten(), torch.nn.Linear(32, 4))
    found = train(Masked(module), grammar, settings=settings, P=[30, 10], seed=1)
    assert isinstance(found.network, Masked)
    assert found.network.inner is module
    assert found.outcomes[1].best_step < found.outcomes[1].steps
    test = data.held_out([grammar], [1], 64, CPU)[0]
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(found.network(test.long()), test[:, -1].long()).item()
    assert loss == pytest.approx(found.outcomes[1].best_loss, rel=1e-5)


class Masked(torch.nn.Module):
    """Never reads the last token."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, tokens):
        return self.inner(torch.cat([tokens[:, :-1], torch.full_like(tokens[:, -1:], 4)], dim=1))


@pytest.mark.parametrize(
    ("samples", "settings", "message"),
    [
        ([], SMALL, "P is empty"),
        ([0, 10], SMALL, "P=0 is too small"),
        ([10, 20], replace(SMALL, protocol="online"), "an online run sees all sizes up to the largest"),
        ([], replace(SMALL, protocol="online"), "an online run sees all sizes"),
        (2.5, SMALL, "P=2.5 is not an integer"),
        ("many", SMALL, "P='m' is not an integer"),
    ],
)
def test_samples_that_cannot_be(samples, settings, message):
    with pytest.raises(InputError, match=message):
        train(CNN, RHM_.grammar(0), settings=settings, P=samples)


def test_numbers_of_numpy_are_numbers():
    grammar, one = RHM_.grammar(0), np.int64(1)
    plain = train(CNN, grammar, settings=SMALL, P=60, seed=1)
    numpy = replace(SMALL, batch_size=16 * one, max_steps=25 * one)
    for samples in (np.int64(60), np.array([60])):
        found = train(spec("cnn", 8 * one), grammar, settings=numpy, P=samples, seed=one)
        assert found.outcomes[0].curve == plain.outcomes[0].curve
    run = Run(RHM_, spec("cnn", 8 * one), np.int64(100), one, one, numpy)
    assert run.key == make_run(1).key


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "no such device"}, "device='no such device' cannot be used here: .*; try auto"),
        ({"device": "cuda:99"}, "device='cuda:99' cannot be used here"),
        ({"device": torch.device("cuda:99")}, "device='cuda:99' cannot be used here"),
        ({"seed": -1}, "seed=-1 is too small"),
        ({"network": abs}, "network=<built-in function abs> is no torch.nn.Module"),
    ],
)
def test_arguments_that_cannot_be(given, message):
    with pytest.raises(InputError, match=message):
        train(**{"network": CNN, "grammar": RHM_.grammar(0), "settings": SMALL, "P": 20} | given)


def test_the_device_is_picked_where_it_is_left_open(monkeypatch):
    found = train(CNN, RHM_.grammar(0), settings=replace(SMALL, max_steps=1), P=20, device="auto")
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    assert {parameter.device.type for parameter in found.network.parameters()} == {wanted}


def test_one_run_gives_its_outcome_and_network():
    trainer = trainer_of([make_run()], CPU, keep_best=True)
    trainer.finish()
    assert trainer.outcomes()[0].curve == train_runs([make_run()], CPU)[0].curve
    assert isinstance(module_of(trainer, 0), ConvolutionalNetwork)


def test_test_sentences_are_evaluated_in_parts(monkeypatch):
    runs = [make_run(), make_run(seed=1)]
    whole = train_runs(runs, CPU)
    monkeypatch.setattr(training, "_EVALUATION_BATCH", 7)
    for a, b in zip(whole, train_runs(runs, CPU), strict=True):
        assert [step for step, _ in a.curve] == [step for step, _ in b.curve]
        np.testing.assert_allclose([loss for _, loss in a.curve], [loss for _, loss in b.curve], rtol=1e-5)
