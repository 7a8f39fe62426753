"""The command `mechdsl`: arguments in, the chain run, its values printed, an exit status out.

Each command builds its own argument parser and imports its own stages when it is called, so that help costs next to
nothing and `check` never waits for a solver. Statuses are the contract: 0 answered, 1 the model is at fault, 2 wrong
usage, 3 a certificate fails, 4 not solved, 70 our fault, 130 interrupted.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing would cost more than printing the help
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Sequence

    from mechdsl.errors import Diagnostic, MechError
    from mechdsl.market import Market, Model
    from mechdsl.pipeline import Run
    from mechdsl.structure import Registry

__all__ = ["main"]

ANSWERED, AT_FAULT, WRONG_USAGE, NOT_CERTIFIED, NOT_SOLVED = 0, 1, 2, 3, 4
OUR_FAULT, INTERRUPTED, NO_READER = 70, 130, 141

_SUMMARIES = {
    "solve": "solve the regimes at the reported types: allocation, payments, accounts, certificate",
    "inspect": "everything derived, each step named, justified and sourced",
    "check": "look at a model without solving it (or, with --deep, with many solves)",
    "fmt": "lay out files, in place",
    "plugins": "the market structures installed, and what each handles",
    "explain": "an error code at length",
    "export": "what is solved, for other tools: pyomo, nl, latex, json",
}


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
    if first in ("-h", "--help", "help"):
        print(_help())
        return ANSWERED
    if first in ("-V", "--version"):
        from mechdsl import __version__

        print(f"mechdsl {__version__}")
        return ANSWERED
    command = _COMMANDS.get(first)
    if command is None:
        print(_help() if not first else _unknown(first), file=sys.stderr)
        return WRONG_USAGE
    return _guarded(command, arguments[1:])


def _guarded(command: Callable[[list[str]], int], arguments: list[str]) -> int:
    """The command, with the model's mistakes and wrong usage said as such."""
    from mechdsl.errors import MechError, UsageError

    try:
        return command(arguments)
    except MechError as error:
        if "--json" in arguments and command is not _check:  # which has printed them with what else it found
            _print_mistakes(error, command.__name__.strip("_"))
        return _refuse(error)
    except UsageError as error:
        return _wrong_usage(str(error))


def _print_mistakes(error: MechError, command: str) -> None:
    """What stderr says, as the one object that `--json` promises."""
    from mechdsl.report import json_report

    found = [json_report.diagnostic_object(d) for d in error.diagnostics]
    print(json_report.to_text(json_report.document(error.source.name, command, errors=found)))


def _help() -> str:
    width = max(map(len, _SUMMARIES))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in _SUMMARIES.items()]
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

    return f"mechdsl: there is no command '{command}'. {did_you_mean(command, _SUMMARIES)}"


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


# ------------------------------------------------------------------------------------------------------------- commands


