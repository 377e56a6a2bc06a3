"""Steering: a hidden symbol is exchanged inside a network, and its prediction held against the exact one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rhmtheory import Grammar, InputError
from rhmtheory.support.checks import as_int
from rhmtheory.support.json import plain
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.support.values import ByValue
from rhmvalidation.diagnostics.hooks import activations
from rhmvalidation.networks.stack import evaluating


@dataclass(frozen=True, eq=False)
class Steering(ByValue):
    """Predictions after symbol a of a node was exchanged for b, against the exact posterior. Made by `steer`.

    All are means over sentences of ``KL(exact posterior of the last token given b || network)``, in nats.

    Attributes
    ----------
    level, node : int
        The node whose symbol is exchanged.
    layers : tuple of str
    sentences : int
        Sentences that allow another symbol; those that do not are left out.
    steered, steered_error : arrays, shape (layers,)
        The representation of a, in the layer, is replaced by that of b.
    unsteered, unsteered_error : float
        Nothing is replaced: what a layer that holds nothing of the node leaves.
    redrawn, redrawn_error : float
        The tokens below the node are replaced by some that b produces: what the network can do at best.
    """

    level: int
    node: int
    layers: tuple[str, ...]
    sentences: int
    steered: FloatArray
    steered_error: FloatArray
    unsteered: float
    unsteered_error: float
    redrawn: float
    redrawn_error: float

    @property
    def share(self) -> FloatArray:
        """Share of the way from ``unsteered`` to ``redrawn`` that steering goes, (layers,); 1 is all of it."""
        return np.asarray((self.unsteered - self.steered) / (self.unsteered - self.redrawn))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        content: dict[str, Any] = plain(self)
        return {**content, "share": plain(self.share)}


def steer(
    network: nn.Module,
    grammar: Grammar,
    *,
    level: int = 1,
    node: int | None = None,
    layers: Sequence[str] | None = None,
    sentences: int = 2048,
    seed: int = 0,
) -> Steering:
    """Exchange a hidden symbol inside a network, and hold its prediction against the exact posterior.

    The representation of each symbol at each node is a direction in the activations of a layer. Directions are
    fitted by least squares to the one-hot symbols of all nodes of the level but the target's own ancestor, on other
    sentences. Steering adds the direction of b and takes that of a away. b is drawn from the exact posterior of the
    node given all tokens but those below it, a left out.

    Parameters
    ----------
    network : torch.nn.Module
        Maps ids (B, d) to logits (B, v) of the last token, or (B, d, v).
    grammar : Grammar
    level : int
        Level of the node, 1..L-1.
    node : int, optional
        By default the left neighbour of the target's ancestor. It must not lie above the target.
    layers : sequence of str, optional
        See `rhmvalidation.diagnostics.hooks.activations`. Their outputs must be tensors.
    sentences : int
        To fit the directions; as many more are steered.
    seed : int

    Returns
    -------
    Steering

    Raises
    ------
    InputError
        For a node that is no latent or lies above the target, sentences that allow no other symbol, and layers as
        in `activations`.
    """
    shape, rng = grammar.shape, np.random.default_rng(seed)
    level = as_int("level", level, low=1, high=shape.L - 1)
    last = shape.width(level) - 1
    node = as_int("node", last - 1 if node is None else node, low=0, high=last - 1)
    n = as_int("sentences", sentences, low=2)
    trees = grammar.sample_trees(2 * n, rng)
    symbols = np.asarray(trees.level(level)).astype(np.int64)
    fitted = activations(network, trees.tokens[:n], layers)
    tokens, symbols, hot = trees.tokens[n:], symbols[n:], _one_hot(symbols[:n, :last], shape.n_symbols(level))
    hidden = np.arange(shape.d) // shape.span(level) == node
    hidden[-1] = True
    chance = grammar.posteriors(tokens, level=level, mask=hidden)[:, node].copy()
    chance[np.arange(n), symbols[:, node]] = 0
    kept = chance.sum(axis=1) > 1e-9
    if not kept.any():
        rule = "has but one symbol that agrees with the rest of the sentence"
        raise InputError(f"node {node} of level {level}", rule=rule, way_out="choose another node")
    tokens, symbols, chance = tokens[kept], symbols[kept], chance[kept]
    edges = chance.cumsum(axis=1)
    other = (rng.random(len(edges))[:, None] * edges[:, -1:] >= edges[:, :-1]).sum(axis=1)
    given = np.full(symbols.shape, -1)
    given[:, node] = other
    exact = grammar.posteriors(tokens, mask=hidden, symbols={level: given})[:, -1]
    redrawn = grammar.sample_posterior(tokens, mask=hidden, symbols={level: given}, seed=rng)
    steered = []
    for name, x in fitted.items():
        fit = torch.linalg.pinv(hot, rtol=1e-5) @ x.flatten(1).double()
        of_node = fit.view(last, shape.n_symbols(level), -1)[node]
        change = (of_node[other] - of_node[symbols[:, node]]).view(-1, *x.shape[1:])
        steered.append(_divergence(exact, _predict(network, tokens, {name: change})))
    plainly, anew = (_divergence(exact, _predict(network, x, {})) for x in (tokens, redrawn))
    each = np.array(steered)
    return Steering(level, node, tuple(fitted), len(tokens), each[:, 0], each[:, 1], *plainly, *anew)


def _one_hot(symbols: IntArray, v: int) -> Tensor:
    """Indicators (n, nodes * v) of the symbols (n, nodes)."""
    return torch.from_numpy((symbols[..., None] == np.arange(v)).reshape(len(symbols), -1)).double()


def _divergence(p: FloatArray, log_q: FloatArray) -> tuple[float, float]:
    """Mean ``KL(p || q)`` over sentences, and its standard error."""
    each = (p * (np.log(np.where(p > 0, p, 1.0)) - log_q)).sum(axis=1)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else float("nan")


@torch.no_grad()
def _predict(network: nn.Module, tokens: IntArray, changes: dict[str, Tensor]) -> FloatArray:
    """Logarithms of predictions of the last token, (n, v), with changes added to the outputs of layers."""
    first = next(network.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    ids = torch.from_numpy(tokens.astype(np.int64)).to(device)
    modules: dict[str, nn.Module] = dict(network.named_modules())
    parts, size = [], 1024
    with evaluating(network):
        for start in range(0, len(ids), size):
            rows = slice(start, start + size)
            handles = [modules[name].register_forward_hook(_adding(x[rows])) for name, x in changes.items()]
            try:
                logits = network(ids[rows])
            finally:
                for handle in handles:
                    handle.remove()
            parts.append((logits if logits.dim() == 2 else logits[:, -1]).double().cpu().log_softmax(dim=-1))
    out: FloatArray = torch.cat(parts).numpy()
    return out


def _adding(change: Tensor) -> Any:
    def hook(module: nn.Module, given: Any, output: Any) -> Any:
        x = output[0] if isinstance(output, tuple) else output
        moved = x + change.to(x)
        return (moved, *output[1:]) if isinstance(output, tuple) else moved

    return hook
