"""What callers may pass: the signatures of both packages, one a line.

    python tests/data/make_interface.py            # shows them
    python tests/data/make_interface.py --write    # freezes them in tests/data/interface.txt

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


class _Named:
    """A function as a default, by its name: its address changes from run to run."""

    def __init__(self, function: Any) -> None:
        self._name = function.__qualname__

    def __repr__(self) -> str:
        return str(self._name)

    @classmethod
    def of(cls, default: Any) -> Any:
        """The default, or the name of a function."""
        return cls(default) if inspect.isfunction(default) else default


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


def lines(modules: list[str]) -> Iterator[str]:
    """Functions, classes and their methods in the order of the modules."""
    for name in modules:
        for attribute, thing in vars(importlib.import_module(name)).items():
            if attribute.startswith("_") or getattr(thing, "__module__", None) != name:
                continue
            if inspect.isfunction(thing):
                yield f"{name}.{attribute}{signature(thing)}"
            elif inspect.isclass(thing):
                yield f"{name}.{attribute}{kind(thing)}"
                for method, raw in vars(thing).items():
                    value = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
                    if inspect.isfunction(value) and (method == "__init__" or not method.startswith("_")):
                        yield f"{name}.{attribute}.{method}{signature(value)}"


def interface(package: str) -> list[str]:
    """The lines of one package: of its modules without an underscore, and not of commands, which have their own."""
    names = sorted(floors.modules({package: floors.PACKAGES[package]}))
    return list(lines([name for name in names if "._" not in name and ".cli" not in name]))


if __name__ == "__main__":
    text = "\n".join(line for package in floors.PACKAGES for line in interface(package)) + "\n"
    FILE.write_text(text, encoding="utf-8") if "--write" in sys.argv else print(text, end="")
