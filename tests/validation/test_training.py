"""One run: what it learns, when it stops, and that replicas do not depend on each other."""

import json
import math
import pickle
from dataclasses import asdict, replace

import numpy as np
import pytest
from specs import spec

torch = pytest.importorskip("torch")

from rhmtheory import RHM, Grammar, InputError, zipf
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.studies.programs import train_runs, trainer_of
from rhmvalidation.studies.runs import Run
from rhmvalidation.training import sources as data
from rhmvalidation.training.checkpoints import read_checkpoint, write_checkpoint
from rhmvalidation.training.examples import cross_entropy
from rhmvalidation.training.outcome import points
from rhmvalidation.training.settings import Settings
from rhmvalidation.training.stopping import Record
from rhmvalidation.training.trainer import Trainer

CPU = torch.device("cpu")
FAST = Settings(learning_rate=1.0, max_steps=60, test_size=256, batch_size=32)


def make_run(seed=0, P=200, network="cnn", settings=FAST, width=16):
    return Run(
        RHM(4, 2, 2, 2), spec(network, width, heads=2), P, grammar_seed=seed, run_seed=seed, settings=settings
    )


def same(first, second):
    a, b = asdict(first), asdict(second)
    a.pop("seconds"), b.pop("seconds")
    return a == b


def agree(first, second):
    """Whether two outcomes differ by no more than sums in another order do."""
    close = first.best_loss == pytest.approx(second.best_loss, rel=1e-4)
    return close and (first.best_step, first.steps) == (second.best_step, second.steps)


@pytest.mark.parametrize(
    ("network", "objective"),
    [
        ("cnn", "last"),
        ("lcn", "last"),
        ("fcn", "last"),
        ("attention", "last"),
        ("decoder", "last"),
        ("decoder", "all"),
    ],
)
@pytest.mark.parametrize("protocol", ["offline", "online"])
def test_a_network_learns_down_to_the_floor_of_its_grammar(network, objective, protocol):
    settings = replace(FAST, max_steps=600, batch_size=128, protocol=protocol, objective=objective)
    if network not in ("cnn", "lcn", "fcn"):
        settings = replace(settings, optimiser="adamw", learning_rate=3e-3, schedule="cosine", warmup=20)
    run = make_run(P=4000 if protocol == "offline" else 600 * 128, network=network, settings=settings, width=32)
    H = run.rhm.grammar(run.grammar_seed).plateaus()
    (outcome,) = train_runs([run], CPU)
    assert outcome.curve[0][0] == 0
    assert outcome.curve[0][1] > H[0] - 0.1
    # the floor is exact for the distribution, and the test set is a sample of 256
    assert H[-1] - 0.15 < outcome.best_loss < math.sqrt(H[0] * H[1])


def test_replicas_and_single_runs_agree():
    runs = [make_run(seed) for seed in range(3)]
    together = train_runs(runs, CPU)
    alone = [train_runs([run], CPU)[0] for run in runs]
    assert all(agree(a, b) for a, b in zip(together, alone, strict=True))


# the smaller the training set, the sooner a run stops: the first three of these six within 120 steps
DROPPING = replace(FAST, optimiser="adamw", learning_rate=1e-3, patience=1.5, max_steps=400)
SIZES = (4, 8, 2000, 30, 16, 4000)


def test_stopped_replicas_are_dropped_and_leave_the_others_alone(monkeypatch):
    dropped = []
    keep = Trainer._keep

    def spy(trainer, positions):
        if 0 < len(positions) < len(trainer.replicas):
            dropped.append([trainer.replicas[i] for i in positions])
        keep(trainer, positions)

    runs = [make_run(seed, P, settings=DROPPING) for seed, P in enumerate(SIZES)]
    alone = [train_runs([run], CPU)[0] for run in runs]
    monkeypatch.setattr(Trainer, "_keep", spy)
    together = train_runs(runs, CPU)
    assert dropped
    assert all(0 not in kept for kept in dropped)  # its four sentences are soon learnt by heart
    assert all(agree(a, b) for a, b in zip(together, alone, strict=True))


def test_the_same_run_gives_the_same_outcome_and_another_seed_another():
    (first,), (second,), (third,) = (train_runs([make_run(seed)], CPU) for seed in (0, 0, 1))
    assert same(first, second)
    assert not same(first, third)


