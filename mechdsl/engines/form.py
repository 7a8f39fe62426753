"""The lowered programme as arrays: rows = coefficients times instances of templates + linear terms + constants.

Compiled once. `at` fills in a set of parameter values and costs next to nothing where nothing is open; `Point` holds
the templates' values and derivatives at one `x`, each computed at most once. Both Ipopt's callbacks and the
refinement read them; nothing here knows of a solver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.engines.rendering import ArrayFunction, render
from mechdsl.engines.templates import Kernel
from mechdsl.engines.terms import Block, Lowered, Opening, Piece, Positions, RowBlock
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Letter, Quantity

__all__ = ["Family", "Form", "Numbers", "Point", "Terms", "added"]

_DENSE = 20_000  # entries of the matrix (instances and columns -> rows) up to which it is held dense
_MERGED = 0.7  # instances are merged when at most this share of them are distinct

Open = tuple[tuple[slice, Opening], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """`rows[i]` gains `weight[i]` times the value at `source[i]`. Openings multiply slices of the weight."""

    rows: Positions
    source: Positions
    weight: Array
    opens: Open
    aligned: bool  # source is 0, 1, 2, ...


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """All distinct instances of one template, and the terms they stand in."""

    kernel: Kernel
    columns: tuple[Positions, ...]
    factors: tuple[Array | float, ...]
    factor_opens: tuple[Open, ...]
    size: int
    terms: Terms


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """The form's coefficients at one set of parameter values.

    Args:
        weights, factors: by family.
        linear: of the linear terms.
        constant: (rows + 1,) decision-free part of the objective (row 0) and the rows.
        lower, upper: (columns,) bounds.
        present: (rows,) false where a condition excludes the row; None when all are present.
        matrix: (rows + 1, instances + columns) weights as one matrix, where that is small enough to beat a reduction.
        orthant: whether the bounds are `x >= 0` throughout.
        gains: whether in addition no term can be negative nor fall, and all rows are `>=`.
    """

    weights: tuple[Array, ...]
    factors: tuple[tuple[Array | float, ...], ...]
    linear: Array
    constant: Array
    lower: Array
    upper: Array
    present: npt.NDArray[np.bool_] | None
    matrix: Array | None
    orthant: bool
    gains: bool


class Form:
    """The arrays of a programme, parameters still open.

    Attributes:
        n, m: columns (variables, auxiliary ones included) and rows.
        blocks, row_blocks: which columns and rows belong to what.
        relation: (m,) +1 for `body >= 0`, -1 for `body <= 0`, 0 for `body == 0`.
        defined_by: (m,) whether the row defines or bounds an auxiliary variable.
        families, linear, constants: the terms.
    """

    def __init__(self, lowered: Lowered) -> None:
        self.blocks: tuple[Block, ...] = lowered.blocks
        self.row_blocks: tuple[RowBlock, ...] = lowered.row_blocks
        self.n, self.m = lowered.columns, lowered.rows
        self.smooth = lowered.smooth
        self.relation = np.zeros(self.m, dtype=np.int8)
        self.auxiliary_row = np.zeros(self.m, dtype=bool)
        for block in self.row_blocks:
            at = slice(block.start - 1, block.start - 1 + block.size)
            self.relation[at] = {">=": 1, "<=": -1, "==": 0}[block.constraint.relation]
            self.auxiliary_row[at] = block.auxiliary
        groups: dict[Any, list[Piece]] = {}
        for piece in lowered.pieces:
            groups.setdefault((piece.template, piece.slots, piece.factor_symbols), []).append(piece)
        linear, constant, families = [], [], []
        for (template, slots, factors), pieces in groups.items():
            if not slots:
                constant += pieces
            elif template == slots[0]:
                linear += pieces
            else:
                families.append(_family(Kernel(template, slots, factors), pieces))
        self.families = tuple(families)
        self.linear = _terms(linear, [np.concatenate([p.columns[0] for p in linear])] if linear else [])[0]
        self.constants = _terms(constant, [])[0]
        self.above = bool(np.all(self.relation == 1))
        self.instances = sum(f.size for f in self.families)
        self.dense = (self.m + 1) * (self.instances + self.n) <= _DENSE
        # Auxiliary columns in the order in which they can be worked out, with the rows that say what they are.
        self.definitions = [
            (b, [self._part(r) for r in self.row_blocks if r.defines is b]) for b in self.blocks if b.auxiliary
        ]
        self._bounds = [(b, formula) for b in self.blocks for formula in (b.variable.lower, b.variable.upper)]
        self._opened, self._openings = self._rendered(lowered)
        self._closed = None if self._opened else self._fill({}, [])

    def _part(self, rows: RowBlock) -> Part:
        """A row block with its terms, but for the one in the column it defines."""
        assert rows.defines is not None

        def inside(t: Terms) -> Positions:
            return np.flatnonzero((t.rows >= rows.start) & (t.rows < rows.start + rows.size))

        linear = inside(self.linear)
        own = self.linear.source[linear]
        others = (own < rows.defines.start) | (own >= rows.defines.start + rows.defines.size)
        return Part(rows, [inside(f.terms) for f in self.families], linear[others])

    def _rendered(self, lowered: Lowered) -> tuple[ArrayFunction | None, list[Opening]]:
        """Everything that has to be evaluated for each solve, as one function."""
        every = [f.terms.opens for f in self.families] + [o for f in self.families for o in f.factor_opens]
        openings = [o for opens in [*every, self.linear.opens, self.constants.opens] for _, o in opens]
        self._static_bounds: list[Array | None] = []
        outputs = [(o.formula, o.letters) for o in openings]
        for block, formula in self._bounds:
            letters = block.variable.letters
            if any(q in lowered.opens for q in formula.atoms(Quantity)):
                self._static_bounds.append(None)
                outputs.append((formula, letters))
            else:
                self._static_bounds.append(evaluate(formula, lowered.data, letters).ravel())
        self._conditional = [b for b in self.row_blocks if b.condition != sp.true]
        outputs += [(b.condition, b.constraint.letters) for b in self._conditional]
        return (render(outputs, lowered.opens, lowered.data) if outputs else None), openings

    @property
    def closed_bounds(self) -> bool:
        """Whether no bound depends on open parameters."""
        return all(bound is not None for bound in self._static_bounds)

    def at(self, parameters: Mapping[Quantity, Array]) -> Numbers:
        """The coefficients at these values of the open parameters."""
        if self._closed is not None:
            return self._closed
        assert self._opened is not None
        return self._fill(parameters, self._opened(parameters))

    def _fill(self, parameters: Mapping[Quantity, Array], results: Sequence[Array]) -> Numbers:
        stream = iter(results)
        positions = iter(o.positions for o in self._openings)

        def opened(base: Any, opens: Open, size: int) -> Any:
            if not opens:
                return base
            filled = np.array(base, dtype=np.float64) if np.ndim(base) else np.full(size, base)
            for at, _ in opens:
                filled[at] *= np.asarray(next(stream)).ravel()[next(positions)]
            return filled

        weights = tuple([opened(f.terms.weight, f.terms.opens, len(f.terms.rows)) for f in self.families])
        factors = tuple(
            [
                tuple([opened(q, o, f.size) for q, o in zip(f.factors, f.factor_opens, strict=True)])
                for f in self.families
            ]
        )
        linear = opened(self.linear.weight, self.linear.opens, len(self.linear.rows))
        constant = opened(self.constants.weight, self.constants.opens, len(self.constants.rows))
        bounds = [np.asarray(next(stream), dtype=np.float64).ravel() if b is None else b for b in self._static_bounds]
        present = None
        if self._conditional:
            present = np.ones(self.m, dtype=bool)
            for block in self._conditional:
                held = np.asarray(next(stream), dtype=bool).ravel()[block.members]
                present[block.start - 1 : block.start - 1 + block.size] = held
        lower, upper = np.concatenate(bounds[0::2]), np.concatenate(bounds[1::2])
        orthant = not lower.any() and bool(np.all(upper == np.inf))
        gains = (
            orthant
            and self.above
            and all(f.kernel.gains for f in self.families)
            and all(w.min(initial=0.0) >= 0 for w in (*weights, linear))
        )
        return Numbers(
            weights,
            factors,
            linear,
            added(self.constants.rows, constant, self.m + 1),
            lower,
            upper,
            present,
            self._matrix(weights, linear) if self.dense else None,
            orthant,
            gains,
        )

    def _matrix(self, weights: Sequence[Array], linear: Array) -> Array:
        width = self.instances + self.n
        size = (self.m + 1) * width
        flat = added(self.linear.rows * width + self.instances + self.linear.source, linear, size)
        start = 0
        for family, weight in zip(self.families, weights, strict=True):
            t = family.terms
            flat += added(t.rows * width + start + t.source, weight, size)
            start += family.size
        return flat.reshape(self.m + 1, width)

    def reweighted(self, numbers: Numbers, weights: Sequence[Array], linear: Array) -> Numbers:
        """The numbers with other weights."""
        matrix = self._matrix(weights, linear) if self.dense else None
        return replace(numbers, weights=tuple(weights), linear=linear, matrix=matrix)

    def by_constraint(self, rows: Array) -> dict[str, Array]:
        """Row values in the constraints' shapes, 0 where a condition excludes a row."""
        result = {}
        for block in self.row_blocks:
            if not block.auxiliary:
                values = np.zeros(int(np.prod(block.constraint.shape)))
                values[block.members] = rows[block.start - 1 : block.start - 1 + block.size]
                result[block.constraint.name] = values.reshape(block.constraint.shape)
        return result

    def by_variable(self, columns: Array) -> dict[str, Array]:
        """Column values in the variables' shapes, auxiliary ones left out."""
        return {
            b.variable.name: columns[b.start : b.start + b.size].reshape(b.shape)
            for b in self.blocks
            if not b.auxiliary
        }

    def columns(self, by_variable: Mapping[str, Array]) -> Array:
        """The columns of values by variable; 0 in the auxiliary ones."""
        result = np.zeros(self.n)
        for b in self.blocks:
            if not b.auxiliary:
                result[b.start : b.start + b.size] = np.ravel(by_variable[b.variable.name])
        return result

    def rows(self, by_constraint: Mapping[str, Array]) -> Array:
        """The rows of values by constraint; 0 in the auxiliary ones."""
        result = np.zeros(self.m)
        for r in self.row_blocks:
            if not r.auxiliary:
                result[r.start - 1 : r.start - 1 + r.size] = np.ravel(by_constraint[r.constraint.name])[r.members]
        return result

    def row_name(self, row: int) -> str:
        """`demand[video]`, of row `row` (0-based)."""
        block = next(b for b in self.row_blocks if b.start - 1 <= row < b.start - 1 + b.size)
        return _name(block.constraint.name, block.constraint.letters, int(block.members[row - block.start + 1]))

    def column_name(self, column: int) -> str:
        """`x[video]`, of column `column`."""
        block = next(b for b in self.blocks if b.start <= column < b.start + b.size)
        return _name(block.variable.name, block.variable.letters, column - block.start)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows and the terms in them: by family, and linear ones."""

    rows: RowBlock
    families: list[Positions]
    linear: Positions


class Point:
    """Values, slopes and curvatures of all template instances at one `x`, computed as they are asked for."""

    __slots__ = ("_carried", "_fixed", "_slopes", "form", "numbers", "values", "x")

    def __init__(self, form: Form, numbers: Numbers, x: Array, fixed: npt.NDArray[np.bool_] | None = None) -> None:
        self.form, self.numbers, self.x, self._fixed = form, numbers, x, fixed
        self.values: list[Array] = []
        self._carried: list[Sequence[Any]] = []
        for family, factors in zip(form.families, numbers.factors, strict=True):
            value, carried = family.kernel.value([*[x[c] for c in family.columns], *factors], family.size)
            self.values.append(value)
            self._carried.append(carried)
        self._slopes: list[list[Array]] | None = None

    def slopes(self) -> list[list[Array]]:
        """By family, by slot."""
        if self._slopes is None:
            self._slopes = []
            for number, family in enumerate(self.form.families):
                slopes, self._carried[number] = family.kernel.slopes(self._carried[number], family.size)
                if self._fixed is not None:  # a fixed variable may stand at 0, where slopes are infinite
                    slopes = [np.where(self._fixed[c], 0.0, s) for s, c in zip(slopes, family.columns, strict=True)]
                self._slopes.append(slopes)
        return self._slopes

    def curves(self) -> list[list[Array]]:
        """By family, by pair of slots."""
        self.slopes()
        every = []
        for family, carried in zip(self.form.families, self._carried, strict=True):
            curves = family.kernel.curves(carried, family.size)
            if self._fixed is not None:
                curves = [
                    np.where(self._fixed[family.columns[a]] | self._fixed[family.columns[b]], 0.0, h)
                    for h, (a, b) in zip(curves, family.kernel.pairs, strict=True)
                ]
            every.append(curves)
        return every

    def bends(self) -> list[list[Array]]:
        """By family, by turn (see `Kernel`)."""
        self.slopes()
        return [
            family.kernel.bends(carried, family.size)
            for family, carried in zip(self.form.families, self._carried, strict=True)
        ]

    def rows(self) -> Array:
        """(m + 1,) the objective and the rows' bodies."""
        if self.numbers.matrix is not None:
            body: Array = self.numbers.matrix @ np.concatenate((*self.values, self.x))
            return body + self.numbers.constant
        total = self.numbers.constant.copy()
        form = self.form
        for family, weight, value in zip(form.families, self.numbers.weights, self.values, strict=True):
            t = family.terms
            total += added(t.rows, weight * (value if t.aligned else value[t.source]), form.m + 1)
        t = form.linear
        return total + added(t.rows, self.numbers.linear * self.x[t.source], form.m + 1)

    def part(self, part: Part) -> Array:
        """The bodies of some rows, from their own terms alone: others may not be defined at this point."""
        rows = part.rows
        total = self.numbers.constant[rows.start : rows.start + rows.size].copy()
        for f, terms in enumerate(part.families):
            if len(terms):
                t = self.form.families[f].terms
                total += added(
                    t.rows[terms] - rows.start,
                    self.numbers.weights[f][terms] * self.values[f][t.source[terms]],
                    rows.size,
                )
        t, linear = self.form.linear, part.linear
        return total + added(
            t.rows[linear] - rows.start, self.numbers.linear[linear] * self.x[t.source[linear]], rows.size
        )


