"""Expected outcomes before they are integrated: linear forms in columns that are integrated and numbers that are known.

Theory says what an expectation is made of (`E[payment] = E[c y] + int F y dc`: payments need no integral of their own);
an integrator finds the columns. What two regimes share is the same column, so a difference is taken before anything is
integrated: where all terms cancel, the two are equal by derivation and not by numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mechdsl.evaluate import Array
from mechdsl.formula import Quantity

__all__ = ["ZERO", "Column", "Expected", "Integrands", "Known", "Linear", "Mask", "Rule", "term"]

Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Integrands:
    """What a rule says at N reports.

    Args:
        values: (N, C), one column for each of the rule's names; NaN where there was no solution.
        pattern: (N, P), what binds: constant where the values are smooth in the types.
        error: largest relative error of a value.
        hard: how many reports were solved one at a time, which takes long.
    """

    values: Array
    pattern: Mask
    error: float = 0.0
    hard: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule from reports to numbers, the same for all regimes with the same key.

    Args:
        key: what it is, by derivation: equal keys give equal numbers.
        names: of the columns, `("rent", 0)`.
        measures: for each column: None, it is integrated against the law of all types; j, against the length of the
            j-th type (in the order of all entries of all types) and the law of the others.
        at: reports with a leading axis of N -> `Integrands`.
    """

    key: Hashable
    names: tuple[tuple[str | int, ...], ...] = field(compare=False)
    measures: tuple[int | None, ...] = field(compare=False)
    at: Callable[[Mapping[Quantity, Array]], Integrands] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a rule, to be integrated."""

    rule: Rule
    name: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """A number that needs no integration; equal keys are equal by derivation."""

    key: Hashable
    value: float = field(compare=False)
    error: float = field(compare=False, default=0.0)


Term: TypeAlias = Column | Known


@dataclass(frozen=True, slots=True)
class Linear:
    """`constant + sum(coefficient * term)`."""

    constant: float = 0.0
    terms: Mapping[Term, float] = field(default_factory=dict)

    def __add__(self, other: Linear) -> Linear:
        terms = dict(self.terms)
        for one, coefficient in other.terms.items():
            terms[one] = terms.get(one, 0.0) + coefficient
        return Linear(self.constant + other.constant, {t: a for t, a in terms.items() if a != 0.0})

    def __neg__(self) -> Linear:
        return self * -1.0

    def __sub__(self, other: Linear) -> Linear:
        return self + other * -1.0

    def __mul__(self, factor: float) -> Linear:
        return Linear(self.constant * factor, {t: a * factor for t, a in self.terms.items() if factor})


ZERO = Linear()


def term(one: Term, coefficient: float = 1.0) -> Linear:
    """A form of one term."""
    return Linear(0.0, {one: coefficient})


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """A regime's expected outcome, as forms; by layer or constraint, one form for each entry in the order of labels.

    Args:
        revenue, welfare, profit: None where the market gives them no meaning.
        payments: money received, by layer; utilities: every layer's.
        slack: by constraint: what is supplied beyond what is asked for.
        allocation: decision name -> entries.
        bounds: quantity -> (lower, upper), for what is known only so; the form, if there is one, is what is attained.
        identity: how theory spares integration, a sentence.
        notes: what a reader should know.
    """

    revenue: Linear | None
    welfare: Linear | None
    profit: Linear | None = None
    payments: Mapping[str, tuple[Linear, ...]] = field(default_factory=dict)
    utilities: Mapping[str, tuple[Linear, ...]] = field(default_factory=dict)
    slack: Mapping[str, tuple[Linear, ...]] = field(default_factory=dict)
    allocation: Mapping[str, tuple[Linear, ...]] = field(default_factory=dict)
    bounds: Mapping[str, tuple[Linear, Linear]] = field(default_factory=dict)
    identity: str = ""
    notes: tuple[str, ...] = ()
