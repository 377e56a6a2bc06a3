"""Coverage of the intervals of `two_bills`: synthetic learning curves with known E and tau.

`python tests/trust/bills_coverage.py SETS` prints one line of JSON per cell; a calibration calls `coverage`.
"""

import json
import sys
from math import exp, log

import numpy as np

from rhmtheory.fitting import crossings
from rhmtheory.fitting.terms import two_terms

BATCHES = (32, 48, 64, 128, 512)
CELLS = [
    {"balance": 40.0},
    {"balance": 15.0, "runs": 2},
    {"balance": 200.0},
    {"balance": 40.0, "runs": 2, "noise": 0.1},
    {"balance": 40.0, "grammars": 4},
    {"balance": 100.0, "grammars": 4, "batches": (32, 128, 512)},
    {"balance": 40.0, "spread": (0.5, 0.3), "noise": 0.05},
    {"balance": 40.0, "spread": (0.0, 0.0)},
    {"balance": 4.0, "runs": 2},
    {"balance": 40.0, "spacing": 1.5},
]
"""Balance is E / tau in units of B / eta."""


def coverage(
    sets, *, grammars=8, batches=BATCHES, runs=1, spread=(0.2, 0.1), noise=0.08, balance=40.0, spacing=1.2, seed=0
):
    """How often each interval holds the truth, the bias of ln, and how often E is an upper bound, over many sets.

    Truths are the geometric means over the population of grammars: E = balance, tau = 1. ``spread`` holds the
    standard deviations of ln E and ln tau over grammars, ``noise`` is that of ln P* over runs. Crossings are read
    off curves on a grid of P of this ``spacing``.
    """
    rng = np.random.default_rng(seed)
    x = np.tile(np.repeat(np.array(batches, float), runs), grammars)
    names = np.repeat([f"{g}" for g in range(grammars)], len(batches) * runs)
    of = np.repeat(np.arange(grammars), len(batches) * runs)
    truths = {"E": balance, "tau": 1.0, "balance": balance}
    held, bias, count = dict.fromkeys(truths, 0), dict.fromkeys(truths, 0.0), dict.fromkeys(truths, 0)
    bounds = bound_holds = 0
    P = np.exp(np.arange(log(balance / 30), log(1e5 * balance), log(spacing)))
    for _ in range(sets):
        E, tau = (np.exp(s * rng.standard_normal(grammars)) for s in spread)
        made = (balance * E[of] + x * tau[of]) * np.exp(noise * rng.standard_normal(len(x)))
        # a step of width one half in ln P, on a grid whose phase differs from run to run
        grid = P * np.exp(rng.uniform(0, log(spacing), (len(x), 1)))
        loss = 1 / (1 + (grid / made[:, None]) ** 2) + 0.1
        level = np.full((1, 1), 0.6)
        seen = [crossings(points, row[None], level).at[0, 0] for points, row in zip(grid, loss, strict=True)]
        fit = two_terms(x, seen, names)
        for name, found in (("E", fit.first), ("tau", fit.second), ("balance", fit.ratio)):
            if name == "E" and found.at_most:
                bounds += 1
                bound_holds += found.high >= balance
            if not found.is_bound:
                count[name] += 1
                held[name] += found.low <= truths[name] <= found.high
                bias[name] += log(found.best / truths[name])
    return {
        "coverage": {name: held[name] / count[name] if count[name] else None for name in truths},
        "bias": {name: bias[name] / count[name] if count[name] else None for name in truths},
        "bounds": bounds / sets,
        "bound_holds": bound_holds / bounds if bounds else None,
        "of_all": (held["E"] + bound_holds) / sets,
        "standard_error": exp(0.5 * log(0.95 * 0.05 / sets)),
    }


if __name__ == "__main__":
    for cell in CELLS:
        print(json.dumps({**cell, **coverage(int(sys.argv[1]), **cell)}), flush=True)
