"""The clustering learner: hidden symbols from correlations with the target, level by level, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.cluster.vq import kmeans2
from scipy.spatial.distance import pdist

from rhmtheory._kernels import counting as kernels
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_choice, as_int, as_tokens, check_tokens, smallest_unsigned
from rhmtheory.support.errors import InputError
from rhmtheory.support.parallel import for_ranges
from rhmtheory.support.types import FloatArray
from rhmtheory.tree._tuples import count, encode

PROFILES = ("covariance", "hellinger")
"""What tuples are compared by: see `learn`."""

TARGETS = ("token", "spine")
"""What tuples are correlated with: see `learn`."""

_LARGEST_TABLE = 1 << 27
"""Counts of one level (1 GiB)."""
_LARGEST_LINKAGE = 4096
"""Tuples grouped by Ward's method, whose cost is quadratic; more are grouped by k-means."""
_LEAST_ROWS_A_THREAD = 1 << 14
_BLENDS = (1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3)
"""Weights of the shallower prediction that validation chooses from."""


@dataclass(frozen=True)
class LevelScore:
    """How well the recovered symbols of one level agree with the true ones, over pairs of *different* tuples.

    Two sentences agree trivially where they hold the same tuple, so only pairs whose true tuples of children
    differ are counted (all of them in a level where each tuple occurs once).

    Attributes
    ----------
    level : int
        Hidden level k.
    pair_f1 : float
        Harmonic mean of precision and recall of "same recovered symbol" for "same true symbol".
    adjusted_rand : float
        Rand index over the same pairs, less its value for unrelated groupings of these sizes; 1 for agreement,
        0 on average for chance.
    precision, recall : float
    tuple_f1 : float
        Pair-F1 of the first step on the way: the tuples of tokens below the scored nodes, level 1 there. It is
        what a threshold "signal = noise" speaks of without sharing; ``pair_f1`` also needs all steps between.
    """

    level: int
    pair_f1: float
    adjusted_rand: float
    precision: float
    recall: float
    tuple_f1: float

    def __str__(self) -> str:
        return f"level {self.level}: pair-F1 {self.pair_f1:.3f}, adjusted Rand index {self.adjusted_rand:.3f}"


