"""Payments against closed forms, the stated figures, and an independent solver with an independent quadrature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from oracles import TwoDomains
from scipy import stats

from mechdsl import pipeline
from mechdsl.elaborate import Override, elaborate
from mechdsl.outcome import Outcome
from mechdsl.structure import installed
from mechdsl.theory.payments import surely_within

GOOD = Path(__file__).parent / "cases" / "good"
REGISTRY = installed()


def outcome(text: str, regime: str = "main") -> Outcome:
    run = pipeline.run(pipeline.parse(text).markets[regime], REGISTRY)
    assert run.outcome is not None
    assert run.certificate is not None
    assert run.certificate.passed, [c for c in run.certificate.checks if not c.passed]
    return run.outcome


ONE = """
market one "One creator"
param rho in [1, inf) = 1.5
layer platform {{ {platform} }}
layer creator {{ type c ~ {law}  choose x >= 0  cost {cost} }}
{demand}
contract platform -> creator: direct{arguments}
objective platform: maximize {goal}
report c = {report}
"""


def one(**given: str) -> Outcome:
    parts = {
        "platform": "", "law": "uniform(0.2, 1.2)", "cost": "c * x^rho", "demand": "demand: x + 0.5 * x^0.5 >= 3",
        "arguments": "", "goal": "revenue", "report": "0.5",
    } | given  # fmt: skip
    return outcome(ONE.format(**parts))


@pytest.mark.parametrize("goal", ["revenue", "welfare"])
@pytest.mark.parametrize("law", ["uniform(0.2, 1.2)", "normal(0.5, 0.4) on [0.2, 1.2]", "power(2) on [0.2, 1.2]"])
def test_a_fixed_quantity_is_paid_at_the_highest_cost(goal: str, law: str) -> None:
    # x + x^(1/2) / 2 = 3: sqrt(x) = (sqrt(12.25) - 1/2) / 2 = 3/2, so x = 9/4 whatever the cost; paid b x^rho.
    found = one(goal=goal, law=law)
    assert found.allocation["x"] == pytest.approx(2.25, rel=1e-9)
    assert found.payments["creator"] == pytest.approx(1.2 * 2.25**1.5, rel=1e-9)


@pytest.mark.parametrize("report", [0.2, 0.7, 1.0])
def test_elastic_demand_and_uniform_costs(report: float) -> None:
    # value 3 log(1 + x), cost c x: x(w) = 3 / w - 1 with w = 2 c - a, and 0 where w >= 3; here w <= 2.2.
    found = one(platform="value 3 * log(1 + x)", demand="", cost="c * x", report=str(report))
    low, high = 0.2, 1.2
    x = 3 / (2 * report - low) - 1
    rent = 1.5 * np.log((2 * high - low) / (2 * report - low)) - (high - report)
    assert found.allocation["x"] == pytest.approx(x, rel=1e-8)
    assert found.payments["creator"] == pytest.approx(report * x + rent, rel=1e-8)
    assert found.revenue == pytest.approx(3 * np.log(1 + x) - report * x - rent, rel=1e-8)


def test_elastic_demand_and_efficiency() -> None:
    found = one(platform="value 3 * log(1 + x)", demand="", cost="c * x", goal="welfare")
    x, rent = 3 / 0.5 - 1, 3 * np.log(1.2 / 0.5) - 0.7
    assert found.payments["creator"] == pytest.approx(0.5 * x + rent, rel=1e-8)


def test_power_law_costs_are_closed_too() -> None:
    # F = u^2 on [0, 1]: vc = 3 c / 2; x(w) = 3 / w - 1; rent = int_c^1 (2 / t - 1) dt.
    found = one(platform="value 3 * log(1 + x)", demand="", cost="c * x", law="power(2) on [0, 1]")
    assert found.payments["creator"] == pytest.approx(0.5 * 3 + 2 * np.log(2) - 0.5, rel=1e-8)


def test_known_types_are_paid_their_cost() -> None:
    found = one(arguments="(information = known)")
    assert found.payments["creator"] == pytest.approx(0.5 * 2.25**1.5, rel=1e-9)
    assert found.utilities["creator"] == pytest.approx(0, abs=1e-12)


def test_randomised_payments_are_near_and_reproducible() -> None:
    text = {"platform": "value 3 * log(1 + x)", "demand": "", "cost": "c * x"}
    first = one(arguments="(payment = randomized, trials = 400)", **text)
    again = one(arguments="(payment = randomized, trials = 400)", **text)
    exact = one(**text)
    assert first.payments["creator"] == again.payments["creator"]
    assert first.payments["creator"] != exact.payments["creator"]
    assert first.payments["creator"] == pytest.approx(float(exact.payments["creator"]), rel=0.1)


@pytest.mark.parametrize("trials", [1, 2, 3, 40])
def test_draws_that_all_miss_a_drop_are_not_called_biased(trials: int) -> None:
    """A unit is bought while it costs less than 4.45, what it costs elsewhere and what is paid; most draws say 5."""
    found = outcome(f"""
