"""From finished runs to learning curves and a report, and more grammars until the verdict is decided."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from staircases import curves

from rhmtheory import RHM, InputError
from rhmtheory.comparison import study
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.studies.folder import ResultFolder
from rhmvalidation.studies.job import more_grammars
from rhmvalidation.studies.job import study as train_study
from rhmvalidation.studies.preset import Preset, Sweep
from rhmvalidation.studies.report import Report, divergences, learning_curves, report, report_on
from rhmvalidation.studies.runs import Run
from rhmvalidation.training.outcome import Outcome
from rhmvalidation.training.settings import Settings

RHM_ = RHM(8, 2, 2, 3)


def finished(network, seed, P, loss, *, diverged=False, curve=(), run_seed=None, rule="ours", width=4, **settings):
    spec = NetworkSpec(network, {"width": width})
    settings = Settings(**({"learning_rate": 1.0, "batch_size": 10} | settings))
    one = Run(RHM_, spec, P, seed, seed if run_seed is None else run_seed, settings, rule)
    return one, Outcome(loss, 0, 0, list(curve), diverged, 1.0)


def test_runs_are_grouped_into_curves_and_diverged_ones_left_out():
    runs = [finished("cnn", seed, P, 1.0 / P + seed) for seed in (0, 1) for P in (20, 10)]
    runs.append(finished("cnn", 0, 40, 1e-9, diverged=True))
    runs.append(finished("lcn", 0, 10, 0.5))
    cnn, lcn = learning_curves(runs)
    assert (cnn.label, lcn.label) == ("cnn", "lcn")
    assert cnn.laws == ("cnn",)
    assert cnn.grammars == ("seed 0", "seed 1")
    np.testing.assert_array_equal(cnn.P, [10, 20])
    np.testing.assert_array_equal(cnn.loss, [[0.1, 0.05], [1.1, 1.05]])
    np.testing.assert_allclose(cnn.plateaus[1], RHM_.grammar(1).plateaus())
    assert (cnn.diverged, lcn.diverged) == (1, 0)


def test_an_online_run_is_a_curve_of_its_own():
    curve = [(0, 2.0), (1, 1.0), (2, 1.5), (4, 0.5)]
    (online,) = learning_curves([finished("cnn", 0, 40, 0.5, protocol="online", curve=curve)])
    np.testing.assert_array_equal(online.P, [10, 20, 40])
    np.testing.assert_array_equal(online.loss, [[1.0, 1.5, 0.5]])
    assert online.protocol == "online"


def test_online_and_offline_are_two_curves():
    runs = [finished("cnn", 0, 40, 0.5), finished("cnn", 0, 40, 0.5, protocol="online", curve=[(1, 1.0)])]
    assert [one.protocol for one in learning_curves(runs)] == ["offline", "online"]


def test_a_scan_of_learning_rates_is_one_curve_each():
    runs = [finished("cnn", 0, P, 1 / P, learning_rate=rate) for rate in (2.0, 0.5) for P in (10, 20)]
    assert [one.name for one in learning_curves(runs)] == ["cnn, rate 0.5", "cnn, rate 2"]


def test_widths_and_batch_sizes_are_curves_of_their_own():
    runs = [
        finished("cnn", 0, P, 1 / P, width=width, batch_size=batch)
        for width, batch in ((16, 8), (4, 64), (4, 8))
        for P in (10, 20)
    ]
    found = learning_curves(runs)
    assert [one.name for one in found] == [
        "cnn, width 4, batch 8",
        "cnn, width 4, batch 64",
        "cnn, width 16, batch 8",
    ]
    assert [(one.batch, one.rate) for one in found] == [(8, 1.0), (64, 1.0), (8, 1.0)]
    assert [one.name for one in learning_curves(runs[:2])] == ["cnn"]


def test_several_runs_of_a_grammar_are_rows_of_it():
    runs = [finished("cnn", 0, P, 1 / P, run_seed=i) for i in (0, 1) for P in (10, 20)]
    (one,) = learning_curves([*runs, finished("cnn", 0, 10, 0.1, rule="published")])
    assert one.grammars == ("seed 0", "seed 0", "published seed 0")
    assert not np.allclose(one.plateaus[0], one.plateaus[2])


def test_objectives_are_two_networks():
    runs = [finished("decoder", 0, 10, 1.0), finished("decoder", 0, 10, 1.0, objective="all")]
    assert [one.label for one in learning_curves(runs)] == ["decoder", "decoder (all tokens)"]


def test_classes_of_one_name_are_two_networks():
    names = ("first:Net", "second:Net", "second:Other")
    runs = [finished(name, 0, 10, loss) for name, loss in zip(names, (1.0, 2.0, 3.0), strict=True)]
    assert [one.label for one in learning_curves(runs)] == ["first:Net", "second:Net", "Other"]
    assert [one.label for one in learning_curves(runs[:1])] == ["Net"]
    # in a study under way, that of a sweep is known before its runs are
    assert [one.label for one in learning_curves(runs[:1], beside=names)] == ["first:Net"]
    probed = [(run, replace(one, divergence=[(0, [one.best_loss] * 4)])) for run, one in runs]
    found = {label: values[0, 0] for label, _, values in divergences(probed)[RHM_]}
    assert found == {"first:Net": 1.0, "second:Net": 2.0, "Other": 3.0}


def test_other_arguments_are_no_points_of_the_same_curve():
    runs = [finished("mine:Net", seed, 10, 1.0, width=width) for seed, width in ((0, 8), (1, 16))]
    assert [one.name for one in learning_curves(runs)] == ["Net, width 8", "Net, width 16"]


def test_mixed_settings_in_one_curve_are_refused():
    runs = [finished("cnn", 0, 10, 1.0), finished("cnn", 1, 10, 1.0, warmup=8)]
    with pytest.raises(InputError, match=r"differ in warmup \(0, 8\) and would be mixed in one curve: keep each"):
        learning_curves(runs)


def test_divergences_are_means_over_grammars():
    both = []
    for seed, value in ((0, 1.0), (1, 3.0)):
        one, outcome = finished("cnn", seed, 10, 0.5)
        both.append((one, replace(outcome, best_step=7, divergence=[(5, [9.0] * 4), (7, [value] * 4)])))
    ((label, P, values),) = divergences(both)[RHM_]
    assert label == "cnn"
    np.testing.assert_array_equal(P, [10])
    np.testing.assert_array_equal(values, [[2.0] * 4])
    assert divergences([finished("cnn", 0, 10, 0.5)]) == {}


def test_runs_of_an_older_format_are_refused(tmp_path):
    ResultFolder(tmp_path).write_tables([finished("cnn", 0, 10, 0.5)])
    text = (tmp_path / "runs.jsonl").read_text()
    content = json.loads(text)
    content["run"]["network"] = "cnn"  # settings held what the arguments of the network hold now
    (tmp_path / "runs.jsonl").write_text(json.dumps(content) + "\n")
    with pytest.raises(InputError, match=r"of an older format.*train it anew"):
        report(tmp_path)
    (tmp_path / "runs").mkdir()
    shutil.move(tmp_path / "runs.jsonl", tmp_path / "runs" / "one.json")
    with pytest.raises(InputError, match=r"of an older format.*train it anew"):
        report(tmp_path)


@pytest.fixture(scope="module")
def ladders():
    out = []
    for m in (3, 4, 5):
        rhm = RHM(4 * m, m, 2, 3)
        sizes = np.geomspace(10, 1e7, 60)
        out += [
            curves(rhm, law, law, noise=0.1, grammars=6, constant=5, seed=m, sizes=sizes) for law in ("cnn", "lcn")
        ]
    return study(out)


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_all_figures_are_written_in_the_format_asked_for(ladders, tmp_path, ending, start):
    Report(tmp_path, [], ladders, {}).write(ending=ending)
    names = {path.stem for path in tmp_path.glob(f"*.{ending}")}
    assert {"comparison", "collapse", "ladder", "exponents", "comparison_v12_m3_s2_L3"} <= names
    assert all(path.read_bytes().startswith(start) for path in tmp_path.glob(f"*.{ending}"))


# --- more grammars until the verdict is decided --------------------------------------------------------------

SETTINGS = Settings(learning_rate=1.0)


def preset_of(network, grammars, settings=SETTINGS):
    return Preset(
        "p",
        "",
        (Sweep(RHM(16, 4, 2, 3), NetworkSpec(network, {"width": 4}), tuple(range(grammars)), (64,), settings, 4),),
    )


def found(noise, grammars=4, **rest):
    return study(
        [
            curves(
                RHM(16, 4, 2, 3),
                "cnn",
                "cnn",
                noise=noise,
                grammars=grammars,
                constant=5,
                seed=3,
                protocol="offline",
                **rest,
            )
        ]
    )


def test_grammars_are_added_until_the_interval_is_narrow():
    start = preset_of("cnn", 4)
    wide, narrow = found(0.4), found(0.001)
    assert wide.widest > 0.4 > narrow.widest
    (grown,) = more_grammars(start, wide, 0.4, 64).sweeps
    assert grown.seeds == tuple(range(8))  # not more than twice as many at once
    assert more_grammars(start, narrow, 0.4, 64) == start
    assert more_grammars(start, wide, 0.4, 4) == start
    assert more_grammars(start, wide, 0.4, 5).sweeps[0].seeds == (0, 1, 2, 3, 4)
    both = replace(start, sweeps=(*start.sweeps, *preset_of("lcn", 4).sweeps))
    assert more_grammars(both.select(network="cnn"), wide, 0.4, 64).sweeps == (grown,)
    online = replace(SETTINGS, protocol="online")
    for other in (preset_of("lcn", 4), preset_of("cnn", 4, online)):  # of another network, or by the other clock
        assert more_grammars(other, wide, 0.4, 64) == other


def test_grammars_are_added_to_the_class_that_needs_them():
    names = "first:Net", "second:Net"
    start = Preset("p", "", tuple(preset_of(name, 4).sweeps[0] for name in names))
    wide, narrow = (
        replace(found(noise).measurements[0].curves, label=name)
        for noise, name in zip((0.4, 0.001), names, strict=True)
    )
    grown = more_grammars(start, study([wide, narrow]), 0.4, 64)
    assert [len(sweep.seeds) for sweep in grown.sweeps] == [8, 4]


def test_a_lower_bound_gets_no_more_grammars_and_too_few_get_three():
    bound = found(0.4, until=8e3)
    assert bound.measurements[0].step_factor.measured.at_least
    assert more_grammars(preset_of("cnn", 4), bound, 0.1, 64) == preset_of("cnn", 4)
    assert more_grammars(preset_of("cnn", 1), found(0.4, 1), 0.1, 64).sweeps[0].seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"until_width": -1.0}, "until_width=-1.0 must be positive"),
        ({"until_width": 0.2, "shard": "1/2"}, "shard='1/2' sees a part of the grammars only"),
    ],
)
def test_bad_widths_are_refused(given, message, tmp_path):
    with pytest.raises(InputError, match=message):
        train_study("quick", tmp_path / "out", device="cpu", **given)


def test_a_curve_whose_runs_all_diverged_is_left_out_and_said():
    points = [(8, 1.3), (64, 0.5)]
    wild = finished("cnn", 0, 640, 1.3, diverged=True, curve=points, protocol="online", learning_rate=16.0)
    tame = finished("cnn", 0, 640, 0.5, curve=points, protocol="online", learning_rate=4.0)
    with pytest.warns(UserWarning, match="all 1 runs of cnn .* at rate 16 diverged"):
        (curve,) = learning_curves([wild, tame])
    assert curve.variant == "rate 4"


# --- samples and time ---------------------------------------------------------------------------------------


def test_offline_runs_tell_when_each_step_was_made_and_whether_more_steps_could_help():
    H = RHM_.grammar(0).plateaus()
    made = [(0, H[0]), (8, H[0]), (80, float(np.sqrt(H[0] * H[1]))), (160, H[1])]
    one, outcome = finished("cnn", 0, 40, H[1], curve=made, max_steps=1000)
    waited, cut = replace(outcome, best_step=160, steps=500), replace(outcome, best_step=160, steps=400)
    (patient,), (short,) = learning_curves([(one, waited)]), learning_curves([(one, cut)])
    assert patient.time.shape == (1, 1, 3)
    assert patient.time[0, 0, 0] == pytest.approx(800)  # 80 steps of a batch of 10
    assert np.isnan(patient.time[0, 0, 1:]).all()
    assert patient.remarks == ("more steps lowered no loss: every run went on for 3.1 times the steps of its best",)
    assert short.remarks == ("cut off by max_steps, more steps might lower the loss: P = 40 (1 runs)",)
    (online,) = learning_curves([finished("cnn", 0, 40, 0.5, protocol="online", curve=[(1, 1.0)])])
    assert online.time is None
    assert online.remarks == ()


def test_a_run_that_diverged_out_of_patience_counts():
    one, outcome = finished("cnn", 0, 40, 0.5, diverged=True)
    (curve,) = learning_curves([(one, replace(outcome, best_step=100, steps=301)), finished("cnn", 0, 20, 0.7)])
    assert curve.diverged == 0
    np.testing.assert_array_equal(curve.loss, [[0.7, 0.5]])
    (curve,) = learning_curves([(one, replace(outcome, best_step=100, steps=299)), finished("cnn", 0, 20, 0.7)])
    assert curve.diverged == 1


def test_folders_are_reported_on_together_with_the_two_clocks(tmp_path):
    ladder = np.geomspace(10, 1e5, 50).astype(int)
    both = {"offline": [], "online": []}
    for seed in range(3):
        H = RHM_.grammar(seed).plateaus()
        loss = np.interp(np.log(ladder), np.log([100, 400, 3000, 30000]), H)
        history = list(zip(range(1, 51), loss.tolist(), strict=True))
        both["online"].append(finished("cnn", seed, 10**6, H[-1], protocol="online", curve=history))
        both["offline"] += [
            finished("cnn", seed, int(P), float(y), curve=history) for P, y in zip(ladder, loss, strict=True)
        ]
    for name, runs in both.items():
        (tmp_path / name).mkdir()
        ResultFolder(tmp_path / name).write_tables(runs)
    found = report(tmp_path / "offline", tmp_path / "online", tmp_path / "online")
    assert len(found.finished) == len(both["offline"]) + len(both["online"])
    assert [c.protocol for c in found.study.comparisons] == ["offline", "online"]
    found.write(tmp_path / "out" / "deep")
    assert {"clocks_v8_m2_s2_L3.png", "comparison.json", "runs.csv"} <= {
        path.name for path in (tmp_path / "out" / "deep").iterdir()
    }
    assert "clocks_v8_m2_s2_L3" not in report(tmp_path / "offline").figures()
    with pytest.raises(InputError, match=r"the folder .* cannot be made"):
        found.write(tmp_path / "online" / "runs.csv" / "x")


BATCHES = """
summary = "both bills"
[[sweep]]
network = "cnn"
arguments = { width = 32 }
ensemble = { v = 6, m = 3, s = 2, L = 2 }
grammars = 3
samples = { highest = 16384 }
training = { learning_rate = 1.0, batch_size = [4, 16], protocol = "online", test_size = 256 }
"""


def test_several_batch_sizes_tell_samples_from_updates(tmp_path):
    (tmp_path / "bills.toml").write_text(BATCHES)
    made = train_study(tmp_path / "bills.toml", tmp_path / "out", device="cpu", workers=1, progress=False)
    (series,) = made.bills.series
    np.testing.assert_array_equal(series.x, [4, 16])
    for step in series.steps:
        assert step.samples(4) == pytest.approx(np.exp(step.fit.ln_y[:, 0].mean()), rel=0.1)
    assert "level 1 costs" in str(made)
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [step["k"] for step in content["bills"]["series"][0]["steps"]] == [0, 1]
    assert (tmp_path / "out" / "bills.png").stat().st_size > 1000
    assert str(report(tmp_path / "out").bills) == str(made.bills)


def falling(seed):
    return [(step, (4.0 + seed / 10) / step) for step in range(1, 60)]


def test_one_batch_over_rate_tells_no_bills():
    runs = [finished("cnn", seed, 600, 0.5, protocol="online", curve=falling(seed)) for seed in (0, 1)]
    runs += [finished("cnn", 0, 40, 0.5, batch_size=batch) for batch in (4, 8)]  # a fixed training set
    assert report_on(Path(), runs, {}).bills is None


def test_networks_that_differ_in_width_or_optimiser_pay_bills_of_their_own():
    def run(seed, batch, width, **settings):
        settings |= {"protocol": "online", "batch_size": batch}
        return finished("cnn", seed, 60 * batch, 0.5, curve=falling(seed), width=width, **settings)

    runs = [run(seed, batch, width) for seed in range(2) for batch in (4, 8) for width in (4, 8)]
    runs += [run(seed, batch, 4, optimiser="adamw", learning_rate=1e-3) for seed in range(2) for batch in (4, 8)]
    found = report_on(Path(), runs, {}).bills
    assert sorted(one.label for one in found.series) == ["cnn, width 4", "cnn, width 4, rate 0.001", "cnn, width 8"]
    assert {one.optimiser for one in found.series} == {"sgd", "adamw"}
