"""The data market's claims by name: true where they are guaranteed, and refuted by instances where they are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

from mechdsl import pipeline
from mechdsl.structure import Finding, installed

TEXT = (Path(__file__).parent.parent / "models" / "dai_2026" / "data_market.mech").read_text(encoding="utf-8")
REGISTRY = installed()


def market(w: Sequence[float], V: float = 1.0, **changes: str) -> str:
    text = TEXT.replace("1..5", f"1..{len(w)}").replace("[0, 0.2, 0.5, 0.8, 1]", str(list(w)))
    text = text.replace("param V in [0, inf) = 1 ", f"param V in [0, inf) = {V!r} ")
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def verdicts(text: str, *regimes: str) -> Mapping[str, Finding]:
    """What every claim of the structures at work comes to, those left out that say nothing of these regimes."""
    markets = pipeline.parse(text).markets
    solved = {}
    for name in regimes or markets:
        run = pipeline.run(markets[name], REGISTRY)
        assert run.mechanism is not None
        assert run.outcome is not None
        solved[name] = (run.mechanism, run.outcome)
    claims = {c.name: c for mechanism, _ in solved.values() for c in mechanism.structure.claims if c.decide is not None}
    found = {name: claim.decide(solved) for name, claim in claims.items() if claim.decide is not None}
    return {name: finding for name, finding in found.items() if finding.holds is not None}


def posted(w: Sequence[float], V: float = 1.0) -> Mapping[str, Finding]:
    return verdicts(market(w, V), "strict_ip", "first_best")


def test_on_the_paper_s_own_example() -> None:
    found = verdicts(TEXT)
    true = {name for name, verdict in found.items() if verdict.holds}
    assert true == {
        "under_investment_precision", "under_investment_cost", "under_investment_creator", "under_investment_effort",
        "originality_penalty", "originality_half", "originality_innovator",
        "tariff_efficiency", "tariff_budget_balance", "tariff_participation", "tariff_nash",
    }  # fmt: skip
    assert found["originality_penalty"].met is True
    assert set(found) - true == {"linear_pricing_fails"}  # pi0 = 0 is below lambda*^2/V - F
    assert found["linear_pricing_fails"].met is False
    assert "lambda*^2/V - F = 0.2579082297" in found["linear_pricing_fails"].detail


def test_the_originality_penalty_needs_mild_correlation() -> None:
    """`w = (.25, 1)`, `V = 20`: lambda* max w = 1.26, and the imitator's effort collapses."""
    found = posted([0.25, 1.0], 20.0)
    for name in ("originality_penalty", "originality_half"):
        assert found[name].holds is False
        assert found[name].met is False
    assert "lambda* max w = 1.259" in found["originality_penalty"].detail
    assert "from 0.588513 of creator[1]" in found["originality_penalty"].detail


@pytest.mark.parametrize("seed", range(5))
def test_the_regime_is_known_from_the_data(seed: int) -> None:
    """The closed condition `V w_max sum w (1 - w/w_max)^3 < 1` is that of `lambda* max w < 1`."""
    rng = np.random.default_rng(seed)
    w, V = [round(float(x), 2) for x in rng.uniform(0, 1, 3)], float(rng.choice([0.5, 5.0, 50.0]))
    text = market(w, V)
    claim = next(c for s in REGISTRY.structures for c in s.claims if c.name == "originality_penalty")
    array = np.array(w)
    lam = brentq(lambda z: z - V * np.sum(array * (1 - z * array) ** 3), 0, 1 / array[array > 0].min())
    assert claim.guaranteed(pipeline.parse(text).markets["strict_ip"]) is bool(lam * array.max() < 1)
    verdict = verdicts(text, "strict_ip", "first_best")["originality_penalty"]
    assert verdict.met is bool(lam * array.max() < 1)
    assert verdict.holds is True or not verdict.met


