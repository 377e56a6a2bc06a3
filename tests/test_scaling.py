"""Fits on logarithmic axes, on data whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhmtheory import InputError
from rhmtheory.fitting.crossings import crossing
from rhmtheory.fitting.intervals import SlopeFit, bootstrap, resamples
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


def test_what_was_reached_with_less_data_counts_as_reached():
    x = [1, 2, 4, 8, 16]
    assert crossing(x, [1.0, 0.25, 3.0, 0.2, 0.1], 0.5) == pytest.approx(crossing(x[:2], [1.0, 0.25], 0.5))
    # the rebound counts as the 0.5 reached before it
    assert crossing([1, 2, 4, 8], [1.0, 0.5, 0.9, 0.1], 0.2) == pytest.approx(crossing([4, 8], [0.5, 0.1], 0.2))


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


# --- bootstrap ------------------------------------------------------------------------------------------


def test_resamples():
    draws = resamples(5, seed=3, count=700)
    assert draws.shape == (700, 5)
    assert set(np.unique(draws)) == set(range(5))
    assert (draws == resamples(5, seed=3, count=700)).all()
    assert (draws != resamples(5, seed=4, count=700)).any()
    assert (resamples(1) == 0).all()
    rng = np.random.default_rng(0)
    assert (resamples(5, rng) != resamples(5, rng)).any()


@pytest.mark.parametrize("realisations", [0, -1, 2.5])
def test_bad_realisations(realisations):
    with pytest.raises(InputError, match="realisations="):
        resamples(realisations)


def test_the_interval_holds_quantiles():
    values = np.arange(101) / 100
    fit = bootstrap(values, 0.4, 0.9, 7)
    assert fit == SlopeFit(
        best=0.4, low=pytest.approx(0.05), high=pytest.approx(0.95), confidence=0.9, realisations=7
    )
    assert str(fit) == "0.4 [0.05, 0.95] (90% bootstrap over 7 realisations)"


def test_resamples_without_a_value_are_left_out():
    values = [NAN, 1.0, NAN, 1.0, 1.0]
    assert (bootstrap(values, 1.0, 0.9, 3).low, bootstrap(values, 1.0, 0.9, 3).high) == (1.0, 1.0)


@pytest.mark.parametrize(("values", "realisations"), [([1.0, 2.0], 1), ([NAN, NAN], 4), ([], 4)])
def test_no_interval(values, realisations):
    fit = bootstrap(values, 1.5, 0.9, realisations)
    assert fit.best == 1.5
    assert np.isnan(fit.low)
    assert np.isnan(fit.high)


def test_the_interval_covers_the_truth():
    """Noisy power laws: the 80% interval over 20 realisations holds the slope in about 80% of repetitions."""
    rng = np.random.default_rng(1)
    x = np.log(np.geomspace(1, 100, 6))
    repetitions, covered = 200, 0
    for _ in range(repetitions):
        y = -0.5 * x + rng.normal(scale=0.3, size=(20, 6))
        means = y[resamples(20, rng, count=200)].mean(axis=1)
        fit = bootstrap([slope(x, mean) for mean in means], slope(x, y.mean(axis=0)), 0.8, 20)
        assert fit.low <= fit.best <= fit.high
        covered += fit.low <= -0.5 <= fit.high
    assert 0.68 < covered / repetitions < 0.88
