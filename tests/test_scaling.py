"""Fits on logarithmic axes, on data whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from rhmtheory import InputError
from rhmtheory.fitting.intervals import (
    Estimate,
    line_coefficients,
    no_estimate,
    pseudo_values,
    t_bounds,
    t_estimate,
)
from rhmtheory.fitting.levels import crossing, crossings
from rhmtheory.fitting.slopes import slope

NAN = float("nan")

# --- crossing -------------------------------------------------------------------------------------------


@given(
    alpha=st.floats(0.1, 4),
    scale=st.floats(0.01, 100),
    at=st.floats(1.5, 900),
    points=st.integers(2, 30),
)
def test_the_crossing_of_a_power_law_is_exact(alpha, scale, at, points):
    x = np.geomspace(1, 1000, points)
    assert crossing(x, scale * x**-alpha, scale * at**-alpha) == pytest.approx(at, rel=1e-9)


def test_interpolation_is_linear_in_the_logarithms():
    assert crossing([1, 100, 10000], [1.0, 1.0, 0.01], 0.1) == pytest.approx(1000)
    assert crossing([3, 5], [2.0, 1.0], 1.0) == pytest.approx(5)


def isotonic_crossing(x, y, level):
    """By the decreasing curve nearest to ln y, from scipy."""
    fitted = isotonic_regression(np.log(y), increasing=False).x - np.log(level)
    if fitted[0] <= 0 or fitted[-1] > 0:
        return NAN
    i = int(np.argmax(fitted <= 0))
    part = fitted[i - 1] / (fitted[i - 1] - fitted[i])
    return np.exp(np.log(x[i - 1]) + part * np.log(x[i] / x[i - 1]))


def test_a_noisy_curve_crosses_where_the_nearest_falling_one_does():
    rng = np.random.default_rng(0)
    for _ in range(200):
        x, y = np.geomspace(1, 100, 20), np.exp(-np.linspace(0, 2, 20) + 0.5 * rng.standard_normal(20))
        y[rng.random(20) < 0.2] = NAN
        known = ~np.isnan(y)
        expected = isotonic_crossing(x[known], y[known], np.exp(-1))
        assert crossing(x, y, np.exp(-1)) == pytest.approx(expected, nan_ok=True)
    # the rebound is averaged with what it comes back from
    assert crossing([1, 2, 4, 8], [1.0, 0.5, 0.9, 0.1], 0.2) == pytest.approx(
        crossing([4, 8], [np.sqrt(0.45), 0.1], 0.2)
    )


def test_noise_makes_no_crossing_early_and_more_points_make_it_more_exact():
    """A running minimum crosses by 0.6 in ln x too early at this noise, and ever earlier with more points."""
    rng = np.random.default_rng(1)
    errors = []
    for points in (50, 400):
        x = np.geomspace(1, 1e4, points)
        smooth = 0.5 + 1 / (1 + (x / 100) ** 2)
        y = smooth * np.exp(0.1 * rng.standard_normal((500, points)))
        at = crossings(
            x, y, np.full((500, 1), np.sqrt(0.75)), upper=np.full((500, 1), 1.5), lower=np.full((500, 1), 0.5)
        ).at
        truth = 10**2 * (1 / (np.sqrt(0.75) - 0.5) - 1) ** 0.5
        error = np.log(at[:, 0] / truth)
        assert abs(error.mean()) < 4 * error.std() / np.sqrt(500) + 0.01
        errors.append(error.std())
    assert errors[1] < 0.6 * errors[0]


def test_a_spike_counts_as_the_top_of_the_step():
    x = np.geomspace(1, 64, 7)
    y = np.array([[1, 1, 1, 0.5, 0.5, 0.5, 0.5]])
    spoilt = y.copy()
    spoilt[0, 4] = 1e9
    ends = {"upper": [[1.0]], "lower": [[0.5]]}
    plain, spiked = (crossings(x, rows, [[np.sqrt(0.5)]], **ends).at[0, 0] for rows in (y, spoilt))
    assert plain == pytest.approx(np.sqrt(4 * 8))
    assert 4 < spiked < 8


def test_a_step_within_one_bracket_is_known_to_the_bracket_only():
    """The standard error is that of a uniform place; none where the points are dense; its bracket is told."""
    x, step = np.array([1.0, 8, 64, 512]), {"upper": [[1.0]], "lower": [[0.5]]}
    sharp = crossings(x, [[1.0, 1.0, 0.5, 0.5]], [[np.sqrt(0.5)]], **step)
    assert sharp.doubt[0, 0] == pytest.approx(np.log(8) / np.sqrt(12))
    assert sharp.bracket[0, 0] == 1
    gentle = crossings(x, [[0.92, 0.83, 0.68, 0.6]], [[np.sqrt(0.5)]], **step)
    assert gentle.doubt[0, 0] < 0.02 * np.log(8)
    assert crossings(x, [[1.0, 1.0, 0.5, 0.5]], [[np.sqrt(0.5)]]).doubt[0, 0] == 0


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0, 4.0])
def test_the_doubt_of_an_interpolation_is_its_error(width):
    """Over random places of a logistic step between points a factor 8 apart."""
    rng = np.random.default_rng(3)
    x = 8.0 ** np.arange(12)
    centre = rng.uniform(np.log(x[5]), np.log(x[6]), 4000)
    y = 0.5 ** (1 / (1 + np.exp(-(np.log(x) - centre[:, None]) * 4 / width)))
    one = np.ones((4000, 1))
    found = crossings(x, y, np.sqrt(0.5) * one, upper=one, lower=0.5 * one)
    error = np.sqrt(((np.log(found.at[:, 0]) - centre) ** 2).mean())
    doubt = np.sqrt((found.doubt**2).mean())
    assert error - 0.03 * np.log(8) < doubt < error + 0.13 * np.log(8)


def test_a_level_that_is_not_crossed():
    assert np.isnan(crossing([1, 2, 3], [3.0, 2.0, 1.0], 0.5))
    assert np.isnan(crossing([1, 2, 3], [3.0, 2.0, 1.0], 3.0))
    assert np.isnan(crossing([1, 2, 3], [3.0, 2.0, 1.0], 10.0))
    assert np.isnan(crossing([1], [1.0], 0.5))
    assert np.isnan(crossing([], [], 0.5))


def test_points_without_a_value_are_skipped():
    x, y = [1, 2, 4, 8], [1.0, NAN, 0.5, 0.25]
    assert crossing(x, y, 0.7) == pytest.approx(crossing([1, 4, 8], [1.0, 0.5, 0.25], 0.7))
    assert np.isnan(crossing(x, [NAN] * 4, 0.5))
    # also where their place is not usable
    assert crossing([-1, 1, 2], [NAN, 2.0, 0.5], 1.0) == pytest.approx(2**0.5)


@pytest.mark.parametrize(
    ("x", "y", "level", "message"),
    [
        ([1, 2, 3], [1.0, 2.0], 0.5, r"x has shape \(3,\) and y \(2,\): give two lists of equal length"),
        ([[1, 2]], [[1.0, 2.0]], 0.5, "give two lists of equal length"),
        ([1, 2], [1.0, 0.5], 0, "level=0 has no logarithm: it must be positive"),
        ([1, 2], [1.0, 0.5], NAN, "level=nan has no logarithm"),
        ([2, 1], [1.0, 0.5], 0.7, "x must be positive and increasing: sort the points and drop repeated ones"),
        ([1, 1], [1.0, 0.5], 0.7, "x must be positive and increasing"),
        ([0, 1], [1.0, 0.5], 0.7, "x must be positive and increasing"),
        ([NAN, 1], [1.0, 0.5], 0.7, "x must be positive and increasing"),
        ([1, 2], [1.0, 0.0], 0.7, "y holds 0.0, which has no logarithm: it must be positive"),
        ([1, 2], [1.0, -0.5], 0.7, "y holds -0.5, which has no logarithm"),
    ],
)
def test_curves_that_cannot_be_crossed(x, y, level, message):
    with pytest.raises(InputError, match=message):
        crossing(x, y, level)


def test_several_curves_and_levels_at_once():
    """What is not crossed is late or early, and a level that is not there is neither."""
    x = [1, 10, 100, 1000]
    y = [[8.0, 4, 2, 1], [4.0, 2, NAN, NAN], [NAN, 1, 0.5, NAN], [NAN, NAN, NAN, NAN]]
    levels = [[3.0, 0.5, 8.0], [3.0, 2.0, NAN], [1.0, 0.5, 0.1], [1.0, NAN, 2.0]]
    found = crossings(x, y, levels)
    half = 10 ** (1 + np.log(4 / 3) / np.log(2))
    np.testing.assert_allclose(found.at[0], [half, NAN, NAN])
    np.testing.assert_allclose(found.at[1], [half / 10, 10, NAN])
    np.testing.assert_allclose(found.at[2], [NAN, 100, NAN])
    assert np.isnan(found.at[3]).all()
    assert found.late.tolist() == [[False, True, False], [False] * 3, [False, False, True], [True, False, True]]
    assert found.early.tolist() == [[False, False, True], [False] * 3, [True, False, False], [False] * 3]
    np.testing.assert_array_equal(found.last, [1000, 10, 100, NAN])


def test_curves_without_any_point():
    found = crossings([], np.empty((2, 0)), [[1.0, NAN], [2.0, 3.0]])
    assert np.isnan(found.at).all()
    assert found.late.tolist() == [[True, False], [True, True]]
    assert not found.early.any()
    assert found.last.shape == (2,)
    assert np.isnan(found.last).all()


@pytest.mark.parametrize(
    ("x", "y", "levels", "message"),
    [
        ([1, 2], [2.0, 1.0], [[1.0]], r"give \(points,\) and \(curves, points\)"),
        ([[1, 2]], [[2.0, 1.0]], [[1.0]], r"give \(points,\) and \(curves, points\)"),
        ([1, 2, 3], [[2.0, 1.0]], [[1.0]], r"x has shape \(3,\) and y \(1, 2\)"),
        ([1, 2], [[2.0, 1.0]], [1.0], r"give \(curves, levels\), with 1 curves"),
        ([1, 2], [[2.0, 1.0]], [[1.0], [1.0]], r"levels have shape \(2, 1\)"),
        ([1, 2], [[2.0, 1.0]], [[0.0]], "level 0.0, which has no logarithm"),
        ([1, 2], [[2.0, 0.0]], [[1.0]], "y holds 0.0, which has no logarithm"),
    ],
)
def test_tables_of_curves_that_cannot_be_crossed(x, y, levels, message):
    with pytest.raises(InputError, match=message):
        crossings(x, y, levels)


# --- slope ----------------------------------------------------------------------------------------------


@given(
    x=st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=2, max_size=20, unique=True),
    a=st.floats(-5, 5),
    b=st.floats(-5, 5),
)
def test_the_slope_of_a_line(x, a, b):
    assert slope(x, a * np.array(x) + b) == pytest.approx(a, abs=1e-6)


def test_slope_is_that_of_least_squares():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30))
    assert slope(x, y) == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-12)


@pytest.mark.parametrize("points", [[], [1.0]])
def test_no_slope_of_fewer_than_two_points(points):
    assert np.isnan(slope(points, points))


# --- Student's intervals ------------------------------------------------------------------------------------


def test_one_sample_has_the_ordinary_t_interval():
    from scipy import stats

    values = np.array([[1.0, 4, 2, 8, 5], [2, 2, 3, 1, 9]])
    best, low, high = t_bounds([values], confidence=0.9)
    for row, *found in zip(values, best, low, high, strict=True):
        interval = stats.ttest_1samp(row, 0).confidence_interval(0.9)
        assert found == pytest.approx([row.mean(), interval.low, interval.high])
    # 95% unless told otherwise
    wide = stats.ttest_1samp(values[0], 0).confidence_interval(0.95)
    assert [x[0] for x in t_bounds([values])[1:]] == pytest.approx([wide.low, wide.high])


def test_two_samples_have_the_interval_of_welch():
    from scipy import stats

    first, second = [1.0, 4, 2, 8, 5], [2.0, 30, 3]
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    found = t_bounds([first, second], (1.0, -1.0))
    assert [x.item() for x in found] == pytest.approx([4 - 35 / 3, interval.low, interval.high])


def test_coefficients_scale_the_interval():
    values = [1.0, 4, 2, 8, 5]
    once, thrice = t_bounds([values]), t_bounds([values], (-3.0,))
    assert [x.item() for x in thrice] == pytest.approx([-3 * x.item() for x in (once[0], once[2], once[1])])


def test_three_values_have_an_interval_and_two_have_none():
    assert np.isfinite(t_bounds([[1.0, 2.0, 4.0]])).all()
    best, low, high = t_bounds([[1.0, 2.0], [1.0, 2.0, 3.0]], (1.0, 1.0))
    assert best == pytest.approx(3.5)
    assert np.isnan([low, high]).all()


def test_values_without_scatter_have_an_interval_without_width():
    best, low, high = t_bounds([[[2.0, 2, 2], [1, 2, 3]]])
    assert (best[0], low[0], high[0]) == (2, 2, 2)
    assert low[1] < 2 < high[1]


def test_an_estimate_holds_its_interval_and_what_it_is_of():
    values = [1.0, 4, 2, 8, 5]
    best, low, high = (x.item() for x in t_bounds([values], confidence=0.8))
    assert t_estimate([values], confidence=0.8) == Estimate(best, low, high, 0.8, 5, "grammars")
    found = t_estimate([values, values[:3]], (1.0, -1.0), unit="runs", best=7.0)
    assert (found.best, found.count, found.unit, found.confidence) == (7.0, 3, "runs", 0.95)
    assert not found.at_least
    assert t_estimate([values], best=0.0).best == 0


def test_an_estimate_in_words():
    found = Estimate(2.0, 1.0, 4.0, 0.95, 5)
    assert str(found) == "2 [1, 4]"
    assert found.width == pytest.approx(np.log(4))
    assert found.exp() == Estimate(*np.exp([2.0, 1.0, 4.0]), 0.95, 5)
    assert str(Estimate(2.0, NAN, NAN, 0.95, 2)) == "2"
    assert str(Estimate(2.0, 1.5, np.inf, 0.95, 5, at_least=True)) == ">= 1.5"
    assert str(Estimate(2.0, NAN, np.inf, 0.95, 2, at_least=True)) == ">= 2"
    assert str(no_estimate()) == str(Estimate(NAN, NAN, NAN, 0.95, 3, at_least=True)) == "-"
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (NAN, NAN), (2.0, 1.0)):
        assert np.isnan(Estimate(1.0, low, high, 0.95, 5).width)
    assert Estimate(1.0, 2.0, 2.0, 0.95, 5).width == 0
    nothing = no_estimate(4, "runs")
    assert np.isnan([nothing.best, nothing.low, nothing.high]).all()
    assert (nothing.count, nothing.unit, nothing.confidence) == (4, "runs", 0.95)
    assert (no_estimate().count, no_estimate().unit) == (0, "grammars")


def test_pseudo_values_take_the_first_bias_off():
    """Of the variance over n they are that over n - 1; a lone value has no jackknife, and stands for itself."""
    values = np.array([1.0, 5.0, 2.0, 7.0])
    assert pseudo_values(lambda which: values[which].var(), 4).mean() == pytest.approx(values.var(ddof=1))
    assert pseudo_values(lambda which: values[which].max(), 1) == [1.0]
    two = pseudo_values(lambda which: values[which].max(), 2)
    assert two == pytest.approx([2 * 5 - 5, 2 * 5 - 1])


def test_coefficients_of_a_line_have_unit_slope_and_no_height():
    x = np.array([1.0, 2.0, 4.0])
    c = line_coefficients(x)
    assert (c.sum(), c @ x) == pytest.approx((0, 1))
    assert c == pytest.approx([-2 / 7, -1 / 14, 5 / 14])
