"""Transition of the noisy tree on drawn grammars: `python noise_transition.py` writes validation/results/noise.

For each grammar of (32, 8, 2), and each depth, the belief in the right root against the noise. The threshold of a
grammar is the noise at which its belief is the fixed point p* of the map; the slope there grows as s**(depth/nu).
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

import rhmtheory as rt
from rhmtheory.support.provenance import provenance

OUT = Path(__file__).parents[1] / "results" / "noise"


def thresholds(noise, belief, level):
    """Noise at which a falling curve crosses a level, and the slope there."""
    curve = CubicSpline(noise, belief)
    at = brentq(lambda x: curve(x) - level, noise[0], noise[-1])
    return at, -float(curve(at, 1))


def main() -> None:
    """Grammars by the centre of their curves: nu of the map, nu of each grammar, and of their mean curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=4, default=[32, 8, 2, 9], metavar=("V", "M", "S", "L"))
    parser.add_argument("--grammars", type=int, default=24)
    parser.add_argument("--members", type=int, default=192)
    options = parser.parse_args()
    v, m, s, L = options.shape
    rhm = rt.RHM(v=v, m=m, s=s, L=L)
    expected = rhm.noise_transition()
    noise = expected.noise + np.linspace(-0.05, 0.05, 21)
    found = []
    for seed in range(options.grammars):
        curves = rhm.grammar(seed=seed).overlaps(noise, process="epsilon", members=options.members, seed=seed)
        found.append(curves.alone)
        print(f"grammar {seed}: belief {curves.alone[10, -1]:.3f} at the threshold of the map", flush=True)
    beliefs = np.array(found)  # (grammars, noise, depth)
    depths = range(1, L + 1)
    each = np.array([[thresholds(noise, one[:, depth], expected.belief) for depth in depths] for one in beliefs])
    mean = np.array([thresholds(noise, beliefs.mean(axis=0)[:, depth], expected.belief) for depth in depths])
    first = 2  # depth 3, from which on the slopes grow evenly
    ln_s = (np.array(depths[first:]) - np.mean(depths[first:])) * np.log(s)
    rates = np.log(each[:, first:, 1]) @ ln_s / (ln_s @ ln_s)  # 1/nu of each grammar
    leave_one_out = []
    for i in range(len(beliefs)):
        rest = np.delete(beliefs, i, axis=0).mean(axis=0)
        slopes = [thresholds(noise, rest[:, depth], expected.belief)[1] for depth in depths[first:]]
        leave_one_out.append(float(np.log(slopes) @ ln_s / (ln_s @ ln_s)))
    rate = float(np.log(mean[first:, 1]) @ ln_s / (ln_s @ ln_s))
    pseudo = len(beliefs) * rate - (len(beliefs) - 1) * np.array(leave_one_out)
    report = {
        "shape": options.shape,
        "grammars": options.grammars,
        "members": options.members,
        "map": {"noise": expected.noise, "nu": expected.nu},
        "noise_star_of_grammars": vars(rt.fitting.t_estimate([each[:, -1, 0]])),
        "noise_star_spread": float(each[:, -1, 0].std(ddof=1)),
        "one_over_nu_of_grammars": vars(rt.fitting.t_estimate([rates])),
        "one_over_nu_of_mean_curve": vars(rt.fitting.t_estimate([pseudo])),
        "noise_star_of_mean_curve": mean[:, 0].tolist(),
        "slopes_of_mean_curve": mean[:, 1].tolist(),
        "noise": noise.tolist(),
        "mean_belief": beliefs.mean(axis=0).round(5).tolist(),
        "provenance": provenance(),
    }
    name = f"transition_v{v}_m{m}_s{s}_L{L}"
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(report, indent=1))
    for key in ("map", "noise_star_of_grammars", "one_over_nu_of_grammars", "one_over_nu_of_mean_curve"):
        print(key, report[key])


if __name__ == "__main__":
    main()
