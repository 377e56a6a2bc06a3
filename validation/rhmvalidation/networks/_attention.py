"""Lookups and attention with a leading replica axis.

Index legend: R replicas, B batch, T positions, w width, v symbols, H heads, e entry of a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_FEW_POSITIONS = 16
"""Up to so many queries a CPU takes gradients faster without the kernel that never holds all scores; measured."""


def look_up(weight: Tensor, ids: Tensor, table: Tensor, *, whitened: bool) -> Tensor:
    """Return a linear map of one-hot tokens, without the products; see `plain.one_hot`.

    Parameters
    ----------
    weight : tensor, shape (R, tables, v, w)
    ids : tensor of int64, shape (R, ..., p)
        Tokens; ``v`` is the mask.
    table : tensor of int64, shape (..., p)
        Which table each token meets; rows are summed over the last axis.
    whitened : bool

    Returns
    -------
    tensor, shape (R, ..., w)
    """
    R, tables, v, w = weight.shape
    total = weight.sum(dim=2, keepdim=True)
    token_rows = (weight - total / v) / math.sqrt(1 - 1 / v) if whitened else weight
    rows = torch.cat([token_rows, total / math.sqrt(v)], dim=2).view(-1, w)
    replica = torch.arange(R, device=ids.device).view(-1, *[1] * (ids.dim() - 1))
    index = (replica * tables + table) * (v + 1) + ids
    summed = functional.embedding_bag(index.reshape(-1, ids.shape[-1]), rows, mode="sum")
    return summed.view(*ids.shape[:-1], w)


def times(x: Tensor, matrix: Tensor) -> Tensor:
    """Return the product of x (R, ..., w) with a matrix (R, w, u) of each replica."""
    return torch.bmm(x.flatten(1, -2), matrix).view(*x.shape[:-1], -1)


def attend(qkv: Tensor, heads: int, *, causal: bool = False) -> Tensor:
    """Return the unmixed output at every position, (R, B, T, w), from queries, keys and values (R, B, T, 3 w)."""
    R, B, T, w3 = qkv.shape
    # parted before the heads change places with the positions: the gradients are joined where they lie
    parts = qkv.view(R * B, T, 3, heads, -1).unbind(2)
    q, keys, values = (part.transpose(1, 2) for part in parts)  # (R * B, H, T, e)
    if q.requires_grad and q.device.type == "cpu" and T <= _FEW_POSITIONS:
        scores = torch.matmul(q * q.shape[-1] ** -0.5, keys.transpose(2, 3))
        if causal:
            scores = scores + torch.full((T, T), -math.inf, device=q.device).triu(1)
        means = torch.matmul(torch.softmax(scores, dim=-1), values)
    else:
        means = functional.scaled_dot_product_attention(q, keys, values, is_causal=causal)
    return means.transpose(1, 2).reshape(R, B, T, w3 // 3)


def attend_last(x: Tensor, matrices: Tensor, heads: int) -> Tensor:
    """Return the unmixed output of the last position, (R, B, 1, w), without the keys and values of any.

    The score ``q . (x_t K)`` is ``(q K') . x_t``, and ``sum_t a_t (x_t V)`` is ``(sum_t a_t x_t) V``: of order
    w**2 + H T w products per sentence instead of T w**2.

    Parameters
    ----------
    x : tensor, shape (R, B, T, w)
    matrices : tensor, shape (R, w, 3 w)
        Of queries, keys and values side by side.
    heads : int
    """
    R, B, T, w = x.shape
    H, e = heads, w // heads
    by_head = matrices.view(R, w, 3, H, e).permute(2, 0, 3, 1, 4).reshape(3, R * H, w, e)
    here = x[:, None, :, -1].expand(R, H, B, w).reshape(R * H, B, w)
    q = torch.bmm(here, by_head[0])
    probes = torch.bmm(q, by_head[1].transpose(1, 2)).view(R, H, B, w).transpose(1, 2).reshape(R * B, H, w)
    flat = x.reshape(R * B, T, w)
    scores = torch.bmm(probes, flat.transpose(1, 2)) / math.sqrt(e)  # (R * B, H, T)
    means = torch.bmm(torch.softmax(scores, dim=-1), flat)  # (R * B, H, w)
    means = means.view(R, B, H, w).transpose(1, 2).reshape(R * H, B, w)
    return torch.bmm(means, by_head[2]).view(R, H, B, e).transpose(1, 2).reshape(R, B, 1, w)