@dataclass(frozen=True, eq=False)
class ClusterModel:
    """What the clustering learner found. Made by `learn`.

    Attributes
    ----------
    rhm : RHM
        The shape of the tree and the numbers of symbols and rules.
    sharing : bool
    highest_level : int
        Highest hidden level that was clustered.
    samples : int
        P, validation samples included.
    tables : tuple of arrays
        ``tables[k - 1]``, shape (positions, (v + 1)**s): the symbol of level k recovered for each tuple of
        recovered level-(k-1) symbols, at each position. With sharing there are two rows, one for all positions
        but the last and one for the last, which holds the target. Symbol ``v_k`` stands for "not seen".
    depth : int
        Hidden levels used by the predictor, chosen on validation samples; -1 is the frequency of the target.
    """

    rhm: RHM
    sharing: bool
    highest_level: int
    samples: int
    tables: tuple[npt.NDArray[Any], ...]
    depth: int = -1
    _spine: tuple[npt.NDArray[np.int64], ...] = field(default=(), repr=False)
    _blend: float = 0.0

    def symbols(self, tokens: npt.ArrayLike) -> list[npt.NDArray[Any]]:
        """Recovered symbols of levels 0..``highest_level``, numbered in an arbitrary order within each level.

        Parameters
        ----------
        tokens : integer array, shape (n, d)

        Returns
        -------
        list of arrays
            Entry ``k`` has shape (n, width), the nodes of level k below the last node of level
            ``highest_level`` + 1: farther ones are not clustered without sharing. ``v_k`` stands for a tuple not
            seen in training. Without sharing, names of symbols differ from one position to another.
        """
        out = [self._window(tokens)]
        for level in range(1, self.highest_level + 1):
            codes = _encode(self.rhm, level, out[-1])
            out.append(_look_up(codes, self.tables[level - 1], self.rhm.n_symbols(level)))
        return out

    def score(self, trees: Sequence[npt.ArrayLike]) -> list[LevelScore]:
        """Compare recovered with true symbols, on samples that the learner did not see.

        Parameters
        ----------
        trees : list of L + 1 arrays
            Symbols of all levels, as from ``grammar.sample(n, trees=True)`` or ``grammar.parse(tokens)``.

        Returns
        -------
        list of LevelScore
            For hidden levels 1..``highest_level``: level k is scored on the siblings of the node of level k above
            the target, where it is clustered first (mean over the siblings).
        """
        if len(trees) != self.rhm.L + 1:
            raise InputError(
                f"trees hold {len(trees)} levels: give all {self.rhm.L + 1}, tokens first, as from "
                "grammar.sample(n, trees=True)"
            )
        recovered = self.symbols(trees[0])
        arrays = [np.asarray(level) for level in trees]
        scores = []
        for k in range(1, self.highest_level + 1):
            siblings, under = self.rhm.n_children(k + 1) - 1, self.rhm.span(k) // self.rhm.span(1)
            # nodes counted from the right end, where the target is
            nodes = np.mean([self._node_score(k, i, recovered, arrays) for i in range(2, siblings + 2)], axis=0)
            tuples = [
                self._node_score(1, i, recovered, arrays)[0] for i in range(under + 1, under * (siblings + 1) + 1)
            ]
            f1, rand, precision, recall = map(float, nodes)
            scores.append(LevelScore(k, f1, rand, precision, recall, float(np.mean(tuples))))
        return scores

    def _node_score(
        self, k: int, i: int, recovered: list[npt.NDArray[Any]], trees: list[npt.NDArray[Any]]
    ) -> tuple[float, float, float, float]:
        """Agreement at the i-th node of level k from the right."""
        s, below = self.rhm.n_children(k), trees[k - 1]
        end = below.shape[1] - (i - 1) * s
        tuples = encode(below[:, end - s : end], self.rhm.n_symbols(k - 1))
        return _agreement(recovered[k][:, -i], trees[k][:, -i], tuples, self.rhm.n_symbols(k))

    def predict(self, tokens: npt.ArrayLike) -> FloatArray:
        """Probabilities of the last of the ``tokens`` given the others, shape (n, v); it is not looked at."""
        return self._predictions(tokens, self.depth, self._blend)[-1]

    def loss(self, tokens: npt.ArrayLike) -> float:
        """Mean of ``-ln p(last token)`` in nats over ``tokens`` of shape (n, d)."""
        array = self._window(tokens)
        p = self.predict(tokens)[np.arange(len(array)), array[:, -1]]
        return float(-np.log(p).mean())

    def __repr__(self) -> str:
        sharing = "with" if self.sharing else "without"
        return (
            f"<ClusterModel {sharing} sharing of {self.rhm}: {self.highest_level} levels grouped from "
            f"{self.samples} samples, prediction uses level {self.depth}>"
        )

    def _window(self, tokens: npt.ArrayLike) -> npt.NDArray[Any]:
        """The checked tokens below the last node of level ``highest_level`` + 1."""
        return _checked(tokens, self.rhm)[:, -self.rhm.span(self.highest_level + 1) :]

    def _predictions(self, tokens: npt.ArrayLike, depth: int, blend: float) -> list[FloatArray]:
        """Blended predictions that use hidden levels up to -1, 0, .., depth; each blends in the one before."""
        if not self._spine:
            raise InputError("this model was learnt without a predictor: call learn(..., predictor=True)")
        recovered = self.symbols(tokens)
        counts = self._spine[0].sum(axis=0)[: self.rhm.n_symbols(0)] + 1.0
        out = [np.tile(counts / counts.sum(), (len(recovered[0]), 1))]
        # left siblings of the spine at each level, as a number
        left = [
            encode(x[:, -self.rhm.n_children(k + 1) : -1], self.rhm.n_symbols(k) + 1)
            for k, x in enumerate(recovered)
        ]
        for top in range(depth + 1):
            belief = _normalised(self._spine[top][left[top], : self.rhm.n_symbols(top)].astype(float))
            for level in range(top, 0, -1):
                belief = self._descend(level, belief, left[level - 1])
            seen = belief.sum(axis=1, keepdims=True) > 0
            out.append(np.where(seen, (1 - blend) * belief + blend * out[-1], out[-1]))
        return out

    def _descend(self, level: int, belief: FloatArray, left: npt.NDArray[np.int64]) -> FloatArray:
        """Belief about the spine at ``level`` to that about its last child, given the child's left siblings.

        ``p(child | left siblings) ~ sum_h belief(h) p(siblings, child | h)``, where the tuple of siblings and
        child has at most one parent h, the symbol it was grouped into.
        """
        v = self.rhm.n_symbols(level - 1)
        counts = self._spine[level - 1]  # (left siblings, v + 1)
        parent = self.tables[level - 1][-1].reshape(counts.shape)
        mass = np.bincount(parent.ravel(), weights=counts.ravel(), minlength=self.rhm.n_symbols(level) + 1)
        ratio = np.zeros((len(belief), len(mass)))
        np.divide(belief, mass[:-1], out=ratio[:, :-1], where=mass[:-1] > 0)
        return _normalised(counts[left, :v] * np.take_along_axis(ratio, parent[left, :v].astype(np.int64), axis=1))


