"""Files that are whole or not there, and records that grow by one line at a time."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from rhmtheory.support.errors import InputError
from rhmtheory.support.reading import check_regular, open_regular

_LONGEST_LINE = 1 << 20
_LEAST_HEAD = len(b'{"record": "')
"""Bytes by which a first line that was cut off is known for one of ours."""
_BLOCK = 1 << 16
_PART = ".part"
_RESTS = 60.0
"""Seconds for which no file that is being written stays as it is."""


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file to be written that is either all there or not there, whenever process or machine stop.

    What stood at ``path`` stays until all is written, and where writing fails.
    """
    path = Path(path)
    # a name that no other process on a shared disk uses
    temporary = path.with_name(f"{path.name}.{platform.node()}-{os.getpid()}{_PART}")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename == str(temporary):  # people know the file by its name
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_abandoned(folder: str | os.PathLike[str]) -> None:
    """Remove what `whole_file` had begun in a folder when its process was killed.

    Only files of this machine, whose process is gone and which nobody has written to for a minute: those of other
    machines on a shared disk, and of processes under way, stay. Machines that share a name may share processes, or
    not; hence the minute.
    """
    for file in Path(folder).glob(f"*{_PART}"):
        made_by, _, process = file.name.removesuffix(_PART).rpartition("-")
        if not made_by.endswith(f".{platform.node()}") or not process.isdecimal() or _is_alive(int(process)):
            continue
        with suppress(FileNotFoundError):  # another process has just removed it
            if time.time() - file.stat().st_mtime > _RESTS:
                file.unlink()


def _is_alive(process: int) -> bool:
    """Whether a process is there, or cannot be asked."""
    if os.name != "posix":  # elsewhere the question would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # there, and not ours; or no number of a process
        return True
    return True


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file as `whole_file` does, at once."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def append_json(path: str | os.PathLike[str], entry: dict[str, Any], *, kind: str) -> None:
    """Add one JSON object to a record, on a line of its own; the file is made if it is not there.

    A record begins with a line that says its kind. A last line that was cut off in writing is removed; one that is
    whole and only lacks its end keeps its place.

    Parameters
    ----------
    path : path
    entry : dict
    kind : str
        What the record holds, such as ``thresholds``.

    Raises
    ------
    InputError
        For a file that is no record of this kind, which is left as it is.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(entry) + "\n").encode()
    check_regular(path, missing=True)
    with open(path, "a+b") as file:
        if _begins_as(file, path, kind):
            _end_last_line(file)
        else:  # at once with the first entry, so that a record is seldom seen without one
            file.truncate(0)
            line = _head(kind) + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read_json_lines(path: str | os.PathLike[str], *, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and object of each line of a record, written by `append_json`; without the lines of its kind.

    A last line that was cut off in writing is left out. Joined records may be read as one.

    Parameters
    ----------
    path : path
    kind : str
        What the record holds, such as ``thresholds``.

    Raises
    ------
    InputError
        For a file that is no record of this kind, and for a line that is no JSON object.
    """
    with open_regular(path) as file:
        _begins_as(file, Path(path), kind)
        file.seek(0)
        for number in count(1):
            line = file.readline(_LONGEST_LINE)
            if not line:
                return
            entry = _object(line)
            if entry is None:
                if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                    return
                raise InputError(
                    f"{path} line {number}", rule="is no JSON object", way_out="delete the line, or the file"
                )
            if entry.keys() != _head_entry(kind).keys():
                yield number, entry


def _head_entry(kind: str) -> dict[str, Any]:
    return {"record": kind, "schema": 1}


def _head(kind: str) -> bytes:
    return (json.dumps(_head_entry(kind)) + "\n").encode()


def _begins_as(file: BinaryIO, path: Path, kind: str) -> bool:
    """Whether the file begins as such a record; False if it is empty, or was cut off within its first line.

    Raises `InputError` for any other file.
    """
    file.seek(0)
    head = _head(kind)
    first = file.read(len(head))
    if first == head:
        return True
    if first and not (head.startswith(first) and len(first) >= _LEAST_HEAD):
        raise InputError(
            str(path),
            rule=f"holds something else than a record of {kind}",
            way_out="give another file, or a new one; this one is left as it is",
        )
    return False


def _end_last_line(file: BinaryIO) -> None:
    """See that the file ends after a whole line, reading no more than its last one."""
    end = start = file.seek(0, os.SEEK_END)
    tail = b""
    while start and b"\n" not in tail:
        start = max(0, start - _BLOCK)
        file.seek(start)
        tail = file.read(min(_BLOCK, end - start - len(tail))) + tail
    last = tail[tail.rfind(b"\n") + 1 :]
    if not last:
        return
    if _object(last) is not None:
        file.write(b"\n")
    else:
        file.truncate(end - len(last))


def _object(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a line; None where there is none."""
    try:
        entry = json.loads(line.decode())
    except (ValueError, RecursionError):  # neither UTF-8 nor JSON
        return None
    return entry if isinstance(entry, dict) else None
