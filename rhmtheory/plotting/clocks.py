"""Two clocks beside one another: the samples a step needs, and the time it takes."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from rhmtheory.comparison.measurement import Measurement
from rhmtheory.comparison.studies import Study
from rhmtheory.plotting._axes import ensemble_name, plain_ticks
from rhmtheory.plotting.style import house_style, new_figure, styles
from rhmtheory.support.errors import InputError
from rhmtheory.theory._staircase import first_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pair = tuple[Measurement, Measurement]


def clock_pairs(study: Study) -> list[Pair]:
    """One (offline, online) pair of measurements for each network and ensemble that a ``study`` has both of."""
    online = {(m.curves.rhm, m.curves.name): m for m in study.measurements if m.curves.protocol == "online"}
    return [
        (m, online[m.curves.rhm, m.curves.name])
        for m in study.measurements
        if m.curves.time is not None and (m.curves.rhm, m.curves.name) in online
    ]


@house_style()
def plot_clocks(pairs: Sequence[Pair], axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Samples seen until each step is made, repeats counted, against the size of the fixed training set.

    A line is one
    step: to the left it ends where the training set is too small for it (dotted: the crossing ``P*_k`` of the best
    test loss), to the right it goes over into the time that the step takes however many sentences there are. Online
    every sentence is fresh, on the diagonal: the filled marker. Where the marker lies level with the line's right
    end and far to the right of its left end, the online run is limited by time, not by samples.

    Parameters
    ----------
    pairs : sequence of (Measurement, Measurement)
        Offline and online measurements of one network.
    axes : sequence of Axes, optional
        One per pair; by default those of a new figure.

    Returns
    -------
    list of Axes

    Raises
    ------
    InputError
        Where there are not as many axes as pairs.
    """
    axes = new_figure(len(pairs), width=4.6, height=4.4)[1] if axes is None else list(axes)
    if len(pairs) != len(axes):
        raise InputError("axes", len(axes), f"must be {len(pairs)}", "give one per pair, or none")
    look = styles([offline.curves.name for offline, _ in pairs])
    lows, highs = [], []
    for (offline, online), ax in zip(pairs, axes, strict=True):
        curves, style = offline.curves, look[offline.curves.name]
        time = curves.mean_time
        first, L = first_step(curves.rhm.L), curves.rhm.L
        for k in range(first, L):
            shade = 1.0 - 0.45 * (k - first) / max(1, L - 1 - first)
            kind: dict[str, Any] = {"color": style.color, "alpha": shade}
            ax.plot(curves.P, time[:, k], ls=style.line, marker=".", lw=2, label=f"step {k}", **kind)
            needed, taken = offline.crossings[k], online.crossings[k]
            if not isnan(needed.best) and not needed.is_bound:
                ax.axvline(needed.best, ls=":", lw=1.5, **kind)
                lows.append(needed.best)
            if not isnan(taken.best) and not taken.is_bound:
                ax.plot(taken.best, taken.best, style.marker, mec="black", ms=9, zorder=4, **kind)
                highs.append(taken.best)
        known = time[np.isfinite(time)]
        lows += [curves.P.min(), *known[:1]]
        highs += [curves.P.max(), *known]
    ends = min(lows) / 1.5, max(highs) * 1.5
    for (offline, _), ax in zip(pairs, axes, strict=True):
        ax.plot(ends, ends, color="0.6", lw=0.9, zorder=0)
        ax.set(
            xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="sentences in the training set, $P$",
            ylabel="sentences seen until the step is made",
        )  # fmt: skip
        for axis in (ax.xaxis, ax.yaxis):
            plain_ticks(axis, subs=(1.0,))
        ax.plot([], [], color="0.3", ls=":", label="samples that suffice, $P^*_k$")
        ax.plot([], [], "o", color="0.6", mec="black", label="online: all sentences fresh")
        ax.set_title(f"{offline.curves.name}, {ensemble_name(offline.curves.rhm)}", fontsize=10)
        ax.legend(fontsize=8, loc="lower right")
    return axes
