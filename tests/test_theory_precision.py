"""The precision of correlated signals: derived, in numbers, and against the inverse of the covariance."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from mechdsl import pipeline
from mechdsl.accounting import stated_values
from mechdsl.errors import MechError
from mechdsl.evaluate import evaluate
from mechdsl.formula import Entry, IndexSum, Letter, derivative
from mechdsl.market import Market
from mechdsl.signals import residuals
from mechdsl.theory.precision import informed, learning, precision_misfit, precision_steps

ONE = """
market one "One factor"
index i in creators = 1..3
param w[i] = [0, 0.5, 2]
param V in [0, inf) = 1.7
state theta
common B ~ normal(0, sqrt(V))
layer firm { value precision(theta) }
layer creator[i] { choose e[i] >= 0  signal s[i] = theta + w[i] * B + noise(variance = 1 / e[i])  cost e[i]^2 }
layer planner
objective planner: maximize welfare
"""

# A factor for all, one for each of two groups, a signal of fixed precision, slopes other than 1, signs of both kinds.
SEVERAL = """
market several "Several factors"
index i in creators = 1..5
index g in groups = {east, west}
param home[i] in groups = {1: east, 2: west, 3: east, 4: west, 5: west}
param w[i] = [0.3, -0.4, 1, 0.2, 0.9]
param a[i] = [1, 1, 0.5, 2, 1]
param G[g] = {east: 0.5, west: 3}
state theta
common B ~ normal(0, 1.5)
common R[g] ~ normal(0, G[g])
layer firm { value precision(theta) }
layer critic { signal z = theta - 0.5 * B + noise(precision = 0.25) }
layer creator[i] {
  choose e[i] >= 0
  signal s[i] = 3 + a[i] * theta + w[i] * B + 0.7 * R[home[i]] + noise(precision = 2 * e[i])
  cost e[i]^2
}
layer planner
objective planner: maximize welfare
"""


def market(text: str) -> Market:
    return next(iter(pipeline.parse(text).markets.values()))


def covariance_precision(built: Market, e: np.ndarray) -> float:
    """`a' S^-1 a`, with the covariance of SEVERAL written down by hand; signals of no information left out."""
    w, a = np.array([0.3, -0.4, 1, 0.2, 0.9]), np.array([1, 1, 0.5, 2, 1.0])
    east = np.array([1, 0, 1, 0, 0.0])
    loadings = np.stack([np.append(w, -0.5), np.append(0.7 * east, 0), np.append(0.7 * (1 - east), 0)], axis=1)
    slopes, noise = np.append(a, 1.0), np.append(2 * e, 0.25)
    use = noise > 0
    covariance = np.diag(1 / noise[use]) + loadings[use] @ np.diag([1.5**2, 0.5**2, 9]) @ loadings[use].T
    del built
    return float(slopes[use] @ np.linalg.solve(covariance, slopes[use]))


def told(built: Market, e: np.ndarray) -> np.ndarray:
    values = stated_values(built, {}, {"e": e})
    return next(v for q, v in values.items() if q.role == "precision")


def derived(built: Market, e: np.ndarray) -> np.ndarray:
    return evaluate(learning(built).precision, {**built.data, built.choices[0].quantity: e})


def test_the_formula_is_the_inverse_of_the_covariance_symbolically() -> None:
    e, w = sp.symbols("e1:4", positive=True), sp.symbols("w1:4", real=True)
    V = sp.Symbol("V", nonnegative=True)
    covariance = sp.Matrix(3, 3, lambda i, j: V * w[i] * w[j] + (1 / e[i] if i == j else 0))
    ones = sp.ones(3, 1)
    by_inverse = (ones.T * covariance.inv() * ones)[0]
    built = market(ONE)
    formula = learning(built).precision

    def expanded(node: sp.Basic) -> sp.Basic:
        if isinstance(node, IndexSum):
            at = [{node.letters[0]: sp.Integer(j)} for j in range(3)]
            return sp.Add(*(expanded(node.body.xreplace(m)) for m in at))
        if isinstance(node, Entry):
            return {"e": e, "w": w}[node.name][int(node.indices[0])]
        if getattr(node, "name", "") == "V":
            return V
        return node.func(*map(expanded, node.args)) if node.args else node

    assert sp.simplify(expanded(formula) - by_inverse) == 0


@pytest.mark.parametrize("seed", range(4))
def test_several_factors_against_the_covariance(seed: int) -> None:
    built = market(SEVERAL)
    e = np.random.default_rng(seed).uniform(0, 3, 5)
    e[seed] = 0.0
    expected = covariance_precision(built, e)
    assert told(built, e) == pytest.approx(expected, rel=1e-12)
    assert derived(built, e) == pytest.approx(expected, rel=1e-12)


def test_factors_that_share_no_signal_are_not_mixed() -> None:
    gram = learning(market(SEVERAL)).precision
    assert precision_misfit(market(SEVERAL)) is None
    assert gram.count_ops() < 600


def test_nothing_is_told_by_no_effort_and_nothing_is_shared_without_variance() -> None:
    built = market(ONE)
    assert told(built, np.zeros(3)) == 0 == derived(built, np.zeros(3))
    without = market(ONE.replace("= 1.7", "= 0"))
    assert told(without, np.array([1.0, 2, 3])) == pytest.approx(6, rel=1e-14)
    assert derived(without, np.array([1.0, 2, 3])) == pytest.approx(6, rel=1e-14)


def test_draws_of_efforts_are_told_at_once() -> None:
    built = market(SEVERAL)
    e = np.random.default_rng(5).uniform(0, 2, (7, 5))
    assert told(built, e) == pytest.approx([covariance_precision(built, row) for row in e], rel=1e-12)


def test_two_states_are_told_apart() -> None:
    text = ONE.replace("state theta", "state theta\nstate tau").replace("theta + w[i]", "theta + w[i] * tau + w[i]")
    values = stated_values(market(text), {}, {"e": np.array([1.0, 2.0, 0.5])})
    w, e = np.array([0, 0.5, 2]), np.array([1, 2, 0.5])
    covariance = np.diag(1 / e) + 1.7 * np.outer(w, w)
    design = np.stack([np.ones(3), w], axis=1)
    information = design.T @ np.linalg.solve(covariance, design)
    found = next(float(v) for q, v in values.items() if q.name == "precision(theta)")
    assert found == pytest.approx(1 / np.linalg.inv(information)[0, 0], rel=1e-12)
    alone = stated_values(market(text), {}, {"e": np.array([0.0, 2.0, 0.0])})  # one signal, two unknowns
    assert next(float(v) for q, v in alone.items() if q.name == "precision(theta)") == 0
    assert "one unknown state" in str(precision_misfit(market(text)))


@pytest.mark.parametrize("text", [ONE, SEVERAL])
def test_the_slope_is_the_square_of_what_is_left(text: str) -> None:
    built = market(text)
    known = learning(built)
    count = len(built.declarations["w"].quantity.sets[0])
    e = np.random.default_rng(2).uniform(0.1, 2, count)
    values = {**built.data, built.choices[0].quantity: e}
    (letter,) = built.choices[0].declaration.letters
    fresh = Letter("j", letter.index_set)
    slope = evaluate(derivative(known.precision, built.choices[0].quantity[fresh]), values, (fresh,))
    one = known.told[-1]
    per_effort = float(
        np.asarray(evaluate(derivative(one.noise, built.choices[0].quantity[letter]), values, (letter,)))[0]
    )
    square = evaluate(one.residual, values, (letter,)) ** 2 * per_effort
    assert slope == pytest.approx(square, rel=1e-11)
    assert residuals(built, values)[-1] ** 2 * per_effort == pytest.approx(square, rel=1e-10)
    step = 1e-6
    for j in range(count):
        up, down = e.copy(), e.copy()
        up[j] += step
        down[j] -= step
        assert (told(built, up) - told(built, down)) / (2 * step) == pytest.approx(slope[j], rel=1e-5)


def test_the_precision_lies_above_its_chords() -> None:
    built = market(SEVERAL)
    rng = np.random.default_rng(3)
    first, second = rng.uniform(0, 4, (2, 500, 5))
    middle = told(built, (first + second) / 2)
    assert np.all(middle >= (told(built, first) + told(built, second)) / 2 - 1e-12)


def test_a_signal_is_linear_in_what_is_unknown() -> None:
    with pytest.raises(MechError, match="linear in states"):
        pipeline.parse(ONE.replace("theta + w[i]", "theta * B + w[i]"))
    with pytest.raises(MechError, match="precision is of a state"):
        pipeline.parse(ONE.replace("value precision(theta)", "value precision(V)"))
    with pytest.raises(MechError, match="must be made of known data"):
        pipeline.parse(ONE.replace("choose e[i] >= 0", "choose e[i] in [0, precision(theta)]"))


def test_what_is_written_out_no_longer_asks() -> None:
    built = market(ONE)
    assert "precision" not in str(informed(built).layer("firm").value)
    assert [s.name for s in precision_steps(built)] == [
        "covariance of the signals", "best linear unbiased estimator", "precision", "concavity of the precision",
    ]  # fmt: skip
    assert all(s.holds and s.proved for s in precision_steps(built))
    assert precision_steps(market(ONE.replace("value precision(theta)", "value sum(i: log(1 + e[i]))"))) == ()
