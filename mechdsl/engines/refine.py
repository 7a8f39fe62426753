"""From a good point to the last digit: Newton's method on the optimality conditions of a guessed active set, in logarithms.

Unknowns are `log x_k` of the positive variables and `log` of the active rows' multipliers; every condition says that a sum
of positive terms equals another, and is taken as the difference of their logarithms. Monomials thereby become linear, the
system has entries of order 1 however far weights lie apart, and every component comes out to full relative accuracy,
whatever its share in the objective [ours; tests/test_engine_refine.py]. Wrong guesses show as violated rows, vanishing
multipliers or wrong-signed reduced costs, and are flipped a bounded number of times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mechdsl.engines.callbacks import Structure
from mechdsl.engines.form import Form, Numbers, Point, added
from mechdsl.engines.lowering import Positions
from mechdsl.evaluate import Array

__all__ = ["Guess", "Refinement"]

Mask = npt.NDArray[np.bool_]

_LONGEST = 6.0  # of a step, in the logarithm of any unknown
_PROXIMAL = 1e-9  # keeps the system regular where the conditions leave freedom (linear programmes): the nearest solution
_TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """A point with its multipliers and the set taken to be active.

    Args:
        x: (columns,), multipliers: (rows,) derivative of the minimised objective in the right side.
        free: (columns,) not at a bound. active: (rows,).
        error: largest relative residual of the conditions of that set; inf if not known.
    """

    x: Array
    multipliers: Array
    free: Mask
    active: Mask
    error: float = float("inf")


class Refinement:
    """Newton's method on a form; the index arrays are made once."""

    def __init__(self, structure: Structure) -> None:
        form = structure.form
        self.form = form
        slots = [(f, f.columns[a][f.terms.source]) for f in form.families for a in range(f.kernel.arity)]
        t = form.linear
        self.rows = np.concatenate([*(f.terms.rows for f, _ in slots), t.rows])
        self.columns = np.concatenate([*(c for _, c in slots), t.source])
        self.value_rows = np.concatenate([*(f.terms.rows for f in form.families), t.rows])
        # Second derivatives: for each, the first derivative it changes, and the column it changes it with.
        start = np.cumsum([0, *(len(f.terms.rows) for f, _ in slots)])
        self.curves: list[tuple[int, int, slice, Positions]] = []
        slot = 0
        self.separable = True
        for number, family in enumerate(form.families):
            for p, (a, b) in enumerate(family.kernel.pairs):
                for one, other in {(a, b), (b, a)}:
                    at = slice(int(start[slot + one]), int(start[slot + one + 1]))
                    self.curves.append((number, p, at, family.columns[other][family.terms.source]))
                self.separable &= a == b
            slot += family.kernel.arity

    def contributions(self, point: Point) -> tuple[Array, Array]:
        """The terms' values and their first derivatives."""
        numbers = point.numbers
        values, slopes = [], []
        every = point.slopes()
        for number, family in enumerate(self.form.families):
            t, weight = family.terms, numbers.weights[number]
            values.append(weight * (point.values[number] if t.aligned else point.values[number][t.source]))
            slopes += [weight * (s if t.aligned else s[t.source]) for s in every[number]]
        values.append(numbers.linear * point.x[self.form.linear.source])
        return np.concatenate(values), np.concatenate([*slopes, numbers.linear])

    def newton(self, numbers: Numbers, guess: Guess, steps: int, tolerance: float) -> tuple[Guess, Array]:
        """At most `steps` Newton steps; the result, and the last step in the rows' multipliers (in logarithms)."""
        form, free, active = self.form, guess.free, guess.active
        x, multipliers = guess.x, guess.multipliers
        best, last = guess, np.zeros(form.m)
        grown = 0
        for count in range(steps + 1):
            system = _System(self, numbers, x, multipliers, free, active)
            if system.error < best.error:
                best = Guess(x, multipliers, free, active, system.error)
                grown = 0
            else:
                grown += 1
            if system.error <= tolerance or count == steps or grown > 3 or not np.isfinite(system.error):
                break
            du, dv = system.step()
            longest = max(float(np.max(np.abs(du), initial=0.0)), float(np.max(np.abs(dv), initial=0.0)))
            if not np.isfinite(longest):
                break
            last = dv
            if longest > _LONGEST:
                du, dv = du * (_LONGEST / longest), dv * (_LONGEST / longest)
            x = np.where(system.logarithmic, x * np.exp(du), x + system.width * du)
            multipliers = multipliers * np.exp(dv)
        return best, last


