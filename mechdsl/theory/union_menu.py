"""M3, what to offer a union when payments count: a menu of bundles, what it comes to, and what no menu can undercut.

Two members with independent costs: the frontier is priced step by step (`union_lines`, `union_frontier`), which is the
best of all menus where three conditions on the cost laws hold (`union_conditions`); elsewhere the same menu is what is
attained, at its exact cost, and a robust dual bounds it (`union_bound`). More members, or a buyer with costs or values
of its own: a menu found by search (`union_search`) and the bound that is always safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from mechdsl.engines.menu import Value, menu_cost, menu_value
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import quantities
from mechdsl.market import Layer, Market
from mechdsl.mechanism import Mechanism
from mechdsl.program import Menu, Solution, Status
from mechdsl.theory.pointwise import pointwise_program
from mechdsl.theory.private_cost import total
from mechdsl.theory.union import Union, union_misfit, union_of
from mechdsl.theory.union_bound import robust_bound, safe_bound
from mechdsl.theory.union_conditions import Condition, conditions
from mechdsl.theory.union_frontier import MOST_CORNERS, Corner, Trace, corner, trace
from mechdsl.theory.union_lines import Sides, branch_point
from mechdsl.theory.union_search import Aside, searched_menu

__all__ = [
    "TOLERANCE",
    "Bound",
    "Item",
    "Offer",
    "best_offer",
    "is_plain",
    "menu_program",
    "priced_frontier",
    "union_menu_misfit",
]

TOLERANCE = 1e-5
"""Of the expected cost: how close what is attained and what cannot be undercut come, where the conditions hold."""


@dataclass(frozen=True, slots=True)
class Item:
    """One bundle on offer.

    Args:
        outputs: `(K,)` what each type multiplies.
        price: what the union is paid for it, all told.
        aside: what it costs the buyer beside the price, less what it is worth to it.
        probability: that it is taken.
        solution: the decisions.
    """

    outputs: Array
    price: float
    aside: float
    probability: float
    solution: Solution


@dataclass(frozen=True, slots=True)
class Bound:
    """`E[price + aside] >= value` for every menu; `method` and `words` say why."""

    value: float
    method: str
    words: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A menu, what it comes to, and how good it is.

    Args:
        items: on offer, in the order of falling output in the first type.
        net: `(M,)` price less what the item costs the union apart from its types.
        cost: `E[price + aside]`, exactly, but for `error`.
        payment: `E[price]`; borne: `E[c . y]`, what the union's members bear through their types.
        bound: on the cost of any menu.
        conditions: of the theorem, on this instance; none where there is no theorem.
        branch: `kappa_b`, where there is a theorem.
    """

    items: tuple[Item, ...]
    net: Array
    cost: float
    error: float
    payment: float
    borne: float
    bound: Bound
    conditions: tuple[Condition, ...] = ()
    branch: float | None = None

    @property
    def proved(self) -> bool:
        """Whether no menu does better, but for the difference between cost and bound."""
        return self.bound.method == "theorem"

    def outputs(self) -> Array:
        """`(M, K)`."""
        return np.array([item.outputs for item in self.items])

    def taken(self, types: Array) -> Array:
        """Places of the items that unions of types `(..., K)` take."""
        return np.asarray(np.argmax(self.net - types @ self.outputs().T, axis=-1))


def union_menu_misfit(market: Market) -> str | None:
    """Why a menu for a union does not fit the market, in its own words; None where it does."""
    reason = union_misfit(market)
    if reason is not None:
        return reason
    union = union_of(market)
    if any(law.upper <= 0 <= law.lower for law in union.type.distributions):
        return f"a cost in '{union.type.name}' is 0 for certain: nothing has to be paid for what costs nothing"
    if any(law.lower < 0 for law in union.type.distributions):
        return f"costs below 0 occur in '{union.type.name}': a menu is for costs that are at least 0"
    return None


def menu_program(market: Market) -> Menu:
    """The menu that the buyer looks for, its items posed as least cost at weights.

    What the buyer and the union bear beside the types counts where it depends on the item; a constant is `fixed`.
    """
    union = union_of(market)
    part = union.members
    plain = is_plain(market)
    own = union.type.quantity[part.layer.letters] if part.layer.letters else union.type.quantity
    bare = Layer(part.layer.name, part.layer.letters, cost=own * part.coefficient)
    layers = [bare] if plain else [_buyer(market), *union.inside]
    fixed = float(evaluate(_known(union), market.data, ())) if plain else 0.0
    return Menu(
        pointwise_program(market, None, layers), union.type.quantity, union.type.distributions, part.coefficient,
        part.layer.letters, fixed + union.outside(market),
    )  # fmt: skip


