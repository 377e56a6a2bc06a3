"""Coordinate check: do hidden activations, and their updates, keep their size when a network grows wider?

A parametrisation has a limit of large width, and learning rates that carry over from one width to the next, if
every activation moves by an amount of order one per step, whatever the width (Yang and Hu, arXiv:2011.14522; the
check is that of Yang et al., arXiv:2203.03466, section D.1). The networks in mean-field parametrisation claim it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from rhmtheory import RHM, InputError
from rhmtheory.fitting.slopes import slope
from rhmtheory.support.checks import as_int
from rhmtheory.support.types import FloatArray
from rhmvalidation.diagnostics.hooks import activations
from rhmvalidation.networks.spec import NetworkSpec, stack_of
from rhmvalidation.training.examples import cross_entropy
from rhmvalidation.training.optimisers import ReplicaOptimiser
from rhmvalidation.training.settings import Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class CoordinateCheck:
    """Sizes of activations against width. Made by `coordinate_check`.

    Attributes
    ----------
    network : str
    widths : tuple of int
    activations, updates : array, shape (widths, layers)
        Root mean square over neurons and sentences (and mean over seeds, in logarithms) of the activations at the
        start, and of what a few steps of training add to them.
    """

    network: str
    widths: tuple[int, ...]
    activations: FloatArray
    updates: FloatArray

    @property
    def activation_exponents(self) -> FloatArray:
        """Slope of ln activation against ln width of each layer; zero where width does not matter."""
        return self._exponents(self.activations)

    @property
    def update_exponents(self) -> FloatArray:
        """Slope of ln update against ln width of each layer."""
        return self._exponents(self.updates)

    def _exponents(self, sizes: FloatArray) -> FloatArray:
        ln_w = np.log(self.widths)
        return np.array([slope(ln_w, np.log(column)) for column in sizes.T])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw both sizes against width, a line per layer: solid at the start, dashed what training adds."""
        from rhmtheory.plotting.style import house_style, level_colors, new_figure

        ax = new_figure()[1][0] if ax is None else ax
        with house_style():
            colors = level_colors(len(self.activations.T))
            for layer, (size, update, color) in enumerate(
                zip(self.activations.T, self.updates.T, colors, strict=True)
            ):
                ax.plot(self.widths, size, "o-", color=color, label=f"layer {layer + 1}")
                ax.plot(self.widths, update, "s--", color=color)
            ax.set(yscale="log", xlabel="width", ylabel="root mean square", title=self.network)
            ax.set_xscale("log", base=2)
            ax.set_xticks(self.widths, [str(width) for width in self.widths])
            ax.legend(
                title="solid: start; dashed: update",
                fontsize="x-small",
                title_fontsize="x-small",
                loc="upper left",
                bbox_to_anchor=(0, 0.8),
            )
        return ax


def coordinate_check(
    network: str | Callable[[int], nn.Module],
    rhm: RHM,
    *,
    widths: Sequence[int] = (32, 64, 128, 256),
    steps: int = 4,
    seeds: int = 4,
    settings: Settings | None = None,
    layers: Sequence[str] | None = None,
) -> CoordinateCheck:
    """Train a network of several widths for a few steps and measure its activations and their updates.

    Parameters
    ----------
    network : str or callable
        Name of a network of this package, or a factory: it takes a width and returns a module from ids (B, d) to
        logits, its weights drawn from torch's global generator.
    rhm : RHM
    widths : sequence of int
        At least two, increasing.
    steps, seeds : int
        Steps of training, and independent repetitions (grammar, weights, sentences).
    settings : Settings, optional
        Learning rate, optimiser and batch size; SGD at rate 1 by default. The rate is in units of the
        parametrisation for networks of this package.
    layers : sequence of str, optional
        See `rhmvalidation.diagnostics.hooks.activations`.

    Returns
    -------
    CoordinateCheck

    Raises
    ------
    InputError
        For fewer than two widths, steps or seeds below one, and layers as in `activations`.
    """
    steps, seeds = as_int("steps", steps, low=1), as_int("seeds", seeds, low=1)
    if len(widths) < 2 or sorted(set(widths)) != list(widths):
        rule = "must be two or more, increasing"
        raise InputError("widths", tuple(widths), rule, "a slope needs both")
    settings = settings or Settings(learning_rate=1.0)
    by_width = []
    for width in (as_int("width", width, low=1) for width in widths):
        found = [
            _sizes(_make(network, rhm, width, seed), rhm, steps, seed, settings, layers) for seed in range(seeds)
        ]
        by_width.append(np.exp(np.log(found).mean(axis=0)))  # (2, layers)
    start, update = np.array(by_width).transpose(1, 0, 2)
    label = network if isinstance(network, str) else getattr(network, "__name__", type(network).__name__)
    return CoordinateCheck(label, tuple(widths), start, update)


def _make(network: str | Callable[[int], nn.Module], rhm: RHM, width: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NetworkSpec(network, {"width": width}).module(rhm) if isinstance(network, str) else network(width)


def _sizes(
    module: nn.Module, rhm: RHM, steps: int, seed: int, settings: Settings, layers: Sequence[str] | None
) -> FloatArray:
    """Root mean squares of activations, and of what training adds to them, (2, layers)."""
    tokens = rhm.grammar(seed).sample((steps + 1) * settings.batch_size, seed)
    *batches, probe = np.split(tokens, steps + 1)
    stack = stack_of(module, rhm, 1)
    stack.initialise([torch.Generator().manual_seed(seed)])
    rate = torch.tensor([settings.learning_rate * stack.rate_scale()])
    optimiser = ReplicaOptimiser(stack.parameters(), rate, adam=settings.optimiser == "adamw")
    before = activations(module, probe, layers)
    for batch in batches:
        ids = torch.from_numpy(batch)[None]
        cross_entropy(stack(ids)[:, :, None], ids[..., -1:]).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    module.load_state_dict(stack.weights(), strict=False)
    after = activations(module, probe, layers)
    sizes = [[_size(x) for x in before.values()], [_size(after[name] - x) for name, x in before.items()]]
    return np.array(sizes)


def _size(x: torch.Tensor) -> float:
    """Root mean square."""
    return float(x.double().square().mean().sqrt())
