"""Outcomes of direct procurement at many reports: allocations, payments and books by column.

All draws are solved in one batch, and so are the tops of closed payments and the nodes of the others, all providers and
draws at once. `sampled_one_by_one` asks a structure's own `recover` at every report and stands for any structure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.accounting import settle_together, stated_values
from mechdsl.errors import InternalError
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.market import Layer, Market
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Sample
from mechdsl.program import Optimum
from mechdsl.structure import Report
from mechdsl.theory.payments import Affine, fixed_part, type_of
from mechdsl.theory.private_cost import PrivateCost, providers
from mechdsl.theory.procurement import known_types
from mechdsl.theory.rents import Along, random_rents, rents

if TYPE_CHECKING:
    from mechdsl.engines.batch import Batch, BatchSolution
    from mechdsl.engines.opened import FilledBatch

__all__ = ["batch_of", "direct_sample", "sampled_one_by_one"]

SOUND = 1e-6  # residuals up to which a solution counts as certified: what `optimal` asks for
_AT_ONCE = 200_000  # solves in one call, so that memory does not grow with the number of draws


def batch_of(mechanism: Mechanism) -> Batch | FilledBatch:
    """The mechanism's programme, ready to be solved at many parameter values; made once."""
    from mechdsl.engines.batch import compile_batch
    from mechdsl.engines.opened import Filled

    program = mechanism.program
    if not isinstance(program, Optimum):
        raise InternalError(f"no batch of a {type(program).__name__}")
    engine = mechanism.engine
    make = engine.batch if isinstance(engine, Filled) else lambda: compile_batch(program, engine)
    made: Batch | FilledBatch = mechanism.keep("batch", make)
    return made


