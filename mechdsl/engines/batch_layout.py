"""A form as flat arrays that machine code can walk, and the few numbers of it that change from problem to problem.

All coefficients, factors and bounds stand in one vector. A batch holds, for each problem, only the entries that open
parameters move: two numbers at two domains, where the vector has twenty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.engines.batch_tape import Tape, tape_of
from mechdsl.engines.form import Open
from mechdsl.engines.search import Machine
from mechdsl.engines.terms import Opening, Positions
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Letter, Quantity

__all__ = ["Batchable", "Layout", "Refusal", "batchable"]

FEW = 12  # columns up to which the natural point is tried before the path
LARGEST = 400  # columns and rows together, up to which dense systems are the fast ones

Whole = npt.NDArray[np.int64]


class Layout(NamedTuple):
    """The programme's structure, the same for all problems, in the order of the machine code's own `Layout`.

    Positions are into the vector of numbers unless said; terms' weights come first in it.

    Args:
        n, m: columns and rows; terms, linear, constants: how many terms of each kind.
        families, slots, most_turns, most_factors: families of templates, and the widths of their tables.
        definitions: auxiliary columns; served: pairs of a row proper and a column in it.
        at_linear, at_constant, at_lower, at_upper: where those stand in the vector.
        registers: of the largest tape.
        separable, monotone, powers: whether it can be so at all; separate: whether the objective is a sum of costs.
        numbers, instances: lengths; few: columns up to which the natural point is tried first.
        family: (F, 10) first instance, last + 1, arity, factors, first step, ends of the three stages, first constant,
            last constant + 1.
        steps: (S, 4) of all tapes; constant_register, constant_value: of all families.
        result: (F, 1 + slots + turns) registers of value, slopes and bends.
        column: (J, slots) columns of each instance; factor: (J, factors) positions.
        turns: (F,) how many; turn_one, turn_other: (F, turns) slots; turn_done: whether the slot is multiplied in.
        term_row, term_instance, term_family, linear_row, linear_column, constant_row: of each term.
        relation, sign: (m,) of rows, the sign +1 for equalities; own: (n,) columns that are not auxiliary.
        define_column, define_row: auxiliary columns in the order in which they can be worked out.
        row_start, row_term, row_linear_start, row_linear: terms by row; cost_...: the objective's by column.
        served_row, served_column: see `served`.
        term_sign, linear_sign: what signs weights must have for the programme to be monotone.
        exponent: (n,) positions of the costs' exponents, -1 for 1.
    """

    n: int
    m: int
    terms: int
    linear: int
    constants: int
    families: int
    slots: int
    most_turns: int
    most_factors: int
    definitions: int
    served: int
    at_linear: int
    at_constant: int
    at_lower: int
    at_upper: int
    registers: int
    separable: int
    monotone: int
    powers: int
    separate: int
    numbers: int
    instances: int
    few: int
    family: Whole
    steps: Whole
    constant_register: Whole
    constant_value: Array
    result: Whole
    column: Whole
    factor: Whole
    turns: Whole
    turn_one: Whole
    turn_other: Whole
    turn_done: Whole
    term_row: Whole
    term_instance: Whole
    term_family: Whole
    linear_row: Whole
    linear_column: Whole
    constant_row: Whole
    relation: Array
    sign: Array
    own: Whole
    define_column: Whole
    define_row: Whole
    row_start: Whole
    row_term: Whole
    row_linear_start: Whole
    row_linear: Whole
    cost_start: Whole
    cost_term: Whole
    cost_linear_start: Whole
    cost_linear: Whole
    served_row: Whole
    served_column: Whole
    term_sign: Array
    linear_sign: Array
    exponent: Whole


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a programme is solved one problem at a time: a sentence."""

    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Batchable:
    """A programme laid out.

    Args:
        layout: its structure.
        numbers: the vector, open parameters at 1.
        open_at: (P,) entries that open parameters multiply.
        openings: by which formulas, each for the next entries of `open_at`.
        data: what the formulas need besides the parameters.
    """

    layout: Layout
    numbers: Array
    open_at: Whole
    openings: tuple[tuple[sp.Expr, tuple[Letter, ...], Positions], ...]
    data: Mapping[Quantity, Array]

    def opened(self, parameters: Mapping[Quantity, Array], count: int) -> Array:
        """(N, P) what the open entries are multiplied by in each problem."""
        values = {**self.data, **parameters}
        result = np.empty((count, len(self.open_at)))
        start = 0
        for formula, letters, positions in self.openings:
            table = np.asarray(evaluate(formula, values, letters), dtype=np.float64)
            size = int(np.prod([len(a.index_set) for a in letters]))
            flat = table.reshape(-1, size)[:, positions]
            result[:, start : start + len(positions)] = flat
            start += len(positions)
        return result


