"""Is it concave? Proved from the declared ranges where they suffice, from the data where only those do, else sampled.

What a rule shows is true; what no rule shows is tried at random midpoints, where one counterexample refutes and a
thousand agreements prove nothing. The three are never mixed up: a `Curvature` says which evidence its answer rests on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import (
    IndexProduct,
    IndexSum,
    Interval,
    Letter,
    Quantity,
    entries,
    letters_of,
    quantities,
    rename_letters,
)  # fmt: skip
from mechdsl.market import Market
from mechdsl.program import Optimum, Variable
from mechdsl.theory.ranges import Ranges, sign_word
from mechdsl.theory.shape import Shape, offending_term, shape

__all__ = ["Curvature", "curvature", "fall", "is_convex_program", "ranges_of", "variables_of"]

DECLARED = "declared ranges"
DATA = "data"
SAMPLING = "sampling"

_WANTED = {">=": "concave", "<=": "convex", "==": "affine"}
_TOLERANCE = 1e-9  # of a midpoint test, relative to the terms of the formula
_MOST_VALUES = 4_000_000  # intermediate numbers of one sample


@dataclass(frozen=True, slots=True)
class Curvature:
    """Whether `expression` is `wanted` (`convex`, `concave`, `affine`) in the decisions, and how we know.

    Args:
        holds: True: shown; False: refuted by a counterexample; None: neither.
        evidence: `declared ranges` (a proof for all data), `data` (a proof for this instance), `sampling`.
        shape: what the rules show: curvature, monotonicity, rule.
        range: an interval that holds its values.
        terms: each term with the rule that applies to it.
        offending: the smallest term that no rule could show to be as wanted; None when all is shown.
        detail: where the counterexample is, or how it was searched; a whole sentence, or nothing.
        variables: in which variables, where not in those of the decisions: `y = phi(x)`.
    """

    expression: sp.Basic
    wanted: str
    holds: bool | None
    evidence: str
    shape: Shape
    range: Interval
    terms: tuple[tuple[str, sp.Basic], ...]
    offending: sp.Basic | None = None
    detail: str = ""
    variables: str = ""

    @property
    def proved(self) -> bool:
        """Whether it holds for all data that the declared ranges allow."""
        return self.holds is True and self.evidence == DECLARED

    @property
    def sign(self) -> str:
        return sign_word(self.range)

    @property
    def nondecreasing(self) -> bool:
        """Shown to be nondecreasing in every decision."""
        return not self.shape.falls

    @property
    def because(self) -> str:
        """The verdict in whole sentences."""
        return f"In {self.variables} it {self.verdict}" if self.variables else f"It {self.verdict}"

    @property
    def verdict(self) -> str:
        """The verdict in whole sentences, but for the subject of the first: `is concave for all data ...`."""
        if self.holds is None:
            stands = f"the term {_text(self.offending)} stands in the way"
            return f"is not shown to be {self.wanted} by any rule: {stands}. {self.detail}"
        if self.holds is False:
            return f"is not {self.wanted}: the term {_text(self.offending)} is not. {self.detail}"
        word = self.wanted if self.shape.word in ("convex", "concave") else self.shape.word
        if self.evidence == DECLARED:
            return f"is {word} for all data in the declared ranges ({self.shape.rule})."
        data = "on this instance's data, though not for all that the declared ranges allow"
        return f"is {word} {data} ({self.shape.rule})."


def curvature(
    expression: sp.Basic, where: Market | Optimum, wanted: str = "concave", *, sample: bool = True
) -> Curvature:
    """Is `expression` `wanted` in the decisions of `where`?

    Args:
        expression: a formula; its letters range over their whole sets.
        where: gives the decisions their bounds and the params their data.
        wanted: `convex`, `concave` or `affine`.
        sample: whether to look for a counterexample where no rule applies.

    Source: ours; soundness is tested against random midpoints.
    """
    found: list[tuple[str, Ranges, Shape]] = []
    for evidence in (DECLARED, DATA):
        ranges = ranges_of(where, evidence)
        found.append((evidence, ranges, shape(expression, ranges)))
        if found[-1][2].has(wanted):
            break
    evidence, ranges, last = found[-1]
    terms = tuple((_verdict(shape(t, ranges)), t) for t in _terms(expression))
    if last.has(wanted):
        return Curvature(expression, wanted, True, evidence, last, ranges.of(expression), terms)
    offending = offending_term(expression, wanted, ranges)
    refuted, detail = _sampled(expression, where, wanted) if sample else (False, "")
    holds = False if refuted else None
    return Curvature(expression, wanted, holds, SAMPLING, last, ranges.of(expression), terms, offending, detail)


def fall(expression: sp.Basic, where: Market | Optimum) -> str | None:
    """Two points of which the second is nowhere lower and the formula's value is: where they differ; None if no such
    points were met.
    """
    letters = tuple(sorted(letters_of(expression), key=lambda letter: str(letter.name)))
    draws = int(np.clip(_MOST_VALUES // _width(expression, letters), 4, 400))
    first, second = _points(expression, where, draws, np.random.default_rng(20250708))
    low = {q: np.minimum(first[q], second[q]) for q in first}
    high = {q: np.maximum(first[q], second[q]) for q in first}
    params = {q: v for q, v in where.data.items() if q not in first}
    with np.errstate(all="ignore"):
        values = [evaluate(expression, {**params, **point}, letters) for point in (low, high)]
        drop = (values[0] - values[1]) / (np.abs(values[0]) + np.abs(values[1]))
    drop = np.where(np.isfinite(drop), drop, -np.inf)
    place = tuple(int(p) for p in np.unravel_index(int(np.argmax(drop)), drop.shape))
    if not drop[place] > _TOLERANCE:
        return None
    moves = []
    for entry in sorted(entries(expression, "decision"), key=str):
        if letters_of(entry) <= set(letters):
            ends = [float(evaluate(entry, {**params, **point}, letters)[place]) for point in (low, high)]
            at = {a: sp.Integer(p) for a, p in zip(letters, place[1:], strict=True)}
            moves.append(f"{rename_letters(entry, at)} rises from {ends[0]:.6g} to {ends[1]:.6g}")
    before, after = (float(value[place]) for value in values)
    return f"Where {' and '.join(moves[:3]) or 'more is chosen'}, it falls from {before:.6g} to {after:.6g}."


def is_convex_program(where: Market | Optimum) -> bool | None:
    """Whether a local optimum is a global one: objective convex when minimised, `>=` concave, `<=` convex, `==` affine.

    Args:
        where: a programme; or a market, of which the constraints are judged.

    Returns:
        True: shown, for all data or for these; False: a counterexample was found, so the programme as posed is not
        convex (its set of points may be all the same); None: neither.
    """
    parts: list[tuple[sp.Expr, str]] = []
    if isinstance(where, Optimum):
        parts.append((where.objective, "convex" if where.sense == "minimize" else "concave"))
    parts += [(c.left - c.right, _WANTED[c.relation]) for c in where.constraints]
    verdicts = [curvature(expression, where, wanted).holds for expression, wanted in parts]
    if any(v is False for v in verdicts):
        return False
    return True if all(verdicts) else None


def variables_of(where: Market | Optimum) -> tuple[Variable, ...]:
    """The decisions of a market or a programme, with their bounds."""
    if isinstance(where, Optimum):
        return where.variables
    return tuple(
        Variable(c.quantity, c.declaration.letters, c.lower, c.upper, c.declaration.doc) for c in where.choices
    )


def ranges_of(where: Market | Optimum, evidence: str = DECLARED) -> Ranges:
    """The ranges of all quantities, from what is declared, or from the data."""
    data = where.data if evidence == DATA else None
    plain = Ranges(data=data)
    known = {}
    for variable in variables_of(where):
        declared, lower, upper = variable.quantity.domain, plain.of(variable.lower), plain.of(variable.upper)
        at_least = max((declared.lower, declared.lower_open), (lower.lower, lower.lower_open))
        at_most = min((declared.upper, not declared.upper_open), (upper.upper, not upper.upper_open))
        known[variable.quantity] = Interval(at_least[0], at_most[0], at_least[1], not at_most[1])
    return Ranges(known, data)


def _terms(expression: sp.Basic) -> tuple[sp.Basic, ...]:
    terms = expression.args if isinstance(expression, sp.Add) else (expression,)
    return tuple(t for t in terms if quantities(t, "decision"))


def _verdict(found: Shape) -> str:
    return f"{found.word}: {found.rule}" if found.word != "affine" else "affine"


def _text(expression: sp.Basic | None) -> str:
    return str(expression).replace("**", "^")


# Sampling: pairs of points within the bounds, their midpoint between them.


def _sampled(expression: sp.Basic, where: Market | Optimum, wanted: str) -> tuple[bool, str]:
    """Whether a counterexample was found, and where, or how it was searched."""
    letters = tuple(sorted(letters_of(expression), key=lambda letter: str(letter.name)))
    draws = int(np.clip(_MOST_VALUES // _width(expression, letters), 4, 400))
    rng = np.random.default_rng(20250707)
    first, second = _points(expression, where, draws, rng)
    middle = {q: (first[q] + second[q]) / 2 for q in first}
    params = {q: v for q, v in where.data.items() if q not in first}
    with np.errstate(all="ignore"):
        at = [evaluate(expression, {**params, **point}, letters) for point in (first, second, middle)]
        size = sum(
            np.abs(evaluate(t, {**params, **point}, letters))
            for t in sp.Add.make_args(expression)
            for point in (first, second, middle)
        )
        bend = (at[0] + at[1]) / 2 - at[2]  # >= 0 if convex
        worst = {"concave": bend, "convex": -bend, "affine": np.abs(bend)}[wanted] / np.maximum(size, 1e-300)
    usable = np.isfinite(worst)
    if not usable.any():
        return False, "It could not be evaluated at random points."
    worst = np.where(usable, worst, -np.inf)
    place = tuple(int(p) for p in np.unravel_index(int(np.argmax(worst)), worst.shape))
    if worst[place] > _TOLERANCE:
        return (
            True,
            f"Between two points {_difference(first, second, place[0])} it lies on the wrong side of its chord.",
        )
    return False, f"{int(usable.sum())} random midpoints hold no counterexample."


def _width(expression: sp.Basic, letters: Sequence[Letter]) -> int:
    """How many numbers the largest array holds that evaluation makes for one draw."""
    outer = math.prod(len(letter.index_set) for letter in letters)
    inner = [_width(n.body, n.letters) for n in _aggregates(expression)]
    return max(1, outer) * max([1, *inner])


def _aggregates(node: sp.Basic) -> list[IndexSum | IndexProduct]:
    if isinstance(node, IndexSum | IndexProduct):
        return [node]
    return [found for a in node.args for found in _aggregates(a)]


def _points(
    expression: sp.Basic, where: Market | Optimum, draws: int, rng: np.random.Generator
) -> tuple[dict[Quantity, Array], dict[Quantity, Array]]:
    """Pairs of points: half of them differ everywhere, half in one or two entries; what is no decision is the same."""
    first: dict[Quantity, Array] = {}
    second: dict[Quantity, Array] = {}
    bounds = {v.quantity: _bounds(v, where.data) for v in variables_of(where)}
    for quantity in sorted(quantities(expression), key=lambda q: str(q.name)):
        if quantity.role == "decision":
            lower, upper = bounds.get(quantity, _domain(quantity))
            first[quantity] = _draw(lower, upper, draws, quantity.shape, rng)
            second[quantity] = _draw(lower, upper, draws, quantity.shape, rng)
        elif quantity not in where.data:
            first[quantity] = second[quantity] = _draw(*_domain(quantity), draws, quantity.shape, rng)
    moved = [q for q in first if q.role == "decision"]
    sizes = [math.prod(q.shape) for q in moved]
    changes = rng.integers(0, max(1, sum(sizes)), size=(draws, 2))
    start = 0
    for quantity, count in zip(moved, sizes, strict=True):
        numbers = np.arange(start, start + count).reshape(quantity.shape)
        start += count
        chosen = np.zeros((draws, *quantity.shape), dtype=bool)
        for column in range(2):
            chosen |= numbers == changes[:, column].reshape((draws,) + (1,) * len(quantity.shape))
        chosen[: draws // 2] = True
        second[quantity] = np.where(chosen, second[quantity], first[quantity])
    return first, second


def _bounds(variable: Variable, data: Mapping[Quantity, Array]) -> tuple[Array, Array]:
    """A variable's bounds; its domain's, where another stage sets them."""
    if not {*quantities(variable.lower), *quantities(variable.upper)} <= set(data):
        return _domain(variable.quantity)
    return evaluate(variable.lower, data, variable.letters), evaluate(variable.upper, data, variable.letters)


def _domain(quantity: Quantity) -> tuple[Array, Array]:
    return np.asarray(quantity.domain.lower, dtype=np.float64), np.asarray(quantity.domain.upper, dtype=np.float64)


def _draw(lower: Array, upper: Array, draws: int, shape_: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Uniform where both ends are finite; else of any size from 1e-2 to 1e2 beyond the finite end."""
    size = (draws, *shape_)
    lower, upper = np.broadcast_to(lower, size), np.broadcast_to(upper, size)
    share, far = rng.uniform(size=size), 10 ** rng.uniform(-2, 2, size=size)
    sign = np.where(rng.uniform(size=size) < 0.5, -1.0, 1.0)
    with np.errstate(invalid="ignore"):
        between = lower + share * (upper - lower)
    below, above = np.isfinite(lower), np.isfinite(upper)
    beyond = np.where(below, lower + far, np.where(above, upper - far, sign * far))
    return np.where(below & above, between, beyond)


def _difference(first: Mapping[Quantity, Array], second: Mapping[Quantity, Array], draw: int) -> str:
    """Where the two points of a counterexample differ, entry by entry, at most three of them."""
    parts = []
    for quantity, values in first.items():
        for place in zip(*np.nonzero(values[draw] != second[quantity][draw]), strict=True) if quantity.sets else [()]:
            a, b = values[(draw, *place)], second[quantity][(draw, *place)]
            if a != b:
                labels = [s.labels[int(p)] for s, p in zip(quantity.sets, place, strict=True)]
                name = f"{quantity.name}[{', '.join(labels)}]" if labels else str(quantity.name)
                parts.append(f"{name} = {a:.6g} and {b:.6g}")
    shown = "; ".join(parts[:3]) + ("; ..." if len(parts) > 3 else "")
    return f"that differ in {shown}" if shown else "of the range"
