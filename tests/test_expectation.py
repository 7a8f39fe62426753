"""Expectations against closed forms: order statistics, posted prices, tails that no draw would see."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

import mechdsl
from mechdsl.comparison.compare import expected_of
from mechdsl.evaluate import Array
from mechdsl.expectation import Estimate, estimates
from mechdsl.expectation.axis import Axis
from mechdsl.expectation.panels import GAUSS, KRONROD, NODES, Whole, integrals
from mechdsl.expected import Known, Linear, term
from mechdsl.pipeline import mechanism
from mechdsl.structure import installed, match

AUCTION = """
market auction "One unit from the cheapest"
index k in sellers = 1..COUNT
layer buyer
layer seller[k] { type c[k] ~ LAW  choose x[k] >= 0  cost c[k] * x[k]^POWER }
constraint one: sum(k: x[k]) >= 1
contract buyer -> seller: direct
objective buyer: maximize GOAL
"""


def found(text: str, tolerance: float = 1e-7, budget: int = 2**14) -> tuple[Estimate, Estimate, str]:
    """Revenue, welfare and the method."""
    market = mechdsl.parse(text).model.markets["main"]
    structure = match(market, installed()).structure
    assert structure is not None
    forms = expected_of(mechanism(market, structure))
    assert forms.revenue is not None
    assert forms.welfare is not None
    made = estimates(market, [forms.revenue, forms.welfare], tolerance, budget)
    return made.of(forms.revenue), made.of(forms.welfare), made.method


def auction(count: int, law: str = "uniform(0, 1)", goal: str = "welfare", power: str = "1") -> str:
    return AUCTION.replace("COUNT", str(count)).replace("LAW", law).replace("GOAL", goal).replace("POWER", power)


@pytest.mark.parametrize("goal", ["revenue", "welfare"])
def test_a_type_whose_density_dies_out_is_paid_its_highest_cost(goal: str) -> None:
    """Virtual costs reach 1e22 where a draw never falls; one provider of one unit is paid 10 all the same."""
    revenue, welfare, method = found(auction(1, "normal(0, 1) on [0, 10]", goal))
    assert "adaptive" in method
    assert revenue.mean == pytest.approx(-10, abs=1e-8)
    assert welfare.mean == pytest.approx(-np.sqrt(2 / np.pi), abs=1e-8)
    assert revenue.error < 1e-6


def test_elastic_demand_against_scipy() -> None:
    text = """
