"""`mechdsl inspect`: everything derived, in one of four formats."""

from __future__ import annotations

from mechdsl.commands import ANSWERED, AT_FAULT
from mechdsl.commands.arguments import chosen, file_parser, loaded
from mechdsl.commands.verdicts import unhandled_fault

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """The document on stdout."""
    parser = file_parser("inspect")
    parser.add_argument("--format", choices=("text", "markdown", "latex", "json"), default="text")
    options = parser.parse_args(arguments)
    model, registry = loaded(options)
    from mechdsl.report.inspect import inspect

    markets = chosen(model, options)
    print(inspect(markets, registry, options.format))
    return AT_FAULT if unhandled_fault(markets, registry, options) else ANSWERED
