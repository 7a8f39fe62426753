"""A derivation: the named steps that lead from what was stated to what is solved, each with its reason and its
source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

__all__ = ["Derivation", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the theory.

    Args:
        name: stable, for tests and readers (`virtual cost`).
        formula: the result, an expression, equation or relation; `formulas` adds labelled cases (by domain, say).
        because: the justification, whole sentences. `$...$` marks mathematics in TeX.
        source: author, year, place; `ours` names its proof or its test.
        proved: True: follows symbolically; False: checked numerically on this instance, said so; None: a definition.
        holds: False where the step's claim fails on this market: `because` says how.
    """

    name: str
    formula: sp.Basic
    because: str
    source: str
    formulas: tuple[tuple[str, sp.Basic], ...] = ()
    proved: bool | None = True
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Derivation:
    """Steps in order, and the formulas that `program` and `recover` take from them, by name."""

    title: str
    steps: tuple[Step, ...]
    results: Mapping[str, sp.Basic] = field(default_factory=dict)

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)
