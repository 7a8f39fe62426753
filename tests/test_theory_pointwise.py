"""The pointwise programme: its objective in numbers, from costs and values taken one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from markets import K, choice, falling, genai, law, market, multitask, param, single, type_of

from mechdsl.errors import InternalError
from mechdsl.evaluate import evaluate
from mechdsl.market import Layer
from mechdsl.theory.pointwise import pointwise_program, pointwise_step
from mechdsl.theory.private_cost import pointwise_objective
from mechdsl.theory.virtual_cost import virtual_cost_of


def test_costs_at_their_weights_and_the_platforms_own() -> None:
    built = genai(training=0.25)
    weight = virtual_cost_of(built.types[0])
    rng = np.random.default_rng(2)
    x, w = rng.uniform(0, 5, size=(20, 2)), rng.uniform(0, 2, size=(20, 2))
    by_hand = ((w + 0.25) * x ** np.array([1.2, 1.3])).sum(axis=1)
    values = {**built.data, built.choices[0].quantity: x}
    for given, quantity in ((weight, weight), (None, built.types[0].quantity)):
        program = pointwise_program(built, given)
        assert program.sense == "minimize"
        assert program.parameters == (quantity,)
        assert program.convex is True
        np.testing.assert_allclose(evaluate(program.objective, {**values, quantity: w}), by_hand, rtol=1e-13)


def test_values_are_deducted_and_layers_chosen() -> None:
    built = single(lambda c, x: c * x + x**2, law("uniform", 0, 1), value=lambda x, d: d * sp.log(1 + x))
    x, c = built.choices[0].quantity, built.types[0].quantity
    at = {**built.data, x: np.array(3.0), c: np.array(0.5)}
    whole = 0.5 * 3 + 9 - 2 * np.log(4)
    assert float(evaluate(pointwise_objective(built), at)) == pytest.approx(whole, rel=1e-14)
    alone = pointwise_objective(built, layers=[built.layer("creator")])
    assert float(evaluate(alone, at)) == pytest.approx(10.5, rel=1e-14)


def test_a_cost_without_letters_is_borne_by_every_member() -> None:
    built = genai()
    flat = replace(
        built, layers=(built.layer("platform"), Layer("creator", (K,), sp.Integer(3) + built.layer("creator").cost))
    )
    difference = pointwise_objective(flat) - pointwise_objective(built)
    at = {**built.data, built.choices[0].quantity: np.ones(2), built.types[0].quantity: np.ones(2)}
    assert float(evaluate(pointwise_objective(flat), at) - evaluate(pointwise_objective(built), at)) == pytest.approx(6)
    assert difference != 0


def test_several_types_have_several_weights() -> None:
    first = type_of("maker", (K,), (law("uniform", 0, 1),) * 2)
    second = type_of("seller", (K,), (law("uniform", 0, 1),) * 2, name="s")
    x = choice("maker", (K,))
    built = market(
        params=(param("d", 1.0),), types=(first, second), choices=(x,),
        layers=(
            Layer("maker", (K,), first.quantity[K] * x.quantity[K]),
            Layer("seller", (K,), second.quantity[K] * x.quantity[K] ** 2),
        ),
    )  # fmt: skip
    weights = {t.quantity: virtual_cost_of(t, built) for t in built.types}
    program = pointwise_program(built, weights)
    assert {str(q.name) for q in program.parameters} == {"vc_c", "vc_s"}
    at = {
        x.quantity: np.array([1.0, 2.0]),
        weights[first.quantity]: np.array([1.0, 2.0]),
        weights[second.quantity]: np.array([3.0, 4.0]),
    }
    assert float(evaluate(program.objective, at)) == 1 + 4 + 3 + 16


def test_what_is_stated_is_kept() -> None:
    for built in (genai(), falling(), multitask()):
        program = pointwise_program(built)
        assert program.constraints == built.constraints
        assert [v.quantity for v in program.variables] == [c.quantity for c in built.choices]
        assert program.convex is True


def test_costs_that_screening_cannot_take_apart_are_refused() -> None:
    built = single(lambda c, x: c**2 * x, law("uniform", 0, 1))
    with pytest.raises(InternalError, match="not affine"):
        pointwise_program(built)


def test_the_step_tells_revenue_from_welfare() -> None:
    built = genai()
    weight = virtual_cost_of(built.types[0])
    revenue, welfare = (
        pointwise_step(pointwise_program(built, weight), weight),
        pointwise_step(pointwise_program(built)),
    )
    assert "virtual cost" in revenue.because
    assert "Payments cancel" in welfare.because
    assert [label for label, _ in revenue.formulas] == ["range of x", "demand"]
    concave = single(lambda c, x: c * sp.sqrt(x), law("uniform", 0, 1))
    assert "not convex" in pointwise_step(pointwise_program(concave)).because
