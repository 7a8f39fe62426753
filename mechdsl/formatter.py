"""`mechdsl fmt`: one layout for a text, with every comment kept.

The tokens are laid out anew; of the old layout three things are kept, because the writer meant them: blank lines between groups
(at most one), a body written on one line (if it still fits), and short statements that share a line in a body. All else
follows from the tokens alone, so formatting twice changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from mechdsl.pretty import BREAK, SOFT, SPACE, Doc, Group, Indent, Text, concat, flat, render
from mechdsl.syntax import Pieces, parse_pieces
from mechdsl.syntax_tree import ExperimentStatement, LayerStatement, Node, RegimeStatement

if TYPE_CHECKING:
    from lark import Token

__all__ = ["WIDTH", "format_file"]

WIDTH = 120
_STEP = 2  # columns a body stands in
_HANG = 4  # columns the rest of a broken statement stands in
_SHARED = 40  # a statement wider than this has its line to itself
_CELL = 72  # a cell wider than this overflows its column instead of widening it

_ENDS = {"NAME", "NUMBER", "STRING", "PATH", "RPAR", "RSQB", "RBRACE"}
_CALLED = {"NAME", "AGGREGATE", "DEMAND", "CONTRACT"}
_LEVELS = (("or",), ("and",), (">=", "<=", "==", ">", "<", "!="), ("+", "-"), ("*", "/"))
_OPEN = {"(", "[", "{"}
_CLOSE = {")", "]", "}"}


def format_file(text: str, name: str = "<text>") -> str:
    """The text in its one layout; `parse(format_file(text)) == parse(text)`, and `format_file` of the result is the result.

    Args:
        text: the contents of a `.mech` file.
        name: what the messages call it.

    Raises:
        MechError: the text does not parse.
    """
    pieces = parse_pieces(text, name)
    lines = _Layout(pieces).file()
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class _Statement:
    """Where a statement stands among the tokens: `start` to `end`, and if it has a body, its braces and its statements."""

    start: int
    end: int
    node: Node
    opens: int | None = None
    closes: int | None = None
    items: tuple[_Statement, ...] = ()

    @property
    def head_end(self) -> int:
        return self.end if self.opens is None else self.opens + 1


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a body, or what takes several.

    Args:
        lines: what it looks like, without its indentation if it is one line.
        cells: its one line in columns, if it may be aligned with its neighbours.
        kind: rows of one kind are aligned with each other.
        blank: an empty line comes before it.
    """

    lines: tuple[str, ...]
    blank: bool
    kind: str = ""
    cells: tuple[str, ...] = ()


class _Layout:
    """The layout of one text."""

    def __init__(self, pieces: Pieces) -> None:
        self._tokens = pieces.tokens[:-1]
        self._starts = [_start(token) for token in self._tokens]
        self._file = pieces.file
        # Comments by the token that follows them.
        self._comments: dict[int, list[Token]] = {}
        for comment in pieces.comments:
            self._comments.setdefault(bisect_left(self._starts, _start(comment)), []).append(comment)

    def file(self) -> list[str]:
        statements = [self._statement(node) for node in self._file.statements]
        return self._body(statements, 0, len(self._tokens), 0, share=False)

    # ------------------------------------------------------------------------------------------------------ the pieces

    def _statement(self, node: Node) -> _Statement:
        start = bisect_left(self._starts, node.span.start)
        end = bisect_left(self._starts, node.span.end)
        match node:
            case LayerStatement(items=inner) | RegimeStatement(body=inner) | ExperimentStatement(items=inner):
                braces = [i for i in range(start, end) if self._tokens[i] in {"{", "}"}]
                if braces:
                    items = tuple(self._statement(item) for item in inner)
                    return _Statement(start, end, node, braces[0], braces[-1], items)
        return _Statement(start, end, node)

    def _own_line(self, comment: Token, i: int) -> bool:
        """Whether a comment before token `i` has its line to itself."""
        return i == 0 or self._tokens[i - 1].line != comment.line

    def _inner_comments(self, start: int, end: int) -> bool:
        return any(i in self._comments for i in range(start + 1, end))

    # --------------------------------------------------------------------------------------------------------- bodies

    def _body(self, statements: Sequence[_Statement], start: int, end: int, indent: int, share: bool) -> list[str]:
        """The lines of what stands between tokens `start` and `end`: statements, and comments on their own lines."""
        rows: list[_Row] = []
        line = self._tokens[start - 1].end_line if start else 0  # where what came last ends
        group: list[_Statement] = []
        for statement in [*statements, None]:
            first = end if statement is None else statement.start
            comments = self._comments.get(first, [])
            trailing = [c for c in comments if not self._own_line(c, first)]
            if group and (statement is None or comments or not self._shares(group[-1], statement, share)):
                rows += self._rows(group, indent, trailing, blank=self._gap(line, group[0].start, rows))
                line = self._tokens[group[-1].end - 1].end_line
                group = []
            for comment in comments:
                if comment not in trailing or comment.line != line:
                    rows.append(_Row((str(comment).rstrip(),), bool(rows) and comment.line - line > 1))
                line = comment.line
            if statement is not None:
                group.append(statement)
        return list(_laid_out(rows, indent))
