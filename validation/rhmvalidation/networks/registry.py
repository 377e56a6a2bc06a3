"""The networks by name: one record for each, and custom classes as ``package.module:Class``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import nn

from rhmtheory.support.checks import as_int
from rhmtheory.support.errors import InputError
from rhmtheory.tree import Shape
from rhmvalidation.networks import fast, plain
from rhmvalidation.networks.custom import AdaptedNetwork
from rhmvalidation.networks.objectives import NEEDS, OBJECTIVES
from rhmvalidation.networks.stack import Network

_SUFFIXES = dict(zip(OBJECTIVES, ("", " (all tokens)", " (class)", " (masked)", " (denoising)"), strict=True))
_LARGEST = {"depth": 1000, "heads": 1 << 40, "width": 1 << 40}


@dataclass(frozen=True)
class NetworkRecord:
    """All that there is to know about one network. A new one is a class and a record in `NETWORKS`, no more."""

    name: str
    module: Callable[..., nn.Module]
    """Called with the ensemble and the arguments of the network: a module from ids (B, d) to logits."""
    laws: tuple[str, ...]
    """The learners whose predictions it is held against, its own first; empty where it has none."""
    objectives: tuple[str, ...] = ("last",)
    """What it can be trained on: see `rhmvalidation.networks.objectives`."""
    every_token: bool = False
    """Whether it gives logits of every token; else it reads out one."""
    replicas: int = 4
    """How many train side by side in one program unless a preset says: as many as are fastest on a CPU, measured in
    docs/performance.md. Where one fills a core, single replicas spread best over processes."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Recommended arguments."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Recommended training settings: those of the recorded studies."""
    fast: Callable[..., Network] | None = None
    """Called with the number of replicas, too: a stack that computes the numbers of the module faster. None:
    replicas of the module are stacked by `torch.func`."""
    custom: bool = False
    """Whether it is a custom class of modules."""

    def require(self, objective: str) -> None:
        """Raise `InputError` where it cannot be trained on an objective, with the networks that can."""
        if objective not in self.objectives:
            able = ", ".join(name for name, other in NETWORKS.items() if objective in other.objectives)
            rule = f"needs a network that {NEEDS[objective]}: {able}, not {self.name}"
            raise InputError("objective", objective, rule, "choose one of these, or another objective")

    def make(self, shape: Shape, arguments: Mapping[str, Any], objective: str = "last") -> nn.Module:
        """Make a module for an ensemble and an objective; a custom class is told the ensemble alone."""
        self.require(objective)
        told = {} if self.custom or objective == "last" else {"objective": objective}
        return self.module(shape, **arguments, **told)

    def stack(self, shape: Shape, replicas: int, arguments: Mapping[str, Any], objective: str = "last") -> Network:
        """Make replicas for an ensemble and an objective, weights not yet drawn."""
        self.require(objective)
        if self.fast is not None:
            return self.fast(shape, replicas, objective=objective, **arguments)
        make = partial(self.make, shape, arguments, objective)
        return AdaptedNetwork(shape, replicas, make, self.name, objective=objective)

    def checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments without those that equal their defaults; raises `InputError` for those that cannot be.

        Those of a custom class are checked when it is made.
        """
        if self.custom:
            return dict(arguments)
        known = dict(list(inspect.signature(self.module).parameters.items())[1:])
        known.pop("objective", None)  # of the training, not of the network
        for name in arguments:
            if name not in known:
                raise InputError(name, arguments[name], f"is no argument of {self.name}", "leave it out")
        out = {}
        for name, parameter in known.items():
            value = arguments.get(name, parameter.default)
            if value is parameter.empty or (value is None and parameter.default is not None):
                raise InputError(self.name, rule=f"needs the argument {name}", way_out="give it")
            if value != parameter.default:
                out[name] = as_int(name, value, low=1, high=_LARGEST.get(name))
        width, heads = out.get("width", 1), out.get("heads", 1)
        if width % heads:
            raise InputError("width", width, f"is no multiple of `heads`={heads}", "choose one that is")
        return out


