"""Grammars small enough to list all their derivations, and a hypothesis strategy that makes more of them."""

from functools import cache

import naive
import numpy as np
from hypothesis import strategies as st

from rhmtheory import RHM, zipf


def _weighted(grammar, seed, zero=False):
    """Other rule probabilities for every symbol, and another prior; with ``zero``, one rule never happens."""
    rng = np.random.default_rng(seed)
    tables = [rng.dirichlet(np.ones(m), size=v) for v, m, _ in (t.shape for t in _top_down(grammar))]
    if zero:
        tables[-1][0] = np.eye(tables[-1].shape[1])[0]
    return grammar.reweighted(tables, prior=rng.dirichlet(np.ones(grammar.shape.n)))


def _top_down(grammar):
    return [grammar.rules(level) for level in range(grammar.shape.L, 0, -1)]


MAKERS = {
    "binary": lambda: RHM(v=3, m=2, s=2, L=3).grammar(seed=1),
    "ternary": lambda: RHM(v=3, m=3, s=3, L=2).grammar(seed=2),
    "one level": lambda: RHM(v=4, m=3, s=2, L=1).grammar(seed=3),
    "more classes than symbols": lambda: RHM(v=3, m=2, s=2, L=2, n=4).grammar(seed=4),
    "one class": lambda: RHM(v=4, m=3, s=2, L=2, n=1).grammar(seed=5),
    "levels differ": lambda: RHM(v=(3, 4, 3), m=(2, 2, 1), s=(2, 2, 3), L=3, n=2).grammar(seed=6),
    "deterministic rules": lambda: RHM(v=4, m=1, s=2, L=3).grammar(seed=7),
    "all tuples grammatical": lambda: RHM(v=2, m=2, s=2, L=3).grammar(seed=8),
    "zipf": lambda: RHM(v=3, m=3, s=2, L=2, rule_probabilities=zipf(3, 0.5)).grammar(seed=9),
    "zipf per level": lambda: RHM(
        v=3, m=(3, 2), s=(2, 3), L=2, rule_probabilities=[zipf(3, 1.0), zipf(2, 0.2)]
    ).grammar(seed=10),
    "weights per symbol": lambda: _weighted(RHM(v=3, m=2, s=2, L=3).grammar(seed=11), 0),
    "a rule that never happens": lambda: _weighted(RHM(v=3, m=3, s=2, L=2, n=2).grammar(seed=12), 1, zero=True),
}


class Tiny:
    """A grammar, its tables as nested lists, and all its derivations with their probabilities."""

    def __init__(self, grammar):
        self.grammar, self.shape = grammar, grammar.shape
        self.tables, self.probabilities, self.prior = naive.tables_of(grammar)
        self.trees = naive.derivations(self.tables, self.probabilities, self.prior)
        self.sizes = [self.shape.n_symbols(level) for level in range(self.shape.L + 1)]


@cache
def tiny(name):
    return Tiny(MAKERS[name]())


@st.composite
def grammars(draw, derivations=300):
    """Any shape of tree, any weights (equal, Zipf's, one set per symbol); few enough derivations to list."""
    L = draw(st.integers(1, 3))
    v = [draw(st.integers(2, 4)) for _ in range(L)]
    s = [draw(st.integers(2, 3)) for _ in range(L)]
    n = draw(st.integers(1, 4))
    m, count, width = [], n, 1
    for level in range(L, 0, -1):
        above = n if level == L else v[level]
        room = min(3, v[level - 1] ** s[level - 1] // above)
        while count * room**width > derivations:
            room -= 1
        m.insert(0, draw(st.integers(1, max(room, 1))))
        count, width = count * m[0] ** width, width * s[level - 1]
    weights = draw(st.sampled_from(["equal", "zipf", "per symbol"]))
    exponents = [draw(st.floats(0, 3)) for _ in range(L)] if weights == "zipf" else None
    rules = exponents and [zipf(count, a) for count, a in zip(m, exponents, strict=True)]
    grammar = RHM(v=v, m=m, s=s, L=L, n=n, rule_probabilities=rules).grammar(draw(st.integers(0, 10**6)))
    return _weighted(grammar, draw(st.integers(0, 10**6))) if weights == "per symbol" else grammar