def _solve(arguments: list[str]) -> int:
    parser = _parser("solve")
    _at_option(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object, and nothing else, on stdout")
    parser.add_argument("--all", action="store_true", help="every row of long tables")
    parser.add_argument("--verbose", action="store_true", help="every check of the certificates")
    options = parser.parse_args(arguments)
    model, registry = _loaded(options)
    markets = _chosen(model, options)
    return (_solve_json if options.json else _solve_tables)(model, markets, registry, options)


def _solve_tables(model: Model, markets: tuple[Market, ...], registry: Registry, options: Namespace) -> int:
    """Solve and print regime by regime, so that an interrupt loses nothing that was finished."""
    from mechdsl.pipeline import run
    from mechdsl.report import terminal

    page = terminal.console()
    view = terminal.View(options.all, options.verbose, page.width)
    for diagnostic in model.warnings:
        print(diagnostic.render(model.source), file=sys.stderr)
    page.print(terminal.heading(markets[0]))
    runs: list[Run] = []
    for market in markets:
        runs.append(run(market, registry))
        page.print(terminal.regime(runs[-1], view))
        if _interrupted(runs):
            raise KeyboardInterrupt
    if len(runs) > 1:
        page.print(terminal.comparison(runs))
    return _status(runs, named=bool(options.regime))


def _solve_json(model: Model, markets: tuple[Market, ...], registry: Registry, options: Namespace) -> int:
    from mechdsl.pipeline import run
    from mechdsl.report import json_report

    runs: list[Run] = []
    interrupted = False
    try:
        for market in markets:
            runs.append(run(market, registry))
            interrupted = _interrupted(runs)
            if interrupted:
                break
    except KeyboardInterrupt:
        interrupted = True
    regimes = {r.market.regime: json_report.regime_object(r) for r in runs}
    warnings = [json_report.diagnostic_object(d) for d in model.warnings]
    more = {"diagnostics": warnings} if warnings else {}
    print(json_report.to_text(json_report.document(model.name, "solve", regimes=regimes, **more)))
    return INTERRUPTED if interrupted else _status(runs, named=bool(options.regime))


def _fault(market: Market, problems: Sequence[Diagnostic], *, alone: bool, named: bool) -> bool:
    """Whether regimes that nothing handles are a fault and not an answer beside others; if so, named on stderr."""
    if not problems or not (alone or named):
        return False
    from mechdsl.errors import MechError

    print(MechError(problems, market.source).render(), file=sys.stderr)
    return True


def _unhandled_fault(markets: tuple[Market, ...], registry: Registry, options: Namespace) -> bool:
    """The same, for commands that do not solve."""
    from mechdsl.pipeline import unhandled
    from mechdsl.structure import match

    matches = [(market, match(market, registry)) for market in markets]
    problems = [unhandled(market, found, registry) for market, found in matches if found.structure is None]
    return _fault(markets[0], problems, alone=len(markets) == 1, named=bool(options.regime))


def _interrupted(runs: Sequence[Run]) -> bool:
    """Whether the last solve was stopped by the user: Ipopt returns then, and Python is told nothing."""
    from mechdsl.program import Status

    last = runs[-1].outcome
    return last is not None and last.status is Status.INTERRUPTED


def _status(runs: Sequence[Run], *, named: bool) -> int:
    """The exit status over the regimes asked for: the first of fault, failure and failed certificate that applies."""
    from mechdsl.program import Status

    if _fault(runs[0].market, [r.problem for r in runs if r.problem], alone=len(runs) == 1, named=named):
        return AT_FAULT
    answers = (Status.OPTIMAL, Status.NO_MARKET, Status.NO_EQUILIBRIUM)
    if any(r.outcome is not None and r.outcome.status not in answers for r in runs):
        return NOT_SOLVED
    if any(r.certificate is not None and not r.certificate.passed for r in runs):
        return NOT_CERTIFIED
    return ANSWERED


def _inspect(arguments: list[str]) -> int:
    parser = _parser("inspect")
    parser.add_argument("--format", choices=("text", "markdown", "latex", "json"), default="text")
    options = parser.parse_args(arguments)
    model, registry = _loaded(options)
    from mechdsl.report.inspect import inspect

    markets = _chosen(model, options)
    print(inspect(markets, registry, options.format))
    return AT_FAULT if _unhandled_fault(markets, registry, options) else ANSWERED


def _check(arguments: list[str]) -> int:
    from mechdsl.errors import MechError

    parser = _parser("check")
    parser.add_argument("--json", action="store_true", help="one JSON object, for editors, on stdout")
    parser.add_argument("--deep", action="store_true", help="solve some hundred times, for complements and ties")
    options = parser.parse_args(arguments)
    try:
        model, registry = _loaded(options)
    except MechError as error:
        if options.json:
            from mechdsl.report import json_report

            found = [json_report.diagnostic_object(d) for d in error.diagnostics]
            print(json_report.to_text({"schema": json_report.SCHEMA, "command": "check", "diagnostics": found}))
        raise
    from mechdsl.check import diagnose

    markets = _chosen(model, options)
    looked = diagnose(model, registry, [m.regime for m in markets], deep=options.deep)
    from mechdsl.report import diagnosis, json_report, terminal

    if options.json:
        print(json_report.to_text(diagnosis.check_object(looked)))
    else:
        terminal.console().print(diagnosis.page(looked), crop=False)
    return AT_FAULT if _unhandled_fault(markets, registry, options) else ANSWERED


def _fmt(arguments: list[str]) -> int:
    parser = _bare_parser("fmt")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not laid out so")
    options = parser.parse_args(arguments)
    from mechdsl import syntax
    from mechdsl.formatter import format_file

    changed = False
    for name in options.files:
        _existing(name)
        text = syntax.read(name)[1].text
        formatted = format_file(text, name)
        if formatted != text:
            changed = True
            print(f"{'would lay out' if options.check else 'laid out'} {name}")
            if not options.check:
                _write(name, formatted)
    return AT_FAULT if changed and options.check else ANSWERED


def _write(name: str, text: str) -> None:
    from pathlib import Path

    from mechdsl.errors import UsageError

    try:
        Path(name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"'{name}' cannot be written: {error.strerror}") from None


def _plugins(arguments: list[str]) -> int:
    parser = _bare_parser("plugins")
    _plugin_option(parser)
    options = parser.parse_args(arguments)
    from mechdsl.report import terminal

    terminal.console().print(terminal.registry(_registry(options, quiet=True)))
    return ANSWERED


def _explain(arguments: list[str]) -> int:
    parser = _bare_parser("explain")
    parser.add_argument("code", metavar="CODE", help="as in error[M012]")
    options = parser.parse_args(arguments)
    from mechdsl.catalog import EXPLANATIONS
    from mechdsl.errors import UsageError, did_you_mean

    code = options.code.upper()
    if code not in EXPLANATIONS:
        raise UsageError(f"there is no code '{options.code}'. {did_you_mean(code, EXPLANATIONS)}")
    print(EXPLANATIONS[code])
    return ANSWERED


def _export(arguments: list[str]) -> int:
    parser = _parser("export")
    _at_option(parser)
    parser.add_argument("--to", required=True, choices=("pyomo", "nl", "latex", "json"))
    parser.add_argument("-o", "--output", metavar="FILE", help="write there, not to stdout")
    options = parser.parse_args(arguments)
    model, registry = _loaded(options)
    from mechdsl.api import exported

    markets = _chosen(model, options)
    if _unhandled_fault(markets, registry, options):
        return AT_FAULT
    text = exported(markets, registry, options.to)
    if options.output is None:
        print(text)
    else:
        _write(options.output, text)
    return ANSWERED


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "solve": _solve,
    "inspect": _inspect,
    "check": _check,
    "fmt": _fmt,
    "plugins": _plugins,
    "explain": _explain,
    "export": _export,
}


