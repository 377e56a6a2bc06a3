"""``rhmtheory study`` and ``report`` from end to end, on networks that train in a moment."""

import json

import pytest

pytest.importorskip("torch")

from rhmtheory.cli import main

PRESET = """
summary = "tiny"
[[sweep]]
network = "cnn"
ensemble = { v = 4, m = 2, s = 2, L = 2 }
grammars = 2
samples = { highest = 1280 }
[sweep.arguments]
width = 8
[sweep.training]
learning_rate = 1.0
protocol = "online"
batch_size = 16
test_size = 64
context_probe = true
"""


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    path = tmp_path_factory.mktemp("presets") / "tiny.toml"
    path.write_text(PRESET)
    return str(path)


@pytest.fixture(scope="module")
def folder(preset, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "tiny"
    assert main(["study", preset, "--out", str(out)]) == 0
    return out


def test_a_plan_is_told_and_nothing_trained(preset, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["study", preset, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert sum(program["replicas"] for program in plan["programs"]) == 2
    assert plan["seconds"] > 0
    assert main(["study", preset, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "(v=4, m=2, s=2, L=2)" in told
    assert f"{len(plan['programs'])} programs, about" in told
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_of_the_part_that_is_asked_for(preset, tmp_path, capsys):
    both = tmp_path / "both.toml"
    sweep = PRESET.split("[[sweep]]")[1]
    both.write_text(PRESET + "[[sweep]]" + sweep.replace('"cnn"', '"lcn"'))
    for part, planned in (
        (["--network", "lcn"], {"lcn"}),
        (["--network", "LCN", "--network", "cnn"], {"cnn", "lcn"}),
        (["--v", "4", "--protocol", "online", "--width", "8"], {"cnn", "lcn"}),
    ):
        assert main(["study", str(both), "--dry-run", *part, "--json"]) == 0
        programs = json.loads(capsys.readouterr().out)["programs"]
        assert {program["network"] for program in programs} == planned
    assert main(["study", str(both), "--dry-run", "--network", "rnn", "--m", "16"]) == 2
    told = capsys.readouterr().err
    assert "rnn" in told
    assert "agrees with no sweep of both: there are cnn(" in told


def test_a_study_leaves_runs_tables_and_figures(folder):
    for name in ("runs.csv", "comparison.json", "comparison.png", "context.png"):
        assert (folder / name).stat().st_size > 0


def test_the_same_command_reports_again_and_trains_nothing(preset, folder, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()}
    assert main(["study", preset, "--out", str(folder)]) == 0
    assert f"runs, comparison and figures are in {folder}" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()} == before


def test_a_report_tells_what_the_study_wrote(folder, capsys, tmp_path):
    figure = tmp_path / "figure.svg"
    assert main(["report", str(folder), "--json", "--plot", str(figure)]) == 0
    told = json.loads(capsys.readouterr().out)
    written = json.loads((folder / "comparison.json").read_text())
    assert told["comparisons"] == written["comparisons"]
    assert "<svg" in figure.read_text()
    assert main(["report", str(folder), "--out", str(tmp_path / "again"), "--format", "svg"]) == 0
    assert "cnn" in capsys.readouterr().out
    assert {"comparison.svg", "context.svg"} <= {path.name for path in (tmp_path / "again").iterdir()}
