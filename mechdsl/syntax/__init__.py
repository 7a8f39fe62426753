"""Text to statements: what a `.mech` text says, with the place of every word, before any economics.

Scan, parse, build: three steps, of which the first two find as many mistakes as they can and raise them together. The
grammar is `grammar/mech.lark`; lark is used in this package and nowhere else.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mechdsl.errors import Diagnostic, MechError, Source, Span
from mechdsl.syntax.build import build, canonical_name, too_deep
from mechdsl.syntax.grammar import load_grammar
from mechdsl.syntax.reader import read_tokens
from mechdsl.syntax.scan import MAX_CHARACTERS, scan

if TYPE_CHECKING:
    from lark import Token

    from mechdsl.syntax_tree import Axis, Chain, Expression, File, SetStatement

__all__ = [
    "MAX_CHARACTERS",
    "Pieces",
    "canonical_name",
    "parse",
    "parse_axes",
    "parse_chains",
    "parse_expression",
    "parse_pieces",
    "parse_values",
    "read",
]


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text taken apart without losing anything but white space: for the formatter, and for editors.

    Args:
        file: its statements.
        tokens: its words, numbers and signs; `type` tells a keyword (`COST`) from a name (`NAME`).
        comments: its comments, which are no tokens.
    """

    file: File
    tokens: tuple[Token, ...]
    comments: tuple[Token, ...]


def parse(text: str, name: str = "<text>") -> File:
    """The statements of a text.

    Args:
        text: the contents of a `.mech` file; a byte order mark and Windows line ends are accepted.
        name: what the messages call it.

    Raises:
        MechError: every mistake found, M002 to M009, with the text attached.
    """
    return parse_pieces(text, name).file


def parse_pieces(text: str, name: str = "<text>") -> Pieces:
    """`parse`, with the tokens and comments that the statements were made from. Raises as `parse` does."""
    node, tokens, comments = _parse_as("file", text.removeprefix("\ufeff"), name)
    return Pieces(node, tokens, comments)


def read(path: str | os.PathLike[str]) -> tuple[File, Source]:
    """The statements of a file, and its text for later messages; never more than the limit is read.

    Raises:
        MechError: M001 if it cannot be read or is no text, M002 if it is too large, else as `parse`.
    """
    name = os.fspath(path)
    source = Source(name, _decoded(_bytes(Path(name), name), name))
    return parse(source.text, name), source


def parse_expression(text: str, name: str = "<expression>") -> Expression:
    """One value: `revenue`, `heatmap(x[video])`, `{video: 3}`, `normal(0, 1) on [0, 10]`. Raises as `parse` does."""
    node, _, _ = _parse_as("value", text, name)
    return node  # type: ignore[no-any-return]


def parse_axes(text: str, name: str = "<vary>") -> tuple[Axis, ...]:
    """What `vary` and `--vary` take: `d.video in 1..20 by 0.5, w.3 in [0, 1]`. Raises as `parse` does."""
    node, _, _ = _parse_as("axes", text, name)
    return node  # type: ignore[no-any-return]


def parse_values(text: str, name: str = "<values>") -> tuple[SetStatement, ...]:
    """What `--at` and `--set` take: `c.video=0.3,mu=0`, as the statements `set` that say the same. Raises as `parse`
    does.
    """
    node, _, _ = _parse_as("assignments", text, name)
    return node  # type: ignore[no-any-return]


def parse_chains(text: str, name: str = "<claim>") -> tuple[Chain, ...]:
    """What a claim states: `revenue(M1) >= revenue(M2) >= 0, welfare(M1) == 1`. Raises as `parse` does."""
    node, _, _ = _parse_as("chains", text, name)
    return node  # type: ignore[no-any-return]


def _parse_as(start: str, text: str, name: str) -> tuple[Any, tuple[Token, ...], tuple[Token, ...]]:
    """Scan, parse, build."""
    source = Source(name, text)
    if len(text) > MAX_CHARACTERS:
        raise MechError([_too_large(len(text), "characters")], source)
    grammar = load_grammar()
    scanned = scan(text, grammar)
    if scanned.refused:
        raise MechError(scanned.mistakes, source)
    reading = read_tokens(grammar, scanned, start)
    if reading.tree is None:
        raise MechError(reading.mistakes, source)
    deep = too_deep(reading.tree)
    if deep is not None:
        raise MechError([deep], source)
    return build(reading.tree), reading.tokens, scanned.comments


def _bytes(path: Path, name: str) -> bytes:
    """The contents of a regular file of bearable size; pipes and devices, which may never end, are not opened."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise MechError([Diagnostic("M001", f"this is {kind}", hint="Name a '.mech' file.")], Source(name))
        with path.open("rb") as file:
            data = file.read(MAX_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "this is no path"
        hint = "Check the path, and that the file may be read."
        raise MechError([Diagnostic("M001", f"the file cannot be read: {reason}", hint=hint)], Source(name)) from None
    if len(data) > MAX_CHARACTERS:
        raise MechError([_too_large(max(status.st_size, len(data)), "bytes")], Source(name))
    return data


def _decoded(data: bytes, name: str) -> str:
    """The text of a file, which must be UTF-8."""
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in data and not utf16:
        hint = "A '.mech' file is a text; this may be a document, an archive or a program."
        raise MechError([Diagnostic("M001", "the file is not a text: it holds null bytes", hint=hint)], Source(name))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        text = data.decode("utf-8-sig", errors="replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        place = Span(len(before), len(before) + 1, line, column, line, column + 1)
        message = f"the file is not in UTF-8: byte {error.start + 1} is 0x{data[error.start]:02x}"
        hint = f"It seems to be in {'UTF-16' if utf16 else 'another encoding, such as Latin-1'}: save it as UTF-8."
        raise MechError([Diagnostic("M001", message, None if utf16 else place, hint)], Source(name, text)) from None


def _too_large(size: int, unit: str) -> Diagnostic:
    message = f"the text is too large: {size} {unit}, and the limit is {MAX_CHARACTERS}"
    return Diagnostic("M002", message, hint="Keep large tables in a file beside it: 'csv(\"mu.csv\")'.")
