"""`solve --sensitivity`: the derivative of every outcome in every param.

Directions are found here, from the text: an entry that nothing else rests on moves alone; what laws, sets of values or
other params rest on is elaborated again to either side of it, which takes no solve. How the outcome follows is theory
(`theory.sensitivity`); a structure that has none is solved again to either side, and that is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mechdsl import pipeline
from mechdsl.elaborate import Override
from mechdsl.errors import MechError
from mechdsl.evaluate import Array
from mechdsl.formula import IndexSet, Quantity
from mechdsl.market import Market, Model
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Outcome
from mechdsl.pipeline import Run
from mechdsl.population.workshop import loose_params
from mechdsl.program import Optimum, Status
from mechdsl.report.json_report import labelled
from mechdsl.structure import Report

__all__ = ["Remade", "Sensitivity", "flat_columns", "sensitivity", "sensitivity_object"]

STEP = 1e-5  # relative, of what is elaborated again
WIDE = 1e-4  # and of what is solved again

Remade = Callable[[Sequence[Override]], Model]
"""The file with further params from outside."""


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """The derivatives of one regime's outcome.

    Args:
        addresses: of the params' entries, `d.video`; every array below has a leading axis of them.
        columns: member of the outcome -> name -> (P, *shape); a number's under its own name and ``.
        method: how they were got, in words.
        kinks: rows and decisions on the edge of binding, where derivatives to either side differ.
        notes: sentences a reader should see.
    """

    addresses: tuple[str, ...]
    columns: Mapping[str, Mapping[str, Array]]
    method: str
    kinks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def sensitivity(run: Run, remade: Remade) -> Sensitivity | None:
    """The derivatives of a solved regime's outcome; None where there is no outcome, or no param to move.

    Args:
        run: the regime, solved.
        remade: the model again, with params from outside on top.
    """
    from mechdsl.theory.sensitivity import Directions

    mechanism, outcome = run.mechanism, run.outcome
    if mechanism is None or outcome is None or outcome.status is not Status.OPTIMAL:
        return None
    market = run.market
    entries = _entries(market)
    report = pipeline.stated_report(market)
    alone = loose_params(remade([]).file)
    # Randomised payments are averages over draws: their rates are those of the draws, not of the envelope formula.
    drawn = any(c.arguments.get("payment") == "randomized" for c in market.contracts)
    rates = None if drawn else mechanism.structure.rates
    sides = {}
    for entry in entries:
        if rates is None or entry.quantity.name not in alone:
            sides[entry] = _sides(entry, market, remade, WIDE if rates is None else STEP)
    entries = [e for e in entries if sides.get(e, ()) is not None]
    if not entries:
        return None
    addresses = tuple(e.address for e in entries)
    if rates is None:
        return _solved_again(mechanism, outcome, report, addresses, [sides[e] for e in entries])
    known = [sides.get(e) for e in entries]
    directions = Directions(
        len(entries), _data_rates(entries, known, market), lambda r: _open_rates(mechanism, known, r),
        _top_rates(market, known),
    )  # fmt: skip
    found = rates(mechanism, report, directions)
    columns = {n: dict(getattr(found, n)) for n in ("allocation", "payments", "utilities", "shadow_price")}
    figures = {"objective": found.objective, "revenue": found.revenue, "welfare": found.welfare}
    columns |= {n: {"": r} for n, r in figures.items() if r is not None}
    return Sensitivity(addresses, columns, "implicit function theorem", found.kinks, found.notes)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of a param."""

    quantity: Quantity
    place: tuple[int, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(s.labels[j] for s, j in zip(self.quantity.sets, self.place, strict=True))

    @property
    def address(self) -> str:
        return ".".join((str(self.quantity.name), *self.labels))


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """The regime to either side of a param's value, and how far apart they are."""

    low: Market
    high: Market
    width: float


def _entries(market: Market) -> list[_Entry]:
    """Entries of params that are numbers; those that are labels do not move by little."""
    found = []
    for declared in market.declarations.values():
        quantity = declared.quantity
        if quantity.role == "param" and declared.values_in is None:
            found += [_Entry(quantity, place) for place in np.ndindex(*quantity.shape)]
    return found


def _sides(entry: _Entry, market: Market, remade: Remade, step: float) -> _Sides | None:
    """None where the param sets the size of an index set, or no value near it is allowed."""
    value = float(np.asarray(market.data[entry.quantity])[entry.place])
    width = step * max(abs(value), 1e-2)
    made: list[tuple[float, Market]] = []
    for there in (value - width, value + width):
        try:
            other = remade([Override(str(entry.quantity.name), entry.labels, there)]).markets[market.regime]
        except MechError:
            made.append((value, market))  # out of range: to one side alone
            continue
        if [s.labels for s in other.sets] != [s.labels for s in market.sets]:
            return None
        made.append((there, other))
    (low, at_low), (high, at_high) = made
    return None if high <= low else _Sides(at_low, at_high, high - low)


def _data_rates(entries: Sequence[_Entry], sides: Sequence[_Sides | None], market: Market) -> Mapping[Quantity, Array]:
    """Param or statistic -> (P, *shape)."""
    rates = {q: np.zeros((len(entries), *q.shape)) for q in market.data}
    for n, (entry, pair) in enumerate(zip(entries, sides, strict=True)):
        if pair is None:
            rates[entry.quantity][(n, *entry.place)] = 1.0
            continue
        low, high = (_by_name(m.data) for m in (pair.low, pair.high))
        for q, table in rates.items():
            table[n] = (high[q.name] - low[q.name]) / pair.width
    return {q: r for q, r in rates.items() if r.any()}


def _by_name(tables: Mapping[Quantity, Any]) -> dict[str, Array]:
    """A law that moves makes its type, and what is derived from it, another quantity of the same name."""
    return {str(q.name): np.asarray(table, dtype=np.float64) for q, table in tables.items()}


def _reported(market: Market, report: Report) -> Report:
    """The report in another market's own types."""
    known = _by_name(report)
    return {t.quantity: known[t.name] for t in market.types}


def _open_rates(mechanism: Mechanism, sides: Sequence[_Sides | None], report: Report) -> Mapping[Quantity, Array]:
    """Open parameter -> (P, *shape): virtual costs move with the laws."""
    ask = mechanism.structure.parameters
    if not isinstance(mechanism.program, Optimum):
        return {}
    rates = {q: np.zeros((len(sides), *q.shape)) for q in mechanism.program.parameters}
    for n, pair in enumerate(sides):
        if pair is not None and pair.low.types != pair.high.types:
            low, high = (_by_name(ask(m, _reported(m, report))) for m in (pair.low, pair.high))
            for q, table in rates.items():
                table[n] = (high[q.name] - low[q.name]) / pair.width
    return rates


def _top_rates(market: Market, sides: Sequence[_Sides | None]) -> Mapping[Quantity, Array]:
    """Type -> (P, *shape): of the highest types."""
    rates = {}
    for number, private in enumerate(market.types):
        table = np.zeros((len(sides), *private.quantity.shape))
        for n, pair in enumerate(sides):
            if pair is not None:
                low, high = (m.types[number].table(lambda d: d.upper) for m in (pair.low, pair.high))
                table[n] = (high - low) / pair.width
        rates[private.quantity] = table
    return rates


def _solved_again(
    mechanism: Mechanism, outcome: Outcome, report: Report, addresses: tuple[str, ...], sides: Sequence[Any]
) -> Sensitivity:
    """Differences of outcomes to either side."""
    members = ("allocation", "payments", "utilities", "shadow_price")
    columns: dict[str, dict[str, Array]] = {n: {} for n in (*members, "revenue", "welfare", "profit")}
    for n, pair in enumerate(sides):
        ends = []
        for market in (pair.low, pair.high):
            made = pipeline.mechanism(market, mechanism.structure)
            ends.append(mechanism.structure.recover(made, _reported(market, report)))
        if any(end.status is not Status.OPTIMAL for end in ends):
            continue
        for member, column in columns.items():
            tables = [_tables(end, member) for end in (*ends, outcome)]
            for name, table in tables[2].items():
                known = column.setdefault(name, np.full((len(sides), *np.shape(table)), np.nan))
                known[n] = (np.asarray(tables[1][name]) - np.asarray(tables[0][name])) / pair.width
    note = "This structure states no rates: its outcomes were solved again to either side of each param."
    told = {n: c for n, c in columns.items() if c}
    return Sensitivity(addresses, told, "central differences of outcomes solved again", (), (note,))


def _tables(outcome: Outcome, member: str) -> Mapping[str, Any]:
    found = getattr(outcome, member)
    if isinstance(found, Mapping):
        return found
    return {} if found is None or not math.isfinite(found) else {"": found}


def flat_columns(found: Sensitivity, market: Market) -> dict[str, Array]:
    """`payments.creator.video` -> (P,): every entry by its address."""
    sets = _sets(market)
    columns = {}
    for member, tables in found.columns.items():
        for name, table in tables.items():
            known = sets.get((member, name), ())
            head = [p for p in ((name,) if member == "allocation" else (member, name)) if p]
            if tuple(map(len, known)) != table.shape[1:]:
                continue
            for place in np.ndindex(*table.shape[1:]):
                labels = [s.labels[j] for s, j in zip(known, place, strict=True)]
                columns[".".join((*head, *labels))] = table[(..., *place)]
    small = {n: c for n, c in columns.items() if n in ("objective", "revenue", "welfare", "profit")}
    return small | columns


def _sets(market: Market) -> dict[tuple[str, str], tuple[IndexSet, ...]]:
    """The index sets of every table of an outcome."""
    layers = {y.name: tuple(a.index_set for a in y.letters) for y in market.layers}
    sets = {("allocation", str(c.quantity.name)): c.quantity.sets for c in market.choices}
    sets |= {(member, n): s for n, s in layers.items() for member in ("payments", "utilities")}
    return sets | {("shadow_price", c.name): tuple(a.index_set for a in c.letters) for c in market.constraints}


def sensitivity_object(found: Sensitivity, market: Market) -> dict[str, Any]:
    """As JSON: for every param's entry the words of `solve`, each a derivative; null where there is none."""
    sets = _sets(market)
    parameters: dict[str, Any] = {}
    for n, address in enumerate(found.addresses):
        members: dict[str, Any] = {}
        for member, tables in found.columns.items():
            if "" in tables:
                value = float(tables[""][n])
                members[member] = value + 0.0 if math.isfinite(value) else None
            else:
                members[member] = {name: labelled(t[n], sets.get((member, name), ())) for name, t in tables.items()}
        parameters[address] = members
    said = {"kinks": list(found.kinks), "notes": list(found.notes)}
    return {"method": found.method, "parameters": parameters, **{n: v for n, v in said.items() if v}}
