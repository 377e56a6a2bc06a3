"""A custom module as a stack of replicas, so that it is trained, recorded and kept like the networks here.

Replicas are stacked and vectorised by `torch.func` where the module allows it, and run one by one where it does
not; parameters are stacked either way, so that optimiser, records and checkpoints see no difference.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.utils.flop_counter import FlopCounterMode

from rhmtheory.support.errors import InputError
from rhmtheory.tree import Shape
from rhmvalidation.networks.objectives import WHOLE
from rhmvalidation.networks.stack import Network, State, evaluating


class AdaptedNetwork(Network):
    """Replicas of a module that maps ids ``(B, d)`` to logits ``(B, v)`` or ``(B, d, v)``.

    Logits ``(B, v)`` are those of the last token; of logits ``(B, d, v)`` entry t is for token t. Neither may read
    the token that it predicts, nor later ones: see `check`.

    Parameters
    ----------
    shape : Shape
    replicas : int
    make : callable
        Returns a module with weights drawn from torch's global generator.
    name : str
        For messages.
    objective : str
        With ``class`` logits are (B, n); with ``masked`` and ``denoise`` all tokens may be read, hidden ones are
        ids ``v``.

    Raises
    ------
    InputError
        For a module without parameters, or one whose replicas cannot be stacked.
    """

    def __init__(
        self, shape: Shape, replicas: int, make: Callable[[], nn.Module], name: str, *, objective: str = "last"
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            modules = [make() for _ in range(replicas)]
        try:
            parameters, buffers = stack_module_state(modules)
        except (RuntimeError, ValueError) as error:
            raise InputError(
                name, rule="has replicas whose parameters cannot be stacked", way_out=str(error)
            ) from error
        if not any(parameter.requires_grad for parameter in parameters.values()):
            raise InputError(name, rule="has no parameters to train")
        super().__init__(shape, parameters, buffers, objective=objective)
        self.name, self._make = name, make
        self._base = (modules[0],)  # in a tuple, so that its parameters are not found among ours
        self._places = _places(modules[0])
        self.vectorised = False
        self.vectorised = replicas > 1 and self._can_be_vectorised()

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the last token, (R, B, v), from ids (R, B, d)."""
        logits = self._logits(tokens)
        return logits[:, :, -1] if logits.dim() == 4 else logits

    def per_position(self, tokens: Tensor) -> Tensor:
        """Logits of every token, (R, B, d, v), or of the one that is read out, (R, B, 1, v)."""
        logits = self._logits(tokens)
        return logits if logits.dim() == 4 else logits[:, :, None]

    def every_token(self, tokens: Tensor) -> Tensor:
        """Logits of every token, (R, B, d, v)."""
        logits = self._logits(tokens)
        return logits if logits.dim() == 4 else super().every_token(tokens)

    def _logits(self, tokens: Tensor) -> Tensor:
        tokens, tensors = tokens.long(), self.tensors()
        if self.vectorised:
            out: Tensor = torch.vmap(self._one, randomness="different")(tensors, tokens)
            return out
        # unbind, whose gradient is one stack: indexing would give a full-size gradient per replica
        parts = {name: tensor.unbind() for name, tensor in tensors.items()}
        replicas = [{name: part[r] for name, part in parts.items()} for r in range(len(tokens))]
        return torch.stack([self._one(*pair) for pair in zip(replicas, tokens, strict=True)])

    def _one(self, tensors: State, tokens: Tensor) -> Tensor:
        """Logits of one replica, (B, v) or (B, d, v)."""
        state = {place: tensor for name, tensor in tensors.items() for place in self._places[name]}
        logits: Any = functional_call(self._base[0], state, (tokens,), tie_weights=False)
        B = len(tokens)
        if not isinstance(logits, Tensor):
            rule, way_out = (
                f"returns {type(logits).__name__}",
                "it must return a tensor of logits, of shape (B, v) or (B, d, v)",
            )
            raise InputError(self.name, rule=rule, way_out=way_out)
        shapes = {"(B, v)": (B, self.v), "(B, d, v)": (B, self.d, self.v)}
        if self.objective == "class":
            shapes = {"(B, n)": (B, self.outputs)}
        if tuple(logits.shape) not in shapes.values():
            raise InputError(
                self.name,
                rule=f"maps ids of shape {(B, self.d)} to {tuple(logits.shape)}",
                way_out=f"it must give logits of shape {', or '.join(f'{n} = {x}' for n, x in shapes.items())}",
            )
        return logits

    def _can_be_vectorised(self) -> bool:
        """Whether a step of two sentences goes through `torch.vmap` without falling back to loops."""
        tokens = torch.zeros(self.replicas, 2, self.d, dtype=torch.long)
        tensors = {name: tensor.detach().clone() for name, tensor in self.tensors().items()}
        for name in self.parameter_names:
            tensors[name].requires_grad_()
        try:
            with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
                warnings.simplefilter("error")
                out = torch.vmap(self._one, randomness="different")(tensors, tokens)
                out.sum().backward()  # type: ignore[no-untyped-call]
        except InputError:
            raise
        except Exception:  # whatever torch.func cannot do: the replicas run one by one
            return False
        return True

    def _draw(self, generators: Sequence[torch.Generator]) -> None:
        """Make each replica anew, torch's global generator seeded as its own, and left as it was."""
        for r, generator in enumerate(generators):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(generator.initial_seed())
                module = self._make()
            new = dict(module.named_parameters()) | dict(module.named_buffers())
            for name, tensor in self.tensors().items():
                tensor[r].copy_(new[name])

    @torch.no_grad()
    def check(self, objective: str) -> None:
        """See that logits come out in a known shape, and that none has read the token that it predicts.

        One random sentence, once for each position t with all tokens from t on replaced: the logits up to t must
        stay as they are (with objective ``last``, those of the last token when it alone is replaced).

        Raises
        ------
        InputError
            Where the module fails, gives another shape, lacks logits of every token that the objective needs, or
            reads ahead.
        """
        device = self.stacked[0].device
        sentence = torch.randint(self.v, (self.d,), generator=torch.Generator().manual_seed(0)).to(device)
        position = torch.arange(self.d, device=device)
        later = position >= position[:, None]  # (changed from, position)
        changed = torch.where(later, (sentence + 1) % self.v, sentence)
        rows = torch.cat([sentence[None], changed]).expand(self.replicas, -1, -1)
        masks = objective == "masked"
        try:
            with evaluating(self):
                if objective in WHOLE:  # nothing that is shown has to be left out
                    self(torch.where(later, self.v, sentence).expand(self.replicas, -1, -1) if masks else rows)
                    return
                logits = self.every_token(rows)[0] if objective == "all" else self(rows)[0]
        except InputError:
            raise
        except Exception as error:
            hidden = f", where id v = {self.v} is a hidden token" if masks else ""
            rule = f"fails on ids of shape (B, d) = {(self.d + 1, self.d)}{hidden}"
            said = f"{type(error).__name__}: {error}"
            raise InputError(self.name, rule=rule, way_out=said) from error
        if objective == "all":
            moved = (logits[1:] - logits[0]).abs().amax(dim=-1)[~(position > position[:, None])]
        else:
            moved = (logits[-1] - logits[0]).abs()
        if moved.max() > 1e-4 * (1 + logits.abs().max()):
            raise InputError(
                self.name,
                rule="reads the token that it is to predict",
                way_out="logits of token t may depend on tokens before t alone; leave the last token out, or shift "
                "its input by one",
            )

    def multiplications(self) -> int:
        """Multiplications of one forward pass of one sentence, counted by torch."""
        module = self._base[0]
        tokens = torch.zeros(1, self.d, dtype=torch.long, device=self.stacked[0].device)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(tokens)
        # the counter counts an addition with every multiplication; lookups and sums alone count as nothing
        return max(1, int(counter.get_total_flops()) // 2)

    def train(self, mode: bool = True) -> AdaptedNetwork:
        """Training or evaluation mode, of the module, too."""
        super().train(mode)
        if hasattr(self, "_base"):
            self._base[0].train(mode)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> AdaptedNetwork:
        # tensors that the module keeps beside its parameters go to the device with it
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._base[0]._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def _places(module: nn.Module) -> dict[str, list[str]]:
    """Where each parameter and buffer is kept, by its first name: twice or more where tensors are tied.

    A submodule that has two names is one place. (Torch's own ``tie_weights`` takes it for two, and does not put
    back what was there before.)
    """
    first: dict[int, str] = {}
    known: set[tuple[int, str]] = set()
    places: dict[str, list[str]] = {}
    parameters = module.named_parameters(remove_duplicate=False)
    for name, tensor in (*parameters, *module.named_buffers(remove_duplicate=False)):
        path, _, leaf = name.rpartition(".")
        place = id(module.get_submodule(path)), leaf
        if place not in known:
            known.add(place)
            places.setdefault(first.setdefault(id(tensor), name), []).append(name)
    return places
