"""Training: replicas side by side in one program, each with its own grammar, sentences and learning rate."""

from __future__ import annotations

import copy
import hashlib
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rhmtheory import Grammar, InputError
from rhmtheory.support.checks import as_int
from rhmtheory.support.files import write_atomically
from rhmtheory.support.types import FloatArray
from rhmtheory.theory import crossing_levels
from rhmvalidation.networks.custom import AdaptedNetwork
from rhmvalidation.networks.fast import Network
from rhmvalidation.networks.registry import find
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.training import examples as data
from rhmvalidation.training.context import ContextProbe
from rhmvalidation.training.devices import pick_device
from rhmvalidation.training.optimisers import ReplicaOptimiser
from rhmvalidation.training.outcome import Outcome, points
from rhmvalidation.training.settings import Settings
from rhmvalidation.training.stopping import FIRST_EVALUATION, Record, next_evaluation

_EVALUATION_BATCH = 1024
_CHECKPOINT_FORMAT = 2
_DIGEST = hashlib.sha256().digest_size
"""Bytes before the state in a checkpoint: a damaged state may still load, and train on to wrong results."""


@dataclass(frozen=True)
class Task:
    """What one replica learns from: ``P`` sentences of a grammar (online: as many in all), drawn by a seed."""

    grammar: Grammar
    P: int
    seed: int
    learning_rate: float


@dataclass(frozen=True, eq=False)
class Trained:
    """What training left. Made by `train`.

    Attributes
    ----------
    grammar : Grammar
    network : torch.nn.Module
        At its best test loss (of the largest size, where there are several). A module of one's own is that which
        was given; one of this package holds a single replica, and maps ids (1, B, d) to logits (1, B, v).
    outcomes : tuple of Outcome
        One for each size.
    P, loss : arrays, shape (points,), samples and nats
        The learning curve: best test loss against samples, as `rhmtheory.compare` takes it.
    """

    grammar: Grammar
    network: nn.Module
    outcomes: tuple[Outcome, ...]
    P: FloatArray
    loss: FloatArray


