"""Where along a sweep the set of binding constraints changes: found by bisection between neighbours on the grid.

Between two such places everything is smooth in the params; at them slopes jump, and a reader should see them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np

from mechdsl import pipeline
from mechdsl.population.rows import binding_rows
from mechdsl.population.task import Task
from mechdsl.population.workshop import Workshop, workshop
from mechdsl.program import Status

__all__ = ["Change", "changes", "pattern_text"]

FINE, COARSE = 1e-6, 1e-2  # of a step of the grid: along one axis, and where there are more

Pattern = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """On the way along an axis, the set of binding constraints changes.

    Args:
        regime: where; axis: its number among the task's; values: on all axes, that of `axis` being the place.
        before, after: names of what binds, `demand.video`, on the smaller and on the larger side.
    """

    regime: str
    axis: int
    values: tuple[float, ...]
    before: Pattern
    after: Pattern


def pattern_text(pattern: Pattern | None) -> str:
    """`demand.video, demand.text`; `nothing` where none binds, nothing at all where it is not known."""
    return "" if pattern is None else (", ".join(pattern) or "nothing")


def changes(task: Task, patterns: Mapping[tuple[str, tuple[float, ...]], Pattern]) -> tuple[Change, ...]:
    """Every change between neighbours on the grid, along each axis.

    Args:
        task: a sweep without draws and instances.
        patterns: (regime, values) -> what binds there; points without a solution are absent.
    """
    if task.draws or task.instances > 1 or len(set(patterns.values())) < 2:
        return ()
    made = workshop(task)
    tolerance = FINE if len(task.axes) == 1 else COARSE
    return tuple(_found(task, patterns, made, tolerance))


def _found(
    task: Task, patterns: Mapping[tuple[str, tuple[float, ...]], Pattern], made: Workshop, tolerance: float
) -> Iterator[Change]:
    smooth = [n for n in range(len(task.axes)) if not _sizes(made, task, n)]
    for regime, number in product(task.regimes, smooth):
        others = [a.values for n, a in enumerate(task.axes) if n != number]
        along = sorted(task.axes[number].values)
        for rest in product(*others):
            for low, high in pairwise(along):
                ends = [(*rest[:number], v, *rest[number:]) for v in (low, high)]
                before, after = (patterns.get((regime, end)) for end in ends)
                if before is None or after is None or before == after:
                    continue

                def at(v: float, rest: tuple[float, ...] = rest, regime: str = regime) -> Pattern | None:
                    return _pattern(made, regime, (*rest[:number], v, *rest[number:]))  # noqa: B023 - used at once

                for place, one, two in _bisected(at, low, high, before, after, tolerance * (high - low)):
                    yield Change(regime, number, (*rest[:number], place, *rest[number:]), one, two)


def _sizes(made: Workshop, task: Task, number: int) -> bool:
    """Whether there is nothing between two values of an axis: it sets the size of a set, or takes labels or seeds."""
    axis = task.axes[number]
    if axis.takes or axis.is_seed:
        return True
    models = [made.model(replace(task.point(0), values=_with(task, number, v))) for v in axis.values[:2]]
    sizes = [[len(s) for s in next(iter(m.markets.values())).sets] for m in models]
    return sizes[0] != sizes[-1]


def _with(task: Task, number: int, value: float) -> tuple[float, ...]:
    first = [a.values[0] for a in task.axes]
    first[number] = value
    return tuple(first)


def _bisected(
    at: Callable[[float], Pattern | None], low: float, high: float, before: Pattern, after: Pattern, width: float
) -> Iterator[tuple[float, Pattern, Pattern]]:
    """The places between `low` and `high`; where a third pattern turns up between, both of its ends."""
    while high - low > width:
        middle = 0.5 * (low + high)
        found = at(middle)
        if found is None:
            return
        if found == before:
            low = middle
        elif found == after:
            high = middle
        else:
            yield from _bisected(at, low, middle, before, found, width)
            yield from _bisected(at, middle, high, found, after, width)
            return
    yield 0.5 * (low + high), before, after


def _pattern(made: Workshop, regime: str, values: tuple[float, ...]) -> Pattern | None:
    """What binds at a point; None where there is no solution."""
    point = replace(made.task.point(0), values=values)
    market = made.model(point).markets[regime]
    mechanism = made.mechanism(market, point)
    if mechanism is None:
        return None
    report = pipeline.stated_report(market)
    solution = mechanism.solve(report)
    if solution.status is not Status.OPTIMAL:
        return None
    allocation: Mapping[str, np.ndarray] = solution.values
    if any(str(c.quantity.name) not in allocation for c in market.choices):
        allocation = mechanism.structure.recover(mechanism, report).allocation
    known = {**market.data, **report, **{c.quantity: allocation[str(c.quantity.name)] for c in market.choices}}
    return tuple(
        ".".join((name, *(s.labels[j] for s, j in zip(sets, place, strict=True))))
        for name, (binds, sets) in binding_rows(market, known).items()
        for place in np.ndindex(*map(len, sets))
        if np.asarray(binds)[place] == 1
    )
