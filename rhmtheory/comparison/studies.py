"""Networks beside one another: all of one ensemble, ratios of exponents, and ladders of ensembles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np

from rhmtheory.comparison._units import multiplicity
from rhmtheory.comparison.curves import LearningCurves, law_name
from rhmtheory.comparison.findings import METHODS, number
from rhmtheory.comparison.ladders import Ladder, ladder, ladder_tables
from rhmtheory.comparison.measurement import Measurement, measure, measurement_tables
from rhmtheory.comparison.ratios import Ratio, exponent_ratio
from rhmtheory.language.rhm import RHM
from rhmtheory.support.errors import InputError
from rhmtheory.support.json import plain
from rhmtheory.support.tables import Table, html, text
from rhmtheory.support.values import ByValue
from rhmtheory.theory.laws import as_law

_LADDER = 3
"""Values of m from which ensembles make a ladder by themselves."""


@dataclass(frozen=True, eq=False)
class Comparison(ByValue):
    """All networks of one ensemble and one protocol; a part of a `Study`.

    ``ratio`` is that of the first network with the CNN's law over the first with the transformer's; None where
    one of them is missing.
    """

    rhm: RHM
    protocol: str
    measurements: tuple[Measurement, ...]
    ratio: Ratio | None

    @property
    def title(self) -> str:
        """Ensemble and protocol."""
        return ", ".join(part for part in (str(self.rhm), self.protocol) if part)

    def tables(self) -> list[Table]:
        """Return those of the networks, and the ratio of two exponents."""
        return measurement_tables(self.measurements) + ([] if self.ratio is None else [self.ratio.table()])

    @property
    def notes(self) -> list[str]:
        """Those of its measurements, with the network's name."""
        return [f"{m.curves.name}: {note}" for m in self.measurements for note in m.notes]

    def __str__(self) -> str:
        return f"{self.title}\n\n{text(self.tables(), self.notes)}"

    def _repr_html_(self) -> str:
        """Tables for notebooks."""
        return html(self.tables(), self.notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        return {
            "rhm": plain(self.rhm),
            "protocol": self.protocol,
            "measurements": [m.to_dict() for m in self.measurements],
            "ratio": plain(self.ratio),
        }

    def plot(self, axes: Any = None) -> Any:
        """Draw curves and step factors: see `rhmtheory.plotting.plot_verdict`."""
        from rhmtheory.plotting import plot_verdict

        return plot_verdict(self.measurements, axes)


@dataclass(frozen=True, eq=False)
class Study(ByValue):
    """Networks on one or several ensembles, compared with theory and one another. Made by `study`."""

    comparisons: tuple[Comparison, ...]
    ladders: tuple[Ladder, ...]

    def __str__(self) -> str:
        parts = [f"{title}\n{'=' * len(title)}\n{text(tables, notes)}" for title, tables, notes in self._sections()]
        return "\n\n\n".join(parts)

    def _repr_html_(self) -> str:
        """Tables for notebooks."""
        return "".join(f"<h4>{title}</h4>{html(tables, notes)}" for title, tables, notes in self._sections())

    def _sections(self) -> list[tuple[str, list[Table], list[str]]]:
        """Titles, tables, notes: ladders first, then every ensemble."""
        out: list[tuple[str, list[Table], list[str]]] = []
        if self.ladders:
            out.append(("Factor against m", ladder_tables(self.ladders), []))
        if len(self.comparisons) > 1:
            out.append(("Exponents", _exponent_tables(self.measurements), []))
        return out + [(one.title, one.tables(), one.notes) for one in self.comparisons]

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

    def figures(self) -> dict[str, Any]:
        """Return all figures by name: see `rhmtheory.plotting.study_figures`."""
        from rhmtheory.plotting import study_figures

        return study_figures(self)


def study(curves: Sequence[LearningCurves], *, seed: int = 0) -> Study:
    """Set learning curves against theory, one `Comparison` per ensemble and protocol.

    Networks with weight sharing come first. Runs of one network at different batch or rate are different curves.

    Parameters
    ----------
    curves : sequence of LearningCurves
    seed : int
        Of the draws within a curve's own noise.

    Raises
    ------
    InputError
        If there are none.
    """
    if not curves:
        raise InputError("curves", rule="are none: there is no finished run to compare", way_out="train some first")
    comparisons = []
    told = _told_apart(curves)
    for rhm, protocol in dict.fromkeys((c.rhm, c.protocol) for c in told):
        mine = sorted((c for c in told if (c.rhm, c.protocol) == (rhm, protocol)), key=_law_first)
        found = tuple(measure(c, seed=seed) for c in mine)
        comparisons.append(Comparison(rhm, protocol, found, _first_ratio(found)))
    comparisons.sort(key=_order)
    groups: dict[Any, list[Measurement]] = {}
    for m in (m for comparison in comparisons for m in comparison.measurements):
        if m.curves.rhm.has_alike_levels and m.step_factor.judged:
            key = m.curves.name, m.curves.protocol, m.curves.rhm.s, m.curves.rhm.L, round(m.curves.rhm.f, 9)
            groups.setdefault(key, []).append(m)
    ladders = [
        ladder(group) for group in groups.values() if len({multiplicity(m.curves.rhm) for m in group}) >= _LADDER
    ]
    return Study(tuple(comparisons), tuple(ladders))


def _told_apart(curves: Sequence[LearningCurves]) -> list[LearningCurves]:
    """The curves, with batch and rate in the variant of those that differ from others of their network in it."""
    out = []
    for one in curves:
        others = [
            c
            for c in curves
            if (c.rhm, c.protocol, c.label, c.variant) == (one.rhm, one.protocol, one.label, one.variant)
        ]
        parts = [one.variant] if one.variant else []
        if one.batch is not None and len({c.batch for c in others}) > 1:
            parts.append(f"batch {one.batch}")
        if one.rate is not None and len({c.rate for c in others}) > 1:
            parts.append(f"rate {one.rate:g}")
        out.append(replace(one, variant=", ".join(parts)))
    return out


def _order(comparison: Comparison) -> tuple[Any, ...]:
    rhm = comparison.rhm
    return comparison.protocol, rhm.L, rhm.d, multiplicity(rhm), rhm.levels[0].f


def _law_first(curves: LearningCurves) -> tuple[Any, ...]:
    """Order of networks in tables and figures: sharing first, other laws, and what has no law last."""
    order = ["cnn", "lcn", "transformer"]
    own = law_name(curves.laws[0]) if curves.laws else None
    place = order.index(own) if own in order else len(order) + (own is None)
    return place, curves.label, curves.batch or 0, curves.rate or 0.0, curves.name


def _first_ratio(measurements: Sequence[Measurement]) -> Ratio | None:
    """Of the first network with sharing over the first without; none in a scan, where no curve is the network's."""
    found: dict[str, Measurement] = {}
    for m in measurements:
        if m.curves.laws and not m.curves.variant:
            found.setdefault(m.curves.law_names[0], m)
    return exponent_ratio(found["cnn"], found["transformer"]) if {"cnn", "transformer"} <= set(found) else None


def _exponent_tables(measurements: Sequence[Measurement]) -> list[Table]:
    """Measured and predicted exponents of each network over the ensembles, on its own law."""
    out = []
    for name in dict.fromkeys((m.curves.name, m.curves.protocol) for m in measurements):
        rows, counts = [], {"agrees": 0, "disagrees": 0}
        for m in measurements:
            if (m.curves.name, m.curves.protocol) != name or not m.curves.laws:
                continue
            rhm, own = m.curves.rhm, m.exponent
            many = number(as_law(m.curves.laws[0]).exponent(rhm)) if rhm.has_alike_levels else "-"
            judged = [own.against(method) for method in METHODS]
            rows.append(
                (
                    _short_name(rhm), str(own.measured), many, *(number(one.predicted) for one in judged),
                    *(_brief(one.verdict, one.percent) for one in judged),
                )
            )  # fmt: skip
            for kind in counts:
                counts[kind] += judged[-1].verdict.startswith(kind)
        title = (
            f"{', '.join(filter(None, name))}: exponent measured, and predicted for many levels / on these steps"
        )
        columns = ("v, m, s, L", "measured [95%]", "many", "publ.", "finite", "publ.", "finite")
        agree, disagree = counts["agrees"], counts["disagrees"]
        below = f"Of {len(rows)} ensembles {agree} agree with the finite-size law and {disagree} disagree."
        out.append(Table(title, columns, tuple(rows), below))
    return out


def _brief(verdict: str, percent: float) -> str:
    """``yes``, ``no`` or ``?`` with the deviation."""
    sign = {"agrees": "yes", "disagrees": "no"}.get(verdict.split(", ")[0], "?")
    return f"{sign} {percent:+.0f}%" if isfinite(percent) and abs(percent) < 1e4 else sign


def _short_name(rhm: RHM) -> str:
    """``v, m, s, L``, and by name what else tells the ensemble from others."""
    v, m, s, L, *rest = (f"{name} {value}" for name, value in rhm.short_parameters().items())
    return ", ".join([*(part.split(" ", 1)[1] for part in (v, m, s, L)), *rest])
