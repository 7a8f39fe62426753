"""What people write who come from another language: GAMS, AMPL, Stan, Python, LaTeX; and what to write instead.

Rows of tables, looked at in order where a text does not parse: the first that fits the place gives the remedy. They
never change what is read, only what is said of it; what fits none is answered by an example of the statement.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from lark import Token

__all__ = ["STRANGERS", "SYNONYMS", "Place", "habit", "stranger"]

SYNONYMS = MappingProxyType(
    {
        **dict.fromkeys(("parameter", "parameters", "params", "data", "const", "constant", "given", "scalar"), "param"),
        **dict.fromkeys(("var", "variable", "variables", "decide", "decision", "choice", "choices"), "choose"),
        **dict.fromkeys(("set", "sets", "indices", "indexes", "dimension"), "index"),
        **dict.fromkeys(("equation", "equations", "constraints", "restriction"), "constraint"),
        **dict.fromkeys(("agent", "player", "actor", "firm", "party"), "layer"),
        **dict.fromkeys(("define", "expression", "def"), "let"),
        **dict.fromkeys(("utility", "payoff", "benefit", "revenue"), "value"),
        **dict.fromkeys(("costs", "expense"), "cost"),
        **dict.fromkeys(("private", "types"), "type"),
        **dict.fromkeys(("scenario", "variant", "case", "treatment"), "regime"),
        **dict.fromkeys(("goal", "objectives"), "objective"),
        **dict.fromkeys(("max", "maximise", "maximising", "maximizes"), "maximize"),
        **dict.fromkeys(("min", "minimise", "minimising", "minimizes"), "minimize"),
        **dict.fromkeys(("simulation", "figure", "run"), "experiment"),
        **dict.fromkeys(("proposition", "theorem", "assert"), "claim"),
    }
)
"""Words that other languages begin a statement with, and this one's for it."""

STRANGERS = MappingProxyType(
    {
        **dict.fromkeys(
            ("var", "variable", "variables", "positive", "nonnegative", "negative", "binary", "free"),
            "A decision is made by a layer, in its body: 'layer creator[k] { choose x[k] >= 0 }'.",
        ),
        **dict.fromkeys(
            ("real", "int", "integer", "float", "double", "vector", "row_vector", "matrix", "array", "simplex"),
            "Numbers need no such word: what is given is a param, 'param d[k] in [0, inf) = 3'; what is decided is a "
            "layer's, 'choose x[k] >= 0'.",
        ),
        "alias": "All letters that run over a set stand together: 'index k, i in domains = {video, text}'.",
        "table": "Data are a param: 'param mu[i, k] = csv(\"mu.csv\")'; a table of outcomes belongs in an experiment.",
        "begin": "Formulas stand as they are, without an environment around them.",
        **dict.fromkeys(
            (
                "subject",
                "s",
                "st",
                "such",
                "subjectto",
                "constraints",
                "equations",
                "parameters",
                "sets",
                "data",
                "transformed",
                "generated",
            ),
            "Each statement stands by itself, without a heading: 'demand[k]: x[k] >= d[k]', 'param d[k] = 3'.",
        ),
        **dict.fromkeys(
            ("forall", "foreach", "for", "every"),
            "What is stated for each k has [k] after its name: 'demand[k]: x[k] >= d[k]'.",
        ),
        **dict.fromkeys(
            ("maximize", "maximise", "max", "minimize", "minimise", "min"),
            "A goal belongs to somebody: 'objective platform: maximize revenue'.",
        ),
        **dict.fromkeys(
            ("import", "include", "from", "using", "library"),
            "A file stands for itself; what it takes from beside it are tables: 'param mu[i, k] = csv(\"mu.csv\")'.",
        ),
        **dict.fromkeys(
            ("solve", "model", "display", "print", "optimize", "end"),
            "A file states the market; what is done with it is said to the command: 'mechdsl solve FILE'.",
        ),
        **dict.fromkeys(("if", "else", "while"), "There is no control flow: a value by condition is 'if(c, a, b)'."),
    }
)
"""Words that other languages begin a line with, and this one has none for: what to write instead."""


class Place(Protocol):
    """What is asked of a scene: see `mistakes.Scene`."""

    @property
    def token(self) -> Token: ...
    @property
    def before(self) -> Token | None: ...
    @property
    def keyword(self) -> str: ...
    @property
    def line(self) -> Sequence[Token]: ...
    @property
    def inside(self) -> tuple[Token, Token] | None: ...


