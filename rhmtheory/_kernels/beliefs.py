"""Beliefs that agree are one: the key of a belief, and the table that finds it again.

A key adds up over the symbols, whatever their order. Each weight is rounded to some bits of its own, and scattered
over all 64 bits with its symbol, since beliefs such as 1 or 1/2 are round numbers.
"""

import numpy as np
from numba import njit


@njit(inline="always")
def mix(word):
    """Scatter 64 bits (the finaliser of splitmix64)."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@njit(inline="always")
def rounded(bits, kept):
    """A positive float, as its bits, rounded to ``kept`` bits behind the leading one."""
    half = np.uint64(1) << np.uint64(51 - kept)
    return (bits + half) & ~(half + half - np.uint64(1))


@njit(inline="always")
def key_of(bits, symbol):
    """What a symbol with a weight, as its rounded bits, adds to the key of a belief."""
    return mix(mix(bits) + np.uint64(symbol))


@njit(inline="always")
def slot_of(slots, keys, key):
    """Where a table (a power of two of slots, -1 or a row of keys) holds ``key``, or the slot where it belongs."""
    mask = np.uint64(len(slots) - 1)
    at = key & mask
    while slots[at] >= 0 and keys[slots[at]] != key:
        at = (at + np.uint64(1)) & mask
    return at


@njit(nogil=True, cache=True)
def index_keys(slots, keys):
    """Enter all keys in an empty table."""
    for i in range(len(keys)):
        slots[slot_of(slots, keys, keys[i])] = i
