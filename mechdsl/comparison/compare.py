"""Every regime of a model in expectation: figures, what is lost to private information and to the middle, claims.

All forms are collected first and integrated together, at common points; differences are taken of forms, so what two
regimes share cancels before any number is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mechdsl import syntax_tree as tree
from mechdsl.comparison.claims import Operands, judged
from mechdsl.comparison.published import PUBLISHED, Cast, cast_of
from mechdsl.comparison.variants import with_known_types, without_middle
from mechdsl.comparison.verdict import Verdict
from mechdsl.errors import Diagnostic
from mechdsl.expectation import Estimate, Estimates, Figure, Range, estimates
from mechdsl.expected import ZERO, Expected, Linear
from mechdsl.formula import IndexSet
from mechdsl.market import Market
from mechdsl.mechanism import Mechanism
from mechdsl.pipeline import mechanism, stated_report, unhandled
from mechdsl.program import optima
from mechdsl.structure import Claim, Finding, Registry, contract_chain, match
from mechdsl.theory import sampled_expected
from mechdsl.theory.substitution import Substitution, substitution

__all__ = ["FIGURES", "Comparison", "Side", "compare"]

FIGURES = (
    "revenue", "welfare", "profit", "information_rent", "brokers_profit", "cost_of_private_information",
    "price_of_intermediation", "welfare_lost_to_intermediation",
)  # fmt: skip
"""The scalar figures of a regime, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One regime's expected outcome.

    Args:
        market: as stated; structure: the name of the one taken, None where none handles it.
        status: `optimal`, `unhandled`, or how it failed; message: the same in whole sentences.
        figures: of `FIGURES` those that have a meaning here.
        tables: `payments`, `utilities`, `overproduction`, `allocation`: name -> (index sets, figures in C order).
        identity: how theory spares integration.
        notes: what a reader should know.
        problem: why nothing handles it.
    """

    market: Market
    structure: str | None
    status: str
    message: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, tuple[tuple[IndexSet, ...], tuple[Figure, ...]]]] = field(default_factory=dict)
    identity: str = ""
    notes: tuple[str, ...] = ()
    problem: Diagnostic | None = None

    @property
    def regime(self) -> str:
        return self.market.regime


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The regimes side by side, and the claims.

    Args:
        name: of the market; label: what sets it apart where several are compared.
        sides: in the order of the file; claims: the file's own, then the published ones asked for.
        method: how expectations were found; points: how many reports were asked.
    """

    name: str
    label: str
    sides: tuple[Side, ...]
    claims: tuple[Verdict, ...]
    method: str
    points: int

    @property
    def solved(self) -> bool:
        return all(side.status in ("optimal", "unhandled") for side in self.sides)


@dataclass(frozen=True, slots=True, eq=False)
class _Regime:
    """One regime at work: its forms and those of its variants."""

    market: Market
    ready: Mechanism
    expected: Expected
    informed: Expected | None
    direct: Expected | None


