"""Compiled inner loops: arrays in, arrays out, no checks. Only the modules above call them.

Compiled code is kept beside this file, or in the user's cache, or where ``NUMBA_CACHE_DIR`` says. Where none of
these can be written, a folder of this process takes their place: kernels are compiled anew by every process.
"""

import atexit
import shutil
import tempfile

from numba import config, njit


def _nothing() -> None:
    """A function to ask numba whether it finds a place for its cache."""


try:
    njit(cache=True)(_nothing)
except RuntimeError:
    _folder = tempfile.mkdtemp(prefix="rhmtheory-")
    config.CACHE_DIR = _folder  # type: ignore[attr-defined]
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
