"""The trainer: replicas side by side in one program, each with its own grammar, sentences and learning rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rhmtheory.support.errors import InputError
from rhmvalidation.networks.objectives import WHOLE
from rhmvalidation.networks.stack import Network
from rhmvalidation.training.checkpoints import FORMAT, read_checkpoint, write_checkpoint
from rhmvalidation.training.context import ContextProbe
from rhmvalidation.training.examples import Examples, Task
from rhmvalidation.training.optimisers import ReplicaOptimiser
from rhmvalidation.training.outcome import Outcome
from rhmvalidation.training.settings import Settings
from rhmvalidation.training.sources import init_generators
from rhmvalidation.training.stopping import FIRST_EVALUATION, Record, next_evaluation

_EVALUATION_BATCH = 1024


class Trainer:
    """The replicas still training, and the records of all.

    Parameters
    ----------
    network : Network
        A stack with a replica for each task of the examples.
    examples : Examples
        Inputs and targets, and the test.
    settings : Settings
    trainable : callable, optional
        Tells by the name of a parameter whether it is trained; all are by default.
    keep_best : bool
        Keep the weights of every replica at its best test loss, for `best_weights`.

    Raises
    ------
    InputError
        Where the network does not give what the examples ask for, and where nothing is trained.
    """

    def __init__(
        self,
        network: Network,
        examples: Examples,
        settings: Settings,
        *,
        trainable: Callable[[str], bool] = lambda name: True,
        keep_best: bool = False,
    ) -> None:
        self.network, self.examples = network, examples
        self._settings, self._device, tasks = settings, examples.device, examples.tasks
        self._start = time.perf_counter()
        if settings.context_probe:
            self._probe: ContextProbe | None = ContextProbe([task.grammar for task in tasks], examples.test_rows)
        else:
            self._probe = None
        network.initialise(init_generators([task.seed for task in tasks]))
        network.to(self._device)
        examples.check(network)
        for name, parameter in zip(network.parameter_names, network.stacked, strict=True):
            parameter.requires_grad_(parameter.requires_grad and trainable(name))
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        if not trained:
            raise InputError("trainable", rule="leaves no parameter to train", way_out="let it name one at least")
        self._last = max(settings.steps(task.P) for task in tasks)
        self._optimiser = ReplicaOptimiser(
            trained,
            torch.tensor([task.learning_rate * network.rate_scale() for task in tasks], device=self._device),
            adam=settings.optimiser == "adamw",
            weight_decay=settings.weight_decay,
            warmup=settings.warmup,
            cosine_until=self._last if settings.schedule == "cosine" else None,
        )
        self._records = [
            Record(settings, settings.steps(task.P), self._last_step(examples, task)) for task in tasks
        ]
        self._best: list[dict[str, Tensor]] | None = [{} for _ in tasks] if keep_best else None
        self.replicas = list(range(len(tasks)))
        """Indices of the tasks still training, in the order of the network's replica axis."""
        self.steps, self._next_evaluation = 0, FIRST_EVALUATION
        self._evaluate()

    def _last_step(self, examples: Examples, task: Task) -> float:
        """The loss that ends an online run; where none does, plateaus that take inference are not computed."""
        wanted = self._settings.after_last_step is not None or self._settings.objective not in WHOLE
        return examples.last_step(task) if wanted else -math.inf

    def run(self) -> Iterator[int]:
        """Train until all replicas have stopped, and yield the number of each finished step."""
        while self.replicas:
            self.step()
            yield self.steps

    def finish(self) -> None:
        """Train until all replicas have stopped."""
        for _ in self.run():
            pass

    def step(self) -> None:
        """Make one update, and an evaluation where one is due."""
        inputs, targets = self.examples.batch()
        with torch.autocast(
            self._device.type, dtype=torch.bfloat16, enabled=self._settings.precision == "bfloat16"
        ):
            loss = self.examples.loss(self.examples.logits(self.network, inputs), targets)
        # a sum over replicas: none enters another's gradient
        loss.sum().backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self.steps += 1
        if self.steps in (self._next_evaluation, self._last):
            self._next_evaluation = next_evaluation(self.steps)
            self._evaluate()

    @torch.no_grad()
    def _evaluate(self) -> None:
        inputs, targets = self.examples.test_split(self.examples.test_rows)
        self.network.eval()
        parts = [
            self.examples.test_logits(self.network, part) for part in torch.split(inputs, _EVALUATION_BATCH, dim=1)
        ]
        self.network.train()
        logits = torch.cat(parts, dim=1).float()
        losses = self.examples.loss(logits, targets).tolist()
        counted = self.examples.counts_errors
        wrong = (logits.argmax(dim=-1) != targets).float().mean(dim=(1, 2)).tolist() if counted else None
        divergences = self._probe.divergence(logits[:, :, -1]) if self._probe else [[]] * len(losses)
        for i, r in enumerate(self.replicas):
            self._records[r].add(self.steps, losses[i], divergences[i], None if wrong is None else wrong[i])
            if self._best is not None and self._records[r].best_step == self.steps:
                self._best[r] = self.network.weights(i)
        training = [i for i, r in enumerate(self.replicas) if not self._records[r].stopped]
        # a GPU does all replicas at once: there the stopped ones are dropped when that halves the work, or ends it
        enough = len(self.replicas) // 2 if self._device.type == "cuda" else len(self.replicas) - 1
        if len(training) <= enough:
            self._keep(training)

    def _keep(self, positions: list[int]) -> None:
        self.replicas = [self.replicas[i] for i in positions]
        if not positions:
            return
        index = torch.tensor(positions, device=self._device)
        self.network.keep(index)
        self._optimiser.keep(index)
        self.examples.keep(positions)
        if self._probe:
            self._probe.keep(positions)

    def best_weights(self, task: int) -> dict[str, Tensor]:
        """Return parameters and buffers by name at the best test loss of a task; needs ``keep_best``."""
        assert self._best is not None
        return self._best[task]

    def outcomes(self) -> list[Outcome]:
        """Return one outcome per task, in the order given."""
        seconds = (time.perf_counter() - self._start) / len(self._records)
        return [record.outcome(seconds) for record in self._records]

    def save(self, path: Path, keys: Sequence[str]) -> None:
        """Write all that `load` needs, atomically."""
        state = {
            "format": FORMAT,
            "device": self._device.type,
            "keys": list(keys),
            "replicas": self.replicas,
            "steps": self.steps,
            "next": self._next_evaluation,
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state(),
            "batches": self.examples.state(),
            "records": [record.state() for record in self._records],
            "seconds": time.perf_counter() - self._start,
        }
        write_checkpoint(path, state)

    def load(self, path: Path, keys: Sequence[str]) -> None:
        """Go on from a checkpoint of the same runs on the same kind of device; any other file is ignored.

        A file of the right form with wrong content raises, and leaves the trainer half changed: make a new one.
        """
        state: Any = read_checkpoint(path, self._device)
        mine = {"format": FORMAT, "device": self._device.type, "keys": list(keys)}
        body = {"replicas", "steps", "next", "network", "optimiser", "batches", "records", "seconds"}
        if not isinstance(state, dict) or set(state) != body | set(mine):
            return
        if any(state[name] != value for name, value in mine.items()):
            return
        steps, following = state["steps"], state["next"]
        if not 0 <= steps < following <= max(FIRST_EVALUATION, next_evaluation(steps)) or steps > self._last:
            raise ValueError("these steps and this evaluation are not of one training")
        if state["replicas"] != self.replicas:
            self._keep([self.replicas.index(r) for r in state["replicas"]])
        self.steps, self._next_evaluation = steps, following
        self.network.load_state_dict(state["network"])
        self._optimiser.load(state["optimiser"])
        self.examples.load(state["batches"])
        for record, saved in zip(self._records, state["records"], strict=True):
            record.load(saved)
        self._start -= state["seconds"]
