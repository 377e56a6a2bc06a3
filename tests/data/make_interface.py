"""What callers may pass: the signatures of both packages, one a line.

    python tests/data/make_interface.py            # shows them
    python tests/data/make_interface.py --write    # freezes them, and writes docs/api.md

Defaults, what is passed by name alone, and what cannot be changed after it was made are promises to users. One that
changes on purpose is frozen anew with ``--write``, so that a reader sees it in the difference.
"""

import importlib
import inspect
import sys
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import floors

FILE = Path(__file__).with_name("interface.txt")
PAGE = floors.ROOT / "docs" / "api.md"


class _Named:
    """A default by its name: the addresses that functions show change from run to run."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    @classmethod
    def of(cls, default: Any) -> Any:
        """The default; functions by their names, and what holds functions by its type."""
        if inspect.isfunction(default):
            return cls(default.__qualname__)
        return cls(f"a {type(default).__name__}") if " at 0x" in repr(default) else default


def signature(function: Any) -> str:
    """Parameters without annotations, and those of each typed form."""
    return " or ".join(map(_parameters, [function, *typing.get_overloads(function)]))


def _parameters(function: Any) -> str:
    told, nothing = inspect.signature(function), inspect.Parameter.empty
    plain = [p.replace(annotation=nothing, default=_Named.of(p.default)) for p in told.parameters.values()]
    return str(told.replace(parameters=plain, return_annotation=nothing))


def kind(thing: type) -> str:
    """Of a dataclass: whether its objects may change, and what makes two of them equal."""
    if not is_dataclass(thing):
        return ""
    told = thing.__dataclass_params__
    return f" {'frozen' if told.frozen else 'mutable'}, compared by {'value' if told.eq else 'identity'}"


def lines(face: str, names: dict[str, str]) -> Iterator[str]:
    """Functions, classes and their methods that a face hands out, in the order of their names."""
    for name in names:
        thing = getattr(importlib.import_module(face), name)
        if inspect.isfunction(thing):
            yield f"{face}.{name}{signature(thing)}"
        elif inspect.isclass(thing):
            yield f"{face}.{name}{kind(thing)}"
            for method, raw in sorted(_members(thing).items()):
                value = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
                if inspect.isfunction(value) and (method == "__init__" or not method.startswith("_")):
                    yield f"{face}.{name}.{method}{signature(value)}"
        else:
            yield f"{face}.{name}"


def _members(thing: type) -> dict[str, Any]:
    """What a class offers, its own bases of the two packages included."""
    bases = [base for base in reversed(thing.__mro__) if base.__module__.split(".")[0] in floors.PACKAGES]
    return {name: raw for base in bases for name, raw in vars(base).items()}


def listed(package: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Faces of a package, and of each the names that no face before it has listed."""
    seen: set[tuple[str, str]] = set()
    for face, names in sorted(floors.faces({package: floors.PACKAGES[package]}).items()):
        yield face, {name: home for name, home in names.items() if (home, name) not in seen}
        seen |= {(home, name) for name, home in names.items()}


def interface(package: str) -> list[str]:
    """The lines of one package: all that its faces list."""
    return [line for face, names in listed(package) for line in lines(face, names)]


def reference() -> str:
    """The page of the reference, ``docs/api.md``: faces, and what each hands out."""
    parts = [PAGE_HEAD]
    for face, names in (row for package in floors.PACKAGES for row in listed(package)):
        things = {name: getattr(importlib.import_module(face), name) for name in names}
        documented = [name for name, thing in things.items() if inspect.isroutine(thing) or inspect.isclass(thing)]
        constants = ", ".join(f"`{name}`" for name in things if name not in documented)
        if not names:
            continue
        says = (importlib.import_module(face).__doc__ or "").split("\n")[0]
        parts.append(f"## {face}\n\n{says}\n" + (f"\nConstants: {constants}.\n" if constants else ""))
        if documented:
            shown = "\n".join(f"   {name}" for name in documented)
            parts.append(
                f"```{{eval-rst}}\n.. currentmodule:: {face}\n\n.. autosummary::\n   :toctree: api/generated\n\n"
                f"{shown}\n```\n"
            )
    return "\n".join(parts)


PAGE_HEAD = """# API reference

Public is what the faces below list, and nothing else; {doc}`architecture` says which room computes what. Written by
`python tests/data/make_interface.py --write`, which also freezes the signatures.
"""

if __name__ == "__main__":
    text = "\n".join(line for package in floors.PACKAGES for line in interface(package)) + "\n"
    if "--write" in sys.argv:
        FILE.write_text(text, encoding="utf-8")
        PAGE.write_text(reference(), encoding="utf-8")
    else:
        print(text, end="")
