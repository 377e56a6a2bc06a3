"""Files that are whole or not there, and records that grow by one line at a time."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from rhmtheory.support.errors import InputError

_LONGEST_LINE = 1 << 26
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


def append_json(path: str | os.PathLike[str], entry: dict[str, Any]) -> None:
    """Add one JSON object to a file of such lines, on a line of its own; the file is made if it is not there.

    A last line that was cut off in writing is removed; one that is whole and only lacks its end keeps its place.

    Raises
    ------
    InputError
        For a file that holds something else, which is left as it is.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        if file.tell():
            _check_record(file, path)
            _end_last_line(file)
        file.write((json.dumps(entry) + "\n").encode())
        file.flush()
        os.fsync(file.fileno())


def _check_record(file: BinaryIO, path: str | os.PathLike[str]) -> None:
    """Raise `InputError` unless the first line is a JSON object, or the beginning of one and the only line."""
    file.seek(0)
    first = file.readline(_LONGEST_LINE)
    cut_off = not first.endswith(b"\n") and first.startswith(b'{"') and len(first) < _LONGEST_LINE
    if not (_is_object(first) or cut_off):
        raise InputError(f"{path} holds something else than JSON lines: give another file, or a new one")


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
    if _is_object(last):
        file.write(b"\n")
    else:
        file.truncate(end - len(last))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line.decode()), dict)
    except (ValueError, RecursionError):  # neither UTF-8 nor JSON
        return False
