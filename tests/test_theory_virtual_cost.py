"""Virtual costs: shown formulas and numbers against cdf and density, and the identity they rest on."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from markets import DOMAINS, K, choice, genai, law, market, param, single, type_of
from scipy.integrate import quad

from mechdsl.distributions import Distribution
from mechdsl.errors import InternalError
from mechdsl.formula import IndexSet, Letter, Quantity
from mechdsl.market import Layer, Market
from mechdsl.theory.virtual_cost import laws_of, reported_types, virtual_cost_of, virtual_cost_step, virtual_costs

LAWS = {
    "uniform": law("uniform", Fraction(1, 10), 1),
    "triangular": law("triangular", 0, Fraction(1, 3), 1),
    "normal": law("normal", Fraction(1, 2), Fraction(2, 5), on=(Fraction(1, 20), Fraction(3, 2))),
    "exponential": law("exponential", 2, on=(0, 3)),
    "lognormal": law("lognormal", 0, Fraction(1, 2), on=(Fraction(1, 2), 3)),
    "beta": law("beta", 2, 3, on=(0, 1)),
    "kumaraswamy": law("kumaraswamy", 2, 3, on=(0, 2)),
    "power": law("power", 3, on=(1, 2)),
}
IRREGULAR = law(
    "mixture",
    ((Fraction(1, 2), law("uniform", 0, 1)), (Fraction(1, 2), law("uniform", Fraction(2, 5), Fraction(1, 2)))),
)


def linear(distribution: Distribution) -> Market:
    return single(lambda c, x: c * x, distribution)


@pytest.mark.parametrize("name", LAWS)
def test_the_shown_formula_is_cost_plus_cdf_over_density(name: str) -> None:
    """The closed form of the step, as sympy evaluates it, against a quotient of the distribution's own numbers."""
    distribution, built = LAWS[name], linear(LAWS[name])
    cost = built.types[0].quantity
    ((_, equation),) = virtual_cost_step(built).formulas
    rng = np.random.default_rng(3)
    for c in rng.uniform(distribution.lower + 1e-3, distribution.upper - 1e-3, size=6):
        shown = complex(equation.rhs.xreplace({cost: sp.Float(c, 30)}).evalf(20))
        assert shown.imag == pytest.approx(0, abs=1e-12)
        assert shown.real == pytest.approx(c + distribution.cdf(float(c)) / distribution.pdf(float(c)), rel=1e-9)


@pytest.mark.parametrize("name", LAWS)
def test_numbers_are_cost_plus_cdf_over_density(name: str) -> None:
    distribution, built = LAWS[name], linear(LAWS[name])
    c = distribution.quantile(np.random.default_rng(5).uniform(0.02, 0.98, size=(7, 3)))
    found = virtual_costs(built, {built.types[0].quantity: c})[virtual_cost_of(built.types[0])]
    assert found.shape == (7, 3)
    step = 1e-5 * (distribution.upper - distribution.lower)
    density = (distribution.cdf(c + step) - distribution.cdf(c - step)) / (2 * step)
    np.testing.assert_allclose(found, c + distribution.cdf(c) / density, rtol=1e-6)


@pytest.mark.parametrize("distribution", [*LAWS.values(), IRREGULAR], ids=[*LAWS, "irregular"])
def test_the_mean_virtual_cost_is_the_highest_cost(distribution: Distribution) -> None:
    """`E[vc] = int (c f + F) dc = b`: who always sells one unit is always paid b. Ironing keeps the mean."""
    built = linear(distribution)
    cost, weight = built.types[0].quantity, virtual_cost_of(built.types[0])

    def integrand(u: float) -> float:
        return float(virtual_costs(built, {cost: np.array(distribution.quantile(u))})[weight])

    mean = quad(integrand, 0, 1, limit=400, points=[float(distribution.cdf(c)) for c in (0.4, 0.5)])[0]
    assert mean == pytest.approx(distribution.upper, rel=1e-5)


