"""Losses of the clustering learner on the sentences of beyond_networks.py.

`python beyond_learners.py V M FIRST_P NUMBER_OF_P` appends to validation/results/beyond/learners.jsonl the losses
that beyond_networks.py appends for networks; without sharing, and the condition is the targets.
"""

import json
import sys
from pathlib import Path

from beyond_networks import CONDITIONS, GRAMMARS, TEST

from rhmtheory import RHM
from rhmtheory.learner.clustering import TARGETS, learn
from rhmtheory.support.provenance import provenance
from rhmvalidation.training.examples import stream_seed

RECORD = Path(__file__).parents[1] / "results" / "beyond" / "learners.jsonl"


def main(v: int, m: int, first: int, count: int) -> None:
    """Both targets for all grammars and P."""
    rhm = RHM(v=v, m=m, s=2, L=3)
    with RECORD.open("a") as file:
        file.write(json.dumps({"provenance": provenance()}) + "\n")
        for seed in range(GRAMMARS):
            grammar = rhm.grammar(seed=seed)
            test = grammar.sample_trees(TEST, stream_seed(seed, 1)).levels
            ideal = CONDITIONS["whole"].losses(grammar, test)
            for P in (first << i for i in range(count)):
                training = grammar.sample(P, stream_seed(seed, 0))
                for targets in TARGETS:
                    loss = learn(rhm, training, sharing=False, targets=targets, threads=1).loss(test[0])
                    result = {"seed": seed, "P": P, "loss": loss, "ideal": ideal}
                    file.write(json.dumps({"condition": targets, "v": v, "m": m, **result}) + "\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
