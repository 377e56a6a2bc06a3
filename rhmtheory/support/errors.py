"""What goes wrong, said as four parts: the name, the value, the rule it breaks, and the way out."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Any


class _NotSaid(Enum):
    # an enumeration stays the same object when an error is handed on by another process
    NOT_SAID = "not said"

    def __repr__(self) -> str:
        return self.name


NOT_SAID: Any = _NotSaid.NOT_SAID
"""Stands for a value that an error does not show."""
_LONGEST_VALUE = 80
_NAME = re.compile(r"`([^`]+)`")


class _ExplainedError(Exception):
    """An error of four parts; whoever shows it decides how parameters are called."""

    def __init__(self, name: str, value: Any = NOT_SAID, rule: str = "", way_out: str = "") -> None:
        super().__init__(name, value, rule, way_out)
        self.name, self.value, self.rule, self.way_out = name, value, rule, way_out

    def render(self, call: Callable[[str], str] = str) -> str:
        """Return one sentence, ``name=value rule: way out``.

        Parameters
        ----------
        call : callable, optional
            Takes the name of a parameter and returns what this reader calls it, such as the flag of a command.
            It is applied to the name of the error and to every name in backquotes within the rule and the way out.
        """
        subject = call(self.name)
        if self.value is not NOT_SAID:
            subject += f"={_short(self.value)}"
        text = " ".join(part for part in (subject, self.rule) if part)
        text += f": {self.way_out}" if self.way_out else ""
        return _NAME.sub(lambda found: call(found[1]), text)

    def __str__(self) -> str:
        return self.render()


class InputError(_ExplainedError, ValueError):
    """A value the caller gave breaks a rule; its text names the value, the rule and the way out.

    Parameters
    ----------
    name : str
        The parameter, or the thing, that is wrong.
    value : object, optional
        What was given; shown behind the name, cut where it is long.
    rule : str
        What it should be, read after name and value: ``is too small``. Parameters within are in backquotes.
    way_out : str
        What to do, such as ``give at least 3``.

    Examples
    --------
    >>> error = InputError("m", 20, "rules of `v`=16 symbols exceed the 256 tuples", "lower `m` to at most 16")
    >>> print(error)
    m=20 rules of v=16 symbols exceed the 256 tuples: lower m to at most 16
    >>> print(error.render(lambda name: f"--{name}"))
    --m=20 rules of --v=16 symbols exceed the 256 tuples: lower --m to at most 16
    """


class ResourceError(_ExplainedError, RuntimeError):
    """The machine could not do what was asked: a disk is full, a worker was ended, memory does not suffice.

    The parameters are those of `InputError`.
    """


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
