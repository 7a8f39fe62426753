"""The charts, each drawn into an empty figure: box with mean and median, lines, traces, bars with error bars.

Each returns the caption that says what its signs mean.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from mechdsl.figures.frame import length, regimes_shown, sample_text, wide_axes, wrapped
from mechdsl.figures.labels import Labels
from mechdsl.figures.style import COLOURS, DASHES, INK, MARKERS, WIDTH
from mechdsl.population.changes import Change
from mechdsl.population.findings import Findings
from mechdsl.population.moments import Figure
from mechdsl.population.study import Plot

__all__ = ["bar", "box", "line", "trace"]

_HIGH = 3.4  # inches of the value axis
_CI = 1.959964  # standard errors to the ends of a 95% interval


def _error_text(found: Findings) -> str:
    over = "markets" if found.study.task.instances > 1 else "draws"
    return f"95% confidence intervals over {over}."


def _series(found: Findings, plot: Plot, regimes: Sequence[str]) -> list[tuple[str, str]]:
    """Regime and measure of each series; a measure that says the same beside every regime is one."""
    return [(r, m) for r in regimes for m in plot.measures if r == regimes[0] or m not in found.study.paired]


def _shared_label(words: Labels, measures: Sequence[str]) -> str:
    """What the value axis says: the measure, or what several have in common."""
    return wrapped(words.measure(measures[0]) if len(measures) == 1 else words.shared(measures), _HIGH)


# ------------------------------------------------------------------------------------------------------------- box, bar


def _groups(found: Findings, plot: Plot, words: Labels) -> tuple[list[str], list[str], dict[tuple[int, int], Figure]]:
    """Group names (along the axis), series names (by colour), and the figure of each (group, series).

    Regimes stand along the axis, measures by colour; where params are varied, their values stand along the axis and
    regimes (and measures) go by colour.
    """
    regimes = regimes_shown(found, plot)
    if wide_axes(found):
        points = list(dict.fromkeys(c.values for c in found.cells))
        wide = wide_axes(found)
        groups = [", ".join(found.study.task.axes[n].text(v[n]) for n in wide) for v in points]
        series = _series(found, plot, regimes)
        names = [_series_name(r, m, _named(found, m, regimes), plot, words) for r, m in series]
        keys = {(g, s): (regime, points[g], m) for g in range(len(points)) for s, (regime, m) in enumerate(series)}
    elif set(plot.measures) <= found.study.paired:
        groups, names = [words.measure(m) for m in plot.measures], [""]
        here = next(iter(found.cells)).values
        keys = {(g, 0): (regimes[0], here, m) for g, m in enumerate(plot.measures)}
    else:
        groups = [words.regime(r, max(10, 60 // max(1, len(regimes)))) for r in regimes]
        names = [words.letter(m) if words.shared(plot.measures) else words.measure(m) for m in plot.measures]
        here = next(iter(found.cells)).values
        keys = {(g, s): (r, here, m) for g, r in enumerate(regimes) for s, m in enumerate(plot.measures)}
    table = {(c.regime, c.values): c for c in found.cells}
    figures = {
        k: table[regime, v].figures[m]
        for k, (regime, v, m) in keys.items()
        if (regime, v) in table and m in table[regime, v].figures
    }
    return groups, names, figures


def _named(found: Findings, measure: str, regimes: Sequence[str]) -> Sequence[str]:
    """The regimes among which a series says its own; none to choose from where the measure names its regimes."""
    return () if measure in found.study.paired else regimes


def _series_name(regime: str, measure: str, regimes: Sequence[str], plot: Plot, words: Labels) -> str:
    both = len(regimes) > 1 and len(plot.measures) > 1
    parts = [regime if both else words.regime(regime, 40)] if len(regimes) > 1 else []
    shared = bool(words.shared(plot.measures))
    parts += [words.letter(measure) if shared else words.measure(measure)] if len(plot.measures) > 1 else []
    return ", ".join(parts)


def _frame(figure: Any, found: Findings, plot: Plot, words: Labels, groups: list[str]) -> Any:
    lines = max(g.count("\n") + 1 for g in groups)
    figure.set_size_inches(WIDTH, 3.3 + 0.13 * lines)
    ax = figure.subplots()
    crowded = len(groups) * max(len(p) for g in groups for p in g.split("\n")) > 78
    ax.set_xticks(range(len(groups)), groups, rotation=30 if crowded else 0, ha="right" if crowded else "center",
                  rotation_mode="anchor" if crowded else None)  # fmt: skip
    ax.set_xlim(-0.6, len(groups) - 0.4)
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="y")
    label = _shared_label(words, plot.measures)
    ax.set_ylabel(label)
    wide = wide_axes(found)
    if wide:
        ax.set_xlabel(", ".join(words.address(found.study.task.axes[n].address) for n in wide))
    return ax


def _legend(ax: Any, handles: Sequence[Any], names: Sequence[str]) -> None:
    """Above the axes, in as many columns as fit; the figure grows by what it takes."""
    if len(names) > 1:
        columns = max(1, min(len(names), int(82 / (max(length(p) for n in names for p in n.split("\n")) + 7))))
        rows = math.ceil(len(names) / columns)
        lines = sum(max(n.count("\n") + 1 for n in names[row::rows]) for row in range(rows))
        ax.figure.set_figheight(ax.figure.get_figheight() + 0.16 * (lines - 1))
        ax.legend(handles, names, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, columnspacing=1.4)


def box(figure: Any, plot: Plot, found: Findings, words: Labels) -> str:
    """Quartiles, median, mean, and the middle nine tenths."""
    groups, names, figures = _groups(found, plot, words)
    ax = _frame(figure, found, plot, words, groups)
    width = 0.62 / len(names)
    handles = []
    for s in range(len(names)):
        mine = {g: f for (g, t), f in figures.items() if t == s and f.quantiles}
        stats = [
            {"med": f.quantiles[2], "q1": f.quantiles[1], "q3": f.quantiles[3], "whislo": f.quantiles[0],
             "whishi": f.quantiles[4], "mean": f.mean, "fliers": []}
            for f in mine.values()
        ]  # fmt: skip
        places = [g + (s - (len(names) - 1) / 2) * width * 1.1 for g in mine]
        colour = COLOURS[s % len(COLOURS)]
        drawn = ax.bxp(
            stats, positions=places, widths=width * 0.9, showmeans=True, showfliers=False, patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": _pale(colour), "edgecolor": colour, "linewidth": 1.1},
            medianprops={"color": colour, "linewidth": 1.8},
            whiskerprops={"color": colour, "linewidth": 1.0}, capprops={"color": colour, "linewidth": 1.0},
            meanprops={"marker": "D", "markerfacecolor": "white", "markeredgecolor": INK, "markersize": 4.5,
                       "markeredgewidth": 1.0},
        )  # fmt: skip
        handles += drawn["boxes"][:1]
    _legend(ax, handles, names)
    signs = "Box: quartiles; line: median; diamond: mean; whiskers: 5th and 95th percentile."
    return f"{signs} {sample_text(found)}"


def bar(figure: Any, plot: Plot, found: Findings, words: Labels) -> str:
    """Means, with their confidence intervals where there are several rows."""
    groups, names, figures = _groups(found, plot, words)
    ax = _frame(figure, found, plot, words, groups)
    width = 0.66 / len(names)
    handles, errors = [], False
    for s in range(len(names)):
        mine = {g: f for (g, t), f in figures.items() if t == s}
        places = [g + (s - (len(names) - 1) / 2) * width for g in mine]
        colour = COLOURS[s % len(COLOURS)]
        bars = ax.bar(places, [f.mean for f in mine.values()], width * 0.92, color=colour, zorder=2)
        handles.append(bars)
        # What is the same in every row has an error of rounding alone, and no bar of it.
        spread = [_CI * f.error if f.error > 1e-12 * abs(f.mean) else 0.0 for f in mine.values()]
        if any(spread):
            errors = True
            drawn = [(x, f.mean, e) for x, f, e in zip(places, mine.values(), spread, strict=True) if e]
            ax.errorbar(*zip(*drawn, strict=True), fmt="none", ecolor=INK, elinewidth=1.1,
                        capsize=3, capthick=1.1, zorder=3)  # fmt: skip
    ax.axhline(0, color=INK, linewidth=0.8, zorder=4)
    ax.spines["bottom"].set_visible(False)
    ax.margins(y=0.08)
    _legend(ax, handles, names)
    return f"{'Means, ' + _error_text(found) if errors else ''} {sample_text(found)}".strip()


def _pale(colour: str) -> tuple[float, float, float]:
    r, g, b = (int(colour[j : j + 2], 16) / 255 for j in (1, 3, 5))
    return (0.75 + 0.25 * r, 0.75 + 0.25 * g, 0.75 + 0.25 * b)


# ---------------------------------------------------------------------------------------------------------------- lines


def line(figure: Any, plot: Plot, found: Findings, words: Labels) -> str:
    """Along the longest axis; regimes by colour, measures and other axes by dash. Changes of the binding set marked."""
    task = found.study.task
    along = max(wide_axes(found), key=lambda n: len(task.axes[n].values))
    regimes = regimes_shown(found, plot)
    rests = list(dict.fromkeys(v[:along] + v[along + 1 :] for v in (c.values for c in found.cells)))
    dashes = [(m, rest) for m in plot.measures for rest in rests]
    figure.set_size_inches(WIDTH, 3.7)
    ax = figure.subplots()
    ax.grid(axis="y")
    ax.set_xlabel(words.address(task.axes[along].address))
    ax.set_ylabel(_shared_label(words, plot.measures))
    handles, names, errors = [], [], False
    shown = set(_series(found, plot, regimes))
    for r, regime in enumerate(regimes):
        for d, (measure, rest) in enumerate(dashes):
            if (regime, measure) not in shown:
                continue
            cells = [c for c in found.cells if c.regime == regime and c.values[:along] + c.values[along + 1 :] == rest]
            known = sorted((c.values[along], f) for c in cells if (f := c.figures.get(measure)) is not None)
            if not known:
                continue
            x, y = [v for v, _ in known], np.array([f.mean for _, f in known])
            # One kind of series goes by colour (and dash, for the colour-blind); two kinds by one each.
            several = len(regimes) > 1
            colour = COLOURS[(r if several else d) % len(COLOURS)]
            dash = DASHES[(d if several and len(dashes) > 1 else r if several else d) % len(DASHES)]
            few = {"marker": MARKERS[(r if several else d) % len(MARKERS)], "markersize": 4} if len(x) <= 12 else {}
            thin = max(1.2, 2.4 - 0.4 * (r if several else d))  # what lies on another line leaves it visible
            (drawn,) = ax.plot(x, y, color=colour, linestyle=dash, linewidth=thin, **few)
            spread = np.array([f.error for _, f in known]) * _CI
            if np.isfinite(spread).any():
                errors = True
                ax.fill_between(x, y - spread, y + spread, color=colour, alpha=0.18, linewidth=0)
            handles.append(drawn)
            among = _named(found, measure, regimes)
            names.append(_line_name(regime, measure, rest, among, plot, rests, found, along, words))
    ax.margins(x=0.01)
    if task.axes[along].takes:
        places = sorted(task.axes[along].values)
        ax.set_xticks(places, [task.axes[along].text(v) for v in places])
    marks = _mark_changes(ax, [c for c in found.changes if c.axis == along and c.regime in regimes], words, regimes)
    _legend(ax, handles, names)
    bands = f"Bands: {_error_text(found)}" if errors else ""
    return " ".join(t for t in (marks, bands, sample_text(found)) if t)


def _line_name(
    regime: str, measure: str, rest: tuple[float, ...], regimes: Sequence[str], plot: Plot,
    rests: Sequence[tuple[float, ...]], found: Findings, along: int, words: Labels,
) -> str:  # fmt: skip
    parts = [_series_name(regime, measure, regimes, plot, words)]
    if len(rests) > 1:
        others = [a for n, a in enumerate(found.study.task.axes) if n != along]
        parts += [
            f"{words.address(a.address).rsplit(', ', maxsplit=1)[-1]} = {a.text(v)}"
            for a, v in zip(others, rest, strict=True)
        ]
    return ", ".join(p for p in parts if p)


def trace(figure: Any, plot: Plot, found: Findings, words: Labels) -> str:
    """Every draw in its turn, the mean of each series beside it: how much an outcome moves from draw to draw."""
    regimes = regimes_shown(found, plot)
    series = _series(found, plot, regimes)
    cells = {c.regime: c for c in found.cells}
    figure.set_size_inches(WIDTH, 3.7)
    ax = figure.subplots()
    ax.grid(axis="y")
    ax.set_xlabel("Draw")
    ax.set_ylabel(_shared_label(words, plot.measures))
    handles = []
    for s, (regime, measure) in enumerate(series):
        values = cells[regime].traces[measure]
        colour, dash = COLOURS[s % len(COLOURS)], DASHES[s % len(DASHES)]
        (drawn,) = ax.plot(np.arange(1, len(values) + 1), values, color=colour, linestyle=dash, linewidth=1.1)
        ax.axhline(cells[regime].figures[measure].mean, color=colour, linestyle=dash, linewidth=0.8, alpha=0.55)
        handles.append(drawn)
    ax.margins(x=0.01)
    _legend(ax, handles, [_series_name(r, m, _named(found, m, regimes), plot, words) for r, m in series])
    return f"Level lines: means. {sample_text(found)}"


def _mark_changes(ax: Any, changes: Sequence[Change], words: Labels, regimes: Sequence[str]) -> str:
    """A dotted line and a letter at each, and what the letters mean; changes at one place share them."""
    places: dict[float, list[Change]] = {}
    for change in sorted(changes, key=lambda c: c.values[c.axis]):
        value = change.values[change.axis]
        near = next((p for p in places if abs(p - value) < 1e-5 * (abs(p) + abs(value))), value)
        places.setdefault(near, []).append(change)
    said = []
    width = (max(ax.get_xlim()) - min(ax.get_xlim())) * 0.022
    last, level = -np.inf, 0
    for letter, (value, here) in zip(string.ascii_lowercase, places.items(), strict=False):
        ax.axvline(value, color="#777777", linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        level = level + 1 if value - last < width else 0  # letters that would meet stand below each other
        last = value
        ax.annotate(letter, (value, 1.0), xycoords=("data", "axes fraction"), xytext=(2, -1.5 - 9 * level),
                    textcoords="offset points", ha="left", va="top", fontsize=7.5, color="#555555")  # fmt: skip
        whats = list(dict.fromkeys(_what(c, words) for c in here))
        whose = "" if len(regimes) == 1 else f" ({', '.join(dict.fromkeys(c.regime for c in here))})"
        said.append(f"{letter}: at {value:.4g} {', '.join(whats)}{whose}")
    more = f" and {len(places) - 26} further changes" if len(places) > 26 else ""
    return f"{'; '.join(said)}{more}." if said else ""


def _what(change: Change, words: Labels) -> str:
    ends = [words.constraint(n) for n in change.before if n not in change.after]
    begins = [words.constraint(n) for n in change.after if n not in change.before]
    parts = [f"{', '.join(ends)} stop{'s' if len(ends) == 1 else ''} binding"] if ends else []
    parts += [f"{', '.join(begins)} begin{'s' if len(begins) == 1 else ''} to bind"] if begins else []
    return " and ".join(parts)
