"""A linear programme at many costs: a vertex found once is the answer in a whole cell of them.

Where only costs are open, every basis that was ever optimal says for which costs it is so again: those whose
multipliers are not negative. Costs that no known cell holds are solved in another way, and what is found there adds a
cell. Answers are exact vertices, and are judged like any others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mechdsl.engines.form import Form, Numbers
from mechdsl.evaluate import Array

__all__ = ["Cells", "Vertices"]

_ACTIVE = 1e-8  # of a row's terms: slack up to which a basis may hold it, to be confirmed by the exact vertex
_FEASIBLE = 1e-12
_DEPENDENT = 1e-9  # of its length: what is left of a normal that the basis already spans
_DUAL = 1e-12  # of the costs: rounding of multipliers
_MOST = 400  # cells kept
_LARGEST = 200  # columns and rows up to which bases are dense matrices

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Cell:
    """A basis.

    Args:
        x: (n,) the vertex.
        inverse: (n, n) `multipliers = costs @ inverse`, oriented so that those of inequalities are >= 0.
        free: (n,) whether of an equation.
        rows: (n,) the row each multiplier belongs to, -1 for a bound; signs: (n,) its orientation.
    """

    x: Array
    inverse: Array
    free: Mask
    rows: npt.NDArray[np.intp]
    signs: Array

    def holds(self, costs: Array) -> tuple[Mask, Array]:
        """(N,) whether this vertex is optimal at costs (N, n); (N, n) its multipliers there."""
        multipliers = costs @ self.inverse
        rounding = _DUAL * (np.abs(costs) @ np.abs(self.inverse))
        good = np.all((multipliers >= -rounding) | self.free, axis=1)
        return good, np.where(self.free, multipliers, np.maximum(multipliers, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Vertices:
    """What known cells say of N costs.

    Args:
        known: (N,) whether some cell holds them.
        x: (N, n); multipliers: (N, rows); low, high: (N, n) a box that holds every optimum.
    """

    known: Mask
    x: Array
    multipliers: Array
    low: Array
    high: Array


class Cells:
    """The cells of a linear programme of which only costs are open. Made by `Cells.of`."""

    def __init__(self, form: Form, numbers: Numbers) -> None:
        self.n, self.m = form.n, form.m
        body = np.zeros((form.m + 1, form.n))
        np.add.at(body, (form.linear.rows, form.linear.source), numbers.linear)
        self.body, self.constant = body[1:], numbers.constant[1:]
        self.relation = form.relation
        self.lower, self.upper = numbers.lower, numbers.upper
        self.cells: list[_Cell] = []

    @classmethod
    def of(cls, form: Form, numbers: Numbers) -> Cells | None:
        """The cells, none known yet; None where the programme is not linear or more than its costs is open."""
        opened = any(np.any(np.asarray(form.linear.rows)[at] > 0) for at, _ in form.linear.opens)
        fixed = not form.constants.opens and numbers.present is None and form.closed_bounds
        plain = form.smooth and not form.families and not any(b.auxiliary for b in form.blocks)
        if not plain or opened or not fixed or form.n + form.m > _LARGEST:
            return None
        return cls(form, numbers)

    def at(self, costs: Array) -> Vertices:
        """The vertices at minimised costs (N, n); what has a cost of 0, or one that is not finite, is left alone."""
        count = len(costs)
        x, multipliers = np.full((count, self.n), np.nan), np.zeros((count, self.m))
        known = np.zeros(count, dtype=bool)
        left = np.flatnonzero(np.all(np.isfinite(costs) & (costs != 0), axis=1))
        for place, cell in enumerate(self.cells):
            if not len(left):
                break
            good, found = cell.holds(costs[left])
            taken = left[good]
            known[taken], x[taken] = True, cell.x
            of_rows = cell.rows >= 0
            multipliers[np.ix_(taken, cell.rows[of_rows])] = (found[good] * cell.signs)[:, of_rows]
            left = left[~good]
            if place and len(taken) > count // 2:  # the most useful first, next time
                self.cells.insert(0, self.cells.pop(place))
        return Vertices(known, x, multipliers, *self._box(costs, x))

    def _box(self, costs: Array, x: Array) -> tuple[Array, Array]:
        """No column can cost more than what all cost here above the least that bounds allow."""
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            rising = costs > 0
            bottom = np.where(rising, self.lower, self.upper)
            spare = np.sum(costs * (x - bottom), axis=1, keepdims=True) * (1 + 1e-9) / np.abs(costs)
            low = np.where(rising, self.lower, np.maximum(self.lower, self.upper - spare))
            high = np.where(rising, np.minimum(self.upper, self.lower + spare), self.upper)
        return low, high

    def learn(self, x: Array, multipliers: Array, costs: Array) -> bool:
        """Add the cell of an optimum; whether it was a vertex and there was room.

        Args:
            x: (n,) the optimum.
            multipliers: (rows,) of the constraints there.
            costs: (n,) minimised.
        """
        if len(self.cells) >= _MOST:
            return False
        normals, rows, signs, free, worth, sides = self._active(x, multipliers, costs)
        basis = _independent(normals, np.lexsort((-worth, ~free)), self.n)
        if len(basis) < self.n:
            return False
        matrix = normals[basis]
        vertex: Array = np.linalg.solve(matrix, sides[basis]).astype(np.float64)
        vertex = np.where(np.abs(vertex - self.lower) <= _FEASIBLE * (1 + np.abs(vertex)), self.lower, vertex)
        vertex = np.where(np.abs(vertex - self.upper) <= _FEASIBLE * (1 + np.abs(vertex)), self.upper, vertex)
        if not self._feasible(vertex):
            return False
        cell = _Cell(vertex, np.linalg.inv(matrix).astype(np.float64), free[basis], rows[basis], signs[basis])
        if not cell.holds(costs[None, :])[0][0]:
            return False
        self.cells.append(cell)
        return True

    def _active(
        self, x: Array, multipliers: Array, costs: Array
    ) -> tuple[Array, npt.NDArray[np.intp], Array, Mask, Array, Array]:
        """What holds with equality: normals inwards, rows, orientations, whether equations, worth, sides."""
        size = np.abs(self.body) @ np.abs(x) + np.abs(self.constant) + 1e-300
        slack = np.abs(self.body @ x + self.constant)
        at = np.flatnonzero((self.relation == 0) | (slack <= _ACTIVE * size))
        sign = np.where(self.relation[at] < 0, -1.0, 1.0)
        reduced = costs - multipliers @ self.body
        scale = 1 + np.abs(x)
        low = np.flatnonzero(np.abs(x - self.lower) <= _ACTIVE * scale)
        high = np.flatnonzero((np.abs(self.upper - x) <= _ACTIVE * scale) & (self.lower < self.upper))
        unit = np.eye(self.n)
        normals = np.concatenate([sign[:, None] * self.body[at], unit[low], -unit[high]])
        rows = np.concatenate([at, np.full(len(low) + len(high), -1)])
        signs = np.concatenate([sign, np.ones(len(low)), -np.ones(len(high))])
        free = np.concatenate([self.relation[at] == 0, self.lower[low] == self.upper[low], np.zeros(len(high), bool)])
        worth = np.concatenate([
            np.abs(multipliers[at]) * size[at], np.maximum(reduced[low], 0.0) * scale[low],
            np.maximum(-reduced[high], 0.0) * scale[high],
        ])  # fmt: skip
        sides = np.concatenate([-sign * self.constant[at], self.lower[low], -self.upper[high]])
        return normals, rows.astype(np.intp), signs, free.astype(bool), worth, sides

    def _feasible(self, x: Array) -> bool:
        body = self.body @ x + self.constant
        rounding = _FEASIBLE * (np.abs(self.body) @ np.abs(x) + np.abs(self.constant))
        short = np.where(self.relation > 0, -body, np.where(self.relation < 0, body, np.abs(body)))
        return bool(np.all(short <= rounding) and np.all((x >= self.lower) & (x <= self.upper)))


def _independent(normals: Array, order: npt.NDArray[np.intp], size: int) -> list[int]:
    """Places of linearly independent normals, the first in the order that will do."""
    chosen: list[int] = []
    spanned = np.zeros((0, normals.shape[1]))
    for place in order:
        length = float(np.linalg.norm(normals[place]))
        rest = normals[place] - spanned.T @ (spanned @ normals[place])
        rest = rest - spanned.T @ (spanned @ rest)
        if length and np.linalg.norm(rest) > _DEPENDENT * length:
            chosen.append(int(place))
            spanned = np.concatenate([spanned, rest[None, :] / np.linalg.norm(rest)])
            if len(chosen) == size:
                break
    return chosen
