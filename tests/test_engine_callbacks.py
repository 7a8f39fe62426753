"""What Ipopt is given, against differences: templates in arbitrary precision, gradients, Jacobians and Hessians."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from optima import NONNEGATIVE, decision, names, procurement, written

from mechdsl import Optimum, Variable
from mechdsl.engines.callbacks import Callbacks, Scales, Structure
from mechdsl.engines.form import Form
from mechdsl.engines.lowering import lower
from mechdsl.engines.templates import Kernel
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import IndexProduct, IndexSum, Quantity
from mechdsl.program import Constraint

V, W = sp.Symbol("v0", positive=True), sp.Symbol("v1", positive=True)
Q = sp.Symbol("q0", real=True)
TEMPLATES = [
    (V**Q, (V,), (Q,)),
    (V ** sp.Rational(1, 3), (V,), ()),
    (sp.exp(Q * V) - 1, (V,), (Q,)),
    (sp.log(1 + V), (V,), ()),
    (V / (1 + V * W), (V, W), ()),
    (V**Q * W ** (1 - Q), (V, W), (Q,)),
    (sp.log(V + W) * V, (V, W), ()),
]


@pytest.mark.parametrize(("template", "slots", "factors"), TEMPLATES, ids=[str(t[0]) for t in TEMPLATES])
def test_templates_against_differences_of_forty_digits(
    template: sp.Expr, slots: tuple[sp.Symbol, ...], factors: tuple[sp.Symbol, ...]
) -> None:
    kernel = Kernel(template, slots, factors)
    rng = np.random.default_rng(1)
    count = 5
    x = [rng.uniform(0.1, 3, count) for _ in slots]
    q = [rng.uniform(0.2, 0.9, count) for _ in factors]
    values, carried = kernel.value([*x, *q], count)
    slopes, carried = kernel.slopes(carried, count)
    curves = kernel.curves(carried, count)
    function = sp.lambdify([*slots, *factors], template, "mpmath")
    with mpmath.workdps(40):
        for n in range(count):
            at, given = [mpmath.mpf(v[n]) for v in x], [mpmath.mpf(v[n]) for v in q]

            def difference(*orders: int, at: list[mpmath.mpf] = at, given: list[mpmath.mpf] = given) -> float:
                return float(mpmath.diff(lambda *moved: function(*moved, *given), tuple(at), orders))

            assert np.broadcast_to(values, (count,))[n] == pytest.approx(float(function(*at, *given)), rel=1e-13)
            for a in range(len(slots)):
                one = tuple(int(a == b) for b in range(len(slots)))
                assert np.broadcast_to(slopes[a], (count,))[n] == pytest.approx(difference(*one), rel=1e-11)
            for (a, b), curve in zip(kernel.pairs, curves, strict=True):
                two = tuple(int(a == m) + int(b == m) for m in range(len(slots)))
                assert np.broadcast_to(curve, (count,))[n] == pytest.approx(difference(*two), rel=1e-10, abs=1e-14)


def mixed() -> Optimum:
    """Sums, products over a set, terms in several variables, a condition, an equality, a sum inside a function."""
    members, k = names("k_members", 4)
    x, y = Quantity("x", [members], "decision", NONNEGATIVE), Quantity("y", [], "decision", NONNEGATIVE)
    a = Quantity("a", [members], "param", NONNEGATIVE)
    total = IndexSum(a[k] * x[k], (k,))
    return Optimum(
        "minimize",
        IndexSum(sp.exp(a[k] * x[k]) * x[k] ** 2, (k,)) - sp.log(1 + total) + y * IndexSum(x[k], (k,)),
        (Variable(x, (k,)), Variable(y, ())),
        (
            Constraint("each", (k,), x[k] * y + sp.sqrt(1 + x[k]), ">=", a[k], sp.Gt(a[k], 0.5)),
            Constraint("whole", (), IndexProduct(1 + x[k], (k,)) + y, "<=", sp.Integer(90)),
            Constraint("tied", (), total / (1 + y), "==", sp.Integer(1)),
        ),
        {a: np.array([0.4, 0.7, 1.1, 1.5])},
    )


def loaded(program: Optimum, parameters: dict[Quantity, Array], seed: int) -> tuple[Callbacks, Structure, Array]:
    structure = Structure(Form(lower(program)))
    form, rng = structure.form, np.random.default_rng(seed)
    blocks = int(structure.component.max()) + 1
    scales = Scales(rng.uniform(0.5, 2, form.n), rng.uniform(0.5, 2, form.m), rng.uniform(0.5, 2, blocks))
    callbacks = Callbacks(structure)
    callbacks.load(form.at(parameters), scales)
    return callbacks, structure, rng.uniform(0.3, 1.5, form.n)


def central(function: object, z: Array) -> Array:
    """Richardson's extrapolation of central differences, column by column."""
    assert callable(function)

    def simple(h: float) -> Array:
        moves = np.eye(len(z)) * h
        return np.array([(np.array(function(z + m)) - np.array(function(z - m))) / (2 * h) for m in moves])

    coarse, fine = simple(1e-3), simple(5e-4)
    return np.asarray((4 * fine - coarse) / 3)


