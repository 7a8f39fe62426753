"""What is at work, in a line on stderr where that is a terminal, once it takes long enough for somebody to wonder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

__all__ = ["at_work"]

_PATIENCE = 0.4  # seconds


@contextmanager
def at_work() -> Iterator[Callable[[str], None]]:
    """`with at_work() as say: say("M3: solving")`; the line is gone at the end."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn("line"), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    line = Progress(*columns, console=Console(stderr=True), transient=True)
    shown = line.add_task("", total=None)
    begun = Timer(_PATIENCE, line.start)
    begun.daemon = True
    begun.start()
    try:
        yield lambda text: line.update(shown, description=text)
    finally:
        begun.cancel()
        begun.join()
        line.stop()
