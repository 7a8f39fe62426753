"""Rows of outcomes: one for every point, regime and draw, in columns named as the command line addresses entries.

`x.video`, `payments.creator.text`, `revenue`: a number each, NaN where there is none. Rows that were not certified keep
their place and say so; what they would have said is NaN.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mechdsl import pipeline
from mechdsl.accounting import constraint_slack, settle
from mechdsl.draws import uniform_draws
from mechdsl.elaborate.measures import Measure, OutcomeWord, QuantityOf
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import IndexSet, Quantity
from mechdsl.market import Market, PrivateType
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Outcome, Sample
from mechdsl.population.task import Part, Point, Task
from mechdsl.population.workshop import Workshop, workshop
from mechdsl.program import Optimum, Status
from mechdsl.structure import Report

__all__ = ["ADDED", "Rows", "binding_rows", "computed", "from_bytes", "to_bytes", "types_drawn"]

ADDED = ("fallbacks", "answers", "failing")  # words that are counts
BINDING = 1e-7  # slack, relative to the terms of its row, up to which a demand binds


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of one part.

    Args:
        columns: name -> (rows,) numbers; `point`, `regime` (its place in the task's regimes) and `draw` say whose.
        words: regime -> what cannot be a number: `structure`, `message` of what was not solved, `notes`; and counts:
            `fallbacks`, solved one at a time, `answers`, of rows whose answer is that there is no market, say, and
            `failing`, solved, but with a certificate that fails.
    """

    columns: Mapping[str, Array]
    words: Mapping[str, Mapping[str, Any]]

    @property
    def count(self) -> int:
        return len(self.columns["point"])


def computed(task: Task, part: Part) -> Rows:
    """The rows of a part: the one function that processes and clusters are asked to run.

    Raises:
        MechError: a point's values do not fit the market.
    """
    made = _kept(task)
    blocks: list[dict[str, Array]] = []
    words: dict[str, dict[str, Any]] = {}
    for number in range(part.first_point, part.last_point):
        point = task.point(number)
        for name, block, said in _at_point(made, point, part):
            blocks.append(block)
            _merge(words.setdefault(name, {}), said)
    names = list(dict.fromkeys(n for block in blocks for n in block))
    sizes = [len(block["point"]) for block in blocks]
    columns = {
        n: np.concatenate([b.get(n, np.full(size, np.nan)) for b, size in zip(blocks, sizes, strict=True)])
        for n in names
    }
    return Rows(columns, words)


@functools.lru_cache(maxsize=2)
def _kept(task: Task) -> Workshop:
    """The workshop of a task, kept by the process that works on it."""
    return workshop(task)


def _at_point(made: Workshop, point: Point, part: Part) -> Iterator[tuple[str, dict[str, Array], dict[str, Any]]]:
    """Every regime at a point: its name, its columns, its words."""
    task = made.task
    model = made.model(point)
    found: dict[str, tuple[Market, dict[Any, Array], dict[str, Array], dict[str, Any]]] = {}
    for name in task.regimes:
        market = model.markets[name]
        reports = _reports(task, market, point, part)
        mechanism = made.mechanism(market, point)
        if mechanism is None:
            found[name] = (market, {}, {}, {"structure": None, "message": made.structures[name].why})
            continue
        quick = None if task.money else _decided(mechanism, reports)
        sample, said = quick or _sampled(mechanism, reports)
        values = {**market.data, **reports, **_decisions(market, sample)}
        found[name] = (market, values, _columns(market, reports, sample), said)
    for number, name in enumerate(task.regimes):
        market, values, columns, said = found[name]
        if not columns:
            yield name, _head(task, point, part, number, 0), said
            continue
        count = len(columns["certified"])
        block = {**_head(task, point, part, number, count), **columns}
        for text in task.measures:
            stated = made.measure(market, text)
            block[text] = _measured(stated, name, found, values, count)
        yield name, block, said


