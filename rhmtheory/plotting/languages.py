"""Languages and what theory says of them: staircases, plateaus, correlations, derivation trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rhmtheory.language.grammar import Grammar
from rhmtheory.plotting._axes import ensemble_name, plain_ticks
from rhmtheory.plotting.style import DATA, FINITE_SIZE, PUBLISHED, house_style, mark_plateaus, new_figure, styles
from rhmtheory.support.errors import InputError
from rhmtheory.theory.prediction import Prediction
from rhmtheory.tree.shape import Shape
from rhmtheory.tree.tables import UNGRAMMATICAL
from rhmtheory.tree.trees import Trees

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS = {"transformer": "transformer", "lcn": "locally connected", "cnn": "CNN"}


@house_style()
def plot_predictions(
    predictions: Sequence[Prediction], ax: Axes | None = None, *, finite_size: bool = False
) -> Axes:
    """Draw predicted staircases of the loss, one line per architecture, with the plateaus as horizontal lines.

    Parameters
    ----------
    predictions : sequence of Prediction
        Of one ensemble.
    ax : Axes, optional
        By default that of a new figure.
    finite_size : bool
        Whether the steps are those of the finite-size prediction, instead of the published one.

    Returns
    -------
    Axes

    Raises
    ------
    InputError
        Where no step is ever made (``f = 1``), and as `Prediction.loss`.
    """
    ax = new_figure()[1][0] if ax is None else ax
    steps = np.concatenate([p.P.finite_size if finite_size else p.P.published for p in predictions])
    if not np.isfinite(steps).any():
        raise InputError(
            str(predictions[0].rhm),
            rule="has no step to draw",
            way_out="lower `m`: with f = 1 nothing can be learnt",
        )
    P = np.geomspace(steps.min() / 10, steps[np.isfinite(steps)].max() * 10, 2000)
    looks = styles([prediction.architecture for prediction in predictions])
    for i, one in enumerate(predictions):
        # staircases may coincide: the later ones are thinner and leave the earlier ones to be seen
        width, color = 2 + 2 * (len(predictions) - 1 - i), looks[one.architecture].color
        label = rf"{_LABELS.get(one.architecture, one.architecture)}: predicted $\alpha={one.exponent:.3g}$"
        ax.plot(P, one.loss(P, finite_size=finite_size), color=color, label=label, lw=width)
    mark_plateaus(predictions[0].plateaus, ax)
    ax.set(xscale="log", yscale="log", xlabel="training samples $P$", ylabel="test loss (nats)")
    kind = "at this size" if finite_size else "published"
    plain_ticks(ax.yaxis)
    ax.set_title(f"predicted ({kind}), {ensemble_name(predictions[0].rhm)}", fontsize=10)
    ax.legend(fontsize=8, loc="upper right")  # staircases leave this corner free
    return ax


@house_style()
def plot_correlations(grammar: Grammar, ax: Axes | None = None) -> Axes:
    """Draw the RMS covariance with the last token against distance: of one grammar, and of its ensemble.

    The published curve of the ensemble is dotted, the finite-size one dashed.

    Parameters
    ----------
    grammar : Grammar
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    ax = new_figure()[1][0] if ax is None else ax
    rhm = grammar.require_rhm()
    C = grammar.correlation_function()
    t = np.arange(1, len(C))
    ax.plot(t, C[1:], ".", ms=4, color=DATA, label="this grammar, exact")
    for method, look in (("published", PUBLISHED), ("finite-size", FINITE_SIZE)):
        curve = rhm.correlation_function(method)[1:]
        ax.plot(t, curve, color=look.color, ls=look.line, drawstyle="steps-mid", label=f"ensemble, {method}")
    ax.set(xscale="log", yscale="log", xlabel="distance from the last token", ylabel="RMS covariance")
    ax.set_title(f"correlations, {ensemble_name(rhm)}", fontsize=10)
    ax.legend(fontsize=8)
    return ax


@house_style()
def plot_plateaus(plateaus: Mapping[str, npt.ArrayLike], shape: Shape, ax: Axes | None = None) -> Axes:
    """Draw plateaus ``H_k`` against the context level k, one line per way to obtain them.

    Parameters
    ----------
    plateaus : mapping of str to array of shape (L + 1,), nats
        By the name that the legend shows.
    shape : Shape
        The ensemble, for the title.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    ax = new_figure()[1][0] if ax is None else ax
    for name, H in plateaus.items():
        H = np.asarray(H, dtype=float)
        ax.plot(np.arange(len(H)), np.where(H > 0, H, np.nan), marker="o", ms=4, label=name)
    ax.set(yscale="log", xlabel="context level k ($s^k - 1$ tokens)", ylabel="$H_k$ (nats)")
    ax.set_xticks(range(shape.L + 1))
    ax.set_title(f"loss plateaus, {ensemble_name(shape)}", fontsize=10)
    ax.legend(fontsize=8)
    return ax


@house_style()
def plot_derivation(derivation: Trees, ax: Axes | None = None) -> Axes:
    """Draw one derivation tree, root at the top; "?" stands where no rule produces the tuple below.

    Parameters
    ----------
    derivation : Trees
        Of one sentence, as `Grammar.tree` reads it.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    ax = new_figure()[1][0] if ax is None else ax
    shape = derivation.tables.shape
    # a width of about half an inch a token, at most that of 16, holds symbols of two digits
    size = 8 if shape.d <= 16 else max(3.5, 128 / shape.d)
    for level, symbols in enumerate(derivation.levels):
        # a node stands above the middle of its tokens
        x = (np.arange(shape.width(level)) + 0.5) * shape.span(level)
        if level < shape.L:
            above = (np.arange(shape.width(level + 1)) + 0.5) * shape.span(level + 1)
            above = np.repeat(above, shape.n_children(level + 1))
            ax.plot(np.stack([x, above]), [[level], [level + 1]], "-", color="0.7", lw=1, zorder=0)
        for position, symbol in zip(x, symbols.tolist(), strict=True):
            ax.text(position, level, "?" if symbol == UNGRAMMATICAL else str(symbol),
                    ha="center", va="center", fontsize=size,
                    bbox={"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": "0.4"})  # fmt: skip
    ax.set(xlim=(0, shape.d), ylim=(-0.5, shape.L + 0.5), ylabel="level", xticks=[], yticks=range(shape.L + 1))
    ax.set_title(f"derivation tree, {ensemble_name(shape)}", fontsize=10)
    return ax
