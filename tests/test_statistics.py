"""Numbers that misled once, and what they say now: crossings, factors, floors, units, verdicts with a size."""

from dataclasses import replace

import numpy as np
import pytest
from staircases import curves, logistic_staircase

import rhmtheory as rt
from rhmtheory import RHM, InputError
from rhmtheory.comparison import LearningCurves, compare, exponent_ratio, ladder, measure, study
from rhmtheory.comparison.findings import judge
from rhmtheory.fitting import Estimate
from rhmtheory.fitting.slopes import line_fit
from rhmtheory.language import quenched_plateaus

THREE, FOUR = RHM(16, 4, 2, 3), RHM(16, 4, 2, 4)
H = np.array([2.64, 1.39, 0.56, 0.26, 0.18])


def steps(P_k, sizes, width=0.1, noise=0.0, rhm=FOUR, plateaus=H, seed=0, **rest):
    """Curves with logistic steps at P_k (rows, L), all with the same plateaus."""
    rows = np.atleast_2d(P_k)
    loss = np.array([logistic_staircase(sizes, plateaus, row, width) for row in rows])
    loss *= np.exp(noise * np.random.default_rng(seed).standard_normal(loss.shape))
    names = tuple(map(str, range(len(rows))))
    return LearningCurves(
        rhm, "net", ("transformer",), names, np.tile(plateaus, (len(rows), 1)), sizes, loss, **rest
    )


def scattered(grammars, seed=0, factor=16.0, scatter=0.2):
    rng = np.random.default_rng(seed)
    return 100 * factor ** np.arange(4) * np.exp(scatter * rng.standard_normal((grammars, 4)))


def notes(found):
    return " / ".join(found.notes)


# --- spacing and noise ------------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [3, 5, 7, 13, 100])
def test_a_step_between_two_sizes_widens_the_interval_to_all_it_may_be(points):
    """Without that, few sizes gave 53 [50, 56] or 10.2 [9.97, 10.4] for a factor of 16."""
    found = measure(steps(scattered(6), np.geomspace(30, 3e6, points)))
    factor = found.step_factor.measured
    if found.steps:
        assert factor.low < 16 < factor.high
        coarse = "hold more than they say" in notes(found)
        assert coarse == (points < 100)
        assert factor.width > 0.4 or not coarse


def test_two_sizes_tell_no_factor():
    found = measure(steps(scattered(6), np.geomspace(30, 3e6, 2)))
    assert found.steps == ()
    assert np.isnan(found.step_factor.measured.best)
    assert "fall between two neighbouring P: no factor" in notes(found)


def test_noise_moves_no_factor():
    """A running minimum crossed early: ln factor was off by 0.39 at this noise."""
    sizes = np.geomspace(30, 3e6, 60)
    found = [
        measure(steps(scattered(8, seed), sizes, 0.3, noise=0.1, seed=seed)).step_factor.measured
        for seed in range(60)
    ]
    ln = np.log([one.best / 16 for one in found])
    assert abs(ln.mean()) < 0.02 + 3 * ln.std() / np.sqrt(len(ln))
    assert np.mean([one.low < 16 < one.high for one in found]) > 0.85


def test_more_points_of_one_noisy_curve_make_its_factor_more_exact():
    spreads = []
    for points in (40, 200):
        sizes, ln = np.geomspace(30, 3e6, points), []
        for seed in range(40):
            given = steps(100 * 16.0 ** np.arange(4), sizes, 0.3, noise=0.1, seed=seed)
            ln.append(np.log(measure(replace(given, loss_error=0.1 * given.loss)).step_factor.measured.best / 16))
        assert abs(np.mean(ln)) < 0.02 + 3 * np.std(ln) / np.sqrt(len(ln))
        spreads.append(np.std(ln))
    assert spreads[1] < spreads[0]


def test_a_curve_that_begins_below_a_level_bounds_it_from_above():
    sizes = np.geomspace(300, 3e6, 60)
    P_k = scattered(6)
    P_k[:3, 1] = 100  # half of the grammars come down before the first size
    found = measure(steps(P_k, sizes))
    assert found.crossings[1].at_most
    assert np.exp(np.log(P_k[:, 1]).mean()) < found.crossings[1].best
    assert found.crossings[1].high > 0
    assert "<= " in str(found)


# --- an ensemble in place of a grammar --------------------------------------------------------------------


def test_floors_of_an_ensemble_are_those_of_its_grammars():
    """At 0.6 of the mean floor 61% of good sets of eight rows were refused."""
    drawn, sizes = quenched_plateaus(FOUR, 8, seed=5).values, np.geomspace(30, 3e6, 40)
    P_k = scattered(8)
    loss = [logistic_staircase(sizes, own, row, 0.2) for own, row in zip(drawn, P_k, strict=True)]
    found = compare(sizes, loss, FOUR)
    assert found.steps == (1, 2)
    assert found.step_factor.measured.low < 16 < found.step_factor.measured.high
    assert "plateaus of step 3 differ too much from grammar to grammar: name the grammar" in notes(found)
    assert found.crossings[3].best != found.crossings[3].best


