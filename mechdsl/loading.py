"""Other people's code, run at arm's length: what it raises, prints or takes too long for becomes a sentence.

A plugin is code that nobody here has seen. Whatever it does while it is loaded, the command that met it goes on without
it and says why. Only a file that the user names is waited for as long as it takes.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

__all__ = [
    "PATIENCE",
    "Attempt",
    "OvertimeError",
    "Point",
    "attempt",
    "deadline",
    "failure",
    "module",
    "packages",
    "points",
    "tried",
]

GROUPS = ("mechdsl.structures", "mechdsl.contracts", "mechdsl.distributions", "mechdsl.functions")
PATIENCE = 10.0  # seconds that an installed plugin may take to load
_SHOWN = 200  # characters of what a plugin printed or raised


class OvertimeError(BaseException):
    """The time was up; no `except Exception` on the way is meant for it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it: a `value`, or the `reason` why there is none; `printed` says what it wrote to stdout."""

    value: Any = None
    reason: str = ""
    printed: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """An installed plugin, not loaded yet: the name and the object its package declares (`package.module:NAME`).

    `own`: of mechdsl itself, which is waited for; `package`: whose it is, and its version.
    """

    name: str
    origin: str
    load: Callable[[], Any]
    own: bool = False
    package: str = ""


@lru_cache(maxsize=16)  # what is installed does not change while a program runs
def points(group: str) -> tuple[Point, ...]:
    """The entry points of a group, our own first, by name; two packages may declare the same name."""
    found = [
        Point(
            p.name, p.value, p.load, p.value.startswith("mechdsl."), f"{p.dist.name} {p.dist.version}" if p.dist else ""
        )
        for p in entry_points(group=group)
    ]
    return tuple(sorted(found, key=lambda p: (not p.own, p.name, p.origin)))


def packages() -> tuple[str, ...]:
    """Other packages that bring plugins, with their versions."""
    return tuple(sorted({p.package for group in GROUPS for p in points(group) if not p.own}))


@lru_cache(maxsize=1024)
def tried(point: Point) -> Attempt:
    """The plugin, loaded once: a second look costs nothing, least of all at one that takes too long."""
    return attempt(point.load, None if point.own else PATIENCE)


def attempt(load: Callable[[], Any], seconds: float | None = PATIENCE) -> Attempt:
    """Call `load`; nothing that it does takes the caller with it.

    Args:
        load: of a plugin.
        seconds: how long it may take; None: as long as it takes.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), deadline(seconds):
            value = load()
    except OvertimeError:
        reason = f"it was not loaded within {seconds:g} seconds; with --plugin its file is waited for"
        return Attempt(reason=reason, printed=_said(printed))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may fail in any way
        return Attempt(reason=failure(error), printed=_said(printed))
    return Attempt(value, printed=_said(printed))


def _said(printed: io.StringIO) -> str:
    return _short(printed.getvalue())


@contextlib.contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Raise `OvertimeError` in what runs inside once the time is up.

    Where there are no alarms (another thread than the main one, Windows) nothing is ever too late.
    """
    alarms = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not alarms:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise OvertimeError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def failure(error: BaseException, files: Collection[str] = ()) -> str:
    """What a plugin's exception says, in words, with the line where its own code stood.

    Args:
        error: as caught.
        files: the plugin's own; empty: whatever was being run last.
    """
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"it needs the module '{error.name}', which is not installed"
    if isinstance(error, SystemExit):
        return "it asked Python to exit"
    if isinstance(error, SyntaxError):
        return f"it is no Python: {error.msg} ({Path(error.filename or '').name}, line {error.lineno})"
    said = _short(str(error))
    place = ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files or not files]
    if frames and Path(frames[-1].filename).is_file():
        function = "" if frames[-1].name == "<module>" else f" of {frames[-1].name}"
        place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno}{function})"
    return f"{type(error).__name__}{': ' if said else ''}{said}{place}"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}..."


def module(path: Path) -> ModuleType:
    """The module of a Python file that is on no path; once loaded it is importable by the name it got, so that its
    values can be told apart and pickled.
    """
    name = f"mechdsl_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file (.py)")
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made  # dataclasses in it look themselves up
    try:
        spec.loader.exec_module(made)
    except BaseException:
        del sys.modules[name]
        raise
    return made
