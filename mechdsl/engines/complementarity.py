"""A game's first-order conditions as a complementarity programme: Ipopt from several points, then Newton steps.

The programme `min x . w + price . slack` has the minimum 0 at the points where all conditions hold; it satisfies no
constraint qualification there, so Ipopt comes near and stops. Which choices and limits are tight can be seen by then,
and the remaining equations are solved to the last digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import least_squares

from mechdsl.engines.optimum import Compiled, compile_optimum
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.program import Equilibrium, Solution, Status

__all__ = ["Complementarity"]

STARTS = (1.0, 0.1, 10.0, 0.01, 100.0)  # every choice, at first
ROUNDS = 6  # of guessing again what is tight
NEAR = 1e-4  # of the natural size, below which a choice or slack may be 0


@dataclass(slots=True, eq=False)
class Complementarity:
    """The compiled programme of a game, and points that meet its conditions."""

    program: Equilibrium
    engine: Compiled = field(init=False)

    def __post_init__(self) -> None:
        self.engine = compile_optimum(self.program.conditions)

    @property
    def nobody(self) -> dict[Quantity, Array]:
        """The open parameters with no adopters."""
        return {q: np.zeros(q.shape) for q in self.program.conditions.parameters}

    def points(self) -> Iterator[dict[str, Array]]:
        """Values by name of the players' variables, from every start that leads somewhere."""
        conditions = self.program.conditions
        for start in STARTS:
            values = {v.name: np.full(v.quantity.shape, start) for v in conditions.variables}
            rows = {c.name: np.zeros(c.shape) for c in conditions.constraints}
            first = Solution(Status.FAILED, "", np.nan, values, rows, {}, {}, 0, "")
            found = self.engine.solve(self.nobody, first)
            if found.values and all(np.isfinite(x).all() for x in found.values.values()):
                refined = self._refined(found.values)
                yield {v.name: refined[v.name] for v in self.program.variables}

    # What follows treats all variables (choices and prices) as one vector z, each with its condition: F(z) >= 0 and
    # z >= lower, one of them tight.

    def _refined(self, values: Mapping[str, Array]) -> dict[str, Array]:
        conditions = self.program.conditions
        z = np.concatenate([np.ravel(values[v.name]) for v in conditions.variables])
        lower = np.concatenate([np.ravel(evaluate(v.lower, conditions.data, v.letters)) for v in conditions.variables])
        best, error = z, self._error(z, lower)
        for _ in range(ROUNDS):
            with np.errstate(all="ignore"):
                force = self._forces(z)
            size = np.maximum(np.abs(z), NEAR)
            free = (z - lower) / size > np.abs(force) / np.maximum(np.abs(force).max(initial=1e-300), 1.0)
            if not free.any():
                break

            def equations(part: Array, free: Array = free) -> Array:
                whole = np.where(free, 0.0, lower)
                whole[free] = part
                with np.errstate(all="ignore"):
                    return np.asarray(np.nan_to_num(self._forces(whole)[free], nan=1e6, posinf=1e6, neginf=-1e6))

            solved = least_squares(
                equations, z[free], x_scale=np.maximum(np.abs(z[free]), 1e-8), xtol=1e-15, ftol=1e-15, gtol=1e-15
            )
            z = np.where(free, 0.0, lower)
            z[free] = np.maximum(solved.x, lower[free])
            there = self._error(z, lower)
            if there < error:
                best, error = z, there
            if error < 1e-13:
                break
        return self._tables(best)

    def _tables(self, z: Array) -> dict[str, Array]:
        tables, at = {}, 0
        for v in self.program.conditions.variables:
            size = int(np.prod(v.quantity.shape))
            tables[v.name] = z[at : at + size].reshape(v.quantity.shape)
            at += size
        return tables

    def _forces(self, z: Array) -> Array:
        """What must be >= 0 and 0 where the variable is above its bound: pulls for choices, slacks for prices."""
        conditions = self.program.conditions
        tables = self._tables(z)
        known = {**conditions.data, **self.nobody, **{v.quantity: tables[v.name] for v in conditions.variables}}
        rows = {c.name: c for c in conditions.constraints}
        parts = []
        for v in conditions.variables:
            row = (
                rows[v.name.removeprefix("price of ")] if v.name.startswith("price of ") else rows[f"pull on {v.name}"]
            )
            gap = evaluate(row.left - row.right, known, row.letters)
            parts.append(np.ravel(-gap if row.relation == "<=" else gap))
        return np.concatenate(parts)

    def _error(self, z: Array, lower: Array) -> float:
        with np.errstate(all="ignore"):
            residual = np.abs(np.minimum(z - lower, self._forces(z)))
        return float(np.max(np.where(np.isnan(residual), np.inf, residual), initial=0.0))
