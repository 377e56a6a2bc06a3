"""The sampler: its generator, its reproducibility, and its law against the list of all derivations."""

import os
import shutil
import subprocess
import sys
from itertools import islice, product
from pathlib import Path

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from tiny import Tiny, grammars
from tiny import tiny as tiny_case

import rhmtheory
from rhmtheory import RHM, InputError, zipf
from rhmtheory._kernels import sampling as kernels
from rhmtheory.support import memory
from rhmtheory.support.parallel import for_ranges, thread_count
from rhmtheory.tree import sampling
from rhmtheory.tree.sampling import sample, stream

# --- the generator --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
    ids=["zeros", "ones", "digits of pi"],
)
def test_known_answers_of_philox_4x32_10(counter, key, expected):
    """The vectors published with Random123 (Salmon et al., 2011)."""
    assert list(kernels.philox(*map(np.uint64, counter + key))) == expected


def philox(*words):
    return [int(word) for word in kernels.philox(*map(np.uint64, words))]


def refused(words, *outcomes, first=2**33, k0=11, k1=13):
    """Words (samples, words of a sample) after those that would bias are redrawn; the first is number 2**33 + 1."""
    buffer = np.concatenate([[0], np.ravel(words)]).astype(np.uint32)
    together = np.array(outcomes, np.uint64)
    kernels.refuse_words(buffer, first, 1, len(words), together, np.uint64(k0), np.uint64(k1))
    return buffer[1:].reshape(len(words), -1)


def test_words_are_a_function_of_their_number():
    words = np.empty(40, np.uint32)
    key = np.uint64(3), np.uint64(4)
    kernels.fill_words(words, 2**34 - 8, *key)
    for block in range(10):
        number = 2**32 - 2 + block
        assert words[4 * block : 4 * block + 4].tolist() == philox(number % 2**32, 0, number >> 32, 0, *key)


def test_a_word_that_would_bias_is_redrawn():
    """Lemire's method refuses words whose rest is below 2**32 mod outcomes: none for a power of two."""
    every = np.array([[0], [1], [2**30], [2**32 - 1]])
    assert (refused(every, 4) == every).all()
    assert (refused(every, 2**32) == every).all()
    # three outcomes refuse one word, zero; what replaces it has counter word 1 set; word 2**33 + 1 is in its place
    assert refused(every, 3)[1:].tolist() == every[1:].tolist()
    assert refused(every, 3)[0, 0] == philox(1, 1, 2, 0, 11, 13)[0]
    # of 3 * 5 * 7 outcomes 2**32 mod 105 = 46 words are refused, wherever the choices are cut
    rests = np.arange(105) * pow(105, -1, 2**32) % 2**32  # word * 105 mod 2**32 = 0..104
    assert (refused(rests[:, None], 105)[:, 0] != rests).tolist() == [True] * 46 + [False] * 59


def test_each_word_of_a_sample_has_its_own_outcomes():
    zeros = np.zeros((50, 4), int)
    assert (refused(zeros, 3, 2, 1, 7) != 0).all(axis=0).tolist() == [True, False, False, True]


@pytest.mark.parametrize("outcomes", [(3, 5, 7), (2, 3, 2), (32, 8, 8), (1, 6)])
def test_choices_that_share_a_word_are_uniform_exactly(outcomes):
    """All words of 12 bits, in place of 32, that are not refused: each joint outcome comes up equally often."""
    together = int(np.prod(outcomes))
    counts = np.zeros(outcomes, int)
    for word in range(2**12):
        if word * together % 2**12 < 2**12 % together:
            continue
        # the kernel's own steps on 32 bits, the word in the upper 12, reach the same outcomes
        words, taken = np.array([word << 20], np.uint32), []
        for N in outcomes:
            choice = np.empty((1, 1), np.int64)
            none = np.empty(0, np.uint64)
            kernels.choose(choice, np.zeros((1, 1), np.uint8), words, kernels.Place(0, 1, 0, 1, 0), N, none, none)
            taken.append(int(choice[0, 0]))
        counts[tuple(taken)] += 1
    assert counts.min() == counts.max() == 2**12 // together


