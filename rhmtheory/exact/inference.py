"""Bayes-optimal inference on one grammar: what the observed tokens say about the hidden ones and the tree above."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any, Literal, NamedTuple, TypeVar, overload

import numpy as np
import numpy.typing as npt

from rhmtheory._kernels import inference as kernels
from rhmtheory._support.checks import InputError, as_choice, as_generator, as_int, smallest_unsigned
from rhmtheory._support.parallel import for_ranges
from rhmtheory._support.types import FloatArray, IntArray
from rhmtheory.model.grammar import Grammar

_LARGEST_BLOCK = 1 << 20
"""Floats of messages held at once by one thread (8 MiB, and as many of marginals): they stay in the cache."""
_LEAST_A_THREAD = 1 << 18

_Scalar = TypeVar("_Scalar", bound=np.generic)
_Mask = npt.NDArray[np.bool_]
_Impossible = Literal["raise", "nan"]


@overload
def posterior(
    grammar: Grammar,
    tokens: npt.ArrayLike,
    mask: npt.ArrayLike | None = ...,
    *,
    levels: int | None = ...,
    symbols: Mapping[int, npt.ArrayLike] | None = ...,
    impossible: _Impossible = ...,
    threads: int | None = ...,
) -> FloatArray: ...
@overload
def posterior(
    grammar: Grammar,
    tokens: npt.ArrayLike,
    mask: npt.ArrayLike | None = ...,
    *,
    levels: Sequence[int],
    symbols: Mapping[int, npt.ArrayLike] | None = ...,
    impossible: _Impossible = ...,
    threads: int | None = ...,
) -> list[FloatArray]: ...
def posterior(
    grammar: Grammar,
    tokens: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    *,
    levels: int | Sequence[int] | None = None,
    symbols: Mapping[int, npt.ArrayLike] | None = None,
    impossible: _Impossible = "raise",
    threads: int | None = None,
) -> FloatArray | list[FloatArray]:
    r"""Bayes-optimal marginals ``P(x_i = a | observed tokens)`` of hidden tokens and hidden symbols, exactly.

    Sum-product on the derivation tree. Upwards each node sends its parent the likelihoods
    ``beta(a) = sum_r p(r|a) prod_q beta_q(R(a,r)_q)`` of its symbols; downwards the marginal of a node is
    spread over its rules, ``gamma_p(b) = sum_a gamma(a) sum_r P(r|a, observed below) [R(a,r)_p = b]``.
    Messages are scaled at every node, and a sample whose products still leave the range of floats is done
    in logarithms. A fully observed subtree has one possible symbol, found by parent lookup, so one hidden
    token costs O(f v) a level.

    Parameters
    ----------
    grammar : Grammar
    tokens : integer array, shape (n, d) or (d,)
        Whatever is stored at hidden positions is ignored.
    mask : bool array, shape (d,) or that of ``tokens``, optional
        True where a token is hidden; by default the last token of each sample.
    levels : int or sequence of ints, optional
        Ask for all nodes of a level (0 the tokens, L the root) instead of the hidden tokens.
    symbols : mapping from level to integer array, shape (n, width) or (width,), optional
        Hidden symbols that are observed after all, -1 for those that are not: ``{L: labels[:, None]}``.
    impossible : {"raise", "nan"}
        What to do with a sample that no derivation explains.
    threads : int, optional
        By default all cores (or ``NUMBA_NUM_THREADS``).

    Returns
    -------
    array, rows (the last axis) summing to one; the first axis is missing for ``tokens`` of shape (d,)
        - shape (n, v) for the default mask;
        - shape (n, hidden, v), hidden tokens in order of position, for a mask of shape (d,);
        - shape (number of True, v), in the order of ``numpy.nonzero(mask)``, for a mask of shape (n, d);
        - shape (n, width, v_l) for one level, a list of these for several. What is observed is certain.

    Raises
    ------
    InputError
        For arrays of a wrong shape or type, symbols out of range, evidence that no derivation explains.

    Notes
    -----
    Sources: arXiv:2402.16991 for belief propagation on this model; the messages are in ``docs/theory_inference``.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> tokens = g.sample(1000, seed=1)
    >>> posterior(g, tokens).shape
    (1000, 8)
    >>> posterior(g, tokens, [False] * 4 + [True] * 4).shape
    (1000, 4, 8)
    >>> posterior(g, tokens, levels=3).shape
    (1000, 1, 8)
    """
    evidence, hidden, single = _read(grammar, tokens, mask, symbols)
    rhm, n = grammar.rhm, evidence.samples
    if levels is None:
        flat = _marginals(grammar, evidence, {0: hidden}, impossible, threads)[0]
        if mask is not None and np.ndim(mask) == 2:
            return flat
        lead = (n, int(hidden.sum()))[int(single) : 1 if mask is None else 2]
        return flat.reshape(*lead, rhm.symbols(0))
    chosen = [levels] if isinstance(levels, (int, np.integer)) else list(levels)
    asked = {as_int("levels", x, low=0, high=rhm.L): np.ones((1, rhm.width(x)), bool) for x in chosen}
    found = _marginals(grammar, evidence, asked, impossible, threads)
    parts = [found[x].reshape(*([] if single else [n]), rhm.width(x), rhm.symbols(x)) for x in chosen]
    return parts[0] if isinstance(levels, (int, np.integer)) else parts


def next_token_posterior(
    grammar: Grammar,
    prefix: npt.ArrayLike,
    context: int | None = None,
    *,
    position: int | None = None,
    impossible: _Impossible = "raise",
    threads: int | None = None,
) -> FloatArray:
    """Distribution of the token after a prefix, as an ideal predictor gives it that sees a limited context.

    Parameters
    ----------
    grammar : Grammar
    prefix : integer array, shape (n, t) or (t,), 0 <= t < d
    context : int, optional
        Only the last ``context`` tokens of the prefix are seen, the others are summed out: ``s**k - 1`` for
        the predictor behind the plateau ``H_k``. By default all are.
    position : int, optional
        Position of the token to predict; by default ``t``, so that the prefix begins the sentence.
    impossible, threads
        As in `posterior`.

    Returns
    -------
    array, shape (n, v) or (v,)

    Raises
    ------
    InputError
        For an ungrammatical prefix (one that begins no sentence), and as in `posterior`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> H_2 = g.plateaus()[2]
    >>> p = next_token_posterior(g, g.sample(4000, seed=1)[:, :-1], context=3)
    >>> bool(abs(-(p * np.log(p + 1e-300)).sum(axis=1).mean() - H_2) < 0.02)
    True
    """
    rhm = grammar.rhm
    array, single = _as_samples("prefix tokens", prefix)
    t = array.shape[1]
    position = min(t, rhm.d - 1) if position is None else as_int("position", position, low=0, high=rhm.d - 1)
    if t > position:
        raise InputError(f"prefix has {t} tokens, but only {position} lie before position {position}: cut it")
    seen = t if context is None else min(t, as_int("context", context, low=0))
    hidden = np.arange(t)[None] < t - seen
    _check_symbols("prefix tokens", array, rhm.symbols(0), hidden)
    evidence = _Evidence(len(array), [_Piece(0, position - t, array, hidden)])
    asked = {0: np.arange(rhm.d)[None] == position}
    out = _marginals(grammar, evidence, asked, impossible, threads)[0]
    return out[0] if single else out


def posterior_sample(
    grammar: Grammar,
    tokens: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    samples: int | None = None,
    seed: int | np.random.Generator = 0,
    *,
    trees: bool = False,
    symbols: Mapping[int, npt.ArrayLike] | None = None,
    threads: int | None = None,
) -> Any:
    """Draw the hidden tokens from their joint posterior: messages up as in `posterior`, then a tree downwards.

    Draws are exact but for the 53 bits of a uniform number. They are a function of the arguments alone, not of
    the number of threads.

    Parameters
    ----------
    grammar, tokens, mask, symbols, threads
        As in `posterior`.
    samples : int, optional
        Draws for each sample; by default one, without an axis of its own.
    seed : int or numpy.random.Generator
        A generator is advanced, so that a second call draws anew.
    trees : bool
        Return the symbols of all levels instead of the tokens only.

    Returns
    -------
    array, shape (n, d), or (n, samples, d), of the smallest unsigned dtype that holds the token symbols
        Observed tokens as they are, hidden ones drawn; the first axis is missing for ``tokens`` of shape
        (d,). With ``trees=True`` a list over levels 0..L of such arrays, (..., width).

    Raises
    ------
    InputError
        As `posterior`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> g = RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    >>> sentence = g.sample(1, seed=1)[0]
    >>> posterior_sample(g, sentence, [False] * 4 + [True] * 4, samples=10, seed=2).shape
    (10, 8)
    """
    evidence, _, single = _read(grammar, tokens, mask, symbols)
    rhm, n = grammar.rhm, evidence.samples
    draws = 1 if samples is None else as_int("samples", samples, low=0)
    key = int(as_generator(seed).integers(2**64, dtype=np.uint64))
    halves = np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)
    wanted = range(rhm.L + 1) if trees else range(1)
    dtype = smallest_unsigned(max(rhm.symbols(level) for level in wanted))
    out = [_allocate((n * draws, rhm.width(level)), dtype) for level in wanted]
    failed = np.full(n, kernels.EXPLAINED)

    def solve(block: _Block, start: int, stop: int, logs: bool) -> npt.NDArray[np.int64]:
        first = start // draws
        judged = block.explain(evidence, first, (stop - 1) // draws + 1, logs)
        drawn = block.draw(np.arange(start, stop) // draws - first, start, judged, logs, halves)
        for array, symbol in zip(out, drawn, strict=False):
            array[start:stop] = symbol
        # two threads that share a sample judge it alike
        failed[first : first + len(judged)] = judged
        return judged

    _in_blocks(grammar, n, draws, solve, threads)
    _check_explained(grammar, failed)
    lead = (n, draws)[int(single) : 1 if samples is None else 2]
    parts = [array.reshape(*lead, array.shape[1]) for array in out]
    return parts if trees else parts[0]


# --- what is observed ----------------------------------------------------------------------------------------


class _Piece(NamedTuple):
    """Symbols of consecutive nodes of a level from ``first`` on: (n, nodes), or one row for all samples."""

    level: int
    first: int
    symbols: IntArray
    hidden: _Mask


class _Evidence(NamedTuple):
    samples: int
    pieces: list[_Piece]

    def rows(self, start: int, stop: int, level: int, width: int) -> npt.NDArray[np.int32]:
        """Observed symbols of a level for samples start .. stop - 1, -1 where hidden; empty where all are."""
        pieces = [piece for piece in self.pieces if piece.level == level]
        out = np.full((stop - start, width if pieces else 0), -1, np.int32)
        for _, first, symbols, hidden in pieces:
            given, seen = _rows(symbols, start, stop), ~_rows(hidden, start, stop)
            np.copyto(out[:, first : first + symbols.shape[1]], given, casting="unsafe", where=seen)
        return out


def _read(
    grammar: Grammar,
    tokens: npt.ArrayLike,
    mask: npt.ArrayLike | None,
    symbols: Mapping[int, npt.ArrayLike] | None,
) -> tuple[_Evidence, _Mask, bool]:
    """Check what is given; returns the evidence, the mask (n or 1, d), and whether it is one sample alone."""
    rhm = grammar.rhm
    array, single = _as_samples("tokens", tokens)
    n = len(array)
    if array.shape[1] != rhm.d:
        raise InputError(f"tokens have shape {np.shape(tokens)}: the last axis must hold d={rhm.d} tokens")
    hidden: _Mask = np.arange(rhm.d) == rhm.d - 1 if mask is None else np.asarray(mask)
    if hidden.dtype != np.bool_:
        raise InputError(f"mask is of type {hidden.dtype}: give booleans, True where a token is hidden")
    if hidden.shape not in ((rhm.d,), np.shape(tokens)):
        raise InputError(
            f"mask has shape {hidden.shape}: give ({rhm.d},) for one that all samples share, or the shape of the "
            f"tokens, {np.shape(tokens)}"
        )
    hidden = hidden.reshape(-1, rhm.d)
    _check_symbols("tokens", array, rhm.symbols(0), hidden)
    pieces = [_Piece(0, 0, array, hidden)]
    for level, given in sorted((symbols or {}).items()):
        level = as_int("level of symbols", level, low=1, high=rhm.L)
        name, width = f"symbols[{level}]", rhm.width(level)
        above, _ = _as_samples(name, given)
        if above.shape not in ((1, width), (n, width)):
            raise InputError(f"{name} have shape {np.shape(given)}: give ({n}, {width}) or ({width},)")
        _check_symbols(name, above, rhm.symbols(level), above == -1)
        pieces.append(_Piece(level, 0, above, above == -1))
    return _Evidence(n, pieces), hidden, single


def _as_samples(name: str, given: npt.ArrayLike) -> tuple[IntArray, bool]:
    array = np.asarray(given)
    # an empty prefix has no entries that could tell its type
    if array.dtype.kind not in "iu" and array.size:
        raise InputError(f"{name} are of type {array.dtype}: give integers")
    if array.ndim not in (1, 2):
        raise InputError(f"{name} have shape {array.shape}: give one axis for one sample, two for several")
    return array[None] if array.ndim == 1 else array, array.ndim == 1


def _check_symbols(name: str, array: IntArray, v: int, hidden: _Mask) -> None:
    if array.dtype.kind == "u" and np.iinfo(array.dtype).max < v:
        return
    wrong = (array < 0) | (array >= v)
    if wrong.any():
        at = np.argwhere(wrong & ~hidden)
        if len(at):
            i, j = map(int, at[0])
            raise InputError(f"{name} hold {array[i, j]} at [{i}, {j}], outside 0..{v - 1}: hide it, or correct it")


# --- running the kernels -------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _rules(grammar: Grammar) -> list[kernels.Rules]:
    """The rules of levels 1..L as the kernels read them."""
    out = []
    for level in range(1, grammar.rhm.L + 1):
        probability = grammar.rule_probabilities(level)
        possible = probability > 0
        children = grammar.rules(level)[possible].astype(np.int64)
        s, base = children.shape[1], grammar.rhm.symbols(level - 1)
        largest = base**s - 1
        # about one rule a bucket, so that looking up a tuple takes a step or two
        shift = max(0, largest.bit_length() - len(children).bit_length())
        edges = np.arange((largest >> shift) + 1) << shift
        place = np.array([base**q for q in range(s - 1, -1, -1)])
        codes = np.stack([np.roll(children, -p, axis=1) @ place for p in range(s)])
        order = np.argsort(codes, axis=1)
        codes = np.take_along_axis(codes, order, axis=1)
        out.append(
            kernels.Rules(
                children=children.astype(np.int32),
                parent=np.nonzero(possible)[0].astype(np.int32),
                weight=probability[possible],
                first=np.concatenate([[0], np.cumsum(possible.sum(axis=1))]),
                order=np.concatenate([order, np.arange(len(children))[None]]),
                codes=codes,
                bucket=np.stack([np.append(np.searchsorted(row, edges), len(row)) for row in codes]),
                shift=shift,
                base=base,
            )
        )
    return out


def _node_start(grammar: Grammar) -> list[int]:
    """Number of the first node of each level, counted from the tokens up, and the number of nodes."""
    widths = (grammar.rhm.width(level) for level in range(grammar.rhm.L + 1))
    return list(accumulate(widths, initial=0))


class _Block:
    """Room for the messages of some samples, filled anew for every block of them."""

    def __init__(self, grammar: Grammar, size: int) -> None:
        rhm = grammar.rhm
        self.size = size
        self.prior, self.rules, self.start = np.array(grammar.prior), _rules(grammar), _node_start(grammar)
        shapes = [(size, rhm.width(level), rhm.symbols(level)) for level in range(rhm.L + 1)]
        self.nodes = [
            kernels.Nodes(
                state=np.empty(shape[:2], np.int32),
                beta=np.empty(shape),
                scale=np.empty(shape[:2]),
                rules=np.empty((*shape[:2], 3), np.int64),
            )
            for shape in shapes
        ]
        self.gamma = [np.empty(shape) for shape in shapes]

    def explain(self, evidence: _Evidence, start: int, stop: int, logs: bool) -> npt.NDArray[np.int64]:
        """Send the messages up; returns for each sample EXPLAINED, UNDERFLOW, or the lowest node that fails."""
        failed = np.full(stop - start, kernels.EXPLAINED)
        for level, nodes in enumerate(self.nodes):
            observed = evidence.rows(start, stop, level, nodes.state.shape[1])
            if level == 0:  # hidden tokens, -1, are free
                nodes.state[: stop - start] = observed
                continue
            below, rules = self.nodes[level - 1], self.rules[level - 1]
            kernels.upward(nodes, below, observed, failed, self.start[level], rules, logs)
        kernels.weigh_root(self.gamma[-1], self.nodes[-1], self.prior, failed, self.start[-2], logs)
        return failed

    def descend(self, wanted: list[_Mask], failed: npt.NDArray[np.int64], logs: bool) -> None:
        """Find the marginals of the wanted nodes, given for each level as (samples or 1, width)."""
        for level in range(len(self.rules), 0, -1):
            nodes, below = self.nodes[level], self.nodes[level - 1]
            gamma, gamma_below = self.gamma[level], self.gamma[level - 1]
            rules = self.rules[level - 1]
            kernels.downward(gamma_below, gamma, nodes, below, wanted[level - 1], failed, rules, logs)

    def draw(
        self,
        sample: npt.NDArray[np.int64],
        first: int,
        failed: npt.NDArray[np.int64],
        logs: bool,
        key: tuple[np.uint64, np.uint64],
    ) -> list[npt.NDArray[np.int32]]:
        """Symbols (draws, width) of each level; draw ``first + j`` is of sample ``sample[j]`` of the block."""
        drawn = [np.zeros((len(sample), b - a), np.int32) for a, b in pairwise(self.start)]
        kernels.draw_roots(drawn[-1], sample, first, self.gamma[-1], failed, self.start[-1], *key)
        for level in range(len(self.rules), 0, -1):
            nodes, below, rules = self.nodes[level], self.nodes[level - 1], self.rules[level - 1]
            start = self.start[level]
            kernels.draw_children(
                drawn[level - 1], drawn[level], sample, first, nodes, below, failed, start, rules, logs, *key
            )
        return drawn


def _marginals(
    grammar: Grammar,
    evidence: _Evidence,
    asked: dict[int, _Mask],
    impossible: _Impossible,
    threads: int | None,
) -> dict[int, FloatArray]:
    """Marginals (nodes, v_l) of the nodes asked for, (samples or 1, width) a level, sample by sample."""
    as_choice("impossible", impossible, ("raise", "nan"))
    rhm, n = grammar.rhm, evidence.samples
    failed = np.empty(n, np.int64)
    begin, out = {}, {}
    for level, nodes in asked.items():
        begin[level] = np.concatenate([[0], np.cumsum(np.broadcast_to(nodes.sum(axis=1), n))])
        out[level] = _allocate((int(begin[level][-1]), rhm.symbols(level)), np.dtype(np.float64))

    def solve(block: _Block, start: int, stop: int, logs: bool) -> npt.NDArray[np.int64]:
        failed[start:stop] = block.explain(evidence, start, stop, logs)
        here = {level: _rows(nodes, start, stop) for level, nodes in asked.items()}
        block.descend(_with_ancestors(grammar, here), failed[start:stop], logs)
        for level, nodes in here.items():
            rows = begin[level][start : stop + 1]
            part = out[level][rows[0] : rows[-1]]
            node = np.nonzero(np.broadcast_to(nodes, (stop - start, nodes.shape[1])))[1]
            gamma, state = block.gamma[level], block.nodes[level].state
            kernels.read_marginals(part, rows - rows[0], node, gamma, state, failed[start:stop])
        return failed[start:stop]

    _in_blocks(grammar, n, 1, solve, threads)
    if impossible == "raise":
        _check_explained(grammar, failed)
    return out


def _in_blocks(
    grammar: Grammar,
    samples: int,
    draws: int,
    solve: Callable[[_Block, int, int, bool], npt.NDArray[np.int64]],
    threads: int | None,
) -> None:
    """Call ``solve`` over ranges of the draws of all samples; in logarithms for a sample that underflows."""
    levels = range(grammar.rhm.L + 1)
    floats = sum(grammar.rhm.width(level) * grammar.rhm.symbols(level) for level in levels)

    def work(start: int, stop: int) -> None:
        block = _Block(grammar, max(1, min(_LARGEST_BLOCK // floats, stop - start)))
        for a in range(start, stop, block.size):
            b = min(a + block.size, stop)
            for i in a // draws + np.flatnonzero(solve(block, a, b, False) == kernels.UNDERFLOW):
                solve(block, max(a, int(i) * draws), min(b, int(i + 1) * draws), True)

    for_ranges(work, samples * draws, threads=threads, least=max(1, _LEAST_A_THREAD // floats))


def _rows(array: npt.NDArray[_Scalar], start: int, stop: int) -> npt.NDArray[_Scalar]:
    """Rows of some samples; one row stands for all."""
    return array if len(array) == 1 else array[start:stop]


def _with_ancestors(grammar: Grammar, nodes: dict[int, _Mask]) -> list[_Mask]:
    """For each level the nodes that are asked for, (samples or 1, width), and those above one."""
    wanted = [nodes.get(0, np.zeros((1, grammar.rhm.d), bool))]
    for level in range(1, grammar.rhm.L + 1):
        shape = len(wanted[-1]), grammar.rhm.width(level), grammar.rhm.children(level)
        above: _Mask = np.any(wanted[-1].reshape(shape), axis=-1)
        wanted.append(above | nodes[level] if level in nodes else above)
    return wanted


def _check_explained(grammar: Grammar, failed: npt.NDArray[np.int64]) -> None:
    wrong = np.flatnonzero(failed != kernels.EXPLAINED)
    if len(wrong) == 0:
        return
    node, start = int(failed[wrong[0]]), _node_start(grammar)
    level = bisect_right(start, node) - 1
    span, i = grammar.rhm.span(level), node - start[level]
    where = "" if len(failed) == 1 else f" of sample {wrong[0]}"
    others = f" ({len(wrong)} samples in all)" if len(wrong) > 1 else ""
    raise InputError(
        f"no derivation explains what is observed{where} in the tokens {i * span}..{(i + 1) * span - 1}, which "
        f"node {i} of level {level} would have to produce{others}: it is ungrammatical, or has probability zero; "
        'hide what is doubtful, or take NaN for its marginals with impossible="nan"'
    )


def _allocate(shape: tuple[int, int], dtype: np.dtype[Any]) -> Any:
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:
        raise InputError(f"a result of shape {shape} does not fit in memory: give fewer samples at once") from error
