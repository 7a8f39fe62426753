"""Outcomes at many reports, by column.

`sampled_one_by_one` asks a structure's own `recover` at every report and stands for any structure; it is also what the
vectorised samples are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mechdsl.evaluate import Array
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Sample
from mechdsl.structure import Report
from mechdsl.theory.payments import Affine

__all__ = ["direct_sample", "sampled_one_by_one"]

SOUND = 1e-6  # residuals up to which a solution counts as certified: what `optimal` asks for


def direct_sample(mechanism: Mechanism, reports: Report, affine: Affine) -> Sample:
    """Allocations, payments and books of direct procurement at N reports.

    Args:
        mechanism: the structure at work on the market.
        reports: type -> (N, *shape), taken as true.
        affine: slope and intercept of the structure's weight in a type, where it is affine.
    """
    del affine
    return sampled_one_by_one(mechanism, reports)


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
