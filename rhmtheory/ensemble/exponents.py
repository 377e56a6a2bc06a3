"""Decays of an ensemble with distance and context, and how far P samples see."""

from __future__ import annotations

from math import sqrt

from rhmtheory import formulas
from rhmtheory.ensemble.correlations import rms_correlation
from rhmtheory.ensemble.parameters import Ensemble
from rhmtheory.support.errors import InputError


def beta(rhm: Ensemble) -> float:
    """Exponent of the decay of correlations with distance, ``C ~ t**-beta``: ``ln m / ln s`` (arXiv:2406.00048).

    With unequal rules ``m`` is `RHM.m_eff`. Raises `InputError` where levels differ.
    """
    rhm.require_alike_levels()
    return float(formulas.beta(rhm.m_eff(1), rhm.levels[0].children))


def gamma(rhm: Ensemble) -> float:
    """Exponent of the decay of the entropy given n tokens, ``H_n - H ~ n**-gamma``: ``ln(1/f) / ln s``.

    With unequal rules f is `overlap_fraction`. Raises `InputError` where levels differ (arXiv:2406.00048).
    """
    return float(formulas.gamma(overlap_fraction(rhm), rhm.levels[0].children))


def overlap_fraction(rhm: Ensemble) -> float:
    """Factor per level by which plateaus approach their limit: f, with unequal rules that of order 1/2.

    It belongs to the levels below the root, so that the number of classes does not enter. Raises `InputError` where
    levels differ. Derived in docs/theory_predictions.md, prediction-overlap.
    """
    rhm.require_alike_levels()
    return rhm.f * rhm.m_eff(1, order=0.5) / rhm.levels[0].rules


def range_(rhm: Ensemble, P: float, *, method: str = "finite-size") -> int:
    """Largest distance at which P samples show correlations, ``t*(P)``: that of the last LCA level above noise.

    LCA level l is above the noise of token-token covariances when ``P >= 1 / (v**2 C_l**2)``; it reaches up to
    distance ``s**l - 1``. For large P ``t* ~ P**(1 / (2 beta))`` (arXiv:2406.00048). Zero where not even neighbours
    show. A level below the noise ends nothing: one that holds every tuple shows none, and higher ones may.

    Parameters
    ----------
    rhm : RHM
    P : float
        Samples.
    method : str
        Of `RHM.rms_correlation`.

    Raises
    ------
    InputError
        For a negative number of samples, an unknown method, and as `RHM.rms_correlation`.
    """
    if not P >= 0:
        raise InputError("P", P, "must be a number of samples, zero or more")
    for level in range(rhm.L, 0, -1):
        try:
            signal = rms_correlation(rhm, level, method=method)
        except InputError as error:
            if "range of floats" not in str(error):
                raise
            continue  # its signal is no float, and below the noise of any number of samples
        if signal * rhm.n_symbols(0) * sqrt(P) >= 1:
            return rhm.span(level) - 1
    return 0
