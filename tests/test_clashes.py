"""What clashes where nothing is feasible: expected numbers are worked out by hand beside each market."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mechdsl import pipeline
from mechdsl.cli import main
from mechdsl.program import optima
from mechdsl.structure import installed, match
from mechdsl.theory.clashes import Clash, clash_of

REGISTRY = installed()
CAPPED = """
market capped "Caps against demands"
index k, i in domains = {video, text}
param d[k] in [0, inf) = {video: 3, text: 4}
layer platform
layer creator[k] {
  type c[k] ~ uniform(1, 2)
  choose x[k] in [0, 3.5]
  cost c[k] * x[k]^2
}
demand[k]: x[k] >= d[k]
contract platform -> creator: direct
objective platform: maximize welfare
report c = 1.5
"""
TOGETHER = CAPPED.replace("demand[k]: x[k] >= d[k]", "param n = 10\ndemand: sum(k: x[k]) >= n").replace(
    "param d[k] in [0, inf) = {video: 3, text: 4}", ""
)


def clash(text: str) -> Clash | None:
    market = next(iter(pipeline.parse(text).markets.values()))
    structure = match(market, REGISTRY).structure
    assert structure is not None
    program = structure.program(market, structure.derive(market))
    return clash_of(optima(program)[0], structure.parameters(market, pipeline.stated_report(market)))


def found(text: str) -> Clash:
    one = clash(text)
    assert one is not None
    return one


def test_a_cap_below_demand_without_transfers() -> None:
    # 0.5 is an eighth of the demand and a seventh of the cap: lowering the demand is the smaller change.
    one = found(CAPPED)
    assert one.members == ("demand[text]", "the cap of x[text]")
    assert [(r.verb, r.name) for r in one.remedy] == [("lower", "demand[text]")]
    assert (one.remedy[0].stated, one.remedy[0].enough, one.remedy[0].share) == pytest.approx((4, 3.5, 0.125))


def test_raising_the_cap_may_be_cheaper() -> None:
    # With two rows at odds with one cap, 1/8 + 1/8 for the rows is more than 1/7 for the cap.
    one = found(CAPPED + "constraint more: x[text] >= d[text]\n")
    assert [(r.verb, r.name) for r in one.remedy] == [("raise", "the cap of x[text]")]
    assert (one.remedy[0].enough, one.remedy[0].share) == pytest.approx((4, 1 / 7))
    assert len(one.members) == 2  # either row clashes with the cap by itself
    assert "the cap of x[text]" in one.members


def test_two_caps_that_clash_only_together() -> None:
    # 3.5 + 3.5 < 10, while either cap alone leaves room. Lowering by 3 costs 3/10, raising caps 3/3.5.
    one = found(TOGETHER)
    assert set(one.members) == {"demand", "the cap of x[video]", "the cap of x[text]"}
    assert one.minimal
    assert {r.name: r.enough for r in one.remedy} == pytest.approx({"demand": 7})


def test_a_row_that_is_beside_the_point_is_no_member() -> None:
    text = TOGETHER + "constraint beside: x[video] >= 1\nconstraint lid: x[text] <= 9\n"
    assert set(found(text).members) == {"demand", "the cap of x[video]", "the cap of x[text]"}


def test_concave_transfers() -> None:
    # At the caps each domain has 1 + 0.5 * (1 + 1) = 2 of 3 and of 4: a third and a half. The caps would have
    # to rise to about 2 and 2.9 for as much: dearer.
    text = CAPPED.replace("3.5]", "1]").replace("x[k] >= d", "x[k] + sum(i: 0.5 * x[i]^0.5) >= d")
    shares = {r.name: r.share for r in found(text).remedy}
    assert shares == pytest.approx({"demand[text]": 1 / 2, "demand[video]": 1 / 3}, rel=1e-5)
    assert set(found(text).members) >= {"the cap of x[video]", "the cap of x[text]"}


def test_an_equation_may_be_missed_from_either_side() -> None:
    above = found(CAPPED.replace("demand[k]: x[k] >= d[k]", "demand[k]: x[k] == d[k]"))
    assert [(r.verb, r.name) for r in above.remedy] == [("lower", "demand[text]")]
    assert above.remedy[0].enough == pytest.approx(3.5)
    below = found(CAPPED.replace("[0, 3.5]", "[3.5, 9]").replace("demand[k]: x[k] >= d[k]", "demand[k]: x[k] == d[k]"))
    assert [(r.verb, r.name) for r in below.remedy] == [("raise", "demand[video]")]
    assert below.remedy[0].enough == pytest.approx(3.5)
    assert below.members == ("demand[video]",)  # lower bounds are taken as they are


@pytest.mark.parametrize("cap", ["4", "1e9", "inf"])
def test_a_feasible_market_says_nothing(cap: str) -> None:
    assert clash(CAPPED.replace("3.5", cap)) is None


def test_rows_that_are_not_concave_prove_nothing() -> None:
    assert clash(CAPPED.replace("x[k] >= d[k]", "x[k]^2 >= 5 * d[k]")) is None


def test_every_member_is_needed() -> None:
    # The definition itself, checked by taking each away: the rest is feasible.
    for without in ("demand: sum(k: x[k]) >= n", "in [0, 3.5]"):
        assert (
            clash(TOGETHER.replace(without, "constraint beside: x[video] >= 0" if "sum" in without else ">= 0")) is None
        )


def test_solve_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "capped.mech"
    path.write_text(CAPPED, encoding="utf-8")
    assert main(["solve", str(path)]) == 4
    assert "These clash" in " ".join(capsys.readouterr().out.split())
    assert main(["solve", str(path), "--json"]) == 4
    main_regime = json.loads(capsys.readouterr().out)["regimes"]["main"]
    assert main_regime["status"] == "infeasible"
    assert "lower demand[text] by 0.5 from 4 to 3.5 (0.125 of it)" in main_regime["message"]
    assert "demand[text] and the cap of x[text]" in main_regime["message"]


# Five markets with further constraints: the remedy and the clash by hand; then the remedy is applied, and solves.

HEAD = """
market clash "Three domains"
index k, i in domains = {video, text, audio}
param d[k] in [0, inf) = {video: 3, text: 4, audio: 2}
param hours in [0, inf) = 7
param energy in [0, inf) = 9
layer platform
layer creator[k] { type c[k] ~ uniform(0.1, 1)  choose x[k] CAP  cost c[k] * x[k]^2 }
contract platform -> creator: direct
objective platform: maximize revenue
report c = 0.5
"""
ALL = {"demand[video]", "demand[text]", "demand[audio]"}
CLASHES = [
    pytest.param(  # 9 hours are asked for; two more are 2/7, less than two fewer of any demand
        ">= 0", "demand[k]: x[k] >= d[k]\nconstraint budget: sum(k: x[k]) <= hours\n",
        {"budget": 9.0}, {*ALL, "budget"}, "param hours in [0, inf) = 7", "param hours in [0, inf) = 9",
        id="a budget",
    ),
    pytest.param(  # sqrt(9 - 1) for text beside audio = 0 and video = 1; less of 4 costs 0.29, more energy 8/9
        ">= 0", "demand[k where d[k] > 3]: x[k] >= d[k]\nconstraint effort: sum(k: x[k]^2) <= energy\n"
        "constraint tie: x[video] == x[audio] + 1\n",
        {"demand[text]": 8**0.5}, {"demand[text]", "effort"}, "text: 4", "text: 2.828427",
        id="a curved budget and an equation",
    ),
    pytest.param(  # beyond 1 a unit counts by half: 6 units are worth 3.5
        ">= 0", "demand[k]: if(x[k] < 1, x[k], (x[k] + 1) / 2) >= d[k]\nconstraint most: max(x[video], x[text]) <= 6\n",
        {"demand[text]": 3.5}, {"demand[text]", "most"}, "text: 4", "text: 3.499999", id="cases of a decision",
    ),
    pytest.param(  # 1 + 2 * 0.4 of everything at the caps
        "in [0, 1]", "param mu[i, k] in [0, inf) = 0.4\n"
        "demand[k]: x[k] + sum(i where i != k: mu[i, k] * x[i]^0.8) >= d[k]\n",
        {"demand[video]": 1.8, "demand[text]": 1.8, "demand[audio]": 1.8}, None,
        "{video: 3, text: 4, audio: 2}", "1.799999", id="caps with transfers",
    ),
    pytest.param(  # audio 3 and the pair 5 make 8 of 10
        ">= 0", "constraint least: sum(k: x[k]) >= 3 + hours\nconstraint most[k]: x[k] <= 3\n"
        "constraint pair: x[video] + x[text] <= 5\n",
        {"least": 8.0}, {"least", "most[audio]", "pair"}, "hours in [0, inf) = 7", "hours in [0, inf) = 4.999999",
        id="rows against rows",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("cap", "rows", "remedy", "members", "old", "new"), CLASHES)
def test_what_clashes_and_the_cheapest_way_out(
    cap: str, rows: str, remedy: dict[str, float], members: set[str] | None, old: str, new: str
) -> None:
    text = HEAD.replace("CAP", cap) + rows
    one = found(text)
    assert {r.name: r.enough for r in one.remedy} == pytest.approx(remedy, rel=1e-5)
    assert one.minimal
    assert members is None or set(one.members) == members
    run = pipeline.run(pipeline.parse(text).markets["main"], REGISTRY)
    assert run.outcome is not None
    assert run.outcome.status.word == "infeasible"
    assert old in text
    assert clash(text.replace(old, new)) is None
    mended = pipeline.run(pipeline.parse(text.replace(old, new)).markets["main"], REGISTRY)
    assert mended.outcome is not None
    assert mended.outcome.status.word == "optimal"
