"""The optimality conditions in logarithms, and their Newton step.

Unknowns are `log x_k` of the positive variables and `log` of the rows' multipliers; every condition says that one sum
of positive terms equals another, and is taken as the difference of their logarithms. Monomials thereby become linear,
and the system has entries of order 1 however far weights lie apart, so that every component comes out to full
relative accuracy whatever its share in the objective [ours; tests/test_engine_refine.py].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mechdsl.engines.callbacks import Structure
from mechdsl.engines.form import Numbers, Point, added
from mechdsl.engines.terms import Positions
from mechdsl.evaluate import Array

__all__ = ["LONGEST", "TINY", "Barrier", "Conditions", "Mask", "System"]

Mask = npt.NDArray[np.bool_]
Some = slice | Positions

TINY = 1e-290  # where reduced costs of variables at 0 are taken: an optimum below it is 0
LONGEST = 30.0  # of a step, in the logarithm of any unknown
ROUNDING = 1e-12  # of all the money in a programme, below which a price is none
FAINT = 1e-16  # of the largest price, a price that is none
_PROXIMAL = (
    1e-9  # keeps the system regular where the conditions leave freedom (linear programmes): the nearest solution
)
_DENSE = 4_000_000  # entries of the Jacobian up to which it is held as a dense matrix
_SMALL = 600  # unknowns up to which a system that is not separable is solved densely


@dataclass(frozen=True, slots=True, eq=False)
class Barrier:
    """`multiplier * slack = mu * row` for each row, `multiplier * distance = mu * column` for each bound.

    Args:
        row, column: natural costs.
        tight: (rows,) whose slack has become too small to be told from rounding: they hold with equality.
    """

    mu: float
    row: Array
    column: Array
    tight: Mask


class Conditions:
    """The terms' contributions to rows and columns; index arrays, made once.

    Attributes:
        rows, columns: of every first derivative; `inner` picks those of rows proper, the objective's left out.
        curves: for each second derivative along a slot (family, turn), the first derivatives it changes, the columns it
            changes them with, and whether the slot is already multiplied in.
        flexible: (rows,) those that may be inactive; sign: (rows,) that makes a body a slack.
    """

    def __init__(self, structure: Structure) -> None:
        form = structure.form
        self.form = form
        slots = [(f, f.columns[a][f.terms.source]) for f in form.families for a in range(f.kernel.arity)]
        t = form.linear
        self.rows = np.concatenate([*(f.terms.rows for f, _ in slots), t.rows])
        self.columns = np.concatenate([*(c for _, c in slots), t.source])
        self.value_rows = np.concatenate([*(f.terms.rows for f in form.families), t.rows])
        inner = np.flatnonzero(self.rows > 0)
        together = len(inner) > 0 and inner[-1] - inner[0] + 1 == len(inner)
        self.inner: Some = slice(int(inner[0]), int(inner[-1]) + 1) if together else inner
        self.inner_rows, self.inner_columns = self.rows[self.inner] - 1, self.columns[self.inner]
        self.inner_key = self.inner_rows * form.n + self.inner_columns
        self.dense = form.n * form.m <= _DENSE
        start = np.cumsum([0, *(len(f.terms.rows) for f, _ in slots)])
        self.curves: list[tuple[int, int, slice, Positions, bool]] = []
        slot = 0
        for number, family in enumerate(form.families):
            for turn, (p, other) in enumerate(family.kernel.turns):
                a, b = family.kernel.pairs[p]
                one = a if other == b else b
                at = slice(int(start[slot + one]), int(start[slot + one + 1]))
                column = family.columns[other][family.terms.source]
                self.curves.append((number, turn, at, column, family.kernel.positive[other]))
            slot += family.kernel.arity
        none = np.zeros(0, dtype=np.intp)
        self.curve_rows = np.concatenate([none, *(self.columns[c[2]] for c in self.curves)])
        self.curve_columns = np.concatenate([none, *(c[3] for c in self.curves)])
        self.separable = all(f.kernel.arity == 1 for f in form.families)
        self.flexible = form.relation != 0
        self.sign = np.where(form.relation == 0, 1.0, form.relation.astype(np.float64))
        self.auxiliary = np.zeros(form.n, dtype=bool)
        for block in form.blocks:
            self.auxiliary[block.start : block.start + block.size] = block.auxiliary
        self.defined = np.zeros(form.n, dtype=bool)  # by an equation: no bound of theirs says where they are
        for rows in form.row_blocks:
            if rows.defines is not None and rows.constraint.relation == "==":
                self.defined[rows.defines.start : rows.defines.start + rows.defines.size] = True

    def values(self, point: Point) -> Array:
        """The terms' values."""
        numbers = point.numbers
        parts = [
            w * (v if f.terms.aligned else v[f.terms.source])
            for f, w, v in zip(self.form.families, numbers.weights, point.values, strict=True)
        ]
        return np.concatenate([*parts, numbers.linear * point.x[self.form.linear.source]])

    def slopes(self, point: Point) -> Array:
        """The first derivatives of the terms, each in each of its columns."""
        numbers = point.numbers
        parts = [
            w * (s if f.terms.aligned else s[f.terms.source])
            for f, w, every in zip(self.form.families, numbers.weights, point.slopes(), strict=True)
            for s in every
        ]
        return np.concatenate([*parts, numbers.linear])

    def auxiliary_multipliers(self, numbers: Numbers, x: Array, multipliers: Array) -> Array:
        """`multipliers` with those of defining equalities chosen so that auxiliary columns are stationary.

        What nobody wants has a price, too small to count, so that a relative step of it means something.
        """
        form = self.form
        least = FAINT * float(np.abs(multipliers).max(initial=0.0))
        blocks = [b for b in form.row_blocks if b.defines is not None and b.constraint.relation == "=="]
        if not blocks:
            return multipliers
        multipliers = multipliers.copy()
        slopes = self.slopes(Point(form, numbers, np.maximum(x, np.where(numbers.lower >= 0, TINY, -np.inf))))
        for rows in reversed(blocks):
            assert rows.defines is not None
            at = slice(rows.start - 1, rows.start - 1 + rows.size)
            multipliers[at] = 0.0
            price = np.concatenate(([1.0], -multipliers))
            total = added(self.columns, slopes * price[self.rows], form.n)
            worth = total[rows.defines.start : rows.defines.start + rows.defines.size]
            multipliers[at] = np.where(np.abs(worth) < least, least, worth)
        return multipliers