def _head(task: Task, point: Point, part: Part, regime: int, count: int) -> dict[str, Array]:
    """Whose rows they are."""
    head = {
        "point": np.full(count, float(point.number)),
        "instance": np.full(count, float(point.instance)),
        "regime": np.full(count, float(regime)),
        "draw": part.first_draw + np.arange(count, dtype=np.float64),
    }
    if task.draws == 0 or count < part.last_draw - part.first_draw:
        head["draw"] = np.zeros(count)
    return head | {a.address: np.full(count, v) for a, v in zip(task.axes, point.values, strict=True)}


# ------------------------------------------------------------------------------------------------------------- reports


def types_drawn(types: Sequence[PrivateType], seed: int, first: int, count: int) -> dict[Quantity, Array]:
    """Draws of types, `(count, *shape)` each: the quantiles of numbers keyed by seed, name, labels and draw.

    A type that two regimes call by one name is drawn alike in both, so that their difference has little noise.
    """
    found = {}
    for private in types:
        sets = private.quantity.sets
        table = np.empty((count, len(private.distributions)))
        for j, (law, place) in enumerate(zip(private.distributions, np.ndindex(*private.quantity.shape), strict=True)):
            labels = [s.labels[i] for s, i in zip(sets, place, strict=True)]
            if law.is_point:
                table[:, j] = law.lower
            else:
                table[:, j] = law.quantile(uniform_draws(seed, private.name, labels, first, count))
        found[private.quantity] = table.reshape((count, *private.quantity.shape))
    return found


def _reports(task: Task, market: Market, point: Point, part: Part) -> Report:
    """The types of a part's rows at a point, a leading axis of rows."""
    if not market.types:
        return {}
    if task.draws:
        count = part.last_draw - part.first_draw
        return types_drawn(market.types, task.seed_of(point), part.first_draw, count)
    return {q: np.asarray(table)[None] for q, table in pipeline.stated_report(market).items()}


# ------------------------------------------------------------------------------------------------------------ outcomes


def _sampled(mechanism: Mechanism, reports: Report) -> tuple[Sample, dict[str, Any]]:
    """The outcomes at the reports, and what is to be said of them; one outcome where nothing is private."""
    from mechdsl.theory.sampling import sampled_one_by_one

    structure = mechanism.structure
    counts: dict[str, int] = {}
    if not reports:
        outcome = structure.recover(mechanism, {})
        sample, message = _only(mechanism, outcome)
        counts["answers"] = int(outcome.status in (Status.NO_MARKET, Status.NO_EQUILIBRIUM))
        counts["failing"] = int(outcome.status.found and not sample.certified.all())
    else:
        sample = structure.sample(mechanism, reports) if structure.sample else sampled_one_by_one(mechanism, reports)
        message = "" if sample.certified.all() else _reason(mechanism, reports, sample)
    said: dict[str, Any] = {"structure": sample.structure, "fallbacks": sample.fallbacks, "notes": list(sample.notes)}
    return sample, said | {n: c for n, c in counts.items() if c} | ({"message": message} if message else {})


def _decided(mechanism: Mechanism, reports: Report) -> tuple[Sample, dict[str, Any]] | None:
    """What is decided at one report, nobody's payments asked for; None where a solution is not yet an allocation."""
    market, program = mechanism.market, mechanism.program
    if not isinstance(program, Optimum) or {v.name for v in program.variables} != {
        str(c.quantity.name) for c in market.choices
    }:
        return None
    report = {q: np.asarray(table)[0] for q, table in reports.items()}
    solution = mechanism.solve(report)
    if solution.status is not Status.OPTIMAL:
        return None
    welfare = settle(market, report, solution.values, ()).welfare
    allocation = {name: np.asarray(table)[None] for name, table in solution.values.items()}
    gap = np.array([solution.residuals.get("gap", np.nan)])
    name = mechanism.structure.name
    return Sample(name, allocation, {}, {}, None, np.array([welfare]), None, gap, np.array([True])), {"structure": name}


def _reason(mechanism: Mechanism, reports: Report, sample: Sample) -> str:
    """Why the first row that was not certified was not."""
    first = int(np.argmin(sample.certified))
    solution = mechanism.solve({q: np.asarray(table)[first] for q, table in reports.items()})
    return str(solution.message)


