"""Outcomes as tables that a person reads in eighty columns: who produces what, who pays whom, what binds, what holds.

What shares an index set shares a table. Numbers have six significant digits, and stand with their decimal points in
line; a table too wide for the terminal goes on in a second one, a long one shows its ends: nothing is cut silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import Box
from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from mechdsl.accounting import stated_values
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import IndexSet, Quantity
from mechdsl.market import Layer, Market
from mechdsl.outcome import Certificate, Check, Outcome
from mechdsl.program import Constraint
from mechdsl.theory.virtual_cost import virtual_cost_of

if TYPE_CHECKING:
    from mechdsl.pipeline import Run
    from mechdsl.structure import Registry

__all__ = [
    "View",
    "aligned",
    "as_html",
    "as_text",
    "comparison",
    "console",
    "heading",
    "plain_table",
    "regime",
    "registry",
]

_BOX = Box("    \n    \n ── \n    \n ── \n ── \n    \n    \n")  # a rule under the head, and one above a total

ROWS = 24  # a table longer than this shows its first and last rows
_FIRST, _LAST = 12, 5
_WIDE = 4  # goods up to which a menu shows what each item holds of them
_BINDS = 1e-6  # of the terms of a constraint: a smaller slack is shown as "binds"
_GOOD, _BAD, _FAINT, _STRONG = "green", "bold red", "dim", "bold"


@dataclass(frozen=True, slots=True)
class View:
    """How much to show: every row of long tables (`--all`), every check of a certificate (`--verbose`)."""

    all_rows: bool = False
    all_checks: bool = False
    width: int = 80


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of a table by label: its cells, and what stands under it in the last line."""

    title: str
    cells: tuple[str, ...]
    total: str = ""


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The columns that share a combination of index sets."""

    sets: tuple[IndexSet, ...]
    title: str
    columns: tuple[_Column, ...]

    @property
    def labels(self) -> list[str]:
        return [", ".join(labels) for labels in product(*(s.labels for s in self.sets))]


def console() -> Console:
    """The terminal as it is: its width, and colours where it has them (NO_COLOR is respected)."""
    return Console(highlight=False, markup=False, emoji=False)


def as_text(runs: Sequence[Run], width: int = 80) -> str:
    """The runs as the terminal shows them, without colours."""
    return _page(runs, width).export_text(styles=False)


def as_html(runs: Sequence[Run], width: int = 100) -> str:
    """The runs for a notebook, laid out as in the terminal."""
    return _page(runs, width).export_html(inline_styles=True, code_format=_HTML)


_HTML = '<pre style="line-height:1.25; font-family:monospace; white-space:pre">{code}</pre>'


def _page(runs: Sequence[Run], width: int) -> Console:
    page = Console(file=StringIO(), width=width, record=True, highlight=False, markup=False, emoji=False)
    for run in runs:
        page.print(regime(run, View(width=width)))
    if len(runs) > 1:
        page.print(comparison(runs))
    return page


def written(shown: RenderableType, width: int = 80) -> str:
    """What the terminal would show, without colours."""
    sheet = Console(file=StringIO(), width=width, record=True, highlight=False, markup=False, emoji=False)
    sheet.print(shown)
    return sheet.export_text(styles=False)


def heading(market: Market) -> RenderableType:
    """The market's title, its sources, and what its types and choices are."""
    lines = [Text.assemble((market.title or market.name, _STRONG), (f"  ({market.name})", _FAINT))]
    lines += [Text(source, style=_FAINT) for source in market.citations]
    declared = [*(t.declaration for t in market.types), *(c.declaration for c in market.choices)]
    lines += [Text(f"{d.quantity.name}: {d.doc}", style=_FAINT) for d in declared if d.doc]
    return Group(*lines)


