"""Parts of axes that several figures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

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


def mark_plateaus(plateaus: npt.ArrayLike, ax: Axes) -> None:
    """Draw horizontal lines at ``H_k`` (nats), named at the right edge; zero has no place on a log axis."""
    for k, H in enumerate(np.asarray(plateaus, dtype=float)):
        if H > 0:
            ax.axhline(H, color="0.6", lw=0.8, zorder=0)
            ax.annotate(
                f"$H_{k}$", (1, H), xycoords=("axes fraction", "data"), fontsize=9, color="0.35",
                xytext=(3, -3), textcoords="offset points",
            )  # fmt: skip
