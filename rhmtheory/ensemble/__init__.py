"""Averages over grammars: in closed form (correlations, marginals, loss plateaus), or over drawn ones."""

from rhmtheory.ensemble.correlations import (
    QuadraticForms,
    correlation_function,
    marginal_moments,
    quadratic_forms,
    rms_correlation,
    second_moment,
)
from rhmtheory.ensemble.loss_plateaus import plateaus
from rhmtheory.ensemble.quenched import (
    QuenchedAverage,
    quenched_correlations,
    quenched_grammar,
    quenched_plateaus,
    usual_plateaus,
)

__all__ = [
    "QuadraticForms",
    "QuenchedAverage",
    "correlation_function",
    "marginal_moments",
    "plateaus",
    "quadratic_forms",
    "quenched_correlations",
    "quenched_grammar",
    "quenched_plateaus",
    "rms_correlation",
    "second_moment",
    "usual_plateaus",
]
