"""Bodies as rows: statements and comments one below the other, and the columns of those that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

from mechdsl.formatter.phrases import Phrases
from mechdsl.formatter.pretty import render
from mechdsl.formatter.words import Words
from mechdsl.syntax import Pieces
from mechdsl.syntax_tree import ExperimentStatement, LayerStatement, Node, RegimeStatement

__all__ = ["WIDTH", "Layout"]

WIDTH = 120
_STEP = 2  # columns that a body stands in
_SHARED = 40  # a statement wider than this has its line to itself

# By kind of row: how wide it may be before its second, third and fourth cell to widen these columns (a wider one runs
# over them), and what stands before each.
_COLUMNS = MappingProxyType(
    {
        "": ((40, " "), (72, "  "), (96, "  ")),
        "item": ((6, " "), (72, "  "), (96, "  ")),
        "regime": ((40, " "), (72, " "), (96, "  ")),
    }
)


@dataclass(frozen=True, slots=True)
class _Span:
    """A statement among the tokens, `start` to `end`; if it has a body, its braces and the statements in it."""

    start: int
    end: int
    node: Node
    opens: int = -1
    closes: int = -1
    items: tuple[_Span, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    """What has a line of its own in a body: statements that share it (one, as a rule), or a comment, or both."""

    statements: tuple[_Span, ...]
    comment: str
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class _Row:
    """An entry laid out: one line in four cells, which neighbours of the same kind align, or lines as they are."""

    blank: bool  # an empty line comes before
    kind: str = ""
    cells: tuple[str, str, str, str] = ("", "", "", "")
    lines: tuple[str, ...] = ()


class Layout:
    """The layout of one text; tokens are known by their index, comments by the index of the token that follows."""

    def __init__(self, pieces: Pieces) -> None:
        self._words = Words(pieces)
        self._tokens = self._words.tokens
        self._phrases = Phrases(self._words)
        self._statements = [self._spanned(node) for node in pieces.file.statements]

    def file(self) -> list[str]:
        """The lines of the whole text."""
        return self._body(self._statements, len(self._tokens), 0, share=False)

    def _spanned(self, node: Node) -> _Span:
        start = self._words.at(node.span.start)
        end = self._words.at(node.span.end)
        match node:
            case LayerStatement(items=inner) | RegimeStatement(body=inner) | ExperimentStatement(items=inner):
                braces = [i for i in range(start, end) if self._tokens[i] in {"{", "}"}]
                if braces:
                    items = tuple(self._spanned(item) for item in inner)
                    return _Span(start, end, node, braces[0], braces[-1], items)
        return _Span(start, end, node)

    # ---------------------------------------------------------------------------------------------------------- bodies

    def _body(self, statements: Sequence[_Span], end: int, indent: int, *, share: bool) -> list[str]:
        """The lines of the statements of a body that ends before token `end`, and of the comments between them."""
        rows: list[_Row] = []
        entries = self._entries(statements, end, share)
        for before, entry in pairwise([None, *entries]):
            assert entry is not None
            blank = before is not None and entry.first_line - before.last_line > 1
            rows += self._rows(entry, indent, blank=blank)
        return list(_aligned(rows, indent))

    def _entries(self, statements: Sequence[_Span], end: int, share: bool) -> list[_Entry]:
        entries: list[_Entry] = []
        for statement in [*statements, None]:
            follower = end if statement is None else statement.start
            for comment in self._words.comments(follower):
                line = comment.line or 0
                if self._words.has_own_line(comment, follower):
                    entries.append(_Entry((), comment.rstrip(), line, line))
                elif entries:  # else it stands after the opening brace, and the head has it
                    entries[-1] = replace(entries[-1], comment=comment.rstrip())
            if statement is not None:
                first, last = self._tokens[statement.start].line or 0, self._tokens[statement.end - 1].line or 0
                if share and entries and self._share(entries[-1], statement):
                    entries[-1] = replace(entries[-1], statements=(*entries[-1].statements, statement), last_line=last)
                else:
                    entries.append(_Entry((statement,), "", first, last))
        return entries

    def _share(self, entry: _Entry, statement: _Span) -> bool:
        """Whether the statement stays on the entry's line: it stood there, and all on it are short."""
        if not entry.statements or entry.last_line != self._tokens[statement.start].line:
            return False
        texts = (None if s.items else self._one_line(s) for s in (*entry.statements, statement))
        return all(text is not None and len(text) <= _SHARED for text in texts)

    def _rows(self, entry: _Entry, indent: int, *, blank: bool) -> Iterator[_Row]:
        room = WIDTH - indent
        if not entry.statements:
            yield _Row(blank, cells=(entry.comment, "", "", ""))
            return
        texts = [self._one_line(statement) or "" for statement in entry.statements]
        packed = _packed(texts, room)
        if len(packed) > 1:  # each line is an entry of its own, as it will be next time
            for at in packed:
                comment = entry.comment if at is packed[-1] else ""
                part = replace(entry, statements=entry.statements[at.start : at.stop], comment=comment)
                yield from self._rows(part, indent, blank=blank and at.start == 0)
            return
        if len(texts) > 1:
            yield _Row(blank, cells=("  ".join(texts), "", "", entry.comment))
            return
        (statement,) = entry.statements
        kind, cells = self._cells(statement) if texts[0] else ("", ("", "", ""))
        if texts[0] and len(" ".join(filter(None, cells))) <= room:
            yield _Row(blank, kind, (*cells, entry.comment))
        else:
            *lines, last = self._broken(statement, indent)
            yield _Row(blank, lines=(*lines, f"{last}  {entry.comment}" if entry.comment else last))

    # ------------------------------------------------------------------------------------------------------ statements

    def _one_line(self, statement: _Span) -> str | None:
        """The statement on one line; None if comments forbid it, or its body was written on several."""
        if any(map(self._words.comments, range(statement.start + 1, statement.end))):
            return None
        if statement.opens < 0:
            return self._words.text(statement.start, statement.end)
        if statement.items and self._tokens[statement.opens].line != self._tokens[statement.closes].line:
            return None
        items = [self._one_line(item) or "" for item in statement.items]
        head = self._words.text(statement.start, statement.opens)
        return f"{head} {_braced(items)}{self._after(statement)}"

    def _after(self, statement: _Span) -> str:
        """What comes after a body: its description, if it stands there."""
        rest = self._words.text(statement.closes + 1, statement.end)
        return f" {rest}" if rest else ""

    def _cells(self, statement: _Span) -> tuple[str, tuple[str, str, str]]:
        """The kind of a one-line statement, and its first three cells: the last is the description, or the body."""
        start, end = statement.start, statement.end
        keyword = self._tokens[start].value
        if statement.opens >= 0:
            body = _braced([self._one_line(item) or "" for item in statement.items]) + self._after(statement)
            if keyword == "regime":
                return keyword, (self._words.text(start, start + 2), self._words.text(start + 2, statement.opens), body)
            return "", (f"{self._words.text(start, statement.opens)} {body}", "", "")
        doc = _doc(statement)
        tail = self._words.text(doc, end)
        if keyword in {"type", "choose", "cost", "value", "signal", "bargaining", "outside", "represents"}:
            return "item", (keyword, self._words.text(start + 1, doc), tail)
        sign = next((i for i in self._words.outermost(start, doc) if self._tokens[i] in {"=", "~"}), doc)
        if keyword in {"param", "let", "report", "set"} and sign < doc:
            return keyword, (self._words.text(start, sign), self._words.text(sign, doc), tail)
        if tail:
            return keyword, (self._words.text(start, doc), "", tail)
        return "", (self._words.text(start, doc), "", "")

    def _broken(self, statement: _Span, indent: int) -> list[str]:
        """The statement on several lines."""
        if statement.opens < 0:
            return render(self._phrases.statement(statement.start, _doc(statement), statement.end), indent, WIDTH)
        head = render(self._phrases.head(statement.start, statement.opens + 1), indent, WIDTH)
        first = self._words.comments(statement.opens + 1)
        for comment in first:
            if not self._words.has_own_line(comment, statement.opens + 1):
                head[-1] = f"{head[-1]}  {comment.rstrip()}"
        one_line = self._tokens[statement.opens].line == self._tokens[statement.closes].line
        body = self._body(statement.items, statement.closes, indent + _STEP, share=not one_line)
        tail = render(self._phrases.head(statement.closes, statement.end), indent, WIDTH)
        return [*head, *body, *tail]


