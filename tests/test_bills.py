"""Two bills of a step: the fit gives what was put in, and curves that tell no bill are refused."""

import json
from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from rhmtheory import RHM, InputError, two_bills
from rhmtheory.comparison import read_curves
from rhmtheory.comparison.bill_runs import Run
from rhmtheory.comparison.curves import LearningCurves
from rhmtheory.fitting.terms import two_terms

BATCHES = (32, 48, 64, 128, 512)


def staircase(H, made, sharp=8.0, spacing=1.2, noise=0.0, rng=None):
    """P and loss of a curve that crosses sqrt(H_k H_(k+1)) at the samples ``made``, on a grid of this spacing."""
    made = np.array(made)
    P = np.exp(np.arange(np.log(made[0] / 40), np.log(made[-1] * 10), np.log(spacing)))
    ln = np.log(H[0]) + (np.diff(np.log(H))[:, None] / (1 + (made[:, None] / P) ** sharp)).sum(axis=0)
    return P, np.exp(ln + noise * (0 if rng is None else rng.standard_normal(len(P))))


def synthetic(E, tau, *, grammars=8, runs=1, batches=BATCHES, spread=(0.2, 0.1), noise=0.08, seed=0, label="own"):
    """Runs whose P*_k is ``E_k + B tau_k``, log-normal over grammars, with a relative error for each run."""
    rng = np.random.default_rng(seed)
    out = []
    rhm, H = RHM(v=12, m=3, s=2, L=len(E)), np.array([2.4, 1.3, 0.55, 0.24, 0.16])[: len(E) + 1]
    for g in range(grammars):
        of_E, of_tau = (np.exp(s * rng.standard_normal(len(E))) for s in spread)
        for batch in batches:
            for _ in range(runs):
                made = (np.array(E) * of_E + batch * np.array(tau) * of_tau) * np.exp(
                    noise * rng.standard_normal(len(E))
                )
                P, loss = staircase(H, made)
                out.append(Run(label, rhm, f"grammar {g}", H, batch, 1.0, P, loss))
    return out


E_TRUE, TAU_TRUE = (1e3, 5e3, 2e4, 9e4), (200.0, 450.0, 1100.0, 3500.0)


# --- the sum alone ------------------------------------------------------------------------------------------


def test_exact_sums_give_their_terms():
    x = np.tile([32.0, 128.0, 512.0], 3)
    E, tau = np.repeat([100.0, 5000.0, 2e5], 3), np.repeat([40.0, 50.0, 3.0], 3)
    fit = two_terms(x, E + x * tau, np.repeat(["a", "b", "c"], 3))
    np.testing.assert_allclose(fit.of_units(), [E[::3], tau[::3]], rtol=1e-3)


@pytest.mark.parametrize(("E", "tau"), [(0.0, 3.0), (7.0, 0.0)])
def test_a_term_that_is_zero_is_found_to_be_zero(E, tau):
    x = np.tile([1.0, 10.0, 100.0], 4)
    fit = two_terms(x, E + x * tau, np.repeat(list("abcd"), 3))
    np.testing.assert_allclose(fit.of_units(), [[E] * 4, [tau] * 4], atol=1e-4)
    assert (fit.first if E == 0 else fit.second).at_most
    assert not (fit.second if E == 0 else fit.first).at_most


def test_missing_values_repeats_and_units_with_one_x():
    x = [1.0, 10.0, 100.0, 1.0, 100.0, 100.0, 10.0]
    y = [12.0, 30.0, 210.0, np.nan, 210.0, 210.0, 30.0]
    fit = two_terms(x, y, ["a", "a", "a", "b", "b", "b", "c"])
    assert fit.units == ("a",)
    np.testing.assert_allclose(fit.of_units(), [[10], [2]], rtol=1e-4)
    with pytest.raises(InputError, match="two values in every unit"):
        two_terms([1.0, 2.0], [3.0, 4.0], ["a", "b"])


def test_the_mean_over_units_is_the_geometric_one_though_they_differ():
    """A third of spread on either side: the fit to the mean curve, corrected, is within 3%."""
    rng = np.random.default_rng(1)
    E, tau = 4000 * np.exp(0.3 * rng.standard_normal(400)), 100 * np.exp(0.3 * rng.standard_normal(400))
    x = np.tile(BATCHES, 400)
    fit = two_terms(x, np.repeat(E, 5) + x * np.repeat(tau, 5), np.repeat(np.arange(400), 5))
    expected = np.log([E, tau]).mean(axis=1)
    np.testing.assert_allclose(fit.mean_terms(), expected, atol=0.03)


