"""`mechdsl fmt`: one layout for a text, with every comment kept.

The tokens are laid out anew. Of the old layout three things are kept, because the writer meant them: blank lines
between groups (at most one), a body written on one line (if it still fits), and short statements that share a line in
a body. All else follows from the tokens and comments alone, so formatting twice changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from mechdsl.pretty import BREAK, SOFT, SPACE, Doc, Group, Indent, Line, Text, concat, render
from mechdsl.syntax import Pieces, parse_pieces
from mechdsl.syntax_tree import ExperimentStatement, LayerStatement, Node, RegimeStatement

if TYPE_CHECKING:
    from lark import Token

__all__ = ["WIDTH", "format_file"]

WIDTH = 120
_STEP = 2  # columns that a body stands in
_HANG = 4  # columns that the rest of a broken statement stands in
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

_ENDS = {"NAME", "NUMBER", "STRING", "PATH", "RPAR", "RSQB", "RBRACE"}
_CALLED = {"NAME", "AGGREGATE", "DEMAND", "CONTRACT"}
_LEVELS = ({"or"}, {"and"}, {">=", "<=", "==", ">", "<", "!="}, {"+", "-"}, {"*", "/"})
_OPEN = {"(", "[", "{"}
_CLOSE = {")", "]", "}"}
_MANY = 8  # so many short entries are packed into lines instead of taking one each


def format_file(text: str, name: str = "<text>") -> str:
    """The text in its one layout: `parse(format_file(text)) == parse(text)`, and its own layout is itself.

    Args:
        text: the contents of a `.mech` file.
        name: what the messages call it.

    Raises:
        MechError: the text does not parse.
    """
    lines = _Layout(parse_pieces(text, name)).file()
    return "".join(f"{line}\n" for line in lines)


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


class _Layout:
    """The layout of one text; tokens are known by their index, comments by the index of the token that follows."""

    def __init__(self, pieces: Pieces) -> None:
        self._tokens = pieces.tokens[:-1]
        self._starts = [_start(token) for token in self._tokens]
        self._statements = [self._spanned(node) for node in pieces.file.statements]
        self._comments: dict[int, list[Token]] = {}
        for comment in pieces.comments:
            follower = bisect_left(self._starts, _start(comment))
            if follower < len(self._tokens) and self._tokens[follower] == ",":
                follower += 1  # a comment before a comma is one after it
            self._comments.setdefault(follower, []).append(comment)

    def file(self) -> list[str]:
        """The lines of the whole text."""
        return self._body(self._statements, len(self._tokens), 0, share=False)

    def _spanned(self, node: Node) -> _Span:
        start = bisect_left(self._starts, node.span.start)
        end = bisect_left(self._starts, node.span.end)
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
            for comment in self._comments.get(follower, []):
                line = comment.line or 0
                if self._has_own_line(comment, follower):
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
        if len(texts) > 1:
            *lines, last = _packed(texts, room)
            for line in lines:
                yield _Row(blank, cells=(line, "", "", ""))
                blank = False
            yield _Row(blank, cells=(last, "", "", entry.comment))
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
        if any(i in self._comments for i in range(statement.start + 1, statement.end)):
            return None
        if statement.opens < 0:
            return self._text(statement.start, statement.end)
        if statement.items and self._tokens[statement.opens].line != self._tokens[statement.closes].line:
            return None
        items = [self._one_line(item) or "" for item in statement.items]
        head = self._text(statement.start, statement.opens)
        return f"{head} {_braced(items)}{self._after(statement)}"

    def _after(self, statement: _Span) -> str:
        """What comes after a body: its description, if it stands there."""
        rest = self._text(statement.closes + 1, statement.end)
        return f" {rest}" if rest else ""

    def _cells(self, statement: _Span) -> tuple[str, tuple[str, str, str]]:
        """The kind of a one-line statement, and its first three cells: the last is the description, or the body."""
        start, end = statement.start, statement.end
        keyword = self._tokens[start].value
        if statement.opens >= 0:
            body = _braced([self._one_line(item) or "" for item in statement.items]) + self._after(statement)
            if keyword == "regime":
                return keyword, (self._text(start, start + 2), self._text(start + 2, statement.opens), body)
            return "", (f"{self._text(start, statement.opens)} {body}", "", "")
        doc = end - 1 if getattr(statement.node, "doc", None) is not None else end
        tail = self._text(doc, end)
        if keyword in {"type", "choose", "cost", "value", "signal", "bargaining", "outside", "represents"}:
            return "item", (keyword, self._text(start + 1, doc), tail)
        sign = next((i for i in self._outermost(start, doc) if self._tokens[i] in {"=", "~"}), doc)
        if keyword in {"param", "let", "report", "set"} and sign < doc:
            return keyword, (self._text(start, sign), self._text(sign, doc), tail)
        if tail:
            return keyword, (self._text(start, doc), "", tail)
        return "", (self._text(start, doc), "", "")

    def _broken(self, statement: _Span, indent: int) -> list[str]:
        """The statement on several lines."""
        if statement.opens < 0:
            return render(self._statement_doc(statement), indent, WIDTH)
        head = render(Indent(_HANG, self._sequence(statement.start, statement.opens + 1)), indent, WIDTH)
        first = self._comments.get(statement.opens + 1, [])
        for comment in first:
            if not self._has_own_line(comment, statement.opens + 1):
                head[-1] = f"{head[-1]}  {comment.rstrip()}"
        one_line = self._tokens[statement.opens].line == self._tokens[statement.closes].line
        body = self._body(statement.items, statement.closes, indent + _STEP, share=not one_line)
        tail = render(Indent(_HANG, self._sequence(statement.closes, statement.end)), indent, WIDTH)
        return [*head, *body, *tail]

    # ----------------------------------------------------------------------------------------------- words, expressions

    def _statement_doc(self, statement: _Span) -> Doc:
        """`HEAD = VALUE "description"`: broken before the description and after outer commas, then inside the value."""
        start, end = statement.start, statement.end
        doc = end - 1 if getattr(statement.node, "doc", None) is not None else end
        signs = (i for i in self._outermost(start, doc) if self._tokens[i] in {"=", "~", ":"})
        value = next(signs, start) + 1
        parts: list[Doc] = []
        for at, (first, last) in enumerate(self._split(value, doc)):
            parts += [self._before(first, SPACE if at else None), self._expression(first, last)]
            parts += [Text(",")] if last < doc else []
        body: Doc = concat(parts) if self._hugs(value, doc) else Indent(_HANG, concat(parts))
        head = self._sequence(start, value)
        if doc == end:
            return Group(concat([head, body]))
        tail = Group(Indent(_HANG, concat([self._before(doc, Line("  ")), Text(self._tokens[doc])])))
        return concat([Group(concat([head, body])), tail])

    def _hugs(self, start: int, end: int) -> bool:
        """Whether the value is one bracket, perhaps with a name before it, that may open on the line of the head."""
        first = next((i for i in range(start, min(end, start + 2)) if self._tokens[i] in _OPEN), None)
        return first is not None and self._closer(first) == end - 1

    def _expression(self, start: int, end: int) -> Doc:
        """Broken before the operators that bind least."""
        outermost = list(self._outermost(start, end))
        for level in _LEVELS:
            signs = [i for i in outermost if self._tokens[i] in level and i > start and self._is_binary(i)]
            if signs:
                parts = [self._expression(start, signs[0])]
                for sign, following in pairwise([*signs, end]):
                    operand = self._expression(sign + 1, following)
                    parts += [self._before(sign, SPACE), Text(self._tokens[sign]), self._before(sign + 1), operand]
                return Group(concat(parts))
        return self._sequence(start, end)

    def _sequence(self, start: int, end: int) -> Doc:
        """Words and brackets side by side."""
        parts: list[Doc] = []
        i = start
        while i < end:
            if i > start:
                parts.append(self._before(i))
            closes = self._closer(i) if self._tokens[i] in _OPEN else i
            if i < closes < end:
                parts.append(self._brackets(i, closes))
                i = closes
            else:
                parts.append(Text(self._tokens[i]))
            i += 1
        return concat(parts)

    def _brackets(self, opens: int, closes: int) -> Doc:
        """`(a, b)`, or an entry a line; many short entries are packed."""
        entries = self._split(opens + 1, closes)
        packed = len(entries) > _MANY and all(last - first <= 2 for first, last in entries)
        inner: list[Doc] = []
        for at, (first, last) in enumerate(entries):
            entry: Doc = concat([self._before(first, SPACE if at else SOFT), self._entry(first, last)])
            inner.append(Group(entry) if packed and at else entry)
            inner += [Text(",")] if last < closes else []
        comments = self._comments.get(closes)
        ending = [self._before(closes)] if comments else []
        return Group(
            concat(
                [Text(self._tokens[opens]), Indent(_STEP, concat([*inner, *ending])), SOFT, Text(self._tokens[closes])]
            )
        )

    def _entry(self, start: int, end: int) -> Doc:
        """`E`, `name = E`, `label: E`; the letters of a sum are not broken."""
        signs = (i for i in self._outermost(start, end) if self._tokens[i] in {"=", ":"})
        sign = next(signs, None)
        if sign is None:
            return self._expression(start, end)
        value = self._expression(sign + 1, end)
        return concat([self._sequence(start, sign + 1), self._before(sign + 1), value])

    def _before(self, i: int, line: Line | None = None) -> Doc:
        """What stands before token `i`: the comments there, else the possible line break, else the usual gap."""
        comments = self._comments.get(i)
        if not comments:
            return line or Text(self._gap(i))
        parts: list[Doc] = []
        for comment in comments:
            own = self._has_own_line(comment, i)
            parts += [BREAK if own else Text("  "), Text(comment.rstrip()), BREAK]
        return concat(parts)

    # ---------------------------------------------------------------------------------------------------------- tokens

    def _text(self, start: int, end: int) -> str:
        """The tokens on one line."""
        return "".join((self._gap(i) if i > start else "") + self._tokens[i] for i in range(start, end))

    def _gap(self, i: int) -> str:
        """What stands between token `i` and the one before it on a line."""
        a, b = self._tokens[i - 1], self._tokens[i]
        if b == ".." and a.endswith("."):
            return " "
        if b in {",", ":", ")", "]", "}", "^", ".."} or a in {"(", "[", "{", "^", ".."}:
            return ""
        if a in {"+", "-"} and not self._is_binary(i - 1):
            return ""
        if b in {"(", "["} and a.type in _CALLED:
            return ""
        return " "

    def _is_binary(self, i: int) -> bool:
        return i > 0 and self._tokens[i - 1].type in _ENDS and self._tokens[i].type != "NAME"

    def _has_own_line(self, comment: Token, i: int) -> bool:
        """Whether the comment before token `i` is the first thing on its line."""
        return i == 0 or self._tokens[i - 1].line != comment.line

    def _outermost(self, start: int, end: int) -> Iterator[int]:
        """The tokens from `start` to `end` that no bracket between these encloses."""
        depth = 0
        for i in range(start, end):
            depth -= self._tokens[i] in _CLOSE
            if depth == 0:
                yield i
            depth += self._tokens[i] in _OPEN

    def _closer(self, opens: int) -> int:
        """The bracket that closes the one at `opens`."""
        depth = 0
        for i in range(opens, len(self._tokens)):
            depth += (self._tokens[i] in _OPEN) - (self._tokens[i] in _CLOSE)
            if depth == 0:
                return i
        return opens

    def _split(self, start: int, end: int) -> list[tuple[int, int]]:
        """The stretches between the outer commas; of a sum or product, whose commas part letters, the whole."""
        if start >= 2 and self._tokens[start - 1] == "(" and self._tokens[start - 2].type == "AGGREGATE":
            return [(start, end)]
        commas = [i for i in self._outermost(start, end) if self._tokens[i] == ","]
        bounds = [start - 1, *commas, end]
        return [(before + 1, after) for before, after in pairwise(bounds) if before + 1 < after]


def _start(token: Token) -> int:
    return token.start_pos or 0


def _braced(items: Iterable[str]) -> str:
    """A body on one line."""
    inner = "  ".join(items)
    return f"{{ {inner} }}" if inner else "{}"


def _packed(texts: Iterable[str], room: int) -> list[str]:
    """As many texts a line as fit."""
    lines: list[str] = []
    for text in texts:
        joined = f"{lines[-1]}  {text}" if lines else ""
        if lines and len(joined) <= room:
            lines[-1] = joined
        else:
            lines.append(text)
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
