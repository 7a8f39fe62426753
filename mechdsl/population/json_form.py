"""Findings as JSON: the words of `solve`, with `{"mean": ..., "error": ...}` where `solve` has a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mechdsl.population.findings import Cell, Findings
from mechdsl.population.moments import PROBABILITIES, Figure

__all__ = ["regimes_object", "study_object"]

_HIDDEN = ("gap", "certified")
_FIGURES = ("revenue", "welfare", "profit")
_MEMBERS = ("payments", "utilities", "binding")


def study_object(found: Findings) -> dict[str, Any]:
    """A study's members: how it was drawn, and its regimes, or its points where params are varied."""
    task = found.study.task
    head: dict[str, Any] = {"draws": task.draws, "instances": task.instances, "seed": task.seed}
    if not task.axes:
        return {**head, "regimes": regimes_object(found)}
    points: dict[tuple[float, ...], dict[str, Any]] = {}
    for cell in found.cells:
        points.setdefault(cell.values, {})[cell.regime] = _cell_object(found, cell)
    addresses = [axis.address for axis in task.axes]

    def at(values: tuple[float, ...]) -> dict[str, float | str]:
        return {a.address: a.stated(v) for a, v in zip(task.axes, values, strict=True)}

    return {
        **head,
        "axes": [{"param": a.address, "values": [a.stated(v) for v in a.values]} for a in task.axes],
        "points": [{"at": at(v), "regimes": r} for v, r in points.items()],
        "changes": [
            {
                "regime": c.regime,
                "param": addresses[c.axis],
                "at": at(c.values),
                "before": list(c.before),
                "after": list(c.after),
            }
            for c in found.changes
        ],
        "words": {name: _said(words) for name, words in found.words.items()},
    }


def regimes_object(found: Findings) -> dict[str, Any]:
    """Regime -> its object; a regime that was not computed says why."""
    objects = {}
    for name in found.study.task.regimes:
        cell = found.cell(name)
        said = _said(found.words.get(name, {}))
        if cell is None:
            objects[name] = {"structure": None, "status": "unhandled", **said}
        else:
            objects[name] = {**said, **_cell_object(found, cell)}
    return objects


def _said(words: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in words.items() if v not in (None, [], "")}


def _cell_object(found: Findings, cell: Cell) -> dict[str, Any]:
    task = found.study.task
    many = task.draws > 0 or task.instances > 1
    members: dict[str, Any] = {"rows": cell.rows, "certified": cell.certified}
    measures: dict[str, Any] = {}
    for name, figure in cell.figures.items():
        if name in task.measures and name not in _FIGURES:
            measures[name] = _number(figure, many)
            continue
        if name in _HIDDEN:
            continue
        place = members
        head, *labels = name.split(".")
        path = [*_member(head, found), *labels]
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = _number(figure, many)
    if cell.binding is not None:
        members["binding"] = list(cell.binding)
    return members | ({"measures": measures} if measures else {})


def _member(head: str, found: Findings) -> tuple[str, ...]:
    """Under which word of `solve` a column stands."""
    if head in _FIGURES or head in _MEMBERS:
        return (head,)
    return ("report" if head in found.types else "allocation", head)


def _number(figure: Figure, many: bool) -> Any:
    if math.isnan(figure.mean):
        return None
    if not many:
        return figure.mean + 0.0
    said: dict[str, Any] = {"mean": figure.mean + 0.0}
    if not math.isnan(figure.error):
        said["error"] = figure.error
    if figure.quantiles:
        said["quantiles"] = {f"{p:g}": v + 0.0 for p, v in zip(PROBABILITIES, figure.quantiles, strict=True)}
        said |= {"least": figure.low + 0.0, "greatest": figure.high + 0.0}
        if figure.rank_error:
            said["rank_error"] = figure.rank_error
    return said
