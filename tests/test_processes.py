"""Processes beside this one: answers as from a call, what a lost one leaves done by others, and none that stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import pytest

from mechdsl.engines.processes import NoProcessError, Processes
from mechdsl.errors import InternalError

HERE = Path(__file__).parent


def answered(work: Processes[int, int], given: range) -> list[int]:
    futures = [work.submit(n) for n in given]
    while not all(future.done() for future in futures):
        assert work.first_done()
    return [future.result() for future in futures]


def square(number: int) -> int:
    return number * number


def root(number: int) -> int:
    if number < 0:
        raise ValueError(f"{number} has none")
    return int(number**0.5)


def once(mark: Path, number: int) -> int:
    """Ends its process at 3, the first time."""
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return -number


def ended(number: int) -> int:
    os._exit(number)


def unsendable(number: int) -> object:
    """A function made here; or an error that holds one."""
    if number:
        raise ValueError(lambda: number)
    return lambda: number


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_answers_are_those_of_a_call(method: str) -> None:
    with Processes(square, 2, method) as work:
        assert answered(work, range(20)) == [n * n for n in range(20)]
    assert not active_children()


def test_what_is_raised_there_is_raised_here() -> None:
    with Processes(root, 1) as work:
        future = work.submit(-4)
        assert work.first_done() == [future]
        with pytest.raises(ValueError, match="-4 has none"):
            future.result()
        assert answered(work, range(3)) == [0, 1, 1]  # it goes on


def test_what_cannot_be_sent_is_said_in_words() -> None:
    with Processes(unsendable, 1) as work:
        futures = [work.submit(n) for n in (0, 1)]
        while not all(future.done() for future in futures):
            work.first_done()
        for future, said in zip(futures, ("function: ", "lambda"), strict=True):
            with pytest.raises(InternalError, match=said):
                future.result()


def test_what_a_lost_process_leaves_others_do(tmp_path: Path) -> None:
    with Processes(partial(once, tmp_path / "mark"), 2) as work:
        assert answered(work, range(9)) == [-n for n in range(9)]
    assert (tmp_path / "mark").exists()


def test_when_all_are_lost_it_is_said() -> None:
    with Processes(ended, 2) as work, pytest.raises(NoProcessError):
        answered(work, range(1, 4))
    assert not active_children()


LONG = """
import os, sys, time
from mechdsl.engines.processes import Processes

def work(_):
    print(os.getpid(), flush=True)
    time.sleep(60)

with Processes(work, 2, "fork") as beside:
    for n in range(2):
        beside.submit(n)
    beside.first_done()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
def test_they_end_with_a_process_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", LONG], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert [started.stdout.readline() != "" for _ in range(2)] == [True, True]
        started.kill()
        rest, _ = started.communicate(timeout=30)  # the end of the pipe: nobody is left who could write to it
    assert rest == ""


STOPPED = """
import sys, time
sys.path.insert(0, {here!r})
from mechdsl.engines.processes import Processes
from test_processes import square

try:
    print("begun", flush=True)
    with Processes(square, 2, {method!r}) as beside:
        while True:
            beside.submit(3)
            beside.first_done()
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="processes have groups on POSIX")
@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("after", [0.0, 0.05, 0.1, 0.2, 0.4, 0.8])
def test_stopped_at_any_moment_nothing_is_said_or_stays(method: str, after: float) -> None:
    """Ctrl-C reaches the whole group, as it does from a terminal; no process says a word, nor lives on."""
    call = [sys.executable, "-c", STOPPED.format(here=str(HERE), method=method)]
    with subprocess.Popen(call, stdout=-1, stderr=-1, text=True, start_new_session=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "begun\n"
        time.sleep(after)
        os.killpg(started.pid, signal.SIGINT)
        said = started.communicate(timeout=30)  # ends when nobody is left to write
    assert said == ("stopped\n", "")
