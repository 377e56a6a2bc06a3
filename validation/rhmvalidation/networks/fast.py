"""The networks, each a stack of independent replicas: every parameter has a leading replica axis.

Replicas (other grammars, seeds, training sets) train together by batched matrix products, and none sees another.
All networks take token ids ``(R, B, d)`` and return logits ``(R, B, v)`` for the last token, which they never
read: in its place stands a constant input, ``v**(-1/2)`` in every entry of the one-hot vector.

Index legend: r replica, b batch, i position, p child within a tuple, w width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from rhmtheory import RHM, InputError
from rhmvalidation.networks import _repeats as repeats
from rhmvalidation.networks._layers import Attention, Lookup, mask_last, normalise, times

_WORTH_SAVING = 6e6
"""Multiplications below which looking for repeats costs as much as they do; measured on the CPU."""
_NO_REPEATS = 1e15
"""So many kinds of blocks that no two of a batch are alike."""


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode within; afterwards the module, and each of its parts, has the mode that it had."""
    modes = [(part, part.training) for part in network.modules()]
    network.eval()
    try:
        yield
    finally:
        network.train(modes[0][1])  # reaches what a network keeps beside its parts
        for part, mode in modes:
            part.training = mode


class Network(nn.Module):
    """What a trainer asks of a network, whoever wrote it: a stack of replicas with logits for each."""

    def __init__(self, rhm: RHM) -> None:
        super().__init__()
        self.v, self.d = rhm.n_symbols(0), rhm.d

    def initial_scale(self, name: str) -> float:
        """Standard deviation of the initial entries of a parameter."""
        return 1.0

    def rate_scale(self) -> float:
        """Factor that the parametrisation puts on the learning rate."""
        return 1.0

    def multiplications(self) -> int:
        """Multiplications of one forward pass of one sentence through one replica."""
        raise NotImplementedError

    def check(self, objective: str) -> None:
        """See that the network gives what the training objective needs; networks of this package do."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the last token, (R, B, v), from ids (R, B, d)."""
        raise NotImplementedError

    def autoregressive(self, tokens: Tensor) -> Tensor:
        """Logits of every token given those before it, (R, B, d, v)."""
        raise InputError(
            "objective='all' needs a network that predicts every token: a decoder, or one of your own that gives "
            "logits of shape (B, d, v)"
        )

    @torch.no_grad()
    def initialise(self, generators: Sequence[torch.Generator]) -> None:
        """Draw all weights normal, each replica from its own generator (on the CPU, so that devices agree)."""
        for name, parameter in self.named_parameters():
            for replica, generator in zip(parameter, generators, strict=True):
                replica.copy_(self.initial_scale(name) * torch.randn(replica.shape, generator=generator))

    @torch.no_grad()
    def keep(self, replicas: Tensor) -> None:
        """Drop all replicas but those with these indices."""
        for parameter in self.parameters():
            parameter.data = parameter.data[replicas]
            parameter.grad = None
        for buffer in self.buffers():
            buffer.data = buffer.data[replicas]


