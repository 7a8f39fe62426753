"""`mechdsl compare`: the six regimes, claims by identity and by bounds, published theorems, variants, figures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mechdsl
from mechdsl.cli import main
from mechdsl.comparison.claims import Pair, related
from mechdsl.errors import UsageError
from mechdsl.expectation.estimate import Estimates
from mechdsl.expected import Known, term
from mechdsl.results import Compared

SIX = Path(__file__).parent.parent / "models" / "ai_2025" / "six_regimes.mech"

SMALL = """
market small "One unit from one of two, in several ways"
index k in sellers = {ann, bob}
param d in [0, inf) = 1
layer buyer
layer seller[k] { type c[k] ~ {ann: uniform(0.2, 1), bob: uniform(0.1, 0.9)}  choose x[k] >= 0  cost c[k] * x[k]^2 }
constraint one: sum(k: x[k]) >= d
regime direct_revenue { contract buyer -> seller: direct  objective buyer: maximize revenue }
regime direct_welfare { contract buyer -> seller: direct  objective buyer: maximize welfare }
regime union { layer guild { represents seller }  contract buyer -> guild: direct  objective buyer: maximize welfare }
regime broker { layer agent  contract buyer -> agent: presigned  contract agent -> seller: direct
                objective buyer: maximize revenue }
CLAIM
"""

# Worked by hand with c_1 = 1 in place of uniform(0.95, 1): -23/24, -7/6, -1.
COMPLEMENTS = """
market complements "Three domains, two of them complements"
index k, i in domains = 1..3
param d[k] in [0, inf) = [0, 1, 1]
param mu[i, k] in [0, inf) = [[0, 1, 1], [0, 0, 0], [0, 0, 0]]
layer platform
layer creator[k] { type c[k] ~ {1: uniform(0.95, 1), 2: uniform(0, 1), 3: uniform(0, 1)}
                   choose x[k] >= 0  cost c[k] * x[k] }
demand[k]: x[k] + sum(i: mu[i, k] * x[i]) >= d[k]
regime M1 { contract platform -> creator: direct  objective platform: maximize revenue }
regime M2 { contract platform -> creator: direct  objective platform: maximize welfare }
regime M4 { layer union { represents creator }  contract platform -> union: direct
            objective platform: maximize welfare }
regime M5 { layer broker  contract platform -> broker: presigned  contract broker -> creator: direct
            objective platform: maximize revenue }
