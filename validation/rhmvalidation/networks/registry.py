"""The networks by name: one record for each, and classes of one's own as ``package.module:Class``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from rhmtheory import RHM, InputError
from rhmtheory.support.checks import as_choice
from rhmvalidation.networks.custom import AdaptedNetwork
from rhmvalidation.networks.fast import (
    AttentionOnly,
    ConvolutionalNetwork,
    Decoder,
    FullyConnectedNetwork,
    LocallyConnectedNetwork,
    Network,
)


@dataclass(frozen=True)
class NetworkRecord:
    """All that there is to know about one network. A new one is a class and a record in `NETWORKS`, no more."""

    make: Callable[..., Network]
    """Called with the ensemble, the number of replicas, and the settings named in ``arguments``."""
    laws: tuple[str, ...]
    """The learners whose predictions it is held against, its own first; empty where it has none."""
    arguments: tuple[str, ...] = ("width",)
    """The settings that it takes."""
    objectives: tuple[str, ...] = ("last",)
    """What it can be trained on: the last token, all tokens."""
    replicas: int = 4
    """How many train side by side in one program unless a preset says: as many as are fastest on a CPU, measured in
    docs/performance.md. Where one fills a core, single replicas spread best over processes."""


_ATTENTION = ("width", "heads", "depth")
NETWORKS: Mapping[str, NetworkRecord] = {
    "cnn": NetworkRecord(ConvolutionalNetwork, ("cnn",)),
    "lcn": NetworkRecord(LocallyConnectedNetwork, ("lcn",)),
    # it knows nothing of the tree, and theory has no law for it
    "fcn": NetworkRecord(FullyConnectedNetwork, (), ("width", "depth")),
    "attention": NetworkRecord(AttentionOnly, ("transformer",), _ATTENTION, replicas=1),
    "decoder": NetworkRecord(Decoder, ("transformer",), _ATTENTION, ("last", "all"), replicas=1),
}
"""The networks of this package: convolutional, locally, fully connected; attention only; GPT-like decoder."""

OWN_LAWS = ("transformer", "cnn")
"""What a network of one's own is held against: both, as nobody knows which is its own."""


def is_own(name: str) -> bool:
    """Whether a name is that of a class of one's own, ``package.module:Class``."""
    module, colon, of_class = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), of_class))


def label(name: str, objective: str = "last", beside: Iterable[str] = ()) -> str:
    """What tables and figures call a network: its name, or that of a class of one's own without the module.

    The module stays where another network ``beside`` it would be called the same. Trained on all tokens it is
    another network, and says so.

    `rhmtheory.plotting` draws the networks of this package always alike, by this label, and gives others the next
    free style.
    """
    own = _short(name)
    if any(other != name and _short(other) == own for other in beside):
        own = name
    return f"{own} (all tokens)" if objective == "all" else own


def _short(name: str) -> str:
    return name.partition(":")[2] or name


def find(name: str) -> NetworkRecord:
    """The record of a network. A class of one's own is not imported: that happens when it is built.

    Raises
    ------
    InputError
        For a name that is neither that of a network of this package nor of the form ``package.module:Class``.
    """
    if is_own(name):
        return NetworkRecord(partial(_build_own, name), OWN_LAWS, (), ("last", "all"))
    as_choice("network", name, (*NETWORKS, "package.module:Class"))
    return NETWORKS[name]


def build(
    name: str,
    rhm: RHM,
    replicas: int,
    width: int | None = None,
    heads: int = 1,
    depth: int | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Network:
    """Make a network by name, weights not yet drawn; settings that it does not take are left out.

    Parameters
    ----------
    name : str
        One of `NETWORKS`, or ``package.module:Class``.
    rhm : RHM
    replicas : int
    width, heads, depth : int, int, int
        ``depth`` is L unless said.
    arguments : mapping, optional
        What a class of one's own is called with, beside the ensemble.

    Raises
    ------
    InputError
        For an unknown name, a class that cannot be imported or made, and a width that does not hold the heads.
    """
    record = find(name)
    settings = {"width": width, "heads": heads, "depth": depth}
    taken = {argument: settings[argument] for argument in record.arguments}
    return record.make(rhm, replicas, **taken, **(arguments or {}))


def _build_own(name: str, rhm: RHM, replicas: int, **arguments: Any) -> Network:
    own = own_class(name)

    def make() -> nn.Module:
        try:
            return own(rhm, **arguments)
        except Exception as error:
            raise InputError(
                f"{name} cannot be made for {rhm} with {arguments or 'no arguments'}: "
                f"{type(error).__name__}: {error}"
            ) from error

    return AdaptedNetwork(rhm, replicas, make, name)


def own_class(name: str) -> type[nn.Module]:
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
            f"network={name!r}: {module_name} cannot be imported ({type(error).__name__}: {error}); is its folder "
            "on PYTHONPATH?"
        ) from error
    own = getattr(module, class_name, None)
    if not (isinstance(own, type) and issubclass(own, nn.Module)):
        raise InputError(f"network={name!r}: {module_name} has no torch.nn.Module named {class_name}")
    return own
