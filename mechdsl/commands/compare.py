"""`mechdsl compare`: every regime in expectation, side by side, and every claim with its verdict."""

from __future__ import annotations

import itertools
from argparse import Namespace
from functools import partial
from typing import TYPE_CHECKING

from mechdsl.commands import ANSWERED, AT_FAULT, NOT_CERTIFIED, NOT_SOLVED
from mechdsl.commands.arguments import awake, bare_parser, chosen, existing, plugin_option, registry
from mechdsl.commands.progress import at_work
from mechdsl.commands.verdicts import fault
from mechdsl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mechdsl.comparison import Comparison
    from mechdsl.elaborate import Override
    from mechdsl.structure import Registry

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """The table, or one JSON object; a figure on request."""
    parser = bare_parser("compare")
    parser.add_argument("files", nargs="+", metavar="FILE", help=".mech files, side by side")
    parser.add_argument("--regime", action="append", default=[], metavar="R", help="these regimes alone")
    text = "params, on top of the file's; a param given several values makes the table wider"
    parser.add_argument("--set", action="append", default=[], metavar="D.LABEL=X", help=text)
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="of params drawn with ~, and of quasi-Monte Carlo"
    )
    parser.add_argument("--tol", type=float, default=1e-6, metavar="T", help="of claims, relative (default 1e-6)")
    parser.add_argument("--claims", choices=("paper",), help="published theorems too, each with its condition")
    parser.add_argument("--plot", metavar="FILE", help="a figure: .png, .svg or .pdf")
    parser.add_argument("--json", action="store_true", help="one JSON object, and nothing else, on stdout")
    plugin_option(parser)
    options = parser.parse_args(arguments)
    if not 0 < options.tol < 1:
        raise UsageError("--tol is above 0 and below 1")
    found = registry(options)
    with at_work() as say:
        comparisons = [c for name in options.files for c in _of_file(name, options, found, say)]
    from mechdsl.report import comparison as report
    from mechdsl.report import json_report, terminal

    if options.plot:
        report.draw(comparisons, options.plot)
    if options.json:
        document = json_report.document(comparisons[0].name, "compare", **report.comparisons_object(comparisons))
        print(json_report.to_text(document))
    else:
        console = terminal.console()
        console.print(terminal.heading(comparisons[0].sides[0].market))
        console.print(report.page(comparisons, console.width))
    return _status(comparisons, named=bool(options.regime))


def _of_file(name: str, options: Namespace, found: Registry, say: Callable[[str], None]) -> list[Comparison]:
    """One comparison for every combination of values that `--set` gives."""
    from mechdsl.comparison import compare
    from mechdsl.pipeline import load

    existing(name)
    several = len(options.files) > 1
    made = []
    for overrides, said in variations(options.set):
        words = (found.distributions.families, found.functions)
        model = load(name, overrides, (), options.seed, *words)
        label = " ".join(part for part in (model.name if several else "", said) if part)
        markets, at_hand = chosen(model, options), awake(found, model, options)
        made.append(
            compare(
                markets, model.claims if not options.regime else (), at_hand, tolerance=options.tol,
                published=options.claims == "paper", seed=options.seed, label=label or model.name,
                tell=partial(_within, say, label),
            )
        )  # fmt: skip
    return made


def _within(say: Callable[[str], None], label: str, text: str) -> None:
    say(f"{label} {text}" if label else text)


def variations(given: list[str]) -> list[tuple[list[Override], str]]:
    """Overrides and a label for every combination of the values of those addresses that are given several."""
    from mechdsl.overrides import assignments

    values: dict[tuple[str, tuple[str, ...]], list[Override]] = {}
    for one in (o for text in given for o in assignments(text)):
        values.setdefault((one.name, one.labels), []).append(one)
    several = {address for address, found in values.items() if len(found) > 1}
    combined = [list(c) for c in itertools.product(*values.values())]
    return [(c, ",".join(_said(o) for o in c if (o.name, o.labels) in several)) for c in combined]


def _said(override: Override) -> str:
    value = override.value if isinstance(override.value, str) else f"{override.value:g}"
    return f"{'.'.join((override.name, *override.labels))}={value}"


def _status(comparisons: list[Comparison], *, named: bool) -> int:
    """The first of fault, failure and failed claim that applies; undecided claims are answers."""
    for comparison in comparisons:
        problems = [side.problem for side in comparison.sides if side.problem]
        if fault(comparison.sides[0].market, problems, alone=len(comparison.sides) == 1, named=named):
            return AT_FAULT
    if not all(comparison.solved for comparison in comparisons):
        return NOT_SOLVED
    if any(verdict.holds is False for comparison in comparisons for verdict in comparison.claims):
        return NOT_CERTIFIED
    return ANSWERED
