"""The values of every param of a regime: stated, drawn, set, overridden; evaluated in the order they rest on each
other.

Dependent params are evaluated after overrides, so they follow them. Every table is checked against its declared range
and frozen.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from mechdsl import syntax_tree as tree
from mechdsl.draws import uniform_draw
from mechdsl.elaborate.expressions import DATA, Resolver, Scope, label_text, unresolved
from mechdsl.elaborate.laws import Laws
from mechdsl.elaborate.places import entry_node
from mechdsl.elaborate.values import Reader, entry_text
from mechdsl.elaborate.wording import number_text
from mechdsl.errors import did_you_mean
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Letter, Quantity, quantities, rename_letters

if TYPE_CHECKING:
    from mechdsl.elaborate.names import RegimeNames

__all__ = ["Override", "Stated", "Tables", "entry_name"]


@dataclass(frozen=True, slots=True)
class Override:
    """A value from outside the file (`--set d.video=5`, or a sweep's axis): replaces a param or one entry of it.

    `value`: a number, or a label where the param takes labels for values (`--set home.1=text`).
    """

    name: str
    labels: tuple[str, ...]
    value: float | str


@dataclass(slots=True)
class Tables:
    """Params to arrays, lazily."""

    names: RegimeNames
    _data: dict[str, Array | None] = field(default_factory=dict)
    in_progress: list[str] = field(default_factory=list)

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
            if not self.names.enter(name, self.in_progress):
                return None
            self._data[name] = self._make_data(name)
            self.in_progress.remove(name)
        return self._data[name]

    def _make_data(self, name: str) -> Array | None:
        statement = self.names.declared[name].statement
        quantity = self.names.quantity(name, statement.span)
        if quantity is None or not isinstance(statement, tree.ParamStatement):
            return None
        if isinstance(statement.domain, tree.Name) and self.names.index_valued(quantity) is None:
            return None  # its values are labels of a set that is at fault
        letters = self.names.letters(statement.target.letters) or ()
        reader = self.reader(name, quantity, letters)
        value = next((o.value for o in reversed(self._file_sets(name)) if not o.labels), statement.value)
        outer = [o for o in self.names.overrides if o.name == name]
        table, complete = np.full(quantity.shape, np.nan), True
        if not any(not o.labels for o in outer):
            if value is not None:
                table, complete = reader.read(value)
            else:
                table, complete = self._drawn(name, statement, quantity, letters)
        stated = Stated(quantity, [((), value or statement.draw)])
        for override in self._file_sets(name):
            if override.labels:
                complete &= self._set_entry(table, override, reader, stated)
        for given in outer:
            complete &= self._override(table, given, stated)
        self._check_values(table, stated, complete)
        table.setflags(write=False)
        return table if complete else None

    def _file_sets(self, name: str) -> list[tree.SetStatement]:
        return [s for s in self.names.body if isinstance(s, tree.SetStatement) and s.name.id == name]

    def _set_entry(self, table: Array, override: tree.SetStatement, reader: Reader, stated: Stated) -> bool:
        labels = tuple(label_text(label) for label in override.labels)
        place = self.names.place(stated.quantity, labels, override)
        if place is None:
            return False
        stated.add(place, override.value)
        return reader.enter(override.value, place, table)

    def _override(self, table: Array, given: Override, stated: Stated) -> bool:
        """Enter a value from outside; for a param that takes labels a number is the label of that name."""
        place = self.names.place(stated.quantity, given.labels, None)
        if place is None:
            return False
        stated.add(place, None)
        values_in = self.names.index_valued(stated.quantity)
        if values_in is None:
            if isinstance(given.value, str):
                message = f"'{given.name}' takes numbers, and is given '{given.value}' from outside the file"
                self.names.error("M032", message, None, f"Write {'.'.join((given.name, *given.labels))}=1, say.")
                return False
            table[place] = given.value
            return True
        label = given.value if isinstance(given.value, str) else number_text(given.value)
        if label not in values_in.labels:
            message = f"{values_in.name} has no label '{label}', which '{given.name}' is given from outside the file"
            self.names.error("M015", message, None, did_you_mean(label, values_in.labels))
            return False
        table[place] = values_in.position(label)
        return True

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
            what = "has no value" if np.isnan(number) else "is infinite"
            self.names.error("M033", f"{purpose} needs a finite number, this {what}", node, "Correct the value.")
            return None
        return number

    def _drawn(
        self, name: str, statement: tree.ParamStatement, quantity: Quantity, letters: tuple[Letter, ...]
    ) -> tuple[Array, bool]:
        assert statement.draw is not None
        table = np.full(quantity.shape, np.nan)
        laws = Laws(self.names, self.names.diagnostics, self.names.folder).of_param(name, statement.draw, letters)
        if laws is None:
            return table, False
        labels = itertools.product(*(s.labels for s in quantity.sets))
        drawn = np.array([uniform_draw(self.names.seed, name, place) for place in labels])
        if all(law is laws[0] for law in laws):
            table[...] = laws[0].quantile(drawn).reshape(quantity.shape)
        else:
            table.flat[:] = [float(law.quantile(u)) for law, u in zip(laws, drawn, strict=True)]
        return table, True

    def _check_values(self, table: Array, stated: Stated, complete: bool) -> None:
        """Every entry finite and in its declared range; of an incomplete table, those that are there."""
        quantity = stated.quantity
        bad = np.isinf(table) | (np.isnan(table) & complete)
        if bad.any():
            place = _first(bad)
            what = "is infinite" if np.isinf(table[place]) else "is set to what is not a real number"
            hint = "Every value must be a finite number, of at most 1.8e308 in size."
            if np.isnan(table[place]):
                hint = "Roots and logarithms are of numbers that are not negative, and a divisor is not zero."
            self.names.error("M033", f"{entry_name(quantity, place)} {what}", stated.node(place), hint)
        if self.names.index_valued(quantity) is not None:
            return
        domain = quantity.domain
        low = (table <= domain.lower) if domain.lower_open else (table < domain.lower)
        high = (table >= domain.upper) if domain.upper_open else (table > domain.upper)
        outside = (low | high) & ~bad
        if outside.any():
            place, count = _first(outside), int(outside.sum())
            more = f" (and {count - 1} more)" if count > 1 else ""
            node = stated.node(place)
            whence = ", given from outside the file," if node is None else ""
            value = f"{number_text(float(table[place]))}{more}{whence}"
            message = f"{entry_name(quantity, place)} = {value} is outside its declared range {domain}"
            self.names.error("M034", message, node, "Correct the value, or the range in the declaration.")


@dataclass(frozen=True, slots=True)
class Stated:
    """Where the entries of a table were given, for messages: by a whole value, then singly; None for from outside."""

    quantity: Quantity
    parts: list[tuple[tuple[int, ...], tree.Node | None]] = field(default_factory=list)

    def add(self, place: tuple[int, ...], node: tree.Node | None) -> None:
        """The entries whose places begin with `place` are now given by `node`."""
        self.parts.append((place, node))

    def node(self, place: tuple[int, ...]) -> tree.Node | None:
        """What gives the entry at `place`; None if it comes from outside the text."""
        start, node = next((s, n) for s, n in reversed(self.parts) if place[: len(s)] == s)
        return None if node is None else entry_node(node, self.quantity.sets[len(start) :], place[len(start) :])


def _first(mask: Any) -> tuple[int, ...]:
    return tuple(int(j) for j in np.argwhere(mask)[0])


def entry_name(quantity: Quantity, place: Sequence[int]) -> str:
    """`mu[video, text]` from positions."""
    return entry_text(str(quantity.name), [s.labels[j] for s, j in zip(quantity.sets, place, strict=True)])