def habit(place: Place, possible: set[str]) -> str | None:
    """What to write instead, if the place shows where the writer comes from.

    Args:
        place: where the parser could not go on.
        possible: what could have stood there, as written.
    """
    seen = _Seen(place, possible)
    return next((remedy for row in _HABITS if row.fits(seen) and (remedy := row.remedy(seen))), None)


def stranger(place: Place) -> str | None:
    """What to write in place of a line that starts with no keyword."""
    word = place.token.value.lower()
    if word in STRANGERS:
        return STRANGERS[word]
    if place.token.type == "PATH":
        bound = word.rpartition(".")[2] in ("lo", "up", "fx", "l")
        if bound:
            return "Bounds are stated with the decision: 'choose x[k] in [0, 10]'."
        return "Nothing is assigned to: what is decided is a layer's, 'choose x[k] >= 0', what is given is a param."
    signs = [t.value for t in place.line[place.line.index(place.token) :]]
    if any(sign in signs for sign in (">=", "<=", "==", "<", ">")):
        return f"A requirement has a name: 'demand[k]: {_shown(place)}', 'constraint NAME: ...'."
    if "~" in signs:
        return f"What is drawn is a param, 'param {_shown(place)}', or a layer's private 'type'."
    if "=" in signs:
        return f"What is given is a param, 'param {_shown(place)}'; what follows from the rest is a let."
    return None


@dataclass(frozen=True, slots=True)
class _Seen:
    """A place with the questions that rows ask of it."""

    place: Place
    possible: set[str]

    @property
    def token(self) -> str:
        return str(self.place.token)

    @property
    def before(self) -> str:
        return str(self.place.before) if self.place.before is not None else ""

    def touching(self) -> str:
        """Signs that touch around the token, with letters between them: `=g=`, `**`, `:=`."""
        line = list(self.place.line)
        at = next((n for n, t in enumerate(line) if t is self.place.token), None)
        if at is None:
            return ""
        first = last = at
        while first > 0 and at - first < 2 and line[first - 1].end_pos == line[first].start_pos:
            first -= 1
        while last + 1 < len(line) and last - at < 2 and line[last].end_pos == line[last + 1].start_pos:
            last += 1
        return "".join(t.value for t in line[first : last + 1])

    def after(self, count: int = 1) -> Token | None:
        line = list(self.place.line)
        at = next((n for n, t in enumerate(line) if t is self.place.token), None)
        return line[at + count] if at is not None and at + count < len(line) else None

    def opens(self) -> str:
        """The bracket that we are in."""
        return str(self.place.inside[1]) if self.place.inside is not None else ""

    def call(self) -> str:
        """The word before the bracket that we are in."""
        return str(self.place.inside[0]) if self.place.inside is not None else ""


@dataclass(frozen=True, slots=True)
class _Habit:
    fits: Callable[[_Seen], bool]
    remedy: Callable[[_Seen], str]


def _row(fits: Callable[[_Seen], bool], remedy: str | Callable[[_Seen], str]) -> _Habit:
    return _Habit(fits, (lambda seen: remedy) if isinstance(remedy, str) else remedy)


def _pairs(*signs: str) -> Callable[[_Seen], bool]:
    return lambda seen: any(sign in seen.touching() for sign in signs)


_GAMS = re.compile(r"=([gleGLE])=")
_MEANT = {"g": ">=", "l": "<=", "e": "=="}


def _gams(seen: _Seen) -> str:
    found = _GAMS.search(seen.touching())
    return f"What '{found[0]}' says elsewhere is written '{_MEANT[found[1].lower()]}'." if found else ""


def _is_word(token: Token | None) -> bool:
    return token is not None and token.type == "NAME"


def _prose(seen: _Seen) -> bool:
    """Words in a row, as no expression has them."""
    following = [seen.after(n) for n in (1, 2)]
    return seen.place.token.type == "NAME" and all(_is_word(t) for t in following if t) and following[0] is not None


def _sum_like(seen: _Seen) -> bool:
    spelled = re.fullmatch(r"(sum|prod)(_\w+)?", seen.before) is not None and seen.token in "{[(" + seen.token[:1]
    return seen.call() in ("sum", "prod") or (spelled and "(" in seen.possible | {"("} and seen.before != seen.token)


