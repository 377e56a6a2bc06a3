"""The command line: tables, JSON, figures, exit codes and messages."""

import inspect
import json
import shlex
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import staircases

import rhmtheory as rt
from rhmtheory.cli import cli, main, options
from rhmtheory.support.progress import progress

ENSEMBLE = ["--v", "8", "--m", "2", "--s", "2", "--L", "3"]
DEEP = [*ENSEMBLE[:-1], "26"]


def run(capsys, *args):
    code = main(list(args))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def run_json(capsys, *args):
    code, out, err = run(capsys, *args, "--json")
    assert code == 0, err
    return json.loads(out)


def test_predict_prints_what_the_library_computes(capsys):
    told = run_json(capsys, "predict", *ENSEMBLE)
    content = told["predictions"]
    assert told["grammar"] is None
    assert [entry["architecture"] for entry in content] == list(rt.ARCHITECTURES)
    rhm = rt.RHM(8, 2, 2, 3)
    assert content == [rt.predict(rhm, name).to_dict() for name in rt.ARCHITECTURES]
    code, out, _ = run(capsys, "predict", *ENSEMBLE, "--architecture", "cnn")
    assert code == 0
    assert out == f"{rt.predict(rhm, 'cnn')}\n"
    assert "transformer" not in out


def test_predict_prints_the_bills_of_online_training(capsys):
    rhm = rt.RHM(8, 2, 2, 3)
    asked = ["predict", *ENSEMBLE, "--batch", "64", "--rate", "2"]
    told = run_json(capsys, *asked)["predictions"]
    assert told == [rt.predict(rhm, name, batch=64, rate=2).to_dict() for name in rt.ARCHITECTURES]
    out = run(capsys, *asked, "--architecture", "cnn")[1]
    assert out == f"{rt.predict(rhm, 'cnn', batch=64, rate=2)}\n"
    assert "samples seen, B/eta = 32" in out
    assert "--batch=0 is too small" in run(capsys, "predict", *ENSEMBLE, "--batch", "0")[2]


@pytest.mark.parametrize("command", sorted(cli.list_commands(None)))
def test_every_help_has_an_example_that_is_understood(capsys, command):
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    (example,) = [line.strip() for line in out.splitlines() if line.strip().startswith("Example: rhmtheory")]
    name, *args = shlex.split(example.removeprefix("Example: rhmtheory "))
    assert name == command
    known = {flag for option in cli.get_command(None, command).params for flag in option.opts}
    assert {arg for arg in args if arg.startswith("--")} <= known
    if "--v " in out and command not in ("study",):
        assert out.count("[required") == 4


def test_a_sentence_of_no_tree_is_an_error(capsys):
    grammar = rt.RHM(8, 2, 2, 3).grammar(0)
    wrong = next(pair for pair in np.ndindex(8, 8) if grammar.tree([*pair] * 4).level(1)[0] == rt.UNGRAMMATICAL)
    code, out, err = run(capsys, "tree", *ENSEMBLE, "--tokens", " ".join(map(str, wrong * 4)))
    assert code == 2
    assert out.startswith("?")
    assert "not of this grammar" in err


def test_options_that_would_do_nothing_are_refused(capsys):
    assert "--rate is that of --batch" in run(capsys, "predict", *ENSEMBLE, "--rate", "2")[2]
    assert "--finite-size is for the figure" in run(capsys, "predict", *ENSEMBLE, "--finite-size")[2]


def test_errors_name_the_file_that_was_asked_for(capsys, tmp_path):
    path = tmp_path / "folder.npy"
    path.mkdir()
    for out in (path, "/proc/a.npy"):
        code, _, err = run(capsys, "sample", *ENSEMBLE, "--out", str(out))
        assert code == 2
        assert ".part" not in err


def test_predict_where_every_tuple_is_grammatical(capsys):
    nothing = run(capsys, "predict", "--v", "4", "--m", "4", "--s", "2", "--L", "2")[1]
    assert "nan" not in nothing
    assert "no step" in nothing
    content = run_json(capsys, "predict", "--v", "4", "--m", "4", "--s", "2", "--L", "2")
    assert content["predictions"][0]["P"] == {"published": [None, None], "finite_size": [None, None]}  # infinite


