"""What a `.mech` text says, statement by statement, before any economics: frozen nodes with the places they came from.

Spans take no part in equality, so `parse(format(text)) == parse(text)` is a statement about meaning.
The names of the nodes are the language's own words; the reader of `language.md` needs no dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from mechdsl.errors import Span

# --------------------------------------------------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Node:
    """Anything that stands at a place in a text."""

    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A literal as written (`0.5`, `1e-3`); exact."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class String(Node):
    value: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    """`rho`, `inf`, `x[k]`'s `x`; NFC-normalised, Greek letters spelt out (`ρ` is `rho`)."""

    id: str


@dataclass(frozen=True, slots=True)
class Subscript(Node):
    """`x[k]`, `mu[i, k]`, `x[video]`, `w[3]`, `x["New York"]`."""

    name: str
    indices: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Within(Node):
    """`x[video](M1)`: a quantity as it is in another regime, for tables and figures."""

    quantity: Subscript
    regime: Name


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`-E`, `+E`, `not E`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`+ - * / ^`, comparisons `< <= > >= == !=`, and `and`, `or` (in conditions)."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Aggregate(Node):
    """`sum(i, j where COND: BODY)` or `prod(...)`; binds its letters."""

    operator: str
    letters: tuple[Name, ...]
    where: Expression | None
    body: Expression


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """One argument of a call: positional, named (`column = "cost"`), or keyed (`0.3: D1`, `c: EXPR`)."""

    value: Expression
    name: str | None = None
    key: Expression | None = None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`exp(x)`, `if(a > b, x, y)`, `uniform(0, 1)`, `csv("f.csv")`, `direct(payment = randomized)`, `mixture(0.3: D1,
    0.7: D2)`.
    """

    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Interval(Node):
    """`[0, inf)`, `(0, 1]`; open ends by flag."""

    lower: Expression
    upper: Expression
    lower_open: bool
    upper_open: bool


@dataclass(frozen=True, slots=True)
class Truncated(Node):
    """`normal(0, 1) on [0, 10]`: a distribution restricted (or rescaled) to an interval."""

    distribution: Call
    support: Interval


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    """`[1, 2, [3, 4]]`: values in index order."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Mapping(Node):
    """`{video: 3, text: 4}`: values by label. Each label is a Name, String or Number node (a sign may precede a
    number).
    """

    entries: tuple[tuple[Label, Expression], ...]


Label: TypeAlias = Name | String | Number
Expression: TypeAlias = (
    Number | String | Name | Subscript | Within | Unary | Binary | Aggregate | Call | Truncated | Sequence | Mapping
)

# ---------------------------------------------------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Target(Node):
    """A name with its index letters, as declared: `mu[i, k]`."""

    name: str
    letters: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class MarketStatement(Node):
    name: str
    title: str


@dataclass(frozen=True, slots=True)
class CiteStatement(Node):
    text: str


@dataclass(frozen=True, slots=True)
class LabelSet(Node):
    """`{video, text}`"""

    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Range(Node):
    """`1..50`, `1..N`; `by` only in experiments (`1..20 by 0.5`)."""

    first: Expression
    last: Expression
    by: Expression | None = None


@dataclass(frozen=True, slots=True)
class IndexStatement(Node):
    """`index k, i in domains = {video, text}`"""

    letters: tuple[Name, ...]
    name: str
    members: LabelSet | Range
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class ParamStatement(Node):
    """`param d[k] in [0, inf) = VALUE "doc"` or `... ~ DISTRIBUTION`; exactly one of `value`, `draw` is set."""

    target: Target
    domain: Interval | Name | None
    value: Expression | None
    draw: Expression | None
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class LetStatement(Node):
    target: Target
    value: Expression
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class TypeStatement(Node):
    """`type c[k] ~ DISTRIBUTION` (or a Mapping of distributions by label)."""

    target: Target
    distribution: Expression
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class ChooseStatement(Node):
    """`choose x[k] >= 0`, `choose x[k] in [0, 10]`, `choose x[k]` (free). `>= E` is the interval `[E, inf)`, `<= E`
    is `(-inf, E]`.
    """

    target: Target
    domain: Interval | None
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class CostStatement(Node):
    value: Expression
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class ValueStatement(Node):
    value: Expression
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class SignalStatement(Node):
    target: Target
    value: Expression
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class RepresentsStatement(Node):
    layer: Name


