"""One draw of the rules: its law, its tables, import, storage, look-up."""

import copy
import pickle
import random
import tracemalloc
import zipfile
from collections import Counter
from itertools import permutations, product
from math import perm

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from tiny import MAKERS, grammars
from tiny import tiny as tiny_case

from rhmtheory import RHM, UNGRAMMATICAL, Grammar, InputError, zipf

# --- the draw -------------------------------------------------------------------------------------------


def top_down(grammar):
    return [grammar.rules(level) for level in range(grammar.shape.L, 0, -1)]


def test_shapes_and_types():
    g = RHM(v=(300, 20, 4), m=(3, 5, 2), s=(2, 3, 2), L=3, n=6).grammar(seed=0)
    assert [g.rules(level).shape for level in (1, 2, 3)] == [(20, 3, 2), (4, 5, 3), (6, 2, 2)]
    assert [g.rules(level).dtype for level in (1, 2, 3)] == [np.uint16, np.uint8, np.uint8]
    assert [int(g.rules(level).max()) < v for level, v in ((1, 300), (2, 20), (3, 4))] == [True] * 3


def test_the_same_seed_gives_the_same_grammar():
    rhm = RHM(v=16, m=4, s=2, L=3)
    assert rhm.grammar(seed=7) == rhm.grammar(seed=7)
    assert rhm.grammar(seed=7) == rhm.grammar(seed=np.random.default_rng(7))
    assert rhm.grammar(seed=7) != rhm.grammar(seed=8)
    assert rhm.grammar() == rhm.grammar(seed=0)


def test_a_generator_is_advanced():
    rng = np.random.default_rng(0)
    rhm = RHM(v=16, m=4, s=2, L=2)
    assert rhm.grammar(rng) != rhm.grammar(rng)


@pytest.mark.parametrize(
    "rhm",
    [
        RHM(v=16, m=4, s=2, L=3),
        RHM(v=4, m=4, s=2, L=4),
        RHM(v=5, m=25, s=3, L=2),
        RHM(v=(9, 3, 7), m=(20, 3, 2), s=(2, 3, 2), L=3),
        RHM(v=200, m=150, s=2, L=1),
    ],
    ids=repr,
)
def test_no_tuple_has_two_parents(rhm):
    for seed in range(3):
        for table in top_down(rhm.grammar(seed)):
            rules = table.reshape(-1, table.shape[-1]).tolist()
            assert len(set(map(tuple, rules))) == len(rules)


def test_all_tuples_are_used_where_f_is_one():
    table = RHM(v=3, m=3, s=2, L=1).grammar(seed=4).rules(1)
    assert sorted(map(tuple, table.reshape(-1, 2).tolist())) == list(product(range(3), repeat=2))


@pytest.mark.parametrize(
    ("rhm", "seeds"),
    [
        (RHM(v=2, m=1, s=2, L=1), 3000),  # 12 ordered choices of 2 out of 4 tuples
        (RHM(v=2, m=1, s=2, L=2), 6000),  # 144: the levels are independent
        (RHM(v=2, m=3, s=3, L=1, n=1), 6000),  # 336, one symbol with three rules
    ],
    ids=repr,
)
def test_all_grammars_are_equally_likely(rhm, seeds):
    counts = Counter(tuple(t.tobytes() for t in top_down(rhm.grammar(seed))) for seed in range(seeds))
    outcomes = 1
    for level in range(1, rhm.L + 1):
        outcomes *= perm(
            rhm.n_symbols(level - 1) ** rhm.n_children(level), rhm.n_symbols(level) * rhm.n_rules(level)
        )
    assert len(counts) <= outcomes
    observed = np.zeros(outcomes)
    observed[: len(counts)] = list(counts.values())
    assert chisquare(observed).pvalue > 1e-3


def test_published_seeds_give_the_published_grammars():
    """Plateaus of the authors' saved run: (16, 4, 2, 4), seed 2362346."""
    grammar = Grammar.from_published_seed(RHM(16, 4, 2, 4), 2362346)
    np.testing.assert_allclose(grammar.plateaus(), [2.689, 1.372, 0.495, 0.207, 0.157], atol=5e-4)


