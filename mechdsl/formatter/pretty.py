"""Text that breaks where it must: documents of words and possible line breaks, laid out within a width.

Wadler's "A prettier printer" (2003) in small: a group is laid out on one line if it fits, else its own line breaks
are taken and the groups inside it try again. What is asked for twice at one place, a line break, comes once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["BREAK", "SOFT", "SPACE", "Doc", "Group", "Indent", "Line", "Text", "concat", "render"]


@dataclass(frozen=True, slots=True)
class Text:
    """Words that stay together."""

    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A place to break; `flat` is what stands there otherwise. A `forced` one breaks, and every group around it."""

    flat: str = " "
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Concat:
    """One after the other."""

    parts: tuple[Doc, ...]
    breaks: bool


@dataclass(frozen=True, slots=True)
class Indent:
    """Lines begun inside stand `by` columns further right."""

    by: int
    doc: Doc


@dataclass(frozen=True, slots=True)
class Group:
    """On one line if it fits."""

    doc: Doc


Doc: TypeAlias = Text | Line | Concat | Indent | Group

SPACE = Line()
SOFT = Line("")
BREAK = Line(forced=True)


def concat(parts: Iterable[Doc]) -> Concat:
    """The parts, one after the other."""
    kept = tuple(parts)
    return Concat(kept, any(map(_breaks, kept)))


def render(doc: Doc, indent: int, width: int) -> list[str]:
    """The lines of a document whose first column is `indent`, none wider than `width` unless a single word is."""
    lines: list[str] = []
    line = " " * indent
    pending: int | None = None  # a break that has been asked for, and the column to go on at
    stack: list[tuple[int, bool, Doc]] = [(indent, False, doc)]
    while stack:
        at, on_one_line, head = stack.pop()
        match head:
            case Text(text):
                if pending is not None:
                    lines.append(line.rstrip())
                    line, pending = " " * pending, None
                line += text
            case Line(flat=spaces, forced=forced):
                if on_one_line and not forced:
                    line += spaces if pending is None else ""
                else:
                    pending = at
            case Concat(parts):
                stack += [(at, on_one_line, part) for part in reversed(parts)]
            case Indent(by, inner):
                stack.append((at + by, on_one_line, inner))
            case Group(inner):
                column = len(line) if pending is None else pending
                fits = on_one_line or (not _breaks(inner) and _fits(inner, stack, width - column))
                stack.append((at, fits, inner))
    return [*lines, line.rstrip()]


def _breaks(doc: Doc) -> bool:
    match doc:
        case Text():
            return False
        case Line(forced=forced):
            return forced
        case Concat(breaks=breaks):
            return breaks
        case Indent(doc=inner) | Group(inner):
            return _breaks(inner)


def _fits(doc: Doc, rest: Sequence[tuple[int, bool, Doc]], room: int) -> bool:
    """Whether `doc` on one line, and of the `rest` (the last comes first) what cannot break away, is at most `room`
    wide.
    """
    stack: list[tuple[bool, Doc]] = [(True, doc)]
    following = len(rest)
    while room >= 0:
        if not stack:
            if not following:
                return True
            following -= 1
            stack.append(rest[following][1:])
        on_one_line, head = stack.pop()
        match head:
            case Text(text):
                room -= len(text)
            case Line(flat=spaces, forced=forced):
                if forced or not on_one_line:
                    return True
                room -= len(spaces)
            case Concat(parts):
                stack += [(on_one_line, part) for part in reversed(parts)]
            case Indent(doc=inner) | Group(inner):
                stack.append((on_one_line, inner))
    return False
