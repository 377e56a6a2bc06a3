"""What noise does to drawn grammars, exactly: `python noise_denoising.py` writes validation/results/noise.

Sentences of (32, 8, 2) are noised and denoised by exact posteriors, for the calibrated channel and for the
epsilon-process: susceptibility, correlation length, and the chance that class and tokens change. Populations give
the belief in the right root of trees of 1..L levels, for the finite-size collapse. `--figures` draws what is
recorded.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

import rhmtheory as rt
from rhmtheory.plotting import new_figure
from rhmtheory.support.json import plain
from rhmtheory.support.provenance import provenance

OUT = Path(__file__).parents[1] / "results" / "noise"
V, M, S = 32, 8, 2
# the susceptibility of each process is looked at around its peak, the collapse around its threshold
NOISE = {
    "channel": [0.05, 0.1, 0.13, 0.155, 0.18, 0.205, 0.24, 0.3, 0.5],
    "epsilon": [0.5, 0.62, 0.67, 0.7, 0.72, 0.74, 0.765, 0.8, 0.88],
}
RANGE = {"channel": np.linspace(0.04, 0.4, 25), "epsilon": np.linspace(0.55, 0.9, 29)}
PUBLISHED_NU = 1.78


def denoise(process, L, grammars, samples):
    """Runs of some grammars, and what follows from their mean."""
    rhm = rt.RHM(v=V, m=M, s=S, L=L)
    runs = []
    for seed in range(grammars):
        found = rhm.grammar(seed=seed).denoised(NOISE[process], samples=samples, process=process, seed=seed)
        print(f"{process}, L = {L}, grammar {seed}: chi peaks at {found.peak:.3f}", flush=True)
        runs.append(found)
    names = ("changed", "susceptibility", "length", "covariance")
    row = {"process": process, "L": L, "grammars": grammars, "samples": samples, "noise": NOISE[process]}
    for name in names:
        values = np.array([getattr(run, name) for run in runs])
        # tokens that never change have no susceptibility
        with np.errstate(invalid="ignore"):
            row[name] = values.mean(axis=0)
            row[f"{name}_error"] = values.std(axis=0, ddof=1) / np.sqrt(grammars)
    chi = np.array([run.susceptibility for run in runs])
    row["peak"] = vars(rt.fitting.t_estimate([[run.peak for run in runs]]))
    row["peak_of_mean"] = NOISE[process][int(np.nanargmax(chi.mean(axis=0)))]
    row["class_changes_in_half"] = vars(rt.fitting.t_estimate([[half(run) for run in runs]]))
    return row


def half(run):
    """Noise at which the class changes in half of the sentences, between two noises."""
    return float(np.interp(0.5, np.maximum.accumulate(run.changed[:, -1]), run.noise))


def collapse(process, L, grammars, members):
    """Belief in the right root by depth, crossings of neighbouring depths, and how well exponents collapse them."""
    noise, rhm = RANGE[process], rt.RHM(v=V, m=M, s=S, L=L)
    alone = np.array(
        [
            rhm.grammar(seed=s).overlaps(noise, process=process, members=members, seed=s).alone
            for s in range(grammars)
        ]
    )
    print(f"{process}: populations of {grammars} grammars", flush=True)
    crossing = np.array([[cross(noise, one, depth) for depth in range(3, L)] for one in alone])
    row = {"process": process, "L": L, "grammars": grammars, "members": members, "noise": noise}
    row |= {"belief": alone.mean(axis=0).round(5), "belief_error": alone.std(axis=0, ddof=1) / np.sqrt(grammars)}
    row["crossings_of_depths"] = [
        vars(rt.fitting.t_estimate([x[~np.isnan(x)]])) | {"depths": [depth, depth + 1]}
        for depth, x in zip(range(3, L), crossing.T, strict=True)
        if (~np.isnan(x)).sum() > 2
    ]
    if process == "epsilon":
        expected = rhm.noise_transition()
        grid = np.linspace(1.5, 2.5, 201)
        each = np.array([[spread(noise, one, expected.belief, nu) for nu in grid] for one in alone])
        row["nu"] = vars(rt.fitting.t_estimate([grid[each.argmin(axis=1)]]))
        row["nu_of_map"], row["noise_of_map"] = expected.nu, expected.noise
        values = {"map": expected.nu, "published": PUBLISHED_NU, "best": row["nu"]["best"]}
        row["spread"] = {
            name: float(np.mean([spread(noise, one, expected.belief, nu) for one in alone]))
            for name, nu in values.items()
        }
        row["noise_star"] = vars(
            rt.fitting.t_estimate([[threshold(noise, one[:, -1], expected.belief) for one in alone]])
        )
    return row


def cross(noise, belief, depth):
    """Noise at which the curves of two neighbouring depths cross; NaN where they do not within the range."""
    gap = CubicSpline(noise, belief[:, depth + 1] - belief[:, depth])
    values = gap(noise)
    # from above, where both are near the belief of no information, down to the first change of sign
    signs = np.flatnonzero((values[:-1] > 0) & (values[1:] < 0))
    return brentq(gap, noise[signs[-1]], noise[signs[-1] + 1]) if len(signs) else np.nan


def threshold(noise, belief, level):
    """Noise at which a falling curve crosses a level."""
    return brentq(CubicSpline(noise, belief - level), noise[0], noise[-1])


def spread(noise, belief, level, nu, depths=(5, 6, 7, 8, 9)):
    """Root mean square scatter of the curves of several depths against (noise - eps*) s^(depth/nu)."""
    at = threshold(noise, belief[:, depths[-1]], level)
    x = np.linspace(-1.0, 1.0, 81)
    curves = [CubicSpline(noise, belief[:, k])(at + x / S ** (k / nu)) for k in depths]
    return float(np.sqrt(np.var(curves, axis=0).mean()))


def panels(count, width=4.6):
    """Return the axes of a figure, side by side."""
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, count, figsize=(width * count, 3.8), constrained_layout=True)
    return axes


def colour(i, count):
    """Return the colour of the i-th of several depths or levels, dark for the last."""
    from matplotlib import colormaps

    return colormaps["viridis_r"](0.15 + 0.85 * i / max(1, count - 1))


TITLES = {"channel": "calibrated channel", "epsilon": "ε-process"}


def draw(report, name):
    """Figures of what is recorded, one PNG each."""
    import matplotlib.pyplot as plt

    new_figure()  # the house style
    plt.close("all")
    rows = report["denoised"]
    sizes = sorted({row["L"] for row in rows})
    threshold_of_map = rt.RHM(v=V, m=M, s=S, L=2).noise_transition().noise

    def curves(figure, key, label, column=None):
        axes = panels(2)
        for ax, process in zip(axes, TITLES, strict=True):
            for i, L in enumerate(sizes):
                for row in rows:
                    if (row["process"], row["L"]) == (process, L):
                        y, error = (np.array(row[k], float) for k in (key, f"{key}_error"))
                        if column is not None:
                            y, error = y[:, column], error[:, column]
                        good = error < np.maximum(0.5 * np.abs(y), 0.02)
                        ax.errorbar(
                            np.array(row["noise"])[good], y[good], error[good], fmt="o-", ms=3, capsize=2,
                            color=colour(i, len(sizes)), label=f"L = {L}",
                        )  # fmt: skip
            if process == "epsilon":
                ax.axvline(threshold_of_map, color="0.6", lw=0.8, zorder=0)
                ax.annotate("ε*", (threshold_of_map, 0.02), xycoords=("data", "axes fraction"), ha="right")
            ax.set(title=TITLES[process], xlabel="noise ε of the tokens", ylabel=label)
            ax.legend(fontsize=8)
        axes[0].figure.savefig(OUT / f"{name}_{figure}.png", dpi=130)
        plt.close(axes[0].figure)

    curves("susceptibility", "susceptibility", "susceptibility χ")
    curves("length", "length", "correlation length (tokens)")
    curves("class", "changed", "probability that the class changes", column=-1)
    axes = panels(2)
    for ax, process in zip(axes, TITLES, strict=True):
        row = next(r for r in rows if (r["process"], r["L"]) == (process, sizes[-1]))
        changed = np.array(row["changed"])
        for level in range(sizes[-1] + 1):
            label = {0: "tokens", sizes[-1]: "class"}.get(level, f"level {level}")
            ax.plot(row["noise"], changed[:, level], "o-", ms=3, color=colour(level, sizes[-1] + 1), label=label)
        ax.set(
            title=f"{TITLES[process]}, L = {sizes[-1]}", xlabel="noise ε of the tokens", ylabel="share that changes"
        )
        ax.legend(fontsize=7)
    axes[0].figure.savefig(OUT / f"{name}_levels.png", dpi=130)
    plt.close(axes[0].figure)
    found = {row["process"]: row for row in report["collapse"]}
    axes = panels(3)
    for ax, process in zip(axes, TITLES, strict=False):
        noise, belief = np.array(found[process]["noise"]), np.array(found[process]["belief"])
        for depth in range(3, belief.shape[1]):
            ax.plot(noise, belief[:, depth], color=colour(depth - 3, belief.shape[1] - 3), label=f"{depth} levels")
        ax.set(title=TITLES[process], xlabel="noise ε of the tokens", ylabel="belief in the right root")
        ax.legend(fontsize=8)
    row = found["epsilon"]
    noise, belief, nu = np.array(row["noise"]), np.array(row["belief"]), row["nu_of_map"]
    for depth in range(3, belief.shape[1]):
        x = (noise - row["noise_star"]["best"]) * S ** (depth / nu)
        axes[2].plot(x, belief[:, depth], color=colour(depth - 3, belief.shape[1] - 3))
    axes[2].set(
        title=rf"ε-process, $\nu$ = {nu:.3f} of the map", xlabel=r"(ε - ε*) $s^{L/\nu}$", xlim=(-2, 2),
        ylabel="belief in the right root",
    )  # fmt: skip
    axes[0].figure.savefig(OUT / f"{name}_collapse.png", dpi=130)
    plt.close(axes[0].figure)


def main() -> None:
    """Record both processes for every depth, then draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--levels", type=int, nargs="+", default=[9, 7, 5], metavar="L")
    parser.add_argument("--grammars", type=int, default=4)
    parser.add_argument("--samples", type=int, nargs="+", default=[128, 256, 512], help="sentences, one per L")
    parser.add_argument("--members", type=int, default=128)
    parser.add_argument("--figures", action="store_true", help="draw what is recorded, and compute nothing")
    options = parser.parse_args()
    name = f"denoising_v{V}_m{M}_s{S}"
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.json"
    if not options.figures:
        report = {"shape": [V, M, S], "provenance": provenance(), "denoised": [], "collapse": []}
        for process in TITLES:
            report["collapse"].append(collapse(process, max(options.levels), options.grammars, options.members))
            path.write_text(json.dumps(plain(report), indent=1))
        for L, samples in zip(options.levels, options.samples, strict=True):
            for process in TITLES:
                report["denoised"].append(denoise(process, L, options.grammars, samples))
                path.write_text(json.dumps(plain(report), indent=1))
    draw(json.loads(path.read_text()), name)


if __name__ == "__main__":
    main()
