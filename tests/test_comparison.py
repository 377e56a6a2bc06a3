"""Measured learning curves against theory, on curves made up to have known crossings."""

import json
from dataclasses import replace

import numpy as np
import pytest
from staircases import SIZES, comparisons, curves, smooth_staircase

import rhmtheory as rt
from rhmtheory import RHM, InputError, predict
from rhmtheory.comparison import (
    LearningCurves,
    compare,
    exponent_ratio,
    ladder,
    measure,
    read_curves,
    study,
    verdict,
)
from rhmtheory.comparison._estimates import exponent_of
from rhmtheory.fitting.intervals import Estimate, line_coefficients, pseudo_values, t_bounds
from rhmtheory.fitting.levels import crossings
from rhmtheory.language import quenched_plateaus
from rhmtheory.theory import ARCHITECTURES, crossing_levels, staircase_exponent

V, M, S, L = 16, 4, 2, 4
RHM_ = RHM(V, M, S, L)
THREE = RHM(16, 4, 2, 3)


# --- step factor, exponent, verdict -----------------------------------------------------------------------


@pytest.mark.parametrize(("law", "factor"), [("cnn", 4), ("lcn", 16), ("transformer", 16)])
def test_exact_staircases_give_their_step_factor_and_exponent(law, factor):
    result = measure(curves(RHM_, "net", law, constant=7))
    assert result.steps == (1, 2, 3)
    # crossings are interpolated between 400 sizes over seven decades
    np.testing.assert_allclose(
        np.exp(result.units.ln_P), np.tile(7 * predict(RHM_, law).P.published, (4, 1)), rtol=0.02
    )
    published, exact = (result.step_factor.against(method) for method in ("published", "finite_size"))
    assert result.step_factor.measured.best == pytest.approx(factor, rel=0.01)
    assert published.predicted == pytest.approx(factor)
    P_k = [ARCHITECTURES[law].finite_size(RHM_, k) for k in (1, 2, 3)]
    assert exact.predicted == pytest.approx(np.sqrt(P_k[2] / P_k[0]))
    assert result.exponent.measured.best == pytest.approx(result.exponent.against("published").predicted, rel=0.01)
    H = result.curves.mean_plateaus
    assert result.exponent.against("finite_size").predicted == pytest.approx(staircase_exponent([np.nan, *P_k], H))
    assert result.prefactor == pytest.approx(7, rel=0.01)
    # no interval is as narrow as that of exact curves, which misses the prediction by the error of interpolation
    noisy = measure(curves(RHM_, "net", law, constant=7, noise=0.1, grammars=8))
    assert noisy.step_factor.against("published").verdict == "agrees"


@pytest.mark.parametrize("law", ["cnn", "lcn", "transformer"])
def test_two_levels_are_held_against_the_steps_they_have(law):
    """With two levels the first step enters, and P_1 / P_0 = m**2 with sharing too."""
    rhm = RHM(12, 3, 2, 2)
    result = measure(curves(rhm, "net", law, grammars=8, noise=0.1, constant=5))
    assert result.steps == (0, 1)
    assert predict(rhm, law).step_factor == (3 if law == "cnn" else 9)
    assert result.step_factor.against("published").predicted == pytest.approx(9)
    assert result.step_factor.against("published").verdict == "agrees"


@pytest.mark.parametrize("fall", [0.0, 0.1])
def test_nothing_to_learn_is_undecided(fall):
    """With all tuples in use there is no correlation: no step, even if noise crosses the only level there is."""
    rhm = RHM(4, 4, 2, 2)
    H = np.array([rhm.grammar(seed).plateaus() for seed in range(4)])
    P = np.geomspace(10, 1e4, 20)
    loss = np.log(4) + 0.05 - fall * np.linspace(0, 1, 20) + 0.001 * np.arange(4)[:, None]
    names = tuple(map(str, range(4)))
    given = [LearningCurves(rhm, law, (law,), names, H, P, loss) for law in ("cnn", "transformer")]
    (comparison,) = comparisons(given)
    for measurement in comparison.measurements:
        for judged in measurement.step_factor.judged:
            assert not np.isfinite(judged.predicted)
            assert judged.verdict == "undecided"
    assert {judged.verdict for judged in comparison.ratio.finding.judged} == {"undecided"}
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_a_wrong_law_is_told():
    """A CNN that needs as much as a transformer disagrees with its prediction, and agrees with the other's."""
    given = replace(
        curves(RHM_, "net", "cnn", true="transformer", noise=0.1, grammars=8), laws=("cnn", "transformer")
    )
    found = measure(given).step_factor
    assert found.against("published").verdict == "disagrees"
    assert found.against("published", "transformer").verdict == "agrees"
    with pytest.raises(InputError, match="law='lcn' has no prediction by 'published'"):
        found.against("published", "lcn")


