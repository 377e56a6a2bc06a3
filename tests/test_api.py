"""The reference: what docstrings say of parameters is what signatures take, and every public name is listed."""

import ast
import importlib
import inspect
import re
import sys
from functools import cache
from pathlib import Path

import floors
import pytest

sys.path.insert(0, str(Path(__file__).parent / "data"))
import make_interface

MODULES = floors.modules({"rhmtheory": floors.PACKAGES["rhmtheory"]})
FACES = floors.faces(floors.PACKAGES)

SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n-+\n", re.MULTILINE)


def sections(doc):
    """Sections of a docstring in numpy's style, by their heading."""
    parts = SECTION.split(doc)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(doc, heading):
    """Names in a section, in order; several may share a line."""
    text = sections(doc).get(heading)
    if text is None:
        return None
    lines = [line for line in text.splitlines() if line and not line.startswith(" ")]
    return [name.strip().lstrip("*") for line in lines for name in line.split(":")[0].split(",")]


@cache
def public_things():
    """Functions and classes that the faces of the theory hand out, and the public methods of these classes."""
    out = {}
    for face, names in FACES.items():
        if face.split(".")[0] != "rhmtheory":
            continue
        for name in names:
            thing = getattr(importlib.import_module(face), name)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                out[f"{thing.__module__}.{name}"] = thing
            if inspect.isclass(thing):
                for method, raw in vars(thing).items():
                    value = raw.__func__ if isinstance(raw, (classmethod, staticmethod)) else raw
                    if not method.startswith("_") and inspect.isfunction(value):
                        out[f"{thing.__module__}.{name}.{method}"] = value
    return out


def parameters(thing):
    """Names that a caller gives."""
    names = [p.name for p in inspect.signature(thing).parameters.values() if not p.name.startswith("_")]
    method = "." in thing.__qualname__
    return names[1:] if method and names[:1] in (["self"], ["cls"]) else names


def test_there_is_something_to_check():
    assert len(public_things()) > 100
    assert "rhmtheory.language.grammar.Grammar.from_rules" in public_things()
    checked = [
        name for name, thing in public_things().items() if documented(inspect.getdoc(thing) or "", "Parameters")
    ]
    assert len(checked) > 50


def test_sections_are_read():
    doc = "Do.\n\nParameters\n----------\na, b : int\n    Two.\n*c\n    More.\n**d\n\nReturns\n-------\nint\n"
    assert documented(doc, "Parameters") == ["a", "b", "c", "d"]
    assert documented(doc, "Returns") == ["int"]
    assert documented(doc, "Raises") is None


def check(thing):
    """Differences between docstring and signature, in words."""
    doc, taken = inspect.getdoc(thing) or "", parameters(thing)
    listed = documented(doc, "Parameters")
    if listed is not None:
        wrong = [name for name in taken if name not in listed] + [name for name in listed if name not in taken]
        if wrong:
            return f"differ: {wrong}"
        return "" if listed == taken else f"documented in the order {listed}, taken as {taken}"
    listed = documented(doc, "Attributes")
    if listed is not None and hasattr(thing, "__dataclass_fields__"):
        # properties may stand beside what a dataclass is made from
        wrong = [name for name in taken if name not in listed]
        wrong += [name for name in listed if name not in taken and not hasattr(thing, name)]
        return f"differ: {wrong}" if wrong else ""
    return ""


@pytest.mark.parametrize(
    "name", sorted(name for name, thing in public_things().items() if inspect.isfunction(thing))
)
def test_several_parameters_have_a_section(name):
    thing = public_things()[name]
    doc = inspect.getdoc(thing) or ""
    assert doc
    assert len(parameters(thing)) < 2 or "Parameters" in sections(doc)


@pytest.mark.parametrize("name", sorted(public_things()))
def test_documented_parameters_are_those_taken(name):
    assert check(public_things()[name]) == ""


def test_a_mismatch_is_found():
    def good(a, b=1):
        """Do.

        Parameters
        ----------
        a, b : int
        """

    def renamed(a, c=1):
        pass

    def swapped(b, a):
        pass

    renamed.__doc__ = swapped.__doc__ = good.__doc__
    assert check(good) == ""
    assert check(renamed) == "differ: ['c', 'b']"
    assert check(swapped) == "documented in the order ['a', 'b'], taken as ['b', 'a']"


# --- the page of the reference ----------------------------------------------------------------------------


def test_the_reference_lists_what_the_faces_hand_out():
    pytest.importorskip("torch")
    assert make_interface.PAGE.read_text(encoding="utf-8") == make_interface.reference()


# --- equations ---------------------------------------------------------------------------------------------

LABEL = re.compile(r"\b(?:bills|corr|inference|learner|noise|prediction)-[a-z]+\b")


def labels_in_docs():
    """Labels of the equations of the pages of theory."""
    pages = (floors.ROOT / "docs").glob("theory_*.md")
    return {label for page in pages for label in re.findall(r"^\$\$ \(([\w-]+)\)$", page.read_text(), re.MULTILINE)}


def labels_in_code():
    """Labels that docstrings and the words beside constants name."""
    strings = (
        node.value
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {label for text in strings for label in LABEL.findall(text)}


def test_equations_and_code_name_each_other():
    """Every labelled equation is named where it is computed, and no code names one that does not exist."""
    assert len(labels_in_docs()) > 15
    assert labels_in_code() == labels_in_docs()
