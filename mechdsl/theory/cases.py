"""`if(x < t, f(x), g(x))` and its like: a formula in cases of one decision, cut where the cases meet.

Conditions are read as cuts of the decision's range, so that every case is known with the stretch on which it holds. A
formula in cases that meet without a jump is a smooth one and a hinge, `max(0, x - t)`, for each kink, times the bend of
its slope there: that is how a solver of smooth programmes is given it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sympy as sp

from mechdsl.formula import Entry, Interval, Quantity, entries, quantities

if TYPE_CHECKING:
    from mechdsl.theory.ranges import Ranges

__all__ = ["Cases", "cases_of", "in_cases", "narrowed", "tied"]

_MOST = 100  # comparisons in one formula
_ROUNDING = 1e-9  # of values and slopes that meet, relative to their size


@dataclass(frozen=True, slots=True)
class Cases:
    """`pieces[j]` holds where `cuts[j - 1] <= decision <= cuts[j]`; the cuts rise and are free of decisions."""

    decision: sp.Expr
    pieces: tuple[sp.Expr, ...]
    cuts: tuple[sp.Expr, ...]

    def jumps(self) -> tuple[sp.Expr, ...]:
        """By how much the value rises at each cut; 0 where the cases meet."""
        pairs = zip(self.pieces, self.pieces[1:], self.cuts, strict=False)
        return tuple((g - f).xreplace({self.decision: t}) for f, g, t in pairs)

    def bends(self) -> tuple[sp.Expr, ...]:
        """By how much the slope rises at each cut."""
        pairs = zip(self.pieces, self.pieces[1:], self.cuts, strict=False)
        return tuple((_slope(g, self.decision) - _slope(f, self.decision)).xreplace({self.decision: t})
                     for f, g, t in pairs)  # fmt: skip

    def hinged(self, kinks: Sequence[bool]) -> sp.Expr:
        """`Q + sum(j: bend_j * max(0, decision - cut_j))` over the cuts with a kink; Q has none, and bends as the cases
        do on their stretches.
        """
        z = self.decision
        hinges = [(sp.simplify(bend), z - cut) for bend, cut, kink in
                  zip(self.bends(), self.cuts, kinks, strict=True) if kink]  # fmt: skip
        rest, passed, smooth = list(self.pieces), sp.S.Zero, [sp.expand(self.pieces[0])]
        left = iter(hinges)
        for piece, kink in zip(rest[1:], kinks, strict=True):
            if kink:
                bend, beyond = next(left)
                passed += bend * beyond
            smooth.append(sp.expand(piece - passed))
        parts = [(part, z < cut) for part, cut in zip(smooth, self.cuts, strict=False)]
        same = all(sp.simplify(part - smooth[0]) == 0 for part in smooth[1:])
        whole = smooth[0] if same else sp.Piecewise(*parts, (smooth[-1], True), evaluate=False)
        return whole + sp.Add(*(bend * sp.Max(0, beyond) for bend, beyond in hinges))


def in_cases(node: sp.Basic) -> bool:
    """Whether `node` is a formula in cases that depend on a decision."""
    return isinstance(node, sp.Piecewise) and any(quantities(condition, "decision") for _, condition in node.args)


def cases_of(node: sp.Piecewise, ranges: Ranges) -> Cases | None:
    """The cases of `node` in the order of the decision; None where they are not cuts of one decision in a known order.

    Args:
        node: conditions compare one decision (times a positive or negative factor) with what is free of decisions.
        ranges: tell which of two cuts comes first.
    """
    found = entries(node, "decision")
    comparisons = sum(isinstance(part, sp.core.relational.Relational) for part in sp.preorder_traversal(node))
    if len(found) != 1 or comparisons > _MOST:
        return None
    decision = next(iter(found))
    parts = _split(node, decision, (-sp.oo, sp.oo), ranges)
    if parts is None:
        return None
    pieces, cuts = [parts[0][0]], []
    for piece, start in parts[1:]:
        if piece != pieces[-1]:
            pieces.append(piece)
            cuts.append(start)
    return Cases(decision, tuple(pieces), tuple(cuts))


def narrowed(cases: Cases, case: int, ranges: Ranges) -> Ranges:
    """The ranges where case number `case` holds."""
    head = cases.decision.quantity if isinstance(cases.decision, Entry) else cases.decision
    whole = replace(ranges, open_ends=False).of(cases.decision)
    lower, upper = (whole.lower, whole.lower_open), (whole.upper, not whole.upper_open)
    if case > 0:
        lower = max(lower, (ranges.of(cases.cuts[case - 1]).lower, False))
    if case < len(cases.cuts):
        upper = min(upper, (ranges.of(cases.cuts[case]).upper, True))
    assert isinstance(head, Quantity)
    inside = Interval(lower[0], max(lower[0], upper[0]), lower[1], not upper[1])
    return replace(ranges, known={**ranges.known, head: inside})


def tied(difference: sp.Expr, size: sp.Expr, ranges: Ranges) -> bool:
    """Whether a difference is 0: as a formula, or in the data but for rounding in relation to `size`."""
    if sp.simplify(difference) == 0:
        return True
    gap, scale = ranges.of(difference), ranges.of(sp.Abs(size))
    return max(abs(gap.lower), abs(gap.upper)) <= _ROUNDING * (1.0 + max(0.0, scale.lower))


def _split(
    node: sp.Expr, z: sp.Expr, inside: tuple[sp.Expr, sp.Expr], ranges: Ranges
) -> list[tuple[sp.Expr, sp.Expr]] | None:
    """`(case, where it starts)` from left to right between the two ends."""
    if not in_cases(node):
        return None if any(in_cases(part) for part in sp.preorder_traversal(node)) else [(node, inside[0])]
    (value, condition), *others = node.args
    rest = sp.Piecewise(*others) if others else sp.nan
    return _by(condition, value, rest, z, inside, ranges)


def _by(
    condition: sp.Basic, yes: sp.Expr, no: sp.Expr, z: sp.Expr, inside: tuple[sp.Expr, sp.Expr], ranges: Ranges
) -> list[tuple[sp.Expr, sp.Expr]] | None:
    """The cases of `if(condition, yes, no)` between two ends."""
    if condition == sp.true:
        return _split(yes, z, inside, ranges)
    if isinstance(condition, sp.And | sp.Or):
        first, second = condition.args[0], condition.func(*condition.args[1:])
        if isinstance(condition, sp.And):
            yes = sp.Piecewise((yes, second), (no, True), evaluate=False)
        else:
            no = sp.Piecewise((yes, second), (no, True), evaluate=False)
        return _by(first, yes, no, z, inside, ranges)
    found = _cut(condition, z, ranges)
    if found is None:
        return None
    cut, yes_below = found
    low, high = (yes, no) if yes_below else (no, yes)
    lower, upper = inside
    if lower != -sp.oo and _at_most(cut, lower, ranges):
        return _split(high, z, inside, ranges)
    if upper != sp.oo and _at_most(upper, cut, ranges):
        return _split(low, z, inside, ranges)
    between = (lower == -sp.oo or _at_most(lower, cut, ranges)) and (upper == sp.oo or _at_most(cut, upper, ranges))
    if not between:
        return None
    left, right = _split(low, z, (lower, cut), ranges), _split(high, z, (cut, upper), ranges)
    return None if left is None or right is None else left + right


def _cut(condition: sp.Basic, z: sp.Expr, ranges: Ranges) -> tuple[sp.Expr, bool] | None:
    """Where the decision crosses the condition, and whether it holds below; None for another kind of condition."""
    if not isinstance(condition, sp.StrictLessThan | sp.LessThan | sp.StrictGreaterThan | sp.GreaterThan):
        return None
    difference = sp.expand(condition.lhs - condition.rhs)
    factor = difference.coeff(z)
    rest = sp.expand(difference - factor * z)
    if quantities(factor, "decision") or quantities(rest, "decision"):
        return None
    sign = ranges.of(factor)
    if not (sign.lower > 0 or sign.upper < 0):
        return None
    less = isinstance(condition, sp.StrictLessThan | sp.LessThan)
    return -rest / factor, less == (sign.lower > 0)


def _at_most(first: sp.Expr, second: sp.Expr, ranges: Ranges) -> bool:
    return bool(ranges.of(sp.expand(second - first)).lower >= 0)


def _slope(piece: sp.Expr, z: sp.Expr) -> sp.Expr:
    """The derivative in the one decision that the case depends on."""
    symbol = sp.Dummy(real=True, nonnegative=z.is_nonnegative)
    return sp.diff(piece.xreplace({z: symbol}), symbol).xreplace({symbol: z})