def train(
    network: nn.Module | NetworkSpec | str,
    grammar: Grammar,
    settings: Settings,
    samples: int | Sequence[int] = 2**20,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Trained:
    """Train a network on a grammar, as the networks of a study are trained.

    Parameters
    ----------
    network : torch.nn.Module or str
        A module that maps ids (B, d) to logits (B, v) of the last token, or (B, d, v) of every token, each from
        the tokens before it; it is trained in place. Or the name of a network of this package, or
        ``package.module:Class``.
    grammar : Grammar
    settings : Settings
        Optimiser, learning rate, batch size, online or offline, and when to stop.
    samples : int or sequence of int
        Online the number of samples seen. Offline the sizes of the training sets: each is learnt from the same
        initial weights, and is one point of the learning curve.
    seed : int
        Of the sentences; and of the initial weights, where the network is given by name.
    device : str or torch.device
        ``auto`` is the GPU where there is one. A module of one's own stays where it is; a copy of it is trained.

    Returns
    -------
    Trained

    Raises
    ------
    InputError
        For a module that gives logits of another shape, or reads the token that it is to predict, for a network or
        settings that do not fit, and for a device that is not there.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> grammar = RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    >>> settings = Settings(learning_rate=1.0, protocol="online", test_size=256)
    >>> found = train(NetworkSpec("cnn", {"width": 16}), grammar, settings, samples=2560)
    >>> found.P.astype(int)
    array([1024, 1280, 1536, 1792, 2176, 2560])
    """
    sizes = list(samples) if np.iterable(samples) else [samples]
    if settings.protocol == "online" and len(sizes) != 1:
        raise InputError(f"samples={samples}: an online run sees all sizes up to the largest: give that one")
    sizes = sorted(as_int("samples", P, low=1) for P in sizes)
    if not sizes:
        raise InputError("samples is empty: give at least one size")
    seed, chosen = as_int("seed", seed, low=0), pick_device(device)
    tasks = [Task(grammar, P, seed, settings.learning_rate) for P in sizes]
    if isinstance(network, str):
        network = NetworkSpec(network, find(network).arguments)
    if isinstance(network, NetworkSpec):
        stack = network.build(grammar.shape, len(sizes))
    elif not isinstance(network, nn.Module):
        raise InputError(f"network={network!r:.60} is no torch.nn.Module: give one, or the name of a network")
    else:
        name = type(network).__name__
        stack = AdaptedNetwork(grammar.shape, len(sizes), lambda: copy.deepcopy(network), name)
    trainer = Trainer(stack, settings, tasks, chosen, keep_best=True)
    trainer.finish()
    outcomes = trainer.outcomes()
    curve = [point for P, outcome in zip(sizes, outcomes, strict=True) for point in points(settings, P, outcome)]
    best: nn.Module = trainer.best_network(len(sizes) - 1)
    if isinstance(network, nn.Module):
        weights = cast(AdaptedNetwork, best).weights()
        network.load_state_dict(weights, strict=False)  # tied tensors have one name of several
        best = network
    P, loss = np.array(curve, dtype=float).reshape(-1, 2).T
    return Trained(grammar, best.eval(), tuple(outcomes), P, loss)


class Trainer:
    """The replicas still training, and the records of all."""

    def __init__(
        self,
        network: Network,
        settings: Settings,
        tasks: Sequence[Task],
        device: torch.device,
        *,
        keep_best: bool = False,
    ) -> None:
        self._settings, self._device, self._network = settings, device, network
        self._start = time.perf_counter()
        grammars, seeds = [task.grammar for task in tasks], [task.seed for task in tasks]
        self._test = data.held_out(grammars, seeds, settings.test_size, device)
        self._batches: data.Batches
        if settings.protocol == "online":
            self._batches = data.FreshSentences(grammars, seeds, settings.batch_size, device)
        else:
            sizes = [task.P for task in tasks]
            self._batches = data.TrainingSet(grammars, seeds, sizes, settings.batch_size, device)
        self._probe = ContextProbe(grammars, self._test) if settings.context_probe else None
        network.initialise(data.init_generators(seeds))
        network.to(device)
        network.check(settings.objective)
        self._last = max(settings.steps(task.P) for task in tasks)
        rates = [task.learning_rate * network.rate_scale() for task in tasks]
        self._optimiser = ReplicaOptimiser(
            network.parameters(),
            torch.tensor(rates, device=device),
            adam=settings.optimiser == "adamw",
            weight_decay=settings.weight_decay,
            warmup=settings.warmup,
            cosine_until=self._last if settings.schedule == "cosine" else None,
        )
        last_steps = [float(crossing_levels(g.plateaus())[-1]) for g in grammars]
        self._records = [
            Record(settings, settings.steps(task.P), loss) for task, loss in zip(tasks, last_steps, strict=True)
        ]
        self._best: list[dict[str, Tensor]] | None = [{} for _ in tasks] if keep_best else None
        self.replicas = list(range(len(tasks)))
        """Indices of the tasks still training, in the order of the network's replica axis."""
        self.steps, self._next_evaluation = 0, FIRST_EVALUATION
        self._evaluate()

    def run(self) -> Iterator[int]:
        """Train until all replicas have stopped, and tell the number of each finished step."""
        while self.replicas:
            self.step()
            yield self.steps

    def finish(self) -> None:
        """Train until all replicas have stopped."""
        for _ in self.run():
            pass

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
        if self.steps in (self._next_evaluation, self._last):
            self._next_evaluation = next_evaluation(self.steps)
            self._evaluate()

    def _training_loss(self, tokens: Tensor) -> Tensor:
        if self._settings.objective == "all":
            return cross_entropy(self._network.autoregressive(tokens), tokens).mean(dim=-1)
        return cross_entropy(self._network(tokens)[:, :, None], tokens[..., -1:])[..., 0]

    @torch.no_grad()
    def _evaluate(self) -> None:
        self._network.eval()
        parts = [self._network(part) for part in torch.split(self._test, _EVALUATION_BATCH, dim=1)]
        self._network.train()
        logits = torch.cat(parts, dim=1).float()
        losses = cross_entropy(logits[:, :, None], self._test[..., -1:])[..., 0].tolist()
        divergences = self._probe.divergence(logits) if self._probe else [[]] * len(losses)
        for i, r in enumerate(self.replicas):
            self._records[r].add(self.steps, losses[i], divergences[i])
            if self._best is not None and self._records[r].best_step == self.steps:
                self._best[r] = {name: x[i].clone() for name, x in self._network.state_dict().items()}
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

    def best_network(self, task: int) -> Network:
        """The network, one replica, at the best test loss of a task; needs ``keep_best``, and ends the training."""
        assert self._best is not None
        self._network.keep(torch.tensor([0], device=self._device))
        self._network.load_state_dict({name: x[None] for name, x in self._best[task].items()})
        return self._network

    def outcomes(self) -> list[Outcome]:
        """One outcome per task, in the order given."""
        seconds = (time.perf_counter() - self._start) / len(self._records)
        return [record.outcome(seconds) for record in self._records]

    def save(self, path: Path, keys: Sequence[str]) -> None:
        """Write all that `load` needs, atomically."""
        state = {
            "format": _CHECKPOINT_FORMAT,
            "device": self._device.type,
            "keys": list(keys),
            "replicas": self.replicas,
            "steps": self.steps,
            "next": self._next_evaluation,
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state(),
            "batches": self._batches.state(),
            "records": [record.state() for record in self._records],
            "seconds": time.perf_counter() - self._start,
        }
        write_checkpoint(path, state)

    def load(self, path: Path, keys: Sequence[str]) -> None:
        """Go on from a checkpoint of the same runs on the same kind of device; any other file is ignored.

        A file of the right form with wrong content raises, and leaves the trainer half changed: make a new one.
        """
        state: Any = read_checkpoint(path, self._device)
        mine = {"format": _CHECKPOINT_FORMAT, "device": self._device.type, "keys": list(keys)}
        body = {"replicas", "steps", "next", "network", "optimiser", "batches", "records", "seconds"}
        if not isinstance(state, dict) or set(state) != body | set(mine):
            return
        if any(state[name] != value for name, value in mine.items()):
            return
        steps, following = state["steps"], state["next"]
        if not 0 <= steps < following <= max(FIRST_EVALUATION, next_evaluation(steps)) or steps > self._last:
            raise ValueError("these steps and this evaluation are not of one training")
        if state["replicas"] != self.replicas:
            self._keep([self.replicas.index(r) for r in state["replicas"]])
        self.steps, self._next_evaluation = steps, following
        self._network.load_state_dict(state["network"])
        self._optimiser.load(state["optimiser"])
        self._batches.load(state["batches"])
        for record, saved in zip(self._records, state["records"], strict=True):
            record.load(saved)
        self._start -= state["seconds"]


def write_checkpoint(path: Path, state: Any) -> None:
    """Write what `read_checkpoint` reads, atomically."""
    content = io.BytesIO()
    torch.save(state, content)
    write_atomically(path, hashlib.sha256(content.getvalue()).digest() + content.getvalue())


def read_checkpoint(path: Path, device: torch.device) -> Any:
    """What `write_checkpoint` wrote, or None where there is no such file, or one that was altered."""
    if not path.exists():
        return None
    content = path.read_bytes()
    digest, state = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(state).digest() != digest:
        return None
    return torch.load(io.BytesIO(state), weights_only=True, map_location=device)


def cross_entropy(logits: Tensor, tokens: Tensor) -> Tensor:
    """Mean over the batch of the cross-entropy in nats, (R, T), of logits (R, B, T, v) for tokens (R, B, T)."""
    losses = functional.cross_entropy(logits.flatten(0, 2), tokens.long().flatten(), reduction="none")
    return losses.view(tokens.shape).mean(dim=1)
