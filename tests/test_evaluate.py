"""The reference evaluation against loops written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from mechdsl.errors import InternalError
from mechdsl.evaluate import evaluate
from mechdsl.formula import IndexProduct, IndexSet, IndexSum, Letter, Quantity

DOMAINS, CREATORS = IndexSet("domains", ("a", "b", "c")), IndexSet("creators", ("1", "2"))
K, I = Letter("k", DOMAINS), Letter("i", DOMAINS)
N = Letter("n", CREATORS)
X, MU = Quantity("x", (DOMAINS,), "decision"), Quantity("mu", (DOMAINS, DOMAINS))
A, S = Quantity("a", (CREATORS, DOMAINS)), Quantity("s")


def table(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).uniform(0.5, 2, shape)


def test_letters_spread_in_the_order_asked_for() -> None:
    mu = table(3, 3)
    assert evaluate(MU[K, I], {MU: mu}, (K, I)) == pytest.approx(mu)
    assert evaluate(MU[K, I], {MU: mu}, (I, K)) == pytest.approx(mu.T)
    assert evaluate(MU[K, K], {MU: mu}, (K,)) == pytest.approx(np.diag(mu))
    assert evaluate(MU[1, K], {MU: mu}, (K,)) == pytest.approx(mu[1])


def test_sums_with_conditions() -> None:
    x, mu = table(3), table(3, 3)
    formula = IndexSum(MU[I, K] * X[I], (I,), sp.Ne(I, K))
    expected = [sum(mu[i, k] * x[i] for i in range(3) if i != k) for k in range(3)]
    assert evaluate(formula, {X: x, MU: mu}, (K,)) == pytest.approx(expected)
    assert evaluate(IndexSum(A[N, K], (N, K)), {A: table(2, 3)}) == pytest.approx(table(2, 3).sum())
    assert evaluate(IndexProduct(A[N, K], (N,)), {A: table(2, 3)}, (K,)) == pytest.approx(table(2, 3).prod(axis=0))


def test_a_sum_of_a_constant_counts() -> None:
    assert evaluate(IndexSum(sp.Integer(2), (I, N)), {}) == 12
    assert evaluate(IndexSum(sp.Integer(1), (I,), sp.Lt(I, K)), {}, (K,)) == pytest.approx([0, 1, 2])


def test_draws_lead_and_do_not_mix() -> None:
    x, s = table(5, 3), table(5)
    formula = S * X[K] + IndexSum(X[I], (I,))
    assert evaluate(formula, {X: x, S: s}, (K,)) == pytest.approx(s[:, None] * x + x.sum(axis=1)[:, None])
    assert evaluate(X[K] + S, {X: x[0], S: s}, (K,)).shape == (5, 3)
    assert evaluate(IndexSum(X[I], (I,)), {X: x, MU: table(3, 3)}).shape == (5,)
    assert evaluate(MU[I, K], {X: x, MU: table(3, 3)}, (I, K)).shape == (3, 3)


def test_zero_to_the_power_zero_is_one_and_a_steep_slope_infinite() -> None:
    assert evaluate(X[K] ** S, {X: np.zeros(3), S: np.array(0.0)}, (K,)) == pytest.approx(np.ones(3))
    assert np.isposinf(evaluate(X[K] ** (S - 1), {X: np.zeros(3), S: np.array(0.5)}, (K,))).all()


def test_cases_take_the_first_that_holds() -> None:
    formula = sp.Piecewise((S, sp.Eq(K, 0)), (2 * S, sp.Eq(K, 1)), (3 * S, True))
    assert evaluate(formula, {S: np.array(2.0)}, (K,)) == pytest.approx([2, 4, 6])


def test_a_missing_value_is_our_mistake_and_named() -> None:
    with pytest.raises(InternalError, match="'x'"):
        evaluate(X[K], {}, (K,))
