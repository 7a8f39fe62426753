"""A term's shape, differentiated once: `h(v_0.., q_0..)` of decision entries `v` and hoisted numbers `q`.

A market with a thousand domains has a million instances of `v^q` and one template (the idea of ExaModels). Value,
gradient and Hessian are compiled in three stages that hand their common subexpressions on, because Ipopt asks for
them one after another at the same point: `v^q` is computed once, its derivatives are `q v^q / v` and `q (q - 1) v^q /
v^2`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from mechdsl.evaluate import Array

__all__ = ["Kernel"]


class Kernel:
    """A template with its first and second derivatives, over arrays of instances.

    Args:
        template: expression in `slots` and `factors`.
        slots: the decision entries `v`, as symbols.
        factors: the decision-free numbers `q`, as symbols.

    Attributes:
        pairs: the `(a, b)`, `a <= b`, whose second derivative is not identically zero.
        turns: the `(pair, b)` with a slot `b` of the pair: each second derivative by each slot it may be taken along.
        positive: by slot, whether it is known to be positive.
        increasing: whether no slope can be negative; gains: nor the value.
        slope_forms, bend_forms: by slot and by turn, the formulas of `slopes` and `bends`.
    """

    __slots__ = (
        "_bend",
        "_curve",
        "_slope",
        "_value",
        "arity",
        "bend_forms",
        "factors",
        "gains",
        "increasing",
        "pairs",
        "positive",
        "slope_forms",
        "slots",
        "template",
        "turns",
    )

    def __init__(self, template: sp.Expr, slots: Sequence[sp.Symbol], factors: Sequence[sp.Symbol]) -> None:
        self.template, self.slots, self.factors = template, tuple(slots), tuple(factors)
        self.arity = len(slots)
        slopes = [_tidy(sp.diff(template, v)) for v in slots]
        curves = {
            (a, b): _tidy(sp.diff(slopes[a], slots[b]))
            for a, b in itertools.combinations_with_replacement(range(self.arity), 2)
        }
        self.pairs = tuple(pair for pair, curve in curves.items() if curve != 0)
        self.increasing = all(slope.is_nonnegative for slope in slopes)
        self.gains = self.increasing and bool(template.is_nonnegative)
        self.positive = tuple(bool(v.is_positive) for v in slots)
        self.turns = tuple((p, slot) for p, pair in enumerate(self.pairs) for slot in sorted(set(pair)))
        bends = [
            _tidy(slots[slot] * curves[self.pairs[p]]) if self.positive[slot] else curves[self.pairs[p]]
            for p, slot in self.turns
        ]
        self.slope_forms, self.bend_forms = tuple(slopes), tuple(bends)
        lasts = [[curves[pair] for pair in self.pairs], bends]
        (self._value, self._slope), (self._curve, self._bend) = _staged([[template], slopes], lasts, [*slots, *factors])

    def value(self, arguments: Sequence[Any], size: int) -> tuple[Array, Sequence[Any]]:
        """The values, and what the derivatives need of their computation."""
        (value,), carried = self._value(arguments)
        return _full(value, size), carried

    def slopes(self, carried: Sequence[Any], size: int) -> tuple[list[Array], Sequence[Any]]:
        """One array a slot, and what the second derivatives need."""
        slopes, carried = self._slope(carried)
        return [_full(s, size) for s in slopes], carried

    def curves(self, carried: Sequence[Any], size: int) -> list[Array]:
        """One array for each of `pairs`."""
        curves, _ = self._curve(carried)
        return [_full(c, size) for c in curves]

    def bends(self, carried: Sequence[Any], size: int) -> list[Array]:
        """One array for each of `turns`: the second derivative times the slot where that is positive.

        In logarithms it is this that counts, and it is a number where the derivative itself is none: `v^-2` at 1e-170.
        """
        bends, _ = self._bend(carried)
        return [_full(b, size) for b in bends]


Stage = Callable[[Sequence[Any]], tuple[Sequence[Any], Sequence[Any]]]


def _staged(
    stages: list[list[sp.Expr]], lasts: list[list[sp.Expr]], arguments: list[sp.Symbol]
) -> tuple[list[Stage], list[Stage]]:
    """One function a stage: what it is given -> its outputs, and what later stages need, for the next to be given.

    `lasts` are last stages of which any may be asked for.
    """
    every = [*stages, *lasts]
    replacements, outputs = sp.cse([e for stage in every for e in stage], symbols=sp.numbered_symbols("t"))
    outputs = iter(outputs)
    results = [list(itertools.islice(outputs, len(stage))) for stage in every]
    definition = dict(replacements)
    wanted = [_closure(exprs, definition) for exprs in results]
    given = list(arguments)
    functions: list[Stage] = []
    for number, exprs in enumerate(results):
        later: set[sp.Symbol] = set().union(*wanted[number + 1 :]) if number < len(stages) else set()
        new = [s for s, _ in replacements if s in wanted[number] and s not in given]
        # What is at hand after this stage and is used, directly or in a definition still to come, by a later one.
        carried = [s for s in [*given, *new] if s in later]
        functions.append(_compile(given, [(s, definition[s]) for s in new], [*exprs, *carried], len(exprs)))
        given = carried if number < len(stages) else given
    return functions[: len(stages)], functions[len(stages) :]


def _closure(expressions: Sequence[sp.Expr], definition: dict[sp.Symbol, sp.Expr]) -> set[sp.Symbol]:
    found: set[sp.Symbol] = set()
    todo = [s for e in expressions for s in e.free_symbols]
    while todo:
        symbol = todo.pop()
        if symbol not in found:
            found.add(symbol)
            todo += definition[symbol].free_symbols if symbol in definition else ()
    return found


def _compile(
    given: list[sp.Symbol], assignments: list[tuple[sp.Symbol, sp.Expr]], results: list[sp.Expr], outputs: int
) -> Stage:
    function = sp.lambdify(given, results, modules="numpy", cse=lambda _: (assignments, results))

    def stage(arguments: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        values = function(*arguments)
        return values[:outputs], values[outputs:]

    return stage


def _full(value: Any, size: int) -> Array:
    return value if np.ndim(value) else np.full(size, float(value))


def _tidy(expression: sp.Expr) -> sp.Expr:
    """Factored, powers with symbolic exponents and functions left whole, so that stages can share them."""
    whole = {
        node: sp.Dummy(positive=True)
        for node in expression.atoms(sp.Pow, sp.Function)
        if isinstance(node, sp.Function) or not node.exp.is_Integer
    }
    # Outermost first: what stands inside another is not touched.
    inner = {n for node in whole for a in node.args for n in a.atoms(sp.Pow, sp.Function)}
    whole = {node: dummy for node, dummy in whole.items() if node not in inner}
    factored = sp.factor(expression.xreplace(whole)).xreplace({d: n for n, d in whole.items()})
    return factored if sp.count_ops(factored) <= sp.count_ops(expression) else expression
