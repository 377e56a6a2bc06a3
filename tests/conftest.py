"""Fixtures and settings shared by all tests."""

import importlib.util
import os
import sys

# networks of tests are small: a second thread of torch waits more than it works, and takes a core from others
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import tiny as _tiny
from hypothesis import settings

# networks, files of networks, faults in their training: nothing to test without torch
collect_ignore = (
    [] if importlib.util.find_spec("torch") else ["own_models.py", "trust", "validation", "benchmarks/plain.py"]
)

# the same examples in every run: a failure is a change in the code, not luck
settings.register_profile("rhmtheory", deadline=None, derandomize=True, max_examples=20)
settings.load_profile("rhmtheory")


@pytest.fixture(autouse=True)
def _no_open_figures():
    """Figures that pyplot knows stay open: a test leaves none to the next."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(params=_tiny.MAKERS)
def tiny(request):
    """Each of the tiny grammars in turn, with all its derivations."""
    return _tiny.tiny(request.param)