def _only(mechanism: Mechanism, outcome: Outcome) -> tuple[Sample, str]:
    """A market without private types has one outcome."""
    from mechdsl.certify import certify

    good = outcome.status is Status.OPTIMAL
    failed = [c.name for c in certify(mechanism, {}, outcome).checks if not c.passed] if good else []
    passed = good and not failed
    message = f"Solved, but the certificate fails: {', '.join(failed)}." if failed else outcome.message

    def row(tables: Mapping[str, Array]) -> dict[str, Array]:
        return {name: np.asarray(table, dtype=np.float64)[None] for name, table in tables.items()}

    def figure(value: float | None) -> Array | None:
        return None if value is None else np.array([value])

    sample = Sample(
        outcome.structure, row(outcome.allocation), row(outcome.payments), row(outcome.utilities),
        figure(outcome.revenue), figure(outcome.welfare), figure(outcome.profit),
        np.array([np.nan]), np.array([passed]), notes=outcome.notes,
    )  # fmt: skip
    return sample, "" if passed else message


def _decisions(market: Market, sample: Sample) -> dict[Quantity, Array]:
    named = {str(c.quantity.name): c.quantity for c in market.choices}
    return {named[n]: table for n, table in sample.allocation.items() if n in named}


def _columns(market: Market, reports: Report, sample: Sample) -> dict[str, Array]:
    """Everything a sample says, a column an entry."""
    layers = {y.name: tuple(a.index_set for a in y.letters) for y in market.layers}
    columns: dict[str, Array] = {}
    for q, table in reports.items():
        columns |= _entries(str(q.name), q.sets, table)
    for name, table in sample.allocation.items():
        declared = market.declarations.get(name)
        columns |= _entries(name, declared.quantity.sets if declared else (), table)
    for member in ("payments", "utilities"):
        for layer, table in getattr(sample, member).items():
            columns |= _entries(f"{member}.{layer}", layers.get(layer, ()), table)
    columns |= {n: v for n in ("revenue", "welfare", "profit") if (v := getattr(sample, n)) is not None}
    columns |= _binding_columns(market, reports, sample)
    return columns | {"gap": sample.gap, "certified": sample.certified.astype(np.float64)}


def _entries(name: str, sets: tuple[IndexSet, ...], table: Array) -> dict[str, Array]:
    """`{"x.video": (N,), "x.text": (N,)}` from `(N, *shape)`."""
    table = np.asarray(table, dtype=np.float64)
    shape = tuple(map(len, sets))
    if table.shape[1:] != shape:  # of no known labels: by position
        sets, shape = (), table.shape[1:]
    found = {}
    for place in np.ndindex(*shape):
        labels = [s.labels[j] for s, j in zip(sets, place, strict=True)] if sets else [str(j + 1) for j in place]
        found[".".join((name, *labels))] = table[(slice(None), *place)]
    return found


def _binding_columns(market: Market, reports: Report, sample: Sample) -> dict[str, Array]:
    """`binding.demand.video`: 1 where the constraint holds with equality, 0 where it is slack, NaN if unknown."""
    values = {**market.data, **reports, **_decisions(market, sample)}
    if not sample.allocation or any(c.quantity not in values for c in market.choices):
        return {}
    found: dict[str, Array] = {}
    for name, (binds, sets) in binding_rows(market, values).items():
        count = len(sample.certified)
        shape = (count, *map(len, sets))
        found |= _entries(f"binding.{name}", sets, np.broadcast_to(binds, shape))
    return found


def binding_rows(market: Market, values: Mapping[Quantity, Array]) -> dict[str, tuple[Array, tuple[IndexSet, ...]]]:
    """Constraint -> 1 where it binds, 0 where not, NaN where it does not hold, `(..., *shape)`; and its index sets."""
    slack = constraint_slack(market, values)
    found = {}
    for c in market.constraints:
        if c.relation == "==":
            continue  # binds always
        size = sum(np.abs(evaluate(side, values, c.letters)) for side in (c.left, c.right))
        with np.errstate(invalid="ignore"):
            binds = np.where(np.isnan(slack[c.name]), np.nan, np.abs(slack[c.name]) <= BINDING * (size + (size == 0)))
        found[c.name] = (binds, tuple(a.index_set for a in c.letters))
    return found