def test_per_level_parameters(capsys):
    content = run_json(capsys, "plateaus", "--v", "4,5", "--m", "2,3", "--s", "2,3", "--L", "2", "--n", "3")
    grammar = rt.RHM((4, 5), (2, 3), (2, 3), 2, n=3).grammar(0)
    np.testing.assert_allclose(content["plateaus"]["grammar"], grammar.plateaus())


def test_correlations(capsys):
    content = run_json(capsys, "correlations", *ENSEMBLE)
    assert [row["level"] for row in content["rms_correlation"]] == [1, 2, 3]
    rhm = rt.RHM(8, 2, 2, 3)
    for row in content["rms_correlation"]:
        assert row["finite_size"] == rhm.rms_correlation(row["level"])
        assert row["published"] == rhm.rms_correlation(row["level"], method="published")
    content = run_json(capsys, "correlations", *ENSEMBLE, "--grammars", "200")
    for row in content["rms_correlation"]:
        assert abs(row["measured_mean_square"] - row["finite_size"] ** 2) < 4 * row["standard_error"]
    code, out, _ = run(capsys, "correlations", *ENSEMBLE, "--grammars", "20")
    assert code == 0
    assert "Mean square over 20 grammars" in out


def test_plateaus_are_estimated_where_exact_ones_are_too_large(capsys):
    content = run_json(capsys, "plateaus", *ENSEMBLE, "--samples", "4000")["plateaus"]
    exact = rt.RHM(8, 2, 2, 3).grammar(seed=0).plateaus()
    assert np.all(np.abs(content["grammar"] - exact) <= 5 * np.array(content["its error"]) + 1e-12)
    code, _, err = run(capsys, "plateaus", "--v", "100000", "--m", "2", "--s", "2", "--L", "3")
    assert code == 2
    assert "use --samples, which gives an estimate" in err


def test_plateaus_over_grammars(capsys):
    content = run_json(capsys, "plateaus", *ENSEMBLE, "--grammars", "32")
    np.testing.assert_allclose(
        content["plateaus"]["quenched"], rt.language.quenched_plateaus(rt.RHM(8, 2, 2, 3), grammars=32).mean
    )
    assert len(content["plateaus"]["standard error"]) == 4


def test_unequal_rules(capsys):
    args = ["--v", "8", "--m", "3", "--s", "2", "--L", "2", "--zipf", "0.5"]
    rhm = rt.RHM(8, 3, 2, 2, rule_probabilities=rt.zipf(3, 0.5))
    content = run_json(capsys, "predict", *args)
    assert content["predictions"][0] == rt.predict(rhm, "transformer").to_dict()
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


@pytest.mark.parametrize("command", ["predict", "correlations", "plateaus", "sample", "tree"])
@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_plot_writes_a_figure(capsys, tmp_path, command, ending, start):
    path = tmp_path / f"figure.{ending}"
    code, _, err = run(capsys, command, *ENSEMBLE, "--plot", str(path))
    assert code == 0
    assert "figure written" in err
    assert path.read_bytes().startswith(start)


