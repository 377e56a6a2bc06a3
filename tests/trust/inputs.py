"""One valid input of every kind that commands and loaders read, small enough to be read many times."""

import argparse
import contextlib
import io
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import staircases
import torch
from presets import TINY

from rhmtheory import RHM
from rhmtheory.cli import main
from rhmvalidation.studies import preset
from rhmvalidation.studies.programs import trainer_of
from rhmvalidation.studies.runs import Run
from rhmvalidation.training.trainer import Trainer

ENSEMBLE = ("--v", "8", "--m", "2", "--s", "2", "--L", "3")
CURVE_ENSEMBLE = ("--v", "16", "--m", "4", "--s", "2", "--L", "3")
SMALL = RHM(v=8, m=2, s=2, L=3)

_ATTENTION = """[[sweep]]
network = "attention"
arguments = { width = 8, heads = 2 }
ensemble = { v = 4, m = 2, s = 2, L = 2, rule_probabilities = [0.25, 0.75] }
seeds = [3, 4]
samples = { highest = 640 }
training = { learning_rate = 1e-3, optimiser = "adamw", protocol = "online", batch_size = 16 }
"""
PRESET = TINY + _ATTENTION


def make(folder: Path) -> None:
    """Write them into a folder that is empty."""
    grammar = SMALL.grammar(0)
    grammar.save(folder / "grammar.npz")
    rng = np.random.default_rng(0)
    tables = [rng.dirichlet(np.ones(2), size=8) for _ in range(3)]
    grammar.reweighted(tables, prior=rng.dirichlet(np.ones(8))).save(folder / "weighted.npz")
    np.save(folder / "tokens.npy", grammar.sample(500, 1).ravel())
    words = ["tree", "of", "a", "long", "sentence", "grows", "é", "while", "rules", "are", "read."]
    (folder / "text.txt").write_text(" ".join(rng.choice(words, size=1500)), encoding="utf-8")
    _curves(folder / "curve.csv")
    (folder / "tiny.toml").write_text(PRESET)
    command("study", "tiny.toml", "--out", "results", "--device", "cpu", "--workers", "1")
    _recorded(folder)
    command(
        "thresholds",
        *ENSEMBLE,
        "--grammars",
        "2",
        "--tolerance",
        "0.5",
        "--law=unshared",
        "--levels",
        "1",
        "--record",
        "record.jsonl",
    )
    _checkpoint(folder / "checkpoint.pt")
    _published(folder / "published")


def _recorded(folder: Path) -> None:
    """A recorded study, which keeps no single files; a study of other runs; and a smaller preset of the first."""
    shutil.copytree(folder / "results", folder / "recorded")
    shutil.rmtree(folder / "recorded" / "runs")
    (folder / "other.toml").write_text(PRESET.replace("width = 8", "width = 4"))
    command("study", "other.toml", "--out", "others", "--device", "cpu", "--workers", "1")
    (folder / "smaller.toml").write_text(PRESET.replace("grammars = 2", "grammars = 1"))
    (folder / "notes.txt").write_text('{"precious": my notes, without an end')


def command(*args: str) -> None:
    """Run a command that has to succeed, and keep its output to itself."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(args)
    if code:
        raise RuntimeError(f"{' '.join(args)}: {said.getvalue()}")


def _curves(path: Path) -> None:
    curves = staircases.curves(RHM(16, 4, 2, 3), "net", "cnn", constant=5, grammars=2, noise=0.05)
    chosen = range(0, len(curves.P), 8)
    rows = [f"{curves.P[j]:.0f},{curves.loss[i, j]!r},{i},0.01" for i in range(2) for j in chosen]
    text = "\n".join(["P,loss,grammar,error", *rows]).replace("np.float64(", "").replace(")", "")
    path.write_text(text)


@cache
def runs() -> list[Run]:
    """The runs of the preset."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.toml"
        path.write_text(PRESET)
        return preset.load_preset(path).runs()


def checkpoint_trainer() -> tuple[Trainer, list[str]]:
    """A trainer at its start, and the keys of its runs."""
    two = runs()[:2]
    return trainer_of(two, torch.device("cpu")), [run.key for run in two]


def _checkpoint(path: Path) -> None:
    trainer, keys = checkpoint_trainer()
    for _ in range(9):
        trainer.step()
    trainer.save(path, keys)


def _published(folder: Path) -> None:
    """Two files as the published training code writes them: one run offline, one online."""
    folder.mkdir()
    grammar = RHM(v=8, m=3, s=2, L=2).grammar(1)
    rules = {i: torch.from_numpy(grammar.rules(2 - i).astype(np.int64)) for i in range(2)}
    for epochs in (1, 50):
        config = argparse.Namespace(
            model="hcnn", max_epochs=epochs, num_features=8, batch_size=16, train_size=512, accumulation=1
        )
        dynamics = [{"t": t, "testloss": 2.0 / (1 + t / 40)} for t in (0, 10, 40, 160)]
        output = {"rules": rules, "best": {"loss": np.float64(0.4)}, "dynamics": dynamics}
        torch.save({"config": config, "output": output}, folder / f"run{epochs}.pt")