market elastic "Buying until the marginal value is the marginal virtual cost"
layer buyer { value 3 * log(1 + x) }
layer seller { type c ~ uniform(0.2, 1.2)  choose x >= 0  cost c * x }
contract buyer -> seller: direct
objective buyer: maximize revenue
"""
    revenue, welfare, _ = found(text)

    def output(c: float) -> float:
        return float(max(0.0, 3 / (2 * c - 0.2) - 1))

    exact = quad(lambda c: 3 * np.log(1 + output(c)) - (2 * c - 0.2) * output(c), 0.2, 1.2)[0]
    assert abs(revenue.mean - exact) <= revenue.error + 1e-9
    exact = quad(lambda c: 3 * np.log(1 + output(c)) - c * output(c), 0.2, 1.2)[0]
    assert abs(welfare.mean - exact) <= welfare.error + 1e-9


def test_two_sellers_whose_costs_jump_are_integrated_to_the_tolerance() -> None:
    """Second-price procurement, `E max = 2/3`, `E min = 1/3`: outputs jump along the diagonal."""
    revenue, welfare, method = found(auction(2), 1e-6)
    assert "nested" in method
    assert abs(revenue.mean + 2 / 3) <= revenue.error + 1e-12
    assert abs(welfare.mean + 1 / 3) <= welfare.error + 1e-12
    assert max(revenue.error, welfare.error) < 1e-5


def test_four_sellers_by_quasi_monte_carlo_within_its_error() -> None:
    """Quadratic costs: `Psi = 1 / sum(1/c)`; its expectation by a long plain sample."""
    revenue, welfare, method = found(auction(4, "uniform(0.5, 1.5)", "welfare", "2"), 1e-6)
    assert "Sobol" in method
    c = np.random.default_rng(1).uniform(0.5, 1.5, (400_000, 4))
    psi = 1 / (1 / c).sum(axis=1)
    assert abs(welfare.mean + psi.mean()) <= welfare.error + 5 * psi.std() / np.sqrt(len(psi))
    rents = ((c - 0.5) / c**2).sum(axis=1) * psi**2  # F/f y, y = (psi / c)^2
    paid = psi + rents
    assert abs(revenue.mean + paid.mean()) <= revenue.error + 5 * paid.std() / np.sqrt(len(psi))
    assert 0 < welfare.error < 1e-3


def test_steep_types_get_points_of_their_own() -> None:
    """Three providers of a unit each, paid 10 apiece: no draw sees where the payments come from."""
    text = auction(3, "normal(0, 1) on [0, 10]").replace("constraint one: sum(k: x[k]) >= 1", "demand[k]: x[k] >= 1")
    revenue, _, method = found(text)
    assert "Sobol" in method
    assert abs(revenue.mean + 30) <= revenue.error + 1e-9
    assert revenue.error < 0.5


@pytest.mark.parametrize(
    "law",
    ["normal(0, 1) on [0, 10]", "beta(0.5, 0.5) on [0, 2]", "power(3) on [0, 1]", "triangular(0, 0.2, 1)",
     "mixture(0.3: uniform(0, 1), 0.7: uniform(0.5, 2))"],
)  # fmt: skip
def test_an_axis_integrates_law_and_length(law: str) -> None:
    (one,) = mechdsl.parse(auction(1, law)).model.markets["main"].types[0].distributions
    axis = Axis.of(one)
    v = (np.arange(20_000) + 0.5) / 20_000
    c = axis.points(v)
    assert axis.levels(c) == pytest.approx(v, abs=1e-8)
    by_law, by_length = axis.weights(c)
    assert by_law.mean() == pytest.approx(1, abs=1e-3)
    assert (by_law * c).mean() == pytest.approx(float(one.mean), rel=3e-3)
    assert by_length.mean() == pytest.approx(float(one.upper) - float(one.lower), rel=3e-3)


def test_the_rules_are_exact_for_polynomials() -> None:
    # Kronrod's 15 points to degree 22, Gauss's 7 among them to degree 12: a digit wrong in a table shows here.
    for degree in range(0, 24, 2):
        assert float(KRONROD @ NODES**degree) == pytest.approx(2 / (degree + 1), abs=3e-15)
        if degree <= 12:
            assert float(GAUSS @ NODES**degree) == pytest.approx(2 / (degree + 1), abs=3e-15)


def test_panels_find_kinks_and_jumps() -> None:
    def values(line: Whole, v: Array) -> tuple[Array, Array]:
        place = np.where(line == 0, 0.3141592, 0.7)
        made = np.column_stack([np.abs(v - place), np.where(v < place, 1.0, 5.0) + v**3])
        return made, np.zeros_like(made)

    def labels(line: Whole, v: Array) -> list[bool]:
        return [bool(below) for below in v < np.where(line == 0, 0.3141592, 0.7)]

    made = integrals(values, labels, 2, 1e-10, lambda sizes: sizes + 1e-300)
    for line, place in enumerate((0.3141592, 0.7)):
        exact = [(place**2 + (1 - place) ** 2) / 2, place + 5 * (1 - place) + 0.25]
        assert made.values[line] == pytest.approx(exact, abs=1e-9)
        assert np.all(np.abs(made.values[line] - exact) <= made.errors[line] + 1e-12)


@settings(derandomize=True, deadline=None, max_examples=400)
@given(st.floats(-1e9, 1e9), st.floats(-12, 4), st.sampled_from([4, 6]))
def test_no_digit_is_shown_that_the_error_does_not_support(mean: float, decades: float, digits: int) -> None:
    """Whatever lies within the error lies within what the text says: a unit of its last digit, or its `±`."""
    mean = 0.0 if abs(mean) < 1e-9 else mean
    error = 10**decades * (abs(mean) or 1.0)
    text = Estimate(mean, error).shown(digits)
    inside, _, power = text.partition(")")
    figure, _, bound = inside.removeprefix("(").partition(" ± ")
    places = figure.partition("e")[0].partition(".")[2]
    unit = Fraction(10) ** (int(figure.partition("e")[2] or 0) - len(places))
    scale = Fraction(10) ** int(power.removeprefix("e") or 0)
    said = scale * (Fraction(bound) if bound else unit)
    off = abs(Fraction(figure) * scale - Fraction(mean)) + Fraction(error)
    assert off <= said * (1 + Fraction(1, 10**6)), text
    assert len(figure.partition("e")[0].strip("-0").replace(".", "").lstrip("0")) <= max(digits, 6), text
    if error < 0.5e-6 * abs(mean):
        assert text == f"{mean:.{digits}g}"


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (-4.896559, 3e-8, "-4.89656"),
        (0.0103957, 3.2e-7, "0.010396"),
        (-16.5739, 0.0123, "-16.574 ± 0.013"),
        (3e-5, 2e-4, "0.00003 ± 0.00020"),
        (12345.6, 3.0, "12345.6 ± 3.0"),
        (1234567.0, 1234.0, "(1.2346 ± 0.0013)e+06"),
        (-0.0, 0.0, "0"),
        (np.nan, 0.0, ""),
        (1.0, np.inf, "1 ± ?"),
    ],
)
def test_how_a_figure_is_said(mean: float, error: float, text: str) -> None:
    assert str(Estimate(mean, error)) == text


def test_forms_cancel_by_key() -> None:
    one, same, other = Known("a", 1.0, 0.1), Known("a", 1.0, 0.2), Known("b", 1.0)
    assert not (term(one) - term(same)).terms
    assert len((term(one) - term(other)).terms) == 2
    assert (term(one, 2.0) * 0.5 + Linear(3.0)) - term(one) == Linear(3.0)
