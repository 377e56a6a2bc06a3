"""How many small mistakes in the code the tests would notice: mutants drawn at random, each run against its tests.

    python tests/trust/mutation.py --sample 24 --seed 1                           # of every area
    python tests/trust/mutation.py --sample 6 --seed 1 --area fitting             # of one
    python tests/trust/mutation.py --sample 6 --seed 1 --module fitting/curves    # of what has this in its name

A mutant is the code with one change, made by cosmic-ray: another operator, a number plus or minus one, a condition
turned round, a loop that does nothing. A place in the code is drawn first and one of its changes then, so that
places with many changes count no more than others. The draw hashes the line itself: work elsewhere leaves it alone.
What no run could show is no mutant: a change of annotations, of decorators that only make a function faster, or
from equality to identity, which small numbers do not tell apart. Nor is what any run would show: arithmetic does
not become an operation on bits.

The tests of a module are those of ``areas.toml``, quickest first, between the module's own examples and the frozen
signatures; they must pass on the code as it is. A mutant is killed when one of them fails, or when they take three
times as long. Survivors are listed, with the reason where ``survivors.toml`` gives one; with ``--strict`` any other
survivor is an error. Seconds are those of the processor.

Everything happens in a copy. Mutants run in forks of this process, which has loaded the libraries already, and find
compiled kernels in the copy's cache; mutated kernels themselves run uncompiled, but for tests too long for that.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

ROOT, HERE = Path(__file__).parents[2], Path(__file__).parent
COPIED = ("rhmtheory", "validation/rhmvalidation", "tests", "pyproject.toml")
LIBRARIES = (
    "numpy",
    "scipy.optimize",
    "scipy.special",
    "numba",
    "sympy",
    "click",
    "rich.table",
    "matplotlib.pyplot",
)
INTERFACE = "tests/test_interface.py::test_the_interface_is_the_frozen_one"
"""The test of what callers may pass, once for each package."""
ONLY_FASTER = {"njit", "cache", "lru_cache"}
BITWISE = {"LShift", "RShift", "BitOr", "BitXor", "BitAnd"}
IDENTITY = {"core/ReplaceComparisonOperator_Eq_Is", "core/ReplaceComparisonOperator_NotEq_IsNot"}
MEMORY = 12 * 2**30
"""Bytes of address space that a mutant may take."""


# --- mutants ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """One change of one line: where, what it was, what it becomes, and the whole file with it."""

    file: str
    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.before}  ->  {self.after}"


@dataclass(frozen=True)
class Place:
    """Where a file can be changed, and the changes: operators of cosmic-ray, and which of their occurrences."""

    number: int
    file: str
    line: int
    changes: tuple[tuple[str, int], ...]

    def mutant(self, root: Path) -> Mutant | None:
        """The first change that a run can show; None if there is none."""
        # the tests' own environment, which imports this file to look for examples, has no cosmic-ray
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        source = (root / self.file).read_text(encoding="utf-8")
        meaning = _meaning(source)
        for name, occurrence in self.changes:
            changed = mutate_code(source, get_operator(name)(), occurrence)
            if changed is not None and _meaning(changed) not in (None, meaning):
                return _mutant(self.file, source, changed)
        return None


def places(root: Path, file: str, seed: int) -> Iterator[Place]:
    """Where a file can be changed, each place with its random number and its changes in random order."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    source = (root / file).read_text(encoding="utf-8")
    lines, tree = source.split("\n"), get_ast(source)
    found: dict[tuple[int, int], list[tuple[int, str, int]]] = {}
    for name in operator_names():
        kind = get_operator(name)
        # those with arguments are of names of variables, and none fits a whole project
        if kind.arguments() or name in IDENTITY or _is_an_error_on_floats(name):
            continue
        starts = (start for node in ast_nodes(tree) for start, _ in kind().mutation_positions(node))
        for occurrence, (row, column) in enumerate(starts):
            here = found.setdefault((row, column), [])
            number = _number(seed, file, lines[row - 1], column, name, len(here))
            here.append((number, name, occurrence))
    for (row, column), changes in found.items():
        ordered = tuple((name, occurrence) for _, name, occurrence in sorted(changes))
        yield Place(_number(seed, file, lines[row - 1], column), file, row, ordered)


