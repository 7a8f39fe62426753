"""An Optimum compiled once and solved at many parameter values.

Ipopt is stopped early and its active set handed to the refinement, which is exact and cheap. Where natural costs lie
further apart than Ipopt's one barrier can resolve, the central path is followed in logarithms instead. Whatever comes out
is judged by residuals from the programme's own formulas, and nothing is called optimal that does not pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mechdsl.engines.callbacks import Scales, Structure
from mechdsl.engines.elastic import least_violation
from mechdsl.engines.form import Form, Numbers, Point
from mechdsl.engines.gap import duality_gap, reach
from mechdsl.engines.ipopt import Ipopt, Stopped
from mechdsl.engines.lowering import lower, strengthened
from mechdsl.engines.refine import TINY, Barrier, Guess, Refinement, System
from mechdsl.engines.residuals import Residuals, Verdict, largest
from mechdsl.engines.scaling import Costs, Monotone, Natural, balanced, completed, natural, vanishing
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.program import Optimum, Solution, Status

__all__ = ["Compiled", "compile_optimum"]

COARSE, FINEST = 1e-3, 1e-6  # Ipopt's tolerance where the refinement is to follow: for ten columns, for very many
FLAT = 1e-8  # for linear programmes, whose vertices show late
FINE = 1e-10  # where it has failed, or a local optimum is to be told from another
EXACT = 1e-12  # the refinement's own, relative and by component
CERTIFIED = 1e-9  # residuals at which a refined point is taken without looking further
SOUND = 1e-6  # residuals up to which a point is called optimal
WIDE = 1e6  # spread of natural costs beyond which Ipopt's barrier cannot resolve the small ones
STEPS, NEAR_STEPS, PATH_STEPS = 60, 15, 300  # Newton steps: refining, from a neighbour, along the path
PATH_END = 1e-6  # where the path's active set is read


def compile_optimum(program: Optimum) -> Compiled:
    """The programme's templates, sparsity and derivatives, made once for all parameter values.

    Args:
        program: any smooth programme of sums, products, powers and functions of decisions over index sets; `max`, `min`
            and `abs` where convexity allows.

    Returns:
        what solves it.

    Raises:
        ValueError: a term that no smooth solver can be trusted with, or a number that is not finite; it is named.
    """
    return Compiled(program)


class Compiled:
    """A programme ready to be solved at any values of its open parameters.

    Attributes:
        program: as it was given.
        size: columns, rows and terms, auxiliary ones included.
    """

    def __init__(self, program: Optimum) -> None:
        self.program = program
        strong = strengthened(program)
        self.form = Form(lower(strong))
        self.structure = Structure(self.form)
        self.costs = Costs(self.form)
        self.monotone = Monotone(self.structure, self.costs)
        self.refinement = Refinement(self.structure)
        self.residuals = Residuals(strong)
        self.ipopt = Ipopt(self.structure)
        self.curved = len(self.structure.hessian_rows) > 0
        terms = sum(len(f.terms.rows) for f in self.form.families) + len(self.form.linear.rows)
        self.size = (self.form.n, self.form.m, terms)

    def solve(
        self,
        parameters: Mapping[Quantity, Array] | None = None,
        start: Solution | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Solution:
        """The optimum at these values of the open parameters.

        Args:
            parameters: open quantity -> array of its shape.
            start: a solution at neighbouring values to begin from. For a convex programme it may make Ipopt unnecessary;
                the result is judged as strictly, so it changes how soon the answer comes, not what it is.
            options: Ipopt's own, on top of ours.

        Returns:
            the solution, or how and where the search for it ended (`Status`). A cost of weight 0 counts as the limit of a
            vanishing weight (`VANISHING` of the smallest positive one), so that of many minimisers the cheapest counts.

        Raises:
            ValueError: a parameter is missing, of the wrong shape or not finite.
        """
        began = time.perf_counter()
        search = _Search(self, _checked(self.program, parameters or {}), dict(options or {}))
        with np.errstate(all="ignore"):  # infinities and what comes of them are looked at where they matter
            try:
                solution = search.run(start)
            except KeyboardInterrupt:
                solution = search.interrupted()
        return replace(solution, seconds=time.perf_counter() - began)

    def pyomo(self, parameters: Mapping[Quantity, Array] | None = None) -> Any:
        """The programme as a `pyomo.environ.ConcreteModel`, from the same formulas."""
        from mechdsl.engines.pyomo_model import concrete_model

        return concrete_model(self.program, _checked(self.program, parameters or {}))

    def write_nl(self, path: Any, parameters: Mapping[Quantity, Array] | None = None) -> None:
        """The programme as an AMPL `.nl` file, for any solver that reads those."""
        from mechdsl.engines.pyomo_model import write_nl

        write_nl(self.program, _checked(self.program, parameters or {}), path)

    def by_constraint(self, rows: Array) -> dict[str, Array]:
        """Row values in the constraints' shapes, 0 where a condition excludes a row."""
        result = {}
        for block in self.form.row_blocks:
            if not block.auxiliary:
                values = np.zeros(int(np.prod(block.constraint.shape)))
                values[block.members] = rows[block.start - 1 : block.start - 1 + block.size]
                result[block.constraint.name] = values.reshape(block.constraint.shape)
        return result

    def by_variable(self, columns: Array) -> dict[str, Array]:
        """Column values in the variables' shapes."""
        return {b.variable.name: columns[b.start : b.start + b.size].reshape(b.shape)
                for b in self.form.blocks if not b.auxiliary}


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A judged point.

    Args:
        guess: the point and its multipliers.
        bounds: (columns,) multipliers of the lower and the upper bounds.
        gap: relative duality gap; None where none is known.
        ended: what its maker said of it.
        method: how it was made.
    """

    guess: Guess
    verdict: Verdict
    bounds: tuple[Array, Array]
    gap: float | None
    ended: Status
    method: str

    @property
    def worst(self) -> float:
        return self.verdict.worst

    @property
    def believable(self) -> bool:
        """Whether its residuals may be taken at their word: relative to a point run off to infinity, all is small."""
        return self.ended not in (Status.UNBOUNDED, Status.INFEASIBLE)


class _Search:
    """One solve: the ways to a solution, one after the other, until one is certified."""

    def __init__(self, compiled: Compiled, parameters: dict[Quantity, Array], options: dict[str, Any]) -> None:
        self.compiled, self.parameters, self.options = compiled, parameters, options
        self.form: Form = compiled.form
        self.stated = self.form.at(parameters)
        self.monotone = compiled.monotone.holds(self.stated)
        # What is solved: vanishing weights in the place of zeros.
        self.numbers: Numbers = (
            vanishing(self.form, compiled.costs, self.stated, compiled.monotone.own) if self.monotone else self.stated)
        self.convex = compiled.program.convex is True
        self.iterations = 0
        self.last = np.clip(1.0, self.numbers.lower, self.numbers.upper)

    def run(self, start: Solution | None) -> Solution:
        if np.any(self.numbers.lower > self.numbers.upper):
            return self.crossed()
        candidates: list[_Candidate] = []
        for candidate in self.ways(start):
            if candidate.believable and candidate.worst <= CERTIFIED:
                return self.solution(candidate, Status.OPTIMAL)
            candidates.append(candidate)
        return self.answer(candidates)

    def ways(self, start: Solution | None) -> Iterator[_Candidate]:
        """Candidates in the order in which they are worth trying; each is worked out when it is asked for."""
        if start is not None and self.convex and self.form.smooth and start.values:
            yield from self.settled(self.from_solution(start), NEAR_STEPS, "refined from a neighbouring solution")
        sizes = natural(self.compiled.monotone, self.numbers) if self.monotone else None
        if sizes is not None and len(sizes.short):
            yield self.short(sizes)
            return
        scales, first = self.scales, self.first = self.scaled(sizes, start)
        self.last = first
        if sizes is not None:
            follow = self.compiled.refinement.separable
            if follow and sizes.spread > WIDE:
                yield from self.along_the_path(sizes)
                follow = False
            # The share of a single term falls with their number, and with it what must be told apart.
            tolerance = max(COARSE * min(1.0, 10.0 / self.form.n) ** 1.5, FINEST) if self.compiled.curved else FLAT
            stopped = self.stopped(scales, first, {"tol": tolerance})
            yield from self.settled(self.guessed(stopped, scales), STEPS, "Ipopt, refined")
            if follow:
                yield from self.along_the_path(sizes)
        stopped = self.stopped(scales, first, {"tol": FINE})
        guess = self.guessed(stopped, scales)
        raw = self.judged(guess, (stopped.lower, stopped.upper), stopped.status, "Ipopt")
        for candidate in self.settled(guess, STEPS, "Ipopt, refined"):
            if self.agrees(candidate, raw):
                yield candidate
        yield raw

    def short(self, sizes: Natural) -> _Candidate:
        """All supply there is, where even that is not enough: what every row can have at most."""
        guess = Guess(sizes.x, np.zeros(self.form.m), sizes.x < self.numbers.upper, self.form.relation == 0)
        return self.judged(guess, None, Status.INFEASIBLE, "supply at the upper bounds")

    # ------------------------------------------------------------------------------------------------ ways to a point

    def scaled(self, sizes: Natural | None, start: Solution | None) -> tuple[Scales, Array]:
        """Scales and a first point for Ipopt."""
        if sizes is not None:
            return sizes.scales, sizes.x
        scales, first = balanced(self.compiled.costs, self.compiled.structure, self.numbers)
        return scales, self.from_solution(start).x if start is not None and start.values else first

    def stopped(self, scales: Scales, first: Array, settings: dict[str, Any]) -> Stopped:
        """Where Ipopt stops."""
        if self.monotone:  # scaled already, and started inside
            settings |= {"nlp_scaling_method": "none", "mu_init": 1e-4}
        stopped = self.compiled.ipopt.solve(self.numbers, scales, first, {"max_iter": 3000, **settings, **self.options})
        self.iterations += stopped.iterations
        self.last = stopped.x
        if stopped.code is None:
            raise KeyboardInterrupt
        return stopped

    def settled(self, guess: Guess, steps: int, method: str) -> Iterator[_Candidate]:
        """The refined guess, if the refinement gets anywhere."""
        found = self.compiled.refinement.settle(self.numbers, guess, steps, EXACT)
        if found.error < SOUND:
            yield self.judged(found, None, Status.OPTIMAL, method)

    def along_the_path(self, sizes: Natural) -> Iterator[_Candidate]:
        """From the natural point along the central path, its end refined."""
        own = self.compiled.monotone.own
        barrier = Barrier(1.0, sizes.row_cost, np.where(own, sizes.column_cost, 0.0))
        for end in (PATH_END, PATH_END**2):  # the active set may show only further on
            guess = self.compiled.refinement.follow(self.numbers, sizes.x, sizes.needs > 0, barrier, end, PATH_STEPS)
            yield from self.settled(guess, STEPS, "central path in logarithms, refined")

    def from_solution(self, start: Solution) -> Guess:
        """The point, multipliers and active set of a solution at other parameter values."""
        form, numbers = self.form, self.numbers
        x = np.zeros(form.n)
        multipliers = np.zeros(form.m)
        for block in form.blocks:
            if not block.auxiliary:
                x[block.start : block.start + block.size] = np.ravel(start.values[block.variable.name])
        for rows in form.row_blocks:
            if not rows.auxiliary:
                multipliers[rows.start - 1 : rows.start - 1 + rows.size] = np.ravel(
                    start.multipliers[rows.constraint.name])[rows.members]
        x = completed(form, numbers, np.clip(x, numbers.lower, numbers.upper))
        multipliers = self.compiled.refinement.auxiliary_multipliers(numbers, x, multipliers)
        return Guess(x, multipliers, (x > numbers.lower) & (x < numbers.upper), (multipliers != 0) | (form.relation == 0))

    def guessed(self, stopped: Stopped, scales: Scales) -> Guess:
        """Ipopt's active set: of each slack and its multiplier, the smaller one in Ipopt's scale."""
        numbers, structure = self.numbers, self.compiled.structure
        slack = np.abs(Point(self.form, numbers, stopped.x).rows()[1:]) * scales.row
        worth = np.abs(stopped.multipliers) * scales.objective[structure.row_component] / scales.row
        column = scales.objective[structure.component] * scales.column
        low = stopped.lower * column > (stopped.x - numbers.lower) / scales.column
        high = stopped.upper * column > (numbers.upper - stopped.x) / scales.column
        active = (worth > slack) | (self.form.relation == 0)
        return self.compiled.refinement.guess(numbers, stopped.x, stopped.multipliers, active, low, high)

    def agrees(self, refined: _Candidate, raw: _Candidate) -> bool:
        """Whether the refinement is of what Ipopt found: it may have gone elsewhere, where relative errors mean little."""
        if refined.gap is not None and refined.gap <= SOUND:
            return True
        sign = 1.0 if self.compiled.program.sense == "minimize" else -1.0
        size = float(np.max(np.abs(raw.guess.x), initial=0.0))
        worse = sign * (refined.verdict.objective - raw.verdict.objective)
        return (raw.ended is Status.OPTIMAL and float(np.max(np.abs(refined.guess.x), initial=0.0)) <= 2.0 * size + 1.0
                and (self.convex or worse <= SOUND * max(abs(raw.verdict.objective), SOUND * size)))

    # ------------------------------------------------------------------------------------------------------- judgement

    def judged(self, guess: Guess, bounds: tuple[Array, Array] | None, ended: Status, method: str) -> _Candidate:
        """A candidate with its residuals; without `bounds`, bounds hold exactly and have what is left of reduced costs."""
        compiled, numbers = self.compiled, self.numbers
        if not self.form.smooth:
            return self.judged_as_lowered(guess, bounds, ended, method)
        extra: dict[str, Array] = {}
        if numbers is not self.stated:
            inner = np.maximum(guess.x, TINY)
            extra = compiled.by_variable(compiled.costs.at(numbers, inner)[1] - compiled.costs.at(self.stated, inner)[1])
        lower, upper = compiled.by_variable(numbers.lower), compiled.by_variable(numbers.upper)
        held = None if bounds is None else tuple(map(compiled.by_variable, bounds))
        verdict = compiled.residuals.judge(
            self.parameters, compiled.by_variable(guess.x), compiled.by_constraint(guess.multipliers),
            {name: (lower[name], upper[name]) for name in lower}, held, extra)
        reduced = np.zeros(self.form.n)
        for block in self.form.blocks:
            if not block.auxiliary:
                reduced[block.start : block.start + block.size] = verdict.reduced[block.variable.name].ravel()
        if bounds is None:
            bounds = (np.where(guess.x <= numbers.lower, np.maximum(reduced, 0.0), 0.0),
                      np.where(guess.x >= numbers.upper, np.maximum(-reduced, 0.0), 0.0))
        gap = None
        if self.convex and verdict.feasibility < SOUND:
            box = reach(compiled.costs, numbers, guess.x, self.monotone)
            own = compiled.monotone.own
            if box is not None:
                sign = 1.0 if compiled.program.sense == "minimize" else -1.0
                gap = duality_gap(sign * verdict.objective, verdict.slack_worth, reduced[own], guess.x[own],
                                  (box[0][own], box[1][own]))
        return _Candidate(guess, verdict, bounds, gap, ended, method)

    def judged_as_lowered(
        self, guess: Guess, bounds: tuple[Array, Array] | None, ended: Status, method: str
    ) -> _Candidate:
        """The same for a programme with kinks: its smooth form, auxiliary variables included, stands for it."""
        form, numbers, compiled = self.form, self.numbers, self.compiled
        system = System(compiled.refinement, numbers, guess.x, guess.multipliers, guess.free, np.ones(form.m, dtype=bool))
        size, spread = np.maximum(system.more, system.less), system.plus + system.minus
        reduced = system.plus - system.minus
        if bounds is None:
            bounds = (np.where(guess.x <= numbers.lower, np.maximum(reduced, 0.0), 0.0),
                      np.where(guess.x >= numbers.upper, np.maximum(-reduced, 0.0), 0.0))
        missing = np.where(form.relation == 0, np.abs(system.slack), np.maximum(-system.slack, 0.0))
        if numbers.present is not None:
            missing = np.where(numbers.present, missing, 0.0)
        objective = float(Point(form, numbers, guess.x).rows()[0])
        worth = np.abs(guess.multipliers * system.slack)
        sign = 1.0 if compiled.program.sense == "minimize" else -1.0
        volume = max(abs(objective), float(np.sum(np.abs(guess.multipliers) * size)))
        verdict = Verdict(
            sign * objective, compiled.by_variable(reduced), float(np.sum(guess.multipliers * system.slack)),
            largest(missing / np.where(size > 0, size, 1.0)),
            largest(np.abs(reduced - bounds[0] + bounds[1]) / np.where(spread > 0, spread, 1.0)),
            largest(worth) / volume if volume else 0.0)
        return _Candidate(guess, verdict, bounds, None, ended, method)

    # --------------------------------------------------------------------------------------------------------- answers

    def answer(self, candidates: list[_Candidate]) -> Solution:
        """The solution that the best candidate is, or what keeps there from being one."""
        last = candidates[-1]
        found = [c for c in candidates if c.believable]
        if found:
            best = min(found, key=lambda c: c.worst)
            if best.worst <= SOUND:
                return self.solution(best, Status.OPTIMAL)
            if best.gap is not None and max(best.gap, best.verdict.feasibility) <= SOUND:
                return self.solution(best, Status.OPTIMAL, "The duality gap certifies the objective; what hardly counts in "
                                     "it may be less exact.")
        if last.method != "Ipopt":
            return self.solution(last, Status.INFEASIBLE, self.missing(last.guess.x))
        if last.ended is Status.ITERATION_LIMIT:
            return self.solution(last, last.ended)
        x = least_violation(self.compiled.structure, self.numbers, self.scales, self.first, {"max_iter": 3000})
        nearest = replace(last.guess, x=completed(self.form, self.numbers, x), multipliers=np.zeros(self.form.m))
        candidate = self.judged(nearest, None, Status.INFEASIBLE, "least violation")
        if candidate.verdict.feasibility > SOUND:
            return self.solution(candidate, Status.INFEASIBLE, self.missing(candidate.guess.x))
        return self.solution(last, Status.UNBOUNDED if last.ended is Status.UNBOUNDED else Status.FAILED)

    def missing(self, x: Array) -> str:
        """`demand[video] has 2.6 of 3`, for the rows that `x` violates."""
        form, numbers = self.form, self.numbers
        body = Point(form, numbers, x).rows()[1:]
        side = -numbers.constant[1:]
        violation = np.where(form.relation == 0, np.abs(body), np.maximum(-body * form.relation, 0.0))
        if numbers.present is not None:
            violation = np.where(numbers.present, violation, 0.0)
        worst = np.argsort(-violation / np.maximum(np.abs(side), 1e-300))
        words = {1: "at least", -1: "at most", 0: "exactly"}
        parts = [f"{form.row_name(int(r))}: {_number(body[r] + side[r])} where {words[int(form.relation[r])]} "
                 f"{_number(side[r])} is asked (off by {_number(violation[r])})"
                 for r in worst if violation[r] > SOUND * max(abs(side[r]), 1e-300) and not form.auxiliary_row[r]]
        shown = "; ".join(parts[:8]) + (f"; and {len(parts) - 8} more" if len(parts) > 8 else "")
        return f"At the point of least violation: {shown}."

    def crossed(self) -> Solution:
        """Bounds that leave a variable no value."""
        wrong = np.flatnonzero(self.numbers.lower > self.numbers.upper)
        names = ", ".join(self.form.column_name(int(k)) for k in wrong[:8])
        x = np.minimum(self.numbers.lower, self.numbers.upper)
        candidate = self.judged(Guess(x, np.zeros(self.form.m), x > x, self.form.relation == 0), None, Status.INFEASIBLE, "bounds")
        return self.solution(candidate, Status.INFEASIBLE, f"The lower bound is above the upper one: {names}.")

    def interrupted(self) -> Solution:
        """The last point looked at."""
        guess = Guess(self.last, np.zeros(self.form.m), self.last > self.numbers.lower, self.form.relation == 0)
        return self.solution(self.judged(guess, None, Status.INTERRUPTED, "Ipopt, interrupted"), Status.INTERRUPTED)

    def solution(self, c: _Candidate, status: Status, remark: str = "") -> Solution:
        compiled = self.compiled
        if status is Status.OPTIMAL and compiled.program.convex is None:
            remark = f"{remark} Not known to be convex: the optimum may be a local one.".strip()
        elif status is Status.OPTIMAL and compiled.program.convex is False:
            remark = f"{remark} Not convex: the optimum may be a local one.".strip()
        residuals = {"feasibility": c.verdict.feasibility, "stationarity": c.verdict.stationarity,
                     "complementarity": c.verdict.complementarity}
        if c.gap is not None:
            residuals["gap"] = c.gap
        lower, upper = map(compiled.by_variable, c.bounds)
        return Solution(
            status, f"{status.sentence} {remark}".strip(), c.verdict.objective,
            _frozen(compiled.by_variable(c.guess.x)),
            _frozen(compiled.by_constraint(c.guess.multipliers)),
            {name: (_read_only(lower[name]), _read_only(upper[name])) for name in lower},
            residuals, self.iterations, c.method)


def _checked(program: Optimum, parameters: Mapping[Quantity, Array]) -> dict[Quantity, Array]:
    values = {}
    for quantity in program.parameters:
        if quantity not in parameters:
            raise ValueError(f"no value for '{quantity.name}'")
        value = np.asarray(parameters[quantity], dtype=np.float64)
        if value.shape != quantity.shape:
            raise ValueError(f"'{quantity.name}' has shape {value.shape}, not {quantity.shape}")
        if not np.isfinite(value).all():
            raise ValueError(f"'{quantity.name}' is not finite")
        values[quantity] = value
    return values


def _read_only(values: Array) -> Array:
    values.flags.writeable = False
    return values


def _frozen(values: Mapping[str, Array]) -> dict[str, Array]:
    return {name: _read_only(value) for name, value in values.items()}


def _number(value: float) -> str:
    return f"{float(value):.6g}"