# -------------------------------------------------------------------------------------------------------------- options


def _bare_parser(command: str) -> ArgumentParser:
    import argparse

    return argparse.ArgumentParser(
        prog=f"mechdsl {command}", description=f"{_SUMMARIES[command].capitalize()}.", allow_abbrev=False
    )


def _parser(command: str) -> ArgumentParser:
    """A parser of a command on one file, with the options that commands share."""
    parser = _bare_parser(command)
    parser.add_argument("file", metavar="FILE", help="a .mech file")
    parser.add_argument("--regime", action="append", default=[], metavar="R", help="these regimes alone")
    parser.add_argument("--set", action="append", default=[], metavar="D.LABEL=X", help="params, on top of the file's")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of params drawn with ~ (default 0)")
    _plugin_option(parser)
    return parser


def _at_option(parser: ArgumentParser) -> None:
    text = "reported types, on top of the file's"
    parser.add_argument("--at", action="append", default=[], metavar="C.LABEL=X", help=text)


def _plugin_option(parser: ArgumentParser) -> None:
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a market structure of one's own")


def _loaded(options: Namespace) -> tuple[Model, Registry]:
    """The model with the values of the command line, and the structures at hand."""
    from mechdsl.overrides import assignments
    from mechdsl.pipeline import load

    _existing(options.file)
    stated = (options.set, getattr(options, "at", []))
    overrides, report = ([o for text in given for o in assignments(text)] for given in stated)
    return load(options.file, overrides, report, options.seed), _registry(options)


def _chosen(model: Model, options: Namespace) -> tuple[Market, ...]:
    from mechdsl.api import chosen

    return chosen(model, [name for given in options.regime for name in given.split(",") if name])


def _registry(options: Namespace, *, quiet: bool = False) -> Registry:
    from pathlib import Path

    from mechdsl.structure import installed

    for name in options.plugin:
        _existing(name)
    found = installed([Path(name) for name in options.plugin])
    for broken in () if quiet else found.broken:
        print(f"plugin {broken.name} was not taken: {broken.reason}", file=sys.stderr)
    return found


def _existing(name: str) -> None:
    from pathlib import Path

    from mechdsl.errors import UsageError

    if not Path(name).exists():
        raise UsageError(f"there is no file '{name}'")