claim ranking: revenue(M2) >= revenue(M4)
claim same: revenue(M4) == revenue(M5)
"""


@pytest.fixture(scope="module")
def six() -> Compared:
    return mechdsl.load(SIX).compare()


def test_the_six_regimes_in_expectation(six: Compared) -> None:
    stated = {
        "M1": (-4.89656, -2.65337), "M2": (-5.25320, -2.57577), "M4": (-6.40072, -2.57577),
        "M5": (-6.40072, -2.83584), "M6": (-6.41747, -2.78074),
    }  # fmt: skip
    for regime, (revenue, welfare) in stated.items():
        for word, value in (("revenue", revenue), ("welfare", welfare)):
            figure = six[regime][word]
            assert figure["mean"] == pytest.approx(value, abs=5.1e-6)
            assert figure["error"] < 1e-6
    union = six["M3"]["revenue"]
    assert -6.40072 < union["lower"] < union["upper"] < -4.89656
    assert union["upper"] - union["lower"] < 1e-3


def test_the_two_claims_hold_and_equality_is_by_derivation(six: Compared) -> None:
    assert [c["holds"] for c in six.claims.values()] == [True, True]
    assert "both are -6.40072, equal by derivation" in six.claims["theorem_3_3"]["detail"]
    assert "both are -2.57577, equal by derivation" in six.claims["theorem_2_4"]["detail"]


def test_what_the_parties_keep_adds_up(six: Compared) -> None:
    """Welfare is the platform's revenue and everyone's rent: transfers cancel."""
    for regime in ("M1", "M2", "M3", "M4", "M5", "M6"):
        side = six[regime]
        revenue = side["revenue"].get("mean", side["revenue"].get("lower"))
        kept = revenue + side["information_rent"]["mean"] + side.get("brokers_profit", {"mean": 0.0})["mean"]
        assert kept == pytest.approx(side["welfare"]["mean"], abs=1e-6)
    assert six["M5"]["price_of_intermediation"]["mean"] == pytest.approx(-4.89656 + 6.40072, abs=2e-5)
    assert six["M2"]["cost_of_private_information"]["mean"] == pytest.approx(-2.57577 + 5.25320, abs=2e-5)
    assert six["M5"]["overproduction"]["demand"]["video"]["mean"] == pytest.approx(0.30609, abs=1e-5)


def test_the_table_and_the_frame(six: Compared) -> None:
    text = str(six)
    for word in ("-4.89656", "revenue at most", "cost of private information", "theorem_3_3 holds"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80
    assert "theorem_2_4 holds" in repr(six)
    pytest.importorskip("pandas")
    frame = six.to_frame()
    assert set(frame.columns) == {"regime", "figure", "mean", "error", "lower", "upper"}
    assert len(frame[frame.regime == "M5"]) >= 6


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_figures_are_written(six: Compared, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    six.plot(tmp_path / f"six{suffix}")
    assert (tmp_path / f"six{suffix}").stat().st_size > 5000
    with pytest.raises(UsageError, match=r"\.png"):
        six.plot(tmp_path / "six.doc")


def test_titles_are_text_in_a_figure_and_have_their_lines(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = r"pays $\bad{x}$ and goes on to say what else the regime is about, at more than any margin's length"
    text = SMALL.replace("CLAIM", "").replace("One unit", r"$\bad{x}$ units")
    for name in ("direct_revenue", "direct_welfare"):
        text = text.replace(f"regime {name} ", f'regime {name} "{words}" ')
    mechdsl.parse(text).compare(["direct_revenue", "direct_welfare"]).plot(tmp_path / "a.svg")
    width, height = map(float, re.findall(r'(?:width|height)="([\d.]+)pt"', (tmp_path / "a.svg").read_text())[:2])
    assert width == pytest.approx(3 * 3.4 * 72)
    assert height == pytest.approx(72 * (1.2 + 2 * 0.17 * 4))  # rows as high as their titles' lines


def test_claims_of_the_paper_come_with_their_conditions() -> None:
    found = mechdsl.parse(SMALL.replace("CLAIM", "")).compare(claims="paper")
    assert found.claims["theorem_2_2"]["holds"] == "undecided"  # no regime plays M6
    assert "no regime here plays M6" in found.claims["theorem_2_2"]["detail"]
    assert found.claims["lemma_2_3"]["holds"] is True
    ranking = found.claims["theorem_2_4"]
    assert "substitutes" in ranking["condition"]
    assert "it is met" in ranking["condition"]
    assert "Rev2 >= Rev4" in ranking["detail"]
    assert ranking["source"].startswith("Ai, Simchi-Levi & Xu (2025)")
    assert found.claims["corollary_2_2"]["condition"].startswith("Guaranteed: if some demand binds")


def test_complements_refute_the_ranking_and_the_reason_is_given() -> None:
    found = mechdsl.parse(COMPLEMENTS).compare(regime=None)
    for regime, exact in (("M1", -0.958), ("M2", -1.142)):
        figure = found[regime]["revenue"]
        assert abs(figure["mean"] - exact) <= figure["error"] + 1e-3
        assert figure["error"] < 0.03
    assert found["M4"]["revenue"]["mean"] == pytest.approx(-1)
    assert found["M5"]["revenue"]["mean"] == pytest.approx(-1)
    same = found.claims["same"]
    assert (same["holds"], same["by"]) == (True, "identity")
    failed = found.claims["ranking"]
    assert failed["holds"] is False
    assert "complements" in failed["detail"]
    assert "falls from" in failed["detail"]


def say(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any, str]:
    status = main(["compare", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, json.loads(out) if "--json" in arguments else out, err


def test_exit_status_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "small.mech"
    path.write_text(SMALL.replace("CLAIM", "claim wrong: revenue(union) > revenue(direct_welfare)"), encoding="utf-8")
    status, found, _ = say(capsys, path, "--json")
    assert status == 3
    assert (found["schema"], found["command"]) == ("mechdsl/1", "compare")
    assert found["claims"][0]["holds"] is False
    assert set(found["regimes"]["broker"]["revenue"]) == {"mean", "error"}
    assert "Gauss-Kronrod" in found["method"]["name"]
    path.write_text(SMALL.replace("CLAIM", "claim odd: revenue(union) >= profit(union)"), encoding="utf-8")
    status, found, _ = say(capsys, path, "--json")
    assert (status, found["claims"][0]["holds"]) == (0, "undecided")


def test_several_values_make_the_table_wider(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "small.mech"
    path.write_text(SMALL.replace("CLAIM", ""), encoding="utf-8")
    status, found, _ = say(capsys, path, "--set", "d=1", "--set", "d=2", "--regime", "broker", "--json")
    assert status == 0
    assert [c["label"] for c in found["comparisons"]] == ["d=1", "d=2"]
    first, second = (c["regimes"]["broker"]["revenue"]["mean"] for c in found["comparisons"])
    assert second == pytest.approx(4 * first)
    status, text, _ = say(capsys, path, "--set", "d=1", "--set", "d=2", "--regime", "broker")
    assert "d=2 broker" in text


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("claim a: revenue(union) * revenue(broker) >= 1", "no expectation follows"),
        ("claim a: sqrt(2) >= 1", "no figure that a claim can compare"),
        ("claim a: d(union) >= 1", "no figure that a claim can compare"),
        ("claim a: revenue(union) / (2 - 2) >= 1", "no expectation follows"),
    ],
)
def test_what_no_claim_can_say(claim: str, said: str) -> None:
    with pytest.raises(mechdsl.MechError, match=said):
        mechdsl.parse(SMALL.replace("CLAIM", claim))


def test_claims_speak_of_decisions_too() -> None:
    """Bought until 6 / (1 + x) is the virtual cost 2 c - 1: E[x] = 3 log 3 - 1, E[c x] = 3/2 + 3/2 log 3 - 3/2."""
    found = mechdsl.parse("""