def test_divergence_is_recorded_and_leaves_the_neighbours_alone():
    wild = replace(FAST, learning_rate=1e20)
    (outcome,) = train_runs([make_run(settings=wild)], CPU)
    assert outcome.diverged
    assert math.isfinite(outcome.best_loss)  # what it had before
    lone = [train_runs([make_run(seed)], CPU)[0] for seed in (0, 1)]
    # of two replicas the wild one is dropped once it has stopped, of three it goes on beside the others
    for neighbours in ((0,), (0, 1)):
        runs = [make_run(settings=wild), *map(make_run, neighbours)]
        first, *tame = train_runs(runs, CPU)
        assert same(first, outcome)
        for seed, other in zip(neighbours, tame, strict=True):
            assert not other.diverged
            assert agree(other, lone[seed])


def test_training_stops_when_patience_runs_out():
    record = Record(replace(FAST, patience=2.0), max_steps=1000, last_step=0.2)
    losses = {0: 2.0, 8: 1.0, 10: 0.5, 12: 0.6, 20: 0.6, 21: 0.6, 40: 0.1}
    for step, loss in losses.items():
        record.add(step, loss, [])
    assert (record.best_step, record.best_loss) == (10, 0.5)
    assert record.steps == 21  # the first evaluation beyond twice the best step
    assert record.stopped
    assert not record.diverged


def test_online_training_stops_after_its_last_step():
    """At a multiple of the step at which the loss first crossed the last plateau's upper edge, not before."""
    record = Record(replace(FAST, protocol="online", after_last_step=1.5), max_steps=1000, last_step=0.5)
    losses = {0: 2.0, 10: 0.6, 20: 0.4, 24: 0.7, 29: 0.3, 30: 0.3, 40: 0.1}
    for step, loss in losses.items():
        record.add(step, loss, [])
    assert record.crossed == 20
    assert (record.steps, record.stopped) == (30, True)
    assert record.best_loss == 0.3


def test_runs_stop_after_the_last_step_of_their_own_grammar():
    online = replace(FAST, protocol="online", batch_size=128)
    full, cut = (
        train_runs([make_run(P=600 * 128, settings=replace(online, after_last_step=after), width=32)], CPU)[0]
        for after in (None, 1.2)
    )
    H = make_run().grammar().plateaus()
    crossed = next(step for step, loss in full.curve if loss < math.sqrt(H[-2] * H[-1]))
    assert full.steps == 600
    assert cut.curve == tuple(point for point in full.curve if point[0] <= cut.steps)
    assert cut.steps == next(step for step, _ in full.curve if step >= 1.2 * crossed) < 600


def test_a_seed_makes_the_grammar_by_its_rule():
    ours = make_run(seed=3)
    published = replace(ours, seed_rule="published")
    assert ours.grammar() == ours.rhm.grammar(3)
    assert published.grammar() == Grammar.from_published_seed(ours.rhm, 3)
    assert published.key != ours.key
    assert published.shares_program_with(ours)


def test_the_objective_needs_a_network_that_predicts_every_token():
    with pytest.raises(InputError, match="objective='all' needs a network that predicts every token: decoder"):
        make_run(settings=replace(FAST, objective="all"))


def test_batches_come_from_the_training_set_alone():
    grammar = make_run().rhm.grammar(0)
    source = data.TrainingSet([grammar, grammar], [5, 6], [3, 7], 16, CPU)
    seen = [set(), set()]
    for _ in range(200):
        batch = source.batch()
        assert batch.shape == (2, 16, 4)
        for r in range(2):
            seen[r] |= {tuple(row) for row in batch[r].tolist()}
    assert len(seen[0]) <= 3
    assert len(seen[1]) <= 7
    assert len(seen[0]) + len(seen[1]) >= 4