def direct_sample(mechanism: Mechanism, reports: Report, affine: Affine) -> Sample:
    """Allocations, payments and books of direct procurement at N reports.

    Args:
        mechanism: the structure at work on the market.
        reports: type -> (N, *shape), taken as true.
        affine: slope and intercept of the structure's weight in a type, where it is affine.

    Source: Ai, Simchi-Levi & Xu (2025), Algorithm 1; closed payments are ours, as in `envelope_payments`.
    """
    count = len(next(iter(reports.values()))) if reports else 1
    chunks = [_Chunk(mechanism, part, affine) for part in _chunks(mechanism, reports, count)]
    made = [chunk.run() for chunk in chunks]
    certified = np.concatenate([m.certified for m in made])
    books = [m.columns for m in made]

    def joined(kind: str) -> dict[str, Array]:
        names = books[0][kind]
        return {name: _blank(np.concatenate([b[kind][name] for b in books]), certified) for name in names}

    totals = joined("totals")
    return Sample(
        mechanism.structure.name, joined("allocation"), joined("payments"), joined("utilities"),
        totals["revenue"], totals["welfare"], None,
        np.concatenate([m.gap for m in made]), certified, sum(m.fallbacks for m in made),
        max((m.error for m in made), default=0.0),
        (_method(mechanism, made),),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """What a chunk of draws came to; `columns` by kind and name, each with a leading axis of draws."""

    columns: Mapping[str, Mapping[str, Array]]
    gap: Array
    certified: npt.NDArray[np.bool_]
    fallbacks: int
    error: float
    closed: int
    count: int


def _method(mechanism: Mechanism, made: Sequence[_Made]) -> str:
    closed, count = sum(m.closed for m in made), sum(m.count for m in made)
    error = max((m.error for m in made), default=0.0)
    if known_types(mechanism.market):
        return "Types known: every provider is paid its cost."
    if (trials := trials_of(mechanism.market)) is not None:
        return f"Randomised payments, {trials} trials, standard error at most {error:.2g}."
    if closed == count:
        return "Payments in closed form (envelope theorem)."
    return f"{closed} of {count} payments in closed form, the others by quadrature, errors at most {error:.1e}."


def _chunks(mechanism: Mechanism, reports: Report, count: int) -> Iterator[Report]:
    """Draws whose solves, fifteen nodes a provider among them, fit into one call."""
    places = sum(max(1, int(np.prod(p.layer.shape))) for p in providers(mechanism.market))
    size = max(64, _AT_ONCE // (15 * max(1, places)))
    for start in range(0, count, size):
        yield {q: np.asarray(table, dtype=np.float64)[start : start + size] for q, table in reports.items()}


class _Chunk:
    """Some draws under way."""

    def __init__(self, mechanism: Mechanism, reports: Report, affine: Affine) -> None:
        self.mechanism, self.reports, self.affine = mechanism, reports, affine
        self.market: Market = mechanism.market
        self.count = len(next(iter(reports.values()))) if reports else 1
        self.batch = batch_of(mechanism)
        self.fallbacks = self.closed = self.rents = 0
        self.error = 0.0

    def run(self) -> _Made:
        market, here = self.market, self.solve(self.reports)
        self.certified = here.certified.copy()
        allocation = {str(c.quantity.name): here.values[str(c.quantity.name)] for c in market.choices}
        values = stated_values(market, self.reports, allocation)
        payments: dict[str, Array] = {}
        if known_types(market):
            for layer in (market.layer(contract.provider) for contract in market.contracts):
                payments[layer.name] = self.table(layer.cost - layer.value + layer.outside, values, layer)
        else:
            for part in providers(market):
                payments[part.layer.name] = self.payment(part, here, values)
        payer = market.contracts[0].payer
        books = settle_together(market, values, self.count, payer, payments)
        columns = {
            "allocation": allocation,
            "payments": payments,
            "utilities": books.utilities,
            "totals": {"revenue": books.profit, "welfare": books.welfare},
        }
        return _Made(columns, here.gap, self.certified, self.fallbacks, self.error, self.closed, self.rents)

    def payment(self, part: PrivateCost, here: BatchSolution, values: Mapping[Quantity, Array]) -> Array:
        """`fixed + c y + rent` of every provider of a layer."""
        along = Along(self.market, part, self.reports, self.solve)
        y = self.table(part.coefficient, values, part.layer)
        fixed = self.table(fixed_part(part), values, part.layer)
        trials = trials_of(self.market)
        flat = y.reshape(self.count, -1)
        found = rents(along, here, flat, self.affine) if trials is None else random_rents(along, trials)
        self.certified &= np.isfinite(found.rents).all(axis=1) & np.isfinite(found.errors).all(axis=1)
        self.error = max(self.error, float(np.max(found.errors[self.certified], initial=0.0)))
        self.closed += found.closed
        self.rents += int(np.sum(~np.isnan(found.rents)))
        own = np.asarray(self.reports[type_of(part).quantity], dtype=np.float64)
        return np.asarray(fixed + own * y + found.rents.reshape(y.shape))

    def solve(self, reports: Report, near: bool = False) -> BatchSolution:
        found = self.batch.solve(self.mechanism.structure.parameters(self.market, reports), related=near)
        self.fallbacks += found.fallbacks
        return found

    def table(self, formula: sp.Expr, values: Mapping[Quantity, Array], layer: Layer) -> Array:
        """(N, *shape) a layer's formula at every draw."""
        return np.array(np.broadcast_to(evaluate(formula, values, layer.letters), (self.count, *layer.shape)))


def trials_of(market: Market) -> int | None:
    """How many trials a randomised payment takes; None under the envelope rule."""
    arguments = market.contracts[0].arguments
    return int(str(arguments.get("trials", 100))) if arguments.get("payment") == "randomized" else None


def _blank(table: Array, certified: npt.NDArray[np.bool_]) -> Array:
    """NaN where the draw was not certified."""
    return np.where(certified.reshape(-1, *(1 for _ in table.shape[1:])), table, np.nan)


def sampled_one_by_one(mechanism: Mechanism, reports: Report) -> Sample:
    """What `recover` says at each of N reports, gathered by column; NaN where there is no outcome.

    Args:
        mechanism: any structure at work on its market.
        reports: type -> (N, *shape).
    """
    count = len(next(iter(reports.values())))
    asked = [{q: np.asarray(table)[n] for q, table in reports.items()} for n in range(count)]
    outcomes = [mechanism.structure.recover(mechanism, report) for report in asked]
    found = [o.status.found for o in outcomes]
    known = next((o for o, good in zip(outcomes, found, strict=True) if good), None)
    residuals = [dict(mechanism.solve(report).residuals) for report in asked]
    gap = np.array([r.get("gap", np.nan) for r in residuals])
    worst = np.array([max((v for n, v in r.items() if n != "gap"), default=np.inf) for r in residuals])
    certified = np.array(found) & ((worst <= SOUND) | (gap <= SOUND))

    def column(figures: Sequence[float | None]) -> Array | None:
        if known is None or all(f is None for f in figures):
            return None
        return np.where(certified, np.array([np.nan if f is None else f for f in figures]), np.nan)

    def table(name: str) -> Mapping[str, Array]:
        if known is None:
            return {}
        tables: Mapping[str, Array] = getattr(known, name)
        return {key: _stacked([getattr(o, name).get(key) for o in outcomes], value) for key, value in tables.items()}

    return Sample(
        mechanism.structure.name, table("allocation"), table("payments"), table("utilities"),
        column([o.revenue for o in outcomes]), column([o.welfare for o in outcomes]),
        column([o.profit for o in outcomes]), gap, certified, count, notes=known.notes if known else (),
    )  # fmt: skip


def _stacked(tables: Sequence[Array | None], like: Array) -> Array:
    return np.stack([np.full(np.shape(like), np.nan) if t is None else np.asarray(t) for t in tables])