market one "One seller"
index k in goods = {tea, salt}
layer buyer { value sum(k: 6 * log(1 + x[k])) }
layer seller { type c ~ uniform(1, 2)  choose x[k] >= 0  choose z in [0, 1]  cost c * sum(k: x[k]) }
contract buyer -> seller: direct
objective buyer: maximize revenue
claim below: x[tea] <= 2.295837
claim above: x[tea](main) >= 2.295836
claim both: sum(k: x[k]) / 2 == x[salt], 2 * x[tea] - x[salt] == x[salt](main)
claim never: z >= 1e-6
claim alone: revenue >= -payments, information_rent > 0, revenue + payments(seller) >= welfare(main) / 4
""").compare()
    verdicts = {name: claim["holds"] for name, claim in found.claims.items()}
    assert verdicts == {"below": True, "above": True, "both": True, "never": False, "alone": True}
    assert found.claims["both"]["by"] == "bounds"  # two columns that happen to be equal


def test_a_regime_alone_that_nothing_handles_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "small.mech"
    path.write_text(
        SMALL.replace("CLAIM", "").replace("buyer -> agent: presigned", "buyer -> agent: nothing"), encoding="utf-8"
    )
    assert say(capsys, path, "--regime", "broker")[0] == 1
    assert say(capsys, path, "--tol", "2")[0] == 2


NOTHING = Estimates({}, np.zeros(0), np.zeros(0), None, "none")


@pytest.mark.parametrize(
    ("left", "sign", "right", "error", "holds"),
    [
        (2.0, ">=", 1.0, 0.1, True), (1.0, ">=", 2.0, 0.1, False), (1.0, ">=", 1.05, 0.1, None),
        (1.0, "<=", 2.0, 0.1, True), (1.0, "==", 1.0000001, 0.0, True), (1.0, "==", 1.1, 0.01, False),
        (1.0, "==", 1.1, 0.2, None), (1.0, ">", 1.0, 0.0, False), (2.0, "!=", 1.0, 0.1, True),
    ],
)  # fmt: skip
def test_relations_are_decided_on_differences(
    left: float, sign: str, right: float, error: float, holds: bool | None
) -> None:
    forms = [term(Known(name, value, error / 2)) for name, value in (("l", left), ("r", right))]
    sides = [Pair(form, form) for form in forms]
    assert related("", sides[0], sign, sides[1], NOTHING, 1e-6).holds is holds


def test_bounds_decide_where_they_do_not_overlap() -> None:
    low, high, beyond = (term(Known(str(v), v)) for v in (1.0, 2.0, 3.0))
    between = Pair(low, high)
    assert related("", Pair(beyond, beyond), ">=", between, NOTHING, 1e-6).holds is True
    assert related("", between, ">=", Pair(beyond, beyond), NOTHING, 1e-6).holds is False
    assert related("", between, ">=", Pair(low * 1.5, low * 1.5), NOTHING, 1e-6).holds is None


APPENDIX_E = Path(__file__).parent.parent / "benchmarks" / "appendix_e.mech"


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))])
def test_appendix_e_has_the_ranking_of_table_1(seed: int) -> None:
    found = mechdsl.load(APPENDIX_E, seed=seed).compare()
    assert {name: claim["holds"] for name, claim in found.claims.items()} == {"table_1": True, "inside": True}


def test_complements_by_hand() -> None:
    # t ~ U(0.95, 1), s = c_2 + c_3. M2 pays 2t - s where s < t, else min(s, 1): 5/6 + E t^3 / 3. M1 prices c_1 at
    # 2t - 0.95 and c_2, c_3 at twice themselves: they win where s < v = t - 0.475, and are paid 2v - s; else c_1 is
    # paid the t at which it would lose, min(s + 0.475, 1).
    cubes, v = (1 - 0.95**4) / 4 / 0.05, np.linspace(0.475, 0.525, 20_001)
    alone = (0.525**3 - v**3) / 3 + 0.475 * (0.525**2 - v**2) / 2 + (1 - 0.525**2 / 2)
    by_hand = {"M1": -float(np.trapezoid(2 * v**3 / 3 + alone, v)) / 0.05, "M2": -5 / 6 - cubes / 3, "M4": -1, "M5": -1}
    found = mechdsl.parse(COMPLEMENTS).compare()
    for name, revenue in by_hand.items():
        figure = found[name]["revenue"]
        assert figure["mean"] == pytest.approx(revenue, abs=2e-8)
        assert figure["error"] < 1e-7
    assert by_hand["M1"] == pytest.approx(-0.958, abs=5e-4)
    assert by_hand["M2"] == pytest.approx(-1.142, abs=5e-4)


CAPPED = SMALL.replace("choose x[k] >= 0", "choose x[k] in [0, 0.25]").replace(
    "CLAIM", "claim same: revenue(union) == revenue(broker)"
)
UNION_OF_CAPPED = """regime menu { layer guild { represents seller }  contract buyer -> guild: direct
                objective buyer: maximize revenue }
"""


def test_a_market_without_a_solution_says_so_and_decides_nothing() -> None:
    # Half a unit is all that both can make together; asked for is one.
    found = mechdsl.parse(CAPPED + UNION_OF_CAPPED).compare(claims="paper")
    for side in found.comparison.sides:
        assert side.status == "failed"
        assert "where at least 1 is asked" in side.message
    for claim in found.claims.values():
        assert claim["holds"] == "undecided"
        assert "nan" not in claim["detail"]
