"""Reading token files in pieces, so that a file larger than memory is never held at once."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from rhmtheory.support.errors import InputError

PIECE_TOKENS = 1 << 22
"""Tokens read, checked and counted at a time."""
_LARGEST_ARCHIVE = 1 << 32
"""Bytes of all arrays of an archive."""


def npy_pieces(path: str | os.PathLike[str], tokens: int = PIECE_TOKENS) -> Iterator[npt.NDArray[Any]]:
    """Yield the array in a ``.npy`` file as pieces along its first axis, each of about ``tokens`` entries.

    The file is read, not mapped: one that is cut short while it is read raises `InputError` with how much was
    read, where a mapping would end the process.
    """
    with open(path, "rb") as file:
        shape, dtype = _header(file, path)
        before = os.fstat(file.fileno())
        row = int(np.prod(shape[1:], dtype=np.int64))
        rows = max(1, tokens // max(1, row))
        total, done = shape[0] * row, 0
        for start in range(0, shape[0], rows):
            wanted = (min(start + rows, shape[0]) - start) * row
            piece = np.fromfile(file, dtype, wanted)
            done += len(piece)
            if len(piece) < wanted:
                raise InputError(
                    f"{path} ended after {done} of {total} tokens: it was cut short; write it anew, or give the "
                    "part that is whole as an array"
                )
            check_unchanged(file, before, path, f"{done} of {total} tokens")
            yield piece.reshape(-1, *shape[1:])


def npy_shape(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Shape of the token array in a ``.npy`` file."""
    with open(path, "rb") as file:
        return _header(file, path)[0]


def check_unchanged(file: BinaryIO, before: os.stat_result, path: str | os.PathLike[str], done: str) -> None:
    """Raise `InputError` if the open file was written to since ``before``."""
    now = os.fstat(file.fileno())
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise InputError(f"{path} changed while it was read, after {done}: count it again when it is complete")


def read_whole(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a file; raises `InputError` if it is empty or changes while it is read."""
    with open(path, "rb") as file:
        before = os.fstat(file.fileno())
        content = file.read()
        check_unchanged(file, before, path, f"{len(content)} of {before.st_size} bytes")
    if not content:
        raise InputError(f"{path} is empty: give a file with text")
    return content


def check_archive(path: str | os.PathLike[str], file: BinaryIO) -> None:
    """Raise `InputError` for a ``.npz`` archive that would fill the memory when it is unpacked."""
    with zipfile.ZipFile(file) as archive:
        size = sum(part.file_size for part in archive.infolist())
    file.seek(0)
    if size > _LARGEST_ARCHIVE:
        raise InputError(
            f"{path} holds {size / 2**30:.3g} GiB, at most {_LARGEST_ARCHIVE >> 30} are read: is it yours?"
        )


@contextmanager
def strict_headers() -> Iterator[None]:
    """Numpy reads headers with Python's parser, which warns of some that numpy never writes: errors here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _header(file: BinaryIO, path: str | os.PathLike[str]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with strict_headers():
            shape, fortran, dtype = read(file)
    except Exception as error:  # a header that is no header fails in many ways
        raise InputError(f"{Path(path)} is not a .npy file: write one with numpy.save ({error})") from error
    if dtype.kind not in "iu":
        raise InputError(f"{path} holds {dtype}: tokens are integers, counted from zero")
    if len(shape) not in (1, 2) or min(shape) < 1:
        raise InputError(f"{path} has shape {shape}: give one sequence (N,) or sequences of one length (n, d)")
    if fortran and len(shape) == 2:
        raise InputError(f"{path} is stored column by column: save numpy.ascontiguousarray of it")
    there, wanted = os.fstat(file.fileno()).st_size - file.tell(), prod(shape) * dtype.itemsize
    if there < wanted:
        raise InputError(
            f"{path} ended after {there // dtype.itemsize} of {prod(shape)} tokens: it was cut short; write it "
            "anew, or give the part that is whole as an array"
        )
    return shape, dtype
