"""Networks beside one another: all of one ensemble, the ratio of two exponents, and ladders of ensembles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, isnan, log, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from rhmtheory.comparison.curves import LearningCurves, multiplicity, predicted_steps
from rhmtheory.comparison.measurement import METHODS, Finding, Judged, Measurement, exponent_of, measure, verdict
from rhmtheory.comparison.tables import study_tables
from rhmtheory.fitting.intervals import line_coefficients, no_estimate, pseudo_values, t_estimate
from rhmtheory.fitting.slopes import slope
from rhmtheory.language.rhm import RHM
from rhmtheory.support.errors import InputError
from rhmtheory.support.facade import Forward
from rhmtheory.support.json import plain
from rhmtheory.support.tables import html, text
from rhmtheory.support.types import IntArray

if TYPE_CHECKING:
    from rhmtheory.plotting import study_figures as _study_figures

_LADDER = 3
"""Values of m from which ensembles make a ladder by themselves."""


@dataclass(frozen=True, eq=False)
class Ratio:
    """The exponent of one network over that of another, on the steps that both made. Made by `exponent_ratio`.

    ``paired`` says whether both met the same grammars: the interval is then Student's on the difference of the
    logarithms grammar by grammar, else Welch's.
    """

    labels: tuple[str, str]
    steps: tuple[int, ...]
    paired: bool
    finding: Finding


@dataclass(frozen=True, eq=False)
class Comparison:
    """All networks of one ensemble and one protocol. Made by `compare`.

    ``ratio`` is that of the first network with the CNN's law over the first with the transformer's; None where
    one of them is missing.
    """

    rhm: RHM
    protocol: str
    measurements: tuple[Measurement, ...]
    ratio: Ratio | None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        return {
            "rhm": plain(self.rhm),
            "protocol": self.protocol,
            "measurements": [m.to_dict() for m in self.measurements],
            "ratio": plain(self.ratio),
        }


@dataclass(frozen=True, eq=False)
class Ladder:
    """Step factors of one network on ensembles that differ in m. Made by `ladder`.

    Attributes
    ----------
    label, protocol : str
    measurements : tuple of Measurement
        By rising m. Those whose factor is only a lower bound enter no fit.
    slope : Finding
        Slope of ln factor against ln m: one with weight sharing, two without, for large v; beside it the slope of
        the exact factors. Every ensemble counts the same (see `fitting.intervals.line_coefficients`).
    """

    label: str
    protocol: str
    measurements: tuple[Measurement, ...]
    slope: Finding

    @property
    def fitted(self) -> tuple[Measurement, ...]:
        """Those that enter the fit."""
        return tuple(m for m in self.measurements if _has_factor(m))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        points = [
            {"rhm": m.curves.rhm, "m": multiplicity(m.curves.rhm), "step_factor": m.step_factor.measured}
            for m in self.measurements
        ]
        return {
            "label": self.label, "protocol": self.protocol, "points": plain(points), "slope": plain(self.slope)
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Study:
    """What learning curves on one or several ensembles say. Made by `study`."""

    comparisons: tuple[Comparison, ...]
    ladders: tuple[Ladder, ...]

    def __str__(self) -> str:
        parts = [
            f"{title}\n{'=' * len(title)}\n{text(tables, notes)}" for title, tables, notes in study_tables(self)
        ]
        return "\n\n\n".join(parts)

    def _repr_html_(self) -> str:
        """Tables for notebooks."""
        return "".join(f"<h4>{title}</h4>{html(tables, notes)}" for title, tables, notes in study_tables(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        return {
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
            "ladders": [ladder.to_dict() for ladder in self.ladders],
        }

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Those of all comparisons."""
        return tuple(m for comparison in self.comparisons for m in comparison.measurements)

    @property
    def widest(self) -> float:
        """Widest interval of a step factor, in the logarithm; infinite where one has no two-sided interval."""
        widths = [m.step_factor.measured.width for m in self.measurements]
        return max((w if isfinite(w) else np.inf for w in widths), default=np.inf)

    if TYPE_CHECKING:
        figures = _study_figures
    else:
        figures = Forward("rhmtheory.plotting:study_figures")


def study(curves: Sequence[LearningCurves], *, seed: int = 0) -> Study:
    """Set learning curves against theory; raises `InputError` if there are none.

    ``seed`` is that of the draws within a curve's own noise.
    """
    comparisons = sorted(compare(curves, seed=seed), key=_order)
    groups: dict[Any, list[Measurement]] = {}
    for m in (m for comparison in comparisons for m in comparison.measurements):
        if m.curves.rhm.has_alike_levels and m.step_factor.judged:
            key = m.curves.name, m.curves.protocol, m.curves.rhm.s, m.curves.rhm.L, round(m.curves.rhm.f, 9)
            groups.setdefault(key, []).append(m)
    ladders = [
        ladder(group) for group in groups.values() if len({multiplicity(m.curves.rhm) for m in group}) >= _LADDER
    ]
    return Study(tuple(comparisons), tuple(ladders))


def _order(comparison: Comparison) -> tuple[Any, ...]:
    rhm = comparison.rhm
    return comparison.protocol, rhm.L, rhm.d, multiplicity(rhm), rhm.levels[0].f


