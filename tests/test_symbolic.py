"""The expressions against the numeric functions, at random parameters and in the limit."""

import subprocess
import sys
from fractions import Fraction
from math import log

import numpy as np
import pytest
import sympy

from rhmtheory import ARCHITECTURES, RHM, InputError, ensemble, formulas, predict, symbolic
from rhmtheory.ensemble.moments import LevelNumbers, Moments
from rhmtheory.theory.symbolic import FORMULAS, leading_correction, marginal_moments, second_moment, substitute


def random_ensembles(count, seed):
    """Homogeneous ensembles of any admissible size."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        v, s = int(rng.integers(2, 40)), int(rng.integers(2, 4))
        yield RHM(v=v, m=int(rng.integers(1, v ** (s - 1))), s=s, L=int(rng.integers(1, 5)))


def number(name, rhm, **values):
    return float(substitute(FORMULAS[name], v=rhm.v, m=rhm.m, s=rhm.s, **values))


@pytest.mark.parametrize("rhm", list(random_ensembles(6, seed=0)), ids=str)
def test_closed_formulas_are_the_numeric_ones(rhm):
    assert number("fraction", rhm) == pytest.approx(rhm.f)
    for level in range(1, rhm.L + 1):
        C2 = rhm.rms_correlation(level, method="published") ** 2
        assert number("correlation", rhm, l=level) == pytest.approx(C2)
        # the sample complexity is where the noise is as large
        P = number("token_complexity", rhm, l=level)
        assert number("noise", rhm, P=P) == pytest.approx(C2)
        assert number("noise_tuple", rhm, P=P) == pytest.approx(C2 / rhm.m)
    for architecture in ARCHITECTURES:
        prediction = predict(rhm, architecture)
        kind = "cnn" if architecture == "cnn" else "transformer"
        P = [number("sample_complexity_first", rhm)]
        P += [number(f"sample_complexity_{kind}", rhm, k=k) for k in range(1, rhm.L)]
        np.testing.assert_allclose(prediction.P.published, P)
        assert prediction.step_factor == pytest.approx(number(f"step_factor_{kind}", rhm))
        if rhm.m > 1:
            assert prediction.exponent == pytest.approx(number(f"alpha_{kind}", rhm))
    annealed = [number("annealed_plateau", rhm, k=k) for k in range(rhm.L + 1)]
    np.testing.assert_allclose(rhm.plateaus("annealed"), annealed)


@pytest.mark.parametrize("shape", [(32, 8, 2), (16, 4, 2), (8, 2, 2), (12, 3, 2)])
def test_transition_of_the_noisy_tree(shape):
    rhm = RHM(*shape, L=4)
    found = rhm.noise_transition()
    assert number("belief_star", rhm) == pytest.approx(found.belief, rel=1e-10)
    assert number("noise_star", rhm) == pytest.approx(found.noise, rel=1e-10)
    assert number("nu", rhm) == pytest.approx(found.nu, rel=1e-9)
    assert number("belief_map", rhm, p=found.belief) == pytest.approx(found.belief, rel=1e-10)


@pytest.mark.parametrize("shape", [(32, 8, 2), (8, 8, 3), (8, 6, 2), (5, 1, 3)])
def test_slopes_of_the_noisy_tree(shape):
    rhm = RHM(*shape, L=2)
    found = rhm.noise_transition()
    assert number("belief_slope_uninformed", rhm) == pytest.approx(found.slope_uninformed, rel=1e-12)
    assert number("belief_slope_informed", rhm) == pytest.approx(found.slope_informed, rel=1e-12)
    beliefs = rhm.noise_flow(0.3)
    assert number("belief_map", rhm, p=float(beliefs[0])) == pytest.approx(beliefs[1], rel=1e-12)


def test_relations_between_formulas():
    expression = {name: formula.expression for name, formula in FORMULAS.items()}
    m, k, L = symbolic.m, symbolic.k, symbolic.l
    ratio = expression["alpha_transformer"] / (expression["gamma"] / (2 * expression["beta"]))
    assert sympy.simplify(ratio) == 1
    assert sympy.simplify(expression["alpha_corpus"] - expression["alpha_transformer"]) == 0
    assert sympy.simplify(expression["alpha_cnn"] / expression["alpha_transformer"]) == 2
    for kind in ("transformer", "cnn"):
        P = expression[f"sample_complexity_{kind}"]
        assert sympy.simplify(P.subs(k, k + 1) / P) == expression[f"step_factor_{kind}"]
    resolved = expression["token_complexity"].subs(L, k + 1)
    assert sympy.simplify(resolved - expression["sample_complexity_transformer"]) == 0
    # a tuple below a level-k symbol, resolved against its own noise
    tuple_level = (expression["noise_tuple"] / expression["correlation_tuple"]).subs(L, k + 1) * symbolic.P
    assert sympy.simplify(tuple_level / expression["sample_complexity_cnn"]) == 1
    general = expression["sample_complexity"]
    for name, rules in (
        ("sample_complexity_effective", k + 2),
        ("own_latents", 3),
        ("token_complexity", 2 * L - 1),
    ):
        assert sympy.simplify(expression[name] / general.subs(symbolic.r, rules)) == 1
    assert sympy.simplify(expression["classification"] - symbolic.n * m**symbolic.L) == 0
    assert sympy.simplify(expression["correlation_symbol"] / expression["correlation_tuple"]) == m**2
    assert substitute(expression["effective_range"], m=8, s=2, P=64) == 2
    assert log(2) / log(8) == pytest.approx(float(1 / substitute(expression["beta"], m=8, s=2)))


def test_compatible_symbols_solve_their_recursion_and_have_the_limit():
    v, m, s, k, f = (symbolic.SYMBOLS[name] for name in "vmskf")
    n_k = FORMULAS["compatible_symbols"].expression
    step = 1 + formulas.compatible_step(n_k - 1, v, m, v**s)
    assert sympy.simplify(step - 1 - (v - 1) * (m * n_k - 1) / (v**s - 1)) == 0
    assert sympy.simplify(n_k.subs(k, 0) - v) == 0
    assert sympy.simplify(n_k.subs(k, k + 1) - step) == 0
    asymptotic = FORMULAS["compatible_symbols_asymptotic"].expression
    for depth in (1, 2, 3):
        exact = n_k.subs({s: 2, k: depth}).subs(m, f * v)
        assert sympy.limit(exact / asymptotic.subs(k, depth), v, sympy.oo) == 1


def test_every_formula_is_documented_and_prints():
    for name, formula in FORMULAS.items():
        assert formula.meaning, name
        assert formula.status in ("definition", "exact", "asymptotic", "scaling")
        assert formula.expression.free_symbols <= set(symbolic.SYMBOLS.values())
        assert formula._repr_latex_() == f"$\\displaystyle {formula.latex()}$"
    assert FORMULAS["beta"].latex() == r"\frac{\log{\left(m \right)}}{\log{\left(s \right)}}"


# --- exact moments -----------------------------------------------------------------------------------

CASES = [
    {"lca_level": 1},
    {"lca_level": 2, "above": 1},
    {"lca_level": 2, "s": 3, "branches": "same"},
    {"lca_level": 3, "branches": "different"},
    {"lca_level": 3, "branches": [True, False]},
    {"lca_level": 1, "above": 1, "classes": True},
    {"lca_level": 3, "hidden_levels": (2, 0), "tuples": (True, False)},
    {"lca_level": 2, "hidden_levels": (2, 0), "above": 1},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rational_functions_are_the_exact_moments(case):
    expression = second_moment(**case)
    case = dict(case)
    level, s, above, classes = (
        case.pop("lca_level"),
        case.pop("s", 2),
        case.pop("above", 0),
        case.pop("classes", False),
    )
    for v, m in ((2, 1), (5, 3), (16, 4), (16, 16)):
        n = 3 if classes else v
        rhm = RHM(v=v, m=m, s=s, L=level + above, n=n)
        exact = ensemble.second_moment(rhm, level, fractions=True, **case)
        assert substitute(expression, v=v, m=m, n=n) == sympy.sympify(exact)
    # and the same function between the integers
    rng = np.random.default_rng(0)
    for _ in range(3):
        v, m, n = (Fraction(int(a), int(b)) for a, b in rng.integers(1, 50, size=(3, 2)))
        n = n if classes else v
        q = (1 / m, 1 / m**2, 1 / m**3)
        levels = [LevelNumbers(n if i == level + above else v, v, m, s, q) for i in range(1, level + above + 1)]
        same = {"mean": Fraction(1, s), "same": Fraction(1), "different": Fraction(0)}
        branches = case.get("branches", "mean")
        weights = [same[branches]] * level if isinstance(branches, str) else [Fraction(x) for x in branches]
        nodes, tuples = case.get("hidden_levels", (0, 0)), case.get("tuples", (False, False))
        value = Moments(levels).mean_square(level, weights[: level - 1 - max(nodes)], nodes, tuples)
        assert substitute(expression, v=v, m=m, n=n) == sympy.sympify(value)


@pytest.mark.parametrize("s", [2, 3])
@pytest.mark.parametrize("above", [1, 2])
def test_marginals_are_the_exact_ones(above, s):
    exact = ensemble.marginal_moments(RHM(v=7, m=3, s=s, L=above, n=2), 0, fractions=True)
    values = [substitute(x, v=7, m=3, n=2) for x in marginal_moments(above, s=s, classes=True)]
    assert values == [sympy.sympify(x) for x in exact]
    assert all(isinstance(x, float) for x in ensemble.marginal_moments(RHM(v=7, m=3, s=s, L=above, n=2), 0))


def test_without_correlation_the_factor_one_minus_f_remains():
    v, m = symbolic.v, symbolic.m
    assert second_moment(3).subs(m, v) == 0
    assert second_moment(2, s=3).subs(m, v**2) == 0


@pytest.mark.parametrize("s", [2, 3])
@pytest.mark.parametrize(("level", "above"), [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (1, 2)])
def test_the_asymptotic_formula_is_the_limit(level, above, s):
    for branches in ("mean", "different", "same"):
        limit, coefficient = leading_correction(lca_level=level, s=s, above=above, branches=branches)
        assert limit == 1
        assert sympy.simplify(coefficient + 2 * level - (1 / symbolic.f if above and s == 2 else 0)) == 0


@pytest.mark.parametrize(("level", "above"), [(1, 0), (2, 1)])
def test_the_correction_is_seen_in_numbers(level, above):
    v, f = 10**5, Fraction(1, 2)
    rhm = RHM(v=v, m=v // 2, s=2, L=level + above)
    C2 = ensemble.second_moment(rhm, level, fractions=True)
    ratio = C2 / ((1 - f) / (v**3 * Fraction(rhm.m) ** (2 * level - 1)))
    assert float((ratio - 1) * v) == pytest.approx(
        float(substitute(leading_correction(level, above=above).coefficient, f=f)), rel=1e-3
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: second_moment(0), "lca_level=0"),
        (lambda: second_moment(1, s=1), "s=1"),
        (lambda: second_moment(1, above=-1), "above=-1"),
        (lambda: second_moment(2, branches="all"), "branches='all'"),
        (lambda: marginal_moments(-1), "above=-1"),
        (lambda: leading_correction(1, above=1.5), "above=1.5"),
        (lambda: substitute(symbolic.v, w=1), "w=1 is no symbol"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_numbers_do_not_import_sympy():
    program = (
        "import sys, rhmtheory as rt; rt.predict(rt.RHM(8, 2, 2, 2), 'cnn'); rt.RHM(8, 2, 2, 2).rms_correlation(1);"
        "sys.exit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
