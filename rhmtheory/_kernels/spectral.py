"""Largest singular values of many small matrices, without a linear algebra library and its threads."""

import numpy as np
from numba import njit

_MOST_STEPS = 20_000
_TOLERANCE = 1e-13


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def largest_singular(values, left, right, matrices, first, last):
    """Power iteration on C'C for matrices first..last.

    values (n); left (n, A); right (n, B) holds start vectors; matrices (n, A, B). The value grows from step to
    step and is at most the singular value.
    """
    A, B = matrices.shape[1], matrices.shape[2]
    for k in range(first, last):
        C, u, w = matrices[k], left[k], right[k]
        values[k] = 0.0
        for _ in range(_MOST_STEPS):
            norm = 0.0
            for a in range(A):
                total = 0.0
                for b in range(B):
                    total += C[a, b] * w[b]
                u[a] = total
                norm += total * total
            if norm == 0:
                break
            norm = np.sqrt(norm)
            for b in range(B):
                w[b] = 0.0
            for a in range(A):
                u[a] /= norm
                for b in range(B):
                    w[b] += C[a, b] * u[a]
            value = 0.0
            for b in range(B):
                value += w[b] * w[b]
            value = np.sqrt(value)
            for b in range(B):
                w[b] /= value
            grown = value - values[k]
            values[k] = value
            if grown <= _TOLERANCE * value:
                break
