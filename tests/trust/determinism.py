"""The same seed gives the same result, whatever the threads, processes, shards and replicas.

    python tests/trust/determinism.py --write docs/trust/determinism.json

Frozen values are those of ``tests/data/make_reference.py``: samplers, learner, estimates and exact computations.
They are computed in processes of their own with other numbers of threads and other hash seeds, and compared byte
for byte. Training is compared between one process and two, shards and the whole (same bytes), between replicas and
runs on their own, and on one and two threads (within `TOLERANCE`, since sums run in another order).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MAKE = ROOT / "tests" / "data" / "make_reference.py"
FROZEN = ROOT / "tests" / "data" / "reference.json"
TOLERANCE = 1e-4
"""Of losses, relative, where sums run in another order."""
PRESET = """
summary = "small runs of all kinds"
[[sweep]]
network = "cnn"
arguments = { width = 16 }
ensemble = { v = 4, m = 2, s = 2, L = 2 }
grammars = 3
samples = { lowest = 16, highest = 128, per_octave = 1 }
training = { learning_rate = 1.0, max_steps = 60, test_size = 256, batch_size = 32 }
[[sweep]]
network = "lcn"
arguments = { width = 16 }
ensemble = { v = 4, m = 2, s = 2, L = 2 }
grammars = 3
samples = { highest = 3200 }
training = { learning_rate = 1.0, protocol = "online", batch_size = 32 }
[[sweep]]
network = "decoder"
ensemble = { v = 4, m = 2, s = 2, L = 2 }
grammars = 3
samples = { highest = 3200 }
[sweep.arguments]
width = 16
heads = 2
[sweep.training]
learning_rate = 1e-3
optimiser = "adamw"
protocol = "online"
batch_size = 32
"""


@dataclass(frozen=True)
class Row:
    """What was compared, how often, how often it differed, and the largest relative difference of losses."""

    what: str
    tried: int
    failed: int
    largest: float = 0.0


def reference(**environment: str) -> dict[str, Any]:
    """All values that are frozen, computed anew in a process of its own."""
    told = subprocess.run(
        [sys.executable, str(MAKE)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    groups = json.loads(told)
    return groups["drawn"] | groups["computed"]


def of_reference() -> Iterator[Row]:
    """Frozen values, and the same on other numbers of threads."""
    one = reference(NUMBA_NUM_THREADS="1")
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    drawn = frozen["drawn"]
    yield Row("frozen draws, byte for byte", len(drawn), sum(one[name] != value for name, value in drawn.items()))
    for threads in ("2", "3", "7"):
        other = reference(NUMBA_NUM_THREADS=threads, OPENBLAS_NUM_THREADS="1", PYTHONHASHSEED=threads)
        failed = sum(one[name] != other[name] for name in one)
        yield Row(f"draws and computed values on 1 and on {threads} threads, byte for byte", len(one), failed)


def of_training() -> Iterator[Row]:
    """Runs of small networks, trained in several ways; this process must keep to one thread."""
    import torch

    from rhmvalidation.studies import execution, preset
    from rhmvalidation.studies import folder as results
    from rhmvalidation.studies.programs import train_runs

    cpu = torch.device("cpu")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        (path / "small.toml").write_text(PRESET)
        loaded = preset.load_preset(path / "small.toml")
        runs = loaded.runs()

        def outcomes(folder: Path, workers: int = 1, shards: int = 1) -> list[Any]:
            kept = results.ResultFolder.open(folder, loaded)
            for i in range(1, shards + 1):
                programs = execution.groups(loaded, execution.Shard(i, shards))
                execution.execute(programs, kept, cpu, workers=workers)
            return [kept.load(run) for run in runs]

        one = outcomes(path / "one")
        for what, others in {
            "runs in one process and in two, byte for byte": outcomes(path / "two", workers=2),
            "runs of the whole and of its three shards, byte for byte": outcomes(path / "shards", shards=3),
            "runs trained a second time, byte for byte": outcomes(path / "again"),
        }.items():
            yield compared(what, one, others, tolerance=0)
        alone = [train_runs([run], cpu)[0] for run in runs]
        yield compared(f"runs as replicas and alone, within {TOLERANCE:g}", one, alone, TOLERANCE)
        torch.set_num_threads(2)
        try:
            threads = outcomes(path / "threads")
        finally:
            torch.set_num_threads(1)
        yield compared(f"runs on one thread and on two, within {TOLERANCE:g}", one, threads, TOLERANCE)


def compared(what: str, some: list[Any], others: list[Any], tolerance: float) -> Row:
    """Whole learning curves and best losses of runs, pair by pair."""
    differences = []
    for a, b in zip(some, others, strict=True):
        losses = [(a.best_loss, b.best_loss), *((x, y) for (_, x), (_, y) in zip(a.curve, b.curve, strict=False))]
        same = [step for step, _ in a.curve] == [step for step, _ in b.curve] and a.diverged == b.diverged
        differences.append(max(abs(x - y) / abs(x) for x, y in losses) if same else float("inf"))
    return Row(what, len(differences), sum(d > tolerance for d in differences), max(differences))


def figures(rows: list[Row], path: Path) -> dict[str, Any]:
    """What was tried and what differed, ready for JSON."""
    from trust.origin import origin

    return {
        "title": "Same seed, same result",
        "command": f"python tests/trust/determinism.py --write {path}",
        "provenance": origin("numpy", "numba", "torch"),
        "rows": [{"what": row.what, "tried": row.tried, "failed": row.failed} for row in rows],
        "notes": [
            f"Largest relative difference of a loss, {row.what.split(',')[0]}: {row.largest:.1e}."
            for row in rows
            if "within" in row.what
        ],
    }


def main() -> None:
    """Compare, show, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="Write the figures to this JSON file.")
    given = parser.parse_args()
    rows = []
    for part in (of_reference, of_training):
        for row in part():
            print(f"{row.tried:5d} tried {row.failed:4d} differed  {row.what} ({row.largest:.1e})", flush=True)
            rows.append(row)
    if given.write:
        found = figures(rows, given.write)
        given.write.parent.mkdir(exist_ok=True, parents=True)
        given.write.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(any(row.failed for row in rows))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    main()
