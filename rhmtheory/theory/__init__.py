"""What follows for a learner: sample complexities, staircases and exponents, in numbers and as formulas."""

from typing import TYPE_CHECKING

from rhmtheory._support.lazy import lazy

if TYPE_CHECKING:
    from rhmtheory.theory.learners import ARCHITECTURES, Law
    from rhmtheory.theory.predictions import (
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
    "Law",
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
        "learners": ("ARCHITECTURES", "Law"),
        "predictions": [name for name in __all__ if name not in ("ARCHITECTURES", "Law")],
        "formulas": (),
        # its names are those of the other modules, for sympy's numbers: theory.symbolic.second_moment(...)
        "symbolic": (),
    },
)
