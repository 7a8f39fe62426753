"""The reported types: the file's `report` statements and entries from outside (`--at`), complete and within their
supports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from mechdsl import syntax_tree as tree
from mechdsl.distributions import Distribution
from mechdsl.elaborate.names import RegimeNames
from mechdsl.elaborate.tables import Override, Stated, entry_name
from mechdsl.elaborate.wording import ROLES, number_text
from mechdsl.errors import Span, did_you_mean
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.market import Declaration

__all__ = ["report_tables"]


def report_tables(
    names: RegimeNames, declarations: Mapping[str, Declaration], given: Sequence[Override]
) -> Mapping[Quantity, Array] | None:
    """Type -> reported values; None where the file and the command say nothing."""
    types = {n: d.quantity for n, d in declarations.items() if d.quantity.role == "type"}
    stated: dict[Quantity, Stated] = {}
    tables = _from_the_file(names, declarations, types, stated)
    for one in given:
        _enter(names, one, types, tables, stated)
    for quantity, table in tables.items():
        _check_support(names, table, stated[quantity])
    if not tables:
        return None
    for quantity in types.values():
        tables.setdefault(quantity, np.full(quantity.shape, np.nan))
    _check_complete(names, tables)
    return MappingProxyType(tables)


def _from_the_file(
    names: RegimeNames,
    declarations: Mapping[str, Declaration],
    types: Mapping[str, Quantity],
    stated: dict[Quantity, Stated],
) -> dict[Quantity, Array]:
    tables: dict[Quantity, Array] = {}
    lines: dict[str, int] = {}
    for statement in (s for s in names.statements if isinstance(s, tree.ReportStatement)):
        name = statement.name.id
        quantity = types.get(name)
        if name in lines:
            message = f"a report of '{name}' is already given, in line {lines[name]}"
            names.error(
                "M011", message, statement.name, "Keep one of the two; a regime may have its own if the file has none."
            )
            continue
        lines[name] = statement.span.line
        if quantity is None:
            if names.kind(name) != "type":  # a type that is missing here has been reported at its declaration
                _no_type(names, name, statement.name, types)
            continue
        tables[quantity], _ = names.tables.reader(name, quantity, declarations[name].letters).read(statement.value)
        stated[quantity] = Stated(quantity, [((), statement.value)])
    return tables


def _no_type(names: RegimeNames, name: str, node: tree.Node | None, types: Mapping[str, Quantity]) -> None:
    kind = names.kind(name)
    what = "" if kind is None else f" but {ROLES[kind]}"
    names.error("M010", f"'{name}' is no private type{what}", node, did_you_mean(name, types))


def _enter(
    names: RegimeNames,
    given: Override,
    types: Mapping[str, Quantity],
    tables: dict[Quantity, Array],
    stated: dict[Quantity, Stated],
) -> None:
    quantity = types.get(given.name)
    if quantity is None:
        if names.kind(given.name) != "type":
            _no_type(names, given.name, None, types)
        return
    place = names.place(quantity, given.labels, None)
    if place is None:
        return
    if isinstance(given.value, str):
        message = f"a report of '{given.name}' is a number, and '{given.value}' is given from outside the file"
        names.error("M032", message, None, f"Write {'.'.join((given.name, *given.labels))}=0.5, say.")
        return
    table = np.array(tables.get(quantity, np.full(quantity.shape, np.nan)))
    table[place] = given.value
    tables[quantity] = table
    stated.setdefault(quantity, Stated(quantity)).add(place, None)


def _check_support(names: RegimeNames, table: Array, stated: Stated) -> None:
    """Every report within its support; entries that one number gives are one mistake."""
    quantity = stated.quantity
    places = zip(names.laws(str(quantity.name)), np.ndindex(*quantity.shape), strict=True)
    outside = [(law, at) for law, at in places if table[at] < law.lower or table[at] > law.upper]
    by_node: dict[Span | None, list[tuple[Distribution, tuple[int, ...]]]] = {}
    for law, at in outside:
        node = stated.node(at)
        by_node.setdefault(node.span if node else None, []).append((law, at))
    for span, found in by_node.items():
        law, at = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        entry = f"{entry_name(quantity, at)} = {number_text(float(table[at]))}{more}"
        support = f"[{number_text(law.lower)}, {number_text(law.upper)}]"
        hint = f"It is drawn from {law}: report a value that can occur."
        names.error("M038", f"the report {entry} is outside its support {support}", span, hint)


def _check_complete(names: RegimeNames, tables: Mapping[Quantity, Array]) -> None:
    if any(d.severity == "error" for d in names.diagnostics):
        return
    missing = [entry_name(q, tuple(int(j) for j in p)) for q, t in tables.items() for p in np.argwhere(np.isnan(t))]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        hint = "Report every type, or none (then the means are used)."
        stated = next((s for s in names.statements if isinstance(s, tree.ReportStatement)), None)
        names.error("M037", f"the report says nothing of {shown}", stated, hint)
