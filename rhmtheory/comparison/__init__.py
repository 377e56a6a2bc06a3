"""Measured learning curves, whoever measured them, held against theory: crossings, factors, exponents, verdicts."""

from typing import TYPE_CHECKING

from rhmtheory._support.lazy import lazy

if TYPE_CHECKING:
    from rhmtheory.comparison.curves import LearningCurves, UnitCrossings, step_levels
    from rhmtheory.comparison.measurement import Finding, Judged, Measurement, measure, step_curves, verdict
    from rhmtheory.comparison.own import CurveTable, compare_curve, grammars_of, read_curves
    from rhmtheory.comparison.studies import (
        Comparison,
        Ladder,
        Ratio,
        Study,
        compare,
        exponent_ratio,
        ladder,
        study,
    )

__all__ = [
    "Comparison",
    "CurveTable",
    "Finding",
    "Judged",
    "Ladder",
    "LearningCurves",
    "Measurement",
    "Ratio",
    "Study",
    "UnitCrossings",
    "compare",
    "compare_curve",
    "exponent_ratio",
    "grammars_of",
    "ladder",
    "measure",
    "read_curves",
    "step_curves",
    "step_levels",
    "study",
    "verdict",
]
__getattr__, __dir__ = lazy(
    __name__,
    {
        "curves": ("LearningCurves", "UnitCrossings", "step_levels"),
        "measurement": ("Finding", "Judged", "Measurement", "measure", "step_curves", "verdict"),
        "studies": ("Comparison", "Ladder", "Ratio", "Study", "compare", "exponent_ratio", "ladder", "study"),
        "own": ("CurveTable", "compare_curve", "grammars_of", "read_curves"),
    },
)
