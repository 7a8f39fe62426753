"""The derivation of a menu for a union, step by step, as formulas: what is paid, what it is integrated against, prices.

The numbers are made elsewhere, at many slopes at once; here the same theory is written down for the reader, with its
conditions and whether they hold on these cost laws.
"""

from __future__ import annotations

import sympy as sp

from mechdsl.derivation import Step
from mechdsl.formula import Quantity
from mechdsl.market import Market
from mechdsl.theory.notation import Best, Rule, Slope, free_name
from mechdsl.theory.union import union_of
from mechdsl.theory.union_conditions import conditions
from mechdsl.theory.union_lines import Sides, branch_point
from mechdsl.theory.union_menu import is_plain

__all__ = ["union_menu_steps"]

_OURS = "ours: docs/union.md; tests/test_union_revenue.py"


def union_menu_steps(market: Market) -> tuple[Step, ...]:
    """From the taxation principle to prices along the frontier, or to a search where there is no theorem."""
    union = union_of(market)
    laws = union.type.distributions
    if len(laws) != 2 or not is_plain(market):
        return (_menu_step(market), _search_step(market))
    return (_menu_step(market), *_line_steps(market), _condition_step(market))


def _symbol(market: Market, name: str) -> sp.Expr:
    return Quantity(free_name(name, market.declarations), (), "open")


def _menu_step(market: Market) -> Step:
    """`U(c) = max over items of p - c . y`."""
    own = union_of(market).type.quantity
    utility, payment = _symbol(market, "U"), _symbol(market, "p")
    y = _symbol(market, "y")
    leaves = Best(payment - own * y, (y, payment))
    because = (
        "A truthful contract is a menu (the taxation principle): bundles, each at a price, from which the union takes "
        "what leaves it most. Expected payment depends on the menu through the union's utility alone."
    )
    return Step("a menu", sp.Eq(Rule(utility, own), leaves, evaluate=False), because, "Rochet (1987); Hammond (1979)")


def _search_step(market: Market) -> Step:
    least = _symbol(market, "Psi")
    own = union_of(market).type.quantity
    because = (
        "With more than two members, or where the buyer or the union bears or enjoys something beside the types, the "
        "best menu is not known. One is found by search and valued exactly. Production costs $\\Psi$ at least and the "
        "union is paid its cost at least, so no menu costs less than $\\Psi$ on average. What dealing with each member "
        "by itself would earn is no bound for three members and more."
    )
    return Step("a menu by search", Rule(least, own), because, "ours: docs/union.md", proved=False)


def _line_steps(market: Market) -> tuple[Step, ...]:
    kappa, pi, share = (_symbol(market, n) for n in ("kappa", "pi", "S"))
    c1, c2, y1, y2 = (_symbol(market, n) for n in ("c_1", "c_2", "y_1", "y_2"))
    chance = sp.Function("P", real=True)(sp.Gt(c1 - kappa * c2, pi, evaluate=False))
    beyond = sp.Eq(Rule(share, pi), chance, evaluate=False)
    a = _symbol(market, "A")
    earned = Best(pi * Rule(share, pi), (pi,))
    steps_price = (
        "Walk along the frontier, where the bundle of least cost at weights $(\\kappa, 1)$ has slope $\\kappa$. A step "
        "$dy_1 < 0$ is a good of its own: unions with $c_1 - \\kappa c_2 > \\pi$ take it if it lowers the price "
        "by $\\pi$ a unit. The best price is a monopolist's, root of $S(\\pi) - \\pi g(\\pi) = 0$, g the density of "
        "$c_1 - \\kappa c_2$; it depends on the cost laws alone. The other side is the same with the goods exchanged."
    )
    b1, b2 = _symbol(market, "b_1"), _symbol(market, "b_2")
    kb, b = _symbol(market, "kappa_b"), _symbol(market, "B")
    meets = sp.Eq(b1 - kb * b2, Rule(a, kb) + Rule(b, kb), evaluate=False)
    meet = (
        "The two sides meet at the bundle of slope $\\kappa_b$, which the highest types take at its cost: there the "
        "gains from stepping either way, A and B, account for the distance of the highest types from the line."
    )
    cost = (
        b1 * Rule(y1, kb)
        + b2 * Rule(y2, kb)
        + sp.Integral(Rule(a, kappa) * Slope(Rule(y1, kappa), kappa), (kappa, kb, sp.oo))
    )
    dearer = _symbol(market, "E[p]")
    sums = (
        "The item in the middle costs $b \\cdot y(\\kappa_b)$; each step on either side lowers the expected payment by "
        "what it earns, where the sets of unions that accept the steps are nested. (The side below $\\kappa_b$ adds "
        "the same integral with B.) A finite menu is valued exactly, nested or not: the upper envelope of lines in "
        "one type, quadrature over the other."
    )
    return (
        Step(
            "price of a step",
            sp.Eq(Rule(a, kappa), earned, evaluate=False),
            steps_price,
            _OURS,
            (("beyond a line", beyond),),
        ),
        Step("where the sides meet", meets, meet, _OURS),
        Step("expected payment", sp.Eq(dearer, cost, evaluate=False), sums, _OURS),
    )


def _condition_step(market: Market) -> Step:
    """(N), (C), (M) on these cost laws."""
    first, second = union_of(market).type.distributions
    sides = Sides.of(first, second)
    branch = branch_point(sides)
    held = conditions(sides, branch)
    failed = [c for c in held if not c.holds]
    words = [f"({c.letter}) {c.name}: {'holds' if c.holds else f'fails by {c.violation:.2g}'}." for c in held]
    verdict = (
        "No menu of any kind does better than this one, wasteful ones included, whatever the demand."
        if not failed
        else "The theorem does not apply: the menu is attained, at its exact value, and a robust dual bounds it."
    )
    because = (
        "The conditions under which the priced frontier is the best of all menus, checked on dense grids for these "
        f"laws. {' '.join(words)} {verdict}"
    )
    here = sp.Eq(_symbol(market, "kappa_b"), sp.Float(f"{branch:.6g}"), evaluate=False)
    return Step("conditions of optimality", here, because, _OURS, proved=False, holds=not failed)
