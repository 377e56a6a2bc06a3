"""Networks beside one another, number by number: ratios, ladders, their order, and the cells of their tables."""

from dataclasses import replace

import numpy as np
import pytest
from staircases import SIZES, comparisons, curves, smooth_staircase

from rhmtheory import RHM, predict
from rhmtheory.comparison import compare, exponent_ratio, ladder, measure, study
from rhmtheory.comparison._estimates import exponent_of
from rhmtheory.comparison._units import multiplicity
from rhmtheory.comparison.ladders import ladder_tables
from rhmtheory.comparison.measurement import measurement_tables
from rhmtheory.comparison.studies import _exponent_tables
from rhmtheory.fitting.intervals import line_coefficients, pseudo_values, t_estimate

THREE, FOUR = RHM(16, 4, 2, 3), RHM(16, 4, 2, 4)
SEVERAL = [RHM(4 * m, m, 2, 3) for m in (3, 4, 5)]


def on(rhm, law, label=None, **rest):
    return curves(rhm, label or law, law, **{"noise": 0.2, "grammars": 5, "seed": rhm.m, **rest})


# --- ratios -------------------------------------------------------------------------------------------------


def pair(second_names=None, **rest):
    """Measurements of a CNN and a transformer on five grammars; the second may meet others."""
    first, second = on(FOUR, "cnn"), on(FOUR, "transformer", seed=9, **rest)
    return measure(first), measure(replace(second, grammars=tuple(second_names)) if second_names else second)


def ln_exponents(m, rows=slice(None)):
    """The logarithm of the exponent of some units of a measurement."""
    ln_P, H = m.units.ln_P[rows], m.units.plateaus[rows]
    return lambda which: np.log(exponent_of(ln_P, H, (1, 2, 3), which))


def assert_same(found, expected):
    assert (found.best, found.low, found.high) == pytest.approx((expected.best, expected.low, expected.high))
    assert (found.count, found.unit, found.confidence) == (expected.count, expected.unit, expected.confidence)


def test_ratio_of_pairs_is_students_on_differences():
    first, second = pair()
    ratio = exponent_ratio(first, second)
    assert (ratio.labels, ratio.steps, ratio.paired) == (("cnn", "transformer"), (1, 2, 3), True)
    one, two = ln_exponents(first), ln_exponents(second)
    best = one(np.arange(5)) - two(np.arange(5))
    values = pseudo_values(lambda which: one(which) - two(which), 5)
    assert_same(ratio.finding.measured, t_estimate([values], best=best).exp())
    assert ratio.finding.measured.best == pytest.approx(
        first.exponent.measured.best / second.exponent.measured.best
    )
    assert [one.law for one in ratio.finding.judged] == ["cnn : transformer"] * 2
    for name in ("published", "finite_size"):
        expected = first.exponent.against(name).predicted / second.exponent.against(name).predicted
        assert ratio.finding.against(name).predicted == pytest.approx(expected)


def test_ratio_is_judged_by_the_first_law_of_each_network():
    first, second = pair()
    both = replace(first, curves=replace(first.curves, laws=("cnn", "transformer")))
    ratio, expected = exponent_ratio(both, second), exponent_ratio(first, second)
    assert [one.law for one in ratio.finding.judged] == ["cnn : transformer"] * 2
    assert ratio.finding.against("finite_size").predicted == expected.finding.against("finite_size").predicted


@pytest.mark.parametrize("shared", [0, 2])
def test_ratio_of_fewer_than_three_pairs_is_welchs_over_all(shared):
    names = [f"seed {i}" if i < shared else f"other {i}" for i in range(5)]
    first, second = pair(names)
    ratio = exponent_ratio(first, second)
    assert not ratio.paired
    one, two = ln_exponents(first), ln_exponents(second)
    best = one(np.arange(5)) - two(np.arange(5))
    both = [pseudo_values(which, 5) for which in (one, two)]
    assert_same(ratio.finding.measured, t_estimate(both, (1.0, -1.0), best=best).exp())


