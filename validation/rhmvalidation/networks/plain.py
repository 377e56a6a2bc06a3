"""The networks as published, line by line: modules from token ids (B, d) to logits (B, v).

Their last token is never read: a mask stands in its place, ``v**(-1/2)`` in every entry of the one-hot vector. With
the objectives ``class``, ``masked`` and ``denoise`` all tokens are read as they stand, and id ``v`` is the mask.
`rhmvalidation.networks.fast` computes the same numbers for many replicas at once; the tests hold both together.

Index legend: b batch, t position, i tuple, c channel below, w width, v symbol.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rhmtheory.support.errors import InputError
from rhmtheory.tree import Shape
from rhmvalidation.networks.objectives import EVERY_TOKEN, WHOLE, outputs_of


class PlainNetwork(nn.Module):
    """What the networks of this package have in common: weights drawn when they are made, and their scales."""

    def __init__(self, shape: Shape, objective: str, **arguments: Any) -> None:
        super().__init__()
        self.v, self.d = shape.n_symbols(0), shape.d
        self.width: int = arguments["width"]
        self.objective, self.outputs = objective, outputs_of(shape, objective)
        self.whole = objective in WHOLE
        """Whether the last token is read, too."""
        self.arguments = arguments
        """Arguments after the ensemble that make a network of this kind and size."""

    def seen(self, tokens: Tensor) -> Tensor:
        """Return what the network sees of ids, as int64; ``v`` is the mask."""
        return tokens.long() if self.whole else mask_last(tokens, self.v)

    def rate_scale(self) -> float:
        """Return the factor that the parametrisation puts on the learning rate."""
        return 1.0

    def initial_scale(self, name: str) -> float:
        """Return the standard deviation of the initial entries of a parameter."""
        return 1.0

    def draw(self) -> None:
        """Draw all weights anew from torch's global generator."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.normal_().mul_(self.initial_scale(name))


def one_hot(tokens: Tensor, v: int, weight: Tensor, *, whitened: bool) -> Tensor:
    """Return one-hot rows (B, d, v) in the type of ``weight``; id ``v`` is the mask.

    ``whitened``: ``(x - 1/v) / sqrt(1 - 1/v)``, mean zero over equally likely tokens and norm one. The mask is not
    whitened, and has norm one, too.
    """
    x = functional.one_hot(tokens.long(), v + 1)[..., :v].to(weight.dtype)
    if whitened:
        x = (x - 1 / v) / math.sqrt(1 - 1 / v)
    return torch.where(tokens[..., None] == v, v**-0.5, x)


def mask_last(tokens: Tensor, v: int) -> Tensor:
    """Return token ids as int64 with the last one replaced by ``v``, the index of the mask."""
    tokens = tokens.long()
    return torch.cat([tokens[..., :-1], torch.full_like(tokens[..., -1:], v)], dim=-1)