def _is_an_error_on_floats(operator: str) -> bool:
    """Whether arithmetic becomes an operation on bits: any test would see that."""
    _, before, after = (operator + "__").split("_")[:3]
    return operator.startswith("core/ReplaceBinaryOperator") and after in BITWISE and before not in BITWISE


def _number(*key: object) -> int:
    """A random number that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big")


def _mutant(file: str, source: str, changed: str) -> Mutant:
    old, new = source.split("\n"), changed.split("\n")
    here = next(i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    # blank lines go with a decorator that is taken away
    line = next(i for i in range(here, len(old)) if old[i].strip())
    return Mutant(file, line + 1, " ".join(old[line].split()), " ".join(new[here].split()), changed)


def _meaning(source: str) -> str | None:
    """What of a source a run can show, as text; None where it is no Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            node.decorator_list = [d for d in node.decorator_list if not ONLY_FASTER & set(_names(d))]
    return ast.dump(tree)


def _names(tree: ast.AST) -> Iterator[str]:
    return (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


# --- running tests ------------------------------------------------------------------------------------------


class _Order:
    """A pytest plugin: quick tests of a file first; the first failure written down, and not made smaller."""

    def __init__(self, folder: Path, left_out: list[str]) -> None:
        self.failure, self.durations, self.left_out = folder / "failure", folder / "durations", left_out
        self.seconds: dict[str, float] = {}

    def pytest_configure(self) -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutants", hypothesis.settings(), phases=phases)
        hypothesis.settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        known = json.loads(self.durations.read_text()) if self.durations.exists() else {}
        files = list(dict.fromkeys(item.path for item in items))
        items[:] = [item for item in items if not {item.nodeid, item.nodeid.split("[")[0]} & set(self.left_out)]
        items.sort(key=lambda item: (files.index(item.path), known.get(item.nodeid, 0)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration
        if report.failed:
            self.failure.write_text(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failure.write_text(report.nodeid)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus == 0:
            known = json.loads(self.durations.read_text()) if self.durations.exists() else {}
            self.durations.write_text(json.dumps(known | self.seconds))


class Workshop:
    """A copy of the tree in which tests run."""

    def __init__(self, folder: Path, left_out: list[str]) -> None:
        self.folder, self.left_out = folder, left_out
        for name in COPIED:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)
        self._stamp = time.time()

    def digest(self) -> str:
        """Hash of all files of the copy that a test may depend on."""
        files = sorted(
            path for name in COPIED for path in [self.folder / name, *(self.folder / name).rglob("*.py")]
        )
        parts = [path.read_bytes() for path in files if path.is_file()]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    def write(self, file: str, source: str) -> None:
        """Put a source in place; its time differs each time, so that nothing compiled before is taken for it."""
        self._stamp += 2
        path = self.folder / file
        path.write_text(source, encoding="utf-8")
        os.utime(path, (self._stamp, self._stamp))

    def run(self, tests: list[str], limit: float, *, compiled: bool) -> tuple[str | None, float]:
        """The first test that fails, None where all pass, and the processor seconds it took."""
        failure = self.folder / "failure"
        failure.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            self._child(tests, limit, compiled)
        # a busy machine counts for nothing; what waits for ever is ended in the end
        end = time.monotonic() + 20 * limit
        while not (done := os.wait4(child, os.WNOHANG))[0] and time.monotonic() < end:
            time.sleep(0.02)
        if not done[0]:
            os.killpg(child, signal.SIGKILL)
            done = os.wait4(child, 0)
        _, status, usage = done
        code, seconds = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        if code == 0:
            return None, seconds
        if failure.exists():
            return failure.read_text(), seconds
        return f"no end after {limit:.0f} s" if code < 0 else f"the tests ended with code {code}", seconds

    def _child(self, tests: list[str], limit: float, compiled: bool) -> None:
        """Run pytest in this process, a fork, and end it."""
        code = 1
        try:
            os.setpgid(0, 0)
            log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1), os.dup2(log, 2)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (round(limit), round(limit)))
            os.chdir(self.folder)
            paths = [str(self.folder), str(self.folder / "validation")]
            sys.path[:0] = paths
            os.environ["PYTHONPATH"] = os.pathsep.join(paths)
            if not compiled:
                os.environ["NUMBA_DISABLE_JIT"] = "1"
                importlib.import_module("numba").config.DISABLE_JIT = 1
            options = ["-x", "-p", "no:cacheprovider", "--assert=plain", "--tb=short"]
            options += [] if compiled else importlib.import_module("uncompiled").OPTIONS
            code = pytest.main([*options, *tests], plugins=[_Order(self.folder, self.left_out)])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)