def test_ratio_of_three_pairs_leaves_out_who_has_no_partner():
    first, second = pair(["other", "seed 4", "seed 0", "else", "seed 1"])
    ratio = exponent_ratio(first, second)
    assert ratio.paired
    one, two = ln_exponents(first, [0, 1, 4]), ln_exponents(second, [2, 4, 1])
    values = pseudo_values(lambda which: one(which) - two(which), 3)
    best = one(np.arange(3)) - two(np.arange(3))
    assert_same(ratio.finding.measured, t_estimate([values], best=best).exp())


def test_grammars_of_one_name_are_no_pairs_where_they_are_others():
    """Rows of unknown grammars are counted anew in every curve; a seed draws other grammars of other ensembles."""
    first, second = pair()
    assert exponent_ratio(first, second).paired
    unknown = measure(replace(second.curves, known=False))
    assert not exponent_ratio(first, unknown).paired
    assert not exponent_ratio(unknown, unknown).paired
    classes = measure(on(RHM(16, 4, 2, 4, n=8), "transformer", seed=9))
    assert classes.units.names == first.units.names
    assert not exponent_ratio(first, classes).paired
    P_k = 5 * predict(FOUR, "cnn").P.published * np.exp(0.1 * np.arange(12).reshape(3, 4))
    loss = smooth_staircase(np.tile(FOUR.plateaus(), (3, 1)), P_k, SIZES)
    own = compare(SIZES, loss, FOUR, law="cnn")
    assert own.units.names == ("row 0", "row 1", "row 2")
    assert not exponent_ratio(own, own).paired


def test_no_ratio_of_lower_bounds_nor_on_a_single_step():
    first, _ = pair()
    cut = measure(on(FOUR, "transformer", until=1e4))
    assert cut.step_factor.measured.at_least
    for one, two in ((first, cut), (cut, first)):
        ratio = exponent_ratio(one, two)
        assert np.isnan(ratio.finding.measured.best)
        assert ratio.finding.measured.count == 5
        assert ratio.steps == (1, 2)
    apart = exponent_ratio(replace(first, steps=(1, 2)), replace(first, steps=(2, 3)))
    assert apart.steps == (2,)
    assert np.isnan([apart.finding.measured.best, *(one.predicted for one in apart.finding.judged)]).all()
    runs = measure(on(FOUR, "cnn", grammars=1, runs=4))
    assert not exponent_ratio(runs, runs).paired
    nobody = exponent_ratio(first, replace(first, used=(), steps=()))
    assert np.isnan(nobody.finding.measured.best)
    assert nobody.finding.measured.count == 0


# --- order and groups ---------------------------------------------------------------------------------------


def test_networks_with_sharing_come_first_and_those_without_a_law_last():
    given = [on(THREE, None, "fcn"), on(THREE, "transformer", "b"), on(THREE, "transformer", "a")]
    given += [on(THREE, "lcn"), on(THREE, "cnn")]
    (found,) = comparisons(given)
    assert [m.curves.label for m in found.measurements] == ["cnn", "lcn", "a", "b", "fcn"]
    assert found.ratio.labels == ("cnn", "a")
    scan = replace(on(THREE, "transformer", "a"), variant="rate 1")
    assert comparisons([on(THREE, "cnn"), scan, on(THREE, "transformer", "b")])[0].ratio.labels == ("cnn", "b")


def test_ensembles_are_told_by_protocol_depth_length_and_rules():
    ensembles = [RHM(16, 4, 2, 4), RHM(4, 8, 3, 3), RHM(16, 4, 2, 3), RHM(12, 3, 2, 3), RHM(24, 3, 2, 3)]
    given = [on(rhm, "cnn", grammars=1, protocol="online") for rhm in ensembles]
    given.append(on(THREE, "cnn", grammars=1, protocol="offline"))
    found = [(c.protocol, c.rhm) for c in study(given).comparisons]
    assert found == [
        ("offline", THREE),
        *(("online", ensembles[i]) for i in (4, 3, 2, 1, 0)),
    ]


