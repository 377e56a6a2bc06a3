"""Presets, the results folder, and going on after an interruption; shards, processes and a Dask cluster."""

import csv
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from presets import TINY

from rhmtheory import InputError
from rhmtheory.support.errors import ResourceError
from rhmvalidation.networks import registry as networks
from rhmvalidation.studies import execution, job, plan, preset
from rhmvalidation.studies import folder as results
from rhmvalidation.studies import report as reports
from rhmvalidation.studies.programs import train_runs
from rhmvalidation.training.devices import pick_device

CPU = torch.device("cpu")
ONLINE = """
[[sweep]]
network = "attention"
arguments = { width = 8 }
ensemble = { v = 4, m = 2, s = 2, L = 2 }
grammars = 2
samples = { highest = 640 }
training = { learning_rate = 1e-3, optimiser = "adamw", protocol = "online", batch_size = 16 }
"""


@pytest.fixture
def preset_file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def load(path):
    return preset.load_preset(path)


def outcomes(folder, runs):
    """What was measured, without the time it took."""
    return [(o.best_loss, o.best_step, o.steps, o.curve, o.diverged) for o in map(folder.load, runs)]


def test_ladder_has_the_sizes_of_an_octave():
    assert preset.ladder(16, 64, 1) == (16, 32, 64)
    assert preset.ladder(16, 64, 2) == (16, 23, 32, 45, 64)
    with pytest.raises(InputError, match="highest=8 is too small: it must be at least 16"):
        preset.ladder(16, 8, 1)


def test_two_sweeps_that_would_be_one_curve_are_refused(preset_file):
    preset_file.write_text(TINY + TINY.replace('summary = "tiny"', "").replace("test_size = 64", "test_size = 65"))
    with pytest.raises(InputError, match="sweeps 1 and 2 train the same network on the same ensemble"):
        load(preset_file)


def test_one_preset_may_hold_several_widths_batch_sizes_and_rates(preset_file, tmp_path):
    lists = {"width = 8": "width = [8, 4]", "batch_size = 16": "batch_size = [16, 8]"}
    text = TINY
    for one, several in lists.items():
        text = text.replace(one, several)
    more = TINY.replace('summary = "tiny"', "").replace("learning_rate = 1.0", "learning_rate = [2.0, 0.5]")
    preset_file.write_text(text + more)
    loaded = load(preset_file)
    told = [(s.network.get("width"), s.settings.batch_size, s.learning_rates) for s in loaded.sweeps]
    assert told == [(8, 16, ()), (8, 8, ()), (4, 16, ()), (4, 8, ()), (8, 16, (2.0, 0.5))]
    assert len({run.key for run in loaded.runs()}) == len(loaded.runs()) == 36
    part = replace(loaded.select(width=8, batch=16))
    report = job.study(part, tmp_path / "out", device="cpu", workers=1, progress=False)
    found = [(m.curves.name, m.curves.batch, m.curves.rate) for m in report.study.measurements]
    assert found == [("cnn, rate 0.5", 16, 0.5), ("cnn, rate 1", 16, 1.0), ("cnn, rate 2", 16, 2.0)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width = 8", "width = []", "width=.. is empty: give at least one value"),
        ("batch_size = 16", "batch_size = [16, 16]", "batch_size=.* has 16 twice: give each value once"),
        ("learning_rate = 1.0", "learning_rate = []", "learning_rate=.. is empty"),
        ("grammars = 2", "seeds = [4, 4, 4]", r"seeds=\[4, 4, 4\] has 4 twice"),
    ],
)
def test_lists_hold_each_value_once(preset_file, old, new, message):
    preset_file.write_text(TINY.replace(old, new))
    with pytest.raises(InputError, match=message):
        load(preset_file)


