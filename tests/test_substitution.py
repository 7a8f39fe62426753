"""Who is needed, substitutes or complements, and ties: expectations worked out by hand beside each market."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mechdsl import pipeline
from mechdsl.check import diagnose
from mechdsl.cli import main
from mechdsl.market import Market
from mechdsl.mechanism import Mechanism
from mechdsl.structure import installed, match
from mechdsl.theory.essential import Essential, essential
from mechdsl.theory.substitution import loose_outputs, substitution

REGISTRY = installed()
MODELS = Path(__file__).parent.parent / "models"
COMPLEMENTS = MODELS / "ai_2025" / "complements.mech"

PAIR = """
market pair "Two domains that serve each other"
index k, i in domains = {video, text}
param d[k] in [0, inf) = {video: 3, text: 4}
param rho[k] in [1, inf) = 1.2
param mu[i, k] in [0, inf) = 0.5
param gamma[i, k] in [0, 1] = 0.85
layer platform
layer creator[k] {
  type c[k] ~ uniform(0.1, 1)
  choose x[k] >= 0
  cost c[k] * x[k]^rho[k]
}
demand[k]: x[k] + sum(i: mu[i, k] * x[i]^gamma[i, k]) >= d[k]
contract platform -> creator: direct
objective platform: maximize welfare
report c = 0.5
"""
SELLERS = """
market sellers "One unit, from any of three"
index k in sellers = {ann, bob, eve}
layer buyer
layer seller[k] { type c[k] ~ uniform(0.1, 1)  choose x[k] >= 0  cost c[k] * x[k] }
constraint one: sum(k: x[k]) >= 1
contract buyer -> seller: direct
objective buyer: maximize welfare
report c = 0.5
"""
# The buyer wants x and z in pairs: 3 log(1 + t) for t of each, so t = 3 / (c_1 + c_2) - 1 falls in either cost.
PAIRS = """
market pairs "Left and right shoes"
index k in shoes = {left, right}
layer buyer { value 3 * log(1 + min(x[left], x[right])) }
layer maker[k] { type c[k] ~ uniform(0.1, 1)  choose x[k] >= 0  cost c[k] * x[k] }
contract buyer -> maker: direct
objective buyer: maximize welfare
report c = 0.5
"""


def regime(text: str | Path, name: str | None = None) -> Market:
    markets = (pipeline.load(text) if isinstance(text, Path) else pipeline.parse(text)).markets
    return markets[name] if name else next(iter(markets.values()))


def ready(market: Market) -> Mechanism:
    structure = match(market, REGISTRY).structure
    assert structure is not None
    return pipeline.mechanism(market, structure)


# ------------------------------------------------------------------------------------------------------ who is needed


def needed(text: str) -> Essential:
    found = essential(regime(text))
    assert found is not None
    return found


def test_without_transfers_everyone_is_needed() -> None:
    found = needed(PAIR.replace("mu[i, k] in [0, inf) = 0.5", "mu[i, k] in [0, inf) = 0"))
    assert found.needed == (("x[video]", "demand[video]"), ("x[text]", "demand[text]"))
    assert found.never_idle == ()  # said already


def test_with_transfers_and_no_caps_no_one_is() -> None:
    assert needed(PAIR).needed == ()


def test_caps_make_both_needed() -> None:
    # x <= 2 and all transfers 1: video's row is 2 x_v + x_t >= 3, which has 2 without x_v; text's is 2 x_t + x_v >= 4,
    # which has 2 without x_t.
    capped = PAIR.replace("= 0.85", "= 1").replace("[0, inf) = 0.5", "[0, inf) = 1")
    found = needed(capped.replace("choose x[k] >= 0", "choose x[k] in [0, 2]"))
    assert found.needed == (("x[video]", "demand[video]"), ("x[text]", "demand[text]"))


@pytest.mark.parametrize(
    ("old", "new", "clash"),
    [
        ("choose x[k] >= 0", "choose x[k] in [0, 1]", "demand[video] cannot be met"),
        ("report", "constraint cap: sum(k: x[k]) <= 2\nreport", "demand[text] and cap clash"),
        ("report", "constraint a: x[video] <= 1\nconstraint b: x[video] >= 2\nreport", "a and b clash"),
    ],
)
def test_where_nothing_is_feasible_nobody_is_needed(old: str, new: str, clash: str) -> None:
    model = pipeline.parse(PAIR.replace(old, new))
    diagnosis = diagnose(model, REGISTRY, deep=True)
    (one,) = diagnosis.regimes
    assert one.essential is not None
    assert (one.essential.needed, one.essential.never_idle) == ((), ())
    assert one.essential.clash == clash
    assert str(one.essential).startswith("no answer, for no decision is feasible: ")
    assert one.substitution is None  # nor is anybody's substitute looked for
    assert "M103" in {d.code for d in diagnosis.diagnostics}


def test_where_a_cap_leaves_room_the_question_has_its_answer() -> None:
    (one,) = diagnose(
        pipeline.parse(PAIR.replace("report", "constraint cap: sum(k: x[k]) <= 20\nreport")), REGISTRY
    ).regimes
    assert one.essential is not None
    assert one.essential.clash == ""


@pytest.mark.parametrize(
    ("old", "new", "idle"),
    [
        pytest.param("", "", {"x[video]", "x[text]"}, id="the first unit costs nothing"),
        pytest.param("= 1.2", "= 1", {"x[video]", "x[text]"}, id="the first unit is worth anything"),
        pytest.param("= 0.85", "= 1", {"x[video]", "x[text]"}, id="rho alone"),
        pytest.param("= 0.85", "= 0.999", {"x[video]", "x[text]"}, id="a slope that grows slowly"),
        pytest.param("= 0.85", "= 0", set(), id="nothing transfers at the margin"),
        pytest.param(
            "mu[i, k] in [0, inf) = 0.5",
            "mu[i, k] in [0, inf) = {video: {video: 1, text: 0}, text: {video: 1, text: 1}}",
            {"x[text]"},
            id="video does not serve text",
        ),
        pytest.param("{video: 3, text: 4}", "0", set(), id="no demand binds"),
    ],
)
def test_the_conditions_of_corollary_2_2(old: str, new: str, idle: set[str]) -> None:
    assert set(needed(PAIR.replace(old, new)).never_idle) == idle


def test_linear_costs_and_transfers_leave_some_idle() -> None:
    # rho = gamma = 1 and mu = 0.5: nothing grows without bound at 0, and of two costs far apart one may serve all.
    assert needed(PAIR.replace("= 1.2", "= 1").replace("= 0.85", "= 1")).never_idle == ()


def test_nothing_is_said_without_a_demand() -> None:
    assert essential(regime(PAIRS)) is None


# ----------------------------------------------------------------------------------------- substitutes or complements


@pytest.mark.parametrize("name", ["revenue", "welfare"])
def test_the_complement_market_is_found_at_the_right_place(name: str) -> None:
    # Psi(w) = min(w_1, w_2 + w_3): x_2 and x_3 are 1 while w_2 + w_3 < w_1, else 0. Weights are c, or 2c - a.
    found = substitution(ready(regime(COMPLEMENTS, name)))
    assert found is not None
    assert found.holds is False
    worst = found.worst
    assert worst is not None
    assert {worst.raised, worst.fallen} in ({"c[2]", "x[3]"}, {"c[3]", "x[2]"})
    assert (worst.high, worst.low) == pytest.approx((1, 0), abs=1e-6)
    c = worst.at
    dearest = 2 * c["c[1]"] - 0.95 if name == "revenue" else c["c[1]"]
    factor = 2 if name == "revenue" else 1
    before = factor * (c["c[2]"] + c["c[3]"])
    assert before < dearest < before + factor * (worst.after - worst.before)
    assert worst.slope == pytest.approx(-1, abs=1e-3)
    assert found.solves <= 200


@pytest.mark.parametrize("name", ["M1", "M2"])
def test_two_domains_never_are(name: str) -> None:
    found = substitution(ready(regime(MODELS / "ai_2025" / "six_regimes.mech", name)))
    assert found is not None
    assert found.holds is True


def test_in_a_pair_no_output_falls_when_the_others_cost_rises() -> None:
    mechanism = ready(regime(PAIR))
    (private,) = mechanism.market.types
    rng = np.random.default_rng(5)
    for _ in range(12):
        c = rng.uniform(0.1, 0.9, 2)
        dearer = c + np.array([0.0, rng.uniform(0, 0.1)])
        before, after = (mechanism.solve({private.quantity: costs}).values["x"] for costs in (c, dearer))
        assert after[0] >= before[0] - 1e-6


def test_two_outputs_that_are_wanted_in_pairs_are_complements() -> None:
    found = substitution(ready(regime(PAIRS)))
    assert found is not None
    assert found.holds is False
    assert found.worst is not None
    worst = found.worst
    assert worst.high == pytest.approx(3 / (worst.at["c[left]"] + worst.at["c[right]"]) - 1, rel=1e-5)
    rise = worst.after - worst.before
    assert worst.low == pytest.approx(3 / (worst.at["c[left]"] + worst.at["c[right]"] + rise) - 1, rel=1e-5)


def test_three_sellers_of_one_thing_are_substitutes() -> None:
    found = substitution(ready(regime(SELLERS)))
    assert found is not None
    assert found.holds is None  # a search proves nothing
    assert found.solves <= 200


# ----------------------------------------------------------------------------------------------------------------- ties


def test_a_tie_leaves_both_outputs_open_and_the_centre_is_given() -> None:
    mechanism = ready(regime(SELLERS))
    (private,) = mechanism.market.types
    tied = loose_outputs(mechanism, {private.quantity: np.array([0.5, 0.5, 0.7])})
    assert [o.output for o in tied] == ["x[ann]", "x[bob]"]
    for output in tied:
        assert (output.low, output.high) == pytest.approx((0, 1), abs=1e-6)
        assert output.given == pytest.approx(0.5, abs=1e-4)


def test_three_that_tie() -> None:
    mechanism = ready(regime(SELLERS))
    tied = loose_outputs(mechanism, pipeline.stated_report(mechanism.market))
    assert [o.given for o in tied] == pytest.approx([1 / 3] * 3, abs=1e-4)


@pytest.mark.parametrize("text", [SELLERS.replace("c[k] * x[k]", "c[k] * x[k]^2"), PAIR], ids=["squares", "pair"])
def test_curved_costs_pin_everything_down(text: str) -> None:
    mechanism = ready(regime(text))
    assert loose_outputs(mechanism, pipeline.stated_report(mechanism.market)) == ()


def test_an_untied_report_pins_everything_down() -> None:
    mechanism = ready(regime(SELLERS))
    (private,) = mechanism.market.types
    assert loose_outputs(mechanism, {private.quantity: np.array([0.5, 0.6, 0.7])}) == ()


# ---------------------------------------------------------------------------------------------------------------- check


def test_a_plain_check_does_not_search() -> None:
    (one,) = diagnose(pipeline.parse(SELLERS), REGISTRY).regimes
    assert one.essential is not None
    assert one.substitution is None
    assert one.loose == ()


def test_the_deep_check_finds_and_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--deep", "--json", "--regime", "welfare", str(COMPLEMENTS)]) == 0
    found = json.loads(capsys.readouterr().out)
    welfare = found["regimes"]["welfare"]
    assert welfare["substitution"]["holds"] is False
    assert welfare["substitution"]["worst"]["high"] == pytest.approx(1, abs=1e-6)
    assert welfare["essential"] == {"needed": [], "never_idle": []}
    assert welfare["not_unique"] == []
    assert "M110" in {d["code"] for d in found["diagnostics"]}


def test_the_deep_check_names_a_tie() -> None:
    found = diagnose(pipeline.parse(SELLERS), REGISTRY, deep=True)
    assert [d.code for d in found.diagnostics] == ["M111"]
    assert "x[ann] may be anything from 0 to 1" in found.diagnostics[0].message
