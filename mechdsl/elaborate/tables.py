"""The values of every param of a regime: stated, drawn, set, overridden; evaluated in the order they rest on each
other.

Dependent params are evaluated after overrides, so they follow them. Every table is checked against its declared range
and frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from mechdsl import syntax_tree as tree
from mechdsl.draws import uniform_draw
from mechdsl.elaborate.expressions import DATA, Resolver, Scope, label_text, unresolved
from mechdsl.elaborate.laws import Laws
from mechdsl.elaborate.values import Reader, entry_text
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Letter, Quantity, quantities, rename_letters

if TYPE_CHECKING:
    from mechdsl.elaborate.names import RegimeNames

__all__ = ["Override", "Tables", "entry_name"]


@dataclass(frozen=True, slots=True)
class Override:
    """A value from outside the file (`--set d.video=5`, or a sweep's axis): replaces a param or one entry of it."""

    name: str
    labels: tuple[str, ...]
    value: float


@dataclass(slots=True)
class Tables:
    """Params to arrays, lazily."""

    names: RegimeNames
    _data: dict[str, Array | None] = field(default_factory=dict)
    _in_progress: list[str] = field(default_factory=list)

    def known(self) -> dict[Quantity, Array]:
        """Every table worked out so far, by quantity."""
        found = {}
        for name, table in self._data.items():
            quantity = self.names.quantity(name, self.names.declared[name].statement.span)
            if quantity is not None and table is not None:
                found[quantity] = table
        return found

    def data(self, name: str) -> Array | None:
        """The values of a param, overrides applied, every entry checked; None where anything is wrong."""
        if name not in self._data:
            if not self.names.enter(name, self._in_progress):
                return None
            self._data[name] = self._make_data(name)
            self._in_progress.remove(name)
        return self._data[name]

    def _make_data(self, name: str) -> Array | None:
        statement = self.names.declared[name].statement
        quantity = self.names.quantity(name, statement.span)
        if quantity is None or not isinstance(statement, tree.ParamStatement):
            return None
        letters = self.names.letters(statement.target.letters) or ()
        reader = self.reader(name, quantity, letters)
        value = next((o.value for o in reversed(self._file_sets(name)) if not o.labels), statement.value)
        outer = [o for o in self.names.overrides if o.name == name]
        table: Array | None
        if any(not o.labels for o in outer):
            table = np.full(quantity.shape, np.nan)
        elif value is not None:
            table = reader.read(value)
        else:
            table = self._drawn(name, statement, quantity, letters)
        if table is None:
            return None
        table = table.copy()
        for override in self._file_sets(name):
            if override.labels and not self._set_entry(table, quantity, override, reader):
                return None
        for given in outer:
            place = self.names.place(quantity, given.labels, None)
            if place is None:
                return None
            table[place] = (
                given.value if self.names.index_valued(quantity) is None else self._label_position(quantity, given)
            )
        self._check_values(name, quantity, table, value if value is not None else statement)
        table.setflags(write=False)
        return table

    def _file_sets(self, name: str) -> list[tree.SetStatement]:
        return [s for s in self.names.body if isinstance(s, tree.SetStatement) and s.name.id == name]

    def _set_entry(self, table: Array, quantity: Quantity, override: tree.SetStatement, reader: Reader) -> bool:
        labels = tuple(label_text(label) for label in override.labels)
        place = self.names.place(quantity, labels, override)
        if place is None:
            return False
        value = reader.number(override.value, place)
        if value is None:
            return False
        table[place] = value
        return True

    @staticmethod
    def _label_position(quantity: Quantity, override: Override) -> float:
        return override.value - 1 if quantity.domain.upper >= override.value - 1 else np.nan

    def reader(self, name: str, quantity: Quantity, letters: tuple[Letter, ...]) -> Reader:
        def number(node: tree.Expression, at: tuple[int, ...]) -> Array | None:
            # Letters of labels already fixed by a map stand for those labels.
            formula = self.formula(node, letters, f"'{name}'")
            if formula is None:
                return None
            fixed = {a: sp.Integer(j) for a, j in zip(letters, at, strict=False)}
            return self.evaluated(rename_letters(formula, fixed), letters[len(at) :])

        return Reader(
            name, quantity.sets, self.names.index_valued(quantity), self.names.folder, number, self.names.diagnostics
        )

    def formula(self, node: tree.Expression, letters: Sequence[Letter], purpose: str) -> sp.Expr | None:
        scope = Scope({a.name: a for a in letters}, DATA, purpose)
        formula = Resolver(self.names, self.names.diagnostics).formula(node, scope)
        return None if unresolved(formula) else formula

    def evaluated(self, formula: sp.Expr, letters: Sequence[Letter]) -> Array | None:
        """The formula's values, evaluating the data it rests on first."""
        values: dict[Quantity, Array] = {}
        for quantity in quantities(formula):
            if quantity.role == "statistic":
                values[quantity] = self.names.statistics[quantity]
                continue
            table = self.data(str(quantity.name))
            if table is None:
                return None
            values[quantity] = table
        with np.errstate(all="ignore"):
            return evaluate(formula, values, tuple(letters))

    def scalar(self, node: tree.Expression, purpose: str, infinite: bool = False) -> float | None:
        formula = self.formula(node, (), purpose)
        if formula is None:
            return None
        values = self.evaluated(formula, ())
        if values is None:
            return None
        number = float(values)
        if np.isnan(number) or (np.isinf(number) and not infinite):
            self.names.error("M033", f"{purpose} needs a finite number, this is {number}", node, "Correct the value.")
            return None
        return number

    def _drawn(
        self, name: str, statement: tree.ParamStatement, quantity: Quantity, letters: tuple[Letter, ...]
    ) -> Array | None:
        assert statement.draw is not None
        laws = Laws(self.names, self.names.diagnostics, self.names.folder).of_param(name, statement.draw, letters)
        if laws is None:
            return None
        table = np.empty(quantity.shape)
        for law, place in zip(laws, np.ndindex(*quantity.shape), strict=True):
            labels = [s.labels[j] for s, j in zip(quantity.sets, place, strict=True)]
            table[place] = float(law.quantile(uniform_draw(self.names.seed, name, labels)))
        return table

    def _check_values(self, name: str, quantity: Quantity, table: Array, node: tree.Node) -> None:
        bad = ~np.isfinite(table)
        if bad.any():
            place = tuple(int(j) for j in np.argwhere(bad)[0])
            self.names.error(
                "M033", f"{entry_name(quantity, place)} is {table[place]}", node, "Every value must be a finite number."
            )
            return
        if self.names.index_valued(quantity) is not None:
            return
        domain = quantity.domain
        low = (table <= domain.lower) if domain.lower_open else (table < domain.lower)
        high = (table >= domain.upper) if domain.upper_open else (table > domain.upper)
        places = np.argwhere(low | high)
        for place in places[:1]:
            at = tuple(int(j) for j in place)
            more = f", and {len(places) - 1} more," if len(places) > 1 else ""
            message = f"{entry_name(quantity, at)} = {table[at]:g}{more} is outside its declared range {domain}"
            self.names.error("M034", message, node, "Correct the value, or the range in the declaration.")


def entry_name(quantity: Quantity, place: Sequence[int]) -> str:
    """`mu[video, text]` from positions."""
    return entry_text(str(quantity.name), [s.labels[j] for s, j in zip(quantity.sets, place, strict=True)])
