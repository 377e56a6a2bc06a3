"""The likeliest derivation (max-product), in logarithms: best rules of all symbols upwards, then one tree down."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def best_rules(score, choice, below, log_weight, rules):
    """Logarithm of the likeliest subtree of each symbol of each node, and the rule it begins with.

    score, choice (samples, width, v_l) are filled; below (samples, width below, v_(l-1)) scores of the children;
    log_weight (rules,). Of equally likely rules the first stands.
    """
    s = rules.children.shape[1]
    for i in range(score.shape[0]):
        for node in range(score.shape[1]):
            for a in range(score.shape[2]):
                score[i, node, a], choice[i, node, a] = -np.inf, -1
            for rule in range(len(log_weight)):
                w = log_weight[rule]
                for p in range(s):
                    w += below[i, node * s + p, rules.children[rule, p]]
                if w > score[i, node, rules.parent[rule]]:
                    score[i, node, rules.parent[rule]], choice[i, node, rules.parent[rule]] = w, rule


@njit(nogil=True, cache=True)
def follow(symbol_below, symbol, choice, rules):
    """Symbols (samples, width below) of the children that the chosen rules write."""
    s = rules.children.shape[1]
    for i in range(symbol.shape[0]):
        for node in range(symbol.shape[1]):
            rule = choice[i, node, symbol[i, node]]
            for p in range(s):
                symbol_below[i, node * s + p] = rules.children[rule, p]
