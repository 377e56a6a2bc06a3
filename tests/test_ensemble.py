"""Ensemble moments against lists of all grammars, averages over drawn grammars, and their own fractions."""

from collections import defaultdict
from fractions import Fraction
from itertools import permutations, product
from math import prod, sqrt

import naive
import numpy as np
import pytest

from rhmtheory import RHM, InputError, zipf
from rhmtheory.ensemble import marginal_moments, quadratic_forms, second_moment
from rhmtheory.ensemble.correlations import rms_correlation
from rhmtheory.ensemble.moments import _rounded
from rhmtheory.ensemble.plateaus import plateaus
from rhmtheory.exact.correlations import covariance
from rhmtheory.language.quenched import quenched_correlations, quenched_grammar, quenched_plateaus, usual_plateaus

# --- every grammar of an ensemble --------------------------------------------------------------------

# parameters; integer weights of the rules of each level, from level 1 up
TINY = {
    "binary, one rule": (RHM(v=2, m=1, s=2, L=3), [[1], [1], [1]]),
    "three symbols, two classes": (RHM(v=3, m=1, s=2, L=2, n=2), [[1], [1]]),
    "ternary": (RHM(v=2, m=1, s=3, L=2), [[1], [1]]),
    "all tuples grammatical": (RHM(v=2, m=2, s=2, L=2), [[1, 1], [1, 1]]),
    "one class": (RHM(v=2, m=2, s=2, L=2, n=1), [[1, 1], [1, 1]]),
    "more symbols above": (RHM(v=(2, 3), m=(1, 2), s=2, L=2, n=1), [[1], [1, 1]]),
    "more symbols below": (RHM(v=(3, 2), m=(1, 2), s=2, L=2, n=1), [[1], [1, 1]]),
    "branches differ": (RHM(v=2, m=(1, 2), s=(3, 2), L=2, n=1), [[1], [1, 1]]),
    "unequal rules": (RHM(v=2, m=2, s=2, L=2, rule_probabilities=(0.25, 0.75)), [[1, 3], [1, 3]]),
    "unequal rules below": (
        RHM(v=2, m=(2, 1), s=2, L=2, rule_probabilities=((0.125, 0.875), (1.0,))),
        [[1, 7], [1]],
    ),
}


def all_tables(rhm):
    """Every ensemble member, each as often as it is drawn: rule tables, top-down."""
    levels = []
    for level in range(rhm.L, 0, -1):
        tuples = list(product(range(rhm.n_symbols(level - 1)), repeat=rhm.n_children(level)))
        m = rhm.n_rules(level)
        levels.append(
            [
                [drawn[start : start + m] for start in range(0, len(drawn), m)]
                for drawn in permutations(tuples, rhm.n_symbols(level) * m)
            ]
        )
    return product(*levels)


def asked_pairs(rhm):
    """Nodes (level, position, whether its tuple of children is meant) and the pairs that are compared."""
    nodes = [(level, i, False) for level in range(rhm.L + 1) for i in range(rhm.width(level))]
    tuples = [(level, i, True) for level in range(1, rhm.L) for i in range(rhm.width(level))]
    token, symbol = (0, rhm.d - 1, False), (1, 0, False)
    pairs = [(node, token) for node in nodes + tuples if node != token]
    pairs += [((0, i, False), (0, j, False)) for j in range(rhm.d - 1) for i in range(j)]
    pairs += [(node, symbol) for node in nodes + tuples if node[0] > 0 and node[:2] != symbol[:2]]
    return nodes + tuples, [(a, b) for a, b in pairs if not (a[2] and relation(rhm, a, b)[0] == a[0])]


