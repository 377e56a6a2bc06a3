"""Figures. Every function draws into the axes it is given and returns them; none shows or saves anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rhmtheory._support.checks import InputError
from rhmtheory.model.derivation import Derivation, draw
from rhmtheory.model.grammar import UNGRAMMATICAL, Grammar
from rhmtheory.model.rhm import RHM
from rhmtheory.theory.predictions import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {
    "transformer": "tab:blue",
    "decoder": "tab:purple",
    "attention": "tab:cyan",
    "lcn": "tab:green",
    "fcn": "tab:olive",
    "cnn": "tab:red",
}
LABELS = {
    "transformer": "transformer",
    "decoder": "decoder",
    "attention": "attention only",
    "lcn": "locally connected",
    "fcn": "fully connected",
    "cnn": "CNN",
}


def new_figure(columns: int = 1, width: float = 6.4, height: float = 4.6) -> tuple[Figure, list[Axes]]:
    """Make a figure outside pyplot's global state, with axes side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height), layout="constrained")
    axes = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
    return figure, axes


def plot_predictions(predictions: Sequence[Prediction], ax: Axes) -> Axes:
    """Predicted staircases of the loss, one line an architecture, with the plateaus as horizontal lines.

    Raises `InputError` where ``f = 1`` and no step is ever made.
    """
    steps = np.concatenate([p.sample_complexity for p in predictions])
    if not np.isfinite(steps).any():
        raise InputError(f"{predictions[0].rhm} has f = 1, so that nothing can be learnt: there is no step to draw")
    P = np.geomspace(steps.min() / 10, steps[np.isfinite(steps)].max() * 10, 2000)
    for i, prediction in enumerate(predictions):
        # staircases may coincide: the later ones are thinner and leave the earlier ones to be seen
        width, color = 2 + 2 * (len(predictions) - 1 - i), COLORS[prediction.architecture]
        ax.plot(P, prediction.loss(P), color=color, label=_with_exponent(prediction), lw=width)
    plot_plateaus(predictions[0].plateaus, ax)
    _label_curves(ax, f"predicted, {_name(predictions[0].rhm)}")
    return ax


def plot_learning_curve(
    prediction: Prediction, network: str, P: npt.ArrayLike, loss: npt.ArrayLike, ax: Axes, *, level: float = 1.0
) -> Axes:
    """Measured losses (grammars, sizes) with their mean; the predicted ``P_k`` as vertical lines."""
    color = COLORS[network]
    P, loss = np.asarray(P, dtype=float), np.atleast_2d(np.asarray(loss, dtype=float))
    for one in loss:
        ax.plot(P, one, color=color, alpha=0.25, lw=0.8)
    label = rf"{LABELS[network]}: predicted $\alpha={prediction.exponent:.3g}$"
    ax.plot(P, loss.mean(axis=0), color=color, marker="o", ms=4, lw=2, label=label)
    for k, P_k in enumerate(prediction.sample_complexity):
        if not np.isfinite(P_k):  # a step that is never made
            continue
        ax.axvline(P_k, color=color, ls="--", lw=1, alpha=0.8)
        ax.annotate(
            f"$P_{k}$", (P_k, level), xycoords=("data", "axes fraction"), color=color, fontsize=8,
            xytext=(2, -10), textcoords="offset points",
        )  # fmt: skip
    return ax


def plot_plateaus(plateaus: npt.ArrayLike, ax: Axes) -> Axes:
    """Horizontal lines at ``H_k``, named at the right edge; a floor of zero has no place on a log axis."""
    for k, H in enumerate(np.asarray(plateaus, dtype=float)):
        if H > 0:
            ax.axhline(H, color="0.6", lw=0.8, zorder=0)
            ax.annotate(
                f"$H_{k}$", (1, H), xycoords=("axes fraction", "data"), fontsize=8, color="0.4",
                xytext=(3, -3), textcoords="offset points",
            )  # fmt: skip
    return ax


def plot_comparison(
    rhm: RHM, curves: Sequence[tuple[Prediction, str, npt.ArrayLike, npt.ArrayLike]], ax: Axes
) -> Axes:
    """Learning curves of several networks over the predictions.

    ``curves`` holds (prediction, network, P, loss) with loss of shape (grammars, sizes).
    """
    for i, (prediction, network, P, loss) in enumerate(curves):
        plot_learning_curve(prediction, network, P, loss, ax, level=1.0 - 0.045 * i)
    plot_plateaus(curves[0][0].plateaus, ax)
    _label_curves(ax, f"measured curves; predicted $P_k$ (dashed) and $H_k$; {_name(rhm)}")
    return ax


def plot_collapse(
    rhm: RHM, curves: Sequence[tuple[str, Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]]], ax: Axes
) -> Axes:
    """Steps of the learning curves over one another, against P / P_k.

    ``curves`` holds (network, steps), each step (P / P_k, part of the step still to go). Where theory
    has the factor between the steps right, those of a network fall onto one curve.
    """
    markers = "osD^v<>P"
    for network, steps in curves:
        for i, (x, y) in enumerate(steps):
            label = LABELS[network] if i == 0 else None
            ax.plot(np.asarray(x), np.asarray(y), color=COLORS[network], marker=markers[i % 8], ms=5, label=label)
    ax.axhline(0.5, color="0.6", lw=0.8, zorder=0)
    ylabel = r"$\ln(\mathrm{loss}/H_{k+1})\,/\,\ln(H_k/H_{k+1})$"
    ax.set(xscale="log", xlabel="$P / P_k$ (predicted)", ylabel=ylabel)
    ax.set_title(f"steps over one another, {_name(rhm)}", fontsize=10)
    if ax.lines[1:]:
        ax.legend(fontsize=8)
    return ax