def _buyer(market: Market) -> Layer:
    return market.layer(market.contracts[0].payer)


def _beside(layer: Layer) -> sp.Expr:
    """What a layer bears less what it enjoys, a scalar formula."""
    return total(layer.cost - layer.value, layer)


def _known(union: Union) -> sp.Expr:
    """What the union and its members bear whatever the types, less what they enjoy: a scalar formula."""
    part = union.members
    return total(part.known - part.layer.value, part.layer) + _beside(union.layer)


def is_plain(market: Market) -> bool:
    """Whether an item's price and its outputs are all that matters: nobody bears or enjoys anything else by it."""
    union = union_of(market)
    buyer = _buyer(market)
    return not any(q.role == "decision" for f in (_known(union), _beside(buyer)) for q in quantities(f))


def best_offer(mechanism: Mechanism, tolerance: float | None = None) -> Offer:
    """The menu for the union, and the bound from the other side; the mechanism keeps it.

    Args:
        mechanism: the structure at work on its market.
        tolerance: relative difference aimed at between what is attained and what cannot be undercut; None: what the
            mechanism was asked for, else `TOLERANCE`.

    Raises:
        ValueError: an item could not be found; why, in words.
    """
    program = mechanism.program
    assert isinstance(program, Menu)
    make = {1: _alone, 2: priced_frontier}.get(len(program.laws), _searched)
    if not is_plain(mechanism.market):
        make = _searched
    aim = tolerance or mechanism.tolerance or TOLERANCE
    offer: Offer = mechanism.keep(("offer", aim), lambda: make(mechanism, aim))
    return offer


def _alone(mechanism: Mechanism, tolerance: float) -> Offer:
    """One type and nothing else at stake: the least output at its highest cost, `b y`; no menu costs less."""
    del tolerance
    program = mechanism.program
    assert isinstance(program, Menu)
    (law,) = program.laws
    solution = mechanism.solve_at({program.types: np.full(program.types.shape, law.upper)})
    if solution.status is not Status.OPTIMAL:
        raise ValueError(f"at the highest type: {solution.message}")
    outputs = mechanism.engine.outputs(solution).reshape(1, 1)
    net = outputs[:, 0] * law.upper
    value = Value(float(net[0]), 0.0, np.ones(1))
    gap = max(0.0, float(solution.residuals.get("gap", 0.0)))
    method = "theorem" if program.convex else "safe"
    words = "No menu costs less: the least output must be bought, and the highest type must be willing to sell it."
    bound = Bound(float(net[0]) * (1 - gap) + program.fixed, method, words)
    fixed, borne = np.full(1, program.fixed), float(law.mean * outputs[0, 0])
    return _offer(outputs, net, np.zeros(1), fixed, [solution], value, borne, bound)


# ---------------------------------------------------------------------------------------------------------- two members


def priced_frontier(mechanism: Mechanism, tolerance: float) -> Offer:
    """The frontier of two goods, each step at its best price, the item at `kappa_b` at `b . y`.

    Source: ours; theorem and proof in docs/union.md, tests/test_union_revenue.py.
    """
    program = mechanism.program
    assert isinstance(program, Menu)
    first, second = program.laws
    sides = Sides.of(first, second)
    branch = branch_point(sides)
    base = corner(mechanism, (0, 1), branch)
    worst = first.upper * base.first + second.upper * base.second
    mirrored = Corner(1 / branch, base.least / branch, base.second, base.first, base.gap, base.solution)
    aimed = tolerance * worst / 2  # on each side
    while True:
        a = trace(mechanism, sides.a, (0, 1), base, aimed)
        b = trace(mechanism, sides.b, (1, 0), mirrored, aimed)
        wide = a.attained - a.outer + b.attained - b.outer
        allowed = tolerance * (worst + a.outer + b.outer)
        if wide <= allowed or max(len(a.corners), len(b.corners)) >= MOST_CORNERS or aimed < 1e-12 * worst:
            break
        aimed *= min(0.7, allowed / wide)  # the cost is below `worst`, by how much is known now
    corners, prices = _ordered(a, b, worst)
    outputs = np.array(corners)
    kept = _distinct(outputs)
    outputs, prices = outputs[kept], prices[kept]
    solutions = [s for s, k in zip(_solutions(a, b), kept, strict=True) if k]
    value = menu_value(outputs, prices, program.laws, int(first.is_point), tolerance * worst / 100)
    borne, _ = menu_cost(outputs, prices, program.laws, tolerance * worst / 100)
    held = conditions(sides, branch)
    gap = max(c.gap for c in (*a.corners, *b.corners))
    bound = _bound(mechanism, sides, branch, (a, b), worst, held, gap)
    return _offer(outputs, prices, np.zeros(len(prices)), np.full(len(prices), program.fixed), solutions,
                  value, borne, bound, held, branch)  # fmt: skip


