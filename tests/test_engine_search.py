"""The engine as a whole: every status earned, lifted and kinked formulas, many solves from one build, starts."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from optima import decision, linear, names, procurement, written
from scipy.optimize import minimize

from mechdsl import Optimum, Status, Variable
from mechdsl.engines.form import Form
from mechdsl.engines.lowering import lower
from mechdsl.engines.optimum import compile_optimum
from mechdsl.formula import IndexProduct, IndexSum, Quantity
from mechdsl.program import Constraint

INF = float("inf")
X, Y, FREE = decision("x"), decision("y"), decision("z", nonnegative=False)


# ------------------------------------------------------------------------------------------------------------ statuses


@pytest.mark.parametrize(
    "program",
    [
        written(-X + Y**2, {"row": (X + Y, ">=", 1)}, {X: (0, INF), Y: (0, INF)}),
        written(-sp.log(1 + X), {"row": (X + Y, ">=", 1)}, {X: (0, INF), Y: (0, INF)}),
        written(FREE + Y**2, {"row": (Y, ">=", 1)}, {FREE: (-INF, INF), Y: (0, INF)}),
    ],
    ids=["linear", "logarithm", "downwards"],
)
def test_unbounded_programmes_are_not_solved(program: Optimum) -> None:
    found = compile_optimum(program).solve()
    assert found.status is Status.UNBOUNDED, found.message


def test_a_best_value_that_is_not_attained_is_no_optimum() -> None:
    found = compile_optimum(written(1 / (1 + X), {"row": (X + Y, ">=", 1)}, {X: (0, INF), Y: (0, INF)})).solve()
    assert found.status is Status.FAILED
    assert "no optimum to stop at" in found.message


@pytest.mark.parametrize("seed", range(30))
def test_infeasible_is_never_said_where_there_is_a_point(seed: int) -> None:
    """Rows built around a known point, convex and tight: whatever else comes out, it is not `infeasible`."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 6))
    members, k = names("k_members", size)
    i = names("i_members", size)[1].__class__("i", members)
    x = Quantity("x", [members], "decision")
    known = rng.uniform(0, 3, size) * (rng.random(size) < 0.8)
    a, b, c = Quantity("a", [members, members]), Quantity("b", [members]), Quantity("c", [members])
    slopes = rng.normal(size=(size, size)) * 10.0 ** rng.integers(-3, 4)
    body = IndexSum(a[k, i] * (x[i] - x[k] ** 2 / 10), (i,))
    left = (slopes * (known[None, :] - known[:, None] ** 2 / 10)).sum(axis=1)
    program = Optimum(
        "minimize",
        IndexSum(c[k] * x[k] + x[k] ** 2 / 100, (k,)),
        (Variable(x, (k,), sp.Integer(0), sp.Integer(5)),),
        (Constraint("row", (k,), body, ">=", b[k]),),
        {a: slopes, b: left - (rng.random(size) < 0.5) * 1e-3 * np.abs(left), c: rng.normal(size=size)},
    )
    found = compile_optimum(program).solve()
    assert found.status is not Status.INFEASIBLE, found.message


def test_what_is_infeasible_is_said_in_rows() -> None:
    program = written(X, {"low": (X + Y, ">=", 4), "high": (X**2 + Y**2, "<=", 2)}, {X: (0, INF), Y: (0, INF)})
    found = compile_optimum(program).solve()
    assert found.status is Status.INFEASIBLE
    assert "low" in found.message or "high" in found.message
    crossed = written(X, {"row": (X, ">=", 0)}, {X: (2, 1)})
    said = compile_optimum(crossed).solve()
    assert said.status is Status.INFEASIBLE
    assert "x" in said.message


