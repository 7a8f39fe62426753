"""`mechdsl sweep`: outcomes on a grid of params, and where along it the set of binding constraints changes."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from mechdsl.commands.arguments import at_option, file_parser
from mechdsl.commands.studying import at_least, resumable, stated_task, status, study_options, working
from mechdsl.errors import MechError, UsageError

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """The table of findings on stdout, or in `--out`; figures where they are asked for."""
    parser = file_parser("sweep")
    at_option(parser)
    text = 'the grid: "d.video in 1..20 by 0.5, mu in [0, 0.1]"'
    parser.add_argument("--vary", action="append", required=True, metavar="GRID", help=text)
    parser.add_argument("--draws", type=at_least(1), default=0, metavar="N", help="of the types at every point")
    parser.add_argument("--table", action="append", default=[], metavar="WHAT", help='as in "revenue, x[video]"')
    text = '"heatmap(x[video])", "line(revenue)", "box(revenue)", "bar(welfare)"; repeatable'
    parser.add_argument("--plot", action="append", default=[], metavar="FIGURE", help=text)
    parser.add_argument(
        "-o", "--out", metavar="PATH", help="the table, as .csv or .parquet; else a folder for all files"
    )
    text = "the figures' formats (default png)"
    parser.add_argument("--formats", default="png", metavar="png,svg,pdf", help=text)
    study_options(parser)
    options = parser.parse_args(arguments)
    return resumable("sweep", arguments, lambda: _sweep(options))


def _sweep(options: Namespace) -> int:
    model, registry, task = stated_task(options, draws=options.draws)
    from mechdsl.commands.studies_page import page
    from mechdsl.commands.study_files import figures_written, formats
    from mechdsl.population.findings import findings
    from mechdsl.population.json_form import study_object
    from mechdsl.population.study import grid, measures_of, plots_of, study
    from mechdsl.population.tables import checked, figure_table, write_table
    from mechdsl.population.task import GridAxis
    from mechdsl.report import json_report
    from mechdsl.syntax import parse_axes

    axes: list[GridAxis] = []
    for text in options.vary:
        try:
            axes += grid(parse_axes(text), model)
        except MechError as error:
            problem = error.diagnostics[0]
            raise UsageError(f"--vary '{text}' does not read as a grid: {problem.message}. {problem.hint}") from None
    kinds = formats(options.formats)
    plots = plots_of(options.plot)
    title = next(iter(model.markets.values())).title
    stated = study(replace(task, axes=tuple(axes)), model, model.name, title, measures_of(options.table), plots)
    out = Path(options.out) if options.out else None
    table = None if out is None else checked(out) if out.suffix in (".csv", ".parquet") else out / f"{model.name}.csv"
    folder = Path() if out is None else out.parent if table == out else out
    with working(options, "sweeping") as work:
        found = findings(stated, work)
    files = []
    if table is not None:
        write_table(table, figure_table(found))
        files.append(table)
    files += figures_written(found, model, folder, f"{Path(options.file).stem}_", kinds)
    if options.json:
        more = {"files": [str(f) for f in files]} if files else {}
        print(json_report.to_text(json_report.document(model.name, "sweep", **study_object(found), **more)))
    else:
        page(found, model, files)
    return status([found], model, registry, named=bool(options.regime))
