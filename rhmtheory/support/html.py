"""Tables for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts and numbers, escaped; without a line of heads where all are empty."""
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(x))}</td>' for x in row)}</tr>" for row in rows)
    head = "".join(f"<th>{escape(x)}</th>" for x in heads)
    return f"<table><caption>{escape(caption)}</caption>{f'<tr>{head}</tr>' if any(heads) else ''}{body}</table>"
