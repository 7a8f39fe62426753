"""Processes beside this one that apply a function to what they are handed.

No thread of this process waits on them, so that it can be stopped at any moment and they with it: Ctrl-C is for the
process that the user sees, and none of them outlives it, even where it is killed and could not tell them.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from typing import Any, Generic, TypeVar, cast

from mechdsl.errors import InternalError

__all__ = ["NoProcessError", "Processes", "processors"]

AHEAD = 2  # pieces of work a process knows of

Given = TypeVar("Given")
Found = TypeVar("Found")


class NoProcessError(Exception):
    """Every process was ended from outside, for want of memory perhaps, before all was done."""


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes(Generic[Given, Found]):
    """Some processes, from `with` to its end, and one queue for all; what a lost one leaves, the others take.

    Args:
        function: what to apply.
        count: how many processes.
        method: how they start: `spawn`, or `fork` (sooner, and safe where no other thread runs).
    """

    def __init__(self, function: Callable[[Given], Found], count: int, method: str = "spawn") -> None:
        self._queue: deque[tuple[Given, Future[Found]]] = deque()
        self._at: dict[Connection, deque[tuple[Given, Future[Found]]]] = {}
        self._started: list[Any] = []
        context: Any = get_context(method)
        try:
            with _undisturbed(), _no_script():
                for _ in range(count):
                    here, there = context.Pipe()
                    process = context.Process(target=_serve, args=(function, there), daemon=True)
                    process.start()
                    there.close()
                    self._at[here] = deque()
                    self._started.append(process)
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Processes[Given, Found]:
        return self

    def __exit__(self, *raised: object) -> None:
        self._end()

    def submit(self, given: Given) -> Future[Found]:
        """Queue `given`. It must be small: a process is told what comes next while it is still at work."""
        future: Future[Found] = Future()
        self._queue.append((given, future))
        self._feed()
        return future

    def first_done(self, waiting: Sequence[Future[Found]] = ()) -> Sequence[Future[Found]]:
        """Wait until some of what was handed over is done. What `function` raised, `result()` raises.

        Raises:
            NoProcessError: there is no process any more.
        """
        done: list[Future[Found]] = []
        while not done:
            self._feed()
            if not self._at:
                raise NoProcessError
            for connection in cast(list[Connection], wait([c for c, work in self._at.items() if work])):
                try:
                    found, error = connection.recv()
                except (EOFError, OSError):  # it is gone
                    self._queue.extendleft(reversed(self._at.pop(connection)))
                    connection.close()
                    continue
                _, future = self._at[connection].popleft()
                if error is None:
                    future.set_result(found)
                else:
                    future.set_exception(error)
                done.append(future)
        self._feed()
        return done

    def _feed(self) -> None:
        """One piece of work for everybody, and the next, so that nobody waits for this process."""
        for most in range(1, AHEAD + 1):
            for connection, work in self._at.items():
                if self._queue and len(work) < most:
                    work.append(self._queue.popleft())
                    with suppress(OSError):  # it is gone, as `first_done` will find
                        connection.send(work[-1][0])

    def _end(self) -> None:
        """What they are at is of no use any more; it would only be waited for."""
        for connection in self._at:
            connection.close()
        for process in self._started:
            process.terminate()
        for process in self._started:
            process.join()


def _serve(function: Callable[[Any], Any], connection: Connection) -> None:
    """A process's life: answer what is asked, until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    while True:
        try:
            given = connection.recv()
        except (EOFError, OSError):
            return
        found, error = None, None
        try:
            found = function(given)
        except Exception as raised:  # noqa: BLE001 - raised again where it was asked for
            error = raised
        try:
            connection.send((found, error))
        except OSError:  # nobody wants to know any more
            return
        except Exception as unsaid:  # noqa: BLE001 - what cannot be sent is said in words
            connection.send((None, InternalError(f"{error or type(found).__name__}: {unsaid}")))


def _end_with(sentinel: int) -> None:
    """Wait for the end of another process, and end with it."""
    wait([sentinel])
    os._exit(1)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A Ctrl-C waits; a process that starts inherits that, and is not stopped before it knows what it is."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield  # Ctrl-C does not reach other threads
        return
    ensure_running()  # which `spawn` does otherwise, and thereby lets Ctrl-C through again
    caught: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if caught:  # by another thread of this process
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _no_script() -> Iterator[None]:
    """What starts here is not told of the caller's script: it needs nothing of it, and would run it from the top."""
    main: dict[str, Any] = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)
