"""Samples of every step in other ensembles, predicted from what (12, 3, 2, 4) costs, before they are measured.

`python bills_predictions.py BASIS.json OUT.json`: BASIS holds E_k (samples) and tau_k (updates times rate) of each
network at (12, 3, 2, 4). They are carried over by two rules and no fit: E_k keeps its ratio to the finite-size
threshold of a law at the same step, tau_k its ratio to v m^(k+1), the entries of the table; without weight
sharing it is D_k times that of the CNN, `updates_ratio`.
"""

import json
import sys
from pathlib import Path

import numpy as np

from rhmtheory import RHM, predict
from rhmtheory.exact import updates_ratio

BASIS = (12, 3, 2, 4)
SETTINGS = [
    ((16, 4, 2, 4), 256, (32, 128, 512)),
    ((8, 4, 2, 4), 128, (32, 128, 512)),
    ((5, 6, 3, 3), 128, (32, 512)),
]
LAWS = {"cnn": ("cnn", "transformer"), "lcn": ("transformer", "cnn")}
"""The network's own law first, then the other: where both fail, neither rule holds."""
NAMES = {"cnn": "shared", "transformer": "unshared"}
GRAMMARS = 8


def mean_ratios(ensemble: tuple[int, ...]) -> np.ndarray:
    """Geometric means of D_k over the grammars of the study, shape (L,)."""
    grammars = [RHM(*ensemble).grammar(seed=seed) for seed in range(GRAMMARS)]
    return np.array([np.exp(np.mean([np.log(updates_ratio(g, k)) for g in grammars])) for k in range(ensemble[3])])


def main(basis_path: str, out: str) -> None:
    """Write predicted P*_k(B) at rate 1 for each ensemble, network, law of the samples and batch."""
    basis = json.loads(Path(basis_path).read_text())
    records = []
    for ensemble, width, batches in SETTINGS:
        v, m, _, L = ensemble
        entries = [v * m ** (k + 1) / (BASIS[0] * BASIS[1] ** (k + 1)) for k in range(L)]
        tau_cnn = np.array(basis["cnn"]["tau"][:L]) * entries
        for network, laws in LAWS.items():
            tau = tau_cnn * (mean_ratios(ensemble) if network == "lcn" else 1)
            for law in laws:
                here, there = (predict(RHM(*q), law).P.finite_size[:L] for q in (ensemble, BASIS))
                E = np.array(basis[network]["E"][:L]) * here / there
                records.append(
                    {
                        "ensemble": ensemble, "network": network, "width": width, "rate": 1.0,
                        "law_of_samples": NAMES[law], "own_law": law == laws[0],
                        "E": E.round(-1).tolist(), "tau": tau.round(1).tolist(),
                        "P": {str(B): [float(f"{x:.3g}") for x in E + B * tau] for B in batches},
                    }
                )  # fmt: skip
    Path(out).write_text(json.dumps({"basis": basis, "predictions": records}, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
