"""The house: every room imports only from the floors below it, and importing the package is cheap."""

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

MODULES = floors.modules(floors.PACKAGES)
ARROWS = floors.arrows(floors.PACKAGES)
FACES = floors.faces(floors.PACKAGES)
THEORY = sorted(name for name in MODULES if name.split(".")[0] == "rhmtheory")


# --- floors -----------------------------------------------------------------------------------------------


def test_every_module_lies_in_a_room_of_the_table():
    assert {floors.room(name) for name in MODULES} == set(floors.places(floors.FLOORS))


def test_no_import_points_up():
    """At module level or inside a function, of types alone, or by a string; drawing methods are the exception."""
    assert floors.upward(ARROWS, floors.FLOORS) == []


def test_no_import_leads_in_a_circle():
    """Within rooms either."""
    # a face lists its rooms, and is imported by name only
    faces = set(FACES)
    assert floors.circles((a, b) for a, b in ARROWS if b not in faces) == []


def test_no_package_uses_private_names_of_the_other():
    assert floors.private(floors.PACKAGES) == []


def test_the_networks_have_few_rooms():
    rows = floors.FLOORS["rhmvalidation"]
    assert sum(map(len, rows)) <= 6
    assert len(rows) <= 4


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from house import attic\n", [("house.cellar", "house.attic")]),
        ("def f():\n    import house.attic\n", [("house.cellar", "house.attic")]),
        ("class A:\n    def f(self):\n        from house.attic import x\n", [("house.cellar", "house.attic")]),
        ("def f():\n    from house.room import shelf\n", [("house.cellar", "house.room.shelf")]),
        ("def f():\n    from house.room.shelf import book\n", [("house.cellar", "house.room.shelf")]),
        ("def f():\n    from house.room import anything\n", [("house.cellar", "house.room")]),
        ("if TYPE_CHECKING:\n    from house import attic\n", [("house.cellar", "house.attic")]),
        ("there = 'house.attic:thing'\n", [("house.cellar", "house.attic")]),
        ("there = 'house.attic is nice'\n", []),
        ("import numpy\n", []),
    ],
)
def test_an_import_that_points_up_is_found(source, found, tmp_path, monkeypatch):
    """A house of three floors, whose cellar imports from above."""
    for name in ("__init__", "room/__init__", "room/shelf", "attic"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("from house import cellar\n")
    (tmp_path / "cellar.py").write_text(source)
    table = {"house": [["cellar"], ["room"], ["attic"], ["__init__"]]}
    monkeypatch.setattr(floors, "FLOORS", table)
    arrows = floors.arrows({"house": tmp_path})
    assert ("house.attic", "house.cellar") in arrows
    assert floors.upward(arrows, table) == found
    assert ("house.cellar" in floors.circles(arrows)) == bool(found)


def test_a_drawing_method_may_reach_up_and_a_function_may_not(tmp_path):
    line = "from rhmtheory.plotting import plot"
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "plotting.py").write_text("")
    (tmp_path / "a.py").write_text(f"class A:\n    def plot(self):\n        {line}\n")
    (tmp_path / "b.py").write_text(f"def plot():\n    {line}\n")
    (tmp_path / "c.py").write_text(f"class A:\n    def show(self):\n        {line}\n")
    arrows = floors.arrows({"rhmtheory": tmp_path})
    assert arrows == [("rhmtheory.b", "rhmtheory.plotting"), ("rhmtheory.c", "rhmtheory.plotting")]


def test_rooms_on_one_floor_import_to_the_left_only():
    table = {"house": [["left", "right"]]}
    allowed = [("house.right.c", "house.left"), ("house.right", "house.left.b"), ("house.left.b", "house.left.a")]
    assert floors.upward(allowed, table) == []
    swapped = [(other, name) for name, other in allowed]
    assert floors.upward(swapped, table) == swapped[:2]


def test_private_names_of_the_other_package_are_found(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "__init__.py").write_text("")
    (one / "_hidden.py").write_text("")
    (two / "a.py").write_text("from one import _hidden\nfrom one import shown\nfrom two import _mine\n")
    assert floors.private({"one": one, "two": two}) == [("two.a", "one._hidden")]


def test_relative_imports_are_refused(tmp_path):
    (tmp_path / "a.py").write_text("from . import b\n")
    with pytest.raises(ValueError, match="relative import in line 1"):
        floors.imported(tmp_path / "a.py")


def packages(name):
    """First parts of the names of all that a module imports."""
    return {full.split(".")[0] for full, _ in floors.imported(MODULES[name])}


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
def test_modules_and_functions_are_short(name):
    """A longer module is split by what it computes; a docstring does not count to the length of a function."""
    text = MODULES[name].read_text()
    assert len(text.splitlines()) <= 500
    if "._kernels." not in name:
        assert [
            n.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef) and length(n) > 60
        ] == []


def length(function):
    """Lines of a function without its docstring."""
    first = function.body[0]
    spoken = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) is not None else 0
    return function.end_lineno - function.lineno + 1 - spoken


# --- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(MODULES))
def test_errors_are_raised_in_parts(name):
    """Name, value, rule, way out: the rule is never missing, and whoever shows the error names the parameters."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("InputError", "ResourceError"):
            assert len(node.args) >= 3 or "rule" in [part.arg for part in node.keywords], node.lineno


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
        "import rhmtheory.theory.prediction",
        "from rhmtheory import comparison, corpus, ensemble, exact, fitting, language, learner, theory, tree",
        "import rhmtheory.cli",
        "import rhmtheory as rt; rt.predict(rt.RHM(v=8, m=2, s=2, L=3), 'transformer').loss(100)",
    ],
)
def test_a_prediction_waits_for_no_compiler(statement):
    heavy = ["torch", "sympy", "numba", "matplotlib", "rhmvalidation", "pandas", "scipy.special"]
    assert loaded_by(statement, heavy) == []


def test_the_list_of_loaded_packages_can_fail():
    assert loaded_by("import numba", ["numba", "torch"]) == ["numba"]


# --- public names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("face", sorted(FACES))
def test_public_names_resolve_and_are_listed(face):
    """One list, the stub beside the face; what it names is found, and comes from the module it says."""
    package = importlib.import_module(face)
    assert set(FACES[face]) <= set(dir(package))
    for name, home in FACES[face].items():
        assert not name.startswith("_")
        thing = getattr(package, name)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            assert thing.__module__ == home, name
    with pytest.raises(AttributeError, match=f"has no attribute 'nothing'|No {face} attribute nothing"):
        _ = package.nothing


@pytest.mark.parametrize("face", sorted(FACES))
def test_no_public_name_is_that_of_a_module_beside_it(face):
    """Else ``from package import name`` gives the one or the other, by what was imported before."""
    package = importlib.import_module(face)
    assert {module.name for module in pkgutil.iter_modules(package.__path__)}.isdisjoint(FACES[face])


def test_the_public_face_is_small():
    assert len({(home, name) for face in FACES.values() for name, home in face.items()}) <= 160


def test_no_other_names():
    with pytest.raises(AttributeError, match="Grammer"):
        _ = rhmtheory.Grammer


@pytest.mark.parametrize("name", sorted(FACES["rhmtheory"]))
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
