"""M4, a union under welfare: its exact payment against line integrals, the stated figures, known costs and values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oracles import TwoDomains
from scipy.integrate import quad

from mechdsl import pipeline
from mechdsl.certify import certify
from mechdsl.elaborate import Override
from mechdsl.outcome import Outcome
from mechdsl.pipeline import Run
from mechdsl.structure import installed

SIX = Path(__file__).parent.parent / "models" / "ai_2025" / "six_regimes.mech"
REGISTRY = installed()

TRAINED = """
market trained "Two domains, a union, GenAI that costs the platform"
index k, i in domains = {{video, text}}
param cg[k] in [0, inf) = {{video: 0.2, text: 0.1}}
layer platform {{ cost {cost} }}
layer creator[k] {{
  type   c[k] ~ {{video: uniform(0.1, 1), text: power(2) on [0.2, 1.5]}}
  choose x[k] >= 0
  cost   c[k] * x[k]^1.5 {more}
}}
layer union {{ represents creator {outside} }}
demand[k]: x[k] + 0.5 * sum(i where i != k: x[i]^0.8) >= 3
contract platform -> union: direct{arguments}
objective platform: maximize welfare
report c = {{video: 0.35, text: 1.1}}
"""


def ran(text: str) -> Run:
    return pipeline.run(pipeline.parse(text).markets["main"], REGISTRY)


def outcome(run: Run) -> Outcome:
    assert run.outcome is not None
    assert run.certificate is not None
    assert run.certificate.passed, [c for c in run.certificate.checks if not c.passed]
    return run.outcome


def trained(cost: str = "0", more: str = "", outside: str = "", arguments: str = "") -> str:
    return TRAINED.format(cost=cost, more=more, outside=outside, arguments=arguments)


def test_the_published_market() -> None:
    run = pipeline.run(pipeline.load(SIX).markets["M4"], REGISTRY)
    found = outcome(run)
    assert found.revenue == pytest.approx(-6.40072, abs=5e-6)
    assert set(found.payments) == {"union"}
    assert float(found.utilities["union"]) == pytest.approx(
        float(found.payments["union"]) - found.costs["creator"].sum()
    )
    assert np.asarray(found.utilities["creator"]) == pytest.approx(0.0)
    elsewhere = pipeline.load(SIX, report=(Override("c", (), 0.9),)).markets["M4"]
    assert outcome(pipeline.run(elsewhere, REGISTRY)).revenue == pytest.approx(found.revenue, rel=1e-12)


def test_the_payment_is_the_line_integral_by_an_independent_solver() -> None:
    # p = c . y + int_0^1 (b - c) . y(c + s (b - c)) ds, y at weights c + cg: by search, sharing no code.
    market = TwoDomains((3.0, 3.0), (1.5, 1.5), np.array([[0.0, 0.5], [0.5, 0.0]]), np.array([[1.0, 0.8], [0.8, 1.0]]))
    c, b, cg = np.array([0.35, 1.1]), np.array([1.0, 1.5]), np.array([0.2, 0.1])
    integral, _ = quad(lambda s: float((b - c) @ market.y(c + s * (b - c) + cg)), 0.0, 1.0, epsabs=1e-7, limit=20)
    found = outcome(ran(trained("sum(k: cg[k] * x[k]^1.5)")))
    assert float(found.payments["union"]) == pytest.approx(c @ market.y(c + cg) + integral, rel=1e-6)
    # Psi(b + cg) - cg . y(c): the payment moves with the report, revenue does not.
    assert float(found.payments["union"]) == pytest.approx(market.least_cost(b + cg) - cg @ market.y(c + cg), rel=1e-6)
    assert found.revenue == pytest.approx(-market.least_cost(b + cg), rel=1e-8)


def test_known_costs_values_and_outside_options_are_made_good() -> None:
    plain = float(outcome(ran(trained())).payments["union"])
    found = outcome(ran(trained(more="+ 0.7 value 0.2 outside 0.5", outside="cost 0.1 outside 1")))
    # 0.7 - 0.2 + 0.5 for each of two members, 0.1 + 1 for the union.
    assert float(found.payments["union"]) == pytest.approx(plain + 2 * 1.0 + 1.1, rel=1e-9)
    assert np.asarray(found.utilities["creator"]) == pytest.approx(0.5)


def test_known_types_are_paid_their_cost() -> None:
    found = outcome(ran(trained(arguments="(information = known)")))
    assert float(found.payments["union"]) == pytest.approx(found.costs["creator"].sum(), rel=1e-12)


def test_randomised_payments_are_unbiased() -> None:
    exact = float(outcome(ran(trained())).payments["union"])
    drawn = outcome(ran(trained(arguments="(payment = randomized, trials = 400)")))
    assert float(drawn.payments["union"]) != exact
    assert float(drawn.payments["union"]) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_payment_that_moves_with_the_report_is_caught(factor: float) -> None:
    run = ran(trained())
    assert run.mechanism is not None
    found = outcome(run)
    shifted = replace(found, payments={"union": factor * np.asarray(found.payments["union"])})
    report = pipeline.stated_report(run.market)
    failed = {c.name for c in certify(run.mechanism, report, shifted).checks if not c.passed}
    assert "payment, integrated again" in failed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            ("layer union {{ represents creator {outside} }}", "layer union[k] {{ represents creator {outside} }}"),
            "one for each k",
        ),
        (("represents creator", "represents platform"), "has no private type"),
    ],
)
def test_what_does_not_fit_is_said(change: tuple[str, str], reason: str) -> None:
    text = TRAINED.replace(*change).format(cost="0", more="", outside="", arguments="")
    run = ran(text)
    assert run.outcome is None
    assert reason in run.match.reasons["union_welfare"]
