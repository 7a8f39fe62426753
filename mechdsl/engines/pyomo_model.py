"""The programme as a Pyomo model in memory, and as an `.nl` file.

A rendering of the programme's own formulas: sets with their labels, params as mutable `Param`s, rules over indices;
nothing lowered, nothing scaled. What Ipopt solves through our callbacks is this model: a test compares values and
derivatives, and that the script (`pyomo_text`) says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from mechdsl.engines.pyomo_text import attribute, index_sets, index_valued, script, used_quantities
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, IndexProduct, IndexSum, Letter, Quantity, rename_letters
from mechdsl.program import Constraint, Optimum, Variable

__all__ = ["concrete_model", "pyomo_script", "write_nl"]


def concrete_model(program: Optimum, parameters: Mapping[Quantity, Array]) -> Any:
    """`program` at these parameter values as a `pyomo.environ.ConcreteModel`."""
    return _Builder(program, parameters).build()


def pyomo_script(program: Optimum, parameters: Mapping[Quantity, Array]) -> str:
    """The same model as a Python text that needs Pyomo and nothing else."""
    return script(program, parameters)


def write_nl(program: Optimum, parameters: Mapping[Quantity, Array], path: str | Path) -> None:
    """`program` at these parameter values as an AMPL `.nl` file, for any solver that reads those."""
    concrete_model(program, parameters).write(str(path), format="nl")


class _Builder:
    """Walks the formulas once for each instance, with a position for every letter."""

    def __init__(self, program: Optimum, parameters: Mapping[Quantity, Array]) -> None:
        self.program = program
        self.values = {**program.data, **parameters}
        self.components: dict[Quantity, Any] = {}

    def build(self) -> Any:
        from pyomo import environ as pyo

        program = self.program
        model = pyo.ConcreteModel(name=program.name)
        sets = {s.name: pyo.Set(initialize=list(s.labels), ordered=True) for s in index_sets(program)}
        for name, component in sets.items():
            model.add_component(attribute(name), component)
        for q in used_quantities(program):
            if q not in index_valued(program):
                over = [sets[s.name] for s in q.sets]
                self.components[q] = pyo.Param(*over, initialize=_table(q, self.values[q]), mutable=True)
                model.add_component(attribute(str(q.name)), self.components[q])
        for v in program.variables:
            over = [sets[a.index_set.name] for a in v.letters]
            self.components[v.quantity] = pyo.Var(*over, bounds=self.bounds(v))
            model.add_component(attribute(v.name), self.components[v.quantity])
        sense = pyo.minimize if program.sense == "minimize" else pyo.maximize
        model.objective = pyo.Objective(expr=self.value(program.objective, {}), sense=sense)
        for c in program.constraints:
            over = [sets[a.index_set.name] for a in c.letters]
            model.add_component(attribute(c.name), pyo.Constraint(*over, rule=self.rule(c)))
        return model

    def bounds(self, v: Variable) -> Callable[..., tuple[float | None, float | None]]:
        """Pyomo's rule for the bounds; infinite ones are None."""
        sides = [
            np.broadcast_to(evaluate(side, self.values, v.letters), v.quantity.shape) for side in (v.lower, v.upper)
        ]

        def rule(model: Any, *labels: str) -> tuple[float | None, float | None]:
            del model
            given = labels if v.quantity.sets else ()  # of a scalar, Pyomo says that its index is None
            at = tuple(s.position(label) for s, label in zip(v.quantity.sets, given, strict=True))
            lower, upper = (float(side[at]) if np.isfinite(side[at]) else None for side in sides)
            return lower, upper

        return rule

    def rule(self, c: Constraint) -> Callable[..., Any]:
        """Pyomo's rule for a constraint."""
        from pyomo import environ as pyo

        def rule(model: Any, *labels: str) -> Any:
            del model
            given = labels if c.letters else ()
            at = {a: a.index_set.position(label) for a, label in zip(c.letters, given, strict=True)}
            if not self.holds(c.where, at):
                return pyo.Constraint.Skip
            left, right = self.value(c.left, at), self.value(c.right, at)
            row = left >= right if c.relation == ">=" else left <= right if c.relation == "<=" else left == right
            if isinstance(row, bool):  # no decision is left in it
                return pyo.Constraint.Feasible if row else pyo.Constraint.Infeasible
            return row

        return rule

    def holds(self, condition: Any, at: Mapping[Letter, int]) -> bool:
        return condition == sp.true or bool(self.number(condition, at))

    def number(self, node: Any, at: Mapping[Letter, int]) -> Any:
        """A decision-free formula at one instance."""
        return evaluate(rename_letters(node, {a: sp.Integer(p) for a, p in at.items()}), self.values)

    def value(self, node: Any, at: Mapping[Letter, int]) -> Any:
        """The formula at one instance, as an expression of Pyomo's components."""
        from pyomo import environ as pyo

        if node.is_Number or isinstance(node, sp.NumberSymbol):
            return int(node) if node.is_Integer else float(node)
        if isinstance(node, Letter):
            return at[node]
        if isinstance(node, Entry | Quantity):
            return self.component(node, at)
        if isinstance(node, IndexSum | IndexProduct):
            terms = [self.value(node.body, inner) for inner in self.instances(node, at)]
            return pyo.quicksum(terms) if isinstance(node, IndexSum) else pyo.prod(terms)
        if isinstance(node, sp.Piecewise):
            return self.value(next(e for e, c in node.args if self.holds(c, at)), at)
        if isinstance(node, sp.KroneckerDelta):  # of indices, which are known
            return int(self.number(node, at))
        rule = _RULES.get(node.func)
        if rule is None:
            raise ValueError(f"Pyomo has no '{node.func.__name__}': {node}")
        return rule(*(self.value(a, at) for a in node.args))

    def component(self, node: Any, at: Mapping[Letter, int]) -> Any:
        if not isinstance(node, Entry):
            return self.components[node]
        positions = [at[i] if isinstance(i, Letter) else int(self.number(i, at)) for i in node.indices]
        labels = tuple(s.labels[p] for s, p in zip(node.quantity.sets, positions, strict=True))
        return self.components[node.quantity][labels if len(labels) > 1 else labels[0]]

    def instances(self, node: Any, at: Mapping[Letter, int]) -> Iterator[dict[Letter, int]]:
        for positions in np.ndindex(*(len(a.index_set) for a in node.letters)):
            inner = {**at, **dict(zip(node.letters, positions, strict=True))}
            if self.holds(node.where, inner):
                yield inner


