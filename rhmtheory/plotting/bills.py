"""Two bills of a step, drawn: samples and updates, and how each grows from level to level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from rhmtheory.comparison._units import predicted_steps
from rhmtheory.comparison.bill_fits import LAWS, Bills, StepBill
from rhmtheory.comparison.bills import TwoBills
from rhmtheory.language.rhm import RHM
from rhmtheory.plotting._axes import ensemble_name, file_name
from rhmtheory.plotting.style import Style, house_style, new_figure, styles
from rhmtheory.support.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHADES = (0.35, 0.5, 0.75, 1.0)
_SIZE: dict[str, Any] = {"width": 3.6, "height": 4.2}
_PER_ENTRY = 4.0
"""Updates per entry of the table that the CNN takes, drawn as the law of updates."""


@house_style()
def plot_bills(found: TwoBills, axes: Sequence[Axes] | None = None, *, rhm: RHM | None = None) -> list[Axes]:
    """Draw what each level costs each network on one ensemble, in samples and in updates.

    A panel for each network has the samples of every step against B / eta, with the fitted sum and its two
    asymptotes: level, where samples limit, and rising, where updates do. Beside them both terms against k, with the
    laws as grey lines.

    Parameters
    ----------
    found : TwoBills
    axes : sequence of Axes, optional
        One per network on the ensemble, and two; by default those of a new figure.
    rhm : RHM, optional
        The ensemble; without it that with the most networks.

    Returns
    -------
    list of Axes

    Raises
    ------
    InputError
        Where nothing was measured on that ensemble.
    """
    ensembles = _ensembles(found)
    chosen = rhm or next(iter(ensembles), None)
    series = [one for one in found.series if one.rhm == chosen and one.steps]
    if chosen is None or not series:
        raise InputError("rhm", rhm, "has no bills", f"choose one of {ensembles}")
    look = styles([one.label for one in series])
    axes = new_figure(len(series) + 2, **_SIZE)[1] if axes is None else list(axes)
    if len(axes) != len(series) + 2:
        raise InputError("axes", len(axes), f"must be {len(series) + 2}", "give one per network, and two")
    lows, highs = [], []
    ends = min(one.x[0] for one in series) / 2, max(one.x[-1] for one in series) * 1.6
    for one, ax in zip(series, axes, strict=False):
        _draw_sum(one, look[one.label], ends, ax)
        lows.append(ax.get_ylim()[0])
        highs.append(ax.get_ylim()[1])
    for ax in axes[: len(series)]:
        ax.set_ylim(min(lows), max(highs))
    axes[0].set_ylabel("samples seen until level $k$ is learnt, $P^*_k$")
    _draw_terms(series, look, axes[-2:])
    title = f"What a level costs, in samples and in updates ({ensemble_name(chosen)})"
    axes[0].figure.suptitle(title, fontsize=11)
    return axes


def bills_figures(found: TwoBills) -> dict[str, Figure]:
    """Draw the bills of each ensemble: ``bills`` is that with the most networks, others bear its parameters.

    Parameters
    ----------
    found : TwoBills
    """
    out = {}
    for i, rhm in enumerate(_ensembles(found)):
        panels = sum(one.rhm == rhm and bool(one.steps) for one in found.series) + 2
        name = f"bills_{file_name(rhm)}" if i else "bills"
        out[name], axes = new_figure(panels, shown=False, **_SIZE)
        plot_bills(found, axes, rhm=rhm)
    return out


def _ensembles(found: TwoBills) -> list[RHM]:
    """Ensembles on which steps were made, that with the most networks first."""
    counts = Counter(one.rhm for one in found.series if one.steps)
    return [rhm for rhm, _ in counts.most_common()]


def _draw_sum(one: Bills, style: Style, ends: tuple[float, float], ax: Axes) -> None:
    x = np.geomspace(*ends, 100)
    drawn = [step for step in one.steps if step.k > 0]
    for step in drawn:
        kind: dict[str, Any] = {"color": style.color, "alpha": _shade(step.k)}
        mean = np.exp(np.nanmean(step.fit.ln_y, axis=0))
        ax.plot(step.fit.x, mean, style.marker, ms=6, **kind)
        E, tau = np.exp(step.fit.mean_terms())
        ax.plot(x, E + x * tau, "-", lw=1.8, **kind)
        ax.plot(x, tau * x, ":", lw=1.1, **kind)
        if not step.E.at_most:
            ax.axhline(E, ls="--", lw=1.1, **kind)
        place: dict[str, Any] = {"xytext": (3, 0), "textcoords": "offset points", "va": "center"}
        ax.annotate(f"k = {step.k}", (x[-1], step.samples(x[-1])), color=style.color, fontsize=9, **place)
    ax.set(xscale="log", yscale="log", xlim=(x[0], x[-1] * 2.4), xlabel=_variable(one), title=one.label)
    ax.set_xticks(one.x, [f"{value:g}" for value in one.x])
    ax.minorticks_off()
    measured = [float(np.exp(np.nanmin(step.fit.ln_y))) for step in drawn]
    terms = [step.E.best for step in drawn if not step.E.at_most]
    ax.set_ylim(max(min(terms + measured) / 1.5, min(measured) / 10), ax.get_ylim()[1])
    ax.plot([], [], "--", color="0.4", lw=1.1, label="samples $E_k$")
    ax.plot([], [], ":", color="0.4", lw=1.1, label=f"updates {_updates(one)}")
    ax.legend(fontsize=8, loc="upper left", frameon=False)


def _variable(one: Bills) -> str:
    return r"batch over rate, $B/\eta$" if one.optimiser == "sgd" else "batch $B$"


def _updates(one: Bills) -> str:
    return r"$(B/\eta)\,\tau_k$" if one.optimiser == "sgd" else "$B\\,S_k$"


def _shade(k: int) -> float:
    return _SHADES[min(k, len(_SHADES) - 1)]


def _draw_terms(series: Sequence[Bills], look: dict[str, Style], axes: Sequence[Axes]) -> None:
    rhm = series[0].rhm
    levels = np.arange(1, rhm.L)
    for ax, term in zip(axes, ("E", "tau"), strict=True):
        for i, one in enumerate(series):
            style = look[one.label]
            for step in one.steps:
                if step.k > 0:
                    _draw_estimate(step, term, step.k + 0.12 * (i - (len(series) - 1) / 2), style, ax)
            ax.plot([], [], style.marker, color=style.color, label=one.label)
        ax.set(yscale="log", xlabel="level $k$", xticks=levels, xlim=(0.6, rhm.L - 0.4))
    known = {
        k: [x.E.best for one in series if (x := one.step(k)) is not None and not x.E.at_most]
        for k in levels.tolist()
    }
    first = next(
        (k for k, values in known.items() if values), 1
    )  # the laws begin at the first level that is no mere bound
    anchor = float(np.exp(np.mean(np.log(known[first])))) if known[first] else np.nan
    for (name, law), line, text in zip(LAWS.items(), ("-", "--"), ("$m$", "$m^2$"), strict=True):
        P = predicted_steps(rhm, law, "finite_size")
        label = f"{name} law, {text} per level"
        axes[0].plot(levels, P[1:] * anchor / P[first], line, color="0.6", lw=1.2, zorder=0, label=label)
    m = rhm.m_eff(1)
    entries = rhm.n_symbols(0) * np.cumprod([rhm.m_eff(level) for level in range(1, rhm.L + 1)])[1:]
    axes[1].plot(levels, _PER_ENTRY * entries, "-", color="0.6", lw=1.2, zorder=0,
                 label=rf"${_PER_ENTRY:g}\,v\,m^{{k+1}}$")  # fmt: skip
    axes[1].plot(levels, _PER_ENTRY * entries * m ** ((levels - 1) / 2), "--", color="0.6", lw=1.2, zorder=0,
                 label=r"times $D_k = m^{(k-1)/2}$")  # fmt: skip
    axes[0].set(title="samples $E_k$")
    axes[1].set(title=r"updates $\tau_k$" if series[0].optimiser == "sgd" else "updates $S_k$")
    for ax in axes:
        ax.legend(fontsize=8, frameon=False, loc="upper left")


def _draw_estimate(step: StepBill, term: str, at: float, style: Style, ax: Axes) -> None:
    estimate = step.E if term == "E" else step.tau
    if isnan(estimate.best):
        return
    kind: dict[str, Any] = {"color": style.color, "marker": style.marker, "ms": 6, "capsize": 3}
    low, high = (estimate.best if isnan(x) else x for x in (estimate.low, estimate.high))
    down = estimate.best / 2 if estimate.at_most else estimate.best - low
    ends = np.array([[down], [high - estimate.best]])
    ax.errorbar(at, estimate.best, yerr=ends, uplims=estimate.at_most, **kind)
