"""Networks of one's own: stacked or one by one, trained like ours, and refused where they cannot be."""

import copy
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import own_models

import rhmvalidation as rv
from rhmtheory import RHM, InputError, compare
from rhmvalidation.networks.custom import AdaptedNetwork
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.studies import execution, job, preset
from rhmvalidation.studies import folder as results
from rhmvalidation.studies.programs import train_runs, trainer_of
from rhmvalidation.studies.runs import Run
from rhmvalidation.training.settings import Settings

CPU = torch.device("cpu")
RHM_ = RHM(4, 2, 2, 2)
FAST = Settings(learning_rate=3e-3, optimiser="adamw", max_steps=60, test_size=256, batch_size=32)
CNN = NetworkSpec("cnn", {"width": 16})
ADAPTED = [
    ("ResidualMLP", {"blocks": 2}, True),
    ("Recurrent", {"width": 8}, False),
    ("BatchNormed", {}, None),
    ("Tied", {}, True),
]


def run_of(name, arguments=(), seed=0, settings=FAST, P=200):
    return Run(RHM_, NetworkSpec(f"own_models:{name}", arguments), P, seed, seed, settings)


@pytest.mark.parametrize(("name", "arguments", "vectorised"), ADAPTED)
def test_replicas_give_what_single_modules_give(name, arguments, vectorised):
    stack = NetworkSpec(f"own_models:{name}", arguments).build(RHM_, 3)
    stack.initialise([torch.Generator().manual_seed(seed) for seed in range(3)])
    if vectorised is not None:
        assert stack.vectorised == vectorised
    tokens = torch.randint(4, (3, 5, 4), generator=torch.Generator().manual_seed(1))
    stack.eval()
    for r in range(3):
        torch.manual_seed(r)
        module = getattr(own_models, name)(RHM_, **arguments).eval()
        logits = module(tokens[r])
        torch.testing.assert_close(stack(tokens)[r], logits if logits.dim() == 2 else logits[:, -1])


@pytest.mark.parametrize(("name", "arguments", "vectorised"), ADAPTED)
def test_replicas_train_as_alone(name, arguments, vectorised):
    runs = [run_of(name, arguments, seed) for seed in range(2)]
    together, alone = train_runs(runs, CPU), [train_runs([run], CPU)[0] for run in runs]
    for a, b in zip(together, alone, strict=True):
        assert a.best_loss == pytest.approx(b.best_loss, rel=1e-3)
        assert a.best_loss < a.curve[0][1]


def test_training_in_the_stack_is_training_with_torch():
    """The same module, batches and AdamW of torch: the same losses."""
    run = run_of("ResidualMLP")
    trainer = trainer_of([run], CPU)
    weights = trainer.network.weights()
    module = own_models.ResidualMLP(RHM_)
    module.load_state_dict(weights)
    optimiser = torch.optim.AdamW(module.parameters(), lr=3e-3, weight_decay=0.0)
    batches = copy.deepcopy(trainer.examples._batches)
    for _ in range(20):
        trainer.step()
        tokens = batches.batch()[0].long()
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(module(tokens), tokens[:, -1]).backward()
        optimiser.step()
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(trainer.network.weights()[name], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["ResidualMLP", "BatchNormed", "Recurrent"])
def test_own_networks_go_on_from_checkpoints(tmp_path, name):
    runs = [run_of(name, seed=seed) for seed in range(2)]
    keys = [run.key for run in runs]
    trainer = trainer_of(runs, CPU)
    for _ in range(20):
        trainer.step()
    trainer.save(tmp_path / "state.pt", keys)
    steps = []
    resumed = train_runs(runs, CPU, steps.append, checkpoint=tmp_path / "state.pt")
    assert steps[0] == 21
    for a, b in zip(resumed, train_runs(runs, CPU), strict=True):
        assert a.curve == b.curve


def test_a_decoder_of_ones_own_trains_on_all_tokens():
    settings = replace(FAST, objective="all", max_steps=40)
    (outcome,) = train_runs([run_of("Recurrent", settings=settings)], CPU)
    assert outcome.best_loss < outcome.curve[0][1]
    with pytest.raises(InputError, match="objective='all' needs a network that predicts every token"):
        train_runs([run_of("ResidualMLP", settings=settings)], CPU)


