"""The pointwise programme: at each report, minimise `sum(w * phi(x)) + known costs - values` over the stated choices.

Screening decides every allocation report by report, with the true types or their virtual costs as weights `w`; the two
differ in nothing else. It is posed in the stated choices x, where every concave demand keeps a convex set, and where a
solver meets the economist's own variables; the change of variables `y = phi(x)` serves the proofs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sympy as sp

from mechdsl.derivation import Step
from mechdsl.formula import Entry, Quantity, quantities
from mechdsl.market import Layer, Market
from mechdsl.program import Optimum
from mechdsl.theory.curvature import DATA, is_convex_program, ranges_of, variables_of
from mechdsl.theory.private_cost import pointwise_objective
from mechdsl.theory.shape import without_cases

__all__ = ["for_a_solver", "pointwise_program", "pointwise_step"]


def pointwise_program(
    market: Market,
    weight: Quantity | Mapping[Quantity, Quantity] | None = None,
    layers: Sequence[Layer] | None = None,
) -> Optimum:
    """`minimise sum over layers of (weight * phi(x) + known cost - value)` subject to what was stated.

    Args:
        market: whose choices and constraints are taken as they stand.
        weight: the open quantity that replaces the private type (a virtual cost); by type where several types differ;
            None: the types themselves are the weights.
        layers: whose costs and values count; None: all.

    Returns:
        the programme in the stated choices; its open parameters are the weights, its `convex` is what
        `is_convex_program` could show (True, shown not to hold False, or None).

    Source: Ai, Simchi-Levi & Xu (2025), Algorithm 1 and its proof in C.3.1 (virtual costs), section 2.3 (costs), C.1
    (the platform's own cost).
    """
    objective = pointwise_objective(market, weight, layers)
    open_roles = ("type", "open")
    found = quantities(objective) | {q for c in market.constraints for e in (c.left, c.right) for q in quantities(e)}
    parameters = tuple(sorted((q for q in found if q.role in open_roles), key=lambda q: str(q.name)))
    program = Optimum(
        sense="minimize",
        objective=objective,
        variables=variables_of(market),
        constraints=market.constraints,
        data=market.data,
        parameters=parameters,
        name="pointwise programme",
    )
    return for_a_solver(replace(program, convex=is_convex_program(program)))


def for_a_solver(program: Optimum) -> Optimum:
    """`program` with what stands in cases of a decision as hinges, which engines know."""
    ranges = ranges_of(program, DATA)
    return replace(
        program,
        objective=without_cases(program.objective, ranges),
        constraints=tuple(
            replace(c, left=without_cases(c.left, ranges), right=without_cases(c.right, ranges))
            for c in program.constraints
        ),
    )


def pointwise_step(program: Optimum, weight: Quantity | None = None) -> Step:
    """The programme that every report's allocation solves, in the choices as stated.

    Args:
        program: as made by `pointwise_program`.
        weight: the open quantity that stands for the virtual cost; None: the types are the weights.
    """
    goal = (
        "In expectation the buyer pays virtual cost, and what is bought at one report does not bind what is bought at "
        "another: the best rule solves the programme of each report."
        if weight is not None
        else "Payments cancel in welfare, so the best rule minimises true costs less values at every report; the "
        "payments make the truth worth telling."
    )
    convex = {
        True: "It is convex: a local optimum is a global one.",
        False: "As posed it is not convex: what is found may be a local optimum.",
        None: "It was not shown to be convex: what is found may be a local optimum.",
    }[program.convex]
    formulas: list[tuple[str, sp.Basic]] = []
    for variable in program.variables:
        entry = Entry(variable.quantity, *variable.letters) if variable.letters else variable.quantity
        if variable.lower is not -sp.oo:
            formulas.append((f"range of {variable.name}", sp.Ge(entry, variable.lower, evaluate=False)))
        if variable.upper is not sp.oo:
            formulas.append((f"range of {variable.name}", sp.Le(entry, variable.upper, evaluate=False)))
    for constraint in program.constraints:
        relation = {">=": sp.Ge, "<=": sp.Le, "==": sp.Eq}[constraint.relation]
        formulas.append((constraint.name, relation(constraint.left, constraint.right, evaluate=False)))
    place = "Algorithm 1 and C.3.1" if weight is not None else "section 2.3 and C.5.1"
    source = f"Ai, Simchi-Levi & Xu (2025), {place}; C.1 for the buyer's own cost"
    return Step("pointwise programme", program.objective, f"{goal} {convex}", source, tuple(formulas), proved=True)
