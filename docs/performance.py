"""Write the page on performance from a benchmark: ``python docs/performance.py benchmark.json``.

The page says how the JSON is made; a benchmark made in parts has several. Beside the page, ``performance.md``, a
figure with the scaling plots is written, ``performance.svg``.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
PAGE = """# Performance

Measured on {cpu} ({cores} cores), Python {python}, on {date}.
Times are medians of {clock}
over the rounds of the benchmark. Other work ran on the machine, so that nothing here is time on a clock on the
wall. The page is written from the benchmark's output, which may come in parts, one after another:

```
pytest tests/benchmarks --benchmark-only --benchmark-timer=time.process_time --benchmark-json benchmark.json
python docs/performance.py benchmark.json ...
```

## Times

{times}

*At best on two cores* counts what runs in one thread and half of the rest: what one would wait on idle cores that
take nothing from each other. That was not seen here, where the cores were busy; no wait was measured.

Grammars are (v, m, s, L) = (32, 8, 2, 4) for posteriors and draws, (16, 4, 2, L) for the last token, (16, 4, 2, 20)
for the million tokens; (32, 8, 2, 10) for the plateaus, (32, 8, 2, 8) for exact entropies of all 256 tokens and
(32, 8, 2, 7) for estimates from 10000 contexts; (64, 8, 2, 20), (32, 8, 2, 10) and (32, 8, 2, 30) for covariance,
correlation function and moments.

## Networks against the published form

How many times faster a network is than its published form written plainly in PyTorch, on one-hot tokens
(convolutions; an einsum for the filters of the locally connected network; attention at every position of every
layer): the same numbers from the same weights, one thread, one process, the two in turns. A step is forward,
backward and SGD on a batch of 128; an evaluation is of 1024 sentences. Ensemble (16, 4, 2, 4); median of the
rounds' ratios, quartiles in parentheses.

{plain}

## Replicas and threads on a CPU

Processor time of a step per replica in milliseconds, batches of 128, by the number of replicas in a program and
of threads; all of a row in turns, medians. Ensembles (16, 4, 2, L); updates by AdamW for attention and decoder,
else by SGD.

{replicas}

{stacked}

Two threads of one product wait for each other, and spin; where other work has a core, most of their processor time
goes into that. What they save on idle cores was not measured. So programs run on one thread each, as many
at a time as there are cores.

A network's record in `rhmvalidation.networks.registry` says how many replicas train in one program unless a preset
says otherwise: four for networks of small layers, whose calls cost as much as their products; one for `attention`
and `decoder`, which gain a tenth or so from four, and then leave fewer programs to share out among the cores.

## How the cost grows

![Time per call against L, v, m and P, both axes logarithmic](performance.svg)

Exponents x of a fit time ~ value^x over the last points of each curve (up to {points}), both axes logarithmic.
Small cases are ruled by what a call costs in any case, so the first points are left out. The number of tokens
is s^L: costs that follow it are exponential in L, and their exponent rises with L.

{exponents}

## Where the time goes, and what was done about it

**Sampling.** A choice among N rules takes the upper half of word times N and leaves the lower half to the next
choice, so one 32-bit word of the counter-based generator serves several nodes, exactly uniformly: words that
would bias are refused for all their choices at once. Several levels are expanded by one look-up in a table that
fits the cache. At (32, 8, 2, 3) a sentence is one word and three look-ups. Levels of unequal rules take a step
each, and a second word by the alias method.

**Last token.** Complete subtrees before the token are read off by parent look-up. Contexts with the same belief
about a node of the path to the token, and the same left siblings there, have the same belief about the next
node: each is computed once in a block of contexts. Everything else is done by the sum-product.

**Entropies of all tokens.** The number of distinct beliefs grows with depth, sevenfold a level at (32, 8, 2):
wherever the path to a token turns to a first child nothing is observed, and what is seen later weighs more and
more mixtures apart. Two things save work. The children of a node have together the entropy of its symbol and
its rule, so the last child needs no evaluation. And the last two levels are evaluated from the beliefs two
levels above, without keeping or joining those between. The exponential growth stays: it is the number of
distinct conditional laws of a hidden Markov chain, for whose entropy no closed form is known. Beyond that
depth, `estimate_plateaus` estimates with a standard error.

**A check on ratios.** `python tests/benchmarks/ratios.py` compares fast forms with plain forms of the same work
in one run, by processor time, and fails where a ratio leaves a wide band. It is part of `.ci/run`.
"""


STACKED = ", plain, by torch.func"


def table(head, rows):
    """A Markdown table; the first column to the left, numbers to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def plain_table(benchmarks):
    """Ratios of the plain published form to ours."""
    rows = []
    for info in of_table(benchmarks, "plain"):
        ratios = ["{1:.2f} ({0:.2f} to {2:.2f})".format(*info["ratios"][what]) for what in ("step", "evaluation")]
        rows.append([info["network"], *ratios, str(info["rounds"])])
    return table(["network", "step", "evaluation", "rounds"], rows)


