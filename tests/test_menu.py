"""The exact value of a menu over continuous types against integration by hand, by scipy, and by draws."""

from __future__ import annotations

import numpy as np
import pytest
from markets import law
from scipy.integrate import dblquad

from mechdsl.distributions import Distribution
from mechdsl.engines.menu import menu_cost, menu_value

U = law("uniform", 0, 1)
PAIRS = {
    "uniform": (U, U),
    "normal": (U, law("normal", 0.5, 0.4, on=(0.05, 1.5))),
    "unbounded density": (law("beta", 0.5, 2, on=(0, 1)), law("normal", 0.5, 0.4, on=(0.05, 1.5))),
    "kinks": (law("triangular", 0, 0.3, 1), law("triangular", 0.2, 0.9, 1)),
}


def menu(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Bundles on a curve, at prices that let some lines cross."""
    generator = np.random.default_rng(seed)
    angle = np.sort(generator.uniform(0, np.pi / 2, count))
    outputs = np.stack([2 - np.sin(angle), 2 - np.cos(angle)], axis=1)
    return outputs, outputs.sum(axis=1) + generator.uniform(-0.1, 0.1, count)


def test_two_items_by_hand() -> None:
    # (1, 0) at 1 or (0, 1) at 2/3, costs uniform: the second where c_1 - c_2 > 1/3, of probability 2/9.
    value = menu_value(np.eye(2), np.array([1.0, 2 / 3]), (U, U))
    assert value.price == pytest.approx(25 / 27, rel=1e-12)
    assert value.probabilities == pytest.approx([7 / 9, 2 / 9])


@pytest.mark.parametrize("name", PAIRS)
def test_either_type_may_be_the_exact_one(name: str) -> None:
    outputs, prices = menu(9)
    first, second = (menu_value(outputs, prices, PAIRS[name], along) for along in (0, 1))
    assert first.price == pytest.approx(second.price, abs=first.error + second.error + 1e-8)
    assert first.probabilities == pytest.approx(second.probabilities, abs=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_against_draws(name: str) -> None:
    outputs, prices = menu(9)
    laws = PAIRS[name]
    generator = np.random.default_rng(1)
    types = np.stack([d.sample(generator, 200_000) for d in laws], axis=1)
    taken = np.argmax(prices - types @ outputs.T, axis=1)
    paid, borne = prices[taken], np.sum(types * outputs[taken], axis=1)
    assert menu_value(outputs, prices, laws).price == pytest.approx(paid.mean(), abs=4 * paid.std() / 447)
    assert menu_cost(outputs, prices, laws)[0] == pytest.approx(borne.mean(), abs=4 * borne.std() / 447)


def test_costs_by_scipy() -> None:
    outputs, prices = menu(3)
    laws: tuple[Distribution, ...] = PAIRS["normal"]

    def cost(b: float, a: float) -> float:
        j = int(np.argmax(prices - outputs @ [a, b]))
        return float(outputs[j] @ [a, b]) * laws[0].pdf(a) * laws[1].pdf(b)

    found, _ = dblquad(cost, 0, 1, 0.05, 1.5, epsabs=1e-4)
    assert menu_cost(outputs, prices, laws)[0] == pytest.approx(found, abs=3e-4)


def test_three_types_by_hand() -> None:
    # Deal with 1 at 1, or with 2 and 3 together at 2/3: taken where c_2 + c_3 < 2/3 - (1 - c_1), c_1 = 1 known.
    laws = (law("point", 1), U, U)
    value = menu_value(np.array([[1.0, 0, 0], [0, 1, 1]]), np.array([1.0, 2 / 3]), laws, along=1)
    assert value.price == pytest.approx(25 / 27, abs=3 * value.error + 1e-6)
    assert value.error < 1e-5


def test_an_item_that_is_never_best_is_never_taken() -> None:
    value = menu_value(np.array([[1.0, 1.0], [0.9, 0.9], [2.0, 2.0]]), np.array([2.0, 2.0, 1.0]), (U, U))
    assert value.probabilities == pytest.approx([0.0, 1.0, 0.0])
