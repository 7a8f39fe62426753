"""Findings as tables that a person reads: means with their errors side by side, what changes where, which files."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mechdsl.market import Model
from mechdsl.population.findings import Findings
from mechdsl.population.summary import WORDS, summary
from mechdsl.report import terminal

__all__ = ["page"]

_HEAD = 20  # letters a line of a heading, where there are many
_WIDE, _WIDEST = 160, 400  # letters


def page(found: Findings, model: Model, files: Sequence[Path], *, titled: bool = False, first: bool = True) -> None:
    """Print a study's findings.

    Args:
        found: the findings.
        model: the file.
        files: what was written.
        titled: whether the experiment's own title stands above.
        first: whether the market's heading does.
    """
    console = terminal.console()
    if first:
        console.print(terminal.heading(next(iter(model.markets.values()))))
    if titled:
        console.print(Text(f"\n{found.study.name}: {found.study.title}", style="bold"))
    told = summary(found)
    console.print(Text(told.how, style="dim"))
    table = _table(told.heads)
    for row in told.rows:
        table.add_row(*row, *[""] * (len(told.heads) - len(row)))
    _print(console, table)
    for remark in told.remarks:
        console.print(Text(remark))
    for name, words in found.words.items():
        if not words.get("structure") and words.get("message"):
            console.print(Text(f"{name}: {words['message']}"))
    for file in files:
        console.print(Text(f"wrote {file}"), soft_wrap=True)


def _table(heads: Sequence[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for head in heads:
        left = head in WORDS
        shown = textwrap.fill(head, _HEAD, break_long_words=False) if sum(map(len, heads)) > 60 else head
        table.add_column(shown, justify="left" if left else "right", overflow="fold", no_wrap=head != "binding")
    return table


def _print(console: Console, table: Table) -> None:
    """The table, wider than the terminal where its numbers would not fit."""
    wide = Measurement.get(console, console.options.update(width=_WIDEST), table).maximum
    folds = any(column.header == "binding" for column in table.columns)  # which may be folded
    if wide > console.width and (wide <= _WIDE or not folds):
        console = terminal.console()
        console.width = wide
    console.print(table)
