"""Payments on random markets against second solvers: bare Ipopt with derivatives by hand, HiGHS, and a line search.

What a provider is paid follows from `Psi(w) = min {w . x^rho : demands met}` alone. Here Psi comes from solvers that
share nothing with the engine but Ipopt's library, the formulas for payments from the paper, and the integral where the
virtual cost is not affine from scipy's `quad` after integration by parts, which leaves Psi and not its slope inside.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import cyipopt
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, linprog, minimize_scalar
from scipy.special import erf, erfcx

from mechdsl import Mechanism, Outcome, Status, pipeline
from mechdsl.structure import installed, match

TEXT = """
market random "K domains"
index k, i in domains = 1..{size}
param d[k] in [0, inf) ~ uniform(0.2, 5)
param rho[k] in [1, inf) {rho}
param mu[i, k] in [0, inf) {mu}
param gamma[i, k] in [0, 1] {gamma}
layer platform
layer creator[k] {{ type c[k] ~ {law}  choose x[k] >= 0  cost c[k] * x[k]^rho[k] }}
demand[k]: x[k] + sum(i: mu[i, k] * x[i]^gamma[i, k]) >= d[k]
contract platform -> creator: direct
regime revenue {{ objective platform: maximize revenue }}
regime welfare {{ objective platform: maximize welfare }}
"""
SPREAD = {"mu": "~ uniform(0, {top})", "gamma": "~ uniform(0.3, 1)", "rho": "~ uniform(1.05, 2)"}
KINDS = {
    "smooth": SPREAD,
    "linear": {"mu": "~ uniform(0, {top})", "gamma": "= 1", "rho": "= 1"},
    "constants": {"mu": "~ uniform(0, {top})", "gamma": "= 0", "rho": "~ uniform(1.05, 2)"},
    "corners": {"mu": "~ uniform(0, {top})", "gamma": "= if(i == k, 0, 1)", "rho": "~ uniform(1.2, 2)"},
    "linear costs": SPREAD | {"rho": "= 1"},
}


@dataclass(frozen=True)
class Psi:
    """`min {w . x^rho : x_k + sum_i mu_ik x_i^gamma_ik >= d_k}` with its minimiser, by others."""

    d: np.ndarray
    rho: np.ndarray
    mu: np.ndarray
    gamma: np.ndarray

    def __call__(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        if np.all(self.rho == 1) and np.all(self.gamma == 1):
            found = linprog(w, A_ub=-(np.eye(len(w)) + self.mu.T), b_ub=-self.d, method="highs")
            return float(found.fun), np.asarray(found.x)
        return self.by_ipopt(w)

    def by_ipopt(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        size, total = len(w), float(w @ np.maximum(self.d, 1.0) ** self.rho)
        rows, columns = np.repeat(np.arange(size), size), np.tile(np.arange(size), size)
        mu, gamma = self.mu.T, self.gamma.T  # [k, i]
        below = np.tril_indices(size)
        rho = self.rho

        class Callbacks:
            def objective(self, x: np.ndarray) -> float:
                x = np.maximum(x, 1e-30)  # a rounding may put it on the other side of its bound
                return float(w @ x**rho) / total

            def gradient(self, x: np.ndarray) -> np.ndarray:
                x = np.maximum(x, 1e-30)  # a rounding may put it on the other side of its bound
                return np.asarray(w * rho * x ** (rho - 1) / total)

            def constraints(self, x: np.ndarray) -> np.ndarray:
                x = np.maximum(x, 1e-30)  # a rounding may put it on the other side of its bound
                return np.asarray(x + (mu * x**gamma).sum(axis=1))

            def jacobianstructure(self) -> Any:
                return rows, columns

            def jacobian(self, x: np.ndarray) -> np.ndarray:
                x = np.maximum(x, 1e-30)  # a rounding may put it on the other side of its bound
                return np.asarray(np.eye(size) + mu * gamma * x ** (gamma - 1)).ravel()

            def hessianstructure(self) -> Any:
                return below

            def hessian(self, x: np.ndarray, prices: np.ndarray, factor: float) -> np.ndarray:
                x = np.maximum(x, 1e-30)  # a rounding may put it on the other side of its bound
                bend = factor * w * rho * (rho - 1) * x ** (rho - 2) / total
                bend += prices @ (mu * gamma * (gamma - 1) * x ** (gamma - 2))
                return np.asarray(np.diag(bend)[below])

        problem = cyipopt.Problem(
            n=size, m=size, problem_obj=Callbacks(),
            lb=np.full(size, 1e-30), ub=np.full(size, 2e19), cl=self.d, cu=np.full(size, 2e19),
        )  # fmt: skip
        settings = {"print_level": 0, "sb": "yes", "tol": 1e-12, "bound_relax_factor": 0.0, "max_iter": 2000,
                    "mu_strategy": "adaptive", "acceptable_tol": 1e-11}  # fmt: skip
        for name, value in settings.items():
            problem.add_option(name, value)
        x, info = problem.solve(np.maximum(self.d, 0.5))
        assert info["status"] in (0, 1), info["status_msg"]
        return float(w @ x**rho), np.asarray(x)


def posed(kind: str, size: int, law: str, regime: str, seed: int) -> tuple[Mechanism, Psi]:
    chosen = {name: text.format(top=2 / size) for name, text in KINDS[kind].items()}
    market = pipeline.parse(TEXT.format(size=size, law=law, **chosen), seed=seed).markets[regime]
    structure = match(market, installed()).structure
    assert structure is not None
    data = {str(q.name): np.asarray(v) for q, v in market.data.items()}
    return pipeline.mechanism(market, structure), Psi(data["d"], data["rho"], data["mu"], data["gamma"])


def outcome(mechanism: Mechanism, report: np.ndarray) -> Outcome:
    found = mechanism.structure.recover(mechanism, {mechanism.market.types[0].quantity: report})
    assert found.status is Status.OPTIMAL, found.message
    return found


def moved(w: np.ndarray, k: int, value: float) -> np.ndarray:
    return np.where(np.arange(len(w)) == k, value, w)


def check(kind: str, size: int, a: float, b: float, regime: str, seed: int, sample: int = 20) -> None:
    """Payments of uniform costs: `c y + [Psi(w_k(b), w_-k) - Psi(w)] / slope`, the weight `c`, or `2 c - a`."""
    mechanism, psi = posed(kind, size, f"uniform({a}, {b})", regime, seed)
    generator = np.random.default_rng(seed)
    c = generator.uniform(a, b, size)
    lowest = 0.003 if kind == "smooth" and a == 0 else a  # at 0 the second solver gives up
    c[seed % size] = (b, lowest, c[0])[seed % 3]  # the ends of the support among them
    slope, w = (2.0, 2 * c - a) if regime == "revenue" else (1.0, c)
    found = outcome(mechanism, c)
    least, x = psi(w)
    y = x**psi.rho
    money = 1 + float(np.sum(found.payments["creator"]))
    assert mechanism.solve({mechanism.market.types[0].quantity: c}).objective == pytest.approx(
        least, rel=1e-8, abs=1e-10 * money
    )
    for k in generator.permutation(size)[:sample]:
        top, _ = psi(moved(w, k, slope * b - (a if slope == 2 else 0)))
        expected = c[k] * y[k] + (top - least) / slope
        assert found.payments["creator"][k] == pytest.approx(expected, rel=1e-7, abs=1e-7 * money), (k, c[k])


@pytest.mark.parametrize("regime", ["revenue", "welfare"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("seed", "size"), [(1, 1), (2, 2), (3, 3), (4, 5), (5, 8)])
def test_uniform_costs(kind: str, seed: int, size: int, regime: str) -> None:
    check(kind, size, 0.3, 1.2, regime, seed)


@pytest.mark.parametrize("regime", ["revenue", "welfare"])
@pytest.mark.parametrize("kind", ["smooth", "linear", "constants"])
@pytest.mark.parametrize("size", [2, 4])
def test_costs_from_nothing_up(kind: str, size: int, regime: str) -> None:
    check(kind, size, 0.0, 1.0, regime, 6 + size % 3)


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["revenue", "welfare"])
@pytest.mark.parametrize(("kind", "size"), [("smooth", 20), ("linear", 60), ("smooth", 200), ("linear", 200)])
def test_many_providers(kind: str, size: int, regime: str) -> None:
    check(kind, size, 0.2, 1.0, regime, size, sample=6)


# ------------------------------------------------------------------------------------------------ virtual costs, curved


@dataclass(frozen=True)
class Normal:
    """The standard normal law on [0, b]: `vc = t + h` with `h = F/f`, `h' = 1 + t h`."""

    b: float

    def h(self, t: float) -> float:
        if t < 5:
            return math.sqrt(math.pi / 2) * math.exp(t * t / 2) * float(erf(t / math.sqrt(2)))
        return math.sqrt(math.pi / 2) * (math.exp(t * t / 2) - float(erfcx(t / math.sqrt(2))))

    def vc(self, t: float) -> float:
        return t + self.h(t)

    def slope(self, t: float) -> float:
        return 2 + t * self.h(t)

    def bend(self, t: float) -> float:
        return self.h(t) + t * (1 + t * self.h(t))

    def rent(self, psi: Any, w: np.ndarray, k: int, c: float) -> float:
        """`int_c^b y dt = [Psi/vc'] + int Psi vc''/vc'^2 dt`, for `dPsi/dt = y vc'`."""
        if c >= self.b:
            return 0.0

        @cache
        def least(t: float) -> float:
            return float(psi(moved(w, k, self.vc(t))))

        def integrand(t: float) -> float:
            return (least(t) - least(c)) * self.bend(t) / self.slope(t) ** 2

        knots = np.unique(np.concatenate([[c, self.b], np.linspace(0, self.b, 11)]))
        knots = knots[(knots >= c) & (knots <= self.b)]
        inner = sum(
            quad(integrand, p, q, epsabs=1e-10, epsrel=1e-10, limit=40, full_output=1)[0]
            for p, q in itertools.pairwise(knots)
        )
        return (least(self.b) - least(c)) / self.slope(self.b) + float(inner)


def two_domains(psi: Psi) -> Any:
    """Psi for K = 2 by search in log x_1, the least x_2 beside it by bisection: no solver, and no scale to get lost."""

    def second(x: float) -> float:
        def short(y: float) -> float:
            pair = np.array([x, y])
            return float(np.max(psi.d - pair - (psi.mu * pair[:, None] ** psi.gamma).sum(axis=0)))

        if short(0.0) <= 0:
            return 0.0
        top = 1.0
        while short(top) > 0:
            top *= 2
        return float(brentq(short, 0.0, top, xtol=1e-300, rtol=1e-15))

    second = cache(second)

    def least(w: np.ndarray) -> float:
        def cost(z: float) -> float:
            x = math.exp(z)
            return float(w[0] * x ** psi.rho[0] + w[1] * second(x) ** psi.rho[1])

        grid = np.linspace(-80, 5, 86)
        costs = [cost(z) for z in grid]
        j = int(np.argmin(costs))
        ends = (grid[max(0, j - 1)], grid[min(len(grid) - 1, j + 1)])
        found = minimize_scalar(cost, bounds=ends, method="bounded", options={"xatol": 1e-13, "maxiter": 200})
        return min(costs[j], float(found.fun))

    return least


@pytest.mark.parametrize(
    "report", [(10.0, 3.0), *(pytest.param(r, marks=pytest.mark.slow) for r in ((0.3, 1.2), (6.0, 0.1), (0.0, 2.0)))]
)
def test_normal_costs_to_the_end_of_their_tail(report: tuple[float, float]) -> None:
    mechanism, psi = posed("smooth", 2, "normal(0, 1) on [0, 10]", "revenue", 11)
    law, least = Normal(10.0), two_domains(psi)
    c = np.array(report)
    w = np.array([law.vc(t) for t in c])
    found = outcome(mechanism, c)
    money = 1 + float(np.sum(found.payments["creator"]))
    solution = mechanism.solve({mechanism.market.types[0].quantity: c})
    assert solution.objective == pytest.approx(least(w), rel=1e-8)
    for k in range(2):
        own = float(c[k] * found.allocation["x"][k] ** psi.rho[k])
        expected = own + law.rent(least, w, k, c[k])
        assert found.payments["creator"][k] == pytest.approx(expected, rel=1e-7, abs=1e-7 * money)


@pytest.mark.parametrize(
    "kind", ["constants", *(pytest.param(k, marks=pytest.mark.slow) for k in ("smooth", "linear"))]
)
def test_normal_costs_of_three(kind: str) -> None:
    mechanism, psi = posed(kind, 3, "normal(0, 1) on [0, 2]", "revenue", 5)
    law, c = Normal(2.0), np.array([0.4, 2.0, 0.9])
    w = np.array([law.vc(t) for t in c])
    found = outcome(mechanism, c)
    y = psi(w)[1] ** psi.rho
    money = 1 + float(np.sum(found.payments["creator"]))
    for k in range(3):
        expected = c[k] * y[k] + law.rent(lambda v: psi(v)[0], w, k, c[k])
        assert found.payments["creator"][k] == pytest.approx(expected, rel=1e-7, abs=1e-7 * money)


def test_the_law_by_hand_is_the_law() -> None:
    # The oracle's own virtual cost against differences of itself.
    law = Normal(10.0)
    for t in (0.1, 1.0, 4.9, 5.1, 8.0):
        step = 1e-5
        assert (law.vc(t + step) - law.vc(t - step)) / (2 * step) == pytest.approx(law.slope(t), rel=1e-7)
        assert (law.slope(t + step) - law.slope(t - step)) / (2 * step) == pytest.approx(law.bend(t), rel=1e-7)
