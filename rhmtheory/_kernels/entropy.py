"""The filter along the spine of a token: what the symbols to its left say about the one above it.

The rules of a level come grouped by what is observed of them, as the tuple ``rules``: ``start`` (groups + 1) gives
the first rule of each group; ``parent``, ``child`` and ``weight`` hold one entry a rule.
"""

import numpy as np
from numba import njit

from rhmtheory._kernels.beliefs import key_of, rounded, slot_of

_KEPT = 20
"""Bits of its weights by which a belief is told from others."""
_LEAST = 2.0**-46
"""Weights below this part of the whole tell no beliefs apart."""


@njit(nogil=True, cache=True)
def filter_states(state, group, count, states, rules, found):
    """Joint probabilities of child and belief, for every belief over the parent and every observation.

    Beliefs that agree are joined to their mean: where they differ by a part e, the mean entropy grows by e**2.
    states: beliefs (states, parents) and their probabilities. found: slots, keys and joint probabilities (room,
    children) of the ``count`` distinct beliefs so far, zero behind them. Begins at observation ``group`` of belief
    ``state``, stops when the room is full, and returns where to go on, with the new count.
    """
    beliefs, probability = states
    start, parent, child, weight = rules
    slots, keys, joint = found
    row = np.zeros(joint.shape[1])
    while state < len(beliefs):
        while group < len(start) - 1:
            total = 0.0
            for r in range(start[group], start[group + 1]):
                w = beliefs[state, parent[r]] * weight[r]
                row[child[r]] += w
                total += w
            if total > 0:
                key = np.uint64(0)
                for r in range(start[group], start[group + 1]):
                    x = child[r]
                    if row[x] > 0:
                        part = row[x] / total
                        if part > _LEAST:
                            key += key_of(rounded(np.float64(part).view(np.uint64), _KEPT), x)
                        row[x] = -row[x]  # a child with several rules counts once
                at = slot_of(slots, keys, key)
                if slots[at] < 0:
                    if count == len(keys):
                        return state, group, count
                    slots[at], keys[count] = count, key
                    count += 1
                for r in range(start[group], start[group + 1]):
                    joint[slots[at], child[r]] -= probability[state] * row[child[r]]
                    row[child[r]] = 0.0
            group += 1
        state, group = state + 1, 0
    return state, group, count


@njit(nogil=True, cache=True)
def filter_samples(out, beliefs, observed, rules):
    """Beliefs over the child, for one belief over the parent and one observation a sample.

    out (samples, children) zeroed by the caller; beliefs (samples, parents); observed (samples,) groups.
    """
    start, parent, child, weight = rules
    for i in range(len(out)):
        total = 0.0
        for r in range(start[observed[i]], start[observed[i] + 1]):
            w = beliefs[i, parent[r]] * weight[r]
            out[i, child[r]] += w
            total += w
        for x in range(out.shape[1]):
            out[i, x] /= total


@njit(nogil=True, cache=True)
def weigh_two_levels(out, states, upper, lower):
    """Joint probabilities of state, observation and symbol, of a child and of a child of the child, to four rows.

    From beliefs over a node (states, parents) and their probabilities. Row 0 of out gets those of each observation
    of the child's siblings, row 1 with the child as well, row 2 those of each observation of both generations of
    siblings, row 3 with the grandchild as well; each as positive entries one after the other. Returns how many.
    The upper rules come by observation; the lower ones as (first rule of each parent, cell of a rule, weight,
    group of a cell), where cells are pairs of an observation, the group, and a grandchild.
    """
    beliefs, probability = states
    start, parent, child, weight = upper
    first, cell, lower_weight, group_of = lower
    row, cells = np.zeros(len(first) - 1), np.zeros(len(group_of))
    groups = np.zeros(group_of.max() + 1)
    touched, touched_cells = np.empty(len(row) + 1, np.int64), np.empty(len(cells) + 1, np.int64)
    n0, n1, n2, n3 = 0, 0, 0, 0
    for i in range(len(beliefs)):
        for seen in range(len(start) - 1):
            total, children = 0.0, 0
            for r in range(start[seen], start[seen + 1]):
                w = probability[i] * beliefs[i, parent[r]] * weight[r]
                # listed when first reached; without a branch, which would be guessed wrongly
                touched[children] = child[r]
                children += (row[child[r]] == 0) & (w > 0)
                row[child[r]] += w
                total += w
            if total == 0:
                continue
            out[0, n0] = total
            n0 += 1
            count = 0
            for j in range(children):
                x = touched[j]
                out[1, n1] = row[x]
                n1 += 1
                for r in range(first[x], first[x + 1]):
                    w = row[x] * lower_weight[r]
                    touched_cells[count] = cell[r]
                    count += (cells[cell[r]] == 0) & (w > 0)
                    cells[cell[r]] += w
                row[x] = 0.0
            for j in range(count):
                w = cells[touched_cells[j]]
                out[3, n3] = w
                n3 += 1
                groups[group_of[touched_cells[j]]] += w
            for j in range(count):
                c = touched_cells[j]
                cells[c] = 0.0
                if groups[group_of[c]] > 0:
                    out[2, n2] = groups[group_of[c]]
                    n2 += 1
                    groups[group_of[c]] = 0.0
    return n0, n1, n2, n3
