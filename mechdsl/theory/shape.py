"""Curvature and monotonicity of a formula by rules of composition, over sympy trees whose sums stay sums.

A disciplined analysis after Grant, Boyd & Ye (2006): every node is looked at once, its parts first, and a rule either
applies or it does not. Beside the textbook rules stand those that economists' functions need: weighted geometric means
(Cobb-Douglas), power means (CES), and, for what depends on one entry alone, the sign of the second derivative. What the
rules say is true wherever the ranges are; that they are silent proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import sympy as sp

from mechdsl.formula import Entry, IndexProduct, IndexSum, Interval, Quantity, entries, quantities
from mechdsl.theory.cases import Cases, cases_of, in_cases, narrowed, tied
from mechdsl.theory.ranges import Ranges

__all__ = ["Shape", "offending_term", "shape", "without_cases"]

_ROUNDING = 1e-12  # in data, 0.1 + 0.2 + 0.7 is to be 1; declared ranges are compared exactly

_LONG = 40  # operations; derivatives of longer formulas grow beyond what is worth waiting for
_DEEP = 4  # functions of functions, likewise
_FEW, _LOW, _SHORT = 8, 300, 1_000  # generators, degree and terms of a polynomial worth factoring


@dataclass(frozen=True, slots=True)
class Shape:
    """What the rules show of a formula as a function of the decisions.

    Args:
        convex, concave: shown to be; both: affine.
        rises, falls: decisions in which it may rise, may fall; nondecreasing in those that are not in `falls`.
        rule: the rule at the top of the tree, in words.
    """

    convex: bool
    concave: bool
    rises: frozenset[Quantity]
    falls: frozenset[Quantity]
    rule: str

    @property
    def word(self) -> str:
        """`constant`, `affine`, `convex`, `concave` or `of no shown curvature`."""
        if self.convex and self.concave:
            return "affine" if self.rises or self.falls else "constant"
        return "convex" if self.convex else "concave" if self.concave else "of no shown curvature"

    def has(self, wanted: str) -> bool:
        """Whether it is shown to be `convex`, `concave` or `affine`."""
        return (self.convex or wanted == "concave") and (self.concave or wanted == "convex")


_NONE: frozenset[Quantity] = frozenset()


def shape(node: sp.Basic, ranges: Ranges) -> Shape:
    """The shape of `node` over the ranges of its decisions.

    Source: Grant, Boyd & Ye (2006), Disciplined Convex Programming; Boyd & Vandenberghe (2004), Convex Optimization,
    sections 3.1 to 3.2.
    """
    decisions = quantities(node, "decision")
    if not decisions:
        return Shape(True, True, _NONE, _NONE, "free of decisions")
    if isinstance(node, Entry | Quantity):
        return Shape(True, True, decisions, _NONE, "a decision")
    if isinstance(node, sp.Pow):
        found = _power(node, ranges)
    elif isinstance(node, IndexSum | IndexProduct):
        found = _aggregate(node, ranges)
    elif isinstance(node, sp.Piecewise):
        found = _piecewise(node, ranges)
    else:
        rule = _RULES.get(node.func)
        found = rule(node, ranges) if rule is not None else _unknown(node, f"no rule for {node.func.__name__}")
    if not (found.convex or found.concave):
        found = _second_derivative(node, ranges, found)
    elif found.rises and found.falls:
        slopes = _second_derivative(node, ranges, found)  # `3 x^2 - 2 x` rises from 1 on, though one of its terms falls
        found = replace(found, rises=slopes.rises, falls=slopes.falls)
    return found


def offending_term(node: sp.Basic, wanted: str, ranges: Ranges) -> sp.Basic | None:
    """The smallest term that keeps `node` from being shown `convex` (or `concave`, `affine`); None if nothing does."""
    if shape(node, ranges).has(wanted):
        return None
    parts: Sequence[sp.Basic] = ()
    if isinstance(node, sp.Add | sp.Max | sp.Min):
        parts = node.args
    elif isinstance(node, IndexSum):
        parts = (node.body,)
    for part in parts:
        found = offending_term(part, wanted, ranges)
        if found is not None:
            return found
    return node


def _sum(shapes: Iterable[Shape], rule: str) -> Shape:
    parts = tuple(shapes)
    return Shape(
        all(p.convex for p in parts),
        all(p.concave for p in parts),
        _NONE.union(*(p.rises for p in parts)),
        _NONE.union(*(p.falls for p in parts)),
        rule,
    )


def _unknown(node: sp.Basic, rule: str) -> Shape:
    decisions = quantities(node, "decision")
    return Shape(False, False, decisions, decisions, rule)


def _scaled(inner: Shape, factor: Interval) -> Shape:
    """`factor * inner` for a factor that is free of decisions; an affine one stays so under either sign."""
    if factor.lower >= 0:
        return replace(inner, rule=f"a nonnegative multiple of {_a(inner)}")
    if factor.upper <= 0:
        return Shape(inner.concave, inner.convex, inner.falls, inner.rises, f"a nonpositive multiple of {_a(inner)}")
    affine = inner.convex and inner.concave
    both = inner.rises | inner.falls
    return Shape(affine, affine, both, both, f"a multiple, of either sign, of {_a(inner)}")


def _composed(inner: Shape, convex: bool, concave: bool, slope: int, rule: str) -> Shape:
    """`h(inner)`; h convex or concave on the range of `inner`, of slope +1, -1 or 0 (not monotone)."""
    rising = inner.convex and inner.concave
    upward = rising or (slope > 0 and inner.convex) or (slope < 0 and inner.concave)
    downward = rising or (slope > 0 and inner.concave) or (slope < 0 and inner.convex)
    both = inner.rises | inner.falls
    rises, falls = {1: (inner.rises, inner.falls), -1: (inner.falls, inner.rises)}.get(slope, (both, both))
    return Shape(convex and upward, concave and downward, rises, falls, f"{rule} of {_a(inner)}")


def _a(inner: Shape) -> str:
    return {
        "constant": "a constant",
        "affine": "an affine term",
        "convex": "a convex term",
        "concave": "a concave term",
    }.get(inner.word, "a term of no shown curvature")


def _add(node: sp.Add, ranges: Ranges) -> Shape:
    """Term by term; where that fails, the terms in one and the same entry are taken together (`2 x^3 - x^2`)."""
    parts = [shape(term, ranges) for term in node.args]
    found = _sum(parts, "a sum")
    if found.convex or found.concave:
        return replace(found, rule=f"a sum of {found.word} terms")
    groups: dict[frozenset[sp.Expr], list[sp.Expr]] = {}
    for term in node.args:
        groups.setdefault(entries(term, "decision"), []).append(term)
    if len(groups) == 1:
        return found
    return _sum((shape(sp.Add(*terms), ranges) for terms in groups.values()), "a sum over separate decisions")


def _multiply(node: sp.Mul, ranges: Ranges) -> Shape:
    free = [a for a in node.args if not quantities(a, "decision")]
    active = [a for a in node.args if quantities(a, "decision")]
    inner = shape(active[0], ranges) if len(active) == 1 else _product(active, None, ranges)
    return _scaled(inner, ranges.of(sp.Mul(*free))) if free else inner


def _product(factors: Sequence[sp.Expr], over: IndexProduct | None, ranges: Ranges) -> Shape:
    """Products of powers `u^a v^b ...` of nonnegative bases; over an index set where `over` is given."""
    powers = [a.as_base_exp() for a in factors]
    node = over if over is not None else sp.Mul(*factors)
    if any(quantities(e, "decision") for _, e in powers) or any(ranges.of(b).lower < 0 for b, _ in powers):
        return _unknown(node, "a product of decisions")
    total = sp.simplify(sp.Add(*(e for _, e in powers)))
    sums = ranges.of(IndexSum(total, over.letters, over.where) if over is not None else total)
    bases = [shape(b, ranges) for b, _ in powers]
    signs = [ranges.of(e) for _, e in powers]
    monotone = _sum((_composed(b, False, False, _slope(s), "") for b, s in zip(bases, signs, strict=True)), "a product")
    slack = _ROUNDING if ranges.data is not None else 0.0
    if all(b.concave for b in bases):
        if all(s.lower >= 0 for s in signs) and sums.upper <= 1 + slack:
            return replace(monotone, concave=True, rule="a geometric mean (exponents >= 0, their sum <= 1)")
        if all(s.upper <= 0 for s in signs):
            return replace(monotone, convex=True, rule="a product of nonpositive powers")
    rising = [b for b, s in zip(bases, signs, strict=True) if s.lower >= 1]
    falling = [b for b, s in zip(bases, signs, strict=True) if s.upper <= 0]
    single = over is None and len(rising) == 1 and len(rising) + len(falling) == len(bases)
    if single and rising[0].convex and all(b.concave for b in falling) and sums.lower >= 1 - slack:
        return replace(monotone, convex=True, rule="a power over powers (exponents sum to >= 1)")
    return monotone


def _slope(exponent: Interval) -> int:
    return 1 if exponent.lower >= 0 else -1 if exponent.upper <= 0 else 0


def _power(node: sp.Pow, ranges: Ranges) -> Shape:
    base, exponent = node.base, node.exp
    if quantities(exponent, "decision"):
        logarithm = ranges.of(sp.log(base))
        if quantities(base, "decision") or ranges.of(base).lower <= 0:
            return _unknown(node, "a power with a decision in its exponent")
        return _composed(_scaled(shape(exponent, ranges), logarithm), True, False, 1, "the exponential")
    inner, of_base, of_exponent = shape(base, ranges), ranges.of(base), ranges.of(exponent)
    slack = _ROUNDING if ranges.data is not None else 0.0
    if of_base.lower >= 0:
        convex = of_exponent.lower >= 1 - slack or of_exponent.upper <= slack
        concave = of_exponent.lower >= -slack and of_exponent.upper <= 1 + slack
        exponent_text = f"{of_exponent.lower:g}" if of_exponent.lower == of_exponent.upper else f"in {of_exponent}"
        rule = f"a power with exponent {exponent_text}, base >= 0,"
        found = _composed(inner, convex, concave, _slope(of_exponent), rule)
        return found if found.convex or found.concave else _power_mean(node, ranges, found)
    if isinstance(exponent, sp.Integer):
        return _integer_power(inner, of_base, int(exponent))
    return _unknown(node, "a power of what may be negative")


def _integer_power(inner: Shape, base: Interval, exponent: int) -> Shape:
    even = exponent % 2 == 0
    if even and exponent > 0:
        slope = -1 if base.upper <= 0 else 0
        return _composed(inner, True, False, slope, f"the power {exponent}")
    if base.upper <= 0:  # u^n = +-|u|^n
        slope = (1 if exponent > 0 else -1) * (-1 if even else 1)
        return _composed(inner, even, not even, slope, f"the power {exponent}, base <= 0,")
    if exponent > 0:
        return _composed(inner, False, False, 1, f"the power {exponent}")
    return _composed(inner, False, False, 0, f"the power {exponent}")


def _power_mean(node: sp.Pow, ranges: Ranges, otherwise: Shape) -> Shape:
    """`(sum a f^s)^t`: concave if s <= 1, s t <= 1, of one sign, f concave; convex if s >= 1, s t >= 1, f convex."""
    exponents: set[sp.Expr] = set()
    inner: list[Shape] = []
    for term in sp.Add.make_args(node.base):
        body = term.body if isinstance(term, IndexSum) else term
        active = [f for f in sp.Mul.make_args(body) if quantities(f, "decision")]
        if len(active) > 1 or ranges.of(body).lower < 0:
            return otherwise
        for factor in active:
            base, exponent = factor.as_base_exp()
            bound = set(term.letters) & exponent.free_symbols if isinstance(term, IndexSum) else set()
            if bound or quantities(exponent, "decision") or ranges.of(base).lower < 0:
                return otherwise
            exponents.add(exponent)
            inner.append(shape(base, ranges))
    if len(exponents) != 1:
        return otherwise
    exponent = exponents.pop()
    slack = _ROUNDING if ranges.data is not None else 0.0
    s, t, degree = ranges.of(exponent), ranges.of(node.exp), ranges.of(exponent * node.exp)
    same_sign = (s.lower >= 0 and t.lower >= 0) or (s.upper <= 0 and t.upper <= 0)
    if not same_sign:
        return otherwise
    if s.upper <= 1 + slack and degree.upper <= 1 + slack and all(f.concave for f in inner):
        return replace(otherwise, concave=True, rule="a power mean of degree <= 1 (CES)")
    if s.lower >= 1 - slack and degree.lower >= 1 - slack and all(f.convex for f in inner):
        return replace(otherwise, convex=True, rule="a power of a p-norm, p >= 1")
    return otherwise


def _aggregate(node: IndexSum | IndexProduct, ranges: Ranges) -> Shape:
    if isinstance(node, IndexSum):
        inner = shape(node.body, ranges)
        return (
            replace(inner, rule=f"a sum of {_a(inner).split(' ', 1)[1]}s") if inner.convex or inner.concave else inner
        )
    free = [a for a in sp.Mul.make_args(node.body) if not quantities(a, "decision")]
    active = [a for a in sp.Mul.make_args(node.body) if quantities(a, "decision")]
    if ranges.of(sp.Mul(*free)).lower < 0:
        return _unknown(node, "a product with factors of either sign")
    return _product(active, node, ranges)


def without_cases(expression: sp.Expr, ranges: Ranges) -> sp.Expr:
    """`expression` with every formula in cases of a decision as a smooth one and hinges, `max(0, x - t)`.

    The same formula wherever it is shown convex or concave; what is neither stays as it is.

    Source: ours, tests/test_any_market.py.
    """
    whole = {node: _without_cases(node, ranges) for node in _outermost_cases(expression)}
    return expression.xreplace(whole) if whole else expression


def _outermost_cases(node: sp.Basic) -> list[sp.Piecewise]:
    return [node] if in_cases(node) else [found for a in node.args for found in _outermost_cases(a)]


def _without_cases(node: sp.Piecewise, ranges: Ranges) -> sp.Expr:
    found, verdict = cases_of(node, ranges), shape(node, ranges)
    if found is None or not (verdict.convex or verdict.concave):
        return node
    return found.hinged([not tied(bend, bend, ranges) for bend in found.bends()])


def _piecewise(node: sp.Piecewise, ranges: Ranges) -> Shape:
    if in_cases(node):
        found = cases_of(node, ranges)
        return _unknown(node, "cases that are no cuts of one decision") if found is None else _in_cases(found, ranges)
    return _sum((shape(value, ranges) for value, _ in node.args), "one of several cases, free of decisions")


def _in_cases(found: Cases, ranges: Ranges) -> Shape:
    """Convex where every case is, none jumps, and the slope rises wherever two meet; concave likewise."""
    parts = [shape(piece, narrowed(found, j, ranges)) for j, piece in enumerate(found.pieces)]
    whole = _sum(parts, "cases")
    starts = [piece.xreplace({found.decision: cut}) for piece, cut in zip(found.pieces, found.cuts, strict=False)]
    if not all(tied(jump, start, ranges) for jump, start in zip(found.jumps(), starts, strict=True)):
        moves = whole.rises | whole.falls | quantities(found.decision, "decision")
        return Shape(False, False, moves, moves, "cases with a jump between them")
    slack = _ROUNDING if ranges.data is not None else 0.0
    bends = [ranges.of(sp.simplify(bend)) for bend in found.bends()]
    rising = all(bend.lower >= -slack for bend in bends)
    falling = all(bend.upper <= slack for bend in bends)
    word = "rise" if rising else "fall" if falling else "rise and fall"
    return replace(
        whole,
        convex=whole.convex and rising,
        concave=whole.concave and falling,
        rule=f"cases that meet, whose slopes {word} from one to the next",
    )


def _maximum(node: sp.Max, ranges: Ranges) -> Shape:
    found = _sum((shape(a, ranges) for a in node.args), "the greatest of several terms")
    return replace(found, concave=False)


def _minimum(node: sp.Min, ranges: Ranges) -> Shape:
    found = _sum((shape(a, ranges) for a in node.args), "the least of several terms")
    return replace(found, convex=False)


def _exponential(node: sp.exp, ranges: Ranges) -> Shape:
    return _composed(shape(node.args[0], ranges), True, False, 1, "the exponential")


def _logarithm(node: sp.log, ranges: Ranges) -> Shape:
    inner = shape(node.args[0], ranges)
    if ranges.of(node.args[0]).lower < 0:
        return _unknown(node, "the logarithm of what may be negative")
    return _composed(inner, False, True, 1, "the logarithm")


def _absolute(node: sp.Abs, ranges: Ranges) -> Shape:
    inside = ranges.of(node.args[0])
    slope = 1 if inside.lower >= 0 else -1 if inside.upper <= 0 else 0
    return _composed(shape(node.args[0], ranges), True, False, slope, "the absolute value")


def _second_derivative(node: sp.Basic, ranges: Ranges, found: Shape) -> Shape:
    """For a smooth formula in one single entry: the signs of its first and second derivatives over the open range."""
    single = entries(node, "decision")
    if len(single) != 1 or node.count_ops() > _LONG or _nested(node) > _DEEP or not _smooth(node, ranges):
        return found
    entry = next(iter(single))
    symbol = _variable(entry.is_nonnegative)
    function = node.xreplace({entry: symbol})
    if entries(function, "decision"):
        return found
    inside = replace(ranges, open_ends=True)
    first, second = _derivatives(function, symbol)
    slope = _sign(first.xreplace({symbol: entry}), inside)
    bend = _sign(second.xreplace({symbol: entry}), inside)
    decision = quantities(entry, "decision")
    return Shape(
        bend >= 0 if bend is not None else False,
        bend <= 0 if bend is not None else False,
        _NONE if slope is not None and slope <= 0 else decision if slope is not None else found.rises,
        _NONE if slope is not None and slope >= 0 else decision if slope is not None else found.falls,
        "the sign of the second derivative" if bend is not None else found.rule,
    )


# A constraint is looked at by several steps of a derivation, over the same entry: what is costly is done once.


@lru_cache(maxsize=4)
def _variable(nonnegative: bool | None) -> sp.Symbol:
    return sp.Dummy(real=True, nonnegative=nonnegative)


@lru_cache(maxsize=512)
def _derivatives(function: sp.Expr, symbol: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    first = sp.diff(function, symbol)
    return first, sp.diff(first, symbol)


@lru_cache(maxsize=512)
def _written(form: Callable[[sp.Expr], sp.Expr], expression: sp.Expr) -> sp.Expr:
    return form(expression)


def _sign(expression: sp.Expr, ranges: Ranges) -> int | None:
    """+1 for nonnegative, -1 for nonpositive, 0 for zero, None where the range does not tell; in several forms."""
    costly = (sp.together, sp.factor, sp.expand) if _tractable(expression) else ()
    for form in (sp.Id, sp.factor_terms, *costly):
        interval = ranges.of(_written(form, expression))
        if interval.lower == interval.upper == 0:
            return 0
        if interval.lower >= 0:
            return 1
        if interval.upper <= 0:
            return -1
    return None


def _nested(node: sp.Basic) -> int:
    """How many functions and powers of functions and powers."""
    inner = max(map(_nested, node.args), default=0)
    return inner + (isinstance(node, sp.Function | sp.Pow) and not isinstance(node, Entry))


def _tractable(expression: sp.Expr) -> bool:
    """Whether its polynomial forms are small: few generators, of low degree once fractional powers are whole."""
    powers = [p for p in expression.atoms(sp.Pow) if p.exp.is_Rational]
    generators = {p.base for p in powers} | expression.atoms(sp.Function) | (expression.atoms(sp.Pow) - {*powers})
    common = math.lcm(*(int(p.exp.q) for p in powers))
    degree = max((abs(int(p.exp * common)) for p in powers), default=1)
    return (
        len(generators) <= _FEW
        and degree <= _LOW
        and all(abs(p.exp) <= 1 or len(p.base.args) ** float(abs(p.exp)) <= _SHORT for p in powers if p.base.is_Add)
    )


def _smooth(node: sp.Basic, ranges: Ranges) -> bool:
    """Whether `node` is twice differentiable inside the ranges, by its kinds of nodes; poles at their ends may be."""
    if not quantities(node, "decision") or isinstance(node, Entry | Quantity):
        return True
    if isinstance(node, sp.Pow):
        fits = ranges.of(node.base).lower >= 0 or (isinstance(node.exp, sp.Integer) and int(node.exp) >= 0)
    elif isinstance(node, sp.log):
        fits = ranges.of(node.args[0]).lower >= 0
    else:
        fits = isinstance(node, sp.Add | sp.Mul | sp.exp)
    return fits and all(_smooth(a, ranges) for a in node.args)


_RULES: Mapping[type[sp.Basic], Callable[..., Shape]] = {
    sp.Add: _add,
    sp.Mul: _multiply,
    sp.Max: _maximum,
    sp.Min: _minimum,
    sp.exp: _exponential,
    sp.log: _logarithm,
    sp.Abs: _absolute,
}
