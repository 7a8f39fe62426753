"""The claims about contests, each where it holds and where it does not, against solutions got here."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from test_contest import FILE, NONE, by_shares, text

from mechdsl import pipeline
from mechdsl.cli import main
from mechdsl.structure import Finding, installed
from mechdsl.theory.contest_claims import CONTEST_CLAIMS


def findings(c: Sequence[float], **given: float) -> dict[str, Finding]:
    registry = installed()
    runs = {}
    for name, market in pipeline.parse(text(c, **given)).markets.items():
        run = pipeline.run(market, registry)
        assert run.mechanism is not None
        assert run.outcome is not None
        runs[name] = (run.mechanism, run.outcome)
    return {claim.name: claim.decide(runs) for claim in CONTEST_CLAIMS if claim.decide is not None}


def test_where_all_conditions_are_met_the_claims_hold() -> None:
    c = [1, 1.1, 1.2, 1.3]
    found = findings(c)
    for name in ("exclusive_unique", "own_cost", "entry", "total_creation"):
        assert (found[name].holds, found[name].met) == (True, True), name
    here, dearer = (by_shares(np.array([k, 1.1, 1.2, 1.3]), 2, 50, 0.8, 0.6, 0.3) for k in (1, 1.01))
    assert dearer[0] < here[0]
    s = float(here.sum())
    ratio = s**1.7 / (50 * np.sum(1 / np.array(c)))
    assert f"{ratio:.6g}" in found["total_creation"].detail


def test_the_entry_of_a_weak_rival_makes_a_strong_one_do_more() -> None:
    """With a share above 1/2 the condition fails, and so does the claim: the favourite answers by creating more."""
    alone, both = (by_shares(v, 1, 50, 0.0, 0.0, 0.0) for v in (np.array([1.0, 30.0]), np.array([1.0, 6.0])))
    assert both[0] > alone[0]
    found = findings([1, 6, 30], rho=1, alpha=0, bt=0, gt=0)["entry"]
    assert (found.holds, found.met) == (False, False)
    assert "creator 1's output by +" in found.detail


def test_the_lower_bound_needs_shares_up_to_a_half() -> None:
    found = findings([1, 400], alpha=0, gt=0, bt=0)["total_creation"]
    assert found.met is False
    low, ratio, high = (float(w) for w in found.detail.split(";")[0].split(" < "))
    assert found.holds is (low < ratio < high)


def test_existence_fails_under_the_condition_of_the_notes() -> None:
    found = findings([1, 1.2], **NONE)["inclusive_existence"]
    assert (found.holds, found.met) == (False, True)
    assert "although bt + gt >= 1" in found.detail


def test_a_negative_beta_leaves_uniqueness_open() -> None:
    found = findings([1, 1.5, 2], rho=1.5, bt=0.1, gt=0.6, alpha=1.5, mu=5)["exclusive_unique"]
    assert found.met is False
    assert found.holds is not True


@pytest.mark.parametrize("name", ["costliest_adopt", "adoption_share", "genai_efficiency"])
def test_what_has_no_condition_is_decided_in_numbers(name: str) -> None:
    found = findings([1, 1.5, 2, 4])[name]
    assert found.met is None
    assert found.holds is True
    assert found.detail


def test_the_command_tells_them_with_their_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(FILE), "--claims", "paper", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    claims = {c["name"]: c for c in told["claims"]}
    assert claims.keys() == {c.name for c in CONTEST_CLAIMS}
    assert claims["total_creation"]["holds"] is True
    assert claims["total_creation"]["condition"].endswith("it is met here.")
    assert told["regimes"]["exclusive"]["welfare"]["mean"] == pytest.approx(-52.9769109, abs=1e-6)
