"""Covariances between any two nodes of one grammar's derivation tree, exactly and without sampling."""

from __future__ import annotations

import numpy as np

from rhmtheory.support.checks import as_int, as_pair
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.tree.shape import Shape
from rhmtheory.tree.tables import Tables

_LARGEST_BLOCK = 1 << 22
"""Floats held at once for the covariances of one level, when all distances are asked for (32 MiB)."""
_LARGEST_COVARIANCE = 1 << 27
"""Floats of one covariance (1 GiB)."""
_MOST_OPERATIONS = 1 << 41
"""Multiplications of one correlation function (a minute or so); a token counts at least 2**17, for its memory."""


def covariance(tables: Tables, i: int, j: int, *, hidden_levels: tuple[int, int] = (0, 0)) -> FloatArray:
    r"""Exact covariance of the symbols at two nodes.

    With ``c`` the symbol of the lowest common ancestor (LCA), at level ``l``, and ``p != q`` the branches
    that lead to the two nodes, the children of the LCA have the joint probability
    ``sum_c pi(c) sum_r p(r|c) [R(c,r)_p = a] [R(c,r)_q = b]``; the covariance is that less the product of the
    marginals, and each side is pushed down by the transition matrices ``T_p(mu | a)`` of the lower levels.
    The cost is O(L v**3), whatever the number of tokens.

    Parameters
    ----------
    tables : Tables
    i, j : int
        Positions of the nodes within their levels; for tokens 0 .. d - 1.
    hidden_levels : pair of ints
        Levels of the two nodes; (0, 0) for two tokens, (k, 0) for a hidden symbol and a token.

    Returns
    -------
    array, shape (v_level_i, v_level_j)
        ``P(x_i = a, x_j = b) - P(x_i = a) P(x_j = b)``. Rows and columns sum to zero.

    Raises
    ------
    InputError
        For a level or position outside the tree, and more than 11585 symbols, whose covariance exceeds 1 GiB.

    Notes
    -----
    The covariance with the s-tuple of rule ``r`` of a symbol ``c`` is that with ``c`` times ``p(r|c)``
    (``1/m`` for equally likely rules). The law of the joint probability is that of arXiv:2406.00048, section 3.
    """
    shape = tables.shape
    _check_room(shape)
    nodes = []
    first, second = as_pair("hidden_levels", hidden_levels, "levels such as (1, 0)")
    for name, position, level in (("i", i, first), ("j", j, second)):
        level = as_int("hidden_levels", level, low=0, high=shape.L)
        nodes.append((level, as_int(name, position, low=0, high=shape.width(level) - 1)))
    paths = [tables.path(level, position) for level, position in nodes]
    shared = 0
    while shared < min(map(len, paths)) and paths[0][shared] == paths[1][shared]:
        shared += 1
    ancestor = shape.L - shared
    pi = tables.marginal(ancestor, nodes[0][1] // (shape.span(ancestor) // shape.span(nodes[0][0])))
    below = [path[shared:] for path in paths]
    if below[0] and below[1]:
        C = _sibling_covariance(tables, ancestor, pi, below[0][0], below[1][0])
        start, below = ancestor - 1, [branches[1:] for branches in below]
    else:  # one node is the ancestor of the other, or is the other
        C, start = np.diag(pi) - np.outer(pi, pi), ancestor
    for level, branch in zip(range(start, 0, -1), below[0], strict=False):
        C = tables.transition(level)[branch].T @ C
    for level, branch in zip(range(start, 0, -1), below[1], strict=False):
        C = C @ tables.transition(level)[branch]
    return C


def correlation_function(tables: Tables) -> FloatArray:
    """RMS over the entries of the covariance with the last token, against distance.

    Parameters
    ----------
    tables : Tables

    Returns
    -------
    array, shape (d,)
        Entry ``t`` is ``sqrt(mean_ab C_ab**2)`` for tokens ``d - 1 - t`` and ``d - 1``; entry 0 is that of the
        last token with itself. All pairs share the upper parts of their paths, so the cost is O(d v**3),
        and memory is bounded whatever ``d``.

    Raises
    ------
    InputError
        Where it takes more than 2**41 operations, or one covariance more than 1 GiB.
    """
    shape = tables.shape
    _check_room(shape)
    operations = shape.d * max(shape.n_symbols(level) for level in range(shape.L + 1)) ** 3
    if max(shape.d << 17, operations) > _MOST_OPERATIONS:
        rule = f"of all {shape.d:.3g} tokens of {shape} take {operations:.1g} operations"
        way_out = "ask for pairs, by `covariance(i, j)`, or for the ensemble, by `rms_correlation`"
        raise InputError("the correlations", NOT_SAID, rule, way_out)
    by_position = []
    # target side: covariance of a level-l node with the last token needs the product of last branches below
    for level in range(shape.L, 0, -1):
        s = shape.n_children(level)
        pi = tables.marginal(level, shape.width(level) - 1)
        target = np.eye(shape.n_symbols(level - 1))
        for below in range(level - 1, 0, -1):
            target = target @ tables.transition(below)[-1]
        # (s - 1, v_(l-1), v_0) covariances of the target's left siblings with it
        stack = np.stack([_sibling_covariance(tables, level, pi, p, s - 1) @ target for p in range(s - 1)])
        by_position.append(_descend(tables, stack, level - 1))
    last = tables.marginal(0, shape.d - 1)
    itself = np.mean((np.diag(last) - np.outer(last, last)) ** 2)
    return np.asarray(np.sqrt(np.concatenate([*by_position, [itself]])[::-1]))


def _check_room(shape: Shape) -> None:
    size = max(shape.n_symbols(level) for level in range(shape.L + 1)) ** 2
    if size > _LARGEST_COVARIANCE:
        rule = f"of {shape} takes {size >> 17} MiB, more than {_LARGEST_COVARIANCE >> 17}"
        way_out = "lower `v`, or use the ensemble's rms_correlation, which needs no grammar"
        raise InputError("a covariance", NOT_SAID, rule, way_out)


def _descend(tables: Tables, stack: FloatArray, level: int) -> FloatArray:
    """Mean squares at all tokens below ``stack`` (nodes, v_level, v_0), in order of position."""
    if level == 0:
        return np.asarray(np.mean(stack**2, axis=(1, 2)))
    T = tables.transition(level)  # (s, v_level, v_(level-1))
    nodes = len(stack)
    if nodes > 1 and nodes * T.shape[0] * T.shape[2] * stack.shape[2] > _LARGEST_BLOCK:
        halves = stack[: nodes // 2], stack[nodes // 2 :]
        return np.concatenate([_descend(tables, half, level) for half in halves])
    children = np.matmul(T.transpose(0, 2, 1)[None], stack[:, None])
    return _descend(tables, children.reshape(-1, *children.shape[2:]), level - 1)


def _sibling_covariance(tables: Tables, level: int, pi: FloatArray, p: int, q: int) -> FloatArray:
    """Covariance of children p != q of a level-``level`` node whose symbol has marginal ``pi``."""
    rules = tables.rules(level)  # (v_l, m, s)
    below = tables.shape.n_symbols(level - 1)
    weight = pi[:, None] * tables.rule_probabilities(level)
    joint = np.zeros((below, below))
    np.add.at(joint, (rules[:, :, p], rules[:, :, q]), weight)
    T = tables.transition(level)
    return np.asarray(joint - np.outer(pi @ T[p], pi @ T[q]))
