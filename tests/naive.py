"""Brute-force twins: every statistic from the list of all derivations of a tiny grammar.

Plain Python on nested lists; nothing numerical comes from the package. A grammar is given as ``tables``,
top-down: ``tables[0][c][r]`` is the tuple that rule r of root symbol c produces.
"""

from collections import defaultdict
from itertools import product
from math import log, prod, sqrt


def tables_of(grammar):
    """Nested lists, top-down, of a Grammar: rules, their probabilities, and the prior."""
    levels = range(grammar.shape.L, 0, -1)
    rules = [grammar.rules(level).tolist() for level in levels]
    return rules, [grammar.rule_probabilities(level).tolist() for level in levels], grammar.prior.tolist()


def derivations(tables, probabilities=None, prior=None):
    """All derivations as (levels, probability); levels[0] is the root as a 1-tuple, levels[-1] the tokens."""
    probabilities = probabilities or [[[1 / len(rules)] * len(rules) for rules in table] for table in tables]
    prior = prior or [1 / len(tables[0])] * len(tables[0])
    trees = [([(c,)], p) for c, p in enumerate(prior) if p > 0]
    for table, weights in zip(tables, probabilities, strict=True):
        grown = []
        for levels, p in trees:
            # one rule for each node of the lowest level so far
            for choice in product(*(range(len(table[symbol])) for symbol in levels[-1])):
                nodes = list(zip(levels[-1], choice, strict=True))
                q = p * prod(weights[symbol][r] for symbol, r in nodes)
                if q > 0:
                    children = tuple(x for symbol, r in nodes for x in table[symbol][r])
                    grown.append(([*levels, children], q))
        trees = grown
    return trees


def distribution(trees, function):
    """Probabilities of the values of ``function(levels)``."""
    out = defaultdict(float)
    for levels, p in trees:
        out[function(levels)] += p
    return dict(out)


def entropy(p):
    """Shannon entropy of a dict of probabilities, nats."""
    return -sum(q * log(q) for q in p.values() if q > 0)


def conditional_entropy(trees, target, given):
    """Entropy in nats of ``target(levels)`` given ``given(levels)``."""
    joint = distribution(trees, lambda levels: (given(levels), target(levels)))
    return entropy(joint) - entropy(distribution(trees, given))


def covariance(trees, first, second, shape):
    """Covariance of the indicators of two symbols, as nested lists of the given shape."""
    joint = distribution(trees, lambda levels: (first(levels), second(levels)))
    a, b = distribution(trees, first), distribution(trees, second)
    return [
        [joint.get((x, y), 0.0) - a.get(x, 0.0) * b.get(y, 0.0) for y in range(shape[1])] for x in range(shape[0])
    ]


def plateaus(trees, spans):
    """H_k: entropy of the last token given the spans[k] - 1 tokens before it."""
    return [
        conditional_entropy(
            trees,
            lambda levels: levels[-1][-1],
            lambda levels, span=span: levels[-1][len(levels[-1]) - span : -1],
        )
        for span in spans
    ]


def node_covariances(trees, sizes):
    """Covariances of every ordered pair of nodes, {((level, i), (level, j)): nested lists}.

    Levels are counted from the leaves, and ``sizes[level]`` is the number of symbols there.
    """
    single, joint = defaultdict(float), defaultdict(float)
    for levels, p in trees:
        nodes = [((level, i), x) for level, row in enumerate(levels[::-1]) for i, x in enumerate(row)]
        for a in nodes:
            single[a] += p
            for b in nodes:
                joint[a, b] += p
    nodes = sorted({node for node, _ in single})
    return {
        (a, b): [
            [
                joint.get(((a, x), (b, y)), 0.0) - single.get((a, x), 0.0) * single.get((b, y), 0.0)
                for y in range(sizes[b[0]])
            ]
            for x in range(sizes[a[0]])
        ]
        for a in nodes
        for b in nodes
    }


def correlation_function(trees, size):
    """RMS over entries of the covariance of the last token and the one t places before it, t = 0 .. d - 1."""
    last = len(trees[0][0][-1]) - 1
    out = []
    for t in range(last + 1):
        C = covariance(
            trees, lambda levels, t=t: levels[-1][last - t], lambda levels: levels[-1][last], (size, size)
        )
        out.append(sqrt(sum(x * x for row in C for x in row) / size**2))
    return out


def transition(table, weights, branch, size):
    """Probability of each symbol as child ``branch``, one row a parent."""
    return [
        [sum(w for rule, w in zip(rules, row, strict=True) if rule[branch] == x) for x in range(size)]
        for rules, row in zip(table, weights, strict=True)
    ]


def agreeing(trees, observed):
    """The derivations that have the observed symbols, a dict from (level counted from the leaves, position)."""
    return [
        (levels, p)
        for levels, p in trees
        if all(levels[-1 - level][position] == symbol for (level, position), symbol in observed.items())
    ]


def posterior(trees, observed, level, position, size):
    """Probability of each symbol at a node given what is observed."""
    weights = distribution(agreeing(trees, observed), lambda levels: levels[-1 - level][position])
    return [weights.get(x, 0.0) / sum(weights.values()) for x in range(size)]


def next_token_entropies(trees):
    """Entropy of every token given all those before it."""
    return [
        conditional_entropy(trees, lambda levels, n=n: levels[-1][n], lambda levels, n=n: levels[-1][:n])
        for n in range(len(trees[0][0][-1]))
    ]


def weighed(trees, likelihoods):
    """Derivations times the likelihoods of their symbols, a dict from (level counted from the leaves, position)."""
    return [
        (levels, p * prod(row[levels[-1 - level][i]] for (level, i), row in likelihoods.items()))
        for levels, p in trees
    ]
