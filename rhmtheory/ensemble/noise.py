"""Noise on the leaves, averaged over rules: the map of beliefs from level to level, its fixed point and phase."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, nan
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory import formulas
from rhmtheory.ensemble.parameters import Ensemble
from rhmtheory.support.checks import as_numbers
from rhmtheory.support.errors import InputError
from rhmtheory.support.json import plain
from rhmtheory.support.types import FloatArray

PHASES = {
    "threshold": "the class is lost at a noise below one",
    "always": "any noise is amplified, and the class of a deep tree is lost",
    "never": "some of the class survives any noise below one",
    "partly": "any noise is amplified, and some of the class survives it",
}
"""What noise does to the class of a deep tree, by the slopes of the map at full and at no information."""


@dataclass(frozen=True)
class NoiseTransition:
    """Transition of the epsilon-process of one ensemble. Made by `noise_transition`.

    Attributes
    ----------
    belief : float
        Unstable fixed point ``p*`` of ``F``: larger beliefs grow from level to level, smaller ones fade.
    noise : float
        ``eps*``, at which leaves have that belief. NaN where there is no transition.
    slope : float
        ``F'(p*)``.
    nu : float
        ``ln s / ln F'(p*)``, exponent of the correlation length in tokens, ``xi ~ |eps - eps*|**-nu``.
    slope_uninformed : float
        ``F'(1/v)``; below one, what little is known fades.
    slope_informed : float
        ``F'(1)``; above one, what little is unknown grows.
    phase : str
        One of `PHASES`.
    """

    belief: float
    noise: float
    slope: float
    nu: float
    slope_uninformed: float
    slope_informed: float
    phase: str

    def __str__(self) -> str:
        if self.phase != "threshold":
            return f"no transition: {PHASES[self.phase]}"
        return f"eps* = {self.noise:.4f} (p* = {self.belief:.4f}), nu = {self.nu:.3f}: {PHASES[self.phase]}"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; what is undefined is None."""
        content: dict[str, Any] = plain(self)
        return content


def noise_flow(rhm: Ensemble, noise: npt.ArrayLike) -> FloatArray:
    """Belief in the right symbol of a node from all leaves below it, by the map ``F``, for the epsilon-process.

    Averaged over rules, numerator and denominator apart (annealed). Levels may differ, and the root have n symbols.

    Parameters
    ----------
    rhm : RHM
        Unequal rules enter by ``1 / sum_r p_r**2`` in place of m.
    noise : array of numbers from 0 to 1
        ``eps``: a leaf has belief ``1 - eps + eps/v`` in its symbol.

    Returns
    -------
    array, shape (..., L + 1)
        Levels 0..L.

    Raises
    ------
    InputError
        For noise outside [0, 1].

    Notes
    -----
    arXiv:2402.16991; noise-map of docs/theory_noise.md.
    """
    eps = as_numbers("noise", noise)
    if not ((eps >= 0) & (eps <= 1)).all():
        raise InputError("noise", noise, "leaves the range of probabilities", "give numbers from 0 to 1")
    beliefs = [1 - eps + eps / rhm.n_symbols(0)]
    for level in range(1, rhm.L + 1):
        beliefs.append(formulas.belief_map(beliefs[-1], *_parameters(rhm, level)))
    return np.stack(beliefs, axis=-1)


def noise_transition(rhm: Ensemble) -> NoiseTransition:
    """Fixed point, noise, exponent and phase of the map of beliefs, where levels below the root are alike.

    Parameters
    ----------
    rhm : RHM
        The number of classes does not matter: the transition is that of deep trees.

    Raises
    ------
    InputError
        Where levels differ; `noise_flow` gives the beliefs of any ensemble.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> print(noise_transition(RHM(v=32, m=8, s=2, L=9)))
    eps* = 0.7312 (p* = 0.2917), nu = 1.893: the class is lost at a noise below one

    Notes
    -----
    arXiv:2402.16991, section 3. It belongs to the epsilon-process; the threshold of a calibrated channel is far
    lower (`Grammar.overlaps`).
    """
    if not all(isinstance(x, int) for x in (rhm.v, rhm.m, rhm.s)) or not _equal_weights(rhm):
        raise InputError(
            "rhm", rhm, "has levels that differ, and so no fixed point", "use noise_flow, which takes any levels"
        )
    v, m, s, below = float(rhm.n_symbols(0)), *_parameters(rhm, 1)[1:]
    uninformed, informed = (formulas.belief_slope(p, v, m, s, below) for p in (1 / v, 1.0))
    unstable = [p for p in _fixed_points(v, m, s) if formulas.belief_slope(p, v, m, s, v) > 1]
    if informed < 1 and uninformed < 1 and unstable:
        p = unstable[0]
        slope = formulas.belief_slope(p, v, m, s, v)
        nu = log(s) / log(slope)
        return NoiseTransition(p, formulas.noise_of_belief(p, v), slope, nu, uninformed, informed, "threshold")
    phase = {(True, False): "always", (True, True): "partly"}.get((informed > 1, uninformed > 1), "never")
    return NoiseTransition(nan, nan, nan, nan, uninformed, informed, phase)


def _parameters(rhm: Ensemble, level: int) -> tuple[float, float, int, float]:
    """``v, m, s, below`` of a level as `formulas.belief_map` takes them."""
    return (
        float(rhm.n_symbols(level)),
        rhm.m_eff(level),
        rhm.n_children(level),
        float(rhm.n_symbols(level - 1)),
    )


def _equal_weights(rhm: Ensemble) -> bool:
    first = rhm.probabilities(1)
    return all(np.array_equal(rhm.probabilities(level), first) for level in range(2, rhm.L + 1))


def _fixed_points(v: float, m: float, s: int) -> list[float]:
    """Solutions of ``F(p) = p`` strictly between 1/v and 1, from the polynomial without those two roots."""
    tuples = v**s - 1
    # p * bottom - top, where top = a + b p**s and bottom = c + e p**s
    a, c = (m - 1) / tuples, (m * v - 1) / tuples
    coefficients = np.zeros(s + 2)
    coefficients[[0, s]] = -a, -(1 - a)
    coefficients[1] += c
    coefficients[s + 1] += 1 - c
    rest = np.polynomial.polynomial.polydiv(coefficients, np.polynomial.polynomial.polyfromroots([1.0, 1 / v]))[0]
    roots = np.polynomial.polynomial.polyroots(rest)
    real = roots[np.abs(roots.imag) < 1e-9].real
    return sorted(float(p) for p in real if 1 / v < p < 1)
