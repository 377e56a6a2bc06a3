"""Counting pairs of symbols, and reading tuples as numbers or as the symbols they were grouped into."""

import numpy as np
from numba import njit

# rows or columns that are worked through for all groups while they lie in the first-level cache
_BLOCK = 4096


@njit(nogil=True, cache=True)
def count_shifted(counts, left, right, shifts, first, last):
    """For groups first..last: counts[k, left[r, i], right[r, i + shifts[k]]] += 1, over all r and i.

    counts (groups, A, B); left (n, d_left) and right (n, d), every entry in range.
    """
    n, d = right.shape
    width = min(d, _BLOCK)
    rows = max(1, _BLOCK // max(1, d))
    for r0 in range(0, n, rows):
        r1 = min(n, r0 + rows)
        for c0 in range(0, left.shape[1], width):
            for k in range(first, last):
                table = counts[k]
                shift = shifts[k]
                c1 = min(c0 + width, left.shape[1], d - shift)
                for r in range(r0, r1):
                    for i in range(c0, c1):
                        table[left[r, i], right[r, i + shift]] += 1


@njit(nogil=True, cache=True)
def count_at(counts, left, right, i, j, first, last):
    """For groups first..last: counts[k, left[r, i[k]], right[r, j[k]]] += 1, over all rows r."""
    n = right.shape[0]
    rows = max(1, 16 * _BLOCK // max(1, right.shape[1]))
    for r0 in range(0, n, rows):
        for k in range(first, last):
            table = counts[k]
            a, b = i[k], j[k]
            for r in range(r0, min(n, r0 + rows)):
                table[left[r, a], right[r, b]] += 1


@njit(nogil=True, cache=True)
def tuple_codes(out, symbols, base, size, step, first, last):
    """Rows first..last: out[r, i] = number in ``base`` of symbols[r, i * step : i * step + size]."""
    for r in range(first, last):
        for i in range(out.shape[1]):
            code = 0
            for p in range(size):
                code = code * base + np.int64(symbols[r, i * step + p])
            out[r, i] = code


@njit(nogil=True, cache=True)
def relabel(out, codes, tables, which, first, last):
    """Rows first..last: out[r, i] = tables[which[i], codes[r, i]]."""
    for r in range(first, last):
        for i in range(out.shape[1]):
            out[r, i] = tables[which[i], codes[r, i]]
