"""Sources of sentences: held-out sets, fixed training sets, and fresh batches drawn on the device.

A row holds the symbols of the wanted levels of one tree, side by side; by default its tokens, level 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rhmtheory import Grammar
from rhmtheory.support.types import FloatArray, IntArray

# Each replica's data come from streams of their own, so that who trains beside it does not matter.
_TRAIN, _TEST, _BATCH, _INIT, _NOISE, _TEST_NOISE = range(6)
_STEPS_DRAWN_AHEAD = 32
_RANGE = 1 << 30

State = tuple[list[Tensor], int]
"""State of a source: of its generators before the present block of batches, and how many of the block are left."""


def stream_seed(seed: int, purpose: int) -> int:
    """A 63-bit seed for one purpose of one run."""
    return int(np.random.SeedSequence([seed, purpose]).generate_state(1, np.uint64)[0] >> 1)


def init_generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """Generators (on the CPU, so that every device starts alike) for the initial weights."""
    return [torch.Generator().manual_seed(stream_seed(seed, _INIT)) for seed in seeds]


Levels = tuple[int, ...]
TOKENS: Levels = (0,)


def held_out(
    grammars: Sequence[Grammar], seeds: Sequence[int], size: int, device: torch.device, levels: Levels = TOKENS
) -> Tensor:
    """Return test sets, (R, size, row): drawn anew, independent of the training sets."""
    sets = [rows_of(g, size, stream_seed(seed, _TEST), levels) for g, seed in zip(grammars, seeds, strict=True)]
    return torch.from_numpy(np.stack(sets)).to(device)


def rows_of(grammar: Grammar, n: int, seed: int, levels: Levels) -> IntArray:
    """Return n rows, (n, sum of the widths of the levels), of trees drawn by a seed."""
    if levels == TOKENS:
        return grammar.sample(n, seed)
    trees = grammar.sample_trees(n, seed)
    return np.concatenate([trees.level(level) for level in levels], axis=1)


class Batches(Protocol):
    """A source of training batches of a fixed size, one stream per replica."""

    def batch(self) -> Tensor:
        """Next batch, (R, B, d)."""

    def keep(self, replicas: Sequence[int]) -> None:
        """Drop all replicas but these."""

    def state(self) -> State:
        """What `load` needs to go on with the same batches."""

    def load(self, state: State) -> None:
        """Go on from a saved state."""


class _DrawnAhead:
    """Batches drawn many steps at a time, each replica from its own generator."""

    def __init__(self, seeds: Sequence[int], size: int, device: torch.device, purpose: int = _BATCH) -> None:
        self._size, self._device = size, device
        self._generators = [torch.Generator(device).manual_seed(stream_seed(seed, purpose)) for seed in seeds]
        self._ahead: list[Tensor] = []
        self._before = self._generator_states()

    def _draw(self, steps: int) -> Tensor:
        """Draw (steps, R, B, d) tokens."""
        raise NotImplementedError

    def batch(self) -> Tensor:
        """Next batch, (R, B, d)."""
        if not self._ahead:
            self._before = self._generator_states()
            self._ahead = list(self._draw(_STEPS_DRAWN_AHEAD).flip(0))
        return self._ahead.pop()

    def keep(self, replicas: Sequence[int]) -> None:
        """Drop all replicas but these."""
        self._generators = [self._generators[r] for r in replicas]
        self._before = [self._before[r] for r in replicas]
        self._ahead = [batch[list(replicas)] for batch in self._ahead]

    def state(self) -> State:
        """Generator states before the present block, and the batches of it still to come."""
        # at the end of a block nothing of it is to be drawn again
        return (self._before if self._ahead else self._generator_states()), len(self._ahead)

    def load(self, state: State) -> None:
        """Draw the present block again and skip what was used of it."""
        before, left = state
        for generator, saved in zip(self._generators, before, strict=True):
            generator.set_state(saved.cpu())
        self._before = before
        self._ahead = list(self._draw(_STEPS_DRAWN_AHEAD).flip(0))[:left] if left else []

    def _generator_states(self) -> list[Tensor]:
        return [generator.get_state() for generator in self._generators]


class Numbers(_DrawnAhead):
    """Uniform numbers in [0, 1), (R, B, columns), new for every batch: they say what is hidden, or replaced."""

    def __init__(self, seeds: Sequence[int], size: int, columns: int, device: torch.device) -> None:
        super().__init__(seeds, size, device, _NOISE)
        self._columns = columns

    def _draw(self, steps: int) -> Tensor:
        wanted = steps, self._size, self._columns
        draws = [torch.rand(wanted, generator=one, device=self._device) for one in self._generators]
        return torch.stack(draws, dim=1)


def fixed_numbers(seeds: Sequence[int], n: int, columns: int, device: torch.device) -> Tensor:
    """Return the uniform numbers of test sets, (R, n, columns), the same on every device."""
    generators = [torch.Generator().manual_seed(stream_seed(seed, _TEST_NOISE)) for seed in seeds]
    return torch.stack([torch.rand((n, columns), generator=one) for one in generators]).to(device)


class TrainingSet(_DrawnAhead):
    """Offline: ``P`` fixed sentences per replica, from which batches are drawn with replacement.

    ``sizes`` may differ from replica to replica.
    """

    def __init__(
        self,
        grammars: Sequence[Grammar],
        seeds: Sequence[int],
        sizes: Sequence[int],
        size: int,
        device: torch.device,
        levels: Levels = TOKENS,
    ) -> None:
        super().__init__(seeds, size, device)
        drawn = zip(grammars, seeds, sizes, strict=True)
        sets = [rows_of(g, P, stream_seed(seed, _TRAIN), levels) for g, seed, P in drawn]
        self._tokens = torch.from_numpy(np.concatenate(sets)).to(device)
        self._sizes = list(sizes)
        self._starts = np.cumsum([0, *sizes[:-1]]).tolist()

    def _draw(self, steps: int) -> Tensor:
        draws = [
            torch.randint(P, (steps, self._size), generator=generator, device=self._device) + start
            for P, start, generator in zip(self._sizes, self._starts, self._generators, strict=True)
        ]
        return self._tokens[torch.stack(draws, dim=1)]

    def keep(self, replicas: Sequence[int]) -> None:
        """Drop all replicas but these."""
        super().keep(replicas)
        self._sizes = [self._sizes[r] for r in replicas]
        self._starts = [self._starts[r] for r in replicas]


class FreshSentences(_DrawnAhead):
    """Online: every batch is new, drawn on the device from rules and their probabilities that lie there."""

    def __init__(
        self,
        grammars: Sequence[Grammar],
        seeds: Sequence[int],
        size: int,
        device: torch.device,
        levels: Levels = TOKENS,
    ) -> None:
        super().__init__(seeds, size, device)
        self._levels = levels
        shape = grammars[0].shape
        self._L, self._n = shape.L, shape.n_symbols(shape.L)
        self._nodes = sum(shape.width(level) for level in range(1, shape.L + 1))
        # (R, v_l, m, s) per level; int64, because children index the rules of the level below
        self._rules = [
            torch.from_numpy(np.stack([g.rules(level) for g in grammars]).astype(np.int64)).to(device)
            for level in range(1, shape.L + 1)
        ]
        # where choices are not equally likely: of the rules per level, (R, v_l, m), and of the classes, (R, 1, n)
        self._bounds: list[Tensor] = []
        if not all(g.is_uniform for g in grammars):
            tables = [[g.rule_probabilities(level) for g in grammars] for level in range(1, shape.L + 1)]
            tables.append([g.prior[None] for g in grammars])
            self._bounds = [_upper_bounds(np.stack(p)).to(device) for p in tables]

    def _draw(self, steps: int) -> Tensor:
        # one uniform number per node and one for the root; m << 2**30 leaves no bias that shows
        draws = [
            torch.randint(_RANGE, (steps, self._size, 1 + self._nodes), generator=generator, device=self._device)
            for generator in self._generators
        ]
        numbers = torch.stack(draws)  # (R, steps, B, nodes)
        R = numbers.shape[0]
        replica = torch.arange(R, device=self._device).view(R, 1, 1, 1)
        root = torch.zeros_like(numbers[..., :1])
        symbols, used = self._choose(numbers[..., :1], self._n, self._L + 1, replica, root), 1
        drawn = {self._L: symbols}
        for level in range(self._L, 0, -1):
            rules = self._rules[level - 1]
            width = symbols.shape[-1]
            choice = self._choose(numbers[..., used : used + width], rules.shape[2], level, replica, symbols)
            used += width
            symbols = rules[replica, symbols, choice].flatten(-2)  # (R, steps, B, width * s)
            drawn[level - 1] = symbols
        rows = torch.cat([drawn[level] for level in self._levels], dim=-1)
        return rows.to(torch.uint8 if int(rows.max()) < 256 else torch.int64).transpose(0, 1)

    def _choose(self, numbers: Tensor, of: int, level: int, replica: Tensor, symbols: Tensor) -> Tensor:
        """One of ``of`` outcomes for each uniform number: rules of these symbols, or (level L + 1) classes."""
        if not self._bounds:
            return numbers % of
        bounds = self._bounds[level - 1][replica, symbols]  # (R, steps, B, width, of)
        return (numbers[..., None] >= bounds[..., :-1]).sum(dim=-1)

    def keep(self, replicas: Sequence[int]) -> None:
        """Drop all replicas but these."""
        super().keep(replicas)
        self._bounds = [bounds[list(replicas)] for bounds in self._bounds]
        self._rules = [rules[list(replicas)] for rules in self._rules]


def _upper_bounds(probabilities: FloatArray) -> Tensor:
    """Cumulative probabilities in units of the range of the random numbers; an outcome of none is never drawn."""
    return torch.from_numpy(np.rint(np.cumsum(probabilities, axis=-1) * _RANGE).astype(np.int64))