def test_published_seeds_pick_from_lists_of_all_tuples():
    """The rule said out loud: every tuple listed in product order, and as many picked as there are rules."""
    rhm = RHM(v=(3, 4, 5), m=2, s=(3, 2, 2), L=3, n=6)
    grammar = Grammar.from_published_seed(rhm, 7)
    rng = random.Random(7)
    for level, symbols, below, s in ((3, 6, 5, 2), (2, 5, 4, 2), (1, 4, 3, 3)):
        tuples = list(product(range(below), repeat=s))
        expected = np.array(rng.sample(tuples, 2 * symbols)).reshape(symbols, 2, s)
        np.testing.assert_array_equal(grammar.rules(level), expected)


def test_no_published_seeds_for_unequal_rules():
    with pytest.raises(InputError, match="published for equally likely rules only: use from_rules"):
        Grammar.from_published_seed(RHM(8, 2, 2, 2, rule_probabilities=(0.7, 0.3)), 0)


def test_a_trillion_tuples_in_little_memory():
    rhm = RHM(v=10**4, m=5, s=3, L=1, n=20)
    rhm.grammar(0)
    tracemalloc.start()
    try:
        g = rhm.grammar(seed=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000  # bytes
    assert g.rules(1).shape == (20, 5, 3)
    # uniform over all tuples, not over those with small codes: every child of the first is spread
    first = g.rules(1)[..., 0].astype(float) / 10**4
    assert abs(first.mean() - 0.5) < 5 / np.sqrt(12 * 100)


def test_tuples_that_cannot_be_numbered():
    with pytest.raises(InputError, match=r"v\*\*s = 10000\*\*5 tuples cannot be numbered in 63 bits: lower v or s"):
        RHM(v=10**4, m=2, s=5, L=1).grammar()
    with pytest.raises(InputError, match="cannot be numbered"):
        RHM(v=32, m=8, s=100, L=1).grammar()
    # the largest that can: 2**62 tuples
    assert RHM(v=2, m=1, s=62, L=1).grammar().rules(1).shape == (2, 1, 62)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None, True])
def test_bad_seeds(seed):
    with pytest.raises(InputError, match="seed="):
        RHM(v=4, m=2, s=2, L=1).grammar(seed)


# --- from_rules -----------------------------------------------------------------------------------------

ROOT = [[[0, 1], [2, 2]], [[1, 0], [0, 0]]]  # 2 classes, 2 rules, pairs of the 3 symbols below
LEAVES = [[[0, 3], [1, 1]], [[2, 0], [3, 3]], [[1, 2], [2, 1]]]  # 3 symbols, 2 rules, pairs of 4 tokens


class Tensor:
    """What a torch tensor does here: it must be detached and moved before numpy can read it."""

    def __init__(self, values, on_device=True):
        self.values, self.on_device = values, on_device

    def detach(self):
        return self

    def cpu(self):
        return Tensor(self.values, on_device=False)

    def __array__(self, dtype=None, copy=None):
        if self.on_device:
            raise TypeError("can't convert device tensor to numpy")
        return np.array(self.values, dtype=dtype)


@pytest.mark.parametrize(
    "rules",
    [
        [ROOT, LEAVES],
        (np.array(ROOT), np.array(LEAVES, dtype=np.int8)),
        {0: ROOT, 1: LEAVES},
        {1: np.array(LEAVES, dtype=np.uint64), 0: ROOT},
        [Tensor(ROOT), Tensor(LEAVES)],
        {0: Tensor(ROOT), 1: LEAVES},
    ],
    ids=["lists", "arrays", "dict", "dict in another order", "tensors", "mixed"],
)
def test_tables_top_down_of_any_type(rules):
    g = Grammar.from_rules(rules, v=4)
    assert (g.shape.v, g.shape.m, g.shape.s, g.shape.L, g.shape.n) == ((4, 3), 2, 2, 2, 2)
    assert g.rules(2).tolist() == ROOT
    assert g.rules(1).tolist() == LEAVES
    assert g.rules(1).dtype == np.uint8
    assert g.is_uniform
    assert g == Grammar.from_rules([ROOT, LEAVES], v=4)


def test_torch_tables():
    torch = pytest.importorskip("torch")
    g = Grammar.from_rules({0: torch.tensor(ROOT), 1: torch.tensor(LEAVES)}, v=4)
    assert g == Grammar.from_rules([ROOT, LEAVES], v=4)
    with pytest.raises(InputError, match=r"rules\[0\] is of type float32: a table holds integers"):
        Grammar.from_rules([torch.tensor(ROOT, dtype=torch.float32, requires_grad=True), LEAVES], v=4)


