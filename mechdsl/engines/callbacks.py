"""Ipopt's five questions about a form, answered in scaled variables `z = x / scale` with few array operations.

The structure (which entry of the Jacobian and the Hessian a term adds to) is found once. For each solve the scales are
folded into the coefficients, so that a callback is: gather, template, multiply, reduce.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from mechdsl.engines.form import Form, Numbers, Point, added
from mechdsl.engines.terms import Positions
from mechdsl.evaluate import Array

__all__ = ["Callbacks", "Scales", "Structure"]

At = slice | Positions


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """`x = column * z`; row `r` is multiplied by `row[r]`; an objective term in block `b` of columns by `objective[b]`.

    Blocks are the connected components of the programme: what they add to the objective can be scaled one by one
    without moving the minimiser, and each then counts for about 1.
    """

    column: Array
    row: Array
    objective: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Slot:
    """Where one slot's slopes go in (gradient, Jacobian): position, and whether no position occurs twice.

    `source`: which instance each term takes, None where they are in order.
    """

    family: int
    slot: int
    at: At
    single: bool
    columns: Positions
    source: Positions | None


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Where one pair's curvatures go in the Hessian; `twice` where both slots hold the same variable."""

    family: int
    pair: int
    at: At
    single: bool
    twice: Array | None