def regime(run: Run, view: View) -> RenderableType:
    """One regime: the structure taken and why, tables by label, demands, the books, the certificate, notes."""
    market, outcome = run.market, run.outcome
    parts: list[RenderableType] = [_regime_line(market)]
    if outcome is None or run.match.structure is None:
        problem = run.problem
        parts.append(Text(problem.message if problem else "not solved", style=_BAD))
        parts += [_line(f"{name}: {reason}") for name, reason in run.match.reasons.items()]
        return Group(*parts)
    structure = run.match.structure
    parts.append(_line(f"structure {structure.name}: {structure.title} (taken for {run.match.why})"))
    if not outcome.status.found:
        parts.append(Text(f"{outcome.status.word}: {outcome.message}", style=_BAD))
    if outcome.report_is_mean:
        parts.append(_line("no report is stated: every type stands at its mean"))
    for sheet in _sheets(run, outcome):
        parts += _tables(sheet, view)
    if outcome.slack:
        parts += [t for c in market.constraints for t in _tables(_constraint_sheet(market, outcome, c), view)]
    if outcome.accounts:
        parts += _books(market, outcome, view)
    if "menu" in outcome.extra:
        parts += _menu(outcome, view)
    figures = _bottom_line(outcome)
    parts += [Text(""), figures] if figures else []
    if run.certificate is not None:
        parts.append(_certificate(run.certificate, view))
    parts += [_line(f"note: {note}") for note in outcome.notes]
    return Group(*parts)


def comparison(runs: Iterable[Run]) -> RenderableType:
    """The regimes side by side: revenue, welfare, profit, all payments together, and whether each is certified."""
    rows = list(runs)
    outcomes = [r.outcome for r in rows]
    numbers = {
        "revenue": [o.revenue if o else None for o in outcomes],
        "welfare": [o.welfare if o else None for o in outcomes],
        "profit": [o.profit if o else None for o in outcomes],
        "payments": [_paid_by_providers(o) if o else None for o in outcomes],
    }
    table = _table("regime", [name for name, column in numbers.items() if any(v is not None for v in column)])
    table.add_column("", justify="left", overflow="fold")
    shown = [aligned([np.nan if v is None else v for v in numbers[str(c.header)]]) for c in table.columns[1:-1]]
    for j, run in enumerate(rows):
        table.add_row(run.market.regime, *(column[j] for column in shown), _verdict(run))
    return Group(Text(""), _rule(Text("side by side", style=_STRONG)), Text(""), table)


def registry(found: Registry) -> RenderableType:
    """The structures installed: name, what each handles, where it comes from; and those that could not be taken."""
    parts: list[RenderableType] = []
    for structure in found.structures:
        parts.append(Text.assemble((structure.name, _STRONG), f"  {structure.title}"))
        parts += [_line(f"  {line}") for line in (str(structure.handles), structure.source)]
        parts.append(_line(f"  from {found.origins.get(structure.name, 'here')}"))
    laws = found.distributions
    own = ", ".join(name for name in laws.families if name not in laws.origins)
    parts.append(Text.assemble(("distributions", _STRONG), f"  {own}"))
    for name, origin in laws.origins.items():
        parts += [Text.assemble((name, _STRONG), f"  {laws.families[name].doc}"), _line(f"  from {origin}")]
    for function in found.functions.values():
        parts += [Text.assemble((f"{function.name}({', '.join(function.parameters)})", _STRONG), f"  {function.doc}"),
                  _line(f"  from {found.functions.origins[function.name]}")]  # fmt: skip
    parts += [Text(sentence.removeprefix("plugin "), style=_BAD) for sentence in found.troubles]
    return Group(*parts) if parts else _line("no structures are installed")


# ------------------------------------------------------------------------------------------------------------- numbers


def aligned(values: Iterable[float]) -> tuple[str, ...]:
    """The numbers with six significant digits, padded on the right so that flush right their decimal points agree.

    NaN, which stands for an entry there is none of, is left blank.
    """
    texts = ["" if np.isnan(v) else f"{v + 0.0:.6g}" for v in values]
    tails = [len(text) - len(_before_point(text)) for text in texts]
    longest = max(tails, default=0)
    return tuple(text + " " * (longest - tail) if text else "" for text, tail in zip(texts, tails, strict=True))