def test_one_array_for_all_levels():
    g = RHM(v=4, m=2, s=2, L=3).grammar(seed=0)
    assert Grammar.from_rules(np.stack(top_down(g))) == g


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_its_own_tables_give_the_grammar_back(maker):
    g = maker()
    levels = range(g.shape.L, 0, -1)
    again = Grammar.from_rules(
        top_down(g),
        v=g.shape.n_symbols(0),
        rule_probabilities=[g.rule_probabilities(level) for level in levels],
        prior=g.prior,
    )
    assert again == g
    assert again.fingerprint == g.fingerprint
    assert again.rhm == g.rhm
    assert (g.rhm is None) == (maker in (MAKERS["weights per symbol"], MAKERS["a rule that never happens"]))


def test_the_number_of_tokens():
    """By default that of level 1, or for one table the largest token plus one, at least two; v= overrides."""
    assert Grammar.from_rules([ROOT]).shape.n_symbols(0) == 3
    assert Grammar.from_rules([[[[0, 0]]]]).shape.n_symbols(0) == 2
    assert Grammar.from_rules([ROOT], v=10).shape.n_symbols(0) == 10
    assert Grammar.from_rules([ROOT, [[[0, 1]], [[1, 0]], [[1, 2]]]]).shape.n_symbols(0) == 3
    assert Grammar.from_rules([ROOT, LEAVES], v=300).rules(1).dtype == np.uint16


def test_the_callers_arrays_are_left_alone():
    root, leaves = np.array(ROOT, dtype=np.uint8), np.array(LEAVES, dtype=np.uint8)
    prior = np.array([0.25, 0.75])
    g = Grammar.from_rules([root, leaves], v=4, prior=prior)
    root[0, 0, 0], leaves[0, 0, 0], prior[0] = 2, 2, 0
    assert g.rules(2).tolist() == ROOT
    assert g.rules(1).tolist() == LEAVES
    assert g.prior.tolist() == [0.25, 0.75]


def altered(table, at, value):
    table = np.array(table)
    table[at] = value
    return table


@pytest.mark.parametrize(
    ("rules", "v", "message"),
    [
        ([], None, "rules hold no table: give at least the root's"),
        ({}, None, "rules hold no table"),
        (3, None, "rules=3 are no tables"),
        (None, None, "rules=None are no tables"),
        ({1: ROOT, 2: LEAVES}, None, r"rules have keys \[1, 2\]: number the tables 0 .. L-1, 0 for the root's"),
        ({"a": ROOT}, None, r"rules have keys \['a'\]"),
        ([ROOT, np.array(LEAVES) * 1.0], 4, r"rules\[1\] is of type float64: a table holds integers"),
        ([ROOT, np.array(LEAVES) > 1], 4, r"rules\[1\] is of type bool"),
        (["ab"], None, r"rules\[0\] is of type <U2"),
        ([[0, 1], [1, 0]], None, r"rules\[0\] has shape \(2,\): a table is \(symbols, m, s\)"),
        ([ROOT, [LEAVES]], 4, r"rules\[1\] has shape \(1, 3, 2, 2\)"),
        ([np.empty((0, 2, 2), int)], None, r"rules\[0\] has shape \(0, 2, 2\)"),
        ([np.empty((2, 0, 2), int)], None, r"rules\[0\] has shape \(2, 0, 2\)"),
        ([ROOT, [[[0, 1], [1]]]], 4, r"rules\[1\] has rows of different lengths"),
        ([[[[0], [1]]]], None, r"rules\[0\] \(level 1\) has s=1 children per rule: it must have at least 2"),
        (
            [ROOT, altered(LEAVES, (2, 0, 1), -1)],
            4,
            r"rules\[1\] \(level 1\) holds symbol -1 at \[2, 0, 1\], outside 0..3",
        ),
        (
            [ROOT, LEAVES],
            None,
            r"holds symbol 3 at \[0, 0, 1\], outside 0..2; pass v= if the tokens have more symbols",
        ),
        (
            [altered(ROOT, (1, 0, 0), 3), LEAVES],
            4,
            r"rules\[0\] \(level 2\) holds symbol 3 at \[1, 0, 0\], outside 0..2$",
        ),
        ([ROOT, LEAVES], 1, "v=1 is too small"),
        ([ROOT, LEAVES], 4.0, "v=4.0 is not an integer"),
        (
            [ROOT, altered(LEAVES, (2, 1), (0, 3))],
            4,
            r"rules\[1\] \(level 1\) repeats the tuple \(0, 3\): rule 0 of symbol 0 and rule 1 of symbol 2; "
            "an unambiguous grammar gives each tuple one parent",
        ),
        ([altered(ROOT, (1, 1), (1, 0)), LEAVES], 4, "rule 0 of symbol 1 and rule 1 of symbol 1"),
        ([np.zeros((2, 1, 70), int)], None, r"v\*\*s = 2\*\*70 tuples cannot be numbered"),
    ],
)
def test_bad_tables(rules, v, message):
    with pytest.raises(InputError, match=message):
        Grammar.from_rules(rules, v=v)


