"""The tests at the lowest versions that the package says it accepts, at the newest, and on other Pythons.

    python tests/trust/versions.py --write docs/trust/versions.json

Needs ``uv`` (``pip install uv``), which says what the versions are and makes fresh environments. Each environment
is a row: those that cannot be had here are named in a note and not counted. torch is installed from a wheel of its
CPU build where ``--wheels FOLDER`` has one for that Python; without one the theory alone is tested. ``--only NAME``
renews the rows of some environments and keeps the others.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SHOWN = ("numpy", "scipy", "sympy", "numba", "matplotlib", "click", "rich", "torch", "pytest", "hypothesis")
QUICK = (
    "reference", "api", "cli", "rhm", "grammar", "tuples", "properties", "sampling", "correlations", "ensemble",
    "entropy", "fits", "predictions", "pairs", "corpus", "symbolic", "files", "comparison",
)  # fmt: skip
QUICK_NETWORKS = ("models", "optimisers", "sentences", "repeats", "own_networks", "execution", "report")


@dataclass(frozen=True)
class Environment:
    """A Python and a rule for its packages."""

    python: str
    resolution: str

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"{self.resolution}-{self.python}"


ENVIRONMENTS = [
    Environment("3.11", "lowest-direct"),
    Environment("3.12", "lowest-direct"),
    Environment("3.11", "highest"),
    Environment("3.12", "highest"),
    Environment("3.13", "highest"),
]


class MissingError(Exception):
    """This environment cannot be had here."""


def make(env: Environment, wheels: Path | None, folder: Path) -> Path:
    """A fresh environment with this package in it; returns its interpreter."""
    found = sorted(wheels.glob(f"torch-*-cp{env.python.replace('.', '')}-*.whl")) if wheels else []
    extras = ["--extra", "test"] + (["--extra", "validation"] if found else [])
    asked = uv(
        "pip", "compile", "-q", str(ROOT / "pyproject.toml"), *extras, "--resolution", env.resolution,
        "--python-version", env.python, "--no-header", "--no-annotate",
    )  # fmt: skip
    # what torch's build for GPUs would bring is not wanted
    lines = [line for line in asked.splitlines() if not re.match(r"(nvidia-|cuda-|triton|torch)\b", line)]
    (folder / "requirements.txt").write_text("\n".join([*lines, *(path.as_uri() for path in found[-1:])]) + "\n")
    uv("venv", "-q", "--python", env.python, "--no-python-downloads", str(folder / "venv"))
    python = folder / "venv" / "bin" / "python"
    uv("pip", "install", "-q", "--python", str(python), "-r", str(folder / "requirements.txt"))
    uv("pip", "install", "-q", "--python", str(python), "--no-deps", "-e", str(ROOT))
    return python


def uv(*arguments: str) -> str:
    """Call uv; raises `MissingError` with what it says."""
    told = subprocess.run(["uv", *arguments], capture_output=True, text=True, check=False)
    if told.returncode:
        raise MissingError(
            told.stderr.strip().splitlines()[-1] if told.stderr.strip() else f"uv {arguments[0]} failed"
        )
    return told.stdout


def versions(python: Path) -> dict[str, str]:
    """What is installed."""
    listed = json.loads(uv("pip", "list", "--python", str(python), "--format", "json"))
    return {entry["name"]: entry["version"] for entry in listed}


def run(python: Path, env: Environment, torch: bool, everything: bool, folder: Path) -> tuple[int, int, list[str]]:
    """Tests that ran, how many failed, and their names; a module that cannot be read is one that failed."""
    tests = [f"tests/test_{name}.py" for name in QUICK]
    tests += [f"tests/validation/test_{name}.py" for name in QUICK_NETWORKS] if torch else []
    # packages of today warn that packages of then use them in old ways: that is no fault of either here
    quiet = ["-W", "ignore::DeprecationWarning", "-W", "ignore::PendingDeprecationWarning"]
    report = folder / "report.xml"
    subprocess.run(
        [str(python), "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}",
         *(quiet if env.resolution != "highest" else []), *(["tests"] if everything else tests), "rhmtheory"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'validation'}"}, check=False,
    )  # fmt: skip
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    ran = [case for case in cases if case.find("skipped") is None]
    return len(ran), len(failed), [f"{case.get('classname')}.{case.get('name')}" for case in failed]


def measure(env: Environment, wheels: Path | None, everything: bool) -> tuple[dict[str, Any], list[str]]:
    """The row of an environment, and notes."""
    with tempfile.TemporaryDirectory() as name:
        python = make(env, wheels, Path(name))
        installed = versions(python)
        shown = ", ".join(f"{package} {installed[package]}" for package in SHOWN if package in installed)
        tried, failed, names = run(python, env, "torch" in installed, everything, Path(name))
    parts = "all tests" if everything else "quick part"
    without = "" if "torch" in installed else ", theory alone"
    what = (
        f"Python {env.python}, {'newest' if env.resolution == 'highest' else 'lowest'} versions ({parts}{without})"
    )
    return {"what": what, "tried": tried, "failed": failed, "name": env.name}, [
        f"{what}: {shown}.",
        *(f"{what}: `{name}` failed." for name in names),
    ]


def main() -> None:
    """Make the environments, run the tests, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, help="Folder with CPU builds of torch.")
    parser.add_argument("--only", nargs="*", choices=[env.name for env in ENVIRONMENTS], help="These environments.")
    parser.add_argument("--all", action="store_true", help="All tests, not the quick part.")
    parser.add_argument("--write", type=Path, help="Write the figures to this JSON file.")
    given = parser.parse_args()
    if not shutil.which("uv"):
        sys.exit("uv is needed: pip install uv")
    rows, notes = {}, {}
    for env in ENVIRONMENTS:
        if given.only and env.name not in given.only:
            continue
        try:
            rows[env.name], notes[env.name] = measure(env, given.wheels, given.all)
            print(rows[env.name], flush=True)
        except MissingError as reason:
            notes[env.name] = [f"{env.name} could not be made here: {reason}"]
        print("\n".join(notes[env.name]), flush=True)
    if given.write:
        if given.only and given.write.exists():
            known = json.loads(given.write.read_text(encoding="utf-8"))
            kept = {row["name"]: row for row in known["rows"] if row["name"] not in notes}
            rows, notes = kept | rows, known["by environment"] | notes
        given.write.parent.mkdir(exist_ok=True, parents=True)
        given.write.write_text(json.dumps(figures(rows, notes, str(given.write)), indent=1) + "\n")
    sys.exit(any(row["failed"] for row in rows.values()))


def figures(rows: dict[str, Any], notes: dict[str, list[str]], path: str) -> dict[str, Any]:
    """What was tried and what failed, ready for JSON."""
    sys.path.insert(0, str(ROOT / "tests"))
    from trust.origin import origin

    order = [env.name for env in ENVIRONMENTS if env.name in notes]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = ", ".join(project["dependencies"] + project["optional-dependencies"]["validation"])
    return {
        "title": "Lowest and newest versions",
        "command": f"python tests/trust/versions.py --wheels FOLDER --write {path}",
        "provenance": origin(),
        "rows": [rows[name] for name in order if name in rows],
        "notes": [
            f"Accepted: {bounds}; Python {project['requires-python']}.",
            "The quick part is the tests of "
            + ", ".join(f"`{name}`" for name in (*QUICK, *QUICK_NETWORKS))
            + ", and the examples in the docstrings.",
            *(note for name in order for note in notes[name]),
        ],
        "by environment": notes,
    }


if __name__ == "__main__":
    main()
