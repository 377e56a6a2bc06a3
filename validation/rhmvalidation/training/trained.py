"""`train`: one network on one grammar, from a module or a name to a learning curve and its comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from rhmtheory import Grammar
from rhmtheory.comparison import Measurement, compare
from rhmtheory.support.checks import as_int
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.tables import Table, frame
from rhmtheory.support.types import FloatArray
from rhmvalidation.networks import registry
from rhmvalidation.networks.objectives import WHOLE
from rhmvalidation.networks.spec import NetworkSpec, stack_of
from rhmvalidation.training.devices import pick_device
from rhmvalidation.training.examples import Task
from rhmvalidation.training.objectives import EXAMPLES
from rhmvalidation.training.outcome import Outcome, errors, points
from rhmvalidation.training.settings import Settings
from rhmvalidation.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROWS = 12
"""Points of a learning curve that a printed table shows."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network and its learning curve. Made by `train`; prints as a table.

    Attributes
    ----------
    grammar : Grammar
    network : torch.nn.Module
        The module that was given, or made by name: with the weights of its best test loss (of the largest training
        set, where there are several), in evaluation mode.
    outcomes : tuple of Outcome
        One for each size.
    P, loss : arrays, shape (points,), samples and nats
        The learning curve: test loss against samples, online the whole history, offline the best of each size.
    settings : Settings
    label : str
        Name of the network in tables and figures.
    laws : tuple of str
        The learners whose predictions it is held against.
    plateaus : array, shape (L + 1,), nats
        Losses of the ideal predictors of the objective, from no context to all.
    error : array, shape (points,) or (0,)
        Share of wrong answers at the points of the curve, where classes are learnt.
    """

    grammar: Grammar
    network: nn.Module
    outcomes: tuple[Outcome, ...]
    P: FloatArray
    loss: FloatArray
    settings: Settings
    label: str
    laws: tuple[str, ...]
    plateaus: FloatArray
    error: FloatArray

    def _table(self) -> Table:
        H = self.plateaus
        shown = np.unique(np.linspace(0, len(self.P) - 1, min(_ROWS, len(self.P))).round().astype(int)).tolist()
        counted = len(self.error) > 0
        last = "wrong answers" if counted else "steps made"

        def told(i: int) -> str:
            return f"{self.error[i]:.4f}" if counted else str(int((self.loss[i] < np.sqrt(H[:-1] * H[1:])).sum()))

        rows = [(f"{self.P[i]:.0f}", f"{self.loss[i]:.4f}", told(i)) for i in shown]
        ensemble = self.grammar.rhm or self.grammar.shape
        title = f"{self.label} on {ensemble}, {self.settings.protocol}; plateaus {H.round(3).tolist()} nats"
        return Table(title, ("P", "test loss", last), tuple(rows))

    def __str__(self) -> str:
        """Title and table of at most a dozen points of the curve."""
        return str(self._table())

    def _repr_html_(self) -> str:
        """Table for notebooks."""
        return self._table().html()

    def to_frame(self) -> Any:
        """Return the learning curve as a pandas DataFrame; raises `ResourceError` where pandas is not installed."""
        return frame([{"P": P, "loss": loss} for P, loss in zip(self.P, self.loss, strict=True)], "P` and `loss")

    def compare(self) -> Measurement:
        """Hold the learning curve against the laws of the network: see `rhmtheory.compare`.

        Raises
        ------
        InputError
            For another objective than the last token, and as `rhmtheory.compare`.
        """
        settings = self.settings
        if settings.objective in WHOLE:
            rule = "is not what the laws of the last token are about"
            way_out = "hold `plateaus` and the points of its curve side by side, as `plot` does"
            raise InputError("objective", settings.objective, rule, way_out)
        about: dict[str, Any] = {
            "protocol": settings.protocol,
            "batch": settings.batch_size,
            "rate": settings.learning_rate,
        }
        return compare(self.P, self.loss, self.grammar, law=self.laws, label=self.label, **about)

    def learnt_at(self, part: float = 0.1) -> float:
        """Return the samples at which the share of wrong answers first falls to a part of that of chance.

        Between two points the logarithm of P is taken as linear in the error. NaN where it is never reached.

        Parameters
        ----------
        part : float
            Of the error of a guess, ``1 - max p(class)``; between 0 and 1.

        Raises
        ------
        InputError
            Where no answers were counted, which are those of ``objective="class"``.
        """
        if not len(self.error):
            rule = "counts no wrong answers"
            raise InputError("objective", self.settings.objective, rule, "train with `objective`='class'")
        if not 0 < part < 1:
            raise InputError("part", part, "lies outside of 0 to 1", "give one between, such as 0.1")
        level = part * (1 - float(self.grammar.prior.max()))
        below = np.flatnonzero(self.error <= level)
        if not len(below):
            return math.nan
        i = int(below[0])
        if i == 0:
            return float(self.P[0])
        return float(np.exp(np.interp(-level, -self.error[i - 1 : i + 1], np.log(self.P[i - 1 : i + 1]))))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the test loss against samples, and the plateaus of the grammar; returns the axes."""
        from rhmtheory.plotting.style import house_style, mark_plateaus, new_figure, styles

        ax = new_figure()[1][0] if ax is None else ax
        look = styles([self.label])[self.label]
        with house_style():
            ax.loglog(self.P, self.loss, marker=look.marker, ls=look.line, color=look.color, ms=4, label=self.label)
            mark_plateaus(self.plateaus, ax)
            ax.set(xlabel="samples $P$", ylabel="test loss (nats)")
            ax.legend(fontsize=8)
        return ax


