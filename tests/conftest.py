"""Fixtures and settings shared by all tests."""

import pytest
import tiny as _tiny
from hypothesis import settings

# the same examples in every run: a failure is a change in the code, not luck
settings.register_profile("rhmtheory", deadline=None, derandomize=True, max_examples=20)
settings.load_profile("rhmtheory")


@pytest.fixture(params=_tiny.MAKERS)
def tiny(request):
    """Each of the tiny grammars in turn, with all its derivations."""
    return _tiny.tiny(request.param)
