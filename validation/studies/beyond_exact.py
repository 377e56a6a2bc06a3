"""Thresholds "signal = noise" of far tuples for every target and context.

`python beyond_exact.py` writes validation/results/beyond/exact.json.
"""

import json
from pathlib import Path

from rhmtheory import RHM
from rhmtheory.exact.residuals import tuple_detection
from rhmtheory.support.provenance import provenance

ENSEMBLES = [(8, 2, 2, 3), (12, 3, 2, 3), (16, 4, 2, 3), (20, 5, 2, 3), (24, 6, 2, 3), (32, 4, 2, 3), (8, 4, 2, 3)]
ENSEMBLES += [(12, 3, 2, 4), (16, 4, 2, 4)]
GRAMMARS = 16


def main() -> None:
    """For all targets j = 0..k, without context and in all of level k, for tuples of tokens and of level k - 1."""
    records = []
    for v, m, s, L in ENSEMBLES:
        grammars = [RHM(v=v, m=m, s=s, L=L).grammar(seed=seed) for seed in range(GRAMMARS)]
        for k in range(1, L):
            for target in range(k + 1):
                for context in (0, k):
                    for level in sorted({1, k}):
                        options = {"target_level": target, "context_level": context, "tuple_level": level}
                        found = [tuple_detection(grammar, k, **options) for grammar in grammars]
                        values = {"signal": [x.signal for x in found], "noise": [x.noise for x in found]}
                        # the keys of the recorded file
                        keys = {"target": target, "context": context, "tuple_level": level}
                        records.append({"rhm": [v, m, s, L], "k": k, **keys, **values})
    path = Path(__file__).parents[1] / "results" / "beyond" / "exact.json"
    path.write_text(json.dumps({"provenance": provenance(), "records": records}, indent=0))


if __name__ == "__main__":
    main()
