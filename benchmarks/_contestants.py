"""The market of `resolve.py`, and those who solve it: mechdsl, Ipopt's callbacks by hand, CasADi, Pyomo, CVXPY, scipy.

Each is made from the same numbers once and is then a function of the weights alone. They share Ipopt, its options and
where it starts, but for mechdsl, which is asked as everything in it asks: weights in, a certified optimum out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mechdsl.mechanism import Mechanism

__all__ = [
    "MATRIX_FROM",
    "Array",
    "Data",
    "Solver",
    "data_of",
    "prepared",
    "with_casadi",
    "with_cvxpy",
    "with_cyipopt",
    "with_mechdsl",
    "with_pyomo",
    "with_slsqp",
]

Array: TypeAlias = npt.NDArray[np.float64]
Solver: TypeAlias = Callable[[Array], float]
"""Weights, (K,), to the optimal objective. Raises RuntimeError where no optimum was found."""

MARKET = """
market random_market "A random market, every domain feeding every other"
index k, i in domains = 1..{size}
param d[k] in [0, inf) ~ uniform(2, 5)
param rho[k] in [1, inf) ~ uniform(1, 1.5)
param mu[i, k] in [0, inf) ~ uniform(0, 0.5)
param gamma[i, k] in [0, 1] ~ uniform(0.8, 0.9)
layer platform
layer creator[k] {{ type c[k] ~ uniform(0.1, 1)  choose x[k] >= 0  cost c[k] * x[k]^rho[k] }}
demand[k]: x[k] + sum(i: mu[i, k] * x[i]^gamma[i, k]) >= d[k]
contract platform -> creator: direct
objective platform: maximize welfare
"""

QUIET: Mapping[str, str | float] = {"print_level": 0, "sb": "yes", "bound_relax_factor": 0.0}  # no power of x < 0
MATRIX_FROM = 201  # domains from which on CasADi gets matrices: its scalars are faster, but take too long to build


@dataclass(frozen=True, slots=True)
class Data:
    """`d` and `rho` (K,); `mu` and `gamma` (K, K) with the supplied domain first, so that rows are constraints."""

    demand: Array
    rho: Array
    mu: Array
    gamma: Array

    @property
    def size(self) -> int:
        return len(self.demand)

    @property
    def start(self) -> Array:
        """Where an expert would begin: what demand takes if supply were linear and the same everywhere."""
        start: Array = self.demand / (1 + self.mu.sum(axis=1))
        return start


# ------------------------------------------------------------------------------------------------------------- mechdsl


def prepared(size: int) -> Mechanism:
    """The market parsed, derived and compiled."""
    from mechdsl import pipeline
    from mechdsl.structure import installed, match

    (market,) = pipeline.parse(MARKET.format(size=size)).markets.values()
    structure = match(market, installed()).structure
    assert structure is not None
    return pipeline.mechanism(market, structure)


def data_of(mechanism: Mechanism) -> Data:
    """The numbers that mechdsl has drawn, for everybody."""
    tables = {str(q.name): np.asarray(values) for q, values in mechanism.program.data.items()}
    return Data(tables["d"], tables["rho"], tables["mu"].T.copy(), tables["gamma"].T.copy())


def with_mechdsl(mechanism: Mechanism) -> Solver:
    """The engine, as every other part of mechdsl asks it: refined, judged by its residuals, no start given."""
    (weight,) = mechanism.program.parameters

    def solve(weights: Array) -> float:
        solution = mechanism.engine.solve({weight: weights})
        if solution.status.word != "optimal":
            raise RuntimeError(f"mechdsl: {solution.message}")
        return float(solution.objective)

    return solve


# --------------------------------------------------------------------------------------------------------- by hand


class ByHand:
    """Ipopt's callbacks as an expert writes them: matrices, no loop, the K^2 powers taken once at every point."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.weights = np.ones(data.size)
        self.curvature = data.gamma * (data.gamma - 1)
        self.at: Array | None = None
        self.powers = np.empty_like(data.mu)

    def supplied(self, x: Array) -> Array:
        """(K, K) `mu_ik x_i^gamma_ik`, kept for the callbacks that follow at the same point."""
        if self.at is None or not np.array_equal(self.at, x):
            self.at = x.copy()
            self.powers = self.data.mu * x**self.data.gamma
        return self.powers

    def objective(self, x: Array) -> float:
        return float(self.weights @ x**self.data.rho)

    def gradient(self, x: Array) -> Array:
        slopes: Array = self.weights * self.data.rho * x ** (self.data.rho - 1)
        return slopes

    def constraints(self, x: Array) -> Array:
        supply: Array = x + self.supplied(x).sum(axis=1)
        return supply

    def jacobian(self, x: Array) -> Array:
        slopes = self.supplied(x) * self.data.gamma
        slopes /= x
        slopes.flat[:: self.data.size + 1] += 1
        return slopes.ravel()

    def jacobianstructure(self) -> tuple[Any, Any]:
        return np.divmod(np.arange(self.data.size**2), self.data.size)

    def hessian(self, x: Array, multipliers: Array, factor: float) -> Array:
        rho = self.data.rho
        own = factor * self.weights * rho * (rho - 1) * x ** (rho - 2)
        supplies: Array = multipliers @ (self.curvature * self.supplied(x)) / x**2
        return own + supplies

    def hessianstructure(self) -> tuple[Any, Any]:
        return np.arange(self.data.size), np.arange(self.data.size)


