"""`mechdsl run`: the experiments a file states; their tables and figures in a folder."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mechdsl.commands.arguments import file_parser
from mechdsl.commands.studying import resumable, stated_task, status, study_options, working
from mechdsl.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from mechdsl.market import Model
    from mechdsl.population.findings import Findings
    from mechdsl.population.study import Study

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """Every experiment, or those named, one after another; what is finished stays if a later one is stopped."""
    parser = file_parser("run")
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="those to run (default: all)")
    parser.add_argument("-o", "--out", metavar="DIR", help="folder for tables and figures (default: FILE_results)")
    parser.add_argument("--formats", default="png,pdf", metavar="png,svg,pdf", help="of the figures (default png,pdf)")
    text = "also every row of every experiment, in this format"
    parser.add_argument("--rows", choices=("csv", "parquet"), help=text)
    study_options(parser)
    options = parser.parse_args(arguments)
    return resumable("run", arguments, lambda: _run(options))


def _run(options: Namespace) -> int:
    model, registry, task = stated_task(options)
    from mechdsl.commands.studies_page import page
    from mechdsl.commands.study_files import formats, left_behind
    from mechdsl.population.json_form import study_object
    from mechdsl.population.study import experiment_study
    from mechdsl.report import json_report

    known = {e.name.id: e for e in model.experiments}
    for name in options.experiments:
        if name not in known:
            raise UsageError(f"the file has no experiment '{name}'. {did_you_mean(name, known)}")
    if not known:
        raise UsageError("the file has no experiment: `simulate` and `sweep` take theirs from the command line")
    kinds = formats(options.formats)
    chosen = [e for n, e in known.items() if not options.experiments or n in options.experiments]
    studies = [experiment_study(e, model, task) for e in chosen]
    folder = Path(options.out or f"{Path(options.file).stem}_results")
    done: list[Findings] = []
    said: dict[str, Any] = {}
    for number, stated in enumerate(studies):
        found, files = _one(stated, model, options, folder, kinds)
        done.append(found)
        old = left_behind(stated.name, files, folder, known)
        if options.json:
            said[stated.name] = {"title": stated.title, **study_object(found), "files": [str(f) for f in files]}
            said[stated.name] |= {"left_behind": [str(f) for f in old]} if old else {}
        else:
            page(found, model, files, titled=True, first=number == 0)
            for file in old:
                print(f"of an earlier run, not of this one: {file}")
            sys.stdout.flush()
    if options.json:
        print(json_report.to_text(json_report.document(model.name, "run", experiments=said)))
    return status(done, model, registry, named=bool(options.regime))


def _one(
    stated: Study, model: Model, options: Namespace, folder: Path, kinds: tuple[str, ...]
) -> tuple[Findings, list[Path]]:
    """An experiment, computed and written."""
    from mechdsl.commands.study_files import figures_written
    from mechdsl.population.findings import findings
    from mechdsl.population.tables import RowTable, figure_table, write_table

    files = []
    with ExitStack() as stack:
        work = stack.enter_context(working(options, stated.name))
        rows = None
        if options.rows:
            files.append(folder / f"{stated.name}_rows.{options.rows}")
            rows = stack.enter_context(RowTable(files[0], stated.task))
        found = findings(stated, work, see=rows.add if rows else lambda part: None)
    table = folder / f"{stated.name}.csv"
    write_table(table, figure_table(found))
    return found, [table, *files, *figures_written(found, model, folder, f"{stated.name}_", kinds)]
