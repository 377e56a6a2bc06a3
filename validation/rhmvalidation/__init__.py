"""rhmvalidation: networks trained on the Random Hierarchy Model, set against the theory.

>>> import rhmvalidation as rv
"""

from typing import TYPE_CHECKING

from rhmtheory._support.lazy import lazy

if TYPE_CHECKING:
    from rhmvalidation import networks as networks
    from rhmvalidation import probes as probes
    from rhmvalidation.evaluation import Evaluation, evaluate
    from rhmvalidation.job import run
    from rhmvalidation.probes import linear_probes, sensitivity
    from rhmvalidation.reports import Report, report
    from rhmvalidation.runs import Settings
    from rhmvalidation.sentences import Sentences, SentenceStream
    from rhmvalidation.training import Trained, train

__all__ = [
    "Evaluation",
    "Report",
    "SentenceStream",
    "Sentences",
    "Settings",
    "Trained",
    "evaluate",
    "linear_probes",
    "networks",
    "probes",
    "report",
    "run",
    "sensitivity",
    "train",
]
# torch is loaded on first use
__getattr__, __dir__ = lazy(
    __name__,
    {
        "networks": (),
        "runs": ("Settings",),
        "sentences": ("SentenceStream", "Sentences"),
        "evaluation": ("Evaluation", "evaluate"),
        "training": ("Trained", "train"),
        "probes": ("linear_probes", "sensitivity"),
        "job": ("run",),
        "reports": ("Report", "report"),
    },
)
