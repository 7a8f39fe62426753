"""How far a point with its multipliers is from optimal, computed from the programme's own formulas.

Nothing here has seen the templates: objective, rows and the derivatives of the Lagrangian are the symbolic ones of the
formulas as they stand, rendered to numpy by another way. All figures are free of scale, so one tolerance serves all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from mechdsl.engines.conditions import TINY
from mechdsl.engines.rendering import magnitude, render
from mechdsl.evaluate import Array
from mechdsl.formula import Entry, IndexSum, Interval, Letter, Quantity, derivative
from mechdsl.program import Constraint, Optimum

__all__ = ["Residuals", "Verdict", "Verdicts", "judged_together", "largest"]

_SIGNS = {
    ">=": Interval(0.0, float("inf")),
    "<=": Interval(-float("inf"), 0.0),
    "==": Interval(-float("inf"), float("inf")),
}


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What the formulas say of a point.

    Args:
        objective: in the programme's own sense and units.
        reduced: by variable, the Lagrangian's derivative (of the minimised objective).
        slack_worth: the sum of multipliers times left minus right.
        feasibility, stationarity, complementarity: the largest relative figures.
    """

    objective: float
    reduced: Mapping[str, Array]
    slack_worth: float
    feasibility: float
    stationarity: float
    complementarity: float

    @property
    def worst(self) -> float:
        """The largest of the three; inf if one is not a number."""
        every = (self.feasibility, self.stationarity, self.complementarity)
        return max(every) if np.isfinite(every).all() else float("inf")


