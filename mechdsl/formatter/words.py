"""The tokens and comments of a text by their places: what stands next to what, what encloses what, what goes between.

Tokens are known by their index, a comment by the index of the token that follows it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from mechdsl.syntax import Pieces

if TYPE_CHECKING:
    from lark import Token

__all__ = ["OPENING", "Words"]

OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")
_ENDS = frozenset({"NAME", "NUMBER", "STRING", "PATH", "RPAR", "RSQB", "RBRACE"})
_CALLED = frozenset({"NAME", "AGGREGATE", "DEMAND", "CONTRACT"})


class Words:
    """The tokens of one text, without the end mark, and its comments."""

    def __init__(self, pieces: Pieces) -> None:
        self.tokens = pieces.tokens[:-1]
        self._starts = [_start(token) for token in self.tokens]
        self._comments: dict[int, list[Token]] = {}
        for comment in pieces.comments:
            follower = self.at(_start(comment))
            if follower < len(self.tokens) and self.tokens[follower] == ",":
                follower += 1  # a comment before a comma is one after it
            self._comments.setdefault(follower, []).append(comment)

    def at(self, position: int) -> int:
        """The first token that starts at a position of the text, or after it."""
        return bisect_left(self._starts, position)

    def comments(self, i: int) -> list[Token]:
        """The comments between token `i` and the one before it."""
        return self._comments.get(i, [])

    def text(self, start: int, end: int) -> str:
        """The tokens on one line."""
        return "".join((self.gap(i) if i > start else "") + self.tokens[i] for i in range(start, end))

    def gap(self, i: int) -> str:
        """What stands between token `i` and the one before it on a line."""
        a, b = self.tokens[i - 1], self.tokens[i]
        if b == ".." and a.endswith("."):
            return " "
        if b in {",", ":", ")", "]", "}", "^", ".."} or a in {"(", "[", "{", "^", ".."}:
            return ""
        if a in {"+", "-"} and not self.is_binary(i - 1):
            return ""
        if (b in {"(", "["} and a.type in _CALLED) or (a == "]" and b == "("):
            return ""
        return " "

    def is_binary(self, i: int) -> bool:
        return i > 0 and self.tokens[i - 1].type in _ENDS and self.tokens[i].type != "NAME"

    def has_own_line(self, comment: Token, i: int) -> bool:
        """Whether the comment before token `i` is the first thing on its line."""
        return i == 0 or self.tokens[i - 1].line != comment.line

    def outermost(self, start: int, end: int) -> Iterator[int]:
        """The tokens from `start` to `end` that no bracket between these encloses."""
        depth = 0
        for i in range(start, end):
            depth -= self.tokens[i] in _CLOSING
            if depth == 0:
                yield i
            depth += self.tokens[i] in OPENING

    def closer(self, opens: int) -> int:
        """The bracket that closes the one at `opens`."""
        depth = 0
        for i in range(opens, len(self.tokens)):
            depth += (self.tokens[i] in OPENING) - (self.tokens[i] in _CLOSING)
            if depth == 0:
                return i
        return opens

    def split(self, start: int, end: int) -> list[tuple[int, int]]:
        """The stretches between the outer commas; of a sum or product, whose commas part letters, the whole."""
        if start >= 2 and self.tokens[start - 1] == "(" and self.tokens[start - 2].type == "AGGREGATE":
            return [(start, end)]
        commas = [i for i in self.outermost(start, end) if self.tokens[i] == ","]
        bounds = [start - 1, *commas, end]
        return [(before + 1, after) for before, after in pairwise(bounds) if before + 1 < after]


def _start(token: Token) -> int:
    return token.start_pos or 0
