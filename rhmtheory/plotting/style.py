"""Colours, line styles and figures: what all plots share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

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

PUBLISHED = Style("0.65", (0, (1, 1)), "")
FINITE_SIZE = Style("0.3", (0, (5, 3)), "")
"""The two predictions are grey, apart from every network: dots for the published one, dashes for finite size."""

DATA = "#56B4E9"
"""What was measured without a network: on sentences, on one grammar, on a corpus."""

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


def level_colors(count: int) -> list[tuple[float, float, float, float]]:
    """Colours of levels or layers, from light to dark: no network has one of them."""
    from matplotlib import colormaps

    return [colormaps["viridis_r"](0.15 + 0.8 * i / max(1, count - 1)) for i in range(count)]


@cache
def _house_parameters() -> Any:
    from matplotlib import rc_params_from_file

    return rc_params_from_file(Path(__file__).with_name("house.mplstyle"), use_default_template=False)


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the style of this package inside a ``with`` block, or inside the function that it decorates.

    Outside, the user's own settings hold. For a whole script: ``plt.style.use("rhmtheory.plotting.house")``.
    """
    from matplotlib import rc_context

    with rc_context(_house_parameters()):
        yield


def new_figure(
    columns: int = 1, width: float = 6.4, height: float = 4.6, *, shown: bool = True
) -> tuple[Figure, list[Axes]]:
    """Make a figure in the style of this package, with axes side by side.

    Parameters
    ----------
    columns : int
    width, height : float
        Of each axes, in inches.
    shown : bool
        Whether pyplot knows the figure: a notebook then shows it below the cell, and a script by ``plt.show()``. A
        figure that is written to a file does without.

    Returns
    -------
    figure : Figure
    axes : list of Axes
    """
    size = width * columns, height
    with house_style():
        figure: Figure
        if shown:
            from matplotlib import pyplot

            figure = pyplot.figure(figsize=size)
        else:
            from matplotlib.figure import Figure as Hidden

            figure = Hidden(figsize=size)
        axes = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
    return figure, axes


def mark_plateaus(plateaus: npt.ArrayLike, ax: Axes) -> None:
    """Draw horizontal lines at ``H_k`` (nats), named at the right edge; zero has no place on a log axis."""
    for k, H in enumerate(np.asarray(plateaus, dtype=float)):
        if H > 0:
            ax.axhline(H, color="0.6", lw=0.8, zorder=0)
            ax.annotate(
                f"$H_{k}$", (1, H), xycoords=("axes fraction", "data"), fontsize=9, color="0.35",
                xytext=(3, -3), textcoords="offset points",
            )  # fmt: skip


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
        with whole_file(path) as file, house_style():
            figure.savefig(file, dpi=150, format=ending)
    except ValueError as error:
        raise InputError("path", str(path), "cannot be written", str(error)) from error
