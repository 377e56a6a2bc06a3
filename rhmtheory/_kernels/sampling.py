"""Drawing derivation trees with a counter-based generator: a node's rule depends on (key, sample, node) alone."""

import numpy as np
from numba import njit

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
# multipliers and key increments of Philox-4x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3")
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


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


@njit(inline="always")
def _below(bound, word, node, sample, k0, k1):
    """Unbiased integer in [0, bound) from one word (Lemire's multiply-shift); rejected words are redrawn."""
    scaled = word * bound
    if (scaled & _MASK) < bound:
        least = (_MASK + np.uint64(1) - bound) % bound
        retry = np.uint64(0)
        while (scaled & _MASK) < least:
            retry += np.uint64(1)
            word, _, _, _ = _philox(node, retry, sample & _MASK, sample >> _SHIFT, k0, k1)
            scaled = word * bound
    return scaled >> _SHIFT


@njit(inline="always")
def _weighted(outcome, first, accept, alias, node, sample, k0, k1):
    """Turn a uniform outcome into a weighted one: keep it, or take its alias (Walker's method, 2**-32 fine)."""
    # counter word 1 = all ones: a stream of its own beside the blocks (0) and the retries (1, 2, ...)
    word, _, _, _ = _philox(np.uint64(node), _MASK, sample & _MASK, sample >> _SHIFT, k0, k1)
    return outcome if word < accept[first + outcome] else alias[first + outcome]


@njit(inline="always")
def _expand(row, words, tables, sample, k0, k1):
    """Fill ``row`` with one tree: level l at node_start[l] .. node_start[l] + width[l]."""
    rules, rule_start, m, s, width, node_start, n, accept, alias, slot_start = tables
    weighted = len(accept) > 0
    zero = np.uint64(0)
    for block in range(len(words) // 4):
        w0, w1, w2, w3 = _philox(np.uint64(block), zero, sample & _MASK, sample >> _SHIFT, k0, k1)
        words[4 * block], words[4 * block + 1] = w0, w1
        words[4 * block + 2], words[4 * block + 3] = w2, w3
    L = len(m)
    root = np.int64(_below(n, np.uint64(words[0]), zero, sample, k0, k1))
    if weighted:
        root = _weighted(root, slot_start[L], accept, alias, 0, sample, k0, k1)
    row[node_start[L]] = root
    node = 1
    for level in range(L, 0, -1):
        parents, children = node_start[level], node_start[level - 1]
        m_l, s_l = m[level - 1], s[level - 1]
        start = rule_start[level - 1]
        for i in range(width[level]):
            rule = np.int64(_below(np.uint64(m_l), np.uint64(words[node]), np.uint64(node), sample, k0, k1))
            # rules of a level lie as (symbol, rule, child)
            slot = np.int64(row[parents + i]) * m_l
            if weighted:
                rule = _weighted(rule, slot_start[level - 1] + slot, accept, alias, node, sample, k0, k1)
            at = start + (slot + rule) * s_l
            for p in range(s_l):
                row[children + i * s_l + p] = rules[at + p]
            node += 1


@njit(nogil=True, cache=True)
def sample_trees(out, first, tables, k0, k1):
    """Rows of ``out`` (samples, nodes) become the trees of samples first, first + 1, ..."""
    nodes = out.shape[1]
    words = np.empty((nodes + 3) // 4 * 4, np.uint32)
    for i in range(out.shape[0]):
        _expand(out[i], words, tables, np.uint64(first + i), k0, k1)


@njit(nogil=True, cache=True)
def sample_tokens(out, first, nodes, tables, k0, k1):
    """Rows of ``out`` (samples, d) become the leaves of samples first, first + 1, ..."""
    row = np.empty(nodes, tables[0].dtype)
    # one word for the root symbol and one for the rule of every node above the tokens, in whole blocks of four
    words = np.empty((nodes - out.shape[1] + 1 + 3) // 4 * 4, np.uint32)
    for i in range(out.shape[0]):
        _expand(row, words, tables, np.uint64(first + i), k0, k1)
        out[i] = row[nodes - out.shape[1] :]
