"""Methods that are written elsewhere: `RHM` and `Grammar` offer what upper floors compute from them."""

from __future__ import annotations

from importlib import import_module
from types import MethodType
from typing import Any


class Forward:
    """A method that is a function of another module, loaded when the method is first asked for.

    ``target`` is ``"module:function"``; the function takes the object as its first argument. What is handed out is
    the function itself, bound, so that `help` and `inspect.signature` show its own text and arguments. For type
    checkers the class names the function in a ``TYPE_CHECKING`` block.
    """

    def __init__(self, target: str) -> None:
        self.target = target

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        module, _, path = self.target.partition(":")
        function: Any = import_module(module)
        for name in path.split("."):
            function = getattr(function, name)
        return function if instance is None else MethodType(function, instance)

    def __repr__(self) -> str:
        return f"Forward({self.target!r})"
