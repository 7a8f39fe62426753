"""Natural scales and a feasible start, for programmes whose weights may lie twenty orders of magnitude apart.

Where the objective is a sum of increasing costs `f_k(x_k)` and every row only gains from more `x`, let `x_k(t)` be
what `k` gives for a cost of `t`, `t_j` the smallest `t` at which row `j` holds at `x(t)`, and `T_k` the largest `t_j`
of the rows that `k` serves. Then (a) the point `x_k(T_k)` is feasible, (b) no optimum spends more than `n T_k` on
`k`: to spend `T_k` on it and at least `T_i` on every other `i` is feasible and would cost less, and (c) the block's
optimal cost lies between its largest `t_j` and `n` times that. So `T_k` is the size of what `k` costs, `t_j` of what
row `j` is worth, each right to a factor of about `n`, however different they are [ours;
tests/test_engine_scaling.py].
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mechdsl.engines.callbacks import Scales, Structure
from mechdsl.engines.form import Form, Numbers, Point, added
from mechdsl.engines.templates import Kernel
from mechdsl.engines.terms import Positions
from mechdsl.evaluate import Array

__all__ = ["VANISHING", "Costs", "Monotone", "Natural", "balanced", "completed", "natural", "spending", "vanishing"]

VANISHING = 1e-16  # what a cost of weight 0 is taken to weigh, as a share of the smallest positive weight
_LARGEST = 600.0  # of the logarithm of a cost or an output
_SLOPE = 0.75  # of log supply in log t, where nothing better is known: between gamma/rho and 1/rho
_APART = 6.0  # between points at which supply is looked at, in log t
_MARGIN = 0.05  # by which the start is inside, in log t
_INSIDE = 1e-3  # and inside upper bounds, as a share of their distance
_ROUNDS = 60


class Costs:
    """The objective as a sum of terms in single columns, `f_k(x_k)`, where it is one."""

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
        self.columns = np.concatenate([self.linear_columns, *(c for *_, c in self.pieces)])
        self.counts = np.bincount(self.columns, minlength=self.n)
        self.separable = all(kernel.arity == 1 for _, kernel, *_ in self.pieces)
        self.increasing = self.separable and all(kernel.increasing for _, kernel, *_ in self.pieces)
        # One power (or linear term) a column: inverses in closed form.
        self.powers = bool(np.all(self.counts <= 1)) and all(_is_power(kernel) for _, kernel, *_ in self.pieces)

    def weights(self, numbers: Numbers) -> list[Array]:
        """Of the linear terms, then of each piece."""
        return [numbers.linear[self.linear_terms], *(numbers.weights[f][terms] for f, _, terms, _, _ in self.pieces)]

    def at(self, numbers: Numbers, x: Array) -> tuple[Array, Array]:
        """`f_k(x_k)` and `f_k'(x_k)`, constants left out."""
        weight = numbers.linear[self.linear_terms]
        value = added(self.linear_columns, weight * x[self.linear_columns], self.n)
        slope = added(self.linear_columns, weight, self.n)
        for f, kernel, terms, source, columns in self.pieces:
            factors = [q if np.ndim(q) == 0 else np.asarray(q)[source] for q in numbers.factors[f]]
            weight = numbers.weights[f][terms]
            values, carried = kernel.value([x[columns], *factors], len(columns))
            slopes, _ = kernel.slopes(carried, len(columns))
            value += added(columns, weight * values, self.n)
            slope += added(columns, weight * slopes[0], self.n)
        return value, slope

    def volume(self, numbers: Numbers, x: Array) -> Array:
        """The sum of the terms' absolute values, by column."""
        weight = numbers.linear[self.linear_terms]
        value = added(self.linear_columns, np.abs(weight * x[self.linear_columns]), self.n)
        for f, kernel, terms, source, columns in self.pieces:
            factors = [q if np.ndim(q) == 0 else np.asarray(q)[source] for q in numbers.factors[f]]
            values, _ = kernel.value([x[columns], *factors], len(columns))
            value += added(columns, np.abs(numbers.weights[f][terms] * values), self.n)
        return value

    def turning(self, numbers: Numbers, base: Array) -> Array:
        """Distance above `base` at which the slope turns positive; 0 where it does not turn."""
        low, high = np.full(self.n, -_LARGEST), np.full(self.n, _LARGEST)
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            rising = self.at(numbers, base + np.exp(middle))[1] > 0
            low, high = np.where(rising, low, middle), np.where(rising, middle, high)
        # A slope that is 0 because it underflows has not turned.
        falls = self.at(numbers, base + np.exp(low))[1] < 0
        found = (low > -_LARGEST) & (high < _LARGEST) & falls
        return np.where(found, np.exp((low + high) / 2), 0.0)

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

    def inverse(self, numbers: Numbers, log_cost: Array, base: Array) -> Array:
        """`x` with `f_k(x_k) - f_k(base_k) = cost_k`, by Newton's method in logarithms kept inside a bracket."""
        at_base, _ = self.at(numbers, base)
        log_x = np.zeros(self.n)
        low, high = np.full(self.n, -_LARGEST), np.full(self.n, _LARGEST)
        for _ in range(_ROUNDS):
            x = np.exp(log_x)
            value, slope = self.at(numbers, base + x)
            error = np.log(value - at_base) - log_cost
            above = error > 0
            low, high = np.where(above, low, log_x), np.where(above, log_x, high)
            new = log_x - error * (value - at_base) / (x * slope)
            new = np.where(np.isfinite(new) & (new > low) & (new < high), new, (low + high) / 2)
            done = (np.abs(error) < 1e-6) | (high - low < 1e-6)
            log_x = np.where(done, log_x, new)
            if done.all():
                break
        return base + np.exp(log_x)


