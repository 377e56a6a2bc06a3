"""One run: what it learns, when it stops, and that replicas do not depend on each other."""

import math
from dataclasses import asdict, replace

import pytest

torch = pytest.importorskip("torch")

from rhmtheory import InputError  # noqa: E402
from rhmvalidation.data import TrainingSet  # noqa: E402
from rhmvalidation.training import Run, Settings, _Progress, build, train  # noqa: E402

CPU = torch.device("cpu")
FAST = Settings(width=16, learning_rate=1.0, max_steps=60, test_size=256, batch_size=32)


def make_run(seed=0, P=200, architecture="cnn", settings=FAST):
    return Run(
        v=4, m=2, s=2, L=2, architecture=architecture, P=P, grammar_seed=seed, run_seed=seed, settings=settings
    )


def same(first, second):
    a, b = asdict(first), asdict(second)
    a.pop("seconds"), b.pop("seconds")
    return a == b


@pytest.mark.parametrize("architecture", ["cnn", "lcn", "transformer"])
def test_a_network_learns_down_to_the_floor_of_its_grammar(architecture):
    settings = replace(FAST, max_steps=600, batch_size=128, width=32)
    if architecture == "transformer":
        settings = replace(settings, optimiser="adam", learning_rate=3e-3, heads=2)
    run = make_run(P=4000, architecture=architecture, settings=settings)
    H = run.rhm.grammar(run.grammar_seed).plateaus()
    (outcome,) = train([run], CPU)
    assert outcome.curve[0][0] == 0
    assert outcome.curve[0][1] > H[0] - 0.1
    # the floor is exact for the distribution, and the test set is a sample of 256
    assert H[-1] - 0.15 < outcome.best_loss < math.sqrt(H[0] * H[1])


def test_replicas_and_single_runs_agree():
    runs = [make_run(seed) for seed in range(3)]
    together = train(runs, CPU)
    alone = [train([run], CPU)[0] for run in runs]
    for a, b in zip(together, alone, strict=True):
        assert a.best_step == b.best_step
        assert a.steps == b.steps
        assert a.best_loss == pytest.approx(b.best_loss, rel=1e-4)


def test_the_same_run_gives_the_same_outcome_and_another_seed_another():
    (first,), (second,), (third,) = (train([make_run(seed)], CPU) for seed in (0, 0, 1))
    assert same(first, second)
    assert not same(first, third)


def test_divergence_is_recorded_and_leaves_the_neighbours_alone():
    wild = replace(FAST, learning_rate=1e6)
    (outcome,) = train([make_run(settings=wild)], CPU)
    assert outcome.diverged
    assert math.isfinite(outcome.best_loss)  # what it had before


def test_training_stops_when_patience_runs_out():
    progress = _Progress(replace(FAST, patience=2.0, max_steps=1000))
    losses = {0: 2.0, 8: 1.0, 10: 0.5, 12: 0.6, 20: 0.6, 21: 0.6, 40: 0.1}
    for step, loss in losses.items():
        progress.record(step, loss)
    assert (progress.best_step, progress.best_loss) == (10, 0.5)
    assert progress.steps == 21  # the first evaluation beyond twice the best step
    assert progress.stopped
    assert not progress.diverged


def test_batches_come_from_the_training_set_alone():
    run = make_run()
    grammar = run.rhm.grammar(0)
    data = TrainingSet([grammar, grammar], [5, 6], [3, 7], CPU)
    seen = [set(), set()]
    for _ in range(200):
        batch = data.batch(16)
        assert batch.shape == (2, 16, 4)
        for r in range(2):
            seen[r] |= {tuple(row) for row in batch[r].tolist()}
    assert [len(rows) <= P for rows, P in zip(seen, (3, 7), strict=True)] == [True, True]
    assert sum(map(len, seen)) >= 4


def test_the_key_of_a_run_names_its_content():
    assert make_run(0).key == make_run(0).key
    assert make_run(0).key != make_run(1).key
    assert make_run(0).key != make_run(0, settings=replace(FAST, width=17)).key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimiser": "newton"}, "optimiser='newton' is unknown: choose sgd or adam"),
        ({"width": 0}, "width=0 must be positive"),
        ({"patience": 1.0}, "patience=1.0 must exceed 1"),
    ],
)
def test_settings_that_cannot_be(change, message):
    with pytest.raises(InputError, match=message):
        replace(FAST, **change)


def test_unknown_architecture():
    with pytest.raises(InputError, match="architecture='rnn' is unknown"):
        build("rnn", make_run().rhm, 1, FAST)
