"""What must hold of any text: it is understood, or refused in words that point into it; and nothing else happens.

`examine` takes a text through parse, format, elaborate and check, which solve nothing. A text that parses must mean
the same after it is laid out, and laying it out again must change nothing. What is refused, and what `check` finds,
must carry codes of the catalogue, places inside the text and letters that a terminal can bear.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path

from mechdsl import syntax
from mechdsl.catalog import EXPLANATIONS
from mechdsl.check import diagnose
from mechdsl.elaborate import elaborate
from mechdsl.errors import Diagnostic, MechError, Source
from mechdsl.formatter import format_file
from mechdsl.report import diagnosis, json_report
from mechdsl.structure import Registry, installed

__all__ = ["NAME", "Misdeed", "examine", "refusal"]

NAME = "fuzz.mech"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST = 60_000  # characters of a whole message


class Misdeed(Exception):  # noqa: N818 - not an error of ours: a finding
    """A property does not hold: a text got what no text may get."""


def examine(text: str, folder: Path | None = None, *, layout: bool = True, check: bool = True) -> str:
    """How far the text came: `text` or `model`, refused with its first code, or `valid`.

    Args:
        text: any.
        folder: where its csv files lie.
        layout: lay it out, too, if it parses.
        check: look at it, too, if it is a model.

    Raises:
        Misdeed: a property does not hold; any other exception is one, too.
    """
    try:
        pieces = syntax.parse_pieces(text, NAME)
    except MechError as error:
        return f"text {refusal(error, text)}"
    if layout:
        _same_after_layout(text, pieces)
    source = Source(NAME, text.removeprefix("\ufeff"))
    try:
        model = elaborate(pieces.file, source, folder)
    except MechError as error:
        return f"model {refusal(error, text)}"
    for warning in model.warnings:
        _well_formed(warning, source)
    if check and model.markets:
        found = diagnose(model, _registry())
        for diagnostic in found.diagnostics:
            _well_formed(diagnostic, source)
        json.loads(json_report.to_text(diagnosis.check_object(found)), parse_constant=_no_constant)
    return "valid"


@cache
def _registry() -> Registry:
    return installed([])


def _no_constant(word: str) -> None:
    raise Misdeed(f"the JSON holds {word}")


def _same_after_layout(text: str, before: syntax.Pieces) -> None:
    formatted = format_file(text, NAME)
    try:
        after = syntax.parse_pieces(formatted, NAME)
    except MechError as error:
        raise Misdeed(f"laid out, it is refused: {error}") from error
    if after.file != before.file:
        raise Misdeed("laid out, it means something else")
    if [c.rstrip() for c in after.comments] != [c.rstrip() for c in before.comments]:
        raise Misdeed("laid out, its comments are others")
    if format_file(formatted, NAME) != formatted:
        raise Misdeed("laid out twice, it changes again")


def refusal(error: MechError, text: str) -> str:
    """The first code of a refusal that is as it should be."""
    source = Source(NAME, text.removeprefix("\ufeff"))
    if not error.diagnostics:
        raise Misdeed("refused without a word")
    for diagnostic in error.diagnostics:
        _well_formed(diagnostic, source)
    large = len(text) > syntax.MAX_CHARACTERS
    absent = all(d.code == "M050" for d in error.diagnostics)  # a file without a market has no place for it
    if not (large or absent or any(d.span for d in error.diagnostics)):
        raise Misdeed(f"refused without a place: {error.diagnostics[0]}")
    if all(d.severity != "error" for d in error.diagnostics):
        raise Misdeed("refused without an error")
    message = error.render()
    if len(message) > _LONGEST:
        raise Misdeed(f"a message of {len(message)} characters")
    return error.diagnostics[0].code


def _well_formed(diagnostic: Diagnostic, source: Source) -> None:
    """A code of the catalogue, a message with a remedy, a place inside the text that lines and columns agree on."""
    if diagnostic.code not in EXPLANATIONS:
        raise Misdeed(f"no code of the catalogue: {diagnostic}")
    if not diagnostic.message or not diagnostic.hint:
        raise Misdeed(f"nothing said: {diagnostic}")
    if len(diagnostic.message) > _LONGEST:
        raise Misdeed(f"a message of {len(diagnostic.message)} characters")
    rendered = diagnostic.render(source)
    rendered.encode()
    if hidden := _CONTROL.search(rendered):
        raise Misdeed(f"U+{ord(hidden[0]):04X} in a message: {rendered!r}")
    if (span := diagnostic.span) is None:
        return
    text = source.text
    if not 0 <= span.start <= span.end <= len(text):
        raise Misdeed(f"outside the text: {diagnostic}")
    for position, line, column in ((span.start, span.line, span.column), (span.end, span.end_line, span.end_column)):
        if not _agree(text, position, line, column):
            raise Misdeed(f"line {line}, column {column} is not character {position}: {diagnostic}")


def _agree(text: str, position: int, line: int, column: int) -> bool:
    """Whether a line and a column are that position; the end of a line is also before the next."""
    starts = _line_starts(text)
    return line <= len(starts) and starts[line - 1] + column - 1 == position


@lru_cache(maxsize=8)
def _line_starts(text: str) -> tuple[int, ...]:
    lines = text.splitlines(keepends=True)
    return (0, *accumulate(map(len, lines[:-1]))) if lines else (0,)
