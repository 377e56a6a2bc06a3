"""Learning curves of any predictor: look-up, n-grams, scikit-learn, or whatever maps tokens to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.comparison.entry import compare
from rhmtheory.comparison.measurement import Measurement
from rhmtheory.language.grammar import Grammar
from rhmtheory.support.checks import as_choice, as_int
from rhmtheory.support.errors import InputError
from rhmtheory.support.tables import Table
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.support.values import ByValue

Fit = Callable[[IntArray, IntArray], Any]
"""From inputs (P, tokens) and targets (P,) to a predictor: a function, or an object with ``predict_proba``."""


@dataclass(frozen=True, eq=False)
class LearnerCurve(ByValue):
    """Test losses of one learner on one grammar. Made by `learning_curve`; prints as a table.

    Attributes
    ----------
    grammar : Grammar
    P : array, shape (sizes,), samples
    loss, loss_error : arrays, shape (sizes,), nats
        Mean over the test sentences, and its standard error.
    error : array, shape (sizes,)
        Share of wrong answers, when the likeliest symbol is given.
    target : str
        ``last`` or ``class``.
    label : str
    """

    grammar: Grammar
    P: FloatArray
    loss: FloatArray
    loss_error: FloatArray
    error: FloatArray
    target: str
    label: str

    def __str__(self) -> str:
        """Title and table."""
        rows = [
            (f"{P:.0f}", f"{loss:.4f}", f"{error:.4f}")
            for P, loss, error in zip(self.P, self.loss, self.error, strict=True)
        ]
        title = f"{self.label} on {self.grammar.rhm or self.grammar.shape}, target {self.target}"
        return str(Table(title, ("P", "test loss", "wrong answers"), tuple(rows)))

    def compare(self, law: str | Sequence[str] = "both") -> Measurement:
        """Hold the curve against laws of the last token: see `rhmtheory.compare`."""
        as_choice("target", self.target, ("last",))
        about: dict[str, Any] = {"loss_error": self.loss_error, "label": self.label, "protocol": "offline"}
        return compare(self.P, self.loss, self.grammar, law=law, **about)

    def plot(self, ax: Any = None) -> Any:
        """Draw the test loss against samples; returns the axes."""
        from rhmtheory.plotting.style import house_style, new_figure, styles

        ax = new_figure()[1][0] if ax is None else ax
        look = styles([self.label])[self.label]
        with house_style():
            ax.loglog(self.P, self.loss, marker=look.marker, ls=look.line, color=look.color, ms=4, label=self.label)
            ax.set(xlabel="samples $P$", ylabel="test loss (nats)")
            ax.legend(fontsize=8)
        return ax


def learning_curve(
    fit: Fit,
    grammar: Grammar,
    P: npt.ArrayLike,
    *,
    target: str = "last",
    test_size: int = 4096,
    smoothing: float = 1e-3,
    seed: int = 0,
    label: str = "learner",
) -> LearnerCurve:
    """Train a learner on sentences of a grammar at each size, and measure its loss on others.

    Parameters
    ----------
    fit : callable
        ``fit(inputs, targets)`` gets tokens (P, d - 1) and last tokens (P,), or tokens (P, d) and classes. It
        returns a function from inputs (N, ...) to probabilities (N, symbols), or an object with ``predict_proba``,
        as scikit-learn's; its ``classes_`` says which symbols the columns are. ``KNeighborsClassifier().fit`` is
        one.
    grammar : Grammar
    P : int, or increasing sequence of int
        Sentences; a smaller set is the beginning of a larger one.
    target : {"last", "class"}
    test_size : int
        Held-out sentences, the same at all sizes.
    smoothing : float, at least 0 and below 1
        Share of the uniform distribution that is mixed in: a learner that rules out the truth has an infinite loss.
    seed : int
        Of the sentences.
    label : str
        Name in table and figure.

    Returns
    -------
    LearnerCurve

    Raises
    ------
    InputError
        For sizes that do not increase, and for predictions of another shape, or that are no probabilities.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> def guess(inputs, targets):
    ...     share = np.bincount(targets, minlength=4) / len(targets)
    ...     return lambda inputs: np.tile(share, (len(inputs), 1))
    >>> learning_curve(guess, RHM(v=4, m=2, s=2, L=2).grammar(seed=0), [10, 1000]).loss.shape
    (2,)
    """
    as_choice("target", target, ("last", "class"))
    sizes = [as_int("P", size, low=1) for size in np.atleast_1d(np.asarray(P, dtype=object))]
    if sizes != sorted(set(sizes)) or not sizes:
        raise InputError(
            "P", sizes, "does not increase", "give at least one size, from the smallest to the largest"
        )
    if not 0 <= smoothing < 1:
        raise InputError("smoothing", smoothing, "is no share of 0 to 1", "give a small number such as 0.001")
    level = 0 if target == "last" else grammar.shape.L
    symbols = grammar.shape.n_symbols(level)
    of_training, of_test = np.random.SeedSequence(seed).spawn(2)
    inputs, targets = _examples(grammar, sizes[-1], of_training, target)
    unseen, truth = _examples(grammar, as_int("test_size", test_size, low=2), of_test, target)
    losses, wrong = [], []
    for size in sizes:
        p = _probabilities(fit(inputs[:size], targets[:size]), unseen, symbols)
        p = (1 - smoothing) * p + smoothing / symbols
        with np.errstate(divide="ignore"):
            losses.append(-np.log(p[np.arange(len(truth)), truth]))
        wrong.append((p.argmax(axis=1) != truth).mean())
    each = np.array(losses)
    with np.errstate(invalid="ignore"):  # an infinite loss has no error
        error = each.std(axis=1, ddof=1) / np.sqrt(len(truth))
    return LearnerCurve(grammar, np.array(sizes, float), each.mean(axis=1), error, np.array(wrong), target, label)


def _examples(grammar: Grammar, n: int, seed: np.random.SeedSequence, target: str) -> tuple[IntArray, IntArray]:
    """Inputs and targets of n sentences."""
    trees = grammar.sample_trees(n, np.random.default_rng(seed))
    tokens = trees.tokens.astype(np.int64)
    if target == "last":
        return tokens[:, :-1], tokens[:, -1]
    return tokens, trees.level(grammar.shape.L)[:, 0].astype(np.int64)


def _probabilities(predictor: Any, inputs: IntArray, symbols: int) -> FloatArray:
    """Predictions as checked probabilities of all symbols, (N, symbols)."""
    given = np.asarray(getattr(predictor, "predict_proba", predictor)(inputs), dtype=float)
    columns = np.asarray(getattr(predictor, "classes_", np.arange(symbols)))
    way_out = "return a function of inputs, or an object with predict_proba, that gives a probability per symbol"
    if given.shape != (len(inputs), len(columns)):
        rule = f"has a predictor that gives shape {given.shape}, and not {(len(inputs), len(columns))}"
        raise InputError("fit", rule=rule, way_out=way_out)
    if not (given >= 0).all() or np.abs(given.sum(axis=1) - 1).max() > 1e-6:
        raise InputError("fit", rule="has a predictor whose rows are no probabilities", way_out=way_out)
    out = np.zeros((len(inputs), symbols))
    out[:, columns] = given
    return out
