"""Tokens to lark's tree, through every mistake: an LALR(1) parse that finds its feet again after each.

A statement starts with its keyword, so there is always a place to go on from: the parser's stacks are cut back to
where the statement began, and reading resumes at the next one. A bracket that was forgotten is put in, a misspelt
keyword replaced; each statement is blamed at most once, so that one slip makes one message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lark import Token, Tree
from lark.exceptions import UnexpectedToken

from mechdsl.errors import Diagnostic
from mechdsl.syntax import mistakes
from mechdsl.syntax.grammar import BODIES, END, Grammar, choices
from mechdsl.syntax.landmarks import WORDS, Landmarks
from mechdsl.syntax.mistakes import Scene
from mechdsl.syntax.scan import MAX_MISTAKES, MAX_OPERATORS, Scan, token_span

__all__ = ["Reading", "read_tokens"]

_CLOSER = MappingProxyType({"(": "RPAR", "[": "RSQB", "{": "RBRACE"})
_PAIR = MappingProxyType({"(": ")", "[": "]", "{": "}"})
_OPENER = MappingProxyType({closer: opener for opener, closer in _PAIR.items()})
_NAMED = MappingProxyType({"{": "LBRACE", ")": "RPAR", "]": "RSQB", "}": "RBRACE"})
_SIGNS = frozenset({",", ":", ")", "]", "+", "-", "*", "/", "^"})
"""What goes on with a statement; no body starts or ends with one."""
_MAX_STACK = 4 * MAX_OPERATORS  # nested to the right, an operator takes up to two places, a bracket some more


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of parsing: the tree if there were no mistakes, and the tokens, keywords told from names."""

    tree: Tree[Token] | None
    tokens: tuple[Token, ...]
    mistakes: tuple[Diagnostic, ...]


def read_tokens(grammar: Grammar, scanned: Scan, start: str) -> Reading:
    """Parse a scanned text as `start`, one of `grammar.STARTS`; mistakes of the scan are kept among those found."""
    reader = _Reader(grammar, scanned, start)
    reader.run()
    return Reading(reader.tree, tuple(reader.taken), tuple(reader.mistakes))


class _Statement:
    """A statement being read.

    Args:
        start: index of its first token.
        base: height of the parser's stack below it.
        keyword: that it starts with; for a piece of the command line, `:` and its name.
    """

    __slots__ = ("base", "body", "closed", "faulted", "keyword", "looked", "opened", "start", "unopened")

    def __init__(self, start: int, base: int, keyword: str) -> None:
        self.start = start
        self.base = base
        self.looked = start + 1  # no statement starts in it up to here
        self.keyword = keyword
        self.opened: list[int] = []  # brackets not yet closed, by index
        self.body: int | None = None  # the brace that opened its body
        self.unopened = False  # that brace was forgotten
        self.closed = False  # its body is over
        self.faulted = False  # it has been blamed


