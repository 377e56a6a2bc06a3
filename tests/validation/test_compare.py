"""The estimators on learning curves made up to have known crossings."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")  # compare itself needs none, its package does

from rhmtheory import RHM, Grammar, InputError, predict
from rhmtheory.predictions import crossing_levels
from rhmtheory.scaling import SlopeFit
from rhmvalidation.compare import compare, learning_curves, measure, verdict

V, M, S, L = 16, 4, 2, 4
SIZES = np.unique(np.geomspace(10, 1e8, 400).astype(int))


def smooth_staircase(plateaus, P_k, sizes):
    """A curve through (P_k, geometric mean of the plateaus), power laws in between."""
    levels = crossing_levels(plateaus)
    x = np.log([P_k[0] / 10, *P_k, P_k[-1] * 10])
    y = np.log([plateaus[0], *levels, plateaus[-1]])
    return np.exp(np.interp(np.log(sizes), x, y))


def rows(architecture, constant=1.0, grammars=4, noise=0.0, sizes=SIZES):
    rng = np.random.default_rng(0)
    P_k = predict(RHM(V, M, S, L), architecture).sample_complexity
    out = []
    for seed in range(grammars):
        plateaus = Grammar.draw(RHM(V, M, S, L), seed).plateaus()
        shifted = constant * P_k * np.exp(noise * rng.standard_normal(L))
        for P, loss in zip(sizes, smooth_staircase(plateaus, shifted, sizes), strict=True):
            out.append(
                {"v": V, "m": M, "s": S, "L": L, "architecture": architecture, "P": int(P),
                 "grammar_seed": seed, "best_loss": float(loss), "diverged": False}
            )  # fmt: skip
    return out


@pytest.mark.parametrize(("architecture", "factor"), [("cnn", 4), ("lcn", 16), ("transformer", 16)])
def test_exact_staircases_give_their_step_factor_and_exponent(architecture, factor):
    (curves,) = learning_curves(rows(architecture, constant=7))
    result = measure(curves)
    assert result.steps == (1, 2, 3)
    # crossings are interpolated between 400 sizes over seven decades
    np.testing.assert_allclose(
        result.crossings, 7 * np.tile(result.prediction.sample_complexity, (4, 1)), rtol=0.02
    )
    assert result.step_factor.best == pytest.approx(factor, rel=0.01)
    assert result.exponent.best == pytest.approx(result.predicted_exponent, rel=0.01)
    assert result.verdict in ("agrees", "undecided", "disagrees")


def test_ratio_of_exponents_is_two_for_the_predicted_curves():
    (comparison,) = compare(rows("cnn", 3, noise=0.1) + rows("transformer", 11, noise=0.1))
    assert comparison.predicted_ratio == pytest.approx(2)
    assert comparison.ratio.low < 2 < comparison.ratio.high
    assert comparison.ratio.best == pytest.approx(2, rel=0.1)
    assert comparison.ratio_verdict == "agrees"
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_a_wrong_law_is_told():
    """A CNN that needs as much as a transformer disagrees with its prediction."""
    wrong = [{**row, "architecture": "cnn"} for row in rows("transformer", noise=0.1)]
    (curves,) = learning_curves(wrong)
    assert measure(curves).verdict == "disagrees"


def test_steps_that_some_grammar_did_not_make_are_left_out():
    short = SIZES[SIZES < 1e5]
    (curves,) = learning_curves(rows("transformer", sizes=short))
    result = measure(curves)
    assert result.steps == (1, 2)
    assert np.isnan(result.crossings[:, 3]).all()
    json.dumps(result.to_dict(), allow_nan=False)


def test_too_few_steps_are_undecided_not_an_error():
    short = SIZES[SIZES < 1e3]
    (comparison,) = compare(rows("transformer", sizes=short) + rows("cnn", sizes=short))
    for measurement in comparison.measurements:
        assert measurement.verdict == "undecided"
        assert np.isnan(measurement.exponent.best)
    assert comparison.ratio_verdict == "undecided"
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_diverged_runs_are_not_averaged_in():
    data = rows("cnn")
    data[5]["diverged"], data[5]["best_loss"] = True, 1e-9
    (curves,) = learning_curves(data)
    assert np.isnan(curves.loss).sum() == 1
    assert measure(curves).step_factor.best == pytest.approx(4, rel=0.03)


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


def test_nothing_to_compare():
    with pytest.raises(InputError, match="no finished run"):
        compare([])
