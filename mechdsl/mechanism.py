"""A mechanism at work: a structure applied to a market, ready to be asked at any report.

It owns the compiled programme (one build, many parameter values) and remembers the solutions it has found, so payments,
certificates and misreports, which all ask at neighbouring reports, share them and warm-start from the nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mechdsl.derivation import Derivation
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.market import Market, PrivateType
from mechdsl.program import Program, Solution, Status
from mechdsl.structure import Report, Structure

__all__ = ["Mechanism", "Unsolved"]

REMEMBERED = 20_000  # solutions kept, so that a long search cannot fill the memory


class Unsolved(Exception):  # noqa: N818 - no mistake: something that could not be found
    """No optimum was found at a report that a payment or a check asks about; the message says where and why."""


@dataclass(slots=True, eq=False)
class Mechanism:
    """The rule `report -> solution` of a structure on a market.

    Args:
        market, structure, derivation, program: as made by the chain.
        compiles: makes the compiled programme, when somebody first asks something of it.
        tolerance: how close, relatively, what is found by approximation is to come to what cannot be bettered; None
            where nobody asked.
    """

    market: Market
    structure: Structure
    derivation: Derivation
    program: Program
    compiles: Callable[[], Any]
    tolerance: float | None = None
    _engine: list[Any] = field(default_factory=list)
    _found: dict[Hashable, Solution] = field(default_factory=dict)
    _kept: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def engine(self) -> Any:
        """The compiled programme: made once, and not at all where regimes share what another has found."""
        if not self._engine:
            self._engine.append(self.compiles())
        return self._engine[0]

    def solve(self, report: Report, start: Solution | None = None) -> Solution:
        """The programme's solution at `report`; remembered. `start` is a solution at a neighbouring report."""
        return self._remembered(
            report, lambda: self.engine.solve(self.structure.parameters(self.market, report), start)
        )

    def solved(self, report: Report, start: Solution | None = None) -> Solution:
        """As `solve`, where the answer is to be built upon.

        Raises:
            Unsolved: there is none.
        """
        solution = self.solve(report, start)
        if solution.status is not Status.OPTIMAL:
            where = "; ".join(f"{q.name} = {np.array2string(np.asarray(t), precision=6)}" for q, t in report.items())
            raise Unsolved(f"at the report {where}: {solution.message}")
        return solution

    def solve_at(self, parameters: Mapping[Quantity, Array], start: Solution | None = None) -> Solution:
        """The programme's solution at given values of its open parameters; remembered."""
        return self._remembered(parameters, lambda: self.engine.solve(parameters, start))

    def remember(self, given: Mapping[Quantity, Array], solution: Solution) -> None:
        """Take `solution` for the answer at a report (or at parameters): one found elsewhere, say."""
        if len(self._found) >= REMEMBERED:
            self._found.clear()
        self._found[_key(given)] = solution

    def _remembered(self, given: Mapping[Quantity, Array], solve: Callable[[], Solution]) -> Solution:
        known = self._found.get(_key(given))
        if known is None:
            known = solve()
            if known.status is Status.INTERRUPTED:  # an answer to nothing: payments must not be made of it
                raise KeyboardInterrupt
            self.remember(given, known)
        return known

    def keep(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` makes, made once for each key: what payments and checks build on the way and share."""
        if key not in self._kept:
            if len(self._kept) >= REMEMBERED:
                self._kept.clear()
            self._kept[key] = make()
        return self._kept[key]

    def type_of(self, name: str) -> PrivateType:
        return next(t for t in self.market.types if t.name == name)


def _key(given: Mapping[Quantity, Array]) -> Hashable:
    return tuple((q, np.ascontiguousarray(table, dtype=np.float64).tobytes()) for q, table in given.items())
