"""The signatures are those that were frozen: a change of what callers may pass is one that somebody meant."""

import difflib
import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "data"))
from make_interface import FILE, interface


@pytest.mark.parametrize("package", ["rhmtheory", "rhmvalidation"])
def test_the_interface_is_the_frozen_one(package):
    if package == "rhmvalidation" and importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch")
    frozen = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line.split(".")[0] == package]
    changes = list(difflib.unified_diff(frozen, interface(package), "frozen", "now", lineterm="", n=0))
    assert not changes, "meant? then run tests/data/make_interface.py --write\n" + "\n".join(changes)
