"""Bounds on one input: seconds of processor time, bytes of memory, and what it may touch.

Python's audit events tell of every file opened, every piece of code run and every process begun; while an input is
watched, all are refused but reading the input's own folder and loading installed modules. Processor time counts, not
the clock, so that a busy machine slows a run without failing it.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

__all__ = ["MEMORY", "SECONDS", "Breach", "limit_memory", "watched"]

SECONDS = 2.0
MEMORY = 500_000_000

_MODULES = (".py", ".pyc", ".so", ".lark")
_DEVICES = ("/dev/null", "/dev/urandom", "/proc/self")
_FORBIDDEN = ("os.", "subprocess.", "socket.", "shutil.", "pty.", "urllib.", "ftplib.", "http.", "winreg.", "tempfile.")
_HARMLESS = {"os.listdir", "os.scandir", "os.fwalk", "os.walk"}  # how modules are found
_MAKERS = ("/dataclasses.py", "/sympy/polys/monomials.py")


class Breach(BaseException):
    """What no input may cause; no `except Exception` on the way hides it."""


class _Watch:
    """Whether an input is being watched, and the folder it may read."""

    __slots__ = ("breaches", "folder", "hooked", "on")

    def __init__(self) -> None:
        self.on = False
        self.folder = os.devnull
        self.breaches: list[str] = []
        self.hooked = False


_WATCH = _Watch()


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _WATCH.on and not _allowed(event, arguments):
        _WATCH.breaches.append(f"{event} {arguments!r:.200}")
        raise Breach(_WATCH.breaches[-1])


def _allowed(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, int):
            return True  # a descriptor that is open already
        writes = (
            flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) if mode is None else set(mode) & set("wax+")
        )
        place = os.path.realpath(os.fsdecode(path))
        return not writes and (place.endswith(_MODULES) or place.startswith((*_DEVICES, _WATCH.folder)))
    if event in {"compile", "exec"}:
        name = arguments[0].co_filename if event == "exec" and isinstance(arguments[0], CodeType) else arguments[-1]
        return (isinstance(name, str) and Path(name).suffix == ".py" and Path(name).is_file()) or _by_a_maker()
    return not event.startswith(_FORBIDDEN) or event in _HARMLESS


def _by_a_maker() -> bool:
    """Whether code is being made by a library that writes its own, of texts that are no input's."""
    return sys._getframe(3).f_code.co_filename.endswith(_MAKERS)


def _out_of_time(signum: int, frame: FrameType | None) -> None:
    raise Breach(f"more than {SECONDS} s")


@contextmanager
def watched(folder: Path | None, seconds: float = SECONDS) -> Iterator[None]:
    """Within: an input at work, that may read `folder` and think for `seconds`. Raises `Breach` where it is crossed."""
    if not _WATCH.hooked:  # a hook is for life
        sys.addaudithook(_audit)
        _WATCH.hooked = True
    _WATCH.breaches.clear()
    _WATCH.folder = os.devnull if folder is None else str(folder.resolve()) + os.sep
    before = signal.signal(signal.SIGPROF, _out_of_time)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    _WATCH.on = True
    try:
        yield
    finally:
        _WATCH.on = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    if _WATCH.breaches:  # somebody swallowed it
        raise Breach(_WATCH.breaches[0])


def limit_memory(more: int = MEMORY) -> None:
    """From here on this process may hold `more` bytes than it does, and gets a MemoryError beyond."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    data = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (data + more, resource.getrlimit(resource.RLIMIT_DATA)[1]))
