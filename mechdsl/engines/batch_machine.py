"""The batch engine's machine code: built with the package or, failing that, once on this machine, from `batch.c`.

It is fixed code that plays tapes, so it is the same for all markets and nothing from a file is ever compiled. C rather
than numba: it loads in a millisecond where numba takes half a second, compiles in two seconds where numba takes
minutes, and takes several powers at once from glibc's vector library.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mechdsl.engines.batch_layout import Layout, Whole
from mechdsl.evaluate import Array

__all__ = ["Loaded", "compiled", "machine_code"]

SOURCE = Path(__file__).with_name("batch.c")
FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd")


def compiled() -> bool:
    """Whether the library is at hand, so that nothing has to be waited for."""
    return bool(_found())


@functools.cache
def machine_code() -> Any:
    """The library, or None where there is neither one at hand that can be loaded nor a compiler to make it."""
    for path in _found():
        library = _opened(path)
        if library is not None:
            return library
    compiler = os.environ.get("CC", "").split() or [c for c in ("cc", "gcc", "clang") if shutil.which(c)][:1]
    for folder in _caches() if compiler else ():
        made = _compiled(compiler, folder, _name())
        if made is not None:
            return _opened(made)
    return None


def _found() -> list[Path]:
    # In a source tree what was once built beside the source may be of another day.
    tree = SOURCE.parents[2] / "pyproject.toml"
    built = [] if tree.is_file() else sorted(SOURCE.parent.glob("batch_code*"))
    return [*built, *(path for f in _caches() if _private(f) and (path := f / _name()).is_file())]


def _private(folder: Path) -> bool:
    """Whether no one else can write there: what is loaded runs."""
    if not folder.is_dir():
        return False
    known = folder.stat()
    return known.st_uid == os.getuid() and not known.st_mode & 0o022


@functools.cache
def _name() -> str:
    """Of the library: another source, other flags or another machine make another one."""
    key = hashlib.sha256(SOURCE.read_bytes() + " ".join((*FLAGS, platform.machine())).encode()).hexdigest()[:20]
    return f"batch-{key}{sysconfig.get_config_var('SHLIB_SUFFIX') or '.so'}"


def _caches() -> tuple[Path, ...]:
    """Where it is kept: the user's cache, found without $HOME too."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - Path's raises
    return (Path(base) / "mechdsl",) if Path(base).is_absolute() else ()


def _compiled(compiler: list[str], folder: Path, name: str) -> Path | None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _private(folder):
            return None
        with tempfile.TemporaryDirectory(dir=folder) as room:
            target = Path(room) / name
            command = [*compiler, *FLAGS, "-o", str(target), str(SOURCE), "-lm"]
            done = subprocess.run(command, capture_output=True, check=False)
            if done.returncode == 0:
                return target.replace(folder / name)  # at once: another process may be doing the same
    except OSError:  # a full or read-only disk, a compiler that is none
        return None
    return None


def _opened(path: Path) -> Any:
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None


class Loaded:
    """A programme's structure as the machine code wants it: one word a field, numbers or addresses."""

    def __init__(self, layout: Layout, numbers: Array, open_at: Whole, library: Any) -> None:
        self._kept = (layout, numbers, open_at)  # the addresses stay good as long as these live
        words = [v if isinstance(v, int) else v.ctypes.data for v in layout]
        self._words = np.array(words, dtype=np.int64)
        self.columns, self.rows, self.opens = layout.n, layout.m, len(open_at)
        self._library = library

    def solve(
        self, opened: Array, related: bool, start: tuple[Array, Array] | None = None
    ) -> tuple[Array, Array, Array, Array, Whole]:
        """Solutions, multipliers, boxes that hold every optimum, and how each ended (0: found).

        Args:
            opened: (N, P) what the open entries of the numbers are multiplied by.
            related: whether each problem is near to the one before.
            start: columns and multipliers to begin with; programmes that are not monotone need one.
        """
        _, numbers, open_at = self._kept
        opened = np.ascontiguousarray(opened, dtype=np.float64)
        count = len(opened)
        x, low, high = (np.empty((count, self.columns)) for _ in range(3))
        multipliers = np.empty((count, self.rows))
        status = np.empty(count, dtype=np.int64)

        def at(table: Any) -> ctypes.c_void_p:
            return ctypes.c_void_p(table.ctypes.data)

        opens, problems, near = (ctypes.c_int64(number) for number in (self.opens, count, related))
        first = (None, None) if start is None else (at(start[0]), at(start[1]))
        tables = (at(table) for table in (x, multipliers, low, high, status))
        given = (at(self._words), at(numbers), at(open_at), opens, at(opened), problems, near, *first)
        done = self._library.mechdsl_solve(*given, *tables)
        if not done:
            raise MemoryError
        return x, multipliers, low, high, status
