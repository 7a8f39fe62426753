"""Thousands of related convex programmes at once, each with its certificate; the few without one go to Ipopt.

The machine code (`batch.c`) proposes, block by block and a thread a core; what it proposes is judged by residuals from
the programme's own formulas and by a duality gap, exactly as a single solution is. Blocks are the same whatever the
number of threads, so results are.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mechdsl.engines.batch_layout import Batchable, Refusal, batchable
from mechdsl.engines.batch_machine import Loaded, compiled, machine_code
from mechdsl.engines.cells import Cells, Vertices
from mechdsl.engines.optimum import Compiled, compile_optimum
from mechdsl.engines.processes import NoProcessError, Processes, processors
from mechdsl.engines.residuals import Residuals, Verdicts, judged_together
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.program import Optimum, Solution, Status

__all__ = ["Batch", "BatchSolution", "compile_batch"]

FEW = 1000  # problems for which machine code that is not there yet is not waited for
MANY = 200  # problems that are worth a process of their own, where they are solved one at a time
CERTIFIED = 1e-9  # residuals and gap up to which a point is taken
SOUND = 1e-6  # and what `optimal` means for one found by Ipopt
_BLOCK_ENTRIES = 40_000  # terms in a block: its arrays stay in the cache
_BLOCK_MOST = 4096
_ALONE, _EACH = 32, 50  # answers a call that a linear programme's cells are learnt from: some, and one for so many
_ROUNDS = 12  # of starts solved alone, where none is known beforehand

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class BatchSolution:
    """What was found at N sets of parameter values; every array has a leading axis of N. NaN where nothing was.

    Args:
        values: name of variable -> (N, *shape).
        multipliers: name of constraint -> (N, *shape), derivative of the minimised objective in the right side.
        objective: (N,) in the programme's own sense and units.
        gap: (N,) relative duality gap, a rigorous bound; NaN where the objective's form gives none.
        residuals: `feasibility`, `stationarity`, `complementarity` -> (N,).
        certified: (N,) whether residuals (and the gap, where there is one) are within tolerance.
        fallbacks: how many were solved one at a time because the batch did not certify them.
        method: how, in words.
    """

    values: Mapping[str, Array]
    multipliers: Mapping[str, Array]
    objective: Array
    gap: Array
    residuals: Mapping[str, Array]
    certified: Mask
    fallbacks: int
    method: str


def compile_batch(program: Optimum, engine: Compiled | None = None) -> Batch:
    """The programme ready to be solved at many parameter values at once.

    Args:
        program: any; what the batch engine cannot take (not convex, kinks, very large) it solves one at a time.
        engine: the same programme compiled for single solves, if it is at hand.
    """
    return Batch(program, engine or compile_optimum(program))


class Batch:
    """A programme ready to be solved at many parameter values. Made by `compile_batch`.

    Attributes:
        refusal: why it is solved one at a time after all; None where it is not.
    """

    def __init__(self, program: Optimum, engine: Compiled) -> None:
        self.program, self.engine = program, engine
        laid = batchable(engine.machine)
        self.refusal = laid.reason if isinstance(laid, Refusal) else None
        self._laid = laid if isinstance(laid, Batchable) else None
        self._ready: _Ready | None = None

    def solve(
        self, parameters: Mapping[Quantity, Array], *, related: bool = False, threads: int | None = None
    ) -> BatchSolution:
        """The optima at N sets of values of the open parameters.

        Args:
            parameters: open quantity -> (N, *shape).
            related: whether each problem is near to the one before, so that its solution is a good start.
            threads: at most; as many as there are cores if None. It changes how soon the answer comes, not what it is.

        Raises:
            ValueError: a parameter is missing or of the wrong shape.
        """
        given = self._checked(parameters)
        count = len(next(iter(given.values()))) if given else 1
        result = _Result(self, count)
        ready = self.loaded() if count > FEW or compiled() else None
        if ready is None:
            result.one_by_one(given, np.arange(count))
            return result.solution(count, "no batch")
        workers = threads or processors()
        costs = ready.take_known(given, count, result)
        left = np.flatnonzero(~result.certified)
        if ready.monotone(given):
            ready.run(given, left, related, None, result, workers)
        else:
            ready.spread(given, count, result, workers)
        if costs is not None:
            ready.learn(given, costs, left, result)
        lost = np.flatnonzero(~(result.certified | result.asked))
        result.one_by_one(given, lost)
        return result.solution(int(result.asked.sum()), "in one batch")

    def loaded(self) -> _Ready | None:
        """The machine code with this programme; None where it is solved one at a time."""
        if self._ready is None and self._laid is not None:
            library = machine_code()
            if library is None:
                self.refusal = "there is no C compiler to make the batch engine's machine code with"
                self._laid = None
                return None
            self._ready = _Ready(self._laid, library, self.engine)
        return self._ready

    def _checked(self, parameters: Mapping[Quantity, Array]) -> dict[Quantity, Array]:
        values = {}
        for quantity in self.program.parameters:
            if quantity not in parameters:
                raise ValueError(f"no values for '{quantity.name}'")
            value = np.ascontiguousarray(parameters[quantity], dtype=np.float64)
            if value.ndim != len(quantity.shape) + 1 or value.shape[1:] != quantity.shape:
                raise ValueError(f"'{quantity.name}' has shape {value.shape}, not (N, *{quantity.shape})")
            values[quantity] = value
        if len({len(v) for v in values.values()}) > 1:
            raise ValueError("the parameters do not agree on the number of problems")
        return values


class _Result:
    """Arrays under way."""

    def __init__(self, batch: Batch, count: int) -> None:
        program, self.engine = batch.program, batch.engine
        self.values = {v.name: np.full((count, *v.quantity.shape), np.nan) for v in program.variables}
        self.multipliers = {c.name: np.full((count, *c.shape), np.nan) for c in program.constraints}
        self.residuals = {n: np.full(count, np.nan) for n in ("feasibility", "stationarity", "complementarity")}
        self.objective, self.gap = np.full(count, np.nan), np.full(count, np.nan)
        self.certified = np.zeros(count, dtype=bool)
        self.asked = np.zeros(count, dtype=bool)  # one at a time

    def one_by_one(self, parameters: Mapping[Quantity, Array], which: Places) -> None:
        """Solve some by the path for one, in processes where there are many."""
        self.asked[which] = True
        sound = [n for n in map(int, which) if all(np.isfinite(table[n]).all() for table in parameters.values())]
        given = [{q: table[n] for q, table in parameters.items()} for n in sound]
        for n, found in zip(sound, _solved(self.engine, given), strict=True):
            if found.status is Status.OPTIMAL:
                self.take(n, found)

    def take(self, n: int, found: Solution) -> None:
        for name, value in found.values.items():
            self.values[name][n] = value
        for name, value in found.multipliers.items():
            self.multipliers[name][n] = value
        for name in self.residuals:
            self.residuals[name][n] = found.residuals[name]
        self.objective[n] = found.objective
        self.gap[n] = found.residuals.get("gap", np.nan)
        worst = max(found.residuals[name] for name in self.residuals)
        self.certified[n] = worst <= SOUND or max(self.gap[n], found.residuals["feasibility"]) <= SOUND

    def judged(self, block: Places, judged: _Judged, good: Mask) -> None:
        """Take those of a block that are good and whose residuals, and gaps where there are any, are small."""
        verdict = judged.verdict
        good = good & ~(judged.gap > CERTIFIED)
        for figures in (verdict.feasibility, verdict.stationarity, verdict.complementarity):
            good &= figures <= CERTIFIED  # NaN fails
        for kept, new in ((self.values, judged.point), (self.multipliers, judged.prices)):
            for name, value in new.items():
                kept[name][block[good]] = value[good]
        for name in self.residuals:
            self.residuals[name][block[good]] = getattr(verdict, name)[good]
        self.objective[block[good]] = verdict.objective[good]
        self.gap[block[good]] = judged.gap[good]
        self.certified[block] = good

    def solution(self, fallbacks: int, method: str) -> BatchSolution:
        if fallbacks:
            method += f", {fallbacks} one at a time"
        return BatchSolution(
            self.values, self.multipliers, self.objective, self.gap, self.residuals, self.certified, fallbacks, method
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Points in the programme's names, with their residuals and gaps."""

    point: Mapping[str, Array]
    prices: Mapping[str, Array]
    verdict: Verdicts
    gap: Array