# --- reproducibility ------------------------------------------------------------------------------------

SHAPES = {
    "binary": RHM(v=8, m=3, s=2, L=3),
    "ternary": RHM(v=4, m=2, s=3, L=2),
    "levels differ": RHM(v=(300, 5, 9), m=(7, 3, 2), s=(2, 3, 5), L=3, n=17),
    "zipf": RHM(v=8, m=3, s=2, L=3, rule_probabilities=zipf(3, 0.4)),
}


@pytest.fixture(params=SHAPES)
def grammar(request):
    return SHAPES[request.param].grammar(seed=1)


@pytest.mark.parametrize("trees", [False, True])
def test_the_same_bytes_on_any_number_of_threads(grammar, trees):
    n = 3 * sampling._LEAST_TOKENS_A_THREAD // grammar.shape.d + 12345  # enough for several threads
    draw = grammar.sample_trees if trees else grammar.sample
    one, *others = (draw(n, seed=5, threads=t) for t in (1, 2, 3, 7))
    assert all(one == other if trees else (one == other).all() for other in others)


def test_threads_from_the_environment(monkeypatch, grammar):
    used = []
    monkeypatch.setattr(sampling, "for_ranges", lambda work, n, threads, least: used.append(threads) or work(0, n))
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    first = grammar.sample(10, seed=0)
    assert (first == grammar.sample(10, seed=0, threads=3)).all()
    assert used == [None, 3]


def test_earlier_samples_stay_when_more_are_drawn(grammar):
    longer = grammar.sample(50_000, seed=3)
    for n in (0, 1, 7, 4999):
        assert (grammar.sample(n, seed=3) == longer[:n]).all()


@pytest.mark.parametrize("size", [1, 7, 64, 5000])
def test_batches_joined_are_one_long_sample(grammar, size):
    batches = list(islice(grammar.stream(size, seed=9), 4))
    assert [b.shape for b in batches] == [(size, grammar.shape.d)] * 4
    assert (np.concatenate(batches) == grammar.sample(4 * size, seed=9)).all()


def test_batches_on_any_number_of_threads():
    g = SHAPES["binary"].grammar(seed=1)
    size = 2 * sampling._LEAST_TOKENS_A_THREAD // g.shape.d + 1
    for a, b in islice(zip(stream(g, size, 0, threads=1), stream(g, size, 0, threads=3), strict=True), 2):
        assert (a == b).all()


def test_trees_end_in_the_same_tokens(grammar):
    trees = grammar.sample_trees(5000, seed=2).levels
    assert [t.shape for t in trees] == [(5000, grammar.shape.width(level)) for level in range(grammar.shape.L + 1)]
    assert (trees[0] == grammar.sample(5000, seed=2)).all()


def test_every_sample_parses_to_its_own_tree(grammar):
    trees = grammar.sample_trees(5000, seed=2).levels
    for drawn, parsed in zip(trees, grammar.parse(trees[0]).levels, strict=True):
        assert (drawn == parsed).all()


@given(grammars(derivations=10**6))
def test_trees_of_any_grammar(g):
    """Every shape of tree: whatever the number of nodes, all of them are drawn."""
    trees = g.sample_trees(200, seed=0).levels
    assert (g.sample(200, seed=0) == trees[0]).all()
    for drawn, parsed in zip(trees, g.parse(trees[0]).levels, strict=True):
        assert (drawn == parsed).all()


