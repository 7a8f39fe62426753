"""`mechdsl export`: what is solved, for other tools."""

from __future__ import annotations

from mechdsl.commands import ANSWERED, AT_FAULT
from mechdsl.commands.arguments import at_option, chosen, file_parser, loaded, write
from mechdsl.commands.verdicts import unhandled_fault

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """The programme on stdout, or in a file."""
    parser = file_parser("export")
    at_option(parser)
    parser.add_argument("--to", required=True, choices=("pyomo", "nl", "latex", "json"))
    parser.add_argument("-o", "--output", metavar="FILE", help="write there, not to stdout")
    options = parser.parse_args(arguments)
    model, registry = loaded(options)
    from mechdsl.api import exported

    markets = chosen(model, options)
    if unhandled_fault(markets, registry, options):
        return AT_FAULT
    text = exported(markets, registry, options.to)
    if options.output is None:
        print(text)
    else:
        write(options.output, text)
    return ANSWERED
