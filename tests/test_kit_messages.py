"""The conformance kit read as its users read it: a structure broken in many ways, and what is said of each.

The structure is the one that `mechdsl new structure` begins with; each way of breaking it is one replacement.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mechdsl import Account, Derivation, Market, Mechanism, Optimum, Outcome, Report, Structure, theory
from mechdsl.loading import module
from mechdsl.starter import starting_package
from mechdsl.structure import Example
from mechdsl.testing import NonconformingError, check_structure, failures

MARKET = """
market two_crews "Two crews, three hours from both, paid a quarter on top"
index k in crews = {north, south}
param c[k] in (0, inf) = {north: 2, south: 4}
layer city { value sum(k: 20 * log(1 + x[k])) }
layer crew[k] { choose x[k] >= 0  cost c[k] * x[k] }
constraint both: sum(k: x[k]) >= 3
contract city -> crew: markup(margin = 0.25)
objective city: maximize profit
"""
HANDS = "by hand: 20 / (1 + x) = 1.25 c"


@pytest.fixture(scope="module")
def structure(tmp_path_factory: pytest.TempPathFactory) -> Structure:
    path = tmp_path_factory.mktemp("starter") / "markup.py"
    path.write_text(starting_package("markup")["src/mechdsl_markup.py"], encoding="utf-8")
    found = module(path).STRUCTURE
    assert isinstance(found, Structure)
    numbers = {"allocation.x.north": 7.0, "payments.crew.south": 15.0, "utilities.crew.north": 3.5}
    return replace(found, examples=(Example(MARKET, numbers, HANDS),))


def test_as_it_is_it_conforms(structure: Structure) -> None:
    check_structure(structure)


def repaid(structure: Structure, change: Callable[[np.ndarray], np.ndarray]) -> Structure:
    """Another payment, in books that balance."""

    def recover(mechanism: Mechanism, report: Report) -> Outcome:
        (paid,) = structure.recover(mechanism, report).accounts
        account = Account(paid.payer, paid.receiver, change(np.asarray(paid.amounts)), paid.what)
        return theory.effort_outcome(mechanism, report, [account], {}, paid.payer)

    return replace(structure, recover=recover)


def outcome_with(one: Structure, /, **changed: Callable[[Outcome], Any]) -> Structure:
    def recover(mechanism: Mechanism, report: Report) -> Outcome:
        found = one.recover(mechanism, report)
        return replace(found, **{name: make(found) for name, make in changed.items()})

    return replace(one, recover=recover)


def unconstrained(market: Market, derivation: Derivation) -> Optimum:
    contract = market.contracts[0]
    seller = market.layer(contract.provider)
    goal = market.layer(contract.payer).value - (1 + contract.arguments["margin"]) * theory.total(seller.cost, seller)  # type: ignore[operator]
    return replace(theory.optimum_of(market, goal), constraints=())


def efficient(market: Market, derivation: Derivation) -> Optimum:
    seller = market.layer(market.contracts[0].provider)
    value = market.layer(market.contracts[0].payer).value
    return theory.optimum_of(market, value - theory.total(seller.cost, seller))


def raising(mechanism: Mechanism, report: Report) -> Outcome:
    raise ZeroDivisionError("division by zero")


def opened(posed: Any, market: Market) -> Optimum:
    """The programme with a param left open."""
    return replace(posed, parameters=(next(iter(market.data)),))  # type: ignore[no-any-return]


def minimised(structure: Structure) -> Structure:
    def program(market: Market, derivation: Derivation) -> Optimum:
        posed = structure.program(market, derivation)
        assert isinstance(posed, Optimum)
        return replace(posed, sense="minimize")

    return replace(structure, program=program)


def growing(structure: Structure) -> Structure:
    count = itertools.count(1)
    return repaid(structure, lambda paid: paid * (1 + 1e-10 * next(count)))


def tampering(structure: Structure) -> Structure:
    def recover(mechanism: Mechanism, report: Report) -> Outcome:
        table = next(iter(mechanism.market.data.values()))
        table.setflags(write=True)
        table *= 1.0 + 1e-12
        return structure.recover(mechanism, report)

    return replace(structure, recover=recover)


def in_place(structure: Structure) -> Structure:
    def recover(mechanism: Mechanism, report: Report) -> Outcome:
        table = mechanism.solve(report).values["x"]
        table.setflags(write=True)
        table *= 2
        return structure.recover(mechanism, report)

    return replace(structure, recover=recover)


def endless(mechanism: Mechanism, report: Report) -> Outcome:
    while True:
        pass


def counting(structure: Structure) -> Structure:
    return repaid(structure, lambda paid: paid * np.array([1.0, 1.1]))


def priced(structure: Structure) -> Structure:
    return repaid(structure, lambda paid: paid + 1.0)


BREAKS: Mapping[str, tuple[Callable[[Structure], Structure], str, str, str]] = {
    # what is wrong: (how, the check that finds it, what is found, what to do)
    "the payment has the wrong sign": (
        lambda s: repaid(s, lambda paid: -paid), "expected numbers", "payments.crew.south is -15, stated 15",
        "the opposite number",
    ),
    "sellers are paid less than their cost": (
        lambda s: repaid(s, lambda paid: 0.5 * paid), "participation", "crew[north] is 5.25 worse off than outside",
        "Pay at least cost and outside option",
    ),
    "a constraint is forgotten": (
        lambda s: replace(s, program=unconstrained), "constraints", "has no constraint 'both'", "market.constraints",
    ),
    "it names another structure": (
        lambda s: outcome_with(s, structure=lambda o: "marcup"), "outcome",
        "of the structure 'marcup', which is named 'markup'", "mechanism.structure.name",
    ),
    "its own name is empty": (lambda s: replace(s, name=" "), "registration", "'name' must be", "Correct the field"),
    "the derivation leads elsewhere": (
        lambda s: replace(s, program=efficient), "derivation", "no step comes to the objective",
        "from the same function",
    ),
    "the derivation is empty": (
        lambda s: replace(s, derive=lambda market: Derivation("nothing", ())), "derivation", "has no step", "Step(",
    ),
    "it raises": (
        lambda s: replace(s, recover=raising), "recover", "ZeroDivisionError: division by zero (test_kit_messages.py",
        "`refuses`",
    ),
    "it returns a dictionary": (
        lambda s: replace(s, recover=lambda m, r: {"x": 1}), "recover",  # type: ignore[arg-type, return-value]
        "recover returns a dict, not a Outcome",
        "Return a Outcome",
    ),
    "it returns nothing": (
        lambda s: replace(s, derive=lambda market: None), "derive",  # type: ignore[arg-type, return-value]
        "derive returns nothing",
        "Return a Derivation",
    ),
    "an open parameter has no value": (
        lambda s: replace(s, program=lambda m, d: opened(s.program(m, d), m)), "parameters",
        "has no value for 'c'", "Return {quantity: array}",
    ),
    "it is not deterministic": (growing, "determinism", "when asked again", "No dice"),
    "it changes the market": (tampering, "market unchanged", "'c'", "Compute with copies"),
    "it changes the solution": (in_place, "recover", "changes the solution it was given ('x')", "Compute with copies"),
    "it never ends": (lambda s: replace(s, recover=endless), "recover", "not done within", "mechanism.solve(report)"),
    "it minimises what is to be maximised": (minimised, "solving", "status unbounded", "the right way round"),
    "it counts on the order of labels": (counting, "relabelling", "payments to crew depend on the order", "by letters"),
    "money is written into it": (priced, "money scales", "payments to crew do not scale with money", "Handles(money"),
    "payments stand beside the books": (
        lambda s: outcome_with(s, payments=lambda o: {n: 2 * p for n, p in o.payments.items()}), "books balance",
        "payments to crew differ from the accounts", "theory.effort_outcome",
    ),
    "a decision is missing": (
        lambda s: outcome_with(s, allocation=lambda o: {}), "outcome", "there is no allocation of 'x'",
        "mechanism.solve(report).values",
    ),
    "a table has another shape": (
        lambda s: outcome_with(s, allocation=lambda o: {"x": np.ones(3)}), "outcome", "has shape (3,), not (2,)",
        "One number for each label",
    ),
    "an amount is no number": (
        lambda s: repaid(s, lambda paid: paid * np.nan), "outcome", "nan", "0 * inf",
    ),
    "its example is misspelt": (
        lambda s: replace(s, examples=(Example(MARKET.replace("cost c", "cots c"), {"profit": 1}, HANDS),)), "reading",
        "cots", "mechdsl check",
    ),
    "its example is not for it": (
        lambda s: replace(s, examples=(Example(MARKET.replace("markup(", "markdown("), {"profit": 1}, HANDS),)),
        "matching", "it is for markup, the market has markdown", "Make `handles`",
    ),
    "its example names no number": (
        lambda s: replace(s, examples=(Example(MARKET, {"allocation.y.north": 1.0}, HANDS),)), "expected numbers",
        "has no number 'allocation.y.north'", "mechdsl solve FILE --json",
    ),
    "its example names no regime": (
        lambda s: replace(s, examples=(Example(MARKET, {"profit": 1.0}, HANDS, regime="M1"),)), "reading",
        "no regime 'M1', only main", "regime=",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", BREAKS)
def test_what_is_wrong_is_said(way: str, structure: Structure) -> None:
    broken, check, found, remedy = BREAKS[way]
    said = [str(f) for f in failures(broken(structure), seconds=2.0 if "ends" in way else 60.0)]
    assert any(s.startswith(f"{check}, on ") and found in s and remedy in s for s in said), "\n".join(said)


def test_a_failure_says_four_things(structure: Structure) -> None:
    with pytest.raises(NonconformingError) as caught:
        check_structure(repaid(structure, lambda paid: 0.5 * paid))
    text = str(caught.value)
    assert text.startswith("structure 'markup' does not conform:\n\n")
    assert "participation, on market 'two_crews'\n  checked: every provider is at least as well off" in text
    assert "\n  found:   crew[north] is 5.25 worse off than outside\n  to do:   Pay at least cost" in text