def test_a_network_without_a_law_is_measured_and_not_judged():
    result = measure(curves(RHM_, "fcn", None, true="lcn", noise=0.1, grammars=8))
    assert result.step_factor.judged == ()
    assert result.step_factor.measured.best == pytest.approx(16, rel=0.3)
    assert "no law" in str(result)
    with pytest.raises(InputError, match="law='fcn' is unknown"):
        replace(result.curves, laws=("fcn",))


def test_runs_of_a_grammar_are_averaged_before_grammars():
    """Two runs of each grammar are one unit: the number of units is that of grammars."""
    given = curves(RHM_, "net", "cnn", noise=0.2, grammars=5, runs=2)
    result = measure(given)
    assert result.units.names == tuple(f"seed {i}" for i in range(5))
    rows = np.log(crossings(given.P, given.loss, [crossing_levels(H) for H in given.plateaus]).at)
    np.testing.assert_allclose(result.units.ln_P, (rows[::2] + rows[1::2]) / 2)
    assert result.step_factor.measured.count == 5


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((3.0, 5.0), "agrees"),
        ((4.5, 6.0), "disagrees"),
        ((1.0, 50.0), "undecided"),
        ((np.nan, np.nan), "undecided"),
    ],
)
def test_verdict(interval, expected):
    assert verdict(Estimate(4.0, *interval, confidence=0.95, count=5), 4.0) == expected


@pytest.mark.parametrize("predicted", [np.nan, np.inf])
def test_no_verdict_without_a_prediction(predicted):
    assert verdict(Estimate(4.0, 3.0, 5.0, confidence=0.95, count=5), predicted) == "undecided"


# --- what is not there ------------------------------------------------------------------------------------


def test_plateaus_that_coincide_are_no_step():
    """A grammar with H_2 = H_3 has no step there: it is left out of the fits, and no warning is raised."""
    given = curves(RHM(12, 3, 2, 4), "net", "cnn", grammars=5, noise=0.1)
    H = given.plateaus.copy()
    H[2, 3] = H[2, 2]
    result = measure(replace(given, plateaus=H))
    assert result.used == (0, 1, 3, 4)
    assert result.step_factor.measured.count == 4
    assert any("seed 2" in note for note in result.notes)
    others = [0, 1, 3, 4]
    kept = measure(
        replace(
            given, plateaus=H[others], loss=given.loss[others], grammars=tuple(given.grammars[i] for i in others)
        )
    )
    assert result.step_factor == kept.step_factor
    # where most grammars have no such step, it is none
    H[:, 3] = H[:, 2]
    assert measure(replace(given, plateaus=H)).steps == (1, 3)


def test_grammars_of_two_rules_whose_plateaus_coincide():
    """They exist: the last step of these two has no height."""
    rhm = RHM(8, 2, 2, 4)
    H = np.array([rhm.grammar(seed).plateaus() for seed in range(5)])
    assert (np.log(H[[0, 3], 3] / H[[0, 3], 4]) < 0.01).all()
    result = measure(curves(rhm, "net", "cnn", grammars=5, noise=0.1))
    assert result.used == (1, 2, 4)
    assert np.isfinite(result.step_factor.measured.low)
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_step_that_no_grammar_makes_gives_a_lower_bound():
    given = curves(THREE, "net", "transformer", noise=0.1, grammars=8, until=8e3)
    result = measure(given)
    found = result.step_factor.measured
    assert result.steps == (1, 2)
    assert found.at_least
    assert found.high == np.inf
    P_1 = np.exp(result.units.ln_P[:, 1].mean())
    last = given.P[given.P <= 8e3][-1]
    assert found.best == pytest.approx(last / P_1)
    assert found.low < found.best
    assert "at least" in result.step_factor.against("published").verdict
    assert np.isnan(result.exponent.measured.best)
    assert any("step 2 is not made by 8 of 8 grammars" in note for note in result.notes)
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_lower_bound_above_the_prediction_disagrees():
    given = curves(THREE, "net", "cnn", true="transformer", noise=0.1, grammars=8, until=1.2e4)
    judged = measure(given).step_factor.against("published")
    assert judged.predicted == pytest.approx(4)
    assert judged.verdict.startswith("disagrees, at least ")


