"""An intermediary with two-part tariffs: efficient efforts by unit prices, everyone's share by lump sums.

Prices see to efficiency, a fee from the buyer and a subsidy to each provider to participation; the surplus is split by
Nash bargaining, and among the providers by what they contribute along the path from nothing (Aumann & Shapley).
Source: Dai, Farboodi, Golrezaei & Shahshahani (2026), section 5.3.
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
    """From the efficient efforts to prices, surplus, weights and lump sums."""
    efficient = program(market, Derivation(STRUCTURE.title, ()))
    because = "The intermediary is after welfare, which no transfer changes: it wants the efficient efforts."
    steps = (
        *theory.precision_steps(market),
        theory.best_response_step(market, theory.chain_of(market).provider.name),
        theory.effort_step(efficient, "efficient efforts", because, f"{STRUCTURE.source}.1"),
        *theory.tariff_steps(market),
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
    """Everyone's choice at the prices afresh, efficiency, the budget, participation, the bargain against others."""
    provider, prices = theory.chain_of(mechanism.market).provider.name, outcome.extra["prices"]
    yield theory.response_check(mechanism, report, outcome, provider, prices)
    yield theory.demand_check(mechanism, report, outcome, prices)
    yield from theory.leader_check(mechanism, report, outcome, theory.planner_objective(mechanism.market))
    yield theory.budget_check(mechanism, report, outcome)
    yield theory.everyone_participates(mechanism, outcome)
    yield from theory.bargaining_check(mechanism, report, outcome)
    yield from theory.precision_check(mechanism, report, outcome)


# Independent signals: P = e1 + e2 and costs a e^2 / 2 make e = 1, 1/2 and a surplus of 3/4 - 1/8; weights are as
# what each
# contributes, 1/2 to 1/4; with three fifths of the surplus the creators gain 1/4 and 1/8.
ORIGINAL = """
market original "Creators without anything in common"
index i in creators = {ann, bob}
param a[i] = {ann: 1, bob: 2}
state theta
layer firm { value precision(theta) }
layer agency { cost 1/8  bargaining 0.6 }
layer creator[i] { choose e[i] >= 0  signal s[i] = theta + noise(precision = e[i])  cost a[i] * e[i]^2 / 2 }
contract firm -> agency: two_part_tariff
contract agency -> creator: two_part_tariff
objective agency: maximize welfare
"""

STRUCTURE = Structure(
    name="two_part_tariff",
    title="An intermediary with two-part tariffs",
    source="Dai, Farboodi, Golrezaei & Shahshahani (2026), section 5",
    handles=Handles(
        ("two_part_tariff", "two_part_tariff"),
        ("welfare",),
        words={"two_part_tariff": ("weights",)},
        refuses=theory.intermediary_misfit,
    ),
    derive=derive,
    program=program,
    parameters=parameters,
    recover=theory.tariff_outcome,
    checks=checks,
    claims=theory.TARIFF_CLAIMS,
    examples=(
        Example(
            ORIGINAL,
            {
                "allocation.e.bob": 0.5,
                "surplus": 5 / 8,
                "weights.ann": 2 / 3,
                "utilities.creator.ann": 0.25,
                "utilities.creator.bob": 0.125,
                "profit": 0.25,
                "payments.agency": 1.25,
            },
            "by hand: what each contributes is e - a e^2 / 2",
        ),
    ),
)
