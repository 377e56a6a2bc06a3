"""The house: every module imports only from the floors below it, and importing the package is cheap."""

import ast
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys

import floors
import pytest

import rhmtheory
from rhmtheory.comparison import Measurement, Study
from rhmtheory.corpus import CorpusStatistics
from rhmtheory.support.facade import Forward
from rhmtheory.theory import Prediction
from rhmtheory.tree.trees import Derivation

MODULES = floors.modules(floors.PACKAGES)
ARROWS = floors.arrows(floors.PACKAGES)
THEORY = sorted(name for name in MODULES if name.split(".")[0] == "rhmtheory")


# --- floors -----------------------------------------------------------------------------------------------


def test_every_module_has_a_floor_and_every_place_is_taken():
    assert set(floors.places(floors.FLOORS)) == set(MODULES)


def test_no_import_points_up():
    """At module level or inside a function; below is a strict order, so that there are no circles."""
    assert floors.upward(ARROWS, floors.FLOORS) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from house import attic\n", [("house.cellar", "house.attic")]),
        ("def f():\n    import house.attic\n", [("house.cellar", "house.attic")]),
        ("class A:\n    def f(self):\n        from house.attic import x\n", [("house.cellar", "house.attic")]),
        ("def f():\n    from house.room import shelf\n", [("house.cellar", "house.room.shelf")]),
        ("def f():\n    from house.room.shelf import book\n", [("house.cellar", "house.room.shelf")]),
        ("def f():\n    from house.room import anything\n", [("house.cellar", "house.room")]),
        ("if TYPE_CHECKING:\n    from house import attic\n", []),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    from house import attic\n", [("house.cellar", "house.attic")]),
        ("import numpy\n", []),
    ],
)
def test_an_import_that_points_up_is_found(source, found, tmp_path):
    """A house of three floors, whose cellar imports from above."""
    for name in ("__init__", "room/__init__", "room/shelf", "attic"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("from house import cellar\n")
    (tmp_path / "cellar.py").write_text(source)
    table = {"house": [{"cellar": []}, {"room": ["shelf"]}, {"attic": []}, {"__init__": []}]}
    arrows = floors.arrows({"house": tmp_path})
    assert ("house.attic", "house.cellar") in arrows
    assert floors.upward(arrows, table) == found


def test_neighbours_import_to_the_left_only():
    table = {"house": [{"left": ["a", "b"], "right": ["c"]}]}
    allowed = [("house.left.b", "house.left.a"), ("house.right.c", "house.left"), ("house.left", "house.left.b")]
    assert floors.upward(allowed, table) == []
    swapped = [(other, name) for name, other in allowed]
    assert floors.upward(swapped, table) == swapped


def test_relative_imports_are_refused(tmp_path):
    (tmp_path / "a.py").write_text("from . import b\n")
    with pytest.raises(ValueError, match="relative import in line 1"):
        floors.imported(tmp_path / "a.py")


def packages(name):
    """First parts of the names of all that a module imports."""
    return {full.split(".")[0] for full in floors.imported(MODULES[name])}


@pytest.mark.parametrize("name", [name for name in THEORY if "._kernels" in name])
def test_kernels_know_arrays_and_their_compiler_only(name):
    assert packages(name) <= {"numpy", "numba", "rhmtheory"} | sys.stdlib_module_names
    assert all(other.startswith("rhmtheory._kernels") for module, other in ARROWS if module == name)


@pytest.mark.parametrize("name", [name for name in THEORY if ".fitting" in name])
def test_fits_know_nothing_of_the_model(name):
    known = ("rhmtheory.support", "rhmtheory.fitting")
    assert all(other.startswith(known) for module, other in ARROWS if module == name)


@pytest.mark.parametrize("name", THEORY)
def test_the_theory_knows_no_torch_and_no_networks(name):
    """Not even inside a function; the command line finds the networks by name when it is asked to."""
    assert packages(name).isdisjoint({"torch", "jax", "tensorflow", "rhmvalidation"})


def test_only_figures_know_matplotlib():
    """Results are drawn by functions of `plotting`, to which their methods lead."""
    assert all(name.startswith("rhmtheory.plotting.") for name in THEORY if "matplotlib" in packages(name))


def test_only_one_module_knows_sympy():
    assert [name for name in THEORY if "sympy" in packages(name)] == ["rhmtheory.theory.symbolic"]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_are_short(name):
    """About 500 lines: a longer one is split by what it computes."""
    assert len(MODULES[name].read_text().splitlines()) <= 520


# --- methods from upper floors ----------------------------------------------------------------------------

FORWARDED = [
    pytest.param(owner, name, thing, id=f"{owner.__name__}.{name}")
    for owner in (rhmtheory.RHM, rhmtheory.Grammar, Prediction, CorpusStatistics, Measurement, Study, Derivation)
    for name, thing in vars(owner).items()
    if isinstance(thing, Forward)
]


@pytest.mark.parametrize(("owner", "name", "forward"), FORWARDED)
def test_a_forwarded_method_is_the_function_itself(owner, name, forward):
    module, path = forward.target.split(":")
    function = importlib.import_module(module)
    for part in path.split("."):
        function = getattr(function, part)
    instance = object.__new__(owner)
    method = getattr(instance, name)
    assert method.__func__ == function
    assert method.__self__ is instance
    assert inspect.getdoc(method) == inspect.getdoc(function)
    assert list(inspect.signature(method).parameters) == list(inspect.signature(function).parameters)[1:]
    assert getattr(owner, name) == function
    assert module in MODULES
    assert floors.places(floors.FLOORS)[module] > floors.places(floors.FLOORS)[owner.__module__]


# --- importing is cheap -----------------------------------------------------------------------------------


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
        "import rhmtheory.theory.predictions",
        "from rhmtheory import ensemble, exact, fitting, measured, model, theory",
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


SUBPACKAGES = ["ensemble", "exact", "fitting", "measured", "model", "theory"]


@pytest.mark.parametrize("name", [*SUBPACKAGES, "plotting", "quenched", "symbolic"])
def test_modules_are_reached_by_attribute(name):
    run = f"import inspect, rhmtheory as rt; assert inspect.ismodule(rt.{name}), rt.{name}"
    assert loaded_by(run, ["torch"]) == []


@pytest.mark.parametrize("name", SUBPACKAGES)
def test_names_of_subpackages_are_found_and_their_own(name):
    package = getattr(rhmtheory, name)
    assert set(package.__all__) <= set(dir(package))
    for public in package.__all__:
        thing = getattr(package, public)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            assert thing.__module__.startswith(f"rhmtheory.{name}.")
    with pytest.raises(AttributeError, match=f"module 'rhmtheory.{name}' has no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize("name", ["", *(f".{name}" for name in SUBPACKAGES), ".comparison", ".plotting", ".cli"])
def test_no_public_name_is_that_of_a_module_beside_it(name):
    """Else ``from package import name`` gives the one or the other, by what was imported before."""
    package = importlib.import_module(f"rhmtheory{name}")
    assert {module.name for module in pkgutil.iter_modules(package.__path__)}.isdisjoint(
        getattr(package, "__all__", ())
    )


def test_the_package_of_fits_gives_the_function_of_crossings():
    assert (
        loaded_by("import rhmtheory.comparison\nfrom rhmtheory.fitting import crossings\ncrossings.__call__", [])
        == []
    )


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
        for attribute in vars(thing):
            value = getattr(thing, attribute)
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