def test_optimal_is_earned_by_residuals() -> None:
    program, w = procurement(6)
    found = compile_optimum(program).solve({w: np.linspace(0.5, 2, 6)})
    assert found.status is Status.OPTIMAL
    assert max(found.residuals.values()) < 1e-9
    limited = written((X - 3) ** 4 + sp.exp(Y) - Y, {"row": (X * Y, ">=", 1)}, {X: (0, INF), Y: (0, INF)}, convex=None)
    stopped = compile_optimum(limited).solve(options={"max_iter": 1})
    assert stopped.status in (Status.ITERATION_LIMIT, Status.FAILED)


# ------------------------------------------------------------------------------------------------- lifting and kinks


def by_scipy(function: object, rows: list[object], size: int, start: float = 1.0) -> float:
    found = minimize(
        function,
        np.full(size, start),
        bounds=[(1e-9, None)] * size,
        constraints=[{"type": "ineq", "fun": row} for row in rows],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success, found.message
    return float(found.fun)


def test_a_sum_inside_a_function_is_lifted() -> None:
    members, k = names("k_members", 12)
    x, a = Quantity("x", [members], "decision"), Quantity("a", [members])
    weights = np.linspace(0.5, 2, 12)
    total = IndexSum(a[k] * x[k], (k,))
    program = Optimum(
        "minimize",
        sp.exp(total / 10) + IndexSum((x[k] - 1) ** 2, (k,)),
        (Variable(x, (k,)),),
        (Constraint("row", (), sp.log(1 + total), ">=", sp.Integer(1)),),
        {a: weights},
        convex=True,
    )
    form = Form(lower(program))
    assert sum(b.auxiliary for b in form.blocks) == 2  # one in the exponential, one in the logarithm
    assert form.n == 14
    found = compile_optimum(program).solve()
    expected = by_scipy(
        lambda v: np.exp(weights @ v / 10) + np.sum((v - 1) ** 2), [lambda v: np.log(1 + weights @ v) - 1], 12
    )
    assert found.status is Status.OPTIMAL
    assert found.objective == pytest.approx(expected, rel=1e-8)
    assert set(found.values) == {"x"}  # auxiliary ones stay inside


def test_a_long_product_is_lifted_in_parts() -> None:
    members, k = names("k_members", 9)
    x = Quantity("x", [members], "decision", X.domain)
    program = Optimum(
        "minimize", IndexSum((1 + k) * x[k], (k,)), (Variable(x, (k,)),),
        (Constraint("row", (), IndexProduct(x[k], (k,)), ">=", sp.Integer(1)),), {},
    )  # fmt: skip
    found = compile_optimum(program).solve()
    # By hand: (k + 1) x_k all equal, so x_k = (9!)^(1/9)/(k + 1).
    assert found.status is Status.OPTIMAL, found.message
    assert found.objective == pytest.approx(9 * float(sp.factorial(9)) ** (1 / 9), rel=1e-8)


@pytest.mark.parametrize(
    ("objective", "row", "expected"),
    [
        (sp.Max(X, 2 * Y), (X + Y, ">=", 3), 2.0),
        (sp.Abs(FREE - 2) + FREE**2 / 8, (X + Y, ">=", 0), 0.5),  # flat up to the kink at 2, steeper after it
        (X + Y, (sp.Min(X, 3 * Y), ">=", 6), 8.0),
        (sp.Max(X, Y, 1) ** 2, (X + 3 * Y, ">=", 8), 4.0),
        (X + sp.Max(0, 4 - X - Y) + 3 * Y, (X, "<=", 2), 4.0),
    ],
    ids=["max", "abs", "min", "max of three, squared", "hinge"],
)
def test_kinks_by_hand(objective: sp.Expr, row: tuple[sp.Expr, str, float], expected: float) -> None:
    bounds = {X: (0.0, INF), Y: (0.0, INF), FREE: (-INF, INF)}
    found = compile_optimum(written(objective, {"row": row}, bounds)).solve()
    assert found.status is Status.OPTIMAL, found.message
    assert found.objective == pytest.approx(expected, rel=1e-7)


def test_kinks_the_wrong_way_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="max"):
        compile_optimum(written(-sp.Max(X, Y), {"row": (X + Y, "<=", 3)}, {X: (0, INF), Y: (0, INF)}))
    with pytest.raises(ValueError, match="abs"):
        compile_optimum(written(X, {"row": (sp.Abs(FREE), ">=", 1)}, {X: (0, INF), FREE: (-INF, INF)}))


