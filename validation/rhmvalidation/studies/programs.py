"""Programs: runs that train together as replicas, with a checkpoint now and then."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from rhmtheory import InputError
from rhmvalidation.studies.runs import Run
from rhmvalidation.training.examples import Task
from rhmvalidation.training.objectives import EXAMPLES
from rhmvalidation.training.outcome import Outcome
from rhmvalidation.training.signals import signals_held
from rhmvalidation.training.trainer import Trainer


def train_runs(
    runs: Sequence[Run],
    device: torch.device,
    on_step: Callable[[int], None] = lambda step: None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 120.0,
) -> list[Outcome]:
    """Train runs that share a program as replicas; ``on_step`` is told the number of each finished step.

    A replica whose loss is no longer finite is recorded as diverged, with the best loss it had before. With
    ``checkpoint``, the state is kept in that file now and then, and training goes on from one that is there; the
    caller removes it when the outcomes are safe.
    """
    keys = [run.key for run in runs]
    trainer = _resumed(runs, device, checkpoint, keys)
    saved = time.perf_counter()
    with signals_held() as interrupted:
        for step in trainer.run():
            on_step(step)
            stop = interrupted()
            if checkpoint is not None and (stop or time.perf_counter() - saved > checkpoint_seconds):
                try:
                    trainer.save(checkpoint, keys)
                except OSError as error:
                    warnings.warn(f"no checkpoint in {checkpoint}: {error}; training goes on without", stacklevel=2)
                saved = time.perf_counter()
            if stop:
                raise KeyboardInterrupt
    return trainer.outcomes()


def _resumed(runs: Sequence[Run], device: torch.device, checkpoint: Path | None, keys: Sequence[str]) -> Trainer:
    """A trainer that goes on from a checkpoint, or starts anew where there is none that can be used."""
    trainer = trainer_of(runs, device)
    if checkpoint is None:
        return trainer
    try:
        trainer.load(checkpoint, keys)
    except Exception:  # a damaged file fails in many ways, and a fresh start costs time only
        return trainer_of(runs, device)
    return trainer


def trainer_of(runs: Sequence[Run], device: torch.device, *, keep_best: bool = False) -> Trainer:
    """A trainer of these runs; raises `InputError` where they cannot share a program."""
    first = runs[0]
    if not all(first.shares_program_with(run) for run in runs):
        raise InputError(
            "these runs",
            rule="cannot share a program",
            way_out="only grammar, seeds, P and learning rate may differ",
        )
    tasks = [Task(run.grammar(), run.P, run.run_seed, run.settings.learning_rate) for run in runs]
    settings = first.settings
    examples = EXAMPLES[settings.objective](tasks, settings, device)
    return Trainer(
        first.network.build(first.rhm, len(runs), settings.objective), examples, settings, keep_best=keep_best
    )