class Monotone:
    """Whether a programme is of the kind above, as far as that can be known before its parameters are."""

    def __init__(self, structure: Structure, costs: Costs) -> None:
        form = structure.form
        self.structure, self.form, self.costs = structure, form, costs
        self.own = np.ones(form.n, dtype=bool)  # columns that are not auxiliary
        for block in form.blocks:
            if block.auxiliary:
                self.own[block.start : block.start + block.size] = False
        self.possible = (
            costs.increasing
            and form.smooth
            and all(f.kernel.increasing for f in form.families)
            and not np.any((form.relation == 0) & ~form.auxiliary_row)
            and not np.any(costs.counts[~self.own])
        )
        sign = np.concatenate(([1], np.where(form.relation == 0, -1, form.relation)))
        self.signs = [sign[f.terms.rows] for f in form.families]
        # In the row that defines an auxiliary variable, that variable's own coefficient is the one that is positive.
        t = form.linear
        definition = np.zeros(len(t.rows), dtype=bool)
        for rows in form.row_blocks:
            if rows.defines is not None:
                first = rows.defines.start
                inside = (t.rows >= rows.start) & (t.rows < rows.start + rows.size)
                definition |= inside & (t.source >= first) & (t.source < first + rows.defines.size)
        self.linear_sign = np.where(definition, 1, sign[t.rows])
        self.jacobian = (structure.jacobian_rows[form.n :], structure.jacobian_columns[form.n :])

    def holds(self, numbers: Numbers) -> bool:
        """Whether it is of that kind at these numbers."""
        return self.possible and bool(
            all(np.all(s * w >= 0) for s, w in zip(self.signs, numbers.weights, strict=True))
            and np.all(self.linear_sign * numbers.linear >= 0)
            and np.all(np.isfinite(numbers.lower[self.own]))
        )

    def but_for_caps(self, numbers: Numbers) -> bool:
        """Whether it would be without caps: rows that only lose from more `x`, and allow some.

        Its natural sizes are those without them: what is cheapest that serves, whether or not there is room for it.
        """
        form, t = self.form, self.form.linear
        if not (self.possible and np.all(np.isfinite(numbers.lower[self.own]))):
            return False
        if any(w.min(initial=1.0) <= 0 for w in self.costs.weights(numbers)):
            return False
        gained = [
            *((f.terms.rows, s * w) for f, s, w in zip(form.families, self.signs, numbers.weights, strict=True)),
            (t.rows, self.linear_sign * numbers.linear),
        ]
        gains, loses = (np.zeros(form.m + 1, dtype=bool) for _ in range(2))
        for rows, gain in gained:
            gains[rows[gain > 0]] = True
            loses[rows[gain < 0]] = True
        refused = form.auxiliary_row | (numbers.constant[1:] * form.relation < 0)
        return not (loses[0] or np.any(gains & loses) or np.any(loses[1:] & refused))


