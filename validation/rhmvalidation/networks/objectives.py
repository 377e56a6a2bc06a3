"""What a network is asked for: the objectives, and what each lets it see and makes it give."""

from __future__ import annotations

from rhmtheory.tree import Shape

OBJECTIVES = ("last", "all", "class", "masked", "denoise")
"""Last token, all tokens from those before them, root symbol, hidden tokens, noisy tokens."""
WHOLE = ("class", "masked", "denoise")
"""Those whose networks see the whole sentence; id ``v`` stands for a hidden token."""
EVERY_TOKEN = ("masked", "denoise")
"""Those of WHOLE for which attention gives logits of every token."""
NEEDS = {
    "last": "predicts the last token",
    "all": "predicts every token",
    "class": "reads the whole sentence",
    "masked": "predicts hidden tokens",
    "denoise": "gives logits of every token of a whole sentence",
}
"""How an error says what a network lacks."""


def outputs_of(shape: Shape, objective: str) -> int:
    """Return the number of logits of one prediction: classes, or tokens."""
    return shape.n_symbols(shape.L if objective == "class" else 0)


def alike(objective: str, other: str) -> bool:
    """Return whether the same network serves two objectives."""
    return objective == other or not {objective, other} & set(WHOLE)
