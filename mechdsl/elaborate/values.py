"""Values of params: from a text, a map, a list, a csv file or the seed to an array over labels, every entry accounted
for.

A map must name every label and no other; a list must have the right shape; no entry may be NaN, infinite, or outside
the declared range. Messages name the param and the entry.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mechdsl import syntax_tree as tree
from mechdsl.elaborate.expressions import label_text
from mechdsl.elaborate.labels import labelled
from mechdsl.elaborate.limits import MAX_CSV_BYTES
from mechdsl.errors import Diagnostic, Span, did_you_mean
from mechdsl.evaluate import Array
from mechdsl.formula import IndexSet

__all__ = ["Folder", "Reader", "csv_number", "entry_text"]


_LONG = 60  # characters of a cell that a message quotes
_SHOWN = 5  # mistakes of one data file
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def entry_text(name: str, labels: Sequence[str]) -> str:
    """`mu[video, text]`, or the bare name of a scalar."""
    return f"{name}[{', '.join(labels)}]" if labels else name


def csv_number(text: str) -> float | None:
    """The number in a cell, written as people and programs write numbers; None for what Python alone takes for one."""
    number = float(text) if _NUMBER.fullmatch(text.strip()) else math.inf
    return number if math.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class Folder:
    """The one folder whose files a text may read; None for a text that has no folder."""

    path: Path | None

    def rows(self, name: str, span: Span, most: int) -> list[list[str]] | Diagnostic:
        """The rows of a csv file that hold anything, or what is wrong; reading stops where there are too many."""
        text = self._text(name, span)
        if isinstance(text, Diagnostic):
            return text
        reader = csv.reader(io.StringIO(text))
        found: list[list[str]] = []
        try:
            for row in reader:
                if any(map(str.strip, row)):
                    found.append(row)
                if len(found) > most or reader.line_num > 4 * most + 10_000:
                    message = f"'{name}' has far more rows than it should: at most {most:,} are read"
                    return Diagnostic("M083", message, span, "Leave out what the market does not use.")
        except csv.Error as error:
            message = f"'{name}' is no csv file: {error}, near line {reader.line_num}"
            return Diagnostic("M082", message, span, "Look for a quote that is never closed.")
        return found

    def _text(self, name: str, span: Span) -> str | Diagnostic:
        """The text of a data file in the folder (symbolic links resolved), or what is wrong."""
        if self.path is None:
            return Diagnostic(
                "M080", f"'{name}' cannot be read: this text is in no folder", span, "Save the market as a file."
            )
        root = self.path.resolve()
        try:
            target = (root / name).resolve()
        except (OSError, ValueError, RuntimeError):
            return Diagnostic("M080", f"'{name}' is not the name of a file", span, "Name a csv file.")
        if not target.is_relative_to(root):
            return Diagnostic(
                "M081",
                f"'{name}' lies outside the folder of the market",
                span,
                "Data files must be in the market's own folder or below it; links are followed before this is checked.",
            )
        if not target.is_file():
            others = [p.name for p in itertools.islice(root.glob("*.csv"), 50)]
            near = did_you_mean(name, others) if others else "That folder holds no csv file."
            return Diagnostic("M080", f"there is no file '{name}' in the folder of the market", span, near)
        try:
            return self._read(target, name, span)
        except OSError as error:
            reason = (error.strerror or "it is out of reach").lower()
            return Diagnostic("M080", f"'{name}' cannot be read: {reason}", span, "See whether the file may be read.")

    @staticmethod
    def _read(target: Path, name: str, span: Span) -> str | Diagnostic:
        if target.stat().st_size > MAX_CSV_BYTES:
            return Diagnostic(
                "M083", f"'{name}' is larger than {MAX_CSV_BYTES // 10**6} MB", span, "Use a smaller file."
            )
        try:
            return target.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            return Diagnostic("M082", f"'{name}' is not UTF-8 text", span, "Export it as UTF-8.")


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one param's values: the param's name and sets, how to evaluate an expression, where to report.

    Args:
        number: evaluates an expression at the labels fixed so far, over the sets that remain: (node, positions) ->
            array of shape `sets[len(positions):]`, or None after reporting.
    """

    name: str
    sets: tuple[IndexSet, ...]
    values_in: IndexSet | None
    folder: Folder
    number: Callable[[tree.Expression, tuple[int, ...]], Array | None]
    diagnostics: list[Diagnostic]
    holes: list[tuple[int, ...]] = field(default_factory=list)
    too_deep: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(s) for s in self.sets)

    def read(self, node: tree.Expression) -> tuple[Array, bool]:
        """The whole table, shape `self.shape`, and whether it is complete: entries with something wrong are NaN."""
        table = np.full(self.shape, np.nan)
        return table, self.enter(node, (), table)

    def enter(self, node: tree.Expression, at: tuple[int, ...], table: Array) -> bool:
        """Fill the part of `table` at `at` from what is stated for it; False when anything is wrong with that."""
        before = len(self.diagnostics), len(self.holes)
        self._fill(node, at, table)
        return before == (len(self.diagnostics), len(self.holes))

    def _fill(self, node: tree.Expression, at: tuple[int, ...], table: Array) -> None:
        rest = self.sets[len(at) :]
        match node:
            case tree.Mapping() if rest:
                self._mapping(node, at, table)
            case tree.Sequence() if rest:
                self._sequence(node, at, table)
            case tree.Mapping() | tree.Sequence():
                self._too_deep(node, at)
            case tree.Call(name="csv"):
                self._csv(node, at, table)
            case tree.Name() | tree.String() if self.values_in is not None:
                self._label(node, at, table)
            case tree.Number() if self.values_in is not None:
                self._label(node, at, table)
            case _:
                value = self.number(node, at)
                if value is None:
                    self.holes.append(at)  # reported where the value comes from
                else:
                    table[at] = value

    def _too_deep(self, node: tree.Mapping | tree.Sequence, at: tuple[int, ...]) -> None:
        """A map or list where one number belongs; said of the first alone, for the others are the same mistake."""
        if not self.too_deep:
            indexed = (
                f"is indexed by {_sets_text(self.sets)} alone"
                if self.sets
                else f"has no index: declare it with one, as in {self.name}[k]"
            )
            message = f"'{self._entry(at)}' is one number, here stands a {_kind(node)}"
            self._error("M032", message, node.span, f"'{self.name}' {indexed}.")
        self.too_deep.append(at)

    def _label(self, node: tree.Name | tree.String | tree.Number, at: tuple[int, ...], table: Array) -> None:
        label, values_in = label_text(node), self.values_in
        if values_in is None or label not in values_in.labels:
            labels = values_in.labels if values_in else ()
            name = values_in.name if values_in else ""
            self._error("M015", f"{name} has no label '{label}'", node.span, did_you_mean(label, labels))
        else:
            table[at] = values_in.position(label)

    def _mapping(self, node: tree.Mapping, at: tuple[int, ...], table: Array) -> None:
        called = partial(self._entry, at)
        for position, value in labelled(node, self.sets[len(at)], called, "value", self.diagnostics):
            self._fill(value, (*at, position), table)

    def _sequence(self, node: tree.Sequence, at: tuple[int, ...], table: Array) -> None:
        index_set = self.sets[len(at)]
        if len(node.items) != len(index_set):
            self._error(
                "M032",
                f"'{self._entry(at)}' needs {len(index_set)} values, one for each of {index_set.name}; the list "
                f"has {len(node.items)}",
                node.span,
                f"In order: {_some(index_set.labels)}.",
            )
            return
        for position, item in enumerate(node.items):
            self._fill(item, (*at, position), table)

    # ----------------------------------------------------------------------------------------------------------- csv

    def _csv(self, node: tree.Call, at: tuple[int, ...], table: Array) -> None:
        plain = [a for a in node.arguments if a.name is None and a.key is None]
        column = next((a.value for a in node.arguments if a.name == "column"), None)
        name = plain[0].value if len(plain) == 1 else None
        if not isinstance(name, tree.String) or not (column is None or isinstance(column, tree.String | tree.Name)):
            self._error(
                "M082",
                "csv takes the name of a file, and perhaps a column",
                node.span,
                'Write csv("mu.csv"), or csv("mu.csv", column = "value").',
            )
            return
        rows = self.folder.rows(name.value, name.span, 2 * math.prod(self.shape[len(at) :]) + 100)
        if isinstance(rows, Diagnostic):
            self.diagnostics.append(rows)
            return
        cells = _long(rows, self.sets[len(at) :], column) if rows else None
        if cells is None and rows:
            cells = _wide(rows, self.sets[len(at) :])
        if cells is None:
            self._error(
                "M082",
                f"'{name.value}' is not laid out for {_sets_text(self.sets[len(at) :])}",
                name.span,
                _layout(self.sets[len(at) :]),
            )
            return
        self._cells(list(cells), name.value, name.span, at, table)

    def _cells(self, cells: list[_Cell], file: str, span: Span, at: tuple[int, ...], table: Array) -> None:
        sets = self.sets[len(at) :]
        problems: list[tuple[str, str]] = []
        remedy = "Correct the file."
        seen: set[tuple[int, ...]] = set()
        positions = [{label: j for j, label in enumerate(s.labels)} for s in sets]
        for cell in cells:
            if len(problems) >= _SHOWN:
                break
            where = f"line {cell.line}"
            known = zip(sets, positions, cell.labels, strict=True)
            unknown = [(s, label) for s, places, label in known if label not in places]
            if unknown:
                index_set, label = unknown[0]
                remedies = did_you_mean(label, index_set.labels)
                problems.append((f"{where}: {index_set.name} has no label '{_cut(label)}'", remedies))
                continue
            place = tuple(places[label] for places, label in zip(positions, cell.labels, strict=True))
            value = self._cell_value(cell.text)
            if value is None:
                what = f"label of {self.values_in.name}" if self.values_in else "number"
                problems.append(
                    (f"{where}: '{_cut(cell.text)}' is no {what}, for {self._entry(at, *cell.labels)}", remedy)
                )
            elif place in seen:
                problems.append((f"{where}: {self._entry(at, *cell.labels)} is given twice", remedy))
            else:
                seen.add(place)
                table[(*at, *place)] = value
        missing = math.prod(len(s) for s in sets) - len(seen)
        if not problems and missing:
            first = next(p for p in np.ndindex(*(len(s) for s in sets)) if p not in seen)
            labels = [s.labels[j] for s, j in zip(sets, first, strict=True)]
            more = f" and {missing - 1} more" if missing > 1 else ""
            problems.append((f"no value for {self._entry(at, *labels)}{more}", remedy))
        for problem, hint in problems:
            self._error("M082", f"in '{file}', {problem}", span, hint)

    def _cell_value(self, text: str) -> float | None:
        if self.values_in is not None:
            return float(self.values_in.position(text)) if text in self.values_in.labels else None
        return csv_number(text)

    # ------------------------------------------------------------------------------------------------------ messages

    def _entry(self, at: tuple[int, ...], *labels: str) -> str:
        fixed = [s.labels[j] for s, j in zip(self.sets, at, strict=False)]
        return entry_text(self.name, [*fixed, *labels])

    def _error(self, code: str, message: str, span: Span, hint: str) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, hint))


