"""Changes of variables: inverses against what they invert, the transformed programme against the stated one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from markets import AT_LEAST_ONE, NONNEGATIVE, Cost, K, falling, genai, law, multitask, param, several_creators, single
from scipy.optimize import brentq

from mechdsl.errors import InternalError
from mechdsl.evaluate import evaluate
from mechdsl.formula import REAL_LINE, Interval, Quantity
from mechdsl.market import Market
from mechdsl.program import Optimum, Variable
from mechdsl.theory.change_of_variables import (
    change_of_variables_step,
    changes_of_variables,
    inverse_at,
    inverse_of,
    transformed_demand_step,
    transformed_program,
)
from mechdsl.theory.curvature import ranges_of
from mechdsl.theory.pointwise import pointwise_program
from mechdsl.theory.virtual_cost import virtual_cost_of

X = Quantity("x", (), "decision", NONNEGATIVE)
Y = Quantity("y", (), "decision", NONNEGATIVE)
R = Quantity("r", (), "param", AT_LEAST_ONE)
A = Quantity("a", (), "param", NONNEGATIVE)
B = Quantity("b", (), "param", Interval(0, float("inf"), True))
W = Quantity("w", (), "param", REAL_LINE)
DATA = {R: np.array(1.7), A: np.array(0.4), B: np.array(0.6), W: np.array(0.9)}
PROGRAM = Optimum("minimize", sp.S.Zero, (Variable(X, ()),), (), DATA)

INVERTIBLE = [
    X,
    3 * X,
    X / 2 + 1,
    X**R,
    B * X**R + A,
    X**2,
    X + X**2,
    B * X + A * X**2,
    B * X**2 + A * X,
    X**R + X ** (2 * R),
    sp.exp(X) - 1,
    sp.exp(B * X) / B,
    sp.exp(X**2),
    2**X,
    (1 + B) ** X,
    sp.log(1 + X),
    (X + 1) ** R - 1,
    sp.exp(X + X**2),
    sp.sqrt(X + B),
    (1 + X**2) ** 3,
]


@pytest.mark.parametrize("phi", INVERTIBLE, ids=str)
def test_inverses_invert(phi: sp.Expr) -> None:
    found = inverse_of(phi, X, Y, ranges_of(PROGRAM))
    assert found is not None
    rng = np.random.default_rng(4)
    x = np.concatenate(([0.0], rng.uniform(0, 3, 50)))
    data = {R: 1 + rng.exponential(size=51), A: rng.exponential(size=51), B: rng.exponential(size=51) + 0.05}
    y = evaluate(phi, {**data, X: x})
    np.testing.assert_allclose(evaluate(found, {**data, Y: y}), x, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    "phi",
    [
        X + sp.exp(X) - 1,  # no closed inverse in the functions of the language
        X**3 + X,  # left to numbers
        (X - 1) ** 2,  # not monotone on x >= 0
        W * X,  # may be 0
        X**2 - X,
        X**R + X ** (3 * R),
        A * X**2 + A * X,  # both coefficients may be 0
        A**X,  # the base may be 1, or 0
    ],
    ids=str,
)
def test_what_rules_cannot_invert_is_left(phi: sp.Expr) -> None:
    assert inverse_of(phi, X, Y, ranges_of(PROGRAM)) is None


def test_data_may_show_what_ranges_do_not() -> None:
    assert inverse_of(W * X, X, Y, ranges_of(PROGRAM, "data")) == Y / W


COSTS: list[tuple[str, Cost, Callable[[float], float]]] = [
    ("power", lambda c, x: c * x**3, lambda x: x**3),
    ("exponential", lambda c, x: c * (sp.exp(x) - 1), lambda x: np.exp(x) - 1),
    ("quadratic", lambda c, x: c * (x + x**2) + 2 * x, lambda x: x + x**2),
    ("cubic", lambda c, x: c * (x**3 + x), lambda x: x**3 + x),
    ("mixed", lambda c, x: c * (x + sp.exp(x) - 1), lambda x: x + np.exp(x) - 1),
    ("fixed", lambda c, x: c * (1 + x**2), lambda x: 1 + x**2),
]


@pytest.mark.parametrize(("cost", "phi"), [c[1:] for c in COSTS], ids=[c[0] for c in COSTS])
def test_numbers_where_there_is_no_closed_inverse(cost: Cost, phi: Callable[[float], float]) -> None:
    market = single(cost, law("uniform", 0, 1))
    (change,) = changes_of_variables(market)
    assert change.convex.proved
    assert change.convex.nondecreasing
    for y in (phi(0.0), 1.3, 7.0, 300.0):
        expected = brentq(lambda x, y=y: phi(x) - y, 0, 400, xtol=1e-14) if phi(0.0) != y else 0.0
        found = inverse_at(change, np.array([y]), market)
        assert found == pytest.approx(expected, abs=1e-12)
        if change.inverse is not None:
            assert float(evaluate(change.inverse, {change.linear: np.array(y)})) == pytest.approx(expected, abs=1e-7)
    assert np.isnan(inverse_at(change, np.array([phi(0.0) - 1.0]), market)).all()


def test_numeric_inverse_of_tables() -> None:
    market = genai()
    (change,) = changes_of_variables(market)
    x = np.array([[0.0, 1.0], [2.5, 1e-8], [1e6, 40.0]])
    y = x ** np.array([1.2, 1.3])
    np.testing.assert_allclose(inverse_at(change, y, market), x, rtol=1e-14)


def test_the_step_says_what_follows() -> None:
    step = change_of_variables_step(genai())
    assert step.proved is True
    assert step.holds
    assert str(step.formula) == "Eq(y[k], x[k]**rho[k])"
    assert dict(step.formulas)["creator: inverse"] == sp.Eq(
        genai().choices[0].quantity[K], changes_of_variables(genai())[0].inverse, evaluate=False
    )
    cubic = change_of_variables_step(single(COSTS[3][1], law("uniform", 0, 1)))
    assert cubic.proved is False
    assert "bisection" in cubic.because
    assert "fixed cost" in change_of_variables_step(single(COSTS[5][1], law("uniform", 0, 1))).because
    assert "fixed cost" not in step.because
    several = change_of_variables_step(multitask())
    assert "several choices" in several.because
    assert changes_of_variables(multitask())[0].inverse is None
    with pytest.raises(InternalError, match="no inverse"):
        inverse_at(changes_of_variables(multitask())[0], np.array([1.0]), multitask())


def test_a_shape_that_is_not_convex_is_said_to_fail() -> None:
    concave = change_of_variables_step(single(lambda c, x: c * sp.sqrt(x), law("uniform", 0, 1)))
    assert concave.holds is False
    assert "not convex" in concave.because
    falls = change_of_variables_step(single(lambda c, x: c * sp.exp(-x), law("uniform", 0, 1)))
    assert falls.holds is False
    assert "not shown to be nondecreasing" in falls.because


def test_a_known_cost_is_kept_apart() -> None:
    market = single(lambda c, x: c * x**2 + 3 * x + 1, law("uniform", 0, 1))
    (change,) = changes_of_variables(market)
    x, c = market.choices[0].quantity, market.types[0].quantity
    assert change.phi == x**2
    assert sp.expand(change.cost.known - (3 * x + 1)) == 0
    assert sp.expand(market.layers[1].cost - (c * change.phi + change.cost.known)) == 0


STATED = {
    "genai": genai(),
    "training": genai(training=0.1),
    "creators": several_creators(),
    "quadratic": single(COSTS[2][1], law("uniform", 0, 1)),
}


@pytest.mark.parametrize("market", STATED.values(), ids=STATED)
def test_the_transformed_programme_says_the_same(market: Market) -> None:
    """At any x, and y = phi(x): equal objectives, equal slacks."""
    weight = virtual_cost_of(market.types[0])
    stated, transformed = pointwise_program(market, weight), transformed_program(market, weight)
    (change,) = changes_of_variables(market)
    assert transformed is not None
    assert change.choice is not None
    rng = np.random.default_rng(11)
    shape = change.choice.quantity.shape
    x, w = rng.uniform(0.01, 5, size=(40, *shape)), rng.exponential(size=(40, *shape))
    in_x: dict[Quantity, Any] = {**market.data, change.choice.quantity: x, weight: w}
    in_y = {**market.data, change.linear: evaluate(change.phi, in_x, change.letters), weight: w}
    np.testing.assert_allclose(evaluate(transformed.objective, in_y), evaluate(stated.objective, in_x), rtol=1e-12)
    for a, b in zip(transformed.constraints, stated.constraints, strict=True):
        left, right = evaluate(a.left - a.right, in_y, a.letters), evaluate(b.left - b.right, in_x, b.letters)
        np.testing.assert_allclose(left, right, rtol=1e-11, atol=1e-11)
    assert change.linear in {v.quantity for v in transformed.variables}


def test_transformed_demand_of_the_paper_is_concave_for_all_data() -> None:
    for market in (genai(), several_creators()):
        step = transformed_demand_step(market)
        assert step.proved is True
        assert step.holds


def test_a_falling_term_loses_concavity_in_y() -> None:
    """`x1 - x2/2 >= 1`, rho = 2: the y-set is not convex, and two of its points show it."""
    step = transformed_demand_step(falling())
    assert step.holds is False
    assert "solved in x" in step.because
    assert "y[text]" in step.because
    feasible = [np.sqrt(a) - np.sqrt(b) / 2 >= 1 for a, b in ((1, 0), (4, 4), (2.5, 2))]
    assert feasible == [True, True, False]


def test_composition_proves_what_no_formula_shows() -> None:
    """phi = x + exp(x) - 1 has no closed inverse; a nondecreasing concave demand is concave in y all the same."""
    step = transformed_demand_step(single(COSTS[4][1], law("uniform", 0, 1)))
    assert step.holds
    assert step.proved is True
    assert "inverse of an increasing convex function" in step.because
    assert "φ⁻¹" in str(step.formula)


def test_without_private_types_there_is_nothing_to_change() -> None:
    market = single(lambda c, x: x**2 + 0 * c, law("uniform", 0, 1))
    step = change_of_variables_step(replace(market, types=()))
    assert step.proved is None
    assert "nothing to screen" in step.because


def test_the_new_name_avoids_the_files_own() -> None:
    market = genai()
    taken = param("y", 1.0)[0]
    renamed = replace(market, declarations={**market.declarations, "y": taken})
    assert str(changes_of_variables(renamed)[0].linear.name) == "y′"