def test_complete_steps_keep_their_interval_when_a_later_one_is_censored():
    result = measure(curves(RHM_, "net", "transformer", noise=0.1, grammars=8, until=1e5))
    assert result.steps == (1, 2)
    assert not result.step_factor.measured.at_least
    assert result.step_factor.against("published").verdict == "agrees"
    assert result.factors[2].at_least
    assert result.crossings[3].at_least
    json.dumps(result.to_dict(), allow_nan=False)


def test_some_censored_grammars_enter_with_the_largest_P_they_reached():
    ends = np.where(np.arange(8) < 3, 8e3, np.inf)
    result = measure(curves(THREE, "net", "transformer", noise=0.1, grammars=8, until=ends))
    whole = measure(curves(THREE, "net", "transformer", noise=0.1, grammars=8))
    assert result.step_factor.measured.at_least
    assert result.step_factor.measured.low < whole.step_factor.measured.best
    assert (result.units.ln_P[:3, 2] < whole.units.ln_P[:3, 2]).all()
    np.testing.assert_array_equal(result.units.ln_P[3:], whole.units.ln_P[3:])


def test_too_few_steps_are_undecided_not_an_error():
    (comparison,) = comparisons([curves(RHM_, "t", "transformer", until=1e3), curves(RHM_, "c", "cnn", until=1e3)])
    for measurement in comparison.measurements:
        assert measurement.steps == ()
        assert measurement.step_factor.against("published").verdict == "undecided"
        assert np.isnan(measurement.exponent.measured.best)
    assert comparison.ratio.finding.against("published").verdict == "undecided"
    assert str(study([curves(RHM_, "t", "transformer", until=1e3)]))
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_a_curve_that_begins_too_late_says_so():
    late = SIZES[SIZES > 5e3]
    result = measure(curves(THREE, "net", "cnn", sizes=late))
    assert result.steps == ()
    assert any("begins below step 1" in note for note in result.notes)


@pytest.mark.parametrize("grammars", [1, 2])
def test_fewer_than_three_grammars_have_no_interval(grammars):
    result = measure(curves(RHM_, "net", "cnn", noise=0.1, grammars=grammars))
    assert np.isfinite(result.step_factor.measured.best)
    assert np.isnan(result.step_factor.measured.low)
    assert result.step_factor.against("published").verdict == "undecided"
    assert any("interval" in note for note in result.notes)


def test_nothing_to_compare():
    with pytest.raises(InputError, match="no finished run"):
        comparisons([])


# --- intervals hold what they say -------------------------------------------------------------------------

REPETITIONS = 2000


@pytest.mark.parametrize("grammars", [5, 8, 16])
def test_intervals_of_synthetic_staircases_cover_the_truth(grammars):
    """95% intervals of factor, crossing and exponent, from curves that scatter in ln P_k and in the plateaus."""
    rng = np.random.default_rng(grammars)
    factor, spread = 6.0, 0.3
    H_mean = predict(THREE, "cnn").plateaus
    H = H_mean * np.exp(0.04 * rng.standard_normal((REPETITIONS, grammars, L)))
    ln_P = (
        np.log(300.0) + np.array([-2, 0, np.log(factor)]) + spread * rng.standard_normal((REPETITIONS, grammars, 3))
    )
    P = np.geomspace(1, 1e6, 150)
    rows = REPETITIONS * grammars
    loss = smooth_staircase(H, np.exp(np.maximum.accumulate(ln_P, -1) + 1e-6 * np.arange(3)), P).reshape(
        rows, len(P)
    )
    levels = np.sqrt(H[..., :-1] * H[..., 1:]).reshape(rows, 3)
    at = np.log(crossings(P, loss, levels).at).reshape(REPETITIONS, grammars, 3)
    for values, truth in ((at[..., 2] - at[..., 1], np.log(factor)), (at[..., 1], np.log(300.0))):
        _, low, high = t_bounds([values])
        assert 0.93 < np.mean((low < truth) & (truth < high)) < 0.97
    true = -np.diff(np.log(np.sqrt(H_mean[1:-1] * H_mean[2:]) - H_mean[-1]))[0] / np.log(factor)
    bounds = []
    for c, h in zip(at[:1000], H[:1000], strict=True):
        values = pseudo_values(lambda which, c=c, h=h: np.log(exponent_of(c, h, (1, 2), which)), grammars)
        bounds.append([x.item() for x in t_bounds([values])])
    _, low, high = np.array(bounds).T
    assert 0.93 < np.mean((low < np.log(true)) & (np.log(true) < high)) < 0.97


