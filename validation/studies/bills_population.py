"""Gradient descent on the whole language: the updates of every step without any noise of samples.

`python bills_population.py OUT.jsonl V M S L GRAMMARS NETWORK RATE` appends a record per grammar. NETWORK is `cnn`,
`lcn`, or `oracle`: one layer that is given the true siblings of the spine, sigma_0 .. sigma_(L-1), at all levels.
Every context of the language enters each update with its probability and the law of its last token. So there is no
samples term, and the updates times the rate are tau_k. For languages of up to 3e5 sentences; the oracle for any.
"""

import json
import math
import sys
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rhmtheory import RHM, Grammar
from rhmtheory.fitting import crossings
from rhmtheory.support.provenance import provenance

WIDTHS = {3: 128, 4: 256, 5: 256, 6: 256}
RATIO, LONGEST = 1.1, 100_000
PACKAGES = ("rhmtheory", "numpy", "torch")


def contexts(grammar: Grammar) -> dict[tuple[int, ...], np.ndarray]:
    """Law of the last token, times the probability of the context, for all contexts of the language."""
    below = [{(a,): 1.0} for a in range(grammar.rhm.n_symbols(0))]
    for level in range(1, grammar.rhm.L + 1):
        rules, weights = grammar.rules(level), grammar.rule_probabilities(level)
        trees = []
        for symbol in range(len(rules)):
            parts: dict[tuple[int, ...], float] = {}
            for children, weight in zip(rules[symbol].tolist(), weights[symbol], strict=True):
                for choice in product(*(below[c].items() for c in children)):
                    parts[sum((tokens for tokens, _ in choice), ())] = weight * math.prod(p for _, p in choice)
            trees.append(parts)
        below = trees
    return _grouped(grammar, ((tokens, p * q) for trees, q in zip(below, grammar.prior, strict=True)
                              for tokens, p in trees.items()))  # fmt: skip


def spines(grammar: Grammar) -> dict[tuple[int, ...], np.ndarray]:
    """The same for the siblings of the spine in place of tokens, from the root down."""
    paths = [((), symbol, float(p)) for symbol, p in enumerate(grammar.prior)]
    for level in range(grammar.rhm.L, 0, -1):
        rules, weights = grammar.rules(level), grammar.rule_probabilities(level)
        paths = [
            (path + tuple(children[:-1]), children[-1], p * weight)
            for path, symbol, p in paths
            for children, weight in zip(rules[symbol].tolist(), weights[symbol], strict=True)
        ]
    return _grouped(grammar, (((*path, symbol), p) for path, symbol, p in paths))


def _grouped(grammar, sentences):
    laws = defaultdict(lambda: np.zeros(grammar.rhm.n_symbols(0)))
    for tokens, p in sentences:
        laws[tokens[:-1]][tokens[-1]] += p
    return laws


class Network:
    """The hierarchical network, or the oracle, on a fixed set of inputs: equal blocks are computed once.

    The published parametrisation: whitened one-hot inputs, standard normal weights over the root of the fan-in, a
    readout over the width with the learning rate times the width. The masked last place is constant.
    """

    def __init__(
        self, inputs: np.ndarray, v: int, branches: list[int], width: int, fan_in: int, *, shared: bool, seed: int
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.v, self.width, self.scales = v, width, []
        masked = np.concatenate([inputs, np.full((len(inputs), 1), v)], axis=1)  # (N, d)
        self.blocks, self.weights = [], []
        symbols, channels = masked, v
        for s in branches:
            tuples = symbols.reshape(len(masked), -1, s)
            groups = 1 if shared else tuples.shape[1]
            level, numbers, first = [], np.empty(tuples.shape[:2], np.int64), 0
            for g in range(groups):
                part = tuples if shared else tuples[:, g : g + 1]
                rows, number = np.unique(part.reshape(-1, s), axis=0, return_inverse=True)
                numbers[:, slice(None) if shared else slice(g, g + 1)] = first + number.reshape(part.shape[:2])
                level.append(torch.from_numpy(rows))
                first += len(rows)
            self.blocks.append(level)
            self.weights.append(torch.randn(groups, s, channels, width, generator=generator))
            # a symbol weighs in the oracle as a token in the first layer of the network, however many there are
            self.scales.append(1 / math.sqrt(fan_in * channels))
            symbols, channels = numbers, width
        self.order = torch.from_numpy(symbols[:, 0])
        self.weights.append(torch.randn(width, v, generator=generator))
        for weight in self.weights:
            weight.requires_grad_(True)
        identity = (torch.eye(v) - 1 / v) / math.sqrt(1 - 1 / v)
        self.tokens = torch.cat([identity, torch.full((1, v), v**-0.5)])

    def logits(self) -> Tensor:
        """Of all inputs, (N, v)."""
        below = self.tokens
        for level, weight, scale in zip(self.blocks, self.weights[:-1], self.scales, strict=True):
            groups = []
            for rows, filters in zip(level, weight, strict=True):
                # each child is multiplied once, then added up in every block
                pre = sum((below @ filters[p])[rows[:, p]] for p in range(rows.shape[1]))
                groups.append(torch.relu(pre * scale))
            below = torch.cat(groups)
        return (below @ self.weights[-1] / self.width)[self.order]


def train(grammar: Grammar, kind: str, width: int, rate: float, seed: int) -> dict[str, object]:
    """Updates times rate at which the loss crosses each step."""
    rhm = grammar.rhm
    laws = spines(grammar) if kind == "oracle" else contexts(grammar)
    s = rhm.n_children(1)
    branches = [1 + rhm.L * (s - 1)] if kind == "oracle" else [s] * rhm.L
    network = Network(np.array(list(laws)), rhm.n_symbols(0), branches, width, s, shared=kind == "cnn", seed=seed)
    joint = torch.tensor(np.array(list(laws.values())), dtype=torch.float32)
    H = grammar.plateaus()
    levels = np.sqrt(H[:-1] * H[1:])
    curve, due, step = [], 8, 0
    while step < LONGEST and (not curve or curve[-1][1] > levels[-1]):
        loss = -(joint * torch.log_softmax(network.logits(), dim=1)).sum()
        loss.backward()
        if step >= due or step == 0:
            curve.append((max(step, 1), float(loss.detach())))
            due = max(due + 1, round(due * RATIO))
        with torch.no_grad():
            for weight in network.weights:
                weight -= rate * width * weight.grad
                weight.grad = None
        step += 1
    at, losses = (np.array(x, float) for x in zip(*curve, strict=True))
    made = crossings(at, losses[None], levels[None]).at[0]
    return {"contexts": len(laws), "tau": (rate * made).tolist(), "curve": curve}


def main(out: str, v: int, m: int, s: int, L: int, grammars: int, kind: str, rate: float) -> None:
    """Train on each grammar and append its record."""
    torch.set_num_threads(1)
    rhm = RHM(v=v, m=m, s=s, L=L)
    for seed in range(grammars):
        grammar = rhm.grammar(seed=seed)
        record = {"ensemble": [v, m, s, L], "grammar": seed, "network": kind, "width": WIDTHS[m], "rate": rate}
        record |= train(grammar, kind, WIDTHS[m], rate, seed)
        with Path(out).open("a") as file:
            file.write(json.dumps(record | {"provenance": provenance(PACKAGES)}) + "\n")
        print(record["ensemble"], kind, seed, [round(x) for x in record["tau"] if x == x], flush=True)


if __name__ == "__main__":
    name, *numbers, kind, rate = sys.argv[1:]
    main(name, *map(int, numbers), kind, float(rate))
