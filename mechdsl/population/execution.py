"""Who computes the parts of a task: this process, processes beside it, or the workers of a Dask cluster.

All three run the same function on the same text and numbers. Parts come back in any order and are handed on in theirs,
few enough at a time that memory does not grow with the task.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from mechdsl.engines.processes import NoProcessError, Processes, processors
from mechdsl.errors import UsageError
from mechdsl.population.rows import Rows, computed
from mechdsl.population.store import Store
from mechdsl.population.task import Part, Task

__all__ = ["Work", "rows_of"]

WORTH_PROCESSES = 6.0  # seconds of work left that more processes (each of which must load and compile) begin to pay


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


def rows_of(task: Task, store: Store, work: Work) -> Generator[Rows]:
    """The rows of every part, in order, each kept as soon as it is there.

    Raises:
        MechError: a point's values do not fit the market.
        UsageError: there is no such cluster, or every process beside this one was ended.
    """
    parts = task.parts
    if not work.resume:
        store.clear()
    kept = store.finished()
    pending = [p for p in parts if p.number not in kept]
    fresh = _computed(task, pending, work, store if len(parts) > 1 else Store(None))
    for done, part in enumerate(parts, 1):
        rows = store.load(part.number) if part.number in kept else None
        if rows is None:
            rows = computed(task, part) if part.number in kept else next(fresh)
        work.progress(done, len(parts))
        yield rows


def _computed(task: Task, parts: Sequence[Part], work: Work, store: Store) -> Iterator[Rows]:
    """The rows of these parts, in order."""
    if work.scheduler is not None:
        yield from _on_cluster(task, parts, work.scheduler, store)
        return
    jobs = work.jobs if work.jobs is not None else processors()
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


def _in_processes(task: Task, parts: Sequence[Part], jobs: int, store: Store) -> Iterator[Rows]:
    try:
        with Processes(partial(computed, task), jobs) as beside:
            yield from _ordered(parts, 3 * jobs, beside.submit, beside.first_done, store)
    except NoProcessError:
        remedy = "try --jobs 1; --resume takes what is finished"
        raise UsageError(
            f"the {jobs} processes were ended from outside, for want of memory perhaps: {remedy}"
        ) from None


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
