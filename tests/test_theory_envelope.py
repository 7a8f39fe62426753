"""The envelope payment by hand: its formula integrated, its closed form, its slope, what it makes of lies."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from markets import genai, law, market, multitask, param, single
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from mechdsl.derivation import Step
from mechdsl.distributions import Distribution
from mechdsl.market import Layer, Market
from mechdsl.theory.change_of_variables import changes_of_variables
from mechdsl.theory.envelope import envelope_step
from mechdsl.theory.notation import Rule, Slope, highest
from mechdsl.theory.virtual_cost import virtual_cost_of

UNIFORM = law("uniform", 1, 2)


def affine(distribution: Distribution) -> tuple[float, float] | None:
    return distribution.affine_virtual_cost


def elastic(distribution: Distribution, goal: str) -> Market:
    """Value `d log(1 + x)`, cost `c x`: `x(w) = max(0, d/w - 1)` at a weight w, by hand."""
    return single(lambda c, x: c * x, distribution, demand=5.0, goal=goal, value=lambda x, d: d * sp.log(1 + x))


def bought(weight: float, taste: float = 5.0) -> float:
    return max(0.0, taste / weight - 1.0)


def least_value(weight: float, taste: float = 5.0) -> float:
    """`Psi(w) = min_x w x - d log(1 + x)`, by scalar minimisation."""
    found = minimize_scalar(
        lambda x: weight * x - taste * np.log1p(x), bounds=(0, 50), method="bounded", options={"xatol": 1e-12}
    )
    return float(min(found.fun, 0.0))


def shown(step: Step, label: str) -> sp.Basic:
    return next(f for name, f in (("payment", step.formula), *step.formulas) if name.endswith(label))


def payment_at(step: Step, built: Market, c: float, y: Callable[[float], float]) -> float:
    """The step's payment formula in numbers: its integral by quadrature of `y`, its `y` at the report."""
    private, (change,) = built.types[0], changes_of_variables(built)
    formula = step.formula.rhs
    (integral,) = formula.atoms(sp.Integral)
    _, lower, upper = integral.limits[0]
    assert lower == private.quantity
    assert upper == highest(private, ())
    rent = quad(y, c, private.distributions[0].upper, epsabs=1e-13, limit=200)[0]
    x = built.choices[0].quantity
    numbers = {integral: sp.Float(rent), change.entry: sp.Float(y(c)), private.quantity: sp.Float(c), x: sp.Float(y(c))}
    return float(formula.xreplace(numbers))


@pytest.mark.parametrize(
    ("distribution", "phi"), [(UNIFORM, 8.0), (law("beta", 2, 3, on=(0, 1)), 8.0), (law("point", 2), 8.0)], ids=str
)
def test_inelastic_demand_is_paid_the_highest_cost(distribution: Distribution, phi: float) -> None:
    """`x >= 2`, cost `c x^3`: y = 8 at every report, so the payment is `8 b` whatever is reported."""
    built = single(lambda c, x: c * x**3, distribution)
    step = envelope_step(built, virtual_cost_of(built.types[0]), affine)
    for share in (0.0, 0.3, 0.9):
        c = distribution.lower + share * (distribution.upper - distribution.lower)
        assert payment_at(step, built, c, lambda t: phi) == pytest.approx(phi * distribution.upper, rel=1e-12)


@pytest.mark.parametrize("c", [1.0, 1.3, 1.9, 2.0])
def test_elastic_demand_against_a_hand_integral(c: float) -> None:
    """Weight `2c - 1`: `int_c^2 (5/(2t - 1) - 1) dt = (5/2) log(3/(2c - 1)) - (2 - c)`."""
    built = elastic(UNIFORM, "revenue")
    step = envelope_step(built, virtual_cost_of(built.types[0]), affine)
    y = bought(2 * c - 1)
    by_hand = c * y + 2.5 * np.log(3 / (2 * c - 1)) - (2 - c)
    assert payment_at(step, built, c, lambda t: bought(2 * t - 1)) == pytest.approx(by_hand, rel=1e-10)


