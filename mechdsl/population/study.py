"""What to vary, draw, tabulate and plot: an `experiment` of the file, or the same words on the command line.

A `Study` is checked whole before anything is computed, so that no hour of work ends in a misspelt figure.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from mechdsl import syntax
from mechdsl import syntax_tree as tree
from mechdsl.elaborate.expressions import label_text
from mechdsl.elaborate.measures import OutcomeWord, measure
from mechdsl.elaborate.places import walk
from mechdsl.errors import Diagnostic, MechError, UsageError, did_you_mean
from mechdsl.market import Model
from mechdsl.overrides import constant
from mechdsl.population.task import SEED, GridAxis, Task

__all__ = [
    "FIGURES",
    "Plot",
    "Study",
    "data_files",
    "data_hash",
    "experiment_study",
    "fits",
    "grid",
    "measures_of",
    "plots_of",
    "study",
]

MOST_POINTS = 1_000_000

LONGEST_NAME = 80
MOST_TRACED = 10_000

FIGURES = {
    "heatmap": "two params varied",
    "box": "draws",
    "trace": f"2 to {MOST_TRACED:,} draws of one market",
    "line": "a param varied",
    "bar": "nothing further",
}
"""Figure -> what it needs. `lines` and `bars` are other words for two of them."""


@dataclass(frozen=True, slots=True)
class Plot:
    """`heatmap(x[sports])`: a figure and what it shows."""

    kind: str
    measures: tuple[str, ...]

    @property
    def name(self) -> str:
        """For the name of a file: `heatmap_x_sports`; a long one is cut, and stays different from others."""
        text = "_".join((self.kind, *self.measures))
        name = "_".join("".join(c if c.isalnum() else " " for c in text).split())
        if len(name) <= LONGEST_NAME:
            return name
        return f"{name[: LONGEST_NAME - 9]}_{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Study:
    """A task, and what is to be shown of it.

    Args:
        name, title: of the experiment; the market's where it is none.
        table: the measures to tabulate; () for everything an outcome says.
        plots: in the order stated.
        types: names of the private types.
        paired: measures that say the same beside every regime, such as `revenue(M1) - revenue(M2)`.
    """

    name: str
    title: str
    task: Task
    table: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    types: frozenset[str] = frozenset()
    paired: frozenset[str] = frozenset()

    @property
    def traced(self) -> tuple[str, ...]:
        """What is shown draw by draw."""
        return tuple(dict.fromkeys(m for p in self.plots if p.kind == "trace" for m in p.measures))


def study(task: Task, model: Model, name: str, title: str, table: Sequence[str], plots: Sequence[Plot]) -> Study:
    """A study, checked: its measures have a meaning in every regime, its figures suit its grid.

    Raises:
        MechError: a measure has none.
        UsageError: a figure that cannot be drawn.
    """
    measures = tuple(dict.fromkeys((*table, *(m for p in plots for m in p.measures))))
    words = set()
    paired = set()
    for text in measures:
        node = syntax.parse_expression(text)
        reads = []
        for regime in task.regimes:
            market = model.markets[regime]
            reads.append(measure(node, market, task.regimes, replace(market.source, name=f"'{text}'", text=text)))
        words |= {word.word for read in reads for _, word in read.words if isinstance(word, OutcomeWord)}
        if all(read.words and not read.own for read in reads):
            paired.add(text)
    for plot in plots:
        fits(plot, task)
    money = bool(task.draws) or not measures or bool(words - {"welfare"})
    types = frozenset(t.name for regime in task.regimes for t in model.markets[regime].types)
    stated = replace(task, measures=measures, money=money)
    return Study(name, title, stated, tuple(table), tuple(plots), types, frozenset(paired))


def experiment_study(experiment: tree.ExperimentStatement, model: Model, task: Task) -> Study:
    """The study an experiment states, on top of the task that the command line states.

    Args:
        experiment: as parsed.
        model: the file.
        task: the text with what was given from outside; the experiment's own regimes, draws and seed replace it.

    Raises:
        MechError: an item has no meaning in the market.
        UsageError: a figure that cannot be drawn, a grid too large.
    """
    text = model.source.text
    counts: dict[str, int] = {}
    regimes: tuple[str, ...] = ()
    axes: list[GridAxis] = []
    table: list[str] = []
    plots: list[Plot] = []
    for item in experiment.items:
        match item:
            case tree.CountItem():
                counts[item.keyword] = _count(item, model)
            case tree.RegimesItem():
                regimes += tuple(n.id for n in item.names)
            case tree.VaryItem():
                axes += grid(item.axes, model)
            case tree.TableItem():
                table += [_text(node, text) for node in item.columns]
            case tree.PlotItem():
                plots.append(_plot(item.figure, lambda node: _text(node, text)))
    stated = replace(
        task,
        regimes=tuple(r for r in task.regimes if not regimes or r in regimes),
        axes=(*task.axes, *axes),
        instances=counts.get("instances", 1),
        draws=counts.get("draws", 0),
        seed=counts.get("seed", task.seed),
    )
    return study(stated, model, experiment.name.id, experiment.title or experiment.name.id, table, plots)


def _count(item: tree.CountItem, model: Model) -> int:
    number = constant(item.value, _text(item.value, model.source.text))
    least = 0 if item.keyword == "seed" else 1
    if number.denominator != 1 or number < least:
        hint = f"Write {item.keyword} {max(least, round(number))}."
        message = f"'{item.keyword}' takes a whole number from {least}"
        raise MechError([Diagnostic("M032", message, item.span, hint)], model.source)
    return int(number)


def grid(axes: Iterable[tree.Axis], model: Model) -> tuple[GridAxis, ...]:
    """The axes of `vary`, their values written out.

    Raises:
        UsageError: a range without end or values, an address that is none, a grid too large.
    """
    found = tuple(_axis(axis, model) for axis in axes)
    count = math.prod(len(a.values) for a in found)
    if sum(a.is_seed for a in found) > 1:
        raise UsageError("the seed is varied twice")
    if count > MOST_POINTS:
        raise UsageError(f"the grid has {count:,} points, and the limit is {MOST_POINTS:,}: take larger steps")
    return found


def _axis(axis: tree.Axis, model: Model) -> GridAxis:
    name, *labels = axis.path
    address = ".".join(axis.path)
    market = next(iter(model.markets.values()))
    declared = market.declarations.get(name)
    if declared is None and axis.path == (SEED,):
        return GridAxis(SEED, (), _seeds(_values(axis.values, address)), is_seed=True)
    if declared is None or declared.quantity.role != "param":
        params = [n for n, d in market.declarations.items() if d.quantity.role == "param"]
        raise UsageError(f"'{name}' is no param. {did_you_mean(name, params)}")
    for label, index_set in zip(labels, declared.quantity.sets, strict=False):
        if label not in index_set.labels:
            raise UsageError(f"{index_set.name} has no label '{label}'. {did_you_mean(label, index_set.labels)}")
    if len(labels) > len(declared.quantity.sets):
        raise UsageError(f"'{address}' has more labels than {name} has indices")
    if declared.values_in is not None:
        return _labelled(axis, declared.values_in.labels)
    values = _values(axis.values, address)
    if not values:
        raise UsageError(f"'{address}' takes no value: the range is empty")
    return GridAxis(name, tuple(labels), values)


def _seeds(values: tuple[float, ...]) -> tuple[float, ...]:
    """Whole numbers from 0."""
    if not values or any(v < 0 or v != int(v) for v in values):
        raise UsageError("seeds are whole numbers from 0: vary seed in 1..10")
    return values


def _labelled(axis: tree.Axis, known: tuple[str, ...]) -> GridAxis:
    """An axis whose values are labels."""
    name, *labels = axis.path
    nodes = axis.values.labels if isinstance(axis.values, tree.LabelSet) else ()
    if isinstance(axis.values, tree.Sequence):
        nodes = tuple(n for n in axis.values.items if isinstance(n, tree.Name | tree.String | tree.Number))
    given = [label_text(node) for node in nodes]
    for label in given:
        if label not in known:
            raise UsageError(f"'{name}' takes labels, and '{label}' is none of them. {did_you_mean(label, known)}")
    if not given:
        raise UsageError(f"'{name}' takes labels: name them, {name} in {{{', '.join(known[:2])}}}")
    return GridAxis(name, tuple(labels), tuple(float(known.index(label)) for label in given), known)


def _values(node: tree.Range | tree.LabelSet | tree.Sequence, address: str) -> tuple[float, ...]:
    match node:
        case tree.Range():
            first, last = constant(node.first, address), constant(node.last, address)
            by = constant(node.by, address) if node.by is not None else Fraction(1)
            if by == 0 or (last - first) / by < 0:
                raise UsageError(f"the range of '{address}' does not end: its step leads away from its end")
            count = int((last - first) / by) + 1
            if count > MOST_POINTS:
                raise UsageError(f"the range of '{address}' has {count:,} values: take a larger step")
            return tuple(float(first + n * by) for n in range(count))
        case tree.LabelSet():
            return tuple(_number(label_text(label), address) for label in node.labels)
        case _:
            return tuple(float(constant(item, address)) for item in node.items)


def _number(text: str, address: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"'{address}' takes numbers, and '{text}' is none") from None


def plots_of(texts: Iterable[str]) -> tuple[Plot, ...]:
    """`heatmap(x[video])`, as given on the command line.

    Raises:
        UsageError: it does not read so.
    """
    found = []
    for text in texts:
        try:
            node = syntax.parse_expression(text)
        except MechError as error:
            raise UsageError(f"'{text}' does not read as a figure: {error.diagnostics[0].message}") from None
        if not isinstance(node, tree.Call):
            raise UsageError(f"'{text}' is no figure: write one of {', '.join(f'{k}(revenue)' for k in FIGURES)}")
        source = text
        found.append(_plot(node, lambda inner, source=source: _text(inner, source)))  # type: ignore[misc]
    return tuple(found)


def measures_of(texts: Iterable[str]) -> tuple[str, ...]:
    """`revenue, x[video]`, as given on the command line: the measures, one by one.

    Raises:
        UsageError: it does not read so.
    """
    found: list[str] = []
    for text in texts:
        listed = f"[{text}]"
        try:
            node = syntax.parse_expression(listed)
        except MechError as error:
            raise UsageError(f"'{text}' does not read as expressions: {error.diagnostics[0].message}") from None
        items = node.items if isinstance(node, tree.Sequence) else ()
        found += [_text(item, listed) for item in items]
    return tuple(found)


def _plot(figure: tree.Call, text: Callable[[tree.Node], str]) -> Plot:
    kind = {"bars": "bar", "lines": "line"}.get(figure.name, figure.name)
    if kind not in FIGURES:
        raise UsageError(f"there is no figure '{figure.name}'. {did_you_mean(figure.name, FIGURES)}")
    if not figure.arguments:
        raise UsageError(f"{figure.name}() shows nothing: write {figure.name}(revenue)")
    return Plot(kind, tuple(text(a.value) for a in figure.arguments))


def fits(plot: Plot, task: Task) -> None:
    """Whether a figure suits what is varied and drawn; raises UsageError where it does not."""
    wide = [axis for axis in task.axes if len(axis.values) > 1]
    drawn = task.draws > 1 or task.instances > 1
    fits = {
        "heatmap": len(wide) == 2,
        "box": drawn,
        "trace": not wide and task.instances == 1 and 1 < task.draws <= MOST_TRACED,
        "line": len(wide) >= 1,
        "bar": True,
    }
    if not fits[plot.kind]:
        shown = f"{plot.kind}({', '.join(plot.measures)})"
        raise UsageError(f"{shown} needs {FIGURES[plot.kind]}; here {_situation(task)}")


def _situation(task: Task) -> str:
    names = [axis.address for axis in task.axes]
    varied = f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} varied" if names else "nothing is varied"
    return f"{varied}, and there are {task.draws or 'no'} draws"


def _text(node: tree.Node, text: str) -> str:
    """What stands in the text, its white space as one likes to read it."""
    return " ".join(text[node.span.start : node.span.end].split())


def data_hash(file: tree.File, folder: str | None) -> str:
    """A hash of the data files a text names."""
    hashed = hashlib.blake2b(digest_size=8)
    for path in data_files(file, folder):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


def data_files(file: tree.File, folder: str | None) -> tuple[Path, ...]:
    """The data files a text names, in its order."""
    found: list[Path] = []
    for node in walk(file.statements):
        if isinstance(node, tree.Call) and node.name in ("csv", "empirical") and folder is not None:
            named = [a.value.value for a in node.arguments if isinstance(a.value, tree.String)]
            found += [path for name in named if (path := Path(folder) / name).is_file()]
    return tuple(found)