COMMANDS = {
    "predict": ENSEMBLE,
    "correlations": ENSEMBLE,
    "plateaus": ENSEMBLE,
    "sample": ENSEMBLE,
    "tree": ENSEMBLE,
    "thresholds": ENSEMBLE,
    "corpus": [__file__],
    "study": ["quick"],
    "compare": [__file__, *ENSEMBLE],
    "report": ["results"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("path", "message"),
    [("figure.xyz", "is no png, pdf, svg file"), ("/nowhere/figure.png", "there is no folder /nowhere")],
)
def test_a_figure_that_cannot_be_written_is_refused_before_anything_is_computed(
    capsys, monkeypatch, command, path, message
):
    def computed(*args, **kwargs):
        raise AssertionError("computed before the figure's path was looked at")

    monkeypatch.setattr(options, "_ensemble", computed)
    monkeypatch.setattr("rhmtheory.corpus.decays.analyse_corpus", computed)
    monkeypatch.setattr("rhmtheory.comparison.reading.read_curves", computed)
    monkeypatch.setattr("rhmvalidation.studies.cli._check_torch", computed)
    code, out, err = run(capsys, command, *COMMANDS[command], "--plot", path)
    assert (code, out) == (2, "")
    assert message in err
    assert "--plot" in err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_short_or_long(capsys, command):
    outputs = [run(capsys, command, flag) for flag in ("-h", "--help")]
    assert outputs[0] == outputs[1]
    assert outputs[0][0] == 0
    assert all(len(line) <= 80 for line in outputs[0][1].splitlines())


@pytest.mark.parametrize(
    "args", [["predict"], ["correlations", "--grammars", "8"], ["plateaus", "--grammars", "8"]], ids=lambda x: x[0]
)
def test_tables_fit_80_columns(capsys, args):
    """At a realistic size, with every column: nothing is wrapped or cut."""
    code, out, _ = run(capsys, *args, "--v", "32", "--m", "8", "--s", "2", "--L", "4")
    assert code == 0
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\u2026" not in out
    # a wrapped cell would make a row of two lines, whose second one lacks the number of the level
    rows = [line for line in lines if line.startswith("\u2502")]
    assert all(line.split("\u2502")[1].strip() for line in rows)
    heads = [line for line in lines if line.startswith("\u2503")]
    assert all(cell.strip() for line in heads for cell in line.split("\u2503")[1:-1])


def test_progress_is_told_at_once_where_it_is_piped(capsys):
    _, out, err = run(capsys, "plateaus", *ENSEMBLE, "--grammars", "4", "--json")
    assert err == "grammars: 0 of 4\n"
    json.loads(out)


def test_progress_by_lines(capsys, monkeypatch):
    # asked when it begins, after each of four steps, and once more where a line is written
    times = iter([0.0, 5.0, 10.0, 10.0, 19.0, 20.0, 20.0])
    monkeypatch.setattr("rhmtheory.support.progress.monotonic", lambda: next(times))
    with progress("steps", 4) as advance:
        for _ in range(4):
            advance()
    assert capsys.readouterr().err.splitlines() == ["steps: 0 of 4", "steps: 2 of 4", "steps: 4 of 4"]


def test_a_saved_grammar_takes_the_place_of_ensemble_and_seed(capsys, tmp_path):
    grammar, path = rt.RHM((4, 5), (2, 3), (2, 3), 2, n=3).grammar(7), tmp_path / "g.npz"
    grammar.save(path)
    seeded = ["--v", "4,5", "--m", "2,3", "--s", "2,3", "--L", "2", "--n", "3", "--seed", "7"]
    for command in ("sample", "plateaus", "tree"):
        stored, drawn = run_json(capsys, command, "--grammar", str(path)), run_json(capsys, command, *seeded)
        origin, seed = stored.pop("grammar"), drawn.pop("grammar")
        assert stored == drawn
        assert origin == {"file": str(path), "fingerprint": grammar.fingerprint}
        assert seed == {"seed": 7, "fingerprint": grammar.fingerprint}
    stored = run_json(capsys, "correlations", "--grammar", str(path))
    assert stored["rms_correlation"] == run_json(capsys, "correlations", *seeded)["rms_correlation"]


def test_a_published_seed(capsys):
    rhm = rt.RHM(8, 2, 2, 3)
    content = run_json(capsys, "plateaus", *ENSEMBLE, "--published-seed", "11")
    grammar = rt.Grammar.from_published_seed(rhm, 11)
    assert content["plateaus"]["grammar"] == grammar.plateaus().tolist()
    assert content["grammar"] == {"published_seed": 11, "fingerprint": grammar.fingerprint}
    code, _, err = run(capsys, "plateaus", *ENSEMBLE, "--published-seed", "11", "--seed", "2")
    assert code == 2
    assert "--seed and --published-seed name two grammars: give one of them" in err


def test_predict_takes_the_plateaus_of_a_grammar_that_is_named(capsys, tmp_path):
    grammar = rt.RHM(8, 2, 2, 3).grammar(5)
    grammar.save(tmp_path / "g.npz")
    for named in (["--grammar", str(tmp_path / "g.npz")], [*ENSEMBLE, "--seed", "5"]):
        content = run_json(capsys, "predict", *named)
        assert content["predictions"][0]["plateaus"] == grammar.plateaus().tolist()
        origin = {"seed": 5} if "--seed" in named else {"file": named[1]}
        assert content["grammar"] == {**origin, "fingerprint": grammar.fingerprint}
    chain = run_json(capsys, "predict", *ENSEMBLE, "--seed", "5", "--plateaus", "chain")
    assert chain["grammar"] is None
    assert chain["predictions"][0]["plateaus"] == grammar.rhm.plateaus().tolist()
    # no grammar is drawn where none is asked for: this one's tuples cannot be numbered
    assert run_json(capsys, "predict", "--v", "1024", "--m", "4", "--s", "8", "--L", "2")


def test_predict_averages_over_the_grammars_of_the_seed(capsys):
    rhm = rt.RHM(4, 2, 2, 2)
    for seed in (0, 5):
        small = ["--v", "4", "--m", "2", "--s", "2", "--L", "2", *(["--seed", "5"] if seed else [])]
        content = run_json(capsys, "predict", *small, "--plateaus", "quenched")
        expected = rt.language.quenched_plateaus(rhm, seed=seed).mean
        assert content["predictions"][0]["plateaus"] == expected.tolist()
        assert (content["seed"], content["grammar"]) == (seed, None)


def test_correlations_of_a_grammar_that_is_named(capsys, tmp_path):
    rhm = rt.RHM(8, 2, 2, 3)
    assert "grammar" not in run_json(capsys, "correlations", *ENSEMBLE)["rms_correlation"][0]
    rhm.grammar(7).save(tmp_path / "g.npz")
    for named, grammar in (
        (["--seed", "7", *ENSEMBLE], rhm.grammar(7)),
        (["--published-seed", "11", *ENSEMBLE], rt.Grammar.from_published_seed(rhm, 11)),
        (["--grammar", str(tmp_path / "g.npz")], rhm.grammar(7)),
    ):
        content = run_json(capsys, "correlations", *named)
        assert content["grammar"]["fingerprint"] == grammar.fingerprint
        for row, tokens in zip(content["rms_correlation"], ([6], [4, 5], [0, 1, 2, 3]), strict=True):
            expected = np.sqrt(np.mean([grammar.covariance(i, 7) ** 2 for i in tokens]))
            assert row["grammar"] == pytest.approx(expected, rel=1e-12)
            assert row["finite_size"] == rhm.rms_correlation(row["level"])
    assert f"{row['grammar']:.5e}" in run(capsys, "correlations", *named)[1]


def test_correlations_of_a_grammar_without_an_ensemble(capsys, tmp_path):
    grammar, rng = rt.RHM(8, 2, 2, 3).grammar(0), np.random.default_rng(0)
    grammar = grammar.reweighted([rng.dirichlet([1, 1], size=8) for _ in range(3)])
    grammar.save(tmp_path / "g.npz")
    rows = run_json(capsys, "correlations", "--grammar", str(tmp_path / "g.npz"))["rms_correlation"]
    assert rows[0] == {"level": 1, "grammar": pytest.approx(grammar.correlation_function()[1])}
    code, out, _ = run(capsys, "correlations", "--grammar", str(tmp_path / "g.npz"))
    assert code == 0
    assert "published" not in out
    code, _, err = run(capsys, "correlations", "--grammar", str(tmp_path / "g.npz"), "--grammars", "4")
    assert code == 2
    assert "belongs to no ensemble, since its symbols weigh their rules" in err


@pytest.mark.parametrize(
    ("command", "default"),
    [
        ("predict", "none, the ensemble"),
        ("correlations", "none, the ensemble"),
        ("compare", "column grammar, or the ensemble"),
        *((command, "0") for command in ("plateaus", "sample", "tree")),
    ],
)
def test_the_help_says_what_no_seed_means(capsys, command, default):
    told = " ".join(run(capsys, command, "--help")[1].split())
    assert f"Seed of the grammar. [default: {default}]" in told


def test_thresholds_are_those_of_the_library(capsys, monkeypatch):
    asked, measure = {}, rt.thresholds
    monkeypatch.setattr("rhmtheory.learner.thresholds", lambda rhm, law, **options: asked.update(options))
    assert run(capsys, "thresholds", *ENSEMBLE, "--law", "shared")[0] == 0
    defaults = inspect.signature(measure).parameters
    assert len(asked) > 8
    for name, value in asked.items():
        if name not in ("law", "record", "highest_level"):
            assert value == defaults[name].default, name


def test_tree(capsys):
    grammar = rt.RHM(8, 2, 2, 3).grammar(0)
    levels = grammar.sample_trees(1, 3).levels
    code, out, _ = run(capsys, "tree", *ENSEMBLE, "--sample-seed", "3")
    assert code == 0
    assert out == f"{grammar.tree(levels)}\n"
    sentence = " ".join(map(str, levels[0][0]))
    assert run(capsys, "tree", *ENSEMBLE, "--tokens", sentence)[1] == out
    content = run_json(capsys, "tree", *ENSEMBLE, "--tokens", sentence.replace(" ", ","))
    assert content["levels"] == [level[0].tolist() for level in levels]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["predict", "--v", "16", "--m", "20", "--s", "2", "--L", "4"], "lower m to at most 16"),
        (["predict", "--v", "16", "--m", "4", "--s", "1", "--L", "4"], "s=1 is too small: it must be at least 2"),
        (["predict", "--v", "16", "--m", "4.5", "--s", "2", "--L", "4"], "'4.5' is not an integer"),
        (["predict", "--v", "16,8", "--m", "4", "--s", "2", "--L", "3"], "v has 2 entries, but L=3"),
        (["predict", *ENSEMBLE, "--architecture", "rnn"], "'rnn' is not one of 'transformer', 'lcn', 'cnn'"),
        (["predict", *ENSEMBLE, "--plateaus", "magic"], "'magic' is not one of 'chain', 'annealed'"),
        (
            ["predict", "--v", "4", "--m", "4", "--s", "2", "--L", "2", "--plot", "x.png"],
            "has no step to draw",
        ),
        (["sample", *ENSEMBLE, "--seed", "-1"], "--seed=-1 is too small"),
        (["sample", *ENSEMBLE, "--sample-seed", "-1"], "--sample-seed=-1 is too small"),
        (["sample", *ENSEMBLE, "--count", "-1"], "--count=-1 is too small"),
        (
            ["sample", *ENSEMBLE, "--count", "1000000000"],
            "printed: ask for fewer sentences, or write them to a file with --out",
        ),
        (["sample", *DEEP, "--count", "1000000", "--out", "x.npy"], "GiB, more than there is: draw fewer"),
        (
            ["thresholds", *DEEP],
            "samples=20000 of 134217727 symbols need 2.5e+03 GiB, more than there is: lower --L or --most",
        ),
        (["correlations", *DEEP, "--seed", "1"], "operations: name no grammar, for the ensemble alone"),
        (["sample", *ENSEMBLE, "--trees", "--out", "x.npy"], "--out writes the tokens alone"),
        (["sample", *DEEP, "--trees", "--out", "x.npy", "--json"], "leave out --trees"),
        (["report", "results", "--format", "pdf"], "--format is that of the figures that --out writes"),
        (["study", "quick", "--dry-run", "--plot", "x.png"], "--dry-run trains nothing that --plot could draw"),
        (["tree", *DEEP], "67108864 tokens are more than the 16777216 that are printed: ask for fewer levels"),
        (["plateaus", *ENSEMBLE, "--grammars", "1000000"], "--grammars=1000000 is too large"),
        (["sample", *ENSEMBLE, "--count", "0", "--plot", "x.png"], "--count=0 is too small: it must be at least 1"),
        (["sample", *ENSEMBLE, "--out", "/nowhere/tokens.npy"], "there is no folder /nowhere"),
        (["sample", *ENSEMBLE, "--out", "record.jsonl"], "is no npy file: give one of these endings"),
        (["thresholds", *ENSEMBLE, "--grammars", "0"], "--grammars=0 is too small"),
        (["thresholds", *ENSEMBLE, "--record", "/nowhere/r.jsonl"], "there is no folder /nowhere"),
        (["thresholds", *ENSEMBLE, "--criterion", "words"], "'words' is not one of 'tuples', 'symbols'"),
        (["corpus", __file__, "--segments", "3"], "--segments=3 is too small"),
        (["predict", "--v", "16"], "Missing option --m --s --L (or --grammar FILE)."),
        (["sample", "--grammar", "nowhere.npz"], "File 'nowhere.npz' does not exist"),
        (["sample", "--grammar", __file__], "is not a grammar file"),
        (["sample", "--grammar", __file__, "--seed", "1"], "--seed and --grammar name two grammars"),
        (["plateaus", "--grammar", __file__, "--v", "4", "--L", "2"], "leave out --v --L"),
        (["tree", "--v", "8", "--m", "2", "--s", "2", "--L", "7"], "a tree of d=128 tokens cannot be read"),
        (["tree", *ENSEMBLE, "--tokens", "1 2 x"], "--tokens='1 2 x' is no list of tokens"),
        (["tree", *ENSEMBLE, "--tokens", "1 2"], "tokens have shape (2,): give one sentence, (8,)"),
        (["forecast"], "No such command"),
        pytest.param(
            ["study", "nonsense"],
            "preset='nonsense' is unknown",
            marks=pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed"),
        ),
    ],
)
def test_bad_input_is_told_without_a_traceback(capsys, args, message):
    code, out, err = run(capsys, *args)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""