class Structure:
    """Sparsity of gradient, Jacobian and Hessian, and the map from terms to their entries.

    Attributes:
        component: (columns,) number of the independent block a column belongs to; row_component: (rows,) likewise.
        scale_index: by family, then linear terms: which entry of (row scales, objective scales) multiplies each term.
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        n, m = form.n, form.m
        contributions = [
            (f.terms.rows, f.columns[a][f.terms.source]) for f in form.families for a in range(f.kernel.arity)
        ]
        t = form.linear
        keys = [_entry_key(rows, columns, n) for rows, columns in [*contributions, (t.rows, t.source)]]
        # Entries below n are the gradient (row 0); the Jacobian's come in the order in which terms first need them.
        entries, at = _numbered(keys, n)
        self.jacobian_rows, self.jacobian_columns = np.divmod(entries - n, n)
        self.jacobian_size = len(entries)
        self.slots: list[_Slot] = []
        number = 0
        for f, family in enumerate(form.families):
            for a in range(family.kernel.arity):
                source = None if family.terms.aligned else family.terms.source
                self.slots.append(_Slot(f, a, *_target(at[number]), contributions[number][1], source))
                number += 1
        self.linear_at = at[-1]
        self.pairs, self.hessian_rows, self.hessian_columns = self._hessian()
        self.component = self._components()
        self.instance_component = self.component[np.concatenate([*(f.columns[0] for f in form.families), np.arange(n)])]
        self.row_component = np.zeros(m, dtype=np.intp)
        self.row_component[self.jacobian_rows[n:]] = self.component[self.jacobian_columns[n:]]
        self.objective_column = [f.columns[0][f.terms.source] for f in form.families]
        self.scale_index = [
            np.where(rows > 0, rows - 1, m + self.component[columns])
            for rows, columns in [
                *((f.terms.rows, c) for f, c in zip(form.families, self.objective_column, strict=True)),
                (t.rows, t.source),
            ]
        ]
        self.sorted = [bool(np.all(np.diff(f.terms.rows) >= 0)) for f in form.families]
        self.starts = [np.searchsorted(f.terms.rows, np.arange(m + 1)) for f in form.families]

    def _hessian(self) -> tuple[list[_Pair], Positions, Positions]:
        n = self.form.n
        keys, found = [], []
        for f, family in enumerate(self.form.families):
            for p, (a, b) in enumerate(family.kernel.pairs):
                one, other = family.columns[a], family.columns[b]
                keys.append(np.maximum(one, other) * n + np.minimum(one, other))
                same = (one == other) & (a != b)
                found.append((f, p, 1.0 + same if same.any() else None))
        if not keys:
            none = np.zeros(0, dtype=np.intp)
            return [], none, none
        entries, at = _numbered(keys, 0)
        pairs = [_Pair(f, p, *_target(where), twice) for (f, p, twice), where in zip(found, at, strict=True)]
        rows, columns = np.divmod(entries, n)
        return pairs, rows, columns

    def _components(self) -> Positions:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n, m = self.form.n, self.form.m
        # Columns are joined through the rows they stand in, and through terms of the objective that hold several.
        ends = [(n + self.jacobian_rows, self.jacobian_columns), (self.hessian_rows, self.hessian_columns)]
        for family in self.form.families:
            ends += [(family.columns[0], c) for c in family.columns[1:]]
        one, other = (np.concatenate([e[side] for e in ends]) for side in (0, 1))
        graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(n + m, n + m))
        labels: Positions = connected_components(graph, directed=False)[1].astype(np.intp)
        _, compact = np.unique(labels[:n], return_inverse=True)
        return compact.astype(np.intp)


Answer = TypeVar("Answer")


def _kept(method: Callable[..., Answer]) -> Callable[..., Answer]:
    """`method`, what it raises kept: cyipopt drops it, Ctrl-C included, and goes on."""

    @functools.wraps(method)
    def asked(self: Callbacks, *arguments: Any) -> Answer:
        try:
            return method(self, *arguments)
        except BaseException as failure:
            self.failure = failure
            raise

    return asked


class Callbacks:
    """What cyipopt calls, loaded with the numbers and scales of one solve at a time. Keeps its last point.

    Attributes:
        failure: what a callback raised; None if nothing.
        hessians: how many Hessians were asked for, which is Ipopt's number of iterations.
        z: the last point; None before the first.
    """

    def __init__(self, structure: Structure) -> None:
        form = structure.form
        self.structure, self.form, self.n = structure, form, form.n
        ends = np.cumsum([0, *(f.size for f in form.families)]).tolist()
        self._spans = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self._jacobian = structure.jacobian_rows[form.n :], structure.jacobian_columns[form.n :]
        self._hessian = structure.hessian_rows, structure.hessian_columns

    def load(self, numbers: Numbers, scales: Scales) -> None:
        """Fold the scales into the coefficients of the next solve."""
        structure, form = self.structure, self.form
        self.numbers, self.scale = numbers, scales.column
        scale = np.concatenate((scales.row, scales.objective))
        weights = [w * scale[i] for w, i in zip([*numbers.weights, numbers.linear], structure.scale_index, strict=True)]
        self.weights, linear = weights[:-1], weights[-1]
        # Rows keep their constants on the other side, in the bounds; the objective's is added where it is reported.
        self.matrix: Any = None
        if numbers.matrix is not None:
            # The objective's scale depends on the block as well, so its row is scaled by instance and column.
            self.matrix = numbers.matrix * np.concatenate(([1.0], scales.row))[:, np.newaxis]
            self.matrix[0] *= scales.objective[structure.instance_component]
        else:
            self.sparse = [
                None if f.terms.aligned and s else _sparse(f.terms.rows, f.terms.source, w, form.m + 1, f.size)
                for f, w, s in zip(form.families, self.weights, structure.sorted, strict=True)
            ]
            self.linear = _sparse(form.linear.rows, form.linear.source, linear, form.m + 1, form.n)
        self.slope_weights = [self.weights[s.family] * scales.column[s.columns] for s in structure.slots]
        self.slope_base = added(
            structure.linear_at, linear * scales.column[form.linear.source], structure.jacobian_size
        )
        self.curve_scale = scales.column[structure.hessian_rows] * scales.column[structure.hessian_columns]
        fixed = numbers.lower == numbers.upper
        self.fixed = fixed if fixed.any() else None
        self.hessians = 0
        self.failure: BaseException | None = None
        self.z: Array | None = None
        self._key = b""

    def _move(self, z: Array, key: bytes) -> None:
        self.z, self._key = z.copy(), key
        self._point = point = Point(self.form, self.numbers, z * self.scale, self.fixed)
        self._slopes: Array | None = None
        if self.matrix is not None:
            self._body: Array = self.matrix @ np.concatenate((*point.values, point.x))
            return
        total = self.linear @ point.x
        for number, value in enumerate(point.values):
            matrix = self.sparse[number]
            if matrix is None:
                total += _reduced(self.weights[number] * value, self.structure.starts[number])
            else:
                total += matrix @ value
        self._body = total

    def _derivatives(self, z: Array) -> Array:
        if (key := z.tobytes()) != self._key:
            self._move(z, key)
        if self._slopes is None:
            slopes = self._point.slopes()
            self._slopes = out = self.slope_base.copy()
            for slot, weight in zip(self.structure.slots, self.slope_weights, strict=True):
                slope = slopes[slot.family][slot.slot]
                value = weight * slope if slot.source is None else weight * slope[slot.source]
                if slot.single:
                    out[slot.at] += value
                else:
                    out += added(slot.at, value, len(out))  # type: ignore[arg-type]  # slices are single
        return self._slopes

    # The names are cyipopt's.

    @_kept
    def objective(self, z: Array) -> float:
        if (key := z.tobytes()) != self._key:
            self._move(z, key)
        return float(self._body[0])

    @_kept
    def constraints(self, z: Array) -> Array:
        if (key := z.tobytes()) != self._key:
            self._move(z, key)
        return self._body[1:]

    @_kept
    def gradient(self, z: Array) -> Array:
        return self._derivatives(z)[: self.n]

    @_kept
    def jacobian(self, z: Array) -> Array:
        return self._derivatives(z)[self.n :]

    def jacobianstructure(self) -> tuple[Positions, Positions]:
        return self._jacobian

    def hessianstructure(self) -> tuple[Positions, Positions]:
        return self._hessian

    @_kept
    def hessian(self, z: Array, multipliers: Array, factor: float) -> Array:
        if (key := z.tobytes()) != self._key:
            self._move(z, key)
        self.hessians += 1
        curves = self._point.curves()
        weights = self._term_weights(np.concatenate(([factor], multipliers)))
        out = None
        for pair in self.structure.pairs:
            value = weights[pair.family] * curves[pair.family][pair.pair]
            if pair.twice is not None:
                value = value * pair.twice
            if pair.single:
                out = np.zeros(len(self.curve_scale)) if out is None else out
                out[pair.at] += value
            else:
                part = added(pair.at, value, len(self.curve_scale))  # type: ignore[arg-type]  # slices are single
                out = part if out is None else out + part
        return self.curve_scale if out is None else out * self.curve_scale  # no pairs: both are empty

    def intermediate(self, *state: Any) -> bool:
        """Whether Ipopt is to go on."""
        del state
        return self.failure is None

    def _term_weights(self, by_row: Array) -> list[Array]:
        """For each instance of each family, the sum of its coefficients with the rows' multipliers."""
        if self.matrix is not None:
            every = by_row @ self.matrix
            return [every[span] for span in self._spans]
        weights = []
        for number, family in enumerate(self.form.families):
            matrix = self.sparse[number]
            weights.append(self.weights[number] * by_row[family.terms.rows] if matrix is None else by_row @ matrix)
        return weights


