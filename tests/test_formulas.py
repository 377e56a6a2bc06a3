"""Every closed formula at numbers for which it can be worked out by hand."""

import math
from fractions import Fraction

import pytest

from rhmtheory import InputError, formulas
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
        (formulas.first_complexity, (8, 3, F(1, 4)), 32),
        (formulas.unshared_complexity, (8, 3, F(1, 4), 5), 32 * 25),
        (formulas.shared_complexity, (8, 3, F(1, 4), 5, 7), 32 * 35),
        (formulas.unshared_step, (5,), 25),
        (formulas.shared_step, (5,), 5),
        (formulas.classification_complexity, (6, 81), 486),
        (formulas.own_latents_complexity, (8, 3), 216),
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
    assert ARCHITECTURES == ("transformer", "lcn", "cnn")
    assert [law.sharing for law in LAWS.values()] == [False, False, True]
    parameters = (8, 3, F(1, 4), 5, 7)
    shared, unshared = Law(sharing=True), Law(sharing=False)
    assert shared.complexity(*parameters) == 32 * 35
    assert unshared.complexity(*parameters) == 32 * 25
    assert shared.complexity(8, 3, F(1, 4), 1, 1) == unshared.complexity(8, 3, F(1, 4), 1, 1) == 32
    assert [shared.side(k) for k in range(4)] == [0, 1, 2, 3]
    assert [unshared.side(k) for k in range(4)] == [0, 1, 1, 1]
    assert (shared.step(3), unshared.step(3)) == (3, 9)
    assert (shared.step_text, unshared.step_text) == ("m", "m**2")
    assert (str(shared), str(unshared)) == ("with sharing", "without sharing")
    with pytest.raises(AttributeError):
        shared.sharing = False


def test_a_law_by_name_or_as_it_is():
    own = Law(sharing=True)
    assert as_law(own) is own
    assert as_law("lcn") is LAWS["lcn"]
    with pytest.raises(InputError, match="architecture='mlp' is unknown: choose one of transformer, lcn, cnn"):
        as_law("mlp")
