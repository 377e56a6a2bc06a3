"""A measured number and the predictions it is held against: verdicts, with their size, as tables and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan, log, nan

import numpy as np
from scipy.special import ndtri

from rhmtheory.fitting.intervals import Estimate
from rhmtheory.support.errors import InputError
from rhmtheory.support.tables import Table
from rhmtheory.support.values import ByValue

METHODS = {"published": "published", "finite_size": "finite-size"}
"""The two predictions of a law, and their names in tables: the limit formula, and the exact second moment."""
_HEAD = ("network, prediction", "value [95%]", "off by", "s.e.", "verdict")


@dataclass(frozen=True, eq=False)
class Judged(ByValue):
    """A prediction of the measured number, and the verdict on it.

    Attributes
    ----------
    law : str
        The learner.
    method : str
        ``published`` or ``finite_size``.
    predicted : float
        The number that the very estimator of the measurement gives on the predicted staircase.
    verdict : str
        See `verdict`.
    percent : float
        Measured over predicted less one, in percent; NaN where there is none, or the measured number is a bound.
    errors : float
        ``ln(measured / predicted)`` in standard errors, so that 1.96 is the end of a 95% interval.
    """

    law: str
    method: str
    predicted: float
    verdict: str
    percent: float = nan
    errors: float = nan


@dataclass(frozen=True, eq=False)
class Finding(ByValue):
    """A measured number and the predictions it is held against."""

    measured: Estimate
    judged: tuple[Judged, ...]

    def against(self, method: str, law: str | None = None) -> Judged:
        """Return the judgement by one method.

        Parameters
        ----------
        method : str
            ``published`` or ``finite_size``.
        law : str, optional
            By default the network's own, the first.
        """
        for one in self.judged:
            if one.method == method and law in (None, one.law):
                return one
        known = ", ".join(dict.fromkeys(f"{one.method} of {one.law}" for one in self.judged)) or "none"
        raise InputError("law", law, f"has no prediction by {method!r}", f"choose one of {known}")


def judge(measured: Estimate, law: str, method: str, predicted: float) -> Judged:
    """Return the prediction with its verdict and the size of the deviation."""
    percent = errors = nan
    if not measured.is_bound and isfinite(measured.best) and measured.best > 0 and 0 < predicted < inf:
        percent = 100 * (measured.best / predicted - 1)
        deviation = log(measured.best / predicted)
        bound = measured.low if deviation > 0 else measured.high
        half = abs(log(measured.best / bound)) if 0 < bound < inf else nan
        if half > 0:
            errors = deviation / half * float(ndtri((1 + measured.confidence) / 2))
    return Judged(law, method, predicted, verdict(measured, predicted), percent, errors)


def verdict(measured: Estimate, predicted: float) -> str:
    """Return ``agrees``, ``disagrees`` or ``undecided``, or the bound that a bound alone allows to state.

    ``disagrees`` if the interval leaves the prediction out, ``agrees`` if it has it and is narrow: the upper end is
    less than twice the lower one. A wider interval, or none, is ``undecided``. A lower bound is told as
    ``at least x``, and ``disagrees, at least x`` where it lies above the prediction; an upper bound likewise.

    Parameters
    ----------
    measured : Estimate
    predicted : float
        The same number, predicted.
    """
    if measured.is_bound and not isnan(measured.best):
        word, end = ("at least", measured.low) if measured.at_least else ("at most", measured.high)
        bound = measured.best if isnan(end) else end
        beyond = isfinite(predicted) and (end > predicted if measured.at_least else end < predicted)
        return f"{'disagrees, ' if beyond else ''}{word} {bound:.3g}"
    if not np.isfinite([measured.best, measured.low, measured.high, predicted]).all():
        return "undecided"
    if not measured.low <= predicted <= measured.high:
        return "disagrees"
    return "agrees" if 0 < measured.high < 2 * measured.low else "undecided"


def finding_table(title: str, rows: Sequence[tuple[str, Finding]]) -> Table:
    """Return one row per number and one per prediction of it, with a sentence below."""
    out: list[tuple[str, ...]] = []
    for name, finding in rows:
        none = "no law" if not finding.judged else ""
        out.append((name, str(finding.measured), "", "", none))
        for one in finding.judged:
            out.append(
                (
                    f"  {one.law}, {METHODS[one.method]}", number(one.predicted), _signed(one.percent, "%", 0),
                    _signed(one.errors, "", 1), one.verdict.split(", ")[0],
                )
            )  # fmt: skip
    return Table(title, _HEAD, tuple(out), " ".join(summary(name, finding) for name, finding in rows))


def summary(name: str, finding: Finding) -> str:
    """Return one sentence on which predictions hold, and how far off the others are."""
    if not finding.judged:
        return f"{name}: {finding.measured}, held against no law."
    if isnan(finding.measured.best):
        return f"{name}: not measured."
    kinds: dict[str, list[str]] = {}
    for one in finding.judged:
        size = "" if isnan(one.percent) else f" ({_signed(one.percent, '%', 0)})"
        text = f"{one.law}, {METHODS[one.method]}{size}"
        kinds.setdefault(one.verdict.split(", ")[0], []).append(text)
    words = {"agrees": "agrees with", "disagrees": "disagrees with", "undecided": "cannot decide on"}
    parts = [f"{words.get(kind, f'is {kind}, which leaves open')} {' and '.join(kinds[kind])}" for kind in kinds]
    return f"{name} {'; '.join(parts)}."


def number(value: float) -> str:
    """Three digits; a dash for what is not finite."""
    if not np.isfinite(value):
        return "-"
    return f"{value:.3g}" if value < 1000 else f"{value:.2e}".replace("e+0", "e")


def _signed(value: float, unit: str, digits: int) -> str:
    return "" if isnan(value) else f"{value:+.{digits}f}{unit}" if abs(value) < 1e4 else f"> 1e4{unit}"
