"""What the networks are fed: fixed training sets and held-out sets drawn from grammars, one a replica."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rhmtheory import Grammar

# Each replica's data come from streams of their own, so that who trains beside it does not matter.
_TRAIN, _TEST, _BATCH, _INIT = range(4)
_STEPS_DRAWN_AHEAD = 64


def stream_seed(seed: int, purpose: int) -> int:
    """A 63-bit seed for one purpose of one run."""
    return int(np.random.SeedSequence([seed, purpose]).generate_state(1, np.uint64)[0] >> 1)


def init_generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """Generators (on the CPU, so that every device starts alike) for the initial weights."""
    return [torch.Generator().manual_seed(stream_seed(seed, _INIT)) for seed in seeds]


def held_out(grammars: Sequence[Grammar], seeds: Sequence[int], size: int, device: torch.device) -> Tensor:
    """Test sets, (R, size, d): drawn anew, independent of the training sets."""
    sets = [g.sample(size, stream_seed(seed, _TEST)) for g, seed in zip(grammars, seeds, strict=True)]
    return torch.from_numpy(np.stack(sets)).to(device)


class TrainingSet:
    """Offline data: ``P`` fixed sentences a replica, from which batches are drawn with replacement.

    ``sizes`` may differ from replica to replica.
    """

    def __init__(
        self,
        grammars: Sequence[Grammar],
        seeds: Sequence[int],
        sizes: Sequence[int],
        device: torch.device,
    ) -> None:
        sets = [g.sample(P, stream_seed(seed, _TRAIN)) for g, seed, P in zip(grammars, seeds, sizes, strict=True)]
        self._tokens = torch.from_numpy(np.concatenate(sets)).to(device)
        self._sizes = list(sizes)
        self._starts = np.cumsum([0, *sizes[:-1]]).tolist()
        self._generators = [torch.Generator().manual_seed(stream_seed(seed, _BATCH)) for seed in seeds]
        self._ahead: list[Tensor] = []

    def batch(self, size: int) -> Tensor:
        """Next batch, (R, size, d)."""
        if not self._ahead:
            draws = [
                torch.randint(P, (_STEPS_DRAWN_AHEAD, size), generator=generator) + start
                for P, start, generator in zip(self._sizes, self._starts, self._generators, strict=True)
            ]
            # (steps, R, size)
            self._ahead = list(torch.stack(draws, dim=1).to(self._tokens.device).flip(0))
        return self._tokens[self._ahead.pop()]
