"""What can be wrong with a text, as values.

A `Diagnostic` says what is wrong, where, and what to do about it; stages gather as many as they can find and raise them
together in one `MechError`. A `MechError` means the text (or the data it names) is at fault; an `InternalError` means
we are. Rendering (excerpt, caret) happens here and nowhere else, so every message of the program has the same shape.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Diagnostic", "InternalError", "MechError", "PluginError", "Source", "Span", "UsageError", "did_you_mean"]

_EXCERPT_WIDTH = 120
_LONGEST = 4_000  # characters of a message
_COMPARED = 200  # known words that a wrong one is compared with


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch `[start, end)` of a text, in characters; lines and columns count from 1, as editors do."""

    start: int
    end: int
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Source:
    """A named text; `name` is what the reader knows it by (the path as typed, or `<text>`)."""

    name: str
    text: str = ""

    def line(self, number: int) -> str:
        lines = _lines(self.text)
        return lines[number - 1] if 1 <= number <= len(lines) else ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing wrong: a stable `code`, the `message` (the cause), its place, and a `hint` (the remedy).

    Args:
        code: `M` and three digits; `mechdsl explain CODE` tells more.
        message: one sentence, lower case, no full stop, in the words of the text.
        span: where, or None when no place in the text is at fault (a missing file, say).
        hint: what to do; whole sentences.
        severity: `error`, `warning` (the result may not mean what it seems to) or `note`.
    """

    code: str
    message: str
    span: Span | None = None
    hint: str = ""
    severity: str = "error"

    def render(self, source: Source) -> str:
        """The message as a person reads it: head line, excerpt with caret, hint."""
        head = f"{self.severity}[{self.code}] in {source.name}"
        message = _sayable(self.message)
        if self.span is None:
            lines = [f"{head}: {message}"]
        else:
            lines = [f"{head}, {_place(self.span)}: {message}", *_excerpt(source, self.span)]
        hint = f"{_sayable(self.hint)} " if self.hint else ""
        lines.append(f" {hint}(mechdsl explain {self.code})")
        return "\n".join(lines)


class MechError(Exception):
    """The text is at fault: every diagnostic found, in the order of the text."""

    def __init__(self, diagnostics: Iterable[Diagnostic], source: Source) -> None:
        ordered = sorted(diagnostics, key=lambda d: (d.span.start if d.span else -1, d.code))
        self.diagnostics: tuple[Diagnostic, ...] = tuple(dict.fromkeys(ordered))
        self.source = source
        super().__init__(self.render())

    def __reduce__(self) -> tuple[type[MechError], tuple[tuple[Diagnostic, ...], Source]]:
        return MechError, (self.diagnostics, self.source)  # whole, from one process to another

    def render(self) -> str:
        return "\n\n".join(d.render(self.source) for d in self.diagnostics)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message, for a traceback through our code says nothing about the text."""
        return self.render().splitlines()


class InternalError(Exception):
    """We are at fault: an invariant of mechdsl does not hold. Never raised for anything a text can contain."""


class PluginError(Exception):
    """A plugin is at fault: its code raised, or returned something else. Neither the text nor mechdsl is."""


class UsageError(Exception):
    """What was asked for cannot be: an unknown regime, an address that is none. The market's text is not at fault."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


def did_you_mean(word: str, known: Iterable[str], most: int = 12) -> str:
    """`Did you mean 'uniform'? Known here: ...`: the nearest known word, if any is near, then `most` known ones."""
    names = sorted(set(known))
    likely = names
    if len(names) > _COMPARED:  # of thousands, those of nearly the same length that begin alike
        likely = sorted(names, key=lambda n: (abs(len(n) - len(word)), n[:1] != word[:1]))[:_COMPARED]
    near = difflib.get_close_matches(word, likely, n=1, cutoff=0.6) or [n for n in names if n.lower() == word.lower()]
    parts = [f"Did you mean '{near[0]}'?"] if near else []
    if names:
        shown = ", ".join(names[:most]) + (", ..." if len(names) > most else ".")
        parts.append(f"Known here: {shown}")
    return " ".join(parts) or "None is declared here."


@lru_cache(maxsize=8)
def _lines(text: str) -> tuple[str, ...]:
    """Cut once for all the messages about a text."""
    return tuple(text.splitlines())


def _place(span: Span) -> str:
    if span.end_line == span.line:
        last = max(span.column, span.end_column - 1)
        columns = f"column {span.column}" if last == span.column else f"columns {span.column} to {last}"
        return f"line {span.line}, {columns}"
    return f"lines {span.line} to {span.end_line}"


def _excerpt(source: Source, span: Span) -> Sequence[str]:
    """The line at fault with the one before it, and carets under the place; long lines are cut around the place."""
    width = len(str(span.line))
    shown = []
    if span.line > 1 and source.line(span.line - 1).strip():
        shown.append(f"  {span.line - 1:>{width}} | {_cut(source.line(span.line - 1), 1)[0]}")
    text, column = _cut(source.line(span.line), span.column)
    end = column + (span.end_column - span.column) if span.end_line == span.line else len(text) + 1
    carets = "^" * max(1, min(end, len(text) + 1) - column)
    indent = "".join("\t" if c == "\t" else " " for c in text[: column - 1])
    shown.append(f"  {span.line:>{width}} | {text}")
    shown.append(f"  {'':>{width}} | {indent}{carets}")
    return shown


def _cut(text: str, column: int) -> tuple[str, int]:
    """`text` shortened to a readable width around `column`, and the column in what is left."""
    if len(text) <= _EXCERPT_WIDTH:
        return _printable(text), column
    start = max(0, column - 1 - _EXCERPT_WIDTH // 2)
    piece = text[start : start + _EXCERPT_WIDTH]
    head = "..." if start else ""
    tail = "..." if start + _EXCERPT_WIDTH < len(text) else ""
    return f"{head}{_printable(piece)}{tail}", column - start + len(head)


def _sayable(text: str) -> str:
    """A message as a terminal can bear it: it may quote what cannot be printed, or goes on for ever."""
    return _printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else "�" for c in text)
