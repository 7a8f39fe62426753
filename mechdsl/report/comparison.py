"""Regimes side by side: a table with a column for each, verdicts with their numbers and conditions, JSON, a figure.

A figure shows six digits or as many as its error supports, and its error where that leaves too few (`Estimate.shown`).
What is known only by bounds takes two lines.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from mechdsl.errors import UsageError
from mechdsl.expectation import Estimate, Figure
from mechdsl.formula import IndexSet
from mechdsl.report.document import Block, Code, Items, Line, Mark, Paragraph, Prose, Table
from mechdsl.report.json_report import labelled
from mechdsl.report.terminal import GUTTER, plain_table

if TYPE_CHECKING:
    from mechdsl.comparison import Comparison, Side, Verdict

__all__ = ["claim_blocks", "comparison_object", "comparisons_object", "draw", "expected_blocks", "page"]

_LABELS = {
    "revenue": "revenue",
    "welfare": "welfare",
    "profit": "profit",
    "information_rent": "information rent",
    "brokers_profit": "broker's profit",
    "cost_of_private_information": "cost of private information",
    "price_of_intermediation": "price of intermediation",
    "welfare_lost_to_intermediation": "  in welfare",
}
_GOOD, _BAD, _FAINT, _STRONG = "green", "bold red", "dim", "bold"
_CONSTRAINTS = 24  # whose overproduction is shown
_NOTHING, _NEGLIGIBLE = 1e-8, 5e-7  # of the largest figure of its kind: what is shown as 0, and the error it may have


# ---------------------------------------------------------------------------------------------------------------- JSON


def comparisons_object(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The members of `compare --json`: those of the one comparison, or `comparisons` by label."""
    if len(comparisons) == 1:
        return comparison_object(comparisons[0])
    return {"comparisons": [{"label": c.label, "market": c.name, **comparison_object(c)} for c in comparisons]}


def comparison_object(comparison: Comparison) -> dict[str, Any]:
    """`regimes`, `claims` and `method`."""
    return {
        "regimes": {side.regime: _side_object(side) for side in comparison.sides},
        "claims": [_claim_object(verdict) for verdict in comparison.claims],
        "method": {"name": comparison.method, "points": comparison.points},
    }


def _side_object(side: Side) -> dict[str, Any]:
    head = {"structure": side.structure, "status": side.status, "message": side.message}
    tables = {
        kind: {name: _table_object(sets, row) for name, (sets, row) in found.items() if row}
        for kind, found in side.tables.items()
    }
    figures = {name: _figure_object(figure) for name, figure in side.figures.items()}
    more = {"identity": side.identity, "notes": list(side.notes)}
    return head | figures | {n: v for n, v in (tables | more).items() if v}


def _figure_object(figure: Figure) -> dict[str, float | None]:
    if isinstance(figure, Estimate):
        return {"mean": _number(figure.mean), "error": _number(figure.error)}
    return {"lower": _number(figure.lower), "upper": _number(figure.upper)}


def _table_object(sets: tuple[IndexSet, ...], row: Sequence[Figure]) -> Any:
    """Figures by label; rows that a condition leaves out make the labels unknown, and the figures a list."""
    if math.prod(len(s) for s in sets) != len(row):
        return [_figure_object(figure) for figure in row]
    places = labelled(np.arange(len(row), dtype=float).reshape(tuple(len(s) for s in sets)), sets)

    def filled(node: Any) -> Any:
        return {k: filled(v) for k, v in node.items()} if isinstance(node, Mapping) else _figure_object(row[int(node)])

    return filled(places)


def _claim_object(verdict: Verdict) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": verdict.name,
        "text": verdict.text,
        "holds": "undecided" if verdict.holds is None else verdict.holds,
        "by": verdict.by,
        "condition": verdict.condition,
        "detail": verdict.detail,
    }
    return found | ({"source": verdict.source} if verdict.source else {})


def _number(value: float) -> float | None:
    return value + 0.0 if math.isfinite(value) else None


# ------------------------------------------------------------------------------------------------------------ terminal


