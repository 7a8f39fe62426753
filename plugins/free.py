"""Taken for free: nothing is paid, so nobody does more than they would by themselves.

Source: Dai, Farboodi, Golrezaei & Shahshahani (2026), section 3.2 (the free-for-all regime, Remark 2).
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
    """What the signals are worth, and what a price of 0 induces."""
    unpaid = program(market, Derivation(STRUCTURE.title, ()))
    because = "At a price of 0 a provider keeps its cost as low as it can; what others do or gain does not enter."
    steps = (
        *theory.precision_steps(market),
        theory.best_response_step(market, market.contracts[0].provider),
        theory.effort_step(unpaid, "the providers' programmes", because, f"{STRUCTURE.source}, Remark 2"),
    )
    return Derivation(STRUCTURE.title, steps)


def program(market: Market, derivation: Derivation) -> Optimum:
    """`max - sum c(e)` over efforts."""
    del derivation
    return theory.effort_program(market, theory.free_objective(market), "the providers' programmes")


def parameters(market: Market, report: Report) -> Mapping[Quantity, Array]:
    """Nothing is left open: costs are known."""
    del market, report
    return {}


def recover(mechanism: Mechanism, report: Report) -> Outcome:
    """Efforts at a price of 0; no one pays."""
    ended = theory.unsolved(mechanism, report, mechanism.solve(report))
    payer = mechanism.market.contracts[0].payer
    return ended if ended is not None else theory.effort_outcome(mechanism, report, (), {}, payer)


def checks(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterable[Check]:
    """Best responses afresh, participation, the precision from the signals."""
    yield theory.response_check(mechanism, report, outcome, mechanism.market.contracts[0].provider, None)
    yield theory.everyone_participates(mechanism, outcome)
    yield from theory.precision_check(mechanism, report, outcome)


# Nobody is paid, so nobody works: the firm has the critic's signal alone, of precision 3.
UNPAID = """
market unpaid "One critic writes anyway, two creators would have to be paid"
index i in creators = {ann, bob}
state theta
layer firm { value precision(theta) }
layer critic { signal z = theta + noise(variance = 1 / 3) }
layer creator[i] { choose e[i] >= 0  signal s[i] = theta + noise(precision = e[i])  cost e[i]^2 }
contract firm -> creator: free
objective firm: maximize profit
"""

STRUCTURE = Structure(
    name="free",
    title="Taken for free",
    source="Dai, Farboodi, Golrezaei & Shahshahani (2026), section 3.2",
    handles=Handles(("free",), ("profit", "payoff", "welfare"), refuses=theory.posted_misfit),
    derive=derive,
    program=program,
    parameters=parameters,
    recover=recover,
    checks=checks,
    examples=(
        Example(
            UNPAID,
            {"allocation.e.ann": 0.0, "allocation.e.bob": 0.0, "precision": 3.0, "profit": 3.0},
            "by hand: what is left is one signal of variance 1/3",
        ),
    ),
)
