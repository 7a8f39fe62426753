"""What is stated and cannot be: demands that are not concave, costs that are not convex or fall, cases that jump.

An optimum of such a market is one of several, so that nothing could be vouched for; it is refused with the term at
fault. Refused is what a counterexample refutes in the choices as stated and in `y = phi(x)`: what is merely not shown
is for `check` to say, and for the certificate to hold up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp

from mechdsl.errors import Diagnostic, Span
from mechdsl.formula import quantities
from mechdsl.market import Layer, Market
from mechdsl.program import Optimum
from mechdsl.theory.cases import in_cases
from mechdsl.theory.change_of_variables import (
    ChangeOfVariables,
    changes_of_variables,
    in_linear_variables,
    transformed_program,
)
from mechdsl.theory.curvature import DATA, Curvature, curvature, fall, ranges_of
from mechdsl.theory.private_cost import private_cost
from mechdsl.theory.shape import shape

__all__ = ["faults", "stray_cases"]

_WANTED = {">=": "concave", "<=": "convex", "==": "affine"}
_REMEDY = {
    ">=": "Of what is at least something, each unit more may add no more than the one before: x^0.8, log(1 + x), min.",
    "<=": "Of what is at most something, each unit more must add no less than the one before: x^2, exp(x), max.",
    "==": "An equation is between sums of multiples of what is chosen; state the rest as >= or <=.",
}

_COST = "A unit more must cost no less than the one before: x^1.2, exp(x) - 1, x + x^2, max(x, 2 * x - 1)."
_VALUE = "A unit more must be worth no more than the one before: x^0.5, log(1 + x), min(x, 3)."


def faults(market: Market) -> tuple[Diagnostic, ...]:
    """The mistakes of curvature in a market with private types or constraints; of another, none are looked for.

    Source: ours, tests/cases/bad; the conditions are those of `change_of_variables` and `pointwise`.
    """
    if not market.types and not market.constraints:
        return tuple(stray_cases(market))
    known = not _foreign(market) and not any(isinstance(private_cost(market, layer), str) for layer in market.layers)
    judge = _Judge(market, *((transformed_program(market), changes_of_variables(market)) if known else (None, ())))
    return tuple(dict.fromkeys((*_of_constraints(judge), *_of_layers(judge), *stray_cases(market))))


@dataclass(frozen=True, slots=True)
class _Judge:
    """A market, and its programme in y where that can be written down."""

    market: Market
    program: Optimum | None
    changes: tuple[ChangeOfVariables, ...]

    def refuted(self, formula: sp.Expr, wanted: str) -> Curvature | None:
        """The verdict on a formula that is not as wanted, in x and in y, or is in cases that are not shown to be.

        What a type multiplies is judged in x alone: in y it is linear, whatever it is.
        """
        found = curvature(formula, self.market, wanted)
        if found.holds is True or (found.holds is None and not in_cases(found.offending)):
            return None
        if self.program is None or found.holds is None or any(formula == c.phi for c in self.changes):
            return found
        in_y = in_linear_variables(formula, self.changes)
        return None if curvature(in_y, self.program, wanted).holds is not False else found


def _foreign(market: Market) -> bool:
    return bool(market.states or market.commons)


def _of_constraints(judge: _Judge) -> Iterator[Diagnostic]:
    for stated in judge.market.constraints:
        wanted = _WANTED[stated.relation]
        found = judge.refuted(stated.left - stated.right, wanted)
        if found is not None:
            place = judge.market.origin(_term(found), stated.span)
            what = f"'{stated.name}'"
            yield _case_fault(judge.market, found, place) or Diagnostic(
                "M053", f"{what} is not {wanted}: {_named(found)}", place, f"{found.detail} {_REMEDY[stated.relation]}"
            )


def _of_layers(judge: _Judge) -> Iterator[Diagnostic]:
    market = judge.market
    for layer in market.layers:
        parts = private_cost(market, layer)
        if _foreign(market) or isinstance(parts, str):
            continue
        costs = [parts.coefficient, parts.known] if parts.type is not None else [layer.cost]
        for cost in (cost for cost in costs if quantities(cost, "decision")):
            found = judge.refuted(cost, "convex")
            if found is not None:
                yield _fault(market, layer, found, f"the cost of '{layer.name}' is not convex", _COST)
        if quantities(layer.value, "decision"):
            found = judge.refuted(layer.value, "concave")
            if found is not None:
                yield _fault(market, layer, found, f"the value of '{layer.name}' is not concave", _VALUE)
        if parts.type is not None:
            yield from _falling(market, layer, parts.coefficient)


def _falling(market: Market, layer: Layer, cost: sp.Expr) -> Iterator[Diagnostic]:
    """M055: what the type multiplies must not fall in what is chosen."""
    for evidence in ("declared ranges", DATA):
        if not shape(cost, ranges_of(market, evidence)).falls:
            return
    where = fall(cost, market)
    if where is not None:
        place = market.origin(cost, layer.span)
        hint = f"{where} Choose from where it rises, 'choose x >= 1', say; or let more cost more."
        yield Diagnostic("M055", f"the cost of '{layer.name}' falls where more is chosen", place, hint)


def _fault(market: Market, layer: Layer, found: Curvature, message: str, hint: str) -> Diagnostic:
    place = market.origin(_term(found), layer.span)
    other = _case_fault(market, found, place)
    return other or Diagnostic("M054", f"{message}: {_named(found)}", place, f"{found.detail} {hint}")


def _case_fault(market: Market, found: Curvature, place: Span | None) -> Diagnostic | None:
    """M058, where the term at fault is in cases of a decision."""
    if not in_cases(found.offending):
        return None
    why = shape(found.offending, ranges_of(market, DATA)).rule
    hint = (
        f"They are {why}. Cases must meet where one gives way to the next, and their slopes must "
        f"{'fall' if found.wanted == 'concave' else 'rise'} from one to the next: if(x < 1, x, 2 * x - 1) is convex."
    )
    return Diagnostic("M058", f"the cases of this `if` are not shown to be {found.wanted} together", place, hint)


def stray_cases(market: Market) -> Iterator[Diagnostic]:
    """M058, where cases of a decision stand in what is no cost, value or constraint."""
    stray = [(a, c.span) for c in market.contracts for a in c.arguments.values() if isinstance(a, sp.Expr)]
    stray += [(o.goal, o.span) for o in market.objectives if isinstance(o.goal, sp.Expr)]
    stray += [(layer.outside, layer.span) for layer in market.layers]
    for formula, span in stray:
        for node in (n for n in sp.preorder_traversal(formula) if in_cases(n)):
            hint = "A case may turn on a decision in a cost, a value or a constraint; elsewhere on data alone."
            message = "the condition of this `if` depends on a decision"
            yield Diagnostic("M058", message, market.origin(node, span), hint)


def _term(found: Curvature) -> sp.Basic:
    return found.offending if found.offending is not None else found.expression


def _named(found: Curvature) -> str:
    return f"the term {str(_term(found)).replace('**', '^')} is not"