# ------------------------------------------------------------------------------------------------------------ measures


def _measured(stated: Measure, regime: str, found: Mapping[str, Any], values: dict[Any, Array], count: int) -> Array:
    known = dict(values)
    for quantity, word in stated.words:
        market, theirs, columns, _ = found[word.regime or regime]
        if isinstance(word, QuantityOf):
            known[quantity] = _elsewhere(word.quantity, quantity.sets, market, theirs)
        else:
            known[quantity] = _word(word, market, columns, count)
    if not stated.formula.atoms(Quantity) <= known.keys():  # nothing was decided: no equilibrium, say
        return np.full(count, np.nan)
    result = evaluate(stated.formula, known)
    if np.size(result) not in (1, count):  # beside draws of another regime, what has one outcome has no such number
        return np.full(count, np.nan)
    return np.array(np.broadcast_to(result, (count,)), dtype=np.float64)


def _elsewhere(name: str, sets: tuple[IndexSet, ...], market: Market, values: Mapping[Quantity, Array]) -> Array:
    """`(rows, *shape)` or `shape`: a quantity of another regime, by label; NaN where that has no such number."""
    nothing = np.full(tuple(map(len, sets)), np.nan)
    declared = market.declarations.get(name)
    if declared is not None:
        table, have = values.get(declared.quantity, nothing), declared.quantity.sets
    else:
        let, formula = next((d, f) for d, f in market.lets if d.quantity.name == name)
        have = let.quantity.sets
        known = all(q in values for q in formula.atoms(Quantity))
        table = evaluate(formula, values, let.letters) if known else nothing
    if table is nothing or [s.labels for s in have] == [s.labels for s in sets]:
        return table
    found = np.full((*table.shape[: table.ndim - len(have)], *map(len, sets)), np.nan)
    both = [[label for label in s.labels if label in t.labels] for s, t in zip(sets, have, strict=True)]
    into: Any = (..., *np.ix_(*([s.position(n) for n in names] for s, names in zip(sets, both, strict=True))))
    out_of: Any = (..., *np.ix_(*([t.position(n) for n in names] for t, names in zip(have, both, strict=True))))
    found[into] = table[out_of]
    return found


def _word(word: OutcomeWord, market: Market, columns: Mapping[str, Array], count: int) -> Array:
    """`(rows,)`: what an outcome word comes to."""
    if word.word in ("revenue", "welfare", "profit"):
        return columns.get(word.word, np.full(count, np.nan))
    providers = [c.provider for c in market.contracts]
    member = "utilities" if word.word in ("utility", "information_rent") else "payments"
    layers = [word.layer] if word.layer else providers
    if word.word == "information_rent":
        layers = [t.layer for t in market.types]
    chosen = [v for n, v in columns.items() for y in layers if n == f"{member}.{y}" or n.startswith(f"{member}.{y}.")]
    return np.sum(chosen, axis=0) if chosen else np.full(count, np.nan)


def _merge(into: dict[str, Any], said: Mapping[str, Any]) -> None:
    """What several points say of a regime, once each; counts added."""
    for name, value in said.items():
        if name in ADDED:
            into[name] = into.get(name, 0) + value
        elif name == "notes":
            into[name] = list(dict.fromkeys([*into.get(name, []), *value]))
        elif into.get(name) is None:
            into[name] = value


def to_bytes(rows: Rows) -> dict[str, Array]:
    """The rows as arrays alone, for a file."""
    text = json.dumps(rows.words).encode()
    return {**{f"column:{n}": v for n, v in rows.columns.items()}, "words": np.frombuffer(text, dtype=np.uint8)}


def from_bytes(arrays: Mapping[str, Array]) -> Rows:
    """What `to_bytes` made arrays of."""
    columns = {n.removeprefix("column:"): np.asarray(v) for n, v in arrays.items() if n.startswith("column:")}
    return Rows(columns, json.loads(np.asarray(arrays["words"]).tobytes().decode()))
