"""How an optimum moves with its data: the conditions for it, differentiated along every direction at once.

Where binding constraints keep strictly positive multipliers, the solution is a smooth function of the data near the
point, and its derivatives solve one linear system (the implicit function theorem). Where they do not, there is a kink:
derivatives to either side differ, and that is said instead of hidden.

Source: Fiacco (1983), Introduction to Sensitivity and Stability Analysis in Nonlinear Programming, theorem 3.2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, IndexSum, Letter, Quantity, derivative, tangent
from mechdsl.mechanism import Mechanism
from mechdsl.program import Constraint, Optimum, Solution, Variable
from mechdsl.structure import Report

__all__ = ["Directions", "Rates", "moving", "rates_at"]

KINK = 1e-7  # relative slack and relative worth of a multiplier below which a row is on the edge of binding
SINGULAR = 1e13  # condition number beyond which the solution is not a function of the data
_TINY = 1e-100  # stands for 0 where a slope there would be infinite and is multiplied by 0
_ENTRIES = 4_000_000  # numbers in one evaluation


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """P ways in which data move, at unit speed each.

    Args:
        count: P.
        data: param -> (P, *shape) rates; absent where it does not move.
        parameters: report -> rates of the programme's open parameters there, (P, *shape).
        tops: type -> (P, *shape) rates of the highest types.
    """

    count: int
    data: Mapping[Quantity, Array]
    parameters: Callable[[Report], Mapping[Quantity, Array]]
    tops: Mapping[Quantity, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """How a solution moves along each direction; every array has a leading axis of P. NaN where it is no function.

    Args:
        values: decision -> (P, *shape); multipliers: constraint -> (P, *shape).
        objective: (P,) of the minimised objective: the partial derivative of the Lagrangian (envelope theorem).
        kinks: names of rows and decisions on the edge of binding.
        unique: whether the system has one solution.
    """

    values: Mapping[str, Array]
    multipliers: Mapping[str, Array]
    objective: Array
    kinks: tuple[str, ...]
    unique: bool


def moving(
    formula: sp.Expr,
    letters: tuple[Letter, ...],
    values: Mapping[Quantity, Array],
    rates: Mapping[Quantity, Array],
) -> Array:
    """`(P, *letters)`: how fast a formula moves.

    Args:
        formula: in quantities whose values are known.
        letters: spread over.
        values: quantity -> its value.
        rates: quantity -> (P, *shape); what is absent stands still.
    """
    named = {q: Quantity(f"rate of {q.name}", q.sets, "open") for q in rates}
    found = evaluate(tangent(formula, named), {**values, **{named[q]: r for q, r in rates.items()}}, letters)
    count = len(next(iter(rates.values())))
    return np.array(np.broadcast_to(found, (count, *(len(a.index_set) for a in letters))))


def rates_at(mechanism: Mechanism, report: Report, directions: Directions) -> Rates:
    """The rates of the solution at a report."""
    program = mechanism.program
    assert isinstance(program, Optimum)
    solution = mechanism.solve(report)
    parameters = mechanism.structure.parameters(mechanism.market, report)
    moved = {**directions.data, **directions.parameters(report)}
    system: _System = mechanism.keep("system of conditions", lambda: _System(program))
    return system.rates(solution, parameters, moved, directions.count)


class _System:
    """The conditions of a programme as formulas: one for every decision, one for every constraint."""

    def __init__(self, program: Optimum) -> None:
        self.program = program
        self.sign = 1 if program.sense == "minimize" else -1
        self.prices = {
            c.name: Quantity(f"price of {c.name}", tuple(a.index_set for a in c.letters), "open")
            for c in program.constraints
        }
        self.benefit = sp.Add(*(_weighed(c, self.prices[c.name]) for c in program.constraints))
        self.lagrangian = self.sign * program.objective - self.benefit
        self.slopes = {v.name: self._slope(v) for v in program.variables}
        self.bodies = {c.name: (c.left - c.right, c.letters) for c in program.constraints}

    def _slope(self, variable: Variable) -> tuple[sp.Expr, tuple[Letter, ...]]:
        letters = tuple(Letter(f"{a.name}_", a.index_set) for a in variable.letters)
        entry = Entry(variable.quantity, *letters) if letters else variable.quantity
        return derivative(self.lagrangian, entry), letters

    def rates(
        self, solution: Solution, parameters: Mapping[Quantity, Array], moved: Mapping[Quantity, Array], count: int
    ) -> Rates:
        program = self.program
        values: dict[Quantity, Array] = {**program.data, **parameters}
        values |= {v.quantity: _off_zero(solution.values[v.name]) for v in program.variables}
        values |= {self.prices[n]: np.asarray(m) for n, m in solution.multipliers.items()}
        moved = {q: r for q, r in moved.items() if q in values}
        held, edges = self._held(solution, values)
        active, more = self._active(solution, values)
        unknowns = [(v.quantity, ~held[v.name]) for v in program.variables]
        unknowns += [(self.prices[c.name], active[c.name]) for c in program.constraints]
        rows = [(*self.slopes[v.name], ~held[v.name]) for v in program.variables]
        rows += [(*self.bodies[c.name], active[c.name]) for c in program.constraints]
        scale = np.concatenate([_size(np.asarray(values[q])[mask]) for q, mask in unknowns])
        matrix = np.concatenate([self._columns(rows, values, q, mask) for q, mask in unknowns]).T * scale
        right = -np.concatenate([moving(f, a, values, moved)[:, mask] for f, a, mask in rows], axis=1).T
        found, unique = _solved(matrix, right)
        found = (found * scale[:, None]).T
        tables, start = {}, 0
        for quantity, mask in unknowns:
            table = np.zeros((count, *quantity.shape))
            size = int(np.sum(mask))
            table[:, mask] = found[:, start : start + size]
            tables[quantity] = table
            start += size
        objective = moving(self.lagrangian, (), values, moved)
        return Rates(
            {v.name: tables[v.quantity] for v in program.variables},
            {c.name: tables[self.prices[c.name]] for c in program.constraints},
            objective, (*edges, *more), unique,
        )  # fmt: skip

    def _columns(
        self,
        rows: list[tuple[sp.Expr, tuple[Letter, ...], npt.NDArray[np.bool_]]],
        values: Mapping[Quantity, Array],
        quantity: Quantity,
        mask: npt.NDArray[np.bool_],
    ) -> Array:
        """(entries of `mask`, rows): the derivatives of all conditions in each of them."""
        places = np.argwhere(mask)
        width = max(1, *(int(np.prod(m.shape)) for _, _, m in rows)) * max(1, int(np.prod(mask.shape)))
        together = max(1, _ENTRIES // width)
        found = [np.zeros((0, sum(int(m.sum()) for _, _, m in rows)))]
        for start in range(0, len(places), together):
            some = places[start : start + together]
            units = np.zeros((len(some), *quantity.shape))
            units[(np.arange(len(some)), *some.T)] = 1.0
            found.append(np.concatenate([moving(f, a, values, {quantity: units})[:, m] for f, a, m in rows], axis=1))
        return np.concatenate(found)

    def _held(
        self, solution: Solution, values: Mapping[Quantity, Array]
    ) -> tuple[dict[str, npt.NDArray[np.bool_]], list[str]]:
        """Decisions at a bound, which stay there; and those that nothing holds there."""
        held, edges = {}, []
        for v in self.program.variables:
            x = np.asarray(solution.values[v.name])
            low, high = (np.broadcast_to(evaluate(e, values, v.letters), x.shape) for e in (v.lower, v.upper))
            at = (x <= low) | (x >= high)
            held[v.name] = at
            formula, letters = self.slopes[v.name]
            reduced = np.abs(np.asarray(evaluate(formula, values, letters)))
            terms = sum(np.abs(np.asarray(evaluate(t, values, letters))) for t in sp.Add.make_args(formula))
            with np.errstate(invalid="ignore"):
                loose = at & (low < high) & (reduced <= KINK * terms)
            edges += [_named(v.name, v.quantity, place) for place in np.argwhere(loose)]
        return held, edges

    def _active(
        self, solution: Solution, values: Mapping[Quantity, Array]
    ) -> tuple[dict[str, npt.NDArray[np.bool_]], list[str]]:
        """Rows that bind, and those on the edge of it: no slack to speak of and no price, or next to none."""
        active, edges = {}, []
        worth = max(1e-300, abs(solution.objective))
        for c in self.program.constraints:
            price = np.abs(np.asarray(solution.multipliers[c.name]))
            body = np.asarray(evaluate(c.left - c.right, values, c.letters))
            size = sum(np.abs(np.asarray(evaluate(side, values, c.letters))) for side in (c.left, c.right))
            stated = np.broadcast_to(evaluate(c.where, values, c.letters), price.shape).astype(bool)
            near = np.abs(body) <= KINK * np.maximum(size, 1e-300)
            active[c.name] = stated & (np.ones(price.shape, dtype=bool) if c.relation == "==" else price > 0) & near
            if c.relation != "==":
                edge = stated & near & (price * np.maximum(size, 1e-300) <= KINK * worth)
                quantity = self.prices[c.name]
                edges += [_named(c.name, quantity, place) for place in np.argwhere(edge)]
        return active, edges


def _solved(matrix: Array, right: Array) -> tuple[Array, bool]:
    """The solution of a square system with rows brought to one size; NaN and False where it has not one."""
    if not len(matrix):
        return np.zeros(right.shape), True
    size = np.abs(matrix).max(axis=1)
    if not np.isfinite(matrix).all() or not np.isfinite(right).all() or (size == 0).any():
        return np.full(right.shape, np.nan), False
    scaled = matrix / size[:, None]
    if np.linalg.cond(scaled) > SINGULAR:
        return np.full(right.shape, np.nan), False
    return np.linalg.solve(scaled, right / size[:, None]), True


def _weighed(constraint: Constraint, price: Quantity) -> sp.Expr:
    body = constraint.left - constraint.right
    if not constraint.letters:
        return price * body
    return IndexSum(Entry(price, *constraint.letters) * body, constraint.letters, constraint.where)


def _off_zero(x: Array) -> Array:
    return np.where(np.asarray(x) == 0, _TINY, x)


def _size(x: Array) -> Array:
    """What a column is scaled by: its value, so that unknowns are relative changes."""
    return np.where(np.abs(x) > _TINY, np.abs(x), 1.0)


def _named(name: str, quantity: Quantity, place: npt.NDArray[np.intp]) -> str:
    labels = [s.labels[j] for s, j in zip(quantity.sets, place, strict=True)]
    return f"{name}[{', '.join(labels)}]" if labels else name