def test_probabilities_of_single_precision_are_scaled():
    """A softmax in float32 sums to one within 1e-7 or so."""
    p = np.exp(np.random.default_rng(0).normal(size=2)).astype(np.float32)
    given = [np.tile(p / p.sum() * np.float32(1 + 3e-7), (len(table), 1)) for table in (ROOT, LEAVES)]
    g = Grammar.from_rules([ROOT, LEAVES], v=4, rule_probabilities=given)
    np.testing.assert_allclose(g.rule_probabilities(1).sum(axis=1), 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(g.rule_probabilities(2)[0], p / p.sum(), rtol=1e-6)


def test_probabilities_are_top_down_too():
    p = [[[0.9, 0.1], [0.5, 0.5]], [[0.2, 0.8], [0.3, 0.7], [1.0, 0.0]]]
    g = Grammar.from_rules([ROOT, LEAVES], v=4, rule_probabilities=p, prior=[0.4, 0.6])
    assert g.rule_probabilities(2).tolist() == p[0]
    assert g.rule_probabilities(1).tolist() == p[1]
    assert g.prior.tolist() == [0.4, 0.6]
    assert not g.is_uniform
    assert g.rhm is None
    with pytest.raises(
        InputError, match="belongs to no ensemble, since its symbols weigh their rules each in its own way"
    ):
        g.require_rhm()
    # the ways out that the error names
    assert g.plateaus().shape == (3,)
    assert g.reweighted([np.full((2, 2), 0.5), np.full((3, 2), 0.5)]).require_rhm().plateaus().shape == (3,)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"prior": [1.0]}, r"prior have shape \(1,\): they must have shape \(2,\)"),
        ({"prior": [0.5, 0.6]}, "prior sum to 1.1"),
        ({"prior": [0.5 + 1j, 0.5]}, "prior must hold real numbers"),
        ({"prior": [-0.5, 1.5]}, r"prior hold -0.5 at \[0\]"),
        ({"rule_probabilities": [[[0.5, 0.5]] * 2]}, "rule_probabilities hold 1 tables: L=2 levels need 2"),
        (
            {"rule_probabilities": [[[0.5, 0.5]] * 2, [[0.5, 0.5]] * 2]},
            r"rule_probabilities\[1\] \(level 1\) have shape \(2, 2\): they must have shape \(3, 2\)",
        ),
        (
            {"rule_probabilities": [[[0.5, 0.5], [0.5, 0.4]], [[0.5, 0.5]] * 3]},
            r"rule_probabilities\[0\] \(level 2\) at \[1\] sum to 0.9",
        ),
        (
            {"rule_probabilities": [[[0.5, 0.5]] * 2, [[0.5, 0.5], [2, -1], [0.5, 0.5]]]},
            r"rule_probabilities\[1\] \(level 1\) hold -1.0 at \[1, 1\]",
        ),
    ],
)
def test_bad_probabilities(keywords, message):
    with pytest.raises(InputError, match=message):
        Grammar.from_rules([ROOT, LEAVES], v=4, **keywords)


def test_reweighted_keeps_the_rules():
    g = RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    p = np.tile([0.75, 0.25], (4, 1))
    w = g.reweighted([p, p])
    assert all((w.rules(level) == g.rules(level)).all() for level in (1, 2))
    assert w.rhm.rule_probabilities == (0.75, 0.25)
    assert w == RHM(v=4, m=2, s=2, L=2, rule_probabilities=(0.75, 0.25)).grammar(seed=0)
    assert w != g
    assert not w.is_uniform
    # what is not given stays
    prior = [0.1, 0.2, 0.3, 0.4]
    both = w.reweighted(prior=prior)
    assert both.rule_probabilities(1).tolist() == p.tolist()
    assert both.prior.tolist() == prior
    assert both.reweighted([np.full((4, 2), 0.5)] * 2, prior=[0.25] * 4) == g
    assert w.reweighted() == w


