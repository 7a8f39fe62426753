"""What a menu comes to for the union that reports, its books, and its certificate.

The union that reports takes the item that leaves it most; price and bundle come from the menu, everything else from
what was stated. The certificate asks the menu, not the theory: whether any union anywhere in the box gains from another
item, whether the worst-off still takes part, whether every item is feasible, whether another quadrature agrees.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from mechdsl.accounting import constraint_slack, stated_values
from mechdsl.draws import uniform_draw
from mechdsl.engines.menu import menu_value
from mechdsl.evaluate import Array, evaluate
from mechdsl.market import Layer
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Check, Outcome, Sample
from mechdsl.program import Menu, Solution, Status
from mechdsl.structure import Report
from mechdsl.theory.private_cost import total
from mechdsl.theory.procurement import by_name
from mechdsl.theory.sampling import sampled_one_by_one
from mechdsl.theory.screening_checks import GAIN_TOLERANCE, SLACK_TOLERANCE, money_scale
from mechdsl.theory.union import Union, union_books, union_of, union_participation
from mechdsl.theory.union_menu import Offer, best_offer

__all__ = ["expected_welfare", "menu_checks", "menu_outcome", "menu_sample"]

FEASIBILITY_TOLERANCE = 1e-8
GAP_TOLERANCE = 1e-8
_TYPES = 512  # unions whose choice is looked at again, corners of the box besides
_CORNERS = 8


def menu_outcome(mechanism: Mechanism, report: Report) -> Outcome:
    """The item that the union takes at a report, and the menu it takes it from.

    Args:
        mechanism: the structure at work on its market; its programme is a `Menu`.
        report: the types, taken as true.
    """
    market, union, name = mechanism.market, union_of(mechanism.market), mechanism.structure.name
    here = mechanism.solve(report)
    if here.status is not Status.OPTIMAL:
        return Outcome(name, here.status, here.message, report=by_name(report))
    try:
        offer = best_offer(mechanism)
    except ValueError as error:
        return Outcome(name, Status.FAILED, f"An item of the menu could not be found {error}", report=by_name(report))
    place = int(offer.taken(np.asarray(report[union.type.quantity]).reshape(-1)))
    item = offer.items[place]
    status = Status.OPTIMAL if offer.proved else Status.ATTAINED
    outcome = Outcome(
        name, status, _message(offer),
        report=by_name(report),
        report_is_mean=market.report is None,
        allocation=item.solution.values,
        payments={union.layer.name: np.array(item.price)},
        extra=_extra(mechanism, offer, place),
        notes=_notes(mechanism, offer),
    )  # fmt: skip
    # Shadow prices belong to a minimised objective; a menu has one for all types together, not one for this report.
    bare = replace(item.solution, multipliers={})
    return union_books(market, union, report, outcome, bare)


def _message(offer: Offer) -> str:
    gap = (offer.cost - offer.bound.value) / (abs(offer.cost) or 1.0)
    if offer.proved:
        return f"Optimal: no menu costs less, but for {gap:.1e} of the expected cost."
    return (
        f"Attained: the expected cost is {gap:.1e} of itself above what no menu can undercut; optimality is not shown."
    )


def _extra(mechanism: Mechanism, offer: Offer, place: int) -> dict[str, Any]:
    """What JSON adds: the menu, the item taken, expectations, the bound and the conditions."""
    union = union_of(mechanism.market)
    shape = union.type.quantity.shape
    menu = [
        {"y": item.outputs.reshape(shape), "x": _decisions(mechanism, item.solution.values), "price": item.price,
         "probability": item.probability}
        for item in offer.items
    ]  # fmt: skip
    return {
        "menu": menu,
        "item": menu[place],
        "expected": {
            "revenue": {"mean": -offer.cost, "error": offer.error},
            "welfare": {"mean": expected_welfare(mechanism, offer), "error": offer.error},
            "payment": {"mean": offer.payment, "error": offer.error},
            "revenue_at_most": -offer.bound.value,
        },
        "bound": offer.bound.method,
        "conditions": [
            {"condition": c.letter, "holds": c.holds, "violation": c.violation, "detail": f"{c.name}. {c.detail}"}
            for c in offer.conditions
        ],
    }  # fmt: skip


def expected_welfare(mechanism: Mechanism, offer: Offer) -> float:
    """`-E[c . y] - E[known costs - values]`: everyone's values less costs, transfers cancelling."""
    market = mechanism.market
    union = union_of(market)
    nothing = {union.type.quantity: np.zeros(union.type.quantity.shape)}
    formula = sum(total(y.cost - y.value, y) for y in market.layers)
    known = [float(evaluate(formula, stated_values(market, nothing, i.solution.values), ())) for i in offer.items]
    return -offer.borne - float(np.array(known) @ [item.probability for item in offer.items])


