"""Outcomes as tables, before anyone decides how they look: who produces what, who pays whom, what binds, what holds.

What shares an index set shares a table. The terminal, the page, the document and the notebook all show these sheets;
a number is spelt here, once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from mechdsl.accounting import stated_values
from mechdsl.evaluate import Array, evaluate
from mechdsl.expectation import Estimate
from mechdsl.formula import IndexSet, Quantity
from mechdsl.market import Layer, Market
from mechdsl.outcome import Certificate, Check, Outcome
from mechdsl.program import Constraint
from mechdsl.theory.virtual_cost import HIGHEST, virtual_cost_of

if TYPE_CHECKING:
    from mechdsl.pipeline import Run

__all__ = [
    "FIRST", "LAST", "ROWS", "Column", "Sheet", "accounts_sheet", "aligned", "bottom_line", "certified_words",
    "constraint_sheet", "data_sheets", "failing_words", "menu_lines", "menu_sheet", "outcome_sheets", "payers",
    "side_by_side", "structure_words", "verdict_words",
]  # fmt: skip

ROWS = 24  # a table longer than this shows its first and last rows
FIRST, LAST = 12, 5
_WIDE = 4  # goods up to which a menu shows what each item holds of them
_BINDS = 1e-6  # of the terms of a constraint: a smaller slack is shown as "binds"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table by label: its cells, and what stands under it in the last line."""

    title: str
    cells: tuple[str, ...]
    total: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The columns that share a combination of index sets."""

    sets: tuple[IndexSet, ...]
    title: str
    columns: tuple[Column, ...]

    @property
    def labels(self) -> list[str]:
        return [", ".join(labels) for labels in product(*(s.labels for s in self.sets))]


# ------------------------------------------------------------------------------------------------------------- numbers


def aligned(values: Iterable[float]) -> tuple[str, ...]:
    """The numbers with six significant digits, padded on the right so that flush right their decimal points agree.

    NaN, which stands for an entry there is none of, is left blank.
    """
    texts = ["" if np.isnan(v) else _money(v) for v in values]
    tails = [len(text) - len(_before_point(text)) for text in texts]
    longest = max(tails, default=0)
    return tuple(text + " " * (longest - tail) if text else "" for text, tail in zip(texts, tails, strict=True))


def _before_point(text: str) -> str:
    return text.partition("e")[0].partition(".")[0]


def _money(value: float) -> str:
    return f"{value + 0.0:.6g}" if np.isfinite(value) else f"{value:.6g}".replace("inf", "∞")


def _column(title: str, table: Any, *, summed: bool = False) -> Column:
    flat = np.asarray(table, dtype=np.float64).reshape(-1)
    if not summed or flat.size < 2:
        return Column(title, aligned(flat))
    *cells, total = aligned([*flat, float(np.nansum(flat))])
    return Column(title, tuple(cells), total)


# ------------------------------------------------------------------------------------------------------ tables by label


def data_sheets(market: Market, among: Sequence[str] | None = None) -> list[Sheet]:
    """The params' values, by the index sets they share, in the order of the file.

    Args:
        market: whose params.
        among: names of those to show; None for all.
    """
    columns: dict[tuple[IndexSet, ...], list[Column]] = {}
    for name, declared in market.declarations.items():
        quantity = declared.quantity
        if quantity.role == "param" and quantity in market.data and (among is None or name in among):
            columns.setdefault(quantity.sets, []).append(_data_column(name, market.data[quantity], declared.values_in))
    return [Sheet(sets, "" if sets else "value", tuple(found)) for sets, found in columns.items()]


def _data_column(name: str, table: Array, values_in: IndexSet | None) -> Column:
    """Numbers, or the labels that a param takes for values."""
    if values_in is None:
        return _column(name, table)
    flat = np.asarray(table, dtype=np.float64).reshape(-1)
    return Column(name, tuple("" if np.isnan(v) else values_in.labels[int(v)] for v in flat))


def outcome_sheets(run: Run, outcome: Outcome) -> list[Sheet]:
    """Types, weights, decisions and each provider's money, by the index sets they share; in the order of the types."""
    market = run.market
    columns: dict[tuple[IndexSet, ...], list[Column]] = {}
    titles: dict[tuple[IndexSet, ...], str] = {}
    for private in market.types:
        if private.name in outcome.report:
            column = _column(private.name, outcome.report[private.name])
            columns.setdefault(private.quantity.sets, []).append(column)
    for quantity, title, table in _weights(run, outcome):
        columns.setdefault(quantity.sets, []).append(_column(title, table))
    for choice in market.choices:
        name = str(choice.quantity.name)
        if name in outcome.allocation:
            columns.setdefault(choice.quantity.sets, []).append(_column(name, outcome.allocation[name]))
    for name, table in outcome.extra.items():  # what a structure adds for each choice: prices, weights
        shapes = (c.quantity.sets for c in market.choices if np.shape(table) == c.quantity.shape)
        sets = next(shapes, None) if isinstance(table, np.ndarray) else None
        if sets is not None:
            columns.setdefault(sets, []).append(_column(name, table))
    paid = [layer for layer in market.layers if layer.name in outcome.payments]
    for layer in paid:
        alone = sum(_sets(other) == _sets(layer) for other in paid) == 1
        titles[_sets(layer)] = layer.name if alone else ""
        money = _money_columns(layer, outcome, "" if alone else f" {layer.name}")
        columns.setdefault(_sets(layer), []).extend(money)
    return [Sheet(sets, titles.get(sets, ""), tuple(found)) for sets, found in columns.items()]


