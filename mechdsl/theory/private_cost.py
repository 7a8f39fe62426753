"""`cost = c * phi(x) + known(x)`: what a provider's private type multiplies, and what everybody knows.

All of the screening theory here rests on costs that are affine in the one private type of their bearer. This is the one
place that takes a stated cost apart; payments, virtual costs and certificates ask it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from mechdsl.errors import InternalError
from mechdsl.formula import IndexSum, Quantity, derivative, entries, letters_of, quantities, substitute
from mechdsl.market import Layer, Market, PrivateType

__all__ = ["PrivateCost", "pointwise_objective", "private_cost", "providers", "total"]


@dataclass(frozen=True, slots=True)
class PrivateCost:
    """A layer's cost, taken apart: `cost = type * coefficient + known`, formulas in the layer's letters.

    Args:
        layer: the bearer.
        type: its private type; None where the layer has none (then `coefficient` is 0).
        coefficient: `phi(x)`, the quantity `y` that the payment rule is about.
        known: the part of the cost that does not depend on the type.
    """

    layer: Layer
    type: PrivateType | None
    coefficient: sp.Expr
    known: sp.Expr


def private_cost(market: Market, layer: Layer) -> PrivateCost | str:
    """The layer's cost taken apart, or the sentence that says why it cannot be.

    Source: the form `c x^rho` of Ai, Simchi-Levi & Xu (2025), section 2.1; any `c phi(x) + known(x)` is screened alike.
    """
    types = market.types_of(layer.name)
    if not types:
        return PrivateCost(layer, None, sp.S.Zero, layer.cost)
    if len(types) > 1:
        return f"layer '{layer.name}' has {len(types)} private types; one-dimensional screening needs one"
    private = types[0]
    if private.declaration.quantity.sets != tuple(a.index_set for a in layer.letters):
        return f"type '{private.name}' is not indexed as its layer '{layer.name}' is: one type for each {layer.name}"
    own = private.quantity[layer.letters] if layer.letters else private.quantity
    foreign = {e for e in entries(layer.cost, "type") if e != own}
    if foreign:
        return f"the cost of '{layer.name}' depends on {next(iter(foreign))}, which is not its own type"
    coefficient = sp.powsimp(derivative(layer.cost, own))
    if private.quantity in quantities(coefficient):
        return f"the cost of '{layer.name}' is not affine in its type '{private.name}'"
    return PrivateCost(layer, private, coefficient, layer.cost.xreplace({own: sp.S.Zero}))


def providers(market: Market) -> tuple[PrivateCost, ...]:
    """The layers with a private type, in the order of the market, their costs taken apart.

    Raises:
        InternalError: a cost that is not affine in its bearer's own type (a structure refuses such a market before).
    """
    found = []
    for layer in market.layers:
        parts = private_cost(market, layer)
        if isinstance(parts, str):
            raise InternalError(parts)
        if parts.type is not None:
            found.append(parts)
    return tuple(found)


def pointwise_objective(
    market: Market,
    weight: Quantity | Mapping[Quantity, Quantity] | None = None,
    layers: Sequence[Layer] | None = None,
) -> sp.Expr:
    """`sum over layers of (weight * phi(x) + known cost - value)`, a scalar formula.

    Raises:
        InternalError: a cost is not affine in its bearer's own type; a structure refuses such a market before
            (`private_cost` says why).
    """
    terms = []
    for layer in market.layers if layers is None else layers:
        parts = private_cost(market, layer)
        if isinstance(parts, str):
            raise InternalError(parts)
        cost = layer.cost
        if parts.type is not None and weight is not None:
            replacement = weight if isinstance(weight, Quantity) else weight[parts.type.quantity]
            letters = parts.type.declaration.letters
            cost = substitute(cost, parts.type.quantity, letters, replacement[letters] if letters else replacement)
        terms += [total(cost, layer), -total(layer.value, layer)]
    return sp.Add(*(term for term in terms if term != 0))


def total(expression: sp.Expr, layer: Layer) -> sp.Expr:
    """A layer's formula summed over the layer's letters: `sum(k: c[k] * x[k]^rho[k])`."""
    return (
        IndexSum(expression, layer.letters) if layer.letters and letters_of(expression) else _times(expression, layer)
    )


def _times(expression: sp.Expr, layer: Layer) -> sp.Expr:
    count = 1
    for letter in layer.letters:
        count *= len(letter.index_set)
    return expression * count


def depends_on(expression: sp.Expr, quantity: Quantity) -> bool:
    """Whether `quantity` occurs in `expression`."""
    return quantity in quantities(expression)
