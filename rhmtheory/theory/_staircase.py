"""Where a step counts as made, and the exponent of few steps: alike for predictions and measurements."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rhmtheory.fitting.slopes import slope
from rhmtheory.language.quenched import usual_plateaus
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_numbers
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.types import FloatArray

_ROUNDING = 1e-9


def read_plateaus(rhm: RHM, given: str | npt.ArrayLike | None) -> FloatArray:
    """Return plateaus in nats, read-only, of shape (L + 1,): those given, by a method, or the usual ones.

    Raises `InputError` for numbers that are no entropies of L + 1 levels.
    """
    given = usual_plateaus(rhm) if given is None else given
    H = rhm.plateaus(given) if isinstance(given, str) else as_numbers("plateaus", given)
    if H.shape != (rhm.L + 1,):
        raise InputError(
            "plateaus", NOT_SAID, f"have shape {H.shape}", f"`L`={rhm.L} levels have {rhm.L + 1} of them"
        )
    if not (np.isfinite(H) & (H >= 0)).all():
        raise InputError("plateaus", H, "must be entropies", "finite and not negative")
    H = H.copy()
    H.flags.writeable = False
    return H


def crossing_levels(plateaus: npt.ArrayLike) -> FloatArray:
    """Loss at which step k counts as made: the geometric mean of plateaus ``H_k`` and ``H_(k+1)``, shape (L,)."""
    H = np.asarray(plateaus, dtype=float)
    levels: FloatArray = np.sqrt(H[:-1] * H[1:])
    return levels


def first_step(L: int) -> int:
    """First step that enters fits of factor and exponent: 1, or 0 where there are only L = 2 steps."""
    return 1 if L > 2 else 0


def waiting(P: npt.ArrayLike) -> FloatArray:
    """Return the samples at which steps are made, of those that each needs: a step waits for those before it."""
    made: FloatArray = np.maximum.accumulate(np.asarray(P, dtype=float))
    made.flags.writeable = False
    return made


def staircase_exponent(P: npt.ArrayLike, plateaus: npt.ArrayLike) -> float:
    """Few-level exponent: that of a staircase with few steps, from the points where it crosses between plateaus.

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
