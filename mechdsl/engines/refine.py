"""From a good point to the last digit: Newton's method on the optimality conditions, in logarithms.

Unknowns are `log x_k` of the positive variables and `log` of the rows' multipliers; every condition says that one sum of
positive terms equals another, and is taken as the difference of their logarithms. Monomials thereby become linear, the
system has entries of order 1 however far weights lie apart, and every component comes out to full relative accuracy,
whatever its share in the objective [ours; tests/test_engine_refine.py].

`settle` solves the conditions of a guessed active set and flips what proves wrong; `follow` needs no guess: it follows
the central path, each barrier weighed by the natural cost of its row or column, where no single barrier parameter could
serve costs of different orders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mechdsl.engines.callbacks import Structure
from mechdsl.engines.form import Form, Numbers, Point, added
from mechdsl.engines.lowering import Positions
from mechdsl.evaluate import Array

__all__ = ["TINY", "Barrier", "Guess", "Refinement"]

Mask = npt.NDArray[np.bool_]
Some = slice | Positions

TINY = 1e-290  # where reduced costs of variables at 0 are taken: an optimum below it is 0
_LONGEST = 30.0  # of a step, in the logarithm of any unknown
_PROXIMAL = 1e-9  # keeps the system regular where the conditions leave freedom (linear programmes): the nearest solution
_CERTAIN = 20.0  # a multiplier that a step would take this many times below 0 is not one
_FLIPS = 4  # of one row or column, before the guess is given up
_LAST = 1e-9  # error from which one more step is the last
_DENSE = 4_000_000  # entries of the Jacobian up to which it is held as a dense matrix


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """A point with its multipliers and the set taken to be active.

    Args:
        x: (columns,); multipliers: (rows,) derivative of the minimised objective in the right side.
        free: (columns,) not at a bound; active: (rows,).
        error: largest relative residual of that set's conditions; inf if the set has proved wrong or is unknown.
        system: the conditions there, if they have been worked out.
    """

    x: Array
    multipliers: Array
    free: Mask
    active: Mask
    error: float = float("inf")
    system: System | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Barrier:
    """`multiplier * slack = mu * row` for each row, `multiplier * distance = mu * column` for each bound.

    Args:
        row, column: natural costs.
    """

    mu: float
    row: Array
    column: Array


class Refinement:
    """Newton's method on a form; its index arrays are made once."""

    def __init__(self, structure: Structure) -> None:
        form = structure.form
        self.form = form
        slots = [(f, f.columns[a][f.terms.source]) for f in form.families for a in range(f.kernel.arity)]
        t = form.linear
        self.rows = np.concatenate([*(f.terms.rows for f, _ in slots), t.rows])
        self.columns = np.concatenate([*(c for _, c in slots), t.source])
        self.value_rows = np.concatenate([*(f.terms.rows for f in form.families), t.rows])
        # The contributions to rows proper, the objective's left out.
        inner = np.flatnonzero(self.rows > 0)
        self.inner: Any = slice(int(inner[0]), int(inner[-1]) + 1) if len(inner) and inner[-1] - inner[0] + 1 == len(
            inner) else inner
        self.inner_rows, self.inner_columns = self.rows[self.inner] - 1, self.columns[self.inner]
        self.inner_key = self.inner_rows * form.n + self.inner_columns
        self.dense = form.n * form.m <= _DENSE
        # Second derivatives: for each pair of slots, the contributions it changes and the columns it changes them with.
        start = np.cumsum([0, *(len(f.terms.rows) for f, _ in slots)])
        self.curves: list[tuple[int, int, slice, Positions]] = []
        slot = 0
        for number, family in enumerate(form.families):
            for p, (a, b) in enumerate(family.kernel.pairs):
                for one, other in {(a, b), (b, a)}:
                    at = slice(int(start[slot + one]), int(start[slot + one + 1]))
                    self.curves.append((number, p, at, family.columns[other][family.terms.source]))
            slot += family.kernel.arity
        self.separable = all(f.kernel.arity == 1 for f in form.families)
        none = np.zeros(0, dtype=np.intp)
        self.curve_rows = np.concatenate([none, *(self.columns[at] for _, _, at, _ in self.curves)])
        self.curve_columns = np.concatenate([none, *(other for *_, other in self.curves)])
        self.flexible = form.relation != 0  # rows that may be inactive
        self.sign = np.where(form.relation == 0, 1, form.relation)

    def settle(self, numbers: Numbers, guess: Guess, steps: int, tolerance: float) -> Guess:
        """The solution of the conditions for the active set nearest to the guess; `error` says whether there is one.

        At most `steps` Newton steps. A row is dropped when the step makes its multiplier negative, taken in when it is
        violated; a column is held at a bound when it crosses it, freed when its reduced cost has the wrong sign.
        """
        form = self.form
        x, multipliers, free, active = guess.x, guess.multipliers, guess.free.copy(), guess.active.copy()
        active |= ~self.flexible
        if numbers.present is not None:
            active &= numbers.present
        memory = np.where(x > 0, x, 1.0)
        flips = np.zeros(form.n + form.m, dtype=int)
        best, waited, system = replace(guess, error=float("inf")), 0, guess.system
        doubts = np.zeros(form.m, dtype=int)
        for count in range(steps + 1):
            if system is None:
                system = System(self, numbers, x, multipliers, free, active)
            wrong_rows, wrong_columns = system.wrong(tolerance)
            wrong = bool(wrong_rows.any() or wrong_columns.any())
            if system.error <= tolerance and not wrong:
                return Guess(x, np.where(active, multipliers, 0.0), free, active, system.error)
            if not wrong and system.error < 0.9 * best.error:
                best, waited = Guess(x, np.where(active, multipliers, 0.0), free, active, system.error), 0
            else:
                waited += 1
            if count == steps or waited > (2 if best.error < 1e-9 else 12) or not np.isfinite(system.error):
                break
            if wrong and system.error < 1e-2:
                price, known = system.prices(memory), multipliers
                multipliers = np.where(wrong_rows, np.where(np.abs(known) > 1e-9 * np.abs(price), known, 1e-3 * price), known)
                x = np.where(wrong_columns, memory, x)
                active, free = active | wrong_rows, free | wrong_columns
                flips += np.concatenate((wrong_columns, wrong_rows))
                system = None
                if flips.max() > _FLIPS:
                    break
                continue
            du, dv = system.step()
            longest = max(float(np.max(np.abs(du), initial=0.0)), float(np.max(np.abs(dv), initial=0.0)))
            if not np.isfinite(longest):
                break
            negative = active & self.flexible & (dv < -1.0)
            doubts = np.where(negative, doubts + 1, 0)
            dropped = negative & ((dv < -_CERTAIN) | (doubts > 2))
            held = system.at_rest(system.falling(du))
            if dropped.any() or held.any():
                memory = np.where(free & (x > 0), x, memory)
                active, free = active & ~dropped, free & ~held
                x = np.where(held, numbers.lower, x)
                flips += np.concatenate((held, dropped))
                system = None
                if flips.max() > _FLIPS:
                    break
                continue
            longest = float(np.max(np.abs(du), initial=0.0))
            if longest > _LONGEST:
                du, dv = du * (_LONGEST / longest), dv * (_LONGEST / longest)
            memory = np.where(free & (x > 0), x, memory)
            x, multipliers = system.moved(du, dv)
            if system.error < _LAST:  # Newton's next error is its square: below what could be seen
                return Guess(np.clip(x, numbers.lower, numbers.upper), np.where(active, multipliers, 0.0), free, active,
                             max(tolerance, system.error**2))
            system = None
            low = free & ((x <= numbers.lower) | ((numbers.lower == 0) & (x < TINY)))
            high = free & (x >= numbers.upper)
            free = free & ~(low | high)
            x = np.where(low, numbers.lower, np.where(high, numbers.upper, x))
        return best

    def follow(self, numbers: Numbers, x: Array, active: Mask, barrier: Barrier, end: float, steps: int) -> Guess:
        """From an inner point along the central path to `mu = end`, and the active set to be seen there.

        Args:
            x: a point inside the bounds at which every row holds strictly.
            active: (rows,) those that could ever bind.
            barrier: its `mu` is where the path is joined.
        """
        form = self.form
        active = active | ~self.flexible
        free = numbers.lower < numbers.upper
        slack = np.abs(Point(form, numbers, x).rows()[1:])
        multipliers = self.auxiliary_multipliers(
            numbers, x, np.where(active, barrier.mu * barrier.row / slack, 0.0) * form.relation)
        earlier = system = System(self, numbers, x, multipliers, free, active, barrier)
        for _ in range(steps):
            if system.error < 0.5:
                if barrier.mu <= end:
                    break
                earlier = system
                barrier = replace(barrier, mu=max(min(0.1 * barrier.mu, barrier.mu**1.5), end))
                system = System(self, numbers, x, multipliers, free, active, barrier)
            du, dv = system.step()
            longest = max(float(np.max(np.abs(du), initial=0.0)), float(np.max(np.abs(dv), initial=0.0)))
            if not np.isfinite(longest):
                break
            share = min(1.0, 3.0 / longest) if longest > 0 else 1.0
            x, multipliers, system = self._inside(system, du, dv, share, barrier)
        return system.seen(earlier)

    def _inside(
        self, system: System, du: Array, dv: Array, share: float, barrier: Barrier
    ) -> tuple[Array, Array, System]:
        """The longest part of a step that keeps a fiftieth of every slack."""
        lower, upper = system.numbers.lower, system.numbers.upper
        for _ in range(40):
            x, multipliers = system.moved(share * du, share * dv)
            if np.all((x - lower >= 0.02 * (system.x - lower)) & (upper - x >= 0.02 * (upper - system.x))):
                new = System(self, system.numbers, x, multipliers, system.free, system.active, barrier)
                if np.all((new.slack >= 0.02 * system.slack) | ~self.flexible | ~system.active):
                    return x, multipliers, new
            share *= 0.6
        return system.x, system.multipliers, system

    def guess(self, numbers: Numbers, x: Array, multipliers: Array, active: Mask, low: Mask, high: Mask) -> Guess:
        """A point with its active set; of the columns `low`, those are held at the bound that would stay there."""
        free = numbers.lower < numbers.upper
        high = high & free
        x = np.where(high, numbers.upper, np.clip(x, numbers.lower, numbers.upper))
        here = System(self, numbers, x, multipliers, free & ~high, active)
        low = here.at_rest(low & ~high)
        if not low.any():
            return Guess(x, multipliers, here.free, active, system=here)
        return Guess(np.where(low, numbers.lower, x), multipliers, here.free & ~low, active)

    def auxiliary_multipliers(self, numbers: Numbers, x: Array, multipliers: Array) -> Array:
        """`multipliers` with those of defining equalities chosen so that auxiliary columns are stationary."""
        form = self.form
        blocks = [b for b in form.row_blocks if b.defines is not None and b.constraint.relation == "=="]
        if not blocks:
            return multipliers
        multipliers = multipliers.copy()
        _, slopes = self.contributions(Point(form, numbers, np.maximum(x, np.where(numbers.lower >= 0, TINY, -np.inf))))
        for rows in reversed(blocks):
            assert rows.defines is not None
            at = slice(rows.start - 1, rows.start - 1 + rows.size)
            multipliers[at] = 0.0
            price = np.concatenate(([1.0], -multipliers))
            total = added(self.columns, slopes * price[self.rows], form.n)
            multipliers[at] = total[rows.defines.start : rows.defines.start + rows.defines.size]
        return multipliers

    def values(self, point: Point) -> Array:
        """The terms' values."""
        numbers = point.numbers
        return np.concatenate([
            *(w * (v if f.terms.aligned else v[f.terms.source])
              for f, w, v in zip(self.form.families, numbers.weights, point.values, strict=True)),
            numbers.linear * point.x[self.form.linear.source]])

    def contributions(self, point: Point) -> tuple[Array, Array]:
        """The terms' values, and the first derivatives of each in each of its columns."""
        numbers = point.numbers
        slopes = [w * (s if f.terms.aligned else s[f.terms.source])
                  for f, w, every in zip(self.form.families, numbers.weights, point.slopes(), strict=True) for s in every]
        return self.values(point), np.concatenate([*slopes, numbers.linear])


