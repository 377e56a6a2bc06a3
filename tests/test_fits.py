"""Fitted curves on data of known answer, coverage of the intervals, and steps against power laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhmtheory import InputError
from rhmtheory.fitting.curves import broken_power_law, collapse_quality, compare_models, power_law

X = np.geomspace(10, 1e5, 15)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 3), st.floats(-2, 2), st.floats(-3, 2))
def test_power_law_is_recovered(alpha, ln_amplitude, ln_offset):
    excess = np.exp(ln_amplitude) * (X / 10) ** -alpha
    offset = excess[-1] * np.exp(ln_offset)
    for given_offset in (offset, "fit"):
        fit = power_law(X, excess + offset, offset=given_offset)
        assert fit.exponent.best == pytest.approx(alpha, rel=0.03)
        assert fit.offset == pytest.approx(offset, rel=0.05)
        assert fit(X) == pytest.approx(excess + offset, rel=0.01)
        assert fit.residual < 0.01


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for i in range(100):
        y = X**-0.7 * np.exp(rng.normal(0, 0.2, size=(30, 1)) * np.log(X) / 5 + rng.normal(0, 0.1, size=(30, 15)))
        fit = power_law(X, y, confidence=0.9, seed=i, count=200)
        # the mean of log-normal factors bends the curve a little: compare with the fit to many realisations
        covered += fit.exponent.low < 0.690 < fit.exponent.high
    assert 80 <= covered <= 97


def test_power_law_window_and_text():
    y = np.where(X < 1000, X**-0.5, 1000**-0.5 * (X / 1000) ** -2.0)
    fit = power_law(X, y, window=(0, 900))
    assert fit.exponent.best == pytest.approx(0.5)
    assert np.isnan(fit.exponent.low)
    assert fit.points == (X < 900).sum()
    assert "alpha = 0.5 [nan, nan] (90% bootstrap over 1 realisations)" in str(fit)


def test_broken_power_law():
    rng = np.random.default_rng(1)
    truth = np.where(X < 800, (X / 800) ** -0.5, (X / 800) ** -1.5)
    fit = broken_power_law(X, truth * np.exp(rng.normal(0, 0.05, size=(12, 15))))
    assert fit.before.low < 0.5 < fit.before.high
    assert fit.after.low < 1.5 < fit.after.high
    assert fit.break_at.best == pytest.approx(800, rel=0.1)
    assert fit(X) == pytest.approx(truth, rel=0.1)
    assert "exponent 0.5" in str(fit)


def test_collapse_quality():
    scales = (1, 3, 10)
    curves = [(X, 1 / (1 + X / (100 * a))) for a in scales]
    rescaled = [(x / a, y) for (x, y), a in zip(curves, scales, strict=True)]
    wrong = [(x / a**2, y) for (x, y), a in zip(curves, scales, strict=True)]
    assert collapse_quality(rescaled) < 1e-3
    assert collapse_quality(rescaled) < 0.05 * min(collapse_quality(curves), collapse_quality(wrong))
    rng = np.random.default_rng(0)
    noise = [(X, np.exp(rng.normal(size=15))) for _ in range(30)]
    assert collapse_quality(noise) == pytest.approx(1, abs=0.15)


def test_steps_against_power_law():
    rng = np.random.default_rng(2)
    x, H = np.geomspace(10, 1e6, 40), np.array([2.8, 1.5, 0.6, 0.27])
    positions = np.array([100.0, 2000, 40000])
    steps = H[0] * np.exp(
        (np.diff(np.log(H)) / (1 + np.exp(-(np.log(x)[:, None] - np.log(positions)) / 0.2))).sum(axis=1)
    )
    noise = np.exp(rng.normal(0, 0.03, size=40))
    result = compare_models(x, steps * noise, H)
    assert result.preferred == "steps"
    assert result.positions == pytest.approx(positions, rel=0.1)
    assert result.width == pytest.approx(0.2, rel=0.3)
    smooth = 5 * x**-0.4 + 0.1
    other = compare_models(x, smooth * noise, H)
    assert other.preferred == "power law"
    assert "power law: AICc" in str(other)
    assert other.fit.exponent.best == pytest.approx(0.4, rel=0.1)
    # steps too wide to be told from a line
    few = np.geomspace(100, 1000, 7)
    assert compare_models(few, few**-0.1 * np.exp(rng.normal(0, 0.1, 7)), H[:2]).preferred != "steps"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: power_law([1, 2], [1, 2]), "2 points in the window .* this fit needs 3"),
        (lambda: power_law([1, 2, 3], [3, 2, 1], offset="fit"), "needs 4"),
        (lambda: power_law([1, 2, 3], [3, 2, 1], offset="floor"), "offset='floor'"),
        (lambda: power_law([1, 2, 3], [3, 2, 1], offset=1.0), "no positive excess"),
        (lambda: power_law([1, 3, 2], [3, 2, 1]), "increasing"),
        (lambda: power_law([1, 2, 3], [3, 0, 1]), "no logarithm"),
        (lambda: power_law([1, 2, 3], [3, 2]), r"shape \(3,\) and y \(2,\)"),
        (lambda: broken_power_law([1, 2, 3, 4], [4, 3, 2, 1]), "needs 5"),
        (lambda: collapse_quality([([1, 2], [1, 2])]), "at least 2"),
        (lambda: collapse_quality([([1, 2], [1, 2]), ([3, 4], [1, 2])]), "share no range"),
        (lambda: compare_models(X, 1 / X, [1.0, 2.0]), "falling"),
        (lambda: compare_models(X[:5], 1 / X[:5], [2.0, 1.0]), "needs 6"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()
