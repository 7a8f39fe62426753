"""A broker between platform and providers (M5, M6): it signs `z` for `t` before types are known, then buys.

Backward induction: under its promise the broker posts prices, the highest cost of each provider, and delivers z; so a
revenue-maximising platform weighs outputs by highest costs, a welfare-maximising one by expected costs, and both pay
`t = b . y(z)`. Source: Ai, Simchi-Levi & Xu (2025), section 3; Akbarpour & Li (2020) for credibility.
"""

from __future__ import annotations

import math

from mechdsl import Derivation, Example, Handles, Market, Stages, Structure, theory

__all__ = ["STRUCTURE"]


def derive(market: Market) -> Derivation:
    """The second stage, what it costs, and the contract that is signed knowing it."""
    informed = theory.parties(market).informed
    screening = (theory.truthtelling_step(market), theory.participation_step(market), theory.virtual_cost_step(market))
    steps = (
        theory.change_of_variables_step(market),
        theory.transformed_demand_step(market),
        *(() if informed else screening),
        *theory.presigned_steps(market),
        theory.kkt_step(theory.presigned_program(market).stages[0]),
    )
    return Derivation(STRUCTURE.title, steps)


def program(market: Market, derivation: Derivation) -> Stages:
    """What to promise; then what to produce under the promise."""
    del derivation
    return theory.presigned_program(market)


# Two units made of human content and what it generates, x + 0.5 x; one provider of cost c x with c at most 1. The
# promise is 4/3 whatever the objective, the price 4/3 of the highest cost, and the provider keeps (1 - c) 4/3.
FIXED = """
market one_domain "A broker who signs before costs are known"
layer platform
layer broker
layer creator { type c ~ uniform(0.2, 1)  choose x >= 0  cost c * x }
demand: x + 0.5 * x >= 2
contract platform -> broker: presigned
contract broker -> creator: direct
objective platform: maximize revenue
report c = 0.4
"""

# Elastic demand under a tax of a fifth: each unit costs the platform 1.2 / 0.8 = 1.5 at the highest cost, so
# 3 / (1 + z) = 1.5. With welfare as the goal it would be 3 / (1 + z) = 0.7.
ELASTIC = """
market elastic_broker "Buying through a broker who is taxed, until the marginal value is the marginal price"
layer platform { value 3 * log(1 + x) }
layer broker
layer creator { type c ~ uniform(0.2, 1.2)  choose x >= 0  cost c * x }
contract platform -> broker: presigned(tax = 0.2)
contract broker -> creator: direct
objective platform: maximize revenue
report c = 0.5
"""

STRUCTURE = Structure(
    name="broker",
    title="Procurement through a broker who signs before costs are known",
    source="Ai, Simchi-Levi & Xu (2025), mechanisms M5 and M6",
    handles=Handles(
        contracts=("presigned", "direct"),
        goals=("revenue", "welfare"),
        words=theory.PRESIGNED_WORDS,
        refuses=theory.presigned_misfit,
    ),
    derive=derive,
    program=program,
    parameters=theory.presigned_parameters,
    recover=theory.presigned_outcome,
    checks=theory.presigned_checks,
    sample=theory.presigned_sample,
    expected=theory.presigned_expected,
    examples=(
        Example(
            FIXED,
            {
                "contract.z": 4 / 3,
                "contract.t": 4 / 3,
                "allocation.x": 4 / 3,
                "payments.broker": 4 / 3,
                "payments.creator": 4 / 3,
                "revenue": -4 / 3,
                "welfare": -0.4 * 4 / 3,
                "utilities.broker": 0.0,
            },
            "by hand: the demand is met by 4/3, which the provider makes at any cost up to 1",
        ),
        Example(
            ELASTIC,
            {"contract.z": 1.0, "contract.t": 1.5, "payments.creator": 1.2, "payments.government": 0.3},
            "by hand: 3 / (1 + z) = 1.2 / 0.8",
        ),
        Example(
            ELASTIC.replace("maximize revenue", "maximize welfare"),
            {"contract.z": 23 / 7, "contract.t": 23 / 7 * 1.5, "welfare": 3 * math.log(30 / 7) - 0.5 * 23 / 7},
            "by hand: 3 / (1 + z) = 0.7, the expected cost; the tax is a transfer",
        ),
    ),
)