@pytest.mark.parametrize("grammars", [5, 8, 16])
def test_lower_bounds_of_censored_steps_hold(grammars):
    """The lower end of a 95% interval: nominally 97.5%, however many grammars are cut off at the largest P."""
    rng = np.random.default_rng(grammars)
    rises = np.log(6) + 0.4 * rng.standard_normal((20 * REPETITIONS, grammars))
    for end in (np.log(4), np.log(6), np.log(9)):
        _, low, _ = t_bounds([np.minimum(rises, end)])
        assert np.mean(low < np.log(6)) > 0.96


@pytest.mark.parametrize("grammars", [5, 8, 16])
def test_slopes_of_ladders_cover_the_truth(grammars):
    """Also where the scatter grows with m, which weights made from the scatter itself would not survive."""
    rng = np.random.default_rng(grammars)
    ln_m = np.log([2, 3, 4, 5, 6])
    spread = np.array([0.1, 0.15, 0.2, 0.3, 0.5])
    samples = [
        2 * x + s * rng.standard_normal((2 * REPETITIONS, grammars)) for x, s in zip(ln_m, spread, strict=True)
    ]
    _, low, high = t_bounds(samples, line_coefficients(ln_m))
    assert 0.93 < np.mean((low < 2) & (high > 2)) < 0.97


@pytest.mark.parametrize("other", [5, 12])
def test_intervals_of_ratios_cover_the_truth(other):
    """Welch's, for different grammars and unequal spread."""
    rng = np.random.default_rng(other)
    first, second = rng.standard_normal((REPETITIONS * 2, 8)), 3 * rng.standard_normal((REPETITIONS * 2, other))
    _, low, high = t_bounds([first + 1, second], (1.0, -1.0))
    assert 0.93 < np.mean((low < 1) & (high > 1)) < 0.97


def test_pseudo_values_of_a_mean_are_the_values():
    values = np.array([1.0, 5.0, 2.0, 7.0])
    np.testing.assert_allclose(pseudo_values(lambda which: values[which].mean(), 4), values)


def test_line_coefficients_are_those_of_least_squares():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 7))
    assert line_coefficients(x) @ y == pytest.approx(np.polyfit(x, y, 1)[0])


# --- networks beside one another ---------------------------------------------------------------------------


def test_ratio_of_exponents_is_two_for_the_predicted_curves():
    """Paired where networks share grammars, Welch's where they do not."""
    cnn = curves(RHM_, "cnn", "cnn", constant=3, noise=0.1, grammars=6)
    transformer = curves(RHM_, "t", "transformer", constant=11, noise=0.1, grammars=6, seed=1)
    for second, paired in ((transformer, True), (replace(transformer, grammars=tuple("abcdef")), False)):
        (comparison,) = comparisons([cnn, second])
        ratio = comparison.ratio
        assert ratio.paired is paired
        assert ratio.finding.against("published").predicted == pytest.approx(2)
        assert ratio.finding.measured.low < 2 < ratio.finding.measured.high
        assert ratio.finding.measured.best == pytest.approx(2, rel=0.1)
        assert ratio.finding.against("published").verdict == "agrees"
        json.dumps(comparison.to_dict(), allow_nan=False)


def test_ratio_on_shared_grammars_only():
    few = curves(RHM_, "t", "transformer", noise=0.1, grammars=4)
    ratio = exponent_ratio(measure(curves(RHM_, "cnn", "cnn", noise=0.1, grammars=8)), measure(few))
    assert ratio.paired
    assert ratio.finding.measured.count == 4


def test_no_ratio_without_a_network_of_each_law_nor_in_a_scan():
    assert comparisons([curves(RHM_, "a", "cnn"), curves(RHM_, "b", "lcn")])[0].ratio is None
    scan = [replace(curves(RHM_, "a", law), variant="rate 1") for law in ("cnn", "transformer")]
    assert comparisons(scan)[0].ratio is None


