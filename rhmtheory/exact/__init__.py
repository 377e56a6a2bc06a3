"""Statistics of one grammar, exactly: covariances, entropies, and what observed tokens say about hidden ones."""

from typing import TYPE_CHECKING

from rhmtheory._support.lazy import lazy

if TYPE_CHECKING:
    from rhmtheory.exact.correlations import correlation_function, covariance
    from rhmtheory.exact.entropy import EntropyEstimate, next_token_entropies, plateaus, sequence_entropy, shannon
    from rhmtheory.exact.inference import next_token_posterior, posterior, posterior_sample

__all__ = [
    "EntropyEstimate",
    "correlation_function",
    "covariance",
    "next_token_entropies",
    "next_token_posterior",
    "plateaus",
    "posterior",
    "posterior_sample",
    "sequence_entropy",
    "shannon",
]
__getattr__, __dir__ = lazy(
    __name__,
    {
        "correlations": ("correlation_function", "covariance"),
        "entropy": ("EntropyEstimate", "next_token_entropies", "plateaus", "sequence_entropy", "shannon"),
        "inference": ("next_token_posterior", "posterior", "posterior_sample"),
    },
)
