"""`mechdsl new structure NAME`: a folder with a plugin that works, to start from."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from mechdsl.commands import ANSWERED
from mechdsl.commands.arguments import bare_parser
from mechdsl.errors import MechError, UsageError

__all__ = ["run"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def run(arguments: list[str]) -> int:
    """Writes the package and says what to do with it."""
    parser = bare_parser("new")
    parser.add_argument("what", choices=("structure",), help="what to begin")
    parser.add_argument("name", metavar="NAME", help="of the structure and of its kind of contract")
    parser.add_argument("--into", metavar="DIR", default=".", help="where its folder goes (default: here)")
    options = parser.parse_args(arguments)
    name, parent = options.name, Path(options.into)
    _refuse_unfit(name)
    if not parent.is_dir():
        raise UsageError(f"there is no folder '{options.into}'")
    folder = parent / name
    if folder.exists():
        raise UsageError(f"'{folder}' exists already: choose another name, or another place with --into")
    from mechdsl.starter import starting_package

    try:
        for place, text in starting_package(name).items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"'{folder}' cannot be written: {error.strerror}") from None
    print(
        f"{folder}/ holds a market structure that works: contract A -> B: {name}(margin = 0.25).\n"
        f"  cd {folder}\n"
        f"  mechdsl solve {name}.mech --plugin src/mechdsl_{name}.py\n"
        f"  python -m pytest\n"
        f"Then make it yours, starting with README.md."
    )
    return ANSWERED


def _refuse_unfit(name: str) -> None:
    """Wrong usage where the name cannot be that of a new kind of contract."""
    if not _NAME.fullmatch(name):
        likely = re.sub(r"\W+", "_", name).strip("_").lower()
        meant = f" Did you mean '{likely}'?" if _NAME.fullmatch(likely) else ""
        raise UsageError(f"'{name}' is no name: it is made of a to z, 0 to 9 and _, a letter first, at most 40.{meant}")
    if keyword.iskeyword(name):
        raise UsageError(f"'{name}' means something in Python: choose another name")
    from mechdsl import syntax
    from mechdsl.starter import starting_package
    from mechdsl.structure import installed

    try:
        syntax.parse(starting_package(name)[f"{name}.mech"], name)
    except MechError:
        raise UsageError(f"'{name}' means something in the language: choose another name") from None
    registry = installed()
    if name in (*registry.kinds, *(s.name for s in registry.structures)):
        raise UsageError(f"'{name}' is taken: choose another name (`mechdsl plugins` lists those there are)")
