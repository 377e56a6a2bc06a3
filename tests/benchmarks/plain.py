"""The published networks in their plain form, on one-hot tokens, with the weights of one replica of ours."""

import math

import torch
from torch import nn
from torch.nn import functional


class Convolutions(nn.Module):
    """One filter a level, shared by all places."""

    def __init__(self, network):
        super().__init__()
        s, w = network.branches, network.width
        hidden = [weight[0, 0].view(n, w, w) for n, weight in zip(s[1:], network.hidden, strict=True)]
        self.filters = nn.ParameterList(copy(f.permute(2, 1, 0)) for f in (network.first.weight[0], *hidden))
        self.readout = copy(network.readout[0])

    def forward(self, x):
        for f in self.filters:
            x = torch.relu(functional.conv1d(x, f, stride=f.shape[2]) / math.sqrt(f.shape[1] * f.shape[2]))
        return x[..., 0] @ self.readout / len(self.readout)


class LocallyConnected(nn.Module):
    """A filter of its own for every place, as an einsum."""

    def __init__(self, network):
        super().__init__()
        s, w = network.branches, network.width
        first = network.first.weight[0]
        hidden = [weight[0].view(-1, n, w, w) for n, weight in zip(s[1:], network.hidden, strict=True)]
        self.filters = nn.ParameterList(copy(f) for f in (first.view(-1, s[0], *first.shape[1:]), *hidden))
        self.readout = copy(network.readout[0])

    def forward(self, x):
        for f in self.filters:  # q place, s child, c channel below, o channel
            q, s, c, _ = f.shape
            x = torch.relu(torch.einsum("bcqs,qsco->boq", x.unflatten(2, (q, s)), f) / math.sqrt(s * c))
        return x[..., 0] @ self.readout / len(self.readout)


class Attention(nn.Module):
    """Layers of attention, every position in every layer."""

    def __init__(self, network):
        super().__init__()
        self.embedding, self.position = copy(network.embedding.weight[0, 0]), copy(network.position[0])
        self.heads = network.attention[0].heads
        self.matrices = nn.ParameterList(
            copy(matrix) for layer in network.attention for matrix in (*layer.qkv[0].chunk(3, dim=1), layer.mix[0])
        )
        self.readout = copy(network.readout[0])

    def forward(self, x):
        x = x.transpose(1, 2) @ self.embedding / math.sqrt(len(self.embedding)) + self.position
        B, T, w = x.shape
        scale = w**-0.5
        for i in range(0, len(self.matrices), 4):
            q, k, v, mix = self.matrices[i : i + 4]
            q, k, v = ((x @ m * scale).view(B, T, self.heads, -1).transpose(1, 2) for m in (q, k, v))
            weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(w / self.heads), dim=-1)
            x = (weights @ v).transpose(1, 2).reshape(B, T, w) @ mix * scale
        return x[:, -1] @ self.readout * scale


PLAIN = {"cnn": Convolutions, "lcn": LocallyConnected, "attention": Attention}


class OnTokens(nn.Module):
    """A plain network on token ids (B, d)."""

    def __init__(self, plain, v):
        super().__init__()
        self.plain, self.v = plain, v

    def forward(self, tokens):
        return self.plain(one_hot(tokens, self.v))


def copy(weight):
    return nn.Parameter(weight.detach().clone(memory_format=torch.contiguous_format))


def one_hot(tokens, v, dtype=torch.float32):
    """Whitened one-hot rows, (B, v, d); that of the last token is the constant mask."""
    x = (functional.one_hot(tokens.long(), v).to(dtype) - 1 / v) / math.sqrt(1 - 1 / v)
    x = torch.cat([x[:, :-1], torch.full_like(x[:, -1:], v**-0.5)], dim=1)
    return x.transpose(1, 2).contiguous()
