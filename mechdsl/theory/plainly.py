"""What a structure of one's own needs most: a marginal, an optimum over what was stated, a letter's total.

The other modules know particular markets; these few know none. A structure that states who maximises what, and who is
paid what, is complete with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sympy as sp

from mechdsl.errors import UsageError
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, Letter, derivative, quantities, rename_letters
from mechdsl.market import Choice, Market
from mechdsl.program import Constraint, Optimum
from mechdsl.theory.curvature import is_convex_program, variables_of

__all__ = ["known", "marginal", "optimum_of"]


def marginal(formula: sp.Expr, choice: Choice) -> sp.Expr:
    """`d formula / d x[k]`, in the letters `k` of the choice, whatever letters the formula binds.

    Args:
        formula: of a market, `layer.value` or `layer.cost`, say.
        choice: the decision x.
    """
    letters = choice.declaration.letters
    if not letters:
        return derivative(formula, choice.quantity)
    fresh = tuple(Letter(f"{a.name}'", a.index_set) for a in letters)
    slope = derivative(formula, Entry(choice.quantity, *fresh))
    found: sp.Expr = rename_letters(slope, dict(zip(fresh, letters, strict=True)))
    return found


def optimum_of(
    market: Market,
    objective: sp.Expr,
    sense: str = "maximize",
    more: Sequence[Constraint] = (),
    name: str = "programme",
) -> Optimum:
    """`maximise objective` over every choice of the market, subject to what was stated and to `more`.

    Args:
        market: whose choices are the variables.
        objective: a formula without free letters; types in it are values given with each solve.
        sense: `maximize` or `minimize`.
        more: constraints that the structure adds.
        name: as documents call it.

    Returns:
        the programme; its `convex` is what could be shown (True, shown not to hold False, or None).
    """
    rows = (*market.constraints, *more)
    found = quantities(objective) | {q for row in rows for q in quantities(row.left - row.right)}
    program = Optimum(
        sense=sense,
        objective=objective,
        variables=variables_of(market),
        constraints=rows,
        data=market.data,
        parameters=tuple(sorted((q for q in found if q.role in ("type", "open")), key=lambda q: str(q.name))),
        name=name,
    )
    return replace(program, convex=is_convex_program(program))


def known(market: Market, formula: sp.Expr | str, letters: Sequence[Letter] = ()) -> Array:
    """The value of a formula in known data, an argument of a contract, say: a number, or a table over `letters`."""
    if isinstance(formula, str):
        raise UsageError(f"a number is expected where the contract says '{formula}'")
    return evaluate(formula, market.data, letters)
