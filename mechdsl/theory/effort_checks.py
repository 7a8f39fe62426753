"""Certificates of posted prices and tariffs: everyone's choice made again, and the terms tried against others.

Costs, values and signals are taken as stated; no formula of the derivation is asked. Best responses are searched by
scipy; a leader's optimum is held against an upper bound on what any efforts could bring, which needs no gradient to
vanish; a bargain is held against others that were feasible too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mechdsl.accounting import settle, stated_values
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity, derivative, precision_of, quantities
from mechdsl.market import Choice, Layer
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Check, Outcome
from mechdsl.program import Optimum
from mechdsl.signals import residuals
from mechdsl.structure import Report
from mechdsl.theory.efforts import Part, Separable, solved_at
from mechdsl.theory.intermediary import chain_of
from mechdsl.theory.precision import learning

__all__ = ["bargaining_check", "budget_check", "demand_check", "everyone_participates", "leader_check",
           "precision_check", "response_check"]  # fmt: skip

_TOLERANCE = 1e-8
_MONEY = 1e-9
_BARGAINS = 200
_SEED = 20_260_601
_NAMED = 5


def response_check(mechanism: Mechanism, report: Report, outcome: Outcome, layer: str, prices: Array | None) -> Check:
    """No provider does better by another effort at its price; lump sums change nothing here.

    `layer` is the providers'; `prices` are per unit, of the layer's shape, None where nothing is paid by the unit.
    """
    market = mechanism.market
    provider, choice = market.layer(layer), market.choices_of(layer)[0]
    values = stated_values(market, report, outcome.allocation)
    per_unit = np.zeros(provider.shape) if prices is None else np.asarray(prices)

    def utility(e: Array) -> Array:
        return np.asarray(per_unit * e - evaluate(provider.cost, {**values, choice.quantity: e}, provider.letters))

    chosen = np.asarray(outcome.allocation[str(choice.quantity.name)])
    best, where = _maxima(utility, *_bounds(choice, values), chosen)
    gain = best - utility(chosen)
    place = tuple(int(j) for j in np.unravel_index(int(np.argmax(gain)), np.shape(gain)))
    detail = (
        f"{_name(provider, place)} would gain {gain[place]:.3g} by {where[place]:.6g} instead of {chosen[place]:.6g}; "
        "every best response was searched again, by bracketing."
    )
    return Check("best responses", max(0.0, float(gain[place])) / _scale(outcome), _TOLERANCE, detail)


def leader_check(mechanism: Mechanism, report: Report, outcome: Outcome, goal: Separable) -> Iterator[Check]:
    """Whatever the efforts, the objective exceeds the one attained by no more than this share: weak duality.

    For any values b of the factors the precision is at most `sum q (a - w b)^2 + sum b^2/V`; at the best b of the
    solution that bound separates by provider, and each part is maximised by itself, globally. Nothing is claimed where
    there are
    constraints, or where what is gained is not concave and rising in the precision.

    Source: ours; weak duality, and generalised least squares for the bound.
    """
    market = mechanism.market
    asked = sorted(quantities(goal.benefit, "precision"), key=str)
    if market.constraints or not asked or not isinstance(mechanism.program, Optimum) or not mechanism.program.convex:
        return
    values = stated_values(market, report, outcome.allocation)
    worth = float(evaluate(derivative(goal.benefit, asked[0]), values))
    own = {part.choice.quantity for part in goal.parts}
    told = learning(market).told
    separate = all(quantities(t.noise, "decision") <= own for t in told) and not quantities(goal.benefit, "decision")
    if not separate or worth < 0:
        return
    left = residuals(market, values)
    gap = 0.0
    for part in goal.parts:
        choice, letters = part.choice, part.layer.letters
        mine = [j for j, t in enumerate(told) if choice.quantity in quantities(t.noise)]
        if any(told[j].letters != letters for j in mine):
            return

        def bound(e: Array, part: Part = part, mine: Sequence[int] = mine) -> Array:
            at = {**values, part.choice.quantity: e}
            found = -evaluate(part.outlay, at, part.layer.letters)
            for j in mine:
                found = found + worth * evaluate(told[j].noise, at, told[j].letters) * left[j] ** 2
            return found

        chosen = np.asarray(outcome.allocation[str(choice.quantity.name)])
        best, _ = _maxima(bound, *_bounds(choice, values), chosen)
        gap += float(np.sum(best - bound(chosen)))
    attained = float(evaluate(goal.objective, values))
    yield Check(
        "largest possible gain of another allocation",
        max(0.0, gap) / (1e-300 + max(abs(attained), abs(gap))) if gap > 0 else 0.0,
        _TOLERANCE,
        "An upper bound on the objective at any efforts, less the one attained, relative to it.",
    )


def demand_check(mechanism: Mechanism, report: Report, outcome: Outcome, prices: Array) -> Check:
    """At its prices the buyer wants just these efforts: marginal value equals price."""
    market, chain = mechanism.market, chain_of(mechanism.market)
    choice = market.choices_of(chain.provider.name)[0]
    efforts = np.asarray(outcome.allocation[str(choice.quantity.name)])
    values = stated_values(market, report, outcome.allocation)
    net = chain.buyer.value - chain.buyer.cost
    entry = choice.declaration.entry
    asked = sorted(quantities(net, "precision"), key=str)
    worth = float(evaluate(derivative(net, asked[0]), values)) if asked else 0.0
    marginal = np.asarray(evaluate(derivative(net, entry), values, chain.provider.letters), dtype=np.float64)
    if asked:
        for one, residual in zip(learning(market).told, residuals(market, values), strict=True):
            slope = evaluate(derivative(one.noise, entry), values, one.letters)
            marginal = marginal + worth * np.reshape(slope * residual**2, (*marginal.shape, -1)).sum(axis=-1)
    upper = _bounds(choice, values)[1]
    gap = np.where(efforts >= upper, np.maximum(prices - marginal, 0), np.abs(marginal - prices))
    worst = float(np.max(gap / (np.abs(prices) + np.abs(marginal) + 1e-12), initial=0.0))
    return Check(
        "the buyer's demand at the prices", worst, 1e-6, "Marginal value against price, worst provider, relative."
    )


def budget_check(mechanism: Mechanism, report: Report, outcome: Outcome) -> Check:
    """The intermediary passes on what it receives, less its running cost."""
    chain = chain_of(mechanism.market)
    books = settle(mechanism.market, report, outcome.allocation, outcome.accounts)
    left = float(
        np.sum(books.received[chain.middle.name] - books.paid[chain.middle.name] - books.costs[chain.middle.name])
    )
    return Check("budget balance", abs(left) / _scale(outcome), _MONEY, f"{chain.middle.name} is left {left:.3g}.")


def everyone_participates(mechanism: Mechanism, outcome: Outcome) -> Check:
    """No layer is below its outside option; where one is, who, and by how much."""
    short: list[tuple[float, str]] = []
    market, least = mechanism.market, np.inf
    for layer in market.layers:
        outside = evaluate(layer.outside, market.data, layer.letters)
        above = np.asarray(outcome.utilities[layer.name]) - outside
        least = min(least, float(np.min(above)))
        for place in np.argwhere(above < -_MONEY * _scale(outcome)):
            at = tuple(int(j) for j in place)
            below, option = -float(above[at]), float(np.asarray(outside)[at])
            short.append((below, f"{_name(layer, at)} is {below:.6g} below its outside option of {option:.6g}"))
    short.sort(key=lambda pair: -pair[0])
    more = f"; and {len(short) - _NAMED} more" if len(short) > _NAMED else ""
    listed = "; ".join(text for _, text in short[:_NAMED]) + more
    detail = f"{listed}." if short else f"The least that anyone is above its outside option is {least + 0.0:.6g}."
    return Check("participation", max(0.0, -least) / _scale(outcome), _MONEY, detail)


def bargaining_check(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterator[Check]:
    """No other feasible tariff has a greater Nash product: other efforts, other lump sums, the budget balanced.

    Any efforts can be induced by prices and any split of what they come to by lump sums, so tariffs are drawn as
    efforts and shares; those that leave somebody below the outside option are no bargains.
    """
    market, chain = mechanism.market, chain_of(mechanism.market)
    if chain.middle.bargaining is None:
        return
    power = float(evaluate(chain.middle.bargaining, market.data))
    choice = market.choices_of(chain.provider.name)[0]
    name = str(choice.quantity.name)
    chosen = np.asarray(outcome.allocation[name])
    refused = float(evaluate(chain.buyer.outside, market.data))
    outside = float(np.sum(evaluate(chain.provider.outside, market.data, chain.provider.letters)))
    rng = np.random.default_rng(_SEED)
    size = np.repeat([1e-4, 1e-2, 0.1, 1.0], _BARGAINS // 4).reshape((-1,) + (1,) * chosen.ndim)
    efforts = chosen * np.exp(size * rng.standard_normal((_BARGAINS, *chosen.shape)))
    efforts[::4] = chosen  # the efficient efforts, split otherwise
    lower, upper = _bounds(choice, stated_values(market, report, outcome.allocation))
    efforts = np.clip(efforts, lower, upper)
    values = stated_values(market, report, {name: efforts})
    whole = evaluate(chain.buyer.value - chain.buyer.cost - chain.middle.cost, values) - evaluate(
        chain.provider.cost, values, chain.provider.letters
    ).reshape(_BARGAINS, -1).sum(axis=-1)
    surplus = whole - refused - outside
    share = np.clip(power + size.ravel() * rng.standard_normal(_BARGAINS), 0.0, 1.0)
    bargained = _nash(share * surplus, (1 - share) * surplus, power)
    gained = float(np.sum(outcome.utilities[chain.provider.name])) - outside
    attained = float(_nash(np.array(gained), np.array(float(outcome.utilities[chain.buyer.name]) - refused), power))
    best = float(np.max(np.where(surplus >= 0, bargained, 0.0)))
    yield Check(
        "Nash product",
        max(0.0, best - attained) / max(attained, 1e-12),
        _TOLERANCE,
        f"It is {attained:.6g}, the best of {_BARGAINS} other feasible tariffs' {best:.6g}; relative excess.",
    )


def precision_check(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterator[Check]:
    """The formula of the precision against a least-squares solution of the signals as stated."""
    market = mechanism.market
    if "precision" not in outcome.extra:
        return
    known = learning(market)
    stated = float(stated_values(market, report, outcome.allocation)[precision_of(known.state)])
    derived = float(solved_at(mechanism, report, known.precision))
    yield Check("precision of the signals", abs(stated - derived) / (1e-12 + abs(stated)), 1e-8,
                "The derived formula against an orthogonal factorisation of the signals as stated.")  # fmt: skip


def _nash(creators: Array, buyer: Array, power: float) -> Array:
    """`gain^beta * gain^(1 - beta)`, what rounding makes negative taken for 0."""
    product: Array = np.maximum(creators, 0.0) ** power * np.maximum(buyer, 0.0) ** (1 - power)
    return product


def _maxima(function: Callable[[Array], Array], lower: Array, upper: Array, near: Array) -> tuple[Array, Array]:
    """The maximum of every entry of a function of separate entries, and where: bracketed from scratch, then searched.

    `near` is only one of the points that are tried. The ends are tried too; an infinite upper end is approached as
    far as the function still rises.
    """
    from scipy.optimize import elementwise

    size = int(np.prod(np.shape(near)))
    shape = np.shape(near)

    def negative(x: Array, at: Array) -> Array:
        """`-f` of some entries: the others stand still."""
        full, entries = np.array(near, dtype=np.float64).ravel(), at.astype(int)
        full[entries] = x
        with np.errstate(all="ignore"):
            return np.asarray(-np.asarray(function(full.reshape(shape))).ravel()[entries])

    low, high = (np.array(np.broadcast_to(end, shape), dtype=np.float64).ravel() for end in (lower, upper))
    places = np.arange(size, dtype=np.float64)
    span = np.where(np.isfinite(high), high - low, 1.0)
    best_x = np.array(low)
    best = -negative(low, places)

    def consider(x: Array) -> None:
        value = -negative(x, places)
        better = np.isfinite(value) & (value > best)
        best[better], best_x[better] = value[better], x[better]

    consider(np.where(np.isfinite(high), high, low))
    middle = low + 0.5 * span
    bracket = elementwise.bracket_minimum(
        negative, middle, xl0=low + 0.25 * span, xr0=low + 0.75 * span, xmin=low, xmax=high, args=(places,), maxiter=400
    )
    fits = np.asarray(bracket.success)
    if fits.any():
        points = tuple(np.where(fits, x, fallback) for x, fallback in zip(
            bracket.bracket, (low, middle, low + span), strict=True))  # fmt: skip
        found = elementwise.find_minimum(
            negative, points, args=(places,), tolerances={"xatol": 0.0, "xrtol": 1e-12, "fatol": 0.0, "frtol": 0.0}
        )
        consider(np.where(fits & np.isfinite(found.x), found.x, low))
    return best.reshape(shape), best_x.reshape(shape)


def _bounds(choice: Choice, values: dict[Quantity, Array]) -> tuple[Array, Array]:
    letters = choice.declaration.letters
    return evaluate(choice.lower, values, letters), evaluate(choice.upper, values, letters)


def _scale(outcome: Outcome) -> float:
    """The unit of money of an outcome: what changes hands, and what it is worth."""
    return 1.0 + sum(float(np.sum(np.abs(a.amounts))) for a in outcome.accounts) + abs(outcome.welfare or 0.0)


def _name(layer: Layer, place: tuple[int, ...]) -> str:
    labels = [a.index_set.labels[j] for a, j in zip(layer.letters, place, strict=True)]
    return f"{layer.name}[{', '.join(labels)}]" if labels else layer.name
