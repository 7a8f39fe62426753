"""Text to tokens, comments apart; whatever is wrong with single characters, strings and sizes is found here.

The limits are decided here too: a text within them is read in a second or so, a text beyond them is refused before it
costs anything. Nothing is dropped silently: a character that means nothing is a mistake, and a look-alike of a sign
says which.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType

from lark import Token

from mechdsl.errors import Diagnostic, Span
from mechdsl.syntax.grammar import END, Grammar

__all__ = ["MAX_CHARACTERS", "MAX_MISTAKES", "MAX_OPERATORS", "Scan", "scan", "token_span"]

MAX_CHARACTERS = 500_000  # of a file
MAX_TOKENS = 40_000  # words, numbers and signs of a file
MAX_DIGITS = 60  # of a number
MAX_NAME = 100  # characters of a name
MAX_STRING = 2_000  # characters of a string
MAX_BRACKETS = 50
"""Brackets within brackets."""
MAX_OPERATORS = 150
"""Operators within operators, as in a sum of as many terms."""
MAX_MISTAKES = 30
"""Mistakes reported in one text."""

_MANY_ON_A_LINE = 5  # unknown characters; more of them on one line say no more
_RUBBISH = 200  # unknown characters, after which the text is no market
_LARGEST = 1e300
_EXPONENT = re.compile(r"[eE][+-]?0*([0-9]*)$")
_LETTERS = re.compile(r"\w{1,20}")
_LINE_END = re.compile(r"[\r\n]|\Z")
_QUOTED = re.compile("[“„«‟″][^“”«»″\r\n]{0,200}[”“»″]|[‘‚'`][^‘’'`\r\n]{0,200}[’‘'`]")
_COMMENT = re.compile(r"//[^\r\n]*|/\*(?:[^*]|\*(?!/)){0,20000}(?:\*/)?|%[^\r\n]*")  # as other languages have it
_COMMAND = re.compile(r"[A-Za-z]{1,20}")  # after a backslash
_OPERAND_END = re.compile(r"[\w)\]]")
_WORDS = {"NAME", "PATH", "AGGREGATE"}

# Never welcome, not even in a string or a comment: control characters, line breaks that editors do not count, marks
# that turn the direction of what follows, lone surrogates.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)

_REMEDIES = MappingProxyType(
    {
        ";": "A statement needs no end mark: leave it out.",
        "'": 'A string stands between double quotes: "...".',
        "`": 'A string stands between double quotes: "...".',
        "%": "A share is a plain number, '0.2' for 20 percent; a comment starts with '#'.",
        "&": "Conditions are joined by 'and'.",
        "|": "Conditions are joined by 'or'; an absolute value is 'abs(x)'.",
        "!": "A condition is reversed by 'not'; unequal is '!='.",
        "?": "A choice between two values is 'if(condition, a, b)'.",
        "\\": "Names are written without a backslash: 'rho', or the letter itself.",
        "$": "Formulas are written without dollar signs.",
        ".": "An entry is written 'd[video]', a range '1..20', a number '0.5'.",
        **dict.fromkeys("“”„«»‟″", 'Use straight double quotes: "...".'),
        **dict.fromkeys("‘’‚′", 'A string stands between straight double quotes: "...".'),
        **dict.fromkeys("−–—‐‑‒", "Use the plain minus sign '-'."),
        **dict.fromkeys("×·⋅∙•∗", "A product is written '*'."),
        **dict.fromkeys("÷∕⁄", "A quotient is written '/'."),
        **dict.fromkeys("²³¹⁰⁴⁵⁶⁷⁸⁹ⁿ", "A power is written '^', as in 'x^2'."),
        **dict.fromkeys(
            "₀₁₂₃₄₅₆₇₈₉", "A number in a name stands on the line: 'x1' or 'x_1'; an index is written 'x[1]'."
        ),
        "≥": "Use '>='.",
        "≤": "Use '<='.",
        "≠": "Use '!='.",
        "≔": "Use '='.",
        "∼": "Use '~'.",
        "→": "Use '->'.",
        "∈": "Use 'in'.",
        "…": "A range is written with two full stops, '1..20'.",
        "∞": "Infinity is written 'inf'.",
        "√": "A square root is written 'sqrt(x)'.",
        "∑": "A sum is written 'sum(i: x[i])'.",
        "∏": "A product over an index is written 'prod(i: x[i])'.",
    }
)
_COMMANDS = MappingProxyType(
    {
        **dict.fromkeys(("le", "leq", "leqslant"), _REMEDIES["≤"]),
        **dict.fromkeys(("ge", "geq", "geqslant"), _REMEDIES["≥"]),
        **dict.fromkeys(("ne", "neq"), _REMEDIES["≠"]),
        **dict.fromkeys(("cdot", "times"), _REMEDIES["×"]),
        **dict.fromkeys(("to", "rightarrow"), _REMEDIES["→"]),
        **dict.fromkeys(("left", "right", "big", "Big"), "Brackets grow by themselves: leave it out."),
        **dict.fromkeys(("begin", "end"), "Formulas stand as they are, without an environment around them."),
        **dict.fromkeys(("text", "mathrm", "mathbf", "mathcal", "hat", "bar", "tilde"), "A name is its letters alone."),
        "sum": _REMEDIES["∑"],
        "prod": _REMEDIES["∏"],
        "infty": _REMEDIES["∞"],
        "sqrt": _REMEDIES["√"],
        "sim": _REMEDIES["∼"],
        "in": _REMEDIES["∈"],
        "frac": "A quotient is written 'a / b'.",
        "forall": "What is stated for each k has [k] after its name: 'demand[k]: x[k] >= d[k]'.",
        "quad": "White space needs no sign: leave it out.",
    }
)
"""What LaTeX writes with a backslash, where a sign or a form of the language says it."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a text is made of: its tokens (the last of them `$END`), its comments, and what is wrong with either.

    Args:
        refused: a limit is exceeded, so the tokens are not all there and are not worth parsing.
    """

    tokens: tuple[Token, ...]
    comments: tuple[Token, ...]
    mistakes: tuple[Diagnostic, ...]
    refused: bool


def token_span(token: Token) -> Span:
    """Where a token stands; no token crosses a line."""
    assert token.start_pos is not None
    assert token.end_pos is not None
    assert token.line is not None
    assert token.column is not None
    width = token.end_pos - token.start_pos
    return Span(token.start_pos, token.end_pos, token.line, token.column, token.line, token.column + width)


def scan(text: str, grammar: Grammar) -> Scan:
    """The tokens of `text` in order, each with its place.

    Args:
        text: any text at all; of one that exceeds a limit only the start is read.
        grammar: whose tokens they are.

    Returns:
        Tokens, comments, and mistakes M002 (a limit), M003 (a character), M008 (an open string).
    """
    tokens: list[Token] = []
    comments: list[Token] = []
    mistakes: list[Diagnostic] = []
    unknown: list[int] = []  # the line of each piece that means nothing
    depth = 0
    refused = False
    for token in _pieces(text, grammar):
        if token.type == "COMMENT":
            comments.append(token)
            mistakes += _forbidden(token)
        elif token.type == "UNKNOWN":
            if (len(token) > 1 and token[0] not in "/%") or token == '"':  # meant as a string
                tokens.append(token.update(type="STRING"))
            unknown.append(token.line or 0)
            if unknown[-_MANY_ON_A_LINE - 1 : -1].count(unknown[-1]) < _MANY_ON_A_LINE:
                heading = token == "." and bool(tokens) and tokens[-1].value.lower() == "s.t"
                command = _COMMAND.match(text, token.end_pos or 0) if token == "\\" else None
                unclear = _unknown(token, heading, command[0] if command else "")
                mistakes.append(_open_string(token) if token.startswith('"') else unclear)
        elif token.type == END and tokens:
            # What is missing at the end is missed after the last token, not after the last comment.
            tokens.append(Token.new_borrow_pos(END, "", tokens[-1]))
        else:
            tokens.append(token)
            depth = max(0, depth + (token.value in {"(", "[", "{"}) - (token.value in {")", "]", "}"}))
            found = [*_beyond_limits(token, len(tokens), depth), *_misshapen(token, text)]
            mistakes += found
            refused = any(m.code == "M002" for m in found)
        refused |= len(mistakes) >= MAX_MISTAKES or len(unknown) >= _RUBBISH
        if refused:
            break
    return Scan(tuple(tokens), tuple(comments), tuple(mistakes), refused)


def _pieces(text: str, grammar: Grammar) -> Iterator[Token]:
    """Every stretch of the text but white space; `UNKNOWN` is one character, or a string without its end."""
    starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
    line = 1
    position = 0
    while position < len(text):
        match = grammar.lexeme.match(text, position)
        kind = (match and match.lastgroup) or "UNKNOWN"
        end = match.end() if match else _unknown_end(text, position)
        foreign = _COMMENT.match(text, position) if text[position] in "/%" else None
        if foreign and not (foreign[0].startswith("%") and _OPERAND_END.match(text, position - 1)):
            kind, after = "UNKNOWN", foreign.end()
            end = position + len(foreign[0].splitlines()[0])  # no token crosses a line
        else:
            after = end
        if kind != "SPACE":
            while line < len(starts) - 1 and starts[line] <= position:
                line += 1
            column = position - starts[line - 1] + 1
            width = end - position
            yield Token(kind, text[position:end], position, line, column, line, column + width, end)
        position = after
    last = max(1, len(starts) - 1)
    column = len(text) - starts[last - 1] + 1
    yield Token(END, "", len(text), last, column, last, column, len(text))


def _unknown_end(text: str, position: int) -> int:
    """Where what starts with an unknown character ends: an open string, one in other quotes, or the character."""
    if text[position] == '"':
        end = _LINE_END.search(text, position)
        return end.start() if end else len(text)
    quoted = _QUOTED.match(text, position)
    return quoted.end() if quoted else position + 1


def _beyond_limits(token: Token, count: int, depth: int) -> Iterator[Diagnostic]:
    if count > MAX_TOKENS:
        message = f"the text is too long: more than {MAX_TOKENS} words, numbers and signs"
        yield Diagnostic(
            "M002", message, token_span(token), "Keep large tables in a file beside it: 'csv(\"mu.csv\")'."
        )
    if depth > MAX_BRACKETS:
        message = f"brackets are nested more than {MAX_BRACKETS} deep here"
        yield Diagnostic("M002", message, token_span(token), "Name the inner part by a 'let'.")
    if token.type in _WORDS and len(token) > MAX_NAME:
        message = f"this name has {len(token)} characters; the limit is {MAX_NAME}"
        yield Diagnostic("M002", message, token_span(token), "Choose a shorter name.")
    if token.type == "STRING" and len(token) > MAX_STRING:
        message = f"this string has {len(token)} characters; the limit is {MAX_STRING}"
        yield Diagnostic("M002", message, token_span(token), "Shorten it.")
    if token.type == "NUMBER":
        yield from _number_limits(token)


def _number_limits(token: Token) -> Iterator[Diagnostic]:
    """A literal is kept as an exact fraction, so its digits and its exponent are bounded, and it fits a float."""
    mantissa = re.split("[eE]", token.value, maxsplit=1)[0]
    digits = len(mantissa.replace(".", ""))
    exponent = _EXPONENT.search(token.value)
    if digits > MAX_DIGITS:
        message = f"this number has {digits} digits; the limit is {MAX_DIGITS}"
        yield Diagnostic("M002", message, token_span(token), "Round it: results are no more exact than 16 digits.")
    elif (exponent and len(exponent[1]) > 3) or (
        mantissa.strip("0.") and not 1 / _LARGEST <= float(token.value) <= _LARGEST
    ):
        message = f"this number is beyond the limits, {1 / _LARGEST:g} and {_LARGEST:g}"
        yield Diagnostic("M002", message, token_span(token), "Choose other units; infinity is written 'inf'.")


def _misshapen(token: Token, text: str) -> Iterator[Diagnostic]:
    """What is wrong inside a token that has the right shape as a whole."""
    if token.type == "NUMBER":
        after = _LETTERS.match(text, token_span(token).end)
        if after:
            message = f"'{token}' runs into '{after[0]}'"
            hint = f"A product is written '{token} * {after[0]}'; a name does not start with a digit."
            yield Diagnostic("M003", message, token_span(token), hint)
    elif token.type in {"STRING", "PATH"} or not token.isascii():
        yield from _forbidden(token)
        if token.type in _WORDS and not token.isascii():
            yield from _odd_letters(token)


def _forbidden(token: Token) -> Iterator[Diagnostic]:
    found = _FORBIDDEN.search(token)
    if found:
        where = "comment" if token.type == "COMMENT" else "string" if token.startswith('"') else "name"
        yield Diagnostic(
            "M003",
            f"the {where} holds {_described(found[0])}",
            _part(token, found.start()),
            "Delete it; it may not be visible in your editor.",
        )


def _odd_letters(token: Token) -> Iterator[Diagnostic]:
    """Digits that are no digits (`x²`), and letters of several alphabets in one name (a Cyrillic `а` in `gаmma`)."""
    word = token.split('"')[0]
    odd = next((i for i, c in enumerate(word) if not c.isascii() and unicodedata.category(c)[0] not in "LM"), None)
    if odd is not None:
        hint = _REMEDIES.get(word[odd], "A name is made of letters, digits and '_'.")
        yield Diagnostic("M003", f"a name cannot hold {_described(word[odd])}", _part(token, odd), hint)
        return
    letters = {c: unicodedata.name(c, "?").split()[0] for c in word if unicodedata.category(c)[0] == "L"}
    alphabets = sorted(set(letters.values()) - {"GREEK", "MICRO"})
    if len(alphabets) > 1 and "LATIN" in alphabets:
        stranger = next(c for c in word if letters.get(c, "LATIN") not in {"LATIN", "GREEK", "MICRO"})
        yield Diagnostic(
            "M003",
            f"the name mixes alphabets: it holds {_described(stranger)}",
            _part(token, word.index(stranger)),
            "Retype the name in one alphabet (Greek and Latin may be mixed).",
        )


def _unknown(token: Token, heading: bool, command: str) -> Diagnostic:
    """A character that means nothing; one that looks like a sign of the language says which.

    Args:
        token: it, and what goes with it.
        heading: it stands in `s.t.`.
        command: the word after a backslash.
    """
    first = token[0]
    sign = next((sign for sign in ("//", "/*", "%") if token.startswith(sign) and len(token) > 1), None)
    if sign is not None:
        whole = token_span(token)
        place = Span(
            whole.start, whole.start + len(sign), whole.line, whole.column, whole.line, whole.column + len(sign)
        )
        ends = " and ends with its line" if sign == "/*" else ""
        return Diagnostic("M003", f"a comment does not start with '{sign}'", place, f"It starts with '#'{ends}.")
    hint = _COMMANDS.get(command) or _REMEDIES.get(first)
    if heading:
        hint = "Each requirement stands by itself: 'demand[k]: x[k] >= d[k]'."
    elif command and command not in _COMMANDS:
        hint = f"Names are written without a backslash: '{command}', or the letter itself."
    if hint is None:
        visible = first.isprintable() and not first.isspace() and unicodedata.category(first) != "Cf"
        hint = "It means nothing here: delete it." if visible else "Delete it; it may not be visible in your editor."
    return Diagnostic("M003", f"unexpected character {_described(first)}", _part(token, 0), hint)


def _open_string(token: Token) -> Diagnostic:
    hint = "End it with '\"'; a string stays on one line."
    return Diagnostic("M008", "this string is not closed on its line", token_span(token), hint)


def _described(character: str) -> str:
    """`;`, or for what a reader cannot see or type, its name: `U+200B (ZERO WIDTH SPACE)`."""
    if character == "'":
        return '"\'"'
    if character.isascii() and character.isprintable():
        return f"'{character}'"
    number = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "")
    shown = f"'{character}' " if unicodedata.category(character)[0] in "LNPS" else ""
    return f"{shown}{number} ({name})" if name else f"{shown}{number}"


def _part(token: Token, offset: int) -> Span:
    """The one character of a token that is `offset` from its start."""
    whole = token_span(token)
    start, column = whole.start + offset, whole.column + offset
    return Span(start, start + 1, whole.line, column, whole.line, column + 1)
