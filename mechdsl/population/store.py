"""A run folder: the finished parts of a task, named by a hash of everything that their numbers depend on.

A part appears whole or not at all, so a run that is killed loses at most what was being computed. The folder lies where
the system keeps what can be made again, and goes when the run is done.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mechdsl.population.rows import Rows, from_bytes, to_bytes
from mechdsl.population.task import Task

__all__ = ["Store", "store_of"]


@dataclass(frozen=True, slots=True)
class Store:
    """The folder of one task; None where nothing is kept."""

    folder: Path | None

    def finished(self) -> frozenset[int]:
        """The numbers of the parts that are there."""
        if self.folder is None or not self.folder.is_dir():
            return frozenset()
        return frozenset(int(path.stem) for path in self.folder.glob("*.npz") if path.stem.isdigit())

    def save(self, number: int, rows: Rows) -> None:
        """Keep a part. The run goes on where the disk does not take it."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"{number}.npz"
        unfinished = target.with_suffix(f".{os.getpid()}.part")
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **to_bytes(rows))
        unfinished.replace(target)

    def load(self, number: int) -> Rows | None:
        """A part that was kept; None where it cannot be read."""
        assert self.folder is not None
        try:
            with (self.folder / f"{number}.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return from_bytes({name: arrays[name] for name in arrays.files})
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def clear(self) -> None:
        """Forget everything."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def store_of(task: Task) -> Store:
    """Where the parts of a task are kept: `$XDG_CACHE_HOME/mechdsl/runs`, or `~/.cache/...`; nowhere if that fails."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    folder = Path(home) / "mechdsl" / "runs" / task.fingerprint
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Store(None)
    return Store(folder if os.access(folder.parent, os.W_OK) else None)
