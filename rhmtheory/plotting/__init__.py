"""Figures. Every function draws into the axes it is given and returns them; none shows or saves anything."""

from typing import TYPE_CHECKING

from rhmtheory._support.lazy import lazy

if TYPE_CHECKING:
    from rhmtheory.plotting.clocks import clock_pairs, plot_clocks
    from rhmtheory.plotting.languages import (
        plot_correlations,
        plot_derivation,
        plot_plateau_methods,
        plot_plateaus,
        plot_prediction,
        plot_predictions,
        plot_tree,
    )
    from rhmtheory.plotting.samples import plot_corpus, plot_thresholds
    from rhmtheory.plotting.style import STYLES, Style, new_figure, save_figure, styles
    from rhmtheory.plotting.verdicts import (
        plot_collapse,
        plot_context,
        plot_crossings,
        plot_curves,
        plot_exponents,
        plot_ladders,
        plot_measurement,
        plot_verdict,
        study_figures,
    )

__all__ = [
    "STYLES",
    "Style",
    "clock_pairs",
    "new_figure",
    "plot_clocks",
    "plot_collapse",
    "plot_context",
    "plot_corpus",
    "plot_correlations",
    "plot_crossings",
    "plot_curves",
    "plot_derivation",
    "plot_exponents",
    "plot_ladders",
    "plot_measurement",
    "plot_plateau_methods",
    "plot_plateaus",
    "plot_prediction",
    "plot_predictions",
    "plot_thresholds",
    "plot_tree",
    "plot_verdict",
    "save_figure",
    "study_figures",
    "styles",
]
__getattr__, __dir__ = lazy(
    __name__,
    {
        "style": ("STYLES", "Style", "new_figure", "save_figure", "styles"),
        "clocks": ("clock_pairs", "plot_clocks"),
        "languages": (
            "plot_correlations",
            "plot_derivation",
            "plot_plateau_methods",
            "plot_plateaus",
            "plot_prediction",
            "plot_predictions",
            "plot_tree",
        ),
        "samples": ("plot_corpus", "plot_thresholds"),
        "verdicts": (
            "plot_collapse",
            "plot_context",
            "plot_crossings",
            "plot_curves",
            "plot_exponents",
            "plot_ladders",
            "plot_measurement",
            "plot_verdict",
            "study_figures",
        ),
    },
)
