"""Claims decided on paired differences: `a >= b` holds if `a - b - e >= -tol`, fails if `a - b + e < -tol`.

Both sides are forms; their difference is taken before it is integrated. Where nothing is left of it the two are equal
by derivation, and no number had to be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product

import numpy as np

from mechdsl import syntax_tree as tree
from mechdsl.comparison.verdict import Verdict
from mechdsl.elaborate.expressions import label_text
from mechdsl.elaborate.outcomes import OUTCOME_WORDS
from mechdsl.errors import InternalError, Source
from mechdsl.expectation import Estimate, Estimates
from mechdsl.expected import ZERO, Expected, Linear
from mechdsl.formula import IndexSet
from mechdsl.market import Market

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
    """What claims may speak of: the regimes' forms, the rents of those with private types, their decisions."""

    expected: Mapping[str, Expected]
    rents: Mapping[str, Linear]
    markets: Mapping[str, Market]

    @property
    def regimes(self) -> tuple[str, ...]:
        return tuple(self.markets)

    @property
    def layers(self) -> frozenset[str]:
        return frozenset(layer.name for m in self.markets.values() for layer in m.layers)

    @property
    def letters(self) -> Mapping[str, IndexSet]:
        """What the letters of the file run over."""
        declared = (d for m in self.markets.values() for d in m.declarations.values())
        return {a.name: a.index_set for d in declared for a in d.letters}

    def entry(self, decision: str, regime: str, labels: Sequence[str]) -> Pair | None:
        """`x[video](M1)`: the expected decision; None where the regime has no expectation of it."""
        forms = self.expected[regime].allocation.get(decision) if regime in self.expected else None
        if not forms:
            return None
        sets = self.markets[regime].declarations[decision].quantity.sets
        place = [index_set.position(label) for index_set, label in zip(sets, labels, strict=True)]
        form = forms[int(np.ravel_multi_index(place, [len(s) for s in sets])) if place else 0]
        return Pair(form, form)

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
    relations, reading = [], _Reading(operands, source)
    for chain in claim.parts:
        for (left, right), sign in zip(pairwise(chain.operands), chain.relations, strict=True):
            text = f"{said(left, source)} {sign} {said(right, source)}"
            sides = (reading.of(left), reading.of(right))
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


@dataclass(frozen=True, slots=True)
class _Reading:
    """Operands of a claim as forms: figures of regimes, decisions, numbers, sums, and products with numbers."""

    operands: Operands
    source: Source
    at: Mapping[str, str] = field(default_factory=dict)

    def of(self, node: tree.Expression) -> Pair | None:
        """The form; None where a regime has no such figure.

        Raises:
            InternalError: what the elaborator should have refused.
        """
        match node:
            case tree.Number(value=value):
                form = Linear(float(value))
                return Pair(form, form)
            case tree.Name(id=name):
                return self._figure(name, ())
            case tree.Call(name=name, arguments=arguments):
                return self._figure(name, [a.value.id for a in arguments if isinstance(a.value, tree.Name)])
            case tree.Subscript():
                return self._entry(node, None)
            case tree.Within(quantity=quantity, regime=regime):
                return self._entry(quantity, regime.id)
            case tree.Unary(operator=sign, operand=inner):
                return _scaled(self.of(inner), -1.0 if sign == "-" else 1.0)
            case tree.Binary(operator="+" | "-" as sign, left=left, right=right):
                return _added([self.of(left), _scaled(self.of(right), 1.0 if sign == "+" else -1.0)])
            case tree.Binary(operator="*" | "/" as sign, left=left, right=right):
                a, b = self.of(left), self.of(right)
                if sign == "*" and a is not None and not a.lower.terms:
                    a, b = b, a
                factor = b.lower.constant if b is not None else 0.0
                return _scaled(a, 1 / factor if sign == "/" else factor)
            case tree.Aggregate(letters=letters, body=body):
                sets = [self.operands.letters[letter.id].labels for letter in letters]
                names = [letter.id for letter in letters]
                places = [{**self.at, **dict(zip(names, labels, strict=True))} for labels in product(*sets)]
                return _added([replace(self, at=place).of(body) for place in places])
            case _:
                raise InternalError(f"a claim compares '{said(node, self.source)}'")

    def _figure(self, name: str, given: Sequence[str]) -> Pair | None:
        """`revenue(M1)`, `payments(M1, creator)`, `x(M1)`; the only regime's, where none is named."""
        layers = [n for n in given if n in self.operands.layers and n not in self.operands.regimes]
        named = [n for n in given if n not in layers]
        regime = named[0] if named else self.operands.regimes[0]
        if name not in OUTCOME_WORDS:
            return self.operands.entry(name, regime, ())
        return self.operands.of(name, regime, layers[0] if layers else None)

    def _entry(self, node: tree.Subscript, regime: str | None) -> Pair | None:
        words = [label_text(i) for i in node.indices if isinstance(i, tree.Name | tree.Number | tree.String)]
        labels = [self.at.get(word, word) for word in words]
        return self.operands.entry(node.name, regime or self.operands.regimes[0], labels)


def said(node: tree.Node, source: Source) -> str:
    """The words of the file."""
    return " ".join(source.text[node.span.start : node.span.end].split())


def _added(pairs: Sequence[Pair | None]) -> Pair | None:
    known = [pair for pair in pairs if pair is not None]
    if len(known) < len(pairs):
        return None
    lower, upper = (sum((getattr(p, end) for p in known), ZERO) for end in ("lower", "upper"))
    return Pair(lower, lower if all(p.lower is p.upper for p in known) else upper)


def _scaled(pair: Pair | None, factor: float) -> Pair | None:
    if pair is None:
        return None
    if pair.lower is pair.upper:
        form = pair.lower * factor
        return Pair(form, form)
    ends = (pair.lower * factor, pair.upper * factor)
    return Pair(*(ends if factor >= 0 else ends[::-1]))
