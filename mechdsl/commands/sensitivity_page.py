"""Sensitivities as a table: a line a param, a column an outcome."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mechdsl.market import Market
from mechdsl.report.sheets import aligned
from mechdsl.sensitivity import Sensitivity, flat_columns

__all__ = ["sensitivity_table"]


def sensitivity_table(found: Sensitivity, market: Market) -> RenderableType:
    """The derivatives, figures of the whole market first; a wide table goes on below."""
    columns = flat_columns(found, market)
    lines: list[RenderableType] = [Text(f"\nDerivatives in the params ({found.method})")]
    names = list(columns)
    for start in range(0, len(names), 5):
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("d / d", no_wrap=True)
        some = names[start : start + 5]
        for name in some:
            table.add_column(name, justify="right")
        shown = [aligned(columns[name]) for name in some]
        for n, address in enumerate(found.addresses):
            table.add_row(address, *(column[n] for column in shown))
        lines += [Text(""), table]
    if found.kinks:
        text = f"At a kink: {', '.join(found.kinks)} is on the edge of binding, and derivatives hold to one side only."
        lines.append(Text(text, style="bold"))
    lines += [Text(note) for note in found.notes]
    return Group(*lines)
