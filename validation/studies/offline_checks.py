"""Does the best loss on a fixed training set depend on width, learning rate, or on stopping early?

`python offline_checks.py NETWORK V M L STEPS PATIENCE RATE WIDTH SEED,SEED P...`, s = 2, appends to
validation/results/offline/checks.jsonl.
"""

import json
import sys
from pathlib import Path

import torch

from rhmtheory import RHM
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.studies.programs import train_runs
from rhmvalidation.studies.runs import Run
from rhmvalidation.training.settings import Settings

RECORD = Path(__file__).parents[1] / "results" / "offline" / "checks.jsonl"


def main(
    network: str, v: str, m: str, L: str, steps: str, patience: str, rate: str, width: str, *rest: str
) -> None:
    """Train, and append one line per run."""
    torch.set_num_threads(1)
    rhm = RHM(int(v), int(m), 2, int(L))
    settings = Settings(learning_rate=float(rate), max_steps=int(steps), patience=float(patience))
    seeds, sizes = [int(seed) for seed in rest[0].split(",")], rest[1:]
    for P in map(int, sizes):
        runs = [Run(rhm, NetworkSpec(network, {"width": int(width)}), P, seed, seed, settings) for seed in seeds]
        with RECORD.open("a") as file:
            for run, outcome in zip(runs, train_runs(runs, torch.device("cpu")), strict=True):
                sent = {"network": network, "rhm": [rhm.v, rhm.m, 2, rhm.L], "P": P, "seed": run.grammar_seed}
                how = {name: getattr(settings, name) for name in ("learning_rate", "max_steps", "patience")}
                how["width"] = int(width)
                got = {name: getattr(outcome, name) for name in ("best_loss", "best_step", "steps", "diverged")}
                last = {"last_loss": outcome.curve[-1][1]}
                file.write(json.dumps(sent | how | got | last) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
