"""Representations of a network: the changes that its layers see, and the hidden symbols read off them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from rhmtheory import Grammar, InputError
from rhmtheory.support.checks import as_choice, as_int
from rhmtheory.support.types import FloatArray, IntArray
from rhmvalidation.diagnostics.hooks import activations

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHRINKAGE = 1e-3
"""Part of the mean variance added to every direction before whitening, so that silent ones stay silent."""


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How layers react when one hidden symbol, or only its production rule, is redrawn. Made by `sensitivity`.

    ``symbol`` and ``rule`` have shape (layers, L - 1): one minus the mean cosine similarity of normalised
    activations before and after, for the hidden symbol of level k = 1..L-1 nearest to the target. A layer
    represents hidden level k when ``symbol`` is large and ``rule`` small: it sees the symbol and is blind to
    its synonyms, so that ``blindness``, one minus their ratio, is near one.
    """

    layers: tuple[str, ...]
    symbol: FloatArray
    rule: FloatArray

    @property
    def blindness(self) -> FloatArray:
        """``1 - rule / symbol``, shape (layers, L - 1)."""
        return np.asarray(1 - self.rule / self.symbol)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the blindness to synonyms of each hidden level against the layers, one line per level."""
        from rhmtheory.plotting.style import house_style, level_colors, new_figure

        ax = new_figure()[1][0] if ax is None else ax
        with house_style():
            colors = level_colors(len(self.blindness.T))
            for level, (blind, color) in enumerate(zip(self.blindness.T, colors, strict=True), start=1):
                ax.plot(range(len(self.layers)), blind, "o-", color=color, label=f"hidden level {level}")
            ax.axhline(0, color="0.6", lw=0.8)
            ax.set(ylabel="blindness to synonyms", ylim=(min(-0.05, self.blindness.min()), 1.05))
            ax.set_xticks(range(len(self.layers)), list(self.layers))
            ax.legend(fontsize=8)
        return ax


def sensitivity(
    network: nn.Module,
    grammar: Grammar,
    *,
    layers: Sequence[str] | None = None,
    normalise: str = "whiten",
    sentences: int = 2048,
    seed: int = 0,
) -> Sensitivity:
    """Measure the representation diagnostic of arXiv:2307.02129 and arXiv:2505.07070 on any network.

    The node of hidden level k is the left neighbour of the target's own ancestor of that level. Redrawing its
    *symbol* replaces it by another one and draws a new subtree; redrawing its *rule* keeps the symbol and
    draws another rule and new subtrees below, a synonym (see `rhmtheory.tree.Trees`). Activations of a
    layer are normalised over the batch and compared by cosine similarity.

    Parameters
    ----------
    network : torch.nn.Module
        Any module of ids (B, d).
    grammar : Grammar
    layers : sequence of str, optional
        See `rhmvalidation.diagnostics.hooks.activations`.
    normalise : {"whiten", "standardise"}
        ``standardise`` is published: each neuron by its own mean and standard deviation. ``whiten`` takes
        correlations between neurons away, too (a thousandth of the mean variance is added to all directions), so
        that a symbol that many neurons share does not outweigh the others.
    sentences, seed : int

    Raises
    ------
    InputError
        For one level of rules (no hidden symbols), one rule per symbol (no synonyms), and layers as in
        `activations`.
    """
    shape = grammar.shape
    sentences = as_int("sentences", sentences, low=2)
    as_choice("normalise", normalise, ("whiten", "standardise"))
    if shape.L < 2:
        rule = "has no hidden symbols between tokens and root"
        raise InputError("L", shape.L, rule, "the diagnostic needs at least 2")
    if any(shape.n_rules(k) < 2 for k in range(1, shape.L)):
        raise InputError("m", 1, "gives a symbol one rule", "without synonyms there is nothing to redraw")
    rng = np.random.default_rng(seed)
    trees = grammar.sample_trees(sentences, rng)

    def flat(tokens: IntArray) -> dict[str, Tensor]:
        found = activations(network, tokens, layers)
        return {name: layer.flatten(1).double() for name, layer in found.items()}

    before = flat(trees.tokens)
    scale = {name: _normalisation(x, normalise) for name, x in before.items()}
    out = np.empty((2, len(before), shape.L - 1))
    for k in range(1, shape.L):
        for row, redraw in enumerate((trees.redraw_symbol, trees.redraw_rule)):
            changed = redraw(k, shape.width(k) - 2, seed=rng)
            for layer, (name, after) in enumerate(flat(changed.tokens).items()):
                mean, matrix = scale[name]
                a, b = (before[name] - mean) @ matrix, (after - mean) @ matrix
                out[row, layer, k - 1] = 1 - torch.cosine_similarity(a, b, dim=1).mean().item()
    return Sensitivity(tuple(before), out[0], out[1])


def _normalisation(x: Tensor, how: str) -> tuple[Tensor, Tensor]:
    """Mean, and the matrix that brings what is left to unit size."""
    mean = x.mean(dim=0)
    if how == "standardise":
        deviation = x.std(dim=0)
        return mean, torch.diag(torch.where(deviation > 0, 1 / deviation, 0))
    values, vectors = torch.linalg.eigh(torch.cov(x.T))
    scale = (values.clamp_min(0) + _SHRINKAGE * values.clamp_min(0).mean()).rsqrt()
    return mean, vectors * scale


@dataclass(frozen=True, eq=False)
class LinearProbes:
    """Information about each hidden symbol that is read off each layer. Made by `linear_probes`.

    The exact posterior of a symbol given the tokens that the network sees is all that any layer can hold about it.

    Attributes
    ----------
    layers : tuple of str
    information : tuple over levels 1..L of arrays, shape (width of the level,), nats
        Mean ``KL(posterior || marginal)`` of each node: what the tokens tell about its symbol.
    divergence : tuple over levels 1..L of arrays, shape (layers, width of the level), nats
        Mean ``KL(posterior || probe)`` on sentences that the probe was not fitted to: what a linear reading of the
        layer misses.
    ceiling : tuple over levels 1..L of arrays, shape (width of the level,)
        Largest share of the variance of the one-hot symbol of each node, R^2, that any function of the tokens
        explains: that of the exact posterior.
    explained : tuple over levels 1..L of arrays, shape (layers, width of the level)
        R^2 of the probes on the same sentences as the divergence. Both are NaN for nodes of one symbol.
    """

    layers: tuple[str, ...]
    information: tuple[FloatArray, ...]
    divergence: tuple[FloatArray, ...]
    ceiling: tuple[FloatArray, ...]
    explained: tuple[FloatArray, ...]

    def share(self, level: int) -> FloatArray:
        """Share of the information about the symbols of a level that a layer holds, shape (layers,).

        One minus divergence over information, both summed over the nodes of the level: 1 for a layer off which the
        posteriors are read exactly, 0 for one that tells nothing; negative where a probe misleads.
        """
        level = as_int("level", level, low=1, high=len(self.information))
        return np.asarray(1 - self.divergence[level - 1].sum(axis=1) / self.information[level - 1].sum())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of each level's information that the layers hold, one line per level."""
        from rhmtheory.plotting.style import house_style, level_colors, new_figure

        ax = new_figure()[1][0] if ax is None else ax
        with house_style():
            colors = level_colors(len(self.information))
            for level, (information, color) in enumerate(zip(self.information, colors, strict=True), start=1):
                label = f"level {level}: {information.sum():.2f} nats there"
                ax.plot(range(len(self.layers)), self.share(level), "o-", color=color, label=label)
            ax.set(ylabel="share of the information held", ylim=(-0.05, 1.05))
            ax.set_xticks(range(len(self.layers)), list(self.layers))
            ax.legend(fontsize=8)
        return ax


