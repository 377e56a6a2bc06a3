"""The networks, each a stack of independent replicas: every parameter has a leading replica axis.

Replicas (other grammars, seeds, training sets) train together by batched matrix products, and none sees another.
All networks take token ids ``(R, B, d)`` and return logits ``(R, B, v)`` for the last token, which they never
read: in its place stands a constant input, ``v**(-1/2)`` in every entry of the one-hot vector.

Index legend: r replica, b batch, i position, p child within a tuple, w width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Lookup(nn.Module):
    """First linear layer on one-hot tokens, by lookup: ``tables`` weight tables, one a position class."""

    def __init__(self, replicas: int, tables: int, v: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(replicas, tables, v, width))

    def forward(self, tokens: Tensor, table: Tensor) -> Tensor:
        """Sum over the last axis of ``tokens`` (R, ..., p) of rows of the tables ``table`` (..., p)."""
        R, tables, v, width = self.weight.shape
        mask_row = self.weight.sum(dim=2, keepdim=True) / math.sqrt(v)
        rows = torch.cat([self.weight, mask_row], dim=2).view(-1, width)
        replica = torch.arange(R, device=tokens.device).view(-1, *[1] * (tokens.dim() - 1))
        index = (replica * tables + table) * (v + 1) + tokens
        summed = functional.embedding_bag(index.reshape(-1, tokens.shape[-1]), rows, mode="sum")
        return summed.view(*tokens.shape[:-1], width)


def _mask_last(tokens: Tensor, v: int) -> Tensor:
    """Token ids as int64 with the last one replaced by ``v``, the index of the mask."""
    tokens = tokens.long()
    return torch.cat([tokens[..., :-1], torch.full_like(tokens[..., -1:], v)], dim=-1)


class _Hierarchical(nn.Module):
    """What the convolutional and the locally connected network share: filter = stride = s, ReLU, depth L.

    Weights are standard normal and scaled in the forward pass (one over the square root of the fan-in, and one
    over the width at the readout, the mean-field limit), so that the learning rate is in units of the width.
    """

    def __init__(self, replicas: int, v: int, s: int, L: int, width: int, *, shared: bool) -> None:
        super().__init__()
        self.v, self.s, self.L, self.width, self.shared = v, s, L, width, shared
        positions = [s ** (L - level) for level in range(1, L + 1)]
        filters = [1] * L if shared else positions
        self.first = _Lookup(replicas, filters[0] * s, v, width)
        self.hidden = nn.ParameterList(
            [nn.Parameter(torch.empty(replicas, count, s * width, width)) for count in filters[1:]]
        )
        self.readout = nn.Parameter(torch.empty(replicas, width, v))

    @torch.no_grad()
    def initialise(self, generators: list[torch.Generator]) -> None:
        """Draw all weights standard normal, each replica from its own generator."""
        for parameter in self.parameters():
            for replica, generator in zip(parameter, generators, strict=True):
                replica.copy_(torch.randn(replica.shape, generator=generator))

    def learning_rate_scale(self) -> float:
        """Mean-field scaling: the learning rate grows with the width."""
        return float(self.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the last token, (R, B, v), from ids (R, B, d)."""
        R, B, _ = tokens.shape
        s, w = self.s, self.width
        children = _mask_last(tokens, self.v).view(R, B, -1, s)
        table = torch.arange(s, device=tokens.device)
        if not self.shared:
            table = table + s * torch.arange(children.shape[2], device=tokens.device)[:, None]
        h = torch.relu(self.first(children, table) / math.sqrt(s))  # (R, B, positions, w)
        for weight in self.hidden:
            scaled = weight / math.sqrt(s * w)
            if self.shared:
                h = torch.bmm(h.view(R, -1, s * w), scaled[:, 0]).view(R, B, -1, w)
            else:
                h = torch.einsum("rbix,rixw->rbiw", h.reshape(R, B, -1, s * w), scaled)
            h = torch.relu(h)
        logits: Tensor = torch.bmm(h.reshape(R, B, w), self.readout) / w
        return logits


class ConvolutionalNetwork(_Hierarchical):
    """Hierarchical CNN: one filter a level, shared by all positions (arXiv:2505.07070)."""

    def __init__(self, replicas: int, v: int, s: int, L: int, width: int) -> None:
        super().__init__(replicas, v, s, L, width, shared=True)


class LocallyConnectedNetwork(_Hierarchical):
    """The same network with a filter of its own for every position."""

    def __init__(self, replicas: int, v: int, s: int, L: int, width: int) -> None:
        super().__init__(replicas, v, s, L, width, shared=False)


class AttentionOnly(nn.Module):
    """Multi-head attention layers and nothing else: learnt positions, no residual, norm or MLP (arXiv:2505.07070).

    Read out at the last position; the last layer computes that position alone.
    """

    def __init__(self, replicas: int, v: int, s: int, L: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width={width} is no multiple of heads={heads}")
        self.v, self.width, self.heads = v, width, heads
        self.embedding = _Lookup(replicas, 1, v, width)
        self.position = nn.Parameter(torch.empty(replicas, s**L, width))
        self.qkv = nn.ParameterList([nn.Parameter(torch.empty(replicas, width, 3 * width)) for _ in range(layers)])
        self.mix = nn.ParameterList([nn.Parameter(torch.empty(replicas, width, width)) for _ in range(layers)])
        self.readout = nn.Parameter(torch.empty(replicas, width, v))

    @torch.no_grad()
    def initialise(self, generators: list[torch.Generator]) -> None:
        """Embeddings standard normal, matrices normal with variance one over the fan-in."""
        for name, parameter in self.named_parameters():
            scale = 1.0 if "embedding" in name or name == "position" else self.width**-0.5
            for replica, generator in zip(parameter, generators, strict=True):
                replica.copy_(scale * torch.randn(replica.shape, generator=generator))

    def learning_rate_scale(self) -> float:
        """Standard parametrisation: the learning rate is used as given."""
        return 1.0

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the last token, (R, B, v), from ids (R, B, d)."""
        R, B, T = tokens.shape
        w, H = self.width, self.heads
        table = torch.zeros(1, dtype=torch.long, device=tokens.device)
        x = self.embedding(_mask_last(tokens, self.v)[..., None], table) + self.position[:, None]
        last = len(self.qkv) - 1
        for layer, (qkv, mix) in enumerate(zip(self.qkv, self.mix, strict=True)):
            queries = 1 if layer == last else T
            kv = torch.bmm(x.reshape(R, B * T, w), qkv[..., w:]).view(R * B, T, 2, H, w // H)
            q = torch.bmm(x[:, :, T - queries :].reshape(R, B * queries, w), qkv[..., :w])
            keys, values = kv.permute(2, 0, 3, 1, 4)  # (R * B, H, T, w / H) each
            q = q.view(R * B, queries, H, w // H).transpose(1, 2)
            y = functional.scaled_dot_product_attention(q, keys, values)  # (R * B, H, queries, w / H)
            y = y.transpose(1, 2).reshape(R, B * queries, w)
            x = torch.bmm(y, mix).view(R, B, queries, w)
        return torch.bmm(x.reshape(R, B, w), self.readout)