def test_a_seed_of_zero_unless_another_is_given():
    given = on(THREE, "cnn", grammars=1, sizes=SIZES[::8])
    given = replace(given, loss_error=0.02 * given.loss)
    expected = [measure(given, seed=seed).step_factor for seed in (0, 1)]
    assert expected[0] != expected[1]
    assert comparisons([given])[0].measurements[0].step_factor == expected[0]
    assert comparisons([given], seed=1)[0].measurements[0].step_factor == expected[1]
    assert study([given]).measurements[0].step_factor == expected[0]
    assert study([given], seed=1).measurements[0].step_factor == expected[1]
    assert measure(given).step_factor == expected[0]


def test_three_values_of_m_make_a_ladder_of_one_network_on_like_ensembles():
    cnn = [on(rhm, "cnn") for rhm in SEVERAL]
    (only,) = study(cnn).ladders
    assert [m.curves.rhm.m for m in only.measurements] == [3, 4, 5]
    assert study(cnn[:2]).ladders == ()
    assert study([*cnn[:2], on(RHM(25, 5, 2, 3), "cnn")]).ladders == ()  # other f
    assert study([*cnn[:2], on(SEVERAL[2], "cnn", protocol="online")]).ladders == ()
    assert study([*cnn[:2], on(SEVERAL[2], "cnn", "other")]).ladders == ()
    assert study([*cnn[:2], on(RHM(20, 5, 2, 4), "cnn")]).ladders == ()
    assert study([on(rhm, None, "fcn") for rhm in SEVERAL]).ladders == ()
    levels = [RHM((4 * m, 4 * m, 4 * m), (m, m, m + 1), 2, 3) for m in (3, 4, 5)]
    assert study([on(rhm, "cnn", grammars=3, seed=1) for rhm in levels if rhm]).ladders == ()


def test_the_widest_interval_of_a_study():
    whole = study([on(THREE, "cnn"), on(FOUR, "cnn")])
    widths = [m.step_factor.measured.width for m in whole.measurements]
    assert widths[0] != widths[1]
    assert whole.widest == max(widths)
    assert study([on(THREE, "cnn"), on(FOUR, "cnn", grammars=2)]).widest == np.inf
    assert len(whole.measurements) == 2
    assert list(whole.to_dict()) == ["comparisons", "ladders"]


# --- ladders ------------------------------------------------------------------------------------------------


def test_slope_of_a_ladder_is_students_with_equal_weights():
    points = [measure(on(rhm, "transformer")) for rhm in SEVERAL]
    found = ladder(points[::-1])
    assert [m.curves.rhm.m for m in found.measurements] == [3, 4, 5]
    assert found.fitted == found.measurements
    ln_m = np.log([3, 4, 5])
    values = [m.units.ln_P[:, 2] - m.units.ln_P[:, 1] for m in points]
    assert_same(found.slope.measured, t_estimate(values, line_coefficients(ln_m).tolist(), unit="grammars per m"))
    for name in ("published", "finite_size"):
        P = np.array([getattr(predict(rhm, "transformer").P, name) for rhm in SEVERAL])
        expected = np.polyfit(ln_m, np.log(P[:, 2] / P[:, 1]), 1)[0]
        assert found.slope.against(name).predicted == pytest.approx(expected)
    content = found.to_dict()
    assert [point["m"] for point in content["points"]] == [3, 4, 5]
    assert content["points"][1]["step_factor"]["best"] == points[1].step_factor.measured.best
    assert (content["label"], content["protocol"]) == ("transformer", "")


