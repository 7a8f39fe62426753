"""A broker who signs before types are known: both stages against closed forms, scipy and the market as stated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

import mechdsl
from mechdsl import pipeline
from mechdsl.certify import certify
from mechdsl.evaluate import Array
from mechdsl.mechanism import Mechanism
from mechdsl.program import Stages
from mechdsl.results import Result
from mechdsl.structure import Structure, installed, match

SIX = Path(__file__).parent.parent / "models" / "ai_2025" / "six_regimes.mech"
HIGHEST, EXPECTED = np.array([1.0, 1.5]), np.array([0.55, 0.6016738])

MARKET = """
market signed "A broker between"
index k in domains = {video, text}
param d[k] in [0, inf) = {video: 3, text: 4}
layer platform PLATFORM
layer broker BROKER
layer creator[k] { type c[k] ~ {video: uniform(0.1, 1), text: uniform(0.2, 1.5)}  choose x[k] CHOICE  cost COST }
demand[k]: x[k] >= d[k]
contract platform -> broker: PRESIGNED
contract broker -> creator: DIRECT
objective platform: maximize GOAL
report c = {video: 0.4, text: 0.9}
"""
PLAIN = {
    "PLATFORM": "", "BROKER": "", "CHOICE": ">= 0", "COST": "c[k] * x[k]^2",
    "PRESIGNED": "presigned", "DIRECT": "direct", "GOAL": "revenue",
}  # fmt: skip


def text(**words: str) -> str:
    said = MARKET
    for name, word in {**PLAIN, **words}.items():
        said = said.replace(name, word)
    return said


def solved(**words: str) -> Result:
    result = mechdsl.parse(text(**words)).solve("main")
    assert result.certified, [c for c in result.certificate.checks if not c.passed] if result.certificate else result
    return result


def ready(**words: str) -> tuple[Mechanism, Structure]:
    market = mechdsl.parse(text(**words)).model.markets["main"]
    structure = match(market, installed()).structure
    assert structure is not None
    return pipeline.mechanism(market, structure), structure


def numbers(table: object) -> Array:
    assert isinstance(table, dict)
    return np.array(list(table.values()), dtype=float)


@pytest.mark.parametrize(("regime", "revenue"), [("M5", -6.40072), ("M6", -6.41747)])
def test_the_six_regimes(regime: str, revenue: float) -> None:
    result = mechdsl.load(SIX).solve(regime)
    assert result.certified
    assert result.revenue == pytest.approx(revenue, abs=5e-6)
    assert result["contract"]["t"] == pytest.approx(-revenue, abs=5e-6)
    assert result.payments["broker"] == result["contract"]["t"]
    assert result.utilities["broker"] == pytest.approx(0, abs=1e-9)
    assert numbers(result["contract"]["z"]) == pytest.approx(numbers(result.allocation["x"]), abs=1e-12)


@pytest.mark.parametrize(("regime", "weights"), [("M5", HIGHEST), ("M6", EXPECTED)])
def test_the_promise_is_what_scipy_finds(regime: str, weights: Array) -> None:
    mu, rho, gamma, d = np.array([[0.3, 0.8], [0.5, 0.2]]), np.array([1.2, 1.3]), 0.85, np.array([3.0, 4.0])
    found = minimize(
        lambda x: weights @ x**rho, [2, 2], bounds=[(1e-9, None)] * 2, tol=1e-14,
        constraints={"type": "ineq", "fun": lambda x: x + mu.T @ x**gamma - d},
    )  # fmt: skip
    z = numbers(mechdsl.load(SIX).solve(regime)["contract"]["z"])
    assert z == pytest.approx(found.x, rel=1e-4)
    assert weights @ z**rho <= found.fun * (1 + 1e-8)


def test_stages_print_and_the_second_takes_what_the_first_decides() -> None:
    mechanism, _ = ready()
    program = mechanism.program
    assert isinstance(program, Stages)
    assert [str(q.name) for q in program.parameters] == ["vc"]
    assert program.convex
    assert "stage 2 of 2: what to produce under the promise" in str(program)
    assert "z[k] <= x[k] <= oo" in str(program)


@pytest.mark.parametrize("goal", ["revenue", "welfare"])
def test_a_tax_is_passed_on(goal: str) -> None:
    """`t = b . y / (1 - tax)`, the government has the rest, and nobody else is any better or worse off."""
    free, taxed = solved(GOAL=goal), solved(GOAL=goal, PRESIGNED="presigned(tax = 0.1)")
    price = (1.0 * 9 + 1.5 * 16) / 0.9
    assert taxed["contract"]["t"] == pytest.approx(price, rel=1e-12)
    assert taxed.payments["government"] == pytest.approx(0.1 * price, rel=1e-12)
    assert taxed.utilities["government"] == taxed.payments["government"]
    assert taxed.utilities["broker"] == pytest.approx(0, abs=1e-9)
    assert taxed.welfare == pytest.approx(free.welfare)
    assert numbers(taxed.utilities["creator"]) == pytest.approx(numbers(free.utilities["creator"]))


def test_the_tax_may_be_a_param() -> None:
    file = mechdsl.parse(text(PRESIGNED="presigned(tax = tau)") + "param tau in [0, 1) = 0.25")
    assert file.solve("main")["contract"]["t"] == pytest.approx(33 / 0.75)
    assert file.solve("main", set={"tau": 0.5})["contract"]["t"] == pytest.approx(66)


@pytest.mark.parametrize("tax", ["1", "1.5", "x[video]", "steep"])
def test_a_tax_that_is_none_is_refused_in_words(tax: str) -> None:
    if tax == "x[video]":
        tax = "sum(k: x[k])"
    try:
        result = mechdsl.parse(text(PRESIGNED=f"presigned(tax = {tax})")).solve("main")
    except mechdsl.MechError:
        return
    assert result.status == "unhandled"
    assert "'tax' of presigned" in result.message or "'tax' of presigned" in str(result.run.match.reasons["broker"])


def test_elastic_demand_weighs_value_against_highest_or_expected_cost() -> None:
    value = "{ value sum(k: 60 * log(1 + x[k])) }"
    revenue, welfare = (solved(PLATFORM=value, COST="c[k] * x[k]", GOAL=g) for g in ("revenue", "welfare"))
    assert numbers(revenue["contract"]["z"]) == pytest.approx(60 / HIGHEST - 1)
    assert numbers(welfare["contract"]["z"]) == pytest.approx(60 / np.array([0.55, 0.85]) - 1)


def test_the_platforms_own_cost_of_generation_counts_beside_the_price() -> None:
    """Quadratic cost of the creators at b, value 60 x, own cost 2 x^2: 60 = 2 (b + 2) z."""
    result = solved(PLATFORM="{ value 60 * sum(k: x[k])  cost sum(k: 2 * x[k]^2) }")
    z = 30 / (HIGHEST + 2)
    assert numbers(result["contract"]["z"]) == pytest.approx(z)
    assert result["contract"]["t"] == pytest.approx(HIGHEST @ z**2)


def test_the_brokers_cost_and_outside_option_are_in_the_price() -> None:
    result = solved(BROKER="{ cost 2 + 0.5 * sum(k: x[k])  outside 1 }")
    assert result["contract"]["t"] == pytest.approx(33 + 2 + 3.5 + 1)
    assert result.utilities["broker"] == pytest.approx(1)


def test_fixed_costs_values_and_outside_options_of_creators_are_paid() -> None:
    result = solved(COST="c[k] * x[k]^2 + 3 + x[k]  value 1  outside 2")
    assert result["contract"]["t"] == pytest.approx(33 + 2 * (3 - 1 + 2) + 7)
    assert result.payments["creator"]["text"] == pytest.approx(24 + 3 + 4 - 1 + 2)


def test_a_broker_who_knows_costs_pays_them_and_signs_at_their_means() -> None:
    result = solved(DIRECT="direct(information = known)")
    assert result["contract"]["t"] == pytest.approx(0.55 * 9 + 0.85 * 16)
    assert result.payments["creator"] == pytest.approx({"video": 0.4 * 9, "text": 0.9 * 16})
    assert result.utilities["broker"] == pytest.approx(0.15 * 9 - 0.05 * 16)  # lucky with one, unlucky with the other


def test_caps_hold_and_what_clashes_is_said() -> None:
    assert solved(CHOICE="in [0, 5]").certified
    refused = mechdsl.parse(text(CHOICE="in [0, 3.5]")).solve("main")
    assert refused.status == "infeasible"
    assert "demand[text]" in refused.message


def test_several_creators_a_domain_each_paid_its_own_highest_cost() -> None:
    result = mechdsl.parse("""