def test_protocols_are_never_compared_with_each_other():
    given = [curves(RHM_, "cnn", "cnn", protocol="online"), curves(RHM_, "t", "transformer", protocol="offline")]
    found = comparisons(given)
    assert [c.protocol for c in found] == ["offline", "online"]
    assert all(c.ratio is None for c in found)


@pytest.fixture(scope="module")
def ladders():
    ensembles = [RHM(4 * m, m, 2, 3) for m in (5, 3, 4)]
    given = [curves(rhm, "cnn", "cnn", noise=0.1, grammars=8, constant=5, seed=rhm.m) for rhm in ensembles]
    given += [curves(rhm, "t", "transformer", noise=0.1, grammars=6, constant=5, seed=rhm.m) for rhm in ensembles]
    return study(given)


def test_the_slope_of_a_ladder_is_one_with_sharing_and_two_without(ladders):
    cnn, transformer = ladders.ladders
    for one, slope in ((cnn, 1), (transformer, 2)):
        assert [m.curves.rhm.m for m in one.measurements] == [3, 4, 5]
        found = one.slope
        assert found.against("published").predicted == pytest.approx(slope)
        assert found.measured.low < slope < found.measured.high
        assert found.measured.best == pytest.approx(slope, abs=0.3)
        exact = [m.step_factor.against("finite_size").predicted for m in one.measurements]
        assert found.against("finite_size").predicted == pytest.approx(
            np.polyfit(np.log([3, 4, 5]), np.log(exact), 1)[0]
        )
    assert ladders.widest < 0.6
    json.dumps(ladders.to_dict(), allow_nan=False)


def test_a_ladder_leaves_out_lower_bounds_and_needs_two_m():
    points = [measure(curves(RHM(4 * m, m, 2, 3), "t", "transformer", noise=0.1, grammars=6)) for m in (3, 4)]
    bound = measure(curves(RHM(20, 5, 2, 3), "t", "transformer", noise=0.1, grammars=6, until=3e4))
    assert bound.step_factor.measured.at_least
    whole, cut = ladder(points), ladder([*points, bound])
    assert cut.slope == whole.slope
    assert len(cut.measurements) == 3
    with pytest.raises(InputError, match="two or more different m"):
        ladder(points[:1])


def test_tables_fit_a_terminal(ladders):
    text = str(ladders)
    assert max(map(len, text.splitlines())) <= 80
    bound = study([curves(THREE, "attention", "transformer", noise=0.1, grammars=8, until=8e3)])
    assert max(map(len, str(bound).splitlines())) <= 80
    assert ">= " in str(bound)
    for part in ("slope of ln factor against ln m", "exponent measured", "RHM(v=12, m=3, s=2, L=3)", "agrees"):
        assert part in text
    assert "<table>" in ladders._repr_html_()


# --- one's own curve ----------------------------------------------------------------------------------------


def own(law="cnn", sizes=SIZES, seed=0):
    grammar = THREE.grammar(seed)
    return grammar, smooth_staircase(grammar.plateaus(), 5 * predict(THREE, law).P.published, sizes)


def test_one_curve_is_held_against_both_laws():
    grammar, loss = own()
    found = rt.compare(SIZES, loss, grammar)
    assert found.step_factor.measured.best == pytest.approx(4, rel=0.02)
    assert [one.law for one in found.step_factor.judged] == ["cnn", "cnn", "transformer", "transformer"]
    assert {one.verdict for one in found.step_factor.judged} == {"undecided"}
    assert any("no interval" in note for note in found.notes)
    assert "no interval" in str(found)
    assert "<table>" in found._repr_html_()
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_noise_of_one_curve_makes_its_interval():
    grammar, loss = own()
    sizes, loss = SIZES[::8], loss[::8]
    found = compare(sizes, loss, grammar, law="cnn", loss_error=0.01 * loss)
    measured = found.step_factor.measured
    assert measured.unit == "noise"
    assert measured.low < measured.best < measured.high
    assert measured.high / measured.low < 1.2
    wider = compare(sizes, loss, grammar, law="cnn", loss_error=0.03 * loss).step_factor.measured
    assert wider.width > 2 * measured.width
    assert np.isfinite(found.exponent.measured.width)


def test_noise_intervals_cover_the_truth():
    """Curves with noise of the stated size: the 95% interval holds the factor of the smooth curve."""
    grammar, loss = own()
    sizes, loss = SIZES[::20], loss[::20]
    truth = compare(sizes, loss, grammar, law="cnn").step_factor.measured.best
    rng = np.random.default_rng(0)
    covered = 0
    for i in range(60):
        error = 0.01 * loss
        noisy = loss + error * rng.standard_normal(len(loss))
        found = compare(sizes, noisy, grammar, law="cnn", loss_error=error, seed=i).step_factor.measured
        covered += found.low < truth < found.high
    assert covered >= 52


