"""What a provider with a known cost does at a price, and the price that makes it do something: `c'(e) = p`.

The provider chooses alone, so its best response is one first-order condition; read backwards it is the price that
induces an effort, and the leader's outlay is `c'(e) e`. Both are formulas where the marginal cost can be inverted, and
the second always is one, so programmes are posed in efforts.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from mechdsl.derivation import Step
from mechdsl.formula import Entry, IndexSet, IndexSum, Letter, Quantity, derivative, entries, quantities
from mechdsl.market import Choice, Layer, Market
from mechdsl.theory.change_of_variables import inverse_of
from mechdsl.theory.curvature import DATA, DECLARED, curvature, ranges_of
from mechdsl.theory.notation import free_name

__all__ = ["Supply", "best_response_step", "supply", "supply_misfit"]

_PAPER = "Dai, Farboodi, Golrezaei & Shahshahani (2026), equation (3)"


@dataclass(frozen=True, slots=True)
class Supply:
    """A provider's side of a price per unit of its choice.

    Args:
        layer, choice: who provides what.
        entry: `e[i]`.
        cost: `c(e)`; marginal: `c'(e)`, the price that induces `e`; outlay: `c'(e) e`, what the payer spends.
    """

    layer: Layer
    choice: Choice
    entry: sp.Expr
    cost: sp.Expr
    marginal: sp.Expr
    outlay: sp.Expr

    @property
    def letters(self) -> tuple[Letter, ...]:
        return self.layer.letters

    @property
    def total_outlay(self) -> sp.Expr:
        """`sum(i: c'(e[i]) e[i])`."""
        return IndexSum(self.outlay, self.letters) if self.letters else self.outlay


def supply(market: Market, layer: str) -> Supply:
    """The provider's cost, marginal cost and outlay, in its one choice; `supply_misfit` says first whether it has one.

    Source: Dai, Farboodi, Golrezaei & Shahshahani (2026), equations (3) and (5), for quadratic costs.
    """
    provider = market.layer(layer)
    choice = market.choices_of(layer)[0]
    entry = choice.declaration.entry
    marginal = sp.powsimp(derivative(provider.cost, entry))
    outlay = sp.powsimp(sp.expand(marginal * entry), force=False)
    return Supply(provider, choice, entry, provider.cost, marginal, outlay)


def supply_misfit(market: Market, layer: str) -> str | None:
    """Why a layer is no provider that answers a price per unit, in the market's words; None where it is."""
    provider, choices = market.layer(layer), market.choices_of(layer)
    if len(choices) != 1:
        return f"layer '{layer}' must make one choice, it makes {len(choices) or 'none'}"
    choice = choices[0]
    if choice.declaration.entry not in (_entry(choice.quantity, provider.letters),):
        return f"'{choice.quantity.name}' must be indexed as its layer '{layer}' is"
    if market.types:
        return f"type '{market.types[0].name}' is private, and posted prices are for costs that everyone knows"
    if choice.lower != 0:
        return f"'{choice.quantity.name}' must start at 0: at a price of 0 a provider does nothing"
    foreign = {e for e in entries(provider.cost, "decision") if e != choice.declaration.entry}
    if foreign or quantities(provider.cost, "precision"):
        return f"the cost of '{layer}' must depend on its own choice alone"
    if provider.value != 0:
        return f"layer '{layer}' must value nothing but what it is paid"
    if any(q.role != "param" for q in quantities(provider.outside)):
        return f"the outside option of '{layer}' must be known data"
    if curvature(provider.cost, market, "convex").holds is False:
        return f"the cost of '{layer}' is not convex: its best response to a price would jump"
    return None


def best_response_step(market: Market, layer: str) -> Step:
    """`c'(e) = p`: the effort that a price induces, and the price that induces an effort."""
    found = supply(market, layer)
    price = _entry(Quantity(free_name("p", market.declarations), _sets(found.letters), "open"), found.letters)
    bend = curvature(found.cost, market, "convex")
    inverse = None
    for evidence in (DECLARED, DATA):
        inverse = inverse_of(found.marginal, found.entry, price, ranges_of(market, evidence))
        if inverse is not None:
            break
    formulas: list[tuple[str, sp.Basic]] = [
        ("utility", price * found.entry - found.cost),
        ("price that induces an effort", sp.Eq(price, found.marginal, evaluate=False)),
    ]
    if inverse is not None:
        formulas.append(("best response", sp.Eq(found.entry, inverse, evaluate=False)))
    formulas.append(("outlay", found.outlay))
    how = (
        "The condition is solved for the effort by undoing it from outside in."
        if inverse is not None
        else "It has no closed inverse: efforts are found in numbers, and programmes, posed in efforts, need none."
    )
    because = (
        f"A provider of layer {layer} takes the price as given and chooses alone; its cost {bend.verdict} So the "
        f"first-order condition is necessary and sufficient where the effort is positive and below its upper "
        f"bound. {how} "
        "At an effort of 0 every price up to $c'(0)$ does, and costs nothing."
    )
    source = f"{_PAPER}; other convex costs: ours, tests/test_data_market.py"
    rest = tuple(formulas[:1] + formulas[2:])
    return Step("best response", formulas[1][1], because, source, rest, bend.proved, bend.holds is not False)


def _entry(quantity: Quantity, letters: tuple[Letter, ...]) -> sp.Expr:
    return Entry(quantity, *letters) if letters else quantity


def _sets(letters: tuple[Letter, ...]) -> tuple[IndexSet, ...]:
    return tuple(a.index_set for a in letters)