market crowd "Two creators for one demand, one of them cheaper at worst"
index n in creators = {ann, bob, cid}
layer platform
layer broker
layer creator[n] { type c[n] ~ {ann: uniform(0, 1), bob: uniform(0.5, 2), cid: point(1)}
                   choose x[n] >= 0  cost c[n] * x[n]^2 }
demand: sum(n: x[n]) >= 5
contract platform -> broker: presigned
contract broker -> creator: direct
objective platform: maximize revenue
report c = {ann: 0.5, bob: 1, cid: 1}
""").solve("main")
    assert result.certified
    assert result["contract"]["z"] == pytest.approx({"ann": 2, "bob": 1, "cid": 2})
    assert result.payments["creator"] == pytest.approx({"ann": 4, "bob": 2, "cid": 4})


def test_more_choices_than_one_are_promised_by_name() -> None:
    result = mechdsl.parse("""
market pair "Two outputs of one creator"
layer platform
layer broker
layer creator { type c ~ uniform(0, 1)  choose x >= 0  choose e >= 0  cost c * (x^2 + e^2) }
constraint both: x + 2 * e >= 5
contract platform -> broker: presigned
contract broker -> creator: direct
objective platform: maximize welfare
""").solve("main")
    assert result.certified
    assert result["contract"]["z"] == pytest.approx({"x": 1, "e": 2})
    assert result["contract"]["t"] == pytest.approx(5)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"COST": "c[k] * x[k]^2 - 40 * x[k]"}, "is not shown to rise in output"),
        ({"BROKER": "{ value sum(k: x[k]) }"}, "is not shown to rise in output"),
        ({"BROKER": "{ choose a >= 0  cost a }"}, "must choose nothing but its contracts"),
        ({"DIRECT": "direct(information = some)"}, "'information' of direct"),
        ({"PRESIGNED": "presigned(taxes = 0.1)"}, "does not know the argument 'taxes'"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(words: dict[str, str], reason: str) -> None:
    market = mechdsl.parse(text(**words)).model.markets["main"]
    found = match(market, installed())
    assert found.structure is None
    assert reason in found.reasons["broker"]


def test_tampered_outcomes_fail() -> None:
    mechanism, structure = ready()
    report = pipeline.stated_report(mechanism.market)
    outcome = structure.recover(mechanism, report)
    assert certify(mechanism, report, outcome).passed
    less = {"creator": np.asarray(outcome.payments["creator"]) - 1}
    underpaid = replace(outcome, payments={**outcome.payments, **less})
    failed = {c.name for c in certify(mechanism, report, underpaid).checks if not c.passed}
    assert "payments, integrated again" in failed


def test_a_broker_who_delivers_less_or_keeps_a_margin_is_found_out() -> None:
    """A second stage that forgets half of the promise, and a price with a margin in it."""
    mechanism, structure = ready()
    report = pipeline.stated_report(mechanism.market)
    outcome = structure.recover(mechanism, report)
    assert isinstance(mechanism.program, Stages)
    solution = mechanism.solve(report)
    mechanism.remember(report, replace(solution, values={**solution.values, "x": solution.values["x"] / 2}))
    failed = {c.name for c in certify(mechanism, report, outcome).checks if not c.passed}
    assert "credibility" in failed


def test_many_reports_at_once_are_what_one_at_a_time_gives() -> None:
    mechanism, structure = ready(PRESIGNED="presigned(tax = 0.1)", BROKER="{ cost 2 }")
    assert structure.sample is not None
    (private,) = mechanism.market.types
    reports = np.column_stack([d.sample(np.random.default_rng(3), 6) for d in private.distributions])
    sample = structure.sample(mechanism, {private.quantity: reports})
    for n in range(6):
        one = structure.recover(mechanism, {private.quantity: reports[n]})
        assert sample.revenue is not None
        assert sample.welfare is not None
        assert sample.revenue[n] == pytest.approx(one.revenue, rel=1e-12)
        assert sample.welfare[n] == pytest.approx(one.welfare, rel=1e-12)
        for layer, paid in one.payments.items():
            assert sample.payments[layer][n] == pytest.approx(paid, rel=1e-12)
        for layer, utility in one.utilities.items():
            assert sample.utilities[layer][n] == pytest.approx(utility, rel=1e-9, abs=1e-9)


def test_types_that_may_be_free_are_delivered_all_the_same() -> None:
    """At cost 0 the broker's virtual cost is 0 too: delivery is the promise there as well."""
    file = mechdsl.parse(text().replace("uniform(0.1, 1)", "uniform(0, 1)"))
    result = file.solve("main", at={"c": {"video": 0.0}})
    assert result.certified
    assert result.allocation["x"] == pytest.approx({"video": 3, "text": 4})


def test_export_holds_both_stages() -> None:
    file = mechdsl.parse(text())
    assert "what to produce under the promise" in file.export("json")
    assert "model.z" in file.export("pyomo")
