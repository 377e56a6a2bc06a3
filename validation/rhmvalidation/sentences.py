"""Sentences as torch datasets: a fixed set, and an endless stream shared by workers and ranks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from rhmtheory import Grammar
from rhmtheory.support.checks import as_int
from rhmtheory.support.types import IntArray

_BLOCK = 1024

Item = Tensor | dict[str, Any]


class Sentences(Dataset[Item]):
    """A fixed set of sentences of a grammar, drawn at once.

    Parameters
    ----------
    grammar : Grammar
    n : int
        Number of sentences.
    seed : int
        Sentence i is a function of grammar, seed and i, as in `Grammar.sample`.
    symbols, rules : bool
        Yield, too, the symbols of all levels, and the rules that wrote them.

    Notes
    -----
    An item is the tokens, int64 of shape (d,). With ``symbols`` or ``rules`` it is a dict: ``tokens``;
    ``symbols``, a list over levels 0..L of tensors of shape (width of the level,); ``rules``, a list over levels
    1..L of such tensors, the number of the rule of each node. Torch's default collation makes batches of all.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> data = Sentences(RHM(v=8, m=2, s=2, L=3).grammar(seed=0), n=100, rules=True)
    >>> len(data), data[0]["tokens"].shape, [level.shape[0] for level in data[0]["rules"]]
    (100, torch.Size([8]), [4, 2, 1])
    """

    def __init__(
        self, grammar: Grammar, n: int, seed: int = 0, *, symbols: bool = False, rules: bool = False
    ) -> None:
        n, seed = as_int("n", n, low=1), as_int("seed", seed, low=0)
        self._drawn = _Drawn(grammar, n, np.random.default_rng(seed), symbols=symbols, rules=rules)
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int) -> Item:
        if not -self._n <= index < self._n:
            raise IndexError(f"index {index} of {self._n} sentences")
        return self._drawn.item(index)


class SentenceStream(IterableDataset[Item]):
    """Fresh sentences of a grammar without end; items are as in `Sentences`.

    The stream is made of blocks of 1024, each with a seed of its own. Of R ranks of a distributed run, rank r makes
    the blocks r, r + R, ...; of W workers of its loader each takes every W-th of these. No sentence is drawn twice,
    and together all make the sentences of a single process.

    Parameters
    ----------
    grammar : Grammar
    seed : int
        The same seed gives the same stream each time it is begun.
    symbols, rules : bool
        As in `Sentences`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> stream = SentenceStream(RHM(v=8, m=2, s=2, L=3).grammar(seed=0), seed=1)
    >>> next(iter(torch.utils.data.DataLoader(stream, batch_size=32))).shape
    torch.Size([32, 8])
    """

    def __init__(self, grammar: Grammar, seed: int = 0, *, symbols: bool = False, rules: bool = False) -> None:
        self._grammar, self._seed = grammar, as_int("seed", seed, low=0)
        self._wanted = {"symbols": symbols, "rules": rules}
        self._rank: tuple[int, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """State with the rank of this process: a spawned worker of a loader does not know it."""
        return self.__dict__ | {"_rank": self._rank or _rank()}

    def __iter__(self) -> Iterator[Item]:
        block, step = self._rank or _rank() or (0, 1)
        worker = get_worker_info()
        if worker is not None:  # within a rank
            block, step = block + step * worker.id, step * worker.num_workers
        while True:
            rng = np.random.default_rng([self._seed, block])
            drawn = _Drawn(self._grammar, _BLOCK, rng, **self._wanted)
            yield from map(drawn.item, range(_BLOCK))
            block += step


def _rank() -> tuple[int, int] | None:
    """Rank and number of ranks, in a distributed run."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return None


class _Drawn:
    """Sentences with what else is asked for, as tensors."""

    def __init__(self, grammar: Grammar, n: int, rng: np.random.Generator, *, symbols: bool, rules: bool) -> None:
        self._symbols: list[Tensor] = []
        self._rules: list[Tensor] = []
        if not symbols and not rules:
            self._tokens = _as_ids(grammar.sample(n, rng))
            return
        trees = grammar.sample_trees(n, rng)
        self._tokens = _as_ids(trees.tokens)
        if symbols:
            self._symbols = [_as_ids(level) for level in trees.levels]
        if rules:
            self._rules = [_as_ids(trees.rules(level)) for level in range(1, grammar.shape.L + 1)]

    def item(self, i: int) -> Item:
        if not self._symbols and not self._rules:
            return self._tokens[i]
        out: dict[str, Any] = {"tokens": self._tokens[i]}
        if self._symbols:
            out["symbols"] = [level[i] for level in self._symbols]
        if self._rules:
            out["rules"] = [level[i] for level in self._rules]
        return out


def _as_ids(array: IntArray) -> Tensor:
    return torch.from_numpy(array.astype(np.int64))
