"""`mechdsl report`: one document with everything, as a page, LaTeX or markdown by its file's ending."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mechdsl.commands import ANSWERED, AT_FAULT, NOT_CERTIFIED, NOT_SOLVED
from mechdsl.commands.arguments import at_option, chosen, file_parser
from mechdsl.commands.progress import at_work
from mechdsl.commands.studying import resumable, stated_task, work_options, working
from mechdsl.commands.studying import status as study_status
from mechdsl.commands.verdicts import status, was_interrupted
from mechdsl.errors import UsageError

if TYPE_CHECKING:
    from mechdsl.comparison import Comparison
    from mechdsl.market import Market, Model
    from mechdsl.pipeline import Run
    from mechdsl.population.findings import Findings
    from mechdsl.population.task import Task
    from mechdsl.structure import Registry

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """Solve, compare, run the experiments, and write them up."""
    parser = file_parser("report")
    at_option(parser)
    text = "where to: .html (default: FILE.html), .tex or .md"
    parser.add_argument("-o", "--output", metavar="FILE", help=text)
    text = "leave out derivation, expectation (with the claims), experiments, or their figures; comma list"
    parser.add_argument("--without", action="append", default=[], metavar="PART", help=text)
    parser.add_argument("--tol", type=float, default=1e-6, metavar="T", help="of claims, relative (default 1e-6)")
    parser.add_argument("--claims", choices=("paper",), help="published theorems too, each with its condition")
    work_options(parser)
    options = parser.parse_args(arguments)
    return resumable("report", arguments, lambda: _run(options, arguments))


def _run(options: Namespace, arguments: Sequence[str]) -> int:
    from mechdsl.dossier import FORMATS, PARTS, Evidence, dossier, production, written

    if not 0 < options.tol < 1:
        raise UsageError("--tol is above 0 and below 1")
    without = {part for given in options.without for part in given.split(",") if part}
    for part in sorted(without - set(PARTS)):
        raise UsageError(f"'{part}' is no part that can be left out: {', '.join(PARTS)}")
    output = Path(options.output or f"{Path(options.file).stem}.html")
    if output.suffix not in FORMATS:
        raise UsageError(f"'{output}': a report is written as {', '.join(FORMATS)}")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder '{output.parent}'")
    model, registry, task = stated_task(options)
    markets = chosen(model, options)
    with at_work() as say:
        runs = _solved(markets, registry, say)
        comparison = None if "expectation" in without else _compared(model, markets, registry, options, say)
    studies = () if "experiments" in without else _studied(model, task, options)
    rows = [("seed", str(options.seed)), ("tolerance of claims", f"{options.tol:g}")]
    rows += [(f"seed of {f.study.name}", str(f.study.task.seed)) for f in studies]
    made = Evidence(
        model, runs, comparison, studies, "figures" not in without, "derivation" not in without,
        production(model, Path(options.file).parent, shlex.join(["mechdsl", "report", *arguments]), rows),
    )  # fmt: skip
    with at_work() as say:
        say(f"{output.name}: writing and drawing")
        files = written(dossier(made), output)
    for file in files:
        print(f"wrote {file}")
    claims = comparison.claims if comparison else ()
    found = [
        status(runs, named=bool(options.regime)),
        NOT_CERTIFIED if any(v.holds is False for v in claims) else ANSWERED,
        study_status(studies, model, registry, named=bool(options.regime)) if studies else ANSWERED,
    ]
    return next((s for s in (AT_FAULT, NOT_SOLVED, NOT_CERTIFIED) if s in found), ANSWERED)


def _solved(markets: Sequence[Market], registry: Registry, say: Callable[[str], None]) -> tuple[Run, ...]:
    from mechdsl import pipeline

    runs: list[Run] = []
    for number, market in enumerate(markets, 1):
        say(f"{market.regime}: solving, {number} of {len(markets)} regimes")
        runs.append(pipeline.run(market, registry))
        if was_interrupted(runs):
            raise KeyboardInterrupt
    return tuple(runs)


def _compared(
    model: Model, markets: tuple[Market, ...], registry: Registry, options: Namespace, say: Callable[[str], None]
) -> Comparison:
    from mechdsl.comparison import compare

    return compare(
        markets, model.claims if not options.regime else (), registry, tolerance=options.tol,
        published=options.claims == "paper", seed=options.seed, tell=say,
    )  # fmt: skip


def _studied(model: Model, task: Task, options: Namespace) -> tuple[Findings, ...]:
    """The experiments that the file states, one after another; of some regimes alone none that needs others."""
    from mechdsl.population.findings import findings
    from mechdsl.population.study import experiment_study

    found = []
    for stated in [experiment_study(e, model, task) for e in model.experiments]:
        with working(options, stated.name) as work:
            found.append(findings(stated, work))
    return tuple(found)
