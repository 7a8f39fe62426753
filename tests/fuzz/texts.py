"""Texts drawn from the rules of the grammar itself, whatever rules it has: `draw(rng, rule, size)`.

lark's expanded rules are sampled with a budget; once it is spent every choice is the shallowest. Names come from a
small pool, so that one statement often means what another declares, and many texts begin with a few declarations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from types import MappingProxyType

from mechdsl.syntax.grammar import load_grammar

__all__ = ["NUMBERS", "draw", "generated", "joined"]

NAMES = (
    *("k", "i", "n", "domains", "creators", "d", "rho", "mu", "gamma", "x", "x", "y", "c", "c", "platform", "creator"),
    *("union", "broker", "planner", "direct", "presigned", "unit_price", "free", "contest", "revenue", "welfare"),
    *("profit", "payoff", "video", "text", "inf", "exp", "log", "sqrt", "min", "max", "abs", "if", "mean", "lower"),
    *("upper", "uniform", "normal", "triangular", "point", "exponential", "lognormal", "beta", "kumaraswamy", "power"),
    *("mixture", "density", "empirical", "csv", "precision", "noise", "theta", "B", "M1", "M2", "home", "box", "tax"),
    *("ρ", "µ", "Δ_1", "é", "_", "x1", "sum", "prod", "cost", "value", "in", "on", "by", "and", "nan", "pi", "e"),
    *("information", "known", "variance", "column", "parse_expr", "__class__", "lambda", "E", "I", "S", "oo", "zoo"),
)
NUMBERS = (
    *("0", "1", "2", "3", "0.5", "0.3", ".25", "3.", "1.5", "10", "20", "100", "1e-3", "2.5E+2", "0.1", "0.85"),
    *("1e-9", "1e9", "1e-300", "1e300", "99999", "1000000000", "0.30000000000000004", "12345678901234567890"),
)
STRINGS = ('"doc"', '""', '"a # b { ("', '"Größe, ρ"', '"costs.csv"', '"mu.csv"', '"../x.csv"', '"New York"', '"video"')
PATHS = ("d.video", "w.3", 'mu.video."New York"', "c.text", "mu.video.text", "x.k", "rho.1", "d.video.video.video")

_DECLARED = """market m "t"
index k, i in domains = {video, text}
index n in creators = 1..3
param d[k] in [0, inf) = {video: 3, text: 4}
param rho[k] in [1, inf) = 1.5
param mu[i, k] in [0, inf) = 0.2
param gamma[i, k] in [0, 1] = 0.85
layer platform
layer creator[k] { type c[k] ~ uniform(0.1, 1) choose x[k] >= 0 cost c[k] * x[k]^rho[k] }
"""
_TERMS = "demand[k]: x[k] >= d[k]\ncontract platform -> creator: direct\nobjective platform: maximize revenue\n"
_TOP = (
    "_statement",
    "_statement",
    "_statement",
    "layer",
    "regime",
    "claim",
    "experiment",
    "param",
    "let",
    "constraint",
)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules by their names, each with its depth: how many steps the shallowest text of it takes."""

    rules: Mapping[str, tuple[tuple[str, ...], ...]]
    depth: Mapping[str, int]
    spelling: Mapping[str, str]


@cache
def _rules() -> _Rules:
    grammar = load_grammar()
    rules: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for rule in grammar.lark.rules:
        rules[rule.origin.name].append(tuple(symbol.name for symbol in rule.expansion))
    depth = dict.fromkeys(rules, 10**6)
    for _ in rules:
        for name, expansions in rules.items():
            depth[name] = min(1 + max((depth.get(s, 0) for s in e), default=0) for e in expansions)
    return _Rules(MappingProxyType({n: tuple(e) for n, e in rules.items()}), MappingProxyType(depth), grammar.spelling)


def draw(rng: Random, rule: str, size: int) -> list[str]:
    """The words of a text that the rule describes, with some `size` choices made freely."""
    grammar = _rules()
    words: list[str] = []
    stack = [rule]
    while stack:
        symbol = stack.pop()
        if symbol not in grammar.rules:
            words.append(_word(rng, symbol, grammar.spelling))
            continue
        expansions = grammar.rules[symbol]
        if size <= 0:
            depths = [max((grammar.depth.get(s, 0) for s in e), default=0) for e in expansions]
            expansions = tuple(e for e, d in zip(expansions, depths, strict=True) if d == min(depths))
        size -= len(expansions) > 1
        stack += reversed(rng.choice(expansions))
    return words


def _word(rng: Random, terminal: str, spelling: Mapping[str, str]) -> str:
    match terminal:
        case "NAME":
            return rng.choice(NAMES)
        case "NUMBER":
            return rng.choice(NUMBERS)
        case "STRING":
            return rng.choice(STRINGS)
        case "PATH":
            return rng.choice(PATHS)
        case "AGGREGATE":
            return rng.choice(("sum", "prod"))
        case _:
            return spelling[terminal]


def joined(rng: Random, words: Sequence[str]) -> str:
    """The words with white space between, seldom none and seldom a comment."""
    spaces = rng.choices((" ", "\n", "", "\t", "\r\n", " # note\n"), (80, 10, 6, 2, 1, 1), k=len(words))
    return "".join(word + space for word, space in zip(words, spaces, strict=True))


def generated(rng: Random) -> str:
    """A text from the grammar alone: most are one small statement, some several after declarations to speak of."""
    if rng.random() < 0.9:
        return joined(rng, draw(rng, rng.choice(_TOP), rng.choice((1, 2, 4, 8))))
    head = rng.choice(("", 'market m "t"\n', _DECLARED, _DECLARED + _TERMS))
    bodies = [draw(rng, rng.choice(_TOP), rng.choice((4, 10, 20, 40))) for _ in range(rng.choice((1, 1, 2, 3)))]
    return head + "\n".join(joined(rng, body) for body in bodies)