@dataclass(frozen=True, slots=True)
class BargainingStatement(Node):
    value: Expression
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class OutsideStatement(Node):
    value: Expression
    doc: str | None = None


LayerItem: TypeAlias = (
    TypeStatement
    | ChooseStatement
    | CostStatement
    | ValueStatement
    | SignalStatement
    | RepresentsStatement
    | BargainingStatement
    | OutsideStatement
)


@dataclass(frozen=True, slots=True)
class LayerStatement(Node):
    target: Target
    items: tuple[LayerItem, ...]
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class StateStatement(Node):
    target: Target
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class CommonStatement(Node):
    """`common B ~ normal(0, sqrt(V))`"""

    target: Target
    distribution: Expression
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class ConstraintStatement(Node):
    """`demand[k where COND]: LEFT >= RIGHT` (`keyword` is "demand", `target.name` is "demand") or `constraint
    NAME[k]: ...`.
    """

    keyword: str
    target: Target
    where: Expression | None
    left: Expression
    relation: str
    right: Expression
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class ContractStatement(Node):
    """`contract[k] PAYER -> PROVIDER: KIND(ARGUMENTS)`"""

    letters: tuple[Name, ...]
    payer: Name
    provider: Name
    kind: Call
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectiveStatement(Node):
    """`objective A: maximize revenue`; `goal` is a Name (revenue, welfare, profit, payoff) or an expression."""

    layer: Name
    sense: str
    goal: Expression
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class ReportStatement(Node):
    """`report c = {video: 0.3, text: 0.6}`"""

    name: Name
    value: Expression


@dataclass(frozen=True, slots=True)
class SetStatement(Node):
    """`set mu = 0`, `set d[video] = 5`"""

    name: Name
    labels: tuple[Label, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class ClaimStatement(Node):
    """`claim NAME: A >= B >= C, D == E`: parts, each a chain of operands and the relations between them."""

    name: Name
    parts: tuple[Chain, ...]
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class Chain(Node):
    operands: tuple[Expression, ...]
    relations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RegimeStatement(Node):
    name: Name
    title: str | None
    body: tuple[Statement, ...]


# --------------------------------------------------------------------------------------------------------- experiments


@dataclass(frozen=True, slots=True)
class CountItem(Node):
    """`draws 1000`, `seed 7`, `instances 10`; `keyword` says which."""

    keyword: str
    value: Expression


@dataclass(frozen=True, slots=True)
class RegimesItem(Node):
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Axis(Node):
    """`d.sports in 1..20 by 0.5` or `in {1, 2, 5}` or `in [1, 2, 5]`; `path` is `("d", "sports")`."""

    path: tuple[str, ...]
    values: Range | LabelSet | Sequence


@dataclass(frozen=True, slots=True)
class VaryItem(Node):
    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class TableItem(Node):
    columns: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class PlotItem(Node):
    """`plot heatmap(x[sports])`"""

    figure: Call


ExperimentItem: TypeAlias = CountItem | RegimesItem | VaryItem | TableItem | PlotItem


@dataclass(frozen=True, slots=True)
class ExperimentStatement(Node):
    name: Name
    title: str | None
    items: tuple[ExperimentItem, ...]


Statement: TypeAlias = (
    MarketStatement
    | CiteStatement
    | IndexStatement
    | ParamStatement
    | LetStatement
    | LayerStatement
    | StateStatement
    | CommonStatement
    | ConstraintStatement
    | ContractStatement
    | ObjectiveStatement
    | ReportStatement
    | RegimeStatement
    | SetStatement
    | ClaimStatement
    | ExperimentStatement
)


@dataclass(frozen=True, slots=True)
class File(Node):
    """A whole text: its statements in order (the order carries no meaning, but messages and `fmt` follow it)."""

    statements: tuple[Statement, ...]
