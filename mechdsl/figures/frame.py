"""What charts share: which regimes and axes they show, what sample it is, and how words are set in inches."""

from __future__ import annotations

import re

from mechdsl.population.findings import Cell, Findings
from mechdsl.population.study import Plot

__all__ = ["length", "regimes_shown", "sample_text", "wide_axes", "wrapped"]

_LETTERS = 13  # an inch


def sample_text(found: Findings) -> str:
    """`1000 draws, seed 7`."""
    task = found.study.task
    draws = f"{task.draws:,} draws of the types" if task.draws else ""
    instances = f"{task.instances} markets" if task.instances > 1 else ""
    said = ", ".join(t for t in (instances, draws and f"{draws}{' each' if instances else ''}") if t)
    if not said:
        return ""
    return f"{said[0].upper()}{said[1:]}{'' if task.varies_seed else f', seed {task.seed}'}."


def regimes_shown(found: Findings, plot: Plot) -> list[str]:
    """Regimes that have something to show; one where all measures say the same beside every regime."""
    having = [r for r in found.study.task.regimes if any(_has(c, plot) for c in found.cells if c.regime == r)]
    return having[:1] if set(plot.measures) <= found.study.paired else having


def _has(cell: Cell, plot: Plot) -> bool:
    return any(m in cell.figures for m in plot.measures)


def wide_axes(found: Findings) -> list[int]:
    """Axes that more than one value is taken on."""
    return [n for n, axis in enumerate(found.study.task.axes) if len(axis.values) > 1]


def length(text: str) -> int:
    """About how many letters a label is wide: the commands of its mathematics are not shown."""
    return len(re.sub(r"\\mathrm|[\\${}_]", "", text))


def wrapped(text: str, inches: float) -> str:
    """In lines of about so many inches, as axes are lettered; mathematics stays whole."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".lstrip()
        fits = not lines[-1] or length(longer) <= max(12, inches * _LETTERS)
        lines[-1:] = [longer] if fits else [lines[-1], word]
    return "\n".join(lines)