def _before_point(text: str) -> str:
    return text.partition("e")[0].partition(".")[0]


def _money(value: float) -> str:
    return f"{value + 0.0:.6g}"


def _column(title: str, table: Any, *, summed: bool = False) -> _Column:
    flat = np.asarray(table, dtype=np.float64).reshape(-1)
    if not summed or flat.size < 2:
        return _Column(title, aligned(flat))
    *cells, total = aligned([*flat, float(np.nansum(flat))])
    return _Column(title, tuple(cells), total)


# ------------------------------------------------------------------------------------------------------ tables by label


def _sheets(run: Run, outcome: Outcome) -> list[_Sheet]:
    """Types, weights, decisions and each provider's money, by the index sets they share; in the order of the types."""
    market = run.market
    columns: dict[tuple[IndexSet, ...], list[_Column]] = {}
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
    return [_Sheet(sets, titles.get(sets, ""), tuple(found)) for sets, found in columns.items()]


def _weights(run: Run, outcome: Outcome) -> list[tuple[Quantity, str, Array]]:
    """What the programme was solved at, beyond the types themselves: virtual costs, as a rule."""
    if run.mechanism is None or run.match.structure is None or not outcome.report:
        return []
    market = run.market
    report = {t.quantity: np.asarray(outcome.report[t.name]) for t in market.types}
    virtual = {virtual_cost_of(t, market) for t in market.types}
    found = run.match.structure.parameters(market, report)
    return [
        (q, "virtual cost" if q in virtual else str(q.name), np.asarray(table))
        for q, table in found.items()
        if q.role == "open"
    ]


def _money_columns(layer: Layer, outcome: Outcome, suffix: str) -> list[_Column]:
    columns = [_column(f"payment{suffix}", outcome.payments[layer.name], summed=True)]
    if layer.cost != 0 and layer.name in outcome.costs:
        columns.append(_column(f"cost{suffix}", outcome.costs[layer.name], summed=True))
    if layer.name in outcome.utilities:
        columns.append(_column(f"utility{suffix}", outcome.utilities[layer.name], summed=True))
    return columns


def _constraint_sheet(market: Market, outcome: Outcome, constraint: Constraint) -> _Sheet:
    """One constraint by label: what is required, what there is, the slack (or that it binds), its price."""
    values = stated_values(market, {}, outcome.allocation)
    slack = np.asarray(outcome.slack[constraint.name], dtype=np.float64)
    left, right = (np.asarray(evaluate(e, values, constraint.letters)) for e in (constraint.left, constraint.right))
    left, right = (np.where(np.isnan(slack), np.nan, side) for side in (left, right))
    binds = np.abs(slack) <= _BINDS * (1 + np.abs(left) + np.abs(right))
    columns = [
        _column("required" if constraint.relation == ">=" else "bound", right),
        _column("supplied" if constraint.name == "demand" else "reached", left),
        _Column(
            "slack", tuple("binds" if b else t for b, t in zip(binds.flat, aligned(slack.reshape(-1)), strict=True))
        ),
    ]
    if constraint.name in outcome.shadow_price:
        columns.append(_column("shadow price", outcome.shadow_price[constraint.name]))
    return _Sheet(tuple(a.index_set for a in constraint.letters), constraint.name, tuple(columns))


