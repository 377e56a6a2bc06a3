"""What follows for a learner: sample complexities, staircases and exponents, in numbers and as formulas."""

from typing import TYPE_CHECKING

from rhmtheory._support.lazy import lazy

if TYPE_CHECKING:
    from rhmtheory.theory.predictions import (
        ARCHITECTURES,
        Prediction,
        classification_complexity,
        corpus_exponent,
        correlation_exponent,
        crossing_levels,
        effective_range,
        entropy_exponent,
        exponent,
        first_step,
        latent_prediction_complexity,
        predict,
        sample_complexity,
        staircase_exponent,
        step_factor,
    )

__all__ = [
    "ARCHITECTURES",
    "Prediction",
    "classification_complexity",
    "corpus_exponent",
    "correlation_exponent",
    "crossing_levels",
    "effective_range",
    "entropy_exponent",
    "exponent",
    "first_step",
    "latent_prediction_complexity",
    "predict",
    "sample_complexity",
    "staircase_exponent",
    "step_factor",
]
__getattr__, __dir__ = lazy(
    __name__,
    {
        "predictions": __all__,
        # its names are those of the other modules, for sympy's numbers: theory.symbolic.second_moment(...)
        "symbolic": (),
    },
)
