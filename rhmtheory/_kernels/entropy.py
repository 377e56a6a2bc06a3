"""One level of the filter along the spine of the last token."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def filter_step(out, beliefs, parent, observed, child, weight):
    """Unnormalised beliefs over the child, for every belief over the parent and every observation.

    out (states, observations, children) zeroed by the caller; beliefs (states, parents);
    parent, observed, child, weight: one entry a rule.
    """
    for i in range(beliefs.shape[0]):
        for r in range(len(parent)):
            out[i, observed[r], child[r]] += beliefs[i, parent[r]] * weight[r]


@njit(nogil=True, cache=True)
def normalise(flat, mass, keys, multipliers, resolution):
    """Scale each row to sum one, note its sum, and hash the row rounded to ``resolution``."""
    for i in range(flat.shape[0]):
        total = 0.0
        for x in range(flat.shape[1]):
            total += flat[i, x]
        mass[i] = total
        key = np.uint64(0)
        if total > 0:
            for x in range(flat.shape[1]):
                flat[i, x] /= total
                key += np.uint64(np.rint(flat[i, x] / resolution)) * multipliers[x]
        keys[i] = key
