"""What a study found: a figure for every measure, regime and grid point, and where the binding set changes.

Made in one pass over the rows; what is kept does not grow with the number of draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mechdsl.evaluate import Array
from mechdsl.population.changes import Change, changes
from mechdsl.population.execution import Work, rows_of
from mechdsl.population.moments import Figure, Quantiles, Tally, across
from mechdsl.population.rows import ADDED, Rows
from mechdsl.population.store import Store, store_of
from mechdsl.population.study import Study

__all__ = ["Cell", "Findings", "Interrupted", "findings"]

HEAD = ("point", "instance", "regime", "draw")
EXACT = 1 << 20  # values of a column up to which quantiles are exact
BUDGET = 1 << 24  # values kept in all


class Interrupted(KeyboardInterrupt):
    """Stopped by the user; `finished` of `parts` are kept for `--resume`."""

    def __init__(self, finished: int, parts: int) -> None:
        super().__init__(finished, parts)
        self.finished, self.parts = finished, parts


@dataclass(frozen=True, slots=True)
class Cell:
    """One regime at one grid point, over draws and instances.

    Args:
        regime: its name; values: on the axes.
        figures: column -> what is known of it.
        rows: how many; certified: how many of those.
        binding: names of what binds, where there is one row; None where there are more or nothing is known.
        traces: measure -> its value in every draw, in their order, where a figure shows that.
    """

    regime: str
    values: tuple[float, ...]
    figures: Mapping[str, Figure]
    rows: int
    certified: int
    binding: tuple[str, ...] | None = None
    traces: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """A study's results.

    Args:
        cells: by grid point, then regime.
        words: regime -> `structure`, `notes`, `fallbacks`, `message`.
        changes: of the binding set along the axes.
        types: names of the types, whose columns are reports.
    """

    study: Study
    cells: tuple[Cell, ...]
    words: Mapping[str, Mapping[str, Any]]
    changes: tuple[Change, ...] = ()
    types: frozenset[str] = frozenset()

    def cell(self, regime: str, values: tuple[float, ...] = ()) -> Cell | None:
        """The one of a regime at a point."""
        return next((c for c in self.cells if c.regime == regime and c.values == values), None)

    def columns(self) -> tuple[str, ...]:
        """What is tabulated: the measures asked for, or all that outcomes say."""
        found = dict.fromkeys(n for c in self.cells for n in c.figures)
        asked = self.study.table or (self.study.task.measures if self.study.plots else ())
        told = tuple(n for n in found if not n.startswith("binding.") and n not in ("gap", "certified"))
        return asked or told


@dataclass(slots=True)
class _Gathered:
    """One regime at one point of one instance, as rows come in."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    rows: int = 0
    certified: int = 0
    traces: dict[str, list[Array]] = field(default_factory=dict)


def findings(
    study: Study, work: Work, store: Store | None = None, see: Callable[[Rows], None] = lambda rows: None
) -> Findings:
    """Compute a study.

    Args:
        study: as checked.
        work: who computes it.
        store: where finished parts are kept; None for the usual place.
        see: shown the rows of every part, in order: to write them to a file, say.

    Raises:
        Interrupted: by the user; finished parts are kept.
        MechError: a point's values do not fit the market.
        UsageError: there is no such cluster, or every process beside this one was ended.
    """
    task = study.task
    kept = store_of(task) if store is None else store
    found: dict[tuple[int, str], _Gathered] = {}
    words: dict[str, dict[str, Any]] = {name: {} for name in task.regimes}
    try:
        with closing(rows_of(task, kept, work)) as parts:
            for rows in parts:
                see(rows)
                _take(found, rows, study)
                for name, said in rows.words.items():
                    _say(words[name], said)
    except KeyboardInterrupt:
        raise Interrupted(len(kept.finished()), len(task.parts)) from None
    cells = tuple(_cells(study, found))
    patterns = {(c.regime, c.values): c.binding for c in cells if c.binding is not None}
    made = Findings(study, cells, words, changes(task, patterns) if task.axes else (), study.types)
    kept.clear()
    return made


def _say(words: dict[str, Any], said: Mapping[str, Any]) -> None:
    for name, value in said.items():
        if name in ADDED:
            words[name] = words.get(name, 0) + value
        elif name == "notes":
            words[name] = list(dict.fromkeys([*words.get(name, []), *value]))
        else:
            words.setdefault(name, value)


def _take(found: dict[tuple[int, str], _Gathered], rows: Rows, study: Study) -> None:
    """Add the rows of a part to what is known of their points."""
    regimes = study.task.regimes
    columns = {n: v for n, v in rows.columns.items() if n not in HEAD}
    room = max(1 << 14, min(EXACT, BUDGET // max(1, len(columns) * len(regimes) * study.task.points)))
    keys = rows.columns["point"] * len(regimes) + rows.columns["regime"]
    for key in dict.fromkeys(keys.tolist()):
        mine = keys == key
        point, regime = divmod(int(key), len(regimes))
        gathered = found.setdefault((point, regimes[regime]), _Gathered())
        count = int(mine.sum())
        gathered.rows += count
        for name, values in columns.items():
            _add(gathered, name, values[mine], room)
        for name in study.traced:
            gathered.traces.setdefault(name, []).append(columns[name][mine])
        gathered.certified += int(np.nansum(columns["certified"][mine]))


def _add(gathered: _Gathered, name: str, values: Array, room: int) -> None:
    tally = gathered.tallies.get(name)
    if tally is None:
        if np.isnan(values).all() and gathered.rows == len(values):
            return  # another regime's column
        tally = gathered.tallies[name] = Tally(quantiles=Quantiles(size=1 << 13, keep=room))
    tally.add(values)


def _cells(study: Study, found: Mapping[tuple[int, str], _Gathered]) -> Iterable[Cell]:
    task = study.task
    grid = math.prod(task.grid)
    for place in range(grid):
        for regime in task.regimes:
            instances = [g for n in range(task.instances) if (g := found.get((n * grid + place, regime))) is not None]
            if not instances:
                continue
            names = dict.fromkeys(n for g in instances for n in g.tallies)
            figures = {n: across([g.tallies[n] for g in instances if n in g.tallies]) for n in names}
            rows = sum(g.rows for g in instances)
            certified = sum(g.certified for g in instances)
            binding = _binding(figures) if rows == 1 and certified == 1 else None
            axes = {a.address for a in task.axes}
            told = {n: f for n, f in figures.items() if n not in axes}
            traces = {n: np.concatenate(parts) for n, parts in instances[0].traces.items()}
            yield Cell(regime, task.point(place).values, told, rows, certified, binding, traces)


def _binding(figures: Mapping[str, Figure]) -> tuple[str, ...]:
    return tuple(n.removeprefix("binding.") for n, f in figures.items() if n.startswith("binding.") and f.mean == 1)
