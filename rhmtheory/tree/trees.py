"""One sentence with its tree, as text and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rhmtheory.language.grammar import Grammar
from rhmtheory.support.checks import as_integers
from rhmtheory.support.errors import InputError
from rhmtheory.support.facade import Forward
from rhmtheory.support.types import IntArray
from rhmtheory.tree.tables import UNGRAMMATICAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGEST_TREE = 64
"""Tokens of the largest tree that can be read when it is drawn."""


class Derivation:
    """A sentence and the hidden symbols above it. Made by `draw`; prints as text, and in notebooks as a picture.

    Attributes
    ----------
    grammar : Grammar
    levels : tuple of L + 1 arrays
        Entry ``l`` holds the symbols of level l, from left to right; `UNGRAMMATICAL` above a tuple that no rule
        produces.
    """

    def __init__(self, grammar: Grammar, levels: Sequence[IntArray]) -> None:
        self.grammar, self.levels = grammar, tuple(levels)

    def __str__(self) -> str:
        """The tree as text, the root first; a node and its tokens share a line."""
        return "\n".join(self._lines(self.grammar.rhm.L, 0, "", ""))

    def __repr__(self) -> str:
        return f"<Derivation of {' '.join(map(str, self.levels[0].tolist()))}>"

    def _lines(self, level: int, node: int, first: str, later: str) -> Iterator[str]:
        name = _symbol(self.levels[level][node])
        s = self.grammar.rhm.n_children(level)
        children = range(node * s, (node + 1) * s)
        if level == 1:
            yield f"{first}{name} \u2192 {' '.join(str(self.levels[0][i]) for i in children)}"
            return
        yield first + name
        for i in children:
            last = i == children[-1]
            corner, below = ("\u2514\u2500 ", "   ") if last else ("\u251c\u2500 ", "\u2502  ")
            yield from self._lines(level - 1, i, later + corner, later + below)

    def _repr_svg_(self) -> str:
        """The tree as a picture, root at the top."""
        rhm, step, rise = self.grammar.rhm, 34, 56
        x = [(np.arange(rhm.width(level)) + 0.5) * rhm.span(level) * step for level in range(rhm.L + 1)]
        y = [(rhm.L - level + 0.5) * rise for level in range(rhm.L + 1)]
        lines, circles, texts = [], [], []
        for level, symbols in enumerate(self.levels):
            for i, symbol in enumerate(symbols.tolist()):
                here = x[level][i], y[level]
                if level < rhm.L:
                    above = x[level + 1][i // rhm.n_children(level + 1)]
                    lines.append(f'<path d="M{here[0]:g} {here[1]:g}L{above:g} {y[level + 1]:g}"/>')
                circles.append(f'<circle cx="{here[0]:g}" cy="{here[1]:g}" r="13"/>')
                texts.append(f'<text x="{here[0]:g}" y="{here[1]:g}">{_symbol(symbol)}</text>')
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{rhm.d * step}" height="{(rhm.L + 1) * rise}" '
            f'role="img" aria-label="{escape(repr(self))}"><g stroke="#999">{"".join(lines)}</g>'
            f'<g fill="#fff" stroke="#666">{"".join(circles)}</g><g font-family="sans-serif" font-size="12" '
            f'text-anchor="middle" dominant-baseline="central">{"".join(texts)}</g></svg>'
        )

    if TYPE_CHECKING:

        def plot(self, ax: Axes) -> Axes:
            """Draw the tree into axes."""
    else:
        plot = Forward("rhmtheory.plotting:plot_derivation")


def draw(grammar: Grammar, sentence: npt.ArrayLike | Sequence[npt.ArrayLike]) -> Derivation:
    """Read a sentence and draw its derivation.

    Parameters
    ----------
    grammar : Grammar
    sentence : integer array, shape (d,) or (1, d); or list of such arrays
        Tokens, whose tree is read off them; or the symbols of all levels 0..L, as ``sample(1, trees=True)`` gives
        them.

    Returns
    -------
    Derivation
        ``print`` it, show it in a notebook, or ``.plot(ax)``.

    Raises
    ------
    InputError
        For more than one sentence, rows of another length, what is no integer, symbols out of range, and more than
        64 tokens, which cannot be read when drawn.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> print(g.draw(g.sample(1, seed=1)))
    4
    ├─ 5
    │  ├─ 6 → 2 1
    │  └─ 5 → 7 3
    └─ 1
       ├─ 5 → 7 3
       └─ 2 → 6 7
    """
    rhm = grammar.rhm
    if rhm.d > LARGEST_TREE:
        raise InputError(
            f"a tree of d={rhm.d} tokens cannot be read when drawn: at most {LARGEST_TREE}; print the symbols of "
            "`sample(n, trees=True)` instead"
        )
    given: Any = sentence
    rows = isinstance(given, (list, tuple)) and len(given) == rhm.L + 1
    if rows and (isinstance(given[0], (list, tuple)) or np.ndim(given[0]) > 0):
        return Derivation(grammar, [_row(rhm.width(x), rhm.n_symbols(x), row, x) for x, row in enumerate(given)])
    tokens = _row(rhm.d, rhm.n_symbols(0), given, 0)
    return Derivation(grammar, grammar.parse(tokens))


def _row(width: int, v: int, given: npt.ArrayLike, level: int) -> IntArray:
    """The symbols of one level of one sentence, checked."""
    name = "tokens" if level == 0 else f"symbols of level {level}"
    array = as_integers(name, given)
    if array.shape not in ((width,), (1, width)):
        raise InputError(f"{name} have shape {array.shape}: give one sentence, ({width},)")
    array = array.reshape(width)
    wrong = array[(array < (0 if level == 0 else UNGRAMMATICAL)) | (array >= v)]
    if len(wrong):
        raise InputError(f"{name} hold {wrong[0]}, outside 0..{v - 1}")
    return array


def _symbol(symbol: int) -> str:
    return "?" if symbol == UNGRAMMATICAL else str(symbol)
