"""The examples in docstrings of the torch part: the collection of doctests leaves them out, it may lack torch."""

import doctest
import importlib

import floors
import pytest

pytest.importorskip("torch")

PACKAGE = "rhmvalidation"
WITH_EXAMPLES = sorted(
    name for name, path in floors.modules({PACKAGE: floors.PACKAGES[PACKAGE]}).items() if ">>> " in path.read_text()
)


def test_there_are_examples():
    assert {
        f"{PACKAGE}.{name}" for name in ("training.trained", "networks.spec", "diagnostics.evaluation", "sentences")
    } <= set(WITH_EXAMPLES)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testmod(importlib.import_module(name), optionflags=flags)
    assert found.attempted
    assert not found.failed