def with_cyipopt(data: Data, options: Mapping[str, str | float]) -> Solver:
    """Bare cyipopt, its problem made once."""
    import cyipopt

    callbacks, free = ByHand(data), np.full(data.size, 2e19)
    problem = cyipopt.Problem(
        n=data.size, m=data.size, problem_obj=callbacks, lb=np.zeros(data.size), ub=free, cl=data.demand, cu=free
    )
    for name, value in {**QUIET, **options}.items():
        problem.add_option(name, value)
    start = data.start

    def solve(weights: Array) -> float:
        callbacks.weights, callbacks.at = weights, None
        _, info = problem.solve(start)
        if info["status"] != 0:
            raise RuntimeError(f"cyipopt: {info['status_msg']!r}")
        return float(info["obj_val"])

    return solve


# ------------------------------------------------------------------------------------------------------ other modellers


def with_casadi(data: Data) -> Solver:
    """CasADi's `nlpsol`, weights as its parameters, built once."""
    import casadi as ca

    kind: Any = ca.SX if data.size < MATRIX_FROM else ca.MX
    x, w = kind.sym("x", data.size), kind.sym("w", data.size)
    supplied = ca.DM(data.mu) * ca.repmat(x.T, data.size, 1) ** ca.DM(data.gamma)
    programme = {"x": x, "p": w, "f": ca.dot(w, x ** ca.DM(data.rho)), "g": x + ca.sum2(supplied)}
    solver = ca.nlpsol("market", "ipopt", programme, {"print_time": False, "ipopt": {**QUIET, "tol": 1e-8}})
    start = data.start

    def solve(weights: Array) -> float:
        found = solver(x0=start, p=weights, lbx=0, ubx=np.inf, lbg=data.demand, ubg=np.inf)
        return _optimal(solver, found)

    return solve


def with_pyomo(data: Data) -> Solver:
    """A Pyomo model made once: its weights set, written as `.nl`, read back and solved by CasADi's Ipopt.

    No Ipopt that reads `.nl` files by itself is on PyPI.
    """
    import casadi as ca
    import pyomo.environ as pyo

    domains = range(data.size)
    model = pyo.ConcreteModel()
    model.w = pyo.Param(domains, mutable=True, initialize=1.0)
    model.x = pyo.Var(domains, bounds=(0, None), initialize=dict(enumerate(data.start)))
    model.cost = pyo.Objective(expr=sum(model.w[k] * model.x[k] ** data.rho[k] for k in domains))

    def demand(model: Any, k: int) -> Any:
        supply = model.x[k] + sum(data.mu[k, i] * model.x[i] ** data.gamma[k, i] for i in domains)
        return supply >= data.demand[k]

    model.demand = pyo.Constraint(domains, rule=demand)

    def solve(weights: Array) -> float:
        model.w.store_values(dict(enumerate(weights)))
        read = ca.NlpBuilder()
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "market.nl")
            model.write(path, format="nl")
            read.import_nl(path, {"verbose": False})
        programme = {"x": ca.vertcat(*read.x), "f": read.f, "g": ca.vertcat(*read.g)}
        solver = ca.nlpsol("market", "ipopt", programme, {"print_time": False, "ipopt": {**QUIET, "tol": 1e-8}})
        found = solver(x0=read.x_init, lbx=read.x_lb, ubx=read.x_ub, lbg=read.g_lb, ubg=read.g_ub)
        return _optimal(solver, found)

    return solve


def with_cvxpy(data: Data) -> Solver:
    """CVXPY, its weights parameters, so that it is translated once (DPP), solved by Clarabel in power cones."""
    import cvxpy as cp

    x, w = cp.Variable(data.size, nonneg=True), cp.Parameter(data.size, nonneg=True)
    domains = range(data.size)

    def power(k: int, exponent: float) -> Any:
        return cp.power(x[k], float(exponent), approx=False)

    costs = cp.hstack([power(k, data.rho[k]) for k in domains])
    supplied = [
        x[k] + cp.sum(cp.hstack([data.mu[k, i] * power(i, data.gamma[k, i]) for i in domains])) for k in domains
    ]
    problem = cp.Problem(cp.Minimize(w @ costs), [s >= d for s, d in zip(supplied, data.demand, strict=True)])

    def solve(weights: Array) -> float:
        w.value = weights
        problem.solve(solver=cp.CLARABEL)
        if problem.status != "optimal":
            raise RuntimeError(f"CVXPY: {problem.status}")
        return float(problem.value)

    return solve


def with_slsqp(data: Data) -> Solver:
    """scipy's SLSQP with exact gradients."""
    from scipy.optimize import minimize

    callbacks, start = ByHand(data), data.start
    demand = {
        "type": "ineq",
        "fun": lambda x: callbacks.constraints(x) - data.demand,
        "jac": lambda x: callbacks.jacobian(x).reshape(data.size, data.size),
    }

    def solve(weights: Array) -> float:
        callbacks.weights, callbacks.at = weights, None
        found = minimize(
            callbacks.objective, start, jac=callbacks.gradient, bounds=[(1e-12, None)] * data.size,
            constraints=[demand], method="SLSQP", options={"ftol": 1e-12, "maxiter": 500},
        )  # fmt: skip
        if not found.success:
            raise RuntimeError(f"SLSQP: {found.message}")
        return float(found.fun)

    return solve


def _optimal(solver: Any, found: Mapping[str, Any]) -> float:
    if not solver.stats()["success"]:
        raise RuntimeError(f"CasADi: {solver.stats()['return_status']}")
    return float(found["f"])