def _table(q: Quantity, values: Array) -> Any:
    """Values by label, as Pyomo initialises from."""
    array = np.broadcast_to(np.asarray(values, dtype=np.float64), q.shape)
    if not q.sets:
        return float(array)
    labels = [tuple(s.labels[p] for s, p in zip(q.sets, at, strict=True)) for at in np.ndindex(*q.shape)]
    return {k if len(k) > 1 else k[0]: v for k, v in zip(labels, array.ravel().tolist(), strict=True)}


def _sum(*terms: Any) -> Any:
    from pyomo import environ as pyo

    return pyo.quicksum(terms)


def _product(*factors: Any) -> Any:
    from pyomo import environ as pyo

    return pyo.prod(factors)


def _larger(first: Any, *rest: Any) -> Any:
    from pyomo.core.expr import Expr_if

    for other in rest:
        first = Expr_if(first >= other, first, other)
    return first


def _smaller(first: Any, *rest: Any) -> Any:
    from pyomo.core.expr import Expr_if

    for other in rest:
        first = Expr_if(first <= other, first, other)
    return first


def _exp(argument: Any) -> Any:
    from pyomo import environ as pyo

    return pyo.exp(argument)


def _log(argument: Any) -> Any:
    from pyomo import environ as pyo

    return pyo.log(argument)


_RULES: Mapping[Any, Callable[..., Any]] = {
    sp.Add: _sum,
    sp.Mul: _product,
    sp.Pow: pow,
    sp.exp: _exp,
    sp.log: _log,
    sp.Abs: abs,
    sp.Max: _larger,
    sp.Min: _smaller,
}
