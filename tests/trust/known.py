"""Inputs and options that once ended in a traceback, a warning, a hang, or took the memory of the machine."""

import json
import os
from pathlib import Path

import numpy as np
import torch
from trust.cases import Case
from trust.spoiling import Reduced

THREE = ("--m", "2", "--s", "2", "--L", "3")
SMALL = ("--v", "8", *THREE)
COMPARE = ("study", "tiny.toml", "--out", "results", "--workers", "1", "--device", "cpu")
TRAIN = ("study", "tiny.toml", "--out", "results/new", "--workers", "1", "--device", "cpu")


def known(args, message, spoil=lambda: None):
    writes = ("results", "recorded") if args[0] in ("study", "report") else ()
    case = Case("known", " ".join(args), args, prepare=spoil, writes=writes, keeps=True)
    return case, message


def write(path, content):
    def spoil():
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    return spoil


def edit(path, old, new):
    def spoil():
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert old in text
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new, 1))

    return spoil


def header(text):
    """A .npy file that promises more than it holds."""
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n" + bytes(64)


def entry(**changes):
    """Change what the first line of runs.jsonl says of its run or outcome."""

    def spoil():
        with open("results/runs.jsonl") as file:
            lines = file.read().splitlines()
        first = json.loads(lines[0])
        for name, value in changes.items():
            part = first["run"] if name in first["run"] else first["outcome"]
            part[name] = value
        with open("results/runs.jsonl", "w") as file:
            file.write("\n".join([json.dumps(first), *lines[1:]]) + "\n")

    return spoil


def pipe(path):
    """Nobody writes to it."""

    def spoil():
        Path(path).unlink(missing_ok=True)
        os.mkfifo(path)

    return spoil


def table(kind):
    """A file of the published code whose first rule table is of another kind."""

    def spoil():
        content = torch.load("published/run1.pt", weights_only=False)
        rules = content["output"]["rules"]
        rules[0] = {
            "bfloat16": rules[0].to(torch.bfloat16),
            "sparse": rules[0].to_sparse(),
            "meta": rules[0].to("meta"),
            "expanded": torch.zeros(1, dtype=torch.int64).expand(1 << 30),
        }[kind]
        torch.save(content, "published/run1.pt")

    return spoil


def flagged():
    """A number whose type has flags that numpy never sets, without bytes: it once ended the process."""
    content = torch.load("published/run1.pt", weights_only=False)
    dtype = Reduced(np.dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, 2))
    content["output"]["best"]["loss"] = Reduced(np._core.multiarray.scalar, (dtype, b""))
    torch.save(content, "published/run1.pt")


