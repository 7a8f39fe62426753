"""Whether numbers are the same: within a relative tolerance, and a thousandth of it of the largest number beside them.

The second part is for what is zero but for rounding: a slack of 1e-16 says the same as one of 3e-17. Errors of
estimates are held to a factor of two; the values of certificate checks, which are rounding themselves, are not
compared, whether they passed is. Sentences are not compared; words that answer (a status, a verdict) are.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Difference", "json_differences", "table_differences"]

_SENTENCES = frozenset(("message", "notes", "detail", "condition", "text", "title", "files", "method", "source", "doc"))
_OWN_SCALE = ("regimes", "points", "experiments")
_LOOSE = ("error", "rank_error")


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two results say different things."""

    place: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.place}: expected {_said(self.expected)}, found {_said(self.found)}"


def _said(value: Any) -> str:
    return "nothing" if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)[:80]


def json_differences(expected: Any, found: Any, tolerance: float) -> Iterator[Difference]:
    """The differences of two JSON documents, by their places: `regimes.M1.revenue`."""
    yield from _nodes(expected, found, (), tolerance, _largest(expected))


def _nodes(
    expected: Any, found: Any, path: tuple[str, ...], tolerance: float, scale: float, *, loose: bool = False
) -> Iterator[Difference]:
    place = ".".join(path) or "the document"
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in dict.fromkeys((*expected, *found)):
            if key in _SENTENCES or (path[-2:-1] == ("checks",) and key not in ("name", "passed")):
                continue
            inner = _largest(expected.get(key)) if path and path[-1] in _OWN_SCALE else scale
            yield from _nodes(expected.get(key), found.get(key), (*path, key), tolerance, inner,
                              loose=loose or key in _LOOSE)  # fmt: skip
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield Difference(f"the length of {place}", len(expected), len(found))
        for n, (one, other) in enumerate(zip(expected, found, strict=False)):
            inner = _largest(one) if path and path[-1] in _OWN_SCALE else scale
            yield from _nodes(one, other, (*path, str(n + 1)), tolerance, inner, loose=loose)
    elif _is_number(expected) and _is_number(found):
        if not _same(float(expected), float(found), tolerance, scale, loose=loose):
            yield Difference(place, float(expected), float(found))
    elif expected != found:
        yield Difference(place, expected, found)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(expected: float, found: float, tolerance: float, scale: float, *, loose: bool) -> bool:
    if math.isnan(expected) or math.isnan(found):
        return math.isnan(expected) and math.isnan(found)
    size = max(abs(expected), abs(found))
    allowed = max(tolerance, 0.5 if loose else 0.0) * size + 1e-3 * tolerance * scale
    return expected == found or abs(expected - found) <= allowed


def _largest(value: Any) -> float:
    """The largest magnitude anywhere in a document."""
    if isinstance(value, dict):
        return max((_largest(v) for k, v in value.items() if k not in _SENTENCES), default=0.0)
    if isinstance(value, list):
        return max(map(_largest, value), default=0.0)
    return abs(float(value)) if _is_number(value) and math.isfinite(value) else 0.0


def table_differences(expected: str, found: str, tolerance: float) -> Iterator[Difference]:
    """The differences of two tables of figures as csv, by line and column."""
    one, other = (list(csv.reader(io.StringIO(text))) for text in (expected, found))
    if not one or not other or one[0] != other[0]:
        yield Difference("columns", ", ".join(one[0]) if one else None, ", ".join(other[0]) if other else None)
        return
    if len(one) != len(other):
        yield Difference("the number of lines", len(one) - 1, len(other) - 1)
    heads = one[0]
    scales = [max((abs(v) for row in one[1:] if (v := _number(row, j)) is not None), default=0.0)
              for j in range(len(heads))]  # fmt: skip
    for n, (row, its) in enumerate(zip(one[1:], other[1:], strict=False), start=2):
        for j, head in enumerate(heads):
            if head == "changes":  # places found by bisection, as text
                continue
            a, b = _number(row, j), _number(its, j)
            loose = head.endswith(" error")
            if a is not None and b is not None:
                if not _same(a, b, tolerance, scales[j], loose=loose):
                    yield Difference(f"line {n}, {head}", a, b)
            elif row[j : j + 1] != its[j : j + 1]:
                yield Difference(f"line {n}, {head}", "".join(row[j : j + 1]), "".join(its[j : j + 1]))


def _number(row: list[str], place: int) -> float | None:
    try:
        value = float(row[place])
    except (ValueError, IndexError):
        return None
    return value if math.isfinite(value) else None