# --- storage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_save_and_load(maker, tmp_path):
    g, path = maker(), tmp_path / "grammar of mine"
    g.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["grammar of mine"]
    back = Grammar.load(path)
    assert back == g
    assert back.fingerprint == g.fingerprint
    assert back.rhm == g.rhm
    assert [t.dtype for t in top_down(back)] == [t.dtype for t in top_down(g)]
    assert Grammar.load(str(path)) == g


@given(grammar=grammars(derivations=10**6))
def test_save_and_load_of_any_grammar(grammar, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "g.npz"
    grammar.save(path)
    assert Grammar.load(path) == grammar


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Grammar.load(tmp_path / "none.npz")


def test_other_files(tmp_path):
    path = tmp_path / "file"
    contents = {
        "empty": b"",
        "text": b"rules: 1, 2, 3\n",
        "zip header only": b"PK\x03\x04",
        "pickle": pickle.dumps({"format": 1}),
    }
    for content in contents.values():
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"is not a grammar file: write one with Grammar\.save"):
            Grammar.load(path)
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match="is not a grammar file"):
        Grammar.load(path)
    with open(path, "wb") as file:
        np.savez(file, rules=np.zeros(3))
    with pytest.raises(InputError, match="is not a grammar file"):
        Grammar.load(path)


def _stored(path, **changes):
    with np.load(path) as file:
        return dict(file) | changes


def test_files_with_other_contents(tmp_path):
    path = tmp_path / "g.npz"
    g = RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    g.save(path)
    cases = [
        ({"format": 2}, "has file format 2, this version reads 1: save it anew"),
        ({"format": [1, 1]}, "is not a grammar file"),
        ({"L": 3}, "is not a grammar file"),
        ({"L": 0}, "rules hold no table"),
        ({"v": 2}, r"outside 0\.\.1"),
        ({"rules_1": g.rules(1) * 0.5}, "a table holds integers"),
        ({"rules_1": np.zeros_like(g.rules(1))}, "repeats the tuple"),
        ({"prior": np.full(4, 0.3)}, "prior sum to 1.2"),
        ({"prior": np.array([None] * 4)}, "is not a grammar file"),
        ({"rule_probabilities_2": np.full((4, 3), 1 / 3)}, r"have shape \(4, 3\)"),
    ]
    for changes, message in cases:
        other = tmp_path / "other.npz"
        np.savez(other, **_stored(path, **changes))
        with pytest.raises(InputError, match=message):
            Grammar.load(other)


def test_headers_that_numpy_never_writes_are_refused(tmp_path):
    """Python's parser only warns of an unknown escape in a string."""
    path = tmp_path / "g.npz"
    RHM(v=4, m=2, s=2, L=2).grammar(seed=0).save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content.replace(b"'descr'", b"'desc\\M'").replace(b" \n", b"\n"))
    with pytest.raises(InputError, match="is not a grammar file"):
        Grammar.load(path)


def test_altered_files_never_give_another_grammar(tmp_path):
    """Whatever byte is damaged, and wherever the file is cut: an input error, or the grammar that was saved."""
    g = RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    whole = tmp_path / "g.npz"
    g.save(whole)
    data = whole.read_bytes()
    path = tmp_path / "damaged.npz"
    refused = 0
    damaged = [data[:i] + bytes([data[i] ^ 0x55]) + data[i + 1 :] for i in range(0, len(data), 5)]
    for content in damaged + [data[:i] for i in range(0, len(data), 50)]:
        path.write_bytes(content)
        try:
            assert Grammar.load(path) == g
        except InputError:
            refused += 1
    assert refused > len(data) / 5 / 2


# --- identity -------------------------------------------------------------------------------------------


