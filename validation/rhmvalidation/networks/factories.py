"""The networks of this package as modules: from token ids (B, d) to logits, weights drawn by torch."""

from __future__ import annotations

from typing import TypeVar

from rhmtheory.tree import Shape
from rhmvalidation.networks import plain
from rhmvalidation.networks.spec import NetworkSpec

_Module = TypeVar("_Module", bound=plain.PlainNetwork)


def cnn(shape: Shape, *, width: int, objective: str = "last") -> plain.ConvolutionalNetwork:
    """Return a hierarchical CNN, (B, d) to (B, v): one filter per level, shared by all positions.

    Parameters
    ----------
    shape : Shape
    width : int
        Channels of every layer.
    objective : str
        What it will be trained on: ``last``, ``class`` (logits (B, n)), or ``masked``.

    Examples
    --------
    >>> import torch
    >>> from rhmtheory import RHM
    >>> cnn(RHM(v=8, m=2, s=2, L=3), width=16)(torch.zeros(5, 8, dtype=torch.long)).shape
    torch.Size([5, 8])
    """
    return _made(plain.ConvolutionalNetwork, "cnn", shape, objective, width=width)


def lcn(shape: Shape, *, width: int, objective: str = "last") -> plain.LocallyConnectedNetwork:
    """Return a locally connected network, (B, d) to (B, v): a filter of its own for every position.

    Parameters
    ----------
    shape : Shape
    width : int
        Channels of every layer.
    objective : str
        What it will be trained on: ``last``, ``class`` or ``masked``.
    """
    return _made(plain.LocallyConnectedNetwork, "lcn", shape, objective, width=width)


def fcn(
    shape: Shape, *, width: int, depth: int | None = None, objective: str = "last"
) -> plain.FullyConnectedNetwork:
    """Return a fully connected network, (B, d) to (B, v), which knows nothing of the tree.

    Parameters
    ----------
    shape : Shape
    width : int
    depth : int, optional
        Layers; L by default.
    objective : str
        What it will be trained on: ``last``, ``class`` or ``masked``.
    """
    return _made(plain.FullyConnectedNetwork, "fcn", shape, objective, width=width, depth=depth)


def attention(
    shape: Shape, *, width: int, heads: int = 1, depth: int | None = None, objective: str = "last"
) -> plain.AttentionOnly:
    """Return a network of attention layers and nothing else, (B, d) to (B, v).

    Parameters
    ----------
    shape : Shape
    width : int
        A multiple of ``heads``.
    heads : int
    depth : int, optional
        Layers; L by default.
    objective : str
        What it will be trained on: ``last``, ``class``, ``masked`` or ``denoise``.
    """
    return _made(plain.AttentionOnly, "attention", shape, objective, width=width, heads=heads, depth=depth)


def decoder(
    shape: Shape, *, width: int, heads: int = 1, depth: int | None = None, objective: str = "last"
) -> plain.Decoder:
    """Return a GPT-like causal decoder, (B, d) to (B, d, v): logits of every token given those before it.

    Parameters
    ----------
    shape : Shape
    width : int
        A multiple of ``heads``.
    heads : int
    depth : int, optional
        Blocks; L by default.
    objective : str
        What it will be trained on: ``last`` or ``all``, ``class``, ``masked`` or ``denoise``.
    """
    return _made(plain.Decoder, "decoder", shape, objective, width=width, heads=heads, depth=depth)


def _made(kind: type[_Module], name: str, shape: Shape, objective: str, **arguments: int | None) -> _Module:
    module = NetworkSpec(name, arguments).module(shape, objective)
    assert isinstance(module, kind)
    return module
