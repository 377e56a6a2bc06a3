"""Every closed formula at numbers for which it can be worked out by hand."""

import math
import pickle
from fractions import Fraction

import pytest

from rhmtheory import RHM, InputError, formulas
from rhmtheory.theory.laws import ARCHITECTURES, LAWS, Law, as_law

F = Fraction


@pytest.mark.parametrize(
    ("formula", "arguments", "value"),
    [
        (formulas.fraction, (8, 3, 2, 7), F(24, 49)),
        (formulas.token_correlation, (8, 3, F(1, 4), 6, 5), F(3, 4) / (25 * 24 * 36)),
        (formulas.symbol_correlation, (F(1, 7), 9), F(9, 7)),
        (formulas.tuple_correlation, (F(1, 7), 9, 4), F(9, 7 * 16)),
        (formulas.sampling_noise, (64, 100), F(1, 6400)),
        (formulas.sample_complexity, (8, 3, F(1, 4)), 32),
        (formulas.sample_complexity, (8, 3 * 5**2, F(1, 4)), 32 * 25),
        (formulas.sample_complexity, (8, 3 * 5 * 7, F(1, 4)), 32 * 35),
        (formulas.sample_complexity, (6, 81, 0), 486),
        (formulas.sample_complexity, (8, 27, 0), 216),
        (formulas.alpha, (1 / 8, 4), 1.5),
        (formulas.beta, (8, 4), 1.5),
        (formulas.gamma, (1 / 8, 4), 1.5),
        (formulas.corpus_alpha, (F(3, 2), F(5, 4)), F(5, 12)),
        (formulas.effective_range, (625.0, 2.0), 5),
        (formulas.compatible_step, (F(3), 5, 2, 25), F(4 * 7, 24)),
        (formulas.compatible_symbols, (F(4), 2, 2, 0), 4),
        (formulas.compatible_symbols, (F(4), 2, 2, 1), 1 + F(3 * 7, 15)),
        (formulas.compatible_symbols, (F(4), 2, 2, 2), 1 + F(3, 15) * (2 * F(21, 15) + 1)),
        (formulas.compatible_symbols_asymptotic, (8, F(1, 4), 2), F(4, 3) + F(1, 2)),
    ],
)
def test_formulas_by_hand(formula, arguments, value):
    found = formula(*map(F, arguments) if isinstance(value, F) else arguments)
    assert found == (value if isinstance(value, F) else pytest.approx(float(value)))


@pytest.mark.parametrize("formula", [formulas.alpha, formulas.beta, formulas.gamma])
def test_any_logarithm_will_do(formula):
    assert formula(0.25, 3) == pytest.approx(formula(0.25, 3, math.log2))


def test_laws_are_their_formulas():
    assert tuple(ARCHITECTURES) == ("transformer", "lcn", "cnn")
    shared, unshared = LAWS["shared"], LAWS["unshared"]
    assert tuple(ARCHITECTURES.values()) == (unshared, unshared, shared)
    # levels with 3, 5 and 2 rules, and 8 symbols at the ancestor's
    rhm = RHM(v=(7, 9, 8), m=(3, 5, 2), s=2, L=3)
    for k, f, rules in ((0, F(27, 49), 3), (1, F(40, 81), 5 * 3 * 3), (2, F(16, 64), 2 * (5 * 3) ** 2)):
        assert unshared.published(rhm, k) == pytest.approx(float(rhm.n_symbols(k + 1) * rules / (1 - f)))
    for k, f, rules in ((0, F(27, 49), 3), (1, F(40, 81), 5 * 3 * 3), (2, F(16, 64), 2 * 5 * 3 * 5)):
        assert shared.published(rhm, k) == pytest.approx(float(rhm.n_symbols(k + 1) * rules / (1 - f)))
    assert [shared.side_level(k) for k in range(4)] == [0, 1, 2, 3]
    assert [unshared.side_level(k) for k in range(4)] == [0, 1, 1, 1]
    alike = RHM(v=16, m=3, s=2, L=3)
    assert (shared.step_factor(alike), unshared.step_factor(alike)) == (3, 9)
    assert (shared.step_text, unshared.step_text, LAWS["own latents"].step_text) == ("m", "m**2", "1")
    assert (str(shared), str(unshared)) == ("with sharing", "without sharing")
    assert pickle.loads(pickle.dumps(shared)) == shared != unshared
    with pytest.raises(AttributeError):
        shared.name = "other"


def test_a_law_by_name_or_as_it_is():
    own = Law("own", lambda k: 0, lambda k: k)
    assert as_law(own) is own
    assert as_law("lcn") is LAWS["unshared"]
    assert as_law("effective targets") is LAWS["effective targets"]
    for name in ("mlp", None, ["cnn"]):
        with pytest.raises(InputError, match=r"architecture=.* is unknown: choose one of transformer, lcn, cnn"):
            as_law(name)
