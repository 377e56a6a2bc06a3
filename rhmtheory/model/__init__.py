"""What the language is: the ensemble (`RHM`), one draw of it (`Grammar`), and its sentences."""

from typing import TYPE_CHECKING

from rhmtheory._support.lazy import lazy

if TYPE_CHECKING:
    from rhmtheory.model.derivation import Derivation, draw
    from rhmtheory.model.grammar import UNGRAMMATICAL, Grammar
    from rhmtheory.model.interventions import (
        Intervention,
        paired_sentences,
        redraw_rule,
        redraw_symbol,
        rules_used,
    )
    from rhmtheory.model.rhm import RHM, zipf
    from rhmtheory.model.sampling import sample, stream

__all__ = [
    "RHM",
    "UNGRAMMATICAL",
    "Derivation",
    "Grammar",
    "Intervention",
    "draw",
    "paired_sentences",
    "redraw_rule",
    "redraw_symbol",
    "rules_used",
    "sample",
    "stream",
    "zipf",
]
__getattr__, __dir__ = lazy(
    __name__,
    {
        "rhm": ("RHM", "zipf"),
        "grammar": ("UNGRAMMATICAL", "Grammar"),
        "sampling": ("sample", "stream"),
        "derivation": ("Derivation", "draw"),
        "interventions": ("Intervention", "paired_sentences", "redraw_rule", "redraw_symbol", "rules_used"),
    },
)
