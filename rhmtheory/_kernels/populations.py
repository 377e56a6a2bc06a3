"""Populations of beliefs: what noisy leaves say of the nodes of one random tree, many trees at once.

A belief is a row of weights of the symbols of a node that sums to one. Index legend: a symbol of the node, i member
of the population, r rule, q child, b symbol of a child.
"""

from numba import njit


@njit(nogil=True, cache=True)
def upward(out, below, rules, weights, true_rule, member):
    """Beliefs of nodes, (v, N, v), from those of their children, ``below`` (v', M, v').

    Member i of symbol a applied rule ``true_rule[a, i]``; its child q is member ``member[a, i, q]`` of the child's
    symbol. rules: (v, m, s); weights: (v, m), of the rules.
    """
    v, m, s = rules.shape
    for a in range(v):
        for i in range(out.shape[1]):
            used = true_rule[a, i]
            total = 0.0
            for c in range(v):
                mass = 0.0
                for r in range(m):
                    x = weights[c, r]
                    for q in range(s):
                        x *= below[rules[a, used, q], member[a, i, q], rules[c, r, q]]
                    mass += x
                out[a, i, c] = mass
                total += mass
            # weights of no symbol: the products left the range of floats, and nothing is known
            for c in range(v):
                out[a, i, c] = out[a, i, c] / total if total > 0 else 1.0 / v


@njit(nogil=True, cache=True)
def downward(out, symbol, above, above_symbol, below, rules, weights, true_rule, branch, member):
    """Beliefs of one child of each node from all that lies outside it, (N, v'), and its ``symbol``, (N,).

    ``above`` (N, v) is the same of the nodes, of symbols ``above_symbol``; they applied ``true_rule`` (N,), and the
    child is that on ``branch`` (N,). Its siblings q are members ``member[i, q]`` of ``below`` (v', M, v').
    """
    v, m, s = rules.shape
    width = out.shape[1]
    for i in range(out.shape[0]):
        a, used = above_symbol[i], true_rule[i]
        symbol[i] = rules[a, used, branch[i]]
        for b in range(width):
            out[i, b] = 0.0
        total = 0.0
        for c in range(v):
            for r in range(m):
                x = above[i, c] * weights[c, r]
                for q in range(s):
                    if q != branch[i]:
                        x *= below[rules[a, used, q], member[i, q], rules[c, r, q]]
                out[i, rules[c, r, branch[i]]] += x
                total += x
        for b in range(width):
            out[i, b] = out[i, b] / total if total > 0 else 1.0 / width


@njit(nogil=True, cache=True)
def mean_right(outside, symbol, inside, member):
    """Mean weight of the true symbols, given all: what is ``outside`` (N, v) times what is ``inside`` (v, M, v)."""
    total = 0.0
    for i in range(outside.shape[0]):
        a = symbol[i]
        mass = 0.0
        for c in range(outside.shape[1]):
            mass += outside[i, c] * inside[a, member[i], c]
        if mass > 0:
            total += outside[i, a] * inside[a, member[i], a] / mass
        else:
            total += 1.0 / outside.shape[1]
    return total / max(1, outside.shape[0])
