"""What to say of a text that does not parse: the messages M004 to M007 and M009, in the language's words.

A message names the cause, and what was expected where in the words of the language (never a token's name); the hint
is the
remedy: the slip that the place suggests, or else how the statement is written.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from lark import Token

from mechdsl.errors import Diagnostic, Span
from mechdsl.syntax.grammar import BODIES, END, Grammar
from mechdsl.syntax.habits import STRANGERS, SYNONYMS, habit, stranger
from mechdsl.syntax.scan import token_span

__all__ = [
    "FORMS",
    "Scene",
    "early",
    "misplaced",
    "misspelt",
    "nearest",
    "surplus",
    "too_deep",
    "unclosed",
    "unexpected",
    "unknown",
    "unmatched",
    "unopened",
]

FORMS = MappingProxyType(
    {
        "market": 'market genai "What the market is"',
        "cite": 'cite "Author (2025), Title"',
        "index": "index k in domains = {video, text}",
        "param": 'param d[k] in [0, inf) = {video: 3, text: 4} "content demanded"',
        "let": "let total = sum(k: x[k])",
        "layer": "layer creator[k] { type c[k] ~ uniform(0, 1)  choose x[k] >= 0  cost c[k] * x[k] }",
        "state": 'state theta "what the signals inform about"',
        "common": "common B ~ normal(0, 1)",
        "demand": "demand[k]: x[k] >= d[k]",
        "constraint": "constraint cap[k]: x[k] <= 10",
        "contract": "contract platform -> creator: direct",
        "objective": "objective platform: maximize revenue",
        "report": "report c = {video: 0.3, text: 0.6}",
        "claim": "claim ranking: revenue(M1) >= revenue(M2)",
        "regime": 'regime M1 "revenue" { objective platform: maximize revenue }',
        "set": "set mu = 0",
        "type": "type c[k] ~ uniform(0, 1)",
        "choose": "choose x[k] >= 0",
        "cost": "cost c[k] * x[k]^2",
        "value": "value log(1 + x)",
        "bargaining": "bargaining 0.5",
        "outside": "outside 0",
        "signal": "signal s[i] = theta + noise(variance = 1 / e[i])",
        "represents": "represents creator",
        "experiment": 'experiment costs "Over draws" { draws 1000  table revenue  plot box(revenue) }',
        "draws": "draws 1000",
        "seed": "seed 7",
        "instances": "instances 10",
        "regimes": "regimes M1, M2",
        "vary": "vary d.video in 1..20 by 0.5",
        "table": "table revenue, welfare",
        "plot": "plot box(revenue)",
    }
)
"""Every statement by example; what a hint shows when the place suggests no better one."""

_PIECES = MappingProxyType(
    {
        ":value": "x[video] + 1",
        ":axes": "d.video in 1..20 by 0.5",
        ":assignments": "c.video=0.3,c.text=0.6",
        ":chains": "revenue(M1) >= revenue(M2)",
    }
)

_HOMES = MappingProxyType(
    {
        "file": "at the top of the file",
        "regime": "in the body of a regime",
        "layer": "in the body of a layer",
        "experiment": "in the body of an experiment",
    }
)

_OPERAND_ENDS = {"NAME", "NUMBER", "RPAR", "RSQB"}
_OPERAND_STARTS = {"NAME", "NUMBER", "LPAR", "AGGREGATE"}
_ENTRY = {"NAME", "NUMBER", "STRING", "LPAR", "AGGREGATE", "LBRACE", "LSQB"}
_OPERATORS = {"+", "-", "*", "/", "^", "and", "or", ">=", "<=", "==", ">", "<", "!="}
_COMPARISONS = {">=", "<=", "==", ">", "<", "!="}
_WEAK = MappingProxyType({">": ">=", "<": "<=", "!=": "=="})
_CLOSER = MappingProxyType({"(": ")", "[": "]", "{": "}"})
_OPENED = {")", "]", "}"}
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Scene:
    """What the parser saw where it could not go on.

    Args:
        token: what cannot stand there.
        before: the last token taken, if any.
        line: all tokens of its line.
        inside: the innermost bracket that is open in its statement, after the token before it.
        keyword: of the statement it stands in, empty at its start; for a piece of the command line, `:` and its name.
        body: what holds the statement: `file`, `regime`, `layer`, `experiment`.
        expected: the terminals that could have stood there.
        statement: the token opens a statement of its own.
    """

    grammar: Grammar
    token: Token
    before: Token | None
    line: tuple[Token, ...]
    inside: tuple[Token, Token] | None
    keyword: str
    body: str
    expected: frozenset[str]
    statement: bool


def too_deep(place: Span, limit: int) -> Diagnostic:
    """M002: operators within operators, as `- - - x`, `2^2^2^2`, or a long sum."""
    message = f"this expression is nested more than {limit} operators deep"
    return Diagnostic("M002", message, place, "Name a part of it by a 'let', or write 'sum(i: ...)'.")


def nearest(word: str, known: Iterable[str], *, elsewhere: bool = False) -> str | None:
    """The known word that `word` was meant to be, if one is near; the judgement is `did_you_mean`'s.

    Args:
        word: as it was written.
        known: the words that could stand there.
        elsewhere: other languages' words count too.
    """
    names = sorted(known)
    if word.lower() in names:
        return word.lower()
    if elsewhere and SYNONYMS.get(word.lower()) in names:
        return SYNONYMS[word.lower()]
    if word.lower() in STRANGERS:
        return None
    return next(iter(difflib.get_close_matches(word, names, n=1, cutoff=0.6)), None)


# ---------------------------------------------------------------------------------------------------------- messages


def unexpected(scene: Scene) -> Diagnostic:
    """M004: "expected an expression after '=', found ')'"; at the '=' if the text goes on elsewhere."""
    token, before = scene.token, scene.before
    possible = _possible(scene)
    after = f" after {_quoted(before)}" if before is not None else ""
    found = f"the statement '{token}'" if scene.statement else _quoted(token)
    if token in _COMPARISONS and possible & _COMPARISONS:
        signs = [f"'{sign}'" for sign in sorted(possible & _COMPARISONS)]
        message = f"expected {_listed(signs)}{after}, found {found}"
    elif token in _COMPARISONS and "and" in possible:
        message = f"{found} cannot follow a comparison"
    else:
        message = f"expected {_listed(list(_expectations(scene)))}{after}"
        if before is not None and (token.type == END or before.line != token.line):
            ends = "the text ends" if token.type == END else f"line {token.line} goes on with {found}"
            return Diagnostic("M004", f"{message}, but {ends}", token_span(before), _remedy(scene))
        message = f"{message}, found {found}"
    return Diagnostic("M004", message, token_span(token), _remedy(scene))


def unclosed(opener: Token, before: Token, found: Token, body: str | None = None, *, statement: bool) -> Diagnostic:
    """M005, where the end is missed: at the opening bracket, if that stands in the same line.

    Args:
        opener: the bracket that nothing closes.
        before: the token after which its end was missed.
        found: what stands there.
        body: the kind of body that the bracket opens, or None for a bracket within a statement.
        statement: `found` opens a statement.
    """
    closer = _CLOSER[opener.value]
    if found.type == END:
        on, hint = "the text ends first", f"Add '{closer}' where it should end."
    elif body:
        on = f"line {found.line} goes on with '{found}', which is no part of {_a(body)}"
        hint = f"Add '{closer}' before '{found}'."
    elif statement:
        on, hint = f"line {found.line} goes on with the statement '{found}'", f"Add '{closer}' before it."
    else:
        on, hint = "", f"Add '{closer}' before it."
    if before.line != opener.line:
        opened = f"'{opener}' of line {opener.line}, column {opener.column}"
        on = on or f"found {_quoted(found)}"
        message = f"expected '{closer}' after {_quoted(before)}: the {opened} is not closed, and {on}"
        return Diagnostic("M005", message, token_span(before), hint)
    if on:
        message = f"this '{opener}' is never closed: {on}"
    else:
        message = f"this '{opener}' is not closed before {_quoted(found)} in line {found.line}, column {found.column}"
    return Diagnostic("M005", message, token_span(opener), hint)


def unopened(token: Token, head: Sequence[Token]) -> Diagnostic:
    """M004: the body of a layer, regime or experiment lacks its opening brace, or has another bracket."""
    if token in ("(", "["):
        message = f"expected '{{', found '{token}': the body of '{' '.join(head[:2])}' stands in braces"
    else:
        message = f"expected '{{' before '{token}': it is part of the body of '{' '.join(head[:2])}'"
    return Diagnostic("M004", message, token_span(token), f"For example: '{FORMS[head[0]]}'.")


def surplus(brace: Token, head: str | None) -> Diagnostic:
    """M004: a `{` where no body can start, or where it has started.

    Args:
        brace: which is passed over.
        head: the keyword of the statement that has no body; None where the brace stands for the second time.
    """
    if head is None:
        return Diagnostic("M004", "this body is opened already", token_span(brace), "Delete the second '{'.")
    hint = "Delete its braces: what it holds stands at the top of the file."
    return Diagnostic("M004", f"'{head}' has no body in braces", token_span(brace), hint)


def unmatched(closer: Token, opener: Token | None) -> Diagnostic:
    """M006: a closing bracket that closes nothing, or not what is open."""
    if opener is None:
        message = f"this '{closer}' closes nothing"
        hint = "Delete it, or add the bracket that it should close."
    else:
        message = f"this '{closer}' does not close the '{opener}' of line {opener.line}, column {opener.column}"
        hint = f"Write '{_CLOSER[opener.value]}', or open what it should close."
    return Diagnostic("M006", message, token_span(closer), hint)


def early(head: Sequence[Token], closer: Token, last: Token) -> Diagnostic:
    """M006, at the brace that ends a body too early: by the layout the body goes on to another."""
    message = f"this '}}' ends the body of '{' '.join(head)}' already, and so does the '}}' of line {last.line}"
    return Diagnostic("M006", message, token_span(closer), "Delete one of the two.")


def misspelt(token: Token, near: str) -> Diagnostic:
    """M007: a word that is nearly the keyword that could stand there."""
    hint = f"Did you mean '{near}'?"
    if SYNONYMS.get(token.value.lower()) == near and near in FORMS:
        hint += f" For example: '{FORMS[near]}'."
    return Diagnostic("M007", f"unknown keyword '{token}'", token_span(token), hint)


def unknown(scene: Scene) -> Diagnostic:
    """M007: a word that stands where a statement starts, and starts none."""
    known = scene.grammar.statements[scene.body]
    place = "" if scene.body == "file" else f" in {_a(scene.body)}"
    near = nearest(scene.token, known)
    hint = stranger(scene) or (f"Did you mean '{near}'? {_keywords(scene)}" if near else _keywords(scene))
    return Diagnostic("M007", f"no statement{place} starts with '{_cut(scene.token)}'", token_span(scene.token), hint)


def misplaced(scene: Scene) -> Diagnostic:
    """M009: a statement of the language, where it cannot stand."""
    homes = [_HOMES[body] for body in BODIES if scene.token in scene.grammar.statements[body]]
    here = "at the top of the file" if scene.body == "file" else f"in {_a(scene.body)}"
    message = f"'{scene.token}' cannot stand {here}"
    hint = f"It belongs {_listed(homes)}: '{FORMS[scene.token]}'."
    if scene.token == "set" and scene.body == "file":
        hint = (
            "It overrides a param in the body of a regime; at the top of the file, give the 'param' itself its value. "
            "A set of labels is declared so: 'index k in domains = {video, text}'."
        )
    return Diagnostic("M009", message, token_span(scene.token), hint)


# ----------------------------------------------------------------------------------------------------------
# expectations


def _possible(scene: Scene) -> set[str]:
    """What could have stood there, as written, or by the terminal's name where it can be written in many ways."""
    return {scene.grammar.spelling.get(terminal, terminal) for terminal in scene.expected}


