"""Interventions on derivations: another symbol at a node, or the same symbol by another rule (a synonym).

What a layer of a network represents shows in what moves it: the symbol of a node, however it is written, or every
change of the tokens (arXiv:2307.02129, arXiv:2505.07070).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rhmtheory.language.grammar import Grammar
from rhmtheory.support.checks import as_choice, as_generator, as_int, as_integers
from rhmtheory.support.draws import draw_outcomes
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Intervention:
    """Sentences before and after one node was redrawn. Made by `paired_sentences`.

    ``before`` and ``after`` are lists over levels 0..L, of arrays of shape (n, width of the level).
    """

    level: int
    node: int
    before: list[IntArray]
    after: list[IntArray]

    @property
    def tokens(self) -> tuple[IntArray, IntArray]:
        """The sentences, shape (n, d) each."""
        return self.before[0], self.after[0]


def paired_sentences(
    grammar: Grammar,
    n: int,
    level: int,
    node: int,
    redraw: str = "symbol",
    seed: int | np.random.Generator = 0,
) -> Intervention:
    """Draw sentences, and the same with the symbol of one node redrawn, or only its rule.

    Parameters
    ----------
    grammar : Grammar
    n : int
        Number of pairs.
    level, node : int
        The node: level 0 for a token, and its position from the left, from the right if negative.
    redraw : {"symbol", "rule"}
        See `redraw_symbol` and `redraw_rule`.
    seed : int or numpy.random.Generator

    Raises
    ------
    InputError
        For a node that does not exist, and as in `redraw_symbol` and `redraw_rule`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> grammar = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> before, after = paired_sentences(grammar, 1000, level=1, node=-1, redraw="rule").tokens
    >>> (before != after).any(axis=0)
    array([False, False, False, False, False, False,  True,  True])
    """
    rng = as_generator(seed)
    change = redraw_symbol if as_choice("redraw", redraw, ("symbol", "rule")) == "symbol" else redraw_rule
    before = grammar.sample(n, rng, trees=True)
    return Intervention(level, node, before, change(grammar, before, level, node, rng))


def redraw_symbol(
    grammar: Grammar, trees: Sequence[IntArray], level: int, node: int, seed: int | np.random.Generator = 0
) -> list[IntArray]:
    """Replace the symbol of a node by another one, all others equally likely, and draw a new subtree below.

    What is not below the node stays, so that the sentence as a whole need not be grammatical any more.

    Parameters
    ----------
    grammar : Grammar
    trees : sequence of L + 1 arrays, shape (n, width of the level)
        As `Grammar.sample` gives them with ``trees=True``; they are left as they are.
    level, node : int
        Level 0..L, and the position of the node from the left, from the right if negative.
    seed : int or numpy.random.Generator

    Returns
    -------
    list of L + 1 arrays, as ``trees``

    Raises
    ------
    InputError
        For a node that does not exist, a level of one symbol, and trees that hold other than the symbols of as many
        sentences on each level.
    """
    level, node = _node(grammar, level, node)
    out = _own(grammar, trees)
    count = grammar.rhm.n_symbols(level)
    if count < 2:
        raise InputError(f"level {level} has one symbol: there is no other to put in its place")
    rng = as_generator(seed)
    here = out[level][:, node]
    out[level][:, node] = (here.astype(np.int64) + rng.integers(1, count, len(here))) % count
    if level:
        _write_below(grammar, out, level, node, _draw_rules(grammar, level, out[level][:, node], rng), rng)
    return out


def redraw_rule(
    grammar: Grammar, trees: Sequence[IntArray], level: int, node: int, seed: int | np.random.Generator = 0
) -> list[IntArray]:
    """Keep the symbol of a node and write it by another of its rules: a synonym, with new subtrees below.

    The other rules are drawn with their probabilities, given that it is not the one that was used. The sentence
    stays grammatical.

    Parameters
    ----------
    grammar, trees
        As in `redraw_symbol`.
    level, node : int
        Level 1..L, and the position of the node from the left, from the right if negative.
    seed
        As in `redraw_symbol`.

    Returns
    -------
    list of L + 1 arrays, as ``trees``

    Raises
    ------
    InputError
        For a node that does not exist, a token (it has no rules), a level of one rule per symbol, and trees that
        the grammar does not write.
    """
    level, node = _node(grammar, level, node)
    if level == 0:
        raise InputError("level=0: a token has no rules; redraw its symbol, or a node of level 1 or higher")
    if grammar.rhm.n_rules(level) < 2:
        raise InputError(f"a symbol of level {level} has one rule (m=1): there is no synonym to put in its place")
    rng = as_generator(seed)
    out = _own(grammar, trees)
    used = rules_used(grammar, out, level)[:, node]
    rules = _draw_rules(grammar, level, out[level][:, node], rng, without=used)
    _write_below(grammar, out, level, node, rules, rng)
    return out


def rules_used(grammar: Grammar, trees: Sequence[IntArray], level: int) -> IntArray:
    """The number of the rule by which each node of a level is written, shape (n, width), 0 .. m - 1.

    Raises `InputError` for trees that the grammar does not write, and as `redraw_symbol`.
    """
    level = as_int("level", level, low=1, high=grammar.rhm.L)
    own = _own(grammar, trees)
    symbols = own[level].astype(np.int64)
    children = own[level - 1].reshape(*symbols.shape, 1, grammar.rhm.n_children(level))
    # rules of one symbol differ, so that one fits at most; (n, width, m)
    fits = (grammar.rules(level)[symbols] == children).all(axis=-1)
    if not fits.any(axis=-1).all():
        raise InputError(f"trees hold a symbol of level {level} over children that none of its rules writes")
    return np.asarray(fits.argmax(axis=-1))


def _node(grammar: Grammar, level: int, node: int) -> tuple[int, int]:
    level = as_int("level", level, low=0, high=grammar.rhm.L)
    width = grammar.rhm.width(level)
    return level, as_int("node", node, low=-width, high=width - 1) % width


def _own(grammar: Grammar, trees: Sequence[IntArray]) -> list[IntArray]:
    """A copy of the trees, checked."""
    rhm = grammar.rhm
    own = [np.array(as_integers("trees", symbols)) for symbols in trees]
    widths = [rhm.width(level) for level in range(rhm.L + 1)]
    if [symbols.shape[1:] for symbols in own] != [(width,) for width in widths]:
        raise InputError(
            f"trees must be L + 1 = {len(widths)} arrays with {', '.join(map(str, widths))} symbols per sentence, "
            "as those of sample(..., trees=True)"
        )
    if len(counts := {len(symbols) for symbols in own}) > 1:
        raise InputError(f"trees hold {sorted(counts)} sentences on different levels: give as many on each")
    for level, symbols in enumerate(own):
        v = rhm.n_symbols(level)
        outside = symbols[(symbols < 0) | (symbols >= v)]
        if len(outside):
            raise InputError(f"trees hold {outside[0]} at level {level}, outside 0..{v - 1}")
    return own


def _draw_rules(
    grammar: Grammar,
    level: int,
    symbols: IntArray,
    rng: np.random.Generator,
    without: IntArray | None = None,
) -> IntArray:
    """A rule for each symbol (...), by its probabilities, and not the one of ``without``."""
    p: FloatArray = grammar.rule_probabilities(level)[symbols]  # (..., m)
    if without is not None:
        p = p * (np.arange(p.shape[-1]) != without[..., None])
        if not p.sum(axis=-1).all():
            raise InputError(f"a symbol of level {level} has one rule of positive probability: it has no synonym")
    return draw_outcomes(p, rng)


def _write_below(
    grammar: Grammar, trees: list[IntArray], level: int, node: int, rules: IntArray, rng: np.random.Generator
) -> None:
    """Write the subtree of a node into the trees: its children by these rules (n,), the rest drawn anew."""
    below = grammar.rules(level)[trees[level][:, node], rules]  # (n, s)
    for lower in range(level - 1, -1, -1):
        first = node * grammar.rhm.span(level) // grammar.rhm.span(lower)
        trees[lower][:, first : first + below.shape[1]] = below
        if lower:
            chosen = _draw_rules(grammar, lower, below, rng)
            below = grammar.rules(lower)[below, chosen].reshape(len(below), -1)
