"""Laws: which correlation tells a learner of a level, as data; the samples it takes follow from the record.

Equations prediction-first, prediction-unshared and prediction-shared of docs/theory_predictions.md are the laws of
architectures; prediction-path is what all laws have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import inf, isnan, nan, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from rhmtheory import formulas
from rhmtheory.ensemble.correlations import effective_numbers, finite_size_threshold
from rhmtheory.ensemble.exponents import overlap_fraction
from rhmtheory.exact.residuals import tuple_detection
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_int
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.values import ByValue
from rhmtheory.theory._staircase import waiting

if TYPE_CHECKING:
    from rhmtheory.language.grammar import Grammar

LevelOf = Callable[[Any], Any]
"""A level as a function of the hidden level k. It must also take a sympy symbol, which stands for k >= 1."""
NEXT_TOKEN = "last token"
_DEEP = 1000


def token(k: Any) -> Any:
    """Level 0, the token."""
    return 0


def lowest(k: Any) -> Any:
    """Level 1, whose tuples are tuples of tokens; at k = 0 the token itself."""
    return 1 if k else 0


def hidden(k: Any) -> Any:
    """Level k, whose tuples are tuples of known level-(k-1) symbols; at k = 0 the token itself."""
    return k


def below(k: Any) -> Any:
    """Level k - 1; at k = 0 the token itself."""
    return k - 1 if k else 0


def _first(k: Any) -> Any:
    return 1


def _ancestor(k: Any) -> Any:
    return k + 1


def _always(k: Any) -> bool:
    return True


@dataclass(frozen=True, eq=False)
class Predicted(ByValue):
    """One quantity by the two predictions, side by side.

    Attributes
    ----------
    published : float or array
        By the limit formula, for large v at fixed f.
    finite_size : float or array
        With the exact second moment of this ensemble; NaN where there is no closed form.
    """

    published: Any
    finite_size: Any


@dataclass(frozen=True)
class Law:
    """The correlation by which step k is made: of a target with a symbol or tuple below the siblings of h_k.

    Their lowest common ancestor is at level k + 1. All levels are functions of k = 0..L-1.

    Parameters
    ----------
    name : str
    target_level : callable
        Level of the symbol above the last token that is predicted; 0 is the token.
    side_level : callable
        Level of the node on the other side.
    tuples : callable, optional
        Whether the tuple of its children is read there instead of its symbol; by default for k >= 1.
    context_level : callable, optional
        Context level that is known, so that residuals are correlated; by default none is.
    text : str, optional
        How the law is called in a sentence; by default its name.
    task : str, optional
        What the network is trained to predict. `predict` takes laws of the last token.
    source : str, optional

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> rhm = RHM(v=16, m=4, s=2, L=4)
    >>> law = Law("tuples of pairs", target_level=lambda k: 0, side_level=lambda k: 2 if k > 1 else k)
    >>> [round(law.published(rhm, k)) for k in range(4)]
    [85, 1365, 5461, 87381]
    """

    name: str
    target_level: LevelOf
    side_level: LevelOf
    tuples: Callable[[Any], bool] = bool
    context_level: LevelOf | None = None
    text: str = ""
    task: str = NEXT_TOKEN
    source: str = ""

    def __str__(self) -> str:
        return self.text or self.name

    def path(self, k: int) -> tuple[int, ...]:
        """Return the levels of the rules between target and tuple, each of which dilutes their correlation.

        They lead from the target up to the common ancestor's rule, at level k + 1, then down to the tuple's own.
        Where the target is the ancestor its rule is the first one.

        Raises
        ------
        InputError
            Where the law names a level outside the tree below the ancestor.
        """
        target, side, is_tuple = self._ends(k)
        up = range(target + 1, k + 2) if target <= k else (k + 1,)
        return (*up, *range(k, side - is_tuple, -1))

    def n_rules(self, k: Any) -> Any:
        """Return the number of rules on the `path`, r of ``v m**r / (1 - f)``; k may be a sympy symbol, k >= 1."""
        target, side, is_tuple = self.target_level(k), self.side_level(k), int(self.tuples(k))
        return ((k + 1 - target) or 1) + k - side + is_tuple

    @property
    def power(self) -> int:
        """Power of m by which samples grow from one hidden level to the next, in a deep tree."""
        return int(self.n_rules(_DEEP + 1) - self.n_rules(_DEEP))

    @property
    def step_text(self) -> str:
        """The factor from one hidden level to the next as a formula: ``m``, ``m**2``, ``1``."""
        return {0: "1", 1: "m"}.get(self.power, f"m**{self.power}")

    def published(self, rhm: RHM, k: int) -> float:
        """Return the samples of hidden level k for large v: ``v m**r / (1 - f)``, signal equal to noise.

        Where levels differ: the product of ``m_l`` over the `path`, with v and f of the common ancestor's level.
        The factor ``1 / (1 - f)`` is that of rules drawn without replacement, and is absent where the target is the
        ancestor itself. With unequal rules m is the effective multiplicity of order 2, in f as well. A context is
        left out: it does not change the power of m.

        Parameters
        ----------
        rhm : RHM
        k : int
            Hidden level, 0..L-1.

        Returns
        -------
        float
            Samples, with prefactor one; infinite where there is no correlation (``f = 1``).

        Raises
        ------
        InputError
            For a level outside 0..L-1, and where the number exceeds 1e308.

        Notes
        -----
        prediction-path of docs/theory_predictions.md. It gives the thresholds of arXiv:2307.02129, 2406.00048,
        2505.07070, 2502.12089 and, but for the factor ``1 / (1 - f)``, 2605.27734.
        """
        k = as_int("k", k, low=0, high=rhm.L - 1)
        v, _, f = effective_numbers(rhm, k + 1)
        if self.target_level(k) == k + 1:
            f = Fraction(0)
        if f == 1:
            return inf
        rules = prod((effective_numbers(rhm, level)[1] for level in self.path(k)), start=Fraction(1))
        return _as_samples(formulas.sample_complexity(v, rules, f), rhm, k)

    def finite_size(self, rhm: RHM, k: int) -> float | None:
        """Return the samples of hidden level k with the exact second moment: the same condition at this size.

        The signal is `ensemble.second_moment`; the noise is that of independent variables with the mean power sums
        of the two sides, ``(1 - sum p**2) (1 - sum q**2) / (P entries)``.

        Parameters
        ----------
        rhm : RHM
        k : int
            Hidden level, 0..L-1.

        Returns
        -------
        float or None
            Samples, infinite without correlation. None where no closed form is known: in a context, and for
            the tuple that the ancestor itself produces.

        Raises
        ------
        InputError
            As `published`.

        Notes
        -----
        learner-threshold of docs/theory_learner.md.
        """
        k = as_int("k", k, low=0, high=rhm.L - 1)
        target, side, is_tuple = self._ends(k)
        if self._context(k) or side > k:
            return None
        P = finite_size_threshold(rhm, k + 1, side, is_tuple=is_tuple, target_level=target)
        return inf if P is None else _as_samples(P, rhm, k)

    def threshold(self, grammar: Grammar, k: int) -> float:
        """Return the samples of hidden level k in one grammar, exactly: signal equal to noise, summed over entries.

        The covariance is that with the last token, or with a symbol of the spine above it: see
        `exact.tuple_detection`. For k = 0 it is that of the other tokens of the last tuple with the last one.

        Parameters
        ----------
        grammar : Grammar
        k : int
            Hidden level, 0..L-1.

        Raises
        ------
        InputError
            For a level outside 0..L-1, contexts too many to be listed, and laws whose target is the ancestor.
        """
        shape = grammar.shape
        k = as_int("k", k, low=0, high=shape.L - 1)
        target, side, is_tuple = self._ends(k)
        if target > k or (k and not is_tuple):
            raise InputError(
                f"law {self.name!r}", NOT_SAID, "has no threshold of one grammar", "ask for finite_size(rhm, k)"
            )
        if k:
            found = tuple_detection(
                grammar, k, target_level=target, context_level=self._context(k), tuple_level=side
            )
            return found.samples
        last, first = shape.d - 1, shape.d - shape.n_children(1)
        signal = np.mean([(grammar.covariance(i, last) ** 2).sum() for i in range(first, last)])
        spread = [1 - (grammar.marginal(0, i) ** 2).sum() for i in range(first, last + 1)]
        return float(np.mean(spread[:-1]) * spread[-1] / signal) if signal else inf

    def steps(self, rhm: RHM) -> Predicted:
        """Return the samples at which each step is made, arrays of shape (L,): a step waits for those before it.

        Where levels differ, a level may need fewer samples than one below it, without which it cannot be read.

        Parameters
        ----------
        rhm : RHM

        Returns
        -------
        Predicted
            Read-only arrays; the finite-size ones are NaN from the first step on that has no closed form.

        Raises
        ------
        InputError
            As `published`.
        """
        return _steps(self, rhm)

    def step_factor(self, rhm: RHM) -> float:
        """Return ``P_(k+1) / P_k`` of a deep tree for large v, effective ``m**power``; NaN where levels differ."""
        return float(rhm.m_eff(1) ** self.power) if rhm.has_alike_levels else nan

    def exponent(self, rhm: RHM) -> float:
        """Return the exponent of many levels, ``ln(1/f) / ln(step factor)`` of ``loss - floor ~ P**-alpha``.

        With unequal rules losses count them in another way than samples do: f is `exponents.overlap_fraction`.
        Infinite where a step costs nothing (``m = 1``), 0 for ``f = 1``, NaN where levels differ (arXiv:2505.07070;
        prediction-alpha and prediction-overlap of docs/theory_predictions.md).
        """
        step = self.step_factor(rhm)
        return step if isnan(step) else formulas.alpha(overlap_fraction(rhm), step) if step > 1 else inf

    def _ends(self, k: int) -> tuple[int, int, bool]:
        """Levels of target and side, and whether its tuple is read."""
        is_tuple = bool(self.tuples(k))
        name = f"of law {self.name!r} at k={k}"
        target = as_int(f"target_level {name}", self.target_level(k), low=0, high=k + 1)
        # the ancestor's own tuple tells of the ancestor alone
        top = k + 1 if target == k + 1 and is_tuple else k
        return target, as_int(f"side_level {name}", self.side_level(k), low=int(is_tuple), high=top), is_tuple

    def _context(self, k: int) -> int:
        return 0 if self.context_level is None else int(self.context_level(k))


@lru_cache(maxsize=256)
def _steps(law: Law, rhm: RHM) -> Predicted:
    published = [law.published(rhm, k) for k in range(rhm.L)]
    finite = [law.finite_size(rhm, k) for k in range(rhm.L)]
    return Predicted(waiting(published), waiting([nan if x is None else x for x in finite]))


def _as_samples(P: Fraction, rhm: RHM, k: int) -> float:
    try:
        return float(P)
    except OverflowError:
        raise InputError(
            "P_k", NOT_SAID, f"at k={k} of {rhm} leaves the range of floats", "lower `L` or `m`"
        ) from None


_A, _B = "arXiv:2505.07070", "arXiv:2406.00048"
LAWS = {
    law.name: law
    for law in (
        Law("unshared", token, lowest, text="without sharing", source=f"{_A}, {_B}"),
        Law("shared", token, hidden, text="with sharing", source=f"{_A}, arXiv:2502.12089"),
        Law("effective targets", below, lowest),
        Law("residual", token, lowest, context_level=hidden, text="residual of the token, without sharing"),
        Law("shared residual", token, hidden, context_level=hidden, text="residual of the token, with sharing"),
        Law("own latents", below, hidden, task="own latents, one level up", source="arXiv:2605.27734"),
        Law("class", _ancestor, _first, _always, task="root of a tree of k + 1 levels", source="arXiv:2307.02129"),
    )
}
"""The laws by name. Step k of ``class`` is the class of a tree of k + 1 levels: k = L - 1 is ``n m**L``."""

ARCHITECTURES = {"transformer": LAWS["unshared"], "lcn": LAWS["unshared"], "cnn": LAWS["shared"]}
"""The law of each architecture: attention, locally connected network, convolutional network."""


def as_law(architecture: str | Law) -> Law:
    """Return the law of an architecture or law by its name, or a law as it is.

    Raises
    ------
    InputError
        For a name that is neither.
    """
    if isinstance(architecture, Law):
        return architecture
    if isinstance(architecture, str) and architecture in ARCHITECTURES | LAWS:
        return (ARCHITECTURES | LAWS)[architecture]
    names = f"choose one of {', '.join(ARCHITECTURES)}, or give a law: {', '.join(LAWS)}"
    raise InputError("architecture", architecture, "is unknown", names)


def of_last_token(architecture: str | Law) -> tuple[str, Law]:
    """Return name and law of an architecture, or of a law, whose task is the last token.

    Raises
    ------
    InputError
        As `as_law`, and for a law of another task.
    """
    law = as_law(architecture)
    if law.task != NEXT_TOKEN:
        raise InputError(
            "architecture", law.name, f"is the law of another task, {law.task}", "ask for its published(rhm, k)"
        )
    return architecture if isinstance(architecture, str) else law.name, law
