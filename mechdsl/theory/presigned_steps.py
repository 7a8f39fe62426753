"""Why a broker delivers just what it signed, what it then pays, and what the platform therefore signs: step by step.

The order is that of the reasoning, not of time: the second stage first, because the first stage knows its answer.
"""

from __future__ import annotations

import sympy as sp

from mechdsl.derivation import Step
from mechdsl.formula import Letter, Quantity
from mechdsl.market import Market
from mechdsl.program import Constraint, Optimum
from mechdsl.theory.curvature import curvature
from mechdsl.theory.notation import Rule, free_name, own
from mechdsl.theory.presigned import (
    Parties,
    contract_price,
    parties,
    presigned_program,
    provider_cost,
    provider_payment,
)

__all__ = ["presigned_steps"]

_STAGE_TWO = "Ai, Simchi-Levi & Xu (2025), Problem 4 and the proof of Theorem 3.1 (D.2.1)"
_STAGE_ONE = "Ai, Simchi-Levi & Xu (2025), Problems 5 and 6 and the proofs of Theorems 3.1 (D.2.1) and 3.2 (D.3.1)"
_TAX = "; the tax: ours, tests/test_broker.py"


def presigned_steps(market: Market) -> tuple[Step, ...]:
    """The broker's problem, its answer, what providers are paid, what the broker must be paid, what is signed."""
    who = parties(market)
    first, second = presigned_program(market).stages
    return (
        _broker_problem(second, who),
        _delivery(market, who),
        _payment(market, who),
        _price(market, who),
        _contract(market, first, who),
    )


def _broker_problem(second: Optimum, who: Parties) -> Step:
    weight = "the types, which it knows" if who.informed else "virtual costs"
    because = (
        f"$t$ is sunk when {who.broker.name} buys, so it minimises what it pays: in expectation {weight} times output, "
        "plus what is known. It must deliver what it signed, whatever the reports: credibility."
    )
    bounds = tuple(
        (f"credibility of {v.name}", sp.Ge(_indexed(v.quantity, v.letters), v.lower, evaluate=False))
        for v in second.variables
    )
    return Step("second stage", second.objective, because, _STAGE_TWO, bounds)


def _delivery(market: Market, who: Parties) -> Step:
    """`x(c) = z`: proved from monotonicity."""
    formulas = []
    for choice, z in zip(who.choices, who.promised, strict=True):
        letters = choice.declaration.letters
        promised = _indexed(z, letters)
        reported = own(market.types[0], market.types[0].declaration.letters) if market.types else None
        delivered = Rule(choice.declaration.entry, reported) if reported is not None else choice.declaration.entry
        formulas.append((f"delivery of {choice.quantity.name}", sp.Eq(delivered, promised, evaluate=False)))
    coefficient = curvature(provider_cost(market).coefficient, market, "convex", sample=False)
    because = (
        "Weights are not negative, since types are not, and everything they multiply rises in output, as does what is "
        "known: nothing is gained from delivering more, and less is not allowed. So delivery is the promise at every "
        f"report. (What the type multiplies {coefficient.verdict}) That delivery falls in no report makes the truth "
        "worth telling."
    )
    return Step("delivery", formulas[0][1], because, _STAGE_TWO, tuple(formulas[1:]))


def _payment(market: Market, who: Parties) -> Step:
    letters = who.provider.letters
    head = Quantity(free_name("p", market.declarations), tuple(a.index_set for a in letters), "open")
    payment = sp.Eq(_indexed(head, letters), who.in_promise(provider_payment(market)), evaluate=False)
    because = (
        f"{who.broker.name} knows the types and pays each {who.provider.name} its cost."
        if who.informed
        else "The envelope payment is $c y + \\int_c^b y$, and y does not move with the report: it is $b y$, the "
        "highest cost, whatever is reported. It is a posted price, and nobody has anything to gain from a lie."
    )
    return Step(f"payment to {who.provider.name}", payment, because, _STAGE_TWO)


def _price(market: Market, who: Parties) -> Step:
    """`t`: the broker is left its outside option."""
    price = Quantity(free_name("t", market.declarations), (), "decision")
    formula = sp.Eq(price, who.in_promise(contract_price(market)), evaluate=False)
    kept = "" if who.tax == 0 else f" Of $t$ it keeps the share 1 - {who.tax}; the rest is the government's."
    because = (
        f"{who.broker.name} signs if what it expects to keep is not below its outside option; any more would be given "
        f"away. Its profit is therefore zero.{kept}"
    )
    return Step("price of the contract", formula, because, _STAGE_ONE + ("" if who.tax == 0 else _TAX))


def _contract(market: Market, first: Optimum, who: Parties) -> Step:
    if market.objectives[0].goal == "welfare":
        because = (
            "Payments cancel in welfare, and types are not known when z is chosen: the weights are expected costs. Of "
            "the prices that the broker accepts the lowest is taken."
        )
    else:
        weight = "expected" if who.informed else "highest possible"
        because = (
            f"{who.platform.name} pays $t$ and bears its own cost: the weights are the {weight} costs, because that is "
            "what the broker will have to pay."
        )
    convex = {
        True: "The programme is convex: a local optimum is a global one.",
        False: "As posed it is not convex: what is found may be a local optimum.",
        None: "It was not shown to be convex: what is found may be a local optimum.",
    }[first.convex]
    formulas = tuple((c.name, _relation(c)) for c in first.constraints)
    return Step("first stage", first.objective, f"{because} {convex}", _STAGE_ONE, formulas)


def _indexed(quantity: Quantity, letters: tuple[Letter, ...]) -> sp.Expr:
    return quantity[letters] if letters else quantity


def _relation(constraint: Constraint) -> sp.Basic:
    relation = {">=": sp.Ge, "<=": sp.Le, "==": sp.Eq}[constraint.relation]
    return relation(constraint.left, constraint.right, evaluate=False)
