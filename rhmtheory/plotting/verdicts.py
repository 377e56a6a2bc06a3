"""Measured learning curves over what theory says of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rhmtheory.comparison._units import multiplicity, predicted_steps
from rhmtheory.comparison.curves import LearningCurves, mean_by
from rhmtheory.comparison.findings import METHODS, Judged
from rhmtheory.comparison.ladders import Ladder
from rhmtheory.comparison.measurement import Measurement, step_curves
from rhmtheory.comparison.studies import Comparison, Study
from rhmtheory.fitting.intervals import t_bounds
from rhmtheory.fitting.levels import falling
from rhmtheory.language.rhm import RHM
from rhmtheory.plotting._axes import draw_estimate, ensemble_name, estimate_text, file_name, plain_ticks
from rhmtheory.plotting.clocks import clock_pairs, plot_clocks
from rhmtheory.plotting.ladders import plot_ladders
from rhmtheory.plotting.style import (
    FINITE_SIZE,
    PUBLISHED,
    Style,
    house_style,
    level_colors,
    mark_plateaus,
    new_figure,
    styles,
)
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.theory import crossing_levels
from rhmtheory.theory._staircase import first_step
from rhmtheory.theory.laws import as_law

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@house_style()
def plot_verdict(measurements: Sequence[Measurement], axes: Sequence[Axes] | None = None) -> list[Axes]:
    """The verdict on networks of one ensemble: `plot_curves` on the left, `plot_factors` on the right.

    Parameters
    ----------
    measurements : sequence of Measurement
        One network each.
    axes : two Axes, optional
        By default those of a new figure, ``plot_verdict(...)[0].figure``; returned.
    """
    left, right = new_figure(2, height=5.0)[1] if axes is None else axes
    plot_curves(measurements, left)
    plot_factors(measurements, right)
    return [left, right]


@house_style()
def plot_curves(measurements: Sequence[Measurement], ax: Axes | None = None) -> Axes:
    """Mean learning curves with their 95% bands, the plateaus, and the measured crossings.

    Grammars have different plateaus: before the mean, each curve is moved (piecewise linearly in the logarithm) so
    that the plateaus of its grammar come to lie on the mean ones. Thin steps of the same colour are the published
    prediction of the network's own law, times the one factor that puts its first fitted step where it was measured.

    Parameters
    ----------
    measurements : sequence of Measurement
        One network each.
    ax : Axes, optional
        By default those of a new figure; returned.
    """
    ax = new_figure()[1][0] if ax is None else ax
    style = styles([m.curves.name for m in measurements])
    H = max(measurements, key=lambda m: len(m.units.names)).curves.mean_plateaus
    for m in measurements:
        _draw_curve(m.curves, H, style[m.curves.name], ax)
        _draw_prediction(m, H, style[m.curves.name], ax)
    for m in measurements:
        _draw_crossings(m, H, style[m.curves.name], ax)
    mark_plateaus(H, ax)
    curves = measurements[0].curves
    samples = {"online": "samples seen, $P$", "offline": "training samples, $P$"}.get(
        curves.protocol, "samples, $P$"
    )
    several = any(len(m.units.names) > 1 for m in measurements)
    moved = "; plateaus of each grammar\nmoved to their mean" if several else ""
    ax.set(xscale="log", yscale="log", xlabel=samples, ylabel=f"test loss (nats){moved}")
    lowest = H[-1] if H[-1] > 0 else min(np.nanmin(m.curves.loss) for m in measurements)
    ax.set_ylim(lowest / 1.25, H[0] * 1.25)
    ax.set_title(f"learning curves come down from plateau to plateau; {ensemble_name(curves.rhm)}", fontsize=10)
    plain_ticks(ax.yaxis)
    ax.plot([], [], color="0.3", lw=0.9, label="thin: predicted steps, first one fitted")
    ax.legend(
        fontsize=8, loc="upper right", title="mean of grammars, 95% band" if several else None, title_fontsize=8
    )
    return ax


@house_style()
def plot_factors(measurements: Sequence[Measurement], ax: Axes | None = None) -> Axes:
    """Samples for each step, relative to the first that enters fits, with lines of factor m and m^2 per level.

    On these axes a power of m per level is a straight line. Dashes are the finite-size prediction of each law. What
    a network did not reach is a lower bound, with an arrow.

    Parameters
    ----------
    measurements : sequence of Measurement
        One network each.
    ax : Axes, optional
        By default those of a new figure; returned.
    """
    ax = new_figure()[1][0] if ax is None else ax
    rhm = measurements[0].curves.rhm
    first, style = first_step(rhm.L), styles([m.curves.name for m in measurements])
    k = np.arange(first, rhm.L)
    if rhm.has_alike_levels:
        m, end = rhm.m_eff(1), rhm.L - 1 + 0.12
        for power, name in ((1, "m"), (2, "m^2")):
            ax.plot(
                [first, end],
                [1, m ** (power * (end - first))],
                color=PUBLISHED.color,
                lw=1.2,
                ls=PUBLISHED.line,
                zorder=1,
            )
            ax.annotate(
                f"$\\times {name}$", (end, m ** (power * (end - first))), xytext=(3, 0), color="0.2", fontsize=10,
                textcoords="offset points", va="center",
            )  # fmt: skip
    predictions = {}
    for one in measurements:
        for law in one.curves.laws[:1]:
            P = predicted_steps(rhm, law, "finite_size")[first:]
            predictions[tuple(np.round(np.log(P / P[0]), 9))] = P / P[0]
    for relative in predictions.values():
        ax.plot(k, relative, color=FINITE_SIZE.color, lw=1, ls=FINITE_SIZE.line, zorder=1)
    for i, one in enumerate(measurements):
        _draw_steps(one, style[one.curves.name], ax, shift=0.03 * (i - (len(measurements) - 1) / 2))
    ax.plot([], [], color=FINITE_SIZE.color, lw=1, ls=FINITE_SIZE.line, label="finite-size predictions")
    ax.set(
        yscale="log",
        xlabel="step $k$",
        ylabel=rf"samples for step $k$ / samples for step {first}, $P^*_k/P^*_{first}$",
    )
    ax.set_xticks(k)
    ax.set_xlim(first - 0.15, rhm.L - 1 + 0.3)
    bottom, top = ax.get_ylim()
    ax.set_ylim(bottom, top * (top / bottom) ** 0.35)  # room for the legend
    plain_ticks(ax.yaxis)
    ax.set_title("what each further level costs", fontsize=10)
    ax.legend(
        fontsize=8, loc="upper left", title="factor per level [95%], and the law of the network", title_fontsize=8
    )
    return ax


@house_style()
def plot_exponents(
    measurements: Sequence[Measurement], ax: Axes | None = None, *, prediction: str = "finite_size"
) -> Axes:
    """Measured exponents against predicted ones, one point per network and ensemble, with the diagonal.


    Parameters
    ----------
    measurements : sequence of Measurement
        One network each.
    ax : Axes, optional
        By default those of a new figure; returned.
    prediction : {"many levels", "published", "finite_size"}
        The exponent for many levels, or that of the same fit on the same steps of the predicted staircase.

    Raises
    ------
    InputError
        For another prediction.
    """
    ax = new_figure()[1][0] if ax is None else ax
    known = (*METHODS, "many levels")
    if prediction not in known:
        raise InputError("prediction", prediction, "is unknown", f"choose one of {', '.join(known)}")
    shown = [m for m in measurements if m.curves.laws and not isnan(m.exponent.measured.best)]
    style = styles([m.curves.name for m in shown])
    named: set[str] = set()
    everything = []
    for m in shown:
        law = m.curves.laws[0]
        if prediction == "many levels":
            x = as_law(law).exponent(m.curves.rhm)
        else:
            x = m.exponent.against(prediction).predicted
        name, look = m.curves.name, style[m.curves.name]
        draw_estimate(x, m.exponent.measured, look, ax, label=None if name in named else name)
        named.add(name)
        everything += [x, m.exponent.measured.best]
    values = np.array([x for x in everything if np.isfinite(x)])
    if len(values):
        ends = values.min() / 1.3, values.max() * 1.3
        ax.plot(ends, ends, color="0.45", lw=1, zorder=1)
        ax.set(xlim=ends, ylim=ends)
        ax.legend(fontsize=8, loc="upper left")
    titles = {
        "many levels": "for many levels",
        "published": "same steps, published $P_k$",
        "finite_size": "same steps, $P_k$ at this size",
    }
    ax.set(
        xscale="log", yscale="log", xlabel=f"predicted exponent: {titles[prediction]}", ylabel="measured exponent"
    )
    for axis in (ax.xaxis, ax.yaxis):
        plain_ticks(axis)
    ax.set_aspect("equal")
    return ax


@house_style()
def plot_collapse(measurements: Sequence[Measurement], ax: Axes | None = None) -> Axes:
    """Steps of the learning curves over one another, against P / P_k of the published law.

    Where theory has the factor between the steps right, those of a network fall onto one curve.

    Parameters
    ----------
    measurements : sequence of Measurement
        One network each.
    ax : Axes, optional
        By default those of a new figure; returned.
    """
    ax = new_figure()[1][0] if ax is None else ax
    markers = "osD^v<>P"
    style = styles([m.curves.name for m in measurements])
    for m in measurements:
        if not m.curves.laws:
            continue
        P_k = predicted_steps(m.curves.rhm, m.curves.laws[0], "published")
        for k, (x, y) in zip(m.steps, step_curves(m.curves, P_k, m.steps), strict=True):
            look = style[m.curves.name]
            label = f"{m.curves.name}, step {k}"
            ax.plot(x, y, color=look.color, ls=look.line, marker=markers[k % 8], ms=5, label=label)
    ax.axhline(0.5, color="0.6", lw=0.8, zorder=0)
    ylabel = r"$\ln(\mathrm{loss}/H_{k+1})\,/\,\ln(H_k/H_{k+1})$"
    ax.set(xscale="log", xlabel="$P / P_k$ (published)", ylabel=ylabel)
    ax.set_title(f"steps over one another, {ensemble_name(measurements[0].curves.rhm)}", fontsize=10)
    if ax.lines[1:]:
        ax.legend(fontsize=8)
    return ax


@house_style()
def plot_context(
    rhm: RHM, curves: Sequence[tuple[str, npt.ArrayLike, npt.ArrayLike]], ax: Axes | None = None
) -> Axes:
    """Divergence of networks from ideal predictors with ``s**k - 1`` tokens of context, against samples.

    Parameters
    ----------
    rhm : RHM
        Named in the title.
    curves : sequence of (label, P, divergence)
        With divergence of shape (sizes, L + 1).
    ax : Axes, optional
        By default those of a new figure; returned.
    """
    ax = new_figure()[1][0] if ax is None else ax
    lines = ["-", "--", "-.", ":"]
    for i, (label, P, divergence) in enumerate(curves):
        D = np.asarray(divergence, dtype=float)
        for k, color in enumerate(level_colors(D.shape[1])):
            ax.plot(P, D[:, k], color=color, ls=lines[i % 4], marker=".", label=f"{label}, $k={k}$")
    ax.set(xscale="log", yscale="log", xlabel="training samples $P$", ylabel="KL(ideal$_k$ || network) (nats)")
    ax.set_title(f"context in use: the lowest curve, {ensemble_name(rhm)}", fontsize=10)
    ax.legend(fontsize=7, ncol=max(1, len(curves)))
    return ax


def study_figures(study: Study) -> dict[str, Figure]:
    """By name: ``comparison`` (the verdict) and ``collapse``; ``ladder`` and ``exponents`` for several ensembles;
    ``clocks`` where networks were trained both online and offline on one ensemble.

    With several ensembles, ``comparison`` and ``collapse`` are of the one that tells most: most networks with an
    interval of their factor, then the largest m; those of the others have its parameters in their names.

    Of a ``study``, as `comparison.study` makes it.
    """
    out: dict[str, Figure] = {}
    for i, comparison in enumerate(sorted(study.comparisons, key=_tells_most, reverse=True)):
        end = "" if i == 0 else f"_{_file_name(comparison)}"
        out[f"comparison{end}"], axes = new_figure(2, height=5.0, shown=False)
        plot_verdict(comparison.measurements, axes)
        out[f"collapse{end}"], (ax,) = new_figure(shown=False)
        plot_collapse(comparison.measurements, ax)
    if study.ladders:
        kinds: dict[tuple[str, float, int, int], list[Ladder]] = {}
        for one in study.ladders:
            rhm = one.measurements[0].curves.rhm
            kinds.setdefault((one.protocol, rhm.f, rhm.s, rhm.L), []).append(one)  # type: ignore[arg-type]
        out["ladder"], axes = new_figure(len(kinds), shown=False)
        for ax, members in zip(axes, kinds.values(), strict=True):
            plot_ladders(members, ax)
    fitted = [m for m in study.measurements if not isnan(m.exponent.measured.best)]
    if len({m.curves.rhm for m in fitted}) > 1:
        out["exponents"], axes = new_figure(3, width=4.4, height=4.4, shown=False)
        for ax, prediction in zip(axes, ("many levels", "published", "finite_size"), strict=True):
            plot_exponents(fitted, ax, prediction=prediction)
    pairs = clock_pairs(study)
    for rhm in dict.fromkeys(offline.curves.rhm for offline, _ in pairs):
        mine = [pair for pair in pairs if pair[0].curves.rhm == rhm]
        name = f"clocks_{file_name(rhm)}"
        out[name], axes = new_figure(len(mine), width=4.6, height=4.4, shown=False)
        plot_clocks(mine, axes)
    return out


def _tells_most(comparison: Comparison) -> tuple[int, float]:
    known = [m for m in comparison.measurements if m.curves.laws and not isnan(m.step_factor.measured.low)]
    return len({m.curves.law_names[0] for m in known}) * 100 + len(known), multiplicity(comparison.rhm)


def _file_name(comparison: Comparison) -> str:
    return "_".join(filter(None, (file_name(comparison.rhm), comparison.protocol)))


# --- parts ----------------------------------------------------------------------------------------------


def _draw_curve(curves: LearningCurves, H: FloatArray, look: Style, ax: Axes) -> None:
    """Mean over grammars, with its 95% band; the single curves where there are too few for one."""
    own = mean_by(curves.grammars, curves.plateaus)
    moved = np.array([_moved(row, mine, H) for row, mine in zip(np.log(curves.grammar_means), own, strict=True)])
    shown = ~np.isnan(curves.mean_loss)
    P, mean = curves.P[shown], moved[:, shown].mean(axis=0)
    _, low, high = t_bounds([moved[:, shown].T])
    if np.isnan(low).any():
        for row in moved if len(moved) > 1 else np.log(falling(curves.positive_loss)):
            ax.plot(curves.P, np.exp(row), color=look.color, lw=0.7, alpha=0.5)
    else:
        ax.fill_between(P, np.exp(low), np.exp(high), color=look.color, alpha=0.2, lw=0)
    ax.plot(P, np.exp(mean), color=look.color, ls=look.line, lw=2, label=curves.name, marker=look.marker, ms=0)


def _moved(ln_loss: FloatArray, own: FloatArray, common: FloatArray) -> FloatArray:
    """The logarithm of a curve, with its own plateaus moved to the common ones; beyond them it is shifted."""
    real = (own > 0) & (common > 0)
    x, y = np.log(own[real][::-1]), np.log(common[real][::-1])
    inside: FloatArray = np.interp(ln_loss, x, y)
    return np.where(
        ln_loss > x[-1], ln_loss + y[-1] - x[-1], np.where(ln_loss < x[0], ln_loss + y[0] - x[0], inside)
    )


def _draw_prediction(m: Measurement, H: FloatArray, look: Style, ax: Axes) -> None:
    if isnan(m.prefactor):
        return
    first = first_step(m.curves.rhm.L)
    # earlier steps cost time, not samples, and have a prefactor of their own
    P_k = m.prefactor * predicted_steps(m.curves.rhm, m.curves.laws[0], "published")[first:]
    x = [P_k[0] / 2.5, *np.repeat(P_k, 2), P_k[-1] * 2.5]
    ax.plot(x, np.repeat(H[first:], 2), color=look.color, lw=0.9, ls=look.line, alpha=0.8, zorder=1.5)


def _draw_crossings(m: Measurement, H: FloatArray, look: Style, ax: Axes) -> None:
    for level, P in zip(crossing_levels(H), m.crossings, strict=True):
        if isnan(P.best) or P.is_bound:
            continue
        bars = None if isnan(P.low) else [[P.best - P.low], [P.high - P.best]]
        ax.errorbar(
            [P.best], [level], xerr=bars, fmt=look.marker, color=look.color, mec="black", mew=0.8, ms=7, capsize=2,
            zorder=5,
        )  # fmt: skip


def _draw_steps(m: Measurement, look: Style, ax: Axes, shift: float) -> None:
    """Ratios to the first step: points with intervals, arrows for lower bounds, a line through them."""
    first, L = first_step(m.curves.rhm.L), m.curves.rhm.L
    rows = list(m.used)
    if not rows or m.units.late[rows, first].any() or np.isnan(m.units.ln_P[rows, first]).any():
        return
    line = [(float(first), 1.0)]
    for k in range(first + 1, L):
        rise = m.units.ln_P[rows, k] - m.units.ln_P[rows, first]
        if np.isnan(rise).any():
            break
        best, low, high = (float(np.exp(x)) for x in t_bounds([rise]))
        if m.units.late[rows, k].any():
            ax.plot([k + shift], [best], look.marker, color=look.color, mfc="white", ms=7, zorder=4)
            ax.annotate(
                "", (k + shift, best * 2.2), (k + shift, best), arrowprops={"arrowstyle": "->", "color": look.color}
            )
            line.append((k + shift, best))
            break
        bars = None if isnan(low) else [[best - low], [high - best]]
        ax.errorbar(
            [k + shift],
            [best],
            bars,
            fmt=look.marker,
            color=look.color,
            mec="black",
            mew=0.8,
            ms=7,
            capsize=3,
            zorder=4,
        )
        line.append((k + shift, best))
    ax.plot(*zip(*line, strict=True), color=look.color, ls=look.line, lw=2, marker=look.marker, ms=0, zorder=3)
    ax.plot([], [], look.marker, color=look.color, ls=look.line, mec="black", label=_legend(m))


def _legend(m: Measurement) -> str:
    lines = [f"{m.curves.name}: $\\times$ {estimate_text(m.step_factor.measured)}"]
    own = [one for one in m.step_factor.judged if one.law == m.curves.law_names[0] and not isnan(one.predicted)]
    if own:
        lines.append(", ".join(f"{METHODS[one.method]} {one.predicted:.3g}: {_judged(one)}" for one in own))
    return "\n".join(lines)


def _judged(one: Judged) -> str:
    """Verdict, and by how much."""
    word = one.verdict.split(",")[0]
    return word if isnan(one.percent) or abs(one.percent) > 1e4 else f"{word}, {one.percent:+.0f}%"