PRESET = """
summary = "own"
[[sweep]]
network = "own_models:ResidualMLP"
arguments = { width = 8, blocks = 2 }
ensemble = { v = 4, m = 2, s = 2, L = 2 }
grammars = 2
samples = { lowest = 16, highest = 64, per_octave = 1 }
training = { learning_rate = 3e-3, optimiser = "adamw", max_steps = 20, test_size = 64, batch_size = 16 }
"""


def test_a_preset_names_a_class_of_ones_own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(PRESET)
    loaded = preset.load_preset(path)
    report = job.study(path, tmp_path / "out", device="cpu", workers=1, progress=False)
    assert len(report.finished) == 6
    (measurement,) = report.study.measurements
    assert measurement.curves.label == "ResidualMLP"
    assert measurement.curves.laws == ("transformer", "cnn")
    run = loaded.runs()[0]
    assert run.network.build(RHM_)._base[0].blocks[1][1].weight.shape == (8, 8)
    assert run.key != replace(run, network=NetworkSpec("own_models:ResidualMLP", {"width": 8})).key
    folder = results.ResultFolder.open(tmp_path / "out", loaded)
    assert all(folder.load(run) is not None for run in loaded.runs())
    assert sum(execution.cost([run]) for run in loaded.runs()) > 0
    path.write_text(PRESET.replace("blocks = 2", "blocks = 3"))
    with pytest.raises(InputError, match="results of another preset"):
        results.ResultFolder.open(tmp_path / "out", preset.load_preset(path))


def test_no_code_is_run_from_a_results_folder(tmp_path):
    """A report neither imports the class of a run nor looks for it in the folder."""
    path, out = tmp_path / "own.toml", tmp_path / "out"
    path.write_text(PRESET)
    job.study(path, out, device="cpu", workers=1, progress=False)
    (out / "own_models.py").write_text("raise SystemExit('imported')")
    lines = (out / "runs.jsonl").read_text().replace("own_models:", "elsewhere.not_there:")
    (out / "runs.jsonl").write_text(lines)
    for file in (out / "runs").iterdir():
        file.unlink()
    code = (
        "import sys, rhmvalidation as rv; print(len(rv.report(sys.argv[1]).finished), 'own_models' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(out)], capture_output=True, text=True, check=True, cwd=out
    )
    assert found.stdout.split() == ["6", "False"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OneLogit", r"maps ids of shape \(\d+, 4\) to \(\d+, 1\): it must give logits of shape \(B, v\)"),
        ("Pair", "returns tuple: it must return a tensor of logits"),
        ("Cheat", "reads the token that it is to predict"),
        ("Ahead", "reads the token that it is to predict"),
        ("Empty", "has no parameters to train"),
        ("Broken", "fails on ids of shape"),
        ("OnlyPairs", r"cannot be made for RHM\(v=4.*no arguments: ValueError: s must be 7"),
        ("Missing", "own_models has no torch.nn.Module named Missing"),
        ("NOT_A_MODULE", "has no torch.nn.Module named NOT_A_MODULE"),
    ],
)
def test_own_networks_that_cannot_be(name, message):
    with pytest.raises(InputError, match=message):
        train_runs([run_of(name)], CPU)


def test_a_class_that_reads_ahead_is_found_at_every_position():
    class Late(own_models.Recurrent):
        def forward(self, ids):
            logits = super().forward(ids).clone()
            logits[:, 1] = logits[:, 1] + ids[:, 2, None]
            return logits

    stack = AdaptedNetwork(RHM_, 1, lambda: Late(RHM_), "Late")
    stack.check("last")
    with pytest.raises(InputError, match="reads the token"):
        stack.check("all")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nowhere.at_all:Net", {}, "nowhere.at_all cannot be imported"),
        ("own models:Net", {}, "is unknown: choose one of cnn, .*package.module:Class"),
        ("package.module:Class", {}, "package.module cannot be imported"),
        ("own_models:ResidualMLP", {"nothing": 1}, "cannot be made .*nothing.*TypeError"),
    ],
)
def test_networks_that_cannot_be(name, arguments, message):
    with pytest.raises(InputError, match=message):
        NetworkSpec(name, arguments).build(RHM_)


