"""Parts of axes that several figures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rhmtheory.tree.shape import Shape

if TYPE_CHECKING:
    from matplotlib.axis import Axis


def plain_ticks(axis: Axis, subs: Sequence[float] = (1.0, 2.0, 5.0)) -> None:
    """Plain numbers at ``subs`` times powers of ten, for an axis of logarithms."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def ensemble_name(shape: Shape) -> str:
    """The parameters of an ensemble, as in a title."""
    return ", ".join(
        f"weights {value}" if name == "weights" else f"${name}={value}$"
        for name, value in shape.short_parameters().items()
    )


def file_name(shape: Shape) -> str:
    """Return the parameters of an ensemble as part of the name of a file.

    Parameters
    ----------
    shape : Shape
    """
    parts = [f"{name}{value}" for name, value in shape.short_parameters().items()]
    return "_".join(parts).replace(", ", "-").translate(str.maketrans("", "", "()"))
