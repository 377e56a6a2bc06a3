"""What a network computes, not just how well: the context it uses, and the hidden symbols its layers represent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rhmtheory import Grammar, InputError
from rhmtheory._support.checks import as_int
from rhmtheory._support.types import FloatArray, IntArray
from rhmtheory.model.interventions import redraw_rule, redraw_symbol

if TYPE_CHECKING:
    from rhmvalidation.models import LayeredNetwork

_SHRINKAGE = 1e-3
"""Part of the mean variance added to every direction before whitening, so that silent ones stay silent."""


@dataclass(frozen=True)
class Sensitivity:
    """How layers react when one hidden symbol, or only its production rule, is redrawn. Made by `sensitivity`.

    ``symbol`` and ``rule`` have shape (layers, L - 1): one minus the mean cosine similarity of whitened
    activations before and after, for the hidden symbol of level k = 1..L-1 nearest to the target. A layer
    represents hidden level k when ``symbol`` is large and ``rule`` small: it sees the symbol and is blind to
    its synonyms, so that ``blindness``, one minus their ratio, is near one.
    """

    symbol: FloatArray
    rule: FloatArray

    @property
    def blindness(self) -> FloatArray:
        """``1 - rule / symbol``, shape (layers, L - 1)."""
        return np.asarray(1 - self.rule / self.symbol)


@torch.no_grad()
def sensitivity(
    network: LayeredNetwork, grammar: Grammar, *, replica: int = 0, sentences: int = 2048, seed: int = 0
) -> Sensitivity:
    """Measure the representation diagnostic of arXiv:2505.07070 on one replica of a network.

    The node of hidden level k is the left neighbour of the target's own ancestor of that level. Redrawing its
    *symbol* replaces it by another one and draws a new subtree; redrawing its *rule* keeps the symbol and
    draws another rule and new subtrees below, a synonym. Activations of a layer are whitened over the batch
    (a thousandth of the mean variance is added to all directions) and compared by cosine similarity.

    Raises
    ------
    InputError
        For one level of rules (no hidden symbols), or one rule a symbol (no synonyms).
    """
    rhm = grammar.rhm
    sentences = as_int("sentences", sentences, low=2)
    if rhm.L < 2:
        raise InputError("L=1 has no hidden symbols between tokens and root: the diagnostic needs at least 2")
    if any(rhm.n_rules(k) < 2 for k in range(1, rhm.L)):
        raise InputError("m=1 gives a symbol one rule: without synonyms there is nothing to redraw")
    rng = np.random.default_rng(seed)
    trees = grammar.sample(sentences, rng, trees=True)
    device = next(network.parameters()).device
    replicas = next(network.parameters()).shape[0]

    def activations(tokens: IntArray) -> list[Tensor]:
        """Layers of the one replica, (n, features); the other replicas see the same sentences."""
        ids = torch.from_numpy(np.ascontiguousarray(tokens)).to(device).expand(replicas, *tokens.shape)
        return [layer[replica].flatten(1).double() for layer in network.layers(ids)]

    before = activations(trees[0])
    whiten = [_whitening(x) for x in before]
    out = np.empty((2, len(before), rhm.L - 1))
    for k in range(1, rhm.L):
        for row, redraw in enumerate((redraw_symbol, redraw_rule)):
            tokens = redraw(grammar, trees, k, rhm.width(k) - 2, rng)[0]
            for layer, after in enumerate(activations(tokens)):
                mean, matrix = whiten[layer]
                a, b = (before[layer] - mean) @ matrix, (after - mean) @ matrix
                out[row, layer, k - 1] = 1 - torch.cosine_similarity(a, b, dim=1).mean().item()
    return Sensitivity(out[0], out[1])


def _whitening(x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.mean(dim=0)
    values, vectors = torch.linalg.eigh(torch.cov(x.T))
    scale = (values.clamp_min(0) + _SHRINKAGE * values.clamp_min(0).mean()).rsqrt()
    return mean, vectors * scale
