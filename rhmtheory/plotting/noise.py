"""Noise: what is left of each level of the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rhmtheory.exact.denoising import Denoised
from rhmtheory.exact.populations import Overlaps
from rhmtheory.plotting.style import DATA, house_style, level_colors, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@house_style()
def plot_overlaps(overlaps: Overlaps, ax: Axes | None = None) -> Axes:
    """Draw the mean belief in the right symbol against the noise, one line per level, the root darkest.

    Parameters
    ----------
    overlaps : Overlaps
        Of several noise levels.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    if ax is None:
        _, (ax,) = new_figure()
    order = np.argsort(overlaps.noise)
    noise, belief = overlaps.noise[order], overlaps.belief[order]
    top = belief.shape[1] - 1
    for level, color in enumerate(level_colors(top + 1)):
        name = {0: "tokens", top: f"root, level {top}"}.get(level, f"level {level}")
        ax.plot(noise, belief[:, level], "o-", ms=3, color=color, label=name)
    ax.set(xlabel="noise ε of the tokens", ylabel="mean belief in the right symbol", ylim=(0, 1.02))
    ax.legend(fontsize=8)
    return ax


def plot_denoised(found: Denoised, ax: Axes | None = None) -> Axes:
    """Draw the susceptibility against the noise, and on an axis of its own how often class and tokens change.

    Parameters
    ----------
    found : Denoised
        Of several noise levels.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
        That of the susceptibility.
    """
    if ax is None:
        _, (ax,) = new_figure()
    order = np.argsort(found.noise)
    noise, chi = found.noise[order], found.susceptibility[order]
    error = found.susceptibility_error[order]
    lines: list[Any] = [ax.errorbar(noise, chi, error, fmt="ko-", ms=4, capsize=2, label="susceptibility χ")]
    other = ax.twinx()
    for level, color, name in ((-1, "0.2", "class changes"), (0, DATA, "token changes")):
        lines += other.plot(noise, found.changed[order, level], "--", color=color, label=name)
    ax.set(xlabel="noise ε of the tokens", ylabel="susceptibility χ", ylim=(0, None))
    other.set(ylabel="probability", ylim=(0, 1.02))
    ax.legend(handles=lines, fontsize=8, loc="upper left")
    return ax