def test_a_ladder_of_bounds_has_no_slope():
    points = [measure(on(rhm, "transformer", until=end)) for rhm, end in zip(SEVERAL, (2e3, 1e4, 1e9), strict=True)]
    assert [m.step_factor.measured.at_least for m in points] == [True, True, False]
    found = ladder(points)
    assert [m.curves.rhm.m for m in found.fitted] == [5]
    assert np.isnan(found.slope.measured.best)
    assert found.slope.measured.count == 0
    assert np.isnan([one.predicted for one in found.slope.judged]).all()
    none = ladder([measure(on(rhm, "transformer", until=50)) for rhm in SEVERAL])
    assert none.fitted == ()
    assert "(transformer no m)" in ladder_tables([none])[-1].title


def test_the_m_of_unequal_rules_is_the_effective_one():
    rhm = RHM(16, 4, 2, 3, rule_probabilities=[0.7, 0.1, 0.1, 0.1])
    assert multiplicity(rhm) == pytest.approx(1 / (0.49 + 0.03))
    assert multiplicity(THREE) == 4


# --- tables -------------------------------------------------------------------------------------------------


def test_cells_of_crossings_factors_and_exponents():
    cut = np.array([np.inf] * 4 + [1e5])
    found = measure(on(FOUR, "transformer", until=cut))
    crossings, factors, exponents = measurement_tables([found, measure(on(FOUR, None, "fcn", true="lcn"))])
    assert crossings.columns == ("network", "of", "P*_0", "P*_1", "P*_2", "P*_3", "in fit")
    first = crossings.rows[0]
    assert (first[0], first[1], first[-1]) == ("transformer", "5 grammars", "1, 2")
    assert not first[2].startswith(">=")
    assert first[5].startswith(">= ")
    assert float(first[5].removeprefix(">= ")) == pytest.approx(found.crossings[3].best, rel=0.01)
    for cell, crossing in zip(first[2:5], found.crossings[:3], strict=True):
        assert float(cell) == pytest.approx(crossing.best, rel=0.01)
    own = found.step_factor.against("published")
    names = ["transformer", "  transformer, published", "  transformer, finite-size", "fcn"]
    assert [row[0] for row in factors.rows] == names
    assert factors.rows[0][1:] == (str(found.step_factor.measured), "", "", "")
    assert factors.rows[1][1:] == ("16", f"{own.percent:+.0f}%", f"{own.errors:+.1f}", own.verdict)
    assert factors.rows[3][2:] == ("", "", "no law")
    assert exponents.rows[0][1] == str(found.exponent.measured)
    assert "cnn 1, transformer 0.5" in exponents.title
    uneven = measurement_tables([measure(on(RHM(16, (4, 3, 4), 2, 3), "cnn", grammars=1, seed=0))])
    assert "levels differ" in uneven[2].title


def test_numbers_in_tables():
    found = measure(on(THREE, "cnn"))

    def cell(value):
        crossings = (replace(found.crossings[0], best=value), *found.crossings[1:])
        return measurement_tables([replace(found, crossings=crossings)])[0].rows[0][2]

    given = {0.12345: "0.123", 999.4: "999", 1000.0: "1.00e3", 123456.0: "1.23e5", 1.5e12: "1.50e+12"}
    assert {value: cell(value) for value in given} == given
    assert {cell(value) for value in (np.nan, np.inf)} == {"-"}
    none = measurement_tables([replace(found, steps=())])[0]
    assert none.rows[0][-1] == "none"


def test_ensembles_that_differ_in_classes_or_weights_have_names_of_their_own():
    weights = [0.7, 0.1, 0.1, 0.1]
    ensembles = [THREE, RHM(16, 4, 2, 3, n=8), RHM(16, 4, 2, 3, rule_probabilities=weights)]
    (table,) = _exponent_tables([measure(on(rhm, "cnn", grammars=3, seed=1)) for rhm in ensembles])
    plain, classes, unequal = (row[0] for row in table.rows)
    assert (plain, classes) == ("16, 4, 2, 3", "16, 4, 2, 3, n 8")
    assert unequal.startswith("16, 4, 2, 3, weights ")


