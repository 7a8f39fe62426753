"""`python -m tests.fuzz`: the long run, one process at a time, resumable, with its figures.

python -m tests.fuzz --inputs 1000000            from where the last run stopped, until so many are done in all
python -m tests.fuzz --inputs 500 --ways market  markets drawn at random, solved and certified
python -m tests.fuzz --figures                   what has come of them so far
python -m tests.fuzz --show mutation:4711        one input
python -m tests.fuzz --coverage 2000             which lines a sample reaches
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from .guard import limit_memory
from .runs import Tally, made, warm_up, work

_SHARES = {"grammar": 0.3, "mutation": 0.4, "guided": 0.3, "market": 1.0}  # markets are solved: ask for them alone
_TURN = 50_000  # inputs a process makes before the next takes over, so that nothing can pile up


def main() -> int:
    """Run, or tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=0, help="in all, over the ways")
    parser.add_argument("--ways", default="grammar,mutation,guided", help="which, with commas; guided needs atheris")
    parser.add_argument("--state", type=Path, default=Path("build/fuzz"), help="the folder that remembers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--figures", action="store_true", help="print what has come of it so far, and no more")
    parser.add_argument("--show", metavar="WAY:NUMBER", help="print one input")
    parser.add_argument("--coverage", type=int, metavar="N", help="lines reached by N inputs a way, and the corpus")
    parser.add_argument("--worker", metavar="WAY:UNTIL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    ways = options.ways.split(",")
    options.state.mkdir(parents=True, exist_ok=True)
    if options.show:
        way, number = options.show.split(":")
        sys.stdout.write(made(way, options.seed, int(number)))
    elif options.worker:
        way, until = options.worker.split(":")
        _worker(way, options.seed, int(until), options.state)
    elif options.coverage is not None:
        from .reached import print_reached

        print_reached(options.coverage, options.seed, options.state)
    else:
        _run(ways, options.inputs, options.seed, options.state)
        _figures(ways, options.state)
    return 0


def _worker(way: str, seed: int, until: int, state: Path) -> None:
    warm_up()
    limit_memory()
    work(way, seed, until, state)


def _run(ways: list[str], inputs: int, seed: int, state: Path) -> None:
    """Each way in turn, a process at a time, until its share is done."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the process at work ends with us
    whole = sum(_SHARES[way] for way in ways)
    goals = {way: round(inputs * _SHARES[way] / whole) for way in ways}
    while unfinished := [way for way in ways if Tally.load(state / f"{way}.json").done < goals[way]]:
        for way in unfinished:
            done = Tally.load(state / f"{way}.json").done
            until = min(goals[way], (done // _TURN + 1) * _TURN)
            _one_process(way, seed, until, done, state)


def _one_process(way: str, seed: int, until: int, done: int, state: Path) -> None:
    """One turn of one way; an input that kills the process is a failure, and is passed over."""
    if way == "guided":
        command = [sys.executable, "-m", "tests.fuzz.guided", str(state), str(until - done), str(seed)]
    else:
        command = [sys.executable, "-m", "tests.fuzz", "--worker", f"{way}:{until}", "--state", str(state)]
        command += ["--seed", str(seed)]
    with (state / f"{way}.log").open("ab") as log:
        status = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
    tally = Tally.load(state / f"{way}.json")
    if status in {-signal.SIGINT, 130}:
        raise KeyboardInterrupt
    if status and tally.done < until:
        number = int((state / f"{way}.at").read_bytes() or b"0")
        tally.failures[f"the process died, status {status}, input {number}"] = str(number)
        tally.results["FAILED death"] += 1
        tally.done = number + 1
        tally.save(state / f"{way}.json")


def _figures(ways: list[str], state: Path) -> None:
    print(
        f"{time.strftime('%H:%M')}  {'way':<9} {'inputs':>8} {'/s cpu':>7} {'/s wall':>7} {'slowest':>7} "
        f"{'refused':>16} {'valid':>7} {'failures':>8}"
    )
    for way in ways:
        tally = Tally.load(state / f"{way}.json")
        results = tally.results
        text, model, valid = (sum(n for r, n in results.items() if r.startswith(w)) for w in ("text", "model", "valid"))
        speeds = [f"{tally.done / s:.0f}" if s else "-" for s in (tally.cpu, tally.wall)]
        print(
            f"       {way:<9} {tally.done:>8} {speeds[0]:>7} {speeds[1]:>7} {tally.slowest:>6.2f}s "
            f"{text:>8}{model:>8} {valid:>7} {len(tally.failures):>8}"
        )
        for name, number in tally.failures.items():
            print(f"         input {number}: {name}")
    log = state / "guided.log"
    if log.is_file() and (found := re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log.read_text(errors="replace"))):
        print("       libFuzzer: {} edges, {} features, {} texts in its corpus".format(*found[-1]))


if __name__ == "__main__":
    sys.exit(main())
