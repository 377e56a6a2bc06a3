"""Step factors of one network on ensembles that differ in m."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan, log, nan, sqrt
from typing import Any

import numpy as np
from scipy.special import stdtrit

from rhmtheory.comparison._estimates import combined_variance, slope_weights
from rhmtheory.comparison._units import HEIGHTS, multiplicity
from rhmtheory.comparison.findings import Finding, finding_table, judge
from rhmtheory.comparison.measurement import Measurement
from rhmtheory.fitting.intervals import Estimate, line_coefficients, no_estimate, t_estimate
from rhmtheory.fitting.slopes import LineFit, line_fit, slope
from rhmtheory.support.errors import InputError
from rhmtheory.support.json import plain
from rhmtheory.support.tables import Table, text
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue


@dataclass(frozen=True, eq=False)
class Ladder(ByValue):
    """Step factors of one network on ensembles that differ in m. Made by `ladder`.

    Attributes
    ----------
    label, protocol : str
    measurements : tuple of Measurement
        By rising m. Those whose factor is only a lower bound enter no fit.
    slope : Finding
        Slope of ln factor against ln m: one with weight sharing, two without, for large v; beside it the slope of
        the finite-size factors. Every ensemble counts the same (see `fitting.line_coefficients`). Where the
        points lie on no line, the interval is widened to the scatter about it.
    line : LineFit
        Whether the points lie on a line, and the slope from each to the next.
    heights : tuple of float
        The slope where crossings are taken at a quarter and at three quarters of each step.
    """

    label: str
    protocol: str
    measurements: tuple[Measurement, ...]
    slope: Finding
    line: LineFit
    heights: tuple[float, ...]

    @property
    def fitted(self) -> tuple[Measurement, ...]:
        """Those that enter the fit."""
        return tuple(m for m in self.measurements if _has_factor(m))

    @property
    def kind(self) -> str:
        """The ensembles and the protocol in words."""
        rhm = self.measurements[0].curves.rhm
        return ", ".join(part for part in (f"f = {rhm.f:g}, s = {rhm.s}, L = {rhm.L}", self.protocol) if part)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        points = [
            {"rhm": m.curves.rhm, "m": multiplicity(m.curves.rhm), "step_factor": m.step_factor.measured}
            for m in self.measurements
        ]
        parts = {"slope": self.slope, "line": self.line, "heights": self.heights}
        return {"label": self.label, "protocol": self.protocol, "points": plain(points), **plain(parts)}

    def __str__(self) -> str:
        return text(ladder_tables([self]))

    def plot(self, ax: Any = None) -> Any:
        """Draw step factors against m: see `rhmtheory.plotting.plot_ladders`."""
        from rhmtheory.plotting import plot_ladders

        return plot_ladders([self], ax)


def ladder(measurements: Sequence[Measurement]) -> Ladder:
    """Fit the slope of ln factor against ln m to ``measurements`` of one network on ensembles that differ in m.

    Raises `InputError` for fewer than two different m.
    """
    points = sorted(measurements, key=lambda m: multiplicity(m.curves.rhm))
    if len({multiplicity(m.curves.rhm) for m in points}) < 2:
        rule = "are of fewer than two different m"
        raise InputError("measurements", rule=rule, way_out="give those of ensembles with two or more different m")
    first = points[0]
    fitted = [m for m in points if _has_factor(m)]
    ln_m = [log(multiplicity(m.curves.rhm)) for m in fitted]
    line, heights = LineFit(nan, 0, nan, ()), (nan,) * len(HEIGHTS)
    if len(set(ln_m)) < 2:
        measured = no_estimate(0)
    else:
        values, brackets = [_ln_factors(m) for m in fitted], np.array([_bracket_variance(m) for m in fitted])
        weights = line_coefficients(ln_m)
        line = line_fit(ln_m, values, brackets)
        measured = t_estimate(values, weights.tolist(), unit="grammars per m", known=float(weights**2 @ brackets))
        measured = _widened(measured, ln_m, values, line)
        heights = tuple(slope(ln_m, np.log([m.heights[i] for m in fitted])) for i in range(len(HEIGHTS)))
    judged = []
    for one in first.step_factor.judged:
        factors = [m.step_factor.against(one.method, one.law).predicted for m in fitted]
        judged.append(judge(measured, one.law, one.method, slope(ln_m, np.log(factors))))
    finding = Finding(measured, tuple(judged))
    return Ladder(first.curves.name, first.curves.protocol, tuple(points), finding, line, heights)


def ladder_tables(ladders: Sequence[Ladder]) -> list[Table]:
    """Factors against m, and the slope of ln factor against ln m, for each kind of ensemble."""
    groups: dict[str, list[Ladder]] = {}
    for one in ladders:
        groups.setdefault(one.kind, []).append(one)
    out = []
    for name, members in groups.items():
        ms = sorted({multiplicity(m.curves.rhm) for one in members for m in one.measurements})
        rows = []
        for one in members:
            cells = {multiplicity(m.curves.rhm): m.step_factor.measured for m in one.measurements}
            rows.append((one.label, *(str(cells.get(m, "")) for m in ms)))
        out += _split(f"step factor against m, {name} [95%]", ("network", *(f"m = {m:g}" for m in ms)), rows)
        over = ", ".join(f"{one.label} {_range(one)}" for one in members)
        title = f"slope of ln factor against ln m, {name}: 1 with weight sharing, 2 without ({over})"
        table = finding_table(title, [(one.label, one.slope) for one in members])
        out.append(replace(table, summary=" ".join([table.summary, *map(_line, members)])))
    return out


def _line(one: Ladder) -> str:
    """One sentence on whether the points lie on a line, and on what the height of the crossings changes."""
    low, high = one.heights
    over = "" if isnan(low * high) else f"; at a quarter and three quarters of the steps {low:.2g} and {high:.2g}"
    return f"{one.label}, {one.line}{over}."


def _widened(measured: Estimate, ln_m: Sequence[float], values: Sequence[FloatArray], line: LineFit) -> Estimate:
    """The interval that the scatter of the points about their line makes, where they lie on none."""
    if line.is_line or isnan(measured.low):
        return measured
    x, y = np.array(ln_m), np.array([sample.mean() for sample in values])
    residual = y - y.mean() - measured.best * (x - x.mean())
    spread = sqrt(residual @ residual / line.freedom / ((x - x.mean()) ** 2).sum())
    half = float(stdtrit(line.freedom, (1 + measured.confidence) / 2)) * spread
    half = max(half, measured.high - measured.best)
    return replace(measured, low=measured.best - half, high=measured.best + half, kind="scatter about the line")


def _has_factor(m: Measurement) -> bool:
    return not (m.step_factor.measured.is_bound or isnan(m.step_factor.measured.best))


def _ln_factors(m: Measurement) -> FloatArray:
    steps = list(m.steps)
    return np.array([slope(steps, m.units.ln_P[i, steps]) for i in m.used])


def _bracket_variance(m: Measurement) -> float:
    return combined_variance(m.units, list(m.used), slope_weights(m.steps, m.curves.rhm.L))


def _split(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[Table]:
    """A table in parts of three columns beside the first, which fit a terminal."""
    parts = [range(i, min(i + 3, len(columns))) for i in range(1, len(columns), 3)]
    out = []
    for part in parts:
        cells = tuple((row[0], *(row[i] for i in part)) for row in rows if any(row[i] for i in part))
        out.append(Table(title, (columns[0], *(columns[i] for i in part)), cells))
    return out


def _range(one: Ladder) -> str:
    """The m that enter the fit."""
    ms = [f"{multiplicity(m.curves.rhm):g}" for m in one.fitted]
    return f"m = {ms[0]} to {ms[-1]}" if ms else "no m"
