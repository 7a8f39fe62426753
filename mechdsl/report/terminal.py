"""Outcomes as tables that a person reads in eighty columns: who produces what, who pays whom, what binds, what holds.

What shares an index set shares a table. Numbers have six significant digits, and stand with their decimal points in
line; a table too wide for the terminal goes on in a second one, a long one shows its ends: nothing is cut silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from rich.box import Box
from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from mechdsl.market import Market
from mechdsl.outcome import Certificate, Outcome
from mechdsl.report.sheets import (
    FIRST,
    LAST,
    ROWS,
    Column,
    Sheet,
    accounts_sheet,
    bottom_line,
    certified_words,
    constraint_sheet,
    failing_words,
    menu_lines,
    menu_sheet,
    outcome_sheets,
    payers,
    side_by_side,
    structure_words,
    verdict_words,
)

if TYPE_CHECKING:
    from mechdsl.pipeline import Run
    from mechdsl.structure import Registry

__all__ = [
    "GUTTER",
    "View",
    "as_text",
    "comparison",
    "console",
    "heading",
    "plain_table",
    "regime",
    "registry",
]

_BOX = Box("    \n    \n ── \n    \n ── \n ── \n    \n    \n")  # a rule under the head, and one above a total

GUTTER = 3  # between the columns of a table

_GOOD, _BAD, _FAINT, _STRONG = "green", "bold red", "dim", "bold"


@dataclass(frozen=True, slots=True)
class View:
    """How much to show: every row of long tables (`--all`), every check of a certificate (`--verbose`)."""

    all_rows: bool = False
    all_checks: bool = False
    width: int = 80


def console() -> Console:
    """The terminal as it is: its width, and colours where it has them (NO_COLOR is respected)."""
    return Console(highlight=False, markup=False, emoji=False)


def as_text(runs: Sequence[Run], width: int = 80) -> str:
    """The runs as the terminal shows them, without colours."""
    parts = [regime(run, View(width=width)) for run in runs]
    return written(Group(*parts, comparison(runs)) if len(runs) > 1 else Group(*parts), width)


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
        parts += [_line(told) for told in run.match.told]
        return Group(*parts)
    parts.append(_line(structure_words(run)))
    if not outcome.status.found:
        parts.append(Text(f"{outcome.status.word}: {outcome.message}", style=_BAD))
    if outcome.report_is_mean:
        parts.append(_line("no report is stated: every type stands at its mean"))
    for sheet in outcome_sheets(run, outcome):
        parts += _tables(sheet, view)
    if outcome.slack:
        parts += [t for c in market.constraints for t in _tables(constraint_sheet(market, outcome, c), view)]
    if outcome.accounts:
        parts += [Text(""), *map(_line, payers(outcome))]
        parts += _tables(accounts_sheet(market, outcome), View(all_rows=True, width=view.width))
    if "menu" in outcome.extra:
        parts += [*_tables(menu_sheet(market, outcome), view), Text(""), *map(_line, menu_lines(market, outcome))]
    figures = _bottom_line(outcome)
    parts += [Text(""), figures] if figures else []
    if run.certificate is not None:
        parts.append(_certificate(run.certificate, view))
    parts += [_line(f"note: {note}") for note in outcome.notes]
    return Group(*parts)


def comparison(runs: Iterable[Run]) -> RenderableType:
    """The regimes side by side: revenue, welfare, profit, all payments together, and whether each is certified."""
    rows = list(runs)
    titles, cells = side_by_side(rows)
    table = _table("regime", titles)
    table.add_column("", justify="left", overflow="fold")
    for run, shown in zip(rows, cells, strict=True):
        table.add_row(run.market.regime, *shown, _verdict(run))
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


def _tables(sheet: Sheet, view: View) -> list[RenderableType]:
    """The sheet as one table, or as several where the terminal is too narrow; long ones by their ends."""
    labels = sheet.labels if sheet.sets else [sheet.title]
    first = sheet.title if sheet.title and sheet.sets else ", ".join(s.name for s in sheet.sets)
    rows = [j for j in range(len(labels)) if any(c.cells[j] for c in sheet.columns)]  # a condition may exclude some
    hidden = len(rows) > ROWS and not view.all_rows
    shown = [*rows[:FIRST], *rows[-LAST:]] if hidden else rows
    total = "total" if any(c.total for c in sheet.columns) else ""
    margin = max(map(len, (first, total, *(labels[j] for j in shown), f"... {len(labels)} more")))
    found: list[RenderableType] = []
    for columns in _fitting(sheet.columns, view.width - margin):
        table = _table(first, [c.title for c in columns])
        for count, j in enumerate(shown, 1):
            table.add_row(labels[j], *(c.cells[j] for c in columns))
            if hidden and count == FIRST:
                table.add_row(Text(f"... {len(rows) - len(shown)} more", style=_FAINT))
        if any(c.total for c in columns):
            table.add_section()
            table.add_row("total", *(c.total for c in columns), style=_STRONG)
        found += [Text(""), table]
    return found


def _fitting(columns: Sequence[Column], width: int) -> list[list[Column]]:
    """The columns in order, in as few groups as fit the width."""
    groups: list[list[Column]] = [[]]
    used = 0
    for column in columns:
        needed = max(map(len, (column.title, column.total, *column.cells))) + GUTTER
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


# ----------------------------------------------------------------------------------------------------- the certificate


def _certificate(certificate: Certificate, view: View) -> RenderableType:
    """One line with the checks that came nearest to failing; all of them when one fails or they are asked for."""
    if certificate.passed and not view.all_checks:
        return Text.assemble(("certified", _GOOD), certified_words(certificate))
    table = Table(box=_BOX, pad_edge=False, header_style=_STRONG, border_style=_FAINT, show_edge=False)
    for title, justify in (("check", "left"), ("value", "right"), ("at most", "right"), ("", "left")):
        table.add_column(title, justify="right" if justify == "right" else "left", overflow="fold")
    for check in certificate.checks:
        verdict = Text("passed", style=_GOOD) if check.passed else Text("FAILS", style=_BAD)
        table.add_row(check.name, f"{check.value:.1e}", f"{check.tolerance:.0e}", verdict)
    refused = Text(failing_words(certificate), style=_BAD)
    details = [_line(f"{check.name}: {check.detail}") for check in certificate.checks if check.detail]
    return Group(Text("certified", style=_GOOD) if certificate.passed else refused, Text(""), table, Text(""), *details)


def _verdict(run: Run) -> Text:
    words, good = verdict_words(run)
    return Text(words, style={True: _GOOD, False: _BAD, None: ""}[good])


def _bottom_line(outcome: Outcome) -> Text:
    text = Text()
    for name, figure in bottom_line(outcome):
        text.append(f"{'   ' if text else ''}{name} ").append(figure, style=_STRONG)
    return text


# -------------------------------------------------------------------------------------------------------------- pieces


def _regime_line(market: Market) -> RenderableType:
    title = Text(market.regime, style=_STRONG)
    if market.regime_title:
        title.append(f"  {market.regime_title}", style="not bold")
    return Group(Text(""), _rule(title))


def _rule(title: Text) -> Rule:
    return Rule(title, align="left", style=_FAINT)


def _line(text: str) -> Text:
    return Text(text, style=_FAINT)