class System:
    """The conditions at a point, how far they are from holding, and their Newton step.

    Attributes:
        error: largest relative residual among free columns and active rows.
        plus, minus: (columns,) the positive and the negative terms of the Lagrangian's derivative (barriers left out).
        slack: (rows,) `relation * body`.
    """

    def __init__(
        self,
        refinement: Refinement,
        numbers: Numbers,
        x: Array,
        multipliers: Array,
        free: Mask,
        active: Mask,
        barrier: Barrier | None = None,
    ) -> None:
        form = refinement.form
        self.refinement, self.numbers, self.barrier = refinement, numbers, barrier
        self.x, self.multipliers, self.free, self.active = x, multipliers, free, active
        n, m = form.n, form.m
        inner = x if x.min(initial=1.0) > 0 else np.where((x == 0) & (numbers.lower == 0), TINY, x)
        self.point = Point(form, numbers, inner)
        values, self.slopes = refinement.contributions(self.point)
        if inner is not x:  # the values are those at 0, the slopes those just above
            values = refinement.values(Point(form, numbers, x))
        # Rows: what adds against what takes away, constants included.
        self.more, self.less = np.maximum(numbers.constant[1:], 0.0), np.maximum(-numbers.constant[1:], 0.0)
        if values.min(initial=0.0) >= 0:
            self.more = self.more + added(refinement.value_rows, values, m + 1)[1:]
        else:
            self.more = self.more + added(refinement.value_rows, np.maximum(values, 0.0), m + 1)[1:]
            self.less = self.less + added(refinement.value_rows, np.maximum(-values, 0.0), m + 1)[1:]
        self.slack = (self.more - self.less) * refinement.sign
        # Columns: marginal cost against the worth of marginal products.
        self.price = np.concatenate(([1.0], np.where(active, -multipliers, 0.0)))
        self.shares = self.slopes * self.price[refinement.rows]
        self.plus = added(refinement.columns, np.maximum(self.shares, 0.0), n)
        self.minus = added(refinement.columns, np.maximum(-self.shares, 0.0), n)
        self.logarithmic = (numbers.lower >= 0) & (inner > 0)
        self.width = inner if self.logarithmic.all() else np.where(
            self.logarithmic, inner, np.maximum(np.abs(inner), 1.0))
        self._curvature()
        self._residuals()
        self.error = max(_size(self.column_error, free), _size(self.row_error, active))

    def _residuals(self) -> None:
        form, barrier = self.refinement.form, self.barrier
        self.row_error, self.row_more, self.row_less = _balance(self.more, self.less, None)
        if barrier is None:
            self.column_error, self.by_more, self.by_less = _balance(self.plus, self.minus, self.bend)
            return
        # Multipliers of the bounds, eliminated: they stand on the other side of the balance and stiffen it.
        down, up = self.x - self.numbers.lower, self.numbers.upper - self.x
        below, above = self.bound_multipliers(down), self.bound_multipliers(up)
        self.column_error, self.by_more, self.by_less = _balance(self.plus + above, self.minus + below, self.bend)
        self.stiff = self.by_less * below * self.width / down + np.where(
            above > 0, self.by_more * above * self.width / up, 0.0)
        # slack * multiplier = mu * cost, scaled so that the Jacobian's rows stay those of log more - log less.
        flexible = self.refinement.flexible & self.active
        gap = np.where(flexible, self.slack, 1.0)
        worth = np.abs(np.where(flexible, self.multipliers, 1.0)) * gap
        size = np.maximum(self.more, self.less)
        self.give = np.where(flexible, self.refinement.sign * gap / size, 0.0)
        self.row_more = np.where(flexible, 1.0 / size, self.row_more)
        self.row_less = np.where(flexible, self.row_more, self.row_less)
        self.row_error = np.where(flexible, np.log(worth / (barrier.mu * barrier.row)), self.row_error)

    def bend(self) -> Array:
        """(columns,) the size of the second derivatives, times widths."""
        return added(self.rows, np.abs(self.curved), self.refinement.form.n)

    def bound_multipliers(self, distance: Array) -> Array:
        """The multipliers of bounds at this distance; 0 without bound, and for columns that have no natural cost."""
        assert self.barrier is not None
        cost = np.where(self.free, self.barrier.column, 0.0)
        return np.where(np.isfinite(distance) & (distance > 0) & (cost > 0), self.barrier.mu * cost / distance, 0.0)

    def _curvature(self) -> None:
        """Second derivatives of the Lagrangian times widths: by column, with column, value, and the share each changes."""
        r = self.refinement
        curves = self.point.curves() if r.curves else []
        values = []
        for number, pair, at, other in r.curves:
            terms, curve = r.form.families[number].terms, curves[number][pair]
            weight = self.numbers.weights[number] * self.price[terms.rows]
            values.append(weight * (curve if terms.aligned else curve[terms.source]) * self.width[other])
        self.rows, self.columns = r.curve_rows, r.curve_columns
        if len(values) == 1:
            self.curved, self.changed = values[0], self.shares[r.curves[0][2]]
        else:
            self.curved = np.concatenate(values) if values else np.zeros(0)
            self.changed = np.concatenate([self.shares[at] for _, _, at, _ in r.curves]) if values else np.zeros(0)

    def wrong(self, tolerance: float) -> tuple[Mask, Mask]:
        """Rows left out that are violated; columns held at a bound whose reduced cost says they should move."""
        size = np.maximum(self.more, self.less)
        out = ~self.active if self.numbers.present is None else ~self.active & self.numbers.present
        rows = out & (self.slack < -tolerance * size)
        held = ~self.free & (self.numbers.lower < self.numbers.upper)
        if not held.any():
            return rows, held
        reduced = self.plus - self.minus
        size = tolerance * (self.plus + self.minus)
        low = self.x <= self.numbers.lower
        return rows, held & np.where(low, reduced < -size, reduced > size)

    def at_rest(self, down: Mask) -> Mask:
        """Those of the columns `down`, and of those that nothing speaks for, that would stay at their lower bound."""
        down = self.free & np.isfinite(self.numbers.lower) & ((down & (self.plus > self.minus)) | (self.minus == 0))
        if not down.any():
            return down
        there = System(self.refinement, self.numbers, np.where(down, self.numbers.lower, self.x), self.multipliers,
                       self.free & ~down, self.active)
        return down & (there.plus >= there.minus)

    def prices(self, memory: Array) -> Array:
        """(rows,) the cheapest marginal cost at which each row could be served: a multiplier to begin with."""
        r, form = self.refinement, self.refinement.form
        inner = np.where((self.x > 0) | (self.numbers.lower != 0), self.x, memory)
        _, slopes = r.contributions(Point(form, self.numbers, inner))
        shares = slopes * self.price[r.rows]
        cost = added(r.columns, np.abs(shares), form.n)
        ratio = cost[r.inner_columns] / np.abs(slopes[r.inner])
        price = np.full(form.m, np.inf)
        np.minimum.at(price, r.inner_rows, np.where(ratio > 0, ratio, np.inf))
        return np.where(np.isfinite(price), price, 1.0) * np.where(form.relation == 0, 1, form.relation)

    def moved(self, du: Array, dv: Array) -> tuple[Array, Array]:
        x = np.where(self.logarithmic, self.x * np.exp(du), self.x + self.width * du)
        if self.barrier is None:
            # Linear where the row is one of several that pay for a column, as the conditions are; never to 0 or below.
            factor = np.where(self.weight > 0.5, np.exp(np.clip(dv, -_LONGEST, _LONGEST)), np.maximum(1.0 + dv, 0.1))
        else:
            factor = np.exp(dv)
        return x, self.multipliers * factor

    def falling(self, du: Array) -> Mask:
        """Columns that the step sends to their lower bound; of those with flat costs, the dearest first."""
        down = self.free & (du < -1.0) & (self.plus > self.minus)
        if not down.any():
            return down
        flat = self.bend() <= 1e-6 * (self.plus + self.minus)
        return down & (~flat | (self.column_error > 0.3 * np.max(self.column_error[down])))

    def seen(self, earlier: System) -> Guess:
        """The active set as the path shows it since an earlier point: of each distance and its multiplier, what shrinks.

        Scale-free (the indicators of El-Bakry, Tapia and Zhang 1994): as mu falls, a distance falls with it where the
        constraint is active, its multiplier where it is not.
        """
        assert self.barrier is not None
        assert earlier.barrier is not None
        mu = self.barrier.mu / earlier.barrier.mu
        active = self.active & (self.slack / earlier.slack < np.abs(self.multipliers / earlier.multipliers))
        bound = (self.barrier.column > 0) & self.free
        down = (self.x - self.numbers.lower) / (earlier.x - earlier.numbers.lower)
        up = (self.numbers.upper - self.x) / (earlier.numbers.upper - earlier.x)
        return self.refinement.guess(self.numbers, self.x, self.multipliers, active | ~self.refinement.flexible,
                                     bound & (down < np.sqrt(mu)), bound & (up < np.sqrt(mu)))

    def step(self) -> tuple[Array, Array]:
        """`(du, dv)`: relative changes of free columns and active rows' multipliers; 0 for the others; nan if singular."""
        r, form = self.refinement, self.refinement.form
        share, product = self.shares[r.inner], self.slopes[r.inner] * self.width[r.inner_columns]
        prices = share * _sided(share, self.by_more, self.by_less, r.inner_columns)
        yields = product * _sided(product, self.row_more, self.row_less, r.inner_rows)
        curved = self.curved * _sided(self.changed, self.by_more, self.by_less, self.rows)
        free = slice(None) if self.free.all() else np.flatnonzero(self.free)
        active = slice(None) if self.active.all() else np.flatnonzero(self.active)
        F, G = self.column_error[free], self.row_error[active]
        give, stiff = np.zeros(len(G)), np.zeros(len(F))
        if self.barrier is not None:
            give, stiff = self.give[active], self.stiff[free]
            G = np.where(r.flexible[active], give * G, G)
        B, C = self._matrix(prices, active, free), self._matrix(yields, active, free)
        if r.separable:
            diagonal = added(self.rows, curved, form.n)[free] + stiff
            diagonal = np.where(np.abs(diagonal) > _PROXIMAL, diagonal, _PROXIMAL)
            u, v = _by_rows(diagonal, B, C, F, G, give)
        else:
            u, v = _whole(self._hessian(curved, free, stiff), B, C, F, G, give)
        du, dv, self.weight = np.zeros(form.n), np.zeros(form.m), np.zeros(form.m)
        du[free], dv[active] = u, v
        if self.barrier is None and B.shape[0] and B.shape[1]:
            self.weight[active] = _heaviest(B)
        return du, dv

    def _matrix(self, values: Array, active: Some, free: Some) -> Any:
        """(active rows, free columns) sums of contributions."""
        r, form = self.refinement, self.refinement.form
        if r.dense:
            full = added(r.inner_key, values, form.m * form.n).reshape(form.m, form.n)
            return full[active][:, free]
        from scipy.sparse import coo_array

        full = coo_array((values, (r.inner_rows, r.inner_columns)), shape=(form.m, form.n)).tocsr()
        return full[active][:, free]

    def _hessian(self, curved: Array, free: Some, stiff: Array) -> Any:
        from scipy.sparse import coo_array, diags_array

        n = self.refinement.form.n
        full = coo_array((curved, (self.rows, self.columns)), shape=(n, n)).tocsr()
        return (full[free][:, free] + diags_array(stiff + _PROXIMAL)).tocsr()


