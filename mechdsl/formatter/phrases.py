"""Statements as documents that may break after outer commas, before the loosest operators, and in brackets.

Every comment inside a statement keeps its place between two tokens, and forces the line to end where it ends.
"""

from __future__ import annotations

from itertools import pairwise

from mechdsl.formatter.pretty import BREAK, SOFT, SPACE, Doc, Group, Indent, Line, Text, concat
from mechdsl.formatter.words import OPENING, Words

__all__ = ["Phrases"]

_STEP = 2  # columns that the entries of a bracket stand in
_HANG = 4  # columns that the rest of a broken statement stands in
_LEVELS = ({"or"}, {"and"}, {">=", "<=", "==", ">", "<", "!="}, {"+", "-"}, {"*", "/"})
_MANY = 8  # so many short entries are packed into lines instead of taking one each


class Phrases:
    """The documents of one text."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def head(self, start: int, end: int) -> Doc:
        """What comes before or after a body."""
        return Indent(_HANG, self._sequence(start, end))

    def statement(self, start: int, doc: int, end: int) -> Doc:
        """`HEAD = VALUE "description"`: broken before the description and after outer commas, then inside the value.

        Args:
            start: its first token.
            doc: its description; the end if it has none.
            end: the token after it.
        """
        signs = (i for i in self._words.outermost(start, doc) if self._words.tokens[i] in {"=", "~", ":"})
        value = next(signs, start) + 1
        parts: list[Doc] = []
        for at, (first, last) in enumerate(self._words.split(value, doc)):
            parts += [self._before(first, SPACE if at else None), self._expression(first, last)]
            parts += [Text(",")] if last < doc else []
        body: Doc = concat(parts) if self._hugs(value, doc) else Indent(_HANG, concat(parts))
        head = self._sequence(start, value)
        if doc == end:
            return Group(concat([head, body]))
        tail = Group(Indent(_HANG, concat([self._before(doc, Line("  ")), self._word(doc)])))
        return concat([Group(concat([head, body])), tail])

    def _hugs(self, start: int, end: int) -> bool:
        """Whether the value is one bracket, perhaps with a name before it, that may open on the line of the head."""
        first = next((i for i in range(start, min(end, start + 2)) if self._words.tokens[i] in OPENING), None)
        return first is not None and self._words.closer(first) == end - 1

    def _expression(self, start: int, end: int) -> Doc:
        """Broken before the operators that bind least."""
        outermost = list(self._words.outermost(start, end))
        for level in _LEVELS:
            signs = [i for i in outermost if self._words.tokens[i] in level and i > start and self._words.is_binary(i)]
            if signs:
                parts = [self._expression(start, signs[0])]
                for sign, following in pairwise([*signs, end]):
                    operand = self._expression(sign + 1, following)
                    parts += [self._before(sign, SPACE), self._word(sign), self._before(sign + 1), operand]
                return Group(concat(parts))
        return self._sequence(start, end)

    def _sequence(self, start: int, end: int) -> Doc:
        """Words and brackets side by side."""
        parts: list[Doc] = []
        i = start
        while i < end:
            if i > start:
                parts.append(self._before(i))
            closes = self._words.closer(i) if self._words.tokens[i] in OPENING else i
            if i < closes < end:
                parts.append(self._brackets(i, closes))
                i = closes
            else:
                parts.append(self._word(i))
            i += 1
        return concat(parts)

    def _brackets(self, opens: int, closes: int) -> Doc:
        """`(a, b)`, or an entry a line; many short entries are packed."""
        entries = self._words.split(opens + 1, closes)
        packed = len(entries) > _MANY and all(last - first <= 2 for first, last in entries)
        inner: list[Doc] = []
        for at, (first, last) in enumerate(entries):
            entry: Doc = concat([self._before(first, SPACE if at else SOFT), self._entry(first, last)])
            inner.append(Group(entry) if packed and at else entry)
            inner += [Text(",")] if last < closes else []
        comments = self._words.comments(closes)
        ending = [self._before(closes)] if comments else []
        content = Indent(_STEP, concat([*inner, *ending]))
        return Group(concat([self._word(opens), content, SOFT, self._word(closes)]))

    def _entry(self, start: int, end: int) -> Doc:
        """`E`, `name = E`, `label: E`; the letters of a sum are not broken."""
        signs = (i for i in self._words.outermost(start, end) if self._words.tokens[i] in {"=", ":"})
        sign = next(signs, None)
        if sign is None:
            return self._expression(start, end)
        value = self._expression(sign + 1, end)
        return concat([self._sequence(start, sign + 1), self._before(sign + 1), value])

    def _word(self, i: int) -> Text:
        return Text(self._words.tokens[i])

    def _before(self, i: int, line: Line | None = None) -> Doc:
        """What stands before token `i`: the comments there, else the possible line break, else the usual gap."""
        comments = self._words.comments(i)
        if not comments:
            return line or Text(self._words.gap(i))
        parts: list[Doc] = []
        for at, comment in enumerate(comments):
            own = at > 0 or self._words.has_own_line(comment, i)
            parts += [BREAK if own else Text("  "), Text(comment.rstrip()), BREAK]
        return concat(parts)
