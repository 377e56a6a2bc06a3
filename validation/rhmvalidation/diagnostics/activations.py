"""What the layers of a network hold: of the networks here by layer, of any other module by hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rhmtheory import InputError
from rhmtheory.support.types import IntArray
from rhmvalidation.networks.fast import LayeredNetwork, evaluating

_BATCH = 1024


def layer_names(network: nn.Module) -> list[str]:
    """Names under which activations of a module can be asked for: those of all its submodules."""
    return [name for name, _ in network.named_modules() if name]


def default_layers(network: nn.Module) -> list[str]:
    """The children of a module; lists of modules by their entries."""
    out = []
    for name, child in network.named_children():
        listed = isinstance(child, (nn.ModuleList, nn.ModuleDict))
        out += [f"{name}.{inner}" for inner, _ in child.named_children()] if listed else [name]
    return out


@torch.no_grad()
def activations(
    network: nn.Module, tokens: IntArray, layers: Sequence[str] | None = None, replica: int = 0
) -> dict[str, Tensor]:
    """Activations of layers for sentences, in evaluation mode; the module is left in the mode that it had.

    Parameters
    ----------
    network : torch.nn.Module
        One of this package, whose layers are named ``layer 1``, ``layer 2``, ..., or any module of ids (B, d).
    tokens : integer array, shape (n, d)
    layers : sequence of str, optional
        All of a network of this package by default. Of another module any of `layer_names`; by default
        `default_layers`.
    replica : int
        Of a network of this package.

    Returns
    -------
    dict from name to float32 tensor, shape (n, ...), on the CPU

    Raises
    ------
    InputError
        For a layer that does not exist (those that do are listed), one that the forward pass does not call, and one
        whose output is no tensor with a row per sentence.
    """
    parts: dict[str, list[Tensor]] = {}
    ids = torch.from_numpy(tokens.astype(np.int64)).to(next(network.parameters()).device)
    with evaluating(network):
        for batch in torch.split(ids, _BATCH):
            if isinstance(network, LayeredNetwork):
                values = _layers(network, batch, layers, replica)
            else:
                values = _hooked(network, batch, layers)
            for name, value in values.items():
                parts.setdefault(name, []).append(value.float().cpu())
    return {name: torch.cat(pieces) for name, pieces in parts.items()}


def _check_names(wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            raise InputError(f"layer {name!r} does not exist: this network has {', '.join(known)}")
    if not wanted:
        raise InputError("there is no layer to look at: the network has no submodules, or the list is empty")


def _layers(network: LayeredNetwork, ids: Tensor, names: Sequence[str] | None, replica: int) -> dict[str, Tensor]:
    found = network.layers(ids.expand(len(next(network.parameters())), *ids.shape))
    values = {f"layer {i}": layer[replica] for i, layer in enumerate(found, start=1)}
    if names is None:
        return values
    _check_names(names, list(values))
    return {name: values[name] for name in names}


def _hooked(network: nn.Module, ids: Tensor, layers: Sequence[str] | None) -> dict[str, Tensor]:
    names = default_layers(network) if layers is None else list(layers)
    _check_names(names, layer_names(network))
    modules: dict[str, nn.Module] = dict(network.named_modules())
    outputs: dict[str, Any] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            outputs[name] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [modules[name].register_forward_hook(keep(name)) for name in names]
    try:
        network(ids)
    finally:
        for handle in handles:
            handle.remove()
    for name in names:
        if name not in outputs:
            raise InputError(f"layer {name!r} is not called in the forward pass: leave it out")
        output = outputs[name]
        if not isinstance(output, Tensor) or output.dim() < 2 or len(output) != len(ids):
            raise InputError(f"layer {name!r} does not return a tensor with a row for each sentence: leave it out")
    return outputs