class _System:
    """The conditions of a guess at a point, and their Newton step."""

    def __init__(
        self, refinement: Refinement, numbers: Numbers, x: Array, multipliers: Array, free: Mask, active: Mask
    ) -> None:
        form = refinement.form
        self.refinement, self.free, self.active, self.numbers = refinement, free, active, numbers
        fixed = ~free
        self.point = Point(form, numbers, x, fixed if fixed.any() else None)
        n, m = form.n, form.m
        with np.errstate(all="ignore"):
            values, slopes = refinement.contributions(self.point)
            # Rows: what adds against what takes away, constants included.
            more = added(refinement.value_rows, np.maximum(values, 0.0), m + 1) + np.maximum(numbers.constant, 0.0)
            less = added(refinement.value_rows, np.maximum(-values, 0.0), m + 1) + np.maximum(-numbers.constant, 0.0)
            self.more, self.less = more[1:], less[1:]
            self.row_error, self.row_more, self.row_less = _balance(self.more, self.less, None)
            # Columns: marginal cost against the worth of marginal products.
            price = np.concatenate(([1.0], np.where(active, -multipliers, 0.0)))
            shares = slopes * price[refinement.rows]
            self.logarithmic = (numbers.lower >= 0) & (x > 0)
            self.width = np.where(self.logarithmic, x, np.maximum(np.abs(x), 1.0))
            plus = added(refinement.columns, np.maximum(shares, 0.0), n)
            minus = added(refinement.columns, np.maximum(-shares, 0.0), n)
            self.plus, self.minus = plus, minus
            curvature = self._curvature(price, shares, slopes)
            self.column_error, self.by_plus, self.by_minus = _balance(plus, minus, curvature[3])
        self.slopes, self.shares, self.price = slopes, shares, price
        self.curvature = curvature
        self.error = max(float(np.max(np.abs(self.column_error[free]), initial=0.0)),
                         float(np.max(np.abs(self.row_error[active]), initial=0.0)))

    def _curvature(self, price: Array, shares: Array, slopes: Array) -> tuple[Positions, Positions, Array, Array, Array]:
        """Second derivatives of the Lagrangian: columns, sign of the share each belongs to, and their size by column."""
        r = self.refinement
        rows, columns, values, signs = [], [], [], []
        curves = self.point.curves()
        for number, pair, at, other in r.curves:
            family = r.form.families[number]
            curve = curves[number][pair]
            value = self.numbers.weights[number] * (curve if family.terms.aligned else curve[family.terms.source])
            rows.append(r.columns[at])
            columns.append(other)
            values.append(value * price[family.terms.rows])
            signs.append(shares[at])
        if not rows:
            none = np.zeros(0, dtype=np.intp)
            return none, none, np.zeros(0), np.zeros(r.form.n), np.zeros(0)
        row, column, value = np.concatenate(rows), np.concatenate(columns), np.concatenate(values)
        size = added(row, np.abs(value) * self.width[column], r.form.n)
        return row, column, value * self.width[column], size, np.concatenate(signs)

    def step(self) -> tuple[Array, Array]:
        """`(du, dv)`: relative changes of the columns and the multipliers, 0 where they are held."""
        r, form = self.refinement, self.refinement.form
        n, m = form.n, form.m
        free, active = np.flatnonzero(self.free), np.flatnonzero(self.active)
        nf, na = len(free), len(active)
        number_free = np.full(n, -1)
        number_free[free] = np.arange(nf)
        number_active = np.full(m + 1, -1)
        number_active[active + 1] = np.arange(na)
        with np.errstate(all="ignore"):
            inside = (number_active[r.rows] >= 0) & (number_free[r.columns] >= 0)
            i, k = number_active[r.rows[inside]], number_free[r.columns[inside]]
            column, row = r.columns[inside], r.rows[inside] - 1
            share, slope = self.shares[inside], self.slopes[inside]
            prices = share * np.where(share > 0, self.by_plus[column], self.by_minus[column])
            product = slope * self.width[column]
            yields = product * np.where(product > 0, self.row_more[row], self.row_less[row])
            rows, columns, value, _, sign = self.curvature
            value = value * np.where(sign > 0, self.by_plus[rows], self.by_minus[rows])
        key = i * nf + k
        B = added(key, prices, na * nf).reshape(na, nf)  # d column_error / d log multiplier, transposed
        C = added(key, yields, na * nf).reshape(na, nf)  # d row_error / d log x
        F, G = self.column_error[free], self.row_error[active]
        du, dv = np.zeros(n), np.zeros(m)
        if r.separable:
            D = added(rows, value, n)[free]
            D = np.where(np.abs(D) > _PROXIMAL, D, _PROXIMAL)
            S = (C / D) @ B.T
            S[np.diag_indices(na)] -= 1e-14 * np.abs(np.diag(S)) 
            right = G - C @ (F / D)
            v = _solve(S, right)
            u = -(F + B.T @ v) / D
        else:
            keep = (number_free[rows] >= 0) & (number_free[columns] >= 0)
            H = added(number_free[rows[keep]] * nf + number_free[columns[keep]], value[keep], nf * nf).reshape(nf, nf)
            H[np.diag_indices(nf)] += _PROXIMAL
            K = np.block([[H, B.T], [C, np.zeros((na, na))]])
            both = _solve(K, -np.concatenate((F, G)))
            u, v = both[:nf], both[nf:]
        du[free], dv[active] = u, v
        return du, dv


def _balance(more: Array, less: Array, size: Array | None) -> tuple[Array, Array, Array]:
    """`log more - log less` with the factors that turn a change of either into a change of it; linear where one is 0."""
    both = (more > 0) & (less > 0)
    scale = more + less if size is None else more + less + size
    scale = np.where(scale > 0, scale, 1.0)
    error = np.where(both, np.log(np.where(both, more, 1.0) / np.where(both, less, 1.0)), (more - less) / scale)
    return error, np.where(both, 1.0 / np.where(both, more, 1.0), 1.0 / scale), np.where(
        both, 1.0 / np.where(both, less, 1.0), 1.0 / scale)


def _solve(matrix: Array, right: Array) -> Array:
    if not len(right):
        return right
    try:
        result: Array = np.linalg.solve(matrix, right)
        return result
    except np.linalg.LinAlgError:
        return np.full(len(right), np.nan)