def _sum_remedy(seen: _Seen) -> str:
    word = seen.call() if seen.call() in ("sum", "prod") else seen.before.split("_")[0]
    return f"First the letter that it runs over, then a colon: '{word}(k: x[k])', '{word}(i where i != k: x[i])'."


def _first_sign(seen: _Seen) -> str:
    line = seen.place.line
    return "".join(t.value for t in line[:2] if t is line[0] or t.start_pos == line[0].end_pos) if line else ""


_ORDERS = {">=", "<=", "==", ">", "<", "!="}
_COMMENT = "A comment starts with '#'."
_SQUARE = "An index stands in square brackets: '{}[k]'."

# In order: the first row that fits speaks.
_HABITS: Sequence[_Habit] = (
    _row(lambda s: bool(_GAMS.search(s.touching())), _gams),
    _row(_pairs("**"), "A power is written '^'."),
    _row(_pairs("&&"), "Conditions are joined by 'and'."),
    _row(_pairs("<-"), "A value is given with '=', an arrow is '->'."),
    _row(_pairs("=>"), "An arrow is written '->'; at least is '>='."),
    _row(_pairs("=<"), "At most is written '<='."),
    _row(_pairs("><", "<>"), "Unequal is written '!='."),
    _row(_pairs(":="), "A value is given with '='."),
    _row(lambda s: "==" in s.touching() and "==" not in s.possible and "=" in s.possible,
         "A value is given with a single '='."),
    _row(_pairs("..."), "A range has two full stops, '1..20'."),
    _row(lambda s: _first_sign(s) in ("--", "*", "**", "/") and s.place.line[0] is not s.place.before, _COMMENT),
    _row(_pairs("--"), _COMMENT),
    # Formulas.
    _row(lambda s: s.before == "lambda" and s.place.token.type == "NAME",
         "There are no functions of one's own: a formula has a name, and its letters, 'let cost_of[k] = ...'."),
    _row(lambda s: s.place.token.type == "PATH" and (after := s.after()) is not None and after == "(",
         lambda s: f"Functions stand by themselves: '{s.token.split('.')[-1]}(...)'."),
    _row(lambda s: s.token == "{" and s.before == "^",
         "An exponent of several signs stands in parentheses: 'x^(a + 1)'."),
    _row(lambda s: s.token == "{" and s.before.endswith("_"),
         lambda s: f"An entry is written '{s.before.rstrip('_')}[{s.after() or 'k'}]'."),
    _row(lambda s: s.token in _ORDERS and s.place.keyword in ("demand", "constraint") and not s.possible & _ORDERS,
         "A requirement has one comparison: write two, or state the bounds of a decision, 'choose x[k] in [0, 10]'."),
    # Sums and indices.
    _row(_sum_like, _sum_remedy),
    _row(lambda s: s.token in "({" and "[" in s.possible and not s.possible & {"(", "{"} and _is_word(s.after()),
         lambda s: _SQUARE.format(s.before)),
    _row(lambda s: s.token == "in" and s.opens() == "[",
         lambda s: f"The letter stands alone, '[{s.before}]': which set it runs over is said by 'index'."),
    # Values.
    _row(lambda s: s.token == "," and s.place.before is not None and s.place.before.type == "NUMBER"
         and (after := s.after()) is not None and after.type == "NUMBER" and not s.opens()
         and after.start_pos == s.place.token.end_pos, lambda s: f"Decimals have a point: '{s.before}.{s.after()}'."),
    _row(lambda s: s.token == "," and s.opens() == "(" and s.call() in ("=", ""),
         "A list of values stands in square brackets: '[3, 4]'."),
    _row(lambda s: s.token in ",}" and s.opens() == "{" and ":" in s.possible,
         "A map gives each label its value, '{video: 3, text: 4}'; a list of values stands in brackets, '[3, 4]'."),
    _row(lambda s: s.token == "=" and s.opens() == "{", "In a map a label and its value are joined by ':'."),
    _row(lambda s: s.token == "[" and s.place.keyword == "index", "Labels stand in braces: '{video, text}'."),
    _row(lambda s: s.token == ":" and s.place.keyword == "index", "A range has two full stops: '1..20'."),
    _row(lambda s: s.place.keyword == "index" and s.before == ")" and ".." in s.possible,
         "A range has two full stops: '1..20', '1..N'."),
    # Declarations.
    _row(lambda s: s.token == "in" and s.place.keyword == "param",
         "The range stands before the value: 'param rho in [1, inf) = 1.2'."),
    _row(lambda s: s.token in ("in", "T") and "on" in s.possible,
         "A support follows the word 'on': 'normal(0.5, 0.1) on [0, 1]'."),
    _row(lambda s: s.token in (">=", "<=", ">", "<") and s.place.keyword == "param" and "in" in s.possible,
         "The range of a param is an interval: 'param rho in [1, inf) = 1.2'."),
    _row(lambda s: s.token == "~" and s.place.keyword == "choose",
         "A decision is not drawn; what is private and random is a type: 'type c[k] ~ uniform(0, 1)'."),
    _row(lambda s: s.token == "=" and s.place.keyword == "choose",
         "A decision is not given; what is known is a param. It may have bounds: 'choose x[k] in [0, 10]'."),
    _row(lambda s: s.token in ("<=", "<") and s.place.keyword == "choose" and "<=" not in s.possible,
         "Two bounds are an interval: 'choose x[k] in [0, 10]'."),
    _row(lambda s: s.place.token.type == "NUMBER" and s.before == "choose",
         "The name comes first: 'choose x[k] >= 0', 'choose x[k] in [0, 10]'."),
    _row(lambda s: s.token in ("=", ":") and s.before == s.place.keyword
         and s.before in ("cost", "value", "outside", "bargaining"),
         lambda s: f"The formula follows at once: '{s.before} 2 * x'."),
    _row(lambda s: s.token == "[" and s.before == s.place.keyword and s.before in ("cost", "value", "outside"),
         lambda s: f"It is that of each layer in turn, and has no index: '{s.before} c[k] * x[k]'."),
    _row(lambda s: s.token == ":" and s.before in ("maximize", "minimize"),
         lambda s: f"The goal follows at once: '{s.before} revenue'."),
    _row(lambda s: s.token == "[" and s.place.keyword == "report",
         "A report gives all entries of a type: 'report c = {video: 0.3, text: 0.6}'."),
    _row(lambda s: s.place.token.type == "PATH" and s.place.keyword == "report",
         "A report gives all entries of a type: 'report c = {video: 0.3, text: 0.6}'."),
    _row(lambda s: s.place.token.type == "STRING" and s.before == "market",
         "A name comes before the title: 'market genai \"What the market is\"'."),
    _row(lambda s: s.possible == {"STRING"} and s.place.token.type != "STRING", "A title stands in double quotes."),
    _row(lambda s: s.place.keyword == "plot" and s.token in (",", "(", "}") and ("(" in s.possible or s.token == ","),
         "Each figure is a plot of its kind: 'plot box(revenue)  plot bar(welfare)'."),
    _row(lambda s: s.token in ("=", ":") and s.before == s.place.keyword and s.before in ("draws", "seed", "instances"),
         lambda s: f"The number follows at once: '{s.before} {s.after() or 100}'."),
    # Words that are operators elsewhere.
    _row(lambda s: s.token in ("if", "else", "then"), "A value by condition is 'if(condition, a, b)'."),
    _row(lambda s: s.token == "where" and "where" not in s.possible,
         "'where' stands in a sum, 'sum(i where i != k: ...)', or in brackets, 'demand[k where d[k] > 0]'."),
    _row(lambda s: s.token in ("for", "forall"), "What is stated for each k has [k] after its name."),
    _row(lambda s: s.token in ("mod", "div", "of"), "Arithmetic is + - * / ^."),
    _row(lambda s: "*" in s.possible and _prose(s) and s.place.before is not None
         and s.place.before.line == s.place.token.line, "A description stands in double quotes."),
)  # fmt: skip


def _shown(place: Place) -> str:
    """The line from the token on, as it was written but for its spaces, cut."""
    tokens = list(place.line[place.line.index(place.token) :])
    text = tokens[0].value
    for one, after in itertools.pairwise(tokens):
        text += ("" if one.end_pos == after.start_pos else " ") + after.value
    return text if len(text) <= 40 else f"{text[:37]}..."