def test_one_preset_may_hold_both_clocks(preset_file, tmp_path):
    preset_file.write_text(TINY + ONLINE.replace("attention", "cnn").replace('1e-3, optimiser = "adamw"', "1.0"))
    both = load(preset_file)
    online = both.select(protocol="online")
    assert [sweep.title for sweep in online.sweeps] == ["cnn(width=8) RHM(v=4, m=2, s=2, L=2) online, batch 16"]
    results.ResultFolder.open(tmp_path / "out", both)
    results.ResultFolder.open(
        tmp_path / "out", both.select(protocol="offline")
    )  # a part of it has the same settings


@pytest.mark.parametrize("name", preset.preset_names())
def test_presets_of_the_package_load(name):
    loaded = preset.load_preset(name)
    assert loaded.name == name
    assert len({run.key for run in loaded.runs()}) == len(loaded.runs())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("grammars = 2", "grammar = 2", "unknown key 'grammar'"),
        ("grammars = 2\n", "", "give one of grammars .*, seeds .* and published_seeds"),
        ("grammars = 2", "grammars = 2\nseeds = [1]", "give one of grammars"),
        ("grammars = 2", "seeds = []", r"seeds=\[\] must be a list of integers"),
        ("grammars = 2", "seeds = [1, -1]", r"seeds\[1\]=-1 is too small"),
        ("learning_rate = 1.0", "learning_rate = [1.0, 0]", "learning_rate=0.0 must be positive"),
        ("m = 2", "m = 4", "has f = 1: every sentence is grammatical"),
        ("width = 8", "widht = 8", "widht=8 is no argument of cnn: leave it out"),
        ("m = 2", "m = 5", "sweep 1 says: m=5 rules x v=4 symbols need 20 tuples"),
        ('"cnn"', '"rnn"', "network='rnn' is unknown: choose one of cnn, lcn"),
        ("grammars = 2", "grammars = [", "is not valid TOML"),
        ("grammars = 2", "grammars = 1" + "0" * 5000, "is not valid TOML: Exceeds the limit"),
        ("ensemble = {", "ensemble = 3 #", "must be a table"),
        ("grammars = 2", "grammars = 2\nreplicas = 0", "replicas=0 is too small"),
    ],
)
def test_presets_that_cannot_be_used(preset_file, old, new, message):
    preset_file.write_text(TINY.replace(old, new))
    with pytest.raises(InputError, match=message):
        load(preset_file)


def test_seeds_of_grammars_are_counted_or_listed(preset_file):
    def grammars(keys):
        preset_file.write_text(TINY.replace("grammars = 2", keys))
        runs = load(preset_file).runs()
        return {(run.grammar_seed, run.run_seed, run.seed_rule) for run in runs}

    assert grammars("grammars = 2") == {(0, 0, "ours"), (1, 1, "ours")}
    assert grammars("seeds = [7, 5]") == {(7, 7, "ours"), (5, 5, "ours")}
    assert grammars("published_seeds = [7]\nrun_seeds = 2") == {(7, 7, "published"), (7, 8, "published")}


def test_a_scan_repeats_every_run_at_every_learning_rate(preset_file, tmp_path):
    preset_file.write_text(TINY.replace("learning_rate = 1.0", "learning_rate = [1, 0.5, 2.0]"))
    scan = load(preset_file)
    assert scan.sweeps[0].learning_rates == (1.0, 0.5, 2.0)
    runs = scan.runs()
    assert len({run.key for run in runs}) == len(runs) == 3 * 2 * 3
    by_rate = {
        rate: [(run.P, run.grammar_seed) for run in runs if run.settings.learning_rate == rate]
        for rate in (1.0, 0.5, 2.0)
    }
    preset_file.write_text(TINY)
    plain = [(run.P, run.grammar_seed) for run in load(preset_file).runs()]
    assert list(by_rate.values()) == [plain] * 3
    # one program trains several rates, and the folder keeps them apart
    folder = results.ResultFolder.open(tmp_path / "out", scan)
    execution.execute(execution.groups(scan), folder, CPU, workers=1)
    assert len({folder.load(run).best_loss for run in runs}) > 6


