"""Tables and figure from the records of this folder: `python summary.py > summary.txt` writes beyond.png, too."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student

from rhmtheory.fitting.slopes import crossing

Ensemble = tuple[int, int]
LADDER = ((8, 2), (12, 3), (16, 4), (20, 5), (24, 6))
LAWS = {  # name: target j and context i of level k, tuples of tokens
    "bare token (the law)": lambda k: (0, 0),
    "residual of the token": lambda k: (0, k),
    "spine symbol $h_{k-1}$": lambda k: (k - 1, 0),
    "residual of $h_{k-1}$": lambda k: (k - 1, k),
}
STYLES = dict(zip(LAWS, (("#000000", "-"), ("#E69F00", "--"), ("#0072B2", ":"), ("#009E73", "-.")), strict=True))


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Geometric mean with a 95% t interval of the mean logarithm; NaN where a grammar did not cross."""
    x = np.log(values)
    half = student.ppf(0.975, len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5
    return tuple(float(np.exp(y)) for y in (x.mean(), x.mean() - half, x.mean() + half))


def exact() -> dict[tuple[tuple[int, ...], int, str], np.ndarray]:
    """Thresholds of single grammars by ensemble, level and law."""
    records = json.loads(Path("exact.json").read_text())["records"]
    found = {
        (tuple(r["rhm"]), r["k"], r["target"], r["context"]): np.array(r["noise"]) / r["signal"]
        for r in records
        if r["tuple_level"] == 1
    }
    sizes = {(rhm, k) for rhm, k, _, _ in found}
    return {(rhm, k, name): found[rhm, k, *law(k)] for rhm, k in sizes for name, law in LAWS.items()}


def networks() -> dict[tuple[str, int, int, int], np.ndarray]:
    """P* of single grammars by condition, v, m and step: the best loss halfway from one ideal loss to the next."""
    runs = defaultdict(dict)
    for line in Path("networks.jsonl").read_text().splitlines():
        r = json.loads(line)
        if "condition" in r:
            runs[r["condition"], r["v"], r["m"]].setdefault(r["seed"], {})[r["P"]] = r
    out = {}
    for key, grammars in runs.items():
        for step in range(len(next(iter(next(iter(grammars.values())).values()))["ideal"]) - 1):
            stars = []
            for _, points in sorted(grammars.items()):
                P, ideal = sorted(points), next(iter(points.values()))["ideal"]
                middle = (ideal[step] + ideal[step + 1]) / 2
                stars.append(crossing(P, [points[p]["loss"] for p in P], middle))
            out[*key, step] = np.array(stars)
    return out


def clustering() -> dict[tuple[str, str, bool, str, int], np.ndarray]:
    """P* of single grammars by ensemble, targets, sharing, criterion and level."""
    found = defaultdict(dict)
    for line in Path("clustering.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if "task" in entry:
            t = entry["task"]
            key = t["rhm"], t["targets"], t["sharing"], t["criterion"], t["level"]
            found[key][t["seed"]] = entry["samples"] or np.nan
    return {key: np.array([x for _, x in sorted(by_seed.items())]) for key, by_seed in found.items()}


def show(name: str, low: np.ndarray | None, high: np.ndarray) -> None:
    """One line: the threshold, and the factor to it from the one before, by grammar."""
    text = "{:.3g} [{:.3g}, {:.3g}]"
    factor = "" if low is None else "   factor " + text.format(*interval(high / low))
    print(f"  {name:58}{text.format(*interval(high))}{factor}   n = {len(high)}")


def tables() -> None:
    """All thresholds with 95% intervals over grammars."""
    laws, nets, learner = exact(), networks(), clustering()
    for rhm in sorted({rhm for rhm, _, _ in laws}):
        print(f"(v, m, s, L) = {rhm}: exact thresholds signal = noise")
        for name in LAWS:
            for k in range(1, rhm[3]):
                low = laws[rhm, k - 1, name] if k > 1 else None
                show(f"{name}, k = {k}", low, laws[rhm, k, name])
    print("clustering learner")
    for key in sorted(learner):
        rhm, targets, sharing, criterion, level = key
        how = "sharing" if sharing else "no sharing"
        show(
            f"{rhm[3:]} {targets}, {how}, {criterion}, k = {level}",
            learner.get((*key[:3], "symbols" if sharing else criterion, level - 1)) if level > 1 else None,
            learner[key],
        )
    print("networks")
    for condition, v, m, step in sorted(nets):
        low = nets.get((condition, v, m, step - 1))
        show(f"({v}, {m}, 2, 3) {condition}, step {step}", low, nets[condition, v, m, step])


def figure() -> None:
    """Factor P_2 / P_1 against m at f = 1/4, three levels: what each target would give, and what is measured."""
    laws, nets, learner = exact(), networks(), clustering()
    fig = Figure(figsize=(7.5, 4.8), layout="constrained")
    ax = fig.subplots()
    ms = [m for _, m in LADDER]
    for name, (color, style) in STYLES.items():
        factors = [interval(laws[(v, m, 2, 3), 2, name] / laws[(v, m, 2, 3), 1, name])[0] for v, m in LADDER]
        ax.plot(ms, factors, style, color=color, label=f"exact: {name}")
    points = defaultdict(list)
    for v, m in LADDER:
        rhm = f"RHM(v={v}, m={m}, s=2, L=3)"
        for targets, marker in (("token", "s"), ("spine", "D")):
            key = rhm, targets, False, "tuples"
            if (*key, 2) in learner:
                points[f"clustering, targets: {targets}", marker, "#56B4E9"].append(
                    (m, learner[*key, 2] / learner[*key, 1])
                )
        if ("whole", v, m, 2) in nets:
            points["LCN, whole sentence", "o", "#D55E00"].append(
                (m, nets["whole", v, m, 2] / nets["whole", v, m, 1])
            )
        if ("level-2-alone", v, m, 0) in nets and ("level-1-alone", v, m, 0) in nets:
            ratio = nets["level-2-alone", v, m, 0] / nets["level-1-alone", v, m, 0]
            points["LCN, one sibling seen and no context", "^", "#CC79A7"].append((m, ratio))
    for i, ((label, marker, color), values) in enumerate(points.items()):
        fits = np.array([interval(x) for _, x in values])
        x = np.array([m for m, _ in values]) + 0.05 * (i - 1.5)
        ax.errorbar(
            x, fits[:, 0], np.abs(fits[:, 1:] - fits[:, :1]).T, fmt=marker, color=color, label=label, capsize=3
        )
    ax.set(xscale="log", yscale="log", xlabel="m (v = 4m)", ylabel="factor $P_2 / P_1$")
    ax.set_xticks(ms, [str(m) for m in ms])
    ax.minorticks_off()
    ticks = [3, 5, 10, 20, 40]
    ax.set_yticks(ticks, [str(x) for x in ticks])
    ax.legend(fontsize="small")
    fig.savefig("beyond.png", dpi=150)


if __name__ == "__main__":
    tables()
    figure()
