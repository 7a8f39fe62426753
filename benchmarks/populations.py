"""A population of draws: mechdsl's batch engine beside the loops one would write, in one run at the same weights.

Three tables. (1) Certified solves a second of random markets, everybody at the same weights, taking turns. (2) The
whole job on the market of Ai, Simchi-Levi & Xu (2025), Appendix E: allocations and payments of every draw under M1 and
M2. The paper estimates each payment by 100 randomised trials, a solve each; that job is extrapolated from a sample of
its solves, and said to be. The other solvers are given mechdsl's own payment rule and pay for its solves alone. (3) The
memory of very many draws. Others use one core and mechdsl as many as there are: besides the clock, processor seconds
are compared, which favours nobody and does not mind what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from _contestants import (
    Array,
    Data,
    Solver,
    data_of,
    prepared,
    with_casadi,
    with_cvxpy,
    with_mechdsl,
    with_pyomo,
    with_slsqp,
)

MODEL = Path(__file__).parent.parent / "models" / "ai_2025" / "two_regimes.mech"
RATES = {2: (400_000, 60), 10: (40_000, 30), 50: (800, 6)}  # problems for the batch, and for each of the others
GOALS = {2: 200_000, 10: 20_000, 50: 400}
DRAWS, TRIALS, MANY = 1000, 100, 1_000_000
PYOMO = 12  # solves of the plain loop that are timed
OTHERS: Sequence[tuple[str, Callable[[Data], Solver]]] = (
    ("(a) Pyomo + Ipopt, plain loop", with_pyomo),
    ("(b) CasADi nlpsol", with_casadi),
    ("(c) CVXPY + Clarabel", with_cvxpy),
    ("(d) scipy SLSQP", with_slsqp),
)


@dataclass(slots=True)
class Loop:
    """Somebody who solves one problem after another: seconds and processor seconds of each, and how far off it was."""

    name: str
    solver: Solver
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    off: float = 0.0
    failed: int = 0

    def asked(self, weights: Array, objective: float) -> None:
        clock, processor = time.perf_counter(), time.process_time()
        try:
            found = self.solver(weights)
            self.off = max(self.off, abs(found / objective - 1))
        except Exception:  # noqa: BLE001 - whatever it raises, it has no answer
            self.failed += 1
        self.seconds.append(time.perf_counter() - clock)
        self.processor.append(time.process_time() - processor)

    @property
    def each(self) -> tuple[float, float]:
        """Median seconds and processor seconds of a solve."""
        return float(np.median(self.seconds)), float(np.median(self.processor))

    @property
    def remark(self) -> str:
        lost = f", {self.failed} of {len(self.seconds)} failed" if self.failed else ""
        return f"off by {self.off:.0e}{lost}"


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds and processor seconds."""

    seconds: float
    processor: float

    @classmethod
    def on(cls, work: Callable[[], object]) -> Spent:
        clock, processor = time.perf_counter(), time.process_time()
        work()
        return cls(time.perf_counter() - clock, time.process_time() - processor)


def loops(data: Data, weights: Array, objectives: Array, ours: Solver, samples: int) -> list[Loop]:
    """Everybody at the same weights, taking turns."""
    makers = [(name, make) for name, make in OTHERS if not (make is with_pyomo and data.size > 10)]
    everyone = [Loop(name, make(data)) for name, make in makers]
    everyone.append(Loop("mechdsl, one at a time", ours))
    for loop in everyone:
        loop.solver(weights[-1])
    for n in range(samples):
        for loop in everyone:
            if n < PYOMO or loop.solver.__qualname__.split(".")[0] != "with_pyomo":
                loop.asked(weights[n], objectives[n])
    return everyone


