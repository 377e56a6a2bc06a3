"""Sum-product on derivation trees, one level of a block of samples a call: messages up, marginals or draws down.

What is known of a node from its own subtree is its ``state``: a symbol (>= 0) where only that one is possible, else
FREE where nothing is observed, else DENSE: several are possible.

Work is in plain floats. Where a product leaves their range (_TINY) the sample is marked UNDERFLOW, to be done anew
in logarithms, by `inference_logs`: that form is also the one to read first, without the shortcuts.

A call handles the first ``len(failed)`` samples and leaves those alone that have failed. The loops over the
children of a rule are written out: a helper that takes arrays would count references to them, and threads would
wait for each other at the counters.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from rhmtheory._kernels.sampling import _philox

FREE, DENSE = -1, -2
EXPLAINED, UNDERFLOW = -1, -2
"""What ``failed`` holds besides the lowest node that nothing explains."""
_TINY = 1e-280
_WORD = np.uint64(0xFFFFFFFF)
# counter word 1 of the draws: a stream that sampling never uses, so that one seed can serve both
_STREAM = np.uint64(0xFFFFFFFE)


class Rules(NamedTuple):
    """The rules of a level that have a probability, in order of their parents."""

    children: np.ndarray  # (rules, s)
    parent: np.ndarray  # (rules,)
    weight: np.ndarray  # (rules,) probability given the parent
    first: np.ndarray  # (v_l + 1,) first rule of each parent
    order: np.ndarray  # (s + 1, rules) sorted by the tuple from child p on and round; for p = s as they are
    codes: np.ndarray  # (s, rules) those tuples as sorted numbers in base ``base``
    bucket: np.ndarray  # (s, buckets + 1) first of the codes with code >> shift = bucket
    shift: int
    base: int  # symbols of the level below


class Nodes(NamedTuple):
    """What the nodes of a level have below them, in a block of samples."""

    state: np.ndarray  # (samples, width)
    # likelihoods of the symbols, the largest scaled to one; filled where the children, or the siblings, are neither
    # all known nor all free
    beta: np.ndarray  # (samples, width, v_l)
    scale: np.ndarray  # (samples, width) by which beta was divided
    # (samples, width, 3) p, start, stop: the rules order[p, start:stop] are all that agree with the known children
    rules: np.ndarray


@njit(inline="always")
def _wrapped(p, s):
    return p if p < s else p - s


@njit(nogil=True, cache=True)
def upward(nodes, below, observed, failed, node_start, rules):
    """Messages of a level from those of the level below.

    observed (samples, width) symbols of the level, -1 where hidden, or empty where all are; node_start is the
    number of the level's first node.
    """
    state, beta, scale, agreeing = nodes.state, nodes.beta, nodes.scale, nodes.rules
    child_state, child_beta = below.state, below.beta
    children, parent, weight, first_rule = rules.children, rules.parent, rules.weight, rules.first
    order, codes, bucket, shift, base = rules.order, rules.codes, rules.bucket, rules.shift, rules.base
    s = children.shape[1]
    for i in range(len(failed)):
        if failed[i] != EXPLAINED:
            continue
        for node in range(state.shape[1]):
            first = node * s
            given = observed[i, node] if observed.size else -1
            # among the rules sorted from the child that begins the longest run of known ones on, those that agree
            # lie together
            free, begin, longest, likeliest = 0, s, 0, 0
            for p in range(s):
                free += child_state[i, first + p] == FREE
                run = 0
                while run < s and child_state[i, first + _wrapped(p + run, s)] >= 0:
                    run += 1
                if run > longest:
                    begin, longest = p, run
                if longest == s:
                    break
            start, stop = 0, len(parent)
            if longest > 0:
                code, room = np.int64(0), np.int64(1)
                for j in range(s):
                    code *= base
                    if j < longest:
                        code += child_state[i, first + _wrapped(begin + j, s)]
                    else:
                        room *= base
                start, high = bucket[begin, code >> shift], bucket[begin, (code >> shift) + 1]
                while start < high:
                    middle = (start + high) // 2
                    if codes[begin, middle] < code:
                        start = middle + 1
                    else:
                        high = middle
                stop = start
                while stop < len(parent) and codes[begin, stop] - code < room:
                    stop += 1
            elif given >= 0:
                start, stop = first_rule[given], first_rule[given + 1]
            agreeing[i, node, 0], agreeing[i, node, 1], agreeing[i, node, 2] = begin, start, stop

            if longest == s or free == s:
                scale[i, node] = 1.0
                if free == s:
                    state[i, node] = given if given >= 0 else FREE
                elif start < stop and (given < 0 or given == parent[order[begin, start]]):
                    state[i, node] = parent[order[begin, start]]
                else:
                    failed[i] = node_start + node
                    break
                continue
            for child in range(first, first + s):
                if child_state[i, child] != DENSE:
                    for b in range(base):
                        child_beta[i, child, b] = 1.0 if child_state[i, child] == FREE else 0.0
                    if child_state[i, child] >= 0:
                        child_beta[i, child, child_state[i, child]] = 1.0
            for a in range(beta.shape[2]):
                beta[i, node, a] = 0.0
            largest, possible, tiny = 0.0, 0, False
            for at in range(start, stop):
                rule = order[begin, at]
                if given >= 0 and given != parent[rule]:
                    continue
                w = weight[rule]
                for p in range(s):
                    b = child_beta[i, first + p, children[rule, p]]
                    if b == 0:
                        w = 0.0
                        break
                    w = w * b
                    tiny |= w < _TINY
                if w != 0:
                    a = parent[rule]
                    possible += beta[i, node, a] == 0
                    w = beta[i, node, a] + w
                    beta[i, node, a] = w
                    if w >= largest:
                        largest, likeliest = w, a
            if tiny:
                failed[i] = UNDERFLOW
                break
            if possible == 0:
                failed[i] = node_start + node
                break
            for a in range(beta.shape[2]):
                beta[i, node, a] = beta[i, node, a] / largest
            state[i, node] = likeliest if possible == 1 else DENSE
            scale[i, node] = largest


@njit(nogil=True, cache=True)
def weigh(told, nodes, beliefs, hidden, failed, node_start, leaves):
    """What nodes send up: what they know from below times likelihoods of their own, with the factor taken out.

    beliefs (samples or 1, width, v_l) and hidden (samples or 1, width), True where they count for nothing. A node
    of several possible symbols stays DENSE whatever is left of them, so that its marginals are still found from
    above; of ``leaves`` nothing lies below, and one that is left is a symbol seen.
    """
    for i in range(len(failed)):
        if failed[i] != EXPLAINED:
            continue
        row, mask = min(i, len(beliefs) - 1), min(i, len(hidden) - 1)
        for node in range(told.state.shape[1]):
            state = nodes.state[i, node]
            told.state[i, node], told.scale[i, node] = state, 1.0
            largest, smallest, likeliest, possible, tiny = 0.0, np.inf, 0, 0, False
            for a in range(beliefs.shape[2]):
                w = 1.0 if hidden[mask, node] else beliefs[row, node, a]
                if state == DENSE:
                    tiny |= w > 0 and nodes.beta[i, node, a] > 0 and w * nodes.beta[i, node, a] < _TINY
                    w *= nodes.beta[i, node, a]
                elif state >= 0 and state != a:
                    w = 0.0
                told.beta[i, node, a] = w
                possible += w > 0
                if w > largest:
                    largest, likeliest = w, a
                smallest = min(smallest, w)
            if tiny:
                failed[i] = UNDERFLOW
                break
            if largest == 0:
                failed[i] = node_start + node
                break
            told.scale[i, node] = largest
            if state >= 0 or (state == FREE and smallest == largest):
                continue
            for a in range(beliefs.shape[2]):
                told.beta[i, node, a] = told.beta[i, node, a] / largest
                tiny |= 0 < told.beta[i, node, a] < _TINY
            told.state[i, node] = likeliest if leaves and possible == 1 else DENSE
            if tiny:
                failed[i] = UNDERFLOW
                break


@njit(nogil=True, cache=True)
def add_scales(out, nodes, below, failed, rules):
    """Add the logarithms of the factors that the messages of a level were divided by, and of those left out."""
    s = rules.children.shape[1]
    for i in range(len(failed)):
        if failed[i] != EXPLAINED:
            continue
        for node in range(nodes.state.shape[1]):
            known, free = True, True
            for child in range(node * s, (node + 1) * s):
                known &= below.state[i, child] >= 0
                free &= below.state[i, child] == FREE
            if known:
                out[i] += np.log(rules.weight[rules.order[nodes.rules[i, node, 0], nodes.rules[i, node, 1]]])
            elif not free:
                out[i] += np.log(nodes.scale[i, node])


@njit(nogil=True, cache=True)
def add_root(out, nodes, prior, failed):
    """Add the logarithm of the probability of what lies below the root, from its message and the prior."""
    for i in range(len(failed)):
        if failed[i] != EXPLAINED:
            continue
        total = 0.0
        for a in range(len(prior)):
            if nodes.state[i, 0] in (a, FREE):
                total += prior[a]
            elif nodes.state[i, 0] == DENSE:
                total += prior[a] * nodes.beta[i, 0, a]
        out[i] += np.log(total)


@njit(nogil=True, cache=True)
def weigh_root(gamma, nodes, prior, failed, root):
    """Marginals of the root, (samples, 1, n), the largest one, from its message and the prior."""
    state, beta = nodes.state, nodes.beta
    for i in range(len(failed)):
        if failed[i] != EXPLAINED:
            continue
        largest = 0.0
        for a in range(len(prior)):
            g = 0.0
            if prior[a] > 0 and state[i, 0] in (a, FREE, DENSE):
                g = prior[a]
                if state[i, 0] == DENSE and beta[i, 0, a] > 0:
                    g = g * beta[i, 0, a]
                    if g < _TINY:
                        failed[i] = UNDERFLOW
                elif state[i, 0] == DENSE:
                    g = 0.0
            gamma[i, 0, a] = g
            largest = max(largest, g)
        if largest == 0 and failed[i] == EXPLAINED:
            failed[i] = root
        if failed[i] == EXPLAINED:
            for a in range(len(prior)):
                gamma[i, 0, a] = gamma[i, 0, a] / largest


@njit(nogil=True, cache=True)
def downward(gamma_below, gamma, nodes, below, wanted_below, failed, rules):
    """Marginals of the wanted nodes below: each parent's, spread over its rules as its subtree's evidence has it.

    gamma_child(b) = sum over parents a and their rules r with child b of gamma(a) P(r | a, observed below), for
    children that are not known. wanted_below (samples or 1, width below).
    """
    state, beta, scale, agreeing = nodes.state, nodes.beta, nodes.scale, nodes.rules
    child_state, child_beta = below.state, below.beta
    children, parent, weight, order, base = rules.children, rules.parent, rules.weight, rules.order, rules.base
    s = children.shape[1]
    for i in range(len(failed)):
        if failed[i] != EXPLAINED:
            continue
        row = i if len(wanted_below) > 1 else 0
        for node in range(state.shape[1]):
            first, wanted, free = node * s, False, True
            for child in range(first, first + s):
                free &= child_state[i, child] == FREE
                if wanted_below[row, child] and child_state[i, child] < 0:
                    wanted = True
                    for b in range(base):
                        gamma_below[i, child, b] = 0.0
            if not wanted:
                continue
            for at in range(agreeing[i, node, 1], agreeing[i, node, 2]):
                rule = order[agreeing[i, node, 0], at]
                a = parent[rule]
                g = gamma[i, node, a] if state[i, node] < 0 else 1.0 * (state[i, node] == a)
                if g == 0:
                    continue
                if free:
                    g *= weight[rule]
                else:
                    w = weight[rule]
                    for p in range(s):
                        w *= child_beta[i, first + p, children[rule, p]]
                    g *= w / (beta[i, node, a] * scale[i, node])
                for p in range(s):
                    if wanted_below[row, first + p]:
                        gamma_below[i, first + p, children[rule, p]] += g


@njit(nogil=True, cache=True)
def read_marginals(out, begin, node, gamma, state, failed):
    """Normalised marginals of the nodes ``node[begin[i]:begin[i + 1]]`` of sample i, to the same rows of out."""
    for i in range(len(failed)):
        for j in range(begin[i], begin[i + 1]):
            total = 0.0
            for a in range(out.shape[1]):
                total += gamma[i, node[j], a]
            for a in range(out.shape[1]):
                if failed[i] != EXPLAINED:
                    out[j, a] = np.nan
                elif state[i, node[j]] >= 0:
                    out[j, a] = a == state[i, node[j]]
                else:
                    out[j, a] = gamma[i, node[j], a] / total


@njit(inline="always")
def _uniform(choice, draw, k0, k1):
    """A number in [0, 1) with 53 bits that depends on (key, draw, choice) alone."""
    w0, w1, _, _ = _philox(np.uint64(choice), _STREAM, draw & _WORD, draw >> np.uint64(32), k0, k1)
    return ((w0 << np.uint64(21)) ^ (w1 >> np.uint64(11))) * 2.0**-53


@njit(nogil=True, cache=True)
def draw_roots(symbol, sample, first_draw, gamma, failed, nodes, k0, k1):
    """Root symbols (draws, 1) of draws first_draw, ...; draw j is of sample ``sample[j]`` of the block.

    Choices below ``nodes``, the number of nodes, are those of the nodes' rules.
    """
    for j in range(len(sample)):
        i = sample[j]
        if failed[i] != EXPLAINED:
            continue
        total = 0.0
        for a in range(gamma.shape[2]):
            total += gamma[i, 0, a]
        left = total * _uniform(nodes, np.uint64(first_draw + j), k0, k1)
        for a in range(gamma.shape[2]):
            # rounding may leave something behind the last symbol
            if gamma[i, 0, a] > 0 and left >= 0:
                symbol[j, 0] = a
                left -= gamma[i, 0, a]


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
            known, free = True, True
            for child in range(first, first + s):
                known &= child_state[i, child] >= 0
                free &= child_state[i, child] == FREE
                symbol_below[j, child] = child_state[i, child]
            if known:
                continue
            left = _uniform(node_start + node, np.uint64(first_draw + j), k0, k1)
            chosen = -1
            for rule in range(first_rule[a], first_rule[a + 1]):
                share = weight[rule]
                if not free:
                    w = weight[rule]
                    for p in range(s):
                        w *= child_beta[i, first + p, children[rule, p]]
                    share = w / (beta[i, node, a] * scale[i, node])
                if share > 0 and left >= 0:
                    chosen = rule
                    left -= share
            for p in range(s):
                symbol_below[j, first + p] = children[chosen, p]
