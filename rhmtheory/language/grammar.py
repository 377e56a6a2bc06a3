"""One grammar: the rules that one draw of the ensemble fixes, how to look them up, store and import them."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory.exact import (
    correlations,
    denoising,
    entropy,
    filtered,
    inference,
    likelihoods,
    objectives,
    populations,
    prefixes,
)
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_generator, as_int, as_probabilities, smallest_unsigned
from rhmtheory.support.errors import InputError
from rhmtheory.support.files import write_atomically
from rhmtheory.support.html import html_table
from rhmtheory.support.reading import check_archive, open_regular, strict_headers
from rhmtheory.support.types import FloatArray, IntArray
from rhmtheory.tree import export, sampling, trees
from rhmtheory.tree._tuples import count, decode, encode
from rhmtheory.tree.shape import Level, Shape
from rhmtheory.tree.tables import Tables

_FILE_FORMAT = 1
_SHOWN = 4
"""Symbols of a level, and rules of a symbol, that a notebook shows."""
_LARGEST_TABLE = 1 << 27
"""Rules of one level that are drawn (1 GiB and more)."""
_WAY_OUT = "lower v or s (predictions for the ensemble need no grammar and work at any size)"


class Grammar(Tables):
    """One draw of the Random Hierarchy Model: the production rules of every level.

    Make one with `RHM.grammar`, `Grammar.from_rules` or `Grammar.load`. A grammar cannot be changed: its tables are
    read-only arrays. Two grammars are equal when their shapes and tables are.

    Parameters
    ----------
    shape : Shape or RHM
        An RHM, whose rule probabilities are the default ones, is kept as `rhm`.
    rules : sequence of L integer arrays
        Bottom-up and checked: ``rules[l - 1]`` has shape (v_l, m_l, s_l). Arrays that can be written are copied.
        Prefer `from_rules`, which checks them.
    rule_probabilities : sequence of L arrays of shape (v_l, m_l), optional
    prior : array, shape (n,), optional
        Probabilities of the root symbols (classes); uniform by default.

    Attributes
    ----------
    shape : Shape
    rhm : RHM or None
        The ensemble that the grammar may be drawn from; None where symbols of a level weigh their rules each in its
        own way. It says nothing of the prior.
    prior : array, shape (n,)
    """

    def __init__(
        self,
        shape: Shape,
        rules: Sequence[IntArray],
        rule_probabilities: Sequence[FloatArray] | None = None,
        prior: FloatArray | None = None,
    ) -> None:
        self.rhm = shape if isinstance(shape, RHM) else None
        if self.rhm is not None:
            shape = self.rhm.shape
            if rule_probabilities is None:
                rule_probabilities = [
                    np.tile(self.rhm.probabilities(level.number), (level.symbols, 1)) for level in shape.levels
                ]
        super().__init__(shape, rules, rule_probabilities, prior)

    def require_rhm(self) -> RHM:
        """Return the ensemble of the grammar, `rhm`; raise `InputError` where there is none."""
        if self.rhm is None:
            raise InputError(
                str(self),
                rule="belongs to no ensemble, since its symbols weigh their rules each in its own way",
                way_out="use its exact statistics (g.plateaus(), g.covariance(i, j), ...), or g.reweighted with "
                "the same weights for all symbols of a level",
            )
        return self.rhm

    # --- making one ----------------------------------------------------------------------------------

    @classmethod
    def _drawn(cls, rhm: RHM, seed: int | np.random.Generator) -> Grammar:
        """See `RHM.grammar`."""
        rng = as_generator(seed)
        tables: list[IntArray] = []
        for level in reversed(rhm.levels):
            _check_size(rhm, level)
            number = count(level.below, level.children, _WAY_OUT)
            codes = rng.choice(number, size=level.symbols * level.rules, replace=False)
            tables.append(_tuples(level, codes))
        return cls(rhm, tables[::-1])

    @classmethod
    def from_published_seed(cls, rhm: RHM, seed: int) -> Grammar:
        """Return the grammar that the authors' public code makes from a seed (arXiv:2505.07070 and 2307.02129).

        Python's `random` is seeded; ``random.sample`` then picks, from all tuples in product order, ``n m`` for
        the root and ``v m`` for each level below it in turn, from the root down.

        Parameters
        ----------
        rhm : RHM
            The ensemble of the published run, with equally likely rules.
        seed : int
            The seed of the published run.

        Raises
        ------
        InputError
            For unequal rules, which the public code draws in another way.

        Examples
        --------
        >>> g = Grammar.from_published_seed(RHM(v=16, m=4, s=2, L=4), 2362346)
        >>> g.plateaus().round(3)
        array([2.689, 1.372, 0.495, 0.207, 0.157])
        """
        if rhm.rule_probabilities is not None:
            rule = "has unequal rules: seeds are published for equally likely rules only"
            raise InputError(str(rhm), rule=rule, way_out="use from_rules")
        rng = random.Random(as_int("seed", seed, low=0))
        tables: list[IntArray] = []
        for level in reversed(rhm.levels):
            _check_size(rhm, level)
            # sampling positions of a list or numbers of a range draws alike
            numbers = range(count(level.below, level.children))
            tables.append(_tuples(level, np.array(rng.sample(numbers, level.symbols * level.rules))))
        return cls(rhm, tables[::-1])

    @classmethod
    def from_rules(
        cls,
        rules: Sequence[Any] | Mapping[int, Any],
        *,
        v: int | None = None,
        rule_probabilities: Sequence[npt.ArrayLike] | None = None,
        prior: npt.ArrayLike | None = None,
    ) -> Grammar:
        """Take tables as published code stores them: top-down, ``rules[0]`` those of the root.

        Parameters
        ----------
        rules : sequence of arrays, or mapping from 0..L-1 to arrays
            Integer tables (numpy arrays, torch tensors or nested lists) of shape (symbols, m, s).
        v : int, optional
            Number of token symbols. By default that of level 1, or, for a single table, the largest token
            plus one.
        rule_probabilities : sequence of L arrays of shape (symbols, m), optional
            Top-down like the rules, rows summing to one; uniform by default.
        prior : array of shape (n,), optional
            Probabilities of the root symbols; uniform by default.

        Raises
        ------
        InputError
            For a table of another shape or type, a symbol out of range, a tuple with two parents, or
            probabilities that are not.
        """
        tables = _as_tables(rules)
        L = len(tables)
        if v is None:
            v = tables[0].shape[0] if L > 1 else max(2, int(tables[0].max()) + 1)
        counts = [as_int("v", v, low=2)] + [table.shape[0] for table in tables]
        for level, table in enumerate(tables, start=1):
            _check_table(level, L, table, counts[level - 1])
        shape = Shape(
            v=tuple(counts[:-1]),
            m=tuple(table.shape[1] for table in tables),
            s=tuple(table.shape[2] for table in tables),
            L=L,
            n=counts[-1],
        )
        grammar = cls(shape, [t.astype(smallest_unsigned(counts[i])) for i, t in enumerate(tables)])
        return grammar.reweighted(rule_probabilities, prior)

    def reweighted(
        self,
        rule_probabilities: Sequence[npt.ArrayLike] | None = None,
        prior: npt.ArrayLike | None = None,
    ) -> Grammar:
        """Return a grammar of the same rules with other probabilities.

        Parameters
        ----------
        rule_probabilities, prior
            As in `from_rules`; by default those of this grammar.
        """
        shape, L = self.shape, self.shape.L
        if rule_probabilities is None:
            tables = list(self._probabilities)
        else:
            if len(rule_probabilities) != L:
                rule = f"hold {len(rule_probabilities)} tables"
                raise InputError("rule_probabilities", rule=rule, way_out=f"L={L} levels need {L}")
            tables = [
                as_probabilities(f"rule_probabilities[{L - level}] (level {level})", p, self.rules(level).shape[:2])
                for level, p in zip(range(1, L + 1), list(rule_probabilities)[::-1], strict=True)
            ]
        pi = self.prior if prior is None else as_probabilities("prior", prior, self.prior.shape)
        # the ensemble keeps what all symbols of a level share
        if all(np.allclose(table, table[0], rtol=1e-12, atol=0) for table in tables):
            weights = tuple(tuple(table[0].tolist()) for table in tables)
            shape = RHM(shape.v, shape.m, shape.s, L, shape.n, weights)
        return Grammar(shape, self._rules, tables, pi)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Grammar:
        """Read a grammar written by `save` at ``path``; `InputError` for any other file, `OSError` as open does."""
        with open_regular(path) as file:
            try:
                check_archive(path, file)
                with strict_headers(), np.load(file, allow_pickle=False) as stored:
                    version, v = int(stored["format"]), int(stored["v"])
                    levels = range(int(stored["L"]), 0, -1)
                    tables = [stored[f"rules_{level}"] for level in levels]
                    probabilities = [stored[f"rule_probabilities_{level}"] for level in levels]
                    prior = stored["prior"]
            except InputError:
                raise
            except Exception as error:  # what is cut, altered or of another kind fails in many ways
                way_out = f"write one with Grammar.save ({error})"
                raise InputError(str(path), rule="is not a grammar file", way_out=way_out) from error
        if version != _FILE_FORMAT:
            rule = f"has file format {version}, this version reads {_FILE_FORMAT}"
            raise InputError(str(path), rule=rule, way_out="save it anew")
        return cls.from_rules(tables, v=v, rule_probabilities=probabilities, prior=prior)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the grammar to one ``.npz`` file, at exactly this path."""
        arrays: dict[str, Any] = {"prior": self.prior}
        for level in range(1, self.shape.L + 1):
            arrays[f"rules_{level}"] = self.rules(level)
            arrays[f"rule_probabilities_{level}"] = self.rule_probabilities(level)
        content = io.BytesIO()
        np.savez_compressed(content, format=_FILE_FORMAT, L=self.shape.L, v=self.shape.n_symbols(0), **arrays)
        write_atomically(path, content.getvalue())

    def __reduce__(self) -> tuple[Any, ...]:
        _, (shape, *arrays) = super().__reduce__()
        return Grammar, (self.rhm or shape, *arrays)

    def __repr__(self) -> str:
        return f"<Grammar {self.fingerprint[:12]} of {self.rhm or self.shape}>"

    def _repr_html_(self) -> str:
        """Table for notebooks: the first rules of each level."""
        rows = []
        for level in range(self.shape.L, 0, -1):
            table = self.rules(level)
            shown = [
                f"{c} → {' | '.join(' '.join(map(str, rule)) for rule in rules[:_SHOWN].tolist())}"
                + (" | …" if len(rules) > _SHOWN else "")
                for c, rules in enumerate(table[:_SHOWN])
            ]
            rest = [f"and {len(table) - _SHOWN} symbols more"] if len(table) > _SHOWN else []
            rows.append((level, "; ".join(shown + rest)))
        return html_table(f"Grammar {self.fingerprint[:12]} of {self.rhm or self.shape}", ("level", "rules"), rows)

    # --- computed from the tables --------------------------------------------------------------------

    parse = trees.parse
    tree = trees.tree
    sample = sampling.sample
    to_dict = export.to_dict
    to_cfg = export.to_cfg
    sample_trees = sampling.sample_trees
    stream = sampling.stream

    covariance = correlations.covariance
    correlation_function = correlations.correlation_function
    plateaus = entropy.plateaus
    estimate_plateaus = entropy.estimate_plateaus
    next_token_entropies = entropy.next_token_entropies
    estimate_next_token_entropies = entropy.estimate_next_token_entropies
    sequence_entropy = entropy.sequence_entropy
    next_token = inference.next_token
    posterior = inference.posterior
    posteriors = inference.posteriors
    sample_posterior = inference.sample_posterior
    sample_posterior_trees = inference.sample_posterior_trees
    log_likelihood = likelihoods.log_likelihood
    most_probable = likelihoods.most_probable
    prefix_posteriors = prefixes.prefix_posteriors
    overlaps = populations.overlaps
    denoised = denoising.denoised
    ideal_denoiser = objectives.ideal_denoiser
    class_plateaus = objectives.class_plateaus
    masked_plateaus = objectives.masked_plateaus
    denoising_plateaus = objectives.denoising_plateaus
    sample_filtered = filtered.sample_filtered
    next_token_filtered = filtered.next_token_filtered
    filtered_plateaus = filtered.filtered_plateaus


