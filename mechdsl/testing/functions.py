"""The kit that a function of a plugin passes: its numbers, its renderings, and the curvature it claims, proved.

The function is put into a market, as its users will do, and asked there; so what is tried is what they get.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import sympy as sp

from mechdsl.elaborate import elaborate
from mechdsl.elaborate.functions import Function, verify_function
from mechdsl.errors import MechError, Source
from mechdsl.evaluate import evaluate
from mechdsl.formula import Quantity, derivative
from mechdsl.market import Market
from mechdsl.program import Optimum
from mechdsl.syntax import parse
from mechdsl.theory.curvature import curvature, variables_of

__all__ = ["check_function", "faults_of"]

_POINTS = 12
_STEP = 1e-5
_WIDE = 5.0  # how far from 0 a function of all numbers is tried


def check_function(function: Function, others: Sequence[Function] = ()) -> None:
    """Hold a function against its examples, its derivative against differences, its curvature against proof.

    Args:
        function: of a plugin.
        others: functions of plugins that its formula uses.

    Raises:
        AssertionError: something is wrong; the message says what and what to do.
    """
    found = list(faults_of(function, others))
    if found:
        raise AssertionError("\n".join([f"function '{getattr(function, 'name', '?')}' does not conform:", *found]))


def faults_of(function: Function, others: Sequence[Function] = ()) -> Iterator[str]:
    """What is wrong with a function, a sentence or two each."""
    reason = verify_function(function)
    if reason is not None:
        yield f"{reason}. The docstring of mechdsl.Function says what each field is."
        return
    if not function.examples:
        yield "there is no example. Add ((argument, ...), value), the value from outside the formula."
    try:
        market = _market_of(function, others)
    except MechError as error:
        yield f"in a market, {error.diagnostics[0].message}. {error.diagnostics[0].hint}"
        return
    formula, quantities = market.layer("asked").value, tuple(c.quantity for c in market.choices)
    for arguments, wanted in function.examples:
        found = _at(formula, quantities, arguments)
        if not abs(found - wanted) <= 1e-9 * max(1.0, abs(wanted)):
            said = f"{function.name}({', '.join(f'{a:g}' for a in arguments)})"
            yield f"{said} is {found!r}, stated {wanted!r}. Work the number out once more, then look at the formula."
    yield from _slopes(function, formula, quantities)
    if function.curvature:
        shown = curvature(formula, market, function.curvature)
        if shown.holds is not True:
            claimed = f"{function.curvature} on {_domain(function)}"
            yield (
                f"it is claimed to be {claimed}, which is not shown: it {shown.verdict} Narrow the ranges, "
                "write the formula so that the rules apply, or leave the claim out."
            )
    yield from _rendered(formula, market, quantities)


def _market_of(function: Function, others: Sequence[Function]) -> Market:
    """A market whose one value is the function of its choices."""
    names = [f"x{n}" for n in range(len(function.parameters))]
    chosen = " ".join(
        f"choose {x} in [{_number(low)}, {_number(high)}]"
        for x, (low, high) in zip(names, _ranges(function), strict=True)
    )
    call = f"{function.name}({', '.join(names)})"
    text = f'market tried "A function tried" layer asked {{ value {call} {chosen} }}'
    words = {f.name: f for f in (*others, function)}
    return elaborate(parse(text, function.name), Source(function.name, text), functions=words).markets["main"]


def _ranges(function: Function) -> tuple[tuple[float, float], ...]:
    return function.ranges or ((-math.inf, math.inf),) * len(function.parameters)


def _number(value: float) -> str:
    return ("-" if value < 0 else "") + ("inf" if math.isinf(value) else repr(abs(float(value))))


def _domain(function: Function) -> str:
    pairs = zip(function.parameters, _ranges(function), strict=True)
    return ", ".join(f"{name} in [{low:g}, {high:g}]" for name, (low, high) in pairs)


def _at(formula: sp.Expr, quantities: Sequence[Quantity], arguments: Sequence[float]) -> float:
    given = {q: np.asarray(a, dtype=np.float64) for q, a in zip(quantities, arguments, strict=True)}
    return float(evaluate(formula, given))


def _points(function: Function) -> Iterator[tuple[float, ...]]:
    """Inside the ranges."""
    generator = np.random.default_rng(20_251_101)
    for _ in range(_POINTS):
        yield tuple(
            float(generator.uniform(max(low, min(high, 0.0) - _WIDE), min(high, max(low, 0.0) + _WIDE)))
            for low, high in _ranges(function)
        )


def _slopes(function: Function, formula: sp.Expr, quantities: Sequence[Quantity]) -> Iterator[str]:
    """Numbers everywhere in the ranges, and derivatives that are the differences' (kinks may lie between)."""
    wrong = 0
    for point in _points(function):
        value = _at(formula, quantities, point)
        if not math.isfinite(value):
            yield f"it is {value} at {', '.join(f'{a:.6g}' for a in point)}. Narrow `ranges` to where it is a number."
            return
        for j, quantity in enumerate(quantities):
            sides = [_at(formula, quantities, (*point[:j], point[j] + s * _STEP, *point[j + 1 :])) for s in (1, -1)]
            stated = _at(derivative(formula, quantity), quantities, point)
            difference = (sides[0] - sides[1]) / (2 * _STEP)
            wrong += bool(math.isfinite(difference) and not abs(stated - difference) <= 1e-4 * (1 + abs(difference)))
    if wrong > 1:
        yield f"its derivative is not that of its values, at {wrong} places. Does it jump? Cases must meet."


def _rendered(formula: sp.Expr, market: Market, quantities: Sequence[Quantity]) -> Iterator[str]:
    """The Pyomo model has the same values."""
    from pyomo.environ import value as pyomo_value

    from mechdsl.engines.pyomo_model import concrete_model

    if formula.has(sp.Piecewise):  # the engines see hinges in its place
        return
    model = concrete_model(Optimum("minimize", formula, variables_of(market), (), market.data), {})
    point = {q: 0.5 + 0.25 * n for n, q in enumerate(quantities)}
    for quantity, number in point.items():
        getattr(model, str(quantity.name)).set_value(number, skip_validation=True)
    stated = _at(formula, quantities, list(point.values()))
    if math.isfinite(stated) and not np.isclose(float(pyomo_value(model.objective)), stated, rtol=1e-9):
        yield "the Pyomo model has other values. Keep to the functions of the language."
