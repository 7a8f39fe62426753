"""What a person reads: the numbers in line, the books in balance, nothing cut, nothing that only colour says."""

from __future__ import annotations

import json
import re
from io import StringIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import CERTIFIED, REFUSED, outcome, run, unhandled
from rich.console import Console

import mechdsl
from mechdsl.outcome import Account, Outcome
from mechdsl.pipeline import Run
from mechdsl.program import Status
from mechdsl.report import terminal
from mechdsl.report.sheets import aligned
from mechdsl.report.terminal import View, as_text, comparison, regime
from mechdsl.structure import Broken, Registry


def shown(made: Run, view: View | None = None, width: int = 80) -> str:
    page = Console(file=StringIO(), width=width, record=True, highlight=False, markup=False, emoji=False)
    page.print(regime(made, view or View(width=width)))
    return page.export_text()


def rows(text: str) -> dict[str, list[str]]:
    """The words of each line, by its first word."""
    return {words[0]: words[1:] for line in text.splitlines() if (words := line.split())}


def test_numbers_stand_with_their_points_in_line() -> None:
    assert aligned([7.33264618, 0.07808724, 12.0, np.nan]) == ("7.33265  ", "0.0780872", "12" + 8 * " ", "")
    assert aligned([-0.0, 1e-146, 6.5e21]) == ("0      ", "1e-146 ", "6.5e+21")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=6))
def test_points_agree_for_any_numbers(numbers: list[float]) -> None:
    texts = aligned(numbers)
    widest = max(map(len, texts))
    points = {text.rjust(widest).partition("e")[0].partition(".")[0].rstrip().__len__() for text in texts}
    assert len(points) == 1
    assert [float(text) for text in texts] == pytest.approx(numbers, rel=1e-5)


def test_a_regime_at_a_glance() -> None:
    text = shown(run())
    assert "plain  the first" in text
    assert "Made by hand" in text
    assert rows(text)["video"][:1] == ["3"]  # the last table that speaks of video is the demand's
    assert re.search(r"creator +c +x +payment +cost +utility", text)
    assert re.search(r"video +0.5 +3 +3 +1.5 +1.5", text)
    assert re.search(r"total +3 +1.5 +1.5", text)
    assert re.search(r"demand +required +supplied +slack +shadow price", text)
    assert re.search(r"video +3 +3 +binds +1\b", text)
    assert "platform pays creator 3 (payment)" in text
    assert "revenue -3   welfare -1.5" in text
    assert "certified: 2 checks passed" in text
    assert "note: A remark." in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_books_add_up_in_the_open() -> None:
    text = shown(run())
    lines = text[text.index("accounts") :].splitlines()
    table = {w[0]: [float(v) for v in w[1:]] for line in lines if len(w := line.split()) == 5 and w[0] != "accounts"}
    for received, paid, cost, utility in table.values():
        assert received - paid - cost == pytest.approx(utility)
    assert table["total"] == [3.0, 3.0, 1.5, -1.5]
    assert table["total"][-1] == outcome().welfare


def test_a_government_is_a_party_though_no_layer() -> None:
    accounts = (
        Account("platform", "creator", np.array([3.0, 0.0])),
        Account("platform", "government", np.array(0.5), "tax"),
    )
    text = shown(run(outcome(accounts=accounts)))
    assert "platform pays government 0.5 (tax)" in text
    assert rows(text)["government"] == ["0.5", "0", "0", "0.5"]


def test_excluded_rows_are_left_out() -> None:
    text = shown(run())
    demand = text[text.index("demand ") : text.index("platform pays")]
    assert "video" in demand
    assert "text" not in demand


def test_a_failing_certificate_is_shown_whole() -> None:
    text = shown(run(certificate=REFUSED))
    assert "NOT CERTIFIED: 1 of 2 checks fail" in text
    assert "FAILS" in text
    assert "Not measured." in text


def test_a_certificate_is_shown_whole_when_asked() -> None:
    assert "Best for video." not in shown(run())
    assert "Best for video." in shown(run(), View(all_checks=True))


def test_not_solved_is_said_first() -> None:
    text = shown(run(Outcome("by_hand", Status.INFEASIBLE, "demand[video] asks for 3, at most 2 can be made."), None))
    assert "infeasible: demand[video] asks for 3" in text


