"""The sum-product of `inference` in logarithms: for samples whose products leave the range of floats.

Functions of the same names and arguments do the same, written plainly: every rule is tried for every node, and the
likelihoods ``beta`` and ``scale`` are held by their logarithms. None marks a sample UNDERFLOW.
"""

import numpy as np
from numba import njit

from rhmtheory._kernels.inference import DENSE, EXPLAINED, FREE, _uniform


@njit(inline="always")
def _add(x, y):
    """``log(exp(x) + exp(y))``."""
    high, low = max(x, y), min(x, y)
    return high if low == -np.inf else high + np.log1p(np.exp(low - high))


@njit(nogil=True, cache=True)
def upward(nodes, below, observed, failed, node_start, rules):
    """Messages of a level from those of the level below: beta(a) = sum_r p(r|a) prod_p beta_p(R(a,r)_p)."""
    state, beta, scale, agreeing = nodes.state, nodes.beta, nodes.scale, nodes.rules
    child_state, child_beta = below.state, below.beta
    children, parent, weight, base = rules.children, rules.parent, rules.weight, rules.base
    s = children.shape[1]
    for i in range(len(failed)):
        if failed[i] != EXPLAINED:
            continue
        for node in range(state.shape[1]):
            first = node * s
            given = observed[i, node] if observed.size else -1
            agreeing[i, node, 0], agreeing[i, node, 1], agreeing[i, node, 2] = s, 0, len(parent)
            free = True
            for child in range(first, first + s):
                free &= child_state[i, child] == FREE
                if child_state[i, child] != DENSE:
                    for b in range(base):
                        fits = child_state[i, child] == b or child_state[i, child] == FREE
                        child_beta[i, child, b] = 0.0 if fits else -np.inf
            beta[i, node, :] = -np.inf
            for rule in range(len(parent)):
                a = parent[rule]
                if given < 0 or given == a:
                    w = np.log(weight[rule])
                    for p in range(s):
                        w += child_beta[i, first + p, children[rule, p]]
                    beta[i, node, a] = _add(beta[i, node, a], w)
            likeliest, possible = 0, 0
            for a in range(beta.shape[2]):
                possible += beta[i, node, a] > -np.inf
                if beta[i, node, a] > beta[i, node, likeliest]:
                    likeliest = a
            if possible == 0:
                failed[i] = node_start + node
                break
            state[i, node] = FREE if free and given < 0 else likeliest if possible == 1 else DENSE
            scale[i, node] = beta[i, node, likeliest]
            for a in range(beta.shape[2]):
                beta[i, node, a] -= scale[i, node]


@njit(nogil=True, cache=True)
def weigh(told, nodes, beliefs, hidden, failed, node_start, leaves):
    """What nodes send up: what they know from below times likelihoods of their own, with the factor taken out."""
    for i in range(len(failed)):
        if failed[i] != EXPLAINED:
            continue
        row, mask = min(i, len(beliefs) - 1), min(i, len(hidden) - 1)
        for node in range(told.state.shape[1]):
            state, likeliest, possible = nodes.state[i, node], 0, 0
            told.state[i, node] = state
            smallest = np.inf
            for a in range(beliefs.shape[2]):
                w = 0.0 if hidden[mask, node] else np.log(beliefs[row, node, a])
                if state >= 0 and state != a:
                    w = -np.inf
                elif state == DENSE:
                    w += nodes.beta[i, node, a]
                told.beta[i, node, a] = w
                possible += w > -np.inf
                smallest = min(smallest, w)
                if w > told.beta[i, node, likeliest]:
                    likeliest = a
            largest = told.beta[i, node, likeliest]
            if largest == -np.inf:
                failed[i] = node_start + node
                break
            told.scale[i, node] = largest
            for a in range(beliefs.shape[2]):
                told.beta[i, node, a] -= largest
            if state < 0 and (state == DENSE or smallest < largest):
                told.state[i, node] = likeliest if leaves and possible == 1 else DENSE


