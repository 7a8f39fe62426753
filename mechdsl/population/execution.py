"""Who computes the parts of a task: this process, processes beside it, or the workers of a Dask cluster.

All three run the same function on the same text and numbers. Parts come back in any order and are handed on in theirs,
few enough at a time that memory does not grow with the task.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from typing import Any

from mechdsl.engines.lifetime import end_with_parent
from mechdsl.errors import UsageError
from mechdsl.population.rows import Rows, computed
from mechdsl.population.store import Store
from mechdsl.population.task import Part, Task

__all__ = ["Interrupted", "Work", "rows_of"]

WORTH_PROCESSES = 6.0  # seconds of work left that more processes (each of which must load and compile) begin to pay


class Interrupted(KeyboardInterrupt):
    """Stopped by the user; `finished` of `parts` are kept for `--resume`."""

    def __init__(self, finished: int, parts: int) -> None:
        super().__init__(finished, parts)
        self.finished, self.parts = finished, parts


@dataclass(frozen=True, slots=True)
class Work:
    """How a task is worked on.

    Args:
        jobs: processes; None for as many as pay.
        scheduler: address of a Dask scheduler; None for this machine.
        resume: take what an earlier run of the same task has finished.
        progress: told how many parts are done.
    """

    jobs: int | None = None
    scheduler: str | None = None
    resume: bool = False
    progress: Callable[[int, int], None] = lambda done, parts: None


def rows_of(task: Task, store: Store, work: Work) -> Iterator[Rows]:
    """The rows of every part, in order, each kept as soon as it is there.

    Raises:
        Interrupted: by the user; what was finished is kept.
        MechError: a point's values do not fit the market.
    """
    parts = task.parts
    if not work.resume:
        store.clear()
    kept = store.finished()
    done = 0
    try:
        pending = [p for p in parts if p.number not in kept]
        fresh = _computed(task, pending, work, store if len(parts) > 1 else Store(None))
        for part in parts:
            rows = store.load(part.number) if part.number in kept else None
            if rows is None:
                rows = computed(task, part) if part.number in kept else next(fresh)
            done += 1
            work.progress(done, len(parts))
            yield rows
    except KeyboardInterrupt:
        raise Interrupted(len(store.finished()), len(parts)) from None


def _computed(task: Task, parts: Sequence[Part], work: Work, store: Store) -> Iterator[Rows]:
    """The rows of these parts, in order."""
    if work.scheduler is not None:
        yield from _on_cluster(task, parts, work.scheduler, store)
        return
    jobs = work.jobs if work.jobs is not None else _processors()
    began = time.monotonic()
    for n, part in enumerate(parts):
        left = len(parts) - n
        spent = time.monotonic() - began
        # With --jobs as said; else once the work that is left, at the pace so far, is worth it.
        if jobs > 1 and left > 1 and (work.jobs is not None or (n > 0 and spent / n * left > WORTH_PROCESSES)):
            yield from _in_processes(task, parts[n:], min(jobs, left), store)
            return
        rows = computed(task, part)
        store.save(part.number, rows)
        yield rows


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_processes(task: Task, parts: Sequence[Part], jobs: int, store: Store) -> Iterator[Rows]:
    others = active_children()
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_attend)
    try:
        yield from _ordered(parts, 3 * jobs, lambda part: _submitted(pool, task, part), _first_done, store)
    except BaseException:  # what they are at is of no use any more; it would only be waited for
        for child in active_children():
            if child not in others:
                child.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, task: Task, part: Part) -> Future[Rows]:
    """A part handed over; a Ctrl-C waits until the process that this may start is one that can be ended.

    Between its start and its first message a process belongs to nobody: it would end with a traceback of its own. It
    inherits that Ctrl-C is blocked.
    """
    if threading.current_thread() is not threading.main_thread():  # which Ctrl-C does not reach
        with _no_script():
            return pool.submit(computed, task, part)
    caught: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _no_script():
            return pool.submit(computed, task, part)
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


def _attend() -> None:
    """A worker's first act: Ctrl-C is for the process that the user sees, and a worker does not outlive that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def _first_done(waiting: Sequence[Future[Rows]]) -> Sequence[Future[Rows]]:
    return list(wait(waiting, return_when=FIRST_COMPLETED).done)


def _ordered(
    parts: Sequence[Part],
    window: int,
    submit: Callable[[Part], Any],
    first_done: Callable[[Sequence[Any]], Sequence[Any]],
    store: Store,
) -> Iterator[Rows]:
    """Results in the order of the parts, never more than `window` under way or waiting for their turn."""
    running: dict[Any, Part] = {}
    ready: dict[int, Rows] = {}
    todo = iter(parts)
    for part in parts:
        while part.number not in ready:
            while len(running) + len(ready) < window and (following := next(todo, None)) is not None:
                running[submit(following)] = following
            for future in first_done(list(running)):
                finished = running.pop(future)
                rows = future.result()
                store.save(finished.number, rows)
                ready[finished.number] = rows
        yield ready.pop(part.number)


def _on_cluster(task: Task, parts: Sequence[Part], address: str, store: Store) -> Iterator[Rows]:
    """On the workers of a Dask scheduler; what a lost worker had not delivered, another computes.

    Raises:
        UsageError: Dask is not installed, or no scheduler answers at the address.
    """
    try:
        from distributed import Client
        from distributed import wait as wait_there
    except ImportError:
        raise UsageError("--scheduler needs Dask: pip install 'mechdsl[cluster]'") from None
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"no Dask scheduler answers at '{address}': {error}") from None

    def first_done(waiting: Sequence[Any]) -> Sequence[Any]:
        with client.as_current():
            return list(wait_there(waiting, return_when="FIRST_COMPLETED").done)

    def submit(part: Part) -> Any:
        return client.submit(computed, task, part, pure=False, retries=3)

    try:
        workers = max(1, len(client.nthreads()))
        yield from _ordered(parts, 4 * workers, submit, first_done, store)
    finally:
        client.close()
