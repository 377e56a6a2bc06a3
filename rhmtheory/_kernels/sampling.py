"""Drawing derivation trees: a stream of random words by their number, and choices taken from them without bias.

A word is a number below 2**32. A choice among N outcomes multiplies it by N: the high half of the product is the
outcome, the low half is the word that is left for the next choice. With M the product of all N that share a word,
the low half ends as word * M mod 2**32, and the outcomes are jointly uniform once words that end below 2**32 mod M
are refused (Lemire's method, for several choices at once): nothing is refused where M divides 2**32.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
# multipliers and key increments of Philox-4x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3")
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


class Place(NamedTuple):
    """Where the choices of a stage lie: node c of sample r takes its own from word start + r * stride + first +
    c // share, and its alias from word start + r * stride + weigh + c."""

    start: int
    stride: int
    first: int
    share: int
    weigh: int


@njit(inline="always")
def _philox(c0, c1, c2, c3, k0, k1):
    """Philox-4x32-10: a 128-bit counter and a 64-bit key to four 32-bit words, all held in uint64."""
    for _ in range(10):
        a = _M0 * c0
        b = _M1 * c2
        c0, c1, c2, c3 = (b >> _SHIFT) ^ c1 ^ k0, b & _MASK, (a >> _SHIFT) ^ c3 ^ k1, a & _MASK
        k0 = (k0 + _W0) & _MASK
        k1 = (k1 + _W1) & _MASK
    return c0, c1, c2, c3


@njit(nogil=True, cache=True)
def philox(c0, c1, c2, c3, k0, k1):
    """One block, for the test against published vectors."""
    return _philox(c0, c1, c2, c3, k0, k1)


@njit(nogil=True, cache=True)
def fill_words(words, first, k0, k1):
    """``words[j]`` becomes word ``first + j`` of the stream; first and len(words) are multiples of four."""
    zero = np.uint64(0)
    for block in range(len(words) // 4):
        number = np.uint64(first // 4 + block)
        w0, w1, w2, w3 = _philox(number & _MASK, zero, number >> _SHIFT, zero, k0, k1)
        words[4 * block], words[4 * block + 1] = w0, w1
        words[4 * block + 2], words[4 * block + 3] = w2, w3


@njit(nogil=True, cache=True)
def refuse_words(words, first, start, samples, outcomes, k0, k1):
    """Redraw the words that would bias: the choices from word j of a sample have ``outcomes[j]`` outcomes jointly.

    ``words[start]`` is the first word of the first sample, and word ``first + start`` of the stream.
    """
    stride = len(outcomes)
    for j in range(stride):
        together = np.uint64(outcomes[j])
        least = (_MASK + np.uint64(1)) % together
        if least == 0:
            continue
        for r in range(samples):
            k = start + r * stride + j
            retry = np.uint64(0)
            while (np.uint64(words[k]) * together) & _MASK < least:
                # counter word 1 = 0: the stream; 1, 2, ...: what replaces its refused words
                retry += np.uint64(1)
                number = np.uint64(first + k)
                words[k] = _philox(number & _MASK, retry, number >> _SHIFT, np.uint64(0), k0, k1)[0]


@njit(inline="always")
def _choose(words, k, N, slot, accept, alias, k_accept):
    """Take a choice among N outcomes from word k and leave the rest of the word; then its alias, if weighted.

    Walker's method: keep the outcome if a second word is below the threshold ``accept[slot + outcome]`` out of
    2**32, else take ``alias`` for it.
    """
    product = np.uint64(words[k]) * N
    words[k] = product & _MASK
    at = slot + (product >> _SHIFT)
    if len(accept) > 0 and np.uint64(words[k_accept]) >= accept[at]:
        at = slot + alias[at]
    return at


@njit(nogil=True, cache=True)
def expand(children, parents, table, words, place, outcomes, accept, alias):
    """Children of every node of a stage, as one number or as a row of symbols for each.

    children (samples, width) or (samples, width, span); parents (samples, width) symbols; table
    (symbols * outcomes,) or (symbols * outcomes, span); place a Place.
    """
    N = np.uint64(outcomes)
    for c in range(parents.shape[1]):
        for r in range(parents.shape[0]):
            k = place.start + r * place.stride
            slot = np.uint64(parents[r, c]) * N
            word, second = k + place.first + c // place.share, k + place.weigh + c
            children[r, c] = table[_choose(words, word, N, slot, accept, alias, second)]


@njit(nogil=True, cache=True)
def choose(choice, parents, words, place, outcomes, accept, alias):
    """The choices themselves, (samples, width): what `expand` looks up in its table."""
    N = np.uint64(outcomes)
    for c in range(parents.shape[1]):
        for r in range(parents.shape[0]):
            k = place.start + r * place.stride
            slot = np.uint64(parents[r, c]) * N
            word, second = k + place.first + c // place.share, k + place.weigh + c
            at = _choose(words, word, N, slot, accept, alias, second)
            choice[r, c] = at - slot