def test_a_part_is_picked_by_what_the_sweeps_are(preset_file):
    preset_file.write_text(TINY + ONLINE)
    loaded = load(preset_file)
    assert [s.network.name for s in loaded.select(network="attention").sweeps] == ["attention"]
    assert loaded.select(v=4, L=2).sweeps == loaded.sweeps
    assert [s.settings.protocol for s in loaded.select(protocol="offline", width=8, batch=16).sweeps] == ["offline"]
    with pytest.raises(InputError, match=r"network=rnn agrees with no sweep of tiny: there are cnn.*; attention"):
        loaded.select(network="rnn")
    with pytest.raises(InputError, match="m=16 agrees with no sweep"):  # not found in m=1
        loaded.select(m=16)


def test_grammars_are_added_to_the_part_that_is_trained(preset_file, tmp_path, monkeypatch):
    preset_file.write_text(TINY + ONLINE)
    asked = []

    def spy(preset, found, width, most):
        asked.append(preset)
        return preset

    monkeypatch.setattr(job, "more_grammars", spy)
    part = load(preset_file).select(network="cnn")
    job.study(part, tmp_path, device="cpu", workers=1, until_width=0.1, progress=False)
    assert asked == [part]


def test_part_of_a_study_trains_that_part_and_reports_all_there_is(preset_file, tmp_path):
    preset_file.write_text(TINY + ONLINE)
    out = tmp_path / "out"
    first = job.study(load(preset_file).select(network="cnn"), out, device="cpu", workers=1, progress=False)
    assert {run.network.name for run, _ in first.finished} == {"cnn"}
    second = job.study(load(preset_file).select(network="attention"), out, device="cpu", workers=1, progress=False)
    assert {run.network.name for run, _ in second.finished} == {"cnn", "attention"}


def test_unknown_preset_lists_those_there_are():
    with pytest.raises(InputError, match=r"preset='fast' is unknown: choose one of .*quick"):
        preset.load_preset("fast")


def test_programs_are_replicas_of_one_sweep_and_shards_share_them_out(preset_file):
    preset_file.write_text(TINY.replace("grammars = 2", "grammars = 5\nreplicas = 2") + ONLINE)
    loaded = load(preset_file)
    programs = execution.groups(loaded)
    assert sorted(run.key for runs in programs for run in runs) == sorted(run.key for run in loaded.runs())
    for runs in programs:
        assert len(runs) <= 2
        assert all(runs[0].shares_program_with(run) for run in runs)
    shards = [execution.groups(loaded, execution.Shard.parse(f"{i}/3")) for i in (1, 2, 3)]
    assert sorted(str(runs) for shard in shards for runs in shard) == sorted(map(str, programs))


def test_replicas_are_those_of_the_network_unless_said_and_leave_results_alone(preset_file, tmp_path):
    text = TINY + ONLINE
    preset_file.write_text(text)
    loaded = load(preset_file)
    assert [sweep.replicas for sweep in loaded.sweeps] == [
        networks.NETWORKS[n].replicas for n in ("cnn", "attention")
    ]
    assert {len(runs) for runs in execution.groups(loaded)} == {1, 2, 4}
    preset_file.write_text(text.replace("grammars = 2", "grammars = 2\nreplicas = 3"))
    folder = results.ResultFolder.open(tmp_path / "said", load(preset_file))
    execution.execute(execution.groups(load(preset_file)), folder, CPU, workers=1)

    again = results.ResultFolder.open(tmp_path / "said", loaded)
    trained = []
    execution.execute(execution.groups(loaded), again, CPU, workers=1, on_step=lambda *a: trained.append(a))
    assert not trained
    default = results.ResultFolder.open(tmp_path / "default", loaded)
    execution.execute(execution.groups(loaded), default, CPU, workers=1)
    for run in loaded.runs():
        assert default.load(run).curve == tuple(
            (step, pytest.approx(loss, rel=1e-4)) for step, loss in again.load(run).curve
        )


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_shards_that_cannot_be(text):
    with pytest.raises(InputError, match="shard"):
        execution.Shard.parse(text)


