"""`mechdsl explain`: an error code at length."""

from __future__ import annotations

from mechdsl.commands import ANSWERED
from mechdsl.commands.arguments import bare_parser

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """The entry of the catalogue on stdout."""
    parser = bare_parser("explain")
    parser.add_argument("code", metavar="CODE", help="as in error[M012]")
    options = parser.parse_args(arguments)
    from mechdsl.catalog import EXPLANATIONS
    from mechdsl.errors import UsageError, did_you_mean

    code = options.code.upper()
    if code not in EXPLANATIONS:
        raise UsageError(f"there is no code '{options.code}'. {did_you_mean(code, EXPLANATIONS)}")
    print(EXPLANATIONS[code])
    return ANSWERED
