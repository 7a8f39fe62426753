"""Distribution expressions of a text -> `Distribution` values, one for each label.

`type c[k] ~ {video: normal(0, 1) on [0, 10], text: uniform(0, d[k])}`: maps by label, arguments that are data
(indexed or not), truncation, mixtures, densities, data files. What a family refuses is reported at the argument it
refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import sympy as sp

from mechdsl import syntax_tree as tree
from mechdsl.distributions import Distribution, DistributionError, Family
from mechdsl.elaborate.expressions import DATA, Resolver, Scope, label_text, unresolved
from mechdsl.elaborate.labels import labelled
from mechdsl.elaborate.limits import MAX_LAWS, MAX_OBSERVATIONS
from mechdsl.elaborate.places import entry_node
from mechdsl.elaborate.values import Folder, csv_number, entry_text
from mechdsl.elaborate.wording import LAWS, here
from mechdsl.errors import Diagnostic, Span, did_you_mean
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import IndexSet, Letter, Quantity, derivative, entries, letters_of, quantities, rename_letters

if TYPE_CHECKING:
    from mechdsl.distributions.density import DensityFormula
    from mechdsl.elaborate.names import RegimeNames

__all__ = ["Laws"]


@dataclass(frozen=True, slots=True)
class Laws:
    """Builds the distributions of one type or param."""

    names: RegimeNames
    diagnostics: list[Diagnostic]
    folder: Folder

    def of_type(self, name: str, node: tree.Expression, letters: tuple[Letter, ...]) -> tuple[Distribution, ...] | None:
        """One for each label, each with a finite support; None after reporting."""
        laws = self._all(name, node, letters)
        if laws is None:
            return None
        sets = tuple(a.index_set for a in letters)
        for law, place in zip(laws, np.ndindex(*(len(s) for s in sets)), strict=True):
            if not law.bounded:
                entry = entry_text(name, [s.labels[j] for s, j in zip(sets, place, strict=True)])
                message = f"the support of {entry} is not finite: it is drawn from {law}"
                hint = "Truncate it, `... on [a, b]` with finite ends: the highest cost enters the payments."
                stated = entry_node(node, sets, place)
                if isinstance(stated, tree.Truncated):
                    hint = "Give it finite ends: the highest cost enters the payments."
                self._error("M041", message, stated.support if isinstance(stated, tree.Truncated) else stated, hint)
                return None
        return laws

    def of_param(
        self, name: str, node: tree.Expression, letters: tuple[Letter, ...]
    ) -> tuple[Distribution, ...] | None:
        """One for each label; None after reporting."""
        return self._all(name, node, letters)

    def _all(self, name: str, node: tree.Expression, letters: tuple[Letter, ...]) -> tuple[Distribution, ...] | None:
        shape = tuple(len(a.index_set) for a in letters)
        table: np.ndarray[Any, Any] = np.full(shape, None, dtype=object)
        self._fill(name, node, letters, (), table)
        laws = tuple(table.ravel())
        return None if any(law is None for law in laws) else laws

    def _fill(
        self,
        name: str,
        node: tree.Expression,
        letters: tuple[Letter, ...],
        at: tuple[int, ...],
        table: np.ndarray[Any, Any],
    ) -> None:
        if isinstance(node, tree.Mapping):
            self._mapping(name, node, letters, at, table)
            return
        rest = letters[len(at) :]
        fixed = {a: sp.Integer(j) for a, j in zip(letters, at, strict=False)}
        blueprint = self._blueprint(node, letters, fixed)
        if blueprint is None:
            return
        shape = tuple(len(a.index_set) for a in rest)
        if blueprint.same:  # one law serves every label
            table[at] = self._built(blueprint, (0,) * len(shape))
            return
        if math.prod(shape) > MAX_LAWS:
            message = f"'{name}' would have more than {MAX_LAWS:,} different distributions"
            self._error("M090", message, node, "Group what is alike: one distribution can serve many labels.")
            return
        for place in np.ndindex(*shape):
            law = self._built(blueprint, place)
            if law is None:
                return
            table[(*at, *place)] = law

    def _mapping(
        self,
        name: str,
        node: tree.Mapping,
        letters: tuple[Letter, ...],
        at: tuple[int, ...],
        table: np.ndarray[Any, Any],
    ) -> None:
        if len(at) == len(letters):
            message = f"'{self._entry(name, letters, at)}' has one distribution, here stands a map"
            self._error("M032", message, node, "Write one distribution, or declare it with an index.")
            return
        index_set = letters[len(at)].index_set
        called = partial(self._entry, name, letters, at)
        for position, value in labelled(node, index_set, called, "distribution", self.diagnostics):
            self._fill(name, value, letters, (*at, position), table)

    @staticmethod
    def _entry(name: str, letters: tuple[Letter, ...], at: tuple[int, ...], *labels: str) -> str:
        fixed = [a.index_set.labels[j] for a, j in zip(letters, at, strict=False)]
        return entry_text(name, [*fixed, *labels])

    # ------------------------------------------------------------------- one distribution expression, all labels

    def _blueprint(self, node: tree.Expression, letters: tuple[Letter, ...], fixed: _Fixed) -> _Blueprint | None:
        """The call with its arguments evaluated over the letters not fixed, ready to be built at each label."""
        call = node.distribution if isinstance(node, tree.Truncated) else node
        if not isinstance(call, tree.Call):
            hint = f"Known here: {', '.join(self.names.families)}."
            word = node.name if isinstance(node, tree.Subscript) else node.id if isinstance(node, tree.Name) else ""
            if word in self.names.families:
                given = ", ".join(self.names.families[word].parameters) or "..."
                hint = f"Its arguments stand in parentheses: {word}({given}), {self.names.families[word].doc}."
            elif isinstance(node, tree.Number | tree.Name | tree.Subscript):
                hint = f"What is known for certain is point(v). {hint}"
            self._error("M012", "a distribution is expected here", node, hint)
            return None
        family = self.names.families.get(call.name)
        if family is None:
            place = self.names.word(call, call.name)
            hint = did_you_mean(call.name, self.names.families)
            if call.name in LAWS:
                hint = f"Did you mean '{LAWS[call.name]}'? {hint[hint.find('Known') :]}"
            self._error("M012", f"unknown distribution '{call.name}'", place, hint)
            return None
        ends: list[Array] = []
        if isinstance(node, tree.Truncated):
            found = [self._number(e, letters, fixed) for e in (node.support.lower, node.support.upper)]
            ends = [e for e in found if e is not None]
            if len(ends) < 2:
                return None
        take = {"parts": self._parts, "formula": self._formula, "observations": self._observations}
        arguments = take.get(family.takes, self._numbers)(family, call, letters, fixed)
        if arguments is None:
            return None
        return _Blueprint(family, call, node, arguments.at, tuple(ends), arguments.same and _constant(ends))

    def _numbers(
        self, family: Family, call: tree.Call, letters: tuple[Letter, ...], fixed: _Fixed
    ) -> _Arguments | None:
        """`normal(0.5, 0.4)`: numbers, each perhaps different by label."""
        plain = [a for a in call.arguments if a.name is None and a.key is None]
        named = next((a for a in call.arguments if a.name is not None), None)
        if named is not None:
            order = f"{call.name}({', '.join(family.parameters)})"
            hint = f"Its arguments go by their order: {order}, {family.doc}."
            self._error("M040", f"an argument of {call.name} has no name, here it is '{named.name}'", named, hint)
            return None
        if len(plain) != len(call.arguments) or len(plain) != len(family.parameters):
            count = len(family.parameters)
            message = f"{call.name} takes {count} argument{'s' if count != 1 else ''}, {here(len(call.arguments))}"
            self._error("M040", message, call, f"Write {call.name}({', '.join(family.parameters)}): {family.doc}.")
            return None
        found = [self._number(a.value, letters, fixed) for a in plain]
        values = [v for v in found if v is not None]
        if len(values) < len(found):
            return None
        return _Arguments(lambda place: tuple(_exact(v[place]) for v in values), _constant(values))

    def _parts(self, family: Family, call: tree.Call, letters: tuple[Letter, ...], fixed: _Fixed) -> _Arguments | None:
        """`mixture(0.3: D1, 0.7: D2)`: weights and distributions."""
        if not call.arguments or any(a.key is None for a in call.arguments):
            hint = f"Write {call.name}(0.3: uniform(0, 1), 0.7: uniform(1, 2)), say."
            self._error("M040", f"{call.name} takes pairs, weight: distribution", call, hint)
            return None
        weights = [self._number(a.key, letters, fixed) for a in call.arguments if a.key is not None]
        parts = [self._blueprint(a.value, letters, fixed) for a in call.arguments]
        pairs = [(w, p) for w, p in zip(weights, parts, strict=True) if w is not None and p is not None]
        if len(pairs) < len(parts):
            return None

        def at(place: tuple[int, ...]) -> tuple[Any, ...]:
            laws = [self._built(part, place) for _, part in pairs]
            if any(law is None for law in laws):
                raise _ReportedError
            return ([(_exact(w[place]), law) for (w, _), law in zip(pairs, laws, strict=True)],)

        return _Arguments(at, _constant(w for w, _ in pairs) and all(part.same for _, part in pairs))

    def _formula(
        self, family: Family, call: tree.Call, letters: tuple[Letter, ...], fixed: _Fixed
    ) -> _Arguments | None:
        """`density(c: EXPR)`: a formula in a variable of its own, and data."""
        argument = call.arguments[0] if len(call.arguments) == 1 else None
        if argument is None or not isinstance(argument.key, tree.Name):
            message = f"{call.name} takes a variable and an expression in it"
            self._error("M040", message, call, f"Write {call.name}(c: 1 + c) on [0, 1], say.")
            return None
        variable = Quantity(argument.key.id, (), _VARIABLE)
        scope = Scope({a.name: a for a in letters}, DATA | {_VARIABLE}, "a distribution")
        formula = Resolver(_WithVariable(self.names, variable), self.diagnostics).formula(argument.value, scope)
        if unresolved(formula):
            return None
        formula = rename_letters(formula, fixed)
        values = self._values(formula, {variable})
        rest = tuple(a for a in letters if a not in fixed)
        if values is None:
            return None
        return _Arguments(
            lambda place: (_density_formula(formula, variable, values, dict(zip(rest, place, strict=True))),),
            not letters_of(formula),
        )

    def _observations(
        self, family: Family, call: tree.Call, letters: tuple[Letter, ...], fixed: _Fixed
    ) -> _Arguments | None:
        """`empirical("costs.csv", column = "cost")`: a column of a data file."""
        del family, letters, fixed
        plain = [a.value for a in call.arguments if a.name is None and a.key is None]
        column = next((a.value for a in call.arguments if a.name == "column"), None)
        name = plain[0] if len(plain) == 1 else None
        if not isinstance(name, tree.String) or not (column is None or isinstance(column, tree.String | tree.Name)):
            hint = f'Write {call.name}("costs.csv", column = "cost").'
            self._error("M040", f"{call.name} takes a file and a column", call, hint)
            return None
        rows = self.folder.rows(name.value, name.span, MAX_OBSERVATIONS)
        if isinstance(rows, Diagnostic):
            self.diagnostics.append(rows)
            return None
        word = None if column is None else label_text(column)
        numbers = self._column(rows, name.value, word, column or name)
        label = f'{call.name}("{name.value}"' + (f', column = "{word}")' if word is not None else ")")
        return None if numbers is None else _Arguments(lambda place: (tuple(numbers), label), True)

    def _column(self, rows: list[list[str]], file: str, column: str | None, node: tree.Node) -> Array | None:
        header = [cell.strip() for cell in rows[0]] if rows else []
        if column is None and len(header) == 1:
            column = header[0]
        if column is None:
            hint = f"Say which, column = ...; it has {', '.join(header[:12])}." if header else "Correct the file."
            self._error("M082", f"'{file}' has {len(header) or 'no'} columns, and one is wanted", node, hint)
            return None
        if column not in header:
            self._error("M082", f"'{file}' has no column '{column}'", node, did_you_mean(column, header))
            return None
        place = header.index(column)
        numbers = []
        for line, row in enumerate(rows[1:], start=2):
            number = csv_number(row[place]) if place < len(row) else None
            if number is None:
                message = f"in '{file}', line {line}: no number in column '{column}'"
                self._error("M082", message, node, "Correct the file.")
                return None
            numbers.append(number)
        return np.array(numbers)

    def _number(self, node: tree.Expression, letters: tuple[Letter, ...], fixed: _Fixed) -> Array | None:
        scope = Scope({a.name: a for a in letters}, DATA, "a distribution")
        formula = Resolver(self.names, self.diagnostics).formula(node, scope)
        if unresolved(formula):
            return None
        formula = rename_letters(formula, fixed)
        values = self._values(formula, set())
        if values is None:
            return None
        with np.errstate(all="ignore"):
            return evaluate(formula, values, tuple(a for a in letters if a not in fixed))

    def _values(self, formula: sp.Expr, free: set[Quantity]) -> dict[Quantity, Array] | None:
        values: dict[Quantity, Array] = {}
        for quantity in quantities(formula) - free:
            table = self.names.tables.data(str(quantity.name))
            if table is None:
                return None
            values[quantity] = table
        return values

    def _built(self, blueprint: _Blueprint, place: tuple[int, ...]) -> Distribution | None:
        """The distribution at one label; None after reporting what the family refused."""
        support = tuple(_exact(end[place]) for end in blueprint.support)
        try:
            return blueprint.family.build(blueprint.arguments(place), (support[0], support[1]) if support else None)
        except _ReportedError:
            return None
        except DistributionError as error:
            node: tree.Node = blueprint.call
            if error.at_support and isinstance(blueprint.node, tree.Truncated):
                node = blueprint.node.support
            elif error.argument is not None and error.argument < len(blueprint.call.arguments):
                node = blueprint.call.arguments[error.argument]
            self._error("M040", error.message, node, error.hint)
            return None

    def _error(self, code: str, message: str, place: tree.Node | Span, hint: str) -> None:
        self.diagnostics.append(Diagnostic(code, message, place if isinstance(place, Span) else place.span, hint))


_VARIABLE = "density variable"
_Fixed: TypeAlias = Mapping[Letter, sp.Expr]


def _constant(tables: Iterable[Array]) -> bool:
    return all(table.size and bool(np.all(table == table.flat[0])) for table in tables)


@dataclass(frozen=True, slots=True)
class _Arguments:
    """A call's arguments at every label, and whether they are the same at all."""

    at: Callable[[tuple[int, ...]], tuple[Any, ...]]
    same: bool


