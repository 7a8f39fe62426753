"""Expected outcomes as forms: which columns to integrate so that no payment integral is needed.

A provider's expected payment is its expected burden and its rent, `E[int_c^b y] = int F(c) y dc`: one column more, with
the length of the type for its measure, instead of an integral at every report. It stays bounded where virtual costs do
not. Regimes with the same programme and the same weights have the same columns.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np
import sympy as sp

from mechdsl.accounting import constraint_slack, stated_values
from mechdsl.evaluate import Array, evaluate
from mechdsl.expected import ZERO, Column, Expected, Integrands, Known, Linear, Mask, Rule, term
from mechdsl.formula import Quantity
from mechdsl.market import Layer, Market, PrivateType
from mechdsl.mechanism import Mechanism
from mechdsl.program import Constraint, Status, optima
from mechdsl.structure import Report
from mechdsl.theory.payments import type_of
from mechdsl.theory.presigned import parties
from mechdsl.theory.private_cost import PrivateCost, pointwise_objective, providers
from mechdsl.theory.procurement import known_types
from mechdsl.theory.sampling import batch_of, sampled_one_by_one
from mechdsl.theory.union import union_of
from mechdsl.theory.union_menu import best_offer

__all__ = [
    "allocation_rule",
    "direct_expected",
    "market_key",
    "menu_expected",
    "presigned_expected",
    "sampled_expected",
    "union_expected",
]

_BINDS = 1e-8  # of a row's terms: a smaller slack is none
_SKIPPED = 1e-13  # relative error of a solve, beneath notice


def market_key(market: Market) -> Hashable:
    """What fixes the pointwise programme and who bears what, whoever contracts with whom: formulas, data, laws."""
    weights = {t.quantity: Quantity("weight", t.quantity.sets, "open", t.quantity.domain) for t in market.types}
    objective = pointwise_objective(market, weights)
    rows = tuple((c.letters, c.left, c.relation, c.right, c.where) for c in market.constraints)
    bounds = tuple((c.quantity, c.lower, c.upper) for c in market.choices)
    bearers = tuple((y.name, y.letters, y.cost, y.value) for y in market.layers if y.cost != 0 or y.value != 0)
    data = tuple((q, np.asarray(table, dtype=np.float64).tobytes()) for q, table in market.data.items())
    laws = tuple((t.quantity, t.distributions) for t in market.types)
    return objective, rows, bounds, bearers, data, laws


def allocation_rule(mechanism: Mechanism) -> Rule:
    """Everything that follows from the allocation alone, at many reports: burdens, rents, slack, decisions.

    Columns: `("burden", layer, j)` costs less values; `("rent", j)`: `F(c) y` of the j-th provider, against the length
    of its type; `("slack", constraint, j)`; `("x", decision, j)`.
    """
    market = mechanism.market
    weights = tuple(sorted(str(q.name) for stage in optima(mechanism.program) for q in stage.parameters))
    layers = [y for y in market.layers if y.cost != 0 or y.value != 0]
    parts = {type_of(p).quantity: p for p in providers(market)}
    screened = [(private, parts[private.quantity]) for private in market.types]
    names: list[tuple[str | int, ...]] = []
    for layer in layers:
        names += [("burden", layer.name, j) for j in range(_size(layer))]
    names += [("rent", j) for j in range(_entries(market))]
    measures = [name[1] if name[0] == "rent" and isinstance(name[1], int) else None for name in names]
    stated = {c.name: _stated(c, market) for c in market.constraints}
    for name, kept in stated.items():
        names += [("slack", name, int(j)) for j in np.flatnonzero(kept)]
    sizes = {str(c.quantity.name): int(np.prod(c.quantity.shape, dtype=int)) for c in market.choices}
    names += [("x", name, j) for name, size in sizes.items() for j in range(size)]
    measures += [None] * (len(names) - len(measures))

    def at(reports: Report) -> Integrands:
        x, error, hard = _allocations(mechanism, reports)
        values = stated_values(market, reports, x)
        rows = len(next(iter(x.values())))
        slack = {n: _rows(t, rows, len(stated[n]))[:, stated[n]] for n, t in constraint_slack(market, values).items()}
        decided = [_rows(t, rows, sizes[n]) for n, t in x.items()]
        tables = [_rows(evaluate(y.cost - y.value, values, y.letters), rows, _size(y)) for y in layers]
        tables += [_rents(screened, reports, values, rows), *slack.values(), *decided]
        binding = [slack[c.name] <= _BINDS * _terms(c, values, rows)[:, stated[c.name]] for c in market.constraints]
        pattern = np.concatenate([*(t == 0 for t in decided), *binding], axis=1)
        return Integrands(np.concatenate(tables, axis=1), pattern, error, hard)

    return Rule((market_key(market), weights), tuple(names), tuple(measures), at)


def _stated(constraint: Constraint, market: Market) -> Array:
    """(rows,) which rows the constraint's condition includes."""
    where = np.broadcast_to(evaluate(constraint.where, market.data, constraint.letters), constraint.shape)
    return np.asarray(where, dtype=bool).reshape(-1)


