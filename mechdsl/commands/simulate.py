"""`mechdsl simulate`: outcomes at many common draws of the types."""

from __future__ import annotations

from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path

from mechdsl.commands.arguments import file_parser
from mechdsl.commands.studying import at_least, resumable, stated_task, status, study_options, working

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """Means, errors and quantiles on stdout; every row in `--out`."""
    parser = file_parser("simulate")
    parser.add_argument("--draws", type=at_least(1), default=1000, metavar="N", help="of the types (default 1000)")
    parser.add_argument("-o", "--out", metavar="T.parquet", help="a row for every regime and draw, as .parquet or .csv")
    study_options(parser)
    options = parser.parse_args(arguments)
    return resumable("simulate", arguments, lambda: _simulate(options))


def _simulate(options: Namespace) -> int:
    model, registry, task = stated_task(options, draws=options.draws)
    from mechdsl.commands.studies_page import page
    from mechdsl.population.findings import findings
    from mechdsl.population.json_form import study_object
    from mechdsl.population.study import study
    from mechdsl.population.tables import RowTable
    from mechdsl.report import json_report

    stated = study(task, model, model.name, next(iter(model.markets.values())).title, (), ())
    with ExitStack() as stack:
        work = stack.enter_context(working(options, "simulating"))
        table = stack.enter_context(RowTable(Path(options.out), stated.task)) if options.out else None
        found = findings(stated, work, see=table.add if table else lambda rows: None)
    if options.json:
        print(json_report.to_text(json_report.document(model.name, "simulate", **study_object(found))))
    else:
        page(found, model, [Path(options.out)] if options.out else [])
    return status([found], model, registry, named=bool(options.regime))
