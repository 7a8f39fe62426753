"""Tables in files: csv always, parquet where pyarrow is installed. Rows are written as they come.

A table of rows has one line for every point, regime and draw; a table of findings one for every point and regime.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mechdsl.errors import UsageError
from mechdsl.population.changes import pattern_text
from mechdsl.population.findings import Cell, Findings
from mechdsl.population.moments import PROBABILITIES, Figure
from mechdsl.population.rows import Rows
from mechdsl.population.task import Task

__all__ = ["RowTable", "figure_table", "frame", "row_table", "write_table"]

Table = dict[str, list[Any]]

_WHOLE = ("point", "instance", "draw")


@dataclass(slots=True)
class _Writer:
    """Lines into a file that appears when it is whole."""

    path: Path
    _file: Any = None
    _writer: Any = None
    names: tuple[str, ...] = ()

    @property
    def unfinished(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")

    def add(self, table: Mapping[str, Sequence[Any]]) -> None:
        """Append lines; the first ones say what columns there are."""
        if self._writer is None:
            self.names = tuple(table)
            self._open(table)
        if self.path.suffix == ".parquet":
            self._writer.write_table(_arrow({n: table[n] for n in self.names}, self._writer.schema))
        else:
            self._writer.writerows(zip(*(map(_cell, table[n]) for n in self.names), strict=True))

    def _open(self, table: Mapping[str, Sequence[Any]]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.suffix == ".parquet":
                from pyarrow import parquet

                self._writer = parquet.ParquetWriter(self.unfinished, _arrow(table).schema)
            else:
                self._file = self.unfinished.open("w", newline="", encoding="utf-8")
                self._writer = csv.writer(self._file, lineterminator="\n")
                self._writer.writerow(self.names)
        except OSError as error:
            raise UsageError(f"'{self.path}' cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """The file is whole."""
        if self._writer is not None:
            (self._file if self._file is not None else self._writer).close()
            self.unfinished.replace(self.path)


def checked(path: Path) -> Path:
    """A path that a table can be written to.

    Raises:
        UsageError: no known kind of table, or pyarrow is missing.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError(f"'{path}' is no table: name a .csv or a .parquet file")
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401 - whether it is there
        except ImportError:
            raise UsageError("parquet needs pyarrow: pip install 'mechdsl[tables]', or name a .csv file") from None
    return path


def _arrow(table: Mapping[str, Sequence[Any]], schema: Any = None) -> Any:
    import pyarrow as pa

    made = pa.table({n: pa.array(v, from_pandas=True) for n, v in table.items()})
    return made if schema is None else made.cast(schema)


def _cell(value: Any) -> Any:
    """A number as csv readers take it: no `nan`, seventeen digits where they are needed."""
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return value


class RowTable:
    """Every row of a study, written as it comes: `with RowTable(path, task) as table: findings(..., see=table.add)`.

    Args:
        path: `.csv` or `.parquet`.
        task: whose rows.
    """

    def __init__(self, path: Path, task: Task) -> None:
        self._task = task
        self._writer = _Writer(checked(path))
        self._held: list[Rows] | None = [] if task.axes else None  # labels may differ between points

    def __enter__(self) -> RowTable:
        return self

    def add(self, rows: Rows) -> None:
        """The next part's rows."""
        if self._held is not None:
            self._held.append(rows)
        else:
            self._writer.add(_lines(self._task, rows, tuple(rows.columns)))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        held = self._held or []
        names = tuple(dict.fromkeys(n for rows in held for n in rows.columns))
        for rows in held:
            self._writer.add(_lines(self._task, rows, names))
        self._writer.close()


def row_table(task: Task, parts: Sequence[Rows]) -> Table:
    """Every row of a study in one table."""
    names = tuple(dict.fromkeys(n for rows in parts for n in rows.columns))
    tables = [_lines(task, rows, names) for rows in parts]
    return {n: [v for table in tables for v in table[n]] for n in (tables[0] if tables else ())}


