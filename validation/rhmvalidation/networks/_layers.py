"""Parts of the networks, all with a leading replica axis: lookups of tokens, attention, layer norm.

Index legend: R replicas, B batch, T positions, w width, v symbols.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rhmtheory import InputError

_FEW_POSITIONS = 16
"""Up to so many queries a CPU takes gradients faster without the kernel that never holds all scores; measured."""


class Lookup(nn.Module):
    """First linear layer on one-hot tokens, by lookup: ``tables`` weight tables, one per position class.

    ``whitened``: a token is ``(x - 1/v) / sqrt(1 - 1/v)`` of its one-hot ``x``, mean zero over equally likely
    tokens and norm one, as in the public training code of arXiv:2505.07070. The mask, ``v`` entries of
    ``v**(-1/2)``, is not whitened there, and has norm one, too.
    """

    def __init__(self, replicas: int, tables: int, v: int, width: int, *, whitened: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(replicas, tables, v, width))
        self.whitened = whitened

    def forward(self, tokens: Tensor, table: Tensor) -> Tensor:
        """Sum over the last axis of ``tokens`` (R, ..., p) of rows of the tables ``table`` (..., p)."""
        R, tables, v, width = self.weight.shape
        total = self.weight.sum(dim=2, keepdim=True)
        token_rows = (self.weight - total / v) / math.sqrt(1 - 1 / v) if self.whitened else self.weight
        rows = torch.cat([token_rows, total / math.sqrt(v)], dim=2).view(-1, width)
        replica = torch.arange(R, device=tokens.device).view(-1, *[1] * (tokens.dim() - 1))
        index = (replica * tables + table) * (v + 1) + tokens
        summed = functional.embedding_bag(index.reshape(-1, tokens.shape[-1]), rows, mode="sum")
        return summed.view(*tokens.shape[:-1], width)


def mask_last(tokens: Tensor, v: int) -> Tensor:
    """Token ids as int64 with the last one replaced by ``v``, the index of the mask."""
    tokens = tokens.long()
    return torch.cat([tokens[..., :-1], torch.full_like(tokens[..., -1:], v)], dim=-1)


class Attention(nn.Module):
    """Multi-head self-attention of replicas, no biases; ``scale`` multiplies each product with a weight matrix."""

    def __init__(self, replicas: int, width: int, heads: int, scale: float) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"width={width} is no multiple of heads={heads}: choose one that is")
        self.heads, self.scale = heads, scale
        self.qkv = nn.Parameter(torch.empty(replicas, width, 3 * width))
        self.mix = nn.Parameter(torch.empty(replicas, width, width))

    def matrices(self, before: Attention | None = None) -> Tensor:
        """Scaled matrices of queries, keys and values side by side, (R, w, 3 w).

        With ``before`` for what that layer leaves unmixed: its mixing matrix is multiplied in, once for all
        sentences and positions.
        """
        own = self.qkv * self.scale
        return own if before is None else torch.bmm(before.mix * before.scale, own)

    def forward(self, x: Tensor, queries: int, matrices: Tensor, *, causal: bool = False) -> Tensor:
        """Unmixed output at the last ``queries`` positions, (R, B, queries, w), from x (R, B, T, w)."""
        T, w = x.shape[2:]
        if queries == T:
            return self.attend(times(x, matrices), causal=causal)
        q = times(x[:, :, T - queries :], matrices[..., :w])
        keys_values = times(x, matrices[..., w:])
        return self._attended(*self._heads(q), *self._heads(keys_values), causal=causal and queries > 1)

    def attend(self, qkv: Tensor, *, causal: bool) -> Tensor:
        """Unmixed output at every position, (R, B, T, w), from queries, keys and values (R, B, T, 3 w)."""
        return self._attended(*self._heads(qkv), causal=causal)

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys or values (B, heads, T, w / heads) each, B over replicas and batch, side by side in x."""
        R, B, T, _ = x.shape
        # parted before the heads change places with the positions: the gradients are joined where they lie
        parts = x.view(R * B, T, -1, self.heads, len(self.mix[0]) // self.heads).unbind(2)
        return tuple(part.transpose(1, 2) for part in parts)

    def _attended(self, q: Tensor, keys: Tensor, values: Tensor, *, causal: bool) -> Tensor:
        n, e = q.shape[2:]
        if q.requires_grad and q.device.type == "cpu" and n <= _FEW_POSITIONS:
            scores = torch.matmul(q * e**-0.5, keys.transpose(2, 3))
            if causal:
                scores = scores + torch.full((n, n), -math.inf, device=q.device).triu(1)
            y = torch.matmul(torch.softmax(scores, dim=-1), values)
        else:
            y = functional.scaled_dot_product_attention(q, keys, values, is_causal=causal)
        return y.transpose(1, 2).reshape(len(self.mix), -1, q.shape[2], self.mix.shape[-1])

    def mixed(self, y: Tensor) -> Tensor:
        """Output of the layer, of what is unmixed."""
        return times(y, self.mix * self.scale)

    def last(self, x: Tensor, matrices: Tensor) -> Tensor:
        """Unmixed output of the last position, (R, B, 1, w), without the keys and values of any.

        The score ``q . (x_t K)`` is ``(q K') . x_t``, and ``sum_t a_t (x_t V)`` is ``(sum_t a_t x_t) V``: of order
        w**2 + H T w products per sentence instead of T w**2.
        """
        # r replica, h head, b batch, t position, e entry of a head
        R, B, T, w = x.shape
        H, e = self.heads, x.shape[-1] // self.heads
        by_head = matrices.view(R, w, 3, H, e).permute(2, 0, 3, 1, 4).reshape(3, R * H, w, e)
        here = x[:, None, :, -1].expand(R, H, B, w).reshape(R * H, B, w)
        q = torch.bmm(here, by_head[0])
        probes = torch.bmm(q, by_head[1].transpose(1, 2)).view(R, H, B, w).transpose(1, 2).reshape(R * B, H, w)
        flat = x.reshape(R * B, T, w)
        scores = torch.bmm(probes, flat.transpose(1, 2)) / math.sqrt(e)  # (R * B, H, T)
        means = torch.bmm(torch.softmax(scores, dim=-1), flat)  # (R * B, H, w)
        means = means.view(R, B, H, w).transpose(1, 2).reshape(R * H, B, w)
        return torch.bmm(means, by_head[2]).view(R, H, B, e).transpose(1, 2).reshape(R, B, 1, w)


def times(x: Tensor, matrix: Tensor) -> Tensor:
    """Product of x (R, ..., w) with a matrix (R, w, u) of each replica."""
    return torch.bmm(x.flatten(1, -2), matrix).view(*x.shape[:-1], -1)


def normalise(x: Tensor) -> Tensor:
    """Layer norm over the width, without gains: the matrices behind it have them."""
    return functional.layer_norm(x, x.shape[-1:])
