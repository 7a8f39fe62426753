"""KKT conditions against finite differences of the Lagrangian and known optima; what providers are promised."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from markets import DOMAINS, NONNEGATIVE, I, K, falling, genai, law, market, multitask, several_creators, single

from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, IndexSum, Letter, Quantity, letters_of
from mechdsl.market import Layer
from mechdsl.program import Constraint, Optimum, Variable
from mechdsl.theory.conditions import kkt, kkt_step, participation_step, truthtelling_step
from mechdsl.theory.notation import Expectation, Others, Rule
from mechdsl.theory.pointwise import pointwise_program
from mechdsl.theory.virtual_cost import virtual_cost_of

N = Letter("n", DOMAINS)
X = Quantity("x", (DOMAINS,), "decision", NONNEGATIVE)
E = Quantity("e", (), "decision", NONNEGATIVE)


def mixed() -> Optimum:
    """Every relation, a condition, a capped variable, a scalar one, a product of sums: as awkward as it gets."""
    cap = Quantity("cap", (DOMAINS,), "param", NONNEGATIVE)
    data = {cap: np.array([4.0, 5.0])}
    both = IndexSum(X[I], (I,))
    return Optimum(
        "maximize",
        IndexSum(sp.log(1 + X[K]) * cap[K], (K,)) - E**2 - both * E,
        (Variable(X, (K,), sp.S.Zero, cap[K]), Variable(E, (), -sp.oo, sp.oo)),
        (
            Constraint(
                "least", (K,), sp.sqrt(X[K]) + both**2, ">=", cap[K] / 9, where=sp.Gt(cap[K], sp.Rational(9, 2))
            ),
            Constraint("most", (), both, "<=", sp.Integer(7)),
            Constraint("exact", (), X[0] * E, "==", sp.S.One),
        ),
        data,
    )


def programmes() -> dict[str, Optimum]:
    built = {
        "genai": genai(training=0.1),
        "creators": several_creators(),
        "multitask": multitask(),
        "falling": falling(),
        "exponential": single(lambda c, x: c * (sp.exp(x) - 1) + x**2, law("uniform", 0, 1)),
    }
    found = {name: pointwise_program(m, virtual_cost_of(m.types[0])) for name, m in built.items()}
    found["elastic"] = pointwise_program(
        single(lambda c, x: c * x, law("uniform", 0, 1), value=lambda x, d: d * sp.log(1 + x))
    )
    return {**found, "mixed": mixed()}


def spread(array: Array, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(np.asarray(array, dtype=np.float64), shape)


@pytest.mark.parametrize("name", programmes())
def test_stationarity_is_the_slope_of_the_lagrangian(name: str) -> None:
    """`d/dx [f - sum lambda slack - nu (x - lower) - xi (upper - x)]`, by central differences, at random points."""
    program = programmes()[name]
    conditions = kkt(program)
    rng = np.random.default_rng(8)
    values: dict[Quantity, Any] = dict(program.data)
    for quantity in (
        *program.parameters,
        *conditions.multipliers,
        *(q for pair in conditions.bounds for q in pair if q),
    ):
        values[quantity] = rng.uniform(0.3, 2, size=quantity.shape)
    point = {v.quantity: rng.uniform(0.5, 2, size=v.quantity.shape) for v in program.variables}

    def lagrangian(at: dict[Quantity, Any]) -> float:
        known = {**values, **at}
        total = float(evaluate(conditions.lagrangian, known))
        for variable, (below, above) in zip(program.variables, conditions.bounds, strict=True):
            x, shape = at[variable.quantity], variable.quantity.shape
            if below is not None:
                total -= float(
                    (values[below] * (x - spread(evaluate(variable.lower, known, variable.letters), shape))).sum()
                )
            if above is not None:
                total -= float(
                    (values[above] * (spread(evaluate(variable.upper, known, variable.letters), shape) - x)).sum()
                )
        return total

    for variable, slope, letters in zip(program.variables, conditions.stationarity, conditions.letters, strict=True):
        assert letters_of(slope) <= set(letters)
        shown = evaluate(slope, {**values, **point}, letters)
        x = point[variable.quantity]
        for place in np.ndindex(*variable.quantity.shape):
            step = np.zeros_like(x)
            step[place] = 1e-6
            difference = lagrangian({**point, variable.quantity: x + step}) - lagrangian(
                {**point, variable.quantity: x - step}
            )
            assert shown[place] == pytest.approx(difference / 2e-6, rel=2e-7, abs=2e-7)


def test_the_papers_market_at_its_optimum() -> None:
    """Published optima of the six-regime market (to nine digits): multipliers exist that make stationarity hold."""
    built = genai()
    c = built.types[0].quantity
    report = np.array([0.35, 1.1])
    weight = virtual_cost_of(built.types[0])
    law_text = built.types[0].distributions[1]
    virtual = np.array([2 * 0.35 - 0.1, 1.1 + law_text.cdf(1.1) / law_text.pdf(1.1)])
    optima = {
        "M1": (pointwise_program(built, weight), {weight: virtual}, np.array([6.33404964, 0.1243397])),
        "M2": (pointwise_program(built), {c: report}, np.array([5.02961009, 0.6952829])),
    }
    for program, weights, x in optima.values():
        conditions = kkt(program)
        (multiplier,) = conditions.multipliers
        ((below, _),) = conditions.bounds
        assert below is not None
        values = {**program.data, **weights, built.choices[0].quantity: x, below: np.zeros(2)}
        slack = evaluate(program.constraints[0].left - program.constraints[0].right, values, (K,))
        assert (slack >= -1e-7).all()
        binds = np.flatnonzero(slack < 1e-6)
        # stationarity is affine in the multipliers: fit those of binding rows
        base = evaluate(conditions.stationarity[0], {**values, multiplier: np.zeros(2)}, conditions.letters[0])
        columns = [
            evaluate(conditions.stationarity[0], {**values, multiplier: np.eye(2)[k]}, conditions.letters[0]) - base
            for k in binds
        ]
        shadow, *_ = np.linalg.lstsq(np.array(columns).T, -base, rcond=None)
        residual = base + np.array(columns).T @ shadow
        assert (shadow > 0).all()
        assert np.abs(residual).max() < 1e-6 * np.abs(columns).max()


def test_conditions_of_one_provider_by_hand() -> None:
    """`min vc x^3`, `x >= 2`: lambda = 12 vc, and complementary slackness is met."""
    program = pointwise_program(single(lambda c, x: c * x**3, law("uniform", 0, 1)))
    conditions = kkt(program)
    (multiplier,), ((below, above),) = conditions.multipliers, conditions.bounds
    assert below is not None
    assert above is None
    x, c = program.variables[0].quantity, program.parameters[0]
    values = {**program.data, x: np.array(2.0), c: np.array(0.4), multiplier: np.array(12 * 0.4), below: np.array(0.0)}
    assert float(evaluate(conditions.stationarity[0], values)) == pytest.approx(0, abs=1e-14)
    for label, formula in kkt_step(program).formulas:
        if label.startswith("complementary"):
            assert float(evaluate(formula.lhs, values)) == 0
        if label.startswith(("feasibility", "multiplier", "lower bound")):
            assert bool(evaluate(formula, values))


def test_signs_by_hand() -> None:
    """Worked optima in every form: multipliers of inequalities are >= 0, rows that a condition excludes have no say."""
    e, cap = (Variable(E, (), -sp.oo, sp.oo),), Quantity("cap", (DOMAINS,), "param", NONNEGATIVE)
    data = {cap: np.array([2.0, 3.0])}
    least = Constraint("least", (K,), E, ">=", cap[K], where=sp.Eq(K, 0, evaluate=False))
    cases = [
        (Optimum("minimize", E**2, e, (Constraint("least", (), E, ">=", sp.Integer(3)),), {}), 3.0, 6.0),
        (Optimum("minimize", -4 * E, e, (Constraint("most", (), E, "<=", sp.Integer(3)),), {}), 3.0, 4.0),
        (Optimum("maximize", 4 * E, e, (Constraint("most", (), E, "<=", sp.Integer(3)),), {}), 3.0, 4.0),
        (Optimum("minimize", E**2, e, (Constraint("exact", (), E, "==", sp.Integer(-1)),), {}), -1.0, -2.0),
        (Optimum("minimize", E**2, e, (least,), data), 2.0, np.array([4.0, 1e9])),
    ]
    for program, optimum, shadow in cases:
        conditions = kkt(program)
        values = {**program.data, E: np.array(optimum), conditions.multipliers[0]: np.asarray(shadow)}
        assert float(evaluate(conditions.stationarity[0], values)) == pytest.approx(0, abs=1e-12)


def test_sums_over_homes_are_picked() -> None:
    """`sum(k: [k = home[n]] lambda[k])` is shown as `lambda[home[n]]`; no letter is free and bound at once."""
    (slope,) = kkt(pointwise_program(several_creators())).stationarity
    home = next(q for q in several_creators().data if q.name == "home")
    (letters,) = kkt(pointwise_program(several_creators())).letters
    assert str(letters[0]) == "n1"
    shadow = kkt(pointwise_program(several_creators())).multipliers[0]
    assert slope.has(Entry(shadow, Entry(home, letters[0])))
    assert not slope.has(sp.Piecewise)


def test_convexity_decides_what_the_conditions_are_worth() -> None:
    program = pointwise_program(genai())
    texts = [kkt_step(replace(program, convex=value)).because for value in (True, False, None)]
    assert len(set(texts)) == 3
    assert "global optimum" in texts[0]
    assert all("local optimum only" in t for t in texts[1:])


def test_multipliers_are_named_for_their_constraints() -> None:
    program = mixed()
    names = [str(q.name) for q in kkt(program).multipliers]
    assert names == ["lambda_least", "lambda_most", "lambda_exact"]
    labels = [label for label, _ in kkt_step(program).formulas]
    assert "multiplier of exact" not in labels
    assert "upper bound of x" in labels
    assert "lower bound of e" not in labels


def test_truth_telling_is_stated_with_the_cost_as_stated() -> None:
    built = genai()
    step = truthtelling_step(built)
    assert step.proved is None
    assert isinstance(step.formula.lhs, Expectation)
    ((_, after),) = step.formulas
    c, x = built.types[0].quantity, built.choices[0].quantity
    rest = Others(c, (K,))
    rho = next(q for q in built.data if q.name == "rho")
    truth = -c[K] * Rule(x[K], c[K], rest) ** rho[K]
    assert after.lhs.has(truth)
    # The true type stays in the cost of the deviation; only the report is false.
    lies = [r for r in after.rhs.atoms(Rule) if r.head == x[K]]
    assert len(lies) == 1
    assert str(lies[0].report[0]) == "ĉ[k]"
    assert after.rhs.has(-c[K] * lies[0] ** rho[K])


def test_alone_there_is_nobody_to_expect_over() -> None:
    built = single(lambda c, x: c * x, law("uniform", 0, 1))
    step = truthtelling_step(built)
    assert not step.formula.has(Expectation)
    assert "everyone else" not in step.because
    assert not participation_step(built).formula.has(Expectation)


def test_participation_is_against_the_outside_option() -> None:
    built = genai()
    creator = replace(built.layer("creator"), outside=sp.Rational(1, 3))
    changed = replace(built, layers=(built.layer("platform"), creator))
    step = participation_step(changed)
    assert step.formula.rhs == sp.Rational(1, 3)
    assert step.formulas[0][1].rhs == sp.Rational(1, 3)


def test_without_types_there_is_nothing_to_tell() -> None:
    bare = market(layers=(Layer("platform"),))
    assert "nothing to report" in truthtelling_step(bare).because
    assert participation_step(bare).formula == sp.true
