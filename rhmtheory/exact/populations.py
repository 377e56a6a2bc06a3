"""Noise on the leaves of a deep tree: what is left of each level, by populations of beliefs in place of sentences.

The subtrees below the children of a node are independent given their symbols, so the law of a node's belief follows
from that of its children's beliefs. A population of drawn beliefs stands for each symbol of each level: the cost
grows with the number of levels and not with that of tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rhmtheory._kernels import populations as kernels
from rhmtheory.support.checks import as_choice, as_generator, as_int, as_numbers
from rhmtheory.support.errors import InputError, ResourceError
from rhmtheory.support.types import FloatArray
from rhmtheory.tree.tables import Tables

PROCESSES = ("channel", "epsilon")
_LARGEST = 1 << 27


class Overlaps(NamedTuple):
    """Mean belief in the right symbol of the nodes of each level, 0..L. Made by `overlaps`."""

    noise: FloatArray
    """(noise levels,)"""
    belief: FloatArray
    """Given all leaves, (noise levels, L + 1)."""
    alone: FloatArray
    """The same given the leaves below the node alone: it is the root of a tree of so many levels, its symbol
    uniform beforehand; (noise levels, L + 1)."""


def overlaps(
    tables: Tables,
    noise: npt.ArrayLike,
    *,
    process: str = "channel",
    members: int = 512,
    seed: int | np.random.Generator = 0,
) -> Overlaps:
    """Mean belief in the right symbol of the nodes of each level, when every leaf is noisy.

    Two processes, which differ in what an observer sees of a leaf of symbol a:

    - ``"channel"``: a symbol that is a with probability ``1 - noise`` and else drawn uniformly; the observer knows
      this law, so that beliefs are calibrated. Denoisers are trained on it.
    - ``"epsilon"``: a belief centred on a, ``(1 - noise) [x = a] + noise / v``, in every sentence the same. No
      observation has it for a posterior; `formulas.belief_map` describes it (arXiv:2402.16991).

    Parameters
    ----------
    tables : Tables
        One grammar.
    noise : array of numbers from 0 to 1
    process : {"channel", "epsilon"}
    members : int
        Beliefs per symbol and level. The statistical error falls as one over the root of their number.
    seed : int or numpy.random.Generator
        All noise levels share their random numbers, so that curves are smooth.

    Returns
    -------
    Overlaps

    Raises
    ------
    InputError
        For noise outside [0, 1] and an unknown process.
    ResourceError
        Where the populations do not fit in memory.

    Notes
    -----
    Derived in noise-population of docs/theory_noise.md. The posterior of a node is what is known from below times
    what is known from outside, both of which follow from their own populations.
    """
    levels = np.atleast_1d(as_numbers("noise", noise))
    if not ((levels >= 0) & (levels <= 1)).all():
        raise InputError("noise", noise, "leaves the range of probabilities", "give numbers from 0 to 1")
    as_choice("process", process, PROCESSES)
    members = as_int("members", members, low=1)
    needed = sum(tables.shape.n_symbols(level) ** 2 for level in range(tables.shape.L + 1)) * members
    if needed > _LARGEST:
        raise ResourceError(
            "members", members, f"take {needed >> 17} MiB for all levels", "lower them, or the number of symbols"
        )
    key = int(as_generator(seed).integers(1 << 63))
    rows = [_beliefs(tables, float(x), process, members, np.random.default_rng(key)) for x in levels.ravel()]
    shape = *levels.shape, 2, tables.shape.L + 1
    both = np.array(rows).reshape(shape)
    return Overlaps(levels, both[..., 0, :], both[..., 1, :])


def _beliefs(tables: Tables, noise: float, process: str, members: int, rng: np.random.Generator) -> FloatArray:
    L = tables.shape.L
    inside = [_leaves(tables.shape.n_symbols(0), noise, process, members, rng)]
    for level in range(1, L + 1):
        rules, weights = tables.rules(level), tables.rule_probabilities(level)
        v, _, s = rules.shape
        out = np.empty((v, members, v))
        used = _chosen(weights, members, rng)
        kernels.upward(out, inside[-1], rules, weights, used, rng.integers(members, size=(v, members, s)))
        inside.append(out)
    nodes = max(members * 8, 4096)
    symbol = rng.choice(len(tables.prior), size=nodes, p=tables.prior)
    outside = np.broadcast_to(tables.prior, (nodes, len(tables.prior))).copy()
    found = np.empty(L + 1)
    for level in range(L, 0, -1):
        found[level] = kernels.mean_right(outside, symbol, inside[level], rng.integers(members, size=nodes))
        rules, weights = tables.rules(level), tables.rule_probabilities(level)
        s = rules.shape[2]
        below, child = np.empty((nodes, inside[level - 1].shape[2])), np.empty(nodes, np.int64)
        used = (rng.random(nodes)[:, None] >= weights.cumsum(axis=1)[symbol][:, :-1]).sum(axis=1)
        kernels.downward(
            below, child, outside, symbol, inside[level - 1], rules, weights,
            used, rng.integers(s, size=nodes), rng.integers(members, size=(nodes, s)),
        )  # fmt: skip
        outside, symbol = below, child
    found[0] = kernels.mean_right(outside, symbol, inside[0], rng.integers(members, size=nodes))
    return np.array([found, [float(one.diagonal(axis1=0, axis2=2).mean()) for one in inside]])


def _chosen(weights: FloatArray, members: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A rule for each member of each symbol, (v, members)."""
    draws = rng.random((len(weights), members))
    return np.asarray((draws[:, :, None] >= weights.cumsum(axis=1)[:, None, :-1]).sum(axis=-1))


def _leaves(v: int, noise: float, process: str, members: int, rng: np.random.Generator) -> FloatArray:
    """Beliefs about leaves of each symbol, (v, members, v)."""
    draws, other = rng.random((v, members)), rng.integers(v, size=(v, members))
    own = np.broadcast_to(np.arange(v)[:, None], (v, members))
    seen = own if process == "epsilon" else np.where(draws < noise, other, own)
    return np.asarray(noise / v + (1 - noise) * np.eye(v)[seen])