@dataclass(frozen=True, slots=True, eq=False)
class Natural:
    """Natural sizes at one set of numbers.

    Args:
        x: a feasible start, `x_k(T_k)` (least infeasible where rows cannot be met).
        row_cost: (rows,) `t_j`; column_cost: (columns,) `T_k`.
        scales: for Ipopt.
        needs: (rows,) what a row asks for; 0 where it asks for nothing.
        short: rows that no point within the bounds can meet.
        floor: (columns,) outputs that meet rows at a cost too small to be a number (`x^0.01 >= 0.1`); None for none.
    """

    x: Array
    row_cost: Array
    column_cost: Array
    scales: Scales
    needs: Array
    short: Positions
    floor: Array | None

    @property
    def spread(self) -> float:
        """The largest ratio between natural costs."""
        costs = self.row_cost[self.needs > 0]
        return float(costs.max() / costs.min()) if len(costs) else 1.0


def completed(form: Form, numbers: Numbers, x: Array) -> Array:
    """`x` with the auxiliary variables at what defines them."""
    for block, parts in form.definitions:
        point = Point(form, numbers, x)
        values = -point.part(parts[0])
        for part in parts[1:]:  # several rows say what it is above (max) or below (min)
            choose = np.maximum if part.rows.constraint.relation == ">=" else np.minimum
            values = choose(values, -point.part(part))
        x = x.copy()
        x[block.start : block.start + block.size] = values
    return x


def vanishing(form: Form, costs: Costs, numbers: Numbers, own: npt.NDArray[np.bool_]) -> Numbers:
    """Costs of weight 0 replaced by a vanishing share of the smallest positive one (by 1 where there is none)."""
    weights = costs.weights(numbers)
    if all(w.min(initial=1.0) > 0 for w in weights):
        return numbers
    every = np.concatenate(weights)
    positive = every[every > 0]
    small = VANISHING * float(positive.min()) if len(positive) else 1.0
    free = own & (added(costs.columns, every, costs.n) == 0)
    linear = numbers.linear.copy()
    linear[costs.linear_terms[free[costs.linear_columns]]] = small
    changed = list(numbers.weights)
    for f, _, terms, _, columns in costs.pieces:
        changed[f] = changed[f].copy()
        changed[f][terms[free[columns]]] = small
    return form.reweighted(numbers, changed, linear)


def natural(monotone: Monotone, numbers: Numbers) -> Natural:
    """The sizes `t_j`, `T_k`, the start `x(T)` and the scales that follow."""
    form = monotone.form
    given = _output(monotone, numbers)
    needs = -numbers.constant[1:] * form.relation
    needs = np.where(needs > 0, needs, 0.0)
    if numbers.present is not None:
        needs = np.where(numbers.present, needs, 0.0)
    needy = np.flatnonzero(needs > 0)
    log_needs = np.log(needs[needy])
    all_needy = len(needy) == form.m

    def supplied(log_t: Array | float) -> tuple[Array, Array, Array]:
        x = completed(form, numbers, given(log_t))
        body = Point(form, numbers, x).rows()[1:]
        supply = body * form.relation + needs
        return x, body, np.log(supply if all_needy else supply[needy]) - log_needs

    row_log = np.zeros(form.m)
    row_log[needy], met = _smallest(supplied, len(needy))
    column_log = _served(monotone, row_log, needy)
    x, body, ratio = supplied(column_log + _MARGIN)
    for _ in range(_ROUNDS):
        if not met.all() or np.all(ratio > 0):
            break
        # The interpolation was short: raise what serves the rows that fail.
        row_log[needy] += np.where(ratio > 0, 0.0, 1.2 * _MARGIN - ratio / _SLOPE)
        column_log = _served(monotone, row_log, needy)
        x, body, ratio = supplied(column_log + _MARGIN)
    short = needy[:0]
    if not met.all():
        # Not even near the upper bounds: it is for the bounds themselves to say.
        x = completed(form, numbers, np.where(monotone.own, np.minimum(numbers.upper, np.exp(_LARGEST)), 0.0))
        body = Point(form, numbers, x).rows()[1:]
        short = needy[~((body * form.relation)[needy] >= -1e-12 * needs[needy])]
    if not np.all(ratio > 0):  # at bounds: nothing is worth more than all of what may serve it
        full = _all_there_is(monotone, numbers)
        column_log = np.minimum(column_log, full)
        for row in needy:
            row_log[row] = min(row_log[row], float(np.max(full[_serves(monotone, np.array([row]))], initial=-np.inf)))
    row_cost, column_cost = np.exp(row_log), np.exp(column_log)
    floor = None
    if np.any(row_log[needy] <= 1.0 - _LARGEST):
        least = needy[row_log[needy] <= 1.0 - _LARGEST]
        floor = np.where(monotone.own & _serves(monotone, least), given(1.0 - _LARGEST), 0.0)
    return Natural(x, row_cost, column_cost, _scales(monotone, numbers, x, column_cost, needs), needs, short, floor)