def _entry_key(rows: Positions, columns: Positions, n: int) -> Positions:
    """Row 0 is the gradient, keys 0 to n - 1; row r of the Jacobian starts at r n."""
    return rows * n + columns


def _numbered(keys: list[Positions], reserved: int) -> tuple[Positions, list[Positions]]:
    """The distinct keys, `0 .. reserved - 1` first and then as they occur, and where each key stands among them."""
    every = np.concatenate([np.arange(reserved), *keys])
    distinct, first, inverse = np.unique(every, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    at = rank[inverse][reserved:]
    ends = np.cumsum([len(k) for k in keys])
    return distinct[order], [at[end - len(k) : end] for k, end in zip(keys, ends, strict=True)]


def _target(at: Positions) -> tuple[At, bool]:
    """A slice where positions are consecutive (cheap), and whether none occurs twice."""
    if len(at) and np.array_equal(at, np.arange(at[0], at[0] + len(at))):
        return slice(int(at[0]), int(at[0]) + len(at)), True
    return at, len(np.unique(at)) == len(at)


def _reduced(values: Array, starts: Positions) -> Array:
    """Sums between starts; a row without terms gives 0."""
    if len(values) == 0:
        return np.zeros(len(starts))
    sums: Array = np.add.reduceat(values, np.minimum(starts, len(values) - 1))
    sums[starts == np.append(starts[1:], len(values))] = 0.0
    return sums


def _sparse(rows: Positions, columns: Positions, weight: Array, height: int, width: int) -> Any:
    from scipy.sparse import csr_array

    return csr_array((weight, (rows, columns)), shape=(height, width))
