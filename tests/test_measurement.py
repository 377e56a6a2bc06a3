"""What a comparison is made of, number by number: curves with crossings that can be worked out by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from staircases import SIZES, curves, logistic_staircase, smooth_staircase

from rhmtheory import RHM, InputError, predict
from rhmtheory.comparison import CurveTable, LearningCurves, compare, measure, read_curves, verdict
from rhmtheory.comparison._estimates import exponent_of
from rhmtheory.comparison._units import LEAST_STEP, predicted_steps, step_crossings, unit_crossings
from rhmtheory.comparison.curves import mean_by
from rhmtheory.comparison.measurement import step_curves
from rhmtheory.comparison.reading import grammars_of
from rhmtheory.fitting.intervals import Estimate, pseudo_values, t_estimate
from rhmtheory.language import quenched_plateaus
from rhmtheory.theory import LAWS, staircase_exponent

THREE, FOUR = RHM(16, 4, 2, 3), RHM(16, 4, 2, 4)
TWO = RHM(4, 2, 2, 2)
NAN = float("nan")


def near(found, expected):
    """Whether estimates are the same within the little that dense points leave open."""
    ends = (expected.best, expected.low, expected.high)
    return (found.best, found.low, found.high) == pytest.approx(ends, rel=1e-6) and found.count == expected.count


# --- curves -------------------------------------------------------------------------------------------------


def small(loss, grammars=None, H=(8.0, 2.0, 0.5), P=(1, 10, 100, 1000), **rest):
    """Curves on an ensemble of two levels; the plateaus cross at 4 and 1."""
    loss = np.array(loss, dtype=float)
    names = tuple(grammars or map(str, range(len(loss))))
    return LearningCurves(TWO, "net", ("cnn",), names, np.tile(H, (len(loss), 1)), np.array(P, float), loss, **rest)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "plateaus",
            np.ones((2, 2)),
            r"plateaus has shape \(2, 2\), but 2 rows and 4 sizes on .* make it \(2, 3\)",
        ),
        ("P", np.ones((4, 1)), r"P has shape \(4, 1\), but .* make it \(4,\)"),
        ("loss", np.ones((4, 2)), r"loss has shape \(4, 2\), but .* make it \(2, 4\)"),
        ("loss_error", np.ones((2, 3)), r"loss_error has shape \(2, 3\), but .* make it \(2, 4\)"),
    ],
)
def test_shapes_must_fit(name, value, message):
    given = small(np.ones((2, 4)))
    with pytest.raises(InputError, match=message):
        replace(given, **{name: value})
    assert replace(given, loss_error=np.ones((2, 4))).loss_error is not None


def test_names_of_curves():
    given = small([[8.0, 4, 2, 1]])
    assert given.name == "net"
    assert replace(given, variant="rate 1").name == "net, rate 1"


def test_mean_time_of_the_steps_that_half_of_the_rows_made():
    """Two sizes of four rows: all made a step, half did, and one in four; geometric means of those that did."""
    time = np.full((4, 4, 2), NAN)
    time[:, 3, 0] = 1, 10, 100, 1000
    time[:2, 3, 1] = 4, 9
    time[0, 2, 0] = 5
    found = small(np.ones((4, 4)), grammars="abcd", time=time).mean_time
    assert found.shape == (4, 2)
    np.testing.assert_allclose(found[3], [10**1.5, 6])
    assert np.isnan(found[:3]).all()


def test_means_over_the_runs_of_a_grammar_and_over_grammars():
    """Geometric, of the nearest falling curves; a run that stopped keeps its last value."""
    loss = [[8.0, 4, 6, 1], [2.0, 1, NAN, NAN], [4.0, 4, 4, 9], [4.0, 2, 1, 0.5]]
    given = small(loss, grammars=("b", "b", "a", "c"))
    pooled, rise = 24**0.25, (4**3 * 9) ** 0.25
    expected = np.array([[4.0, pooled, pooled, 1], [rise] * 4, [4.0, 2, 1, 0.5]])
    np.testing.assert_allclose(given.grammar_means, expected)
    np.testing.assert_allclose(given.mean_loss, np.prod(expected, axis=0) ** (1 / 3))
    H = np.array([[1.0, 0.5, 0.1], [3.0, 1.5, 0.3], [2.0, 1.0, 0.2], [5.0, 3.0, 0.4]])
    np.testing.assert_allclose(replace(given, plateaus=H).mean_plateaus, [3, 5 / 3, 0.8 / 3])
    assert mean_by(("x", "y", "x"), np.array([1.0, 5, 3])).tolist() == [2, 5]


def test_the_mean_curve_ends_where_half_of_the_rows_have_ended():
    loss = np.ones((4, 4))
    loss[0, 1:] = loss[1, 2:] = loss[2, 2:] = np.nan
    assert np.isfinite(small(loss).mean_loss).tolist() == [True, True, False, False]
    loss[1] = 1
    loss[2] = 1
    assert np.isfinite(small(loss).mean_loss).all()
    # a value that is missing in between ends nothing
    loss[1, 1] = np.nan
    assert np.isfinite(small(loss).mean_loss).all()


def test_crossings_of_grammars_are_means_over_runs_and_late_or_early_if_a_run_is():
    loss = [
        [8.0, 4, 2, 1],  # crosses 4 at 10 and 1 at 1000
        [8.0, 8, 4, 1],  # crosses 4 at 100
        [8.0, 4, 2, 2],  # ends above 1
        [4.0, 3, 2, 1],  # begins at 4
        [8.0, 4, 2, 1],
    ]
    units = unit_crossings(small(loss, grammars=("a", "a", "b", "c", "c")))
    assert (units.unit, units.names) == ("grammars", ("a", "b", "c"))
    ln = np.log(10)
    np.testing.assert_allclose(units.ln_P, [[1.5 * ln, 3 * ln], [ln, 3 * ln], [0.5 * ln, 3 * ln]])
    assert units.late.tolist() == [[False, False], [False, True], [False, False]]
    assert units.early.tolist() == [[False, False], [False, False], [True, False]]
    assert not units.absent.any()
    runs = unit_crossings(small(loss[:3], grammars=("a",) * 3))
    assert (runs.unit, runs.names) == ("runs", ("run 0", "run 1", "run 2"))
    np.testing.assert_allclose(runs.ln_P, [[ln, 3 * ln], [2 * ln, 3 * ln], [ln, 3 * ln]])
    assert runs.late.tolist() == [[False, False], [False, False], [False, True]]


def test_steps_of_less_than_a_hundredth_are_none():
    assert LEAST_STEP == 0.01
    H = np.array(
        [[2.0, 1.0, 0.0], [2.0, 2 * np.exp(-0.0101), 1.0], [2.0, 2 * np.exp(-0.0099), 1.0], [1.0, 2.0, 1.0]]
    )
    steps = np.array([[True, False], [True, True], [False, True], [False, True]])
    falling = step_crossings(np.array([1.0, 10]), np.array([[2.0, 1.0]]), H[:1])
    assert falling.at[0, 0] == pytest.approx(10**0.5)
    assert np.isnan(falling.at[0, 1])
    given = replace(small(np.tile([8.0, 1.5, 1.2, 0.1], (4, 1))), plateaus=H)
    np.testing.assert_array_equal(unit_crossings(given).absent, ~steps)
    np.testing.assert_array_equal(
        unit_crossings(replace(given, grammars=("a", "a", "b", "b"))).absent, [[False, True], [True, False]]
    )


def test_a_predicted_step_waits_for_those_before_it():
    rhm = RHM(v=16, m=(8, 6, 1), s=2, L=3, n=4)
    alone = [LAWS["shared"].published(rhm, k) for k in range(3)]
    assert alone[2] < alone[1]
    np.testing.assert_allclose(predicted_steps(rhm, "cnn", "published"), [alone[0], alone[1], alone[1]])


# --- verdicts -----------------------------------------------------------------------------------------------


def estimate(low, high, best=4.0, **rest):
    return Estimate(best, low, high, 0.95, 5, **rest)


@pytest.mark.parametrize(
    ("measured", "predicted", "expected"),
    [
        (estimate(3.0, 5.0), 3.0, "agrees"),
        (estimate(3.0, 5.0), 5.0, "agrees"),
        (estimate(3.0, 5.0), 5.01, "disagrees"),
        (estimate(3.0, 5.0), 2.99, "disagrees"),
        (estimate(3.0, 5.99), 4.0, "agrees"),
        (estimate(3.0, 6.0), 4.0, "undecided"),
        (estimate(-5.0, -3.0, -4.0), -4.0, "undecided"),
        (estimate(0.0, 0.0, 0.0), 0.0, "undecided"),
        (estimate(3.0, 5.0, NAN), 4.0, "undecided"),
        (estimate(3.0, np.inf), 4.0, "undecided"),
        (estimate(3.0, np.inf, at_least=True), 4.0, "at least 3"),
        (estimate(3.0, np.inf, at_least=True), 3.0, "at least 3"),
        (estimate(3.0, np.inf, at_least=True), 2.0, "disagrees, at least 3"),
        (estimate(3.0, np.inf, at_least=True), np.inf, "at least 3"),
        (estimate(3.0, np.inf, at_least=True), -np.inf, "at least 3"),
        (estimate(NAN, np.inf, at_least=True), 2.0, "at least 4"),
        (estimate(NAN, NAN, NAN, at_least=True), 2.0, "undecided"),
    ],
)
def test_verdicts_at_their_limits(measured, predicted, expected):
    assert verdict(measured, predicted) == expected


# --- one network --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy():
    return measure(curves(FOUR, "net", "cnn", noise=0.2, grammars=6, constant=3))


def test_numbers_of_a_measurement_are_those_of_its_crossings(noisy):
    steps, ln_P, H = [1, 2, 3], noisy.units.ln_P, noisy.units.plateaus
    assert noisy.steps == (1, 2, 3)
    assert noisy.used == tuple(range(6))
    slopes = [np.polyfit(steps, row[steps], 1)[0] for row in ln_P]
    expected = t_estimate([slopes]).exp()
    measured = noisy.step_factor.measured
    assert (measured.best, measured.low, measured.high) == pytest.approx(
        (expected.best, expected.low, expected.high)
    )
    for k, crossing in enumerate(noisy.crossings):
        expected = t_estimate([ln_P[:, k]]).exp()
        assert (crossing.best, crossing.low, crossing.high) == pytest.approx(
            (expected.best, expected.low, expected.high)
        )
        assert (crossing.count, crossing.unit, crossing.kind) == (6, "grammars", "Student")
    assert list(noisy.factors) == [1, 2]
    for k, factor in noisy.factors.items():
        assert near(factor, t_estimate([ln_P[:, k + 1] - ln_P[:, k]]).exp())

    def exponent(which):
        P = np.exp(ln_P[which].mean(axis=0))
        return staircase_exponent([np.nan, *P[1:]], H[which].mean(axis=0))

    found = noisy.exponent.measured
    assert found.best == pytest.approx(exponent(np.arange(6)))
    assert exponent_of(ln_P, H, (1, 2, 3), np.array([0, 4])) == pytest.approx(exponent([0, 4]))
    values = pseudo_values(lambda which: np.log(exponent(which)), 6)
    expected = t_estimate([values], best=np.log(found.best)).exp()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_predictions_of_a_measurement(noisy):
    for name in ("published", "finite_size"):
        P = getattr(predict(FOUR, "cnn").P, name)
        slope = np.polyfit([1, 2, 3], np.log(P[1:]), 1)[0]
        assert noisy.step_factor.against(name).predicted == pytest.approx(np.exp(slope))
        expected = staircase_exponent([np.nan, *P[1:]], noisy.units.plateaus.mean(axis=0))
        assert noisy.exponent.against(name).predicted == pytest.approx(expected)
    assert noisy.prefactor == pytest.approx(noisy.crossings[1].best / predict(FOUR, "cnn").P.published[1])
    with pytest.raises(InputError, match="law=None has no prediction by 'guess'"):
        noisy.step_factor.against("guess")
    content = json.loads(json.dumps(noisy.to_dict(), allow_nan=False))
    np.testing.assert_allclose(content["crossings_of_units"], np.exp(noisy.units.ln_P))
    assert content["steps"] == [1, 2, 3]


def test_there_is_no_prefactor_without_a_law_or_a_crossing(noisy):
    assert np.isnan(measure(replace(noisy.curves, laws=())).prefactor)
    cut = measure(curves(THREE, "net", "transformer", noise=0.1, grammars=4, until=500))
    assert cut.crossings[1].at_least
    assert np.isnan(cut.prefactor)
    two = measure(curves(RHM(12, 3, 2, 2), "net", "cnn", constant=5))
    assert two.prefactor == pytest.approx(5, rel=0.02)


def test_parts_of_a_step_are_followed_from_nine_tenths_to_one():
    to_go = np.array([1.0, 0.91, 0.89, 0.5, 0.11, 0.09, 0.0])
    loss = 2 * 4**to_go  # from 8 to 2
    given = replace(small([loss], P=np.arange(1.0, 8)), plateaus=np.array([[8.0, 2.0, 0.5]]))
    ((x, y),) = step_curves(given, np.array([2.0, 100.0]), [0])
    assert x == pytest.approx([1.5, 2, 2.5])
    assert y == pytest.approx([0.89, 0.5, 0.11])
    (_, (x, y)) = step_curves(replace(given, loss=given.loss / 4), np.array([2.0, 4.0]), [0, 1])
    assert x == pytest.approx([0.75, 1, 1.25])
    assert y == pytest.approx([0.89, 0.5, 0.11])


def test_steps_of_one_shape_collapse_under_their_own_law_alone():
    H, P_k = FOUR.grammar(0).plateaus(), predict(FOUR, "cnn").P.published
    loss = logistic_staircase(SIZES, H, 3 * P_k, 0.1)
    given = LearningCurves(FOUR, "net", ("cnn",), ("0",), H[None], SIZES, loss[None])
    assert measure(given).steps == (1, 2, 3)
    assert measure(given).collapse < 1e-2
    assert measure(replace(given, laws=("cnn", "transformer"))).collapse < 1e-2
    # under the other law they share no range of P / P_k
    assert not measure(replace(given, laws=("transformer", "cnn"))).collapse < 0.5
    assert np.isnan(measure(replace(given, laws=())).collapse)
    early = replace(given, loss=np.where(SIZES < 3e3, loss, np.nan)[None])
    assert measure(early).steps == ()
    assert np.isnan(measure(early).collapse)


def test_a_step_that_half_of_the_grammars_lack_is_none():
    given = curves(FOUR, "net", "cnn", noise=0.1, grammars=4)
    H = given.plateaus.copy()
    H[0, 3] = H[0, 2]
    assert measure(replace(given, plateaus=H)).steps == (1, 2, 3)
    H[1, 3] = H[1, 2]
    found = measure(replace(given, plateaus=H))
    assert found.steps == (1, 3)
    assert found.used == (0, 1, 2, 3)
    assert not found.factors


def test_a_lone_step_beside_one_that_is_not_made_is_a_lower_bound_and_two_lone_ones_none():
    ends = np.array([np.inf, np.inf, np.inf, 1e4])
    found = measure(curves(FOUR, "net", "transformer", noise=0.1, grammars=4, until=ends))
    assert (found.steps, found.step_factor.measured.at_least) == ((1, 2), True)
    assert np.isnan([one.predicted for one in found.exponent.judged]).all()
    assert found.step_factor.against("published").predicted == pytest.approx(16)
    assert found.exponent.measured.count == 4
    # the factor from step 2 is not even a lower bound: where it is cut off, the step before it is, too
    assert found.factors[1].at_least
    assert list(found.factors) == [1]
    assert found.crossings[2].at_least
    assert not found.crossings[1].at_least
    first = measure(curves(FOUR, "net", "transformer", noise=0.1, grammars=4, until=1e3))
    assert (first.steps, first.factors) == ((), {})
    assert not first.step_factor.measured.at_least
    assert np.isnan(first.step_factor.measured.best)
    assert (first.step_factor.measured.count, first.step_factor.measured.unit) == (4, "grammars")


def test_steps_that_fall_between_two_neighbouring_points_have_no_factor():
    """Nothing says which of them came first, nor by how much."""
    given = curves(THREE, "net", "cnn", noise=0.1, grammars=4)
    down = given.loss.copy()
    H = given.plateaus
    for row, h in zip(down, H, strict=True):  # both steps at nearly one P, in either order
        row[:] = np.where(SIZES < 1000, h[0], h[-1] * 1.0001)
    found = measure(replace(given, loss=down))
    assert found.steps == ()
    assert np.isnan([found.step_factor.measured.best, found.exponent.measured.best, found.factors[1].best]).all()
    assert any("steps 1 and 2 fall between two neighbouring P: no factor" in note for note in found.notes)


def test_draws_within_the_errors_make_the_interval_of_one_curve():
    grammar = THREE.grammar(0)
    sizes = SIZES[::8]
    loss = smooth_staircase(grammar.plateaus(), 5 * predict(THREE, "cnn").P.published, sizes)
    error = 0.02 * loss
    found = compare(sizes, loss, grammar, law="cnn", loss_error=error, seed=3)
    noise = error * np.random.default_rng(3).standard_normal((200, 1, len(sizes)))
    drawn = np.maximum(loss + noise, loss / 10).reshape(200, -1)
    H = grammar.plateaus()
    ln_P = np.log(step_crossings(sizes, drawn, np.tile(H, (200, 1))).at)
    z = stats.norm.ppf(0.975)
    half = z * np.std(ln_P[:, 2] - ln_P[:, 1])
    measured = found.step_factor.measured
    assert (measured.count, measured.unit, measured.confidence) == (200, "noise", 0.95)
    assert np.log(measured.low / measured.best) == pytest.approx(-half, rel=1e-3)
    assert np.log(measured.high / measured.best) == pytest.approx(half, rel=1e-3)
    half = z * np.std([np.log(staircase_exponent([np.nan, *np.exp(row[1:])], H)) for row in ln_P])
    measured = found.exponent.measured
    below, above = np.log([measured.best / measured.low, measured.high / measured.best])
    assert (below, above) == pytest.approx((half, half), rel=1e-3)
    assert [note for note in found.notes if "its noise" in note] == [
        "one grammar: the interval is over its noise, and says nothing of other grammars"
    ]
    # errors of many grammars are not what their interval is made of
    grammars = [THREE.grammar(i) for i in range(4)]
    P_k = 5 * predict(THREE, "cnn").P.published
    losses = [smooth_staircase(one.plateaus(), P_k, sizes) for one in grammars]
    several = compare(sizes, losses, grammars, law="cnn", loss_error=[error] * 4)
    assert several.step_factor.measured.unit == "grammars"
    # and a lower bound stays one
    cut = sizes < 1.5e4
    bound = compare(sizes[cut], loss[cut], grammar, law="cnn", loss_error=error[cut]).step_factor.measured
    assert bound.at_least
    assert bound.unit == "runs"


def test_losses_of_large_error_stay_positive():
    grammar = THREE.grammar(0)
    loss = smooth_staircase(grammar.plateaus(), 5 * predict(THREE, "cnn").P.published, SIZES[::8])
    found = compare(SIZES[::8], loss, grammar, law="cnn", loss_error=2 * loss)
    assert found.step_factor.against("published").verdict == "undecided"


def told(found):
    """Notes, but for that on the height of crossings."""
    return tuple(note for note in found.notes if "the height at which" not in note)


def test_notes_name_what_is_left_out(noisy):
    assert told(noisy) == ()
    assert told(measure(replace(noisy.curves, diverged=2))) == ("2 runs diverged and are left out",)
    H = noisy.curves.plateaus.copy()
    H[[1, 4], 3] = H[[1, 4], 2]
    (note,) = told(measure(replace(noisy.curves, plateaus=H)))
    assert "the plateaus of seed 1, seed 4: left out" in note
    ends = np.array([1e3, np.inf, np.inf, np.inf, 3e3, 2e3])
    cut = measure(replace(noisy.curves, loss=np.where(ends[:, None] < SIZES, np.nan, noisy.curves.loss)))
    late = cut.units.late.sum(axis=0)
    assert [f"step {k} is not made by {late[k]} of 6 grammars" in " ".join(cut.notes) for k in range(4)] == [
        False, *(late[1:] > 0)
    ]  # fmt: skip
    (note,) = told(measure(curves(FOUR, "net", "cnn", grammars=2, noise=0.1)))
    assert note == "2 grammars: an interval needs at least 3"
    (note,) = told(measure(curves(FOUR, "net", "cnn", grammars=1)))
    assert note == "one curve without errors of its losses: no interval"
    cut = curves(FOUR, "net", "cnn", grammars=1, until=2e3)
    notes = told(measure(replace(cut, loss_error=0.01 * cut.loss)))
    assert notes[-1] == "one curve without the steps that a fit needs: no interval"
    assert told(measure(cut))[-1] == "one curve without errors of its losses: no interval"
    (note,) = told(measure(curves(FOUR, "net", "cnn", grammars=1, runs=4, noise=0.1)))
    assert note == "one grammar: the interval is over its runs, and says nothing of other grammars"
    sizes = SIZES[SIZES > 2e4]
    notes = told(measure(curves(FOUR, "net", "cnn", grammars=4, sizes=sizes, constant=3)))
    early = unit_crossings(curves(FOUR, "net", "cnn", grammars=4, sizes=sizes, constant=3)).early.any(axis=0)
    assert early.tolist() == [True, True, True, False]
    assert notes == ("some curve begins below step 1, 2: begin at smaller P to measure it",)


# --- one's own curve ----------------------------------------------------------------------------------------


def test_laws_of_a_curve():
    loss = smooth_staircase(THREE.plateaus(), predict(THREE, "cnn").P.published, SIZES)
    for law, expected in (
        ("both", ("cnn", "transformer")),
        ("lcn", ("lcn",)),
        (["transformer", "cnn"], ("transformer", "cnn")),
    ):
        assert compare(SIZES, loss, THREE, law=law).curves.laws == expected
    with pytest.raises(InputError, match=r"law='rnn' is unknown: choose one of .*both"):
        compare(SIZES, loss, THREE, law=["cnn", "rnn"])


def test_an_ensemble_has_the_mean_plateaus_of_drawn_grammars():
    rhm = RHM(16, 4, 2, 3, rule_probabilities=[0.4, 0.3, 0.2, 0.1])
    found = compare([10.0, 1e3], [2.0, 1.0], rhm, law="cnn")
    np.testing.assert_array_equal(found.curves.plateaus, quenched_plateaus(rhm, 48).mean[None])


@pytest.mark.parametrize("known", [True, False])
def test_no_loss_is_below_the_floor_but_for_its_errors(known):
    """Of an ensemble, half of the lowest floor of drawn grammars: they differ by half at (16,4,2,4)."""
    part, language = (0.9, THREE.grammar(0)) if known else (0.5, THREE)
    floor = language.plateaus()[-1] if known else quenched_plateaus(THREE, 48).values[:, -1].min()
    P = np.array([10.0, 100, 1000])

    def loss(end):
        return np.array([2.0, 1.0, end * floor])

    assert compare(P, loss(part + 0.01), language)
    with pytest.raises(InputError, match="below the entropy of its language"):
        compare(P, loss(part - 0.01), language)
    error = np.array([0, 0, 0.1 * floor])
    assert compare(P, loss(part - 0.29), language, loss_error=error)
    with pytest.raises(InputError, match=f"row 1 comes down to {(part - 0.31) * floor:.4g} nats"):
        compare(P, [loss(1), loss(part - 0.31)], language, loss_error=[error, error])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"P": [10.0], "loss": [2.0]}, "give two sizes or more"),
        ({"P": [[10.0, 100.0]]}, "holds curves of .2. sizes"),
        ({"loss": np.ones((1, 1, 2))}, r"loss \(1, 1, 2\)"),
        ({"P": [0.0, 100.0]}, "positive, finite and increasing"),
        ({"P": [10.0, 10.0]}, "positive, finite and increasing"),
        ({"P": [10.0, np.inf]}, "positive, finite and increasing"),
        ({"loss": [2.0, np.inf]}, "infinite or not positive"),
        ({"loss": [2.0, -1.0]}, "infinite or not positive"),
        ({"loss": [2.0, 0.0]}, "below the entropy of its language"),
        ({"loss": [[2.0, 1.0], [NAN, NAN]]}, "a row without any number"),
        ({"loss_error": [0.1, NAN]}, "standard errors"),
        ({"loss_error": [0.1, -0.1]}, "standard errors"),
        ({"grammar": [THREE.grammar(0), 3], "loss": [[2.0, 1.0]] * 2}, "must be a Grammar"),
    ],
)
def test_curves_that_cannot_be(change, message):
    given = {"P": [10.0, 100.0], "loss": [2.0, 1.0], "grammar": THREE.grammar(0)} | change
    with pytest.raises(InputError, match=message):
        compare(**given)


def test_errors_count_only_where_there_are_losses():
    found = compare([10, 100, 1000], [2.0, NAN, 1.0], THREE, loss_error=[0.0, NAN, 0.1])
    assert np.isnan(found.curves.loss[0, 1])


def test_rows_are_runs_of_one_grammar_or_grammars_of_their_own():
    P, loss = [10, 100], np.array([2.0, 1.0])
    three, two = [loss, 1.01 * loss, 1.02 * loss], [loss, 1.01 * loss]
    one, other = THREE.grammar(0), THREE.grammar(1)
    assert compare(P, three, one).units.names == ("run 0", "run 1", "run 2")
    several = compare(P, three, [one, other, one])
    assert several.units.names == tuple(f"grammar {g.fingerprint[:8]}" for g in (one, other))
    np.testing.assert_array_equal(several.curves.plateaus, [g.plateaus() for g in (one, other, one)])
    ensemble = compare(P, two, THREE)
    assert ensemble.units.names == ("row 0", "row 1")
    with pytest.raises(InputError, match="1 grammars for 2 rows"):
        compare(P, two, [one])
    assert compare(P, loss, one).curves.label == "own network"


def test_columns_are_found_by_name_in_any_order(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("\ufeffrun, P ,loss\na,10,2.5\n a,20,1.5\nb,20,1.0\n", encoding="utf-8")
    table = read_curves(path)
    assert table.grammars == ("", "")
    assert table.loss_error is None
    np.testing.assert_array_equal(table.P, [10, 20])
    np.testing.assert_array_equal(table.loss, [[2.5, 1.5], [NAN, 1.0]])


def test_files_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_bytes(b"P,loss\n10,\xff\n")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_curves(path)
    path.write_text("P,loss,error\n10,2,?\n")
    with pytest.raises(InputError, match=r"line 2: error='\?' is not a number"):
        read_curves(path)


def test_grammars_of_a_table():
    def table(*names):
        return CurveTable(names, np.array([1.0, 2.0]), np.ones((len(names), 2)), None)

    drawn = []

    def draw(name):
        drawn.append(name)
        return THREE.grammar(int(name))

    g = THREE.grammar(5)
    assert grammars_of(table("0", "0"), THREE, g, draw) == [g, g]
    assert grammars_of(table(""), THREE, g, draw) == [g]
    assert grammars_of(table("", ""), THREE, None, draw) is THREE
    with pytest.raises(InputError, match="the file has curves of 2"):
        grammars_of(table("0", "1"), THREE, g, draw)
    assert not drawn
    found = grammars_of(table("1", "0", "1"), THREE, None, draw)
    assert drawn == ["1", "0"]
    assert found == [THREE.grammar(1), THREE.grammar(0), THREE.grammar(1)]
