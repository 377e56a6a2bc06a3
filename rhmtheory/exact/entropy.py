"""Entropies of one grammar's sentences: of a token given those before it, exactly or by sampling contexts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import entr, stdtrit

from rhmtheory._kernels import beliefs
from rhmtheory._kernels import entropy as kernels
from rhmtheory.exact._spine import View, see
from rhmtheory.fitting.intervals import CONFIDENCE, Estimate
from rhmtheory.support.checks import as_generator, as_int
from rhmtheory.support.draws import draw_outcomes
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.parallel import for_ranges
from rhmtheory.support.types import FloatArray, as_floats
from rhmtheory.support.values import ByValue
from rhmtheory.tree.tables import Tables

_LARGEST_STATES = 1 << 26
"""Floats of distinct beliefs kept for one node (512 MiB); a grammar that needs more is refused."""
_LARGEST_WEIGHTS = 1 << 17
"""Joint probabilities listed at once (1 MiB for each of four lists), by one thread."""
_LARGEST_BATCH = 1 << 22
"""Floats of sampled beliefs held for one node (32 MiB)."""
_MOST_TOKENS = 1 << 28
"""Entropies computed at once, one of each token (2 GiB)."""

_MOST_BELIEFS = 1 << 38
"""Floats of beliefs of one estimate (some three hours of one core)."""

_MOST_WORK = 1 << 39
"""Weights computed for the entropies of all tokens (ten minutes or so of one core)."""
_NEGLIGIBLE = 5e-12

_IntArray = npt.NDArray[np.int64]
_Node = TypeVar("_Node")
_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class EntropyEstimate(ByValue):
    """A Monte Carlo estimate of entropies, in nats; not an array, so that it cannot pass for the exact values.

    Attributes
    ----------
    mean : array
        Estimates, each the mean over ``samples`` contexts of the entropy of the exact posterior.
    standard_error : array
        Their standard errors. Those of `estimate_next_token_entropies` are correlated: they share the sentences.
    samples : int
        Number of contexts.
    """

    mean: FloatArray
    standard_error: FloatArray
    samples: int

    def __getitem__(self, k: int) -> Estimate:
        """One of the entropies with its interval."""
        best, half = (
            float(self.mean[k]),
            float(stdtrit(self.samples - 1, (1 + CONFIDENCE) / 2) * self.standard_error[k]),
        )
        return Estimate(best, best - half, best + half, count=self.samples, unit="contexts")


class _States(NamedTuple):
    """Distinct beliefs about one node, (states, v_l), rows summing to one, and their probabilities."""

    beliefs: FloatArray
    probability: FloatArray


class _Samples(NamedTuple):
    """Beliefs about one node, one a sampled context, (samples, v_l), and the symbol it has."""

    beliefs: FloatArray
    symbol: _IntArray


def plateaus(tables: Tables) -> FloatArray:
    r"""Entropies of the last token given the ``s**k - 1`` tokens before it, for k = 0..L, exactly.

    The grammar is unambiguous, so the context is equivalent to the tuples of left siblings along the spine
    ``h_k -> ... -> h_0`` that leads to the last token. The spine is a Markov chain, its filter costs one pass
    over the rules per level. Beliefs that agree are merged: after a few levels the compatible symbols share
    their ancestors and few distinct beliefs remain, so any depth is reached without listing the contexts.
    ``H_k`` lies above the entropy given h_k, too; once it is nearer than 5e-12, higher levels are not gone through.

    Parameters
    ----------
    tables : Tables

    Returns
    -------
    array, shape (L + 1,), nats
        ``H_0`` is the entropy of the last token alone, ``H_L`` the floor of the loss. The belief about
        ``h_k`` before anything is seen is its true marginal at the last position.

    Raises
    ------
    InputError
        Where the distinct beliefs do not fit in memory (dense grammars with many levels).

    Notes
    -----
    Source: arXiv:2406.00048, section 3, for the definition; merging makes it exact at any depth. Entries are
    exact to 1e-11: beliefs whose weights agree to a part of 1e-6 become their mean, an error of second order.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> plateaus(RHM(v=8, m=2, s=2, L=3).grammar(seed=0)).round(4)
    array([1.8959, 0.4969, 0.1386, 0.065 ])
    """
    views, marginals = _spine_of_the_last_token(tables)
    out = np.empty(len(marginals))
    for k, pi in enumerate(marginals):
        out[k] = _mean(next(_leaves(k, _certain(pi), _exact(tables, views))))
        if len(pi) ** 2 <= _LARGEST_STATES:
            # no context tells more than h_k does
            known = next(_leaves(k, _States(np.eye(len(pi)), pi), _exact(tables, views)))
            if out[k] - _mean(known) < _NEGLIGIBLE:
                out[k:] = out[k]
                break
    return out


def estimate_plateaus(
    tables: Tables, *, samples: int = 10_000, seed: int | np.random.Generator = 0
) -> EntropyEstimate:
    """Estimate `plateaus` from drawn contexts: for dense grammars (f near 1), whose distinct beliefs are too many.

    Parameters
    ----------
    tables : Tables
    samples : int
        Number of contexts per plateau; the entropies of their exact posteriors are averaged.
    seed : int or numpy.random.Generator

    Returns
    -------
    EntropyEstimate
        Of L + 1 entropies in nats.

    Raises
    ------
    InputError
        For fewer than two samples, and for so many that they take hours.
    """
    views, marginals = _spine_of_the_last_token(tables)

    def entropies(batch: int, rng: np.random.Generator) -> Iterator[FloatArray]:
        step = _sampled(tables, views, rng)
        for k, pi in enumerate(marginals):
            yield shannon(next(_leaves(k, _draw_roots(pi, batch, rng), step)).beliefs)

    return _estimate(tables, entropies, tables.shape.L + 1, samples, seed)


def _spine_of_the_last_token(tables: Tables) -> tuple[dict[int, list[View]], list[FloatArray]]:
    """For each level the rules as seen from its last child, and the marginal of its last node."""
    L = tables.shape.L
    views = {level: [see(tables, level, tables.shape.n_children(level) - 1)] for level in range(1, L + 1)}
    return views, [tables.marginal(k, tables.shape.width(k) - 1) for k in range(L + 1)]


def next_token_entropies(tables: Tables) -> FloatArray:
    r"""Entropy of every token given all tokens before it: the floor of an autoregressive model's loss.

    The tokens before token n are the subtrees to the left of its spine; each is read off as one symbol, and
    what comes later is summed out. All tokens share the upper parts of their spines, so the filter runs once
    over the tree; beliefs that agree are merged as in `plateaus`. Where a spine turns left, nothing is seen
    and beliefs stay apart, so exact values take far more work than `plateaus` in deep trees. Of the children of a
    node the last one has what the chain rule leaves (inference-children of docs/theory_inference.md), and the last
    two levels are done without keeping beliefs; yet each level more takes seven times longer: about 10 s of one
    processor core at (v, m, s, L) = (32, 8, 2, 8).

    Parameters
    ----------
    tables : Tables

    Returns
    -------
    array, shape (d,), nats
        They add up to `sequence_entropy`, and the last is the last of `plateaus`.

    Raises
    ------
    InputError
        Where the distinct beliefs do not fit in memory, and beyond ten minutes or so of one core.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> H = next_token_entropies(g)
    >>> bool(np.isclose(H.sum(), sequence_entropy(g)))
    True
    """
    return _by_the_chain_rule(tables, _views(tables))


def estimate_next_token_entropies(
    tables: Tables, *, samples: int = 10_000, seed: int | np.random.Generator = 0
) -> EntropyEstimate:
    """Estimate `next_token_entropies` from drawn sentences, at any depth; their errors are correlated.

    Parameters
    ----------
    tables : Tables
    samples : int
        Number of sentences.
    seed : int or numpy.random.Generator

    Returns
    -------
    EntropyEstimate
        Of d entropies in nats.

    Raises
    ------
    InputError
        As `estimate_plateaus`.
    """
    views, L = _views(tables), tables.shape.L

    def entropies(batch: int, rng: np.random.Generator) -> Iterator[FloatArray]:
        root = _draw_roots(tables.prior, batch, rng)
        for end in _leaves(L, root, _sampled(tables, views, rng)):
            yield shannon(end.beliefs)

    return _estimate(tables, entropies, tables.shape.d, samples, seed)


def _views(tables: Tables) -> dict[int, list[View]]:
    """For each level the rules as seen from each child, for entropies of all tokens."""
    shape = tables.shape
    if shape.d > _MOST_TOKENS:
        rule = f"has {shape.d:.3g} tokens, one entropy each"
        way_out = f"at most {_MOST_TOKENS:.3g} are computed; plateaus() gives those of the last token at any depth"
        raise InputError(str(shape), NOT_SAID, rule, way_out)
    return {x.number: [see(tables, x.number, p) for p in range(x.children)] for x in shape.levels}


def sequence_entropy(tables: Tables) -> float:
    r"""Entropy of a whole sentence in nats, in closed form.

    The grammar is unambiguous: a sentence has one derivation, whose entropy is that of the root symbol plus
    that of the rule at every node, ``sum_nodes sum_a pi(a) H(rules of a)``, with the node's marginal ``pi``.
    For equally likely classes and rules this is ``ln n + (number of hidden nodes) ln m``: inference-chain of
    docs/theory_inference.md.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> bool(np.isclose(sequence_entropy(g), np.log(8) + 7 * np.log(2)))
    True
    """
    expected, total = tables.prior, float(shannon(tables.prior))
    for level in range(tables.shape.L, 0, -1):
        # expected number of nodes of the level with each symbol
        total += float(expected @ shannon(tables.rule_probabilities(level)))
        weight = expected[:, None] * tables.rule_probabilities(level)
        rules = tables.rules(level)
        each = np.broadcast_to(weight[:, :, None], rules.shape)
        below = tables.shape.n_symbols(level - 1)
        expected = as_floats(np.bincount(rules.ravel(), each.ravel(), minlength=below))
    return total


def shannon(p: FloatArray) -> FloatArray:
    """Shannon entropy in nats of the probabilities ``p``, over the last axis."""
    return np.asarray(entr(p).sum(axis=-1))


# --- the filter down the tree ----------------------------------------------------------------------------


def _leaves(level: int, node: _Node, step: Callable[[int, _Node], Iterator[_Node]]) -> Iterator[_Node]:
    """What is known of each token, from left to right; ``step`` goes from a node to its children in order."""
    if level == 0:
        yield node
        return
    for child in step(level, node):
        yield from _leaves(level - 1, child, step)


def _by_the_chain_rule(tables: Tables, views: dict[int, list[View]]) -> FloatArray:
    """Entropies of all tokens given those before them; the last child of every node has what the others leave.

    Given the past, the children of a node have the entropy of its symbol and of its rule together, whose sum over
    the children in order is theirs; so the last one's is a difference, and its beliefs are needed for what is below
    it alone. The last two levels are done state by state: their beliefs are neither kept nor joined.
    """
    shape = tables.shape
    out, work = np.empty(shape.d), 0

    def descend(level: int, node: int, states: _States, H: float) -> None:
        """Fill in the tokens below a node, from the states and the entropy of its symbol given all before it."""
        left = H + float(tables.marginal(level, node) @ shannon(tables.rule_probabilities(level)))
        s = shape.n_children(level)
        for p, seen in enumerate(views[level]):
            nonlocal work
            paths = len(seen.rules[1]) * (shape.n_rules(1) if level == 2 else 1)
            work += len(states.beliefs) * paths
            if work > _MOST_WORK:
                too_long = f"of all {shape.d} tokens of {shape} take more than {_MOST_WORK:.1g} operations"
                way_out = "use estimate_next_token_entropies, or fewer levels"
                raise InputError("the entropies", NOT_SAID, too_long, way_out)
            child = node * s + p
            if level == 1:
                H_child = left if p == s - 1 else _mean(_observe(tables, level, states, seen))
                out[child] = H_child
            elif level == 2:
                H_child, *known = _two_levels(states, seen, views[1])
                H_child = left if p == s - 1 else H_child
                first = child * shape.n_children(1)
                rule = float(tables.marginal(1, child) @ shannon(tables.rule_probabilities(1)))
                out[first : first + len(known)] = known
                out[first + len(known)] = H_child + rule - sum(known)
            else:
                below = _observe(tables, level, states, seen)
                H_child = left if p == s - 1 else _mean(below)
                descend(level - 1, child, below, H_child)
            left -= H_child

    descend(shape.L, 0, _certain(tables.prior), float(shannon(tables.prior)))
    return out


def _two_levels(states: _States, upper: View, lower: list[View]) -> list[float]:
    """Entropy of a child given its siblings to the left, and of each of its children but the last."""
    found = [_sums_of_logs(states, upper, seen) for seen in lower[:-1]]
    return [float(found[0][0] - found[0][1]), *(float(total[2] - total[3]) for total in found)]


def _sums_of_logs(states: _States, upper: View, lower: View) -> FloatArray:
    """Sums of p ln p over the four lists of joint probabilities that the kernel makes, (4,)."""
    cells = _cells(lower)
    # from a state to a grandchild, over the rules of both levels
    paths = len(upper.rules[1]) * int(np.diff(cells[0]).max())
    size = max(1, _LARGEST_WEIGHTS // paths)
    # pieces do not depend on the number of threads, so neither does the sum
    parts = np.empty((-(-len(states.beliefs) // size), 4))

    def work(first: int, last: int) -> None:
        out, spare = np.empty((4, size * paths)), np.empty(size * paths)
        for piece in range(first, last):
            here = slice(piece * size, (piece + 1) * size)
            some = _States(states.beliefs[here], states.probability[here])
            counts = kernels.weigh_two_levels(out, some, upper.rules, cells)
            for row, n in enumerate(counts):
                logs = np.log(out[row, :n], out=spare[:n])
                parts[piece, row] = np.multiply(logs, out[row, :n], out=logs).sum()

    for_ranges(work, len(parts))
    return np.asarray(parts.sum(axis=0))


def _cells(seen: View) -> tuple[_IntArray, _IntArray, FloatArray, _IntArray]:
    """Rules by parent, with the pair of what is seen and of the next child that each makes: see the kernel."""
    start, parent, child, weight = seen.rules
    group = np.repeat(np.arange(len(start) - 1), np.diff(start))
    pairs, cell = np.unique(group * seen.below + child, return_inverse=True)
    order = np.argsort(parent, kind="stable")
    first = np.searchsorted(parent[order], np.arange(len(seen.group) + 1))
    return first, cell[order], weight[order], pairs // seen.below


def _certain(pi: FloatArray) -> _States:
    return _States(pi[None], np.ones(1))


def _mean(states: _States) -> float:
    # of certain beliefs rounding may leave less than nothing
    return max(0.0, float(states.probability @ shannon(states.beliefs)))


def _exact(tables: Tables, views: dict[int, list[View]]) -> Callable[[int, _States], Iterator[_States]]:
    def step(level: int, states: _States) -> Iterator[_States]:
        for view in views[level]:
            yield _observe(tables, level, states, view)

    return step


def _observe(tables: Tables, level: int, states: _States, view: View) -> _States:
    """From beliefs about a node to those about a child, for every observation of the siblings to its left.

    Equations inference-filter and inference-branch of docs/theory_inference.md.
    """
    most = max(1, _LARGEST_STATES // view.below)
    room = min(most, 1 << 10)
    joint: FloatArray = np.zeros((room, view.below))
    keys: npt.NDArray[np.uint64] = np.empty(room, np.uint64)
    at, group, count = 0, 0, 0
    while True:
        # a power of two, which the room is not where it ends at the most that fits
        slots = np.full(1 << (4 * room - 1).bit_length(), -1)
        beliefs.index_keys(slots, keys[:count])
        at, group, count = kernels.filter_states(at, group, count, states, view.rules, (slots, keys, joint))
        if at == len(states.beliefs):
            joint = joint[:count]
            p = joint.sum(axis=1)
            return _States(np.divide(joint, p[:, None], out=joint, where=p[:, None] > 0), p)
        if room == most:
            rule = (
                f"of {tables} need more than {most} distinct beliefs about a node of level {level - 1} "
                f"({most * view.below >> 17} MiB; f={tables.shape.levels[level - 1].f:.3g} there)"
            )
            way_out = "use `estimate_plateaus` or `estimate_next_token_entropies`, or fewer levels"
            raise InputError("the exact entropies", NOT_SAID, rule, way_out)
        room = min(most, 4 * room)
        joint, keys = _grown(joint, room), _grown(keys, room)


def _grown(array: npt.NDArray[_Scalar], room: int) -> npt.NDArray[_Scalar]:
    out = np.zeros((room, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out


def _sampled(
    tables: Tables, views: dict[int, list[View]], rng: np.random.Generator
) -> Callable[[int, _Samples], Iterator[_Samples]]:
    def step(level: int, node: _Samples) -> Iterator[_Samples]:
        # one rule a sample, whatever the child that comes next
        p = tables.rule_probabilities(level)[node.symbol]
        rule = draw_outcomes(p, rng)
        children = tables.rules(level)[node.symbol, rule]
        skipped = children.shape[1] - len(views[level])
        for q, view in enumerate(views[level], start=skipped):
            beliefs = np.zeros((len(p), view.below))
            kernels.filter_samples(beliefs, node.beliefs, view.group[node.symbol, rule], view.rules)
            yield _Samples(beliefs, children[:, q].astype(np.int64))

    return step


def _draw_roots(pi: FloatArray, batch: int, rng: np.random.Generator) -> _Samples:
    beliefs = np.tile(pi, (batch, 1))
    return _Samples(beliefs, draw_outcomes(beliefs, rng))


def _estimate(
    tables: Tables,
    entropies: Callable[[int, np.random.Generator], Iterator[FloatArray]],
    count: int,
    samples: int,
    seed: int | np.random.Generator,
) -> EntropyEstimate:
    """Mean and standard error of ``count`` entropies, over contexts drawn in batches."""
    samples = as_int("samples", samples, low=2)
    rng = as_generator(seed)
    shape = tables.shape
    widest = max(max(shape.n_symbols(level), shape.n_rules(max(level, 1))) for level in range(shape.L + 1))
    most = _MOST_BELIEFS // (widest * count)
    if samples > most:
        way_out = f"at most {most:.3g} are drawn; the standard error falls with the square root of their number"
        raise InputError("samples", samples, f"of {shape} take longer than anyone waits", way_out)
    batch = max(1, _LARGEST_BATCH // widest)
    mean, squares, done = np.zeros(count), np.zeros(count), 0
    for size in (min(batch, samples - start) for start in range(0, samples, batch)):
        for i, h in enumerate(entropies(size, rng)):
            # joined to what came before by the parallel variance formula, which does not cancel
            gap = h.mean() - mean[i]
            squares[i] += ((h - h.mean()) ** 2).sum() + gap**2 * done * size / (done + size)
            mean[i] += gap * size / (done + size)
        done += size
    return EntropyEstimate(mean, np.sqrt(squares / (samples - 1) / samples), samples)
