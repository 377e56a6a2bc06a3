"""What theory says a network will do: sample complexities, the staircase of the loss, and its exponents."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf, nan, prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rhmtheory import formulas
from rhmtheory.ensemble.correlations import exact_parameters, exact_threshold
from rhmtheory.fitting.slopes import slope
from rhmtheory.language.quenched import usual_plateaus
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_choice, as_int, as_numbers
from rhmtheory.support.errors import InputError
from rhmtheory.support.facade import Forward
from rhmtheory.support.json import plain
from rhmtheory.support.types import FloatArray
from rhmtheory.theory.laws import ARCHITECTURES, Law, as_law

if TYPE_CHECKING:
    from rhmtheory.plotting import plot_prediction as _plot_prediction

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted learning curve of one architecture on one ensemble. Made by `predict`; its arrays are read-only.

    Attributes
    ----------
    rhm : RHM
    architecture : str
    method : str
        How the sample complexities were obtained: see `sample_complexity`.
    sample_complexity : array, shape (L,), samples
        ``P_k``, k = 0..L-1: with ``P_k`` samples hidden level k is learnt (k = 0: the tokens of the last
        tuple), and the loss falls from ``H_k`` to ``H_(k+1)``. Orders of magnitude, with prefactor one.
    plateaus : array, shape (L + 1,), nats
        ``H_k``.
    step_factor : float
        ``P_(k+1) / P_k`` for k >= 1 in the limit of large v, whatever the method: ``m**2`` without weight
        sharing, ``m`` with. NaN where levels differ.
    exponent : float
        ``alpha`` of ``loss - floor ~ P**-alpha`` in the limit of large v and many levels. NaN where levels differ.
    finite_size_exponent : float
        The slope that this staircase shows with its few levels: see `staircase_exponent`.
    """

    rhm: RHM
    architecture: str
    method: str
    sample_complexity: FloatArray
    plateaus: FloatArray
    step_factor: float
    exponent: float
    finite_size_exponent: float

    def loss(self, P: npt.ArrayLike) -> Any:
        """Predicted loss in nats with P samples: the staircase that drops to ``H_(k+1)`` at ``P_k``.

        Takes a number or an array, and returns the same shape.
        """
        P = as_numbers("P", P)
        if not (P >= 0).all():
            raise InputError(f"P={P} must be a number of samples, zero or more")
        # a step waits for those before it, also where levels differ and it would need fewer samples
        learnt = np.searchsorted(np.maximum.accumulate(self.sample_complexity), P, side="right")
        return self.plateaus[learnt][()]

    if TYPE_CHECKING:
        plot = _plot_prediction
    else:
        plot = Forward("rhmtheory.plotting:plot_prediction")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        content: dict[str, Any] = plain(self)
        content["rhm"] |= {"d": self.rhm.d, "f": self.rhm.f if self.rhm.is_homogeneous else None}
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
            f"{self.finite_size_exponent:.4g}</caption><tr><th>hidden level k</th>"
            f"<th>P<sub>k</sub> (samples, {self.method})</th>"
            f"<th>loss before (nats)</th><th>loss after (nats)</th></tr>{rows}</table>"
        )


def predict(
    rhm: RHM, architecture: str, plateaus: str | npt.ArrayLike | None = None, *, method: str = "asymptotic"
) -> Prediction:
    """Predict the learning curve of last-token prediction.

    Parameters
    ----------
    rhm : RHM
    architecture : {"transformer", "lcn", "cnn"}
        Attention only, locally connected network, convolutional network.
    plateaus : str or array of shape (L + 1,), optional
        Method of `RHM.plateaus`, or the plateaus themselves (those of one grammar, say), in nats. By default
        `quenched.usual_plateaus`: ``"chain"``, or the mean over drawn grammars where rules are not equally likely.
    method : {"asymptotic", "exact"}
        How to obtain ``P_k``: the published formulas, or the same condition, signal equal to noise, with the
        exact second moment of this ensemble. See `sample_complexity`.

    Raises
    ------
    InputError
        For an unknown architecture or method, for plateaus that are not L + 1 numbers, for ``P_k`` beyond 1e308,
        and for the `Grammar.rhm` of a grammar whose symbols weigh their rules each in its own way.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> predict(RHM(v=16, m=4, s=2, L=4), "transformer").exponent
    0.5
    >>> predict(RHM(v=16, m=4, s=2, L=4), "cnn").exponent
    1.0
    """
    as_choice("architecture", architecture, ARCHITECTURES)
    P = np.array([sample_complexity(rhm, architecture, k, method) for k in range(rhm.L)])
    if plateaus is None:
        plateaus = usual_plateaus(rhm)
    H = rhm.plateaus(plateaus) if isinstance(plateaus, str) else as_numbers("plateaus", plateaus)
    if H.shape != (rhm.L + 1,):
        raise InputError(f"plateaus have shape {H.shape}: L={rhm.L} levels have {rhm.L + 1} of them")
    if not (np.isfinite(H) & (H >= 0)).all():
        raise InputError(f"plateaus={H} must be entropies: finite and not negative")
    for array in (P, H := H.copy()):
        array.flags.writeable = False
    return Prediction(
        rhm=rhm,
        architecture=architecture,
        method=method,
        sample_complexity=P,
        plateaus=H,
        step_factor=step_factor(rhm, architecture) if rhm.is_homogeneous else nan,
        exponent=exponent(rhm, architecture) if rhm.is_homogeneous else nan,
        # a step waits for those before it
        finite_size_exponent=staircase_exponent(np.maximum.accumulate(P), H),
    )


