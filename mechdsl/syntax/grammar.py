"""The grammar, loaded: lark's tables, and what the scanner and the messages need to know of the language.

`grammar/mech.lark` is the one master: which words are keywords, what may open a statement, what may follow a keyword,
what belongs in which body are all read off its tables, so a statement added there needs no second list here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from lark import Lark, Token
from lark.lexer import PatternStr
from lark.parsers.lalr_parser_state import ParserState

from mechdsl.resources import folder

__all__ = ["BODIES", "END", "STARTS", "Grammar", "choices", "load_grammar"]

STARTS = ("file", "value", "axes", "assignments", "chains")
"""What may be parsed by itself: a file, and the pieces the command line is made of."""

END = "$END"
"""The terminal after the last token."""

BODIES = MappingProxyType(
    {
        "file": (),
        "regime": ("REGIME", "NAME", "LBRACE"),
        "layer": ("LAYER", "NAME", "LBRACE"),
        "experiment": ("EXPERIMENT", "NAME", "LBRACE"),
    }
)
"""What holds statements, and the terminals that lead into it; the order is the one in which a misplaced statement's
home is looked for."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """The tables and what is read off them.

    Args:
        lark: the LALR(1) parser.
        lexeme: matches one token, comment or stretch of white space; the group that matched is its terminal.
        keywords: word -> terminal.
        spelling: terminal -> how it is written, for those written in one way only.
        statements: body -> the keywords of the statements it may hold.
        follows: a statement's keyword -> the terminals that may come next.
    """

    lark: Lark
    lexeme: re.Pattern[str]
    keywords: Mapping[str, str]
    spelling: Mapping[str, str]
    statements: Mapping[str, frozenset[str]]
    follows: Mapping[str, frozenset[str]]


@cache
def load_grammar() -> Grammar:
    """The language of `grammar/mech.lark`; built once a process (some 80 ms)."""
    text = (folder("grammar") / "mech.lark").read_text(encoding="utf-8")
    lark = Lark(
        text, parser="lalr", lexer="basic", start=list(STARTS), propagate_positions=True, maybe_placeholders=True
    )
    fixed = {t.name: t.pattern.value for t in lark.terminals if isinstance(t.pattern, PatternStr)}
    patterns = {t.name: t.pattern.to_regexp() for t in lark.terminals if t.name not in fixed}
    keywords = {written: name for name, written in fixed.items() if written.isalpha()}
    symbols = {written: name for name, written in fixed.items() if not written.isalpha()}
    ordered = [*patterns.items(), *((symbols[s], re.escape(s)) for s in sorted(symbols, key=len, reverse=True))]
    words = {terminal: word for word, terminal in keywords.items()}
    statements = {
        body: frozenset(words[t] for t in _next_terminals(lark, way) if t in words) for body, way in BODIES.items()
    }
    follows = {
        word: _next_terminals(lark, (*way, keywords[word])) for body, way in BODIES.items() for word in statements[body]
    }
    return Grammar(
        lark=lark,
        lexeme=re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in ordered)),
        keywords=MappingProxyType(keywords),
        spelling=MappingProxyType(fixed),
        statements=MappingProxyType(statements),
        follows=MappingProxyType(follows),
    )


def choices(state: ParserState[Any]) -> Mapping[str, object]:
    """The terminals on which the parser has an action (a few may still be refused after it), among other symbols."""
    return state.parse_conf.states[state.position]


def _next_terminals(lark: Lark, way: Iterable[str]) -> frozenset[str]:
    """The terminals that may come after the terminals `way` from the start of a file."""
    parser = lark.parse_interactive(start="file")
    for terminal in way:
        parser.feed_token(Token(terminal, ""))
    return frozenset(t for t in choices(parser.parser_state) if t.isupper())