def _lines(task: Task, rows: Rows, names: tuple[str, ...]) -> dict[str, Any]:
    """The rows of a part as lines, regimes and labels by name."""
    columns = {n: rows.columns.get(n, np.full(rows.count, np.nan)) for n in names}
    regimes = np.array(task.regimes)[columns["regime"].astype(np.intp)]
    table: dict[str, Any] = {"regime": regimes.tolist(), **{n: columns[n].astype(np.int64) for n in _WHOLE}}
    labels = {a.address: a for a in task.axes if a.takes}
    shown = {n: [labels[n].stated(x) for x in v] if n in labels else v for n, v in columns.items()}
    return table | {n: v for n, v in shown.items() if n not in table}


def figure_table(found: Findings) -> Table:
    """One line for every point and regime: the mean of every measure, its standard error, quantiles; or the number
    itself where there is one row. In a sweep, what binds, and where that changes on the way to the next point.
    """
    task = found.study.task
    many = task.draws > 0 or task.instances > 1
    table: Table = {a.address: [] for a in task.axes} | {"regime": []}
    lines = [_line(found, cell, many) for cell in found.cells]
    names = list(dict.fromkeys(n for line in lines for n in line))
    table |= {n: [] for n in names}
    for cell, line in zip(found.cells, lines, strict=True):
        for axis, value in zip(task.axes, cell.values, strict=True):
            table[axis.address].append(axis.stated(value))
        table["regime"].append(cell.regime)
        for n in names:
            table[n].append(line.get(n, math.nan))
    return table


def _line(found: Findings, cell: Cell, many: bool) -> dict[str, Any]:
    line: dict[str, Any] = {}
    for name in found.columns():
        figure = cell.figures.get(name)
        if figure is None:
            continue
        if not many:
            line[name] = figure.mean
            continue
        line |= {name: figure.mean, f"{name} error": figure.error}
        line |= {f"{name} {text}": v for text, v in zip(quantile_names(), figure.quantiles, strict=False)}
    line |= {"rows": cell.rows, "certified": cell.certified}
    task = found.study.task
    if task.axes and not many:
        line["binding"] = pattern_text(cell.binding)
        line["changes"] = "; ".join(_next_changes(found, cell))
    return line


def quantile_names() -> tuple[str, ...]:
    """`5%`, `25%`, ..."""
    return tuple(f"{100 * p:g}%" for p in PROBABILITIES)


def _next_changes(found: Findings, cell: Cell) -> Iterator[str]:
    """`d.video = 3.25`: where the binding set changes before the next point on an axis."""
    for change in found.changes:
        if change.regime != cell.regime:
            continue
        axis = found.study.task.axes[change.axis]
        above = min((v for v in axis.values if v > cell.values[change.axis]), default=math.inf)
        same = all(v == w for n, (v, w) in enumerate(zip(change.values, cell.values, strict=True)) if n != change.axis)
        if same and cell.values[change.axis] <= change.values[change.axis] < above:
            yield f"{axis.address} = {change.values[change.axis]:.6g}"


def write_table(path: Path, table: Table) -> None:
    """A table as csv or parquet.

    Raises:
        UsageError: it cannot be written.
    """
    writer = _Writer(checked(path))
    writer.add(table)
    writer.close()


def frame(table: Table) -> Any:
    """The table as a pandas `DataFrame`. Needs pandas."""
    try:
        import pandas as pd
    except ImportError:
        raise ImportError("tables need pandas: pip install 'mechdsl[tables]'") from None
    return pd.DataFrame(table)


def figure_text(figure: Figure) -> str:
    """`-4.8966 ± 0.0012`: as many digits as the error leaves."""
    if math.isnan(figure.mean):
        return "-"
    if math.isnan(figure.error) or figure.error <= 1e-12 * abs(figure.mean):
        return f"{figure.mean:.6g}"
    digits = max(0, min(9, 1 - math.floor(math.log10(figure.error))))
    return f"{figure.mean:.{digits}f} ± {figure.error:.{digits}f}"
