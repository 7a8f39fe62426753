"""mechdsl from Python: the words of the command, tables by label, errors that say what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from outcomes import REFUSED, TEXT, outcome, run, unhandled

import mechdsl
from mechdsl.api import chosen
from mechdsl.elaborate import Override
from mechdsl.errors import MechError, UsageError
from mechdsl.market import Model
from mechdsl.outcome import Outcome
from mechdsl.overrides import assignments
from mechdsl.program import Status
from mechdsl.results import Result, Results

SIX = Path(__file__).parent.parent / "models" / "ai_2025" / "six_regimes.mech"


@pytest.fixture(scope="module")
def pair() -> mechdsl.MarketFile:
    return mechdsl.parse(TEXT)


def value(model: Model, name: str, regime: str = "plain") -> list[float]:
    market = model.markets[regime]
    table: list[float] = market.data[market.declarations[name].quantity].tolist()
    return table


def table(model: Model, name: str) -> list[list[float]]:
    market = model.markets["M1"]
    found: list[list[float]] = market.data[market.declarations[name].quantity].tolist()
    return found


def reported(model: Model) -> list[float]:
    (table,) = (model.markets["plain"].report or {}).values()
    found: list[float] = table.tolist()
    return found


def test_a_file_at_hand(pair: mechdsl.MarketFile) -> None:
    assert pair.name == "pair"
    assert pair.regimes == ("plain", "other")
    assert repr(pair) == "<market pair: plain, other>"
    assert mechdsl.load(SIX).regimes == ("M1", "M2", "M3", "M4", "M5", "M6")


def test_mistakes_are_raised_together() -> None:
    with pytest.raises(MechError) as caught:
        mechdsl.parse(TEXT.replace("uniform", "unifrom").replace("x[k] >= d[k]", "x[k] >= e[k]"), name="mine")
    assert len(caught.value.diagnostics) == 2
    assert "in mine, line" in str(caught.value)


@pytest.mark.parametrize(
    "at",
    [
        {"c": {"video": 0.1, "text": 0.9}},
        {"c.video": 0.1, "c.text": 0.9},
        {"c": [0.1, 0.9]},
        {"c": np.array([0.1, 0.9])},
        "c.video=0.1,c.text=0.9",
        "c={video: 0.1, text: 0.9}",
        "c = 0.9, c.video = 0.2/2",
    ],
)
def test_a_report_in_any_form(at: Any, pair: mechdsl.MarketFile) -> None:
    assert reported(pair.at(at=at)) == [0.1, 0.9]


def test_params_from_outside(pair: mechdsl.MarketFile) -> None:
    assert value(pair.at(set={"d": 2}), "d") == [2, 2]
    assert value(pair.at(set={"d.text": 2}), "d") == [3, 2]
    assert value(pair.at(set="d.text=-(1-3)"), "d") == [3, 2]
    assert value(pair.model, "d") == [3, 0]
    assert pair.at() is pair.model


def test_two_indices_from_outside() -> None:
    file = mechdsl.load(SIX)
    model = file.at(set={"mu": [[0, 1], [2, 3]], "gamma.video.text": 0.5})
    assert table(model, "mu") == [[0, 1], [2, 3]]
    assert table(model, "gamma") == [[0.85, 0.5], [0.85, 0.85]]
    assert table(file.at(set={"mu.video": [5, 6]}), "mu") == [[5, 6], [0.5, 0.2]]


def test_the_seed_of_what_is_drawn() -> None:
    text = TEXT.replace("= {video: 3, text: 0}", "~ uniform(1, 2)")
    drawn = mechdsl.parse(text)
    again = value(drawn.model, "d")
    assert value(mechdsl.parse(text).model, "d") == again
    assert value(mechdsl.parse(text, seed=1).model, "d") == value(drawn.at(seed=1), "d") != again


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"c": [1, 2, 3]}, "does not take 3 values"),
        ({"c": None}, "needs a number or a label"),
        ("c.video", "does not read"),
        ("c.video=1/0", "divides by zero"),
        ("c.video=9^9", "gives no value"),
        ("c.video=sum(k: 1)", "gives no value"),
    ],
)
def test_what_cannot_be_read(given: Any, words: str, pair: mechdsl.MarketFile) -> None:
    with pytest.raises(UsageError, match=words):
        pair.at(at=given)


def test_what_does_not_fit_is_a_mistake(pair: mechdsl.MarketFile) -> None:
    with pytest.raises(MechError, match="outside its support"):
        pair.at(at={"c": 7})
    with pytest.raises(MechError, match="is no param"):
        pair.at(set={"e": 7})
    with pytest.raises(MechError, match="is a number"):
        pair.at(at={"c": "much"})


def test_assignments() -> None:
    assert assignments("mu.video.text=0.2, w.3=-1e-3") == (
        Override("mu", ("video", "text"), 0.2),
        Override("w", ("3",), -0.001),
    )
    assert assignments('x."New York"=3') == (Override("x", ("New York",), 3.0),)
    assert assignments("  ") == ()


def test_regimes_are_chosen_in_the_order_of_the_file(pair: mechdsl.MarketFile) -> None:
    assert [m.regime for m in chosen(pair.model, ["other", "plain"])] == ["plain", "other"]
    assert len(chosen(pair.model, [])) == 2
    with pytest.raises(UsageError, match="Did you mean 'other'"):
        chosen(pair.model, ["othr"])


# ------------------------------------------------------------------------------------------------------------- results


def test_a_result_in_the_words_of_the_json() -> None:
    found = Result.of(run())
    assert found.regime == "plain"
    assert found.structure == "by_hand"
    assert (found.status, found.message) == ("optimal", "Solved.")
    assert found.allocation == {"x": {"video": 3.0, "text": 0.0}}
    assert found.payments["creator"]["video"] == 3.0
    assert found.utilities["platform"] == -3.0
    assert found.slack == {"demand": {"video": 0.0}}
    assert found.shadow_price == {"demand": {"video": 1.0}}
    assert (found.revenue, found.welfare, found.profit) == (-3.0, -1.5, None)
    assert found.notes == ("A remark.",)
    assert found.certified
    assert found["accounts"][0]["payer"] == "platform"
    assert repr(found) == "<plain: optimal, revenue -3, welfare -1.5, certified>"


def test_a_result_that_is_none() -> None:
    missing = Result.of(unhandled())
    assert (missing.status, missing.structure) == ("unhandled", None)
    assert missing.allocation == {}
    assert missing.revenue is None
    assert not missing.certified
    failed = Result.of(run(Outcome("by_hand", Status.INFEASIBLE, "No."), None))
    assert repr(failed) == "<plain: infeasible>"
    assert repr(Result.of(run(certificate=REFUSED))).endswith("NOT CERTIFIED>")


def test_results_by_regime() -> None:
    both = Results({"plain": Result.of(run()), "other": Result.of(run(regime="other"))})
    assert list(both) == ["plain", "other"]
    assert len(both) == 2
    assert both["other"].revenue == -3.0
    with pytest.raises(AttributeError, match=r"results\['plain'\].revenue"):
        both.revenue  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'revenu'"):
        both.revenu  # noqa: B018


def test_one_result_needs_no_name() -> None:
    one = Results({"plain": Result.of(run())})
    assert one.revenue == -3.0
    assert one.allocation["x"]["video"] == 3.0


def test_a_result_prints_as_the_command_prints_it() -> None:
    found = Result.of(run())
    assert "platform pays creator 3 (payment)" in str(found)
    assert "platform pays creator 3 (payment)" in found._repr_html_()
    both = Results({"plain": found, "other": Result.of(run(regime="other"))})
    assert "side by side" in str(both)
    assert "side by side" in both._repr_html_()
    assert "platform pays creator 3" in both._repr_markdown_()


class _Frame:
    """Stands in for pandas, which is optional."""

    def __init__(self, rows: list[tuple[Any, ...]], columns: list[str]) -> None:
        self.rows, self.columns = rows, columns


def test_a_tidy_table(monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = ModuleType("pandas")
    pandas.DataFrame = _Frame  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    frame = Result.of(run(outcome())).to_frame()
    assert frame.columns == ["regime", "quantity", "name", "label", "value"]
    assert ("plain", "allocation", "x", "video", 3.0) in frame.rows
    assert ("plain", "utilities", "platform", "", -3.0) in frame.rows
    assert ("plain", "revenue", "", "", -3.0) in frame.rows
    both = Results({"plain": Result.of(run()), "other": Result.of(run(regime="other"))}).to_frame()
    assert {row[0] for row in both.rows} == {"plain", "other"}


def test_without_pandas_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        Result.of(run()).to_frame()


# ------------------------------------------------------------------------------------------------------ the whole chain


def test_solving_a_file() -> None:
    file = mechdsl.load(SIX)
    found = file.solve("M2")
    assert found.certified
    assert found.allocation["x"]["video"] == pytest.approx(5.02961009, rel=1e-8)
    moved = file.solve("M2", at={"c": {"video": 0.5, "text": 0.5}}, set={"d": 1})
    assert moved["report"] == {"c": {"video": 0.5, "text": 0.5}}
    assert moved.slack["demand"]["video"] == pytest.approx(0, abs=1e-7)
    both = file.solve(["M1", "M2"])
    assert list(both) == ["M1", "M2"]
    assert both["M2"].welfare >= both["M1"].welfare  # type: ignore[operator]
    with pytest.raises(UsageError, match="no regime 'M9'"):
        file.solve("M9")


def test_the_rest_of_a_file() -> None:
    file = mechdsl.load(SIX)
    assert "virtual cost" in file.inspect("M1")
    assert r"\begin{document}" in file.inspect("M1", format="latex")
    assert [r.market.regime for r in file.check(["M1", "M3"]).regimes] == ["M1", "M3"]
    assert '"sense": "minimize"' in file.export("json", "M1")
    with pytest.raises(UsageError, match="nl holds one regime: name one of M1, M2"):
        file.export("nl")
