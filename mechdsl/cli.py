"""The command `mechdsl`: which command is meant, its module imported and run, an exit status out.

The commands are modules of `mechdsl.commands`, imported when they are called. Here is what holds for all of them: help,
mistakes of the model and of usage said as such, and never a traceback. Statuses are the contract: 0 answered, 1 the
model is at fault, 2 wrong usage, 3 a certificate or a claim fails, 4 not solved, 70 our fault, 130 interrupted.
"""

from __future__ import annotations

import sys

from mechdsl.commands import ANSWERED, AT_FAULT, COMMANDS, INTERRUPTED, NO_READER, NOT_SOLVED, OUR_FAULT, WRONG_USAGE

TYPE_CHECKING = False  # importing typing would cost more than printing the help
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mechdsl.errors import MechError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: what follows `mechdsl` on the command line; the process's own if None.

    Returns:
        the exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a letter shows its number
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has closed it: `| head`
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:  # argparse: 2 for wrong usage, 0 after help
        return stop.code if isinstance(stop.code, int) else WRONG_USAGE
    except Exception as error:  # noqa: BLE001 - the last door: a person never meets a traceback
        return _our_fault(error)
    return status


def _dispatch(arguments: list[str]) -> int:
    first = arguments[0] if arguments else ""
    if first == "help" and arguments[1:2] and arguments[1] in COMMANDS:
        return _guarded(arguments[1], ["--help"])
    if first in ("-h", "--help", "help"):
        print(_help())
        return ANSWERED
    if first in ("-V", "--version"):
        from mechdsl import __version__

        print(f"mechdsl {__version__}")
        return ANSWERED
    if first not in COMMANDS:
        print(_help() if not first else _unknown(first), file=sys.stderr)
        return WRONG_USAGE
    return _guarded(first, arguments[1:])


def _guarded(command: str, arguments: list[str]) -> int:
    """The command, with the model's mistakes and wrong usage said as such."""
    from importlib import import_module

    from mechdsl.errors import MechError, PluginError, UsageError

    try:
        return int(import_module(f"mechdsl.commands.{command}").run(arguments))
    except MechError as error:
        if "--json" in arguments and command != "check":  # which has printed them with what else it found
            _print_mistakes(error, command)
        return _refuse(error)
    except UsageError as error:
        return _wrong_usage(str(error))
    except PluginError as error:
        print(f"mechdsl: {error}", file=sys.stderr)
        return NOT_SOLVED


def _print_mistakes(error: MechError, command: str) -> None:
    """What stderr says, as the one object that `--json` promises."""
    from mechdsl.report import json_report

    found = [json_report.diagnostic_object(d) for d in error.diagnostics]
    print(json_report.to_text(json_report.document(error.source.name, command, errors=found)))


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        (
            "usage: mechdsl COMMAND [OPTIONS] ...",
            "",
            "Markets and mechanisms as text, solved and certified.",
            "",
            *lines,
            "",
            "`mechdsl COMMAND --help` tells the options of each; `mechdsl --version` the version.",
        )
    )


def _unknown(command: str) -> str:
    from mechdsl.errors import did_you_mean

    return f"mechdsl: there is no command '{command}'. {did_you_mean(command, COMMANDS, len(COMMANDS))}"


def _wrong_usage(message: str) -> int:
    print(f"mechdsl: {message}", file=sys.stderr)
    return WRONG_USAGE


def _our_fault(error: Exception) -> int:
    import os

    if os.environ.get("MECHDSL_DEBUG", "") not in ("", "0"):
        import traceback

        traceback.print_exception(error)
    else:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        hint = "please report it with the model (MECHDSL_DEBUG=1 shows where)"
        print(f"internal error: {said}; {hint}", file=sys.stderr)
    return OUR_FAULT


# Addresses given with --at and --set have no place in the text: these codes without one speak of the command line.
_ADDRESS_CODES = {"M010", "M015", "M020"}


def _refuse(error: MechError) -> int:
    print(error.render(), file=sys.stderr)
    addresses = all(d.span is None and d.code in _ADDRESS_CODES for d in error.diagnostics)
    return WRONG_USAGE if addresses else AT_FAULT