def test_means_are_said_to_be_means() -> None:
    assert "no report is stated" in shown(run(outcome(report_is_mean=True)))
    assert "no report is stated" not in shown(run())


def test_a_regime_nothing_handles() -> None:
    text = shown(unhandled())
    assert "no installed structure handles regime 'plain'" in text


MANY = """
market many "Many"
index k in domains = 1..100
layer platform
layer creator[k] { type c[k] ~ uniform(0, 1)  choose x[k] >= 0  cost c[k] * x[k] }
demand[k]: x[k] >= 1
contract platform -> creator: direct
regime plain { objective platform: maximize revenue }
"""


def many() -> Run:
    ones = np.ones(100)
    made = outcome(
        report={"c": ones / 2},
        allocation={"x": ones},
        payments={"creator": ones},
        utilities={"platform": np.array(-100.0), "creator": ones / 2},
        costs={"platform": np.array(0.0), "creator": ones / 2},
        slack={"demand": ones * 0},
        shadow_price={"demand": ones},
        accounts=(Account("platform", "creator", ones),),
    )
    return run(made, text=MANY)


def test_long_tables_show_their_ends_and_their_sum() -> None:
    text = shown(many())
    assert "... 83 more" in text
    assert re.search(r"^12 ", text, re.MULTILINE)
    assert not re.search(r"^50 ", text, re.MULTILINE)
    assert re.search(r"^100 ", text, re.MULTILINE)
    assert re.search(r"total +100 +50 +50", text)
    assert re.search(r"^50 ", shown(many(), View(all_rows=True)), re.MULTILINE)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_number_is_lost_in_a_narrow_terminal(width: int) -> None:
    thirds = outcome(payments={"creator": np.array([1 / 3, 2 / 3])}, utilities={"creator": np.array([1 / 7, 1 / 9])})
    text = shown(run(thirds), width=width)
    assert max(map(len, text.splitlines())) <= width
    for number in ("0.333333", "0.666667", "0.142857", "0.111111"):
        assert number in text


def test_regimes_side_by_side() -> None:
    page = Console(file=StringIO(), width=80, record=True)
    page.print(comparison([run(), run(outcome(revenue=-2.0), REFUSED, "other"), unhandled()]))
    text = page.export_text()
    assert re.search(r"plain +-3 +-1.5 +3 +certified", text)
    assert re.search(r"other +-2 +-1.5 +3 +NOT CERTIFIED", text)
    assert "no structure handles it" in text


def test_plain_text_has_no_colours() -> None:
    assert "\x1b" not in as_text([run()])
    assert as_text([run(), run(regime="other")]).count("side by side") == 1


def test_markup_in_titles_is_text() -> None:
    made = run(outcome(notes=("[red]danger[/red] :smile:",)))
    assert "[red]danger[/red] :smile:" in shown(made)


def test_plugins_are_listed_and_the_broken_are_named() -> None:
    page = Console(file=StringIO(), width=100, record=True)
    page.print(terminal.registry(Registry((run().match.structure,), (Broken("bad", "x.py: no STRUCTURE"),))))  # type: ignore[arg-type]
    text = page.export_text()
    assert "by_hand  Made by hand" in text
    assert "contracts: direct; objective: revenue or welfare" in text
    assert "bad was not taken: x.py: no STRUCTURE" in text
    assert CERTIFIED.passed


def test_an_infinite_virtual_cost_is_shown_as_one() -> None:
    """The density of a triangular law vanishes at its top: nothing is bought there at any price."""
    found = mechdsl.parse("""
        market top "One of two sells, one at the top"
        index k in sellers = {a, b}
        layer buyer
        layer seller[k] { type c[k] ~ triangular(0, 0.4, 1)  choose x[k] >= 0  cost c[k] * x[k]^2 }
        constraint one: sum(k: x[k]) >= 1
        contract buyer -> seller: direct
        objective buyer: maximize revenue
        report c = {a: 1, b: 0.5}
    """).solve()["main"]
    row = next(line for line in str(found).splitlines() if line.startswith("a "))
    assert row.split()[2] == "∞"
    assert "e+150" not in str(found)
    assert found.certified
    json.dumps(found.json, allow_nan=False)
