"""Examples: what a network sees of a sentence, and what it is to predict.

A class of examples says which levels of the trees it needs, and splits rows of them into inputs and targets; the
trainer knows no more. A further objective is a further class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from rhmtheory import Grammar
from rhmtheory.support.types import FloatArray
from rhmtheory.theory import crossing_levels
from rhmvalidation.networks.stack import Network
from rhmvalidation.training import sources
from rhmvalidation.training.settings import Settings


@dataclass(frozen=True)
class Task:
    """The part of one replica: ``P`` sentences of a grammar (online: as many in all), drawn by a seed."""

    grammar: Grammar
    P: int
    seed: int
    learning_rate: float


class Examples:
    """Batches and test sets of inputs and targets, one stream per replica; this class predicts the last token.

    A class of one's own overrides `levels`, `split` and, where it is not the last token that the network is asked
    for, `logits`; `test_split` and `test_logits` where the test is another one than the training.

    Parameters
    ----------
    tasks : sequence of Task
        One per replica.
    settings : Settings
        Protocol, and sizes of batches and test sets.
    device : torch.device
    """

    objective: ClassVar[str] = "last"
    """What a network has to be able to do: see `rhmvalidation.networks.objectives`."""
    counts_errors: ClassVar[bool] = False
    """Whether the share of wrong answers in the test is recorded beside the loss."""
    levels: sources.Levels = sources.TOKENS
    """Levels of the trees that stand side by side in a row; level 0, the tokens, first."""

    def __init__(self, tasks: Sequence[Task], settings: Settings, device: torch.device) -> None:
        self.tasks, self.device, self.shape = tuple(tasks), device, tasks[0].grammar.shape
        grammars, seeds = [task.grammar for task in tasks], [task.seed for task in tasks]
        self.test_rows = sources.held_out(grammars, seeds, settings.test_size, device, self.levels)
        self._batches: sources.Batches
        if settings.protocol == "online":
            self._batches = sources.FreshSentences(grammars, seeds, settings.batch_size, device, self.levels)
        else:
            sizes = [task.P for task in tasks]
            self._batches = sources.TrainingSet(grammars, seeds, sizes, settings.batch_size, device, self.levels)

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs (R, B, d) and targets (R, B, T) of rows (R, B, ...)."""
        return rows, rows[..., -1:]

    def logits(self, network: Network, inputs: Tensor) -> Tensor:
        """Ask a network for the logits of the targets, (R, B, T, v)."""
        logits: Tensor = network(inputs)
        return logits[:, :, None]

    def test_split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of the test, as `split` does."""
        return self.split(rows)

    def test_logits(self, network: Network, inputs: Tensor) -> Tensor:
        """Ask a network for the logits of the targets of the test, as `logits` does."""
        return self.logits(network, inputs)

    def plateaus(self, task: Task) -> FloatArray:
        """Return the exact losses of ideal predictors in the test, from no context to all, in nats."""
        return task.grammar.plateaus()

    def last_step(self, task: Task) -> float:
        """Return the loss below which the last step of the staircase is made."""
        return float(crossing_levels(self.plateaus(task))[-1])

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy of each replica in nats, (R,)."""
        return cross_entropy(logits, targets).mean(dim=-1)

    def check(self, network: Network) -> None:
        """Raise `InputError` where a network does not give what is asked for; sees it in evaluation mode."""
        network.check(self.objective)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return the next inputs and targets."""
        return self.split(self._batches.batch())

    def keep(self, replicas: Sequence[int]) -> None:
        """Drop all replicas but these."""
        self._batches.keep(replicas)
        self.test_rows = self.test_rows[list(replicas)]

    def state(self) -> sources.State:
        """Return what `load` needs to go on with the same batches."""
        return self._batches.state()

    def load(self, state: sources.State) -> None:
        """Go on from a saved state."""
        self._batches.load(state)


class LastToken(Examples):
    """The last token is predicted from all others."""


class AllTokens(Examples):
    """Every token is predicted from those before it; the test is that of the last token."""

    objective = "all"

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return sentences, as inputs and as targets."""
        return rows, rows

    def logits(self, network: Network, inputs: Tensor) -> Tensor:
        """Ask for the logits of every token."""
        return network.every_token(inputs)

    def test_split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return sentences and their last tokens."""
        return super().split(rows)

    def test_logits(self, network: Network, inputs: Tensor) -> Tensor:
        """Ask for the logits of the last token."""
        return super().logits(network, inputs)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over the batch of the cross-entropy in nats, (R, T).

    Parameters
    ----------
    logits : tensor, shape (R, B, T, v)
    targets : tensor of integers, shape (R, B, T)
    """
    losses = functional.cross_entropy(logits.flatten(0, 2), targets.long().flatten(), reduction="none")
    return losses.view(targets.shape).mean(dim=1)
