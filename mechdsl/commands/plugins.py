"""`mechdsl plugins`: the market structures at hand, and what each handles."""

from __future__ import annotations

from mechdsl.commands import ANSWERED
from mechdsl.commands.arguments import bare_parser, plugin_option, registry

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """The table on stdout."""
    parser = bare_parser("plugins")
    plugin_option(parser)
    options = parser.parse_args(arguments)
    from mechdsl.report import terminal

    terminal.console().print(terminal.registry(registry(options, quiet=True).complete()))
    return ANSWERED