def test_interrupted_sweep_goes_on_and_ends_with_the_results_of_an_uninterrupted_one(preset_file, tmp_path):
    loaded = load(preset_file)
    programs = execution.groups(loaded)
    whole = results.ResultFolder.open(tmp_path / "whole", loaded)
    execution.execute(programs, whole, CPU, workers=1)

    parts = results.ResultFolder.open(tmp_path / "parts", loaded)

    def stop(runs, step):
        if runs == programs[1] and step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execution.execute(programs, parts, CPU, workers=1, on_step=stop)
    assert [run for run, _ in parts.finished()] == programs[0]

    execution.execute(programs, parts, CPU, workers=1)
    assert outcomes(parts, loaded.runs()) == outcomes(whole, loaded.runs())


def test_processes_and_shards_give_the_results_of_one_process(preset_file, tmp_path):
    preset_file.write_text(TINY + ONLINE)
    loaded = load(preset_file)
    one = results.ResultFolder.open(tmp_path / "one", loaded)
    execution.execute(execution.groups(loaded), one, CPU, workers=1)

    two = results.ResultFolder.open(tmp_path / "two", loaded)
    execution.execute(execution.groups(loaded), two, CPU, workers=2)
    for run in loaded.runs():
        assert two.load(run).best_loss == pytest.approx(one.load(run).best_loss, rel=1e-5)

    merged = results.ResultFolder.open(tmp_path / "merged", loaded)
    for i in (1, 2):
        part = results.ResultFolder.open(tmp_path / f"part{i}", loaded)
        execution.execute(execution.groups(loaded, execution.Shard(i, 2)), part, CPU, workers=1)
        shutil.copytree(part.path / "runs", merged.path / "runs", dirs_exist_ok=True)
    assert outcomes(merged, loaded.runs()) == outcomes(one, loaded.runs())