class LayeredNetwork(Network):
    """The networks of this module: layers, and a readout of the last one."""

    thrifty: bool | None = None
    """Whether products are saved that the numbers do not need: what repeats in a batch is computed once, and the
    last token attends without keys. None: where it pays, by size. The numbers are the same within rounding."""

    def _saves(self, pays: bool) -> bool:
        return pays if self.thrifty is None else self.thrifty

    def layers(self, tokens: Tensor) -> list[Tensor]:
        """Activations of every layer, (R, B, positions, w), from ids (R, B, d)."""
        raise NotImplementedError

    def read_out(self, last: Tensor) -> Tensor:
        """Logits (R, B, v) from the activations of the last layer, which has one position."""
        raise NotImplementedError

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the last token, (R, B, v), from ids (R, B, d)."""
        return self.read_out(self.layers(tokens)[-1])


class _MeanField(LayeredNetwork):
    """ReLU layers with standard normal weights, scaled in the forward pass, no biases.

    Published (public training code of arXiv:2505.07070): one over the square root of the fan-in, and one over the
    width at the readout (the mean-field limit), so that the learning rate is in units of the width. Tokens are
    whitened and have norm one, and the fan-in of the first layer is ``v`` times its tokens: its pre-activations
    start at ``v**(-1/2)``. Ours: the lookup in place of products with one-hot vectors, and the replica axis.
    """

    width: int
    readout: nn.Parameter

    def rate_scale(self) -> float:
        """The learning rate grows with the width."""
        return float(self.width)

    def read_out(self, last: Tensor) -> Tensor:
        """Logits, one over the width times a linear map."""
        return torch.bmm(last[:, :, 0], self.readout) / self.width


def _subtrees(rhm: RHM) -> list[float]:
    """How many different blocks of tokens the symbols of each level 1..L produce."""
    trees, out = 1.0, []
    for level in range(1, rhm.L + 1):
        trees = min(rhm.n_rules(level) * trees ** rhm.n_children(level), _NO_REPEATS)
        out.append(rhm.n_symbols(level) * trees)
    return out


class _Hierarchical(_MeanField):
    """Filter = stride = s of each level, depth L: the architecture of the data (arXiv:2505.07070)."""

    def __init__(self, rhm: RHM, replicas: int, width: int, *, shared: bool) -> None:
        super().__init__(rhm)
        self.width, self.shared = width, shared
        levels = range(1, rhm.L + 1)
        self.branches = [rhm.n_children(level) for level in levels]
        self.positions = [rhm.width(level) for level in levels]
        self.kinds = _subtrees(rhm)
        filters = [1] * rhm.L if shared else self.positions
        self.first = Lookup(replicas, filters[0] * self.branches[0], self.v, width, whitened=True)
        self.hidden = nn.ParameterList(
            nn.Parameter(torch.empty(replicas, count, s * width, width))
            for count, s in zip(filters[1:], self.branches[1:], strict=True)
        )
        self.readout = nn.Parameter(torch.empty(replicas, width, self.v))

    def multiplications(self) -> int:
        """Those of the hidden layers and the readout; lookups multiply nothing."""
        inputs = sum(positions * s for positions, s in zip(self.positions[1:], self.branches[1:], strict=True))
        return inputs * self.width**2 + self.width * self.v

    def layers(self, tokens: Tensor) -> list[Tensor]:
        """Hidden level by hidden level."""
        R, B, _ = tokens.shape
        out = []
        for rows, index in self._levels(tokens):
            h = rows if index is None else repeats.take(rows, index)
            out.append(
                h.view(R, B, -1, self.width) if self.shared else h.view(R, -1, B, self.width).transpose(1, 2)
            )
        return out

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the last token, (R, B, v), from ids (R, B, d)."""
        *_, (top, _) = self._levels(tokens)
        return self.read_out(top[:, :, None])

    def _levels(self, tokens: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Level by level the activations (G, K, w) of its blocks, and which of them stands where, (G, n).

        A group is what meets one filter: of each replica n = B positions blocks, and where filters are not shared
        the n = B blocks of one position. Where all blocks are computed as they stand the index is None; those above
        are then, too, and in the last level always.
        """
        R, B, _ = tokens.shape
        ids = mask_last(tokens, self.v)
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
        if level == 0:
            assert blocks is not None
            children = blocks.reshape(len(self.readout), -1, *blocks.shape[1:])  # (R, filters, n, s)
            table = torch.arange(s * children.shape[1], device=blocks.device).view(-1, 1, s)
            looked_up: Tensor = self.first(children, table)
            return looked_up.flatten(0, 1) / math.sqrt(s * self.v)
        weight = self.hidden[level - 1].flatten(0, 1)  # (G, s * w, w)
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
    """Hierarchical CNN: one filter a level, shared by all positions."""

    def __init__(self, rhm: RHM, replicas: int, width: int) -> None:
        super().__init__(rhm, replicas, width, shared=True)


class LocallyConnectedNetwork(_Hierarchical):
    """The same network with a filter of its own for every position."""

    def __init__(self, rhm: RHM, replicas: int, width: int) -> None:
        super().__init__(rhm, replicas, width, shared=False)


class FullyConnectedNetwork(_MeanField):
    """Baseline that knows nothing of the tree: ``depth`` fully connected layers on all tokens but the last."""

    def __init__(self, rhm: RHM, replicas: int, width: int, depth: int | None = None) -> None:
        super().__init__(rhm)
        self.width = width
        self.first = Lookup(replicas, self.d - 1, self.v, width, whitened=True)
        self.hidden = nn.ParameterList(
            [nn.Parameter(torch.empty(replicas, width, width)) for _ in range((depth or rhm.L) - 1)]
        )
        self.readout = nn.Parameter(torch.empty(replicas, width, self.v))

    def multiplications(self) -> int:
        """Those of the hidden layers and the readout."""
        return len(self.hidden) * self.width**2 + self.width * self.v

    def layers(self, tokens: Tensor) -> list[Tensor]:
        """Layer by layer, one position each."""
        table = torch.arange(self.d - 1, device=tokens.device)
        fan_in = (self.d - 1) * self.v
        out = [torch.relu(self.first(tokens[..., :-1].long(), table) / math.sqrt(fan_in))]
        for weight in self.hidden:
            out.append(torch.relu(torch.bmm(out[-1], weight / math.sqrt(self.width))))
        return [h[:, :, None] for h in out]


class _Transformer(LayeredNetwork):
    """Embedding, learnt positions and a linear readout at the last position.

    ``scaled``: all weights are standard normal and scaled in the forward pass, by one over the square root of the
    fan-in (of the embedding, too: v), and tokens are whitened.
    """

    def __init__(self, rhm: RHM, replicas: int, width: int, heads: int, depth: int | None, *, scaled: bool) -> None:
        super().__init__(rhm)
        self.width, depth = width, depth or rhm.L
        scale = width**-0.5 if scaled else 1.0
        self.embedding = Lookup(replicas, 1, self.v, width, whitened=scaled)
        self.position = nn.Parameter(torch.empty(replicas, self.d, width))
        self.attention = nn.ModuleList([Attention(replicas, width, heads, scale) for _ in range(depth)])
        self.readout = nn.Parameter(torch.empty(replicas, width, self.v))
        self.scaled, self._scale = scaled, scale

    def initial_scale(self, name: str) -> float:
        """Embeddings and positions of size one; matrices too where scaled, else with variance one over fan-in."""
        one = self.scaled or name.startswith("embedding") or name == "position"
        return 1.0 if one else self.width**-0.5

    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings plus positions, (R, B, d, w); id ``v`` is the mask."""
        table = torch.zeros(1, dtype=torch.long, device=ids.device)
        embedded: Tensor = self.embedding(ids[..., None], table)
        if self.scaled:
            embedded = embedded / math.sqrt(self.v)
        return embedded + self.position[:, None]

    def _normed(self, x: Tensor) -> Tensor:
        """What the attention layers make of their input before all else."""
        return x

    def _attend(
        self, layer: int, ids: Tensor, x: Tensor | None, queries: int, *, causal: bool = False, merged: bool = False
    ) -> Tensor:
        """Unmixed output of an attention layer at the last ``queries`` positions.

        Without ``x``, of the embedded ids; ``merged``: x is what the layer before left unmixed.
        """
        attention = self.attention[layer]
        assert isinstance(attention, Attention)
        before = self.attention[layer - 1] if merged else None
        assert before is None or isinstance(before, Attention)
        matrices = attention.matrices(before)
        R, B, d = ids.shape
        if layer == 0 and queries == d and self._saves(2 * d * (self.v + 1) <= B * d):
            # token and position decide: queries, keys and values of each pair, (R, (v + 1) d, 3 w); who has which
            pairs = torch.arange(self.v + 1, device=ids.device)[:, None].expand(R, -1, d)
            table = times(self._normed(self.embed(pairs)), matrices).flatten(1, 2)
            place = ids * d + torch.arange(d, device=ids.device)
            found = repeats.take(table, place.view(R, -1)).view(R, B, d, -1)
            return attention.attend(found, causal=causal)
        x = self._normed(self.embed(ids) if x is None else x)
        if queries == 1 and self._saves(attention.heads * d + self.width < self.width * d):
            return attention.last(x, matrices)
        attended: Tensor = attention(x, queries, matrices, causal=causal)
        return attended

    def _mix(self, layer: int, y: Tensor) -> Tensor:
        """Output of an attention layer, of what it left unmixed."""
        attention = self.attention[layer]
        assert isinstance(attention, Attention)
        return attention.mixed(y)

    def read_out(self, last: Tensor) -> Tensor:
        """Logits of the only position left."""
        return torch.bmm(last[:, :, -1], self.readout * self._scale)

    def multiplications(self) -> int:
        """Those of the attention layers, the last of which computes one query."""
        T, w = self.d, self.width
        full = 4 * T * w * w + 2 * T * T * w
        return (len(self.attention) - 1) * full + 2 * T * w * w + 2 * w * w + 2 * T * w + w * self.v


class AttentionOnly(_Transformer):
    """Attention layers and nothing else: no residual, norm or MLP (arXiv:2505.07070).

    Scales as published: standard normal weights, scaled in the forward pass, whitened tokens of norm one.
    """

    def __init__(self, rhm: RHM, replicas: int, width: int, heads: int = 1, depth: int | None = None) -> None:
        super().__init__(rhm, replicas, width, heads, depth, scaled=True)

    def layers(self, tokens: Tensor) -> list[Tensor]:
        """Attention layer by layer; the last one computes the position read out and no other."""
        ids, x, out = mask_last(tokens, self.v), None, []
        for i in range(len(self.attention)):
            x = self._mix(i, self._attend(i, ids, x, self._queries(i)))
            out.append(x)
        return out

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the last token, (R, B, v), from ids (R, B, d)."""
        # nothing stands between two layers, so that the mixing matrix of one is multiplied into those of the next,
        # w * w * 3 w products, and no vector of the batch is mixed, B d w * w
        if not self._saves(6 * self.width <= tokens.shape[1] * self.d):
            return super().forward(tokens)
        ids = mask_last(tokens, self.v)
        y = self._attend(0, ids, None, self._queries(0))
        for i in range(1, len(self.attention)):
            y = self._attend(i, ids, y, self._queries(i), merged=True)
        return self.read_out(self._mix(-1, y))

    def _queries(self, layer: int) -> int:
        return 1 if layer == len(self.attention) - 1 else self.d


class Decoder(_Transformer):
    """GPT-like causal decoder: pre-norm blocks of attention and MLP with residual connections.

    Its input is the sentence shifted by one, a mask first, so that position t predicts token t from those before
    it. `forward` gives the last token alone (and computes the last block there alone); `autoregressive` all.
    Ours in all its details: embeddings of size one without whitening, matrices of variance one over the fan-in.
    """

    def __init__(self, rhm: RHM, replicas: int, width: int, heads: int = 1, depth: int | None = None) -> None:
        super().__init__(rhm, replicas, width, heads, depth, scaled=False)
        depth = depth or rhm.L
        self.up = nn.ParameterList([nn.Parameter(torch.empty(replicas, width, 4 * width)) for _ in range(depth)])
        self.down = nn.ParameterList([nn.Parameter(torch.empty(replicas, 4 * width, width)) for _ in range(depth)])

    def initial_scale(self, name: str) -> float:
        """As in all transformers; what is added to the residual stream is small at first."""
        scale = super().initial_scale(name)
        if name.startswith("down"):
            scale /= 2
        return scale / math.sqrt(2 * len(self.down)) if name.endswith("mix") or name.startswith("down") else scale

    def multiplications(self) -> int:
        """Attention and MLP; the last block computes one position."""
        return super().multiplications() + 8 * self.width**2 * (self.d * (len(self.up) - 1) + 1)

    def layers(self, tokens: Tensor) -> list[Tensor]:
        """Residual stream after every block; that of the last block at the last position."""
        return self._blocks(tokens, last_only=True)

    def read_out(self, last: Tensor) -> Tensor:
        """Logits of the last position."""
        return super().read_out(normalise(last))

    def autoregressive(self, tokens: Tensor) -> Tensor:
        """Logits of every token given those before it, (R, B, d, v)."""
        x = normalise(self._blocks(tokens, last_only=False)[-1])
        return torch.einsum("rbtw,rwv->rbtv", x, self.readout)

    def _normed(self, x: Tensor) -> Tensor:
        return normalise(x)

    def _blocks(self, tokens: Tensor, *, last_only: bool) -> list[Tensor]:
        tokens = tokens.long()
        mask = torch.full_like(tokens[..., :1], self.v)
        ids = torch.cat([mask, tokens[..., :-1]], dim=-1)
        x, out = self.embed(ids), []
        for i, (up, down) in enumerate(zip(self.up, self.down, strict=True)):
            queries = 1 if last_only and i == len(self.up) - 1 else self.d
            x = x[:, :, self.d - queries :] + self._mix(i, self._attend(i, ids, x, queries, causal=True))
            R, B, T, w = x.shape
            hidden = functional.gelu(torch.bmm(normalise(x).reshape(R, B * T, w), up))
            x = x + torch.bmm(hidden, down).view(R, B, T, w)
            out.append(x)
        return out
