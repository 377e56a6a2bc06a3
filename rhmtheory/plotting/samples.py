"""What samples show: thresholds of the clustering learner, and the two decays of a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rhmtheory.corpus._windows import LEAST_POINTS
from rhmtheory.corpus.decays import CorpusStatistics
from rhmtheory.corpus.pairs import PairCounts
from rhmtheory.fitting.intervals import Estimate
from rhmtheory.learner.search import ThresholdStudy
from rhmtheory.plotting.style import DATA, house_style, new_figure, styles
from rhmtheory.support.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@house_style()
def plot_thresholds(studies: Sequence[ThresholdStudy], ax: Axes | None = None) -> Axes:
    """Measured and predicted ``P_k`` against k: points with intervals, and two lines each.

    Solid: the finite-size prediction, nothing fitted. Dashed: the published factor m**2 or m, from the measured
    level 1 on, since the published theory fixes ratios and not prefactors. Levels with nothing but a bound have no
    point.

    Parameters
    ----------
    studies : sequence of ThresholdStudy
    ax : Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Axes
    """
    if ax is None:
        (ax,) = new_figure(width=6.0, height=4.0)[1]
    looks = styles([str(study.law) for study in studies])
    for i, study in enumerate(studies):
        color, k = looks[str(study.law)].color, np.array(study.hidden_levels)
        fits = study.thresholds()
        best = np.array([fit.best for fit in fits])
        with np.errstate(invalid="ignore"):
            bars = np.abs(np.array([[fit.best - fit.low, fit.high - fit.best] for fit in fits]).T)
        name = f"{study.law}, {study.criterion}"
        study.rhm.require_alike_levels()
        v, m, s = study.rhm.v, study.rhm.m, study.rhm.s
        factors = f"finite-size {study.finite_size_step:.3g}, published {study.published_step:g}"
        label = f"({v},{m},{s}) {name}: factor {study.step().best:.3g} ({factors})"
        ax.errorbar(k, best, np.nan_to_num(bars), fmt="os^vD"[i % 5], color=color, label=label)
        ax.plot(k, best[0] * study.published_step ** (k - 1.0), "--", color=color, lw=1)
        ax.plot(k, study.finite_size, "-", color=color, lw=1)
    ax.set(yscale="log", xlabel="hidden level k", ylabel="samples to recover the level")
    ax.set_xticks(sorted({k for study in studies for k in study.hidden_levels}))
    ax.legend(
        fontsize="small", title="solid: finite-size prediction; dashed: published factor", title_fontsize="small"
    )
    return ax


@house_style()
def plot_pairs(counts: PairCounts, ax: Axes | None = None) -> Axes:
    """Root-mean-square covariance and operator norm of each group against its distance, and their noise.

    Parameters
    ----------
    counts : PairCounts
    ax : Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Axes
    """
    if ax is None:
        (ax,) = new_figure(width=5.0, height=4.0)[1]
    distance = counts.groups if counts.groups.ndim == 1 else np.abs(counts.groups[:, 1] - counts.groups[:, 0])
    order = np.argsort(distance)
    lines = (
        (counts.rms(), DATA, "root mean square covariance"),
        (counts.operator_norm(), "0.2", "operator norm of the covariance"),
    )
    noises = np.sqrt(counts.noise_mean_square()), counts.noise_operator_norm()
    for (values, color, label), noise in zip(lines, noises, strict=True):
        ax.plot(distance[order], values[order], "o", ms=4, color=color, label=label)
        ax.plot(distance[order], noise[order], "--", color=color, lw=1)
    ax.set(xscale="log", yscale="log", xlabel="distance (tokens)", ylabel="correlation")
    ax.legend(fontsize="small", title="dashed: noise of independent pairs", title_fontsize="small")
    return ax


@house_style()
def plot_corpus(statistics: CorpusStatistics, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Correlation against lag and entropy against context, with their fits.

    Parameters
    ----------
    statistics : CorpusStatistics
    axes : sequence of two Axes, optional
        Those of a new figure by default.

    Returns
    -------
    list of two Axes
    """
    left, right = new_figure(2, width=5.0, height=4.0)[1] if axes is None else axes
    left.plot(
        statistics.lags, statistics.correlation, "o", ms=4, color=DATA, label="operator norm of the covariance"
    )
    left.plot(statistics.lags, statistics.noise, color="0.5", label="sampling noise")
    inside = (statistics.lags >= statistics.window[0]) & (statistics.lags <= statistics.window[1])
    _draw_power(left, statistics.lags[inside], statistics.correlation[inside], statistics.beta, r"\beta")
    left.set(xscale="log", yscale="log", xlabel="lag (tokens)", ylabel="correlation")
    H, usable = statistics.entropies, statistics.usable
    n = np.arange(1, len(H) + 1)
    right.plot(n[:usable], H[:usable], "o", color=DATA, label="conditional entropy")
    right.plot(n[usable:], H[usable:], "o", mfc="none", color="0.6", label="counts run out")
    fitted = statistics.fitted
    if fitted >= LEAST_POINTS:
        floor = statistics.floor
        _draw_power(right, n[:fitted], H[:fitted] - floor, statistics.gamma, r"\gamma", floor)
    right.set(xscale="log", yscale="log", xlabel="context (tokens)", ylabel="entropy of the next token (nats)")
    right.set_xticks(n, labels=map(str, n), minor=False)
    right.set_xticks([], minor=True)
    for ax in (left, right):
        ax.legend(fontsize=8)
    return [left, right]


def _draw_power(ax: Axes, x: Any, y: FloatArray, fit: Estimate, name: str, floor: float = 0.0) -> None:
    middle = np.exp(np.log(y).mean() + fit.best * np.log(x).mean())
    label = rf"${name} = {fit.best:.2f}$ [{fit.low:.2f}, {fit.high:.2f}]"
    ax.plot(x, middle * np.asarray(x, float) ** -fit.best + floor, color="0.2", label=label)