INTO_RECORDED = ("--out", "recorded", "--workers", "1", "--device", "cpu")
NO_RUN = "is no run of the published"
PLAN = ("study", "tiny.toml", "--dry-run")
RECORD = (
    "thresholds",
    *SMALL,
    "--grammars",
    "1",
    "--tolerance",
    "0.5",
    "--law=unshared",
    "--levels",
    "1",
    "--record",
)
KNOWN = [
    known(("plateaus", "--v", "100000", *THREE), "fewer levels"),
    known(("correlations", "--v", "100000", *THREE, "--plot", "figure.png"), "lower v"),
    known(("correlations", *SMALL, "--grammars", "1000000000000"), "--grammars=1000000000000 is too large"),
    known(("thresholds", *SMALL, "--grammars", "1000000000000"), "--grammars=1000000000000 is too large"),
    known(("corpus", "text.txt", "--segments", "1000000"), "--segments=1000000 leave 0"),
    known(
        (*RECORD, "picture.png"), "something else than a record", write("picture.png", b"\x89PNG\r\n\x1a\n\x00\xff")
    ),
    known((*RECORD, "text.txt"), "something else than a record"),
    known((*RECORD, "record.jsonl"), "something else than a record", write("record.jsonl", b"\xff\xfe{}\n")),
    known((*RECORD, "record.jsonl"), "something else than a record", write("record.jsonl", "[" * 200_000 + "\n")),
    known(("thresholds", "--v", "4", "--m", "4", "--s", "2", "--L", "3"), "f = 1"),
    known(COMPARE, "is no preset of a results folder", write("results/preset.json", "{}")),
    known(COMPARE, "is not valid JSON", write("results/preset.json", "[" * 200_000)),
    known((*COMPARE[:-1], "hpu"), "--device='hpu' cannot be used here"),
    known(("report", "results"), "is damaged", entry(P="many")),
    known(("report", "results"), "is damaged", entry(curve=[[1, None]])),
    known(("report", "results"), "is damaged", entry(best_loss=[])),
    known(("report", "results"), "is damaged", entry(diverged="no")),
    known(("report", "results"), "is damaged", entry(grammar_seed=-3)),
    known(("sample", "--v", "8", "--m", "2", "--s", "2", "--L", "1000000"), "lower L"),
    known(("predict", "--v", "8", "--m", "2", "--s", "2", "--L", "1000000000000"), "lower L"),
    known(("sample", *SMALL, "--count", "1000000000000"), "ask for fewer sentences"),
    known(
        ("corpus", "tokens.npy"), "is not a .npy file", write("tokens.npy", header("{'descr': '<i8', 'shape': ("))
    ),
    known(
        ("corpus", "tokens.npy"),
        "ended after 8 of 1000000000000",
        write("tokens.npy", header("{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,)}")),
    ),
    known(("sample", "--grammar", "grammar.npz"), "is not a grammar file", write("grammar.npz", b"PK\x03\x04")),
    known(("report", "published"), "is no run of the published", write("published/run1.pt", b"PK\x03\x04")),
    known(TRAIN, "lower", edit("tiny.toml", "highest = 64", "highest = 1000000000000000")),
    known(TRAIN, "lower", edit("tiny.toml", "test_size = 64", "test_size = 1000000000000")),
    known(TRAIN, "lower", edit("tiny.toml", "batch_size = 16", "batch_size = 1000000000000")),
    known(TRAIN, "lower", edit("tiny.toml", "width = 8", "width = 1000000000")),
    known(
        TRAIN, "grammars=1000000000000 is too large", edit("tiny.toml", "grammars = 2", "grammars = 1000000000000")
    ),
    known(TRAIN, "lower L", edit("tiny.toml", "L = 2", "L = 1000000")),
    known(TRAIN, "lower L", edit("tiny.toml", "L = 2", "L = 100")),
    known((*TRAIN, "--dry-run"), "lower", edit("tiny.toml", "width = 8", "width = 1000000000")),
    known(("report", "others", "--out", "recorded"), "holds the study 'tiny', of which"),
    known(("study", "smaller.toml", *INTO_RECORDED), "exponent measured"),
    known(("study", "other.toml", *INTO_RECORDED), "holds results of another preset, the study 'tiny'"),
    known(PLAN, "network=5 is no name", edit("tiny.toml", 'network = "cnn"', "network = 5")),
    known(PLAN, "is no text", edit("tiny.toml", 'summary = "tiny"', "summary = 1979-05-27")),
    known(PLAN, "more than 40 digits", edit("tiny.toml", "learning_rate = 1.0", f"learning_rate = {10**400}")),
    known(PLAN, "has 4 twice", edit("tiny.toml", "grammars = 2", "seeds = [4, 4, 4]")),
    known(("study", "tiny.toml", "--shard", "9" * 400 + "/3", "--dry-run"), "must have the form i/n"),
    known(("report", "results"), "more than 40 digits", entry(P=10**400)),
    known(("report", "results"), "runs.jsonl, line 1 is damaged", entry(best_loss=-1.0)),
    known(("report", "results"), "nested too deeply", entry(curve=json.loads("[" * 600 + "]" * 600))),
    known(("report", "published"), NO_RUN, flagged),
    *(known(("report", "published"), NO_RUN, table(kind)) for kind in ("bfloat16", "sparse", "meta", "expanded")),
    known(PLAN, "is a pipe or a device", pipe("tiny.toml")),
    known(COMPARE, "is a pipe or a device", pipe("results/preset.json")),
    known(("report", "results"), "is a pipe or a device", pipe("results/runs.jsonl")),
    known(("report", "results"), "is a pipe or a device", pipe("results/comparison.json")),
    known(("report", "published"), NO_RUN, pipe("published/run1.pt")),
    known(("compare", "curve.csv", *SMALL, "--label", "\udcff"), "--label is no UTF-8 text"),
]


def make(i: int) -> Case:
    """Case ``i``."""
    return KNOWN[i][0]