def sample_complexity(rhm: RHM, architecture: str | Law, k: int, method: str = "asymptotic") -> float:
    """Samples with which hidden level ``k`` becomes learnable, ``P_k``: where signal equals sampling noise.

    - k = 0, all architectures: the covariance of two tokens of the last tuple, noise ``1 / (v**2 P)``.
    - k >= 1 without weight sharing: every tuple of tokens below LCA level k + 1 is clustered by its own covariance
      with the target, noise ``1 / (v**2 m P)``.
    - k >= 1 with weight sharing: rules learnt near the target are reused, so that tuples of level-(k-1) symbols
      are seen instead of tuples of tokens.

    Parameters
    ----------
    rhm : RHM
    architecture : {"transformer", "lcn", "cnn"} or Law
    k : int
        Hidden level, 0..L-1.
    method : {"asymptotic", "exact"}
        ``"asymptotic"``: `formulas.first_complexity`, then `formulas.unshared_complexity` (arXiv:2505.07070) or
        `formulas.shared_complexity` (arXiv:2505.07070 and 2605.27734); where levels differ, in our
        generalisation, with those of each level. With unequal rules ``m`` is `RHM.effective_multiplicity`, also
        in f. ``"exact"``: with the signal of `ensemble.second_moment` and the noise
        ``(1 - sum p**2) (1 - sum q**2) / (P entries)`` of independent variables with the mean power sums of the
        two sides.

    Returns
    -------
    float
        Samples; infinite where there is no correlation to learn from (``f = 1``).

    Raises
    ------
    InputError
        For an unknown architecture or method, a level outside 0..L-1, and where ``P_k`` exceeds 1e308.

    Notes
    -----
    Derived in docs/theory_predictions.md (prediction-unshared, prediction-shared); the exact threshold is
    learner-threshold of docs/theory_learner.md.
    """
    law = as_law(architecture)
    as_choice("method", method, ("asymptotic", "exact"))
    k = as_int("k", k, low=0, high=rhm.L - 1)
    try:
        if method == "asymptotic":
            return _asymptotic_complexity(rhm, law, k)
        P = exact_threshold(rhm, k + 1, law.side(k), is_tuple=k > 0)
        return inf if P is None else float(P)
    except OverflowError:
        raise InputError(f"P_k at k={k} of {rhm} leaves the range of floats: lower L or m") from None


def _asymptotic_complexity(rhm: RHM, law: Law, k: int) -> float:
    *below, (v, m, f) = [exact_parameters(rhm, level) for level in range(1, k + 2)]
    if f == 1:
        return inf
    rules = [m for _, m, _ in below]
    return float(law.complexity(v, m, f, prod(rules, start=Fraction(1)), rules[-1] if k else Fraction(1)))


def step_factor(rhm: RHM, architecture: str | Law) -> float:
    """Factor in samples from hidden level k to k + 1, k >= 1: ``m`` for the CNN, ``m**2`` for the others.

    With unequal rules ``m`` is `RHM.effective_multiplicity`.

    Parameters
    ----------
    rhm : RHM
        Levels must be alike.
    architecture : {"transformer", "lcn", "cnn"} or Law

    Raises
    ------
    InputError
        For an unknown architecture, and where levels differ.
    """
    law = as_law(architecture)
    rhm.homogeneous()
    return float(law.step(rhm.effective_multiplicity(1)))


def exponent(rhm: RHM, architecture: str | Law) -> float:
    """Asymptotic exponent ``alpha = ln(1/f) / ln(step factor)`` of the excess loss (arXiv:2505.07070).

    With unequal rules f is `RHM.effective_fraction` of order 1/2, by which plateaus fall, and the step factor
    that of the effective multiplicity of order 2, by which signals fall (prediction-overlap of
    docs/theory_predictions.md).
    Infinite for ``m = 1``, where the loss falls without a growing need of samples; 0 for ``f = 1``.

    Parameters
    ----------
    rhm, architecture
        As in `step_factor`.

    Raises
    ------
    InputError
        As `step_factor`.
    """
    step = step_factor(rhm, architecture)
    return formulas.alpha(_falling_fraction(rhm), step) if step > 1 else inf


def _falling_fraction(rhm: RHM) -> float:
    return rhm.effective_fraction(1, order=0.5)


