"""Ipopt in this process, through `cyipopt.Problem`: the table of its codes, and where scales go in and come out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mechdsl.engines.callbacks import Callbacks, Scales, Structure
from mechdsl.engines.form import Form, Numbers
from mechdsl.evaluate import Array
from mechdsl.program import Status

__all__ = ["INFINITY", "STATUS", "Ipopt", "Stopped", "row_bounds", "solve_problem"]

# IpReturnCodes_inc.h in our words. `OPTIMAL` is still to be earned by the residuals.
STATUS = {
    0: Status.OPTIMAL,  # Solve_Succeeded
    1: Status.OPTIMAL,  # Solved_To_Acceptable_Level
    2: Status.INFEASIBLE,  # Infeasible_Problem_Detected
    3: Status.FAILED,  # Search_Direction_Becomes_Too_Small
    4: Status.UNBOUNDED,  # Diverging_Iterates
    5: Status.INTERRUPTED,  # User_Requested_Stop
    6: Status.OPTIMAL,  # Feasible_Point_Found
    -1: Status.ITERATION_LIMIT,  # Maximum_Iterations_Exceeded
    -2: Status.FAILED,  # Restoration_Failed
    -3: Status.FAILED,  # Error_In_Step_Computation
    -4: Status.ITERATION_LIMIT,  # Maximum_CpuTime_Exceeded
    -5: Status.ITERATION_LIMIT,  # Maximum_WallTime_Exceeded
    -10: Status.FAILED,  # Not_Enough_Degrees_Of_Freedom
    -11: Status.FAILED,  # Invalid_Problem_Definition
    -12: Status.FAILED,  # Invalid_Option
    -13: Status.FAILED,  # Invalid_Number_Detected
    -100: Status.FAILED,  # Unrecoverable_Exception
    -101: Status.FAILED,  # NonIpopt_Exception_Thrown
    -102: Status.FAILED,  # Insufficient_Memory
    -199: Status.FAILED,  # Internal_Error
}

INFINITY = 2e19  # bounds beyond 1e19 are none to Ipopt

_OPTIONS: Mapping[str, Any] = {"print_level": 0, "sb": "yes", "bound_relax_factor": 0.0}


@dataclass(frozen=True, slots=True, eq=False)
class Stopped:
    """Where Ipopt stopped, in the programme's own units.

    Args:
        x: (columns,).
        multipliers: (rows,) derivative of the minimised objective in the right side.
        lower, upper: (columns,) multipliers of the bounds, >= 0.
        code: Ipopt's; None if it was interrupted.
        iterations: Hessians asked for.
    """

    x: Array
    multipliers: Array
    lower: Array
    upper: Array
    code: int | None
    iterations: int

    @property
    def status(self) -> Status:
        return Status.INTERRUPTED if self.code is None else STATUS.get(self.code, Status.FAILED)


class Answers(Protocol):
    """The callbacks of cyipopt."""

    def objective(self, z: Array) -> float: ...
    def gradient(self, z: Array) -> Array: ...
    def constraints(self, z: Array) -> Array: ...
    def jacobian(self, z: Array) -> Array: ...
    def jacobianstructure(self) -> Any: ...
    def hessian(self, z: Array, multipliers: Array, factor: float) -> Array: ...
    def hessianstructure(self) -> Any: ...


class _Desk:
    """Passes cyipopt's questions on: a `cyipopt.Problem` is costly to make, the callbacks change with every solve."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    def objective(self, z: Array) -> float:
        return self.answers.objective(z)

    def gradient(self, z: Array) -> Array:
        return self.answers.gradient(z)

    def constraints(self, z: Array) -> Array:
        return self.answers.constraints(z)

    def jacobian(self, z: Array) -> Array:
        return self.answers.jacobian(z)

    def jacobianstructure(self) -> Any:
        return self.answers.jacobianstructure()

    def hessian(self, z: Array, multipliers: Array, factor: float) -> Array:
        return self.answers.hessian(z, multipliers, factor)

    def hessianstructure(self) -> Any:
        return self.answers.hessianstructure()


class Ipopt:
    """Solves one form again and again. The last `cyipopt.Problem` is kept while bounds and options stay the same."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.form: Form = structure.form
        self._kept: tuple[tuple[Array, ...], dict[str, Any], _Desk, Any] | None = None
        self._lock = threading.Lock()

    def solve(self, numbers: Numbers, scales: Scales, start: Array, options: Mapping[str, Any]) -> Stopped:
        """Where Ipopt gets to from `start`. Interrupted by the user, it stops at the last point it looked at."""
        callbacks = Callbacks(self.structure, numbers, scales)
        lower, upper = row_bounds(self.form, numbers)
        bounds = (
            np.maximum(numbers.lower / scales.column, -INFINITY),
            np.minimum(numbers.upper / scales.column, INFINITY),
            np.maximum(lower * scales.row, -INFINITY),
            np.minimum(upper * scales.row, INFINITY),
        )
        settings = {**_OPTIONS, **options}
        try:
            z, info = self._run(callbacks, bounds, settings, start / scales.column)
        except KeyboardInterrupt:
            z, info = np.where(np.isfinite(callbacks.z), callbacks.z, start / scales.column), None
        none = np.zeros(self.form.n)
        x = np.clip(z * scales.column, numbers.lower, numbers.upper)
        if info is None:
            return Stopped(x, np.zeros(self.form.m), none, none, None, callbacks.hessians)
        objective = scales.objective[self.structure.component] * scales.column
        return Stopped(
            x,
            -info["mult_g"] * scales.row / scales.objective[self.structure.row_component],
            info["mult_x_L"] / objective,
            info["mult_x_U"] / objective,
            int(info["status"]),
            callbacks.hessians,
        )

    def _run(self, callbacks: Callbacks, bounds: tuple[Array, ...], settings: dict[str, Any], start: Array) -> Any:
        if not self._lock.acquire(blocking=False):  # in use by another thread: its problem cannot be shared
            return solve_problem(callbacks, bounds, settings, start)
        try:
            kept = self._kept
            if kept is None or kept[1] != settings or not all(map(np.array_equal, kept[0], bounds)):
                desk = _Desk(callbacks)
                self._kept = kept = (bounds, settings, desk, _problem(desk, bounds, settings))
            kept[2].answers = callbacks
            return kept[3].solve(start)
        finally:
            self._lock.release()


def solve_problem(answers: Answers, bounds: tuple[Array, ...], options: Mapping[str, Any], start: Array) -> Any:
    """`(z, info)` of a problem that is solved once."""
    return _problem(answers, bounds, {**_OPTIONS, **options}).solve(start)


def _problem(answers: Answers, bounds: tuple[Array, ...], settings: Mapping[str, Any]) -> Any:
    import cyipopt

    low, high, row_low, row_high = bounds
    problem = cyipopt.Problem(n=len(low), m=len(row_low), problem_obj=answers, lb=low, ub=high, cl=row_low, cu=row_high)
    for name, value in settings.items():
        problem.add_option(name, value)
    return problem


def row_bounds(form: Form, numbers: Numbers) -> tuple[Array, Array]:
    """(rows,) bounds of the bodies without their constants; infinite where a condition excludes the row."""
    side = -numbers.constant[1:]
    lower = np.where(form.relation >= 0, side, -np.inf)
    upper = np.where(form.relation <= 0, side, np.inf)
    if numbers.present is not None:
        lower, upper = np.where(numbers.present, lower, -np.inf), np.where(numbers.present, upper, np.inf)
    return lower, upper
