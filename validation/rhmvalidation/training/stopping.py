"""The record of one replica while it trains: its losses, and when it stops."""

from __future__ import annotations

import math
from typing import Any

from rhmvalidation.training.outcome import Outcome
from rhmvalidation.training.settings import Settings

FIRST_EVALUATION = 8
_EVALUATION_RATIO = 1.2


def next_evaluation(step: int) -> int:
    """The step of the evaluation after that at ``step``: log-spaced."""
    return max(step + 1, round(step * _EVALUATION_RATIO))


class Record:
    """One replica's record. It stops by its own losses alone, whatever its neighbours still have to do."""

    def __init__(self, settings: Settings, max_steps: int, last_step: float) -> None:
        self._patience = settings.patience if settings.protocol == "offline" else math.inf
        self._after, self._least = settings.after_last_step, settings.least_steps
        self._max_steps, self._last_step = max_steps, last_step
        self.best_loss, self.best_step, self.steps = math.inf, 0, 0
        self.curve: list[tuple[int, float]] = []
        self.divergence: list[tuple[int, list[float]]] = []
        self.errors: list[tuple[int, float]] = []
        self.stopped = self.diverged = False
        self.crossed: int | None = None
        """First step at which the loss was below the crossing of the last step of the staircase."""

    def add(self, step: int, loss: float, divergence: list[float], error: float | None = None) -> None:
        """Note loss and share of wrong answers at a step; stop after the last one, diverged, or out of patience."""
        if self.stopped:
            return
        self.steps = step
        self.diverged = not math.isfinite(loss)
        if not self.diverged:
            self.curve.append((step, loss))
            if error is not None:
                self.errors.append((step, error))
            if divergence:
                self.divergence.append((step, divergence))
            if loss < self.best_loss:
                self.best_loss, self.best_step = loss, step
            if loss < self._last_step and self.crossed is None:
                self.crossed = step
        waited = step > max(self._least, self._patience * max(self.best_step, FIRST_EVALUATION))
        made = self._after is not None and self.crossed is not None and step >= self._after * self.crossed
        self.stopped = self.diverged or waited or made or step >= self._max_steps

    def outcome(self, seconds: float) -> Outcome:
        """The finished record."""
        return Outcome(
            self.best_loss,
            self.best_step,
            self.steps,
            tuple(self.curve),
            self.diverged,
            seconds,
            tuple((step, tuple(values)) for step, values in self.divergence),
            tuple(self.errors),
        )

    def state(self) -> dict[str, Any]:
        """What `load` needs."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; raises `ValueError` for one that is none."""
        mine = self.state()
        kinds = {name: type(value) for name, value in mine.items()} | {"crossed": (int, type(None))}
        if state.keys() != mine.keys() or not all(isinstance(state[name], kind) for name, kind in kinds.items()):
            raise ValueError("this is no record of a replica")
        if not all(len(point) == 2 for name in ("curve", "divergence", "errors") for point in state[name]):
            raise ValueError("the points of a curve are pairs")
        vars(self).update(state)
