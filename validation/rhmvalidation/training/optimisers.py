"""SGD and AdamW for stacks of replicas: every replica has a learning rate of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class ReplicaOptimiser:
    """Updates parameters with a leading replica axis; ``rates`` holds one learning rate a replica.

    SGD, or AdamW (Adam with decoupled weight decay; Loshchilov & Hutter, arXiv:1711.05101). The rate rises linearly
    over ``warmup`` steps, then stays, or falls to zero as a cosine until step ``cosine_until``.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        rates: Tensor,
        *,
        adam: bool,
        weight_decay: float = 0.0,
        warmup: int = 0,
        cosine_until: int | None = None,
    ) -> None:
        self._parameters = list(parameters)
        self._rates = rates
        self._adam, self._weight_decay = adam, weight_decay
        self._warmup, self._cosine_until = warmup, cosine_until
        self._steps = 0
        self._first = [torch.zeros_like(p) for p in self._parameters] if adam else []
        self._second = [torch.zeros_like(p) for p in self._parameters] if adam else []

    def factor(self, step: int) -> float:
        """Factor on the learning rate at a step, counted from one."""
        if step <= self._warmup:
            return step / self._warmup
        if self._cosine_until is None:
            return 1.0
        part = (step - self._warmup) / max(1, self._cosine_until - self._warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, part)))

    @torch.no_grad()
    def step(self) -> None:
        """Apply one update from the gradients, and clear them."""
        self._steps += 1
        rates = self._rates * self.factor(self._steps)
        for i, p in enumerate(self._parameters):
            rate = rates.view(-1, *[1] * (p.dim() - 1))
            if p.grad is None:
                continue
            if self._weight_decay:
                p.mul_(1 - rate * self._weight_decay)
            if self._adam:
                first, second = self._first[i], self._second[i]
                first.lerp_(p.grad, 1 - _BETA1)
                second.mul_(_BETA2).addcmul_(p.grad, p.grad, value=1 - _BETA2)
                size = (second / (1 - _BETA2**self._steps)).sqrt_().add_(_EPSILON)
                p.sub_(first.div(size).mul_(rate / (1 - _BETA1**self._steps)))
            else:
                p.sub_(rate * p.grad)
            p.grad = None

    def keep(self, replicas: Tensor) -> None:
        """Drop all replicas but those with these indices."""
        self._rates = self._rates[replicas]
        self._first = [moment[replicas] for moment in self._first]
        self._second = [moment[replicas] for moment in self._second]

    def state(self) -> dict[str, object]:
        """What `load` needs to go on."""
        return {"steps": self._steps, "rates": self._rates, "first": self._first, "second": self._second}

    def load(self, state: dict[str, object]) -> None:
        """Go on from a saved state; raises ValueError for one of another optimiser."""
        form = {name: _form(value) for name, value in self.state().items()}
        if {name: _form(value) for name, value in state.items()} != form or state["steps"] < 0:  # type: ignore[operator]
            raise ValueError("this state is not of this optimiser")
        self._steps, self._rates = state["steps"], state["rates"]  # type: ignore[assignment]
        self._first, self._second = state["first"], state["second"]  # type: ignore[assignment]


def _form(value: object) -> object:
    """What a part of the state is: the shapes and types of its tensors."""
    if isinstance(value, list):
        return [_form(part) for part in value]
    return (value.shape, value.dtype) if isinstance(value, Tensor) else type(value)
