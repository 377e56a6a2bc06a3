"""Settings of training: all that determines how a network is trained, and nothing of what it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rhmtheory import InputError
from rhmtheory.support.checks import as_choice, as_int
from rhmvalidation.networks.objectives import OBJECTIVES, WHOLE

Hidden = float | tuple[int, ...]
"""Rate at which tokens are hidden, or the positions of those that are."""

LARGEST = 1 << 40


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a network is trained; the part of a run that a preset fixes."""

    learning_rate: float
    """In units of the width for the networks in mean-field parametrisation (cnn, lcn, fcn)."""
    optimiser: str = "sgd"
    """``sgd`` or ``adamw``."""
    weight_decay: float = 0.0
    warmup: int = 0
    """Steps over which the learning rate rises from zero."""
    schedule: str = "constant"
    """``constant``, or ``cosine`` down to zero at the last step."""
    batch_size: int = 128
    protocol: str = "offline"
    """``offline``: P fixed sentences, best test loss; ``online``: a fresh batch per step, P = samples seen."""
    max_steps: int = 4000
    """Offline; online the number of steps is P / batch_size."""
    patience: float = 3.0
    """Offline: stop when the steps since the best test loss exceed (patience - 1) times the steps up to it."""
    least_steps: int = 0
    """Offline: steps before which nothing stops for want of patience."""
    test_size: int = 4096
    precision: str = "float32"
    """``bfloat16`` runs the matrix products of the forward pass in that format; weights stay in float32."""
    objective: str = "last"
    """``last``: the last token alone is predicted; ``all``: every token, each given those before it; ``class``: the
    root symbol; ``masked``: hidden tokens from all others; ``denoise``: every token, from a sentence in which each
    is drawn anew with a probability that is uniform on (0, 1) and not told."""
    hidden: Hidden | None = None
    """With ``masked``: the rate, between 0 and 1, or the positions of the tokens that are hidden."""
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
        as_choice("objective", self.objective, OBJECTIVES)
        object.__setattr__(self, "hidden", _hidden(self.hidden, self.objective))
        for name in ("batch_size", "max_steps", "test_size"):
            set_int(self, name, low=1, high=LARGEST)
        for name in ("warmup", "least_steps"):
            set_int(self, name, low=0, high=LARGEST)
        for name in ("learning_rate", "weight_decay", "patience", "after_last_step"):
            value = getattr(self, name)
            if name != "after_last_step" or value is not None:
                object.__setattr__(self, name, as_number(name, value))  # 1 and 1.0 are one setting
        if not self.learning_rate > 0:
            raise InputError("learning_rate", self.learning_rate, "must be positive")
        if not self.weight_decay >= 0:
            raise InputError("weight_decay", self.weight_decay, "must not be negative")
        if not self.patience > 1:
            raise InputError("patience", self.patience, "must exceed 1, or training stops at the first step")
        if self.after_last_step is not None and not (self.after_last_step >= 1 and self.protocol == "online"):
            rule = "must be at least 1, and goes with `protocol` = 'online'"
            raise InputError("after_last_step", self.after_last_step, rule)
        if not isinstance(self.context_probe, bool):
            raise InputError("context_probe", self.context_probe, "must be true or false")
        if self.context_probe and self.objective in WHOLE:
            rule = "is for networks that predict the last token"
            raise InputError("context_probe", True, rule, "leave it out, or choose `objective`='last'")

    @property
    def task(self) -> str:
        """What is predicted, as text: the objective, and the tokens that it hides."""
        return self.objective if self.hidden is None else f"{self.objective} {self.hidden}"

    def steps(self, P: int) -> int:
        """Most steps of a run of this size."""
        return max(1, P // self.batch_size) if self.protocol == "online" else self.max_steps


def _hidden(hidden: Any, objective: str) -> Hidden | None:
    """Rate or positions, checked as far as they can be without a sentence."""
    if objective != "masked":
        if hidden is not None:
            raise InputError("hidden", hidden, "goes with `objective`='masked'", "leave it out")
        return None
    if hidden is None:
        raise InputError(
            "hidden", rule="is missing: `objective`='masked' hides tokens", way_out="give a rate or positions"
        )
    if isinstance(hidden, float):
        if not 0 < hidden < 1:
            rule = "hides every token" if hidden == 1 else "is no rate between 0 and 1"
            raise InputError("hidden", hidden, rule, "give one such as 0.15, or positions")
        return hidden
    positions = hidden if isinstance(hidden, Iterable) and not isinstance(hidden, str) else [hidden]
    given = sorted({as_int("hidden", position, low=0) for position in positions})
    if not given:
        raise InputError("hidden", hidden, "hides no token", "give at least one position, or a rate")
    return tuple(given)


def check_hidden(hidden: Hidden | None, d: int) -> None:
    """Raise `InputError` for positions beyond a sentence of d tokens, and where they are all of it."""
    if isinstance(hidden, tuple):
        if hidden[-1] >= d:
            raise InputError("hidden", hidden, f"lies beyond the {d} tokens", f"give positions from 0 to {d - 1}")
        if len(hidden) == d:
            raise InputError("hidden", hidden, "hides every token", "leave one to be seen")


def set_int(owner: Any, name: str, *, low: int, high: int | None = None) -> None:
    """Check an integer field of a frozen dataclass; numpy's integers become Python's, which JSON can hold."""
    object.__setattr__(owner, name, as_int(name, getattr(owner, name), low=low, high=high))


def as_number(name: str, value: Any) -> float:
    """Return a float, or raise `InputError`; truth values are no numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(name, value, "is not a number")
    return float(value)
