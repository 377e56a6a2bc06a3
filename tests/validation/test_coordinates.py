"""Activations and their updates do not depend on the width where the parametrisation claims it."""

import numpy as np
import pytest
from own_models import ResidualMLP

from rhmtheory import RHM, InputError
from rhmvalidation import Settings, cnn
from rhmvalidation.diagnostics import coordinates
from rhmvalidation.diagnostics.coordinates import coordinate_check
from rhmvalidation.networks import plain

RHM_ = RHM(v=8, m=2, s=2, L=3)
WIDTHS = (64, 128, 256, 512)


@pytest.mark.parametrize("network", ["cnn", "lcn", "fcn"])
def test_mean_field_networks_have_a_limit_of_large_width(network):
    check = coordinate_check(network, RHM_, widths=WIDTHS, steps=3, seeds=6)
    assert check.activations.shape == check.updates.shape == (4, 3)
    assert np.abs(check.activation_exponents).max() < 0.06
    assert np.abs(check.update_exponents).max() < 0.1


def test_the_check_can_fail(monkeypatch):
    """Without the factor of the width on the learning rate the updates vanish with the width."""
    monkeypatch.setattr(plain._Hierarchical, "rate_scale", lambda self: 32.0)
    check = coordinate_check("cnn", RHM_, widths=WIDTHS, steps=3, seeds=6)
    assert check.update_exponents.max() < -0.5


def test_it_is_drawn():
    check = coordinate_check("cnn", RHM_, widths=(8, 16), steps=1, seeds=1)
    assert len(check.plot().lines) == 6


@pytest.mark.parametrize("widths", [(), (8,), (16, 8), (8, 8)])
def test_widths_that_fit_no_slope(widths):
    with pytest.raises(InputError, match="two or more"):
        coordinates.coordinate_check("cnn", RHM_, widths=widths)


def test_it_takes_any_factory_by_width():
    """Standard parametrisation: at one rate for all widths the updates of a deep layer grow with the width."""
    check = coordinate_check(
        lambda width: ResidualMLP(RHM_, width),
        RHM_,
        widths=WIDTHS[:3],
        steps=3,
        layers=["enter", "blocks.0.1", "readout"],
        settings=Settings(learning_rate=1e-2, optimiser="adamw"),
    )
    assert check.updates.shape == (3, 3)
    assert check.update_exponents[-1] > 0.3
    ours = coordinate_check(lambda width: cnn(RHM_, width=width), RHM_, widths=(8, 16), steps=1, seeds=2)
    np.testing.assert_allclose(
        ours.updates, coordinate_check("cnn", RHM_, widths=(8, 16), steps=1, seeds=2).updates
    )