def batchable(machine: Machine) -> Batchable | Refusal:
    """The layout of a compiled programme, or why it has none."""
    form = machine.form
    if machine.program.convex is not True:
        return Refusal("the programme was not shown to be convex")
    if not form.smooth:
        return Refusal("its formulas have kinks")
    if form.n + form.m > LARGEST:
        return Refusal(f"it has more than {LARGEST} columns and rows")
    if any(b.condition != sp.true for b in form.row_blocks):
        return Refusal("which constraints stand depends on open parameters")
    tapes = [tape_of(f.kernel) for f in form.families]
    whole = [t for t in tapes if t is not None]
    if len(whole) < len(tapes):
        return Refusal("it holds a function that the batch engine does not know")
    return _Writer(machine, whole).run()


class _Writer:
    def __init__(self, machine: Machine, tapes: list[Tape]) -> None:
        self.machine, self.form, self.tapes = machine, machine.form, tapes
        self.parts: list[Array] = []
        self.size = 0
        self.open_at: list[Positions] = []
        self.openings: list[tuple[sp.Expr, tuple[Letter, ...], Positions]] = []

    def add(self, values: Any, opens: Open = ()) -> int:
        """Append numbers to the vector; where they begin."""
        start = self.size
        part = np.atleast_1d(np.array(values, dtype=np.float64))
        self.parts.append(part)
        self.size += len(part)
        for at, opening in opens:
            self.open(np.arange(start, start + len(part))[at], opening)
        return start

    def open(self, at: Positions, opening: Opening) -> None:
        self.open_at.append(at)
        self.openings.append((opening.formula, opening.letters, opening.positions))

    def bound(self, which: int) -> int:
        """The lower (0) or upper (1) bounds."""
        data, opens = self.machine.program.data, self.machine.program.parameters
        start = self.size
        for block in self.form.blocks:
            formula = (block.variable.lower, block.variable.upper)[which]
            letters = block.variable.letters
            if any(q in opens for q in formula.atoms(Quantity)):
                at = self.add(np.ones(block.size))
                every = np.arange(block.size, dtype=np.intp)
                self.open(every + at, Opening(formula, letters, every))
            else:
                self.add(np.broadcast_to(evaluate(formula, data, letters), block.shape).ravel())
        return start

    def run(self) -> Batchable:
        form, machine = self.form, self.machine
        families = form.families
        for f in families:
            self.add(f.terms.weight, f.terms.opens)
        at_linear = self.add(form.linear.weight, form.linear.opens)
        at_constant = self.add(form.constants.weight, form.constants.opens)
        factors = self.factors()
        at_lower, at_upper = self.bound(0), self.bound(1)
        starts = np.cumsum([0, *(f.size for f in families)])
        slots = max((f.kernel.arity for f in families), default=1)
        turns = max((len(f.kernel.turns) for f in families), default=1)
        column = np.zeros((max(1, int(starts[-1])), slots), dtype=np.int64)
        for f, start in zip(families, starts, strict=False):
            for a, columns in enumerate(f.columns):
                column[start : start + f.size, a] = columns
        table, steps, registers, numbers = self.tables(starts)
        result = np.zeros((max(1, len(families)), 1 + slots + turns), dtype=np.int64)
        turn_tables = np.zeros((3, max(1, len(families)), max(1, turns)), dtype=np.int64)
        for number, (f, tape) in enumerate(zip(families, self.tapes, strict=True)):
            result[number, 0] = tape.value
            result[number, 1 : 1 + len(tape.slopes)] = tape.slopes
            result[number, 1 + slots : 1 + slots + len(tape.bends)] = tape.bends
            for turn, (p, other) in enumerate(f.kernel.turns):
                a, b = f.kernel.pairs[p]
                one = a if other == b else b
                turn_tables[:, number, turn] = one, other, f.kernel.positive[other]
        rows = _joined([f.terms.rows for f in families])
        instances = _joined([f.terms.source + s for f, s in zip(families, starts, strict=False)])
        monotone = machine.monotone
        cost = rows == 0
        exponent = self.exponents(factors, starts)
        define_column, define_row = self.definitions()
        layout = Layout(
            form.n, form.m, len(rows), len(form.linear.rows), len(form.constants.rows),
            len(families), slots, turn_tables.shape[2], factors.shape[1],
            len(define_column), len(monotone.jacobian[0]),
            at_linear, at_constant, at_lower, at_upper, max((t.registers for t in self.tapes), default=1),
            int(machine.conditions.separable), int(monotone.possible),
            int(machine.costs.powers and monotone.possible),
            int(machine.costs.separable),
            self.size, max(1, form.instances), FEW,
            table, steps, registers, numbers, result, column, factors,
            _whole([len(f.kernel.turns) for f in families]), turn_tables[0], turn_tables[1], turn_tables[2],
            rows, instances, _joined([np.full(len(f.terms.rows), i) for i, f in enumerate(families)]),
            _whole(form.linear.rows), _whole(form.linear.source), _whole(form.constants.rows),
            form.relation.astype(np.float64), machine.conditions.sign.astype(np.float64), _whole(monotone.own),
            define_column, define_row,
            *_grouped(rows, np.arange(len(rows)), form.m + 1),
            *_grouped(_whole(form.linear.rows), np.arange(len(form.linear.rows)), form.m + 1),
            *_grouped(column[instances[cost], 0], np.flatnonzero(cost), form.n),
            *_grouped(_whole(form.linear.source[form.linear.rows == 0]), np.flatnonzero(form.linear.rows == 0), form.n),
            _whole(monotone.jacobian[0]), _whole(monotone.jacobian[1]),
            np.concatenate([np.zeros(0), *monotone.signs]).astype(np.float64),
            np.asarray(monotone.linear_sign, dtype=np.float64), exponent,
        )  # fmt: skip
        return Batchable(
            layout,
            np.concatenate(self.parts) if self.parts else np.zeros(0),
            _joined(self.open_at),
            tuple(self.openings),
            machine.program.data,
        )

    def factors(self) -> Whole:
        """(J, Q) positions of each instance's factors."""
        families = self.form.families
        most = max((len(f.factors) for f in families), default=0)
        table = np.zeros((max(1, self.form.instances), max(1, most)), dtype=np.int64)
        first = 0
        for f in families:
            for q, (values, opens) in enumerate(zip(f.factors, f.factor_opens, strict=True)):
                spread = bool(opens) or np.ndim(values) > 0
                at = self.add(np.broadcast_to(values, f.size) if spread else values, opens)
                table[first : first + f.size, q] = at + (np.arange(f.size) if spread else 0)
            first += f.size
        return table

    def tables(self, starts: Positions) -> tuple[Whole, Whole, Whole, Array]:
        """By family, its instances and where its tape lies; all steps; all constants."""
        rows: list[list[int]] = []
        steps = [np.zeros((0, 4), dtype=np.int64)]
        registers: list[int] = []
        numbers: list[float] = []
        first = 0
        for number, (f, tape) in enumerate(zip(self.form.families, self.tapes, strict=True)):
            ends = [first + e for e in tape.ends]
            held = len(numbers)
            registers += [r for r, _ in tape.constants]
            numbers += [v for _, v in tape.constants]
            instances = (int(starts[number]), int(starts[number + 1]))
            rows.append([*instances, f.kernel.arity, len(f.factors), first, *ends, held, len(numbers)])
            steps.append(tape.steps)
            first += len(tape.steps)
        table = np.array(rows, dtype=np.int64).reshape(-1, 10)
        return table, np.concatenate(steps), np.array(registers, dtype=np.int64), np.array(numbers, dtype=np.float64)

    def definitions(self) -> tuple[Whole, Whole]:
        """Auxiliary columns and the rows that define them."""
        columns, rows = [], []
        for block, parts in self.form.definitions:
            at = parts[0].rows
            columns.append(np.arange(block.start, block.start + block.size))
            rows.append(np.arange(at.start - 1, at.start - 1 + at.size))
        return _joined(columns), _joined(rows)

    def exponents(self, factors: Whole, starts: Positions) -> Whole:
        """(n,) where the exponent of each column's cost stands in the vector; -1 for a linear one."""
        table = np.full(self.form.n, -1, dtype=np.int64)
        costs = self.machine.costs
        if not costs.powers:
            return table
        for number, kernel, _, source, columns in costs.pieces:
            if kernel.template.exp.is_number:
                table[columns] = self.add([float(kernel.template.exp)])
            else:
                table[columns] = factors[starts[number] + source, 0]
        return table


def _joined(parts: list[Any]) -> Whole:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts]).astype(np.int64)


def _whole(values: Any) -> Whole:
    return np.ascontiguousarray(values, dtype=np.int64)


def _grouped(keys: Whole, members: Any, size: int) -> tuple[Whole, Whole]:
    """Members by key: where each key's begin, and the members in that order."""
    order = np.argsort(keys, kind="stable")
    starts = np.concatenate(([0], np.cumsum(np.bincount(keys, minlength=size)))) if len(keys) else np.zeros(size + 1)
    return _whole(starts), _whole(np.asarray(members)[order])