def _tables(sheet: _Sheet, view: View) -> list[RenderableType]:
    """The sheet as one table, or as several where the terminal is too narrow; long ones by their ends."""
    labels = sheet.labels if sheet.sets else [sheet.title]
    first = sheet.title if sheet.title and sheet.sets else ", ".join(s.name for s in sheet.sets)
    rows = [j for j in range(len(labels)) if any(c.cells[j] for c in sheet.columns)]  # a condition may exclude some
    hidden = len(rows) > ROWS and not view.all_rows
    shown = [*rows[:_FIRST], *rows[-_LAST:]] if hidden else rows
    total = "total" if any(c.total for c in sheet.columns) else ""
    margin = max(map(len, (first, total, *(labels[j] for j in shown), f"... {len(labels)} more"))) + 4
    found: list[RenderableType] = []
    for columns in _fitting(sheet.columns, view.width - margin):
        table = _table(first, [c.title for c in columns])
        for count, j in enumerate(shown, 1):
            table.add_row(labels[j], *(c.cells[j] for c in columns))
            if hidden and count == _FIRST:
                table.add_row(Text(f"... {len(rows) - len(shown)} more", style=_FAINT))
        if any(c.total for c in columns):
            table.add_section()
            table.add_row("total", *(c.total for c in columns), style=_STRONG)
        found += [Text(""), table]
    return found


def _fitting(columns: Sequence[_Column], width: int) -> list[list[_Column]]:
    """The columns in order, in as few groups as fit the width."""
    groups: list[list[_Column]] = [[]]
    used = 0
    for column in columns:
        needed = max(map(len, (column.title, column.total, *column.cells))) + 2
        if groups[-1] and used + needed > width:
            groups.append([])
            used = 0
        groups[-1].append(column)
        used += needed
    return groups


def plain_table(first: str, titles: Iterable[str]) -> Table:
    """An empty table in the style of all others: labels on the left, numbers flush right."""
    return _table(first, titles)


def _table(first: str, titles: Iterable[str]) -> Table:
    table = Table(box=_BOX, pad_edge=False, padding=(0, 1), header_style=_STRONG, border_style=_FAINT, show_edge=False)
    table.add_column(first, justify="left", overflow="fold")
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    return table


# ----------------------------------------------------------------------------------------------------------- the books


def _books(market: Market, outcome: Outcome, view: View) -> list[RenderableType]:
    """Who pays whom; then, for every party, `received - paid + value - cost = utility`, adding up to welfare."""
    lines: list[RenderableType] = [Text("")]
    lines += [
        _line(f"{a.payer} pays {a.receiver} {_money(float(np.sum(a.amounts)))} ({a.what})") for a in outcome.accounts
    ]
    parties = list(
        dict.fromkeys([*(y.name for y in market.layers), *(n for a in outcome.accounts for n in (a.payer, a.receiver))])
    )
    received = [_sum(a.amounts for a in outcome.accounts if a.receiver == name) for name in parties]
    paid = [_sum(a.amounts for a in outcome.accounts if a.payer == name) for name in parties]
    values, costs = (
        [_sum([table[n]] if n in table else []) for n in parties] for table in (outcome.values, outcome.costs)
    )
    utilities = [r - p + v - c for r, p, v, c in zip(received, paid, values, costs, strict=True)]
    columns = [("received", received), ("paid", paid), ("value", values), ("cost", costs), ("utility", utilities)]
    kept = [_column(title, column, summed=True) for title, column in columns if title == "utility" or any(column)]
    sheet = _Sheet((IndexSet("accounts", tuple(parties)),), "", tuple(kept))
    return [*lines, *_tables(sheet, View(all_rows=True, width=view.width))]


def _menu(outcome: Outcome, view: View) -> list[RenderableType]:
    """The items on offer, their prices, and how likely each is to be taken; of a long menu its ends."""
    items = outcome.extra["menu"]
    place = next(j for j, item in enumerate(items) if item is outcome.extra["item"])
    numbers = tuple(str(j) for j in range(len(items)))
    columns = [_column(title, [item[title] for item in items]) for title in ("price", "probability")]
    outputs = np.array([np.ravel(item["y"]) for item in items])
    if outputs.shape[1] <= _WIDE:
        columns += [_column(f"y {j + 1}", outputs[:, j]) for j in range(outputs.shape[1])]
    expected = outcome.extra["expected"]
    lines = [
        f"of {len(items)} item{'s' if len(items) != 1 else ''} on offer the union takes item {place}",
        f"expected revenue {_money(expected['revenue']['mean'])}, at most {_money(expected['revenue_at_most'])} by any "
        f"menu   expected welfare {_money(expected['welfare']['mean'])}",
    ]
    sheet = _Sheet((IndexSet("menu", numbers),), "", tuple(columns))
    return [*_tables(sheet, view), Text(""), *(_line(line) for line in lines)]


