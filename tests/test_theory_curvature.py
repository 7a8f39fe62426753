"""Curvature and ranges: what the rules show no random point refutes, and what they cannot show is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import AT_LEAST_ONE, DOMAINS, INF, NONNEGATIVE, UNIT, I, K, falling, genai, several_creators

from mechdsl.evaluate import evaluate
from mechdsl.formula import REAL_LINE, IndexProduct, IndexSum, Interval, Letter, Quantity, quantities
from mechdsl.program import Constraint, Optimum, Variable
from mechdsl.theory.curvature import curvature, is_convex_program, ranges_of
from mechdsl.theory.pointwise import pointwise_program
from mechdsl.theory.ranges import Ranges, sign_word

X = Quantity("x", (DOMAINS,), "decision", NONNEGATIVE)
Z = Quantity("z", (), "decision", Interval(-1, 2))
A = Quantity("a", (), "param", REAL_LINE)
M = Quantity("m", (), "param", NONNEGATIVE)
MU = Quantity("mu", (DOMAINS, DOMAINS), "param", NONNEGATIVE)
G = Quantity("g", (), "param", UNIT)
R = Quantity("r", (), "param", AT_LEAST_ONE)
S = Quantity("s", (), "param", Interval(0, 1, True, False))
C = Quantity("c", (DOMAINS,), "type", NONNEGATIVE)
DATA: dict[Quantity, Any] = {
    A: np.array(-0.5), M: np.array(0.7), G: np.array(0.6), R: np.array(1.7), S: np.array(0.3),
    MU: np.array([[0.3, 0.8], [0.5, 0.0]]),
}  # fmt: skip
VARIABLES = (Variable(X, (K,)), Variable(Z, (), sp.Integer(-1), sp.Integer(2)))


def programme(objective: sp.Expr = sp.S.Zero, constraints: tuple[Constraint, ...] = ()) -> Optimum:
    return Optimum("minimize", objective, VARIABLES, constraints, DATA)


KNOWN = [
    # expression, wanted, evidence on which it is shown
    (X[K] + IndexSum(MU[I, K] * X[I] ** G, (I,)), "concave", "declared ranges"),
    (IndexSum(C[K] * X[K] ** R, (K,)), "convex", "declared ranges"),
    (X[0] - X[1] / 2, "affine", "declared ranges"),
    (A * X[K], "affine", "declared ranges"),
    (sp.exp(X[K]) - 1, "convex", "declared ranges"),
    (X[K] + X[K] ** 2, "convex", "declared ranges"),
    (sp.log(1 + X[K]), "concave", "declared ranges"),
    (X[K] * sp.log(1 + X[K]), "convex", "declared ranges"),  # by the second derivative
    (X[K] / (1 + X[K]), "concave", "declared ranges"),
    (X[K] * (3 - X[K]), "concave", "declared ranges"),
    (1 / (1 + X[K]), "convex", "declared ranges"),
    (sp.sqrt(X[0] * X[1]), "concave", "declared ranges"),
    (X[0] ** S * X[1] ** (1 - S), "concave", "declared ranges"),  # Cobb-Douglas
    ((X[0] ** S + 2 * X[1] ** S) ** (1 / S), "concave", "declared ranges"),  # CES
    ((X[0] ** R + 2 * X[1] ** R) ** (1 / R), "convex", "declared ranges"),  # a norm
    (X[0] ** 2 / (1 + X[1]), "convex", "declared ranges"),
    (1 / (X[0] * X[1]), "convex", "declared ranges"),
    (sp.Max(X[0], X[1] ** 2), "convex", "declared ranges"),
    (sp.Min(X[0], sp.sqrt(X[1])), "concave", "declared ranges"),
    (sp.Abs(X[0] - X[1]), "convex", "declared ranges"),
    (Z**2, "convex", "declared ranges"),
    (Z**4 + sp.exp(-Z), "convex", "declared ranges"),
    (sp.log(3 + Z), "concave", "declared ranges"),
    (2 ** X[K], "convex", "declared ranges"),
    ((X[0] + M) ** (G / R), "concave", "declared ranges"),
    (X[0] ** G * M / R - X[1] ** R, "concave", "declared ranges"),
    (A * X[K] ** 2, "concave", "data"),
    (sp.Piecewise((X[K] ** 2, sp.Gt(A, 0)), (X[K], True)), "convex", "declared ranges"),
    (IndexProduct(X[I] ** MU[I, K], (I,)), "concave", "data"),
    (X[K] ** 2 - A * X[K] ** 3, "convex", "data"),
]


@pytest.mark.parametrize(("expression", "wanted", "evidence"), KNOWN, ids=[str(e[0]) for e in KNOWN])
def test_known_curvature_is_shown(expression: sp.Expr, wanted: str, evidence: str) -> None:
    found = curvature(expression, programme(), wanted)
    assert found.holds is True
    assert found.evidence == evidence
    assert found.proved == (evidence == "declared ranges")
    assert found.offending is None


REFUTED = [
    (X[0] * X[1], "concave", X[0] * X[1]),
    (sp.sqrt(X[0]) - sp.sqrt(X[1]) / 2, "concave", -sp.sqrt(X[1]) / 2),
    (X[K] ** 3 - X[K] ** 2, "convex", -(X[K] ** 2)),
    (X[0] + sp.Max(X[0], X[1]), "concave", sp.Max(X[0], X[1])),
    (IndexSum(X[I] - MU[I, K] * X[I] ** G, (I,)), "concave", -MU[I, K] * X[I] ** G),
    (X[0] ** 2, "affine", X[0] ** 2),
    (Z**3, "convex", Z**3),
    (X[0] ** (2 * S) * X[1], "concave", X[0] ** (2 * S) * X[1]),
    ((X[0] ** 2 - 1) ** 2, "convex", (X[0] ** 2 - 1) ** 2),
]


@pytest.mark.parametrize(("expression", "wanted", "offending"), REFUTED, ids=[str(e[0]) for e in REFUTED])
def test_what_is_not_so_is_refuted_and_the_term_named(expression: sp.Expr, wanted: str, offending: sp.Expr) -> None:
    found = curvature(expression, programme(), wanted)
    assert found.holds is False
    assert found.offending == offending
    assert "wrong side of its chord" in found.detail
    assert str(found.offending).replace("**", "^") in found.because


def test_what_no_rule_reaches_is_left_open() -> None:
    true_but_unshown = X[0] ** 2 + X[1] ** 2 + X[0] * X[1]
    found = curvature(true_but_unshown, programme(), "convex")
    assert found.holds is None
    assert found.evidence == "sampling"
    assert "no counterexample" in found.detail


@pytest.mark.parametrize("expression", [Z**-2, sp.log(Z), Z ** sp.Rational(1, 3), Z**R, X[0] ** X[1], Z**-1], ids=str)
def test_nothing_is_claimed_across_a_pole(expression: sp.Expr) -> None:
    for wanted in ("convex", "concave"):
        assert curvature(expression, programme(), wanted, sample=False).holds is None


def test_a_demand_that_falls_is_concave_in_x_only() -> None:
    market = falling()
    constraint = market.constraints[0]
    found = curvature(constraint.left, market, "concave")
    assert found.proved
    assert not found.nondecreasing
    demand = genai().constraints[0]
    assert curvature(demand.left, genai(), "concave").nondecreasing


def test_programmes_are_judged_whole() -> None:
    objective = X[0] ** 2 + X[1]
    fits = Constraint("fits", (), sp.sqrt(X[0]), ">=", sp.S.One)
    assert is_convex_program(programme(objective, (fits,))) is True
    assert is_convex_program(programme(objective, (replace(fits, relation="<="),))) is False
    assert is_convex_program(programme(objective, (replace(fits, relation="=="),))) is False
    assert is_convex_program(replace(programme(objective, (fits,)), sense="maximize")) is False
    assert is_convex_program(programme(X[0] ** 2 + X[1] ** 2 + X[0] * X[1])) is None
    assert pointwise_program(genai()).convex is True
    assert pointwise_program(several_creators()).convex is True


def test_bounds_of_choices_narrow_ranges() -> None:
    capped = replace(programme(), variables=(Variable(X, (K,), sp.S.Zero, M), VARIABLES[1]))
    assert ranges_of(capped).of(X[0]) == Interval(0.0, INF, False, True)
    assert ranges_of(capped, "data").of(X[0]) == Interval(0.0, 0.7)
    # cosine-like: x^2 - x^3 is convex only below 1/3, which a bound may say
    inside = replace(programme(), variables=(Variable(X, (K,), sp.S.Zero, sp.Rational(1, 3)),))
    assert curvature(X[0] ** 2 - X[0] ** 3, inside, "convex").holds is True
    assert curvature(X[0] ** 2 - X[0] ** 3, programme(), "convex").holds is False


def test_signs_in_words() -> None:
    ends = [Interval(0, 0), Interval(1, 2), Interval(0, 2), Interval(0, 2, True), Interval(-2, -1), Interval(-1, 0),
            Interval(-1, 0, False, True), Interval(-1, 1)]  # fmt: skip
    words = ["zero", "positive", "nonnegative", "positive", "negative", "nonpositive", "negative", "of either sign"]
    assert [sign_word(i) for i in ends] == words


# Soundness: random formulas, random data within the declared ranges, random points.

LEAVES = st.sampled_from(
    [
        X[0],
        X[0],
        X[1],
        X[1],
        X[K],
        X[K],
        Z,
        Z,
        A,
        M,
        G,
        R,
        S,
        MU[0, K],
        sp.Integer(2),
        sp.Rational(1, 2),
        sp.Integer(-1),
    ]
)
EXPONENTS = st.sampled_from(
    [G, R, 1 / R, G / R, -S, 2 * S, sp.Integer(2), sp.Integer(3), sp.Rational(1, 2), sp.Integer(-1)]
)


def _undefined(expression: sp.Expr) -> bool:
    return bool(expression.has(sp.zoo, sp.nan, sp.oo, sp.I))


def _extreme(choose: Any, pair: tuple[sp.Expr, sp.Expr]) -> sp.Expr:
    return pair[0] if _undefined(pair[0]) or _undefined(pair[1]) else choose(*pair)


def _grown(inner: st.SearchStrategy[sp.Expr]) -> st.SearchStrategy[sp.Expr]:
    return st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        st.tuples(inner, EXPONENTS).map(lambda p: p[0] ** p[1]),
        inner.map(sp.exp),
        inner.map(lambda e: sp.log(1 + e)),
        inner.map(sp.Abs),
        st.tuples(inner, inner).map(lambda p: _extreme(sp.Max, p)),
        st.tuples(inner, inner).map(lambda p: _extreme(sp.Min, p)),
        inner.map(lambda e: e if e.has(IndexSum) else IndexSum(MU[I, K] * e.xreplace({X[K]: X[I]}), (I,))),
    )


FORMULAS = _grown(st.recursive(LEAVES, _grown, max_leaves=6))


def drawn(rng: np.random.Generator, draws: int) -> dict[Quantity, Any]:
    """Data anywhere in the declared ranges, one for each draw."""
    return {
        A: rng.normal(size=draws), M: rng.exponential(size=draws), G: rng.uniform(size=draws),
        R: 1 + rng.exponential(size=draws), S: rng.uniform(0.01, 1, size=draws),
        MU: rng.exponential(size=(draws, 2, 2)),
    }  # fmt: skip


def points(rng: np.random.Generator, draws: int) -> dict[Quantity, Any]:
    return {X: 10 ** rng.uniform(-2, 1, size=(draws, 2)), Z: rng.uniform(-1, 2, size=draws)}


def values(expression: sp.Expr, at: dict[Quantity, Any]) -> np.ndarray[Any, Any]:
    with np.errstate(all="ignore"):
        return evaluate(expression, at, (K,))


def bend(expression: sp.Expr, data: dict[Quantity, Any], rng: np.random.Generator, draws: int) -> np.ndarray[Any, Any]:
    """How far the chord lies above the function, relative to both; NaN where it cannot be told."""
    first, second, weight = points(rng, draws), points(rng, draws), rng.uniform(0.1, 0.9, size=draws)
    spread = {X: weight[:, None], Z: weight}
    middle = {q: spread[q] * first[q] + (1 - spread[q]) * second[q] for q in first}
    low, high, inside = (values(expression, {**data, **at}) for at in (first, second, middle))
    with np.errstate(all="ignore"):
        gap = weight[:, None] * low + (1 - weight[:, None]) * high - inside
        size = np.abs(low) + np.abs(high) + np.abs(inside) + 1.0
        return np.where(np.isfinite(gap) & (size < 1e8), gap / size, np.nan)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(expression=FORMULAS, seed=st.integers(0, 2**32 - 1))
def test_verdicts_are_sound(expression: sp.Expr, seed: int) -> None:
    if not quantities(expression, "decision") or _undefined(expression):
        return
    rng = np.random.default_rng(seed)
    for wanted, side in (("convex", 1.0), ("concave", -1.0)):
        found = curvature(expression, programme(), wanted, sample=False)
        if found.holds:
            data = drawn(rng, 300) if found.proved else {q: v[None] for q, v in DATA.items()}
            data = {q: np.broadcast_to(v, (300, *q.shape)) for q, v in data.items()}
            worst = side * bend(expression, data, rng, 300)
            assert np.nanmin(np.append(worst, 0.0)) >= -1e-9


@settings(max_examples=80, deadline=None, derandomize=True)
@given(expression=FORMULAS, seed=st.integers(0, 2**32 - 1))
def test_ranges_and_monotonicity_are_sound(expression: sp.Expr, seed: int) -> None:
    if _undefined(expression):
        return
    rng = np.random.default_rng(seed)
    found = curvature(expression, programme(), "convex", sample=False)
    ranges = ranges_of(programme())
    declared = found if found.proved else replace(found, shape=_declared_shape(expression))
    data = drawn(rng, 200)
    low = points(rng, 200)
    at = values(expression, {**data, **low})
    span = ranges.of(expression)
    inside = at[np.isfinite(at)]
    slack = 1e-9 * (1 + np.abs(inside))
    assert (inside >= span.lower - slack).all()
    assert (inside <= span.upper + slack).all()
    for quantity in quantities(expression, "decision"):
        step = {X: rng.uniform(0, 3, size=(200, 2)), Z: rng.uniform(size=200) * (2 - low[Z])}[quantity]
        after = values(expression, {**data, **low, quantity: low[quantity] + step})
        with np.errstate(all="ignore"):
            change = (after - at) / (np.abs(after) + np.abs(at) + 1)
        change = change[np.isfinite(change)]
        if quantity not in declared.shape.falls:
            assert (change >= -1e-9).all()
        if quantity not in declared.shape.rises:
            assert (change <= 1e-9).all()


def _declared_shape(expression: sp.Expr) -> Any:
    from mechdsl.theory.shape import shape

    return shape(expression, ranges_of(programme()))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (G / R, Interval(0, 1)),
        (1 / R, Interval(0, 1, lower_open=True)),
        (1 - G, Interval(0, 1)),
        (M * A, REAL_LINE),
        (sp.exp(-M), Interval(0, 1, lower_open=True)),
        (sp.Abs(Z), Interval(0, 2)),
        (Z**2, Interval(0, 4)),
        (sp.Min(G, 3), Interval(0, 1)),
        (sp.Max(G, sp.Rational(1, 2)), Interval(0.5, 1)),
        (IndexSum(G * X[I] ** 0, (I,)), Interval(0, 2)),
        (IndexSum(sp.S.One, (I,), sp.Ne(I, K)), Interval(0, 2)),
        (sp.KroneckerDelta(I, K), Interval(0, 1)),
        (M * S, Interval(0, INF)),  # 0 is attained, though not by S
        (M * Quantity("h", (), "param", Interval(0, 1, True, True)), Interval(0, INF)),
        (
            Quantity("h", (), "param", Interval(0, 1, True, True)) * Quantity("n", (), "param", UNIT),
            Interval(0, 1, False, True),
        ),
        (
            Quantity("h", (), "param", UNIT) * Quantity("n", (), "param", Interval(0, 1, True, True)),
            Interval(0, 1, False, True),
        ),
        (R * S, Interval(0, INF, lower_open=True)),
        (Z**3, Interval(-1, 8)),
        (Z**-2, Interval(0, INF, lower_open=True)),
        (Z**-1, REAL_LINE),
        (sp.log(S), Interval(-INF, 0)),
    ],
)
def test_ranges_by_hand(expression: sp.Expr, expected: Interval) -> None:
    found = ranges_of(programme()).of(expression)
    assert (found.lower, found.upper) == (expected.lower, expected.upper)
    assert found.lower_open == expected.lower_open or found.lower == -INF
    assert found.upper_open == expected.upper_open or found.upper == INF


def test_data_are_evaluated_entry_by_entry() -> None:
    scale = Quantity("scale", (DOMAINS,), "param", NONNEGATIVE)
    share = Quantity("share", (DOMAINS,), "param", NONNEGATIVE)
    data = {scale: np.array([2.0, 5.0]), share: np.array([0.5, 0.2])}
    # Each product is 1; the product of the two hulls would be [0.4, 2.5].
    assert Ranges(data=data).of(scale[K] * share[K]) == Interval(1.0, 1.0)
    program = Optimum("minimize", sp.S.Zero, VARIABLES, (), data)
    assert curvature(X[K] ** (scale[K] * share[K]), program, "affine").holds is not False
    assert curvature(X[K] ** (scale[K] * share[K]), program, "concave").evidence == "data"


def test_letters_are_numbers_of_their_set() -> None:
    assert Ranges().of(Letter("n", DOMAINS)) == Interval(0.0, 1.0)
