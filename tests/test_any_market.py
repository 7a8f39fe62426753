"""Any market of the family: costs of every convex shape, caps, known types, falling terms, several providers a domain.

Every number is worked by hand or by scipy from formulas written here in Python, which know nothing of mechdsl's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, minimize, minimize_scalar

from mechdsl import pipeline
from mechdsl.outcome import Outcome
from mechdsl.structure import installed

REGISTRY = installed()
Phi = Callable[[float], float]


def outcome(text: str) -> Outcome:
    run = pipeline.run(pipeline.parse(text).markets["main"], REGISTRY)
    assert run.outcome is not None
    assert run.certificate is not None
    assert run.certificate.passed, [c for c in run.certificate.checks if not c.passed]
    return run.outcome


# ------------------------------------------------------------------------------------------ one provider, any phi

ELASTIC = """
market elastic "One provider"
param t in (0, inf) = 1
layer buyer {{ value 3 * log(1 + x) }}
layer seller {{ type c ~ uniform(0.2, 1.2)  choose x >= 0  cost c * ({cost}) }}
contract buyer -> seller: direct
objective buyer: maximize {goal}
report c = {report}
"""

COSTS: Mapping[str, Phi] = {
    "exp(x) - 1": math.expm1,
    "x + x^2": lambda x: x + x * x,
    "x^1.7": lambda x: x**1.7,
    "exp(x) + x - 1": lambda x: math.expm1(x) + x,
    "max(x, 2 * x - 1)": lambda x: max(x, 2 * x - 1),
    "max(x, 2 * x - 1, 4 * x - 4)": lambda x: max(x, 2 * x - 1, 4 * x - 4),
    "if(x < t, x, 2 * x - t)": lambda x: x if x < 1 else 2 * x - 1,
    "if(t >= x, x, (x^2 + t^2) / (2 * t))": lambda x: x if x < 1 else (x * x + 1) / 2,
    "if(x > t, 2 * t * x - t^2, x^2)": lambda x: 2 * x - 1 if x > 1 else x * x,
    "if(x < t, x^2, if(x < 2 * t, 3 * x^2 - 2 * t * x, 12 * t * x - 16 * t^2))": (
        lambda x: x * x if x < 1 else 3 * x * x - 2 * x if x < 2 else 12 * x - 16
    ),
    "if(x >= 0.5 and x < 1.5, 2 * x - 0.5, if(x < 1, x, 5 * x - 5))": (
        lambda x: x if x < 0.5 else 2 * x - 0.5 if x < 1.5 else 5 * x - 5
    ),
    "x^2 + abs(x - 1) + x - 1": lambda x: x * x + abs(x - 1) + x - 1,
}


def bought(phi: Phi, weight: float) -> float:
    """The x that maximises `3 log(1 + x) - w phi(x)`."""
    grid = np.linspace(0, 15, 301)
    j = int(np.argmax([3 * math.log1p(x) - weight * phi(x) for x in grid]))
    ends = (grid[max(0, j - 1)], grid[min(300, j + 1)])
    found = minimize_scalar(
        lambda x: weight * phi(x) - 3 * math.log1p(x), bounds=ends, method="bounded", options={"xatol": 1e-12}
    )
    return float(found.x)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize(("goal", "report"), [("welfare", 0.9), ("revenue", 0.45)])
def test_one_provider_with_any_convex_cost(cost: str, goal: str, report: float) -> None:
    phi = COSTS[cost]
    found = outcome(ELASTIC.format(cost=cost, goal=goal, report=report))

    def output(t: float) -> float:
        return bought(phi, 2 * t - 0.2 if goal == "revenue" else t)

    rent = np.trapezoid([phi(output(t)) for t in np.linspace(report, 1.2, 250)], dx=(1.2 - report) / 249)
    x = output(report)
    assert float(found.allocation["x"]) == pytest.approx(x, rel=1e-5, abs=1e-6)
    assert float(found.payments["seller"]) == pytest.approx(report * phi(x) + rent, rel=2e-4)


def test_a_kinked_cost_by_hand() -> None:
    # 3 / (1 + x) meets c and 2 c: x = 1 for c from 3/4 to 3/2, 3 / c - 1 above, 3 / (2 c) - 1 below; here c >= 1/2.
    found = outcome(ELASTIC.format(cost="if(x < 1, x, 2 * x - 1)", goal="welfare", report=0.5))
    rent = (3 * math.log(0.75 / 0.5) - 3 * 0.25) + (1.2 - 0.75)  # of y = 2 x - 1 = 3 / c - 3, then of y = 1
    assert found.allocation["x"] == pytest.approx(2, rel=1e-9)
    assert found.payments["seller"] == pytest.approx(0.5 * 3 + rent, rel=1e-8)


# ----------------------------------------------------------------------------------------------------- cases in demands

DEMANDED = """
market tiers "Rates that turn at a threshold"
index k in domains = {{video, text}}
param t[k] in (0, inf) = {{video: 1, text: 2}}
param d[k] in [0, inf) = {{video: 3, text: 1.5}}
layer platform
layer creator[k] {{ type c[k] ~ uniform(0.1, 1)  choose x[k] >= 0  cost c[k] * {cost} }}
demand[k]: {demand} >= d[k]
contract platform -> creator: direct
objective platform: maximize revenue
report c = {{video: 0.3, text: 0.6}}
"""


def test_thresholds_by_label() -> None:
    # what is asked for is paid at the highest cost, 1: 2 * 3 - 1 and 1.5; shadow prices vc phi': (0.6 - 0.1) 2, 1.1 * 1
    found = outcome(DEMANDED.format(cost="if(x[k] < t[k], x[k], 2 * x[k] - t[k])", demand="x[k]"))
    assert found.payments["creator"] == pytest.approx([5, 1.5], rel=1e-9)
    assert found.shadow_price["demand"] == pytest.approx([1.0, 1.1], rel=1e-6)


def test_a_demand_that_satisfies_more_slowly_beyond_a_threshold() -> None:
    # x up to t counts in full, beyond it by half: 3 = 1 + (x - 1) / 2 at x = 5, and 1.5 below the other's threshold
    found = outcome(DEMANDED.format(cost="x[k]^2", demand="if(x[k] < t[k], x[k], (x[k] + t[k]) / 2)"))
    assert found.allocation["x"] == pytest.approx([5, 1.5], rel=1e-9)
    assert found.payments["creator"] == pytest.approx([25, 2.25], rel=1e-9)


def test_increasing_returns_that_are_harmless() -> None:
    # x^1.5 is convex in x, but y^(3/4) is concave in y = x^2, the variable in which costs are linear
    found = outcome(DEMANDED.format(cost="x[k]^2", demand="x[k]^1.5"))
    assert found.allocation["x"] == pytest.approx([3 ** (2 / 3), 1.5 ** (2 / 3)], rel=1e-9)
    assert not any("convex" in note for note in found.notes)


# ------------------------------------------------------------------------------------- falling terms, caps, known types


def test_a_falling_term_is_solved_in_x() -> None:
    text = """