def _size(errors: Array, which: Mask) -> float:
    return float(np.abs(errors if which.all() else errors[which]).max(initial=0.0))


def _sided(signs: Array, more: Array, less: Array, at: Positions) -> Array:
    """`more[at]` where the sign is positive, `less[at]` elsewhere."""
    if signs.max(initial=0.0) <= 0:
        return less[at]
    if signs.min(initial=0.0) >= 0:
        return more[at]
    return np.where(signs > 0, more[at], less[at])


def _heaviest(B: Any) -> Array:
    """(active rows,) the largest share a row has in what pays for any one column."""
    if isinstance(B, np.ndarray):
        return np.abs(B).max(axis=1)
    return np.asarray(abs(B).max(axis=1).todense()).ravel()


def _balance(more: Array, less: Array, bend: Callable[[], Array] | None) -> tuple[Array, Array, Array]:
    """`log more - log less`, and what a change of either adds to it; a plain relative difference where one is 0."""
    if more.min(initial=1.0) > 0 and less.min(initial=1.0) > 0:
        return np.log(more / less), 1.0 / more, 1.0 / less
    both = (more > 0) & (less > 0)
    total = more + less if bend is None else more + less + bend()
    each = 1.0 / np.where(total > 0, total, 1.0)
    some_more, some_less = np.where(both, more, 1.0), np.where(both, less, 1.0)
    return (np.where(both, np.log(some_more / some_less), (more - less) * each),
            np.where(both, 1.0 / some_more, each), np.where(both, 1.0 / some_less, each))