def _decisions(mechanism: Mechanism, values: Any) -> Any:
    """Decisions of an item: the one table, where there is one choice; else by name."""
    names = [str(c.quantity.name) for c in mechanism.market.choices]
    return np.asarray(values[names[0]]) if len(names) == 1 else {n: np.asarray(values[n]) for n in names}


def _notes(mechanism: Mechanism, offer: Offer) -> tuple[str, ...]:
    found = [
        f"Attained: expected revenue {-offer.cost:.8g}, exactly for continuous types (quadrature error at most "
        f"{offer.error:.1e}), with {len(offer.items)} item{'s' if len(offer.items) != 1 else ''} on offer.",
        f"Cannot be exceeded: expected revenue {-offer.bound.value:.8g}. {offer.bound.words}",
    ]
    short = _short_of(mechanism, offer)
    found += [short] if short else []
    failed = [c for c in offer.conditions if not c.holds]
    if offer.conditions and not failed:
        words = ", ".join(f"({c.letter})" for c in offer.conditions)
        found.append(f"Numerical: that conditions {words} of the theorem hold was checked on dense grids.")
    for c in failed:
        words = f"{c.name} fails on these costs by {c.violation:.2g}. {c.detail}"
        found.append(f"Condition ({c.letter}): {words}")
    if failed:
        found.append("The menu may then not be the best; where lines cross, the union passes over items.")
    if not mechanism.program.convex:
        found.append("Items were not shown to be of least cost: the set of bundles was not shown to be convex.")
    return tuple(found)


def _short_of(mechanism: Mechanism, offer: Offer) -> str | None:
    """What was reached where a tolerance was asked for and could not be met."""
    asked, reached = mechanism.tolerance, (offer.cost - offer.bound.value) / abs(offer.cost) if offer.cost else 0.0
    if asked is None or reached <= asked:
        return None
    if offer.proved:
        why = f"the menu has as many items ({len(offer.items)}) as are looked for"
    elif offer.conditions:
        why = "the theorem's conditions fail, and then some distance between the two is left however many the items"
    else:
        why = "the bound is the least cost of production, which no menu comes to"
    return f"Tolerance: {asked:.1e} of the expected cost was asked for, {reached:.1e} was reached: {why}."


