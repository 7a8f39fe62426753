"""A presigned contract's way home: what was promised and is delivered, who pays whom, and what the certificate asks.

Delivery is taken from the second stage as solved, the promise from the first; that the two agree is checked, not
assumed. A share of `t` that goes to the government is a party in the books like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from mechdsl.accounting import constraint_slack, settle, stated_values
from mechdsl.draws import uniform_draw
from mechdsl.errors import InternalError
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.market import Market, PrivateType
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Account, Check, Outcome, Sample
from mechdsl.program import Solution, Stages, Status, Variable, given
from mechdsl.structure import Report
from mechdsl.theory.presigned import Parties, contract_price, parties, provider_payment, stage_data
from mechdsl.theory.screening_checks import money_scale, participation_check, screening_checks

__all__ = ["presigned_checks", "presigned_outcome", "presigned_sample"]

GOVERNMENT = "government"
DELIVERY_TOLERANCE = 1e-8
PROFIT_TOLERANCE = 1e-8
_DRAWN = 5  # reports at which delivery is checked, beside the stated one and both ends
_TRIED = 400  # deliveries above the promise tried at random


def presigned_outcome(mechanism: Mechanism, report: Report) -> Outcome:
    """Promise, delivery, payments and books at a report.

    Args:
        mechanism: the structure at work on the market.
        report: the types, taken as true.
    """
    market, name = mechanism.market, mechanism.structure.name
    stated = {str(q.name): np.asarray(table) for q, table in report.items()}
    solution = mechanism.solve(report)
    if solution.status is not Status.OPTIMAL:
        return Outcome(name, solution.status, solution.message, report=stated)
    who = parties(market)
    allocation = {str(c.quantity.name): solution.values[str(c.quantity.name)] for c in market.choices}
    accounts = _accounts(market, who, report, solution, allocation)
    books = settle(market, report, allocation, accounts)
    slack = constraint_slack(market, stated_values(market, report, allocation))
    return Outcome(
        name, solution.status, solution.message,
        report=stated,
        report_is_mean=market.report is None and bool(market.types),
        allocation=allocation,
        payments={n: t for n, t in books.received.items() if any(a.receiver == n for a in accounts)},
        utilities=books.utilities,
        costs=books.costs,
        values=books.values,
        revenue=books.profit(who.platform.name),
        welfare=books.welfare,
        slack=slack,
        shadow_price={n: np.where(np.isnan(s), np.nan, np.abs(solution.multipliers[n])) for n, s in slack.items()},
        accounts=accounts,
        extra={"contract": {"z": _promise(who, solution), "t": _price(market, who, solution)}},
        notes=_notes(mechanism, who),
    )  # fmt: skip


def _promise(who: Parties, solution: Solution) -> Array | dict[str, Array]:
    """z by label; where the provider has several choices, by their names."""
    tables = {
        str(c.quantity.name): solution.values[str(z.name)] for c, z in zip(who.choices, who.promised, strict=True)
    }
    return next(iter(tables.values())) if len(tables) == 1 else tables


def _price(market: Market, who: Parties, solution: Solution) -> float:
    """t at what was promised."""
    promised = {z: solution.values[str(z.name)] for z in who.promised}
    other = {c.quantity: solution.values[str(c.quantity.name)] for c in market.choices}
    return float(evaluate(who.in_promise(contract_price(market)), {**stage_data(market), **other, **promised}))


def _accounts(
    market: Market, who: Parties, report: Report, solution: Solution, allocation: Mapping[str, Array]
) -> tuple[Account, ...]:
    price, share = _price(market, who, solution), float(evaluate(who.tax, market.data))
    paid = evaluate(provider_payment(market), _values(market, report, allocation), who.provider.letters)
    signed = Account(who.platform.name, who.broker.name, np.asarray(price), "presigned contract")
    taxed = Account(who.broker.name, GOVERNMENT, np.asarray(share * price), "tax")
    bought = Account(who.broker.name, who.provider.name, np.asarray(paid))
    return (signed, *((taxed,) if share else ()), bought)


def _values(market: Market, report: Report, allocation: Mapping[str, Array]) -> dict[Quantity, Array]:
    return {**stage_data(market), **stated_values(market, report, allocation)}


def _notes(mechanism: Mechanism, who: Parties) -> tuple[str, ...]:
    rule = (
        "its cost, which the broker knows"
        if who.informed
        else "its highest cost, for its output does not move with its report"
    )
    notes = [
        f"Promised before types are known and delivered at every report; every {who.provider.name} is paid {rule}."
    ]
    if not mechanism.program.convex:
        notes.append("The programme was not shown to be convex: this may be a local optimum.")
    return tuple(notes)


def presigned_sample(mechanism: Mechanism, reports: Report) -> Sample:
    """The outcomes at N reports: one promise for all of them, and payments and costs evaluated at once.

    Delivery is that of the second stage at the first report: it moves with no report, as every certificate checks.
    """
    market, who = mechanism.market, parties(mechanism.market)
    count = max((len(table) for table in reports.values()), default=1)
    solution = mechanism.solve({q: np.asarray(table)[0] for q, table in reports.items()})
    solved = solution.status is Status.OPTIMAL
    shapes = {str(c.quantity.name): c.quantity.shape for c in market.choices}
    here = {n: np.asarray(solution.values[n]) if solved else np.full(shape, np.nan) for n, shape in shapes.items()}
    values = _values(market, reports, here)
    price = _price(market, who, solution) if solved else np.nan
    share = float(evaluate(who.tax, market.data))
    paid = _rows(evaluate(provider_payment(market), values, who.provider.letters), count, who.provider.shape)
    payments = {who.broker.name: np.full(count, price), who.provider.name: paid}
    payments |= {GOVERNMENT: np.full(count, share * price)} if share else {}
    given_up = {who.platform.name: price, who.broker.name: paid.reshape(count, -1).sum(axis=1) + share * price}
    worth = {y.name: _rows(evaluate(y.value - y.cost, values, y.letters), count, y.shape) for y in market.layers}
    utilities = {n: table + payments.get(n, 0.0) - given_up.get(n, 0.0) for n, table in worth.items()}
    utilities |= {GOVERNMENT: payments[GOVERNMENT]} if share else {}
    return Sample(
        structure=mechanism.structure.name,
        allocation={n: np.broadcast_to(table, (count, *table.shape)) for n, table in here.items()},
        payments=payments,
        utilities=utilities,
        revenue=utilities[who.platform.name].reshape(count, -1).sum(axis=1),
        welfare=sum((t.reshape(count, -1).sum(axis=1) for t in worth.values()), np.zeros(count)),
        profit=None,
        gap=np.full(count, solution.residuals.get("gap", np.nan)),
        certified=np.full(count, solved),
    )


def _rows(table: Array, count: int, shape: tuple[int, ...]) -> Array:
    """The table once for every report, where it depends on none."""
    return np.broadcast_to(table, (count, *shape))


# --------------------------------------------------------------------------------------------------------- certificate


def presigned_checks(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterable[Check]:
    """Credibility, the second stage searched, the broker's participation and zero profit, the providers' IC and IR."""
    who = parties(mechanism.market)
    yield _delivery(mechanism, report, who)
    yield _second_stage_searched(mechanism, report)
    yield from _brokers_profit(mechanism, outcome, who)
    if who.informed:
        yield participation_check(mechanism, outcome)
    else:
        yield from screening_checks(mechanism, report, outcome, lambda law: None)


def _delivery(mechanism: Mechanism, report: Report, who: Parties) -> Check:
    """`max(z - x(c))` over reports, each answered by the second stage solved at it: what was signed is delivered."""
    worst = -np.inf
    reports = [report, *_other_reports(mechanism.market)]
    for asked in reports:
        solution = mechanism.solved(asked)
        for choice, z in zip(who.choices, who.promised, strict=True):
            promised, delivered = (np.asarray(solution.values[str(q.name)]) for q in (z, choice.quantity))
            worst = max(worst, float(np.max((promised - delivered) / (1 + np.abs(promised)))))
    return Check(
        "credibility",
        max(0.0, worst),
        DELIVERY_TOLERANCE,
        f"Largest shortfall of delivery below the promise, the second stage solved at {len(reports)} reports.",
    )


def _other_reports(market: Market) -> Iterator[Report]:
    """Both ends of the supports, and some draws."""
    if not market.types:
        return
    yield {t.quantity: t.table(lambda d: float(d.lower)) for t in market.types}
    yield {t.quantity: t.table(lambda d: float(d.upper)) for t in market.types}
    for n in range(_DRAWN):
        yield {t.quantity: _drawn(t, str(n)) for t in market.types}


def _drawn(private: PrivateType, key: str) -> Array:
    """Types drawn from their distributions, the same every time."""
    places = range(len(private.distributions))
    levels = [uniform_draw(0, f"delivery.{private.name}", [key, str(j)]) for j in places]
    drawn = [float(d.quantile(u)) for d, u in zip(private.distributions, levels, strict=True)]
    return np.array(drawn).reshape(private.quantity.shape)


def _second_stage_searched(mechanism: Mechanism, report: Report) -> Check:
    """No delivery at or above the promise costs the broker less: random search, apart from any solver."""
    if not isinstance(mechanism.program, Stages):
        raise InternalError("a presigned contract is a programme in stages")
    stage = mechanism.program.stages[-1]
    solution = mechanism.solve(report)
    known = given(stage, mechanism.structure.parameters(mechanism.market, report), solution.values)
    values = {**stage.data, **known}
    generator = np.random.default_rng(0)
    scale = 10.0 ** generator.uniform(-6, 1, _TRIED)
    tried = {
        v.quantity: _above(v, np.asarray(solution.values[v.name]), values, scale, generator) for v in stage.variables
    }
    best = float(np.nanmin(evaluate(stage.objective, {**values, **tried})))
    found = {v.quantity: np.asarray(solution.values[v.name]) for v in stage.variables}
    cost = float(evaluate(stage.objective, {**values, **found}))
    return Check(
        "broker delivers no more than it gains from",
        max(0.0, cost - best) / (1 + abs(cost)),
        DELIVERY_TOLERANCE,
        f"{_TRIED} deliveries above the promise, drawn at random: the best costs the broker {best - cost:.3g} more.",
    )


def _above(
    variable: Variable, least: Array, values: Mapping[Quantity, Array], scale: Array, generator: np.random.Generator
) -> Array:
    """`(N, *shape)`: the delivery, raised at random within its bounds."""
    lift = generator.exponential(size=(len(scale), *least.shape)) ** 3  # some entries much more than others
    raised = least + lift * scale.reshape(-1, *[1] * least.ndim) * (1 + np.abs(least))
    delivered: Array = np.minimum(raised, evaluate(variable.upper, values, variable.letters))
    return delivered


def _brokers_profit(mechanism: Mechanism, outcome: Outcome, who: Parties) -> Iterator[Check]:
    """`E[(1 - tax) t - payments - cost] - outside`: not below 0, and not above.

    Payments move with the types linearly or not at all, delivery not at all: the mean type has the mean profit.
    """
    market = mechanism.market
    mean = {t.quantity: t.table(lambda d: float(d.mean)) for t in market.types}
    utility = float(np.sum(presigned_outcome(mechanism, mean).utilities[who.broker.name]))
    profit = utility - float(np.sum(evaluate(who.broker.outside, market.data, who.broker.letters)))
    scale = money_scale(outcome)
    detail = f"Expected profit above the outside option {profit:.3g}."
    yield Check("broker's participation", max(0.0, -profit) / scale, PROFIT_TOLERANCE, detail)
    yield Check("broker's zero profit", abs(profit) / scale, PROFIT_TOLERANCE, detail)
