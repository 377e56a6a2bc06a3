"""What the trainer asks of a network, whoever wrote it: a stack of independent replicas.

Replicas (other grammars, seeds, training sets) train together, and none sees another. The replica axis leads every
parameter here, and stays inside the trainer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rhmtheory.support.errors import InputError
from rhmtheory.tree import Shape
from rhmvalidation.networks.objectives import WHOLE, outputs_of

State = Mapping[str, Tensor]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Hold a module in evaluation mode; afterwards it, and each of its parts, has the mode that it had."""
    modes = [(part, part.training) for part in network.modules()]
    network.eval()
    try:
        yield
    finally:
        network.train(modes[0][1])  # reaches what a network keeps beside its parts
        for part, mode in modes:
            part.training = mode


class Network(nn.Module):
    """A stack of replicas of one module, with the names that the module gives its parameters and buffers.

    Parameters
    ----------
    shape : Shape
    parameters, buffers : mapping from name to tensor, shape (replicas, ...)
    objective : str
        What it is made for: see `rhmvalidation.networks.objectives`.
    """

    def __init__(
        self, shape: Shape, parameters: State, buffers: State | None = None, *, objective: str = "last"
    ) -> None:
        super().__init__()
        self.objective, self.outputs = objective, outputs_of(shape, objective)
        self.v, self.d = shape.n_symbols(0), shape.d
        self.parameter_names, self.buffer_names = tuple(parameters), tuple(buffers or {})
        self.stacked = nn.ParameterList(
            nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
            for parameter in parameters.values()
        )
        for i, buffer in enumerate((buffers or {}).values()):
            self.register_buffer(f"buffer_{i}", buffer)
        self._initial: State | None = None

    @property
    def replicas(self) -> int:
        """Number of replicas."""
        return len(self.stacked[0])

    def tensors(self) -> dict[str, Tensor]:
        """Return all stacked parameters and buffers by name."""
        names = (*self.parameter_names, *self.buffer_names)
        return dict(zip(names, [*self.stacked, *self.buffers()], strict=True))

    def weights(self, replica: int = 0) -> dict[str, Tensor]:
        """Return parameters and buffers of one replica, as ``load_state_dict`` of the module takes them."""
        return {name: tensor[replica].detach().clone() for name, tensor in self.tensors().items()}

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of the last token, the class or the hidden token, (R, B, v), from ids (R, B, d)."""
        raise NotImplementedError

    def per_position(self, tokens: Tensor) -> Tensor:
        """Return logits of every token where the network gives them, (R, B, d, v), else (R, B, 1, v)."""
        logits: Tensor = self(tokens)
        return logits[:, :, None]

    def every_token(self, tokens: Tensor) -> Tensor:
        """Return logits of every token, (R, B, d, v)."""
        raise InputError(
            "objective",
            self.objective if self.objective in WHOLE else "all",
            "needs a network that predicts every token",
            "choose a decoder, or one of your own that gives logits of shape (B, d, v)",
        )

    def rate_scale(self) -> float:
        """Return the factor that the parametrisation puts on the learning rate."""
        return 1.0

    def multiplications(self) -> int:
        """Return the multiplications of one forward pass of one sentence through one replica."""
        raise NotImplementedError

    def check(self, objective: str) -> None:
        """Raise `InputError` where the network does not give what an objective needs."""

    def start_from(self, weights: State) -> None:
        """Let every replica begin with these weights instead of new ones."""
        self._initial = {name: tensor.detach().clone() for name, tensor in weights.items()}

    @torch.no_grad()
    def initialise(self, generators: Sequence[torch.Generator]) -> None:
        """Give each replica its first weights: those of `start_from`, or new ones drawn by its own generator.

        Generators are on the CPU, so that devices agree.
        """
        if self._initial is None:
            self._draw(generators)
            return
        for name, tensor in self.tensors().items():
            tensor.copy_(self._initial[name].expand_as(tensor))

    def _draw(self, generators: Sequence[torch.Generator]) -> None:
        raise NotImplementedError

    @torch.no_grad()
    def keep(self, replicas: Tensor) -> None:
        """Drop all replicas but those with these indices."""
        for parameter in self.parameters():
            parameter.data = parameter.data[replicas]
            parameter.grad = None
        for buffer in self.buffers():
            buffer.data = buffer.data[replicas]
