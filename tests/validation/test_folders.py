"""Results folders: nothing recorded is lost, and what cannot be read is said with its place."""

import json
import os
import shutil
from dataclasses import dataclass

import pytest

pytest.importorskip("torch")

from presets import TINY

from rhmtheory import RHM, InputError
from rhmtheory.cli import main
from rhmtheory.support.errors import ResourceError
from rhmvalidation import NetworkSpec, Settings
from rhmvalidation.studies import folder as results
from rhmvalidation.studies import job, preset, report
from rhmvalidation.studies.runs import Run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A recorded study: its single files are gone, ``runs.jsonl`` is left."""
    path = tmp_path_factory.mktemp("recorded")
    file = path / "tiny.toml"
    file.write_text(TINY.replace("grammars = 2", "grammars = 4"))
    job.study(file, path / "study", device="cpu", workers=1, progress=False)
    for name in ("runs", "checkpoints"):
        shutil.rmtree(path / "study" / name, ignore_errors=True)
    return path / "study"


@pytest.fixture
def folder(recorded, tmp_path):
    """A copy of it."""
    return shutil.copytree(recorded, tmp_path / "copy")


@pytest.fixture
def tiny(tmp_path):
    def write(*changes):
        text = TINY
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "tiny.toml"
        path.write_text(text)
        return path

    return write


def rows(folder):
    return set((folder / "runs.jsonl").read_text().splitlines())


def test_a_smaller_preset_loses_no_rows(folder, tiny):
    before = rows(folder)
    found = job.study(tiny(), folder, device="cpu", workers=1, progress=False)
    assert rows(folder) == before
    assert len(before) == len(found.finished) == 12


def test_an_interrupted_study_loses_no_rows(folder, tiny, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "execute", interrupted)
    before = rows(folder)
    with pytest.raises(KeyboardInterrupt):
        job.study(tiny(("highest = 64", "highest = 512"), ("lowest = 16", "lowest = 128")), folder, device="cpu")
    assert rows(folder) == before
    assert "0 of 6 runs are kept" in capsys.readouterr().err


def test_a_grown_folder_keeps_its_grammars(folder, tiny):
    path = tiny(("grammars = 2", "seeds = [7]"))
    assert len(job.study(path, folder, device="cpu", workers=1, progress=False).finished) == 15
    assert len(job.study(tiny(), folder, device="cpu", workers=1, progress=False).finished) == 15


def test_a_report_is_not_written_over_another_study(folder, tiny, tmp_path):
    other = tmp_path / "other"
    job.study(tiny(("width = 8", "width = 4")), other, device="cpu", workers=1, progress=False)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match=r"copy holds the study 'tiny', of which 12 runs are not in this report"):
        report.report(other).write(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    both = report.report(other, folder)
    both.write(folder)
    assert len(rows(folder)) == 18
    new = tmp_path / "new"
    report.report(folder).write(new)
    report.report(folder).write(new)  # its own
    assert rows(new) == rows(folder)


@pytest.mark.parametrize("stamp", [True, False])
def test_a_folder_of_another_study_is_refused(folder, tiny, stamp):
    if not stamp:
        (folder / "preset.json").unlink()
    named = "the study 'tiny'" if stamp else "a study without preset.json"
    with pytest.raises(InputError, match=f"holds results of another preset, {named}"):
        job.study(tiny(("width = 8", "width = 9")), folder, device="cpu")


def test_foreign_files_stay(folder, tiny):
    (folder / "checkpoints").mkdir()
    foreign = [folder / "checkpoints" / name for name in ("notes.jsonl", "0123456789abcdef-4.jsonl")]
    for path in foreign:
        path.write_text("")
    job.study(tiny(), folder, device="cpu", workers=1, progress=False)
    assert all(path.exists() for path in foreign)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (-1.0, "best_loss is -1.0, which is no loss"),
        (float("nan"), "best_loss is nan"),
        ("low", "best_loss='low' is not a number"),
        (10**50, "an integer has more than 40 digits"),
        (json.loads("[" * 600 + "]" * 600), "nested too deeply"),
    ],
)
def test_damage_is_told_with_file_and_line(folder, value, told):
    lines = (folder / "runs.jsonl").read_text().splitlines()
    content = json.loads(lines[2])
    content["outcome"]["best_loss"] = value
    lines[2] = json.dumps(content)
    (folder / "runs.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=rf"runs\.jsonl, line 3 is damaged \(.*{told}"):
        report.report(folder)


@pytest.mark.filterwarnings("always::UserWarning")
@pytest.mark.parametrize("name", ["runs.jsonl", "preset.json", "comparison.json", "runs/0123456789abcdef.json"])
def test_pipes_are_not_waited_for(folder, tiny, name, capsys):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    code = main(["study", str(tiny()), "--out", str(folder), "--device", "cpu", "--workers", "1"])
    assert "is a pipe or a device" in capsys.readouterr().err
    assert code == (0 if "runs/" in name else 2)


def test_a_preset_is_no_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(InputError, match="is a pipe or a device"):
        preset.load_preset(tmp_path / "pipe.toml")


def test_a_disk_that_fills_while_a_report_is_written_is_told(folder, monkeypatch):
    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "write_atomically", full)
    with pytest.raises(ResourceError, match=r"results in .* cannot be written .*No space left.*make room"):
        report.report(folder).write()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([('network = "cnn"', "network = 5")], "network=5 is no name"),
        ([('summary = "tiny"', "summary = 1979-05-27")], "summary=datetime.date.* is no text"),
        ([("width = 8", "width = 1979-05-27")], "arguments=.* are no plain numbers"),
        ([("learning_rate = 1.0", f"learning_rate = {10**400}")], "an integer has more than 40 digits"),
        ([("grammars = 2", f"grammars = {10**400}")], "an integer has more than 40 digits"),
        ([("grammars = 2", "grammars = " + "[" * 600 + "]" * 600)], "nested too deeply"),
        ([("grammars = 2", "seeds = [1979-05-27]")], "is not an integer"),
        ([("highest = 64", "highest = 1e400")], "highest=inf is not an integer"),
    ],
)
def test_presets_with_values_of_any_kind(tiny, changes, told):
    with pytest.raises(InputError, match=told):
        preset.load_preset(tiny(*changes))


@dataclass(frozen=True, kw_only=True)
class Later(Settings):
    """Settings of a later version."""

    momentum: float = 0.0


def test_a_new_setting_renames_no_run():
    rhm, network = RHM(v=4, m=2, s=2, L=2), NetworkSpec("cnn", {"width": 8})
    keys = [
        Run(rhm, network, 64, 0, 0, made(learning_rate=1.0, **more)).key
        for made, more in ((Settings, {}), (Later, {}), (Later, {"momentum": 0.9}), (Later, {"warmup": 1}))
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_folder_is_only_read_until_it_is_opened(folder):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    found = results.ResultFolder(folder).finished()
    assert len(found) == 12
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
