"""Tuples of recovered symbols as numbers, and how they are grouped into the symbols of the next level."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.cluster.vq import kmeans2
from scipy.spatial.distance import pdist

from rhmtheory._kernels import counting as kernels
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import smallest_unsigned
from rhmtheory.support.errors import InputError
from rhmtheory.support.parallel import for_ranges
from rhmtheory.support.types import FloatArray
from rhmtheory.tree._tuples import count

_LARGEST_TABLE = 1 << 27
"""Counts of one level (1 GiB)."""
_LARGEST_LINKAGE = 4096
"""Tuples grouped by Ward's method, whose cost is quadratic; more are grouped by k-means."""
_LEAST_ROWS_A_THREAD = 1 << 14


def _tuples(rhm: RHM, level: int) -> int:
    """Number of tuples of level-(level-1) symbols, "not seen" being one more symbol."""
    base, s = rhm.n_symbols(level - 1) + 1, rhm.n_children(level)
    if base**s * rhm.n_symbols(0) > _LARGEST_TABLE:
        raise InputError(
            "v",
            base - 1,
            f"symbols in tuples of `s`={s} need a table of {base**s} x {rhm.n_symbols(0)} counts, more than 2**27",
            "lower `v` or `s`",
        )
    return count(base, s)


def encode_tuples(rhm: RHM, level: int, below: npt.NDArray[Any], threads: int | None = None) -> npt.NDArray[Any]:
    """Number the tuples of level-(level-1) symbols: (n, width) to (n, width / s)."""
    s, base = rhm.n_children(level), rhm.n_symbols(level - 1) + 1
    out = np.empty((len(below), below.shape[1] // s), smallest_unsigned(_tuples(rhm, level)))
    for_ranges(
        lambda a, b: kernels.tuple_codes(out, below, base, s, s, a, b),
        len(below),
        threads=threads,
        least=_LEAST_ROWS_A_THREAD,
    )
    return out


def look_up(
    codes: npt.NDArray[Any], tables: npt.NDArray[Any], v: int, threads: int | None = None
) -> npt.NDArray[Any]:
    """Symbol of each tuple, shape of ``codes`` (n, positions).

    The last of ``tables`` is for the last position; the others are for one position each, or the first for all.
    """
    width, last = codes.shape[1], len(tables) - 1
    which = np.arange(width) if len(tables) == width else np.append(np.zeros(width - 1, np.int64), last)
    out = np.empty(codes.shape, smallest_unsigned(v + 1))
    for_ranges(
        lambda a, b: kernels.relabel(out, codes, tables, which, a, b),
        len(codes),
        threads=threads,
        least=_LEAST_ROWS_A_THREAD,
    )
    return out


def spine_counts(rhm: RHM, level: int, codes: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Counts of the last tuple, shape (left siblings, symbols of level - 1, "not seen" included)."""
    return np.bincount(codes[:, -1], minlength=_tuples(rhm, level)).reshape(-1, rhm.n_symbols(level - 1) + 1)


def target_last(rhm: RHM, position: int, level: int) -> npt.NDArray[np.int64]:
    """Order of the nodes of a level in which those above the target stand last among their siblings.

    Below the target's ancestors the other children keep their order, and so do all children of other nodes.
    """
    order, position = np.zeros(1, np.int64), position % rhm.d
    for k in range(rhm.L, level, -1):
        s = rhm.n_children(k)
        children = (order[:, None] * s + np.arange(s)).ravel()
        above = position // rhm.span(k - 1)
        own = children[-s:]
        order = np.concatenate([children[:-s], own[own != above], [above]])
    return order


def group(
    rhm: RHM,
    level: int,
    codes: npt.NDArray[Any],
    target: npt.NDArray[Any],
    sharing: bool,
    profile: str,
    threads: int | None,
) -> npt.NDArray[Any]:
    """Table (positions, codes) of the level-``level`` symbol for each tuple; ``codes`` is (P, positions).

    ``target`` (P, 1 or k) holds the last token and, for tuples below siblings of h_k, the symbol of h_(k-1).
    """
    width, siblings = codes.shape[1], rhm.n_children(level + 1) - 1
    beside = np.arange(width - 1 - siblings, width - 1)
    positions = beside if sharing else np.arange(width - 1)
    ends = [rhm.span(k) // rhm.span(level) for k in range(level + 1, target.shape[1] + 1)]
    branch = np.searchsorted(ends, width - 1 - positions, side="right") + level
    at = np.minimum(branch, target.shape[1]) - 1
    symbols = rhm.n_symbols(0) if target.shape[1] == 1 else max(map(rhm.n_symbols, range(target.shape[1]))) + 1
    views = _count(rhm, level, codes, positions, target, at, symbols, threads)
    if sharing:
        # a symbol that never occurs beside the target has a profile of zeros there, which names it, too
        anywhere = np.bincount(codes[:, :-1].ravel(), minlength=views.shape[1])
        tables = _clusters(rhm, level, views, profile, anywhere)[None]
        near = tables
    else:
        tables = np.stack([_clusters(rhm, level, view[None], profile, view.sum(axis=1)) for view in views])
        near = tables[beside]
    # the last tuple holds the target: it is grouped by its correlation with the recovered symbols beside it
    recovered = look_up(codes[:, beside], near, rhm.n_symbols(level), threads)
    last = np.full(siblings, width - 1)
    counts = _count(rhm, level, codes, last, recovered, np.arange(siblings), rhm.n_symbols(level) + 1, threads)
    own = _clusters(rhm, level, counts[:, :, :-1], profile, counts.sum(axis=(0, 2)))
    return np.concatenate([tables, own[None]])


def group_by_class(
    rhm: RHM,
    level: int,
    codes: npt.NDArray[Any],
    classes: npt.NDArray[Any],
    sharing: bool,
    profile: str,
    threads: int | None,
) -> npt.NDArray[Any]:
    """Table (positions, codes) of the level-``level`` symbol for each tuple, by its correlation with ``classes``.

    ``classes`` has shape (P, 1). Tuples at all positions are alike; with sharing their profiles stand side by side.
    """
    width = codes.shape[1]
    first = np.zeros(width, np.int64)
    views = _count(rhm, level, codes, np.arange(width), classes, first, rhm.n_symbols(rhm.L), threads)
    if sharing:
        table = _clusters(rhm, level, views, profile, views.sum(axis=(0, 2)))
        return np.stack([table, table])
    return np.stack([_clusters(rhm, level, view[None], profile, view.sum(axis=1)) for view in views])


def _count(
    rhm: RHM,
    level: int,
    codes: npt.NDArray[Any],
    positions: npt.NDArray[np.int64],
    target: npt.NDArray[Any],
    at: npt.NDArray[np.int64],
    symbols: int,
    threads: int | None,
) -> npt.NDArray[np.int64]:
    """Counts (positions, codes, symbols) of the tuple at each position with column ``at`` of the target."""
    counts = np.zeros((len(positions), _tuples(rhm, level), symbols), np.int64)
    for_ranges(
        lambda a, b: kernels.count_at(counts, codes, target, positions, at, a, b),
        len(positions),
        threads=threads,
        least=max(1, _LEAST_ROWS_A_THREAD // len(codes)),
    )
    return counts


def _clusters(
    rhm: RHM, level: int, views: npt.NDArray[np.int64], profile: str, occurs: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    """Group the tuples that occur by their profiles in ``views`` (views, codes, symbols): symbol of each code."""
    v, base = rhm.n_symbols(level), rhm.n_symbols(level - 1) + 1
    table = np.full(views.shape[1], v, smallest_unsigned(v + 1))
    known = np.ones(1, bool)
    for _ in range(rhm.n_children(level)):  # a tuple with a symbol that was not seen has no parent
        known = (known[:, None] & (np.arange(base) < base - 1)).ravel()
    seen = np.flatnonzero(known & (occurs > 0))
    profiles = np.concatenate(list(_profiles(views[:, seen].astype(float), profile)), axis=1)
    # a symbol that does not occur here leaves its m tuples out
    groups = min(v, -(-len(seen) // rhm.n_rules(level)))
    if len(seen) <= groups:
        table[seen] = np.arange(len(seen))
    elif len(seen) <= _LARGEST_LINKAGE:
        table[seen] = fcluster(linkage(pdist(profiles), "ward"), groups, "maxclust") - 1
    else:
        table[seen] = kmeans2(profiles, groups, minit="++", rng=np.random.default_rng(0))[1]
    return table


def _profiles(joint: FloatArray, profile: str) -> FloatArray:
    """What the tuples of counts (views, tuples, symbols) are compared by, the same shape."""
    n = joint.sum(axis=2, keepdims=True)
    if profile == "hellinger":
        return np.asarray(np.sqrt(np.divide(joint, n, out=np.zeros_like(joint), where=n > 0)))
    P = np.maximum(n.sum(axis=1, keepdims=True), 1)
    return np.asarray(joint / P - n / P * (joint.sum(axis=1, keepdims=True) / P))
