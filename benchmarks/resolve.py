"""Building and re-solving a random market: mechdsl beside what an expert would write by hand, in one run.

The market is a dense one of Ai, Simchi-Levi & Xu: minimise `sum_k w_k x_k^rho_k` over `x >= 0` subject to
`x_k + sum_i mu_ik x_i^gamma_ik >= d_k`, with `d ~ U(2, 5)`, `rho ~ U(1, 1.5)`, `mu ~ U(0, 0.5)`, `gamma ~ U(0.8, 0.9)`.
Everything but the weights is data; each solve is at weights of its own, `w ~ U(0.1, 1)`, from a cold start. On a
machine with other work to do seconds mean little, so the contestants take turns, solve by solve, and what counts is
the ratio.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from _contestants import (
    MATRIX_FROM,
    Array,
    Solver,
    data_of,
    prepared,
    with_casadi,
    with_cyipopt,
    with_mechdsl,
    with_pyomo,
)

DRAWS: Mapping[int, int] = {2: 200, 10: 100, 50: 40, 200: 12, 1000: 3}  # weights solved at, by number of domains
QUICK: Mapping[int, int] = {2: 30, 10: 30, 50: 10, 200: 4}
WARMED = 4  # draws from which on everybody first solves once to warm up
PYOMO_AT_MOST, PYOMO_DRAWS = 50, 5  # every solve derives its derivatives anew: 15 seconds each at 200 domains
MATRIX_DRAWS = 1  # of CasADi with matrices, half a minute each at 1000 domains
ADAPTIVE: Mapping[str, str | float] = {"tol": 1e-8, "mu_strategy": "adaptive"}  # the option that helps most here
SECONDS, MEGABYTES, RATIO, AGREEMENT = 5.0, 2048.0, 1.3, 1e-6  # the goals


@dataclass(slots=True)
class Contestant:
    """A solver and what it took.

    Args:
        draws: how many of the weights it is asked for.
        build: seconds until it could be asked.
        seconds, processor: by draw, on the clock and of this process's processor time.
        objectives: by draw.
    """

    name: str
    draws: int
    build: float
    solver: Solver
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    objectives: list[float] = field(default_factory=list)

    @classmethod
    def built(cls, name: str, draws: int, build: Callable[[], Solver]) -> Contestant:
        began = time.perf_counter()
        solver = build()
        return cls(name, draws, time.perf_counter() - began, solver)

    def takes_a_turn(self, weights: Array) -> None:
        clock, processor = time.perf_counter(), time.process_time()
        objective = self.solver(weights)
        self.seconds.append(time.perf_counter() - clock)
        self.processor.append(time.process_time() - processor)
        self.objectives.append(objective)


def contest(size: int, draws: int) -> list[Contestant]:
    """All contestants at the same weights, taking turns; who begins changes from draw to draw."""
    began = time.perf_counter()
    mechanism = prepared(size)
    waited = time.perf_counter() - began
    data = data_of(mechanism)
    contestants = [
        Contestant("mechdsl, certified", draws, waited, with_mechdsl(mechanism)),
        Contestant.built("cyipopt by hand, tol 1e-8", draws, lambda: with_cyipopt(data, {"tol": 1e-8})),
        Contestant.built("cyipopt by hand, tol 1e-10", draws, lambda: with_cyipopt(data, {"tol": 1e-10})),
        Contestant.built("cyipopt by hand, adaptive", draws, lambda: with_cyipopt(data, ADAPTIVE)),
    ]
    few = draws if size < MATRIX_FROM else MATRIX_DRAWS
    contestants.append(Contestant.built("CasADi nlpsol", few, lambda: with_casadi(data)))
    if size <= PYOMO_AT_MOST:
        contestants.append(Contestant.built("Pyomo through .nl", min(draws, PYOMO_DRAWS), lambda: with_pyomo(data)))
    weights = np.random.default_rng(size).uniform(0.1, 1, (draws, size))
    if draws >= WARMED:
        for contestant in contestants:
            contestant.solver(weights[-1])
    for draw in range(draws):
        for turn in range(len(contestants)):
            contestant = contestants[(draw + turn) % len(contestants)]
            if draw < contestant.draws:
                contestant.takes_a_turn(weights[draw])
    return contestants


def disagreement(contestant: Contestant, other: Contestant) -> float:
    """The largest relative difference of objectives over the draws that both were asked for."""
    pairs = zip(contestant.objectives, other.objectives, strict=False)
    return max(abs(one - another) / abs(another) for one, another in pairs)


def ratio(taken: Sequence[float], other: Sequence[float]) -> float:
    """The median, over the draws that both were asked for, of one to the other at the same weights."""
    return median(one / another for one, another in zip(taken, other, strict=False))


def table(size: int, contestants: Sequence[Contestant]) -> str:
    ours, bare, *_ = contestants
    lines = [
        f"K = {size}",
        f"  {'':28}{'draws':>6}{'build s':>10}{'solve s':>11}{'ratio':>8}{'processor':>11}{'objective off by':>18}",
    ]
    for c in contestants:
        off = "-" if c is ours else f"{disagreement(c, ours):.1e}"
        lines.append(
            f"  {c.name:28}{c.draws:6d}{c.build:10.3g}{median(c.seconds):11.4g}{ratio(c.seconds, bare.seconds):8.2f}"
            f"{ratio(c.processor, bare.processor):11.2f}{off:>18}"
        )
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class First:
    """One build from text and one solve, in a process of their own.

    Args:
        build, solve: seconds, imports included.
        process: seconds from the start of Python to its end.
        megabytes: the most memory it had.
    """

    build: float
    solve: float
    process: float
    megabytes: float

    @classmethod
    def of(cls, size: int) -> First:
        command = [sys.executable, __file__, "--first", str(size)]
        began = time.perf_counter()
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        process = time.perf_counter() - began
        build, solve, megabytes = json.loads(answer)
        return cls(build, solve, process, megabytes)


def first_here(size: int) -> tuple[float, float, float]:
    """Seconds to build, seconds to solve, and the most megabytes this process has had."""
    began = time.perf_counter()
    solver = with_mechdsl(prepared(size))
    built = time.perf_counter()
    solver(np.random.default_rng(size).uniform(0.1, 1, size))
    solved = time.perf_counter()
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return built - began, solved - built, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def firsts(sizes: Sequence[int]) -> str:
    lines = [
        f"First answers, from text, each in a process of its own (goals: {SECONDS:g} s at K = 200, "
        f"{MEGABYTES:g} MB at K = 1000)",
        f"  {'K':>6}{'build s':>10}{'solve s':>10}{'process s':>11}{'peak MB':>10}",
    ]
    for size in sizes:
        first = First.of(size)
        lines.append(f"  {size:6d}{first.build:10.2f}{first.solve:10.2f}{first.process:11.2f}{first.megabytes:10.0f}")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer draws, up to 200 domains: half a minute")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="K", help="numbers of domains to re-solve at")
    parser.add_argument("--draws", type=int, metavar="N", help="weights to solve at, whatever the size")
    parser.add_argument("--first", type=int, metavar="K", help="build and solve once in this process; prints JSON")
    return parser.parse_args()


def main() -> int:
    """Prints the tables; 1 if the contestants disagree on an objective, which would leave the times without meaning."""
    given = arguments()
    if given.first:
        print(json.dumps(first_here(given.first)))
        return 0
    plan = QUICK if given.quick else DRAWS
    sizes = given.sizes or list(plan)
    # Before anything else: to a child, Linux counts the memory its parent had when it was started.
    print(firsts([size for size in sizes if size >= 200]), flush=True)
    print("\nRe-solves: median seconds, and median ratios to the second line's at the same weights, of seconds and of")
    print(f"processor time (goal: the first line at most {RATIO:g}; what is built first has its imports counted)")
    worst, ratios = 0.0, []
    for size in sizes:
        contestants = contest(size, given.draws or plan.get(size) or max(3, 4000 // size))
        print(f"\n{table(size, contestants)}", flush=True)
        ours, bare = contestants[:2]
        ratios.append(f"{ratio(ours.seconds, bare.seconds):.2f} at K = {size}")
        worst = max([worst, *(disagreement(c, ours) for c in contestants)])
    print(f"\nmechdsl to cyipopt by hand: {', '.join(ratios)}")
    print(f"Worst disagreement on an objective: {worst:.1e} relative (at most {AGREEMENT:g})")
    return int(worst > AGREEMENT)


if __name__ == "__main__":
    sys.exit(main())