THREE = ["--v", "16", "--m", "4", "--s", "2", "--L", "3"]


@pytest.fixture
def curve_file(tmp_path):
    """Curves of the CNN's law on grammars 0, 1 and 2, by the column grammar."""
    given = staircases.curves(rt.RHM(16, 4, 2, 3), "net", "cnn", constant=5, grammars=3, noise=0.05)
    rows = [
        f"{P:.0f},{loss!r},{i}" for i in range(3) for P, loss in zip(given.P, given.loss[i].tolist(), strict=True)
    ]
    path = tmp_path / "curve.csv"
    path.write_text("\n".join(["P,loss,grammar", *rows]))
    return path


def test_compare_measures_curves_of_a_file(capsys, curve_file, tmp_path):
    figure = tmp_path / "figure.pdf"
    content = run_json(capsys, "compare", str(curve_file), *THREE, "--plot", str(figure))
    assert content["step_factor"]["measured"]["best"] == pytest.approx(4, rel=0.2)
    assert content["step_factor"]["measured"]["count"] == 3
    assert [one["law"] for one in content["step_factor"]["judged"]] == ["cnn", "cnn", "transformer", "transformer"]
    assert figure.read_bytes().startswith(b"%PDF")
    code, out, _ = run(capsys, "compare", str(curve_file), *THREE, "--law", "cnn", "--label", "my network")
    assert code == 0
    assert "my network" in out
    assert "transformer, " not in out
    assert max(map(len, out.splitlines())) <= 80