def _name(name: str, letters: tuple[Letter, ...], position: int) -> str:
    if not letters:
        return name
    at = np.unravel_index(position, tuple(len(a.index_set) for a in letters))
    return f"{name}[{', '.join(a.index_set.labels[int(p)] for a, p in zip(letters, at, strict=True))}]"


def added(at: Positions, values: Array, size: int) -> Array:
    """(size,) the sums of `values` by position."""
    if not len(at):
        return np.zeros(size)
    return np.asarray(np.bincount(at, values, minlength=size), dtype=np.float64)


def _family(kernel: Kernel, pieces: list[Piece]) -> Family:
    columns = [np.concatenate([p.columns[a] for p in pieces]) for a in range(kernel.arity)]
    factors: list[Array] = []
    opens: list[Open] = []
    for number in range(len(pieces[0].factors)):
        parts, held, start = [], [], 0
        for p in pieces:
            factor = p.factors[number]
            stop = start + len(p.rows)
            if isinstance(factor, Opening):
                held.append((slice(start, stop), factor))
                parts.append(np.ones(stop - start))
            else:
                parts.append(factor)
            start = stop
        factors.append(np.concatenate(parts))
        opens.append(tuple(held))
    size = len(columns[0])
    order = np.arange(size)
    merged = None if any(opens) else _merged(columns, factors)
    if merged is not None:
        kept, source = merged
        terms, _ = _terms(pieces, [source])
        columns, factors, size = [c[kept] for c in columns], [q[kept] for q in factors], len(kept)
    elif any(opens) or any(p.opening for p in pieces):
        terms, _ = _terms(pieces, [order])
    else:
        terms, order = _terms(pieces, [order])
        if not terms.aligned:  # nothing is tied to the order: let the instances stand in that of their terms
            columns, factors = [c[order] for c in columns], [q[order] for q in factors]
            terms = Terms(terms.rows, np.arange(size), terms.weight, (), True)
    plain: list[Array | float] = [
        float(q[0]) if not o and size and not np.any(np.diff(q)) else q for q, o in zip(factors, opens, strict=True)
    ]
    return Family(kernel, tuple(columns), tuple(plain), tuple(opens), size, terms)