def test_plateaus_that_differ_too_much_ask_for_the_grammar():
    with pytest.raises(InputError, match=r"differ too much from grammar to grammar .*: name the grammar"):
        compare([10.0, 1e3], [2.0, 1.0], RHM(8, 2, 2, 4))


def test_runs_of_an_unknown_grammar_are_no_grammars():
    sizes = np.geomspace(30, 3e6, 40)
    loss = [logistic_staircase(sizes, THREE.grammar(1).plateaus(), row[:3], 0.2) for row in scattered(4)]
    given = {"P": sizes, "loss": loss, "grammar": THREE}
    assert compare(**given).units.unit == "grammars"
    runs = compare(**given, runs_of=[""] * 4)
    assert runs.units.unit == "runs"
    # the unknown plateaus are in the interval
    assert (
        runs.step_factor.measured.width
        > compare(**{**given, "grammar": THREE.grammar(1)}).step_factor.measured.width
    )


# --- units ------------------------------------------------------------------------------------------------


def test_losses_in_bits_are_told():
    found = measure(
        replace(
            steps(scattered(5), np.geomspace(3, 3e6, 60)),
            loss=3.9 + 0.01 * np.arange(5)[:, None] * np.ones((5, 60)),
        )
    )
    assert "exceed the 2.64 nats of a guess: are they in bits" in notes(found)
    fine = steps(scattered(5), np.geomspace(3, 3e6, 60))
    assert "bits" not in notes(measure(fine))
    low = measure(replace(fine, loss=0.9 * fine.loss))
    assert "10% below the entropy of its language" in notes(low)


def test_rows_with_the_same_numbers_count_once():
    """Three copies gave 15.1 [15.1, 15.1], and a verdict."""
    grammar, sizes = FOUR.grammar(0), np.geomspace(30, 3e6, 40)
    loss = logistic_staircase(sizes, grammar.plateaus(), scattered(1)[0], 0.2)
    found = compare(sizes, [loss] * 3, grammar)
    assert np.isnan(found.step_factor.measured.low)
    assert {one.verdict for one in found.step_factor.judged} == {"undecided"}
    assert "2 rows hold the same numbers as others" in notes(found)
    with pytest.raises(InputError, match=r"the same numbers in row 0 .* and row 1"):
        compare(sizes, [loss] * 2, [grammar, FOUR.grammar(1)])


def test_a_loss_of_zero_is_a_loss_where_there_is_nothing_left_to_guess():
    rhm = RHM(8, 1, 2, 2)
    grammar = rhm.grammar(0)
    assert grammar.plateaus()[-1] == 0
    assert compare([1.0, 10, 100], [2.0, 0.5, 0.0], grammar).curves.loss[0, 2] == 0


@pytest.mark.parametrize(("P", "chance"), [(100, 0.093), (1e5, 1.0)])
def test_the_chance_that_a_test_sentence_was_seen(P, chance):
    """Of the 1024 sentences of (8, 2, 2, 3)."""
    rhm = RHM(8, 2, 2, 3)
    H_3 = rhm.grammar(1).plateaus()
    given = LearningCurves(rhm, "net", (), ("1",), H_3[None], np.array([1.0, P]), np.array([[2.0, 1.9]]))
    assert given.seen() == pytest.approx(1 - np.exp(-P / 1024))
    assert given.seen() == pytest.approx(chance, abs=0.001)
    found = measure(given)
    assert ("a test sentence was seen" in notes(found)) == (chance > 0.1)
    assert f"reaches {P / 1024:.2g} N" in str(found).replace("\n", " ")
    uneven = replace(given, rhm=RHM(8, 2, 2, 3, rule_probabilities=[0.9, 0.1]))
    assert uneven.seen() > given.seen() or chance == 1


def test_curves_of_different_length_need_no_padding():
    grammars = [THREE.grammar(i) for i in range(3)]
    P = [np.geomspace(30, 3e5, n) for n in (20, 30, 25)]
    loss = [
        logistic_staircase(x, g.plateaus(), row[:3], 0.2)
        for x, g, row in zip(P, grammars, scattered(3), strict=True)
    ]
    found = compare(P, loss, grammars)
    for x, own, row in zip(P, loss, found.curves.loss, strict=True):
        np.testing.assert_array_equal(found.curves.P[~np.isnan(row)], x)
        np.testing.assert_array_equal(row[~np.isnan(row)], own)


# --- verdicts and lines -----------------------------------------------------------------------------------


def test_a_verdict_has_a_size():
    """5.67 against 5 and 8.9 against 25 do not read alike."""
    near, far = (
        judge(Estimate(x, x / 1.1, x * 1.1, count=8), "cnn", "published", y) for x, y in ((5.67, 5), (8.9, 25))
    )
    assert (near.verdict, far.verdict) == ("disagrees", "disagrees")
    assert (round(near.percent), round(far.percent)) == (13, -64)
    edge = judge(Estimate(2.0, 1.8, 2.2, count=8), "cnn", "published", 1.8)
    assert edge.errors == pytest.approx(1.96, abs=0.001)
    assert far.errors < -10
    bound = judge(Estimate(2.0, 1.8, np.inf, count=8, at_least=True), "cnn", "published", 5.0)
    assert np.isnan([bound.percent, bound.errors]).all()


