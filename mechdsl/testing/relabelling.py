"""Labels in the opposite order: a structure that counts on their places gives another answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from mechdsl import pipeline
from mechdsl import syntax_tree as tree
from mechdsl.errors import MechError
from mechdsl.evaluate import Array
from mechdsl.market import Market
from mechdsl.outcome import Outcome
from mechdsl.structure import Example, Structure

__all__ = ["relabelled"]

TOLERANCE = 1e-6


def relabelled(
    structure: Structure,
    file: tree.File,
    markets: Callable[[tree.File], Mapping[str, Market]],
    example: Example,
    outcome: Outcome,
) -> Iterator[str]:
    """Labels in the opposite order change nothing but the order."""
    turned = replace(file, statements=_turned(file.statements))
    try:
        market = markets(turned)[example.regime]
    except MechError as error:
        yield str(error)
        return
    sets = markets(file)[example.regime].sets
    if market.sets == () or all(s.labels == t.labels for s, t in zip(market.sets, sets, strict=True)):
        return
    other = structure.recover(pipeline.mechanism(market, structure), pipeline.stated_report(market))
    flip = {s.name for s, t in zip(market.sets, sets, strict=True) if s.labels != t.labels}
    for choice in market.choices:
        name = str(choice.quantity.name)
        back = _flipped(np.asarray(other.allocation[name]), tuple(s.name in flip for s in choice.quantity.sets))
        if not np.allclose(back, outcome.allocation[name], rtol=1e-5, atol=1e-6):
            yield f"{name} depends on the order of the labels"
    for layer in market.layers:
        axes = tuple(a.index_set.name in flip for a in layer.letters)
        for what, one, again in (("payments to", outcome.payments, other.payments),
                                   ("utilities of", outcome.utilities, other.utilities)):  # fmt: skip
            if layer.name in one and layer.name in again:
                back = _flipped(np.asarray(again[layer.name]), axes)
                if not np.allclose(back, one[layer.name], rtol=1e-5, atol=1e-6):
                    yield f"{what} {layer.name} depend on the order of the labels"
    if (
        outcome.revenue is not None
        and other.revenue is not None
        and not np.isclose(outcome.revenue, other.revenue, rtol=TOLERANCE, atol=TOLERANCE)
    ):
        yield "revenue depends on the order of the labels"


def _flipped(table: Array, axes: tuple[bool, ...]) -> Array:
    return np.flip(table, axis=tuple(j for j, flip in enumerate(axes) if flip))


def _turned(statements: tuple[tree.Statement, ...]) -> tuple[tree.Statement, ...]:
    """Every set of labels reversed, and every list of values along it."""
    reversed_letters = {
        letter.id
        for s in statements
        if isinstance(s, tree.IndexStatement) and isinstance(s.members, tree.LabelSet)
        for letter in s.letters
    }

    def turn(node: tree.Expression | None, letters: tuple[tree.Name, ...]) -> tree.Expression | None:
        if not isinstance(node, tree.Sequence) or not letters:
            return node
        items = tuple(turn(item, letters[1:]) for item in node.items)
        kept = tuple(item for item in items if item is not None)
        return replace(node, items=kept[::-1] if letters[0].id in reversed_letters else kept)

    types = {
        item.target.name: item.target.letters
        for s in statements
        if isinstance(s, tree.LayerStatement)
        for item in s.items
        if isinstance(item, tree.TypeStatement)
    }
    turned: list[tree.Statement] = []
    for s in statements:
        if isinstance(s, tree.IndexStatement) and isinstance(s.members, tree.LabelSet):
            turned.append(replace(s, members=replace(s.members, labels=s.members.labels[::-1])))
        elif isinstance(s, tree.ParamStatement):
            turned.append(replace(s, value=turn(s.value, s.target.letters)))
        elif isinstance(s, tree.ReportStatement):
            value = turn(s.value, types.get(s.name.id, ()))
            turned.append(s if value is None else replace(s, value=value))
        elif isinstance(s, tree.RegimeStatement):
            turned.append(replace(s, body=_turned(s.body)))
        else:
            turned.append(s)
    return tuple(turned)
