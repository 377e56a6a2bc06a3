"""The house: every module imports only from the floors below it, and importing the package is cheap."""

import ast
import inspect
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import rhmtheory

ROOT = Path(rhmtheory.__file__).parent
FLOORS = [
    # the foundation, in two rows
    {"_checks", "_types", "_json", "_provenance", "_kernels"},
    {"_parallel", "_reading", "_moments"},
    {"rhm", "grammar"},
    {"sampling", "correlations", "inference", "entropy", "ensemble", "quenched", "symbolic"},
    {"predictions", "estimators", "learner", "scaling", "fits", "complexity", "corpus"},
    {"plotting", "cli"},
]
BESIDE = {
    "grammar": {"rhm"},
    "predictions": {"scaling"},
    "fits": {"scaling"},
    "learner": {"estimators"},
    "complexity": {"learner", "predictions", "scaling"},
    "corpus": {"estimators", "scaling"},
}
"""What a module imports from its own floor."""

FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MODULES = {path.stem: path for path in ROOT.glob("*.py") if path.stem != "__init__"}
KERNELS = {path.stem: path for path in (ROOT / "_kernels").glob("*.py")}


def imported(nodes):
    """Full names of the modules that these statements import, relative ones refused."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            # from rhmtheory._kernels import sampling: the names may be modules
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imported(node.orelse)
        elif isinstance(node, (ast.If, ast.Try)):
            yield from imported(ast.iter_child_nodes(node))


def at_module_level(path):
    return set(imported(ast.parse(path.read_text()).body))


def anywhere(path):
    return set(imported(ast.walk(ast.parse(path.read_text()))))


def own(names):
    """Modules of the package among full names; those of the package's front are marked as ``rhmtheory``."""
    out = set()
    for name in names:
        first, *rest = name.split(".")
        if first == "rhmtheory":
            out.add(rest[0] if rest and rest[0] in {*MODULES, "_kernels"} else "rhmtheory")
    return out


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_has_a_floor_and_imports_from_those_below(name):
    assert name in FLOOR, f"{name}: on which floor does it live?"
    for other in own(at_module_level(MODULES[name])):
        if other == "rhmtheory":
            # the front of the house may be used by what people type
            assert name == "cli"
            continue
        assert other in FLOOR, f"{other}: on which floor does it live?"
        if FLOOR[other] == FLOOR[name]:
            assert other in BESIDE.get(name, set()), f"{name} imports {other}, which lives beside it"
        else:
            assert FLOOR[other] < FLOOR[name], f"{name} imports {other}, which lives above it"


def test_modules_of_one_floor_do_not_import_each_other_in_circles():
    TopologicalSorter(BESIDE).prepare()
    for name, others in BESIDE.items():
        assert {FLOOR[name]} == {FLOOR[other] for other in others}


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_kernels_know_arrays_and_their_compiler_only(name):
    for module in anywhere(KERNELS[name]):
        package = module.split(".")[0]
        assert package in {"numpy", "numba"} | sys.stdlib_module_names or module.startswith("rhmtheory._kernels.")


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_theory_knows_no_torch(name):
    """Not even inside a function."""
    assert {module.split(".")[0] for module in anywhere(MODULES[name])}.isdisjoint({"torch", "jax", "tensorflow"})


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"cli"}))
def test_only_the_command_line_knows_the_networks(name):
    assert "rhmvalidation" not in {module.split(".")[0] for module in anywhere(MODULES[name])}


def loaded_by(statement, names):
    """Which of these packages a fresh interpreter has loaded after the statement."""
    code = f"import sys\n{statement}\nprint(*sorted(set({names!r}) & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    return run.stdout.split()


@pytest.mark.parametrize(
    "statement",
    [
        "import rhmtheory",
        "import rhmtheory.predictions",
        "import rhmtheory.cli",
        "import rhmtheory as rt; rt.predict(rt.RHM(v=8, m=2, s=2, L=3), 'transformer').loss(100)",
    ],
)
def test_a_prediction_waits_for_no_compiler(statement):
    heavy = ["torch", "sympy", "numba", "matplotlib", "rhmvalidation", "pandas"]
    assert loaded_by(statement, heavy) == []


def test_the_list_of_loaded_packages_can_fail():
    assert loaded_by("import numba", ["numba", "torch"]) == ["numba"]


# --- public names ---------------------------------------------------------------------------------------


def test_public_names_resolve_and_are_listed_in_order():
    assert dir(rhmtheory) == sorted(dir(rhmtheory))
    assert len(set(rhmtheory.__all__)) == len(rhmtheory.__all__)
    assert set(rhmtheory.__all__) <= set(dir(rhmtheory))
    for name in rhmtheory.__all__:
        assert getattr(rhmtheory, name) is not None
        assert not name.startswith("_")


def test_lazy_names_are_public():
    assert set(rhmtheory._LAZY) <= set(rhmtheory.__all__)


def test_no_other_names():
    with pytest.raises(AttributeError, match="module 'rhmtheory' has no attribute 'Grammer'"):
        _ = rhmtheory.Grammer


@pytest.mark.parametrize("name", rhmtheory.__all__)
def test_every_public_name_says_what_it_is(name):
    thing = getattr(rhmtheory, name)
    if not (inspect.isclass(thing) or callable(thing) or inspect.ismodule(thing)):
        return  # a constant: its words stand beside it
    assert inspect.getdoc(thing), name
    if inspect.isclass(thing):
        for attribute, value in vars(thing).items():
            documented = isinstance(value, property) or inspect.isroutine(value)
            if not attribute.startswith("_") and documented:
                assert inspect.getdoc(value), f"{name}.{attribute}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_and_public_function_has_a_docstring(name):
    tree = ast.parse(MODULES[name].read_text())
    assert ast.get_docstring(tree), name
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            overloaded = any(
                ast.unparse(decorator) == "overload" for decorator in getattr(node, "decorator_list", [])
            )
            assert overloaded or ast.get_docstring(node), f"{name}.{node.name}"
