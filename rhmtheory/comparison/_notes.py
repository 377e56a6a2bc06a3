"""Further facts about a measurement that its reader must know."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, log
from typing import Any

import numpy as np

from rhmtheory.comparison._estimates import combined_variance, slope_weights
from rhmtheory.comparison._units import UnitCrossings
from rhmtheory.comparison.curves import LearningCurves
from rhmtheory.comparison.findings import number
from rhmtheory.fitting.intervals import LEAST
from rhmtheory.theory._staircase import first_step

_SEEN = 0.1
"""Chance that a test sentence was seen above which it is said."""
_ABOVE, _BELOW = 1.15, 0.97
"""Losses beyond these parts of the first and the last plateau are told."""
_APART = 1.2
"""Ratio of the factors at a quarter and at three quarters of the steps from which they are told."""
_NOISY = 0.07
"""Errors of a loss from which intervals of one curve are too wide."""
_COARSE = 0.25
"""Part of a variance that comes from brackets, from which it is told."""


def notes_of(m: Any, candidates: Sequence[int]) -> tuple[str, ...]:
    """Notes on a `Measurement`; ``candidates`` are the steps that could enter its fits."""
    curves, units, used = m.curves, m.units, list(m.used)
    notes = [*_of_losses(curves), *curves.remarks]
    if curves.diverged:
        notes.append(f"{curves.diverged} runs diverged and are left out")
    notes += _of_steps(curves, units, used, candidates)
    notes += _of_intervals(m)
    if curves.seen() > _SEEN:
        some = -log(1 - _SEEN) / -np.log1p(-min(curves.seen(1.0), 0.5))
        notes.append(
            f"at P = {curves.P.max():.3g} a test sentence was seen with a chance of up to {curves.seen():.0%} "
            f"(above "
            f"{_SEEN:.0%} from P = {some:.3g} on; P counts sentences, not tokens): measure on sentences never seen"
        )
    return tuple(notes)


def _of_losses(curves: LearningCurves) -> list[str]:
    """Losses that no predictor in nats has."""
    top, floor = curves.plateaus[:, :1], curves.plateaus[:, -1:]
    error = 0 if curves.loss_error is None else 3 * curves.loss_error
    notes = []
    with np.errstate(invalid="ignore"):
        high, low = curves.loss - error > _ABOVE * top, curves.loss + error < _BELOW * floor
    if high.any():
        most = np.nanmax(curves.loss)
        notes.append(
            f"losses of up to {most:.3g} exceed the {float(top.max()):.3g} nats of a guess: are they in bits "
            f"(times "
            f"{log(2):.3f}), or summed over tokens? A network before its first step may exceed it, too"
        )
    if low.any() and curves.level_spread is None:
        row = int(np.flatnonzero(low.any(axis=1))[0])
        part = 1 - np.nanmin(curves.loss[row]) / float(floor[row, 0])
        notes.append(
            f"the loss of {curves.grammars[row] or 'row 0'} comes {part:.0%} below the entropy of its language: is "
            "it the wrong grammar, or a mean over too few sentences?"
        )
    return notes


def _of_steps(
    curves: LearningCurves, units: UnitCrossings, used: list[int], candidates: Sequence[int]
) -> list[str]:
    """Steps that some curves lack."""
    first, notes = first_step(curves.rhm.L), []
    if curves.level_spread is not None and (lost := np.flatnonzero(np.isnan(curves.level_spread[first:])).tolist()):
        steps = ", ".join(str(first + k) for k in lost)
        notes.append(f"plateaus of step {steps} differ too much from grammar to grammar: name the grammar")
    if left_out := [name for i, name in enumerate(units.names) if i not in used]:
        notes.append(f"no step between two of the plateaus of {', '.join(left_out)}: left out of the fits")
    if early := [str(first + k) for k in np.flatnonzero(units.early[:, first:].any(axis=0))]:
        notes.append(f"some curve begins below step {', '.join(early)}: begin at smaller P to measure it")
    late = units.late[used].sum(axis=0)
    for k in candidates:
        if late[k]:
            notes.append(f"step {k} is not made by {late[k]} of {len(used)} {units.unit} at the largest P")
    for k in candidates:
        if k + 1 in candidates and used and units.together(k, k + 1, used):
            notes.append(f"steps {k} and {k + 1} fall between two neighbouring P: no factor; measure more P")
    return notes


def _of_intervals(m: Any) -> list[str]:
    """Intervals that are missing, widened, or of one grammar; and how far the factor depends on the height."""
    curves, units, factor, notes = m.curves, m.units, m.step_factor.measured, []
    if len(units.names) == 1 and factor.unit == "runs":
        lack = "without errors of its losses" if curves.loss_error is None else "without the steps that a fit needs"
        notes.append(f"one curve {lack}: no interval")
    elif len(m.used) < LEAST and factor.unit == "grammars":
        notes.append(f"{len(m.used)} grammars: an interval needs at least {LEAST}")
    elif factor.unit in ("runs", "noise"):
        notes.append(f"one grammar: the interval is over its {factor.unit}, and says nothing of other grammars")
    if factor.unit == "noise" and (part := float(np.nanmedian(curves.loss_error / curves.positive_loss))) > _NOISY:
        notes.append(f"errors of {part:.0%} of the loss: intervals from one curve hold more than they say")
    if len(m.steps) > 1 and _coarse_part(m) > _COARSE:
        step = float(np.exp(np.median(np.diff(np.log(curves.P)))))
        notes.append(
            f"P grows by a factor of {step:.2g} from point to point: steps are known to lie between two of them, "
            "the intervals allow for any place there and hold more than they say"
        )
    low, high = m.heights
    known = [x for x in (low, factor.best, high) if not isnan(x)]
    if len(known) > 1 and not factor.is_bound and max(known) > _APART * min(known):
        steep = [str(k) for k, rests in m.rests.items() if not rests]
        why = f"; the curve does not rest before step {', '.join(steep)}" if steep else ""
        notes.append(
            f"the factor depends on the height at which steps are crossed: {number(low)} at a quarter, "
            f"{factor.best:.3g} in the middle, {number(high)} at three quarters of each step{why}"
        )
    return notes


def _coarse_part(m: Any) -> float:
    """Part of the squared half width of the factor's interval that comes from brackets."""
    factor = m.step_factor.measured
    if isnan(factor.width) or not 0 < factor.width < np.inf:
        return 0.0
    known = combined_variance(m.units, list(m.used), slope_weights(m.steps, m.curves.rhm.L))
    return float(4 * 1.96**2 * known / factor.width**2)
