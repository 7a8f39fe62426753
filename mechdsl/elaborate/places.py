"""Where in a text a thing stands: messages underline the word or the entry that is wrong, not the statement around it.

The nodes of a text keep the place of a whole (`mu[i, k]`, `{video: -3, text: 4}`); what is finer is found here, when a
message needs it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

from mechdsl import syntax_tree as tree
from mechdsl.elaborate.expressions import label_text
from mechdsl.errors import Source, Span
from mechdsl.formula import IndexSet
from mechdsl.syntax import canonical_name

__all__ = ["entry_node", "walk", "word_span"]

_PIECE = re.compile(r'"[^"\r\n]*"|#[^\r\n]*|\w+')


def word_span(source: Source, within: Span, word: str) -> Span:
    """Where a word first stands inside `within`, strings and comments apart; `within` itself where it does not.

    The word is a name in its one spelling: `ρ` is found for `rho`.
    """
    for found in _PIECE.finditer(source.text, within.start, within.end):
        if canonical_name(found[0]) == word:
            return _part(source.text, within, found.start(), found.end())
    return within


def _part(text: str, within: Span, start: int, end: int) -> Span:
    """The stretch of one line from `start` to `end`, which lies inside `within`."""
    before = (text[within.start : start] + ".").splitlines()
    line = within.line + len(before) - 1
    column = len(before[-1]) + (within.column - 1 if len(before) == 1 else 0)
    return Span(start, end, line, column, line, column + end - start)


def entry_node(node: tree.Node, sets: Sequence[IndexSet], place: Sequence[int]) -> tree.Node:
    """The part of a stated value that gives the entry at `place`: `-3` in `{video: -3, text: 4}`; all of it where it
    speaks for every label alike.
    """
    for index_set, position in zip(sets, place, strict=True):
        inner: tree.Node | None = None
        if isinstance(node, tree.Mapping):
            label = index_set.labels[position]
            inner = next((value for node_label, value in node.entries if label_text(node_label) == label), None)
        elif isinstance(node, tree.Sequence) and position < len(node.items):
            inner = node.items[position]
        if inner is None:
            break
        node = inner
    return node


def walk(node: Any) -> Iterator[tree.Node]:
    """A node and every node inside it, in the order of the text."""
    if isinstance(node, tree.Node):
        yield node
        node = tuple(getattr(node, f.name) for f in dataclasses.fields(node))
    if isinstance(node, tuple):
        for part in node:
            yield from walk(part)
