"""Measured correlations: brute force, bit-equal merging, unbiasedness, and the noise floor."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhmtheory import RHM, InputError
from rhmtheory.corpus._counting import largest_singular
from rhmtheory.corpus.pairs import (
    PairCounts,
    count_pairs,
    jackknife,
    last_token_pairs,
)
from rhmtheory.exact.correlations import covariance


def count_by_hand(rows, v, tuple_size, *, distance=None, pair=None):
    counts = np.zeros((v**tuple_size, v), int)
    for row in rows:
        row = [int(x) for x in row]
        starts = range(len(row) - tuple_size + 1) if pair is None else [pair[0]]
        for i in starts:
            j = i + tuple_size - 1 + distance if pair is None else pair[1]
            if j < len(row):
                code = 0
                for x in row[i : i + tuple_size]:
                    code = code * v + x
                counts[code, row[j]] += 1
    return counts


@pytest.mark.parametrize("tuple_size", [1, 2, 3])
def test_counts_by_distance_and_by_pair(tuple_size):
    rows = np.random.default_rng(0).integers(3, size=(50, 8))
    by_distance = count_pairs(rows, 3, distances=[1, 4], tuple_size=tuple_size)
    for k, t in enumerate([1, 4]):
        assert np.array_equal(by_distance.counts[k], count_by_hand(rows, 3, tuple_size, distance=t))
    pairs = [(0, 7), (4, 3), (2, 5)]
    by_pair = count_pairs(rows, 3, pairs=pairs, tuple_size=tuple_size)
    for k, pair in enumerate(pairs):
        assert np.array_equal(by_pair.counts[k], count_by_hand(rows, 3, tuple_size, pair=pair))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_one_long_sequence_in_pieces_gives_the_bits_of_the_whole(seed, tuple_size, sizes):
    x = np.random.default_rng(seed).integers(4, size=sum(sizes) + 12)
    pieces = np.split(x, np.cumsum([*sizes]))
    whole = count_pairs(x, 4, distances=[1, 3, 7], tuple_size=tuple_size)
    streamed = count_pairs(iter(pieces), 4, distances=[1, 3, 7], tuple_size=tuple_size)
    assert np.array_equal(whole.counts, streamed.counts)
    assert whole.tokens == streamed.tokens == len(x)
    for k, t in enumerate([1, 3, 7]):
        assert np.array_equal(whole.counts[k], count_by_hand([x], 4, tuple_size, distance=t))


def test_parts_added_give_the_bits_of_the_whole():
    rng = np.random.default_rng(1)
    x = rng.integers(5, size=400)
    for cut in (20, 200, 377):
        parts = [count_pairs(part, 5, distances=[2, 9], tuple_size=2) for part in np.split(x, [cut])]
        assert np.array_equal(
            (parts[0] + parts[1]).counts, count_pairs(x, 5, distances=[2, 9], tuple_size=2).counts
        )
    a, b, c = (count_pairs(part, 5, distances=[9]) for part in np.split(x, [15, 40]))
    assert np.array_equal(((a + b) + c).counts, (a + (b + c)).counts)
    rows = x.reshape(40, 10)
    total = count_pairs(rows[:13], 5, pairs=[(0, 9)]) + count_pairs(rows[13:], 5, pairs=[(0, 9)])
    assert np.array_equal(total.counts, count_pairs(rows, 5, pairs=[(0, 9)]).counts)
    assert (total.sequences, total.tokens) == (40, 400)


def test_threads_batches_and_types_do_not_matter():
    rows = np.random.default_rng(2).integers(6, size=(20000, 16))
    one = count_pairs(rows, 6, distances=range(1, 9), threads=1)
    for other in (
        count_pairs(rows.astype(np.uint8), 6, distances=range(1, 9), threads=3),
        count_pairs(iter(np.array_split(rows, 7)), 6, distances=range(1, 9)),
        count_pairs(rows.tolist(), distances=range(1, 9)),
    ):
        assert np.array_equal(one.counts, other.counts)


def test_file_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("rhmtheory.support.reading.npy_pieces.__defaults__", (1000,))
    x = np.random.default_rng(3).integers(7, size=12345).astype(np.int16)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "rows.npy", x[:12000].reshape(1200, 10))
    whole = count_pairs(x, distances=[1, 100])
    assert np.array_equal(count_pairs(tmp_path / "x.npy", distances=[1, 100]).counts, whole.counts)
    rows = count_pairs(tmp_path / "rows.npy", 7, pairs=[(0, 9)])
    assert rows.sequences == 1200


def test_file_that_ends_early_or_changes(tmp_path, monkeypatch):
    monkeypatch.setattr("rhmtheory.support.reading.npy_pieces.__defaults__", (1000,))
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(5000, np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[:-500])
    with pytest.raises(InputError, match=r"ended after 4500 of 5000 tokens"):
        count_pairs(path, 2, distances=[1])
    path.write_bytes(whole)
    from rhmtheory.support.reading import npy_pieces

    pieces = npy_pieces(path)
    next(pieces)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputError, match=r"changed while it was read, after 2000 of 5000"):
        next(pieces)
    path.write_bytes(b"no array")
    with pytest.raises(InputError, match=r"not a \.npy file"):
        count_pairs(path, 2, distances=[1])


def joint_with_correlation():
    joint = np.full((3, 4), 1 / 12) + 0.02 * np.outer([1, 0, -1], [1, -1, 1, -1])
    joint[0] *= 1.5
    return joint / joint.sum()


def counts_of(table):
    v = max(table.shape)
    square = np.zeros((1, v, v), np.int64)
    square[0, : table.shape[0], : table.shape[1]] = table
    return PairCounts(square, np.array([1]), v, 1, 0, 0)


def test_mean_square_is_unbiased_exactly():
    # expectation over all samples of five pairs from a joint of 2 x 2 entries, by enumeration
    joint = np.array([[0.4, 0.1], [0.2, 0.3]])
    C = joint - np.outer(joint.sum(1), joint.sum(0))
    expected = 0.0
    for sample in product(range(4), repeat=5):
        table = np.bincount(sample, minlength=4).reshape(2, 2)
        expected += np.prod(joint.ravel()[list(sample)]) * counts_of(table).mean_square()[0]
    assert expected == pytest.approx((C**2).mean(), rel=1e-12)


def test_standard_error_and_noise_floor():
    rng = np.random.default_rng(4)
    joint = joint_with_correlation()
    C = joint - np.outer(joint.sum(1), joint.sum(0))
    for n, p in ((300, joint), (20000, joint), (300, np.outer(joint.sum(1), joint.sum(0)))):
        draws = [counts_of(t.reshape(3, 4)) for t in rng.multinomial(n, p.ravel(), size=4000)]
        estimates = np.array([c.mean_square()[0] for c in draws])
        truth = (C**2).sum() / 16 if p is joint else 0.0
        assert abs(estimates.mean() - truth) < 4 * estimates.std() / np.sqrt(4000)
        errors = np.array([c.standard_error()[0] for c in draws])
        print(n, np.sqrt((errors**2).mean()) / estimates.std(), np.median(errors) / estimates.std())
    plug_in = np.array([(c.covariance() ** 2).mean() for c in draws])
    floor = draws[0].noise_mean_square()[0]
    assert plug_in.mean() == pytest.approx(floor, rel=0.1)


@pytest.mark.parametrize("v", [8, 32])
def test_operator_norm_of_noise(v):
    rng = np.random.default_rng(5)
    p = rng.dirichlet(np.full(v, 0.5))
    draws = [counts_of(t.reshape(v, v)) for t in rng.multinomial(10**5, np.outer(p, p).ravel(), size=200)]
    mean = np.mean([c.operator_norm()[0] for c in draws])
    assert draws[0].noise_operator_norm(draws=50)[0] == pytest.approx(mean, rel=0.05)


def test_largest_singular_values():
    rng = np.random.default_rng(6)
    for shape in ((20, 7, 7), (5, 64, 8), (3, 2, 40)):
        matrices = rng.standard_normal(shape)
        values, left, right = largest_singular(matrices)
        assert values == pytest.approx(np.linalg.norm(matrices, ord=2, axis=(1, 2)), rel=1e-8)
        assert np.einsum("ka,kab,kb->k", left, matrices, right) == pytest.approx(values, rel=1e-8)
    assert largest_singular(np.zeros((2, 3, 3)))[0].tolist() == [0, 0]
    assert largest_singular(np.eye(4)[None])[0] == pytest.approx([1])


def test_against_the_exact_covariance_of_a_grammar():
    grammar = RHM(v=6, m=2, s=2, L=3).grammar(seed=3)
    pairs = [(6, 7), (4, 7), (0, 7)]  # of a binary tree of three levels, one for each lowest common ancestor
    batches = (grammar.sample(50000, seed=i) for i in range(8))
    counts = count_pairs(batches, 6, pairs=pairs)
    exact = [(grammar.covariance(i, j) ** 2).mean() for i, j in pairs]
    z = (counts.mean_square() - exact) / counts.standard_error()
    assert (abs(z) < 4).all()
    pulls = (counts.covariance() - [grammar.covariance(i, j) for i, j in pairs]) * np.sqrt(400000)
    assert abs(pulls).max() < 4


def test_tuple_and_token():
    grammar = RHM(v=6, m=2, s=2, L=2).grammar(seed=3)
    counts = count_pairs(grammar.sample(400000, seed=1), 6, pairs=[(0, 3)], tuple_size=2)
    exact = covariance(grammar, 0, 3, hidden_levels=(1, 0))
    C = counts.covariance()[0]
    rules = grammar.rules(1).astype(int)
    for symbol, r in product(range(6), range(2)):
        a, b = rules[symbol, r]
        assert abs(C[6 * a + b] - exact[symbol] / 2).max() < 4 / np.sqrt(400000)


def test_jackknife_of_dependent_data():
    # a chain that repeats its last symbol half of the time: pairs are dependent, segments nearly independent
    rng = np.random.default_rng(7)
    estimates, errors = [], []
    for _ in range(60):
        fresh, keep = rng.integers(3, size=6000), rng.random(6000) < 0.5
        at = np.maximum.accumulate(np.where(keep, 0, np.arange(6000)))
        x = fresh[at]
        parts = [count_pairs(part, 3, distances=[1]) for part in np.split(x, 12)]
        value, error = jackknife(parts, PairCounts.mean_square)
        estimates.append(value[0])
        errors.append(error[0])
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(estimates), rel=0.35)


def test_effective_range():
    grammar = RHM(v=8, m=2, s=2, L=5).grammar(seed=0)
    counts = count_pairs(grammar.sample(200000, seed=0), 8, pairs=last_token_pairs(32))
    ranges = [counts.effective_range(P) for P in (100, 1000, 10000, 200000)]
    assert ranges == sorted(ranges)
    assert ranges[0] < 4 < 16 <= ranges[-1]
    noise = count_pairs(np.random.default_rng(0).integers(8, size=(20000, 8)), pairs=last_token_pairs(8))
    assert noise.effective_range() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: count_pairs([[0.5, 1.0]], distances=[1]), r"type float64: give integers"),
        (lambda: count_pairs([[0, 1], [0]], distances=[1]), r"ragged"),
        (lambda: count_pairs([[0, -1]], distances=[1]), r"hold -1: .* counted from zero"),
        (lambda: count_pairs([[0, 3]], 3, distances=[1]), r"hold 3, outside 0\.\.2: raise vocabulary to 4"),
        (lambda: count_pairs([0, 1, 2], distances=[5]), r"no pair 6 tokens wide"),
        (lambda: count_pairs([[0, 1, 2]], distances=[3]), r"sequences of 3 tokens have no pair 4"),
        (lambda: count_pairs([[0, 1, 2]], pairs=[(0, 3)]), r"sequences of 3 tokens have no pair 4"),
        (lambda: count_pairs([[0, 1, 2]], pairs=[(0, 1)], tuple_size=2), r"pairs a token with itself"),
        (lambda: count_pairs([[0, 1, 2]], pairs=[(2, 0)], tuple_size=2), r"no pair 4 tokens wide"),
        (lambda: count_pairs([0, 1, 2], pairs=[(0, 10**9)]), r"need sequences \(n, d\)"),
        (lambda: count_pairs([[0, 1]], distances=[0]), r"distance=0 is too small"),
        (lambda: count_pairs([[0, 1]], distances=[]), r"distances are empty"),
        (lambda: count_pairs([[0, 1]], pairs=[]), r"pairs are empty"),
        (lambda: count_pairs([[0, 1]], pairs=[(0, 1, 2)]), r"has 3 positions"),
        (lambda: count_pairs([[0, 1]]), r"either distances or pairs"),
        (lambda: count_pairs([], distances=[1]), r"no tokens"),
        (lambda: count_pairs(iter([]), 3, distances=[1]), r"no batches"),
        (lambda: count_pairs(iter([[0, 1]]), distances=[1]), r"vocabulary is not given"),
        (lambda: count_pairs(iter([[0, 1], [[0, 1]]]), 3, distances=[1]), r"have 1 and 2 axes"),
        (lambda: count_pairs([0, 100000], distances=range(1, 2)), r"more than 2\*\*27"),
        (lambda: count_pairs(np.zeros((2, 2, 2), int), distances=[1]), r"shape \(2, 2, 2\)"),
        (lambda: count_pairs([0, 1, 1], distances=[1]).mean_square(), r"holds 2 pairs, and this needs at least 4"),
        (lambda: count_pairs([0, 1] * 9, distances=[1]).effective_range(50), r"P=50 is outside 1\.\.17"),
        (lambda: jackknife([count_pairs([0, 1], distances=[1])], PairCounts.rms), r"at least 2"),
        (lambda: count_pairs([0, 1], 2, distances=[1]) + count_pairs([0, 1], 3, distances=[1]), r"different pairs"),
        (
            lambda: count_pairs([0, 1], 2, distances=[1]) + count_pairs([[0, 1]], 2, distances=[1]),
            r"do not add up",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_counts_compare_by_value_print_and_plot():
    rows = np.random.default_rng(0).integers(3, size=(500, 8))
    counts = count_pairs(rows, 3, distances=[1, 4])
    assert counts == count_pairs(rows, distances=[1, 4])
    assert counts != count_pairs(rows, 4, distances=[1, 4])
    assert counts != count_pairs(rows[:-1], 3, distances=[1, 4])
    head, _, *lines = str(counts).splitlines()[1:]
    assert head.split() == ["pair", "count", "rms", "noise", "operator", "norm"]
    assert [line.split()[:2] for line in lines] == [["1", "3500"], ["4", "2000"]]
    assert float(lines[0].split()[-1]) == pytest.approx(counts.operator_norm()[0], rel=1e-2)
    ax = counts.plot()
    assert ax.lines[0].get_xdata().tolist() == [1, 4]
    assert ax.lines[0].get_ydata() == pytest.approx(counts.rms())
    assert count_pairs(rows, 3, pairs=[(0, 7), (6, 7)]).plot(ax) is ax
    assert str(count_pairs([0, 1, 1], distances=[1])) == "<PairCounts of 1 distances, v=2, 3 tokens>"