def test_fresh_sentences_have_the_exact_distribution():
    grammars = [make_run().rhm.grammar(seed) for seed in (0, 1)]
    source = data.FreshSentences(grammars, [5, 6], 512, CPU)
    batches = torch.cat([source.batch() for _ in range(64)], dim=1)
    assert batches.dtype == torch.uint8
    for r, grammar in enumerate(grammars):
        tokens = batches[r].numpy()
        assert all((level >= 0).all() for level in grammar.parse(tokens).levels)
        n = len(tokens)
        for position in range(4):
            expected = grammar.marginal(0, position)
            counts = np.bincount(tokens[:, position], minlength=4)
            assert (np.abs(counts / n - expected) < 5 * np.sqrt(0.25 / n)).all()
        C = grammar.covariance(0, 3)
        joint = np.zeros((4, 4))
        np.add.at(joint, (tokens[:, 0], tokens[:, 3]), 1 / n)
        measured = joint - np.outer(joint.sum(1), joint.sum(0))
        assert (np.abs(measured - C) < 5 * np.sqrt(0.25 / n)).all()


UNEQUAL = [
    RHM(v=(5, 4), m=(3, 2), s=(2, 3), L=2, n=3, rule_probabilities=[zipf(3, 1.0), zipf(2, 0.5)]).grammar(0),
    RHM(v=4, m=3, s=2, L=2).grammar(1).reweighted(prior=[0.1, 0.2, 0.3, 0.4]),
]


@pytest.mark.parametrize("grammar", UNEQUAL, ids=["levels that differ", "classes"])
def test_fresh_sentences_follow_rule_probabilities(grammar):
    """Against the grammar's exact marginals and the exact law of its rules, within five standard errors."""
    source = data.FreshSentences([grammar], [7], 512, CPU)
    tokens = torch.cat([source.batch() for _ in range(64)], dim=1)[0].numpy()
    n = len(tokens)
    trees = grammar.parse(tokens)
    for level, symbols in enumerate(trees.levels):
        for node in range(grammar.shape.width(level)):
            p = grammar.marginal(level, node)
            found = np.bincount(symbols[:, node], minlength=len(p)) / n
            assert (np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / n) + 1e-12).all()
    for level in range(1, grammar.shape.L + 1):
        used = trees.rules(level)[:, 0]
        for symbol, p in enumerate(grammar.rule_probabilities(level)):
            mine = used[trees.level(level)[:, 0] == symbol]
            found = np.bincount(mine, minlength=len(p)) / len(mine)
            assert (np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / len(mine))).all()


def test_equally_likely_rules_are_drawn_as_ever():
    """Runs of one seed see the same sentences whoever trains beside them, of whatever rules."""
    uniform, zipfian = RHM(5, 3, 2, 2), RHM(5, 3, 2, 2, rule_probabilities=zipf(3, 1.0))
    alone = data.FreshSentences([zipfian.grammar(1)], [6], 16, CPU)
    pair = data.FreshSentences([zipfian.grammar(0), zipfian.grammar(1)], [5, 6], 16, CPU)
    assert torch.equal(pair.batch()[1], alone.batch()[0])
    batch = data.FreshSentences([uniform.grammar(0)], [5], 16, CPU).batch()
    assert batch[0, :6].tolist() == [
        [0, 3, 0, 3],
        [0, 0, 2, 2],
        [1, 0, 4, 1],
        [4, 1, 1, 3],
        [0, 3, 2, 0],
        [1, 3, 2, 0],
    ]


@pytest.mark.parametrize("network", ["cnn", "lcn", "fcn", "attention", "decoder"])
def test_networks_train_on_any_ensemble(network):
    rhm = UNEQUAL[0].rhm
    settings = replace(FAST, protocol="online", optimiser="adamw", learning_rate=1e-3)
    (outcome,) = train_runs([Run(rhm, spec(network, 16), 640, 0, 0, settings)], CPU)
    assert outcome.best_loss < outcome.curve[0][1]


@pytest.mark.parametrize("kind", ["offline", "online"])
@pytest.mark.parametrize("used", [0, 31, 32, 33, 64])  # blocks are 32 batches
def test_sources_of_data_go_on_from_their_state(kind, used):
    grammars = [make_run().rhm.grammar(seed) for seed in range(3)]

    def source():
        if kind == "online":
            return data.FreshSentences(grammars, [5, 6, 7], 8, CPU)
        return data.TrainingSet(grammars, [5, 6, 7], [10, 20, 30], 8, CPU)

    first, second = source(), source()
    for _ in range(used):
        first.batch()
    state = first.state()
    assert state[1] == -used % 32
    if not state[1]:  # nothing to draw again
        assert all(map(torch.equal, state[0], first._generator_states()))
    second.load(state)
    for _ in range(40):
        assert torch.equal(first.batch(), second.batch())
    second.keep([2, 0])
    for _ in range(40):
        assert torch.equal(first.batch()[[2, 0]], second.batch())


