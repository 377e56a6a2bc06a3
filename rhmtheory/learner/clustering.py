"""The clustering learner: hidden symbols from correlations with the target, level by level, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.language.rhm import RHM
from rhmtheory.learner._grouping import encode_tuples, group, group_by_class, look_up, spine_counts, target_last
from rhmtheory.support.checks import as_choice, as_int, as_integers, as_tokens, check_tokens
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue
from rhmtheory.tree._tuples import encode

PROFILES = ("covariance", "hellinger")
"""What tuples are compared by: see `learn`."""

TARGETS = ("token", "spine", "class")
"""What tuples are correlated with: see `learn`."""

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
        Pair-F1 of the level-1 symbols below the scored nodes. Without sharing, the predicted threshold refers to
        this number; ``pair_f1`` requires all intermediate levels as well.
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
class ClusterModel(ByValue):
    """Symbols and rules that the clustering learner found. Made by `learn`.

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
    position : int
        Position of the target, the token that is predicted.
    """

    rhm: RHM
    sharing: bool
    highest_level: int
    samples: int
    tables: tuple[npt.NDArray[Any], ...]
    depth: int = -1
    _spine: tuple[npt.NDArray[np.int64], ...] = field(default=(), repr=False)
    _blend: float = 0.0
    position: int = -1

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
            codes = encode_tuples(self.rhm, level, out[-1])
            out.append(look_up(codes, self.tables[level - 1], self.rhm.n_symbols(level)))
        return out

    def score(self, trees: Sequence[npt.ArrayLike]) -> list[LevelScore]:
        """Compare recovered with true symbols, on samples that the learner did not see.

        Parameters
        ----------
        trees : list of L + 1 arrays
            Symbols of all levels, as from ``grammar.sample_trees(n).levels`` or ``grammar.parse(tokens).levels``.

        Returns
        -------
        list of LevelScore
            For hidden levels 1..``highest_level``: level k is scored on the siblings of the node of level k above
            the target, where it is clustered first (mean over the siblings).
        """
        if len(trees) != self.rhm.L + 1:
            raise InputError(
                "trees",
                rule=f"hold {len(trees)} levels",
                way_out=f"give all {self.rhm.L + 1}, tokens first, as from grammar.sample_trees(n).levels",
            )
        recovered = self.symbols(trees[0])
        arrays = [np.asarray(level)[:, target_last(self.rhm, self.position, k)] for k, level in enumerate(trees)]
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
        """The checked tokens below the target's ancestor of level ``highest_level`` + 1, the target last."""
        columns = target_last(self.rhm, self.position, 0)[-self.rhm.span(self.highest_level + 1) :]
        return np.ascontiguousarray(_checked(tokens, self.rhm)[:, columns])

    def _predictions(self, tokens: npt.ArrayLike, depth: int, blend: float) -> list[FloatArray]:
        """Blended predictions that use hidden levels up to -1, 0, .., depth; each blends in the one before."""
        if not self._spine:
            raise InputError(
                "this model", rule="was learnt without a predictor", way_out="call learn(..., predictor=True)"
            )
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
    rhm: RHM,
    tokens: npt.ArrayLike,
    *,
    sharing: bool,
    highest_level: int | None = None,
    profile: str = "covariance",
    targets: str = "token",
    labels: npt.ArrayLike | None = None,
    position: int = -1,
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
    rhm : RHM
        Shape of the tree and numbers of symbols and rules. The rules themselves are not known to the learner.
    tokens : integer array, shape (P, d)
        Sentences.
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
        ``"class"``: all tuples, with the ``labels``; tuples at all positions are then seen alike.
    labels : integer array, shape (P,), optional
        Class of each sentence, its root symbol, for that target.
    position : int
        Position of the token that is the target: the last one, or a masked one with tokens on both sides.
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
    >>> model = learn(rhm, grammar.sample(200000, seed=1), sharing=True)
    >>> [round(score.pair_f1, 2) for score in model.score(grammar.sample_trees(2000, seed=2).levels)]
    [1.0, 1.0]
    """
    as_choice("profile", profile, PROFILES)
    as_choice("targets", targets, TARGETS)
    if (targets == "class") != (labels is not None):
        raise InputError("labels", rule="go with `targets`='class'", way_out="give both or neither")
    if targets == "class" and predictor:
        raise InputError("predictor", predictor, "predicts the last token, and not the class", "give False")
    if rhm.L < 2:
        raise InputError("L", rhm.L, "has no hidden level below the root", "use at least 2 levels")
    top = rhm.L - 1 if highest_level is None else as_int("highest_level", highest_level, low=1, high=rhm.L - 1)
    array = _checked(tokens, rhm)
    place = as_int("position", position, low=-rhm.d, high=rhm.d - 1) % rhm.d
    array = np.ascontiguousarray(array[:, target_last(rhm, place, 0)])
    if len(array) < 10:
        raise InputError(f"{len(array)} samples", rule="are too few to group anything", way_out="give at least 10")
    aside = min(len(array) // 10, 10_000) if predictor else 0
    training = array[: len(array) - aside]
    target = training[:, -1:]
    if targets == "spine" and top > 1:
        lower = learn(
            rhm,
            training,
            sharing=sharing,
            highest_level=top - 1,
            profile=profile,
            targets=targets,
            predictor=False,
            threads=threads,
        )
        target = np.stack([symbols[:, -1] for symbols in lower.symbols(training)], axis=1)
    classes = None if labels is None else _checked_labels(labels, rhm, len(array))
    tables: list[npt.NDArray[Any]] = []
    spine: list[npt.NDArray[np.int64]] = []
    below = np.ascontiguousarray(training[:, -rhm.span(top + 1) :])
    for level in range(1, top + 1):
        codes = encode_tuples(rhm, level, below, threads)
        spine.append(spine_counts(rhm, level, codes))
        if classes is None:
            table = group(rhm, level, codes, target, sharing, profile, threads)
        else:
            table = group_by_class(rhm, level, codes, classes, sharing, profile, threads)
        tables.append(table)
        below = look_up(codes, table, rhm.n_symbols(level), threads)
    spine.append(spine_counts(rhm, top + 1, encode_tuples(rhm, top + 1, below, threads)))
    model = ClusterModel(rhm, sharing, top, len(array), tuple(tables))
    if predictor:  # the target is last here, and in its place for users
        model = _with_predictor(model, tuple(spine), array[len(array) - aside :])
    return replace(model, position=place)


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
        raise InputError(
            "tokens", rule=f"have shape {array.shape}", way_out=f"give (samples, d) with d={rhm.d} tokens"
        )
    check_tokens(array, rhm.n_symbols(0), f"these are not sentences of {rhm}")
    return array


def _checked_labels(labels: npt.ArrayLike, rhm: RHM, samples: int) -> npt.NDArray[Any]:
    array = as_integers("labels", labels)
    if array.shape != (samples,):
        raise InputError(
            "labels", rule=f"have shape {array.shape}", way_out=f"give one for each of {samples} samples"
        )
    check_tokens(array, rhm.n_symbols(rhm.L), f"labels are classes of {rhm}")
    return array[:, None]


def _normalised(weights: FloatArray) -> FloatArray:
    """Rows scaled to sum one; rows of zeros stay."""
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(weights, total, out=np.zeros_like(weights), where=total > 0))