def test_equality_hash_and_fingerprint():
    rhm = RHM(v=4, m=2, s=2, L=2)
    a, b, c = rhm.grammar(1), rhm.grammar(1), rhm.grammar(2)
    assert a == b
    assert hash(a) == hash(b)
    assert a.fingerprint == b.fingerprint
    assert len(a.fingerprint) == 64
    assert a != c
    assert a.fingerprint != c.fingerprint
    assert {a, b, c} == {a, c}
    assert a != "a grammar"
    # the same tables over more tokens are another grammar, as are other probabilities of the same rules
    first = Grammar.from_rules([ROOT, LEAVES], v=4)
    p = [np.full((2, 2), 0.5), np.full((3, 2), 0.5)]
    others = [
        Grammar.from_rules([ROOT, LEAVES], v=5),
        Grammar.from_rules([altered(ROOT, (0, 0), (2, 1)), LEAVES], v=4),
        Grammar.from_rules([ROOT, altered(LEAVES, (2, 1), (3, 1))], v=4),
        first.reweighted(prior=[0.4, 0.6]),
        first.reweighted([altered(p[0], (0,), (0.4, 0.6)), p[1]]),
        first.reweighted([p[0], altered(p[1], (2,), (0.4, 0.6))]),
    ]
    assert all(other != first for other in others)
    assert len({g.fingerprint for g in [first, *others]}) == 7
    assert a.fingerprint[:12] in repr(a)


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=2, unique=True))
def test_grammars_of_different_seeds_differ(seeds):
    rhm = RHM(v=16, m=4, s=2, L=2)
    a, b = map(rhm.grammar, seeds)
    assert a != b
    assert a.fingerprint != b.fingerprint


def test_tables_cannot_be_written():
    g = RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    again = [pickle.loads(pickle.dumps(g)), copy.deepcopy(g), copy.copy(g), Grammar.from_rules(top_down(g))]
    for grammar in [g, *again]:
        assert grammar == g
        arrays = [grammar.rules(1), grammar.rule_probabilities(2), grammar.prior, grammar.transition(1)]
        for array in arrays:
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


# --- look-up --------------------------------------------------------------------------------------------


def test_parents():
    g = Grammar.from_rules([ROOT, LEAVES], v=4)
    assert g.parents(1, [0, 3]).item() == 0
    assert g.parents(1, [[0, 3], [3, 3], [1, 2], [3, 0]]).tolist() == [0, 1, 2, UNGRAMMATICAL]
    assert g.parents(2, [[[2, 2]], [[1, 1]]]).tolist() == [[0], [UNGRAMMATICAL]]
    assert g.parents(1, np.empty((0, 2), int)).shape == (0,)


def test_parents_of_every_tuple(tiny):
    for level in range(1, tiny.shape.L + 1):
        rules = {tuple(rule): c for c, table in enumerate(tiny.tables[-level]) for rule in table}
        tuples = list(product(range(tiny.sizes[level - 1]), repeat=tiny.shape.n_children(level)))
        expected = [rules.get(t, UNGRAMMATICAL) for t in tuples]
        assert tiny.grammar.parents(level, tuples).tolist() == expected


def test_symbols_out_of_range_have_no_parent():
    """Also where the code of the tuple, taken in base v, is that of a rule: (0, 5) is 5 = (1, 1) in base 4."""
    g = Grammar.from_rules([ROOT, LEAVES], v=4)
    assert (
        g.parents(1, [[1, 1], [0, 5], [2, -3], [-1, -1], [4, 4], [2**62, 1]]).tolist() == [0] + [UNGRAMMATICAL] * 5
    )
    assert g.parents(1, np.array([[2**63 + 1, 1]], dtype=np.uint64)).tolist() == [UNGRAMMATICAL]


@pytest.mark.parametrize(
    ("level", "tuples", "message"),
    [
        (0, [0, 1], "level=0 is too small"),
        (3, [0, 1], "level=3 is too large"),
        (1, [0.0, 1.0], "tuples are of type float64: give integers"),
        (1, [0, 1, 2], r"tuples have shape \(3,\): the last axis must hold s=2 children"),
        (1, 3, r"tuples have shape \(\)"),
    ],
)
def test_bad_tuples(level, tuples, message):
    with pytest.raises(InputError, match=message):
        Grammar.from_rules([ROOT, LEAVES], v=4).parents(level, tuples)


def test_parse_inverts_every_derivation(tiny):
    bottom_up = [levels[::-1] for levels, _ in tiny.trees]
    parsed = tiny.grammar.parse([levels[0] for levels in bottom_up]).levels
    assert len(parsed) == tiny.shape.L + 1
    for level, symbols in enumerate(parsed):
        assert symbols.tolist() == [list(levels[level]) for levels in bottom_up]


