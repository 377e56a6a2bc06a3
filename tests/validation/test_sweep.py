"""Presets, the results folder, and going on after an interruption."""

import csv
import json

import pytest

torch = pytest.importorskip("torch")

from rhmtheory import InputError  # noqa: E402
from rhmvalidation import main_job, sweep  # noqa: E402

CPU = torch.device("cpu")
TINY = """
summary = "tiny"
[[sweep]]
architecture = "cnn"
ensemble = { v = 4, m = 2, s = 2, L = 2 }
grammars = 2
samples = { lowest = 16, highest = 64, per_octave = 1 }
training = { width = 8, learning_rate = 1.0, max_steps = 20, test_size = 64, batch_size = 16 }
"""


@pytest.fixture
def preset_file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def test_ladder_has_the_sizes_of_an_octave():
    assert sweep.ladder(16, 64, 1) == (16, 32, 64)
    assert sweep.ladder(16, 64, 2) == (16, 23, 32, 45, 64)
    with pytest.raises(InputError, match="highest=8 is too small: it must be at least 16"):
        sweep.ladder(16, 8, 1)


@pytest.mark.parametrize("name", sweep.preset_names())
def test_presets_of_the_package_load(name):
    preset = sweep.load_preset(name)
    assert preset.name == name
    assert len({run.key for run in preset.runs()}) == len(preset.runs())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("grammars = 2", "grammar = 2", "unknown key 'grammar'"),
        ("grammars = 2\n", "", "lacks the key 'grammars'"),
        ("width = 8", "widht = 8", "unknown key 'widht'"),
        ("m = 2", "m = 5", "m=5 rules x v=4 symbols need 20 tuples"),
        ('"cnn"', '"rnn"', "architecture='rnn' is unknown: choose one of transformer, lcn, cnn"),
        ("grammars = 2", "grammars = [", "is not valid TOML"),
        ("ensemble = {", "ensemble = 3 #", "must be a table"),
    ],
)
def test_presets_that_cannot_be_used(preset_file, old, new, message):
    preset_file.write_text(TINY.replace(old, new))
    with pytest.raises(InputError, match=message):
        sweep.load_preset(str(preset_file))


def test_unknown_preset_lists_those_there_are():
    with pytest.raises(InputError, match=r"preset='fast' is unknown: choose one of .*quick"):
        sweep.load_preset("fast")


def test_interrupted_sweep_goes_on_and_ends_with_the_results_of_an_uninterrupted_one(preset_file, tmp_path):
    preset = sweep.load_preset(str(preset_file))
    whole = sweep.ResultFolder(tmp_path / "whole", preset)
    sweep.execute(preset, whole, CPU)

    parts = sweep.ResultFolder(tmp_path / "parts", preset)

    def stop_at_32(one, P, steps):
        if P == 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.execute(preset, parts, CPU, stop_at_32)
    finished = [run for run in preset.runs() if parts.load(run) is not None]
    assert [run.P for run in finished] == [16, 16]

    trained = []
    sweep.execute(preset, parts, CPU, lambda one, P, steps: trained.append(P))
    for run in preset.runs():
        a, b = whole.load(run), parts.load(run)
        assert a.best_loss == b.best_loss
        assert a.curve == b.curve


def test_half_written_results_are_trained_again(preset_file, tmp_path):
    preset = sweep.load_preset(str(preset_file))
    folder = sweep.ResultFolder(tmp_path / "out", preset)
    sweep.execute(preset, folder, CPU)
    run = preset.runs()[0]
    before = folder.load(run)
    (tmp_path / "out" / "runs" / f"{run.key}.json").write_text('{"run": {"v": 4')
    with pytest.warns(UserWarning, match="is damaged and its run is trained again"):
        assert folder.load(run) is None
    with pytest.warns(UserWarning, match="damaged"):
        sweep.execute(preset, folder, CPU)
    assert folder.load(run).best_loss == before.best_loss


def test_folder_of_another_preset_is_refused(preset_file, tmp_path):
    sweep.ResultFolder(tmp_path / "out", sweep.load_preset(str(preset_file)))
    preset_file.write_text(TINY.replace("width = 8", "width = 9"))
    with pytest.raises(InputError, match="holds results of another preset"):
        sweep.ResultFolder(tmp_path / "out", sweep.load_preset(str(preset_file)))


def test_main_job_leaves_runs_comparison_and_figure(preset_file, tmp_path):
    report = main_job.run(str(preset_file), tmp_path / "out", "cpu", command="test")
    with open(tmp_path / "out" / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {row["P"] for row in rows} == {"16", "32", "64"}
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert content["provenance"]["command"] == "test"
    assert content["comparisons"][0]["measurements"]["cnn"]["prediction"]["step_factor"] == 2
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert report.comparisons[0].ratio is None  # no transformer to compare with


def test_folder_that_cannot_be_written(preset_file, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to .*file.*choose another folder with --out"):
        main_job.run(str(preset_file), tmp_path / "file" / "out", "cpu", command="test")


def test_device_that_is_not_there():
    with pytest.raises(InputError, match="device='nonsense' cannot be used here"):
        sweep.pick_device("nonsense")