def _terms(pieces: list[Piece], source: list[Positions]) -> tuple[Terms, Positions]:
    """The pieces' terms in the order of rows, and that order."""
    if not pieces:
        none = np.zeros(0, dtype=np.intp)
        return Terms(none, none, np.zeros(0), (), True), none
    rows = np.concatenate([p.rows for p in pieces])
    weight = np.concatenate([p.weight for p in pieces])
    at = source[0] if source else np.arange(len(rows))
    opens, start = [], 0
    for p in pieces:
        if p.opening is not None:
            opens.append((slice(start, start + len(p.rows)), p.opening))
        start += len(p.rows)
    order = np.arange(len(rows))
    if not opens and np.any(np.diff(rows) < 0):
        order = np.argsort(rows, kind="stable")
        rows, weight, at = rows[order], weight[order], at[order]
    aligned = len(at) > 0 and bool(np.array_equal(at, np.arange(len(at))))
    return Terms(rows, at, weight, tuple(opens), aligned), order


def _merged(columns: Iterable[Positions], factors: Iterable[Array]) -> tuple[Positions, Positions] | None:
    """First instance of each distinct one, and for each instance which that is; None where there is little to merge."""
    code: Any = 0
    for values in [*factors, *columns]:
        distinct, inverse = np.unique(values, return_inverse=True)
        code = np.unique(code * len(distinct) + inverse, return_inverse=True)[1]
        if int(np.max(code)) + 1 > _MERGED * len(values):
            return None
    _, kept, source = np.unique(code, return_index=True, return_inverse=True)
    return kept, source
