"""What the beginning of a sentence tells about every symbol of its derivation.

Equation noise-ceiling of docs/theory_noise.md is `PrefixPosteriors.explained`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rhmtheory.exact._evidence import read_evidence
from rhmtheory.exact._messages import NO_ROOM, marginals
from rhmtheory.exact.entropy import shannon
from rhmtheory.support.checks import as_int
from rhmtheory.support.memory import allocate
from rhmtheory.support.types import FloatArray
from rhmtheory.tree.tables import Tables


class PrefixPosteriors(NamedTuple):
    """Posteriors of all nodes given the first t = 0..d tokens. Made by `prefix_posteriors`; entries go by level."""

    levels: tuple[int, ...]
    """Levels asked for, those of the entries below."""
    posteriors: tuple[FloatArray, ...]
    """(P, d + 1, width, v_level) each."""
    entropy: tuple[FloatArray, ...]
    """(d + 1, width) each: mean entropy of the posteriors, nats."""
    information: tuple[FloatArray, ...]
    """(d + 1, width) each: mean ``KL(posterior || marginal)``. Over many sentences it is the mutual information of
    node and prefix, nats."""
    explained: tuple[FloatArray, ...]
    """(d + 1, width) each: share of the variance of the node's one-hot symbol, R^2, that the posterior explains. No
    probe of what has seen the prefix alone explains more. NaN for nodes of one symbol."""


def prefix_posteriors(
    tables: Tables, evidence: npt.ArrayLike, *, levels: Sequence[int] | None = None, threads: int | None = None
) -> PrefixPosteriors:
    """Posteriors of every node of the tree given every prefix, with their entropy and information.

    Parameters
    ----------
    tables : Tables
    evidence : array, shape (P, d) or (P, d, v)
        Tokens, or beliefs about them, as in `posteriors`.
    levels : sequence of ints, optional
        Levels of the nodes; by default all, 0..L.
    threads : int, optional
        As in `posteriors`.

    Returns
    -------
    PrefixPosteriors

    Raises
    ------
    InputError
        As `posteriors`; a sentence must be grammatical.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> found = prefix_posteriors(g, g.sample(500, seed=1))
    >>> found.information[3][:, 0].round(2)  # of the root, by the number of tokens seen
    array([0.  , 0.25, 0.66, 1.2 , 1.28, 1.63, 1.83, 2.03, 2.08])
    """
    shape = tables.shape
    asked = range(shape.L + 1) if levels is None else levels
    chosen = tuple(as_int("levels", level, low=0, high=shape.L) for level in asked)
    nodes = {level: np.ones((1, shape.width(level)), bool) for level in chosen}
    read, single = read_evidence(tables, evidence, None, None)
    array = np.asarray(evidence)[None] if single else np.asarray(evidence)
    rooms = [(read.samples, shape.d + 1, shape.width(level), shape.n_symbols(level)) for level in chosen]
    out = allocate(rooms, np.float64, NO_ROOM)
    for t in range(shape.d + 1):
        seen, _ = read_evidence(tables, array, np.arange(shape.d) >= t, None)
        for level, p in marginals(tables, seen, nodes, "raise", threads).items():
            found = out[chosen.index(level)]
            found[:, t] = p.reshape(found[:, t].shape)
    own = [np.array([tables.marginal(level, i) for i in range(shape.width(level))]) for level in chosen]
    entropy, information, explained = [], [], []
    for p, marginal in zip(out, own, strict=True):
        # the logarithm of the marginal averages to the cross entropy, where it has one
        log = np.log(marginal, where=marginal > 0, out=np.zeros_like(marginal))
        entropy.append(shannon(p).mean(axis=0))
        information.append(-entropy[-1] - np.einsum("ptwv,wv->tw", p, log) / max(1, len(p)))
        variance = 1 - np.square(marginal).sum(axis=1)
        left = 1 - np.einsum("ptwv,ptwv->tw", p, p) / max(1, len(p))
        explained.append(1 - left / np.where(variance > 1e-12, variance, np.nan))
    return PrefixPosteriors(chosen, tuple(out), tuple(entropy), tuple(information), tuple(explained))
