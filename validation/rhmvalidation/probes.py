"""What a network computes, not just how well: the context it uses, and the hidden symbols its layers represent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rhmtheory import Grammar, InputError
from rhmtheory._support.checks import as_int
from rhmtheory._support.types import FloatArray, IntArray
from rhmtheory.exact.inference import next_token_posterior

if TYPE_CHECKING:
    from rhmvalidation.models import Network

_PROBED_SENTENCES = 1024
_SHRINKAGE = 1e-3
"""Part of the mean variance added to every direction before whitening, so that silent ones stay silent."""


class ContextProbe:
    """Divergence of networks from the ideal predictors of limited context, on the first held-out sentences.

    The ideal predictor of context level k sees the last ``s**k - 1`` tokens before the target and knows the
    grammar. The k of least mean ``KL(ideal_k || network)`` is the context that a network uses.
    """

    def __init__(self, grammars: Sequence[Grammar], tokens: Tensor) -> None:
        """Compute the ideal predictions for tokens (R, n, d) of one grammar a replica."""
        rhm = grammars[0].rhm
        sentences = tokens[:, :_PROBED_SENTENCES].cpu().numpy()
        ideal = [
            [
                next_token_posterior(grammar, rows[:, rhm.d - rhm.span(k) : rhm.d - 1], position=rhm.d - 1)
                for k in range(rhm.L + 1)
            ]
            for grammar, rows in zip(grammars, sentences, strict=True)
        ]
        # (R, L + 1, n, v)
        self._ideal = torch.from_numpy(np.array(ideal)).to(tokens.device, torch.float32)

    def divergence(self, logits: Tensor) -> list[list[float]]:
        """Mean ``KL(ideal_k || network)`` in nats for k = 0..L, of each replica, from logits (R, n, v)."""
        log_q = logits[:, None, : self._ideal.shape[2]].log_softmax(dim=-1)
        values: list[list[float]] = (
            torch.special.xlogy(self._ideal, self._ideal)
            .sub_(self._ideal * log_q)
            .sum(dim=-1)
            .mean(dim=-1)
            .tolist()
        )
        return values

    def keep(self, replicas: Sequence[int]) -> None:
        """Drop all replicas but these."""
        self._ideal = self._ideal[list(replicas)]


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
    network: Network, grammar: Grammar, *, replica: int = 0, sentences: int = 2048, seed: int = 0
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
        for row, symbol in enumerate((True, False)):
            tokens = _redraw(grammar, trees, k, rng, symbol=symbol)
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


def _redraw(
    grammar: Grammar, trees: Sequence[IntArray], k: int, rng: np.random.Generator, *, symbol: bool
) -> IntArray:
    """Tokens (n, d) after redrawing the symbol, or only the rule, of the target's left neighbour at level k."""
    rhm = grammar.rhm
    v, m, s = grammar.rules(k).shape
    node = rhm.width(k) - 2
    symbols = trees[k][:, node].astype(np.int64)
    old = grammar.rules(k)[symbols] == trees[k - 1][:, None, node * s : (node + 1) * s]
    rule = old.all(axis=2).argmax(axis=1)  # rules of one symbol differ, so one fits
    n = len(symbols)
    if symbol:
        symbols, rule = (symbols + rng.integers(1, v, n)) % v, rng.integers(m, size=n)
    else:
        rule = (rule + rng.integers(1, m, n)) % m
    below = grammar.rules(k)[symbols, rule]  # (n, s), then level by level down to (n, s**k)
    for level in range(k - 1, 0, -1):
        below = grammar.rules(level)[below, rng.integers(rhm.n_rules(level), size=below.shape)].reshape(n, -1)
    tokens = np.array(trees[0])
    tokens[:, node * rhm.span(k) : (node + 1) * rhm.span(k)] = below
    return tokens
