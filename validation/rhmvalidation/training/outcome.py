"""The outcome of one training run, and the points of a learning curve that it gives."""

from __future__ import annotations

from dataclasses import dataclass

from rhmtheory import InputError
from rhmtheory.support.checks import as_int
from rhmvalidation.training.settings import Settings, as_number


@dataclass(frozen=True)
class Outcome:
    """Measurements of one run. Losses are means over the held-out set, in nats."""

    best_loss: float
    best_step: int
    steps: int
    curve: tuple[tuple[int, float], ...]
    """(step, test loss) at log-spaced steps."""
    diverged: bool
    seconds: float
    """Wall time of the replicas' program divided by their number."""
    divergence: tuple[tuple[int, tuple[float, ...]], ...] = ()
    """(step, KL divergence from the ideal predictor of context level k = 0..L), where it was asked for."""

    errors: tuple[tuple[int, float], ...] = ()
    """(step, share of wrong answers in the test), where they are counted: of classes."""

    def __post_init__(self) -> None:
        for name in ("best_step", "steps"):
            as_int(name, getattr(self, name), low=0)
        if not isinstance(self.diverged, bool):
            raise InputError("diverged", self.diverged, "must be true or false")
        for name in ("best_loss", "seconds"):
            as_number(name, getattr(self, name))
        # JSON turns pairs into lists
        for name, said in (("curve", "loss"), ("errors", "error")):
            pairs = tuple((as_int("step", x), as_number(said, y)) for x, y in getattr(self, name))
            object.__setattr__(self, name, pairs)
        divergence = (
            (as_int("step", x), tuple(as_number("divergence", y) for y in ys)) for x, ys in self.divergence
        )
        object.__setattr__(self, "divergence", tuple(divergence))


def lost(settings: Settings, outcome: Outcome) -> bool:
    """Return whether a run diverged before it gave its result.

    Offline, one that diverged only when its patience was over anyway has given its best loss.
    """
    spent = settings.protocol == "offline" and outcome.steps > settings.patience * outcome.best_step > 0
    return outcome.diverged and not spent


def points(settings: Settings, P: int, outcome: Outcome) -> list[tuple[int, float]]:
    """Return the (samples, test loss) of a run of size P: its best one offline, its whole history online."""
    if settings.protocol == "offline":
        return [] if lost(settings, outcome) else [(P, outcome.best_loss)]
    return [(step * settings.batch_size, loss) for step, loss in outcome.curve if step > 0]


def errors(settings: Settings, outcome: Outcome) -> list[float]:
    """Return the share of wrong answers at each of the `points` of a run; empty where none were counted."""
    if settings.protocol == "offline":
        here = [error for step, error in outcome.errors if step == outcome.best_step]
        return [] if lost(settings, outcome) else here
    return [error for step, error in outcome.errors if step > 0]