def compare(curves: Sequence[LearningCurves], *, seed: int = 0) -> list[Comparison]:
    """Measure all curves, one `Comparison` per ensemble and protocol; raises `InputError` if there are none.

    Networks with weight sharing come first. ``seed`` is that of the draws within a curve's own noise.
    """
    if not curves:
        raise InputError("there is no finished run to compare: train some first")
    comparisons = []
    for rhm, protocol in dict.fromkeys((c.rhm, c.protocol) for c in curves):
        mine = sorted((c for c in curves if (c.rhm, c.protocol) == (rhm, protocol)), key=_law_first)
        found = tuple(measure(c, seed=seed) for c in mine)
        comparisons.append(Comparison(rhm, protocol, found, _first_ratio(found)))
    return comparisons


def _law_first(curves: LearningCurves) -> tuple[Any, ...]:
    """Order of networks in tables and figures: sharing first, what has no law last."""
    order = ("cnn", "lcn", "transformer")
    return order.index(curves.laws[0]) if curves.laws else len(order), curves.name


def _first_ratio(measurements: Sequence[Measurement]) -> Ratio | None:
    """Of the first network with sharing over the first without; none in a scan, where no curve is the network's."""
    found: dict[str, Measurement] = {}
    for m in measurements:
        if m.curves.laws and not m.curves.variant:
            found.setdefault(m.curves.laws[0], m)
    return exponent_ratio(found["cnn"], found["transformer"]) if {"cnn", "transformer"} <= set(found) else None


def exponent_ratio(first: Measurement, second: Measurement) -> Ratio:
    """The exponent of ``first`` over that of ``second``: two for a network with weight sharing over one without.

    The interval is Student's on jackknife pseudo-values of the logarithm. Where the networks share three grammars
    or more, these alone enter, as pairs; else it is Welch's. Grammars are the same where they are known by the same
    name and of one ensemble.
    """
    steps = tuple(k for k in first.steps if k in second.steps)
    one, two = ([m.units.names[i] for i in m.used] for m in (first, second))
    shared = [name for name in one if name in two] if _meet(first, second) else []
    paired = len(shared) >= 3
    names = (shared, shared) if paired else (one, two)
    data = []
    for m, mine in zip((first, second), names, strict=True):
        rows = [m.units.names.index(name) for name in mine]
        data.append((m.units.ln_P[rows], m.units.plateaus[rows]))

    def ln_exponent(i: int, which: IntArray) -> float:
        value = exponent_of(*data[i], steps, which)
        return log(value) if value > 0 else nan

    censored = first.step_factor.measured.at_least or second.step_factor.measured.at_least
    if censored or len(steps) < 2 or not all(names):
        measured = no_estimate(min(map(len, names)))
    else:
        best = ln_exponent(0, np.arange(len(names[0]))) - ln_exponent(1, np.arange(len(names[1])))
        if paired:
            values = pseudo_values(lambda which: ln_exponent(0, which) - ln_exponent(1, which), len(shared))
            measured = t_estimate([values], best=best).exp()
        else:
            both = [pseudo_values(lambda which, i=i: ln_exponent(i, which), len(names[i])) for i in (0, 1)]  # type: ignore[misc]
            measured = t_estimate(both, (1.0, -1.0), best=best).exp()
    laws = first.curves.laws[0], second.curves.laws[0]
    judged = []
    for name, method in METHODS.items():
        exponents = [nan, nan]
        if len(steps) > 1:  # else there may be no grammar, either
            for i, (m, law, (_, H)) in enumerate(zip((first, second), laws, data, strict=True)):
                ln_P = np.log(predicted_steps(m.curves.rhm, law, method))
                exponents[i] = exponent_of(ln_P[None], H.mean(axis=0)[None], steps, np.array([0]))
        predicted = exponents[0] / exponents[1] if exponents[1] else nan
        judged.append(Judged(f"{laws[0]} : {laws[1]}", name, predicted, verdict(measured, predicted)))
    return Ratio((first.curves.name, second.curves.name), steps, paired, Finding(measured, tuple(judged)))


def _meet(first: Measurement, second: Measurement) -> bool:
    """Whether a name stands for the same grammar in both."""
    grammars = all(m.curves.known and m.units.unit == "grammars" for m in (first, second))
    return grammars and first.curves.rhm == second.curves.rhm


def ladder(measurements: Sequence[Measurement]) -> Ladder:
    """Fit the slope of ln factor against ln m to ensembles of one network.

    Raises `InputError` for fewer than two different m.

    ``measurements`` are of one network on ensembles that differ in m.
    """
    points = sorted(measurements, key=lambda m: multiplicity(m.curves.rhm))
    if len({multiplicity(m.curves.rhm) for m in points}) < 2:
        raise InputError("a ladder needs ensembles with two or more different m: give their measurements")
    first = points[0]
    fitted = [m for m in points if _has_factor(m)]
    ln_m = [log(multiplicity(m.curves.rhm)) for m in fitted]
    if len(set(ln_m)) < 2:
        measured = no_estimate(0)
    else:
        values = [_ln_factors(m) for m in fitted]
        measured = t_estimate(values, line_coefficients(ln_m).tolist(), unit="grammars per m")
    judged = []
    for one in first.step_factor.judged:
        factors = [m.step_factor.against(one.method, one.law).predicted for m in fitted]
        predicted = slope(ln_m, np.log(factors))
        judged.append(Judged(one.law, one.method, predicted, verdict(measured, predicted)))
    return Ladder(first.curves.name, first.curves.protocol, tuple(points), Finding(measured, tuple(judged)))


def _has_factor(m: Measurement) -> bool:
    return not (m.step_factor.measured.at_least or isnan(m.step_factor.measured.best))


def _ln_factors(m: Measurement) -> Any:
    steps = list(m.steps)
    return np.array([slope(steps, m.units.ln_P[i, steps]) for i in m.used])