def menu_sample(mechanism: Mechanism, reports: Report) -> Sample:
    """What unions of N types take from the menu, and everyone's books, by column.

    Args:
        mechanism: the structure at work on its market.
        reports: type -> (N, *shape), taken as true.
    """
    market, union = mechanism.market, union_of(mechanism.market)
    try:
        offer = best_offer(mechanism)
    except ValueError:  # there is no menu: each outcome says why
        return sampled_one_by_one(mechanism, reports)
    types = np.asarray(reports[union.type.quantity])
    count = len(types)
    types = types.reshape(count, -1)
    place = offer.taken(types)
    price = np.array([item.price for item in offer.items])[place]
    fixed, slopes = mechanism.keep(("stated costs", id(offer)), lambda: _stated_costs(mechanism, union, offer, reports))
    borne = fixed[place] + np.sum(slopes[place] * types, axis=1)
    members = union.members.layer
    utilities: dict[str, Array] = {}
    for layer in market.layers:
        if layer.name == members.name:
            outside = np.asarray(evaluate(layer.outside, market.data, layer.letters))
            utilities[layer.name] = np.broadcast_to(outside, (count, *layer.shape)).copy()
        elif layer.name == union.layer.name:
            inner = float(np.sum(evaluate(members.outside, market.data, members.letters)))
            utilities[layer.name] = price - borne - inner
        else:
            rows = [_net_cost(mechanism, layer, item.solution) for item in offer.items]
            utilities[layer.name] = -np.array(rows)[place]
    payer = market.contracts[0].payer
    utilities[payer] = utilities[payer] - price.reshape((count,) + (1,) * (utilities[payer].ndim - 1))
    names = [str(c.quantity.name) for c in market.choices]
    revenue = utilities[payer].reshape(count, -1).sum(axis=1)
    welfare = sum((table.reshape(count, -1).sum(axis=1) for table in utilities.values()), np.zeros(count))
    gap = np.array([float(item.solution.residuals.get("gap", 0.0)) for item in offer.items])[place]
    return Sample(
        mechanism.structure.name,
        {name: np.array([item.solution.values[name] for item in offer.items])[place] for name in names},
        {union.layer.name: price}, utilities, revenue, welfare, None, gap, np.ones(count, dtype=bool),
        notes=_notes(mechanism, offer),
    )  # fmt: skip


def _net_cost(mechanism: Mechanism, layer: Layer, solution: Solution) -> Array:
    """What a layer without a type bears less what it enjoys at an item, in its own shape."""
    market = mechanism.market
    values = {**market.data, **{c.quantity: solution.values[str(c.quantity.name)] for c in market.choices}}
    return np.asarray(evaluate(layer.cost - layer.value, values, layer.letters))


# -------------------------------------------------------------------------------------------------------------- checks


