"""Measured sample complexities: the bisection, the record that a run resumes from, and what is reported."""

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from rhmtheory import RHM, InputError
from rhmtheory.cli import main
from rhmtheory.learner import search
from rhmtheory.learner.search import ThresholdStudy, _read_record, _Task, bisect, thresholds
from rhmtheory.plotting import plot_thresholds
from rhmtheory.theory.laws import LAWS, Law

SMALL = RHM(v=8, m=2, s=2, L=3)


def learnable_from(P):
    """A learner that reaches its level with P samples and not with fewer; counts its calls."""

    def learn(rhm, tokens, **_):
        learn.calls += 1
        f1 = float(len(tokens) >= P)
        return SimpleNamespace(score=lambda _: [SimpleNamespace(pair_f1=f1, tuple_f1=f1)])

    learn.calls = 0
    return learn


@pytest.mark.parametrize("P", [12, 85, 86, 1000, 123456])
def test_bisection_finds_a_known_threshold(monkeypatch, P):
    learn = learnable_from(P)
    monkeypatch.setattr(search, "learn", learn)
    assert _Task(SMALL, True, 1).run() == pytest.approx(P, rel=0.06)
    assert learn.calls < 25


def test_bisection_at_its_ends(monkeypatch):
    monkeypatch.setattr(search, "learn", learnable_from(10**9))
    assert np.isnan(_Task(SMALL, True, 1, most=5000).run())
    monkeypatch.setattr(search, "learn", learnable_from(1))
    assert _Task(SMALL, True, 1).run() == 10
    # no finite prediction to start from: every tuple is grammatical
    monkeypatch.setattr(search, "learn", learnable_from(700))
    assert _Task(RHM(v=4, m=4, s=2, L=2), True, 1, most=3000).run() == pytest.approx(700, rel=0.06)


def test_bisection_by_itself():
    asked = []

    def reached(P):
        asked.append(P)
        return P >= 300

    for start in (20, 299, 300, 5000):
        asked.clear()
        P = bisect(reached, start, least=10, most=10_000, tolerance=0.05)
        low, high = max(x for x in asked if x < 300), min(x for x in asked if x >= 300)
        assert pytest.approx(np.sqrt(low * high)) == P
        assert high / low <= 1.05
    assert bisect(lambda P: True, 100, least=10, most=1000, tolerance=0.05) == 10
    assert np.isnan(bisect(lambda P: False, 100, least=10, most=1000, tolerance=0.05))
    assert 990 < bisect(lambda P: P >= 1000, 1000, least=10, most=1000, tolerance=0.01) < 1000


@pytest.mark.parametrize("P", [12, 3000])
def test_bisection_ends_at_single_samples(monkeypatch, P):
    monkeypatch.setattr(search, "learn", learnable_from(P))
    assert P - 1 <= _Task(SMALL, True, 1, tolerance=1e-300).run() <= P + 1


def test_task_measures_what_learn_scores():
    task = _Task(RHM(v=12, m=3, s=2, L=3), True, 1, seed=3)
    P = task.run()
    assert task.run(threads=1) == P
    assert 100 < P < 5000
    higher = _Task(task.rhm, False, 2, seed=3, criterion="symbols").run()
    first_step = _Task(task.rhm, False, 2, seed=3).run()
    assert P < first_step < higher


def test_finite_size_complexity_tends_to_the_asymptotic_one():
    small, large = RHM(v=16, m=4, s=2, L=4), RHM(v=256, m=64, s=2, L=4)
    for law in (LAWS["shared"], LAWS["unshared"]):
        for k in (0, 1, 2, 3):
            ratios = [law.finite_size(r, k) / law.published(r, k) for r in (small, large)]
            assert abs(np.log(ratios[1])) < 0.1
            assert 0.7 < ratios[0] < 2