def compare(
    markets: Sequence[Market],
    claims: Sequence[tree.ClaimStatement],
    registry: Registry,
    *,
    tolerance: float = 1e-6,
    published: bool = False,
    seed: int = 0,
    label: str = "",
    tell: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Expected outcomes of all regimes, and verdicts.

    Args:
        markets: the regimes, of one file.
        claims: as the file states them.
        registry: the structures at hand.
        tolerance: of claims, relative to the larger side; expectations are asked to be ten times better, menus (whose
            gap shows as a range) to come within ten times as much.
        published: whether the paper's theorems are looked at too.
        seed: of quasi-Monte Carlo.
        label: what sets this comparison apart from others beside it.
        tell: told what is at work.
    """
    made = {}
    for number, m in enumerate(markets, 1):
        tell(f"{m.regime}: what is expected, {number} of {len(markets)} regimes")
        made[m.regime] = _regime(m, registry, min(10 * tolerance, 1e-4))
    ready = {name: one for name, one in made.items() if isinstance(one, _Regime)}
    forms = {name: _forms(one) for name, one in ready.items()}
    everything = [f for own in forms.values() for f in own.values()]
    everything += [f for one in ready.values() for f in _table_forms(one)]
    tell("all regimes: integrating over the types")
    found = estimates(markets[0], everything, tolerance / 10, seed=seed)
    sides = tuple(_side(one, forms[name], found) if isinstance(one, _Regime) else one for name, one in made.items())
    tell("claims")
    verdicts = _verdicts(ready, claims, found, tolerance, published=published)
    return Comparison(markets[0].name, label, sides, verdicts, found.method, found.points)


def _regime(market: Market, registry: Registry, tolerance: float) -> _Regime | Side:
    matched = match(market, registry)
    if matched.structure is None:
        problem = unhandled(market, matched, registry)
        return Side(market, None, "unhandled", problem.message, problem=problem)
    ready = mechanism(market, matched.structure, tolerance=tolerance)
    return _Regime(
        market,
        ready,
        expected_of(ready),
        *(_variant(v, registry) for v in (with_known_types(market), without_middle(market))),
    )


def expected_of(ready: Mechanism) -> Expected:
    """The structure's own forms; outcomes report by report where it states none."""
    return (ready.structure.expected or sampled_expected)(ready)


def _variant(market: Market | None, registry: Registry) -> Expected | None:
    if market is None:
        return None
    structure = match(market, registry).structure
    return None if structure is None or structure.expected is None else expected_of(mechanism(market, structure))


def _forms(one: _Regime) -> dict[str, Linear]:
    """The scalar figures as forms."""
    market, expected = one.market, one.expected
    found = {name: form for name in ("revenue", "welfare", "profit") if (form := getattr(expected, name)) is not None}
    chain = contract_chain(market)
    rent = _rent(one)
    if rent is not None:
        found["information_rent"] = rent
    for contract in chain[:-1]:
        found["brokers_profit"] = _sum(expected.utilities.get(contract.provider, ()))
    if expected.revenue is not None and one.informed is not None and one.informed.revenue is not None:
        found["cost_of_private_information"] = one.informed.revenue - expected.revenue
    if expected.revenue is not None and one.direct is not None and one.direct.revenue is not None:
        found["price_of_intermediation"] = one.direct.revenue - expected.revenue
        if expected.welfare is not None and one.direct.welfare is not None:
            found["welfare_lost_to_intermediation"] = one.direct.welfare - expected.welfare
    return found


def _rent(one: _Regime) -> Linear | None:
    """What those with private types keep above their outside options, a union that represents them included."""
    bearers = {t.layer for t in one.market.types}
    if not bearers or not bearers <= set(one.expected.utilities):
        return None
    holders = [y for y in one.market.layers if y.name in bearers or y.represents in bearers]
    kept = sum((_sum(one.expected.utilities.get(y.name, ())) for y in holders), ZERO)
    return kept - Linear(sum(_outside(one.market, y.name) for y in holders))


def _outside(market: Market, layer: str) -> float:
    import numpy as np

    from mechdsl.evaluate import evaluate

    one = market.layer(layer)
    return float(np.sum(evaluate(one.outside, market.data, one.letters)))


def _sum(row: Iterable[Linear]) -> Linear:
    return sum(row, ZERO)


_TABLES = {"payments": "payments", "utilities": "utilities", "overproduction": "slack", "allocation": "allocation"}


def _table_forms(one: _Regime) -> list[Linear]:
    rows = [row for field_ in _TABLES.values() for row in getattr(one.expected, field_).values()]
    return [form for row in rows for form in row] + [f for pair in one.expected.bounds.values() for f in pair]


def _side(one: _Regime, forms: Mapping[str, Linear], found: Estimates) -> Side:
    market, expected = one.market, one.expected
    figures: dict[str, Figure] = {name: found.of(forms[name]) for name in FIGURES if name in forms}
    for name, (lower, upper) in expected.bounds.items():
        figures[name] = Range(found.of(lower).lower, found.of(upper).upper)
    sets = {y.name: tuple(a.index_set for a in y.letters) for y in market.layers}
    sets |= {c.name: tuple(a.index_set for a in c.letters) for c in market.constraints}
    sets |= {str(c.quantity.name): c.quantity.sets for c in market.choices}
    tables = {
        shown: {n: (sets.get(n, ()), tuple(found.of(f) for f in row)) for n, row in getattr(expected, kept).items()}
        for shown, kept in _TABLES.items()
    }
    broken = [f for f in figures.values() if isinstance(f, Estimate) and f.mean != f.mean]
    if broken or (expected.welfare is None and expected.revenue is None and expected.profit is None):
        return Side(market, one.ready.structure.name, "failed", _why_not(one), notes=expected.notes)
    return Side(
        market,
        one.ready.structure.name,
        "optimal",
        "Expected outcome found.",
        figures,
        tables,
        expected.identity,
        expected.notes,
    )


def _why_not(one: _Regime) -> str:
    """Why there is no expectation, in the model's words where the stated report has no solution either."""
    if one.expected.notes:
        return one.expected.notes[0]
    outcome = one.ready.structure.recover(one.ready, stated_report(one.market))
    said = "At some types there is no solution, so there is no expectation."
    return said if outcome.status.found else f"{said} At the report: {outcome.message}"


def _verdicts(
    ready: Mapping[str, _Regime], claims: Sequence[tree.ClaimStatement], found: Estimates, tolerance: float,
    *, published: bool,
) -> tuple[Verdict, ...]:  # fmt: skip
    operands = Operands(
        {name: one.expected for name, one in ready.items()},
        {n: r for n, one in ready.items() if (r := _rent(one)) is not None},
        {name: one.market for name, one in ready.items()},
    )
    why = _Why(ready)
    source = next(iter(ready.values())).market.source if ready else None
    verdicts = [judged(claim, source, operands, found, tolerance) for claim in claims] if source is not None else []
    if published and ready:
        roles: Cast = cast_of({name: one.ready for name, one in ready.items()})
        verdicts += [p.judge(roles, operands, found, tolerance, why.of) for p in PUBLISHED if p.speaks_of(roles)]
        verdicts += _decided([one.ready for one in ready.values()])
    return tuple(v.because(why.of) if v.holds is False else v for v in verdicts)


def _decided(ready: Sequence[Mechanism]) -> list[Verdict]:
    """What the structures claim of themselves, each decided at the reports of all regimes together."""
    claims = {c.name: c for one in ready for c in one.structure.claims if c.decide is not None}
    if not claims:
        return []
    runs = {m.market.regime: (m, m.structure.recover(m, stated_report(m.market))) for m in ready}
    return [_verdict(claim, claim.decide(runs)) for claim in claims.values() if claim.decide is not None]


def _verdict(claim: Claim, finding: Finding) -> Verdict:
    met = {True: "it is met here", False: "it is not met here", None: "whether it is met here was not decided"}
    known = f"Guaranteed: {claim.condition}; {met[finding.met]}."
    condition = known if claim.condition else "No condition is known that guarantees it."
    return Verdict(claim.name, claim.text, finding.holds, "bounds", condition, finding.detail, False, claim.source)


class _Why:
    """Whether outputs are substitutes, looked for once and only when somebody asks."""

    def __init__(self, ready: Mapping[str, _Regime]) -> None:
        self.ready = ready
        self.found: Substitution | None = None
        self.asked = False

    def of(self) -> Substitution | None:
        if not self.asked:
            self.asked = True
            efficient = [r.ready for r in self.ready.values() if _prices_by_types(r.ready)]
            self.found = substitution(efficient[0]) if efficient else None
        return self.found


def _prices_by_types(ready: Mechanism) -> bool:
    """Whether its programme's weights are the types themselves: what `Psi` is a function of."""
    roles = {q.role for stage in optima(ready.program) for q in stage.parameters}
    return roles == {"type"} and len(ready.market.contracts) == 1
