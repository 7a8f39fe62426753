"""What `simulate`, `sweep` and `run` share: their options, the bar of progress, and what an interrupt leaves behind."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mechdsl.commands import ANSWERED, AT_FAULT, INTERRUPTED, NOT_CERTIFIED, NOT_SOLVED
from mechdsl.commands.arguments import chosen, loaded
from mechdsl.errors import MechError

if TYPE_CHECKING:
    from mechdsl.market import Model
    from mechdsl.population.execution import Work
    from mechdsl.population.findings import Findings
    from mechdsl.population.task import Task
    from mechdsl.structure import Registry

__all__ = ["at_least", "resumable", "stated_task", "status", "study_options", "work_options", "working"]


def at_least(least: int) -> Callable[[str], int]:
    """A whole number from `least`, as argparse reads it."""

    def read(text: str) -> int:
        try:
            number = int(float(text)) if "e" in text.lower() and float(text).is_integer() else int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is no whole number") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return number

    return read


def study_options(parser: argparse.ArgumentParser) -> None:
    """`--jobs`, `--scheduler`, `--resume`, `--json`."""
    work_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object, and nothing else, on stdout")


def work_options(parser: argparse.ArgumentParser) -> None:
    """`--jobs`, `--scheduler`, `--resume`."""
    parser.add_argument("--jobs", type=at_least(1), metavar="N", help="processes (default: as many as pay)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="compute on a Dask cluster: tcp://HOST:8786")
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run of the same stopped")


def stated_task(options: argparse.Namespace, draws: int = 0) -> tuple[Model, Registry, Task]:
    """The model, the structures, and the task that the command line states."""
    from mechdsl.api import task_of

    model, registry = loaded(options)
    regimes = tuple(m.regime for m in chosen(model, options))
    return model, registry, task_of(model, options.file, options.set, getattr(options, "at", []), regimes=regimes,
                                    plugins=options.plugin, draws=draws, seed=options.seed)  # fmt: skip


@contextmanager
def working(options: argparse.Namespace, what: str) -> Iterator[Work]:
    """How to work, with a bar on stderr where that is a terminal."""
    from mechdsl.engines.batch_machine import machine_code
    from mechdsl.population.execution import Work

    if machine_code() is None:
        print("no C compiler is at hand: problems are solved one by one, many times slower", file=sys.stderr)
    if not sys.stderr.isatty():
        yield Work(options.jobs, options.scheduler, options.resume)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task(what, total=None)
        yield Work(
            options.jobs, options.scheduler, options.resume,
            lambda done, parts: bar.update(shown, completed=done, total=parts),
        )  # fmt: skip


def resumable(command: str, arguments: Sequence[str], work: Callable[[], int]) -> int:
    """Does the work; if the user stops it, says what is kept and how to go on."""
    from mechdsl.population.findings import Interrupted

    try:
        return work()
    except Interrupted as stop:
        again = shlex.join(["mechdsl", command, *(a for a in arguments if a != "--resume"), "--resume"])
        kept = f"{stop.finished} of {stop.parts} parts are kept" if stop.finished else "nothing was finished"
        print(f"interrupted: {kept}" + (f"; to go on: {again}" if stop.finished else ""), file=sys.stderr)
        return INTERRUPTED


def status(found: Sequence[Findings], model: Model, registry: Registry, *, named: bool) -> int:
    """The exit status over everything computed."""
    from mechdsl.pipeline import unhandled
    from mechdsl.structure import match

    regimes = {name for f in found for name in f.study.task.regimes}
    missing = [name for name in regimes if all(c.regime != name for f in found for c in f.cells)]
    unmatched = [m for n in missing if match(m := model.markets[n], registry).structure is None]
    if unmatched and (named or len(regimes) == 1):
        problems = [unhandled(m, match(m, registry), registry) for m in unmatched]
        print(MechError(problems, model.source).render(), file=sys.stderr)
        return AT_FAULT
    wanting = [c for f in found for c in f.cells if c.certified < c.rows and c.regime not in _told(f, "answers")]
    failing = [c for f in found for c in f.cells if c.certified < c.rows and c.regime in _told(f, "answers", "failing")]
    if any(c.certified == 0 and c not in failing for c in wanting):
        _say_why(found, wanting)
        return NOT_SOLVED
    if wanting:
        _say_why(found, wanting)
        return NOT_CERTIFIED
    return ANSWERED


def _told(found: Findings, *counts: str) -> set[str]:
    """Regimes in which these counts are all that is not certified: `answers`, that there is no equilibrium, say; and
    `failing`, solved with a certificate that fails.
    """
    wanting: dict[str, int] = {}
    for cell in found.cells:
        wanting[cell.regime] = wanting.get(cell.regime, 0) + cell.rows - cell.certified
    words = found.words
    return {name for name, count in wanting.items() if count <= sum(words[name].get(n, 0) for n in counts)}


def _say_why(found: Sequence[Findings], wanting: Sequence[object]) -> None:
    for name, words in {n: w for f in found for n, w in f.words.items() if w.get("message")}.items():
        count = sum(c.rows - c.certified for f in found for c in f.cells if c.regime == name)
        if count:
            print(f"{name}: {count} of its outcomes are not certified. First: {words['message']}", file=sys.stderr)
    del wanting