def _bound(
    mechanism: Mechanism, sides: Sides, branch: float, traces: tuple[Trace, Trace], worst: float,
    held: Sequence[Condition], gap: float,
) -> Bound:  # fmt: skip
    """The theorem's bound where it applies and items are least-cost for certain, else the robust dual, else the safe
    one.
    """
    program = mechanism.program
    assert isinstance(program, Menu)
    a, b = traces
    if not program.convex:
        value = safe_bound(sides, traces, gap)
        words = (
            "The bound is numerical: that items are of least cost was not shown, the set of bundles not being convex."
        )
        return Bound(value + program.fixed, "safe", words)
    if all(c.holds for c in held):
        words = "No menu costs less: the conditions of the theorem hold."
        return Bound((worst + a.outer + b.outer) * (1 - gap) + program.fixed, "theorem", words)
    robust = robust_bound(sides, branch, traces)
    safe = safe_bound(sides, traces, gap)
    if robust is not None and robust > safe:
        words = "No menu costs less, by the robust dual bound: lines are cut where they would cross."
        return Bound(robust * (1 - gap) + program.fixed, "robust", words)
    words = "No menu costs less than the least cost of production, on average; a sharper bound was not found."
    return Bound(safe + program.fixed, "safe", words)


def _ordered(a: Trace, b: Trace, worst: float) -> tuple[list[tuple[float, float]], Array]:
    """Outputs and prices of all items: the far end of side b, the item at the branch point, the far end of side a."""
    above = worst + np.cumsum(a.steps)
    below = worst + np.cumsum(b.steps)
    corners = [(c.second, c.first) for c in reversed(b.corners[1:])] + [(c.first, c.second) for c in a.corners]
    return corners, np.concatenate([below[::-1], [worst], above])


def _solutions(a: Trace, b: Trace) -> list[Solution]:
    return [c.solution for c in reversed(b.corners[1:])] + [c.solution for c in a.corners]


def _distinct(outputs: Array) -> Array:
    """Which items differ from the one before them towards the middle item: rounding makes several of one."""
    scale = np.max(np.abs(outputs), axis=0)
    change = np.abs(np.diff(outputs, axis=0))
    moved = np.any(change > 1e-12 * np.maximum(np.abs(outputs[1:]), 1e-12 * scale), axis=1)
    return np.concatenate([[True], moved])


def _offer(
    outputs: Array, net: Array, aside: Array, known: Array, solutions: Sequence[Solution],
    value: Value, borne: float, bound: Bound, held: tuple[Condition, ...] = (), branch: float | None = None,
) -> Offer:  # fmt: skip
    shares = value.probabilities
    items = tuple(
        Item(y, float(p + k), float(h), float(max(share, 0.0)), s)
        for y, p, h, k, share, s in zip(outputs, net, aside, known, shares, solutions, strict=True)
    )
    payment = value.price + float(known @ shares)
    return Offer(items, net, payment + float(aside @ shares), value.error, payment, borne, bound, held, branch)


# --------------------------------------------------------------------------------------------------- more, or not plain


def _searched(mechanism: Mechanism, tolerance: float) -> Offer:
    """A menu found by search among items of least cost, and the safe bound `E[least net cost]`."""
    program = mechanism.program
    assert isinstance(program, Menu)
    found = searched_menu(mechanism, _asides(mechanism))
    value = menu_value(found.outputs, found.net, program.laws, found.along, tolerance * abs(found.scale) / 100)
    borne, _ = menu_cost(found.outputs, found.net, program.laws, tolerance * abs(found.scale) / 100)
    words = (
        "No menu costs less than the least cost of production, on average. The menu was found by search: a better one "
        "may exist."
    )
    bound = Bound(found.least + program.fixed, "safe", words)
    return _offer(found.outputs, found.net, found.aside, found.known + program.fixed, found.solutions,
                  value, borne, bound)  # fmt: skip


def _asides(mechanism: Mechanism) -> Aside:
    """What an item costs beside its types: `solution -> (the union's known cost, the buyer's net cost)`."""
    market, union = mechanism.market, union_of(mechanism.market)
    if is_plain(market):
        return lambda solution: (0.0, 0.0)
    known, beside = _known(union), _beside(_buyer(market))

    def of(solution: Solution) -> tuple[float, float]:
        values = {**market.data, **{c.quantity: solution.values[str(c.quantity.name)] for c in market.choices}}
        return float(evaluate(known, values, ())), float(evaluate(beside, values, ()))

    return of