def relation(rhm, a, b):
    """LCA level of two nodes, and whether they take the same branch at each level below it."""
    paths = [
        [position * rhm.span(level) // rhm.span(above) for above in range(rhm.L, level - 1, -1)]
        for level, position, _ in (a, b)
    ]
    shared = sum(x == y for x, y in zip(*paths, strict=False))
    lca = rhm.L - shared + 1
    branches = [
        [node % rhm.n_children(level) for node, level in zip(p[shared:], range(lca, 0, -1), strict=False)]
        for p in paths
    ]
    return lca, [x == y for x, y in zip(*branches, strict=False)][1:]


def value(levels, node):
    """What a derivation (levels top-down) holds at a node."""
    level, position, is_tuple = node
    row = levels[-1 - level]
    if not is_tuple:
        return row[position]
    below = levels[-level]
    s = len(below) // len(row)
    return below[position * s : (position + 1) * s]


def average_over_all_grammars(rhm, weights):
    """The four forms of each pair's covariance, and the power sums of each node's marginal, in fractions."""
    nodes, pairs = asked_pairs(rhm)
    tables = [[w] * rhm.n_symbols(level) for level, w in enumerate(weights, start=1)][::-1]
    total = rhm.n * prod(sum(w) ** rhm.width(level) for level, w in enumerate(weights, start=1))
    forms, power_sums, count = defaultdict(lambda: [0] * 4), defaultdict(lambda: [0] * 4), 0
    for rules in all_tables(rhm):
        # integer weights, `total` times the probabilities
        single, joint = defaultdict(lambda: defaultdict(int)), defaultdict(lambda: defaultdict(int))
        for levels, p in naive.derivations(list(rules), tables, prior=[1] * rhm.n):
            seen = {node: value(levels, node) for node in nodes}
            for node, x in seen.items():
                single[node][x] += p
            for a, b in pairs:
                joint[a, b][seen[a], seen[b]] += p
        for a, b in pairs:
            C = {
                (x, y): total * joint[a, b].get((x, y), 0) - single[a][x] * single[b][y]
                for x in single[a]
                for y in single[b]
            }
            trace = [c for (x, y), c in C.items() if x == y]
            swapped = sum(c * C.get((y, x), 0) for (x, y), c in C.items())
            add = sum(c * c for c in C.values()), swapped, sum(c * c for c in trace), sum(trace) ** 2
            forms[a, b] = [old + new for old, new in zip(forms[a, b], add, strict=True)]
        for node in nodes:
            P2, P3, P4 = (sum(p**j for p in single[node].values()) for j in (2, 3, 4))
            add = P2 * total**2, P3 * total, P4, P2**2
            power_sums[node] = [old + new for old, new in zip(power_sums[node], add, strict=True)]
        count += 1
    scale = count * total**4
    forms, power_sums = (
        {key: tuple(Fraction(x, scale) for x in sums) for key, sums in table.items()}
        for table in (forms, power_sums)
    )
    return forms, power_sums


@pytest.mark.parametrize("name", TINY)
def test_all_grammars_of_tiny_ensembles(name):
    rhm, weights = TINY[name]
    forms, power_sums = average_over_all_grammars(rhm, weights)
    by_level = defaultdict(list)
    for (a, b), expected in forms.items():
        lca, same = relation(rhm, a, b)
        levels, tuples = (a[0], b[0]), (a[2], b[2])
        exact = second_moment(rhm, lca, hidden_levels=levels, tuples=tuples, branches=same, fractions=True)
        sides = zip(levels, tuples, strict=True)
        entries = prod(rhm.n_symbols(k) * (rhm.n_rules(k) if is_tuple else 1) for k, is_tuple in sides)
        assert exact == expected[0] / entries
        assert second_moment(rhm, lca, hidden_levels=levels, tuples=tuples, branches=same) == pytest.approx(
            float(exact)
        )
        if a[0] == b[0] and tuples == (False, False):
            assert quadratic_forms(rhm, lca, hidden_level=a[0], branches=same, fractions=True) == expected
            np.testing.assert_allclose(
                quadratic_forms(rhm, lca, hidden_level=a[0], branches=same), np.array(expected, float), rtol=1e-12
            )
        if levels == (0, 0):
            by_level[lca].append(exact)
    for level, moments in by_level.items():
        mean = sum(moments) / len(moments)
        assert second_moment(rhm, level, fractions=True) == mean
        assert rms_correlation(rhm, level) == rhm.rms_correlation(level) == pytest.approx(sqrt(mean))
    for (level, _, is_tuple), expected in power_sums.items():
        if not is_tuple:
            assert marginal_moments(rhm, level, fractions=True) == expected


# --- drawn grammars ----------------------------------------------------------------------------------

DRAWN = {
    "16,4,2,4": RHM(v=16, m=4, s=2, L=4),
    "32,8,2,3": RHM(v=32, m=8, s=2, L=3),
    "8,2,2,5": RHM(v=8, m=2, s=2, L=5),
    "8,8,3,3": RHM(v=8, m=8, s=3, L=3),
    "levels differ": RHM(v=(10, 14, 8), m=(3, 2, 4), s=(2, 3, 2), L=3, n=5),
    "zipf": RHM(v=12, m=4, s=2, L=3, rule_probabilities=zipf(4, 1.0)),
    "zipf per level": RHM(v=12, m=(2, 3), s=2, L=2, rule_probabilities=[zipf(2, 0.5), zipf(3, 2.0)]),
}


@pytest.mark.parametrize("branches", ["mean", "different", "same"])
@pytest.mark.parametrize("name", DRAWN)
def test_correlations_of_drawn_grammars(name, branches):
    rhm = DRAWN[name]
    drawn = quenched_correlations(rhm, grammars=2000, seed=7, branches=branches)
    exact = [second_moment(rhm, level, branches=branches) for level in range(1, rhm.L + 1)]
    assert (np.abs(drawn.mean - exact) < 4 * drawn.standard_error).all()
    # the test could fail: the asymptotic formula does
    assert (drawn.standard_error < 0.05 * np.array(exact)).all()


@pytest.mark.parametrize("name", ["16,4,2,4", "levels differ", "zipf"])
def test_symbols_and_tuples_of_drawn_grammars(name):
    rhm = DRAWN[name]
    L, token = rhm.L, rhm.d - 1
    sides = [((k, 0), is_tuple) for k in range(1, L) for is_tuple in (False, True)] + [((L, 0), False)]
    values = []
    for i in range(1000):
        grammar, row = quenched_grammar(rhm, i, seed=8), []
        for levels, is_tuple in sides:
            square = covariance(grammar, 0, token, hidden_levels=levels) ** 2
            if is_tuple:
                square = square[:, None] * rhm.probabilities(levels[0])[:, None] ** 2
            row.append(square.mean())
        values.append(row)
    # from the root, the symbol takes first branches and the token last ones
    exact = [
        second_moment(rhm, L, hidden_levels=levels, tuples=(is_tuple, False), branches="different")
        for levels, is_tuple in sides
    ]
    error = np.std(values, axis=0, ddof=1) / sqrt(len(values))
    assert (np.abs(np.mean(values, axis=0) - exact) < 4 * error).all()


# --- the formulas among themselves -------------------------------------------------------------------


@pytest.mark.parametrize(
    "rhm",
    [
        RHM(v=64, m=8, s=2, L=30),
        RHM(v=64, m=63, s=2, L=30),
        RHM(v=64, m=4095, s=3, L=30),
        RHM(v=2, m=1, s=2, L=30),
        RHM(v=2, m=2, s=2, L=30, n=1),
        RHM(v=3, m=1, s=4, L=30, n=2),
        RHM(v=16, m=4, s=2, L=30, rule_probabilities=zipf(4, 3.0)),
    ],
    ids=str,
)
@pytest.mark.parametrize("branches", ["mean", "different", "same"])
def test_floats_lose_no_digits(rhm, branches):
    for level in (1, 2, 15, 29, 30):
        exact = second_moment(rhm, level, branches=branches, fractions=True)
        fast = Fraction(second_moment(rhm, level, branches=branches))
        assert fast == exact or abs(fast / exact - 1) < Fraction(1, 10**12)
    symbol = second_moment(rhm, 30, hidden_levels=(30, 0), fractions=True)
    assert second_moment(rhm, 30, hidden_levels=(30, 0)) == pytest.approx(float(symbol), rel=1e-12)


@pytest.mark.parametrize(
    "rhm",
    [RHM(v=64, m=64, s=2, L=30), RHM(v=4, m=16, s=3, L=3), RHM(v=5, m=1, s=2, L=30, n=1)],
    ids=["f=1", "f=1, ternary", "one sentence"],
)
def test_no_correlation_is_exactly_zero(rhm):
    for level in range(1, rhm.L + 1):
        assert rms_correlation(rhm, level) == 0
        assert second_moment(rhm, level, fractions=True) == 0


def test_equal_rule_probabilities_are_uniform_ones():
    unequal = RHM(v=6, m=(3, 2), s=2, L=2, rule_probabilities=[[1 / 3] * 3, [0.25, 0.75]])
    mixed = second_moment(unequal, 1, fractions=True)
    assert mixed != second_moment(RHM(v=6, m=(3, 2), s=2, L=2), 1, fractions=True)
    # level 1 hands down the covariance made at level 2 as it would with uniform rules
    symbol = second_moment(unequal, 2, hidden_levels=(1, 1), fractions=True)
    token = second_moment(unequal, 2, hidden_levels=(1, 0), fractions=True)
    assert token / symbol == Fraction(1, 3) * Fraction(30, 35)


def test_a_symbol_has_m_times_the_mean_square_of_a_token():
    rhm = RHM(v=200, m=50, s=2, L=4)
    token = second_moment(rhm, 4)
    for k in (1, 2, 3):
        assert second_moment(rhm, 4, hidden_levels=(k, 0)) / token == pytest.approx(50**k, rel=0.1)
        assert second_moment(rhm, 4, hidden_levels=(k, 0), tuples=(True, False)) / token == pytest.approx(
            50.0 ** (k - 2), rel=0.1
        )
        both = second_moment(rhm, 4, hidden_levels=(k, 1), tuples=(True, True))
        assert both == pytest.approx(second_moment(rhm, 4, hidden_levels=(k, 1)) / 50**4)


def test_the_asymptotic_formula_is_the_limit_of_large_v():
    previous, levels = np.inf, (1, 2, 3)
    for v in (16, 64, 256, 1024):
        rhm = RHM(v=v, m=v // 4, s=2, L=3)
        ratios = [rms_correlation(rhm, level) / rms_correlation(rhm, level, method="published") for level in levels]
        error = np.abs(np.array(ratios) - 1).max()
        assert error < previous / 3
        previous = error
    assert error < 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lca_level": 0}, "lca_level=0 is too small"),
        ({"lca_level": 4}, "lca_level=4 is too large"),
        ({"lca_level": 3, "branches": "both"}, "branches='both' is unknown"),
        ({"lca_level": 3, "branches": [True]}, "1 entries"),
        ({"lca_level": 3, "branches": [1, 0]}, "give True"),
        ({"lca_level": 3, "branches": 3}, "branches=3 is neither"),
        ({"lca_level": 2, "hidden_levels": (3, 0)}, r"hidden_levels\[0\]=3 is too large"),
        ({"lca_level": 2, "hidden_levels": (0, 3)}, r"hidden_levels\[1\]=3 is too large"),
        ({"lca_level": 2, "hidden_levels": (-1, 0)}, r"hidden_levels\[0\]=-1 is too small"),
        ({"lca_level": 2, "hidden_levels": (0, -1)}, r"hidden_levels\[1\]=-1 is too small"),
        ({"lca_level": 2, "hidden_levels": 1}, "not a pair"),
        ({"lca_level": 2, "hidden_levels": (1, 0), "tuples": True}, "not a pair"),
        ({"lca_level": 2, "tuples": (True, False)}, "a tuple needs one"),
        ({"lca_level": 2, "hidden_levels": (2, 0), "tuples": (True, False)}, "a tuple needs one"),
    ],
)
def test_second_moment_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        second_moment(RHM(v=4, m=2, s=2, L=3), **arguments)


