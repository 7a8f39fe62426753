"""Lines of a union's menu: best prices, the branch point, conditions and the robust dual, where they are known."""

from __future__ import annotations

import numpy as np
import pytest
from markets import law
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from test_union_revenue import LAWS, at_work, two

from mechdsl.program import Menu
from mechdsl.theory import best_offer
from mechdsl.theory.union_bound import robust_bound
from mechdsl.theory.union_conditions import conditions
from mechdsl.theory.union_frontier import Corner, corner, trace
from mechdsl.theory.union_lines import Side, Sides, branch_point

UNIT = law("uniform", 0, 1)
VIDEO, TEXT = law("uniform", 0.1, 1), law("normal", 0.5, 0.4, on=(0.05, 1.5))


def test_uniform_costs_by_hand() -> None:
    # P(c_1 - k c_2 > p) = (1 - p)^2 / 2k for k >= 1: p = 1/3, A = 2 / 27k.
    slopes = np.geomspace(1.0, 1e6, 40)
    prices, earned = Side.of(UNIT, UNIT).best(slopes)
    assert prices == pytest.approx(np.full(40, 1 / 3), rel=1e-12)
    assert earned == pytest.approx(2 / (27 * slopes), rel=1e-12)
    assert branch_point(Sides.of(UNIT, UNIT)) == pytest.approx(1.0, rel=1e-12)


def test_two_laws_alike_have_a_bound_below_what_is_attained() -> None:
    # Both sides are then the same lines, one of them mirrored.
    offer = best_offer(at_work(two("normal(0, 1) on [0, 5]", "normal(0, 1) on [0, 5]")))
    assert offer.bound.method == "robust"
    assert 0 <= offer.cost - offer.bound.value <= 1e-4 * offer.cost


@pytest.mark.parametrize("slope", [0.7, 1.5, 8.0])
def test_against_a_search_over_prices(slope: float) -> None:
    def sold(price: float) -> float:
        kinks = sorted({float(np.clip((end - price) / slope, 0.05, 1.5)) for end in (0.1, 1.0)})
        found, _ = quad(
            lambda c: TEXT.pdf(c) * VIDEO.survival(price + slope * c), 0.05, 1.5, points=kinks, epsabs=1e-12
        )
        return float(price * found)

    best = minimize_scalar(lambda p: -sold(p), bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    prices, earned = Side.of(VIDEO, TEXT).best(np.array([slope]))
    assert prices[0] == pytest.approx(best.x, abs=1e-6)
    assert earned[0] == pytest.approx(-best.fun, rel=1e-9)


def test_the_branch_point_is_where_the_sides_meet() -> None:
    sides = Sides.of(VIDEO, TEXT)
    kappa = branch_point(sides)
    a = sides.a.best(np.array([kappa]))[1][0]
    b = -kappa * sides.b.best(np.array([1 / kappa]))[1][0]
    assert 1.0 - kappa * 1.5 == pytest.approx(a + b, abs=1e-12)
    # Goods exchanged, the slope is its inverse.
    assert branch_point(Sides.of(TEXT, VIDEO)) == pytest.approx(1 / kappa, rel=1e-9)


def test_conditions_where_they_are_known() -> None:
    uniform = Sides.of(UNIT, UNIT)
    assert all(c.holds for c in conditions(uniform, branch_point(uniform)))
    falling = Sides.of(UNIT, law("exponential", 2, on=(0, 1.5)))
    held = {c.letter: c.holds for c in conditions(falling, branch_point(falling))}
    assert not held["N"]
    # A density that rises, falls and rises again along its support makes nu change sign more than once.
    twice = Sides.of(law("beta", 0.3, 0.3, on=(0.1, 1)), law("beta", 0.3, 0.3, on=(0.1, 1)))
    assert not all(c.holds for c in conditions(twice, branch_point(twice)))


@pytest.mark.parametrize("name", ["uniforms", "normal", "exponential"])
def test_the_robust_dual_is_the_theorem_where_lines_nest(name: str) -> None:
    mechanism = at_work(two(*LAWS[name]))
    program = mechanism.program
    assert isinstance(program, Menu)
    sides = Sides.of(*program.laws)
    branch = branch_point(sides)
    base = corner(mechanism, (0, 1), branch)
    mirrored = Corner(1 / branch, base.least / branch, base.second, base.first, base.gap, base.solution)
    traces = trace(mechanism, sides.a, (0, 1), base, 1e-6), trace(mechanism, sides.b, (1, 0), mirrored, 1e-6)
    robust = robust_bound(sides, branch, traces)
    offer = best_offer(mechanism)
    assert robust is not None
    if offer.proved:
        assert robust == pytest.approx(offer.bound.value, rel=2e-5)
    assert robust <= offer.cost * (1 + 1e-6)
