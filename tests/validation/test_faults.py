"""A sweep that is killed, interrupted, or finds no room: nothing finished is lost, nothing counts twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

COMMAND = Path(__file__).parents[1] / "trust" / "faults.py"


def tried(folder, *args):
    """Rows of the command, in a process of its own: it makes copies of itself, which threads do not survive."""
    path = folder / "faults.json"
    done = subprocess.run(
        [sys.executable, COMMAND, "--write", path, *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {row["what"]: (row["tried"], row["failed"]) for row in json.loads(path.read_text())["rows"]}


def test_kill_interrupt_and_company(tmp_path):
    found = tried(tmp_path, "--short")
    assert len(found) >= 3
    assert all(count == 1 and failed == 0 for count, failed in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("what", ["kill -9", "disk", "worker", "two ", "Dask"])
def test_all_faults(what, tmp_path):
    assert all(count >= 1 and failed == 0 for count, failed in tried(tmp_path, "--only", what).values())