def _all_there_is(monotone: Monotone, numbers: Numbers) -> Array:
    """(columns,) the logarithm of what an output costs at its upper bound."""
    bounded = np.isfinite(numbers.upper) & (numbers.upper > 0) & monotone.own
    cost = monotone.costs.volume(numbers, np.where(bounded, numbers.upper, 1.0))
    return np.where(bounded & (cost > 0), np.log(np.where(cost > 0, cost, 1.0)), np.inf)


def spending(monotone: Monotone, numbers: Numbers, sizes: Natural, share: float) -> Array:
    """(columns,) the outputs that each cost this share of the largest natural cost of their block."""
    structure = monotone.structure
    largest = np.zeros(int(structure.component.max(initial=-1)) + 1)
    np.maximum.at(largest, structure.row_component, np.where(sizes.needs > 0, sizes.row_cost, 0.0))
    cost = np.log(np.maximum(share * largest[structure.component], np.exp(1.0 - _LARGEST)))
    return np.where(monotone.own, _output(monotone, numbers)(cost), 0.0)


def _output(monotone: Monotone, numbers: Numbers) -> Callable[[Array | float], Array]:
    """`log t -> x(t)`, within the bounds; auxiliary columns are left to be completed."""
    costs, own = monotone.costs, monotone.own
    lower = np.where(own, numbers.lower, 0.0)
    upper = np.where(own, numbers.upper, 1.0)
    upper = np.where(np.isfinite(upper), upper - _INSIDE * (upper - lower), upper)
    if costs.powers and not lower.any():
        weight, exponent = costs.power_law(numbers)
        log_weight, slope = np.log(np.where(own, weight, 1.0)), 1.0 / exponent
        return lambda log_t: np.minimum(
            np.exp(np.minimum(np.maximum((log_t - log_weight) * slope, -_LARGEST), _LARGEST)), upper
        )
    return lambda log_t: np.minimum(costs.inverse(numbers, np.broadcast_to(log_t, (costs.n,)), lower), upper)


