"""Reading token files in pieces, so that a file larger than memory is never held at once."""

from __future__ import annotations

import os
import stat
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EISDIR
from math import prod
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from rhmtheory.support.errors import InputError
from rhmtheory.support.memory import memory_size

PIECE_TOKENS = 1 << 22
"""Tokens read, checked and counted at a time."""
_LARGEST_ARCHIVE = 1 << 32
"""Bytes of all arrays of an archive, with eight per number."""


def check_regular(path: str | os.PathLike[str], *, missing: bool = False) -> None:
    """Raise `InputError` for a path that is no regular file: a pipe or a device may be waited for without end.

    Parameters
    ----------
    path : path
        Links are followed.
    missing : bool
        Let a path pass where there is nothing.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if missing:
            return
        raise
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise InputError(
            os.fspath(path),
            rule="is a pipe or a device, which may never end",
            way_out="write its content to a file, and give that",
        )


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file to read its bytes; `InputError` for pipes and devices, `OSError` as `open` does."""
    check_regular(path)
    return open(path, "rb")


def npy_pieces(path: str | os.PathLike[str], tokens: int = PIECE_TOKENS) -> Iterator[npt.NDArray[Any]]:
    """Yield the array in a ``.npy`` file as pieces along its first axis, each of about ``tokens`` entries.

    The file is read, not mapped: one that is cut short while it is read raises `InputError` with how much was
    read, where a mapping would end the process.
    """
    with open_regular(path) as file:
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
                raise _cut_short(path, done, total)
            check_unchanged(file, before, path, f"{done} of {total} tokens")
            yield piece.reshape(-1, *shape[1:])


def npy_shape(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Shape of the token array in a ``.npy`` file."""
    with open_regular(path) as file:
        return _header(file, path)[0]


def check_unchanged(file: BinaryIO, before: os.stat_result, path: str | os.PathLike[str], done: str) -> None:
    """Raise `InputError` if the open file was written to since ``before``."""
    now = os.fstat(file.fileno())
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise InputError(
            os.fspath(path),
            rule=f"changed while it was read, after {done}",
            way_out="count it again when it is complete",
        )


def read_whole(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a file; raises `InputError` if it is empty or changes while it is read."""
    with open_regular(path) as file:
        before = os.fstat(file.fileno())
        content = file.read()
        check_unchanged(file, before, path, f"{len(content)} of {before.st_size} bytes")
    if not content:
        raise InputError(os.fspath(path), rule="is empty", way_out="give a file with text")
    return content


def check_archive(path: str | os.PathLike[str], file: BinaryIO) -> None:
    """Raise `InputError` for a ``.npz`` archive whose arrays would fill the memory, before any is unpacked.

    Counted are the entries that the headers of its arrays announce, as numbers of eight bytes, which readers turn
    them into.
    """
    size = 0
    with zipfile.ZipFile(file) as archive:
        for part in archive.infolist():
            with archive.open(part) as content:
                shape, _, dtype = _parsed(content)
            entries = prod(shape)
            if entries * dtype.itemsize > part.file_size:
                raise InputError(
                    f"{path} ({part.filename[:40]})",
                    rule=f"announces {entries} entries and holds {part.file_size} bytes",
                    way_out="it was cut short; write it anew",
                )
            size += max(part.file_size, 8 * entries)
    file.seek(0)
    room = min(_LARGEST_ARCHIVE, memory_size() / 8)
    if size > room:
        raise InputError(
            str(path),
            rule=f"unpacks to {size / 2**30:.3g} GiB, and at most {room / 2**30:.3g} GiB are read here",
            way_out="is it yours?",
        )


@contextmanager
def strict_headers() -> Iterator[None]:
    """Numpy reads headers with Python's parser, which warns of some that numpy never writes: errors here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _parsed(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type that the header of a ``.npy`` file announces."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with strict_headers():
        shape, fortran, dtype = read(file)
    return shape, fortran, dtype


def _header(file: BinaryIO, path: str | os.PathLike[str]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    name = os.fspath(path)
    try:
        shape, fortran, dtype = _parsed(file)
    except Exception as error:  # a header that is no header fails in many ways
        raise InputError(
            name, rule=f"is not a .npy file ({str(error)[:80]})", way_out="write one with numpy.save"
        ) from error
    if dtype.kind not in "iu":
        raise InputError(name, rule=f"holds {str(dtype)[:40]}", way_out="tokens are integers, counted from zero")
    if len(shape) not in (1, 2) or min(shape) < 1:
        raise InputError(
            name,
            rule=f"has shape {str(shape)[:40]}",
            way_out="give one sequence (N,) or sequences of one length (n, d)",
        )
    if fortran and len(shape) == 2:
        raise InputError(name, rule="is stored column by column", way_out="save numpy.ascontiguousarray of it")
    there, wanted = os.fstat(file.fileno()).st_size - file.tell(), prod(shape) * dtype.itemsize
    if there < wanted:
        raise _cut_short(path, there // dtype.itemsize, prod(shape))
    return shape, dtype


def _cut_short(path: str | os.PathLike[str], done: int, total: int) -> InputError:
    return InputError(
        os.fspath(path),
        rule=f"ended after {done} of {total} tokens",
        way_out="it was cut short; write it anew, or give the part that is whole as an array",
    )