def test_not_every_creator_works_less() -> None:
    """Correlation mild, and still one works ten times what is efficient."""
    found = posted([0.06, 0.08, 0.5], 20.0)
    assert found["originality_penalty"].met is True
    assert found["under_investment_creator"].holds is False
    assert found["under_investment_creator"].detail.startswith("creator[3] works 0.06448106")
    assert found["under_investment_precision"].holds is True
    assert found["under_investment_cost"].holds is True


def test_total_effort_may_be_above_the_first_best() -> None:
    found = posted([1.0, *[1.2] * 20], 100.0)
    assert found["under_investment_effort"].holds is False
    assert found["under_investment_effort"].detail.startswith(
        "Total effort is 0.06056140893 under posted prices, 0.0583491"
    )
    assert found["under_investment_cost"].holds is True


def test_the_limit_for_imitators() -> None:
    ratios = []
    for V in (1.0, 1e3, 1e9):
        verdict = posted([0.8] * 6, V)["originality_limit"]
        assert verdict.holds is True
        ratios.append(float(verdict.detail.split("ratio is ")[1].split(",")[0]))
    assert ratios == sorted(ratios)
    assert ratios[-1] == pytest.approx(2 ** (-1 / 3), abs=1e-3)
    assert "originality_limit" not in posted([0.8, 0.7])


def test_costs_of_another_power_have_another_half() -> None:
    """With `e^3/3` the ratio of an original creator is `3^(-1/2)`, not 1/2: the claim is of quadratic costs."""
    text = TEXT.replace("e[i]^2 / 2", "e[i]^3 / 3")
    found = verdicts(text, "strict_ip", "first_best")
    assert found["originality_innovator"].holds is False
    assert found["originality_innovator"].met is None
    assert "0.077" in found["originality_innovator"].detail  # 3^(-1/2) - 1/2
    assert found["under_investment_cost"].holds is True
    assert found["under_investment_cost"].met is True


def test_linear_pricing_fails_where_the_outside_option_is_good_enough() -> None:
    for outside, fails in ((0.2579, False), (0.258, True)):
        text = TEXT.replace("precision(theta)  outside 0", f"precision(theta)  outside {outside}")
        verdict = verdicts(text, "linear")["linear_pricing_fails"]
        assert verdict.holds is fails
        assert verdict.met is fails


def test_without_correlation_linear_prices_leave_the_firm_nothing() -> None:
    """The paper's special case: constant returns, so prices at the margin take all, and F is unpaid."""
    verdict = verdicts(market([0.0, 0.0, 0.0]), "linear")["linear_pricing_fails"]
    assert verdict.holds is True
    assert "keeps -0.05 (lambda*^2/V - F = -0.05)" in verdict.detail


def test_a_negative_weight_is_who_loses_by_the_tariff() -> None:
    """One imitator among many who share a little: lambda* w = 2.04, and on its way there its content is worth less than
    it costs. Its share of the surplus is negative, although the surplus is not.
    """
    text = market([1.0, *[0.05] * 50], 3.0)
    verdict = verdicts(text, "tariff", "first_best")["tariff_participation"]
    assert verdict.holds is False
    assert verdict.met is False
    assert "least weight -0.00" in verdict.detail
    run = pipeline.run(pipeline.parse(text).markets["tariff"], REGISTRY)
    assert run.certificate is not None
    assert run.outcome is not None
    assert run.outcome.extra["surplus"] > 0
    failed = [c for c in run.certificate.checks if not c.passed]
    assert [c.name for c in failed] == ["participation"]
    assert failed[0].detail.startswith("creator[1] is 0.0")


def test_claims_are_of_regimes_that_were_solved() -> None:
    assert verdicts(TEXT, "strict_ip") == {}
    assert set(verdicts(TEXT, "tariff")) == {"tariff_budget_balance", "tariff_participation", "tariff_nash"}
    assert "tariff_nash" not in verdicts(TEXT.replace("inf) = 0.05", "inf) = 9"), "tariff")  # no market
