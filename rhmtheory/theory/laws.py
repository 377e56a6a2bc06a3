"""The law of each architecture: what it reads correlations from, and so how many samples a level costs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rhmtheory import formulas
from rhmtheory.support.checks import as_choice


@dataclass(frozen=True)
class Law:
    """What a learner clusters by its covariance with the target; both ways to obtain ``P_k`` follow from it.

    Attributes
    ----------
    sharing : bool
        Whether rules learnt near the target are reused at every position. Then tuples of level-(k-1) symbols are
        seen; without, every tuple of tokens has to show its own correlation with the target.
    """

    sharing: bool

    def side(self, k: int) -> int:
        """Level of the node whose tuple of children is set against the target at step k; 0 for a single token."""
        if k == 0:
            return 0
        return k if self.sharing else 1

    def complexity(self, v: Any, m: Any, f: Any, below: Any, last: Any) -> Any:
        """``P_k`` for large v: `formulas.shared_complexity` or `formulas.unshared_complexity`, k >= 1.

        For k = 0 both are `formulas.first_complexity`, which ``below = last = 1`` gives. The parameters ``v, m, f,
        below, last`` are those of the formulas.
        """
        if self.sharing:
            return formulas.shared_complexity(v, m, f, below, last)
        return formulas.unshared_complexity(v, m, f, below)

    def step(self, m: Any) -> Any:
        """Factor in samples per hidden level, k >= 1, with m rules: `formulas.shared_step` or `unshared_step`."""
        return formulas.shared_step(m) if self.sharing else formulas.unshared_step(m)

    @property
    def step_text(self) -> str:
        """The factor as a formula."""
        return "m" if self.sharing else "m**2"

    def __str__(self) -> str:
        return "with sharing" if self.sharing else "without sharing"


LAWS = {"transformer": Law(sharing=False), "lcn": Law(sharing=False), "cnn": Law(sharing=True)}
"""The laws by architecture: attention, locally connected network, convolutional network."""

ARCHITECTURES = tuple(LAWS)
"""Names of the architectures with a prediction."""


def as_law(architecture: str | Law) -> Law:
    """Return the law of an architecture by its name, or a law as it is; raises `InputError` for other names."""
    if isinstance(architecture, Law):
        return architecture
    return LAWS[as_choice("architecture", architecture, ARCHITECTURES)]