market crowding "What is made of one crowds out the other"
index k in sides = {left, right}
layer buyer { value 2 * log(1 + x[right]) }
layer seller[k] { type c[k] ~ uniform(0.5, 1.5)  choose x[k] >= 0  cost c[k] * x[k]^2 }
demand: x[left] - x[right] / 2 >= 1
contract buyer -> seller: direct
objective buyer: maximize welfare
report c = {left: 0.8, right: 0.7}
"""
    found = outcome(text)

    def cost(w: tuple[float, float]) -> tuple[float, float]:
        best = minimize_scalar(
            lambda z: w[0] * (1 + z / 2) ** 2 + w[1] * z * z - 2 * math.log1p(z),
            bounds=(0, 5), method="bounded", options={"xatol": 1e-13},
        )  # fmt: skip
        return float(best.fun), float(best.x)

    z = cost((0.8, 0.7))[1]
    assert found.allocation["x"] == pytest.approx([1 + z / 2, z], rel=1e-6)
    # every rent is what the others' least cost would rise by: Psi(b, c_-) - Psi(c)
    rents = [cost((1.5, 0.7))[0] - cost((0.8, 0.7))[0], cost((0.8, 1.5))[0] - cost((0.8, 0.7))[0]]
    paid = [0.8 * (1 + z / 2) ** 2 + rents[0], 0.7 * z * z + rents[1]]
    assert found.payments["seller"] == pytest.approx(paid, rel=1e-6)


SELLERS = """
market sellers "From the cheaper first"
index k in sellers = {{ann, bob}}
layer buyer
layer seller[k] {{ type c[k] ~ {law}  choose x[k] {cap}  cost c[k] * x[k] }}
constraint need: sum(k: x[k]) >= {need}
contract buyer -> seller: direct
objective buyer: maximize {goal}
report c = {report}
"""


def test_caps() -> None:
    # Ann sells 2 up to a cost of 0.75, then 1; Bob sells 1 up to a cost of 1, the highest there is.
    found = outcome(
        SELLERS.format(law="uniform(0, 1)", cap="in [0, 2]", need=3, goal="welfare", report="{ann: 0.25, bob: 0.75}")
    )
    assert found.allocation["x"] == pytest.approx([2, 1], rel=1e-8)
    assert found.payments["seller"] == pytest.approx([2 * 0.75 + 0.25, 1.0], rel=1e-7)


def test_a_known_type_beside_a_private_one() -> None:
    # Ann is known to cost 0.5; Bob's virtual cost 2 c is below that up to c = 0.25, which is what he is paid.
    law = "{ann: point(0.5), bob: uniform(0, 1)}"
    found = outcome(SELLERS.format(law=law, cap=">= 0", need=1, goal="revenue", report="{ann: 0.5, bob: 0.2}"))
    assert found.allocation["x"] == pytest.approx([0, 1], abs=1e-7)
    assert found.payments["seller"] == pytest.approx([0, 0.25], abs=1e-7)


def test_several_creators_a_domain_with_exponents_of_their_own() -> None:
    text = """
