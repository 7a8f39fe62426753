"""Linear programmes at many costs: vertices and their cells against HiGHS, one programme at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from optima import linear
from scipy.optimize import linprog

from mechdsl.engines.batch import Batch, compile_batch
from mechdsl.engines.batch_machine import machine_code
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.program import Optimum

pytestmark = pytest.mark.skipif(machine_code() is None, reason="there is no C compiler here")


def opened(rows: Array, sides: Array, **more: object) -> tuple[Batch, Quantity]:
    """`min c . x` with c open."""
    program: Optimum = linear(np.ones(rows.shape[1]), rows, sides, **more)  # type: ignore[arg-type]
    (cost,) = (q for q in program.data if q.name == "c")
    data = {q: table for q, table in program.data.items() if q is not cost}
    parameter = Quantity("c", cost.sets, "open", cost.domain)
    objective = program.objective.xreplace({cost: parameter})
    return compile_batch(replace(program, objective=objective, data=data, parameters=(parameter,))), parameter


@pytest.mark.parametrize(("relation", "upper"), [(">=", np.inf), (">=", 1.5), ("==", 2.0)])
def test_every_cost_gets_the_value_of_highs(relation: str, upper: float) -> None:
    rng = np.random.default_rng(5)
    rows = rng.uniform(0, 1, (3, 6)) * (rng.random((3, 6)) < 0.7) + 0.05
    sides = rows @ rng.uniform(0.2, 0.8, 6)
    batch, parameter = opened(rows, sides, relation=relation, upper=upper)
    costs = rng.uniform(0.1, 1, (3000, 6))
    found = batch.solve({parameter: costs})
    assert found.certified.all()
    assert found.fallbacks < 100
    again = batch.solve({parameter: rng.uniform(0.1, 1, (3000, 6))})
    assert again.certified.all()
    assert again.fallbacks <= found.fallbacks // 2 + 5  # cells are remembered
    assert np.nanmax(found.gap) <= 1e-9
    bounds = {"A_ub": -rows, "b_ub": -sides} if relation == ">=" else {"A_eq": rows, "b_eq": sides}
    for n in range(0, 3000, 60):
        exact = linprog(costs[n], **bounds, bounds=(0, upper))
        assert found.objective[n] == pytest.approx(exact.fun, rel=1e-9)
        assert found.objective[n] == pytest.approx(float(costs[n] @ found.values["x"][n]), rel=1e-12)


def test_a_vertex_where_too_many_constraints_meet() -> None:
    # x_1 serves both others: (1, 0, 0) or (0, 1, 1), each held by more constraints than there are columns.
    batch, parameter = opened(np.array([[1.0, 0, 0], [1, 1, 0], [1, 0, 1]]), np.array([0.0, 1, 1]))
    costs = np.random.default_rng(0).random((5000, 3))
    assert batch.solve({parameter: costs}).fallbacks <= 12
    found = batch.solve({parameter: costs})  # all cells are known now
    assert found.certified.all()
    assert found.fallbacks == 0
    alone = costs[:, 0] < costs[:, 1] + costs[:, 2]
    assert np.array_equal(found.values["x"], np.where(alone[:, None], [1.0, 0, 0], [0.0, 1, 1]))
    np.testing.assert_allclose(found.objective, np.minimum(costs[:, 0], costs[:, 1] + costs[:, 2]), rtol=1e-14)


def test_costs_of_nothing_are_left_to_others() -> None:
    # Which of many minimisers is meant where a cost is 0 is another module's affair; the objective is the same.
    batch, parameter = opened(np.array([[1.0, 1.0, 1.0]]), np.array([1.0]))
    costs = np.array([[0.3, 0.5, 0.7], [0.0, 0.5, 0.7], [0.9, 0.5, 0.0]])
    found = batch.solve({parameter: costs})
    assert found.certified.all()
    assert found.objective == pytest.approx([0.3, 0.0, 0.0], abs=1e-12)
