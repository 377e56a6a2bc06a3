"""Tables and figure from the records in validation/results/beyond.

`python beyond_summary.py` writes summary.txt and beyond.png there.
"""

import json
from collections import defaultdict
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from rhmtheory.fitting.intervals import Estimate, t_estimate
from rhmtheory.fitting.levels import crossing
from rhmvalidation import report

FOLDER = Path(__file__).parents[1] / "results" / "beyond"
LADDER = ((8, 2), (12, 3), (16, 4), (20, 5), (24, 6))
LAWS = {  # name: target j, context i and level of the tuples, of level k; tuples of tokens but in the last
    "bare token (the law)": lambda k: (0, 0, 1),
    "residual of the token": lambda k: (0, k, 1),
    "spine symbol $h_{k-1}$": lambda k: (k - 1, 0, 1),
    "residual of $h_{k-1}$": lambda k: (k - 1, k, 1),
    "residual of the token, sharing": lambda k: (0, k, k),
}
LINES = (
    ("#000000", "-"),
    ("#E69F00", "--"),
    ("#0072B2", ":"),
    ("#009E73", "-."),
    ("#D55E00", (0, (3, 1, 1, 1, 1, 1))),
)
STYLES = dict(zip(LAWS, LINES, strict=True))


def interval(values: np.ndarray) -> Estimate:
    """Geometric mean with a 95% t interval of the mean logarithm; NaN where a grammar did not cross."""
    return t_estimate([np.log(values)]).exp()


def exact() -> dict[tuple[tuple[int, ...], int, str], np.ndarray]:
    """Thresholds of single grammars by ensemble, level and law."""
    records = json.loads((FOLDER / "exact.json").read_text())["records"]
    found = {
        (tuple(r["rhm"]), r["k"], r["target"], r["context"], r["tuple_level"]): np.array(r["noise"]) / r["signal"]
        for r in records
    }
    sizes = {(rhm, k) for rhm, k, *_ in found}
    return {(rhm, k, name): found[rhm, k, *law(k)] for rhm, k in sizes for name, law in LAWS.items()}