def _bottom_line(outcome: Outcome) -> Text:
    figures = [("revenue", outcome.revenue), ("welfare", outcome.welfare), ("profit", outcome.profit)]
    figures += [(name, value) for name, value in outcome.extra.items() if isinstance(value, float)]
    text = Text()
    for name, value in figures:
        if value is not None:
            text.append(f"{'   ' if text else ''}{name} ").append(_money(value), style=_STRONG)
    return text


def _paid_by_providers(outcome: Outcome) -> float | None:
    return _sum(outcome.payments.values()) if outcome.payments else None


def _sum(tables: Iterable[Any]) -> float:
    return float(sum(np.sum(t) for t in tables))


# ----------------------------------------------------------------------------------------------------- the certificate


def _certificate(certificate: Certificate, view: View) -> RenderableType:
    """One line with the checks that came nearest to failing; all of them when one fails or they are asked for."""
    if certificate.passed and not view.all_checks:
        nearest = sorted((c for c in certificate.checks if c.value > 0), key=_strain, reverse=True)[:2]
        numbers = ", ".join(f"{c.name} {c.value:.1e} (at most {c.tolerance:.0e})" for c in nearest)
        count = len(certificate.checks)
        passed = f": {count} check{'s' if count != 1 else ''} passed"
        return Text.assemble(("certified", _GOOD), passed, f"; nearest to failing: {numbers}" if numbers else "")
    table = Table(box=_BOX, pad_edge=False, header_style=_STRONG, border_style=_FAINT, show_edge=False)
    for title, justify in (("check", "left"), ("value", "right"), ("at most", "right"), ("", "left")):
        table.add_column(title, justify="right" if justify == "right" else "left", overflow="fold")
    for check in certificate.checks:
        verdict = Text("passed", style=_GOOD) if check.passed else Text("FAILS", style=_BAD)
        table.add_row(check.name, f"{check.value:.1e}", f"{check.tolerance:.0e}", verdict)
    failing = sum(not check.passed for check in certificate.checks)
    count = len(certificate.checks)
    refused = Text(f"NOT CERTIFIED: {failing} of {count} checks fail", style=_BAD)
    details = [_line(f"{check.name}: {check.detail}") for check in certificate.checks if check.detail]
    return Group(Text("certified", style=_GOOD) if certificate.passed else refused, Text(""), table, Text(""), *details)


def _strain(check: Check) -> float:
    return check.value / check.tolerance if check.tolerance > 0 else np.inf


def _verdict(run: Run) -> Text:
    if run.outcome is None:
        return Text("no structure handles it", style=_BAD)
    if run.certificate is None:
        return Text(run.outcome.status.word, style="" if run.outcome.status.found else _BAD)
    return Text("certified", style=_GOOD) if run.certificate.passed else Text("NOT CERTIFIED", style=_BAD)


# -------------------------------------------------------------------------------------------------------------- pieces


def _sets(layer: Layer) -> tuple[IndexSet, ...]:
    return tuple(a.index_set for a in layer.letters)


def _regime_line(market: Market) -> RenderableType:
    title = Text(market.regime, style=_STRONG)
    if market.regime_title:
        title.append(f"  {market.regime_title}", style="not bold")
    return Group(Text(""), _rule(title))


def _rule(title: Text) -> Rule:
    return Rule(title, align="left", style=_FAINT)


def _line(text: str) -> Text:
    return Text(text, style=_FAINT)
