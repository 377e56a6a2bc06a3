"""rhmtheory: how much data a network needs to learn a hierarchical language.

Exact statistics, predictions and measurements for the Random Hierarchy Model.

>>> import rhmtheory as rt
>>> rhm = rt.RHM(v=32, m=8, s=2, L=4)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rhmtheory._checks import InputError
from rhmtheory.rhm import RHM, zipf

if TYPE_CHECKING:
    from rhmtheory.complexity import measure_sample_complexity
    from rhmtheory.corpus import analyse_corpus
    from rhmtheory.entropy import EntropyEstimate
    from rhmtheory.estimators import count_pairs
    from rhmtheory.grammar import UNGRAMMATICAL, Grammar
    from rhmtheory.learner import learn
    from rhmtheory.predictions import ARCHITECTURES, Prediction, predict

# Loaded on first use, so that a prediction at the command line does not wait for a compiler.
_LAZY = {
    "ARCHITECTURES": "predictions",
    "Prediction": "predictions",
    "predict": "predictions",
    "Grammar": "grammar",
    "UNGRAMMATICAL": "grammar",
    "EntropyEstimate": "entropy",
    "analyse_corpus": "corpus",
    "count_pairs": "estimators",
    "learn": "learner",
    "measure_sample_complexity": "complexity",
}

__all__ = [
    "ARCHITECTURES",
    "RHM",
    "UNGRAMMATICAL",
    "EntropyEstimate",
    "Grammar",
    "InputError",
    "Prediction",
    "analyse_corpus",
    "count_pairs",
    "learn",
    "measure_sample_complexity",
    "predict",
    "zipf",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