class _ReportedError(Exception):
    """A part of a mixture was refused and has been reported."""


@dataclass(frozen=True, slots=True)
class _Blueprint:
    """A distribution call whose arguments are known for every label, and the ends of its support, if stated.

    `same`: whether it is the same distribution at every label.
    """

    family: Family
    call: tree.Call
    node: tree.Expression
    arguments: Callable[[tuple[int, ...]], tuple[Any, ...]]
    support: tuple[Array, ...]
    same: bool


@dataclass(frozen=True, slots=True)
class _WithVariable:
    """The regime's names, with a density's own variable in front."""

    names: RegimeNames
    variable: Quantity

    def kind(self, name: str) -> str | None:
        return _VARIABLE if name == self.variable.name else self.names.kind(name)

    def quantity(self, name: str, span: Span) -> Quantity | None:
        return self.variable if name == self.variable.name else self.names.quantity(name, span)

    def let(self, name: str, span: Span) -> tuple[tuple[Letter, ...], sp.Expr, int] | None:
        return self.names.let(name, span)

    def letter(self, name: str) -> Letter | None:
        return self.names.letter(name)

    def statistic(self, kind: str, of: Quantity) -> Quantity:
        return self.names.statistic(kind, of)

    def index_valued(self, quantity: Quantity) -> IndexSet | None:
        return self.names.index_valued(quantity)

    def letters_over(self, index_set: IndexSet) -> tuple[str, ...]:
        return self.names.letters_over(index_set)

    def known(self) -> tuple[str, ...]:
        return (str(self.variable.name), *self.names.known())

    def as_declared(self, name: str) -> str:
        return name if name == self.variable.name else self.names.as_declared(name)

    def elsewhere(self, name: str) -> str | None:
        return self.names.elsewhere(name)

    def letter_remedy(self, name: str) -> str:
        return self.names.letter_remedy(name)

    def word(self, node: tree.Node, word: str) -> Span:
        return self.names.word(node, word)

    def function(self, name: str) -> tuple[tuple[str, ...], tree.Expression] | None:
        return self.names.function(name)

    def functions_of_plugins(self) -> tuple[str, ...]:
        return self.names.functions_of_plugins()


def _density_formula(
    formula: sp.Expr, variable: Quantity, values: Mapping[Quantity, Array], at: Mapping[Letter, int]
) -> DensityFormula:
    """The density with its data put in, at one label, and its slope taken by sympy."""
    from mechdsl.distributions.density import DensityFormula

    here = rename_letters(formula, {a: sp.Integer(j) for a, j in at.items()})
    numbers = {e: sp.Rational(_exact(evaluate(e, values))) for e in entries(here) if e != variable}
    law = here.xreplace(numbers)
    if law.atoms(Quantity) - {variable}:  # a sum over an index set: its data stay inside
        law = here
    slope = derivative(law, variable)

    def vectorised(expression: sp.Expr) -> Callable[[Array], Array]:
        return lambda c: evaluate(expression, {**values, variable: np.asarray(c, dtype=np.float64)})

    return DensityFormula(
        f"{variable.name}: {law}", vectorised(law), vectorised(slope), symbolic=lambda c: law.xreplace({variable: c})
    )


def _exact(value: Any) -> Fraction | float:
    """The number as a text would write it, exactly: 0.1 is 1/10. Infinities and NaN stay floats."""
    number = float(value)
    return Fraction(repr(number)) if math.isfinite(number) else number