# --- the command --------------------------------------------------------------------------------------------


@dataclass
class Result:
    """What became of the mutants of an area."""

    area: str
    tried: int
    survivors: list[Mutant]


class Check:
    """Runs mutants against the tests of their modules, and the tests on the code as it is before."""

    def __init__(self, folder: Path, left_out: list[str], seed: int) -> None:
        self.workshop, self.seed = Workshop(folder, left_out), seed
        # a folder that is kept knows what passed there: not to be run again until a file changes
        self._memory = folder / "passed.json"
        passed = json.loads(self._memory.read_text()) if self._memory.exists() else {}
        self._state = self.workshop.digest()
        self._seconds: dict[str, float] = passed.get(self._state, {})
        os.environ["NUMBA_CACHE_DIR"] = str(folder / "kernels")
        importlib.import_module("numba").config.CACHE_DIR = str(folder / "kernels")

    def drawn(self, modules: dict[str, list[str]]) -> Iterator[Mutant]:
        """Mutants of some modules in random order."""
        root = self.workshop.folder
        found = (place for file in modules for place in places(root, file, self.seed))
        for place in sorted(found, key=lambda place: (place.number, place.line)):
            if (mutant := place.mutant(root)) is not None:
                yield mutant

    def passes(self, file: str, tests: list[str]) -> tuple[list[str], bool, float]:
        """The tests of a file, whether its kernels are compiled for them, and the seconds they take as it is."""
        compiled = "_kernels" not in file
        # the examples of the other package need its extra, and are run by none of its tests
        own = compiled and file.startswith("rhmtheory/") and ">>>" in (self.workshop.folder / file).read_text()
        tests = [*([file] if own else []), *tests]
        if compiled:
            tests.append(f"{INTERFACE}[{file.removeprefix('validation/').partition('/')[0]}]")
        key = " ".join(tests) + ("" if compiled else ", uncompiled")
        if key not in self._seconds:
            killer, self._seconds[key] = self.workshop.run(tests, 600, compiled=compiled)
            if killer:
                log = (self.workshop.folder / "log").read_text(errors="replace")
                raise SystemExit(f"{log[-3000:]}\n{killer} fails without any mutant, in {key}")
            print(f"{self._seconds[key]:5.1f} s without a mutant: {key}", flush=True)
            self._memory.write_text(json.dumps({self._state: self._seconds}))
        return tests, compiled, self._seconds[key]

    def kill(self, mutant: Mutant, tests: list[str]) -> tuple[str | None, float]:
        """Which test fails for a mutant, and the seconds until it does."""
        tests, compiled, seconds = self.passes(mutant.file, tests)
        original = (self.workshop.folder / mutant.file).read_text(encoding="utf-8")
        self.workshop.write(mutant.file, mutant.source)
        try:
            return self.workshop.run(tests, 10 + 3 * seconds, compiled=compiled)
        finally:
            self.workshop.write(mutant.file, original)


def reason(mutant: Mutant) -> str | None:
    """Why no test can tell a mutant from the code, where that is known."""
    for known in tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))["survivor"]:
        if all(known[name] == getattr(mutant, name) for name in ("file", "before", "after")):
            return str(known["why"])
    return None


def told_of(mutant: Mutant, area: str) -> str:
    """A survivor in words."""
    change = f"`{mutant.before}` becomes `{mutant.after}`"
    return f"{area}, {mutant.file}:{mutant.line}: {change}. {reason(mutant) or 'No test notices it.'}"


