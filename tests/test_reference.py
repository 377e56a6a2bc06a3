"""Frozen values come out again: ``tests/data/make_reference.py`` says what they are and freezes new ones."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parent / "data"
FROZEN = json.loads((DATA / "reference.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def values():
    spec = importlib.util.spec_from_file_location("make_reference", DATA / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.reference()


def test_every_value_is_frozen(values):
    assert {group: list(found) for group, found in values.items()} == {
        g: list(found) for g, found in FROZEN.items()
    }


@pytest.mark.parametrize("name", FROZEN["drawn"])
def test_what_a_seed_stands_for_does_not_change(values, name):
    assert values["drawn"][name] == FROZEN["drawn"][name]


@pytest.mark.parametrize("name", FROZEN["computed"])
def test_exact_values_do_not_change(values, name):
    for value, frozen in zip(*map(parts, (values["computed"][name], FROZEN["computed"][name])), strict=True):
        np.testing.assert_allclose(value, frozen, rtol=1e-9, atol=1e-12)


def parts(value):
    """Arrays of a value; one of several arrays is a list that numpy cannot take as one."""
    return value if any(isinstance(x, list) for x in value) else [value]
