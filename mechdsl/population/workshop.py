"""Markets at points of a grid, and mechanisms for them, with as little done anew as the points allow.

A param that no other value, set, law or bound rests on changes nothing but its own table: the file is elaborated once,
and the table replaced. Regimes whose programmes read alike share one compiled programme, in which whatever differs
between the points is left open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from mechdsl import pipeline, syntax
from mechdsl import syntax_tree as tree
from mechdsl.derivation import Derivation
from mechdsl.distributions import Family
from mechdsl.elaborate import Override
from mechdsl.elaborate.functions import Function
from mechdsl.elaborate.measures import Measure, measure
from mechdsl.elaborate.places import walk
from mechdsl.errors import Source
from mechdsl.market import Market, Model
from mechdsl.mechanism import Mechanism
from mechdsl.population.task import Point, Task
from mechdsl.program import Optimum, Program
from mechdsl.structure import Match, Structure, installed, match

__all__ = ["Workshop", "loose_params", "workshop"]


@dataclass(slots=True, eq=False)
class Workshop:
    """What one process keeps between the parts of a task: the file, the structures, what has been compiled.

    Args:
        task: what is computed.
        file, source: its text.
        loose: params whose tables can be replaced alone.
        structures: by regime.
        families, functions: the distributions at hand, and the functions of plugins.
    """

    task: Task
    file: tree.File
    source: Source
    loose: frozenset[str]
    structures: Mapping[str, Match]
    families: Mapping[str, Family]
    functions: Mapping[str, Function]
    _models: dict[int, Model] = field(default_factory=dict)
    _derived: dict[Any, Derivation] = field(default_factory=dict)
    _posed: dict[tuple[str, Point], tuple[Program, Any]] = field(default_factory=dict)
    _engines: dict[Any, Any] = field(default_factory=dict)
    _measures: dict[Any, Measure] = field(default_factory=dict)

    def model(self, point: Point) -> Model:
        """The file at a point.

        Raises:
            MechError: a value does not fit the market.
        """
        changed = self.task.overrides_at(point)
        if all(o.name in self.loose for o in changed):
            base = self._base(point)
            moved = {n: _replaced(m, changed) for n, m in base.markets.items()}
            markets = {n: m for n, m in moved.items() if m is not None}
            if len(markets) == len(moved):
                return replace(base, markets=MappingProxyType(markets))
        return self._elaborated(changed, self.task.seed_of(point))

    def _base(self, point: Point) -> Model:
        seed = self.task.seed_of(point)
        if seed not in self._models:
            self._models.clear()
            # At the values of a point: the file may state none that are in range, or be refused without them.
            self._models[seed] = self._elaborated(self.task.overrides_at(point), seed)
        return self._models[seed]

    def _elaborated(self, changed: list[Override], seed: int) -> Model:
        folder = Path(self.task.folder) if self.task.folder else None
        overrides = (*self.task.overrides, *changed)
        return pipeline.elaborated(
            self.file, self.source, folder, overrides, self.task.report, seed, self.families, self.functions
        )

    def mechanism(self, market: Market, point: Point) -> Mechanism | None:
        """The mechanism of a regime at a point, nothing remembered; None where no structure handles it."""
        structure = self.structures[market.regime].structure
        if structure is None:
            return None
        derivation = self._derivation(market, structure)
        place = (market.regime, point)
        if place not in self._posed:
            if len(self._posed) >= 2 * len(self.task.regimes):
                self._posed.clear()
            program = structure.program(market, derivation)
            self._posed[place] = (program, self._engine(program))
        program, engine = self._posed[place]
        return Mechanism(market, structure, derivation, program, lambda: engine)

    def _derivation(self, market: Market, structure: Structure) -> Derivation:
        """What theory makes of the market's formulas, which are the same at many points."""
        contracts = tuple((c.kind, tuple(c.arguments.items())) for c in market.contracts)
        shape = (market.regime, market.sets, market.constraints, market.layers, market.objectives, contracts)
        if shape not in self._derived:
            self._derived[shape] = pipeline.derive(market, structure)
        return self._derived[shape]

    def _engine(self, program: Program) -> Any:
        """The programme's engine; one build for all points whose programmes differ in the varied params alone."""
        from mechdsl.engines.compiled import compiled

        if not isinstance(program, Optimum):
            return compiled(program)
        from mechdsl.engines.opened import opened

        names = frozenset(axis.name for axis in self.task.axes)
        closed = tuple((q, table.tobytes()) for q, table in program.data.items() if q.name not in names)
        key = (
            program.sense, program.objective, program.variables, program.constraints, program.parameters,
            program.convex, closed,
        )  # fmt: skip
        if key not in self._engines:
            self._engines[key] = opened(program, names)
        return self._engines[key].filled({q: table for q, table in program.data.items() if q.name in names})

    def measure(self, market: Market, text: str) -> Measure:
        """A measure of the task in a regime's terms: names and labels."""
        key = (market.regime, text, tuple(s.labels for s in market.sets))
        if key not in self._measures:
            self._measures[key] = measure(syntax.parse_expression(text), market, self.task.regimes, Source(text, text))
        return self._measures[key]


