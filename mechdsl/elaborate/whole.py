"""What concerns a file as a whole: one market, names given once, what claims and experiments refer to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mechdsl import syntax_tree as tree
from mechdsl.elaborate.names import too_many_labels
from mechdsl.elaborate.places import walk, word_span
from mechdsl.elaborate.wording import ROLES
from mechdsl.errors import Diagnostic, Span, did_you_mean
from mechdsl.market import Market

__all__ = ["OUTCOME_WORDS", "claim_mistakes", "experiment_mistakes", "repeated_names"]

OUTCOME_WORDS = ("revenue", "welfare", "profit", "payments", "utility", "information_rent")
"""What a claim may speak of: `revenue(M1)`."""


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


def claim_mistakes(
    claims: Sequence[tree.ClaimStatement], regimes: Sequence[str], layers: Sequence[str]
) -> Iterator[Diagnostic]:
    """Claims speak of regimes (and layers) that exist."""
    known = (*regimes, *layers)
    calls = (node for claim in claims for node in walk(claim.parts) if isinstance(node, tree.Call))
    for call in (call for call in calls if call.name in OUTCOME_WORDS):
        for name in (a.value for a in call.arguments if isinstance(a.value, tree.Name)):
            if name.id not in known:
                yield Diagnostic("M017", f"unknown regime '{name.id}'", name.span, did_you_mean(name.id, regimes))


def experiment_mistakes(
    experiments: Sequence[tree.ExperimentStatement], regimes: Sequence[str], market: Market
) -> Iterator[Diagnostic]:
    """Experiments name regimes that exist and vary params that exist."""
    for item in (item for experiment in experiments for item in experiment.items):
        if isinstance(item, tree.RegimesItem):
            for name in item.names:
                if name.id not in regimes:
                    yield Diagnostic("M017", f"unknown regime '{name.id}'", name.span, did_you_mean(name.id, regimes))
        elif isinstance(item, tree.VaryItem):
            for axis in item.axes:
                yield from _axis_mistakes(axis, market)


def _axis_mistakes(axis: tree.Axis, market: Market) -> Iterator[Diagnostic]:
    name, *labels = axis.path

    def at(word: str) -> Span:
        return word_span(market.source, axis.span, word)

    params = tuple(n for n, d in market.declarations.items() if d.quantity.role == "param")
    if name not in params:
        what = f" but {ROLES[market.declarations[name].quantity.role]}" if name in market.declarations else ""
        yield Diagnostic("M010", f"'{name}' is no param{what}", at(name), did_you_mean(name, params))
        return
    quantity = market.declarations[name].quantity
    if len(labels) > len(quantity.sets):
        hint = f"Write {'.'.join((name, *(s.labels[0] for s in quantity.sets)))}, or {name} for every entry alike."
        yield Diagnostic("M020", too_many_labels(quantity, len(labels)), axis.span, hint)
    for label, index_set in zip(labels, quantity.sets, strict=False):
        if label not in index_set.labels:
            message = f"{index_set.name} has no label '{label}', so {'.'.join(axis.path)} is no entry"
            yield Diagnostic("M015", message, at(label), did_you_mean(label, index_set.labels))