def _terms(constraint: Constraint, values: Mapping[Quantity, Array], rows: int) -> Array:
    """1 and the magnitudes of both sides, (N, rows of the constraint): what a slack is compared with."""
    size = int(np.prod(constraint.shape, dtype=int))
    sides = (np.abs(evaluate(side, values, constraint.letters)) for side in (constraint.left, constraint.right))
    return 1 + sum((_rows(side, rows, size) for side in sides), np.zeros((rows, size)))


def _allocations(mechanism: Mechanism, reports: Report) -> tuple[dict[str, Array], float, int]:
    """Decision name -> (N, *shape), NaN where unsolved; the largest relative error of the programme's value; how many
    were solved one at a time.
    """
    parameters = mechanism.structure.parameters(mechanism.market, reports)
    solved = batch_of(mechanism).solve(parameters)
    names = [str(c.quantity.name) for c in mechanism.market.choices]
    found = {name: _blank(solved.values[name], solved.certified) for name in names}
    gaps = solved.gap[solved.certified & np.isfinite(solved.gap)]
    return found, float(np.max(gaps, initial=0.0)), solved.fallbacks


def _blank(table: Array, certified: Mask) -> Array:
    return np.where(certified.reshape(-1, *[1] * (table.ndim - 1)), table, np.nan)


def _rents(
    screened: Sequence[tuple[PrivateType, PrivateCost]], reports: Report, values: Mapping[Quantity, Array], rows: int
) -> Array:
    """`F(c) y` of every provider with a type, (N, D) in the order of the types' entries."""
    tables = []
    for private, part in screened:
        size = len(private.distributions)
        y = _rows(evaluate(part.coefficient, values, part.layer.letters), rows, size)
        c = _rows(np.asarray(reports[private.quantity]), rows, size)
        level = np.stack([np.asarray(d.cdf(c[:, j])) for j, d in enumerate(private.distributions)], axis=1)
        known = np.array([d.is_point for d in private.distributions])
        tables.append(np.where(known, 0.0, level * y))
    return np.concatenate(tables, axis=1) if tables else np.zeros((rows, 0))


def _rows(table: Array, rows: int, size: int) -> Array:
    """(N, size), where the table has N of them or one for all."""
    return np.broadcast_to(np.asarray(table).reshape(-1, size), (rows, size))


def _size(layer: Layer) -> int:
    return int(np.prod(layer.shape, dtype=int))


def _entries(market: Market) -> int:
    return sum(len(t.distributions) for t in market.types)


def _constants(expression: sp.Expr, layer: Layer, market: Market) -> Array:
    """A formula of known data, by entry of the layer."""
    return np.broadcast_to(np.asarray(evaluate(expression, market.data, layer.letters)).reshape(-1), (_size(layer),))


def _burdens(rule: Rule, market: Market) -> dict[str, tuple[Linear, ...]]:
    """Expected costs less values of every layer, by entry."""
    stated = {name[1] for name in rule.names if name[0] == "burden"}
    return {
        y.name: tuple(term(Column(rule, ("burden", y.name, j))) if y.name in stated else ZERO for j in range(_size(y)))
        for y in market.layers
    }


def _physical(rule: Rule, market: Market) -> dict[str, Mapping[str, tuple[Linear, ...]]]:
    """Slack and allocation by entry."""

    def of(kind: str, name: str) -> tuple[Linear, ...]:
        return tuple(term(Column(rule, n)) for n in rule.names if n[:2] == (kind, name))

    return {
        "slack": {c.name: of("slack", c.name) for c in market.constraints if c.relation != "=="},
        "allocation": {str(c.quantity.name): of("x", str(c.quantity.name)) for c in market.choices},
    }


