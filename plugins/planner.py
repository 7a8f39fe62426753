"""A planner chooses every decision for the welfare of all: the first best that other structures are held against.

Transfers cancel, so there are none; private types are known to the planner. Source: Dai, Farboodi, Golrezaei &
Shahshahani (2026), equation (6), for the data market; the benchmark itself is as old as the field.
"""

from __future__ import annotations

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
    Structure,
    theory,
)

__all__ = ["STRUCTURE"]


def derive(market: Market) -> Derivation:
    """What the signals are worth, and the programme of everyone's decisions at once."""
    best = program(market, Derivation(STRUCTURE.title, ()))
    because = "Payments cancel in welfare, and the planner commands: values less costs are all that is left."
    steps = (
        *theory.precision_steps(market),
        theory.effort_step(best, "the planner's programme", because, f"{STRUCTURE.source}, equation (6)"),
        theory.kkt_step(best),
    )
    return Derivation(STRUCTURE.title, steps)


def program(market: Market, derivation: Derivation) -> Optimum:
    """`max sum of values - sum of costs` over all choices."""
    del derivation
    return theory.effort_program(market, theory.planner_objective(market), "the planner's programme")


def recover(mechanism: Mechanism, report: Report) -> Outcome:
    """Decisions as solved; no one pays."""
    ended = theory.unsolved(mechanism, report, mechanism.solve(report))
    return ended if ended is not None else theory.effort_outcome(mechanism, report, (), {})


def checks(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterable[Check]:
    """The optimum against a bound on any other allocation, the precision from the signals."""
    yield from theory.leader_check(mechanism, report, outcome, theory.planner_objective(mechanism.market))
    yield from theory.precision_check(mechanism, report, outcome)


# Independent signals: each effort solves 1 = 2 e; precision adds up.
ORIGINAL = """
market original "Creators without anything in common"
index i in creators = {ann, bob}
state theta
layer firm { value precision(theta) }
layer planner
layer creator[i] { choose e[i] >= 0  signal s[i] = theta + noise(precision = e[i])  cost e[i]^2 }
objective planner: maximize welfare
"""

# The cheaper of two sells all: what a planner who knows the costs would do.
KNOWN = """
market cheapest "One unit from the cheaper of two"
index k in sellers = {ann, bob}
layer buyer
layer planner
layer seller[k] { type c[k] ~ uniform(0, 1)  choose x[k] >= 0  cost c[k] * x[k] }
constraint one: sum(k: x[k]) >= 1
objective planner: maximize welfare
report c = {ann: 0.25, bob: 0.75}
"""

STRUCTURE = Structure(
    name="planner",
    title="A planner chooses every decision",
    source="Dai, Farboodi, Golrezaei & Shahshahani (2026), section 3.1",
    handles=Handles((), ("welfare",), refuses=theory.planner_misfit),
    derive=derive,
    program=program,
    parameters=theory.reported_types,
    recover=recover,
    checks=checks,
    examples=(
        Example(ORIGINAL, {"allocation.e.ann": 0.5, "precision": 1.0, "welfare": 0.5}, "by hand: 1 = 2 e"),
        Example(
            KNOWN,
            {"allocation.x.ann": 1.0, "allocation.x.bob": 0.0, "welfare": -0.25},
            "by hand: the unit costs what the cheaper asks",
        ),
    ),
)
