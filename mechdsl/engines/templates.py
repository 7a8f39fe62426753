"""A term's shape, differentiated once: `h(v_0.., q_0..)` with decision entries `v` and hoisted numbers `q`, over instances.

A market with a thousand domains has a million instances of `v^q` and one template (the idea of ExaModels). Value, gradient
and Hessian are compiled in three stages that hand their common subexpressions on, because Ipopt asks for them one after
another at the same point: `v^q` is computed once, its derivatives are `q v^q / v` and `q (q - 1) v^q / v^2`.
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
    """

    __slots__ = ("_curve", "_slope", "_value", "arity", "increasing", "pairs", "template")

    def __init__(self, template: sp.Expr, slots: Sequence[sp.Symbol], factors: Sequence[sp.Symbol]) -> None:
        self.template = template
        self.arity = len(slots)
        slopes = [_tidy(sp.diff(template, v)) for v in slots]
        curves = {(a, b): _tidy(sp.diff(slopes[a], slots[b]))
                  for a, b in itertools.combinations_with_replacement(range(self.arity), 2)}
        self.pairs = tuple(pair for pair, curve in curves.items() if curve != 0)
        self.increasing = all(slope.is_nonnegative for slope in slopes)
        stages = ([template], slopes, [curves[pair] for pair in self.pairs])
        self._value, self._slope, self._curve = _staged(stages, [*slots, *factors])

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


Stage = Callable[[Sequence[Any]], tuple[Sequence[Any], Sequence[Any]]]


def _staged(stages: Sequence[list[sp.Expr]], arguments: list[sp.Symbol]) -> list[Stage]:
    """One function a stage: what it is given -> its outputs, and what later stages need (handed to the next as it is)."""
    replacements, outputs = sp.cse([e for stage in stages for e in stage], symbols=sp.numbered_symbols("t"))
    outputs = iter(outputs)
    stage_outputs = [list(itertools.islice(outputs, len(stage))) for stage in stages]
    definition = dict(replacements)
    wanted = [_closure(exprs, definition) for exprs in stage_outputs]
    functions: list[Stage] = []
    given, known = list(arguments), set(arguments)
    for number, exprs in enumerate(stage_outputs):
        later = set().union(*wanted[number + 1 :])
        new = [s for s, _ in replacements if s in wanted[number] and s not in known]
        # What is at hand after this stage and is used, directly or in a definition still to come, by a later one.
        carried = [s for s in [*given, *new] if s in later]
        functions.append(_compile(given, [(s, definition[s]) for s in new], [*exprs, *carried], len(exprs)))
        given, known = carried, set(carried)
    return functions


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
    whole = {node: sp.Dummy(positive=True) for node in expression.atoms(sp.Pow, sp.Function)
             if isinstance(node, sp.Function) or not node.exp.is_Integer}
    # Outermost first: what stands inside another is not touched.
    inner = {n for node in whole for a in node.args for n in a.atoms(sp.Pow, sp.Function)}
    whole = {node: dummy for node, dummy in whole.items() if node not in inner}
    factored = sp.factor(expression.xreplace(whole)).xreplace({d: n for n, d in whole.items()})
    return factored if sp.count_ops(factored) <= sp.count_ops(expression) else expression
