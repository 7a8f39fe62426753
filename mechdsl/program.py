"""What is to be solved, said without a solver: indexed variables, an objective, constraints, with parameters left open.

A `Program` is one of a small closed union, each kind with its engine. It is made by a structure from a market and its
derivation, compiled once, and solved at many parameter values. It prints as mathematics, so it can be read and kept
as a golden file; its formulas are the masters from which Ipopt's callbacks and the Pyomo model are both rendered.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import sympy as sp

from mechdsl.errors import Span
from mechdsl.evaluate import Array
from mechdsl.formula import Letter, Quantity

__all__ = ["Constraint", "Optimum", "Program", "Solution", "Stages", "Status", "Variable", "given", "optima"]


@dataclass(frozen=True, slots=True)
class Variable:
    """`lower <= quantity[letters] <= upper`, one for every combination of `letters`.

    The bounds are formulas in `letters`, free of decisions (`-oo`, `oo` for none).
    """

    quantity: Quantity
    letters: tuple[Letter, ...]
    lower: sp.Expr = sp.S.Zero
    upper: sp.Expr = sp.oo
    doc: str = ""

    @property
    def name(self) -> str:
        return str(self.quantity.name)


@dataclass(frozen=True, slots=True)
class Constraint:
    """`name[letters where COND]: left RELATION right`, the relation one of `>=`, `<=`, `==`."""

    name: str
    letters: tuple[Letter, ...]
    left: sp.Expr
    relation: str
    right: sp.Expr
    where: sp.Basic = sp.true
    doc: str = ""
    span: Span | None = field(default=None, compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(letter.index_set) for letter in self.letters)


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """`minimise (or maximise) objective` over the variables subject to the constraints.

    Args:
        sense: `minimize` or `maximize`.
        objective: a scalar formula.
        variables, constraints: in the order in which they print.
        data: values of every param in the formulas, shape `quantity.shape`.
        parameters: quantities (role `open` or `type`) whose values are given with each solve.
        convex: whether the theory has shown the programme convex (a local optimum is then global); None when unknown.
    """

    sense: str
    objective: sp.Expr
    variables: tuple[Variable, ...]
    constraints: tuple[Constraint, ...]
    data: Mapping[Quantity, Array]
    parameters: tuple[Quantity, ...] = ()
    convex: bool | None = None
    name: str = "programme"

    def __str__(self) -> str:
        lines = [f"{self.sense} {self.objective}", "over"]
        lines += [f"  {v.lower} <= {_head(v.name, v.letters)} <= {v.upper}" for v in self.variables]
        lines.append("subject to")
        for c in self.constraints:
            where = "" if c.where == sp.true else f" where {c.where}"
            lines.append(f"  {_head(c.name, c.letters)}{where}: {c.left} {c.relation} {c.right}")
        if self.parameters:
            lines.append("given " + ", ".join(f"{q.name}" for q in self.parameters))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, eq=False)
class Stages:
    """Programmes decided one after another; a later one takes the decisions of those before it as given.

    What an earlier stage decides a later one names among its `parameters`, by the same name. That the earlier ones know
    how the later ones will answer is the theory's part: it is in their objectives already (backward induction).

    Args:
        stages: in the order in which they are decided; names of decisions and constraints differ between them.
    """

    stages: tuple[Optimum, ...]
    name: str = "stages"

    @property
    def parameters(self) -> tuple[Quantity, ...]:
        """What is given with each solve: the parameters that no earlier stage decides."""
        decided = {v.name for stage in self.stages for v in stage.variables}
        return tuple(q for stage in self.stages for q in stage.parameters if str(q.name) not in decided)

    @property
    def convex(self) -> bool | None:
        """Whether every stage was shown convex."""
        verdicts = {stage.convex for stage in self.stages}
        return False if False in verdicts else None if None in verdicts else True

    def __str__(self) -> str:
        count = len(self.stages)
        return "\n".join(f"stage {n} of {count}: {stage.name}\n{stage}" for n, stage in enumerate(self.stages, 1))


Program: TypeAlias = Optimum | Stages


def optima(program: Program) -> tuple[Optimum, ...]:
    """The optima that a programme consists of, in the order in which they are decided; none where it is no optimum."""
    if isinstance(program, Stages):
        return program.stages
    return (program,) if isinstance(program, Optimum) else ()


def given(stage: Optimum, parameters: Mapping[Quantity, Array], decided: Mapping[str, Array]) -> dict[Quantity, Array]:
    """Values of a stage's open parameters: those given with the solve, the others by name from what is decided."""
    return {q: parameters[q] if q in parameters else decided[str(q.name)] for q in stage.parameters}


class Status(enum.Enum):
    """How a solve ended: a stable word, and the sentence the user reads."""

    OPTIMAL = ("optimal", "Solved: the optimality residuals are within tolerance.")
    INFEASIBLE = ("infeasible", "No decision meets all constraints at once.")
    UNBOUNDED = ("unbounded", "The objective improves without end: a bound or a constraint is missing.")
    ITERATION_LIMIT = ("iteration_limit", "Ipopt stopped at its iteration limit before the residuals were small.")
    INTERRUPTED = ("interrupted", "The solve was stopped by the user.")
    FAILED = ("failed", "Ipopt stopped without a solution (numerical difficulties).")
    NO_MARKET = ("no_market", "No contract makes everyone better off: there is no market.")
    NO_EQUILIBRIUM = ("no_equilibrium", "No equilibrium was found; the smallest regret is reported.")

    def __init__(self, word: str, sentence: str) -> None:
        self.word = word
        self.sentence = sentence

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """What a solver found, with residuals computed by us from the programme's formulas.

    Args:
        status, message: how it ended; the message adds the particulars.
        objective: value at `values`, in the programme's own sense and units.
        values: name of variable -> array of its shape.
        multipliers: name of constraint -> array of its shape, derivative of the *minimised* objective in the right side
            (>= 0 for `>=`, <= 0 for `<=`); 0 where the constraint's condition excludes a row.
        bound_multipliers: name of variable -> (lower, upper), both >= 0.
        residuals: `feasibility`, `stationarity`, `complementarity` and, for a convex programme, `gap` (relative duality
            gap), all scale-free.
        iterations: of Ipopt.
        method: how the numbers were got, in words.
        seconds: time in the solver.
    """

    status: Status
    message: str
    objective: float
    values: Mapping[str, Array]
    multipliers: Mapping[str, Array]
    bound_multipliers: Mapping[str, tuple[Array, Array]]
    residuals: Mapping[str, float]
    iterations: int
    method: str
    seconds: float = field(compare=False, default=0.0)


def _head(name: str, letters: tuple[Letter, ...]) -> str:
    return f"{name}[{', '.join(str(a) for a in letters)}]" if letters else name
