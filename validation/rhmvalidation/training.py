"""One run: a network trained on a fixed set until its test loss stops improving. Replicas run side by side."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from rhmtheory import RHM, Grammar, InputError
from rhmvalidation import data, models

_EVALUATION_RATIO = 1.2
_FIRST_EVALUATION = 8
_EVALUATION_BATCH = 1024


@dataclass(frozen=True)
class Settings:
    """How one architecture is built and trained; the part of a run that a preset fixes."""

    width: int
    learning_rate: float
    optimiser: str = "sgd"
    heads: int = 1
    layers: int | None = None
    batch_size: int = 128
    max_steps: int = 4000
    patience: float = 3.0
    """Stop when the steps since the best test loss exceed (patience - 1) times the steps up to it."""
    test_size: int = 4096

    def __post_init__(self) -> None:
        if self.optimiser not in ("sgd", "adam"):
            raise InputError(f"optimiser={self.optimiser!r} is unknown: choose sgd or adam")
        for name in ("width", "heads", "batch_size", "max_steps", "test_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}={getattr(self, name)} must be positive")
        if not self.patience > 1:
            raise InputError(f"patience={self.patience} must exceed 1, or training stops at the first step")


@dataclass(frozen=True)
class Run:
    """Everything that determines the outcome of one training run."""

    v: int
    m: int
    s: int
    L: int
    architecture: str
    P: int
    grammar_seed: int
    run_seed: int
    settings: Settings

    @property
    def rhm(self) -> RHM:
        """The ensemble of this run."""
        return RHM(v=self.v, m=self.m, s=self.s, L=self.L)

    @property
    def key(self) -> str:
        """Hash of the content: the name of this run's result."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def group(self) -> tuple[object, ...]:
        """Runs of one group train as replicas of one program."""
        return replace(self, grammar_seed=0, run_seed=0), self.P


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


def build(architecture: str, rhm: RHM, replicas: int, settings: Settings) -> nn.Module:
    """Make the network of an architecture, weights not yet drawn."""
    v, _, s = rhm.homogeneous()
    if architecture == "cnn":
        return models.ConvolutionalNetwork(replicas, v, s, rhm.L, settings.width)
    if architecture == "lcn":
        return models.LocallyConnectedNetwork(replicas, v, s, rhm.L, settings.width)
    if architecture == "transformer":
        layers = rhm.L if settings.layers is None else settings.layers
        return models.AttentionOnly(replicas, v, s, rhm.L, settings.width, settings.heads, layers)
    raise InputError(f"architecture={architecture!r} is unknown: choose cnn, lcn or transformer")


def multiplications(architecture: str, rhm: RHM, settings: Settings) -> int:
    """Multiplications of one forward pass on one batch of one replica, leading terms: the unit of progress."""
    _, _, s = rhm.homogeneous()
    w = settings.width
    if architecture == "transformer":
        layers = rhm.L if settings.layers is None else settings.layers
        return settings.batch_size * layers * rhm.d * (4 * w * w + 2 * rhm.d * w)
    positions = sum(rhm.width(level) for level in range(2, rhm.L + 1))
    return settings.batch_size * max(1, positions) * s * w * w


def train(
    runs: Sequence[Run], device: torch.device, on_step: Callable[[int], None] = lambda step: None
) -> list[Outcome]:
    """Train the runs of one group as replicas; ``on_step`` is told the number of each finished step.

    A replica whose loss is no longer finite is recorded as diverged, with the best loss it had before.
    """
    first = runs[0]
    settings, rhm = first.settings, first.rhm
    start = time.perf_counter()
    grammars = [Grammar.draw(rhm, run.grammar_seed) for run in runs]
    seeds = [run.run_seed for run in runs]
    train_set = data.TrainingSet(grammars, seeds, [run.P for run in runs], device)
    test_set = data.held_out(grammars, seeds, settings.test_size, device)

    network = build(first.architecture, rhm, len(runs), settings)
    network.initialise(data.init_generators(seeds))  # type: ignore[operator]
    network.to(device)
    optimiser = _optimiser(network, settings)

    progress = [_Progress(settings) for _ in runs]

    def record(step: int) -> None:
        for one, loss in zip(progress, test_loss(network, test_set).tolist(), strict=True):
            one.record(step, loss)

    record(0)
    step, next_evaluation = 0, _FIRST_EVALUATION
    while not all(one.stopped for one in progress):
        tokens = train_set.batch(settings.batch_size)
        optimiser.zero_grad(set_to_none=True)
        # a sum over replicas: none enters another's gradient
        cross_entropy(network(tokens), tokens).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        step += 1
        on_step(step)
        if step == next_evaluation or step == settings.max_steps:
            record(step)
            next_evaluation = max(step + 1, round(step * _EVALUATION_RATIO))
    seconds = (time.perf_counter() - start) / len(runs)
    return [Outcome(one.best_loss, one.best_step, one.steps, one.curve, one.diverged, seconds) for one in progress]


class _Progress:
    """One replica's record. It stops by its own losses alone, whatever its neighbours still have to do."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.best_loss, self.best_step, self.steps = math.inf, 0, 0
        self.curve: list[tuple[int, float]] = []
        self.stopped = self.diverged = False

    def record(self, step: int, loss: float) -> None:
        """Note the test loss at a step, and stop after the last step, on divergence, or out of patience."""
        if self.stopped:
            return
        self.steps = step
        self.diverged = not math.isfinite(loss)
        if not self.diverged:
            self.curve.append((step, loss))
            if loss < self.best_loss:
                self.best_loss, self.best_step = loss, step
        waited = step > self._settings.patience * max(self.best_step, _FIRST_EVALUATION)
        self.stopped = self.diverged or waited or step >= self._settings.max_steps


def cross_entropy(logits: Tensor, tokens: Tensor) -> Tensor:
    """Mean cross-entropy of each replica, (R,), in nats, of logits (R, B, v) for the last of the tokens."""
    R, B, v = logits.shape
    target = tokens[..., -1].long().reshape(-1)
    return functional.cross_entropy(logits.reshape(-1, v), target, reduction="none").view(R, B).mean(dim=1)


@torch.no_grad()
def test_loss(network: nn.Module, tokens: Tensor) -> Tensor:
    """Mean cross-entropy of each replica on (R, size, d) tokens."""
    total = torch.zeros(tokens.shape[0], device=tokens.device)
    for part in torch.split(tokens, _EVALUATION_BATCH, dim=1):
        total += cross_entropy(network(part), part) * part.shape[1]
    return total / tokens.shape[1]


def _optimiser(network: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    rate = settings.learning_rate * network.learning_rate_scale()  # type: ignore[operator]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), lr=rate)
    return torch.optim.Adam(network.parameters(), lr=rate)
