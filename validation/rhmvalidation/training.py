"""One run: what determines it, how it is trained, what it leaves. Replicas run side by side in one program."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rhmtheory import RHM, Grammar, InputError
from rhmtheory._support.checks import as_choice, as_int
from rhmvalidation import data
from rhmvalidation.models import NETWORKS, Decoder, Network, build
from rhmvalidation.optimisers import ReplicaOptimiser
from rhmvalidation.probes import ContextProbe

_EVALUATION_RATIO = 1.2
_FIRST_EVALUATION = 8
_EVALUATION_BATCH = 1024
_CHECKPOINT_FORMAT = 1


@dataclass(frozen=True)
class Settings:
    """How one network is built and trained; the part of a run that a preset fixes."""

    width: int
    learning_rate: float
    """In units of the width for the networks in mean-field parametrisation (cnn, lcn, fcn)."""
    optimiser: str = "sgd"
    weight_decay: float = 0.0
    warmup: int = 0
    """Steps over which the learning rate rises from zero."""
    schedule: str = "constant"
    """``constant``, or ``cosine`` down to zero at the last step."""
    heads: int = 1
    depth: int | None = None
    """Layers; L by default. The hierarchical networks have L always."""
    batch_size: int = 128
    protocol: str = "offline"
    """``offline``: P fixed sentences, best test loss; ``online``: a fresh batch a step, P = samples seen."""
    max_steps: int = 4000
    """Offline; online the number of steps is P / batch_size."""
    patience: float = 3.0
    """Offline: stop when the steps since the best test loss exceed (patience - 1) times the steps up to it."""
    test_size: int = 4096
    precision: str = "float32"
    """``bfloat16`` runs the matrix products of the forward pass in that format; weights stay in float32."""
    objective: str = "last"
    """What is trained on: ``last``, the last token alone, or ``all`` tokens, each given those before it."""
    after_last_step: float | None = None
    """Online: stop at this multiple of the samples at which the test loss crossed the last step, sqrt(H_(L-1) H_L)
    of the run's own grammar; by default only at P."""
    context_probe: bool = False
    """Measure, at every evaluation, the divergence from ideal predictors of limited context."""

    def __post_init__(self) -> None:
        as_choice("optimiser", self.optimiser, ("sgd", "adamw"))
        as_choice("schedule", self.schedule, ("constant", "cosine"))
        as_choice("protocol", self.protocol, ("offline", "online"))
        as_choice("precision", self.precision, ("float32", "bfloat16"))
        as_choice("objective", self.objective, ("last", "all"))
        for name in ("width", "heads", "batch_size", "max_steps", "test_size"):
            as_int(name, getattr(self, name), low=1)
        as_int("warmup", self.warmup, low=0)
        if self.depth is not None:
            as_int("depth", self.depth, low=1)
        for name in ("learning_rate", "weight_decay", "patience", "after_last_step"):
            value = getattr(self, name)
            if name == "after_last_step" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise InputError(f"{name}={value!r} is not a number")
            # 1 and 1.0 are one setting, and have one hash
            object.__setattr__(self, name, float(value))
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate={self.learning_rate} must be positive")
        if not self.weight_decay >= 0:
            raise InputError(f"weight_decay={self.weight_decay} must not be negative")
        if not self.patience > 1:
            raise InputError(f"patience={self.patience} must exceed 1, or training stops at the first step")
        if self.after_last_step is not None and not (self.after_last_step >= 1 and self.protocol == "online"):
            raise InputError(
                f"after_last_step={self.after_last_step} must be at least 1, and goes with protocol = 'online'"
            )
        if not isinstance(self.context_probe, bool):
            raise InputError(f"context_probe={self.context_probe!r} must be true or false")
        if self.width % self.heads:
            raise InputError(f"width={self.width} is no multiple of heads={self.heads}: choose one that is")


