"""The least violation: where rows cannot all be met, the point that misses them by the smallest sum of amounts.

Each row gets slack variables of its own in the row's scale, and only those are paid for. A positive minimum of a convex
programme proves that there is no feasible point; a minimum of 0 is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mechdsl.engines.callbacks import Callbacks, Scales, Structure
from mechdsl.engines.form import Numbers, Point
from mechdsl.engines.ipopt import INFINITY, STATUS, row_bounds, solve_problem
from mechdsl.evaluate import Array
from mechdsl.program import Status

__all__ = ["least_violation"]


def least_violation(
    structure: Structure, numbers: Numbers, scales: Scales, start: Array, options: Mapping[str, Any]
) -> Array | None:
    """(columns,) the point of least violation, from `start`; None where Ipopt does not get there."""
    callbacks = Callbacks(structure)
    callbacks.load(numbers, scales)
    answers = _Elastic(callbacks)
    form = structure.form
    lower, upper = row_bounds(form, numbers)
    bounds = (
        np.concatenate((np.maximum(numbers.lower / scales.column, -INFINITY), np.zeros(answers.slacks))),
        np.concatenate((np.minimum(numbers.upper / scales.column, INFINITY), np.full(answers.slacks, INFINITY))),
        np.maximum(lower * scales.row, -INFINITY),
        np.minimum(upper * scales.row, INFINITY),
    )
    z = start / scales.column
    body = (Point(form, numbers, start).rows()[1:] - numbers.constant[1:]) * scales.row
    miss = np.concatenate(
        (np.maximum(bounds[2] - body, 0.0)[answers.up], np.maximum(body - bounds[3], 0.0)[answers.down])
    )
    z, info = solve_problem(answers, bounds, options, np.concatenate((z, miss + 0.1)))
    if callbacks.failure is not None:
        raise callbacks.failure
    if STATUS.get(int(info["status"])) is not Status.OPTIMAL:
        return None
    point: Array = np.clip(z[: form.n] * scales.column, numbers.lower, numbers.upper)
    return point


class _Elastic:
    """Callbacks of the elastic programme: those of the original, slacks added to the rows, their sum the objective."""

    def __init__(self, inner: Callbacks) -> None:
        form = inner.form
        self.inner, self.n = inner, form.n
        self.up, self.down = np.flatnonzero(form.relation >= 0), np.flatnonzero(form.relation <= 0)
        self.slacks = len(self.up) + len(self.down)

    def objective(self, z: Array) -> float:
        return float(np.sum(z[self.n :]))

    def gradient(self, z: Array) -> Array:
        return np.concatenate((np.zeros(self.n), np.ones(self.slacks)))

    def constraints(self, z: Array) -> Array:
        body = self.inner.constraints(z[: self.n]).copy()
        body[self.up] += z[self.n : self.n + len(self.up)]
        body[self.down] -= z[self.n + len(self.up) :]
        return body

    def jacobianstructure(self) -> Any:
        rows, columns = self.inner.jacobianstructure()
        return (
            np.concatenate((rows, self.up, self.down)),
            np.concatenate((columns, np.arange(self.n, self.n + self.slacks))),
        )

    def jacobian(self, z: Array) -> Array:
        return np.concatenate((self.inner.jacobian(z[: self.n]), np.ones(len(self.up)), -np.ones(len(self.down))))

    def hessianstructure(self) -> Any:
        return self.inner.hessianstructure()

    def hessian(self, z: Array, multipliers: Array, factor: float) -> Array:
        del factor  # the slacks' cost is linear
        return self.inner.hessian(z[: self.n], multipliers, 0.0)

    def intermediate(self, *state: Any) -> bool:
        return self.inner.intermediate(*state)
