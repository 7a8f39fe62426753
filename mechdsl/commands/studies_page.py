"""Findings as tables that a person reads: means with their errors side by side, what changes where, which files."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mechdsl.market import Model
from mechdsl.population.changes import pattern_text
from mechdsl.population.findings import Cell, Findings
from mechdsl.population.tables import figure_text
from mechdsl.report import terminal

__all__ = ["page"]

_SHOWN = 24  # lines of a long table: its first and last
_HEAD = 20  # letters a line of a heading, where there are many
_WIDE, _WIDEST = 160, 400  # letters
_SMALL = ("revenue", "welfare", "profit")


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
    console.print(Text(_how(found), style="dim"))
    (_points if found.study.task.axes else _side_by_side)(console, found)
    for name, words in found.words.items():
        if not words.get("structure") and words.get("message"):
            console.print(Text(f"{name}: {words['message']}"))
    for file in files:
        console.print(Text(f"wrote {file}"), soft_wrap=True)


def _how(found: Findings) -> str:
    task = found.study.task
    parts = [f"{task.instances} markets drawn" if task.instances > 1 else ""]
    parts += [f"{task.draws:,} draws of the types" if task.draws else "at the reported types"]
    parts += [f"{len({c.values for c in found.cells}):,} points" if task.axes else ""]
    fallbacks = sum(w.get("fallbacks", 0) for w in found.words.values())
    certified, rows = (sum(getattr(c, n) for c in found.cells) for n in ("certified", "rows"))
    said = ", ".join(p for p in parts if p)
    tail = f"; {fallbacks:,} solved one at a time" if fallbacks else ""
    seed = "" if task.varies_seed else f", seed {task.seed}"
    return f"{said}{seed}: {certified:,} of {rows:,} outcomes certified{tail}"


def _side_by_side(console: Console, found: Findings) -> None:
    """A line a column, a column a regime."""
    regimes = [c.regime for c in found.cells]
    table = _table(["", *regimes])
    for name in found.columns():
        figures = [c.figures.get(name) for c in found.cells]
        if any(f is not None for f in figures):
            table.add_row(name, *("" if f is None else figure_text(f) for f in figures))
    _print(console, table)


def _points(console: Console, found: Findings) -> None:
    """A line a point and regime: the figures asked for, or those of the whole market."""
    task = found.study.task
    asked = found.study.table or task.measures
    names = asked or [n for n in _SMALL if any(n in c.figures for c in found.cells)]
    binding = any(c.binding is not None for c in found.cells)
    paired = bool(names) and set(names) <= found.study.paired
    binding = binding and not paired
    heads = [*(a.address for a in task.axes), *([] if paired else ["regime"]), *names]
    table = _table([*heads, *(["binding"] if binding else [])])
    cells: list[Cell | None] = [c for c in found.cells if not paired or c.regime == found.cells[0].regime]
    if len(cells) > _SHOWN:
        cells = [*cells[: _SHOWN // 2], None, *cells[-_SHOWN // 2 :]]
    for cell in cells:
        if cell is None:
            table.add_row(*(["..."] + [""] * (len(table.columns) - 1)))
            continue
        shown: list[Any] = [a.text(v) for a, v in zip(task.axes, cell.values, strict=True)]
        shown += [] if paired else [cell.regime]
        shown += [figure_text(cell.figures[n]) if n in cell.figures else "" for n in names]
        table.add_row(*shown, *([pattern_text(cell.binding)] if binding else []))
    _print(console, table)
    if len(task.axes) > 1 and found.changes:
        console.print(Text(f"what binds changes between {len(found.changes)} pairs of neighbours (in --json)"))
    for change in found.changes[:_SHOWN] if len(task.axes) == 1 else ():
        place = ", ".join(f"{a.address} = {v:.6g}" for a, v in zip(task.axes, change.values, strict=True))
        text = f"{change.regime}: at {place} what binds changes from {pattern_text(change.before)}"
        console.print(Text(f"{text} to {pattern_text(change.after)}"))
    if len(task.axes) == 1 and len(found.changes) > _SHOWN:
        console.print(Text(f"... and {len(found.changes) - _SHOWN} further changes of what binds (in --json)"))


def _table(heads: Sequence[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for head in heads:
        left = head in ("", "regime", "binding")
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
