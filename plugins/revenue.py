"""Revenue-maximising direct procurement (M1): screen providers by their virtual costs.

The buyer minimises the sum of payments, whose expectation is that of `vc(c) . y` by the envelope theorem; so the
allocation minimises virtual cost at every report. Source: Ai, Simchi-Levi & Xu (2025), section 2.2; Myerson (1981).
"""

from __future__ import annotations

import math
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
    Sample,
    Structure,
    theory,
)
from mechdsl.distributions import Distribution
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity

__all__ = ["STRUCTURE"]


def weight(market: Market) -> Quantity | None:
    """The virtual cost that stands for the type; None where types are known, and are their own weights."""
    return None if theory.known_types(market) else theory.virtual_cost_of(market.types[0])


def derive(market: Market) -> Derivation:
    """From truth-telling and participation to virtual costs."""
    cheapest = theory.pointwise_program(market, weight(market))
    steps = (
        theory.change_of_variables_step(market),
        theory.transformed_demand_step(market),
        *theory.payment_steps(market, theory.envelope_step(market, weight(market), slope)),
        *(() if theory.known_types(market) else (theory.virtual_cost_step(market),)),
        theory.pointwise_step(cheapest, weight(market)),
        theory.kkt_step(cheapest),
    )
    return Derivation(STRUCTURE.title, steps)


def program(market: Market, derivation: Derivation) -> Optimum:
    """`min sum vc y + known costs - values` over the choices as stated."""
    del derivation
    return theory.pointwise_program(market, weight(market))


def parameters(market: Market, report: Report) -> Mapping[Quantity, Array]:
    """Virtual costs at a report, ironed where they fall; the types themselves where they are known."""
    return theory.reported_types(market, report) if weight(market) is None else theory.virtual_costs(market, report)


def slope(distribution: Distribution) -> tuple[float, float] | None:
    """Slope and intercept of the virtual cost where it is affine: `2 c - a` for uniform costs."""
    return distribution.affine_virtual_cost


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


# One unit from one of two: virtual costs are 2 c and 2 c - 1, here 1.8 and 1.1, so Bob sells at the higher cost.
# He would sell up to the report where his virtual cost reaches Ann's, 2 t - 1 = 1.8: he is paid t = 1.4.
MYERSON = """
market optimal_procurement "Buying one unit from one of two, paying as little as possible"
index k in sellers = {ann, bob}
layer buyer
layer seller[k] { type c[k] ~ {ann: uniform(0, 1), bob: uniform(1, 2)}  choose x[k] >= 0  cost c[k] * x[k] }
constraint one: sum(k: x[k]) >= 1
contract buyer -> seller: direct
objective buyer: maximize revenue
report c = {ann: 0.9, bob: 1.05}
"""

# Elastic demand: x = 3 / vc - 1 with vc = 2 c - 0.2; the rent is the integral of that in c.
ELASTIC = """
market elastic "Buying until the marginal value is the marginal virtual cost"
layer buyer { value 3 * log(1 + x) }
layer seller { type c ~ uniform(0.2, 1.2)  choose x >= 0  cost c * x }
contract buyer -> seller: direct
objective buyer: maximize revenue
report c = 0.5
"""

STRUCTURE = Structure(
    name="revenue",
    title="Revenue-maximising direct procurement",
    source="Ai, Simchi-Levi & Xu (2025), mechanism M1",
    handles=Handles(contracts=("direct",), goals=("revenue",), words=theory.DIRECT_WORDS, refuses=theory.direct_misfit),
    derive=derive,
    program=program,
    parameters=parameters,
    recover=recover,
    checks=checks,
    sample=sample,
    rates=rates,
    expected=theory.direct_expected,
    examples=(
        Example(
            MYERSON,
            {"allocation.x.bob": 1.0, "payments.seller.bob": 1.4, "revenue": -1.4},
            "Myerson (1981): the winner is paid the highest report at which it would still have won",
        ),
        Example(
            ELASTIC,
            {"allocation.x": 2.75, "payments.seller": 1.375 + 1.5 * math.log(2.2 / 0.8) - 0.7},
            "by hand: 3 / (1 + x) = 2 c - 0.2, and the integral of 3 / (2 t - 0.2) - 1 from 0.5 to 1.2",
        ),
    ),
)
