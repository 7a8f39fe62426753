"""`mechdsl explain`: an error code at length."""

from __future__ import annotations

from mechdsl.commands import ANSWERED
from mechdsl.commands.arguments import bare_parser

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """The entry of the catalogue on stdout."""
    parser = bare_parser("explain")
    parser.add_argument("code", nargs="?", metavar="CODE", help="as in error[M012]; without one, all of them")
    options = parser.parse_args(arguments)
    from mechdsl.catalog import EXPLANATIONS, RANGES
    from mechdsl.errors import UsageError, did_you_mean

    if options.code is None:
        for start, about in RANGES.items():
            print(f"{start}x, about {about}")
            print("\n".join(f"  {c}  {e.title}" for c, e in EXPLANATIONS.items() if c.startswith(start)))
        return ANSWERED
    code = options.code.upper()
    if code not in EXPLANATIONS:
        raise UsageError(f"there is no code '{options.code}'. {did_you_mean(code, EXPLANATIONS)}")
    print(EXPLANATIONS[code])
    return ANSWERED
