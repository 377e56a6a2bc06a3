"""What the commands print and write: tables for people, JSON for programs, figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table


def new_table(title: str, columns: Sequence[str]) -> Table:
    """An empty table of numbers."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def print_tables(*tables: Table, width: int = 80) -> None:
    """Print tables as wide as the terminal; ``width`` columns where there is none."""
    console = Console(width=None if sys.stdout.isatty() else width)
    for table in tables:
        console.print(table)


def print_json(content: Any) -> None:
    """Print plain numbers, lists and dicts."""
    click.echo(json.dumps(content, indent=1, allow_nan=False))


def save_figure(path: str, draw: Callable[[Any], object], *, columns: int = 1) -> None:
    """Draw into new axes, a list of them where there are several columns, and write them."""
    from rhmtheory.plotting import new_figure

    figure, axes = new_figure(columns, shown=False)
    draw(axes[0] if columns == 1 else axes)
    write_figure(path, figure)


def write_figure(path: str, figure: Any) -> None:
    """Write a figure in the format of the file's ending, and say so on the standard error stream."""
    from rhmtheory.plotting import save_figure as write

    write(figure, path)
    click.echo(f"figure written to {path}", err=True)
