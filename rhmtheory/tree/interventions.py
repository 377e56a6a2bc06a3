"""Interventions on derivations: another symbol at a node, or the same symbol by another rule (a synonym).

They show what a layer of a network represents: the symbol of a node, however it is written, or every change of the
tokens (arXiv:2307.02129, arXiv:2505.07070). `Trees` offers them as methods.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rhmtheory.support.checks import smallest_unsigned
from rhmtheory.support.draws import draw_outcomes
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.tree.tables import Tables


def other_symbols(
    tables: Tables, levels: Sequence[IntArray], level: int, node: int, rng: np.random.Generator
) -> list[IntArray]:
    """Copies of the symbols (..., width) of all levels, with other symbols at one node and new subtrees below."""
    count = tables.shape.n_symbols(level)
    if count < 2:
        raise InputError(f"level {level}", rule="has one symbol", way_out="there is no other to put in its place")
    out = _copied(tables, levels)
    here = out[level][..., node]
    out[level][..., node] = (here.astype(np.int64) + rng.integers(1, count, here.shape)) % count
    if level:
        _write_below(tables, out, level, node, _draw_rules(tables, level, out[level][..., node], rng), rng)
    return out


def other_rules(
    tables: Tables,
    levels: Sequence[IntArray],
    level: int,
    node: int,
    rng: np.random.Generator,
    used: IntArray,
) -> list[IntArray]:
    """Copies of the symbols (..., width) of all levels, one node written by another rule than ``used`` (...)."""
    if tables.shape.n_rules(level) < 2:
        way_out = "there is no synonym to put in its place"
        raise InputError(f"a symbol of level {level}", rule="has one rule (m=1)", way_out=way_out)
    out = _copied(tables, levels)
    rules = _draw_rules(tables, level, out[level][..., node], rng, without=used)
    _write_below(tables, out, level, node, rules, rng)
    return out


def _copied(tables: Tables, levels: Sequence[IntArray]) -> list[IntArray]:
    """Copies that hold any symbol of their level."""
    symbols = [tables.shape.n_symbols(level) for level in range(len(levels))]
    return [
        np.array(x, np.promote_types(x.dtype, smallest_unsigned(v))) for x, v in zip(levels, symbols, strict=True)
    ]


def _draw_rules(
    tables: Tables,
    level: int,
    symbols: IntArray,
    rng: np.random.Generator,
    without: IntArray | None = None,
) -> IntArray:
    """A rule for each symbol (...), by its probabilities, and not the one of ``without``."""
    p: FloatArray = tables.rule_probabilities(level)[symbols]  # (..., m)
    if without is not None:
        p = p * (np.arange(p.shape[-1]) != without[..., None])
        if not p.sum(axis=-1).all():
            rule = "has one rule of positive probability"
            raise InputError(f"a symbol of level {level}", rule=rule, way_out="it has no synonym")
    return draw_outcomes(p, rng)


def _write_below(
    tables: Tables, levels: list[IntArray], level: int, node: int, rules: IntArray, rng: np.random.Generator
) -> None:
    """Write the subtree of a node into the levels: its children by these rules (...), the rest drawn anew."""
    below = tables.rules(level)[levels[level][..., node], rules]  # (..., s)
    for lower in range(level - 1, -1, -1):
        first = node * tables.shape.span(level) // tables.shape.span(lower)
        levels[lower][..., first : first + below.shape[-1]] = below
        if lower:
            chosen = _draw_rules(tables, lower, below, rng)
            below = tables.rules(lower)[below, chosen].reshape(*below.shape[:-1], -1)
