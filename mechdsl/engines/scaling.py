"""Scales and a starting point, for programmes whose weights may lie twenty orders of magnitude apart.

Where the objective is a sum of increasing costs `f_k(x_k)` and every row only gains from more `x`, let `x_k(t)` be what
`k` gives for a cost of `t`, and `t*` the smallest `t` at which all rows hold. Then `t* <= optimal cost <= n t*`: below `t*`
some row fails at `x(t)`, and every point that costs less than `t` in each term lies below `x(t)`; and `x(t*)` is feasible
at cost `n t*`. So `x(t*)` is a strictly feasible start whose every cost is right to a factor of `n`, which scales
columns, objective and multipliers alike, one independent block at a time [ours; tests/test_engine_scaling.py].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mechdsl.engines.callbacks import Scales, Structure
from mechdsl.engines.form import Form, Numbers, Point, added
from mechdsl.engines.lowering import Positions
from mechdsl.engines.templates import Kernel
from mechdsl.evaluate import Array

__all__ = ["VANISHING", "Costs", "Supply", "completed", "supply"]

# What a cost of weight 0 is taken to be, as a share of the smallest positive one: the limit as the weight vanishes.
VANISHING = 1e-16
_ROOM = 0.25  # how far above t* the start may lie, in the log of the rows' worst ratio
_STEPS = 200


class Costs:
    """The terms of a separable objective, `f_k(x_k)`, and the inverses of its increasing summands.

    Made once; `weights` come with each call because they may be open.
    """

    def __init__(self, form: Form) -> None:
        self.n = form.n
        self.pieces: list[tuple[int, Kernel, Positions, Positions, Positions]] = []
        for number, family in enumerate(form.families):
            terms = np.flatnonzero(family.terms.rows == 0)
            if len(terms):
                source = family.terms.source[terms]
                self.pieces.append((number, family.kernel, terms, source, family.columns[0][source]))
        self.linear_terms = np.flatnonzero(form.linear.rows == 0)
        self.linear_columns = form.linear.source[self.linear_terms]
        columns = np.concatenate([self.linear_columns, *(c for *_, c in self.pieces)])
        self.counts = np.bincount(columns, minlength=self.n)
        self.separable = all(kernel.arity == 1 for _, kernel, *_ in self.pieces)
        self.increasing = self.separable and all(kernel.increasing for _, kernel, *_ in self.pieces)
        # A single power (or linear term) a column: inverses in closed form.
        self.powers = bool(np.all(self.counts <= 1)) and all(_is_power(kernel) for _, kernel, *_ in self.pieces)

    def weights(self, numbers: Numbers) -> list[Array]:
        return [numbers.linear[self.linear_terms], *(numbers.weights[f][terms] for f, _, terms, _, _ in self.pieces)]

    def at(self, numbers: Numbers, x: Array) -> tuple[Array, Array]:
        """`f_k(x_k)` and `f_k'(x_k)`."""
        weight = numbers.linear[self.linear_terms]
        value = added(self.linear_columns, weight * x[self.linear_columns], self.n)
        slope = added(self.linear_columns, weight, self.n)
        for f, kernel, terms, source, columns in self.pieces:
            factors = [q if np.ndim(q) == 0 else np.asarray(q)[source] for q in numbers.factors[f]]
            weight = numbers.weights[f][terms]
            with np.errstate(all="ignore"):
                values, carried = kernel.value([x[columns], *factors], len(columns))
                slopes, _ = kernel.slopes(carried, len(columns))
            value += added(columns, weight * values, self.n)
            slope += added(columns, weight * slopes[0], self.n)
        return value, slope

    def power_law(self, numbers: Numbers) -> tuple[Array, Array]:
        """`w_k` and `rho_k` of `f_k = w_k x_k^rho_k`; weight 0 where a column costs nothing."""
        weight, exponent = np.zeros(self.n), np.ones(self.n)
        weight[self.linear_columns] = numbers.linear[self.linear_terms]
        for f, kernel, terms, source, columns in self.pieces:
            weight[columns] = numbers.weights[f][terms]
            if kernel.template.exp.is_number:
                exponent[columns] = float(kernel.template.exp)
            else:
                q = numbers.factors[f][0]
                exponent[columns] = q if np.ndim(q) == 0 else np.asarray(q)[source]
        return weight, exponent

    def inverse(self, numbers: Numbers, cost: Array, start: Array) -> Array:
        """`x` with `f_k(x_k) - f_k(start_k) = cost_k`, by Newton's method in logarithms; inf where there is none."""
        base, _ = self.at(numbers, start)
        log_x, target = np.zeros(self.n), np.log(np.maximum(cost, 1e-300))
        low, high = np.full(self.n, -700.0), np.full(self.n, 700.0)
        for _ in range(_STEPS):
            x = np.exp(log_x)
            with np.errstate(all="ignore"):
                value, slope = self.at(numbers, start + x)
                gap = np.log(value - base) - target
                step = gap * (value - base) / (x * slope)
            below = ~(gap > 0)  # nan: too small to tell apart
            low, high = np.where(below, log_x, low), np.where(below, high, log_x)
            new = log_x - step
            new = np.where(np.isfinite(new) & (new > low) & (new < high), new, (low + high) / 2)
            done = (np.abs(gap) < 1e-9) | (high - low < 1e-9)
            log_x = np.where(done, log_x, new)
            if done.all():
                break
        return np.where(log_x > 690.0, np.inf, start + np.exp(np.minimum(log_x, 690.0)))