class Residuals:
    """The programme's formulas and their derivatives, compiled once.

    Args:
        program: its decisions and data with the signs that are known of them.
        draws: whether they are asked at many points at once.
    """

    def __init__(self, program: Optimum, draws: bool = False) -> None:
        self.program = program
        self.sign = 1.0 if program.sense == "minimize" else -1.0
        self.prices = tuple(
            Quantity(f"price of {c.name}", [a.index_set for a in c.letters], "open", _SIGNS[c.relation])
            for c in program.constraints
        )
        variables = [v.quantity for v in program.variables]
        values: list[tuple[sp.Expr, tuple[Letter, ...]]] = [(program.objective, ())]
        for c in program.constraints:
            values += [
                (_inside(c.left - c.right, c), c.letters),
                (_inside(magnitude(c.left) + magnitude(c.right), c), c.letters),
            ]
        slopes = []
        for v in program.variables:
            letters = tuple(Letter(f"{a.name}_of_{v.name}", a.index_set) for a in v.letters)
            entry = _entry(v.quantity, letters)
            cost = self.sign * derivative(program.objective, entry)
            worth = [derivative(_weighed(c, p), entry) for c, p in zip(program.constraints, self.prices, strict=True)]
            slopes += [(cost - sp.Add(*worth), letters), (sp.Add(magnitude(cost), *map(magnitude, worth)), letters)]
        self.values = render(values, [*variables, *program.parameters], program.data, draws)
        self.slopes = render(slopes, [*variables, *self.prices, *program.parameters], program.data, draws)

    def judge(
        self,
        parameters: Mapping[Quantity, Array],
        point: Mapping[str, Array],
        multipliers: Mapping[str, Array],
        bounds: Mapping[str, tuple[Array, Array]],
        held: tuple[Mapping[str, Array], Mapping[str, Array]] | None,
        extra: Mapping[str, Array],
    ) -> Verdict:
        """The residuals at `point`.

        Args:
            parameters: values of the open parameters.
            point: by variable.
            multipliers: by constraint.
            bounds: by variable, (lower, upper).
            held: multipliers of the lower and the upper bounds, by variable; None where variables stand exactly at
                their bounds or away from them, so that only a reduced cost of the wrong sign counts.
            extra: by variable, marginal costs that stand in for costs of weight 0; may be empty.
        """
        program = self.program
        objective, *pairs = self.values({**parameters, **{v.quantity: point[v.name] for v in program.variables}})
        feasibility, products, volume, worth = 0.0, [], abs(float(objective)), 0.0
        for c, body, size in zip(program.constraints, pairs[0::2], pairs[1::2], strict=True):
            multiplier = multipliers[c.name]
            missing = -body if c.relation == ">=" else body if c.relation == "<=" else np.abs(body)
            feasibility = larger(feasibility, largest(missing / _positive(size)))
            product = multiplier * body
            worth += float(np.sum(product))
            products.append(largest(np.abs(product)))
            volume = larger(volume, float(np.sum(np.abs(multiplier) * size)))
        results = self.slopes(
            {
                **parameters,
                **{v.quantity: _inner(point[v.name], bounds[v.name][0]) for v in program.variables},
                **{p: multipliers[c.name] for p, c in zip(self.prices, program.constraints, strict=True)},
            }
        )
        reduced, stationarity = {}, 0.0
        for v, slope, size in zip(program.variables, results[0::2], results[1::2], strict=True):
            x, (low, high) = point[v.name], bounds[v.name]
            added = extra.get(v.name, 0.0)
            reduced[v.name] = left = slope + added
            total = size + added
            if held is None:
                wrong = np.where(x <= low, -left, np.where(x >= high, left, np.abs(left)))
            else:
                down, up = held[0][v.name], held[1][v.name]
                wrong = np.abs(left - down + up)
                total = total + down + up
                at_bounds = np.where(down > 0, down * (x - low), 0.0) + np.where(up > 0, up * (high - x), 0.0)
                products.append(largest(at_bounds))
            stationarity = larger(stationarity, largest(np.where(low < high, wrong, 0.0) / _positive(total)))
        return Verdict(
            float(objective),
            reduced,
            worth,
            feasibility,
            stationarity,
            largest(np.array(products)) / (volume if volume > 0 else 1.0),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What the formulas say of N points, each figure with a leading axis of them; as in `Verdict`."""

    objective: Array
    reduced: Mapping[str, Array]
    slack_worth: Array
    feasibility: Array
    stationarity: Array
    complementarity: Array


def judged_together(
    residuals: Residuals,
    parameters: Mapping[Quantity, Array],
    point: Mapping[str, Array],
    multipliers: Mapping[str, Array],
    bounds: Mapping[str, tuple[Array, Array]],
) -> Verdicts:
    """The residuals at N points that stand exactly at their bounds or away from them.

    Args:
        residuals: made for draws.
        parameters: values of the open parameters, with a leading axis of N.
        point: by variable, likewise.
        multipliers: by constraint, likewise.
        bounds: by variable, (lower, upper), which broadcast against the points.
    """
    program = residuals.program
    objective, *pairs = residuals.values({**parameters, **{v.quantity: point[v.name] for v in program.variables}})
    count = len(objective)
    worth, feasibility, complementarity = np.zeros(count), np.zeros(count), np.zeros(count)
    volume = np.abs(objective)
    for c, body, size in zip(program.constraints, pairs[0::2], pairs[1::2], strict=True):
        multiplier = multipliers[c.name]
        missing = -body if c.relation == ">=" else body if c.relation == "<=" else np.abs(body)
        feasibility = np.maximum(feasibility, _most(missing / _positive(size)))
        product = multiplier * body
        worth = worth + _sum(product)
        complementarity = np.maximum(complementarity, _most(np.abs(product)))
        volume = np.maximum(volume, _sum(np.abs(multiplier) * size))
    results = residuals.slopes(
        {
            **parameters,
            **{v.quantity: _inner(point[v.name], bounds[v.name][0]) for v in program.variables},
            **{p: multipliers[c.name] for p, c in zip(residuals.prices, program.constraints, strict=True)},
        }
    )
    reduced, stationarity = {}, np.zeros(count)
    for v, left, size in zip(program.variables, results[0::2], results[1::2], strict=True):
        x, (low, high) = point[v.name], bounds[v.name]
        reduced[v.name] = left
        wrong = np.where(x <= low, -left, np.where(x >= high, left, np.abs(left)))
        stationarity = np.maximum(stationarity, _most(np.where(low < high, wrong, 0.0) / _positive(size)))
    complementarity = complementarity / np.where(volume > 0, volume, 1.0)
    return Verdicts(objective, reduced, worth, feasibility, stationarity, complementarity)


def _most(values: Array) -> Array:
    """(N,) the largest of each draw's values and 0; nan if there is one."""
    return np.asarray(np.max(values.reshape(len(values), -1), axis=1, initial=0.0))


def _sum(values: Array) -> Array:
    return np.asarray(np.sum(values.reshape(len(values), -1), axis=1))


def largest(values: Array) -> float:
    """The largest of them and 0; nan if there is one."""
    return float(np.max(values, initial=0.0))


def larger(a: float, b: float) -> float:
    """The larger of two; nan if one is."""
    return float(np.maximum(a, b))


def _inner(x: Array, lower: Array) -> Array:
    """Just above a bound of 0, where derivatives may be infinite."""
    return np.where((x == 0) & (lower == 0), TINY, x)


def _inside(expression: sp.Expr, c: Constraint) -> sp.Expr:
    return expression if c.where == sp.true else sp.Piecewise((expression, c.where), (0, True))


def _weighed(c: Constraint, price: Quantity) -> sp.Expr:
    """The constraint's body times its multipliers, summed over its rows."""
    term = _entry(price, c.letters) * (c.left - c.right)
    return IndexSum(sp.expand_mul(term), c.letters, c.where) if c.letters else term


def _entry(quantity: Quantity, letters: tuple[Letter, ...]) -> sp.Expr:
    return Entry(quantity, *letters) if letters else quantity


def _positive(size: Array) -> Array:
    return np.where(size > 0, size, 1.0)