def workshop(task: Task) -> Workshop:
    """The workshop of a task.

    Raises:
        MechError: the file is at fault.
    """
    from mechdsl.engines.batch_machine import machine_code

    machine_code()  # now, and not when a part turns out to be large: digits must not depend on what came before
    whole, source = syntax.parse(task.text, task.name), Source(task.name, task.text)
    # What other experiments and claims speak of need not be there at every point of this one.
    market = tuple(s for s in whole.statements if not isinstance(s, tree.ExperimentStatement | tree.ClaimStatement))
    file = replace(whole, statements=market)
    registry = installed([Path(name) for name in task.plugins])
    made = Workshop(task, file, source, loose_params(file), {}, registry.distributions.families, registry.functions)
    model = made.model(task.point(0))
    return replace(made, structures={name: match(model.markets[name], registry) for name in task.regimes})


def loose_params(file: tree.File) -> frozenset[str]:
    """Params that nothing rests on but formulas: not values, sets, laws, bounds, reports or other params."""
    params = {s.target.name: s for s in _inside(file) if isinstance(s, tree.ParamStatement)}
    lets = {s.target.name: s for s in _inside(file) if isinstance(s, tree.LetStatement)}
    resting = (tree.IndexStatement, tree.TypeStatement, tree.CommonStatement, tree.ChooseStatement)
    fixed: list[tree.Node] = []
    for s in _inside(file):
        if isinstance(s, resting):
            fixed.append(s)
        elif isinstance(s, tree.ReportStatement | tree.SetStatement):
            fixed.append(s.value)
        elif isinstance(s, tree.ContractStatement):
            fixed.append(s.kind)
    fixed += [part for s in params.values() for part in (s.value, s.draw, s.domain) if part is not None]
    used: set[str] = set()
    todo = [n for s in fixed for n in _names(s)]
    while todo:
        name = todo.pop()
        if name not in used:
            used.add(name)
            todo += _names(lets[name].value) if name in lets else []
    return frozenset(params) - used


def _inside(file: tree.File) -> Iterator[tree.Node]:
    """Statements, those of regimes and layers included."""
    for statement in file.statements:
        body = statement.body if isinstance(statement, tree.RegimeStatement) else (statement,)
        for one in body:
            yield one
            yield from one.items if isinstance(one, tree.LayerStatement) else ()


def _names(node: tree.Node) -> list[str]:
    """The names used in an expression (or in a statement, its own among them)."""
    found = [n.id for n in walk(node) if isinstance(n, tree.Name)]
    return found + [n.name for n in walk(node) if isinstance(n, tree.Subscript)]


def _replaced(market: Market, changed: list[Override]) -> Market | None:
    """The market with tables replaced; None where a value is out of range or an address is none (to be reported)."""
    data = dict(market.data)
    for override in changed:
        declared = market.declarations.get(override.name)
        if declared is None or isinstance(override.value, str) or len(override.labels) > len(declared.quantity.sets):
            return None
        quantity = declared.quantity
        sets = zip(override.labels, quantity.sets, strict=False)
        if not quantity.domain.contains(override.value) or any(label not in s.labels for label, s in sets):
            return None
        place = tuple(s.position(n) for n, s in zip(override.labels, quantity.sets, strict=False))
        table = np.array(data[quantity], dtype=np.float64)
        table[place] = override.value
        table.setflags(write=False)
        data[quantity] = table
    return replace(market, data=MappingProxyType(data))
