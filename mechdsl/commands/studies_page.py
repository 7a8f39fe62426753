"""Findings as tables that a person reads: means with their errors side by side, what changes where, which files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from mechdsl.market import Model
from mechdsl.population.findings import Findings
from mechdsl.population.summary import WORDS, summary
from mechdsl.report import terminal

__all__ = ["page"]


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
    console.print(table)
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
        table.add_column(head, justify="left" if left else "right", overflow="fold", no_wrap=head != "binding")
    return table
