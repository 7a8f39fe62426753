"""Every installed structure passes the kit, and the kit kills every wrong one on the list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mechdsl import Outcome, Report, Structure, theory
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Account
from mechdsl.program import Optimum
from mechdsl.structure import installed
from mechdsl.testing import NonconformingError, check_structure, failures

STRUCTURES = {s.name: s for s in installed().structures}
REVENUE, WELFARE, UNION = STRUCTURES["revenue"], STRUCTURES["welfare"], STRUCTURES["union_welfare"]


def test_the_built_in_structures_are_found_by_entry_point() -> None:
    assert {"revenue", "welfare"} <= set(STRUCTURES)
    assert not installed().broken


@pytest.mark.parametrize("name", STRUCTURES)
def test_conforms(name: str) -> None:
    check_structure(STRUCTURES[name])


def repaid(structure: Structure, payment: Callable[[Mechanism, Report, Outcome], dict[str, np.ndarray]]) -> Structure:
    """The structure with other payments, its books kept accordingly."""

    def recover(mechanism: Mechanism, report: Report) -> Outcome:
        outcome = structure.recover(mechanism, report)
        payments = payment(mechanism, report, outcome)
        accounts = tuple(
            Account(a.payer, a.receiver, payments.get(a.receiver, a.amounts), a.what) for a in outcome.accounts
        )
        change = {n: payments[n] - np.asarray(outcome.payments[n]) for n in payments}
        buyer = outcome.accounts[0].payer
        utilities = {n: u + change.get(n, 0.0) for n, u in outcome.utilities.items()}
        total = sum(float(np.sum(c)) for c in change.values())
        utilities[buyer] = utilities[buyer] - total
        assert outcome.revenue is not None
        return replace(
            outcome, payments=payments, accounts=accounts, utilities=utilities, revenue=outcome.revenue - total
        )

    return replace(structure, recover=recover)


def with_costs(structure: Structure, factor: float, constant: float) -> Structure:
    return repaid(
        structure,
        lambda mechanism, report, outcome: {
            n: outcome.costs[n] + factor * (p - outcome.costs[n]) + constant for n, p in outcome.payments.items()
        },
    )


def weighted(structure: Structure, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Structure:
    """The structure with its weights changed: (weight, type) -> weight."""

    def parameters(market: object, report: Report) -> dict[object, np.ndarray]:
        weights = structure.parameters(market, report)  # type: ignore[arg-type]
        types = next(iter(report.values()))
        return {q: change(np.asarray(w), np.asarray(types)) for q, w in weights.items()}

    return replace(structure, parameters=parameters)  # type: ignore[arg-type]


def reposed(structure: Structure, change: Callable[[Optimum], Optimum]) -> Structure:
    def program(market: object, derivation: object) -> Optimum:
        posed = structure.program(market, derivation)  # type: ignore[arg-type]
        assert isinstance(posed, Optimum)
        return change(posed)

    return replace(structure, program=program)


MUTANTS = {
    "no virtual costs": replace(
        REVENUE, program=WELFARE.program, parameters=WELFARE.parameters, recover=WELFARE.recover, checks=WELFARE.checks
    ),
    "F/f forgotten in the weights": weighted(REVENUE, lambda w, c: c),
    "twice F/f": weighted(REVENUE, lambda w, c: c + 2 * (w - c)),
    "F/f taken off": weighted(REVENUE, lambda w, c: np.maximum(2 * c - w, 0.0)),
    "slope of the virtual cost taken for 1": replace(
        REVENUE,
        recover=lambda m, r: theory.direct_outcome(m, r, lambda d: (1.0, 0.0)),
        checks=lambda m, r, o: theory.direct_checks(m, r, o, lambda d: (1.0, 0.0)),
    ),
    "no information rent": with_costs(REVENUE, 0.0, 0.0),
    "half the information rent": with_costs(WELFARE, 0.5, 0.0),
    "a gift to everyone": with_costs(WELFARE, 1.0, 0.1),
    "everyone charged": with_costs(WELFARE, 1.0, -0.1),
    "payments of the report alone": repaid(WELFARE, lambda m, r, o: {n: 1.01 * p for n, p in o.payments.items()}),
    "weights squared": weighted(WELFARE, lambda w, c: w**2),
    "demand halved": reposed(
        WELFARE, lambda p: replace(p, constraints=tuple(replace(c, right=c.right / 2) for c in p.constraints))
    ),
    "demand dropped": reposed(WELFARE, lambda p: replace(p, constraints=())),
    "a larger objective": reposed(REVENUE, lambda p: replace(p, objective=p.objective**2 + p.objective)),
    "an allocation that is not the programme's": replace(
        WELFARE,
        recover=lambda m, r: replace(
            WELFARE.recover(m, r), allocation={n: 1.01 * x for n, x in WELFARE.recover(m, r).allocation.items()}
        ),
    ),
    "a union paid its cost": repaid(UNION, lambda m, r, o: {"union": np.asarray(np.sum(o.costs["member"]))}),
    "a union paid too much": repaid(UNION, lambda m, r, o: {n: p + 0.1 for n, p in o.payments.items()}),
    "a union's allocation that is not the programme's": replace(
        UNION,
        recover=lambda m, r: replace(
            UNION.recover(m, r), allocation={n: 1.01 * x for n, x in UNION.recover(m, r).allocation.items()}
        ),
    ),
    "books that do not add up": replace(WELFARE, recover=lambda m, r: replace(WELFARE.recover(m, r), accounts=())),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_kit_kills(name: str) -> None:
    first = next(failures(MUTANTS[name]), None)
    assert first is not None, "the kit lets it live"


def test_failures_come_together_in_one_error() -> None:
    with pytest.raises(NonconformingError, match="structure 'welfare' does not conform:\n"):
        check_structure(MUTANTS["a gift to everyone"])


def test_a_structure_without_examples_proves_nothing() -> None:
    (failure,) = failures(replace(WELFARE, examples=()))
    assert "a number stated elsewhere" in failure.message


def test_a_wrong_signature_is_named() -> None:
    (failure,) = failures(replace(WELFARE, derive=lambda: None))  # type: ignore[arg-type, misc]
    assert failure.message == "field 'derive' must take 1 argument, as derive(market)"
