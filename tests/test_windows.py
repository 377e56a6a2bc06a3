"""What an exponent of a corpus rests on: lags that stay, slopes that hang on no grid, windows counted in."""

import balanced
import numpy as np
import pytest

from rhmtheory.corpus import _windows
from rhmtheory.corpus._windows import admissible, lags_up_to, slope_weights
from rhmtheory.corpus.decays import analyse_corpus

TOKENS = 600_000
MADE_OF = [(8, 2, 2, 6), (9, 3, 3, 4), (16, 4, 2, 5)]
"""(v, m, s, L) with ln m / ln s = 1, 1, 2."""


# --- lags and slopes ------------------------------------------------------------------------------------------


def test_more_lags_move_none():
    assert lags_up_to(20).tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 16, 18, 20]
    for largest in (4, 19, 31, 32, 33, 1000):
        lags = lags_up_to(largest)
        assert lags[-1] <= largest
        np.testing.assert_array_equal(lags, lags_up_to(5000)[: len(lags)])


def test_slopes_are_exact_for_lines_and_change_little_with_the_grid():
    x = np.log(lags_up_to(300))
    assert slope_weights(x) @ (3 - 1.7 * x) == pytest.approx(-1.7)
    # of a curve the slope is that of one integral, where least squares over points follows a crowd of them
    dense = np.unique(np.concatenate([x, (x[1:] + x[:-1]) / 2]))
    crowded = np.unique(np.concatenate([x, np.linspace(0.0, 1.0, 200)]))
    on_grid = [slope_weights(points) @ points**2 for points in (x, dense, crowded)]
    over_points = [np.polyfit(points, points**2, 1)[0] for points in (x, dense, crowded)]
    assert on_grid[1:] == pytest.approx([on_grid[0]] * 2, rel=0.03)
    assert over_points[2] != pytest.approx(over_points[0], rel=0.1)


def test_admissible_windows_are_runs_that_cover_half():
    x = np.log([1.0, 2, 4, 8, 16])
    rows = admissible(x)
    runs = [np.flatnonzero(row)[[0, -1]].tolist() for row in rows]
    assert runs == [[0, 4], [0, 3], [0, 2], [1, 4], [1, 3], [2, 4]]
    np.testing.assert_allclose(rows @ (2 * x + 5), 2)
    np.testing.assert_array_equal(rows[0], slope_weights(x))
    assert len(admissible(x[:3])) == 1


# --- texts whose decays are known -----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=MADE_OF, ids=str)
def known(request):
    grammar = balanced.balanced_grammar(*request.param, seed=0)
    return grammar, balanced.text(grammar, TOKENS, seed=1)


def test_beta_is_that_of_the_exact_covariances(known):
    """Of the same grammar, over the window that the text chose and over every other admissible one."""
    grammar, text = known
    result = analyse_corpus(text, largest_context=3)
    lags = result.lags[result.lags <= result.window[1]]
    exact = balanced.operator_norms(grammar, lags)
    # at twice the noise, the norm of signal and noise together is larger by some seventh
    np.testing.assert_allclose(result.correlation[: len(lags)], exact, atol=1.2 * result.noise[0])
    slopes = -admissible(np.log(lags)) @ np.log(exact)
    assert len(slopes) == result.windows
    assert result.beta.low < slopes[0] < result.beta.high
    assert result.beta.best == pytest.approx(slopes[0], abs=0.1)
    # the interval holds most of what other windows would have given, and most of it is the window's choice
    assert np.mean((slopes > result.beta.low) & (slopes < result.beta.high)) > 0.5
    alone = analyse_corpus(text, window=result.window, largest_context=3)
    assert alone.windows == 1
    assert alone.beta.best == result.beta.best
    if result.windows > 1:
        assert alone.beta.high - alone.beta.low < result.beta.high - result.beta.low


def test_lags_beyond_the_resolved_ones_change_nothing(known):
    _, text = known
    first = analyse_corpus(text, largest_context=3)
    assert first.falls_to_noise
    nearest = int(first.lags[len(first.lags[first.resolved])])  # the first lag that is not resolved
    for largest in (nearest, 100, 400, 9000):
        other = analyse_corpus(text, largest_context=3, largest_lag=largest)
        assert other.window == first.window
        assert (other.beta.best, other.alpha.best) == (first.beta.best, first.alpha.best)
        # draws whose correlations last longer see the lags beyond
        assert other.beta.low == pytest.approx(first.beta.low, abs=0.15)
        assert other.beta.high == pytest.approx(first.beta.high, abs=0.15)


@pytest.mark.parametrize("lags_per_octave", [5, 9])
def test_another_grid_gives_the_same_within_the_interval(known, monkeypatch, lags_per_octave):
    _, text = known
    first = analyse_corpus(text, largest_context=3)
    monkeypatch.setattr(_windows, "LAGS_PER_OCTAVE", lags_per_octave)
    other = analyse_corpus(text, largest_context=3)
    assert len(other.lags) != len(first.lags)
    assert first.beta.low < other.beta.best < first.beta.high
    assert other.beta.low < first.beta.best < other.beta.high


@pytest.mark.parametrize(("v", "m", "s", "L"), [(4, 2, 2, 5), (3, 3, 3, 3)])
def test_gamma_is_that_of_the_exact_conditional_entropies(v, m, s, L):
    grammar = balanced.balanced_grammar(v, m, s, L, seed=1)
    exact = balanced.conditional_entropies(grammar, 4)
    result = analyse_corpus(balanced.text(grammar, TOKENS, seed=0), largest_context=4)
    assert result.usable == 4
    np.testing.assert_allclose(result.entropies, exact, atol=0.003)
    slopes = -admissible(np.log(np.arange(1, 5))) @ np.log(exact)
    assert result.gamma.best == pytest.approx(slopes[0], abs=0.005)
    # the windows 1..4, 1..3 and 2..4: the interval is made of their slopes and of the noise
    assert result.gamma.low == pytest.approx(slopes.min(), abs=0.01)
    assert result.gamma.high == pytest.approx(slopes.max(), abs=0.01)


def test_short_contexts_do_not_show_the_exponent_of_long_ones():
    """With the true entropy rate for a floor, gamma of n <= 4 is far below ln(1/f) / ln s, and so is alpha."""
    grammar = balanced.balanced_grammar(4, 2, 2, 6, seed=1)
    rhm = grammar.shape
    choices = sum(rhm.width(level) for level in range(1, rhm.L + 1))
    rate = (np.log(rhm.n) + choices * np.log(rhm.m)) / rhm.d
    result = analyse_corpus(balanced.text(grammar, TOKENS, seed=0), floor=rate, largest_context=4)
    gamma, beta = np.log(1 / rhm.f) / np.log(rhm.s), np.log(rhm.m) / np.log(rhm.s)
    assert result.gamma.high < 0.7 * gamma
    assert result.alpha.high < 0.7 * gamma / (2 * beta)
