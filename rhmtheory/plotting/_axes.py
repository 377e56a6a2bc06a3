"""Parts of axes that several figures share."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

from rhmtheory.fitting.intervals import Estimate
from rhmtheory.plotting.style import Style
from rhmtheory.tree.shape import Shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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


def estimate_text(measured: Estimate) -> str:
    """The number with its interval, for labels."""
    text = str(measured)
    return text.replace(">= ", r"$\geq$ ")


def draw_estimate(x: float, found: Estimate, look: Style, ax: Axes, label: str | None = None) -> None:
    """One point with its interval, or with an arrow where it is a lower bound."""
    if found.at_least:
        ax.plot([x], [found.best], look.marker, color=look.color, mfc="white", ms=7, zorder=4, label=label)
        ax.annotate(
            "", (x, found.best * 1.6), (x, found.best), arrowprops={"arrowstyle": "->", "color": look.color}
        )
        return
    bars = None if isnan(found.low) else [[found.best - found.low], [found.high - found.best]]
    ax.errorbar(
        [x], [found.best], bars, fmt=look.marker, color=look.color, mec="black", mew=0.8, ms=7, capsize=3, zorder=4,
        label=label,
    )  # fmt: skip
