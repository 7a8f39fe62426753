"""Independent solutions of procurement markets, sharing no code with the program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar


@dataclass(frozen=True)
class TwoDomains:
    """`min w . x^rho` subject to `x_k + sum_i mu_ik x_i^gamma_ik >= d_k`, by search in x_1 alone.

    For given x_1 the least feasible x_2 is found by bisection; the cost is convex in x_1.
    """

    d: tuple[float, float]
    rho: tuple[float, float]
    mu: np.ndarray
    gamma: np.ndarray

    def least_second(self, x: float) -> float:
        """The least x_2 that meets both demands beside x_1 = x."""

        def short(y: float) -> float:
            made = [
                x + self.mu[0, 0] * x ** self.gamma[0, 0] + self.mu[1, 0] * y ** self.gamma[1, 0],
                y + self.mu[0, 1] * x ** self.gamma[0, 1] + self.mu[1, 1] * y ** self.gamma[1, 1],
            ]
            return float(max(need - have for need, have in zip(self.d, made, strict=True)))

        if short(0.0) <= 0:
            return 0.0
        top = 1.0
        while short(top) > 0:
            top *= 2
        return float(brentq(short, 0.0, top, xtol=1e-300, rtol=1e-15))

    def cost(self, w: np.ndarray, x: float) -> float:
        return float(w[0] * x ** self.rho[0] + w[1] * self.least_second(x) ** self.rho[1])

    def x(self, w: np.ndarray) -> np.ndarray:
        """The cheapest outputs."""
        grid = np.concatenate([[0.0], np.geomspace(1e-9, 1e3, 50)])
        costs = [self.cost(w, t) for t in grid]
        j = int(np.argmin(costs))
        left, right = grid[max(0, j - 1)], grid[min(len(grid) - 1, j + 1)]
        found = minimize_scalar(
            lambda t: self.cost(w, t), bounds=(left, right), method="bounded", options={"xatol": 1e-14}
        )
        best = min([(costs[j], grid[j]), (float(found.fun), float(found.x))])[1]
        return np.array([best, self.least_second(best)])

    def y(self, w: np.ndarray) -> np.ndarray:
        powers: np.ndarray = self.x(w) ** np.array(self.rho)
        return powers

    def least_cost(self, w: np.ndarray) -> float:
        """`Psi(w)`."""
        return self.cost(w, float(self.x(w)[0]))

    def rent(self, k: int, c: np.ndarray, b: float, weights: Callable[[np.ndarray], np.ndarray]) -> float:
        """`int_c^b y_k dt` by the trapezium rule, which a kink costs nothing; good to 1e-5 or so."""
        times = np.linspace(c[k], b, 250)
        outputs = [float(self.y(weights(np.where(np.arange(2) == k, t, c)))[k]) for t in times]
        return float(np.trapezoid(outputs, times))
