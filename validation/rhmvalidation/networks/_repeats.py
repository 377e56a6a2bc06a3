"""The repeated parts of a batch, each computed once.

Sentences of a grammar share their parts: of the thousand tuples in a batch less than a hundred differ. What a
layer makes of a block depends on the block alone, so that it is computed for the distinct ones and looked up for
the rest: the same numbers within rounding, gradients included, by fewer products.

Index legend: g group of blocks that meet the same weights (a replica, or a position of one), n block of the batch,
k distinct block, p child within a block, w width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_BITS = 62
_TABLE_PER_BLOCK = 16
"""Distinct codes are marked in a table of all up to this many entries per block, and sorted beyond."""


def expected_distinct(kinds: float, n: int) -> float:
    """Mean number of kinds that n draws hold, all of ``kinds`` being equally likely."""
    return -kinds * math.expm1(-n / kinds)


def can_be_numbered(symbols: int, s: int, groups: int) -> bool:
    """Whether blocks of s out of so many symbols have numbers of 64 bits, in all groups together."""
    return math.log2(groups) + s * math.log2(symbols) < _BITS


def distinct(blocks: Tensor, symbols: int) -> tuple[Tensor, Tensor]:
    """Distinct blocks of every group, and which of them each block is.

    Parameters
    ----------
    blocks : tensor of int64, shape (G, n, s)
        Entries from 0 to ``symbols - 1``.
    symbols : int

    Returns
    -------
    table : tensor of int64, shape (G, K, s)
        In rising order, K being the largest number in a group. Groups with fewer are filled up with zeros.
    index : tensor of int64, shape (G, n)
        ``table[g, index[g, n]]`` is ``blocks[g, n]``.
    """
    G, n, s = blocks.shape
    span = symbols**s
    powers = symbols ** torch.arange(s - 1, -1, -1, device=blocks.device)
    codes = (blocks * powers).sum(dim=-1)
    group = torch.arange(G, device=blocks.device)
    if span <= _TABLE_PER_BLOCK * n:
        seen = torch.zeros(G, span, dtype=torch.int64, device=blocks.device).scatter_(1, codes, 1)
        rank = seen.cumsum(dim=1)
        counts = rank[:, -1]
        index = rank.gather(1, codes) - 1
        values = seen.view(-1).nonzero()[:, 0]
    else:
        values, flat = torch.unique(codes + span * group[:, None], return_inverse=True)
        counts = torch.bincount(values // span, minlength=G)
        index = flat.view(G, n) - (counts.cumsum(0) - counts)[:, None]
    # values: those of the groups one after another, each shifted by g * span
    owner = values // span
    slot = torch.arange(len(values), device=blocks.device) - (counts.cumsum(0) - counts)[owner]
    table = torch.zeros(G, int(counts.max()), dtype=torch.int64, device=blocks.device)
    table[owner, slot] = values - owner * span
    return table[..., None] // powers % symbols, index


def take(rows: Tensor, index: Tensor) -> Tensor:
    """Rows (G, n, w) of a table (G, K, w) by index (G, n)."""
    G, K, w = rows.shape
    first = K * torch.arange(G, device=rows.device)
    return functional.embedding(index + first[:, None], rows.reshape(G * K, w))


def linear(rows: Tensor, blocks: Tensor, weight: Tensor) -> Tensor:
    """Linear map of the children of every block, ``sum_p rows[block_p] @ weight_p``, of shape (G, n, w).

    Parameters
    ----------
    rows : tensor, shape (G, K, w) or (G * s, K, w)
        What the distinct children are; in the second form child p of group g has a table of its own, g * s + p.
    blocks : tensor of int64, shape (G, n, s)
        Children by their rows.
    weight : tensor, shape (G, s * w, w)

    Notes
    -----
    Multiplies each distinct child, K of them, or each block, n, whichever are fewer.
    """
    G, n, s = blocks.shape
    K, w = rows.shape[1:]
    own = len(rows) == G * s
    first = K * torch.arange(len(rows), device=rows.device).view(G, 1, -1)
    if n <= K:
        children = functional.embedding(blocks + first, rows.reshape(-1, w))
        return torch.bmm(children.view(G, n, s * w), weight)
    products = torch.matmul(rows.view(G, s if own else 1, K, w), weight.view(G, s, w, w))  # (G, s, K, w)
    place = K * torch.arange(G * s, device=rows.device).view(G, 1, s)
    bags = (blocks + place).reshape(G * n, s)
    return functional.embedding_bag(bags, products.view(-1, w), mode="sum").view(G, n, w)