def replica_table(benchmarks):
    """Milliseconds of a step per replica, by number of replicas and threads."""
    found = [row for info in of_table(benchmarks, "replicas") for row in info["rows"]]
    columns = sorted({(threads, replicas) for _, replicas, threads, _ in found})
    times = {(name, threads, replicas): quartiles[1] for name, replicas, threads, quartiles in found}
    rows = [
        [name, *(f"{1e3 * times[name, *column]:.3g}" if (name, *column) in times else "" for column in columns)]
        for name in dict.fromkeys(name for name, *_ in found)
    ]
    head = [
        f"{count(replicas, 'replica')}{f', {threads} threads' * (threads > 1)}" for threads, replicas in columns
    ]
    return table(["network", *head], rows)


def stacked_sentences(benchmarks):
    """How the plain form stacked by torch.func does beside ours, in the same run."""
    found = [row for info in of_table(benchmarks, "replicas") for row in info["rows"]]
    times = {(name, replicas): quartiles[1] for name, replicas, threads, quartiles in found if threads == 1}
    ratios = defaultdict(list)
    for (name, replicas), seconds in times.items():
        network = name.removesuffix(STACKED)
        if network != name:
            ratios[network].append(f"{seconds / times[network, replicas]:.1f} ({replicas})")
    return "\n".join(
        f"For {network} the plain form stacked by `torch.func` (`stack_module_state`, `vmap`) takes so many "
        f"times as long\nas ours (number of replicas in parentheses): {', '.join(listed)}."
        for network, listed in ratios.items()
    )


def of_table(benchmarks, name):
    """Extra information of the benchmarks that belong to a table of their own."""
    return [b["extra_info"] for b in benchmarks if b["extra_info"].get("table") == name]


def count(n, noun):
    """A number with its noun."""
    return f"{n} {noun}{'s' * (n != 1)}"


def in_words(seconds):
    """A time with three digits and a unit."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1 or unit == "µs":
            return f"{seconds * factor:.3g} {unit}"
    raise AssertionError


def curves(benchmarks):
    """Points (value, median seconds) by what is measured and against what."""
    out = defaultdict(list)
    for b in benchmarks:
        info = b["extra_info"]
        if "curve" in info:
            out[info["curve"], info["against"]].append((info["value"], b["stats"]["median"]))
    return {key: np.array(sorted(points), float) for key, points in out.items()}


def exponent(points, last):
    """Slope of the last points, both axes logarithmic."""
    x, y = np.log(points[-last:]).T
    return float(np.polyfit(x, y, 1)[0])


def draw(found, path):
    """One panel for each of L, v, m and P."""
    panels = list(dict.fromkeys(against for _, against in found))
    names = list(dict.fromkeys(name for name, _ in found))
    # text stays text, and the file is the same for the same numbers
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "performance"}):
        figure = Figure(figsize=(4 * len(panels), 3.6), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, against in zip(axes, panels, strict=True):
            for i, name in enumerate(names):
                if (name, against) in found:
                    ax.loglog(*found[name, against].T, "o-", color=f"C{i}", label=name)
            ax.set(xlabel=against, title=f"against {against}")
            values = sorted({x for name in names if (name, against) in found for x in found[name, against][:, 0]})
            ax.set_xticks(values, labels=[f"{x:g}" for x in values])
            ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
            ax.grid(alpha=0.3)
        axes[0].set_ylabel("median of a call (s)")
        handles = {label: h for ax in axes for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, metadata={"Date": None})


CLOCKS = {
    "process_time": "processor time, that of all threads together (on k idle cores one waits down to a kth of it)",
    "perf_counter": "wall-clock time, with what else ran on the machine",
}


def main(paths, folder=HERE, last=3):
    """Write the page and its figure into a folder; what two parts have measured is taken from the later one."""
    parts = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    data, benchmarks = parts[-1], list({b["fullname"]: b for part in parts for b in part["benchmarks"]}.values())
    found = curves(benchmarks)
    machine = data["machine_info"]
    times = []
    for b in benchmarks:
        if not {"curve", "table"} & set(b["extra_info"]):
            notes = "; ".join(f"{key}: {value:.3g}" for key, value in b["extra_info"].items())
            name = b["name"].removeprefix("test_").replace("_", " ").replace("|", "\\|")
            times.append([name, in_words(b["stats"]["median"]), str(b["stats"]["rounds"]), notes])
    against = list(dict.fromkeys(x for _, x in found))
    rows = [
        [name, *(f"{exponent(found[name, x], last):.2f}" if (name, x) in found else "" for x in against)]
        for name in dict.fromkeys(name for name, _ in found)
    ]
    draw(found, Path(folder) / "performance.svg")
    page = PAGE.format(
        cpu=machine["cpu"].get("brand_raw", machine["machine"]),
        cores=machine["cpu"].get("count", "?"),
        python=machine["python_version"],
        clock=CLOCKS[benchmarks[0]["options"]["timer"]],
        date=data["datetime"][:10],
        times=table(["what", "median", "rounds", "rates"], times),
        plain=plain_table(benchmarks),
        replicas=replica_table(benchmarks),
        stacked=stacked_sentences(benchmarks),
        points=last,
        exponents=table(["what", *against], rows),
    )
    (Path(folder) / "performance.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