class System:
    """The conditions at a point, how far they are from holding, and their Newton step.

    Attributes:
        error: largest relative residual among free columns and active rows.
        paid: whether every column has both costs and something that pays for them.
        plus, minus: (columns,) the positive and the negative terms of the Lagrangian's derivative (barriers left out).
        slack: (rows,) `relation * body`.
    """

    def __init__(
        self,
        conditions: Conditions,
        numbers: Numbers,
        x: Array,
        multipliers: Array,
        free: Mask,
        active: Mask,
        barrier: Barrier | None = None,
    ) -> None:
        form = conditions.form
        self.conditions, self.numbers, self.barrier = conditions, numbers, barrier
        self.x, self.multipliers, self.free, self.active = x, multipliers, free, active
        self.all_free, self.all_active = bool(free.all()), bool(active.all())
        n, m = form.n, form.m
        inside = x.min(initial=1.0) > 0
        inner = x if inside else np.where((x == 0) & (numbers.lower == 0), TINY, x)
        self.point = Point(form, numbers, inner)
        self.slopes = conditions.slopes(self.point)
        # At a bound of 0 the values are those at 0, the slopes those just above.
        values = conditions.values(self.point if inside else Point(form, numbers, x))
        # Rows: what adds against what takes away, constants included.
        self.more, self.less = np.maximum(numbers.constant[1:], 0.0), np.maximum(-numbers.constant[1:], 0.0)
        if numbers.gains or values.min(initial=0.0) >= 0:
            self.more = self.more + added(conditions.value_rows, values, m + 1)[1:]
        else:
            self.more = self.more + added(conditions.value_rows, np.maximum(values, 0.0), m + 1)[1:]
            self.less = self.less + added(conditions.value_rows, np.maximum(-values, 0.0), m + 1)[1:]
        self.slack = (self.more - self.less) * conditions.sign
        # Columns: marginal cost against the worth of marginal products.
        self.price = np.concatenate(([1.0], np.where(active, -multipliers, 0.0)))
        self.shares = self.slopes * self.price[conditions.rows]
        self.plus = added(conditions.columns, np.maximum(self.shares, 0.0), n)
        self.minus = added(conditions.columns, np.maximum(-self.shares, 0.0), n)
        # Steps are relative where a column is positive, absolute where it may not be.
        self.logarithmic: Mask | None = None
        self.width = inner
        if not (numbers.orthant and inside):
            self.logarithmic = (numbers.lower >= 0) & (inner > 0)
            self.width = np.where(self.logarithmic, inner, np.maximum(np.abs(inner), 1.0))
        self.column_error: Array
        self._curvature()
        self._residuals()
        if conditions.auxiliary.any():
            self.column_error = np.where(self.negligible(), 0.0, self.column_error)
        self.error = max(
            _largest(self.column_error if self.all_free else self.column_error[free]),
            _largest(self.row_error if self.all_active else self.row_error[active]),
        )

    def _residuals(self) -> None:
        barrier = self.barrier
        self.row_error, self.row_more, self.row_less, _ = _balance(self.more, self.less, None)
        if barrier is None:
            self.column_error, self.by_more, self.by_less, self.paid = _balance(self.plus, self.minus, self.bend)
            return
        # Multipliers of the bounds, eliminated: they stand on the other side of the balance and stiffen it.
        down, up = self.x - self.numbers.lower, self.numbers.upper - self.x
        below, above = self.bound_multipliers(down), self.bound_multipliers(up)
        self.column_error, self.by_more, self.by_less, self.paid = _balance(
            self.plus + above, self.minus + below, self.bend
        )
        self.stiff = self.by_less * below * self.width / down + np.where(
            above > 0, self.by_more * above * self.width / up, 0.0
        )
        # slack * multiplier = mu * cost, scaled so that the Jacobian's rows stay those of log more - log less.
        self.loose = flexible = self.conditions.flexible & self.active & ~barrier.tight
        gap = np.where(flexible, self.slack, 1.0)
        worth = np.abs(np.where(flexible, self.multipliers, 1.0)) * gap
        size = np.maximum(self.more, self.less)
        self.give = np.where(flexible, self.conditions.sign * gap / size, 0.0)
        self.row_more = np.where(flexible, 1.0 / size, self.row_more)
        self.row_less = np.where(flexible, self.row_more, self.row_less)
        self.row_error = np.where(flexible, np.log(worth / (barrier.mu * barrier.row)), self.row_error)

    def negligible(self) -> Mask:
        """(columns,) what defines a column that nobody wants is worth nothing, to rounding: no error to read off."""
        paid = np.maximum(self.more, self.less)
        volume = abs(float(self.point.rows()[0])) + float(np.abs(self.price[1:]) @ paid)
        worth = np.maximum(self.plus, self.minus) * np.abs(self.x)
        faint: Mask = self.conditions.auxiliary & (worth <= ROUNDING * volume)
        return faint

    def bend(self) -> Array:
        """(columns,) the size of the second derivatives, times widths."""
        return added(self.rows, np.abs(self.curved), self.conditions.form.n)

    def bound_multipliers(self, distance: Array) -> Array:
        """The multipliers of bounds at this distance; 0 without bound, and for columns that have no natural cost."""
        assert self.barrier is not None
        cost = np.where(self.free, self.barrier.column, 0.0)
        return np.where(np.isfinite(distance) & (distance > 0) & (cost > 0), self.barrier.mu * cost / distance, 0.0)

    def _curvature(self) -> None:
        """Second derivatives of the Lagrangian times widths: by column, with column, value, the share it changes."""
        r = self.conditions
        bends = self.point.bends() if r.curves else []
        values = []
        for number, turn, _, other, done in r.curves:
            terms, bend = r.form.families[number].terms, bends[number][turn]
            value = (
                self.numbers.weights[number] * self.price[terms.rows] * (bend if terms.aligned else bend[terms.source])
            )
            values.append(value if done else value * self.width[other])
        self.rows, self.columns = r.curve_rows, r.curve_columns
        if len(values) == 1:
            self.curved, self.changed = values[0], self.shares[r.curves[0][2]]
        else:
            self.curved = np.concatenate(values) if values else np.zeros(0)
            self.changed = np.concatenate([self.shares[c[2]] for c in r.curves]) if values else np.zeros(0)

    def wrong(self, tolerance: float) -> tuple[Mask, Mask] | None:
        """Rows left out that are violated, columns held at a bound that should move; None where there are neither."""
        if self.all_free and self.all_active:
            return None
        size = np.maximum(self.more, self.less)
        out = ~self.active if self.numbers.present is None else ~self.active & self.numbers.present
        rows = out & (self.slack < -tolerance * size)
        columns = ~self.free
        if not self.all_free:
            reduced, size = self.plus - self.minus, tolerance * (self.plus + self.minus)
            at_lower = self.x <= self.numbers.lower
            columns &= (self.numbers.lower < self.numbers.upper) & np.where(at_lower, reduced < -size, reduced > size)
        columns = columns & ~self.conditions.defined
        return (rows, columns) if rows.any() or columns.any() else None

    def at_rest(self, down: Mask) -> Mask:
        """Those of the columns `down`, and of those that nothing speaks for, that would stay at their lower bound."""
        may = self.free & np.isfinite(self.numbers.lower) & ~self.conditions.defined
        nobody = (self.minus == 0) & ~self.conditions.auxiliary
        down = may & ((down & (self.plus > self.minus)) | nobody)
        if not down.any():
            return down
        there = System(
            self.conditions,
            self.numbers,
            np.where(down, self.numbers.lower, self.x),
            self.multipliers,
            self.free & ~down,
            self.active,
        )
        return down & (there.plus >= there.minus)

    def prices(self, memory: Array) -> Array:
        """(rows,) the cheapest marginal cost at which each row could be served: a multiplier to begin with."""
        r, form = self.conditions, self.conditions.form
        inner = np.where((self.x > 0) | (self.numbers.lower != 0), self.x, memory)
        slopes = r.slopes(Point(form, self.numbers, inner))
        shares = slopes * self.price[r.rows]
        cost = added(r.columns, np.abs(shares), form.n)
        ratio = cost[r.inner_columns] / np.abs(slopes[r.inner])
        price = np.full(form.m, np.inf)
        np.minimum.at(price, r.inner_rows, np.where(ratio > 0, ratio, np.inf))
        return np.where(np.isfinite(price), price, 1.0) * r.sign

    def moved(self, du: Array, dv: Array) -> tuple[Array, Array]:
        """The point and the multipliers after a step."""
        x = self.x * np.exp(du)
        if self.logarithmic is not None:
            x = np.where(self.logarithmic, x, self.x + self.width * du)
        if self.barrier is None:
            # Linear where the row is one of several that pay for a column, as the conditions are; never to 0 or below.
            factor = np.where(self.weight > 0.5, np.exp(np.clip(dv, -LONGEST, LONGEST)), np.maximum(1.0 + dv, 0.1))
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

    def step(self) -> tuple[Array, Array]:
        """`(du, dv)`: relative changes of free columns and active rows' multipliers, 0 for others; nan if singular."""
        r, form = self.conditions, self.conditions.form
        share, product = self.shares[r.inner], self.slopes[r.inner] * self.width[r.inner_columns]
        if self.numbers.gains and self.barrier is None:  # the signs are known
            prices, yields = share * self.by_less[r.inner_columns], product * self.row_more[r.inner_rows]
        else:
            prices = share * _sided(share, self.by_more, self.by_less, r.inner_columns)
            yields = product * _sided(product, self.row_more, self.row_less, r.inner_rows)
        curved = self.curved * _sided(self.changed, self.by_more, self.by_less, self.rows)
        free = slice(None) if self.all_free else np.flatnonzero(self.free)
        active = slice(None) if self.all_active else np.flatnonzero(self.active)
        F, G = self.column_error[free], self.row_error[active]
        give, stiff = np.zeros(len(G)), np.zeros(len(F))
        if self.barrier is not None:
            give, stiff = self.give[active], self.stiff[free]
            G = np.where(self.loose[active], give * G, G)
        B, C = self._matrix(prices, active, free), self._matrix(yields, active, free)
        if r.defined.any():  # a row whose columns are all held says nothing about its price
            give = np.where(_empty(B) & _empty(C), 1.0, give)
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
        r, form = self.conditions, self.conditions.form
        if r.dense:
            full = added(r.inner_key, values, form.m * form.n).reshape(form.m, form.n)
            return full[active][:, free]
        from scipy.sparse import coo_array

        full = coo_array((values, (r.inner_rows, r.inner_columns)), shape=(form.m, form.n)).tocsr()
        return full[active][:, free]

    def _hessian(self, curved: Array, free: Some, stiff: Array) -> Any:
        from scipy.sparse import coo_array, diags_array

        n = self.conditions.form.n
        full = coo_array((curved, (self.rows, self.columns)), shape=(n, n)).tocsr()
        return (full[free][:, free] + diags_array(stiff + _PROXIMAL)).tocsr()


