"""What commands share: the options of a command on one file, and the values they stand for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mechdsl.commands import COMMANDS
from mechdsl.errors import UsageError

if TYPE_CHECKING:
    from mechdsl.market import Market, Model
    from mechdsl.structure import Registry

__all__ = [
    "at_option",
    "awake",
    "bare_parser",
    "chosen",
    "existing",
    "file_parser",
    "loaded",
    "plugin_option",
    "registry",
    "write",
]


def bare_parser(command: str) -> argparse.ArgumentParser:
    """A parser that knows nothing but the command's name."""
    summary = f"{COMMANDS[command].capitalize()}."
    return argparse.ArgumentParser(prog=f"mechdsl {command}", description=summary, allow_abbrev=False)


def file_parser(command: str) -> argparse.ArgumentParser:
    """A parser of a command on one file, with the options that commands share."""
    made = bare_parser(command)
    made.add_argument("file", metavar="FILE", help="a .mech file")
    made.add_argument("--regime", action="append", default=[], metavar="R", help="these regimes alone")
    made.add_argument("--set", action="append", default=[], metavar="D.LABEL=X", help="params, on top of the file's")
    made.add_argument("--seed", type=int, default=0, metavar="S", help="of params drawn with ~ (default 0)")
    plugin_option(made)
    return made


def at_option(made: argparse.ArgumentParser) -> None:
    """`--at`, for commands that look at one report."""
    text = "reported types, on top of the file's"
    made.add_argument("--at", action="append", default=[], metavar="C.LABEL=X", help=text)


def plugin_option(made: argparse.ArgumentParser) -> None:
    """`--plugin`, repeatable."""
    text = "a file with a market structure, distributions or functions of one's own"
    made.add_argument("--plugin", action="append", default=[], metavar="FILE", help=text)


def loaded(options: argparse.Namespace) -> tuple[Model, Registry]:
    """The model with the values of the command line, and the structures at hand."""
    from mechdsl.overrides import assignments
    from mechdsl.pipeline import load

    existing(options.file)
    stated = (options.set, getattr(options, "at", []))
    overrides, report = ([o for text in given for o in assignments(text)] for given in stated)
    at_hand = registry(options)
    model = load(options.file, overrides, report, options.seed, at_hand.distributions.families, at_hand.functions)
    return model, awake(at_hand, model, options)


def awake(at_hand: Registry, model: Model, options: argparse.Namespace) -> Registry:
    """The registry with the structures loaded that know the model's contracts; broken ones are named on stderr."""
    asked = at_hand.knowing({c.kind for market in model.markets.values() for c in market.contracts})
    _say(asked, options)
    return asked


def chosen(model: Model, options: argparse.Namespace) -> tuple[Market, ...]:
    """The markets of the regimes asked for; all where none is named."""
    from mechdsl.api import chosen as named

    return named(model, [name for given in options.regime for name in given.split(",") if name])


def registry(options: argparse.Namespace, *, quiet: bool = False) -> Registry:
    """The structures installed and those of `--plugin`; broken ones are named on stderr."""
    from mechdsl.structure import installed

    for name in options.plugin:
        existing(name)
    found = installed([Path(name) for name in options.plugin])
    if not quiet:
        _say(found, options)
    return found


def _say(found: Registry, options: argparse.Namespace) -> None:
    """What is amiss with plugins, on stderr; what has been said is not said again."""
    said: list[str] = vars(options).setdefault("said", [])
    for sentence in found.troubles:
        if sentence not in said:
            said.append(sentence)
            print(sentence, file=sys.stderr)


def existing(name: str) -> None:
    """Wrong usage where there is no such file."""
    if not Path(name).exists():
        raise UsageError(f"there is no file '{name}'")


def write(name: str, text: str) -> None:
    """The text as a file; wrong usage where it cannot be written."""
    try:
        Path(name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"'{name}' cannot be written: {error.strerror}") from None
