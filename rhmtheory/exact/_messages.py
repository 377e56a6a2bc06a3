"""Messages on the derivation tree: the compiled kernels run over blocks of samples, in threads."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from rhmtheory._kernels import inference as kernels
from rhmtheory._kernels import inference_logs
from rhmtheory.exact import _spine as spine
from rhmtheory.exact._evidence import Evidence, Mask, Piece, rows_of
from rhmtheory.support.checks import as_choice
from rhmtheory.support.draws import Key
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.memory import allocate, memory_size
from rhmtheory.support.parallel import for_ranges
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.tree._tuples import count, encode
from rhmtheory.tree.tables import Tables

Impossible = Literal["raise", "nan"]
"""What to do with a sample that no derivation explains."""

NO_ROOM = ("a result", NOT_SAID, "of {size} does not fit in memory", "give fewer samples at once")

LARGEST_BLOCK = 1 << 20
"""Floats of messages held at once by one thread (8 MiB, and as many of marginals): they stay in the cache."""
_LEAST_A_THREAD = 1 << 18


@lru_cache(maxsize=8)
def rules_of(tables: Tables) -> list[kernels.Rules]:
    """The rules of levels 1..L as the kernels read them."""
    out = []
    for level in range(1, tables.shape.L + 1):
        probability = tables.rule_probabilities(level)
        possible = probability > 0
        children = tables.rules(level)[possible].astype(np.int64)
        s, base = children.shape[1], tables.shape.n_symbols(level - 1)
        largest = count(base, s) - 1
        # about one rule a bucket, so that looking up a tuple takes a step or two
        shift = max(0, largest.bit_length() - len(children).bit_length())
        edges = np.arange((largest >> shift) + 1) << shift
        codes = np.stack([encode(np.roll(children, -p, axis=1), base) for p in range(s)])
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


def _node_start(tables: Tables) -> list[int]:
    """Number of the first node of each level, counted from the tokens up, and the number of nodes."""
    widths = (tables.shape.width(level) for level in range(tables.shape.L + 1))
    return list(accumulate(widths, initial=0))


class Block:
    """Room for the messages of some samples, filled anew for every block of them."""

    def __init__(self, tables: Tables, size: int) -> None:
        shape = tables.shape
        self.size = size
        self.prior, self.rules, self.start = np.array(tables.prior), rules_of(tables), _node_start(tables)
        rooms = [(size, shape.width(level), shape.n_symbols(level)) for level in range(shape.L + 1)]
        self.nodes = [
            kernels.Nodes(
                state=np.empty(room[:2], np.int32),
                beta=np.empty(room),
                scale=np.empty(room[:2]),
                rules=np.empty((*room[:2], 3), np.int64),
            )
            for room in rooms
        ]
        self.told = list(self.nodes)
        """What the nodes send up: the same, but for levels that are observed by likelihoods."""
        self.gamma = [np.empty(room) for room in rooms]

    def explain(self, evidence: Evidence, start: int, stop: int, logs: bool) -> npt.NDArray[np.int64]:
        """Send the messages up; returns for each sample EXPLAINED, UNDERFLOW, or the lowest node that fails.

        Equation inference-up of docs/theory_inference.md.
        """
        form = inference_logs if logs else kernels
        failed = np.full(stop - start, kernels.EXPLAINED)
        soft = {piece.level: piece for piece in evidence.soft}
        for level, nodes in enumerate(self.nodes):
            observed = evidence.rows(start, stop, level, nodes.state.shape[1])
            if level == 0 and 0 not in soft:  # hidden tokens, -1, are free
                nodes.state[: stop - start] = observed
            elif level == 0:
                nodes.state[: stop - start] = kernels.FREE
            else:
                form.upward(nodes, self.told[level - 1], observed, failed, self.start[level], self.rules[level - 1])
            if level in soft:
                beliefs, hidden = (
                    rows_of(soft[level].beliefs, start, stop),
                    rows_of(soft[level].hidden, start, stop),
                )
                self._weigh(level, beliefs, hidden, failed, logs)
        form.weigh_root(self.gamma[-1], self.told[-1], self.prior, failed, self.start[-2])
        return failed

    def _weigh(
        self, level: int, beliefs: FloatArray, hidden: Mask, failed: npt.NDArray[np.int64], logs: bool
    ) -> None:
        """Multiply what the nodes of a level know from below by their own likelihoods."""
        own = self.nodes[level]
        if self.told[level] is own:
            like = np.empty_like
            self.told[level] = own._replace(state=like(own.state), beta=like(own.beta), scale=like(own.scale))
        form = inference_logs if logs else kernels
        form.weigh(self.told[level], own, beliefs, hidden, failed, self.start[level], level == 0)

    def log_likelihood(
        self, evidence: Evidence, failed: npt.NDArray[np.int64], logs: bool
    ) -> npt.NDArray[np.float64]:
        """Logarithm of the probability of what is observed, after `explain`; -inf where nothing explains it."""
        form = inference_logs if logs else kernels
        out = np.zeros(len(failed))
        for level, (nodes, rules) in enumerate(zip(self.nodes[1:], self.rules, strict=True)):
            form.add_scales(out, nodes, self.told[level], failed, rules)
        for piece in evidence.soft:
            scale = self.told[piece.level].scale[: len(failed)]
            good = failed == kernels.EXPLAINED
            out[good] += (scale if logs else np.log(scale, where=good[:, None], out=scale))[good].sum(axis=1)
        form.add_root(out, self.told[-1], self.prior, failed)
        out[failed != kernels.EXPLAINED] = -np.inf
        return out

    def descend(self, wanted: list[Mask], failed: npt.NDArray[np.int64], logs: bool) -> None:
        """Find the marginals of the wanted nodes, given for each level as (samples or 1, width).

        Equation inference-down of docs/theory_inference.md.
        """
        form = inference_logs if logs else kernels
        for level in range(len(self.rules), 0, -1):
            nodes, below = self.nodes[level], self.told[level - 1]
            gamma, gamma_below = self.gamma[level], self.gamma[level - 1]
            rules = self.rules[level - 1]
            form.downward(gamma_below, gamma, nodes, below, wanted[level - 1], failed, rules)

    def draw(
        self,
        sample: npt.NDArray[np.int64],
        first: int,
        failed: npt.NDArray[np.int64],
        logs: bool,
        key: Key,
    ) -> list[npt.NDArray[np.int32]]:
        """Symbols (draws, width) of each level; draw ``first + j`` is of sample ``sample[j]`` of the block."""
        form = inference_logs if logs else kernels
        drawn = [np.zeros((len(sample), b - a), np.int32) for a, b in pairwise(self.start)]
        kernels.draw_roots(drawn[-1], sample, first, self.gamma[-1], failed, self.start[-1], *key)
        for level in range(len(self.rules), 0, -1):
            nodes, below, rules = self.nodes[level], self.told[level - 1], self.rules[level - 1]
            start = self.start[level]
            form.draw_children(
                drawn[level - 1], drawn[level], sample, first, nodes, below, failed, start, rules, *key
            )
        return drawn


def marginals(
    tables: Tables,
    evidence: Evidence,
    asked: dict[int, Mask],
    impossible: Impossible,
    threads: int | None,
) -> dict[int, FloatArray]:
    """Marginals (nodes, v_l) of the nodes asked for, (samples or 1, width) a level, sample by sample."""
    as_choice("impossible", impossible, ("raise", "nan"))
    out, failed = _sum_product(tables, evidence, asked, threads)
    if impossible == "raise":
        check_explained(tables, failed)
    return out


def one_token(
    tables: Tables, seen: IntArray, position: int, impossible: Impossible, threads: int | None
) -> FloatArray:
    """Distribution (n, v) of the token at a position given the tokens right before it, (n, t).

    Found by the filter down its spine; by the sum-product where the tokens are no complete subtrees, and for
    samples that the filter leaves.
    """
    as_choice("impossible", impossible, ("raise", "nan"))
    shape, n = tables.shape, len(seen)
    window = spine.Window(position - seen.shape[1], position)
    (p,) = allocate([(n, shape.n_symbols(0))], np.float64, NO_ROOM)
    fits = spine.fits(shape, window)
    left = np.flatnonzero(~spine.next_token(p, tables, seen, window, threads)) if fits else np.arange(n)
    if len(left):
        check_room(tables)
        rest = seen[left]
        evidence = Evidence(len(left), [Piece(0, window.first, rest, np.zeros((1, rest.shape[1]), bool))])
        failed = np.full(n, kernels.EXPLAINED)
        found, failed[left] = _sum_product(tables, evidence, {0: np.arange(shape.d)[None] == position}, threads)
        p[left] = found[0]
        if impossible == "raise":
            check_explained(tables, failed)
    return p


def _sum_product(
    tables: Tables, evidence: Evidence, asked: dict[int, Mask], threads: int | None
) -> tuple[dict[int, FloatArray], npt.NDArray[np.int64]]:
    """The plain form, for any evidence: marginals, NaN where there are none, and what failed in each sample."""
    shape, n = tables.shape, evidence.samples
    failed = np.empty(n, np.int64)
    begin, out = {}, {}
    for level, nodes in asked.items():
        begin[level] = np.concatenate([[0], np.cumsum(np.broadcast_to(nodes.sum(axis=1), n))])
        (out[level],) = allocate([(int(begin[level][-1]), shape.n_symbols(level))], np.float64, NO_ROOM)

    def solve(block: Block, start: int, stop: int, logs: bool) -> npt.NDArray[np.int64]:
        failed[start:stop] = block.explain(evidence, start, stop, logs)
        here = {level: rows_of(nodes, start, stop) for level, nodes in asked.items()}
        block.descend(_with_ancestors(tables, here), failed[start:stop], logs)
        for level, nodes in here.items():
            rows = begin[level][start : stop + 1]
            part = out[level][rows[0] : rows[-1]]
            node = np.nonzero(np.broadcast_to(nodes, (stop - start, nodes.shape[1])))[1]
            gamma, state = block.gamma[level], block.told[level].state
            kernels.read_marginals(part, rows - rows[0], node, gamma, state, failed[start:stop])
        return failed[start:stop]

    in_blocks(tables, n, 1, solve, threads)
    return out, failed


def in_blocks(
    tables: Tables,
    samples: int,
    draws: int,
    solve: Callable[[Block, int, int, bool], npt.NDArray[np.int64]],
    threads: int | None,
) -> None:
    """Call ``solve`` over ranges of the draws of all samples; in logarithms for a sample that underflows."""
    floats = check_room(tables)

    def work(start: int, stop: int) -> None:
        block = Block(tables, max(1, min(LARGEST_BLOCK // floats, stop - start)))
        for a in range(start, stop, block.size):
            b = min(a + block.size, stop)
            for i in a // draws + np.flatnonzero(solve(block, a, b, False) == kernels.UNDERFLOW):
                solve(block, max(a, int(i) * draws), min(b, int(i + 1) * draws), True)

    for_ranges(work, samples * draws, threads=threads, least=max(1, _LEAST_A_THREAD // floats))


def check_room(tables: Tables) -> int:
    """Floats of the messages of one sample; raises `InputError` where the machine cannot hold them."""
    shape = tables.shape
    floats = sum(shape.width(level) * shape.n_symbols(level) for level in range(shape.L + 1))
    # likelihoods and marginals
    if (size := 16 * floats) > memory_size():
        rule = f"of one sentence of {shape} take {size / 2**30:.3g} GiB, more than there are"
        raise InputError("the messages", NOT_SAID, rule, "lower `L` or `v`")
    return floats


def _with_ancestors(tables: Tables, nodes: dict[int, Mask]) -> list[Mask]:
    """For each level below the root the nodes that are asked for, (samples or 1, width), and those above one."""
    wanted = [nodes.get(0, np.zeros((1, tables.shape.d), bool))]
    for level in range(1, tables.shape.L):
        children = len(wanted[-1]), tables.shape.width(level), tables.shape.n_children(level)
        above: Mask = np.any(wanted[-1].reshape(children), axis=-1)
        wanted.append(above | nodes[level] if level in nodes else above)
    return wanted


def check_explained(tables: Tables, failed: npt.NDArray[np.int64]) -> None:
    """Raise `InputError` for the first sample that no derivation explains, naming its lowest such node."""
    wrong = np.flatnonzero(failed != kernels.EXPLAINED)
    if len(wrong) == 0:
        return
    node, start = int(failed[wrong[0]]), _node_start(tables)
    level = bisect_right(start, node) - 1
    span, i = tables.shape.span(level), node - start[level]
    where = "" if len(failed) == 1 else f" of sample {wrong[0]}"
    others = f" ({len(wrong)} samples in all)" if len(wrong) > 1 else ""
    rule = (
        f"explains what is observed{where} in the tokens {i * span}..{(i + 1) * span - 1}, which "
        f"node {i} of level {level} would have to produce{others}"
    )
    way_out = (
        "it is ungrammatical, or has probability zero; hide what is doubtful, or take NaN for its marginals with "
        '`impossible`="nan"'
    )
    raise InputError("no derivation", NOT_SAID, rule, way_out)