@pytest.mark.parametrize("s", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("L", [1, 2, 3, 4])
def test_tokens_of_trees_of_every_size(s, L):
    """The words of a tree come in blocks of four: sizes of the tree just below, at and above a whole block."""
    g = RHM(v=4, m=3, s=s, L=L).grammar(seed=0)
    assert (g.sample(300, seed=1) == g.sample_trees(300, seed=1).levels[0]).all()


@pytest.mark.parametrize(
    ("v", "dtype"), [(2, np.uint8), (256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, np.uint32)]
)
def test_the_smallest_dtype_that_holds_the_symbols(v, dtype):
    g = RHM(v=(v, 2), m=2, s=2, L=2).grammar(seed=0)
    tokens = g.sample(50, seed=0)
    assert tokens.dtype == dtype
    assert {tuple(t) for t in tokens[:, :2].tolist()} <= {tuple(r) for r in g.rules(1).reshape(-1, 2).tolist()}
    assert all(level.dtype == dtype for level in g.sample_trees(5, seed=0).levels)


def test_many_symbols_above_few_tokens():
    """The tokens need one byte, the hidden symbols two."""
    g = RHM(v=(40, 400), m=2, s=2, L=2).grammar(seed=0)
    tokens, hidden, root = g.sample_trees(1000, seed=0).levels
    assert g.sample(10, seed=0).dtype == np.uint8
    assert hidden.dtype == np.uint16
    assert hidden.max() > 255
    assert (g.parse(tokens).level(1) == hidden).all()
    assert (g.parse(tokens).level(2) == root).all()


def test_seeds(grammar):
    a = grammar.sample(100, seed=1)
    assert (a == grammar.sample(100, seed=1)).all()
    assert (a == grammar.sample(100, seed=np.random.default_rng(1))).all()
    assert (a != grammar.sample(100, seed=2)).any()
    assert (grammar.sample(100) == grammar.sample(100, seed=0)).all()


def test_a_generator_advances(grammar):
    rng = np.random.default_rng(1)
    a, b = grammar.sample(100, rng), grammar.sample(100, rng)
    assert (a != b).any()
    assert (next(grammar.stream(100, rng)) != next(grammar.stream(100, rng))).any()
    again = np.random.default_rng(1)
    assert (grammar.sample(100, again) == a).all()
    assert (grammar.sample(100, again) == b).all()


def test_a_stream_does_not_depend_on_what_is_drawn_meanwhile(grammar):
    rng = np.random.default_rng(1)
    batches = stream(grammar, 10, rng)
    first = next(batches)
    rng.integers(10, size=7)
    joined = np.concatenate([first, next(batches)])
    assert (joined == grammar.sample(20, np.random.default_rng(1))).all()


def test_samples_beyond_the_32nd_bit_of_their_number(grammar):
    """A long stream crosses sample 2**32 without repeating itself."""
    start = 2**32 - 5

    def draw(n, first):
        return sampling._draw(grammar, n, first, (np.uint64(1234), np.uint64(0)), trees=False, threads=1)[0]

    across = draw(10, start)
    for i in range(10):
        assert (draw(1, start + i)[0] == across[i]).all()
    assert (across[5:] != draw(5, 0)).any()


def test_no_sample(grammar):
    tokens = grammar.sample(0)
    assert tokens.shape == (0, grammar.shape.d)
    assert tokens.dtype == grammar.sample(1).dtype
    assert [level.shape for level in grammar.sample_trees(0).levels] == [
        (0, grammar.shape.width(level)) for level in range(grammar.shape.L + 1)
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: sample(g, -1), "samples=-1 is too small: it must be at least 0"),
        (lambda g: sample(g, 2.0), "samples=2.0 is not an integer"),
        (lambda g: sample(g, True), "samples=True is a truth value"),
        (lambda g: sample(g, 2**61), r"need 1.72e\+10 GiB, more .* draw fewer, or use stream\(\)"),
        (lambda g: sample(g, 1, -1), "seed=-1 is too small"),
        (lambda g: sample(g, 1, 0.5), "seed=0.5 is not an integer"),
        (lambda g: sample(g, 1, threads=0), "threads=0 is too small"),
        (lambda g: stream(g, 0), "batch_size=0 is too small: it must be at least 1"),
        (lambda g: stream(g, 2.5), "batch_size=2.5 is not an integer"),
    ],
)
def test_bad_arguments(call, message):
    """Of a stream too, at the call and not at the first batch."""
    with pytest.raises(InputError, match=message):
        call(SHAPES["binary"].grammar())


