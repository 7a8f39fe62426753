"""What the economist stated, one regime at a time: names resolved, ranges checked, formulas in sympy, data in arrays.

A `Market` is economics without mathematics of ours: nothing here is derived. Whoever certifies an answer looks at this
value alone. A `Model` is the file as a whole: its regimes, claims and experiments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from mechdsl import syntax_tree as tree
from mechdsl.distributions import Distribution
from mechdsl.errors import Diagnostic, Source, Span
from mechdsl.evaluate import Array
from mechdsl.formula import Entry, IndexSet, Letter, Quantity, decided
from mechdsl.program import Constraint

__all__ = [
    "Choice",
    "Common",
    "Contract",
    "Declaration",
    "Layer",
    "Market",
    "Model",
    "Objective",
    "PrivateType",
    "Signal",
    "alike",
]


@dataclass(frozen=True, slots=True)
class Declaration:
    """A name the file declares, for documents and messages: `param d[k] in [0, inf) "content demanded"`.

    `values_in`: the index set whose labels a param takes for values, as `param home[n] in domains`.
    """

    quantity: Quantity
    letters: tuple[Letter, ...]
    doc: str = ""
    span: Span | None = field(default=None, compare=False)
    values_in: IndexSet | None = None

    @property
    def entry(self) -> sp.Expr:
        """`d[k]` (or `d`), as formulas show it."""
        return Entry(self.quantity, *self.letters) if self.letters else self.quantity


@dataclass(frozen=True, slots=True)
class PrivateType:
    """`type c[k] ~ D`: one independent distribution for every entry, in the order of the labels (C order)."""

    declaration: Declaration
    layer: str
    distributions: tuple[Distribution, ...]

    @property
    def quantity(self) -> Quantity:
        return self.declaration.quantity

    @property
    def name(self) -> str:
        return str(self.quantity.name)

    def table(self, of: Callable[[Distribution], float]) -> Array:
        """A number for every entry, shape `quantity.shape`: `table(lambda d: d.upper)`."""
        return np.array([of(d) for d in self.distributions], dtype=np.float64).reshape(self.quantity.shape)


@dataclass(frozen=True, slots=True)
class Choice:
    """`choose x[k] in [lower, upper]`; the bounds are formulas in the letters, free of decisions."""

    declaration: Declaration
    layer: str
    lower: sp.Expr
    upper: sp.Expr

    @property
    def quantity(self) -> Quantity:
        return self.declaration.quantity


@dataclass(frozen=True, slots=True)
class Signal:
    """`signal s[i] = theta + w[i] * B + noise(variance = 1 / e[i])`: mean part and variance of the noise."""

    declaration: Declaration
    mean: sp.Expr
    noise_variance: sp.Expr
    noise_precision: sp.Expr


@dataclass(frozen=True, slots=True)
class Common:
    """`common B ~ normal(0, sqrt(V))`: a random factor shared by signals; its mean and variance as formulas."""

    declaration: Declaration
    mean: sp.Expr
    variance: sp.Expr


@dataclass(frozen=True, slots=True)
class Layer:
    """An actor, or one for every value of its letters. `cost`, `value` and `outside` are formulas in the letters; 0
    if unstated.
    """

    name: str
    letters: tuple[Letter, ...] = ()
    cost: sp.Expr = sp.S.Zero
    value: sp.Expr = sp.S.Zero
    outside: sp.Expr = sp.S.Zero
    bargaining: sp.Expr | None = None
    represents: str | None = None
    signals: tuple[Signal, ...] = ()
    doc: str = ""
    span: Span | None = field(default=None, compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(letter.index_set) for letter in self.letters)


@dataclass(frozen=True, slots=True)
class Contract:
    """`contract[k] payer -> provider: kind(arguments)`; an argument is a formula, or a word (`randomized`)."""

    payer: str
    provider: str
    kind: str
    arguments: Mapping[str, sp.Expr | str] = field(default_factory=dict)
    letters: tuple[Letter, ...] = ()
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Objective:
    """`objective layer: sense goal`; `goal` is one of the words revenue, welfare, profit, payoff, or a formula."""

    layer: str
    sense: str
    goal: str | sp.Expr
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """One regime of a model, complete.

    Args:
        name, title: of the market; regime, regime_title: of the regime (`main` where the file has none).
        sets: the index sets, in the order of the file.
        declarations: params, types, decisions, states, common factors, by name.
        lets: named expressions, already inlined in every formula; kept for documents: (declaration, expression).
        data: the value of every param and statistic, shape `quantity.shape`.
        constraints: `demand` and named constraints.
        origins: where the terms that depend on decisions were written.
        report: the stated types at which to solve, by type, NaN where unstated; None when the file has no report.
    """

    name: str
    title: str
    citations: tuple[str, ...]
    regime: str
    regime_title: str
    sets: tuple[IndexSet, ...]
    declarations: Mapping[str, Declaration]
    lets: tuple[tuple[Declaration, sp.Expr], ...]
    data: Mapping[Quantity, Array]
    types: tuple[PrivateType, ...]
    choices: tuple[Choice, ...]
    layers: tuple[Layer, ...]
    states: tuple[Declaration, ...]
    commons: tuple[Common, ...]
    constraints: tuple[Constraint, ...]
    contracts: tuple[Contract, ...]
    objectives: tuple[Objective, ...]
    report: Mapping[Quantity, Array] | None
    source: Source
    origins: Mapping[sp.Basic, tuple[Span, ...]] = field(default_factory=dict)

    def origin(self, term: sp.Basic, within: Span | None) -> Span | None:
        """Where a term of a formula was written: inside `within` if it was, or in a `let`; else `within` itself."""
        found = self.origins.get(decided(term), ()) if isinstance(term, sp.Expr) else ()
        inside = (s for s in found if within is not None and within.start <= s.start and s.end <= within.end)
        return next(inside, next(iter(found), within))

    def layer(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)

    def types_of(self, layer: str) -> tuple[PrivateType, ...]:
        return tuple(t for t in self.types if t.layer == layer)

    @property
    def bystanders(self) -> tuple[str, ...]:
        """Layers that the regime gives no contract, nobody to speak for, no objective and nothing to choose."""
        busy = {name for c in self.contracts for name in (c.payer, c.provider)}
        busy |= {name for y in self.layers if y.represents for name in (y.name, y.represents)}
        busy |= {o.layer for o in self.objectives} | {c.layer for c in self.choices}
        return tuple(y.name for y in self.layers if y.name not in busy)

    def choices_of(self, layer: str) -> tuple[Choice, ...]:
        return tuple(c for c in self.choices if c.layer == layer)

    def doc(self, name: str) -> str:
        """The file's own description of a name, or the name."""
        known = self.declarations.get(name)
        return known.doc if known and known.doc else name


def alike(one: Market, other: Market) -> bool:
    """Whether two regimes state the same, in the same places, but for contracts, objectives and titles."""
    parts = ("sets", "declarations", "types", "choices", "layers", "states", "commons", "constraints")
    reported = (one.report is None) == (other.report is None)
    return (
        reported
        and _places(one) == _places(other)
        and all(getattr(one, part) == getattr(other, part) for part in parts)
        and one.data.keys() == other.data.keys()
        and all(np.array_equal(table, other.data[q], equal_nan=True) for q, table in one.data.items())
    )


def _places(market: Market) -> tuple[object, ...]:
    """Where it is stated what the market is made of."""
    declared = tuple(d.span for d in market.declarations.values())
    stated = (*(layer.span for layer in market.layers), *(c.span for c in market.constraints))
    return (*declared, *stated, *market.origins.values())


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A file, read and checked: one market for every regime, and what the file says about them together."""

    file: tree.File
    source: Source
    markets: Mapping[str, Market]
    claims: tuple[tree.ClaimStatement, ...]
    experiments: tuple[tree.ExperimentStatement, ...]
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def name(self) -> str:
        return next(iter(self.markets.values())).name
