"""Any predictor of tokens against the ideal ones: loss by position, and divergence by the context that is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from rhmtheory import Grammar, InputError
from rhmtheory.exact.inference import next_token
from rhmtheory.support.checks import as_choice, as_int
from rhmtheory.support.json import plain
from rhmtheory.support.types import FloatArray, IntArray
from rhmvalidation.networks.stack import evaluating
from rhmvalidation.training.devices import pick_device

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A predictor against the ideal ones, on the same sentences. Made by `evaluate`.

    The ideal predictor of context level k knows the grammar and sees, of the tokens before its target, those below
    the same level-k node: none for k = 0, all for k = L. At the last position these are ``s**k - 1`` tokens. With
    ``against="filtered"`` it sees all tokens before its target, and takes level-k nodes for independent given the
    root (arXiv:2408.15138): level L is exact in both families, and the context levels below are filter levels.

    Attributes
    ----------
    grammar : Grammar
    positions : tuple of int
        The tokens that are predicted: all, or the last.
    loss, loss_error : arrays, shape (positions,), nats
        Mean cross-entropy, and its standard error.
    entropies : array, shape (positions,), nats
        Exact entropy of each token given all before it: what no loss falls below on average.
    ideal_loss : array, shape (L + 1, positions), nats
        Loss of the ideal predictors on these very sentences.
    divergence : array, shape (L + 1, positions), nats
        Mean ``KL(ideal_k || predictor)``.
    against : {"context", "filtered"}
        The family of ideal predictors.
    """

    grammar: Grammar
    positions: tuple[int, ...]
    loss: FloatArray
    loss_error: FloatArray
    entropies: FloatArray
    ideal_loss: FloatArray
    divergence: FloatArray
    against: str = "context"

    @property
    def excess(self) -> FloatArray:
        """Loss above that of the ideal predictor on the same sentences, whose noise it does not share."""
        return np.asarray(self.loss - self.ideal_loss[-1])

    @property
    def floors(self) -> FloatArray:
        """Mean over positions of the losses of the ideal predictors, shape (L + 1,): steps of the mean loss."""
        return np.asarray(self.ideal_loss.mean(axis=1))

    @property
    def context_level(self) -> IntArray:
        """The context (or filter) level of the nearest ideal predictor at each position; the lowest of equals."""
        return np.asarray((self.divergence <= self.divergence.min(axis=0) + 1e-12).argmax(axis=0))

    def __str__(self) -> str:
        """One line per position."""
        kind = "context" if self.against == "context" else "filter"
        lines = [f"position    loss  (s.e.)   exact entropy   excess   nearest {kind} level"]
        for i, position in enumerate(self.positions):
            lines.append(
                f"{position:8d}  {self.loss[i]:6.4f}  {self.loss_error[i]:6.4f}  {self.entropies[i]:14.4f}  "
                f"{self.excess[i]:7.4f}  {self.context_level[i]:8d}"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        names = [field.name for field in fields(self) if field.name != "grammar"] + ["excess", "context_level"]
        content: dict[str, Any] = plain({name: getattr(self, name) for name in names})
        return content

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw loss and exact entropy against position, and the losses of ideal predictors of less context."""
        from rhmtheory.plotting.style import house_style, new_figure

        ax = new_figure()[1][0] if ax is None else ax
        with house_style():
            positions = self.positions
            for k, losses in enumerate(self.ideal_loss):
                kind = "context" if self.against == "context" else "filter"
                label = f"ideal, {kind} level k" if k == 0 else None
                ax.plot(positions, losses, "_", color="0.55", ms=12, label=label)
                at = positions[-1], losses[-1]
                ax.annotate(f"{k}", at, xytext=(8, -3), textcoords="offset points", fontsize=8)
            ax.plot(positions, self.entropies, "k_", ms=16, label="exact entropy")
            ax.errorbar(positions, self.loss, 2 * self.loss_error, fmt="o", ms=4, color="#56B4E9", label="loss")
            ax.set(xlabel="position of the token", ylabel="nats", xticks=positions)
            ax.legend(fontsize=8)
        return ax


@torch.no_grad()
def evaluate(
    predict: Callable[[Tensor], Any],
    grammar: Grammar,
    *,
    against: str = "context",
    sentences: int = 4096,
    seed: int = 0,
    batch_size: int = 1024,
    device: str | torch.device = "auto",
) -> Evaluation:
    """Hold any predictor against exact entropies and ideal predictors.

    Parameters
    ----------
    predict : callable
        Maps ids, int64 of shape (B, d), to logits of shape (B, v) for the last token, or (B, d, v), entry t for
        token t given those before it: a module, or any function, that returns a tensor or an array. A module is
        asked in evaluation mode, and left in the mode that it had.
    grammar : Grammar
    against : {"context", "filtered"}
        Ideal predictors that see less, or that take the nodes of a level for independent given the root.
    sentences, seed : int
        How many are drawn, and their seed: the same for every predictor.
    batch_size : int
    device : str or torch.device
        Where the ids are when ``predict`` gets them. ``auto`` is where the parameters of a module are, and the CPU
        for any other function.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        For logits of another shape, logits that are not finite, another family, and a device that is not there.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> grammar = RHM(v=8, m=2, s=2, L=2).grammar(seed=0)
    >>> marginals = torch.tensor(np.array([grammar.marginal(0, i) for i in range(4)])).clamp_min(1e-30).log()
    >>> found = evaluate(lambda ids: marginals.expand(len(ids), 4, 8), grammar)
    >>> bool(np.allclose(found.divergence[0], 0, atol=1e-6))  # it is the ideal predictor without context
    True
    """
    as_choice("against", against, ("context", "filtered"))
    tokens = grammar.sample(as_int("sentences", sentences, low=2), seed)
    where, size = _device_of(predict, device), as_int("batch_size", batch_size, low=1)
    with evaluating(predict) if isinstance(predict, nn.Module) else nullcontext():
        log_q = _log_probabilities(predict, grammar, tokens, size, where)
    shape, n = grammar.shape, len(tokens)
    positions = tuple(range(shape.d)) if log_q.shape[1] == shape.d else (shape.d - 1,)
    targets = tokens[:, positions].astype(np.int64)
    losses = -np.take_along_axis(log_q, targets[..., None], axis=2)[..., 0]  # (n, positions)
    ideal_loss, divergence = np.empty((2, shape.L + 1, len(positions)))
    for i, t in enumerate(positions):
        for levels, p in _ideal(grammar, tokens[:, :t], against):
            log_p = np.log(np.where(p > 0, p, 1.0))
            ideal_loss[levels, i] = -log_p[np.arange(n), targets[:, i]].mean()
            divergence[levels, i] = (p * (log_p - log_q[:, i])).sum(axis=1).mean()
    exact = grammar.next_token_entropies() if len(positions) > 1 else grammar.plateaus()[-1:]
    error = losses.std(axis=0, ddof=1) / np.sqrt(n)
    return Evaluation(grammar, positions, losses.mean(axis=0), error, exact, ideal_loss, divergence, against)


def _ideal(grammar: Grammar, prefix: IntArray, against: str) -> Iterator[tuple[list[int], FloatArray]]:
    """Levels 0..L and the ideal predictions (n, v) that they share, for the token after a prefix."""
    shape, t = grammar.shape, prefix.shape[1]
    if against == "filtered":
        for k in range(shape.L + 1):
            yield [k], grammar.next_token_filtered(prefix, filter_level=k)
        return
    contexts = [t % shape.span(k) if k < shape.L else t for k in range(shape.L + 1)]
    for context in sorted(set(contexts)):
        p = next_token(grammar, prefix, context_tokens=context, position=t)
        yield [k for k in range(shape.L + 1) if contexts[k] == context], p


def _device_of(predict: Callable[[Tensor], Any], device: str | torch.device) -> torch.device:
    if device != "auto":
        return pick_device(device)
    first = next(predict.parameters(), None) if isinstance(predict, nn.Module) else None
    return torch.device("cpu") if first is None else first.device


def _log_probabilities(
    predict: Callable[[Tensor], Any], grammar: Grammar, tokens: IntArray, size: int, device: torch.device
) -> FloatArray:
    """Normalised predictions, (n, positions, v)."""
    d, v = grammar.shape.d, grammar.shape.n_symbols(0)
    parts = []
    for ids in torch.split(torch.from_numpy(tokens.astype(np.int64)).to(device), size):
        logits = torch.as_tensor(predict(ids)).detach().cpu().double()
        if tuple(logits.shape) not in ((len(ids), v), (len(ids), d, v)):
            raise InputError(
                f"ids of shape {tuple(ids.shape)}",
                rule=f"were mapped to {tuple(logits.shape)}",
                way_out=f"logits must have shape (B, v) = {(len(ids), v)}, or (B, d, v) = {(len(ids), d, v)}",
            )
        parts.append(logits.log_softmax(dim=-1).reshape(len(ids), -1, v))
    out: FloatArray = torch.cat(parts).numpy()
    if not np.isfinite(out).all():
        rule, way_out = "gives logits that are not finite", "it can be held against nothing"
        raise InputError("the predictor", rule=rule, way_out=way_out)
    return out
