"""Formulas as people read them: Unicode text for terminals, LaTeX for documents, MathML for pages.

One walk over the tree decides order, signs, fractions and parentheses; a `Style` says only how each piece is spelt.
Own printers rather than sympy's: they know index letters, labels, declared Greek names and the theory's symbols, and
they put terms in the order in which people write them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import sympy as sp

from mechdsl.formula import Entry, IndexProduct, IndexSet, IndexSum, Letter, quantities
from mechdsl.report.styles import LATEX, MATHML, TEXT, Style
from mechdsl.theory.notation import Best, Expectation, Others, Rule, Slope

__all__ = ["display_latex", "display_mathml", "is_wide", "latex", "mathml", "text"]

# How tightly a rendered piece holds together; what holds less tightly than its place asks for gets parentheses.
_LOGIC, _RELATION, _SUM, _AGGREGATE, _PRODUCT, _POWER, _ATOM = range(7)

_Piece = tuple[str, int]


def text(expression: sp.Basic) -> str:
    """`x[k]^ρ[k] + Σ_i μ[i, k]·x[i]`: one line for a terminal."""
    return _render(expression, TEXT)[0]


def latex(expression: sp.Basic) -> str:
    r"""`x_{k}^{\rho_{k}} + \sum_{i} \mu_{i, k} x_{i}`: ASCII, to stand in mathematics; needs amsmath."""
    return _render(expression, LATEX)[0]


def mathml(expression: sp.Basic) -> str:
    """`<math>...</math>`: presentation MathML, to stand in HTML."""
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{_render(expression, MATHML)[0]}</math>'


def display_latex(expression: sp.Basic, width: int = 78) -> str:
    """LaTeX for a display, broken at the relation and between terms where it would be wider than `width` characters."""
    lines = _broken(expression, LATEX, width)
    if len(lines) == 1:
        return lines[0]
    return r"\begin{aligned} & " + r" \\ & \quad ".join(lines) + r" \end{aligned}"


def display_mathml(expression: sp.Basic, width: int = 78) -> str:
    """MathML for a display, broken as the LaTeX is."""
    lines = _broken(expression, MATHML, width)
    if len(lines) > 1:
        cell = '<mtr><mtd style="text-align: left">{}</mtd></mtr>'
        rows = [cell.format(('<mspace width="1.5em"/>' if n else "") + inner) for n, inner in enumerate(lines)]
        lines = [f'<mtable displaystyle="true">{"".join(rows)}</mtable>']
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{lines[0]}</math>'


def is_wide(expression: sp.Basic, width: int = 78) -> bool:
    """Whether a line of the display is wider than `width` characters all the same: one term that is too long."""
    return any(_visible(piece) > width for piece in _broken(expression, LATEX, width))


# The walk.


def _render(node: sp.Basic, style: Style) -> _Piece:
    for kind, rule in _RULES:
        if isinstance(node, kind):
            return rule(node, style)
    if isinstance(node, sp.Function) and not node.args:
        return style.name(sp.Symbol(str(node.func))), _ATOM
    if isinstance(node, sp.Function):
        name = type(node).__name__ if not isinstance(node, sp.core.function.AppliedUndef) else str(node.func)
        head = style.name(sp.Symbol(name)) if isinstance(node, sp.core.function.AppliedUndef) else None
        arguments = [_render(a, style)[0] for a in node.args]
        return (
            f"{head}{style.parentheses(style.comma.join(arguments))}" if head else style.function(name, arguments)
        ), _ATOM
    arguments = [_render(a, style)[0] for a in node.args]
    return style.function(type(node).__name__, arguments), _ATOM


def _inside(node: sp.Basic, style: Style, least: int) -> str:
    """`node`, in parentheses if it holds together less tightly than `least`."""
    piece, tightness = _render(node, style)
    return piece if tightness >= least else style.parentheses(piece)


def _symbol(node: sp.Symbol, style: Style) -> _Piece:
    return style.name(node), _ATOM


def _entry(node: Entry, style: Style) -> _Piece:
    pairs = zip(node.quantity.sets, node.indices, strict=True)
    return style.entry(node.quantity, [_index(s, i, style) for s, i in pairs]), _ATOM


def _index(index_set: IndexSet, index: sp.Expr, style: Style) -> str:
    return style.label(index_set.labels[int(index)]) if isinstance(index, sp.Integer) else _render(index, style)[0]


def _number(node: sp.Number, style: Style) -> _Piece:
    if isinstance(node, sp.Rational) and not isinstance(node, sp.Integer):
        above, below = style.number(str(abs(node.p))), style.number(str(node.q))
        piece = style.fraction(above, below)
        return (f"{style.operator(style.minus)}{piece}", _SUM) if node.p < 0 else (piece, _PRODUCT)
    digits = str(abs(node)) if isinstance(node, sp.Integer) else _digits(abs(float(node)))
    piece = style.number(digits)
    return (f"{style.operator(style.minus)}{piece}", _SUM) if node < 0 else (piece, _ATOM)


def _digits(value: float) -> str:
    return f"{value:.12g}" if float(f"{value:.12g}") == value else repr(value)


def _add(node: sp.Add, style: Style) -> _Piece:
    pieces: list[str] = []
    for negative, term in _signed_terms(node):
        inner = _inside(term, style, _AGGREGATE)
        if pieces or negative:
            space = " " if pieces else ""
            pieces.append(f"{space}{style.operator(style.minus if negative else '+')}{space}{inner}")
        else:
            pieces.append(inner)
    return "".join(pieces), _SUM


def _signed_terms(node: sp.Expr) -> list[tuple[bool, sp.Expr]]:
    """Terms as people write them: positive ones first, simple ones before long ones."""
    terms = [_signed(term) for term in sp.Add.make_args(node)]
    return sorted(terms, key=lambda pair: (pair[0], _length(pair[1]), str(pair[1])))


def _signed(term: sp.Expr) -> tuple[bool, sp.Expr]:
    """Whether a term is written with a minus, and what follows it: `2 x` of `-2 x`, `(1 + a) x` of `(-1 - a) x`."""
    negative = _is_negative(term)
    term = -term if negative else term
    factors = sp.Mul.make_args(term)
    turned = [isinstance(f, sp.Add) and all(map(_is_negative, f.args)) for f in factors]
    if len(factors) == 1 or not any(turned):
        return negative, term
    found = sp.Mul(*(-f if turn else f for f, turn in zip(factors, turned, strict=True)), evaluate=False)
    return negative ^ (sum(turned) % 2 == 1), found


def _is_negative(term: sp.Expr) -> bool:
    return bool(term.as_coeff_Mul()[0].is_extended_negative)


def _length(term: sp.Expr) -> int:
    constant = 0 if term.is_number else 1
    aggregate = 2 if term.has(IndexSum, IndexProduct, sp.Integral) else 0
    return constant + aggregate + sum(1 for _ in sp.preorder_traversal(term))


def _multiply(node: sp.Mul, style: Style) -> _Piece:
    negative, node = _signed(node)
    if negative:
        return f"{style.operator(style.minus)}{_inside(node, style, _AGGREGATE)}", _SUM
    above: list[sp.Expr] = []
    below: list[sp.Expr] = []
    for factor in node.args:
        if isinstance(factor, sp.Rational) and factor.q != 1:
            above += [sp.Integer(factor.p)] if factor.p != 1 else []
            below.append(sp.Integer(factor.q))
        elif isinstance(factor, sp.Pow) and _is_negative(factor.exp):
            below.append(factor.base ** (-factor.exp))
        else:
            above.append(factor)
    return _quotient(above, below, style)


def _quotient(above: Sequence[sp.Expr], below: Sequence[sp.Expr], style: Style) -> _Piece:
    if not below:
        return _factors(above, style), _PRODUCT
    parenthesised = style.fraction_needs_parentheses()
    top = (
        _factors(above, style)
        if len(above) > 1
        else _inside(above[0], style, _PRODUCT if parenthesised else _LOGIC)
        if above
        else style.number("1")
    )
    if len(below) == 1:
        return style.fraction(top, _inside(below[0], style, _POWER if parenthesised else _LOGIC)), _PRODUCT
    bottom = _factors(below, style)
    return style.fraction(top, style.parentheses(bottom) if parenthesised else bottom), _PRODUCT


def _factors(factors: Sequence[sp.Expr], style: Style) -> str:
    """Numbers, then data, types and weights, decisions, sums: the order in which people write a product."""
    ordered = sorted(factors, key=_factor_key)
    last = len(ordered) - 1
    # A sum over an index reaches as far as the product does, so only the last factor may be a bare one.
    pieces = [_inside(f, style, _AGGREGATE if n == last and last > 0 else _PRODUCT) for n, f in enumerate(ordered)]
    return pieces[0] if len(pieces) == 1 else style.product(pieces)


def _factor_key(factor: sp.Expr) -> tuple[int, bool, str]:
    if factor.is_number:
        return 0, False, str(factor)
    roles = {q.role for q in quantities(factor)}
    rank = 4 if "decision" in roles else 3 if roles & {"type", "open"} else 2
    late = 3 if factor.has(IndexSum, IndexProduct, sp.Integral) else 0
    return rank + late, isinstance(factor, Rule | Slope), str(factor)


def _power(node: sp.Pow, style: Style) -> _Piece:
    base, exponent = node.base, node.exp
    if _is_negative(exponent):
        return _quotient([], [base ** (-exponent)], style)
    if exponent == sp.Rational(1, 2):
        return style.root(_render(base, style)[0]), _ATOM
    inner = _inside(base, style, _ATOM)
    if isinstance(base, Rule):
        inner = style.parentheses(inner)
    piece, tightness = _render(exponent, style.in_exponent())
    return style.power(inner, piece, tightness >= _ATOM), _POWER


def _exponential(node: sp.exp, style: Style) -> _Piece:
    return style.function("exp", [_render(node.args[0], style)[0]]), _ATOM


def _aggregate(node: IndexSum | IndexProduct, style: Style) -> _Piece:
    where = None if node.where == sp.true else _render(node.where, style)[0]
    letters = [_render(letter, style)[0] for letter in node.letters]
    sign = "Σ" if isinstance(node, IndexSum) else "Π"
    return style.aggregate(sign, letters, where, _inside(node.body, style, _AGGREGATE)), _AGGREGATE


def _integral(node: sp.Integral, style: Style) -> _Piece:
    variable, lower, upper = node.limits[0]
    pieces = [_render(a, style)[0] for a in (variable, lower, upper)]
    return style.integral(_inside(node.function, style, _PRODUCT), *pieces), _AGGREGATE


def _relation(node: sp.Basic, style: Style) -> _Piece:
    left, right = (_inside(a, style, _SUM) for a in node.args)
    if any(isinstance(a, Letter) for a in node.args):  # `home[n] == k`: an index, not a number
        left, right = (_index_side(a, b, style) for a, b in (node.args, node.args[::-1]))
    return f"{left} {style.operator(style.relations[node.func])} {right}", _RELATION


def _index_side(side: sp.Basic, other: sp.Basic, style: Style) -> str:
    if isinstance(side, sp.Integer) and isinstance(other, Letter):
        return style.label(other.index_set.labels[int(side)])
    return _inside(side, style, _SUM)


def _connected(node: sp.Basic, style: Style) -> _Piece:
    sign = f" {style.operator(style.logic[node.func])} "
    return sign.join(_inside(a, style, _RELATION) for a in node.args), _LOGIC


def _negated(node: sp.Not, style: Style) -> _Piece:
    return f"{style.operator('¬')}{_inside(node.args[0], style, _ATOM)}", _POWER


def _piecewise(node: sp.Piecewise, style: Style) -> _Piece:
    values = tuple(value for value, _ in node.args)
    if values == (1, 0) and node.args[1][1] == sp.true:
        return style.indicator(_render(node.args[0][1], style)[0]), _ATOM
    rows = [
        (_render(value, style)[0], None if condition == sp.true else _render(condition, style)[0])
        for value, condition in node.args
    ]
    return style.cases(rows), _ATOM


def _delta(node: sp.KroneckerDelta, style: Style) -> _Piece:
    left, right = node.args
    if isinstance(left, sp.Integer):
        left, right = right, left
    condition = f"{_index_side(left, right, style)} {style.operator('=')} {_index_side(right, left, style)}"
    return style.indicator(condition), _ATOM


def _best(node: Best, style: Style) -> _Piece:
    over = [_render(a, style)[0] for a in node.over]
    return style.aggregate("max", over, None, _inside(node.body, style, _AGGREGATE)), _AGGREGATE


def _ruled(node: Rule, style: Style) -> _Piece:
    if not node.report:
        return _render(node.head, style)
    arguments = style.comma.join(_render(a, style)[0] for a in node.report)
    return f"{_render(node.head, style)[0]}{style.parentheses(arguments)}", _ATOM


def _expected(node: Expectation, style: Style) -> _Piece:
    return style.expectation([_render(a, style)[0] for a in node.letters], _render(node.body, style)[0]), _ATOM


def _rest(node: Others, style: Style) -> _Piece:
    return style.others(node.of, [_render(a, style)[0] for a in node.letters]), _ATOM


def _sloped(node: Slope, style: Style) -> _Piece:
    return style.slope(_render(node.args[0], style)[0], _render(node.args[1], style)[0]), _PRODUCT


def _boolean(node: sp.Basic, style: Style) -> _Piece:
    return style.constant("true" if node == sp.true else "false"), _ATOM


def _constant(name: str) -> Callable[[sp.Basic, Style], _Piece]:
    return lambda node, style: (style.constant(name), _ATOM)


_RULES: tuple[tuple[type | tuple[type, ...], Callable[..., _Piece]], ...] = (
    (Entry, _entry),
    (sp.Symbol, _symbol),
    (Rule, _ruled),
    (Best, _best),
    (Expectation, _expected),
    (Slope, _sloped),
    (Others, _rest),
    (IndexSum, _aggregate),
    (IndexProduct, _aggregate),
    (type(sp.oo), _constant("oo")),
    (type(-sp.oo), lambda node, style: (f"{style.operator(style.minus)}{style.constant('oo')}", _SUM)),
    (type(sp.pi), _constant("pi")),
    (type(sp.E), _constant("e")),
    (type(sp.nan), _constant("nan")),
    (sp.Number, _number),
    (sp.Add, _add),
    (sp.Mul, _multiply),
    (sp.Pow, _power),
    (sp.exp, _exponential),
    (sp.Abs, lambda node, style: (style.absolute(_render(node.args[0], style)[0]), _ATOM)),
    (sp.Max, lambda node, style: (style.function("max", [_render(a, style)[0] for a in node.args]), _ATOM)),
    (sp.Min, lambda node, style: (style.function("min", [_render(a, style)[0] for a in node.args]), _ATOM)),
    (sp.KroneckerDelta, _delta),
    (sp.Piecewise, _piecewise),
    (sp.Integral, _integral),
    (sp.core.relational.Relational, _relation),
    ((sp.And, sp.Or), _connected),
    (sp.Not, _negated),
    (sp.logic.boolalg.BooleanAtom, _boolean),
)


# Breaking displays.


def _broken(expression: sp.Basic, style: Style, width: int) -> list[str]:
    """The expression on as many lines as it takes; how wide they are is judged by their LaTeX."""
    if _visible(latex(expression)) <= width:
        return [_render(expression, style)[0]]
    if not isinstance(expression, sp.core.relational.Relational):
        return _lines(expression, style, width)
    sign = style.operator(style.relations[expression.func])
    left, right = _lines(expression.lhs, style, width), _lines(expression.rhs, style, width)
    if len(left) == 1:
        return [f"{left[0]} {sign} {right[0]}", *right[1:]]
    return [*left, f"{sign} {right[0]}", *right[1:]]


def _lines(expression: sp.Basic, style: Style, width: int) -> list[str]:
    """The sum's terms, as many on a line as fit."""
    if not isinstance(expression, sp.Add):
        return [_render(expression, style)[0]]
    lines: list[str] = []
    used = 0
    for negative, term in _signed_terms(expression):
        piece, wide = _inside(term, style, _AGGREGATE), _visible(_inside(term, LATEX, _AGGREGATE))
        sign = style.operator(style.minus if negative else "+")
        if lines and used + wide <= width:
            lines[-1] += f" {sign} {piece}"
            used += wide + 1
        elif lines:
            lines.append(f"{sign} {piece}")
            used = wide + 1
        else:
            lines.append(f"{sign}{piece}" if negative else piece)
            used = wide
    return lines


def _visible(source: str) -> int:
    """About how many characters wide a formula prints; what stands in indices counts half."""
    bare = re.sub(r"\\(left|right|mathit|text|mathrm|operatorname|frac|begin|end)\b|\\[,;:! ]", "", source)
    bare = re.sub(r"\\[a-zA-Z]+", "x", bare)
    return len(re.sub(r"[{}_^\s\\]", "", bare))
