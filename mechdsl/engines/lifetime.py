"""Processes that work for another end with it, however it ends: killed, it could not tell them."""

from __future__ import annotations

import os
import threading
from multiprocessing import parent_process
from multiprocessing.connection import wait

__all__ = ["end_with_parent"]


def end_with_parent() -> None:
    """A worker's first act: it will not outlive the process that started it."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """Wait for the end of another process, and end with it."""
    wait([sentinel])
    os._exit(1)
