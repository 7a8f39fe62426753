"""`mechdsl solve`: the regimes at one report, as tables or as one JSON object."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from mechdsl.commands import INTERRUPTED
from mechdsl.commands.arguments import at_option, chosen, file_parser, loaded
from mechdsl.commands.progress import at_work
from mechdsl.commands.verdicts import status, was_interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mechdsl.elaborate import Override
    from mechdsl.market import Market, Model
    from mechdsl.pipeline import Run
    from mechdsl.sensitivity import Sensitivity
    from mechdsl.structure import Registry

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """Regime by regime, each certified."""
    from mechdsl import pipeline

    parser = file_parser("solve")
    at_option(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object, and nothing else, on stdout")
    parser.add_argument("--all", action="store_true", help="every row of long tables")
    parser.add_argument("--verbose", action="store_true", help="every check of the certificates")
    parser.add_argument("--method", help="of equilibria: conditions (the default) or mirror, a second, independent way")
    text = "of menus: how close, relative to the expected cost, what is attained and its bound are to come (1e-5)"
    parser.add_argument("--tol", type=float, metavar="T", help=text)
    text = "derivatives of every outcome in every param, by the implicit function theorem"
    parser.add_argument("--sensitivity", action="store_true", help=text)
    options = parser.parse_args(arguments)
    model, registry = loaded(options)
    markets = chosen(model, options)
    pipeline.refuse_tolerance(options.tol, markets, registry)
    return (_solve_json if options.json else _solve_tables)(model, markets, registry, options)


def _solve_tables(model: Model, markets: tuple[Market, ...], registry: Registry, options: Namespace) -> int:
    """Solve and print regime by regime, so that an interrupt loses nothing that was finished."""
    from mechdsl.report import terminal

    page = terminal.console()
    view = terminal.View(options.all, options.verbose, page.width)
    for diagnostic in model.warnings:
        print(diagnostic.render(model.source), file=sys.stderr)
    page.print(terminal.heading(markets[0]))
    runs: list[Run] = []
    for number, market in enumerate(markets, 1):
        runs.append(_solved(market, f"{number} of {len(markets)} regimes", registry, options))
        page.print(terminal.regime(runs[-1], view))
        moved = _sensitivity(runs[-1], model, registry, options)
        if moved is not None:
            from mechdsl.commands.sensitivity_page import sensitivity_table

            page.print(sensitivity_table(moved, market))
        if was_interrupted(runs):
            raise KeyboardInterrupt
    if len(runs) > 1:
        page.print(terminal.comparison(runs))
    return status(runs, named=bool(options.regime))


def _solve_json(model: Model, markets: tuple[Market, ...], registry: Registry, options: Namespace) -> int:
    from mechdsl.report import json_report

    runs: list[Run] = []
    interrupted = False
    try:
        for number, market in enumerate(markets, 1):
            runs.append(_solved(market, f"{number} of {len(markets)} regimes", registry, options))
            interrupted = was_interrupted(runs)
            if interrupted:
                break
    except KeyboardInterrupt:
        interrupted = True
    regimes = {r.market.regime: json_report.regime_object(r) for r in runs}
    for done in runs if options.sensitivity and not interrupted else ():
        moved = _sensitivity(done, model, registry, options)
        if moved is not None:
            from mechdsl.sensitivity import sensitivity_object

            regimes[done.market.regime]["sensitivity"] = sensitivity_object(moved, done.market)
    warnings = [json_report.diagnostic_object(d) for d in model.warnings]
    more = {"diagnostics": warnings} if warnings else {}
    print(json_report.to_text(json_report.document(model.name, "solve", regimes=regimes, **more)))
    return INTERRUPTED if interrupted else status(runs, named=bool(options.regime))


def _solved(market: Market, place: str, registry: Registry, options: Namespace) -> Run:
    """One regime, named on the terminal while it is at work."""
    from mechdsl import pipeline

    with at_work() as say:
        say(f"{market.regime}: solving, {place}")
        return pipeline.run(market, registry, options.method, options.tol)


def _sensitivity(run: Run, model: Model, registry: Registry, options: Namespace) -> Sensitivity | None:
    """How the outcome moves with the params, if that is asked for."""
    if not options.sensitivity:
        return None
    from pathlib import Path

    from mechdsl import pipeline
    from mechdsl.overrides import assignments
    from mechdsl.sensitivity import sensitivity

    stated, report = ([o for text in given for o in assignments(text)] for given in (options.set, options.at))
    folder = Path(options.file).parent

    def remade(more: Sequence[Override]) -> Model:
        return pipeline.elaborated(
            model.file,
            model.source,
            folder,
            [*stated, *more],
            report,
            options.seed,
            registry.distributions.families,
            registry.functions,
        )

    return sensitivity(run, remade)
