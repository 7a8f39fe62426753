"""All columns that forms ask for, at many points of the types' box: one table a call, whoever integrates it.

Rules are asked once for all of their columns. A point is a type for every entry; entries whose type is known stay put.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mechdsl.distributions import Distribution
from mechdsl.evaluate import Array
from mechdsl.expected import Column, Linear, Mask, Rule
from mechdsl.formula import Quantity
from mechdsl.market import Market

__all__ = ["HARD", "Integrand", "columns_of"]

_OTHER = 1e-6
_SEEN = 64
HARD = 64  # points of a batch that a single solve is worth


def columns_of(forms: Iterable[Linear]) -> tuple[Column, ...]:
    """The columns that must be integrated, once each."""
    return tuple(dict.fromkeys(t for form in forms for t in form.terms if isinstance(t, Column)))


@dataclass(frozen=True, slots=True)
class Integrand:
    """Columns as functions of the types that are not known.

    Args:
        market: whose types these are; all regimes of a file that share them.
        columns: in the order of the tables.
    """

    market: Market
    columns: tuple[Column, ...]

    @property
    def laws(self) -> tuple[Distribution, ...]:
        """Of every entry of every type, known ones included."""
        return tuple(law for private in self.market.types for law in private.distributions)

    @property
    def open(self) -> tuple[int, ...]:
        """The entries that are not known."""
        return tuple(j for j, law in enumerate(self.laws) if not law.is_point)

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(dict.fromkeys(column.rule for column in self.columns))

    @property
    def measures(self) -> tuple[int | None, ...]:
        """For each column the entry against whose length it is integrated, or None."""
        return tuple(c.rule.measures[c.rule.names.index(c.name)] for c in self.columns)

    @property
    def stepwise(self) -> bool:
        """Whether decisions take but a few values, those of vertices of a linear programme: seen at some types."""
        decided = [j for j, column in enumerate(self.columns) if column.name[0] == "x"]
        levels = np.random.default_rng(0).random((_SEEN, len(self.open)))
        types = np.column_stack([self.laws[j].quantile(levels[:, n]) for n, j in enumerate(self.open)])
        values = self.at(types)[0][:, decided]
        return bool(decided) and len(np.unique(np.round(values, 9), axis=0)) <= _SEEN // 4

    def at(self, types: Array) -> tuple[Array, Array, Mask, int]:
        """(N, C) values, (N, C) their errors, (N, P) what binds, the effort; at types of the open entries (N, D)."""
        reports = self.reports(types)
        values, errors = np.empty((len(types), len(self.columns))), np.zeros((len(types), len(self.columns)))
        patterns, effort = [], 0
        for rule in self.rules:
            found = rule.at(reports)
            places = [j for j, column in enumerate(self.columns) if column.rule == rule]
            taken = [rule.names.index(self.columns[j].name) for j in places]
            values[:, places] = found.values[:, taken]
            errors[:, places] = np.abs(found.values[:, taken]) * found.error
            patterns.append(found.pattern)
            effort += len(types) + HARD * found.hard
        return values, errors, np.concatenate(patterns, axis=1), effort

    def reports(self, types: Array) -> dict[Quantity, Array]:
        """Type -> (N, *shape)."""
        whole = np.tile([float(law.mean) for law in self.laws], (len(types), 1))
        whole[:, self.open] = types
        found, start = {}, 0
        for private in self.market.types:
            size = len(private.distributions)
            found[private.quantity] = whole[:, start : start + size].reshape(len(types), *private.quantity.shape)
            start += size
        return found

    def groups(self) -> Array:
        """(C, C) which columns are compared in size: those in money with each other, outputs and surpluses too.

        What is 0 but for rounding must not be refined; so all others count a little.
        """
        kinds: Sequence[str] = [
            "output" if c.name[0] in ("slack", "x", "allocation") else "money" for c in self.columns
        ]
        return np.array([[1.0 if a == b else _OTHER for a in kinds] for b in kinds])