def test_record_is_resumed_merged_and_mended(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "record.jsonl"
    learn = learnable_from(300)
    monkeypatch.setattr(search, "learn", learn)
    first = thresholds(SMALL, "shared", grammars=2, record=path)
    lines = path.read_text().splitlines()
    assert len(lines) == 6
    assert json.loads(lines[0]) == {"record": "thresholds", "schema": 1}
    made = json.loads(lines[1])["provenance"]
    assert {"command", "date", "versions", "machine"} <= set(made)
    calls = learn.calls
    again = thresholds(SMALL, "shared", grammars=2, record=path)
    assert learn.calls == calls
    assert np.array_equal(first.samples, again.samples)
    # stopped within a line: that threshold is measured again, the others are kept
    path.write_text("\n".join(lines)[:-20])
    assert len(_read_record(path)) == 3
    thresholds(SMALL, "shared", grammars=3, record=path)
    assert len(_read_record(path)) == 6
    assert all(json.loads(line) for line in path.read_text().splitlines())
    # two records joined are one
    other = tmp_path / "other.jsonl"
    thresholds(SMALL, "unshared", grammars=1, record=other)
    joined = tmp_path / "joined.jsonl"
    joined.write_text(other.read_text() + path.read_text())
    assert len(_read_record(joined)) == 8
    # other options are other tasks
    calls = learn.calls
    thresholds(SMALL, "shared", grammars=1, record=path, threshold=0.6)
    assert learn.calls > calls


HEAD = '{"record": "thresholds", "schema": 1}\n'


@pytest.mark.parametrize(
    ("third", "message"),
    [
        ("hello", "is no JSON object"),
        ("[" * 2000, "is no JSON object"),
        ('{"task": 1, "samples": -2}', "holds no threshold"),
        (f'{{"task": 1, "samples": {10**400}}}', "holds no threshold"),
        ('{"task": 1, "samples": 1e300}', "holds no threshold"),
        ('{"task": 1}', "holds no threshold"),
    ],
)
def test_a_line_of_a_record_that_is_none(tmp_path, third, message):
    path = tmp_path / "x.jsonl"
    path.write_text(f'{HEAD}{{"task": 1, "samples": 2}}\n{third}\n')
    with pytest.raises(InputError, match=f"line 3 {message}: delete the line"):
        _read_record(path)


@pytest.mark.parametrize(
    "content",
    [
        b"my thesis\n\nchapter one\n",
        b"my thesis",
        b"\xff\xfe\x00",
        b'{"precious": my notes',
        b'{"precious": "notes"}',
        b'{"precious": "notes"}\n{"more": 1',
        b'{"record": "other things", "schema": 1}\n',
        b"{",
    ],
)
def test_a_record_is_no_other_file(content, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "learn", learnable_from(300))
    path = tmp_path / "thesis.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"thesis\.txt holds something else than a record of thresholds"):
        thresholds(SMALL, "shared", grammars=1, record=path)
    assert path.read_bytes() == content


@pytest.mark.skipif(os.name != "posix", reason="needs pipes and devices")
def test_a_record_is_a_regular_file(tmp_path):
    """An endless device, a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/dev/zero", tmp_path / "device")
    for name in ("pipe", "device"):
        with pytest.raises(InputError, match="is a pipe or a device"):
            thresholds(SMALL, "shared", grammars=1, record=tmp_path / name)


def test_not_reached_is_reported_as_such(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "learn", learnable_from(10**9))
    result = thresholds(SMALL, "shared", grammars=2, most=2000, record=tmp_path / "r.jsonl")
    assert np.isnan(result.samples).all()
    rows = [line.split(maxsplit=3) for line in str(result).splitlines()]
    assert ["1", "85.3", "67.5", "reached by 0 of 2 grammars"] in rows
    json.dumps(result.to_dict(), allow_nan=False)
    assert result.to_dict()["levels"][0]["reached"] == 0
    assert np.isnan(result.step().best)
    assert np.isnan(thresholds(SMALL, "shared", grammars=2, most=2000, record=tmp_path / "r.jsonl").samples).all()


def test_a_threshold_below_the_fewest_samples_is_a_bound(monkeypatch):
    """It enters no mean and no slope, and is told."""
    monkeypatch.setattr(search, "learn", learnable_from(1))
    result = thresholds(SMALL, "shared", grammars=3)
    assert (result.samples == search.LEAST_SAMPLES).all()
    assert np.isnan([fit.best for fit in result.thresholds()]).all()
    assert np.isnan(result.steps()).all()
    assert np.isnan(result.step().best)
    assert "reached by 3 of 3 grammars, by 3 with 10 samples already" in str(result)
    assert [level["early"] for level in result.to_dict()["levels"]] == [3, 3]
    known = known_measurement()
    known.samples[:5, 0] = 10
    assert [np.isnan(fit.best) for fit in known.thresholds()] == [True, False, False]
    assert known.step().best == pytest.approx(np.exp(np.log(known.samples[:, 2] / known.samples[:, 1]).mean()))
    assert [level["early"] for level in known.to_dict()["levels"]] == [5, 0, 0]


def known_measurement():
    rng = np.random.default_rng(0)
    samples = 100 * 3.0 ** np.arange(3) * np.exp(rng.normal(0, 0.1, size=(20, 3)))
    return ThresholdStudy(SMALL, LAWS["shared"], (1, 2, 3), samples, "symbols", np.ones(3), np.ones(3), 2.0)


def test_step_factor_of_known_data():
    result = known_measurement()
    step = result.step()
    assert step.low < 3 < step.high
    assert step.best == pytest.approx(3, rel=0.1)
    for k, fit in enumerate(result.thresholds()):
        assert fit.low < 100 * 3**k < fit.high
    assert np.allclose(result.steps(), 3, rtol=0.1)
    assert str(result).splitlines()[-1].split()[:4] == ["factor", "m", "=", "2"]
    assert str(result).splitlines()[-1].endswith(f"  {result.step()}")


def test_studies_compare_by_value():
    assert known_measurement() == known_measurement()
    other = known_measurement()
    other.samples[0, 0] = np.nan
    assert known_measurement() != other
    assert other == replace(other)
    assert other != 3


def test_plot_draws_into_the_axes_given():
    ax = Figure().subplots()
    assert plot_thresholds([known_measurement()], ax) is ax
    assert ax.get_yscale() == "log"
    assert plot_thresholds([known_measurement()]).figure is not ax.figure
    assert known_measurement().plot(ax) is ax


def test_command(tmp_path, capsys):
    arguments = ["thresholds", "--v", "12", "--m", "3", "--s", "2", "--L", "3", "--grammars", "2", "--levels", "1"]
    assert main([*arguments, "--record", str(tmp_path / "r.jsonl"), "--plot", str(tmp_path / "f.png")]) == 0
    assert "  m**2 = 9  " in capsys.readouterr().out
    assert (tmp_path / "f.png").stat().st_size > 1000
    assert main([*arguments, "--record", str(tmp_path / "r.jsonl"), "--law", "shared", "--json"]) == 0
    (content,) = json.loads(capsys.readouterr().out)
    assert content["levels"][0]["reached"] == 2
    assert main([*arguments, "--criterion", "taste"]) == 2
    assert "'taste' is not one of 'tuples', 'symbols'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _Task(SMALL, True, 3), "level=3 is too large"),
        (lambda: _Task(SMALL, True, 1, threshold=1.5), "threshold=1.5"),
        (lambda: _Task(SMALL, True, 1, tolerance=0), "tolerance=0"),
        (lambda: _Task(SMALL, True, 1, most=5), "most=5 is too small"),
        (lambda: _Task(RHM(v=(8, 6), m=2, s=2, L=2), True, 1), "no single"),
        (lambda: thresholds(RHM(v=8, m=2, s=2, L=1), "shared"), "L=1 has no hidden level"),
        (lambda: thresholds(SMALL, "shared", grammars=0), "grammars=0 is too small"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_level_without_signal_enters_no_predicted_factor():
    """All tuples of level 1 symbols are some class's: they tell nothing of it."""
    study = thresholds(RHM(8, 2, 2, 3, n=32), "shared", grammars=2, tolerance=0.5, most=2000)
    assert np.isfinite(study.finite_size).tolist() == [True, False]
    assert np.isnan(study.finite_size_step)
    assert "2 grammars" in str(study)


def test_laws_name_what_a_learner_is_told_and_shares():
    found = {name: search._learner_of(LAWS[name]) for name in search.FOLLOWED}
    assert found == {
        "unshared": (False, "token"),
        "shared": (True, "token"),
        "effective targets": (False, "spine"),
        "own latents": (True, "spine"),
        "class": (True, "class"),
    }
    for (sharing, targets), name in search._LAW_OF.items():
        assert _Task(SMALL, sharing, 1, targets=targets).law is LAWS[name]
    mine = Law("mine", lambda k: 0, lambda k: k)
    assert search._learner_of(mine) == (True, "token")
    for law in (
        LAWS["residual"],
        Law("odd", lambda k: 0, lambda k: 2 if k > 1 else k),
        Law("bare", lambda k: 0, lambda k: k, lambda k: False),
    ):
        with pytest.raises(InputError, match="is none that the clustering learner can follow"):
            thresholds(SMALL, law)


def test_own_latents_cost_less_than_the_token():
    """Theory says the same at every level; at this size the second waits until the first is nearly whole."""
    rhm = RHM(v=12, m=3, s=2, L=3)
    own, shared = (thresholds(rhm, law, grammars=4) for law in ("own latents", "shared"))
    assert own.law is LAWS["own latents"]
    assert own.published_step == 1
    assert own.samples[:, 0].tolist() == shared.samples[:, 0].tolist()
    assert shared.published_step == 3
    assert own.thresholds()[1].best < shared.thresholds()[1].best
    assert "own latents" in str(own)
    assert own.to_dict()["law"] == "own latents"


def test_the_class_needs_n_m_to_the_depth():
    """Its threshold grows by m with each level above the tokens."""
    studies = [thresholds(RHM(v=8, m=2, s=2, L=L), "class", grammars=4) for L in (2, 3)]
    for study, L in zip(studies, (2, 3), strict=True):
        assert study.hidden_levels == (1,)
        assert study.published.tolist() == [8 * 2**L]
        assert 0.2 < study.thresholds()[0].best / study.published[0] < 5
    assert studies[1].thresholds()[0].best > 1.3 * studies[0].thresholds()[0].best
    with pytest.raises(InputError, match="n=1 class leaves nothing"):
        thresholds(RHM(8, 2, 2, 3, n=1), "class")
    with pytest.raises(InputError, match="highest_level=2 is too large"):
        thresholds(SMALL, "class", highest_level=2)


def test_a_masked_token_costs_what_the_last_one_does():
    rhm = RHM(v=12, m=3, s=2, L=3)
    last, middle = (thresholds(rhm, highest_level=1, grammars=4, position=position) for position in (-1, 2))
    assert abs(np.log(middle.samples / last.samples)).max() < 1
    assert not np.array_equal(middle.samples, last.samples)
    assert "position" not in _Task(rhm, True, 1, position=7).key
    assert '"position": 2' in _Task(rhm, True, 1, position=2).key
