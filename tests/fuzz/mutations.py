"""Texts that are nearly right: a seed with one to four changes, of the kinds people, editors and enemies make.

A change works on the text alone. Most swap or disturb a few words; some put a piece of the grammar in the place of
another piece of the same rule, which leaves a text that parses and means something else.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from random import Random

from .seeds import Seed, fragments, pieces, seeds, words
from .texts import draw, joined

__all__ = ["changed", "mutated"]

_LONGEST = 6_000  # characters; what is longer than any seed slows a run and teaches nothing
NUMBERS = (
    *("0", "-0", "1", "-1", "2", "0.5", "1e-300", "1e300", "1e308", "1e-308", "1e309", "5e-324", "9" * 20, "9" * 400),
    *("inf", "-inf", "nan", "1/3", "1/0", "0/0", "0^0", "0^-1", "(-1)^0.5", "9^9^9^9", "2^0.5", "1e15", "1e16", "1."),
    *(
        "99999",
        "100000",
        "100001",
        "1000000000",
        "1e9",
        "0.30000000000000004",
        "1.7976931348623157e308",
        "1e-9",
        "0x10",
    ),
    *("1_000", "٣", "１", "½", "1e", "1e+", "..", "1..3", "3..1", "1..1000000000", "0.1..0.9", "1e5", "20000", "1e-16"),
)
_INSERTED = (
    *(
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        '"',
        "#",
        ",",
        ":",
        "=",
        "~",
        "+",
        "-",
        "*",
        "/",
        "^",
        "<",
        ">",
        "!",
        ".",
        ";",
        "'",
    ),
    *(
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\0",
        "\x0b",
        "\x0c",
        "\x1b[2J",
        "\x7f",
        "\x85",
        "\u00a0",
        "\u00ad",
        "\u2028",
        "\u2029",
    ),
    *("\u200b", "\u200d", "\u202e", "\u2066", "\ufeff", "\ufffd", "\ufffe", "\U0001f600", "\U000e0041", "\ud800", "é"),
    *(
        "–",
        "−",
        "×",
        "·",
        "÷",
        "≥",
        "≤",
        "≠",
        "→",
        "…",
        "“",
        "”",
        "‘",
        "’",
        "²",
        "∞",
        "∑",
        "ﬁ",
        "ſ",
        "İ",
        "ß",
        "％",
        "＝",
    ),
    *("**", "//", "/*", "*/", "&&", "||", ":=", "==", "=>", "<-", "<>", "!", "...", "%", "$", "@", "\\", "`", "?", "0"),
    *("lambda: 0", "__import__('os')", "eval(1)", "import os", "{{1}}", "${x}", "%s%n", "(a+)+$", "'; DROP TABLE"),
)
_ALIKE = str.maketrans("aceopxyikmABCEHKMOPTX", "асеорхуікмАВСЕНКМОРТХ")  # Latin to Cyrillic
_OPEN = (
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("-", ""),
    ("not ", ""),
    ("exp(", ")"),
    ("2^", ""),
    ("", "^2"),
    ("", " + 1"),
)
_DEEP = (1, 2, 3, 8, 30, 49, 51, 150, 400)


def mutated(rng: Random) -> str:
    """A seed, or a statement of one, with one to four changes."""
    seed = rng.choice(fragments() if rng.random() < 0.93 else seeds())
    spliced = bool(seed.places) and rng.random() < 0.5
    text = _splice(rng, seed) if spliced else seed.text
    for _ in range(rng.choice((0, 0, 1, 2) if spliced else (1, 1, 1, 2, 3, 4))):
        text = changed(rng, text)
    return text[:_LONGEST]


def changed(rng: Random, text: str) -> str:
    """The text with one change of a kind drawn at random."""
    kind = rng.choice(_KINDS)
    return kind(rng, text)


def _splice(rng: Random, seed: Seed) -> str:
    """A piece for a piece that the same rule of the grammar describes: of another seed, or drawn from the rule."""
    text = seed.text
    rule, start, end = rng.choice(seed.places)
    stock = pieces().by_rule.get(rule, ())
    if rng.random() < 0.25 or not stock:
        rule_of = {"binary": "arithmetic", "unary": "arithmetic", "number": "arithmetic", "string": "value"}.get(
            rule, rule
        )
        try:
            return text[:start] + " " + joined(rng, draw(rng, rule_of, rng.choice((3, 8, 15)))) + text[end:]
        except KeyError:  # an alias, which names no rule
            return text
    return text[:start] + rng.choice(stock) + text[end:]


def _in_words(change: Callable[[Random, list[str], int], None]) -> Callable[[Random, str], str]:
    """A change of words as a change of a text: at a word drawn at random."""

    def of_text(rng: Random, text: str) -> str:
        cut = words(text)
        solid = [at for at, word in enumerate(cut) if not word.isspace()]
        if solid:
            change(rng, cut, rng.choice(solid))
        return "".join(cut)

    return of_text


def _delete(rng: Random, cut: list[str], at: int) -> None:
    del cut[at : at + rng.choice((1, 1, 1, 2, 5, 20))]


def _repeat(rng: Random, cut: list[str], at: int) -> None:
    cut[at:at] = cut[at : at + rng.choice((1, 1, 2, 8))] * rng.choice((1, 1, 1, 2, 50))


def _swap(rng: Random, cut: list[str], at: int) -> None:
    other = rng.randrange(len(cut))
    cut[at], cut[other] = cut[other], cut[at]


def _replace(rng: Random, cut: list[str], at: int) -> None:
    cut[at] = rng.choice(pieces().words)


def _rename(rng: Random, cut: list[str], at: int) -> None:
    names = [word for word in cut if word[0].isalpha()]
    if names:
        cut[at] = rng.choice(names)


def _insert(rng: Random, cut: list[str], at: int) -> None:
    cut.insert(at, rng.choice(_INSERTED))


def _number(rng: Random, cut: list[str], at: int) -> None:
    numbers = [j for j, word in enumerate(cut) if word[0].isdigit()]
    cut[rng.choice(numbers) if numbers else at] = rng.choice(NUMBERS)


def _alike(rng: Random, cut: list[str], at: int) -> None:
    word = cut[at]
    letter = rng.randrange(len(word))
    form = rng.choice(("Cyrillic", "wide", "accent", "NFD", "invisible", "upper"))
    other = {
        "Cyrillic": word[letter].translate(_ALIKE),
        "wide": chr(ord(word[letter]) + 0xFEE0) if "!" <= word[letter] <= "~" else word[letter],
        "accent": word[letter] + "\u0301",
        "NFD": unicodedata.normalize("NFD", word[letter]),
        "invisible": word[letter] + rng.choice("\u200b\u200c\u200d\u2060\u00ad"),
        "upper": word[letter].swapcase(),
    }[form]
    cut[at] = word[:letter] + other + word[letter + 1 :]


def _nest(rng: Random, cut: list[str], at: int) -> None:
    before, after = rng.choice(_OPEN)
    depth = rng.choice(_DEEP)
    cut[at] = before * depth + cut[at] + after * depth


def _statement(rng: Random, text: str) -> str:
    """A statement of some seed, put in after another or in its place, or one taken out."""
    lines = text.split("\n")
    donor = rng.choice(seeds())
    at = rng.randrange(len(lines))
    statements = [donor.text[start:end] for rule, start, end in donor.places if end - start > 8 and rule not in _INNER]
    if rng.random() < 0.7:
        del lines[at]
    if statements and rng.random() < 0.8:
        lines.insert(at, rng.choice(statements))
    return "\n".join(lines)


def _lines(rng: Random, text: str) -> str:
    """Lines swapped, doubled, joined or dropped."""
    lines = text.split("\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            lines[first], lines[second] = lines[second], lines[first]
        case 1:
            lines.insert(second, lines[first])
        case 2:
            lines[first : second + 1] = [" ".join(lines[first : second + 1])]
        case _:
            del lines[first]
    return "\n".join(lines)


def _cut_off(rng: Random, text: str) -> str:
    """The text only up to a place, or from there on."""
    at = rng.randrange(len(text) + 1)
    return text[:at] if rng.random() < 0.7 else text[at:]


def _rubbish(rng: Random, text: str) -> str:
    """A stretch of bytes of no meaning."""
    at = rng.randrange(len(text) + 1)
    rubbish = bytes(rng.randrange(256) for _ in range(rng.choice((1, 3, 30)))).decode("latin-1")
    return text[:at] + rubbish + text[at + rng.choice((0, len(rubbish))) :]


def _brackets(rng: Random, text: str) -> str:
    """A bracket taken out, or another one in its place."""
    places = [at for at, letter in enumerate(text) if letter in "()[]{}"]
    if not places:
        return text
    at = rng.choice(places)
    bracket: str = rng.choice(("", "", *"()[]{}"))
    return text[:at] + bracket + text[at + 1 :]


_INNER = frozenset({"name", "number", "target", "letters", "doc", "where", "scope", "bounds", "kind", "domain"})
_KINDS: tuple[Callable[[Random, str], str], ...] = (
    *(_in_words(c) for c in (_delete, _repeat, _swap, _replace, _replace, _rename, _rename, _insert, _insert)),
    *(_in_words(c) for c in (_number, _number, _number, _alike, _nest)),
    *(_statement, _statement, _lines, _cut_off, _rubbish, _brackets, _brackets),
)