def _expectations(scene: Scene) -> Iterator[str]:
    """What could have stood there, in the language's words."""
    starters = scene.grammar.statements[scene.body]
    left = _possible(scene)
    ends = left & starters or END in left
    compared = "and" not in left and not ends and left >= {">=", "<="}
    operator = len(left & _OPERATORS) > 2
    if operator:
        left -= _OPERATORS | {"[", "("}
    if ends:
        left -= starters | {END, "STRING"}
    if {"NAME", "NUMBER", "("} <= left:
        yield "a distribution" if scene.before == "~" else "a value" if {"[", "{"} <= left else "an expression"
        left -= {"NAME", "NUMBER", "STRING", "AGGREGATE", "(", "-", "+", "not", "[", "{"}
    elif {"[", "("} <= left and not ends:
        yield "an interval such as '[0, 1]'"
        yield from ["an index set"] if "NAME" in left else []
        left -= {"[", "(", "NAME"}
    elif {"NAME", "NUMBER", "STRING"} <= left:
        yield "a label"
        left -= {"NAME", "NUMBER", "STRING", "-"}
    elif "NAME" in left:
        yield "a name"
        left -= {"NAME", "PATH"}
    if "STRING" in left:
        yield "a string in quotes"
    yield from (f"'{sign}'" for sign in sorted(left - {"STRING"}))
    if operator:
        yield "a comparison such as '>='" if compared else "an operator"
    if ends:
        yield "the next statement" if scene.keyword in FORMS else "the end" if scene.keyword else "a statement"


