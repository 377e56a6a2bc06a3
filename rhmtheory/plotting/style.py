"""Colours, line styles and figures: what all plots share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rhmtheory.support.errors import InputError
from rhmtheory.support.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Style:
    """How one network is drawn: a colour of Okabe and Ito, which the colour-blind tell apart.

    The line and the marker are its own too, for grey print.
    """

    color: str
    line: str | tuple[int, tuple[float, ...]]
    marker: str


STYLES = {
    "cnn": Style("#D55E00", "-", "o"),
    "lcn": Style("#009E73", "--", "s"),
    "decoder": Style("#0072B2", "-.", "^"),
    "transformer": Style("#0072B2", "-.", "^"),
    "attention": Style("#CC79A7", ":", "D"),
    "fcn": Style("#E69F00", (0, (5, 1, 1, 1, 1, 1)), "v"),
}
"""Networks that are always drawn alike."""

_OTHERS = (
    Style("#56B4E9", (0, (6, 2)), "P"),
    Style("#000000", "-", "X"),
    Style("#E69F00", "-.", "p"),
    Style("#CC79A7", "--", "h"),
    Style("#009E73", ":", "d"),
    Style("#0072B2", "-", "<"),
    Style("#D55E00", ":", ">"),
)


def styles(labels: Sequence[str]) -> dict[str, Style]:
    """Return a style per label: that of its network where the label is one's name, else the next of the others.

    Labels may repeat; each has one style.
    """
    free = iter(_OTHERS * (1 + len(labels) // len(_OTHERS)))
    return {label: STYLES[label] if label in STYLES else next(free) for label in dict.fromkeys(labels)}


def new_figure(columns: int = 1, width: float = 6.4, height: float = 4.6) -> tuple[Figure, list[Axes]]:
    """Make a figure outside pyplot's global state, with axes side by side.

    Parameters
    ----------
    columns : int
    width, height : float
        Of each axes, in inches.

    Returns
    -------
    figure : Figure
    axes : list of Axes
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height), layout="constrained")
    axes = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
    return figure, axes


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, PDF or SVG, by the ending of the file.

    Parameters
    ----------
    figure : Figure
    path : path
        Overwritten.

    Raises
    ------
    InputError
        For an ending of no format.
    """
    ending = Path(path).suffix[1:].lower() or "png"
    try:
        with whole_file(path) as file:
            figure.savefig(file, dpi=150, format=ending)
    except ValueError as error:
        raise InputError("path", str(path), "cannot be written", str(error)) from error