def test_chi_square_is_about_its_freedom_and_sees_a_curve_that_is_no_sum():
    rng = np.random.default_rng(2)
    x = np.tile(np.repeat(BATCHES, 2), 40)
    names, noise = np.repeat(np.arange(40), 10), np.exp(0.1 * rng.standard_normal(400))
    square, freedom, chance = two_terms(x, (4000 + 100 * x) * noise, names).chi_square
    assert freedom == 120
    assert square / freedom == pytest.approx(1, abs=0.35)
    assert chance > 0.01
    assert two_terms(x, 100 * x**1.5 * noise, names).chi_square[2] < 1e-6


def test_one_growing_direction_pays_noise_over_signal_squared():
    """Mean time until theta, d theta = a theta dt + sigma dW / sqrt(x), is made: tau + E / x to first order."""
    rng = np.random.default_rng(0)
    a, sigma, start, end, x, dt = 1.0, 1.0, 1.0, 20.0, 50.0, 2e-3
    theta, time = np.full(20_000, start), np.zeros(20_000)
    for _ in range(4000):
        going = theta < end
        time += dt * going
        step = a * theta * dt + sigma * (dt / x) ** 0.5 * rng.standard_normal(len(theta))
        theta = np.where(going, theta + step, theta)
    tau = np.log(end / start) / a
    E = sigma**2 / (4 * a**2 * start**2) * (1 - np.exp(-2 * a * tau))
    assert time.mean() - tau == pytest.approx(E / x, abs=4 * time.std() / 20_000**0.5 + dt)
    assert E / x > 4 * time.std() / 20_000**0.5


# --- bills --------------------------------------------------------------------------------------------------


def test_bills_are_what_was_put_in():
    found = two_bills(synthetic(E_TRUE, TAU_TRUE, runs=2, noise=0.03, spread=(0.1, 0.05))).series[0]
    for step, E, tau in zip(found.steps, E_TRUE, TAU_TRUE, strict=True):
        assert step.tau.best == pytest.approx(tau, rel=0.12)
        if not step.E.at_most:
            assert step.E.best == pytest.approx(E, rel=0.25)
    assert found.tau_factors[2].low < 3500 / 1100 < found.tau_factors[2].high
    assert found.E_factors[2].low < 4.5 < found.E_factors[2].high
    assert found.per_entry(3) == pytest.approx(3500 / (12 * 81), rel=0.12)
    assert found.tests_a_law(3)
    assert not found.tests_a_law(1)


def test_samples_too_few_to_see_are_an_upper_bound():
    found = two_bills(synthetic((100.0, 5e4), (200.0, 1000.0), noise=0.1)).series[0]
    first, second = found.steps
    assert first.E.at_most
    assert first.E.high > 100
    assert first.balance.at_most
    assert found.E_factors[0].at_least
    assert not second.E.at_most


def test_the_noise_floor_is_left_out_and_told():
    runs = [run for run in synthetic((4e3, 9e4), (450.0, 3500.0), noise=0.03) if run.batch != 32]
    H = runs[0].plateaus
    for run in synthetic((9e3, 3e5), (450.0, 3500.0), batches=(16,), noise=0.03):
        runs.append(Run("own", run.rhm, run.grammar, H, 16, 1.0, run.P, run.loss))
    found = two_bills(runs).series[0]
    step = found.steps[1]
    assert step.left_out == 16
    assert step.E.best == pytest.approx(9e4, rel=0.3)
    assert step.with_all[0] > 1.3 * step.E.best
    assert any("noise floor" in note for note in found.notes)


def test_three_values_are_too_few_to_leave_one_out():
    runs = synthetic((4e3, 9e4), (450.0, 3500.0), batches=(64, 512), noise=0.03)
    runs += synthetic((9e3, 4e5), (450.0, 3500.0), batches=(16,), noise=0.03)
    assert all(isnan(step.left_out) for step in two_bills(runs).series[0].steps)


def test_rates_enter_through_batch_over_rate():
    half = synthetic(E_TRUE, TAU_TRUE, noise=0.0, spread=(0, 0), grammars=3, batches=(64, 512))
    runs = [Run("own", run.rhm, run.grammar, run.plateaus, 2 * run.batch, 2.0, run.P, run.loss) for run in half]
    step = two_bills(runs).series[0].steps[3]
    assert step.tau.best == pytest.approx(3500, rel=0.02)
    assert step.E.best == pytest.approx(9e4, rel=0.05)


