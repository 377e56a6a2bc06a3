"""Names that are loaded at first use, so that importing a package waits for no compiler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package (PEP 562).

    ``modules`` lists public names by the module that holds them, its path relative to the package. A module itself
    is reached by the last part of its path.
    """
    home = {name: module for module, names in modules.items() for name in names}
    paths = {module.rpartition(".")[2]: module for module in modules}

    def load(name: str) -> Any:
        if name in home:
            return getattr(import_module(f"{package}.{home[name]}"), name)
        if name in paths:
            return import_module(f"{package}.{paths[name]}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        return sorted({*home, *paths})

    return load, names
