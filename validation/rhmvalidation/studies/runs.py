"""One run: what determines it, and what it leaves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from rhmtheory import RHM, Grammar, InputError
from rhmtheory.support.checks import as_choice, as_int
from rhmvalidation.networks import registry as networks
from rhmvalidation.networks.fast import Network

_LARGEST, _DEEPEST = 1 << 40, 1000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How one network is built and trained; the part of a run that a preset fixes."""

    learning_rate: float
    """In units of the width for the networks in mean-field parametrisation (cnn, lcn, fcn)."""
    width: int | None = None
    """Of the networks of this package; a class of one's own has arguments instead."""
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
    """``offline``: P fixed sentences, best test loss; ``online``: a fresh batch per step, P = samples seen."""
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
        for name in ("heads", "batch_size", "max_steps", "test_size"):
            _set_int(self, name, low=1, high=_LARGEST)
        _set_int(self, "warmup", low=0, high=_LARGEST)
        for name, high in (("width", _LARGEST), ("depth", _DEEPEST)):
            if getattr(self, name) is not None:
                _set_int(self, name, low=1, high=high)
        for name in ("learning_rate", "weight_decay", "patience", "after_last_step"):
            self._as_float(name)
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
        if self.width is not None and self.width % self.heads:
            raise InputError(f"width={self.width} is no multiple of heads={self.heads}: choose one that is")

    def _as_float(self, name: str) -> None:
        """1 and 1.0 are one setting, and have one hash."""
        value = getattr(self, name)
        if name == "after_last_step" and value is None:
            return
        object.__setattr__(self, name, _number(name, value))

    def steps(self, P: int) -> int:
        """Most steps of a run of this size."""
        return max(1, P // self.batch_size) if self.protocol == "online" else self.max_steps


_DEFAULTS = {"heads": 1, "width": None, "depth": None}
Arguments = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Run:
    """Everything that determines the outcome of one training run."""

    rhm: RHM
    network: str
    """One of `rhmvalidation.networks.registry.NETWORKS`, or a class of one's own as ``package.module:Class``."""
    P: int
    grammar_seed: int
    run_seed: int
    settings: Settings
    seed_rule: str = "ours"
    """How the seed makes the grammar: ``ours``, `RHM.grammar`; ``published``, `Grammar.from_published_seed`."""
    arguments: Arguments = ()
    """What a class of one's own is called with, beside the ensemble: pairs of name and value."""

    def __post_init__(self) -> None:
        as_choice("seed_rule", self.seed_rule, ("ours", "published"))
        for name in ("P", "grammar_seed", "run_seed"):
            _set_int(self, name, low=0)
        object.__setattr__(self, "arguments", as_arguments(self.arguments))
        record = networks.find(self.network)
        objective = self.settings.objective
        if objective not in record.objectives:
            able = [name for name, other in networks.NETWORKS.items() if objective in other.objectives]
            raise InputError(
                f"objective={objective!r} needs a network that predicts every token: {', '.join(able)}, "
                f"not {self.network}"
            )
        own = networks.is_own(self.network)
        if self.arguments and not own:
            raise InputError(f"arguments are for classes of your own: {self.network} is built from its settings")
        for name, default in _DEFAULTS.items():
            given = getattr(self.settings, name)
            if given == default and (own or name != "width"):
                continue
            if name not in record.arguments:
                way_out = "give it as an argument of the class" if own else "leave it out"
                raise InputError(f"{name}={given} is no setting of {self.network}: {way_out}")
            if given is None:
                raise InputError(f"{self.network} needs the setting {name}: give it")

    def grammar(self) -> Grammar:
        """The grammar of this run."""
        if self.seed_rule == "published":
            return Grammar.from_published_seed(self.grammar_seed, self.rhm)
        return self.rhm.grammar(self.grammar_seed)

    def build(self, replicas: int = 1) -> Network:
        """Its network, weights not yet drawn."""
        s = self.settings
        return networks.build(self.network, self.rhm, replicas, s.width, s.heads, s.depth, dict(self.arguments))

    @property
    def steps(self) -> int:
        """Most steps of this run."""
        return self.settings.steps(self.P)

    @property
    def key(self) -> str:
        """Hash of the content: the name of this run's result."""
        content = asdict(self)
        if not self.arguments:  # a field that came later: runs without it keep their names
            del content["arguments"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def shares_program_with(self, other: Run) -> bool:
        """Whether two runs can train as replicas: all alike but grammar, seeds, P and learning rate."""
        return self._program() == other._program() and self.steps == other.steps

    def _program(self) -> Run:
        alike = replace(self.settings, learning_rate=1.0)
        return replace(self, P=0, grammar_seed=0, run_seed=0, seed_rule="ours", settings=alike)


def as_arguments(given: Mapping[str, Any] | Any) -> Arguments:
    """Arguments from a table, or from the pairs that JSON makes of them, in the order of their names."""
    pairs = given.items() if isinstance(given, Mapping) else given
    return tuple(sorted((str(name), _frozen(value)) for name, value in pairs))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


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
        for name in ("best_step", "steps"):
            as_int(name, getattr(self, name), low=0)
        if not isinstance(self.diverged, bool):
            raise InputError(f"diverged={self.diverged!r} must be true or false")
        for name in ("best_loss", "seconds"):
            _number(name, getattr(self, name))
        # JSON turns the pairs into lists
        object.__setattr__(self, "curve", [(as_int("step", x), _number("loss", y)) for x, y in self.curve])
        divergence = [(as_int("step", x), [_number("divergence", y) for y in ys]) for x, ys in self.divergence]
        object.__setattr__(self, "divergence", divergence)


def _set_int(owner: Settings | Run, name: str, *, low: int, high: int | None = None) -> None:
    """Make sure of a field; integers of numpy become those of Python, which JSON can hold."""
    object.__setattr__(owner, name, as_int(name, getattr(owner, name), low=low, high=high))


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{name}={value!r} is not a number")
    return float(value)


def curve_of(rhm: Any, network: str, settings: Settings) -> tuple[Any, str, str, str]:
    """What tells the learning curve of a run or a sweep from others: its ensemble, network, objective, protocol."""
    return rhm, network, settings.objective, settings.protocol


def lost(settings: Settings, outcome: Outcome) -> bool:
    """Whether a run diverged before it gave what it was made for.

    Offline, one that diverged only when its patience was over anyway has given its best loss.
    """
    spent = settings.protocol == "offline" and outcome.steps > settings.patience * outcome.best_step > 0
    return outcome.diverged and not spent


def points(settings: Settings, P: int, outcome: Outcome) -> list[tuple[int, float]]:
    """The (samples, best test loss) of a run of size P: one offline, its whole history online."""
    if settings.protocol == "offline":
        return [] if lost(settings, outcome) else [(P, outcome.best_loss)]
    curve = [(step, loss) for step, loss in outcome.curve if step > 0]
    best = np.minimum.accumulate([loss for _, loss in curve]).tolist()
    return [(step * settings.batch_size, loss) for (step, _), loss in zip(curve, best, strict=True)]


def sample_points(run: Run, outcome: Outcome) -> list[tuple[int, float]]:
    """The (samples, best test loss) that a run contributes: one offline, its whole history online."""
    return points(run.settings, run.P, outcome)


def multiplications(run: Run) -> int:
    """Multiplications of one training step of one replica: forward, and twice that backward."""
    alike = replace(run.settings, learning_rate=1.0)
    return _multiplications(replace(run, P=0, grammar_seed=0, run_seed=0, seed_rule="ours", settings=alike))


@lru_cache(maxsize=256)
def _multiplications(run: Run) -> int:
    return 3 * run.settings.batch_size * shape(run).multiplications()


def shape(run: Run) -> Network:
    """The network of a run without room for its weights; one of one's own has them.

    Raises `InputError` for one with more weights than can be counted.
    """
    if networks.is_own(run.network):
        return run.build()
    try:
        with torch.device("meta"):
            return run.build()
    except (RuntimeError, TypeError) as error:  # what torch says of sizes beyond 64 bits, and of products beyond
        said = str(error).splitlines()[0]
        raise InputError(f"{run.network} of this size cannot be built ({said}): make it narrower") from error