def test_runs_of_one_grammar_make_an_interval_that_says_so():
    grammar, loss = own()
    shifted = [np.interp(np.log(SIZES) + x, np.log(SIZES), loss) for x in (0.0, 0.1, -0.1, 0.05)]
    found = compare(SIZES, shifted, grammar, law="cnn")
    assert found.step_factor.measured.unit == "runs"
    assert any("says nothing of other grammars" in note for note in found.notes)


def test_several_grammars_with_several_runs():
    grammars = [THREE.grammar(seed) for seed in (0, 0, 1, 2)]
    losses = [own(seed=seed)[1] for seed in (0, 0, 1, 2)]
    found = compare(SIZES, losses, grammars, law="cnn")
    assert found.step_factor.measured.unit == "grammars"
    assert found.step_factor.measured.count == 3


def test_an_ensemble_stands_for_unknown_grammars():
    found = compare(SIZES, [own(seed=seed)[1] for seed in range(4)], THREE, law="cnn")
    np.testing.assert_allclose(found.curves.plateaus[2], quenched_plateaus(THREE, 48).mean)
    assert found.step_factor.measured.count == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"P": SIZES[::-1]}, "must be positive, finite and increasing"),
        ({"P": SIZES[:-1]}, "one loss for each"),
        ({"loss": 0.4 * own()[1]}, "is it the wrong grammar"),
        ({"loss": -own()[1]}, "infinite or not positive"),
        ({"loss": np.nan * own()[1]}, "without any number"),
        ({"loss": ["a"] * len(SIZES)}, "must hold real numbers"),
        ({"loss": own()[1] * 1j}, "must hold real numbers"),
        ({"law": "fcn"}, "law='fcn' is unknown"),
        ({"grammar": [THREE.grammar(0)] * 2}, "2 grammars for 1 rows"),
        ({"grammar": [3]}, "must be a Grammar"),
        ({"loss_error": -own()[1]}, "standard errors"),
        ({"loss_error": np.inf * own()[1]}, "standard errors"),
        ({"loss_error": 1e307 + 0 * own()[1]}, "standard errors"),
        ({"loss_error": 0.1}, "standard errors"),
        ({"loss_error": own()[1][1:]}, "standard errors"),
        ({"loss_error": [own()[1]] * 2}, "standard errors"),
    ],
)
def test_bad_curves_are_refused(change, message):
    given = {"P": SIZES, "loss": own()[1], "grammar": THREE.grammar(0)} | change
    with pytest.raises(InputError, match=message):
        compare(**given)


def test_grammars_of_two_ensembles_are_refused():
    with pytest.raises(InputError, match="different ensembles"):
        compare(SIZES, [own()[1]] * 2, [THREE.grammar(0), RHM_.grammar(0)])


# --- CSV ----------------------------------------------------------------------------------------------------


def test_curves_are_read_from_csv(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text(
        "P, loss, grammar, run, error\n10,2.5,0,a,0.1\n20,1.5,0,a,0.2\n10,2.0,0,b,0.1\n20,1.0,1,a,0.1\n"
    )
    table = read_curves(path)
    assert table.grammars == ("0", "0", "1")
    np.testing.assert_array_equal(table.P, [10, 20])
    np.testing.assert_array_equal(table.loss, [[2.5, 1.5], [2.0, np.nan], [np.nan, 1.0]])
    np.testing.assert_array_equal(table.loss_error, [[0.1, 0.2], [0.1, np.nan], [np.nan, 0.1]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("P,value\n1,2\n", "lacks the column loss"),
        ("a,b\n1,2\n", "lacks the column P and loss"),
        ("", "is empty"),
        ("P,loss\n", "no rows"),
        ("P,loss\n10,x\n", "line 2: loss='x' is not a number"),
        ("P,loss\n10\n", "line 2 has 1 fields under 2 heads"),
        ("P,loss\n10,2\n10,1\n", "line 3: a second loss at P=10"),
        ("P,loss\n20,2\n10,3\n", "does not increase"),
    ],
)
def test_bad_csv_is_refused(tmp_path, text, message):
    path = tmp_path / "curve.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_curves(path)
