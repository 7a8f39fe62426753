"""A certificate passes on what the program solved and fails on everything near it that is not the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from markets import DOMAINS, K

from mechdsl import certify as certifying
from mechdsl import pipeline
from mechdsl.certify import certify
from mechdsl.formula import IndexSum, Quantity
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Certificate, Outcome
from mechdsl.structure import Report, installed

GOOD = Path(__file__).parent / "cases" / "good"


@pytest.fixture(scope="module")
def solved() -> tuple[Mechanism, Report, Outcome]:
    market = pipeline.load(GOOD / "six_regimes.mech").markets["M2"]
    run = pipeline.run(market, installed())
    assert run.mechanism is not None
    assert run.outcome is not None
    return run.mechanism, pipeline.stated_report(market), run.outcome


def failed(certificate: Certificate) -> set[str]:
    return {check.name for check in certificate.checks if not check.passed}


def test_the_answer_passes(solved: tuple[Mechanism, Report, Outcome]) -> None:
    mechanism, report, outcome = solved
    certificate = certify(mechanism, report, outcome)
    assert certificate.passed
    assert {c.name for c in certificate.checks} >= {
        "demand met",
        "x within bounds",
        "first-order conditions",
        "complementary slackness",
        "duality gap",
        "accounts add up",
        "participation",
        "largest gain from misreporting",
        "payments, integrated again",
    }
    assert all(np.isfinite(c.value) and c.tolerance < 1e-5 for c in certificate.checks)


def paid(outcome: Outcome, change: Callable[[np.ndarray], np.ndarray]) -> Outcome:
    payments = change(np.asarray(outcome.payments["creator"]))
    utilities = {**outcome.utilities, "creator": payments - outcome.costs["creator"]}
    utilities["platform"] = np.asarray(-payments.sum())
    return replace(outcome, payments={"creator": payments}, utilities=utilities)


TAMPERED: dict[str, tuple[Callable[[Outcome], Outcome], str]] = {
    "too little produced": (
        lambda o: replace(o, allocation={"x": 0.999 * o.allocation["x"]}),
        "demand met",
    ),
    "a negative output": (
        lambda o: replace(o, allocation={"x": o.allocation["x"] * np.array([1, -1])}),
        "x within bounds",
    ),
    "paid a little too much": (lambda o: paid(o, lambda p: p + 1e-5), "payments, integrated again"),
    "paid a little too little": (lambda o: paid(o, lambda p: p - 1e-5), "payments, integrated again"),
    "paid cost alone": (lambda o: paid(o, lambda p: np.asarray(o.costs["creator"])), "largest gain from misreporting"),
    "paid less than cost": (lambda o: paid(o, lambda p: p / 2), "participation"),
    "money from nowhere": (
        lambda o: replace(o, utilities={**o.utilities, "platform": np.asarray(0.0)}),
        "accounts add up",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_outcome_fails(name: str, solved: tuple[Mechanism, Report, Outcome]) -> None:
    mechanism, report, outcome = solved
    tamper, check = TAMPERED[name]
    assert check in failed(certify(mechanism, report, tamper(outcome)))


def test_a_point_that_is_not_optimal_fails(solved: tuple[Mechanism, Report, Outcome]) -> None:
    mechanism, report, outcome = solved
    good = mechanism.solve(report)
    worse = replace(good, values={"x": np.asarray(good.values["x"]) * 1.001})
    other = Mechanism(
        mechanism.market, mechanism.structure, mechanism.derivation, mechanism.program, mechanism.compiles
    )
    other.remember(report, worse)
    assert {"first-order conditions", "complementary slackness"} & failed(certify(other, report, outcome))


def test_multipliers_of_the_wrong_size_fail(solved: tuple[Mechanism, Report, Outcome]) -> None:
    mechanism, report, outcome = solved
    good = mechanism.solve(report)
    wrong = replace(good, multipliers={n: 1.001 * np.asarray(m) for n, m in good.multipliers.items()})
    other = Mechanism(
        mechanism.market, mechanism.structure, mechanism.derivation, mechanism.program, mechanism.compiles
    )
    other.remember(report, wrong)
    assert "first-order conditions" in failed(certify(other, report, outcome))


MISLEADING = """
market drawn "What music buys of text changes at a cost of 0.727: Gauss-Kronrod sees nothing of it"
index k, i in domains = {video, text, music, sports}
param d[k] in [0, inf) = 1
param rho[k] in [1, inf) = {video: 2, text: 1.2, music: 2, sports: 1.5}
param mu[i, k] in [0, inf) = [[0.8, 0.3, 0.8, 0.85], [0.3, 0.8, 0.3, 0], [1, 0.8, 1, 0.1], [0.24, 0.3, 0, 0.1]]
layer platform
layer creator[k] {
  type c[k] ~ {video: uniform(0.1, 1), text: uniform(0, 1), music: uniform(0.1, 1), sports: uniform(0.1, 4)}
  choose x[k] >= 0
  cost c[k] * x[k]^rho[k]
}
demand[k]: x[k] + sum(i: mu[i, k] * x[i]^0.85) >= d[k]
contract platform -> creator: direct
objective platform: maximize welfare
report c = {video: 0.6041970802919708, text: 0.6666666666666666, music: 0.5, sports: 0.3}
"""


def test_a_quadrature_that_a_kink_misleads_looks_again() -> None:
    run = pipeline.run(pipeline.parse(MISLEADING).markets["main"], installed())
    assert run.mechanism is not None
    assert run.outcome is not None
    assert run.certificate is not None
    assert not failed(run.certificate)
    wrong = paid(run.outcome, lambda p: p + np.array([0, 1e-6, 0, 0]))  # as far off as it is misled
    report = pipeline.stated_report(run.market)
    assert "payments, integrated again" in failed(certify(run.mechanism, report, wrong))


def test_prices_that_cancel_are_no_error() -> None:
    # One price for two sellers: what either row asks for it cancels. The sum is 0; what it is relative to is not.
    price = Quantity("price", (DOMAINS,), "open")
    slope = IndexSum(price[K], (K,))
    value, size = certifying._marginal(slope, {price: np.array([1.0, -1.0])}, ())
    assert float(value) == 0.0
    assert float(size) == 2.0
