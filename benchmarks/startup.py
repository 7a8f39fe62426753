"""What it costs to start: `mechdsl` at its lightest, and at work on a small file, against a bare Python.

A command that prints its help must not load sympy, Pyomo or Ipopt. The commands take turns, so that whatever else the
machine is doing slows all of them; the ratio to `python -c pass`, in the same interpreter, is what counts.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

GOAL = 3.0  # `mechdsl --help` to bare Python
MODEL = Path(__file__).resolve().parent.parent / "models" / "ai_2025" / "six_regimes.mech"


def commands(model: str) -> dict[str, list[str]]:
    """By the name under which they are listed, the bare Python first; mechdsl as installed beside this Python."""
    mechdsl = str(Path(sysconfig.get_path("scripts")) / "mechdsl")
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "mechdsl --version": [mechdsl, "--version"],
        "mechdsl --help": [mechdsl, "--help"],
        "mechdsl check FILE": [mechdsl, "check", model],
        "mechdsl solve FILE --regime M1": [mechdsl, "solve", model, "--regime", "M1"],
    }


def run(command: Sequence[str]) -> tuple[float, float]:
    """Seconds on the clock and of processor time.

    Raises:
        SystemExit: it did not do what it was asked.
    """
    clock, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    clock, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {ended.returncode}\n{ended.stderr or ended.stdout}")
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=25, metavar="N", help="of each command (25)")
    parser.add_argument("--quick", action="store_true", help="5 runs of each")
    parser.add_argument("model", nargs="?", default=str(MODEL), metavar="FILE", help="a file with a regime M1")
    given = parser.parse_args()
    listed = commands(given.model)
    runs = 5 if given.quick else given.runs
    for command in listed.values():  # files into memory, bytecode onto disk
        run(command)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in listed}
    for _ in range(runs):
        for name, command in listed.items():
            taken[name].append(run(command))
    bare, *_ = (tuple(map(median, zip(*times, strict=True))) for times in taken.values())
    print(f"Median of {runs} runs, taking turns; ratios to bare Python (goal: --help at most {GOAL:g})")
    print(f"  {'':32}{'seconds':>9}{'ratio':>8}{'processor':>11}")
    for name, times in taken.items():
        clock, processor = map(median, zip(*times, strict=True))
        print(f"  {name:32}{clock:9.3f}{clock / bare[0]:8.2f}{processor / bare[1]:11.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
