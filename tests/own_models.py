"""Networks of one's own, as a user would write them, for the tests."""

import torch
from torch import nn


class ResidualMLP(nn.Module):
    """Embeds all tokens but the last, and adds residual blocks."""

    def __init__(self, rhm, width=24, blocks=1):
        super().__init__()
        self.embed = nn.Embedding(rhm.n_symbols(0), width)
        self.enter = nn.Linear((rhm.d - 1) * width, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
            for _ in range(blocks)
        )
        self.readout = nn.Linear(width, rhm.n_symbols(0))

    def forward(self, ids):
        x = self.enter(self.embed(ids[:, :-1]).flatten(1))
        for block in self.blocks:
            x = x + block(x)
        return self.readout(x)


class Recurrent(nn.Module):
    """Predicts every token from those before it; torch.func cannot stack its kernels."""

    def __init__(self, rhm, width=16):
        super().__init__()
        self.embed = nn.Embedding(rhm.n_symbols(0) + 1, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.readout = nn.Linear(width, rhm.n_symbols(0))
        self.start = rhm.n_symbols(0)

    def forward(self, ids):
        shifted = torch.cat([torch.full_like(ids[:, :1], self.start), ids[:, :-1]], dim=1)
        return self.readout(self.rnn(self.embed(shifted))[0])


class BatchNormed(ResidualMLP):
    """Has buffers that training changes."""

    def __init__(self, rhm):
        super().__init__(rhm)
        self.norm = nn.BatchNorm1d((rhm.d - 1) * 24)
        self.enter = nn.Sequential(self.norm, self.enter)


class Tied(nn.Module):
    """One tensor under two names."""

    def __init__(self, rhm, width=16):
        super().__init__()
        self.embed = nn.Embedding(rhm.n_symbols(0), width)
        self.mix = nn.Linear((rhm.d - 1) * width, width)
        self.readout = nn.Linear(width, rhm.n_symbols(0), bias=False)
        self.readout.weight = self.embed.weight

    def forward(self, ids):
        return self.readout(self.mix(self.embed(ids[:, :-1]).flatten(1)))


class Cheat(nn.Module):
    """Reads the answer."""

    def __init__(self, rhm):
        super().__init__()
        self.embed = nn.Embedding(rhm.n_symbols(0), rhm.n_symbols(0))

    def forward(self, ids):
        return self.embed(ids[:, -1])


class Ahead(Recurrent):
    """Reads each token that it is to predict."""

    def forward(self, ids):
        return self.readout(self.rnn(self.embed(ids))[0])


class OneLogit(ResidualMLP):
    """Gives another shape."""

    def forward(self, ids):
        return super().forward(ids)[:, :1]


class Pair(ResidualMLP):
    """Gives no tensor."""

    def forward(self, ids):
        return super().forward(ids), None


class Empty(nn.Module):
    """Has nothing to train."""

    def __init__(self, rhm):
        super().__init__()

    def forward(self, ids):
        return torch.zeros(len(ids), 4)


class Broken(ResidualMLP):
    """Fails on every input."""

    def forward(self, ids):
        return self.readout(ids)


class OnlyPairs(nn.Module):
    """Holds one kind of ensemble."""

    def __init__(self, rhm):
        super().__init__()
        raise ValueError("s must be 7")


NOT_A_MODULE = 3
