"""The command line in environments and before terminals that it was not made for, and given long input."""

import io
import os
import subprocess
import sys

import pytest

from rhmtheory.cli import main

ENSEMBLE = ["--v", "8", "--m", "2", "--s", "2", "--L", "3"]


def run(capsys, *args):
    code = main(list(args))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    "args", [["predict", *ENSEMBLE, "--n", "9" * 100_000], ["plateaus", *ENSEMBLE, "--" + "x" * 100_000]]
)
def test_errors_do_not_repeat_all_that_was_given(capsys, args):
    code, _, err = run(capsys, *args)
    assert code == 2
    assert len(err) < 3000


@pytest.mark.parametrize("threads", ["0", "-1", "abc", "9" * 400])
def test_numbers_of_threads_that_are_none(capsys, monkeypatch, threads):
    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    code, _, err = run(capsys, "plateaus", *ENSEMBLE, "--seed", "1")
    assert code == 2
    assert "is no number of threads: set it to 1 or more, or unset it" in err


def test_a_wrong_number_of_threads_is_met_before_numba(tmp_path):
    command = [sys.executable, "-m", "rhmtheory", "plateaus", *ENSEMBLE, "--seed", "1"]
    done = subprocess.run(
        command, env=os.environ | {"NUMBA_NUM_THREADS": "0"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: NUMBA_NUM_THREADS='0'")


@pytest.mark.parametrize(
    "args", [["predict", *ENSEMBLE], ["tree", *ENSEMBLE, "--seed", "1"], ["predict", *ENSEMBLE, "--json"]]
)
def test_output_may_be_closed_left_or_narrow(monkeypatch, args):
    monkeypatch.setattr(sys, "stdout", None)
    assert main(args) == 0
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    assert main(args) == 0
    narrow.flush()
    assert narrow.buffer.getvalue()
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", buffering=1) as left:
        monkeypatch.setattr(sys, "stdout", left)
        assert main(args) == 1


def test_labels_that_are_no_text_are_refused(capsys):
    code, _, err = run(capsys, "compare", __file__, *ENSEMBLE, "--label", "net \udcff")
    assert code == 2
    assert "--label is no UTF-8 text" in err


def test_labels_that_the_terminal_cannot_show(monkeypatch, tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("P,loss\n100,1.2\n1000,0.6\n10000,0.3\n100000,0.15\n1000000,0.1\n")
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    figure = tmp_path / "figure.svg"
    assert main(["compare", str(path), *ENSEMBLE, "--seed", "1", "--label", "réseau", "--plot", str(figure)]) == 0
    narrow.flush()
    assert b"seau" in narrow.buffer.getvalue()
    assert figure.stat().st_size > 0