def programme(name: str) -> tuple[Optimum, dict[Quantity, Array]]:
    if name == "mixed":
        return mixed(), {}
    size = 5 if name == "procurement" else 60
    program, w = procurement(size)
    return program, {w: np.linspace(0.5, 2, size)}


@pytest.mark.parametrize("name", ["mixed", "procurement"])
@pytest.mark.parametrize("seed", [0, 1])
def test_callbacks_against_differences(name: str, seed: int) -> None:
    callbacks, structure, z = loaded(*programme(name), seed)
    n, m = structure.form.n, structure.form.m
    gradient = callbacks.gradient(z).copy()
    assert gradient == pytest.approx(central(lambda t: [callbacks.objective(t)], z)[:, 0], rel=1e-7, abs=1e-8)
    jacobian = np.zeros((m, n))
    np.add.at(jacobian, callbacks.jacobianstructure(), callbacks.jacobian(z))
    assert jacobian == pytest.approx(central(lambda t: callbacks.constraints(t).copy(), z).T, rel=1e-7, abs=1e-8)
    prices = np.random.default_rng(seed).normal(size=m)
    lower_half = np.zeros((n, n))
    np.add.at(lower_half, callbacks.hessianstructure(), callbacks.hessian(z, prices, 0.7))
    hessian = lower_half + np.tril(lower_half, -1).T

    def lagrangian_slope(t: Array) -> Array:
        full = np.zeros((m, n))
        np.add.at(full, callbacks.jacobianstructure(), callbacks.jacobian(t))
        return np.asarray(0.7 * callbacks.gradient(t) + prices @ full)

    assert hessian == pytest.approx(central(lagrangian_slope, z), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", ["mixed", "procurement", "large"])
def test_rows_are_what_the_formulas_say(name: str) -> None:
    program, parameters = programme(name)
    form = Form(lower(program))
    from mechdsl.engines.form import Point
    from mechdsl.engines.scaling import completed

    numbers = form.at(parameters)
    x = completed(form, numbers, np.random.default_rng(2).uniform(0.3, 1.5, form.n))
    values = {**program.data, **parameters}
    values |= {v.quantity: form.by_variable(x)[v.name] for v in program.variables}
    rows = Point(form, numbers, x).rows()
    assert rows[0] == pytest.approx(float(evaluate(program.objective, values)), rel=1e-12)
    bodies = form.by_constraint(rows[1:])
    for c in program.constraints:
        stated = np.broadcast_to(evaluate(c.where, values, c.letters), c.shape).astype(bool)
        expected = np.where(stated, evaluate(c.left - c.right, values, c.letters), 0.0)
        assert bodies[c.name] == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_sparse_form_and_a_dense_one_agree() -> None:
    program, w = procurement(60)
    weights = {w: np.linspace(0.5, 2, 60)}
    form = Form(lower(program))
    assert not form.dense  # large enough for the other way
    small, small_w = procurement(5)
    assert Form(lower(small)).dense
    callbacks, structure, z = loaded(program, weights, 4)
    body = callbacks.constraints(z).copy()
    x = z * callbacks.scale
    by_name = {str(q.name): np.asarray(v) for q, v in program.data.items()}
    supply = x + (by_name["mu"] * x[:, None] ** by_name["gamma"]).sum(axis=0)
    numbers = form.at(weights)
    row = np.random.default_rng(4)
    row.uniform(0.5, 2, form.n)
    assert body == pytest.approx(supply * row.uniform(0.5, 2, form.m), rel=1e-12)
    assert numbers.constant[1:] == pytest.approx(-by_name["d"])
    assert small_w.shape == (5,)
    assert structure.jacobian_rows.size == structure.jacobian_columns.size


def test_a_fixed_variable_at_zero_has_no_infinite_slope() -> None:
    x, y = decision("x"), decision("y")
    program = written(y**2, {"row": (sp.sqrt(x) + y, ">=", 1)}, {x: (0, 0), y: (0, np.inf)})
    callbacks, _, _ = loaded(program, {}, 0)
    z = np.array([0.0, 1.0])
    with np.errstate(all="ignore"):  # as the engine solves
        assert np.isfinite(callbacks.jacobian(z)).all()
        assert np.isfinite(callbacks.hessian(z, np.ones(1), 1.0)).all()
