"""Fits of decays: intervals over segments and windows, ratios of two slopes, and what is no power law."""

import numpy as np
import pytest

from rhmtheory.corpus._fits import fit_decay, half_ratio, no_fit
from rhmtheory.corpus._windows import admissible, lags_up_to

LAGS = lags_up_to(64).astype(float)


def fit(y, error=1e-3, seed=0, segments=16, **options):
    """The fit of a decay whose segments scatter by this much, in the logarithm."""
    y = np.asarray(y, float)
    parts = y * np.exp(error * np.random.default_rng(seed).standard_normal((segments, len(y))))
    total = parts.sum(axis=0)
    x = LAGS[: len(y)]
    return fit_decay(
        x,
        total / segments,
        (total - parts) / (segments - 1),
        **{"confidence": 0.95, "all_windows": True, **options},
    )


def test_intervals_over_segments_hold_what_they_say():
    hits = [f.estimate.low <= 0.8 <= f.estimate.high for f in (fit(LAGS**-0.8, 0.1, seed) for seed in range(400))]
    assert 0.93 < np.mean(hits) < 0.99


def test_windows_count_where_they_differ_by_more_than_chance():
    straight = fit(LAGS**-0.8)
    alone = fit(LAGS**-0.8, all_windows=False)
    assert straight.estimate.high - straight.estimate.low < 1.5 * (alone.estimate.high - alone.estimate.low)
    y = (LAGS + 0.7) ** -0.8
    bent = fit(y)
    slopes = -admissible(np.log(LAGS)) @ np.log(y)
    assert bent.windows == len(slopes) > 50
    assert (bent.estimate.low, bent.estimate.high) == pytest.approx(np.quantile(slopes, [0.025, 0.975]), abs=0.01)
    assert bent.verdict == "power law"


def test_a_bias_widens_the_interval():
    narrow, wide = fit(LAGS**-0.8), fit(LAGS**-0.8, bias=0.1)
    assert wide.estimate.best == narrow.estimate.best
    assert wide.estimate.high - wide.estimate.best == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("points", [3, 6, len(LAGS)])
def test_verdicts(points):
    x = LAGS[:points]
    assert fit(x**-0.8).verdict == "power law"
    assert fit((x + 0.3) ** -0.8).verdict == "power law"
    assert fit(np.exp(-0.5 * x)).verdict == "no power law"
    assert fit(np.exp(-0.1 * x)).verdict == "no power law"
    if points == 3:  # what is not known well is not refused
        assert fit(np.exp(-0.5 * x), error=1.0).verdict == "power law"
    assert fit(np.ones(points)).verdict == "no decay"
    assert fit(x**0.5).verdict == "no decay"
    assert fit(np.maximum(x**-0.8, x[1] ** -0.8)).verdict == "no power law"  # comes to rest


def test_the_ratio_of_two_slopes():
    gamma, beta = fit(LAGS[:7] ** -0.4, 0.02, seed=1), fit(LAGS**-0.8, 0.02, seed=2)
    alpha = half_ratio(gamma, beta, 0.95)
    assert alpha.best == pytest.approx(gamma.estimate.best / (2 * beta.estimate.best))
    # errors are small: Fieller's interval is that of propagation
    relative = np.hypot(*((f.estimate.high - f.estimate.low) / 2 / f.estimate.best for f in (gamma, beta)))
    assert (alpha.high - alpha.low) / 2 / alpha.best == pytest.approx(relative, rel=0.3)
    # where beta is known badly, the interval is long on the side of large alpha
    rough = half_ratio(gamma, fit(LAGS**-0.8, 2.0, seed=2), 0.95)
    assert rough.high - rough.best > 1.2 * (rough.best - rough.low)
    for other in (fit(np.ones(len(LAGS))), no_fit(16, 0.95)):
        assert np.isnan(half_ratio(gamma, other, 0.95).best)
        assert np.isnan(half_ratio(other, beta, 0.95).high)
