"""A study in a table that a person reads: means with their errors side by side, what changes where."""

from __future__ import annotations

from dataclasses import dataclass

from mechdsl.population.changes import pattern_text
from mechdsl.population.findings import Cell, Findings
from mechdsl.population.tables import figure_text

__all__ = ["WORDS", "Summary", "summary"]

WORDS = ("", "regime", "binding")
"""Heads of columns of words; the others hold numbers."""

_SHOWN = 24  # lines of a long table: its first and last
_SMALL = ("revenue", "welfare", "profit")


@dataclass(frozen=True, slots=True)
class Summary:
    """What is told of a study.

    Args:
        how: drawn, varied, certified, in a line.
        heads, rows: of the table; a row that stands for those left out has one cell.
        remarks: where what binds changes.
    """

    how: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()


def summary(found: Findings) -> Summary:
    """A line a point and regime where params are varied; else a line a figure, a column a regime."""
    return _points(found) if found.study.task.axes else _side_by_side(found)


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
    error = "; ±: standard error" if task.draws or task.instances > 1 else ""
    return f"{said}{seed}: {certified:,} of {rows:,} outcomes certified{tail}{error}"


def _side_by_side(found: Findings) -> Summary:
    rows = []
    for name in found.columns():
        figures = [c.figures.get(name) for c in found.cells]
        if any(f is not None for f in figures):
            rows.append((name, *("" if f is None else figure_text(f) for f in figures)))
    return Summary(_how(found), ("", *(c.regime for c in found.cells)), tuple(rows))


def _points(found: Findings) -> Summary:
    """The figures asked for, or those of the whole market."""
    task = found.study.task
    asked = found.study.table or task.measures
    names = asked or [n for n in _SMALL if any(n in c.figures for c in found.cells)]
    binding = any(c.binding is not None for c in found.cells)
    paired = bool(names) and set(names) <= found.study.paired
    binding = binding and not paired
    beside = () if paired else ("regime",)
    heads = (*(a.address for a in task.axes), *beside, *names, *(("binding",) if binding else ()))
    cells: list[Cell | None] = [c for c in found.cells if not paired or c.regime == found.cells[0].regime]
    if len(cells) > _SHOWN:
        cells = [*cells[: _SHOWN // 2], None, *cells[-_SHOWN // 2 :]]
    rows: list[tuple[str, ...]] = []
    for cell in cells:
        if cell is None:
            rows.append(("...",))
            continue
        shown = [a.text(v) for a, v in zip(task.axes, cell.values, strict=True)]
        shown += [] if paired else [cell.regime]
        shown += [figure_text(cell.figures[n]) if n in cell.figures else "" for n in names]
        rows.append((*shown, *((pattern_text(cell.binding),) if binding else ())))
    return Summary(_how(found), heads, tuple(rows), _remarks(found))


def _remarks(found: Findings) -> tuple[str, ...]:
    task = found.study.task
    if len(task.axes) > 1:
        count = len(found.changes)
        return (f"what binds changes between {count} pairs of neighbours (in --json)",) if count else ()
    said = []
    for change in found.changes[:_SHOWN]:
        place = ", ".join(f"{a.address} = {v:.6g}" for a, v in zip(task.axes, change.values, strict=True))
        text = f"{change.regime}: at {place} what binds changes from {pattern_text(change.before)}"
        said.append(f"{text} to {pattern_text(change.after)}")
    if len(found.changes) > _SHOWN:
        said.append(f"... and {len(found.changes) - _SHOWN} further changes of what binds (in --json)")
    return tuple(said)
