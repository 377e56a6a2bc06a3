"""Activations of the layers of a module, by hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rhmtheory.support.errors import InputError
from rhmtheory.support.types import IntArray
from rhmvalidation.networks.stack import evaluating

_BATCH = 1024


def layer_names(network: nn.Module) -> list[str]:
    """Return the names under which activations of a module can be asked for: those of all its submodules."""
    return [name for name, _ in network.named_modules() if name]


def default_layers(network: nn.Module) -> list[str]:
    """Return the names of the children of a module; of lists of modules those of their entries."""
    out = []
    for name, child in network.named_children():
        listed = isinstance(child, (nn.ModuleList, nn.ModuleDict))
        out += [f"{name}.{inner}" for inner, _ in child.named_children()] if listed else [name]
    return out


@torch.no_grad()
def activations(network: nn.Module, tokens: IntArray, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
    """Return activations of layers for sentences, in evaluation mode; the module keeps the mode that it had.

    Parameters
    ----------
    network : torch.nn.Module
        Any module of ids (B, d).
    tokens : integer array, shape (n, d)
    layers : sequence of str, optional
        Any of `layer_names`; by default `default_layers`, which are the ``layers.0``, ``layers.1``, ... of the
        networks of this package.

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
            for name, value in _hooked(network, batch, layers).items():
                parts.setdefault(name, []).append(value.float().cpu())
    return {name: torch.cat(pieces) for name, pieces in parts.items()}


def _check_names(wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            raise InputError(
                f"layer {name!r}", rule="does not exist", way_out=f"this network has {', '.join(known)}"
            )
    if not wanted:
        rule, way_out = "leave no layer to look at", "the network has no submodules, or the list is empty"
        raise InputError("layers", rule=rule, way_out=way_out)


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
            raise InputError(f"layer {name!r}", rule="is not called in the forward pass", way_out="leave it out")
        output = outputs[name]
        if not isinstance(output, Tensor) or output.dim() < 2 or len(output) != len(ids):
            rule = "does not return a tensor with a row for each sentence"
            raise InputError(f"layer {name!r}", rule=rule, way_out="leave it out")
    return outputs
