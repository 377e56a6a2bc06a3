"""The estimators on learning curves made up to have known crossings."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")  # compare itself needs none, its package does

from rhmtheory import RHM, Grammar, InputError, predict
from rhmtheory.fitting.intervals import SlopeFit
from rhmtheory.theory.predictions import crossing_levels, sample_complexity, staircase_exponent
from rhmvalidation.compare import THEORY, LearningCurves, compare, learning_curves, measure, verdict
from rhmvalidation.training import Outcome, Run, Settings

V, M, S, L = 16, 4, 2, 4
RHM_ = RHM(V, M, S, L)
SIZES = np.unique(np.geomspace(10, 1e8, 400).astype(int))


def smooth_staircase(plateaus, P_k, sizes):
    """A curve through (P_k, geometric mean of the plateaus), power laws in between."""
    levels = crossing_levels(plateaus)
    x = np.log([P_k[0] / 10, *P_k, P_k[-1] * 10])
    y = np.log([plateaus[0], *levels, plateaus[-1]])
    return np.exp(np.interp(np.log(sizes), x, y))


def curves(network, architecture=None, constant=1.0, grammars=4, noise=0.0, sizes=SIZES, rhm=RHM_):
    rng = np.random.default_rng(0)
    P_k = predict(rhm, architecture or THEORY[network]).sample_complexity
    H = np.array([Grammar.from_ensemble(rhm, seed).plateaus() for seed in range(grammars)])
    shifted = [constant * P_k * np.exp(noise * rng.standard_normal(rhm.L)) for _ in H]
    loss = np.array([smooth_staircase(h, P, sizes) for h, P in zip(H, shifted, strict=True)])
    names = tuple(map(str, range(grammars)))
    return LearningCurves(rhm, network, names, H, sizes.astype(float), loss, None, 0)


@pytest.mark.parametrize(("network", "factor"), [("cnn", 4), ("lcn", 16), ("attention", 16), ("decoder", 16)])
def test_exact_staircases_give_their_step_factor_and_exponent(network, factor):
    result = measure(curves(network, constant=7))
    assert result.steps == (1, 2, 3)
    # crossings are interpolated between 400 sizes over seven decades
    np.testing.assert_allclose(
        result.crossings, 7 * np.tile(result.prediction.sample_complexity, (4, 1)), rtol=0.02
    )
    assert result.step_factor.best == pytest.approx(factor, rel=0.01)
    assert result.exponent.best == pytest.approx(result.predicted_exponent, rel=0.01)
    exact = [sample_complexity(RHM_, THEORY[network], k, "exact") for k in (1, 2, 3)]
    assert result.exact_step_factor == pytest.approx(np.sqrt(exact[2] / exact[0]))
    assert result.exact_exponent == pytest.approx(staircase_exponent([np.nan, *exact], result.exact.plateaus))
    assert result.predicted_step_factor == pytest.approx(factor)
    # no interval is as narrow as that of exact curves, which misses the prediction by the error of interpolation
    assert measure(curves(network, constant=7, noise=0.1, grammars=8)).verdict == "agrees"


@pytest.mark.parametrize("network", ["cnn", "lcn", "attention", "decoder"])
def test_two_levels_are_held_against_the_steps_they_have(network):
    """With two levels the first step enters, and P_1 / P_0 = m**2 with sharing too."""
    rhm = RHM(8, 2, 2, 2)
    result = measure(curves(network, grammars=8, noise=0.1, rhm=rhm))
    assert result.steps == (0, 1)
    assert result.prediction.step_factor == (2 if network == "cnn" else 4)
    assert result.predicted_step_factor == pytest.approx(4)
    assert result.verdict == "agrees"


@pytest.mark.parametrize("fall", [0.0, 0.1])
def test_nothing_to_learn_is_undecided(fall):
    """With all tuples in use there is no correlation: no step, even if noise crosses the only level there is."""
    rhm = RHM(4, 4, 2, 2)
    H = np.array([Grammar.from_ensemble(rhm, seed).plateaus() for seed in range(4)])
    P = np.geomspace(10, 1e4, 20)
    loss = np.log(4) + 0.05 - fall * np.linspace(0, 1, 20) + 0.001 * np.arange(4)[:, None]
    names = tuple(map(str, range(4)))
    given = [LearningCurves(rhm, network, names, H, P, loss, None, 0) for network in ("cnn", "decoder")]
    (comparison,) = compare(given)
    for measurement in comparison.measurements:
        assert not np.isfinite(measurement.predicted_step_factor)
        assert (measurement.verdict, measurement.exact_verdict) == ("undecided", "undecided")
    assert (comparison.ratio_verdict, comparison.exact_ratio_verdict) == ("undecided", "undecided")
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_ratio_of_exponents_is_two_for_the_predicted_curves():
    (comparison,) = compare([curves("cnn", constant=3, noise=0.1), curves("decoder", constant=11, noise=0.1)])
    assert comparison.predicted_ratio == pytest.approx(2)
    assert comparison.ratio.low < 2 < comparison.ratio.high
    assert comparison.ratio.best == pytest.approx(2, rel=0.1)
    assert comparison.ratio_verdict == "agrees"
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_a_wrong_law_is_told():
    """A CNN that needs as much as a transformer disagrees with its prediction."""
    assert measure(curves("cnn", "transformer", noise=0.1)).verdict == "disagrees"


def test_steps_that_some_grammar_did_not_make_are_left_out():
    short = SIZES[SIZES < 1e5]
    result = measure(curves("decoder", sizes=short))
    assert result.steps == (1, 2)
    assert np.isnan(result.crossings[:, 3]).all()
    json.dumps(result.to_dict(), allow_nan=False)


def test_too_few_steps_are_undecided_not_an_error():
    short = SIZES[SIZES < 1e3]
    (comparison,) = compare([curves("decoder", sizes=short), curves("cnn", sizes=short)])
    for measurement in comparison.measurements:
        assert measurement.verdict == "undecided"
        assert np.isnan(measurement.exponent.best)
    assert comparison.ratio_verdict == "undecided"
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_steps_collapse_under_the_right_law_and_not_under_the_wrong_one():
    right = measure(curves("decoder", constant=5, grammars=1))
    wrong = measure(curves("cnn", "transformer", constant=5, grammars=1))
    assert right.collapse < 0.15  # plateaus differ in height, which bends the flanks of the steps
    assert wrong.collapse > 5 * right.collapse or np.isnan(wrong.collapse)


def test_excess_loss_is_above_the_floor_of_each_grammar():
    given = curves("cnn")
    result = measure(given)
    np.testing.assert_allclose(result.excess, (given.loss - given.plateaus[:, [L]]).mean(axis=0))
    assert (result.excess > -1e-12).all()


def finished(network, seed, P, loss, *, diverged=False, protocol="offline", curve=()):
    settings = Settings(width=4, learning_rate=1.0, protocol=protocol, batch_size=10)
    run = Run(RHM(8, 2, 2, 3), network, P, seed, seed, settings)
    return run, Outcome(loss, 0, 0, list(curve), diverged, 1.0)


def test_runs_are_grouped_into_curves_and_diverged_ones_left_out():
    runs = [finished("cnn", seed, P, 1.0 / P + seed) for seed in (0, 1) for P in (20, 10)]
    runs.append(finished("cnn", 0, 40, 1e-9, diverged=True))
    runs.append(finished("lcn", 0, 10, 0.5))
    cnn, lcn = learning_curves(runs)
    assert (cnn.network, lcn.network) == ("cnn", "lcn")
    assert cnn.grammars == ("seed 0", "seed 1")
    np.testing.assert_array_equal(cnn.P, [10, 20])
    np.testing.assert_array_equal(cnn.loss, [[0.1, 0.05], [1.1, 1.05]])
    np.testing.assert_allclose(cnn.plateaus[1], RHM(8, 2, 2, 3).grammar(1).plateaus())
    assert (cnn.diverged, lcn.diverged) == (1, 0)


def test_an_online_run_is_a_curve_of_its_own():
    curve = [(0, 2.0), (1, 1.0), (2, 1.5), (4, 0.5)]
    (online,) = learning_curves([finished("cnn", 0, 40, 0.5, protocol="online", curve=curve)])
    np.testing.assert_array_equal(online.P, [10, 20, 40])
    np.testing.assert_array_equal(online.loss, [[1.0, 1.0, 0.5]])


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
    assert verdict(SlopeFit(4.0, *interval, confidence=0.95, realisations=5), 4.0) == expected


@pytest.mark.parametrize("predicted", [np.nan, np.inf])
def test_no_verdict_without_a_prediction(predicted):
    assert verdict(SlopeFit(4.0, 3.0, 5.0, confidence=0.95, realisations=5), predicted) == "undecided"


def test_nothing_to_compare():
    with pytest.raises(InputError, match="no finished run"):
        compare([])