def learn(
    tokens: npt.ArrayLike,
    rhm: RHM,
    *,
    sharing: bool,
    highest_level: int | None = None,
    profile: str = "covariance",
    targets: str = "token",
    predictor: bool = True,
    threads: int | None = None,
) -> ClusterModel:
    """Recover the hidden symbols of a sample by grouping tuples that correlate alike with the last token.

    Tuples with one parent have one and the same correlation with anything outside them. Level by level, the
    tuples of recovered symbols are therefore grouped by their empirical profile over the target (Ward's
    method), and each group becomes a symbol of the next level. This is the constructive argument behind the
    sample complexities (arXiv:2307.02129, 2406.00048, 2505.07070). Symbols with one and the same law of the
    target, which happens for few rules (m = 2), cannot be told apart by it and stay one group.

    Parameters
    ----------
    tokens : integer array, shape (P, d)
        Sentences; the last column is the target.
    rhm : RHM
        Shape of the tree and numbers of symbols and rules. The rules themselves are not known to the learner.
    sharing : bool
        True: the groups of level k are formed once, at the siblings of the target's level-k ancestor, and used
        at all positions, as a convolutional network does. False: each position forms its own groups from its
        own correlation with the target, as a transformer or a locally connected network does. In both cases
        the tuples that hold the target, or its ancestors, are grouped by their correlation with the recovered
        siblings; they serve the prediction.
    highest_level : int, optional
        Highest hidden level, 1..L-1 (default L-1).
    profile : {"covariance", "hellinger"}
        ``"covariance"``: ``n_ab/P - n_a n_b/P**2``, as in the papers; tuples of one parent agree in it if its
        rules are equally likely. ``"hellinger"``: ``sqrt(n_ab/n_a)``, for any rules, of equal noise in every
        entry and sensitive to targets that never occur; needs fewer samples near the target.
    targets : {"token", "spine"}
        ``"token"``: tuples are correlated with the last token, wherever they are. ``"spine"``: those below the
        siblings of the level-k ancestor of the target, with the ancestor of level k - 1, which context level
        k - 1 and the target determine once the levels below k are known. Its symbols keep a covariance
        ``m**(k - 1)`` times larger in mean square: see the page "What networks do beyond the law".
    predictor : bool
        Also learn to predict the target: up to a tenth of the samples (at most 10000) are set aside to choose
        how many levels it uses. Without it, all samples go into the groups.
    threads : int, optional

    Returns
    -------
    ClusterModel

    Raises
    ------
    InputError
        For tokens of a wrong shape or range, fewer than 10 samples, a single level, or a table of tuples that
        is too large.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> rhm = RHM(v=16, m=4, s=2, L=3)
    >>> grammar = rhm.grammar(seed=0)
    >>> model = learn(grammar.sample(200000, seed=1), rhm, sharing=True)
    >>> [round(score.pair_f1, 2) for score in model.score(grammar.sample(2000, seed=2, trees=True))]
    [1.0, 1.0]
    """
    as_choice("profile", profile, PROFILES)
    as_choice("targets", targets, TARGETS)
    if rhm.L < 2:
        raise InputError(f"L={rhm.L} has no hidden level below the root: use at least 2 levels")
    top = rhm.L - 1 if highest_level is None else as_int("highest_level", highest_level, low=1, high=rhm.L - 1)
    array = _checked(tokens, rhm)
    if len(array) < 10:
        raise InputError(f"{len(array)} samples are too few to group anything: give at least 10")
    aside = min(len(array) // 10, 10_000) if predictor else 0
    training = array[: len(array) - aside]
    target = training[:, -1:]
    if targets == "spine" and top > 1:
        lower = learn(
            training,
            rhm,
            sharing=sharing,
            highest_level=top - 1,
            profile=profile,
            targets=targets,
            predictor=False,
            threads=threads,
        )
        target = np.stack([symbols[:, -1] for symbols in lower.symbols(training)], axis=1)
    tables: list[npt.NDArray[Any]] = []
    spine: list[npt.NDArray[np.int64]] = []
    below = np.ascontiguousarray(training[:, -rhm.span(top + 1) :])
    for level in range(1, top + 1):
        codes = _encode(rhm, level, below, threads)
        spine.append(_spine_counts(rhm, level, codes))
        table = _group(rhm, level, codes, target, sharing, profile, threads)
        tables.append(table)
        below = _look_up(codes, table, rhm.n_symbols(level), threads)
    spine.append(_spine_counts(rhm, top + 1, _encode(rhm, top + 1, below, threads)))
    model = ClusterModel(rhm, sharing, top, len(array), tuple(tables))
    if not predictor:
        return model
    return _with_predictor(model, tuple(spine), array[len(array) - aside :])


def _with_predictor(
    model: ClusterModel, spine: tuple[npt.NDArray[np.int64], ...], validation: npt.NDArray[Any]
) -> ClusterModel:
    """Choose depth and blending of the prediction by the loss on validation samples."""
    model = replace(model, _spine=spine)
    rows, chosen = np.arange(len(validation)), (np.inf, -1, 0.0)
    for blend in _BLENDS:
        for depth, p in enumerate(model._predictions(validation, model.highest_level, blend), start=-1):
            loss = float(-np.log(p[rows, validation[:, -1]]).mean()) if len(rows) else 0.0
            chosen = min(chosen, (loss, depth, blend))
    _, depth, blend = chosen
    return replace(model, depth=depth, _blend=blend)


def _group(
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
    recovered = _look_up(codes[:, beside], near, rhm.n_symbols(level), threads)
    last = np.full(siblings, width - 1)
    counts = _count(rhm, level, codes, last, recovered, np.arange(siblings), rhm.n_symbols(level) + 1, threads)
    own = _clusters(rhm, level, counts[:, :, :-1], profile, counts.sum(axis=(0, 2)))
    return np.concatenate([tables, own[None]])


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


def _agreement(
    recovered: npt.NDArray[Any], truth: npt.NDArray[Any], tuples: npt.NDArray[np.int64], unseen: int
) -> tuple[float, float, float, float]:
    """Pair-F1, adjusted Rand index, precision and recall over pairs of samples with different true tuples."""
    known = recovered != unseen

    def pairs(*columns: npt.NDArray[Any]) -> float:
        key = np.zeros(len(columns[0]), np.int64)
        for column in columns:
            key = key * (int(column.max(initial=0)) + 1) + column
        return float((np.unique(key, return_counts=True)[1].astype(float) ** 2).sum())

    # a tuple has one parent, so that pairs of equal tuples are pairs of equal symbols
    equal = pairs(recovered[known], tuples[known])
    together = pairs(recovered[known]) - equal
    right = pairs(recovered[known], truth[known]) - equal
    true = pairs(truth) - pairs(tuples)
    every = float(len(truth)) ** 2 - pairs(tuples)
    precision = right / together if together else 0.0
    recall = right / true if true else 0.0
    chance = together * true / every if every else 0.0
    room = (together + true) / 2 - chance
    return 2 * right / max(together + true, 1.0), (right - chance) / room if room else 0.0, precision, recall


def _checked(tokens: npt.ArrayLike, rhm: RHM) -> npt.NDArray[Any]:
    array = as_tokens(tokens)
    if array.ndim != 2 or array.shape[1] != rhm.d:
        raise InputError(f"tokens have shape {array.shape}: give (samples, d) with d={rhm.d} tokens")
    check_tokens(array, rhm.n_symbols(0), f"these are not sentences of {rhm}")
    return array


def _tuples(rhm: RHM, level: int) -> int:
    """Number of tuples of level-(level-1) symbols, "not seen" being one more symbol."""
    base, s = rhm.n_symbols(level - 1) + 1, rhm.n_children(level)
    if base**s * rhm.n_symbols(0) > _LARGEST_TABLE:
        raise InputError(
            f"tuples of s={s} out of v={base - 1} symbols need a table of {base**s} x {rhm.n_symbols(0)} counts, "
            "more than 2**27: lower v or s"
        )
    return count(base, s)


def _encode(rhm: RHM, level: int, below: npt.NDArray[Any], threads: int | None = None) -> npt.NDArray[Any]:
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


def _look_up(
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


def _spine_counts(rhm: RHM, level: int, codes: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Counts of the last tuple, shape (left siblings, symbols of level - 1, "not seen" included)."""
    return np.bincount(codes[:, -1], minlength=_tuples(rhm, level)).reshape(-1, rhm.n_symbols(level - 1) + 1)


def _normalised(weights: FloatArray) -> FloatArray:
    """Rows scaled to sum one; rows of zeros stay."""
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(weights, total, out=np.zeros_like(weights), where=total > 0))
