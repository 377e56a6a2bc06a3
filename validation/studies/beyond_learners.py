"""Losses of the clustering learner on the sentences of beyond_networks.py.

`python beyond_learners.py V M FIRST_P NUMBER_OF_P` appends to validation/results/beyond/learners.jsonl the losses
that beyond_networks.py appends for networks; without sharing, and the condition is the targets.
"""

import json
import sys
from pathlib import Path

import numpy as np

from rhmtheory import RHM, Grammar
from rhmtheory.learner.clustering import TARGETS, learn
from rhmtheory.support.provenance import provenance
from rhmvalidation.training.sources import stream_seed

TEST, GRAMMARS = 4096, 5  # as there
RECORD = Path(__file__).parents[1] / "results" / "beyond" / "learners.jsonl"


def ideal_losses(grammar: Grammar, tokens: np.ndarray) -> list[float]:
    """Losses of ideal predictors on these sentences, from no token seen to all but the last."""
    d, at = grammar.shape.d, np.arange(len(tokens))
    hidden = [
        (np.arange(d) < d - grammar.shape.span(k)) | (np.arange(d) == d - 1) for k in range(grammar.shape.L + 1)
    ]
    posteriors = [grammar.posteriors(tokens, level=0, mask=mask, threads=1)[:, -1] for mask in hidden]
    return [float(-np.log(p[at, tokens[:, -1]]).mean()) for p in posteriors]


def main(v: int, m: int, first: int, count: int) -> None:
    """Both targets for all grammars and P."""
    rhm = RHM(v=v, m=m, s=2, L=3)
    with RECORD.open("a") as file:
        file.write(json.dumps({"provenance": provenance()}) + "\n")
        for seed in range(GRAMMARS):
            grammar = rhm.grammar(seed=seed)
            test = grammar.sample(TEST, seed=stream_seed(seed, 1))
            ideal = ideal_losses(grammar, test)
            for P in (first << i for i in range(count)):
                training = grammar.sample(P, seed=stream_seed(seed, 0))
                for targets in TARGETS:
                    loss = learn(rhm, training, sharing=False, targets=targets, threads=1).loss(test)
                    result = {"seed": seed, "P": P, "loss": loss, "ideal": ideal}
                    file.write(json.dumps({"condition": targets, "v": v, "m": m, **result}) + "\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
