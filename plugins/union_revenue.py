"""Revenue-maximising procurement from a union (M3), which the paper leaves open: a menu of bundles, each at a price.

Two members: the frontier priced step by step, optimal among all menus where three conditions on the cost laws hold;
elsewhere what is attained, and a bound. More: a menu found by search, and the bound that is always safe. Source: ours
(docs/union.md); the problem is that of Ai, Simchi-Levi & Xu (2025), section 2.4.1.
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
    Menu,
    Optimum,
    Outcome,
    Report,
    Sample,
    Structure,
    theory,
)

__all__ = ["STRUCTURE"]


def derive(market: Market) -> Derivation:
    """From truth-telling to a menu, and from the cost laws to the price of each step along the frontier."""
    first = (theory.change_of_variables_step(market), theory.transformed_demand_step(market))
    if theory.known_types(market):
        least = theory.pointwise_program(market)
        steps = (*theory.union_payment_steps(market), theory.pointwise_step(least), theory.kkt_step(least))
    else:
        truth = theory.union_truthtelling_step(market), theory.union_participation_step(market)
        steps = (*truth, *theory.union_menu_steps(market))
    return Derivation(STRUCTURE.title, (*first, *steps))


def program(market: Market, derivation: Derivation) -> Menu | Optimum:
    """The menu of least expected price over all bundles that the constraints allow; of known types, the least cost."""
    del derivation
    return theory.pointwise_program(market) if theory.known_types(market) else theory.menu_program(market)


def recover(mechanism: Mechanism, report: Report) -> Outcome:
    """The item this union takes, and the menu it takes it from."""
    known = theory.known_types(mechanism.market)
    return theory.union_outcome(mechanism, report) if known else theory.menu_outcome(mechanism, report)


def checks(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterable[Check]:
    """Best item for every union, participation, feasibility of every item, the expected payment again."""
    known = theory.known_types(mechanism.market)
    return (theory.union_checks if known else theory.menu_checks)(mechanism, report, outcome)


def sample(mechanism: Mechanism, reports: Report) -> Sample:
    """What many unions take from the one menu."""
    known = theory.known_types(mechanism.market)
    return (theory.sampled_one_by_one if known else theory.menu_sample)(mechanism, reports)


# sqrt(x_1) + sqrt(x_2) >= 1: Psi(w) = w_1 w_2 / (w_1 + w_2); the integral of k/(1 + k) k^-3 over k >= 1 is 1 - log 2.
SUBSTITUTES = """
market substitutes "A union of two whose work substitutes imperfectly"
index k in members = {ann, bob}
layer buyer
layer member[k] { type c[k] ~ uniform(0, 1)  choose x[k] >= 0  cost c[k] * x[k] }
layer union { represents member }
constraint one: sum(k: x[k]^(1/2)) >= 1
contract buyer -> union: direct
objective buyer: maximize revenue
report c = {ann: 0.2, bob: 0.9}
"""

STRUCTURE = Structure(
    name="union_revenue",
    title="Revenue-maximising procurement from a union",
    source="ours (docs/union.md), for the problem of Ai, Simchi-Levi & Xu (2025), mechanism M3",
    handles=Handles(
        contracts=("direct",),
        goals=("revenue",),
        represented=True,
        words={"direct": ("information",)},
        refuses=theory.union_menu_misfit,
    ),
    derive=derive,
    program=program,
    parameters=theory.reported_types,
    recover=recover,
    checks=checks,
    sample=sample,
    expected=theory.menu_expected,
    examples=(
        Example(
            SUBSTITUTES,
            {"expected.revenue.mean": -7 / 18 - 8 / 27 * (1 - math.log(2))},
            "by hand: 7/9 Psi(1, 1) + 4/27 int [Psi(k, 1) + Psi(1, k)] k^-3, prices 1/3 and 1/3 of every step",
            tolerance=1e-5,
        ),
    ),
)
