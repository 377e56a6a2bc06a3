"""What a GPU is good for, in ten minutes: tests, one against twenty replicas, and decoder and attention at m = 4.

`python gpu.py OUT` runs the training tests on the device, times a step of each network alone and as twenty
replicas, and trains the preset `bills-gpu` into OUT/bills-gpu until ten minutes are over. The rest goes on
with `rhmtheory study bills-gpu --out OUT/bills-gpu`. OUT/gpu.json holds the figures. A dry run takes
`--device cpu --preset quick --batch 32 --seconds 60`.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import rhmvalidation as rv
from rhmtheory.support.provenance import provenance
from rhmvalidation.studies.preset import Preset, load_preset
from rhmvalidation.studies.report import report

TESTS = [f"tests/validation/test_{name}.py" for name in ("trainer", "training", "models", "repeats")]
REPLICAS = 20
TEST_SHARE, LEFT_FOR_REPORT = 0.3, 20.0
ROOT = Path(__file__).parents[2]


def run(command: list[str], seconds: float) -> dict[str, object]:
    """Run a command, ended softly after some seconds; return its last words and exit code, None if it was ended."""
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    code = None
    try:
        said, _ = process.communicate(timeout=max(seconds, 1.0))
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            said, _ = process.communicate(timeout=LEFT_FOR_REPORT)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
    return {"code": code, "seconds": round(time.monotonic() - start, 1), "said": said[-2000:]}


def replicas(preset: Preset, device: str, batch: int) -> list[dict[str, object]]:
    """Seconds of one step of each network with one replica, and with twenty."""
    out = []
    for sweep in preset.select(batch=batch).sweeps:
        row: dict[str, object] = {"network": str(sweep.network), "batch": batch}
        steps = []
        for count in (1, REPLICAS):
            together = replace(sweep, seeds=tuple(range(count)), run_seeds=1, replicas=count)
            (program,) = rv.plan(replace(preset, sweeps=(together,)), device, workers=1).programs
            steps.append(1e3 * program["seconds"] / program["steps"])
            row[f"step of {count} (ms)"] = steps[-1]
            row[f"memory of {count} (MiB)"] = program["memory_MiB"]
        row["gain"] = REPLICAS * steps[0] / steps[1]
        out.append(row)
    return out


def main() -> None:
    """Run all parts, and write what they gave after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--preset", default="bills-gpu")
    parser.add_argument("--batch", type=int, default=512, help="at which steps are timed")
    parser.add_argument("--seconds", type=float, default=600.0)
    given = parser.parse_args()
    end = time.monotonic() + given.seconds - LEFT_FOR_REPORT
    given.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, object] = provenance(("rhmtheory", "torch")) | {"device": given.device}

    def keep(name: str, value: object) -> None:
        found[name] = value
        (given.out / "gpu.json").write_text(json.dumps(found, indent=1))
        print(name, json.dumps(value, indent=1), flush=True)

    tests = [sys.executable, "-m", "pytest", "-q", "-x", *TESTS]
    keep("tests", run(tests, TEST_SHARE * given.seconds))
    keep("replicas", replicas(load_preset(given.preset), given.device, given.batch))
    folder = (given.out / given.preset).resolve()
    command = [
        sys.executable,
        "-m",
        "rhmtheory",
        "study",
        given.preset,
        "--out",
        str(folder),
        "--device",
        given.device,
    ]
    keep("study", run([*command, "--workers", "1"], end - time.monotonic()))
    if any(folder.glob("runs/*.json")):
        made = report(folder)
        made.write()
        print(made)


if __name__ == "__main__":
    main()