def test_compare_takes_a_grammar_by_seed_or_file_or_none(capsys, curve_file, tmp_path):
    lines = curve_file.read_text().splitlines()
    one = tmp_path / "one.csv"
    one.write_text("\n".join(line.rsplit(",", 1)[0] for line in lines if line.endswith((",0", "grammar"))))
    by_seed = run_json(capsys, "compare", str(one), *THREE, "--seed", "0")
    rt.RHM(16, 4, 2, 3).grammar(0).save(tmp_path / "g.npz")
    assert run_json(capsys, "compare", str(one), "--grammar", str(tmp_path / "g.npz")) == by_seed
    code, out, _ = run(capsys, "compare", str(one), *THREE)
    assert code == 0
    assert "plateaus are those of the ensemble" in out
    assert "no interval" not in run(capsys, "compare", str(curve_file), *THREE)[1]
    code, _, err = run(capsys, "compare", str(curve_file), *THREE, "--seed", "0")
    assert code == 2
    assert "one grammar is named, but the file has curves of 3" in err
    named = tmp_path / "named.csv"
    named.write_text("P,loss,grammar\n10,2,mine\n20,1.9,mine\n")
    code, _, err = run(capsys, "compare", str(named), *THREE)
    assert code == 2
    assert "neither a seed nor a .npz file" in err