def crossings_in(record: str) -> dict[tuple[str, int, int, int], np.ndarray]:
    """P* of single grammars by condition, v, m and step: the best loss halfway from one ideal loss to the next."""
    runs = defaultdict(dict)
    for line in (FOLDER / record).read_text().splitlines():
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
    for line in (FOLDER / "clustering.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if "task" in entry:
            t = entry["task"]
            key = t["rhm"], t["targets"], t["sharing"], t["criterion"], t["level"]
            found[key][t["seed"]] = entry["samples"] or np.nan
    return {key: np.array([x for _, x in sorted(by_seed.items())]) for key, by_seed in found.items()}


def recorded_networks() -> dict[tuple[str, tuple[int, ...]], tuple[list[int], np.ndarray]]:
    """Seeds and P* of single grammars, (grammars, L), of the networks in results/offline; NaN where censored."""
    found = {}
    for m in report(FOLDER.parent / "offline").study.measurements:
        rhm = m.curves.rhm
        seeds = [int(name.removeprefix("seed ")) for name in m.units.names]
        stars = np.where(m.units.late, np.nan, np.exp(m.units.ln_P))
        found[m.curves.label, (rhm.v, rhm.m, rhm.s, rhm.L)] = seeds, stars
    return found


def show(name: str, low: np.ndarray | None, high: np.ndarray) -> None:
    """One line: the threshold, and the factor to it from the one before, by grammar."""
    factor = "" if low is None else f"   factor {interval(high / low)}"
    print(f"  {name:58}{interval(high)}{factor}   n = {len(high)}")


def tables() -> None:
    """All thresholds with 95% intervals over grammars."""
    laws, nets, learner = exact(), crossings_in("networks.jsonl"), clustering()
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
    for record in ("learners.jsonl", "networks.jsonl"):
        print(f"{record}: from losses")
        found = crossings_in(record)
        for condition, v, m, step in sorted(found):
            low = found.get((condition, v, m, step - 1))
            show(f"({v}, {m}, 2, 3) {condition}, step {step}", low, found[condition, v, m, step])
    print("(12, 3, 2, 3), networks with the rest of the sentence and without it, grammar by grammar")
    alone = [nets[f"level-{k}-alone", 12, 3, 0] for k in (1, 2)]
    whole = [nets["whole", 12, 3, k] for k in (1, 2)]
    show("alone, level 2 over level 1", None, alone[1] / alone[0])
    show("level 1, whole sentence over alone", None, whole[0] / alone[0])
    show("level 2, whole sentence over alone", None, whole[1] / alone[1])
    show("factor of whole sentence over factor of alone", None, whole[1] / whole[0] * alone[0] / alone[1])
    print("(12, 3, 2, 3), over the exact thresholds of the same grammars; correlation of the logarithms at k = 2")
    for name in LAWS:
        exact_1, exact_2 = (laws[(12, 3, 2, 3), k, name][: len(whole[0])] for k in (1, 2))
        show(f"exact: {name}", exact_1, exact_2)
        for seen, (low, high) in (("alone", alone), ("whole", whole)):
            r = np.corrcoef(np.log(high), np.log(exact_2))[0, 1]
            ratios = f"k = 1: {interval(low / exact_1)}   k = 2: {interval(high / exact_2)}"
            print(f"    {seen:10}{ratios}   correlation {r:.2f}")


def prefactors() -> None:
    """Networks that see the whole sentence, over the exact thresholds of the same grammars, level by level."""
    laws = exact()
    for (label, rhm), (seeds, stars) in sorted(
        recorded_networks().items(), key=lambda item: (item[0][1], item[0][0])
    ):
        print(f"{label} on fixed training sets, (v, m, s, L) = {rhm}: P*, and P* over the exact thresholds")
        for k in range(1, rhm[3]):
            known = ~np.isnan(stars[:, k])
            if known.sum() < 3:
                continue
            mine = stars[known, k]
            print(f"  k = {k}: {interval(mine)}   n = {known.sum()}")
            for name in LAWS:
                print(f"    over {name:30}{interval(mine / laws[rhm, k, name][np.array(seeds)[known]])}")


def figure() -> None:
    """Factor P_2 / P_1 against m at f = 1/4, three levels: what each target would give, and what is measured."""
    laws, nets, learners = exact(), crossings_in("networks.jsonl"), crossings_in("learners.jsonl")
    fig = Figure(figsize=(7.5, 4.8), layout="constrained")
    ax = fig.subplots()
    ms = [m for _, m in LADDER]
    for name, (color, style) in STYLES.items():
        factors = [interval(laws[(v, m, 2, 3), 2, name] / laws[(v, m, 2, 3), 1, name]).best for v, m in LADDER]
        ax.plot(ms, factors, ls=style, color=color, label=f"exact: {name}")
    m = 3
    points = {
        f"clustering learner, {which} targets": (marker, {m: learners[name, 12, m, 2] / learners[name, 12, m, 1]})
        for name, which, marker in (("token", "bare", "s"), ("spine", "effective", "D"))
    }
    points |= {
        "LCN, one sibling seen, no context": (
            "^", {m: nets["level-2-alone", 12, m, 0] / nets["level-1-alone", 12, m, 0]}
        ),
    }  # fmt: skip
    recorded = recorded_networks()
    for network, marker in (("lcn", "o"), ("cnn", "P")):
        ratios = {
            m: stars[:, 2] / stars[:, 1]
            for (label, (_, m, _, L)), (_, stars) in recorded.items()
            if label == network and L == 3
        }
        points[f"{network.upper()}, whole sentence"] = (
            marker,
            {m: x[~np.isnan(x)] for m, x in sorted(ratios.items())},
        )
    colors = ("#56B4E9", "#0072B2", "#CC79A7", "#D55E00", "#000000")
    for i, ((label, (marker, by_m)), color) in enumerate(zip(points.items(), colors, strict=True)):
        fits = [interval(ratios) for ratios in by_m.values()]
        best = np.array([fit.best for fit in fits])
        bars = [best - [fit.low for fit in fits], [fit.high for fit in fits] - best]
        x = np.array(list(by_m)) * 1.02 ** (i - 2)
        ax.errorbar(x, best, bars, fmt=marker, color=color, label=label, capsize=3)
    ax.set(xscale="log", yscale="log", xlabel="m (v = 4m)", ylabel="factor $P_2 / P_1$")
    ax.set_xticks(ms, [str(m) for m in ms])
    ax.minorticks_off()
    ticks = [3, 5, 10, 20, 40]
    ax.set_yticks(ticks, [str(x) for x in ticks])
    ax.set_ylim(2.4, 75)
    ax.legend(fontsize="small", ncols=2, loc="upper left")
    fig.savefig(FOLDER / "beyond.png", dpi=150)


if __name__ == "__main__":
    with (FOLDER / "summary.txt").open("w") as file, redirect_stdout(file):
        tables()
        prefactors()
    figure()
