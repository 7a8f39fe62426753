"""Where a reader can find its feet in a text that does not parse: what looks like a statement, which braces pair.

The look of the tokens decides, not the parser: two words side by side at the start of a line are a statement, whatever
the parser was waiting for. What indentation says is asked here too, and only of a text that is at fault already.
"""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from mechdsl.syntax.grammar import BODIES, END, Grammar

__all__ = ["WORDS", "Landmarks"]

WORDS = frozenset({"NAME", "AGGREGATE"})
"""The terminals of tokens that may be keywords."""

_AROUND = 60  # tokens on either side
_MAY_END = {"NAME", "NUMBER", "STRING", "PATH", "RPAR", "RSQB", "RBRACE", "LBRACE"}


class Landmarks:
    """The tokens of a text as landmarks.

    Args:
        tokens: all of them; the reader may mend them as it goes, and says so by `forget_braces`.
    """

    def __init__(self, grammar: Grammar, tokens: Sequence[Token]) -> None:
        self._grammar = grammar
        self._tokens = tokens
        self.statements = frozenset[str]().union(*grammar.statements.values())
        self._braces: tuple[dict[int, int], int, int] | None = None

    def forget_braces(self) -> None:
        """Braces were put in, taken out or passed over: which of them pair is to be found anew, when it is asked."""
        self._braces = None

    @property
    def partners(self) -> dict[int, int]:
        """The closing brace of each opening one, by index."""
        return self._matched()[0]

    @property
    def missing(self) -> int:
        """How many opening braces have no partner."""
        return self._matched()[1]

    @property
    def extra(self) -> int:
        """How many closing braces have no partner."""
        return self._matched()[2]

    def _matched(self) -> tuple[dict[int, int], int, int]:
        if self._braces is None:
            self._braces = _match_braces(self._tokens)
        return self._braces

    def back(self, i: int, head: int) -> bool:
        """Whether token `i` starts a line, no further in than token `head`."""
        return self.first_on_line(i) and (self._tokens[i].column or 0) <= (self._tokens[head].column or 0)

    def dedent(self, head: int, body: int, end: int) -> int:
        """Where before token `end` the layout ends the body of the statement `head`, opened by the brace `body`."""
        lines = [j for j in range(body + 1, end) if self.first_on_line(j)]
        if not lines or self.back(lines[0], head):
            return end  # nothing was set in, so nothing tells
        return next((j for j in lines if self.back(j, head) and self.opens_statement(j)), end)

    def outlives(self, i: int, head: int, body: int, keyword: str) -> bool:
        """Whether the text goes on from the statement at `i` as if the body were over, although its braces pair.

        Args:
            i: a statement that the body cannot hold.
            head: the statement whose body it is, by its first token.
            body: the brace that opened it.
            keyword: of the statement.
        """
        partner = self.partners.get(body)
        if partner is None or not self.back(i, head):
            return False
        held = self._grammar.statements[keyword]
        depth = 0
        for j in range(i, partner):
            token = self._tokens[j]
            depth += (token == "{") - (token == "}")
            if depth == 0 and self.opens_statement(j):
                if token.value in held - self._grammar.statements["file"]:
                    return False
                if token.value in BODIES and token.value not in held:
                    return True
        aligned = self._tokens[partner].column == self._tokens[head].column
        return not (aligned and self.first_on_line(partner))

    def first_on_line(self, i: int) -> bool:
        """Whether token `i` is the first on its line."""
        return i == 0 or self._tokens[i - 1].line != self._tokens[i].line

    def line(self, i: int) -> tuple[Token, ...]:
        """The tokens on the line of token `i`; of a long line those around it."""
        first = last = i
        while first > max(0, i - _AROUND) and self._tokens[first - 1].line == self._tokens[i].line:
            first -= 1
        while last + 1 < min(len(self._tokens), i + _AROUND) and self._tokens[last + 1].line == self._tokens[i].line:
            last += 1
        return tuple(token for token in self._tokens[first : last + 1] if token.type != END)

    def opens_statement(self, i: int) -> bool:
        """Whether token `i` and the one after it look like the start of a statement, of any body."""
        token = self._tokens[i]
        if token.type not in WORDS or token.value not in self.statements:
            return False
        after = self._tokens[i + 1].type
        return after in self._grammar.follows[token.value] - {"PLUS", "MINUS"}

    def starts(self, i: int, body: str) -> bool:
        """Whether reading can resume at token `i`: it opens a statement, on its own line, or one that fits the
        body, after what may end another.
        """
        if not self.opens_statement(i):
            return False
        fits = self._tokens[i].value in self._grammar.statements[body]
        return self.first_on_line(i) or (fits and self._tokens[i - 1].type in _MAY_END)

    def plausible(self, i: int, keyword: str) -> bool:
        """Whether token `i` may have been meant to open a statement with this keyword."""
        after = self._tokens[i + 1]
        alone = self.first_on_line(i) or self._tokens[i - 1] == "{" or after.line == self._tokens[i].line
        return alone and after.type in self._grammar.follows[keyword]


def _match_braces(tokens: Sequence[Token]) -> tuple[dict[int, int], int, int]:
    """The closing brace of each opening one, by index; how many opening and closing ones have no partner."""
    partners: dict[int, int] = {}
    opened: list[int] = []
    extra = 0
    for i, token in enumerate(tokens):
        if token == "{":
            opened.append(i)
        elif token == "}":
            if opened:
                partners[opened.pop()] = i
            else:
                extra += 1
    return partners, len(opened), extra