@pytest.mark.filterwarnings("ignore")  # of the cluster's own machinery
def test_a_dask_cluster_gives_the_results_of_one_process(preset_file, tmp_path):
    distributed = pytest.importorskip("distributed")
    loaded = load(preset_file)
    one = results.ResultFolder.open(tmp_path / "one", loaded)
    execution.execute(execution.groups(loaded), one, CPU, workers=1)
    cluster_folder = results.ResultFolder.open(tmp_path / "cluster", loaded)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        execution.execute(execution.groups(loaded), cluster_folder, CPU, scheduler=cluster.scheduler_address)
    for run in loaded.runs():
        assert cluster_folder.load(run).best_loss == pytest.approx(one.load(run).best_loss, rel=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_scheduler_that_is_not_there(preset_file, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: distributed_client_fails(address))
    loaded = load(preset_file)
    folder = results.ResultFolder.open(tmp_path / "out", loaded)
    with pytest.raises(
        InputError, match=r"scheduler='tcp://127\.0\.0\.1:9' does not answer .*dask scheduler --host 127"
    ):
        execution.execute(execution.groups(loaded), folder, CPU, scheduler="tcp://127.0.0.1:9")


def distributed_client_fails(address):
    raise OSError(f"Timed out trying to connect to {address}")


def test_programs_that_do_not_fit_the_memory_are_halved(preset_file, monkeypatch):
    runs = load(preset_file).runs()[:4]
    expected = [train_runs([run], CPU)[0].best_loss for run in runs]
    sizes = []

    def train(part, *args, **kwargs):
        sizes.append(len(part))
        if len(part) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return train_runs(part, *args, **kwargs)

    monkeypatch.setattr(execution, "train_runs", train)
    parts = list(execution.train_in_parts(runs, CPU))
    assert sizes == [4, 2, 1, 1, 2, 1, 1]
    assert [run for part, _ in parts for run in part] == runs
    assert [outcome.best_loss for _, found in parts for outcome in found] == expected

    def never(part, *args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(execution, "train_runs", never)
    with pytest.raises(ResourceError, match=r"one replica of cnn.* does not fit .* lower width or batch_size"):
        list(execution.train_in_parts(runs, CPU))


def test_half_written_results_are_trained_again(preset_file, tmp_path):
    loaded = load(preset_file)
    folder = results.ResultFolder.open(tmp_path / "out", loaded)
    execution.execute(execution.groups(loaded), folder, CPU, workers=1)
    before = outcomes(folder, loaded.runs())
    run = loaded.runs()[0]
    (tmp_path / "out" / "runs" / f"{run.key}.json").write_text('{"run": {"v": 4')
    folder = results.ResultFolder.open(tmp_path / "out", loaded)
    with pytest.warns(UserWarning, match=r"trained again: .*is damaged"):
        assert folder.load(run) is None
    with pytest.warns(UserWarning, match="damaged"):
        execution.execute(execution.groups(loaded), folder, CPU, workers=1)
    for a, b in zip(outcomes(folder, loaded.runs()), before, strict=True):
        assert a[0] == pytest.approx(b[0], rel=1e-5)


def test_what_killed_sweeps_had_begun_is_removed(preset_file, tmp_path):
    out, loaded = tmp_path / "out", load(preset_file)
    results.ResultFolder.open(out, loaded)
    (out / "checkpoints").mkdir()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    begun = [
        folder / f"x.json.{platform.node()}-{process.pid}.part"
        for folder in (out, out / "runs", out / "checkpoints")
    ]
    for file in begun:
        file.write_text("half")
        os.utime(file, (0, 0))
    results.ResultFolder.open(out, loaded)
    assert not any(file.exists() for file in begun)


def test_full_disk_is_told(preset_file, tmp_path, monkeypatch):
    loaded = load(preset_file)
    folder = results.ResultFolder.open(tmp_path / "out", loaded)
    (outcome,) = train_runs(loaded.runs()[:1], CPU)

    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results, "write_atomically", full)
    with pytest.raises(ResourceError, match=r"No space left.*make room, and give the same command again"):
        folder.save(loaded.runs()[0], outcome)


def test_folder_of_another_preset_is_refused(preset_file, tmp_path):
    results.ResultFolder.open(tmp_path / "out", load(preset_file))
    preset_file.write_text(TINY.replace("width = 8", "width = 9"))
    with pytest.raises(InputError, match="holds results of another preset"):
        results.ResultFolder.open(tmp_path / "out", load(preset_file))


def test_a_longer_ladder_goes_on_in_the_same_folder(preset_file, tmp_path):
    out = tmp_path / "out"
    job.study(preset_file, out, device="cpu", workers=1, progress=False)
    preset_file.write_text(TINY.replace("highest = 64", "highest = 128").replace('"tiny"', '"longer"'))
    longer = job.study(preset_file, out, device="cpu", workers=1, progress=False)
    assert {run.P for run, _ in longer.finished} == {16, 32, 64, 128}


def test_the_job_leaves_runs_comparison_and_figures(preset_file, tmp_path):
    out = tmp_path / "out"
    first = job.study(str(preset_file), out, device="cpu", workers=1)
    with open(out / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {row["P"] for row in rows} == {"16", "32", "64"}
    content = json.loads((out / "comparison.json").read_text())
    assert set(content["provenance"]) == {"command", "date", "versions", "machine", "device"}
    (measurement,) = content["comparisons"][0]["measurements"]
    assert (measurement["curves"]["label"], measurement["curves"]["laws"]) == ("cnn", ["cnn"])
    for name in ("comparison", "collapse"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert first.study.comparisons[0].ratio is None  # no transformer to compare with

    # asked again, nothing is trained and nothing about its making is lost
    second = job.study(preset_file, str(out), device="cpu", workers=1, progress=False)
    assert second.provenance == first.provenance

    # a recorded study keeps runs.jsonl alone, and the single files add nothing
    shutil.rmtree(out / "runs")
    again = reports.report(out)
    assert json.dumps(again.to_dict()) == json.dumps(content)
    trained = []
    folder = results.ResultFolder.open(out, load(preset_file))
    execution.execute(
        execution.groups(load(preset_file)), folder, CPU, workers=1, on_step=lambda *a: trained.append(a)
    )
    assert not trained


def test_a_report_of_merged_shards_writes_the_tables(preset_file, tmp_path):
    out = tmp_path / "out"
    for i in (1, 2):
        job.study(preset_file, out, device="cpu", shard=f"{i}/2", workers=1)
    reports.report(out).write()
    with open(out / "runs.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 6
    with pytest.raises(InputError, match=r"shard 4/4 is empty: the preset has 2 programs"):
        job.study(preset_file, out, device="cpu", shard="4/4")


def test_report_of_damaged_and_missing_folders(preset_file, tmp_path):
    with pytest.raises(InputError, match="is no results folder"):
        reports.report(tmp_path / "nowhere")
    job.study(str(preset_file), tmp_path / "out", device="cpu", workers=1)
    with open(tmp_path / "out" / "runs.jsonl", "a") as file:
        file.write('{"run"\n')
    with pytest.raises(InputError, match=r"runs\.jsonl, line 7 is damaged"):
        reports.report(tmp_path / "out")


def test_folder_that_cannot_be_written(preset_file, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.* cannot be written .*choose another folder"):
        job.study(str(preset_file), tmp_path / "file" / "out", device="cpu")


def test_device_that_is_not_there():
    with pytest.raises(InputError, match="device='nonsense' cannot be used here"):
        pick_device("nonsense")


def test_dry_run_lists_every_program(preset_file):
    preset_file.write_text(TINY + ONLINE.replace("width = 8", "width = 64"))
    planned = plan.plan(str(preset_file), "cpu", workers=1)
    assert sorted(P for program in planned.programs for P in program["P"]) == [16, 32, 64, 640, 640]
    assert all(program["memory_MiB"] > 0 for program in planned.programs)
    assert planned.seconds == pytest.approx(sum(p["seconds"] for p in planned.programs), abs=0.05 * 4)


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"sweeps": 3}', '{"sweeps": [{}]}', '{"sweeps": [{"rhm": 1}]}', "null"]
)
def test_a_stamp_that_is_no_preset_is_refused(tmp_path, content):
    (tmp_path / "preset.json").write_text(content)
    with pytest.raises(InputError, match="preset"):
        results.ResultFolder.open(tmp_path, preset.load_preset("quick"))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("width = 8", f"width = {10**12}"), id="a product of sizes"),
        pytest.param(("{ v = 4", f"{{ v = {2**64}"), id="one size"),
    ],
)
@pytest.mark.parametrize("network", ["cnn", "decoder"])
def test_networks_of_sizes_beyond_64_bits_are_refused(preset_file, tmp_path, change, network):
    preset_file.write_text(TINY.replace(*change).replace("cnn", network))
    with pytest.raises(InputError, match=rf"{network} of this size cannot be built .* make it narrower"):
        job.study(str(preset_file), tmp_path / "out", device="cpu")


def test_a_stamp_with_arguments_that_are_none_is_refused(preset_file, tmp_path):
    results.ResultFolder.open(tmp_path / "out", load(preset_file))
    stamp = tmp_path / "out" / "preset.json"
    content = json.loads(stamp.read_text())
    content["sweeps"][0]["network"]["arguments"] = [[]]
    stamp.write_text(json.dumps(content))
    with pytest.raises(InputError, match="is no preset of a results folder"):
        results.ResultFolder.open(tmp_path / "out", load(preset_file))


@pytest.mark.parametrize("name", ["hpu", "no such device", "cuda:99", ""])
def test_devices_that_cannot_be_used_are_refused(name):
    with pytest.raises(InputError, match="try auto"):
        pick_device(name)
