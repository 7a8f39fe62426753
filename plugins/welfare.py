"""Welfare-maximising direct procurement (M2): the efficient allocation, and payments that make the truth worth telling.

Payments cancel in welfare, so the allocation minimises true cost at every report; the envelope payment implements it,
and closes to `c y + Psi(b, c_-) - Psi(c)`. Source: Ai, Simchi-Levi & Xu (2025), section 2.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

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
    Sample,
    Structure,
    theory,
)

__all__ = ["STRUCTURE"]


def derive(market: Market) -> Derivation:
    """Efficiency at every report, implemented by the envelope payment."""
    efficient = theory.pointwise_program(market)
    steps = (
        theory.change_of_variables_step(market),
        theory.transformed_demand_step(market),
        *theory.payment_steps(market, theory.envelope_step(market)),
        theory.pointwise_step(efficient),
        theory.kkt_step(efficient),
    )
    return Derivation(STRUCTURE.title, steps)


def program(market: Market, derivation: Derivation) -> Optimum:
    """`min sum c y + known costs - values` over the choices as stated."""
    del derivation
    return theory.pointwise_program(market)


def slope(distribution: object) -> tuple[float, float]:
    """The weight is the type: slope 1, whatever its distribution."""
    del distribution
    return 1.0, 0.0


def recover(mechanism: Mechanism, report: Report) -> Outcome:
    """Allocation as solved, payments by the envelope theorem."""
    return theory.direct_outcome(mechanism, report, slope)


def sample(mechanism: Mechanism, reports: Report) -> Sample:
    """Allocations and payments at many reports at once."""
    return theory.direct_sample(mechanism, reports, slope)


def rates(mechanism: Mechanism, report: Report, directions: theory.Directions) -> theory.OutcomeRates:
    """How the outcome moves with the data."""
    return theory.direct_rates(mechanism, report, directions, slope)


def checks(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterable[Check]:
    """Truth-telling, participation, and payments integrated again."""
    return theory.direct_checks(mechanism, report, outcome, slope)


# Two creators, one demand met by either: the cheaper produces and is paid the other's cost (Vickrey 1961).
VICKREY = """
market second_price "Buying one unit from the cheaper of two"
index k in sellers = {ann, bob}
layer buyer
layer seller[k] { type c[k] ~ uniform(0, 1)  choose x[k] >= 0  cost c[k] * x[k] }
constraint one: sum(k: x[k]) >= 1
contract buyer -> seller: direct
objective buyer: maximize welfare
report c = {ann: 0.25, bob: 0.75}
"""

# Elastic demand: x = 3 / c - 1; the rent is the integral of 3 / t - 1 from the report to the highest cost.
ELASTIC = """
market elastic "Buying until the marginal value is the marginal cost"
layer buyer { value 3 * log(1 + x) }
layer seller { type c ~ uniform(0.2, 1.2)  choose x >= 0  cost c * x }
contract buyer -> seller: direct
objective buyer: maximize welfare
report c = 0.5
"""

STRUCTURE = Structure(
    name="welfare",
    title="Welfare-maximising direct procurement",
    source="Ai, Simchi-Levi & Xu (2025), mechanism M2",
    handles=Handles(contracts=("direct",), goals=("welfare",), words=theory.DIRECT_WORDS, refuses=theory.direct_misfit),
    derive=derive,
    program=program,
    parameters=theory.reported_types,
    recover=recover,
    checks=checks,
    sample=sample,
    rates=rates,
    expected=theory.direct_expected,
    examples=(
        Example(
            VICKREY,
            {"allocation.x.ann": 1.0, "allocation.x.bob": 0.0, "payments.seller.ann": 0.75, "revenue": -0.75},
            "Vickrey (1961): the winner of a second-price procurement is paid the loser's cost",
        ),
        Example(
            ELASTIC,
            {"allocation.x": 5.0, "payments.seller": 2.5 + 3 * math.log(1.2 / 0.5) - 0.7},
            "by hand: 3 / (1 + x) = c, and the integral of 3 / t - 1 from 0.5 to 1.2",
        ),
    ),
)
