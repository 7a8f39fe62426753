"""Heat maps: a panel for every regime and measure over two params, in rows that a page can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from mechdsl.figures.frame import regimes_shown, sample_text, wide_axes, wrapped
from mechdsl.figures.labels import Labels
from mechdsl.figures.style import MAP, WIDTH
from mechdsl.population.findings import Findings
from mechdsl.population.study import Plot

__all__ = ["heatmap"]

_ABREAST = 3  # panels


def heatmap(figure: Any, plot: Plot, found: Findings, words: Labels) -> str:
    """One panel a regime and measure, the colours of a measure shared; dots where the binding set changes.

    Panels stand three abreast at most. All have the same axes, so each axis is named once for all of them.
    """
    axes = found.study.task.axes
    first, second = wide_axes(found)
    regimes = regimes_shown(found, plot)
    several = len(regimes) > 1
    # Several regimes make a block of rows for each measure; of one regime the measures stand side by side.
    abreast = len(regimes) if several else len(plot.measures)
    deep = math.ceil(abreast / _ABREAST)
    columns, rows = math.ceil(abreast / deep), deep * (len(plot.measures) if several else 1)
    side = min(3.6, WIDTH / columns)
    titles = {r: words.regime(r, max(14, int(side * 9))) if several else "" for r in regimes}
    titled = max(title.count("\n") + 1 for title in titles.values()) if several else 0
    wide, high = columns * side, rows * side
    named = [wrapped(words.address(axes[n].address), long) for n, long in ((first, wide), (second, high))]
    lines = (rows if deep > 1 else 1) * titled + named[0].count("\n")
    figure.set_size_inches(max(4.4, wide + 1.0), high + 0.35 * rows + 0.7 + 0.15 * max(0, lines - 1))
    sheet = figure.subfigures(1, 1)
    grid = sheet.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    sheet.supxlabel(named[0], fontsize="medium", multialignment="center")
    sheet.supylabel(named[1], fontsize="medium", multialignment="center")
    free = list(grid.flat)
    marked = False
    for m, measure in enumerate(plot.measures):
        places = [divmod(j, columns) for j in range(len(regimes))] if several else [divmod(m, columns)]
        panels = {r: grid[row + several * m * deep, column] for r, (row, column) in zip(regimes, places, strict=True)}
        free = [ax for ax in free if ax not in panels.values()]
        marked |= _measured(sheet, panels, measure, found, words.measure(measure), side)
        for regime, ax in panels.items():
            if several and (m == 0 or deep > 1):
                ax.set_title(titles[regime], fontsize=8.5)
    for ax in free:
        ax.set_visible(False)
    for above, below in pairwise(grid):  # a panel with none beneath it has the numbers
        for ax, under in zip(above, below, strict=True):
            ax.tick_params(labelbottom=not under.get_visible())
    dots_text = "Dots: the set of binding constraints changes." if marked else ""
    return " ".join(t for t in (dots_text, sample_text(found)) if t)


def _measured(sheet: Any, panels: Mapping[str, Any], measure: str, found: Findings, label: str, side: float) -> bool:
    """A measure in the panels of its regimes, its colours beside them; whether dots are among it."""
    task = found.study.task
    first, second = wide_axes(found)
    x, y = (sorted(task.axes[n].values) for n in (first, second))
    tables = {r: _table(found, r, measure, first, second) for r in panels}
    known = np.concatenate([t[np.isfinite(t)] for t in tables.values()])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    mesh = None
    marked = False
    for regime, ax in panels.items():
        mesh = ax.pcolormesh(x, y, np.ma.masked_invalid(tables[regime]), cmap=MAP, shading="nearest", vmin=low,
                             vmax=high if high > low else low + 1, rasterized=True)  # fmt: skip
        ax.set_facecolor("#EEEEEE")
        dots = [c.values for c in found.changes if c.regime == regime and c.axis in (first, second)]
        if dots:
            marked = True
            ax.plot([v[first] for v in dots], [v[second] for v in dots], linestyle="none", marker="o",
                    markersize=1.9, markerfacecolor="white", markeredgecolor="black", markeredgewidth=0.3)  # fmt: skip
    colours = sheet.colorbar(mesh, ax=list(panels.values()), pad=0.02, aspect=24 * math.ceil(len(panels) / _ABREAST))
    colours.set_label(wrapped(label, side))
    colours.outline.set_visible(False)
    return marked


def _table(found: Findings, regime: str, measure: str, first: int, second: int) -> Any:
    """Means by (second axis, first axis)."""
    task = found.study.task
    x, y = (sorted(task.axes[n].values) for n in (first, second))
    table = np.full((len(y), len(x)), np.nan)
    for cell in found.cells:
        if cell.regime == regime and measure in cell.figures:
            table[y.index(cell.values[second]), x.index(cell.values[first])] = cell.figures[measure].mean
    return table