@pytest.mark.parametrize("args", [["study", "quick"], ["report", "."], ["presets"]])
def test_networks_without_the_extra_say_how_to_get_it(capsys, monkeypatch, args):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.split(".")[0] == "rhmvalidation"]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = run(capsys, *args)
    assert code == 2
    assert "pip install 'rhmtheory[validation]'" in err


def test_presets_are_listed_with_their_summaries(capsys):
    pytest.importorskip("torch")
    code, out, _ = run(capsys, "presets")
    assert code == 0
    assert "quick            Samples and updates of each level, CNN and locally connected network" in out
    listed = json.loads(run(capsys, "presets", "--json")[1])
    assert listed["quick"]["sweeps"] == 4
    assert len(listed) == len(out.splitlines())


def test_interrupted_comparison_says_what_is_kept(capsys, monkeypatch, tmp_path):
    pytest.importorskip("torch")
    from rhmvalidation.studies import job

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "execute", interrupted)
    code, _, err = run(capsys, "study", "quick", "--out", str(tmp_path))
    assert code == 130
    assert f"runs are kept in {tmp_path}: the same command goes on from there" in err
    assert "interrupted" in err


def test_version_and_help(capsys):
    assert run(capsys, "--version")[:2] == (0, f"rhmtheory, version {rt.__version__}\n")
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for command in ("predict", "correlations", "plateaus", "sample", "study", "compare", "report", "presets"):
        assert command in out