def test_rms_correlation_refuses():
    rhm = RHM(v=4, m=2, s=2, L=3)
    with pytest.raises(InputError, match="method='best'"):
        rms_correlation(rhm, 1, method="best")
    with pytest.raises(InputError, match="method='quenched'"):
        rms_correlation(rhm, 2, method="quenched")
    with pytest.raises(InputError, match="level=4"):
        marginal_moments(rhm, 4)
    with pytest.raises(InputError, match="hidden_level=2"):
        quadratic_forms(rhm, 2, hidden_level=2)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_asymptotic_formula_where_levels_and_rules_differ(level):
    """The exact moment tends to it as v and m grow at fixed f: unequal rules, levels that differ, n != v."""
    ratios = []
    for v in (32, 128, 512):
        m = (v // 8, v // 4, v // 4)
        weights = [np.repeat([5.0, 1.0], k // 2) / (3 * k) for k in m]
        rhm = RHM(v=(v, 2 * v, v), m=m, s=2, L=3, n=v // 2, rule_probabilities=weights)
        ratios.append((rms_correlation(rhm, level) / rms_correlation(rhm, level, method="published")) ** 2)
    corrections = np.abs(np.array(ratios) - 1)
    assert corrections[-1] < 0.07
    assert (corrections[1:] < 0.5 * corrections[:-1]).all()


# --- quenched averages -------------------------------------------------------------------------------


def test_quenched_average_of_plateaus():
    rhm = RHM(v=8, m=2, s=2, L=2)
    average = quenched_plateaus(rhm, grammars=5, seed=3)
    rows = np.array([quenched_grammar(rhm, i, seed=3).plateaus() for i in range(5)])
    np.testing.assert_array_equal(average.values, rows)
    np.testing.assert_allclose(average.mean, rows.mean(axis=0))
    np.testing.assert_allclose(average.spread, np.sqrt(((rows - rows.mean(axis=0)) ** 2).sum(axis=0) / 4))
    np.testing.assert_allclose(average.standard_error, average.spread / sqrt(5))
    assert average.grammars == 5
    assert "5 grammars, seed 3" in repr(average)
    with pytest.raises(ValueError, match="read-only"):
        average.values[0] = 0
    with pytest.raises(AttributeError):
        average.seed = 4


def test_quenched_averages_do_not_depend_on_threads_and_extend():
    rhm = RHM(v=8, m=2, s=2, L=2)
    one = quenched_plateaus(rhm, grammars=9, seed=1, threads=1)
    many = quenched_plateaus(rhm, grammars=9, seed=1, threads=4)
    np.testing.assert_array_equal(one.values, many.values)
    np.testing.assert_array_equal(quenched_plateaus(rhm, grammars=4, seed=1).values, one.values[:4])
    assert not np.array_equal(quenched_plateaus(rhm, grammars=9, seed=2).values, one.values)


def test_quenched_averages_take_64_grammars_by_seed_zero_unless_told_otherwise():
    rhm = RHM(v=4, m=2, s=2, L=1)
    for average in (quenched_plateaus, quenched_correlations):
        found = average(rhm)
        assert (found.grammars, found.seed) == (64, 0)
        np.testing.assert_array_equal(found.values, average(rhm, 64, seed=0).values)
    assert quenched_grammar(rhm, 3) == quenched_grammar(rhm, 3, 0) != quenched_grammar(rhm, 3, 1)


def test_as_many_grammars_as_are_drawn_at_most(monkeypatch):
    monkeypatch.setattr("rhmtheory.language.quenched._MOST_GRAMMARS", 3)
    rhm = RHM(v=4, m=2, s=2, L=1)
    assert quenched_plateaus(rhm, 3).grammars == 3
    with pytest.raises(InputError, match="grammars=4 is too large: with 3, the most"):
        quenched_plateaus(rhm, 4)


def test_quenched_plateaus_are_the_true_mean():
    # checked independently over 64 grammars: 2.649 1.396 0.557 0.254 0.175, standard errors up to 0.005
    average = quenched_plateaus(RHM(v=16, m=4, s=2, L=4), grammars=100, seed=0)
    reference = np.array([2.649, 1.396, 0.557, 0.254, 0.175])
    assert (np.abs(average.mean - reference) < 4 * np.hypot(average.standard_error, 0.005)).all()
    # the chain's uniform prior is that of the root; below, marginals are uneven
    excess = (average.mean - plateaus(RHM(v=16, m=4, s=2, L=4))) / average.standard_error
    assert (excess[:3] < -4).all()
    assert abs(excess[-1]) < 4


@pytest.mark.parametrize("branches", ["mean", "different", "same"])
def test_quenched_correlations_are_those_of_the_pairs(branches):
    rhm = RHM(v=(4, 5), m=(2, 3), s=(3, 2), L=2, n=3)
    average = quenched_correlations(rhm, grammars=3, seed=5, branches=branches)
    tokens = {"mean": [[3, 4], [0, 1, 2]], "different": [[3], [0]], "same": [[3], [2]]}[branches]
    for i in range(3):
        grammar = quenched_grammar(rhm, i, seed=5)
        expected = [np.mean([np.mean(grammar.covariance(j, 5) ** 2) for j in js]) for js in tokens]
        np.testing.assert_allclose(average.values[i], expected)


def test_quenched_averages_refuse():
    rhm = RHM(v=8, m=2, s=2, L=2)
    with pytest.raises(InputError, match="grammars=1 is too small"):
        quenched_plateaus(rhm, grammars=1)
    with pytest.raises(InputError, match="seed=-1"):
        quenched_plateaus(rhm, seed=-1)
    with pytest.raises(InputError, match="branches='all'"):
        quenched_correlations(rhm, branches="all")
    with pytest.raises(InputError, match="method='typical'"):
        rhm.plateaus("typical")


def test_progress_is_a_line_or_a_bar_and_shown_where_it_is_wanted(monkeypatch, capsys):
    rhm = RHM(v=4, m=2, s=2, L=1)
    silent = quenched_plateaus(rhm, grammars=2)
    assert capsys.readouterr().err == ""
    quenched_plateaus(rhm, grammars=2, progress=True)
    assert capsys.readouterr().err == "grammars: 0 of 2\n"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = quenched_plateaus(rhm, grammars=2, progress=True)
    assert "grammars" in capsys.readouterr().err
    np.testing.assert_array_equal(silent.values, shown.values)


def test_more_grammars_than_anyone_needs():
    for average in (quenched_plateaus, quenched_correlations):
        with pytest.raises(
            InputError, match=r"grammars=1000000000000 is too large: with 100000, the most that are"
        ):
            average(RHM(v=8, m=2, s=2, L=2), 10**12)


@pytest.mark.parametrize(
    "rhm",
    [
        RHM(v=8, m=2, s=2, L=4),
        RHM(v=(5, 4, 6), m=(3, 2, 2), s=(3, 2, 2), L=3, n=4),
        RHM(v=6, m=3, s=3, L=2, rule_probabilities=zipf(3, 0.5)),
    ],
    ids=str,
)
def test_correlation_function_is_the_mean_square_over_grammars_at_every_distance(rhm):
    squares = np.array([rhm.grammar(seed).correlation_function() ** 2 for seed in range(1500)])
    error = squares.std(axis=0, ddof=1) / np.sqrt(len(squares))
    exact = rhm.correlation_function()
    assert exact.shape == (rhm.d,)
    assert (np.abs(squares.mean(axis=0) - exact**2) < 4.5 * error).all()


def test_correlation_function_by_lca_level():
    """Its mean square over the distances of one LCA level is that of `rms_correlation`."""
    rhm = RHM(v=16, m=4, s=3, L=3)
    for method in ("finite-size", "published"):
        curve = rhm.correlation_function(method)
        for level in (1, 2, 3):
            part = curve[rhm.span(level - 1) : rhm.span(level)]
            assert np.sqrt((part**2).mean()) == pytest.approx(rhm.rms_correlation(level, method=method), rel=1e-12)
    assert rhm.correlation_function("published")[0] == pytest.approx(np.sqrt(15) / 256)
    with pytest.raises(InputError, match="method='exakt' is unknown"):
        rhm.correlation_function("exakt")


@pytest.mark.parametrize("x", [Fraction(3**400, 7), Fraction(7, 3**400), Fraction(3**400, 5**300), Fraction(22, 7)])
def test_fractions_are_rounded_to_bits_whatever_their_size(x):
    found = _rounded(x, 128)
    assert abs(found / x - 1) < Fraction(1, 2**126)
    assert found.numerator.bit_length() - (found.numerator & -found.numerator).bit_length() < 130


def test_usual_plateaus_are_those_of_the_chain_where_it_knows_them():
    rhm = RHM(v=4, m=2, s=2, L=2)
    np.testing.assert_array_equal(usual_plateaus(rhm), rhm.plateaus())
    weighed = RHM(v=4, m=2, s=2, L=2, rule_probabilities=(0.9, 0.1))
    np.testing.assert_array_equal(usual_plateaus(weighed), quenched_plateaus(weighed).mean)


def test_averages_are_values_and_take_generators():
    rhm = RHM(v=4, m=2, s=2, L=2)
    assert quenched_plateaus(rhm, 4, seed=3) == quenched_plateaus(rhm, 4, seed=3)
    assert quenched_plateaus(rhm, 4, seed=3) != quenched_plateaus(rhm, 4, seed=4)
    rng = np.random.default_rng(0)
    one, other = quenched_plateaus(rhm, 4, seed=rng), quenched_correlations(rhm, 4, seed=rng)
    assert one == quenched_plateaus(rhm, 4, seed=one.seed)
    assert one.seed != other.seed
