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

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.distributions import Distribution
from mechdsl.errors import Span
from mechdsl.evaluate import Array
from mechdsl.formula import Letter, Quantity

__all__ = [
    "Aggregate",
    "Constraint",
    "Equilibria",
    "Equilibrium",
    "Menu",
    "Optimum",
    "Profile",
    "Program",
    "Solution",
    "Stages",
    "Status",
    "Variable",
    "given",
    "optima",
]


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

    def __post_init__(self) -> None:
        for side in ("left", "right"):  # a plain number is a formula, too; text is none
            object.__setattr__(self, side, sp.Add(getattr(self, side)))

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
class Aggregate:
    """A game played through one sum: `payoff[i] = gain(S) * x[i] - cost(x[i])` with `S = sum(i: x[i])`.

    Args:
        total: the quantity S, role `open`.
        gain, slope, bend: `g(S)`, `g'(S)`, `g''(S)`, in `total`, the data and the number of adopters.
        marginal: `cost'(x[i])`, in the players' letter.
        unique: whether the gain is `1 / (a sum of terms a S^e)` with every e in [0, 1] and a >= 0: then payoffs are
            concave in the own choice and there is one equilibrium. None: to be looked at in numbers.
    """

    total: Quantity
    gain: sp.Expr
    slope: sp.Expr
    bend: sp.Expr
    marginal: sp.Expr
    unique: bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Equilibrium:
    """Nash: every player maximises `payoff[i]` over its own entries of the variables, everyone else's given.

    Args:
        player: the letter of the players.
        payoff: in `player`; what a player gets, 0 where its score is.
        option: what a player gets that takes the option instead of choosing; None where there is none.
        adopters: the open quantity that stands for how many take it.
        deviation, option_deviation: the two with the player's own entries replaced by `own` and every sum over players
            by a total less the player's part: what it gets by a choice of its own.
        own: for each variable, the quantity that stands for a player's own entries.
        totals: the sums, as they stand at the profile: (quantity, formula, letters).
        variables, constraints: each player's own; the first letter is the player's.
        data: values of every param in the formulas.
        aggregate: where the game is played through one sum.
        conditions: the players' first-order conditions together, as a complementarity programme whose minimum is 0.
    """

    player: Letter
    payoff: sp.Expr
    option: sp.Expr | None
    adopters: Quantity
    deviation: sp.Expr
    option_deviation: sp.Expr | None
    own: tuple[Quantity, ...]
    totals: tuple[tuple[Quantity, sp.Expr, tuple[Letter, ...]], ...]
    variables: tuple[Variable, ...]
    constraints: tuple[Constraint, ...]
    data: Mapping[Quantity, Array]
    aggregate: Aggregate | None
    conditions: Optimum
    name: str = "game"

    @property
    def convex(self) -> bool | None:
        """A game's conditions are no convex programme."""
        return False

    def __str__(self) -> str:
        lines = [f"every {self.player} maximises {self.payoff}"]
        if self.option is not None:
            lines.append(f"or takes the option for {self.option}")
        lines.append("over")
        lines += [f"  {v.lower} <= {_head(v.name, v.letters)} <= {v.upper}" for v in self.variables]
        if self.constraints:
            lines.append("subject to")
        for c in self.constraints:
            lines.append(f"  {_head(c.name, c.letters)}: {c.left} {c.relation} {c.right}")
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


@dataclass(frozen=True, slots=True, eq=False)
class Menu:
    """`minimise E[p(c)] over menus {(x, p)}` from which an agent of unknown costs takes what leaves it most.

    The agent's cost of an item is `sum(c * outputs)`, it must be left nothing at its worst, and an item may be whatever
    meets the constraints of `items`.

    Args:
        items: least cost of an item at given weights; its open parameters are the weights, in place of the types.
        types: the agent's private costs; laws: of each, in C order, independent.
        outputs: what a type multiplies, a formula in the letters of the types.
        letters: of the types.
        fixed: what the agent must be paid whatever it takes: its known costs and outside options.
    """

    items: Optimum
    types: Quantity
    laws: tuple[Distribution, ...]
    outputs: sp.Expr
    letters: tuple[Letter, ...]
    fixed: float = 0.0
    name: str = "menu"

    @property
    def convex(self) -> bool | None:
        """Whether the least cost of an item was shown to be found."""
        return self.items.convex

    def __str__(self) -> str:
        head, y = _head(self.types.name, self.letters), self.outputs
        laws = ", ".join(str(law) for law in self.laws)
        lines = [
            "minimize expected price over menus of items, the agent taking the best and needing one at its worst",
            f"an item costs the agent {head} times {y}, with {head} ~ {laws}, and is any decision allowed in",
            *(f"  {line}" for line in str(self.items).splitlines()),
        ]
        return "\n".join(lines)


Program: TypeAlias = Optimum | Stages | Menu | Equilibrium


def optima(program: Program) -> tuple[Optimum, ...]:
    """The optima that a programme consists of, in the order in which they are decided; none of a game."""
    if isinstance(program, Stages):
        return program.stages
    return (program,) if isinstance(program, Optimum) else ()


def given(stage: Optimum, parameters: Mapping[Quantity, Array], decided: Mapping[str, Array]) -> dict[Quantity, Array]:
    """Values of a stage's open parameters: those given with the solve, the others by name from what is decided."""
    return {q: parameters[q] if q in parameters else decided[str(q.name)] for q in stage.parameters}


class Status(enum.Enum):
    """How a solve ended: a stable word, and the sentence the user reads."""

    OPTIMAL = ("optimal", "Solved: the optimality residuals are within tolerance.")
    ATTAINED = ("attained", "Attained, and bounded from the other side; not shown to be optimal.")
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

    @property
    def found(self) -> bool:
        """Whether there is an answer to certify: the best, or one attained and bounded."""
        return self in (Status.OPTIMAL, Status.ATTAINED)


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


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What everyone does, and how much any of them could gain by doing something else.

    Args:
        values: name of variable -> array of its shape; 0 for those who take the option.
        adopters: (players,) who takes the option.
        payoffs: (players,).
        gains: (players,) by the best reply found, >= 0; regret is the largest.
        method: how it was found.
    """

    values: Mapping[str, Array]
    adopters: npt.NDArray[np.bool_]
    payoffs: Array
    gains: Array
    method: str

    @property
    def regret(self) -> float:
        return float(np.max(self.gains))


@dataclass(frozen=True, slots=True, eq=False)
class Equilibria:
    """Every equilibrium found, or none with the smallest regret of the profiles looked at.

    Args:
        profiles: those whose regret is within tolerance.
        nearest: the profile of smallest regret, an equilibrium or not; None where payoffs have no maximum.
        unique: whether there can be no other.
        searched: how many candidates were looked at, in words.
    """

    status: Status
    message: str
    profiles: tuple[Profile, ...]
    nearest: Profile | None
    unique: bool
    searched: str
    seconds: float = field(compare=False, default=0.0)
