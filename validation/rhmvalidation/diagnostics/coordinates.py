"""Coordinate check: do hidden activations, and their updates, keep their size when a network grows wider?

A parametrisation has a limit of large width, and learning rates that carry over from one width to the next, if
every activation moves by an amount of order one per step, whatever the width (Yang and Hu, arXiv:2011.14522; the
check is that of Yang et al., arXiv:2203.03466, section D.1). The networks in mean-field parametrisation claim it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from rhmtheory import RHM, InputError
from rhmtheory.fitting.slopes import slope
from rhmtheory.support.checks import as_int
from rhmtheory.support.types import FloatArray
from rhmvalidation.diagnostics.figures import plot_coordinate_check
from rhmvalidation.networks.fast import LayeredNetwork
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.training.optimisers import ReplicaOptimiser
from rhmvalidation.training.settings import Settings
from rhmvalidation.training.trainer import cross_entropy

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
        return plot_coordinate_check(self, ax)


def coordinate_check(
    network: str,
    rhm: RHM,
    widths: Sequence[int] = (32, 64, 128, 256),
    *,
    steps: int = 4,
    seeds: int = 4,
    settings: Settings | None = None,
) -> CoordinateCheck:
    """Train a network of several widths for a few steps and measure its activations and their updates.

    Parameters
    ----------
    network : str
        One of the networks of this package.
    rhm : RHM
    widths : sequence of int
        At least two, increasing.
    steps, seeds : int
        Steps of training, and independent repetitions (grammar, weights, sentences), which train as replicas.
    settings : Settings, optional
        Learning rate, optimiser, batch size, heads and depth; the width in it is replaced.

    Returns
    -------
    CoordinateCheck

    Raises
    ------
    InputError
        For fewer than two widths, and steps or seeds below one.
    """
    steps, seeds = as_int("steps", steps, low=1), as_int("seeds", seeds, low=1)
    if len(widths) < 2 or sorted(set(widths)) != list(widths):
        raise InputError(f"widths={tuple(widths)} must be two or more, increasing: a slope needs both")
    settings = settings or Settings(learning_rate=1.0)
    sizes = [_sizes(network, rhm, as_int("width", width, low=1), steps, seeds, settings) for width in widths]
    start, update = (np.array(part) for part in zip(*sizes, strict=True))
    return CoordinateCheck(network, tuple(widths), start, update)


def _sizes(
    name: str, rhm: RHM, width: int, steps: int, seeds: int, settings: Settings
) -> tuple[list[float], list[float]]:
    model = NetworkSpec(name, {"width": width}).build(rhm, seeds)
    if not isinstance(model, LayeredNetwork):
        raise InputError(f"network={name!r} has no layers that could be compared: choose one of this package")
    model.initialise([torch.Generator().manual_seed(seed) for seed in range(seeds)])
    sets = [rhm.grammar(seed).sample((steps + 1) * settings.batch_size, seed) for seed in range(seeds)]
    batches = torch.split(torch.from_numpy(np.stack(sets)), settings.batch_size, dim=1)
    optimiser = ReplicaOptimiser(
        model.parameters(),
        torch.full((seeds,), settings.learning_rate * model.rate_scale()),
        adam=settings.optimiser == "adamw",
    )
    probe = batches[-1]
    with torch.no_grad():
        before = model.layers(probe)
    for tokens in batches[:-1]:
        cross_entropy(model(tokens)[:, :, None], tokens[..., -1:]).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        after = model.layers(probe)
    return [_size(x) for x in before], [_size(y - x) for x, y in zip(before, after, strict=True)]


def _size(x: torch.Tensor) -> float:
    """Root mean square of each replica, averaged in logarithms."""
    return float(x.double().square().flatten(1).mean(dim=1).log().mean().div(2).exp())