def plot_context(rhm: RHM, curves: Sequence[tuple[str, npt.ArrayLike, npt.ArrayLike]], ax: Axes) -> Axes:
    """Divergence of networks from ideal predictors with ``s**k - 1`` tokens of context, against samples.

    ``curves`` holds (network, P, divergence) with divergence of shape (sizes, L + 1).
    """
    styles = ["-", "--", "-.", ":"]
    for i, (network, P, divergence) in enumerate(curves):
        D = np.asarray(divergence, dtype=float)
        for k in range(D.shape[1]):
            label = f"{LABELS[network]}, $k={k}$"
            ax.plot(P, D[:, k], color=f"C{k}", ls=styles[i % 4], marker=".", label=label)
    ax.set(xscale="log", yscale="log", xlabel="training samples $P$", ylabel="KL(ideal$_k$ || network) (nats)")
    ax.set_title(f"context in use: the lowest curve, {_name(rhm)}", fontsize=10)
    ax.legend(fontsize=7, ncol=max(1, len(curves)))
    return ax


def plot_correlations(grammar: Grammar, ax: Axes) -> Axes:
    """RMS covariance with the last token against distance, exact for one grammar, and the ensemble's levels."""
    rhm = grammar.rhm
    C = grammar.correlation_function()
    t = np.arange(1, len(C))
    ax.plot(t, C[1:], ".", ms=3, color="0.3", label="this grammar (exact)")
    for level in range(1, rhm.L + 1):
        span = rhm.span(level - 1), rhm.span(level)
        for method, color in (("asymptotic", "tab:orange"), ("exact", "tab:blue")):
            value = rhm.rms_correlation(level, method=method)
            label = f"ensemble ({method})" if level == 1 else None
            ax.plot([span[0], span[1] - 0.5], [value, value], color=color, lw=2, label=label)
    ax.set(xscale="log", yscale="log", xlabel="distance from the last token", ylabel="RMS covariance")
    ax.set_title(f"correlations, {_name(rhm)}", fontsize=10)
    ax.legend(fontsize=8)
    return ax


def plot_plateau_methods(rows: Mapping[str, npt.ArrayLike], rhm: RHM, ax: Axes) -> Axes:
    """Plateaus ``H_k`` against k, one line a method."""
    for name, H in rows.items():
        H = np.asarray(H, dtype=float)
        ax.plot(np.arange(len(H)), np.where(H > 0, H, np.nan), marker="o", ms=4, label=name)
    ax.set(yscale="log", xlabel="context level k ($s^k - 1$ tokens)", ylabel="$H_k$ (nats)")
    ax.set_xticks(range(rhm.L + 1))
    ax.set_title(f"loss plateaus, {_name(rhm)}", fontsize=10)
    ax.legend(fontsize=8)
    return ax


def plot_tree(grammar: Grammar, sentence: npt.ArrayLike | Sequence[npt.ArrayLike], ax: Axes) -> Axes:
    """Derivation tree of a sentence, root at the top; ``sentence`` as for `Grammar.draw`."""
    return plot_derivation(draw(grammar, sentence), ax)


def plot_derivation(derivation: Derivation, ax: Axes) -> Axes:
    """One derivation tree, root at the top; "?" stands where no rule produces the tuple below."""
    rhm = derivation.grammar.rhm
    # a width of about half an inch a token, at most that of 16, holds symbols of two digits
    size = 8 if rhm.d <= 16 else max(3.5, 128 / rhm.d)
    for level, symbols in enumerate(derivation.levels):
        # a node stands above the middle of its tokens
        x = (np.arange(rhm.width(level)) + 0.5) * rhm.span(level)
        if level < rhm.L:
            above = (np.arange(rhm.width(level + 1)) + 0.5) * rhm.span(level + 1)
            above = np.repeat(above, rhm.n_children(level + 1))
            ax.plot(np.stack([x, above]), [[level], [level + 1]], color="0.7", lw=1, zorder=0)
        for position, symbol in zip(x, symbols.tolist(), strict=True):
            ax.text(position, level, "?" if symbol == UNGRAMMATICAL else str(symbol),
                    ha="center", va="center", fontsize=size,
                    bbox={"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": "0.4"})  # fmt: skip
    ax.set(xlim=(0, rhm.d), ylim=(-0.5, rhm.L + 0.5), ylabel="level", xticks=[], yticks=range(rhm.L + 1))
    ax.set_title(f"derivation tree, {_name(rhm)}", fontsize=10)
    return ax


def _label_curves(ax: Axes, title: str) -> None:
    ax.set(xscale="log", yscale="log", xlabel="training samples $P$", ylabel="test loss (nats)")
    ax.set_title(title, fontsize=10)
    ax.legend(fontsize=8, loc="lower left")


def _with_exponent(prediction: Prediction) -> str:
    return rf"{LABELS[prediction.architecture]}: predicted $\alpha={prediction.exponent:.3g}$"


def _name(rhm: RHM) -> Any:
    return f"$v={rhm.v}$, $m={rhm.m}$, $s={rhm.s}$, $L={rhm.L}$"