def _weights(run: Run, outcome: Outcome) -> list[tuple[Quantity, str, Array]]:
    """What the programme was solved at, beyond the types themselves: virtual costs, as a rule."""
    if run.mechanism is None or run.match.structure is None or not outcome.report:
        return []
    market = run.market
    report = {t.quantity: np.asarray(outcome.report[t.name]) for t in market.types}
    virtual = {virtual_cost_of(t, market) for t in market.types}
    found = run.match.structure.parameters(market, report)
    return [
        # An infinite virtual cost is a number to the solver; here it is what it is.
        (q, "virtual cost", np.where(table >= HIGHEST, np.inf, table))
        if q in virtual
        else (q, str(q.name), np.asarray(table))
        for q, table in found.items()
        if q.role == "open"
    ]


def _money_columns(layer: Layer, outcome: Outcome, suffix: str) -> list[Column]:
    columns = [_column(f"payment{suffix}", outcome.payments[layer.name], summed=True)]
    if layer.cost != 0 and layer.name in outcome.costs:
        columns.append(_column(f"cost{suffix}", outcome.costs[layer.name], summed=True))
    if layer.name in outcome.utilities:
        columns.append(_column(f"utility{suffix}", outcome.utilities[layer.name], summed=True))
    return columns


def constraint_sheet(market: Market, outcome: Outcome, constraint: Constraint) -> Sheet:
    """One constraint by label: what is required, what there is, the slack (or that it binds), its price."""
    values = stated_values(market, {}, outcome.allocation)
    slack = np.asarray(outcome.slack[constraint.name], dtype=np.float64)
    left, right = (np.asarray(evaluate(e, values, constraint.letters)) for e in (constraint.left, constraint.right))
    left, right = (np.where(np.isnan(slack), np.nan, side) for side in (left, right))
    binds = np.abs(slack) <= _BINDS * (1 + np.abs(left) + np.abs(right))
    columns = [
        _column("required" if constraint.relation == ">=" else "bound", right),
        _column("supplied" if constraint.name == "demand" else "reached", left),
        Column(
            "slack", tuple("binds" if b else t for b, t in zip(binds.flat, aligned(slack.reshape(-1)), strict=True))
        ),
    ]
    if constraint.name in outcome.shadow_price:
        columns.append(_column("shadow price", outcome.shadow_price[constraint.name]))
    return Sheet(tuple(a.index_set for a in constraint.letters), constraint.name, tuple(columns))


# ----------------------------------------------------------------------------------------------------------- the books


def payers(outcome: Outcome) -> list[str]:
    """`platform pays creator 16.05 (payment)`: a line for every transfer."""
    return [f"{a.payer} pays {a.receiver} {_money(float(np.sum(a.amounts)))} ({a.what})" for a in outcome.accounts]


def accounts_sheet(market: Market, outcome: Outcome) -> Sheet:
    """For every party, `received - paid + value - cost = utility`, adding up to welfare; none for idle bystanders."""
    parties = list(
        dict.fromkeys([*(y.name for y in market.layers), *(n for a in outcome.accounts for n in (a.payer, a.receiver))])
    )
    received = [_sum(a.amounts for a in outcome.accounts if a.receiver == name) for name in parties]
    paid = [_sum(a.amounts for a in outcome.accounts if a.payer == name) for name in parties]
    values, costs = (
        [_sum([table[n]] if n in table else []) for n in parties] for table in (outcome.values, outcome.costs)
    )
    rows = [
        (party, r, p, v, c, r - p + v - c)
        for party, r, p, v, c in zip(parties, received, paid, values, costs, strict=True)
        if party not in market.bystanders or any((r, p, v, c))
    ]
    named, *columns = zip(*rows, strict=True)
    titled = zip(("received", "paid", "value", "cost", "utility"), columns, strict=True)
    kept = [_column(title, column, summed=True) for title, column in titled if title == "utility" or any(column)]
    return Sheet((IndexSet("accounts", named),), "", tuple(kept))


def menu_sheet(market: Market, outcome: Outcome) -> Sheet:
    """The items on offer, their prices, how likely each is to be taken, and what it asks for by label."""
    items = outcome.extra["menu"]
    columns = [_column(title, [item[title] for item in items]) for title in ("price", "probability")]
    for choice in market.choices:
        name, sets = str(choice.quantity.name), choice.quantity.sets
        tables = [item["x"][name] if isinstance(item["x"], Mapping) else item["x"] for item in items]
        columns += _by_entry(name, sets, tables) if math.prod(map(len, sets)) <= _WIDE else []
    return Sheet((IndexSet("item", tuple(map(str, range(len(items))))),), "", tuple(columns))