@pytest.mark.parametrize("protocol", ["offline", "online"])
@pytest.mark.parametrize("done", [32, 37])
def test_training_goes_on_from_a_checkpoint_with_the_same_outcome(tmp_path, protocol, done):
    settings = replace(FAST, protocol=protocol, optimiser="adamw", learning_rate=1e-3, patience=1.5)
    runs = [make_run(seed, P=2000, settings=settings) for seed in range(3)]
    expected = train_runs(runs, CPU)
    path = saved(tmp_path / "state.pt", runs, done)
    steps = []
    outcomes = train_runs(runs, CPU, steps.append, checkpoint=path)
    assert steps[0] == done + 1
    assert path.exists()  # until the caller has written the outcomes down
    assert all(same(a, b) for a, b in zip(expected, outcomes, strict=True))


@pytest.mark.parametrize("done", [128, 150])
def test_training_goes_on_from_a_checkpoint_behind_a_drop(tmp_path, done):
    runs = [make_run(seed, P, settings=DROPPING) for seed, P in enumerate(SIZES)]
    path = saved(tmp_path / "state.pt", runs, done)
    assert len(read_checkpoint(path, CPU)["replicas"]) < len(runs)
    assert all(
        same(a, b) for a, b in zip(train_runs(runs, CPU), train_runs(runs, CPU, checkpoint=path), strict=True)
    )


def saved(path, runs, done):
    """A checkpoint of these runs after some steps."""
    trainer = trainer_of(runs, CPU)
    for _ in range(done):
        trainer.step()
    trainer.save(path, [run.key for run in runs])
    return path


def is_ignored(path, run):
    steps = []
    (outcome,) = train_runs([run], CPU, steps.append, checkpoint=path)
    return steps[0] == 1 and same(outcome, train_runs([run], CPU)[0])


def test_damaged_checkpoints_and_those_of_other_runs_are_ignored(tmp_path):
    path = tmp_path / "state.pt"
    path.write_bytes(b"half of a file")
    assert is_ignored(path, make_run())
    saved(path, [make_run(1)], 10)
    assert is_ignored(path, make_run())
    content = saved(path, [make_run()], 10).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert is_ignored(path, make_run())
    # one bit of a weight: torch reads it
    path.write_bytes(content[:2000] + bytes([content[2000] ^ 1]) + content[2001:])
    assert is_ignored(path, make_run())


def without(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(without("format"), id="no format"),
        pytest.param(without("device"), id="no device"),
        pytest.param(without("keys"), id="no keys"),
        pytest.param(lambda state: state | {"format": 0}, id="older"),
        pytest.param(lambda state: state | {"device": "cuda"}, id="other device"),  # generators of other states
        pytest.param(lambda state: state["network"], id="weights alone"),
        pytest.param(lambda state: torch.zeros(3), id="tensor"),
        pytest.param(lambda state: [state], id="list"),
        pytest.param(lambda state: state | {"network": [1]}, id="no weights"),
        pytest.param(lambda state: state | {"replicas": [7]}, id="replicas that are not there"),
        pytest.param(lambda state: state | {"records": [{}]}, id="no records"),
        pytest.param(lambda state: state | {"next": 10**9}, id="an evaluation that never comes"),
        pytest.param(lambda state: state | {"steps": 10**9}, id="steps behind the last"),
        pytest.param(lambda state: state | {"steps": 1000, "next": 1001}, id="steps beyond all"),
    ],
)
def test_checkpoints_of_other_formats_are_ignored(tmp_path, change):
    path = saved(tmp_path / "state.pt", [make_run()], 10)
    state = read_checkpoint(path, CPU)
    write_checkpoint(path, state)
    assert not is_ignored(path, make_run())
    write_checkpoint(path, change(state))
    assert is_ignored(path, make_run())


