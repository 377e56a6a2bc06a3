"""What comparisons say, as narrow tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rhmtheory.comparison.curves import multiplicity
from rhmtheory.support.tables import Table
from rhmtheory.theory.laws import as_law

if TYPE_CHECKING:
    from rhmtheory.comparison.measurement import Finding, Measurement
    from rhmtheory.comparison.studies import Comparison, Ladder, Study
    from rhmtheory.language.rhm import RHM


def measurement_tables(measurements: Sequence[Measurement]) -> list[Table]:
    """Crossings, factors, exponents and verdicts of networks on one ensemble."""
    rhm = measurements[0].curves.rhm
    factors = [(m.curves.name, m.step_factor) for m in measurements]
    exponents = [(m.curves.name, m.exponent) for m in measurements]
    return [
        _crossings(measurements),
        Table("step factor P*_(k+1) / P*_k over the steps in the fit", _FINDING, _finding_rows(factors)),
        Table(
            f"exponent of the excess loss, fitted on the same steps ({_many_levels(rhm)})",
            _FINDING,
            _finding_rows(exponents),
        ),
    ]


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Those of the networks, and the ratio of two exponents."""
    tables = measurement_tables(comparison.measurements)
    if (ratio := comparison.ratio) is not None:
        how = "the same grammars, in pairs" if ratio.paired else "different grammars"
        title = f"exponent of {ratio.labels[0]} over that of {ratio.labels[1]}, {_list(ratio.steps)}, {how}"
        tables.append(Table(title, _FINDING, _finding_rows([("ratio", ratio.finding)])))
    return tables


def ladder_tables(ladders: Sequence[Ladder]) -> list[Table]:
    """Factors against m, and the slope of ln factor against ln m, for each kind of ensemble."""
    groups: dict[str, list[Ladder]] = {}
    for one in ladders:
        groups.setdefault(_ladder_name(one), []).append(one)
    out = []
    for name, members in groups.items():
        ms = sorted({multiplicity(m.curves.rhm) for one in members for m in one.measurements})
        rows = []
        for one in members:
            cells = {multiplicity(m.curves.rhm): m.step_factor.measured for m in one.measurements}
            rows.append((one.label, *(str(cells.get(m, "")) for m in ms)))
        out += _split(f"step factor against m, {name} [95%]", ("network", *(f"m = {m:g}" for m in ms)), rows)
        slopes = [(one.label, one.slope) for one in members]
        over = ", ".join(f"{one.label} {_range(one)}" for one in members)
        title = f"slope of ln factor against ln m, {name}: 1 with weight sharing, 2 without ({over})"
        out.append(Table(title, _FINDING, _finding_rows(slopes)))
    return out


def exponent_tables(measurements: Sequence[Measurement]) -> list[Table]:
    """Measured and predicted exponents of each network over the ensembles, on its own law."""
    out = []
    for name in dict.fromkeys((m.curves.name, m.curves.protocol) for m in measurements):
        rows = []
        for m in measurements:
            if (m.curves.name, m.curves.protocol) != name or not m.curves.laws:
                continue
            rhm, own = m.curves.rhm, m.exponent
            many = _number(as_law(m.curves.laws[0]).exponent(rhm)) if rhm.has_alike_levels else "-"
            predicted = [_number(own.against(method).predicted) for method in ("published", "exact")]
            rows.append(
                (
                    _short_name(rhm),
                    str(own.measured),
                    many,
                    *predicted,
                    *(own.against(x).verdict for x in ("published", "exact")),
                )
            )
        title = (
            f"{', '.join(filter(None, name))}: exponent measured, and predicted for many levels / on these steps"
        )
        out.append(
            Table(title, ("v, m, s, L", "measured [95%]", "many", "publ.", "exact", "publ.", "exact"), tuple(rows))
        )
    return out


def study_tables(study: Study) -> list[tuple[str, list[Table], list[str]]]:
    """Sections (title, tables, notes): ladders first, then every ensemble."""
    out: list[tuple[str, list[Table], list[str]]] = []
    if study.ladders:
        out.append(("Factor against m", ladder_tables(study.ladders), []))
    if len(study.comparisons) > 1:
        out.append(("Exponents", exponent_tables(study.measurements), []))
    for comparison in study.comparisons:
        names = ", ".join(part for part in (str(comparison.rhm), comparison.protocol) if part)
        notes = [f"{m.curves.name}: {note}" for m in comparison.measurements for note in m.notes]
        out.append((names, comparison_tables(comparison), notes))
    return out


_FINDING = ("network", "measured [95%]", "prediction", "predicted", "verdict")


def _finding_rows(rows: Sequence[tuple[str, Finding]]) -> tuple[tuple[str, ...], ...]:
    """One row per prediction: law, whether by the published formulas or by the exact second moment, verdict."""
    out: list[tuple[str, ...]] = []
    for name, finding in rows:
        start = (name, str(finding.measured))
        for one in finding.judged:
            out.append((*start, f"{one.law}, {one.method}", _number(one.predicted), one.verdict.split(", ")[0]))
            start = ("", "")
        if not finding.judged:
            out.append((*start, "no law", "-", "-"))
    return tuple(out)


def _crossings(measurements: Sequence[Measurement]) -> Table:
    heads = tuple(f"P*_{k}" for k in range(measurements[0].curves.rhm.L))
    rows = []
    for m in measurements:
        cells = [f">= {_number(P.best)}" if P.at_least else _number(P.best) for P in m.crossings]
        rows.append(
            (m.curves.name, f"{len(m.units.names)} {m.units.unit}", *cells, _list(m.steps).removeprefix("steps "))
        )
    title = "samples P*_k at which the loss crosses sqrt(H_k H_(k+1)), geometric mean"
    return Table(title, ("network", "of", *heads, "in fit"), tuple(rows))


def _split(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[Table]:
    """A table in parts of three columns beside the first, which fit a terminal."""
    parts = [range(i, min(i + 3, len(columns))) for i in range(1, len(columns), 3)]
    out = []
    for part in parts:
        cells = tuple((row[0], *(row[i] for i in part)) for row in rows if any(row[i] for i in part))
        out.append(Table(title, (columns[0], *(columns[i] for i in part)), cells))
    return out


def _list(steps: Sequence[int]) -> str:
    return f"steps {', '.join(map(str, steps)) or 'none'}"


def _short_name(rhm: RHM) -> str:
    """``v, m, s, L``, and by name what else tells the ensemble from others."""
    v, m, s, L, *rest = (f"{name} {value}" for name, value in rhm.short_parameters().items())
    return ", ".join([*(part.split(" ", 1)[1] for part in (v, m, s, L)), *rest])


def _range(one: Ladder) -> str:
    """The m that enter the fit."""
    ms = [f"{multiplicity(m.curves.rhm):g}" for m in one.fitted]
    return f"m = {ms[0]} to {ms[-1]}" if ms else "no m"


def _ladder_name(one: Ladder) -> str:
    rhm = one.measurements[0].curves.rhm
    return ", ".join(part for part in (f"f = {rhm.f:g}, s = {rhm.s}, L = {rhm.L}", one.protocol) if part)


def _many_levels(rhm: RHM) -> str:
    if not rhm.has_alike_levels:
        return "levels differ"
    cnn, transformer = (as_law(name).exponent(rhm) for name in ("cnn", "transformer"))
    return f"for many levels: cnn {cnn:.3g}, transformer {transformer:.3g}"


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.3g}" if value < 1000 else f"{value:.2e}".replace("e+0", "e")