def _total(forms: Mapping[str, tuple[Linear, ...]]) -> Linear:
    return sum((form for row in forms.values() for form in row), ZERO)


def direct_expected(mechanism: Mechanism) -> Expected:
    """`E[p_k] = E[cost_k - value_k] + outside_k + int F_k y_k dc_k`: expected payments without a payment integral.

    Source: Myerson (1981), exchanging the order of integration; Ai, Simchi-Levi & Xu (2025), C.3.1. Randomised
    payments are unbiased, so they have the same expectation; a known type is paid its cost and leaves no rent.
    """
    market, rule = mechanism.market, allocation_rule(mechanism)
    contract = market.contracts[0]
    burdens = _burdens(rule, market)
    payments, utilities = {}, {n: tuple(-f for f in row) for n, row in burdens.items()}
    first = {private.quantity: position for private, position in _positions(market)}
    for part in providers(market):
        layer = part.layer
        outside = _constants(layer.outside, layer, market)
        rents = [ZERO] * _size(layer)
        if not known_types(market):
            start = first[type_of(part).quantity]
            rents = [term(Column(rule, ("rent", start + j))) for j in range(_size(layer))]
        utilities[layer.name] = tuple(Linear(float(o)) + r for o, r in zip(outside, rents, strict=True))
        payments[layer.name] = tuple(b + u for b, u in zip(burdens[layer.name], utilities[layer.name], strict=True))
    provider = market.layer(contract.provider)
    if provider.name not in payments:  # no private type: paid its cost
        outside = _constants(provider.outside, provider, market)
        utilities[provider.name] = tuple(Linear(float(o)) for o in outside)
        payments[provider.name] = tuple(
            b + u for b, u in zip(burdens[provider.name], utilities[provider.name], strict=True)
        )
    paid = _total(payments)
    payer = utilities[contract.payer]
    utilities[contract.payer] = (payer[0] - paid, *payer[1:])
    return Expected(
        revenue=_total({contract.payer: utilities[contract.payer]}),
        welfare=-_total(burdens),
        payments=payments,
        utilities=utilities,
        identity="E[payment] = E[cost] + int F y dc: expected payments need no payment integral",
        **_physical(rule, market),  # type: ignore[arg-type]
    )


def _positions(market: Market) -> Iterator[tuple[PrivateType, int]]:
    start = 0
    for private in market.types:
        yield private, start
        start += len(private.distributions)


def least_cost(mechanism: Mechanism, weights: Mapping[Quantity, Array]) -> Known:
    """`Psi(w)`: the least value of the pointwise programme at given weights; the same number in every regime."""
    solution = mechanism.solve(weights)
    key = (
        "least",
        market_key(mechanism.market),
        tuple(np.asarray(w, dtype=np.float64).tobytes() for w in weights.values()),
    )
    value = solution.objective if solution.status is Status.OPTIMAL else np.nan
    return Known(key, value, abs(value) * solution.residuals.get("gap", _SKIPPED))


def highest_types(market: Market) -> dict[Quantity, Array]:
    """`b`: every type at the upper end of its support."""
    return {t.quantity: t.table(lambda d: float(d.upper)) for t in market.types}


def union_expected(mechanism: Mechanism) -> Expected:
    """A welfare-maximising platform pays a union `Psi(b)` net of its own costs and values: its revenue is `-Psi(b)`.

    Source: Ai, Simchi-Levi & Xu (2025), Theorem 2.3 and its proof (C.6.2); with known costs and values: ours.
    """
    market, rule = mechanism.market, allocation_rule(mechanism)
    contract = market.contracts[0]
    burdens = _burdens(rule, market)
    union = market.layer(contract.provider)
    members = market.layer(union.represents or "")
    inside = sum(float(_constants(y.outside, y, market).sum()) for y in (union, members))
    own = _total({contract.payer: burdens[contract.payer]})
    welfare = -_total(burdens)
    if known_types(market):
        revenue = welfare - Linear(inside)
    else:
        revenue = -term(least_cost(mechanism, highest_types(market))) - Linear(inside)
    kept = {y.name: tuple(Linear(float(o)) for o in _constants(y.outside, y, market)) for y in (members,)}
    utilities = {n: tuple(-f for f in row) for n, row in burdens.items()} | kept
    utilities[contract.payer] = (revenue, *utilities[contract.payer][1:])
    utilities[union.name] = (welfare - _total({n: u for n, u in utilities.items() if n != union.name}),)
    return Expected(
        revenue=revenue,
        welfare=welfare,
        payments={union.name: (-revenue - own,)},
        utilities=utilities,
        identity="the platform pays the least cost at the highest types, whatever is reported",
        **_physical(rule, market),  # type: ignore[arg-type]
    )