def _smallest(
    supplied: Callable[[float], tuple[Array, Array, Array]], rows: int
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """For each row the `log t` from which it holds, interpolated between points looked at; and whether there is one."""
    if not rows:
        return np.zeros(0), np.zeros(0, dtype=bool)
    looked: dict[float, Array] = {}

    def look(log_t: float) -> Array:
        log_t = min(max(log_t, -_LARGEST), _LARGEST)
        if log_t not in looked:
            looked[log_t] = supplied(log_t)[2]
        return looked[log_t]

    ratio = look(0.0)
    guess = -np.clip(np.where(np.isfinite(ratio), ratio, 0.0), -_LARGEST, _LARGEST) / _SLOPE
    look(float(guess.max()))
    look(float(guess.min()))
    for way in (1.0, -1.0):  # outwards until every row holds at the top and none at the bottom
        for _ in range(_ROUNDS):
            end, last = sorted(looked, reverse=way > 0)[:2] if len(looked) > 1 else (0.0, 0.0)
            left = -way * looked[end]  # what rows still lack at the top, or have too much at the bottom
            if np.all(left <= 0) if way > 0 else np.all(left < 0):
                break
            if abs(end) >= _LARGEST:
                break
            worst = int(np.argmax(np.where(np.isfinite(left), left, -np.inf)))
            pace = (looked[end][worst] - looked[last][worst]) / (end - last) if end != last else _SLOPE
            stride = left[worst] / (pace if 0 < pace < _SLOPE else _SLOPE) if np.isfinite(left[worst]) else 50.0
            look(end + way * min(max(1.1 * float(stride), 1.0), 100.0))
    for _ in range(_ROUNDS):  # and between, where a row changes in a wide gap
        points = sorted(looked)
        wide = [
            (a + b) / 2
            for a, b in itertools.pairwise(points)
            if b - a > _APART and np.any((looked[a] < 0) & (looked[b] >= 0))
        ]
        if not wide:
            break
        for log_t in wide:
            look(log_t)
    points = sorted(looked)
    table = np.array([looked[p] for p in points])
    holds = table >= 0
    met: npt.NDArray[np.bool_] = np.any(holds, axis=0)
    first = np.where(met, holds.argmax(axis=0), len(points) - 1)
    before = np.maximum(first - 1, 0)
    each = np.arange(rows)
    at, left, right, a, b = np.array(points), table[before, each], table[first, each], before, first
    share = np.where(np.isfinite(left) & (right > left), -left / (right - left), 1.0)
    return at[a] + np.clip(share, 0.0, 1.0) * (at[b] - at[a]), met


def _served(monotone: Monotone, row_log: Array, needy: Positions, otherwise: float | None = None) -> Array:
    """(columns,) `log T_k`: the largest `log t_j` of the rows a column serves, directly or through auxiliary ones."""
    form = monotone.form
    rows, columns = monotone.jacobian
    of_row = np.full(form.m, -np.inf)
    of_row[needy] = row_log[needy]
    result = np.full(form.n, -np.inf)
    np.maximum.at(result, columns, of_row[rows])
    for block, parts in reversed(form.definitions):
        for part in parts:
            at = slice(part.rows.start - 1, part.rows.start - 1 + part.rows.size)
            of_row[at] = result[block.start : block.start + block.size]
            inside = (rows >= at.start) & (rows < at.stop)
            np.maximum.at(result, columns[inside], of_row[rows[inside]])
    if otherwise is None:  # what serves no row costs no more than the cheapest one
        otherwise = float(np.min(row_log[needy])) if len(needy) else 0.0
    return np.where(np.isfinite(result), result, otherwise)


def _serves(monotone: Monotone, rows: Positions) -> npt.NDArray[np.bool_]:
    """(columns,) those that stand in the rows, directly or through auxiliary ones."""
    log = np.full(monotone.form.m, -np.inf)
    log[rows] = 0.0
    return np.asarray(_served(monotone, log, rows, -np.inf) == 0.0)


def _scales(monotone: Monotone, numbers: Numbers, x: Array, column_cost: Array, needs: Array) -> Scales:
    """Columns by the start, rows by what they ask for (or allow), each block's objective by its cost at the start."""
    form, component = monotone.form, monotone.structure.component
    cost = added(component, np.where(monotone.own, column_cost, 0.0), int(component.max(initial=-1)) + 1)
    column = np.where(x > 0, x, 1.0)
    row = needs
    if needs.min(initial=1.0) <= 0:
        body, allowed = Point(form, numbers, x).rows()[1:] * form.relation, numbers.constant[1:] * form.relation
        size = np.where((allowed > 0) & (body < allowed), allowed, np.where(body != 0, np.abs(body), 1.0))
        row = np.where(needs > 0, needs, size)
    if form.definitions:
        row = row.copy()
        for block, parts in form.definitions:
            for part in parts:
                row[part.rows.start - 1 : part.rows.start - 1 + block.size] = column[
                    block.start : block.start + block.size
                ]
    return Scales(column, 1.0 / row, 1.0 / np.where(cost > 0, cost, 1.0))


def _is_power(kernel: Kernel) -> bool:
    template = kernel.template
    return bool(template.is_Pow and template.base.is_Symbol and template.base not in template.exp.free_symbols)


def balanced(costs: Costs, structure: Structure, numbers: Numbers) -> tuple[Scales, Array]:
    """Scales and a first point for any other programme.

    A column in which a separable objective has a turning point (costs against values) is scaled by that point; all
    others start one unit inside their bounds.
    """
    form = structure.form
    lower, upper = numbers.lower, numbers.upper
    x = np.where(np.isfinite(lower), lower + np.minimum(1.0, (upper - lower) / 2), np.minimum(0.0, upper - 1.0))
    column, size = np.ones(form.n), np.ones(form.n)
    if costs.separable and len(costs.pieces) + len(costs.linear_terms):
        at = np.where(np.isfinite(lower), lower, 0.0)
        turn = costs.turning(numbers, at)
        inside = (turn > 0) & (at + turn < upper) & (costs.counts > 0)
        column = np.where(inside, turn, column)
        x = np.where(inside, at + turn, x)
        worth = costs.volume(numbers, x)
        size = np.where(inside & (worth > 0), worth, 0.0)
    x = completed(form, numbers, np.clip(x, lower, upper))
    blocks = int(structure.component.max(initial=-1)) + 1
    total = added(structure.component, size, blocks)
    total = np.where(total > 0, total, _steepest(structure, numbers, column, blocks))
    return Scales(column, np.ones(form.m), 1.0 / np.where(total > 0, total, 1.0)), x


def _steepest(structure: Structure, numbers: Numbers, column: Array, blocks: int) -> Array:
    """(blocks,) the largest linear cost of a scaled unit in each: what a block is worth that has no turning point."""
    linear = structure.form.linear
    stated = linear.rows == 0
    columns = linear.source[stated]
    found = np.zeros(blocks)
    np.maximum.at(found, structure.component[columns], np.abs(numbers.linear[stated]) * column[columns])
    return found