def _remedy(scene: Scene) -> str:
    """The slip that the place suggests, or else how the statement is written."""
    token, before = scene.token, scene.before
    expected = _possible(scene)
    known = habit(scene, expected)
    if known is not None:
        return known
    if token == "=" and "==" in expected:
        return "A comparison is written '=='."
    if token in _COMPARISONS and "and" in expected and not expected & _COMPARISONS:
        return "Comparisons do not chain in an expression: write 'a <= b and b <= c'."
    if token in _WEAK and ">=" in expected:
        return f"A requirement is never strict: write '{_WEAK[token]}'."
    if token.type == "PATH":
        name, label = token.value.split(".", 1)
        return f"In an expression an entry is written '{name}[{label.replace('.', ', ')}]'."
    if token == "by" and scene.keyword == "index":
        return "The steps of an index set are 1; only 'vary' takes others."
    if before == "," and token in _OPENED:
        return "Delete the comma, or add what should follow it."
    if before is not None and token.type in _ENTRY and not scene.statement:
        if "," in expected:
            return "Entries are separated by commas."
        if before.type in _OPERAND_ENDS and token.type in _OPERAND_STARTS and "*" in expected:
            return f"A product needs its sign: '* {_cut(token)}'."
    return _form(scene)


def _form(scene: Scene) -> str:
    if scene.keyword in FORMS:
        return f"For example: '{FORMS[scene.keyword]}'."
    if scene.keyword in _PIECES:
        return f"For example: '{_PIECES[scene.keyword]}'."
    return _keywords(scene)


def _keywords(scene: Scene) -> str:
    known = ", ".join(sorted(scene.grammar.statements[scene.body]))
    return f"A statement starts with its keyword, here one of {known}."


# ------------------------------------------------------------------------------------------------------------- words


def _quoted(token: Token) -> str:
    if token.type == END:
        return "the end of the text"
    if token.type == "STRING":
        return f"the string {_cut(token)}"
    return f"'{_cut(token)}'"


def _cut(token: Token) -> str:
    return str(token) if len(token) <= _SHOWN else f"{token[:_SHOWN]}..."


def _a(body: str) -> str:
    return f"an {body}" if body[0] in "aeiou" else f"a {body}"


def _listed(items: Collection[str]) -> str:
    """`a, b or c`."""
    *most, last = list(items) or ["something else"]
    return f"{', '.join(most)} or {last}" if most else last
