"""Contests for a prize divided by scores: Nash equilibria, with a rival or with an option that every player may take.

A different solution concept: everyone maximises its own payoff. What is reported is every equilibrium found, each with
the largest gain any player could make. Source: Yao, Li, Nekipelov, Wang & Xu (2024); Tullock (1980).
"""

from __future__ import annotations

from collections.abc import Mapping

from mechdsl import Derivation, Equilibrium, Example, Handles, Market, Report, Structure, theory
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity

__all__ = ["STRUCTURE"]


def derive(market: Market) -> Derivation:
    """Payoffs, own slopes through the aggregate, uniqueness."""
    return theory.contest_derivation(market, STRUCTURE.title)


def program(market: Market, derivation: Derivation) -> Equilibrium:
    """The game with everything its engine needs."""
    del derivation
    return theory.contest_game(market)


def parameters(market: Market, report: Report) -> Mapping[Quantity, Array]:
    """How many take the option in the conditions as they are exported: nobody."""
    del report
    return theory.contest_parameters(market)


# Two equal players, linear cost 1, prize 8, no rival: x = prize (n - 1) / (n^2 cost) = 2, each gets 8 / 2 - 2.
TULLOCK = """
market tullock "Rent-seeking for a fixed prize"
index i in players = {ann, bob}
layer audience
layer player[i] { choose x[i] >= 0  cost x[i] }
contract audience -> player: contest(prize = 8)
"""

# Costs 1 and 2, prize 9: x_i = P c_j / (c_i + c_j)^2 = (2, 1); shares 2/3 and 1/3, payoffs 6 - 2 and 3 - 2.
UNEQUAL = """
market unequal "Rent-seeking by two of unequal strength"
index i in players = {strong, weak}
param c[i] in (0, inf) = {strong: 1, weak: 2}
layer audience
layer player[i] { choose x[i] >= 0  cost c[i] * x[i] }
contract audience -> player: contest(prize = 9)
"""

STRUCTURE = Structure(
    name="contest",
    title="Contest for a prize divided by scores",
    source="Yao, Li, Nekipelov, Wang & Xu (2024); Tullock (1980)",
    handles=Handles(
        contracts=("contest",),
        goals=("none",),
        words=theory.CONTEST_WORDS,
        refuses=theory.contest_misfit,
        money={"contest": ("prize",)},
    ),
    derive=derive,
    program=program,
    parameters=parameters,
    recover=theory.contest_outcome,
    checks=theory.contest_checks,
    claims=theory.CONTEST_CLAIMS,
    examples=(
        Example(
            TULLOCK,
            {"allocation.x.ann": 2.0, "payments.player.bob": 4.0, "utilities.player.ann": 2.0},
            "Tullock (1980): x = prize (n - 1) / (n^2 c)",
        ),
        Example(
            UNEQUAL,
            {"allocation.x.strong": 2.0, "allocation.x.weak": 1.0, "utilities.player.strong": 4.0},
            "by hand: x_i = P c_j / (c_1 + c_2)^2",
        ),
    ),
)
