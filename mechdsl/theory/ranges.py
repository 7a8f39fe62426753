"""The range of a formula's values, by interval arithmetic over what is known of its quantities.

Declared ranges (`param gamma[i, k] in [0, 1]`) make a proof that holds for all data; with data at hand, what is free
of decisions is evaluated instead, entry by entry, and the proof holds for that instance. Enclosures may be wide, never
wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from mechdsl.errors import InternalError
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import REAL_LINE, Entry, IndexProduct, IndexSum, Interval, Letter, Quantity, letters_of, quantities
from mechdsl.theory.cases import cases_of, in_cases, narrowed

__all__ = ["Ranges", "sign_word"]

_INFINITY = math.inf


@dataclass(frozen=True, slots=True)
class Ranges:
    """What is known of each quantity.

    Args:
        known: ranges narrower than the declared ones, by quantity (the bounds of a choice).
        data: values; None: the declared ranges are all that is known.
        open_ends: take the interior of every decision's range (for derivatives, which may be infinite at its ends).
    """

    known: Mapping[Quantity, Interval] = field(default_factory=dict)
    data: Mapping[Quantity, Array] | None = None
    open_ends: bool = False

    def of(self, expression: sp.Basic) -> Interval:
        """An interval that holds every value of `expression`, whatever its letters and decisions are."""
        if self.data is not None and expression.args and not quantities(expression, "decision"):
            exact = self._evaluated(expression, self.data)
            if exact is not None:
                return exact
        if isinstance(expression, Entry):
            return self._of_quantity(expression.quantity)
        if isinstance(expression, Quantity):
            return self._of_quantity(expression)
        if isinstance(expression, Letter):
            return Interval(0.0, float(len(expression.index_set) - 1))
        if isinstance(expression, sp.Expr) and expression.is_number:
            return _number(expression)
        if isinstance(expression, IndexSum | IndexProduct):
            return self._of_aggregate(expression)
        if isinstance(expression, sp.Piecewise):
            found = cases_of(expression, self) if in_cases(expression) else None
            if found is not None:
                return _hull([narrowed(found, j, self).of(piece) for j, piece in enumerate(found.pieces)])
            return _hull([self.of(value) for value, _ in expression.args])
        if isinstance(expression, sp.Pow):
            return self._of_power(expression.base, expression.exp)
        rule = _RULES.get(expression.func)
        return rule(*(self.of(a) for a in expression.args)) if rule is not None else REAL_LINE

    def _of_quantity(self, quantity: Quantity) -> Interval:
        if self.data is not None and quantity in self.data and quantity.role != "decision":
            values = np.asarray(self.data[quantity], dtype=np.float64)
            return Interval(float(values.min()), float(values.max())) if values.size else REAL_LINE
        interval = self.known.get(quantity, quantity.domain)
        if self.open_ends and quantity.role == "decision" and interval.lower < interval.upper:
            return Interval(interval.lower, interval.upper, True, True)
        return interval

    def _evaluated(self, expression: sp.Basic, data: Mapping[Quantity, Array]) -> Interval | None:
        """Least and greatest value over all letters; None where some quantity has no value yet (a type, a weight)."""
        if not quantities(expression) <= data.keys():
            return None
        letters = sorted(letters_of(expression), key=lambda letter: str(letter.name))
        try:
            with np.errstate(all="ignore"):
                values = np.asarray(evaluate(expression, data, letters), dtype=np.float64)
        except InternalError:  # a function that numpy has no rule for
            return None
        if values.size == 0 or np.isnan(values).any():
            return None
        return Interval(float(values.min()), float(values.max()))

    def _of_aggregate(self, node: IndexSum | IndexProduct) -> Interval:
        body = self.of(node.body)
        most = math.prod(len(letter.index_set) for letter in node.letters)
        least = most if node.where == sp.true else 0
        if isinstance(node, IndexSum):
            return _hull([_times(Interval(n, n), body) for n in {least, most}])
        if body.lower < 0:
            return REAL_LINE
        return _hull([_power(body, Interval(n, n)) for n in {least, most}])

    def _of_power(self, base: sp.Expr, exponent: sp.Expr) -> Interval:
        inner, power = self.of(base), self.of(exponent)
        if inner.lower >= 0:
            return _power(inner, power)
        if isinstance(exponent, sp.Integer):
            return _integer_power(inner, int(exponent))
        return REAL_LINE


def sign_word(interval: Interval) -> str:
    """`positive`, `nonnegative`, `zero`, `nonpositive`, `negative` or `of either sign`."""
    if interval.lower == interval.upper == 0:
        return "zero"
    if interval.lower > 0 or (interval.lower == 0 and interval.lower_open):
        return "positive"
    if interval.lower >= 0:
        return "nonnegative"
    if interval.upper < 0 or (interval.upper == 0 and interval.upper_open):
        return "negative"
    return "nonpositive" if interval.upper <= 0 else "of either sign"


def _number(value: sp.Expr) -> Interval:
    if value.is_extended_real is not True:
        return REAL_LINE
    number = float(value)
    return Interval(number, number)


def _hull(intervals: list[Interval]) -> Interval:
    lower, upper = min(i.lower for i in intervals), max(i.upper for i in intervals)
    return Interval(
        lower,
        upper,
        all(i.lower_open for i in intervals if i.lower == lower),
        all(i.upper_open for i in intervals if i.upper == upper),
    )


def _plus(*parts: Interval) -> Interval:
    lower, upper = sum(p.lower for p in parts), sum(p.upper for p in parts)
    return Interval(
        -_INFINITY if math.isnan(lower) else lower,
        _INFINITY if math.isnan(upper) else upper,
        any(p.lower_open for p in parts),
        any(p.upper_open for p in parts),
    )


def _times(*factors: Interval) -> Interval:
    result = factors[0]
    for factor in factors[1:]:
        result = _product(result, factor)
    return result


def _product(a: Interval, b: Interval) -> Interval:
    corners = [_corner(x, y) for x in _ends(a) for y in _ends(b)]
    return _hull([Interval(value, value, opened, opened) for value, opened in corners])


def _ends(interval: Interval) -> tuple[tuple[float, bool], tuple[float, bool]]:
    return (interval.lower, interval.lower_open), (interval.upper, interval.upper_open)


def _corner(x: tuple[float, bool], y: tuple[float, bool]) -> tuple[float, bool]:
    """The product of two ends, `0 * inf = 0`, and whether it is attained: 0 is as soon as one factor attains 0."""
    value = 0.0 if 0.0 in (x[0], y[0]) else x[0] * y[0]
    attained_zero = (x[0] == 0 and not x[1]) or (y[0] == 0 and not y[1])
    return value, (x[1] or y[1]) and not attained_zero


def _power(base: Interval, exponent: Interval) -> Interval:
    """`b^e` for b >= 0: monotone in each, so its extremes are at the corners; `0^0 = 1`."""
    corners = [_raise(b, e) for b in (base.lower, base.upper) for e in (exponent.lower, exponent.upper)]
    positive = base.lower > 0 or base.lower_open
    lower = min(corners)
    return Interval(lower, max(corners), lower_open=positive and lower == 0)


def _raise(base: float, exponent: float) -> float:
    if base == 0 and exponent < 0:
        return _INFINITY
    try:
        return float(base**exponent)
    except OverflowError:
        return _INFINITY


def _integer_power(base: Interval, exponent: int) -> Interval:
    """`b^n` for b of either sign."""
    if exponent < 0:
        if base.lower < 0 < base.upper or base.upper == 0 or base.lower == 0:
            return Interval(0.0, _INFINITY, lower_open=True) if exponent % 2 == 0 else REAL_LINE
        ends = sorted((_signed(base.lower, exponent), _signed(base.upper, exponent)))
        return Interval(ends[0], ends[1])
    ends = sorted((_signed(base.lower, exponent), _signed(base.upper, exponent)))
    if exponent % 2 == 0 and base.lower < 0 < base.upper:
        return Interval(0.0, ends[1])
    # x^n is monotone on each side of 0, so an end is attained as the base's is: closed is the safe reading.
    strict = exponent > 0 and base.upper == 0 and base.upper_open
    if exponent % 2 == 0:
        return Interval(ends[0], ends[1], lower_open=strict)
    return Interval(ends[0], ends[1], upper_open=strict)


def _signed(base: float, exponent: int) -> float:
    size = _raise(abs(base), exponent)
    return -size if base < 0 and exponent % 2 else size


def _exp(a: Interval) -> Interval:
    lower = _safe_exp(a.lower)
    return Interval(lower, _safe_exp(a.upper), a.lower_open or lower == 0)


def _safe_exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return _INFINITY


def _log(a: Interval) -> Interval:
    if a.lower < 0:
        return REAL_LINE
    ends = [(-_INFINITY if e == 0 else _INFINITY if e == _INFINITY else math.log(e)) for e in (a.lower, a.upper)]
    return Interval(ends[0], ends[1], a.lower_open, a.upper_open)


def _abs(a: Interval) -> Interval:
    if a.lower >= 0:
        return a
    if a.upper <= 0:
        return _negative(a)
    return Interval(0.0, max(-a.lower, a.upper))


def _min(*parts: Interval) -> Interval:
    lower, upper = min(p.lower for p in parts), min(p.upper for p in parts)
    # The least of all attains its lower end as soon as one part does, its upper end only if every part there does.
    return Interval(
        lower,
        upper,
        all(p.lower_open for p in parts if p.lower == lower),
        any(p.upper_open for p in parts if p.upper == upper),
    )


def _max(*parts: Interval) -> Interval:
    return _negative(_min(*map(_negative, parts)))


def _negative(a: Interval) -> Interval:
    return Interval(-a.upper, -a.lower, a.upper_open, a.lower_open)


_RULES: Mapping[type[sp.Basic], Callable[..., Interval]] = {
    sp.Add: _plus,
    sp.Mul: _times,
    sp.exp: _exp,
    sp.log: _log,
    sp.Abs: _abs,
    sp.Min: _min,
    sp.Max: _max,
    sp.KroneckerDelta: lambda *_: Interval(0.0, 1.0),
    sp.Heaviside: lambda *_: Interval(0.0, 1.0),
    sp.sign: lambda *_: Interval(-1.0, 1.0),
}
