"""The option `--update-golden`: accept the messages that the golden cases now get, instead of comparing them; a command
run in this process; and Ctrl-C as a person has it, in every test.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

CASES = Path(__file__).parent / "cases"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the .expected files anew; read the diff after")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command in this process: exit status, stdout, stderr."""
    from mechdsl.cli import main

    def command(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([str(a) for a in arguments])
        return status, *capsys.readouterr()

    return command


def pytest_runtest_setup() -> None:
    """Ctrl-C is heard, whoever started the tests, and whatever a notebook's kernel has left behind."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
