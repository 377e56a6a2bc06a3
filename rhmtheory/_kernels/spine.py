"""The filter along the path from the root to one token, for many contexts at once; what repeats is done once.

What is known of a node of the path is a belief: weights of its symbols, the largest one. Contexts of the same
belief and the same left siblings have the same belief about the next node. Beliefs are rounded to ``_KEPT`` bits of
each entry, and those that agree are one: a belief is then a function of what is observed alone, whatever the order
of the contexts. Rounding costs a relative 2**-44 a level, and sums of products of positive numbers do not amplify
relative errors.
"""

import numpy as np
from numba import njit

from rhmtheory._kernels.beliefs import key_of, mix, rounded, slot_of

OUT_OF_RANGE = -1
"""State of a context that is left to the sum-product: nothing explains it, or floats do not hold the products."""
_TINY = 1e-280
_KEPT = 43


@njit(inline="always")
def _find(numbers, number):
    """Where a sorted list holds a number, or -1. Written out, since numba takes seconds to compile numpy's."""
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] < number:
            low = middle + 1
        else:
            high = middle
    return low if low < len(numbers) and numbers[low] == number else -1


@njit(nogil=True, cache=True)
def parse(above, below, skipped, s, base, numbers, parents):
    """Parents (samples, nodes) of the s-tuples of ``below`` (samples, ...) from entry ``skipped`` on, -1 for none.

    numbers: sorted tuples of the rules, in base ``base``, and parents theirs; with empty numbers, parents of all.
    """
    for i in range(above.shape[0]):
        for node in range(above.shape[1]):
            code, known = np.int64(0), True
            for p in range(s):
                symbol = np.int64(below[i, skipped + node * s + p])
                known &= symbol >= 0
                code = code * base + symbol
            parent = -1
            if known:
                if len(numbers) == 0:
                    parent = parents[code]
                else:
                    at = _find(numbers, code)
                    if at >= 0:
                        parent = parents[at]
            above[i, node] = parent


@njit(nogil=True, cache=True)
def _spread(row, belief, rules, group):
    """Weights of the symbols of the next node, the largest one, and rounded; False where floats do not do."""
    start, parent, child, weight = rules
    for x in range(len(row)):
        row[x] = 0.0
    for r in range(start[group], start[group + 1]):
        if belief[parent[r]] > 0:
            w = belief[parent[r]] * weight[r]
            if w < _TINY:
                return False
            row[child[r]] += w
    largest = 0.0
    for x in range(len(row)):
        largest = max(largest, row[x])
    if largest == 0:
        return False
    for x in range(len(row)):
        row[x] /= largest
        if 0 < row[x] < _TINY:
            return False
    bits = row.view(np.uint64)
    for x in range(len(row)):
        if bits[x]:
            bits[x] = rounded(bits[x], _KEPT)
    return True


@njit(nogil=True, cache=True)
def descend(state, siblings, first, beliefs, below, view, base):
    """From the beliefs about a node to those about its child; returns how many distinct ones there are.

    state (samples,) numbers of rows of ``beliefs``, replaced by those of rows of ``below``, or OUT_OF_RANGE; the
    known left siblings of sample i are siblings[i, first:], symbols or -1. view: numbers of the tuples of these
    siblings, sorted, and the rules by tuple (start, parent, child, weight).
    """
    numbers, start, parent, child, weight = view
    rules = start, parent, child, weight
    samples = len(state)
    room = 2
    while room < 2 * samples:
        room *= 2
    mask = np.uint64(room - 1)
    slots, places = np.full(room, -1, np.int32), np.full(room, -1, np.int32)
    # distinct pairs of a belief and its siblings, and where they lead
    pair_state, pair_code = np.empty(samples, np.int32), np.empty(samples, np.int64)
    leads_to = np.empty(samples, np.int32)
    keys = np.empty(samples, np.uint64)
    pairs, count = 0, 0
    for i in range(samples):
        if state[i] < 0:
            continue
        code, known = np.int64(0), True
        for p in range(first, siblings.shape[1]):
            symbol = np.int64(siblings[i, p])
            known &= symbol >= 0
            code = code * base + symbol
        if not known:
            state[i] = OUT_OF_RANGE
            continue
        at = mix(np.uint64(code) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(state[i])) & mask
        while slots[at] >= 0 and (pair_state[slots[at]] != state[i] or pair_code[slots[at]] != code):
            at = (at + np.uint64(1)) & mask
        if slots[at] < 0:
            slots[at], pair_state[pairs], pair_code[pairs] = pairs, state[i], code
            leads_to[pairs] = OUT_OF_RANGE
            group = _find(numbers, code)
            if group >= 0:
                row = below[count]
                if _spread(row, beliefs[state[i]], rules, group):
                    bits, key = row.view(np.uint64), np.uint64(0)
                    for x in range(len(row)):
                        if bits[x]:
                            key += key_of(bits[x], x)
                    place = slot_of(places, keys, key)
                    if places[place] < 0:
                        places[place], keys[count] = count, key
                        count += 1
                    leads_to[pairs] = places[place]
            pairs += 1
        state[i] = leads_to[slots[at]]
    return count


@njit(nogil=True, cache=True)
def read_beliefs(out, state, beliefs):
    """Normalised beliefs (samples, v); NaN for a context out of range. ``beliefs`` are normalised in place."""
    for i in range(len(beliefs)):
        total = 0.0
        for x in range(beliefs.shape[1]):
            total += beliefs[i, x]
        for x in range(beliefs.shape[1]):
            beliefs[i, x] /= total
    for i in range(len(state)):
        for x in range(out.shape[1]):
            out[i, x] = beliefs[state[i], x] if state[i] >= 0 else np.nan