@njit(nogil=True, cache=True)
def add_scales(out, nodes, below, failed, rules):
    """Add the logarithms of the factors that the messages of a level were divided by."""
    for i in range(len(failed)):
        if failed[i] == EXPLAINED:
            for node in range(nodes.state.shape[1]):
                out[i] += nodes.scale[i, node]


@njit(nogil=True, cache=True)
def add_root(out, nodes, prior, failed):
    """Add the logarithm of the probability of what lies below the root, from its message and the prior."""
    for i in range(len(failed)):
        if failed[i] != EXPLAINED:
            continue
        total = -np.inf
        for a in range(len(prior)):
            if prior[a] > 0:
                total = _add(total, np.log(prior[a]) + nodes.beta[i, 0, a])
        out[i] += total


@njit(nogil=True, cache=True)
def weigh_root(gamma, nodes, prior, failed, root):
    """Marginals of the root (not logarithms), the largest one, from its message and the prior."""
    beta = nodes.beta
    for i in range(len(failed)):
        if failed[i] != EXPLAINED:
            continue
        largest = -np.inf
        for a in range(len(prior)):
            gamma[i, 0, a] = np.log(prior[a]) + beta[i, 0, a] if prior[a] > 0 else -np.inf
            largest = max(largest, gamma[i, 0, a])
        if largest == -np.inf:
            failed[i] = root
            continue
        for a in range(len(prior)):
            gamma[i, 0, a] = np.exp(gamma[i, 0, a] - largest)


@njit(nogil=True, cache=True)
def downward(gamma_below, gamma, nodes, below, wanted_below, failed, rules):
    """Marginals of the wanted nodes below: gamma_p(b) = sum_a gamma(a) sum_r P(r|a, below) [R(a,r)_p = b]."""
    state, beta, scale = nodes.state, nodes.beta, nodes.scale
    child_state, child_beta = below.state, below.beta
    children, parent, weight = rules.children, rules.parent, rules.weight
    s = children.shape[1]
    for i in range(len(failed)):
        if failed[i] != EXPLAINED:
            continue
        row = i if len(wanted_below) > 1 else 0
        for node in range(state.shape[1]):
            first, wanted = node * s, False
            for child in range(first, first + s):
                if wanted_below[row, child] and child_state[i, child] < 0:
                    wanted = True
                    gamma_below[i, child, :] = 0.0
            if not wanted:
                continue
            for rule in range(len(parent)):
                a = parent[rule]
                g = gamma[i, node, a] if state[i, node] < 0 else 1.0 * (state[i, node] == a)
                if g == 0:
                    continue
                w = np.log(weight[rule]) - beta[i, node, a] - scale[i, node]
                for p in range(s):
                    w += child_beta[i, first + p, children[rule, p]]
                for p in range(s):
                    if wanted_below[row, first + p]:
                        gamma_below[i, first + p, children[rule, p]] += g * np.exp(w)


@njit(nogil=True, cache=True)
def draw_children(symbol_below, symbol, sample, first_draw, nodes, below, failed, node_start, rules, k0, k1):
    """Symbols (draws, width below) from those of the level: a rule for each node given what is observed below."""
    beta, scale = nodes.beta, nodes.scale
    child_state, child_beta = below.state, below.beta
    children, weight, first_rule = rules.children, rules.weight, rules.first
    s = children.shape[1]
    for j in range(len(sample)):
        i = sample[j]
        if failed[i] != EXPLAINED:
            continue
        for node in range(symbol.shape[1]):
            first, a = node * s, symbol[j, node]
            known = True
            for child in range(first, first + s):
                known &= child_state[i, child] >= 0
                symbol_below[j, child] = child_state[i, child]
            if known:
                continue
            left = _uniform(node_start + node, np.uint64(first_draw + j), k0, k1)
            chosen = -1
            for rule in range(first_rule[a], first_rule[a + 1]):
                w = np.log(weight[rule]) - beta[i, node, a] - scale[i, node]
                for p in range(s):
                    w += child_beta[i, first + p, children[rule, p]]
                if w > -np.inf and left >= 0:
                    chosen = rule
                    left -= np.exp(w)
            for p in range(s):
                symbol_below[j, first + p] = children[chosen, p]