def linear_probes(
    network: nn.Module,
    grammar: Grammar,
    *,
    layers: Sequence[str] | None = None,
    position: int | None = None,
    sentences: int = 4096,
    penalty: float = 1e-3,
    seed: int = 0,
) -> LinearProbes:
    """Read every hidden symbol off every layer by a linear probe, and hold it against the exact posterior.

    A probe is a softmax of a linear map of the (standardised) activations, fitted to the exact posteriors of the
    symbol given the tokens that the network sees, by their cross-entropy with an L2 penalty.

    Parameters
    ----------
    network : torch.nn.Module
        Any module of ids (B, d).
    grammar : Grammar
    layers : sequence of str, optional
        See `rhmvalidation.diagnostics.hooks.activations`.
    position : int, optional
        Read the activations at this position alone, of layers of shape (n, d, w) that have seen the tokens before
        it and no other. By default whole layers, which have seen all tokens but the last.
    sentences : int
        To fit the probes; half as many more test them.
    penalty : float
        Factor of the mean square of the weights of the map.
    seed : int

    Raises
    ------
    InputError
        For layers as in `activations`, and a position that a layer does not have.
    """
    shape = grammar.shape
    n = as_int("sentences", sentences, low=16)
    seen = shape.d - 1 if position is None else as_int("position", position, low=1, high=shape.d - 1)
    tokens = grammar.sample(n + n // 2, seed)
    hidden = np.arange(shape.d) >= seen
    levels = list(range(1, shape.L + 1))
    posteriors = [grammar.posteriors(tokens, level=level, mask=hidden) for level in levels]  # (n, width, v_l)
    information = tuple(_information(grammar, level, p[n:]) for level, p in zip(levels, posteriors, strict=True))
    divergence: list[list[FloatArray]] = [[] for _ in levels]
    explained: list[list[FloatArray]] = [[] for _ in levels]
    variance = [_variance(grammar, level) for level in levels]
    left = [1 - np.square(p[n:]).sum(axis=-1).mean(axis=0) for p in posteriors]  # by the exact posterior
    found = activations(network, tokens, layers)
    targets = [torch.from_numpy(p).float() for p in posteriors]
    for name, layer in found.items():
        if position is not None:
            if layer.dim() != 3 or layer.shape[1] != shape.d:
                rule, way_out = f"has shape {tuple(layer.shape)}", "`position` needs (n, d, w)"
                raise InputError(f"layer {name!r}", rule=rule, way_out=way_out)
            layer = layer[:, position]
        for i, (missed, square) in enumerate(_fit(layer.flatten(1), targets, n, penalty)):
            divergence[i].append(missed)
            explained[i].append(1 - (square + left[i]) / variance[i])
    ceiling = tuple(1 - a / b for a, b in zip(left, variance, strict=True))
    rows = (tuple(map(np.array, x)) for x in (divergence, explained))
    missed_by_level, explained_by_level = rows
    return LinearProbes(tuple(found), information, missed_by_level, ceiling, explained_by_level)


def _variance(grammar: Grammar, level: int) -> FloatArray:
    """Variance of the one-hot symbol of each node, (width,); NaN where there is none."""
    marginal = [grammar.marginal(level, node) for node in range(grammar.shape.width(level))]
    left = 1 - np.square(marginal).sum(axis=1)
    return np.where(left > 1e-12, left, np.nan)


def _information(grammar: Grammar, level: int, posterior: FloatArray) -> FloatArray:
    """Mean KL of the posteriors (n, width, v) from the marginal of each node, (width,)."""
    marginal = np.array([grammar.marginal(level, node) for node in range(grammar.shape.width(level))])
    ratio = np.divide(posterior, marginal, out=np.ones_like(posterior), where=posterior > 0)
    return np.asarray((posterior * np.log(ratio)).sum(axis=-1).mean(axis=0))


def _fit(x: Tensor, targets: Sequence[Tensor], n: int, penalty: float) -> list[tuple[FloatArray, FloatArray]]:
    """Fit all symbols of all levels at once to the first n rows.

    Returns mean KL and mean squared distance of posterior and probe on the others, (width,) each, for each level.
    """
    mean, deviation = x[:n].mean(dim=0), x[:n].std(dim=0)
    x = torch.where(deviation > 1e-6, (x - mean) / deviation.clamp_min(1e-6), 0) / np.sqrt(x.shape[1])
    sizes = [p.shape[1] * p.shape[2] for p in targets]
    weight = torch.zeros(x.shape[1], sum(sizes), requires_grad=True)
    bias = torch.zeros(sum(sizes), requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def predicted(rows: slice) -> Iterator[tuple[Tensor, Tensor]]:
        parts = torch.split(x[rows] @ weight + bias, sizes, dim=1)
        for p, part in zip(targets, parts, strict=True):
            yield p[rows], part.view(-1, *p.shape[1:]).log_softmax(dim=-1)

    def divergence(p: Tensor, log_q: Tensor) -> Tensor:
        each: Tensor = torch.special.xlogy(p, p) - p * log_q
        return each.sum(dim=-1).mean(dim=0)

    def loss() -> Tensor:
        optimiser.zero_grad()
        total = (
            torch.cat([divergence(*one) for one in predicted(slice(n))]).sum()
            + penalty * weight.square().mean(dim=0).sum()
        )
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return [
            (divergence(p, log_q).double().numpy(), (p - log_q.exp()).square().sum(-1).mean(0).double().numpy())
            for p, log_q in predicted(slice(n, None))
        ]
