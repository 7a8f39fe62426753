"""The ways to a solution, one after the other, until one is certified.

Ipopt is stopped early and its active set handed to the refinement, which is exact and cheap. Where natural costs lie
further apart than Ipopt's one barrier can resolve, the central path is followed in logarithms instead. Whatever comes
out is judged by residuals from the programme's own formulas, and nothing is called optimal that does not pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mechdsl.engines.callbacks import Scales, Structure
from mechdsl.engines.conditions import TINY, Barrier, Conditions, System
from mechdsl.engines.costless import costless, least_of_free, plenty
from mechdsl.engines.domain import Domain
from mechdsl.engines.elastic import least_violation
from mechdsl.engines.form import Form, Numbers, Point
from mechdsl.engines.gap import duality_gap, reach
from mechdsl.engines.ipopt import Ipopt, Stopped
from mechdsl.engines.linear import vertex
from mechdsl.engines.prices import least_prices
from mechdsl.engines.refine import Guess, follow, guessed, settle
from mechdsl.engines.residuals import Residuals, Verdict, largest
from mechdsl.engines.scaling import (
    Costs,
    Monotone,
    Natural,
    balanced,
    completed,
    natural,
    spending,
    vanishing,
)
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.program import Optimum, Solution, Status

__all__ = ["Machine", "Search"]

COARSE, FINEST = 1e-3, 1e-6  # Ipopt's tolerance where the refinement is to follow: for ten columns, for very many
FLAT = 1e-8  # for linear programmes, whose vertices show late
FINE = 1e-10  # where it has failed, or a local optimum is to be told from another
EXACT = 1e-12  # the refinement's own, relative and by component
CERTIFIED = 1e-9  # residuals at which a point is taken without looking further
SOUND = 1e-6  # residuals up to which a point is called optimal
FEW = 10  # columns up to which refining the natural point is tried first: it costs less than Ipopt's start alone
WIDE = 1e6  # spread of natural costs beyond which Ipopt's barrier cannot resolve the small ones
BELIEVABLE = 1e-3  # of all costs, what may be paid for constraints that do not bind
DEAR = 10.0  # times the objective, what all constraints may be worth before less is looked for
BESIDE = 1e-3  # of a bound, up to which a decision may belong at it
IMPLIED = 10.0  # times the error of those that imply them, violation up to which rows may be implied
STEPS, NEAR_STEPS, PATH_STEPS = 60, 15, 300  # Newton steps: refining, from a neighbour, along the path
FLOORS = (1e-260, 1e-60, 1e-16)  # shares of an optimum's cost that outputs too small to be found are raised to
TINY_OUTPUTS = "Outputs that hardly count are rounded up: they cost less than any digit shown."
NO_OUTPUT = 1e-100  # outputs of others below which free ones do better without them
COSTLESS = "Where costs are 0, it is what optima tend to as they vanish."
PATH_ENDS = (1e-6, 1e-12, 1e-40, 1e-120, 1e-250)  # where the path's active set is read; it may show only further on


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """What is made of a programme once."""

    program: Optimum
    form: Form
    structure: Structure
    conditions: Conditions
    costs: Costs
    monotone: Monotone
    residuals: Residuals
    ipopt: Ipopt
    domain: Domain


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
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
        """Its largest residual; inf where it ran off to infinity, relative to which everything is small."""
        believable = self.ended not in (Status.UNBOUNDED, Status.INFEASIBLE)
        return self.verdict.worst if believable else float("inf")


class Search:
    """One solve."""

    def __init__(
        self,
        machine: Machine,
        parameters: Mapping[Quantity, Array],
        options: Mapping[str, Any],
        numbers: Numbers | None = None,
    ) -> None:
        self.machine, self.parameters, self.options = machine, parameters, options
        self.form = machine.form
        self.stated = self.form.at(parameters)
        self.numbers = self.stated if numbers is None else numbers
        self.whole = numbers is None  # and not a part of the search for another
        self.monotone = machine.monotone.holds(self.numbers)
        self.sized = self.monotone or machine.monotone.but_for_caps(self.numbers)
        self.convex = machine.program.convex is True
        self.sense = 1.0 if machine.program.sense == "minimize" else -1.0
        self.iterations = 0
        self.last = np.clip(1.0, self.numbers.lower, self.numbers.upper)  # the last point looked at

    def run(self, start: Solution | None) -> Solution:
        """The limit where costs are 0; else the first candidate that is certified, or the best answer there is."""
        if np.any(self.numbers.lower > self.numbers.upper):
            return self.crossed()
        if (limit := self.limit()) is not None:
            return self.solution(limit, Status.OPTIMAL, COSTLESS)
        return self.first_of_all(start)

    def first_of_all(self, start: Solution | None) -> Solution:
        """The first candidate that is certified; the best, if none is."""
        candidates: list[Candidate] = []
        near = self.from_solution(start) if start is not None and start.values else None
        for candidate in self.beside(near):
            if candidate.worst <= CERTIFIED:
                return self.solution(candidate, Status.OPTIMAL)
            candidates.append(candidate)
        sizes = natural(self.machine.monotone, self.numbers) if self.sized else None
        if sizes is not None and len(sizes.short):
            return self.short(sizes)
        unraised = self.numbers
        if sizes is not None and sizes.floor is not None:
            sizes = self.raised(sizes, sizes.floor)
        for candidate in self.ways(sizes, near):
            if candidate.worst <= CERTIFIED:
                return self.solution(candidate, Status.OPTIMAL)
            candidates.append(candidate)
        for share in FLOORS if sizes is not None else ():
            if min(c.worst for c in candidates) <= SOUND:
                break
            assert sizes is not None
            floor = spending(self.machine.monotone, unraised, sizes, share)
            sizes = self.raised(sizes, np.where(self.vanishing_columns(), floor, 0.0))
            for candidate in self.ways(sizes, None):
                if candidate.worst <= CERTIFIED:
                    return self.solution(candidate, Status.OPTIMAL, TINY_OUTPUTS)
                candidates.append(candidate)
        return self.answer(candidates)

    def limit(self) -> Candidate | None:
        """What optima tend to as costs that are 0 vanish; None where none are, or it was not found.

        Not found, they are costs of a vanishing share of the smallest positive one from then on.
        """
        form, machine, numbers = self.form, self.machine, self.stated
        own = machine.monotone.own
        free = costless(machine.costs, numbers, own) if self.monotone and self.whole else np.zeros(form.n, dtype=bool)
        if not free.any():
            return None
        self.numbers = vanishing(form, machine.costs, numbers, own)
        first = self.part(plenty(form, numbers, free))
        if first.status is not Status.OPTIMAL:
            return None
        kept = form.columns(first.values)
        kept = np.where(kept - numbers.lower < NO_OUTPUT, numbers.lower, kept)
        last = self.part(least_of_free(form, machine.costs, numbers, free, own, kept))
        if last.status is not Status.OPTIMAL:
            return None
        x = completed(form, numbers, form.columns(last.values))
        multipliers = machine.conditions.auxiliary_multipliers(numbers, x, form.rows(first.multipliers))
        guess = Guess(x, multipliers, (x > numbers.lower) & (x < numbers.upper), multipliers != 0)
        vanished, self.numbers = self.numbers, numbers
        found = self.judged(guess, None, Status.OPTIMAL, f"{first.method}; where costs are 0, {last.method}")
        self.numbers = vanished
        return found if found.worst <= CERTIFIED else None

    def part(self, numbers: Numbers) -> Solution:
        """The solution at other numbers, as a part of this search."""
        part = Search(self.machine, self.parameters, self.options, numbers)
        found = part.run(None)
        self.iterations += part.iterations
        return found

    def raised(self, sizes: Natural, floor: Array) -> Natural:
        """Lower bounds raised to outputs that cost next to nothing, and a start above them.

        An optimum may want `x^0.01 = 0.1`, an output too small to be a number. Raising every output of a feasible point
        to `floor` keeps it feasible and costs at most the sum of `f_k(floor_k)`, so the optimum above the floor is
        within that of the optimum [ours; tests/test_engine_extremes.py].
        """
        lower = np.maximum(self.numbers.lower, np.minimum(floor, self.numbers.upper))
        self.numbers = replace(self.numbers, lower=lower, orthant=False)
        x = completed(self.form, self.numbers, np.minimum(np.maximum(sizes.x, 2 * lower), self.numbers.upper))
        return replace(sizes, x=np.where(self.machine.monotone.own, x, sizes.x))

    def vanishing_columns(self) -> npt.NDArray[np.bool_]:
        """Columns of nonlinear terms in rows: those in which a little may still be worth something."""
        found = np.zeros(self.form.n, dtype=bool)
        for family in self.form.families:
            for columns in family.columns:
                found[columns[family.terms.source[family.terms.rows > 0]]] = True
        return found & self.machine.monotone.own

    def beside(self, near: Guess | None) -> Iterator[Candidate]:
        """The refined neighbour: worth trying before anything else is worked out."""
        if near is not None and self.convex and self.form.smooth:
            yield from self.settled(near, NEAR_STEPS, "refined from a neighbouring solution")

    def ways(self, sizes: Natural | None, near: Guess | None) -> Iterator[Candidate]:
        """Candidates in the order in which they are worth trying; each is worked out when it is asked for."""
        scales, first = self.scaled(sizes)
        self.last = first
        if sizes is not None:
            if self.convex and self.form.n <= FEW:
                yield from self.settled(self.from_nature(sizes), NEAR_STEPS, "refined from the natural point")
            follows = self.machine.conditions.separable
            if follows and sizes.spread > WIDE:
                yield from self.along_the_path(sizes)
                follows = False
            stopped = self.stopped(scales, first, {"tol": self.coarseness()})
            yield from self.settled(self.from_ipopt(stopped, scales), STEPS, "Ipopt, refined")
            if follows:
                yield from self.along_the_path(sizes)
        else:
            first = self.started(first if near is None else near.x)
        if not self.form.families:
            found = vertex(self.machine.structure, self.numbers, scales)
            if found is not None and found.status is not Status.OPTIMAL:
                yield self.judged(self.bare(first), None, found.status, "simplex (HiGHS)")
                return
            if found is not None:
                yield from self.at_a_vertex(found, scales)
        yield from self.finely(scales, first)

    def finely(self, scales: Scales, first: Array) -> Iterator[Candidate]:
        """What Ipopt finds by itself, refined and as it is."""
        stopped = self.stopped(scales, first, {"tol": FINE})
        guess = self.from_ipopt(stopped, scales)
        raw = self.as_stopped(stopped, guess)
        guesses = (guess,) if self.form.smooth else (guess, self.at_the_kinks(guess))
        for one in guesses:
            for candidate in self.settled(one, STEPS, "Ipopt, refined"):
                if self.agrees(candidate, raw):
                    yield candidate
        lean = None if self.monotone else least_prices(self.machine.conditions, self.numbers, guess)
        leaner = self.settled(lean, STEPS, "Ipopt, refined at least prices", IMPLIED) if lean is not None else ()
        for candidate in leaner:
            if self.agrees(candidate, raw):
                yield candidate
        if raw.worst > CERTIFIED and self.convex and self.form.smooth:
            yield from self.doing_nothing()
        yield raw

    # ------------------------------------------------------------------------------------------------ ways to a point

    def scaled(self, sizes: Natural | None) -> tuple[Scales, Array]:
        """Scales and a first point: the natural ones, if there are."""
        if sizes is not None:
            return sizes.scales, sizes.x
        return balanced(self.machine.costs, self.machine.structure, self.numbers)

    def coarseness(self) -> float:
        """Ipopt's tolerance before a refinement: what has to be told apart shrinks with the number of columns."""
        if not len(self.machine.structure.hessian_rows):
            return FLAT
        return float(max(COARSE * min(1.0, 10.0 / self.form.n) ** 1.5, FINEST))

    def stopped(self, scales: Scales, first: Array, settings: Mapping[str, Any]) -> Stopped:
        """Where Ipopt stops."""
        ours = {"max_iter": 3000, **settings}
        if self.sized:  # scaled already
            ours |= {"nlp_scaling_method": "none", "max_iter": 500}
        if self.monotone:  # and started inside
            ours |= {"mu_init": 1e-4}
        stopped = self.machine.ipopt.solve(self.numbers, scales, first, {**ours, **self.options})
        self.iterations += stopped.iterations
        self.last = stopped.x
        if stopped.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        return stopped

    def as_stopped(self, stopped: Stopped, guess: Guess) -> Candidate:
        """What Ipopt found, unrefined: with what holds taken to hold exactly, or as it is if that misreads it."""
        held = stopped.lower, stopped.upper
        read = self.judged(guess, held, stopped.status, "Ipopt")
        if read.worst <= SOUND:
            return read
        own = replace(guess, x=stopped.x, multipliers=stopped.multipliers)
        return min(read, self.judged(own, held, stopped.status, "Ipopt"), key=lambda c: c.worst)

    def settled(self, guess: Guess, steps: int, method: str, doubt: float = 0.0) -> Iterator[Candidate]:
        """The refined guess, if the refinement gets anywhere."""
        conditions, numbers = self.machine.conditions, self.numbers
        found = settle(conditions, numbers, guess, steps, EXACT, doubt)
        if found.error < SOUND:
            lean = least_prices(conditions, numbers, found) if self.dear(found) else None
            again = settle(conditions, numbers, lean, steps, EXACT, IMPLIED) if lean is not None else found
            yield self.judged(again if again.error < SOUND else found, None, Status.OPTIMAL, method)

    def dear(self, found: Guess) -> bool:
        """Whether caps may be paid against what asks for more: too many rows hold, or are worth far more than costs."""
        form = self.form
        if form.above or not np.any(found.multipliers[(form.relation < 0) & ~form.auxiliary_row]):
            return False
        if np.count_nonzero(found.active) > np.count_nonzero(found.free):
            return True
        system = System(self.machine.conditions, self.numbers, found.x, found.multipliers, found.free, found.active)
        paid = float(np.abs(found.multipliers) @ np.maximum(system.more, system.less))
        return paid > DEAR * abs(float(system.point.rows()[0]))

    def at_the_kinks(self, guess: Guess) -> Guess:
        """The guess with what is nearly at a bound put there.

        At a kink one side of which is level a bound holds without a price: Ipopt ends beside it, by the root of its
        tolerance. Whether the point is the optimum is judged like any other.
        """
        numbers, conditions = self.numbers, self.machine.conditions
        near = guess.free & (guess.x - numbers.lower < BESIDE * np.maximum(1.0, np.abs(guess.x)))
        free = guess.free & ~near
        # A row of held columns alone says what their bounds say: with both, their prices could not be told apart.
        loose = np.zeros(self.form.m + 1, dtype=bool)
        loose[conditions.rows[free[conditions.columns]]] = True
        x = np.where(near, numbers.lower, guess.x)
        active = guess.active & loose[1:]
        multipliers = conditions.auxiliary_multipliers(numbers, x, np.where(active, guess.multipliers, 0.0))
        return replace(guess, x=x, free=free, active=active, multipliers=multipliers)

    def started(self, first: Array) -> Array:
        """`first`, or a point at which the formulas have values, if there they have none."""
        domain = self.machine.domain
        if not domain.arguments or np.isfinite(Point(self.form, self.numbers, first).rows()).all():
            return first
        point = domain.inside(self.parameters)
        return first if point is None else completed(self.form, self.numbers, self.form.columns(point))

    def at_a_vertex(self, found: Stopped, scales: Scales) -> Iterator[Candidate]:
        """An optimal vertex of a linear programme, as it is and refined."""
        guess = self.from_ipopt(found, scales)
        exact = replace(guess, x=found.x, multipliers=found.multipliers)
        yield self.judged(exact, None, found.status, "simplex (HiGHS)")
        yield from self.settled(guess, STEPS, "simplex (HiGHS), refined")

    def along_the_path(self, sizes: Natural) -> Iterator[Candidate]:
        """From the natural point along the central path, its end refined."""
        column = np.where(self.machine.monotone.own, sizes.column_cost, 0.0)
        barrier = Barrier(1.0, sizes.row_cost, column, np.zeros(self.form.m, dtype=bool))
        conditions = self.machine.conditions
        for guess in follow(conditions, self.numbers, sizes.x, sizes.needs > 0, barrier, PATH_ENDS, PATH_STEPS):
            yield from self.settled(guess, STEPS, "central path in logarithms, refined")

    def from_solution(self, start: Solution) -> Guess:
        """The point, multipliers and active set of a solution at other parameter values."""
        form, numbers = self.form, self.numbers
        x = completed(form, numbers, np.clip(form.columns(start.values), numbers.lower, numbers.upper))
        multipliers = self.machine.conditions.auxiliary_multipliers(numbers, x, form.rows(start.multipliers))
        free = (x > numbers.lower) & (x < numbers.upper)
        return Guess(x, multipliers, free, (multipliers != 0) | (form.relation == 0))

    def doing_nothing(self) -> Iterator[Candidate]:
        """Every variable at its lower bound: where that is the optimum, a barrier has nothing to measure by."""
        form, numbers = self.form, self.numbers
        lower = form.by_variable(numbers.lower)
        if all(np.isfinite(table).all() for table in lower.values()):
            x = completed(form, numbers, form.columns(lower))
            multipliers = self.machine.conditions.auxiliary_multipliers(numbers, x, np.zeros(form.m))
            guess = Guess(x, multipliers, x > numbers.lower, form.relation == 0)
            yield self.judged(guess, None, Status.OPTIMAL, "everything at its lower bound")

    def from_nature(self, sizes: Natural) -> Guess:
        """The natural point with every row that asks for something active, worth its natural cost."""
        active = sizes.needs > 0
        multipliers = np.where(active, sizes.row_cost / np.where(active, sizes.needs, 1.0), 0.0)
        multipliers = self.machine.conditions.auxiliary_multipliers(
            self.numbers, sizes.x, multipliers * self.machine.conditions.sign
        )
        free = (sizes.x > self.numbers.lower) & (sizes.x < self.numbers.upper)
        return Guess(sizes.x, multipliers, free, active | (self.form.relation == 0))

    def from_ipopt(self, stopped: Stopped, scales: Scales) -> Guess:
        """Ipopt's active set: of each slack and its multiplier, the smaller one in Ipopt's scale."""
        numbers, structure, x = self.numbers, self.machine.structure, stopped.x
        slack = np.abs(Point(self.form, numbers, x).rows()[1:]) * scales.row
        worth = np.abs(stopped.multipliers) * scales.objective[structure.row_component] / scales.row
        width = scales.objective[structure.component] * scales.column**2
        low = stopped.lower * width > x - numbers.lower
        high = stopped.upper * width > numbers.upper - x
        active = worth > slack
        multipliers = np.where(active | (self.form.relation == 0), stopped.multipliers, 0.0)
        multipliers = self.machine.conditions.auxiliary_multipliers(numbers, x, multipliers)
        return guessed(self.machine.conditions, numbers, x, multipliers, active, low, high)

    def agrees(self, refined: Candidate, raw: Candidate) -> bool:
        """Whether the refinement is of what Ipopt found, not of somewhere far, where relative errors mean little."""
        if refined.gap is not None and refined.gap <= SOUND:
            return True
        size = float(np.max(np.abs(raw.guess.x), initial=0.0))
        stayed = float(np.max(np.abs(refined.guess.x), initial=0.0)) <= 2.0 * size + 1.0
        worse = self.sense * (refined.verdict.objective - raw.verdict.objective)
        near = worse <= SOUND * max(abs(raw.verdict.objective), SOUND * size)
        return raw.ended is Status.OPTIMAL and stayed and (self.convex or near)

    # ------------------------------------------------------------------------------------------------------- judgement

    def judged(self, guess: Guess, bounds: tuple[Array, Array] | None, ended: Status, method: str) -> Candidate:
        """A candidate with its residuals. Without `bounds`, bounds hold exactly and get what reduced costs are left."""
        form, numbers = self.form, self.numbers
        verdict, reduced = self.verdict(guess, bounds) if form.smooth else self.verdict_as_lowered(guess, bounds)
        if self.machine.costs.separable:
            verdict = self.believed(verdict, guess.x)
        gap = None
        if self.convex and form.smooth and verdict.feasibility < SOUND:
            box = reach(self.machine.costs, numbers, guess.x, self.sized)
            own = self.machine.monotone.own
            if box is not None:
                gap = duality_gap(
                    self.sense * verdict.objective,
                    verdict.slack_worth,
                    reduced[own],
                    guess.x[own],
                    (box[0][own], box[1][own]),
                )
        return Candidate(guess, verdict, bounds or self.left_over(guess.x, reduced), gap, ended, method)

    def believed(self, verdict: Verdict, x: Array) -> Verdict:
        """The verdict; where constraints that do not bind are paid more than all costs, that is what it says.

        Prices that dwarf all costs would hide any error that is relative to them.
        """
        spent = max(abs(verdict.objective), float(np.sum(self.machine.costs.volume(self.numbers, x))))
        loose = abs(verdict.slack_worth)
        if not loose > BELIEVABLE * spent:
            return verdict
        return replace(verdict, complementarity=max(verdict.complementarity, loose / max(spent, TINY)))

    def left_over(self, x: Array, reduced: Array) -> tuple[Array, Array]:
        """The multipliers of bounds that hold exactly."""
        at_lower, at_upper = x <= self.numbers.lower, x >= self.numbers.upper
        return np.where(at_lower, np.maximum(reduced, 0.0), 0.0), np.where(at_upper, np.maximum(-reduced, 0.0), 0.0)

    def verdict(self, guess: Guess, bounds: tuple[Array, Array] | None) -> tuple[Verdict, Array]:
        """From the programme's own formulas; with the reduced costs by column."""
        form, numbers, costs = self.form, self.numbers, self.machine.costs
        extra: dict[str, Array] = {}
        if numbers is not self.stated:
            inner = np.maximum(guess.x, TINY)
            extra = form.by_variable(costs.at(numbers, inner)[1] - costs.at(self.stated, inner)[1])
        lower, upper = form.by_variable(numbers.lower), form.by_variable(numbers.upper)
        held = (form.by_variable(bounds[0]), form.by_variable(bounds[1])) if bounds else None
        verdict = self.machine.residuals.judge(
            self.parameters,
            form.by_variable(guess.x),
            form.by_constraint(guess.multipliers),
            {name: (lower[name], upper[name]) for name in lower},
            held,
            extra,
        )
        return verdict, form.columns(verdict.reduced)

    def verdict_as_lowered(self, guess: Guess, bounds: tuple[Array, Array] | None) -> tuple[Verdict, Array]:
        """Where the formulas have kinks: their smooth form, auxiliary variables included, stands for them."""
        form, numbers = self.form, self.numbers
        system = System(
            self.machine.conditions, numbers, guess.x, guess.multipliers, guess.free, np.ones(form.m, dtype=bool)
        )
        size, spread = np.maximum(system.more, system.less), system.plus + system.minus
        reduced = system.plus - system.minus
        down, up = bounds or self.left_over(guess.x, reduced)
        missing = np.where(form.relation == 0, np.abs(system.slack), np.maximum(-system.slack, 0.0))
        if numbers.present is not None:
            missing = np.where(numbers.present, missing, 0.0)
        objective = float(Point(form, numbers, guess.x).rows()[0])
        volume = max(abs(objective), float(np.sum(np.abs(guess.multipliers) * size)))
        worth = guess.multipliers * system.slack * self.machine.conditions.sign
        return Verdict(
            self.sense * objective,
            form.by_variable(reduced),
            float(np.sum(worth)),
            largest(missing / np.where(size > 0, size, 1.0)),
            largest(
                np.where(system.negligible(), 0.0, np.abs(reduced - down + up) / np.where(spread > 0, spread, 1.0))
            ),
            largest(np.abs(worth)) / volume if volume else 0.0,
        ), reduced

    # --------------------------------------------------------------------------------------------------------- answers

    def answer(self, candidates: list[Candidate]) -> Solution:
        """The solution that the best candidate is, or what keeps there from being one."""
        best, last = min(candidates, key=lambda c: c.worst), candidates[-1]
        if best.worst <= SOUND:
            return self.solution(best, Status.OPTIMAL)
        if best.gap is not None and max(best.gap, best.verdict.feasibility) <= SOUND:
            return self.solution(
                best,
                Status.OPTIMAL,
                "The duality gap certifies the objective; what hardly counts in it may be less exact.",
            )
        if last.ended is Status.ITERATION_LIMIT:
            return self.solution(last, last.ended)
        nearest = None if self.monotone else self.nearest()
        if nearest is not None and nearest.verdict.feasibility > SOUND:
            return self.solution(nearest, Status.INFEASIBLE, self.missing(nearest.guess.x))
        if nearest is not None and nearest.verdict.worst <= SOUND:  # where the objective is level, that is all
            return self.solution(nearest, Status.OPTIMAL)
        if last.ended is Status.UNBOUNDED:
            return self.solution(last, Status.UNBOUNDED)
        if last.verdict.feasibility <= SOUND and (falls := self.falls_on(last.guess.x)):
            if falls[1] >= 0.5 * falls[0]:
                return self.solution(last, Status.UNBOUNDED)
            remark = "It still improves as far out as was looked, by ever less: it may have no optimum to stop at."
            return self.solution(last, Status.FAILED, remark)
        point = self.form.by_variable(self.last)
        return self.solution(last, Status.FAILED, self.machine.domain.complaint(self.parameters, point))

    def falls_on(self, x: Array) -> tuple[float, float] | None:
        """By how much the objective falls from far out along the largest decisions to further and further still.

        None where that leaves what is feasible, or where it does not fall.
        """
        far = np.abs(x) >= 1e-3 * float(np.max(np.abs(x), initial=0.0))
        worth = []
        for factor in (1.0, 1e3, 1e6):
            at = completed(self.form, self.numbers, np.where(far, x * factor, x))
            candidate = self.judged(self.bare(at), None, Status.FAILED, "far out")
            inside = np.all((at >= self.numbers.lower) & (at <= self.numbers.upper))
            if not inside or not candidate.verdict.feasibility <= SOUND:
                return None
            worth.append(self.sense * candidate.verdict.objective)
        first, second = worth[0] - worth[1], worth[1] - worth[2]
        return (first, second) if first > 0 and second >= 0 else None

    def nearest(self) -> Candidate | None:
        """The point of least violation."""
        scales, first = self.scaled(natural(self.machine.monotone, self.numbers) if self.sized else None)
        x = least_violation(self.machine.structure, self.numbers, scales, first, {"max_iter": 3000})
        if x is None:
            return None
        return self.judged(self.bare(completed(self.form, self.numbers, x)), None, Status.INFEASIBLE, "least violation")

    def short(self, sizes: Natural) -> Solution:
        """All supply there is, where even that is not enough: what every row can have at most."""
        candidate = self.judged(self.bare(sizes.x), None, Status.INFEASIBLE, "supply at the upper bounds")
        return self.solution(candidate, Status.INFEASIBLE, self.missing(sizes.x))

    def crossed(self) -> Solution:
        """Bounds that leave a variable no value."""
        numbers = self.numbers
        names = ", ".join(self.form.column_name(int(k)) for k in np.flatnonzero(numbers.lower > numbers.upper)[:8])
        candidate = self.judged(self.bare(np.minimum(numbers.lower, numbers.upper)), None, Status.INFEASIBLE, "bounds")
        return self.solution(candidate, Status.INFEASIBLE, f"The lower bound is above the upper one: {names}.")

    def interrupted(self) -> Solution:
        """The last point looked at."""
        candidate = self.judged(self.bare(self.last), None, Status.INTERRUPTED, "Ipopt, interrupted")
        return self.solution(candidate, Status.INTERRUPTED)

    def bare(self, x: Array) -> Guess:
        """A point about which nothing is claimed."""
        return Guess(x, np.zeros(self.form.m), x > self.numbers.lower, self.form.relation == 0)

    def missing(self, x: Array) -> str:
        """`demand[video]: 2.6 where at least 3 is asked (off by 0.4)` for rows that `x` violates, the worst first."""
        form, numbers = self.form, self.numbers
        body, asked = Point(form, numbers, x).rows()[1:], -numbers.constant[1:]
        violation = np.where(form.relation == 0, np.abs(body), np.maximum(-body * form.relation, 0.0))
        violation = np.where(form.auxiliary_row | ~(violation > SOUND * np.abs(asked)), 0.0, violation)
        if numbers.present is not None:
            violation = np.where(numbers.present, violation, 0.0)
        order = np.argsort(-violation / np.where(asked != 0, np.abs(asked), 1.0), kind="stable")
        words = {1: "at least", -1: "at most", 0: "exactly"}
        parts = [
            f"{form.row_name(r)}: {body[r] + asked[r]:.6g} where {words[int(form.relation[r])]} {asked[r]:.6g} is "
            f"asked (off by {violation[r]:.6g})"
            for r in map(int, order)
            if violation[r] > 0
        ]
        shown = "; ".join(parts[:8]) + (f"; and {len(parts) - 8} more" if len(parts) > 8 else "")
        return f"At the point of least violation: {shown}."

    def solution(self, c: Candidate, status: Status, remark: str = "") -> Solution:
        """The candidate in the programme's names."""
        form, convex = self.form, self.machine.program.convex
        if status is Status.OPTIMAL and not convex:
            word = "Not convex" if convex is False else "Not known to be convex"
            remark = f"{remark} {word}: the optimum may be a local one."
        residuals = {
            "feasibility": c.verdict.feasibility,
            "stationarity": c.verdict.stationarity,
            "complementarity": c.verdict.complementarity,
        }
        if c.gap is not None:
            residuals["gap"] = c.gap
        lower, upper = _frozen(form.by_variable(c.bounds[0])), _frozen(form.by_variable(c.bounds[1]))
        return Solution(
            status,
            f"{status.sentence} {remark}".strip(),
            c.verdict.objective,
            _frozen(form.by_variable(c.guess.x)),
            _frozen(form.by_constraint(c.guess.multipliers)),
            {name: (lower[name], upper[name]) for name in lower},
            residuals,
            self.iterations,
            c.method,
        )


def _frozen(values: dict[str, Array]) -> dict[str, Array]:
    for value in values.values():
        value.flags.writeable = False
    return values