def test_adamw_has_a_series_for_each_rate_and_one_for_square_root_scaling():
    runs = []
    for batch, rate in ((32, 1e-3), (32, 5e-4), (128, 1e-3), (512, 1e-3), (512, 2e-3)):
        for run in synthetic((1e4, 1e5), (50.0, 300.0), batches=(batch * 1e-3 / rate,), noise=0, grammars=3):
            made = Run("decoder", run.rhm, run.grammar, run.plateaus, batch, rate, run.P, run.loss, "adamw")
            runs.append(made)
    found = {one.label: one for one in two_bills(runs).series}
    assert list(found) == ["decoder, rate 0.001", "decoder, rate 0.001 sqrt(B / 128)"]
    for one in found.values():
        assert one.steps[1].tau.best == pytest.approx(300, rel=0.25)
    assert found["decoder, rate 0.001 sqrt(B / 128)"].x == pytest.approx([64, 128, 256])
    assert "S_k" in str(two_bills(runs))


def test_the_height_of_the_crossing_moves_both_terms():
    heights = two_bills(synthetic(E_TRUE, TAU_TRUE, noise=0, spread=(0, 0), grammars=3)).series[0].steps[2].heights
    assert heights[0.25][1] < heights[0.5][1] < heights[0.75][1]


def test_slopes_over_m_of_three_ensembles():
    runs = []
    for m in (2, 3, 4):
        rhm = RHM(v=4 * m, m=m, s=2, L=2)
        for run in synthetic((3e3, 3e3 * m**2), (100.0, 100.0 * m), noise=0.02, spread=(0.05, 0.05)):
            runs.append(Run("own", rhm, run.grammar, run.plateaus, run.batch, 1.0, run.P, run.loss))
    slopes = two_bills(runs).slopes
    assert slopes["own, s = 2, L = 2, E"].low < 2 < slopes["own, s = 2, L = 2, E"].high
    assert slopes["own, s = 2, L = 2, tau"].low < 1 < slopes["own, s = 2, L = 2, tau"].high


# --- what is taken, and what is refused ---------------------------------------------------------------------


def columns(batches=(16, 64, 256), grammars=3):
    table = {name: [] for name in ("batch", "rate", "grammar", "P", "loss")}
    rhm = RHM(v=8, m=3, s=2, L=2)
    for seed in range(grammars):
        H = rhm.grammar(seed=seed).plateaus()
        for batch in batches:
            P, loss = staircase(H, (300 + 10 * batch, 3000 + 50 * batch))
            for values in zip(P, loss, strict=True):
                for name, value in zip(table, (batch, 1.0, seed, *values), strict=True):
                    table[name].append(value)
    return table, rhm


def test_columns_are_taken_as_they_stand():
    table, rhm = columns()
    step = two_bills(table, rhm).series[0].steps[1]
    assert (step.E.best, step.tau.best) == pytest.approx((3000, 50), rel=0.05)


def test_a_file_with_batch_and_rate_is_taken(tmp_path):
    table, rhm = columns()
    rows = zip(*table.values(), strict=True)
    lines = [",".join(table), *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "curves.csv").write_text("\n".join(lines))
    step = two_bills(read_curves(tmp_path / "curves.csv"), rhm).series[0].steps[1]
    assert (step.E.best, step.tau.best) == pytest.approx((3000, 50), rel=0.05)


def test_ratios_of_two_networks_are_paired_over_grammars():
    runs = synthetic((4e3, 2e4), (400.0, 1e3), noise=0.02, label="cnn")
    runs += synthetic((4e3, 4e4), (400.0, 3e3), noise=0.02, label="lcn")
    E, tau = two_bills(runs).ratios("lcn", "cnn")[1]
    assert (E.best, tau.best) == pytest.approx((2, 3), rel=0.15)
    assert tau.high / tau.low < 1.2
    with pytest.raises(InputError, match="are not on one ensemble"):
        two_bills(runs).ratios("lcn", "decoder")