market crowd "Several creators a domain"
index k in domains = {video, text}
index n in creators = 1..3
param home[n] in domains = {1: video, 2: video, 3: text}
param rho[n] in [1, inf) = [1.5, 3, 2]
let X[k] = sum(n where home[n] == k: x[n])
layer platform
layer creator[n] { type c[n] ~ uniform(0.5, 1.5)  choose x[n] >= 0  cost c[n] * x[n]^rho[n] }
demand[k]: X[k] + 0.5 * sum(n: x[n]) >= 3
contract platform -> creator: direct
objective platform: maximize welfare
report c = [0.6, 0.9, 1.1]
"""
    found = outcome(text)

    def least(w: list[float]) -> tuple[float, np.ndarray]:
        best = minimize(
            lambda x: w[0] * x[0] ** 1.5 + w[1] * x[1] ** 3 + w[2] * x[2] ** 2,
            [1.0, 1.0, 1.0], bounds=[(1e-9, None)] * 3, method="SLSQP", options={"ftol": 1e-15, "maxiter": 500},
            constraints=[
                {"type": "ineq", "fun": lambda x: 1.5 * (x[0] + x[1]) + 0.5 * x[2] - 3},
                {"type": "ineq", "fun": lambda x: 0.5 * (x[0] + x[1]) + 1.5 * x[2] - 3},
            ],
        )  # fmt: skip
        return float(best.fun), np.asarray(best.x)

    c = [0.6, 0.9, 1.1]
    value, x = least(c)
    assert found.allocation["x"] == pytest.approx(x, rel=2e-5)
    rents = [least([1.5 if n == m else c[m] for m in range(3)])[0] - value for n in range(3)]
    paid = [c[n] * x[n] ** p + rents[n] for n, p in enumerate((1.5, 3, 2))]
    assert found.payments["creator"] == pytest.approx(paid, rel=2e-5)


def test_elastic_value_beside_a_demand() -> None:
    # value 4 log(1 + x) and demand x >= 1: x = max(1, 4 / c - 1) at costs from 1 to 4, so 1 from c = 2 on.
    text = """
