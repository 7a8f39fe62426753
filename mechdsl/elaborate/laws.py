"""Distribution expressions of a text -> `Distribution` values, one for each label.

`type c[k] ~ {video: normal(0, 1) on [0, 10], text: uniform(0, d[k])}`: maps by label, arguments that are data
(indexed or not), truncation, mixtures, densities, data files. What a family refuses is reported at the argument it
refuses.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from mechdsl import syntax_tree as tree
from mechdsl.distributions import FAMILIES, Distribution, DistributionError, density, empirical, mixture
from mechdsl.elaborate.expressions import DATA, Resolver, Scope, label_text, unresolved
from mechdsl.elaborate.values import Folder, entry_text
from mechdsl.errors import Diagnostic, did_you_mean
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Letter, Quantity, quantities, rename_letters

if TYPE_CHECKING:
    from mechdsl.elaborate.names import RegimeNames

__all__ = ["Laws"]

_SPECIAL = ("mixture", "density", "empirical")


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
        for law in laws:
            if not law.bounded:
                self._error(
                    "M041",
                    f"the support of '{name}' is not finite: {law}",
                    node,
                    "Truncate it: normal(m, s) on [a, b]. The highest cost enters every payment.",
                )
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
        before = len(self.diagnostics)
        self._fill(name, node, letters, (), table)
        return tuple(table.ravel()) if len(self.diagnostics) == before else None

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
        for place in np.ndindex(*(len(a.index_set) for a in rest)):
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
            self._error("M032", f"'{name}' has no further index to map", node, "Write one distribution.")
            return
        index_set = letters[len(at)].index_set
        seen: set[str] = set()
        for label_node, value in node.entries:
            label = label_text(label_node)
            if label not in index_set.labels:
                self._error(
                    "M031",
                    f"{index_set.name} has no label '{label}'",
                    label_node,
                    did_you_mean(label, index_set.labels),
                )
            elif label in seen:
                self._error("M039", f"{entry_text(name, [label])} is given twice", label_node, "Remove one of the two.")
            else:
                seen.add(label)
                self._fill(name, value, letters, (*at, index_set.position(label)), table)
        missing = [label for label in index_set.labels if label not in seen]
        if missing:
            names = ", ".join(entry_text(name, [label]) for label in missing[:5])
            self._error("M030", f"no distribution for {names}", node, f"Every label of {index_set.name} needs one.")

    # ---------------------------------------------------------------------------- one distribution expression, all
    # labels

    def _blueprint(
        self, node: tree.Expression, letters: tuple[Letter, ...], fixed: dict[Letter, sp.Expr]
    ) -> _Blueprint | None:
        """The call with its arguments evaluated over the letters not fixed."""
        truncated = isinstance(node, tree.Truncated)
        call = node.distribution if isinstance(node, tree.Truncated) else node
        if not isinstance(call, tree.Call):
            self._error(
                "M012", "a distribution is expected here", node, f"Known here: {', '.join((*FAMILIES, *_SPECIAL))}."
            )
            return None
        if call.name not in FAMILIES and call.name not in _SPECIAL:
            self._error(
                "M012", f"unknown distribution '{call.name}'", call, did_you_mean(call.name, (*FAMILIES, *_SPECIAL))
            )
            return None
        support: tuple[Array, Array] | None = None
        if truncated:
            assert isinstance(node, tree.Truncated)
            ends = [self._number(e, letters, fixed) for e in (node.support.lower, node.support.upper)]
            if ends[0] is None or ends[1] is None:
                return None
            support = (ends[0], ends[1])
        match call.name:
            case "mixture":
                return self._mixture(call, node, support, letters, fixed)
            case "density":
                return self._density(call, node, support, letters, fixed)
            case "empirical":
                return self._empirical(call, node, support)
        family = FAMILIES[call.name]
        plain = [a for a in call.arguments if a.name is None and a.key is None]
        if len(plain) != len(call.arguments) or len(plain) != len(family.parameters):
            self._error(
                "M040",
                f"{call.name} takes {len(family.parameters)} argument{'s' if len(family.parameters) != 1 else ''}: "
                f"{call.name}({', '.join(family.parameters)})",
                call,
                "",
            )
            return None
        values = [self._number(a.value, letters, fixed) for a in plain]
        if any(v is None for v in values):
            return None
        return _Blueprint(call, node, [v for v in values if v is not None], support, family.build)

    def _mixture(
        self,
        call: tree.Call,
        node: tree.Expression,
        support: Any,
        letters: tuple[Letter, ...],
        fixed: dict[Letter, sp.Expr],
    ) -> _Blueprint | None:
        if not call.arguments or any(a.key is None for a in call.arguments):
            self._error(
                "M040",
                "mixture takes weight: distribution pairs",
                call,
                "mixture(0.3: uniform(0, 1), 0.7: uniform(1, 2)).",
            )
            return None
        weights = [self._number(a.key, letters, fixed) for a in call.arguments if a.key is not None]
        parts = [self._blueprint(a.value, letters, fixed) for a in call.arguments]
        if any(w is None for w in weights) or any(p is None for p in parts):
            return None

        def build(numbers: Sequence[Fraction | float], on: Any, place: tuple[int, ...] = ()) -> Distribution:
            laws = [self._built(p, place) for p in parts if p is not None]
            if any(law is None for law in laws):
                raise _ReportedError
            return mixture(tuple(zip(numbers, [law for law in laws if law is not None], strict=True)), on)

        return _Blueprint(call, node, [w for w in weights if w is not None], support, build, nested=True)

    def _density(
        self,
        call: tree.Call,
        node: tree.Expression,
        support: Any,
        letters: tuple[Letter, ...],
        fixed: dict[Letter, sp.Expr],
    ) -> _Blueprint | None:
        argument = call.arguments[0] if len(call.arguments) == 1 else None
        if argument is None or not isinstance(argument.key, tree.Name) or support is None:
            self._error(
                "M040",
                "density takes a variable and an expression in it, on an interval",
                call,
                "density(c: 1 + c) on [0, 1].",
            )
            return None
        variable = Quantity(argument.key.id, (), "density variable")
        names = _WithVariable(self.names, variable)
        formula = Resolver(names, self.diagnostics).formula(
            argument.value, Scope({a.name: a for a in letters}, DATA | {"density variable"}, "a distribution")
        )
        if unresolved(formula):
            return None
        formula = rename_letters(formula, fixed)
        rest = tuple(a for a in letters if a not in fixed)
        values = self._values(formula, {variable})
        if values is None:
            return None

        def build(numbers: Sequence[Fraction | float], on: Any, place: tuple[int, ...] = ()) -> Distribution:
            at = rename_letters(formula, {a: sp.Integer(j) for a, j in zip(rest, place, strict=True)})
            exact = at.xreplace({e: sp.Float(float(evaluate(e, values))) for e in _data_entries(at, variable)})
            symbol = sp.Symbol("c", real=True)
            return density(
                lambda c: evaluate(at, {**values, variable: np.asarray(c)}),
                exact.xreplace({variable: symbol}),
                symbol,
                on,
            )

        return _Blueprint(call, node, [], support, build, nested=True)

    def _empirical(self, call: tree.Call, node: tree.Expression, support: Any) -> _Blueprint | None:
        plain = [a.value for a in call.arguments if a.name is None and a.key is None]
        column = next((a.value for a in call.arguments if a.name == "column"), None)
        if (
            len(plain) != 1
            or not isinstance(plain[0], tree.String)
            or not (column is None or isinstance(column, tree.String | tree.Name))
        ):
            self._error(
                "M040", 'empirical takes a file and a column: empirical("costs.csv", column = "cost")', call, ""
            )
            return None
        text = self.folder.open(plain[0].value, call.span)
        if isinstance(text, Diagnostic):
            self.diagnostics.append(text)
            return None
        numbers = self._column(text, plain[0].value, None if column is None else label_text(column), call)
        if numbers is None:
            return None
        source = f'"{plain[0].value}"' + (f', column = "{label_text(column)}"' if column is not None else "")
        return _Blueprint(call, node, [], support, lambda _, on: empirical(numbers, source))

    def _column(self, text: str, file: str, column: str | None, call: tree.Call) -> Array | None:
        rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
        header = [cell.strip() for cell in rows[0]] if rows else []
        if column is None and len(header) == 1:
            column = header[0]
        if column is None or column not in header:
            self._error("M082", f"'{file}' has no column '{column or ''}'", call, did_you_mean(column or "", header))
            return None
        place = header.index(column)
        numbers = []
        for line, row in enumerate(rows[1:], start=2):
            try:
                numbers.append(float(row[place]))
            except (ValueError, IndexError):
                self._error(
                    "M082", f"in '{file}', line {line}: no number in column '{column}'", call, "Correct the file."
                )
                return None
        return np.array(numbers)

    def _number(self, node: tree.Expression, letters: tuple[Letter, ...], fixed: dict[Letter, sp.Expr]) -> Array | None:
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
            table = self.names.data(str(quantity.name))
            if table is None:
                return None
            values[quantity] = table
        return values

    def _built(self, blueprint: _Blueprint, place: tuple[int, ...]) -> Distribution | None:
        numbers = tuple(_exact(v[place]) for v in blueprint.arguments)
        support = None if blueprint.support is None else tuple(_exact(end[place]) for end in blueprint.support)
        try:
            return blueprint.build(numbers, support, place) if blueprint.nested else blueprint.build(numbers, support)
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

    def _error(self, code: str, message: str, node: tree.Node, hint: str) -> None:
        self.diagnostics.append(Diagnostic(code, message, node.span, hint))


def _exact(value: Any) -> Fraction | float:
    """The number as a text would write it, exactly: 0.1 is 1/10. Infinities and NaN stay floats."""
    number = float(value)
    return Fraction(repr(number)) if math.isfinite(number) else number


class _ReportedError(Exception):
    """A part of a mixture was refused and has been reported."""


@dataclass(frozen=True, slots=True)
class _Blueprint:
    """A distribution call with its arguments as arrays over labels, and how to build it from the numbers at one
    label.
    """

    call: tree.Call
    node: tree.Expression
    arguments: list[Array]
    support: tuple[Array, Array] | None
    build: Any
    nested: bool = False


@dataclass(frozen=True, slots=True)
class _WithVariable:
    """The regime's names, with a density's own variable in front."""

    names: RegimeNames
    variable: Quantity

    def kind(self, name: str) -> str | None:
        return "density variable" if name == self.variable.name else self.names.kind(name)

    def quantity(self, name: str, span: Any) -> Quantity | None:
        return self.variable if name == self.variable.name else self.names.quantity(name, span)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.names, name)


def _data_entries(formula: sp.Basic, variable: Quantity) -> set[sp.Expr]:
    from mechdsl.formula import entries

    return {e for e in entries(formula) if e != variable}
