"""rhmtheory: how much data a network needs to learn a hierarchical language.

Exact statistics, predictions and measurements for the Random Hierarchy Model.

>>> import rhmtheory as rt
>>> rhm = rt.RHM(v=32, m=8, s=2, L=4)
"""

from typing import TYPE_CHECKING

from rhmtheory._support.checks import InputError
from rhmtheory._support.lazy import lazy
from rhmtheory.model.rhm import RHM, zipf

if TYPE_CHECKING:
    from rhmtheory import comparison as comparison
    from rhmtheory import ensemble as ensemble
    from rhmtheory import exact as exact
    from rhmtheory import fitting as fitting
    from rhmtheory import measured as measured
    from rhmtheory import model as model
    from rhmtheory import plotting as plotting
    from rhmtheory import theory as theory
    from rhmtheory.comparison.own import compare_curve
    from rhmtheory.ensemble import quenched as quenched
    from rhmtheory.exact.entropy import EntropyEstimate
    from rhmtheory.measured.clustering import learn
    from rhmtheory.measured.corpus import analyse_corpus
    from rhmtheory.measured.pairs import count_pairs
    from rhmtheory.measured.thresholds import measure_sample_complexity
    from rhmtheory.model.grammar import UNGRAMMATICAL, Grammar
    from rhmtheory.theory import symbolic as symbolic
    from rhmtheory.theory.learners import ARCHITECTURES
    from rhmtheory.theory.predictions import Prediction, predict

__all__ = [
    "ARCHITECTURES",
    "RHM",
    "UNGRAMMATICAL",
    "EntropyEstimate",
    "Grammar",
    "InputError",
    "Prediction",
    "analyse_corpus",
    "compare_curve",
    "count_pairs",
    "learn",
    "measure_sample_complexity",
    "predict",
    "zipf",
]
__version__ = "0.1.0"

# loaded on first use, so that a prediction at the command line does not wait for a compiler
__getattr__, _names = lazy(
    __name__,
    {
        "model": (),
        "model.grammar": ("UNGRAMMATICAL", "Grammar"),
        "exact": (),
        "exact.entropy": ("EntropyEstimate",),
        "ensemble": (),
        "ensemble.quenched": (),
        "fitting": (),
        "theory": (),
        "theory.learners": ("ARCHITECTURES",),
        "theory.predictions": ("Prediction", "predict"),
        "theory.symbolic": (),
        "measured": (),
        "measured.clustering": ("learn",),
        "measured.corpus": ("analyse_corpus",),
        "measured.pairs": ("count_pairs",),
        "measured.thresholds": ("measure_sample_complexity",),
        "comparison": (),
        "comparison.own": ("compare_curve",),
        "plotting": (),
    },
)


def __dir__() -> list[str]:
    return sorted({*__all__, *_names(), "__version__"})
