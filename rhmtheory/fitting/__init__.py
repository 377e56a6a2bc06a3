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
    from rhmtheory.fitting.intervals import SlopeFit, bootstrap, resamples
    from rhmtheory.fitting.slopes import crossing, slope

__all__ = [
    "BrokenPowerLawFit",
    "ModelComparison",
    "PowerLawFit",
    "SlopeFit",
    "bootstrap",
    "broken_power_law",
    "collapse_quality",
    "compare_models",
    "crossing",
    "power_law",
    "resamples",
    "slope",
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
        "intervals": ("SlopeFit", "bootstrap", "resamples"),
        "slopes": ("crossing", "slope"),
    },
)
