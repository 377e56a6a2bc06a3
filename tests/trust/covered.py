"""Which lines of both packages the tests run, kernels seen from inside.

    python tests/trust/covered.py --write docs/trust/coverage.json

Needs the extra ``trust``. Two runs of the tests are added up. In the first nothing is compiled
(``NUMBA_DISABLE_JIT=1``), so that lines of kernels count: the tests in `PLAIN`, which compare kernels with naive
twins. In the second everything is compiled and all other tests run, the large ones among them. A kernel's lines
count in the first run alone. Commands, worker processes and what they start are counted, too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = {"rhmtheory": ROOT / "rhmtheory", "rhmvalidation": ROOT / "validation" / "rhmvalidation"}
PLAIN = [f"tests/test_{name}.py" for name in ("properties", "tuples", "sampling", "inference", "entropy", "pairs")]
SETTINGS = """
[run]
source = {source}
data_file = {data}
concurrency = thread, multiprocessing
parallel = true
patch = subprocess
sigterm = true
"""


def parts() -> dict[str, tuple[list[str], dict[str, str]]]:
    """What pytest is given in each part of the run, and what its environment says."""
    from trust import uncompiled

    elsewhere = [option for path in (*PLAIN, "tests/validation") for option in ("--ignore", path)]
    return {
        "plain": ([*PLAIN, *uncompiled.OPTIONS], {"NUMBA_DISABLE_JIT": "1"}),
        "large": (uncompiled.LARGE, {}),
        "theory": (["tests", "rhmtheory", *elsewhere], {}),
        "networks": (["tests/validation"], {}),
    }


def main() -> None:
    """Run, add up, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="Write the figures to this JSON file.")
    parser.add_argument("--missing", action="store_true", help="Show the lines that were never run.")
    parser.add_argument("--keep", type=Path, help="Keep the data in this folder, and add to what lies there.")
    parser.add_argument("--parts", nargs="*", default=list(parts()), choices=list(parts()), help="Run these parts.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = (given.keep or Path(name)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        found = measure(folder, given.parts)
    if given.missing:
        for path, entry in found["files"].items():
            if entry["missing_lines"]:
                print(path, *entry["missing_lines"])
    result = figures(found, str(given.write))
    for row in result["rows"]:
        print(f"{row['tried']:5d} lines {row['failed']:4d} never run  {row['what']}")
    print(result["notes"][0])
    if given.write:
        given.write.parent.mkdir(exist_ok=True, parents=True)
        given.write.write_text(json.dumps(result, indent=1) + "\n")


def measure(folder: Path, wanted: list[str]) -> dict[str, Any]:
    """Run the tests under coverage; what its report says of each file. A test that fails ends it all."""
    settings = folder / "coveragerc"
    source = "".join(f"\n  {path}" for path in PACKAGES.values())
    settings.write_text(SETTINGS.format(source=source, data=folder / "data"))
    for part in wanted:
        tests, environment = parts()[part]
        coverage(settings, "run", "-m", "pytest", "-p", "no:cacheprovider", *tests, **environment)
    coverage(settings, "combine", "--keep", "--quiet")
    report = folder / "coverage.json"
    coverage(settings, "json", "--quiet", "-o", str(report))
    return json.loads(report.read_text())


def coverage(settings: Path, *command: str, **environment: str) -> None:
    """Call the library's command line."""
    name, *arguments = command
    subprocess.run(
        [sys.executable, "-m", "coverage", name, "--rcfile", str(settings), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'validation'}"} | environment,
        check=True,
    )


def figures(found: dict[str, Any], path: str) -> dict[str, Any]:
    """Lines by part of each package, ready for JSON."""
    from trust import uncompiled
    from trust.origin import origin

    lines: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, entry in found["files"].items():
        package, folder = next((p, f) for p, f in PACKAGES.items() if (ROOT / name).is_relative_to(f))
        inside = (ROOT / name).relative_to(folder).parts
        for part in (package, f"{package}.{inside[0]}" if len(inside) > 1 else package + ", single files"):
            lines[part][0] += entry["summary"]["num_statements"]
            lines[part][1] += entry["summary"]["missing_lines"]
    totals = [
        f"{package}: {1 - lines[package][1] / lines[package][0]:.1%} of its lines run" for package in PACKAGES
    ]
    rows = [(what, *counts) for what, counts in sorted(lines.items()) if what not in PACKAGES]
    return {
        "title": "Lines that the tests run",
        "command": f"python tests/trust/covered.py --write {path}",
        "provenance": origin("coverage", "pytest", "numba", "torch"),
        "rows": [{"what": what, "tried": tried, "failed": failed} for what, tried, failed in rows],
        "notes": [
            ". ".join(totals) + ".",
            f"Without compilation run {', '.join(f'`{Path(p).name}`' for p in PLAIN)}, but for "
            f"{len(uncompiled.LARGE)} tests that draw many sentences or large trees; they and all other tests run "
            "with kernels compiled. Lines of kernels count only without compilation.",
            "Tests marked slow are not among them.",
        ],
    }


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    main()
