"""Locally connected networks that see parts of a sentence: samples for one step, with the context and without.

`python networks.py CONDITION V M FIRST_P NUMBER_OF_P` appends to networks.jsonl. Offline: P fixed sentences, the
best test loss of a run; s = 2, L = 3, grammars 0..4, P doubled from FIRST_P on.
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from rhmtheory import RHM, Grammar
from rhmtheory.support.provenance import provenance
from rhmvalidation.networks.fast import Network
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.training.examples import init_generators, stream_seed
from rhmvalidation.training.optimisers import ReplicaOptimiser

WIDTH, RATE, BATCH, TEST, GRAMMARS = 64, 4.0, 128, 4096, 5
LEAST_STEPS, MOST_STEPS, PATIENCE = 1000, 20_000, 2.0
PACKAGES = ("rhmtheory", "numpy", "numba", "torch")


@dataclass(frozen=True)
class Condition:
    """What the network sees and what it predicts."""

    hidden_level: int | None = None
    """k: only the sibling of the target's level-k ancestor is seen; None: all but the target."""
    target_level: int = 0
    """j: the symbol of this level above the last token is predicted."""
    frozen: tuple[str, ...] = ()
    """Parameters left as drawn, by the start of their names."""

    def mask(self, rhm: RHM) -> np.ndarray:
        """True where a token is hidden, shape (d,)."""
        out = np.zeros(rhm.d, bool)
        out[-1] = True
        if self.hidden_level is not None:
            out[: rhm.d - rhm.span(self.hidden_level + 1)] = True
            out[rhm.d - rhm.span(self.hidden_level) :] = True
        return out

    def losses(self, grammar: Grammar, trees: list[np.ndarray]) -> list[float]:
        """Losses of ideal predictors on these samples: plateaus in order, from nothing seen to all seen."""
        rhm, target = grammar.rhm, trees[self.target_level][:, -1]
        masks = [np.ones(rhm.d, bool), self.mask(rhm)]
        if self.hidden_level is None:
            masks = [np.arange(rhm.d) < rhm.d - rhm.span(k) for k in range(rhm.L + 1)]
            for mask in masks:
                mask[-1] = True
        level = self.target_level
        p = [grammar.posteriors(trees[0], level=level, mask=mask, threads=1)[:, -1] for mask in masks]
        return [float(-np.log(x[np.arange(len(target)), target]).mean()) for x in p]


CONDITIONS = {
    "whole": Condition(),
    "whole-first-layer-frozen": Condition(frozen=("first",)),
    "level-1-alone": Condition(1),
    "level-2-alone": Condition(2),
    "level-2-alone-spine-1": Condition(2, 1),
}


class Data:
    """Inputs and targets of the replicas, one pair (grammar seed, P) each."""

    def __init__(self, rhm: RHM, condition: Condition, pairs: list[tuple[int, int]]) -> None:
        mask, level = condition.mask(rhm), condition.target_level

        def split(trees: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
            # v stands for the mask
            seen = np.where(mask, rhm.n_symbols(0), trees[0]).astype(np.uint8)
            return torch.from_numpy(seen), torch.from_numpy(trees[level][:, -1].astype(np.int64))

        grammars = {seed: rhm.grammar(seed=seed) for seed, _ in pairs}
        test = {s: g.sample_trees(TEST, stream_seed(s, 1)).levels for s, g in grammars.items()}
        ideal = {s: condition.losses(g, test[s]) for s, g in grammars.items()}
        self.ideal = [ideal[s] for s, _ in pairs]
        held_out = [split(test[s]) for s, _ in pairs]
        self.test = torch.stack([x for x, _ in held_out]), torch.stack([y for _, y in held_out])
        training = [split(grammars[s].sample_trees(P, stream_seed(s, 0)).levels) for s, P in pairs]
        self._tokens, self._targets = (torch.cat(parts) for parts in zip(*training, strict=True))
        self._size = torch.tensor([P for _, P in pairs])[:, None]
        self._start = torch.cumsum(self._size, 0) - self._size
        self._generator = torch.Generator().manual_seed(0)

    def batch(self, alive: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Sentences drawn with replacement from each replica's own P: (R, B, d) and (R, B)."""
        draw = torch.rand(len(alive), BATCH, generator=self._generator, dtype=torch.float64)
        rows = (draw * self._size[alive]).long() + self._start[alive]
        return self._tokens[rows], self._targets[rows]


@torch.no_grad()
def test_losses(network: Network, tokens: torch.Tensor, targets: torch.Tensor) -> list[float]:
    """Mean cross-entropy of each replica, nats."""
    logits = torch.cat([network(part) for part in tokens.split(1024, dim=1)], dim=1)
    return cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(dim=1).tolist()


def train(rhm: RHM, condition: Condition, pairs: list[tuple[int, int]]) -> list[dict[str, object]]:
    """Best test loss of every replica; one stops when its best is PATIENCE times as old as it was when reached."""
    data = Data(rhm, condition, pairs)
    network = NetworkSpec("lcn", {"width": WIDTH}).build(rhm, len(pairs))
    network.initialise(init_generators([seed for seed, _ in pairs]))
    free = [p for name, p in network.named_parameters() if not name.startswith(condition.frozen or ("none",))]
    optimiser = ReplicaOptimiser(free, torch.full((len(pairs),), RATE * network.rate_scale()), adam=False)
    best = [(math.inf, 0)] * len(pairs)
    last, alive = [0] * len(pairs), list(range(len(pairs)))
    due = 16
    for step in range(1, MOST_STEPS + 1):
        tokens, targets = data.batch(alive)
        # a mean over the batch, a sum over replicas: none enters another's gradient
        cross_entropy(network(tokens).flatten(0, 1), targets.flatten(), reduction="sum").div(BATCH).backward()
        optimiser.step()
        network.zero_grad()
        if step not in (due, MOST_STEPS):
            continue
        due = round(1.25 * step)
        keep = []
        losses = test_losses(network, *(x[alive] for x in data.test))
        for i, (r, loss) in enumerate(zip(alive, losses, strict=True)):
            last[r] = step
            best[r] = min(best[r], (loss, step))
            if math.isfinite(loss) and step <= max(LEAST_STEPS, PATIENCE * best[r][1]):
                keep.append(i)
        if len(keep) < len(alive):
            alive = [alive[i] for i in keep]
            if not alive:
                break
            network.keep(torch.tensor(keep))
            optimiser.keep(torch.tensor(keep))
    return [
        {"seed": s, "P": P, "loss": loss, "best_step": at, "steps": steps, "ideal": ideal}
        for (s, P), (loss, at), steps, ideal in zip(pairs, best, last, data.ideal, strict=True)
    ]


def main(name: str, v: int, m: int, first: int, count: int) -> None:
    """Run one condition and append its results."""
    torch.set_num_threads(1)
    rhm = RHM(v=v, m=m, s=2, L=3)
    pairs = [(seed, first << i) for seed in range(GRAMMARS) for i in range(count)]
    results = train(rhm, CONDITIONS[name], pairs)
    settings = {"width": WIDTH, "learning_rate": RATE, "batch_size": BATCH, "test_size": TEST, "patience": PATIENCE}
    settings |= {"least_steps": LEAST_STEPS, "most_steps": MOST_STEPS}
    with Path("networks.jsonl").open("a") as file:
        file.write(json.dumps({"provenance": provenance(PACKAGES), "settings": settings}) + "\n")
        for result in results:
            file.write(json.dumps({"condition": name, "v": v, "m": m, **result}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
