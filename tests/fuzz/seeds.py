"""Texts to start from: every case and model of the tree, every example of the catalogue, what the fuzzers kept.

A text that parses is also cut into its pieces by rule of the grammar, so that a piece of one text can take the place of
a piece of another that the same rule describes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mechdsl.catalog import EXPLANATIONS, SETTING
from mechdsl.syntax.grammar import load_grammar
from mechdsl.syntax.reader import read_tokens
from mechdsl.syntax.scan import scan

__all__ = ["CORPUS", "FOUND", "TABLES", "Pieces", "Seed", "fragments", "pieces", "seeds", "words"]

_HERE = Path(__file__).parent
_TREE = _HERE.parents[1]
CORPUS = _HERE / "corpus"
TABLES = _HERE / "tables"
FOUND = _HERE / "found"

_WORD = re.compile(r'\s+|"[^"\n]*"|[^\W\d]\w*|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|->|\.\.|[<>=!]=|.', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Seed:
    """A text, its words, and where its pieces lie: (rule, start, end)."""

    name: str
    text: str
    words: tuple[str, ...]
    places: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Pieces:
    """What mutations put in: pieces by rule, and every word there is."""

    by_rule: Mapping[str, tuple[str, ...]]
    words: tuple[str, ...]


def words(text: str) -> list[str]:
    """The text cut into words, signs and stretches of white space; joined again it is the text."""
    return _WORD.findall(text)


@cache
def seeds() -> tuple[Seed, ...]:
    """All of them, in an order that is always the same."""
    folders = (_TREE / "models", _HERE.parent / "cases", CORPUS, FOUND)
    files = [path for folder in folders for path in sorted(folder.rglob("*.mech"))]
    texts = {str(path.relative_to(_TREE)): _text(path) for path in files}
    for code, explanation in EXPLANATIONS.items():
        for kind, snippet in (("bad", explanation.bad), ("good", explanation.good)):
            texts[f"{code} {kind}"] = f"{SETTING}\n{snippet}\n"
    return tuple(Seed(name, text, tuple(words(text)), _places(text)) for name, text in texts.items())


@cache
def fragments() -> tuple[Seed, ...]:
    """Every statement of every seed by itself, each once: short texts, of which a second holds many."""
    statements = {
        seed.text[start:end]: seed.name
        for seed in seeds()
        for rule, start, end in seed.places
        if rule in load_grammar().statements["file"]
    }
    return tuple(Seed(name, text, tuple(words(text)), _places(text)) for text, name in statements.items())


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def _places(text: str) -> tuple[tuple[str, int, int], ...]:
    scanned = scan(text, load_grammar())
    tree = None if scanned.refused else read_tokens(load_grammar(), scanned, "file").tree
    if tree is None:
        return ()
    nodes = [node for node in tree.iter_subtrees() if not node.meta.empty]
    return tuple((str(node.data), node.meta.start_pos, node.meta.end_pos) for node in nodes)


@cache
def pieces() -> Pieces:
    """Of all seeds together, each once."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    every: dict[str, None] = {}
    for seed in seeds():
        every |= dict.fromkeys(word for word in seed.words if not word.isspace())
        for rule, start, end in seed.places:
            if end - start <= 600:
                found[rule][seed.text[start:end]] = None
    return Pieces({rule: tuple(texts) for rule, texts in found.items()}, tuple(every))
