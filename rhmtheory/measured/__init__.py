"""What samples show: counts of pairs, the clustering learner and its thresholds, corpora."""

from typing import TYPE_CHECKING

from rhmtheory._support.lazy import lazy

if TYPE_CHECKING:
    from rhmtheory.measured.clustering import ClusterModel, LevelScore, learn
    from rhmtheory.measured.corpus import CorpusStatistics, analyse_corpus
    from rhmtheory.measured.pairs import PairCounts, count_pairs, jackknife, last_token_pairs, tree_pairs
    from rhmtheory.measured.text import read_tokens
    from rhmtheory.measured.thresholds import Task, ThresholdStudy, measure_sample_complexity

__all__ = [
    "ClusterModel",
    "CorpusStatistics",
    "LevelScore",
    "PairCounts",
    "Task",
    "ThresholdStudy",
    "analyse_corpus",
    "count_pairs",
    "jackknife",
    "last_token_pairs",
    "learn",
    "measure_sample_complexity",
    "read_tokens",
    "tree_pairs",
]
__getattr__, __dir__ = lazy(
    __name__,
    {
        "clustering": ("ClusterModel", "LevelScore", "learn"),
        "corpus": ("CorpusStatistics", "analyse_corpus"),
        "text": ("read_tokens",),
        "pairs": ("PairCounts", "count_pairs", "jackknife", "last_token_pairs", "tree_pairs"),
        "thresholds": ("Task", "ThresholdStudy", "measure_sample_complexity"),
    },
)
