"""Claims decided on paired differences: `a >= b` holds if `a - b - e >= -tol`, fails if `a - b + e < -tol`.

Both sides are forms; their difference is taken before it is integrated. Where nothing is left of it the two are equal
by derivation, and no number had to be trusted.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from mechdsl import syntax_tree as tree
from mechdsl.comparison.verdict import Verdict
from mechdsl.errors import Source, UsageError, did_you_mean
from mechdsl.expectation import Estimate, Estimates
from mechdsl.expected import ZERO, Expected, Linear

__all__ = ["Operands", "Pair", "Relation", "judged", "related"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A side of a relation: a form, or two that it lies between."""

    lower: Linear
    upper: Linear

    @property
    def exact(self) -> bool:
        return self.lower is self.upper or (not (self.upper - self.lower).terms and self.upper == self.lower)


@dataclass(frozen=True, slots=True, eq=False)
class Operands:
    """What claims may speak of: the regimes' forms, and the rents of those with private types."""

    expected: Mapping[str, Expected]
    rents: Mapping[str, Linear]

    def of(self, word: str, regime: str, layer: str | None = None) -> Pair | None:
        """`revenue(M1)`, `payments(M1, creator)`; None where the regime has no such figure."""
        if regime not in self.expected:
            return None
        known = self.expected[regime]
        if word in known.bounds and layer is None:
            return Pair(*known.bounds[word])
        if word == "information_rent":
            form = self.rents.get(regime)
        elif word in ("payments", "utility"):
            tables = known.payments if word == "payments" else known.utilities
            rows = [row for name, row in tables.items() if layer in (None, name)]
            form = sum((f for row in rows for f in row), ZERO) if rows else None
        else:
            form = getattr(known, word)
        return None if form is None else Pair(form, form)


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation of a claim, decided: `text`, whether it `holds` (None: undecided), `by` what, and the numbers."""

    text: str
    holds: bool | None
    by: str
    numbers: str


def judged(
    claim: tree.ClaimStatement, source: Source, operands: Operands, found: Estimates, tolerance: float
) -> Verdict:
    """The verdict on a claim of the file: all its relations hold, one fails, or neither is known."""
    relations = []
    for chain in claim.parts:
        for (left, right), sign in zip(pairwise(chain.operands), chain.relations, strict=True):
            text = f"{said(left, source)} {sign} {said(right, source)}"
            sides = (_side(left, operands, source), _side(right, operands, source))
            relations.append(related(text, sides[0], sign, sides[1], found, tolerance))
    return together(claim.name.id, claim.doc or ", ".join(r.text for r in relations), relations)


def together(name: str, text: str, relations: list[Relation], condition: str = "", source: str = "") -> Verdict:
    """Relations that must all hold."""
    holds = _all(r.holds for r in relations)
    by = "identity" if relations and all(r.by == "identity" for r in relations) else "bounds"
    words = {True: "", False: "FAILS: ", None: "undecided: "}
    detail = "; ".join(f"{words[r.holds]}{r.text} ({r.numbers})" for r in relations) + "."
    return Verdict(name, text, holds, by, condition, detail, source=source)


def _all(verdicts: object) -> bool | None:
    met = list(verdicts)  # type: ignore[call-overload]
    return False if False in met else None if None in met else True


_NO_VALUE = "a side has no value here"


def related(
    text: str, left: Pair | None, sign: str, right: Pair | None, found: Estimates, tolerance: float
) -> Relation:
    """One relation decided on the paired difference, with its error and tolerance relative to the larger side."""
    if left is None or right is None:
        return Relation(text, None, "bounds", _NO_VALUE)
    ends = [found.of(form) for form in (left.lower, left.upper, right.lower, right.upper)]
    sizes = [end.mean for end in ends]
    if any(map(math.isnan, sizes)):  # at some types there is no solution
        return Relation(text, None, "bounds", _NO_VALUE)
    low, high = left.lower - right.upper, left.upper - right.lower
    if left.exact and right.exact and not low.terms and abs(low.constant) == 0:
        same = sign in ("==", ">=", "<=")
        return Relation(text, same, "identity", f"both are {ends[0]}, equal by derivation")
    lowest, highest = found.of(low), found.of(high)
    allowed = tolerance * max(map(abs, sizes))
    decide = _DECISIONS[sign]
    holds = decide(lowest.lower, highest.upper, allowed)
    if left.exact and right.exact:
        apart = "0" if abs(lowest.mean) <= lowest.error else lowest.shown(4)
        error = "" if "±" in apart else f" with error {lowest.error:.1e}"
        numbers = f"{ends[0]} and {ends[2]}, difference {apart}{error}"
    else:
        numbers = f"{_between(left, *ends[:2])} and {_between(right, *ends[2:])}"
    return Relation(text, holds, "bounds", numbers)


def _between(side: Pair, low: Estimate, high: Estimate) -> str:
    return f"{low}" if side.exact else f"{low} to {high}"


def _at_least(low: float, high: float, allowed: float) -> bool | None:
    return True if low >= -allowed else False if high < -allowed else None


def _equal(low: float, high: float, allowed: float) -> bool | None:
    if max(abs(low), abs(high)) <= allowed:
        return True
    return False if low > allowed or high < -allowed else None


def _above(low: float, high: float, allowed: float) -> bool | None:
    return True if low > allowed else False if high <= allowed else None


def _negated(decide: Callable[[float, float, float], bool | None]) -> Callable[[float, float, float], bool | None]:
    def decided(low: float, high: float, allowed: float) -> bool | None:
        verdict = decide(low, high, allowed)
        return None if verdict is None else not verdict

    return decided


def _turned(decide: Callable[[float, float, float], bool | None]) -> Callable[[float, float, float], bool | None]:
    return lambda low, high, allowed: decide(-high, -low, allowed)


_DECISIONS: Mapping[str, Callable[[float, float, float], bool | None]] = {
    ">=": _at_least, "<=": _turned(_at_least), "==": _equal, ">": _above, "<": _turned(_above), "!=": _negated(_equal),
}  # fmt: skip

_WORDS = ("revenue", "welfare", "profit", "payments", "utility", "information_rent")


def _side(node: tree.Expression, operands: Operands, source: Source) -> Pair | None:
    """An operand as a form: figures of regimes, numbers, sums, and products with numbers.

    Raises:
        UsageError: what no form can say.
    """
    match node:
        case tree.Number(value=value):
            return _number(float(value))
        case tree.Call(name=name, arguments=arguments) if name in _WORDS:
            names = [a.value.id for a in arguments if isinstance(a.value, tree.Name)]
            if not names or len(names) != len(arguments) or len(names) > 2:
                raise UsageError(f"'{said(node, source)}': write {name}(REGIME) or {name}(REGIME, LAYER)")
            return operands.of(name, names[0], names[1] if len(names) > 1 else None)
        case tree.Call(name=name):
            raise UsageError(f"a claim cannot speak of '{name}'. {did_you_mean(name, _WORDS)}")
        case tree.Unary(operator="-", operand=inner):
            return _scaled(_side(inner, operands, source), -1.0)
        case tree.Unary(operator="+", operand=inner):
            return _side(inner, operands, source)
        case tree.Binary(operator="+" | "-" as sign, left=left, right=right):
            a, b = _side(left, operands, source), _scaled(_side(right, operands, source), 1.0 if sign == "+" else -1.0)
            return None if a is None or b is None else Pair(a.lower + b.lower, a.upper + b.upper)
        case tree.Binary(operator="*" | "/" as sign, left=left, right=right):
            a, b = _side(left, operands, source), _side(right, operands, source)
            if a is None or b is None:
                return None
            if sign == "*" and _is_number(a):
                a, b = b, a
            if not _is_number(b) or (sign == "/" and b.lower.constant == 0):
                raise UsageError(f"'{said(node, source)}': claims compare sums and multiples of expected figures")
            factor = b.lower.constant
            return _scaled(a, operator.truediv(1.0, factor) if sign == "/" else factor)
        case _:
            raise UsageError(f"'{said(node, source)}' is no figure a claim can compare")


def said(node: tree.Node, source: Source) -> str:
    """The words of the file."""
    return " ".join(source.text[node.span.start : node.span.end].split())


def _number(value: float) -> Pair:
    form = Linear(value)
    return Pair(form, form)


def _is_number(pair: Pair) -> bool:
    return pair.lower is pair.upper and not pair.lower.terms


def _scaled(pair: Pair | None, factor: float) -> Pair | None:
    if pair is None:
        return None
    if pair.lower is pair.upper:
        form = pair.lower * factor
        return Pair(form, form)
    ends = (pair.lower * factor, pair.upper * factor)
    return Pair(*(ends if factor >= 0 else ends[::-1]))
