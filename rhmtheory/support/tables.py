"""Narrow tables for terminals and notebooks."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from typing import Any

from rhmtheory.support.errors import ResourceError

WIDTH = 80
"""Columns of a terminal that a table fits."""


@dataclass(frozen=True)
class Table:
    """A title, heads of columns, rows of cells, and a sentence below that sums them up."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    summary: str = ""

    def __str__(self) -> str:
        """Plain text: numbers to the right, words to the left."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        words = [any(row[i].strip()[:1].isalpha() for row in self.rows) for i in range(len(self.columns))]
        texts = [
            "  ".join(
                cell.ljust(width) if word else cell.rjust(width)
                for cell, width, word in zip(line, widths, words, strict=True)
            ).rstrip()
            for line in lines
        ]
        rule = "  ".join("-" * width for width in widths)
        return "\n".join([*textwrap.wrap(self.title, WIDTH), texts[0], rule, *texts[1:], *self._below()])

    def _below(self) -> list[str]:
        return textwrap.wrap(self.summary, WIDTH) if self.summary else []

    def html(self) -> str:
        """An HTML table."""
        head = "".join(f"<th>{escape(text)}</th>" for text in self.columns)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows)
        below = f"<p>{escape(self.summary)}</p>" if self.summary else ""
        return f"<table><caption>{escape(self.title)}</caption><tr>{head}</tr>{body}</table>{below}"


def frame(rows: Sequence[Mapping[str, Any]], instead: str = "to_dict") -> Any:
    """Return a pandas DataFrame with one line per row.

    Raises `ResourceError` where pandas, which is no dependency, is not installed.
    """
    try:
        pandas = import_module("pandas")
    except ImportError:
        raise ResourceError("pandas", rule="is not installed", way_out=f"install it, or use `{instead}`") from None
    return pandas.DataFrame(list(rows))


def text(tables: Sequence[Table], notes: Sequence[str] = ()) -> str:
    """Tables one below the other, and remarks below them."""
    wrapped = "\n".join(textwrap.fill(f"- {note}", WIDTH, subsequent_indent="  ") for note in notes)
    return "\n\n".join([str(table) for table in tables if table.rows] + [wrapped] * bool(notes))


def html(tables: Sequence[Table], notes: Sequence[str] = ()) -> str:
    """The same for notebooks."""
    return "".join(table.html() for table in tables if table.rows) + "".join(
        f"<p>{escape(note)}</p>" for note in notes
    )