def classification_complexity(rhm: RHM) -> float:
    """Samples to learn the class of a sentence (its root symbol): ``n m**L`` (arXiv:2307.02129).

    ``n m_1 ... m_L`` where levels differ; for unequal rules with `RHM.effective_multiplicity`.

    Parameters
    ----------
    rhm : RHM

    Raises
    ------
    InputError
        Where it exceeds 1e308.
    """
    choices = prod((exact_parameters(rhm, level)[1] for level in range(1, rhm.L + 1)), start=Fraction(1))
    try:
        return float(formulas.classification_complexity(rhm.n_symbols(rhm.L), choices))
    except OverflowError:
        raise InputError(f"n m**L of {rhm} leaves the range of floats: lower L or m") from None


def latent_prediction_complexity(rhm: RHM) -> float:
    """Samples to learn all levels by predicting own latents instead of tokens: ``v m**3`` (arXiv:2605.27734).

    Whatever the depth: each level is learnt from latents of the level below, as the first one is from tokens.

    Parameters
    ----------
    rhm : RHM
        Levels must be alike.
    """
    rhm.homogeneous()
    _, m, _ = exact_parameters(rhm, 1)
    return float(formulas.own_latents_complexity(Fraction(rhm.n_symbols(0)), m))


def correlation_exponent(rhm: RHM) -> float:
    """``beta = ln m / ln s`` of the decay of correlations with distance, ``C ~ t**-beta`` (arXiv:2406.00048).

    With unequal rules ``m`` is `RHM.effective_multiplicity`.

    Parameters
    ----------
    rhm : RHM
        Levels must be alike.
    """
    _, _, s = rhm.homogeneous()
    return float(formulas.beta(rhm.effective_multiplicity(1), s))


def entropy_exponent(rhm: RHM) -> float:
    """``gamma = ln(1/f) / ln s`` of the decay of the conditional entropy with context, ``H_n - H ~ n**-gamma``.

    With unequal rules f is as in `exponent`.

    Parameters
    ----------
    rhm : RHM
        Levels must be alike.
    """
    _, _, s = rhm.homogeneous()
    return float(formulas.gamma(_falling_fraction(rhm), s))


def corpus_exponent(beta: float, gamma: float) -> float:
    """Data-limited exponent ``alpha = gamma / (2 beta)`` from two statistics of a corpus (arXiv:2602.07488).

    With `correlation_exponent` and `entropy_exponent` it is that of the transformer.

    Parameters
    ----------
    beta, gamma : float
        Decay of correlations with distance, and of the entropy of a token with the length of its context; positive.

    Raises
    ------
    InputError
        For exponents that are not positive.
    """
    if not (beta > 0 and gamma > 0):
        raise InputError(f"beta={beta} and gamma={gamma} must be positive: nothing decays otherwise")
    return float(formulas.corpus_alpha(beta, gamma))


def effective_range(rhm: RHM, P: float, method: str = "exact") -> int:
    """Largest distance at which P samples show correlations, ``t*(P)``: that of the last LCA level above noise.

    LCA level l is above the noise of token-token covariances when ``P >= 1 / (v**2 C_l**2)``; it reaches up to
    distance ``s**l - 1``. Asymptotically ``t* ~ P**(1 / (2 beta))`` (arXiv:2406.00048). Zero where not even
    neighbours show.

    Parameters
    ----------
    rhm : RHM
    P : float
        Samples.
    method : {"exact", "asymptotic"}
        Of `RHM.rms_correlation`.

    Raises
    ------
    InputError
        For a negative number of samples, an unknown method, and as `RHM.rms_correlation`.
    """
    if not P >= 0:
        raise InputError(f"P={P} must be a number of samples, zero or more")
    as_choice("method", method, ("exact", "asymptotic"))
    reach = 0
    for level in range(1, rhm.L + 1):
        # C v sqrt(P) >= 1; written so that nothing leaves the range of floats
        try:
            signal = rhm.rms_correlation(level, method=method)
        except InputError:  # below 1e-308, and so below the noise of any number of samples
            break
        if signal * rhm.n_symbols(0) * sqrt(P) < 1:
            break
        reach = rhm.span(level) - 1
    return reach


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
        NaN with fewer than two usable steps, or where all come at the same P (``m = 1``). A step that crosses
        within 1e-9 of the floor is left out: its excess is lost in rounding.
    """
    P, H = np.asarray(P, dtype=float), np.asarray(plateaus, dtype=float)
    # a floor of zero has no geometric mean with it, and what is left of a deep step is rounding
    above = crossing_levels(H) > H[-1] * (1 + _ROUNDING)
    usable = np.isfinite(P) & above & (np.arange(len(P)) >= first_step(len(P)))
    if len(np.unique(P[usable])) < 2:
        return float("nan")
    return -slope(np.log(P[usable]), np.log(crossing_levels(H)[usable] - H[-1]))


def crossing_levels(plateaus: npt.ArrayLike) -> FloatArray:
    """Loss at which step k counts as made: the geometric mean of plateaus ``H_k`` and ``H_(k+1)``, shape (L,)."""
    H = np.asarray(plateaus, dtype=float)
    levels: FloatArray = np.sqrt(H[:-1] * H[1:])
    return levels


def first_step(L: int) -> int:
    """First step that enters fits of factor and exponent: 1, or 0 where there are only L = 2 steps."""
    return 1 if L > 2 else 0
