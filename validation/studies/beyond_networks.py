"""Locally connected networks that see parts of a sentence: samples for one step, with the context and without.

`python beyond_networks.py CONDITION V M FIRST_P NUMBER_OF_P` appends to networks.jsonl. Offline: P fixed sentences,
the best test loss of a run; s = 2, L = 3, grammars 0..4, P doubled from FIRST_P on.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from rhmtheory import RHM
from rhmtheory.support.provenance import provenance
from rhmvalidation import NetworkSpec, Settings
from rhmvalidation.training import Examples, Task, Trainer

WIDTH, GRAMMARS = 64, 5
SETTINGS = Settings(learning_rate=4.0, patience=2.0, least_steps=1000, max_steps=20_000)
PACKAGES = ("rhmtheory", "numpy", "numba", "torch")


class Part(Examples):
    """The symbol of ``target_level`` above the last token, from the sibling of its level-``sibling`` ancestor."""

    sibling: int | None = None
    """Level of the ancestor; None: all tokens but the last are seen."""
    target_level = 0

    @property
    def levels(self):
        """Tokens, and the level of the target."""
        return (0, self.target_level) if self.target_level else (0,)

    def hidden(self):
        """True where a token is hidden, shape (d,)."""
        k, d = self.sibling, self.rhm.d
        out = np.arange(d) == d - 1
        if k is not None:
            out[: d - self.rhm.span(k + 1)] = out[d - self.rhm.span(k) :] = True
        return out

    def split(self, rows):
        """Hidden tokens are masks, v."""
        tokens = rows[..., : self.rhm.d].long()
        hidden = torch.from_numpy(self.hidden()).to(tokens.device)
        return torch.where(hidden, self.rhm.n_symbols(0), tokens), rows[..., -1:]

    def plateaus(self, task):
        """Losses of ideal predictors on the test set, from nothing seen to as much as the network sees."""
        rows, d = self.test_rows[self.tasks.index(task)].cpu().numpy(), self.rhm.d
        masks = [np.ones(d, bool), self.hidden()]
        if self.sibling is None:
            masks = [(np.arange(d) < d - self.rhm.span(k)) | (np.arange(d) == d - 1) for k in range(self.rhm.L + 1)]
        ideal = [
            task.grammar.posteriors(rows[:, : self.rhm.d], level=self.target_level, mask=mask)[:, -1]
            for mask in masks
        ]
        return np.array([-np.log(p[np.arange(len(rows)), rows[:, -1]]).mean() for p in ideal])


def part(sibling=None, target_level=0):
    """Examples of that part."""
    return type("Part", (Part,), {"sibling": sibling, "target_level": target_level})


CONDITIONS = {
    "whole": (part(), ()),
    "whole-first-layer-frozen": (part(), ("layers.0.",)),
    "level-1-alone": (part(1), ()),
    "level-2-alone": (part(2), ()),
    "level-2-alone-spine-1": (part(2, 1), ()),
}


def train(rhm, condition, sizes, settings=SETTINGS, grammars=GRAMMARS):
    """Best test loss of every grammar at every size."""
    kind, frozen = CONDITIONS[condition]
    tasks = [Task(rhm.grammar(seed), P, seed, settings.learning_rate) for seed in range(grammars) for P in sizes]
    examples = kind(tasks, settings, torch.device("cpu"))
    ideal = {task.seed: examples.plateaus(task).tolist() for task in tasks}
    network = NetworkSpec("lcn", {"width": WIDTH}).build(rhm, len(tasks))
    trainer = Trainer(network, examples, settings, trainable=lambda name: not name.startswith(frozen or "-"))
    trainer.finish()
    return [
        {"seed": task.seed, "P": task.P, "loss": one.best_loss, "best_step": one.best_step, "steps": one.steps}
        | {"ideal": ideal[task.seed]}
        for task, one in zip(tasks, trainer.outcomes(), strict=True)
    ]


def main(condition, v, m, first, count):
    """Run one condition and append its results."""
    torch.set_num_threads(1)
    results = train(RHM(v=v, m=m, s=2, L=3), condition, [first << i for i in range(count)])
    with Path("networks.jsonl").open("a") as file:
        file.write(json.dumps({"provenance": provenance(PACKAGES), "settings": str(SETTINGS)}) + "\n")
        for result in results:
            file.write(json.dumps({"condition": condition, "v": v, "m": m, **result}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
