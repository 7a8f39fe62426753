"""Which lines of the program a sample of inputs reaches, in the packages that a text goes through (by `sys.settrace`).

Every way gives so many inputs, and all that is kept joins them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import mechdsl

from .examine import examine
from .runs import WAYS, made
from .seeds import TABLES, seeds

__all__ = ["print_reached"]

_HOME = Path(mechdsl.__file__).parent
_PARTS = ("syntax", "formatter", "elaborate", "check.py", "formula.py", "evaluate.py", "errors.py")


def print_reached(inputs: int, seed: int, state: Path) -> None:
    """A table of the packages: lines that can run, and the share that did."""
    reached: set[tuple[str, int]] = set()
    texts = [made(way, seed, number) for way in WAYS for number in range(inputs)]
    texts += [s.text for s in seeds()]
    texts += [path.read_bytes().decode("utf-8", errors="replace") for path in sorted((state / "corpus").glob("*"))]

    def lines(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return lines

    def calls(frame: FrameType, event: str, argument: Any) -> Any:
        return lines if frame.f_code.co_filename in wanted else None

    files = {part: _files(_HOME / part) for part in _PARTS}
    wanted = {str(path) for paths in files.values() for path in paths}
    sys.settrace(calls)
    try:
        for number, text in enumerate(texts):
            examine(text, TABLES, layout=number % 16 == 1, check=number % 16 == 0)
    finally:
        sys.settrace(None)
    for part, paths in files.items():
        every = {(str(path), line) for path in paths for line in _lines(path)}
        print(f"{part:<12} {len(every):>5} lines, {len(every & reached) / len(every):.1%} reached")
        missed: dict[str, list[int]] = {}
        for path, line in sorted(every - reached):
            missed.setdefault(Path(path).name, []).append(line)
        print("".join(f"    {name}: {', '.join(map(str, rows))}\n" for name, rows in missed.items()), end="")


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def _lines(path: Path) -> set[int]:
    """The lines of the functions of a file that can run; what runs on import does not count."""
    found: set[int] = set()
    stack = [compile(path.read_text(encoding="utf-8"), str(path), "exec")]
    while stack:
        code = stack.pop()
        inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        stack += inner
        if code.co_flags & 0x2:  # a function, not a module or a class
            found |= {line for _, _, line in code.co_lines() if line and line != code.co_firstlineno}
    return found