def test_a_module_is_trained_in_place_and_its_curve_compared():
    grammar = RHM_.grammar(0)
    module = own_models.ResidualMLP(RHM_)
    settings = Settings(learning_rate=3e-3, optimiser="adamw", protocol="online", test_size=1024)
    found = rv.train(module, grammar, settings=settings, P=128 * 300)
    assert found.network is module
    # the curve is the whole history, and the module has the weights of its lowest point
    assert found.loss.min() == found.outcomes[0].best_loss < found.loss[0]
    tokens = torch.from_numpy(grammar.sample(4096, seed=5).astype(np.int64))
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(module(tokens), tokens[:, -1]).item()
    assert loss == pytest.approx(found.loss.min(), abs=0.1)
    measurement = compare(found.P, found.loss, grammar, law="transformer", label="mine")
    json.dumps(measurement.to_dict(), allow_nan=False)


def test_offline_every_size_is_a_point():
    grammar = RHM_.grammar(0)
    torch.manual_seed(0)
    module = own_models.ResidualMLP(RHM_)
    start = copy.deepcopy(module.state_dict())
    settings = replace(FAST, max_steps=100)
    found = rv.train(module, grammar, settings=settings, P=[400, 20, 100])
    np.testing.assert_array_equal(found.P, [20, 100, 400])
    assert [outcome.best_loss for outcome in found.outcomes] == found.loss.tolist()
    assert any((module.state_dict()[name] != start[name]).any() for name in start)
    module.load_state_dict(start)
    alone = rv.train(module, grammar, settings=settings, P=100)
    assert alone.loss[0] == pytest.approx(found.loss[1], rel=1e-4)


def test_networks_of_this_package_are_trained_by_name():
    grammar = RHM_.grammar(0)
    settings = Settings(learning_rate=1.0, max_steps=50, test_size=256)
    found = rv.train(CNN, grammar, settings=settings, P=200)
    (outcome,) = train_runs([Run(RHM_, CNN, 200, 0, 0, settings)], CPU)
    assert found.loss[0] == outcome.best_loss
    own = rv.train("own_models:ResidualMLP", grammar, settings=replace(FAST, max_steps=50), P=200)
    assert own.network(torch.zeros(3, RHM_.d, dtype=torch.long)).shape == (3, RHM_.v)
    with pytest.raises(InputError, match="an online run sees all sizes"):
        rv.train(CNN, grammar, settings=replace(settings, protocol="online"), P=[100, 200])
    with pytest.raises(InputError, match="P is empty"):
        rv.train(CNN, grammar, settings=settings, P=[])


def test_initial_weights_do_not_depend_on_the_neighbours_or_change_the_callers_generator():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    (a,), b = (
        train_runs([run_of("ResidualMLP", seed=1)], CPU),
        train_runs([run_of("ResidualMLP", seed=s) for s in (0, 1)], CPU),
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert a.curve[0][1] == pytest.approx(b[1].curve[0][1], rel=1e-5)


def test_the_front_door_shows_itself():
    assert set(rv.__all__) <= set(dir(rv))
    for name in rv.__all__:
        assert getattr(rv, name) is not None
    code = "import sys, rhmvalidation; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


HOWTO = (Path(__file__).parents[2] / "docs" / "howto_own_network.md").read_text(encoding="utf-8")


def block(text):
    """The one block of the how-to that has this text."""
    (found,) = (
        code for code in re.findall(r"^```\w+\n(.*?)^```$", HOWTO, re.MULTILINE | re.DOTALL) if text in code
    )
    return found


def test_the_network_and_the_preset_of_the_how_to(tmp_path, monkeypatch):
    (tmp_path / "mymodels.py").write_text(block("class ResidualMLP"))
    (tmp_path / "mine.toml").write_text(block("mymodels:ResidualMLP"))
    monkeypatch.syspath_prepend(tmp_path)
    run = preset.load_preset(tmp_path / "mine.toml").runs()[0]
    stack = run.network.build(run.rhm, 2)
    assert stack.vectorised
    stack.check("last")
    namespace = {"ResidualMLP": sys.modules["mymodels"].ResidualMLP}
    short = block("rt.compare").replace("P=600_000", "P=2560").replace("print", "repr")
    exec(short.replace("linear_probes(module, grammar)", "linear_probes(module, grammar, sentences=64)"), namespace)
    exec(block("SentenceStream"), namespace)
    assert namespace["batch"]["tokens"].shape == (128, 8)


def test_the_hugging_face_network_of_the_how_to():
    pytest.importorskip("transformers")
    namespace = {}
    exec(block("GPT2Config").replace("P=2_000_000", "P=1280"), namespace)
    assert namespace["found"].outcomes[0].steps == 10