@pytest.mark.parametrize("byte", [0, 255])
def test_altered_checkpoints_are_ignored(tmp_path, byte):
    """By their digest, whichever of the two is the greater one."""
    path = saved(tmp_path / "state.pt", [make_run()], 10)
    content = path.read_bytes()
    path.write_bytes(bytes(32 * [byte]) + content[32:])
    assert read_checkpoint(path, CPU) is None
    path.write_bytes(content)
    assert read_checkpoint(path, CPU)["steps"] == 10


class _Planted:
    """An object whose reading makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_checkpoint_runs_no_code(tmp_path):
    """Not even with the right digest, which anybody can compute."""
    path, planted = tmp_path / "state.pt", tmp_path / "planted"
    content = pickle.dumps(_Planted(planted))
    pickle.loads(content).close()
    planted.unlink()  # so that is what it does
    write_checkpoint(path, _Planted(planted))
    assert is_ignored(path, make_run())
    assert not planted.exists()


def test_a_checkpoint_that_cannot_be_written_is_no_end_of_training(tmp_path):
    path = tmp_path / "no such folder" / "state.pt"
    with pytest.warns(UserWarning, match="training goes on without"):
        (outcome,) = train_runs([make_run()], CPU, checkpoint=path, checkpoint_seconds=0)
    assert same(outcome, train_runs([make_run()], CPU)[0])


def test_a_rate_of_its_own_for_every_replica():
    slow = replace(FAST, learning_rate=0.1)
    together = train_runs([make_run(), make_run(settings=slow)], CPU)
    alone = train_runs([make_run()], CPU) + train_runs([make_run(settings=slow)], CPU)
    for a, b in zip(together, alone, strict=True):
        assert a.best_loss == pytest.approx(b.best_loss, rel=1e-4)
    assert together[0].best_loss != together[1].best_loss


def test_runs_of_other_networks_share_no_program():
    with pytest.raises(InputError, match="only grammar, seeds, P and learning rate may differ"):
        train_runs([make_run(), make_run(network="lcn")], CPU)


def test_bfloat16_comes_close_to_float32():
    settings = replace(FAST, max_steps=400, batch_size=128)
    (exact,) = train_runs([make_run(P=4000, settings=settings)], CPU)
    (rough,) = train_runs([make_run(P=4000, settings=replace(settings, precision="bfloat16"))], CPU)
    assert rough.best_loss == pytest.approx(exact.best_loss, rel=0.05)
    assert rough.best_loss != exact.best_loss


def test_the_context_probe_finds_the_context_that_is_used():
    settings = replace(FAST, max_steps=600, batch_size=128, context_probe=True)
    (outcome,) = train_runs([make_run(P=4000, settings=settings, width=32)], CPU)
    divergence = np.array([values for _, values in outcome.divergence])
    assert divergence.shape == (len(outcome.curve), 3)
    assert divergence[0].argmin() == 0  # at first the network knows nothing of its input
    best = [step for step, _ in outcome.divergence].index(outcome.best_step)
    assert divergence[best].argmin() == 2  # at last it sees the whole sentence
    # KL(ideal of full context || network) is what its loss exceeds the floor by
    H = make_run().rhm.grammar(0).plateaus()
    assert divergence[best, 2] == pytest.approx(outcome.best_loss - H[2], abs=0.1)


def test_a_trained_network_is_that_of_its_best_loss():
    settings = replace(FAST, max_steps=400, learning_rate=4.0)
    run = make_run(P=60, settings=settings)
    trainer = trainer_of([run], CPU, keep_best=True)
    trainer.finish()
    outcome, network = trainer.outcomes()[0], run.network.module(run.rhm)
    network.load_state_dict(trainer.best_weights(0))
    assert same(outcome, train_runs([run], CPU)[0])
    assert outcome.best_step < outcome.steps
    test = data.held_out([run.rhm.grammar(0)], [0], settings.test_size, CPU)
    with torch.no_grad():
        loss = cross_entropy(network(test[0])[None, :, None], test[..., -1:]).item()
    assert loss == pytest.approx(outcome.best_loss, rel=1e-5)


def test_points_of_a_learning_curve():
    (offline,) = train_runs([make_run()], CPU)
    assert points(FAST, 200, offline) == [(200, offline.best_loss)]
    online = make_run(P=640, settings=replace(FAST, protocol="online"))
    (outcome,) = train_runs([online], CPU)
    found = points(online.settings, 640, outcome)
    assert [P for P, _ in found] == [32 * step for step, _ in outcome.curve[1:]]
    assert [loss for _, loss in found] == [loss for _, loss in outcome.curve[1:]]


def test_cross_entropy_of_logits():
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    tokens = torch.randint(5, (2, 3, 4), generator=torch.Generator().manual_seed(1))
    expected = -logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0].mean(dim=1)
    torch.testing.assert_close(cross_entropy(logits, tokens), expected)


def test_the_key_of_a_run_names_its_content():
    assert make_run(0).key == make_run(0).key
    assert make_run(0).key != make_run(1).key
    assert make_run(0).key != make_run(0, width=17).key
    assert make_run(0).key == make_run(0, settings=replace(FAST, learning_rate=1)).key  # 1 is 1.0


def test_keys_of_recorded_runs_stay():
    """Results on disk are found by the hash of their content: a field that came later must not change it."""
    settings = Settings(learning_rate=4.0, protocol="online", after_last_step=1.5)
    assert Run(RHM(8, 2, 2, 3), spec("cnn", 128), 262144, 0, 0, settings).key == "cb37b8b5409579b4"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimiser": "newton"}, "optimiser='newton' is unknown: choose one of sgd, adamw"),
        ({"warmup": -1}, "warmup=-1 is too small: it must be at least 0"),
        ({"protocol": "batch"}, "protocol='batch' is unknown"),
        ({"learning_rate": 0}, "learning_rate=0.0 must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be positive"),
        ({"learning_rate": "1"}, "learning_rate='1' is not a number"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 must not be negative"),
        ({"context_probe": 1}, "context_probe=1 must be true or false"),
        ({"patience": 1.0}, "patience=1.0 must exceed 1"),
        ({"objective": "first"}, "objective='first' is unknown: choose one of last, all"),
        ({"after_last_step": 1.5}, "goes with protocol = 'online'"),
        ({"after_last_step": 0.5, "protocol": "online"}, "after_last_step=0.5 must be at least 1"),
    ],
)
def test_settings_that_cannot_be(change, message):
    with pytest.raises(InputError, match=message):
        replace(FAST, **change)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cnn", {"width": 0}, "width=0 is too small: it must be at least 1"),
        ("cnn", {"width": 16.5}, "width=16.5 is not an integer"),
        ("cnn", {}, "cnn needs the argument width: give it"),
        ("cnn", {"width": 8, "heads": 2}, "heads=2 is no argument of cnn: leave it out"),
        ("fcn", {"width": 8, "depth": 0}, "depth=0 is too small"),
        ("attention", {"width": 16, "heads": 3}, "width=16 is no multiple of heads=3: choose one that is"),
        ("mine:Net", {"width": float("nan")}, "arguments=.*nan.* are no plain numbers"),
        ("mine:Net", {"width": {1, 2}}, "arguments=.* are no plain numbers, texts and lists by name: give a table"),
        ("mine:Net", 3, "arguments=3 are no plain numbers"),
        (3, {}, "network=3 is unknown"),
    ],
)
def test_specs_that_cannot_be(name, arguments, message):
    with pytest.raises(InputError, match=message):
        NetworkSpec(name, arguments)


def test_equal_networks_are_equal_specs():
    """Defaults left out, names in any case, lists as JSON makes them of tuples."""
    first = NetworkSpec("Attention", {"heads": 1, "width": np.int64(8), "depth": None})
    assert first == NetworkSpec("attention", {"width": 8})
    assert hash(first) == hash(NetworkSpec("attention", {"width": 8}))
    assert NetworkSpec("cnn", {"width": 8}) != NetworkSpec("cnn", {"width": 9})
    mine = NetworkSpec("mine:Net", {"sizes": [1, [2, 3]], "heads": 1})
    assert mine == NetworkSpec(**json.loads(json.dumps(mine.to_dict())))
    assert (mine.name, mine.get("heads"), mine.get("depth", 5)) == ("mine:Net", 1, 5)
    assert eval(repr(mine)) == mine


def test_unknown_network():
    with pytest.raises(InputError, match="network='rnn' is unknown"):
        make_run(network="rnn")