# ------------------------------------------------------------------------------------------------- builds and starts


@pytest.mark.parametrize(("size", "gamma"), [(1, None), (4, None), (4, 1.0), (15, None), (4, 0.0)])
def test_many_solves_from_one_build_are_those_of_fresh_builds(size: int, gamma: float | None) -> None:
    program, w = procurement(size, 3, gamma)
    engine, rng = compile_optimum(program), np.random.default_rng(7)
    earlier = None
    for spread in (0.2, 1, 4, 9, 0.5, 0.0):
        weights = {w: 10 ** rng.uniform(-spread, spread, size)}
        fresh = compile_optimum(program).solve(weights)
        cold, warm = engine.solve(weights), engine.solve(weights, start=earlier)
        for other in (cold, warm):
            assert other.status is fresh.status is Status.OPTIMAL
            assert other.objective == pytest.approx(fresh.objective, rel=1e-10)
            assert other.values["x"] == pytest.approx(fresh.values["x"], rel=1e-7, abs=1e-9)
            assert other.multipliers["demand"] == pytest.approx(fresh.multipliers["demand"], rel=1e-6, abs=1e-12)
        earlier = warm


def test_a_useless_start_does_no_harm() -> None:
    program, w = procurement(5)
    engine = compile_optimum(program)
    far = engine.solve({w: np.array([1e9, 1e-9, 1.0, 1e5, 1e-5])})
    weights = {w: np.linspace(1, 2, 5)}
    assert engine.solve(weights, start=far).objective == pytest.approx(engine.solve(weights).objective, rel=1e-10)


def test_programmes_apart_do_not_disturb_each_other() -> None:
    one, w = procurement(3, 1)
    engines = [compile_optimum(one), compile_optimum(linear([1, 1], [[1, 1]], [1]))]
    first = engines[0].solve({w: np.ones(3)}).objective
    engines[1].solve()
    assert engines[0].solve({w: np.ones(3)}).objective == first


# --------------------------------------------------------------------------------------------- logarithms and roots


def test_a_start_outside_a_logarithm_is_moved_inside() -> None:
    program = written(X**2 - 3 * sp.log(X - 2), {"row": (X, ">=", 0)}, {X: (0, INF)}, convex=None)
    found = compile_optimum(program).solve()
    assert found.status is Status.OPTIMAL, found.message
    assert float(found.values["x"]) == pytest.approx(1 + np.sqrt(2.5), rel=1e-8)  # 2 x (x - 2) = 3


def test_a_root_of_a_difference() -> None:
    program = written(X + Y, {"row": (sp.sqrt(X - 3 * Y), ">=", 1.5)}, {X: (0, INF), Y: (0, INF)}, convex=None)
    found = compile_optimum(program).solve()
    assert found.status is Status.OPTIMAL, found.message
    assert found.objective == pytest.approx(2.25, rel=1e-7)


def test_where_no_decision_has_a_logarithm_it_is_said_which() -> None:
    members, k = names("k_members", 2)
    x = Quantity("x", [members], "decision")
    program = Optimum(
        "minimize", IndexSum(x[k] ** 2 - sp.log(x[k] - 20), (k,)),
        (Variable(x, (k,), sp.Integer(0), sp.Integer(10)),), (), {},
    )  # fmt: skip
    found = compile_optimum(program).solve()
    assert found.status is Status.FAILED
    assert "log(x[k] - 20) has no value at k = 0, where x[k] - 20 is -" in found.message
    assert "Bound the decision" in found.message
