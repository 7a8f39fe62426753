"""What must hold of any market that is solved: an answer with its certificate, or words that say why there is none.

`mechdsl solve --json` as a person would call it, in this process. A mistake of ours (status 70), an answer that is no
object, a solver that gives up and a certificate that fails are findings; that a market has no solution is an answer.
"""

from __future__ import annotations

import io
import json
import shutil
import signal
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from mechdsl.cli import main

from .examine import Misdeed
from .guard import Breach
from .seeds import TABLES

__all__ = ["SECONDS", "solved"]

SECONDS = 60.0  # of processor time, for up to three regimes with their certificates

_ANSWERS = {"optimal", "attained", "infeasible", "unbounded", "unhandled"}


def solved(text: str, number: int = 0) -> str:
    """What became of a market: `model` with the code of its first mistake, or the statuses of its regimes.

    Raises:
        Misdeed: there is no answer, or it is not certified.
        Breach: it takes more than `SECONDS`.
    """
    out, err = io.StringIO(), io.StringIO()
    before = signal.signal(signal.SIGPROF, _out_of_time)
    with TemporaryDirectory() as folder, redirect_stdout(out), redirect_stderr(err):
        path = Path(folder) / "drawn.mech"
        path.write_text(text, encoding="utf-8")
        shutil.copy(TABLES / "costs.csv", folder)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            status = main(["solve", str(path), "--json"])
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
    if status not in (0, 1, 3, 4):
        raise Misdeed(f"status {status}: {err.getvalue()[-300:]}")
    said = json.loads(out.getvalue())
    if "regimes" not in said:
        codes = [fault["code"] for fault in said["errors"]]
        if status != 1 or not codes:
            raise Misdeed(f"status {status} without a reason")
        return f"model {codes[0]}"
    found = {name: regime["status"] for name, regime in said["regimes"].items()}
    for name, word in found.items():
        if word not in _ANSWERS:
            raise Misdeed(f"{name} {word}: {said['regimes'][name]['message']}")
        checks = said["regimes"][name].get("certificate", {}).get("checks", [])
        if failing := [check["name"] for check in checks if not check["passed"]]:
            raise Misdeed(f"{name} fails: {', '.join(failing)}")
    return " ".join(sorted(set(found.values())))


def _out_of_time(signum: int, frame: FrameType | None) -> None:
    raise Breach(f"more than {SECONDS} s")
