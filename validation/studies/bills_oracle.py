"""Networks that are handed the hidden symbols: what a step costs without finding them.

`python bills_oracle.py OUT.jsonl V M S L GRAMMARS RATE BATCHES [TUPLES]` appends a record per grammar and batch.
BATCHES and TUPLES are lists such as 32,128,512. The **oracle** (TUPLES = 0, the default) reads the true siblings of
the spine, sigma_0 .. sigma_(L-1), as one-hot symbols in the place of the last layer. The **tuple oracle** is shown
each symbol as one of M tuples of a fixed table, and learns the tuples in a shared first layer: M = 1, 2, 4, ...
Width, batch, rate, readout and the masked last place are those of the convolutional network. A symbol weighs as
much as a token in the network's first layer, however many symbols there are.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rhmtheory import RHM
from rhmtheory.fitting import crossings
from rhmtheory.support.provenance import provenance
from rhmvalidation import Settings
from rhmvalidation.networks.custom import AdaptedNetwork
from rhmvalidation.training.examples import Examples, Task
from rhmvalidation.training.trainer import Trainer

WIDE_FROM = 64
"""Layers hold v m tuples; at this many of them the presets take width 256."""
HIGHEST = 1 << 25
PACKAGES = ("rhmtheory", "numpy", "torch")


class Symbols(Examples):
    """Inputs are the siblings of the spine at all levels, in the first places of a row as wide as a sentence."""

    def __init__(self, tasks, settings, device, tuples=0):
        rhm = tasks[0].grammar.rhm
        self.width, self.levels = rhm.d, tuple(range(rhm.L + 1))
        widths = [rhm.width(level) for level in self.levels]
        ends = np.cumsum(widths)
        s = rhm.n_children(1)
        self.places = [int(ends[k]) - s + i for k in range(rhm.L) for i in range(s - 1)]
        self.table = None
        if tuples:
            rules = RHM(v=rhm.n_symbols(0), m=tuples, s=s, L=1).grammar(seed=10_000 + tasks[0].seed).rules(1)
            self.table = torch.from_numpy(rules.astype(np.int64))  # (v, M, s)
        self.generator = torch.Generator().manual_seed(tasks[0].seed)
        super().__init__(tasks, settings, device)
        self._shown = self.split(self.test_rows)

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return symbols, or tuples that stand for them, and last tokens."""
        d = self.width
        symbols = rows[..., self.places].long()
        if self.table is not None:
            choice = torch.randint(self.table.shape[1], symbols.shape, generator=self.generator)
            symbols = self.table[symbols, choice].flatten(-2)
        inputs = torch.zeros(*rows.shape[:-1], d, dtype=torch.long)
        inputs[..., : symbols.shape[-1]] = symbols
        return inputs, rows[..., d - 1 : d]

    def test_split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the test, whose tuples are drawn once."""
        return self._shown


class Oracle(nn.Module):
    """Logits (B, v) from rows (B, d) of `Symbols`, in the published parametrisation."""

    def __init__(self, rhm: RHM, width: int, *, tuples: bool) -> None:
        super().__init__()
        v, s = rhm.n_symbols(0), rhm.n_children(1)
        self.v, self.s, self.width, self.symbols = v, s, width, rhm.L * (s - 1)
        places = s if tuples else self.symbols + 1
        self.first = nn.Parameter(torch.randn(places, v + 1, width))
        self.second = nn.Parameter(torch.randn((self.symbols + 1) * width, width)) if tuples else None
        self.readout = nn.Parameter(torch.randn(width, v))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the last token."""
        v, s, n = self.v, self.s, self.symbols
        weight = self.first[:, :v]
        white = (weight - weight.mean(dim=1, keepdim=True)) / math.sqrt(1 - 1 / v)
        mask = weight.sum(dim=1) * v**-0.5  # (places, w)
        if self.second is None:
            h = sum(white[i][tokens[:, i]] for i in range(n)) + mask[n]
            return torch.relu(h / math.sqrt(s * v)) @ self.readout / self.width
        tuples = tokens[:, : n * s].view(-1, n, s)
        h = sum(white[i][tuples[:, :, i]] for i in range(s))  # (B, n, w)
        h = torch.cat([h, mask.sum(dim=0).expand(len(h), 1, -1)], dim=1)
        h = torch.relu(h / math.sqrt(s * v)).flatten(1)
        return torch.relu(h @ self.second / math.sqrt(s * self.width)) @ self.readout / self.width


class Stack(AdaptedNetwork):
    """One oracle, with the learning rate in units of the width."""

    def __init__(self, rhm: RHM, width: int, *, tuples: bool) -> None:
        super().__init__(rhm, 1, lambda: Oracle(rhm, width, tuples=tuples), "oracle")
        self.width = width

    def rate_scale(self) -> float:
        """The learning rate grows with the width."""
        return float(self.width)


def train(rhm: RHM, seed: int, batch: int, rate: float, tuples: int) -> dict[str, object]:
    """Samples at which the loss crosses each step of one grammar."""
    grammar, width = rhm.grammar(seed=seed), 256 if rhm.n_symbols(0) * rhm.n_rules(1) >= WIDE_FROM else 128
    settings = Settings(learning_rate=rate, batch_size=batch, protocol="online", after_last_step=1.2)
    examples = Symbols([Task(grammar, HIGHEST, seed, rate)], settings, torch.device("cpu"), tuples)
    trainer = Trainer(Stack(rhm, width, tuples=bool(tuples)), examples, settings)
    trainer.finish()
    curve = np.array(trainer.outcomes()[0].curve)[1:, :2]
    H = grammar.plateaus()
    made = crossings(curve[:, 0] * batch, curve[:, 1][None], np.sqrt(H[:-1] * H[1:])[None]).at[0]
    return {"width": width, "P": made.tolist(), "curve": curve.tolist()}


def main(out: str, ensemble: list[int], grammars: int, rate: float, batches: list[int], tuples: list[int]) -> None:
    """Train on each grammar and append its records."""
    torch.set_num_threads(1)
    v, m, s, L = ensemble
    for M in tuples:
        for batch in batches:
            for seed in range(grammars):
                record = {"ensemble": ensemble, "grammar": seed, "network": "tuple oracle" if M else "oracle"}
                record |= {"tuples": M, "batch": batch, "rate": rate}
                record |= train(RHM(v=v, m=m, s=s, L=L), seed, batch, rate, M)
                with Path(out).open("a") as file:
                    file.write(json.dumps(record | {"provenance": provenance(PACKAGES)}) + "\n")
                print(M, batch, seed, [f"{P:.3g}" for P in record["P"]], flush=True)


if __name__ == "__main__":
    path, *sizes, count, eta, of_batches = sys.argv[1:9]
    lists = [[int(x) for x in text.split(",")] for text in (of_batches, sys.argv[9] if len(sys.argv) > 9 else "0")]
    main(path, [int(x) for x in sizes], int(count), float(eta), *lists)
