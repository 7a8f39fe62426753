"""Where a programme's formulas have values at all: the arguments of its logarithms and roots may not be negative.

`log(x - 2)` says nothing about the decision where `x < 2`, and a solver started there is lost. The arguments are
gathered once; a search that starts outside is moved to where they are positive, and one that fails is told which of
them is to blame, in the model's words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp

from mechdsl.engines.callbacks import Structure
from mechdsl.engines.elastic import least_violation
from mechdsl.engines.form import Form
from mechdsl.engines.lowering import lower
from mechdsl.engines.scaling import Costs, balanced
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, IndexProduct, IndexSum, Interval, Letter, Quantity, letters_of, quantities
from mechdsl.program import Constraint, Optimum

__all__ = ["Domain"]

_INSIDE = (1.0, 0.1, 1e-2, 1e-4, 1e-8)  # least arguments that are tried, the roomiest first
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Argument:
    """`node`, a logarithm or a root, has a value where `inner` is positive (a root at 0 as well)."""

    node: sp.Expr
    inner: sp.Expr
    letters: tuple[Letter, ...]
    where: sp.Basic


class Domain:
    """The arguments of logarithms and roots in a programme that its ranges do not prove to be positive."""

    def __init__(self, program: Optimum) -> None:
        self.program = program
        variables = frozenset(v.quantity for v in program.variables)
        sides = [(program.objective, sp.true)]
        sides += [(side, c.where) for c in program.constraints for side in (c.left, c.right)]
        found = {a: None for side, where in sides for a in _arguments(side, variables, (), where)}
        self.arguments = tuple(found)

    def inside(self, parameters: Mapping[Quantity, Array]) -> dict[str, Array] | None:
        """A point at which all arguments are positive, by variable; None where none was found."""
        for margin in _INSIDE if self.arguments else ():
            form = self._structure.form
            numbers = form.at({**parameters, _MARGIN: np.array(margin)})
            scales, first = balanced(Costs(form), self._structure, numbers)
            x = least_violation(self._structure, numbers, scales, first, {"max_iter": 300})
            if x is not None:
                point = form.by_variable(x)
                if not any(True for _ in self._broken(self._values(parameters, point))):
                    return point
        return None

    def complaint(self, parameters: Mapping[Quantity, Array], point: Mapping[str, Array]) -> str:
        """`log(x[k] - 2) has no value at k = video, where x[k] - 2 is -1`; empty where all arguments are positive."""
        found = [
            f"{a.node} has no value{_at(a.letters, place)}, where {a.inner} is {value:.6g}"
            for a, place, value in self._broken(self._values(parameters, point))
        ]
        if not found:
            return ""
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return f"At the last point {'; '.join(found[:_SHOWN])}{more}. Bound the decision to where there is a value."

    @cached_property
    def _structure(self) -> Structure:
        """The programme of being inside: the arguments at least a margin."""
        program = self.program
        rows = tuple(
            Constraint(f"argument {n}", a.letters, a.inner, ">=", _MARGIN, a.where)
            for n, a in enumerate(self.arguments)
        )
        inner = Optimum(
            "minimize", sp.S.Zero, program.variables, rows, program.data, (*program.parameters, _MARGIN), name="domain"
        )
        return Structure(Form(lower(inner)))

    def _values(self, parameters: Mapping[Quantity, Array], point: Mapping[str, Array]) -> dict[Quantity, Array]:
        return {**self.program.data, **parameters, **{v.quantity: point[v.name] for v in self.program.variables}}

    def _broken(self, values: Mapping[Quantity, Array]) -> Iterator[tuple[Argument, tuple[int, ...], float]]:
        for a in self.arguments:
            inner = np.asarray(evaluate(a.inner, values, a.letters))
            stated = np.broadcast_to(evaluate(a.where, values, a.letters), inner.shape).astype(bool)
            outside = inner < 0 if isinstance(a.node, sp.Pow) and a.node.exp.is_nonnegative else inner <= 0
            for place in np.argwhere(stated & (outside | np.isnan(inner))):
                at = tuple(int(p) for p in place)
                yield a, at, float(inner[at])


_MARGIN = Quantity("least argument", (), "open", Interval(0.0, float("inf")))


def _arguments(
    node: sp.Basic, variables: frozenset[Quantity], outer: tuple[Letter, ...], where: sp.Basic
) -> Iterator[Argument]:
    """The arguments within `node`, which stands under sums over `outer` where `where` holds."""
    if isinstance(node, Entry) or not any(q in variables for q in quantities(node)):
        return
    if isinstance(node, IndexSum | IndexProduct):
        yield from _arguments(node.body, variables, (*outer, *node.letters), sp.And(where, node.where))
        return
    inner = None
    if isinstance(node, sp.log):
        inner = node.args[0]
    elif isinstance(node, sp.Pow) and not node.exp.is_integer:
        inner = node.base
    if inner is not None and not inner.is_nonnegative and any(q in variables for q in quantities(inner)):
        letters = tuple(sorted(letters_of(node) | letters_of(where), key=str))
        yield Argument(node, inner, letters, where)
    for argument in node.args:
        yield from _arguments(argument, variables, outer, where)


def _at(letters: tuple[Letter, ...], place: tuple[int, ...]) -> str:
    named = [f"{a} = {a.index_set.labels[p]}" for a, p in zip(letters, place, strict=True)]
    return f" at {', '.join(named)}" if named else ""
