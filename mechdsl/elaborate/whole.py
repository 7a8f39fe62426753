"""What concerns a file as a whole: one market, names given once, what claims and experiments refer to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mechdsl import syntax_tree as tree
from mechdsl.errors import Diagnostic, did_you_mean
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
        seen: set[str] = set()
        for node in (s.name for s in file.statements if isinstance(s, kind)):
            if node.id in seen:
                word = kind.__name__.removesuffix("Statement").lower()
                yield Diagnostic("M011", f"{word} '{node.id}' is defined twice", node.span, "Rename one of them.")
            seen.add(node.id)


def claim_mistakes(
    claims: Sequence[tree.ClaimStatement], regimes: Sequence[str], layers: Sequence[str]
) -> Iterator[Diagnostic]:
    """Claims speak of regimes (and layers) that exist."""
    known = (*regimes, *layers)
    operands = (operand for claim in claims for part in claim.parts for operand in part.operands)
    for call in (call for operand in operands for call in _calls(operand) if call.name in OUTCOME_WORDS):
        for name in (a.value for a in call.arguments if isinstance(a.value, tree.Name)):
            if name.id not in known:
                yield Diagnostic("M017", f"unknown regime '{name.id}'", name.span, did_you_mean(name.id, regimes))


def _calls(node: object) -> list[tree.Call]:
    """Every call in an expression."""
    children: Sequence[object] = ()
    match node:
        case tree.Call():
            children = [a.value for a in node.arguments]
        case tree.Binary():
            children = [node.left, node.right]
        case tree.Unary():
            children = [node.operand]
        case tree.Aggregate():
            children = [node.body]
    found = [node] if isinstance(node, tree.Call) else []
    return [*found, *(call for child in children for call in _calls(child))]


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
    params = tuple(n for n, d in market.declarations.items() if d.quantity.role == "param")
    if name not in params:
        yield Diagnostic("M010", f"'{name}' is no param", axis.span, did_you_mean(name, params))
        return
    sets = market.declarations[name].quantity.sets
    if len(labels) > len(sets):
        yield Diagnostic("M020", f"'{name}' takes {len(sets)} labels, here are {len(labels)}", axis.span)
    for label, index_set in zip(labels, sets, strict=False):
        if label not in index_set.labels:
            hint = did_you_mean(label, index_set.labels)
            yield Diagnostic("M015", f"{index_set.name} has no label '{label}'", axis.span, hint)
