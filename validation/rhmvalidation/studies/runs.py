"""One run: all that determines its outcome, its name, and its cost."""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import lru_cache
from typing import Any

from rhmtheory import RHM, Grammar, InputError
from rhmtheory.support.checks import as_choice
from rhmvalidation.networks.registry import NETWORKS
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.training.settings import Settings, check_hidden, set_int

SCHEMA = 1
"""Part of the hash that names a run; another one when the meaning of a field changes."""


@dataclass(frozen=True)
class Run:
    """Everything that determines the outcome of one training run."""

    rhm: RHM
    network: NetworkSpec
    P: int
    grammar_seed: int
    run_seed: int
    settings: Settings
    seed_rule: str = "ours"
    """How the seed makes the grammar: ``ours``, `RHM.grammar`; ``published``, `Grammar.from_published_seed`."""

    def __post_init__(self) -> None:
        as_choice("seed_rule", self.seed_rule, ("ours", "published"))
        for name in ("P", "grammar_seed", "run_seed"):
            set_int(self, name, low=0)
        record, hidden = self.network.record, self.settings.hidden
        record.require(self.settings.objective)
        check_hidden(hidden, self.rhm.d)
        if not record.every_token and (isinstance(hidden, float) or len(hidden or ()) > 1):
            able = ", ".join(name for name, other in NETWORKS.items() if other.every_token)
            rule = f"goes with networks that give logits of every token: {able}, not {record.name}"
            raise InputError("hidden", hidden, rule, "hide one position, or choose one of these")
        if self.settings.objective == "class" and self.rhm.n == 1:
            raise InputError("n", 1, "leaves one class, and nothing to learn", "choose an ensemble of `n` > 1")

    def grammar(self) -> Grammar:
        """The grammar of this run."""
        if self.seed_rule == "published":
            return Grammar.from_published_seed(self.rhm, self.grammar_seed)
        return self.rhm.grammar(self.grammar_seed)

    @property
    def steps(self) -> int:
        """Most steps of this run."""
        return self.settings.steps(self.P)

    @property
    def key(self) -> str:
        """Hash of the content: the name of this run's result.

        Fields that have their default do not enter, so that a field that comes later renames no run.
        """
        content = {"schema": SCHEMA, **_said(self)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def shares_program_with(self, other: Run) -> bool:
        """Return whether two runs can train as replicas: all alike but grammar, seeds, P and learning rate."""
        return self._program() == other._program() and self.steps == other.steps

    def _program(self) -> Run:
        alike = replace(self.settings, learning_rate=1.0)
        return replace(self, P=0, grammar_seed=0, run_seed=0, seed_rule="ours", settings=alike)


def _said(value: Any) -> Any:
    """Fields of a dataclass, and of those in it, that differ from their defaults."""
    if isinstance(value, NetworkSpec):
        return value.to_dict()
    if not is_dataclass(value):
        return value
    out = {}
    for field in fields(value):
        content = getattr(value, field.name)
        if field.default is MISSING or content != field.default:
            out[field.name] = _said(content)
    return out


def curve_of(rhm: RHM, network: NetworkSpec, settings: Settings) -> tuple[RHM, NetworkSpec, str, str, int, float]:
    """Return the key of a learning curve: ensemble, network, objective, protocol, batch size and learning rate."""
    return rhm, network, settings.task, settings.protocol, settings.batch_size, settings.learning_rate


def multiplications(run: Run) -> int:
    """Return the multiplications of one training step of one replica: forward, and twice that backward."""
    return _multiplications(run.rhm, run.network, run.settings.batch_size)


@lru_cache(maxsize=256)
def _multiplications(rhm: RHM, network: NetworkSpec, batch_size: int) -> int:
    return 3 * batch_size * network.on_paper(rhm).multiplications()
