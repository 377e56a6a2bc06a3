"""The networks of `plain`, many replicas at once and with fewer products: the same numbers within rounding.

All take token ids ``(R, B, d)`` and return logits ``(R, B, v)`` for the last token, which they never read; with the
objectives of whole sentences see `plain`.

Index legend: R replicas, B batch, G groups of blocks that meet one filter, n blocks, s children, w width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rhmtheory.support.errors import InputError
from rhmtheory.tree import Shape
from rhmvalidation.networks import _repeats as repeats
from rhmvalidation.networks import plain
from rhmvalidation.networks._attention import attend, attend_last, look_up, times
from rhmvalidation.networks.objectives import EVERY_TOKEN, WHOLE, alike
from rhmvalidation.networks.plain import normalise
from rhmvalidation.networks.stack import Network

_WORTH_SAVING = 6e6
"""Multiplications below which looking for repeats costs as much as they do; measured on the CPU."""
_NO_REPEATS = 1e15
"""So many kinds of blocks that no two of a batch are alike."""


class FastNetwork(Network):
    """A stack with the parameters of a plain network, by the same names.

    Parameters
    ----------
    shape : Shape
    replicas : int
    objective : str
    **arguments
        Those of the plain network.
    """

    plain: type[plain.PlainNetwork]
    thrifty: bool | None = None
    """Whether what repeats in a batch is computed once. None: where it pays, by size."""

    def __init__(self, shape: Shape, replicas: int, *, objective: str = "last", **arguments: Any) -> None:
        with torch.device("meta"):
            form = self.plain(shape, objective=objective, **arguments)
        stacked = {name: nn.Parameter(torch.empty(replicas, *p.shape)) for name, p in form.named_parameters()}
        super().__init__(shape, stacked, objective=objective)
        self.width, self._form = form.width, (form,)  # in a tuple, so that its parameters are not found among ours

    def __getitem__(self, name: str) -> Tensor:
        """Stacked parameter of that name."""
        found: Tensor = self.stacked[self.parameter_names.index(name)]
        return found

    def seen(self, tokens: Tensor) -> Tensor:
        """Return what the network sees of ids (R, B, d), as int64; ``v`` is the mask."""
        return self._form[0].seen(tokens)

    def rate_scale(self) -> float:
        """Return the factor that the parametrisation puts on the learning rate."""
        return self._form[0].rate_scale()

    def check(self, objective: str) -> None:
        """Raise `InputError` for a network that was made for another objective."""
        if not alike(objective, self.objective):
            rule = f"is not what this network was made for, {self.objective!r}"
            raise InputError("objective", objective, rule, f"make it with `objective`={objective!r}")

    def _draw(self, generators: Sequence[torch.Generator]) -> None:
        for name in self._drawn():
            scale = self._form[0].initial_scale(name)
            for replica, generator in zip(self[name], generators, strict=True):
                replica.copy_(scale * torch.randn(replica.shape, generator=generator))

    def _drawn(self) -> Sequence[str]:
        """Names of the parameters in the order in which they are drawn."""
        return self.parameter_names

    def _saves(self, pays: bool) -> bool:
        return pays if self.thrifty is None else self.thrifty


def _subtrees(shape: Shape) -> list[float]:
    """Numbers of different blocks of tokens that the symbols of each level 1..L produce."""
    trees, out = 1.0, []
    for level in range(1, shape.L + 1):
        trees = min(shape.n_rules(level) * trees ** shape.n_children(level), _NO_REPEATS)
        out.append(shape.n_symbols(level) * trees)
    return out


class _Hierarchical(FastNetwork):
    """CNN and LCN: lookups in place of products with one-hot vectors, and repeated tuples computed once."""

    shared: bool

    def __init__(self, shape: Shape, replicas: int, width: int, *, objective: str = "last") -> None:
        super().__init__(shape, replicas, objective=objective, width=width)
        levels = range(1, shape.L + 1)
        self.branches = [shape.n_children(level) for level in levels]
        self.positions = [shape.width(level) for level in levels]
        self.kinds = _subtrees(shape)

    def multiplications(self) -> int:
        """Count those of the hidden layers and the readout; lookups multiply nothing."""
        inputs = sum(positions * s for positions, s in zip(self.positions[1:], self.branches[1:], strict=True))
        return inputs * self.width**2 + self.width * self.outputs

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of the last token, (R, B, v), from ids (R, B, d)."""
        *_, (top, _) = self._levels(tokens)
        return torch.bmm(top, self["readout"]) / self.width

    def _levels(self, tokens: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Level by level the activations (G, K, w) of its blocks, and which of them stands where, (G, n).

        A group is what meets one filter: of each replica n = B positions blocks, and where filters are not shared
        the n = B blocks of one position. Where all blocks are computed as they stand the index is None; those above
        are then, too, and in the last level always.
        """
        R, B, _ = tokens.shape
        ids = self.seen(tokens)
        index: Tensor | None = ids.view(R, -1) if self.shared else ids.transpose(1, 2).reshape(-1, B)
        rows, symbols = tokens, self.v + 1
        for level, s in enumerate(self.branches):
            blocks = None if index is None else self._tuples(index, s)
            index = None
            if blocks is not None and self._repeats(level, blocks, symbols):
                blocks, index = repeats.distinct(blocks, symbols)
            rows = torch.relu(self._pre_activations(level, rows, blocks))
            symbols = rows.shape[1]
            yield rows, index

    def _tuples(self, children: Tensor, s: int) -> Tensor:
        """Blocks (G, n, s, ...) of what stands for their children, (G', n', ...)."""
        groups, n, *rest = children.shape
        if self.shared:
            return children.view(groups, -1, s, *rest)
        return children.view(-1, s, n, *rest).transpose(1, 2)

    def _pre_activations(self, level: int, below: Tensor, blocks: Tensor | None) -> Tensor:
        """Those of blocks, (G, n, w); without ``blocks`` they consist of all that is below, in its order."""
        s, w = self.branches[level], self.width
        weight = self[f"layers.{level}.weight"]  # (R, filters, s c, w)
        if level == 0:
            assert blocks is not None
            R, filters = weight.shape[:2]
            children = blocks.reshape(R, filters, *blocks.shape[1:])  # (R, filters, n, s)
            table = torch.arange(s * filters, device=blocks.device).view(-1, 1, s)
            looked_up = look_up(weight.view(R, filters * s, self.v, w), children, table, whitened=True)
            return looked_up.flatten(0, 1) / math.sqrt(s * self.v)
        weight = weight.flatten(0, 1)  # (G, s * w, w)
        scale = (s * w) ** -0.5
        if below.shape[1] < s * w * weight.shape[0] // below.shape[0]:  # on what has fewer entries
            below = below * scale
        else:
            weight = weight * scale
        if blocks is None:
            return torch.bmm(self._tuples(below, s).flatten(2), weight)
        return repeats.linear(below, blocks, weight)

    def _repeats(self, level: int, blocks: Tensor, symbols: int) -> bool:
        """Whether the blocks (G, n, s) repeat so often that it pays to find the distinct ones."""
        G, n, s = blocks.shape
        if level == len(self.branches) - 1 or not repeats.can_be_numbered(symbols, s, G):
            return False
        saved = n - repeats.expected_distinct(self.kinds[level], n)
        # a GPU would have to wait until the number of distinct blocks is known
        pays = blocks.device.type == "cpu" and 2 * saved >= n and G * saved * self.width**2 >= _WORTH_SAVING
        return self._saves(pays)


class ConvolutionalNetwork(_Hierarchical):
    """Hierarchical CNN: one filter per level, shared by all positions."""

    plain, shared = plain.ConvolutionalNetwork, True


class LocallyConnectedNetwork(_Hierarchical):
    """Hierarchical network with a filter of its own for every position."""

    plain, shared = plain.LocallyConnectedNetwork, False


class FullyConnectedNetwork(FastNetwork):
    """Dense layers on all tokens but the last."""

    plain = plain.FullyConnectedNetwork

    def __init__(
        self, shape: Shape, replicas: int, width: int, depth: int | None = None, *, objective: str = "last"
    ) -> None:
        super().__init__(shape, replicas, objective=objective, width=width, depth=depth)
        self.depth = depth or shape.L

    def multiplications(self) -> int:
        """Count those of the hidden layers and the readout."""
        return (self.depth - 1) * self.width**2 + self.width * self.outputs

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of the last token, (R, B, v), from ids (R, B, d)."""
        places = self.d if self.objective in WHOLE else self.d - 1
        first = self["layers.0.weight"].view(-1, places, self.v, self.width)
        table = torch.arange(places, device=tokens.device)
        x = look_up(first, tokens[..., :places].long(), table, whitened=True)
        x = torch.relu(x / math.sqrt(places * self.v))
        for i in range(1, self.depth):
            x = torch.relu(torch.bmm(x, self[f"layers.{i}.weight"] / math.sqrt(self.width)))
        return torch.bmm(x, self["readout"]) / self.width


class _Transformer(FastNetwork):
    """Embedding, learnt positions, and layers of attention, the last of which computes one position."""

    scaled: bool
    """Whether weights are scaled in the forward pass, by one over the root of the fan-in, and tokens whitened."""
    mixes = ""
    """Place of the attention within a layer."""

    def __init__(
        self,
        shape: Shape,
        replicas: int,
        width: int,
        heads: int = 1,
        depth: int | None = None,
        *,
        objective: str = "last",
    ) -> None:
        super().__init__(shape, replicas, objective=objective, width=width, heads=heads, depth=depth)
        self.heads, self.depth = heads, depth or shape.L
        self.scale = width**-0.5 if self.scaled else 1.0

    def multiplications(self) -> int:
        """Count those of the attention layers and the readout."""
        T, w = self.d, self.width
        full = 4 * T * w * w + 2 * T * T * w
        return (self.depth - 1) * full + 2 * T * w * w + 2 * w * w + 2 * T * w + w * self.outputs

    def per_position(self, tokens: Tensor) -> Tensor:
        """Return logits of every token, (R, B, d, v), or of the class, (R, B, 1, n)."""
        return self.every_token(tokens) if self.objective in EVERY_TOKEN else super().per_position(tokens)

    def embed(self, ids: Tensor) -> Tensor:
        """Return embeddings plus positions, (R, B, d, w); id ``v`` is the mask."""
        table = torch.zeros(1, dtype=torch.long, device=ids.device)
        embedded = look_up(self["embedding"][:, None], ids[..., None], table, whitened=self.scaled)
        return (embedded / math.sqrt(self.v) if self.scaled else embedded) + self["position"][:, None]

    def qkv(self, layer: int) -> Tensor:
        """Return the scaled matrices of queries, keys and values side by side, (R, w, 3 w)."""
        return self[f"layers.{layer}.{self.mixes}qkv"] * self.scale

    def mix(self, layer: int) -> Tensor:
        """Return the scaled matrix behind an attention layer, (R, w, w)."""
        return self[f"layers.{layer}.{self.mixes}mix"] * self.scale

    def _first(self, ids: Tensor, matrices: Tensor) -> Tensor:
        """Queries, keys and values of the first layer, (R, B, d, 3 w): token and position decide them."""
        R, B, d = ids.shape
        if not self._saves(2 * d * (self.v + 1) <= B * d):
            return times(self._normed(self.embed(ids)), matrices)
        pairs = torch.arange(self.v + 1, device=ids.device)[:, None].expand(R, -1, d)
        table = times(self._normed(self.embed(pairs)), matrices).flatten(1, 2)  # (R, (v + 1) d, 3 w)
        place = ids * d + torch.arange(d, device=ids.device)
        return repeats.take(table, place.view(R, -1)).view(R, B, d, -1)

    def _normed(self, x: Tensor) -> Tensor:
        return x


class AttentionOnly(_Transformer):
    """Attention layers and nothing else."""

    plain, scaled = plain.AttentionOnly, True

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of the last token or the class, (R, B, v), from ids (R, B, d)."""
        return torch.bmm(self._mixed(tokens, last_only=True)[:, :, -1], self["readout"] * self.scale)

    def every_token(self, tokens: Tensor) -> Tensor:
        """Return logits of every token of a whole sentence, (R, B, d, v)."""
        if self.objective not in EVERY_TOKEN:
            return super().every_token(tokens)
        return times(self._mixed(tokens, last_only=False), self["readout"] * self.scale)

    def _mixed(self, tokens: Tensor, *, last_only: bool) -> Tensor:
        """Output of the last layer, (R, B, d or 1, w)."""
        ids, y = self.seen(tokens), None
        # nothing stands between two layers, so that the mixing matrix of one is multiplied into those of the next,
        # w * w * 3 w products, and no vector of the batch is mixed, B d w * w
        merged = self._saves(6 * self.width <= tokens.shape[1] * self.d)
        for i in range(self.depth):
            matrices = torch.bmm(self.mix(i - 1), self.qkv(i)) if i and merged else self.qkv(i)
            if last_only and i == self.depth - 1:
                y = attend_last(self.embed(ids) if y is None else y, matrices, self.heads)
            else:
                y = attend(self._first(ids, matrices) if y is None else times(y, matrices), self.heads)
            if not merged or i == self.depth - 1:
                y = times(y, self.mix(i))
        assert y is not None
        return y


class Decoder(_Transformer):
    """GPT-like causal decoder; `forward` computes the last block for the last position alone."""

    plain, scaled, mixes = plain.Decoder, False, "attention."

    def _drawn(self) -> Sequence[str]:
        """Matrices kind by kind."""
        order = {"qkv": 1, "mix": 1, "up": 2, "down": 3}
        return sorted(self.parameter_names, key=lambda name: order.get(name.rpartition(".")[2], 0))

    def multiplications(self) -> int:
        """Count attention and MLP; the last block computes one position."""
        return super().multiplications() + 8 * self.width**2 * (self.d * (self.depth - 1) + 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of the last token, (R, B, v), from ids (R, B, d)."""
        return torch.bmm(normalise(self._stream(tokens, last_only=True)[:, :, -1]), self["readout"])

    def every_token(self, tokens: Tensor) -> Tensor:
        """Return logits of every token, (R, B, d, v)."""
        return times(normalise(self._stream(tokens, last_only=False)), self["readout"])

    def _normed(self, x: Tensor) -> Tensor:
        return normalise(x)

    def _stream(self, tokens: Tensor, *, last_only: bool) -> Tensor:
        """Residual stream behind the last block, (R, B, d or 1, w)."""
        ids = self.seen(tokens)
        x = self.embed(ids)
        for i in range(self.depth):
            matrices = self.qkv(i)
            if last_only and i == self.depth - 1:
                y, x = attend_last(normalise(x), matrices, self.heads), x[:, :, -1:]
            else:
                qkv = times(normalise(x), matrices) if i else self._first(ids, matrices)
                y = attend(qkv, self.heads, causal=self.objective not in WHOLE)
            x = x + times(y, self.mix(i))
            hidden = functional.gelu(times(normalise(x), self[f"layers.{i}.up"]))
            x = x + times(hidden, self[f"layers.{i}.down"])
        return x