def share(results: list[Result]) -> str:
    """How many were killed, and how many of those that a test could kill."""
    survivors = [mutant for r in results for mutant in r.survivors]
    tried, same = sum(r.tried for r in results), sum(reason(mutant) is not None for mutant in survivors)
    killed = tried - len(survivors)
    return (
        f"{killed} of {tried} are killed, {killed / tried:.1%}. {same} survivors cannot be told from the code by "
        f"any test, for the reason given; without them {killed / max(1, tried - same):.1%} are killed."
    )


def figures(results: list[Result]) -> dict[str, Any]:
    """What goes into the documentation."""
    packages = ("cosmic-ray", "pytest", "hypothesis", "numpy", "numba")
    # in a process of its own: one that has loaded the package could not run its mutants
    tell = "import json, origin, sys; print(json.dumps(origin.origin(*sys.argv[1:])))"
    told = subprocess.run(
        [sys.executable, "-c", tell, *packages], cwd=HERE, capture_output=True, text=True, check=True
    )
    command = f"python tests/trust/mutation.py {' '.join(sys.argv[1:])}"
    return {
        "title": "Mutants killed by the tests",
        "command": command,
        "provenance": json.loads(told.stdout),
        "rows": [{"what": r.area, "tried": r.tried, "failed": len(r.survivors)} for r in results],
        "notes": [share(results), *(told_of(mutant, r.area) for r in results for mutant in r.survivors)],
    }


def main() -> None:
    """Parse the command line, run the check, print and write what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sample", type=int, default=24, help="mutants per area")
    parser.add_argument("--seed", type=int, default=0, help="another one draws other mutants")
    parser.add_argument("--area", action="append", help="only this area; may be repeated")
    parser.add_argument("--module", default="", help="only files with this in their path")
    parser.add_argument("--strict", action="store_true", help="fail where a survivor has no known reason")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--folder", type=Path, help="where the copy is; kept, with its compiled kernels")
    options = parser.parse_args()
    areas = tomllib.loads((HERE / "areas.toml").read_text(encoding="utf-8"))
    left_out = areas.pop("left_out")
    if unknown := set(options.area or []) - set(areas):
        parser.error(f"no area {', '.join(sorted(unknown))}: choose among {', '.join(areas)}")
    chosen = {
        area: {file: tests for file, tests in modules.items() if options.module in file}
        for area, modules in areas.items()
        if area in (options.area or areas)
    }
    for library in (*LIBRARIES, *(["torch"] if any("validation" in f for m in chosen.values() for f in m) else [])):
        importlib.import_module(library)
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        results = sample(Check(folder, left_out, options.seed), chosen, options.sample, options.out)
    for r in results:
        print(f"{r.area:12} {r.tried - len(r.survivors):3} of {r.tried:3} killed")
    survivors = [mutant for r in results for mutant in r.survivors]
    for mutant in survivors:
        print(f"  {mutant}: {reason(mutant) or 'no reason known'}")
    if options.strict and any(reason(mutant) is None for mutant in survivors):
        raise SystemExit("a mutant survives without a reason: write the test, or the reason into survivors.toml")


def sample(check: Check, areas: dict[str, dict[str, list[str]]], count: int, out: Path | None) -> list[Result]:
    """One mutant of each area after the other; the figures are written after every round."""
    results = [Result(area, 0, []) for area in areas]
    drawn = {area: check.drawn(modules) for area, modules in areas.items()}
    if count == 0:  # the tests as they are
        for modules in areas.values():
            for file, tests in modules.items():
                check.passes(file, tests)
    for _ in range(count):
        for r in results:
            if (mutant := next(drawn[r.area], None)) is None:
                continue
            killer, seconds = check.kill(mutant, areas[r.area][mutant.file])
            print(f"{r.area} {seconds:5.1f} s  {mutant}  [{killer or 'SURVIVED'}]", flush=True)
            r.tried += 1
            if killer is None:
                r.survivors.append(mutant)
        if out:
            out.parent.mkdir(exist_ok=True)
            out.write_text(json.dumps(figures(results), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    main()
