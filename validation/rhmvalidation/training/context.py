"""The context that a network uses: its divergence from the ideal predictors of limited context."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rhmtheory import Grammar
from rhmtheory.exact.inference import next_token

_PROBED_SENTENCES = 1024


class ContextProbe:
    """Divergence of networks from the ideal predictors of limited context, on the first held-out sentences.

    The ideal predictor of context level k sees the last ``s**k - 1`` tokens before the target and knows the
    grammar. The k of least mean ``KL(ideal_k || network)`` is the context that a network uses.
    """

    def __init__(self, grammars: Sequence[Grammar], tokens: Tensor) -> None:
        """Compute the ideal predictions for tokens (R, n, d) of one grammar a replica."""
        shape = grammars[0].shape
        sentences = tokens[:, :_PROBED_SENTENCES].cpu().numpy()
        ideal = [
            [
                next_token(grammar, rows[:, shape.d - shape.span(k) : shape.d - 1], position=shape.d - 1)
                for k in range(shape.L + 1)
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
