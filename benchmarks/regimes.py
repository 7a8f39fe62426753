"""Six regimes in expectation, claims and all, over markets drawn as in Appendix E of Ai, Simchi-Levi & Xu (2025).

Twenty seeds of demands, growth rates and transfers at two domains; costs are normal(0, 1) on [0, 10] and uniform(0, 1).
Counted: markets in which Table 1's ranking holds, and M3 lies strictly between M5 and M1, each decided with its error
bound. Two processes, one market at a time in each.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import mechdsl

GOAL = 120.0  # seconds for twenty

MARKET = Path(__file__).with_name("appendix_e.mech")


def compared(seed: int) -> tuple[int, float, dict[str, object], dict[str, object]]:
    """The seed, processor seconds, verdicts, and the range that M3's revenue is in."""
    began = time.process_time()
    found = mechdsl.load(MARKET, seed=seed).compare()
    verdicts = {name: claim["holds"] for name, claim in found.claims.items()}
    return seed, time.process_time() - began, verdicts, dict(found["M3"]["revenue"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="four markets instead of twenty")
    count = 4 if parser.parse_args().quick else 20
    began = time.perf_counter()
    held = {"table_1": 0, "inside": 0}
    spent = 0.0
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for seed, seconds, verdicts, union in pool.map(compared, range(count)):
            spent += seconds
            for name in held:
                held[name] += verdicts[name] is True
            print(f"seed {seed:2d}  {seconds:5.1f} s  M3 {union['lower']:.5f} to {union['upper']:.5f}  {verdicts}")
    took = time.perf_counter() - began
    print(
        f"ranking of Table 1 holds in {held['table_1']} of {count}, M3 strictly inside in {held['inside']} of {count}"
    )
    print(f"{took:.0f} s on the clock, {spent:.0f} s of processors (goal: {GOAL * count / 20:.0f} s)")


if __name__ == "__main__":
    main()
