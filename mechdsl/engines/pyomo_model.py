"""The programme as a Pyomo model, and as the Python text that builds it: rendered from the formulas the solver runs on.

Index sets, params, variables and constraints keep their names and labels, so the export reads as the market does. The
model is built by walking the formulas over labels; the text is the same walk, written down as rules that Pyomo calls. A
test runs the text and compares the two.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sympy as sp

from mechdsl.engines.pyomo_text import attribute, index_sets, script, used_quantities
from mechdsl.errors import InternalError
from mechdsl.evaluate import Array
from mechdsl.formula import Entry, IndexProduct, IndexSet, IndexSum, Letter, Quantity
from mechdsl.program import Constraint, Optimum, Variable

__all__ = ["concrete_model", "pyomo_script", "write_nl"]


def pyomo_script(program: Optimum, parameters: Mapping[Quantity, Array]) -> str:
    """A Python text that defines the model as `model`; running it as a program solves it where Ipopt is on the path."""
    return script(program, parameters)


def write_nl(program: Optimum, parameters: Mapping[Quantity, Array], path: Path | str) -> None:
    """The model as an AMPL `.nl` file."""
    model = concrete_model(program, parameters)
    model.write(str(path), format="nl")


def concrete_model(program: Optimum, parameters: Mapping[Quantity, Array]) -> Any:
    """The programme as a `pyomo.environ.ConcreteModel` at given values of its open parameters.

    Open parameters are mutable `Param`s: the model can be solved again after changing them. The objective is called
    `objective`; everything else has the name it has in the market (with a `_` after names that Pyomo has taken).
    """
    import pyomo.environ as pyo

    model = pyo.ConcreteModel(name=program.name)
    for index_set in index_sets(program):
        setattr(model, attribute(index_set.name), pyo.Set(initialize=list(index_set.labels), ordered=True))
    walk = _Walk(pyo, model, {**program.data, **parameters})
    for quantity in used_quantities(program):
        open_ = quantity in program.parameters
        setattr(model, attribute(str(quantity.name)), walk.param(quantity, mutable=open_))
    for variable in program.variables:
        setattr(model, attribute(variable.name), walk.variable(variable))
    sense = pyo.minimize if program.sense == "minimize" else pyo.maximize
    model.objective = pyo.Objective(expr=walk.expression(program.objective, {}), sense=sense)
    for constraint in program.constraints:
        setattr(model, attribute(constraint.name), walk.constraint(constraint))
    return model


class _Walk:
    """Formulas to Pyomo expressions, entry by entry. `places` says which position each letter stands for."""

    def __init__(self, pyo: Any, model: Any, values: Mapping[Quantity, Array]) -> None:
        self._pyo = pyo
        self._model = model
        self._values = values

    def param(self, quantity: Quantity, *, mutable: bool) -> Any:
        table = self._values[quantity]
        if not quantity.sets:
            return self._pyo.Param(initialize=float(table), mutable=mutable)
        keys = itertools.product(*(s.labels for s in quantity.sets))
        initial = {_key(k): float(v) for k, v in zip(keys, table.ravel(), strict=True)}
        return self._pyo.Param(*self._index(quantity.sets), initialize=initial, mutable=mutable)

    def variable(self, variable: Variable) -> Any:
        def ends(*labels: str) -> tuple[float | None, float | None]:
            places = self._places(variable.letters, labels)
            low, high = (self.number(e, places) for e in (variable.lower, variable.upper))
            return (None if low == -math.inf else low, None if high == math.inf else high)

        if not variable.letters:
            return self._pyo.Var(bounds=ends())
        return self._pyo.Var(*self._index(variable.quantity.sets), bounds=lambda _, *labels: ends(*labels))

    def constraint(self, constraint: Constraint) -> Any:
        def row(*labels: str) -> Any:
            places = self._places(constraint.letters, labels)
            if not self.holds(constraint.where, places):
                return self._pyo.Constraint.Skip
            left, right = (self.expression(e, places) for e in (constraint.left, constraint.right))
            relation = {">=": left >= right, "<=": left <= right, "==": left == right}[constraint.relation]
            if isinstance(relation, bool):  # no decision is left in the row
                return self._pyo.Constraint.Feasible if relation else self._pyo.Constraint.Infeasible
            return relation

        if not constraint.letters:
            return self._pyo.Constraint(expr=row())
        sets = tuple(a.index_set for a in constraint.letters)
        return self._pyo.Constraint(*self._index(sets), rule=lambda _, *labels: row(*labels))

    def expression(self, node: Any, places: Mapping[Letter, int]) -> Any:
        """The Pyomo expression of a formula with every letter fixed."""
        if isinstance(node, sp.Rational | sp.Float | sp.NumberSymbol):
            return int(node) if node.is_Integer else float(node)
        if isinstance(node, Letter):
            return places[node]
        if isinstance(node, Entry):
            labels = tuple(
                s.labels[self.position(i, places)] for s, i in zip(node.quantity.sets, node.indices, strict=True)
            )
            return getattr(self._model, attribute(node.name))[_key(labels)]
        if isinstance(node, Quantity):
            return getattr(self._model, attribute(str(node.name)))
        if isinstance(node, IndexSum | IndexProduct):
            terms = [self.expression(node.body, inner) for inner in self._spread(node, places)]
            return sum(terms) if isinstance(node, IndexSum) else math.prod(terms)
        if isinstance(node, sp.Piecewise):
            chosen = next((e for e, where in node.args if self.holds(where, places)), sp.nan)
            return self.expression(chosen, places)
        arguments = [self.expression(a, places) for a in node.args]
        rule = self._rules().get(node.func)
        if rule is None:
            raise InternalError(f"no Pyomo rule for {node.func.__name__} in {node}")
        return rule(*arguments)

    def number(self, node: Any, places: Mapping[Letter, int]) -> float:
        """The value of a formula without decisions."""
        if node in (sp.oo, -sp.oo):
            return float(node)
        return float(self._pyo.value(self.expression(node, places)))

    def position(self, node: Any, places: Mapping[Letter, int]) -> int:
        """An index as a position: a letter's, a label's, or the value of a param."""
        return int(node) if node.is_Integer else int(self.number(node, places))

    def holds(self, condition: Any, places: Mapping[Letter, int]) -> bool:
        """A condition's truth; it contains no decision."""
        if condition in (sp.true, sp.false):
            return bool(condition)
        if isinstance(condition, sp.And | sp.Or):
            return (all if isinstance(condition, sp.And) else any)(self.holds(a, places) for a in condition.args)
        if isinstance(condition, sp.Not):
            return not self.holds(condition.args[0], places)
        left, right = (self.number(side, places) for side in condition.args)
        compare: Mapping[Any, Callable[[float, float], bool]] = {
            sp.Eq: float.__eq__, sp.Ne: float.__ne__, sp.Gt: float.__gt__,
            sp.Ge: float.__ge__, sp.Lt: float.__lt__, sp.Le: float.__le__,
        }  # fmt: skip
        return compare[condition.func](left, right)

    def _spread(self, node: Any, places: Mapping[Letter, int]) -> Iterator[dict[Letter, int]]:
        for positions in itertools.product(*(range(len(a.index_set)) for a in node.letters)):
            inner = {**places, **dict(zip(node.letters, positions, strict=True))}
            if self.holds(node.where, inner):
                yield inner

    def _places(self, letters: Sequence[Letter], labels: Sequence[str]) -> dict[Letter, int]:
        return {a: a.index_set.position(label) for a, label in zip(letters, labels, strict=True)}

    def _index(self, sets: Sequence[IndexSet]) -> list[Any]:
        return [getattr(self._model, attribute(s.name)) for s in sets]

    def _rules(self) -> Mapping[Any, Callable[..., Any]]:
        pyo = self._pyo
        return {
            sp.Add: lambda *a: sum(a),
            sp.Mul: lambda *a: math.prod(a),
            sp.Pow: lambda b, e: b**e,
            sp.exp: pyo.exp,
            sp.log: pyo.log,
            sp.Abs: abs,
            sp.Max: lambda *a: max(map(pyo.value, a)),
            sp.Min: lambda *a: min(map(pyo.value, a)),
        }


def _key(labels: Sequence[str]) -> Any:
    return labels[0] if len(labels) == 1 else tuple(labels)