@given(count=st.integers(0, 300), threads=st.integers(1, 9), least=st.integers(0, 50))
def test_ranges_of_threads_cover_everything_once(count, threads, least):
    done = []
    for_ranges(lambda start, stop: done.append((start, stop)), count, threads=threads, least=least)
    assert sorted(i for start, stop in done for i in range(start, stop)) == list(range(count))
    assert all(stop - start >= min(least, count) for start, stop in done)


def test_an_error_in_a_thread_is_raised():
    def work(start, stop):
        if start > 0:
            raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        for_ranges(work, 100, threads=2)


def test_number_of_threads(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    assert thread_count() == 3
    assert thread_count(2) == 2
    monkeypatch.delenv("NUMBA_NUM_THREADS")
    assert 1 <= thread_count() <= os.cpu_count()
    for wrong in ("many", "0", "-1", "1.5"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", wrong)
        with pytest.raises(InputError, match="NUMBA_NUM_THREADS="):
            thread_count()


# --- the law --------------------------------------------------------------------------------------------


def p_value(counts, expected):
    """Chi-square test of counts against their expected values; what cannot happen must not have happened."""
    counts, expected = np.ravel(counts), np.ravel(expected)
    assert counts[expected == 0].sum() == 0
    counts, expected = counts[expected > 0], expected[expected > 0]
    # rare outcomes join one class
    rare = expected < 5
    if rare.any():
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    if len(counts) == 1:
        return 1.0
    return chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1)


def strings(rows, size):
    """Rows of symbols as numbers in base ``size``."""
    return rows.astype(np.int64) @ size ** np.arange(rows.shape[1] - 1, -1, -1, dtype=np.int64)


def law_of_sentences(tiny, n, seed):
    """Counts of all derivable sentences among n samples, and what is expected of them."""
    probabilities = naive.distribution(tiny.trees, lambda levels: levels[-1])
    code = strings(np.array(list(probabilities)), tiny.sizes[0])
    order = np.argsort(code)
    drawn = strings(tiny.grammar.sample(n, seed=seed), tiny.sizes[0])
    at = np.searchsorted(code[order], drawn)
    assert (code[order][np.minimum(at, len(code) - 1)] == drawn).all()
    return np.bincount(at, minlength=len(code)), np.array(list(probabilities.values()))[order] * n


def test_the_probability_of_every_sentence(tiny):
    """The full joint law, hence every marginal and correlation: classes, rules of every node, and their weights."""
    assert p_value(*law_of_sentences(tiny, 200_000, seed=17)) > 1e-3


@given(grammars())
def test_the_probability_of_every_sentence_of_any_grammar(g):
    assert p_value(*law_of_sentences(Tiny(g), 20_000, seed=23)) > 1e-4


def test_this_comparison_can_fail():
    """Five percent more or less for one rule of one symbol does not pass."""
    tiny = tiny_case("weights per symbol")
    probabilities = [tiny.grammar.rule_probabilities(level).copy() for level in (3, 2, 1)]
    probabilities[1][0] += (0.05, -0.05)
    off = Tiny(tiny.grammar.reweighted(probabilities, prior=tiny.prior))
    counts, _ = law_of_sentences(tiny, 200_000, seed=17)
    _, expected = law_of_sentences(off, 10, seed=17)
    assert p_value(counts, expected * 20_000) < 1e-6


@pytest.mark.parametrize("rhm", [RHM(v=32, m=7, s=2, L=3), RHM(v=10, m=6, s=3, L=2, n=3)], ids=repr)
@pytest.mark.parametrize("weights", [None, "zipf"])
def test_frequencies_at_real_sizes(rhm, weights):
    """Of classes, of the rules of every level, and of the tokens at every position."""
    g = rhm.grammar(seed=2)
    if weights:
        prior = np.arange(1, rhm.n + 1) / np.arange(1, rhm.n + 1).sum()
        g = g.reweighted(
            [np.tile(zipf(rhm.m, 0.3), (rhm.n_symbols(level), 1)) for level in range(rhm.L, 0, -1)], prior
        )
    n = 200_000
    trees = g.sample_trees(n, seed=4).levels
    values = []
    for level in range(rhm.L + 1):
        size = rhm.n_symbols(level)
        for i in range(rhm.width(level)):
            values.append(p_value(np.bincount(trees[level][:, i], minlength=size), n * g.marginal(level, i)))
    for level in range(1, rhm.L + 1):
        s, below = rhm.n_children(level), rhm.n_symbols(level - 1)
        codes = strings(g.rules(level).reshape(-1, s), below)
        order = np.argsort(codes)
        for i in range(rhm.width(level)):
            children = strings(trees[level - 1][:, i * s : (i + 1) * s], below)
            weight = (g.marginal(level, i)[:, None] * g.rule_probabilities(level)).ravel()[order]
            values.append(
                p_value(np.bincount(np.searchsorted(codes[order], children), minlength=len(codes)), n * weight)
            )
    assert min(values) > 1e-3 / len(values)


def test_samples_are_independent_of_each_other():
    """The class of a sample and of the next one, and of the sample of the same number under the next seed."""
    g = RHM(v=5, m=3, s=2, L=2).grammar(seed=0)
    roots = g.sample_trees(200_000, seed=1).levels[-1][:, 0].astype(int)
    others = g.sample_trees(200_000, seed=2).levels[-1][:, 0].astype(int)
    for a, b in ((roots[::2], roots[1::2]), (roots, others)):
        assert p_value(np.bincount(a * 5 + b, minlength=25), np.full(25, len(a) / 25)) > 1e-3


def test_nodes_of_a_tree_choose_their_rules_independently():
    """Ranks of the rules that all pairs of nodes of one tree took, at the same level and across levels."""
    g = RHM(v=4, m=3, s=2, L=3).grammar(seed=0)
    n = 100_000
    trees = g.sample_trees(n, seed=8).levels
    ranks = []
    for level in (3, 2, 1):
        codes = strings(g.rules(level).reshape(-1, 2), 4).reshape(4, 3)
        for i in range(g.shape.width(level)):
            children = strings(trees[level - 1][:, 2 * i : 2 * i + 2], 4)
            ranks.append((codes[trees[level][:, i]] == children[:, None]).argmax(axis=1))
    pairs = [(a, b) for a, b in product(range(len(ranks)), repeat=2) if a < b]
    values = [p_value(np.bincount(ranks[a] * 3 + ranks[b], minlength=9), np.full(9, n / 9)) for a, b in pairs]
    assert min(values) > 1e-3 / len(values)


def test_rules_of_probability_zero_are_never_taken():
    g = RHM(v=4, m=3, s=2, L=2).grammar(seed=0)
    weights = np.tile([0.5, 0.0, 0.5], (4, 1))
    w = g.reweighted([weights, weights], prior=[0, 0.5, 0.5, 0])
    tokens, _, root = w.sample_trees(100_000, seed=0).levels
    assert set(root[:, 0].tolist()) == {1, 2}
    allowed = {tuple(rule) for rule in g.rules(1)[:, [0, 2]].reshape(-1, 2).tolist()}
    assert {tuple(t) for t in tokens.reshape(-1, 2).tolist()} <= allowed


@given(grammars())
def test_alias_tables_hold_the_probabilities(g):
    """What the alias method takes of each outcome adds up to its probability."""
    for weights in [g.rule_probabilities(level) for level in range(1, g.shape.L + 1)] + [g.prior[None]]:
        accept, alias = (table.reshape(-1, weights.shape[1]) for table in sampling._alias_tables(weights))
        if not accept.size:
            np.testing.assert_allclose(weights, 1 / weights.shape[1], rtol=1e-12)
        for row, threshold, other in zip(weights, accept, alias, strict=False):
            kept = threshold.astype(float) / 2**32
            total = kept.copy()
            np.add.at(total, other.astype(int), 1 - kept)
            np.testing.assert_allclose(total / len(row), row, rtol=0, atol=2**-31)
            assert (total[row == 0] == 0).all()


# --- stages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 8, 64, 4096])
def test_stages_of_any_size_draw_sentences_by_their_law(monkeypatch, tiny, size):
    """Tables of one level each, of some, of all: never anything but the law."""
    monkeypatch.setattr(sampling, "_LARGEST_TABLE", size)
    sampling._plan.cache_clear()
    assert p_value(*law_of_sentences(tiny, 50_000, seed=31)) > 1e-3
    trees = tiny.grammar.sample_trees(500, seed=32).levels
    assert (trees[0] == tiny.grammar.sample(500, seed=32)).all()
    for drawn, parsed in zip(trees, tiny.grammar.parse(trees[0]).levels, strict=True):
        assert (drawn == parsed).all()
    sampling._plan.cache_clear()


def test_stages_take_several_levels_and_words_several_choices():
    """(32, 8, 2, 3): root and first rule, then two levels at once; 256 * 512 * 512 outcomes fit one word."""
    plan = sampling._plan(RHM(v=32, m=8, s=2, L=3).grammar(seed=0))
    assert [(stage.top, stage.bottom, stage.outcomes) for stage in plan.stages] == [(4, 2, 256), (2, 0, 512)]
    assert plan.outcomes.tolist() == [2**26]
    # what does not divide 2**32 leaves more of a word unused, so that few words are refused
    odd = sampling._plan(RHM(v=9, m=3, s=2, L=12).grammar(seed=0))
    assert max(int(2**32 % M) for M in odd.outcomes.tolist()) <= 2**28


def test_blocks_change_nothing(monkeypatch, grammar):
    whole = grammar.sample(3000, seed=6)
    monkeypatch.setattr(sampling, "_LARGEST_BLOCK", 7 * grammar.shape.d)
    assert (grammar.sample(3000, seed=6, threads=1) == whole).all()


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs a folder that nobody can write to")
def test_kernels_where_nothing_can_be_written(tmp_path):
    """Neither beside the package nor in the user's cache: they are compiled for the process."""
    shutil.copytree(Path(rhmtheory.__file__).parent, tmp_path / "rhmtheory", ignore=lambda *_: ["__pycache__"])
    (tmp_path / "rhmtheory" / "_kernels" / "__pycache__").touch()  # no folder can be made here
    (tmp_path / "temporary").mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": "/proc/none", "TMPDIR": str(tmp_path / "temporary")}
    command = "import rhmtheory as rt; print(rt.RHM(v=4, m=2, s=2, L=2).grammar().sample(2, seed=0).tolist())"
    run = subprocess.run(
        [sys.executable, "-B", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str(RHM(v=4, m=2, s=2, L=2).grammar().sample(2, seed=0).tolist())
    assert list((tmp_path / "temporary").iterdir()) == []


def test_more_than_the_memory_is_refused_before_it_is_asked_for(monkeypatch):
    """Also where the system would give it: the process would end when it is filled."""
    grammar = RHM(8, 2, 2, 3).grammar(0)
    monkeypatch.setattr(memory, "memory_size", lambda: 1000)
    with pytest.raises(InputError, match=r"samples=200 of 8 symbols need .* GiB"):
        grammar.sample(200)
    with pytest.raises(InputError, match=r"a result of .* GiB does not fit in memory"):
        grammar.sample_posterior(grammar.sample(1)[0], mask=[False] * 4 + [True] * 4, samples=200)
    with pytest.raises(InputError, match="does not fit in memory"):
        grammar.posteriors(grammar.sample(100), mask=[False] * 4 + [True] * 4)