def page(comparisons: Sequence[Comparison], width: int = 80) -> RenderableType:
    """The table, as wide as it takes (in several parts where the terminal is narrower), and the claims beneath."""
    named = [(c, side) for c in comparisons for side in c.sides]
    heads = [_head(c, side, several=len(comparisons) > 1) for c, side in named]
    shown = [(head, side) for head, (_, side) in zip(heads, named, strict=True) if side.figures]
    parts: list[RenderableType] = []
    lines = _lines([side for _, side in shown])
    margin = max((len(label) for label, _ in lines), default=0)
    each = GUTTER + max(
        (len(text) for text in (*(head for head, _ in shown), *(c for _, cells in lines for c in cells))), default=8
    )
    fitting = max(1, (width - margin) // each)
    for first in range(0, len(shown), fitting):
        table = plain_table("expected", [head for head, _ in shown[first : first + fitting]])
        for label, cells in lines:
            if any(cells[first : first + fitting]):
                table.add_row(label, *cells[first : first + fitting])
        parts += [Text(""), table]
    for (_, side), head in zip(named, heads, strict=True):
        if not side.figures:
            parts += [Text(""), Text(f"{head}: {side.status}: {side.message}", style=_BAD)]
        parts += [Text(f"{head}: {note}", style=_FAINT) for note in side.notes if side.figures]
    for comparison in comparisons:
        parts += [Text(""), *_method(comparison, several=len(comparisons) > 1)]
    for comparison in comparisons:
        parts += _claims(comparison, several=len(comparisons) > 1)
    return Group(*parts)


def _head(comparison: Comparison, side: Side, *, several: bool) -> str:
    return f"{comparison.label} {side.regime}" if several else side.regime


def _lines(sides: Sequence[Side]) -> list[tuple[str, tuple[str, ...]]]:
    """Label and cells of every row; of a figure known by bounds the lower first."""
    found: list[tuple[str, tuple[str, ...]]] = []
    money = _largest(f for side in sides for f in side.figures.values())
    for name, label in _LABELS.items():
        figures = [side.figures.get(name) for side in sides]
        if any(f is not None for f in figures):
            found.append((label, tuple(_cell(_low(f), money) for f in figures)))
            tops = [None if f is None or isinstance(f, Estimate) else Estimate(f.upper, 0.0) for f in figures]
            if any(tops):
                found.append((f"  {label} at most", tuple(_cell(f, money) for f in tops)))
    surplus = [_overproduced(side) for side in sides]
    keys = list(dict.fromkeys(key for own in surplus for key in own))
    output = _largest(f for side in sides for _, row in side.tables.get("allocation", {}).values() for f in row)
    found += [
        (f"overproduction {key}", tuple(_cell(own.get(key), output) for own in surplus)) for key in keys[:_CONSTRAINTS]
    ]
    return found


def _low(figure: Figure | None) -> Estimate | None:
    return figure if figure is None or isinstance(figure, Estimate) else Estimate(figure.lower, 0.0)


def _largest(figures: Iterable[Figure]) -> float:
    return max((abs(f.mean) for f in map(_low, figures) if f is not None and math.isfinite(f.mean)), default=0.0)


def _cell(figure: Estimate | None, largest: float) -> str:
    """The figure; 0 for what numbers of this size cannot tell from it."""
    if figure is None:
        return ""
    nothing = abs(figure.mean) <= max(_NOTHING * largest, figure.error) and figure.error <= _NEGLIGIBLE * largest
    return "0" if nothing else str(figure)


def _overproduced(side: Side) -> dict[str, Estimate]:
    """`demand[video]` -> expected surplus."""
    found: dict[str, Estimate] = {}
    for name, (sets, row) in side.tables.get("overproduction", {}).items():
        labels = [", ".join(part) for part in _labels(sets)] if math.prod(map(len, sets)) == len(row) else []
        for j, figure in enumerate(row):
            label = labels[j] if labels else str(j + 1)
            found[f"{name}[{label}]" if label else name] = _low(figure) or Estimate(math.nan, math.nan)
    return found


def _labels(sets: tuple[IndexSet, ...]) -> list[tuple[str, ...]]:
    from itertools import product

    return list(product(*(s.labels for s in sets)))


def _method(comparison: Comparison, *, several: bool) -> list[RenderableType]:
    head = f"{comparison.label}: " if several else ""
    return [Text(f"{head}{_method_words(comparison)}", style=_FAINT)]


def _method_words(comparison: Comparison) -> str:
    points = f", {comparison.points} reports" if comparison.points else ""
    shown = [cell for _, cells in _lines([s for s in comparison.sides if s.figures]) for cell in cells]
    other = ", or to the number behind its ±" if any("±" in cell for cell in shown) else ""
    return f"{comparison.method}{points}; each figure is good to one unit of its last digit{other}"


def _verdict_words(verdict: Verdict) -> tuple[str, str]:
    """`holds`, and `, by bounds`."""
    word = {True: "holds", False: "FAILS", None: "undecided"}[verdict.holds]
    return word, f", by {verdict.by}" if verdict.holds is not None else ""


def _claims(comparison: Comparison, *, several: bool) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for verdict in comparison.claims:
        word, by = _verdict_words(verdict)
        style = {True: _GOOD, False: _BAD, None: _STRONG}[verdict.holds]
        head = f"{comparison.label} " if several else ""
        parts += [Text(""), Text.assemble((f"{head}{verdict.name} ", _STRONG), (word, style), by)]
        said = [verdict.text] if verdict.source else []
        parts += [Padding(Text(line), (0, 0, 0, 2)) for line in (*said, verdict.detail)]
        parts += [Padding(Text(verdict.condition, style=_FAINT), (0, 0, 0, 2))] if verdict.condition else []
    return parts


# -------------------------------------------------------------------------------------------------------------- blocks


def expected_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Expected outcomes, a column for every regime; what could not be had, and how the rest was."""
    shown = [side for side in comparison.sides if side.figures]
    rows = tuple(((label,), *((cell,) for cell in cells)) for label, cells in _lines(shown))
    table = Table("Expected outcomes", ("expected", *(side.regime for side in shown)), rows)
    blocks: list[Block] = [table] if rows else []
    for side in comparison.sides:
        if not side.figures:
            blocks.append(Paragraph((Mark(f"{side.regime}: {side.status}", "bad"), f": {side.message}")))
        blocks += [Paragraph((f"{side.regime}: ", Prose(note))) for note in side.notes if side.figures]
    method = _method_words(comparison)
    return (*blocks, Paragraph((Mark(f"{method[:1].upper()}{method[1:]}.", "faint"),)))


def claim_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Every claim: what it says, its verdict, the numbers, its condition."""
    blocks: list[Block] = []
    for verdict in comparison.claims:
        word, by = _verdict_words(verdict)
        kind = {True: "good", False: "bad", None: "strong"}[verdict.holds]
        blocks.append(Paragraph((Mark(f"{verdict.name} ", "strong"), Mark(word, kind), by)))
        said: list[Line] = [(Code(verdict.text),), (Prose(verdict.detail),)]
        said += [(Mark(verdict.condition, "faint"),)] if verdict.condition else []
        said += [(Mark("Source: ", "faint"), verdict.source)] if verdict.source else []
        blocks.append(Items(tuple(line for line in said if line != (Prose(""),))))
    return tuple(blocks)


# -------------------------------------------------------------------------------------------------------------- figure

_TITLE = 30  # letters a line of a regime's title
_SUFFIXES = (".png", ".svg", ".pdf")
_PANELS = (("revenue", "Expected revenue"), ("welfare", "Expected welfare"), ("information_rent", "Information rent"))


def draw(comparisons: Sequence[Comparison], path: str | Path) -> None:
    """Revenue, welfare and information rent of every regime, as bars with their bounds, in a PNG, SVG or PDF file.

    Raises:
        UsageError: another kind of file, one that cannot be written, or matplotlib is missing.
    """
    if Path(path).suffix not in _SUFFIXES:
        raise UsageError(f"'{path}': a figure is written as {', '.join(_SUFFIXES)}")
    try:
        figure_module = import_module("matplotlib.figure")
        matplotlib = import_module("matplotlib")
    except ImportError:
        raise UsageError("a figure needs matplotlib: pip install matplotlib") from None
    sides = [(c, s) for c in comparisons for s in c.sides if s.figures]
    heads = [_head(c, s, several=len(comparisons) > 1) for c, s in sides]
    panels = [(name, title) for name, title in _PANELS if any(name in s.figures for _, s in sides)]
    if not panels:
        raise UsageError("there is no figure to draw: no regime has an expected revenue or welfare")
    with matplotlib.rc_context({"svg.hashsalt": "mechdsl", "font.size": 10}):
        titles = [_titled(h, s) for h, (_, s) in zip(heads, sides, strict=True)]
        height = 1.2 + sum(max(0.36, 0.17 * (title.count("\n") + 1)) for title in titles)
        figure = figure_module.Figure(figsize=(3.4 * len(panels), height), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for place, (axis, (name, title)) in enumerate(zip(axes, panels, strict=True)):
            _panel(axis, [s.figures.get(name) for _, s in sides])
            axis.set_title(title, loc="left", fontsize=10)
            if not place:
                axis.set_yticks(range(len(sides)), titles, parse_math=False)
                axis.invert_yaxis()
        figure.suptitle(
            sides[0][1].market.title or comparisons[0].name, x=0.01, ha="left", fontsize=11, parse_math=False
        )
        try:
            figure.savefig(path, dpi=200, metadata={"Date": None} if Path(path).suffix == ".svg" else None)
        except OSError as error:
            raise UsageError(f"'{path}' cannot be written: {error.strerror}") from None


def _titled(head: str, side: Side) -> str:
    return textwrap.fill(f"{head}  {side.market.regime_title}".rstrip(), _TITLE, break_long_words=False)


def _panel(axis: Any, figures: Sequence[Figure | None]) -> None:
    """One bar a regime; what is known by bounds has a lighter stretch between them."""
    for place, figure in enumerate(figures):
        if figure is None:
            continue
        low, high = (figure.mean, figure.mean) if isinstance(figure, Estimate) else (figure.lower, figure.upper)
        nearest = low if abs(low) < abs(high) else high
        said = f"{low:.4g}" if f"{low:.4g}" == f"{high:.4g}" else f"{low:.4g} to {high:.4g}"
        end = low
        if isinstance(figure, Estimate) and "±" in (said := figure.shown(4)):
            axis.errorbar(low, place, xerr=figure.error, color="black", elinewidth=1, capsize=2.5, zorder=3)
            end += math.copysign(figure.error, low)
        axis.barh(place, nearest, height=0.62, color="#4477aa")
        if high > low:
            axis.barh(place, high - low, left=low, height=0.62, color="#99bbdd")
        axis.annotate(
            said, (end, place), xytext=(-3 if low < 0 else 3, 0), textcoords="offset points",
            va="center", ha="right" if low < 0 else "left", fontsize=8,
        )  # fmt: skip
    axis.axvline(0, color="black", linewidth=0.8)
    axis.margins(x=0.32)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(axis="y", length=0)
