"""Files that are whole or not there, and records of JSON lines."""

import json
import os
import platform
import subprocess
import sys

import pytest

from rhmtheory import InputError
from rhmtheory.support import files
from rhmtheory.support.files import append_json, write_atomically


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


def test_lines_are_added(tmp_path):
    path = tmp_path / "deep" / "r.jsonl"
    for i in range(3):
        append_json(path, {"i": i})
    assert path.read_text() == '{"i": 0}\n{"i": 1}\n{"i": 2}\n'


@pytest.mark.parametrize("block", [3, 1 << 16])
@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ('{"i": 0}\n{"i": 1', '{"i": 0}\n'),  # cut off within a line
        ('{"i": 0}\n{"long": "' + 100 * "x", '{"i": 0}\n'),
        ('{"i": 0}\n{"i": "\u03b1'.encode()[:-1].decode("latin-1"), '{"i": 0}\n'),
        ('{"i": 0}\n1', '{"i": 0}\n'),  # a number is valid JSON, and no entry
        ('{"i": 0}\n{"i": 1}', '{"i": 0}\n{"i": 1}\n'),  # whole, but for its end
        ('{"i": 0}', '{"i": 0}\n'),
        ('{"i', ""),  # the first line, cut off
        ("", ""),
    ],
)
def test_the_last_line_is_mended(before, kept, block, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK", block)
    path = tmp_path / "r.jsonl"
    path.write_bytes(before.encode("latin-1"))
    append_json(path, {"new": True})
    assert path.read_text() == kept + '{"new": true}\n'


def test_one_line_of_a_long_record_is_read(tmp_path, monkeypatch):
    path = tmp_path / "r.jsonl"
    path.write_text('{"i": 0}\n' * 10_000)
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
    append_json(path, {"i": 1})
    assert read == [64]
    assert len(path.read_text().splitlines()) == 10_001


@pytest.mark.parametrize(
    "content",
    [b"hello", b"hello\nworld\n", b"\x93NUMPY\x01\x00", b"[1, 2]\n", b'{"a": 1}garbage\n', b"\xff\xfe{}\n"],
)
def test_other_files_are_left_as_they_are(content, tmp_path):
    path = tmp_path / "thesis.tex"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"thesis\.tex holds something else than JSON lines"):
        append_json(path, {"i": 1})
    assert path.read_bytes() == content


def test_entries_are_json_objects(tmp_path):
    path = tmp_path / "r.jsonl"
    append_json(path, {"x": [1.5, None, "\u03b1"]})
    assert json.loads(path.read_text()) == {"x": [1.5, None, "\u03b1"]}