market one "One creator, and a market beside it"
layer platform {{ choose z in [0, 1]  cost 4.45 * z }}
layer creator {{ type c ~ uniform(0.3, 5)  choose x in [0, 1]  cost c * x }}
constraint whole: x + z >= 1
contract platform -> creator: direct(payment = randomized, trials = {trials})
objective platform: maximize welfare
report c = 0.3
""")
    hits = round((5 - float(found.payments["creator"])) / 4.7 * trials)
    assert found.payments["creator"] == pytest.approx(5 - 4.7 * hits / trials, rel=1e-6)
    assert hits == 0 or trials >= 3  # the first two draws miss it


def test_means_of_draws_stray_no_further_than_is_said() -> None:
    draws = np.random.default_rng(4).integers(0, 2, (50_000, 12))
    worst = np.max(np.abs(draws.mean(axis=1) - 0.5))
    assert 0.4 < worst <= surely_within(1.0, 12) < 0.8
    assert surely_within(3.0, 12) == pytest.approx(3 * 5 / np.sqrt(4 * 12), rel=0.15)  # of a fair coin: five sigma


def test_known_costs_of_creator_and_platform_are_paid_and_weighed() -> None:
    # min w x + x^2 over x >= 0 less value 4 x: x = (4 - w - cg) / 2 with cost c x + x^2, platform cost cg x.
    found = one(platform="value 4 * x  cost 0.3 * x", demand="", cost="c * x + x^2", goal="welfare")
    x, top = (4 - 0.5 - 0.3) / 2, (4 - 1.2 - 0.3) / 2
    rent = (x + top) / 2 * 0.7
    assert found.allocation["x"] == pytest.approx(x, rel=1e-8)
    assert found.payments["creator"] == pytest.approx(0.5 * x + x**2 + rent, rel=1e-8)
    assert found.welfare == pytest.approx(4 * x - 0.3 * x - 0.5 * x - x**2, rel=1e-8)
    assert found.revenue == pytest.approx(4 * x - 0.3 * x - float(found.payments["creator"]), rel=1e-8)


def test_outside_options_are_paid_for() -> None:
    with_option = one().payments["creator"]
    text = ONE.format(
        platform="", law="uniform(0.2, 1.2)", cost="c * x^rho  outside 0.25", demand="demand: x + 0.5 * x^0.5 >= 3",
        arguments="", goal="revenue", report="0.5",
    )  # fmt: skip
    assert outcome(text).payments["creator"] == pytest.approx(float(with_option) + 0.25, rel=1e-9)


def test_stated_figures_of_the_six_regimes() -> None:
    markets = pipeline.load(GOOD / "six_regimes.mech").markets
    first, second = (pipeline.run(markets[name], REGISTRY).outcome for name in ("M1", "M2"))
    assert first is not None
    assert second is not None
    assert first.allocation["x"] == pytest.approx([6.33404964, 0.1243397], abs=6e-9)
    assert first.payments["creator"] == pytest.approx([7.33264618, 0.07808724], abs=6e-9)
    assert second.allocation["x"] == pytest.approx([5.02961009, 0.6952829], abs=6e-9)
    assert second.payments["creator"] == pytest.approx([4.45683924, 0.83982926], abs=6e-9)


SIX = TwoDomains((3.0, 4.0), (1.2, 1.3), np.array([[0.3, 0.8], [0.5, 0.2]]), np.full((2, 2), 0.85))
TEXT_LAW = stats.truncnorm((0.05 - 0.5) / 0.4, (1.5 - 0.5) / 0.4, 0.5, 0.4)


def virtual(c: np.ndarray) -> np.ndarray:
    return np.array([2 * c[0] - 0.1, c[1] + TEXT_LAW.cdf(c[1]) / TEXT_LAW.pdf(c[1])])


def moved(c: np.ndarray, k: int, t: float) -> np.ndarray:
    return np.where(np.arange(2) == k, t, c)


@pytest.mark.parametrize("report", [(0.35, 1.1), (0.9, 0.2)])
def test_two_domains_against_an_independent_solver(report: tuple[float, float]) -> None:
    path = GOOD / "six_regimes.mech"
    model = pipeline.load(path)
    at = [Override("c", ("video",), report[0]), Override("c", ("text",), report[1])]
    markets = elaborate(model.file, model.source, path.parent, report=at).markets
    first, second = (pipeline.run(markets[name], REGISTRY).outcome for name in ("M1", "M2"))
    assert first is not None
    assert second is not None
    c = np.array(report)
    assert first.allocation["x"] == pytest.approx(SIX.x(virtual(c)), rel=2e-7)
    assert second.allocation["x"] == pytest.approx(SIX.x(c), rel=2e-7)
    # M2: rents are differences of Psi; M1: half of one for uniform costs, an integral for the others.
    least = SIX.least_cost(c)
    rents = [SIX.least_cost(moved(c, k, top)) - least for k, top in enumerate((1.0, 1.5))]
    assert second.payments["creator"] == pytest.approx(c * SIX.y(c) + rents, rel=1e-7)
    w = virtual(c)
    rent = (SIX.least_cost(virtual(moved(c, 0, 1.0))) - SIX.least_cost(w)) / 2
    assert first.payments["creator"][0] == pytest.approx(c[0] * SIX.y(w)[0] + rent, rel=1e-7)
    rent = SIX.rent(1, c, 1.5, virtual)
    assert first.payments["creator"][1] == pytest.approx(c[1] * SIX.y(w)[1] + rent, rel=2e-4)


def test_a_density_that_vanishes_at_the_top_has_payments_too() -> None:
    # F/f is infinite at the top of a triangular law; x is fixed, so the payment is b x^rho, whatever the weights.
    found = one(law="triangular(0.2, 0.5, 1.2)", report="1.1")
    assert found.payments["creator"] == pytest.approx(1.2 * 2.25**1.5, rel=1e-9)
    assert one(law="triangular(0.2, 0.5, 1.2)", report="1.2").allocation["x"] == pytest.approx(2.25, rel=1e-9)


def test_a_cap_stated_as_a_constraint_beside_an_exponent_that_is_a_param() -> None:
    found = one(demand="demand: x >= 1\nconstraint cap: x <= 10", goal="welfare", report="0.5")
    assert found.allocation["x"] == pytest.approx(1.0, rel=1e-9)
    assert found.payments["creator"] == pytest.approx(1.2, rel=1e-9)
