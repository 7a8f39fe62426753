"""Outcomes at many reports against the same reports one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mechdsl import pipeline, theory
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Sample
from mechdsl.structure import Report, installed, match

GOOD = Path(__file__).parent / "cases" / "good"
REGISTRY = installed()


def mechanism(name: str, regime: str) -> Mechanism:
    market = pipeline.load(GOOD / name).markets[regime]
    found = match(market, REGISTRY).structure
    assert found is not None
    return pipeline.mechanism(market, found)


def drawn(at: Mechanism, count: int, seed: int = 1) -> Report:
    generator = np.random.default_rng(seed)
    reports = {}
    for t in at.market.types:
        flat = np.stack([law.quantile(generator.random(count)) for law in t.distributions], axis=-1)
        reports[t.quantity] = flat.reshape(count, *t.quantity.shape)
    return reports


def sampled(at: Mechanism, reports: Report) -> Sample:
    assert at.structure.sample is not None
    return at.structure.sample(at, reports)


@pytest.mark.parametrize("regime", ["revenue", "welfare", "no_genai"])
def test_a_sample_says_what_recover_says(regime: str) -> None:
    at = mechanism("two_regimes.mech", regime)
    reports = drawn(at, 6)
    sample = sampled(at, reports)
    assert sample.certified.all()
    for n in range(6):
        one = at.structure.recover(at, {q: table[n] for q, table in reports.items()})
        for name in ("allocation", "payments", "utilities"):
            for key, table in getattr(one, name).items():
                np.testing.assert_allclose(getattr(sample, name)[key][n], table, rtol=1e-7, atol=1e-7)
        assert sample.revenue is not None
        assert sample.welfare is not None
        assert sample.revenue[n] == pytest.approx(one.revenue, rel=1e-7)
        assert sample.welfare[n] == pytest.approx(one.welfare, rel=1e-7)


MARKET = """
market sampled "Many reports"
index k, i in domains = {{video, text}}
param mu[i, k] in [0, inf) = [[0.3, 0.5], [0.2, 0.1]]
layer platform {{ {platform} }}
layer creator[k] {{ type c[k] ~ {law}  choose x[k] >= 0  cost c[k] * x[k]^1.3 {more} }}
{demand}
contract platform -> creator: direct{arguments}
objective platform: maximize {goal}
"""
DEMAND = "demand[k]: x[k] + sum(i: mu[i, k] * x[i]^0.8) >= 2"
LAW = "{video: normal(0.5, 0.4) on [0.05, 1.5], text: uniform(0.1, 1)}"
PLAIN = {"platform": "", "law": LAW, "more": "", "demand": DEMAND, "arguments": "", "goal": "revenue"}


def ready(**change: str) -> Mechanism:
    market = pipeline.parse(MARKET.format(**(PLAIN | change))).markets["main"]
    found = match(market, REGISTRY).structure
    assert found is not None
    return pipeline.mechanism(market, found)


def compared(at: Mechanism, count: int, tolerance: float) -> Sample:
    """The sample, all of it, beside what is asked one by one at a few reports."""
    reports = drawn(at, count)
    sample = sampled(at, reports)
    assert sample.certified.all()
    few = {q: table[:3] for q, table in reports.items()}
    one = theory.sampled_one_by_one(at, few)
    for name in ("allocation", "payments", "utilities"):
        assert set(getattr(sample, name)) == set(getattr(one, name))
        for key, table in getattr(one, name).items():
            np.testing.assert_allclose(getattr(sample, name)[key][:3], table, rtol=tolerance, atol=tolerance)
    for figure, other in ((sample.revenue, one.revenue), (sample.welfare, one.welfare)):
        assert figure is not None
        assert other is not None
        np.testing.assert_allclose(figure[:3], other, rtol=tolerance)
    return sample


@pytest.mark.parametrize(
    "change",
    [
        {"law": "beta(0.5, 0.5) on [0, 1]"},
        {"law": "{video: mixture(0.5: uniform(0.1, 0.3), 0.5: uniform(0.6, 1)), text: triangular(0.1, 0.3, 1)}"},
        {"platform": "value sum(k: 3 * log(1 + x[k]))", "demand": ""},
        {"more": "+ 0.2 * x[k]^2"},
        {"goal": "welfare", "platform": "cost sum(k: 0.1 * x[k]^1.3)"},
        {"law": "{video: point(0.4), text: normal(0, 1) on [0, 10]}"},
    ],
    ids=["ironed", "ironed in steps", "elastic", "known part", "own cost", "one known"],
)
def test_other_markets(change: dict[str, str]) -> None:
    sample = compared(ready(**change), 40, 1e-7)
    assert sample.payment_error < 1e-7


def test_known_types_are_paid_their_cost() -> None:
    sample = compared(ready(arguments="(information = known)"), 40, 1e-9)
    assert sample.utilities["creator"] == pytest.approx(0, abs=1e-12)


def test_randomised_payments_are_those_of_the_same_trials() -> None:
    compared(ready(arguments="(payment = randomized, trials = 7)"), 40, 1e-7)


def test_ends_of_the_support() -> None:
    at = ready()
    (t,) = at.market.types
    reports = {t.quantity: np.array([[1.5, 1.0], [0.05, 0.1], [1.5, 0.1]])}
    sample = sampled(at, reports)
    one = theory.sampled_one_by_one(at, reports)
    np.testing.assert_allclose(sample.payments["creator"], one.payments["creator"], rtol=1e-7)
    assert sample.utilities["creator"][0] == pytest.approx(0, abs=1e-9)  # the highest type has no rent


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    at = ready(goal="welfare")
    reports = drawn(at, 300)
    whole = sampled(at, reports)
    monkeypatch.setattr("mechdsl.theory.sampling._AT_ONCE", 0)
    parts = sampled(at, reports)
    assert np.array_equal(whole.payments["creator"], parts.payments["creator"])


def test_the_paper_s_population_has_the_expected_revenue_of_virtual_costs() -> None:
    # E[payments] = E[vc . y]: another route to the mean, by the same draws' allocations.
    at = mechanism("six_regimes.mech", "M1")
    reports = drawn(at, 4000)
    sample = sampled(at, reports)
    weights = at.structure.parameters(at.market, reports)
    (vc,) = weights.values()
    rho = next(v for q, v in at.market.data.items() if q.name == "rho")
    virtual = (vc * sample.allocation["x"] ** rho).sum(axis=1)
    assert sample.revenue is not None
    difference = -sample.revenue - virtual
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(4000)
    assert sample.revenue.mean() == pytest.approx(-4.89656, abs=4 * sample.revenue.std() / np.sqrt(4000))