def test_a_line_that_does_not_fit_is_none_and_widens_its_interval():
    """Local slopes of 2.9, 2.1 and 0.5 were fitted by 2.11, with an interval that did not know."""
    ensembles, factors = [RHM(4 * m, m, 2, 3) for m in (2, 3, 4, 5)], [7.0, 22.7, 41.5, 46.4]
    points = []
    for rhm, factor in zip(ensembles, factors, strict=True):
        P_k = scattered(6, rhm.m, factor, 0.08)[:, :3]
        points.append(measure(steps(P_k, np.geomspace(3, 3e6, 100), rhm=rhm, plateaus=H[:4])))
    found = ladder(points)
    assert not found.line.is_line
    assert found.line.chi_square > 20
    assert found.line.freedom == 2
    assert "no line: chi-square" in str(found)
    assert found.slope.measured.kind == "scatter about the line"
    straight = [
        measure(steps(scattered(6, rhm.m, rhm.m**2)[:, :3], np.geomspace(3, 3e6, 100), rhm=rhm, plateaus=H[:4]))
        for rhm in ensembles
    ]
    fine = ladder(straight)
    assert fine.line.is_line
    assert "a line fits" in str(fine)
    assert fine.slope.measured.high - fine.slope.measured.low < found.slope.measured.high - found.slope.measured.low


def test_lines_that_do_not_fit_are_found_as_often_as_chance_has_it():
    rng, x = np.random.default_rng(0), np.log([2, 3, 4, 5])
    improbable = [
        line_fit(x, [2 * at + 0.2 * rng.standard_normal(6) for at in x]).probability < 0.05 for _ in range(600)
    ]
    assert 0.02 < np.mean(improbable) < 0.09


def test_factors_that_depend_on_the_height_of_the_crossing_say_so():
    """Curves that fall like a power law rest nowhere; a staircase does."""
    sizes = np.geomspace(10, 1e7, 200)
    rests = measure(steps(100 * 16.0 ** np.arange(4), sizes, 0.2))
    assert all(rests.rests.values())
    assert np.log(rests.heights) == pytest.approx([np.log(16)] * 2, abs=0.05)
    assert "depends on the height" not in notes(rests)
    wide = measure(steps(100 * 16.0 ** np.arange(4), sizes, np.array([0.1, 0.1, 0.1, 1.5])))
    assert not all(wide.rests.values())
    assert max(wide.heights) / min(wide.heights) > 1.2
    assert "the factor depends on the height" in notes(wide)
    line = measure(replace(rests.curves, loss=2.7 * (sizes / 10)[None] ** -0.2))
    slopes = line.crossing_slopes[1:3], line.plateau_slopes[1:2]
    np.testing.assert_allclose(np.concatenate(slopes), 0.2, rtol=0.02)


def test_a_ratio_without_laws_is_held_against_nothing():
    first, second = (measure(replace(steps(scattered(5, i), np.geomspace(30, 3e6, 60)), laws=())) for i in (0, 1))
    ratio = exponent_ratio(first, second)
    assert np.isfinite(ratio.finding.measured.best)
    assert ratio.finding.judged == ()
    assert "held against no law" in str(ratio)


def test_every_table_has_a_sentence_below():
    laws = ("cnn", "transformer")
    found = study([curves(THREE, law, law, noise=0.2, grammars=5, seed=i) for i, law in enumerate(laws)])
    (comparison,) = found.comparisons
    assert all(table.summary for table in comparison.tables())
    assert "cnn agrees with cnn, published" in str(found)
    assert "transformer agrees with" in str(found).replace("\n", " ")


def test_runs_at_other_batches_or_rates_are_other_curves():
    one = curves(THREE, "net", "cnn", noise=0.1, grammars=4, batch=32, rate=1.0)
    found = study([one, replace(one, batch=128, loss=0.999 * one.loss)]).measurements
    assert [m.curves.name for m in found] == ["net, batch 32", "net, batch 128"]
    alone = study([one]).measurements
    assert [m.curves.name for m in alone] == ["net"]


def test_a_law_of_ones_own_is_held_against_a_curve():
    law = replace(rt.LAWS["shared"], name="mine")
    grammar = THREE.grammar(0)
    found = compare(np.geomspace(100, 1e6, 50), 2.7 * np.geomspace(1, 1e4, 50) ** -0.2, grammar, law=law)
    assert [one.law for one in found.step_factor.judged] == ["mine", "mine"]
    assert found.step_factor.against("published").predicted == pytest.approx(4)


def test_measurements_are_equal_by_value():
    given = curves(THREE, "net", "cnn", noise=0.1, grammars=4)
    assert measure(given) == measure(given)
    assert measure(given) != measure(replace(given, label="other"))
