"""Fits to curves and points, which know nothing of the model: slopes, crossings, power laws, intervals."""

from typing import TYPE_CHECKING

from rhmtheory._support.lazy import lazy

if TYPE_CHECKING:
    from rhmtheory.fitting.curves import (
        BrokenPowerLawFit,
        ModelComparison,
        PowerLawFit,
        broken_power_law,
        collapse_quality,
        compare_models,
        power_law,
    )
    from rhmtheory.fitting.intervals import (
        Estimate,
        SlopeFit,
        bootstrap,
        line_coefficients,
        pseudo_values,
        resamples,
        t_bounds,
        t_estimate,
    )
    from rhmtheory.fitting.levels import Crossings, crossing, crossings
    from rhmtheory.fitting.slopes import slope

__all__ = [
    "BrokenPowerLawFit",
    "Crossings",
    "Estimate",
    "ModelComparison",
    "PowerLawFit",
    "SlopeFit",
    "bootstrap",
    "broken_power_law",
    "collapse_quality",
    "compare_models",
    "crossing",
    "crossings",
    "line_coefficients",
    "power_law",
    "pseudo_values",
    "resamples",
    "slope",
    "t_bounds",
    "t_estimate",
]
__getattr__, __dir__ = lazy(
    __name__,
    {
        "curves": (
            "BrokenPowerLawFit",
            "ModelComparison",
            "PowerLawFit",
            "broken_power_law",
            "collapse_quality",
            "compare_models",
            "power_law",
        ),
        "levels": ("Crossings", "crossing", "crossings"),
        "intervals": (
            "Estimate",
            "SlopeFit",
            "bootstrap",
            "line_coefficients",
            "pseudo_values",
            "resamples",
            "t_bounds",
            "t_estimate",
        ),
        "slopes": ("slope",),
    },
)
