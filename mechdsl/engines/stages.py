"""Stages compiled once: each solved at what is given and at what the stages before it have decided.

The answers are put side by side in one `Solution`; names of decisions and constraints tell the stages apart. A stage
that is asked the same question as last time gives the same answer: a contract signed before types are known is solved
once, whatever is reported afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mechdsl.engines.optimum import Compiled, compile_optimum
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.program import Solution, Stages, Status, given

__all__ = ["CompiledStages", "compile_stages"]


def compile_stages(program: Stages) -> CompiledStages:
    """Every stage's templates, sparsity and derivatives, made once for all parameter values."""
    return CompiledStages(program, tuple(compile_optimum(stage) for stage in program.stages))


class CompiledStages:
    """Stages ready to be solved at any values of their open parameters. Made by `compile_stages`.

    Attributes:
        program: as it was given.
        stages: the engine of each.
    """

    def __init__(self, program: Stages, stages: tuple[Compiled, ...]) -> None:
        self.program = program
        self.stages = stages
        self._last: list[tuple[bytes, Solution] | None] = [None] * len(stages)

    def solve(
        self,
        parameters: Mapping[Quantity, Array] | None = None,
        start: Solution | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Solution:
        """The stages' optima, one after another.

        Args:
            parameters: open quantity -> array of its shape, for all stages together.
            start: a solution at neighbouring values; each stage takes its own part.
            options: Ipopt's own, on top of ours.

        Returns:
            all decisions and multipliers by name; `objective` is the first stage's, `residuals` the largest of any; the
            status is that of the first stage that was not solved, and nothing is decided after it.
        """
        found: list[Solution] = []
        decided: dict[str, Array] = {}
        for place in range(len(self.stages)):
            found.append(
                self._stage(place, given(self.program.stages[place], parameters or {}, decided), start, options)
            )
            if found[-1].status is not Status.OPTIMAL:
                return replace(found[-1], values={**decided, **found[-1].values})
            decided |= found[-1].values
        return _side_by_side(found)

    def _stage(
        self, place: int, values: Mapping[Quantity, Array], start: Solution | None, options: Mapping[str, Any] | None
    ) -> Solution:
        key = b"".join(np.ascontiguousarray(table, dtype=np.float64).tobytes() for table in values.values())
        last = self._last[place]
        if last is not None and last[0] == key and not options:
            return last[1]
        names = {v.name for v in self.program.stages[place].variables}
        near = start if start is not None and names <= set(start.values) else None
        solution = self.stages[place].solve(values, near, options)
        if solution.status is not Status.INTERRUPTED:
            self._last[place] = (key, solution)
        return solution


def _side_by_side(found: list[Solution]) -> Solution:
    first = found[0]
    shared = set.intersection(*(set(s.residuals) for s in found))  # a gap is known where every stage is convex
    return Solution(
        status=first.status,
        message=first.message,
        objective=first.objective,
        values={name: table for s in found for name, table in s.values.items()},
        multipliers={name: table for s in found for name, table in s.multipliers.items()},
        bound_multipliers={name: pair for s in found for name, pair in s.bound_multipliers.items()},
        residuals={name: max(s.residuals[name] for s in found) for name in first.residuals if name in shared},
        iterations=sum(s.iterations for s in found),
        method="; then ".join(s.method for s in found),
        seconds=sum(s.seconds for s in found),
    )