def test_ladders_are_told_in_tables_of_three_values_of_m():
    ensembles = [RHM(4 * m, m, 2, 3) for m in (2, 3, 4, 5)]
    cnn = ladder([measure(on(rhm, "cnn")) for rhm in ensembles])
    short = ladder([measure(on(rhm, "transformer")) for rhm in ensembles[:2]])
    first, second, slopes = ladder_tables([cnn, short])
    assert first.title == "step factor against m, f = 0.25, s = 2, L = 3 [95%]"
    assert (first.columns, second.columns) == (("network", "m = 2", "m = 3", "m = 4"), ("network", "m = 5"))
    factors = [str(m.step_factor.measured) for m in cnn.measurements]
    assert first.rows[0] == ("cnn", *factors[:3])
    assert first.rows[1] == ("transformer", *(str(m.step_factor.measured) for m in short.measurements), "")
    assert second.rows == (("cnn", factors[3]),)
    assert "(cnn m = 2 to 5, transformer m = 2 to 3)" in slopes.title
    predictions = ["published", "finite-size"]
    assert [row[0].strip() for row in slopes.rows] == [
        name for law in ("cnn", "transformer") for name in (law, *(f"{law}, {kind}" for kind in predictions))
    ]
    assert f"cnn, {cnn.line}" in slopes.summary
    online = ladder([measure(on(rhm, "cnn", protocol="online")) for rhm in ensembles])
    assert ladder_tables([online])[0].title == "step factor against m, f = 0.25, s = 2, L = 3, online [95%]"


def test_exponents_of_a_network_over_ensembles():
    uneven = RHM(16, (4, 3, 4), 2, 3)
    found = [measure(on(rhm, "cnn", seed=1)) for rhm in (THREE, FOUR)]
    found += [measure(on(FOUR, "transformer")), measure(on(FOUR, None, "fcn"))]
    cnn, transformer, fcn = _exponent_tables(found)
    assert cnn.title.startswith("cnn: exponent measured")
    assert [row[0] for row in cnn.rows] == ["16, 4, 2, 3", "16, 4, 2, 4"]
    own = found[1].exponent
    numbers = [f"{own.against(name).predicted:.3g}" for name in ("published", "finite_size")]
    words = {"agrees": "yes", "disagrees": "no", "undecided": "?"}
    judged = [own.against(name) for name in ("published", "finite_size")]
    verdicts = [f"{words[one.verdict]} {one.percent:+.0f}%" for one in judged]
    assert cnn.rows[1][1:] == (str(own.measured), "1", *numbers, *verdicts)
    assert transformer.rows[0][2] == "0.5"
    assert fcn.rows == ()
    other = measure(on(uneven, "cnn", grammars=1, seed=0, protocol="online"))
    (alone,) = _exponent_tables([other])
    assert alone.title.startswith("cnn, online: ")
    assert alone.rows[0][2] == "-"


def test_sections_of_a_study():
    one = study([on(FOUR, "cnn", protocol="online", diverged=1), on(FOUR, "transformer", protocol="online")])
    ((title, parts, notes),) = one._sections()
    assert title == f"{FOUR}, online"
    assert len(parts) == 4
    assert parts[3].title.endswith("steps 1, 2, 3, the same grammars, in pairs")
    assert "cnn: 1 runs diverged and are left out" in notes
    several = study([on(rhm, "cnn") for rhm in SEVERAL])
    assert [section[0] for section in several._sections()] == [
        "Factor against m",
        "Exponents",
        *map(str, SEVERAL),
    ]
    apart = [on(FOUR, "cnn"), replace(on(FOUR, "transformer"), grammars=tuple("abcde"))]
    (section,) = study(apart)._sections()
    assert section[1][3].title.endswith("different grammars")
