"""What concerns a file as a whole: one market, names given once."""

from __future__ import annotations

from collections.abc import Iterator

from mechdsl import syntax_tree as tree
from mechdsl.errors import Diagnostic

__all__ = ["repeated_names"]


def repeated_names(file: tree.File) -> Iterator[Diagnostic]:
    """One `market` statement; regimes, claims and experiments each named once."""
    markets = [s for s in file.statements if isinstance(s, tree.MarketStatement)]
    if not markets:
        yield Diagnostic("M050", "the file has no `market` statement", None, 'Start it with: market NAME "title".')
    for extra in markets[1:]:
        yield Diagnostic("M050", "a file states one market, this is the second", extra.span, "Use a file for each.")
    for kind in (tree.RegimeStatement, tree.ClaimStatement, tree.ExperimentStatement):
        lines: dict[str, int] = {}
        for node in (s.name for s in file.statements if isinstance(s, kind)):
            if node.id in lines:
                word = kind.__name__.removesuffix("Statement").lower()
                message = f"{word} '{node.id}' is already defined, in line {lines[node.id]}"
                yield Diagnostic("M011", message, node.span, "Rename one of the two.")
            lines.setdefault(node.id, node.span.line)
