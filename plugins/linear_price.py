"""An intermediary with linear prices: efficient efforts, and whoever loses by them loses.

One price for each provider induces the efficient effort, so nothing is left to see to everyone's participation with.
Source: Dai, Farboodi, Golrezaei & Shahshahani (2026), section 5.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mechdsl import (
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
    """From the efficient efforts to the prices that induce them, and to what these leave the buyer."""
    efficient = program(market, Derivation(STRUCTURE.title, ()))
    because = "The intermediary is after welfare, which no transfer changes: it wants the efficient efforts."
    steps = (
        *theory.precision_steps(market),
        theory.best_response_step(market, theory.chain_of(market).provider.name),
        theory.effort_step(efficient, "efficient efforts", because, f"{STRUCTURE.source}.1"),
        *theory.linear_steps(market),
        theory.surplus_step(market),
        theory.kkt_step(efficient),
    )
    return Derivation(STRUCTURE.title, steps)


def program(market: Market, derivation: Derivation) -> Optimum:
    """`max value - costs` over efforts."""
    del derivation
    return theory.effort_program(market, theory.planner_objective(market), "the efficient efforts")


def parameters(market: Market, report: Report) -> Mapping[Quantity, Array]:
    """Nothing is left open: costs are known."""
    del market, report
    return {}


def checks(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterable[Check]:
    """Everyone's choice at the prices afresh, efficiency, the intermediary's budget, participation."""
    provider, prices = theory.chain_of(mechanism.market).provider.name, outcome.extra["prices"]
    yield theory.response_check(mechanism, report, outcome, provider, prices)
    yield theory.demand_check(mechanism, report, outcome, prices)
    yield from theory.leader_check(mechanism, report, outcome, theory.planner_objective(mechanism.market))
    yield theory.budget_check(mechanism, report, outcome)
    yield theory.everyone_participates(mechanism, outcome)
    yield from theory.precision_check(mechanism, report, outcome)


# One creator, w = V = 1: P = e / (1 + e) has slope 1/4 at e = 1, where the marginal cost e/4 is the same. The firm gets
# 1/2 less the price of 1/4; in the paper's terms lambda = 1/2, and lambda^2 / V = 1/4.
ALONE = """
market alone "One creator who shares the bias"
state theta
common B ~ normal(0, 1)
layer firm { value precision(theta) }
layer agency { cost 0.05 }
layer creator { choose e >= 0  signal s = theta + B + noise(variance = 1 / e)  cost e^2 / 8 }
contract firm -> agency: linear_price
contract agency -> creator: linear_price
objective agency: maximize welfare
"""

STRUCTURE = Structure(
    name="linear_price",
    title="An intermediary with linear prices",
    source="Dai, Farboodi, Golrezaei & Shahshahani (2026), section 5",
    handles=Handles(("linear_price", "linear_price"), ("welfare",), refuses=theory.intermediary_misfit),
    derive=derive,
    program=program,
    parameters=parameters,
    recover=theory.linear_outcome,
    checks=checks,
    claims=theory.LINEAR_PRICE_CLAIMS,
    examples=(
        Example(
            ALONE,
            {"allocation.e": 1.0, "prices": 0.25, "profit": 0.2, "payments.agency": 0.3, "utilities.creator": 0.125},
            "by hand: e / (1 + e) against e^2 / 8",
        ),
    ),
)
