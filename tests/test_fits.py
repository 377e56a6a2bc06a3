"""Fitted curves on data of known answer, coverage of the intervals, and steps against power laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from staircases import logistic_staircase

from rhmtheory import InputError
from rhmtheory.fitting.curves import (
    StepsOrPowerLaw,
    collapse_quality,
    power_law,
    steps_or_power_law,
)
from rhmtheory.fitting.intervals import pseudo_values, t_bounds, t_estimate

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
    for _ in range(100):
        y = X**-0.7 * np.exp(rng.normal(0, 0.2, size=(30, 1)) * np.log(X) / 5 + rng.normal(0, 0.1, size=(30, 15)))
        fit = power_law(X, y, confidence=0.9)
        # the mean of log-normal factors bends the curve a little: compare with the fit to many realisations
        covered += fit.exponent.low < 0.690 < fit.exponent.high
    assert 80 <= covered <= 97


def test_noise_about_a_floor_leaves_the_exponent_unbiased():
    """A free offset may exceed the smallest value: with a bound there the exponent came out as 0.74."""
    x = np.geomspace(1, 1e6, 60)
    found = [
        power_law(x, (2 / x + 0.3) * np.exp(0.1 * np.random.default_rng(i).standard_normal(60)), offset="fit")
        for i in range(100)
    ]
    assert np.median([fit.exponent.best for fit in found]) == pytest.approx(0.992, abs=0.003)
    held = 0
    for i in range(200):
        y = (2 / x + 0.3) * np.exp(0.1 * np.random.default_rng(i).standard_normal((16, 60)))
        fit = power_law(x, y, offset="fit")
        held += fit.exponent.low < 1 < fit.exponent.high
    assert held >= 180


def test_a_power_law_onto_its_floor_is_no_staircase():
    x, H = np.geomspace(1, 1e6, 60), np.array([2.3, 1.2, 0.6, 0.3])
    for i in range(20):
        y = (2 / x + 0.3) * np.exp(0.1 * np.random.default_rng(i).standard_normal(60))
        assert steps_or_power_law(x, y, H).preferred != "steps"


def test_power_law_window_and_text():
    y = np.where(X < 1000, X**-0.5, 1000**-0.5 * (X / 1000) ** -2.0)
    fit = power_law(X, y, window=(0, 900))
    assert fit.exponent.best == pytest.approx(0.5)
    assert np.isnan(fit.exponent.low)
    assert fit.points == (X < 900).sum()
    assert "alpha = 0.5 (no interval from 1 realisations)" in str(fit)


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
    result = steps_or_power_law(x, steps * noise, H)
    assert result.preferred == "steps"
    assert result.positions == pytest.approx(positions, rel=0.1)
    assert result.width == pytest.approx(0.2, rel=0.3)
    smooth = 5 * x**-0.4 + 0.1
    other = steps_or_power_law(x, smooth * noise, H)
    assert other.preferred == "power law"
    assert "power law: AICc" in str(other)
    assert other.fit.exponent.best == pytest.approx(0.4, rel=0.1)
    # steps too wide to be told from a line
    few = np.geomspace(100, 1000, 7)
    assert steps_or_power_law(few, few**-0.1 * np.exp(rng.normal(0, 0.1, 7)), H[:2]).preferred != "steps"


# --- exact answers ------------------------------------------------------------------------------------------


def scattered(rows, seed=0):
    rng = np.random.default_rng(seed)
    return 3 * X**-0.5 * np.exp(rng.normal(0, 0.2, size=(rows, 1)) + rng.normal(0, 0.1, size=(rows, len(X))))


def test_power_law_is_the_line_of_least_squares():
    y = scattered(6)
    fit = power_law(X, y, confidence=0.8)
    slope, height = np.polyfit(np.log(X), np.log(y.mean(axis=0)), 1)
    assert fit.exponent.best == pytest.approx(-slope)
    assert fit.amplitude == pytest.approx(np.exp(height))
    residual = np.log(y.mean(axis=0)) - slope * np.log(X) - height
    assert fit.residual == pytest.approx(np.sqrt((residual**2).mean()))
    assert (fit.offset, fit.points) == (0, len(X))
    values = pseudo_values(lambda which: -np.polyfit(np.log(X), np.log(y[which].mean(axis=0)), 1)[0], 6)
    expected = t_estimate([values], best=-slope, unit="realisations", confidence=0.8)
    assert (fit.exponent.low, fit.exponent.high) == pytest.approx((expected.low, expected.high))
    assert fit.exponent.origin == "80% jackknife over 6 realisations"
    assert power_law(X, y).exponent.confidence == 0.95


def test_offset_is_taken_off_before_the_line_is_fitted():
    y = 3 * X**-0.5 + 0.01
    fit = power_law(X, y, offset=0.01)
    assert (fit.exponent.best, fit.amplitude, fit.offset) == pytest.approx((0.5, 3, 0.01))
    assert fit.residual < 1e-12
    assert str(fit).startswith("y = 3 x**-alpha + 0.01, alpha = 0.5 (")
    assert "residual 0.0% over 15 points" in str(fit)
    assert str(power_law(X, 3 * X**-0.5)).startswith("y = 3 x**-alpha, alpha = ")


def test_means_that_come_down_to_the_offset_leave_no_interval():
    """Of three curves one holds the others above the offset; without it there is no excess."""
    high, low = 3 * X**-0.5 + 0.1, 2 * X**-0.5
    fit = power_law(X, np.array([high, low, low]), offset=0.03)
    assert np.isfinite(fit.exponent.best)
    assert np.isnan((fit.exponent.low, fit.exponent.high)).all()


def test_both_ends_of_the_window_count():
    x, y = [1.0, 2, 4, 8, 16], [5.0, 1, 0.5, 0.25, 7]
    fit = power_law(x, y, window=(2, 8))
    assert fit.points == 3
    assert fit.exponent.best == pytest.approx(1)
    assert power_law(x, y).points == 5


def test_a_fitted_offset_is_not_negative():
    assert 0 <= power_law(X, X**-0.5, offset="fit").offset < 1e-6
    bent = X**-0.5 * (1 - 0.5 * X / X[-1])  # falls faster and faster: no offset at all
    fit = power_law(X, bent, offset="fit")
    assert 0 <= fit.offset < 1e-6
    # four points suffice
    assert power_law(X[:4], X[:4] ** -0.5 + 1, offset="fit").offset == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("offset", [1e-3, 1.0, 1e6])
def test_a_steep_power_law_above_an_offset_is_found(offset):
    """Exponent and offset trade against each other: the search must not end in that valley."""
    x = np.geomspace(1, 30, 12)
    fit = power_law(x, offset * (1 + 5 * x**-4.0), offset="fit")
    assert (fit.exponent.best, fit.offset) == pytest.approx((4, offset), rel=1e-3)


def test_quality_of_a_collapse_by_hand():
    """Two curves: the mean square of their distance over the variance; a third counts only where it reaches."""
    x = np.array([1.0, np.e, np.e**2])
    ln_y = np.array([0.0, -1, -2])
    first, second = (x, np.exp(ln_y)), (x, np.exp(ln_y + 0.5))
    values = np.concatenate([ln_y, ln_y + 0.5])
    assert collapse_quality([first, second]) == pytest.approx(0.25 / values.var())
    # beside the other two stands their mean; the third has one point, between the heights of the others
    third = (x[1:2], np.exp(ln_y[1:2] + 1.5))
    here = np.concatenate([ln_y, ln_y + 0.5, [0.5]])
    there = np.array([0.5, -0.5 / 2 + 0.5 / 2, -1.5, 0, (-1 + 0.5) / 2, -2, -0.75])
    assert collapse_quality([first, second, third]) == pytest.approx(((here - there) ** 2).mean() / here.var())


def test_flat_curves_and_those_apart_have_no_quality():
    for pair in ([([1, 2], [3, 3]), ([1, 2], [3, 3])], [([1.0], [2.0]), ([5.0], [1.0])]):
        with pytest.raises(InputError, match="share no range of x, or are flat"):
            collapse_quality(pair)
    # one point in common, seen from either side, is enough
    assert collapse_quality([([1, 2], [4.0, 2.0]), ([2, 3], [1.0, 0.5])]) > 0


def test_criteria_of_both_models_are_akaikes():
    """``n ln(RSS / n) + 2p + 2p(p + 1)/(n - p - 1)``, p counting the variance."""
    rng = np.random.default_rng(7)
    x, H = np.geomspace(10, 1e5, 20), np.array([3.0, 1.0, 0.4])
    y = logistic_staircase(x, H, (300.0, 8000.0), 0.5) * np.exp(rng.normal(0, 0.02, (3, 20)))
    found = steps_or_power_law(x, y, H)
    n, mean = len(x), y.mean(axis=0)

    def criterion(fitted, p):
        return n * np.log((np.log(mean / fitted) ** 2).mean()) + 2 * p + 2 * p * (p + 1) / (n - p - 1)

    assert found.steps == pytest.approx(criterion(logistic_staircase(x, H, found.positions, found.width), 4))
    assert found.power_law == pytest.approx(criterion(found.fit(x), 4))
    assert found.positions == pytest.approx((300, 8000), rel=0.1)
    assert found.width == pytest.approx(0.5, rel=0.1)
    assert found.fit.exponent.best == power_law(x, mean, offset="fit").exponent.best


@pytest.mark.parametrize("width", [0.05, 0.3, 2.0])
def test_exact_steps_are_found_whatever_their_width(width):
    x, H, at = np.geomspace(10, 1e6, 60), np.array([2.8, 1.5, 0.6]), (400.0, 30000.0)
    found = steps_or_power_law(x, logistic_staircase(x, H, at, width), H)
    assert found.positions == pytest.approx(at, rel=0.01)
    assert found.width == pytest.approx(width, rel=0.02)
    assert found.preferred == "steps"
    assert np.isfinite(found.steps)


def test_a_difference_of_six_decides():
    fit = power_law(X, 1 / X)

    def judged(steps, power):
        return StepsOrPowerLaw(steps, power, (10.0, 2000.0), 0.2, fit)

    assert judged(-6.0, 0.0).preferred == "steps"
    assert judged(6.0, 0.0).preferred == "power law"
    assert {judged(-5.9, 0.0).preferred, judged(5.9, 0.0).preferred, judged(0.0, 0.0).preferred} == {"undecided"}
    assert str(judged(-20.0, 3.0)) == ("steps: AICc -20.0 (steps at 10, 2e+03) against 3.0 (power law, exponent 1)")


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
        (lambda: collapse_quality([([1, 2], [1, 2])]), "at least 2"),
        (lambda: collapse_quality([([1, 2], [1, 2]), ([3, 4], [1, 2])]), "share no range"),
        (lambda: steps_or_power_law(X, 1 / X, [1.0, 2.0]), "falling"),
        (lambda: steps_or_power_law(X, 1 / X, [1.0, 1.0]), "falling"),
        (lambda: steps_or_power_law(X, 1 / X, [1.0, 0.0]), "positive"),
        (lambda: steps_or_power_law(X, 1 / X, [1.0]), "two or more"),
        (lambda: steps_or_power_law(X, 1 / X, [[2.0, 1.0]]), "two or more"),
        (lambda: steps_or_power_law(X[:7], 1 / X[:7], [8.0, 4.0, 2.0, 1.0, 0.5]), "7 points .* needs 8"),
        (lambda: power_law([1, 2, 3], [3, 2, 0.5], offset=0.5), "comes down to 0.5, and offset=0.5 leaves no"),
        (lambda: power_law([0, 2, 3], [3, 2, 1]), "x must be positive"),
        (lambda: power_law([1, 2, 2], [3, 2, 1]), "repeated"),
        (lambda: power_law([1, 2, np.inf], [3, 2, 1]), "finite"),
        (lambda: power_law([1, 2, 3], [3, np.inf, 1]), "y holds values that have no logarithm"),
        (lambda: power_law([[1, 2, 3]], [3, 2, 1]), r"x has shape \(1, 3\)"),
        (lambda: power_law([1, 2, 3], np.ones((2, 2, 3))), r"y \(2, 2, 3\)"),
        (lambda: power_law(X, 1 / X, window=(1e3, 2e3)), r"2 points in the window \(1000.0, 2000.0\) are too few"),
        (lambda: steps_or_power_law(X[:5], 1 / X[:5], [2.0, 1.0]), "needs 6"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.0}, "confidence=1.0 is no share"),
        ({"confidence": 95}, "confidence=95 is no share"),
        ({"confidence": "x"}, "confidence must hold real numbers"),
        ({"confidence": [0.5, 0.9]}, "is no share"),
    ],
)
@pytest.mark.parametrize("realisations", [1, 2])
def test_options_of_intervals_are_checked(realisations, options, message):
    x = np.array([1, 2, 4, 8, 16.0])
    with pytest.raises(InputError, match=message):
        power_law(x, np.tile(1 / x, (realisations, 1)), **options)


def test_a_window_is_a_pair():
    with pytest.raises(InputError, match="window=1 is not a pair"):
        power_law([1, 2, 4], [3, 2, 1], window=1)


def test_confidence_of_students_interval_is_a_share():
    with pytest.raises(InputError, match="confidence=0 is no share"):
        t_bounds([[1.0, 2.0, 3.0]], confidence=0)
