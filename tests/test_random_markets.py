"""Random procurement markets, corner cases and extreme weights among them, against bounds and solvers of others.

The objective is bracketed without our code: feasibility is computed by hand, and weak duality with the reported shadow
prices gives a lower bound, `sum_k min_x (w x^rho - lambda_k x - sum_i lambda_i mu_ki x^gamma_ki) + lambda . d`, one
minimisation in one variable a provider.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from scipy.optimize import linprog, minimize_scalar

from mechdsl import Optimum, Solution, Status, pipeline, theory
from mechdsl.engines.optimum import compile_optimum

TEXT = """
market random "K domains"
index k, i in domains = 1..{size}
param d[k] = 1
param rho[k] in [1, inf) = 1
param mu[i, k] in [0, inf) = 0
param gamma[i, k] in [0, 1] = 1
layer platform
layer creator[k] {{ type c[k] ~ uniform(0, 1e30)  choose x[k] >= 0  cost c[k] * x[k]^rho[k] }}
demand[k]: x[k] + sum(i: mu[i, k] * x[i]^gamma[i, k]) >= d[k]
contract platform -> creator: direct
objective platform: maximize welfare
"""


@cache
def template(size: int) -> Optimum:
    return theory.pointwise_program(pipeline.parse(TEXT.format(size=size)).markets["main"])


@dataclass(frozen=True)
class Case:
    d: np.ndarray
    rho: np.ndarray
    mu: np.ndarray
    gamma: np.ndarray
    w: np.ndarray

    def solve(self) -> Solution:
        program = template(len(self.d))
        data = {q: getattr(self, str(q.name)) for q in program.data}
        engine = compile_optimum(replace(program, data=data))
        return engine.solve({program.parameters[0]: self.w})

    def supplied(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x + (self.mu * x[:, None] ** self.gamma).sum(axis=0))

    def cost(self, x: np.ndarray) -> float:
        return float(self.w @ x**self.rho)

    def lower_bound(self, prices: np.ndarray) -> float:
        """Weak duality, each provider's term minimised over log x on a grid, then by bounded search."""
        total = float(prices @ self.d)
        for k in range(len(self.d)):
            worth = prices * self.mu[k]

            def term(z: float, k: int = k, worth: np.ndarray = worth) -> float:
                x = np.exp(z)
                with np.errstate(over="ignore", invalid="ignore"):
                    value = float(self.w[k] * x ** self.rho[k] - prices[k] * x - worth @ x ** self.gamma[k])
                return np.inf if np.isnan(value) else value

            grid = np.linspace(-700, 200, 1801)
            values = [term(z) for z in grid]
            j = int(np.argmin(values))
            ends = (grid[max(0, j - 1)], grid[min(len(grid) - 1, j + 1)])
            found = minimize_scalar(term, bounds=ends, method="bounded", options={"xatol": 1e-12})
            total += min(float(found.fun), values[j], 0.0 - float(worth @ (self.gamma[k] == 0)))
        return total

    def bracketed(self) -> None:
        """The objective lies between what a feasible point costs and what duality allows."""
        found = self.solve()
        assert found.status is Status.OPTIMAL, found.message
        x, prices = np.asarray(found.values["x"]), np.asarray(found.multipliers["demand"])
        assert (x >= 0).all()
        assert (prices >= 0).all()
        assert (self.supplied(x) >= self.d * (1 - 1e-9)).all()
        assert found.objective == pytest.approx(self.cost(x), rel=1e-12, abs=1e-300)
        assert self.lower_bound(prices) >= self.cost(x) * (1 - 1e-8)


def case(seed: int, size: int, kind: str) -> Case:
    rng = np.random.default_rng(seed)
    linear = kind == "linear"
    gamma = rng.uniform(0.1, 1, (size, size))
    if kind == "corners":
        gamma = rng.choice([0.0, 0.5, 1.0], (size, size))
    return Case(
        d=rng.uniform(0.1, 5, size) * (rng.random(size) < 0.9),
        rho=np.ones(size) if linear else rng.uniform(1.05, 2.5, size),
        mu=rng.uniform(0, 1, (size, size)) * (rng.random((size, size)) < rng.choice([0.2, 0.6, 1.0])),
        gamma=np.ones((size, size)) if linear else gamma,
        w=10 ** rng.uniform(-11, 11, size) if kind == "22 orders" else rng.uniform(0.1, 2, size),
    )


CASES = [
    *(
        (seed, size, kind)
        for seed, size in enumerate([1, 2, 3, 4, 5, 6, 8])
        for kind in ("smooth", "corners", "22 orders")
    ),
    *((100 + seed, size, kind) for seed, size in enumerate([2, 3, 20, 50]) for kind in ("smooth", "22 orders")),
]


@pytest.mark.parametrize(("seed", "size", "kind"), CASES)
def test_the_objective_lies_between_what_is_feasible_and_what_duality_allows(seed: int, size: int, kind: str) -> None:
    case(seed, size, kind).bracketed()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 10, 40])
def test_linear_markets_are_linear_programmes(size: int) -> None:
    one = case(size, size, "linear")
    found = one.solve()
    x = np.asarray(found.values["x"])
    highs = linprog(one.w, A_ub=-(np.eye(size) + one.mu.T), b_ub=-one.d, method="highs")
    assert found.objective == pytest.approx(highs.fun, rel=1e-8, abs=1e-12)
    assert (one.supplied(x) >= one.d - 1e-9).all()


def test_the_worked_example_of_overproduction() -> None:
    # theory: mu_12 = 1, gamma = 1/2, rho = 4, d = (1, 20), c = 1/2 gives x = (9.28, 16.95) at cost 45016.
    mu = np.array([[0.0, 1.0], [0.0, 0.0]])
    one = Case(np.array([1.0, 20.0]), np.full(2, 4.0), mu, np.full((2, 2), 0.5), np.full(2, 0.5))
    found = one.solve()
    assert np.asarray(found.values["x"]) == pytest.approx([9.28, 16.95], abs=5e-3)
    assert found.objective == pytest.approx(45016, abs=0.5)


def test_a_dear_provider_that_is_needed_leaves_the_cheap_one_exact() -> None:
    # 1 is needed and costs 1e22; it helps 2, not the other way: x_1 = 3, and x_2 = 4 - 0.5 * 3^0.8.
    mu = np.array([[0.0, 0.5], [0.0, 0.0]])
    one = Case(np.array([3.0, 4.0]), np.array([1.2, 1.3]), mu, np.full((2, 2), 0.8), np.array([1e22, 0.5]))
    assert np.asarray(one.solve().values["x"]) == pytest.approx([3.0, 4 - 0.5 * 3**0.8], rel=1e-6)


def test_without_transfers_demand_is_the_allocation_whatever_the_weights() -> None:
    rng = np.random.default_rng(4)
    d = rng.uniform(1, 5, 30)
    one = Case(d, rng.uniform(1, 3, 30), np.zeros((30, 30)), np.ones((30, 30)), 10 ** rng.uniform(-11, 11, 30))
    assert np.asarray(one.solve().values["x"]) == pytest.approx(d, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(300))
def test_many_more(seed: int) -> None:
    kind = ("smooth", "corners", "22 orders")[seed % 3]
    test_the_objective_lies_between_what_is_feasible_and_what_duality_allows(1000 + seed, 1 + seed % 7, kind)


@pytest.mark.slow
def test_two_hundred_domains() -> None:
    for kind in ("smooth", "22 orders"):
        test_the_objective_lies_between_what_is_feasible_and_what_duality_allows(7, 200, kind)
