"""Welfare-maximising procurement from a union (M4): the efficient allocation, one payment for all members together.

Where only the union bears costs it is paid `Psi(b)`, the least cost at the highest types, whatever it reports: it then
bears the cost and chooses efficiently by itself. Source: Ai, Simchi-Levi & Xu (2025), section 2.4.
"""

from __future__ import annotations

import math

from mechdsl import Derivation, Example, Handles, Market, Optimum, Structure, theory

__all__ = ["STRUCTURE"]


def derive(market: Market) -> Derivation:
    """Efficiency at every report, implemented by what the efficient choice would cost at the highest types."""
    efficient = theory.pointwise_program(market)
    steps = (
        theory.change_of_variables_step(market),
        theory.transformed_demand_step(market),
        *theory.union_payment_steps(market),
        theory.pointwise_step(efficient),
        theory.kkt_step(efficient),
    )
    return Derivation(STRUCTURE.title, steps)


def program(market: Market, derivation: Derivation) -> Optimum:
    """`min sum c y + known costs - values` over the choices as stated."""
    del derivation
    return theory.pointwise_program(market)


# One unit from either of two members: the cheaper produces; the union is paid what the cheaper would cost were both at
# their highest, min(1, 0.9), whoever produces.
EITHER = """
market either "Buying one unit from a union of two"
index k in members = {ann, bob}
layer buyer
layer member[k] { type c[k] ~ {ann: uniform(0, 1), bob: uniform(0, 0.9)}  choose x[k] >= 0  cost c[k] * x[k] }
layer union { represents member }
constraint one: sum(k: x[k]) >= 1
contract buyer -> union: direct
objective buyer: maximize welfare
report c = {ann: 0.25, bob: 0.75}
"""

# The buyer's own cost 0.4 a unit: x = 3 / (c + 0.4) - 1, paid Psi(b) - 0.4 x + 3 log(1 + x) with Psi(1.1) at x = 1.
ELASTIC = """
market elastic "A union of one, a buyer with a value and a cost of its own"
layer buyer { value 3 * log(1 + x)  cost 0.4 * x }
layer member { type c ~ uniform(0.2, 1.1)  choose x >= 0  cost c * x }
layer union { represents member }
contract buyer -> union: direct
objective buyer: maximize welfare
report c = 0.6
"""

STRUCTURE = Structure(
    name="union_welfare",
    title="Welfare-maximising procurement from a union",
    source="Ai, Simchi-Levi & Xu (2025), mechanism M4",
    handles=Handles(
        contracts=("direct",),
        goals=("welfare",),
        represented=True,
        words=theory.DIRECT_WORDS,
        refuses=theory.union_misfit,
    ),
    derive=derive,
    program=program,
    parameters=theory.reported_types,
    recover=theory.union_outcome,
    checks=theory.union_checks,
    expected=theory.union_expected,
    examples=(
        Example(
            EITHER,
            {"allocation.x.ann": 1.0, "allocation.x.bob": 0.0, "payments.union": 0.9, "utilities.union": 0.65},
            "by hand: Psi(1, 0.9) = 0.9, whatever is reported",
        ),
        Example(
            ELASTIC,
            {"allocation.x": 2.0, "payments.union": 1.5 - 3 * math.log(2) - 0.8 + 3 * math.log(3)},
            "by hand: 3 / (1 + x) = c + 0.4; net cost at the highest type 1.5 - 3 log 2",
        ),
    ),
)