def _check_size(rhm: RHM, level: Level) -> None:
    """Raise `InputError` where the rules of a level are more than can be drawn."""
    rules = level.symbols * level.rules
    if rules > _LARGEST_TABLE:
        size = f"{8 * rules * level.children / 2**30:.3g} GiB"
        raise InputError(
            str(rhm),
            rule=f"has {rules:.3g} rules at level {level.number} ({size}), and at most {_LARGEST_TABLE} are drawn",
            way_out="lower `v` or `m` (predictions for the ensemble need no grammar)",
        )


def _tuples(level: Level, numbers: npt.NDArray[np.int64]) -> IntArray:
    """The rules of a level (v_l, m_l, s_l) from the numbers of their tuples."""
    tuples = decode(numbers, level.below, level.children)
    return tuples.reshape(level.symbols, level.rules, level.children).astype(smallest_unsigned(level.below))


def _as_tables(rules: Sequence[Any] | Mapping[int, Any]) -> list[IntArray]:
    """Read top-down tables of any array type and return them bottom-up."""
    if isinstance(rules, Mapping):
        if set(rules) != set(range(len(rules))):
            raise InputError(
                "rules", rule=f"have keys {list(rules)}", way_out="number the tables 0 .. L-1, 0 for the root's"
            )
        rules = [rules[i] for i in range(len(rules))]
    if not isinstance(rules, Sequence) and np.ndim(rules) == 0:
        raise InputError(
            "rules", rules, "are no tables", "give one array (symbols, m, s) a level, the root's first"
        )
    if len(rules) == 0:
        raise InputError(
            "rules", rule="hold no table", way_out="give at least the root's, of shape (symbols, m, s)"
        )
    tables = []
    for i, given in enumerate(rules):
        # a torch tensor may live on another device and carry gradients
        try:
            table = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
        except ValueError:
            rule = "has rows of different lengths"
            raise InputError(f"rules[{i}]", rule=rule, way_out="a table is (symbols, m, s)") from None
        if table.dtype.kind not in "iu":
            raise InputError(f"rules[{i}]", rule=f"is of type {table.dtype}", way_out="a table holds integers")
        if table.ndim != 3 or 0 in table.shape:
            raise InputError(f"rules[{i}]", rule=f"has shape {table.shape}", way_out="a table is (symbols, m, s)")
        tables.append(table)
    return tables[::-1]


def _check_table(level: int, L: int, table: IntArray, base: int) -> None:
    name = f"rules[{L - level}] (level {level})"
    s = table.shape[2]
    if s < 2:
        raise InputError(name, rule=f"has s={s} children per rule", way_out="it must have at least 2")
    count(base, s)
    outside = np.argwhere((table < 0) | (table >= base))
    if len(outside):
        c, r, p = map(int, outside[0])
        hint = "; pass v= if the tokens have more symbols than level 1" if level == 1 else ""
        raise InputError(
            name, rule=f"holds symbol {table[c, r, p]} at [{c}, {r}, {p}], outside 0..{base - 1}{hint}"
        )
    codes = encode(table, base).ravel()
    order = np.argsort(codes, kind="stable")
    same = np.flatnonzero(np.diff(codes[order]) == 0)
    if len(same):
        (c1, r1), (c2, r2) = (divmod(int(order[same[0] + i]), table.shape[1]) for i in (0, 1))
        raise InputError(
            name,
            rule=f"repeats the tuple {tuple(table[c1, r1].tolist())}",
            way_out=f"rule {r1} of symbol {c1} and rule {r2} of symbol {c2}; an unambiguous grammar gives each "
            "tuple one parent",
        )