def test_learning_curves_with_batch_and_rate_are_taken():
    rhm, table = RHM(v=8, m=3, s=2, L=2), []
    grammars = [rhm.grammar(seed=seed) for seed in range(3)]
    plateaus = np.array([g.plateaus() for g in grammars])
    P = np.geomspace(50, 3e5, 60)
    for batch in (16, 128):
        made = np.array([300 + 10 * batch, 3000 + 50 * batch])
        ln = np.log(plateaus[:, :1]) + sum(
            np.log(plateaus[:, [k + 1]] / plateaus[:, [k]]) / (1 + (made[k] / P) ** 3) for k in (0, 1)
        )
        names = tuple(f"seed {i}" for i in range(3))
        settings = {"protocol": "online", "batch": batch, "rate": 1.0}
        table.append(LearningCurves(rhm, "cnn", ("cnn",), names, plateaus, P, np.exp(ln), **settings))
    step = two_bills(table).series[0].steps[1]
    assert (step.E.best, step.tau.best) == pytest.approx((3000, 50), rel=0.05)
    assert two_bills([replace(one, label="decoder") for one in table]).series[0].optimiser == "adamw"
    with pytest.raises(InputError, match="fixed training sets"):
        two_bills([replace(one, protocol="offline") for one in table])
    with pytest.raises(InputError, match="is not known"):
        two_bills([replace(one, rate=None) for one in table])


def test_curves_at_one_batch_over_rate_cannot_be_told_apart():
    with pytest.raises(InputError, match="cannot be told apart"):
        two_bills(synthetic(E_TRUE, TAU_TRUE, batches=(64,)))
    runs = synthetic(E_TRUE, TAU_TRUE, batches=(64,))
    runs += [Run("own", r.rhm, r.grammar, r.plateaus, 128, 2.0, r.P, r.loss) for r in runs]
    with pytest.raises(InputError, match="cannot be told apart"):
        two_bills(runs)


def test_a_network_at_one_batch_beside_others_is_told():
    runs = synthetic(E_TRUE, TAU_TRUE) + synthetic(E_TRUE, TAU_TRUE, batches=(64,), label="other")
    found = two_bills(runs)
    assert [one.label for one in found.series] == ["own"]
    assert "other" in found.notes[0]


@pytest.mark.parametrize("name", ["batch", "rate"])
def test_columns_without_batch_or_rate_are_refused(name):
    table, rhm = columns()
    del table[name]
    with pytest.raises(InputError, match=f"lacks the column {name}"):
        two_bills(table, rhm)


@pytest.mark.parametrize(("batch", "rate"), [(None, 1.0), (32, None), (32, 0.0), (np.nan, 1.0)])
def test_a_run_of_unknown_batch_or_rate_is_refused(batch, rate):
    run = synthetic(E_TRUE, TAU_TRUE, grammars=1)[0]
    with pytest.raises(InputError, match="is not known"):
        two_bills([Run("own", run.rhm, "g", run.plateaus, batch, rate, run.P, run.loss)])


def test_a_batch_larger_than_all_samples_is_refused():
    run = synthetic(E_TRUE, TAU_TRUE, grammars=1)[0]
    with pytest.raises(InputError, match="is larger than all"):
        two_bills([Run("own", run.rhm, "g", run.plateaus, 1e9, 1.0, run.P, run.loss)])


def test_grammars_need_an_ensemble_where_they_are_seeds():
    table, _ = columns()
    with pytest.raises(InputError, match="rhm is needed"):
        two_bills(table)
    with pytest.raises(InputError, match="holds no run"):
        two_bills([])


# --- what is shown ------------------------------------------------------------------------------------------


def test_bills_print_as_tables_and_sentences_and_turn_into_json():
    found = two_bills(synthetic(E_TRUE, TAU_TRUE, runs=2, grammars=4))
    shown = str(found)
    assert max(map(len, shown.rsplit("\n\n", 1)[0].splitlines())) <= 80
    assert "level 3 costs" in shown
    assert "times the samples" in shown
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["series"][0]["steps"][3]["tests_a_law"] is True
    assert "<table>" in found._repr_html_()


def test_bills_are_drawn(tmp_path):
    runs = synthetic(E_TRUE, TAU_TRUE, grammars=3) + synthetic(E_TRUE, TAU_TRUE, grammars=3, label="lcn")
    figure = two_bills(runs).plot()[0].figure
    assert len(figure.axes) == 4
    figure.savefig(tmp_path / "bills.png")
    with pytest.raises(InputError, match="has no bills"):
        two_bills(runs).plot(rhm=RHM(v=8, m=3, s=2, L=2))