class _Ready:
    """The machine code loaded with a programme, and the formulas that judge it."""

    def __init__(self, laid: Batchable, library: object, engine: Compiled) -> None:
        machine = engine.machine
        self.laid, self.form = laid, machine.form
        self.program = machine.program
        self.code = Loaded(laid.layout, laid.numbers, laid.open_at, library)
        self.residuals = Residuals(machine.program, draws=True)
        self.machine = machine
        self.cells: Cells | None = None
        self.looked = False
        terms = len(laid.numbers)
        self.size = int(min(max(_BLOCK_ENTRIES // max(1, terms), 16), _BLOCK_MOST))

    def monotone(self, parameters: Mapping[Quantity, Array]) -> bool:
        """Whether the first problem is of the kind that has a natural point to start from."""
        first = {q: table[0] for q, table in parameters.items()}
        return self.machine.monotone.holds(self.form.at(first))

    def run(
        self,
        parameters: Mapping[Quantity, Array],
        which: Places,
        related: bool,
        start: tuple[Array, Array] | None,
        result: _Result,
        workers: int,
    ) -> None:
        """Solve and judge some of the problems, block by block."""
        blocks = [which[at : at + self.size] for at in range(0, len(which), self.size)]
        if min(workers, len(blocks)) <= 1:
            for block in blocks:
                self.solve(parameters, block, related, start, result)
            return
        with ThreadPoolExecutor(min(workers, len(blocks))) as pool:
            for _ in pool.map(lambda block: self.solve(parameters, block, related, start, result), blocks):
                pass

    def take_known(self, parameters: Mapping[Quantity, Array], count: int, result: _Result) -> Array | None:
        """A linear programme's vertices where a known cell holds the costs, and all costs (N, columns); else None."""
        if not self.looked and count:
            self.looked = True
            self.cells = Cells.of(self.form, self.form.at({q: table[0] for q, table in parameters.items()}))
        if self.cells is None:
            return None
        costs = self._costs(parameters, count)
        self._take(parameters, np.arange(count), self.cells.at(costs), result)
        return costs

    def learn(self, parameters: Mapping[Quantity, Array], costs: Array, fresh: Places, result: _Result) -> None:
        """Cells from what was just found, then from a few solved alone, until they hold what is left."""
        cells = self.cells
        assert cells is not None
        found = fresh[result.certified[fresh]]
        if len(found):
            shown = np.concatenate([table[found].reshape(len(found), -1) for table in result.values.values()], axis=1)
            _, first = np.unique(np.round(shown, 6), axis=0, return_index=True)
            for place in found[first[:_ALONE]]:
                self._learn(cells, costs, int(place), result)
        for _ in range(_ALONE + len(costs) // _EACH):
            left = np.flatnonzero(~(result.certified | result.asked))
            self._take(parameters, left, cells.at(costs[left]), result)
            left = left[~result.certified[left]]
            if not len(left):
                return
            seed = int(left[len(left) // 2])
            result.one_by_one(parameters, np.array([seed]))
            if not result.certified[seed]:
                return
            self._learn(cells, costs, seed, result)

    def _learn(self, cells: Cells, costs: Array, place: int, result: _Result) -> None:
        at = {name: value[place] for name, value in result.values.items()}
        prices = {name: value[place] for name, value in result.multipliers.items()}
        cells.learn(self.form.columns(at), self.form.rows(prices), costs[place])

    def _costs(self, parameters: Mapping[Quantity, Array], count: int) -> Array:
        """(N, columns) of the minimised objective: its slopes."""
        nowhere = np.zeros((count, self.form.n))
        with np.errstate(all="ignore"):
            verdict = judged_together(
                self.residuals, parameters, self._by_variable(nowhere),
                self._by_constraint(np.zeros((count, self.form.m))), self._bounds(parameters, count),
            )  # fmt: skip
        costs = np.zeros((count, self.form.n))
        for b in self.form.blocks:
            costs[:, b.start : b.start + b.size] = verdict.reduced[b.variable.name].reshape(-1, b.size)
        return costs

    def _take(self, parameters: Mapping[Quantity, Array], which: Places, found: Vertices, result: _Result) -> None:
        places = which[found.known]
        if len(places):
            given = {q: table[places] for q, table in parameters.items()}
            judged = self.judged(given, *(t[found.known] for t in (found.x, found.multipliers, found.low, found.high)))
            result.judged(places, judged, np.ones(len(places), dtype=bool))

    def spread(self, parameters: Mapping[Quantity, Array], count: int, result: _Result, workers: int) -> None:
        """Where no start is known beforehand: from one solved alone to its neighbours, and again where that fails."""
        for _ in range(_ROUNDS):
            left = np.flatnonzero(~(result.certified | result.asked))
            if not len(left):
                return
            seed = left[len(left) // 2]
            result.one_by_one(parameters, np.array([seed]))
            if result.certified[seed]:
                at = {name: value[seed] for name, value in result.values.items()}
                prices = {name: value[seed] for name, value in result.multipliers.items()}
                start = (self.form.columns(at), self.form.rows(prices))
                self.run(parameters, left[left != seed], True, start, result, workers)

    def solve(
        self,
        parameters: Mapping[Quantity, Array],
        block: Places,
        related: bool,
        start: tuple[Array, Array] | None,
        result: _Result,
    ) -> None:
        """Solve and judge one block."""
        given = {q: table[block] for q, table in parameters.items()}
        opened = self.laid.opened(given, len(block))
        x, multipliers, low, high, status = self.code.solve(opened, related, start)
        judged = self.judged(given, x, multipliers, low, high)
        good = (status == 0) & np.isfinite(opened).all(axis=1)
        good &= judged.gap <= CERTIFIED if start is None else ~(judged.gap > CERTIFIED)
        result.judged(block, judged, good)

    def judged(self, given: Mapping[Quantity, Array], x: Array, multipliers: Array, low: Array, high: Array) -> _Judged:
        """Points with their residuals and duality gaps (`gap.duality_gap`).

        Args:
            given: values of the open parameters.
            x: (N, columns).
            multipliers: (N, rows).
            low: (N, columns) lower ends of a box that holds every optimum.
            high: (N, columns) its upper ends.
        """
        count = len(x)
        point, highs, lows = (self._by_variable(table) for table in (x, high, low))
        prices = self._by_constraint(multipliers)
        with np.errstate(all="ignore"):
            verdict = judged_together(self.residuals, given, point, prices, self._bounds(given, count))
            gain = np.array(verdict.slack_worth)
            for name, reduced in verdict.reduced.items():
                ends = np.maximum(reduced * (point[name] - lows[name]), reduced * (point[name] - highs[name]))
                ends = np.where(reduced == 0, 0.0, np.maximum(ends, 0.0))
                gain += ends.reshape(count, -1).sum(axis=1)
            size = np.abs(verdict.objective)
            gap = np.where(size > 0, np.maximum(gain, 0.0) / size, np.where(gain <= 0, 0.0, np.inf))
            gap = np.where(np.isfinite(gain), gap, np.nan)  # no box: no bound is known
        return _Judged(point, prices, verdict, gap)

    def _by_variable(self, columns: Array) -> dict[str, Array]:
        return {
            b.variable.name: columns[:, b.start : b.start + b.size].reshape(-1, *b.shape)
            for b in self.form.blocks
            if not b.auxiliary
        }

    def _by_constraint(self, rows: Array) -> dict[str, Array]:
        tables = {}
        for block in self.form.row_blocks:
            if not block.auxiliary:
                shape = block.constraint.shape
                table = np.zeros((len(rows), int(np.prod(shape))))
                table[:, block.members] = rows[:, block.start - 1 : block.start - 1 + block.size]
                tables[block.constraint.name] = table.reshape(-1, *shape)
        return tables

    def _bounds(self, given: Mapping[Quantity, Array], count: int) -> dict[str, tuple[Array, Array]]:
        values = {**self.program.data, **given}
        bounds = {}
        for v in self.program.variables:
            low, high = (evaluate(formula, values, v.letters) for formula in (v.lower, v.upper))
            bounds[v.name] = (np.broadcast_to(low, (count, *v.quantity.shape)), np.asarray(high))
        return bounds


def _solved(engine: Compiled, given: Sequence[Mapping[Quantity, Array]]) -> Sequence[Solution]:
    """Solutions one after the other, each from the one before; in forked processes where there are many.

    Forking needs no second start of the caller's script, but is safe only where no other thread runs.
    """
    import multiprocessing
    import threading

    workers = min(processors(), len(given) // MANY)
    alone = multiprocessing.parent_process() is None and threading.active_count() == 1
    if workers < 2 or not alone or sys.platform != "linux":
        return _in_turn(engine, given)
    cuts = [n * len(given) // workers for n in range(workers + 1)]
    try:
        with Processes(partial(_elsewhere, engine.program, given), workers, "fork") as beside:
            shares = [beside.submit(slice(*ends)) for ends in pairwise(cuts)]
            while not all(share.done() for share in shares):
                beside.first_done()
            return [found for share in shares for found in share.result()]
    except NoProcessError:  # ended from outside: this one is left
        return _in_turn(engine, given)


def _elsewhere(program: Optimum, given: Sequence[Mapping[Quantity, Array]], share: slice) -> Sequence[Solution]:
    return _in_turn(compile_optimum(program), given[share])


def _in_turn(engine: Compiled, given: Sequence[Mapping[Quantity, Array]]) -> Sequence[Solution]:
    start: Solution | None = None
    solutions = []
    for parameters in given:
        found = engine.solve(parameters, start)
        if found.status is not Status.OPTIMAL and start is not None:
            found = engine.solve(parameters)  # a far neighbour may be a bad start
        if found.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        if found.status is Status.OPTIMAL:
            start = found
        solutions.append(found)
    return solutions