@dataclass(frozen=True, slots=True, eq=False)
class Supply:
    """What the `t*` argument gives.

    Args:
        numbers: with vanishing weights in the place of zeros.
        x: `x(t*)`, feasible (least infeasible where no point is).
        cost: (blocks,) a bound of each block's optimal cost: the cost of `x`.
        scales: that follow.
        short: rows that fail even at the caps (they can be met by no point), or an empty array.
    """

    numbers: Numbers
    x: Array
    cost: Array
    scales: Scales
    short: Positions


class Monotone:
    """Which rows and terms belong to the class above, as far as it can be known before the parameters are."""

    def __init__(self, structure: Structure, costs: Costs) -> None:
        form = structure.form
        self.structure, self.form, self.costs = structure, form, costs
        free = np.ones(form.n, dtype=bool)
        for block in form.blocks:
            if block.auxiliary:
                free[block.start : block.start + block.size] = False
        self.own = free
        self.possible = (
            costs.increasing
            and form.smooth
            and all(f.kernel.increasing for f in form.families)
            and not np.any((form.relation == 0) & ~form.auxiliary_row)
            and not np.any(costs.counts[~free])
        )
        sign = np.concatenate(([1], np.where(form.relation == 0, -1, form.relation)))
        self.signs = [sign[f.terms.rows] for f in form.families]
        # In the row that defines an auxiliary variable, its own coefficient is the one that may be positive.
        t = form.linear
        own_row = np.zeros(len(t.rows), dtype=bool)
        for block in form.row_blocks:
            if block.defines is not None:
                inside = (t.rows >= block.start) & (t.rows < block.start + block.size)
                own_row |= inside & (t.source >= block.defines.start) & (t.source < block.defines.start + block.defines.size)
        self.linear_sign = np.where(own_row, 1, sign[t.rows])

    def holds(self, numbers: Numbers) -> bool:
        return self.possible and bool(
            all(np.all(s * w >= 0) for s, w in zip(self.signs, numbers.weights, strict=True))
            and np.all(self.linear_sign * numbers.linear >= 0)
            and np.all(np.isfinite(numbers.lower[self.own]))
        )


def completed(form: Form, numbers: Numbers, x: Array) -> Array:
    """`x` with the auxiliary variables at what defines them."""
    for block in form.blocks:
        if not block.auxiliary:
            continue
        at = slice(block.start, block.start + block.size)
        x = x.copy()
        x[at] = 0.0
        with np.errstate(all="ignore"):
            body = Point(form, numbers, x).rows()
        found = [(r, -body[r.start : r.start + r.size]) for r in form.row_blocks if r.defines is block]
        # One row says what it is; several say what it is above (max) or below (min).
        x[at] = found[0][1]
        for r, value in found[1:]:
            x[at] = np.maximum(x[at], value) if r.constraint.relation == ">=" else np.minimum(x[at], value)
    return x


def vanishing(costs: Costs, monotone: Monotone, numbers: Numbers) -> Numbers:
    """Zero weights of costs replaced by a vanishing share of the smallest positive one (by 1 if there is none)."""
    weights = costs.weights(numbers)
    every = np.concatenate(weights)
    if np.all(every > 0):
        return numbers
    positive = every[every > 0]
    small = VANISHING * float(positive.min()) if len(positive) else 1.0
    total = added(np.concatenate([costs.linear_columns, *(c for *_, c in costs.pieces)]), every, costs.n)
    linear = numbers.linear.copy()
    spots = costs.linear_terms[(weights[0] == 0) & (total[costs.linear_columns] == 0)]
    linear[spots] = small
    changed = list(numbers.weights)
    for (f, _, terms, _, columns), weight in zip(costs.pieces, weights[1:], strict=True):
        changed[f] = changed[f].copy()
        changed[f][terms[(weight == 0) & (total[columns] == 0)]] = small
    del monotone
    return replace(numbers, weights=tuple(changed), linear=linear)


