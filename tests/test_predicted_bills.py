"""Predicted bills: the samples and the updates of each step of online training."""

import json
from math import inf, isnan, log

import numpy as np
import pytest

from rhmtheory import LAWS, RHM, InputError, Law, predict, zipf
from rhmtheory.exact.updates import table_entries as entries_of_one_grammar
from rhmtheory.exact.updates import updates_ratio
from rhmtheory.theory import bill, staircase_exponent
from rhmtheory.theory.bills import MEASURED_A, MEASURED_C, drawn_updates_ratio, table_entries

SMALL = RHM(v=12, m=3, s=2, L=4)


def test_the_cnn_pays_for_its_threshold_and_for_the_entries_of_its_table():
    found = bill(SMALL, "cnn", batch=64, rate=2, A=10, C=4)
    P = predict(SMALL, "cnn").P
    np.testing.assert_allclose(found.tau, 4 * 12 * 3.0 ** np.arange(1, 5))
    np.testing.assert_allclose(found.E.published, 10 * P.published)
    np.testing.assert_allclose(found.E.finite_size, 10 * P.finite_size)
    np.testing.assert_allclose(found.P.published, found.E.published + 32 * found.tau)
    np.testing.assert_allclose(found.balance.finite_size, found.E.finite_size / found.tau)
    assert (found.D == 1).all()


def test_prefactors_are_the_measured_ones_unless_given():
    for name in MEASURED_C:
        found = bill(SMALL, name)
        assert (found.A, found.C, found.batch, found.rate) == (MEASURED_A[name], MEASURED_C[name], 128, 1.0)


def test_entries_are_one_over_the_sum_of_squares():
    rhm = RHM(v=(10, 12, 9), m=(2, 3, 4), s=2, L=3, n=5)
    np.testing.assert_allclose(table_entries(rhm), [12 * 2, 9 * 2 * 3, 5 * 2 * 3 * 4])
    weights = np.array(zipf(3, 1.0))
    unequal = RHM(v=12, m=3, s=2, L=3, rule_probabilities=tuple(weights))
    np.testing.assert_allclose(table_entries(unequal), 12 * (1 / (weights**2).sum()) ** np.arange(1, 4))
    for ensemble in (rhm, unequal):
        # only the root is equally likely in every grammar; below it the entries are fewer
        for seed in range(3):
            alone = [entries_of_one_grammar(ensemble.grammar(seed), k) for k in range(3)]
            assert alone[2] == pytest.approx(table_entries(ensemble)[2])
            assert (alone[:2] <= table_entries(ensemble)[:2]).all()


def test_without_sharing_updates_are_more_by_the_exact_ratio():
    D = [[updates_ratio(SMALL.grammar(seed), k) for k in range(4)] for seed in range(8)]
    expected = np.exp(np.log(D).mean(axis=0))
    np.testing.assert_allclose(drawn_updates_ratio(SMALL), expected)
    shared, unshared = bill(SMALL, "cnn"), bill(SMALL, "lcn")
    np.testing.assert_allclose(unshared.tau / shared.tau, expected)
    own = bill(SMALL, "lcn", D=D[0])
    np.testing.assert_allclose(own.tau / shared.tau, D[0])


def test_the_ratio_is_its_limit_where_contexts_are_too_many():
    deep = RHM(v=24, m=6, s=2, L=7)
    found = drawn_updates_ratio(deep)
    np.testing.assert_allclose(found[5:], 6 ** (np.arange(4, 6) / 2))
    # the exact ratio comes near it
    np.testing.assert_allclose(found[2:4], 6 ** (np.arange(1, 3) / 2), rtol=0.3)
    np.testing.assert_allclose(drawn_updates_ratio(RHM(v=24, m=1, s=2, L=3)), 1)


def test_the_balance_tells_the_published_laws_apart():
    """E_k / tau_k does not grow with k for the shared law, and by m for the unshared one at the CNN's updates."""
    shared = bill(SMALL, "cnn").balance.published
    unshared = bill(SMALL, LAWS["unshared"], C=4.1).balance.published
    np.testing.assert_allclose(shared[2:] / shared[1:-1], 1)
    np.testing.assert_allclose(unshared[2:] / unshared[1:-1], 3)


