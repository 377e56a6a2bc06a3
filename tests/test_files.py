"""Files that are whole or not there, and records of JSON lines."""

import io
import json
import os
import platform
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from rhmtheory import InputError
from rhmtheory.support import files, reading
from rhmtheory.support.files import append_json, read_json_lines, write_atomically


def test_a_file_is_replaced_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_atomically(path, "old \u03b1")
    assert path.read_text(encoding="utf-8") == "old \u03b1"
    write_atomically(path, b"new")

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"half")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["x"]


KILLED = """
import os, sys
from rhmtheory.support.files import whole_file
with whole_file(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_what_a_killed_process_had_begun_is_removed_and_nothing_else(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a-b.json")], check=False)
    assert killed.returncode == -9
    (part,) = tmp_path.iterdir()
    gone = int(part.name.removesuffix(".part").rpartition("-")[2])
    here = platform.node()
    others = [
        f"x.json.{here}-{os.getpid()}.part",  # being written
        f"x.json.{here}-1.part",  # there, whoever it belongs to
        f"x.json.another-{gone}.part",  # of another machine
        f"x.json.{here}-{gone}",  # no such file
        f"x.json.{here}-{10**30}.part",
        "video.mp4.part",
        "x-1.part",
    ]
    for name in others:
        (tmp_path / name).write_text("other")
    files.remove_abandoned(tmp_path)
    assert part.exists()  # it may still be written, where machines share a name
    for file in tmp_path.iterdir():
        os.utime(file, (0, 0))
    files.remove_abandoned(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(others)
    files.remove_abandoned(tmp_path / "nowhere")


HEAD = '{"record": "numbers", "schema": 1}\n'


def add(path, entry):
    append_json(path, entry, kind="numbers")


def test_lines_are_added_and_read(tmp_path):
    path = tmp_path / "deep" / "r.jsonl"
    for i in range(3):
        add(path, {"i": i})
    assert path.read_text() == HEAD + '{"i": 0}\n{"i": 1}\n{"i": 2}\n'
    entries = [(2, {"i": 0}), (3, {"i": 1}), (4, {"i": 2})]
    assert list(read_json_lines(path, kind="numbers")) == entries
    # joined with another, and cut off
    path.write_text(2 * path.read_text() + '{"i": 3')
    assert list(read_json_lines(path, kind="numbers")) == entries + [(n + 4, entry) for n, entry in entries]
    with pytest.raises(InputError, match="something else than a record of words"):
        next(read_json_lines(path, kind="words"))


@pytest.mark.parametrize("block", [3, 1 << 16])
@pytest.mark.parametrize(
    ("before", "kept"),
    [
        (HEAD + '{"i": 0}\n{"i": 1', '{"i": 0}\n'),  # cut off within a line
        (HEAD + '{"i": 0}\n{"long": "' + 100 * "x", '{"i": 0}\n'),
        (HEAD + '{"i": 0}\n{"i": "\u03b1'.encode()[:-1].decode("latin-1"), '{"i": 0}\n'),
        (HEAD + '{"i": 0}\n1', '{"i": 0}\n'),  # a number is valid JSON, and no entry
        (HEAD + '{"i": 0}\n{"i": 1}', '{"i": 0}\n{"i": 1}\n'),  # whole, but for its end
        (HEAD, ""),
        (HEAD[:-1], ""),  # the first line, cut off
        (HEAD[:12], ""),
        ("", ""),
    ],
)
def test_the_last_line_is_mended(before, kept, block, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK", block)
    path = tmp_path / "r.jsonl"
    path.write_bytes(before.encode("latin-1"))
    add(path, {"new": True})
    assert path.read_text() == HEAD + kept + '{"new": true}\n'


def test_one_line_of_a_long_record_is_read(tmp_path, monkeypatch):
    path = tmp_path / "r.jsonl"
    path.write_text(HEAD + '{"i": 0}\n' * 10_000)
    read = []

    class Watched:
        def __init__(self, file):
            self._file = file

        def read(self, size):
            read.append(size)
            return self._file.read(size)

        def __getattr__(self, name):
            return getattr(self._file, name)

    end = files._end_last_line
    monkeypatch.setattr(files, "_BLOCK", 64)
    monkeypatch.setattr(files, "_end_last_line", lambda file: end(Watched(file)))
    add(path, {"i": 1})
    assert read == [64]
    assert len(path.read_text().splitlines()) == 10_002


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"hello\nworld\n",
        b"\x93NUMPY\x01\x00",
        b"[1, 2]\n",
        b'{"a": 1}garbage\n',
        b"\xff\xfe{}\n",
        b'{"precious": my notes',  # no JSON, and no last line to be mended
        b'{"a": 1}',
        b'{"a": 1}\nlast line of a letter',
        HEAD[:11].encode(),
        HEAD.replace("1", "2").encode(),
    ],
)
def test_other_files_are_left_as_they_are(content, tmp_path):
    path = tmp_path / "thesis.tex"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"thesis\.tex holds something else than a record of numbers: give"):
        add(path, {"i": 1})
    assert path.read_bytes() == content
    with pytest.raises(InputError, match="something else than a record"):
        next(read_json_lines(path, kind="numbers"))


@pytest.mark.skipif(os.name != "posix", reason="needs pipes and devices")
def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/dev/zero", tmp_path / "device")
    for name in ("pipe", "device"):
        path = tmp_path / name
        for read in (lambda p: add(p, {}), reading.open_regular, reading.read_whole, reading.npy_shape):
            with pytest.raises(InputError, match=f"{name} is a pipe or a device, which may never end"):
                read(path)
    with pytest.raises(IsADirectoryError):
        reading.open_regular(tmp_path)


def test_entries_are_json_objects(tmp_path):
    path = tmp_path / "r.jsonl"
    add(path, {"x": [1.5, None, "\u03b1"]})
    assert json.loads(path.read_text().splitlines()[1]) == {"x": [1.5, None, "\u03b1"]}


def test_an_archive_says_what_it_unpacks_to(tmp_path, monkeypatch):
    """Two megabytes that unpack to gigabytes, and an array whose header announces what is not there."""
    path = tmp_path / "large.npz"
    np.savez_compressed(path, zeros=np.zeros(1 << 22, np.uint8))
    with open(path, "rb") as file:
        reading.check_archive(path, file)
        assert file.tell() == 0
    monkeypatch.setattr(reading, "_LARGEST_ARCHIVE", 1 << 24)
    with open(path, "rb") as file, pytest.raises(InputError, match=r"unpacks to 0\.0312 GiB, and at most 0\.0156"):
        reading.check_archive(path, file)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rules_1.npy", header.getvalue())
    with open(path, "rb") as file, pytest.raises(InputError, match="announces 1000000000000 entries"):
        reading.check_archive(path, file)
