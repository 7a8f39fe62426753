"""Formulas: derivatives against finite differences, capture-free substitution, printing."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import sympy as sp

from mechdsl.evaluate import evaluate
from mechdsl.formula import (
    UNIT_INTERVAL,
    Entry,
    IndexProduct,
    IndexSet,
    IndexSum,
    Interval,
    Letter,
    Quantity,
    derivative,
    entries,
    letters_of,
    quantities,
    rename_letters,
    substitute,
)

DOMAINS = IndexSet("domains", ("video", "text", "music"))
K, I, J = (Letter(name, DOMAINS) for name in "kij")
NONNEGATIVE = Interval(0, float("inf"))
X = Quantity("x", (DOMAINS,), "decision", NONNEGATIVE)
MU = Quantity("mu", (DOMAINS, DOMAINS), "param", NONNEGATIVE)
GAMMA = Quantity("gamma", (DOMAINS, DOMAINS), "param", UNIT_INTERVAL)
RHO = Quantity("rho", (DOMAINS,), "param", Interval(1, float("inf")))
HOME = Quantity("home", (DOMAINS,), "param", Interval(0, 2))
DEMAND = X[K] + IndexSum(MU[I, K] * X[I] ** GAMMA[I, K], (I,))


@pytest.fixture
def values() -> dict[Quantity, np.ndarray]:
    generator = np.random.default_rng(1)
    return {
        X: generator.uniform(0.5, 2, 3),
        MU: generator.uniform(0, 1, (3, 3)),
        GAMMA: generator.uniform(0, 1, (3, 3)),
        RHO: generator.uniform(1, 2, 3),
        HOME: np.array([1.0, 1.0, 0.0]),
    }


FORMULAS = {
    "demand": DEMAND.xreplace({K: sp.Integer(1)}),
    "cost": IndexSum(X[K] ** RHO[K], (K,)),
    "log of a sum": sp.log(1 + IndexSum(X[K], (K,))) * X[0],
    "sum of sums": IndexSum(RHO[K] * IndexSum(MU[I, K] * X[I], (I,)) ** 2, (K,)),
    "with a condition": IndexSum(X[K] ** 2, (K,), sp.Ne(K, 1)),
    "by home": IndexSum(IndexSum(X[I], (I,), sp.Eq(HOME[I], K)) ** RHO[K], (K,)),
    "product": IndexProduct(1 + X[K], (K,)),
    "looked up": IndexSum(X[HOME[I]] * RHO[I], (I,)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_derivative_is_the_limit_of_differences(name: str, values: dict[Quantity, np.ndarray]) -> None:
    formula = FORMULAS[name]
    slope = evaluate(derivative(formula, X[J]), values, (J,))
    step = 1e-6
    for j in range(3):
        up, down = (dict(values) | {X: values[X] + s * step * (np.arange(3) == j)} for s in (1, -1))
        assert slope[j] == pytest.approx((evaluate(formula, up) - evaluate(formula, down)) / (2 * step), rel=1e-7)


def test_second_derivatives_collapse_their_deltas(values: dict[Quantity, np.ndarray]) -> None:
    hessian = derivative(derivative(IndexSum(X[K] ** RHO[K], (K,)), X[I]), X[J])
    rho, x = values[RHO], values[X]
    assert evaluate(hessian, values, (I, J)) == pytest.approx(np.diag(rho * (rho - 1) * x ** (rho - 2)))


def test_a_letter_is_renamed_rather_than_captured(values: dict[Quantity, np.ndarray]) -> None:
    renamed = rename_letters(DEMAND, {K: I})
    assert letters_of(renamed) == {I}
    assert evaluate(renamed, values, (I,)) == pytest.approx(evaluate(DEMAND, values, (K,)))


def test_inlining_keeps_bound_letters_apart(values: dict[Quantity, np.ndarray]) -> None:
    stock = Quantity("X", (DOMAINS,), "let")
    outer = IndexSum(MU[I, K] * stock[I], (I,))
    inlined = substitute(outer, stock, (J,), IndexSum(MU[J, I] * X[I], (I,)))
    expected = np.einsum("ik,ij,j->k", values[MU], values[MU], values[X])
    assert evaluate(inlined, values, (K,)) == pytest.approx(expected)


def test_entries_of_an_index_are_found() -> None:
    assert entries(X[HOME[I]]) == {X[HOME[I]], HOME[I]}
    assert quantities(FORMULAS["by home"], "decision") == {X}


def test_signs_follow_declared_ranges() -> None:
    assert X[K].is_nonnegative
    assert RHO[K].is_positive
    assert MU[I, K].is_positive is None
    assert IndexSum(X[K], (K,)).is_nonnegative


def test_formulas_print_as_the_language_does() -> None:
    assert str(DEMAND) == "x[k] + sum(i: x[i]**gamma[i, k]*mu[i, k])"
    assert str(X[1]) == "x[text]"
    assert sp.latex(X[K] ** 2) == "x_{k}^{2}"


def test_equal_formulas_are_equal_whoever_made_them() -> None:
    again = Quantity("x", (IndexSet("domains", DOMAINS.labels),), "decision", NONNEGATIVE)
    assert again == X
    assert hash(again[K]) == hash(Entry(X, K))
    assert copy.deepcopy(DEMAND) == DEMAND
    assert Quantity("x", (DOMAINS,), "param", NONNEGATIVE) != X