class _Reader:
    """One reading of one text."""

    def __init__(self, grammar: Grammar, scanned: Scan, start: str) -> None:
        self.tree: Tree[Token] | None = None
        self.taken: list[Token] = []
        self.mistakes = list(scanned.mistakes)
        self._scanned = tuple(m.span.start for m in scanned.mistakes if m.span)
        self._grammar = grammar
        self._start = start
        self._tokens = list(scanned.tokens)  # mended as we go
        self._parser = grammar.lark.parse_interactive(start=start)
        self._state = self._parser.parser_state
        self._outer: list[_Statement] = []  # those in whose bodies we are
        self._current: _Statement | None = None if start == "file" else _Statement(0, 1, f":{start}")
        self._ended: list[tuple[int, int]] = []  # bodies that are over: first token of the statement, closing brace
        self._respelt = False  # the next statement was blamed for its keyword already
        self._marks = Landmarks(grammar, self._tokens)

    def run(self) -> None:
        """Read on until the end, or until there is enough to complain about."""
        i = 0
        while len(self.mistakes) < MAX_MISTAKES:
            if self._tokens[i] == "}" and self._is_early(i):
                self._blame(self._current, i, mistakes.unmatched(self._tokens[i], None))
                self._pass_over(i)
                continue
            token = self._typed(i)
            states, values = list(self._state.state_stack), list(self._state.value_stack)
            if len(states) > _MAX_STACK:
                self.mistakes.append(mistakes.too_deep(token_span(token), MAX_OPERATORS))
                return
            try:
                tree = self._parser.feed_token(token)
            except UnexpectedToken:
                self._return_to(states, values)  # what was reduced on the way hides what could have followed
                i = self._recover(i)
                if self._start != "file":
                    return
                continue
            self.taken.append(token)
            if token.type == END:
                self.tree = None if self.mistakes else tree
                return
            self._note(i, token)
            i += 1

    # ----------------------------------------------------------------------------------------------- the way of a token

    def _typed(self, i: int) -> Token:
        """Token `i` as the parser is to see it here: a word is a keyword only where one could stand."""
        token = self._tokens[i]
        if token.type not in WORDS:
            return token
        possible = choices(self._state)
        keyword = self._grammar.keywords.get(token.value)
        if keyword in possible:
            return token.update(type=keyword)
        return token if token.type in possible else token.update(type="NAME")

    def _note(self, i: int, token: Token) -> None:
        """Keep account of what is open, now that token `i` has been taken."""
        current = self._current
        if token.value in self._marks.statements and token.type == self._grammar.keywords[token.value]:
            self._current = _Statement(i, len(self._state.state_stack) - 1, token.value)
            self._current.faulted = self._respelt
            self._respelt = False
        elif token.value in _CLOSER:
            if current is not None and token == "{" and self._heads_body(current):
                self._enter(current, i)
            elif current is not None:
                current.opened.append(i)
        elif token.value in _OPENER:
            if current is not None and current.opened:
                current.opened.pop()
            else:
                self._leave(i)

    def _heads_body(self, statement: _Statement) -> bool:
        return statement.keyword in BODIES and not statement.closed and not statement.opened

    def _enter(self, statement: _Statement, i: int) -> None:
        """Go on in the body of a statement, opened by brace `i`."""
        statement.body = i
        self._outer.append(statement)
        self._current = None

    def _leave(self, i: int) -> None:
        """The body we are in ends, with brace `i`."""
        statement = self._outer.pop()
        self._ended.append((statement.start, i))
        statement.closed = True
        self._current = statement

    # ----------------------------------------------------------------------------------------- what the parser could do

    def _attempt(self, terminals: Sequence[str]) -> bool:
        """Feed these terminals; if one is refused, stay where we were."""
        states, values = list(self._state.state_stack), list(self._state.value_stack)
        try:
            for terminal in terminals:
                self._parser.feed_token(Token(terminal, ""))
        except UnexpectedToken:
            self._return_to(states, values)
            return False
        return True

    def _return_to(self, states: list[Any], values: list[Any]) -> None:
        self._state.state_stack[:], self._state.value_stack[:] = states, values

    def _takes(self, terminal: str) -> bool:
        """Whether the parser could go on with this terminal; it does not."""
        states, values = list(self._state.state_stack), list(self._state.value_stack)
        taken = self._attempt([terminal])
        self._return_to(states, values)
        return taken

    def _expected(self) -> frozenset[str]:
        return frozenset(t for t in choices(self._state) if t.isupper() and self._takes(t))

    @property
    def _body(self) -> str:
        return self._outer[-1].keyword if self._outer else "file"

    def _complete(self, expected: frozenset[str]) -> bool:
        """Whether a statement could end here."""
        return any(self._grammar.keywords[word] in expected for word in self._grammar.statements[self._body])

    def _scene(self, i: int) -> Scene:
        keyword = self._current.keyword if self._current is not None else ""
        before = self._tokens[i - 1] if i else None
        statement = self._marks.opens_statement(i)
        opened = self._current.opened[-1] if self._current is not None and self._current.opened else 0
        inside = (self._tokens[opened - 1], self._tokens[opened]) if opened else None
        expected, line = self._expected(), self._marks.line(i)
        return Scene(self._grammar, self._tokens[i], before, line, inside, keyword, self._body, expected, statement)

    # --------------------------------------------------------------------------------------------------------- recovery

    def _recover(self, i: int) -> int:
        """Blame the mistake that shows at token `i`, put the parser where it can go on, and say with which token."""
        start = self._unfinished(i)
        if start is not None and self._current is not None and self._current.faulted:
            self._end_statement()
            return start
        i = i if start is None else self._read_again(start)
        repairs = (
            self._close_brackets,
            self._drop_closer,
            self._open_body,
            self._pass_brace,
            self._change_body,
            self._respell,
        )
        for repair in repairs:  # the first that knows what to do says where reading goes on
            resumed = repair(i)
            if resumed is not None:
                return resumed
        self._blame(self._current, i, mistakes.unexpected(self._scene(i)))
        return self._resume(i)

    def _blame(self, statement: _Statement | None, i: int, mistake: Diagnostic) -> None:
        """Report the mistake, unless the statement has been blamed already."""
        first = self._tokens[statement.start if statement is not None else i].start_pos or 0
        last = self._tokens[i].end_pos or 0
        scanned = any(first <= position <= last for position in self._scanned)
        if not scanned and not (statement is not None and statement.faulted):
            self.mistakes.append(mistake)
        if statement is not None:
            statement.faulted = True

    def _unfinished(self, i: int) -> int | None:
        """Where before token `i` a statement began that was taken for a name of the unfinished one before it."""
        current = self._current
        if current is None or current.closed:
            return None
        while current.looked < i:
            if self._marks.first_on_line(current.looked) and self._marks.opens_statement(current.looked):
                return current.looked
            current.looked += 1
        return None

    def _read_again(self, end: int) -> int:
        """Take the current statement from its start to token `end`, and no further."""
        current = self._current
        assert current is not None
        self._cut_back(current)
        current.opened.clear()
        for j in range(current.start, end):
            token = self._typed(j)
            self._parser.feed_token(token)
            if token.value in _CLOSER:
                current.opened.append(j)
            elif token.value in _OPENER:
                current.opened.pop()
        return end

    def _close_brackets(self, i: int) -> int | None:
        """Put in the brackets that the statement forgot, if it can then go on, or end."""
        current = self._current
        if current is None or not current.opened:
            return None
        token = self._tokens[i]
        ends = token.type == END or self._marks.starts(i, self._body)
        states, values = list(self._state.state_stack), list(self._state.value_stack)
        closers: list[str] = []
        for opened in reversed(current.opened):
            opener = self._tokens[opened]
            if not self._lacks_closer(opened, i) or not self._attempt([_CLOSER[opener.value]]):
                break
            closers.append(_PAIR[opener.value])
            if self._takes(self._typed(i).type) or (ends and len(closers) == len(current.opened)):
                found = mistakes.unclosed(
                    opener, self._tokens[i - 1], token, statement=self._marks.starts(i, self._body)
                )
                self._blame(current, i, found)
                self._return_to(states, values)
                for closer in reversed(closers):
                    self._put_in(i, closer)
                return i
        self._return_to(states, values)
        return None

    def _lacks_closer(self, opener: int, i: int) -> bool:
        """Whether too few brackets close, from token `i` to the end of the statement, for that at `opener`."""
        assert self._current is not None
        # An interval may open with one of two brackets and close with the other.
        family = "{" if self._tokens[opener] == "{" else "(["
        needed = sum(j >= opener and self._tokens[j].value in family for j in self._current.opened)
        depth = 0
        while self._tokens[i].type != END and not self._marks.starts(i, self._body):
            token = self._tokens[i].value
            depth += token in _CLOSER and token in family
            depth -= _OPENER.get(token, ".") in family
            needed -= depth < 0
            depth = max(depth, 0)
            if needed == 0:
                return False
            i += 1
        return True

    def _drop_closer(self, i: int) -> int | None:
        """Pass over a closing bracket that closes nothing, or take it for the one that should stand there."""
        token = self._tokens[i]
        if token.value not in _OPENER:
            return None
        current = self._current
        opened = current.opened if current is not None else []
        opener = self._tokens[opened[-1]] if opened else None
        if opener == _OPENER[token.value] or (token == "}" and opener is None and self._outer):
            return None  # it closes what it should, but something is missing before it
        if opener is None and self._ends_body(i):
            outer = self._outer[-1]
            assert outer.body is not None
            self._blame(outer, i, mistakes.unmatched(token, self._tokens[outer.body]))
            self._respell_bracket(i, "}")
            return i
        closer = _CLOSER[opener.value] if opener is not None else ""
        if opener is None or not self._lacks_closer(opened[-1], i + 1) or not self._attempt([closer]):
            early = self._ended_early(i) if token == "}" and opener is None else None
            found = mistakes.unmatched(token, None) if early is None else mistakes.early(*early, token)
            self._blame(current if early is None else None, i, found)
            self._pass_over(i)
            return i
        self._blame(current, i, mistakes.unmatched(token, opener))
        opened.pop()
        if token == "}":
            self._marks.forget_braces()
        return i + 1

    def _ended_early(self, i: int) -> tuple[Sequence[Token], Token] | None:
        """The statement whose body the `}` at `i` should have ended by the layout, and the `}` that ended it."""
        for start, end in reversed(self._ended):
            head, closer = self._tokens[start], self._tokens[end]
            if head.column == self._tokens[i].column and self._marks.first_on_line(start):
                goes_on = all(not self._marks.back(j, start) for j in range(end, i))
                return (self._tokens[start : start + 2], closer) if goes_on and self._marks.first_on_line(i) else None
        return None

    def _ends_body(self, i: int) -> bool:
        """Whether the `)` at `i` stands where the `}` of the body should."""
        after = self._tokens[i + 1]
        return (
            bool(self._outer)
            and (self._current is None or self._complete(self._expected()))
            and (self._marks.missing > 0)
            and (after.type == END or after == "}" or self._marks.opens_statement(i + 1))
            and after.value not in self._grammar.statements[self._body] - self._grammar.statements["file"]
        )

    def _open_body(self, i: int) -> int | None:
        """Put in the brace that should open a body, `layer creator[k] type c[k] ~ ...`, or take the bracket that stands
        there for it.
        """
        current, token = self._current, self._tokens[i]
        if current is None or not self._heads_body(current):
            return None
        other = token.value in ("(", "[")
        first = i + 1 if other else i
        held = self._grammar.statements[current.keyword]
        if not self._marks.opens_statement(first) or self._tokens[first].value not in held or not self._takes("LBRACE"):
            return None
        self._blame(current, i, mistakes.unopened(token, self._tokens[current.start : i]))
        if other:
            self._respell_bracket(i, "{")
        else:
            self._put_in(i, "{")
        current.unopened = True
        return i

    def _pass_brace(self, i: int) -> int | None:
        """Pass over the braces of what has no body, `market m "title" { ... }`, and over a `{` that stands twice."""
        current = self._current
        if self._tokens[i] != "{":
            return None
        twice = current is None and bool(self._outer) and self._tokens[i - 1] == "{"
        bare = current is not None and current.keyword == "market" and not current.opened
        if not (twice or (bare and self._complete(self._expected()))):
            return None
        self._blame(current, i, mistakes.surplus(self._tokens[i], None if twice else "market"))
        partner = self._marks.partners.get(i)
        if bare and partner is not None:
            self._pass_over(partner)
        self._pass_over(i)
        return i

    def _change_body(self, i: int) -> int | None:
        """A statement that this body cannot hold: either the body should have ended before, or it is out of place."""
        token = self._tokens[i]
        word = token.type in WORDS and token.value in self._marks.statements
        known = word and (self._marks.first_on_line(i) or self._marks.opens_statement(i))
        if not (known or token.type == END) or not self._complete(self._expected()):
            return None
        around = [outer.keyword for outer in self._outer[:-1]] + ["file"] if self._outer else []
        fits = token.type == END or any(token.value in self._grammar.statements[body] for body in around)
        if self._outer and fits and self._forgotten(i):
            outer = self._outer[-1]
            assert outer.body is not None
            end = self._marks.dedent(outer.start, outer.body, i)
            last, after = self._tokens[end - 1], self._tokens[end]
            body = None if after.value in self._grammar.statements[outer.keyword] else outer.keyword
            found = mistakes.unclosed(self._tokens[outer.body], last, after, body, statement=True)
            self._blame(outer, i, found)
            self._put_in(i, "}")
            return i
        if token.type == END:
            return None
        self._end_statement()
        self._blame(None, i, mistakes.misplaced(self._scene(i)))
        return self._resume(i + 1)

    def _forgotten(self, i: int) -> bool:
        """Whether the body we are in should have ended: the text lacks a brace, and the indentation goes back."""
        outer = self._outer[-1]
        assert outer.body is not None
        if self._tokens[i].type == END:
            return True
        if self._marks.missing > 0:
            return outer.unopened or not self._marks.first_on_line(i) or self._marks.back(i, outer.start)
        return self._marks.outlives(i, outer.start, outer.body, outer.keyword)

    # ------------------------------------------------------------------------------------------------ mending the text

    def _put_in(self, i: int, bracket: str) -> None:
        """Put a bracket that was forgotten before token `i`, right after the one before it."""
        before = self._tokens[i - 1]
        column = before.end_column
        added = Token(
            _NAMED[bracket], bracket, before.end_pos, before.line, column, before.line, column, before.end_pos
        )
        self._tokens.insert(i, added)
        self._marks.forget_braces()

    def _pass_over(self, i: int) -> None:
        del self._tokens[i]
        self._marks.forget_braces()

    def _respell_bracket(self, i: int, bracket: str) -> None:
        self._tokens[i] = self._tokens[i].update(type=_NAMED[bracket], value=bracket)
        self._marks.forget_braces()

    def _respell(self, i: int) -> int | None:
        """Read a misspelt keyword as the one it is near; pass over a statement that starts with no keyword at all."""
        token = self._tokens[i]
        expected = self._expected()
        if token.type == "PATH" and self._marks.first_on_line(i) and self._complete(expected):
            self._end_statement()
            self._blame(None, i, mistakes.unknown(self._scene(i)))
            return self._resume(i + 1)
        if token.type not in WORDS:
            return None
        words = [word for word, terminal in self._grammar.keywords.items() if terminal in expected]
        leads = self._marks.first_on_line(i) or self._tokens[i - 1] in ("{", ":")
        near = mistakes.nearest(token.value, words, elsewhere=leads)
        opens = near in self._marks.statements
        if near is not None and opens and not self._marks.plausible(i, near):
            near = None
        if near is not None and len(token) > 1:
            if opens:
                self._end_statement()
            self._blame(None if opens else self._current, i, mistakes.misspelt(token, near))
            self._respelt = opens
            self._tokens[i] = token.update(value=near)
            return i
        if self._complete(expected) and (self._marks.first_on_line(i) or self._tokens[i - 1] == "{"):
            self._end_statement()
            self._blame(None, i, mistakes.unknown(self._scene(i)))
            return self._resume(i + 1)
        return None

    def _end_statement(self) -> None:
        """Forget the statement that is complete, so that what comes next is not blamed on it."""
        if self._current is not None:
            self._cut_back(self._current)
        self._current = None

    def _cut_back(self, statement: _Statement) -> None:
        """Take the parser back to where the statement began."""
        del self._state.state_stack[statement.base :]
        del self._state.value_stack[statement.base - 1 :]

    def _resume(self, i: int) -> int:
        """Where reading goes on from token `i`: in the body whose head is at fault, at a statement, at a `}`."""
        current = self._current
        depth = 0
        if current is not None:
            depth = sum(self._tokens[j] == "{" for j in current.opened)
            self._cut_back(current)
            if current.keyword in BODIES and not current.closed:
                body = self._find_body(i)
                if body is not None and self._attempt(BODIES[current.keyword]):
                    current.opened.clear()
                    self._enter(current, body)
                    return body + 1
        self._current = None
        while self._tokens[i].type != END and not self._marks.starts(i, self._body):
            if self._tokens[i] == "{":
                partner = self._marks.partners.get(i)
                if partner is not None and (self._marks.opens_statement(i + 1) or self._tokens[i + 1] == "}"):
                    i = partner  # the body of what could not be read
                else:
                    depth += 1
            elif self._tokens[i] == "}":
                if depth == 0 and self._outer and not self._is_stray(i):
                    break
                depth = max(0, depth - 1)
            i += 1
        return i

    def _is_stray(self, i: int) -> bool:
        """Whether the `}` at `i` lost its `{` in what is passed over: there is one too many, and this ends no body."""
        body = self._outer[-1].body
        alone = self._marks.first_on_line(i) or (body is not None and self._tokens[body].line == self._tokens[i].line)
        return self._marks.extra > 0 and not alone

    def _is_early(self, i: int) -> bool:
        """Whether the `}` at `i` would end a body that goes on after it: there is one too many."""
        if not self._outer or (self._current is not None and self._current.opened):
            return False
        outer = self._outer[-1]
        next_ = i + 2 if self._tokens[i + 1].type == "STRING" else i + 1
        after = self._tokens[next_]
        around = self._outer[-2].keyword if len(self._outer) > 1 else "file"
        if self._marks.opens_statement(next_):
            held = after.value in self._grammar.statements[outer.keyword] - self._grammar.statements[around]
            inner = not self._marks.first_on_line(i) and not self._marks.back(next_, outer.start)
            return held and (self._marks.extra > 0 or inner)
        return self._marks.extra > 0 and after.value in _SIGNS

    def _find_body(self, i: int) -> int | None:
        """The brace that opens the body of a statement whose head is at fault at token `i`."""
        while self._tokens[i].type != END and not self._marks.starts(i, self._body):
            if self._tokens[i] == "{":
                return i
            i += 1
        return None
