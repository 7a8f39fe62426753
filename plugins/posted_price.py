"""Posted unit prices: the payer leads, providers follow, and effort is bought at its marginal cost.

A price per unit is answered by `c'(e) = p`, so the payer's outlay is `c'(e) e`, more than the cost: it buys less than
is efficient. Source: Dai, Farboodi, Golrezaei & Shahshahani (2026), section 3 (strict intellectual property).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from mechdsl import (
    Account,
    Check,
    Derivation,
    Example,
    Handles,
    Market,
    Mechanism,
    Optimum,
    Outcome,
    Report,
    Structure,
    theory,
)
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity

__all__ = ["STRUCTURE"]


def derive(market: Market) -> Derivation:
    """From the signals to their precision, from costs to best responses, from both to the payer's programme."""
    led = program(market, Derivation(STRUCTURE.title, ()))
    because = "The payer foresees the best responses, so it chooses efforts and pays the prices that induce them."
    steps = (
        *theory.precision_steps(market),
        theory.best_response_step(market, market.contracts[0].provider),
        theory.effort_step(led, "the payer's programme", because, f"{STRUCTURE.source}, equation (5)"),
        theory.kkt_step(led),
    )
    return Derivation(STRUCTURE.title, steps)


def program(market: Market, derivation: Derivation) -> Optimum:
    """`max value - sum c'(e) e` over efforts."""
    del derivation
    return theory.effort_program(market, theory.leader_objective(market), "the payer's programme")


def parameters(market: Market, report: Report) -> Mapping[Quantity, Array]:
    """Nothing is left open: costs are known."""
    del market, report
    return {}


def prices(mechanism: Mechanism, report: Report) -> Array:
    """`p = c'(e)`."""
    supplied = theory.supply(mechanism.market, mechanism.market.contracts[0].provider)
    return theory.solved_at(mechanism, report, supplied.marginal, supplied.letters)


def recover(mechanism: Mechanism, report: Report) -> Outcome:
    """Efforts as solved, prices that induce them."""
    ended = theory.unsolved(mechanism, report, mechanism.solve(report))
    if ended is not None:
        return ended
    contract, found = mechanism.market.contracts[0], prices(mechanism, report)
    efforts = mechanism.solve(report).values[str(mechanism.market.choices_of(contract.provider)[0].quantity.name)]
    paid = Account(contract.payer, contract.provider, np.where(efforts > 0, found * efforts, 0.0), "unit prices")
    return theory.effort_outcome(mechanism, report, [paid], {"prices": found}, contract.payer)


def checks(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterable[Check]:
    """Best responses and the payer's optimum afresh, participation, the precision from the signals."""
    provider = mechanism.market.contracts[0].provider
    yield theory.response_check(mechanism, report, outcome, provider, outcome.extra["prices"])
    yield from theory.leader_check(mechanism, report, outcome, theory.leader_objective(mechanism.market))
    yield theory.everyone_participates(mechanism, outcome)
    yield from theory.precision_check(mechanism, report, outcome)


# Independent signals: P = sum e, and each effort solves 1 = d(3 e^3)/de, e = 1/3; the price is c' = 3 e^2.
ORIGINAL = """
market original "Creators without anything in common"
index i in creators = {ann, bob}
state theta
layer firm { value precision(theta) }
layer creator[i] { choose e[i] >= 0  signal s[i] = theta + noise(precision = e[i])  cost e[i]^3 }
contract firm -> creator: unit_price
objective firm: maximize profit
"""

STRUCTURE = Structure(
    name="posted_price",
    title="Posted unit prices, the payer leading",
    source="Dai, Farboodi, Golrezaei & Shahshahani (2026), section 3",
    handles=Handles(("unit_price",), ("profit", "payoff", "welfare"), refuses=theory.posted_misfit),
    derive=derive,
    program=program,
    parameters=parameters,
    recover=recover,
    checks=checks,
    claims=theory.POSTED_PRICE_CLAIMS,
    examples=(
        Example(
            ORIGINAL,
            {"allocation.e.ann": 1 / 3, "prices.bob": 1 / 3, "profit": 4 / 9, "utilities.creator.ann": 2 / 27},
            "by hand: 1 = 9 e^2, p = 3 e^2, profit 2 (e - 3 e^3)",
        ),
    ),
)