@dataclass(frozen=True)
class Run:
    """Everything that determines the outcome of one training run."""

    rhm: RHM
    network: str
    P: int
    grammar_seed: int
    run_seed: int
    settings: Settings
    seed_rule: str = "ours"
    """How the seed makes the grammar: ``ours``, by `RHM.grammar`; ``published``, by `from_published_seed`."""

    def __post_init__(self) -> None:
        as_choice("network", self.network, NETWORKS)
        as_choice("seed_rule", self.seed_rule, ("ours", "published"))
        if self.settings.objective == "all" and self.network != "decoder":
            raise InputError(
                f"objective='all' needs a network that predicts every token: decoder, not {self.network}"
            )

    def grammar(self) -> Grammar:
        """The grammar of this run."""
        if self.seed_rule == "published":
            return Grammar.from_published_seed(self.grammar_seed, self.rhm)
        return Grammar.from_ensemble(self.rhm, self.grammar_seed)

    @property
    def steps(self) -> int:
        """Most steps of this run."""
        settings = self.settings
        return max(1, self.P // settings.batch_size) if settings.protocol == "online" else settings.max_steps

    @property
    def key(self) -> str:
        """Hash of the content: the name of this run's result."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def shares_program_with(self, other: Run) -> bool:
        """Whether two runs can train as replicas: all alike but grammar, seeds, P and learning rate."""
        return self._program() == other._program() and self.steps == other.steps

    def _program(self) -> Run:
        alike = replace(self.settings, learning_rate=1.0)
        return replace(self, P=0, grammar_seed=0, run_seed=0, seed_rule="ours", settings=alike)


@dataclass(frozen=True)
class Outcome:
    """What one run measured. Losses are means over the held-out set, in nats."""

    best_loss: float
    best_step: int
    steps: int
    curve: list[tuple[int, float]]
    """(step, test loss) at log-spaced steps."""
    diverged: bool
    seconds: float
    """Wall time of the replicas' program divided by their number."""
    divergence: list[tuple[int, list[float]]] = field(default_factory=list)
    """(step, KL divergence from the ideal predictor of context level k = 0..L), where it was asked for."""

    def __post_init__(self) -> None:
        # JSON turns the pairs into lists
        for name in ("curve", "divergence"):
            object.__setattr__(self, name, [(step, value) for step, value in getattr(self, name)])


def train(
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
    trainer = _Trainer(runs, device)
    if checkpoint is not None:
        trainer.load(checkpoint)
    saved = time.perf_counter()
    while trainer.replicas:
        trainer.step()
        on_step(trainer.steps)
        if checkpoint is not None and time.perf_counter() - saved > checkpoint_seconds:
            try:
                trainer.save(checkpoint)
            except (OSError, RuntimeError) as error:  # torch raises the latter on a full disk
                warnings.warn(f"no checkpoint in {checkpoint}: {error}; training goes on without", stacklevel=2)
            saved = time.perf_counter()
    return trainer.outcomes()


def train_network(run: Run, device: torch.device | None = None) -> tuple[Outcome, Network]:
    """Train one run, and return its outcome with the network (one replica) as it was at its best test loss."""
    trainer = _Trainer([run], device or torch.device("cpu"), keep_best=True)
    while trainer.replicas:
        trainer.step()
    return trainer.outcomes()[0], trainer.best_network()


class _Trainer:
    """The replicas still training, and the records of all."""

    def __init__(self, runs: Sequence[Run], device: torch.device, *, keep_best: bool = False) -> None:
        first = runs[0]
        if not all(first.shares_program_with(run) for run in runs):
            raise InputError(
                "these runs cannot share a program: only grammar, seeds, P and learning rate may differ"
            )
        self._runs, self._device, self._settings = list(runs), device, first.settings
        self._start = time.perf_counter()
        grammars = [run.grammar() for run in runs]
        seeds = [run.run_seed for run in runs]
        settings = first.settings
        self._test = data.held_out(grammars, seeds, settings.test_size, device)
        self._batches: data.Batches
        if settings.protocol == "online":
            self._batches = data.FreshSentences(grammars, seeds, settings.batch_size, device)
        else:
            sizes = [run.P for run in runs]
            self._batches = data.TrainingSet(grammars, seeds, sizes, settings.batch_size, device)
        self._probe = ContextProbe(grammars, self._test) if settings.context_probe else None
        self._network = build(first.network, first.rhm, len(runs), settings.width, settings.heads, settings.depth)
        self._network.initialise(data.init_generators(seeds))
        self._network.to(device)
        rates = [run.settings.learning_rate * self._network.rate_scale() for run in runs]
        self._optimiser = ReplicaOptimiser(
            self._network.parameters(),
            torch.tensor(rates, device=device),
            adam=settings.optimiser == "adamw",
            weight_decay=settings.weight_decay,
            warmup=settings.warmup,
            cosine_until=first.steps if settings.schedule == "cosine" else None,
        )
        last_steps = [float(np.sqrt(g.plateaus()[-2:].prod())) for g in grammars]
        self._records = [_Record(settings, run.steps, loss) for run, loss in zip(runs, last_steps, strict=True)]
        self._keep_best = keep_best
        self._best_weights: dict[str, Any] = {}
        self.replicas = list(range(len(runs)))
        """Indices of the runs still training, in the order of the network's replica axis."""
        self.steps, self._next_evaluation = 0, _FIRST_EVALUATION
        self._evaluate()

    def step(self) -> None:
        """One update, and an evaluation where one is due."""
        tokens = self._batches.batch()
        with torch.autocast(
            self._device.type, dtype=torch.bfloat16, enabled=self._settings.precision == "bfloat16"
        ):
            loss = self._training_loss(tokens)
        # a sum over replicas: none enters another's gradient
        loss.sum().backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self.steps += 1
        if self.steps in (self._next_evaluation, self._runs[0].steps):
            self._next_evaluation = max(self.steps + 1, round(self.steps * _EVALUATION_RATIO))
            self._evaluate()

    def _training_loss(self, tokens: Tensor) -> Tensor:
        if self._settings.objective == "all" and isinstance(self._network, Decoder):
            return cross_entropy(self._network.autoregressive(tokens), tokens).mean(dim=-1)
        return cross_entropy(self._network(tokens)[:, :, None], tokens[..., -1:])[..., 0]

    @torch.no_grad()
    def _evaluate(self) -> None:
        parts = [self._network(part) for part in torch.split(self._test, _EVALUATION_BATCH, dim=1)]
        logits = torch.cat(parts, dim=1).float()
        losses = cross_entropy(logits[:, :, None], self._test[..., -1:])[..., 0].tolist()
        divergences = self._probe.divergence(logits) if self._probe else [[]] * len(losses)
        for r, loss, divergence in zip(self.replicas, losses, divergences, strict=True):
            self._records[r].add(self.steps, loss, divergence)
        if self._keep_best and self._records[0].best_step == self.steps:
            self._best_weights = copy.deepcopy(self._network.state_dict())
        training = [i for i, r in enumerate(self.replicas) if not self._records[r].stopped]
        # a GPU does all replicas at once: there the stopped ones are dropped when that halves the work, or ends it
        enough = len(self.replicas) // 2 if self._device.type == "cuda" else len(self.replicas) - 1
        if len(training) <= enough:
            self._keep(training)

    def _keep(self, positions: list[int]) -> None:
        self.replicas = [self.replicas[i] for i in positions]
        if not positions:
            return
        index = torch.tensor(positions, device=self._device)
        self._network.keep(index)
        self._optimiser.keep(index)
        self._batches.keep(positions)
        self._test = self._test[index]
        if self._probe:
            self._probe.keep(positions)

    def best_network(self) -> Network:
        """The network at its best test loss; needs ``keep_best`` and a single run."""
        self._network.load_state_dict(self._best_weights)
        return self._network

    def outcomes(self) -> list[Outcome]:
        """One outcome a run, in the order given."""
        seconds = (time.perf_counter() - self._start) / len(self._runs)
        return [record.outcome(seconds) for record in self._records]

    def save(self, path: Path) -> None:
        """Write all that `load` needs, atomically."""
        state = {
            "format": _CHECKPOINT_FORMAT,
            "device": self._device.type,
            "keys": [run.key for run in self._runs],
            "replicas": self.replicas,
            "steps": self.steps,
            "next": self._next_evaluation,
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state(),
            "batches": self._batches.state(),
            "records": [record.state() for record in self._records],
            "seconds": time.perf_counter() - self._start,
        }
        temporary = path.with_suffix(".part")
        torch.save(state, temporary)
        os.replace(temporary, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same runs on the same kind of device; any other file is ignored."""
        if not path.exists():
            return
        try:
            state: Any = torch.load(path, weights_only=True, map_location=self._device)
        except Exception:  # a half-written file fails in many ways, and a fresh start costs time only
            return
        mine = {"format": _CHECKPOINT_FORMAT, "device": self._device.type, "keys": [run.key for run in self._runs]}
        body = {"replicas", "steps", "next", "network", "optimiser", "batches", "records", "seconds"}
        if not isinstance(state, dict) or set(state) != body | set(mine):
            return
        if any(state[name] != value for name, value in mine.items()):
            return
        if state["replicas"] != self.replicas:
            self._keep([self.replicas.index(r) for r in state["replicas"]])
        self.steps, self._next_evaluation = state["steps"], state["next"]
        self._network.load_state_dict(state["network"])
        self._optimiser.load(state["optimiser"])
        self._batches.load(state["batches"])
        for record, saved in zip(self._records, state["records"], strict=True):
            record.load(saved)
        self._start -= state["seconds"]


class _Record:
    """One replica's record. It stops by its own losses alone, whatever its neighbours still have to do."""

    def __init__(self, settings: Settings, max_steps: int, last_step: float) -> None:
        self._patience = settings.patience if settings.protocol == "offline" else math.inf
        self._after = settings.after_last_step
        self._max_steps, self._last_step = max_steps, last_step
        self.best_loss, self.best_step, self.steps = math.inf, 0, 0
        self.curve: list[tuple[int, float]] = []
        self.divergence: list[tuple[int, list[float]]] = []
        self.stopped = self.diverged = False
        self.crossed: int | None = None
        """First step at which the loss was below the crossing of the last step of the staircase."""

    def add(self, step: int, loss: float, divergence: list[float]) -> None:
        """Note the test loss at a step, and stop after the last step, on divergence, or out of patience."""
        if self.stopped:
            return
        self.steps = step
        self.diverged = not math.isfinite(loss)
        if not self.diverged:
            self.curve.append((step, loss))
            if divergence:
                self.divergence.append((step, divergence))
            if loss < self.best_loss:
                self.best_loss, self.best_step = loss, step
            if loss < self._last_step and self.crossed is None:
                self.crossed = step
        waited = step > self._patience * max(self.best_step, _FIRST_EVALUATION)
        made = self._after is not None and self.crossed is not None and step >= self._after * self.crossed
        self.stopped = self.diverged or waited or made or step >= self._max_steps

    def outcome(self, seconds: float) -> Outcome:
        """The finished record."""
        return Outcome(
            self.best_loss, self.best_step, self.steps, self.curve, self.diverged, seconds, self.divergence
        )

    def state(self) -> dict[str, Any]:
        """What `load` needs."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        vars(self).update(state)


def cross_entropy(logits: Tensor, tokens: Tensor) -> Tensor:
    """Mean over the batch of the cross-entropy in nats, (R, T), of logits (R, B, T, v) for tokens (R, B, T)."""
    losses = functional.cross_entropy(logits.flatten(0, 2), tokens.long().flatten(), reduction="none")
    return losses.view(tokens.shape).mean(dim=1)


def sample_points(run: Run, outcome: Outcome) -> list[tuple[int, float]]:
    """The (samples, best test loss) that a run contributes: one offline, its whole history online."""
    if outcome.diverged and run.settings.protocol == "offline":
        return []
    if run.settings.protocol == "offline":
        return [(run.P, outcome.best_loss)]
    curve = [(step, loss) for step, loss in outcome.curve if step > 0]
    best = np.minimum.accumulate([loss for _, loss in curve]).tolist()
    return [(step * run.settings.batch_size, loss) for (step, _), loss in zip(curve, best, strict=True)]


def multiplications(run: Run) -> int:
    """Multiplications of one training step of one replica: forward, and twice that backward."""
    network: Network = build(run.network, run.rhm, 1, run.settings.width, run.settings.heads, run.settings.depth)
    return 3 * run.settings.batch_size * network.multiplications()