def menu_expected(mechanism: Mechanism) -> Expected:
    """The best menu for a union: its exact expected cost is what is attained, its bound what nothing exceeds.

    Source: ours (docs/union.md), for the problem of Ai, Simchi-Levi & Xu (2025), section 2.4.1.
    """
    market = mechanism.market
    union = union_of(market)
    try:
        offer = best_offer(mechanism)
    except ValueError as error:
        return Expected(None, None, notes=(f"An item of the menu could not be found {error}",))
    shares = np.array([item.probability for item in offer.items])
    outside = union.outside(market)
    known = float(shares @ (np.array([item.price for item in offer.items]) - offer.net)) - outside
    aside = offer.cost - offer.payment
    key = ("menu", market_key(market))

    def figure(name: str, value: float, *entry: object) -> Linear:
        return term(Known((key, name, *entry), value, offer.error))

    def averaged(tables: Sequence[Array]) -> list[float]:
        return [float(v) for v in shares @ np.array([np.ravel(t) for t in tables])]

    decided = [{c.quantity: item.solution.values[str(c.quantity.name)] for c in market.choices} for item in offer.items]
    slack = [constraint_slack(market, {**market.data, **values}) for values in decided]
    rows = {c.name: _stated(c, market) for c in market.constraints if c.relation != "=="}
    revenue = figure("revenue", -offer.cost)
    utilities = {y.name: tuple(Linear(float(o)) for o in _constants(y.outside, y, market)) for y in market.layers}
    members = float(_constants(union.members.layer.outside, union.members.layer, market).sum())
    utilities[union.layer.name] = (figure("utility", offer.payment - offer.borne - known - members),)
    utilities[market.contracts[0].payer] = (revenue,)
    words = (
        offer.bound.words
        if offer.proved
        else f"Revenue is that of the menu found, and may be more. {offer.bound.words}"
    )
    return Expected(
        revenue=revenue,
        welfare=figure("welfare", -(offer.borne + known + aside)),
        payments={union.layer.name: (figure("payment", offer.payment),)},
        utilities=utilities,
        slack={
            n: tuple(figure("slack", v, n, j) for j, v in enumerate(averaged([np.ravel(s[n])[kept] for s in slack])))
            for n, kept in rows.items()
        },
        allocation={
            str(c.quantity.name): tuple(
                figure("x", v, str(c.quantity.name), j)
                for j, v in enumerate(averaged([values[c.quantity] for values in decided]))
            )
            for c in market.choices
        },
        bounds={"revenue": (revenue, figure("revenue bound", -offer.bound.value))},
        identity="the menu's expected payment over continuous types, exactly",
        notes=(words,),
    )


