"""The JSON form is a contract with other programs: its shape, its numbers, and what it leaves out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import CERTIFIED, REFUSED, outcome, run, unhandled

from mechdsl.errors import Diagnostic, Span
from mechdsl.formula import IndexSet
from mechdsl.report.json_report import diagnostic_object, document, labelled, regime_object, to_text

# name: what it holds. A tuple is a choice; a map with `*` has any labels.
NUMBER = (int, float)
TABLE: Any = (int, float, {"*": (int, float, {"*": NUMBER})})
BY_NAME = {"*": TABLE}
SHAPE = {
    "structure": (str, type(None)),
    "status": str,
    "message": str,
    "report": BY_NAME,
    "report_is_mean": bool,
    "allocation": BY_NAME,
    "payments": BY_NAME,
    "revenue": NUMBER,
    "welfare": NUMBER,
    "profit": NUMBER,
    "utilities": BY_NAME,
    "costs": BY_NAME,
    "values": BY_NAME,
    "slack": BY_NAME,
    "shadow_price": BY_NAME,
    "accounts": [{"payer": str, "receiver": str, "what": str, "amount": TABLE}],
    "notes": [str],
    "certificate": {
        "passed": bool,
        "checks": [{"name": str, "value": (*NUMBER, type(None)), "tolerance": NUMBER, "passed": bool, "detail": str}],
    },
}


def misshapen(value: Any, shape: Any, place: str = "") -> list[str]:
    """The places where `value` has not the shape."""
    if isinstance(shape, tuple):
        return [] if any(not misshapen(value, one) for one in shape) else [f"{place}: {value!r}"]
    if isinstance(shape, list):
        bad = [f"{place}: {value!r}"] if not isinstance(value, list) else []
        return bad or [p for j, v in enumerate(value) for p in misshapen(v, shape[0], f"{place}[{j}]")]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{place}: {value!r}"]
        known = {k: shape.get(k, shape.get("*")) for k in value}
        unknown = [f"{place}.{k}: not in the contract" for k, inner in known.items() if inner is None]
        return unknown + [p for k, v in value.items() if known[k] for p in misshapen(v, known[k], f"{place}.{k}")]
    fits = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
    return [] if fits else [f"{place}: {value!r}"]


def test_a_regime_has_the_shape_of_the_contract() -> None:
    found = json.loads(to_text(regime_object(run())))
    assert not misshapen(found, SHAPE)
    assert {"structure", "status", "message", "report", "allocation", "payments", "revenue", "welfare"} <= found.keys()
    assert {"utilities", "slack", "shadow_price", "certificate"} <= found.keys()


def test_the_shape_would_notice() -> None:
    assert misshapen({"status": 1}, SHAPE)
    assert misshapen({"revenue": True}, SHAPE)
    assert misshapen({"payment": {}}, SHAPE)
    assert misshapen({"certificate": {"passed": True, "checks": [{"name": None}]}}, SHAPE)


def test_labels_are_keys_and_numbers_are_whole() -> None:
    found = regime_object(run())
    assert found["structure"] == "by_hand"
    assert found["status"] == "optimal"
    assert found["report"] == {"c": {"video": 0.5, "text": 0.25}}
    assert found["allocation"] == {"x": {"video": 3.0, "text": 0.0}}
    assert found["payments"] == {"creator": {"video": 3.0, "text": 0.0}}
    assert found["utilities"] == {"platform": -3.0, "creator": {"video": 1.5, "text": 0.0}}
    assert found["accounts"] == [
        {"payer": "platform", "receiver": "creator", "what": "payment", "amount": {"video": 3.0, "text": 0.0}}
    ]
    assert "-0.0" not in to_text(found)


def test_what_has_no_meaning_is_absent() -> None:
    found = regime_object(run())
    assert "profit" not in found
    assert "values" not in found  # no layer states a value
    assert found["costs"] == {"creator": {"video": 1.5, "text": 0.0}}  # the platform states no cost
    assert "report_is_mean" not in found
    assert found["slack"] == {"demand": {"video": 0.0}}  # the condition excludes text
    assert found["shadow_price"] == {"demand": {"video": 1.0}}


def test_no_nan_and_no_infinity() -> None:
    made = outcome(revenue=np.inf, welfare=np.nan, allocation={"x": np.array([np.nan, 1.0])}, extra={"fee": np.nan})
    found = json.loads(to_text(regime_object(run(made, REFUSED))), parse_constant=pytest.fail)
    assert "revenue" not in found
    assert "welfare" not in found
    assert found["allocation"] == {"x": {"text": 1.0}}
    assert "fee" not in found
    assert found["certificate"]["checks"][1]["value"] is None
    assert found["certificate"]["passed"] is False
    with pytest.raises(ValueError, match="JSON compliant"):
        to_text({"value": np.nan})


def test_a_certificate_says_what_was_checked() -> None:
    assert regime_object(run())["certificate"] == {
        "passed": True,
        "checks": [
            {"name": "demand met", "value": 0.0, "tolerance": 1e-8, "passed": True, "detail": ""},
            {
                "name": "gain from misreporting",
                "value": 2e-9,
                "tolerance": 1e-7,
                "passed": True,
                "detail": "Best for video.",
            },
        ],
    }
    assert len(CERTIFIED.checks) == 2


def test_further_quantities_take_the_labels_of_their_shape() -> None:
    extra = {
        "menu": [{"price": np.float64(2.0), "x": np.array([1.0, 2.0])}],
        "weights": np.array([0.25, 0.75]),
        "odd": np.array([1.0, 2.0, 3.0]),
        "exact": True,
        "word": "yes",
    }
    found = regime_object(run(outcome(extra=extra)))
    assert found["menu"] == [{"price": 2.0, "x": {"video": 1.0, "text": 2.0}}]
    assert found["weights"] == {"video": 0.25, "text": 0.75}
    assert found["odd"] == [1.0, 2.0, 3.0]
    assert (found["exact"], found["word"]) == (True, "yes")


def test_an_unhandled_regime_says_so() -> None:
    found = regime_object(unhandled())
    assert found["structure"] is None
    assert found["status"] == "unhandled"
    assert "plain" in found["message"]
    assert not misshapen(found, SHAPE)


def test_two_indices_nest_and_none_is_a_number() -> None:
    rows, columns = IndexSet("rows", ("1", "2")), IndexSet("columns", ("a", "b"))
    table = labelled(np.array([[1.0, 2.0], [3.0, np.nan]]), (rows, columns))
    assert table == {"1": {"a": 1.0, "b": 2.0}, "2": {"a": 3.0}}
    assert labelled(np.array(4.0), ()) == 4.0


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_every_digit_survives(numbers: list[float]) -> None:
    index = IndexSet("s", tuple(str(j) for j in range(len(numbers))))
    back = json.loads(to_text({"t": labelled(np.array(numbers), (index,))}))["t"]
    assert list(back.values()) == numbers


def test_a_diagnostic_has_the_range_of_an_editor() -> None:
    span = Span(10, 14, 2, 3, 2, 7)
    found = diagnostic_object(Diagnostic("M012", "unknown distribution", span, "Choose one.", "warning"))
    assert found == {
        "code": "M012",
        "severity": "warning",
        "message": "unknown distribution",
        "hint": "Choose one.",
        "range": {"start": {"line": 1, "character": 2}, "end": {"line": 1, "character": 6}},
    }
    assert "range" not in diagnostic_object(Diagnostic("M001", "no such file"))


def test_a_document_says_what_it_is() -> None:
    found = document("pair", "solve", regimes={})
    assert found == {"schema": "mechdsl/1", "market": "pair", "command": "solve", "regimes": {}}


def test_the_documented_example_has_the_shape() -> None:
    page = (Path(__file__).parent.parent / "docs" / "json.md").read_text(encoding="utf-8")
    example = json.loads(page.partition("```json\n")[2].partition("```")[0])
    (found,) = example["regimes"].values()
    assert example["schema"] == "mechdsl/1"
    assert not misshapen(found, SHAPE)
    for key in SHAPE:
        assert f"`{key}`" in page or key == "notes"
