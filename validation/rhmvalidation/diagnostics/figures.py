"""What is drawn of networks alone; learning curves against theory are drawn by `rhmtheory.plotting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rhmtheory.plotting import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rhmvalidation.diagnostics.coordinates import CoordinateCheck
    from rhmvalidation.diagnostics.evaluation import Evaluation
    from rhmvalidation.diagnostics.probes import LinearProbes


def plot_evaluation(evaluation: Evaluation, ax: Axes | None = None) -> Axes:
    """Loss and exact entropy against position, and the losses of ideal predictors of less context.

    Draws into ``ax``, new ones by default, and returns them.
    """
    ax = new_figure()[1][0] if ax is None else ax
    positions = evaluation.positions
    for k, losses in enumerate(evaluation.ideal_loss):
        label = "ideal, context level k" if k == 0 else None
        ax.plot(positions, losses, "_", color="0.55", ms=12, label=label)
        at = positions[-1], losses[-1]
        ax.annotate(f"{k}", at, xytext=(8, -3), textcoords="offset points", fontsize=8)
    ax.plot(positions, evaluation.entropies, "k_", ms=16, label="exact entropy")
    ax.errorbar(positions, evaluation.loss, 2 * evaluation.loss_error, fmt="o", ms=4, color="C0", label="loss")
    ax.set(xlabel="position of the token", ylabel="nats", xticks=positions)
    ax.legend(fontsize=8)
    return ax


def plot_linear_probes(probes: LinearProbes, ax: Axes | None = None) -> Axes:
    """The share of each level's information that the layers hold, one line per level.

    Draws into ``ax``, new ones by default, and returns them.
    """
    ax = new_figure()[1][0] if ax is None else ax
    for level, information in enumerate(probes.information, start=1):
        label = f"level {level}: {information.sum():.2f} nats there"
        ax.plot(range(len(probes.layers)), probes.share(level), "o-", label=label)
    ax.set(ylabel="share of the information held", ylim=(-0.05, 1.05))
    ax.set_xticks(range(len(probes.layers)), list(probes.layers))
    ax.legend(fontsize=8)
    return ax


def plot_coordinate_check(check: CoordinateCheck, ax: Axes | None = None) -> Axes:
    """Activations and their updates against width, a line per layer: solid at the start, dashed what training adds.

    Draws into ``ax``, new ones by default, and returns them.
    """
    ax = new_figure()[1][0] if ax is None else ax
    for layer, (size, update) in enumerate(zip(check.activations.T, check.updates.T, strict=True)):
        ax.plot(check.widths, size, "o-", color=f"C{layer}", label=f"layer {layer + 1}")
        ax.plot(check.widths, update, "s--", color=f"C{layer}")
    ax.set(yscale="log", xlabel="width", ylabel="root mean square", title=check.network)
    ax.set_xscale("log", base=2)
    ax.set_xticks(check.widths, [str(width) for width in check.widths])
    ax.legend(
        title="solid: start; dashed: update",
        fontsize="x-small",
        title_fontsize="x-small",
        loc="upper left",
        bbox_to_anchor=(0, 0.8),
    )
    return ax