def _by_entry(name: str, sets: tuple[IndexSet, ...], tables: Sequence[Any]) -> list[Column]:
    """`x[video]`, `x[text]`, ...: a column for every entry."""
    labels = [f"{name}[{', '.join(part)}]" if part else name for part in product(*(s.labels for s in sets))]
    entries = np.array([np.ravel(table) for table in tables])
    return [_column(label, entries[:, j]) for j, label in enumerate(labels)]


def menu_lines(market: Market, outcome: Outcome) -> list[str]:
    """What the menu's columns are, which item is taken, and what the menu brings in expectation."""
    items, expected = outcome.extra["menu"], outcome.extra["expected"]
    contract = market.contracts[0]
    docs = [f"{c.quantity.name}: {c.declaration.doc}" for c in market.choices if c.declaration.doc]
    columns = [f"price: what {contract.payer} pays {contract.provider} for the item",
               f"probability: that {contract.provider} takes it", *docs]  # fmt: skip
    revenue, welfare = (Estimate(**expected[name]) for name in ("revenue", "welfare"))
    place = next(j for j, item in enumerate(items) if item is outcome.extra["item"])
    return [
        "; ".join(columns),
        f"of {len(items)} item{'s' if len(items) != 1 else ''} on offer {contract.provider} takes item {place}",
        f"expected revenue {revenue}, at most {_money(expected['revenue_at_most'])} by any menu   "
        f"expected welfare {welfare}",
    ]


def bottom_line(outcome: Outcome) -> list[tuple[str, str]]:
    """Revenue, welfare, profit, and every further number a structure adds: name and figure."""
    figures = [("revenue", outcome.revenue), ("welfare", outcome.welfare), ("profit", outcome.profit)]
    figures += [(name, value) for name, value in outcome.extra.items() if isinstance(value, float)]
    return [(name, _money(value)) for name, value in figures if value is not None]


def side_by_side(runs: Sequence[Run]) -> tuple[list[str], list[list[str]]]:
    """The regimes' revenue, welfare, profit and payments together: titles, and the cells of every regime.

    Payments are those of who pays first: what a broker passes on is not paid twice.
    """
    outcomes = [r.outcome for r in runs]
    numbers = {
        "revenue": [o.revenue if o else None for o in outcomes],
        "welfare": [o.welfare if o else None for o in outcomes],
        "profit": [o.profit if o else None for o in outcomes],
        "payments": [_paid(o) if o and o.payments else None for o in outcomes],
    }
    kept = {name: column for name, column in numbers.items() if any(v is not None for v in column)}
    shown = [aligned([np.nan if v is None else v for v in column]) for column in kept.values()]
    return list(kept), [[column[j] for column in shown] for j in range(len(runs))]


def _paid(outcome: Outcome) -> float:
    receivers = {account.receiver for account in outcome.accounts}
    return _sum(account.amounts for account in outcome.accounts if account.payer not in receivers)


def _sum(tables: Iterable[Any]) -> float:
    return float(sum(np.sum(t) for t in tables))


def _sets(layer: Layer) -> tuple[IndexSet, ...]:
    return tuple(a.index_set for a in layer.letters)


# --------------------------------------------------------------------------------------------------------------- words


def structure_words(run: Run) -> str:
    """Which structure was taken, and why; in an empty text none."""
    structure = run.match.structure
    return "" if structure is None else f"structure {structure.name}: {structure.title} (taken for {run.match.why})"


def certified_words(certificate: Certificate) -> str:
    """What follows `certified`: how many checks passed, and which came nearest to failing."""
    nearest = sorted((c for c in certificate.checks if c.value > 0), key=_strain, reverse=True)[:2]
    numbers = ", ".join(f"{c.name} {c.value:.1e} (at most {c.tolerance:.0e})" for c in nearest)
    count = len(certificate.checks)
    passed = f": {count} check{'s' if count != 1 else ''} passed"
    return passed + (f"; nearest to failing: {numbers}" if numbers else "")


def failing_words(certificate: Certificate) -> str:
    """`NOT CERTIFIED: 1 of 9 checks fail`."""
    failing = sum(not check.passed for check in certificate.checks)
    return f"NOT CERTIFIED: {failing} of {len(certificate.checks)} checks fail"


def verdict_words(run: Run) -> tuple[str, bool | None]:
    """How a regime ended, in a word or three; whether that is good, bad, or (None) an answer."""
    if run.outcome is None:
        return "no structure handles it", False
    if run.certificate is None:
        return run.outcome.status.word, None if run.outcome.status.found else False
    return ("certified", True) if run.certificate.passed else ("NOT CERTIFIED", False)


def _strain(check: Check) -> float:
    return check.value / check.tolerance if check.tolerance > 0 else np.inf