def _doc(statement: _Span) -> int:
    """The description at the end of a statement; its end if it has none."""
    return statement.end - (getattr(statement.node, "doc", None) is not None)


def _braced(items: Iterable[str]) -> str:
    """A body on one line."""
    inner = "  ".join(items)
    return f"{{ {inner} }}" if inner else "{}"


def _packed(texts: Sequence[str], room: int) -> list[range]:
    """As many texts a line as fit, two columns apart: which."""
    lines: list[range] = []
    for at, text in enumerate(texts):
        start = lines[-1].start if lines else at
        if start < at and len("  ".join((*texts[start:at], text))) <= room:
            lines[-1] = range(start, at + 1)
        else:
            lines.append(range(at, at + 1))
    return lines


def _aligned(rows: Sequence[_Row], indent: int) -> Iterator[str]:
    """The lines of a body: the cells of neighbouring rows of one kind begin in the same columns."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end < len(rows) and rows[end].kind == rows[start].kind != "" and not rows[end].blank:
            continue
        run = rows[start:end]
        yield from [""] if run[0].blank else []
        for row, text in zip(run, _columns(run, WIDTH - indent), strict=True):
            yield from row.lines or [" " * indent + text]
        start = end


def _columns(rows: Sequence[_Row], room: int) -> list[str]:
    """The cells of each row as one text, padded to common columns; a row that this makes too wide stays as it is."""
    texts = [row.cells[0] for row in rows]
    style = _COLUMNS.get(rows[0].kind, _COLUMNS[""])
    for at, (limit, gap) in enumerate(style, start=1):
        width = max(
            (len(t) for t, row in zip(texts, rows, strict=True) if row.cells[at] and len(t) <= limit), default=0
        )
        for i, row in enumerate(rows):
            if row.cells[at]:
                rest = " ".join(filter(None, row.cells[at:3]))
                ways = (texts[i].ljust(width) + gap, texts[i] + gap, texts[i] + " ")
                texts[i] = next((way for way in ways if len(way + rest) <= room), ways[-1]) + row.cells[at]
    return texts
