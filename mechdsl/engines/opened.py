"""A compiled programme with some of its data left open, filled in: one build for many markets that read alike.

A sweep changes numbers, not formulas. What differs between its points is compiled as parameters are, and given with
each solve, so that a point costs a solve and not a build.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from mechdsl.engines.batch import Batch, BatchSolution, compile_batch
from mechdsl.engines.optimum import Compiled, compile_optimum
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.program import Optimum, Solution

__all__ = ["Filled", "FilledBatch", "Opened", "opened"]


class Opened:
    """A programme compiled with some data open. Made by `opened`.

    Args:
        program: its data without those, its parameters with them.
    """

    def __init__(self, program: Optimum) -> None:
        self.program = program
        self.engine: Compiled = compile_optimum(program)
        self.batch: Batch = compile_batch(program, self.engine)

    def filled(self, values: Mapping[Quantity, Array]) -> Filled:
        """The programme with its open data given: an engine like any other."""
        return Filled(self, MappingProxyType(dict(values)))


def opened(program: Optimum, names: frozenset[str]) -> Opened:
    """The programme compiled with the data of these names open."""
    closed = {q: table for q, table in program.data.items() if q.name not in names}
    more = tuple(q for q in program.data if q.name in names)
    return Opened(replace(program, data=MappingProxyType(closed), parameters=(*program.parameters, *more)))


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """An opened programme at given data: what `Mechanism` takes for an engine, and for a batch of its programme.

    Args:
        opened: as compiled.
        values: of what was opened.
    """

    opened: Opened
    values: Mapping[Quantity, Array]

    def solve(self, parameters: Mapping[Quantity, Array] | None = None, start: Solution | None = None) -> Solution:
        """The optimum at these values of the parameters that were open before."""
        return self.opened.engine.solve({**(parameters or {}), **self.values}, start)

    def batch(self) -> FilledBatch:
        """The same for many values at once."""
        return FilledBatch(self)


@dataclass(frozen=True, slots=True, eq=False)
class FilledBatch:
    """A filled programme, solved at many parameter values; it is asked as `Batch` is."""

    filled: Filled

    def solve(
        self, parameters: Mapping[Quantity, Array], *, related: bool = False, threads: int | None = None
    ) -> BatchSolution:
        """The optima at N sets of values: `Batch.solve`, the filled data alike in all of them."""
        count = len(next(iter(parameters.values()))) if parameters else 1
        same = {
            q: np.broadcast_to(np.asarray(table, dtype=np.float64), (count, *q.shape))
            for q, table in self.filled.values.items()
        }
        return self.filled.opened.batch.solve({**parameters, **same}, related=related, threads=threads)
