"""The reported types: the file's `report` statements and entries from outside (`--at`), complete and within their
supports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from mechdsl import syntax_tree as tree
from mechdsl.elaborate.names import RegimeNames
from mechdsl.elaborate.tables import Override, entry_name
from mechdsl.errors import did_you_mean
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.market import Declaration

__all__ = ["report_tables"]


def report_tables(
    names: RegimeNames, declarations: Mapping[str, Declaration], given: Sequence[Override]
) -> Mapping[Quantity, Array] | None:
    """Type -> reported values; None where the file and the command say nothing."""
    types = {n: d.quantity for n, d in declarations.items() if d.quantity.role == "type"}
    tables = _stated(names, declarations, types)
    for one in given:
        _enter(names, one, types, tables)
    if not tables:
        return None
    for quantity in types.values():
        tables.setdefault(quantity, np.full(quantity.shape, np.nan))
    _check_complete(names, tables)
    return MappingProxyType(tables)


def _stated(
    names: RegimeNames, declarations: Mapping[str, Declaration], types: Mapping[str, Quantity]
) -> dict[Quantity, Array]:
    tables: dict[Quantity, Array] = {}
    for statement in (s for s in names.statements if isinstance(s, tree.ReportStatement)):
        name = statement.name.id
        quantity = types.get(name)
        if quantity is None:
            if names.kind(name) != "type":  # a type that is missing here has been reported at its declaration
                names.error("M010", f"'{name}' is no private type", statement.name, did_you_mean(name, types))
            continue
        if quantity in tables:
            names.error("M011", f"a report of '{name}' is already given", statement, "Keep one of the two.")
            continue
        table = names.tables.reader(name, quantity, declarations[name].letters).read(statement.value)
        if table is not None:
            _check_support(names, quantity, table, statement.value)
            tables[quantity] = table
    return tables


def _enter(names: RegimeNames, given: Override, types: Mapping[str, Quantity], tables: dict[Quantity, Array]) -> None:
    quantity = types.get(given.name)
    if quantity is None:
        if names.kind(given.name) != "type":
            names.error("M010", f"'{given.name}' is no private type", None, did_you_mean(given.name, types))
        return
    place = names.place(quantity, given.labels, None)
    if place is None:
        return
    table = np.array(tables.get(quantity, np.full(quantity.shape, np.nan)))
    table[place] = given.value
    tables[quantity] = table
    _check_support(names, quantity, table, None)


def _check_support(names: RegimeNames, quantity: Quantity, table: Array, node: tree.Node | None) -> None:
    for law, place in zip(names.laws(str(quantity.name)), np.ndindex(*quantity.shape), strict=True):
        value = table[place]
        if not np.isnan(value) and not law.lower <= value <= law.upper:
            names.error(
                "M038",
                f"the report {entry_name(quantity, place)} = {value:g} is outside its support "
                f"[{law.lower:g}, {law.upper:g}]",
                node,
                f"It is drawn from {law}.",
            )


def _check_complete(names: RegimeNames, tables: Mapping[Quantity, Array]) -> None:
    if any(d.severity == "error" for d in names.diagnostics):
        return
    missing = [entry_name(q, tuple(int(j) for j in p)) for q, t in tables.items() for p in np.argwhere(np.isnan(t))]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        names.error(
            "M037", f"the report says nothing of {shown}", None, "Report every type, or none (then the means are used)."
        )