def supply(monotone: Monotone, numbers: Numbers) -> Supply:
    """`x(t*)` and the scales that follow from it."""
    form, costs, component = monotone.form, monotone.costs, monotone.structure.component
    numbers = vanishing(costs, monotone, numbers)
    blocks = int(component.max()) + 1 if form.n else 0
    own = monotone.own
    lower = np.where(own, numbers.lower, 0.0)
    if costs.powers and not lower.any():
        weight, exponent = costs.power_law(numbers)
        log_weight, slope = np.log(np.where(own, weight, 1.0)), 1.0 / exponent

        def given(log_t: Array) -> Array:
            return np.exp(np.clip((log_t[component] - log_weight) * slope, -690.0, 690.0))
    else:

        def given(log_t: Array) -> Array:
            return np.minimum(costs.inverse(numbers, np.exp(np.clip(log_t, -690.0, 690.0))[component], lower), 1e300)

    def point(log_t: Array) -> tuple[Array, Array, Array]:
        x = np.where(own, np.minimum(given(log_t), numbers.upper), 0.0)
        x = completed(form, numbers, x)
        with np.errstate(all="ignore"):
            body = Point(form, numbers, x).rows()[1:] * form.relation
        return x, body, np.zeros(0)

    need = -numbers.constant[1:] * form.relation
    needed = (need > 0) if numbers.present is None else (need > 0) & numbers.present
    row_block = _row_blocks(monotone.structure)
    log_t, x, short = _smallest(point, need, needed, row_block, blocks, given)
    cost, _ = costs.at(numbers, x)
    base, _ = costs.at(numbers, lower)
    # A block without needs costs nothing; its scale is that of one unit.
    total = added(component, np.where(own, cost - base, 0.0), blocks)
    total = np.where(total > 0, total, 1.0)
    column = np.where(x > 0, x, 1.0)
    row = 1.0 / np.where(needed, need, 1.0)
    body = Point(form, numbers, x).rows()[1:]
    auxiliary = form.auxiliary_row
    if auxiliary.any():
        for block in form.row_blocks:
            if block.defines is not None:
                at = slice(block.start - 1, block.start - 1 + block.size)
                row[at] = 1.0 / column[block.defines.start : block.defines.start + block.defines.size]
    natural = np.abs(body)
    row = np.where(needed | auxiliary, row, 1.0 / np.where(natural > 0, natural, 1.0))
    return Supply(numbers, x, total, Scales(column, row, 1.0 / total), short)


def _row_blocks(structure: Structure) -> Positions:
    """(rows,) the independent block a row belongs to (0 for a row without variables)."""
    block = np.zeros(structure.form.m, dtype=np.intp)
    n = structure.form.n
    block[structure.jacobian_rows[n:]] = structure.component[structure.jacobian_columns[n:]]
    return block


def _smallest(
    point: Any, need: Array, needed: npt.NDArray[np.bool_], row_block: Positions, blocks: int, given: Any
) -> tuple[Array, Array, Positions]:
    """The smallest `log t` of each block at which its rows hold (to `_ROOM` above), by safeguarded secants."""
    log_t = np.zeros(blocks)
    if not needed.any():
        return log_t, point(np.full(blocks, -690.0))[0], np.zeros(0, dtype=np.intp)
    low, high = np.full(blocks, -1400.0), np.full(blocks, 1400.0)
    low_ratio, slope = np.full(blocks, -np.inf), np.full(blocks, 0.7)
    busy = np.zeros(blocks, dtype=bool)
    busy[row_block[needed]] = True
    log_need = np.log(np.where(needed, need, 1.0))
    best = log_t
    previous: tuple[Array, Array] | None = None
    for _ in range(_STEPS):
        _, body, _ = point(log_t)
        with np.errstate(all="ignore"):
            ratio = np.where(needed, np.log(body + need) - log_need, np.inf)
        worst = np.full(blocks, np.inf)
        np.minimum.at(worst, row_block, ratio)
        if previous is not None:
            with np.errstate(all="ignore"):
                secant = (worst - previous[1]) / (log_t - previous[0])
            slope = np.where(np.isfinite(secant) & (secant > 1e-3), secant, slope)
        previous = (log_t, worst)
        good = worst >= 0
        high, low = np.where(good, log_t, high), np.where(good, low, log_t)
        done = ~busy | (good & (worst <= _ROOM)) | (high - low < 1e-6) | (low > 1390.0)
        if done.all():
            break
        with np.errstate(all="ignore"):
            new = log_t + (0.5 * _ROOM - worst) / slope
        inside = np.isfinite(new) & (new > low) & (new < high)
        middle = np.where(np.isinf(worst), log_t + np.where(worst < 0, 20.0, -20.0), (low + high) / 2)
        new = np.where(inside, new, np.clip(middle, low, high))
        log_t = np.where(done, np.where(good, log_t, high), new)
    del best, low_ratio, given
    x, body, _ = point(log_t)
    short = np.flatnonzero(needed & (body < -1e-9 * need))
    return log_t, x, short


def _is_power(kernel: Kernel) -> bool:
    template = kernel.template
    return bool(template.is_Pow and template.base.is_Symbol and not template.exp.free_symbols & template.base.free_symbols)
