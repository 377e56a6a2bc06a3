"""Further objectives: the root symbol, hidden tokens, and tokens behind noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmvalidation.networks.stack import Network, evaluating
from rhmvalidation.training import sources
from rhmvalidation.training.examples import AllTokens, Examples, LastToken, Task
from rhmvalidation.training.settings import Settings, check_hidden

_NONE = -1
"""Target of a token that nobody asks for."""
_LEARNT = 0.1
"""Part of the loss of chance below which the class counts as learnt."""


class RootClass(Examples):
    """The class, the root symbol, is predicted from all tokens; the share of wrong answers is recorded, too.

    Raises
    ------
    InputError
        For a language of one class.
    """

    objective = "class"
    counts_errors = True

    def __init__(self, tasks: Sequence[Task], settings: Settings, device: torch.device) -> None:
        shape = tasks[0].grammar.shape
        if shape.n_symbols(shape.L) == 1:
            raise InputError("n", 1, "leaves one class, and nothing to learn", "choose an ensemble of `n` > 1")
        self.levels = (0, shape.L)
        super().__init__(tasks, settings, device)

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return sentences (R, B, d) and their classes (R, B, 1)."""
        return rows[..., :-1], rows[..., -1:]

    def plateaus(self, task: Task) -> FloatArray:
        """Return the exact losses of who sees nothing, or the last ``s**k`` tokens, k = 1..L; the last is zero."""
        return task.grammar.class_plateaus()

    def last_step(self, task: Task) -> float:
        """Return a tenth of the loss of chance."""
        return float(_LEARNT * self.plateaus(task)[0])


class _Disturbed(Examples):
    """Sentences in which chance hides or replaces tokens, by uniform numbers of each batch."""

    def __init__(self, tasks: Sequence[Task], settings: Settings, device: torch.device) -> None:
        super().__init__(tasks, settings, device)
        seeds, columns = [task.seed for task in tasks], self.columns()
        self._numbers = sources.Numbers(seeds, settings.batch_size, columns, device)
        self._test_numbers = sources.fixed_numbers(seeds, settings.test_size, columns, device)

    def columns(self) -> int:
        """Return how many numbers a sentence needs."""
        return self.shape.d

    def disturb(self, rows: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of rows (R, B, d) and numbers (R, B, columns)."""
        raise NotImplementedError

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return the next inputs and targets."""
        return self.disturb(self._batches.batch(), self._numbers.batch())

    def test_split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of the first rows of the test, always the same."""
        return self.disturb(rows, self._test_numbers[:, : rows.shape[1]])

    def logits(self, network: Network, inputs: Tensor) -> Tensor:
        """Ask for the logits of every token."""
        return network.every_token(inputs)

    def keep(self, replicas: Sequence[int]) -> None:
        """Drop all replicas but these."""
        super().keep(replicas)
        self._numbers.keep(replicas)
        self._test_numbers = self._test_numbers[list(replicas)]

    def state(self) -> sources.State:
        """Return what `load` needs: states of the sentences, and behind them of the numbers."""
        (rows, left), (numbers, _) = self._batches.state(), self._numbers.state()
        return [*rows, *numbers], left

    def load(self, state: sources.State) -> None:
        """Go on from a saved state."""
        saved, left = state
        half = len(saved) // 2
        self._batches.load((saved[:half], left))
        self._numbers.load((saved[half:], left))


class Masked(_Disturbed):
    """Hidden tokens are predicted from all others; id ``v`` stands in their place.

    `Settings.hidden` gives their positions, or the rate at which each token is hidden. A network that reads out one
    token is asked for one position.

    Raises
    ------
    InputError
        For positions beyond the sentence, and where every token is hidden.
    """

    objective = "masked"

    def __init__(self, tasks: Sequence[Task], settings: Settings, device: torch.device) -> None:
        hidden, d = settings.hidden, tasks[0].grammar.shape.d
        assert hidden is not None
        check_hidden(hidden, d)
        self.hidden = hidden
        super().__init__(tasks, settings, device)

    def columns(self) -> int:
        """Return a number per token, where chance hides them."""
        return self.shape.d if isinstance(self.hidden, float) else 0

    def disturb(self, rows: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return sentences with ids ``v`` in them, and the hidden tokens; with a rate -1 for those that are not."""
        rows, v = rows.long(), self.shape.n_symbols(0)
        if isinstance(self.hidden, float):
            gone = numbers < self.hidden
            return torch.where(gone, v, rows), torch.where(gone, rows, _NONE)
        inputs = rows.clone()
        inputs[..., list(self.hidden)] = v
        return inputs, rows[..., list(self.hidden)]

    def logits(self, network: Network, inputs: Tensor) -> Tensor:
        """Ask for the logits of the hidden tokens; with a rate of all."""
        found = network.per_position(inputs)
        return found if found.shape[2] == 1 or isinstance(self.hidden, float) else found[:, :, list(self.hidden)]

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the hidden tokens."""
        flat, asked = targets.long().flatten(), targets != _NONE
        losses = functional.cross_entropy(logits.flatten(0, 2), flat, reduction="none", ignore_index=_NONE)
        return losses.view(targets.shape).sum(dim=(1, 2)) / asked.sum(dim=(1, 2)).clamp_min(1)

    def plateaus(self, task: Task) -> FloatArray:
        """Return estimates of the losses of ideal predictors of context level 0..L."""
        return task.grammar.masked_plateaus(self.hidden, seed=task.seed).mean

    def check(self, network: Network) -> None:
        """Raise `InputError` for a network that reads out one token where others are hidden, too."""
        super().check(network)
        with evaluating(network), torch.no_grad():
            inputs, targets = self.test_split(self.test_rows[:, :2])
            given = self.logits(network, inputs).shape[2]
        if given != targets.shape[2]:
            rule = "goes with networks that give logits of every token, and this one reads out one"
            raise InputError("hidden", self.hidden, rule, "hide one position, or choose an attention network")


class NoisyTokens(_Disturbed):
    """Every token is predicted from a sentence in which each was drawn anew with probability eps.

    eps is uniform on (0, 1) for each sentence, and is not told: a mixture of the channels
    `rhmtheory.exact.UniformNoise`.
    """

    objective = "denoise"

    def columns(self) -> int:
        """Return eps, and a number per token."""
        return self.shape.d + 1

    def disturb(self, rows: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return noisy sentences and true ones. A number below eps, over eps, is uniform again: the new token."""
        eps, u, v = numbers[..., :1], numbers[..., 1:], self.shape.n_symbols(0)
        new = (u / eps.clamp_min(1e-9) * v).clamp(0, v - 1).long()
        return torch.where(u < eps, new, rows.long()), rows

    def plateaus(self, task: Task) -> FloatArray:
        """Return estimates of the losses of ideal predictors of context level 0..L."""
        return task.grammar.denoising_plateaus(seed=task.seed).mean


EXAMPLES: Mapping[str, type[Examples]] = {
    one.objective: one for one in (LastToken, AllTokens, RootClass, Masked, NoisyTokens)
}
"""Examples by the name of the objective in `Settings`."""