market both "A value beside a demand"
layer buyer { value 4 * log(1 + x) }
layer seller { type c ~ uniform(1, 4)  choose x >= 0  cost c * x }
demand: x >= 1
contract buyer -> seller: direct
objective buyer: maximize welfare
report c = 1.25
"""
    found = outcome(text)
    rent = quad(lambda t: max(1.0, 4 / t - 1), 1.25, 4, points=[2])[0]
    assert found.allocation["x"] == pytest.approx(2.2, rel=1e-9)
    assert found.payments["seller"] == pytest.approx(1.25 * 2.2 + rent, rel=1e-7)


def test_a_cost_without_closed_inverse_where_output_is_fixed() -> None:
    # phi = exp(x) + x - 1 at x + sqrt(x) = 2, x = 1: paid at the highest cost
    text = ELASTIC.replace("{{ value 3 * log(1 + x) }}", "").replace("contract", "demand: x + sqrt(x) >= 2\ncontract")
    found = outcome(text.format(cost="exp(x) + x - 1", goal="revenue", report=0.6))
    assert found.payments["seller"] == pytest.approx(1.2 * math.e, rel=1e-9)
    assert brentq(lambda x: x + math.sqrt(x) - 2, 0, 2) == pytest.approx(float(found.allocation["x"]), rel=1e-9)


def test_an_optimum_at_a_kink_that_is_level_on_one_side() -> None:
    # 3 / (1 + x) = 2 at the kink x = 1/2, beyond which a unit costs 2 c: at c = 1 either side would do as well to first
    # order. At dearer reports output stays there, so the rent is (1.2 - 1) / 2.
    text = ELASTIC.format(cost="if(x < 0.5, x, 2 * x - 0.5)", goal="welfare", report=1)
    found = outcome(text)
    assert found.allocation["x"] == pytest.approx(0.5, rel=1e-9)
    assert found.payments["seller"] == pytest.approx(0.6, rel=1e-9)


@pytest.mark.parametrize("demand", [6.0, 5.9999, 5.995])
def test_a_cap_that_just_meets_a_demand(demand: float) -> None:
    # No decision lies inside: what is asked of text is all, or nearly all, that may be made of it.
    text = f"""
market full "Cap equals demand"
index k in media = {{text, photo}}
param d[k] in [0, inf) = {{text: {demand}, photo: 3}}
layer wire
layer writer[k] {{ type c[k] ~ uniform(0.5, 2)  choose x[k] in [0, 6]  cost c[k] * x[k]^1.3 }}
demand[k]: x[k] >= d[k]
contract wire -> writer: direct
objective wire: maximize revenue
"""
    found = outcome(text)
    assert found.allocation["x"] == pytest.approx([demand, 3], rel=1e-9)
    assert found.payments["writer"] == pytest.approx(2 * np.array([demand, 3]) ** 1.3, rel=1e-9)


@pytest.mark.parametrize("aim", ["revenue", "welfare"])
@pytest.mark.parametrize(("d", "cap"), [((1, 2), 3), ((0.1, 0.2), 0.3), ((2,), 2), ((0.3,), 0.3), ((2, 0.5, 3), 5.5)])
def test_a_total_cap_that_demands_use_up(d: tuple[float, ...], cap: float, aim: str) -> None:
    # Prices of demands and cap could be raised against each other without end: the least of them are reported.
    text = f"""