@pytest.mark.parametrize("network", ["cnn", "lcn"])
def test_exponents_go_from_that_of_samples_to_that_of_updates(network):
    H = SMALL.plateaus()
    D = 3.0 ** (np.maximum(np.arange(4) - 1, 0) / 2) if network == "lcn" else np.ones(4)
    few, many, mixed = (
        bill(SMALL, network, batch=batch, rate=rate, D=D) for batch, rate in ((1, 1e12), (10**12, 1), (128, 1))
    )
    assert few.few_level_exponents["seen"].finite_size == pytest.approx(
        predict(SMALL, network).few_level_exponent.finite_size, rel=1e-6
    )
    assert many.few_level_exponents["seen"].published == pytest.approx(staircase_exponent(many.tau, H), rel=1e-6)
    told = mixed.few_level_exponents
    between = sorted([told["samples"].finite_size, told["updates"].finite_size])
    assert between[0] < told["seen"].finite_size < between[1]
    powers = (
        {"samples": 1, "updates": 1, "seen": 1} if network == "cnn" else {"samples": 2, "updates": 1.5, "seen": 2}
    )
    for name, power in powers.items():
        assert mixed.exponents[name] == pytest.approx(log(4) / (power * log(3)))


def test_no_law_of_updates_is_made_up():
    for architecture in ("transformer", "effective targets", Law("own", lambda k: 0, lambda k: k)):
        found = bill(SMALL, architecture)
        assert np.isnan(found.tau).all()
        assert np.isnan(found.P.published).all()
        assert isnan(found.exponents["updates"])
        assert isnan(found.exponents["seen"])
        assert np.isfinite(found.E.published).all()
        assert "no law of tau_k is known" in " ".join(str(found).split())


def test_edges():
    uneven = bill(RHM(v=(10, 12, 9), m=(2, 3, 4), s=2, L=3), "cnn")
    assert all(map(isnan, uneven.exponents.values()))
    assert np.isfinite(uneven.few_level_exponents["seen"].finite_size)
    one_rule = bill(RHM(v=8, m=1, s=2, L=3), "cnn")
    assert one_rule.exponents == {"samples": inf, "updates": inf, "seen": inf}
    full = bill(RHM(v=4, m=4, s=2, L=3), "cnn")
    assert (full.P.published == inf).all()
    # a step waits for those before it
    narrow = RHM(v=16, m=4, s=2, L=4, n=2)
    assert (np.diff(bill(narrow, "cnn", batch=10**6).P.published) >= 0).all()


def test_a_prediction_has_its_bill_where_a_batch_is_given():
    assert predict(SMALL, "cnn").bill is None
    p = predict(SMALL, "cnn", batch=64, rate=0.5, plateaus="annealed")
    assert p.bill == bill(SMALL, "cnn", batch=64, rate=0.5, plateaus=p.plateaus)
    assert p != predict(SMALL, "cnn", plateaus="annealed")
    assert str(p.bill) in str(p)
    stored = json.loads(json.dumps(p.to_dict(), allow_nan=False))["bill"]
    assert stored["P"]["published"] == p.bill.P.published.tolist()
    assert stored["balance"]["finite_size"] == p.bill.balance.finite_size.tolist()
    assert stored["few_level_exponents"]["seen"]["published"] == p.bill.few_level_exponents["seen"].published
    assert (stored["batch"], stored["rate"], stored["law"]) == (64, 0.5, "shared")
    assert "<table>" in p.bill._repr_html_()


def test_bad_input():
    for options, message in (
        ({"batch": 0}, "batch=0 is too small"),
        ({"batch": 1.5}, r"batch=1\.5 is not an integer"),
        ({"rate": 0}, "rate=0 is no positive number"),
        ({"rate": float("nan")}, "rate=nan is no positive number"),
        ({"A": -1}, "A=-1 is no positive number"),
        ({"C": inf}, "C=inf is no positive number"),
        ({"D": [1, 2]}, r"D has shape \(2,\): give one ratio per step, 4"),
        ({"plateaus": [1, 2]}, "plateaus have shape"),
    ):
        with pytest.raises(InputError, match=message):
            bill(SMALL, "cnn", **options)
    with pytest.raises(InputError, match="is the law of another task"):
        bill(SMALL, "class")
