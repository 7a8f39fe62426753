"""How the outcome of direct procurement moves with the data: decisions, prices, payments, books.

The rent is a difference of two optimum values where it is closed, so its rate is the difference of two envelope rates;
elsewhere it is the integral of output, and its rate the integral of output's rate over the same smooth pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mechdsl.accounting import stated_values
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.mechanism import Mechanism
from mechdsl.structure import Report
from mechdsl.theory.payments import (
    Affine,
    envelope_rent,
    fixed_part,
    moved,
    outputs,
    provider_law,
    type_of,
)
from mechdsl.theory.private_cost import PrivateCost, providers
from mechdsl.theory.procurement import known_types
from mechdsl.theory.sensitivity import Directions, Rates, moving, rates_at

__all__ = ["OutcomeRates", "direct_rates"]

_NODES = 12  # of a Gauss rule on each smooth piece


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeRates:
    """How an outcome moves along P directions: the words of an `Outcome`, each with a leading axis of P.

    Args:
        objective: (P,) of the programme's objective, in its own sense.
        kinks: where one-sided derivatives differ.
        notes: sentences a reader should see.
    """

    allocation: Mapping[str, Array]
    payments: Mapping[str, Array]
    utilities: Mapping[str, Array]
    shadow_price: Mapping[str, Array]
    objective: Array
    revenue: Array | None
    welfare: Array
    kinks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def direct_rates(mechanism: Mechanism, report: Report, directions: Directions, affine: Affine) -> OutcomeRates:
    """The rates of a direct mechanism's outcome at a report.

    Args:
        mechanism: the structure at work on the market.
        report: kept as it is while data move.
        directions: in which data move.
        affine: slope and intercept of the structure's weight in a type, where it is affine.
    """
    market = mechanism.market
    found = rates_at(mechanism, report, directions)
    solution = mechanism.solve(report)
    values = stated_values(market, report, solution.values)
    rates = _rates(mechanism, found, directions)
    payments = {}
    if known_types(market):
        for layer in (market.layer(c.provider) for c in market.contracts):
            payments[layer.name] = moving(layer.cost - layer.value + layer.outside, layer.letters, values, rates)
    else:
        for part in providers(market):
            payments[part.layer.name] = _payment_rates(mechanism, report, part, directions, values, rates, affine)
    payer = market.contracts[0].payer
    net = {y.name: moving(y.value - y.cost, y.letters, values, rates) for y in market.layers}
    paid = sum(_total(p) for p in payments.values())
    utilities = {n: r + payments.get(n, 0.0) - (paid if n == payer else 0.0) for n, r in net.items()}
    sign = 1.0 if mechanism.program.sense == "minimize" else -1.0  # type: ignore[union-attr]
    prices = {n: np.sign(np.asarray(solution.multipliers[n])) * r for n, r in found.multipliers.items()}
    notes = () if found.unique else ("The solution is not a smooth function of the data here: its rates are missing.",)
    return OutcomeRates(
        found.values, payments, utilities, prices, sign * found.objective,
        _total(net[payer]) - paid, np.asarray(sum(_total(r) for r in net.values())), found.kinks, notes,
    )  # fmt: skip


def _rates(mechanism: Mechanism, found: Rates, directions: Directions) -> dict[Quantity, Array]:
    """The rates of everything in the market's formulas."""
    return {**directions.data, **{c.quantity: found.values[str(c.quantity.name)] for c in mechanism.market.choices}}


def _payment_rates(
    mechanism: Mechanism, report: Report, part: PrivateCost, directions: Directions,
    values: Mapping[Quantity, Array], rates: Mapping[Quantity, Array], affine: Affine,
) -> Array:  # fmt: skip
    """(P, *shape of the layer): of `fixed + c y + rent`."""
    letters, shape = part.layer.letters, part.layer.shape
    total = moving(fixed_part(part), letters, values, rates)
    total = total + np.asarray(report[type_of(part).quantity]) * moving(part.coefficient, letters, values, rates)
    for place in np.ndindex(*shape):
        total[_at(place)] += _rent_rates(mechanism, report, part, place, directions, affine)
    return np.asarray(total)


def _rent_rates(
    mechanism: Mechanism, report: Report, part: PrivateCost, place: tuple[int, ...], directions: Directions,
    affine: Affine,
) -> Array:  # fmt: skip
    private, law = type_of(part), provider_law(part, place)
    c, b = float(np.asarray(report[private.quantity])[place]), float(law.upper)
    still = np.zeros(directions.count)
    if c >= b or law.is_point:
        return still
    line = affine(law)
    top = directions.tops.get(private.quantity)
    rising = still if top is None else top[_at(place)]
    at_top = moved(report, private, place, b)
    closed = envelope_rent(mechanism, report, part, place, affine)[2]
    if line is not None and closed and not rising.any() and not _laws_move(directions, report):
        return (
            rates_at(mechanism, at_top, directions).objective - rates_at(mechanism, report, directions).objective
        ) / line[0]
    along = outputs(mechanism, report, part, place)
    along.rent(c)
    edges = np.unique(np.clip([c, b, *(e for curve in along.curves for e in curve.edges)], c, b))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    total: Array = rising * along(b)
    for left, right in pairwise(edges):
        half = (right - left) / 2
        for node, weight in zip(nodes, weights, strict=True):
            t = left + half * (1 + node)
            total = total + half * weight * _output_rates(mechanism, report, part, place, t, directions)
    return np.asarray(total)


def _laws_move(directions: Directions, report: Report) -> bool:
    return any(np.any(r) for r in directions.parameters(report).values())


def _output_rates(
    mechanism: Mechanism, report: Report, part: PrivateCost, place: tuple[int, ...], t: float,
    directions: Directions,
) -> Array:  # fmt: skip
    """(P,): of `y(t, c_-)`."""
    there = moved(report, type_of(part), place, t)
    found = rates_at(mechanism, there, directions)
    values = stated_values(mechanism.market, there, mechanism.solve(there).values)
    y = moving(part.coefficient, part.layer.letters, values, _rates(mechanism, found, directions))
    rates: Array = y[_at(place)]
    return rates


def _at(place: tuple[int, ...]) -> Any:
    """An entry, in every direction."""
    return (slice(None), *place)


def _total(rates: Array) -> Array:
    return np.asarray(rates.reshape(len(rates), -1).sum(axis=1))
