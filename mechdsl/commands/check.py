"""`mechdsl check`: a model looked at without solving it; `--json` for editors."""

from __future__ import annotations

from mechdsl.commands import ANSWERED, AT_FAULT
from mechdsl.commands.arguments import chosen, file_parser, loaded
from mechdsl.commands.verdicts import unhandled_fault
from mechdsl.errors import MechError

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """The diagnosis on stdout; mistakes too, with `--json`."""
    parser = file_parser("check")
    parser.add_argument("--json", action="store_true", help="one JSON object, for editors, on stdout")
    parser.add_argument("--deep", action="store_true", help="solve some hundred times, for complements and ties")
    options = parser.parse_args(arguments)
    try:
        model, registry = loaded(options)
    except MechError as error:
        if options.json:
            from mechdsl.report import json_report

            found = [json_report.diagnostic_object(d) for d in error.diagnostics]
            print(json_report.to_text({"schema": json_report.SCHEMA, "command": "check", "diagnostics": found}))
        raise
    from mechdsl.check import diagnose

    markets = chosen(model, options)
    looked = diagnose(model, registry, [m.regime for m in markets], deep=options.deep)
    from mechdsl.report import diagnosis, json_report, terminal

    if options.json:
        print(json_report.to_text(diagnosis.check_object(looked)))
    else:
        terminal.console().print(diagnosis.page(looked), crop=False)
    return AT_FAULT if unhandled_fault(markets, registry, options) else ANSWERED