def rates(size: int, count: int, samples: int) -> list[str]:
    from mechdsl.engines.batch import compile_batch

    mechanism = prepared(size)
    batch = compile_batch(mechanism.program, mechanism.engine)
    (weight,) = mechanism.program.parameters
    weights = np.random.default_rng(size).uniform(0.1, 1, (count, size))
    batch.solve({weight: weights[: max(64, count // 50)]})
    made = []
    spent = min(
        (Spent.on(lambda: made.append(batch.solve({weight: weights}))) for _ in range(3)), key=lambda s: s.seconds
    )
    solution = made[-1]
    every = loops(data_of(mechanism), weights, solution.objective, with_mechdsl(mechanism), samples)
    certified = int(solution.certified.sum())
    lines = [
        f"K = {size}: {count} problems, {certified} certified, {solution.fallbacks} of them by Ipopt; "
        f"largest gap {np.nanmax(solution.gap):.0e}",
        f"  {'':32}{'solves/s':>12}{'per processor s':>17}{'ratio':>8}{'processor':>11}",
        f"  {'(e) mechdsl, in one batch':32}{count / spent.seconds:12,.0f}{count / spent.processor:17,.0f}{1:8}{1:11}"
        f"   goal {GOALS[size]:,} a second on two cores",
    ]
    for loop in every:
        seconds, processor = loop.each
        lines.append(
            f"  {loop.name:32}{1 / seconds:12,.1f}{1 / processor:17,.1f}{seconds / spent.seconds * count:8,.0f}"
            f"{processor / spent.processor * count:11,.0f}   {loop.remark}"
        )
    return lines


def population() -> list[str]:
    """The whole job: M1 and M2, allocations and payments of every draw."""
    from mechdsl import pipeline
    from mechdsl.engines import batch as engine
    from mechdsl.structure import installed, match

    markets = pipeline.load(MODEL).markets
    mechanisms = []
    for regime in ("revenue", "welfare"):
        structure = match(markets[regime], installed()).structure
        assert structure is not None
        mechanisms.append(pipeline.mechanism(markets[regime], structure))
    reports = drawn(mechanisms[0], DRAWS)
    solves = []
    plain = engine.Batch.solve

    def counted(self: engine.Batch, parameters: object, **given: object) -> object:
        found = plain(self, parameters, **given)  # type: ignore[arg-type]
        solves.append(len(found.gap))
        return found

    def job() -> list[object]:
        return [m.structure.sample(m, reports) for m in mechanisms]  # type: ignore[misc]

    engine.Batch.solve = counted  # type: ignore[method-assign, assignment]
    samples = job()
    engine.Batch.solve = plain  # type: ignore[method-assign]
    spent = min((Spent.on(job) for _ in range(5)), key=lambda s: s.seconds)
    mechanism = mechanisms[0]
    weights = mechanism.structure.parameters(mechanism.market, reports)
    (table,) = weights.values()
    solution = engine.compile_batch(mechanism.program, mechanism.engine).solve(weights)
    every = loops(data_of(mechanism), table, solution.objective, with_mechdsl(mechanism), 60)
    papers = len(mechanisms) * DRAWS * (1 + table.shape[1] * TRIALS)
    error = max(s.payment_error for s in samples)  # type: ignore[attr-defined]
    certified = sum(int(s.certified.sum()) for s in samples)  # type: ignore[attr-defined]
    lines = [
        f"{MODEL.name}: {DRAWS} draws under M1 and M2 with payments, {sum(solves):,} solves, "
        f"payments within {error:.0e}, {certified} of {2 * DRAWS} certified",
        f"  {'':32}{'solves':>10}{'seconds':>12}{'processor s':>13}{'ratio':>10}{'processor':>11}",
        f"  {'(e) mechdsl':32}{sum(solves):10,}{spent.seconds:12.3f}{spent.processor:13.3f}{1:10}{1:11}   goal 1 s",
    ]
    for loop in every:
        count = papers if loop.name.startswith("(a)") else sum(solves)
        seconds, processor = (count * each for each in loop.each)
        lines.append(
            f"  {loop.name:32}{count:10,}{seconds:12,.0f}{processor:13,.0f}{seconds / spent.seconds:10,.0f}"
            f"{processor / spent.processor:11,.0f}   extrapolated from {len(loop.seconds)} solves, {loop.remark}"
        )
    lines.append(
        f"  (a): {papers:,} solves are the paper's own, {TRIALS} randomised trials a payment; (b) to (d) get our rule"
    )
    return lines


def drawn(mechanism: object, count: int) -> dict[object, Array]:
    """Types by inversion, seeded."""
    rng = np.random.default_rng(7)
    reports = {}
    for t in mechanism.market.types:  # type: ignore[attr-defined]
        columns = [law.quantile(rng.random(count)) for law in t.distributions]
        reports[t.quantity] = np.stack(columns, axis=-1).reshape(count, *t.quantity.shape)
    return reports


def many_here(count: int) -> tuple[float, float, float]:
    """Seconds, processor seconds and the most megabytes of a process that samples `count` draws of a regime."""
    from mechdsl import pipeline
    from mechdsl.structure import installed, match

    market = pipeline.load(MODEL).markets["welfare"]
    structure = match(market, installed()).structure
    assert structure is not None
    assert structure.sample is not None
    mechanism = pipeline.mechanism(market, structure)
    reports = drawn(mechanism, count)
    spent = Spent.on(lambda: structure.sample(mechanism, reports))  # type: ignore[misc]
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return spent.seconds, spent.processor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def memory(counts: Sequence[int]) -> list[str]:
    lines = [f"Very many draws of {MODEL.name} (welfare, with payments), each in a process of its own; goal 1 GB"]
    for count in counts:
        command = [sys.executable, __file__, "--many", str(count)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        seconds, processor, megabytes = json.loads(answer)
        lines.append(f"  {count:10,} draws{seconds:10.2f} s{processor:10.2f} processor s{megabytes:8.0f} MB at most")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to ten domains, a tenth of the draws")
    parser.add_argument("--many", type=int, metavar="N", help="sample N draws in this process; prints JSON")
    given = parser.parse_args()
    if given.many:
        print(json.dumps(many_here(given.many)))
        return 0
    print("\n".join(memory([MANY // 100, MANY // 10 if given.quick else MANY])), flush=True)
    print(f"\n{chr(10).join(population())}", flush=True)
    print("\nSolves: ratios of seconds and of processor seconds a solve to the batch's")
    for size, (count, samples) in RATES.items():
        if not (given.quick and size > 10):
            lines = rates(size, count // 10 if given.quick else count, samples)
            print(f"\n{chr(10).join(lines)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