def train(
    network: nn.Module | NetworkSpec | str,
    grammar: Grammar,
    *,
    settings: Settings | None = None,
    P: int | Sequence[int] = 2**20,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Trained:
    """Train a network on a grammar, as the networks of a study are trained.

    Parameters
    ----------
    network : torch.nn.Module, NetworkSpec or str
        A module that maps ids (B, d) to logits (B, v) of the last token, or (B, d, v) of every token, each from
        the tokens before it; of other objectives see docs/howto_objectives. It is trained in place. Or a spec, or
        the name of a network of this package, which is made with its recommended arguments, or
        ``package.module:Class``.
    grammar : Grammar
    settings : Settings, optional
        Optimiser, learning rate, batch size, online or offline, and when to stop; by default those that are
        recommended for the network.
    P : int or sequence of int
        Online the number of samples seen, at most. Offline the sizes of the training sets: each is learnt from the
        same initial weights, and is one point of the learning curve.
    seed : int
        Of the sentences; and of the initial weights, where the network is no module.
    device : str or torch.device
        ``auto`` is the GPU where there is one. A module stays where it is; a copy of it is trained.

    Returns
    -------
    Trained

    Raises
    ------
    InputError
        For a module that gives logits of another shape, or reads the token that it is to predict, for a network or
        settings that do not fit, and for a device that is not there.

    Examples
    --------
    >>> import rhmvalidation as rv
    >>> from rhmtheory import RHM
    >>> grammar = RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    >>> settings = rv.Settings(learning_rate=1.0, protocol="online", test_size=256)
    >>> found = rv.train(rv.cnn(grammar.shape, width=16), grammar, settings=settings, P=2560)
    >>> found.P.astype(int)
    array([1024, 1280, 1536, 1792, 2176, 2560])
    """
    if isinstance(network, str):
        network = NetworkSpec(network, registry.find(network).arguments)
    if not isinstance(network, (nn.Module, NetworkSpec)):
        way_out = "give one, or the name of a network"
        raise InputError("network", network, "is no torch.nn.Module", way_out)
    of_module = registry.record_of(network) if isinstance(network, nn.Module) else network.record
    settings = settings or Settings(**(of_module.training if of_module else registry.CUSTOM_TRAINING))
    sizes = _sizes(P, settings)
    seed, chosen = as_int("seed", seed, low=0), pick_device(device)
    tasks = [Task(grammar, size, seed, settings.learning_rate) for size in sizes]
    ensemble, objective = grammar.rhm or grammar.shape, settings.objective
    examples = EXAMPLES[objective](tasks, settings, chosen)
    if isinstance(network, NetworkSpec):
        stack = network.build(ensemble, len(sizes), objective)
        module, name = network.module(ensemble, objective).to(chosen), network.name
    else:
        stack, module = stack_of(network, ensemble, len(sizes), objective), network
        name = of_module.name if of_module else type(network).__name__
    trainer = Trainer(stack, examples, settings, keep_best=True)
    trainer.finish()
    outcomes = trainer.outcomes()
    curve = [point for size, one in zip(sizes, outcomes, strict=True) for point in points(settings, size, one)]
    # tied tensors have one name of several
    module.load_state_dict(trainer.best_weights(len(sizes) - 1), strict=False)
    at, loss = np.array(curve, dtype=float).reshape(-1, 2).T
    laws = of_module.laws if of_module else registry.CUSTOM_LAWS
    label = registry.label(name, settings.objective)
    wrong = [error for one in outcomes for error in errors(settings, one)]
    return Trained(
        grammar,
        module.eval(),
        tuple(outcomes),
        at,
        loss,
        settings,
        label,
        laws or registry.CUSTOM_LAWS,
        examples.plateaus(tasks[-1]),
        np.array(wrong),
    )


def _sizes(P: int | Sequence[int], settings: Settings) -> list[int]:
    """Sizes in rising order."""
    sizes = list(P) if np.iterable(P) else [P]
    if settings.protocol == "online" and len(sizes) != 1:
        raise InputError("P", P, "has another length than one", "an online run sees all sizes up to the largest")
    if not sizes:
        raise InputError("P", NOT_SAID, "is empty", "give at least one size")
    return sorted(as_int("P", size, low=1) for size in sizes)