def _largest(errors: Array) -> float:
    return float(np.abs(errors).max(initial=0.0))


def _sided(signs: Array, more: Array, less: Array, at: Positions) -> Array:
    """`more[at]` where the sign is positive, `less[at]` elsewhere."""
    if signs.max(initial=0.0) <= 0:
        return less[at]
    if signs.min(initial=0.0) >= 0:
        return more[at]
    return np.where(signs > 0, more[at], less[at])


def _empty(B: Any) -> Mask:
    """(rows,) whether a row has no entry but 0."""
    found: Mask = np.asarray(abs(B).sum(axis=1)).ravel() == 0
    return found


def _heaviest(B: Any) -> Array:
    """(active rows,) the largest share a row has in what pays for any one column."""
    largest = abs(B).max(axis=1)
    return np.asarray(largest if isinstance(B, np.ndarray) else largest.todense(), dtype=np.float64).ravel()


def _balance(more: Array, less: Array, bend: Callable[[], Array] | None) -> tuple[Array, Array, Array, bool]:
    """`log more - log less`, and what a change of either adds to it; a plain relative difference where one is 0.

    The last says whether there is no such place.
    """
    if np.minimum(more, less).min(initial=1.0) > 0:
        return np.log(more / less), 1.0 / more, 1.0 / less, True
    both = (more > 0) & (less > 0)
    total = more + less if bend is None else more + less + bend()
    each = 1.0 / np.where(total > 0, total, 1.0)
    some_more, some_less = np.where(both, more, 1.0), np.where(both, less, 1.0)
    return (
        np.where(both, np.log(some_more / some_less), (more - less) * each),
        np.where(both, 1.0 / some_more, each),
        np.where(both, 1.0 / some_less, each),
        False,
    )


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
    if n + m <= _SMALL:
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
        return np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.full(len(right), np.nan)


def _solve_sparse(matrix: Any, right: Array) -> Array:
    from scipy.sparse.linalg import splu

    if not len(right):
        return right
    try:
        return np.asarray(splu(matrix.tocsc()).solve(right), dtype=np.float64)
    except RuntimeError:  # exactly singular
        return np.full(len(right), np.nan)
