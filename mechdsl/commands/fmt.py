"""`mechdsl fmt`: files laid out in place, or (`--check`) only looked at."""

from __future__ import annotations

from mechdsl.commands import ANSWERED, AT_FAULT
from mechdsl.commands.arguments import bare_parser, existing, write

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """Names what it laid out."""
    parser = bare_parser("fmt")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not laid out so")
    options = parser.parse_args(arguments)
    from mechdsl import syntax
    from mechdsl.formatter import format_file

    changed = False
    for name in options.files:
        existing(name)
        text = syntax.read(name)[1].text
        formatted = format_file(text, name)
        if formatted != text:
            changed = True
            print(f"{'would lay out' if options.check else 'laid out'} {name}")
            if not options.check:
                write(name, formatted)
    return AT_FAULT if changed and options.check else ANSWERED