market full "Total cap equals total demand"
index k in media = 1..{len(d)}
param d[k] in [0, inf) = {list(d)}
layer wire
layer writer[k] {{ type c[k] ~ uniform(0.1, 1)  choose x[k] >= 0  cost c[k] * x[k]^1.5 }}
demand[k]: x[k] >= d[k]
constraint cap: sum(k: x[k]) <= {cap}
contract wire -> writer: direct
objective wire: maximize {aim}
report c = 0.3
"""
    found = outcome(text)
    assert found.allocation["x"] == pytest.approx(d, rel=1e-9)
    assert found.payments["writer"] == pytest.approx(np.array(d) ** 1.5, rel=1e-9)
    weight = 0.5 if aim == "revenue" else 0.3  # of which virtual cost is 2 c - 0.1
    assert found.shadow_price["demand"] == pytest.approx(weight * 1.5 * np.sqrt(d), rel=1e-9)
    assert found.shadow_price["cap"] == pytest.approx(0, abs=1e-12)


FREE = """
market free "Costs may be 0"
index k, i in media = {text, photo}
param d[k] in [0, inf) = {text: 1.5, photo: 2}
param gamma in [0, 1] = 0.5
layer wire
layer writer[k] { type c[k] ~ uniform(0, 1)  choose x[k] >= 0  cost c[k] * x[k]^1.5 }
demand[k]: x[k] + sum(i: 0.2 * x[i]^gamma) >= d[k]
contract wire -> writer: direct
objective wire: maximize AIM
report c = {text: 0, photo: PHOTO}
"""


def least(weights: np.ndarray) -> tuple[np.ndarray, float]:
    """The least cost of FREE's demands, by scipy."""
    from scipy.optimize import minimize

    found = minimize(
        lambda x: float(weights @ x**1.5),
        np.array([3.0, 3.0]),
        bounds=[(1e-9, None)] * 2,
        constraints={"type": "ineq", "fun": lambda x: x + 0.2 * np.sum(np.sqrt(x)) - np.array([1.5, 2.0])},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return found.x, float(found.fun)


@pytest.mark.parametrize("aim", ["revenue", "welfare"])
def test_a_cost_of_0_is_the_limit_of_vanishing_ones(aim: str) -> None:
    # 0.2 * sqrt(100) is all that is asked of photos: as text costs nothing, nobody makes any.
    found = outcome(FREE.replace("AIM", aim).replace("PHOTO", "0.6"))
    assert found.allocation["x"] == pytest.approx([100, 0], rel=1e-9)
    assert found.shadow_price["demand"] == pytest.approx(0, abs=1e-12)
    assert found.payments["writer"] == pytest.approx([least(np.array([1.0, 0.6]))[1], 0], rel=1e-6)  # Psi(b, c) - 0
    assert "vanish" in found.message


def test_several_costs_of_0_vanish_together() -> None:
    found = outcome(FREE.replace("AIM", "welfare").replace("PHOTO", "0"))
    assert found.allocation["x"] == pytest.approx(least(np.ones(2))[0], rel=1e-5)
    assert found.payments["writer"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("gamma", [0.05, 0.2, 0.29])
@pytest.mark.parametrize("cap", [1e-6, 3, 100])
def test_demands_of_a_millionth_beside_a_cap(cap: float, gamma: float) -> None:
    from scipy.optimize import brentq

    text = f"""
market small "What is asked for is tiny, what GenAI makes of nearly nothing is not"
index k in media = {{text, photo}}
param d[k] in [0, inf) = {{text: 3e-6, photo: 2e-6}}
layer wire
layer writer[k] {{ type c[k] ~ uniform(0.5, 2)  choose x[k] >= 0  cost c[k] * x[k]^1.2 }}
demand[k]: x[k] + 0.5 * x[k]^{gamma} >= d[k]
constraint cap: sum(k: x[k]) <= {cap}
contract wire -> writer: direct
objective wire: maximize revenue
"""
    found = outcome(text)
    for k, d in enumerate((3e-6, 2e-6)):
        log = brentq(lambda z, d=d: np.exp(z) + 0.5 * np.exp(gamma * z) - d, -400, 0, xtol=1e-12)
        assert np.log(found.allocation["x"][k]) == pytest.approx(log, abs=1e-6)
        assert found.payments["writer"][k] == pytest.approx(2 * np.exp(1.2 * log), rel=1e-6)


def test_a_broker_whose_creators_costs_are_stated_in_cases() -> None:
    # Paid at b = 1: photos are worth 1 / sqrt(x) a unit and cost 1 up to 1, then 2; text just meets the demand.
    text = """
market cases "Costs rise faster from 1 on"
index k in media = {text, photo}
layer wire { value sum(k: 2 * sqrt(x[k])) }
layer writer[k] { type c[k] ~ uniform(0, 1)  choose x[k] >= 0  cost c[k] * if(x[k] < 1, x[k], 2 * x[k] - 1) }
demand: 1.8 * x[text] + 0.1 * x[photo] >= 2
layer broker
contract wire -> broker: presigned
contract broker -> writer: direct
objective wire: maximize revenue
"""
    found = outcome(text)
    assert found.allocation["x"] == pytest.approx([1.9 / 1.8, 1], rel=1e-8)
    assert found.payments["writer"] == pytest.approx([2 * 1.9 / 1.8 - 1, 1], rel=1e-8)


def test_a_cap_that_several_creators_of_one_domain_use_up() -> None:
    # Demand and cap ask for the same sum: c * 1.5 * sqrt(x), 3 c x^2 and c are equal, the rest comes from the linear.
    text = """
market full "Three writers and one total"
index n in writers = 1..3
param rho[n] in [1, inf) = {1: 1.5, 2: 3, 3: 1}
layer wire
layer writer[n] { type c[n] ~ power(0.5) on [0.1, 1]  choose x[n] >= 0  cost c[n] * x[n]^rho[n] }
demand: sum(n: x[n]) >= 3
constraint cap: sum(n: x[n]) <= 3
layer union { represents writer }
contract wire -> union: direct
objective wire: maximize welfare
"""
    found = outcome(text)
    assert found.allocation["x"] == pytest.approx([4 / 9, 3**-0.5, 3 - 4 / 9 - 3**-0.5], rel=1e-9)
    assert found.shadow_price["cap"] == pytest.approx(0, abs=1e-12)
