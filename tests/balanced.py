"""Texts of grammars whose decays are known exactly: uniform marginals everywhere, sentences laid end to end."""

import numpy as np

from rhmtheory import Grammar


def balanced_grammar(v, m, s, L, seed):
    """A grammar in which every symbol is equally likely at every node.

    Each rule sends the parents to each child position by a permutation. Tokens then say nothing of their position,
    so that sentences laid end to end are uncorrelated beyond their length.
    """
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(L):
        taken, rules = set(), []
        while len(rules) < m:
            rule = np.stack([rng.permutation(v) for _ in range(s)], axis=1)  # (v, s)
            tuples = set(map(tuple, rule.tolist()))
            if taken.isdisjoint(tuples):
                taken |= tuples
                rules.append(rule)
        tables.append(np.stack(rules, axis=1))  # (v, m, s)
    return Grammar.from_rules(tables, v=v)


def text(grammar, tokens, seed):
    """Sentences laid end to end."""
    return grammar.sample(-(-tokens // grammar.shape.d), seed).ravel()[:tokens]


def operator_norms(grammar, lags):
    """Exact: the covariance of two tokens of the text at a distance, all places alike."""
    d = grammar.shape.d
    out = []
    for t in lags:
        C = sum(grammar.covariance(i, i + t) for i in range(d - t)) if t < d else np.zeros((2, 2))
        out.append(np.linalg.norm(C / d, 2))
    return np.array(out)


def conditional_entropies(grammar, longest):
    """Exact: entropy of a token of the text given the n before it, n = 1 .. longest, all places alike."""
    v, d = grammar.shape.n_symbols(0), grammar.shape.d
    # within[i][n]: probabilities of the n tokens from position i on, shape (v**n,)
    within = [{0: np.ones(1)} for _ in range(d)]
    for i in range(d):
        for n in range(1, min(longest + 1, d - i) + 1):
            words = np.array(list(np.ndindex(*[v] * (n - 1))), int).reshape(v ** (n - 1), n - 1)
            p = grammar.next_token(words, position=i + n - 1, impossible="nan")
            within[i][n] = np.nan_to_num(within[i][n - 1][:, None] * p).ravel()
    blocks = []
    for n in range(1, longest + 2):
        total = np.zeros(v**n)
        for i in range(d):
            inside = min(n, d - i)
            total += np.outer(within[i][inside], within[0][n - inside]).ravel() / d
        p = total[total > 0]
        blocks.append(-(p * np.log(p)).sum())
    return np.diff(blocks)