def _by_rows(diagonal: Array, B: Any, C: Any, F: Array, G: Array, give: Array) -> tuple[Array, Array]:
    """`diag u + B' v = -F`, `C u + give v = -G`, by elimination of `u`."""
    right = C @ (F / diagonal) - G
    if isinstance(C, np.ndarray):
        S = (C / diagonal) @ B.T
        np.negative(S, out=S)
        S[np.diag_indices(len(G))] += give
        v = _solve(S, right)
    else:
        from scipy.sparse import diags_array

        S = diags_array(give) - C @ diags_array(1.0 / diagonal) @ B.T
        v = _solve_sparse(S, right)
    return -(F + B.T @ v) / diagonal, v


def _whole(H: Any, B: Any, C: Any, F: Array, G: Array, give: Array) -> tuple[Array, Array]:
    """`H u + B' v = -F`, `C u + give v = -G`, at once."""
    from scipy.sparse import block_array, csr_array, diags_array

    n, m = len(F), len(G)
    if n + m <= 600:
        K = np.zeros((n + m, n + m))
        K[:n, :n] = H.toarray()
        K[:n, n:] = (B if isinstance(B, np.ndarray) else B.toarray()).T
        K[n:, :n] = C if isinstance(C, np.ndarray) else C.toarray()
        K[range(n, n + m), range(n, n + m)] = give
        both = _solve(K, -np.concatenate((F, G)))
    else:
        K = block_array([[H, csr_array(B).T], [csr_array(C), diags_array(give)]], format="csc")
        both = _solve_sparse(K, -np.concatenate((F, G)))
    return both[:n], both[n:]


def _solve(matrix: Array, right: Array) -> Array:
    if not len(right):
        return right
    try:
        result: Array = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.full(len(right), np.nan)
    return result


def _solve_sparse(matrix: Any, right: Array) -> Array:
    from scipy.sparse.linalg import splu

    if not len(right):
        return right
    try:
        result: Array = splu(matrix.tocsc()).solve(right)
    except RuntimeError:  # exactly singular
        return np.full(len(right), np.nan)
    return result