class TreeLayer(nn.Module):
    """ReLU filters on tuples of ``s`` neighbours: one filter for all tuples, or one for each of them."""

    def __init__(self, filters: int, s: int, channels: int, width: int) -> None:
        super().__init__()
        self.s = s
        self.weight = nn.Parameter(torch.empty(filters, s * channels, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, t, c) to (b, t / s, w)."""
        tuples = x.reshape(len(x), -1, self.s * x.shape[2])  # (b, i, s c)
        shared = len(self.weight) == 1
        units = tuples @ self.weight[0] if shared else torch.einsum("bic,icw->biw", tuples, self.weight)
        return torch.relu(units / math.sqrt(tuples.shape[2]))


class _Hierarchical(PlainNetwork):
    """Filter = stride = s of each level, depth L: the architecture of the data (arXiv:2505.07070).

    Mean-field parametrisation, as in the public training code of that paper: standard normal weights, scaled in the
    forward pass by one over the square root of the fan-in, at the readout by one over the width; no biases.
    """

    def __init__(self, shape: Shape, width: int, *, shared: bool, objective: str) -> None:
        super().__init__(shape, objective, width=width)
        self.readout = nn.Parameter(torch.empty(width, self.outputs))
        self.layers = nn.ModuleList()
        for level in range(1, shape.L + 1):
            filters, channels = 1 if shared else shape.width(level), self.v if level == 1 else width
            self.layers.append(TreeLayer(filters, shape.n_children(level), channels, width))
        self.draw()

    def rate_scale(self) -> float:
        """The learning rate grows with the width."""
        return float(self.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of the last token, the class or the hidden token, (B, v), from ids (B, d)."""
        x: Tensor = one_hot(self.seen(tokens), self.v, self.readout, whitened=True)
        for layer in self.layers:
            x = layer(x)
        return x[:, 0] @ self.readout / self.width


class ConvolutionalNetwork(_Hierarchical):
    """Hierarchical CNN: one filter per level, shared by all positions."""

    def __init__(self, shape: Shape, width: int, *, objective: str = "last") -> None:
        super().__init__(shape, width, shared=True, objective=objective)


class LocallyConnectedNetwork(_Hierarchical):
    """Hierarchical network with a filter of its own for every position."""

    def __init__(self, shape: Shape, width: int, *, objective: str = "last") -> None:
        super().__init__(shape, width, shared=False, objective=objective)


class Dense(nn.Module):
    """A fully connected ReLU layer."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c) to (b, w)."""
        return torch.relu(x @ self.weight / math.sqrt(len(self.weight)))


class FullyConnectedNetwork(PlainNetwork):
    """Baseline that knows nothing of the tree: ``depth`` dense layers (L by default) on all tokens but the last."""

    def __init__(self, shape: Shape, width: int, depth: int | None = None, *, objective: str = "last") -> None:
        super().__init__(shape, objective, width=width, depth=depth)
        self.readout = nn.Parameter(torch.empty(width, self.outputs))
        self.places = self.d if self.whole else self.d - 1
        channels = [self.places * self.v] + [width] * ((depth or shape.L) - 1)
        self.layers = nn.ModuleList(Dense(c, width) for c in channels)
        self.draw()

    def rate_scale(self) -> float:
        """The learning rate grows with the width."""
        return float(self.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of the last token, the class or the hidden token, (B, v), from ids (B, d)."""
        x: Tensor = one_hot(tokens[:, : self.places], self.v, self.readout, whitened=True).flatten(1)
        for layer in self.layers:
            x = layer(x)
        return x @ self.readout / self.width


class Attention(nn.Module):
    """Multi-head self-attention without biases; ``scale`` multiplies each product with a weight matrix."""

    def __init__(self, width: int, heads: int, scale: float) -> None:
        super().__init__()
        if width % heads:
            raise InputError("width", width, f"is no multiple of `heads`={heads}", "choose one that is")
        self.heads, self.scale = heads, scale
        self.qkv = nn.Parameter(torch.empty(width, 3 * width))
        self.mix = nn.Parameter(torch.empty(width, width))

    def forward(self, x: Tensor, *, causal: bool = False) -> Tensor:
        """Map (b, t, w) to the same shape; ``causal``: no position attends to a later one."""
        parts = (x @ self.qkv * self.scale).reshape(*x.shape[:2], 3, self.heads, -1)  # (b, t, 3, head, w / heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # (b, head, t, t)
        if causal:
            scores = scores + torch.full_like(scores[0, 0], -math.inf).triu(1)
        means: Tensor = torch.softmax(scores, dim=-1) @ v
        return means.transpose(1, 2).flatten(2) @ self.mix * self.scale


class AttentionOnly(PlainNetwork):
    """Embedding, learnt positions, and layers of attention alone: no residual, norm or MLP (arXiv:2505.07070).

    Scales as published: standard normal weights, scaled in the forward pass by one over the square root of the
    fan-in, of the embedding, too; whitened tokens.
    """

    def __init__(
        self, shape: Shape, width: int, heads: int = 1, depth: int | None = None, *, objective: str = "last"
    ) -> None:
        super().__init__(shape, objective, width=width, heads=heads, depth=depth)
        self.position = nn.Parameter(torch.empty(self.d, width))
        self.readout = nn.Parameter(torch.empty(width, self.outputs))
        self.embedding = nn.Parameter(torch.empty(self.v, width))
        self.layers = nn.ModuleList(Attention(width, heads, width**-0.5) for _ in range(depth or shape.L))
        self.draw()

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of the last token or the class, (B, v), or of every token, (B, d, v), from ids (B, d)."""
        x: Tensor = one_hot(self.seen(tokens), self.v, self.embedding, whitened=True)
        x = x @ self.embedding / math.sqrt(self.v) + self.position
        for layer in self.layers:
            x = layer(x)
        x = x if self.objective in EVERY_TOKEN else x[:, -1]
        return x @ self.readout / math.sqrt(self.width)


class Block(nn.Module):
    """Pre-norm block of a decoder: attention and an MLP, both added to the residual stream."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.attention, self.causal = Attention(width, heads, 1.0), causal
        self.up = nn.Parameter(torch.empty(width, 4 * width))
        self.down = nn.Parameter(torch.empty(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map the residual stream (b, t, w) to the same shape."""
        x = x + self.attention(normalise(x), causal=self.causal)
        return x + functional.gelu(normalise(x) @ self.up) @ self.down


class Decoder(PlainNetwork):
    """GPT-like causal decoder: logits of every token from those before it, (B, d, v).

    Its input is the sentence shifted by one, a mask first. With objectives of whole sentences it is an encoder:
    neither shifted nor causal, logits of the class (B, n) at the last position. Ours in all its details: embeddings
    of size one without whitening, matrices of variance one over the fan-in, smaller ones where a block adds to the
    residual stream.
    """

    def __init__(
        self, shape: Shape, width: int, heads: int = 1, depth: int | None = None, *, objective: str = "last"
    ) -> None:
        super().__init__(shape, objective, width=width, heads=heads, depth=depth)
        self.position = nn.Parameter(torch.empty(self.d, width))
        self.readout = nn.Parameter(torch.empty(width, self.outputs))
        self.embedding = nn.Parameter(torch.empty(self.v, width))
        self.layers = nn.ModuleList(Block(width, heads, causal=not self.whole) for _ in range(depth or shape.L))
        self.draw()

    def seen(self, tokens: Tensor) -> Tensor:
        """Return the sentence shifted by one, a mask first, or with objectives of whole sentences as it is."""
        ids = tokens.long()
        return ids if self.whole else torch.cat([torch.full_like(ids[..., :1], self.v), ids[..., :-1]], dim=-1)

    def initial_scale(self, name: str) -> float:
        """Return one for embeddings and positions, and the root of one over the fan-in for matrices."""
        if name in ("embedding", "position"):
            return 1.0
        scale: float = (4 * self.width if name.endswith("down") else self.width) ** -0.5
        return scale / math.sqrt(2 * len(self.layers)) if name.endswith(("mix", "down")) else scale

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of every token given those before it, (B, d, v), from ids (B, d)."""
        x: Tensor = (
            one_hot(self.seen(tokens), self.v, self.embedding, whitened=False) @ self.embedding + self.position
        )
        for layer in self.layers:
            x = layer(x)
        return normalise(x if self.objective != "class" else x[:, -1]) @ self.readout


def normalise(x: Tensor) -> Tensor:
    """Return the layer norm over the width, without gains: the matrices behind it have them."""
    return functional.layer_norm(x, x.shape[-1:])
