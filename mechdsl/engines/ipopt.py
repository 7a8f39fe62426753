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

__all__ = ["INFINITY", "STATUS", "Ipopt", "Stopped", "ipopt_version", "row_bounds", "solve_problem"]

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
    def intermediate(self, *state: Any) -> bool: ...


class Ipopt:
    """Solves one form again and again. The last `cyipopt.Problem` is kept while bounds and options stay the same."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.form: Form = structure.form
        self._callbacks = Callbacks(structure)
        self._problem: Any = None
        self._key: Any = None
        self._lock = threading.Lock()

    def solve(self, numbers: Numbers, scales: Scales, start: Array, options: Mapping[str, Any]) -> Stopped:
        """Where Ipopt gets to from `start`. Interrupted by the user, it stops at the last point it looked at."""
        lower, upper = row_bounds(self.form, numbers)
        bounds = (
            np.maximum(numbers.lower / scales.column, -INFINITY),
            np.minimum(numbers.upper / scales.column, INFINITY),
            np.maximum(lower * scales.row, -INFINITY),
            np.minimum(upper * scales.row, INFINITY),
        )
        alone = not self._lock.acquire(blocking=False)  # in use by another thread: its problem cannot be shared
        callbacks = Callbacks(self.structure) if alone else self._callbacks
        try:
            callbacks.load(numbers, scales)
            problem = self._made(callbacks, bounds, {**_OPTIONS, **options}, alone)
            z, info = problem.solve(start / scales.column)
            if callbacks.failure is not None:
                raise callbacks.failure
        except KeyboardInterrupt:
            z, info = start / scales.column if callbacks.z is None else callbacks.z, None
        finally:
            if not alone:
                self._lock.release()
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

    def _made(self, callbacks: Callbacks, bounds: tuple[Array, ...], settings: dict[str, Any], alone: bool) -> Any:
        """A problem, the last one if it is still the same."""
        if alone:
            return _problem(callbacks, bounds, settings)
        key = (settings, *(b.tobytes() for b in bounds))
        if key != self._key:
            self._problem, self._key = _problem(callbacks, bounds, settings), key
        return self._problem


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


def ipopt_version() -> str:
    """The version of the Ipopt that solves here: `3.14.19`."""
    import cyipopt

    return ".".join(map(str, cyipopt.IPOPT_VERSION))
