"""Linear programmes whose optima fill a face, degenerate ones, unbounded and infeasible ones, against HiGHS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optima import linear
from scipy.optimize import linprog

from mechdsl import Solution, Status
from mechdsl.engines.optimum import compile_optimum

INF = float("inf")


def given(**programme: Any) -> dict[str, Any]:
    return programme


SQUARE = [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]]  # who does which of two jobs

# Columns x, r, u: any x from 3 to 3.5 is free of charge.
CASES: dict[str, tuple[dict[str, Any], float]] = {
    "a face that costs nothing": (given(costs=[0, 1, 1], rows=[[1, 3, 0], [-1, 0, 3.5]], sides=[3, -3.5]), 0.0),
    "a face without end": (given(costs=[0, 1], rows=[[1, 3]], sides=[3]), 0.0),
    "an edge": (given(costs=[1, 1], rows=[[1, 1]], sides=[1]), 1.0),
    "a triangle": (given(costs=[1, 1, 1], rows=[[1, 1, 1], [1, 0, 0]], sides=[2, 0.5]), 2.0),
    "a degenerate vertex": (given(costs=[1, 1], rows=[[1, 0], [0, 1], [1, 1], [2, 1]], sides=[1, 1, 2, 3]), 2.0),
    "no objective": (given(costs=[0, 0], rows=[[1, 1]], sides=[1], relation="=="), 0.0),
    "ties in an assignment": (given(costs=[1, 1, 1, 1], rows=SQUARE, sides=[1] * 4, relation="=="), 2.0),
    "an assignment": (given(costs=[1, 2, 2, 1], rows=SQUARE, sides=[1] * 4, relation="=="), 2.0),
    "a full box": (given(costs=[1, 1, 1], rows=[[1, 1, 1]], sides=[2], relation="<=", sense="maximize", upper=1), 2.0),
    "a face to maximise": (
        given(costs=[1, 1], rows=[[1, 1], [1, 0]], sides=[2, 2], relation="<=", sense="maximize"),
        2,
    ),
    "free variables": (given(costs=[1, 0], rows=[[1, 1], [1, -1]], sides=[0, 0], lower=-INF), 0.0),
    "one point": (given(costs=[1, 1], rows=[[1, 0], [-1, 0], [0, 1], [0, -1]], sides=[2, -2, 3, -3]), 5.0),
}


def solved(**programme: Any) -> Solution:
    return compile_optimum(linear(**programme)).solve()


@pytest.mark.parametrize("name", CASES)
def test_by_hand(name: str) -> None:
    programme, expected = CASES[name]
    found = solved(**programme)
    assert found.status is Status.OPTIMAL, found.message
    assert found.objective == pytest.approx(expected, abs=1e-9)
    x, rows = found.values["x"], np.array(programme["rows"], float)
    missing = np.array(programme["sides"]) - rows @ x
    relation = programme.get("relation", ">=")
    worst = {">=": missing, "<=": -missing, "==": np.abs(missing)}[relation]
    assert worst.max() <= 1e-9
    # Strong duality with the reported prices of rows and bounds, by hand.
    sign = -1.0 if programme.get("sense") == "maximize" else 1.0
    low, high = found.bound_multipliers["x"]
    assert sign * np.array(programme["costs"], float) - rows.T @ found.multipliers["row"] == pytest.approx(
        low - high, abs=1e-8
    )


@pytest.mark.parametrize(
    ("programme", "status"),
    [
        (given(costs=[-1, 0], rows=[[1, -1]], sides=[0]), Status.UNBOUNDED),
        (given(costs=[1, 1], rows=[[1, -1]], sides=[0], sense="maximize"), Status.UNBOUNDED),
        (given(costs=[1, 1], rows=[[1, 1], [-1, -1]], sides=[2, -1]), Status.INFEASIBLE),
        (given(costs=[0, 0], rows=[[1, 1], [1, 1]], sides=[1, 2], relation="=="), Status.INFEASIBLE),
        (given(costs=[-1, -1], rows=[[1, 1], [1, 1]], sides=[1, 2], relation="=="), Status.INFEASIBLE),
    ],
)
def test_without_a_solution(programme: dict[str, Any], status: Status) -> None:
    found = solved(**programme)
    assert found.status is status, found.message
    if status is Status.INFEASIBLE:
        assert "row[" in found.message


@pytest.mark.parametrize("seed", [*range(40), *(pytest.param(n, marks=pytest.mark.slow) for n in range(40, 160))])
def test_small_whole_numbers_make_degenerate_programmes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(2, 9)), int(rng.integers(1, 8))
    rows, sides = rng.integers(-2, 4, (m, n)).astype(float), rng.integers(-3, 5, m).astype(float)
    costs = rng.integers(-(1 - seed % 2), 4, n).astype(float)
    relation, upper = (">=", "<=", "==")[seed % 5 % 3], INF if seed % 3 else 10.0
    if relation == "==":
        rows_of: dict[str, Any] = {"A_eq": rows, "b_eq": sides}
    else:
        sign = -1.0 if relation == ">=" else 1.0
        rows_of = {"A_ub": sign * rows, "b_ub": sign * sides}
    highs = linprog(costs, bounds=(0, None if upper == INF else upper), method="highs", **rows_of)
    found = solved(costs=costs, rows=rows, sides=sides, relation=relation, upper=upper)
    expected = {0: Status.OPTIMAL, 2: Status.INFEASIBLE, 3: Status.UNBOUNDED}[highs.status]
    assert found.status is expected, found.message
    if expected is Status.OPTIMAL:
        assert found.objective == pytest.approx(highs.fun, rel=1e-8, abs=1e-8)