def presigned_expected(mechanism: Mechanism) -> Expected:
    """All but providers' costs is fixed when the contract is signed, and those are linear in the types: no integral.

    Source: Ai, Simchi-Levi & Xu (2025), section 3; `-Psi(b)` is also what a welfare-maximising platform pays a union.
    """
    market, who = mechanism.market, parties(mechanism.market)
    mean = {t.quantity: t.table(lambda d: float(d.mean)) for t in market.types}
    outcome = mechanism.structure.recover(mechanism, mean)
    solution = mechanism.solve(mean)
    goal = market.objectives[0].goal
    share = float(evaluate(who.tax, market.data))
    key = ("presigned", market_key(market), goal, share, who.informed)
    error = _SKIPPED + solution.residuals.get("gap", 0.0)

    def known(name: str, value: float, *entry: object) -> Linear:
        return term(Known((key, name, *entry), value, abs(value) * error))

    def by_entry(name: str, tables: Mapping[str, Array]) -> dict[str, tuple[Linear, ...]]:
        return {
            layer: tuple(known(name, float(v), layer, j) for j, v in enumerate(np.ravel(table)))
            for layer, table in tables.items()
        }

    if outcome.status is not Status.OPTIMAL:
        return Expected(None, None, notes=(outcome.message,))
    assert outcome.revenue is not None
    assert outcome.welfare is not None
    outside = sum(float(_constants(y.outside, y, market).sum()) for y in who.downstream)
    if goal == "revenue" and share == 0 and not who.informed:
        # The first stage is the pointwise programme at the highest types.
        top = (
            "least",
            market_key(market),
            tuple(np.asarray(w, dtype=np.float64).tobytes() for w in highest_types(market).values()),
        )
        least = -outcome.revenue - outside
        revenue = -term(Known(top, least, abs(least) * error)) - Linear(outside)
    else:
        revenue = known("revenue", outcome.revenue)
    utilities = by_entry("utility", outcome.utilities)
    utilities[who.platform.name] = (revenue, *utilities[who.platform.name][1:])
    return Expected(
        revenue=revenue,
        welfare=known("welfare", outcome.welfare),
        payments=by_entry("payment", outcome.payments),
        utilities=utilities,
        slack=by_entry("slack", {c.name: outcome.slack[c.name] for c in market.constraints if c.relation != "=="}),
        allocation=by_entry("x", outcome.allocation),
        identity="the contract is signed before types are known, and costs are linear in them",
    )


def sampled_expected(mechanism: Mechanism) -> Expected:
    """Whatever a structure's outcomes are, report by report: each figure a column of its own."""
    market = mechanism.market
    if not market.types:
        return _certain(mechanism)
    structure = mechanism.structure
    sample = structure.sample or sampled_one_by_one
    first = sample(mechanism, {t.quantity: t.table(lambda d: float(d.mean))[None] for t in market.types})
    names: list[tuple[str | int, ...]] = [
        (n,) for n in ("revenue", "welfare", "profit") if getattr(first, n) is not None
    ]
    for kind in ("payments", "utilities", "allocation"):
        names += [
            (kind, n, j) for n, t in getattr(first, kind).items() for j in range(int(np.prod(t.shape[1:], dtype=int)))
        ]

    def at(reports: Report) -> Integrands:
        found = sample(mechanism, reports)
        rows = len(next(iter(reports.values())))
        columns: list[Array] = []
        for kind, *entry in names:
            table = getattr(found, str(kind))
            columns.append(np.asarray(table if not entry else table[entry[0]].reshape(rows, -1)[:, int(entry[1])]))
        return Integrands(np.stack(columns, axis=1), np.zeros((rows, 0), dtype=bool))

    rule = Rule(("sampled", structure.name, market.regime), tuple(names), (None,) * len(names), at)

    def figure(name: str) -> Linear | None:
        return term(Column(rule, (name,))) if (name,) in names else None

    def tables(kind: str) -> dict[str, tuple[Linear, ...]]:
        kept = dict.fromkeys(str(n[1]) for n in names if n[0] == kind)
        return {layer: tuple(term(Column(rule, n)) for n in names if n[:2] == (kind, layer)) for layer in kept}

    return Expected(
        figure("revenue"), figure("welfare"), figure("profit"), tables("payments"), tables("utilities"),
        allocation=tables("allocation"), identity="outcomes report by report",
    )  # fmt: skip


def _certain(mechanism: Mechanism) -> Expected:
    """Where nothing is private there is one outcome, and nothing to expect."""
    outcome = mechanism.structure.recover(mechanism, {})
    if outcome.status is not Status.OPTIMAL:
        return Expected(None, None, notes=(outcome.message,))

    def number(value: float | None) -> Linear | None:
        return None if value is None else Linear(value)

    def tables(found: Mapping[str, Array]) -> dict[str, tuple[Linear, ...]]:
        return {n: tuple(Linear(float(v)) for v in np.ravel(t)) for n, t in found.items()}

    slack = {n: t for n, t in outcome.slack.items() if not np.isnan(np.asarray(t)).any()}
    return Expected(
        number(outcome.revenue), number(outcome.welfare), number(outcome.profit), tables(outcome.payments),
        tables(outcome.utilities), tables(slack), tables(outcome.allocation), identity="nothing is private",
    )  # fmt: skip
