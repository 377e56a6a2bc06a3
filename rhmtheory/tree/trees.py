"""Derivations of sentences: the symbols of all levels, as arrays, as text and as a picture."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.support.checks import as_generator, as_int, as_integers
from rhmtheory.support.errors import InputError
from rhmtheory.support.files import whole_file
from rhmtheory.support.types import IntArray
from rhmtheory.tree.interventions import other_rules, other_symbols
from rhmtheory.tree.tables import UNGRAMMATICAL, Tables

LARGEST_TREE = 64
"""Tokens of the largest tree that can be read when it is drawn."""


class Trees:
    """Derivations of sentences. Made by `Grammar.sample_trees`, `Grammar.parse` and `Grammar.tree`.

    A single one, such as ``trees[0]``, prints as text, and shows as a picture in notebooks. Trees are equal when
    their tables and symbols are.

    Parameters
    ----------
    tables : Tables
        The grammar that the derivations are read by.
    levels : sequence of L + 1 integer arrays
        Entry ``l`` holds the symbols of level l, shape (n, d / s**l): a row for each sentence, from left to right.
        There may be no or several axes in the place of n. `UNGRAMMATICAL` (-1) stands above a tuple that no rule
        produces.
    check : bool
        Whether shapes and symbols are checked.

    Raises
    ------
    InputError
        For arrays of another shape or type, and symbols out of range.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> trees = RHM(v=8, m=2, s=2, L=3).grammar(seed=0).sample_trees(1000, seed=1)
    >>> trees.tokens.shape, trees.level(2).shape
    ((1000, 8), (1000, 2))
    >>> print(trees[0])
    4
    ├─ 5
    │  ├─ 6 → 2 1
    │  └─ 5 → 7 3
    └─ 1
       ├─ 5 → 7 3
       └─ 2 → 6 7
    >>> synonyms = trees.redraw_rule(level=1, node=-1)
    >>> (synonyms.tokens != trees.tokens).any(axis=0)
    array([False, False, False, False, False, False,  True,  True])
    """

    def __init__(self, tables: Tables, levels: Sequence[npt.ArrayLike], *, check: bool = True) -> None:
        self.tables = tables
        self.levels: tuple[IntArray, ...] = tuple(_checked(tables, levels) if check else map(np.asarray, levels))

    @property
    def tokens(self) -> IntArray:
        """The sentences, shape (n, d)."""
        return self.levels[0]

    def level(self, level: int) -> IntArray:
        """Symbols of a level, 0..L, shape (n, width of the level)."""
        return self.levels[as_int("level", level, low=0, high=self.tables.shape.L)]

    def rules(self, level: int) -> IntArray:
        """Number of the rule that each node of a level is written by, shape (n, width), 0 .. m - 1.

        Raises `InputError` for a level without rules, and where no rule of the symbol writes its children.
        """
        level = as_int("level", level, low=1, high=self.tables.shape.L)
        symbols = self.levels[level]
        children = self.levels[level - 1].reshape(*symbols.shape, self.tables.shape.n_children(level))
        parents, rules = self.tables.look_up(level, children)
        if ((rules < 0) | (parents != symbols)).any():
            rule = f"hold a symbol of level {level} over children that none of its rules writes"
            raise InputError("trees", rule=rule)
        return rules

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokens as ``.npy``, or whole trees as ``.jsonl``: one line per tree, tokens first, root last.

        Raises `InputError` for another ending.
        """
        ending = Path(path).suffix
        if ending not in (".npy", ".jsonl"):
            raise InputError("path", str(path), "must end in .npy or .jsonl", "choose one of them")
        with whole_file(path) as file:
            if ending == ".npy":
                np.save(file, self.tokens)
                return
            levels = [np.atleast_2d(symbols).tolist() for symbols in self.levels]
            for tree in zip(*levels, strict=True):
                file.write(json.dumps({"levels": tree}).encode() + b"\n")

    # --- as a sequence -------------------------------------------------------------------------------

    def __len__(self) -> int:
        self._require_several()
        return len(self.tokens)

    def __getitem__(self, index: Any) -> Trees:
        self._require_several()
        if isinstance(index, tuple) and len(index) >= self.tokens.ndim:
            raise IndexError("trees are indexed by sentence: ask level(l) for single nodes")
        return Trees(self.tables, [symbols[index] for symbols in self.levels], check=False)

    def __iter__(self) -> Iterator[Trees]:
        return (self[i] for i in range(len(self)))

    def _require_several(self) -> None:
        if self.tokens.ndim < 2:
            raise TypeError("a single derivation is no sequence: ask it for tokens, level(l) or rules(l)")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trees):
            return NotImplemented
        return self.tables == other.tables and all(map(np.array_equal, self.levels, other.levels))

    __hash__ = None  # type: ignore[assignment]  # arrays that can be written

    # --- interventions -------------------------------------------------------------------------------

    def redraw_symbol(self, level: int, node: int, *, seed: int | np.random.Generator = 0) -> Trees:
        """Replace the symbol of a node by another one, all others equally likely, and draw a new subtree below.

        All that is not below the node stays, so that the sentence as a whole need not be grammatical any more.

        Parameters
        ----------
        level, node : int
            Level 0..L, and the position of the node from the left, from the right if negative.
        seed : int or numpy.random.Generator

        Raises
        ------
        InputError
            For a node that does not exist, a level of one symbol, and ungrammatical trees.
        """
        level, node = self._node(level, node)
        return self._changed(other_symbols(self.tables, self.levels, level, node, as_generator(seed)))

    def redraw_rule(self, level: int, node: int, *, seed: int | np.random.Generator = 0) -> Trees:
        """Keep the symbol of a node and write it by another of its rules: a synonym, with new subtrees below.

        The other rules are drawn with their probabilities, given that the present one is left out. The sentence
        stays grammatical.

        Parameters
        ----------
        level, node : int
            Level 1..L, and the position of the node from the left, from the right if negative.
        seed : int or numpy.random.Generator

        Raises
        ------
        InputError
            For a node that does not exist, a token (it has no rules), a level of one rule per symbol, and trees
            that the grammar does not write.
        """
        level, node = self._node(level, node)
        if level == 0:
            way_out = "redraw its symbol, or a node of level 1 or higher"
            raise InputError("level=0", rule="is a token, and has no rules", way_out=way_out)
        used = self.rules(level)[..., node]
        return self._changed(other_rules(self.tables, self.levels, level, node, as_generator(seed), used))

    def _node(self, level: int, node: int) -> tuple[int, int]:
        level = as_int("level", level, low=0, high=self.tables.shape.L)
        for number, symbols in enumerate(self.levels):
            if (symbols < 0).any():
                raise InputError(
                    "trees", rule=f"hold ungrammatical nodes at level {number}: there is no rule there"
                )
        width = self.tables.shape.width(level)
        return level, as_int("node", node, low=-width, high=width - 1) % width

    def _changed(self, levels: list[IntArray]) -> Trees:
        return Trees(self.tables, levels, check=False)

    # --- to read -------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        if self.tokens.ndim < 2:
            return f"<Trees: {' '.join(map(str, self.tokens.tolist()))}>"
        return (
            f"<Trees: {' x '.join(map(str, self.tokens.shape[:-1]))} sentences of {self.tokens.shape[-1]} tokens>"
        )

    @property
    def _readable(self) -> bool:
        return self.tokens.ndim == 1 and len(self.tokens) <= LARGEST_TREE

    def __str__(self) -> str:
        """A single tree as text, the root first; a node and its tokens share a line."""
        return "\n".join(self._lines(self.tables.shape.L, 0, "", "")) if self._readable else repr(self)

    def _lines(self, level: int, node: int, first: str, later: str) -> Iterator[str]:
        name = _symbol(self.levels[level][node])
        s = self.tables.shape.n_children(level)
        children = range(node * s, (node + 1) * s)
        if level == 1:
            yield f"{first}{name} \u2192 {' '.join(str(self.levels[0][i]) for i in children)}"
            return
        yield first + name
        for i in children:
            last = i == children[-1]
            corner, below = ("\u2514\u2500 ", "   ") if last else ("\u251c\u2500 ", "\u2502  ")
            yield from self._lines(level - 1, i, later + corner, later + below)

    def _repr_html_(self) -> str:
        """A single tree as a picture, root at the top."""
        if not self._readable:
            return f"<pre>{escape(repr(self))}</pre>"
        shape, step, rise = self.tables.shape, 34, 56
        x = [(np.arange(shape.width(level)) + 0.5) * shape.span(level) * step for level in range(shape.L + 1)]
        y = [(shape.L - level + 0.5) * rise for level in range(shape.L + 1)]
        lines, circles, texts = [], [], []
        for level, symbols in enumerate(self.levels):
            for i, symbol in enumerate(symbols.tolist()):
                here = x[level][i], y[level]
                if level < shape.L:
                    above = x[level + 1][i // shape.n_children(level + 1)]
                    lines.append(f'<path d="M{here[0]:g} {here[1]:g}L{above:g} {y[level + 1]:g}"/>')
                circles.append(f'<circle cx="{here[0]:g}" cy="{here[1]:g}" r="13"/>')
                texts.append(f'<text x="{here[0]:g}" y="{here[1]:g}">{_symbol(symbol)}</text>')
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{shape.d * step}" height="{(shape.L + 1) * rise}" '
            f'role="img" aria-label="{escape(repr(self))}"><g stroke="#999">{"".join(lines)}</g>'
            f'<g fill="#fff" stroke="#666">{"".join(circles)}</g><g font-family="sans-serif" font-size="12" '
            f'text-anchor="middle" dominant-baseline="central">{"".join(texts)}</g></svg>'
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw a single tree into matplotlib axes, by default those of a new figure, and return them."""
        from rhmtheory.plotting import plot_derivation

        return plot_derivation(self, ax)


def parse(tables: Tables, tokens: npt.ArrayLike) -> Trees:
    """Read the hidden symbols of every level off the tokens; the grammar is unambiguous, so they are unique.

    Parameters
    ----------
    tables : Tables
    tokens : integer array, shape (..., d)

    Returns
    -------
    Trees
        A node above an ungrammatical tuple is `UNGRAMMATICAL` (-1).
    """
    shape, array = tables.shape, as_integers("tokens", tokens)
    if array.ndim == 0 or array.shape[-1] != shape.d:
        raise InputError("tokens", rule=f"have shape {array.shape}: the last axis must hold `d`={shape.d} tokens")
    levels = [array.astype(np.int64)]
    for level in shape.levels:
        nodes = (*array.shape[:-1], shape.width(level.number), level.children)
        levels.append(tables.parents(level.number, levels[-1].reshape(nodes)))
    return Trees(tables, levels, check=False)


def tree(tables: Tables, sentence: npt.ArrayLike | Sequence[npt.ArrayLike]) -> Trees:
    """Read one sentence and return its derivation.

    Parameters
    ----------
    tables : Tables
    sentence : integer array, shape (d,) or (1, d), or sequence of L + 1 such rows
        The tokens, whose hidden symbols are found by `parse`; or the symbols of levels 0..L.

    Returns
    -------
    Trees
        A single one: ``print`` it, show it in a notebook, or ``.plot(ax)``.

    Raises
    ------
    InputError
        For more than one sentence, rows of another length, anything but integers, symbols out of range, and more
        than 64 tokens, which cannot be read when drawn.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=2).grammar(seed=0)
    >>> print(g.tree([2, 7, 3, 0]))
    3
    ├─ 6 → 2 7
    └─ 6 → 3 0
    """
    shape = tables.shape
    if shape.d > LARGEST_TREE:
        rule = f"tokens cannot be read when drawn: at most {LARGEST_TREE}"
        raise InputError("a tree of d", shape.d, rule, "ask `sample_trees` for the symbols of its levels instead")
    given: Any = sentence.levels if isinstance(sentence, Trees) else sentence
    rows = isinstance(given, (list, tuple)) and len(given) == shape.L + 1
    if rows and (isinstance(given[0], (list, tuple)) or np.ndim(given[0]) > 0):
        return Trees(tables, [_row(tables, level, row) for level, row in enumerate(given)])
    tokens = _row(tables, 0, given)
    _check_range(tables, 0, tokens)
    return parse(tables, tokens)


def _row(tables: Tables, level: int, given: npt.ArrayLike) -> IntArray:
    """The symbols of one level of one sentence, shape (width,)."""
    array, width = as_integers(_name(level), given), tables.shape.width(level)
    if array.shape not in ((width,), (1, width)):
        raise InputError(_name(level), rule=f"have shape {array.shape}", way_out=f"give one sentence, ({width},)")
    return array.reshape(width)


def _checked(tables: Tables, levels: Sequence[npt.ArrayLike]) -> list[IntArray]:
    shape = tables.shape
    arrays = [as_integers(_name(level), symbols) for level, symbols in enumerate(levels)]
    widths = [shape.width(level) for level in range(shape.L + 1)]
    if [symbols.shape[-1:] for symbols in arrays] != [(width,) for width in widths]:
        rule = f"must be L + 1 = {len(widths)} arrays with {', '.join(map(str, widths))} symbols per sentence"
        raise InputError("trees", rule=rule, way_out="as those of `sample_trees`")
    if len({symbols.shape[:-1] for symbols in arrays}) > 1:
        counts = sorted({symbols.shape[:-1] for symbols in arrays})
        shown = [count[0] if len(count) == 1 else count for count in counts]
        raise InputError(
            "trees", rule=f"hold {shown} sentences on different levels", way_out="give as many on each"
        )
    for level, symbols in enumerate(arrays):
        _check_range(tables, level, symbols)
    return arrays


def _check_range(tables: Tables, level: int, symbols: IntArray) -> None:
    v = tables.shape.n_symbols(level)
    outside = symbols[(symbols < (UNGRAMMATICAL if level else 0)) | (symbols >= v)]
    if len(outside):
        raise InputError(_name(level), rule=f"hold {outside[0]}, outside 0..{v - 1}")


def _name(level: int) -> str:
    return f"symbols of level {level}" if level else "tokens"


def _symbol(symbol: int) -> str:
    return "?" if symbol == UNGRAMMATICAL else str(symbol)