def test_closed_forms_by_hand() -> None:
    forms = {label.split(":")[0]: f.rhs for label, f in virtual_cost_step(genai()).formulas}
    c = genai().types[0].quantity[K]
    assert forms["video"] == 2 * c - sp.Rational(1, 10)
    assert forms["text"].has(sp.erf)
    power = virtual_cost_step(linear(LAWS["power"])).formulas[0][1].rhs
    c = linear(LAWS["power"]).types[0].quantity
    assert sp.expand(power - (c + (c - 1) / 3)) == 0
    known = virtual_cost_step(linear(law("point", 2)))
    assert known.formulas[0][1].rhs == linear(law("point", 2)).types[0].quantity


def test_entries_with_one_law_are_shown_once() -> None:
    creators = IndexSet("creators", tuple(str(n) for n in range(1, 9)))
    n = Letter("n", creators)
    laws = (LAWS["uniform"],) * 6 + (LAWS["beta"],) + (law("uniform", Fraction(1, 10), 1),)
    grouped = laws_of(type_of("creator", (n,), laws))
    assert [labels for labels, _ in grouped] == ["1, 2, 3, 4 and 3 more", "7"]
    assert [labels for labels, _ in laws_of(type_of("creator", (n,), laws[:1] * 8))] == ["all creators"]
    assert [labels for labels, _ in laws_of(type_of("creator", (), laws[:1]))] == ["c"]


def test_regularity_and_ironing_are_said() -> None:
    regular = virtual_cost_step(genai())
    assert regular.holds
    assert regular.proved is True
    assert "by theorem" in regular.because
    irregular = virtual_cost_step(linear(IRREGULAR))
    assert irregular.holds is False
    assert "ironed" in irregular.because


def test_irregular_virtual_costs_are_ironed() -> None:
    built = linear(IRREGULAR)
    c = np.linspace(0, 1, 401)
    found = virtual_costs(built, {built.types[0].quantity: c})[virtual_cost_of(built.types[0])]
    plain = IRREGULAR.virtual_cost(c)
    assert (np.diff(plain) < -1e-6).any()
    assert (np.diff(found) >= -1e-12).all()
    assert np.isclose(found, plain).any()
    assert not np.isclose(found, plain).all()


def test_known_types_are_their_own_weights() -> None:
    built = linear(law("point", 2))
    assert virtual_costs(built, {built.types[0].quantity: np.array([2.0, 2.0])})[
        virtual_cost_of(built.types[0])
    ].tolist() == [2, 2]


def test_every_entry_has_its_own_law() -> None:
    built = genai()
    c = np.array([[0.35, 1.1], [1.0, 0.05]])
    found = virtual_costs(built, {built.types[0].quantity: c})[virtual_cost_of(built.types[0])]
    np.testing.assert_allclose(found[:, 0], 2 * c[:, 0] - 0.1, rtol=1e-14)
    assert found[1, 1] == pytest.approx(0.05, rel=1e-14)
    np.testing.assert_array_equal(reported_types(built, {built.types[0].quantity: c})[built.types[0].quantity], c)
    assert np.isnan(
        virtual_costs(built, {built.types[0].quantity: np.array([2.0, 2.0])})[virtual_cost_of(built.types[0])]
    ).all()


def test_names_of_several_types_differ() -> None:
    first, second = (
        type_of("maker", (K,), (LAWS["uniform"],) * 2),
        type_of("seller", (K,), (LAWS["beta"],) * 2, name="s"),
    )
    x = choice("maker", (K,))
    both = market(
        params=(param("d", 1.0),), types=(first, second), choices=(x,),
        layers=(
            Layer("maker", (K,), first.quantity[K] * x.quantity[K]),
            Layer("seller", (K,), second.quantity[K] * x.quantity[K]),
        ),
    )  # fmt: skip
    names = [str(q.name) for q in virtual_costs(both, {t.quantity: np.full(2, 0.5) for t in both.types})]
    assert names == ["vc_c", "vc_s"]
    assert virtual_cost_of(first).shape == (len(DOMAINS),)


def test_a_missing_report_is_ours_to_answer_for() -> None:
    nothing: dict[Quantity, Any] = {}
    with pytest.raises(InternalError, match="no report of 'c'"):
        virtual_costs(genai(), nothing)


def test_markets_without_types_have_no_virtual_costs() -> None:
    bare = market(choices=(choice("creator", (K,)),), layers=(Layer("platform"),))
    assert virtual_cost_step(bare).proved is None
    assert virtual_costs(bare, {}) == {}