@dataclass(frozen=True, slots=True)
class _Cell:
    labels: tuple[str, ...]
    text: str
    line: int


def _long(rows: list[list[str]], sets: tuple[IndexSet, ...], column: Any) -> Iterator[_Cell] | None:
    """Long form: a column named for each index set, and one of values (named `column`, or the only other one)."""
    header = [cell.strip() for cell in rows[0]]
    if not all(s.name in header for s in sets) or len({s.name for s in sets}) != len(sets):
        return None
    keys = [header.index(s.name) for s in sets]
    others = [j for j in range(len(header)) if j not in keys]
    if column is not None:
        wanted = label_text(column)
        if wanted not in header:
            return None
        value = header.index(wanted)
    elif len(others) == 1:
        value = others[0]
    else:
        return None
    body = rows[1:]
    if any(len(row) <= max(*keys, value) for row in body):
        return None
    return (_Cell(tuple(row[j].strip() for j in keys), row[value].strip(), n + 2) for n, row in enumerate(body))


def _wide(rows: list[list[str]], sets: tuple[IndexSet, ...]) -> Iterator[_Cell] | None:
    """First column the first index; two indices: the header holds the second."""
    if len(sets) == 1:
        body = rows if rows[0][0].strip() in sets[0].labels else rows[1:]
        if any(len(row) != 2 for row in body):
            return None
        offset = len(rows) - len(body) + 1
        return (_Cell((row[0].strip(),), row[1].strip(), n + offset) for n, row in enumerate(body))
    if len(sets) != 2:
        return None
    header = [cell.strip() for cell in rows[0][1:]]
    if any(len(row) != len(header) + 1 for row in rows[1:]):
        return None
    return (
        _Cell((row[0].strip(), label), cell.strip(), n + 2)
        for n, row in enumerate(rows[1:])
        for label, cell in zip(header, row[1:], strict=True)
    )


def _layout(sets: tuple[IndexSet, ...]) -> str:
    """How a csv file for these index sets may be laid out."""
    columns = " and ".join(f"'{s.name}'" for s in sets)
    named = f"name the columns: {columns} for the labels, and column = ... for the values where there are several"
    match sets:
        case ():
            return "A single number is written in the text itself."
        case (only,):
            return f"Write two columns, a label of {only.name} and its value; or {named}."
        case (first, second):
            table = f"a label of {first.name} before each row and of {second.name} above each column"
            return f"Write a table, {table}; or {named}."
        case _:
            return f"{named[0].upper()}{named[1:]}."


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def _kind(node: tree.Node) -> str:
    return "map" if isinstance(node, tree.Mapping) else "list"


def _sets_text(sets: Sequence[IndexSet]) -> str:
    return " and ".join(s.name for s in sets) or "nothing"


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:8]) + (", ..." if len(labels) > 8 else "")