@pytest.mark.parametrize("name", ["binary", "one class", "all tuples grammatical"])
def test_parse_refuses_what_the_grammar_cannot_say(name):
    """Of all strings, exactly the derivable ones have a root; single sentences parse like batches."""
    case = tiny_case(name)
    strings = list(product(range(case.sizes[0]), repeat=case.shape.d))[:: 1 if case.shape.d < 8 else 3]
    sayable = {levels[-1] for levels, _ in case.trees}
    roots = case.grammar.parse(strings).levels[-1][:, 0]
    assert [root != UNGRAMMATICAL for root in roots] == [string in sayable for string in strings]
    assert case.grammar.parse(strings[5]).levels[-1].tolist() == [roots[5]]


def test_parse_keeps_the_grammatical_parts():
    g = Grammar.from_rules([ROOT, LEAVES], v=4)
    tokens, hidden, root = g.parse([0, 3, 0, 0]).levels
    assert tokens.tolist() == [0, 3, 0, 0]
    assert hidden.tolist() == [0, UNGRAMMATICAL]
    assert root.tolist() == [UNGRAMMATICAL]


def test_parse_of_no_sentence():
    g = RHM(v=4, m=2, s=2, L=3).grammar()
    assert [level.shape for level in g.parse(g.sample(0)).levels] == [(0, 8), (0, 4), (0, 2), (0, 1)]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.zeros((3, 7), int), r"tokens have shape \(3, 7\): the last axis must hold d=8 tokens"),
        (0, r"tokens have shape \(\)"),
        (np.full(8, 0.5), "tokens are of type float64: give integers"),
    ],
)
def test_bad_tokens(tokens, message):
    with pytest.raises(InputError, match=message):
        RHM(v=4, m=2, s=2, L=3).grammar().parse(tokens)


def test_path():
    g = RHM(v=(4, 4, 4), m=1, s=(2, 3, 2), L=3).grammar()
    assert g.path(3, 0) == ()
    assert g.path(2, 1) == (1,)
    assert g.path(1, 5) == (1, 2)
    assert [g.path(0, i) for i in (0, 1, 2, 11)] == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 2, 1)]
    assert len({g.path(0, i) for i in range(12)}) == 12
    with pytest.raises(InputError, match="position=12 is too large: it must be at most 11"):
        g.path(0, 12)


def test_permutations_of_the_symbols_permute_the_marginals():
    """Renaming the tokens of a grammar renames its statistics, and nothing else."""
    g = RHM(v=3, m=2, s=2, L=2).grammar(seed=1)
    for names in permutations(range(3)):
        renamed = Grammar.from_rules([g.rules(2), np.array(names)[g.rules(1)]])
        for i in range(4):
            np.testing.assert_allclose(renamed.marginal(0, i)[list(names)], g.marginal(0, i), atol=1e-16)
        np.testing.assert_allclose(renamed.plateaus(), g.plateaus(), atol=1e-12)


def test_rules_shared_by_the_symbols_of_a_level():
    rhm = RHM(v=4, m=3, s=2, L=2, rule_probabilities=zipf(3, 1))
    g = rhm.grammar(seed=0)
    for level in (1, 2):
        np.testing.assert_array_equal(g.rule_probabilities(level), np.tile(zipf(3, 1), (4, 1)))
    # probabilities do not enter the draw of the rules
    assert (g.rules(1) == RHM(v=4, m=3, s=2, L=2).grammar(seed=0).rules(1)).all()


def test_arrays_of_the_caller_stay_his_own():
    """The tables are copied: they can be written afterwards, and the grammar does not change with them."""
    first = RHM(8, 2, 2, 2).grammar(0)
    rules = [first.rules(level).copy() for level in (1, 2)]
    weights = [first.rule_probabilities(level).copy() for level in (1, 2)]
    prior = first.prior.copy()
    grammar = Grammar(first.rhm, rules, weights, prior)
    for array in (*rules, *weights, prior):
        array[...] = 0
    assert grammar == first
    assert not grammar.rules(1).flags.writeable
    # what is read-only already is shared
    assert Grammar(first.rhm, [first.rules(1), first.rules(2)]).rules(1) is first.rules(1)
