"""The command line: tables, JSON, figures, exit codes and messages."""

import json
import sys

import numpy as np
import pytest

import rhmtheory as rt
from rhmtheory.cli import main

ENSEMBLE = ["--v", "8", "--m", "2", "--s", "2", "--L", "3"]


def run(capsys, *args):
    code = main(list(args))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def run_json(capsys, *args):
    code, out, err = run(capsys, *args, "--json")
    assert code == 0, err
    return json.loads(out)


def test_predict_prints_what_the_library_computes(capsys):
    content = run_json(capsys, "predict", *ENSEMBLE)
    assert [entry["architecture"] for entry in content] == list(rt.ARCHITECTURES)
    rhm = rt.RHM(8, 2, 2, 3)
    assert content == [rt.predict(rhm, name).to_dict() for name in rt.ARCHITECTURES]
    code, out, _ = run(capsys, "predict", *ENSEMBLE, "--architecture", "cnn")
    assert code == 0
    assert "P_k cnn" in out
    assert "transformer" not in out


def test_predict_where_every_tuple_is_grammatical(capsys):
    content = run_json(capsys, "predict", "--v", "4", "--m", "4", "--s", "2", "--L", "2")
    assert content[0]["sample_complexity"] == [None, None]  # infinite


def test_per_level_parameters(capsys):
    content = run_json(capsys, "plateaus", "--v", "4,5", "--m", "2,3", "--s", "2,3", "--L", "2", "--n", "3")
    grammar = rt.RHM((4, 5), (2, 3), (2, 3), 2, n=3).grammar(0)
    np.testing.assert_allclose(content["plateaus"]["grammar"], grammar.plateaus())


def test_correlations(capsys):
    content = run_json(capsys, "correlations", *ENSEMBLE)
    assert [row["level"] for row in content["rms_correlation"]] == [1, 2, 3]
    rhm = rt.RHM(8, 2, 2, 3)
    for row in content["rms_correlation"]:
        assert row["exact"] == rhm.rms_correlation(row["level"])
        assert row["asymptotic"] == rhm.rms_correlation(row["level"], method="asymptotic")
    content = run_json(capsys, "correlations", *ENSEMBLE, "--grammars", "200")
    for row in content["rms_correlation"]:
        assert abs(row["measured_mean_square"] - row["exact"] ** 2) < 4 * row["standard_error"]
    code, out, _ = run(capsys, "correlations", *ENSEMBLE, "--grammars", "20")
    assert code == 0
    assert "mean square over 20 grammars" in out


def test_plateaus_over_grammars(capsys):
    content = run_json(capsys, "plateaus", *ENSEMBLE, "--grammars", "32")
    np.testing.assert_allclose(
        content["plateaus"]["quenched"], rt.quenched.quenched_plateaus(rt.RHM(8, 2, 2, 3), grammars=32).mean
    )
    assert len(content["plateaus"]["standard error"]) == 4


def test_unequal_rules(capsys):
    args = ["--v", "8", "--m", "3", "--s", "2", "--L", "2", "--zipf", "0.5"]
    rhm = rt.RHM(8, 3, 2, 2, rule_probabilities=rt.zipf(3, 0.5))
    content = run_json(capsys, "predict", *args)
    assert content[0] == rt.predict(rhm, "transformer").to_dict()
    assert "chain" not in run_json(capsys, "plateaus", *args)["plateaus"]
    code, _, err = run(capsys, "predict", *args[:-1], "-1")
    assert code == 2
    assert "a=-1.0 is no Zipf exponent" in err


def test_sample(capsys, tmp_path):
    tokens = rt.RHM(8, 2, 2, 3).grammar(1).sample(4, 2)
    args = ("sample", *ENSEMBLE, "--seed", "1", "--sample-seed", "2", "--count", "4")
    assert run_json(capsys, *args)["tokens"] == tokens.tolist()
    _, out, _ = run(capsys, *args)
    assert [list(map(int, line.split())) for line in out.splitlines()] == tokens.tolist()
    _, out, _ = run(capsys, *args, "--trees")
    assert out.splitlines()[0].split(" | ")[-1] == " ".join(map(str, tokens[0]))
    code, out, _ = run(capsys, *args, "--out", str(tmp_path / "tokens.npy"))
    assert code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "tokens.npy"), tokens)


@pytest.mark.parametrize("command", ["predict", "correlations", "plateaus", "sample"])
def test_plot_writes_a_figure(capsys, tmp_path, command):
    path = tmp_path / "figure.png"
    code, _, err = run(capsys, command, *ENSEMBLE, "--plot", str(path))
    assert code == 0
    assert "figure written" in err
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["predict", "--v", "16", "--m", "20", "--s", "2", "--L", "4"], "lower m to at most 16"),
        (["predict", "--v", "16", "--m", "4", "--s", "1", "--L", "4"], "s=1 is too small: it must be at least 2"),
        (["predict", "--v", "16", "--m", "4.5", "--s", "2", "--L", "4"], "'4.5' is not an integer"),
        (["predict", "--v", "16,8", "--m", "4", "--s", "2", "--L", "3"], "v has 2 entries, but L=3"),
        (["predict", *ENSEMBLE, "--architecture", "rnn"], "architecture='rnn' is unknown: choose one of"),
        (["predict", *ENSEMBLE, "--plateaus", "magic"], "method='magic' is unknown"),
        (
            ["predict", "--v", "4", "--m", "4", "--s", "2", "--L", "2", "--plot", "x.png"],
            "there is no step to draw",
        ),
        (["predict", *ENSEMBLE, "--plot", "figure.xyz"], "cannot write the figure figure.xyz"),
        (["predict", *ENSEMBLE, "--plot", "/nowhere/figure.png"], "/nowhere/figure.png"),
        (["sample", *ENSEMBLE, "--seed", "-1"], "seed=-1 is too small"),
        (["sample", *ENSEMBLE, "--count", "-1"], "n=-1 is too small"),
        (["sample", *ENSEMBLE, "--out", "/nowhere/tokens.npy"], "/nowhere/tokens.npy"),
        (["predict", "--v", "16"], "Missing option"),
        (["forecast"], "No such command"),
        (["compare", "--preset", "nonsense"], "preset='nonsense' is unknown"),
    ],
)
def test_bad_input_is_told_without_a_traceback(capsys, args, message):
    code, out, err = run(capsys, *args)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_compare_without_the_extra_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.split(".")[0] == "rhmvalidation"]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = run(capsys, "compare")
    assert code == 2
    assert "pip install 'rhmtheory[validation]'" in err


def test_interrupted_comparison_says_what_is_kept(capsys, monkeypatch, tmp_path):
    pytest.importorskip("torch")
    from rhmvalidation import main_job

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(main_job, "execute", interrupted)
    code, _, err = run(capsys, "compare", "--out", str(tmp_path))
    assert code == 130
    assert f"runs are kept in {tmp_path}: the same command goes on from there" in err
    assert "interrupted" in err


def test_version_and_help(capsys):
    assert run(capsys, "--version")[:2] == (0, f"rhmtheory, version {rt.__version__}\n")
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for command in ("predict", "correlations", "plateaus", "sample", "compare"):
        assert command in out