def menu_checks(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterable[Check]:
    """What a menu promises: every union takes its best item, the worst-off takes part, items are feasible and cheap,
    the expected payment is right, and nothing beats its own bound.
    """
    market, union = mechanism.market, union_of(mechanism.market)
    offer = best_offer(mechanism)
    program = mechanism.program
    assert isinstance(program, Menu)
    scale = money_scale(outcome)
    types = _box(program, np.asarray(report[union.type.quantity]).reshape(-1))
    kept = np.stack([_left(mechanism, union, offer, report, row) for row in types])
    best = kept.max(axis=1)
    yield union_participation(market, union, outcome)
    yield Check(
        "participation of every type", max(0.0, float(union.outside(market) - best.min())) / scale, SLACK_TOLERANCE,
        f"Least utility above the outside option {best.min() - union.outside(market):.3g}, over {len(types)} unions.",
    )  # fmt: skip
    chosen = kept[np.arange(len(types)), offer.taken(types)]
    # The union that reports, with what the outcome itself says it gets.
    chosen[0] = sum(float(np.sum(outcome.utilities[y.name])) for y in union.inside)
    gain = best - chosen
    worst = int(np.argmax(gain))
    at = ", ".join(f"{value:.6g}" for value in types[worst][:6])
    yield Check(
        "largest gain from misreporting", max(0.0, float(gain[worst])) / scale, GAIN_TOLERANCE,
        f"Any report buys an item of the menu: all {len(offer.items)} were tried by {len(types)} unions over the box, "
        f"at costs as stated; most at ({at}): {gain[worst]:.2g}.",
    )  # fmt: skip
    yield from _items(mechanism, offer, report)
    yield _second_value(program, offer, scale)
    short = (offer.bound.value - offer.cost) / scale
    yield Check(
        "bound not beaten", max(0.0, short), offer.error / scale + 1e-7,
        f"Expected cost {offer.cost:.8g}, no menu below {offer.bound.value:.8g} ({offer.bound.method}).",
    )  # fmt: skip


def _box(program: Menu, here: Array) -> Array:
    """The union that reports, the corners of the box of types, and unions spread over it."""
    low, high = np.array([law.lower for law in program.laws]), np.array([law.upper for law in program.laws])
    size = len(low)
    rows = [here, low, high]
    if size <= _CORNERS:
        rows += [np.where([(corner >> j) & 1 for j in range(size)], high, low) for corner in range(2**size)]
    for n in range(_TYPES):
        spread = np.array([uniform_draw(n, "union", [str(j)]) for j in range(size)])
        quantiles = np.array([law.quantile(u) for law, u in zip(program.laws, spread, strict=True)])
        rows.append(quantiles if n % 2 else low + spread * (high - low))
    return np.array(rows)


def _left(mechanism: Mechanism, union: Union, offer: Offer, report: Report, types: Array) -> Array:
    """What each item leaves a union of these types: its price less the costs as stated."""
    market = mechanism.market
    own = union.type.quantity
    costs = mechanism.keep(("stated costs", id(offer)), lambda: _stated_costs(mechanism, union, offer, report))
    fixed, slopes = costs
    del market, own
    return np.asarray([item.price for item in offer.items] - fixed - slopes @ types)


def _stated_costs(mechanism: Mechanism, union: Union, offer: Offer, report: Report) -> tuple[Array, Array]:
    """The costs of items as stated, affine in the types: at 0, and for each type by itself; evaluated, not derived."""
    market, own = mechanism.market, union.type.quantity
    formula = sum(total(y.cost - y.value, y) for y in union.inside)
    zero = np.zeros(own.shape)

    def at(values: Any, types: Array) -> float:
        return float(evaluate(formula, stated_values(market, {**report, own: types}, values), ()))

    fixed, slopes = [], []
    for item in offer.items:
        nothing = at(item.solution.values, zero)
        units = [at(item.solution.values, _unit(own.shape, place)) - nothing for place in np.ndindex(*own.shape)]
        fixed.append(nothing)
        slopes.append(units)
    return np.array(fixed), np.array(slopes)


def _unit(shape: tuple[int, ...], place: tuple[int, ...]) -> Array:
    table = np.zeros(shape)
    table[place] = 1.0
    return table


def _items(mechanism: Mechanism, offer: Offer, report: Report) -> Iterable[Check]:
    """Feasibility of every item against the stated constraints, and the gaps of the solves that found them."""
    market = mechanism.market
    worst, where = 0.0, 0
    for j, item in enumerate(offer.items):
        values = stated_values(market, report, item.solution.values)
        slack = constraint_slack(market, values)
        for constraint in market.constraints:
            sides = (evaluate(side, values, constraint.letters) for side in (constraint.left, constraint.right))
            scale = 1.0 + sum(np.abs(side) for side in sides)
            short = np.abs(slack[constraint.name]) if constraint.relation == "==" else -slack[constraint.name]
            largest = float(np.nanmax(short / scale))
            if largest > worst:
                worst, where = largest, j
    detail = f"Largest violation of any constraint by any of {len(offer.items)} items; worst item {where}."
    yield Check("every item feasible", worst, FEASIBILITY_TOLERANCE, detail)
    gap = max(float(item.solution.residuals.get("gap", 0.0)) for item in offer.items)
    yield Check(
        "every item of least cost", max(0.0, gap), GAP_TOLERANCE, "Largest duality gap of the items' programmes."
    )


def _second_value(program: Menu, offer: Offer, scale: float) -> Check:
    """The expected payment with the roles of the types exchanged: exact in another, quadrature over the rest."""
    laws, outputs = program.laws, offer.outputs()
    moving = [k for k, law in enumerate(laws) if not law.is_point] or [0]
    other = moving[0] if len(moving) == 1 else moving[-1]
    again = menu_value(outputs, offer.net, laws, other, 1e-7 * scale)
    aside = np.array([item.price + item.aside for item in offer.items])
    difference = abs(float(aside @ again.probabilities) - offer.cost)
    bound = 3 * (again.error + offer.error) / scale
    detail = f"Exact in another type, quadrature over the rest; the two quadratures' own errors {bound:.1e}."
    return Check("expected payment, integrated again", difference / scale, 1e-6 + bound, detail)
