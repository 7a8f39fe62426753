"""From formulas to terms: an Optimum becomes rows, each a sum of coefficients times instances of a few templates.

Sums over index sets are spread into instances, decision-free parts are hoisted into numbers, exponents 0 and 1 become
constants and linear terms. What a nonlinear function cannot take as it is is lifted into an auxiliary variable: an
aggregate of decisions by a defining equality, `max`, `min` and `abs` by inequalities where convexity makes them tight.
Anything else is refused by name.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.engines.terms import Block, Instances, Lowered, Opening, Piece, Positions, RowBlock
from mechdsl.evaluate import evaluate
from mechdsl.formula import (
    Entry,
    IndexProduct,
    IndexSum,
    Interval,
    Letter,
    Quantity,
    letters_of,
    quantities,
    rename_letters,
)
from mechdsl.program import Constraint, Optimum, Variable

__all__ = ["lower", "strengthened"]

Broken = sp.Piecewise | sp.Max | sp.Min | sp.Abs
_UNROLL = 4  # factors of a product over an index set that one template takes
_WIDE = 6  # decision entries in one nonlinear argument beyond which it gets a variable of its own
_INTEGERS = 8  # distinct integer exponents of a base of either sign that get templates of their own


def lower(program: Optimum) -> Lowered:
    """The terms of `program`.

    Raises:
        ValueError: a term that is not smooth where convexity does not make up for it, or a condition on a decision.
    """
    return _Lowering(program).run()


def strengthened(program: Optimum) -> Optimum:
    """`program` with the sign of every decision (from its bounds) and datum (from its values) in the ranges.

    What sympy can prove of a formula rests on these, and a file need not declare what its numbers show.
    """
    positive = Interval(0.0, float("inf"))
    mapping: dict[Quantity, Quantity] = {}
    for v in program.variables:
        if not v.quantity.is_nonnegative and v.lower.is_number and v.lower >= 0:
            mapping[v.quantity] = Quantity(v.quantity.name, v.quantity.sets, v.quantity.role, positive)
    for q, value in program.data.items():
        if not q.is_nonnegative and np.all(np.asarray(value) >= 0):
            mapping[q] = Quantity(q.name, q.sets, q.role, positive)
    if not mapping:
        return program
    return replace(
        program,
        objective=program.objective.xreplace(mapping),
        variables=tuple(
            replace(
                v,
                quantity=mapping.get(v.quantity, v.quantity),
                lower=v.lower.xreplace(mapping),
                upper=v.upper.xreplace(mapping),
            )
            for v in program.variables
        ),
        constraints=tuple(
            replace(c, left=c.left.xreplace(mapping), right=c.right.xreplace(mapping), where=c.where.xreplace(mapping))
            for c in program.constraints
        ),
        data={mapping.get(q, q): value for q, value in program.data.items()},
    )


class _Lowering:
    def __init__(self, program: Optimum) -> None:
        self.program = program
        self.data = program.data
        self.opens = frozenset(program.parameters)
        self.blocks: dict[Quantity, Block] = {}
        self.row_blocks: list[RowBlock] = []
        self.pieces: list[Piece] = []
        self.lifted: dict[Any, Quantity] = {}
        self.count = itertools.count()
        self.smooth = True

    def run(self) -> Lowered:
        program = self.program
        for v in program.variables:
            self.add_block(v, auxiliary=False)
        self.expand(
            program.objective,
            Instances(
                (),
                (),
                np.zeros(1, dtype=np.intp),
                np.array([1.0 if program.sense == "minimize" else -1.0]),
                direction=1,
            ),
        )
        for c in program.constraints:
            self.add_rows(c)
        return Lowered(
            tuple(self.blocks.values()), tuple(self.row_blocks), tuple(self.pieces), self.smooth, self.data, self.opens
        )

    # ------------------------------------------------------------------------------------------- variables and rows

    def add_block(self, variable: Variable, auxiliary: bool) -> Block:
        shape = variable.quantity.shape
        block = Block(variable, sum(b.size for b in self.blocks.values()), int(np.prod(shape)), shape, auxiliary)
        self.blocks[variable.quantity] = block
        return block

    def add_rows(self, constraint: Constraint) -> None:
        context, _ = self.open_rows(constraint, auxiliary=False)
        self.expand(constraint.left, context)
        self.expand(-constraint.right, context)

    def open_rows(self, c: Constraint, auxiliary: bool) -> tuple[Instances, RowBlock]:
        members = np.arange(int(np.prod(c.shape)), dtype=np.intp)
        condition = c.where
        if condition != sp.true and not self.is_open(condition):
            members = members[np.broadcast_to(evaluate(condition, self.data, c.letters), c.shape).ravel().astype(bool)]
            condition = sp.true
        start = 1 + sum(b.size for b in self.row_blocks)
        block = RowBlock(c, start, members, auxiliary, None, condition)
        self.row_blocks.append(block)
        positions = np.unravel_index(members, c.shape) if c.letters else ()
        direction = {">=": -1, "<=": 1, "==": 0}[c.relation]
        return Instances(
            c.letters,
            tuple(p.astype(np.intp) for p in positions),
            np.arange(start, start + len(members), dtype=np.intp),
            np.ones(len(members)),
            direction=direction,
        ), block

    # ------------------------------------------------------------------------------------------------------ questions

    def is_decision(self, node: sp.Basic) -> bool:
        return any(q in self.blocks for q in quantities(node))

    def in_cases(self, node: sp.Basic) -> bool:
        """Whether `node` is in cases of a decision: the theory poses only such as meet smoothly."""
        return isinstance(node, sp.Piecewise) and any(self.is_decision(condition) for _, condition in node.args)

    def is_open(self, node: sp.Basic) -> bool:
        found = quantities(node)
        if any(q in self.blocks for q in found):
            raise ValueError(f"a condition, a bound or an index may not depend on a decision: {node}")
        return any(q in self.opens for q in found)

    def values(self, node: sp.Basic, context: Instances) -> Any:
        """Numbers of a formula in data, one an instance."""
        letters = tuple(a for a in context.letters if a in letters_of(node))
        table = evaluate(node, self.data, letters)
        at = tuple(context.positions[context.letters.index(a)] for a in letters)
        return table[at] if letters else np.broadcast_to(table, (context.count,))

    # ---------------------------------------------------------------------------------------------------------- terms

    def expand(self, node: sp.Expr, context: Instances) -> None:
        """Add `node` to the rows of `context`."""
        if context.count == 0 or node == 0:
            return
        if not self.is_decision(node):
            self.emit(sp.S.One, {}, {}, self.times(node, context))
        elif node.is_Add:
            for term in node.args:
                self.expand(term, context)
        elif node.is_Mul:
            self.expand_product(node, context)
        elif isinstance(node, IndexSum):
            letters, body, where = _apart(node, context.letters)
            self.expand(body, self.where(where, context.spread(letters)))
        elif isinstance(node, sp.Piecewise) and not self.in_cases(node):
            for branch, inside in self.branches(node, context):
                self.expand(branch, inside)
        elif isinstance(node, Entry | Quantity):
            self.emit(*self.template(node, context), context)
        else:
            self.expand_function(node, context)

    def expand_product(self, node: sp.Expr, context: Instances) -> None:
        free = [a for a in node.args if not self.is_decision(a)]
        rest = [a for a in node.args if self.is_decision(a)]
        context = self.times(sp.Mul(*free), context)
        if len(rest) == 1:
            self.expand(rest[0], context)
        else:
            self.expand_function(sp.Mul(*rest), context)

    def expand_function(self, node: sp.Expr, context: Instances) -> None:
        """A nonlinear function of decisions: rid of what a template cannot hold, then emitted."""
        node = self.lift_within(node, context)
        if node.is_Add or isinstance(node, Entry | Quantity) or not all(map(self.is_decision, sp.Mul.make_args(node))):
            self.expand(node, context)
            return
        broken = _first(node, lambda n: isinstance(n, Broken) and self.is_decision(n) and not self.in_cases(n))
        if isinstance(broken, sp.Piecewise):
            for branch, inside in self.branches(broken, context):
                self.expand(node.xreplace({broken: branch}), inside)
        elif broken is not None:
            self.expand(self.epigraph(node, broken, context), context)
        elif (power := self.special_power(node, context)) is not None:
            for case, inside in self.exponent_cases(node, power, context):
                self.expand(case, inside)
        else:
            self.emit(*self.template(node, context), context)

    def times(self, factor: sp.Expr, context: Instances) -> Instances:
        """The instances times a decision-free factor; those it makes exactly 0 are dropped, but from the objective."""
        data = [a for a in sp.Mul.make_args(factor) if not self.is_open(a)]
        opening = [a for a in sp.Mul.make_args(factor) if self.is_open(a)]
        weight = context.weight * self.values(sp.Mul(*data), context) if data else context.weight
        if not np.all(np.isfinite(weight)):
            raise ValueError(f"a coefficient is not a finite number: {sp.Mul(*data)}")
        context = replace(context, weight=weight, opening=sp.Mul(context.opening, *opening))
        return context.keep((weight != 0) | (context.rows == 0))

    def where(self, condition: sp.Basic, context: Instances) -> Instances:
        if condition == sp.true:
            return context
        if self.is_open(condition):
            return replace(context, opening=context.opening * sp.Piecewise((1, condition), (0, True)))
        return context.keep(np.asarray(self.values(condition, context), dtype=bool))

    def branches(self, node: sp.Piecewise, context: Instances) -> Iterable[tuple[sp.Expr, Instances]]:
        before: Any = sp.true
        for branch, condition in node.args:
            yield branch, self.where(sp.And(before, condition), context)
            before = sp.And(before, sp.Not(condition))

    def special_power(self, node: sp.Expr, context: Instances) -> sp.Pow | None:
        """A power of decisions whose exponent is data and, for some instances, a number that wants its own template."""
        for power in sorted(node.atoms(sp.Pow), key=sp.default_sort_key):
            if power.exp.is_number or not self.is_decision(power.base) or self.is_decision(power.exp):
                continue
            if not self.is_open(power.exp) and len(self.plain_exponents(power, context)):
                return power
        return None

    def plain_exponents(self, power: sp.Pow, context: Instances) -> npt.NDArray[Any]:
        exponents = self.values(power.exp, context)
        if power.base.is_nonnegative:
            return np.intersect1d(exponents, [0.0, 1.0])
        found = np.unique(exponents[exponents == np.round(exponents)])
        return found if len(found) <= _INTEGERS else np.intersect1d(found, [0.0, 1.0])

    def exponent_cases(self, node: sp.Expr, power: sp.Pow, context: Instances) -> Iterable[tuple[sp.Expr, Instances]]:
        exponents = np.asarray(self.values(power.exp, context))
        rest = np.ones(context.count, dtype=bool)
        for exponent in self.plain_exponents(power, context):
            chosen = exponents == exponent
            rest &= ~chosen
            yield node.xreplace({power: power.base ** sp.Integer(int(exponent))}), context.keep(chosen)
        if rest.any():
            yield node, context.keep(rest)

    # --------------------------------------------------------------------------------------------------------- lifting

    def lift_within(self, node: sp.Expr, context: Instances) -> sp.Expr:
        """`node` with the aggregates in its arguments replaced by auxiliary variables."""
        if isinstance(node, Entry | Quantity | Broken) or not self.is_decision(node):
            return node  # the broken ones are taken apart first, their arguments later
        if isinstance(node, IndexProduct):
            return self.lift_within(self.unrolled(node, context), context)
        if isinstance(node, IndexSum):
            return self.lift(node, context)
        if node.is_Add and not _first(node, lambda n: isinstance(n, Broken)):
            aggregate = _first(node, lambda n: isinstance(n, IndexSum | IndexProduct) and self.is_decision(n))
            return self.lift(node, context) if aggregate or len(self.decision_entries(node)) > _WIDE else node
        return node.func(*(self.lift_within(a, context) for a in node.args))

    def decision_entries(self, node: sp.Basic) -> list[sp.Expr]:
        if isinstance(node, Entry | Quantity):
            return [node] if self.is_decision(node) else []
        return list(dict.fromkeys(e for a in node.args for e in self.decision_entries(a)))

    def lift(self, node: sp.Expr, context: Instances) -> sp.Expr:
        """An auxiliary variable equal to `node`, for all values of the letters in it."""
        return self.auxiliary(
            node,
            context,
            lambda quantity, letters: [
                Constraint(f"{quantity.name}_is", letters, _entry(quantity, letters), "==", node)
            ],
        )

    def epigraph(self, node: sp.Expr, kinked: sp.Expr, context: Instances) -> sp.Expr:
        """`node` with `max` (`min`, `abs`) replaced by a variable above (below) its arguments.

        Right where the rows push that variable down (up) to them: the direction of the row, the sign of the coefficient
        and the slope of what stands around it decide.
        """
        self.smooth = False
        arguments = (kinked.args[0], -kinked.args[0]) if isinstance(kinked, sp.Abs) else kinked.args
        side = -1 if isinstance(kinked, sp.Min) else 1
        symbol = sp.Dummy(real=True, nonnegative=kinked.is_nonnegative)
        slope = sp.diff(node.xreplace({kinked: symbol}), symbol)
        sign = 1 if slope.is_nonnegative else -1 if slope.is_nonpositive else 0
        opening = 1 if context.opening.is_nonnegative else -1 if context.opening.is_nonpositive else 0
        weight = context.weight[context.weight != 0]
        if not np.all(context.direction * sign * opening * side * weight > 0):
            word = {sp.Max: "max", sp.Min: "min", sp.Abs: "abs"}[kinked.func]
            raise ValueError(
                f"{word} makes this term neither smooth nor convex where it stands, "
                f"and no solver for smooth programmes can be trusted with it: {node}"
            )
        relation = ">=" if side > 0 else "<="
        entry = self.auxiliary(
            kinked,
            context,
            lambda quantity, letters: [
                Constraint(f"{quantity.name}_{number}", letters, _entry(quantity, letters), relation, argument)
                for number, argument in enumerate(arguments)
            ],
        )
        return node.xreplace({kinked: entry})

    def auxiliary(self, node: sp.Expr, context: Instances, defining: Any) -> sp.Expr:
        letters = tuple(a for a in context.letters if a in letters_of(node))
        canonical = tuple(Letter(f"_{n}", a.index_set) for n, a in enumerate(letters))
        key = rename_letters(node, dict(zip(letters, canonical, strict=True)))
        if key not in self.lifted:
            domain = Interval(0.0, float("inf")) if node.is_nonnegative else Interval(-float("inf"), float("inf"))
            quantity = Quantity(f"_{next(self.count)}", [a.index_set for a in letters], "decision", domain)
            # What it is made of comes first, so that values can be completed in the order of the blocks.
            contexts = []
            for constraint in defining(quantity, letters):
                inner, block = self.open_rows(constraint, auxiliary=True)
                self.expand(-constraint.right, inner)
                contexts.append((inner, block))
            lower = sp.S.Zero if node.is_nonnegative else -sp.oo
            column = self.add_block(Variable(quantity, letters, lower), auxiliary=True)
            for inner, block in contexts:
                self.expand(_entry(quantity, letters), inner)
                self.row_blocks[self.row_blocks.index(block)] = replace(block, defines=column)
            self.lifted[key] = quantity
        return _entry(self.lifted[key], letters)

    def unrolled(self, node: IndexProduct, context: Instances) -> sp.Expr:
        """A product over an index set as a tree of short products."""
        factors = []
        sizes = [len(a.index_set) for a in node.letters]
        for at in np.ndindex(*sizes):
            mapping = {a: sp.Integer(p) for a, p in zip(node.letters, at, strict=True)}
            condition = rename_letters(node.where, mapping)
            body = rename_letters(node.body, mapping)
            factors.append(body if condition == sp.true else sp.Piecewise((body, condition), (1, True)))
        while len(factors) > _UNROLL:
            groups = [sp.Mul(*factors[n : n + _UNROLL]) for n in range(0, len(factors), _UNROLL)]
            factors = [self.lift(g, context) if self.is_decision(g) else g for g in groups]
        return sp.Mul(*factors)

    # ------------------------------------------------------------------------------------------------------- templates

    def template(
        self, node: sp.Expr, context: Instances
    ) -> tuple[sp.Expr, dict[sp.Expr, sp.Symbol], dict[sp.Expr, sp.Symbol]]:
        """`node` with decision entries as slots and decision-free parts as factors."""
        slots: dict[sp.Expr, sp.Symbol] = {}
        factors: dict[sp.Expr, sp.Symbol] = {}

        def factor(part: sp.Expr) -> sp.Expr:
            if part.is_number:
                return part
            if part not in factors:
                factors[part] = sp.Symbol(f"q{len(factors)}", real=True, **self.sign_of(part, context))
            return factors[part]

        def walk(part: sp.Expr) -> sp.Expr:
            if not self.is_decision(part):
                return factor(part)
            if isinstance(part, Entry | Quantity):
                if part not in slots:
                    quantity = part.quantity if isinstance(part, Entry) else part
                    # In the interior, where derivatives are taken, what may not be negative is positive.
                    sign = {"positive": True} if quantity.is_nonnegative else {"real": True}
                    slots[part] = sp.Symbol(f"v{len(slots)}", **sign)
                return slots[part]
            if part.is_Add or part.is_Mul:
                free = [a for a in part.args if not self.is_decision(a)]
                walked = [walk(a) for a in part.args if self.is_decision(a)]
                return part.func(factor(part.func(*free)), *walked) if free else part.func(*walked)
            if isinstance(part, sp.Piecewise):
                return sp.Piecewise(*((walk(e), c if c == sp.true else walk(c)) for e, c in part.args), evaluate=False)
            return part.func(*map(walk, part.args))

        return walk(node), slots, factors

    def sign_of(self, node: sp.Expr, context: Instances) -> dict[str, bool]:
        if self.is_open(node):
            return {"nonnegative": True} if node.is_nonnegative else {}
        values = self.values(node, context)
        if not np.all(np.isfinite(values)):
            raise ValueError(f"a coefficient is not a finite number: {node}")
        return {"nonnegative": True} if np.all(values >= 0) else {"nonpositive": True} if np.all(values <= 0) else {}

    def emit(
        self,
        template: sp.Expr,
        slots: Mapping[sp.Expr, sp.Symbol],
        factors: Mapping[sp.Expr, sp.Symbol],
        context: Instances,
    ) -> None:
        if context.count == 0:
            return
        self.pieces.append(
            Piece(
                template,
                tuple(slots.values()),
                tuple(factors.values()),
                tuple(self.columns(entry, context) for entry in slots),
                tuple(
                    self.opened(f, context)
                    if self.is_open(f)
                    else np.asarray(self.values(f, context), dtype=np.float64)
                    for f in factors
                ),
                context.rows,
                context.weight,
                None if context.opening == 1 else self.opened(context.opening, context),
            )
        )

    def columns(self, entry: sp.Expr, context: Instances) -> Positions:
        if not isinstance(entry, Entry):
            return np.full(context.count, self.blocks[entry].start, dtype=np.intp)
        block = self.blocks[entry.quantity]
        for index in entry.indices:
            if self.is_open(index):
                raise ValueError(f"an index may not depend on an open parameter: {entry}")
        at = tuple(np.asarray(self.values(i, context), dtype=np.intp) for i in entry.indices)
        return block.start + np.ravel_multi_index(at, block.shape).astype(np.intp)

    def opened(self, node: sp.Expr, context: Instances) -> Opening:
        letters = tuple(a for a in context.letters if a in letters_of(node))
        return Opening(node, letters, context.flat(letters))


def _entry(quantity: Quantity, letters: tuple[Letter, ...]) -> sp.Expr:
    return Entry(quantity, *letters) if letters else quantity


def _first(node: sp.Basic, test: Any) -> Any:
    """The first node that passes, outer before inner; entries are not looked into."""
    if isinstance(node, Entry):
        return None
    if test(node):
        return node
    return next((found for a in node.args if (found := _first(a, test)) is not None), None)


def _apart(node: IndexSum, taken: tuple[Letter, ...]) -> tuple[tuple[Letter, ...], sp.Expr, Any]:
    """Letters, body and condition of a sum, its letters renamed where they are in use outside."""
    if not set(node.letters) & set(taken):
        return node.letters, node.body, node.where
    names = {a.name for a in taken}
    fresh = {}
    for a in node.letters:
        name = a.name
        while name in names:
            name += "_"
        fresh[a] = Letter(name, a.index_set)
    return (tuple(fresh.values()), rename_letters(node.body, fresh), rename_letters(node.where, fresh))
