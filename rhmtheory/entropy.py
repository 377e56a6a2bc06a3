"""Loss plateaus of one grammar: the exact entropy of the last token given ever longer contexts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rhmtheory._checks import InputError
from rhmtheory._kernels import entropy as kernels
from rhmtheory._types import FloatArray
from rhmtheory.grammar import Grammar

_RESOLUTION = 2.0**-40
"""Beliefs that agree to this absolute precision (1e-12) are one state."""
_LARGEST_BLOCK = 1 << 23
"""Floats of the filter's output held at once (64 MiB)."""
_LARGEST_STATES = 1 << 26
"""Floats of merged states kept (512 MiB); a grammar that needs more is refused."""


class _States(NamedTuple):
    """Distinct beliefs about one node of the spine, (states, v_l), rows summing to one, and their probability."""

    beliefs: FloatArray
    probability: FloatArray


def plateaus(grammar: Grammar) -> FloatArray:
    r"""Exact entropies of the last token given the ``s**k - 1`` tokens before it, for k = 0..L.

    The grammar is unambiguous, so the context is equivalent to the tuples of left siblings along the spine
    ``h_k -> ... -> h_0`` that leads to the last token. The spine is a Markov chain, its filter costs one pass
    over the rules a level. Beliefs that agree are merged: after a few levels the compatible symbols share
    their ancestors and few distinct beliefs remain, so any depth is reached without listing the contexts.

    Parameters
    ----------
    grammar : Grammar

    Returns
    -------
    array, shape (L + 1,), nats
        ``H_0`` is the entropy of the last token alone, ``H_L`` the floor of the loss. The belief about
        ``h_k`` before anything is seen is its true marginal at the last position.

    Raises
    ------
    InputError
        Where the distinct beliefs do not fit in memory (dense grammars, f near 1, with many levels).

    Notes
    -----
    Source: arXiv:2406.00048, section 3, for the definition; merging makes it exact at any depth.
    """
    H = np.empty(grammar.rhm.L + 1)
    for k in range(grammar.rhm.L + 1):
        pi = grammar.marginal(k, grammar.rhm.width(k) - 1)
        states = _States(pi[None], np.ones(1))
        for level in range(k, 0, -1):
            states = _observe_left_siblings(grammar, level, states)
        H[k] = states.probability @ shannon(states.beliefs)
    return H


def shannon(p: FloatArray) -> FloatArray:
    """Shannon entropy in nats over the last axis."""
    return np.asarray(-np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1))


def _observe_left_siblings(grammar: Grammar, level: int, states: _States) -> _States:
    """From beliefs about h_level to those about h_(level-1), for every observation of its left siblings."""
    rules = grammar.rules(level)  # (v_l, m, s)
    v, m, s = rules.shape
    _, observed = np.unique(rules[:, :, :-1].reshape(-1, s - 1), axis=0, return_inverse=True)
    parent, child = np.repeat(np.arange(v), m), rules[:, :, -1].ravel().astype(np.int64)
    weight = grammar.rule_probabilities(level).ravel()
    shape = int(observed.max()) + 1, grammar.rhm.symbols(level - 1)
    block = max(1, _LARGEST_BLOCK // (shape[0] * shape[1]))
    parts = []
    for start in range(0, len(states.beliefs), block):
        beliefs = states.beliefs[start : start + block]
        out = np.zeros((len(beliefs), *shape))
        kernels.filter_step(out, beliefs, parent, observed.ravel(), child, weight)
        prior = np.repeat(states.probability[start : start + block], shape[0])
        parts.append(_merge(out.reshape(-1, shape[1]), prior))
        if sum(part.beliefs.size for part in parts) > _LARGEST_STATES:
            raise InputError(
                f"the exact plateaus of {grammar} need more than {_LARGEST_STATES // shape[1]} distinct beliefs "
                f"at level {level - 1}: use fewer levels or a sparser grammar "
                f"(here f={grammar.rhm.fraction(level):.3g})"
            )
    if len(parts) == 1:
        return parts[0]
    return _merge(
        np.concatenate([part.beliefs for part in parts]), np.concatenate([part.probability for part in parts])
    )


def _merge(weights: FloatArray, prior: FloatArray) -> _States:
    """Normalise rows in place, drop impossible ones, and join those that agree."""
    mass = np.empty(len(weights))
    keys = np.empty(len(weights), np.uint64)
    multipliers = np.random.default_rng(0).integers(2**64, size=weights.shape[1], dtype=np.uint64) | np.uint64(1)
    kernels.normalise(weights, mass, keys, multipliers, _RESOLUTION)
    possible = np.flatnonzero(mass)
    _, first, which = np.unique(keys[possible], return_index=True, return_inverse=True)
    probability = np.bincount(which, weights=(mass * prior)[possible], minlength=len(first))
    return _States(weights[possible[first]], probability.astype(np.float64))
