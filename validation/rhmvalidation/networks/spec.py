"""A network as a value: its name and the arguments it is made with, ours and custom ones alike."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from rhmtheory.support.errors import InputError
from rhmtheory.tree import Shape
from rhmvalidation.networks import registry
from rhmvalidation.networks.custom import AdaptedNetwork
from rhmvalidation.networks.plain import PlainNetwork
from rhmvalidation.networks.stack import Network

Arguments = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, init=False, repr=False)
class NetworkSpec:
    """A network by name and arguments: hashable, comparable by value, and plain data for JSON.

    Parameters
    ----------
    name : str
        One of `rhmvalidation.networks.NETWORKS` in upper or lower case, or a custom class of modules as
        ``package.module:Class``, whose case matters.
    arguments : mapping, optional
        Arguments that the network takes after the ensemble, such as ``{"width": 64}``. Those that equal their
        defaults are left out, so that equal networks are equal specs.

    Raises
    ------
    InputError
        For an unknown name, an argument that the network does not take or lacks, and values that JSON cannot hold.
        A custom class is imported when it is first made.

    Examples
    --------
    >>> spec = NetworkSpec("CNN", {"width": 64})
    >>> spec, spec == NetworkSpec(**spec.to_dict())
    (NetworkSpec('cnn', {'width': 64}), True)
    """

    name: str
    arguments: Arguments

    def __init__(self, name: str, arguments: Mapping[str, Any] | Arguments = ()) -> None:
        pairs = arguments.items() if isinstance(arguments, Mapping) else arguments
        try:
            given = {str(key): _frozen(value) for key, value in pairs}
            json.dumps(given, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(
                "arguments", arguments, "are no plain numbers, texts and lists by name", f"give a table ({error})"
            ) from None
        record = registry.find(name)
        object.__setattr__(self, "name", record.name)
        object.__setattr__(self, "arguments", tuple(sorted(record.checked(given).items())))

    def __repr__(self) -> str:
        return f"NetworkSpec({self.name!r}, {dict(self.arguments)!r})"

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments)})"

    @property
    def record(self) -> registry.NetworkRecord:
        """Whatever else is known of the network: laws, objectives, recommended settings."""
        return registry.find(self.name)

    def get(self, argument: str, default: Any = None) -> Any:
        """Value of an argument, or ``default`` where it is not given."""
        return dict(self.arguments).get(argument, default)

    def to_dict(self) -> dict[str, Any]:
        """Plain data from which ``NetworkSpec(**data)`` makes an equal spec."""
        return {"name": self.name, "arguments": dict(self.arguments)}

    def module(self, shape: Shape, objective: str = "last") -> nn.Module:
        """Return a module from token ids (B, d) to logits, its weights drawn from torch's global generator.

        Parameters
        ----------
        shape : Shape
        objective : str
            What it will be trained on; decides what it sees and gives.
        """
        return self.record.make(shape, dict(self.arguments), objective)

    def build(self, shape: Shape, replicas: int = 1, objective: str = "last") -> Network:
        """Return a stack of replicas for the trainer, their weights not yet drawn.

        Parameters
        ----------
        shape : Shape
        replicas : int
        objective : str
            As in `module`.

        Raises
        ------
        InputError
            For an objective of other networks, a custom class that cannot be imported or made, and for sizes that
            torch cannot count.
        """
        return self.record.stack(shape, replicas, dict(self.arguments), objective)

    def on_paper(self, shape: Shape) -> Network:
        """Return a stack of one replica without room for its weights, to count what it takes.

        A custom network has its weights. Raises `InputError` for one with more weights than can be counted.
        """
        if self.record.custom:
            return self.build(shape)
        try:
            with torch.device("meta"):
                return self.build(shape)
        except (RuntimeError, TypeError) as error:  # torch's words for sizes beyond 64 bits, and products beyond
            said = str(error).splitlines()[0]
            raise InputError(
                self.name, rule=f"of this size cannot be built ({said})", way_out="make it narrower"
            ) from error


def stack_of(module: nn.Module, shape: Shape, replicas: int, objective: str = "last") -> Network:
    """Return a stack whose replicas begin with the weights of a module: the fast form where there is one.

    Parameters
    ----------
    module : torch.nn.Module
        From ids (B, d) to logits (B, v), or (B, d, v).
    shape : Shape
    replicas : int
    objective : str
        Of a custom module; one of ours was made for its own.
    """
    record = registry.record_of(module)
    if record is None or record.fast is None or not isinstance(module, PlainNetwork):
        name = type(module).__name__
        return AdaptedNetwork(shape, replicas, lambda: copy.deepcopy(module), name, objective=objective)
    if (module.v, module.d) != (shape.n_symbols(0), shape.d):
        rule = f"predicts {module.v} symbols from {module.d} tokens, and {shape} has other numbers"
        raise InputError("network", type(module).__name__, rule, "make it for the ensemble of this grammar")
    stack = record.fast(shape, replicas, objective=module.objective, **module.arguments)
    stack.start_from(dict(module.named_parameters()))
    return stack


def _frozen(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    return value.item() if isinstance(value, np.generic) else value
