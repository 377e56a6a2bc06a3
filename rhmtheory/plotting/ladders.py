"""Ladders: the step factor of each network against the rules per symbol, between the published laws."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from rhmtheory.comparison._units import multiplicity
from rhmtheory.comparison.ladders import Ladder
from rhmtheory.plotting._axes import draw_estimate, estimate_text, plain_ticks
from rhmtheory.plotting.style import FINITE_SIZE, PUBLISHED, Style, house_style, new_figure, styles
from rhmtheory.support.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@house_style()
def plot_ladders(ladders: Sequence[Ladder], ax: Axes | None = None) -> Axes:
    """Step factor against m, one network per colour, between the lines ``m`` and ``m**2`` of the published laws.

    Raises `InputError` where there is no ladder.

    Parameters
    ----------
    ladders : sequence of Ladder
        One network each.
    ax : Axes, optional
        By default those of a new figure; returned.
    """
    ax = new_figure()[1][0] if ax is None else ax
    if not ladders:
        raise InputError(
            "ladders", rule="are none", way_out="a ladder needs one network on ensembles with several m"
        )
    style = styles([one.label for one in ladders])
    ms = np.array(sorted({multiplicity(m.curves.rhm) for one in ladders for m in one.measurements}))
    wide = np.array([ms[0] / 1.1, ms[-1] * 1.1])
    for power, name in ((1, "m"), (2, "m^2")):
        ax.plot(wide, wide**power, color=PUBLISHED.color, lw=1, ls=PUBLISHED.line, zorder=1)
        ax.annotate(
            f"${name}$",
            (wide[1], wide[1] ** power),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color="0.35",
        )
    for law in dict.fromkeys(one.slope.judged[0].law for one in ladders if one.slope.judged):
        members = next(one for one in ladders if one.slope.judged and one.slope.judged[0].law == law).measurements
        exact = [(multiplicity(m.curves.rhm), m.step_factor.against("finite_size", law).predicted) for m in members]
        ax.plot(*zip(*exact, strict=True), color=FINITE_SIZE.color, lw=1, ls=FINITE_SIZE.line, zorder=1)
    for i, one in enumerate(ladders):
        _draw_ladder(one, style[one.label], ax, shift=1 + 0.012 * (i - (len(ladders) - 1) / 2))
    ax.plot([], [], color=FINITE_SIZE.color, lw=1, ls=FINITE_SIZE.line, label="finite-size prediction")
    ax.set(
        xscale="log", yscale="log", xlabel="production rules per symbol, $m$", ylabel="factor in samples per level"
    )
    ax.set_xticks(ms, [f"{m:g}" for m in ms])
    ax.set_xticks([], minor=True)
    plain_ticks(ax.yaxis)
    rhm = ladders[0].measurements[0].curves.rhm
    where = ", ".join(filter(None, (f"$f={rhm.f:g}$, $s={rhm.s}$, $L={rhm.L}$", ladders[0].protocol)))
    ax.set_title(f"one more level costs $m^a$ times the samples ({where})", fontsize=10)
    ax.legend(fontsize=8, loc="upper left", title="slope $a$ [95%]", title_fontsize=8)
    return ax


def _draw_ladder(one: Ladder, look: Style, ax: Axes, shift: float) -> None:
    for m in one.measurements:
        found, x = m.step_factor.measured, multiplicity(m.curves.rhm) * shift
        if isnan(found.best):
            continue
        draw_estimate(x, found, look, ax)
    label = f"{one.label}: {estimate_text(one.slope.measured)}"
    fitted = one.fitted
    a = one.slope.measured.best
    if len(fitted) > 1 and not isnan(a):
        ln_m = np.log([multiplicity(m.curves.rhm) for m in fitted])
        ln_F = np.log([m.step_factor.measured.best for m in fitted])
        ends = np.array([ln_m.min(), ln_m.max()])
        ax.plot(
            np.exp(ends) * shift,
            np.exp(ln_F.mean() + a * (ends - ln_m.mean())),
            color=look.color,
            ls=look.line,
            lw=1.5,
        )
    ax.plot([], [], look.marker, color=look.color, ls=look.line, mec="black", label=label)