@pytest.mark.parametrize(("goal", "weight"), [("revenue", lambda t: 2 * t - 1), ("welfare", lambda t: t)])
@pytest.mark.parametrize("c", [1.0, 1.4, 1.95])
def test_the_closed_rent_is_the_integral(goal: str, weight: Callable[[float], float], c: float) -> None:
    """Both sides of the step's `rent, closed`, Psi by minimisation and the integral by quadrature."""
    built = elastic(UNIFORM, goal)
    open_weight = virtual_cost_of(built.types[0]) if goal == "revenue" else None
    equation = shown(envelope_step(built, open_weight, affine), "rent, closed")
    ends = {built.types[0].quantity: c, highest(built.types[0], ()): 2.0}

    def value(rule: Rule) -> sp.Float:
        (argument,) = rule.report
        end = ends[argument.report[0] if isinstance(argument, Rule) else argument]
        assert isinstance(argument, Rule) == (goal == "revenue")
        return sp.Float(least_value(weight(end)))

    known = {r: value(r) for r in equation.rhs.atoms(Rule) if str(r.head) == "Psi"}
    assert len(known) == 2
    rent = quad(lambda t: bought(weight(t)), c, 2.0)[0]
    assert float(equation.rhs.xreplace(known)) == pytest.approx(rent, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("distribution", [law("normal", 0, 1, on=(1, 2)), law("beta", 2, 3, on=(1, 2))], ids=str)
def test_what_is_not_affine_has_no_closed_rent(distribution: Distribution) -> None:
    built = elastic(distribution, "revenue")
    step = envelope_step(built, virtual_cost_of(built.types[0]), affine)
    assert not [label for label, _ in step.formulas if label.endswith("closed")]
    assert "quadrature" in step.because
    welfare = envelope_step(elastic(distribution, "welfare"))
    assert shown(welfare, "rent, closed").rhs.has(Rule)


def test_slopes_differ_by_law() -> None:
    """A power law's virtual cost has slope 1 + 1/p, a uniform's 2; a normal's none."""
    built = genai(laws=(law("power", 4, on=(0, 1)), law("normal", 1, 1, on=(0, 2))))
    step = envelope_step(built, virtual_cost_of(built.types[0]), affine)
    closed = [f for label, f in step.formulas if label.endswith("closed")]
    assert len(closed) == 1
    (coefficient,) = {
        t.as_coeff_Mul()[0] for t in sp.Add.make_args(closed[0].rhs) if not t.as_coeff_Mul()[0].is_negative
    }
    assert coefficient == sp.Rational(4, 5)
    assert "1 of 2 types" in step.because


@pytest.mark.parametrize("c", [1.05, 1.5, 1.9])
def test_the_slope_of_utility_is_minus_output(c: float) -> None:
    """`dU/dc = -y` for U = payment minus cost, by finite differences of the payment formula."""
    built = elastic(UNIFORM, "revenue")
    step = envelope_step(built, virtual_cost_of(built.types[0]), affine)
    slope = shown(step, "slope of utility")
    assert isinstance(slope.lhs, Slope)
    assert slope.rhs == -changes_of_variables(built)[0].entry

    def utility(t: float) -> float:
        return payment_at(step, built, t, lambda s: bought(2 * s - 1)) - t * bought(2 * t - 1)

    assert (utility(c + 1e-5) - utility(c - 1e-5)) / 2e-5 == pytest.approx(-bought(2 * c - 1), rel=1e-6)
    assert utility(2.0) == pytest.approx(0.0, abs=1e-12)


def test_no_lie_pays() -> None:
    built = elastic(UNIFORM, "revenue")
    step = envelope_step(built, virtual_cost_of(built.types[0]), affine)
    reports = np.linspace(1, 2, 21)
    offers = [(payment_at(step, built, r, lambda t: bought(2 * t - 1)), bought(2 * r - 1)) for r in reports]
    for true in reports:
        gains = [paid - true * y for paid, y in offers]
        assert max(gains) == pytest.approx(gains[int(np.argmin(np.abs(reports - true)))], abs=1e-10)
        assert max(gains) >= -1e-12


def test_known_costs_are_reimbursed_and_own_values_deducted() -> None:
    """`p = known - value + outside + c y + rent`: whoever earns from the work itself asks for less."""
    built = single(lambda c, x: c * x**2 + 3 * x, UNIFORM)
    x = built.choices[0].quantity
    creator = built.layer("creator")
    rich = Layer("creator", (), creator.cost, value=x / 2, outside=sp.Rational(1, 4))
    changed = market(
        params=(param("d", 2.0),), types=built.types, choices=built.choices, layers=(built.layer("platform"), rich),
        constraints=built.constraints, sets=(),
    )  # fmt: skip
    step = envelope_step(changed, virtual_cost_of(built.types[0]), affine)
    # y = 4 at every report; U(b) = outside
    numbers = {x: 2.0, built.types[0].quantity: 1.2}
    (integral,) = step.formula.rhs.atoms(sp.Integral)
    y = changes_of_variables(changed)[0].entry
    paid = float(
        step.formula.rhs.xreplace(
            {integral: sp.Float(4 * 0.8), y: sp.Float(4), **{k: sp.Float(v) for k, v in numbers.items()}}
        )
    )
    utility = paid + 2.0 / 2 - (1.2 * 4 + 3 * 2)
    assert utility == pytest.approx(0.25 + 4 * 0.8)
    assert shown(step, "highest type").rhs == sp.Rational(1, 4)


def test_what_the_step_says() -> None:
    step = envelope_step(multitask(), virtual_cost_of(multitask().types[0]), affine)
    assert step.proved is True
    assert "Theorem" in step.source
    known = envelope_step(single(lambda c, x: c * x, law("point", Fraction(3, 2))), None)
    assert "no rent" in known.because
    assert envelope_step(market(layers=(Layer("platform"),))).proved is None
