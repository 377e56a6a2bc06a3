"""What theory says a network will do: sample complexities, the staircase of the loss, and its exponents."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory._checks import InputError, as_choice, as_int
from rhmtheory._json import plain
from rhmtheory._types import FloatArray
from rhmtheory.rhm import RHM
from rhmtheory.scaling import slope

ARCHITECTURES = ("transformer", "lcn", "cnn")
"""Names of the learners with a prediction: attention, locally connected, convolutional."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted learning curve of one architecture on one ensemble. Made by `predict`.

    Attributes
    ----------
    rhm : RHM
    architecture : str
    sample_complexity : array, shape (L,), samples
        ``P_k``, k = 0..L-1: with ``P_k`` samples hidden level k is learnt (k = 0: the tokens of the last
        tuple), and the loss falls from ``H_k`` to ``H_(k+1)``. Orders of magnitude, with prefactor one.
    plateaus : array, shape (L + 1,), nats
        ``H_k``.
    step_factor : float
        ``P_(k+1) / P_k`` for k >= 1: ``m**2`` without weight sharing, ``m`` with.
    exponent : float
        ``alpha`` of ``loss - floor ~ P**-alpha`` in the limit of many levels.
    finite_size_exponent : float
        The slope that the same ensemble shows with its few levels: see `staircase_exponent`.
    """

    rhm: RHM
    architecture: str
    sample_complexity: FloatArray
    plateaus: FloatArray
    step_factor: float
    exponent: float
    finite_size_exponent: float

    def loss(self, P: npt.ArrayLike) -> Any:
        """Predicted loss in nats with P samples: the staircase that drops to ``H_(k+1)`` at ``P_k``.

        Takes a number or an array, and returns the same shape.
        """
        P = np.asarray(P, dtype=float)
        if not (P >= 0).all():
            raise InputError(f"P={P} must be a number of samples, zero or more")
        learnt = np.searchsorted(self.sample_complexity, P, side="right")
        return self.plateaus[learnt][()]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        content: dict[str, Any] = plain(self)
        content["rhm"] |= {"d": self.rhm.d, "f": self.rhm.f}
        return content

    def __repr__(self) -> str:
        steps = ", ".join(f"{P:.3g}" for P in self.sample_complexity)
        return f"<Prediction {self.architecture} on {self.rhm}: P_k = {steps}; exponent {self.exponent:.4g}>"

    def _repr_html_(self) -> str:
        """Table for notebooks."""
        rows = "".join(
            f"<tr><td>{k}</td><td>{P:.4g}</td><td>{before:.4f}</td><td>{after:.4f}</td></tr>"
            for k, (P, before, after) in enumerate(
                zip(self.sample_complexity, self.plateaus, self.plateaus[1:], strict=False)
            )
        )
        return (
            f"<table><caption>{self.architecture} on {self.rhm}: exponent {self.exponent:.4g}, finite-size "
            f"{self.finite_size_exponent:.4g}</caption><tr><th>hidden level k</th><th>P<sub>k</sub> (samples)</th>"
            f"<th>loss before (nats)</th><th>loss after (nats)</th></tr>{rows}</table>"
        )


def predict(rhm: RHM, architecture: str, plateaus: str | npt.ArrayLike = "chain") -> Prediction:
    """Predict the learning curve of last-token prediction.

    Parameters
    ----------
    rhm : RHM
        One (v, m, s) for all levels.
    architecture : {"transformer", "lcn", "cnn"}
        Attention only, locally connected network, convolutional network.
    plateaus : str or array of shape (L + 1,)
        Method of `RHM.plateaus`, or the plateaus themselves (those of one grammar, say), in nats.

    Raises
    ------
    InputError
        For an unknown architecture, or plateaus of another length.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> predict(RHM(v=16, m=4, s=2, L=4), "transformer").exponent
    0.5
    >>> predict(RHM(v=16, m=4, s=2, L=4), "cnn").exponent
    1.0
    """
    as_choice("architecture", architecture, ARCHITECTURES)
    H = rhm.plateaus(plateaus) if isinstance(plateaus, str) else np.asarray(plateaus, dtype=float)
    if H.shape != (rhm.L + 1,):
        raise InputError(f"plateaus have shape {H.shape}: L={rhm.L} levels have {rhm.L + 1} of them")
    P = np.array([sample_complexity(rhm, architecture, k) for k in range(rhm.L)])
    return Prediction(
        rhm=rhm,
        architecture=architecture,
        sample_complexity=P,
        plateaus=H,
        step_factor=step_factor(rhm, architecture),
        exponent=exponent(rhm, architecture),
        finite_size_exponent=staircase_exponent(P, H),
    )


def sample_complexity(rhm: RHM, architecture: str, k: int) -> float:
    """Samples with which hidden level ``k`` becomes learnable, ``P_k``; infinite where ``f = 1``.

    ``P_0 = v m / (1 - f)``, and for k >= 1

    - without weight sharing, ``v m**(2k+1) / (1 - f)`` (arXiv:2505.07070): every tuple below LCA level k+1 is
      clustered by its own correlation with the target, ``(1-f) / (v**3 m**(2k+1))`` squared, against noise
      ``1 / (v**2 P)``;
    - with weight sharing, ``v m**(k+2) / (1 - f)`` (arXiv:2505.07070 and 2605.27734): rules learnt near the
      target are reused, so that tuples of level-(k-1) symbols are seen instead of tokens.
    """
    as_choice("architecture", architecture, ARCHITECTURES)
    k = as_int("k", k, low=0, high=rhm.L - 1)
    v, m, _ = rhm.homogeneous()
    if rhm.f == 1:
        return inf  # every tuple is grammatical: there is no correlation to learn from
    power = 1 if k == 0 else k + 2 if architecture == "cnn" else 2 * k + 1
    return v * float(m) ** power / (1 - rhm.f)


def step_factor(rhm: RHM, architecture: str) -> float:
    """Factor in samples from hidden level k to k + 1, k >= 1: ``m`` for the CNN, ``m**2`` for the others."""
    as_choice("architecture", architecture, ARCHITECTURES)
    _, m, _ = rhm.homogeneous()
    return float(m if architecture == "cnn" else m**2)


def exponent(rhm: RHM, architecture: str) -> float:
    """Asymptotic exponent ``alpha = ln(1/f) / ln(step factor)`` of the excess loss (arXiv:2505.07070).

    Infinite for ``m = 1``, where the loss falls without a growing need of samples; 0 for ``f = 1``.
    """
    step = log(step_factor(rhm, architecture))
    if step == 0:
        return inf
    return log(1 / rhm.f) / step


def staircase_exponent(P: npt.ArrayLike, plateaus: npt.ArrayLike) -> float:
    """Exponent of a staircase with few steps, from the points where it crosses between plateaus.

    Step k crosses ``G_k = sqrt(H_k H_(k+1))`` at ``P_k`` samples. The exponent is minus the slope of
    ``ln(G_k - H_L)`` against ``ln P_k``, over the steps k >= 1 (all steps where there are only two): the
    first one, within the last tuple, costs both architectures the same. The very function is applied to
    measured crossings, so that prediction and measurement share window and estimator.

    Parameters
    ----------
    P : array, shape (L,), samples
        NaN or infinite for a step that was not reached; it is left out.
    plateaus : array, shape (L + 1,), nats

    Returns
    -------
    float
        NaN with fewer than two usable steps, or where all come at the same P (``m = 1``).
    """
    P, H = np.asarray(P, dtype=float), np.asarray(plateaus, dtype=float)
    # a floor of zero has no geometric mean with it, and a step of no height cannot be crossed
    usable = np.isfinite(P) & (crossing_levels(H) > H[-1]) & (np.arange(len(P)) >= first_step(len(P)))
    if len(np.unique(P[usable])) < 2:
        return float("nan")
    return -slope(np.log(P[usable]), np.log(crossing_levels(H)[usable] - H[-1]))


def crossing_levels(plateaus: npt.ArrayLike) -> FloatArray:
    """Loss at which step k counts as made: the geometric mean of ``H_k`` and ``H_(k+1)``, shape (L,)."""
    H = np.asarray(plateaus, dtype=float)
    levels: FloatArray = np.sqrt(H[:-1] * H[1:])
    return levels


def first_step(L: int) -> int:
    """First step that enters fits of factor and exponent: 1, or 0 where there are only two steps."""
    return 1 if L > 2 else 0