_SGD = {"learning_rate": 4.0, "protocol": "online", "after_last_step": 1.5}
_ADAM = {"learning_rate": 1e-3, "optimiser": "adamw", "protocol": "online", "after_last_step": 1.5}
_OF_ONE = ("last", "class", "masked")
"""Objectives of networks that read out one token, or class."""
_WIDE, _HEADS = {"width": 128}, {"width": 64, "heads": 4}
_RECORDS = (
    NetworkRecord(
        "cnn",
        plain.ConvolutionalNetwork,
        ("cnn",),
        _OF_ONE,
        arguments=_WIDE,
        training=_SGD,
        fast=fast.ConvolutionalNetwork,
    ),
    NetworkRecord(
        "lcn",
        plain.LocallyConnectedNetwork,
        ("lcn",),
        _OF_ONE,
        arguments=_WIDE,
        training=_SGD,
        fast=fast.LocallyConnectedNetwork,
    ),
    NetworkRecord(
        "fcn",
        plain.FullyConnectedNetwork,
        (),  # it knows nothing of the tree, and theory has no law for it
        _OF_ONE,
        arguments=_WIDE,
        training=_SGD,
        fast=fast.FullyConnectedNetwork,
    ),
    NetworkRecord(
        "attention",
        plain.AttentionOnly,
        ("transformer",),
        ("last", "class", "masked", "denoise"),
        replicas=1,
        every_token=True,
        arguments=_WIDE | {"heads": 4},
        training=_ADAM,
        fast=fast.AttentionOnly,
    ),
    NetworkRecord(
        "decoder",
        plain.Decoder,
        ("transformer",),
        OBJECTIVES,
        every_token=True,
        replicas=1,
        arguments=_HEADS,
        training=_ADAM,
        fast=fast.Decoder,
    ),
)
NETWORKS: Mapping[str, NetworkRecord] = {record.name: record for record in _RECORDS}
"""The networks of this package: convolutional, locally, fully connected; attention only; GPT-like decoder."""

CUSTOM_LAWS = ("transformer", "cnn")
"""A custom network is held against both, as nobody knows which is its own."""
CUSTOM_TRAINING: Mapping[str, Any] = _ADAM | {"warmup": 100}


def is_custom(name: str) -> bool:
    """Whether a name is that of a custom class, ``package.module:Class``."""
    module, colon, of_class = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), of_class))


def label(name: str, objective: str = "last", beside: Iterable[str] = ()) -> str:
    """Return the name of a network in tables and figures: its own, or that of a custom class without the module.

    The module stays where another network ``beside`` it would be called the same. A network trained on anything but
    the last token is another one, and its label says so.

    `rhmtheory.plotting` draws the networks of this package always alike, by this label, and gives others the next
    free style.

    Parameters
    ----------
    name : str
    objective : str
    beside : iterable of str
        Names of other networks.
    """
    own = _short(name)
    if any(other != name and _short(other) == own for other in beside):
        own = name
    return own + _SUFFIXES[objective]


def _short(name: str) -> str:
    return name.partition(":")[2] or name


def find(name: str) -> NetworkRecord:
    """Return the record of a network, found in upper and lower case. A custom class is not imported.

    Raises
    ------
    InputError
        For a name that is neither that of a network of this package nor of the form ``package.module:Class``.
    """
    if isinstance(name, str):
        if is_custom(name):
            return _custom_record(name)
        for known, record in NETWORKS.items():
            if known.casefold() == name.casefold():
                return record
    choices = ", ".join((*NETWORKS, "package.module:Class"))
    raise InputError("network", name, "is unknown", f"choose one of {choices}")


def _custom_record(name: str) -> NetworkRecord:
    def module(shape: Shape, **arguments: Any) -> nn.Module:
        custom = custom_class(name)
        try:
            return custom(shape, **arguments)
        except Exception as error:
            rule = f"cannot be made for {shape} with {arguments or 'no arguments'}"
            raise InputError(name, rule=rule, way_out=f"{type(error).__name__}: {error}") from error

    return NetworkRecord(
        name, module, CUSTOM_LAWS, OBJECTIVES, every_token=True, training=CUSTOM_TRAINING, custom=True
    )


def record_of(module: nn.Module) -> NetworkRecord | None:
    """Return the record of a module that one of our plain classes made, and None for any other."""
    return next((record for record in NETWORKS.values() if type(module) is record.module), None)


def custom_class(name: str) -> type[nn.Module]:
    """Import a class by ``package.module:Class``.

    Raises
    ------
    InputError
        For a module that cannot be imported, and a name in it that is no class of modules.
    """
    module_name, _, class_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the module does when it is imported
        raise InputError(
            "network",
            name,
            f"has a module that cannot be imported ({module_name} cannot be imported: {type(error).__name__}: "
            f"{error})",
            "see that its folder is on PYTHONPATH",
        ) from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise InputError("network", name, f"is none: {module_name} has no torch.nn.Module named {class_name}")
    return found
